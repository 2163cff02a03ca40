/** The calls of programs with pointers and numbers that no sane program would pass. */

import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../dist/index.js';
import { address, addressBytes } from './support/addresses.js';
import { random } from './support/bytes.js';
import { run, script, type Argument, type Call, type CallName, type Memory } from './support/conformance.js';
import { createEngine } from './support/engine.js';

const PROGRAM = address('program');
const NO_DATA = new Uint8Array(0);
const PUBKEY = addressBytes('watched');

const setUp = () => createEngine({ program: 'conformance' });

/** Each call that takes a pointer, with that pointer as given. */
const READING: [string, (memory: Memory) => Call][] = [
  ['data of sol_timer_create', (memory) => ['sol_timer_create', 5, memory, 1000]],
  ['data of sol_timer_create_periodic', (memory) => ['sol_timer_create_periodic', 5, 1, memory, 1000]],
  ['data of sol_timer_create_with', (memory) => ['sol_timer_create_with', 5, 0, 0, 0, 0, 0, memory, 1000]],
  ['the struct of sol_timer_create_with', (memory) => ['timer_create_with_struct', memory]],
  ['pubkey of sol_watcher_create', (memory) => ['sol_watcher_create', memory, 0, NO_DATA, 1000]],
  ['data of sol_watcher_create', (memory) => ['sol_watcher_create', PUBKEY, 0, memory, 1000]],
  ['pubkey of sol_watcher_create_threshold', (memory) => ['sol_watcher_create_threshold', memory, 4, 0, 0, NO_DATA, 1000]],
  ['data of sol_watcher_create_threshold', (memory) => ['sol_watcher_create_threshold', PUBKEY, 4, 0, 0, memory, 1000]],
  ['the struct of sol_watcher_create_threshold', (memory) => ['watcher_create_threshold_struct', memory]],
  ['pattern of sol_watcher_create_pattern', (memory) => ['sol_watcher_create_pattern', PUBKEY, 0, memory, NO_DATA, 1000]],
  ['data of sol_watcher_create_pattern', (memory) => ['sol_watcher_create_pattern', PUBKEY, 0, Uint8Array.of(1), memory, 1000]],
  ['the struct of sol_watcher_create_pattern', (memory) => ['watcher_create_pattern_struct', memory]],
  ['data of sol_task_schedule', (memory) => ['sol_task_schedule', memory, 1000, 1, 0]],
  ['the struct of sol_task_schedule', (memory) => ['task_schedule_struct', memory]],
  ['data of sol_ring_buffer_push', (memory) => ['sol_ring_buffer_push', 1, memory]],
  ['pubkey of sol_ring_buffer_grant', (memory) => ['sol_ring_buffer_grant', 1, memory, 1]],
];
const WRITING: [string, (memory: Memory) => Call][] = [
  ['output of sol_ring_buffer_pop', (memory) => ['sol_ring_buffer_pop', 1, memory]],
  ['output of sol_ring_buffer_peek', (memory) => ['sol_ring_buffer_peek', 1, memory]],
  ['output of sol_async_context', (memory) => ['sol_async_context', memory]],
];

const UNMAPPED = 0x5_0000_0000n;
const STACK_END = 0x2_0000_0000n + 0x10_0000n;
const HEAP_END = 0x3_0000_0000n + 32_768n;

describe.each([...READING, ...WRITING])('%s', (_, call) => {
  test.each([
    ['unmapped memory', UNMAPPED],
    ['the last bytes before 2^64', 2n ** 64n - 4n],
    ['past the end of the heap', HEAP_END],
    ['across the end of the heap', HEAP_END - 4n],
    ['past the end of the stack', STACK_END],
  ])('in %s ends the program with an access violation', (_, at) => {
    const engine = setUp();
    const outcome = engine.invoke({ programId: PROGRAM, data: script([call({ at, length: 100 })]) });
    expect(outcome).toMatchObject({ status: 'failed', error: { name: 'EXECUTION_FAILED' } });
    expect(outcome.error!.message).toMatch(/[Aa]ccess violation/);
    expect(engine.stats()).toMatchObject({ timersActive: 0n, watchersActive: 0n, tasksPending: 0n });
  });

  test('at address 0 is NULL_POINTER, and the program goes on', () => {
    const [reply, next] = run(setUp(), PROGRAM, [call({ null: 100 }), ['sol_get_slot']]);
    expect(reply!.error).toBe(ErrorCode.NULL_POINTER);
    expect(next!.error).toBe(ErrorCode.NULL_POINTER);
  });
});

describe.each(WRITING)('%s', (_, call) => {
  test.each([
    ['constants', 8n],
    ['code', 0x1_0000_0000n],
  ])('in %s, which cannot be written, ends the program', (_, at) => {
    const outcome = setUp().invoke({ programId: PROGRAM, data: script([call({ at, length: 128 })]) });
    expect(outcome.error!.message).toMatch(/[Aa]ccess violation/);
  });
});

test('an entry that cannot be written out stays in its buffer', () => {
  const engine = setUp();
  const ring = engine.rings.create({ programId: PROGRAM });
  engine.rings.push(ring, Uint8Array.of(1, 2, 3));
  expect(engine.invoke({ programId: PROGRAM, data: script([['sol_ring_buffer_pop', ring, { at: UNMAPPED, length: 8 }]]) }).status).toBe(
    'failed',
  );
  expect(engine.rings.pop(ring)).toEqual(Uint8Array.of(1, 2, 3));
});

test('units come first: a length that nobody could pay ends the program before its pointer is looked at', () => {
  const engine = setUp();
  for (const length of [2n ** 64n - 1n, 2n ** 63n, 10n ** 9n]) {
    for (const memory of [{ null: length }, { at: UNMAPPED, length }]) {
      const outcome = engine.invoke({ programId: PROGRAM, data: script([['sol_timer_create', 5, memory, 1000]]) });
      expect(outcome.error!.message).toBe('Computational budget exceeded');
      expect(outcome.unitsConsumed).toBe(200_000n);
    }
  }
});

test('no call can panic the host, whatever the arguments', () => {
  const engine = createEngine({ program: 'conformance' }, { limits: { maxTimersPerProgram: 1000, maxWatchersPerProgram: 1000 } });
  const next = random(5);
  const pick = <T>(items: readonly T[]): T => items[next() % items.length]!;
  const number = () =>
    pick([
      0n,
      1n,
      2n,
      5n,
      64n,
      1000n,
      4096n,
      1_048_576n,
      2n ** 31n,
      2n ** 32n,
      2n ** 63n - 1n,
      2n ** 63n,
      2n ** 64n - 8n,
      2n ** 64n - 1n,
      BigInt(next()),
    ]);
  const address = () =>
    pick([0n, 1n, 8n, 0x1_0000_0000n, 0x2_0000_0000n, 0x3_0000_0000n, HEAP_END - 1n, 0x4_0000_0000n, UNMAPPED, 2n ** 64n - 1n]);
  const length = () => pick([0n, 1n, 7n, 8n, 32n, 64n, 128n, 1024n, 1025n, 2n ** 20n, 2n ** 64n - 1n]);
  const bytes = () =>
    pick<() => Argument>([
      () => Uint8Array.from({ length: next() % 40 }, () => next()),
      () => ({ null: length() }),
      () => ({ at: address(), length: length() }),
      () => ({ room: pick([0, 1, 16, 128]) }),
    ])();
  const SHAPES: [CallName, string][] = [
    ['sol_timer_create', 'nbn'],
    ['sol_timer_create_periodic', 'nnbn'],
    ['sol_timer_create_with', 'nnnnnnbn'],
    ['sol_timer_cancel', 'n'],
    ['sol_watcher_create', 'bnbn'],
    ['sol_watcher_create_threshold', 'bnnnbn'],
    ['sol_watcher_create_pattern', 'bnbbn'],
    ['sol_watcher_set_min_slots', 'nn'],
    ['sol_watcher_remove', 'n'],
    ['sol_ring_buffer_create', 'n'],
    ['sol_ring_buffer_push', 'nb'],
    ['sol_ring_buffer_pop', 'nb'],
    ['sol_ring_buffer_peek', 'nb'],
    ['sol_ring_buffer_grant', 'nbn'],
    ['sol_ring_buffer_destroy', 'n'],
    ['sol_task_schedule', 'bnnn'],
    ['sol_async_context', 'b'],
    ['timer_create_with_struct', 'b'],
    ['watcher_create_threshold_struct', 'b'],
    ['watcher_create_pattern_struct', 'b'],
    ['task_schedule_struct', 'b'],
  ];
  const seen = { committed: 0, failed: 0, expired: 0 };
  for (let round = 0; round < 3000; round++) {
    const [name, shape] = pick(SHAPES);
    const call: Call = [name, ...[...shape].map((kind): Argument => (kind === 'b' ? bytes() : number()))];
    const outcome = engine.invoke({ programId: PROGRAM, data: script([call]), computeBudget: 20_000 });
    seen[outcome.status] += 1;
    expect(
      outcome.error?.message ?? '',
      JSON.stringify(call, (_, value) => (typeof value === 'bigint' ? `${value}` : value)),
    ).not.toMatch(/panic/);
    if (round % 100 === 0) engine.processSlot(engine.slot + 1n);
  }
  expect(seen.committed).toBeGreaterThan(100);
  expect(seen.failed).toBeGreaterThan(100);
  expect(engine.stateHash()).toMatch(/^[0-9a-f]{64}$/);
});
