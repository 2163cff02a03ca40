/** Slots, by a call that takes and gives numbers in memory (`bindings/src/slots.rs`). Outcomes stay bytes until somebody looks at them. */

import type { U64Like } from './arguments.js';
import type { Connection } from './connection.js';
import * as replies from './replies.js';
import type { Outcome, SlotReport } from './types.js';
import { Reader, Writer } from './wire.js';

/** Memory begins with u64 words: the question, and then the answer. Halves of words are counted apart. */
const SLOT = 0;
const TIMESTAMP = 1;
const HAS_TIMESTAMP_HALF = 4;
const USED_HALF = 5;
const COUNTS = 3;
const COUNT = 5;
const OUTCOMES_LENGTH_HALF = 16;
const TASKS_HALF = 17;
const WORDS = 9;
const HEAD_LENGTH = WORDS * 8;
/** Bytes of memory, for the outcomes of many slots. Reports share it, as small Buffers share Node's pool. */
const MEMORY_LENGTH = 65_536;
/** Of a task in the list of tasks: its id, and where its outcome begins. */
const TASK_LENGTH = 12;

/** What is known of a slot when it is over. */
interface Processed {
  report: SlotReport;
  outcomes: Outcomes | undefined;
}

/** The slots of an engine. */
export class Slots {
  readonly #connection: Connection;
  /** Those who wait for a slot that another thread processes, so that theirs can begin. */
  readonly #queue: (() => void)[] = [];
  #isElsewhere = false;
  #memory = new ArrayBuffer(HEAD_LENGTH);
  #bytes = new Uint8Array(this.#memory);
  #words = new BigUint64Array(this.#memory);
  #halves = new Uint32Array(this.#memory);
  /** How much of the memory is the head, or outcomes of reports that may not have been looked at. */
  #used = HEAD_LENGTH;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Processes a slot. Throws INVALID_SLOT, INVALID_ARGUMENT, SHUTDOWN. */
  process(slot: U64Like, timestamp: bigint | undefined): Processed {
    const words = this.#words;
    const halves = this.#halves;
    if (typeof slot === 'bigint') {
      words[SLOT] = slot;
    } else {
      // A number has to become a bigint anyway, which it does at less cost here than by `BigInt`.
      halves[SLOT] = slot;
      halves[SLOT + 1] = slot / 2 ** 32;
    }
    words[TIMESTAMP] = timestamp ?? 0n;
    halves[HAS_TIMESTAMP_HALF] = timestamp === undefined ? 0 : 1;
    halves[USED_HALF] = this.#used;
    const stateHash = this.#connection.processSlot(this.#memory);
    const outcomes = this.#outcomes(halves[OUTCOMES_LENGTH_HALF]!, halves[TASKS_HALF]!);
    return { report: slotReport(words[SLOT]!, stateHash, words, COUNTS, outcomes), outcomes };
  }

  /**
   * Processes a slot on another thread, when all are over that were asked for before, and lets `settle` have the outcomes before anybody
   * else learns of them. Throws the same.
   */
  async processElsewhere(
    slot: bigint,
    timestamp: bigint | undefined,
    settle: (outcomes: Outcomes | undefined) => void,
  ): Promise<SlotReport> {
    if (this.#isElsewhere) await new Promise<void>((begin) => this.#queue.push(begin));
    this.#isElsewhere = true;
    try {
      const request = new Writer().u64(slot);
      request.option(timestamp, (seconds) => request.i64(seconds));
      return await this.#connection.processSlotElsewhere(request, (reader) => {
        const { report, outcomes } = readReport(slot, reader);
        settle(outcomes);
        return report;
      });
    } finally {
      const next = this.#queue.shift();
      if (next) next();
      else this.#isElsewhere = false;
    }
  }

  #outcomes(length: number, tasks: number): Outcomes | undefined {
    if (length === 0) return undefined;
    if (length <= this.#bytes.length - this.#used) {
      const start = this.#used;
      this.#used += length;
      return new Outcomes(this.#bytes, start, this.#used, tasks);
    }
    // There was no room. What is left here is for smaller ones, unless there is hardly any.
    if (length <= MEMORY_LENGTH / 2) this.#renew();
    return new Outcomes(this.#connection.takeReply(), 0, length, tasks);
  }

  #renew(): void {
    this.#memory = new ArrayBuffer(MEMORY_LENGTH);
    this.#bytes = new Uint8Array(this.#memory);
    this.#words = new BigUint64Array(this.#memory, 0, WORDS);
    this.#halves = new Uint32Array(this.#memory, 0, WORDS * 2);
    this.#used = HEAD_LENGTH;
  }
}

/** The outcomes of a slot, as bytes: a list of them, and then a list of those that were tasks by themselves. */
export class Outcomes {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #end: number;
  readonly #tasks: number;

  constructor(bytes: Uint8Array, start: number, end: number, tasks: number) {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
    this.#tasks = tasks;
  }

  all(): Outcome[] {
    const reader = new Reader(this.#bytes, this.#start);
    return reader.list(() => replies.outcome(reader));
  }

  /** Tells of each task that was submitted or scheduled, and how to read its outcome. */
  forEachTask(use: (id: bigint, read: () => Outcome) => void): void {
    const reader = new Reader(this.#bytes, this.#end - this.#tasks * TASK_LENGTH);
    for (let n = 0; n < this.#tasks; n++) {
      const id = reader.u64();
      const start = this.#start + reader.u32();
      use(id, () => replies.outcome(new Reader(this.#bytes, start)));
    }
  }
}

/** What another thread has left. */
function readReport(slot: bigint, reader: Reader): Processed {
  const stateHash = replies.hex(reader);
  const counts = Array.from({ length: COUNT }, () => reader.u64());
  const tasks = reader.u32();
  const bytes = reader.rest();
  const outcomes = bytes.length > 0 ? new Outcomes(bytes, 0, bytes.length, tasks) : undefined;
  return { report: slotReport(slot, stateHash, counts, 0, outcomes), outcomes };
}

function slotReport(slot: bigint, stateHash: string, counts: ArrayLike<bigint>, first: number, unread: Outcomes | undefined): SlotReport {
  const timersFired = counts[first]!;
  const watchersTriggered = counts[first + 1]!;
  const tasksQueued = counts[first + 2]!;
  const tasksPending = counts[first + 3]!;
  const unitsConsumed = counts[first + 4]!;
  if (!unread) return { slot, timersFired, watchersTriggered, tasksQueued, tasksPending, unitsConsumed, stateHash, outcomes: [] };
  // Most slots of most hosts are only counted: outcomes are built when somebody looks, and then their bytes can go.
  let bytes: Outcomes | undefined = unread;
  let outcomes: Outcome[] = [];
  return {
    slot,
    timersFired,
    watchersTriggered,
    tasksQueued,
    tasksPending,
    unitsConsumed,
    stateHash,
    get outcomes() {
      if (bytes) {
        outcomes = bytes.all();
        bytes = undefined;
        // From now on it is there like the rest, for whoever prints the report; unless somebody has frozen it.
        Reflect.defineProperty(this, 'outcomes', { value: outcomes, enumerable: true });
      }
      return outcomes;
    },
  };
}
