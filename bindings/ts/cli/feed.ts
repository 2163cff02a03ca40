/** What happens outside: slots, and the account updates of each. Read as a whole, so that bad input is found before anything runs. */

import type { AccountUpdate } from '../types.js';
import { parseUpdate, U64, type AccountState } from './accounts.js';
import { Csv, type Row } from './csv.js';
import { parseDecimals } from './encode.js';
import { InputError } from './errors.js';
import { decodeText, readNamed } from './files.js';
import { parseJson, type Json } from './json.js';
import type { Names } from './names.js';
import { INTEGER_TYPES, parseDecimal, rangeOf, sizeOf, writeInteger, type IntegerType } from './numbers.js';

export interface FeedSlot {
  /** Where the input says it, for messages. */
  json: Json;
  slot: bigint;
  /** Seconds since 1970. */
  unixTimestamp?: bigint;
  updates: AccountUpdate[];
}

/** Far beyond any clock, and within what Date can show. */
const MAX_TIMESTAMP = 8_640_000_000_000n;

export function parseFeed(json: Json, accounts: ReadonlyMap<string, AccountState>, names: Names, folder: string): FeedSlot[] {
  const { csv, jsonl } = json.object([], ['csv', 'jsonl', 'account', 'startSlot', 'clock', 'data']);
  if (csv && !jsonl) return readCsv(json, accounts, folder);
  if (jsonl && !csv) return readLines(json, accounts, names, folder);
  return json.reject('has no file or two of them; expected either "csv" or "jsonl"');
}

/** One line a slot: `{ "slot": 7, "unixTimestamp": 946857600, "updates": [{ "account": "price", "data": [...] }] }` */
function readLines(json: Json, accounts: ReadonlyMap<string, AccountState>, names: Names, folder: string): FeedSlot[] {
  const { name, bytes } = readNamed(json.object(['jsonl'], []).jsonl, folder);
  const slots: FeedSlot[] = [];
  for (const [index, text] of decodeText(bytes).split(/\r?\n/).entries()) {
    if (text.trim() === '') continue;
    const line = parseJson(text, name, index + 1);
    const { slot, unixTimestamp, updates } = line.object(['slot'], ['unixTimestamp', 'updates']);
    const previous = slots.at(-1)?.slot ?? 0n;
    slots.push({
      json: line,
      slot: slot.integer(previous + 1n, U64.max),
      ...(unixTimestamp && { unixTimestamp: unixTimestamp.integer(-MAX_TIMESTAMP, MAX_TIMESTAMP) }),
      updates: (updates?.items() ?? []).map((update) => parseUpdate(update, names, accounts.values())),
    });
  }
  if (slots.length === 0) throw new InputError(`${name}:1: has no lines; expected one for each slot`);
  return slots;
}

/** One row a slot; each writes its cells over the beginning of one account. */
function readCsv(json: Json, accounts: ReadonlyMap<string, AccountState>, folder: string): FeedSlot[] {
  const members = json.object(['csv', 'account', 'data'], ['startSlot', 'clock']);
  const account = accounts.get(members.account.string());
  if (!account) return members.account.expected(`one of the accounts: ${[...accounts.keys()].join(', ')}`);
  const { name, bytes } = readNamed(members.csv, folder);
  const csv = new Csv(decodeText(bytes), name);
  const cells = members.data.items().map((cell) => parseCell(cell, csv));
  const size = cells.reduce((sum, { type }) => sum + sizeOf(type), 0);
  if (size > account.data.length) {
    members.data.reject(`takes ${size} bytes; expected at most the ${account.data.length} of ${members.account.string()}`);
  }
  const clock = members.clock && findColumn(members.clock, csv);
  const startSlot = members.startSlot?.integer(1n, U64.max - BigInt(csv.rows.length)) ?? 1n;

  const { json: _, ...rest } = account;
  let previous = -MAX_TIMESTAMP;
  return csv.rows.map((row, index) => {
    const data = Buffer.from(account.data);
    let offset = 0;
    for (const { column, type, read } of cells) {
      writeInteger(data, offset, type, read(row, column));
      offset += sizeOf(type);
    }
    const slot: FeedSlot = { json, slot: startSlot + BigInt(index), updates: [{ ...rest, data }] };
    if (clock !== undefined) {
      slot.unixTimestamp = readTimestamp(csv, row, clock);
      if (slot.unixTimestamp < previous) csv.expected(row, clock, 'a time that is not before that of the row above');
      previous = slot.unixTimestamp;
    }
    return slot;
  });
}

interface Cell {
  column: number;
  type: IntegerType;
  read(row: Row, column: number): bigint;
}

function parseCell(json: Json, csv: Csv): Cell {
  const { column, type: typeName, decimals: decimalsOf, format } = json.object(['column', 'type'], ['decimals', 'format']);
  const type = typeName.oneOf(INTEGER_TYPES);
  const { min, max } = rangeOf(type);
  const decimals = parseDecimals(decimalsOf);
  const isDate = format?.oneOf(['yyyymmdd']) !== undefined;
  if (isDate && decimalsOf) decimalsOf.reject('goes with numbers only, not with dates');
  const what = isDate
    ? 'a date, yyyy-mm-dd'
    : `${decimals > 0 ? `a number with at most ${decimals} decimals` : 'an integer'} that fits ${type}`;
  return {
    column: findColumn(column, csv),
    type,
    read(row, at) {
      const text = row.cells[at]!.trim();
      const value = isDate ? (isoDate(text) === undefined ? undefined : BigInt(text.replaceAll('-', ''))) : parseDecimal(text, decimals);
      return value !== undefined && value >= min && value <= max ? value : csv.expected(row, at, what);
    },
  };
}

function findColumn(json: Json, csv: Csv): number {
  const name = json.string('the name of a column');
  const index = csv.columns.indexOf(name);
  if (index < 0) return json.expected(`a column of ${csv.file}: ${csv.columns.join(', ')}`);
  if (csv.columns.lastIndexOf(name) !== index) return json.expected(`a column that is only once in ${csv.file}`);
  return index;
}

function readTimestamp(csv: Csv, row: Row, column: number): bigint {
  const text = row.cells[column]!.trim();
  const seconds = isoDate(text) ?? parseDecimal(text, 0);
  const fits = seconds !== undefined && seconds >= -MAX_TIMESTAMP && seconds <= MAX_TIMESTAMP;
  return fits ? seconds : csv.expected(row, column, 'a date, yyyy-mm-dd, or seconds since 1970');
}

/** Seconds since 1970 at midnight UTC; undefined for what is not a day of the calendar. */
function isoDate(text: string): bigint | undefined {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return undefined;
  const date = new Date(`${text}T00:00:00Z`);
  return Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== text ? undefined : BigInt(date.getTime() / 1000);
}
