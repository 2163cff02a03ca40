// An engine that is busy with everything there is, in the same way whenever it is given the same sizes.
import { readFileSync } from 'node:fs';
import { AsyncBpfEngine } from '../../dist/index.mjs';

const prebuilt = (name) => readFileSync(new URL(`../../programs/prebuilt/${name}.so`, import.meta.url));
const PROGRAMS = { counter: prebuilt('counter'), conformance: prebuilt('conformance') };
const COUNTER = address(1, 0);
const CONFORMANCE = address(1, 1);
const FUNCTION = address(1, 2);
const LIMITS = {
  maxTimersPerProgram: 100_000,
  maxWatchersPerProgram: 100_000,
  maxScheduledTasks: 100_000,
  slotComputeLimit: 10_000_000_000,
};
const BUDGET = 10_000;
const ANY_CHANGE = 0;
/** Bytes that a counter's account, and an account that is watched, has. */
const DATA_LENGTH = 8;

export class Load {
  #sizes;
  #perSlot;
  #batch;
  /** A ring that programs push to and the host reads. */
  #ring;
  #churned;
  /** Entries of the ring that the host has pushed, and that it has taken. */
  pushed = 0;
  taken = 0;
  /** Entries that were not what had to come next. */
  disorder = 0;
  isClosed = false;
  /** Callbacks that were due. */
  callbacks = 0;

  /**
   * In each slot: `timers`, `pushes` to the ring, `watchers` that fire, `tasks`, `functions`, which are callbacks of a JavaScript function, `loops`,
   * which run until a budget of `units` is spent, and a timer that fires once. Between slots, one of each thing is unmade and another made.
   */
  constructor({ timers = 0, pushes = 0, watchers = 0, tasks = 0, functions = 0, loops = 0, units = 0 }, options) {
    this.#sizes = { watchers, tasks };
    const engine = new AsyncBpfEngine({ limits: LIMITS, logs: false, ...options });
    this.engine = engine;
    engine.addProgram(COUNTER, PROGRAMS.counter);
    engine.addProgram(CONFORMANCE, PROGRAMS.conformance);
    engine.addProgram(FUNCTION, ({ accounts }) => void accounts[0].data[0]++);
    this.#ring = engine.rings.create({ programId: CONFORMANCE, size: 2 ** 18, reader: 'host' });

    const every = { startSlot: engine.slot + 1n, periodSlots: 1 };
    for (let n = 0; n < timers; n++) engine.timers.createPeriodic({ ...every, ...this.#counting(2, n) });
    for (let n = 0; n < pushes; n++) engine.timers.createPeriodic({ ...every, ...pushing(this.#ring, n) });
    for (let n = 0; n < functions; n++) {
      engine.timers.createPeriodic({ ...every, ...this.#counting(7, n, FUNCTION) });
    }
    for (let n = 0; n < loops; n++) {
      engine.timers.createPeriodic({ ...every, programId: CONFORMANCE, data: LOOP, computeBudget: units });
    }
    for (let n = 0; n < tasks; n++) this.#counting(3, n);
    this.#counting(6, 0);
    if (watchers > 0) {
      this.#batch = engine.accountBatch({ capacity: watchers, dataLength: DATA_LENGTH });
      for (let n = 0; n < watchers; n++) {
        engine.watchers.create({ ...this.#counting(4, n), account: address(5, n), trigger: ANY_CHANGE });
        this.#batch.set(n, { address: address(5, n), lamports: 1_000_000_000, data: new Uint8Array(DATA_LENGTH) });
      }
    }
    this.#perSlot = timers + pushes + watchers + tasks + functions + loops + 1;
    this.#churned = this.#churn();
  }

  /** A whole slot, with what a host does before and after. `submitted` is told of each task, and `begins` is called right before the slot. */
  slot(submitted, begins) {
    const slot = this.#prepare(submitted, begins);
    return this.#read(this.engine.processSlot(slot));
  }

  /** The same, and another thread processes it. */
  async slotElsewhere(submitted, begins) {
    const slot = this.#prepare(submitted, begins);
    return this.#read(await this.engine.processSlotAsync(slot));
  }

  #prepare(submitted = () => {}, begins = () => {}) {
    const { engine } = this;
    for (let n = 0; n < this.#sizes.tasks; n++) submitted(this.submit(n));
    if (this.#batch) {
      for (let n = 0; n < this.#sizes.watchers; n++) this.#batch.lamports[n] ^= 1n;
      this.#batch.submit();
    }
    engine.rings.push(this.#ring, new Uint8Array(24));
    this.pushed += 1;
    engine.timers.create({ ...counting(6, 0), triggerSlot: engine.slot + 1n });
    this.#unmake();
    this.#churned = this.#churn();
    this.callbacks += this.#perSlot;
    begins();
    return engine.slot + 1n;
  }

  /** Submits one of the tasks. */
  submit(n) {
    return this.engine.tasks.submit({ ...counting(3, n), priority: n % 4 });
  }

  /** Takes what is left in the ring. What is in the engine's counts must then be in these. */
  finish() {
    this.#unmake();
    this.#drain();
  }

  get ring() {
    return this.engine.rings.get(this.#ring);
  }

  /** Takes what is in the ring, in each of the ways, unless the engine was closed during the slot. */
  #read(report) {
    const ring = this.#ring;
    if (this.isClosed) return report;
    const { rings } = this.engine;
    const way = report.slot % 3n;
    if (way === 0n) this.#drain();
    if (way === 1n) rings.forEach(ring, ({ sequence }) => this.#take(sequence));
    while (way === 2n && rings.peek(ring)) {
      if (!rings.pop(ring)) this.disorder += 1;
      this.#take(BigInt(this.taken));
    }
    return report;
  }

  close() {
    this.isClosed = true;
    this.engine.close();
  }

  #drain() {
    for (const { sequence } of this.engine.rings.drain(this.#ring)) this.#take(sequence);
  }

  #take(sequence) {
    if (sequence !== BigInt(this.taken)) this.disorder += 1;
    this.taken += 1;
  }

  /** A callback that counts in an account of its own. */
  #counting(kind, n, program = COUNTER) {
    this.engine.setAccount(address(kind, n), { lamports: 1_000_000_000, data: new Uint8Array(DATA_LENGTH), owner: program });
    return { ...counting(kind, n), programId: program };
  }

  #churn() {
    const { timers, watchers, rings, slot } = this.engine;
    return {
      timer: timers.createPeriodic({ ...counting(6, 0), startSlot: slot + 1000n, periodSlots: 7 }),
      watcher: watchers.create({ ...counting(6, 0), account: address(6, 1), trigger: ANY_CHANGE }),
      rings: ['program', 'host'].map((reader) => rings.create({ programId: COUNTER, size: 1024, reader })),
    };
  }

  #unmake() {
    const { timers, watchers, rings } = this.engine;
    timers.cancel(this.#churned.timer);
    watchers.remove(this.#churned.watcher);
    this.#churned.rings.forEach((ring) => rings.destroy(ring));
  }
}

/** An address for each kind and number. */
function address(kind, n) {
  const bytes = new Uint8Array(32).fill(kind, 0, 1).fill(1, 8);
  new DataView(bytes.buffer).setUint32(4, n);
  return bytes;
}

function counting(kind, n) {
  return { programId: COUNTER, accounts: [{ address: address(kind, n), isWritable: true }], computeBudget: BUDGET };
}

/** Of programs/conformance: nothing, and then loop for ever. */
const LOOP = Uint8Array.of(2);

/** Of the same: push 8 bytes to a ring. */
function pushing(ring, n) {
  const data = Buffer.alloc(27);
  data.writeUInt8(11, 1);
  data.writeBigUInt64LE(ring, 2);
  data.writeUInt8(1, 10);
  data.writeBigUInt64LE(8n, 11);
  data.writeBigUInt64LE(BigInt(n), 19);
  return { programId: CONFORMANCE, data, computeBudget: BUDGET };
}
