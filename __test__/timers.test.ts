/** Timers: when they fire, how often, and what becomes of them. */

import { describe, expect, test } from 'vitest';
import { CatchUp, TimerState, type AsyncBpfEngine, type Outcome } from '../dist/index.js';
import { address } from './support/addresses.js';
import { ASK_CONTEXT, contextOf, run, say, said, script } from './support/conformance.js';
import { createEngine } from './support/engine.js';

const PROGRAM = address('program');
const ASK = script([ASK_CONTEXT]);
const BUDGET = 10_000;

const setUp = (options = {}) => createEngine({ program: 'conformance' }, options);
const base = { programId: PROGRAM, data: say('tick'), computeBudget: BUDGET };
const ticksOf = (outcomes: Outcome[]) =>
  outcomes.map((outcome) => contextOf(outcome)).map(({ dueSlot, ticks }) => [Number(dueSlot), Number(ticks)]);

/** Processes every slot up to `last`, and returns those in which something ran. */
function firedIn(engine: AsyncBpfEngine, last: number): number[] {
  const slots: number[] = [];
  for (let slot = Number(engine.slot) + 1; slot <= last; slot++) if (engine.processSlot(slot).outcomes.length > 0) slots.push(slot);
  return slots;
}

describe('a timer that fires once', () => {
  test('fires in its slot, once, and completes', () => {
    const engine = setUp();
    const timer = engine.timers.create({ ...base, triggerSlot: 3 });
    expect(engine.timers.get(timer)).toMatchObject({
      id: timer,
      programId: PROGRAM,
      mode: 'one-shot',
      triggerSlot: 3n,
      periodSlots: 0n,
      state: TimerState.PENDING,
      executionCount: 0n,
      missedCount: 0n,
      computeBudget: BigInt(BUDGET),
      priority: 1,
    });
    expect(engine.timers.get(timer)!.data).toEqual(new Uint8Array(base.data));
    expect(firedIn(engine, 10)).toEqual([3]);
    expect(engine.timers.get(timer)).toMatchObject({ state: TimerState.COMPLETED, executionCount: 1n });
    expect(engine.stats()).toMatchObject({ timersCreated: 1n, timersActive: 0n, timersFired: 1n });
  });

  test('fires in the first processed slot after it when its own is skipped, and is told when it was due', () => {
    const engine = setUp();
    engine.timers.create({ ...base, data: ASK, triggerSlot: 3 });
    engine.processSlot(2);
    const { outcomes } = engine.processSlot(50);
    expect(contextOf(outcomes[0])).toMatchObject({ dueSlot: 3n, currentSlot: 50n, ticks: 1n });
  });

  test('its report says how many fired', () => {
    const engine = setUp();
    for (let n = 0; n < 3; n++) engine.timers.create({ ...base, triggerSlot: 2 });
    expect(engine.processSlot(1)).toMatchObject({ slot: 1n, timersFired: 0n, tasksQueued: 0n });
    const report = engine.processSlot(2);
    expect(report).toMatchObject({ slot: 2n, timersFired: 3n, tasksQueued: 3n, tasksPending: 0n });
    expect(report.outcomes).toHaveLength(3);
    expect(report.unitsConsumed).toBe(report.outcomes.reduce((sum, { unitsConsumed }) => sum + unitsConsumed, 0n));
    expect(report.stateHash).toBe(engine.stateHash());
  });
});

describe('a periodic timer', () => {
  test('fires on the grid start + k * period', () => {
    const engine = setUp();
    const timer = engine.timers.createPeriodic({ ...base, startSlot: 5, periodSlots: 7 });
    expect(engine.timers.get(timer)!.mode).toBe('periodic');
    expect(firedIn(engine, 30)).toEqual([5, 12, 19, 26]);
    expect(engine.timers.get(timer)).toMatchObject({ triggerSlot: 33n, executionCount: 4n, missedCount: 0n, state: TimerState.PENDING });
  });

  test('keeps its grid when slots are skipped', () => {
    const engine = setUp();
    engine.timers.createPeriodic({ ...base, startSlot: 5, periodSlots: 10 });
    engine.processSlot(32);
    expect(firedIn(engine, 60)).toEqual([35, 45, 55]);
  });

  test('ONCE, the default: one callback stands for all ticks that passed', () => {
    const engine = setUp();
    const timer = engine.timers.createPeriodic({ ...base, data: ASK, startSlot: 5, periodSlots: 10 });
    expect(ticksOf(engine.processSlot(36).outcomes)).toEqual([[5, 4]]);
    expect(engine.timers.get(timer)).toMatchObject({ executionCount: 1n, missedCount: 3n, triggerSlot: 45n });
    expect(ticksOf(engine.processSlot(45).outcomes)).toEqual([[45, 1]]);
  });

  test('ALL: a callback for each tick, oldest first', () => {
    const engine = setUp();
    const timer = engine.timers.createPeriodic({ ...base, data: ASK, startSlot: 5, periodSlots: 10, catchUp: CatchUp.ALL });
    expect(ticksOf(engine.processSlot(36).outcomes)).toEqual([5, 15, 25, 35].map((due) => [due, 1]));
    expect(engine.timers.get(timer)).toMatchObject({ executionCount: 4n, missedCount: 0n, triggerSlot: 45n });
  });

  test('ALL is bounded: the last callback stands for the rest', () => {
    const engine = setUp();
    const timer = engine.timers.createPeriodic({ ...base, data: ASK, startSlot: 1, periodSlots: 1, catchUp: CatchUp.ALL, maxTicks: 3 });
    expect(ticksOf(engine.processSlot(10).outcomes)).toEqual([
      [1, 1],
      [2, 1],
      [3, 8],
    ]);
    expect(engine.timers.get(timer)).toMatchObject({ executionCount: 3n, missedCount: 7n, triggerSlot: 11n });
  });

  test('SKIP: only in slots of the grid, and the others are counted', () => {
    const engine = setUp();
    const timer = engine.timers.createPeriodic({ ...base, data: ASK, startSlot: 5, periodSlots: 10, catchUp: CatchUp.SKIP });
    expect(engine.processSlot(26).outcomes).toEqual([]);
    expect(engine.timers.get(timer)).toMatchObject({ executionCount: 0n, missedCount: 3n, triggerSlot: 35n, state: TimerState.PENDING });
    expect(ticksOf(engine.processSlot(55).outcomes)).toEqual([[55, 1]]);
    expect(engine.timers.get(timer)).toMatchObject({ executionCount: 1n, missedCount: 5n, triggerSlot: 65n });
  });

  test.each([
    ['ONCE', CatchUp.ONCE],
    ['ALL', CatchUp.ALL],
    ['SKIP', CatchUp.SKIP],
  ])('%s: ticks that ran and ticks that were missed add up to the ticks of the grid', (_, catchUp) => {
    const engine = setUp();
    const timer = engine.timers.createPeriodic({ ...base, startSlot: 3, periodSlots: 4, catchUp, maxTicks: 2 });
    let slot = 0;
    for (const step of [1, 2, 9, 4, 1, 1, 30, 3, 8, 1000]) {
      engine.processSlot((slot += step));
      const { executionCount, missedCount } = engine.timers.get(timer)!;
      expect(executionCount + missedCount).toBe(slot < 3 ? 0n : BigInt(Math.floor((slot - 3) / 4) + 1));
    }
  });
});

describe('a timer with a deadline', () => {
  test('fires at or after its trigger slot, up to its deadline', () => {
    const engine = setUp();
    const timers = [5, 7].map((deadlineSlot) => engine.timers.create({ ...base, triggerSlot: 5, deadlineSlot }));
    expect(engine.timers.get(timers[0]!)).toMatchObject({ mode: 'deadline', deadlineSlot: 5n });
    expect(firedIn(engine, 5)).toEqual([5]);
    expect(timers.map((id) => engine.timers.get(id)!.state)).toEqual([TimerState.COMPLETED, TimerState.COMPLETED]);
  });

  test('is EXPIRED, and reported, when it could not run by then', () => {
    const engine = setUp();
    const [tooLate, inTime] = [6, 7].map((deadlineSlot) => engine.timers.create({ ...base, triggerSlot: 5, deadlineSlot }));
    engine.processSlot(4);
    const report = engine.processSlot(7);
    expect(report.outcomes.map(({ status, source }) => [status, source.id])).toEqual([
      ['expired', tooLate],
      ['committed', inTime],
    ]);
    expect(report.outcomes[0]).toMatchObject({ unitsConsumed: 0n, logs: [], programId: PROGRAM });
    expect(report.outcomes[0]!.error).toBeUndefined();
    expect(engine.timers.get(tooLate!)).toMatchObject({ state: TimerState.EXPIRED, executionCount: 0n });
    expect(engine.stats()).toMatchObject({ timersActive: 0n, tasksExpired: 1n });
  });
});

describe('cancelling', () => {
  test('a cancelled timer does not fire, and its place is free at once', () => {
    const engine = setUp({ limits: { maxTimersPerProgram: 1 } });
    const timer = engine.timers.create({ ...base, triggerSlot: 2 });
    expect(() => engine.timers.create({ ...base, triggerSlot: 2 })).toThrow(/already has 1 live timers/);
    engine.timers.cancel(timer);
    expect(engine.timers.get(timer)!.state).toBe(TimerState.CANCELLED);
    engine.timers.create({ ...base, data: say('second'), triggerSlot: 2 });
    expect(said(engine.processSlot(2).outcomes)).toEqual(['second']);
  });

  test.each([
    ['cancelled', TimerState.CANCELLED, {}],
    ['completed', TimerState.COMPLETED, {}],
    ['failed', TimerState.FAILED, { data: new Uint8Array(0) }],
    ['expired', TimerState.EXPIRED, { deadlineSlot: 1 }],
  ])('a timer that is %s can no longer be cancelled', (name, state, more) => {
    const engine = setUp();
    const timer = engine.timers.create({ ...base, triggerSlot: 1, ...more });
    if (name === 'cancelled') engine.timers.cancel(timer);
    else engine.processSlot(name === 'expired' ? 2 : 1);
    expect(engine.timers.get(timer)!.state).toBe(state);
    const before = engine.stateHash();
    expect(() => engine.timers.cancel(timer)).toThrow(expect.objectContaining({ codeName: 'INVALID_TIMER' }));
    expect(engine.stateHash()).toBe(before);
    expect(run(engine, PROGRAM, [['sol_timer_cancel', timer]])[0]!.error).toBe(2);
    expect(engine.timers.get(timer)!.state).toBe(state);
  });

  /** A timer whose callback cancels it: the id is known before, since ids of an engine are the same in every run. */
  function selfCancelling(kind: 'once' | 'periodic') {
    const create = (engine: AsyncBpfEngine, id: bigint) => {
      const options = { ...base, data: script([['sol_timer_cancel', id]]) };
      return kind === 'once'
        ? engine.timers.create({ ...options, triggerSlot: 1 })
        : engine.timers.createPeriodic({ ...options, startSlot: 1, periodSlots: 1 });
    };
    const id = create(setUp(), 0n);
    const engine = setUp();
    expect(create(engine, id)).toBe(id);
    return { engine, id };
  }

  test.each(['once', 'periodic'] as const)('a timer that fires %s can cancel itself from its own callback', (kind) => {
    const { engine, id } = selfCancelling(kind);
    expect(engine.processSlot(1).outcomes).toMatchObject([{ status: 'committed', stagedCodes: [0] }]);
    expect(engine.timers.get(id)).toMatchObject({ state: TimerState.CANCELLED, executionCount: 1n });
    expect(engine.stats().timersActive).toBe(0n);
    expect(firedIn(engine, 20)).toEqual([]);
  });

  test('a timer that cancelled itself is cleaned up like any other', () => {
    const { engine, id } = selfCancelling('periodic');
    engine.processSlot(1);
    expect(engine.processSlot(100).slot).toBe(100n);
    expect(engine.timers.get(id)).toBeUndefined();
  });

  test('a timer cancelled by a callback before it in the same slot does not run', () => {
    const engine = setUp();
    const victim = engine.timers.create({ ...base, data: say('victim'), triggerSlot: 1 });
    engine.timers.create({ ...base, data: script([['sol_timer_cancel', victim]]), priority: 2, triggerSlot: 1 });
    const report = engine.processSlot(1);
    expect(report.outcomes).toHaveLength(1);
    expect(said(report.outcomes)).toEqual([]);
    expect(engine.timers.get(victim)).toMatchObject({ state: TimerState.CANCELLED, executionCount: 0n });
  });
});

describe('clean-up', () => {
  test('a finished timer is readable until the first processed slot at or past a multiple of 100', () => {
    const engine = setUp();
    const timer = engine.timers.create({ ...base, triggerSlot: 7 });
    engine.processSlot(7);
    engine.processSlot(99);
    expect(engine.timers.get(timer)!.state).toBe(TimerState.COMPLETED);
    expect(engine.timers.list(PROGRAM)).toHaveLength(1);
    engine.processSlot(103);
    expect(engine.timers.get(timer)).toBeUndefined();
    expect(engine.timers.list(PROGRAM)).toEqual([]);
  });

  test('one that finished in the slot before, or in the slot of the clean-up itself, is readable until the slot after', () => {
    const engine = setUp();
    const [before, during, after] = [99, 100, 101].map((triggerSlot) => engine.timers.create({ ...base, triggerSlot }));
    engine.processSlot(99);
    expect(engine.timers.get(before!)!.state).toBe(TimerState.COMPLETED);
    engine.processSlot(100);
    expect(engine.timers.get(before!)).toBeUndefined();
    expect(engine.timers.get(during!)!.state).toBe(TimerState.COMPLETED);
    engine.processSlot(101);
    engine.processSlot(199);
    expect([during, after].map((id) => engine.timers.get(id!)!.state)).toEqual([TimerState.COMPLETED, TimerState.COMPLETED]);
    engine.processSlot(350);
    expect([during, after].map((id) => engine.timers.get(id!))).toEqual([undefined, undefined]);
  });

  test('live timers stay', () => {
    const engine = setUp();
    const timers = [
      engine.timers.create({ ...base, triggerSlot: 500 }),
      engine.timers.createPeriodic({ ...base, startSlot: 1, periodSlots: 1 }),
    ];
    for (const slot of [1, 100, 200, 300]) engine.processSlot(slot);
    expect(timers.map((id) => engine.timers.get(id)!.state)).toEqual([TimerState.PENDING, TimerState.PENDING]);
  });

  test('created and cancelled by one invocation, and failed, expired and cancelled ones go as well', () => {
    const engine = setUp();
    run(engine, PROGRAM, [
      ['sol_timer_create', 5, new Uint8Array(0), 1000],
      ['sol_timer_cancel', 0xffffffffffffff00n],
    ]);
    engine.timers.create({ ...base, data: new Uint8Array(0), triggerSlot: 1 });
    engine.timers.create({ ...base, triggerSlot: 1, deadlineSlot: 1 });
    engine.timers.cancel(engine.timers.create({ ...base, triggerSlot: 1 }));
    engine.processSlot(2);
    expect(
      engine.timers
        .list(PROGRAM)
        .map(({ state }) => state)
        .sort(),
    ).toEqual([3, 3, 4, 5]);
    engine.processSlot(100);
    expect(engine.timers.list(PROGRAM)).toEqual([]);
  });
});

test('the list of a program has its timers only, by id', () => {
  const engine = createEngine({ program: 'conformance', other: 'conformance' });
  const mine = [9, 3, 6].map((triggerSlot) => engine.timers.create({ ...base, triggerSlot }));
  engine.timers.create({ ...base, programId: address('other'), triggerSlot: 1 });
  expect(engine.timers.list(PROGRAM).map(({ id }) => id)).toEqual(mine);
  expect(engine.timers.list(address('nobody'))).toEqual([]);
  expect(engine.timers.get(12_345)).toBeUndefined();
});

test('the last slots of the range are slots like any other', () => {
  const last = 2n ** 64n - 1n;
  const engine = setUp({ startSlot: last - 3n });
  engine.timers.create({ ...base, data: say('last but one'), triggerSlot: last - 1n });
  engine.timers.createPeriodic({ ...base, data: say('periodic'), startSlot: last - 2n, periodSlots: 1_000_000 });
  expect(said(engine.processSlot(last - 2n).outcomes)).toEqual(['periodic']);
  expect(said(engine.processSlot(last - 1n).outcomes)).toEqual(['last but one']);
  // The next tick of the grid would be past the last slot there is.
  expect(said(engine.processSlot(last).outcomes)).toEqual([]);
  expect(() => engine.processSlot(last)).toThrow(expect.objectContaining({ codeName: 'INVALID_SLOT' }));
});
