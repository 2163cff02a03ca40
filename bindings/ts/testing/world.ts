/** An engine with a clock of slots, and the memory of what happened. */

import { AssertionError } from 'node:assert';
import { readFileSync } from 'node:fs';
import { addressString, toAccountMetas, toAddress, toArray, toObject, toU64, type AddressLike, type U64Like } from '../arguments.js';
import { CALLBACK_KEYS } from '../callbacks.js';
import { AsyncBpfEngine } from '../engine.js';
import { invalidArgument } from '../errors.js';
import type { AccountInit, Address, CallbackOptions, EngineOptions, SlotOptions, SlotReport, TaskHandle } from '../types.js';
import { sameState, type AccountState } from './accounts.js';
import { label } from './addresses.js';
import { timeline } from './describe.js';
import { Outcomes, type SlotOutcome } from './outcomes.js';

/** A mistake in a test should fail it, not keep it busy for hours. */
const MAX_SLOTS = 1_000_000n;
const DEFAULT_MAX_SLOTS = 1_000;

/** What {@link AsyncBpfEngine.addProgram} takes, or the path of a file with it; relative paths start at the working directory. */
export type ProgramSource = string | URL | Parameters<AsyncBpfEngine['addProgram']>[1];

/** Tells a world the time. */
export interface ClockOptions {
  /** Seconds since 1970 in a slot, for the Clock sysvar. Default: 400 ms a slot after the start. */
  unixTimestamp?: (slot: bigint) => bigint | number;
}

/** What a world is created with: what an engine is, by address, and the clock. */
export interface WorldOptions extends Omit<EngineOptions, 'accounts'>, ClockOptions {
  /** Threads that run callbacks, in [1, 256]. Default 1, the calling thread: a test gains nothing from more, and results do not depend on it. */
  workers?: number;
  /** Programs by address: files, or what is in them. */
  programs?: Readonly<Record<Address, ProgramSource>>;
  /** Accounts by address. They are tracked: see {@link World.track}. */
  accounts?: Readonly<Record<Address, AccountInit>>;
}

/** Whose outcomes: the id of a timer or watcher, the handle of a task, or the address of a program. */
export type OutcomeSource = U64Like | TaskHandle | AddressLike;

/** A change of an account that was seen. */
export interface AccountChange {
  /** The slot after which it was seen; for a change between slots, for example by `invoke`, the slot before. */
  slot: bigint;
  /** `undefined` when the account did not exist. */
  before: AccountState | undefined;
  /** `undefined` when the account does not exist any more. */
  after: AccountState | undefined;
}

interface TrackedAccount {
  first: AccountState | undefined;
  last: AccountState | undefined;
  changes: AccountChange[];
}

const WORLD_KEYS: Readonly<Record<keyof WorldOptions, true>> = {
  workers: true,
  executor: true,
  logs: true,
  startSlot: true,
  startTimestamp: true,
  limits: true,
  programs: true,
  accounts: true,
  unixTimestamp: true,
};

/**
 * An engine with its programs and accounts, under a clock of slots that remembers what happened.
 *
 * @throws AsyncBpfError INVALID_ARGUMENT, for a file that cannot be read or is no program as well.
 * @example
 * ```ts
 * const world = createWorld({
 *   programs: { [program]: 'programs/prebuilt/counter.so' },
 *   accounts: { [counter]: dataAccount(program, 8) },
 * });
 * world.invoke({ programId: program, accounts: [{ address: counter, isWritable: true }], data: Uint8Array.of(1) });
 * world.advance(10);
 * expect(world.outcomes(program)).toHaveFiredAt(10);
 * ```
 */
export function createWorld(options: WorldOptions = {}): World {
  const { programs = {}, accounts = {}, unixTimestamp, workers = 1, ...rest } = toObject(options, 'options', Object.keys(WORLD_KEYS));
  const states = entries(accounts, 'accounts').map(([address, account]) => ({ ...account, address }));
  const files = entries(programs, 'programs').map(([address, source]) => [address, toProgram(address, source)] as const);
  const clock = toClock({ unixTimestamp });
  const engine = new AsyncBpfEngine({ ...rest, workers, accounts: states });
  try {
    for (const [address, program] of files) engine.addProgram(address, program);
    const world = new World(engine, clock);
    world.track(...states.map(({ address }) => address));
    return world;
  } catch (error) {
    engine.close();
    throw error;
  }
}

/**
 * A virtual clock of slots over an engine, and the history of what ran under it.
 *
 * The engine is there for everything else: `world.engine.timers.create(…)`, `world.engine.setAccount(…)`. Slots that are processed and
 * instructions that are invoked past the world, on the engine itself, are not part of the history. The history is kept whole: see {@link World.forget}.
 */
export class World implements Disposable {
  /** The engine under the clock. */
  readonly engine: AsyncBpfEngine;
  readonly #unixTimestamp: ClockOptions['unixTimestamp'];
  #reports: SlotReport[] = [];
  #processed = new Set<bigint>();
  #outcomes: SlotOutcome[] = [];
  readonly #tracked = new Map<Address, TrackedAccount>();

  /**
   * Puts a clock over an engine that is there already; {@link createWorld} creates both.
   *
   * @throws AsyncBpfError INVALID_ARGUMENT
   */
  constructor(engine: AsyncBpfEngine, options: ClockOptions = {}) {
    if (!(engine instanceof AsyncBpfEngine)) throw invalidArgument('engine', engine, 'an AsyncBpfEngine');
    this.engine = engine;
    this.#unixTimestamp = toClock(toObject(options, 'options', ['unixTimestamp'])).unixTimestamp;
  }

  /** The slot that was processed last, or the start slot. */
  get slot(): bigint {
    return this.engine.slot;
  }

  /** The slots that this world processed, oldest first. */
  get reports(): readonly SlotReport[] {
    return this.#reports;
  }

  /**
   * Processes slots, one after another, and returns their reports.
   *
   * @param slots How many, in [1, 1,000,000]. Default 1.
   * @throws AsyncBpfError INVALID_ARGUMENT, also past the last slot there is, 2^64 - 1; SHUTDOWN
   */
  advance(slots: U64Like = 1): SlotReport[] {
    return this.#processUpTo(this.slot + toSlots(slots, 'slots'));
  }

  /**
   * Processes every slot up to one, itself included, and returns their reports.
   *
   * @param slot In [current slot + 1, current slot + 1,000,000].
   * @throws AsyncBpfError INVALID_ARGUMENT, SHUTDOWN
   */
  advanceTo(slot: U64Like): SlotReport[] {
    const [last, now] = [toU64(slot, 'slot'), this.slot];
    if (last <= now || last - now > MAX_SLOTS) {
      throw invalidArgument(
        'slot',
        slot,
        `in [${now + 1n}, ${now + MAX_SLOTS}], since slot ${now} was the last; skipTo() goes further in one step`,
      );
    }
    return this.#processUpTo(last);
  }

  /**
   * Processes slots until `condition` returns true, which it is asked after each, and returns the report of that slot.
   *
   * @param condition Gets the report of the slot, and may look at the engine as well.
   * @param atMost How many slots, in [1, 1,000,000]. Default 1,000.
   * @throws AssertionError when the condition was not met by then. It says what ran instead; the slots stay processed.
   * @throws AsyncBpfError INVALID_ARGUMENT, SHUTDOWN; what `condition` throws.
   * @example
   * ```ts
   * const report = world.advanceUntil(({ watchersTriggered }) => watchersTriggered > 0n, 100);
   * ```
   */
  advanceUntil(condition: (report: SlotReport) => boolean, atMost: U64Like = DEFAULT_MAX_SLOTS): SlotReport {
    if (typeof condition !== 'function') throw invalidArgument('condition', condition, 'a function that gets a report');
    const [most, first, before] = [toSlots(atMost, 'atMost'), this.slot + 1n, this.#outcomes.length];
    for (let count = 0n; count < most; count++) {
      const report = this.#process(this.slot + 1n);
      const isMet: unknown = condition(report);
      if (typeof isMet !== 'boolean') throw invalidArgument('what condition returned', isMet, 'true or false, and no promise of it');
      if (isMet) return report;
    }
    const slots = most === 1n ? `slot ${first}` : `slots ${first} to ${this.slot}`;
    const message = `the condition was not met in ${slots}. What ran there:\n${timeline(this.#outcomes.slice(before))}`;
    throw new AssertionError({ message, stackStartFn: this.advanceUntil });
  }

  /**
   * Processes one slot and skips those before it, as a host does that was away.
   *
   * @param slot Above the current one.
   * @param options `unixTimestamp` is used instead of the world's clock.
   * @throws AsyncBpfError INVALID_SLOT, INVALID_ARGUMENT, SHUTDOWN
   */
  skipTo(slot: U64Like, options: SlotOptions = {}): SlotReport {
    return this.#process(toU64(slot, 'slot'), options);
  }

  /**
   * Runs one instruction now, as `engine.invoke` does, and remembers what came of it. The accounts that it may write are tracked from before on.
   *
   * @throws AsyncBpfError UNKNOWN_PROGRAM, INVALID_ARGUMENT, SHUTDOWN. A program that fails is an outcome.
   */
  invoke(options: CallbackOptions): SlotOutcome {
    const accounts = toArray(toObject(options, 'options', CALLBACK_KEYS).accounts ?? [], 'accounts');
    const writable = toAccountMetas(accounts, 'accounts').filter((meta) => meta.writable);
    const untracked = this.#untracked(writable.map(({ address }) => addressString(address)));
    const outcome = { slot: this.slot, ...this.engine.invoke({ ...options, accounts }) };
    for (const [name, account] of untracked) this.#tracked.set(name, account);
    this.#outcomes.push(outcome);
    this.#look();
    return outcome;
  }

  /**
   * What ran so far: everything, or what a timer or watcher, a task, or a program did.
   *
   * @param of The id of a timer or watcher, what `tasks.submit` returned, or the address of a program.
   * @throws AsyncBpfError INVALID_ARGUMENT when there is no such timer, watcher or program, and never was in this history; SHUTDOWN.
   * @example
   * ```ts
   * expect(world.outcomes(timer).slots).toEqual([5n, 10n, 15n]);
   * expect(world.outcomes(timer)).toHaveCommitted();
   * ```
   */
  outcomes(of?: OutcomeSource): Outcomes {
    if (of === undefined) return new Outcomes('this world', this.#processed, this.#outcomes);
    const [name, isOf] = isId(of) ? this.#byId(of) : this.#byProgram(of);
    return new Outcomes(name, this.#processed, this.#outcomes.filter(isOf));
  }

  /**
   * Looks at accounts from now on: before and after each slot that this world processes, and each of its invocations. The accounts that
   * `createWorld` was given, those that `invoke` may write, and those that `fromLiteSvm` copied are tracked already.
   *
   * @param addresses Also of accounts that do not exist yet.
   * @throws AsyncBpfError INVALID_ARGUMENT, SHUTDOWN
   */
  track(...addresses: AddressLike[]): void {
    const names = addresses.map((address, index) => addressString(toAddress(address, `addresses[${index}]`)));
    for (const [name, account] of this.#untracked(names)) this.#tracked.set(name, account);
  }

  /** The accounts that are tracked, in the order in which that began. */
  get tracked(): Address[] {
    return [...this.#tracked.keys()];
  }

  /**
   * How an account changed since it is tracked, oldest first: one entry for each slot or invocation that left it different.
   *
   * @throws AsyncBpfError INVALID_ARGUMENT for an account that is not tracked; SHUTDOWN.
   */
  changes(address: AddressLike): AccountChange[] {
    const name = addressString(toAddress(address, 'address'));
    const account = this.#tracked.get(name);
    if (!account)
      throw invalidArgument('address', name, `that of a tracked account: call world.track() for ${label(name)} before it changes`);
    this.#look();
    return [...account.changes];
  }

  /** @internal What an account was when it began to be tracked. */
  trackedAs(address: Address): AccountState | undefined {
    return this.#tracked.get(address)?.first;
  }

  /** Forgets the history: reports, outcomes and changes. The accounts stay tracked, and ids known to the engine stay known. */
  forget(): void {
    this.#look();
    this.#reports = [];
    this.#processed = new Set();
    this.#outcomes = [];
    for (const account of this.#tracked.values()) account.changes = [];
  }

  /** Closes the engine. What was remembered can still be read. Closing again does nothing. */
  close(): void {
    this.engine.close();
  }

  /** Closes the engine. */
  [Symbol.dispose](): void {
    this.close();
  }

  #processUpTo(last: bigint): SlotReport[] {
    const reports: SlotReport[] = [];
    while (this.slot < last) reports.push(this.#process(this.slot + 1n));
    return reports;
  }

  #process(slot: bigint, options: SlotOptions = {}): SlotReport {
    this.#look();
    const unixTimestamp = this.#unixTimestamp?.(slot);
    const report = this.engine.processSlot(slot, unixTimestamp === undefined ? options : { unixTimestamp, ...options });
    this.#reports.push(report);
    this.#processed.add(report.slot);
    for (const outcome of report.outcomes) this.#outcomes.push({ slot: report.slot, ...outcome });
    this.#look();
    return report;
  }

  /** Notes which of the tracked accounts are not as they were. */
  #look(): void {
    for (const [address, account] of this.#tracked) {
      const after = this.#stateOf(address);
      if (sameState(account.last, after)) continue;
      account.changes.push({ slot: this.slot, before: account.last, after });
      account.last = after;
    }
  }

  /** Those of these accounts that are not tracked yet, as they are now. */
  #untracked(names: Address[]): Map<Address, TrackedAccount> {
    const states = names.filter((name) => !this.#tracked.has(name)).map((name) => [name, this.#stateOf(name)] as const);
    return new Map(states.map(([name, state]) => [name, { first: state, last: state, changes: [] }]));
  }

  #stateOf(address: Address): AccountState | undefined {
    const account = this.engine.getAccount(address);
    if (!account) return undefined;
    const { lamports, data, owner, executable } = account;
    return { lamports, data, owner, executable };
  }

  #byId(of: U64Like | TaskHandle): [name: string, isOf: (outcome: SlotOutcome) => boolean] {
    const isTask = typeof of === 'object';
    const id = toU64(isTask ? of.id : of, isTask ? 'of.id' : 'of');
    const isOf = ({ source }: SlotOutcome) => source.id === id;
    const kind =
      this.#outcomes.find(isOf)?.source.kind ??
      (isTask ? 'task' : this.engine.timers.get(id) ? 'timer' : this.engine.watchers.get(id) ? 'watcher' : undefined);
    if (kind === undefined) {
      throw invalidArgument(
        'of',
        of,
        'the id of a timer or watcher that the engine has or that ran in this history; a task is named by its handle',
      );
    }
    return [`${kind} ${id}`, isOf];
  }

  #byProgram(of: AddressLike): [name: string, isOf: (outcome: SlotOutcome) => boolean] {
    const address = addressString(toAddress(of, 'of'));
    const isOf = ({ programId }: SlotOutcome) => programId === address;
    if (!this.#outcomes.some(isOf) && !this.engine.getAccount(address)?.executable) {
      throw invalidArgument(
        'of',
        address,
        `the address of a program that the engine has or that ran in this history; ${label(address)} is none`,
      );
    }
    return [`program ${label(address)}`, isOf];
  }
}

function isId(of: OutcomeSource): of is U64Like | TaskHandle {
  return typeof of === 'number' || typeof of === 'bigint' || (typeof of === 'object' && of !== null && 'outcome' in of && 'id' in of);
}

function toClock({ unixTimestamp }: ClockOptions): ClockOptions {
  if (unixTimestamp !== undefined && typeof unixTimestamp !== 'function') {
    throw invalidArgument('unixTimestamp', unixTimestamp, 'a function from a slot to seconds since 1970');
  }
  return { unixTimestamp };
}

function toSlots(slots: U64Like, argument: string): bigint {
  const count = toU64(slots, argument);
  if (count < 1n || count > MAX_SLOTS) throw invalidArgument(argument, slots, `in [1, ${MAX_SLOTS}]; skipTo() goes further in one step`);
  return count;
}

/** What is at each address, of which every one is looked at before anything is done. */
function entries<T>(record: Readonly<Record<Address, T>>, argument: string): [Address, T][] {
  const all = Object.entries(toObject(record, argument, Object.keys(record ?? {})));
  for (const [address] of all) toAddress(address, `a key of ${argument}`);
  return all;
}

function toProgram(address: Address, source: ProgramSource): Exclude<ProgramSource, string | URL> {
  if (typeof source !== 'string' && !(source instanceof URL)) return source;
  try {
    return readFileSync(source);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw invalidArgument(`programs[${JSON.stringify(address)}]`, String(source), `a file that can be read: ${reason}`);
  }
}
