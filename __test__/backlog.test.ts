/** More work than a slot, or the queue, can hold: it waits in order, and nothing is lost. */

import { describe, expect, test } from 'vitest';
import { CatchUp, Priority, TimerState, WatcherTrigger, type AsyncBpfEngine } from '../dist/index.js';
import { address } from './support/addresses.js';
import { random, u64 } from './support/bytes.js';
import { ASK_CONTEXT, contextOf, run, say, said, script } from './support/conformance.js';
import { createEngine } from './support/engine.js';

const PROGRAM = address('program');
const LIMIT = 10_000;
const saying = (text: string, computeBudget = LIMIT) => ({ programId: PROGRAM, data: say(text), computeBudget });

/** An engine whose slots have room for one callback that asks for all units that it may. */
const oneASlot = (more = {}) =>
  createEngine({ program: 'conformance' }, { limits: { maxComputeBudget: LIMIT, slotComputeLimit: LIMIT, ...more } });
const next = (engine: AsyncBpfEngine) => engine.processSlot(engine.slot + 1n);

/** The texts that each slot says, until one says nothing. */
function slots(engine: AsyncBpfEngine): string[][] {
  const all: string[][] = [];
  for (let texts = said(next(engine).outcomes); texts.length > 0; texts = said(next(engine).outcomes)) all.push(texts);
  return all;
}

describe('the compute limit of a slot', () => {
  test('also bounds the budget of a callback, which could never start otherwise, but not that of an invocation', () => {
    const engine = createEngine({ program: 'conformance' }, { limits: { slotComputeLimit: LIMIT } });
    expect(() => engine.tasks.submit(saying('x', LIMIT + 1))).toThrow(`computeBudget is ${LIMIT + 1}, but must be in [1, ${LIMIT}]`);
    engine.tasks.submit(saying('x', LIMIT));
    expect(said(next(engine).outcomes)).toEqual(['x']);
    expect(engine.invoke(saying('x', 1_400_000)).status).toBe('committed');
  });

  test('lets a task start only if the units used so far and its budget fit', () => {
    const engine = oneASlot();
    const budget = 4_000;
    const { unitsConsumed } = engine.invoke(saying('x', budget));
    for (let n = 0; n < 50; n++) engine.tasks.submit(saying('x', budget));
    const fitting = Math.floor((LIMIT - budget) / Number(unitsConsumed)) + 1;
    const report = next(engine);
    expect(report.outcomes).toHaveLength(fitting);
    expect(report).toMatchObject({ tasksQueued: 50n, tasksPending: BigInt(50 - fitting), unitsConsumed: unitsConsumed * BigInt(fitting) });
    expect(report.unitsConsumed).toBeLessThanOrEqual(LIMIT);
    expect(engine.stats().tasksPending).toBe(BigInt(50 - fitting));
  });

  test('what does not fit stays queued, in order', () => {
    const engine = oneASlot();
    for (const text of ['1', '2', '3']) engine.tasks.submit(saying(text));
    engine.timers.create({ ...saying('timer'), triggerSlot: 1 });
    expect(slots(engine)).toEqual([['1'], ['2'], ['3'], ['timer']]);
  });

  test('a small task does not overtake a large one in front of it', () => {
    const engine = oneASlot();
    for (const [text, budget] of [
      ['first', LIMIT],
      ['large', LIMIT],
      ['small', 500],
    ] as const)
      engine.tasks.submit(saying(text, budget));
    expect(slots(engine)).toEqual([['first'], ['large', 'small']]);
  });

  test('what is more urgent goes first, wherever it came from', () => {
    const engine = oneASlot();
    for (const text of ['1', '2']) engine.tasks.submit(saying(text));
    expect(said(next(engine).outcomes)).toEqual(['1']);
    engine.tasks.submit(saying('3'));
    engine.tasks.submit({ ...saying('urgent'), priority: Priority.CRITICAL });
    engine.tasks.submit({ ...saying('by 9'), deadlineSlot: 9 });
    expect(slots(engine)).toEqual([['urgent'], ['by 9'], ['2'], ['3']]);
  });

  test('a timer is EXECUTING while its callback is queued, and then COMPLETED', () => {
    const engine = oneASlot();
    const timers = ['a', 'b'].map((text) => engine.timers.create({ ...saying(text), triggerSlot: 1 }));
    next(engine);
    expect(timers.map((id) => engine.timers.get(id)!.state)).toEqual([TimerState.COMPLETED, TimerState.EXECUTING]);
    expect(engine.stats().timersActive).toBe(1n);
    next(engine);
    expect(engine.timers.get(timers[1]!)!.state).toBe(TimerState.COMPLETED);
  });

  test('a queued callback of a timer or a watcher that is taken away does not run', () => {
    const engine = oneASlot();
    engine.tasks.submit({ ...saying('first'), priority: Priority.CRITICAL });
    const timer = engine.timers.create({ ...saying('timer'), triggerSlot: 1 });
    const watcher = engine.watchers.create({ ...saying('watcher'), account: address('watched'), trigger: WatcherTrigger.ANY_CHANGE });
    engine.updateAccounts([{ address: address('watched'), lamports: 1 }]);
    expect(next(engine).tasksPending).toBe(2n);
    engine.timers.cancel(timer);
    engine.watchers.remove(watcher);
    expect(engine.stats().tasksPending).toBe(0n);
    expect(slots(engine)).toEqual([]);
  });

  test('a watcher that is paused still has the callback of a trigger that happened', () => {
    const engine = oneASlot();
    engine.tasks.submit({ ...saying('first'), priority: Priority.CRITICAL });
    const watcher = engine.watchers.create({ ...saying('watcher'), account: address('watched'), trigger: WatcherTrigger.ANY_CHANGE });
    engine.updateAccounts([{ address: address('watched'), lamports: 1 }]);
    next(engine);
    engine.watchers.pause(watcher);
    expect(slots(engine)).toEqual([['watcher']]);
  });
});

describe('deadlines', () => {
  test('a task that could not start by its deadline is expired, and reported', async () => {
    const engine = oneASlot();
    engine.tasks.submit({ ...saying('first'), priority: Priority.HIGH });
    engine.tasks.submit({ ...saying('second'), priority: Priority.HIGH });
    const late = engine.tasks.submit({ ...saying('late'), deadlineSlot: 2 });
    expect(next(engine).tasksPending).toBe(2n);
    expect(said(next(engine).outcomes)).toEqual(['second']);
    const report = next(engine);
    expect(report.outcomes).toMatchObject([{ taskId: late.id, status: 'expired', unitsConsumed: 0n, logs: [], source: { kind: 'task' } }]);
    expect(report.tasksQueued).toBe(0n);
    expect(await late.outcome).toMatchObject({ status: 'expired' });
    expect(engine.stats()).toMatchObject({ tasksExpired: 1n, tasksPending: 0n });
  });

  test('a task may still start in the slot of its deadline', () => {
    const engine = oneASlot();
    engine.tasks.submit({ ...saying('first'), priority: Priority.HIGH });
    engine.tasks.submit({ ...saying('last moment'), deadlineSlot: 2 });
    expect(slots(engine)).toEqual([['first'], ['last moment']]);
  });

  test('a timer whose queued callback could not start by its deadline is EXPIRED', () => {
    const engine = oneASlot();
    for (const text of ['1', '2']) engine.tasks.submit({ ...saying(text), priority: Priority.HIGH });
    const timer = engine.timers.create({ ...saying('late'), triggerSlot: 1, deadlineSlot: 2 });
    next(engine);
    next(engine);
    expect(engine.timers.get(timer)!.state).toBe(TimerState.EXECUTING);
    expect(next(engine).outcomes).toMatchObject([{ status: 'expired', source: { kind: 'timer', id: timer } }]);
    expect(engine.timers.get(timer)).toMatchObject({ state: TimerState.EXPIRED, executionCount: 0n });
  });

  test('skipping slots past a deadline expires the task', () => {
    const engine = oneASlot();
    engine.tasks.submit({ ...saying('late'), deadlineSlot: 3 });
    expect(engine.processSlot(4).outcomes.map(({ status }) => status)).toEqual(['expired']);
  });
});

describe('a full task queue', () => {
  test('refuses what the host submits with QUEUE_FULL, and changes nothing', () => {
    const engine = oneASlot({ maxScheduledTasks: 2 });
    for (const text of ['1', '2']) engine.tasks.submit(saying(text));
    const before = engine.stateHash();
    expect(() => engine.tasks.submit(saying('3'))).toThrow(
      expect.objectContaining({ codeName: 'QUEUE_FULL', message: expect.stringContaining('2 tasks') }),
    );
    expect(engine.stateHash()).toBe(before);
    expect(said(next(engine).outcomes)).toEqual(['1']);
    engine.tasks.submit(saying('3'));
    expect(slots(engine)).toEqual([['2'], ['3']]);
  });

  test('leaves due timers due, in order', () => {
    const engine = createEngine({ program: 'conformance' }, { limits: { maxScheduledTasks: 3 } });
    const timers = ['a', 'b', 'c', 'd', 'e'].map((text) => engine.timers.create({ ...saying(text), triggerSlot: 1 }));
    engine.timers.create({ ...saying('later'), triggerSlot: 2 });
    expect(next(engine)).toMatchObject({ timersFired: 3n });
    expect(timers.map((id) => engine.timers.get(id)!.state)).toEqual([2, 2, 2, 0, 0]);
    const { outcomes } = next(engine);
    expect(said(outcomes)).toEqual(['d', 'e', 'later']);
  });

  test('expires a timer that stayed due past its deadline', () => {
    const engine = createEngine({ program: 'conformance' }, { limits: { maxScheduledTasks: 1 } });
    engine.timers.create({ ...saying('first'), triggerSlot: 1 });
    const timer = engine.timers.create({ ...saying('late'), triggerSlot: 1, deadlineSlot: 1 });
    expect(said(next(engine).outcomes)).toEqual(['first']);
    expect(next(engine).outcomes.map(({ status, source }) => [status, source.id])).toEqual([['expired', timer]]);
    expect(engine.timers.get(timer)!.state).toBe(TimerState.EXPIRED);
  });

  test.each([
    ['ONCE', CatchUp.ONCE],
    ['ALL', CatchUp.ALL],
  ])('loses no tick of a periodic timer that catches up with %s', (_, catchUp) => {
    const engine = createEngine(
      { program: 'conformance' },
      { limits: { maxScheduledTasks: 1, maxComputeBudget: LIMIT, slotComputeLimit: LIMIT } },
    );
    const timer = engine.timers.createPeriodic({ ...saying('tick'), startSlot: 1, periodSlots: 2, catchUp });
    engine.timers.create({ ...saying('before'), triggerSlot: 1 });
    for (let slot = 1; slot <= 9; slot++) {
      if (slot === 4) engine.tasks.submit({ ...saying('task'), priority: Priority.HIGH });
      next(engine);
    }
    engine.processSlot(31);
    // With room for one, ticks that have a callback each take a slot each.
    for (let slot = 32; slot <= 62; slot++) next(engine);
    const { executionCount, missedCount, state, triggerSlot } = engine.timers.get(timer)!;
    expect(executionCount + missedCount).toBe(31n);
    expect([state, triggerSlot]).toEqual([TimerState.PENDING, 63n]);
  });

  test('keeps triggers pending, coalesced and counted, until there is room', () => {
    const engine = oneASlot({ maxScheduledTasks: 2 });
    const watcher = engine.watchers.create({
      programId: PROGRAM,
      data: script([ASK_CONTEXT]),
      account: address('watched'),
      trigger: WatcherTrigger.THRESHOLD_ABOVE,
      threshold: 0,
      computeBudget: LIMIT,
    });
    const set = (value: number) => engine.updateAccounts([{ address: address('watched'), lamports: 1, data: u64(value) }]);
    const fill = () => {
      for (let n = engine.stats().tasksPending; n < 2n; n++) engine.tasks.submit(saying('filler'));
    };
    for (const value of [-3, 5, -4, 7]) {
      fill();
      set(value);
      expect(said(next(engine).outcomes)).toEqual(['filler']);
    }
    expect(engine.watchers.get(watcher)).toMatchObject({ triggerCount: 2n, suppressedCount: 0n, lastTriggerSlot: 4n });
    const { outcomes } = next(engine);
    expect(contextOf(outcomes[0])).toMatchObject({
      sourceId: watcher,
      dueSlot: 2n,
      currentSlot: 5n,
      ticks: 2n,
      oldValue: -3n,
      newValue: 7n,
    });
    expect(said(next(engine).outcomes)).toEqual(['filler']);
    expect(next(engine).outcomes).toEqual([]);
  });

  test('serves the triggers that wait longest first', () => {
    const engine = createEngine({ program: 'conformance' }, { limits: { maxScheduledTasks: 2 } });
    for (const text of ['1', '2', '3', '4', '5']) {
      engine.watchers.create({ ...saying(text), account: address('watched'), trigger: WatcherTrigger.ANY_CHANGE });
    }
    engine.updateAccounts([{ address: address('watched'), lamports: 1 }]);
    expect(next(engine).watchersTriggered).toBe(5n);
    expect(slots(engine)).toEqual([['3', '4'], ['5']]);
  });

  test('refuses what programs schedule, and their other calls stand', () => {
    const engine = oneASlot({ maxScheduledTasks: 1 });
    engine.tasks.submit(saying('first'));
    const [refused, timer] = run(
      engine,
      PROGRAM,
      [
        ['sol_task_schedule', say('no room'), LIMIT, 1, 0],
        ['sol_timer_create', 2, say('timer'), LIMIT],
      ],
      { computeBudget: LIMIT },
    );
    expect([refused!.value, refused!.error, timer!.error]).toEqual([0n, 12, 0]);
    expect(slots(engine)).toEqual([['first'], ['timer']]);
  });
});

describe('waiting', () => {
  /** In which slot a LOW task runs when every slot is filled by a task of this priority. */
  function slotOfLow(filler: Priority): number {
    const engine = oneASlot();
    engine.tasks.submit({ ...saying('low'), priority: Priority.LOW });
    for (let slot = 1; slot <= 300; slot++) {
      engine.tasks.submit({ ...saying('filler'), priority: filler });
      if (said(next(engine).outcomes).includes('low')) return slot;
    }
    return 0;
  }

  test('for 64 slots raises a task by one priority', () => {
    expect(slotOfLow(Priority.NORMAL)).toBe(64);
    expect(slotOfLow(Priority.HIGH)).toBe(128);
    expect(slotOfLow(Priority.CRITICAL)).toBe(192);
  });
});

test('with little room everywhere, every timer runs once, by slot and id', () => {
  const engine = createEngine(
    { program: 'conformance' },
    { limits: { maxTimersPerProgram: 1000, maxScheduledTasks: 7, maxComputeBudget: 1_000, slotComputeLimit: 2_000 } },
  );
  const number = random(3);
  const timers = Array.from({ length: 300 }, () => {
    const triggerSlot = 1 + (number() % 40);
    const text = `${triggerSlot}/${number()}`;
    return { triggerSlot, text, id: engine.timers.create({ ...saying(text, 1_000), triggerSlot }) };
  });
  timers.sort((a, b) => a.triggerSlot - b.triggerSlot || Number(a.id - b.id));
  const texts: string[] = [];
  for (let slot = 1; engine.stats().timersActive > 0n; slot += 1 + (number() % 2)) texts.push(...said(engine.processSlot(slot).outcomes));
  expect(texts).toEqual(timers.map(({ text }) => text));
});
