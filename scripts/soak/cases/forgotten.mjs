// Engines that nobody closes: when nobody holds them any more, garbage collection ends their threads and frees their memory.
import { Load } from '../load.mjs';
import { collect, held, Memory } from '../memory.mjs';

export const full = { engines: 6_000, atOnce: 20 };
export const quick = { engines: 120, atOnce: 4 };

const SIZES = { timers: 3, pushes: 2, watchers: 4, tasks: 4, functions: 1 };

export async function run({ engines, atOnce }) {
  const memory = new Memory();
  await forget().last;
  await collect();
  const before = held();
  const leftovers = [];
  let most = 0;
  for (let n = 0; n < engines; n += atOnce) {
    for (let m = 0; m < atOnce; m++) leftovers.push(forget());
    most = Math.max(most, held()?.threads ?? 0);
    await memory.sample();
    // What was given out stays good without the engine.
    for (const { report, handle, last } of leftovers.splice(0)) {
      await last;
      if (report.outcomes.length === 0 || (await handle.outcome).taskId !== handle.id) throw new Error('an outcome is gone');
    }
  }
  await collect();
  return {
    memory,
    counts: { 'engines that were forgotten': engines },
    checks: {
      'threads and open files are those of the beginning': [held(), before],
      'engines that are alive have threads': [most >= (before?.threads ?? 0) + (before ? atOnce : 0), true],
    },
  };
}

/** With a stream, rings that are not empty, tasks that did not run, and a report and a task that live on; while another thread processes a slot. */
function forget() {
  const load = new Load(SIZES, { workers: 2 });
  load.engine.events();
  let handle;
  const report = load.slot((submitted) => (handle = submitted));
  load.submit(0);
  const last = load.slotElsewhere().then(() => {});
  load.submit(1);
  return { report, handle, last };
}
