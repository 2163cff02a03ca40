/** Memory and threads of a process of its own. */

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

const DESTROYED = `
  const { AsyncBpfEngine } = require(process.argv[1]);
  const engine = new AsyncBpfEngine({ workers: 1, startSlot: 1 });
  const address = '4uQeVj5tqViQh7yWWGStvkEG1Zmhx6uasJtWCJziofM';
  engine.addProgram(address, require('node:fs').readFileSync(process.argv[2]));
  const resident = () => (gc(), process.memoryUsage().rss);
  const rounds = async (count) => {
    for (let n = 0; n < count; n++) {
      const id = engine.rings.create({ programId: address, size: 1_048_576, reader: 'host' });
      const data = Buffer.alloc(10);
      data[1] = 15;
      data.writeBigUInt64LE(id, 2);
      engine.tasks.submit({ programId: address, data });
      const { outcomes } = await engine.processSlotAsync(engine.slot + 1n);
      if (outcomes[0].status !== 'committed' || engine.rings.get(id)) throw new Error('it was not destroyed');
      if (n % 10 === 0) gc();
    }
  };
  (async () => {
    await rounds(20);
    const before = resident();
    await rounds(100);
    console.log((resident() - before) / 1e6);
  })();
`;

// The shared memory of such a ring buffer, two MiB of it, belongs to JavaScript, and can only be given back on its thread.
test('ring buffers that a program destroys on another thread leave nothing behind', () => {
  const args = [
    '--expose-gc',
    '-e',
    DESTROYED,
    join(__dirname, '../dist/index.js'),
    join(__dirname, '../programs/prebuilt/conformance.so'),
  ];
  const megabytes = Number(execFileSync(process.execPath, args, { encoding: 'utf8' }));
  expect(megabytes).toBeLessThan(60);
});

const FORGOTTEN = `
  const { AsyncBpfEngine } = require(process.argv[1]);
  const { readFileSync } = require('node:fs');
  let most = 0;
  (async () => {
    for (let n = 0; n < 1_000; n++) {
      new AsyncBpfEngine({ workers: 2 });
      most = Math.max(most, Number(/Threads:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]));
      // Finalizers run between turns of the event loop.
      await new Promise(setImmediate);
    }
    console.log(most);
  })();
`;

// Without a word about their weight, V8 let a thousand of them wait, and their threads.
test.runIf(process.platform === 'linux')('engines that nobody closes are collected before there are too many', () => {
  const threads = Number(execFileSync(process.execPath, ['-e', FORGOTTEN, join(__dirname, '../dist/index.js')], { encoding: 'utf8' }));
  expect(threads).toBeLessThan(500);
});
