/** What `processSlot` returns: it looks like plain data, costs little until it is looked at, and stays as it was. */

import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { ErrorCode, type AsyncBpfEngine, type EngineOptions, type SlotReport } from '../dist/index.js';
import { address, addressBytes } from './support/addresses.js';
import { End, say, script, type Call } from './support/conformance.js';
import { createEngine } from './support/engine.js';

const PROGRAM = address('program');

type ProcessSlot = (...values: any[]) => string | undefined;
const { addon } = createRequire(__filename)('../dist/native.js') as { addon: { processSlot: ProcessSlot; takeReply(): Uint8Array } };

/** Callbacks of all kinds: some say something, one fails with a number, one runs out of units, one returns data, one expires. */
function busy(callbacks: number, options: EngineOptions = {}): AsyncBpfEngine {
  const limits = { maxTimersPerProgram: 1000, maxScheduledTasks: 2000, slotComputeLimit: 1_000_000_000 };
  const engine = createEngine({ program: 'conformance' }, { limits, ...options });
  const every = { startSlot: 1, periodSlots: 1 };
  for (let n = 0; n < callbacks; n++) {
    const calls: Call[] = [['sol_get_slot'], ['log', new Uint8Array(n % 50).fill(65)]];
    const end = n % 7 === 3 ? End.FAIL : End.SUCCEED;
    const data = n % 5 === 4 ? say(`callback ${n}`) : script(calls, end);
    engine.timers.createPeriodic({ programId: PROGRAM, data, computeBudget: n % 11 === 10 ? 300 : 20_000, ...every });
  }
  return engine;
}

/** Everything in it, as plain data. */
const read = (report: SlotReport) => ({ ...report });

describe('a report', () => {
  test.each([
    ['of few outcomes', 1, 700],
    ['of many', 40, 60],
    ['of more than its memory holds at once', 700, 4],
  ])('%s stays as it was, when it is looked at after others', (_, callbacks, slots) => {
    const [late, early] = [busy(callbacks), busy(callbacks)];
    const unread: SlotReport[] = [];
    const expected: unknown[] = [];
    for (let slot = 1; slot <= slots; slot++) {
      unread.push(late.processSlot(slot));
      expected.push(read(early.processSlot(slot)));
    }
    late.close();
    expect(unread.map(read)).toEqual(expected);
    expect(unread[0]!.outcomes.length).toBe(callbacks);
  });

  test('of little stays as it was while others are of much, and the other way round', () => {
    const [late, early] = [busy(1), busy(1)];
    const reports = [late, early].map((engine) => {
      const submit = (count: number) => {
        for (let n = 0; n < count; n++) engine.tasks.submit({ programId: PROGRAM, data: say(`task ${n}`.padEnd(100)) });
      };
      return Array.from({ length: 40 }, (_, index) => {
        submit([0, 1, 300, 20, 100][index % 5]!);
        const report = engine.processSlot(index + 1);
        return engine === early ? (read(report) as SlotReport) : report;
      });
    });
    expect(reports[0]!.map(read)).toEqual(reports[1]);
  });

  test.each([
    ['nothing', 0],
    ['something', 3],
  ])('of %s is a plain object', (_, callbacks) => {
    const engine = busy(callbacks);
    engine.processSlot(1);
    const keys = ['slot', 'timersFired', 'watchersTriggered', 'tasksQueued', 'tasksPending', 'unitsConsumed', 'stateHash', 'outcomes'];
    const looks: [string, (report: SlotReport) => unknown][] = [
      ['its keys', (report) => Object.keys(report)],
      ['a copy', (report) => ({ ...report })],
      ['a structured clone', (report) => structuredClone(report)],
      ['JSON', (report) => JSON.stringify(report, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))],
      ['its entries', (report) => Object.entries(report)],
      ['assigned', (report) => Object.assign({}, report)],
    ];
    for (let slot = 2; slot < 2 + looks.length; slot++) {
      const [name, look] = looks[slot - 2]!;
      const report = engine.processSlot(slot);
      const seen = look(report);
      const { outcomes, ...counts } = report;
      const plain = { ...counts, outcomes };
      expect(Object.getPrototypeOf(report), name).toBe(Object.prototype);
      expect(seen, name).toEqual(look(plain));
      expect(Object.keys(report), name).toEqual(keys);
      expect(inspect(report), name).toBe(inspect(plain));
      expect(report.outcomes, name).toBe(outcomes);
      expect(outcomes.length, name).toBe(callbacks);
    }
  });

  test('has the numbers of its slot', () => {
    const engine = busy(3);
    const report = engine.processSlot(2n ** 64n - 1n, { unixTimestamp: -(2n ** 40n) });
    expect(report).toMatchObject({ slot: 2n ** 64n - 1n, timersFired: 3n, watchersTriggered: 0n, tasksQueued: 3n, tasksPending: 0n });
    expect(report.unitsConsumed).toBe(report.outcomes.reduce((sum, { unitsConsumed }) => sum + unitsConsumed, 0n));
    expect(report.stateHash).toBe(engine.stateHash());
    const clock = engine.getAccount('SysvarC1ock11111111111111111111111111111111')!.data;
    expect(Buffer.from(clock).readBigInt64LE(32)).toBe(-(2n ** 40n));
    // The time of one slot is not that of the next.
    const other = busy(0);
    other.processSlot(1, { unixTimestamp: 1000 });
    other.processSlot(6);
    expect(Buffer.from(other.getAccount('SysvarC1ock11111111111111111111111111111111')!.data).readBigInt64LE(32)).toBe(1002n);
  });

  test.each([1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 5, Number.MAX_SAFE_INTEGER])(
    'is of slot %s, whether that is a number or a bigint',
    (slot) => {
      const [number, bigint] = [busy(1), busy(1)];
      const report = number.processSlot(slot);
      expect([report.slot, number.slot]).toEqual([BigInt(slot), BigInt(slot)]);
      expect(report).toEqual(bigint.processSlot(BigInt(slot)));
    },
  );

  test('can be looked at when it is frozen', () => {
    const report = Object.freeze(busy(2).processSlot(1));
    expect(report.outcomes.length).toBe(2);
    expect(report.outcomes).toBe(report.outcomes);
  });
});

describe('outcomes of tasks', () => {
  const task = (text: string) => ({ programId: PROGRAM, data: say(text) });
  const isUnread = (report: SlotReport) => Object.getOwnPropertyDescriptor(report, 'outcomes')!.get !== undefined;

  test('are handed to whoever asks before, after, and long after the slot, or after the engine is gone', async () => {
    const engine = busy(2);
    const [before, after, much, closed] = ['before', 'after', 'much later', 'closed'].map((text) => engine.tasks.submit(task(text)));
    const asked = before!.outcome;
    const report = engine.processSlot(1);
    const late = after!.outcome;
    for (let slot = 2; slot < 700; slot++) engine.processSlot(slot);
    const later = much!.outcome;
    engine.close();
    const all = await Promise.all([asked, late, later, closed!.outcome, before!.outcome, closed!.outcome]);
    const of = [before, after, much, closed, before, closed].map((handle) => report.outcomes.find(({ taskId }) => taskId === handle!.id));
    expect(all).toEqual(of);
    expect(all.map(({ logs }) => logs.some((line) => line.includes('much later')))).toEqual([false, false, true, false, false, false]);
  });

  test('are not those of callbacks, or of tasks of programs', async () => {
    const engine = busy(1);
    engine.invoke({ programId: PROGRAM, data: script([['sol_task_schedule', say('of the program'), 10_000, 3, 0]]) });
    const handle = engine.tasks.submit(task('of the host'));
    const { outcomes } = engine.processSlot(1);
    expect(outcomes.map(({ source }) => source.kind)).toEqual(['task', 'task', 'timer']);
    expect((await handle.outcome).taskId).toBe(handle.id);
  });

  test('are what they were, whatever was done to the report', async () => {
    const engine = busy(1);
    const handle = engine.tasks.submit(task('mine'));
    engine.processSlot(1).outcomes.length = 0;
    expect(await handle.outcome).toMatchObject({ taskId: handle.id, status: 'committed' });
  });

  test('of a slot are decoded for nobody but those who ask', async () => {
    const engine = busy(1);
    const [waits, does, not] = [task('a'), task('b'), task('c')].map((options) => engine.tasks.submit(options));
    const outcome = waits!.outcome;
    const report = engine.processSlot(1);
    expect((await outcome).taskId).toBe(waits!.id);
    expect((await does!.outcome).taskId).toBe(does!.id);
    expect(isUnread(report)).toBe(true);
    expect(report.outcomes.map(({ taskId }) => taskId)).toContain(not!.id);
    expect(isUnread(report)).toBe(false);
  });
});

describe('logs', () => {
  const withoutLogs = (report: SlotReport) => ({ ...report, outcomes: report.outcomes.map((outcome) => ({ ...outcome, logs: [] })) });

  test('are left out when they are not wanted, and nothing else is', () => {
    const [quiet, loud] = [busy(30, { logs: false }), busy(30, { logs: true })];
    for (let slot = 1; slot <= 3; slot++) {
      const [less, more] = [quiet.processSlot(slot), loud.processSlot(slot)];
      expect(more.outcomes.every(({ logs }) => logs.length > 0)).toBe(true);
      expect(less).toEqual(withoutLogs(more));
      expect(new Set(less.outcomes.map(({ error }) => error?.reason))).toEqual(
        new Set([undefined, 'Custom', 'ComputationalBudgetExceeded']),
      );
    }
    const invocation = { programId: PROGRAM, data: script([['log', Uint8Array.of(65)]], End.FAIL) };
    const [less, more] = [quiet.invoke(invocation), loud.invoke(invocation)];
    expect(less).toEqual({ ...more, logs: [] });
    expect(less.error!.message).toMatch(/^custom program error: /);
    expect(more.logs.length).toBeGreaterThan(0);
  });

  test('are there unless they are refused', () => {
    expect(busy(1).processSlot(1).outcomes[0]!.logs.length).toBeGreaterThan(0);
  });
});

test.each([
  [true, 1],
  [false, 1],
  [true, 2],
])('both executors do the same (logs: %s, workers: %i)', (logs, workers) => {
  const [lean, stock, other] = [{ executor: 'lean' as const }, { executor: 'stock' as const }, {}].map((options) =>
    busy(30, { logs, workers, ...options }),
  );
  for (let slot = 1; slot <= 3; slot++) {
    const expected = lean!.processSlot(slot);
    expect(stock!.processSlot(slot)).toEqual(expected);
    expect(other!.processSlot(slot)).toEqual(expected);
  }
});

test('what is asked while a slot is asked for does not spoil it', () => {
  const engine = busy(1);
  const inner: SlotReport[] = [];
  const options = {
    get unixTimestamp() {
      inner.push(engine.processSlot(5, { unixTimestamp: 50 }));
      return 70;
    },
  };
  const outer = engine.processSlot(7, options);
  expect([inner[0]!.slot, outer.slot]).toEqual([5n, 7n]);
  expect([inner[0]!, outer].map(({ outcomes }) => outcomes.length)).toEqual([1, 1]);
  expect(Buffer.from(engine.getAccount('SysvarC1ock11111111111111111111111111111111')!.data).readBigInt64LE(32)).toBe(70n);
});

test('a refused slot leaves the reports before it, and the next slot, as they are', () => {
  const [engine, twin] = [busy(3), busy(3)];
  const first = engine.processSlot(1);
  for (const slot of [1, 0, 1n]) expect(() => engine.processSlot(slot)).toThrow(expect.objectContaining({ codeName: 'INVALID_SLOT' }));
  expect(() => engine.processSlot(2, { unixTimestamp: 2n ** 62n })).toThrow(expect.objectContaining({ codeName: 'INVALID_ARGUMENT' }));
  const second = engine.processSlot(2);
  expect([first, second]).toEqual([twin.processSlot(1), twin.processSlot(2)]);
});

test('an addon that is called with something else refuses it', () => {
  const of = (...values: unknown[]) => {
    expect(addon.processSlot(...values)).toBeUndefined();
    const reply = addon.takeReply();
    return [reply[0], Buffer.from(reply.slice(5)).toString()];
  };
  const transferred = new ArrayBuffer(1024);
  structuredClone(transferred, { transfer: [transferred] });
  const memory = [ErrorCode.INVALID_ARGUMENT, 'memory must be an ArrayBuffer of at least 72 bytes'];
  const others = [undefined, null, 5, 'x', {}, new Uint8Array(1024), new SharedArrayBuffer(1024), new ArrayBuffer(71), transferred];
  for (const value of others) expect(of(1, value)).toEqual(memory);
  expect(of()).toEqual(memory);
  const closed = [ErrorCode.SHUTDOWN, expect.stringContaining('closed')];
  for (const handle of [0, 1_000_000, -1, 2 ** 32 - 1, undefined, '1']) expect(of(handle, new ArrayBuffer(1024))).toEqual(closed);
});

test('a thread has engines of its own, whose reports are as here', async () => {
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { AsyncBpfEngine } = require(workerData.package);
    const engine = new AsyncBpfEngine({ workers: 1, logs: false });
    engine.addProgram(workerData.program, require('node:fs').readFileSync(workerData.elf));
    const batch = engine.accountBatch({ capacity: 1, dataLength: 4 });
    batch.set(0, { address: workerData.account, lamports: 5, data: Uint8Array.of(1, 2, 3, 4) });
    batch.submit();
    engine.tasks.submit({ programId: workerData.program });
    const reports = [1, 2].map((slot) => engine.processSlot(slot));
    parentPort.postMessage(reports);`;
  const elf = join(__dirname, '../programs/prebuilt/conformance.so');
  const workerData = { package: join(__dirname, '../dist/index.js'), elf, program: addressBytes('program'), account: addressBytes('a') };
  const worker = new Worker(source, { eval: true, workerData });
  const reports = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));

  const engine = createEngine({ program: 'conformance' }, { logs: false });
  engine.updateAccounts([{ address: address('a'), lamports: 5, data: Uint8Array.of(1, 2, 3, 4) }]);
  engine.tasks.submit({ programId: PROGRAM });
  expect(reports).toEqual([engine.processSlot(1), engine.processSlot(2)]);
});

test('reports that nobody looks at are freed, with their memory', () => {
  const script = `
    const { AsyncBpfEngine } = require(process.argv[1]);
    const engine = new AsyncBpfEngine({ workers: 1 });
    engine.addProgram(new Uint8Array(32).fill(1), require('node:fs').readFileSync(process.argv[2]));
    engine.timers.createPeriodic({ programId: new Uint8Array(32).fill(1), startSlot: 1, periodSlots: 1 });
    const slots = (count) => { for (let n = 0; n < count; n++) engine.processSlot(engine.slot + 1n); };
    const resident = () => (gc(), process.memoryUsage().rss);
    slots(20_000);
    const before = resident();
    slots(60_000);
    console.log((resident() - before) / 1e6);`;
  const paths = [join(__dirname, '../dist/index.js'), join(__dirname, '../programs/prebuilt/conformance.so')];
  const megabytes = Number(execFileSync(process.execPath, ['--expose-gc', '-e', script, ...paths], { encoding: 'utf8' }));
  expect(megabytes).toBeLessThan(40);
});
