/** Watchers: which changes fire each kind of trigger, and which of them count. */

import { describe, expect, test } from 'vitest';
import { WatcherTrigger, type AccountInit, type AsyncBpfEngine, type WatcherOptions } from '../dist/index.js';
import { address, SYSTEM_PROGRAM } from './support/addresses.js';
import { u64, utf8 } from './support/bytes.js';
import { ASK_CONTEXT, contextOf, run, said, say, script } from './support/conformance.js';
import { createEngine } from './support/engine.js';

const PROGRAM = address('program');
const WATCHED = address('watched');
const I64_MAX = 2n ** 63n - 1n;
const I64_MIN = -(2n ** 63n);

type State = Partial<AccountInit> | 'absent';
type Kind = Pick<WatcherOptions, 'trigger' | 'threshold' | 'offset' | 'pattern'>;

const account = (state: State): AccountInit & { address: string } =>
  state === 'absent' ? { address: WATCHED, lamports: 0 } : { address: WATCHED, lamports: 1, ...state };

/** The contexts of the callbacks of the last slot when an account goes through these states, one a slot. */
function fire(kind: Kind, ...states: State[]) {
  const engine = createEngine({ program: 'conformance' });
  engine.updateAccounts([account(states[0]!)]);
  engine.processSlot(1);
  engine.watchers.create({ programId: PROGRAM, data: script([ASK_CONTEXT]), account: WATCHED, ...kind });
  let contexts: ReturnType<typeof contextOf>[] = [];
  for (const state of states.slice(1)) {
    engine.updateAccounts([account(state)]);
    contexts = engine.processSlot(engine.slot + 1n).outcomes.map(contextOf);
  }
  return contexts;
}

const fires = (kind: Kind, ...states: State[]) => fire(kind, ...states).length === 1;

describe('changes of lamports, data and owner', () => {
  const base = { lamports: 5, data: utf8('data'), owner: PROGRAM };
  const CHANGES: [string, State, State, WatcherTrigger[]][] = [
    ['nothing', base, base, []],
    ['lamports up', base, { ...base, lamports: 6 }, [0, 1]],
    ['lamports down', base, { ...base, lamports: 4 }, [0, 1]],
    ['one byte of data', base, { ...base, data: utf8('dato') }, [0, 2]],
    ['data longer', base, { ...base, data: utf8('data!') }, [0, 2]],
    ['data shorter', base, { ...base, data: utf8('dat') }, [0, 2]],
    ['owner', base, { ...base, owner: address('other') }, [0, 3]],
    ['everything', base, { lamports: 6, data: utf8('dato'), owner: address('other') }, [0, 1, 2, 3]],
    ['only whether it is a program', base, { ...base, executable: true }, []],
    ['appears', 'absent', base, [0, 1, 2, 3]],
    ['appears without data, owned by the system program', 'absent', { lamports: 1, owner: SYSTEM_PROGRAM }, [0, 1]],
    ['goes', base, 'absent', [0, 1, 2, 3]],
    ['stays absent', 'absent', 'absent', []],
  ];
  const NAMES = ['ANY_CHANGE', 'LAMPORT_CHANGE', 'DATA_CHANGE', 'OWNER_CHANGE'] as const;

  test.each(CHANGES)('%s', (_, before, after, expected) => {
    const fired = NAMES.filter((name) => fires({ trigger: WatcherTrigger[name] }, before, after));
    expect(fired).toEqual(expected.map((trigger) => NAMES[trigger as 0 | 1 | 2 | 3]));
  });
});

describe('thresholds', () => {
  const at = (value: bigint | number): State => ({ data: u64(value) });
  const above = (threshold: bigint | number, offset = 0): Kind => ({ trigger: WatcherTrigger.THRESHOLD_ABOVE, threshold, offset });
  const below = (threshold: bigint | number, offset = 0): Kind => ({ trigger: WatcherTrigger.THRESHOLD_BELOW, threshold, offset });

  test.each([
    // old, new, threshold, above fires, below fires
    [9, 10, 10, false, false],
    [10, 11, 10, true, false],
    [9, 11, 10, true, false],
    [11, 12, 10, false, false],
    [11, 10, 10, false, false],
    [10, 9, 10, false, true],
    [11, 9, 10, false, true],
    [9, 8, 10, false, false],
    [10, 10, 10, false, false],
    [-1, 1, 0, true, false],
    [1, -1, 0, false, true],
    [-5, -4, -5, true, false],
    [-5, -6, -5, false, true],
  ])('from %i to %i at %i', (before, after, threshold, isAbove, isBelow) => {
    expect(fires(above(threshold), at(before), at(after))).toBe(isAbove);
    expect(fires(below(threshold), at(before), at(after))).toBe(isBelow);
  });

  test.each([
    ['nothing is above the largest number', above(I64_MAX), I64_MIN, I64_MAX, false],
    ['the largest is above the one before it', above(I64_MAX - 1n), I64_MAX - 1n, I64_MAX, true],
    ['all others are above the smallest', above(I64_MIN), I64_MIN, I64_MIN + 1n, true],
    ['nothing is below the smallest number', below(I64_MIN), I64_MAX, I64_MIN, false],
    ['the smallest is below the one after it', below(I64_MIN + 1n), I64_MIN + 1n, I64_MIN, true],
    ['all others are below the largest', below(I64_MAX), I64_MAX, I64_MAX - 1n, true],
    ['numbers are signed: 2^63 is negative', below(0), 0n, 2n ** 63n, true],
    ['numbers are signed: 2^64 - 1 is -1', above(0), 0n, 2n ** 64n - 1n, false],
  ])('%s', (_, kind, before, after, expected) => {
    expect(fires(kind, at(before), at(after))).toBe(expected);
  });

  test('bytes are little-endian', () => {
    expect(fires(above(255), at(0), { data: Uint8Array.of(0, 1, 0, 0, 0, 0, 0, 0) })).toBe(true);
  });

  test('appearing beyond the threshold fires, appearing elsewhere does not', () => {
    for (const before of ['absent', { data: new Uint8Array(7) }, {}] as State[]) {
      expect(fires(above(10), before, at(11))).toBe(true);
      expect(fires(above(10), before, at(10))).toBe(false);
      expect(fires(below(10), before, at(9))).toBe(true);
      expect(fires(below(10), before, at(10))).toBe(false);
    }
  });

  test('an account that is too short now does not fire', () => {
    for (const after of ['absent', { data: new Uint8Array(7) }, {}] as State[]) {
      expect(fires(above(-1), at(-5), after)).toBe(false);
      expect(fires(below(10), at(50), after)).toBe(false);
    }
  });

  test('one that comes back is taken as not beyond before', () => {
    expect(fires(above(10), at(11), 'absent', at(12))).toBe(true);
  });

  test('the number lies at the offset, unaligned as well', () => {
    const withOffset = (value: number) => ({ data: Buffer.concat([Uint8Array.of(1, 2, 3), u64(value)]) });
    expect(fires(above(10, 3), withOffset(10), withOffset(11))).toBe(true);
    expect(fires(above(10, 4), withOffset(10), withOffset(11))).toBe(false);
  });

  test('offsets up to 2^64 - 8 are allowed, and never match', () => {
    for (const offset of [2n ** 32n, 2n ** 63n, 2n ** 64n - 8n]) {
      expect(fires({ ...above(-1), offset }, at(-5), at(5))).toBe(false);
      expect(fires({ ...below(10), offset }, 'absent', at(5))).toBe(false);
    }
    expect(() => fires({ ...above(0), offset: 2n ** 64n - 7n }, 'absent')).toThrow(/^offset is 18446744073709551609, .*2\^64 - 8/);
  });

  test('the callback is told both values', () => {
    expect(fire(above(10), at(-3), at(11))).toMatchObject([
      { oldValue: -3n, newValue: 11n, triggerType: 4n, ticks: 1n, currentSlot: 2n, dueSlot: 2n },
    ]);
    expect(fire(below(10), 'absent', at(I64_MIN))).toMatchObject([{ oldValue: undefined, newValue: I64_MIN, triggerType: 5n }]);
  });
});

describe('patterns', () => {
  const pattern = (bytes: string, offset: bigint | number = 0): Kind => ({
    trigger: WatcherTrigger.PATTERN_MATCH,
    pattern: utf8(bytes),
    offset,
  });
  const has = (text: string): State => ({ data: utf8(text) });

  test.each([
    ['matches now and did not before', pattern('cd', 2), has('abxx'), has('abcd'), true],
    ['matched before', pattern('cd', 2), has('abcd'), has('xycd'), false],
    ['matches no longer', pattern('cd', 2), has('abcd'), has('abxx'), false],
    ['appears with the account', pattern('cd', 2), 'absent', has('abcd'), true],
    ['appears with longer data', pattern('cd', 2), has('abc'), has('abcd'), true],
    ['is elsewhere', pattern('cd', 2), has('....'), has('cd..'), false],
    ['would end past the data', pattern('cd', 3), has('....'), has('abccd'), true],
    ['does end past the data', pattern('cde', 3), has('....'), has('abccd'), false],
    ['goes with the account', pattern('cd', 2), has('abcd'), 'absent', false],
    ['has an offset near 2^64', pattern('c', 2n ** 64n - 1n), has('abxx'), has('abcd'), false],
  ] as [string, Kind, State, State, boolean][])('one that %s', (_, kind, before, after, expected) => {
    expect(fires(kind, before, after)).toBe(expected);
  });

  test('has 1 to 64 bytes, and ends at or before 2^64', () => {
    const create =
      (bytes: number, offset: bigint | number = 0) =>
      () =>
        fires(pattern('x'.repeat(bytes), offset), 'absent');
    expect(create(64)).not.toThrow();
    expect(create(64, 2n ** 64n - 64n)).not.toThrow();
    expect(create(0)).toThrow(/^pattern is 0 bytes long, but must be 1 to 64/);
    expect(create(65)).toThrow(/^pattern is 65 bytes long/);
    expect(create(64, 2n ** 64n - 63n)).toThrow(/^offset is 18446744073709551553, .*2\^64 - 64/);
  });
});

describe('the life of a watcher', () => {
  const setUp = (more: Partial<WatcherOptions> = {}) => {
    const engine = createEngine({ program: 'conformance' });
    const watcher = engine.watchers.create({
      programId: PROGRAM,
      data: say('changed'),
      account: WATCHED,
      trigger: WatcherTrigger.ANY_CHANGE,
      ...more,
    });
    return { engine, watcher };
  };
  const change = (engine: AsyncBpfEngine, slot: number) => {
    engine.updateAccounts([{ address: WATCHED, lamports: slot }]);
    return engine.processSlot(slot).watchersTriggered;
  };

  test('get and list tell what it is', () => {
    const { engine, watcher } = setUp({
      trigger: WatcherTrigger.THRESHOLD_BELOW,
      threshold: -7,
      offset: 3,
      minSlotsBetweenTriggers: 4,
      priority: 0,
    });
    const info = engine.watchers.get(watcher)!;
    expect(info).toMatchObject({
      id: watcher,
      programId: PROGRAM,
      account: WATCHED,
      trigger: 5,
      threshold: -7n,
      offset: 3n,
      active: true,
      priority: 0,
    });
    expect(info).toMatchObject({ triggerCount: 0n, suppressedCount: 0n, minSlotsBetweenTriggers: 4n });
    expect(info.lastTriggerSlot).toBeUndefined();
    expect(info.pattern).toBeUndefined();
    const other = engine.watchers.create({
      programId: PROGRAM,
      account: WATCHED,
      trigger: WatcherTrigger.PATTERN_MATCH,
      pattern: utf8('x'),
    });
    expect(engine.watchers.list(WATCHED).map(({ id }) => id)).toEqual([watcher, other]);
    expect(engine.watchers.get(other)).toMatchObject({ pattern: utf8('x'), offset: 0n });
    expect(engine.watchers.list(address('nobody'))).toEqual([]);
    expect(engine.watchers.get(1)).toBeUndefined();
  });

  test('it looks from its creation on: what changed before, in the same slot too, is not its business', () => {
    const engine = createEngine({ program: 'conformance' });
    const create = (text: string) =>
      engine.watchers.create({ programId: PROGRAM, data: say(text), account: WATCHED, trigger: WatcherTrigger.LAMPORT_CHANGE });
    engine.processSlot(1);
    create('before');
    engine.setAccount(WATCHED, { lamports: 5 });
    create('after');
    expect(said(engine.processSlot(2).outcomes)).toEqual(['before']);
    engine.setAccount(WATCHED, { lamports: 6 });
    create('between');
    engine.setAccount(WATCHED, { lamports: 5 });
    expect(said(engine.processSlot(3).outcomes)).toEqual(['between']);
    expect(engine.processSlot(4).outcomes).toEqual([]);
  });

  test('it fires again and again, until it is removed', () => {
    const { engine, watcher } = setUp();
    expect([1, 2, 3].map((slot) => change(engine, slot))).toEqual([1n, 1n, 1n]);
    expect(engine.watchers.get(watcher)).toMatchObject({ triggerCount: 3n, lastTriggerSlot: 3n });
    engine.watchers.remove(watcher);
    expect(change(engine, 4)).toBe(0n);
    expect(engine.watchers.get(watcher)).toBeUndefined();
    expect(engine.watchers.list(WATCHED)).toEqual([]);
    expect(engine.stats()).toMatchObject({ watchersCreated: 1n, watchersActive: 0n, watchersTriggered: 3n });
    for (const method of ['remove', 'pause', 'resume'] as const) {
      expect(() => engine.watchers[method](watcher)).toThrow(expect.objectContaining({ codeName: 'INVALID_WATCHER' }));
    }
  });

  test('triggers that come too early are suppressed and counted', () => {
    const { engine, watcher } = setUp({ minSlotsBetweenTriggers: 3 });
    expect([1, 2, 3, 4, 5, 9, 11, 12].map((slot) => change(engine, slot))).toEqual([1n, 0n, 0n, 1n, 0n, 1n, 0n, 1n]);
    expect(engine.watchers.get(watcher)).toMatchObject({ triggerCount: 4n, suppressedCount: 4n, lastTriggerSlot: 12n });
    expect(engine.stats()).toMatchObject({ watchersTriggered: 4n, watchersSuppressed: 4n });
  });

  test('the rate limit can be changed by the host and by the program', () => {
    const { engine, watcher } = setUp();
    engine.watchers.setMinSlots(watcher, 10);
    expect([1, 10].map((slot) => change(engine, slot))).toEqual([1n, 0n]);
    expect(run(engine, PROGRAM, [['sol_watcher_set_min_slots', watcher, 1]])[0]!.error).toBe(0);
    expect(engine.watchers.get(watcher)!.minSlotsBetweenTriggers).toBe(1n);
    expect(change(engine, 11)).toBe(1n);
  });

  test('while it is paused it does not look; what it missed is not made up for', () => {
    const { engine, watcher } = setUp();
    engine.watchers.pause(watcher);
    expect(change(engine, 1)).toBe(0n);
    expect(engine.watchers.get(watcher)).toMatchObject({ active: false, triggerCount: 0n, suppressedCount: 0n });
    expect(engine.stats().watchersActive).toBe(0n);
    engine.watchers.resume(watcher);
    expect(engine.processSlot(2).watchersTriggered).toBe(0n);
    expect(change(engine, 3)).toBe(1n);
    expect(engine.stats().watchersActive).toBe(1n);
  });

  test('a paused watcher keeps its place in the limit', () => {
    const engine = createEngine({ program: 'conformance' }, { limits: { maxWatchersPerProgram: 1 } });
    const options = { programId: PROGRAM, account: WATCHED, trigger: WatcherTrigger.ANY_CHANGE };
    engine.watchers.pause(engine.watchers.create(options));
    expect(() => engine.watchers.create(options)).toThrow(/already has 1 watchers/);
  });

  test('one that a callback removes does not fire any more, even when it was due in the same slot', () => {
    const { engine, watcher } = setUp();
    engine.tasks.submit({ programId: PROGRAM, data: script([['sol_watcher_remove', watcher]]), priority: 3 });
    engine.updateAccounts([{ address: WATCHED, lamports: 1 }]);
    const report = engine.processSlot(1);
    expect(report.watchersTriggered).toBe(1n);
    expect(report.outcomes.map(({ source }) => source.kind)).toEqual(['task']);
  });

  test('one that changes its own account fires again in the next slot', () => {
    const engine = createEngine({ program: 'counter' });
    engine.setAccount(WATCHED, { lamports: 1_000_000, data: new Uint8Array(8), owner: PROGRAM });
    engine.processSlot(1);
    engine.watchers.create({
      programId: PROGRAM,
      account: WATCHED,
      accounts: [{ address: WATCHED, isWritable: true }],
      trigger: WatcherTrigger.DATA_CHANGE,
    });
    engine.updateAccounts([{ address: WATCHED, lamports: 1_000_000, data: u64(10), owner: PROGRAM }]);
    for (const slot of [2, 3, 4]) expect(engine.processSlot(slot).outcomes.map(({ status }) => status)).toEqual(['committed']);
    expect(engine.getAccount(WATCHED)!.data).toEqual(new Uint8Array(u64(13)));
  });
});
