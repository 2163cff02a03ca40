/** Reads the vectors of conformance/ and runs them against an engine. conformance/README.md says what each part means. */

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { AsyncBpfEngine, RingState, type ErrorCodeName, type Limits } from '../../dist/index.js';
import { address, addressBytes } from './addresses.js';
import { prebuilt } from './engine.js';

export type NumberSpec = number | { decimal: string } | { slot: number } | { id: string };
export type BytesSpec = string | null | { null: number } | { zeros: number } | { room: number };
export type AddressSpec = null | { address: string };

export interface VectorCall {
  call: string;
  args?: Record<string, NumberSpec | BytesSpec | AddressSpec>;
  repeat?: number;
  as?: string;
  value: 'id' | NumberSpec;
  error: ErrorCodeName;
  bytes?: string;
}

export interface Report {
  timersFired?: number;
  watchersTriggered?: number;
  tasksQueued?: number;
  tasksPending?: number;
  outcomes?: string[];
}

export interface Invocation {
  invoke: string;
  calls: VectorCall[];
  end?: 'fail' | 'loop';
  repeat?: number;
}

export type Step =
  | Invocation
  | { processSlot: number; expect?: Report }
  | { updateAccount: string; lamports: number; data?: string }
  | { createRing: string; as: string; size?: number; reader?: 'program' | 'host' }
  | { setRingState: string; state: keyof typeof RingState }
  | { drain: true }
  | { stats: Record<string, number> };

export interface Vector {
  name: string;
  rule: string;
  covers?: string[];
  needs?: string[];
  engine?: { startSlot?: number; limits?: Partial<Limits>; programs?: string[] };
  steps: Step[];
}

const FOLDER = join(__dirname, '../../conformance');

export function readSchema(): Record<string, unknown> {
  return JSON.parse(readFileSync(join(FOLDER, 'schema.json'), 'utf8'));
}

/** Every vector, by its file name. */
export function readVectors(): Vector[] {
  const folder = join(FOLDER, 'vectors');
  return readdirSync(folder)
    .sort()
    .map((file) => ({ ...JSON.parse(readFileSync(join(folder, file), 'utf8')), name: file.replace('.json', '') }));
}

/** The parameters of each call, in the order of sol_async.h. */
export const PARAMETERS: Record<string, Record<string, 'number' | 'id' | 'bytes' | 'address' | 'output'>> = {
  sol_timer_create: { trigger_slot: 'number', data: 'bytes', compute_budget: 'number' },
  sol_timer_create_periodic: { start_slot: 'number', period_slots: 'number', data: 'bytes', compute_budget: 'number' },
  sol_timer_create_with: {
    trigger_slot: 'number',
    period_slots: 'number',
    deadline_slot: 'number',
    catch_up: 'number',
    max_ticks: 'number',
    priority: 'number',
    data: 'bytes',
    compute_budget: 'number',
  },
  sol_timer_cancel: { timer_id: 'id' },
  sol_watcher_create: { pubkey: 'address', trigger_type: 'number', data: 'bytes', compute_budget: 'number' },
  sol_watcher_create_threshold: {
    pubkey: 'address',
    trigger_type: 'number',
    offset: 'number',
    threshold: 'number',
    data: 'bytes',
    compute_budget: 'number',
  },
  sol_watcher_create_pattern: { pubkey: 'address', offset: 'number', pattern: 'bytes', data: 'bytes', compute_budget: 'number' },
  sol_watcher_set_min_slots: { watcher_id: 'id', n: 'number' },
  sol_watcher_remove: { watcher_id: 'id' },
  sol_ring_buffer_create: { size: 'number' },
  sol_ring_buffer_push: { buffer_id: 'id', data: 'bytes' },
  sol_ring_buffer_pop: { buffer_id: 'id', output: 'output' },
  sol_ring_buffer_peek: { buffer_id: 'id', output: 'output' },
  sol_ring_buffer_grant: { buffer_id: 'id', program_pubkey: 'address', rights: 'number' },
  sol_ring_buffer_destroy: { buffer_id: 'id' },
  sol_task_schedule: { data: 'bytes', compute_budget: 'number', priority: 'number', deadline_slot: 'number' },
  sol_get_slot: {},
  sol_async_last_error: {},
  sol_async_context: { output: 'output' },
};

/** An argument, resolved as far as it can be before the invocation. */
export type Resolved = bigint | Uint8Array | null | { null: number } | { room: number } | { result: number };

export interface ResolvedCall {
  call: string;
  args: Resolved[];
  output?: string;
}

/** What a call gave, as far as the runner can see it: in a failed invocation only the error. */
export interface Seen {
  value?: bigint;
  error: ErrorCodeName;
  bytes?: string;
}

export interface Runner {
  name: string;
  /** What it cannot do; vectors that need it are not for this runner. */
  lacks: readonly string[];
  /** Makes the calls on behalf of the program; one `Seen` for each. */
  invoke(engine: AsyncBpfEngine, program: string, calls: ResolvedCall[], end?: 'fail' | 'loop'): Seen[];
}

export function runs(runner: Runner, vector: Vector): boolean {
  return (vector.needs ?? []).every((need) => !runner.lacks.includes(need));
}

/** Runs a vector to its end, or throws at the first thing that is not as stated. Returns how many calls were made. */
export function runVector(vector: Vector, runner: Runner): number {
  const { startSlot = 0, limits = {}, programs = ['a'] } = vector.engine ?? {};
  using engine = new AsyncBpfEngine({ workers: 1, startSlot, limits });
  const code = prebuilt('conformance');
  for (const program of programs) engine.addProgram(address(program), code);
  const ids = new Map<string, bigint>();
  const known = new Set<bigint>();
  let made = 0;

  vector.steps.forEach((step, index) => {
    const where = `${vector.name}, step ${index}`;
    if ('invoke' in step) {
      for (let round = 0; round < (step.repeat ?? 1); round++) made += invoke(step, where);
    } else if ('processSlot' in step) {
      const report = engine.processSlot(engine.slot + BigInt(step.processSlot));
      const seen: Record<string, unknown> = { ...numbers(report), outcomes: report.outcomes.map(({ status }) => status) };
      for (const [key, wanted] of Object.entries(step.expect ?? {})) expect(seen[key], `${where}: ${key}`).toEqual(wanted);
    } else if ('updateAccount' in step) {
      const { updateAccount, lamports, data = '' } = step;
      engine.updateAccounts([{ address: address(updateAccount), lamports, data: Buffer.from(data, 'hex') }]);
    } else if ('createRing' in step) {
      const { createRing, as, size, reader } = step;
      ids.set(as, engine.rings.create({ programId: address(createRing), size, reader }));
    } else if ('setRingState' in step) {
      engine.rings.setState(ids.get(step.setRingState)!, RingState[step.state]);
    } else if ('drain' in step) {
      engine.drain();
    } else {
      const seen = numbers(engine.stats());
      for (const [key, wanted] of Object.entries(step.stats)) expect(seen[key], `${where}: ${key}`).toBe(wanted);
    }
  });
  return made;

  function invoke({ invoke: program, calls: compact, end }: Invocation, where: string): number {
    const calls = compact.flatMap((call) => Array<VectorCall>(call.repeat ?? 1).fill(call));
    const results = new Map(calls.map((call, index) => [call.as, index]));
    const number = (spec: NumberSpec): bigint | { result: number } => {
      if (typeof spec === 'number') return BigInt(spec);
      if ('decimal' in spec) return BigInt(spec.decimal);
      if ('slot' in spec) return engine.slot + BigInt(spec.slot);
      const result = results.get(spec.id);
      if (result !== undefined) return { result };
      return ids.get(spec.id)!;
    };
    const resolve = (spec: unknown, kind: string): Resolved => {
      if (kind === 'number' || kind === 'id') return number(spec as NumberSpec);
      if (spec === null) return null;
      if (kind === 'address') return addressBytes((spec as { address: string }).address);
      const bytes = spec as Exclude<BytesSpec, null>;
      if (typeof bytes === 'string') return Buffer.from(bytes, 'hex');
      return 'zeros' in bytes ? new Uint8Array(bytes.zeros) : bytes;
    };
    const resolved = calls.map(({ call, args = {} }): ResolvedCall => {
      const parameters = Object.entries(PARAMETERS[call]!);
      expect(Object.keys(args), `${where}: arguments of ${call}`).toEqual(parameters.map(([name]) => name));
      return { call, args: parameters.map(([name, kind]) => resolve(args[name], kind)) };
    });
    const seen = runner.invoke(engine, address(program), resolved, end);
    expect(seen.length, `${where}: calls made`).toBe(calls.length);
    calls.forEach((call, index) => {
      const { value, error, bytes } = seen[index]!;
      const what = `${where}, call ${index} (${call.call})`;
      expect(error, `${what}: error`).toBe(call.error);
      if (value === undefined) return;
      if (call.value === 'id') {
        expect(value !== 0n && !known.has(value), `${what}: a new id, not ${value}`).toBe(true);
        known.add(value);
        if (call.as) ids.set(call.as, value);
      } else {
        expect(value, `${what}: value`).toBe(BigInt.asUintN(64, number(call.value) as bigint));
      }
      if (call.bytes !== undefined) expect(bytes, `${what}: bytes`).toBe(call.bytes);
    });
    return calls.length;
  }
}

function numbers(counts: object): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).flatMap(([key, value]) => (typeof value === 'bigint' ? [[key, Number(value)]] : [])));
}
