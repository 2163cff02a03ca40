const GAP = '  ';

/** Cells padded to the widest of their column. A column with nothing in it takes no room. */
export class Columns {
  readonly #right: readonly boolean[];
  readonly #widths: number[];

  constructor(alignment: readonly ('left' | 'right')[], rows: readonly string[][]) {
    this.#right = alignment.map((side) => side === 'right');
    this.#widths = alignment.map((_, column) => rows.reduce((width, row) => Math.max(width, row[column]!.length), 0));
  }

  line(cells: readonly string[]): string {
    const padded = cells.map((cell, column) =>
      this.#right[column] ? cell.padStart(this.#widths[column]!) : cell.padEnd(this.#widths[column]!),
    );
    return padded.filter((_, column) => this.#widths[column]! > 0).join(GAP);
  }
}

export function join(...parts: string[]): string {
  return parts.join(GAP).trimEnd();
}
