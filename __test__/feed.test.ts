/** A feed: which slots an engine processes, with what, and what is counted. */

import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AsyncBpfError, WatcherTrigger, type AsyncBpfEngine, type EngineOptions, type SlotReport } from '../dist/index.js';
import {
  Feed,
  fromAccountNotification,
  fromClockNotification,
  fromMultipleAccounts,
  fromSlotNotification,
  fromYellowstone,
  type FeedMessage,
  type FeedOptions,
  type FeedStats,
  type SlotStatus as Status,
} from '../dist/feed/index.js';
import { address } from './support/addresses.js';
import {
  accountNotification,
  accountUpdate,
  blockMetaUpdate,
  clockNotification,
  multipleAccounts,
  OWNER,
  SlotStatus,
  slotNotification,
  slotUpdate,
  type State,
  type SubscribeUpdate,
} from './support/cluster.js';
import { readU64, u64 } from './support/bytes.js';
import { createEngine } from './support/engine.js';

const PROGRAM = address('program');
const COUNTER = address('counter');
const CLOCK = 'SysvarC1ock11111111111111111111111111111111';
const ACCOUNTS = ['a', 'b', 'c', 'd'];
const START = 1_000n;

/** An engine that counts slots, and changes of each of the accounts. */
function watchful(options: EngineOptions = {}): AsyncBpfEngine {
  const engine = createEngine({ program: 'counter' }, { startSlot: START, ...options });
  engine.setAccount(COUNTER, { lamports: 1_000_000_000n, data: new Uint8Array(8), owner: PROGRAM });
  const callback = { programId: PROGRAM, accounts: [{ address: COUNTER, isWritable: true }] };
  engine.timers.createPeriodic({ ...callback, startSlot: START + 1n, periodSlots: 1 });
  for (const name of ACCOUNTS) engine.watchers.create({ ...callback, account: address(name), trigger: WatcherTrigger.ANY_CHANGE });
  return engine;
}

function setUp(options: FeedOptions = {}, engine = watchful()) {
  const feed = new Feed(engine, options);
  onTestFinished(() => feed.close());
  const push = (...messages: FeedMessage[]): SlotReport[] => messages.flatMap((message) => feed.push(message));
  return { engine, feed, push };
}

const at = (slot: number) => START + BigInt(slot);
const wrote = (slot: number, name: string, value: number, writeVersion?: number): FeedMessage => ({
  type: 'account',
  slot: at(slot),
  address: address(name),
  owner: address(OWNER),
  lamports: 1_000_000n,
  data: u64(value),
  ...(writeVersion === undefined ? {} : { writeVersion }),
});
const became = (slot: number, status: Status, parent?: number): FeedMessage => ({
  type: 'slot',
  slot: at(slot),
  status,
  ...(parent === undefined ? {} : { parent: at(parent) }),
});
const timed = (slot: number, unixTimestamp: number): FeedMessage => ({ type: 'blockTime', slot: at(slot), unixTimestamp });

const slotsOf = (reports: SlotReport[]) => reports.map(({ slot }) => Number(slot - START));
const valueOf = (engine: AsyncBpfEngine, name: string) => {
  const account = engine.getAccount(address(name));
  return account && Number(readU64(account.data));
};
const unixTime = (engine: AsyncBpfEngine) => Number(readU64(engine.getAccount(CLOCK)!.data, 32));
const counts = (stats: FeedStats) => Object.fromEntries(Object.entries(stats).filter(([, count]) => count !== 0));

describe('when a slot is processed', () => {
  test('when it has the commitment, with the accounts that came before', () => {
    const { engine, push } = setUp();
    expect(push(became(1, 'created', 0), wrote(1, 'a', 5, 1), became(1, 'processed', 0))).toEqual([]);
    expect([engine.slot, valueOf(engine, 'a')]).toEqual([START, undefined]);
    const [report] = push(became(1, 'confirmed'));
    expect(report).toMatchObject({ slot: at(1), timersFired: 1n, watchersTriggered: 1n });
    expect([engine.slot, valueOf(engine, 'a')]).toEqual([at(1), 5]);
  });

  test.each([
    ['processed', 'processed'],
    ['confirmed', 'confirmed'],
    ['confirmed', 'finalized'],
    ['finalized', 'finalized'],
  ] as const)('with the commitment %s: when it is %s', (commitment, status) => {
    const { push } = setUp({ commitment });
    const order = ['created', 'processed', 'confirmed', 'finalized'] as const;
    const before = order.slice(0, order.indexOf(commitment));
    expect(push(...before.map((earlier) => became(1, earlier)))).toEqual([]);
    expect(slotsOf(push(became(1, status)))).toEqual([1]);
  });

  test('before it, those that it descends from, one by one', () => {
    const { engine, push } = setUp();
    push(
      became(1, 'created', 0),
      wrote(1, 'a', 1, 1),
      became(2, 'created', 1),
      wrote(2, 'a', 2, 2),
      became(3, 'created', 2),
      wrote(3, 'a', 3, 3),
    );
    const reports = push(became(3, 'confirmed'));
    expect(slotsOf(reports)).toEqual([1, 2, 3]);
    expect(reports.map(({ watchersTriggered }) => watchersTriggered)).toEqual([1n, 1n, 1n]);
    expect(valueOf(engine, 'a')).toBe(3);
  });

  test('not when the cluster has skipped it', () => {
    const { push } = setUp();
    expect(slotsOf(push(became(1, 'confirmed', 0), became(4, 'created', 1), became(4, 'confirmed')))).toEqual([1, 4]);
  });

  test('not when another branch was confirmed: what was written there is dropped, also what comes later', () => {
    const { engine, feed, push } = setUp();
    push(became(1, 'created', 0), wrote(1, 'a', 1, 1), became(2, 'created', 1), wrote(2, 'a', 666, 2), wrote(2, 'b', 666, 3));
    push(became(3, 'created', 1), wrote(3, 'c', 3, 4));
    expect(slotsOf(push(became(3, 'confirmed')))).toEqual([1, 3]);
    push(wrote(2, 'd', 666, 5), became(4, 'created', 3), became(4, 'confirmed'));
    expect(ACCOUNTS.map((name) => valueOf(engine, name))).toEqual([1, undefined, 3, undefined]);
    expect(counts(feed.stats)).toEqual({ slotsProcessed: 3, slotsDropped: 1, accounts: 5, accountsApplied: 2, accountsDropped: 3 });
  });

  test('not when it is known to be on another branch than the last, though that of the next is not known', () => {
    const { engine, push } = setUp();
    push(became(1, 'confirmed', 0), became(3, 'confirmed', 1));
    // 4 and what follows it went on from 2.
    push(became(4, 'created', 2), wrote(4, 'a', 666, 1), became(5, 'created', 4), wrote(5, 'b', 666, 2));
    expect(slotsOf(push(became(6, 'confirmed')))).toEqual([6]);
    expect(ACCOUNTS.map((name) => valueOf(engine, name))).toEqual([undefined, undefined, undefined, undefined]);
  });

  test('when nothing is known about its place, and a later one is confirmed', () => {
    const { engine, push } = setUp();
    push(wrote(1, 'a', 1, 1), wrote(3, 'a', 3, 2));
    expect(slotsOf(push(became(5, 'confirmed')))).toEqual([1, 3, 5]);
    expect(valueOf(engine, 'a')).toBe(3);
  });

  test('what is between a slot and its parent is on another branch, though the parent itself was never heard of', () => {
    const { push } = setUp();
    push(became(1, 'created'), became(3, 'created'));
    expect(slotsOf(push(became(4, 'confirmed', 2)))).toEqual([1, 4]);
  });

  test('not when it is dead', () => {
    const { engine, feed, push } = setUp();
    push(became(1, 'created'), wrote(1, 'a', 666, 1), became(1, 'dead'), wrote(1, 'b', 666, 2));
    expect(slotsOf(push(became(2, 'confirmed')))).toEqual([2]);
    expect([valueOf(engine, 'a'), valueOf(engine, 'b')]).toEqual([undefined, undefined]);
    expect(counts(feed.stats)).toEqual({ slotsProcessed: 1, slotsDropped: 1, accounts: 2, accountsDropped: 2 });
  });

  test('when the node gets another version of a dead slot: with what is written there', () => {
    const { engine, push } = setUp();
    push(became(1, 'created', 0), wrote(1, 'a', 666, 1), became(1, 'dead'));
    push(became(1, 'created', 0), wrote(1, 'b', 1, 2));
    expect(slotsOf(push(became(1, 'confirmed')))).toEqual([1]);
    expect([valueOf(engine, 'a'), valueOf(engine, 'b')]).toEqual([undefined, 1]);
  });

  test('once: a slot that was processed is not looked at again', () => {
    const { feed, push } = setUp();
    push(became(1, 'confirmed', 0));
    expect(push(became(1, 'confirmed'), became(1, 'finalized', 0), became(1, 'dead'), became(0, 'confirmed'))).toEqual([]);
    expect(feed.stats.slotsPending).toBe(0);
  });

  test('in the order of slots, in whichever order they are confirmed', () => {
    const { push } = setUp();
    push(became(1, 'created', 0), became(2, 'created', 1), became(3, 'created', 2));
    expect(slotsOf(push(became(2, 'confirmed'), became(3, 'confirmed'), became(1, 'confirmed')))).toEqual([1, 2, 3]);
  });

  test('with holdSlots, when as many later ones are confirmed too', () => {
    const { engine, feed, push } = setUp({ holdSlots: 2 });
    expect(push(became(1, 'confirmed'), became(2, 'confirmed'), wrote(1, 'a', 1))).toEqual([]);
    expect(slotsOf(push(became(4, 'confirmed')))).toEqual([1]);
    expect(slotsOf(push(became(5, 'confirmed')))).toEqual([2]);
    expect([valueOf(engine, 'a'), feed.stats.accountsLate]).toEqual([1, 0]);
  });
});

describe('which state of an account counts', () => {
  test('the last write of the slot, in whichever order they come', () => {
    const { engine, feed, push } = setUp();
    push(wrote(1, 'a', 7, 7), wrote(1, 'a', 9, 9), wrote(1, 'a', 8, 8), became(1, 'confirmed'));
    expect(valueOf(engine, 'a')).toBe(9);
    expect(counts(feed.stats)).toEqual({ slotsProcessed: 1, accounts: 3, accountsApplied: 1, accountsSuperseded: 2 });
  });

  test('that of the later slot, also when a node that began anew counts its writes from 0', () => {
    const { engine, push } = setUp();
    push(wrote(1, 'a', 1, 1_000_000), became(1, 'confirmed'), wrote(2, 'a', 2, 3), became(2, 'confirmed'));
    expect(valueOf(engine, 'a')).toBe(2);
  });

  test('a write that is known, before what was read in the same slot', () => {
    const { engine, push } = setUp();
    push(wrote(1, 'a', 5, 1), wrote(1, 'a', 4), wrote(1, 'b', 4), wrote(1, 'b', 5, 1), became(1, 'confirmed'));
    expect([valueOf(engine, 'a'), valueOf(engine, 'b')]).toEqual([5, 5]);
  });

  test('of the same write that comes again, the first', () => {
    const { feed, push } = setUp();
    push(
      wrote(1, 'a', 1, 1),
      wrote(1, 'a', 1, 1),
      wrote(1, 'b', 1),
      wrote(1, 'b', 1),
      became(1, 'confirmed'),
      wrote(1, 'a', 1, 1),
      wrote(1, 'b', 1),
    );
    expect(counts(feed.stats)).toEqual({ slotsProcessed: 1, accounts: 6, accountsApplied: 2, accountsDuplicate: 4 });
  });

  test('one that is gone, is gone', () => {
    const { engine, push } = setUp();
    push(wrote(1, 'a', 1, 1), became(1, 'confirmed'));
    const [report] = push({ type: 'account', slot: at(2), address: address('a'), lamports: 0, writeVersion: 2 }, became(2, 'confirmed'));
    expect(report!.watchersTriggered).toBe(1n);
    expect(engine.getAccount(address('a'))).toBeUndefined();
  });

  test('the feed keeps its own copy of the bytes', () => {
    const { engine, push } = setUp();
    const message = wrote(1, 'a', 5, 1) as FeedMessage & { data: Uint8Array };
    push(message);
    message.data.fill(255);
    push(became(1, 'confirmed'));
    expect(valueOf(engine, 'a')).toBe(5);
  });
});

describe('a state that comes after its slot was processed', () => {
  test('goes into the next slot, and is counted', () => {
    const { engine, feed, push } = setUp();
    push(became(1, 'confirmed'), wrote(1, 'a', 5, 1));
    expect(valueOf(engine, 'a')).toBeUndefined();
    expect(counts(feed.stats)).toMatchObject({ accountsLate: 1, accountsPending: 1 });
    push(became(2, 'confirmed'));
    expect(valueOf(engine, 'a')).toBe(5);
    expect(counts(feed.stats)).toEqual({ slotsProcessed: 2, accounts: 1, accountsApplied: 1, accountsLate: 1 });
  });

  test('gives way to one that the next slot has itself', () => {
    const { engine, feed, push } = setUp();
    push(became(1, 'confirmed'), wrote(1, 'a', 5, 1), wrote(2, 'a', 6, 0), became(2, 'confirmed'));
    expect(valueOf(engine, 'a')).toBe(6);
    expect(counts(feed.stats)).toEqual({ slotsProcessed: 2, accounts: 2, accountsApplied: 1, accountsSuperseded: 1, accountsLate: 1 });
  });

  test('gives way to one that came late as well, and is later', () => {
    const { engine, feed, push } = setUp();
    push(
      became(1, 'confirmed'),
      became(2, 'confirmed'),
      wrote(2, 'a', 6, 2),
      wrote(1, 'a', 5, 1),
      wrote(2, 'a', 7, 3),
      became(3, 'confirmed'),
    );
    expect(valueOf(engine, 'a')).toBe(7);
    expect(counts(feed.stats)).toEqual({ slotsProcessed: 3, accounts: 3, accountsApplied: 1, accountsSuperseded: 2, accountsLate: 2 });
  });

  test('does not undo what a later slot has written', () => {
    const { engine, feed, push } = setUp();
    push(wrote(2, 'a', 6, 1), became(2, 'confirmed'), wrote(1, 'a', 5, 9), became(3, 'confirmed'));
    expect(valueOf(engine, 'a')).toBe(6);
    expect(counts(feed.stats)).toEqual({ slotsProcessed: 2, accounts: 2, accountsApplied: 1, accountsSuperseded: 1 });
  });
});

describe('time', () => {
  test('the Clock sysvar has the block time', () => {
    const { engine, push } = setUp();
    push(timed(1, 1_760_000_000), became(1, 'confirmed'));
    expect(unixTime(engine)).toBe(1_760_000_000);
  });

  test('without one, a slot is 400 ms after the one before; one that comes later is counted', () => {
    const { engine, feed, push } = setUp();
    push(timed(1, 1_760_000_000), became(1, 'confirmed'), became(6, 'confirmed'), timed(6, 1));
    expect(unixTime(engine)).toBe(1_760_000_002);
    expect(counts(feed.stats)).toEqual({ slotsProcessed: 2, blockTimesLate: 1 });
  });

  test('with waitForBlockTime, a slot waits for it, and those behind it with it', () => {
    const { engine, push } = setUp({ waitForBlockTime: true });
    expect(push(became(1, 'confirmed', 0), became(2, 'confirmed', 1), timed(2, 1_760_000_001))).toEqual([]);
    expect(slotsOf(push(timed(1, 1_760_000_000)))).toEqual([1, 2]);
    expect(unixTime(engine)).toBe(1_760_000_001);
  });
});

describe('memory is bounded', () => {
  const refused = (call: () => unknown) => {
    let thrown: unknown;
    try {
      call();
    } catch (error) {
      thrown = error;
    }
    expect(AsyncBpfError.is(thrown, 'QUEUE_FULL')).toBe(true);
    return (thrown as Error).message;
  };

  test('by slots', () => {
    const { feed, push } = setUp({ maxPendingSlots: 3 });
    push(became(1, 'created'), wrote(2, 'a', 1), timed(3, 1));
    const before = feed.stats;
    for (const message of [became(4, 'created'), wrote(4, 'a', 1), timed(4, 1)]) {
      expect(refused(() => push(message))).toBe(
        "4 slots would wait for 'confirmed', but maxPendingSlots is 3; have a source that tells of these, or raise the limit",
      );
    }
    expect(feed.stats).toEqual(before);
    expect(slotsOf(push(became(3, 'confirmed'), became(4, 'confirmed')))).toEqual([1, 2, 3, 4]);
  });

  test('by bytes, of which each state has 256 beside its data', () => {
    const { feed, push } = setUp({ maxPendingBytes: 600, waitForBlockTime: true });
    push(wrote(1, 'a', 1, 1), wrote(1, 'b', 1, 1), wrote(1, 'b', 2, 2));
    expect(feed.stats.bytesPending).toBe(2 * (256 + 8));
    const before = feed.stats;
    expect(refused(() => push(wrote(2, 'c', 1)))).toBe(
      "account states of 792 bytes would wait for 'confirmed' and block times, but maxPendingBytes is 600; " +
        'have a source that tells of these, or raise the limit',
    );
    expect(feed.stats).toEqual(before);
    push(timed(1, 1), became(1, 'confirmed'));
    expect(feed.stats.bytesPending).toBe(0);
    push(wrote(2, 'c', 1));
  });

  test('by bytes, of late states too', () => {
    const { push } = setUp({ maxPendingBytes: 300 });
    push(became(1, 'confirmed'), wrote(1, 'a', 1));
    expect(refused(() => push(wrote(1, 'b', 1)))).toMatch(/^account states of 528 bytes would wait/);
  });

  test('what is dropped makes room', () => {
    const { feed, push } = setUp({ maxPendingBytes: 300 });
    push(wrote(1, 'a', 1), became(1, 'dead'), wrote(2, 'a', 1, 1), became(2, 'created', 0), became(3, 'confirmed', 0));
    expect(counts(feed.stats)).toEqual({ slotsProcessed: 1, slotsDropped: 2, accounts: 2, accountsDropped: 2 });
  });
});

test('what the engine refuses is thrown, and the slot still waits', () => {
  const { engine, feed, push } = setUp();
  push(wrote(1, 'program', 1), wrote(1, 'a', 1));
  expect(() => push(became(1, 'confirmed'))).toThrow(/must be an account that is not a loaded program/);
  expect([engine.slot, feed.stats.slotsPending]).toEqual([START, 1]);
  engine.removeProgram(PROGRAM);
  expect(slotsOf(push(became(1, 'confirmed')))).toEqual([1]);
  expect(valueOf(engine, 'a')).toBe(1);
});

// ------------------------------------------------------------------------------------------------------------------ any order

/** A slot of a cluster. */
interface Slot {
  slot: bigint;
  parent: bigint;
  unixTimestamp: bigint;
  /** Whether it is on the branch that is confirmed. */
  isConfirmed: boolean;
  isDead: boolean;
  writes: State[];
}

const write = fc.record({ name: fc.constantFrom(...ACCOUNTS), value: fc.option(fc.nat(3), { freq: 5 }) });
const step = fc.record({
  gap: fc.constantFrom(1, 1, 1, 2, 5),
  forks: fc.array(fc.boolean(), { maxLength: 2 }),
  writes: fc.array(write, { maxLength: 6 }),
});

/** A history: a branch that is confirmed, and forks before some of its slots, some of them dead. */
const history = fc.array(step, { minLength: 1, maxLength: 8 }).map((steps) => {
  let [slot, parent] = [START, START];
  const slots: Slot[] = [];
  for (const { gap, forks, writes } of steps) {
    const states = writes.map(({ name, value }): State => (value === null ? { name } : { name, data: u64(value) }));
    const add = (more: Partial<Slot>) =>
      slots.push({ slot, parent, unixTimestamp: slot * 2n, isConfirmed: false, isDead: false, writes: states, ...more });
    for (const isDead of forks) {
      slot += 1n;
      add({ isDead });
    }
    slot += BigInt(gap);
    add({ isConfirmed: true });
    parent = slot;
  }
  return slots;
});

interface Timed {
  update: SubscribeUpdate;
  /** The number of the confirmed slot before whose confirmation it has to come. */
  group: number;
  /** Whether it is that, or a later one. */
  confirms: boolean;
}

/** What Yellowstone tells of a history. */
function tell(slots: Slot[], firstVersion: bigint): Timed[] {
  let [group, version] = [0, firstVersion];
  return slots.flatMap(({ slot, parent, unixTimestamp, isConfirmed, isDead, writes }) => {
    const updates = [
      slotUpdate(slot, SlotStatus.SLOT_CREATED_BANK, parent),
      ...writes.map((state) => accountUpdate(slot, state, version++)),
      ...(isDead
        ? [slotUpdate(slot, SlotStatus.SLOT_DEAD, parent)]
        : [slotUpdate(slot, SlotStatus.SLOT_PROCESSED, parent), blockMetaUpdate(slot, parent, unixTimestamp)]),
    ];
    const told: Timed[] = updates.map((update) => ({ update, group, confirms: false }));
    if (isConfirmed) told.push({ update: slotUpdate(slot, SlotStatus.SLOT_CONFIRMED), group: group++, confirms: true });
    return told;
  });
}

/** What a slot was, and in which order callbacks ran in it. */
const gist = ({ stateHash, outcomes }: SlotReport) => ({ stateHash, sources: outcomes.map(({ source }) => source.id) });

/** The slots of an engine that was driven by hand through what was confirmed. */
function driven(slots: Slot[]): ReturnType<typeof gist>[] {
  const engine = watchful();
  const gists = slots
    .filter(({ isConfirmed }) => isConfirmed)
    .map(({ slot, unixTimestamp, writes }) => {
      const last = new Map(writes.map((state) => [state.name, state]));
      const updates = [...last.values()]
        .sort((one, other) => (one.name < other.name ? -1 : 1))
        .map(({ name, data }) =>
          data
            ? { address: address(name), lamports: BigInt(128 + data.length) * 6_960n, data, owner: address(OWNER) }
            : { address: address(name), lamports: 0 },
        );
      engine.updateAccounts(updates);
      return gist(engine.processSlot(slot, { unixTimestamp }));
    });
  engine.close();
  return gists;
}

const total = (stats: FeedStats) =>
  stats.accountsApplied + stats.accountsDropped + stats.accountsDuplicate + stats.accountsSuperseded + stats.accountsPending;

test('messages of a history in any order, and more than once: the same state hash after each slot', () => {
  const place = fc.record({
    early: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    again: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 3 }),
  });
  fc.assert(
    fc.property(history, fc.infiniteStream(place), fc.bigInt({ min: 0n, max: 1_000n }), (slots, places, firstVersion) => {
      const end = slots.length + 1;
      const told = tell(slots, firstVersion).flatMap(({ update, group, confirms }) => {
        const { early, again } = places.next().value!;
        // A confirmation comes when the group is complete, or later; what else there is, at any time before.
        const position = confirms ? group + 1 + early * 3 : early * (group + 1);
        const copy = again === null ? [] : [{ update, position: position + again * (end - position) }];
        return [{ update, position }, ...copy];
      });
      const { engine, feed, push } = setUp();
      const updates = told.sort((one, other) => one.position - other.position).map(({ update }) => update);
      const reports = push(...updates.flatMap(fromYellowstone));
      expect(reports.map(gist)).toEqual(driven(slots));
      expect(total(feed.stats)).toBe(feed.stats.accounts);
      expect(feed.stats).toMatchObject({ accountsLate: 0, accountsPending: 0, bytesPending: 0, slotsPending: 0 });
      expect(feed.stats.slotsDropped).toBe(slots.filter(({ isConfirmed }) => !isConfirmed).length);
      engine.close();
    }),
    { numRuns: 60 },
  );
});

test('the same history by the RPC: the same state hash after each slot', () => {
  fc.assert(
    fc.property(history, fc.boolean(), (slots, isMixed) => {
      const confirmed = slots.filter(({ isConfirmed }) => isConfirmed);
      const messages = confirmed.flatMap(({ slot, parent, unixTimestamp, writes }) => {
        const last = [...new Map(writes.map((state) => [state.name, state])).values()];
        const accounts = last.flatMap((state) => fromAccountNotification(address(state.name), accountNotification(slot, state)));
        const clock = fromClockNotification(clockNotification(slot, unixTimestamp));
        const started = fromSlotNotification(slotNotification(slot, parent, START));
        return isMixed ? [...clock, ...accounts, ...started] : [...accounts, ...started, ...clock];
      });
      // Where a clock overtakes accounts, one slot more is waited for.
      const { engine, push } = setUp({ holdSlots: isMixed ? 1 : 0 });
      expect(push(...messages).map(gist)).toEqual(driven(slots).slice(0, isMixed ? -1 : undefined));
      engine.close();
    }),
    { numRuns: 30 },
  );
});

test('the state to begin with may come at any time', () => {
  const initial = fromMultipleAccounts(
    ACCOUNTS.map(address),
    multipleAccounts(at(2), [{ name: 'a', data: u64(2) }, { name: 'b', data: u64(2) }, { name: 'c', data: u64(2) }, null]),
  );
  // Slot 1 to 4 each write one of a to d.
  const stream = ACCOUNTS.flatMap((name, index) => [wrote(index + 1, name, index + 1, 1), became(index + 1, 'confirmed')]);
  for (const place of [0, 3, 4, 5, 6, 8]) {
    const { engine, push } = setUp();
    push(...stream.slice(0, place), ...initial, ...stream.slice(place), became(5, 'confirmed'));
    // What a and b were in slot 1 and 2 is in it, or was there before it; d is written later.
    expect([place, ...ACCOUNTS.map((name) => valueOf(engine, name))]).toEqual([place, 2, 2, 3, 4]);
  }
});
