/** Runs a scenario in an engine. */

import { performance } from 'node:perf_hooks';
import { AsyncBpfEngine, AsyncBpfError, type Outcome, type RingEntry } from '../index.js';
import { InputError, RunError } from './errors.js';
import type { Json } from './json.js';
import { decode, worth, type Event, type Worth } from './report.js';
import { setupSlot, type Invocation, type Scenario } from './scenario.js';

/** A callback that failed, or was not run because its deadline had passed. */
export interface Failure {
  slot: bigint;
  outcome: Outcome;
}

export interface Run {
  /** Events and failures in the order in which they happened. */
  timeline: (Event | Failure)[];
  /** Callbacks that ran, and of them those that failed. */
  callbacks: number;
  failed: number;
  /** Callbacks that could not run before their deadline. */
  expired: number;
  unitsConsumed: bigint;
  /** After the first slot, and after the last. */
  first: Worth | undefined;
  last: Worth | undefined;
  stateHash: string;
  /** From the first slot to the last, without the set-up. */
  seconds: number;
}

export function run(scenario: Scenario, workers: number | undefined, onSlot: (done: number) => void): Run {
  const { feed, report } = scenario;
  const engine = new AsyncBpfEngine({ workers, startSlot: setupSlot(feed), startTimestamp: feed[0]!.unixTimestamp });
  try {
    const rings = prepare(scenario, engine);
    const timeline: Run['timeline'] = [];
    const counts = { committed: 0, failed: 0, expired: 0 };
    let unitsConsumed = 0n;
    let first: Worth | undefined;
    const start = performance.now();
    for (const [index, { json, slot, unixTimestamp, updates }] of feed.entries()) {
      located(json, () => engine.updateAccounts(updates));
      const done = engine.processSlot(slot, { unixTimestamp });
      unitsConsumed += done.unitsConsumed;
      for (const outcome of done.outcomes) {
        counts[outcome.status] += 1;
        if (outcome.status !== 'committed') timeline.push({ slot, outcome });
      }
      // In every slot, so that programs find room in their rings.
      for (const record of report.records) {
        for (const entry of drain(engine, record.ring, rings.get(record.ring)!, slot)) timeline.push(decode(record, entry));
      }
      if (index === 0 && report.holding) first = worth(report.holding, engine);
      onSlot(index + 1);
    }
    return {
      timeline,
      callbacks: counts.committed + counts.failed,
      failed: counts.failed,
      expired: counts.expired,
      unitsConsumed,
      first,
      last: report.holding && worth(report.holding, engine),
      stateHash: engine.stateHash(),
      seconds: (performance.now() - start) / 1000,
    };
  } finally {
    engine.close();
  }
}

/** What the value after the first slot would be worth now, had all of it been in units since; rounded down. */
export function buyAndHold({ first, last }: Run): Worth | undefined {
  if (!first || !last || first.price <= 0n) return undefined;
  return { ...last, value: (first.value * last.price) / first.price };
}

/** Loads what the scenario names, and makes its invocations. */
function prepare({ programs, accounts, rings, setup, names }: Scenario, engine: AsyncBpfEngine): Map<string, bigint> {
  for (const { json, address, elf } of programs) located(json, () => engine.addProgram(address, elf));
  for (const { json, ...account } of accounts) located(json, () => engine.setAccount(account.address, account));
  const ids = new Map(rings.map(({ json, name, ...ring }) => [name, located(json, () => engine.rings.create(ring))]));
  for (const invocation of setup) {
    const { json, data, ...callback } = invocation;
    const outcome = located(json, () => engine.invoke({ ...callback, data: instructionData(data, ids) }));
    if (outcome.status !== 'committed') {
      const place = json.describe(`(${names.of(callback.programId)}) failed: ${outcome.error?.message}`);
      throw new RunError(place, outcome.logs);
    }
  }
  return ids;
}

/** What a ring holds; a program may have destroyed it. */
function drain(engine: AsyncBpfEngine, name: string, id: bigint, slot: bigint): RingEntry[] {
  try {
    return engine.rings.drain(id);
  } catch (error) {
    if (AsyncBpfError.is(error, 'INVALID_BUFFER')) throw new RunError(`ring ${name} was destroyed in slot ${slot}`);
    throw error;
  }
}

function instructionData(data: Invocation['data'], rings: ReadonlyMap<string, bigint>): Uint8Array {
  return Buffer.concat(data.map((part) => (part instanceof Uint8Array ? part : idBytes(rings.get(part.ring)!))));
}

function idBytes(id: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(id);
  return bytes;
}

/** Says where in the scenario is what the engine refuses. */
function located<T>(json: Json, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (AsyncBpfError.is(error)) throw new InputError(json.describe(`was refused: ${error.message}`));
    throw error;
  }
}
