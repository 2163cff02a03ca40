/** One engine behind its handle. */

import { ErrorCode } from './constants.js';
import { AsyncBpfError } from './errors.js';
import { addon } from './native.js';
import { Reader, Writer, type Caller } from './wire.js';

/** Engines that nobody closed; their threads would stay for the life of the process. */
const forgotten = new FinalizationRegistry<number>((handle) => addon.close(handle));

export class Connection {
  #handle: number | undefined;
  /** Compute units of callbacks that state none. */
  readonly defaultBudget: number;

  constructor(open: Writer, defaultBudget: number) {
    this.defaultBudget = defaultBudget;
    this.#handle = Reader.reply(addon.open(open.finish())).u32();
    forgotten.register(this, this.#handle, this);
  }

  /** Throws SHUTDOWN after `close`. */
  assertOpen(): number {
    if (this.#handle === undefined) throw new AsyncBpfError(ErrorCode.SHUTDOWN, 'the engine is closed; create a new one');
    return this.#handle;
  }

  /** Makes a request and returns a reader of the response. */
  request(request: Writer): Reader {
    return Reader.reply(addon.call(this.assertOpen(), request.finish()));
  }

  /** Makes a request that comes with memory, in which the addon creates a ring. */
  requestWithMemory(request: Writer, memory: SharedArrayBuffer): Reader {
    return Reader.reply(addon.callWithMemory(this.assertOpen(), request.finish(), new Uint8Array(memory)));
  }

  /** Processes the slot that is asked for in `memory`, and returns the state hash. See `slots.ts`. */
  processSlot(memory: ArrayBuffer): string {
    const hash = addon.processSlot(this.assertOpen(), memory);
    if (hash === undefined) this.#refused();
    return hash;
  }

  /** Hands in rows of columns. See `account-batch.ts`. */
  submitBatch(memory: Uint8Array, capacity: number, dataLength: number, versioned: boolean, count: number): void {
    const code = addon.submitBatch(this.assertOpen(), memory, capacity, dataLength, versioned ? 1 : 0, count);
    if (code !== undefined) this.#refused();
  }

  /** What the call before had no room for. */
  takeReply(): Uint8Array {
    return addon.takeReply();
  }

  #refused(): never {
    Reader.reply(addon.takeReply());
    throw new Error('unreachable: what is refused has a code');
  }

  /** Makes a call and returns its value: the id of what it created, the length of what it read, else 0. */
  call(caller: Caller, variant: number, write: (writer: Writer) => void): { value: bigint; bytes: Uint8Array } {
    const request = Writer.call(caller, variant);
    write(request);
    const reader = this.request(request);
    return { value: reader.u64(), bytes: reader.bytes() };
  }

  close(): void {
    if (this.#handle === undefined) return;
    forgotten.unregister(this);
    addon.close(this.#handle);
    this.#handle = undefined;
  }
}
