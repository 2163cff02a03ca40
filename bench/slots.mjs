// Slots and callbacks as JavaScript sees them, against LiteSVM.
import Benchmark from 'benchmark';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { AsyncBpfEngine } from '../dist/index.mjs';
import { litesvmCounter } from './litesvm.mjs';
import { row } from './measure.mjs';

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

export default async function slots({ quick }) {
  const [rounds, seconds] = quick ? [3, 0.1] : [9, 0.5];
  const litesvm = await litesvmCounter(counterElf);
  const peer = { name: 'litesvm sendTransaction (no signature checks, no history)', run: litesvm, per: 1 };
  const contenders = [
    { name: 'processSlot, nothing due', run: busy(0, 1), per: 1 },
    { name: 'processSlot, 1 callback', run: busy(1, 1), per: 1 },
    { name: 'processSlot, 1,000 callbacks, 1 worker: per callback', run: busy(1000, 1), per: 1000 },
    { name: 'processSlot, 1,000 callbacks, 2 workers: per callback', run: busy(1000, 2), per: 1000 },
    { name: 'invoke', run: invoking(), per: 1 },
  ];
  const times = new Map([peer, ...contenders].map((contender) => [contender, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [contender, list] of times) list.push(nanoseconds(contender, seconds));
  }
  const theirs = times.get(peer);
  return [
    row('a litesvm transaction', 'ns', null, theirs),
    ...contenders.flatMap((ours) => [
      row(ours.name, 'ns', null, times.get(ours)),
      row(
        ours.name,
        'times faster',
        peer.name,
        times.get(ours).map((time, round) => theirs[round] / time),
      ),
    ]),
  ];
}

function nanoseconds({ name, run, per }, seconds) {
  const bench = new Benchmark(name, run, { maxTime: seconds, minSamples: 1 });
  bench.run();
  if (bench.error) throw bench.error;
  return (bench.stats.mean * 1e9) / per;
}
