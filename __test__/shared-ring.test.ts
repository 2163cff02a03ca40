/** Both sides of a byte ring in shared memory, against naive twins, between threads, and on memory that somebody spoils. */

import fc from 'fast-check';
import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { AsyncBpfError } from '../dist/errors.js';
import * as layout from '../dist/ring-layout.js';
import { createRing, RingReader, RingWriter, type RingMode } from '../dist/shared-ring.js';

interface Item {
  kind: number;
  bytes: number[];
}

const MODULE = join(__dirname, '../dist/shared-ring.js');
const words = (length: number) => 1 + Math.ceil(length / 8);
const header = (state: number, length: number) => ((state << layout.STATE_SHIFT) | length) >>> 0;
const refused = (codeName: string) => expect.objectContaining({ codeName });

/** Takes up to `limit` records by each of the ways to read, so that they are used in turn. */
function read(reader: RingReader, how: number, limit: number): Item[] {
  const items: Item[] = [];
  if (how === 0) {
    const count = reader.drain(limit, (bytes, start, end, kind) => items.push({ kind, bytes: [...bytes.subarray(start, end)] }));
    expect(count).toBe(items.length);
  } else if (how === 1) {
    const [target, ends] = [new Uint8Array(reader.capacity), new Uint32Array(limit)];
    const count = reader.drainInto(target, ends);
    for (let index = 0; index < count; index++) {
      items.push({ kind: -1, bytes: [...target.subarray(index === 0 ? 0 : ends[index - 1], ends[index])] });
    }
  } else {
    while (items.length < limit) {
      const peeked = reader.peek();
      if (!peeked) break;
      const popped = reader.pop()!;
      expect(popped).toEqual(peeked);
      items.push({ kind: -1, bytes: [...popped] });
    }
  }
  return items;
}

/** What was read is what was written; only `drain` tells kinds. */
function expectSame(items: Item[], expected: Item[]): void {
  expect(items.map(({ bytes }) => bytes)).toEqual(expected.map(({ bytes }) => bytes));
  items.forEach(({ kind }, index) => expect([-1, expected[index]!.kind]).toContain(kind));
}

const record = fc.record({ kind: fc.integer({ min: 0, max: 2 ** 32 - 1 }), length: fc.oneof(fc.nat(24), fc.nat(130)) });
const reading = fc.record({ how: fc.nat(2), limit: fc.nat(9) });

/** Positions near where their 31 bits overflow, among others. */
const beginning = fc.constantFrom(0, 5, layout.POSITION_MASK - 3, layout.POSITION_MASK);

/** An empty ring that has been in use until `position`. */
function ringAt(capacity: number, mode: RingMode, position: number): SharedArrayBuffer {
  const memory = createRing(capacity, mode);
  const numbers = new Int32Array(memory);
  numbers[layout.HEAD_OFFSET / 4] = position;
  numbers[layout.TAIL_OFFSET / 4] = position << 1;
  return memory;
}

describe('one producer', () => {
  test('what is read is what was written, and only what does not fit is refused', () => {
    const step = fc.oneof(record, fc.record({ batch: fc.array(record, { maxLength: 6 }) }), reading);
    const scenario = fc.record({ exponent: fc.integer({ min: 6, max: 9 }), at: beginning, steps: fc.array(step, { maxLength: 80 }) });
    fc.assert(
      fc.property(scenario, ({ exponent, at, steps }) => {
        const memory = ringAt(2 ** exponent, layout.ONE_TO_ONE, at);
        const [writer, reader] = [new RingWriter(memory), new RingReader(memory)];
        const ring = writer.capacity / 8;
        // Where in the ring everything is, counted from where it begins: records end where the twin says.
        let twin: (Item & { end: number })[] = [];
        let [head, tail] = [at % ring, at % ring];
        let next = 0;
        const make = (length: number) => Uint8Array.from({ length }, () => next++);
        const write = ({ kind, length }: { kind: number; length: number }, how: 'push' | 'write') => {
          const bytes = make(length);
          if (length > writer.maxLength) return void expect(() => writer[how](bytes, kind)).toThrow(refused('INVALID_ARGUMENT'));
          const needed = words(length);
          const toEnd = ring - (tail % ring);
          const pad = needed > toEnd ? toEnd : 0;
          const fits = tail + pad + needed - head <= ring;
          expect(writer[how](bytes, kind)).toBe(fits);
          if (fits) twin.push({ kind, bytes: [...bytes], end: (tail += pad + needed) });
          else if (pad + needed > ring && tail + pad - head <= ring) tail += pad;
        };
        for (const step of steps) {
          if ('how' in step) {
            const items = read(reader, step.how, step.limit);
            expectSame(items, twin.slice(0, step.limit));
            head = items.length < step.limit ? tail : (twin[items.length - 1]?.end ?? head);
            twin = twin.slice(items.length);
          } else if ('batch' in step) {
            step.batch.forEach((each) => write(each, 'write'));
            writer.publish();
          } else {
            write(step, 'push');
          }
          expect(reader.isEmpty && twin.length > 0).toBe(false);
        }
        expectSame(read(reader, 0, Infinity), twin);
        // Every record that is not longer than the ring gets in.
        const longest = make(writer.maxLength);
        expect(writer.push(longest, 1) || (reader.drain(1, () => expect.unreachable()) === 0 && writer.push(longest, 1))).toBe(true);
        expect(reader.pop()).toEqual(longest);
        writer.close();
        expect([reader.isClosed, reader.isFinished, reader.pop()]).toEqual([true, true, undefined]);
        expect(() => writer.push(Uint8Array.of(1))).toThrow(refused('SHUTDOWN'));
      }),
      { numRuns: 400 },
    );
  });

  test('a batch is not seen before it is published', () => {
    const memory = createRing(64, layout.ONE_TO_ONE);
    const [writer, reader] = [new RingWriter(memory), new RingReader(memory)];
    writer.write(Uint8Array.of(1));
    expect([reader.isEmpty, reader.pop()]).toEqual([true, undefined]);
    writer.publish();
    expect(reader.pop()).toEqual(Uint8Array.of(1));
  });

  test('a new side goes on where the last one stopped', () => {
    const memory = createRing(64, layout.ONE_TO_ONE);
    for (let n = 0; n < 100; n++) {
      expect(new RingWriter(memory).push(Uint8Array.of(n))).toBe(true);
      expect(new RingWriter(memory).push(Uint8Array.of(n, n))).toBe(true);
      expect(new RingReader(memory).pop()).toEqual(Uint8Array.of(n));
      expect(new RingReader(memory).pop()).toEqual(Uint8Array.of(n, n));
    }
  });
});

/** A producer of the many-to-one kind that is as simple as can be: Rust has the real one. */
class NaiveProducers {
  readonly #view: DataView;
  readonly #words: number;
  #tail: number;
  readonly #busy: { offset: number; length: number }[] = [];

  constructor(memory: SharedArrayBuffer, tail: number) {
    this.#view = new DataView(memory);
    this.#words = this.#view.getUint32(layout.CAPACITY_OFFSET, true) / 8;
    this.#tail = tail;
  }

  /** Claims a record and writes it, and leaves it busy; false when it does not fit. */
  claim({ kind, bytes }: Item): boolean {
    const head = this.#view.getUint32(layout.HEAD_OFFSET, true);
    const used = (this.#tail - head) & layout.POSITION_MASK;
    const toEnd = this.#words - (this.#tail % this.#words);
    const pad = words(bytes.length) <= toEnd ? 0 : toEnd;
    if (used + pad + words(bytes.length) > this.#words) return false;
    if (pad > 0) this.#view.setUint32(this.#advance(pad), header(layout.SKIPPED, (pad - 1) * 8), true);
    const offset = this.#advance(words(bytes.length));
    for (let word = 0; word < words(bytes.length); word++) expect(this.#view.getBigUint64(offset + word * 8)).toBe(0n);
    this.#view.setUint32(offset, header(layout.BUSY, bytes.length), true);
    this.#view.setUint32(offset + 4, kind, true);
    bytes.forEach((byte, index) => this.#view.setUint8(offset + 8 + index, byte));
    this.#busy.push({ offset, length: bytes.length });
    return true;
  }

  /** Finishes the `index`th of those that are busy. */
  finish(index: number, state: number): void {
    const [{ offset, length }] = this.#busy.splice(index, 1) as [{ offset: number; length: number }];
    this.#view.setUint32(offset, header(state, length), true);
  }

  #advance(count: number): number {
    const offset = layout.DATA_OFFSET + (this.#tail % this.#words) * 8;
    this.#tail = (this.#tail + count) & layout.POSITION_MASK;
    this.#view.setUint32(layout.TAIL_OFFSET, (this.#tail << 1) >>> 0, true);
    return offset;
  }
}

test('many producers: committed records are read in the order of their claims, discarded ones skipped, busy ones waited for', () => {
  const finishing = fc.record({ finish: fc.nat(), discard: fc.boolean() });
  const step = fc.oneof(record, finishing, finishing, reading);
  const scenario = fc.record({ exponent: fc.integer({ min: 6, max: 9 }), at: beginning, steps: fc.array(step, { maxLength: 120 }) });
  fc.assert(
    fc.property(scenario, ({ exponent, at, steps }) => {
      const memory = ringAt(2 ** exponent, layout.MANY_TO_ONE, at);
      const [producers, reader] = [new NaiveProducers(memory, at), new RingReader(memory)];
      let twin: (Item & { state: number })[] = [];
      let next = 0;
      for (const step of steps) {
        if ('how' in step) {
          twin = twin.filter(
            ({ state }, index) => state !== layout.SKIPPED || twin.slice(0, index).some((item) => item.state === layout.BUSY),
          );
          const busy = twin.findIndex(({ state }) => state === layout.BUSY);
          const items = read(reader, step.how, step.limit);
          const ready = busy < 0 ? twin : twin.slice(0, busy);
          expectSame(items, ready.slice(0, step.limit));
          twin = twin.slice(items.length);
        } else if ('finish' in step) {
          const busy = twin.filter(({ state }) => state === layout.BUSY);
          if (busy.length === 0) continue;
          const index = step.finish % busy.length;
          busy[index]!.state = step.discard ? layout.SKIPPED : layout.COMMITTED;
          producers.finish(index, busy[index]!.state);
        } else {
          const item = { kind: step.kind, bytes: Array.from({ length: step.length }, () => next++ & 255) };
          if (step.length <= reader.capacity - 8 && producers.claim(item)) twin.push({ ...item, state: layout.BUSY });
        }
      }
    }),
    { numRuns: 400 },
  );
});

describe.each([
  ['one producer', layout.ONE_TO_ONE],
  ['many producers', layout.MANY_TO_ONE],
] as const)('draining, %s', (_, mode) => {
  /** A reader of records 0, 1, 2, … of one byte each. */
  function filled(count: number) {
    const memory = createRing(1024, mode);
    const push =
      mode === layout.ONE_TO_ONE
        ? (
            (writer) => (n: number) =>
              writer.push(Uint8Array.of(n), n)
          )(new RingWriter(memory))
        : (
            (producers) => (n: number) =>
              producers.claim({ kind: n, bytes: [n] }) && (producers.finish(0, layout.COMMITTED), true)
          )(new NaiveProducers(memory, 0));
    for (let n = 0; n < count; n++) expect(push(n)).toBe(true);
    return { reader: new RingReader(memory), push };
  }

  test('stops at what a callback throws; that record is gone, and its space is free', () => {
    const { reader, push } = filled(64);
    expect(push(64)).toBe(false);
    const seen: number[] = [];
    const stop = () =>
      reader.drain(Infinity, (bytes, start) => {
        seen.push(bytes[start]!);
        if (seen.length === 3) throw new Error('stop');
      });
    expect(stop).toThrow('stop');
    expect([push(64), push(65), push(66), push(67)]).toEqual([true, true, true, false]);
    reader.drain(Infinity, (bytes, start) => seen.push(bytes[start]!));
    expect(seen).toEqual(Array.from({ length: 67 }, (_, n) => n));
  });

  test('a callback may read on, and keeps the record that it has', () => {
    const { reader, push } = filled(64);
    const seen: number[][] = [];
    reader.drain(2, (bytes, start, _end, kind) => {
      const inner: number[] = [reader.pop()![0]!];
      reader.drain(1, (more, at) => inner.push(more[at]!));
      expect(reader.peek()![0]).toBe(inner[1]! + 1);
      while (push(200));
      expect(bytes[start]).toBe(kind);
      seen.push([kind, ...inner]);
    });
    expect(seen).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    expect(reader.pop()![0]).toBe(6);
  });

  test('a record that is too long for the buffer stays', () => {
    const { reader } = filled(3);
    expect(() => reader.drainInto(new Uint8Array(0), new Uint32Array(3))).toThrow(refused('INVALID_ARGUMENT'));
    const [target, ends] = [new Uint8Array(2), new Uint32Array(3)];
    expect([reader.drainInto(target, ends), [...target], [...ends]]).toEqual([2, [0, 1], [1, 2, 0]]);
    expect([reader.drainInto(target, new Uint32Array(0)), reader.drainInto(target, ends), target[0]]).toEqual([0, 1, 2]);
  });
});

test('a thread that writes and one that reads agree on every byte', async () => {
  const [RECORDS, memory] = [50_000, createRing(4096, layout.ONE_TO_ONE)];
  const source = `
    const { workerData, parentPort } = require('node:worker_threads');
    const { RingWriter } = require(workerData.module);
    const writer = new RingWriter(workerData.memory);
    let seed = 1, sum = 0;
    const record = new Uint8Array(100);
    for (let n = 0; n < workerData.records; n++) {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      const length = seed >>> 25 > 99 ? 3 : seed >>> 25;
      for (let at = 0; at < length; at++) { record[at] = seed >>> (at & 15); sum = (Math.imul(sum, 31) + record[at]) | 0; }
      sum = (Math.imul(sum, 31) + n) | 0;
      while (!(n % 3 ? writer.push(record.subarray(0, length), n) : writer.write(record.subarray(0, length), n))) writer.publish();
    }
    writer.close();
    parentPort.postMessage(sum);`;
  const worker = new Worker(source, { eval: true, workerData: { memory, module: MODULE, records: RECORDS } });
  const written = once(worker, 'message');
  const reader = new RingReader(memory);
  let [sum, count] = [0, 0];
  while (!reader.isFinished) {
    expect(reader.wait(60_000)).toBe(true);
    reader.drain(Infinity, (bytes, start, end, kind) => {
      for (let at = start; at < end; at++) sum = (Math.imul(sum, 31) + bytes[at]!) | 0;
      if (kind !== count++) throw new Error(`record ${kind} came as number ${count}`);
      sum = (Math.imul(sum, 31) + kind) | 0;
    });
  }
  expect([count, sum]).toEqual([RECORDS, (await written)[0]]);
  expect(reader.wait(0)).toBe(true);
});

test('waiting ends when nothing comes', () => {
  const reader = new RingReader(createRing(64, layout.ONE_TO_ONE));
  expect(reader.wait(1)).toBe(false);
});

describe('memory that somebody spoils', () => {
  test.each([
    ['nothing', new SharedArrayBuffer(1024)],
    ['too little', new SharedArrayBuffer(128)],
    ['memory that is not shared', new ArrayBuffer(1024)],
  ])('%s is not a ring', (_, memory) => {
    expect(() => new RingReader(memory as SharedArrayBuffer)).toThrow(refused('INVALID_ARGUMENT'));
    expect(() => new RingWriter(memory as SharedArrayBuffer)).toThrow(refused('INVALID_ARGUMENT'));
  });

  test('a ring of the other mode, of an impossible capacity or with impossible positions is refused', () => {
    expect(() => new RingWriter(createRing(64, layout.MANY_TO_ONE))).toThrow(refused('INVALID_ARGUMENT'));
    for (const capacity of [0, 1, 63, 65, 96, 2 ** 31, NaN, 1.5]) {
      expect(() => createRing(capacity, layout.ONE_TO_ONE)).toThrow(refused('INVALID_ARGUMENT'));
    }
    for (const [offset, value] of [
      [layout.CAPACITY_OFFSET, 128],
      [layout.CAPACITY_OFFSET, 65],
      [layout.CAPACITY_OFFSET, 0],
      [layout.HEAD_OFFSET, -1],
      [layout.HEAD_OFFSET, 1],
      [layout.TAIL_OFFSET, 9 << 1],
    ] as const) {
      const memory = createRing(64, layout.ONE_TO_ONE);
      new Int32Array(memory)[offset / 4] = value;
      expect(() => new RingWriter(memory)).toThrow(refused('CORRUPT_STATE'));
      expect(() => new RingReader(memory).pop()).toThrow(refused('CORRUPT_STATE'));
    }
  });

  test('a record that is not committed, or longer than what is there, is not read', () => {
    for (const spoilt of [header(layout.BUSY, 8), header(layout.COMMITTED, 9), header(layout.COMMITTED, layout.LENGTH_MASK), 0]) {
      const memory = createRing(64, layout.ONE_TO_ONE);
      const [writer, reader] = [new RingWriter(memory), new RingReader(memory)];
      writer.push(new Uint8Array(8));
      new Uint32Array(memory)[layout.DATA_OFFSET / 4] = spoilt;
      expect(() => reader.pop()).toThrow(refused('CORRUPT_STATE'));
      expect(() => reader.peek()).toThrow(refused('CORRUPT_STATE'));
      expect(() => reader.drain(1, () => expect.unreachable())).toThrow(refused('CORRUPT_STATE'));
    }
  });

  test('whatever it holds, calls end, records lie inside of it, and nothing but CORRUPT_STATE is thrown', () => {
    const spoil = fc.record({
      index: fc.nat((512 + 256) / 4 - 1),
      value: fc.oneof(fc.integer(), fc.nat(300), fc.constant(header(2, 16) | 0)),
    });
    const step = fc.oneof(spoil, spoil, fc.record({ push: fc.nat(100) }), reading);
    const scenario = fc.record({ mode: fc.constantFrom(layout.MANY_TO_ONE, layout.ONE_TO_ONE), steps: fc.array(step, { maxLength: 60 }) });
    fc.assert(
      fc.property(scenario, ({ mode, steps }) => {
        const memory = createRing(256, mode);
        const numbers = new Int32Array(memory);
        const [reader, writer] = [new RingReader(memory), mode === layout.ONE_TO_ONE ? new RingWriter(memory) : undefined];
        for (const step of steps) {
          try {
            if ('index' in step) numbers[step.index] = step.value;
            else if ('push' in step) writer?.push(new Uint8Array(step.push));
            else {
              reader.drain(step.limit, (bytes, start, end) => {
                expect(start).toBeGreaterThanOrEqual(layout.DATA_OFFSET);
                expect(end).toBeGreaterThanOrEqual(start);
                expect(end).toBeLessThanOrEqual(bytes.length);
              });
              reader.pop();
              reader.drainInto(new Uint8Array(256), new Uint32Array(4));
            }
          } catch (error) {
            if (!AsyncBpfError.is(error, 'CORRUPT_STATE')) throw error;
          }
        }
      }),
      { numRuns: 1000 },
    );
  });
});
