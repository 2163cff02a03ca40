// Runs a scenario in a worker thread and posts what came of it: { status, message } of every outcome, and the state hash.
const { parentPort, workerData } = require('node:worker_threads');
const { AsyncBpfEngine } = require('../../dist/index.js');

const { programs, callback, slots, workers, stayOpen } = workerData;
const engine = new AsyncBpfEngine({ workers });
for (const [address, elf] of programs) engine.addProgram(address, elf);
engine.timers.createPeriodic({ ...callback, startSlot: 1, periodSlots: 1 });
const outcomes = [];
for (let slot = 1; slot <= slots; slot++) {
  for (const { status, error } of engine.processSlot(slot).outcomes) outcomes.push({ status, message: error?.message });
}
parentPort.postMessage({ outcomes, stateHash: engine.stateHash() });
// With work of its own the thread lives until it is terminated, and the engine in it is never closed.
if (stayOpen) setInterval(() => engine.processSlot(engine.slot + 1n), 1);
else engine.close();
