// Slots and callbacks as JavaScript sees them, against LiteSVM; and what JavaScript adds to them.
import Benchmark from 'benchmark';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { AsyncBpfEngine } from '../dist/index.mjs';
import { litesvmCounter } from './litesvm.mjs';
import { row, takeTurns } from './measure.mjs';

const { addon } = createRequire(import.meta.url)('../dist/native.js');
const counterElf = readFileSync(new URL('../programs/prebuilt/counter.so', import.meta.url));
const ACCOUNT = { lamports: 1_000_000_000n, data: new Uint8Array(8) };
const address = (kind, n) => Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? kind : i === 1 ? n & 255 : i === 2 ? n >> 8 : 1));

const SLOT_LIMITS = { maxTimersPerProgram: 10_000, maxScheduledTasks: 10_000, slotComputeLimit: 10_000_000_000 };

/** An engine whose program has `count` timers, each due in every slot, each on an account of its own. */
function engineOf(count, options) {
  const engine = new AsyncBpfEngine({ workers: 1, limits: SLOT_LIMITS, ...options });
  const handle = addon.TESTING_lastHandle();
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
  const { outcomes } = engine.processSlot(1);
  assert.deepEqual([outcomes.length, outcomes.every(({ status }) => status === 'committed')], [count, true]);
  return { engine, handle };
}

/** Processes a slot. */
function busy(count, options) {
  const { engine } = engineOf(count, options);
  let slot = 1;
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
  return [...(await againstLitesvm(quick)), ...boundary(quick)];
}

async function againstLitesvm(quick) {
  const [rounds, seconds] = quick ? [3, 0.1] : [9, 0.5];
  const litesvm = await litesvmCounter(counterElf);
  const peer = { name: 'litesvm sendTransaction (no signature checks, no history)', run: litesvm, per: 1 };
  const thousand = (workers, logs) => ({
    name: `processSlot, 1,000 callbacks, ${workers} worker${workers === 1 ? '' : 's'}${logs ? '' : ', no logs'}: per callback`,
    run: busy(1000, { workers, logs }),
    per: 1000,
  });
  const contenders = [
    { name: 'processSlot, nothing due', run: busy(0), per: 1 },
    { name: 'processSlot, 1 callback', run: busy(1), per: 1 },
    ...[1, 2].flatMap((workers) => [true, false].map((logs) => thousand(workers, logs))),
    { name: 'processSlot, 10,000 callbacks, 1 worker, no logs: per callback', run: busy(10_000, { logs: false }), per: 10_000 },
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

// ---- what JavaScript adds

const UPDATES = Array.from({ length: 1000 }, (_, n) => ({
  address: address(3, n),
  lamports: 1_000_000n,
  data: new Uint8Array(64).fill(n),
  owner: address(4, 0),
}));

/** Of a round; each takes a fraction of a millisecond, in which a busy machine mostly does nothing else. */
const TURNS = 25;

/** What crosses the boundary in a slot: against a call that does nothing, and against the same slots processed by native code. */
function boundary(quick) {
  const rounds = quick ? 7 : 31;
  const call = {
    operations: 5000,
    operation: (n) => {
      for (let i = 0; i < n; i++) addon.TESTING_number(i);
    },
  };
  const rows = [row('a bare Node-API call with a number', 'ns', null, against(call, call, 3, TURNS).ours)];
  const calls = [
    ['processSlot, nothing due', processing(0), 40],
    ['an account update of 64 B, 1,000 at a time', updating(), 60],
    ['an account update of 64 B, written to a batch of 1,000', batching(), 10],
  ];
  for (const [name, contender, atMost] of calls) {
    const { ours, theirs } = against(contender, call, rounds, TURNS);
    const ratios = ours.map((time, round) => time / theirs[round]);
    rows.push(row(name, 'ns', null, ours), row(name, 'times', 'a bare Node-API call with a number', ratios, { atMost }));
  }
  const slots = [
    ['processSlot, 1 callback', {}],
    ['processSlot, 1 callback, no logs', { logs: false }],
  ];
  for (const [name, options] of slots) {
    const native = { ...processing(1, options, 20), operation: processing(1, options).natively };
    const { ours, theirs } = against(processing(1, options, 20), native, rounds, TURNS);
    const beyond = ours.map((time, round) => time - theirs[round]);
    rows.push(row(name, 'ns more', 'the same slots processed by native code', beyond, { atMost: 4000 }));
  }
  for (const [name, options, atMost] of [
    ['an outcome of 10,000 that nobody looks at', {}, undefined],
    ['an outcome of 10,000 that nobody looks at, no logs', { logs: false }, 100],
  ]) {
    rows.push(row(name, 'ns', null, unread(10_000, options, rounds), { atMost }));
  }
  return rows;
}

/** Nanoseconds an outcome, in each round: to write it in native code, and to hand it to JavaScript. */
function unread(count, options, rounds) {
  const { handle } = engineOf(count, options);
  return Array.from({ length: rounds }, () => {
    const written = addon.TESTING_writeOutcomes(handle);
    const start = performance.now();
    addon.takeReply();
    return (written + (performance.now() - start) * 1e6) / count;
  });
}

/** Nanoseconds of an operation, in each round. */
function against(contender, peer, rounds, turns) {
  const times = { ours: [], theirs: [] };
  for (let round = 0; round <= rounds; round++) {
    const [ours, theirs] = takeTurns([contender, peer], turns);
    // The first warms up.
    if (round === 0) continue;
    times.ours.push(ours);
    times.theirs.push(theirs);
  }
  return times;
}

function processing(count, options, operations = 200) {
  const { engine, handle } = engineOf(count, options);
  let slot = 1;
  const operation = (n) => {
    for (let i = 0; i < n; i++) engine.processSlot(++slot);
  };
  return { operations, operation, natively: (n) => assert.equal(addon.TESTING_processSlots(handle, n), n * count) };
}

function updating() {
  const engine = new AsyncBpfEngine({ workers: 1 });
  let slot = 0;
  const operation = (n) => {
    for (let i = 0; i < n; i += UPDATES.length) engine.updateAccounts(UPDATES);
  };
  return { operations: UPDATES.length, operation, prepare: () => engine.processSlot(++slot) };
}

/** A feed: the accounts stay the same, and their lamports and data change. */
function batching() {
  const engine = new AsyncBpfEngine({ workers: 1 });
  const batch = engine.accountBatch({ capacity: UPDATES.length, dataLength: 64 });
  UPDATES.forEach((update, row) => batch.set(row, update));
  let slot = 0;
  const operation = (n) => {
    for (let i = 0; i < n; i += UPDATES.length) {
      for (let row = 0; row < UPDATES.length; row++) {
        batch.lamports[row] = UPDATES[row].lamports;
        batch.data.set(UPDATES[row].data, row * 64);
      }
      batch.submit();
    }
  };
  return { operations: UPDATES.length, operation, prepare: () => engine.processSlot(++slot) };
}
