/** Turns what JavaScript passes into what the engine takes, or says what is wrong with it. */

import { isUint8Array } from 'node:util/types';
import bs58 from 'bs58';
import { invalidArgument, type ArgumentName } from './errors.js';

export type { ArgumentName } from './errors.js';

/** A base58 string (what `@solana/kit` calls `Address`), 32 bytes, or anything with `toBytes()`, such as a web3.js `PublicKey`. */
export type AddressLike =
  | string
  | Uint8Array
  | {
      /** The 32 bytes. */
      toBytes(): Uint8Array;
    };

/** A u64: a bigint, or a non-negative safe integer. */
export type U64Like = bigint | number;

/**
 * An account of an instruction: an address alone is read-only and does not sign. Understands what `@solana/kit`
 * (`{ address, role }`) and web3.js (`{ pubkey, isSigner, isWritable }`) use.
 */
export type AccountMetaLike =
  | AddressLike
  | ({
      /** Which account it is. */
      address: AddressLike;
    } & AccountFlags)
  | {
      /** Which account it is. */
      address: AddressLike;
      /** `AccountRole` of `@solana/kit`: 1 for a writable account, 2 for a signer, 3 for both. */
      role: 0 | 1 | 2 | 3;
    }
  | ({
      /** Which account it is. */
      pubkey: AddressLike;
    } & AccountFlags);

/** What may be done with an account of an instruction. */
export interface AccountFlags {
  /** Whether it counts as having signed. Default false. */
  isSigner?: boolean;
  /** Whether the program may change it. Default false. */
  isWritable?: boolean;
}

export interface AccountMeta {
  address: Uint8Array;
  signer: boolean;
  writable: boolean;
}

const U64_MAX = 2n ** 64n - 1n;
const I64_MIN = -(2n ** 63n);
const I64_MAX = 2n ** 63n - 1n;

/** Decoding base58 costs more than most calls, and the same few addresses come again and again. */
const decoded = new Map<string, Uint8Array>();
const MAX_DECODED = 4096;

export function toAddress(value: unknown, argument: ArgumentName): Uint8Array {
  const bytes = typeof value === 'string' ? fromBase58(value) : isUint8Array(value) ? value : fromObject(value);
  if (bytes?.length !== 32) {
    throw invalidArgument(argument, value, 'an address: a base58 string of 32 bytes, 32 bytes, or an object with toBytes()');
  }
  return bytes;
}

function fromBase58(text: string): Uint8Array | undefined {
  const known = decoded.get(text);
  if (known) return known;
  // 32 bytes have 32 to 44 digits; longer text is not worth the quadratic time.
  const bytes = text.length <= 44 ? bs58.decodeUnsafe(text) : undefined;
  if (bytes?.length === 32) {
    if (decoded.size >= MAX_DECODED) decoded.clear();
    decoded.set(text, bytes);
  }
  return bytes;
}

function fromObject(value: unknown): Uint8Array | undefined {
  if (typeof value !== 'object' || value === null || !('toBytes' in value) || typeof value.toBytes !== 'function') return undefined;
  const bytes: unknown = value.toBytes();
  return isUint8Array(bytes) ? bytes : undefined;
}

/** Encoding it costs more than decoding all else of an outcome. */
const encoded = new Map<string, string>();

export function addressString(bytes: Uint8Array): string {
  const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  let text = encoded.get(key);
  if (text === undefined) {
    if (encoded.size >= MAX_DECODED) encoded.clear();
    encoded.set(key, (text = bs58.encode(bytes)));
  }
  return text;
}

export function toU64(value: unknown, argument: ArgumentName): bigint {
  return BigInt(checkU64(value, argument));
}

/** A u64 as it was passed. */
export function checkU64(value: unknown, argument: ArgumentName): U64Like {
  if (typeof value === 'bigint' ? value >= 0n && value <= U64_MAX : Number.isSafeInteger(value) && (value as number) >= 0) {
    return value as U64Like;
  }
  throw invalidArgument(argument, value, 'a bigint in [0, 2^64 - 1] or a non-negative safe integer');
}

export function toI64(value: unknown, argument: ArgumentName): bigint {
  const integer = toInteger(value);
  if (integer === undefined || integer < I64_MIN || integer > I64_MAX) {
    throw invalidArgument(argument, value, 'a bigint in [-2^63, 2^63 - 1] or a safe integer');
  }
  return integer;
}

function toInteger(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value;
  return Number.isSafeInteger(value) ? BigInt(value as number) : undefined;
}

export function toBytes(value: unknown, argument: ArgumentName): Uint8Array {
  if (!isUint8Array(value)) throw invalidArgument(argument, value, 'a Uint8Array');
  if (value.length === 0 && !hasMemory(value))
    throw invalidArgument(argument, value, 'a Uint8Array whose buffer was not transferred or shrunk');
  return value;
}

/** Whether an empty array is really empty. Node 20 tells only by refusing to look at one that is not. */
function hasMemory(bytes: Uint8Array): boolean {
  try {
    bytes.keys();
    return true;
  } catch {
    return false;
  }
}

export function toBoolean(value: unknown, argument: ArgumentName): boolean {
  if (typeof value !== 'boolean') throw invalidArgument(argument, value, 'true or false');
  return value;
}

/** One of the numbers of a table such as `Priority`. */
export function toMember(table: Readonly<Record<string, number>>, value: unknown, argument: ArgumentName): number {
  if (!Object.values(table).includes(value as number)) {
    const known = Object.entries(table).map(([name, number]) => `${number} (${name})`);
    throw invalidArgument(argument, value, `one of ${known.join(', ')}`);
  }
  return value as number;
}

/** A number that counts something. */
export function toCount(value: unknown, argument: ArgumentName, min: number, max: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
    throw invalidArgument(argument, value, `an integer in [${min}, ${max}]`);
  }
  return value as number;
}

/** An object, without members that would be ignored: those are mistakes. */
export function toObject<T extends object>(value: T, argument: ArgumentName, known: readonly string[]): T {
  if (typeof value !== 'object' || value === null) throw invalidArgument(argument, value, 'an object');
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) throw invalidArgument(argument, key, `made of ${known.join(', ')}`);
  }
  return value;
}

export function toArray<T>(value: Iterable<T>, argument: ArgumentName): T[] {
  if (typeof value !== 'object' || value === null || !(Symbol.iterator in value)) throw invalidArgument(argument, value, 'an array');
  return [...value];
}

export function toAccountMetas(value: Iterable<AccountMetaLike>, argument: ArgumentName): AccountMeta[] {
  return toArray(value, argument).map((meta, index) => toAccountMeta(meta, `${argument}[${index}]`));
}

function toAccountMeta(meta: AccountMetaLike, argument: ArgumentName): AccountMeta {
  if (typeof meta === 'object' && meta !== null) {
    if ('address' in meta && 'role' in meta) {
      toObject(meta, argument, ['address', 'role']);
      const role = toMember({ READONLY: 0, WRITABLE: 1, READONLY_SIGNER: 2, WRITABLE_SIGNER: 3 }, meta.role, `${argument}.role`);
      return { address: toAddress(meta.address, `${argument}.address`), signer: role >= 2, writable: role % 2 === 1 };
    }
    const [key, address] = 'address' in meta ? ['address', meta.address] : 'pubkey' in meta ? ['pubkey', meta.pubkey] : [];
    if (key !== undefined) {
      toObject(meta, argument, [key, 'isSigner', 'isWritable']);
      const { isSigner = false, isWritable = false } = meta as AccountFlags;
      return {
        address: toAddress(address, `${argument}.${key}`),
        signer: toBoolean(isSigner, `${argument}.isSigner`),
        writable: toBoolean(isWritable, `${argument}.isWritable`),
      };
    }
  }
  return { address: toAddress(meta, argument), signer: false, writable: false };
}

/** Names of the items of a list, and of their members: of the item at `index`, and put together only when something is wrong. */
export class ItemNames {
  index = 0;
  readonly #list: string;
  readonly item: ArgumentName;

  constructor(list: string) {
    this.#list = list;
    this.item = { toString: () => `${this.#list}[${this.index}]` };
  }

  member(name: string): ArgumentName {
    return { toString: () => `${this.item}.${name}` };
  }
}
