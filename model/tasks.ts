/** Tasks: invocations that wait for their turn. */

import type { Outcome, Source } from '../dist/index.js';
import { rule } from './rules.js';
import { refuse } from './limits.js';
import { checkCallback, checkNotDraining, count, firstId, type Callback, type Caller, type State } from './state.js';

export const CRITICAL = 3;
const SLOTS_PER_PRIORITY = 64n;

/** Why a task runs: what `sol_async_context` tells about it. */
export interface Due {
  readonly slot: bigint;
  /** Ticks or triggers that it stands for. */
  readonly ticks: bigint;
  readonly watched?: {
    readonly account: string;
    readonly trigger: number;
    readonly oldValue?: bigint;
    readonly newValue?: bigint;
  };
}

export interface Task {
  readonly id: bigint;
  /** Its place in the order of creation, and the number from which its own invocation makes ids; 0 until its creator is committed. */
  readonly sequence: bigint;
  readonly source: Source;
  readonly callback: Callback;
  readonly priority: number;
  readonly deadlineSlot?: bigint;
  readonly queuedSlot: bigint;
  readonly due: Due;
}

export interface TaskParams {
  readonly callback: Callback;
  readonly priority: bigint;
  readonly deadlineSlot?: bigint;
}

export type Report = Omit<Outcome, 'logs' | 'error'> & { readonly error?: { code: number; name: string; customCode?: number } };

export function checkPriority(priority: bigint): void {
  if (priority > BigInt(CRITICAL) && rule('tasks.schedule', 'priority')) refuse('INVALID_ARGUMENT');
}

export function scheduleTask(state: State, caller: Caller, { callback, priority, deadlineSlot }: TaskParams): bigint {
  checkCallback(state, callback);
  checkPriority(priority);
  if (deadlineSlot !== undefined && deadlineSlot <= state.slot && rule('tasks.schedule-deadline')) refuse('INVALID_SLOT');
  checkNotDraining(state);
  if (isFull(state) && rule('slot.full-submit')) refuse('QUEUE_FULL');
  const id = caller.newId();
  const due = { slot: state.slot + 1n, ticks: 1n };
  const source = { kind: 'task', id } as const;
  state.queue.push({ id, sequence: 0n, source, callback, priority: Number(priority), deadlineSlot, queuedSlot: state.slot, due });
  count(state, 'tasksSubmitted');
  return id;
}

/** Tasks that were scheduled become real, in the order of their creation. */
export function numberTasks(state: State): void {
  state.queue = state.queue.map((task) => (task.sequence === 0n ? { ...task, sequence: ++state.sequence } : task));
}

/** Queues what a timer or a watcher asks for. */
export function queueTask(state: State, task: Omit<Task, 'id' | 'sequence' | 'queuedSlot'>): void {
  const sequence = ++state.sequence;
  state.queue.push({ id: firstId(sequence), sequence, queuedSlot: state.slot, ...task });
}

export const room = (state: State): bigint => state.limits.maxScheduledTasks - BigInt(state.queue.length);

export const isFull = (state: State): boolean => room(state) <= 0n;

export function isQueued(state: State, kind: Source['kind'], id: bigint): boolean {
  return state.queue.some(({ source }) => source.kind === kind && source.id === id);
}

export function removeTasks(state: State, kind: Source['kind'], id: bigint): void {
  state.queue = state.queue.filter(({ source }) => source.kind !== kind || source.id !== id);
}

/** Slots are counted by their numbers: skipped ones are waited for like others. */
export function currentPriority(state: State, task: Task): number {
  const raised = task.priority + Number((state.slot - task.queuedSlot) / SLOTS_PER_PRIORITY);
  if (raised > CRITICAL) rule('slot.aging', 'capped');
  else if (raised > task.priority) rule('slot.aging', 'raised');
  return Math.min(raised, CRITICAL);
}

export function inOrder(state: State): Task[] {
  return [...state.queue].sort((a, b) => {
    const [priorityA, priorityB] = [currentPriority(state, a), currentPriority(state, b)];
    if (priorityA !== priorityB && rule('slot.priority')) return priorityB - priorityA;
    if (a.deadlineSlot !== b.deadlineSlot && rule('slot.deadline-order')) {
      if (a.deadlineSlot === undefined) return 1;
      if (b.deadlineSlot === undefined) return -1;
      return compare(a.deadlineSlot, b.deadlineSlot);
    }
    rule('slot.creation-order');
    return compare(a.sequence, b.sequence);
  });
}

export const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

export function expired(id: bigint, source: Source, programId: string): Report {
  return { taskId: id, programId, source, status: 'expired', unitsConsumed: 0n, stagedCodes: [] };
}
