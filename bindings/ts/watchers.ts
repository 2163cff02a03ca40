import { toAddress, toBytes, toI64, toMember, toObject, toU64, type AddressLike, type U64Like } from './arguments.js';
import { CALLBACK_KEYS, toCallback, toPriority } from './callbacks.js';
import type { Connection } from './connection.js';
import { Priority, WatcherTrigger } from './constants.js';
import { invalidArgument } from './errors.js';
import { watcher } from './replies.js';
import type { WatcherInfo, WatcherOptions } from './types.js';
import { Call, Request, Writer } from './wire.js';

const WATCHER_KEYS = [...CALLBACK_KEYS, 'account', 'trigger', 'threshold', 'offset', 'pattern', 'priority', 'minSlotsBetweenTriggers'];

/** Watchers of the host's programs. */
export class Watchers {
  readonly #connection: Connection;

  /** @internal */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Watches an account from now on, and returns the watcher's id.
   *
   * Edge-triggered: it compares the state before a slot with the last one in it. Throws UNKNOWN_PROGRAM, INVALID_ARGUMENT,
   * MAX_WATCHERS, SHUTDOWN.
   *
   * @see docs/conformance.md#watchers.create
   */
  create(options: WatcherOptions): bigint {
    const { account, priority, minSlotsBetweenTriggers = 1 } = toObject(options, 'options', WATCHER_KEYS);
    const callback = toCallback(options, this.#connection.defaultBudget);
    const address = toAddress(account, 'account');
    const writeTrigger = toTrigger(options);
    const queue = toPriority(priority, Priority.HIGH);
    const minSlots = toU64(minSlotsBetweenTriggers, 'minSlotsBetweenTriggers');
    return this.#connection.call('host', Call.WatcherCreate, (writer) => {
      writer.callback(callback).raw(address);
      writeTrigger(writer);
      writer.u8(queue).u64(minSlots);
    }).value;
  }

  /**
   * Removes a watcher; a callback that was queued does not run. Throws INVALID_WATCHER.
   *
   * @see docs/conformance.md#watchers.remove
   */
  remove(id: U64Like): void {
    this.#call(Call.WatcherRemove, id);
  }

  /**
   * Makes a watcher look away until it is resumed. A trigger that already happened still has its callback. Throws INVALID_WATCHER.
   *
   * @see docs/conformance.md#watchers.pause
   */
  pause(id: U64Like): void {
    this.#call(Call.WatcherSetActive, id, (writer) => writer.bool(false));
  }

  /**
   * Makes a paused watcher look again. Throws INVALID_WATCHER.
   *
   * @see docs/conformance.md#watchers.resume
   */
  resume(id: U64Like): void {
    this.#call(Call.WatcherSetActive, id, (writer) => writer.bool(true));
  }

  /**
   * Sets the slots that must pass between two triggers, in [1, maxTimerSlots]. Throws INVALID_WATCHER, INVALID_ARGUMENT.
   *
   * @see docs/conformance.md#watchers.setMinSlots
   */
  setMinSlots(id: U64Like, minSlotsBetweenTriggers: U64Like): void {
    const minSlots = toU64(minSlotsBetweenTriggers, 'minSlotsBetweenTriggers');
    this.#call(Call.WatcherSetMinSlots, id, (writer) => writer.u64(minSlots));
  }

  /**
   * A watcher, or `undefined`.
   *
   * @see docs/conformance.md#watchers.get
   */
  get(id: U64Like): WatcherInfo | undefined {
    const reader = this.#connection.request(Writer.request(Request.GetWatcher).u64(toU64(id, 'id')));
    return reader.option(() => watcher(reader));
  }

  /**
   * The watchers of an account, by id.
   *
   * @see docs/conformance.md#watchers.list
   */
  list(account: AddressLike): WatcherInfo[] {
    const reader = this.#connection.request(Writer.request(Request.WatchersOfAccount).raw(toAddress(account, 'account')));
    return reader.list(() => watcher(reader));
  }

  #call(variant: number, id: U64Like, write: (writer: Writer) => void = () => {}): void {
    const watcherId = toU64(id, 'id');
    this.#connection.call('host', variant, (writer) => {
      writer.u64(watcherId);
      write(writer);
    });
  }
}

function toTrigger(options: WatcherOptions): (writer: Writer) => void {
  const { trigger, threshold, offset, pattern } = options;
  const number = toMember(WatcherTrigger, trigger, 'trigger');
  const isThreshold = number === WatcherTrigger.THRESHOLD_ABOVE || number === WatcherTrigger.THRESHOLD_BELOW;
  const isPattern = number === WatcherTrigger.PATTERN_MATCH;
  // An argument that would be ignored is a mistake about what the trigger does.
  if (!isThreshold && threshold !== undefined) throw invalidArgument('threshold', threshold, 'absent with this trigger');
  if (!isPattern && pattern !== undefined) throw invalidArgument('pattern', pattern, 'absent with this trigger');
  if (!isThreshold && !isPattern && offset !== undefined) throw invalidArgument('offset', offset, 'absent with this trigger');
  const at = toU64(offset ?? 0, 'offset');
  if (isThreshold) {
    const level = toI64(threshold, 'threshold');
    return (writer) => writer.u8(number).u64(at).i64(level);
  }
  if (isPattern) {
    const bytes = toBytes(pattern, 'pattern');
    return (writer) => writer.u8(number).u64(at).bytes(bytes);
  }
  return (writer) => writer.u8(number);
}
