/** The two ways in which a vector's calls are made here: through the TypeScript API, and by a program in the virtual machine. */

import { expect } from 'vitest';
import { ErrorCode, type ErrorCodeName } from '../../dist/index.js';
import { hex } from './bytes.js';
import { decode, End, resultOf, script, type Argument, type Call, type CallName } from './conformance.js';
import type { ResolvedCall, Runner, Seen } from './vectors.js';

const NAMES = Object.fromEntries(Object.entries(ErrorCode).map(([name, code]) => [code, name])) as Record<number, ErrorCodeName>;

/** No call of it has the pointer and the length apart, nor an invocation around it. */
export const typescript: Runner = {
  name: 'TypeScript',
  lacks: ['staging', 'pointers', 'timer-options', 'context'],
  invoke(engine, program, calls) {
    const syscalls = engine.syscalls(program);
    const methods = syscalls as unknown as Record<string, (...args: unknown[]) => bigint | number>;
    const seen: Seen[] = [];
    for (const { call, args } of calls) {
      let output: Uint8Array | undefined;
      const values = args.map((argument) => {
        if (typeof argument === 'bigint') return argument <= Number.MAX_SAFE_INTEGER && argument >= 0n ? Number(argument) : argument;
        if (argument === null || argument instanceof Uint8Array) return argument;
        if ('result' in argument) return seen[argument.result]!.value;
        if ('room' in argument) return (output = new Uint8Array(argument.room));
        throw new Error('a null pointer with a length cannot be passed from TypeScript');
      });
      const value = BigInt(methods[call]!(...values));
      seen.push({
        value,
        error: NAMES[syscalls.sol_async_last_error()]!,
        ...(output && { bytes: hex(output.subarray(0, Number(value))) }),
      });
    }
    return seen;
  },
};

/** The program of programs/conformance, which makes the calls in the order of its instruction data. */
export const onChain: Runner = {
  name: 'on-chain program',
  lacks: [],
  invoke(engine, program, calls, end) {
    const records = calls.map(toCall);
    const data = script(records, end === undefined ? End.SUCCEED : end === 'fail' ? End.FAIL : End.LOOP);
    const outcome = engine.invoke({ programId: program, data, computeBudget: 1_400_000 });
    if (end === undefined) {
      expect(outcome.error?.message, 'the invocation succeeds').toBeUndefined();
      return decode(records, outcome.returnData ?? new Uint8Array(0)).map(({ value, error, bytes }) => ({
        value,
        error: NAMES[error]!,
        ...(bytes && { bytes: hex(bytes) }),
      }));
    }
    expect(outcome.status).toBe('failed');
    expect(outcome.error!.customCode).toBe(end === 'fail' ? 7 : undefined);
    expect(outcome.unitsConsumed).toSatisfy((units: bigint) => end === 'fail' || units === 1_400_000n);
    return outcome.stagedCodes.map((code) => ({ error: NAMES[code]! }));
  },
};

function toCall({ call, args }: ResolvedCall): Call {
  // A null pointer that has no length of its own is read as an address of 32 bytes, or as no bytes.
  const values = args.map((argument): Argument => {
    if (argument === null) return { null: 0 };
    if (typeof argument === 'object' && 'result' in argument) return resultOf(argument.result);
    return argument;
  });
  return [call as CallName, ...values];
}
