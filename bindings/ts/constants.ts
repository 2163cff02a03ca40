// Generated from crates/engine; do not edit.

/** What went wrong, as a number that programs can compare. */
export const ErrorCode = {
  SUCCESS: 0,
  NULL_POINTER: 1,
  INVALID_TIMER: 2,
  INVALID_WATCHER: 3,
  MAX_TIMERS: 4,
  MAX_WATCHERS: 5,
  INVALID_SLOT: 6,
  SHUTDOWN: 7,
  INVALID_BUFFER: 8,
  BUFFER_FULL: 9,
  MAX_BUFFERS: 10,
  INVALID_ARGUMENT: 11,
  QUEUE_FULL: 12,
  OUTPUT_TOO_SMALL: 13,
  BUFFER_NOT_ACTIVE: 14,
  UNKNOWN_PROGRAM: 15,
  EXECUTION_FAILED: 16,
  CORRUPT_STATE: 17,
  ENGINE_BUSY: 18,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** When a watcher fires. */
export const WatcherTrigger = {
  ANY_CHANGE: 0,
  LAMPORT_CHANGE: 1,
  DATA_CHANGE: 2,
  OWNER_CHANGE: 3,
  THRESHOLD_ABOVE: 4,
  THRESHOLD_BELOW: 5,
  PATTERN_MATCH: 6,
} as const;
export type WatcherTrigger = (typeof WatcherTrigger)[keyof typeof WatcherTrigger];

/** Where a task queues. */
export const Priority = {
  LOW: 0,
  NORMAL: 1,
  HIGH: 2,
  CRITICAL: 3,
} as const;
export type Priority = (typeof Priority)[keyof typeof Priority];

/** Where a timer is in its life. */
export const TimerState = {
  PENDING: 0,
  EXECUTING: 1,
  COMPLETED: 2,
  CANCELLED: 3,
  EXPIRED: 4,
  FAILED: 5,
} as const;
export type TimerState = (typeof TimerState)[keyof typeof TimerState];

/** What a ring buffer allows: ACTIVE push and pop, DRAINING pop only, PAUSED and CLOSED neither. */
export const RingState = {
  ACTIVE: 0,
  PAUSED: 1,
  CLOSED: 2,
  DRAINING: 3,
} as const;
export type RingState = (typeof RingState)[keyof typeof RingState];

/** What another program may do with a ring buffer; add them up. */
export const RingRight = {
  READ: 1,
  WRITE: 2,
} as const;
export type RingRight = (typeof RingRight)[keyof typeof RingRight];

/** What a periodic timer does about ticks in skipped slots: fire once and count them, fire for each, or skip them. */
export const CatchUp = {
  ONCE: 0,
  ALL: 1,
  SKIP: 2,
} as const;
export type CatchUp = (typeof CatchUp)[keyof typeof CatchUp];

/** What asked for an invocation. */
export const SourceKind = {
  INVOKE: 0,
  TIMER: 1,
  WATCHER: 2,
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
