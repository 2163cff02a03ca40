/** The state hash: equal for equal histories, different when anything that counts differs, and unchanged by looking. */

import { describe, expect, test } from 'vitest';
import { CatchUp, RingState, WatcherTrigger, type AsyncBpfEngine, type EngineOptions } from '../dist/index.js';
import { address } from './support/addresses.js';
import { u64 } from './support/bytes.js';
import { say, script } from './support/conformance.js';
import { createEngine, prebuilt } from './support/engine.js';

const [PROGRAM, OTHER, A] = ['program', 'other', 'a'].map(address) as [string, string, string];

const setUp = (options: EngineOptions = {}) => {
  const engine = createEngine({ program: 'conformance', other: 'conformance' }, options);
  engine.setAccount(A, { lamports: 10, data: Uint8Array.of(1) });
  engine.processSlot(1);
  return engine;
};
const update = (engine: AsyncBpfEngine, more: object) =>
  engine.updateAccounts([{ address: A, lamports: 10, data: Uint8Array.of(1), ...more }]);
const timer = { programId: PROGRAM, triggerSlot: 20 };
const periodic = { programId: PROGRAM, startSlot: 20, periodSlots: 5 };
const watcher = { programId: PROGRAM, account: A, trigger: WatcherTrigger.ANY_CHANGE };
const above = { ...watcher, trigger: WatcherTrigger.THRESHOLD_ABOVE, threshold: 5, offset: 0 };
const pattern = { ...watcher, trigger: WatcherTrigger.PATTERN_MATCH, pattern: Uint8Array.of(1), offset: 0 };
const ring = (engine: AsyncBpfEngine) => engine.rings.create({ programId: PROGRAM, size: 128 });

type Step = (engine: AsyncBpfEngine) => unknown;

/** Pairs of histories that differ in one thing, now and ever after. */
const DIFFERENCES: [string, Step, Step][] = [
  ['lamports', (e) => e.setAccount(A, { lamports: 1 }), (e) => e.setAccount(A, { lamports: 2 })],
  [
    'data',
    (e) => e.setAccount(A, { lamports: 1, data: Uint8Array.of(1) }),
    (e) => e.setAccount(A, { lamports: 1, data: Uint8Array.of(1, 0) }),
  ],
  ['owner', (e) => e.setAccount(A, { lamports: 1, owner: PROGRAM }), (e) => e.setAccount(A, { lamports: 1, owner: OTHER })],
  ['executable', (e) => e.setAccount(A, { lamports: 1, executable: true }), (e) => e.setAccount(A, { lamports: 1 })],
  ['an account that is gone', (e) => e.setAccount(A, { lamports: 0 }), (e) => e.setAccount(A, { lamports: 1 })],
  ['which account', (e) => e.setAccount(address('x'), { lamports: 1 }), (e) => e.setAccount(address('y'), { lamports: 1 })],
  ['a program', (e) => e.addProgram(PROGRAM, prebuilt('counter')), (e) => e.addProgram(PROGRAM, prebuilt('faulty'))],
  ['a program that is gone', (e) => e.removeProgram(PROGRAM), (e) => e.removeProgram(OTHER)],

  ['a timer', (e) => e.timers.create(timer), () => {}],
  ['its trigger slot', (e) => e.timers.create(timer), (e) => e.timers.create({ ...timer, triggerSlot: 21 })],
  ['its deadline', (e) => e.timers.create({ ...timer, deadlineSlot: 20 }), (e) => e.timers.create({ ...timer, deadlineSlot: 21 })],
  ['its priority', (e) => e.timers.create({ ...timer, priority: 0 }), (e) => e.timers.create({ ...timer, priority: 1 })],
  [
    'its data',
    (e) => e.timers.create({ ...timer, data: Uint8Array.of(0) }),
    (e) => e.timers.create({ ...timer, data: Uint8Array.of(0, 0) }),
  ],
  ['its program', (e) => e.timers.create(timer), (e) => e.timers.create({ ...timer, programId: OTHER })],
  ['its budget', (e) => e.timers.create({ ...timer, computeBudget: 1 }), (e) => e.timers.create({ ...timer, computeBudget: 2 })],
  [
    'its accounts',
    (e) => e.timers.create({ ...timer, accounts: [A] }),
    (e) => e.timers.create({ ...timer, accounts: [{ address: A, isWritable: true }] }),
  ],
  [
    'its signers',
    (e) => e.timers.create({ ...timer, accounts: [A] }),
    (e) => e.timers.create({ ...timer, accounts: [{ address: A, isSigner: true }] }),
  ],
  ['that it was cancelled', (e) => e.timers.cancel(e.timers.create(timer)), (e) => e.timers.create(timer)],
  ['its period', (e) => e.timers.createPeriodic(periodic), (e) => e.timers.createPeriodic({ ...periodic, periodSlots: 6 })],
  ['its policy', (e) => e.timers.createPeriodic(periodic), (e) => e.timers.createPeriodic({ ...periodic, catchUp: CatchUp.SKIP })],
  [
    'its number of ticks',
    (e) => e.timers.createPeriodic({ ...periodic, catchUp: CatchUp.ALL, maxTicks: 2 }),
    (e) => e.timers.createPeriodic({ ...periodic, catchUp: CatchUp.ALL, maxTicks: 3 }),
  ],

  ['a watcher', (e) => e.watchers.create(watcher), () => {}],
  ['its account', (e) => e.watchers.create(watcher), (e) => e.watchers.create({ ...watcher, account: OTHER })],
  ['its trigger', (e) => e.watchers.create(watcher), (e) => e.watchers.create({ ...watcher, trigger: WatcherTrigger.DATA_CHANGE })],
  ['its threshold', (e) => e.watchers.create(above), (e) => e.watchers.create({ ...above, threshold: 6 })],
  ['its offset', (e) => e.watchers.create(above), (e) => e.watchers.create({ ...above, offset: 1 })],
  ['its pattern', (e) => e.watchers.create(pattern), (e) => e.watchers.create({ ...pattern, pattern: Uint8Array.of(2) })],
  ['its rate limit', (e) => e.watchers.create(watcher), (e) => e.watchers.create({ ...watcher, minSlotsBetweenTriggers: 2 })],
  [
    'a rate limit that was set',
    (e) => e.watchers.setMinSlots(e.watchers.create(watcher), 2),
    (e) => e.watchers.setMinSlots(e.watchers.create(watcher), 3),
  ],
  ['that it is paused', (e) => e.watchers.pause(e.watchers.create(watcher)), (e) => e.watchers.create(watcher)],
  ['that it was removed', (e) => e.watchers.remove(e.watchers.create(watcher)), (e) => e.watchers.create(watcher)],

  ['a ring buffer', ring, () => {}],
  ['its size', (e) => e.rings.create({ programId: PROGRAM, size: 64 }), (e) => e.rings.create({ programId: PROGRAM, size: 65 })],
  ['its reader', (e) => e.rings.create({ programId: PROGRAM, reader: 'host' }), (e) => e.rings.create({ programId: PROGRAM })],
  ['its state', (e) => e.rings.setState(ring(e), RingState.PAUSED), (e) => e.rings.setState(ring(e), RingState.CLOSED)],
  ['an entry', (e) => e.rings.push(ring(e), Uint8Array.of(1)), (e) => e.rings.push(ring(e), Uint8Array.of(2))],
  ['an entry before another', (e) => pushAll(e, 1, 9), (e) => pushAll(e, 2, 9)],
  ['the length of an entry', (e) => e.rings.push(ring(e), Uint8Array.of(0)), (e) => e.rings.push(ring(e), Uint8Array.of(0, 0))],
  [
    'an entry that was taken',
    (e) => {
      const id = ring(e);
      e.rings.push(id, Uint8Array.of(1));
      e.rings.pop(id);
    },
    ring,
  ],
  ['a grant', (e) => e.rings.grant(ring(e), OTHER, 1), (e) => e.rings.grant(ring(e), OTHER, 2)],
  ['who has a grant', (e) => e.rings.grant(ring(e), OTHER, 1), (e) => e.rings.grant(ring(e), A, 1)],

  ['draining', (e) => e.drain(), () => {}],
  ['an invocation, though it failed', (e) => e.invoke({ programId: PROGRAM }), () => {}],
  [
    'what an invocation did',
    (e) => e.invoke({ programId: PROGRAM, data: script([['sol_ring_buffer_create', 64]]) }),
    (e) => e.invoke({ programId: PROGRAM, data: script([['sol_ring_buffer_create', 65]]) }),
  ],
];

/** Pairs that differ in what waits for the next slot. */
const task = { programId: PROGRAM, data: say('x') };
const PENDING: [string, Step, Step][] = [
  ['a task', (e) => e.tasks.submit(task), () => {}],
  ['its data', (e) => e.tasks.submit(task), (e) => e.tasks.submit({ ...task, data: say('y') })],
  ['its priority', (e) => e.tasks.submit({ ...task, priority: 0 }), (e) => e.tasks.submit({ ...task, priority: 3 })],
  ['its deadline', (e) => e.tasks.submit({ ...task, deadlineSlot: 5 }), (e) => e.tasks.submit({ ...task, deadlineSlot: 6 })],
  ['a pending update', (e) => update(e, { lamports: 11 }), () => {}],
  ['the state in it', (e) => update(e, { lamports: 11 }), (e) => update(e, { lamports: 12 })],
  ['its write version', (e) => update(e, { writeVersion: 1 }), (e) => update(e, { writeVersion: 2 })],
  [
    'the order of two updates',
    (e) => [11, 12].forEach((lamports) => update(e, { lamports })),
    (e) => [12, 11].forEach((lamports) => update(e, { lamports })),
  ],
  ['the order in which accounts were touched', (e) => touch(e, 'a', 'b'), (e) => touch(e, 'b', 'a')],
];

function pushAll(engine: AsyncBpfEngine, ...entries: number[]): void {
  const id = ring(engine);
  for (const entry of entries) engine.rings.push(id, Uint8Array.of(entry));
}

function touch(engine: AsyncBpfEngine, ...names: string[]) {
  engine.updateAccounts(names.map((name) => ({ address: address(name), lamports: 3 })));
}

describe('tells histories apart by', () => {
  test.each(DIFFERENCES)('%s, at once and after the next slot', (_, one, another) => {
    const [first, second, again] = [setUp(), setUp(), setUp()];
    expect(first.stateHash()).toBe(second.stateHash());
    one(first);
    another(second);
    one(again);
    expect(first.stateHash()).not.toBe(second.stateHash());
    expect(first.stateHash()).toBe(again.stateHash());
    for (const engine of [first, second, again]) engine.processSlot(2);
    expect(first.stateHash()).not.toBe(second.stateHash());
    expect(first.stateHash()).toBe(again.stateHash());
  });

  test.each(PENDING)('%s, at once', (_, one, another) => {
    const [first, second, again] = [setUp(), setUp(), setUp()];
    one(first);
    another(second);
    one(again);
    expect(first.stateHash()).not.toBe(second.stateHash());
    expect(first.stateHash()).toBe(again.stateHash());
  });

  test('a ring buffer of an earlier slot that is gone', () => {
    const [first, second] = [setUp(), setUp()];
    const id = ring(first);
    ring(second);
    for (const engine of [first, second]) engine.processSlot(2);
    expect(first.stateHash()).toBe(second.stateHash());
    first.rings.destroy(id);
    expect(first.stateHash()).not.toBe(second.stateHash());
  });

  test('the write version that was applied', () => {
    const [first, second] = [setUp(), setUp()];
    update(first, { lamports: 11, writeVersion: 5 });
    update(second, { lamports: 11, writeVersion: 6 });
    for (const engine of [first, second]) engine.processSlot(2);
    expect(first.stateHash()).not.toBe(second.stateHash());
  });

  test('the write version that was applied to an account that is gone: it decides what a later update does', () => {
    const [first, second] = [setUp(), setUp()];
    update(first, { lamports: 0, writeVersion: 5 });
    update(second, { lamports: 0, writeVersion: 9 });
    const hashes = [first, second].map((engine) => engine.processSlot(2).stateHash);
    for (const engine of [first, second]) {
      update(engine, { lamports: 7, writeVersion: 7 });
      engine.processSlot(3);
    }
    expect([first, second].map((engine) => engine.getAccount(A)?.lamports)).toEqual([7n, undefined]);
    expect(hashes[0]).not.toBe(hashes[1]);
  });

  test('whether a trigger counted, was suppressed, or was not looked for', () => {
    const histories = ['counted', 'suppressed', 'paused'].map((kind) => {
      const engine = setUp();
      const id = engine.watchers.create({ ...watcher, programId: OTHER, minSlotsBetweenTriggers: kind === 'suppressed' ? 100 : 1 });
      update(engine, { lamports: 20 });
      engine.processSlot(2);
      engine.watchers.setMinSlots(id, 50);
      if (kind === 'counted') engine.watchers.setMinSlots(id, 1);
      if (kind === 'paused') engine.watchers.pause(id);
      update(engine, { lamports: 21 });
      engine.processSlot(3);
      engine.watchers.setMinSlots(id, 1);
      engine.watchers.resume(id);
      return engine.processSlot(4).stateHash;
    });
    expect(new Set(histories).size).toBe(3);
  });

  test('a task that waits for room', () => {
    const waiting = (data: Uint8Array) => {
      const engine = setUp({ limits: { maxComputeBudget: 10_000, slotComputeLimit: 10_000 } });
      for (const each of [say('first'), data]) engine.tasks.submit({ ...task, data: each, computeBudget: 10_000 });
      return engine.processSlot(2).stateHash;
    };
    expect(waiting(say('a'))).not.toBe(waiting(say('b')));
    expect(waiting(say('a'))).toBe(waiting(say('a')));
  });

  test('a trigger that waits for room, and its values', () => {
    const waiting = (value: number) => {
      const engine = setUp({ limits: { maxScheduledTasks: 1 } });
      engine.watchers.create({ ...above, threshold: 1 });
      engine.timers.create({ programId: PROGRAM, triggerSlot: 2 });
      engine.updateAccounts([{ address: A, lamports: 10, data: u64(value) }]);
      engine.processSlot(2);
      // The same from here on, but for what the callback will be told.
      engine.setAccount(A, { lamports: 10, data: u64(0) });
      return engine.stateHash();
    };
    expect(waiting(5)).not.toBe(waiting(6));
    expect(waiting(5)).toBe(waiting(5));
  });

  test('slot, time, limits and start', () => {
    const after = (process: Step, options?: EngineOptions) => {
      const engine = setUp(options);
      process(engine);
      return engine.stateHash();
    };
    const hashes = [
      after(() => {}),
      after(() => {}, { limits: { maxTimersPerProgram: 17 } }),
      after(() => {}, { startTimestamp: 1 }),
      after((e) => e.processSlot(2)),
      after((e) => e.processSlot(3)),
      after((e) => [2, 3].forEach((slot) => e.processSlot(slot))),
      after((e) => e.processSlot(2, { unixTimestamp: 5 })),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});

describe('looking', () => {
  test('changes neither the hash nor a later one', () => {
    const [first, second] = [setUp(), setUp()];
    for (const engine of [first, second]) {
      const look = () => engine === first && engine.stateHash();
      engine.timers.create(timer);
      look();
      engine.watchers.create(watcher);
      look();
      update(engine, { lamports: 11 });
      look();
      look();
      engine.tasks.submit(task);
      look();
    }
    expect(first.stateHash()).toBe(first.stateHash());
    expect(first.stateHash()).toBe(second.stateHash());
    for (const slot of [2, 3, 20]) expect(first.processSlot(slot).stateHash).toBe(second.processSlot(slot).stateHash);
  });

  test('at anything else does not change it either', () => {
    const engine = setUp();
    const id = engine.timers.create(timer);
    const before = engine.stateHash();
    engine.stats();
    engine.getAccount(A);
    engine.getAccount('SysvarC1ock11111111111111111111111111111111');
    engine.timers.get(id);
    engine.timers.list(PROGRAM);
    engine.watchers.list(A);
    engine.rings.get(1);
    expect(engine.slot).toBe(1n);
    expect(engine.stateHash()).toBe(before);
  });

  test('after a slot gives what its report says', () => {
    const engine = setUp();
    const report = engine.processSlot(2);
    expect(report.stateHash).toMatch(/^[0-9a-f]{64}$/);
    expect(engine.stateHash()).toBe(report.stateHash);
  });

  test('a slot in which nothing happens has a hash of its own', () => {
    const engine = setUp();
    expect(engine.processSlot(2).stateHash).not.toBe(engine.processSlot(3).stateHash);
  });
});
