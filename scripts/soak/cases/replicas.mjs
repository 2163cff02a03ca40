// Engines with the same inputs, several in one thread and in several threads at the same time: equal state hashes.
import { createHash } from 'node:crypto';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { Load } from '../load.mjs';
import { collect, held, Memory } from '../memory.mjs';

export const full = { rounds: 100, slots: 10 };
export const quick = { rounds: 8, slots: 6 };

const SIZES = { timers: 60, pushes: 30, watchers: 60, tasks: 60, functions: 2, loops: 1, units: 100_000 };
/** Numbers of workers of the engines that take turns in this thread, and in others. */
const HERE = [1, 2, 3];
const THERE = [
  [1, 2],
  [2, 4],
  [3, 1],
];

export async function run({ rounds, slots }) {
  const memory = new Memory();
  await round(1);
  await collect();
  const before = held();
  const hashes = [];
  for (let n = 0; n < rounds; n++) {
    hashes.push(...(await round(slots)));
    await memory.sample();
  }
  await collect();
  return {
    memory,
    counts: { engines: hashes.length, 'in threads': rounds * (1 + THERE.length), slots: slots * hashes.length },
    checks: {
      'histories that there were': [new Set(hashes).size, 1],
      'threads and open files are those of the beginning': [held(), before],
    },
  };
}

async function round(slots) {
  const threads = THERE.map((workers) => thread({ workers, slots }));
  return (await Promise.all([play(HERE, slots), ...threads])).flat();
}

/** A digest of the state hashes of each engine, slot by slot. */
async function play(workers, slots) {
  const replicas = workers.map((count) => ({ load: new Load(SIZES, { workers: count }), digest: createHash('sha256') }));
  for (let slot = 1; slot <= slots; slot++) {
    // Of two engines of a thread, one has its slots processed by another thread.
    const reports = replicas.map(({ load }, index) => (index % 2 ? load.slotElsewhere() : load.slot()));
    for (const [index, report] of reports.entries()) replicas[index].digest.update((await report).stateHash);
  }
  return replicas.map(({ load, digest }) => {
    load.close();
    return digest.digest('hex');
  });
}

/** The same in a thread of its own, to its end. */
function thread(workerData) {
  const worker = new Worker(new URL(import.meta.url), { workerData });
  let digests;
  worker.once('message', (message) => (digests = message));
  return new Promise((resolve, reject) => worker.once('exit', () => resolve(digests)).once('error', reject));
}

if (!isMainThread) parentPort.postMessage(await play(workerData.workers, workerData.slots));
