/** The entries of a ring buffer that the host reads, in shared memory that the engine writes (`crates/engine/src/outlet.rs`). */

import { MAX_CAPACITY, MIN_CAPACITY } from './ring-layout.js';
import { RingReader, ringMemoryLength } from './shared-ring.js';
import type { RingEntryView } from './types.js';

/** Sequence number and slot, before the data. */
const PREFIX_LENGTH = 16;

/** Bytes of a queue that holds whatever a ring buffer of `size` bytes does: entries cost the same there, and a pad is no longer than one. */
export function queueCapacity(size: number): number {
  return Math.min(Math.max(2 ** Math.ceil(Math.log2(size * 2)), MIN_CAPACITY), MAX_CAPACITY);
}

/** Memory for such a queue; `undefined` when there is not enough of it. */
export function queueMemory(capacity: number): SharedArrayBuffer | undefined {
  try {
    return new SharedArrayBuffer(ringMemoryLength(capacity));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** One that the host reads without calls. */
export class HostRing {
  readonly #reader: RingReader;
  readonly #view: DataView;

  constructor(memory: SharedArrayBuffer) {
    this.#reader = new RingReader(memory, PREFIX_LENGTH);
    this.#view = new DataView(memory);
  }

  /** Whether the engine has stopped writing, and calls read what is left. */
  get isClosed(): boolean {
    return this.#reader.isClosed;
  }

  /** Takes up to `max` entries. Throws CORRUPT_STATE. */
  forEach(max: number, each: (entry: RingEntryView) => void): number {
    const entry = new SharedEntry(this.#view);
    return this.#reader.drain(max, (bytes, start, end) => {
      entry.bytes = bytes;
      entry.start = start + PREFIX_LENGTH;
      entry.end = end;
      each(entry);
    });
  }

  pop(): Uint8Array | undefined {
    let data: Uint8Array | undefined;
    this.#reader.drain(1, (bytes, start, end) => {
      data = bytes.slice(start + PREFIX_LENGTH, end);
    });
    return data;
  }

  peek(): Uint8Array | undefined {
    return this.#reader.peek()?.slice(PREFIX_LENGTH);
  }
}

/** One object stands for entry after entry, and makes values of what somebody asks for. */
class SharedEntry implements RingEntryView {
  readonly #view: DataView;
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;

  constructor(view: DataView) {
    this.#view = view;
  }

  get sequence(): bigint {
    return this.#view.getBigUint64(this.start - PREFIX_LENGTH, true);
  }

  get slot(): bigint {
    return this.#view.getBigUint64(this.start - PREFIX_LENGTH + 8, true);
  }

  get data(): Uint8Array {
    return this.bytes.slice(this.start, this.end);
  }
}
