/** Bytes written as a list of typed values, such as `[{ "u8": 0 }, { "u64": "12.5", "decimals": 2 }]`. */

import bs58 from 'bs58';
import type { Json } from './json.js';
import type { Names } from './names.js';
import { INTEGER_TYPES, parseDecimal, rangeOf, sizeOf, writeInteger, type IntegerType } from './numbers.js';

const CONSTANTS = [...INTEGER_TYPES, 'address', 'hex', 'base64'] as const;
const ARGUMENTS = [...CONSTANTS, 'ring', 'slot'] as const;

/** Rings get their ids when the run begins. */
export type Part = Uint8Array | { ring: string };

export const MAX_DECIMALS = 18;
const U64 = rangeOf('u64');

/** The data of an account. */
export function parseBytes(json: Json, names: Names): Uint8Array {
  return Buffer.concat(json.items().map((item) => constant(choose(item, CONSTANTS), names)));
}

/** The data of an instruction, which may speak of rings, and of slots from `slot` on. */
export function parseArguments(json: Json, names: Names, rings: ReadonlySet<string>, slot: bigint): Part[] {
  return json.items().map((item): Part => {
    const { kind, value, decimals } = choose(item, ARGUMENTS);
    if (kind === 'ring') {
      const ring = value.string('the name of a ring');
      return rings.has(ring) ? { ring } : value.expected(`one of the rings: ${[...rings].join(', ') || 'there are none'}`);
    }
    if (kind === 'slot') return integer('u64', parseSlot(value, slot));
    return constant({ kind, value, decimals }, names);
  });
}

/** Decimals, if `json` says how many. */
export function parseDecimals(json: Json | undefined): number {
  return json?.count(0, MAX_DECIMALS) ?? 0;
}

interface Choice<K extends string> {
  kind: K;
  value: Json;
  decimals: Json | undefined;
}

function choose<K extends string>(json: Json, kinds: readonly K[]): Choice<K> {
  // `name` is for the reader of the scenario: JSON has no comments.
  const members: Partial<Record<string, Json>> = json.object([], [...kinds, 'name', 'decimals']);
  members['name']?.string();
  const chosen = kinds.filter((kind) => members[kind]);
  const [kind] = chosen;
  if (kind === undefined || chosen.length > 1) {
    return json.reject(`has ${chosen.join(' and ') || 'no value'}; expected one of ${kinds.join(', ')}`);
  }
  const { decimals } = members;
  if (decimals && !isInteger(kind)) decimals.reject(`goes with integers only, not with ${kind}`);
  return { kind, value: members[kind]!, decimals };
}

function constant({ kind, value, decimals }: Choice<(typeof CONSTANTS)[number]>, names: Names): Uint8Array {
  switch (kind) {
    case 'address':
      return bs58.decode(names.resolve(value));
    case 'hex':
    case 'base64':
      return parseEncoded(value, kind);
    default:
      return integer(kind, parseNumber(value, kind, parseDecimals(decimals)));
  }
}

function parseNumber(json: Json, type: IntegerType, decimals: number): bigint {
  const { min, max } = rangeOf(type);
  if (decimals === 0) return json.integer(min, max);
  const what = `a number with at most ${decimals} decimals that fits ${type}`;
  const value = parseDecimal(json.numberText(what), decimals);
  return value !== undefined && value >= min && value <= max ? value : json.expected(what);
}

/** A slot, or with a plus sign its distance from the current one. */
function parseSlot(json: Json, current: bigint): bigint {
  const what = 'a slot, or "+N" for N slots after the set-up';
  const text = json.numberText(what);
  if (!/^\+?\d+$/.test(text)) return json.expected(what);
  const slot = text.startsWith('+') ? current + BigInt(text.slice(1)) : BigInt(text);
  return slot <= U64.max ? slot : json.expected(what);
}

const ENCODINGS = {
  hex: /^(?:[0-9a-fA-F]{2})*$/,
  base64: /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
};

/** Checks first, since Buffer skips what it does not understand. */
export function parseEncoded(json: Json, encoding: keyof typeof ENCODINGS): Uint8Array {
  const what = `bytes in ${encoding}`;
  const text = json.string(what);
  return ENCODINGS[encoding].test(text) ? Buffer.from(text, encoding) : json.expected(what);
}

function integer(type: IntegerType, value: bigint): Uint8Array {
  const target = Buffer.alloc(sizeOf(type));
  writeInteger(target, 0, type, value);
  return target;
}

function isInteger(kind: string): kind is IntegerType {
  return (INTEGER_TYPES as readonly string[]).includes(kind);
}
