/// <reference lib="esnext.disposable" preserve="true" />
/** For tests of programs and agents: a world with a clock, accounts, matchers, and a bridge to LiteSVM. */

export { dataAccount, rentExemption, systemAccount, type AccountState, type BalanceOptions } from './accounts.js';
export { namedAddress, namedAddresses, SYSTEM_PROGRAM, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, type TestAddress } from './addresses.js';
export {
  fromLiteSvm,
  toLiteSvm,
  type LiteSvmAccount,
  type LiteSvmFoundAccount,
  type LiteSvmLike,
  type LiteSvmMissingAccount,
  type TestLamports,
} from './litesvm.js';
export { asyncBpfMatchers, type AsyncBpfMatchers, type ExpectedFailure, type MatcherContext, type MatcherResult } from './matchers.js';
export { i64, readI64, readU64, u64, writeI64, writeU64 } from './numbers.js';
export type { Outcomes, SlotOutcome } from './outcomes.js';
export {
  mintAccount,
  readMint,
  readTokenAccount,
  tokenAccount,
  type MintInfo,
  type MintOptions,
  type TokenAccountInfo,
  type TokenAccountOptions,
  type TokenAccountState,
} from './tokens.js';
export {
  createWorld,
  World,
  type AccountChange,
  type ClockOptions,
  type OutcomeSource,
  type ProgramSource,
  type WorldOptions,
} from './world.js';
