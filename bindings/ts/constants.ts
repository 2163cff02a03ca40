// Generated from crates/engine; do not edit.

/** What went wrong, as a number that programs can compare. */
export const ErrorCode = {
  /** Nothing went wrong. */
  SUCCESS: 0,
  /** A pointer was address 0 although bytes were expected behind it. */
  NULL_POINTER: 1,
  /** No live timer of the caller has this id. */
  INVALID_TIMER: 2,
  /** No watcher of the caller has this id. */
  INVALID_WATCHER: 3,
  /** The program already has as many live timers as it may. */
  MAX_TIMERS: 4,
  /** The program already has as many watchers as it may. */
  MAX_WATCHERS: 5,
  /** A slot or a period is outside the range allowed from the current slot. */
  INVALID_SLOT: 6,
  /** The engine is draining or closed. */
  SHUTDOWN: 7,
  /** No ring buffer that the caller may use in this way has this id. */
  INVALID_BUFFER: 8,
  /** The entry does not fit into the free space of the ring buffer. */
  BUFFER_FULL: 9,
  /** The program already has as many ring buffers as it may. */
  MAX_BUFFERS: 10,
  /** An argument is outside its documented range. */
  INVALID_ARGUMENT: 11,
  /** The task queue is full. */
  QUEUE_FULL: 12,
  /** The next entry is longer than the output it should go to; it was left in place. */
  OUTPUT_TOO_SMALL: 13,
  /** The ring buffer is paused, draining or closed. */
  BUFFER_NOT_ACTIVE: 14,
  /** No such program is loaded. */
  UNKNOWN_PROGRAM: 15,
  /** The program failed; logs and message say how. */
  EXECUTION_FAILED: 16,
  /** A snapshot or a journal is damaged or of another version. */
  CORRUPT_STATE: 17,
  /** A slot is being processed. */
  ENGINE_BUSY: 18,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** When a watcher fires. */
export const WatcherTrigger = {
  /** Lamports, data or owner have changed. */
  ANY_CHANGE: 0,
  /** The balance has changed. */
  LAMPORT_CHANGE: 1,
  /** The data have changed. */
  DATA_CHANGE: 2,
  /** The owner has changed. */
  OWNER_CHANGE: 3,
  /** The i64 at an offset was not above a threshold and is now. */
  THRESHOLD_ABOVE: 4,
  /** The i64 at an offset was not below a threshold and is now. */
  THRESHOLD_BELOW: 5,
  /** The bytes at an offset were not those of a pattern and are now. */
  PATTERN_MATCH: 6,
} as const;
export type WatcherTrigger = (typeof WatcherTrigger)[keyof typeof WatcherTrigger];

/** Where a task queues. */
export const Priority = {
  /** Behind all others. */
  LOW: 0,
  /** Where timers and tasks queue unless stated otherwise. */
  NORMAL: 1,
  /** Where watchers queue unless stated otherwise. */
  HIGH: 2,
  /** Before all others. */
  CRITICAL: 3,
} as const;
export type Priority = (typeof Priority)[keyof typeof Priority];

/** Where a timer is in its life. */
export const TimerState = {
  /** Waits for its trigger slot. */
  PENDING: 0,
  /** Its callback is queued or running. */
  EXECUTING: 1,
  /** Its last callback is over, and did not fail if it was the only one. */
  COMPLETED: 2,
  /** Cancelled by its program or the host. */
  CANCELLED: 3,
  /** It could not run by its deadline. */
  EXPIRED: 4,
  /** Its only callback failed. */
  FAILED: 5,
} as const;
export type TimerState = (typeof TimerState)[keyof typeof TimerState];

/** What a ring buffer allows: ACTIVE push and pop, DRAINING pop only, PAUSED and CLOSED neither. */
export const RingState = {
  /** Push and pop. */
  ACTIVE: 0,
  /** Neither, for now. */
  PAUSED: 1,
  /** Neither. */
  CLOSED: 2,
  /** Pop only. */
  DRAINING: 3,
} as const;
export type RingState = (typeof RingState)[keyof typeof RingState];

/** What another program may do with a ring buffer; add them up. */
export const RingRight = {
  /** Peek and pop. */
  READ: 1,
  /** Push. */
  WRITE: 2,
} as const;
export type RingRight = (typeof RingRight)[keyof typeof RingRight];

/** What a periodic timer does about ticks in skipped slots: fire once and count them, fire for each, or skip them. */
export const CatchUp = {
  /** One callback stands for all; the others are counted as missed. */
  ONCE: 0,
  /** A callback for each, up to a bound; the last stands for the rest. */
  ALL: 1,
  /** A callback only in a slot of the grid; the others are counted as missed. */
  SKIP: 2,
} as const;
export type CatchUp = (typeof CatchUp)[keyof typeof CatchUp];

/** What asked for an invocation. */
export const SourceKind = {
  /** The host, at once. */
  INVOKE: 0,
  /** A timer. */
  TIMER: 1,
  /** A watcher. */
  WATCHER: 2,
  /** A task that was submitted or scheduled. */
  TASK: 3,
} as const;
export type SourceKind = (typeof SourceKind)[keyof typeof SourceKind];

/** What an engine allows. A host may set each within its hard range. */
export interface Limits {
  /** Live timers of one program (MAX_TIMERS_PER_PROGRAM): default 16, in [0, 1000000]. */
  maxTimersPerProgram: number;
  /** Watchers of one program (MAX_WATCHERS_PER_PROGRAM): default 32, in [0, 1000000]. */
  maxWatchersPerProgram: number;
  /** Pending tasks, engine-wide (MAX_SCHEDULED_TASKS): default 1024, in [1, 16777216]. */
  maxScheduledTasks: number;
  /** Slots from now to the nearest trigger slot, and the shortest period (MIN_TIMER_SLOTS): default 1, in [1, 1000000]. */
  minTimerSlots: number;
  /** Slots from now to the farthest trigger slot, and the longest period; each 65,536 slots in which a timer waits take 264 KiB (MAX_TIMER_SLOTS): default 1000000, in [1, 1000000000]. */
  maxTimerSlots: number;
  /** Ring buffers of one program (MAX_RING_BUFFERS_PER_PROGRAM): default 8, in [0, 65536]. */
  maxRingBuffersPerProgram: number;
  /** Bytes of the smallest ring buffer (MIN_RING_BUFFER_SIZE): default 64, in [32, 1048576]. */
  minRingBufferSize: number;
  /** Bytes of a ring buffer created without a size (DEFAULT_RING_BUFFER_SIZE): default 4096, in [32, 1073741824]. */
  defaultRingBufferSize: number;
  /** Bytes of the largest ring buffer (MAX_RING_BUFFER_SIZE): default 1048576, in [64, 1073741824]. */
  maxRingBufferSize: number;
  /** Bytes of callback data (MAX_CALLBACK_DATA_LEN): default 1024, in [0, 10240]. */
  maxCallbackDataLen: number;
  /** Accounts of a callback, before a watcher's own is appended (MAX_CALLBACK_ACCOUNTS): default 64, in [1, 128]. */
  maxCallbackAccounts: number;
  /** Compute units of one invocation (MAX_COMPUTE_BUDGET): default 1400000, in [1, 100000000]. */
  maxComputeBudget: number;
  /** Bytes of a watcher's pattern (MAX_PATTERN_LEN): default 64, in [1, 1024]. */
  maxPatternLen: number;
  /** Compute units of all tasks of one slot (SLOT_COMPUTE_LIMIT): default 60000000, in [1, 1000000000000]. */
  slotComputeLimit: number;
}

/** Each limit unless the host sets another. */
export const DEFAULT_LIMITS: Readonly<Limits> = {
  maxTimersPerProgram: 16,
  maxWatchersPerProgram: 32,
  maxScheduledTasks: 1024,
  minTimerSlots: 1,
  maxTimerSlots: 1000000,
  maxRingBuffersPerProgram: 8,
  minRingBufferSize: 64,
  defaultRingBufferSize: 4096,
  maxRingBufferSize: 1048576,
  maxCallbackDataLen: 1024,
  maxCallbackAccounts: 64,
  maxComputeBudget: 1400000,
  maxPatternLen: 64,
  slotComputeLimit: 60000000,
};
