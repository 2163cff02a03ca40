/** A defect inside a syscall ends one invocation, not the process. */

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { AsyncBpfEngine } from '../dist/index.js';
import { address, addressBytes } from './support/addresses.js';
import { say, said, script, type Call } from './support/conformance.js';
import { createEngine } from './support/engine.js';

const PROGRAM = address('program');
const NO_DATA = new Uint8Array(0);

/** The package's own addon, loaded in the same way: both have the same engines. */
const addon: { TESTING_panicInSyscall(handle: number, name: string): void } = createRequire(__filename)('node-gyp-build')(
  join(__dirname, '..'),
);

/** Handles count up from 1 in each thread, in the order in which engines are created. */
let created = 0;
let engine: AsyncBpfEngine;
beforeEach(() => {
  engine = createEngine({ program: 'conformance' });
  created += 1;
});

const CALLS: Call[] = [
  ['sol_timer_create', 100, NO_DATA, 1000],
  ['sol_timer_create_periodic', 100, 1, NO_DATA, 1000],
  ['sol_timer_create_with', 100, 0, 0, 0, 0, 0, NO_DATA, 1000],
  ['sol_timer_cancel', 1],
  ['sol_watcher_create', addressBytes('watched'), 0, NO_DATA, 1000],
  ['sol_watcher_create_threshold', addressBytes('watched'), 4, 0, 0, NO_DATA, 1000],
  ['sol_watcher_create_pattern', addressBytes('watched'), 0, Uint8Array.of(1), NO_DATA, 1000],
  ['sol_watcher_set_min_slots', 1, 1],
  ['sol_watcher_remove', 1],
  ['sol_ring_buffer_create', 64],
  ['sol_ring_buffer_push', 1, Uint8Array.of(1)],
  ['sol_ring_buffer_pop', 1, { room: 8 }],
  ['sol_ring_buffer_peek', 1, { room: 8 }],
  ['sol_ring_buffer_grant', 1, addressBytes('other'), 1],
  ['sol_ring_buffer_destroy', 1],
  ['sol_task_schedule', NO_DATA, 1000, 1, 0],
  ['sol_get_slot'],
  ['sol_async_last_error'],
  ['sol_async_context', { room: 128 }],
];

describe.each(CALLS.map((call) => [call[0], call] as const))('a panic inside %s', (name, call) => {
  const calls: Call[] = [['sol_timer_create', 50, NO_DATA, 1000], call];

  test('fails the invocation, undoes what it did, and the next one works', () => {
    const data = script(calls);
    addon.TESTING_panicInSyscall(created, name);
    const failed = engine.invoke({ programId: PROGRAM, data });
    expect(failed).toMatchObject({ status: 'failed', error: { name: 'EXECUTION_FAILED', reason: 'ProgramFailedToComplete' } });
    expect(failed.error!.message).toContain(`${name} panicked`);
    expect(engine.stats().timersActive).toBe(0n);

    expect(engine.invoke({ programId: PROGRAM, data }).status).toBe('committed');
    expect(engine.timers.list(PROGRAM).some(({ triggerSlot }) => triggerSlot === 50n)).toBe(true);
  });
});

test('a panic in a callback is an outcome of its slot, and the callbacks behind it run', () => {
  const timer = engine.timers.createPeriodic({ programId: PROGRAM, data: script([['sol_get_slot']]), startSlot: 1, periodSlots: 1 });
  engine.timers.create({ programId: PROGRAM, data: say('behind'), triggerSlot: 1 });
  addon.TESTING_panicInSyscall(created, 'sol_get_slot');
  const { outcomes } = engine.processSlot(1);
  expect(outcomes.map(({ status }) => status)).toEqual(['failed', 'committed']);
  expect(said(outcomes)).toEqual(['behind']);
  expect(engine.processSlot(2).outcomes.map(({ status }) => status)).toEqual(['committed']);
  expect(engine.timers.get(timer)!.executionCount).toBe(2n);
});

test('a panic inside a callee fails the whole callback', () => {
  const inner = script([['sol_get_slot']]);
  addon.TESTING_panicInSyscall(created, 'sol_get_slot');
  const options = { programId: PROGRAM, data: script([['invoke', 0, 0, 1, inner]]), accounts: [PROGRAM] };
  expect(engine.invoke(options).status).toBe('failed');
  expect(engine.invoke(options).status).toBe('committed');
});

test('other engines of the process are not affected', () => {
  const other = createEngine({ program: 'conformance' });
  created += 1;
  addon.TESTING_panicInSyscall(created - 1, 'sol_get_slot');
  expect(engine.invoke({ programId: PROGRAM, data: script([['sol_get_slot']]) }).status).toBe('failed');
  expect(other.invoke({ programId: PROGRAM, data: script([['sol_get_slot']]) }).status).toBe('committed');
});
