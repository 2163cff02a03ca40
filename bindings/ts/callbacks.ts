/** The part that timers, watchers, tasks and invocations have in common. */

import { toAccountMetas, toAddress, toBytes, toMember, toU64, type ArgumentName } from './arguments.js';
import { DEFAULT_LIMITS, Priority, type Limits } from './constants.js';
import type { CallbackOptions } from './types.js';
import type { WireCallback } from './wire.js';

/** What an instruction of a Solana transaction gets when nobody asks for more. */
const DEFAULT_COMPUTE_BUDGET = 200_000;

/** What every callback may say. */
export const CALLBACK_KEYS = ['programId', 'data', 'accounts', 'computeBudget'];

export const NO_BYTES = new Uint8Array(0);

/** The budget of callbacks that state none: the usual one, or what the limits allow. */
export function defaultBudget(limits: Partial<Limits>): number {
  const { maxComputeBudget, slotComputeLimit } = { ...DEFAULT_LIMITS, ...limits };
  return Math.min(DEFAULT_COMPUTE_BUDGET, Number(maxComputeBudget), Number(slotComputeLimit));
}

export function toCallback(options: CallbackOptions, otherwise: number): WireCallback {
  const { programId, data = NO_BYTES, accounts = [], computeBudget = otherwise } = options;
  return {
    program: toAddress(programId, 'programId'),
    data: toBytes(data, 'data'),
    accounts: toAccountMetas(accounts, 'accounts'),
    computeBudget: toU64(computeBudget, 'computeBudget'),
  };
}

export function toPriority(priority: Priority | undefined, otherwise: Priority): number {
  return priority === undefined ? otherwise : toMember(Priority, priority, 'priority');
}

export function optionalU64(value: unknown, argument: ArgumentName): bigint | undefined {
  return value === undefined ? undefined : toU64(value, argument);
}
