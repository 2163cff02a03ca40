/**
 * Everything that an invocation can change. Records are never changed in place, only replaced, so that a copy of the maps is a copy of the
 * state: an invocation works on such a copy, which becomes the state when it succeeds and is dropped when it fails.
 */

import { rule } from './rules.js';
import type { Account } from './accounts.js';
import type { Program } from './invocation.js';
import { refuse, type LimitValues } from './limits.js';
import type { Ring } from './rings.js';
import type { Task } from './tasks.js';
import type { Timer } from './timers.js';
import type { Watcher } from './watchers.js';

export interface Meta {
  readonly address: string;
  readonly isSigner: boolean;
  readonly isWritable: boolean;
}

/** What a timer, a watcher or a task runs. */
export interface Callback {
  readonly programId: string;
  readonly data: Uint8Array;
  readonly accounts: readonly Meta[];
  readonly computeBudget: bigint;
}

/** Who makes a call: a program with its address, or the host without. */
export interface Caller {
  readonly programId?: string;
  /** The id of what the call creates; asked for when nothing can be refused any more. */
  newId(): bigint;
}

export interface State {
  readonly limits: LimitValues;
  readonly programs: Map<string, Program>;
  slot: bigint;
  /** The last sequence number that was taken. */
  sequence: bigint;
  draining: boolean;
  accounts: Map<string, Account>;
  timers: Map<bigint, Timer>;
  /** Ids of finished timers, oldest first. */
  finished: bigint[];
  watchers: Map<bigint, Watcher>;
  /** Ids of watchers whose trigger waits for room in the queue, oldest first. */
  waiting: bigint[];
  rings: Map<bigint, Ring>;
  queue: Task[];
  totals: Totals;
}

/** The counts of `stats()` that are not counts of what is there. */
export interface Totals {
  readonly timersCreated: bigint;
  readonly timersFired: bigint;
  readonly watchersCreated: bigint;
  readonly watchersTriggered: bigint;
  readonly watchersSuppressed: bigint;
  readonly tasksSubmitted: bigint;
  readonly tasksCompleted: bigint;
  readonly tasksFailed: bigint;
  readonly tasksExpired: bigint;
  readonly unitsConsumed: bigint;
  readonly slotsProcessed: bigint;
}

export function copy(state: State): State {
  return {
    ...state,
    accounts: new Map(state.accounts),
    timers: new Map(state.timers),
    finished: [...state.finished],
    watchers: new Map(state.watchers),
    waiting: [...state.waiting],
    rings: new Map(state.rings),
    queue: [...state.queue],
  };
}

export function count(state: State, total: keyof Totals, by = 1n): void {
  state.totals = { ...state.totals, [total]: state.totals[total] + by };
}

/** Ids of one sequence number: the number itself in the upper bits, a count in the lower 20. */
export const firstId = (sequence: bigint): bigint => sequence << 20n;

/** Lengths first, then the budget. */
export function checkCallback(state: State, { programId, data, accounts, computeBudget }: Callback): void {
  const { maxCallbackDataLen, maxCallbackAccounts, maxComputeBudget, slotComputeLimit } = state.limits;
  if (!state.programs.has(programId) && rule('calls.host-unknown-program')) refuse('UNKNOWN_PROGRAM');
  if (BigInt(data.length) > maxCallbackDataLen && rule('calls.data-length')) refuse('INVALID_ARGUMENT');
  if (BigInt(accounts.length) > maxCallbackAccounts && rule('callbacks.max-accounts')) refuse('INVALID_ARGUMENT');
  if ((computeBudget < 1n || computeBudget > maxComputeBudget) && rule('calls.budget', 'range')) refuse('INVALID_ARGUMENT');
  if (computeBudget > slotComputeLimit && rule('calls.budget', 'slot')) refuse('INVALID_ARGUMENT');
}

/** Is a limit: it comes after lengths and values. */
export function checkNotDraining(state: State): void {
  if (state.draining && rule('calls.shutdown')) refuse('SHUTDOWN');
}
