// What a process holds: resident memory, threads and open files.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';

/** Of the samples, those at the beginning that say how much a process takes at work. */
const WARM_UP = 0.2;

/** Frees what nobody holds: objects, what finalizers close, and shared memory, which V8 gives back when the event loop turns. */
export async function collect() {
  for (let n = 0; n < 3; n++) {
    gc();
    await turn();
  }
}

/** Resident memory during a run, always after garbage collection. */
export class Memory {
  #bytes = [];

  async sample() {
    await collect();
    this.#bytes.push(process.memoryUsage.rss());
  }

  /** After the warm-up: the medians of the first and of the last tenth of the samples, in MB, and how much more the last is. And all samples. */
  growth() {
    const flat = this.#bytes.slice(Math.ceil(this.#bytes.length * WARM_UP));
    const tenth = Math.ceil(flat.length / 10);
    const [first, last] = [median(flat.slice(0, tenth)), median(flat.slice(-tenth))];
    return { first: first / 1e6, last: last / 1e6, growth: last / first - 1, samples: this.#bytes.map((bytes) => bytes / 1e6) };
  }
}

/** Threads and open files; nothing where the system does not tell. */
export function held() {
  if (!existsSync('/proc/self/status')) return undefined;
  const threads = Number(/^Threads:\s+(\d+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  return { threads, files: readdirSync('/proc/self/fd').length };
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
