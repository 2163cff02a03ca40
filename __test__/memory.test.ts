/** Memory of a process of its own, after garbage collection. */

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const SCRIPT = `
  const { AsyncBpfEngine } = require(process.argv[1]);
  const engine = new AsyncBpfEngine({ workers: 1 });
  const resident = () => (gc(), process.memoryUsage().rss);
  const slots = (count) => { for (let n = 0; n < count; n++) engine.processSlot(engine.slot + 1n); };
  slots(50_000);
  const before = resident();
  slots(100_000);
  console.log((resident() - before) / 1e6);
`;

// Replies that were lent to JavaScript instead of copied were 75 MB here: they come back only when the event loop turns.
test('100,000 slots without a turn of the event loop leave nothing behind', () => {
  const args = ['--expose-gc', '-e', SCRIPT, join(__dirname, '../dist/index.js')];
  const megabytes = Number(execFileSync(process.execPath, args, { encoding: 'utf8' }));
  expect(megabytes).toBeLessThan(40);
});
