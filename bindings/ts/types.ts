/** What goes into the engine and what comes out of it. */

import type { AccountMetaLike, AddressLike, U64Like } from './arguments.js';
import type { CatchUp, ErrorCode, Limits, Priority, RingState, TimerState, WatcherTrigger } from './constants.js';
import type { ErrorCodeName } from './errors.js';
import type { ProgramContext } from './programs.js';

/** A base58 address, as `@solana/kit` uses it. */
export type Address = string;

/**
 * A program that is a JavaScript function. It returns nothing or 0 for success, else the number of its error, in [1, 2^32 - 1]; what it throws
 * makes the invocation fail, with the message in the outcome. It cannot wait, and nothing stops one that does not end.
 */
export type Program = (context: ProgramContext) => number | void;

/** What `addProgram` is told of a function. */
export interface ProgramOptions {
  /**
   * Which function it is, in at most 128 bytes: part of the state hash, as the contents of a file are. Change it when the function does
   * something else. Default: none.
   */
  version?: string;
}

/** What a callback was caused by: `sol_async_context` of on-chain programs. */
export interface CallbackCause {
  /** A timer, a watcher or a task. */
  source: Source;
  /** Under which it runs. */
  priority: Priority;
  /** The slot in which it was due. */
  dueSlot: bigint;
  /** How many ticks or triggers this callback stands for. */
  ticks: bigint;
  /** Of a watcher: what it watches for. */
  trigger?: WatcherTrigger;
  /** Of a watcher: the watched account. */
  account?: Address;
  /** Of a watcher of a threshold: the number before the slot, if there was one. */
  oldValue?: bigint;
  /** Of a watcher of a threshold: the number now, if there is one. */
  newValue?: bigint;
}

/** An instruction for another program. */
export interface CpiOptions {
  /** The program to run. */
  programId: AddressLike;
  /** Accounts in the order in which the program sees them, of those that the invocation has. Default: none. */
  accounts?: Iterable<AccountMetaLike>;
  /** Instruction data. Default: none. */
  data?: Uint8Array;
  /** For each address derived from the calling program that signs: its seeds, the bump included. Default: none. */
  signers?: Iterable<Iterable<Uint8Array>>;
}

/** What a program has returned. */
export interface ReturnData {
  /** The program. */
  programId: Address;
  /** At most 1,024 bytes. */
  data: Uint8Array;
}

/** What an engine is created with. */
export interface EngineOptions {
  /** Threads that run callbacks, in [1, 256]; with 1, the calling thread runs them. Default: one less than there are cores. Results do not depend on it. */
  workers?: number;
  /** Whether outcomes have what programs and the runtime logged. Without, `logs` is empty, and everything else is as with. Default true. */
  logs?: boolean;
  /**
   * What runs programs: `'lean'` sets up what a callback needs, `'stock'` is Agave's own path, several times slower, to compare with. Results
   * do not depend on it. Default `'lean'`.
   */
  executor?: 'lean' | 'stock';
  /** The current slot at first. Default 0. */
  startSlot?: U64Like;
  /** Seconds since 1970 at the start slot. Default 0. */
  startTimestamp?: bigint | number;
  /** Limits other than the default ones. */
  limits?: Partial<Limits>;
  /** Accounts to begin with. */
  accounts?: Iterable<AccountInit & Pick<AccountUpdate, 'address'>>;
}

/** A whole account: what is left out is empty, not as it was before. */
export interface AccountInit {
  /** Balance; 0 removes the account. */
  lamports: U64Like;
  /** Contents, at most 10 MiB. Default: none. */
  data?: Uint8Array;
  /** The program that may change it. Default: the system program. */
  owner?: AddressLike;
  /** Whether the account is a program. Such an account does not run; use `addProgram` for that. Default false. */
  executable?: boolean;
}

/** A new state of an account, seen elsewhere: the whole of it. What is left out is empty, not as it was before. */
export interface AccountUpdate extends AccountInit {
  /** Which account it is. */
  address: AddressLike;
  /** Orders the updates of one account: one that is not above the last applied is ignored. */
  writeVersion?: U64Like;
}

/** What `accountBatch` is told. */
export interface AccountBatchOptions {
  /** Rows, in [1, 1,000,000]. */
  capacity: number;
  /** Bytes of data that each row has room for, in [0, 10 MiB]. Default 0. */
  dataLength?: number;
  /** Whether rows have write versions. Default false. */
  writeVersions?: boolean;
}

/** An account as it is now. */
export interface AccountInfo {
  /** Which account it is. */
  address: Address;
  /** Its balance. */
  lamports: bigint;
  /** Its contents: a copy. */
  data: Uint8Array;
  /** The program that may change it. */
  owner: Address;
  /** Whether it is a program. */
  executable: boolean;
}

/** One instruction with a budget. */
export interface CallbackOptions {
  /** The program to run. */
  programId: AddressLike;
  /** Instruction data. Default: none. */
  data?: Uint8Array;
  /** Accounts in the order in which the program sees them. Default: none. */
  accounts?: Iterable<AccountMetaLike>;
  /** Compute units it may use, in [1, maxComputeBudget]. Default 200,000, or the limit where that is lower. */
  computeBudget?: U64Like;
}

/** A timer that fires once. */
export interface TimerOptions extends CallbackOptions {
  /** In [slot + minTimerSlots, slot + maxTimerSlots]. */
  triggerSlot: U64Like;
  /** Default NORMAL. */
  priority?: Priority;
  /** The last slot in which it may still run; after it, the timer is EXPIRED. Not before `triggerSlot`. */
  deadlineSlot?: U64Like;
}

/** A timer that fires on the grid start + k * period. */
export interface PeriodicTimerOptions extends CallbackOptions {
  /** In [slot + minTimerSlots, slot + maxTimerSlots]. */
  startSlot: U64Like;
  /** In [minTimerSlots, maxTimerSlots]. */
  periodSlots: U64Like;
  /** Default NORMAL. */
  priority?: Priority;
  /** What to do about ticks in skipped slots. Default ONCE. */
  catchUp?: CatchUp;
  /** With ALL: callbacks in one slot, in [1, 64]; the last stands for the rest. Default 16. */
  maxTicks?: U64Like;
}

/** A watcher. */
export interface WatcherOptions extends CallbackOptions {
  /** The account to watch. It is appended to the callback's accounts, read-only, if it is not among them. */
  account: AddressLike;
  /** When it fires. */
  trigger: WatcherTrigger;
  /** With THRESHOLD_ABOVE and THRESHOLD_BELOW: a signed 64-bit number. */
  threshold?: bigint | number;
  /** With thresholds and PATTERN_MATCH: bytes from the start of the data. Default 0. */
  offset?: U64Like;
  /** With PATTERN_MATCH: 1 to maxPatternLen bytes. */
  pattern?: Uint8Array;
  /** Default HIGH. */
  priority?: Priority;
  /** Slots between two triggers, in [1, maxTimerSlots]; earlier ones are suppressed and counted. Default 1. */
  minSlotsBetweenTriggers?: U64Like;
}

/** A ring buffer. */
export interface RingOptions {
  /** The program that owns it. */
  programId: AddressLike;
  /** Bytes, in [minRingBufferSize, maxRingBufferSize]. Default: defaultRingBufferSize. */
  size?: U64Like;
  /** Which side takes entries out: programs, in the order of their tasks, or the host, whenever it likes. Default `'program'`. */
  reader?: 'program' | 'host';
}

/** One invocation in the next slot that has room. */
export interface TaskOptions extends CallbackOptions {
  /** Default NORMAL. */
  priority?: Priority;
  /** The last slot in which it may start; after it, the task is expired. */
  deadlineSlot?: U64Like;
}

/** A submitted task. */
export interface TaskHandle {
  /** The `taskId` of its outcome. */
  readonly id: bigint;
  /** What came of it, when its slot has been processed. Rejects with SHUTDOWN when the engine is closed before. */
  readonly outcome: Promise<Outcome>;
}

/** What `processSlot` may be told beside the slot. */
export interface SlotOptions {
  /** Seconds since 1970, for the Clock sysvar. Default: 400 ms a slot after the last that was given. */
  unixTimestamp?: bigint | number;
}

/** The callback of a timer or a watcher. */
export interface CallbackInfo {
  /** The program that it runs. */
  programId: Address;
  /** Its instruction data. */
  data: Uint8Array;
  /** Its accounts, in the order in which the program sees them. */
  accounts: AccountMetaInfo[];
  /** Compute units it may use. */
  computeBudget: bigint;
  /** Where it queues. */
  priority: Priority;
}

/** An account of a callback. */
export interface AccountMetaInfo {
  /** Which account it is. */
  address: Address;
  /** Whether it counts as having signed. */
  isSigner: boolean;
  /** Whether the program may change it. */
  isWritable: boolean;
}

/** A timer as it is now. Narrow it by `mode`. */
export type TimerInfo = OneShotTimerInfo | PeriodicTimerInfo | DeadlineTimerInfo;

/** What every timer has. */
export interface AnyTimerInfo extends CallbackInfo {
  /** What `cancel` and `get` take. */
  id: bigint;
  /** The slot of the next tick; of the last when the timer has finished. */
  triggerSlot: bigint;
  /** Where it is in its life. */
  state: TimerState;
  /** Callbacks that ran, whether they succeeded or failed. */
  executionCount: bigint;
  /** Ticks that had no callback of their own. */
  missedCount: bigint;
}

/** A timer that fires once. */
export interface OneShotTimerInfo extends AnyTimerInfo {
  /** Once, however late. */
  mode: 'one-shot';
  /** It has no period. */
  periodSlots: 0n;
  /** It has no deadline. */
  deadlineSlot?: undefined;
}

/** A timer that fires again and again. */
export interface PeriodicTimerInfo extends AnyTimerInfo {
  /** On a grid of slots. */
  mode: 'periodic';
  /** From one tick to the next. */
  periodSlots: bigint;
  /** It has no deadline. */
  deadlineSlot?: undefined;
}

/** A timer that fires once, or not at all. */
export interface DeadlineTimerInfo extends AnyTimerInfo {
  /** Once, if not too late. */
  mode: 'deadline';
  /** It has no period. */
  periodSlots: 0n;
  /** The last slot in which it may run. */
  deadlineSlot: bigint;
}

/** A watcher as it is now. Narrow it by `trigger`. */
export type WatcherInfo =
  | ChangeWatcherInfo
  | ThresholdWatcherInfo<(typeof WatcherTrigger)['THRESHOLD_ABOVE']>
  | ThresholdWatcherInfo<(typeof WatcherTrigger)['THRESHOLD_BELOW']>
  | PatternWatcherInfo;

/** What every watcher has. */
export interface AnyWatcherInfo extends CallbackInfo {
  /** What `remove`, `pause` and `get` take. */
  id: bigint;
  /** The account that it watches. */
  account: Address;
  /** False while paused. */
  active: boolean;
  /** Triggers, the suppressed ones not included. */
  triggerCount: bigint;
  /** Triggers that came too early. */
  suppressedCount: bigint;
  /** Absent before the first. */
  lastTriggerSlot?: bigint;
  /** Triggers that come earlier after another are suppressed. */
  minSlotsBetweenTriggers: bigint;
}

/** A watcher for changes of a kind. */
export interface ChangeWatcherInfo extends AnyWatcherInfo {
  /** When it fires. */
  trigger: (typeof WatcherTrigger)['ANY_CHANGE' | 'LAMPORT_CHANGE' | 'DATA_CHANGE' | 'OWNER_CHANGE'];
  /** It compares no number. */
  threshold?: undefined;
  /** It does not look at a place. */
  offset?: undefined;
  /** It looks for no bytes. */
  pattern?: undefined;
}

/** A watcher for a number that crosses a threshold. */
export interface ThresholdWatcherInfo<
  Trigger extends (typeof WatcherTrigger)['THRESHOLD_ABOVE' | 'THRESHOLD_BELOW'],
> extends AnyWatcherInfo {
  /** When it fires. */
  trigger: Trigger;
  /** What the signed 64-bit number at `offset` is compared with. */
  threshold: bigint;
  /** Bytes from the start of the data. */
  offset: bigint;
  /** It looks for no bytes. */
  pattern?: undefined;
}

/** A watcher for bytes that appear. */
export interface PatternWatcherInfo extends AnyWatcherInfo {
  /** When it fires. */
  trigger: (typeof WatcherTrigger)['PATTERN_MATCH'];
  /** It compares no number. */
  threshold?: undefined;
  /** Bytes from the start of the data. */
  offset: bigint;
  /** What must be at `offset`. */
  pattern: Uint8Array;
}

/** A ring buffer as it is now. */
export interface RingInfo {
  /** What `push`, `pop` and `get` take. */
  id: bigint;
  /** The program that owns it. */
  owner: Address;
  /** Bytes. */
  capacity: bigint;
  /** Bytes taken; what the host has read is freed at the next slot. */
  used: bigint;
  /** Entries that nobody has taken yet. */
  entries: bigint;
  /** What it allows. */
  state: RingState;
  /** Which side takes entries out. */
  reader: 'program' | 'host';
  /** Of the entry that comes next. */
  nextSequence: bigint;
}

/** An entry of a ring buffer. */
export interface RingEntry {
  /** From 0, without gaps. */
  sequence: bigint;
  /** The slot in which it was pushed. */
  slot: bigint;
  /** What was pushed. */
  data: Uint8Array;
}

/** An entry where it lies in memory: `sequence` and `slot` are read, and `data` is copied, when somebody asks for them. */
export interface RingEntryView extends RingEntry {
  readonly sequence: bigint;
  readonly slot: bigint;
  /** A copy of what was pushed. */
  readonly data: Uint8Array;
  /** Holds the data from `start` to `end`, and other things besides: not to be written. */
  readonly bytes: Uint8Array;
  /** Where the data begin in `bytes`. */
  readonly start: number;
  /** Where they end. */
  readonly end: number;
}

/** What asked for an invocation. */
export interface Source {
  /** A timer, a watcher, a submitted task, or `invoke`. */
  kind: 'timer' | 'watcher' | 'task' | 'invoke';
  /** Of the timer or the watcher; else the invocation's own. */
  id: bigint;
}

/** Why an invocation failed. */
export interface OutcomeError {
  /** As a number. */
  code: ErrorCode;
  /** The symbol of `code`. */
  name: ErrorCodeName;
  /** In words, for example `custom program error: 0x2a`. */
  message: string;
  /** The runtime's name for it, for example `Custom` or `ProgramFailedToComplete`. */
  reason: string;
  /** The number that the program returned, if it did. */
  customCode?: number;
}

/** One invocation. */
export interface Invocation {
  /** Its own id; that of the task if one was submitted. */
  taskId: bigint;
  /** The program that ran. */
  programId: Address;
  /** What asked for it. */
  source: Source;
  /** Compute units. */
  unitsConsumed: bigint;
}

/** How an invocation ended. Narrow it by `status`: there is an error exactly if it failed. */
export type Ending =
  | {
      /** `committed`: all it did counts. `expired`: its deadline passed before it could start. */
      status: 'committed' | 'expired';
      /** There is none. */
      error?: undefined;
    }
  | {
      /** It changed nothing. */
      status: 'failed';
      /** Why. */
      error: OutcomeError;
    };

/** What came of an invocation. Narrow it by `status`. */
export type Outcome = Invocation & Ending & Trace;

/** What an invocation left behind beside its effects. */
export interface Trace {
  /** Lines, as on a cluster. */
  logs: string[];
  /** What the program returned, if it did. */
  returnData?: Uint8Array;
  /** The code of each call that creates, changes or reads something, in order, and of each that was refused. */
  stagedCodes: ErrorCode[];
}

/** One slot. */
export interface SlotReport {
  /** Which one. */
  slot: bigint;
  /** Every invocation, in the order in which they count. Decoded when first looked at. */
  readonly outcomes: Outcome[];
  /** Timers that fired. */
  timersFired: bigint;
  /** Watchers that triggered, the suppressed ones not included. */
  watchersTriggered: bigint;
  /** Tasks that were up in this slot. */
  tasksQueued: bigint;
  /** Tasks left for a later slot. */
  tasksPending: bigint;
  /** Compute units of all invocations. */
  unitsConsumed: bigint;
  /** Hex. */
  stateHash: string;
}

/** What `events` is told. */
export interface EventOptions {
  /** Ends the stream; what was not read is dropped. */
  signal?: AbortSignal;
  /** Bytes, in [4096, 2^30], rounded up to a power of two, for events that were not read yet. Default 1 MiB, about 12,000 outcomes. */
  capacity?: number;
}

/** A stream of events: one after the other by `for await`, or those that are there by `forEach`. */
export interface EngineEvents extends AsyncIterableIterator<EngineEvent, undefined> {
  /**
   * Hands each event that is there to `each`, up to `max` of them, without waiting for any; returns how many there were. Nothing is copied or
   * decoded unless `each` asks for it: it gets one object that stands for event after event, and is valid until `each` returns. When `each` throws, the
   * event that it threw on is taken. Throws INVALID_ARGUMENT, CORRUPT_STATE.
   */
  forEach(each: (event: EventView) => void, max?: number): number;
}

/** An event that is in the stream's memory. */
export interface EventView {
  /** What kind of event it is. */
  readonly type: EngineEvent['type'];
  /** The event itself, to keep. */
  read(): EngineEvent;
}

/** Something that happened in a slot. Narrow it by `type`. */
export type EngineEvent = OutcomeEvent | SlotEvent | GapEvent;

/** One invocation of a slot, as in its report. */
export type OutcomeEvent = Invocation &
  Ending & {
    /** An invocation. */
    type: 'outcome';
    /** The slot in which it was. */
    slot: bigint;
  };

/** A slot is done; its outcomes came before. */
export interface SlotEvent extends Pick<
  SlotReport,
  'slot' | 'timersFired' | 'watchersTriggered' | 'tasksQueued' | 'unitsConsumed' | 'stateHash'
> {
  /** A slot. */
  type: 'slot';
}

/** Here are events missing, because those before it had filled the capacity when they happened. */
export interface GapEvent {
  /** A gap. */
  type: 'gap';
  /** How many. */
  missed: bigint;
}

/**
 * Totals since the engine was created; `active` and `pending` are now. Submitted tasks are those of the host and of programs; completed, failed
 * and units include callbacks and invocations.
 */
export interface Stats {
  /** By hosts and programs. */
  timersCreated: bigint;
  /** Live: pending, or with a callback that is queued. */
  timersActive: bigint;
  /** Ticks that queued a callback. */
  timersFired: bigint;
  /** By hosts and programs. */
  watchersCreated: bigint;
  /** Those that are there and not paused. */
  watchersActive: bigint;
  /** Triggers, the suppressed ones not included. */
  watchersTriggered: bigint;
  /** Triggers that came too early. */
  watchersSuppressed: bigint;
  /** Those that are there, in whatever state. */
  ringsActive: bigint;
  /** By hosts and programs. */
  tasksSubmitted: bigint;
  /** Invocations that committed. */
  tasksCompleted: bigint;
  /** Invocations that failed. */
  tasksFailed: bigint;
  /** Those whose deadline passed before they could start. */
  tasksExpired: bigint;
  /** Queued. */
  tasksPending: bigint;
  /** Compute units of all invocations. */
  unitsConsumed: bigint;
  /** Calls of `processSlot` that were not refused. */
  slotsProcessed: bigint;
}
