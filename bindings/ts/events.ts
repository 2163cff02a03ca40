/** What an engine did, as it does it: a stream for each listener. */

import { toCount } from './arguments.js';
import type { Connection } from './connection.js';
import { AsyncBpfError, invalidArgument } from './errors.js';
import { queueMemory } from './host-ring.js';
import * as replies from './replies.js';
import { MAX_CAPACITY } from './ring-layout.js';
import { RingReader } from './shared-ring.js';
import { onAbort } from './signals.js';
import type { EngineEvent, EngineEvents, EventOptions, EventView } from './types.js';
import { MemoryRequest, Reader, Request, Writer } from './wire.js';

/** About 12,000 outcomes. */
const DEFAULT_CAPACITY = 1_048_576;
const MIN_CAPACITY = 4_096;
/** Events that are decoded ahead. */
const BATCH = 64;
/** Kinds of records, as in `bindings/src/events.rs`. */
const TYPES = ['outcome', 'slot', 'gap'] as const;
const DECODERS: ((reader: Reader) => EngineEvent)[] = [replies.outcomeEvent, replies.slotEvent, replies.gapEvent];

/** The listeners of an engine. */
export class Listeners {
  readonly #connection: Connection;
  readonly #streams = new Set<EventStream>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  listen(options: EventOptions): EngineEvents {
    const { signal, capacity = DEFAULT_CAPACITY } = options;
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalidArgument('signal', signal, 'an AbortSignal');
    if (!Number.isSafeInteger(capacity) || capacity < MIN_CAPACITY || capacity > MAX_CAPACITY) {
      throw invalidArgument('capacity', capacity, `an integer in [${MIN_CAPACITY}, ${MAX_CAPACITY}]`);
    }
    this.#connection.assertOpen();
    const stream = new EventStream(this.#connection, 2 ** Math.ceil(Math.log2(capacity)), signal, () => this.#streams.delete(stream));
    if (!signal?.aborted) this.#streams.add(stream);
    return new Events(stream);
  }

  /** To be called when the engine may have written events. */
  wake(): void {
    if (this.#streams.size > 0) for (const stream of this.#streams) stream.wake();
  }

  /** No event will follow. */
  close(): void {
    for (const stream of this.#streams) stream.end();
  }
}

/** Ends the streams of those that nobody has any more. An engine has its streams; one without engine need not be ended. */
const forgotten = new FinalizationRegistry<WeakRef<EventStream>>((stream) => stream.deref()?.stop());

/** What somebody reads a stream by: apart from it, so that the engine can have the stream and notice that nobody has this. */
class Events implements EngineEvents {
  readonly #stream: EventStream;

  constructor(stream: EventStream) {
    this.#stream = stream;
    forgotten.register(this, new WeakRef(stream));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<EngineEvent, undefined>> {
    return new Promise((resolve, reject) => this.#stream.ask({ reader: this, resolve, reject }));
  }

  forEach(each: (event: EventView) => void, max: number = Number.MAX_SAFE_INTEGER): number {
    if (typeof each !== 'function') throw invalidArgument('each', each, 'a function');
    return this.#stream.forEach(each, toCount(max, 'max', 0, Number.MAX_SAFE_INTEGER));
  }

  /** Frees the listener; what was not read is dropped. */
  return(): Promise<IteratorResult<EngineEvent, undefined>> {
    this.#stream.stop();
    return Promise.resolve({ done: true, value: undefined });
  }
}

interface Waiting {
  /** Is not forgotten while somebody waits, though nobody else may have it. */
  reader: Events;
  resolve(result: IteratorResult<EngineEvent, undefined>): void;
  reject(error: unknown): void;
}

/** One listener. The addon writes events to a ring in shared memory; they are read and decoded when somebody asks for the next. */
class EventStream {
  readonly #connection: Connection;
  readonly #onEnd: () => void;
  /** Nothing when there is no signal, or none any more. */
  #forgetSignal: (() => void) | undefined;
  /** Of the listener in the addon; 0 when it has none, or none any more. */
  #id = 0;
  /** Gone when nothing will be read any more. */
  #reader: RingReader | undefined;
  /** Read and not handed out: from `#next` on. */
  #decoded: EngineEvent[] = [];
  #next = 0;
  /** Those who asked while there was nothing. */
  #waiting: Waiting[] = [];
  /** Events that were missed at last. */
  #missed = 0n;

  constructor(connection: Connection, capacity: number, signal: AbortSignal | undefined, onEnd: () => void) {
    this.#connection = connection;
    this.#onEnd = onEnd;
    if (signal?.aborted) return;
    const memory = queueMemory(capacity);
    if (!memory) throw invalidArgument('capacity', capacity, 'as many bytes as there is memory for');
    this.#id = connection.requestWithMemory(Writer.request(MemoryRequest.Listen).u32(capacity), memory).u32();
    this.#reader = new RingReader(memory);
    this.#forgetSignal = signal && onAbort(signal, () => this.stop());
  }

  ask(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.wake();
  }

  /** Hands events to those who wait for one, or the end. To be called when there may be events; never throws. */
  wake(): void {
    while (this.#waiting.length > 0) {
      try {
        const value = this.#take();
        if (value) this.#waiting.shift()!.resolve({ done: false, value });
        else if (this.#id === 0) this.#waiting.shift()!.resolve({ done: true, value });
        else return;
      } catch (error) {
        this.#waiting.shift()!.reject(error);
        this.stop();
      }
    }
  }

  /** The addon writes no more; what is in the ring can still be read. */
  end(): void {
    if (this.#id === 0) return;
    this.#missed += this.#takeMissed();
    const id = this.#id;
    this.#connection.afterSlot(() => this.#request(Request.StopListening, id));
    this.#id = 0;
    this.#forgetSignal?.();
    this.#onEnd();
    this.wake();
  }

  /** Ends, and drops what was not read. */
  stop(): void {
    this.#reader = undefined;
    this.#decoded = [];
    this.#next = 0;
    this.end();
    this.#missed = 0n;
  }

  /** Hands over what is there. */
  forEach(each: (event: EventView) => void, max: number): number {
    let count = 0;
    // Some may have been decoded for who waits for one at a time.
    for (; count < max && this.#next < this.#decoded.length; count++) {
      const event = this.#decoded[this.#next++]!;
      each({ type: event.type, read: () => event });
    }
    count += this.#drain(max - count, each);
    if (count === max) return count;
    // What is left now is no more than a gap.
    const gap = this.#take();
    if (gap) each({ type: gap.type, read: () => gap });
    return gap ? count + 1 : count;
  }

  #take(): EngineEvent | undefined {
    if (this.#next === this.#decoded.length) this.#read();
    return this.#next < this.#decoded.length ? this.#decoded[this.#next++] : undefined;
  }

  #read(): void {
    this.#decoded = [];
    this.#next = 0;
    this.#drain(BATCH, (event) => this.#decoded.push(event.read()));
    if (!this.#reader || this.#decoded.length > 0) return;
    // All that was written is read. What there was no room for since the last record, only the addon knows.
    const missed = this.#missed + this.#takeMissed();
    this.#missed = 0n;
    if (missed > 0n) this.#decoded.push({ type: 'gap', missed });
  }

  #drain(max: number, each: (event: EventView) => void): number {
    const view = new RecordView();
    const take = (bytes: Uint8Array, start: number, end: number, kind: number) => {
      view.bytes = bytes;
      view.start = start;
      view.end = end;
      view.kind = kind;
      each(view);
    };
    return this.#reader?.drain(max, take) ?? 0;
  }

  #takeMissed(): bigint {
    return this.#request(Request.TakeMissed, this.#id)?.u64() ?? 0n;
  }

  /** Nothing when the engine is gone, and its listeners with it; and when it is elsewhere, and will wake us when it is back. */
  #request(variant: number, id: number): Reader | undefined {
    if (id === 0) return undefined;
    try {
      return this.#connection.lastRequest(Writer.request(variant).u32(id));
    } catch (error) {
      if (AsyncBpfError.is(error, 'SHUTDOWN') || AsyncBpfError.is(error, 'ENGINE_BUSY')) return undefined;
      throw error;
    }
  }
}

/** One object stands for record after record, and makes values of what somebody asks for. */
class RecordView implements EventView {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  kind = 0;

  get type(): EngineEvent['type'] {
    return TYPES[this.kind]!;
  }

  read(): EngineEvent {
    return DECODERS[this.kind]!(new Reader(this.bytes.slice(this.start, this.end)));
  }
}
