// Very many callbacks: of timers, watchers and tasks, with a ring and two streams of events. Nothing may be lost, and nothing may stay.
import { setImmediate as turn } from 'node:timers/promises';
import { Load } from '../load.mjs';
import { Memory } from '../memory.mjs';

export const full = { callbacks: 10_000_000, samples: 100 };
export const quick = { callbacks: 60_000, samples: 20 };

const SIZES = { timers: 400, pushes: 200, watchers: 200, tasks: 190, functions: 10 };
const SLOW = { capacity: 65_536, everySlots: 8, reads: 300 };

export async function run({ callbacks, samples }) {
  const memory = new Memory();
  const load = new Load(SIZES, { workers: 2 });
  const promises = new Promises();
  const [fast, slow] = [new Tally(), new Tally()];
  const stream = load.engine.events({ capacity: SLOW.capacity });
  const reading = fast.readAll(load.engine.events());
  const looked = { outcomes: 0, expected: 0 };
  let slots = 0;
  let sampled = 0;
  while (load.callbacks < callbacks) {
    slots += 1;
    const submitted = (handle) => promises.submitted(handle);
    const report = slots % 2 ? load.slot(submitted) : await load.slotElsewhere(submitted);
    promises.ran();
    // Most reports of most hosts are never looked at.
    if (slots % 10 === 0) {
      looked.outcomes += report.outcomes.length;
      looked.expected += Number(report.tasksQueued);
    }
    if (slots % SLOW.everySlots === 0) for (let n = 0; n < SLOW.reads; n++) slow.add((await stream.next()).value);
    await turn();
    if (load.callbacks / callbacks >= (sampled + 1) / samples) {
      await memory.sample();
      sampled += 1;
    }
  }
  load.finish();
  const [stats, ring] = [load.engine.stats(), load.ring];
  load.close();
  await reading;
  await slow.readAll(stream);
  await turn();

  const events = load.callbacks + slots;
  const ran = Number(stats.tasksCompleted);
  const pushed = load.pushed + slots * SIZES.pushes;
  return {
    memory,
    counts: {
      callbacks: ran,
      slots,
      'task promises': promises.settled,
      'ring entries': load.taken,
      'events read': fast.seen + slow.seen,
      'events counted in gaps': fast.missed + slow.missed,
    },
    checks: {
      'every callback that was due has committed': [ran, load.callbacks],
      'none failed, expired or waits': [stats.tasksFailed + stats.tasksExpired + stats.tasksPending, 0n],
      'reports that were looked at are whole': [looked.outcomes, looked.expected],
      'every promise of a task that somebody asked for is settled, with the outcome of its task': [promises.settled, promises.asked],
      'every entry that was pushed was taken': [load.taken, pushed],
      'the engine has counted them, too': [Number(ring.nextSequence), pushed],
      'entries came in order': [load.disorder, 0],
      'a fast reader has every event': [fast.seen, events],
      'a slow reader has every event, or knows that it has missed it': [slow.seen + slow.missed, events],
      'it has missed some': [slow.missed > 0, true],
    },
  };
}

/** Handles of tasks: of three, the first is asked for its outcome before the slot, the second after it, the third never. */
class Promises {
  asked = 0;
  settled = 0;
  #count = 0;
  #later = [];

  submitted(handle) {
    const kind = this.#count++ % 3;
    if (kind === 0) this.#ask(handle);
    if (kind === 1) this.#later.push(handle);
  }

  ran() {
    this.#later.forEach((handle) => this.#ask(handle));
    this.#later = [];
  }

  #ask({ id, outcome }) {
    this.asked += 1;
    outcome.then(({ taskId, status }) => {
      if (taskId === id && status === 'committed') this.settled += 1;
    });
  }
}

/** What a stream has told. */
class Tally {
  seen = 0;
  missed = 0;

  add(event) {
    if (event.type === 'gap') this.missed += Number(event.missed);
    else this.seen += 1;
  }

  async readAll(stream) {
    for await (const event of stream) this.add(event);
  }
}
