import { CsvError, parse } from 'csv-parse/sync';
import { InputError } from './errors.js';

export interface Row {
  line: number;
  cells: string[];
}

/** A table with a header. */
export class Csv {
  readonly file: string;
  readonly columns: string[];
  readonly rows: Row[];

  constructor(text: string, file: string) {
    const [header, ...rows] = readRows(text, file);
    if (!header || rows.length === 0)
      throw new InputError(`${file}:1: has no rows; expected a line of column names and a line for each slot`);
    this.file = file;
    this.columns = header.cells;
    this.rows = rows;
    for (const { line, cells } of rows) {
      if (cells.length !== header.cells.length) {
        throw new InputError(`${file}:${line}: has ${cells.length} columns; expected ${header.cells.length}, as in the header`);
      }
    }
  }

  expected(row: Row, column: number, what: string): never {
    throw new InputError(
      `${this.file}:${row.line}: column ${this.columns[column]} is ${JSON.stringify(row.cells[column])}; expected ${what}`,
    );
  }
}

function readRows(text: string, file: string): Row[] {
  const rows: Row[] = [];
  // Where a row begins: a quoted cell may go over more than one line, and one that is not closed goes to the end of the file.
  let line = 1;
  try {
    parse(text, {
      record_delimiter: ['\n', '\r\n'],
      relax_column_count: true,
      on_record(cells) {
        rows.push({ line, cells });
        // The parser's own count takes \r\n in a cell for two lines.
        line += cells.join('').split('\n').length;
        return null;
      },
    });
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    // Nothing else can be wrong with a table whose rows may have any length.
    throw new InputError(`${file}:${line}: a cell has a stray double quote; expected "..." with "" for each one inside`);
  }
  return rows;
}
