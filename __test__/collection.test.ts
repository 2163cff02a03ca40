/** Garbage is collected at every moment at which it can be, and shared memory lives as long as somebody uses it. */

import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AsyncBpfEngine, ErrorCode, RingState, type AddressLike, type EngineEvent, type SlotReport } from '../dist/index.js';
import { ringMemoryLength } from '../dist/shared-ring.js';
import { MemoryRequest, Writer } from '../dist/wire.js';
import { address, addressBytes } from './support/addresses.js';
import { End, script } from './support/conformance.js';
import { createEngine, prebuilt } from './support/engine.js';
import { collect, gc } from './support/gc.js';

const PROGRAM = address('program');
const LIMITS = { maxTimersPerProgram: 100, maxWatchersPerProgram: 100 };

interface Addon {
  close(handle: number): boolean;
  TESTING_lastHandle(): number;
  callWithMemory(handle: number, request: Uint8Array, memory: Uint8Array): Uint8Array;
}
const { addon } = createRequire(__filename)('../dist/native.js') as { addon: Addon };

describe('garbage collection', () => {
  const SLOTS = 12;
  const ROWS = 8;

  /** What a host sees of an engine that is busy in many ways. `pause` is called wherever JavaScript of the host runs. */
  async function play(pause: () => void) {
    const engine = createEngine({ program: 'conformance' }, { workers: 2, limits: LIMITS });
    const pausing = <T>(value: T): T => (pause(), value);
    const program: AddressLike = { toBytes: () => pausing(addressBytes('program')) };
    const ring = engine.rings.create({ programId: program, size: 4096, reader: 'host' });
    const push = script([['sol_ring_buffer_push', ring, new Uint8Array(20).fill(7)]]);
    for (let n = 0; n < 10; n++) engine.timers.createPeriodic({ programId: program, data: push, startSlot: 1, periodSlots: 1 });
    const batch = engine.accountBatch({ capacity: ROWS, dataLength: 16 });
    for (let row = 0; row < ROWS; row++) {
      const account = address(`row ${row}`);
      batch.set(row, { address: { toBytes: () => pausing(addressBytes(`row ${row}`)) }, lamports: 1, data: new Uint8Array(16) });
      engine.watchers.create({
        programId: program,
        account,
        trigger: 0,
        data: script([['log', new Uint8Array(9)]], row % 3 ? End.SUCCEED : End.FAIL),
      });
    }
    function* accounts() {
      for (const name of ['a', 'b']) yield { address: pausing(address(name)), isWritable: false };
    }
    const stream = engine.events();
    const [reports, outcomes, seen]: [SlotReport[], unknown[], unknown[]] = [[], [], []];
    for (let slot = 1; slot <= SLOTS; slot++) {
      batch.data.fill(slot);
      batch.submit(pausing(ROWS));
      engine.updateAccounts([{ address: program.toBytes().fill(9), lamports: pausing(slot) }]);
      engine.rings.push(ring, pausing(new Uint8Array(slot).fill(slot)));
      const handles = [0, 1].map(() => engine.tasks.submit({ programId: program, accounts: accounts(), data: script([['sol_get_slot']]) }));
      outcomes.push(handles[0]!.outcome);
      pause();
      const report = engine.processSlot(slot, {
        get unixTimestamp() {
          return pausing(slot * 10);
        },
      });
      pause();
      outcomes.push(handles[1]!.outcome, engine.invoke({ programId: program, data: script([['sol_get_slot']]) }));
      reports.push(report);
      if (slot % 2) seen.push(...engine.rings.drain(ring));
      else engine.rings.forEach(ring, (entry) => seen.push([entry.sequence, pausing(entry.slot), entry.data]));
    }
    engine.close();
    pause();
    const events: EngineEvent[] = [];
    for await (const event of stream) events.push(pausing(event));
    return { reports: reports.map((report) => ({ ...pausing(report) })), outcomes: await Promise.all(outcomes), seen, events };
  }

  test('between and within calls, with reports, tasks, batches, rings and streams alive, changes nothing', async () => {
    const expected = await play(() => {});
    expect(expected.reports.at(-1)!.outcomes.length).toBe(10 + ROWS + 2);
    expect([expected.seen.length, expected.events.length]).toEqual([SLOTS * 11, SLOTS * (10 + ROWS + 2 + 1)]);
    let pauses = 0;
    expect(await play(() => (pauses++ % 16 === 0 ? gc() : gc({ type: 'minor' })))).toEqual(expected);
    expect(pauses).toBeGreaterThan(500);
  });

  test('goes on by itself while slots are processed, too', () => {
    // V8 collects again and again as memory is asked for, and marks and sweeps in its own threads meanwhile.
    const flags = ['--max-semi-space-size=1', '--stress-scavenge=20', '--stress-marking=20'];
    const source = `
      const { AsyncBpfEngine } = require(process.argv[1]);
      const programId = new Uint8Array(32).fill(1);
      const engine = new AsyncBpfEngine({ workers: 2, limits: { maxTimersPerProgram: 500 } });
      engine.addProgram(programId, require('node:fs').readFileSync(process.argv[2]));
      for (let n = 0; n < 200; n++) engine.timers.createPeriodic({ programId, startSlot: 1, periodSlots: 1, computeBudget: 1000 });
      const stream = engine.events({ capacity: 2 ** 16 });
      let [outcomes, events] = [0, 0];
      (async () => {
        const reports = [];
        for (let slot = 1; slot <= 30; slot++) {
          reports.push(engine.processSlot(slot));
          if (slot % 10 === 0) for (const report of reports.splice(0)) outcomes += report.outcomes.filter(({ status }) => status === 'failed').length;
        }
        engine.close();
        for await (const event of stream) events += event.type === 'gap' ? Number(event.missed) : 1;
        console.log(outcomes, events);
      })();`;
    const paths = ['../dist/index.js', '../programs/prebuilt/counter.so'].map((path) => join(__dirname, path));
    expect(execFileSync(process.execPath, [...flags, '-e', source, ...paths], { encoding: 'utf8' })).toBe(`${30 * 200} ${30 * 201}\n`);
  });
});

describe('shared memory that the engine writes', () => {
  /** That of the streams and rings of a test, in the order in which the engine got it. */
  let memories: WeakRef<ArrayBufferLike>[];
  const { callWithMemory } = addon;
  beforeAll(() => {
    addon.callWithMemory = (handle, request, memory) => {
      memories.push(new WeakRef(memory.buffer));
      return callWithMemory(handle, request, memory);
    };
  });
  afterAll(() => {
    addon.callWithMemory = callWithMemory;
  });

  const isThere = async () => (await collect(), memories[0]!.deref() !== undefined);

  /** Slots in which entries are pushed and events are written, whether somebody reads them or not. */
  function write(engine: AsyncBpfEngine, ring?: bigint) {
    for (let n = 0; n < 30; n++) {
      if (ring !== undefined) engine.rings.push(ring, new Uint8Array(8));
      engine.processSlot(engine.slot + 1n);
      if (n % 10 === 0) gc();
    }
  }

  const busy = () => {
    memories = [];
    const engine = createEngine({ program: 'conformance' }, { limits: LIMITS });
    engine.timers.createPeriodic({ programId: PROGRAM, startSlot: 1, periodSlots: 1 });
    return engine;
  };

  /** Ways to stop reading events; each is given a stream and who can abort it. */
  const ENDS: [string, (stream: AsyncIterableIterator<EngineEvent>, abort: () => void, engine: AsyncBpfEngine) => unknown][] = [
    ['that is returned', (stream) => stream.return!()],
    [
      'that its loop leaves',
      async (stream) => {
        for await (const event of stream) if (event) break;
      },
    ],
    ['that is aborted', (_, abort) => abort()],
    [
      'that its reader aborts',
      async (stream, abort) => {
        const read = (async () => {
          for await (const event of stream) if (event.type === 'slot') abort();
        })();
        await read;
      },
    ],
    ['whose engine is closed', (_stream, _abort, engine) => engine.close()],
  ];

  test.each(ENDS)('of a stream %s goes, and the engine goes on', async (_, end) => {
    const engine = busy();
    const aborter = new AbortController();
    // The stream in a scope of its own, which ends.
    await (async () => {
      const stream = engine.events({ signal: aborter.signal });
      write(engine);
      expect(await isThere()).toBe(true);
      await end(stream, () => aborter.abort(), engine);
    })();
    expect(await isThere()).toBe(false);
    const other = busy();
    write(other);
    expect(other.stats().tasksFailed + other.stats().tasksCompleted).toBe(30n);
  });

  test('of a stream that nobody holds goes, and that of one that somebody waits for stays', async () => {
    const engine = busy();
    engine.events();
    expect(await isThere()).toBe(false);
    const waiting = busy();
    const next = waiting.events().next();
    expect(await isThere()).toBe(true);
    write(waiting);
    expect((await next).value).toMatchObject({ type: 'outcome', slot: 1n });
    expect(await isThere()).toBe(false);
    write(engine);
  });

  /** Ways to lose a ring. */
  const LOSSES: [string, (engine: AsyncBpfEngine, ring: bigint) => unknown][] = [
    ['whose engine is closed', (engine) => engine.close()],
    ['that the host destroys', (engine, ring) => engine.rings.destroy(ring)],
    [
      'that its program destroys',
      (engine, ring) => {
        engine.syscalls(PROGRAM).sol_ring_buffer_destroy(ring);
        // Others that are made look for those that are gone.
        engine.rings.create({ programId: PROGRAM, reader: 'host' });
      },
    ],
    [
      'that its program destroys, and that is then asked for',
      (engine, ring) => {
        engine.syscalls(PROGRAM).sol_ring_buffer_destroy(ring);
        expect(() => engine.rings.pop(ring)).toThrow(expect.objectContaining({ codeName: 'INVALID_BUFFER' }));
      },
    ],
  ];

  test.each(LOSSES)('of a ring %s goes', async (_, lose) => {
    const engine = busy();
    const ring = engine.rings.create({ programId: PROGRAM, reader: 'host' });
    write(engine, ring);
    engine.rings.setState(ring, RingState.CLOSED);
    expect(engine.rings.drain(ring, 10).length).toBe(10);
    expect(await isThere()).toBe(true);
    lose(engine, ring);
    expect(await isThere()).toBe(false);
  });

  test('that nobody in JavaScript holds is kept while the engine writes it', async () => {
    const engine = busy();
    (() => {
      const memory = new Uint8Array(new SharedArrayBuffer(ringMemoryLength(4096)));
      const request = Writer.request(MemoryRequest.Listen).u32(4096).finish();
      expect(addon.callWithMemory(addon.TESTING_lastHandle(), request, memory)[0]).toBe(ErrorCode.SUCCESS);
    })();
    expect(await isThere()).toBe(true);
    write(engine);
    expect(await isThere()).toBe(true);
    engine.close();
    expect(await isThere()).toBe(false);
  });
});

test('an engine that nobody holds is closed', async () => {
  const handle = (() => {
    const engine = new AsyncBpfEngine({ workers: 2 });
    engine.addProgram(PROGRAM, prebuilt('counter'));
    engine.events();
    engine.rings.create({ programId: PROGRAM, reader: 'host' });
    engine.tasks.submit({ programId: PROGRAM });
    engine.processSlot(1);
    return addon.TESTING_lastHandle();
  })();
  await collect();
  // It says whether there was one.
  expect(addon.close(handle)).toBe(false);
});
