/** Programs that are JavaScript functions: what they see, what they may do, what it costs, and in which order they run. */

import { getProgramDerivedAddress } from '@solana/kit';
import { describe, expect, test } from 'vitest';
import {
  AsyncBpfEngine,
  ErrorCode,
  Priority,
  WatcherTrigger,
  type CallbackCause,
  type Program,
  type ProgramContext,
} from '../dist/index.js';
import { address, addressBytes, SYSTEM_PROGRAM } from './support/addresses.js';
import { readU64, u64, utf8 } from './support/bytes.js';
import { decode, End, script, type Call } from './support/conformance.js';
import { createEngine, prebuilt } from './support/engine.js';
import { refusal } from './support/refusal.js';

const P = address('function');
const CHAIN = address('chain');
const [A, B] = [address('a'), address('b')] as [string, string];
const RICH = 10_000_000n;
const writable = (account: string) => ({ address: account, isWritable: true });

function setUp(program: Program, options = {}) {
  const engine = createEngine({ chain: 'conformance' }, options);
  engine.addProgram(P, program);
  engine.setAccount(A, { lamports: RICH, data: new Uint8Array(8), owner: P });
  engine.setAccount(B, { lamports: RICH, data: new Uint8Array(8), owner: CHAIN });
  return engine;
}

/** Runs a function once, with A writable and B not, and B's program behind them. */
function run(program: Program, { data = new Uint8Array(0), computeBudget = 200_000 } = {}) {
  const engine = setUp(program);
  const outcome = engine.invoke({ programId: P, accounts: [writable(A), B, CHAIN], data, computeBudget });
  return { engine, outcome, reason: outcome.error?.reason };
}

const add = (context: ProgramContext) => {
  const { data } = context.accounts[0]!;
  data.set(u64(readU64(data) + 1n));
};

describe('a function', () => {
  test('sees the instruction and the accounts, and changes what is its own', () => {
    const seen: unknown[] = [];
    const { engine, outcome } = run(
      (context) => {
        const [a, b, chain] = context.accounts;
        seen.push(context.programId, [...context.data], context.slot, context.unixTimestamp, context.cause);
        seen.push([a!.address, a!.isWritable, a!.isSigner, a!.lamports, a!.owner, a!.executable, [...a!.data]]);
        seen.push([b!.isWritable, b!.owner], [chain!.address, chain!.executable]);
        a!.data.set([1, 2, 3]);
      },
      { data: Uint8Array.of(9, 8) },
    );
    expect(seen).toEqual([
      ...[P, [9, 8], 0n, 0n, undefined],
      [A, true, false, RICH, P, false, Array(8).fill(0)],
      ...[
        [false, CHAIN],
        [CHAIN, true],
      ],
    ]);
    expect(outcome).toMatchObject({ programId: P, status: 'committed', unitsConsumed: 150n });
    expect([...engine.getAccount(A)!.data]).toEqual([1, 2, 3, 0, 0, 0, 0, 0]);
  });

  test('runs at its turn among other programs, once, whatever the number of workers', async () => {
    const histories = [];
    for (const [workers, elsewhere] of [[1], [2], [4], [1, true], [3, true]] as [number, boolean?][]) {
      const calls: string[] = [];
      const engine = setUp(
        (context) => {
          calls.push(`${context.slot} ${context.cause!.source.id} ${context.accounts.map(({ data }) => readU64(data))}`);
          add(context);
        },
        { workers },
      );
      const slots = [];
      for (let slot = 1; slot <= 20; slot++) {
        for (let n = 0; n < 30; n++) {
          const priority = (n % 4) as Priority;
          const bump = script([['write_account', 0, 0, u64(slot * 100 + n)]], n % 7 === 0 ? End.FAIL : End.SUCCEED);
          engine.tasks.submit({ programId: CHAIN, data: bump, accounts: [writable(B), A], priority });
          if (n % 3 === 0) engine.tasks.submit({ programId: P, accounts: [writable(A), B], priority });
        }
        const report = elsewhere ? await engine.processSlotAsync(slot) : engine.processSlot(slot);
        slots.push({ ...report, outcomes: report.outcomes });
      }
      histories.push({ calls, slots, stats: engine.stats() });
    }
    expect(histories[0]!.calls).toHaveLength(200);
    expect(new Set(histories[0]!.calls).size).toBe(200);
    for (const history of histories) expect(history).toEqual(histories[0]);
  });

  test('knows what it was caused by', () => {
    const causes: (CallbackCause | undefined)[] = [];
    const engine = setUp((context) => void causes.push(context.cause));
    const timer = engine.timers.create({ programId: P, triggerSlot: 2, priority: Priority.HIGH });
    const watcher = engine.watchers.create({ programId: P, account: B, trigger: WatcherTrigger.THRESHOLD_ABOVE, threshold: 5 });
    const { id: task } = engine.tasks.submit({ programId: P });
    engine.processSlot(1);
    engine.processSlot(4);
    engine.updateAccounts([{ address: B, lamports: 1, data: u64(9) }]);
    engine.processSlot(5);
    engine.invoke({ programId: P });
    const invokeIt: Call[] = [['invoke', 0, 0, 0, new Uint8Array(0)]];
    engine.tasks.submit({ programId: CHAIN, data: script(invokeIt), accounts: [P] });
    engine.processSlot(6);
    expect(causes).toEqual([
      { source: { kind: 'task', id: task }, priority: Priority.NORMAL, dueSlot: 1n, ticks: 1n },
      { source: { kind: 'timer', id: timer }, priority: Priority.HIGH, dueSlot: 2n, ticks: 1n },
      {
        source: { kind: 'watcher', id: watcher },
        priority: Priority.HIGH,
        dueSlot: 5n,
        ticks: 1n,
        trigger: WatcherTrigger.THRESHOLD_ABOVE,
        account: B,
        oldValue: 0n,
        newValue: 9n,
      },
      undefined,
      undefined,
    ]);
  });

  test('has the same object for an account that is mentioned twice', () => {
    const engine = setUp(({ accounts: [first, second] }) => {
      expect(first).toBe(second);
      first!.data[0] = 7;
      second!.data[1] = 8;
    });
    expect(engine.invoke({ programId: P, accounts: [writable(A), A] }).status).toBe('committed');
    expect([...engine.getAccount(A)!.data.subarray(0, 2)]).toEqual([7, 8]);
  });

  test('logs and returns data', () => {
    const { outcome } = run((context) => {
      context.log('über');
      context.setReturnData(Uint8Array.of(1, 2));
    });
    expect(outcome.logs).toContain('Program log: über');
    expect([...outcome.returnData!]).toEqual([1, 2]);
  });

  test('can grow, shrink and give away what is its own', () => {
    const sizes = [0, 100, 10_000];
    for (const size of sizes) {
      const { engine, reason } = run(({ accounts: [a] }) => {
        a!.data = new Uint8Array(size).fill(1);
        a!.lamports = RICH;
      });
      // More data needs more lamports to be exempt from rent.
      expect(reason).toBe(size > 2_000 ? 'InsufficientFundsForRent' : undefined);
      if (reason === undefined) expect(engine.getAccount(A)!.data).toHaveLength(size);
    }
    const { engine, reason } = run(({ accounts: [a] }) => {
      a!.data.fill(0);
      a!.owner = addressBytes('chain');
    });
    expect([reason, engine.getAccount(A)!.owner]).toEqual([undefined, CHAIN]);
  });
});

describe('what it does counts only when it succeeds', () => {
  const all = (end: () => number | void): Program => {
    return (context) => {
      add(context);
      context.setReturnData(Uint8Array.of(1));
      context.syscalls.sol_timer_create(context.slot + 1n, null, 1_000);
      return end();
    };
  };

  test.each<[string, () => number | void, Record<string, unknown> | undefined]>([
    ['nothing', () => undefined, undefined],
    ['0', () => 0, undefined],
    ['a number', () => 7, { reason: 'Custom', customCode: 7 }],
    ['the largest number', () => 2 ** 32 - 1, { reason: 'Custom', customCode: 2 ** 32 - 1 }],
    ['a number out of range', () => 2 ** 32, { message: expect.stringMatching(/returned is 4294967296, but must be nothing, 0, or/) }],
    ['half a number', () => 0.5, { message: expect.stringMatching(/returned is 0\.5/) }],
    ['a negative number', () => -1, { message: expect.stringMatching(/returned is -1/) }],
    ['a promise', (async () => {}) as never, { message: expect.stringMatching(/it cannot wait, so it returns no promise/) }],
  ])('it returns %s', (_, end, error) => {
    const { engine, outcome } = run(all(end));
    expect(outcome.error).toEqual(error && expect.objectContaining({ name: 'EXECUTION_FAILED', ...error }));
    expect(readU64(engine.getAccount(A)!.data)).toBe(error ? 0n : 1n);
    expect(engine.timers.list(P)).toHaveLength(error ? 0 : 1);
    expect(outcome.returnData?.length).toBe(error ? undefined : 1);
    expect(outcome.stagedCodes).toEqual([0]);
  });

  test.each<[string, () => unknown, string]>([
    ['an error', () => new RangeError('no more'), 'Program failed to complete: RangeError: no more'],
    ['a text', () => 'no more', 'Program failed to complete: it threw no more'],
    [
      'what cannot be shown',
      () => ({
        toString() {
          throw new Error();
        },
      }),
      'Program failed to complete: it threw something that cannot be shown',
    ],
  ])('it throws %s', (_, thrown, message) => {
    const { engine, outcome } = run(
      all(() => {
        throw thrown();
      }),
    );
    expect(outcome).toMatchObject({ status: 'failed', error: { reason: 'ProgramFailedToComplete', message } });
    expect(readU64(engine.getAccount(A)!.data)).toBe(0n);
    expect(engine.timers.list(P)).toEqual([]);
    // It is well afterwards.
    expect(engine.processSlot(1).outcomes).toEqual([]);
  });

  test('it never ends its recursion', () => {
    const forever = (): number => forever() + 1;
    expect(run(forever).outcome.error!.message).toMatch(/RangeError: Maximum call stack/);
  });
});

describe('the rules of the runtime', () => {
  test.each<[string, string, Program]>([
    ['data of an account that is read-only', 'ReadonlyDataModified', ({ accounts: [, b] }) => void b!.data.fill(1)],
    ['data of a program', 'ReadonlyDataModified', ({ accounts: [, , chain] }) => void chain!.data.fill(1)],
    ['lamports of an account that is read-only', 'ReadonlyLamportChange', ({ accounts: [, b] }) => void (b!.lamports += 1n)],
    ['lamports out of nowhere', 'UnbalancedInstruction', ({ accounts: [a] }) => void (a!.lamports += 1n)],
    [
      'an owner of what has data',
      'ModifiedProgramId',
      ({ accounts: [a] }) => {
        a!.data.fill(1);
        a!.owner = B;
      },
    ],
    ['more than 10 MiB', 'InvalidRealloc', ({ accounts: [a] }) => void (a!.data = new Uint8Array(10 * 2 ** 20 + 1))],
  ])('it may not change %s', (_, reason, program) => {
    const { outcome, engine } = run(program);
    expect(outcome.error).toMatchObject({ name: 'EXECUTION_FAILED', reason });
    expect(engine.getAccount(A)).toMatchObject({ lamports: RICH, owner: P, data: new Uint8Array(8) });
  });

  test('nor spend lamports of what is not its own', () => {
    const engine = setUp(({ accounts: [a, b] }) => {
      b!.lamports -= 1n;
      a!.lamports += 1n;
    });
    const outcome = engine.invoke({ programId: P, accounts: [writable(A), writable(B)] });
    expect(outcome.error!.reason).toBe('ExternalAccountLamportSpend');
  });

  test('but it may pay others', () => {
    const engine = setUp(({ accounts: [a, b] }) => {
      a!.lamports -= 5n;
      b!.lamports += 5n;
    });
    expect(engine.invoke({ programId: P, accounts: [writable(A), writable(B)] }).error).toBeUndefined();
    expect([engine.getAccount(A)!.lamports, engine.getAccount(B)!.lamports]).toEqual([RICH - 5n, RICH + 5n]);
  });
});

describe('compute units', () => {
  test.each<[string, (context: ProgramContext) => void, number]>([
    ['consume', (context) => context.consume(1_234n), 1_234],
    ['a short line', (context) => context.log('x'), 100],
    ['a long line', (context) => context.log('ä'.repeat(200)), 400],
    ['return data', (context) => context.setReturnData(new Uint8Array(1_000)), 104],
    ['sol_get_slot', ({ syscalls }) => void syscalls.sol_get_slot(), 100],
    ['sol_async_last_error', ({ syscalls }) => void syscalls.sol_async_last_error(), 100],
    ['a timer', ({ syscalls, slot }) => void syscalls.sol_timer_create(slot + 1n, new Uint8Array(750), 1_000), 103],
    ['a call that is refused', ({ syscalls }) => void syscalls.sol_timer_cancel(5), 100],
    ['a call that cannot be made', ({ syscalls }) => void syscalls.sol_watcher_create(null, 0, null, 1_000), 100],
    ['a pattern', ({ syscalls }) => void syscalls.sol_watcher_create_pattern(A, 0, new Uint8Array(32), new Uint8Array(468), 1_000), 102],
    [
      'what is taken from a ring buffer',
      ({ syscalls }) => {
        const id = syscalls.sol_ring_buffer_create(4_096);
        syscalls.sol_ring_buffer_push(id, new Uint8Array(500));
        syscalls.sol_ring_buffer_pop(id, new Uint8Array(2_000));
      },
      100 + 102 + 102,
    ],
    ['another program', (context) => void context.invoke({ programId: SYSTEM_PROGRAM, data: u64(0).slice(0, 4) }), -1],
    ['asking what is left', (context) => void expect(context.remainingUnits).toBe(199_850n), 0],
    ['nothing', () => {}, 0],
  ])('of %s', (_, program, units) => {
    const { outcome } = run(program);
    if (units < 0) return expect(outcome.unitsConsumed).toBeGreaterThanOrEqual(150n + 946n);
    expect(outcome.error).toBeUndefined();
    expect(outcome.unitsConsumed).toBe(150n + BigInt(units));
  });

  test('beyond the budget it fails, whatever it does then', () => {
    let after = false;
    const { outcome, engine } = run(
      (context) => {
        add(context);
        try {
          context.consume(10_000);
        } catch {
          after = true;
        }
        return 0;
      },
      { computeBudget: 10_000 },
    );
    expect(after).toBe(true);
    expect(outcome).toMatchObject({ unitsConsumed: 10_000n, error: { reason: 'ComputationalBudgetExceeded' } });
    expect(readU64(engine.getAccount(A)!.data)).toBe(0n);
    expect(run(() => {}, { computeBudget: 149 }).reason).toBe('ComputationalBudgetExceeded');
    expect(run((context) => context.consume(9_850), { computeBudget: 10_000 }).reason).toBeUndefined();
  });

  test('the units of a slot are those of its functions', () => {
    const engine = setUp((context) => context.consume(50_000), { limits: { slotComputeLimit: 200_000 } });
    for (let n = 0; n < 5; n++) engine.tasks.submit({ programId: P, computeBudget: 60_000 });
    expect(engine.processSlot(1)).toMatchObject({ unitsConsumed: 150_450n, tasksPending: 2n });
  });
});

describe('the calls of programs', () => {
  test('are made by the function, with the accounts of its instruction, of which none has signed', () => {
    const engine = setUp(({ syscalls, slot, cause }) => {
      if (cause) return;
      expect(syscalls.sol_get_slot()).toBe(slot);
      expect(syscalls.sol_timer_create(slot + 3n, Uint8Array.of(5), 7_000)).not.toBe(0n);
      expect(syscalls.sol_timer_create(slot, null, 7_000)).toBe(0n);
      expect(syscalls.sol_async_last_error()).toBe(ErrorCode.INVALID_SLOT);
      expect(syscalls.sol_watcher_create(B, WatcherTrigger.ANY_CHANGE, null, 7_000)).not.toBe(0n);
      expect(syscalls.sol_watcher_create(null, 0, null, 7_000)).toBe(0n);
      expect(syscalls.sol_async_last_error()).toBe(ErrorCode.NULL_POINTER);
      expect(syscalls.sol_task_schedule(null, 7_000)).not.toBe(0n);
    });
    const outcome = engine.invoke({ programId: P, accounts: [{ address: A, isWritable: true, isSigner: true }, B] });
    expect(outcome.error).toBeUndefined();
    expect(outcome.stagedCodes).toEqual([0, ErrorCode.INVALID_SLOT, 0, ErrorCode.NULL_POINTER, 0]);
    expect(engine.timers.list(P)).toMatchObject([
      {
        data: Uint8Array.of(5),
        computeBudget: 7_000n,
        accounts: [
          { address: A, isWritable: true, isSigner: false },
          { address: B, isWritable: false, isSigner: false },
        ],
      },
    ]);
    expect(engine.watchers.list(B)).toHaveLength(1);
    expect(engine.processSlot(1).outcomes).toMatchObject([{ programId: P, status: 'committed' }]);
  });
});

describe('other programs', () => {
  test('are invoked with what it has changed so far, and it sees what they leave', () => {
    const write: Call[] = [['write_account', 0, 0, Uint8Array.of(7, 7)]];
    const { engine, outcome } = run((context) => {
      const [a, b, chain] = context.accounts;
      const held = a!.data;
      held[0] = 1;
      a!.owner = CHAIN;
      held.fill(0);
      a!.data = held;
      const returned = context.invoke({ programId: chain!.address, accounts: [writable(A)], data: script(write) });
      expect(returned).toMatchObject({ programId: CHAIN });
      expect(decode(write, returned!.data)).toMatchObject([{ error: 0 }]);
      expect([a!.owner, [...a!.data.subarray(0, 3)], [...held.subarray(0, 3)]]).toEqual([CHAIN, [7, 7, 0], [7, 7, 0]]);
      expect(b!.lamports).toBe(RICH);
    });
    expect(outcome.error?.message, outcome.logs.join('\n')).toBeUndefined();
    expect([...engine.getAccount(A)!.data.subarray(0, 2)]).toEqual([7, 7]);
  });

  test('make it fail when they fail, whatever it does then', () => {
    const { engine, outcome } = run((context) => {
      add(context);
      try {
        context.invoke({ programId: CHAIN, data: script([], End.FAIL) });
      } catch {
        // As on a chain, there is no coming back.
      }
    });
    expect(outcome.error!.reason).toBe('Custom');
    expect(readU64(engine.getAccount(A)!.data)).toBe(0n);
  });

  test('take its word for addresses that are derived from it', async () => {
    const [pda, bump] = await getProgramDerivedAddress({ programAddress: P as never, seeds: ['vault'] });
    const transfer = Buffer.concat([Uint8Array.of(2, 0, 0, 0), u64(1_000_000)]);
    const pay = (seeds: Uint8Array[]): Program => {
      return (context) => {
        const accounts = [
          { address: pda, isSigner: true, isWritable: true },
          { address: B, isWritable: true },
        ];
        context.invoke({ programId: SYSTEM_PROGRAM, accounts, data: transfer, signers: [seeds] });
      };
    };
    for (const [seeds, reason] of [
      [[utf8('vault'), Uint8Array.of(bump)], undefined],
      [[utf8('other'), Uint8Array.of(bump)], expect.any(String)],
    ] as const) {
      const engine = setUp(pay([...seeds]));
      engine.setAccount(pda, { lamports: RICH });
      const outcome = engine.invoke({ programId: P, accounts: [writable(pda), writable(B), SYSTEM_PROGRAM] });
      expect(outcome.error?.reason).toEqual(reason);
      expect(engine.getAccount(B)!.lamports).toBe(reason ? RICH : RICH + 1_000_000n);
    }
  });

  test('invoke it, and what it does is undone when they fail', () => {
    for (const end of [End.SUCCEED, End.FAIL]) {
      const engine = setUp((context) => {
        add(context);
        context.syscalls.sol_timer_create(context.slot + 2n, null, 1_000);
        context.setReturnData(Uint8Array.of(5));
      });
      const calls: Call[] = [['invoke', 1, 0, 1, new Uint8Array(0)]];
      engine.tasks.submit({ programId: CHAIN, data: script(calls, end), accounts: [writable(A), P] });
      const [outcome] = engine.processSlot(1).outcomes;
      expect(outcome!.status, outcome!.logs.join('\n')).toBe(end === End.SUCCEED ? 'committed' : 'failed');
      expect(readU64(engine.getAccount(A)!.data)).toBe(end === End.SUCCEED ? 1n : 0n);
      expect(engine.timers.list(P)).toHaveLength(end === End.SUCCEED ? 1 : 0);
    }
  });

  test('may be functions, too: each has its own context', () => {
    const Q = address('second');
    let outer!: ProgramContext;
    const seen: unknown[] = [];
    const engine = setUp((context) => {
      outer = context;
      expect([...context.invoke({ programId: Q, data: Uint8Array.of(4) })!.data]).toEqual([6]);
      seen.push(context.data.length);
      context.log('still here');
    });
    engine.addProgram(Q, (context) => {
      seen.push(context.programId, [...context.data]);
      expect(() => outer.log('not now')).toThrow('the invocation is not running');
      context.setReturnData(Uint8Array.of(6));
    });
    const outcome = engine.invoke({ programId: P, accounts: [Q] });
    expect(outcome.error?.message).toBeUndefined();
    expect(outcome.logs).toContain('Program log: still here');
    expect(seen).toEqual([Q, [4], 0]);
  });

  test('can be none of the loaders', () => {
    const loader = 'BPFLoaderUpgradeab1e11111111111111111111111';
    const engine = setUp((context) => void context.invoke({ programId: loader }));
    expect(engine.invoke({ programId: P, accounts: [loader] }).error!.reason).toBe('UnsupportedProgramId');
  });
});

describe('while it runs', () => {
  test('the engine is busy, but takes account states; others are not', () => {
    const messages: string[] = [];
    const other = createEngine({ chain: 'conformance' });
    const engine = setUp(() => {
      for (const call of [
        () => engine.processSlot(99),
        () => engine.getAccount(A),
        () => engine.invoke({ programId: P }),
        () => engine.stateHash(),
        () => engine.slot,
        () => engine.updateAccounts([{ address: B, lamports: 5 }]),
        () => engine.tasks.submit({ programId: P }),
        () => engine.syscalls(P).sol_get_slot(),
        () => engine.syscalls(P).sol_timer_create(9, null, 1_000),
      ]) {
        try {
          call();
          messages.push('accepted');
        } catch (error) {
          messages.push((error as Error).name);
        }
      }
      other.processSlot(other.slot + 1n);
      other.updateAccounts([{ address: B, lamports: 5 }]);
      expect(() => other.processSlot(1)).toThrow();
      other.accountBatch({ capacity: 1 }).submit(0);
    });
    engine.tasks.submit({ programId: P });
    const report = engine.processSlot(1);
    expect(report.outcomes).toMatchObject([{ status: 'committed' }]);
    expect(messages).toEqual(Array(9).fill('ENGINE_BUSY'));
    expect([engine.slot, other.slot]).toEqual([1n, 1n]);
  });

  test('the engine can be closed: that is done when the slot is over', () => {
    const engine = setUp(() => engine.close());
    const task = engine.tasks.submit({ programId: P });
    expect(engine.processSlot(1).outcomes).toMatchObject([{ taskId: task.id, status: 'committed' }]);
    expect(() => engine.slot).toThrow('the engine is closed');
  });
});

describe('a context that is over', () => {
  test('refuses everything', () => {
    let context!: ProgramContext;
    run((running) => void (context = running));
    const over = 'the invocation is not running; use its context only while its program runs';
    for (const use of [
      () => context.consume(1),
      () => context.log('x'),
      () => context.setReturnData(new Uint8Array(1)),
      () => context.remainingUnits,
      () => context.invoke({ programId: CHAIN }),
      () => context.syscalls.sol_get_slot(),
      () => context.syscalls.sol_timer_create(5, null, 1_000),
      () => context.syscalls.sol_async_last_error(),
    ]) {
      expect(refusal(use)).toBe(over);
    }
  });
});

describe('used wrongly', () => {
  const wrong = (value: unknown): any => value;

  test.each<[string, (context: ProgramContext) => unknown, string]>([
    ['consume', (context) => context.consume(-1), 'units is -1, but must be a bigint in'],
    ['log', (context) => context.log(wrong(5)), 'message is 5, but must be a string'],
    ['setReturnData', (context) => context.setReturnData(wrong('x')), 'data is "x", but must be a Uint8Array'],
    ['invoke: options', (context) => context.invoke(wrong(null)), 'options is null, but must be an object'],
    [
      'invoke: an unknown option',
      (context) => context.invoke(wrong({ program: P })),
      'options is "program", but must be made of programId, ',
    ],
    ['invoke: programId', (context) => context.invoke({ programId: 'x' }), 'programId is "x", but must be an address'],
    ['invoke: accounts', (context) => context.invoke({ programId: P, accounts: wrong(1) }), 'accounts is 1, but must be an array'],
    ['invoke: data', (context) => context.invoke({ programId: P, data: wrong([]) }), 'data is an array of 0, but must be a Uint8Array'],
    ['invoke: signers', (context) => context.invoke({ programId: P, signers: wrong(1) }), 'signers is 1, but must be an array'],
    ['invoke: seeds', (context) => context.invoke({ programId: P, signers: wrong([1]) }), 'signers[0] is 1, but must be an array'],
    [
      'invoke: a seed',
      (context) => context.invoke({ programId: P, signers: wrong([['x']]) }),
      'signers[0][0] is "x", but must be a Uint8Array',
    ],
    ['lamports', ({ accounts: [a] }) => (a!.lamports = -1n), 'lamports is -1n, but must be a bigint in'],
    ['owner', ({ accounts: [a] }) => (a!.owner = 'x'), 'owner is "x", but must be an address'],
    ['data', ({ accounts: [a] }) => (a!.data = wrong('x')), 'data is "x", but must be a Uint8Array'],
    ['a syscall', ({ syscalls }) => syscalls.sol_timer_cancel(wrong('x')), 'timerId is "x", but must be a bigint in'],
  ])('%s says what is wrong, and the program can go on', (_, call, message) => {
    const { outcome } = run((context) => void expect(refusal(() => call(context))).toContain(message));
    expect(outcome.error?.message).toBeUndefined();
    expect(outcome.unitsConsumed).toBe(150n);
  });

  test('return data that is too long makes it fail', () => {
    const { outcome } = run((context) => context.setReturnData(new Uint8Array(1_025)));
    expect(outcome.error!.message).toContain('return data has 1025 bytes, but may have at most 1024');
  });
});

describe('the program of an address', () => {
  const one: Program = () => 1;
  const two: Program = () => 2;
  const customCode = (engine: AsyncBpfEngine) => engine.invoke({ programId: P, data: script([]) }).error?.customCode;

  test('can be replaced by another function, by a file, and back; and removed', () => {
    const engine = setUp(one);
    const codes = [customCode(engine)];
    engine.addProgram(P, two);
    codes.push(customCode(engine));
    engine.addProgram(P, prebuilt('conformance'));
    codes.push(customCode(engine));
    const files = engine.getAccount(P)!.owner;
    engine.addProgram(P, one, { version: '1.0' });
    codes.push(customCode(engine));
    expect(codes).toEqual([1, 2, undefined, 1]);
    expect(files).toBe('BPFLoaderUpgradeab1e11111111111111111111111');
    expect(engine.getAccount(P)).toMatchObject({
      owner: 'NativeLoader1111111111111111111111111111111',
      executable: true,
      data: utf8('1.0'),
    });
    engine.timers.create({ programId: P, triggerSlot: 5 });
    engine.removeProgram(P);
    expect(engine.getAccount(P)).toBeUndefined();
    expect(engine.processSlot(5).outcomes).toMatchObject([{ error: { name: 'UNKNOWN_PROGRAM' } }]);
  });

  test('is part of the state hash by its version', () => {
    const hash = (program: Program, version?: string) => {
      const engine = createEngine({});
      engine.addProgram(P, program, version === undefined ? {} : { version });
      return engine.processSlot(1).stateHash;
    };
    expect(hash(one)).toBe(hash(two));
    expect(hash(one, 'a')).toBe(hash(two, 'a'));
    expect(hash(one, 'a')).not.toBe(hash(one, 'b'));
    expect(hash(one, 'a')).not.toBe(hash(one));
  });
});
