/** What goes from one thread to another, and threads that end while they are at work. */

import { once } from 'node:events';
import { join } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AsyncBpfEngine, Priority, type EngineEvent } from '../dist/index.js';
import { address, addressBytes } from './support/addresses.js';
import { End, script } from './support/conformance.js';
import { createEngine, prebuilt } from './support/engine.js';

const PROGRAM = address('program');
const RETURNS = script([['sol_get_slot']]);

/** Everything that an engine gives out as data, from one that has committed, failed, expired and missed something. */
async function givenOut(): Promise<[string, unknown][]> {
  const engine = createEngine({ program: 'conformance' }, { limits: { slotComputeLimit: 50_000 } });
  const callback = { programId: PROGRAM, data: RETURNS, computeBudget: 20_000 };
  const stream = engine.events({ capacity: 4096 });
  const timer = engine.timers.createPeriodic({ ...callback, startSlot: 1, periodSlots: 1 });
  const watcher = engine.watchers.create({ ...callback, account: address('watched'), trigger: 6, pattern: Uint8Array.of(1, 2) });
  const ring = engine.rings.create({ programId: PROGRAM, reader: 'host' });
  for (let n = 0; n < 3; n++) engine.rings.push(ring, Uint8Array.of(n, n));
  engine.setAccount(address('watched'), { lamports: 1, data: Uint8Array.of(1, 2) });
  const handle = engine.tasks.submit(callback);
  engine.tasks.submit({ ...callback, data: script([['log', Uint8Array.of(65)]], End.FAIL) });
  engine.tasks.submit({ ...callback, computeBudget: 50_000, priority: Priority.LOW, deadlineSlot: 1 });
  const [unread, report] = [engine.processSlot(1), engine.processSlot(2)];
  const { outcomes } = report;
  for (let slot = 3; slot < 100; slot++) engine.processSlot(slot);
  const all: [string, unknown][] = [
    ['a report that nobody has looked at', unread],
    ['a report', report],
    ['outcomes', outcomes],
    ['the outcome of a task', await handle.outcome],
    ['the outcome of an invocation', engine.invoke(callback)],
    ['an account', engine.getAccount(address('watched'))],
    ['a timer', engine.timers.get(timer)],
    ['timers', engine.timers.list(PROGRAM)],
    ['a watcher', engine.watchers.get(watcher)],
    ['a ring', engine.rings.get(ring)],
    ['what is first in a ring', engine.rings.peek(ring)],
    ['what was first in a ring', engine.rings.pop(ring)],
    ['entries of a ring', engine.rings.drain(ring)],
    ['counts', engine.stats()],
    ['the slot', engine.slot],
    ['the state hash', engine.stateHash()],
  ];
  engine.close();
  const events: EngineEvent[] = [];
  for await (const event of stream) events.push(event);
  expect(new Set(events.map(({ type }) => type))).toEqual(new Set(['outcome', 'slot', 'gap']));
  return [...all, ['events', events]];
}

/** Every array of bytes in a value. */
function bytesIn(value: unknown): Uint8Array[] {
  if (value instanceof Uint8Array) return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(bytesIn) : [];
}

describe('what an engine gives out', () => {
  test('is copied from thread to thread', async () => {
    const source = `const { parentPort } = require('node:worker_threads'); parentPort.on('message', (value) => parentPort.postMessage(value));`;
    const echo = new Worker(source, { eval: true });
    onTestFinished(() => void echo.terminate());
    const twins = await givenOut();
    for (const [index, [name, value]] of (await givenOut()).entries()) {
      echo.postMessage(value);
      const [copy] = (await once(echo, 'message')) as [unknown];
      expect([name, copy]).toEqual(twins[index]);
      expect([name, structuredClone(value)]).toEqual(twins[index]);
    }
  });

  test('has bytes of its own, which can be transferred, and nothing else goes with them', async () => {
    const bytes = new Set((await givenOut()).flatMap(([, value]) => bytesIn(value)));
    expect(bytes.size).toBeGreaterThan(10);
    for (const each of bytes) {
      expect([each.buffer.byteLength, each.byteOffset]).toEqual([each.length, 0]);
      const text = `${each}`;
      expect(`${structuredClone(each, { transfer: [each.buffer as ArrayBuffer] })}`).toBe(text);
    }
  });
});

test('values of another vm context are as good as those of this', () => {
  const [engine, twin] = [createEngine({ program: 'conformance' }), createEngine({ program: 'conformance' })];
  const play = (on: AsyncBpfEngine, bytes: (values: Iterable<number>) => Uint8Array, account: (fields: object) => object) => {
    const programId = bytes(addressBytes('program'));
    on.addProgram(bytes(addressBytes('other')), prebuilt('counter'));
    on.setAccount({ toBytes: () => bytes(addressBytes('a')) }, account({ lamports: 5, data: bytes([1, 2, 3]) }) as { lamports: number });
    const ring = on.rings.create({ programId });
    on.rings.push(ring, bytes([4, 5]));
    const batch = on.accountBatch({ capacity: 1, dataLength: 2 });
    batch.set(0, { address: bytes(addressBytes('b')), lamports: 1, data: bytes([6, 7]) });
    batch.submit();
    on.tasks.submit({ programId, data: bytes(RETURNS) });
    return [on.processSlot(1), on.getAccount(address('a')), on.getAccount(address('b')), on.rings.pop(ring)];
  };
  const context = createContext();
  const foreign = {
    bytes: runInContext('(values) => Uint8Array.from(values)', context) as (values: Iterable<number>) => Uint8Array,
    account: runInContext('(fields) => Object.assign({}, fields)', context) as (fields: object) => object,
  };
  expect(foreign.bytes([1])).not.toBeInstanceOf(Uint8Array);
  const here = play(
    twin,
    (values) => Uint8Array.from(values),
    (fields) => ({ ...fields }),
  );
  expect(play(engine, foreign.bytes, foreign.account)).toEqual(here);
  const empty = runInContext('new Uint16Array(32)', context) as Uint8Array;
  expect(() => engine.removeProgram(empty)).toThrow(/^address is an object, but must be an address/);
  expect(() => engine.removeProgram(foreign.bytes([1, 2]))).toThrow(/^address is 2 bytes, but must be an address/);
});

describe('a thread that is terminated', () => {
  const BUSY = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { AsyncBpfEngine } = require(workerData.package);
    const { words, program, elf, data, workers, method } = workerData;
    const engine = new AsyncBpfEngine({ workers, limits: { slotComputeLimit: 1e12, maxTimersPerProgram: 1000 } });
    engine.addProgram(program, elf);
    engine.events();
    engine.rings.create({ programId: program, reader: 'host' });
    for (let n = 0; n < 500; n++) {
      engine.timers.createPeriodic({ programId: program, data, startSlot: 1, periodSlots: 1, computeBudget: 1_000_000 });
    }
    (async () => {
      for (let slot = 1; ; slot++) {
        Atomics.store(words, 0, slot);
        parentPort.postMessage('begins');
        await engine[method](slot);
        Atomics.store(words, 1, slot);
      }
    })();`;

  test.each([
    ['processSlot', 1],
    ['processSlot', 2],
    ['processSlotAsync', 1],
    ['processSlotAsync', 2],
  ])('in %s ends with its engine, which has %i workers; other engines go on', async (method, workers) => {
    const engine = createEngine({ program: 'conformance' }, { workers });
    for (let n = 0; n < 3; n++) {
      const words = new Int32Array(new SharedArrayBuffer(8));
      const workerData = {
        ...{ package: join(__dirname, '../dist/index.js'), program: addressBytes('program'), elf: prebuilt('conformance') },
        ...{ data: Uint8Array.of(End.LOOP), words, workers, method },
      };
      const worker = new Worker(BUSY, { eval: true, workerData });
      await once(worker, 'message');
      // A slot is so long that it is still running.
      expect([await worker.terminate(), Atomics.load(words, 0) - Atomics.load(words, 1)]).toEqual([1, 1]);
      engine.tasks.submit({ programId: PROGRAM, data: RETURNS });
      expect(engine.processSlot(engine.slot + 1n).outcomes.map(({ status }) => status)).toEqual(['committed']);
    }
  });
});
