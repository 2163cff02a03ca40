/** Timers: callbacks at a slot, once or on a grid. */

import type { Priority, TimerInfo, TimerState } from '../dist/index.js';
import { rule } from './rules.js';
import { refuse, U64_MAX } from './limits.js';
import { checkCallback, checkNotDraining, count, firstId, type Callback, type Caller, type State } from './state.js';
import { checkPriority, compare, expired, isFull, isQueued, queueTask, removeTasks, room, type Due, type Report } from './tasks.js';

export const PENDING = 0;
export const EXECUTING = 1;
export const COMPLETED = 2;
export const CANCELLED = 3;
export const EXPIRED = 4;
export const FAILED = 5;

export const ONCE = 0n;
export const ALL = 1n;
export const SKIP = 2n;

const MAX_TICKS = 64n;
const CLEAN_UP_SLOTS = 100n;
const MAX_FINISHED = 65_536;

export interface TimerParams {
  readonly callback: Callback;
  /** The first tick; in a timer that is armed, the next one. */
  readonly triggerSlot: bigint;
  readonly periodSlots?: bigint;
  readonly deadlineSlot?: bigint;
  readonly catchUp: bigint;
  readonly maxTicks: bigint;
  readonly priority: bigint;
}

export interface Timer extends TimerParams {
  readonly id: bigint;
  readonly state: TimerState;
  /** Whether a tick is ahead. One without has its last callback in the queue, or has finished. */
  readonly armed: boolean;
  readonly executionCount: bigint;
  readonly missedCount: bigint;
  readonly finishedSlot?: bigint;
}

const isLive = (timer: Timer): boolean => timer.state === PENDING || timer.state === EXECUTING;

export const liveTimers = (state: State): Timer[] => [...state.timers.values()].filter(isLive);

export function createTimer(state: State, caller: Caller, params: TimerParams): bigint {
  const { callback, triggerSlot, periodSlots, deadlineSlot, catchUp, maxTicks, priority } = params;
  const { minTimerSlots, maxTimerSlots, maxTimersPerProgram } = state.limits;
  checkCallback(state, callback);
  if (catchUp > SKIP && rule('timers.options', 'catch-up')) refuse('INVALID_ARGUMENT');
  checkPriority(priority);
  const distance = triggerSlot - state.slot;
  if ((distance < minTimerSlots || distance > maxTimerSlots) && rule('timers.range')) refuse('INVALID_SLOT');
  if (periodSlots !== undefined && (periodSlots < minTimerSlots || periodSlots > maxTimerSlots) && rule('timers.period-range')) {
    refuse('INVALID_SLOT');
  }
  if (periodSlots !== undefined && deadlineSlot !== undefined && rule('timers.deadline-range', 'periodic')) refuse('INVALID_ARGUMENT');
  if (deadlineSlot !== undefined && deadlineSlot < triggerSlot && rule('timers.deadline-range', 'before trigger')) refuse('INVALID_SLOT');
  if (catchUp === ALL && (maxTicks < 1n || maxTicks > MAX_TICKS) && rule('timers.options', 'max ticks')) refuse('INVALID_ARGUMENT');

  checkNotDraining(state);
  const live = liveTimers(state).filter((timer) => timer.callback.programId === callback.programId);
  if (BigInt(live.length) >= maxTimersPerProgram && rule('timers.max')) refuse('MAX_TIMERS');

  const id = caller.newId();
  state.timers.set(id, { ...params, id, state: PENDING, armed: true, executionCount: 0n, missedCount: 0n });
  count(state, 'timersCreated');
  return id;
}

export function cancelTimer(state: State, caller: Caller, id: bigint): void {
  const timer = state.timers.get(id);
  if (timer === undefined) {
    rule('timers.cancel', 'none');
    refuse('INVALID_TIMER');
  }
  if (caller.programId !== undefined && caller.programId !== timer.callback.programId && rule('calls.foreign-id', 'timer')) {
    refuse('INVALID_TIMER');
  }
  if (!isLive(timer) && rule('timers.cancel-finished')) refuse('INVALID_TIMER');
  if (isQueued(state, 'timer', id)) rule('timers.cancel-queued');
  removeTasks(state, 'timer', id);
  finish(state, timer, CANCELLED);
}

function finish(state: State, timer: Timer, how: TimerState): void {
  state.timers.set(timer.id, { ...timer, state: how, armed: false, finishedSlot: state.slot });
  state.finished.push(timer.id);
  // Beyond the bound the oldest are forgotten early.
  if (state.finished.length > MAX_FINISHED) state.timers.delete(state.finished.shift()!);
}

/** Forgets timers that finished before the last multiple of 100. */
export function cleanUp(state: State): void {
  const hundred = state.slot - (state.slot % CLEAN_UP_SLOTS);
  for (const id of state.finished) {
    if (state.timers.get(id)!.finishedSlot! < hundred && rule('timers.clean-up')) state.timers.delete(id);
  }
  state.finished = state.finished.filter((id) => state.timers.has(id));
}

/** Queues the callbacks of due timers; returns the outcomes of those whose deadline has passed. */
export function fireTimers(state: State): Report[] {
  const due = liveTimers(state).filter((timer) => timer.armed && timer.triggerSlot <= state.slot);
  due.sort((a, b) => compare(a.triggerSlot, b.triggerSlot) || compare(a.id, b.id));
  if (due.length > 1) rule('slot.timer-order');
  const outcomes: Report[] = [];
  for (const timer of due) {
    if (timer.periodSlots !== undefined) {
      firePeriodic(state, timer, timer.periodSlots);
    } else if (timer.deadlineSlot !== undefined && timer.deadlineSlot < state.slot && rule('timers.deadline', 'never queued')) {
      outcomes.push(expired(firstId(++state.sequence), { kind: 'timer', id: timer.id }, timer.callback.programId));
      count(state, 'tasksExpired');
      finish(state, timer, EXPIRED);
    } else if (isFull(state)) {
      rule('slot.full-timers', 'one-shot');
    } else {
      rule('timers.fires');
      queueCallback(state, timer, { slot: timer.triggerSlot, ticks: 1n });
      state.timers.set(timer.id, { ...timer, state: EXECUTING, armed: false });
    }
  }
  return outcomes;
}

function firePeriodic(state: State, timer: Timer, period: bigint): void {
  const ticks = (state.slot - timer.triggerSlot) / period + 1n;
  // The ticks stay due, and more may join them.
  if (isQueued(state, 'timer', timer.id) && rule('timers.queued')) return;
  if (timer.catchUp === SKIP) {
    const onGrid = (state.slot - timer.triggerSlot) % period === 0n;
    if (!onGrid && rule('timers.skip', 'off the grid')) return advance(state, timer, ticks, 0n);
    if (isFull(state) && rule('timers.skip', 'queue full')) return advance(state, timer, ticks, 0n);
    rule('timers.skip', 'fires');
    queueCallback(state, timer, { slot: state.slot, ticks: 1n });
    return advance(state, timer, ticks, 1n);
  }
  if (isFull(state) && rule('slot.full-timers', 'periodic')) return;
  if (timer.catchUp === ONCE) {
    if (ticks > 1n) rule('timers.once', 'several');
    else rule('timers.once', 'one');
    queueCallback(state, timer, { slot: timer.triggerSlot, ticks });
    return advance(state, timer, ticks, 1n);
  }
  // What finds no place stays due; only what exceeds the bound is left to the last callback.
  const wanted = ticks < timer.maxTicks ? ticks : timer.maxTicks;
  const places = room(state);
  const callbacks = wanted < places ? wanted : places;
  const standsFor = callbacks < wanted ? callbacks : ticks;
  if (callbacks < wanted) rule('timers.all', 'queue full');
  else if (wanted < ticks) rule('timers.all', 'bounded');
  else rule('timers.all', 'each');
  for (let tick = 0n; tick < callbacks; tick++) {
    const isLast = tick === callbacks - 1n;
    queueCallback(state, timer, { slot: timer.triggerSlot + tick * period, ticks: isLast ? standsFor - tick : 1n });
  }
  advance(state, timer, standsFor, callbacks);
}

function queueCallback(state: State, { id, callback, priority, deadlineSlot }: Timer, due: Due): void {
  rule('slot.default-priorities', 'timer');
  queueTask(state, { source: { kind: 'timer', id }, callback, priority: Number(priority), deadlineSlot, due });
  count(state, 'timersFired');
}

/** Moves on along the grid by `ticks`, of which `callbacks` have a callback of their own. */
function advance(state: State, timer: Timer, ticks: bigint, callbacks: bigint): void {
  const next = timer.triggerSlot + ticks * timer.periodSlots!;
  const armed = next <= U64_MAX;
  const moved: Timer = {
    ...timer,
    armed,
    triggerSlot: armed ? next : next - timer.periodSlots!,
    missedCount: timer.missedCount + ticks - callbacks,
    state: isQueued(state, 'timer', timer.id) ? EXECUTING : PENDING,
  };
  rule('timers.grid');
  state.timers.set(timer.id, moved);
  if (!armed && moved.state === PENDING && rule('timers.last-slot', 'no callback')) finish(state, moved, COMPLETED);
}

/** What becomes of a timer when one of its callbacks is over. */
export function settleTimer(state: State, id: bigint, status: Report['status']): void {
  const before = state.timers.get(id);
  if (before === undefined) return;
  const timer = status === 'expired' ? before : { ...before, executionCount: before.executionCount + 1n };
  state.timers.set(id, timer);
  if (!isLive(timer) && rule('timers.cancel-self')) return;
  if (timer.periodSlots === undefined) {
    if (status === 'expired' && rule('timers.deadline', 'queued')) return finish(state, timer, EXPIRED);
    if (status === 'failed' && rule('callbacks.failed-one-shot')) return finish(state, timer, FAILED);
    return finish(state, timer, COMPLETED);
  }
  if (status === 'failed') rule('callbacks.failed-periodic');
  if (isQueued(state, 'timer', id)) return;
  if (!timer.armed && rule('timers.last-slot', 'last callback')) return finish(state, timer, COMPLETED);
  state.timers.set(id, { ...timer, state: PENDING });
}

export function timerInfo(timer: Timer): TimerInfo {
  const { id, callback, triggerSlot, state, executionCount, missedCount } = timer;
  return {
    id,
    programId: callback.programId,
    ...mode(timer),
    triggerSlot,
    state,
    executionCount,
    missedCount,
    data: callback.data,
    accounts: [...callback.accounts],
    computeBudget: callback.computeBudget,
    priority: Number(timer.priority) as Priority,
  };
}

function mode({ periodSlots, deadlineSlot }: Timer) {
  if (periodSlots !== undefined) return { mode: 'periodic', periodSlots } as const;
  return deadlineSlot === undefined
    ? ({ mode: 'one-shot', periodSlots: 0n } as const)
    : ({ mode: 'deadline', periodSlots: 0n, deadlineSlot } as const);
}
