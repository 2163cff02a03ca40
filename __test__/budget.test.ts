/** An invocation that fails, or goes over its budget, leaves nothing behind but its report. */

import { describe, expect, test } from 'vitest';
import { TimerState, type AsyncBpfEngine } from '../dist/index.js';
import { address } from './support/addresses.js';
import { u64, utf8 } from './support/bytes.js';
import { End, resultOf, run, script, type Call } from './support/conformance.js';
import { createEngine } from './support/engine.js';

const FAULTY = address('faulty');
const CONFORMANCE = address('conformance');
const ACCOUNT = address('account');
const BUDGET = 50_000;

/** Faulty 4 loops and 5 returns an error, both after a timer, a ring event and a write to the account. */
const LEAVES_TRACES = [
  [4, 'loops for ever'],
  [5, 'returns an error'],
] as const;

function setUp() {
  const engine = createEngine({ faulty: 'faulty', conformance: 'conformance' });
  engine.setAccount(ACCOUNT, { lamports: 1_000_000, data: new Uint8Array(8), owner: FAULTY });
  const ring = engine.rings.create({ programId: FAULTY, size: 64 });
  const callback = (fault: number) => ({
    programId: FAULTY,
    data: Buffer.concat([Uint8Array.of(fault), u64(ring)]),
    accounts: [{ address: ACCOUNT, isWritable: true }],
    computeBudget: BUDGET,
  });
  return { engine, ring, callback };
}

function expectNoTraces(engine: AsyncBpfEngine, ring: bigint): void {
  expect(engine.timers.list(FAULTY).filter(({ data }) => data.length === 0)).toEqual([]);
  expect(engine.getAccount(ACCOUNT)!.data[0]).toBe(0);
  expect(engine.rings.get(ring)).toMatchObject({ used: 0n, entries: 0n, nextSequence: 0n });
}

describe.each(LEAVES_TRACES)('a program that leaves traces and then (%i) %s', (fault) => {
  test.each(['invoke', 'timer', 'periodic timer', 'watcher', 'task'])('leaves nothing behind as a %s', (kind) => {
    const { engine, ring, callback } = setUp();
    const options = callback(fault);
    if (kind === 'timer') engine.timers.create({ ...options, triggerSlot: 1 });
    if (kind === 'periodic timer') engine.timers.createPeriodic({ ...options, startSlot: 1, periodSlots: 1 });
    if (kind === 'watcher') engine.watchers.create({ ...options, account: address('watched'), trigger: 0 });
    if (kind === 'task') engine.tasks.submit(options);
    engine.updateAccounts([{ address: address('watched'), lamports: 1 }]);
    const outcomes = kind === 'invoke' ? [engine.invoke(options)] : engine.processSlot(1).outcomes;

    expect(outcomes).toHaveLength(1);
    expect(outcomes[0]).toMatchObject({ status: 'failed', programId: FAULTY, error: { code: 16, name: 'EXECUTION_FAILED' } });
    if (fault === 4) {
      expect(outcomes[0]!.unitsConsumed).toBe(BigInt(BUDGET));
      expect(outcomes[0]!.error!.message).toMatch(/exceeded CUs meter/);
    } else {
      expect(outcomes[0]!.unitsConsumed).toBeLessThan(BUDGET);
      expect(outcomes[0]!.error).toMatchObject({ reason: 'Custom', customCode: 42, message: 'custom program error: 0x2a' });
    }
    expect(outcomes[0]!.logs.at(-1)).toMatch(/failed/);
    expect(outcomes[0]!.returnData).toBeUndefined();
    // The calls were made and answered; they just do not count.
    expect(outcomes[0]!.stagedCodes).toEqual([0, 0]);
    expectNoTraces(engine, ring);
    expect(engine.stats()).toMatchObject({ tasksCompleted: 0n, tasksFailed: 1n });
  });
});

const CALLS: Call[] = [
  ['sol_timer_create', 5, new Uint8Array(0), 1000],
  ['sol_timer_create_periodic', 5, 1, new Uint8Array(0), 1000],
  ['sol_watcher_create', new Uint8Array(32), 0, new Uint8Array(0), 1000],
  ['sol_ring_buffer_create', 64],
  ['sol_ring_buffer_push', resultOf(3), utf8('event')],
  ['sol_task_schedule', new Uint8Array(0), 1000, 1, 0],
  ['write_account', 0, 0, Uint8Array.of(7)],
  ['move_lamports', 0, 1, 5],
];

describe('every kind of effect', () => {
  const own = { lamports: 10_000_000, data: new Uint8Array(8), owner: CONFORMANCE };
  const accounts = [
    { address: address('own'), isWritable: true },
    { address: address('other'), isWritable: true },
  ];
  const prepare = () => {
    const engine = createEngine({ conformance: 'conformance' });
    engine.setAccount(address('own'), own);
    engine.setAccount(address('other'), own);
    return engine;
  };

  test('is there after success', () => {
    const engine = prepare();
    run(engine, CONFORMANCE, CALLS, { accounts });
    expect(engine.stats()).toMatchObject({ timersActive: 2n, watchersActive: 1n, ringsActive: 1n, tasksPending: 1n });
    expect(engine.getAccount(address('own'))!.data[0]).toBe(7);
    expect(engine.getAccount(address('own'))!.lamports).toBe(9_999_995n);
    expect(engine.getAccount(address('other'))!.lamports).toBe(10_000_005n);
  });

  test.each([
    ['an error', End.FAIL],
    ['an endless loop', End.LOOP],
  ])('is gone after %s', (_, end) => {
    const engine = prepare();
    const outcome = engine.invoke({ programId: CONFORMANCE, data: script(CALLS, end), accounts, computeBudget: 300_000 });
    expect(outcome.status).toBe('failed');
    expect(engine.stats()).toMatchObject({ timersActive: 0n, timersCreated: 0n, watchersActive: 0n, watchersCreated: 0n, ringsActive: 0n });
    expect(engine.stats().tasksPending).toBe(0n);
    expect(engine.getAccount(address('own'))).toMatchObject({ lamports: 10_000_000n, data: own.data });
    expect(engine.getAccount(address('other'))!.lamports).toBe(10_000_000n);
    expect(engine.processSlot(1).watchersTriggered).toBe(0n);
    expect(engine.processSlot(5).outcomes).toEqual([]);
  });
});

test('a budget of one unit less than needed fails, exactly the needed one does not', () => {
  const { engine, callback } = setUp();
  const { unitsConsumed } = engine.invoke(callback(0));
  expect(engine.invoke({ ...callback(0), computeBudget: unitsConsumed }).status).toBe('committed');
  const short = engine.invoke({ ...callback(0), computeBudget: unitsConsumed - 1n });
  expect(short).toMatchObject({ status: 'failed', unitsConsumed: unitsConsumed - 1n });
});

test.each([
  [2, 'loops', /exceeded CUs meter/],
  [3, 'writes to address 0', /[Aa]ccess violation/],
  [6, 'recurses too deep', /call depth/i],
  [7, 'calls what is not code', /./],
])('a program that (%i) %s is reported with error and logs, and the engine goes on', (fault, _, message) => {
  const { engine, ring, callback } = setUp();
  engine.timers.create({ ...callback(fault), triggerSlot: 1 });
  engine.timers.create({ ...callback(0), triggerSlot: 1 });
  const [failed, next] = engine.processSlot(1).outcomes;
  expect(failed).toMatchObject({ status: 'failed', error: { name: 'EXECUTION_FAILED', reason: 'ProgramFailedToComplete' } });
  expect(failed!.error!.message).toMatch(message);
  expect(failed!.logs[0]).toBe(`Program ${FAULTY} invoke [1]`);
  expect(next!.status).toBe('committed');
  expectNoTraces(engine, ring);
});

test('a timer that fires once and fails is FAILED; a periodic one stays armed', () => {
  const { engine, callback } = setUp();
  const once = engine.timers.create({ ...callback(1), triggerSlot: 1 });
  const periodic = engine.timers.createPeriodic({ ...callback(1), startSlot: 1, periodSlots: 2 });
  for (const slot of [1, 2, 3]) engine.processSlot(slot);
  expect(engine.timers.get(once)).toMatchObject({ state: TimerState.FAILED, executionCount: 1n });
  expect(engine.timers.get(periodic)).toMatchObject({ state: TimerState.PENDING, executionCount: 2n, triggerSlot: 5n });
  expect(engine.stats()).toMatchObject({ timersActive: 1n, tasksFailed: 3n });
});

test('a watcher whose callback fails stays armed', () => {
  const { engine, callback } = setUp();
  const watcher = engine.watchers.create({ ...callback(1), account: address('watched'), trigger: 0 });
  for (const slot of [1, 2]) {
    engine.updateAccounts([{ address: address('watched'), lamports: slot }]);
    expect(engine.processSlot(slot).outcomes.map(({ status }) => status)).toEqual(['failed']);
  }
  expect(engine.watchers.get(watcher)).toMatchObject({ active: true, triggerCount: 2n });
});

test('units are charged before the work: a call that cannot be paid ends the program', () => {
  const engine = createEngine({ conformance: 'conformance' });
  const calls: Call[] = [['sol_ring_buffer_create', 64]];
  const options = { programId: CONFORMANCE, data: script(calls) };
  const { unitsConsumed } = engine.invoke(options);
  const failed = engine.invoke({ ...options, computeBudget: unitsConsumed - 101n });
  expect(failed.status).toBe('failed');
  expect(engine.stats().ringsActive).toBe(1n);
});
