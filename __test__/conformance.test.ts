/** The vectors of conformance/, run from TypeScript and by a program in the virtual machine. */

import { afterAll, describe, expect, test } from 'vitest';
import { ErrorCode, type ErrorCodeName } from '../dist/index.js';
import { onChain, typescript } from './support/runners.js';
import { violations } from './support/schema.js';
import { PARAMETERS, readSchema, readVectors, runs, runVector, type Vector } from './support/vectors.js';

const vectors = readVectors();
const runners = [typescript, onChain];

describe('the files', () => {
  test.each(vectors.map((vector) => [vector.name, vector] as const))('%s is as schema.json says', (_, { name, ...vector }) => {
    expect(violations(readSchema(), vector)).toEqual([]);
  });

  test('schema.json refuses what it should', () => {
    const schema = readSchema();
    const call = { call: 'sol_get_slot', value: 0, error: 'SUCCESS' };
    const vector = (changed: object) => ({ rule: 'r', steps: [{ invoke: 'a', calls: [{ ...call, ...changed }] }] });
    expect(violations(schema, vector({}))).toEqual([]);
    expect(violations(schema, vector({ error: 'NO_SUCH_CODE' }))).not.toEqual([]);
    expect(violations(schema, vector({ call: 'sol_no_such_call' }))).not.toEqual([]);
    expect(violations(schema, vector({ args: { size: 1.5 } }))).not.toEqual([]);
    expect(violations(schema, { rule: 'r', steps: [] })).not.toEqual([]);
    expect(violations(schema, { rule: 'r', steps: [{ processSlot: 0 }] })).not.toEqual([]);
    expect(violations(schema, { ...vector({}), typo: 1 })).not.toEqual([]);
  });

  test('every call has a vector in which it succeeds and, unless it cannot fail, one in which it is refused', () => {
    const calls = allCalls(vectors);
    for (const name of Object.keys(PARAMETERS)) {
      const errors = calls.filter(({ call }) => call === name).map(({ error }) => error);
      expect(errors, name).toContain('SUCCESS');
      if (name !== 'sol_get_slot')
        expect(
          errors.some((error) => error !== 'SUCCESS'),
          name,
        ).toBe(true);
    }
  });
});

describe.each(runners.map((runner) => [runner.name, runner] as const))('%s', (_, runner) => {
  const mine = vectors.filter((vector) => runs(runner, vector));
  let [passed, calls] = [0, 0];

  test.each(mine.map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
    calls += runVector(vector, runner);
    passed += 1;
  });

  afterAll(() => console.log(`conformance, ${runner.name}: ${passed} of ${mine.length} vectors hold, ${calls} calls`));

  test.each(Object.entries(ErrorCode).filter(([, code]) => code <= ErrorCode.BUFFER_NOT_ACTIVE))('covers %s', (name) => {
    expect(allCalls(mine).some(({ error }) => error === (name as ErrorCodeName))).toBe(true);
  });

  const LIMITS = {
    MAX_TIMERS_PER_PROGRAM: 'MAX_TIMERS',
    MAX_WATCHERS_PER_PROGRAM: 'MAX_WATCHERS',
    MAX_SCHEDULED_TASKS: 'QUEUE_FULL',
    MIN_TIMER_SLOTS: 'INVALID_SLOT',
    MAX_TIMER_SLOTS: 'INVALID_SLOT',
    MAX_RING_BUFFERS_PER_PROGRAM: 'MAX_BUFFERS',
    MIN_RING_BUFFER_SIZE: 'INVALID_ARGUMENT',
    DEFAULT_RING_BUFFER_SIZE: 'BUFFER_FULL',
    MAX_RING_BUFFER_SIZE: 'INVALID_ARGUMENT',
  } as const;
  test.each(Object.entries(LIMITS))('covers %s, at it and beyond it', (limit, code) => {
    const vector = mine.find(({ covers }) => covers?.includes(limit));
    const errors = vector ? allCalls([vector]).map(({ error }) => error) : [];
    expect(errors).toContain('SUCCESS');
    expect(errors).toContain(code);
  });
});

function allCalls(of: Vector[]) {
  return of.flatMap(({ steps }) => steps.flatMap((step) => ('calls' in step ? step.calls : [])));
}
