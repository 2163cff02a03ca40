import { toAddress, toMember, toObject, toU64, type AddressLike, type U64Like } from './arguments.js';
import { CALLBACK_KEYS, optionalU64, toCallback, toPriority } from './callbacks.js';
import type { Connection } from './connection.js';
import { CatchUp, Priority } from './constants.js';
import { timer } from './replies.js';
import type { PeriodicTimerOptions, TimerInfo, TimerOptions } from './types.js';
import { Call, Request, Writer } from './wire.js';

const DEFAULT_MAX_TICKS = 16;
const TIMER_KEYS = [...CALLBACK_KEYS, 'triggerSlot', 'priority', 'deadlineSlot'];
const PERIODIC_KEYS = [...CALLBACK_KEYS, 'startSlot', 'periodSlots', 'priority', 'catchUp', 'maxTicks'];

/** Timers of the host's programs. */
export class Timers {
  readonly #connection: Connection;

  /** @internal */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Arms a timer that fires once, and returns its id.
   *
   * Throws UNKNOWN_PROGRAM, INVALID_SLOT, INVALID_ARGUMENT, MAX_TIMERS, SHUTDOWN.
   *
   * @see docs/conformance.md#timers.create
   */
  create(options: TimerOptions): bigint {
    const { triggerSlot, deadlineSlot, priority } = toObject(options, 'options', TIMER_KEYS);
    const callback = toCallback(options, this.#connection.defaultBudget);
    const start = toU64(triggerSlot, 'triggerSlot');
    const deadline = optionalU64(deadlineSlot, 'deadlineSlot');
    const queue = toPriority(priority, Priority.NORMAL);
    return this.#connection.call('host', Call.TimerCreate, (writer) => {
      writer.callback(callback).u64(start).u8(0);
      writer.option(deadline, (slot) => writer.u64(slot));
      writer.u8(CatchUp.ONCE).u8(queue);
    }).value;
  }

  /**
   * Arms a timer that fires on the grid start + k * period until it is cancelled, and returns its id. A failing callback leaves it armed.
   *
   * Throws UNKNOWN_PROGRAM, INVALID_SLOT, INVALID_ARGUMENT, MAX_TIMERS, SHUTDOWN.
   *
   * @see docs/conformance.md#timers.createPeriodic
   */
  createPeriodic(options: PeriodicTimerOptions): bigint {
    const {
      startSlot,
      periodSlots,
      priority,
      catchUp = CatchUp.ONCE,
      maxTicks = DEFAULT_MAX_TICKS,
    } = toObject(options, 'options', PERIODIC_KEYS);
    const callback = toCallback(options, this.#connection.defaultBudget);
    const start = toU64(startSlot, 'startSlot');
    const period = toU64(periodSlots, 'periodSlots');
    const queue = toPriority(priority, Priority.NORMAL);
    const policy = toMember(CatchUp, catchUp, 'catchUp');
    const bound = toU64(maxTicks, 'maxTicks');
    return this.#connection.call('host', Call.TimerCreate, (writer) => {
      writer.callback(callback).u64(start).u8(1).u64(period).u8(0).u8(policy);
      if (policy === CatchUp.ALL) writer.u64(bound);
      writer.u8(queue);
    }).value;
  }

  /**
   * Cancels a live timer; a callback that was queued does not run. Throws INVALID_TIMER when there is no such timer or it has finished.
   *
   * @see docs/conformance.md#timers.cancel
   */
  cancel(id: U64Like): void {
    const timerId = toU64(id, 'id');
    this.#connection.call('host', Call.TimerCancel, (writer) => writer.u64(timerId));
  }

  /**
   * A timer, or `undefined`. A finished one stays until the first slot at or past a multiple of 100, and at least until the slot after.
   *
   * @see docs/conformance.md#timers.get
   */
  get(id: U64Like): TimerInfo | undefined {
    const reader = this.#connection.request(Writer.request(Request.GetTimer).u64(toU64(id, 'id')));
    return reader.option(() => timer(reader));
  }

  /**
   * The timers of a program by id, those that finished and are not forgotten yet included.
   *
   * @see docs/conformance.md#timers.list
   */
  list(programId: AddressLike): TimerInfo[] {
    const reader = this.#connection.request(Writer.request(Request.TimersOfProgram).raw(toAddress(programId, 'programId')));
    return reader.list(() => timer(reader));
  }
}
