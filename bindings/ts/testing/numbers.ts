/** Numbers in account data, instruction data and return data: little-endian, 64 bits. */

import { toBytes, toI64, toU64, type U64Like } from '../arguments.js';
import { invalidArgument } from '../errors.js';

const LENGTH = 8;

/**
 * The bytes of unsigned numbers, one after another, 8 bytes each.
 *
 * @param numbers Each in [0, 2^64 - 1].
 * @throws AsyncBpfError INVALID_ARGUMENT
 * @example
 * ```ts
 * const counter = dataAccount(program, u64(0)); // 8 bytes of data
 * ```
 */
export function u64(...numbers: U64Like[]): Uint8Array {
  const bytes = new Uint8Array(numbers.length * LENGTH);
  numbers.forEach((number, index) => view(bytes).setBigUint64(index * LENGTH, toU64(number, `numbers[${index}]`), true));
  return bytes;
}

/**
 * The bytes of signed numbers, one after another, 8 bytes each.
 *
 * @param numbers Each in [-2^63, 2^63 - 1].
 * @throws AsyncBpfError INVALID_ARGUMENT
 */
export function i64(...numbers: (bigint | number)[]): Uint8Array {
  const bytes = new Uint8Array(numbers.length * LENGTH);
  numbers.forEach((number, index) => view(bytes).setBigInt64(index * LENGTH, toI64(number, `numbers[${index}]`), true));
  return bytes;
}

/**
 * The unsigned number at a place.
 *
 * @param data At least 8 bytes.
 * @param offset In [0, data.length - 8]. Default 0.
 * @throws AsyncBpfError INVALID_ARGUMENT
 * @example
 * ```ts
 * expect(readU64(world.engine.getAccount(counter)!.data)).toBe(11n);
 * ```
 */
export function readU64(data: Uint8Array, offset = 0): bigint {
  return place(data, offset).getBigUint64(0, true);
}

/**
 * The signed number at a place.
 *
 * @param data At least 8 bytes.
 * @param offset In [0, data.length - 8]. Default 0.
 * @throws AsyncBpfError INVALID_ARGUMENT
 */
export function readI64(data: Uint8Array, offset = 0): bigint {
  return place(data, offset).getBigInt64(0, true);
}

/**
 * Writes an unsigned number at a place, and returns `data` itself.
 *
 * @param data At least 8 bytes.
 * @param offset In [0, data.length - 8].
 * @param value In [0, 2^64 - 1].
 * @throws AsyncBpfError INVALID_ARGUMENT; then nothing was written.
 * @example
 * ```ts
 * const config = dataAccount(program, writeU64(new Uint8Array(40), 32, 1_000n));
 * ```
 */
export function writeU64(data: Uint8Array, offset: number, value: U64Like): Uint8Array {
  place(data, offset).setBigUint64(0, toU64(value, 'value'), true);
  return data;
}

/**
 * Writes a signed number at a place, and returns `data` itself.
 *
 * @param data At least 8 bytes.
 * @param offset In [0, data.length - 8].
 * @param value In [-2^63, 2^63 - 1].
 * @throws AsyncBpfError INVALID_ARGUMENT; then nothing was written.
 */
export function writeI64(data: Uint8Array, offset: number, value: bigint | number): Uint8Array {
  place(data, offset).setBigInt64(0, toI64(value, 'value'), true);
  return data;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The 8 bytes at an offset. */
function place(data: Uint8Array, offset: number): DataView {
  const { length } = toBytes(data, 'data');
  if (length < LENGTH) throw invalidArgument('data', data, `at least ${LENGTH} bytes, as long as the number is`);
  if (!Number.isSafeInteger(offset) || offset < 0 || offset > length - LENGTH) {
    throw invalidArgument('offset', offset, `an integer in [0, ${length - LENGTH}]: data has ${length} bytes, the number ${LENGTH}`);
  }
  return view(data.subarray(offset, offset + LENGTH));
}
