import { toAddress, toBytes, toMember, toObject, toU64, type AddressLike, type U64Like } from './arguments.js';
import { optionalU64 } from './callbacks.js';
import type { Connection } from './connection.js';
import { RingState } from './constants.js';
import { AsyncBpfError, invalidArgument } from './errors.js';
import { HostRing, queueCapacity, queueMemory } from './host-ring.js';
import { ring, ringEntry } from './replies.js';
import type { RingEntry, RingEntryView, RingInfo, RingOptions } from './types.js';
import { Call, MemoryRequest, Request, Writer } from './wire.js';

const ANY_LENGTH = 2n ** 64n - 1n;
const MAX_DRAIN = 2 ** 32 - 1;

/**
 * Ring buffers between programs, and between programs and the host.
 *
 * What the host reads of a buffer created with `reader: 'host'` comes from shared memory, without a call into native code. Should something
 * spoil that memory, reading throws CORRUPT_STATE once, and goes on by calls: no entry is lost, those since the last slot may come again.
 */
export class Rings {
  readonly #connection: Connection;
  /** Those that the host reads without calls. */
  readonly #shared = new Map<bigint, HostRing>();

  /** @internal */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Creates a ring buffer for a program, and returns its id. Throws UNKNOWN_PROGRAM, INVALID_ARGUMENT, MAX_BUFFERS, SHUTDOWN.
   *
   * @see docs/conformance.md#rings.create
   */
  create(options: RingOptions): bigint {
    const { programId, size, reader = 'program' } = toObject(options, 'options', ['programId', 'size', 'reader']);
    const program = toAddress(programId, 'programId');
    const capacity = optionalU64(size, 'size');
    if (reader !== 'program' && reader !== 'host') throw invalidArgument('reader', reader, "'program' or 'host'");
    const { value: id } = this.#connection.call('host', Call.RingCreate, (writer) => {
      writer.raw(program).option(capacity, (bytes) => writer.u64(bytes));
      writer.u8(reader === 'host' ? 1 : 0);
    });
    if (reader === 'host') this.#share(id);
    return id;
  }

  /**
   * Appends an entry: all of it or nothing. It takes 24 bytes and its length rounded up to 8.
   *
   * Throws INVALID_BUFFER, BUFFER_FULL, BUFFER_NOT_ACTIVE, INVALID_ARGUMENT for an empty entry.
   *
   * @see docs/conformance.md#rings.push
   */
  push(id: U64Like, data: Uint8Array): void {
    const ringId = toU64(id, 'id');
    const bytes = toBytes(data, 'data');
    this.#connection.call('host', Call.RingPush, (writer) => writer.u64(ringId).bytes(bytes));
  }

  /**
   * Takes the first entry, or `undefined` when there is none. Throws INVALID_BUFFER; BUFFER_NOT_ACTIVE for a buffer that programs
   * read: from one that the host reads, it can take in any state.
   *
   * @see docs/conformance.md#rings.pop
   */
  pop(id: U64Like): Uint8Array | undefined {
    return this.#read(Call.RingPop, id, (ring) => ring.pop());
  }

  /**
   * The first entry, left in place, or `undefined` when there is none. Throws as `pop`.
   *
   * @see docs/conformance.md#rings.peek
   */
  peek(id: U64Like): Uint8Array | undefined {
    return this.#read(Call.RingPeek, id, (ring) => ring.peek());
  }

  /**
   * Takes up to `max` entries of a buffer that the host reads. What it frees counts from the next slot. Throws INVALID_BUFFER, INVALID_ARGUMENT.
   *
   * @see docs/conformance.md#rings.drain
   */
  drain(id: U64Like, max: number = MAX_DRAIN): RingEntry[] {
    const ringId = toU64(id, 'id');
    const limit = toMax(max);
    const ring = this.#sharedRing(ringId);
    if (!ring) return this.#drainByCall(ringId, limit);
    const entries: RingEntry[] = [];
    const take = ({ sequence, slot, data }: RingEntryView) => entries.push({ sequence, slot, data });
    return this.#reading(ringId, () => {
      try {
        ring.forEach(limit, take);
      } catch (error) {
        // What was taken before counts as read: it must get to the caller. The next read says what is wrong.
        if (entries.length === 0 || !AsyncBpfError.is(error, 'CORRUPT_STATE')) throw error;
      }
      return entries;
    });
  }

  /**
   * Takes up to `max` entries of a buffer that the host reads, hands each to `each`, and returns how many there were. As `drain`, but nothing
   * is copied or allocated for an entry: `each` gets one object that stands for entry after entry, and is valid until `each` returns.
   *
   * When `each` throws, the entry that it threw on is taken, and those behind it stay. Throws INVALID_BUFFER, INVALID_ARGUMENT.
   *
   * ```ts
   * let bytes = 0;
   * engine.rings.forEach(id, ({ start, end }) => (bytes += end - start));
   * ```
   */
  forEach(id: U64Like, each: (entry: RingEntryView) => void, max: number = MAX_DRAIN): number {
    const ringId = toU64(id, 'id');
    const limit = toMax(max);
    if (typeof each !== 'function') throw invalidArgument('each', each, 'a function');
    const ring = this.#sharedRing(ringId);
    if (ring) return this.#reading(ringId, () => ring.forEach(limit, each));
    for (let count = 0; ; count++) {
      // One by one, so that what `each` throws leaves the rest where it is.
      const [entry] = this.#drainByCall(ringId, count < limit ? 1 : 0);
      if (!entry) return count;
      each({ ...entry, bytes: entry.data, start: 0, end: entry.data.length });
    }
  }

  /**
   * A ring buffer, or `undefined`.
   *
   * @see docs/conformance.md#rings.get
   */
  get(id: U64Like): RingInfo | undefined {
    const reader = this.#connection.request(Writer.request(Request.GetRing).u64(toU64(id, 'id')));
    return reader.option(() => ring(reader));
  }

  /**
   * Sets what a buffer allows; any state may follow any other. Throws INVALID_BUFFER.
   *
   * @see docs/conformance.md#rings.setState
   */
  setState(id: U64Like, state: RingState): void {
    const ringId = toU64(id, 'id');
    const number = toMember(RingState, state, 'state');
    this.#connection.call('host', Call.RingSetState, (writer) => writer.u64(ringId).u8(number));
  }

  /**
   * Lets another program read (1), write (2) or both (3); 0 takes it back. Throws INVALID_BUFFER, INVALID_ARGUMENT.
   *
   * @see docs/conformance.md#rings.grant
   */
  grant(id: U64Like, programId: AddressLike, rights: number): void {
    const ringId = toU64(id, 'id');
    const program = toAddress(programId, 'programId');
    const sum = toU64(rights, 'rights');
    this.#connection.call('host', Call.RingGrant, (writer) => writer.u64(ringId).raw(program).u64(sum));
  }

  /**
   * Destroys a buffer with what is in it. Throws INVALID_BUFFER.
   *
   * @see docs/conformance.md#rings.destroy
   */
  destroy(id: U64Like): void {
    const ringId = toU64(id, 'id');
    this.#connection.call('host', Call.RingDestroy, (writer) => writer.u64(ringId));
    this.#shared.delete(ringId);
  }

  /** @internal Lets the memory of the engine's rings go. */
  close(): void {
    this.#shared.clear();
  }

  /** Gives the engine memory to write entries to. Without, they are read by calls. */
  #share(id: bigint): void {
    const capacity = queueCapacity(Number(this.get(id)!.capacity));
    const memory = queueMemory(capacity);
    if (!memory) return;
    this.#forgetDestroyed();
    this.#connection.requestWithMemory(Writer.request(MemoryRequest.SetOutlet).u64(id).u32(capacity), memory);
    this.#shared.set(id, new HostRing(memory));
  }

  /** A buffer that the host reads without calls, as long as the engine writes it. */
  #sharedRing(id: bigint): HostRing | undefined {
    this.#connection.assertOpen();
    const ring = this.#shared.get(id);
    if (!ring?.isClosed) return ring;
    this.#unshare(id);
    return undefined;
  }

  /** Has the engine take back what it has written: calls read the buffer from now on. */
  #unshare(id: bigint): void {
    this.#shared.delete(id);
    this.#connection.request(Writer.request(Request.RemoveOutlet).u64(id));
  }

  /** Programs destroy buffers too, and nobody may ever read those again: without this, their memory would stay. */
  #forgetDestroyed(): void {
    for (const [id, ring] of this.#shared) if (ring.isClosed && !this.get(id)) this.#shared.delete(id);
  }

  /** Runs what reads a shared buffer; on memory that makes no sense, the engine takes its entries back. */
  #reading<T>(id: bigint, read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (AsyncBpfError.is(error, 'CORRUPT_STATE') && this.#shared.has(id)) this.#unshare(id);
      throw error;
    }
  }

  #drainByCall(id: bigint, max: number): RingEntry[] {
    const reader = this.#connection.request(Writer.request(Request.DrainRing).u64(id).u32(max));
    return reader.list(() => ringEntry(reader));
  }

  #read(variant: number, id: U64Like, read: (ring: HostRing) => Uint8Array | undefined): Uint8Array | undefined {
    const ringId = toU64(id, 'id');
    const ring = this.#sharedRing(ringId);
    if (ring) return this.#reading(ringId, () => read(ring));
    const { value, bytes } = this.#connection.call('host', variant, (writer) => writer.u64(ringId).u64(ANY_LENGTH));
    return value === 0n ? undefined : bytes;
  }
}

function toMax(max: number): number {
  if (!Number.isSafeInteger(max) || max < 0 || max > MAX_DRAIN) throw invalidArgument('max', max, `an integer in [0, ${MAX_DRAIN}]`);
  return max;
}
