/**
 * The virtual machine leaves the floating-point unit of the thread clean.
 *
 * Its compiled code uses the MMX registers for indirect calls. Unless they are released, the x87 unit gives NaN for every
 * operation after it, and V8 computes `%` of doubles with that unit.
 */

import { expect, test } from 'vitest';
import { address } from './support/addresses.js';
import { createEngine } from './support/engine.js';

const PROGRAM = address('program');

/** Remainders of doubles that V8 can neither fold nor turn into integer arithmetic. Each is exactly 1.5. */
function remainders(): number[] {
  return Array.from({ length: 100 }, (_, index) => {
    const two = Number.parseFloat('2') + Math.random() * 0;
    return (index * two + 1.5) % two;
  });
}

const ALL_RIGHT = Array(100).fill(1.5);

test('5.5 % 2 is 1.5 after every kind of invocation on this thread', () => {
  const engine = createEngine({ program: 'callx' }, { workers: 1 });
  expect(remainders()).toEqual(ALL_RIGHT);
  for (let slot = 1; slot <= 50; slot++) {
    engine.timers.create({ programId: PROGRAM, data: new Uint8Array(slot % 2), triggerSlot: slot });
    expect(engine.processSlot(slot).outcomes.map(({ status }) => status)).toEqual(['committed']);
    expect(remainders()).toEqual(ALL_RIGHT);
    expect(engine.invoke({ programId: PROGRAM }).status).toBe('committed');
    expect(remainders()).toEqual(ALL_RIGHT);
  }
  expect(Number.parseFloat('5.5') % Number.parseFloat('2')).toBe(1.5);
});

test('also when the program fails half way', () => {
  const engine = createEngine({ program: 'callx', faulty: 'faulty' }, { workers: 1 });
  const { unitsConsumed } = engine.invoke({ programId: PROGRAM });
  for (let computeBudget = 1n; computeBudget < unitsConsumed; computeBudget++) {
    expect(engine.invoke({ programId: PROGRAM, computeBudget }).status).toBe('failed');
    expect(remainders()).toEqual(ALL_RIGHT);
  }
  // An indirect call to what is not code.
  expect(engine.invoke({ programId: address('faulty'), data: Uint8Array.of(7) }).status).toBe('failed');
  expect(remainders()).toEqual(ALL_RIGHT);
});
