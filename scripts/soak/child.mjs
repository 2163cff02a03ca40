// One case, in this process: what it has counted, and what is wrong.
import { isDeepStrictEqual } from 'node:util';

const [name, length] = process.argv.slice(2);
const { run, [length]: sizes } = await import(`./cases/${name}.mjs`);
const start = performance.now();
const { memory, counts, checks } = await run(sizes);
const seconds = (performance.now() - start) / 1000;
const wrong = Object.entries(checks).filter(([, [actual, expected]]) => !isDeepStrictEqual(actual, expected));
process.send({
  counts,
  memory: memory.growth(),
  seconds,
  problems: wrong.map(([what, [actual, expected]]) => `${what}: ${show(actual)} instead of ${show(expected)}`),
});

function show(value) {
  return typeof value === 'bigint' ? `${value}` : JSON.stringify(value);
}
