/** The vectors of conformance/, played by the TypeScript API, by a program in the virtual machine, and by the reference model. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ErrorCode, type ErrorCodeName } from '../dist/index.js';
import { branches } from './support/branches.js';
import { coverageDocument } from './support/coverage.js';
import { runVector } from './support/player.js';
import { runners, runs } from './support/runners.js';
import { violations } from './support/schema.js';
import { readJson, readVectors, SYSCALLS, type Rule, type Vector } from './support/vectors.js';

const ROOT = join(__dirname, '..');
const vectors = readVectors();
const rules = readJson<Rule[]>('rules.json');
const schema = readJson<Record<string, unknown>>('schema.json');

describe('the files', () => {
  test.each(vectors.map((vector) => [vector.name, vector] as const))('%s is as schema.json says', (_, { name, ...vector }) => {
    expect(violations(schema, vector)).toEqual([]);
  });

  test('schema.json refuses what it should', () => {
    const call = { call: 'sol_get_slot', value: 0, error: 'SUCCESS' };
    const vector = (changed: object) => ({
      rule: 'r',
      rules: ['calls.get-slot'],
      steps: [{ invoke: 'a', calls: [{ ...call, ...changed }] }],
    });
    expect(violations(schema, vector({}))).toEqual([]);
    expect(violations(schema, vector({ error: 'NO_SUCH_CODE' }))).not.toEqual([]);
    expect(violations(schema, vector({ call: 'sol_no_such_call' }))).not.toEqual([]);
    expect(violations(schema, vector({ args: { size: 1.5 } }))).not.toEqual([]);
    expect(violations(schema, { ...vector({}), steps: [] })).not.toEqual([]);
    expect(violations(schema, { ...vector({}), steps: [{ host: 'timers.mistake' }] })).not.toEqual([]);
    expect(violations(schema, { ...vector({}), typo: 1 })).not.toEqual([]);
  });

  test('every rule has a vector, and every vector a rule', () => {
    const known = rules.map(({ id }) => id);
    const pinned = new Set(vectors.flatMap((vector) => vector.rules));
    expect(known.filter((id) => !pinned.has(id))).toEqual([]);
    expect([...pinned].filter((id) => !known.includes(id))).toEqual([]);
  });

  test('the model names rules that there are', () => {
    const known = rules.map(({ id }) => id);
    expect(branches().filter(({ rule }) => !known.includes(rule))).toEqual([]);
  });

  test('docs/conformance.md is current', () => {
    const file = join(ROOT, 'docs/conformance.md');
    const document = coverageDocument(rules, vectors, branches());
    if (process.env.UPDATE) writeFileSync(file, document);
    expect(readFileSync(file, 'utf8'), 'run it with UPDATE=1').toBe(document);
  });

  test.each(['bindings/ts', 'programs/include'])('what is documented in %s links to what is there', (folder) => {
    const document = readFileSync(join(ROOT, 'docs/conformance.md'), 'utf8');
    const files = readdirSync(join(ROOT, folder)).filter((file) => /\.(ts|h)$/.test(file));
    const links = files.flatMap((file) => {
      const text = readFileSync(join(ROOT, folder, file), 'utf8');
      return [...text.matchAll(/docs\/conformance\.md#([\w.]*\w)/g)].map(([, anchor]) => anchor!);
    });
    expect(links.length).toBeGreaterThanOrEqual(SYSCALLS.length);
    expect(links.filter((anchor) => !document.includes(`<a id="${anchor}">`))).toEqual([]);
  });

  test('every call has a vector in which it succeeds and, unless it cannot fail, one in which it is refused', () => {
    const calls = allCalls(vectors);
    for (const name of SYSCALLS) {
      const errors = calls.filter(({ call }) => call === name).map(({ error }) => error);
      expect(errors, name).toContain('SUCCESS');
      if (name === 'sol_get_slot') continue;
      const refused = errors.some((error) => error !== undefined && error !== 'SUCCESS');
      expect(refused, name).toBe(true);
    }
  });
});

describe.each(runners.map((runner) => [runner.name, runner] as const))('%s', (_, runner) => {
  const mine = vectors.filter((vector) => runs(runner, vector));
  let [passed, steps] = [0, 0];

  test.each(mine.map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
    using subject = runner.open(vector.engine);
    steps += runVector(vector, subject);
    passed += 1;
  });

  afterAll(() => console.log(`conformance, ${runner.name}: ${passed} of ${mine.length} vectors hold, ${steps} calls`));

  test.each(Object.entries(ErrorCode).filter(([, code]) => code <= ErrorCode.UNKNOWN_PROGRAM))('covers %s', (name) => {
    expect(allErrors(mine)).toContain(name);
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

function allErrors(of: Vector[]): (ErrorCodeName | undefined)[] {
  const hosts = of.flatMap(({ steps }) => steps.flatMap((step) => ('host' in step ? [step.error] : [])));
  return [...allCalls(of).map(({ error }) => error), ...hosts];
}
