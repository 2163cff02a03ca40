// A thread that does nothing but long slots, by itself or by another thread, and says when each begins and ends.
import { workerData } from 'node:worker_threads';
import { Load } from './load.mjs';

const SIZES = { timers: 100, pushes: 100, watchers: 50, tasks: 50, functions: 10, loops: 60, units: 1_000_000 };

const { words, elsewhere } = workerData;
const load = new Load(SIZES, { workers: 2 });
// Somebody has the stream, though nobody reads it.
globalThis.stream = load.engine.events();
for (let slot = 1; ; slot++) {
  const begins = () => {
    Atomics.store(words, 0, slot);
    Atomics.notify(words, 0);
  };
  if (elsewhere) await load.slotElsewhere(undefined, begins);
  else load.slot(undefined, begins);
  Atomics.store(words, 1, slot);
}
