// Compares the results of two runs: everything but the time must be equal.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const [first, second] = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, 'utf8')));
for (const run of [first, second]) for (const key of Object.keys(run)) if (/second/i.test(key) || key === 'workers') delete run[key];
assert.deepEqual(first, second);
assert.ok(first.trades.length > 0, 'there were trades');
console.log(`${first.slots} slots, ${first.trades.length} trades, state hash ${first.stateHash}: equal`);
