// Worker threads that are terminated while they process slots, with the engine's own threads at work.
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { collect, held, Memory } from '../memory.mjs';

export const full = { terminations: 300 };
export const quick = { terminations: 10 };

/** Of words that both threads have: the slot that the worker has begun, and the one that it has ended. */
const BEGUN = 0;
const ENDED = 1;
const LONGEST_WAIT_MS = 40;

export async function run({ terminations }) {
  const memory = new Memory();
  await terminated();
  await terminated(true);
  await collect();
  const before = held();
  let [inside, tries, slots] = [0, 0, 0];
  // A termination that comes between two slots does not count.
  while (inside < terminations) {
    const result = await terminated(tries % 2 === 1);
    tries += 1;
    slots += result.slots;
    if (!result.inside) continue;
    inside += 1;
    await memory.sample();
  }
  await collect();
  return {
    memory,
    counts: { 'threads terminated in a slot': inside, 'terminated between slots': tries - inside, 'slots that were begun': slots },
    checks: { 'threads and open files are those of the beginning': [held(), before] },
  };
}

/** Starts a thread, which processes slots itself or has them processed `elsewhere`, ends it at a random moment after it has begun a slot, and says whether that slot was running then. */
async function terminated(elsewhere = false) {
  const words = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL('../busy-worker.mjs', import.meta.url), { workerData: { words, elsewhere } });
  const failed = once(worker, 'error').then(([error]) => Promise.reject(error));
  const exited = once(worker, 'exit');
  // The first slots set things up: the virtual machine's memory, and what V8 compiles.
  const wanted = 1 + Math.floor(Math.random() * 3);
  await Promise.race([reaches(words, wanted), failed]);
  await sleep(Math.random() * LONGEST_WAIT_MS);
  const begun = Atomics.load(words, BEGUN);
  const running = Atomics.load(words, ENDED) < begun;
  await worker.terminate();
  await exited;
  // JavaScript of the worker has not come back from the slot: it was running when its thread was told to end.
  return { inside: running && Atomics.load(words, ENDED) < begun, slots: Atomics.load(words, BEGUN) };
}

async function reaches(words, slot) {
  for (;;) {
    const begun = Atomics.load(words, BEGUN);
    if (begun >= slot) return;
    await Atomics.waitAsync(words, BEGUN, begun).value;
  }
}
