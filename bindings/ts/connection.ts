/** One engine behind its handle. */

import { ErrorCode } from './constants.js';
import { AsyncBpfError } from './errors.js';
import { addon } from './native.js';
import { Programs } from './programs.js';
import type { Channel } from './syscalls.js';
import { Reader, Request, Writer, type Caller } from './wire.js';

/** A variant of `Step` in `bindings/src/async_slots.rs`; the other is a report. */
const NEEDS_HOST = 0;

/** Engines that nobody closed; their threads would stay for the life of the process. */
const forgotten = new FinalizationRegistry<number>((handle) => addon.close(handle));

export class Connection {
  #handle: number | undefined;
  #isOpen = true;
  /** Compute units of callbacks that state none. */
  readonly defaultBudget: number;
  /** The programs that are JavaScript functions. */
  readonly programs = new Programs();
  /** What is to be done when the slot that another thread processes is over; nothing when there is none. */
  #afterSlot: (() => void)[] | undefined;

  constructor(open: Writer, defaultBudget: number) {
    this.defaultBudget = defaultBudget;
    this.#handle = Reader.reply(addon.open(open.finish())).u32();
    forgotten.register(this, this.#handle, this);
  }

  /** Throws SHUTDOWN after `close`. */
  assertOpen(): number {
    if (!this.#isOpen || this.#handle === undefined) throw closed();
    return this.#handle;
  }

  /** Makes a request and returns a reader of the response. */
  request(request: Writer): Reader {
    return Reader.reply(addon.call(this.assertOpen(), request.finish()));
  }

  /** Makes a request that can also be made after `close`, as long as the engine is there. */
  lastRequest(request: Writer): Reader {
    if (this.#handle === undefined) throw closed();
    return Reader.reply(addon.call(this.#handle, request.finish()));
  }

  /** Makes a request that comes with memory, in which the addon creates a ring. */
  requestWithMemory(request: Writer, memory: SharedArrayBuffer): Reader {
    return Reader.reply(addon.callWithMemory(this.assertOpen(), request.finish(), new Uint8Array(memory)));
  }

  /** Runs one instruction, as the host. */
  invoke(request: Writer): Reader {
    return Reader.reply(addon.invoke(this.assertOpen(), request.finish(), this.programs.run));
  }

  /** Processes the slot that is asked for in `memory`, and returns the state hash. See `slots.ts`. */
  processSlot(memory: ArrayBuffer): string {
    const hash = addon.processSlot(this.assertOpen(), memory, this.programs.run);
    if (hash === undefined) this.#refused();
    return hash;
  }

  /**
   * Processes a slot on another thread, and gives `use` a reader of the report. Until then the engine takes account states and nothing else.
   * Then comes what waits for the slot, and then who waits for the promise. See `slots.ts`.
   */
  async processSlotElsewhere<T>(request: Writer, use: (report: Reader) => T): Promise<T> {
    const handle = this.assertOpen();
    const waiting: (() => void)[] = [];
    this.#afterSlot = waiting;
    try {
      return use(await this.#reportFromElsewhere(handle, request));
    } finally {
      waiting.forEach((act) => act());
    }
  }

  async #reportFromElsewhere(handle: number, request: Writer): Promise<Reader> {
    try {
      let reader = Reader.reply(await addon.startSlot(handle, request.finish()));
      while (reader.u8() === NEEDS_HOST) {
        Reader.reply(addon.runInHost(handle, this.programs.run));
        reader = Reader.reply(await addon.continueSlot(handle));
      }
      return reader;
    } finally {
      this.#afterSlot = undefined;
      addon.endSlot(handle);
    }
  }

  /** Whether another thread processes a slot. */
  get isElsewhere(): boolean {
    return this.#afterSlot !== undefined;
  }

  /** Does something when no slot is under way elsewhere: at once, or after it. */
  afterSlot(act: () => void): void {
    if (this.#afterSlot) this.#afterSlot.push(act);
    else act();
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

  /** Where the calls go that are made on behalf of a program. */
  onBehalfOf(program: Uint8Array): Channel {
    return {
      call: (variant, write) => this.call(program, variant, write),
      slot: () => this.request(Writer.request(Request.Slot)).u64(),
      // A host has no budget, and keeps no record.
      refuse: () => void this.assertOpen(),
      charge: () => void this.assertOpen(),
      assertOpen: () => void this.assertOpen(),
    };
  }

  /** From now on every call is refused. A slot that is under way elsewhere comes to its end; then comes `last`, and the engine is dropped. */
  close(last: () => void): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.afterSlot(() => {
      last();
      forgotten.unregister(this);
      addon.close(this.#handle!);
      this.#handle = undefined;
    });
  }
}

function closed(): AsyncBpfError {
  return new AsyncBpfError(ErrorCode.SHUTDOWN, 'the engine is closed; create a new one');
}
