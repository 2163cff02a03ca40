/** Callbacks that call other programs: who owns what, who sees what, and how deep it goes. */

import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { ErrorCode, type AsyncBpfEngine, type CallbackOptions } from '../dist/index.js';
import { address, addressBytes } from './support/addresses.js';
import { ASK_CONTEXT, decode, End, readContext, repliesOf, run, script, type Call } from './support/conformance.js';
import { createEngine, prebuilt } from './support/engine.js';

const CALLER = address('caller');
const CALLEE = address('callee');
const NO_DATA = new Uint8Array(0);

/** Calls the program that is account 0, with the accounts from `first` on. */
const call = (data: Uint8Array, first = 1, count = 0): Call => ['invoke', 0, first, count, data];

function setUp() {
  const engine = createEngine({ caller: 'conformance', callee: 'conformance' });
  const callback = (calls: Call[], accounts: CallbackOptions['accounts'] = [CALLEE]): CallbackOptions => ({
    programId: CALLER,
    data: script(calls),
    accounts,
    computeBudget: 1_400_000,
  });
  return { engine, callback };
}

/** Runs calls of the caller in a timer's callback, and returns what they gave. */
function inTimer(engine: AsyncBpfEngine, options: CallbackOptions, calls: Call[]) {
  const timer = engine.timers.create({ ...options, triggerSlot: engine.slot + 1n });
  const [outcome] = engine.processSlot(engine.slot + 1n).outcomes;
  return { timer, replies: repliesOf(calls, outcome) };
}

describe('a callback that calls another program', () => {
  test('the callee owns the timer that it creates, with its own accounts', () => {
    const { engine, callback } = setUp();
    const inner: Call[] = [['sol_timer_create', 5, Uint8Array.of(0), 1000]];
    const calls: Call[] = [call(script(inner), 1, 1), ['sol_timer_create', 6, Uint8Array.of(0), 1000]];
    const { replies } = inTimer(engine, callback(calls, [CALLEE, { address: address('data'), isWritable: true }]), calls);
    const [byCallee] = decode(inner, replies[0]!.bytes!);

    const timer = engine.timers.get(byCallee!.value)!;
    expect(timer.programId).toBe(CALLEE);
    expect(timer.accounts).toEqual([{ address: address('data'), isSigner: false, isWritable: true }]);
    expect(engine.timers.get(replies[1]!.value)).toMatchObject({
      programId: CALLER,
      accounts: [{ address: CALLEE }, { address: address('data') }],
    });
    expect(engine.timers.list(CALLEE)).toHaveLength(1);

    engine.processSlot(4);
    const { outcomes } = engine.processSlot(5);
    expect(outcomes).toHaveLength(1);
    expect(outcomes[0]).toMatchObject({ programId: CALLEE, source: { kind: 'timer', id: byCallee!.value }, status: 'committed' });
  });

  test('watchers, ring buffers and tasks of the callee are its own as well', () => {
    const { engine, callback } = setUp();
    const inner: Call[] = [
      ['sol_watcher_create', addressBytes('watched'), 0, NO_DATA, 1000],
      ['sol_ring_buffer_create', 64],
      ['sol_task_schedule', Uint8Array.of(0), 1000, 1, 0],
    ];
    const calls = [call(script(inner))];
    const { replies } = inTimer(engine, callback(calls), calls);
    const [watcher, ring] = decode(inner, replies[0]!.bytes!);
    expect(engine.watchers.get(watcher!.value)!.programId).toBe(CALLEE);
    expect(engine.rings.get(ring!.value)!.owner).toBe(CALLEE);
    expect(engine.processSlot(2).outcomes.map(({ programId }) => programId)).toEqual([CALLEE]);
  });

  test('the limit of timers is that of the callee', () => {
    const { engine, callback } = setUp();
    for (let n = 0; n < 16; n++) engine.timers.create({ programId: CALLER, triggerSlot: 100 });
    const inner: Call[] = [['sol_timer_create', 50, NO_DATA, 1000]];
    const calls: Call[] = [call(script(inner)), ['sol_timer_create', 50, NO_DATA, 1000]];
    const [fromCallee, own] = run(engine, CALLER, calls, callback(calls));
    expect(decode(inner, fromCallee!.bytes!)[0]!.error).toBe(ErrorCode.SUCCESS);
    expect(own!.error).toBe(ErrorCode.MAX_TIMERS);
  });

  test('the caller cannot touch what the callee owns', () => {
    const { engine, callback } = setUp();
    const timer = engine.timers.create({ programId: CALLEE, triggerSlot: 50 });
    const inner: Call[] = [['sol_timer_cancel', timer]];
    const calls: Call[] = [['sol_timer_cancel', timer], call(script(inner)), ['sol_timer_cancel', timer]];
    const replies = run(engine, CALLER, calls, callback(calls));
    expect(replies[0]!.error).toBe(ErrorCode.INVALID_TIMER);
    expect(decode(inner, replies[1]!.bytes!)[0]!.error).toBe(ErrorCode.SUCCESS);
    expect(replies[2]!.error).toBe(ErrorCode.INVALID_TIMER);
  });

  test('only the top level of a callback has a context', () => {
    const { engine, callback } = setUp();
    const calls: Call[] = [ASK_CONTEXT, call(script([ASK_CONTEXT])), ASK_CONTEXT];
    const { timer, replies } = inTimer(engine, callback(calls), calls);
    expect(readContext(replies[0]!.bytes!)).toMatchObject({ kind: 1n, sourceId: timer, currentSlot: 1n });
    expect(decode([ASK_CONTEXT], replies[1]!.bytes!)).toEqual([{ value: 0n, error: ErrorCode.SUCCESS, charge: 100n, bytes: NO_DATA }]);
    expect(replies[2]!.bytes).toEqual(replies[0]!.bytes);
  });

  test('a callee that fails undoes what both did', () => {
    const { engine, callback } = setUp();
    const inner: Call[] = [['sol_timer_create', 5, NO_DATA, 1000]];
    const calls: Call[] = [['sol_timer_create', 5, NO_DATA, 1000], call(script(inner, End.FAIL))];
    engine.timers.create({ ...callback(calls), triggerSlot: 1 });
    const [outcome] = engine.processSlot(1).outcomes;
    expect(outcome).toMatchObject({ status: 'failed', error: { customCode: 7 } });
    expect(outcome!.stagedCodes).toEqual([0, 0]);
    expect(engine.stats().timersActive).toBe(0n);
  });

  test('a callee that was removed fails the callback', () => {
    const { engine, callback } = setUp();
    engine.timers.create({ ...callback([call(script([]))]), triggerSlot: 1 });
    engine.removeProgram(CALLEE);
    expect(engine.processSlot(1).outcomes[0]).toMatchObject({
      status: 'failed',
      programId: CALLER,
      error: { code: ErrorCode.EXECUTION_FAILED },
    });
  });
});

describe('nesting', () => {
  const LIMIT = 8;
  const NAMES = Array.from({ length: LIMIT + 2 }, (_, index) => `program-${index}`);

  /** A call of program `level`, which calls the next one, and so on; the last asks for its slot. */
  function nested(level: number, depth: number): Call[] {
    if (level === depth) return [['sol_get_slot']];
    return [['invoke', level + 1, 0, NAMES.length, script(nested(level + 1, depth))]];
  }

  /** What is left of a chain's return data when the parts of all levels are peeled off. */
  function innermost(depth: number, bytes: Uint8Array, level = 0): bigint {
    const [reply] = decode(nested(level, depth), bytes);
    return level === depth ? reply!.value : innermost(depth, reply!.bytes!, level + 1);
  }

  const callback = (depth: number) => ({
    programId: address(NAMES[0]!),
    data: script(nested(0, depth)),
    accounts: NAMES.map(address),
    computeBudget: 1_400_000,
  });

  test(`goes ${LIMIT} calls deep, as in a Solana transaction, and no further`, () => {
    const engine = createEngine(Object.fromEntries(NAMES.map((name) => [name, 'conformance'])));
    for (let depth = 0; depth <= LIMIT; depth++) engine.tasks.submit(callback(depth));
    const { outcomes } = engine.processSlot(7);
    expect(outcomes.map((outcome) => innermost(outcomes.indexOf(outcome), outcome.returnData!))).toEqual(Array(LIMIT + 1).fill(7n));
    expect(engine.invoke(callback(LIMIT + 1))).toMatchObject({ status: 'failed', error: { reason: 'CallDepth' } });
    expect(engine.invoke(callback(LIMIT)).status).toBe('committed');
  });

  test('programs may call themselves, but not come back through another', () => {
    const engine = createEngine({ caller: 'conformance', callee: 'conformance' });
    const accounts = [CALLER, CALLEE];
    const self = script([['invoke', 0, 0, 2, script([['sol_get_slot']])]]);
    expect(engine.invoke({ programId: CALLER, data: self, accounts }).status).toBe('committed');
    const back = script([['invoke', 1, 0, 2, self]]);
    expect(engine.invoke({ programId: CALLER, data: back, accounts })).toMatchObject({
      status: 'failed',
      error: { reason: 'ReentrancyNotAllowed' },
    });
  });

  const start = (workers: number, more: object = {}) =>
    new Worker(join(__dirname, 'support/worker.cjs'), {
      workerData: {
        programs: NAMES.map((name) => [address(name), prebuilt('conformance')]),
        callback: callback(LIMIT),
        slots: 20,
        workers,
        ...more,
      },
    });

  test('goes as deep inside worker threads with their default stack', async () => {
    const threads = [start(1), start(1), start(2)];
    const results = (await Promise.all(threads.map((thread) => once(thread, 'message')))).map(([message]) => message);
    for (const { outcomes } of results) expect(outcomes).toEqual(Array(20).fill({ status: 'committed', message: undefined }));
    expect(new Set(results.map(({ stateHash }) => stateHash)).size).toBe(1);
    expect(await Promise.all(threads.map((thread) => thread.terminate().then(() => 'ended')))).toEqual(['ended', 'ended', 'ended']);
  });

  test('a worker thread can be terminated with its engine open and at work', async () => {
    for (const workers of [1, 2]) {
      const thread = start(workers, { stayOpen: true });
      await once(thread, 'message');
      expect(await thread.terminate()).toBe(1);
    }
  });
});
