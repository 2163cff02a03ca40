/** The world: a clock of slots, and what it remembers. */

import { AssertionError } from 'node:assert';
import { pathToFileURL } from 'node:url';
import { describe, expect, expectTypeOf, onTestFinished, test } from 'vitest';
import { AsyncBpfEngine, AsyncBpfError, CatchUp, WatcherTrigger, type SlotReport } from '../dist/index.js';
import {
  createWorld,
  dataAccount,
  namedAddresses,
  readI64,
  readU64,
  systemAccount,
  u64,
  World,
  type AccountChange,
  type SlotOutcome,
  type WorldOptions,
} from '../dist/testing/index.js';
import { say, said, script } from './support/conformance.js';
import { prebuilt } from './support/engine.js';

const [PROGRAM, SCRIPTED, COUNTER, WALLET] = namedAddresses('program', 'scripted', 'counter', 'wallet');
const FILE = 'programs/prebuilt/counter.so';
const CLOCK = 'SysvarC1ock11111111111111111111111111111111';

/** For what TypeScript would not allow either. */
const wrong = (value: unknown): never => value as never;

/** A world with a program that counts, one that does what it is told, and a wallet. */
function setUp(options: WorldOptions = {}): World {
  const world = createWorld({
    programs: { [PROGRAM]: FILE, [SCRIPTED]: prebuilt('conformance') },
    accounts: { [COUNTER]: dataAccount(PROGRAM, 8), [WALLET]: systemAccount() },
    ...options,
  });
  onTestFinished(() => world.close());
  return world;
}

const counting = { programId: PROGRAM, accounts: [{ address: COUNTER, isWritable: true }] };
const count = (world: World) => readU64(world.engine.getAccount(COUNTER)!.data);
const unixTime = (world: World) => readI64(world.engine.getAccount(CLOCK)!.data, 32);
const slots = (reports: readonly SlotReport[]) => reports.map(({ slot }) => Number(slot));

function refusal(call: () => unknown): AsyncBpfError {
  try {
    call();
  } catch (error) {
    if (AsyncBpfError.is(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

test('a useful test takes five lines', () => {
  const world = setUp();
  world.invoke({ ...counting, data: Uint8Array.of(1) });
  world.advance(10);
  expect(count(world)).toBe(11n);
});

describe('creating a world', () => {
  test.each([
    ['a path', FILE],
    ['a file URL', pathToFileURL(FILE)],
    ['bytes', prebuilt('counter')],
  ])('takes a program as %s', (_, program) => {
    const world = setUp({ programs: { [PROGRAM]: program } });
    expect(world.invoke(counting).status).toBe('committed');
  });

  test('passes on what an engine is created with', () => {
    const world = setUp({ startSlot: 40, startTimestamp: 1_000, limits: { maxTimersPerProgram: 1 }, workers: 2 });
    expect([world.slot, unixTime(world)]).toEqual([40n, 1_000n]);
    world.engine.timers.create({ ...counting, triggerSlot: 50 });
    expect(() => world.engine.timers.create({ ...counting, triggerSlot: 50 })).toThrow(/already has 1 live timers/);
  });

  test('needs nothing', () => {
    using world = createWorld();
    expect(slots(world.advance(2))).toEqual([1, 2]);
  });

  test('the engine is closed with the world, also by using', () => {
    let left: World;
    {
      using world = createWorld();
      left = world;
    }
    left.close();
    expect(refusal(() => left.advance()).codeName).toBe('SHUTDOWN');
  });

  test.each<[string, () => unknown, RegExp]>([
    [
      'an unknown option',
      () => createWorld(wrong({ program: {} })),
      /^options is "program", but must be made of workers, .*programs, accounts, unixTimestamp$/,
    ],
    ['no options', () => createWorld(wrong(null)), /^options is null, but must be an object$/],
    [
      'a file that is not there',
      () => createWorld({ programs: { [PROGRAM]: 'no/such.so' } }),
      new RegExp(`^programs\\["${PROGRAM}"\\] is "no/such.so", but must be a file that can be read: ENOENT`),
    ],
    ['a file that is no program', () => createWorld({ programs: { [PROGRAM]: 'package.json' } }), /elf/i],
    [
      'an address that is none',
      () => createWorld({ programs: { counter: FILE } }),
      /^a key of programs is "counter", but must be an address/,
    ],
    [
      'accounts under a name',
      () => createWorld({ accounts: { wallet: systemAccount() } }),
      /^a key of accounts is "wallet", but must be an address/,
    ],
    ['accounts that are none', () => createWorld({ accounts: { [WALLET]: wrong({ lamports: -1 }) } }), /^accounts\[0\]\.lamports is -1/],
    ['programs that are none', () => createWorld({ programs: { [PROGRAM]: wrong(7) } }), /^elf is 7/],
    ['programs in a list', () => createWorld({ programs: wrong('x') }), /^programs is "x", but must be an object$/],
    ['a limit out of range', () => createWorld({ limits: { maxTimersPerProgram: -1 } }), /^maxTimersPerProgram is -1/],
    [
      'a time instead of a clock',
      () => createWorld({ unixTimestamp: wrong(5) }),
      /^unixTimestamp is 5, but must be a function from a slot to seconds since 1970$/,
    ],
  ])('refuses %s', (_, call, message) => {
    const error = refusal(call);
    expect([error.codeName, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringMatching(message)]);
  });

  test('an engine that is there already gets a clock as well', () => {
    const engine = new AsyncBpfEngine({ workers: 1, startSlot: 7 });
    onTestFinished(() => engine.close());
    const world = new World(engine);
    expect(world.engine).toBe(engine);
    expect(slots(world.advance(2))).toEqual([8, 9]);
    expect(refusal(() => new World(wrong({}))).message).toBe('engine is an object, but must be an AsyncBpfEngine');
    expect(refusal(() => new World(engine, wrong({ slot: 1 }))).message).toBe('options is "slot", but must be made of unixTimestamp');
    expect(refusal(() => new World(engine, { unixTimestamp: wrong(1) })).message).toMatch(/^unixTimestamp is 1/);
  });
});

describe('the clock', () => {
  test('advances by slots, to a slot, and past slots', () => {
    const world = setUp();
    expect(slots(world.advance())).toEqual([1]);
    expect(slots(world.advance(3n))).toEqual([2, 3, 4]);
    expect(slots(world.advanceTo(6))).toEqual([5, 6]);
    expect(world.skipTo(100).slot).toBe(100n);
    expect(world.slot).toBe(100n);
    expect(slots(world.reports)).toEqual([1, 2, 3, 4, 5, 6, 100]);
    expect(world.engine.stats().slotsProcessed).toBe(7n);
  });

  test('processes each slot on the way, and skips those that it is to skip', () => {
    const run = (move: (world: World) => unknown) => {
      const world = setUp();
      world.engine.timers.createPeriodic({ ...counting, startSlot: 2, periodSlots: 2, catchUp: CatchUp.SKIP });
      move(world);
      return count(world);
    };
    expect([run((world) => world.advanceTo(9)), run((world) => world.advance(9)), run((world) => world.skipTo(9))]).toEqual([4n, 4n, 0n]);
  });

  test('tells the time that it is told', () => {
    const world = setUp({ unixTimestamp: (slot) => 1_700_000_000n + slot * 2n });
    world.advance(5);
    expect(unixTime(world)).toBe(1_700_000_010n);
    world.skipTo(10, { unixTimestamp: 3 });
    expect(unixTime(world)).toBe(3n);
    world.skipTo(20, {});
    expect(unixTime(world)).toBe(1_700_000_040n);
  });

  test('without that, a slot takes 400 ms', () => {
    const world = setUp({ startTimestamp: 100 });
    world.advance(10);
    expect(unixTime(world)).toBe(104n);
  });

  test('runs until a condition is met, and no further', () => {
    const world = setUp();
    const timer = world.engine.timers.create({ ...counting, triggerSlot: 4 });
    const asked: bigint[] = [];
    const report = world.advanceUntil((report) => {
      asked.push(report.slot);
      return report.timersFired > 0n;
    }, 10);
    expect([report.slot, report.outcomes[0]!.source.id, world.slot]).toEqual([4n, timer, 4n]);
    expect(asked).toEqual([1n, 2n, 3n, 4n]);
    expect(world.advanceUntil(() => count(world) === 1n).slot).toBe(5n);
  });

  test('says what ran instead when a condition is not met in time', () => {
    const world = setUp();
    world.engine.timers.create({ ...counting, triggerSlot: 1 });
    world.advance();
    const timer = world.engine.timers.create({ ...counting, triggerSlot: 3 });
    const watcher = world.engine.watchers.create({
      programId: SCRIPTED,
      data: script([], 1),
      account: COUNTER,
      trigger: WatcherTrigger.DATA_CHANGE,
    });
    const thrown = (() => {
      try {
        world.advanceUntil(() => count(world) === 5n, 4);
      } catch (error) {
        return error;
      }
    })();
    expect(thrown).toBeInstanceOf(AssertionError);
    const { message } = thrown as AssertionError;
    expect(message.replace(/[\d,]+ units/g, 'n units')).toBe(
      [
        'the condition was not met in slots 2 to 5. What ran there:',
        `  slot 3: timer ${timer} of "program" (${PROGRAM}): committed, n units`,
        `  slot 4: watcher ${watcher} of "scripted" (${SCRIPTED}): failed: custom program error: 0x7 (EXECUTION_FAILED, Custom 7), n units`,
      ].join('\n'),
    );
    expect(world.slot).toBe(5n);
    expect(() => world.advanceUntil(() => false, 1)).toThrow('the condition was not met in slot 6. What ran there:\n  nothing ran');
  });

  test('a message has no more lines than can be read', () => {
    const world = setUp();
    world.invoke({ ...counting, data: Uint8Array.of(1) });
    expect(() => world.advanceUntil(() => false, 25)).toThrow(/slot 20: .*\n {2}… and 5 more$/);
  });

  test.each<[string, (world: World) => unknown, string, string?]>([
    ['advance, no slots', (world) => world.advance(0), 'slots is 0, but must be in [1, 1000000]; skipTo() goes further in one step'],
    [
      'advance, too many',
      (world) => world.advance(1_000_001),
      'slots is 1000001, but must be in [1, 1000000]; skipTo() goes further in one step',
    ],
    [
      'advance, a fraction',
      (world) => world.advance(1.5),
      'slots is 1.5, but must be a bigint in [0, 2^64 - 1] or a non-negative safe integer',
    ],
    [
      'advanceTo, now',
      (world) => world.advanceTo(3),
      'slot is 3, but must be in [4, 1000003], since slot 3 was the last; skipTo() goes further in one step',
    ],
    [
      'advanceTo, far',
      (world) => world.advanceTo(1_000_004n),
      'slot is 1000004n, but must be in [4, 1000003], since slot 3 was the last; skipTo() goes further in one step',
    ],
    [
      'advanceTo, text',
      (world) => world.advanceTo(wrong('5')),
      'slot is "5", but must be a bigint in [0, 2^64 - 1] or a non-negative safe integer',
    ],
    ['skipTo, the past', (world) => world.skipTo(3), 'slot is 3, but must be above the current slot, 3', 'INVALID_SLOT'],
    ['skipTo, no slot', (world) => world.skipTo(-1), 'slot is -1, but must be a bigint in [0, 2^64 - 1] or a non-negative safe integer'],
    ['skipTo, an unknown option', (world) => world.skipTo(9, wrong({ time: 1 })), 'options is "time", but must be made of unixTimestamp'],
    [
      'advanceUntil, no condition',
      (world) => world.advanceUntil(wrong(true)),
      'condition is true, but must be a function that gets a report',
    ],
    [
      'advanceUntil, no slots',
      (world) => world.advanceUntil(() => true, 0),
      'atMost is 0, but must be in [1, 1000000]; skipTo() goes further in one step',
    ],
  ])('%s, is refused, and nothing is processed', (_, call, message, code = 'INVALID_ARGUMENT') => {
    const world = setUp();
    world.advance(3);
    const error = refusal(() => call(world));
    expect(error.codeName).toBe(code);
    if (code === 'INVALID_ARGUMENT') expect(error.message).toBe(message);
    expect([world.slot, slots(world.reports)]).toEqual([3n, [1, 2, 3]]);
  });

  test('a condition has to answer at once', () => {
    const world = setUp();
    expect(refusal(() => world.advanceUntil(wrong(async () => true))).message).toBe(
      'what condition returned is an object, but must be true or false, and no promise of it',
    );
    expect(refusal(() => world.advanceUntil(wrong(() => undefined))).message).toMatch(/^what condition returned is undefined/);
  });

  test('a clock that tells no time is refused, and the slot is not processed', () => {
    const world = setUp({ unixTimestamp: () => wrong('noon') });
    expect(refusal(() => world.advance()).message).toMatch(/^unixTimestamp is "noon"/);
    expect(world.slot).toBe(0n);
  });

  test('the last slot there is can be reached, and not passed', () => {
    const world = setUp({ startSlot: 2n ** 64n - 3n });
    world.advance(2);
    expect(refusal(() => world.advance()).message).toMatch(/^slot is 18446744073709551616n, but must be /);
    expect(world.reports).toHaveLength(2);
  });
});

describe('what ran', () => {
  test('has all outcomes in order, with their slots, and those of invocations', () => {
    const world = setUp();
    const invoked = world.invoke({ ...counting, data: Uint8Array.of(1) });
    world.advance(2);
    world.invoke({ programId: SCRIPTED, data: say('now') });
    expect(world.outcomes().map(({ slot, source }) => [slot, source.kind])).toEqual([
      [0n, 'invoke'],
      [1n, 'timer'],
      [2n, 'timer'],
      [2n, 'invoke'],
    ]);
    expect(invoked).toEqual(world.outcomes()[0]);
    expect(world.outcomes().slice(1, 3)).toEqual(
      world.reports.flatMap(({ slot, outcomes }) => outcomes.map((outcome) => ({ slot, ...outcome }))),
    );
    expect(said(world.outcomes())).toEqual(['now']);
    expect(world.outcomes().of).toBe('this world');
  });

  test('can be asked for by timer, watcher, task and program', () => {
    const world = setUp();
    const { timers, watchers, tasks } = world.engine;
    const timer = timers.createPeriodic({ ...counting, startSlot: 2, periodSlots: 3 });
    const watcher = watchers.create({ programId: SCRIPTED, data: say('seen'), account: COUNTER, trigger: WatcherTrigger.DATA_CHANGE });
    const task = tasks.submit({ programId: SCRIPTED, data: say('done') });
    expect(world.outcomes(task)).toHaveLength(0);
    expect([timer, watcher, task, PROGRAM].map((of) => world.outcomes(of).of)).toEqual([
      `timer ${timer}`,
      `watcher ${watcher}`,
      `task ${task.id}`,
      `program "program" (${PROGRAM})`,
    ]);
    world.advance(6);
    expect(world.outcomes(timer).slots).toEqual([2n, 5n]);
    expect(world.outcomes(watcher).slots).toEqual([3n, 6n]);
    expect(world.outcomes(task).slots).toEqual([1n]);
    expect(world.outcomes(task.id).slots).toEqual([1n]);
    expect(world.outcomes(Number(timer)).slots).toEqual([2n, 5n]);
    expect(world.outcomes(PROGRAM).slots).toEqual([2n, 5n]);
    expect(said(world.outcomes(SCRIPTED))).toEqual(['done', 'seen', 'seen']);
  });

  test('what expired did not run, and nor did what was invoked fire', () => {
    const world = setUp();
    const timer = world.engine.timers.create({ ...counting, triggerSlot: 2, deadlineSlot: 3 });
    world.skipTo(4);
    world.invoke(counting);
    expect(world.outcomes(timer)).toMatchObject([{ slot: 4n, status: 'expired' }]);
    expect(world.outcomes(timer).slots).toEqual([]);
    expect(world.outcomes(PROGRAM)).toHaveLength(2);
    expect(world.outcomes(PROGRAM).slots).toEqual([]);
  });

  test('two callbacks in one slot are one slot', () => {
    const world = setUp();
    for (let n = 0; n < 2; n++) world.engine.timers.create({ ...counting, triggerSlot: 1 });
    world.advance();
    expect(world.outcomes(PROGRAM)).toHaveLength(2);
    expect(world.outcomes(PROGRAM).slots).toEqual([1n]);
  });

  test('is an array, whose parts are arrays; what ran is a copy that does not grow', () => {
    const world = setUp();
    world.engine.timers.createPeriodic({ ...counting, startSlot: 1, periodSlots: 1 });
    world.advance(2);
    const before = world.outcomes(PROGRAM);
    world.advance();
    expect(Array.isArray(before)).toBe(true);
    expect(before).toHaveLength(2);
    expect(before.filter(({ slot }) => slot > 1n).constructor).toBe(Array);
    expectTypeOf(before[0]!).toExtend<SlotOutcome>();
  });

  test('a timer that is over and forgotten by the engine is known while it is in the history', () => {
    const world = setUp();
    const timer = world.engine.timers.create({ ...counting, triggerSlot: 1 });
    world.advanceTo(200);
    expect(world.engine.timers.get(timer)).toBeUndefined();
    expect(world.outcomes(timer)).toHaveLength(1);
    world.forget();
    expect(() => world.outcomes(timer)).toThrow('of is ');
  });

  test('a program that was removed is known while it is in the history', () => {
    const world = setUp();
    world.invoke(counting);
    world.engine.removeProgram(PROGRAM);
    expect(world.outcomes(PROGRAM)).toHaveLength(1);
  });

  test.each<[string, (world: World) => unknown, RegExp]>([
    [
      'an id that nobody has',
      (world) => world.outcomes(5),
      /^of is 5, but must be the id of a timer or watcher that the engine has or that ran in this history; a task is named by its handle$/,
    ],
    [
      'the id of a ring buffer',
      (world) => world.outcomes(world.engine.rings.create({ programId: PROGRAM })),
      /^of is \d+n, but must be the id of a timer or watcher/,
    ],
    [
      'an address without a program',
      (world) => world.outcomes(WALLET),
      /^of is ".*", but must be the address of a program that .*; "wallet" \(.*\) is none$/,
    ],
    ['text', (world) => world.outcomes('counter'), /^of is "counter", but must be an address/],
    ['null', (world) => world.outcomes(wrong(null)), /^of is null, but must be an address/],
    ['a handle without an id', (world) => world.outcomes(wrong({ id: 'x', outcome: null })), /^of\.id is "x"/],
  ])('%s, is refused', (_, call, message) => {
    const error = refusal(() => call(setUp()));
    expect([error.codeName, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringMatching(message)]);
  });

  test('an invocation that is refused is not in the history', () => {
    const world = setUp();
    expect(refusal(() => world.invoke({ programId: WALLET, accounts: [{ address: PROGRAM, isWritable: true }] })).codeName).toBe(
      'UNKNOWN_PROGRAM',
    );
    expect(refusal(() => world.invoke(wrong(undefined))).message).toBe('options is undefined, but must be an object');
    expect(refusal(() => world.invoke(wrong({ programId: PROGRAM, account: 1 }))).message).toMatch(/^options is "account"/);
    expect(refusal(() => world.invoke({ programId: PROGRAM, accounts: [wrong(1)] })).message).toMatch(/^accounts\[0\] is 1/);
    expect(refusal(() => world.invoke({ programId: PROGRAM, accounts: wrong(1) })).message).toBe('accounts is 1, but must be an array');
    expect(world.outcomes()).toHaveLength(0);
    expect(world.tracked).toEqual([COUNTER, WALLET]);
  });

  test('accounts of an invocation may come from an iterable', () => {
    const world = setUp();
    expect(world.invoke({ ...counting, accounts: new Set(counting.accounts).values() }).status).toBe('committed');
  });
});

describe('what changed', () => {
  test('is noted slot by slot, with the states before and after', () => {
    const world = setUp();
    world.engine.timers.createPeriodic({ ...counting, startSlot: 2, periodSlots: 2 });
    world.advance(4);
    const states = [0, 1, 2].map((n) => dataAccount(PROGRAM, u64(n)));
    expect(world.changes(COUNTER)).toEqual([
      { slot: 2n, before: states[0], after: states[1] },
      { slot: 4n, before: states[1], after: states[2] },
    ]);
    expect(world.changes(WALLET)).toEqual([]);
    // One that is tracked already stays as it is tracked; what comes after a slot is a change of its own.
    world.track(COUNTER);
    world.engine.setAccount(COUNTER, dataAccount(PROGRAM, u64(9)));
    world.advance();
    expect(world.changes(COUNTER).map(({ slot, after }) => [slot, after?.data])).toEqual([
      [2n, u64(1)],
      [4n, u64(2)],
      [4n, u64(9)],
    ]);
    world.advance();
    world.engine.setAccount(COUNTER, dataAccount(PROGRAM, 8));
    expect(
      world
        .changes(COUNTER)
        .map(({ slot, after }) => [slot, after?.data])
        .slice(3),
    ).toEqual([
      [6n, u64(10)],
      [6n, u64(0)],
    ]);
    expectTypeOf(world.changes(WALLET)).toEqualTypeOf<AccountChange[]>();
  });

  test('also between slots, by invocations and by the host', () => {
    const world = setUp();
    world.advance(3);
    world.invoke(counting);
    world.engine.setAccount(WALLET, systemAccount(5));
    world.engine.setAccount(COUNTER, { lamports: 0 });
    expect(world.changes(COUNTER).map(({ slot, after }) => [slot, after?.data])).toEqual([
      [3n, u64(1)],
      [3n, undefined],
    ]);
    world.engine.setAccount(WALLET, systemAccount(6));
    world.advance();
    expect(world.changes(WALLET).map(({ slot, after }) => [slot, after?.lamports])).toEqual([
      [3n, 5n],
      [3n, 6n],
    ]);
  });

  test.each<[string, AccountChange['after']]>([
    ['lamports', { ...dataAccount(PROGRAM, 8), lamports: 1n }],
    ['data', dataAccount(PROGRAM, u64(1))],
    ['length', dataAccount(PROGRAM, 9, { lamports: dataAccount(PROGRAM, 8).lamports })],
    ['owner', dataAccount(SCRIPTED, 8)],
    ['executable', { ...dataAccount(PROGRAM, 8), executable: true }],
    ['existence', undefined],
  ])('a change of its %s is one', (_, after) => {
    const world = setUp();
    world.engine.setAccount(COUNTER, after ?? { lamports: 0 });
    expect(world.changes(COUNTER)).toEqual([{ slot: 0n, before: dataAccount(PROGRAM, 8), after }]);
  });

  test('accounts that come later are tracked when somebody says so, and those that an invocation may write', () => {
    const world = setUp();
    const [later, writable, readonly] = namedAddresses('later', 'writable', 'readonly');
    world.track(later, COUNTER);
    world.invoke({ programId: SCRIPTED, data: say('x'), accounts: [{ address: writable, isWritable: true }, readonly] });
    world.advance();
    world.engine.setAccount(later, systemAccount(1));
    expect(world.changes(later)).toEqual([{ slot: 1n, before: undefined, after: systemAccount(1) }]);
    expect(world.tracked).toEqual([COUNTER, WALLET, later, writable]);
    expect(refusal(() => world.changes(readonly)).message).toBe(
      `address is "${readonly}", but must be that of a tracked account: call world.track() for "readonly" (${readonly}) before it changes`,
    );
    expect(refusal(() => world.changes('x')).message).toMatch(/^address is "x", but must be an address/);
    expect(refusal(() => world.track(readonly, wrong(1))).message).toMatch(/^addresses\[1\] is 1/);
    expect(world.tracked).not.toContain(readonly);
  });
});

test('a history that is forgotten begins anew', () => {
  const world = setUp();
  world.engine.timers.createPeriodic({ ...counting, startSlot: 1, periodSlots: 1 });
  world.advance(3);
  world.engine.setAccount(WALLET, systemAccount(1));
  world.forget();
  expect([world.reports, [...world.outcomes()], world.changes(COUNTER), world.changes(WALLET)]).toEqual([[], [], [], []]);
  expect([world.slot, world.tracked]).toEqual([3n, [COUNTER, WALLET]]);
  world.advance();
  expect(world.outcomes(PROGRAM).slots).toEqual([4n]);
  expect(world.changes(COUNTER)).toMatchObject([{ slot: 4n, before: { data: u64(3) } }]);
});

test('what was remembered outlives the engine', () => {
  const world = setUp();
  world.invoke(counting);
  world.advance();
  world.close();
  expect([world.reports.length, world.outcomes().length]).toEqual([1, 1]);
  expect(refusal(() => world.advance()).codeName).toBe('SHUTDOWN');
  expect(refusal(() => world.invoke(counting)).codeName).toBe('SHUTDOWN');
  expect(refusal(() => world.track(PROGRAM)).codeName).toBe('SHUTDOWN');
});

test('watching changes nothing: the state is that of an engine without a world', () => {
  const run = (drive: (engine: AsyncBpfEngine) => void) => {
    const engine = new AsyncBpfEngine({ workers: 1 });
    onTestFinished(() => engine.close());
    engine.addProgram(PROGRAM, prebuilt('counter'));
    engine.setAccount(COUNTER, dataAccount(PROGRAM, 8));
    engine.timers.createPeriodic({ ...counting, startSlot: 2, periodSlots: 3 });
    drive(engine);
    return engine.stateHash();
  };
  const watched = run((engine) => {
    const world = new World(engine);
    world.track(COUNTER);
    world.invoke(counting);
    world.advance(20);
    world.changes(COUNTER);
  });
  const bare = run((engine) => {
    engine.invoke(counting);
    for (let slot = 1; slot <= 20; slot++) engine.processSlot(slot);
  });
  expect(watched).toBe(bare);
});
