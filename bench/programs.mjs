// Whole slots of real programs as JavaScript sees them, against a transaction for each call in LiteSVM.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { AsyncBpfEngine } from '../dist/index.mjs';
import { litesvm } from './litesvm.mjs';
import { row } from './measure.mjs';
import { TOKEN, tokenElf } from './token.mjs';

const CALLBACKS = 1000;
/** Transactions of a round, which take as long as some slots. */
const TRANSACTIONS = 512;
const SLOTS = 4;
const GOAL = 4;

const LAMPORTS = 1_000_000_000n;
const address = (kind, n) => Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? kind : i === 1 ? n & 255 : i === 2 ? n >> 8 : 1));
const [BENCH, CALLEE] = [11, 12].map((kind) => address(kind, 0));
const benchElf = readFileSync(new URL('../programs/prebuilt/bench.so', import.meta.url));

/** The numbers 1, 1, 1, … */
const numbers = (length) => Uint8Array.from({ length }, (_, i) => (i % 8 === 0 ? 1 : 0));

function tokenAccount(owner, amount) {
  const data = new Uint8Array(165);
  data.fill(14, 0, 32); // the mint
  data.set(owner, 32);
  new DataView(data.buffer).setBigUint64(64, amount, true);
  data[108] = 1; // initialized
  return data;
}

/** What bench/native/src/workload.rs has. The instruction number n gets its accounts; `salt` makes transactions differ. */
const bench = (name, which, lengths, owner, programs) => ({
  name,
  programs: programs.map((programId) => [programId, benchElf]),
  instruction: (n, salt = 0) => ({
    programId: BENCH,
    data: Uint8Array.of(which, salt),
    accounts: [
      { address: address(1, n), isWritable: true, owner, data: numbers(lengths[0]) },
      { address: address(2, n), owner, data: numbers(lengths[1]) },
      ...programs.slice(1).map((programId) => ({ address: programId })),
    ],
  }),
});
const token = {
  name: 'SPL Token transfer',
  programs: [[TOKEN, tokenElf()]],
  instruction: (n, salt = 0) => {
    const [to, from, owner] = [1, 2, 3].map((kind) => address(kind, n));
    return {
      programId: TOKEN,
      data: Uint8Array.of(3, 1 + salt, 0, 0, 0, 0, 0, 0, 0),
      accounts: [
        { address: from, isWritable: true, owner: TOKEN, data: tokenAccount(owner, 2n ** 62n) },
        { address: to, isWritable: true, owner: TOKEN, data: tokenAccount(owner, 0n) },
        { address: owner, isSigner: true, data: new Uint8Array() },
      ],
    };
  },
};
const WORKLOADS = [
  bench('tiny', 0, [64, 16], BENCH, [BENCH]),
  bench('1 KiB', 1, [1024, 1024], BENCH, [BENCH]),
  bench('CPI', 2, [64, 16], CALLEE, [BENCH, CALLEE]),
  token,
];

/** Slots with so many callbacks, each of which is due in every slot and has accounts of its own. */
function slots({ programs, instruction }, options) {
  const limits = { maxTimersPerProgram: 10_000, maxScheduledTasks: 10_000, slotComputeLimit: 10_000_000_000 };
  const engine = new AsyncBpfEngine({ workers: 1, ...options, limits });
  for (const [programId, elf] of programs) engine.addProgram(programId, elf);
  for (let n = 0; n < CALLBACKS; n++) {
    const { programId, data, accounts } = instruction(n);
    for (const { address, owner, data } of accounts) if (data) engine.setAccount(address, { lamports: LAMPORTS, owner, data });
    const metas = accounts.map(({ address, isSigner, isWritable }) => ({ address, isSigner, isWritable }));
    engine.timers.createPeriodic({ programId, data, accounts: metas, startSlot: 1, periodSlots: 1, computeBudget: 10_000 });
  }
  let slot = 0;
  const run = () => engine.processSlot(++slot);
  const { outcomes } = run();
  assert.deepEqual([outcomes.length, outcomes.find(({ status }) => status !== 'committed')], [CALLBACKS, undefined]);
  return () => time(SLOTS, run) / CALLBACKS;
}

/** Nanoseconds of one of `times` runs. */
function time(times, run) {
  const start = performance.now();
  for (let i = 0; i < times; i++) run();
  return ((performance.now() - start) * 1e6) / times;
}

export default async function programs({ quick }) {
  const rows = [];
  for (const workload of WORKLOADS) {
    const send = await litesvm(workload);
    const theirs = () => time(TRANSACTIONS, send);
    const ours = slots(workload, { logs: false });
    const oursWithLogs = slots(workload, { logs: true });
    const times = { theirs: [], ours: [], oursWithLogs: [] };
    for (let round = 0, rounds = quick ? 5 : 21; round <= rounds; round++) {
      const each = { theirs: theirs(), ours: ours(), oursWithLogs: oursWithLogs() };
      // The first warms up.
      if (round > 0) for (const [name, nanoseconds] of Object.entries(each)) times[name].push(nanoseconds);
    }
    const peer = 'litesvm sendTransaction (no signature checks, no history)';
    const ratios = (those) => times.theirs.map((theirs, round) => theirs / those[round]);
    const name = `${workload.name}, processSlot, 1,000 callbacks, 1 worker: per callback`;
    rows.push(
      row(`a litesvm transaction, ${workload.name}`, 'ns', null, times.theirs),
      row(name, 'ns', null, times.ours),
      row(name, 'times faster', peer, ratios(times.ours), { atLeast: GOAL }),
      row(`${name}, with logs`, 'times faster', peer, ratios(times.oursWithLogs)),
    );
  }
  return rows;
}
