// A thread that does nothing but long slots, and says when each begins and ends.
import { workerData } from 'node:worker_threads';
import { Load } from './load.mjs';

const { words } = workerData;
const load = new Load({ timers: 100, pushes: 100, watchers: 50, tasks: 50, loops: 60, units: 1_000_000 }, { workers: 2 });
load.engine.events();
for (let slot = 1; ; slot++) {
  load.slot(
    () => {},
    () => {
      Atomics.store(words, 0, slot);
      Atomics.notify(words, 0);
    },
  );
  Atomics.store(words, 1, slot);
}
