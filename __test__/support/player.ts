/** Plays the steps of a vector to an implementation: first what happens, then whether it is what the vector says. */

import { expect } from 'vitest';
import {
  CatchUp,
  ErrorCode,
  Priority,
  RingState,
  TimerState,
  WatcherTrigger,
  type AccountMetaLike,
  type AsyncBpfEngine,
  type ErrorCodeName,
  type Outcome,
} from '../../dist/index.js';
import { address, addressBytes } from './addresses.js';
import { hex } from './bytes.js';
import { decode, End, readContext, resultOf, script, type Argument, type Call, type CallName } from './conformance.js';
import { PARAMETERS, type AccountSpec, type BytesSpec, type HostStep, type Invocation, type NumberSpec } from './vectors.js';
import type { ScriptCall, ScriptSpec, SlotStep, Step, Vector, VectorCall } from './vectors.js';

/** The host API, without what only one implementation has. */
export type Host = Pick<
  AsyncBpfEngine,
  'removeProgram' | 'setAccount' | 'getAccount' | 'updateAccounts' | 'invoke' | 'processSlot' | 'syscalls' | 'slot' | 'drain'
> & {
  stats(): object;
  timers: Omit<AsyncBpfEngine['timers'], never>;
  watchers: Omit<AsyncBpfEngine['watchers'], never>;
  rings: Omit<AsyncBpfEngine['rings'], never>;
  tasks: { submit(options: Parameters<AsyncBpfEngine['tasks']['submit']>[0]): { id: bigint } };
};

/** One implementation with an engine of its own. */
export interface Subject {
  host: Host;
  /** Puts programs/conformance, or what stands for it, at an address. */
  addProgram(address: string): void;
  /** Makes calls on behalf of a program without an invocation around them; without it, a program makes them. */
  direct?(program: string, calls: ResolvedCall[]): Reply[];
}

/** What a call gave. */
export interface Reply {
  value: bigint;
  error: ErrorCodeName;
  charge?: bigint;
  bytes?: Uint8Array;
}

export interface ResolvedCall {
  call: CallName;
  args: Argument[];
}

/** What a step gave: one of these. */
export interface Result {
  /** Of an invocation that was made directly, or that succeeded. */
  replies?: Reply[];
  /** A report, an outcome, or what a method returned. */
  value?: unknown;
  /** The host's call was refused. */
  error?: ErrorCodeName;
}

/** Where the memory of programs/conformance that stands for each case begins. */
const UNMAPPED = 0x5_0000_0000n;
/** Constants lie at the beginning of the memory of a program; text, at 2^32, cannot be read at all. */
const READ_ONLY = 8n;
const STACK = 0x2_0000_0000n;
const HEAP_END = 0x3_0000_8000n;
/** Bytes before the end of the heap at which memory that crosses it begins. */
const CROSSING = 8n;

const NAMES = Object.fromEntries(Object.entries(ErrorCode).map(([name, code]) => [code, name])) as Record<number, ErrorCodeName>;
const ENUMS: Record<string, Record<string, number>> = { trigger: WatcherTrigger, priority: Priority, catchUp: CatchUp };
const ADDRESSES = ['programId', 'address', 'account', 'owner'];
const BYTES = ['data', 'pattern', 'elf'];

type Method = (host: Host, args: any) => unknown;

/** The methods of the host API by name, with their arguments by name. */
const METHODS: Record<string, Method> = {
  removeProgram: (host, { address }) => host.removeProgram(address),
  setAccount: (host, { address, ...account }) => host.setAccount(address, account),
  getAccount: (host, { address }) => host.getAccount(address),
  updateAccounts: (host, { updates }) => host.updateAccounts(updates),
  stats: (host) => host.stats(),
  drain: (host) => host.drain(),
  'timers.create': (host, options) => host.timers.create(options),
  'timers.createPeriodic': (host, options) => host.timers.createPeriodic(options),
  'timers.cancel': (host, { id }) => host.timers.cancel(id),
  'timers.get': (host, { id }) => host.timers.get(id),
  'timers.list': (host, { programId }) => host.timers.list(programId),
  'watchers.create': (host, options) => host.watchers.create(options),
  'watchers.remove': (host, { id }) => host.watchers.remove(id),
  'watchers.pause': (host, { id }) => host.watchers.pause(id),
  'watchers.resume': (host, { id }) => host.watchers.resume(id),
  'watchers.setMinSlots': (host, { id, minSlotsBetweenTriggers }) => host.watchers.setMinSlots(id, minSlotsBetweenTriggers),
  'watchers.get': (host, { id }) => host.watchers.get(id),
  'watchers.list': (host, { account }) => host.watchers.list(account),
  'rings.create': (host, options) => host.rings.create(options),
  'rings.push': (host, { id, data }) => host.rings.push(id, data),
  'rings.pop': (host, { id }) => host.rings.pop(id),
  'rings.peek': (host, { id }) => host.rings.peek(id),
  'rings.drain': (host, { id, max }) => host.rings.drain(id, max),
  'rings.get': (host, { id }) => host.rings.get(id),
  'rings.setState': (host, { id, state }) => host.rings.setState(id, state),
  'rings.grant': (host, { id, programId, rights }) => host.rings.grant(id, programId, rights),
  'rings.destroy': (host, { id }) => host.rings.destroy(id),
  'tasks.submit': (host, options) => host.tasks.submit(options).id,
};

export class Player {
  readonly subject: Subject;
  readonly #ids = new Map<string, bigint>();
  readonly #known = new Set<bigint>();

  constructor(subject: Subject, { programs = ['a'] }: NonNullable<Vector['engine']> = {}) {
    this.subject = subject;
    for (const program of programs) subject.addProgram(address(program));
  }

  /** The ids that have names. */
  get ids(): ReadonlyMap<string, bigint> {
    return this.#ids;
  }

  /** Makes one step happen, once, and says what came of it. */
  perform(step: Step): Result {
    if ('invoke' in step) return this.#invoke(step);
    if ('processSlot' in step) return this.#processSlot(step);
    return this.#callHost(step);
  }

  /** Fails unless the result is as the step says. */
  check(step: Step, result: Result, where: string): void {
    if (!('invoke' in step) || step.error !== undefined) {
      expect(result.error ?? 'SUCCESS', `${where}: error`).toBe(step.error ?? 'SUCCESS');
    } else {
      const calls = expand(step.calls);
      expect(result.error, `${where}: the host's call`).toBeUndefined();
      const outcome = result.value as Outcome | undefined;
      const failure = step.end === 'fail' ? { code: ErrorCode.EXECUTION_FAILED, customCode: 7 } : { code: ErrorCode.EXECUTION_FAILED };
      if (step.end) expect(outcome?.error, `${where}: the invocation fails`).toMatchObject(failure);
      else if (step.expect?.status !== 'failed') expect(outcome?.error, `${where}: the invocation succeeds`).toBeUndefined();
      if (result.replies)
        calls.forEach((call, index) => this.#checkCall(call, result.replies![index]!, `${where}, call ${index} (${call.call})`));
      else this.#checkCodes(calls, outcome!, where);
    }
    if (step.expect !== undefined) this.#match(step.expect, result.value, where, '');
  }

  #processSlot({ processSlot, unixTimestamp }: SlotStep): Result {
    const { host } = this.subject;
    try {
      return { value: host.processSlot(host.slot + BigInt(processSlot), { unixTimestamp }) };
    } catch (error) {
      return { error: codeName(error) };
    }
  }

  #callHost({ host: method, args = {}, as }: HostStep): Result {
    const resolved = this.#resolveObject(args, method);
    if (method === 'addProgram') {
      this.subject.addProgram(resolved.address as string);
      return {};
    }
    try {
      const value = METHODS[method]!(this.subject.host, resolved);
      if (as !== undefined) this.#ids.set(as, value as bigint);
      return { value };
    } catch (error) {
      return { error: codeName(error) };
    }
  }

  #invoke(step: Invocation): Result {
    const { invoke: program, calls, accounts = [], computeBudget = 1_400_000 } = step;
    const resolved = this.#resolveCalls(calls);
    let result: Result;
    if (this.subject.direct) {
      result = { replies: this.subject.direct(address(program), resolved) };
    } else {
      const data = encode(resolved, step);
      const options = { programId: address(program), data, accounts: accounts.map(toMeta), computeBudget: this.#number(computeBudget) };
      try {
        const value = this.subject.host.invoke(options);
        result = value.status === 'committed' ? { value, replies: repliesOf(resolved, value.returnData) } : { value };
      } catch (error) {
        return { error: codeName(error) };
      }
    }
    expand(calls).forEach(({ as }, index) => {
      const id = result.replies?.[index]?.value;
      if (as !== undefined && id !== undefined) this.#ids.set(as, id);
    });
    return result;
  }

  #checkCall(call: VectorCall, reply: Reply, what: string): void {
    if (call.error !== undefined) expect(reply.error, `${what}: error`).toBe(call.error);
    if (call.charge !== undefined) expect(reply.charge, `${what}: charge`).toBe(BigInt(call.charge));
    if (call.value === 'id') {
      expect(reply.value !== 0n && !this.#known.has(reply.value), `${what}: a new id, not ${reply.value}`).toBe(true);
      this.#known.add(reply.value);
    } else if (call.value !== undefined) {
      expect(reply.value, `${what}: value`).toBe(BigInt.asUintN(64, this.#number(call.value)));
    }
    if (call.bytes !== undefined) expect(hex(reply.bytes!), `${what}: bytes`).toBe(call.bytes);
    if (call.context !== undefined) this.#match(call.context, readContext(reply.bytes!), what, 'context');
  }

  /** Of an invocation that failed, the codes of those calls are known that do not only ask. */
  #checkCodes(calls: VectorCall[], outcome: Outcome, where: string): void {
    const asking = ['sol_get_slot', 'sol_async_last_error', 'sol_async_context'];
    const isAsync = (call: string) => call.startsWith('sol_') || call.endsWith('_struct');
    const codes = calls.filter(({ call, error }) => isAsync(call) && !asking.includes(call) && error !== undefined);
    if (codes.length === 0) return;
    expect(
      outcome.stagedCodes.map((code) => NAMES[code]),
      `${where}: codes`,
    ).toEqual(codes.map(({ error }) => error));
  }

  /** Whether a value has what is expected of it; objects may have more. */
  #match(expected: unknown, actual: unknown, where: string, key: string): void {
    const what = `${where}: ${key || 'result'}`;
    if (expected === null) return expect(actual, what).toBeUndefined();
    if (Array.isArray(expected)) {
      expect(Array.isArray(actual) ? actual.length : actual, `${what}: length`).toBe(expected.length);
      return expected.forEach((item, index) => this.#match(item, (actual as unknown[])[index], `${where}, ${key}[${index}]`, key));
    }
    if (actual instanceof Uint8Array) return expect(hex(actual), what).toBe(hex(this.#bytes(expected as BytesSpec)));
    if (typeof expected === 'number' || isNumberSpec(expected)) {
      expect(typeof actual === 'number' ? BigInt(actual) : actual, what).toBe(this.#number(expected as NumberSpec));
    } else if (typeof expected === 'string') {
      if (key === 'outcomes') return expect((actual as Outcome).status, what).toBe(expected);
      if (key === 'error') return expect((actual as Outcome['error'])?.name, what).toBe(expected);
      if (typeof actual === 'number') return expect(actual, what).toBe(toNumber(key, expected));
      if (ADDRESSES.includes(key)) return expect(actual, what).toBe(toAddress(expected));
      expect(actual, what).toBe(expected);
    } else if (typeof expected === 'object') {
      expect(actual, what).toBeDefined();
      const { returns, ...rest } = expected as { returns?: VectorCall[] };
      if (returns) {
        const calls = returns.map(({ call }) => ({ call: call as CallName, args: [] }));
        const replies = repliesOf(calls, (actual as Outcome).returnData);
        returns.forEach((call, index) => this.#checkCall(call, replies[index]!, `${where}, return ${index}`));
      }
      for (const [name, item] of Object.entries(rest)) this.#match(item, (actual as Record<string, unknown>)[name], where, name);
    } else {
      expect(actual, what).toBe(expected);
    }
  }

  // ---- what a vector names, as what an implementation takes ------------------------------------------------------

  #number(spec: NumberSpec): bigint {
    if (typeof spec === 'number') return BigInt(spec);
    if ('decimal' in spec) return BigInt(spec.decimal);
    if ('slot' in spec) return BigInt.asUintN(64, this.subject.host.slot + BigInt(spec.slot));
    return this.#ids.get(spec.id) ?? 0n;
  }

  #bytes(spec: BytesSpec): Uint8Array {
    if (spec === null) return new Uint8Array();
    if (typeof spec === 'string') return Buffer.from(spec, 'hex');
    if ('zeros' in spec) return new Uint8Array(spec.zeros);
    if ('address' in spec) return addressBytes(spec.address);
    if ('script' in spec) return encode(this.#resolveCalls(spec.script), spec);
    throw new Error(`${JSON.stringify(spec)} has no contents`);
  }

  #memory(spec: BytesSpec): Argument {
    if (spec === null) return { null: 0 };
    if (typeof spec === 'object') {
      if ('null' in spec) return { null: this.#number(spec.null) };
      if ('room' in spec) return { room: this.#number(spec.room) };
      if ('unmapped' in spec) return { at: UNMAPPED, length: this.#number(spec.unmapped) };
      if ('readOnly' in spec) return { at: READ_ONLY, length: this.#number(spec.readOnly) };
      if ('stack' in spec) return { at: STACK, length: this.#number(spec.stack) };
      if ('crossing' in spec) return { at: HEAP_END - CROSSING, length: this.#number(spec.crossing) };
    }
    return this.#bytes(spec);
  }

  #resolveCalls(calls: ScriptCall[]): ResolvedCall[] {
    const expanded = expand(calls);
    const results = new Map(expanded.map(({ as }, index) => [as, index]));
    return expanded.map(({ call, args = {} }) => {
      const parameters = Object.entries(PARAMETERS[call] ?? {});
      expect(Object.keys(args), `the arguments of ${call}`).toEqual(parameters.map(([name]) => name));
      const values = parameters.map(([name, kind]): Argument => {
        if (kind !== 'number' && kind !== 'id') return this.#memory(args[name] as BytesSpec);
        const spec = args[name] as NumberSpec;
        const result = kind === 'id' && typeof spec === 'object' && 'id' in spec ? results.get(spec.id) : undefined;
        return result === undefined ? this.#number(spec) : resultOf(result);
      });
      return { call: call as CallName, args: values };
    });
  }

  #resolveObject(args: Record<string, unknown>, method: string): Record<string, unknown> {
    return Object.fromEntries(Object.entries(args).map(([key, value]) => [key, this.#resolve(key, value, method)]));
  }

  #resolve(key: string, value: unknown, method: string): unknown {
    if (ADDRESSES.includes(key)) return toAddress(value as string);
    if (BYTES.includes(key)) return this.#bytes(value as BytesSpec);
    if (key === 'accounts') return (value as AccountSpec[]).map(toMeta);
    if (key === 'updates') return (value as Record<string, unknown>[]).map((update) => this.#resolveObject(update, method));
    if (key === 'state') return RingState[value as keyof typeof RingState];
    if (typeof value === 'string' && key in ENUMS) return ENUMS[key]![value];
    if (key in ENUMS || key === 'rights' || key === 'max') return value;
    if (typeof value === 'number' || isNumberSpec(value)) return this.#number(value as NumberSpec);
    return value;
  }
}

/** Runs a vector to its end, or throws at the first thing that is not as stated. Returns how many calls were made. */
export function runVector(vector: Vector, subject: Subject): number {
  const player = new Player(subject, vector.engine);
  let made = 0;
  vector.steps.forEach((step, index) => {
    for (let round = 0; round < (step.repeat ?? 1); round++) {
      player.check(step, player.perform(step), `${vector.name}, step ${index}`);
      made += 'calls' in step ? expand(step.calls).length : 1;
    }
  });
  return made;
}

function expand<T extends ScriptCall>(calls: T[]): T[] {
  return calls.flatMap((call) => Array<T>(call.repeat ?? 1).fill(call));
}

function encode(calls: ResolvedCall[], { end, units }: Pick<ScriptSpec, 'end' | 'units'>): Uint8Array {
  const how = end === undefined ? End.SUCCEED : end === 'fail' ? End.FAIL : End.LOOP;
  return script(
    calls.map(({ call, args }): Call => [call, ...args]),
    how,
    units,
  );
}

function repliesOf(calls: ResolvedCall[], returnData: Uint8Array = new Uint8Array()): Reply[] {
  const replies = decode(
    calls.map(({ call, args }): Call => [call, ...args]),
    returnData,
  );
  return replies.map(({ error, ...reply }) => ({ ...reply, error: NAMES[error]! }));
}

/** The address of a name; an address in base58 is one already. */
function toAddress(name: string): string {
  return /^[a-z][a-z0-9-]{0,31}$/.test(name) ? address(name) : name;
}

function toMeta(account: AccountSpec): AccountMetaLike {
  if (typeof account === 'string') return { address: toAddress(account), isSigner: false, isWritable: false };
  const { address: name, isSigner = false, isWritable = false } = account;
  return { address: toAddress(name), isSigner, isWritable };
}

/** The number behind a name; `state` is that of a timer or of a ring buffer, which share no name. */
function toNumber(key: string, name: string): number {
  const names: Record<string, number> = key === 'state' ? { ...TimerState, ...RingState } : key === 'code' ? ErrorCode : (ENUMS[key] ?? {});
  return names[name] ?? Number.NaN;
}

function isNumberSpec(value: unknown): value is NumberSpec {
  return (
    typeof value === 'object' &&
    value !== null &&
    ('decimal' in value || 'slot' in value || 'id' in value) &&
    Object.keys(value).length === 1
  );
}

function codeName(error: unknown): ErrorCodeName {
  const { codeName } = error as { codeName?: ErrorCodeName };
  if (codeName === undefined) throw error;
  return codeName;
}
