/** What a callback gets: its data, its accounts, and the reason why it runs. */

import { describe, expect, test } from 'vitest';
import { Priority, WatcherTrigger } from '../dist/index.js';
import { address, addressBytes } from './support/addresses.js';
import { readU64, u64, utf8 } from './support/bytes.js';
import { ASK_CONTEXT, contextOf, decode, repliesOf, run, script, type Call } from './support/conformance.js';
import { createEngine } from './support/engine.js';

const PROGRAM = address('program');
const [A, B, C] = [address('a'), address('b'), address('c')];

/** A program's input in memory: the number of accounts, then each account, then its instruction data. */
const INPUT = 0x4_0000_0000n;
/** What an account without data takes of it: flags, address, owner, lamports, length, room to grow, rent epoch. */
const ACCOUNT = 8 + 32 + 32 + 8 + 8 + 10_240 + 8;

const setUp = () => createEngine({ program: 'conformance' });

describe('instruction data', () => {
  test.each([37, 38, 100, 1024])('is exactly the data given at creation: %i bytes', (length) => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: PROGRAM });
    // Pushes its own instruction data, with its length in front, out of its input; the rest is there to be long.
    const data = script([
      ['sol_ring_buffer_push', ring, { at: INPUT + 8n, length: 8 + length }],
      ['log', new Uint8Array(length - 37)],
    ]);
    expect(data.length).toBe(length);
    engine.timers.create({ programId: PROGRAM, data, triggerSlot: 1 });
    expect(engine.processSlot(1).outcomes[0]!.status).toBe('committed');
    const seen = engine.rings.pop(ring)!;
    expect(readU64(seen)).toBe(BigInt(data.length));
    expect(seen.slice(8)).toEqual(new Uint8Array(data));
  });
});

describe('accounts', () => {
  test('are those of the instruction that created the timer, in its order, with signer flags cleared', () => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: PROGRAM });
    const callback = script([
      ['sol_ring_buffer_push', ring, { at: INPUT, length: 8 }],
      ...[0, 1, 2].map((index): Call => ['sol_ring_buffer_push', ring, { at: INPUT + BigInt(8 + index * ACCOUNT), length: 40 }]),
    ]);
    const accounts = [
      { address: B, isSigner: true, isWritable: true },
      { address: A, isSigner: true },
      { address: C, isWritable: true },
    ];
    const [timer] = run(engine, PROGRAM, [['sol_timer_create', 1, callback, 100_000]], { accounts });
    expect(engine.timers.get(timer!.value)!.accounts).toEqual([
      { address: B, isSigner: false, isWritable: true },
      { address: A, isSigner: false, isWritable: false },
      { address: C, isSigner: false, isWritable: true },
    ]);

    engine.processSlot(1);
    expect(readU64(engine.rings.pop(ring)!)).toBe(3n);
    const seen = Array.from({ length: 3 }, () => engine.rings.pop(ring)!);
    // Of each account: not the same as an earlier one, signer, writable; and its address.
    expect(seen.map((head) => [...head.slice(0, 3)])).toEqual([
      [0xff, 0, 1],
      [0xff, 0, 0],
      [0xff, 0, 1],
    ]);
    expect(seen.map((head) => head.slice(8))).toEqual(['b', 'a', 'c'].map(addressBytes));
  });

  test('from the host are as stated, signers included', () => {
    const engine = setUp();
    const accounts = [{ address: A, isSigner: true, isWritable: false }];
    const ring = engine.rings.create({ programId: PROGRAM });
    const data = script([['sol_ring_buffer_push', ring, { at: INPUT + 8n, length: 40 }]]);
    engine.timers.create({ programId: PROGRAM, data, accounts, triggerSlot: 1 });
    engine.processSlot(1);
    expect([...engine.rings.pop(ring)!.slice(0, 3)]).toEqual([0xff, 1, 0]);
  });

  test("a watcher's own is appended, read-only, if it is not among them", () => {
    const engine = setUp();
    const watch = { programId: PROGRAM, account: C, trigger: WatcherTrigger.ANY_CHANGE };
    const appended = engine.watchers.create({ ...watch, accounts: [A] });
    const present = engine.watchers.create({ ...watch, accounts: [{ address: C, isWritable: true }, A] });
    const [onChain] = run(engine, PROGRAM, [['sol_watcher_create', addressBytes('c'), 0, new Uint8Array(0), 1000]], { accounts: [B] });
    const shown = (id: bigint) => engine.watchers.get(id)!.accounts.map(({ address: name, isWritable }) => [name, isWritable]);
    expect(shown(appended)).toEqual([
      [A, false],
      [C, false],
    ]);
    expect(shown(present)).toEqual([
      [C, true],
      [A, false],
    ]);
    expect(shown(onChain!.value)).toEqual([
      [B, false],
      [C, false],
    ]);
  });

  test('are at most 64, from the host and from programs', () => {
    const engine = setUp();
    const names = Array.from({ length: 65 }, (_, index) => address(`n${index}`));
    const timer = { programId: PROGRAM, triggerSlot: 1 };
    expect(() => engine.timers.create({ ...timer, accounts: names })).toThrow(/^accounts is 65 accounts, but must be at most 64/);
    expect(() => engine.timers.create({ ...timer, accounts: names.slice(1) })).not.toThrow();
    const create: Call[] = [['sol_timer_create', 1, new Uint8Array(0), 1000]];
    expect(run(engine, PROGRAM, create, { accounts: names })[0]!.error).toBe(11);
    expect(run(engine, PROGRAM, create, { accounts: names.slice(1) })[0]!.error).toBe(0);
  });
});

describe('the context', () => {
  const ask = { programId: PROGRAM, data: script([ASK_CONTEXT]), computeBudget: 10_000 };

  test('of a timer', () => {
    const engine = setUp();
    const timer = engine.timers.createPeriodic({ ...ask, startSlot: 3, periodSlots: 2, priority: Priority.CRITICAL });
    expect(contextOf(engine.processSlot(8).outcomes[0])).toEqual({
      version: 1n,
      kind: 1n,
      sourceId: timer,
      triggerType: 0n,
      priority: 3n,
      attempt: 1n,
      dueSlot: 3n,
      currentSlot: 8n,
      ticks: 3n,
      account: new Uint8Array(32),
      oldValue: undefined,
      newValue: undefined,
    });
  });

  test('of a watcher', () => {
    const engine = setUp();
    const watcher = engine.watchers.create({ ...ask, account: A, trigger: WatcherTrigger.THRESHOLD_BELOW, threshold: 0, offset: 8 });
    engine.updateAccounts([{ address: A, lamports: 1, data: u64(9, -9) }]);
    expect(contextOf(engine.processSlot(4).outcomes[0])).toEqual({
      version: 1n,
      kind: 2n,
      sourceId: watcher,
      triggerType: 5n,
      priority: 2n,
      attempt: 1n,
      dueSlot: 4n,
      currentSlot: 4n,
      ticks: 1n,
      account: addressBytes('a'),
      oldValue: undefined,
      newValue: -9n,
    });
  });

  test('of a task, from the host and from a program', () => {
    const engine = setUp();
    const [scheduled] = run(engine, PROGRAM, [['sol_task_schedule', ask.data, 10_000, 0, 0]]);
    const { id } = engine.tasks.submit(ask);
    const { outcomes } = engine.processSlot(6);
    expect(outcomes.map(contextOf)).toMatchObject([
      { kind: 3n, sourceId: id, priority: 1n, dueSlot: 1n, currentSlot: 6n, ticks: 1n },
      { kind: 3n, sourceId: scheduled!.value, priority: 0n, dueSlot: 1n, currentSlot: 6n, ticks: 1n },
    ]);
  });

  test('says under which priority the callback runs, raised by its waiting', () => {
    const engine = createEngine({ program: 'conformance' }, { limits: { maxComputeBudget: 10_000, slotComputeLimit: 10_000 } });
    const { id } = engine.tasks.submit({ ...ask, priority: Priority.LOW });
    for (let slot = 1; slot <= 64; slot++) {
      engine.tasks.submit({ programId: PROGRAM, data: script([]), computeBudget: 10_000 });
      const [outcome] = engine.processSlot(slot).outcomes;
      if (outcome!.taskId === id) expect(contextOf(outcome)).toMatchObject({ currentSlot: 64n, priority: BigInt(Priority.NORMAL) });
      else expect(slot).toBeLessThan(64);
    }
  });

  test('is nothing in an invocation by the host', () => {
    const engine = setUp();
    expect(run(engine, PROGRAM, [ASK_CONTEXT])).toEqual([{ value: 0n, error: 0, charge: 100n, bytes: new Uint8Array(0) }]);
  });

  test('needs 128 bytes of room, and says so', () => {
    const engine = setUp();
    const calls: Call[] = [
      ['sol_async_context', { room: 127 }],
      ['sol_async_context', { room: 200 }],
      ['sol_async_context', { null: 128 }],
    ];
    engine.tasks.submit({ programId: PROGRAM, data: script(calls) });
    const replies = repliesOf(calls, engine.processSlot(1).outcomes[0]);
    expect(replies.map(({ value, error }) => [Number(value), error])).toEqual([
      [0, 13],
      [128, 0],
      [0, 1],
    ]);
  });
});

test('what a callback returns and logs is part of its outcome', () => {
  const engine = setUp();
  const calls: Call[] = [['log', utf8('hello')], ['sol_get_slot']];
  engine.timers.create({ programId: PROGRAM, data: script(calls), triggerSlot: 9 });
  const [outcome] = engine.processSlot(9).outcomes;
  expect(outcome!.logs.slice(0, 2)).toEqual([`Program ${PROGRAM} invoke [1]`, 'Program log: hello']);
  expect(outcome!.logs.at(-1)).toBe(`Program ${PROGRAM} success`);
  expect(decode(calls, outcome!.returnData!)[1]).toEqual({ value: 9n, error: 0, charge: 100n });
});

test('stagedCodes has the code of each async call, in order, those refused for their pointers included', () => {
  const engine = setUp();
  const calls: Call[] = [
    ['sol_timer_create', 5, new Uint8Array(0), 1000],
    ['sol_timer_cancel', 99],
    ['sol_timer_create', 5, { null: 3 }, 1000],
    ['sol_timer_create', 0, new Uint8Array(0), 1000],
    ['sol_watcher_create', addressBytes('a'), 6, new Uint8Array(0), 1000],
    ['sol_ring_buffer_create', 64],
  ];
  const outcome = engine.invoke({ programId: PROGRAM, data: script(calls) });
  expect(repliesOf(calls, outcome).map(({ error }) => error)).toEqual([0, 2, 1, 6, 11, 0]);
  expect(outcome.stagedCodes).toEqual([0, 2, 1, 6, 11, 0]);
});
