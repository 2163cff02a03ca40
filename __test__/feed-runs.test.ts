/** A feed that runs: its sources, how a run ends, and what was recorded is repeated. */

import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import type { AsyncBpfEngine, SlotReport } from '../dist/index.js';
import { convert, Feed, fromYellowstone, readRecording, replay, type FeedMessage, type FeedOptions } from '../dist/feed/index.js';
import { address } from './support/addresses.js';
import { readU64, u64 } from './support/bytes.js';
import { accountUpdate, blockMetaUpdate, OTHER_UPDATES, SlotStatus, slotUpdate, type SubscribeUpdate } from './support/cluster.js';
import { createEngine } from './support/engine.js';

const PROGRAM = address('program');
const COUNTER = address('counter');

/** An engine whose program counts slots. */
function counting(file = 'counter'): AsyncBpfEngine {
  const engine = createEngine({ program: file });
  engine.setAccount(COUNTER, { lamports: 1_000_000_000n, data: new Uint8Array(64), owner: PROGRAM });
  const callback = { programId: PROGRAM, accounts: [{ address: COUNTER, isWritable: true }] };
  engine.timers.createPeriodic({ ...callback, startSlot: 1, periodSlots: 1 });
  return engine;
}

function setUp(options: FeedOptions = {}) {
  const engine = counting();
  const feed = new Feed(engine, options);
  onTestFinished(() => feed.close());
  return { engine, feed };
}

const confirmed = (slot: bigint | number): FeedMessage => ({ type: 'slot', slot, status: 'confirmed' });
const slotsOf = (reports: SlotReport[]) => reports.map(({ slot }) => Number(slot));

/** What Yellowstone says of some slots, with a fork, and pings. */
function updates(count: number, from = 1): SubscribeUpdate[] {
  return Array.from({ length: count }, (_, index) => BigInt(from + index)).flatMap((slot) => [
    slotUpdate(slot, SlotStatus.SLOT_CREATED_BANK, slot - 1n),
    accountUpdate(slot, { name: 'a', data: u64(slot) }, slot * 10n),
    accountUpdate(slot, slot % 3n === 0n ? { name: 'b' } : { name: 'b', data: u64(slot, slot) }, slot * 10n + 1n),
    ...OTHER_UPDATES.slice(0, 5),
    blockMetaUpdate(slot, slot - 1n, 1_760_000_000n + slot),
    slotUpdate(slot, SlotStatus.SLOT_PROCESSED, slot - 1n),
    ...(slot % 2n === 0n ? [slotUpdate(slot, SlotStatus.SLOT_CONFIRMED)] : []),
  ]);
}

/** A source that a test gives messages to, and that tells what was done to it. */
function manual<T = FeedMessage>() {
  const queue: IteratorResult<T>[] = [];
  const asking: ((result: Promise<IteratorResult<T>>) => void)[] = [];
  const state = { asked: 0, returned: 0 };
  const put = (result: Promise<IteratorResult<T>>) => asking.shift()!(result);
  return {
    state,
    give: (value: T) => put(Promise.resolve({ done: false, value })),
    end: () => put(Promise.resolve({ done: true, value: undefined })),
    fail: (error: unknown) => put(Promise.reject(error)),
    source: {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          state.asked++;
          return queue.length > 0 ? Promise.resolve(queue.shift()!) : new Promise<IteratorResult<T>>((resolve) => asking.push(resolve));
        },
        return: () => {
          state.returned++;
          // As an async generator does that waits for something.
          return new Promise<never>(() => {});
        },
      }),
    },
  };
}

describe('a run', () => {
  test('takes a stream of a client, and tells of each slot', async () => {
    const { engine, feed } = setUp();
    const reports: SlotReport[] = [];
    await feed.run(convert(Readable.from(updates(4)), fromYellowstone), { onSlot: (report) => void reports.push(report) });
    expect(slotsOf(reports)).toEqual([1, 2, 3, 4]);
    expect(Number(readU64(engine.getAccount(address('a'))!.data))).toBe(4);
    expect(feed.stats).toMatchObject({ slotsProcessed: 4, accountsApplied: 8 });
  });

  test('takes single messages as well as several', async () => {
    const { engine, feed } = setUp();
    async function* source() {
      yield confirmed(1);
      yield [confirmed(2), confirmed(3)];
    }
    await feed.run(source());
    expect(engine.slot).toBe(3n);
  });

  test('of several sources ends when all have ended', async () => {
    const { engine, feed } = setUp();
    const [one, other] = [manual(), manual()];
    let isOver = false;
    const run = feed.run([one.source, other.source]).then(() => (isOver = true));
    one.give(confirmed(1));
    await turn();
    one.end();
    other.give(confirmed(2));
    await turn();
    expect([engine.slot, isOver]).toEqual([2n, false]);
    other.end();
    await run;
  });

  test('of no source is over at once', async () => {
    await setUp().feed.run([]);
  });

  test('asks no source for more while somebody is told of a slot', async () => {
    const { feed } = setUp();
    const { source, give, end, state } = manual();
    const told: number[] = [];
    let goOn = () => {};
    const run = feed.run(source, {
      onSlot: ({ slot }) => {
        told.push(Number(slot));
        return new Promise((resolve) => (goOn = resolve));
      },
    });
    give(confirmed(1));
    await turn();
    expect([told, state.asked]).toEqual([[1], 1]);
    goOn();
    await turn();
    expect(state.asked).toBe(2);
    end();
    await run;
  });

  test('processes a slot only when the one before was told, also where one message makes both ready', async () => {
    const { engine, feed } = setUp();
    const seen: [bigint, bigint][] = [];
    async function* source() {
      yield [
        { type: 'slot', slot: 1, status: 'created' },
        { type: 'slot', slot: 2, parent: 1, status: 'confirmed' },
      ] as FeedMessage[];
    }
    await feed.run(source(), {
      onSlot: async ({ slot }) => {
        await turn();
        seen.push([slot, engine.slot]);
      },
    });
    expect(seen).toEqual([
      [1n, 1n],
      [2n, 2n],
    ]);
  });

  test('tells of one slot at a time, whichever source it came from', async () => {
    const { feed } = setUp();
    let isTelling = false;
    const run = async function* (...slots: number[]) {
      for (const slot of slots) yield confirmed(slot);
    };
    const told: number[] = [];
    await feed.run([run(1, 3, 5), run(2, 4, 6)], {
      onSlot: async ({ slot }) => {
        expect(isTelling).toBe(false);
        isTelling = true;
        await turn();
        isTelling = false;
        told.push(Number(slot));
      },
    });
    expect(told).toEqual([...told].sort());
    expect(told.at(-1)).toBe(6);
  });

  test.each([['a source'], ['onSlot'], ['a message']])('throws what %s throws, and closes the sources', async (what) => {
    const { feed } = setUp({ maxPendingSlots: 1 });
    const [one, other] = [manual(), manual()];
    const failure = new Error('connection lost');
    const run = feed.run([one.source, other.source], {
      onSlot: () => {
        throw failure;
      },
    });
    if (what === 'a source') one.fail(failure);
    if (what === 'onSlot') one.give(confirmed(1));
    if (what === 'a message') [5, 6].forEach((slot, index) => [one, other][index]!.give({ type: 'slot', slot, status: 'created' }));
    if (what === 'a message') await expect(run).rejects.toMatchObject({ codeName: 'QUEUE_FULL' });
    else await expect(run).rejects.toBe(failure);
    expect([one.state.returned, other.state.returned]).toEqual([1, 1]);
  });

  test('ends when the signal aborts, and closes the sources', async () => {
    const { engine, feed } = setUp();
    const [one, other] = [manual(), manual()];
    const stop = new AbortController();
    const run = feed.run([one.source, other.source], { signal: stop.signal });
    one.give(confirmed(1));
    await turn();
    stop.abort();
    await run;
    expect([one.state.returned, other.state.returned]).toEqual([1, 1]);
    other.give(confirmed(2));
    await turn();
    expect(engine.slot).toBe(1n);
  });

  test('ends by the signal when what was read is done with', async () => {
    const { feed } = setUp();
    const { source, give } = manual<FeedMessage[]>();
    const stop = new AbortController();
    const told: bigint[] = [];
    const run = feed.run(source, {
      signal: stop.signal,
      onSlot: async ({ slot }) => {
        stop.abort();
        await turn();
        told.push(slot);
      },
    });
    give([confirmed(1), confirmed(2)]);
    await run;
    expect(told).toEqual([1n, 2n]);
  });

  test('does not begin when the signal has aborted', async () => {
    const { source, state } = manual();
    await setUp().feed.run(source, { signal: AbortSignal.abort() });
    expect(state.asked).toBe(0);
  });

  test('can follow another: what waited, still waits', async () => {
    const { engine, feed } = setUp();
    const stream = updates(4);
    await feed.run(convert(Readable.from(stream.slice(0, 14)), fromYellowstone));
    expect(engine.slot).toBe(0n);
    await feed.run(convert(Readable.from(stream.slice(10)), fromYellowstone));
    expect([engine.slot, feed.stats.slotsPending]).toEqual([4n, 0]);
  });

  test('passes on that a converted source is closed', async () => {
    let isClosed = false;
    async function* source() {
      try {
        yield* updates(2);
      } finally {
        isClosed = true;
      }
    }
    const { feed } = setUp();
    const failure = new Error('stop');
    const run = feed.run(convert(source(), fromYellowstone), {
      onSlot: () => {
        throw failure;
      },
    });
    await expect(run).rejects.toBe(failure);
    await turn();
    expect(isClosed).toBe(true);
  });
});

// -------------------------------------------------------------------------------------------------------------------- recordings

const temporary = mkdtempSync(join(tmpdir(), 'async-bpf-recordings-'));
afterAll(() => rmSync(temporary, { recursive: true }));
const newPath = () => join(mkdtempSync(join(temporary, 'run-')), 'run.jsonl');

/** A run that was recorded, and what the host did in it. */
async function record(recording: string, count = 6, options: FeedOptions = {}) {
  const { engine, feed } = setUp({ waitForBlockTime: true, ...options, recording });
  const reports: SlotReport[] = [];
  await feed.run(convert(Readable.from(updates(count)), fromYellowstone), { onSlot: (report) => void reports.push(report) });
  return { engine, feed, reports };
}

describe('a recording', () => {
  test('repeats the run: the same reports, state hash and counts', async () => {
    const path = newPath();
    const { engine, feed, reports } = await record(path);
    feed.close();
    const other = counting();
    const told: SlotReport[] = [];
    const replayed = await replay(other, path, { onSlot: (report) => void told.push(report) });
    expect(told).toEqual(reports);
    expect(told).toHaveLength(6);
    expect([other.stateHash(), replayed.stats]).toEqual([engine.stateHash(), feed.stats]);
  });

  test('is lines of JSON that people can read', async () => {
    const path = newPath();
    const { reports } = await record(path, 2);
    const lines = readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.slice(0, 3)).toEqual([
      {
        ...{ type: 'feed', version: 1, commitment: 'confirmed', holdSlots: 0, waitForBlockTime: true },
        ...{ maxPendingSlots: 1_024, maxPendingBytes: 268_435_456 },
      },
      { type: 'slot', slot: '1', parent: '0', status: 'created' },
      {
        ...{ type: 'account', slot: '1', writeVersion: '10', address: address('a'), lamports: '946560', data: 'AQAAAAAAAAA=' },
        ...{ owner: address('owner'), executable: false },
      },
    ]);
    expect(lines.filter(({ type }) => type === 'blockTime')).toEqual([
      { type: 'blockTime', slot: '1', unixTimestamp: '1760000001' },
      { type: 'blockTime', slot: '2', unixTimestamp: '1760000002' },
    ]);
    expect(lines.slice(-2)).toEqual(reports.map(({ slot, stateHash }) => ({ type: 'processed', slot: `${slot}`, stateHash })));
  });

  test('of any messages, gives the messages again', async () => {
    const path = newPath();
    const { feed } = setUp({ recording: path });
    const messages = updates(7).flatMap(fromYellowstone);
    for (const message of messages) feed.push(message);
    feed.close();
    const { engine, feed: other } = setUp();
    async function* source() {
      for await (const message of readRecording(pathToFileURL(path))) yield message;
    }
    await other.run(source());
    expect([other.stats, engine.slot]).toEqual([feed.stats, 6n]);
  });

  test('repeats what the host does in slots, and notices when it does not', async () => {
    const path = newPath();
    const act = (engine: AsyncBpfEngine) => ({
      onSlot: ({ slot }: SlotReport) => void (slot === 2n && engine.setAccount(address('mine'), { lamports: 5 })),
    });
    const { engine, feed } = setUp({ recording: path });
    await feed.run(convert(Readable.from(updates(4)), fromYellowstone), act(engine));
    const other = counting();
    await replay(other, path, act(other));
    expect(other.stateHash()).toBe(engine.stateHash());
    await expect(replay(counting(), path)).rejects.toMatchObject({
      codeName: 'CORRUPT_STATE',
      message: expect.stringMatching(
        /run\.jsonl:\d+: slot 3 had state hash \w{64}, but now slot 3 has state hash \w{64}; engine, programs, /,
      ),
    });
  });

  test('notices another program in the first slot in which it matters', async () => {
    const path = newPath();
    await record(path);
    await expect(replay(counting('faulty'), path)).rejects.toThrow(/: slot 1 had state hash/);
  });

  test('can be run with another program, when nobody compares', async () => {
    const path = newPath();
    await record(path);
    const engine = counting('faulty');
    await new Feed(engine).run(readRecording(path));
    expect(engine.slot).toBe(6n);
  });

  test('is good up to where a crash ended it, and the replayed feed goes on from there', async () => {
    const [whole, cut] = [newPath(), newPath()];
    const { engine } = await record(whole);
    const text = readFileSync(whole, 'utf8');
    // In the middle of the line after slot 3, which stands between two slots that one message has made ready.
    const end = text.indexOf('{"type":"processed","slot":"4"') + 9;
    writeFileSync(cut, text.slice(0, end));
    const other = counting();
    const feed = await replay(other, cut);
    expect(other.slot).toBe(3n);
    await feed.run(convert(Readable.from(updates(6)), fromYellowstone));
    expect(other.stateHash()).toBe(engine.stateHash());
  });

  test('is good without a last line that was not written whole', async () => {
    const path = newPath();
    await record(path, 3);
    appendFileSync(path, 'not a whole line');
    const feed = await replay(counting(), path);
    expect(feed.stats).toMatchObject({ slotsProcessed: 2, slotsPending: 1 });
  });

  test('of a run that onSlot ended, and that was gone on with, repeats it', async () => {
    const path = newPath();
    const { engine, feed } = setUp({ recording: path });
    const messages: FeedMessage[] = [
      { type: 'slot', slot: 1, status: 'created' },
      { type: 'slot', slot: 2, parent: 1, status: 'confirmed' },
    ];
    async function* source() {
      yield messages;
    }
    const failure = new Error('stop');
    const run = feed.run(source(), {
      onSlot: () => {
        throw failure;
      },
    });
    await expect(run).rejects.toBe(failure);
    expect(engine.slot).toBe(1n);
    // Slot 2 is ready; this comes before it is processed.
    feed.push({ type: 'account', slot: 2, address: address('a'), lamports: 5 });
    feed.push(confirmed(3));
    const other = counting();
    await replay(other, path);
    expect([other.slot, other.stateHash()]).toEqual([3n, engine.stateHash()]);
  });

  test('is written when a slot was processed, when a run ends, and when the feed is closed', async () => {
    const path = newPath();
    const { feed } = setUp({ recording: path });
    const lines = () => readFileSync(path, 'utf8').split('\n').length - 1;
    expect(lines()).toBe(1);
    feed.push(confirmed(1));
    expect(lines()).toBe(3);
    await feed.run(convert(Readable.from([slotUpdate(2n, SlotStatus.SLOT_PROCESSED)]), fromYellowstone));
    expect(lines()).toBe(4);
    feed.push({ type: 'blockTime', slot: 3, unixTimestamp: 1 });
    feed.close();
    feed.close();
    expect(lines()).toBe(5);
  });

  test('does not hold what was refused', async () => {
    const path = newPath();
    const { feed } = setUp({ recording: path, maxPendingSlots: 1 });
    feed.push({ type: 'blockTime', slot: 3, unixTimestamp: 1 });
    expect(() => feed.push({ type: 'blockTime', slot: 4, unixTimestamp: 1 })).toThrow(/maxPendingSlots/);
    feed.close();
    expect((await replay(counting(), path)).stats.slotsPending).toBe(1);
  });

  test('is repeated until the signal aborts', async () => {
    const path = newPath();
    await record(path);
    const engine = counting();
    const stop = new AbortController();
    await replay(engine, path, { signal: stop.signal, onSlot: ({ slot }) => void (slot === 2n && stop.abort()) });
    expect(engine.slot).toBe(2n);
  });

  test('ends with the feed, also by using', () => {
    const path = newPath();
    let left: Feed;
    {
      using feed = new Feed(counting(), { recording: path });
      left = feed;
    }
    expect(() => left.push(confirmed(1))).toThrow(/closed/);
  });
});
