// What a message costs between JavaScript and native code.
//
// Rows are those of bench/native/src/measure.rs. Contenders take turns in rounds of some milliseconds, each round gives one ratio, and the
// median of the ratios counts: benchmark.js would measure one after the other, and a shared machine changes in between.
import { createRequire } from 'node:module';
import { row, takeTurns } from './measure.mjs';

const require = createRequire(import.meta.url);
const { addon } = require('../dist/native.js');
const { RingReader, RingWriter, createRing } = require('../dist/shared-ring.js');
const { ONE_TO_ONE } = require('../dist/ring-layout.js');
const { AsyncBpfEngine } = require('../dist/index.js');

const MESSAGE = Buffer.allocUnsafeSlow(64).fill(7);
/** Messages of a drain; what is said of 64 holds for more. */
const BATCH = 64;
/** Of a turn, and turns of a round: 3 to 30 ms. */
const OPERATIONS = 32 * BATCH;
const TURNS = 15;

/** `operation(n)` does n operations; `prepare(n)`, which is not timed, makes them possible. */
const contender = (name, operation, prepare) => ({ name, operations: OPERATIONS, operation, prepare });

function calls(name, call) {
  return contender(name, (n) => {
    for (let i = 0; i < n; i++) call(MESSAGE);
  });
}

/** Pushes into a queue that native code reads. */
function pushes() {
  const handle = addon.TESTING_producerOpen(2 ** 20);
  const push = (n) => {
    for (let i = 0; i < n; i++) if (addon.producerPush(handle, MESSAGE) !== undefined) throw new Error('the queue is full');
  };
  return contender('a push of 64 B into a native queue', push, () => addon.TESTING_producerSkip(handle));
}

/** Reads a ring in batches. */
function drains(name, drain) {
  const memory = createRing(2 ** 20, ONE_TO_ONE);
  const [writer, reader] = [new RingWriter(memory), new RingReader(memory)];
  const fill = (n) => {
    for (let i = 0; i < n; i++) if (!writer.write(MESSAGE)) throw new Error('the ring is full');
    writer.publish();
  };
  return contender(name, (n) => drain(reader, n), fill);
}

let sum = 0;
const look = (bytes, start) => {
  sum += bytes[start];
};
const inPlace = () =>
  drains('a message of 64 B drained in place, 64 at a time', (reader, n) => {
    for (let left = n; left > 0; left -= BATCH) reader.drain(BATCH, look);
  });
const copied = () => {
  const [target, ends] = [new Uint8Array(BATCH * MESSAGE.length), new Uint32Array(BATCH)];
  return drains('a message of 64 B copied into a buffer of the caller, 64 at a time', (reader, n) => {
    for (let left = n; left > 0; left -= BATCH) {
      reader.drainInto(target, ends);
      sum += target[0];
    }
  });
};
const written = () => {
  const memory = createRing(2 ** 20, ONE_TO_ONE);
  const [writer, reader] = [new RingWriter(memory), new RingReader(memory)];
  const write = (n) => {
    for (let i = 0; i < n; i++) {
      writer.write(MESSAGE);
      if (i % BATCH === BATCH - 1) writer.publish();
    }
    writer.publish();
  };
  return contender('a message written to shared memory, published 64 at a time', write, () => reader.drain(Infinity, look));
};

/** Reads a host-read ring buffer of an engine. */
function entries(name, read) {
  const engine = new AsyncBpfEngine({ workers: 1, limits: { maxRingBufferSize: 2 ** 22 } });
  const programId = new Uint8Array(32).fill(9);
  engine.addProgram(programId, require('node:fs').readFileSync(new URL('../programs/prebuilt/counter.so', import.meta.url)));
  const id = engine.rings.create({ programId, size: 2 ** 22, reader: 'host' });
  let slot = 0;
  const fill = (n) => {
    engine.processSlot(++slot);
    for (let i = 0; i < n; i++) engine.rings.push(id, MESSAGE);
  };
  return contender(name, (n) => read(engine.rings, id, n), fill);
}
const forEach = () =>
  entries('an entry of a host-read ring, with forEach', (rings, id, n) => rings.forEach(id, ({ bytes, start }) => look(bytes, start), n));

/** Reads the events of slots with a thousand outcomes. */
function events(name, each) {
  const limits = { maxTimersPerProgram: 1_000, maxScheduledTasks: 1_000, slotComputeLimit: 10 ** 9 };
  const engine = new AsyncBpfEngine({ workers: 1, logs: false, limits });
  const programId = new Uint8Array(32).fill(9);
  // They fail, which takes as long to read.
  engine.addProgram(programId, () => 1);
  for (let n = 0; n < 1_000; n++) engine.timers.createPeriodic({ programId, startSlot: 1, periodSlots: 1, computeBudget: 200 });
  const stream = engine.events({ capacity: 2 ** 22 });
  let slot = 0;
  const fill = (n) => {
    stream.forEach(() => {});
    for (let made = 0; made < n; made += 1_001) engine.processSlot(++slot);
  };
  const read = (n) => {
    sum += stream.forEach(each, n);
  };
  return contender(name, read, fill);
}

/** All rows; with `quick`, fewer rounds. */
export default async function messages({ quick }) {
  const bare = () => calls('a bare Node-API call that takes a buffer', addon.TESTING_length);
  const returning = () => calls('a native call that returns a Buffer', addon.TESTING_copy);
  const number = () =>
    contender('a bare Node-API call with a number', (n) => {
      for (let i = 0; i < n; i++) addon.TESTING_number(i);
    });
  const comparisons = [
    [pushes(), bare(), { atMost: 1.6 }],
    [inPlace(), returning(), { atMost: 0.05 }],
    [copied(), returning(), {}],
    [written(), bare(), {}],
    [forEach(), returning(), {}],
    [forEach(), number(), { atMost: 2 }],
    [events('an event of a stream, with forEach', () => {}), number(), { atMost: 2 }],
    [events('an event of a stream, with forEach, and decoded', (event) => event.read()), number(), {}],
  ];
  const rows = [];
  for (const [ours, theirs, goal] of comparisons) {
    const [times, ratios] = [[], []];
    for (let turn = 0, turns = quick ? 7 : 31; turn <= turns; turn++) {
      const [mine, peers] = takeTurns([ours, theirs], TURNS);
      // The first warms up.
      if (turn === 0) continue;
      times.push(mine);
      ratios.push(mine / peers);
    }
    rows.push(row(ours.name, 'ns', null, times), row(ours.name, "of the peer's time", theirs.name, ratios, goal));
  }
  if (sum === 0) throw new Error('nothing was read');
  return rows;
}
