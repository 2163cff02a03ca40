/** The ways in which vectors are played from here. Another is crates/engine/tests/conformance.rs. */

import { AsyncBpfEngine, ErrorCode, type ErrorCodeName } from '../../dist/index.js';
import { Model } from '../../model/index.js';
import { script } from '../../model/script.js';
import { prebuilt } from './engine.js';
import type { Argument } from './conformance.js';
import type { Host, Reply, ResolvedCall, Subject } from './player.js';
import { scriptProgram } from './script-program.js';
import type { EngineSpec, Vector } from './vectors.js';

export interface Runner {
  name: string;
  /** What it cannot do; vectors that need it are not for this runner. */
  lacks: readonly string[];
  open(engine?: EngineSpec): Subject & Disposable;
}

const NAMES = Object.fromEntries(Object.entries(ErrorCode).map(([name, code]) => [code, name])) as Record<number, ErrorCodeName>;

/** A program makes the calls in the virtual machine. */
export const onChain: Runner = { name: 'on-chain program', lacks: [], open: (engine) => openEngine(engine) };

/** A program that is a JavaScript function makes the calls. */
export const inJavaScript: Runner = {
  name: 'JavaScript function',
  lacks: ['pointers', 'context'],
  open(options = {}) {
    const engine = new AsyncBpfEngine({ workers: 1, ...engineOptions(options) });
    return { host: engine, addProgram: (address) => engine.addProgram(address, scriptProgram), [Symbol.dispose]: () => engine.close() };
  },
};

/** `engine.syscalls` makes the calls: no invocation is around them, and a pointer and its length are one. */
export const typescript: Runner = {
  name: 'TypeScript',
  lacks: ['invocation', 'pointers', 'charges'],
  open(engine) {
    const subject = openEngine(engine);
    return Object.assign(subject, { direct: (program: string, calls: ResolvedCall[]) => makeDirectly(subject.host, program, calls) });
  },
};

/** The second implementation. */
export const model: Runner = {
  name: 'reference model',
  lacks: [],
  open(options = {}) {
    const host = new Model(engineOptions(options));
    return {
      host: host as unknown as Host,
      addProgram: (address) => host.addProgram(address, script),
      [Symbol.dispose]: () => {},
    };
  },
};

export const runners = [typescript, onChain, inJavaScript, model];

export function runs(runner: Runner, vector: Vector): boolean {
  return (vector.needs ?? []).every((need) => !runner.lacks.includes(need));
}

function engineOptions({ startSlot, startTimestamp, limits }: EngineSpec) {
  return { startSlot: typeof startSlot === 'object' ? BigInt(startSlot.decimal) : startSlot, startTimestamp, limits };
}

function openEngine(options: EngineSpec = {}): Subject & Disposable {
  const engine = new AsyncBpfEngine({ workers: 1, ...engineOptions(options) });
  return {
    host: engine,
    addProgram: (address) => engine.addProgram(address, prebuilt('conformance')),
    [Symbol.dispose]: () => engine.close(),
  };
}

function makeDirectly(host: Host, program: string, calls: ResolvedCall[]): Reply[] {
  const syscalls = host.syscalls(program);
  const methods = syscalls as unknown as Record<string, (...args: unknown[]) => bigint | number>;
  const replies: Reply[] = [];
  for (const { call, args } of calls) {
    let output: Uint8Array | undefined;
    const values = args.map((argument) => {
      const value = toJavaScript(argument, replies);
      if (typeof argument === 'object' && 'room' in argument) output = value as Uint8Array;
      return value;
    });
    const value = BigInt(methods[call]!(...values));
    replies.push({ value, error: NAMES[syscalls.sol_async_last_error()]!, bytes: output?.subarray(0, Number(value)) });
  }
  return replies;
}

function toJavaScript(argument: Argument, replies: Reply[]): unknown {
  if (argument instanceof Uint8Array) return argument;
  if (typeof argument === 'object') {
    if ('room' in argument) return new Uint8Array(Number(argument.room));
    if ('null' in argument && BigInt(argument.null) === 0n) return null;
    throw new Error('a pointer apart from its length cannot be passed from TypeScript');
  }
  const value = BigInt(argument);
  const result = value - 0xffffffffffffff00n;
  if (result >= 0n && replies[Number(result)]) return replies[Number(result)]!.value;
  return value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= 0n ? Number(value) : value;
}
