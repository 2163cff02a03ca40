/** The vectors of conformance/ as types, and how they are read. conformance/README.md says what each part means. */

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ErrorCodeName, Limits } from '../../dist/index.js';

export type NumberSpec = number | { decimal: string } | { slot: number } | { id: string };

/** Bytes by content, or memory of the program of which only where it lies and how long it is matters. */
export type BytesSpec =
  | string
  | null
  | { null: NumberSpec }
  | { zeros: number }
  | { room: NumberSpec }
  | { unmapped: NumberSpec }
  | { readOnly: NumberSpec }
  | { stack: NumberSpec }
  | { crossing: NumberSpec }
  | { address: string }
  | ScriptSpec;

/** Instruction data of programs/conformance: the calls that an invocation makes. */
export interface ScriptSpec {
  script: ScriptCall[];
  end?: 'fail' | 'loop';
  units?: number;
}

export interface ScriptCall {
  call: string;
  args?: Record<string, NumberSpec | BytesSpec>;
  repeat?: number;
  as?: string;
}

/** A call and what comes of it. */
export interface VectorCall extends ScriptCall {
  value?: 'id' | NumberSpec;
  error?: ErrorCodeName;
  charge?: number;
  bytes?: string;
  context?: Record<string, unknown>;
}

export type AccountSpec = string | { address: string; isWritable?: boolean; isSigner?: boolean };

export interface Invocation {
  invoke: string;
  calls: VectorCall[];
  end?: 'fail' | 'loop';
  units?: number;
  computeBudget?: NumberSpec;
  accounts?: AccountSpec[];
  repeat?: number;
  error?: ErrorCodeName;
  expect?: Record<string, unknown>;
}

export interface SlotStep {
  processSlot: number;
  unixTimestamp?: number;
  repeat?: number;
  error?: ErrorCodeName;
  expect?: Record<string, unknown>;
}

/** A call of the host API. */
export interface HostStep {
  host: string;
  args?: Record<string, unknown>;
  as?: string;
  repeat?: number;
  error?: ErrorCodeName;
  expect?: unknown;
}

export type Step = Invocation | SlotStep | HostStep;

export interface EngineSpec {
  startSlot?: number | { decimal: string };
  startTimestamp?: number;
  limits?: Partial<Limits>;
  programs?: string[];
}

export interface Vector {
  name: string;
  rule: string;
  rules: string[];
  covers?: string[];
  needs?: string[];
  engine?: EngineSpec;
  steps: Step[];
}

export interface Rule {
  id: string;
  section: string;
  text: string;
}

export const CONFORMANCE = join(__dirname, '../../conformance');

export function readJson<T>(file: string): T {
  return JSON.parse(readFileSync(join(CONFORMANCE, file), 'utf8'));
}

/** Every vector, by its file name. */
export function readVectors(): Vector[] {
  return readdirSync(join(CONFORMANCE, 'vectors'))
    .sort()
    .map((file) => ({ ...readJson<Vector>(`vectors/${file}`), name: file.replace('.json', '') }));
}

type Kind = 'number' | 'id' | 'bytes' | 'address' | 'output';

/** The parameters of each call, in the order of sol_async.h, and of what else programs/conformance can do. */
export const PARAMETERS: Record<string, Record<string, Kind>> = {
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
  timer_create_with_struct: { params: 'bytes' },
  watcher_create_threshold_struct: { params: 'bytes' },
  watcher_create_pattern_struct: { params: 'bytes' },
  task_schedule_struct: { params: 'bytes' },
  log: { message: 'bytes' },
  write_account: { account: 'number', offset: 'number', data: 'bytes' },
  resize_account: { account: 'number', length: 'number' },
  move_lamports: { from: 'number', to: 'number', amount: 'number' },
  invoke: { program: 'number', first: 'number', count: 'number', data: 'bytes' },
};

/** The syscalls among them. */
export const SYSCALLS = Object.keys(PARAMETERS).filter((name) => name.startsWith('sol_'));
