/** What must hold of accounts after an invocation, and the sysvars that programs see. */

import { describe, expect, test } from 'vitest';
import { WatcherTrigger, type AccountInit, type AsyncBpfEngine, type Outcome } from '../dist/index.js';
import { address, SYSTEM_PROGRAM } from './support/addresses.js';
import { readU64, utf8 } from './support/bytes.js';
import { run, say, script, type Call } from './support/conformance.js';
import { createEngine } from './support/engine.js';

const PROGRAM = address('program');
const FAULTY = address('faulty');
const [A, B] = [address('a'), address('b')];
const exempt = (length: number) => BigInt(128 + length) * 6960n;
const writable = (...addresses: string[]) => addresses.map((name) => ({ address: name, isWritable: true }));

function setUp(accounts: Record<string, AccountInit> = {}) {
  const engine = createEngine({ program: 'conformance', faulty: 'faulty' });
  for (const [name, account] of Object.entries(accounts)) engine.setAccount(address(name), account);
  return engine;
}

/** Makes the calls in an invocation by the host and, in a second engine, in a callback: the same rules hold for both. */
function attempt(
  accounts: Record<string, AccountInit>,
  calls: Call[],
  metas: { address: string; isWritable?: boolean }[],
): [AsyncBpfEngine, Outcome] {
  const callback = { programId: PROGRAM, data: script(calls), accounts: metas };
  const [byHost, byTimer] = [setUp(accounts), setUp(accounts)];
  const outcome = byHost.invoke(callback);
  byTimer.timers.create({ ...callback, triggerSlot: 1 });
  const [callbackOutcome] = byTimer.processSlot(1).outcomes;
  expect({ ...callbackOutcome, taskId: 0n, source: 0 }).toEqual({ ...outcome, taskId: 0n, source: 0 });
  for (const meta of metas) expect(byTimer.getAccount(meta.address)).toEqual(byHost.getAccount(meta.address));
  return [byHost, outcome];
}

describe('accounts of the host', () => {
  test('are read as they were written', () => {
    const engine = setUp();
    expect(engine.getAccount(A)).toBeUndefined();
    engine.setAccount(A, { lamports: 2n ** 64n - 1n, data: utf8('data'), owner: B, executable: true });
    expect(engine.getAccount(A)).toEqual({ address: A, lamports: 2n ** 64n - 1n, data: utf8('data'), owner: B, executable: true });
    engine.setAccount(A, { lamports: 1 });
    expect(engine.getAccount(A)).toEqual({ address: A, lamports: 1n, data: new Uint8Array(0), owner: SYSTEM_PROGRAM, executable: false });
    engine.setAccount(A, { lamports: 0, data: utf8('data') });
    expect(engine.getAccount(A)).toBeUndefined();
  });

  test('can be there from the beginning, and are no change', () => {
    const engine = createEngine({ program: 'conformance' }, { accounts: [{ address: A, lamports: 5, owner: PROGRAM }] });
    expect(engine.getAccount(A)).toMatchObject({ lamports: 5n, owner: PROGRAM });
    engine.watchers.create({ programId: PROGRAM, data: say('changed'), account: A, trigger: WatcherTrigger.ANY_CHANGE });
    expect(engine.processSlot(1).watchersTriggered).toBe(0n);
  });

  test('what the caller changes afterwards in its own bytes does not count', () => {
    const engine = setUp();
    const data = utf8('before');
    engine.setAccount(A, { lamports: 1, data });
    data.fill(0);
    expect(engine.getAccount(A)!.data).toEqual(utf8('before'));
    engine.getAccount(A)!.data.fill(0);
    expect(engine.getAccount(A)!.data).toEqual(utf8('before'));
  });

  test('an absent account is given to programs as empty, and owned by the system program', () => {
    const engine = setUp();
    const calls: Call[] = [['move_lamports', 0, 0, 0]];
    expect(run(engine, PROGRAM, calls, { accounts: writable(A) })).toHaveLength(1);
    expect(engine.getAccount(A)).toBeUndefined();
  });
});

describe('after an invocation', () => {
  const own = (lamports: bigint | number, length = 0) => ({ lamports, data: new Uint8Array(length), owner: PROGRAM });

  test('lamports balance: none may be made or lost', () => {
    const engine = setUp({ a: { lamports: 10_000_000, owner: FAULTY } });
    const outcome = engine.invoke({ programId: FAULTY, data: Uint8Array.of(9), accounts: writable(A) });
    expect(outcome).toMatchObject({ status: 'failed', error: { reason: 'UnbalancedInstruction' } });
    expect(engine.getAccount(A)!.lamports).toBe(10_000_000n);
  });

  test('a program may move lamports of its own accounts', () => {
    const [engine, outcome] = attempt(
      { a: own(5_000_000), b: { lamports: 1_000_000 } },
      [['move_lamports', 0, 1, 4_000_000]],
      writable(A, B),
    );
    expect(outcome.status).toBe('committed');
    expect([A, B].map((name) => engine.getAccount(name)!.lamports)).toEqual([1_000_000n, 5_000_000n]);
  });

  test('but not those of others', () => {
    const [engine, outcome] = attempt({ a: { lamports: 5_000_000 }, b: own(1_000_000) }, [['move_lamports', 0, 1, 1]], writable(A, B));
    expect(outcome.error!.reason).toBe('ExternalAccountLamportSpend');
    expect(engine.getAccount(B)!.lamports).toBe(1_000_000n);
  });

  test('read-only accounts are untouched: data', () => {
    const [engine, outcome] = attempt({ a: own(5_000_000, 8) }, [['write_account', 0, 0, Uint8Array.of(1)]], [{ address: A }]);
    expect(outcome.error!.reason).toBe('ReadonlyDataModified');
    expect(engine.getAccount(A)!.data).toEqual(new Uint8Array(8));
  });

  test('read-only accounts are untouched: lamports', () => {
    const accounts = { a: own(5_000_000), b: own(5_000_000) };
    const [, outcome] = attempt(accounts, [['move_lamports', 0, 1, 1]], [...writable(A), { address: B }]);
    expect(outcome.error!.reason).toBe('ReadonlyLamportChange');
  });

  test('data of others is untouched', () => {
    const [, outcome] = attempt({ a: { ...own(5_000_000, 8), owner: B } }, [['write_account', 0, 0, Uint8Array.of(1)]], writable(A));
    expect(outcome.error!.reason).toBe('ExternalAccountDataModified');
  });

  test('an account may not fall below rent exemption', () => {
    const minimum = exempt(8);
    const move = (amount: bigint | number): Call[] => [['move_lamports', 0, 1, amount]];
    const accounts = { a: own(minimum + 5n, 8), b: own(10_000_000) };
    expect(attempt(accounts, move(5), writable(A, B))[1].status).toBe('committed');
    const [engine, outcome] = attempt(accounts, move(6), writable(A, B));
    expect(outcome).toMatchObject({ status: 'failed', error: { reason: 'InsufficientFundsForRent' } });
    expect(outcome.error!.message).toContain(A);
    expect(engine.getAccount(A)!.lamports).toBe(minimum + 5n);
  });

  test('one that was below already may stay or lose, but not gain short of exemption', () => {
    const poor = { a: own(1_000, 8), b: own(10_000_000) };
    const move = (from: number, to: number, amount: bigint | number) =>
      attempt(poor, [['move_lamports', from, to, amount]], writable(A, B))[1].status;
    expect(move(0, 1, 0)).toBe('committed');
    expect(move(0, 1, 10)).toBe('committed');
    expect(move(1, 0, 10)).toBe('failed');
    expect(move(1, 0, exempt(8) - 1_000n)).toBe('committed');
    expect(attempt(poor, [['write_account', 0, 0, Uint8Array.of(1)]], writable(A))[1].status).toBe('committed');
  });

  test('a new account must be exempt', () => {
    const move = (amount: bigint): Call[] => [['move_lamports', 0, 1, amount]];
    const accounts = { a: own(10_000_000) };
    expect(attempt(accounts, move(exempt(0) - 1n), writable(A, B))[1].error!.reason).toBe('InsufficientFundsForRent');
    const [engine, outcome] = attempt(accounts, move(exempt(0)), writable(A, B));
    expect(outcome.status).toBe('committed');
    expect(engine.getAccount(B)).toMatchObject({ lamports: exempt(0), owner: SYSTEM_PROGRAM });
  });

  test('an account left with 0 lamports is gone, with its data', () => {
    const [engine, outcome] = attempt({ a: own(5_000_000, 8), b: own(5_000_000) }, [['move_lamports', 0, 1, 5_000_000]], writable(A, B));
    expect(outcome.status).toBe('committed');
    expect(engine.getAccount(A)).toBeUndefined();
    engine.setAccount(A, { lamports: 1 });
    expect(engine.getAccount(A)).toMatchObject({ owner: SYSTEM_PROGRAM, data: new Uint8Array(0) });
  });

  test('programs and sysvars are never writable, whatever the host says', () => {
    for (const name of [FAULTY, 'SysvarC1ock11111111111111111111111111111111']) {
      const engine = setUp();
      const outcome = engine.invoke({
        programId: PROGRAM,
        data: script([['write_account', 0, 0, Uint8Array.of(1)]]),
        accounts: writable(name),
      });
      expect(outcome.status).toBe('failed');
      const before = engine.getAccount(name);
      expect(engine.invoke({ programId: PROGRAM, data: say('harmless'), accounts: writable(name) }).status).toBe('committed');
      expect(engine.getAccount(name)).toEqual(before);
    }
  });

  test('an account that is named twice is one account', () => {
    const calls: Call[] = [
      ['write_account', 0, 0, Uint8Array.of(1)],
      ['write_account', 1, 1, Uint8Array.of(2)],
      ['move_lamports', 0, 1, 1_000],
    ];
    const [engine, outcome] = attempt({ a: own(5_000_000, 8) }, calls, writable(A, A));
    expect(outcome.status).toBe('committed');
    expect(engine.getAccount(A)!.data.slice(0, 2)).toEqual(Uint8Array.of(1, 2));
    expect(engine.getAccount(A)!.lamports).toBe(5_000_000n);
  });
});

test('an account that is named twice has the flags of both', () => {
  const account = { lamports: 5_000_000, data: new Uint8Array(8), owner: PROGRAM };
  const calls: Call[] = [
    ['write_account', 0, 0, Uint8Array.of(1)],
    ['write_account', 1, 1, Uint8Array.of(2)],
  ];
  for (const metas of [
    [{ address: A }, { address: A, isWritable: true }],
    [{ address: A, isWritable: true }, { address: A }],
  ]) {
    const [engine, outcome] = attempt({ a: account }, calls, metas);
    expect(outcome.status).toBe('committed');
    expect(engine.getAccount(A)!.data.slice(0, 2)).toEqual(Uint8Array.of(1, 2));
  }
});

describe('the host may not replace', () => {
  test('a loaded program by an account', () => {
    const engine = setUp();
    for (const replace of [
      () => engine.setAccount(PROGRAM, { lamports: 1 }),
      () => engine.updateAccounts([{ address: PROGRAM, lamports: 1 }]),
    ]) {
      expect(replace).toThrow(/^address is .*not a loaded program; replace programs with addProgram/);
    }
    expect(engine.getAccount(PROGRAM)!.executable).toBe(true);
  });

  test.each(['SysvarC1ock11111111111111111111111111111111', SYSTEM_PROGRAM])('%s, also as the second of several', (reserved) => {
    const engine = setUp();
    const before = engine.stateHash();
    expect(() => engine.setAccount(reserved, { lamports: 1 })).toThrow(/^address is .*neither a sysvar nor a built-in program/);
    const updates = [A, reserved].map((address) => ({ address, lamports: 7 }));
    expect(() => engine.updateAccounts(updates)).toThrow(/^address is .*neither a sysvar nor a built-in program/);
    expect(engine.stateHash()).toBe(before);
  });

  test('an account with more than 10 MiB', () => {
    const engine = setUp();
    const data = new Uint8Array(10 * 1024 * 1024 + 1);
    expect(() => engine.setAccount(A, { lamports: 1, data })).toThrow(/^data is 10485761 bytes, but must be at most 10485760/);
    engine.setAccount(A, { lamports: 1, data: data.subarray(1) });
    expect(engine.getAccount(A)!.data.length).toBe(10_485_760);
  });
});

/** Where the data of an instruction's first account lies in a program's memory: behind the number of accounts and its own head. */
const FIRST_ACCOUNT_DATA = 0x4_0000_0000n + 8n + 88n;

describe('sysvars', () => {
  const CLOCK = 'SysvarC1ock11111111111111111111111111111111';

  function clock(engine: AsyncBpfEngine) {
    const { data, owner, lamports } = engine.getAccount(CLOCK)!;
    expect([owner, lamports, data.length]).toEqual(['Sysvar1111111111111111111111111111111111111', 1n, 40]);
    return { slot: readU64(data), epoch: readU64(data, 16), unixTimestamp: BigInt.asIntN(64, readU64(data, 32)) };
  }

  test('Clock shows the slot, and 400 ms a slot', () => {
    const engine = createEngine({}, { startSlot: 10, startTimestamp: 1_700_000_000 });
    expect(clock(engine)).toEqual({ slot: 10n, epoch: 0n, unixTimestamp: 1_700_000_000n });
    for (const [slot, seconds] of [
      [11, 0],
      [12, 0],
      [13, 1],
      [15, 2],
      [1010, 400],
    ] as const) {
      engine.processSlot(slot);
      expect(clock(engine)).toMatchObject({ slot: BigInt(slot), unixTimestamp: 1_700_000_000n + BigInt(seconds) });
    }
  });

  test('the time is an input of the slot, from which later slots count', () => {
    const engine = createEngine({});
    engine.processSlot(5, { unixTimestamp: 1_000 });
    expect(clock(engine)).toMatchObject({ slot: 5n, unixTimestamp: 1_000n });
    engine.processSlot(10);
    expect(clock(engine).unixTimestamp).toBe(1_002n);
    engine.processSlot(11, { unixTimestamp: -50n });
    expect(clock(engine).unixTimestamp).toBe(-50n);
  });

  test('Clock counts epochs of 432,000 slots', () => {
    const engine = createEngine({}, { startSlot: 431_999 });
    expect(clock(engine).epoch).toBe(0n);
    engine.processSlot(432_000);
    expect(clock(engine).epoch).toBe(1n);
  });

  test('a callback sees the same: the slot that runs, and its time', () => {
    const engine = createEngine({ program: 'conformance' });
    const ring = engine.rings.create({ programId: PROGRAM });
    const data = script([['sol_ring_buffer_push', ring, { at: FIRST_ACCOUNT_DATA, length: 40 }]]);
    engine.timers.create({ programId: PROGRAM, data, accounts: [CLOCK], triggerSlot: 8 });
    expect(engine.processSlot(8, { unixTimestamp: 77 }).outcomes[0]!.status).toBe('committed');
    const seen = engine.rings.pop(ring)!;
    expect(seen).toEqual(engine.getAccount(CLOCK)!.data);
    expect([readU64(seen), readU64(seen, 32)]).toEqual([8n, 77n]);
  });

  test.each([
    ['Rent', 'SysvarRent111111111111111111111111111111111', 17],
    ['EpochSchedule', 'SysvarEpochSchedu1e111111111111111111111111', 33],
    ['EpochRewards', 'SysvarEpochRewards1111111111111111111111111', 81],
    ['SlotHashes', 'SysvarS1otHashes111111111111111111111111111', 20_488],
    ['StakeHistory', 'SysvarStakeHistory1111111111111111111111111', 16_392],
    ['LastRestartSlot', 'SysvarLastRestartS1ot1111111111111111111111', 8],
  ])('%s is there', (_, sysvar, length) => {
    const { data, owner } = createEngine({}).getAccount(sysvar)!;
    expect([owner, data.length]).toEqual(['Sysvar1111111111111111111111111111111111111', length]);
  });

  test('Rent asks 6,960 lamports a byte', () => {
    const { data } = createEngine({}).getAccount('SysvarRent111111111111111111111111111111111')!;
    expect(readU64(data)).toBe(6960n);
  });
});
