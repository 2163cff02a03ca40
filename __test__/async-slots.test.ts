/** Slots that another thread processes: the same as ever, while JavaScript goes on, and what it may do in the meantime. */

import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { AsyncBpfEngine, ErrorCode, WatcherTrigger, type SlotReport } from '../dist/index.js';
import { address } from './support/addresses.js';
import { u64, utf8 } from './support/bytes.js';
import { End, script, type Call } from './support/conformance.js';
import { createEngine } from './support/engine.js';

const CHAIN = address('chain');
const P = address('function');
const [A, B] = [address('a'), address('b')] as [string, string];
const RICH = 10_000_000n;

function setUp(options = {}) {
  const engine = createEngine(
    { chain: 'conformance' },
    { limits: { maxComputeBudget: 100_000_000, slotComputeLimit: 10 ** 10 }, ...options },
  );
  for (const name of [A, B]) engine.setAccount(name, { lamports: RICH, data: new Uint8Array(8), owner: CHAIN });
  return engine;
}

/** A task that takes a while. */
const long = (engine: AsyncBpfEngine) => engine.tasks.submit({ programId: CHAIN, data: script([], End.LOOP), computeBudget: 50_000_000 });
const write = (value: number) => ({
  programId: CHAIN,
  data: script([['write_account', 0, 0, u64(value)]]),
  accounts: [{ address: A, isWritable: true }],
});
const busy = expect.objectContaining({ name: 'ENGINE_BUSY', code: ErrorCode.ENGINE_BUSY });
const closed = expect.objectContaining({ name: 'SHUTDOWN', message: 'the engine is closed; create a new one' });

test('reports, state and hashes are those of processSlot', async () => {
  const play = async (process: (engine: AsyncBpfEngine, slot: number) => SlotReport | Promise<SlotReport>, workers: number) => {
    const engine = setUp({ workers });
    engine.watchers.create({ programId: CHAIN, account: A, trigger: WatcherTrigger.DATA_CHANGE, data: script([]) });
    engine.timers.createPeriodic({ programId: CHAIN, startSlot: 1, periodSlots: 3, data: script([['log', utf8('tick')]]) });
    const reports = [];
    for (let slot = 1; slot <= 30; slot++) {
      for (let n = 0; n < slot; n++) engine.tasks.submit(write(n));
      const calls: Call[] = [['sol_timer_create', slot + 2, Uint8Array.of(0), 5_000]];
      engine.tasks.submit({ programId: CHAIN, data: script(calls) });
      engine.updateAccounts([{ address: B, lamports: RICH + BigInt(slot) }]);
      const report = await process(engine, slot);
      // Outcomes are read when somebody looks.
      reports.push({ ...report, outcomes: report.outcomes });
    }
    return { reports, stats: engine.stats(), hash: engine.stateHash(), account: engine.getAccount(A) };
  };
  const alone = await play((engine, slot) => engine.processSlot(slot), 1);
  expect(alone.reports.flatMap(({ outcomes }) => outcomes).length).toBeGreaterThan(500);
  for (const workers of [1, 2, 4]) {
    expect(await play((engine, slot) => engine.processSlotAsync(slot), workers)).toEqual(alone);
    const mixed = await play((engine, slot) => (slot % 2 ? engine.processSlot(slot) : engine.processSlotAsync(slot)), workers);
    expect(mixed).toEqual(alone);
  }
});

test('the time of a slot is the one that is given', async () => {
  const engine = setUp();
  const times: bigint[] = [];
  engine.addProgram(P, (context) => void times.push(context.unixTimestamp));
  for (const [slot, options] of [
    [1, { unixTimestamp: 1_000 }],
    [2, undefined],
    [6, undefined],
  ] as const) {
    engine.tasks.submit({ programId: P });
    await engine.processSlotAsync(slot, options);
  }
  expect(times).toEqual([1_000n, 1_000n, 1_002n]);
});

test('JavaScript goes on', async () => {
  const engine = setUp();
  for (let n = 0; n < 20; n++) long(engine);
  let over = false;
  const report = engine.processSlotAsync(1).finally(() => (over = true));
  let turns = 0;
  while (!over) {
    await turn();
    turns++;
  }
  expect(turns).toBeGreaterThan(10);
  expect((await report).outcomes).toHaveLength(20);
});

describe('while a slot is under way', () => {
  test('everything that needs the engine is refused, and nothing has happened', async () => {
    const engine = setUp();
    const timer = engine.timers.create({ programId: CHAIN, triggerSlot: 50 });
    const ring = engine.rings.create({ programId: CHAIN });
    long(engine);
    const report = engine.processSlotAsync(1);
    for (const call of [
      () => engine.processSlot(2),
      () => engine.addProgram(P, () => {}),
      () => engine.removeProgram(CHAIN),
      () => engine.setAccount(A, { lamports: 1 }),
      () => engine.getAccount(A),
      () => engine.invoke({ programId: CHAIN }),
      () => engine.timers.create({ programId: CHAIN, triggerSlot: 60 }),
      () => engine.timers.cancel(timer),
      () => engine.timers.get(timer),
      () => engine.watchers.create({ programId: CHAIN, account: A, trigger: WatcherTrigger.ANY_CHANGE }),
      () => engine.rings.create({ programId: CHAIN }),
      () => engine.rings.push(ring, Uint8Array.of(1)),
      () => engine.rings.get(ring),
      () => engine.syscalls(CHAIN).sol_timer_create(70, null, 1_000),
      () => engine.stats(),
      () => engine.stateHash(),
      () => engine.drain(),
      () => engine.events(),
    ]) {
      expect(call, String(call)).toThrow(busy);
    }
    expect(engine.slot).toBe(0n);
    expect((await report).slot).toBe(1n);
    expect(engine.slot).toBe(1n);
    expect(engine.timers.list(CHAIN)).toHaveLength(1);
    expect(engine.stats()).toMatchObject({ watchersCreated: 0n, ringsActive: 1n });
  });

  test('account states are taken for the next slot', async () => {
    const engine = setUp();
    const watcher = engine.watchers.create({ programId: CHAIN, account: A, trigger: WatcherTrigger.LAMPORT_CHANGE, data: script([]) });
    long(engine);
    const first = engine.processSlotAsync(1);
    engine.updateAccounts([{ address: A, lamports: 5n }]);
    const batch = engine.accountBatch({ capacity: 1 });
    batch.set(0, { address: B, lamports: 6n });
    batch.submit();
    expect(await first).toMatchObject({ watchersTriggered: 0n, outcomes: [{ status: 'failed' }] });
    expect([engine.getAccount(A)!.lamports, engine.getAccount(B)!.lamports]).toEqual([RICH, RICH]);
    expect((await engine.processSlotAsync(2)).outcomes).toMatchObject([{ source: { kind: 'watcher', id: watcher } }]);
    expect([engine.getAccount(A)!.lamports, engine.getAccount(B)!.lamports]).toEqual([5n, 6n]);
  });

  test('account states that cannot be are refused at once', async () => {
    const engine = setUp();
    long(engine);
    const report = engine.processSlotAsync(1);
    const clock = 'SysvarC1ock11111111111111111111111111111111';
    for (const [account, message] of [
      [{ address: CHAIN, lamports: 1 }, /^address is .* but must be an account that is not a loaded program/],
      [{ address: clock, lamports: 1 }, /^address is Sysvar.* but must be neither a sysvar/],
      [{ address: A, lamports: 1, data: new Uint8Array(10 * 2 ** 20 + 1) }, /^data is 10485761 bytes, but must be at most 10485760/],
    ] as const) {
      expect(() => engine.updateAccounts([{ address: B, lamports: 7 }, account])).toThrow(
        expect.objectContaining({ name: 'INVALID_ARGUMENT', message: expect.stringMatching(message) }),
      );
    }
    await report;
    await engine.processSlotAsync(2);
    expect(engine.getAccount(B)!.lamports).toBe(RICH);
  });

  test('tasks are handed in when it is over', async () => {
    const engine = setUp({ limits: { maxScheduledTasks: 2, maxComputeBudget: 100_000_000, slotComputeLimit: 10 ** 10 } });
    const running = long(engine);
    const first = engine.processSlotAsync(1);
    const data = script([['write_account', 0, 0, u64(77)]]);
    const [second, third, fourth] = [data, script([]), script([])].map((bytes) => engine.tasks.submit({ ...write(0), data: bytes }));
    // It is as it was when it was submitted.
    data.fill(255);
    expect(() => second!.id).toThrow(busy);
    expect(() => engine.tasks.submit({ programId: 'x' })).toThrow(/^programId is "x"/);
    const refused = expect(fourth!.outcome).rejects.toMatchObject({ name: 'QUEUE_FULL' });
    expect((await first).outcomes).toMatchObject([{ taskId: running.id }]);
    expect(await running.outcome).toMatchObject({ status: 'failed' });
    await refused;
    expect(() => fourth!.id).toThrow(expect.objectContaining({ name: 'QUEUE_FULL' }));
    expect(second!.id).toBeLessThan(third!.id);
    const { outcomes } = await engine.processSlotAsync(2);
    expect(outcomes.map(({ taskId }) => taskId)).toEqual([second!.id, third!.id]);
    expect(await second!.outcome).toMatchObject({ status: 'committed' });
    expect([...engine.getAccount(A)!.data.subarray(0, 1)]).toEqual([77]);
  });

  test('ring buffers that the host reads are read, and what that frees counts from the next slot', async () => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: CHAIN, size: 64, reader: 'host' });
    engine.rings.push(ring, utf8('one'));
    engine.rings.push(ring, utf8('two'));
    long(engine);
    const push = (text: string): Call => ['sol_ring_buffer_push', ring, utf8(text)];
    engine.tasks.submit({ programId: CHAIN, data: script([push('three')]) });
    const first = engine.processSlotAsync(1);
    expect(engine.rings.drain(ring).map(({ data }) => Buffer.from(data).toString())).toEqual(['one', 'two']);
    expect((await first).outcomes[1]!.stagedCodes).toEqual([ErrorCode.BUFFER_FULL]);
    engine.tasks.submit({ programId: CHAIN, data: script([push('four')]) });
    expect((await engine.processSlotAsync(2)).outcomes[0]!.stagedCodes).toEqual([0]);
    expect(engine.rings.drain(ring).map(({ data }) => Buffer.from(data).toString())).toEqual(['four']);
  });

  test('further slots wait for their turn, and what is refused stops nothing', async () => {
    const engine = setUp();
    long(engine);
    const order: string[] = [];
    const note = (name: string) => (report: SlotReport) => order.push(`${name}: ${report.slot}`);
    const slots = [
      engine.processSlotAsync(1).then(note('first')),
      engine.processSlotAsync(5).then(note('second')),
      engine.processSlotAsync(5).catch((error) => order.push(error.message)),
      engine.processSlotAsync(6).then(note('fourth')),
    ];
    await Promise.all(slots);
    expect(order).toEqual(['first: 1', 'second: 5', 'slot is 5, but must be in [6, 18446744073709551615]', 'fourth: 6']);
    expect(engine.processSlot(7).slot).toBe(7n);
  });

  test('events are read as they come', async () => {
    const engine = setUp();
    const stop = new AbortController();
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const event of engine.events({ signal: stop.signal })) seen.push(event.type === 'slot' ? event.slot : event.type);
    })();
    for (let slot = 1; slot <= 3; slot++) {
      engine.tasks.submit(write(slot));
      await engine.processSlotAsync(slot);
    }
    const last = engine.processSlotAsync(4);
    stop.abort();
    await reading;
    expect(seen).toEqual(['outcome', 1n, 'outcome', 2n, 'outcome', 3n]);
    await last;
    // The listener is gone from the engine as well.
    expect(engine.processSlot(5).slot).toBe(5n);
  });
});

describe('programs that are JavaScript functions', () => {
  test('run in between, on this thread, while others run elsewhere', async () => {
    const engine = setUp({ workers: 2 });
    const seen: number[] = [];
    let turns = 0;
    engine.addProgram(P, ({ data }) => {
      seen.push(data[0]!);
      turns = 0;
    });
    for (let n = 0; n < 6; n++) {
      long(engine);
      engine.tasks.submit({ programId: P, data: Uint8Array.of(n) });
      engine.tasks.submit({ programId: P, data: Uint8Array.of(10 + n) });
    }
    let over = false;
    const report = engine.processSlotAsync(1).finally(() => (over = true));
    while (!over) {
      await turn();
      turns++;
    }
    expect(seen).toEqual([0, 10, 1, 11, 2, 12, 3, 13, 4, 14, 5, 15]);
    expect((await report).outcomes).toHaveLength(18);
  });

  test('may hand in account states and tasks, for the next slot', async () => {
    const engine = setUp();
    let task: ReturnType<typeof engine.tasks.submit> | undefined;
    engine.addProgram(P, () => {
      engine.updateAccounts([{ address: A, lamports: 9n }]);
      task = engine.tasks.submit({ programId: CHAIN, data: script([]) });
      expect(() => engine.stateHash()).toThrow('a slot is being processed');
    });
    engine.tasks.submit({ programId: P });
    expect((await engine.processSlotAsync(1)).outcomes).toMatchObject([{ status: 'committed' }]);
    expect(engine.getAccount(A)!.lamports).toBe(RICH);
    await engine.processSlotAsync(2);
    expect(await task!.outcome).toMatchObject({ status: 'committed' });
    expect(engine.getAccount(A)!.lamports).toBe(9n);
  });
});

describe('closing', () => {
  test('lets the slot come to its end, and refuses what waits', async () => {
    const engine = setUp();
    const events = engine.events();
    const task = long(engine);
    const first = engine.processSlotAsync(1);
    const second = engine.processSlotAsync(2);
    const late = engine.tasks.submit(write(1));
    engine.close();
    expect(() => engine.slot).toThrow(closed);
    expect(() => engine.updateAccounts([])).toThrow(closed);
    expect(() => engine.tasks.submit(write(1))).toThrow(closed);
    await expect(engine.processSlotAsync(3)).rejects.toEqual(closed);
    const refused = [expect(second).rejects.toEqual(closed), expect(late.outcome).rejects.toEqual(closed)];
    expect((await first).outcomes).toMatchObject([{ taskId: task.id }]);
    expect(await task.outcome).toMatchObject({ status: 'failed' });
    await Promise.all(refused);
    const seen = [];
    for await (const event of events) seen.push(event.type);
    expect(seen).toEqual(['outcome', 'slot']);
    engine.close();
  });

  test('`await using` waits for it', async () => {
    let report: SlotReport | undefined;
    {
      await using engine = new AsyncBpfEngine();
      void engine.processSlotAsync(1).then((done) => (report = done));
    }
    expect(report?.slot).toBe(1n);
  });

  test('a function of the slot may do it', async () => {
    const engine = setUp();
    engine.addProgram(P, () => engine.close());
    engine.tasks.submit({ programId: P });
    engine.tasks.submit({ programId: P });
    expect((await engine.processSlotAsync(1)).outcomes).toMatchObject([{ status: 'committed' }, { status: 'committed' }]);
    expect(() => engine.slot).toThrow(closed);
  });
});

test.each([
  ['slot', (engine: AsyncBpfEngine) => engine.processSlotAsync(-1), /^slot is -1, but must be a bigint in/],
  ['options', (engine: AsyncBpfEngine) => engine.processSlotAsync(1, null as never), /^options is null, but must be an object/],
  ['unixTimestamp', (engine: AsyncBpfEngine) => engine.processSlotAsync(1, { unixTimestamp: 'now' as never }), /^unixTimestamp is "now"/],
  ['a time out of range', (engine: AsyncBpfEngine) => engine.processSlotAsync(1, { unixTimestamp: 2n ** 62n }), /^unixTimestamp is 46116/],
  ['a slot that has passed', (engine: AsyncBpfEngine) => engine.processSlotAsync(0), /slot .*0/],
])('a wrong %s rejects, and nothing has happened', async (_, call, message) => {
  const engine = setUp();
  const before = engine.stateHash();
  await expect(call(engine)).rejects.toMatchObject({ message: expect.stringMatching(message) });
  expect([engine.slot, engine.stateHash()]).toEqual([0n, before]);
  expect((await engine.processSlotAsync(1)).slot).toBe(1n);
});

test('a Node worker may end in the midst of it', async () => {
  for (let n = 0; n < 5; n++) {
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads');
       const { AsyncBpfEngine } = require('./dist/index.js');
       const engine = new AsyncBpfEngine({ workers: 2 });
       let slot = 0;
       engine.addProgram(${JSON.stringify(P)}, () => {});
       (async () => {
         for (;;) {
           for (let n = 0; n < 500; n++) engine.tasks.submit({ programId: ${JSON.stringify(P)} });
           const report = engine.processSlotAsync(++slot);
           if (slot === 3) parentPort.postMessage('running');
           await report;
         }
       })();`,
      { eval: true },
    );
    await once(worker, 'message');
    await worker.terminate();
  }
});
