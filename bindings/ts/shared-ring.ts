/**
 * JavaScript's two sides of a byte ring in a SharedArrayBuffer: what `crates/ring` is in Rust, in the same layout, so that the other side
 * may be Rust or another thread of JavaScript.
 *
 * Nothing that memory holds is trusted: a position or a length that cannot be throws CORRUPT_STATE, and no index leaves the memory.
 */

import { ErrorCode } from './constants.js';
import { AsyncBpfError, invalidArgument } from './errors.js';
import * as layout from './ring-layout.js';

/** Any number of producers, or one. JavaScript can read both, and write those with one. */
export type RingMode = typeof layout.MANY_TO_ONE | typeof layout.ONE_TO_ONE;

/** A record: the bytes from `start` to `end` of the ring's memory. They are the ring's again when the callback returns. */
export type EachRecord = (bytes: Uint8Array, start: number, end: number, kind: number) => void;

// Constants of another module are looked up at every use; these are not. Indices count 32-bit numbers, two of which make a word.
const { POSITION_MASK, CLOSED, STATE_SHIFT, LENGTH_MASK, COMMITTED, SKIPPED, WORD_LEN, DATA_OFFSET, MANY_TO_ONE, ONE_TO_ONE } = layout;
const HEAD = layout.HEAD_OFFSET / 4;
const TAIL = layout.TAIL_OFFSET / 4;
const WAITING = layout.WAITING_OFFSET / 4;
const DATA = DATA_OFFSET / 4;

/** How often a long drain gives space back while the data wraps around once: the producer need not wait for its end. */
const RELEASES_PER_LAP = 8;

/** An empty ring of `capacity` bytes, a power of two in [64, 2^30]. */
export function createRing(capacity: number, mode: RingMode): SharedArrayBuffer {
  if (capacity < layout.MIN_CAPACITY || capacity > layout.MAX_CAPACITY || !Number.isInteger(Math.log2(capacity))) {
    throw invalidArgument('capacity', capacity, `a power of two in [${layout.MIN_CAPACITY}, ${layout.MAX_CAPACITY}]`);
  }
  const memory = new SharedArrayBuffer(ringMemoryLength(capacity));
  const numbers = new Int32Array(memory);
  numbers[layout.VERSION_OFFSET / 4] = layout.VERSION;
  numbers[layout.CAPACITY_OFFSET / 4] = capacity;
  numbers[layout.MODE_OFFSET / 4] = mode;
  Atomics.store(numbers, layout.MAGIC_OFFSET / 4, layout.MAGIC);
  return memory;
}

/** Bytes of memory that a ring of `capacity` bytes needs. */
export function ringMemoryLength(capacity: number): number {
  return DATA_OFFSET + capacity;
}

/** What both sides have. Positions count words and are kept as memory holds them, in 31 bits. */
class Side {
  protected readonly numbers: Int32Array;
  protected readonly bytes: Uint8Array;
  /** Words of data. */
  protected readonly words: number;
  protected readonly mode: RingMode;

  constructor(memory: SharedArrayBuffer, modes: readonly RingMode[]) {
    if (!(memory instanceof SharedArrayBuffer) || memory.byteLength < ringMemoryLength(layout.MIN_CAPACITY)) {
      throw invalidArgument('memory', memory, `a SharedArrayBuffer of at least ${ringMemoryLength(layout.MIN_CAPACITY)} bytes`);
    }
    const header = new Int32Array(memory, 0, DATA);
    const [magic, version, capacity, mode] = [layout.MAGIC_OFFSET, layout.VERSION_OFFSET, layout.CAPACITY_OFFSET, layout.MODE_OFFSET].map(
      (offset) => Atomics.load(header, offset / 4),
    ) as [number, number, number, number];
    if (magic !== layout.MAGIC || version !== layout.VERSION || !modes.includes(mode as RingMode)) {
      throw invalidArgument('memory', memory, `a ring of version ${layout.VERSION} and mode ${modes.join(' or ')}`);
    }
    const possible = capacity >= layout.MIN_CAPACITY && capacity <= layout.MAX_CAPACITY && (capacity & (capacity - 1)) === 0;
    if (!possible || memory.byteLength < ringMemoryLength(capacity)) corrupt(0, `a capacity of ${capacity} bytes is not possible`);
    this.numbers = new Int32Array(memory, 0, ringMemoryLength(capacity) / 4);
    this.bytes = new Uint8Array(memory, 0, ringMemoryLength(capacity));
    this.words = capacity / WORD_LEN;
    this.mode = mode as RingMode;
  }

  /** Where it lives, to be handed to the other side. */
  get memory(): SharedArrayBuffer {
    return this.bytes.buffer as SharedArrayBuffer;
  }

  /** Bytes. */
  get capacity(): number {
    return this.words * WORD_LEN;
  }

  /** Whether no record will follow those that are there. */
  get isClosed(): boolean {
    return (Atomics.load(this.numbers, TAIL) & CLOSED) !== 0;
  }

  /** A position of the other side. */
  protected position(number: number, what: string): number {
    if (number < 0) corrupt(number, `the ${what} has more than 31 bits`);
    return number;
  }
}

/** The one that reads a ring. */
export class RingReader extends Side {
  /** Up to where we have read. */
  #at: number;
  /** Up to where we have given back. */
  #released: number;
  /** Words from `#at` on that are there, as far as we know. Of use in one-to-one mode. */
  #known = 0;
  /** Whether a callback looks at a record, and nothing may be given back. */
  #lent = false;
  /** What `#next` has found: its position, and its bytes in the memory. */
  #found = 0;
  #start = 0;
  #end = 0;
  #kind = 0;

  readonly #minLength: number;

  /**
   * Goes on where the last reader stopped. `minLength` is that of the shortest record there can be.
   *
   * Throws INVALID_ARGUMENT for memory without a ring, CORRUPT_STATE for a ring that cannot be.
   */
  constructor(memory: SharedArrayBuffer, minLength = 0) {
    super(memory, [MANY_TO_ONE, ONE_TO_ONE]);
    this.#minLength = minLength;
    this.#at = this.position(Atomics.load(this.numbers, HEAD), 'head');
    this.#released = this.#at;
  }

  /**
   * Hands up to `limit` records to `each`, oldest first, and returns how many there were. Allocates nothing.
   *
   * Their space is given back in batches, also when `each` throws: the record that it threw on is gone. `each` may itself read from the
   * ring: that goes on behind the record that it was given.
   */
  drain(limit: number, each: EachRecord): number {
    const outer = this.#lent;
    this.#lent = true;
    try {
      for (let count = 0; count < limit; count++) {
        if (!this.#next()) return count;
        each(this.bytes, this.#start, this.#end, this.#kind);
        if (!outer && ((this.#at - this.#released) & POSITION_MASK) >= this.words / RELEASES_PER_LAP) this.#release();
      }
      return limit;
    } finally {
      this.#lent = outer;
      if (!outer) this.#release();
    }
  }

  /**
   * Copies records to `target`, one right after the other, and where each ends to `ends`, until either is full; returns how many there were.
   *
   * A record that is longer than all of `target` throws INVALID_ARGUMENT and stays.
   */
  drainInto(target: Uint8Array, ends: Uint32Array): number {
    let count = 0;
    let length = 0;
    try {
      while (count < ends.length) {
        if (!this.#next()) break;
        const needed = this.#end - this.#start;
        if (needed > target.length - length) {
          this.#putBack();
          if (count === 0) throw invalidArgument('target', target, `at least as long as the next record, ${needed} bytes`);
          break;
        }
        copy(this.bytes, this.#start, this.#end, target, length);
        length += needed;
        ends[count++] = length;
      }
      return count;
    } finally {
      this.#release();
    }
  }

  /** Takes the oldest record, as a copy; `undefined` when there is none. */
  pop(): Uint8Array | undefined {
    try {
      return this.#next() ? this.bytes.slice(this.#start, this.#end) : undefined;
    } finally {
      this.#release();
    }
  }

  /** A copy of the oldest record, which stays; `undefined` when there is none. */
  peek(): Uint8Array | undefined {
    try {
      if (!this.#next()) return undefined;
      this.#putBack();
      return this.bytes.slice(this.#start, this.#end);
    } finally {
      this.#release();
    }
  }

  /** Whether nothing can be read now. */
  get isEmpty(): boolean {
    if (this.mode === ONE_TO_ONE) return Atomics.load(this.numbers, TAIL) >>> 1 === this.#at;
    return Atomics.load(this.numbers, this.#index(this.#at)) >>> STATE_SHIFT < COMMITTED;
  }

  /** Whether the ring was closed and everything was read. */
  get isFinished(): boolean {
    return Atomics.load(this.numbers, TAIL) === ((this.#at << 1) | CLOSED);
  }

  /**
   * Blocks the thread until there is something to read or the end, at most `milliseconds`; false if there is not by then.
   *
   * Only a writer in JavaScript wakes it: native code does not end `Atomics.wait`.
   */
  wait(milliseconds = Infinity): boolean {
    const deadline = performance.now() + milliseconds;
    for (;;) {
      // Both sides store and then look at what the other stores: one of the two sees the other.
      Atomics.store(this.numbers, WAITING, 1);
      if (!this.isEmpty || this.isFinished) {
        Atomics.store(this.numbers, WAITING, 0);
        return true;
      }
      const left = deadline - performance.now();
      if (left <= 0) {
        Atomics.store(this.numbers, WAITING, 0);
        return false;
      }
      Atomics.wait(this.numbers, WAITING, 1, left);
    }
  }

  /** Finds the next record, past all that is skipped. */
  #next(): boolean {
    const numbers = this.numbers;
    for (;;) {
      const at = this.#at;
      const readable = this.#readable();
      if (readable === 0) return false;
      const index = this.#index(at);
      // The tail was read atomically: what it publishes can be read plainly, which costs a quarter.
      const header = this.mode === ONE_TO_ONE ? numbers[index]! : Atomics.load(numbers, index);
      const state = header >>> STATE_SHIFT;
      const length = header & LENGTH_MASK;
      if (state < COMMITTED) {
        if (this.mode === MANY_TO_ONE) return false;
        corrupt(at, 'the record is not committed');
      }
      const words = 1 + ((length + WORD_LEN - 1) >>> 3);
      if (words > readable || words > this.words - (at & (this.words - 1))) corrupt(at, 'the record is longer than what is there');
      if (state === COMMITTED && length < this.#minLength) corrupt(at, 'the record is too short');
      this.#at = (at + words) & POSITION_MASK;
      this.#known = readable - words;
      if (state !== SKIPPED) {
        this.#found = at;
        this.#start = (index + 2) * 4;
        this.#end = this.#start + length;
        this.#kind = numbers[index + 1]! >>> 0;
        return true;
      }
    }
  }

  /** Words from `#at` on that may be read. */
  #readable(): number {
    const read = (this.#at - this.#released) & POSITION_MASK;
    if (this.mode === MANY_TO_ONE) return this.words - read;
    if (this.#known !== 0) return this.#known;
    const used = ((Atomics.load(this.numbers, TAIL) >>> 1) - this.#released) & POSITION_MASK;
    if (used > this.words || used < read) corrupt(this.#at, 'head and tail are too far apart');
    return used - read;
  }

  /** Makes what `#next` has found the next again. */
  #putBack(): void {
    this.#known += (this.#at - this.#found) & POSITION_MASK;
    this.#at = this.#found;
  }

  /** Gives back what was read, unless a callback looks at it. */
  #release(): void {
    if (this.#lent || this.#at === this.#released) return;
    if (this.mode === MANY_TO_ONE) {
      // Every word that can become a header says that it is free until a producer writes it.
      const [from, to] = [this.#index(this.#released), this.#index(this.#at)];
      if (from < to) {
        this.numbers.fill(0, from, to);
      } else {
        this.numbers.fill(0, from);
        this.numbers.fill(0, DATA, to);
      }
    }
    this.#released = this.#at;
    Atomics.store(this.numbers, HEAD, this.#at);
  }

  #index(position: number): number {
    return DATA + (position & (this.words - 1)) * 2;
  }
}

/** The one that writes a ring with one producer. */
export class RingWriter extends Side {
  /** Up to where we have written. */
  #at: number;
  /** Up to where readers know. */
  #published: number;
  /** The reader's position as we last saw it. */
  #head: number;
  #closed: number;

  /** Throws INVALID_ARGUMENT for memory without a ring for one producer, CORRUPT_STATE for a ring that cannot be. Goes on where the last writer stopped. */
  constructor(memory: SharedArrayBuffer) {
    super(memory, [ONE_TO_ONE]);
    const tail = Atomics.load(this.numbers, TAIL);
    this.#head = this.position(Atomics.load(this.numbers, HEAD), 'head');
    this.#at = tail >>> 1;
    this.#published = this.#at;
    this.#closed = tail & CLOSED;
    if (((this.#at - this.#head) & POSITION_MASK) > this.words) corrupt(this.#head, 'head and tail are too far apart');
  }

  /** Bytes of the longest record. */
  get maxLength(): number {
    return this.capacity - WORD_LEN;
  }

  /**
   * Appends a record; false when it does not fit until the reader has read more. `kind` is a number in [0, 2^32) that goes with it.
   *
   * Throws INVALID_ARGUMENT for a record that never fits, SHUTDOWN after `close`.
   */
  push(record: Uint8Array, kind = 0): boolean {
    const written = this.write(record, kind);
    this.publish();
    return written;
  }

  /** As {@link push}, but the reader does not see it before {@link publish}: one publication for many records is cheaper. */
  write(record: Uint8Array, kind = 0): boolean {
    const { numbers, words } = this;
    const length = record.length;
    if (length > this.maxLength) throw invalidArgument('record', record, `at most ${this.maxLength} bytes`);
    if (this.#closed !== 0) throw new AsyncBpfError(ErrorCode.SHUTDOWN, 'the ring is closed; write to another');
    const needed = 1 + ((length + WORD_LEN - 1) >>> 3);
    const toEnd = words - (this.#at & (words - 1));
    const pad = needed <= toEnd ? 0 : toEnd;
    if (!this.#hasRoom(pad + needed)) {
      // With the pad it is longer than the ring, and would never fit. The pad alone lets it fit when the reader has passed that.
      if (pad + needed > words && this.#hasRoom(pad)) {
        this.#pad(pad);
        this.publish();
      }
      return false;
    }
    if (pad !== 0) this.#pad(pad);
    const index = DATA + (this.#at & (words - 1)) * 2;
    numbers[index] = (COMMITTED << STATE_SHIFT) | length;
    numbers[index + 1] = kind;
    this.bytes.set(record, (index + 2) * 4);
    this.#at = (this.#at + needed) & POSITION_MASK;
    return true;
  }

  /** Lets the reader see what was written, and wakes it if it sleeps. */
  publish(): void {
    if (this.#published === this.#at) return;
    this.#published = this.#at;
    this.#store();
  }

  /** No record follows; the reader reads what is there, and then sees the end. */
  close(): void {
    this.#closed = CLOSED;
    this.#published = this.#at;
    this.#store();
  }

  #store(): void {
    Atomics.store(this.numbers, TAIL, (this.#at << 1) | this.#closed);
    if (Atomics.load(this.numbers, WAITING) !== 0 && Atomics.exchange(this.numbers, WAITING, 0) !== 0)
      Atomics.notify(this.numbers, WAITING);
  }

  #pad(words: number): void {
    this.numbers[DATA + (this.#at & (this.words - 1)) * 2] = (SKIPPED << STATE_SHIFT) | ((words - 1) * WORD_LEN);
    this.#at = (this.#at + words) & POSITION_MASK;
  }

  /** Whether `words` words more are free. */
  #hasRoom(words: number): boolean {
    const used = (this.#at - this.#head) & POSITION_MASK;
    if (used + words <= this.words) return true;
    const head = Atomics.load(this.numbers, HEAD);
    const unread = (this.#at - head) & POSITION_MASK;
    const unpublished = (this.#at - this.#published) & POSITION_MASK;
    if (head < 0 || unread > used || unread < unpublished) corrupt(this.#at, 'the head is not between its last place and the tail');
    this.#head = head;
    return unread + words <= this.words;
  }
}

/** Short records are the rule, and cost less than the call that copies long ones. */
function copy(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  if (end - start > 32) to.set(from.subarray(start, end), at);
  else for (let index = start; index < end; index++) to[at++] = from[index]!;
}

function corrupt(position: number, what: string): never {
  throw new AsyncBpfError(
    ErrorCode.CORRUPT_STATE,
    `the ring is corrupt at position ${position}: ${what}; somebody else wrote to its memory`,
  );
}
