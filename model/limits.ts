/** What the model allows, and how it refuses the rest. */

import { ErrorCode } from '../dist/index.js';
import type { Limits } from '../dist/index.js';

export type ErrorName = keyof typeof ErrorCode;

/** A call that was refused. It changed nothing. */
export class ModelError extends Error {
  readonly code: ErrorCode;

  constructor(readonly codeName: ErrorName) {
    super(codeName);
    this.code = ErrorCode[codeName];
  }
}

export function refuse(codeName: ErrorName): never {
  throw new ModelError(codeName);
}

export const U64_MAX = 2n ** 64n - 1n;

/** Default, and the range in which a host may set it. */
const LIMITS: Record<keyof Limits, [standard: bigint, min: bigint, max: bigint]> = {
  maxTimersPerProgram: [16n, 0n, 1_000_000n],
  maxWatchersPerProgram: [32n, 0n, 1_000_000n],
  maxScheduledTasks: [1_024n, 1n, 16_777_216n],
  minTimerSlots: [1n, 1n, 1_000_000n],
  maxTimerSlots: [1_000_000n, 1n, 1_000_000_000n],
  maxRingBuffersPerProgram: [8n, 0n, 65_536n],
  minRingBufferSize: [64n, 32n, 1_048_576n],
  defaultRingBufferSize: [4_096n, 32n, 1_073_741_824n],
  maxRingBufferSize: [1_048_576n, 64n, 1_073_741_824n],
  maxCallbackDataLen: [1_024n, 0n, 10_240n],
  maxCallbackAccounts: [64n, 1n, 128n],
  maxComputeBudget: [1_400_000n, 1n, 100_000_000n],
  maxPatternLen: [64n, 1n, 1_024n],
  slotComputeLimit: [60_000_000n, 1n, 1_000_000_000_000n],
};

export type LimitValues = Readonly<Record<keyof Limits, bigint>>;

export function toLimits(given: { readonly [name in keyof Limits]?: bigint | number }): LimitValues {
  const values = {} as Record<keyof Limits, bigint>;
  for (const [name, [standard, min, max]] of Object.entries(LIMITS) as [keyof Limits, [bigint, bigint, bigint]][]) {
    const value = u64(given[name] ?? standard);
    if (value < min || value > max) refuse('INVALID_ARGUMENT');
    values[name] = value;
  }
  return values;
}

/** A number of the host: a bigint that fits, or a safe integer. */
export function u64(value: bigint | number): bigint {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) refuse('INVALID_ARGUMENT');
  const integer = BigInt(value);
  if (integer < 0n || integer > U64_MAX) refuse('INVALID_ARGUMENT');
  return integer;
}

export const optionalU64 = (value: bigint | number | undefined): bigint | undefined => (value === undefined ? undefined : u64(value));
