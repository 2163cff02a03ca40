/** Equal inputs give equal outputs and hashes, whatever the number of workers. */

import { describe, expect, test } from 'vitest';
import { AsyncBpfEngine } from '../dist/index.js';
import { address } from './support/addresses.js';
import { script, type Call } from './support/conformance.js';
import { createEngine } from './support/engine.js';
import { play, SCENARIO_LIMITS, type History } from './support/scenario.js';

const SLOTS = 60;
const WORKERS = [2, 3, 4, 8];

function run(workers: number, between?: (engine: AsyncBpfEngine) => void): History {
  using engine = new AsyncBpfEngine({ workers, limits: SCENARIO_LIMITS });
  return play(engine, SLOTS, () => between?.(engine));
}

const alone = run(1);

describe('a busy history', () => {
  test('has what it should have: every kind of outcome, source and limit', () => {
    const outcomes = alone.slots.flatMap((slot) => slot.outcomes);
    expect(outcomes.length).toBeGreaterThan(300);
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(['committed', 'failed', 'expired']));
    expect(new Set(outcomes.map(({ source }) => source.kind))).toEqual(new Set(['timer', 'watcher', 'task']));
    const codes = new Set(outcomes.flatMap(({ stagedCodes }) => stagedCodes));
    // Unknown timer and watcher, both limits, ring buffers that are another's, full, too many, or hold too much.
    for (const code of [0, 2, 3, 4, 5, 8, 9, 10, 13]) expect(codes).toContain(code);
    expect(alone.slots.some(({ tasksPending }) => tasksPending > 0n)).toBe(true);
    expect(outcomes.some(({ logs }) => logs.some((line) => line.endsWith('invoke [2]')))).toBe(true);
  });

  test.each(WORKERS)('is the same with %i workers: reports, logs, hashes', (workers) => {
    const parallel = run(workers);
    parallel.slots.forEach((slot, index) => expect(slot, `slot ${slot.slot}`).toEqual(alone.slots[index]));
    expect(parallel).toEqual(alone);
  });

  test('is the same again in another engine', () => {
    expect(run(1)).toEqual(alone);
  });

  test('is the same when somebody looks at the hash all the time', () => {
    expect(run(1, (engine) => engine.stateHash())).toEqual(alone);
    expect(run(4, (engine) => engine.stateHash())).toEqual(alone);
  });
});

describe('tasks of one slot that meet in', () => {
  const [A, B] = [address('a'), address('b')];

  /** The reports of one slot with these tasks, for each number of workers. */
  function compare(prepare: (engine: AsyncBpfEngine) => Parameters<AsyncBpfEngine['tasks']['submit']>[0][]) {
    const results = [1, ...WORKERS].map((workers) => {
      const engine = createEngine({ a: 'conformance', b: 'conformance' }, { workers, limits: { maxScheduledTasks: 8 } });
      for (const task of prepare(engine)) engine.tasks.submit(task);
      const report = engine.processSlot(1);
      return { ...report, outcomes: report.outcomes, after: engine.processSlot(2).outcomes.length };
    });
    for (const result of results) expect(result).toEqual(results[0]);
    return results[0]!;
  }
  const task = (programId: string, ...calls: Call[]) => ({ programId, data: script(calls), computeBudget: 20_000 });
  const NO_DATA = new Uint8Array(0);

  test('a limit of timers: the first ones win', () => {
    const { outcomes } = compare((engine) => {
      for (let n = 0; n < 14; n++) engine.timers.create({ programId: A, triggerSlot: 100 });
      return Array.from({ length: 4 }, () => task(A, ['sol_timer_create', 50, NO_DATA, 1000]));
    });
    expect(outcomes.flatMap(({ stagedCodes }) => stagedCodes)).toEqual([0, 0, 4, 4]);
  });

  test('the task queue: the first ones win', () => {
    const { outcomes } = compare(() =>
      Array.from({ length: 4 }, () => task(A, ...Array<Call>(3).fill(['sol_task_schedule', Uint8Array.of(0), 1000, 1, 0]))),
    );
    expect(outcomes.map(({ stagedCodes }) => stagedCodes)).toEqual([
      [0, 0, 0],
      [0, 0, 0],
      // Each task that starts leaves its own place in the queue of 8 to those that follow.
      [0, 12, 12],
      [0, 12, 12],
    ]);
  });

  test('a ring buffer: one pops what the other pushed', () => {
    const { outcomes } = compare((engine) => {
      const ring = engine.rings.create({ programId: A, size: 64 });
      engine.rings.grant(ring, B, 3);
      return [
        task(A, ['sol_ring_buffer_push', ring, Uint8Array.of(5)]),
        task(B, ['sol_ring_buffer_pop', ring, { room: 1 }]),
        task(B, ['sol_ring_buffer_pop', ring, { room: 1 }]),
      ];
    });
    expect(outcomes.map(({ returnData }) => returnData!.length)).toEqual([16, 25, 24]);
  });

  test('a timer: one cancels what the other creates or cancels', () => {
    compare((engine) => {
      const timer = engine.timers.create({ programId: A, triggerSlot: 100 });
      return [task(A, ['sol_timer_cancel', timer]), task(A, ['sol_timer_cancel', timer], ['sol_timer_create', 3, NO_DATA, 1000])];
    });
  });

  /** The second task reads an entry that does not fit its output; which entry that is, the first decides. */
  const tooSmall = (engine: AsyncBpfEngine, computeBudget = 20_000) => {
    const ring = engine.rings.create({ programId: A });
    engine.rings.push(ring, new Uint8Array(990));
    engine.rings.push(ring, new Uint8Array(300));
    return [
      task(A, ['sol_ring_buffer_pop', ring, { room: 990 }]),
      { ...task(A, ['sol_ring_buffer_pop', ring, { room: 10 }]), computeBudget },
    ];
  };

  test('a ring buffer: an entry that is too long costs what the entry at its turn costs', () => {
    const { outcomes } = compare((engine) => tooSmall(engine));
    expect(outcomes[1]!.stagedCodes).toEqual([13]);
  });

  test('a ring buffer: a task that can pay for the entry at its turn does not fail for another entry', () => {
    const engine = createEngine({ a: 'conformance' });
    for (const each of tooSmall(engine)) engine.tasks.submit(each);
    const needed = Number(engine.processSlot(1).outcomes[1]!.unitsConsumed);
    const { outcomes } = compare((other) => tooSmall(other, needed));
    expect(outcomes.map(({ status }) => status)).toEqual(['committed', 'committed']);
  });
});
