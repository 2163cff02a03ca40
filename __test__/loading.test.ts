/** Which files are refused as programs, and what happens to the callbacks of a program that is replaced or removed. */

import { describe, expect, test } from 'vitest';
import { AsyncBpfError, TimerState, type AsyncBpfEngine } from '../dist/index.js';
import { address } from './support/addresses.js';
import { random, readU64, utf8 } from './support/bytes.js';
import { say, said } from './support/conformance.js';
import { createEngine, prebuilt } from './support/engine.js';
import { MEMO, elfOf } from './support/spl.js';

const PROGRAM = address('program');

/** The message with which a file is refused. It must be refused, and change nothing. */
function refusal(engine: AsyncBpfEngine, elf: Uint8Array): string {
  const before = engine.stateHash();
  try {
    engine.addProgram(PROGRAM, elf);
  } catch (error) {
    expect(AsyncBpfError.is(error, 'INVALID_ARGUMENT')).toBe(true);
    expect(engine.stateHash()).toBe(before);
    return (error as AsyncBpfError).message;
  }
  throw new Error(`a file of ${elf.length} bytes was taken for a program`);
}

/** Whether the engine still loads and runs programs. */
function expectWorking(engine: AsyncBpfEngine): void {
  engine.addProgram(PROGRAM, prebuilt('conformance'));
  expect(said([engine.invoke({ programId: PROGRAM, data: say('still here') })])).toEqual(['still here']);
}

/** Where the bytes that the machine loads end: from the program headers of the ELF file. */
function endOfSegments(elf: Uint8Array): number {
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength);
  const [table, size, count] = [Number(view.getBigUint64(32, true)), view.getUint16(54, true), view.getUint16(56, true)];
  const ends = Array.from({ length: count }, (_, index) => {
    const header = table + index * size;
    return Number(view.getBigUint64(header + 8, true) + view.getBigUint64(header + 32, true));
  });
  return Math.max(...ends);
}

test('the accounts that stand for a program are not to be replaced', () => {
  const engine = createEngine({});
  engine.addProgram(PROGRAM, prebuilt('counter'));
  const programdata = engine.getAccount(PROGRAM)!.data.slice(4, 36);
  expect(engine.getAccount(programdata)!.data.slice(45)).toEqual(Uint8Array.from(prebuilt('counter')));
  for (const account of [PROGRAM, programdata]) {
    expect(() => engine.setAccount(account, { lamports: 0 })).toThrow(/^address is .* not a loaded program/);
    expect(() => engine.updateAccounts([{ address: account, lamports: 5 }])).toThrow(/^address is .* not a loaded program/);
  }
  engine.removeProgram(PROGRAM);
  for (const account of [PROGRAM, programdata]) {
    expect(engine.getAccount(account)).toBeUndefined();
    engine.setAccount(account, { lamports: 5 });
  }
});

test('an update of an account that becomes a program is dropped', () => {
  const engine = createEngine({});
  engine.updateAccounts([{ address: PROGRAM, lamports: 5, data: utf8('an update') }]);
  engine.addProgram(PROGRAM, prebuilt('conformance'));
  const account = engine.getAccount(PROGRAM);
  engine.processSlot(1);
  expect(engine.getAccount(PROGRAM)).toEqual(account);
  expect(account?.executable).toBe(true);
});

describe('a file that is not a program', () => {
  test('an empty file is refused by name', () => {
    const engine = createEngine({});
    expect(refusal(engine, new Uint8Array(0))).toMatch(/^elf .*the file is empty/);
    expectWorking(engine);
  });

  test('something else is refused by name', () => {
    const engine = createEngine({});
    expect(refusal(engine, utf8('#!/bin/sh\necho hello\n'))).toMatch(/^elf .*does not begin with the ELF magic number/);
    // An ELF file of another machine: the one that runs this test.
    expect(
      refusal(engine, Buffer.concat([prebuilt('counter').subarray(0, 18), Uint8Array.of(62, 0), prebuilt('counter').subarray(20)])),
    ).toMatch(/^elf .*damaged or not made for sBPF/);
    expectWorking(engine);
  });

  test('an unknown syscall is refused by the number of its name', () => {
    const engine = createEngine({});
    expect(refusal(engine, prebuilt('unknown_syscall'))).toMatch(/unknown syscall.*0x210d72d7/);
    expectWorking(engine);
  });

  describe('in the format of the first version of sBPF, with which the programs of the clusters were made', () => {
    /** The memo program, which logs, with every name of a syscall that it may know spoiled. */
    const spoiled = Buffer.from(elfOf(MEMO)).toString('latin1').replaceAll('sol_log_', 'sol_lox_');

    test('an unknown syscall is refused by its name', () => {
      const engine = createEngine({});
      expect(refusal(engine, Buffer.from(spoiled, 'latin1'))).toMatch(/unknown syscall, sol_lox_/);
      expectWorking(engine);
    });

    test('damage does no harm', () => {
      const engine = createEngine({});
      const next = random(1);
      const dice = (sides: number) => next() % sides;
      for (let round = 0; round < 2000; round++) {
        const elf = Uint8Array.from(elfOf(MEMO));
        for (let n = 0; n < 3; n++) elf[dice(dice(2) ? 512 : elf.length)] = dice(256);
        try {
          engine.addProgram(PROGRAM, elf);
          engine.invoke({ programId: PROGRAM, data: utf8('hello'), computeBudget: 5000 });
        } catch (error) {
          expect(AsyncBpfError.is(error, 'INVALID_ARGUMENT')).toBe(true);
        }
      }
      expectWorking(engine);
    });
  });

  describe.each(['counter', 'conformance', 'momentum', 'callx', 'faulty'])('a truncated file of %s', (name) => {
    const elf = prebuilt(name);
    const end = endOfSegments(elf);

    test('is refused at every 64 bytes of its constants and code', () => {
      const engine = createEngine({});
      for (let length = 0; length < end; length += 64) expect(refusal(engine, elf.subarray(0, length))).toMatch(/^elf /);
      expect(refusal(engine, elf.subarray(0, end - 1))).toMatch(/^elf /);
      expectWorking(engine);
    });

    test('is refused when only its section table is cut off', () => {
      const engine = createEngine({});
      for (let length = end; length < elf.length; length += 64) expect(refusal(engine, elf.subarray(0, length))).toMatch(/^elf /);
      expect(refusal(engine, elf.subarray(0, elf.length - 1))).toMatch(/^elf /);
      expectWorking(engine);
    });
  });

  test('random bytes are refused, with and without the head of a program', () => {
    const engine = createEngine({});
    const next = random(1);
    const head = prebuilt('counter').subarray(0, 64);
    for (let round = 0; round < 200; round++) {
      const noise = Uint8Array.from({ length: 1 + (next() % 2000) }, () => next());
      expect(refusal(engine, noise)).toMatch(/^elf /);
      expect(refusal(engine, Buffer.concat([head, noise]))).toMatch(/^elf /);
    }
    expectWorking(engine);
  });

  test('a program with damaged bytes is refused or runs, but never ends the process', () => {
    const engine = createEngine({});
    const next = random(2);
    const elf = prebuilt('counter');
    let refused = 0;
    for (let round = 0; round < 300; round++) {
      const damaged = Uint8Array.from(elf);
      for (let byte = 0; byte < 3; byte++) damaged[next() % damaged.length] = next();
      try {
        engine.addProgram(PROGRAM, damaged);
        const outcome = engine.invoke({ programId: PROGRAM, computeBudget: 10_000 });
        expect(['committed', 'failed']).toContain(outcome.status);
      } catch (error) {
        expect((error as Error).message).toMatch(/^elf /);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(0);
    expectWorking(engine);
  });

  test('a refused file leaves the program that was there', () => {
    const engine = createEngine({ program: 'conformance' });
    refusal(engine, prebuilt('unknown_syscall'));
    expect(said([engine.invoke({ programId: PROGRAM, data: say('as before') })])).toEqual(['as before']);
  });
});

describe('the accounts of a program', () => {
  test('are those of the upgradeable loader, with the ELF file and without an authority', () => {
    const engine = createEngine({ program: 'counter' });
    const loader = 'BPFLoaderUpgradeab1e11111111111111111111111';
    const program = engine.getAccount(PROGRAM)!;
    expect(program).toMatchObject({ owner: loader, executable: true });
    expect(program.data[0]).toBe(2);
    const programdata = engine.getAccount(program.data.slice(4, 36))!;
    expect(programdata).toMatchObject({ owner: loader, executable: false });
    expect(programdata.data[0]).toBe(3);
    expect(programdata.data[12]).toBe(0);
    expect(programdata.data.subarray(45)).toEqual(new Uint8Array(prebuilt('counter')));
  });

  test('go when the program is removed', () => {
    const engine = createEngine({ program: 'counter' });
    const programdata = engine.getAccount(PROGRAM)!.data.slice(4, 36);
    engine.removeProgram(PROGRAM);
    expect(engine.getAccount(PROGRAM)).toBeUndefined();
    expect(engine.getAccount(programdata)).toBeUndefined();
    expect(() => engine.removeProgram(PROGRAM)).toThrow(/no program is loaded/);
  });
});

describe('replacing and removing', () => {
  const COUNT = address('count');

  /** Counts when the program is the counter, fails when it is something else. */
  function setUp() {
    const engine = createEngine({ program: 'counter' });
    engine.setAccount(COUNT, { lamports: 1_000_000, data: new Uint8Array(8), owner: PROGRAM });
    const callback = { programId: PROGRAM, accounts: [{ address: COUNT, isWritable: true }], computeBudget: 10_000 };
    const count = () => readU64(engine.getAccount(COUNT)!.data);
    return { engine, callback, count };
  }

  test('a replaced program runs from the next invocation on, for what was armed before', () => {
    const { engine, callback, count } = setUp();
    const timer = engine.timers.createPeriodic({ ...callback, startSlot: 1, periodSlots: 1 });
    engine.processSlot(1);
    engine.addProgram(PROGRAM, prebuilt('faulty'));
    expect(engine.processSlot(2).outcomes[0]).toMatchObject({ status: 'failed', error: { customCode: 43 } });
    engine.addProgram(PROGRAM, prebuilt('counter'));
    expect(engine.processSlot(3).outcomes[0]!.status).toBe('committed');
    expect(count()).toBe(2n);
    expect(engine.timers.get(timer)).toMatchObject({ executionCount: 3n, state: TimerState.PENDING });
  });

  test('what a removed program had armed fails with UNKNOWN_PROGRAM when due, and nothing of it is lost', () => {
    const { engine, callback, count } = setUp();
    const once = engine.timers.create({ ...callback, triggerSlot: 1 });
    const later = engine.timers.create({ ...callback, triggerSlot: 3 });
    const periodic = engine.timers.createPeriodic({ ...callback, startSlot: 1, periodSlots: 1 });
    const watcher = engine.watchers.create({ ...callback, account: address('watched'), trigger: 0 });
    const ring = engine.rings.create({ programId: PROGRAM });
    engine.rings.push(ring, utf8('kept'));
    engine.tasks.submit(callback);
    engine.updateAccounts([{ address: address('watched'), lamports: 1 }]);
    engine.removeProgram(PROGRAM);

    const { outcomes } = engine.processSlot(1);
    expect(outcomes.map(({ source }) => source.kind)).toEqual(['watcher', 'task', 'timer', 'timer']);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({
        status: 'failed',
        programId: PROGRAM,
        unitsConsumed: 0n,
        logs: [],
        error: { code: 15, name: 'UNKNOWN_PROGRAM' },
      });
      expect(outcome.error!.message).toContain(PROGRAM);
    }
    expect(count()).toBe(0n);
    expect(engine.timers.get(once)!.state).toBe(TimerState.FAILED);
    expect(engine.timers.get(periodic)).toMatchObject({ state: TimerState.PENDING, triggerSlot: 2n });
    expect(engine.watchers.get(watcher)).toMatchObject({ active: true, triggerCount: 1n });
    expect(() => engine.invoke(callback)).toThrow(expect.objectContaining({ codeName: 'UNKNOWN_PROGRAM' }));
    const syscalls = engine.syscalls(PROGRAM);
    expect([syscalls.sol_timer_create(9, null, 1000), syscalls.sol_async_last_error()]).toEqual([0n, 15]);

    engine.addProgram(PROGRAM, prebuilt('counter'));
    engine.updateAccounts([{ address: address('watched'), lamports: 2 }]);
    engine.processSlot(3);
    expect(count()).toBe(3n);
    expect(engine.timers.get(later)!.state).toBe(TimerState.COMPLETED);
    expect(engine.rings.pop(ring)).toEqual(utf8('kept'));
  });

  test('removing one program leaves the callbacks of others in their order', () => {
    const engine = createEngine({ program: 'conformance', other: 'conformance' });
    for (const name of ['program', 'other', 'program', 'other']) {
      engine.tasks.submit({ programId: address(name), data: say(name) });
    }
    engine.removeProgram(PROGRAM);
    const { outcomes } = engine.processSlot(1);
    expect(outcomes.map(({ status }) => status)).toEqual(['failed', 'committed', 'failed', 'committed']);
    expect(said(outcomes)).toEqual(['other', 'other']);
  });

  test('built-in programs and sysvars can neither be replaced nor removed', () => {
    const engine = createEngine({});
    for (const reserved of ['11111111111111111111111111111111', 'SysvarC1ock11111111111111111111111111111111']) {
      expect(() => engine.addProgram(reserved, prebuilt('counter'))).toThrow(/sysvar nor a built-in program/);
      expect(() => engine.removeProgram(reserved)).toThrow(/sysvar nor a built-in program/);
      expect(() => engine.setAccount(reserved, { lamports: 1 })).toThrow(/sysvar nor a built-in program/);
      expect(() => engine.updateAccounts([{ address: reserved, lamports: 1 }])).toThrow(/sysvar nor a built-in program/);
    }
  });
});
