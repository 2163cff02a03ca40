// Engines that are created, used and closed, one after the other.
import { setImmediate as turn } from 'node:timers/promises';
import { Load } from '../load.mjs';
import { collect, held, Memory } from '../memory.mjs';

export const full = { cycles: 10_000, samples: 100 };
export const quick = { cycles: 250, samples: 25 };

const SIZES = { timers: 3, pushes: 2, watchers: 4, tasks: 4, functions: 1 };

export async function run({ cycles, samples }) {
  const memory = new Memory();
  await cycle(0);
  await cycle(1);
  await collect();
  const before = held();
  let settled = 0;
  let events = 0;
  for (let n = 1; n <= cycles; n++) {
    const result = await cycle(n);
    settled += result.settled;
    events += result.events;
    if (n % (cycles / samples) === 0) await memory.sample();
  }
  await collect();
  return {
    memory,
    counts: { 'engines created and closed': cycles, 'task promises settled': settled, 'events read': events },
    checks: {
      'promises of tasks that ran are resolved, of those that did not, rejected': [settled, cycles * SIZES.tasks * 2],
      // Of the slot, its callbacks, and the timer that fires once.
      'who reads a stream has every event': [events, Math.ceil(cycles / 2) * 16],
      'threads and open files are those of the beginning': [held(), before],
    },
  };
}

/** With two workers, an engine has a thread of its own. Every third one is closed while another thread processes its slot. */
async function cycle(n) {
  const load = new Load(SIZES, { workers: 2 });
  const stream = load.engine.events();
  let settled = 0;
  const submitted = ({ outcome }) => outcome.then(() => settled++);
  const under = n % 3 === 0 ? load.slotElsewhere(submitted) : load.slot(submitted);
  for (let task = 0; task < SIZES.tasks; task++) {
    load.submit(task).outcome.catch((error) => (settled += error.codeName === 'SHUTDOWN' ? 1 : 0));
  }
  load.close();
  await under;
  await turn();
  let events = 0;
  // Every second stream is left as it is, unread.
  if (n % 2 === 1) for await (const event of stream) events += event.type === 'gap' ? 0 : 1;
  return { settled, events };
}
