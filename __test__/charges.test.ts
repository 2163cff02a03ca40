/** What calls cost, to the unit, and invocations that use as many units as they are told to. */

import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../dist/index.js';
import { address, addressBytes } from './support/addresses.js';
import { u64, utf8 } from './support/bytes.js';
import { End, readScript, repliesOf, resultOf, run, script, type Call, type CallName, type Memory } from './support/conformance.js';
import { createEngine } from './support/engine.js';

const PROGRAM = address('program');
const PUBKEY = addressBytes('watched');
const NO_DATA = new Uint8Array(0);

type AsyncCall = Exclude<CallName, 'log' | 'write_account' | 'resize_account' | 'move_lamports' | 'invoke'>;

/** In the structs the pointers are 0, and there is no buffer 1: also what is then refused was charged before. */
const MOVING = {
  sol_timer_create: (data) => ['sol_timer_create', 5, data, 1000],
  sol_timer_create_periodic: (data) => ['sol_timer_create_periodic', 5, 1, data, 1000],
  sol_timer_create_with: (data) => ['sol_timer_create_with', 5, 0, 0, 0, 0, 0, data, 1000],
  sol_watcher_create: (data) => ['sol_watcher_create', PUBKEY, 0, data, 1000],
  sol_watcher_create_threshold: (data) => ['sol_watcher_create_threshold', PUBKEY, 4, 0, 0, data, 1000],
  sol_watcher_create_pattern: (data) => ['sol_watcher_create_pattern', PUBKEY, 0, NO_DATA, data, 1000],
  sol_ring_buffer_push: (data) => ['sol_ring_buffer_push', 1, data],
  sol_task_schedule: (data) => ['sol_task_schedule', data, 1000, 1, 0],
  timer_create_with_struct: ({ room }) => ['timer_create_with_struct', u64(5, 0, 0, 0, 0, 0, 0, room, 1000)],
  watcher_create_threshold_struct: ({ room }) => ['watcher_create_threshold_struct', u64(0, 4, 0, 0, 0, room, 1000)],
  watcher_create_pattern_struct: ({ room }) => ['watcher_create_pattern_struct', u64(0, 0, 0, 0, 0, room, 1000)],
  task_schedule_struct: ({ room }) => ['task_schedule_struct', u64(0, room, 1000, 1, 0)],
} satisfies Partial<Record<AsyncCall, (data: { room: number }) => Call>>;

const READING = ['sol_ring_buffer_pop', 'sol_ring_buffer_peek'] as const;

const FLAT: Record<Exclude<AsyncCall, keyof typeof MOVING | (typeof READING)[number]>, Call[]> = {
  sol_timer_cancel: [
    ['sol_timer_create', 5, NO_DATA, 1000],
    ['sol_timer_cancel', resultOf(0)],
    ['sol_timer_cancel', resultOf(0)],
  ],
  sol_watcher_set_min_slots: [
    ['sol_watcher_create', PUBKEY, 0, NO_DATA, 1000],
    ['sol_watcher_set_min_slots', resultOf(0), 2],
    ['sol_watcher_set_min_slots', 0, 2],
  ],
  sol_watcher_remove: [
    ['sol_watcher_create', PUBKEY, 0, NO_DATA, 1000],
    ['sol_watcher_remove', resultOf(0)],
    ['sol_watcher_remove', resultOf(0)],
  ],
  sol_ring_buffer_create: [
    ['sol_ring_buffer_create', 1_048_576],
    ['sol_ring_buffer_create', 0],
  ],
  sol_ring_buffer_grant: [
    ['sol_ring_buffer_create', 64],
    ['sol_ring_buffer_grant', resultOf(0), PUBKEY, 3],
    ['sol_ring_buffer_grant', resultOf(0), PUBKEY, 4],
  ],
  sol_ring_buffer_destroy: [
    ['sol_ring_buffer_create', 64],
    ['sol_ring_buffer_destroy', resultOf(0)],
    ['sol_ring_buffer_destroy', resultOf(0)],
  ],
  sol_get_slot: [['sol_get_slot']],
  sol_async_last_error: [['sol_async_last_error']],
  sol_async_context: [
    ['sol_async_context', { room: 128 }],
    ['sol_async_context', { null: 10_000 }],
  ],
};

const LENGTHS = [
  [0, 100n],
  [249, 100n],
  [250, 101n],
  [1000, 104n],
] as const;

const setUp = () => createEngine({ program: 'conformance' });

describe('a call costs 100 units, and 1 more for every 250 bytes moved', () => {
  describe.each(Object.entries(MOVING))('%s', (_, call) => {
    test.each(LENGTHS)('with %i bytes', (room, charge) => {
      const [reply] = run(setUp(), PROGRAM, [call({ room })]);
      expect(reply!.charge).toBe(charge);
    });
  });

  test.each(Object.entries(FLAT))('%s moves none, whether it is refused or not', (_, calls) => {
    expect(run(setUp(), PROGRAM, calls).map(({ charge }) => charge)).toEqual(calls.map(() => 100n));
  });

  test.each(READING)('%s is charged for what it reads, not for the room that it is given', (name) => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: PROGRAM, size: 4096 });
    const read = (memory: Memory) => run(engine, PROGRAM, [[name, ring, memory]])[0]!;
    expect(read({ room: 2000 })).toMatchObject({ value: 0n, error: ErrorCode.SUCCESS, charge: 100n });
    for (const [length, charge] of LENGTHS.slice(1)) {
      engine.rings.push(ring, new Uint8Array(length));
      expect(read({ room: length - 1 })).toMatchObject({ value: 0n, error: ErrorCode.OUTPUT_TOO_SMALL, charge: 100n });
      expect(read({ room: 2000 })).toMatchObject({ value: BigInt(length), charge });
      if (name === 'sol_ring_buffer_peek') engine.rings.pop(ring);
    }
  });

  test('a pattern and the data count together', () => {
    const [reply] = run(setUp(), PROGRAM, [['sol_watcher_create_pattern', PUBKEY, 0, { room: 64 }, { room: 186 }, 1000]]);
    expect(reply).toMatchObject({ error: ErrorCode.SUCCESS, charge: 101n });
  });

  test('a callback pays the same', () => {
    const engine = setUp();
    const calls: Call[] = [
      ['sol_async_context', { room: 128 }],
      ['sol_timer_create', 5, { room: 1000 }, 1000],
    ];
    engine.timers.create({ programId: PROGRAM, data: script(calls), triggerSlot: 1 });
    const replies = repliesOf(calls, engine.processSlot(1).outcomes[0]);
    expect(replies.map(({ error, charge }) => [error, charge])).toEqual([
      [0, 100n],
      [0, 104n],
    ]);
  });
});

describe('a script with units', () => {
  const ACCOUNTS = ['a', 'b', 'c', 'd', 'e'].map(address);
  const CALLS: Call[] = [
    ['sol_get_slot'],
    ['sol_timer_create', 5, utf8('a timer that nobody waits for'), 1000],
    ['log', utf8('text')],
    ['sol_timer_cancel', resultOf(1)],
  ];
  const WANTED = [...Array.from({ length: 101 }, (_, index) => 3000 + index), 12_345, 99_998, 99_999, 1_399_999, 1_400_000];

  describe.each([0, 1, 5])('and %i accounts', (accounts) => {
    test.each([
      ['no calls', []],
      ['calls', CALLS],
      ['long data', [['log', new Uint8Array(333)]]],
    ] as [string, Call[]][])('uses exactly as many, with %s', (_, calls) => {
      const engine = setUp();
      for (const end of [End.SUCCEED, End.FAIL]) {
        const used = WANTED.map((units) => {
          const data = script(calls, end, units);
          const outcome = engine.invoke({ programId: PROGRAM, data, accounts: ACCOUNTS.slice(0, accounts), computeBudget: 1_400_000 });
          expect(outcome.error?.customCode).toBe(end === End.FAIL ? 7 : undefined);
          return outcome.unitsConsumed;
        });
        expect(used).toEqual(WANTED.map(BigInt));
      }
    });
  });

  test('uses exactly as many from the fewest on, and never less than it is told to', () => {
    const engine = setUp();
    const use = (units?: number) => Number(engine.invoke({ programId: PROGRAM, data: script([], End.SUCCEED, units) }).unitsConsumed);
    const wanted = Array.from({ length: 1000 }, (_, units) => units);
    const fewest = wanted.find((units) => use(units) === units)!;
    expect(fewest).toBeLessThan(1000);
    expect(wanted.slice(0, fewest).map(use)).toEqual(Array(fewest).fill(fewest + 1));
    expect(wanted.slice(fewest).map(use)).toEqual(wanted.slice(fewest));
  });

  test.each([5001, 10_000, 2n ** 64n - 1n])('runs out of a budget of 5,000 with %s', (units) => {
    const engine = setUp();
    const outcome = engine.invoke({ programId: PROGRAM, data: script(CALLS, End.SUCCEED, units), computeBudget: 5000 });
    expect(outcome).toMatchObject({ status: 'failed', unitsConsumed: 5000n });
    expect(engine.stats().timersCreated).toBe(0n);
  });

  test.each([3000, 3001, 50_001])('counts %i of its own when another program invokes it, which counts them too', (units) => {
    const engine = createEngine({ caller: 'conformance', callee: 'conformance' });
    const caller = address('caller');
    const calls: Call[] = [['invoke', 0, 0, 1, script(CALLS, End.SUCCEED, units)], ['sol_get_slot']];
    const outcome = engine.invoke({ programId: caller, data: script(calls, End.SUCCEED, 100_000), accounts: [address('callee')] });
    const consumed = outcome.logs.flatMap((line) => /consumed (\d+) of/.exec(line)?.[1] ?? []);
    expect(consumed.map(Number)).toEqual([units, 100_000]);
    expect(outcome.unitsConsumed).toBe(100_000n);
    const failing = script([['invoke', 0, 0, 1, script(CALLS, End.FAIL, units)]], End.SUCCEED, 100_000);
    const failed = engine.invoke({ programId: caller, data: failing, accounts: [address('callee')] });
    expect(failed.error!.customCode).toBe(7);
    expect(failed.logs.join('\n')).toContain(`consumed ${units} of`);
  });

  test('can be read back', () => {
    const scripts: [Call[], number, bigint | undefined][] = [
      [[], End.SUCCEED, undefined],
      [[['sol_get_slot']], End.LOOP, undefined],
      [
        [
          ['sol_timer_create', 5n, { null: 7n }, 1000n],
          ['sol_ring_buffer_push', resultOf(0), Uint8Array.of(1, 2, 3)],
          ['sol_ring_buffer_pop', 1n, { room: 8n }],
          ['sol_watcher_create_pattern', PUBKEY, 0n, { at: 8n, length: 9n }, NO_DATA, 1n],
          ['invoke', 0n, 1n, 2n, Uint8Array.from(script(CALLS))],
        ],
        End.FAIL,
        2n ** 64n - 1n,
      ],
    ];
    for (const [calls, end, units] of scripts) {
      const data = script(calls, end, units);
      expect(readScript(data)).toEqual({ end, units, calls });
    }
    const data = script(CALLS, End.SUCCEED, 5000);
    for (const length of [0, 8, data.length - 1]) expect(() => readScript(data.subarray(0, length))).toThrow('the script ends');
    expect(() => readScript(Uint8Array.of(0, 255))).toThrow('opcode 255');
  });
});
