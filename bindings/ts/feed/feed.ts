/** Brings the messages of a cluster into the order of slots, and an engine with them from slot to slot. */

import { toBoolean, toCount, toObject } from '../arguments.js';
import { ErrorCode } from '../constants.js';
import { AsyncBpfEngine } from '../engine.js';
import { AsyncBpfError, invalidArgument } from '../errors.js';
import type { SlotReport } from '../types.js';
import {
  COMMITMENTS,
  compareStates,
  PROGRESS,
  toMessage,
  type AccountState,
  type Commitment,
  type FeedMessage,
  type Message,
  type MessageOf,
  type StateTime,
} from './messages.js';
import { Recorder } from './recording.js';
import { PendingSlots, type PendingSlot } from './slots.js';
import { drive, type FeedSource, type RunOptions } from './sources.js';

/** What a feed is created with. */
export interface FeedOptions {
  /**
   * How sure the cluster must be of a slot before it is processed. With `'processed'`, slots of forks that the cluster gives up are processed as well:
   * that is for a local validator. Default `'confirmed'`.
   */
  commitment?: Commitment;
  /**
   * How many later slots must have the commitment as well, in [0, 100]. 1 lets in stragglers, where accounts and slots come by different
   * subscriptions. Default 0.
   */
  holdSlots?: number;
  /** Whether a slot waits for its block time. Without, a slot whose time has not come by then is 400 ms after the one before. Default false. */
  waitForBlockTime?: boolean;
  /** Slots that may wait, in [1, 1,000,000]. Default 1,024. */
  maxPendingSlots?: number;
  /** Bytes that account states may take while they wait, each 256 and its data, in [1, 2^40]. Default 256 MiB. */
  maxPendingBytes?: number;
  /** A file to be written, from which {@link replay} repeats the run. It must not be there yet. */
  recording?: string | URL;
}

/** What became of the messages of a feed. */
export interface FeedStats {
  /** Slots that were processed. */
  slotsProcessed: number;
  /** Slots that the cluster gave up: they were dead, or on a branch that was not the one. */
  slotsDropped: number;
  /** Slots that wait. */
  slotsPending: number;
  /** Account states that were taken: the sum of the next five. */
  accounts: number;
  /** Account states that the engine was given. */
  accountsApplied: number;
  /** Account states of slots that the cluster gave up. */
  accountsDropped: number;
  /** Account states that were there already. */
  accountsDuplicate: number;
  /** Account states that were no longer the last of their account when they came, or when their slot was processed. */
  accountsSuperseded: number;
  /** Account states that wait. */
  accountsPending: number;
  /** Account states that came after their slot was processed, and went into the next. */
  accountsLate: number;
  /** Block times that came after their slot was processed. */
  blockTimesLate: number;
  /** Bytes that account states take while they wait. */
  bytesPending: number;
}

const OPTIONS: readonly (keyof FeedOptions)[] = [
  'commitment',
  'holdSlots',
  'waitForBlockTime',
  'maxPendingSlots',
  'maxPendingBytes',
  'recording',
];
const MAX_HOLD = 100;
const MAX_SLOTS = 1_000_000;
const MAX_BYTES = 2 ** 40;
const DEFAULT_MAX_SLOTS = 1_024;
const DEFAULT_MAX_BYTES = 268_435_456;
/** What the state of an account takes beside its data. */
const OVERHEAD = 256;

/**
 * Gives an engine the slots and account states of a cluster, in the order of slots.
 *
 * What belongs to a slot is held until the slot has the commitment; then the engine is given the last state of each account, in the order of their
 * addresses, and processes the slot. Until it has, messages may come in any order, and more than once: the outcomes and state hashes are the same. States that
 * come later go into the next slot, unless a newer one of the account was there, and are counted. Skipped slots are not processed, nor are slots on
 * branches that the cluster gave up.
 *
 * From now on the feed alone processes slots of the engine. It remembers for each account which state it was given last.
 *
 * @example
 * ```ts
 * const feed = new Feed(engine, { commitment: 'confirmed', recording: 'run.jsonl' });
 * await feed.run(convert(stream, fromYellowstone), { signal, onSlot: (report) => console.log(report.slot) });
 * feed.close();
 * ```
 */
export class Feed implements Disposable {
  readonly #engine: AsyncBpfEngine;
  readonly #commitment: Commitment;
  readonly #holdSlots: number;
  readonly #waitForBlockTime: boolean;
  readonly #maxPendingSlots: number;
  readonly #maxPendingBytes: number;
  readonly #recorder: Recorder | undefined;
  readonly #pending: PendingSlots;
  /** States for the next slot, whichever that is. */
  readonly #late = new Map<string, AccountState>();
  /** When each account was what the engine was given last. */
  readonly #applied = new Map<string, StateTime>();
  /** Slots that were given up, the most recent ones. */
  readonly #dropped = new Set<bigint>();
  #isRunning = false;
  #isClosed = false;
  readonly #stats: Omit<FeedStats, 'slotsPending'> = {
    slotsProcessed: 0,
    slotsDropped: 0,
    accounts: 0,
    accountsApplied: 0,
    accountsDropped: 0,
    accountsDuplicate: 0,
    accountsSuperseded: 0,
    accountsPending: 0,
    accountsLate: 0,
    blockTimesLate: 0,
    bytesPending: 0,
  };

  /**
   * @param engine Its `startSlot` should be the slot before the first that is to be processed.
   * @throws AsyncBpfError INVALID_ARGUMENT, for a recording that cannot be created as well; SHUTDOWN.
   */
  constructor(engine: AsyncBpfEngine, options: FeedOptions = {}) {
    if (!(engine instanceof AsyncBpfEngine)) throw invalidArgument('engine', engine, 'an AsyncBpfEngine');
    const {
      commitment = 'confirmed',
      holdSlots = 0,
      waitForBlockTime = false,
      recording,
      ...limits
    } = toObject(options, 'options', OPTIONS);
    const { maxPendingSlots = DEFAULT_MAX_SLOTS, maxPendingBytes = DEFAULT_MAX_BYTES } = limits;
    if (!COMMITMENTS.includes(commitment)) throw invalidArgument('commitment', commitment, `one of ${COMMITMENTS.join(', ')}`);
    this.#engine = engine;
    this.#commitment = commitment;
    this.#holdSlots = toCount(holdSlots, 'holdSlots', 0, MAX_HOLD);
    this.#waitForBlockTime = toBoolean(waitForBlockTime, 'waitForBlockTime');
    this.#maxPendingSlots = toCount(maxPendingSlots, 'maxPendingSlots', 1, MAX_SLOTS);
    this.#maxPendingBytes = toCount(maxPendingBytes, 'maxPendingBytes', 1, MAX_BYTES);
    this.#pending = new PendingSlots(engine.slot);
    if (recording === undefined) return;
    this.#recorder = new Recorder(recording, { commitment, holdSlots, waitForBlockTime, maxPendingSlots, maxPendingBytes });
  }

  /**
   * Takes one message, and processes the slots that can be processed now; returns their reports.
   *
   * @throws AsyncBpfError INVALID_ARGUMENT; QUEUE_FULL when a limit is reached; ENGINE_BUSY during {@link run}; SHUTDOWN. Then the message was not taken.
   *   Also what `engine.updateAccounts` refuses, for example a sysvar or a loaded program: then the slot still waits.
   */
  push(message: FeedMessage): SlotReport[] {
    this.#assertIdle();
    return [...this.#take(message)];
  }

  /**
   * Takes what sources give until all have ended or the signal aborts. Sources are asked for their next message only when the last one is done
   * with, which is when `onSlot` is done with the slots that it made ready. They are closed in the end.
   *
   * What waits then still waits: a feed can run again, for example when a connection was lost.
   *
   * @param sources One, or several that run at the same time: see {@link convert}.
   * @throws What a source or `onSlot` throws; what {@link push} does.
   */
  async run(sources: FeedSource | readonly FeedSource[], options: RunOptions = {}): Promise<void> {
    this.#assertIdle();
    this.#isRunning = true;
    try {
      await drive(sources, options, (message) => this.#take(message));
    } finally {
      this.#isRunning = false;
      this.#recorder?.flush();
    }
  }

  /** Counts. */
  get stats(): FeedStats {
    return { ...this.#stats, slotsPending: this.#pending.size };
  }

  /** Ends the recording, and takes no more messages. The engine stays open. Closing again does nothing. */
  close(): void {
    this.#isClosed = true;
    this.#recorder?.close();
  }

  /** Does the same, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Slot by slot: the next is processed when the report of the one before was taken. */
  *#take(message: FeedMessage): Generator<SlotReport, void> {
    this.apply(message);
    // A state of an account does not make a slot ready.
    if (message.type === 'account') return;
    for (let report = this.processNext(); report; report = this.processNext()) yield report;
  }

  #assertIdle(): void {
    if (!this.#isRunning) return;
    throw new AsyncBpfError(ErrorCode.ENGINE_BUSY, 'the feed is running; pass all sources to one run(), or wait until it is over');
  }

  /** @internal Takes a message, and processes nothing. */
  apply(raw: FeedMessage): void {
    if (this.#isClosed) throw new AsyncBpfError(ErrorCode.SHUTDOWN, 'the feed is closed; create another one');
    const message = toMessage(raw);
    this.#apply(message);
    this.#recorder?.message(message);
  }

  #apply(message: Message): void {
    switch (message.type) {
      case 'account':
        return this.#applyAccount(message);
      case 'slot':
        return this.#applySlot(message);
      case 'blockTime':
        return this.#applyBlockTime(message);
    }
  }

  #applyAccount({ type: _, ...state }: MessageOf<'account'>): void {
    const key = Buffer.from(state.address).toString('latin1');
    const pending = this.#pending.get(state.slot);
    const isLate = state.slot <= this.#pending.last;
    const waiting = (isLate ? this.#late : pending?.accounts)?.get(key);
    if (isLate ? this.#dropped.has(state.slot) : pending?.isDead) {
      this.#stats.accountsDropped++;
    } else if (this.#isNews(state, this.#applied.get(key)) && this.#isNews(state, waiting)) {
      const bytes = this.#stats.bytesPending + sizeOf(state) - (waiting ? sizeOf(waiting) : 0);
      if (bytes > this.#maxPendingBytes) throw this.#full(`account states of ${bytes} bytes`, 'maxPendingBytes', this.#maxPendingBytes);
      const accounts = isLate ? this.#late : this.#slot(state.slot).accounts;
      accounts.set(key, state);
      this.#stats.bytesPending = bytes;
      if (waiting) this.#stats.accountsSuperseded++;
      else this.#stats.accountsPending++;
      if (isLate) this.#stats.accountsLate++;
    }
    this.#stats.accounts++;
  }

  /** Whether a state is later than one that is known. Counts it if not. */
  #isNews(state: AccountState, known: StateTime | undefined): boolean {
    const order = known ? compareStates(state, known) : 1;
    if (order === 0) this.#stats.accountsDuplicate++;
    if (order < 0) this.#stats.accountsSuperseded++;
    return order > 0;
  }

  #applySlot({ slot, parent, status }: MessageOf<'slot'>): void {
    if (slot <= this.#pending.last) return;
    const pending = this.#slot(slot);
    if (parent !== undefined) pending.parent = parent;
    // A node that gave a slot up may get another version of it, and begin anew.
    pending.isDead = status === 'dead';
    if (pending.isDead) {
      pending.hasCommitment = false;
      this.#drop(pending);
    } else if (PROGRESS[status] >= PROGRESS[this.#commitment]) {
      pending.hasCommitment = true;
    }
  }

  #applyBlockTime({ slot, unixTimestamp }: MessageOf<'blockTime'>): void {
    if (slot <= this.#pending.last) this.#stats.blockTimesLate++;
    else this.#slot(slot).unixTimestamp ??= unixTimestamp;
  }

  /** The slot that waits under a number. */
  #slot(slot: bigint): PendingSlot {
    const known = this.#pending.get(slot);
    if (known) return known;
    const slots = this.#pending.size + 1;
    if (slots > this.#maxPendingSlots) throw this.#full(`${slots} slots`, 'maxPendingSlots', this.#maxPendingSlots);
    return this.#pending.add(slot);
  }

  #full(what: string, limit: string, value: number): AsyncBpfError {
    const awaited = `'${this.#commitment}'${this.#waitForBlockTime ? ' and block times' : ''}`;
    return new AsyncBpfError(
      ErrorCode.QUEUE_FULL,
      `${what} would wait for ${awaited}, but ${limit} is ${value}; have a source that tells of these, or raise the limit`,
    );
  }

  /** @internal Processes the slot that is next, if it can be. */
  processNext(): SlotReport | undefined {
    const next = this.#pending.next(this.#holdSlots);
    if (!next || (this.#waitForBlockTime && next.unixTimestamp === undefined)) return undefined;
    const { slot, unixTimestamp, accounts } = next;
    const states = new Map([...this.#late, ...accounts]);
    const superseded = this.#late.size + accounts.size - states.size;
    // Write versions stay here: they count within a slot, the engine's across slots.
    const updates = [...states]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([, { slot: _, writeVersion: __, ...update }]) => update);
    if (updates.length > 0) this.#engine.updateAccounts(updates);
    const report = this.#engine.processSlot(slot, unixTimestamp === undefined ? undefined : { unixTimestamp });

    for (const [key, { slot: when, writeVersion }] of states) this.#applied.set(key, { slot: when, writeVersion });
    this.#release(this.#late);
    this.#release(accounts);
    for (const passed of this.#pending.advance(slot)) this.#giveUp(passed);
    this.#stats.accountsApplied += states.size;
    this.#stats.accountsSuperseded += superseded;
    this.#stats.slotsProcessed++;
    this.#recorder?.processed(report);
    return report;
  }

  /** Remembers that a slot is not one of the branch. */
  #giveUp(pending: PendingSlot): void {
    this.#drop(pending);
    this.#stats.slotsDropped++;
    this.#dropped.add(pending.slot);
    if (this.#dropped.size <= this.#maxPendingSlots) return;
    const [oldest] = this.#dropped;
    this.#dropped.delete(oldest!);
  }

  #drop({ accounts }: PendingSlot): void {
    this.#stats.accountsDropped += accounts.size;
    this.#release(accounts);
  }

  /** States that do not wait any more. */
  #release(states: Map<string, AccountState>): void {
    this.#stats.accountsPending -= states.size;
    for (const state of states.values()) this.#stats.bytesPending -= sizeOf(state);
    states.clear();
  }
}

function sizeOf({ data }: AccountState): number {
  return OVERHEAD + data.length;
}
