/** The stream of events: what it says, what becomes of a slow reader, and how it ends. */

import { execFileSync } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import type { AsyncBpfEngine, EngineEvent, EngineEvents, EventView, SlotReport } from '../dist/index.js';
import { address } from './support/addresses.js';
import { createEngine } from './support/engine.js';

const PROGRAM = address('faulty');
const refused = (codeName: string) => expect.objectContaining({ codeName });

/** An engine with `count` timers for each of the slots 2 to 50; the program needs an account and fails without. */
function busy(count = 1): AsyncBpfEngine {
  const engine = createEngine({ faulty: 'counter', doomed: 'counter' }, { limits: { maxTimersPerProgram: 64 } });
  for (let n = 0; n < count; n++) {
    engine.timers.createPeriodic({ programId: PROGRAM, startSlot: 2, periodSlots: 1, computeBudget: 10_000 });
  }
  return engine;
}

/** What the stream must say of a slot. */
function expected(report: SlotReport): EngineEvent[] {
  const { slot, timersFired, watchersTriggered, tasksQueued, unitsConsumed, stateHash } = report;
  const outcomes = report.outcomes.map(({ logs, returnData, stagedCodes, ...told }): EngineEvent => ({ type: 'outcome', slot, ...told }));
  return [...outcomes, { type: 'slot', slot, timersFired, watchersTriggered, tasksQueued, unitsConsumed, stateHash }];
}

async function take(events: AsyncIterator<EngineEvent, undefined>, count: number): Promise<EngineEvent[]> {
  const taken: EngineEvent[] = [];
  while (taken.length < count) taken.push((await events.next()).value!);
  return taken;
}

const DONE = { done: true, value: undefined };

describe('what it says', () => {
  test('each outcome of a slot, and then the slot, as in the report', async () => {
    const engine = busy(3);
    void engine.tasks.submit({ programId: address('doomed') });
    engine.removeProgram(address('doomed'));
    const events = engine.events();
    const reports = [1, 2, 3].map((slot) => engine.processSlot(slot));
    const wanted = reports.flatMap(expected);
    expect(reports.map(({ outcomes }) => outcomes.length)).toEqual([1, 3, 3]);
    expect(await take(events, wanted.length)).toEqual(wanted);
    expect(wanted.some((event) => event.type === 'outcome' && event.error !== undefined)).toBe(true);
  });

  test('the same with forEach, which waits for nothing, and as many as are wanted', async () => {
    const engine = busy(3);
    const events = engine.events();
    const reports = [1, 2, 3].map((slot) => engine.processSlot(slot));
    const wanted = reports.flatMap(expected);
    const seen: EngineEvent[] = [];
    const types: string[] = [];
    const each = (event: EventView) => {
      types.push(event.type);
      seen.push(event.read());
    };
    expect(events.forEach(each, 0)).toBe(0);
    expect(events.forEach(each, 2)).toBe(2);
    // One at a time, some are decoded ahead: none is lost between the two ways.
    seen.push(...(await take(events, 1)));
    expect(events.forEach(each, 3)).toBe(3);
    expect(events.forEach(each)).toBe(wanted.length - 6);
    expect(events.forEach(each)).toBe(0);
    expect(seen).toEqual(wanted);
    expect(types).toHaveLength(wanted.length - 1);
    const next = events.next();
    const [first, ...rest] = expected(engine.processSlot(4));
    expect((await next).value).toEqual(first);
    expect(events.forEach(each)).toBe(rest.length);
    expect(seen.slice(wanted.length)).toEqual(rest);
  });

  test('forEach says what was missed, once, and takes what it threw on', () => {
    const engine = busy(40);
    const events = engine.events({ capacity: 4_096 });
    for (let slot = 1; slot <= 20; slot++) engine.processSlot(slot);
    const seen: EngineEvent[] = [];
    expect(() =>
      events.forEach((event) => {
        seen.push(event.read());
        throw new RangeError('enough');
      }),
    ).toThrow('enough');
    const count = events.forEach((event) => void seen.push(event.read()));
    expect(seen).toHaveLength(count + 1);
    const gaps = seen.filter((event) => event.type === 'gap');
    expect(gaps.length).toBeGreaterThan(0);
    const missed = gaps.reduce((sum, gap) => sum + gap.missed, 0n);
    expect(BigInt(seen.length - gaps.length) + missed).toBe(20n + 19n * 40n);
    expect(events.forEach(() => {})).toBe(0);
  });

  test.each<[string, (events: EngineEvents) => unknown, string]>([
    ['each', (events) => events.forEach(5 as never), 'each is 5, but must be a function'],
    ['max', (events) => events.forEach(() => {}, -1), 'max is -1, but must be an integer in [0, 9007199254740991]'],
  ])('forEach with a wrong %s is refused', (_, call, message) => {
    expect(() => call(busy().events())).toThrow(message);
  });

  test('what expires, and what watchers do', async () => {
    const engine = createEngine({ faulty: 'counter' }, { limits: { slotComputeLimit: 100_000 } });
    const account = address('watched');
    engine.watchers.create({ programId: PROGRAM, account, trigger: 0, computeBudget: 100_000 });
    engine.tasks.submit({ programId: PROGRAM, computeBudget: 100_000, priority: 0, deadlineSlot: 1 });
    const events = engine.events();
    engine.setAccount(account, { lamports: 1_000_000_000n });
    const reports = [1, 2].map((slot) => engine.processSlot(slot));
    const wanted = reports.flatMap(expected);
    expect(await take(events, wanted.length)).toEqual(wanted);
    const statuses = wanted.flatMap((event) => (event.type === 'outcome' ? [`${event.source.kind} ${event.status}`] : []));
    expect(statuses).toEqual(['watcher failed', 'task expired']);
  });

  test('it begins when it is asked for, and what happened between the slots is not in it', async () => {
    const engine = busy();
    engine.processSlot(1);
    const events = engine.events();
    engine.invoke({ programId: PROGRAM });
    const report = engine.processSlot(2);
    expect((await take(events, 2)).map(({ type }) => type)).toEqual(['outcome', 'slot']);
    expect(report.outcomes[0]!.source.kind).toBe('timer');
  });

  test('who waits is told in the order of asking, without anything else having to happen', async () => {
    const engine = busy();
    const events = engine.events();
    const asked = [events.next(), events.next(), events.next(), events.next()];
    let told = 0;
    asked.forEach((next) => void next.then(() => told++));
    await turn();
    expect(told).toBe(0);
    const reports = [engine.processSlot(1), engine.processSlot(2)];
    await turn();
    expect(told).toBe(3);
    expect((await Promise.all(asked.slice(0, 3))).map(({ value }) => value)).toEqual(reports.flatMap(expected));
    engine.close();
    expect(await asked[3]).toEqual(DONE);
  });

  test('each listener has all of them, and none changes what the engine does', async () => {
    const [watched, alone] = [busy(2), busy(2)];
    const listeners = [watched.events(), watched.events({ capacity: 4096 })];
    const reports = [1, 2, 3].map((slot) => watched.processSlot(slot));
    expect(reports.map(({ stateHash }) => stateHash)).toEqual([1, 2, 3].map((slot) => alone.processSlot(slot).stateHash));
    const wanted = reports.flatMap(expected);
    for (const events of listeners) expect(await take(events, wanted.length)).toEqual(wanted);
  });
});

test('a capacity that there is no memory for is refused', () => {
  const engine = busy();
  vi.stubGlobal('SharedArrayBuffer', function () {
    throw new RangeError('Array buffer allocation failed');
  });
  try {
    expect(() => engine.events()).toThrow(refused('INVALID_ARGUMENT'));
  } finally {
    vi.unstubAllGlobals();
  }
});

describe('a slow reader', () => {
  test('gets what there was room for, and then how many it has missed', async () => {
    const engine = busy(40);
    const events = engine.events({ capacity: 4096 });
    const wanted = [1, 2, 3, 4].map((slot) => expected(engine.processSlot(slot))).flat();
    const got: EngineEvent[] = [];
    // The gap is there without another slot.
    while (got.filter(({ type }) => type !== 'gap').length + missed(got) < wanted.length) got.push(...(await take(events, 1)));
    const seen = got.findIndex(({ type }) => type === 'gap');
    expect(seen).toBeGreaterThan(10);
    expect(got.slice(0, seen)).toEqual(wanted.slice(0, seen));
    const late = expected(engine.processSlot(5));
    expect(await take(events, 1)).toEqual(late.slice(0, 1));
  });

  test('has every event or knows that it has missed it, whenever it reads', async () => {
    const engine = busy(9);
    const events = engine.events({ capacity: 4097 });
    const all: EngineEvent[] = [];
    const got: EngineEvent[] = [];
    for (let slot = 1; slot <= 49; slot++) {
      all.push(...expected(engine.processSlot(slot)));
      const reads = slot % 7 === 0 ? 60 : slot % 3;
      for (let n = 0; n < reads && got.filter(({ type }) => type !== 'gap').length + missed(got) < all.length; n++) {
        got.push((await events.next()).value!);
      }
    }
    engine.close();
    for await (const event of events) got.push(event);
    let at = 0;
    for (const event of got) {
      if (event.type === 'gap') at += Number(event.missed);
      else expect(event).toEqual(all[at++]);
    }
    expect(at).toBe(all.length);
    expect(missed(got)).toBeGreaterThan(0);
  });

  const missed = (events: EngineEvent[]) => events.reduce((sum, event) => sum + (event.type === 'gap' ? Number(event.missed) : 0), 0);
});

describe('the end', () => {
  test('comes when the signal aborts, also for who waits', async () => {
    const engine = busy();
    const controller = new AbortController();
    const events = engine.events({ signal: controller.signal });
    engine.processSlot(1);
    expect((await events.next()).value).toMatchObject({ type: 'slot', slot: 1n });
    const next = events.next();
    controller.abort();
    expect(await next).toEqual(DONE);
    engine.processSlot(2);
    expect(await events.next()).toEqual(DONE);
  });

  test('comes at once when the signal has aborted before', async () => {
    const engine = busy();
    const events = engine.events({ signal: AbortSignal.abort() });
    engine.processSlot(1);
    expect(await events.next()).toEqual(DONE);
  });

  test('comes to any number of streams of one signal, of which Node does not warn', async () => {
    const engine = busy();
    const controller = new AbortController();
    const warned = vi.fn();
    process.on('warning', warned);
    const streams = Array.from({ length: 20 }, () => engine.events({ signal: controller.signal }));
    await streams.pop()!.return!();
    await turn();
    process.off('warning', warned);
    expect(warned).not.toHaveBeenCalled();
    const asked = streams.map((events) => events.next());
    controller.abort();
    for (const next of asked) expect(await next).toEqual(DONE);
  });

  test('leaves no listener on the signal, whichever way it comes', async () => {
    const engine = busy();
    const { signal } = new AbortController();
    const [one, other] = [engine.events({ signal }), engine.events({ signal })];
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await one.return!();
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    engine.close();
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    expect(await other.next()).toEqual(DONE);
  });

  test('comes when the loop is left; other listeners go on', async () => {
    const engine = busy();
    const [left, other] = [engine.events(), engine.events()];
    engine.processSlot(1);
    for await (const event of left) {
      expect(event.type).toBe('slot');
      break;
    }
    expect(await left.next()).toEqual(DONE);
    expect(await left.return!()).toEqual(DONE);
    engine.processSlot(2);
    expect((await take(other, 3)).map(({ type }) => type)).toEqual(['slot', 'outcome', 'slot']);
  });

  test('comes when the engine is closed, after what happened before', async () => {
    const engine = busy();
    const events = engine.events();
    const wanted = [1, 2].map((slot) => expected(engine.processSlot(slot))).flat();
    engine.close();
    const got: EngineEvent[] = [];
    for await (const event of events) got.push(event);
    expect(got).toEqual(wanted);
    expect(() => engine.events()).toThrow(refused('SHUTDOWN'));
  });
});

/** Makes streams of which some are dropped, in a process that can collect garbage; says of each whether its memory is still there. */
const DROPPED = `
  const { AsyncBpfEngine } = require(process.argv[1]);
  const { setTimeout: sleep } = require('node:timers/promises');
  const memories = [];
  globalThis.SharedArrayBuffer = new Proxy(SharedArrayBuffer, {
    construct(target, [length]) {
      const memory = new target(length);
      memories.push(new WeakRef(memory));
      return memory;
    },
  });
  (async () => {
    const engine = new AsyncBpfEngine({ workers: 1 });
    let read = 0;
    const kept = engine.events();
    engine.events();
    engine.events({ signal: new AbortController().signal });
    const next = engine.events().next();
    (async () => { for await (const event of engine.events()) read++; })();
    for (let turn = 0; turn < 50 && memories.some((memory, n) => (n === 1 || n === 2) && memory.deref()); turn++) {
      await sleep(10);
      gc();
    }
    const there = memories.map((memory) => memory.deref() !== undefined);
    engine.processSlot(1);
    console.log(JSON.stringify({ there, kept: (await kept.next()).value.type, next: (await next).value.type, read }));
    engine.close();
  })();
`;

test('a stream that nobody has any more is ended; one that somebody reads or waits for is not', () => {
  const args = ['--expose-gc', '-e', DROPPED, join(__dirname, '../dist/index.js')];
  expect(JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))).toEqual({
    there: [true, false, false, true, true],
    kept: 'slot',
    next: 'slot',
    read: 1,
  });
});
