/** Plays a scenario to the engine and to the reference model, and looks for the first difference. */

import type { Outcome, SlotReport } from '../../dist/index.js';
import type { Model } from '../../model/index.js';
import { address } from '../support/addresses.js';
import { Player, type Result } from '../support/player.js';
import { model, onChain } from '../support/runners.js';
import type { Step, Vector } from '../support/vectors.js';

const ACCOUNTS = ['w', 'v', 'x', 'y', 'z', 'r', 'p'].map(address);
const PROGRAMS = ['a', 'b'].map(address);

/** What the model does not have: texts, and the hash. */
const LEFT_OUT = ['logs', 'stateHash', 'message', 'reason'];

/** Where engine and model differ, in words; `undefined` when they do not. */
export function firstDifference(vector: Vector): string | undefined {
  using engine = onChain.open(vector.engine);
  using twin = model.open(vector.engine);
  const players = [new Player(engine, vector.engine), new Player(twin, vector.engine)] as const;
  // A program that ends before it can state its units has used so many as it has instructions, which the model does not know.
  const measured = new Map<bigint, bigint>();
  (twin.host as unknown as Model).measuredUnits = (taskId) => measured.get(taskId);
  for (const [index, step] of vector.steps.entries()) {
    const real = players[0].perform(step);
    for (const { taskId, unitsConsumed } of outcomesOf(real)) measured.set(taskId, unitsConsumed);
    const results = [real, players[1].perform(step)].map(describe);
    if (results[0] !== results[1]) return difference(`step ${index}, ${JSON.stringify(step)}`, results);
    const states = players.map((player) => describe(stateOf(player)));
    if (states[0] !== states[1]) return difference(`the state after step ${index}, ${JSON.stringify(step)}`, states);
  }
  return undefined;
}

function outcomesOf({ value }: Result): Outcome[] {
  if (typeof value !== 'object' || value === null) return [];
  if ('outcomes' in value) return value.outcomes as Outcome[];
  return 'unitsConsumed' in value && 'status' in value ? [value as Outcome] : [];
}

/** Everything that a host can see between two steps. */
function stateOf({ subject: { host }, ids }: Player): object {
  return {
    slot: host.slot,
    stats: host.stats(),
    timers: PROGRAMS.map((program) => host.timers.list(program)),
    watchers: ACCOUNTS.map((account) => host.watchers.list(account)),
    rings: [...ids.values()].map((id) => host.rings.get(id)),
    accounts: ACCOUNTS.map((account) => host.getAccount(account)),
  };
}

/** Plain text that is equal when two results are. */
function describe(value: unknown): string {
  return JSON.stringify(value, replace, 1);
}

function replace(this: any, key: string): unknown {
  // Not as toJSON made it: a Buffer has one of its own.
  const value: unknown = this[key];
  if (LEFT_OUT.includes(key)) return undefined;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : `${value}`;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (isReport(value)) return { ...value, outcomes: value.outcomes };
  // The order of members does not matter.
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  return value;
}

/** The outcomes of a report are decoded when somebody looks, and no member of its own. */
function isReport(value: unknown): value is SlotReport {
  return typeof value === 'object' && value !== null && 'timersFired' in value && 'outcomes' in value && !Object.hasOwn(value, 'outcomes');
}

function difference(where: string, [engine, twin]: string[]): string {
  const [left, right] = [engine!.split('\n'), twin!.split('\n')];
  const at = left.findIndex((line, index) => line !== right[index]);
  const from = Math.max(0, at - 12);
  const show = (lines: string[]) => lines.slice(from, at + 8).join('\n');
  return `engine and model differ at ${where}\n--- engine\n${show(left)}\n--- model\n${show(right)}`;
}

/** The scenario as a vector whose expectations are what the model says. */
export function toVector(vector: Vector): string {
  using twin = model.open(vector.engine);
  const player = new Player(twin, vector.engine);
  const steps = vector.steps.map((step) => withExpectation(step, player.perform(step)));
  const looks: Step[] = [...player.ids.keys()].map((name) => ({ host: `${name.split('-')[0]}s.get`, args: { id: { id: name } } }));
  for (const step of [...looks, { host: 'stats' }]) steps.push(withState(step, player.perform(step)));
  const { name: _, ...rest } = vector;
  return JSON.stringify({ $schema: '../schema.json', ...rest, needs: ['invocation', 'pointers', 'runtime'], steps }, undefined, 2);
}

function withExpectation(step: Step, { value, error, replies }: Result): Step {
  const expected = value === undefined ? undefined : (JSON.parse(describe(value)) as Record<string, unknown>);
  if ('invoke' in step) {
    const calls = step.calls.map((call, index) => {
      const reply = replies?.[index];
      return reply ? { ...call, value: { decimal: `${reply.value}` }, error: reply.error } : call;
    });
    return { ...step, calls, ...(expected && { expect: { status: expected.status } }) };
  }
  if (error) return { ...step, error };
  return 'processSlot' in step ? { ...step, expect: expected } : step;
}

/** A step that looks at what there is, and what it sees beside accounts, which the vector's steps have shown. */
function withState(step: Step, { value }: Result): Step {
  const { accounts: _, ...seen } = JSON.parse(describe(value ?? {})) as Record<string, unknown>;
  const exact = Object.entries(seen).map(([key, item]) => {
    const isNumber = typeof item === 'string' && /^\d+$/.test(item) && !['data', 'pattern'].includes(key);
    return [key, isNumber ? { decimal: item } : item];
  });
  return { ...step, expect: value === undefined ? null : Object.fromEntries(exact) };
}
