/** Watchers: callbacks when an account changes in a stated way. */

import type { Priority, WatcherInfo, WatcherTrigger } from '../dist/index.js';
import { ABSENT, sameBytes, type Account } from './accounts.js';
import { rule } from './rules.js';
import { refuse } from './limits.js';
import { checkCallback, checkNotDraining, count, type Callback, type Caller, type State } from './state.js';
import { checkPriority, isFull, isQueued, queueTask, removeTasks, type Due } from './tasks.js';

export const ANY_CHANGE = 0;
export const LAMPORT_CHANGE = 1;
export const DATA_CHANGE = 2;
export const OWNER_CHANGE = 3;
export const THRESHOLD_ABOVE = 4;
export const THRESHOLD_BELOW = 5;
export const PATTERN_MATCH = 6;

export interface Trigger {
  readonly type: WatcherTrigger;
  readonly offset: bigint;
  readonly threshold: bigint;
  readonly pattern: Uint8Array;
}

export interface WatcherParams {
  readonly callback: Callback;
  readonly account: string;
  readonly trigger: Trigger;
  readonly priority: bigint;
  readonly minSlots: bigint;
}

export interface Watcher extends WatcherParams {
  readonly id: bigint;
  readonly active: boolean;
  /** The account as this watcher saw it last: at its creation, when it was resumed, or at the last slot. */
  readonly seen: Account;
  readonly triggerCount: bigint;
  readonly suppressedCount: bigint;
  readonly lastTriggerSlot?: bigint;
  /** A trigger that waits for room in the queue. */
  readonly waiting?: Due;
}

export const isThreshold = (type: number): type is 4 | 5 => type === THRESHOLD_ABOVE || type === THRESHOLD_BELOW;

export function createWatcher(state: State, caller: Caller, params: WatcherParams): bigint {
  const { callback, account, trigger, minSlots } = params;
  checkCallback(state, callback);
  const patternLen = BigInt(trigger.pattern.length);
  if (trigger.type === PATTERN_MATCH && (patternLen < 1n || patternLen > state.limits.maxPatternLen) && rule('watchers.create-pattern')) {
    refuse('INVALID_ARGUMENT');
  }
  const width = isThreshold(trigger.type) ? 8n : patternLen;
  if (trigger.offset + width > 2n ** 64n && rule('watchers.offset')) refuse('INVALID_ARGUMENT');
  checkPriority(params.priority);
  checkMinSlots(state, minSlots);
  checkNotDraining(state);
  const own = [...state.watchers.values()].filter((watcher) => watcher.callback.programId === callback.programId);
  if (BigInt(own.length) >= state.limits.maxWatchersPerProgram && rule('watchers.max')) refuse('MAX_WATCHERS');

  const id = caller.newId();
  const seen = state.accounts.get(account) ?? ABSENT;
  const isAmong = callback.accounts.some(({ address }) => address === account) && rule('callbacks.watched-account', 'among them');
  const accounts = isAmong ? callback.accounts : [...callback.accounts, { address: account, isSigner: false, isWritable: false }];
  state.watchers.set(id, { ...params, callback: { ...callback, accounts }, id, active: true, seen, triggerCount: 0n, suppressedCount: 0n });
  count(state, 'watchersCreated');
  return id;
}

function checkMinSlots(state: State, slots: bigint): void {
  if ((slots < 1n || slots > state.limits.maxTimerSlots) && rule('watchers.set-min-slots', 'range')) refuse('INVALID_ARGUMENT');
}

function find(state: State, caller: Caller, id: bigint): Watcher {
  const watcher = state.watchers.get(id);
  if (watcher === undefined) {
    rule('watchers.remove', 'none');
    refuse('INVALID_WATCHER');
  }
  if (caller.programId !== undefined && caller.programId !== watcher.callback.programId && rule('calls.foreign-id', 'watcher')) {
    refuse('INVALID_WATCHER');
  }
  return watcher;
}

export function setMinSlots(state: State, caller: Caller, id: bigint, minSlots: bigint): void {
  checkMinSlots(state, minSlots);
  const watcher = find(state, caller, id);
  state.watchers.set(id, { ...watcher, minSlots });
}

export function removeWatcher(state: State, caller: Caller, id: bigint): void {
  find(state, caller, id);
  if (isQueued(state, 'watcher', id)) rule('watchers.remove', 'queued');
  removeTasks(state, 'watcher', id);
  state.waiting = state.waiting.filter((waiting) => waiting !== id);
  state.watchers.delete(id);
}

export function setActive(state: State, caller: Caller, id: bigint, active: boolean): void {
  const watcher = find(state, caller, id);
  if (watcher.active === active) return;
  if (active) rule('watchers.resume');
  else rule('watchers.pause');
  const seen = active ? (state.accounts.get(watcher.account) ?? ABSENT) : watcher.seen;
  state.watchers.set(id, { ...watcher, active, seen });
}

/** Triggers that found the queue full come before those of this slot. */
export function queueWaiting(state: State): void {
  const unqueued: bigint[] = [];
  for (const id of state.waiting) {
    const { waiting, ...watcher } = state.watchers.get(id)!;
    if (isFull(state)) {
      rule('slot.full-watchers', 'waits on');
      unqueued.push(id);
    } else {
      rule('slot.full-watchers', 'room');
      queueTrigger(state, watcher, waiting!);
      state.watchers.set(id, watcher);
    }
  }
  state.waiting = unqueued;
}

/** Compares the touched accounts, in the order of their first touch, with what their watchers saw last. */
export function matchWatchers(state: State, touched: readonly string[]): bigint {
  let triggered = 0n;
  for (const address of touched) {
    const now = state.accounts.get(address) ?? ABSENT;
    const watchers = watchersOf(state, address);
    if (watchers.length > 1) rule('slot.match-order');
    for (const watcher of watchers) {
      state.watchers.set(watcher.id, { ...watcher, seen: now });
      if (!watcher.active && rule('watchers.pause', 'does not look')) continue;
      if (!fires(watcher.trigger, watcher.seen, now)) continue;
      if (trigger(state, { ...watcher, seen: now }, watcher.seen)) triggered += 1n;
    }
  }
  return triggered;
}

export function watchersOf(state: State, address: string): Watcher[] {
  return [...state.watchers.values()].filter(({ account }) => account === address).sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Whether a change is what a watcher waits for. */
function fires({ type, offset, threshold, pattern }: Trigger, old: Account, now: Account): boolean {
  const lamports = old.lamports !== now.lamports;
  const data = !sameBytes(old.data, now.data);
  const owner = old.owner !== now.owner;
  if (!lamports && !data && !owner) rule('watchers.unchanged');
  switch (type) {
    case ANY_CHANGE:
      return (lamports || data || owner) && rule('watchers.any-change');
    case LAMPORT_CHANGE:
      return lamports && rule('watchers.lamport-change');
    case DATA_CHANGE:
      return data && rule('watchers.data-change');
    case OWNER_CHANGE:
      return owner && rule('watchers.owner-change');
    case PATTERN_MATCH: {
      const width = BigInt(pattern.length);
      const matches = (account: Account) => {
        const bytes = slice(account, offset, width);
        return bytes !== undefined && sameBytes(bytes, pattern);
      };
      if (slice(now, offset, width) === undefined) rule('watchers.too-short', 'pattern');
      return matches(now) && !matches(old) && rule('watchers.pattern');
    }
    default: {
      const [before, after] = [valueAt(old, offset), valueAt(now, offset)];
      if (after === undefined) return !rule('watchers.too-short', 'threshold');
      const isBeyond = (value: bigint) => (type === THRESHOLD_ABOVE ? value > threshold : value < threshold);
      if (!isBeyond(after)) return false;
      if (before === undefined) return rule('watchers.appearing');
      if (isBeyond(before)) return false;
      return type === THRESHOLD_ABOVE ? rule('watchers.above') : rule('watchers.below');
    }
  }
}

function slice({ data }: Account, offset: bigint, width: bigint): Uint8Array | undefined {
  return offset + width <= BigInt(data.length) ? data.subarray(Number(offset), Number(offset + width)) : undefined;
}

function valueAt(account: Account, offset: bigint): bigint | undefined {
  const bytes = slice(account, offset, 8n);
  return bytes && new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(0, true);
}

/** Whether the trigger counts; one that comes too early does not. */
function trigger(state: State, watcher: Watcher, old: Account): boolean {
  const { id, lastTriggerSlot, minSlots, waiting, seen: now } = watcher;
  if (lastTriggerSlot !== undefined && state.slot - lastTriggerSlot < minSlots && rule('watchers.min-slots', 'suppressed')) {
    state.watchers.set(id, { ...watcher, suppressedCount: watcher.suppressedCount + 1n });
    count(state, 'watchersSuppressed');
    return false;
  }
  const triggered = { ...watcher, triggerCount: watcher.triggerCount + 1n, lastTriggerSlot: state.slot };
  state.watchers.set(id, triggered);
  count(state, 'watchersTriggered');
  const { type, offset } = watcher.trigger;
  const [oldValue, newValue] = isThreshold(type) ? [valueAt(old, offset), valueAt(now, offset)] : [];
  const due: Due = { slot: state.slot, ticks: 1n, watched: { account: watcher.account, trigger: type, oldValue, newValue } };
  if (waiting !== undefined) {
    rule('watchers.coalesced-values');
    const joined = { ...waiting, ticks: waiting.ticks + 1n, watched: { ...waiting.watched!, newValue } };
    state.watchers.set(id, { ...triggered, waiting: joined });
  } else if (isFull(state)) {
    rule('slot.full-watchers', 'starts to wait');
    state.watchers.set(id, { ...triggered, waiting: due });
    state.waiting.push(id);
  } else {
    queueTrigger(state, triggered, due);
  }
  return true;
}

function queueTrigger(state: State, { id, callback, priority }: Watcher, due: Due): void {
  rule('slot.default-priorities', 'watcher');
  queueTask(state, { source: { kind: 'watcher', id }, callback, priority: Number(priority), due });
}

export function watcherInfo(watcher: Watcher): WatcherInfo {
  const { id, callback, account, trigger, active, triggerCount, suppressedCount, lastTriggerSlot, minSlots } = watcher;
  return {
    id,
    programId: callback.programId,
    account,
    ...condition(trigger),
    active,
    triggerCount,
    suppressedCount,
    ...(lastTriggerSlot === undefined ? {} : { lastTriggerSlot }),
    minSlotsBetweenTriggers: minSlots,
    data: callback.data,
    accounts: [...callback.accounts],
    computeBudget: callback.computeBudget,
    priority: Number(watcher.priority) as Priority,
  };
}

function condition({ type: trigger, offset, threshold, pattern }: Trigger) {
  if (isThreshold(trigger)) return { trigger, offset, threshold };
  return trigger === PATTERN_MATCH ? { trigger, offset, pattern } : { trigger };
}
