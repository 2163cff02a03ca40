/** Ring buffers: what fits, who may do what, and when what was read counts as free. */

import { createRequire } from 'node:module';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { ErrorCode, RingRight, RingState, type AsyncBpfEngine } from '../dist/index.js';
import * as layout from '../dist/ring-layout.js';
import { address, addressBytes } from './support/addresses.js';
import { random, utf8 } from './support/bytes.js';
import { resultOf, run, script, type Call } from './support/conformance.js';
import { createEngine } from './support/engine.js';

type NativeCall = (handle: number, request: Uint8Array, memory: Uint8Array) => Uint8Array;
/** The addon itself, to see what is asked of it. */
const { addon } = createRequire(__filename)('../dist/native.js') as { addon: Record<'call' | 'callWithMemory', NativeCall> };

const OWNER = address('owner');
const OTHER = address('other');
const setUp = (options = {}) => createEngine({ owner: 'conformance', other: 'conformance' }, options);
const refused = (codeName: string) => expect.objectContaining({ codeName });

/** What an entry takes: its header, and its data rounded up to 8. */
const cost = (length: number) => 24 + Math.ceil(length / 8) * 8;

describe('what fits', () => {
  test.each([
    [64, 40],
    [64, 33],
    [65, 40],
    [71, 40],
    [72, 48],
    [1000, 976],
    [1_048_576, 1_048_552],
  ])('in %i bytes an entry of %i does, and one of the next size does not', (size, length) => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: OWNER, size });
    const tooLong = Math.floor((size - 24) / 8) * 8 + 1;
    expect(() => engine.rings.push(ring, new Uint8Array(tooLong))).toThrow(refused('BUFFER_FULL'));
    expect(engine.rings.get(ring)).toMatchObject({ used: 0n, entries: 0n, nextSequence: 0n });
    engine.rings.push(ring, new Uint8Array(length));
    expect(engine.rings.get(ring)).toMatchObject({ used: BigInt(cost(length)), entries: 1n, nextSequence: 1n, capacity: BigInt(size) });
    expect(() => engine.rings.push(ring, Uint8Array.of(1))).toThrow(refused('BUFFER_FULL'));
    expect(Buffer.compare(engine.rings.pop(ring)!, new Uint8Array(length))).toBe(0);
    expect(engine.rings.get(ring)!.used).toBe(0n);
  });

  test('is exact wherever the positions are: a model and the real thing agree over thousands of steps', () => {
    const engine = setUp();
    const next = random(4);
    const size = 200;
    const ring = engine.rings.create({ programId: OWNER, size });
    const model: Uint8Array[] = [];
    let sequence = 0n;
    for (let step = 0; step < 3000; step++) {
      const used = model.reduce((sum, { length }) => sum + cost(length), 0);
      expect(engine.rings.get(ring)).toMatchObject({ used: BigInt(used), entries: BigInt(model.length), nextSequence: sequence });
      if (next() % 3 === 0) {
        expect(engine.rings.peek(ring)).toEqual(model[0]);
        expect(engine.rings.pop(ring)).toEqual(model.shift());
      } else {
        const data = Uint8Array.from({ length: 1 + (next() % 60) }, () => next());
        if (used + cost(data.length) <= size) {
          engine.rings.push(ring, data);
          model.push(data);
          sequence += 1n;
        } else {
          expect(() => engine.rings.push(ring, data)).toThrow(refused('BUFFER_FULL'));
        }
      }
    }
    expect(sequence).toBeGreaterThan(500n);
  });

  test('a refused push leaves what is there', () => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: OWNER, size: 64 });
    engine.rings.push(ring, utf8('kept'));
    const before = engine.stateHash();
    expect(() => engine.rings.push(ring, new Uint8Array(33))).toThrow(/needs 64 bytes .* of which 32 of 64 are free/);
    expect(engine.stateHash()).toBe(before);
    expect(engine.rings.pop(ring)).toEqual(utf8('kept'));
    expect(engine.rings.pop(ring)).toBeUndefined();
    expect(engine.rings.peek(ring)).toBeUndefined();
  });

  test('an entry has at least one byte', () => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: OWNER });
    expect(() => engine.rings.push(ring, new Uint8Array(0))).toThrow(refused('INVALID_ARGUMENT'));
    expect(engine.rings.get(ring)!.nextSequence).toBe(0n);
  });

  test('the default size is 4,096 bytes', () => {
    const engine = setUp();
    expect(engine.rings.get(engine.rings.create({ programId: OWNER }))!.capacity).toBe(4096n);
  });
});

describe('order', () => {
  test('is first in, first out, with sequence numbers from 0 without gaps, and the slot of the push', () => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: OWNER, size: 96, reader: 'host' });
    const seen: [bigint, bigint, number][] = [];
    for (let slot = 1; slot <= 10; slot++) {
      engine.processSlot(slot);
      for (const byte of [slot, 100 + slot]) engine.rings.push(ring, Uint8Array.of(byte));
      seen.push(...engine.rings.drain(ring).map(({ sequence, slot, data }): [bigint, bigint, number] => [sequence, slot, data[0]!]));
    }
    expect(seen).toEqual(Array.from({ length: 20 }, (_, n) => [BigInt(n), BigInt(1 + (n >> 1)), (n % 2 ? 100 : 0) + 1 + (n >> 1)]));
  });

  test('does not number entries of invocations that failed', () => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: OWNER });
    const push: Call[] = [['sol_ring_buffer_push', ring, utf8('lost')]];
    expect(engine.invoke({ programId: OWNER, data: script(push, 1) }).status).toBe('failed');
    expect(engine.rings.get(ring)).toMatchObject({ nextSequence: 0n, entries: 0n, used: 0n });
  });
});

describe('popping into too little room', () => {
  test('leaves the entry where it is: 0 with OUTPUT_TOO_SMALL', () => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: OWNER });
    engine.rings.push(ring, utf8('four'));
    const replies = run(engine, OWNER, [
      ['sol_ring_buffer_pop', ring, { room: 3 }],
      ['sol_ring_buffer_peek', ring, { room: 0 }],
      ['sol_ring_buffer_pop', ring, { room: 4 }],
      ['sol_ring_buffer_pop', ring, { room: 4 }],
    ]);
    expect(replies.map(({ value, error }) => [Number(value), error])).toEqual([
      [0, ErrorCode.OUTPUT_TOO_SMALL],
      [0, ErrorCode.OUTPUT_TOO_SMALL],
      [4, ErrorCode.SUCCESS],
      [0, ErrorCode.SUCCESS],
    ]);
    expect(replies[2]!.bytes).toEqual(utf8('four'));
  });

  test('writes nothing, from TypeScript as well', () => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: OWNER });
    engine.rings.push(ring, utf8('four'));
    const syscalls = engine.syscalls(OWNER);
    const output = new Uint8Array(3).fill(7);
    expect([syscalls.sol_ring_buffer_pop(ring, output), syscalls.sol_async_last_error()]).toEqual([0, ErrorCode.OUTPUT_TOO_SMALL]);
    expect(output).toEqual(Uint8Array.of(7, 7, 7));
    const larger = new Uint8Array(6).fill(7);
    expect(syscalls.sol_ring_buffer_pop(ring, larger)).toBe(4);
    expect([...larger]).toEqual([...utf8('four'), 7, 7]);
  });
});

describe('rights', () => {
  /** Which of push, peek and pop another program may do. */
  function allowed(engine: AsyncBpfEngine, ring: bigint, programId = OTHER): string {
    const replies = run(engine, programId, [
      ['sol_ring_buffer_push', ring, Uint8Array.of(1)],
      ['sol_ring_buffer_peek', ring, { room: 8 }],
      ['sol_ring_buffer_pop', ring, { room: 8 }],
    ]);
    return replies.map(({ error }) => (error === ErrorCode.SUCCESS ? 'y' : error === ErrorCode.INVALID_BUFFER ? 'n' : '?')).join('');
  }

  test('are of the owner; others need a grant', () => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: OWNER });
    expect(allowed(engine, ring, OWNER)).toBe('yyy');
    expect(allowed(engine, ring)).toBe('nnn');
    engine.rings.grant(ring, OTHER, RingRight.READ);
    expect(allowed(engine, ring)).toBe('nyy');
    engine.rings.grant(ring, OTHER, RingRight.WRITE);
    expect(allowed(engine, ring)).toBe('ynn');
    engine.rings.grant(ring, OTHER, RingRight.READ + RingRight.WRITE);
    expect(allowed(engine, ring)).toBe('yyy');
    engine.rings.grant(ring, OTHER, 0);
    expect(allowed(engine, ring)).toBe('nnn');
  });

  test('to grant and destroy are never given away', () => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: OWNER });
    engine.rings.grant(ring, OTHER, 3);
    const replies = run(engine, OTHER, [
      ['sol_ring_buffer_grant', ring, addressBytes('third'), 1],
      ['sol_ring_buffer_destroy', ring],
    ]);
    expect(replies.map(({ error }) => error)).toEqual([ErrorCode.INVALID_BUFFER, ErrorCode.INVALID_BUFFER]);
    expect(engine.rings.get(ring)!.owner).toBe(OWNER);
  });

  test('can be given to 64 programs, and to more when others lose them', () => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: OWNER });
    const name = (index: number) => address(`reader-${index}`);
    for (let index = 0; index < 64; index++) engine.rings.grant(ring, name(index), RingRight.READ);
    expect(() => engine.rings.grant(ring, OTHER, RingRight.READ)).toThrow(refused('INVALID_ARGUMENT'));
    expect(allowed(engine, ring)).toBe('nnn');
    engine.rings.grant(ring, name(5), RingRight.WRITE);
    engine.rings.grant(ring, name(6), 0);
    engine.rings.grant(ring, OTHER, RingRight.READ);
    expect(allowed(engine, ring)).toBe('nyy');
  });

  test('are given by the owner on chain too', () => {
    const engine = setUp();
    const [ring] = run(engine, OWNER, [
      ['sol_ring_buffer_create', 64],
      ['sol_ring_buffer_grant', resultOf(0), addressBytes('other'), 2],
    ]);
    expect(allowed(engine, ring!.value)).toBe('ynn');
    expect(engine.rings.get(ring!.value)).toMatchObject({ owner: OWNER, capacity: 64n, reader: 'program', state: RingState.ACTIVE });
  });
});

describe('states', () => {
  const attempts = (engine: AsyncBpfEngine, ring: bigint) =>
    run(engine, OWNER, [
      ['sol_ring_buffer_push', ring, Uint8Array.of(2)],
      ['sol_ring_buffer_peek', ring, { room: 8 }],
      ['sol_ring_buffer_pop', ring, { room: 8 }],
    ]).map(({ error }) => error);
  const [OK, NO] = [ErrorCode.SUCCESS, ErrorCode.BUFFER_NOT_ACTIVE];

  test.each([
    ['ACTIVE', [OK, OK, OK]],
    ['PAUSED', [NO, NO, NO]],
    ['CLOSED', [NO, NO, NO]],
    ['DRAINING', [NO, OK, OK]],
  ] as const)('%s: what may be done', (name, expected) => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: OWNER });
    engine.rings.push(ring, Uint8Array.of(1));
    engine.rings.setState(ring, RingState[name]);
    expect(engine.rings.get(ring)!.state).toBe(RingState[name]);
    expect(attempts(engine, ring)).toEqual(expected);
    const host = (method: () => unknown, code: number) =>
      code === OK ? expect(method).not.toThrow() : expect(method).toThrow(refused('BUFFER_NOT_ACTIVE'));
    host(() => engine.rings.push(ring, Uint8Array.of(3)), expected[0]);
    host(() => engine.rings.peek(ring), expected[1]);
    host(() => engine.rings.pop(ring), expected[2]);
  });

  test('any state may follow any other, and entries stay', () => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: OWNER });
    engine.rings.push(ring, utf8('stays'));
    for (const state of [1, 2, 3, 2, 1, 0, 3, 0] as const) engine.rings.setState(ring, state);
    expect(engine.rings.pop(ring)).toEqual(utf8('stays'));
  });

  test('a destroyed buffer is gone with what is in it', () => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: OWNER });
    engine.rings.push(ring, utf8('gone'));
    engine.rings.destroy(ring);
    expect(engine.rings.get(ring)).toBeUndefined();
    expect(engine.stats().ringsActive).toBe(0n);
    for (const call of [
      () => engine.rings.push(ring, Uint8Array.of(1)),
      () => engine.rings.pop(ring),
      () => engine.rings.peek(ring),
      () => engine.rings.drain(ring),
      () => engine.rings.setState(ring, RingState.ACTIVE),
      () => engine.rings.grant(ring, OTHER, 1),
      () => engine.rings.destroy(ring),
    ]) {
      expect(call).toThrow(refused('INVALID_BUFFER'));
    }
  });
});

describe('a buffer that the host reads', () => {
  const setUpHost = (size = 96) => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: OWNER, size, reader: 'host' });
    const push = (byte: number) => run(engine, OWNER, [['sol_ring_buffer_push', ring, Uint8Array.of(byte)]])[0]!.error;
    return { engine, ring, push };
  };

  test('is written by programs, and read by none of them', () => {
    const { engine, ring, push } = setUpHost();
    expect(engine.rings.get(ring)!.reader).toBe('host');
    expect(push(1)).toBe(ErrorCode.SUCCESS);
    engine.rings.grant(ring, OTHER, RingRight.READ + RingRight.WRITE);
    for (const program of [OWNER, OTHER]) {
      const replies = run(engine, program, [
        ['sol_ring_buffer_pop', ring, { room: 8 }],
        ['sol_ring_buffer_peek', ring, { room: 8 }],
      ]);
      expect(replies.map(({ error }) => error)).toEqual([ErrorCode.INVALID_BUFFER, ErrorCode.INVALID_BUFFER]);
    }
    expect(engine.rings.drain(ring).map(({ data }) => data[0])).toEqual([1]);
  });

  test('what was read is free from the next slot on, not before', () => {
    const { engine, ring, push } = setUpHost();
    expect([1, 2, 3, 4].map(push)).toEqual([0, 0, 0, ErrorCode.BUFFER_FULL]);
    expect(engine.rings.drain(ring)).toHaveLength(3);
    expect(engine.rings.get(ring)).toMatchObject({ used: 96n, entries: 0n });
    expect(push(4)).toBe(ErrorCode.BUFFER_FULL);
    engine.processSlot(1);
    expect(engine.rings.get(ring)).toMatchObject({ used: 0n, entries: 0n, nextSequence: 3n });
    expect([4, 5, 6, 7].map(push)).toEqual([0, 0, 0, ErrorCode.BUFFER_FULL]);
    expect(engine.rings.drain(ring).map(({ sequence, data }) => [sequence, data[0]])).toEqual([
      [3n, 4],
      [4n, 5],
      [5n, 6],
    ]);
  });

  test('callbacks of the slot can use what was read before it', () => {
    const { engine, ring, push } = setUpHost(64);
    expect([1, 2].map(push)).toEqual([0, 0]);
    const data = script([['sol_ring_buffer_push', ring, Uint8Array.of(3)]]);
    engine.timers.createPeriodic({ programId: OWNER, data, startSlot: 1, periodSlots: 1, computeBudget: 10_000 });
    expect(engine.processSlot(1).outcomes[0]!.stagedCodes).toEqual([ErrorCode.BUFFER_FULL]);
    expect(engine.rings.drain(ring, 1).map(({ data }) => data[0])).toEqual([1]);
    expect(engine.processSlot(2).outcomes[0]!.stagedCodes).toEqual([ErrorCode.SUCCESS]);
    expect(engine.rings.drain(ring).map(({ data }) => data[0])).toEqual([2, 3]);
  });

  test('can be read entry by entry, and looked at', () => {
    const { engine, ring, push } = setUpHost();
    [1, 2, 3].forEach(push);
    expect(engine.rings.peek(ring)).toEqual(Uint8Array.of(1));
    expect(engine.rings.pop(ring)).toEqual(Uint8Array.of(1));
    expect(engine.rings.drain(ring, 1).map(({ data }) => data[0])).toEqual([2]);
    expect(engine.rings.drain(ring, 0)).toEqual([]);
    expect(engine.rings.get(ring)!.entries).toBe(1n);
    expect(engine.rings.drain(ring).map(({ data }) => data[0])).toEqual([3]);
    expect(engine.rings.pop(ring)).toBeUndefined();
    expect(engine.rings.drain(ring)).toEqual([]);
  });

  test('can be drained in every state, so that nothing in it is lost', () => {
    for (const state of Object.values(RingState)) {
      const { engine, ring, push } = setUpHost();
      push(1);
      engine.rings.setState(ring, state);
      expect(engine.rings.drain(ring).map(({ data }) => data[0])).toEqual([1]);
    }
  });

  test('reading does not change the state hash before the next slot', () => {
    const { engine, ring, push } = setUpHost();
    push(1);
    const before = engine.stateHash();
    engine.rings.drain(ring);
    expect(engine.stateHash()).toBe(before);
  });

  test('each entry can be looked at in place, and is taken', () => {
    const { engine, ring, push } = setUpHost();
    [1, 2, 3].forEach(push);
    const seen: unknown[] = [];
    const count = engine.rings.forEach(
      ring,
      ({ sequence, slot, data, bytes, start, end }) => seen.push([sequence, slot, [...data], [...bytes.subarray(start, end)]]),
      2,
    );
    expect(count).toBe(2);
    expect(seen).toEqual([
      [0n, 0n, [1], [1]],
      [1n, 0n, [2], [2]],
    ]);
    expect(engine.rings.get(ring)!.entries).toBe(1n);
    expect(engine.rings.forEach(ring, () => expect.unreachable(), 0)).toBe(0);
    expect(engine.rings.pop(ring)).toEqual(Uint8Array.of(3));
  });

  test('what a callback throws leaves the entries behind it', () => {
    const { engine, ring, push } = setUpHost();
    [1, 2, 3].forEach(push);
    const stop = () =>
      engine.rings.forEach(ring, ({ data }) => {
        if (data[0] === 2) throw new Error('stop');
      });
    expect(stop).toThrow('stop');
    expect(engine.rings.drain(ring).map(({ data }) => data[0])).toEqual([3]);
  });

  test('a callback may read on', () => {
    const { engine, ring, push } = setUpHost();
    [1, 2, 3].forEach(push);
    const pairs: unknown[] = [];
    engine.rings.forEach(ring, (entry) => {
      engine.rings.forEach(ring, ({ sequence }) => pairs.push([entry.sequence, sequence, entry.data[0]]), 1);
    });
    expect(pairs).toEqual([[0n, 1n, 1]]);
    expect(engine.rings.get(ring)!.entries).toBe(0n);
  });

  test('entries of every size come as they were pushed, whole laps around, at any time of reading', () => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: OWNER, size: 1000, reader: 'host' });
    const roll = random(7);
    const dice = (sides: number) => roll() % sides;
    const waiting: Uint8Array[] = [];
    let [slot, next] = [0, 0n];
    for (let n = 0; n < 3000; n++) {
      const choice = dice(4);
      if (choice < 2) {
        const data = Uint8Array.from({ length: 1 + dice(300) }, () => dice(256));
        try {
          engine.rings.push(ring, data);
          waiting.push(data);
        } catch (error) {
          expect(error).toEqual(refused('BUFFER_FULL'));
          engine.processSlot(++slot);
        }
      } else if (choice === 2) {
        const expected = waiting.shift();
        expect(engine.rings.pop(ring)).toEqual(expected);
        if (expected) next++;
      } else {
        for (const { sequence, data } of engine.rings.drain(ring, dice(4))) {
          expect([sequence, data]).toEqual([next++, waiting.shift()]);
        }
      }
      expect(engine.rings.get(ring)!.entries).toBe(BigInt(waiting.length));
    }
    expect(slot).toBeGreaterThan(100);
  });

  test('a buffer that is gone cannot be read, whoever destroyed it', () => {
    for (const destroy of ['host', 'program'] as const) {
      const { engine, ring, push } = setUpHost();
      push(1);
      if (destroy === 'host') engine.rings.destroy(ring);
      else run(engine, OWNER, [['sol_ring_buffer_destroy', ring]]);
      for (const read of [
        () => engine.rings.pop(ring),
        () => engine.rings.peek(ring),
        () => engine.rings.drain(ring),
        () => engine.rings.forEach(ring, () => {}),
      ]) {
        expect(read).toThrow(refused('INVALID_BUFFER'));
      }
    }
  });

  test('after close it cannot be read either', () => {
    const { engine, ring, push } = setUpHost();
    push(1);
    engine.close();
    expect(() => engine.rings.pop(ring)).toThrow(refused('SHUTDOWN'));
    expect(() => engine.rings.drain(ring)).toThrow(refused('SHUTDOWN'));
  });

  test('entries that were there already can be read without native calls', () => {
    const { engine, ring, push } = setUpHost();
    [1, 2, 3].forEach(push);
    const call = vi.spyOn(addon, 'call');
    onTestFinished(() => call.mockRestore());
    expect([engine.rings.peek(ring)![0], engine.rings.pop(ring)![0], engine.rings.drain(ring, 1)[0]!.data[0]]).toEqual([1, 1, 2]);
    expect(engine.rings.forEach(ring, () => {})).toBe(1);
    expect(call).not.toHaveBeenCalled();
  });

  describe('in memory that somebody has spoilt', () => {
    /** A buffer with an entry, 2, that the host has not read, and a number in its memory that it must not trust. */
    const spoilt = (offset: number, value: number | ((before: number) => number)) => {
      const withMemory = vi.spyOn(addon, 'callWithMemory');
      onTestFinished(() => withMemory.mockRestore());
      const { engine, ring, push } = setUpHost();
      const numbers = new Int32Array(withMemory.mock.calls.at(-1)![2].buffer);
      push(1);
      expect(engine.rings.pop(ring)![0]).toBe(1);
      push(2);
      engine.processSlot(1);
      numbers[offset / 4] = typeof value === 'number' ? value : value(numbers[offset / 4]!);
      return { engine, ring, push, numbers };
    };

    test.each([
      ['a header', layout.DATA_OFFSET + 32, -1],
      ['a length', layout.DATA_OFFSET + 32, (layout.COMMITTED << layout.STATE_SHIFT) | 3],
      ['the tail', layout.TAIL_OFFSET, 1000 << 1],
    ])('reading says so once, and then goes on by calls: %s', (_, offset, value) => {
      for (const read of ['pop', 'peek', 'drain'] as const) {
        const { engine, ring, push } = spoilt(offset, value);
        expect(() => engine.rings[read](ring)).toThrow(refused('CORRUPT_STATE'));
        expect(push(3)).toBe(ErrorCode.SUCCESS);
        expect([engine.rings.pop(ring)![0], engine.rings.pop(ring)![0]]).toEqual([2, 3]);
        engine.processSlot(2);
        expect(engine.rings.get(ring)).toMatchObject({ used: 0n, entries: 0n });
      }
    });

    test('what lies before it is read', () => {
      const { engine, ring, push, numbers } = spoilt(layout.DATA_OFFSET, 0);
      push(3);
      numbers[(layout.DATA_OFFSET + 64) / 4] = 0;
      expect(engine.rings.drain(ring).map(({ data }) => data[0])).toEqual([2]);
      expect(() => engine.rings.drain(ring)).toThrow(refused('CORRUPT_STATE'));
      expect(engine.rings.drain(ring).map(({ data }) => data[0])).toEqual([3]);
    });

    test('calls go on also where it says that the engine has ended it', () => {
      const { engine, ring, push } = spoilt(layout.TAIL_OFFSET, (tail) => tail | layout.CLOSED);
      expect(engine.rings.pop(ring)![0]).toBe(2);
      push(3);
      expect(engine.rings.drain(ring).map(({ data }) => data[0])).toEqual([3]);
      engine.processSlot(2);
      expect(engine.rings.get(ring)).toMatchObject({ used: 0n, entries: 0n });
    });

    test('entries that it hides are there again from the next slot on', () => {
      const { engine, ring } = spoilt(layout.TAIL_OFFSET, (tail) => tail - (4 << 1));
      expect(engine.rings.pop(ring)).toBeUndefined();
      engine.processSlot(2);
      expect(engine.rings.pop(ring)![0]).toBe(2);
    });

    test('the engine goes on, and gives by calls what was not read', () => {
      const { engine, ring, push } = spoilt(layout.HEAD_OFFSET, 99);
      engine.processSlot(2);
      push(3);
      expect(engine.rings.drain(ring).map(({ data }) => data[0])).toEqual([2, 3]);
      engine.processSlot(3);
      expect(engine.rings.get(ring)!.used).toBe(0n);
    });
  });

  test('without memory to share, everything is the same by calls', () => {
    vi.stubGlobal('SharedArrayBuffer', function () {
      throw new RangeError('Array buffer allocation failed');
    });
    const { engine, ring, push } = setUpHost(256);
    vi.unstubAllGlobals();
    [1, 2, 3, 4, 5, 6].forEach(push);
    const seen: unknown[] = [];
    expect(engine.rings.peek(ring)).toEqual(Uint8Array.of(1));
    expect(engine.rings.pop(ring)).toEqual(Uint8Array.of(1));
    expect(engine.rings.drain(ring, 1)).toEqual([{ sequence: 1n, slot: 0n, data: Uint8Array.of(2) }]);
    expect(engine.rings.forEach(ring, (entry) => seen.push([entry.sequence, entry.slot, entry.bytes[entry.start], entry.end]), 1)).toBe(1);
    const stop = () =>
      engine.rings.forEach(ring, ({ data }) => {
        seen.push(data[0]);
        if (data[0] === 5) throw new Error('stop');
      });
    expect(stop).toThrow('stop');
    expect(seen).toEqual([[2n, 0n, 3, 1], 4, 5]);
    expect(engine.rings.forEach(ring, ({ data }) => seen.push(data[0]))).toBe(1);
    expect([seen.at(-1), engine.rings.forEach(ring, () => {}), engine.rings.pop(ring)]).toEqual([6, 0, undefined]);
  });

  test('only such a buffer can be drained', () => {
    const engine = setUp();
    const ring = engine.rings.create({ programId: OWNER });
    expect(() => engine.rings.drain(ring)).toThrow(/must be a ring buffer that the host reads/);
  });
});

test('ids of different buffers are independent', () => {
  const engine = setUp();
  const rings = Array.from({ length: 8 }, () => engine.rings.create({ programId: OWNER, size: 64 }));
  expect(new Set(rings).size).toBe(8);
  rings.forEach((ring, index) => engine.rings.push(ring, Uint8Array.of(index + 1)));
  engine.rings.destroy(rings[3]!);
  expect(rings.filter((_, index) => index !== 3).map((ring) => engine.rings.pop(ring)![0])).toEqual([1, 2, 3, 5, 6, 7, 8]);
  expect(() => engine.rings.create({ programId: OWNER })).not.toThrow();
  expect(() => engine.rings.create({ programId: OWNER })).toThrow(refused('MAX_BUFFERS'));
});
