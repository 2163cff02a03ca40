/** How a scenario's report reads what the programs left: records of ring buffers, and the value of what they hold. */

import bs58 from 'bs58';
import type { AsyncBpfEngine } from '../engine.js';
import type { RingEntry } from '../types.js';
import type { AccountState } from './accounts.js';
import { parseDecimals } from './encode.js';
import { RunError } from './errors.js';
import type { Json } from './json.js';
import { INTEGER_TYPES, readInteger, sizeOf, type IntegerType } from './numbers.js';

/** One field of a record. */
export interface Field {
  name: string;
  offset: number;
  type: IntegerType | 'address';
  decimals: number;
  /** Decimals in the timeline. */
  digits: number;
  /** What the values 0, 1, ... are called. */
  labels: string[] | undefined;
}

/** What the entries of a ring buffer mean. */
export interface RecordLayout {
  /** For example `trades`. */
  name: string;
  ring: string;
  size: number;
  fields: Field[];
}

/** An entry of a ring buffer; `values` goes with the record's fields. */
export interface Event {
  record: RecordLayout;
  slot: bigint;
  values: (bigint | string)[];
}

/** A number in an account. */
export interface Quantity {
  account: string;
  /** Where the account is known by this name. */
  name: string;
  offset: number;
  type: IntegerType;
  decimals: number;
}

/** Where to find what the programs hold: value = cash + units * price. */
export interface Holding {
  cash: Quantity;
  units: Quantity;
  price: Quantity;
}

export interface Report {
  records: RecordLayout[];
  holding: Holding | undefined;
}

const ADDRESS_SIZE = 32;

/** The results for machines have these, and beside them a list for each record, which needs another name. */
export const RESULT_KEYS = [
  'slots',
  'firstSlot',
  'lastSlot',
  'callbacks',
  'failed',
  'expired',
  'startValue',
  'finalValue',
  'buyAndHold',
  'unitsConsumed',
  'seconds',
  'stateHash',
  'failures',
] as const;

export function parseReport(json: Json, readers: ReadonlyMap<string, string>, accounts: ReadonlyMap<string, AccountState>): Report {
  const { records, value } = json.object([], ['records', 'value']);
  const free = new Set([...readers].flatMap(([ring, reader]) => (reader === 'host' ? [ring] : [])));
  return {
    records: (records?.entries() ?? []).map(([name, record]) => parseRecord(name, record, free)),
    holding: value && parseHolding(value, accounts),
  };
}

/** What every event in the results has. */
const EVENT_KEYS = ['slot', 'date', 'raw'];

/** Takes the ring out of those that are free: every entry has one reader. */
function parseRecord(name: string, json: Json, free: Set<string>): RecordLayout {
  if ((RESULT_KEYS as readonly string[]).includes(name))
    json.reject('has a name that the results use for something else; expected another');
  const { ring, fields: list } = json.object(['ring', 'fields'], []);
  if (!free.delete(ring.string('the name of a ring'))) ring.expected('a ring whose reader is "host", and that no other record reads');
  const fields: Field[] = [];
  let size = 0;
  for (const item of list.items()) {
    const { skip } = item.object([], ['skip', 'name', 'type', 'decimals', 'digits', 'labels']);
    if (skip) {
      item.object(['skip'], []);
      size += skip.count(1, 2 ** 20);
      continue;
    }
    const field = parseField(item, size);
    if (fields.some((other) => other.name === field.name)) item.reject(`has the name ${field.name} of an earlier field; expected another`);
    fields.push(field);
    size += field.type === 'address' ? ADDRESS_SIZE : sizeOf(field.type);
  }
  return { name, ring: ring.string(), size, fields };
}

function parseField(json: Json, offset: number): Field {
  const members = json.object(['name', 'type'], ['decimals', 'digits', 'labels']);
  const name = members.name.string();
  if (EVENT_KEYS.includes(name)) members.name.expected('another name: every event has a slot, a date and raw values of its own');
  const type = members.type.oneOf([...INTEGER_TYPES, 'address']);
  const decimals = parseDecimals(members.decimals);
  const labels = members.labels?.items().map((label) => label.string());
  const { digits } = members;
  if (type === 'address') for (const member of [members.decimals, digits, members.labels]) member?.reject('goes with integers only');
  return { name, offset, type, decimals, digits: digits?.count(0, decimals) ?? decimals, labels };
}

function parseHolding(json: Json, accounts: ReadonlyMap<string, AccountState>): Holding {
  const { cash, units, price } = json.object(['cash', 'units', 'price'], []);
  return { cash: parseQuantity(cash, accounts), units: parseQuantity(units, accounts), price: parseQuantity(price, accounts) };
}

function parseQuantity(json: Json, accounts: ReadonlyMap<string, AccountState>): Quantity {
  const { account, offset, type, decimals } = json.object(['account', 'type'], ['offset', 'decimals']);
  const name = account.string('the name of an account');
  const state = accounts.get(name) ?? account.expected(`one of the accounts: ${[...accounts.keys()].join(', ')}`);
  const quantity = {
    account: state.address,
    name,
    offset: offset?.count(0, 10 * 2 ** 20) ?? 0,
    type: type.oneOf(INTEGER_TYPES),
    decimals: parseDecimals(decimals),
  };
  if (quantity.offset + sizeOf(quantity.type) > state.data.length) {
    json.reject(`ends after byte ${quantity.offset + sizeOf(quantity.type)}; expected at most the ${state.data.length} of ${name}`);
  }
  return quantity;
}

export function decode(record: RecordLayout, { slot, data, sequence }: RingEntry): Event {
  if (data.length !== record.size) {
    throw new RunError(
      `ring ${record.ring}: entry ${sequence} has ${data.length} bytes; expected the ${record.size} of report.records.${record.name}`,
    );
  }
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  const values = record.fields.map(({ offset, type }) => {
    return type === 'address' ? bs58.encode(data.subarray(offset, offset + ADDRESS_SIZE)) : readInteger(bytes, offset, type);
  });
  return { record, slot, values };
}

/** What is held now and what a unit of it costs, in the smallest parts of cash. */
export interface Worth {
  value: bigint;
  price: bigint;
  /** Of `value`. */
  decimals: number;
}

/** Rounds down, as a sale would. */
export function worth({ cash, units, price }: Holding, engine: AsyncBpfEngine): Worth {
  const priceNow = read(price, engine);
  const held = read(units, engine) * priceNow;
  const shift = cash.decimals - units.decimals - price.decimals;
  const heldCash = shift >= 0 ? held * 10n ** BigInt(shift) : held / 10n ** BigInt(-shift);
  return { value: read(cash, engine) + heldCash, price: priceNow, decimals: cash.decimals };
}

function read({ account, name, offset, type }: Quantity, engine: AsyncBpfEngine): bigint {
  const data = engine.getAccount(account)?.data ?? new Uint8Array(0);
  if (offset + sizeOf(type) > data.length) {
    throw new RunError(`account ${name} has ${data.length} bytes; the report reads ${type} at ${offset}`);
  }
  return readInteger(Buffer.from(data.buffer, data.byteOffset, data.length), offset, type);
}
