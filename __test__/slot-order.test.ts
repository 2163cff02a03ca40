/** What happens in one slot, and in which order. */

import { describe, expect, test } from 'vitest';
import { Priority, WatcherTrigger, type AsyncBpfEngine } from '../dist/index.js';
import { address, addressBytes } from './support/addresses.js';
import { u64 } from './support/bytes.js';
import { ASK_CONTEXT, contextOf, repliesOf, run, say, said, script, type Call } from './support/conformance.js';
import { createEngine } from './support/engine.js';

const PROGRAM = address('program');
const setUp = () => createEngine({ program: 'conformance' });
const saying = (text: string) => ({ programId: PROGRAM, data: say(text), computeBudget: 10_000 });
const change = (engine: AsyncBpfEngine, ...names: string[]) =>
  engine.updateAccounts(names.map((name) => ({ address: address(name), lamports: engine.slot + 1n })));

describe('the order of tasks', () => {
  test('is by priority, highest first', () => {
    const engine = setUp();
    for (const priority of [1, 0, 3, 2] as const) engine.tasks.submit({ ...saying(`priority ${priority}`), priority });
    expect(said(engine.processSlot(1).outcomes)).toEqual(['priority 3', 'priority 2', 'priority 1', 'priority 0']);
  });

  test('is then by deadline, earliest first, and none last', () => {
    const engine = setUp();
    engine.tasks.submit(saying('none'));
    for (const deadlineSlot of [9, 5, 7]) engine.tasks.submit({ ...saying(`by ${deadlineSlot}`), deadlineSlot });
    engine.tasks.submit({ ...saying('low, by 1'), deadlineSlot: 1, priority: Priority.LOW });
    expect(said(engine.processSlot(1).outcomes)).toEqual(['by 5', 'by 7', 'by 9', 'none', 'low, by 1']);
  });

  test('is then by creation', () => {
    const engine = setUp();
    for (let n = 0; n < 40; n++) engine.tasks.submit(saying(`${n}`));
    expect(said(engine.processSlot(1).outcomes)).toEqual(Array.from({ length: 40 }, (_, n) => `${n}`));
  });

  test('of timers is by slot and then by id, in spite of the order of creation', () => {
    const engine = setUp();
    engine.timers.create({ ...saying('slot 3, first'), triggerSlot: 3 });
    engine.timers.create({ ...saying('slot 2'), triggerSlot: 2 });
    engine.timers.create({ ...saying('slot 3, second'), triggerSlot: 3 });
    engine.timers.createPeriodic({ ...saying('slot 1'), startSlot: 1, periodSlots: 50 });
    const { outcomes } = engine.processSlot(10);
    expect(said(outcomes)).toEqual(['slot 1', 'slot 2', 'slot 3, first', 'slot 3, second']);
    expect(outcomes.every(({ source }) => source.kind === 'timer')).toBe(true);
  });

  test('puts watchers, HIGH, before timers and tasks, NORMAL, unless stated otherwise', () => {
    const engine = setUp();
    const watch = { account: address('watched'), trigger: WatcherTrigger.ANY_CHANGE };
    engine.tasks.submit(saying('task'));
    engine.timers.create({ ...saying('timer'), triggerSlot: 1 });
    engine.timers.create({ ...saying('critical timer'), triggerSlot: 1, priority: Priority.CRITICAL });
    engine.watchers.create({ ...saying('watcher'), ...watch });
    engine.watchers.create({ ...saying('low watcher'), ...watch, priority: Priority.LOW });
    change(engine, 'watched');
    const { outcomes } = engine.processSlot(1);
    expect(said(outcomes)).toEqual(['critical timer', 'watcher', 'task', 'timer', 'low watcher']);
    expect(outcomes.map(({ source }) => source.kind)).toEqual(['timer', 'watcher', 'task', 'timer', 'watcher']);
  });

  test('holds for tasks that programs schedule', () => {
    const engine = setUp();
    run(engine, PROGRAM, [
      ['sol_task_schedule', say('low'), 10_000, 0, 0],
      ['sol_task_schedule', say('normal'), 10_000, 1, 0],
      ['sol_task_schedule', say('critical'), 10_000, 3, 0],
      ['sol_task_schedule', say('normal, by 4'), 10_000, 1, 4],
    ]);
    expect(said(engine.processSlot(1).outcomes)).toEqual(['critical', 'normal, by 4', 'normal', 'low']);
  });

  test('of watchers is by the account that was touched first, then by id', () => {
    const engine = setUp();
    for (const name of ['b', 'a', 'b', 'c', 'a']) {
      const id = engine.watchers.list(address(name)).length;
      engine.watchers.create({ ...saying(`${name}${id}`), account: address(name), trigger: WatcherTrigger.ANY_CHANGE });
    }
    change(engine, 'c', 'a');
    change(engine, 'b', 'c');
    expect(said(engine.processSlot(1).outcomes)).toEqual(['c0', 'a0', 'a1', 'b0', 'b1']);
    engine.setAccount(address('b'), { lamports: 1_000_000 });
    change(engine, 'a');
    expect(said(engine.processSlot(2).outcomes)).toEqual(['b0', 'b1', 'a0', 'a1']);
  });
});

describe('tasks', () => {
  test('see what earlier ones of the slot did, and their own slot', () => {
    const engine = setUp();
    engine.setAccount(address('data'), { lamports: 1_000_000, data: new Uint8Array(8), owner: PROGRAM });
    const ring = engine.rings.create({ programId: PROGRAM, size: 64 });
    const write = (priority: Priority, byte: number) =>
      engine.tasks.submit({
        programId: PROGRAM,
        data: script([['write_account', 0, 0, Uint8Array.of(byte)]]),
        accounts: [{ address: address('data'), isWritable: true }],
        priority,
      });
    write(Priority.LOW, 1);
    write(Priority.HIGH, 2);
    engine.tasks.submit({ programId: PROGRAM, data: script([['sol_ring_buffer_push', ring, Uint8Array.of(9)]]) });
    const calls: Call[] = [['sol_ring_buffer_pop', ring, { room: 1 }], ['sol_get_slot']];
    engine.tasks.submit({ programId: PROGRAM, data: script(calls) });
    const { outcomes } = engine.processSlot(3);
    expect(engine.getAccount(address('data'))!.data[0]).toBe(1);
    const [popped, slot] = repliesOf(calls, outcomes[2]);
    expect(popped!.bytes).toEqual(Uint8Array.of(9));
    expect(slot!.value).toBe(3n);
  });

  test('that are submitted run in the next slot, and hand their outcome to whom it may concern', async () => {
    const engine = setUp();
    const good = engine.tasks.submit(saying('good'));
    const bad = engine.tasks.submit({ programId: PROGRAM });
    const early = good.outcome;
    const { outcomes } = engine.processSlot(1);
    expect(outcomes.map(({ taskId, source }) => [taskId, source])).toEqual([good.id, bad.id].map((id) => [id, { kind: 'task', id }]));
    expect(await early).toEqual(outcomes[0]);
    expect(await bad.outcome).toMatchObject({ status: 'failed', error: { customCode: 1 } });
    expect(engine.processSlot(2).outcomes).toEqual([]);
    expect(engine.stats()).toMatchObject({ tasksSubmitted: 2n, tasksCompleted: 1n, tasksFailed: 1n });
  });

  test('that a callback schedules run in the next slot, not in this one', () => {
    const engine = setUp();
    engine.timers.create({ programId: PROGRAM, data: script([['sol_task_schedule', say('next'), 10_000, 3, 0]]), triggerSlot: 1 });
    expect(said(engine.processSlot(1).outcomes)).toEqual([]);
    expect(engine.stats().tasksPending).toBe(1n);
    expect(said(engine.processSlot(2).outcomes)).toEqual(['next']);
  });

  test('reject with SHUTDOWN when the engine is closed before they ran', async () => {
    const engine = setUp();
    const task = engine.tasks.submit(saying('never'));
    engine.close();
    await expect(task.outcome).rejects.toMatchObject({ codeName: 'SHUTDOWN' });
  });
});

describe('account updates', () => {
  const watch = (engine: AsyncBpfEngine, trigger: WatcherTrigger = WatcherTrigger.ANY_CHANGE) =>
    engine.watchers.create({ ...saying('changed'), account: address('watched'), trigger });
  const update = (engine: AsyncBpfEngine, lamports: number, writeVersion?: number) =>
    engine.updateAccounts([{ address: address('watched'), lamports, writeVersion }]);
  const balance = (engine: AsyncBpfEngine) => engine.getAccount(address('watched'))?.lamports;

  test('count from the next slot on', () => {
    const engine = setUp();
    update(engine, 5);
    expect(balance(engine)).toBeUndefined();
    engine.processSlot(1);
    expect(balance(engine)).toBe(5n);
  });

  test('of one account coalesce into the state before the slot and the last one', () => {
    const engine = setUp();
    const threshold = (trigger: WatcherTrigger, level: number) =>
      engine.watchers.create({
        programId: PROGRAM,
        data: script([ASK_CONTEXT]),
        account: address('watched'),
        trigger,
        threshold: level,
        priority: trigger === WatcherTrigger.THRESHOLD_ABOVE ? Priority.HIGH : Priority.NORMAL,
      });
    const set = (value: number) => engine.updateAccounts([{ address: address('watched'), lamports: 1, data: u64(value) }]);
    set(10);
    engine.processSlot(1);
    const [above, below] = [threshold(WatcherTrigger.THRESHOLD_ABOVE, 50), threshold(WatcherTrigger.THRESHOLD_BELOW, 5)];
    [100, 1, 60].forEach(set);
    const { outcomes, watchersTriggered } = engine.processSlot(2);
    expect(watchersTriggered).toBe(1n);
    expect(contextOf(outcomes[0])).toMatchObject({ kind: 2n, sourceId: above, oldValue: 10n, newValue: 60n, triggerType: 4n, ticks: 1n });
    expect(engine.watchers.get(below)!.triggerCount).toBe(0n);
  });

  test('that lead back to the state before the slot change nothing', () => {
    const engine = setUp();
    update(engine, 5);
    engine.processSlot(1);
    const watcher = watch(engine);
    update(engine, 6);
    update(engine, 5);
    expect(engine.processSlot(2).watchersTriggered).toBe(0n);
    expect(engine.watchers.get(watcher)!.triggerCount).toBe(0n);
  });

  test('match each watcher at most once in a slot', () => {
    const engine = setUp();
    const watcher = watch(engine);
    for (let n = 1; n <= 5; n++) update(engine, n);
    expect(engine.processSlot(1)).toMatchObject({ watchersTriggered: 1n });
    expect(engine.watchers.get(watcher)).toMatchObject({ triggerCount: 1n, lastTriggerSlot: 1n });
  });

  test('with a write version that is not above the last applied are ignored', () => {
    const engine = setUp();
    const watcher = watch(engine);
    update(engine, 10, 7);
    engine.processSlot(1);
    update(engine, 11, 7);
    update(engine, 12, 3);
    expect(engine.processSlot(2).watchersTriggered).toBe(0n);
    expect(balance(engine)).toBe(10n);
    update(engine, 13, 8);
    update(engine, 14, 8);
    update(engine, 15, 1);
    engine.processSlot(3);
    expect(balance(engine)).toBe(13n);
    update(engine, 16);
    engine.processSlot(4);
    expect(balance(engine)).toBe(16n);
    update(engine, 17, 8);
    engine.processSlot(5);
    expect(balance(engine)).toBe(16n);
    expect(engine.watchers.get(watcher)!.triggerCount).toBe(3n);
  });

  test('have write versions of their own for each account, also for one that is gone', () => {
    const engine = setUp();
    engine.updateAccounts([
      { address: address('watched'), lamports: 1, writeVersion: 100 },
      { address: address('other'), lamports: 1, writeVersion: 1 },
    ]);
    update(engine, 0, 101);
    engine.processSlot(1);
    expect(balance(engine)).toBeUndefined();
    expect(engine.getAccount(address('other'))!.lamports).toBe(1n);
    update(engine, 9, 101);
    engine.processSlot(2);
    expect(balance(engine)).toBeUndefined();
    update(engine, 9, 2 ** 40);
    engine.processSlot(3);
    expect(balance(engine)).toBe(9n);
  });
});

describe('what callbacks and the host change in accounts', () => {
  const data = address('data');
  const write = {
    programId: PROGRAM,
    data: script([['write_account', 0, 0, Uint8Array.of(5)]]),
    accounts: [{ address: data, isWritable: true }],
  };
  const prepare = () => {
    const engine = setUp();
    engine.setAccount(data, { lamports: 1_000_000, data: new Uint8Array(8), owner: PROGRAM });
    engine.processSlot(1);
    engine.watchers.create({ ...saying('changed'), account: data, trigger: WatcherTrigger.DATA_CHANGE });
    return engine;
  };

  test('is matched in the following slot: a callback', () => {
    const engine = prepare();
    engine.timers.create({ ...write, triggerSlot: 2 });
    expect(engine.processSlot(2)).toMatchObject({ watchersTriggered: 0n, timersFired: 1n });
    const { outcomes } = engine.processSlot(3);
    expect(said(outcomes)).toEqual(['changed']);
    expect(engine.processSlot(4).outcomes).toEqual([]);
  });

  test('is matched in the following slot: an invocation by the host', () => {
    const engine = prepare();
    engine.invoke(write);
    expect(said(engine.processSlot(2).outcomes)).toEqual(['changed']);
  });

  test('is matched in the following slot: a replaced account', () => {
    const engine = prepare();
    engine.setAccount(data, { lamports: 1_000_000, data: u64(1) });
    expect(engine.getAccount(data)!.data).toEqual(new Uint8Array(u64(1)));
    expect(said(engine.processSlot(2).outcomes)).toEqual(['changed']);
  });

  test('coalesces with the updates of the slot', () => {
    const engine = prepare();
    engine.timers.create({ ...write, triggerSlot: 2 });
    engine.processSlot(2);
    engine.updateAccounts([{ address: data, lamports: 1_000_000, data: new Uint8Array(8), owner: PROGRAM }]);
    expect(engine.processSlot(3).watchersTriggered).toBe(0n);
  });

  test('is not matched when it only writes what was there', () => {
    const engine = prepare();
    engine.invoke({ ...write, data: script([['write_account', 0, 0, Uint8Array.of(0)]]) });
    expect(engine.processSlot(2).watchersTriggered).toBe(0n);
  });
});

test('slots only go forward', () => {
  const engine = setUp();
  engine.processSlot(5);
  for (const slot of [5, 4, 0]) {
    expect(() => engine.processSlot(slot)).toThrow(
      expect.objectContaining({ codeName: 'INVALID_SLOT', message: expect.stringMatching(/^slot is \d, .*\[6, /) }),
    );
  }
  expect(engine.slot).toBe(5n);
  expect(engine.stats().slotsProcessed).toBe(1n);
});

test('a watcher callback knows which account it watches', () => {
  const engine = setUp();
  engine.watchers.create({
    programId: PROGRAM,
    data: script([ASK_CONTEXT]),
    account: address('watched'),
    trigger: WatcherTrigger.OWNER_CHANGE,
  });
  engine.updateAccounts([{ address: address('watched'), lamports: 1, owner: PROGRAM }]);
  const context = contextOf(engine.processSlot(1).outcomes[0]);
  expect(context.account).toEqual(addressBytes('watched'));
  expect(context).toMatchObject({ triggerType: 3n, priority: 2n, oldValue: undefined, newValue: undefined });
});
