/** The whole: what the host can do, and one slot in its order. */

import { ErrorCode } from '../dist/index.js';
import type * as api from '../dist/index.js';
import { ABSENT, isProvided, MAX_ACCOUNT_DATA, sameAccount, SYSTEM_PROGRAM, type Account } from './accounts.js';
import { rule } from './rules.js';
import { advanceClock, CLOCK, clockAccount, startClock, type Clock } from './clock.js';
import { execute, MAX_INSTRUCTION_ACCOUNTS, MAX_INSTRUCTION_DATA, type Execution, type Program } from './invocation.js';
import { ModelError, optionalU64, refuse, toLimits, u64, U64_MAX, type LimitValues } from './limits.js';
import * as rings from './rings.js';
import { systemProgram } from './system.js';
import { count, firstId, type Callback, type Caller, type Meta, type State } from './state.js';
import { expired, inOrder, numberTasks, scheduleTask, type Report, type Task } from './tasks.js';
import * as timers from './timers.js';
import * as watchers from './watchers.js';

const DEFAULT_BUDGET = 200_000n;
const DEFAULT_MAX_TICKS = 16;
const NORMAL = 1;
const HIGH = 2;

export type SlotReport = Omit<api.SlotReport, 'stateHash' | 'outcomes'> & { readonly outcomes: Report[] };

interface Update {
  readonly address: string;
  readonly account: Account;
  readonly writeVersion?: bigint;
}

export class Model {
  readonly #state: State;
  #clock: Clock;
  #updates: Update[] = [];
  readonly #writeVersions = new Map<string, bigint>();
  /** Accounts that were touched since watchers were matched, in the order of their first touch. */
  #touched: string[] = [];

  /**
   * The compute units of an invocation whose program does not state them, if somebody has measured them. Without, they count as what its
   * calls were charged and one instruction: too little, and the slot's compute limit is then reached later than in truth.
   */
  measuredUnits: (taskId: bigint) => bigint | undefined = () => undefined;

  constructor(options: Omit<api.EngineOptions, 'workers'> = {}) {
    const { startSlot = 0, startTimestamp = 0, limits = {}, accounts = [] } = options;
    const slot = u64(startSlot);
    this.#clock = startClock(slot, BigInt(startTimestamp));
    this.#state = {
      limits: toLimits(limits),
      programs: new Map([[SYSTEM_PROGRAM, systemProgram]]),
      slot,
      sequence: 0n,
      draining: false,
      accounts: new Map(),
      timers: new Map(),
      finished: [],
      watchers: new Map(),
      waiting: [],
      rings: new Map(),
      queue: [],
      totals: {
        timersCreated: 0n,
        timersFired: 0n,
        watchersCreated: 0n,
        watchersTriggered: 0n,
        watchersSuppressed: 0n,
        tasksSubmitted: 0n,
        tasksCompleted: 0n,
        tasksFailed: 0n,
        tasksExpired: 0n,
        unitsConsumed: 0n,
        slotsProcessed: 0n,
      },
    };
    for (const { address, ...account } of accounts) this.setAccount(address, account);
  }

  get slot(): bigint {
    return this.#state.slot;
  }

  // ---- Programs and accounts ----

  addProgram(address: api.AddressLike, program: Program): void {
    this.#state.programs.set(toAddress(address), program);
  }

  removeProgram(address: api.AddressLike): void {
    if (!this.#state.programs.delete(toAddress(address))) refuse('UNKNOWN_PROGRAM');
  }

  setAccount(address: api.AddressLike, init: api.AccountInit): void {
    const key = toAddress(address);
    const account = this.#toAccount(key, init);
    this.#setAccount(key, account);
    this.#touch(key);
  }

  /** Programs, and what the runtime provides but for the Clock, are not there. */
  getAccount(address: api.AddressLike): api.AccountInfo | undefined {
    const key = toAddress(address);
    const account = key === CLOCK ? clockAccount(this.#clock) : this.#state.accounts.get(key);
    return account && { address: key, ...account };
  }

  updateAccounts(updates: Iterable<api.AccountUpdate>): void {
    const all = [...updates].map(({ address, writeVersion, ...init }): Update => {
      const key = toAddress(address);
      return { address: key, account: this.#toAccount(key, init), writeVersion: optionalU64(writeVersion) };
    });
    rule('slot.updates-next');
    for (const update of all) {
      this.#updates.push(update);
      this.#touch(update.address);
    }
  }

  #toAccount(
    address: string,
    { lamports, data = new Uint8Array(0), owner = SYSTEM_PROGRAM, executable = false }: api.AccountInit,
  ): Account {
    const account = { lamports: u64(lamports), data: toBytes(data), owner: toAddress(owner), executable };
    if (isProvided(address, this.#state.programs) || data.length > MAX_ACCOUNT_DATA) refuse('INVALID_ARGUMENT');
    return account;
  }

  #setAccount(address: string, account: Account): void {
    if (account.lamports === 0n) this.#state.accounts.delete(address);
    else this.#state.accounts.set(address, account);
  }

  #touch(address: string): void {
    if (!this.#touched.includes(address)) this.#touched.push(address);
  }

  // ---- What the host creates ----

  /** The host as a caller: each thing that it creates takes a sequence number. */
  readonly #host: Caller = { newId: () => firstId(++this.#state.sequence) + 1n };

  readonly timers = {
    create: (options: api.TimerOptions): bigint => {
      const { triggerSlot, deadlineSlot, priority = NORMAL } = options;
      return timers.createTimer(this.#state, this.#host, {
        callback: toCallback(options, this.#state.limits),
        triggerSlot: u64(triggerSlot),
        deadlineSlot: optionalU64(deadlineSlot),
        catchUp: timers.ONCE,
        maxTicks: 0n,
        priority: u64(priority),
      });
    },
    createPeriodic: (options: api.PeriodicTimerOptions): bigint => {
      const { startSlot, periodSlots, priority = NORMAL, catchUp = 0, maxTicks = DEFAULT_MAX_TICKS } = options;
      return timers.createTimer(this.#state, this.#host, {
        callback: toCallback(options, this.#state.limits),
        triggerSlot: u64(startSlot),
        periodSlots: u64(periodSlots),
        catchUp: u64(catchUp),
        maxTicks: u64(maxTicks),
        priority: u64(priority),
      });
    },
    cancel: (id: api.U64Like): void => timers.cancelTimer(this.#state, this.#host, u64(id)),
    get: (id: api.U64Like): api.TimerInfo | undefined => {
      const timer = this.#state.timers.get(u64(id));
      return timer && timers.timerInfo(timer);
    },
    list: (programId: api.AddressLike): api.TimerInfo[] => {
      const own = [...this.#state.timers.values()].filter(({ callback }) => callback.programId === toAddress(programId));
      return byId(own).map(timers.timerInfo);
    },
  };

  readonly watchers = {
    create: (options: api.WatcherOptions): bigint => {
      const { account, priority = HIGH, minSlotsBetweenTriggers = 1 } = options;
      return watchers.createWatcher(this.#state, this.#host, {
        callback: toCallback(options, this.#state.limits),
        account: toAddress(account),
        trigger: toTrigger(options),
        priority: u64(priority),
        minSlots: u64(minSlotsBetweenTriggers),
      });
    },
    remove: (id: api.U64Like): void => watchers.removeWatcher(this.#state, this.#host, u64(id)),
    pause: (id: api.U64Like): void => watchers.setActive(this.#state, this.#host, u64(id), false),
    resume: (id: api.U64Like): void => watchers.setActive(this.#state, this.#host, u64(id), true),
    setMinSlots: (id: api.U64Like, slots: api.U64Like): void => watchers.setMinSlots(this.#state, this.#host, u64(id), u64(slots)),
    get: (id: api.U64Like): api.WatcherInfo | undefined => {
      const watcher = this.#state.watchers.get(u64(id));
      return watcher && watchers.watcherInfo(watcher);
    },
    list: (account: api.AddressLike): api.WatcherInfo[] => watchers.watchersOf(this.#state, toAddress(account)).map(watchers.watcherInfo),
  };

  readonly rings = {
    create: ({ programId, size, reader = 'program' }: api.RingOptions): bigint => {
      if (size === undefined) rule('rings.default-size');
      const capacity = optionalU64(size) ?? this.#state.limits.defaultRingBufferSize;
      return rings.createRing(this.#state, this.#host, toAddress(programId), capacity, reader);
    },
    push: (id: api.U64Like, data: Uint8Array): void => rings.push(this.#state, this.#host, u64(id), toBytes(data)),
    pop: (id: api.U64Like): Uint8Array | undefined => rings.pop(this.#state, this.#host, u64(id), U64_MAX),
    peek: (id: api.U64Like): Uint8Array | undefined => rings.peek(this.#state, this.#host, u64(id), U64_MAX),
    drain: (id: api.U64Like, max = 2 ** 32 - 1): api.RingEntry[] => rings.drain(this.#state, u64(id), max),
    get: (id: api.U64Like): api.RingInfo | undefined => {
      const ring = this.#state.rings.get(u64(id));
      return ring && rings.ringInfo(ring);
    },
    setState: (id: api.U64Like, to: api.RingState): void => rings.setRingState(this.#state, u64(id), to),
    grant: (id: api.U64Like, programId: api.AddressLike, rights: number): void =>
      rings.grant(this.#state, this.#host, u64(id), toAddress(programId), u64(rights)),
    destroy: (id: api.U64Like): void => rings.destroy(this.#state, this.#host, u64(id)),
  };

  readonly tasks = {
    submit: (options: api.TaskOptions): { id: bigint } => {
      const { priority = NORMAL, deadlineSlot } = options;
      const params = {
        callback: toCallback(options, this.#state.limits),
        priority: u64(priority),
        deadlineSlot: optionalU64(deadlineSlot),
      };
      const id = scheduleTask(this.#state, this.#host, params);
      numberTasks(this.#state);
      return { id };
    },
  };

  /** From now on, nothing new. */
  drain(): void {
    this.#state.draining = true;
  }

  stats(): api.Stats {
    return {
      ...this.#state.totals,
      timersActive: BigInt(timers.liveTimers(this.#state).length),
      watchersActive: BigInt([...this.#state.watchers.values()].filter(({ active }) => active).length),
      ringsActive: BigInt(this.#state.rings.size),
      tasksPending: BigInt(this.#state.queue.length),
    };
  }

  // ---- Running ----

  /** One instruction, now. It waits for nothing, so that the slot's compute limit does not bound it. */
  invoke(options: api.CallbackOptions): Report {
    const callback = toCallback(options, this.#state.limits);
    const { programs, limits } = this.#state;
    if (!programs.has(callback.programId)) refuse('UNKNOWN_PROGRAM');
    if (callback.data.length > MAX_INSTRUCTION_DATA || callback.accounts.length > MAX_INSTRUCTION_ACCOUNTS) refuse('INVALID_ARGUMENT');
    if (callback.computeBudget < 1n || callback.computeBudget > limits.maxComputeBudget) refuse('INVALID_ARGUMENT');
    const sequence = ++this.#state.sequence;
    const id = firstId(sequence);
    return this.#run(id, { kind: 'invoke', id }, callback, sequence);
  }

  processSlot(slot: api.U64Like, { unixTimestamp }: api.SlotOptions = {}): SlotReport {
    const state = this.#state;
    const next = u64(slot);
    if (next <= state.slot && rule('slot.greater')) refuse('INVALID_SLOT');
    if (next > state.slot + 1n) rule('slot.skip');
    const { timersFired } = state.totals;

    state.slot = next;
    this.#clock = advanceClock(this.#clock, next, unixTimestamp === undefined ? undefined : BigInt(unixTimestamp));
    count(state, 'slotsProcessed');
    timers.cleanUp(state);
    rings.sampleReads(state);

    const outcomes = timers.fireTimers(state);

    this.#applyUpdates();
    watchers.queueWaiting(state);
    const watchersTriggered = watchers.matchWatchers(state, this.#touched);
    this.#touched = [];

    outcomes.push(...this.#expire());
    const tasksQueued = BigInt(state.queue.length);
    const ran = this.#runTasks();
    outcomes.push(...ran);
    return {
      slot: next,
      outcomes,
      timersFired: state.totals.timersFired - timersFired,
      watchersTriggered,
      tasksQueued,
      tasksPending: BigInt(state.queue.length),
      unitsConsumed: ran.reduce((sum, { unitsConsumed }) => sum + unitsConsumed, 0n),
    };
  }

  #applyUpdates(): void {
    for (const { address, account, writeVersion } of this.#updates) {
      const last = this.#writeVersions.get(address);
      if (writeVersion !== undefined && last !== undefined && writeVersion <= last && rule('slot.write-version')) continue;
      if (writeVersion !== undefined) this.#writeVersions.set(address, writeVersion);
      rule('slot.coalesce');
      this.#setAccount(address, account);
    }
    this.#updates = [];
  }

  /** Takes the tasks out of the queue whose deadline has passed. */
  #expire(): Report[] {
    const late = inOrder(this.#state).filter(({ deadlineSlot }) => deadlineSlot !== undefined && deadlineSlot < this.#state.slot);
    for (const { source } of late) {
      rule('slot.expired');
      count(this.#state, 'tasksExpired');
      if (source.kind === 'timer') timers.settleTimer(this.#state, source.id, 'expired');
    }
    this.#state.queue = this.#state.queue.filter((task) => !late.includes(task));
    return late.map(({ id, source, callback }) => expired(id, source, callback.programId));
  }

  /** Runs what is in the queue now, as far as the slot's compute limit goes. What callbacks add is for a later slot. */
  #runTasks(): Report[] {
    const state = this.#state;
    const outcomes: Report[] = [];
    let used = 0n;
    for (const { id } of inOrder(state)) {
      const task = state.queue.find((queued) => queued.id === id);
      if (task === undefined) {
        // An earlier one of this slot has cancelled or removed what it is for.
        rule('slot.commit-order', 'removed');
        continue;
      }
      const { source, callback, sequence } = task;
      if (used + callback.computeBudget > state.limits.slotComputeLimit && rule('slot.compute-limit')) break;
      state.queue = state.queue.filter((queued) => queued !== task);
      const outcome = this.#run(id, source, callback, sequence, task);
      if (source.kind === 'timer') timers.settleTimer(state, source.id, outcome.status);
      used += outcome.unitsConsumed;
      outcomes.push(outcome);
    }
    if (state.queue.length > 0) rule('slot.stays-queued');
    return outcomes;
  }

  /** Runs a program, makes real what it did if it succeeded, and reports. */
  #run(taskId: bigint, source: api.Source, callback: Callback, sequence: bigint, task?: Task): Report {
    const report = { taskId, programId: callback.programId, source };
    if (!this.#state.programs.has(callback.programId)) {
      rule('callbacks.unknown-program');
      count(this.#state, 'tasksFailed');
      return { ...report, status: 'failed', error: toError('UNKNOWN_PROGRAM'), unitsConsumed: 0n, stagedCodes: [] };
    }
    const execution = execute(this.#state, callback, sequence, this.#clock, task);
    const { failure, codes, returnData } = execution;
    const unitsConsumed = execution.units ?? this.measuredUnits(taskId) ?? execution.charged + 1n;
    if (failure === undefined) this.#commit(execution, callback.accounts);
    else if (failure.wholeBudget) rule('calls.staged-budget', 'dropped');
    else rule('calls.staged', 'dropped');
    count(this.#state, failure === undefined ? 'tasksCompleted' : 'tasksFailed');
    count(this.#state, 'unitsConsumed', unitsConsumed);
    return {
      ...report,
      status: failure === undefined ? 'committed' : 'failed',
      ...(failure === undefined ? {} : { error: toError('EXECUTION_FAILED', failure.customCode) }),
      unitsConsumed,
      ...(failure !== undefined || returnData.length === 0 ? {} : { returnData }),
      stagedCodes: [...codes] as api.ErrorCode[],
    };
  }

  #commit(execution: Execution, accounts: readonly Meta[]): void {
    const [before, after] = [this.#state, execution.state];
    for (const { address } of accounts) {
      const changed = !sameAccount(before.accounts.get(address) ?? ABSENT, after.accounts.get(address) ?? ABSENT);
      if (changed && rule('slot.callback-changes')) this.#touch(address);
    }
    // An invocation happens at once: its watchers have not seen the accounts before its own changes.
    for (const watcher of after.watchers.values()) {
      if (before.watchers.has(watcher.id)) continue;
      rule('watchers.since-creation');
      after.watchers.set(watcher.id, { ...watcher, seen: after.accounts.get(watcher.account) ?? ABSENT });
    }
    Object.assign(this.#state, after);
    numberTasks(this.#state);
  }
}

function toError(name: 'UNKNOWN_PROGRAM' | 'EXECUTION_FAILED', customCode?: number): NonNullable<Report['error']> {
  return { code: ErrorCode[name], name, ...(customCode === undefined ? {} : { customCode }) };
}

// ---- Arguments of the host ----

/** Addresses are base58 strings here, and nothing else is known about them. */
function toAddress(address: api.AddressLike): string {
  if (typeof address !== 'string') throw new TypeError('the model takes addresses as base58 strings');
  return address;
}

/** A plain copy, also of a Buffer. */
const toBytes = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes);

function toMeta(meta: api.AccountMetaLike): Meta {
  if (typeof meta === 'string') return { address: meta, isSigner: false, isWritable: false };
  if (!('address' in meta) || 'role' in meta) throw new TypeError('the model takes accounts as { address, isSigner, isWritable }');
  return { address: toAddress(meta.address), isSigner: meta.isSigner ?? false, isWritable: meta.isWritable ?? false };
}

function toCallback(
  { programId, data = new Uint8Array(0), accounts = [], computeBudget }: api.CallbackOptions,
  { maxComputeBudget, slotComputeLimit }: LimitValues,
): Callback {
  const otherwise = [DEFAULT_BUDGET, maxComputeBudget, slotComputeLimit].reduce((a, b) => (a < b ? a : b));
  return {
    programId: toAddress(programId),
    data: toBytes(data),
    accounts: [...accounts].map(toMeta),
    computeBudget: u64(computeBudget ?? otherwise),
  };
}

/** An argument that the trigger would ignore is refused, and so is one that it lacks. */
function toTrigger({ trigger, threshold, offset, pattern }: api.WatcherOptions): watchers.Trigger {
  const isThreshold = watchers.isThreshold(trigger);
  const isPattern = trigger === watchers.PATTERN_MATCH;
  if (isThreshold !== (threshold !== undefined) || isPattern !== (pattern !== undefined)) refuse('INVALID_ARGUMENT');
  if (!isThreshold && !isPattern && offset !== undefined) refuse('INVALID_ARGUMENT');
  return {
    type: trigger,
    offset: u64(offset ?? 0),
    threshold: BigInt(threshold ?? 0),
    pattern: toBytes(pattern ?? new Uint8Array(0)),
  };
}

const byId = <T extends { id: bigint }>(list: T[]): T[] => list.sort((a, b) => (a.id < b.id ? -1 : 1));

export { ModelError };
