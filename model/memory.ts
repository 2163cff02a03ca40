/** The memory of a running program. */

import { rule } from './rules.js';
import { Failure } from './accounts.js';

const RODATA = 0n;
/** Of `programs/conformance`; what is in it is not modelled. */
const RODATA_SIZE = 0x170;
const STACK = 0x2_0000_0000n;
const STACK_SIZE = 64 * 4096;
export const HEAP = 0x3_0000_0000n;
const HEAP_SIZE = 32 * 1024;
const INPUT = 0x4_0000_0000n;
/** More than anything that is placed takes, and a gap behind it. */
const PLACE = 0x100_0000n;

interface Region {
  readonly start: bigint;
  readonly size: number;
  readonly isWritable: boolean;
  /** Zeros, until somebody looks. */
  bytes?: Uint8Array;
}

export class Memory {
  readonly #regions: Region[] = [
    { start: RODATA, size: RODATA_SIZE, isWritable: false },
    { start: STACK, size: STACK_SIZE, isWritable: true },
    { start: HEAP, size: HEAP_SIZE, isWritable: true },
  ];
  #nextInput = INPUT;

  /** Puts a copy of these bytes into memory of their own, and returns their address. What a program gets as its input it may write to. */
  place(bytes: Uint8Array): bigint {
    const start = this.#nextInput;
    this.#regions.push({ start, size: bytes.length, isWritable: true, bytes: bytes.slice() });
    this.#nextInput += PLACE;
    return start;
  }

  /** Whether all of it may be read. */
  has(address: bigint, length: bigint): boolean {
    return this.#find(address, length) !== undefined;
  }

  /** Ends the program unless all of it may be used in this way. No bytes are anywhere. */
  check(address: bigint, length: bigint, write: boolean): void {
    if (length > 0n) this.#at(address, length, write);
  }

  read(address: bigint, length: bigint): Uint8Array {
    return length === 0n ? new Uint8Array(0) : this.#at(address, length, false).slice();
  }

  write(address: bigint, bytes: Uint8Array): void {
    if (bytes.length > 0) this.#at(address, BigInt(bytes.length), true).set(bytes);
  }

  #at(address: bigint, length: bigint, write: boolean): Uint8Array {
    const region = this.#find(address, length);
    if (region === undefined) {
      rule('calls.access-violation', 'unmapped');
      throw new Failure('access violation');
    }
    if (write && !region.isWritable && rule('calls.access-violation', 'read-only')) throw new Failure('access violation');
    region.bytes ??= new Uint8Array(region.size);
    const offset = Number(address - region.start);
    return region.bytes.subarray(offset, offset + Number(length));
  }

  #find(address: bigint, length: bigint): Region | undefined {
    return this.#regions.find(({ start, size }) => address >= start && address + length <= start + BigInt(size));
  }
}
