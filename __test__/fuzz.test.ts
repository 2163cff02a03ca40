/**
 * Random scenarios, played by the engine and by the reference model: every answer, report and state must be the same.
 *
 * `npm run fuzz -- --runs N --seed S` plays as many as you like. A difference shrinks to a vector, which is printed.
 */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { firstDifference, toVector } from './fuzz/compare.js';
import { scenario } from './fuzz/generator.js';
import { branches } from './support/branches.js';
import { reached } from '../model/rules.js';

const runs = Number(process.env.FUZZ_RUNS ?? 2_000);
const seed = process.env.FUZZ_SEED === undefined ? 20_261_122 : Number(process.env.FUZZ_SEED);

const genes = fc.array(fc.nat(255), { maxLength: 120, size: 'max' });
const scenarios = fc
  .tuple(genes, fc.array(genes, { minLength: 1, maxLength: 40, size: 'max' }))
  .map(([setting, steps]) => scenario(setting, steps));

test(`${runs} random scenarios`, () => {
  const result = fc.check(
    fc.property(scenarios, (vector) => {
      const difference = firstDifference(vector);
      if (difference) throw new Error(difference);
    }),
    { numRuns: runs, seed },
  );
  if (result.failed) {
    const [vector] = result.counterexample!;
    throw new Error(
      `${(result.errorInstance as Error).message}\n\nseed ${result.seed}, as a vector with what the model says:\n${toVector(vector)}`,
    );
  }
  const all = [...new Set(branches().map(({ key }) => key))];
  const missing = all.filter((key) => !reached.has(key));
  console.log(
    `fuzz: ${runs} scenarios, seed ${seed}, no difference; ${all.length - missing.length} of ${all.length} rule branches reached`,
  );
  if (runs >= 2_000) expect(missing, 'rule branches that no scenario reached').toEqual([]);
}, 0);
