/** Solana programs that act on their own, inside Node.js. */

export type { AccountFlags, AccountMetaLike, AddressLike, U64Like } from './arguments.js';
export type { AccountBatch } from './account-batch.js';
export {
  CatchUp,
  DEFAULT_LIMITS,
  ErrorCode,
  Priority,
  RingRight,
  RingState,
  TimerState,
  WatcherTrigger,
  type Limits,
} from './constants.js';
export { AsyncBpfEngine } from './engine.js';
export { AsyncBpfError, type AsyncBpfErrorOf, type ErrorCodeName } from './errors.js';
export type { ProgramAccount, ProgramContext } from './programs.js';
export type { Rings } from './rings.js';
export type { Bytes, Pointer, Syscalls, TimerParams } from './syscalls.js';
export type { Tasks } from './tasks.js';
export type { Timers } from './timers.js';
export type * from './types.js';
export type { Watchers } from './watchers.js';
