import { toAddress, toBytes, toI64, toObject, toU64, type AccountMeta, type AddressLike, type U64Like } from './arguments.js';
import { NO_BYTES } from './callbacks.js';
import { CatchUp, ErrorCode, Priority, WatcherTrigger } from './constants.js';
import { AsyncBpfError } from './errors.js';
import { Call, type Writer } from './wire.js';

const NO_ANSWERS = new Set<ErrorCode>([ErrorCode.ENGINE_BUSY, ErrorCode.EXECUTION_FAILED]);

/** Where bytes are, and how many: `null` is a null pointer, with a length of 0. */
export type Bytes = Uint8Array | null;

/** Where an address is: `null` is a null pointer. */
export type Pointer = AddressLike | null;

/** What `sol_timer_create_with` takes: the struct of `sol_async.h`. What may be left out is 0 then, which stands for none. */
export interface TimerParams {
  /** When it fires, or first fires. */
  triggerSlot: U64Like;
  /** From one tick to the next. Default: it fires once. */
  periodSlots?: U64Like;
  /** The last slot in which it may run. Default: none. */
  deadlineSlot?: U64Like;
  /** What to do about ticks in skipped slots. Default ONCE. */
  catchUp?: CatchUp;
  /** With ALL: callbacks in one slot. */
  maxTicks?: U64Like;
  /** Default NORMAL. */
  priority?: Priority;
  /** The callback's data. Default: none. */
  data?: Bytes;
  /** The callback's compute units. */
  computeBudget: U64Like;
}

const TIMER_PARAMS = ['triggerSlot', 'periodSlots', 'deadlineSlot', 'catchUp', 'maxTicks', 'priority', 'data', 'computeBudget'];

/** Where the calls of a program go. */
export interface Channel {
  /** Makes a call and returns its value and what it read; throws what it is refused with. */
  call(variant: number, write: (writer: Writer) => void): { value: bigint; bytes: Uint8Array };
  /** Notes a call that cannot be made. */
  refuse(code: ErrorCode): void;
  /** The current slot. */
  slot(): bigint;
  /** Takes the price of a call. */
  charge(): void;
  /** Throws when no call can be made any more. */
  assertOpen(): void;
}

/**
 * The calls of on-chain programs, from TypeScript: the same names, arguments and return codes, made on behalf of a program.
 *
 * A pointer and its length are one `Uint8Array`; `null` is a null pointer. Creating returns an id, or 0n on failure, and
 * `sol_async_last_error()` then tells the code. What a call creates runs without accounts: there is no instruction to take them from.
 * There is no `sol_async_context`: functions have `context.cause`, and where a host makes the calls no callback is running. Hosts are charged no
 * units: they have no budget. A wrong JavaScript type throws; a closed engine throws SHUTDOWN.
 */
export class Syscalls {
  readonly #channel: Channel;
  readonly #program: Uint8Array;
  readonly #accounts: AccountMeta[];
  #lastError: ErrorCode = ErrorCode.SUCCESS;

  /** @internal */
  constructor(channel: Channel, program: Uint8Array, accounts: AccountMeta[]) {
    this.#channel = channel;
    this.#program = program;
    this.#accounts = accounts;
  }

  /**
   * Arms a timer that fires once. Returns its id, or 0n: INVALID_ARGUMENT, INVALID_SLOT, MAX_TIMERS, SHUTDOWN, UNKNOWN_PROGRAM.
   *
   * @see docs/conformance.md#sol_timer_create
   */
  sol_timer_create(triggerSlot: U64Like, data: Bytes, computeBudget: U64Like): bigint {
    const slot = toU64(triggerSlot, 'triggerSlot');
    return this.#timer(slot, undefined, data, computeBudget);
  }

  /**
   * Arms a timer on the grid start + k * period. Returns and fails as `sol_timer_create`.
   *
   * @see docs/conformance.md#sol_timer_create_periodic
   */
  sol_timer_create_periodic(startSlot: U64Like, periodSlots: U64Like, data: Bytes, computeBudget: U64Like): bigint {
    const slot = toU64(startSlot, 'startSlot');
    const period = toU64(periodSlots, 'periodSlots');
    return this.#timer(slot, period, data, computeBudget);
  }

  /**
   * Arms a timer with everything that a timer can have. Returns and fails as `sol_timer_create`.
   *
   * @see docs/conformance.md#sol_timer_create_with
   */
  sol_timer_create_with(params: TimerParams): bigint {
    const {
      triggerSlot,
      periodSlots = 0n,
      deadlineSlot = 0n,
      catchUp = CatchUp.ONCE,
      maxTicks = 0n,
      priority = Priority.NORMAL,
    } = toObject(params, 'params', TIMER_PARAMS);
    const slot = toU64(triggerSlot, 'triggerSlot');
    const [period, deadline] = [some(toU64(periodSlots, 'periodSlots')), some(toU64(deadlineSlot, 'deadlineSlot'))];
    const [mode, ticks, queue] = [toU64(catchUp, 'catchUp'), toU64(maxTicks, 'maxTicks'), toU64(priority, 'priority')];
    const bytes = toBytes(params.data ?? NO_BYTES, 'data');
    const budget = toU64(params.computeBudget, 'computeBudget');
    if (mode > BigInt(CatchUp.SKIP) || queue > BigInt(Priority.CRITICAL)) return this.#fail(ErrorCode.INVALID_ARGUMENT);
    return this.#id(Call.TimerCreate, (writer) => {
      this.#callback(writer, bytes, budget).u64(slot);
      writer.option(period, (slots) => writer.u64(slots)).option(deadline, (last) => writer.u64(last));
      writer.u8(Number(mode));
      if (mode === BigInt(CatchUp.ALL)) writer.u64(ticks);
      writer.u8(Number(queue));
    });
  }

  /**
   * Cancels a live timer of the program. Returns a code: INVALID_TIMER.
   *
   * @see docs/conformance.md#sol_timer_cancel
   */
  sol_timer_cancel(timerId: U64Like): ErrorCode {
    const id = toU64(timerId, 'timerId');
    return this.#code(Call.TimerCancel, (writer) => writer.u64(id));
  }

  /**
   * Watches an account for a change of any kind, of lamports, data or owner. Returns its id, or 0n: NULL_POINTER, INVALID_ARGUMENT, MAX_WATCHERS, SHUTDOWN, UNKNOWN_PROGRAM.
   *
   * @see docs/conformance.md#sol_watcher_create
   */
  sol_watcher_create(account: Pointer, triggerType: U64Like, data: Bytes, computeBudget: U64Like): bigint {
    const trigger = toU64(triggerType, 'triggerType');
    const valid = trigger <= BigInt(WatcherTrigger.OWNER_CHANGE);
    return this.#watcher(account, valid, data, computeBudget, (writer) => writer.u8(Number(trigger)));
  }

  /**
   * Watches the i64 at an offset. Returns and fails as `sol_watcher_create`.
   *
   * @see docs/conformance.md#sol_watcher_create_threshold
   */
  sol_watcher_create_threshold(
    account: Pointer,
    triggerType: U64Like,
    offset: U64Like,
    threshold: bigint | number,
    data: Bytes,
    computeBudget: U64Like,
  ): bigint {
    const trigger = toU64(triggerType, 'triggerType');
    const at = toU64(offset, 'offset');
    const level = toI64(threshold, 'threshold');
    const valid = trigger === BigInt(WatcherTrigger.THRESHOLD_ABOVE) || trigger === BigInt(WatcherTrigger.THRESHOLD_BELOW);
    return this.#watcher(account, valid, data, computeBudget, (writer) => writer.u8(Number(trigger)).u64(at).i64(level));
  }

  /**
   * Watches for bytes at an offset. Returns and fails as `sol_watcher_create`.
   *
   * @see docs/conformance.md#sol_watcher_create_pattern
   */
  sol_watcher_create_pattern(account: Pointer, offset: U64Like, pattern: Bytes, data: Bytes, computeBudget: U64Like): bigint {
    const at = toU64(offset, 'offset');
    const bytes = toBytes(pattern ?? NO_BYTES, 'pattern');
    return this.#watcher(account, true, data, computeBudget, (writer) => writer.u8(WatcherTrigger.PATTERN_MATCH).u64(at).bytes(bytes));
  }

  /**
   * Sets the slots from one trigger to the next. Returns a code: INVALID_ARGUMENT, INVALID_WATCHER.
   *
   * @see docs/conformance.md#sol_watcher_set_min_slots
   */
  sol_watcher_set_min_slots(watcherId: U64Like, slots: U64Like): ErrorCode {
    const id = toU64(watcherId, 'watcherId');
    const minSlots = toU64(slots, 'slots');
    return this.#code(Call.WatcherSetMinSlots, (writer) => writer.u64(id).u64(minSlots));
  }

  /**
   * Removes a watcher of the program. Returns a code: INVALID_WATCHER.
   *
   * @see docs/conformance.md#sol_watcher_remove
   */
  sol_watcher_remove(watcherId: U64Like): ErrorCode {
    const id = toU64(watcherId, 'watcherId');
    return this.#code(Call.WatcherRemove, (writer) => writer.u64(id));
  }

  /**
   * Creates a ring buffer that programs read. Returns its id, or 0n: INVALID_ARGUMENT, MAX_BUFFERS, SHUTDOWN, UNKNOWN_PROGRAM.
   *
   * @see docs/conformance.md#sol_ring_buffer_create
   */
  sol_ring_buffer_create(size: U64Like): bigint {
    const capacity = toU64(size, 'size');
    return this.#id(Call.RingCreate, (writer) => writer.raw(this.#program).u8(1).u64(capacity).u8(0));
  }

  /**
   * Appends an entry. Returns a code: INVALID_ARGUMENT, INVALID_BUFFER, BUFFER_NOT_ACTIVE, BUFFER_FULL.
   *
   * @see docs/conformance.md#sol_ring_buffer_push
   */
  sol_ring_buffer_push(bufferId: U64Like, data: Bytes): ErrorCode {
    const id = toU64(bufferId, 'bufferId');
    const bytes = toBytes(data ?? NO_BYTES, 'data');
    return this.#code(Call.RingPush, (writer) => writer.u64(id).bytes(bytes));
  }

  /**
   * Fills the beginning of `output` with the oldest entry, removes it and returns its length; 0 when there is none, or with an error: INVALID_BUFFER,
   * BUFFER_NOT_ACTIVE, OUTPUT_TOO_SMALL.
   *
   * @see docs/conformance.md#sol_ring_buffer_pop
   */
  sol_ring_buffer_pop(bufferId: U64Like, output: Bytes): number {
    return this.#read(Call.RingPop, bufferId, output);
  }

  /**
   * Does the same, and leaves the entry.
   *
   * @see docs/conformance.md#sol_ring_buffer_peek
   */
  sol_ring_buffer_peek(bufferId: U64Like, output: Bytes): number {
    return this.#read(Call.RingPeek, bufferId, output);
  }

  /**
   * Sets the rights of another program, 0 to take them back. Returns a code: NULL_POINTER, INVALID_ARGUMENT, INVALID_BUFFER.
   *
   * @see docs/conformance.md#sol_ring_buffer_grant
   */
  sol_ring_buffer_grant(bufferId: U64Like, program: Pointer, rights: U64Like): ErrorCode {
    const id = toU64(bufferId, 'bufferId');
    const sum = toU64(rights, 'rights');
    const address = program === null ? undefined : toAddress(program, 'program');
    if (address === undefined) {
      this.#fail(ErrorCode.NULL_POINTER);
      return this.#lastError;
    }
    return this.#code(Call.RingGrant, (writer) => writer.u64(id).raw(address).u64(sum));
  }

  /**
   * Destroys a buffer of the program. Returns a code: INVALID_BUFFER.
   *
   * @see docs/conformance.md#sol_ring_buffer_destroy
   */
  sol_ring_buffer_destroy(bufferId: U64Like): ErrorCode {
    const id = toU64(bufferId, 'bufferId');
    return this.#code(Call.RingDestroy, (writer) => writer.u64(id));
  }

  /**
   * Runs the program in the next slot. Returns the task's id, or 0n: INVALID_ARGUMENT, INVALID_SLOT, QUEUE_FULL, SHUTDOWN, UNKNOWN_PROGRAM.
   *
   * @see docs/conformance.md#sol_task_schedule
   */
  sol_task_schedule(data: Bytes, computeBudget: U64Like, priority: Priority = Priority.NORMAL, deadlineSlot: U64Like = 0n): bigint {
    const deadline = toU64(deadlineSlot, 'deadlineSlot');
    const queue = toU64(priority, 'priority');
    const bytes = toBytes(data ?? NO_BYTES, 'data');
    const budget = toU64(computeBudget, 'computeBudget');
    if (queue > BigInt(Priority.CRITICAL)) return this.#fail(ErrorCode.INVALID_ARGUMENT);
    return this.#id(Call.TaskSchedule, (writer) => {
      this.#callback(writer, bytes, budget).u8(Number(queue));
      writer.option(some(deadline), (slot) => writer.u64(slot));
    });
  }

  /**
   * The current slot.
   *
   * @see docs/conformance.md#sol_get_slot
   */
  sol_get_slot(): bigint {
    return this.#channel.slot();
  }

  /**
   * The code of the most recent of these calls.
   *
   * @see docs/conformance.md#sol_async_last_error
   */
  sol_async_last_error(): ErrorCode {
    this.#channel.charge();
    return this.#lastError;
  }

  #timer(slot: bigint, period: bigint | undefined, data: Bytes, computeBudget: U64Like): bigint {
    const bytes = toBytes(data ?? NO_BYTES, 'data');
    const budget = toU64(computeBudget, 'computeBudget');
    return this.#id(Call.TimerCreate, (writer) => {
      this.#callback(writer, bytes, budget).u64(slot);
      writer.option(period, (slots) => writer.u64(slots));
      writer.u8(0).u8(CatchUp.ONCE).u8(Priority.NORMAL);
    });
  }

  #watcher(account: Pointer, valid: boolean, data: Bytes, computeBudget: U64Like, writeTrigger: (writer: Writer) => void): bigint {
    const bytes = toBytes(data ?? NO_BYTES, 'data');
    const budget = toU64(computeBudget, 'computeBudget');
    const address = account === null ? undefined : toAddress(account, 'account');
    if (address === undefined) return this.#fail(ErrorCode.NULL_POINTER);
    if (!valid) return this.#fail(ErrorCode.INVALID_ARGUMENT);
    return this.#id(Call.WatcherCreate, (writer) => {
      this.#callback(writer, bytes, budget).raw(address);
      writeTrigger(writer);
      writer.u8(Priority.HIGH).u64(1n);
    });
  }

  #callback(writer: Writer, data: Uint8Array, computeBudget: bigint): Writer {
    return writer.callback({ program: this.#program, data, accounts: this.#accounts, computeBudget });
  }

  #read(variant: number, bufferId: U64Like, output: Bytes): number {
    const id = toU64(bufferId, 'bufferId');
    const room = toBytes(output ?? NO_BYTES, 'output');
    const reply = this.#attempt(variant, (writer) => writer.u64(id).u64(BigInt(room.length)));
    if (reply === undefined) return 0;
    room.set(reply.bytes);
    return reply.bytes.length;
  }

  #id(variant: number, write: (writer: Writer) => void): bigint {
    return this.#attempt(variant, write)?.value ?? 0n;
  }

  #code(variant: number, write: (writer: Writer) => void): ErrorCode {
    this.#attempt(variant, write);
    return this.#lastError;
  }

  #fail(code: ErrorCode): bigint {
    this.#channel.refuse(code);
    this.#lastError = code;
    return 0n;
  }

  #attempt(variant: number, write: (writer: Writer) => void): { value: bigint; bytes: Uint8Array } | undefined {
    try {
      const reply = this.#channel.call(variant, write);
      this.#lastError = ErrorCode.SUCCESS;
      return reply;
    } catch (error) {
      this.#channel.assertOpen();
      // What is no answer to the call: the engine is elsewhere, or the invocation has failed.
      if (!AsyncBpfError.is(error) || NO_ANSWERS.has(error.code)) throw error;
      this.#lastError = error.code;
      return undefined;
    }
  }
}

/** In structs of programs 0 stands for none. */
function some(value: bigint): bigint | undefined {
  return value === 0n ? undefined : value;
}
