/**
 * What crosses the boundary to Rust, in borsh. `bindings/src/wire.rs` is the other side.
 *
 * Integers are little-endian; an option is a byte and then the value; a list, a string or bytes begin with their length as a u32;
 * an enum with its variant as a byte.
 */

import type { AccountMeta } from './arguments.js';
import { AsyncBpfError } from './errors.js';

/** Variants of `Request`, in the order of the Rust enum. */
export const Request = {
  AddProgram: 0,
  RemoveProgram: 1,
  SetAccount: 2,
  GetAccount: 3,
  UpdateAccounts: 4,
  AddHostProgram: 5,
  Call: 6,
  GetTimer: 7,
  TimersOfProgram: 8,
  GetWatcher: 9,
  WatchersOfAccount: 10,
  GetRing: 11,
  DrainRing: 12,
  Stats: 13,
  Slot: 14,
  StateHash: 15,
  Drain: 16,
  RemoveOutlet: 17,
  TakeMissed: 18,
  StopListening: 19,
} as const;

/** Variants of `MemoryRequest`, in the order of the Rust enum. */
export const MemoryRequest = {
  SetOutlet: 0,
  Listen: 1,
} as const;

/** Variants of `Call`, in the order of the Rust enum. */
export const Call = {
  TimerCreate: 0,
  TimerCancel: 1,
  WatcherCreate: 2,
  WatcherSetMinSlots: 3,
  WatcherSetActive: 4,
  WatcherRemove: 5,
  RingCreate: 6,
  RingPush: 7,
  RingPop: 8,
  RingPeek: 9,
  RingGrant: 10,
  RingSetState: 11,
  RingDestroy: 12,
  TaskSchedule: 13,
} as const;

/** The host itself, or the program on whose behalf a call is made. */
export type Caller = 'host' | Uint8Array;

export interface WireCallback {
  program: Uint8Array;
  data: Uint8Array;
  accounts: AccountMeta[];
  computeBudget: bigint;
}

export interface WireAccount {
  lamports: bigint;
  data: Uint8Array;
  owner: Uint8Array;
  executable: boolean;
}

export class Writer {
  #buffer = Buffer.allocUnsafe(256);
  #length = 0;

  static request(variant: number): Writer {
    return new Writer().u8(variant);
  }

  static call(caller: Caller, variant: number): Writer {
    const writer = Writer.request(Request.Call);
    if (caller === 'host') writer.u8(0);
    else writer.u8(1).raw(caller);
    return writer.u8(variant);
  }

  u8(value: number): this {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
    return this;
  }

  bool(value: boolean): this {
    return this.u8(value ? 1 : 0);
  }

  u32(value: number): this {
    this.#reserve(4);
    this.#length = this.#buffer.writeUInt32LE(value, this.#length);
    return this;
  }

  u64(value: bigint): this {
    this.#reserve(8);
    this.#length = this.#buffer.writeBigUInt64LE(value, this.#length);
    return this;
  }

  i64(value: bigint): this {
    this.#reserve(8);
    this.#length = this.#buffer.writeBigInt64LE(value, this.#length);
    return this;
  }

  /** Bytes without their length, such as an address. */
  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  bytes(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  string(text: string): this {
    return this.bytes(Buffer.from(text, 'utf8'));
  }

  option<T>(value: T | undefined, write: (value: T) => void): this {
    if (value === undefined) return this.u8(0);
    this.u8(1);
    write(value);
    return this;
  }

  list<T>(items: readonly T[], write: (item: T) => void): this {
    this.u32(items.length);
    items.forEach(write);
    return this;
  }

  callback(callback: WireCallback): this {
    return this.raw(callback.program)
      .bytes(callback.data)
      .list(callback.accounts, ({ address, signer, writable }) => this.raw(address).bool(signer).bool(writable))
      .u64(callback.computeBudget);
  }

  account(account: WireAccount): this {
    return this.u64(account.lamports).bytes(account.data).raw(account.owner).bool(account.executable);
  }

  finish(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(size: number): void {
    if (this.#length + size <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + size));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #position: number;

  constructor(bytes: Uint8Array, position = 0) {
    this.#bytes = bytes;
    this.#position = position;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A reader behind the code of a reply; throws what the reply refuses. */
  static reply(bytes: Uint8Array): Reader {
    const reader = new Reader(bytes);
    const code = reader.u8();
    if (code !== 0) throw new AsyncBpfError(code, reader.string());
    return reader;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  bool(): boolean {
    return this.u8() !== 0;
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.#advance(8), true);
  }

  /** A copy, so that the reply can be collected. */
  raw(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#bytes.slice(start, start + length);
  }

  bytes(): Uint8Array {
    return this.raw(this.u32());
  }

  string(): string {
    const start = this.#advance(this.u32());
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + start, this.#position - start).toString('utf8');
  }

  /** All that follows; not a copy. */
  rest(): Uint8Array {
    return this.#bytes.subarray(this.#position);
  }

  option<T>(read: () => T): T | undefined {
    return this.bool() ? read() : undefined;
  }

  list<T>(read: () => T): T[] {
    return Array.from({ length: this.u32() }, read);
  }

  #advance(size: number): number {
    const start = this.#position;
    this.#position += size;
    return start;
  }
}
