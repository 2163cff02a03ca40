// What JavaScript sees: `npm run bench`.
//
// Every row is compared with a peer that is measured in the same run, in alternating rounds; the ratio is the median of the rounds'
// ratios, with its quartiles. Absolute times are of this machine.
import Benchmark from 'benchmark';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { AsyncBpfEngine } from '../dist/index.mjs';
import { litesvmCounter } from './litesvm.mjs';

const { values: options } = parseArgs({ options: { quick: { type: 'boolean' } } });
const ROUNDS = options.quick ? 3 : 9;
const SECONDS = options.quick ? 0.1 : 0.5;

const counterElf = readFileSync(new URL('../programs/prebuilt/counter.so', import.meta.url));
const ACCOUNT = { lamports: 1_000_000_000n, data: new Uint8Array(8) };
const address = (kind, n) => Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? kind : i === 1 ? n & 255 : i === 2 ? n >> 8 : 1));

/** An engine whose program has `count` timers, each due in every slot, each on an account of its own. */
function busy(count, workers) {
  const engine = new AsyncBpfEngine({
    workers,
    limits: { maxTimersPerProgram: 10_000, maxScheduledTasks: 10_000, slotComputeLimit: 10_000_000_000 },
  });
  const program = address(1, 0);
  engine.addProgram(program, counterElf);
  for (let n = 0; n < count; n++) {
    const counter = address(2, n);
    engine.setAccount(counter, { ...ACCOUNT, owner: program });
    engine.timers.createPeriodic({
      programId: program,
      accounts: [{ address: counter, isWritable: true }],
      startSlot: 1,
      periodSlots: 1,
      computeBudget: 10_000,
    });
  }
  let slot = 0;
  const { outcomes } = engine.processSlot(++slot);
  assert.deepEqual([outcomes.length, outcomes.every(({ status }) => status === 'committed')], [count, true]);
  return () => engine.processSlot(++slot);
}

function invoking() {
  const engine = new AsyncBpfEngine({ workers: 1 });
  const [program, counter] = [address(1, 0), address(2, 0)];
  engine.addProgram(program, counterElf);
  engine.setAccount(counter, { ...ACCOUNT, owner: program });
  const accounts = [{ address: counter, isWritable: true }];
  const invoke = () => engine.invoke({ programId: program, accounts, computeBudget: 10_000 });
  assert.equal(invoke().status, 'committed');
  return invoke;
}

const litesvm = await litesvmCounter(counterElf);
const peer = { name: 'litesvm sendTransaction (no signature checks, no history)', run: litesvm, per: 1 };
const rows = [
  { name: 'processSlot, nothing due', run: busy(0, 1), per: 1 },
  { name: 'processSlot, 1 callback', run: busy(1, 1), per: 1 },
  { name: 'processSlot, 1,000 callbacks, 1 worker: per callback', run: busy(1000, 1), per: 1000 },
  { name: 'processSlot, 1,000 callbacks, 2 workers: per callback', run: busy(1000, 2), per: 1000 },
  { name: 'invoke', run: invoking(), per: 1 },
];

function nanoseconds({ name, run, per }) {
  const bench = new Benchmark(name, run, { maxTime: SECONDS, minSamples: 1 });
  bench.run();
  if (bench.error) throw bench.error;
  return (bench.stats.mean * 1e9) / per;
}

function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low + (high - low) * (at - Math.floor(at));
}

const times = new Map([peer, ...rows].map((row) => [row, []]));
for (let round = 0; round < ROUNDS; round++) for (const [row, list] of times) list.push(nanoseconds(row));

console.log(`Peer: ${peer.name}: ${Math.round(quantile(times.get(peer), 0.5))} ns a transaction. The program is counter.so throughout.\n`);
console.log(`${'median ns'.padStart(10)}  ${'peer / ours (quartiles)'.padEnd(26)}`);
for (const row of rows) {
  const ratios = times.get(row).map((ours, round) => times.get(peer)[round] / ours);
  const [median, low, high] = [0.5, 0.25, 0.75].map((q) => quantile(ratios, q).toFixed(2));
  console.log(
    `${String(Math.round(quantile(times.get(row), 0.5))).padStart(10)}  ${`${median} (${low} to ${high})`.padEnd(26)}${row.name}`,
  );
}
