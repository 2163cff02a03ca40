/** Account states in columns: the same as by `updateAccounts`, or refused as a whole. */

import { createRequire } from 'node:module';
import { beforeEach, describe, expect, test } from 'vitest';
import { AsyncBpfEngine, AsyncBpfError, ErrorCode, WatcherTrigger, type AccountBatch, type AccountUpdate } from '../dist/index.js';
import { address, addressBytes } from './support/addresses.js';
import { createEngine } from './support/engine.js';

const PROGRAM = address('program');
const OWNER = address('owner');

type SubmitBatch = (...values: any[]) => number | undefined;
const { addon } = createRequire(__filename)('../dist/native.js') as { addon: { submitBatch: SubmitBatch; takeReply(): Uint8Array } };

const wrong = (value: unknown): any => value;

let engine: AsyncBpfEngine;
/** Is told the same by `updateAccounts`. */
let twin: AsyncBpfEngine;
beforeEach(() => {
  [engine, twin] = [createEngine({ program: 'conformance' }), createEngine({ program: 'conformance' })];
});

const refusal = (call: () => unknown): AsyncBpfError => {
  const before = [engine.stateHash(), engine.stats()];
  let thrown: unknown;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(AsyncBpfError);
  expect([engine.stateHash(), engine.stats()]).toEqual(before);
  return thrown as AsyncBpfError;
};

/** The rows as updates, read from the columns as anybody could. */
function rows(batch: AccountBatch, count: number): AccountUpdate[] {
  return Array.from({ length: count }, (_, row) => ({
    address: batch.addresses.slice(row * 32, row * 32 + 32),
    lamports: batch.lamports[row]!,
    data: batch.data.slice(row * batch.dataLength, row * batch.dataLength + batch.dataLengths[row]!),
    owner: batch.owners.slice(row * 32, row * 32 + 32),
    executable: batch.executable[row] === 1,
    ...(batch.writeVersions ? { writeVersion: batch.writeVersions[row]! } : {}),
  }));
}

function expectTwins(slot: number): void {
  for (const each of [engine, twin])
    each.watchers.create({ programId: PROGRAM, account: address('0'), trigger: WatcherTrigger.ANY_CHANGE });
  expect(engine.stateHash()).toBe(twin.stateHash());
  expect(engine.processSlot(slot)).toEqual(twin.processSlot(slot));
}

describe('a batch', () => {
  test.each([
    ['without data', 5, 0, false],
    ['with data', 40, 165, false],
    ['with write versions', 40, 7, true],
    ['of one row', 1, 1, true],
  ])('%s is what updateAccounts would be told', (_, capacity, dataLength, writeVersions) => {
    const batch = engine.accountBatch({ capacity, dataLength, writeVersions });
    expect([batch.capacity, batch.dataLength]).toEqual([capacity, dataLength]);
    for (let row = 0; row < capacity; row++) {
      // Some accounts twice, of different lengths, and some that are removed.
      batch.addresses.set(addressBytes(`${row % 30}`), row * 32);
      batch.lamports[row] = row % 11 === 7 ? 0n : 2n ** 63n + BigInt(row);
      batch.data.fill(row + 1, row * dataLength, (row + 1) * dataLength);
      if (row % 3 === 1) batch.dataLengths[row] = Math.floor(dataLength / 2);
      if (row % 2 === 1) batch.owners.set(addressBytes('owner'), row * 32);
      if (row % 5 === 4) batch.executable[row] = 1;
      if (batch.writeVersions) batch.writeVersions[row] = BigInt((row * 7) % 31);
    }
    for (let slot = 1; slot <= 3; slot++) {
      batch.lamports[0] = BigInt(slot);
      if (batch.writeVersions) batch.writeVersions[0] = BigInt(slot * 100);
      batch.submit();
      twin.updateAccounts(rows(batch, capacity));
      expectTwins(slot);
    }
    expect(engine.getAccount(address('0'))).toEqual(twin.getAccount(address('0')));
    expect(engine.getAccount(address('0'))!.data.length).toBe(dataLength);
  });

  test('begins with whole data of accounts without lamports of the system program', () => {
    const batch = engine.accountBatch({ capacity: 3, dataLength: 4, writeVersions: true });
    expect([...batch.dataLengths]).toEqual([4, 4, 4]);
    expect([...batch.lamports, ...batch.writeVersions!]).toEqual(Array(6).fill(0n));
    for (const column of [batch.addresses, batch.owners, batch.data, batch.executable])
      expect(column.every((byte) => byte === 0)).toBe(true);
    expect([batch.addresses.length, batch.owners.length, batch.data.length, batch.executable.length]).toEqual([96, 96, 12, 3]);
    expect(engine.accountBatch({ capacity: 1 }).writeVersions).toBeUndefined();
  });

  test('is written by rows as well, and a row has nothing of what was there before', () => {
    const batch = engine.accountBatch({ capacity: 2, dataLength: 8 });
    batch.set(1, { address: address('a'), lamports: 5, data: new Uint8Array(8).fill(9), owner: OWNER, executable: true });
    batch.set(0, { address: address('0'), lamports: 6n, data: Uint8Array.of(1, 2) });
    batch.set(1, { address: address('b'), lamports: 7 });
    const updates = [
      { address: address('0'), lamports: 6, data: Uint8Array.of(1, 2) },
      { address: address('b'), lamports: 7 },
    ];
    batch.submit();
    twin.updateAccounts(updates);
    expectTwins(1);
    expect(engine.getAccount(address('b'))).toMatchObject({ lamports: 7n, data: new Uint8Array(0), executable: false });
    expect(engine.getAccount(address('a'))).toBeUndefined();
  });

  test('hands in as many rows as are asked for, in their order', () => {
    const batch = engine.accountBatch({ capacity: 3 });
    ['a', 'b', 'c'].forEach((name, row) => batch.set(row, { address: address(name), lamports: row + 1 }));
    batch.submit(0);
    expect(engine.stateHash()).toBe(twin.stateHash());
    batch.submit(2);
    engine.processSlot(1);
    expect(['a', 'b', 'c'].map((name) => engine.getAccount(address(name))?.lamports)).toEqual([1n, 2n, undefined]);
    // What was handed in is not what the columns say later.
    batch.submit();
    batch.lamports.fill(50n);
    batch.submit(1);
    batch.lamports.fill(60n);
    engine.processSlot(2);
    expect(['a', 'b', 'c'].map((name) => engine.getAccount(address(name))?.lamports)).toEqual([50n, 2n, 3n]);
  });
});

describe('a batch is refused as a whole', () => {
  let batch: AccountBatch;
  beforeEach(() => {
    batch = engine.accountBatch({ capacity: 3, dataLength: 4 });
    ['a', 'b', 'c'].forEach((name, row) => batch.set(row, { address: address(name), lamports: 1 }));
  });

  test.each<[string, (batch: AccountBatch) => void, RegExp]>([
    [
      'more data than there is room for',
      (all) => (all.dataLengths[2] = 5),
      /^dataLengths\[2\] is 5, but must be at most 4, the dataLength of the batch/,
    ],
    ['an executable of 2', (all) => (all.executable[1] = 2), /^executable\[1\] is 2, but must be 0 or 1/],
    [
      'a row that nobody has written',
      (all) => all.addresses.fill(0, 64),
      /^address is 1{32}, but must be neither a sysvar nor a built-in program/,
    ],
    [
      'a loaded program',
      (all) => all.addresses.set(addressBytes('program'), 64),
      /^address is \S+, but must be an account that is not a loaded program/,
    ],
  ])('%s', (_, spoil, message) => {
    spoil(batch);
    const error = refusal(() => batch.submit());
    expect([error.codeName, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringMatching(message)]);
    // The rows before it are right by themselves.
    batch.submit(1);
    engine.processSlot(1);
    expect(engine.getAccount(address('a'))!.lamports).toBe(1n);
    expect(engine.getAccount(address('b'))).toBeUndefined();
  });

  test.each([-1, 4, 1.5, NaN, '1', 1n, null])('a count of %s', (count) => {
    expect(refusal(() => batch.submit(wrong(count))).message).toMatch(/^count is .*, but must be an integer in \[0, 3\]/);
  });

  test.each([undefined, -1, 3, 0.5, '0'])('a row %s', (index) => {
    const error = refusal(() => batch.set(wrong(index), { address: address('a'), lamports: 1 }));
    expect(error.message).toMatch(/^index is .*, but must be an integer in \[0, 2\]/);
  });

  test.each<[string, object | null, RegExp]>([
    ['nothing', null, /^update is null, but must be an object/],
    ['an unknown member', { lamport: 1 }, /^update is "lamport", but must be made of address, /],
    ['no address', { address: 'x' }, /^update\.address is "x", but must be an address/],
    ['no lamports', { lamports: -1 }, /^update\.lamports is -1, but must be a bigint/],
    ['no bytes', { data: [1] }, /^update\.data is an array of 1, but must be a Uint8Array/],
    ['too many bytes', { data: new Uint8Array(5) }, /^update\.data is 5 bytes, but must be at most 4 bytes, the dataLength of the batch/],
    ['no owner', { owner: 5 }, /^update\.owner is 5, but must be an address/],
    ['no boolean', { executable: 1 }, /^update\.executable is 1, but must be true or false/],
    ['a version that the batch has not', { writeVersion: 1 }, /^update\.writeVersion is 1n?, but must be left out, unless /],
  ])('a row of %s, and then the row is as it was', (_, more, message) => {
    const error = refusal(() => batch.set(1, more === null ? wrong(null) : { address: address('z'), lamports: 9, ...more }));
    expect([error.codeName, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringMatching(message)]);
    expect(rows(batch, 3)[1]).toMatchObject({ address: addressBytes('b'), lamports: 1n });
  });

  test('a row without the version that the batch has', () => {
    const versioned = engine.accountBatch({ capacity: 1, writeVersions: true });
    const error = refusal(() => versioned.set(0, { address: address('a'), lamports: 1 }));
    expect(error.message).toMatch(/^update\.writeVersion is undefined, but must be stated/);
  });

  test('memory that was transferred', () => {
    structuredClone(batch.lamports, { transfer: [batch.lamports.buffer as ArrayBuffer] });
    for (const call of [() => batch.submit(), () => batch.set(0, { address: address('a'), lamports: 1 })]) {
      const error = refusal(call);
      expect([error.codeName, error.message]).toEqual([
        'INVALID_ARGUMENT',
        expect.stringMatching(/it was transferred, so create a new batch/),
      ]);
    }
  });

  test('after the engine is closed', () => {
    engine.close();
    for (const call of [() => batch.submit(), () => batch.submit(0), () => batch.set(0, { address: address('a'), lamports: 1 })]) {
      expect(call).toThrow(expect.objectContaining({ code: ErrorCode.SHUTDOWN, message: expect.stringContaining('closed') }));
    }
  });
});

test('what converts an update may use the batch and the engine itself', () => {
  const batch = engine.accountBatch({ capacity: 2, dataLength: 1 });
  batch.set(1, { address: address('b'), lamports: 2 });
  const meddles = {
    toBytes() {
      batch.set(0, { address: address('c'), lamports: 3 });
      engine.processSlot(engine.slot + 1n);
      batch.submit();
      return addressBytes('a');
    },
  };
  batch.set(0, { address: meddles, lamports: 1 });
  batch.submit();
  engine.updateAccounts([{ address: meddles, lamports: 5 }]);
  engine.processSlot(10);
  expect(['a', 'b', 'c'].map((name) => engine.getAccount(address(name))?.lamports)).toEqual([5n, 2n, 3n]);
});

test('an addon that is called with something else refuses it', () => {
  const batch = new Uint8Array(2 * 81);
  const of = (...values: unknown[]) => {
    const code = addon.submitBatch(...values);
    return [code, code === undefined ? '' : Buffer.from(addon.takeReply().slice(5)).toString()];
  };
  const memory = [ErrorCode.INVALID_ARGUMENT, expect.stringMatching(/^the memory of the batch is \d+ bytes, but must be /)];
  for (const value of [undefined, null, 5, 'x', {}, new ArrayBuffer(162), new Uint16Array(81), new Uint8Array(161), new Uint8Array(163)]) {
    expect(of(1, value, 2, 4, 0, 1)).toEqual(memory);
  }
  expect(of(1, batch, 2 ** 32 - 1, 2 ** 32 - 1, 1, 2 ** 32 - 1)).toEqual(memory);
  expect(of()).toEqual([ErrorCode.SHUTDOWN, expect.stringContaining('closed')]);
  expect(of(1_000_000, batch, 2, 4, 0, 1)).toEqual([ErrorCode.SHUTDOWN, expect.stringContaining('closed')]);
  expect(of('1', batch, 2, 4, 0, 2 ** 32 - 1)).toEqual([ErrorCode.SHUTDOWN, expect.stringContaining('closed')]);
});
