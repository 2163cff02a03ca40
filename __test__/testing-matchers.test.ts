/** The matchers: when they pass, what they say when they do not, and what they refuse to look at. */

import { describe, expect, expectTypeOf, onTestFinished, test } from 'vitest';
import { AsyncBpfError, ErrorCode, WatcherTrigger, type Outcome } from '../dist/index.js';
import {
  asyncBpfMatchers,
  createWorld,
  dataAccount,
  namedAddress,
  namedAddresses,
  systemAccount,
  type AsyncBpfMatchers,
  type World,
} from '../dist/testing/index.js';
import '../dist/testing/vitest.mjs';
import { say, script } from './support/conformance.js';
import { prebuilt } from './support/engine.js';
import { refusal } from './support/refusal.js';

const [COUNTING, SCRIPTED, COUNTER, WALLET] = namedAddresses('count', 'scripted', 'counter', 'wallet');
const counting = { programId: COUNTING, accounts: [{ address: COUNTER, isWritable: true }] };
/** Its program logs, and ends with custom error 7. */
const failing = { programId: SCRIPTED, data: script([['log', new TextEncoder().encode('about to fail')]], 1) };

/** For what TypeScript would not allow either. */
const wrong = (value: unknown): never => value as never;

function setUp(): World {
  const world = createWorld({
    programs: { [COUNTING]: 'programs/prebuilt/counter.so', [SCRIPTED]: prebuilt('conformance') },
    accounts: { [COUNTER]: dataAccount(COUNTING, 8), [WALLET]: systemAccount() },
  });
  onTestFinished(() => world.close());
  return world;
}

/** The message with which an expectation fails, without numbers of units. */
function failure(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (AsyncBpfError.is(error)) throw error;
    return (error as Error).message.replace(/[\d,]+ units/g, 'n units').replace(/consumed \d+ of \d+/g, 'consumed n of n');
  }
  throw new Error('the expectation was met');
}

/** What a matcher refuses, it refuses with `.not` as well. */
function refusals(subject: unknown, look: (expectation: AsyncBpfMatchers) => void): string {
  const messages = [refusal(() => look(expect(subject))), refusal(() => look(expect(subject).not))];
  expect(messages[0]).toBe(messages[1]);
  return messages[0]!;
}

describe('toHaveFiredAt', () => {
  function fired() {
    const world = setUp();
    const { timers, watchers, tasks } = world.engine;
    const timer = timers.createPeriodic({ ...counting, startSlot: 2, periodSlots: 2 });
    const watcher = watchers.create({ programId: SCRIPTED, data: say('seen'), account: COUNTER, trigger: WatcherTrigger.DATA_CHANGE });
    const task = tasks.submit({ programId: SCRIPTED, data: say('done') });
    world.advance(6);
    return { world, timer, watcher, task };
  }

  test('of timers, watchers, tasks and programs', () => {
    const { world, timer, watcher, task } = fired();
    expect(world.outcomes(timer)).toHaveFiredAt(2);
    expect(world.outcomes(timer)).toHaveFiredAt(4n);
    expect(world.outcomes(timer)).not.toHaveFiredAt(3);
    expect(world.outcomes(watcher)).toHaveFiredAt(3);
    expect(world.outcomes(watcher)).not.toHaveFiredAt(2);
    expect(world.outcomes(task)).toHaveFiredAt(1);
    expect(world.outcomes(SCRIPTED)).toHaveFiredAt(1);
    expect(world.outcomes(COUNTING)).not.toHaveFiredAt(1);
    expect(world.outcomes()).toHaveFiredAt(1);
  });

  test('says when it fired instead', () => {
    const { world, timer } = fired();
    expect(failure(() => expect(world.outcomes(timer)).toHaveFiredAt(3))).toBe(
      `timer ${timer} did not fire in slot 3. It fired in: 2, 4, 6.`,
    );
    expect(failure(() => expect(world.outcomes(timer)).not.toHaveFiredAt(2))).toBe(
      `timer ${timer} fired in slot 2:\n  slot 2: timer ${timer} of "count" (${COUNTING}): committed, n units`,
    );
    const never = world.engine.timers.create({ ...counting, triggerSlot: 100 });
    expect(failure(() => expect(world.outcomes(never)).toHaveFiredAt(6))).toBe(`timer ${never} did not fire in slot 6. It fired in: none.`);
    world.engine.timers.createPeriodic({ ...failing, startSlot: 7, periodSlots: 1 });
    world.advance(10);
    expect(failure(() => expect(world.outcomes(SCRIPTED)).toHaveFiredAt(2))).toMatch(/It fired in: 1, 3, 5, 7 to 16\.$/);
  });

  test('a callback that failed has fired, one that expired has not', () => {
    const world = setUp();
    const failed = world.engine.timers.create({ ...failing, triggerSlot: 4 });
    const late = world.engine.timers.create({ ...counting, triggerSlot: 2, deadlineSlot: 3 });
    world.skipTo(4);
    expect(world.outcomes(failed)).toHaveFiredAt(4);
    expect(world.outcomes(late)).not.toHaveFiredAt(4);
    expect(failure(() => expect(world.outcomes(late)).toHaveFiredAt(4))).toBe(
      `timer ${late} did not fire in slot 4. It fired in: none.\nIn slot 4 it expired:\n  slot 4: timer ${late} of "count" (${COUNTING}): expired, n units`,
    );
  });

  test('what is invoked does not fire', () => {
    const world = setUp();
    world.advance();
    world.invoke(counting);
    expect(world.outcomes(COUNTING)).not.toHaveFiredAt(1);
  });

  test('refuses what cannot be known', () => {
    const { world, timer } = fired();
    world.skipTo(10);
    const outcomes = world.outcomes(timer);
    expect(refusals(outcomes, (it) => it.toHaveFiredAt(8))).toBe('slot is 8, but must be one that the world has processed: 1 to 6, 10');
    expect(refusals(outcomes, (it) => it.toHaveFiredAt(-1))).toMatch(/^slot is -1, but must be a bigint in/);
    expect(refusals(timer, (it) => it.toHaveFiredAt(2))).toMatch(
      /^what is expected to have fired is \d+n, but must be what world\.outcomes\(\) gives$/,
    );
    expect(refusals([...outcomes], (it) => it.toHaveFiredAt(2))).toMatch(/^what is expected to have fired is an array of 4/);
    world.forget();
    expect(refusals(world.outcomes(), (it) => it.toHaveFiredAt(2))).toBe('slot is 2, but must be one that the world has processed: none');
  });
});

describe('toHaveCommitted', () => {
  test('of one outcome', () => {
    const world = setUp();
    expect(world.invoke(counting)).toHaveCommitted();
    expect(world.engine.invoke(failing)).not.toHaveCommitted();
  });

  test('of several: there are some, and all committed; or none', () => {
    const world = setUp();
    expect(world.outcomes()).not.toHaveCommitted();
    world.invoke(counting);
    world.invoke(counting);
    expect(world.outcomes()).toHaveCommitted();
    world.invoke(failing);
    expect(world.outcomes(SCRIPTED)).not.toHaveCommitted();
    expect(failure(() => expect(world.outcomes()).toHaveCommitted())).toMatch(
      /^this world did not commit:\n {2}slot 0: an invocation of "scripted"/,
    );
    expect(failure(() => expect(world.outcomes()).not.toHaveCommitted())).toMatch(/^this world committed:\n(.*committed, n units\n?){2}$/);
    expect(failure(() => expect(world.outcomes(SCRIPTED)).toHaveCommitted())).toContain(
      `program "scripted" (${SCRIPTED}) did not commit:\n`,
    );
    world.forget();
    expect(failure(() => expect(world.outcomes(COUNTING)).toHaveCommitted())).toMatch(/did not commit: nothing ran$/);
    expect(failure(() => expect([]).toHaveCommitted())).toBe('0 outcomes did not commit: nothing ran');
  });

  test('says why it did not, and what was logged', () => {
    const lines = failure(() => expect(setUp().invoke(failing)).toHaveCommitted()).split('\n');
    expect(lines.filter((line) => !line.includes('Program return'))).toEqual([
      `an invocation of "scripted" (${SCRIPTED}) did not commit:`,
      `  slot 0: an invocation of "scripted" (${SCRIPTED}): failed: custom program error: 0x7 (EXECUTION_FAILED, Custom 7), n units`,
      'Logs:',
      `  Program ${SCRIPTED} invoke [1]`,
      '  Program log: about to fail',
      `  Program ${SCRIPTED} consumed n of n compute units`,
      `  Program ${SCRIPTED} failed: custom program error: 0x7`,
    ]);
  });

  test('of the outcomes of a report as well', () => {
    const world = setUp();
    world.engine.timers.create({ ...counting, triggerSlot: 1 });
    const [report] = world.advance();
    expect(report!.outcomes).toHaveCommitted();
  });
});

describe('toHaveFailedWith', () => {
  const run = (options: Parameters<World['invoke']>[0]) => setUp().invoke(options);
  const custom = () => run(failing);

  test.each<[string, Parameters<AsyncBpfMatchers['toHaveFailedWith']>[0], boolean]>([
    ['the number that the program returned', 7, true],
    ['another number', 8, false],
    ['the name of the code', 'EXECUTION_FAILED', true],
    ['another name', 'UNKNOWN_PROGRAM', false],
    ['the reason', 'Custom', true],
    ['another reason', 'MissingRequiredSignature', false],
    ['a pattern of the message', /error: 0x7$/, true],
    ['a pattern that remembers where it was', /0x7/g, true],
    ['another pattern', /0x8/, false],
    ['the code', { code: ErrorCode.EXECUTION_FAILED }, true],
    ['several fields', { customCode: 7, reason: 'Custom', name: 'EXECUTION_FAILED' }, true],
    ['several fields of which one differs', { customCode: 7, reason: 'Other' }, false],
  ])('by %s', (_, expected, isSo) => {
    const outcome = custom();
    for (let again = 0; again < 2; again++) {
      if (isSo) expect(outcome).toHaveFailedWith(expected);
      else expect(outcome).not.toHaveFailedWith(expected);
    }
  });

  test('what did not fail did not fail with anything', () => {
    for (const expected of [0, 'EXECUTION_FAILED', 'Custom', /./, { customCode: undefined }]) {
      expect(run(counting)).not.toHaveFailedWith(expected);
    }
  });

  test('a number is what the program returned, not a code of async-bpf', () => {
    expect(custom()).not.toHaveFailedWith(ErrorCode.EXECUTION_FAILED);
    expect(run({ programId: SCRIPTED, data: new Uint8Array(0) })).toHaveFailedWith(1);
  });

  test('of several: at least one; or none', () => {
    const world = setUp();
    world.invoke(counting);
    expect(world.outcomes()).not.toHaveFailedWith(7);
    world.invoke(failing);
    expect(world.outcomes()).toHaveFailedWith(7);
    expect(failure(() => expect(world.outcomes()).not.toHaveFailedWith(7))).toMatch(
      /^this world failed with custom code 7:\n {2}slot 0: an invocation of "scripted" \(.*\): failed: .*$/,
    );
  });

  test('says what happened instead', () => {
    expect(failure(() => expect(custom()).toHaveFailedWith('MissingRequiredSignature'))).toMatch(
      /^an invocation of "scripted" .* did not fail with MissingRequiredSignature\. What ran:\n.*\(EXECUTION_FAILED, Custom 7\), n units\nLogs:\n(.*\n)* {2}Program log: about to fail\n/,
    );
    expect(failure(() => expect(custom()).toHaveFailedWith({ customCode: 8, reason: 'Custom' }))).toMatch(
      /did not fail with customCode 8, reason Custom\./,
    );
    expect(failure(() => expect(custom()).toHaveFailedWith(/gone/i))).toMatch(/did not fail with a message like \/gone\/i\./);
    expect(failure(() => expect([]).toHaveFailedWith(1))).toBe(
      '0 outcomes did not fail with custom code 1. What ran:\n  nothing ran\nNothing was logged.',
    );
  });

  test.each<[string, unknown, string]>([
    ['a negative number', -1, 'failure is -1, but must be a number that a program can return: an integer in [0, 4294967295]'],
    ['a number too large', 2 ** 32, 'failure is 4294967296, but must be a number that a program can return: an integer in [0, 4294967295]'],
    [
      'a name that is none',
      'EXECUTION_FAILD',
      'failure is "EXECUTION_FAILD", but must be the name of an error code or of a failure of the runtime, such as MissingRequiredSignature',
    ],
    [
      'text of a message',
      'custom program error',
      'failure is "custom program error", but must be the name of an error code or of a failure of the runtime, such as MissingRequiredSignature',
    ],
    ['nothing', undefined, 'failure is undefined, but must be a number, a name, a regular expression or an object'],
    ['null', null, 'failure is null, but must be a number, a name, a regular expression or an object'],
    ['an array', [7], 'failure is an array of 1, but must be a number, a name, a regular expression or an object'],
    ['no fields', {}, 'failure is an object, but must be an object with at least one field'],
    ['an unknown field', { custom: 7 }, 'failure is "custom", but must be made of code, name, message, reason, customCode'],
  ])('refuses %s', (_, expected, message) => {
    expect(refusals(custom(), (it) => it.toHaveFailedWith(wrong(expected)))).toBe(message);
  });
});

describe('toHaveLogged', () => {
  test('a text or a pattern, in a line of one or of several', () => {
    const world = setUp();
    const outcome = world.invoke({ programId: SCRIPTED, data: say('sold 5 at 120') });
    world.invoke(counting);
    const firstLine = /invoke \[1\]$/g;
    for (const subject of [outcome, world.outcomes(), world.outcomes(SCRIPTED)]) {
      expect(subject).toHaveLogged('sold');
      for (let again = 0; again < 2; again++) expect(subject).toHaveLogged(firstLine);
      expect(subject).toHaveLogged(/^Program log: sold \d+ at \d+$/);
      expect(subject).not.toHaveLogged('bought');
      expect(subject).not.toHaveLogged(/bought|lost/);
    }
    expect(world.outcomes(COUNTING)).not.toHaveLogged('sold');
    expect(failure(() => expect(outcome).toHaveLogged('bought'))).toMatch(
      /^an invocation of "scripted" \(.*\) did not log "bought"\. Logs:\n.*\n {2}Program log: sold 5 at 120\n/,
    );
    expect(failure(() => expect(world.outcomes()).not.toHaveLogged(/sold/))).toMatch(
      /^this world logged \/sold\/:\n {2}slot 0: an invocation of "scripted" .*\nLogs:\n(.*\n)* {2}Program log: sold 5 at 120\n/,
    );
    expect(failure(() => expect([]).toHaveLogged('x'))).toBe('0 outcomes did not log "x". Nothing was logged.');
  });

  test('refuses to look where logs were not kept', () => {
    const world = createWorld({ logs: false, programs: { [SCRIPTED]: prebuilt('conformance') } });
    onTestFinished(() => world.close());
    const outcome = world.invoke({ programId: SCRIPTED, data: say('x') });
    expect(refusals(outcome, (it) => it.toHaveLogged('x'))).toBe(
      'what is looked at is an object, but must be of an engine that keeps logs: create it without `logs: false`',
    );
  });

  test('refuses what every line has, and what is no pattern', () => {
    const outcome = setUp().invoke(counting);
    expect(refusals(outcome, (it) => it.toHaveLogged(''))).toBe(
      'pattern is "", but must be a text that is not empty: every line has an empty one',
    );
    expect(refusals(outcome, (it) => it.toHaveLogged(wrong(5)))).toBe('pattern is 5, but must be a text or a regular expression');
  });
});

describe('toHaveConsumedAtMost', () => {
  test('of one outcome: exactly what it used is enough', () => {
    const outcome = setUp().invoke(counting);
    expect(outcome).toHaveConsumedAtMost(outcome.unitsConsumed);
    expect(outcome).not.toHaveConsumedAtMost(outcome.unitsConsumed - 1n);
    expect(outcome).toHaveConsumedAtMost(Number(outcome.unitsConsumed));
  });

  test('of several: there are some, and all; or none', () => {
    const world = setUp();
    expect(world.outcomes()).not.toHaveConsumedAtMost(1_000_000);
    const few = world.invoke(counting).unitsConsumed;
    const many = world.invoke({ programId: SCRIPTED, data: script([], 0, 5_000) }).unitsConsumed;
    expect(many).toBeGreaterThan(few);
    expect(world.outcomes()).toHaveConsumedAtMost(many);
    expect(world.outcomes()).not.toHaveConsumedAtMost(few - 1n);
    expect(failure(() => expect(world.outcomes()).toHaveConsumedAtMost(few))).toMatch(
      /^this world consumed more than n units:\n {2}slot 0: an invocation of "scripted" .*: committed, n units$/,
    );
    expect(failure(() => expect(world.outcomes()).not.toHaveConsumedAtMost(few))).toMatch(
      /^this world consumed at most n units:\n {2}slot 0: an invocation of "count" .*: committed, n units$/,
    );
    expect(failure(() => expect([]).toHaveConsumedAtMost(5))).toBe('0 outcomes consumed nothing: nothing ran');
  });

  test('refuses what are no units', () => {
    expect(refusals(setUp().invoke(counting), (it) => it.toHaveConsumedAtMost(0.5))).toMatch(/^units is 0\.5, but must be a bigint in/);
  });
});

describe('toHaveChanged', () => {
  test('each of the accounts; or none', () => {
    const world = setUp();
    world.engine.timers.createPeriodic({ ...counting, startSlot: 2, periodSlots: 2 });
    world.advance();
    expect(world).not.toHaveChanged(COUNTER, WALLET);
    world.advance(4);
    expect(world).toHaveChanged(COUNTER);
    expect(world).not.toHaveChanged(WALLET);
    expect(failure(() => expect(world).toHaveChanged(COUNTER, WALLET))).toBe(
      ['these accounts have not changed:', `  "wallet" (${WALLET})`, 'These have:', `  "counter" (${COUNTER}): changed in slots 2, 4`].join(
        '\n',
      ),
    );
    expect(failure(() => expect(world).not.toHaveChanged(COUNTER, WALLET))).toBe(
      `these accounts have changed:\n  "counter" (${COUNTER}): changed in slots 2, 4`,
    );
    world.engine.setAccount(WALLET, systemAccount(1));
    expect(world).toHaveChanged(COUNTER, WALLET);
    world.forget();
    expect(world).not.toHaveChanged(COUNTER, WALLET);
  });

  test('changing back is a change', () => {
    const world = setUp();
    const { address: _, ...state } = world.engine.getAccount(COUNTER)!;
    world.invoke(counting);
    world.engine.setAccount(COUNTER, state);
    expect(world).toHaveChanged(COUNTER);
    expect(failure(() => expect(world).toHaveChanged(WALLET))).toBe(`these accounts have not changed:\n  "wallet" (${WALLET})`);
  });

  test('refuses accounts of which nothing is known', () => {
    const world = setUp();
    const other = namedAddress('other');
    expect(refusals(world, (it) => it.toHaveChanged(other))).toMatch(
      /^address is ".*", but must be that of a tracked account: call world\.track\(\) for "other"/,
    );
    expect(refusals(world, (it) => it.toHaveChanged(...(wrong([]) as [string])))).toBe(
      'addresses is an array of 0, but must be at least one address',
    );
    expect(refusals(world, (it) => it.toHaveChanged(COUNTER, 'x'))).toMatch(/^addresses\[1\] is "x", but must be an address/);
    expect(refusals(world.engine, (it) => it.toHaveChanged(COUNTER))).toBe(
      'what is expected to have changed is an object, but must be a World',
    );
  });
});

test.each<[string, (it: AsyncBpfMatchers) => void]>([
  ['toHaveCommitted', (it) => it.toHaveCommitted()],
  ['toHaveFailedWith', (it) => it.toHaveFailedWith(7)],
  ['toHaveLogged', (it) => it.toHaveLogged('x')],
  ['toHaveConsumedAtMost', (it) => it.toHaveConsumedAtMost(1)],
])('%s refuses what is no outcome', (_, look) => {
  const expected = 'but must be an outcome, or an array of outcomes such as world.outcomes() gives';
  expect(refusals(undefined, look)).toBe(`what is looked at is undefined, ${expected}`);
  expect(refusals(setUp(), look)).toBe(`what is looked at is an object, ${expected}`);
  expect(refusals([1], look)).toBe(`what is looked at is an array of 1, ${expected}`);
  expect(refusals(Promise.resolve(), look)).toBe(`what is looked at is an object, ${expected}`);
});

test('the matchers are there for other libraries, under the names that the types have', () => {
  expect(Object.keys(asyncBpfMatchers).sort()).toEqual(
    ['toHaveChanged', 'toHaveCommitted', 'toHaveConsumedAtMost', 'toHaveFailedWith', 'toHaveFiredAt', 'toHaveLogged'].sort(),
  );
  const { pass, message } = asyncBpfMatchers.toHaveCommitted.call({ isNot: false }, []);
  expect([pass, message()]).toEqual([false, '0 outcomes did not commit: nothing ran']);
});

test('vitest knows them, with their arguments', async () => {
  const it = expect({} as Outcome);
  expectTypeOf(it).toExtend<AsyncBpfMatchers>();
  expectTypeOf(it.not).toExtend<AsyncBpfMatchers>();
  expectTypeOf(it.toHaveFiredAt).parameters.toEqualTypeOf<[slot: bigint | number]>();
  expectTypeOf(it.toHaveLogged).parameters.toEqualTypeOf<[pattern: string | RegExp]>();
  expectTypeOf(it.toHaveCommitted).parameters.toEqualTypeOf<[]>();
  expectTypeOf(it.toHaveChanged).parameter(0).not.toBeAny();
  // @ts-expect-error at least one address
  const callWithout = () => it.toHaveChanged();
  expect(refusal(callWithout)).toMatch(/^what is expected to have changed/);
  const world = setUp();
  const { outcome } = world.engine.tasks.submit(counting);
  world.advance();
  await expect(outcome).resolves.toHaveCommitted();
});
