/** Queues that JavaScript writes and native code reads, and what is left of shared memory when an environment ends. */

import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../dist/index.js';
import { random } from './support/bytes.js';

interface Addon {
  producerPush(...values: unknown[]): ErrorCode | undefined;
  producerClose(handle: number): boolean;
  callWithMemory(handle: number, request: Uint8Array, memory: unknown): Uint8Array;
  TESTING_producerOpen(capacity: number): number;
  TESTING_producerDrain(handle: number): Uint8Array | null;
}
const { addon } = createRequire(__filename)('../dist/native.js') as { addon: Addon };

describe('a queue that JavaScript writes', () => {
  test('gives native code the bytes of each message, in order, and refuses what does not fit', () => {
    const handle = addon.TESTING_producerOpen(256);
    const roll = random(5);
    let sent: number[] = [];
    let full = 0;
    for (let n = 0; n < 5000; n++) {
      const message = Uint8Array.from({ length: roll() % 60 }, () => roll());
      const code = addon.producerPush(handle, message);
      if (code === undefined) sent.push(...message);
      else {
        expect(code).toBe(ErrorCode.BUFFER_FULL);
        full++;
      }
      if (code !== undefined || roll() % 8 === 0) {
        expect([...addon.TESTING_producerDrain(handle)!]).toEqual(sent);
        sent = [];
      }
    }
    expect(full).toBeGreaterThan(100);
    expect(addon.producerPush(handle, new Uint8Array(249))).toBe(ErrorCode.INVALID_ARGUMENT);
    expect(addon.producerClose(handle)).toBe(true);
  });

  test('takes part of a buffer, and shared memory', () => {
    const handle = addon.TESTING_producerOpen(256);
    addon.producerPush(handle, Buffer.from([0, 1, 2, 3]).subarray(1, 3));
    addon.producerPush(handle, new Uint8Array(new SharedArrayBuffer(2)).fill(4));
    addon.producerPush(handle, new Uint8Array(0));
    expect([...addon.TESTING_producerDrain(handle)!]).toEqual([1, 2, 4, 4]);
  });

  test('is not mistaken for one that had its place', () => {
    const first = addon.TESTING_producerOpen(256);
    expect([addon.producerClose(first), addon.producerClose(first)]).toEqual([true, false]);
    const second = addon.TESTING_producerOpen(256);
    expect(second).not.toBe(first);
    for (const gone of [first, 0, 1, 2 ** 32 - 1]) {
      expect(addon.producerPush(gone, new Uint8Array(1))).toBe(ErrorCode.SHUTDOWN);
      expect(addon.TESTING_producerDrain(gone)).toBeNull();
    }
    expect(addon.producerPush(second, new Uint8Array(1))).toBeUndefined();
  });

  test('refuses what is no message', () => {
    const handle = addon.TESTING_producerOpen(256);
    const detached = new Uint8Array(8);
    structuredClone(detached, { transfer: [detached.buffer] });
    for (const values of [
      [],
      [handle],
      ['1', new Uint8Array(1)],
      [handle, 'a'],
      [handle, null],
      [handle, [1]],
      [handle, new DataView(new ArrayBuffer(8))],
      [handle, new Float64Array(1)],
    ]) {
      expect(addon.producerPush(...values)).toBe(ErrorCode.INVALID_ARGUMENT);
    }
    expect(addon.producerPush(handle, detached)).toBeUndefined();
    expect([...addon.TESTING_producerDrain(handle)!]).toEqual([]);
  });

  test.each([0, 63, 100, 2 ** 31])('of %i bytes cannot be', (capacity) => {
    expect(addon.TESTING_producerOpen(capacity)).toBe(0);
  });
});

describe('memory for the addon', () => {
  test.each([
    ['an ArrayBuffer', new ArrayBuffer(1024)],
    ['a view of one', new Uint8Array(1024)],
    ['a view of one that pretends to be shared', new Uint8Array(Object.setPrototypeOf(new ArrayBuffer(1024), SharedArrayBuffer.prototype))],
    ['a view with longer elements', new Int32Array(new SharedArrayBuffer(1024))],
    ['shared memory without a view', new SharedArrayBuffer(1024)],
    ['nothing', undefined],
    ['a string', 'memory'],
    ['an object', {}],
  ])('is not %s', (_, memory) => {
    expect(() => addon.callWithMemory(1, new Uint8Array(0), memory)).toThrow(/must be a Uint8Array over a SharedArrayBuffer/);
  });

  test('may come from another context, as where each test file has one of its own', () => {
    const memory = new Uint8Array(runInNewContext('new SharedArrayBuffer(1024)') as SharedArrayBuffer);
    // The request is empty, which is said in the reply.
    expect(addon.callWithMemory(1, new Uint8Array(0), memory)[0]).toBe(ErrorCode.INVALID_ARGUMENT);
  });
});

/** Runs a script in a process of its own; what crashes while an environment ends is seen by its exit code alone. */
function runs(script: string): string {
  const prelude = `
    const { AsyncBpfEngine } = require(${JSON.stringify(join(__dirname, '../dist/index.js'))});
    const { addon } = require(${JSON.stringify(join(__dirname, '../dist/native.js'))});
    const { Worker, isMainThread, parentPort } = require('node:worker_threads');
    const elf = require('node:fs').readFileSync(${JSON.stringify(join(__dirname, '../programs/prebuilt/counter.so'))});
    function busy() {
      const engine = new AsyncBpfEngine({ workers: 2 });
      const programId = new Uint8Array(32).fill(1);
      engine.addProgram(programId, elf);
      const ids = [1, 2, 3].map(() => engine.rings.create({ programId, reader: 'host' }));
      const events = engine.events();
      for (let slot = 1; slot < 20; slot++) {
        ids.forEach((id) => engine.rings.push(id, new Uint8Array(10)));
        engine.processSlot(slot);
        engine.rings.pop(ids[0]);
      }
      engine.rings.destroy(ids[1]);
      addon.TESTING_producerOpen(4096);
      return { engine, events };
    }`;
  return execFileSync(process.execPath, ['--expose-gc', '-e', prelude + script], { encoding: 'utf8' });
}

describe('an environment ends cleanly', () => {
  test('that of the process, with engines that nobody closed', () => {
    expect(runs(`busy(); busy(); console.log('over');`)).toBe('over\n');
  });

  test('that of a thread, ended from outside or by itself', () => {
    const script = `
      const source = 'parentPort.postMessage(busy().engine.slot); if (process.argv.includes("stay")) setInterval(() => {}, 1000);';
      (async () => {
        for (let n = 0; n < 6; n++) {
          const worker = new Worker(PRELUDE + source, { eval: true, argv: n % 2 ? ['stay'] : [] });
          // It may be over as soon as its message is here.
          const exited = new Promise((resolve) => worker.once('exit', resolve));
          await new Promise((resolve) => worker.once('message', resolve));
          if (n % 2) await worker.terminate();
          await exited;
        }
        console.log('over');
      })();`;
    expect(runs(`const PRELUDE = process._eval.slice(0, process._eval.indexOf('const PRELUDE'));` + script)).toBe('over\n');
  });

  test('memory is kept while the engine writes it, and freed with the engine', () => {
    const script = `
      const shared = () => process.memoryUsage().arrayBuffers;
      const collect = async () => { for (let n = 0; n < 5; n++) { gc(); await new Promise(setImmediate); } };
      (async () => {
        for (let n = 0; n < 30; n++) {
          const { engine, events } = busy();
          if (n % 2) gc();
          engine.processSlot(100);
          engine.close();
        }
        await collect();
        console.log(shared() < 2 ** 23 ? 'freed' : shared());
      })();`;
    expect(runs(script)).toBe('freed\n');
  });

  test('that of buffers which programs destroy is freed, though nobody reads them again', () => {
    const script = `
      const engine = new AsyncBpfEngine({ workers: 1 });
      const programId = new Uint8Array(32).fill(1);
      engine.addProgram(programId, elf);
      const program = engine.syscalls(programId);
      for (let n = 0; n < 50; n++) program.sol_ring_buffer_destroy(engine.rings.create({ programId, size: 2 ** 20, reader: 'host' }));
      (async () => {
        for (let n = 0; n < 5; n++) { gc(); await new Promise(setImmediate); }
        const shared = process.memoryUsage().arrayBuffers;
        console.log(shared < 2 ** 23 ? 'freed' : shared);
      })();`;
    expect(runs(script)).toBe('freed\n');
  });
});
