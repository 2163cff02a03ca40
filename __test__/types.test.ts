/**
 * The types of the public API. What `expectTypeOf` says is checked by the compiler (`tsc -p __test__/tsconfig.json`), not when the tests run: a
 * value that a test looks at need not be there.
 */

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, expectTypeOf, test } from 'vitest';
import type {
  AccountBatch,
  AccountBatchOptions,
  AccountFlags,
  AccountInfo,
  AccountInit,
  AccountMetaInfo,
  AccountMetaLike,
  AccountUpdate,
  Address,
  AddressLike,
  AsyncBpfErrorOf,
  Bytes,
  CallbackCause,
  CallbackInfo,
  CallbackOptions,
  CpiOptions,
  EngineEvent,
  EngineEvents,
  EngineOptions,
  ErrorCodeName,
  EventOptions,
  EventView,
  GapEvent,
  Limits,
  Outcome,
  OutcomeError,
  OutcomeEvent,
  PeriodicTimerOptions,
  Pointer,
  Program,
  ProgramAccount,
  ProgramContext,
  ProgramOptions,
  ReturnData,
  RingEntry,
  RingEntryView,
  RingInfo,
  RingOptions,
  Rings,
  SlotEvent,
  SlotOptions,
  SlotReport,
  Source,
  Stats,
  Syscalls,
  TaskHandle,
  TaskOptions,
  Tasks,
  TimerInfo,
  TimerOptions,
  TimerParams,
  Timers,
  U64Like,
  WatcherInfo,
  WatcherOptions,
  Watchers,
} from '../index.js';
import {
  AsyncBpfEngine,
  AsyncBpfError,
  CatchUp,
  DEFAULT_LIMITS,
  ErrorCode,
  Priority,
  RingRight,
  RingState,
  TimerState,
  WatcherTrigger,
} from '../dist/index.js';
import type { SourceKind } from '../dist/constants.js';
import {
  createWorld,
  type AccountChange,
  type AccountState,
  type OutcomeSource,
  type Outcomes,
  type SlotOutcome,
  type World,
  type WorldOptions,
} from '../dist/testing/index.js';

// ------------------------------------------------------------------------------------------------------------- what there is

const ENTRIES: Record<string, { values: string[]; types: string[] }> = {
  index: {
    values: [
      ...['AsyncBpfEngine', 'AsyncBpfError', 'CatchUp', 'DEFAULT_LIMITS', 'ErrorCode', 'Priority', 'RingRight', 'RingState', 'TimerState'],
      'WatcherTrigger',
    ],
    types: [
      ...['AccountBatch', 'AccountBatchOptions', 'AccountFlags', 'AccountInfo', 'AccountInit', 'AccountMetaInfo', 'AccountMetaLike'],
      ...['AccountUpdate', 'Address', 'AddressLike', 'AnyTimerInfo', 'AnyWatcherInfo', 'AsyncBpfErrorOf', 'Bytes', 'CallbackCause'],
      ...['CallbackInfo', 'CpiOptions', 'Program', 'ProgramAccount', 'ProgramContext', 'ProgramOptions', 'ReturnData'],
      ...[
        'CallbackOptions',
        'ChangeWatcherInfo',
        'DeadlineTimerInfo',
        'Ending',
        'EngineEvent',
        'EngineEvents',
        'EngineOptions',
        'ErrorCodeName',
      ],
      ...['EventOptions', 'EventView', 'GapEvent', 'Invocation', 'Limits', 'OneShotTimerInfo', 'Outcome', 'OutcomeError', 'OutcomeEvent'],
      ...['PatternWatcherInfo', 'PeriodicTimerInfo', 'PeriodicTimerOptions', 'Pointer', 'RingEntry', 'RingEntryView', 'RingInfo'],
      ...['RingOptions', 'Rings', 'SlotEvent', 'SlotOptions', 'SlotReport', 'Source', 'Stats', 'Syscalls', 'TaskHandle', 'TaskOptions'],
      ...[
        'Tasks',
        'ThresholdWatcherInfo',
        'TimerInfo',
        'TimerOptions',
        'TimerParams',
        'Timers',
        'Trace',
        'U64Like',
        'WatcherInfo',
        'WatcherOptions',
      ],
      'Watchers',
    ],
  },
  'dist/feed/index': {
    values: [
      ...['Feed', 'convert', 'fromAccountNotification', 'fromClockNotification', 'fromMultipleAccounts', 'fromProgramNotification'],
      ...['fromSlotNotification', 'fromYellowstone', 'readRecording', 'replay'],
    ],
    types: [
      ...['AccountMessage', 'BlockTimeMessage', 'Commitment', 'FeedMessage', 'FeedOptions', 'FeedSource', 'FeedStats', 'RpcAccount'],
      ...['RpcProgramAccount', 'RpcResponse', 'RpcSlotNotification', 'RunOptions', 'SlotMessage', 'SlotStatus', 'YellowstoneAccount'],
      ...['YellowstoneAccountInfo', 'YellowstoneBlock', 'YellowstoneFullBlock', 'YellowstoneSlot', 'YellowstoneUpdate'],
    ],
  },
  'dist/testing/index': {
    values: [
      ...[
        'SYSTEM_PROGRAM',
        'TOKEN_2022_PROGRAM',
        'TOKEN_PROGRAM',
        'World',
        'asyncBpfMatchers',
        'createWorld',
        'dataAccount',
        'fromLiteSvm',
      ],
      ...['i64', 'mintAccount', 'namedAddress', 'namedAddresses', 'readI64', 'readMint', 'readTokenAccount', 'readU64', 'rentExemption'],
      ...['systemAccount', 'toLiteSvm', 'tokenAccount', 'u64', 'writeI64', 'writeU64'],
    ],
    types: [
      ...['AccountChange', 'AccountState', 'AsyncBpfMatchers', 'BalanceOptions', 'ClockOptions', 'ExpectedFailure', 'LiteSvmAccount'],
      ...['LiteSvmFoundAccount', 'LiteSvmLike', 'LiteSvmMissingAccount', 'MatcherContext', 'MatcherResult', 'MintInfo', 'MintOptions'],
      ...['OutcomeSource', 'Outcomes', 'ProgramSource', 'SlotOutcome', 'TestAddress', 'TestLamports', 'TokenAccountInfo'],
      ...['TokenAccountOptions', 'TokenAccountState', 'WorldOptions'],
    ],
  },
};

describe('the declarations', () => {
  test.each(Object.entries(ENTRIES))('of %s have these names, and no others', (entry, { values, types }) => {
    const path = join(process.cwd(), `${entry}.d.ts`);
    const program = ts.createProgram([path], { module: ts.ModuleKind.Node20, types: [], noLib: true });
    const checker = program.getTypeChecker();
    const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(path)!)!);
    expect(exported.map(({ name }) => name).sort()).toEqual([...values, ...types].sort());
  });

  test.each(Object.entries(ENTRIES))('of %s name values that are there, in both module systems', async (entry, { values }) => {
    const file = join(process.cwd(), 'dist', entry.replace('dist/', ''));
    expect(Object.keys(require(`${file}.js`)).sort()).toEqual(values);
    expect(Object.keys((await import(`${file}.mjs`)) as object).sort()).toEqual(values);
  });

  test('never say any', () => {
    const declarations = readdirSync('dist', { recursive: true, encoding: 'utf8' }).filter((path) => /\.d\.m?ts$/.test(path));
    expect(declarations.length).toBeGreaterThan(20);
    const code = (path: string) => readFileSync(join('dist', path), 'utf8').replace(/\/\*[^]*?\*\/|\/\/.*/g, '');
    expect(declarations.filter((path) => /\bany\b/.test(code(path)))).toEqual([]);
  });
});

// ------------------------------------------------------------------------------------------------------------------- constants

test('constants are literals', () => {
  expectTypeOf(ErrorCode.MAX_TIMERS).toEqualTypeOf<4>();
  expectTypeOf(Priority.CRITICAL).toEqualTypeOf<3>();
  expectTypeOf(RingRight.WRITE).toEqualTypeOf<2>();
  expectTypeOf<ErrorCode>().toEqualTypeOf<0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15 | 16 | 17 | 18>();
  expectTypeOf<WatcherTrigger>().toEqualTypeOf<0 | 1 | 2 | 3 | 4 | 5 | 6>();
  expectTypeOf<Priority>().toEqualTypeOf<0 | 1 | 2 | 3>();
  expectTypeOf<TimerState>().toEqualTypeOf<0 | 1 | 2 | 3 | 4 | 5>();
  expectTypeOf<RingState>().toEqualTypeOf<0 | 1 | 2 | 3>();
  expectTypeOf<RingRight>().toEqualTypeOf<1 | 2>();
  expectTypeOf<CatchUp>().toEqualTypeOf<0 | 1 | 2>();
  expectTypeOf<ErrorCodeName>().toEqualTypeOf<keyof typeof ErrorCode>();
  expectTypeOf(DEFAULT_LIMITS).toEqualTypeOf<Readonly<Limits>>();
  expectTypeOf<Limits[keyof Limits]>().toEqualTypeOf<number>();
  // The table has it in capitals, for C.
  expectTypeOf<Source['kind']>().toEqualTypeOf<Lowercase<keyof typeof SourceKind>>();
});

// ---------------------------------------------------------------------------------------------------------------------- engine

type Parts = 'timers' | 'watchers' | 'rings' | 'tasks';
type Calls = 'addProgram' | 'removeProgram' | 'setAccount' | 'getAccount' | 'updateAccounts' | 'accountBatch' | 'invoke' | 'processSlot';
type Others =
  | 'processSlotAsync'
  | typeof Symbol.asyncDispose
  | 'events'
  | 'syscalls'
  | 'stats'
  | 'slot'
  | 'stateHash'
  | 'drain'
  | 'close'
  | typeof Symbol.dispose;

test('the engine', () => {
  type Engine = AsyncBpfEngine;
  expectTypeOf<keyof Engine>().toEqualTypeOf<Parts | Calls | Others>();
  expectTypeOf<ConstructorParameters<typeof AsyncBpfEngine>>().toEqualTypeOf<[options?: EngineOptions]>();
  expectTypeOf<Pick<Engine, Parts>>().toEqualTypeOf<{
    readonly timers: Timers;
    readonly watchers: Watchers;
    readonly rings: Rings;
    readonly tasks: Tasks;
  }>();
  expectTypeOf<Engine['addProgram']>().toEqualTypeOf<(address: AddressLike, elf: Uint8Array | Program, options?: ProgramOptions) => void>();
  expectTypeOf<Engine['removeProgram']>().toEqualTypeOf<(address: AddressLike) => void>();
  expectTypeOf<Engine['setAccount']>().toEqualTypeOf<(address: AddressLike, account: AccountInit) => void>();
  expectTypeOf<Engine['getAccount']>().toEqualTypeOf<(address: AddressLike) => AccountInfo | undefined>();
  expectTypeOf<Engine['updateAccounts']>().toEqualTypeOf<(updates: Iterable<AccountUpdate>) => void>();
  expectTypeOf<Engine['accountBatch']>().toEqualTypeOf<(options: AccountBatchOptions) => AccountBatch>();
  expectTypeOf<Engine['invoke']>().toEqualTypeOf<(options: CallbackOptions) => Outcome>();
  expectTypeOf<Engine['processSlot']>().toEqualTypeOf<(slot: U64Like, options?: SlotOptions) => SlotReport>();
  expectTypeOf<Engine['events']>().toEqualTypeOf<(options?: EventOptions) => EngineEvents>();
  expectTypeOf<EngineEvents>().toExtend<AsyncIterableIterator<EngineEvent, undefined>>();
  expectTypeOf<EngineEvents['forEach']>().toEqualTypeOf<(each: (event: EventView) => void, max?: number) => number>();
  expectTypeOf<EventView>().toEqualTypeOf<{ readonly type: EngineEvent['type']; read(): EngineEvent }>();
  expectTypeOf<Engine['syscalls']>().toEqualTypeOf<(programId: AddressLike) => Syscalls>();
  expectTypeOf<Engine['stats']>().toEqualTypeOf<() => Stats>();
  expectTypeOf<Engine['slot']>().toEqualTypeOf<bigint>();
  expectTypeOf<Engine['stateHash']>().toEqualTypeOf<() => string>();
  expectTypeOf<Engine['drain' | 'close' | typeof Symbol.dispose]>().toEqualTypeOf<() => void>();
  expectTypeOf<Engine['processSlotAsync']>().toEqualTypeOf<(slot: U64Like, options?: SlotOptions) => Promise<SlotReport>>();
  expectTypeOf<Engine>().toExtend<Disposable & AsyncDisposable>();
});

test('its parts', () => {
  expectTypeOf<Methods<Timers>>().toEqualTypeOf<{
    create: (options: TimerOptions) => bigint;
    createPeriodic: (options: PeriodicTimerOptions) => bigint;
    cancel: (id: U64Like) => void;
    get: (id: U64Like) => TimerInfo | undefined;
    list: (programId: AddressLike) => TimerInfo[];
  }>();
  expectTypeOf<Methods<Watchers>>().toEqualTypeOf<{
    create: (options: WatcherOptions) => bigint;
    remove: (id: U64Like) => void;
    pause: (id: U64Like) => void;
    resume: (id: U64Like) => void;
    setMinSlots: (id: U64Like, minSlotsBetweenTriggers: U64Like) => void;
    get: (id: U64Like) => WatcherInfo | undefined;
    list: (account: AddressLike) => WatcherInfo[];
  }>();
  expectTypeOf<Methods<Rings>>().toEqualTypeOf<{
    create: (options: RingOptions) => bigint;
    push: (id: U64Like, data: Uint8Array) => void;
    pop: (id: U64Like) => Uint8Array | undefined;
    peek: (id: U64Like) => Uint8Array | undefined;
    drain: (id: U64Like, max?: number) => RingEntry[];
    forEach: (id: U64Like, each: (entry: RingEntryView) => void, max?: number) => number;
    get: (id: U64Like) => RingInfo | undefined;
    setState: (id: U64Like, state: RingState) => void;
    grant: (id: U64Like, programId: AddressLike, rights: number) => void;
    destroy: (id: U64Like) => void;
  }>();
  expectTypeOf<Methods<Tasks>>().toEqualTypeOf<{ submit: (options: TaskOptions) => TaskHandle }>();
  expectTypeOf<TaskHandle>().toEqualTypeOf<{ readonly id: bigint; readonly outcome: Promise<Outcome> }>();
});

test('a batch of accounts', () => {
  expectTypeOf<Methods<AccountBatch>>().toEqualTypeOf<{
    readonly capacity: number;
    readonly dataLength: number;
    readonly addresses: Uint8Array;
    readonly lamports: BigUint64Array;
    readonly data: Uint8Array;
    readonly dataLengths: Uint32Array;
    readonly owners: Uint8Array;
    readonly executable: Uint8Array;
    readonly writeVersions: BigUint64Array | undefined;
    set: (index: number, update: AccountUpdate) => void;
    submit: (count?: number) => void;
  }>();
  expectTypeOf<AccountBatchOptions>().toEqualTypeOf<{ capacity: number; dataLength?: number; writeVersions?: boolean }>();
});

test('a program that is a function', () => {
  expectTypeOf<Program>().toEqualTypeOf<(context: ProgramContext) => number | void>();
  expectTypeOf<ProgramOptions>().toEqualTypeOf<{ version?: string }>();
  expectTypeOf<Methods<ProgramContext>>().toEqualTypeOf<{
    readonly accounts: readonly ProgramAccount[];
    readonly data: Uint8Array;
    readonly slot: bigint;
    readonly unixTimestamp: bigint;
    readonly cause: CallbackCause | undefined;
    readonly syscalls: Syscalls;
    readonly programId: Address;
    readonly remainingUnits: bigint;
    consume: (units: U64Like) => void;
    log: (message: string) => void;
    setReturnData: (data: Uint8Array) => void;
    invoke: (options: CpiOptions) => ReturnData | undefined;
  }>();
  expectTypeOf<Methods<ProgramAccount>>().toEqualTypeOf<{
    readonly isSigner: boolean;
    readonly isWritable: boolean;
    readonly executable: boolean;
    readonly address: Address;
    get lamports(): bigint;
    set lamports(lamports: U64Like);
    get owner(): Address;
    set owner(owner: AddressLike);
    data: Uint8Array;
  }>();
  expectTypeOf<CpiOptions>().toEqualTypeOf<{
    programId: AddressLike;
    accounts?: Iterable<AccountMetaLike>;
    data?: Uint8Array;
    signers?: Iterable<Iterable<Uint8Array>>;
  }>();
  expectTypeOf<ReturnData>().toEqualTypeOf<{ programId: Address; data: Uint8Array }>();
  // What returns a promise has not been thought through: it is refused when it runs, and by the compiler where it sees it.
  expectTypeOf<() => Promise<void>>().not.toExtend<Program>();
});

/** A class without what TypeScript keeps about its private members. */
type Methods<T> = { [Name in keyof T]: T[Name] };

test('the calls of programs', () => {
  type Create = (data: Bytes, computeBudget: U64Like) => bigint;
  expectTypeOf<Methods<Syscalls>>().toEqualTypeOf<{
    sol_timer_create: (triggerSlot: U64Like, ...callback: Parameters<Create>) => bigint;
    sol_timer_create_periodic: (startSlot: U64Like, periodSlots: U64Like, ...callback: Parameters<Create>) => bigint;
    sol_timer_create_with: (params: TimerParams) => bigint;
    sol_timer_cancel: (timerId: U64Like) => ErrorCode;
    sol_watcher_create: (account: Pointer, triggerType: U64Like, ...callback: Parameters<Create>) => bigint;
    sol_watcher_create_threshold: (
      account: Pointer,
      triggerType: U64Like,
      offset: U64Like,
      threshold: bigint | number,
      ...callback: Parameters<Create>
    ) => bigint;
    sol_watcher_create_pattern: (account: Pointer, offset: U64Like, pattern: Bytes, ...callback: Parameters<Create>) => bigint;
    sol_watcher_set_min_slots: (watcherId: U64Like, slots: U64Like) => ErrorCode;
    sol_watcher_remove: (watcherId: U64Like) => ErrorCode;
    sol_ring_buffer_create: (size: U64Like) => bigint;
    sol_ring_buffer_push: (bufferId: U64Like, data: Bytes) => ErrorCode;
    sol_ring_buffer_pop: (bufferId: U64Like, output: Bytes) => number;
    sol_ring_buffer_peek: (bufferId: U64Like, output: Bytes) => number;
    sol_ring_buffer_grant: (bufferId: U64Like, program: Pointer, rights: U64Like) => ErrorCode;
    sol_ring_buffer_destroy: (bufferId: U64Like) => ErrorCode;
    sol_task_schedule: (data: Bytes, computeBudget: U64Like, priority?: Priority, deadlineSlot?: U64Like) => bigint;
    sol_get_slot: () => bigint;
    sol_async_last_error: () => ErrorCode;
  }>();
  expectTypeOf<Bytes>().toEqualTypeOf<Uint8Array | null>();
  expectTypeOf<Pointer>().toEqualTypeOf<AddressLike | null>();
});

// -------------------------------------------------------------------------------------------------------------------- arguments

test('arguments', () => {
  expectTypeOf<U64Like>().toEqualTypeOf<bigint | number>();
  expectTypeOf<AddressLike>().toEqualTypeOf<string | Uint8Array | { toBytes(): Uint8Array }>();
  expectTypeOf<AccountFlags>().toEqualTypeOf<{ isSigner?: boolean; isWritable?: boolean }>();
  expectTypeOf<string>().toExtend<AccountMetaLike>();
  expectTypeOf<{ address: string; isWritable: true }>().toExtend<AccountMetaLike>();
  expectTypeOf<{ address: string; role: 3 }>().toExtend<AccountMetaLike>();
  expectTypeOf<{ pubkey: { toBytes(): Uint8Array }; isSigner: boolean; isWritable: boolean }>().toExtend<AccountMetaLike>();
  expectTypeOf<{ pubkey: number }>().not.toExtend<AccountMetaLike>();
});

test('options', () => {
  type Account = { lamports: U64Like; data?: Uint8Array; owner?: AddressLike; executable?: boolean };
  type Callback = { programId: AddressLike; data?: Uint8Array; accounts?: Iterable<AccountMetaLike>; computeBudget?: U64Like };
  type Queue = { priority?: Priority; deadlineSlot?: U64Like };
  expectTypeOf<Flat<EngineOptions>>().toEqualTypeOf<{
    workers?: number;
    logs?: boolean;
    executor?: 'lean' | 'stock';
    startSlot?: U64Like;
    startTimestamp?: bigint | number;
    limits?: Partial<Limits>;
    accounts?: Iterable<AccountInit & { address: AddressLike }>;
  }>();
  expectTypeOf<AccountInit>().toEqualTypeOf<Account>();
  expectTypeOf<Flat<AccountUpdate>>().toEqualTypeOf<Flat<Account & { address: AddressLike; writeVersion?: U64Like }>>();
  expectTypeOf<CallbackOptions>().toEqualTypeOf<Callback>();
  expectTypeOf<Flat<TaskOptions>>().toEqualTypeOf<Flat<Callback & Queue>>();
  expectTypeOf<Flat<TimerOptions>>().toEqualTypeOf<Flat<Callback & Queue & { triggerSlot: U64Like }>>();
  expectTypeOf<Flat<PeriodicTimerOptions>>().toEqualTypeOf<
    Flat<Callback & { startSlot: U64Like; periodSlots: U64Like; priority?: Priority; catchUp?: CatchUp; maxTicks?: U64Like }>
  >();
  expectTypeOf<Flat<WatcherOptions>>().toEqualTypeOf<
    Flat<
      Callback & {
        account: AddressLike;
        trigger: WatcherTrigger;
        threshold?: bigint | number;
        offset?: U64Like;
        pattern?: Uint8Array;
        priority?: Priority;
        minSlotsBetweenTriggers?: U64Like;
      }
    >
  >();
  expectTypeOf<RingOptions>().toEqualTypeOf<{ programId: AddressLike; size?: U64Like; reader?: 'program' | 'host' }>();
  expectTypeOf<SlotOptions>().toEqualTypeOf<{ unixTimestamp?: bigint | number }>();
  expectTypeOf<EventOptions>().toEqualTypeOf<{ signal?: AbortSignal; capacity?: number }>();
});

/** Members in one object, whatever they were inherited from or joined of. */
type Flat<T> = { [Name in keyof T]: T[Name] };

// ---------------------------------------------------------------------------------------------------------------- the test kit

test('the test kit', () => {
  expectTypeOf(createWorld).toEqualTypeOf<(options?: WorldOptions) => World>();
  expectTypeOf<Methods<World>>().toEqualTypeOf<{
    readonly engine: AsyncBpfEngine;
    readonly slot: bigint;
    readonly reports: readonly SlotReport[];
    readonly tracked: Address[];
    advance: (slots?: U64Like) => SlotReport[];
    advanceTo: (slot: U64Like) => SlotReport[];
    advanceUntil: (condition: (report: SlotReport) => boolean, atMost?: U64Like) => SlotReport;
    skipTo: (slot: U64Like, options?: SlotOptions) => SlotReport;
    invoke: (options: CallbackOptions) => SlotOutcome;
    outcomes: (of?: OutcomeSource) => Outcomes;
    track: (...addresses: AddressLike[]) => void;
    changes: (address: AddressLike) => AccountChange[];
    forget: () => void;
    close: () => void;
    [Symbol.dispose]: () => void;
  }>();
  expectTypeOf<SlotOutcome>().toExtend<Outcome & { slot: bigint }>();
  expectTypeOf<AccountChange>().toEqualTypeOf<{ slot: bigint; before: AccountState | undefined; after: AccountState | undefined }>();
});

// ---------------------------------------------------------------------------------------------------------------- what comes out

test('accounts and ring buffers', () => {
  expectTypeOf<Address>().toEqualTypeOf<string>();
  expectTypeOf<AccountInfo>().toEqualTypeOf<{
    address: Address;
    lamports: bigint;
    data: Uint8Array;
    owner: Address;
    executable: boolean;
  }>();
  expectTypeOf<AccountMetaInfo>().toEqualTypeOf<{ address: Address; isSigner: boolean; isWritable: boolean }>();
  expectTypeOf<RingInfo>().toEqualTypeOf<{
    id: bigint;
    owner: Address;
    capacity: bigint;
    used: bigint;
    entries: bigint;
    state: RingState;
    reader: 'program' | 'host';
    nextSequence: bigint;
  }>();
  expectTypeOf<RingEntry>().toEqualTypeOf<{ sequence: bigint; slot: bigint; data: Uint8Array }>();
  expectTypeOf<Flat<RingEntryView>>().toEqualTypeOf<Readonly<Flat<RingEntry & { bytes: Uint8Array; start: number; end: number }>>>();
  expectTypeOf<Stats[keyof Stats]>().toEqualTypeOf<bigint>();
});

test('a timer is narrowed by its mode', () => {
  expectTypeOf<TimerInfo['mode']>().toEqualTypeOf<'one-shot' | 'periodic' | 'deadline'>();
  expectTypeOf<TimerInfo['periodSlots']>().toEqualTypeOf<bigint>();
  expectTypeOf<TimerInfo['deadlineSlot']>().toEqualTypeOf<bigint | undefined>();
  expectTypeOf<TimerInfo>().toExtend<
    CallbackInfo & { id: bigint; triggerSlot: bigint; state: TimerState; executionCount: bigint; missedCount: bigint }
  >();
  expectTypeOf<CallbackInfo>().toEqualTypeOf<{
    programId: Address;
    data: Uint8Array;
    accounts: AccountMetaInfo[];
    computeBudget: bigint;
    priority: Priority;
  }>();
  const look = (timer: TimerInfo) => {
    if (timer.mode === 'deadline') expectTypeOf(timer.deadlineSlot).toEqualTypeOf<bigint>();
    else expectTypeOf(timer.deadlineSlot).toEqualTypeOf<undefined>();
    if (timer.mode === 'periodic') expectTypeOf(timer.periodSlots).toEqualTypeOf<bigint>();
    else expectTypeOf(timer.periodSlots).toEqualTypeOf<0n>();
  };
  expect(look).toBeDefined();
});

test('a watcher is narrowed by its trigger', () => {
  expectTypeOf<WatcherInfo['trigger']>().toEqualTypeOf<WatcherTrigger>();
  expectTypeOf<WatcherInfo['threshold' | 'offset']>().toEqualTypeOf<bigint | undefined>();
  expectTypeOf<WatcherInfo['pattern']>().toEqualTypeOf<Uint8Array | undefined>();
  expectTypeOf<WatcherInfo>().toExtend<
    CallbackInfo & {
      id: bigint;
      account: Address;
      active: boolean;
      triggerCount: bigint;
      suppressedCount: bigint;
      lastTriggerSlot?: bigint;
      minSlotsBetweenTriggers: bigint;
    }
  >();
  const look = (watcher: WatcherInfo) => {
    if (watcher.trigger === WatcherTrigger.PATTERN_MATCH) {
      expectTypeOf(watcher).toExtend<{ offset: bigint; pattern: Uint8Array; threshold?: undefined }>();
    } else if (watcher.trigger === WatcherTrigger.THRESHOLD_ABOVE || watcher.trigger === WatcherTrigger.THRESHOLD_BELOW) {
      expectTypeOf(watcher).toExtend<{ offset: bigint; threshold: bigint; pattern?: undefined }>();
    } else {
      expectTypeOf(watcher).toExtend<{ offset?: undefined; threshold?: undefined; pattern?: undefined }>();
    }
  };
  expect(look).toBeDefined();
});

test('an outcome is narrowed by its status', () => {
  expectTypeOf<Outcome['status']>().toEqualTypeOf<'committed' | 'failed' | 'expired'>();
  expectTypeOf<Outcome['error']>().toEqualTypeOf<OutcomeError | undefined>();
  expectTypeOf<Outcome>().toExtend<{
    taskId: bigint;
    programId: Address;
    source: Source;
    unitsConsumed: bigint;
    logs: string[];
    returnData?: Uint8Array;
    stagedCodes: ErrorCode[];
  }>();
  expectTypeOf<Source['id']>().toEqualTypeOf<bigint>();
  expectTypeOf<OutcomeError>().toEqualTypeOf<{
    code: ErrorCode;
    name: ErrorCodeName;
    message: string;
    reason: string;
    customCode?: number;
  }>();
  const look = (outcome: Outcome) => {
    if (outcome.status === 'failed') expectTypeOf(outcome.error).toEqualTypeOf<OutcomeError>();
    else expectTypeOf(outcome.error).toEqualTypeOf<undefined>();
  };
  expect(look).toBeDefined();
});

test('an event is narrowed by its type, and that of an outcome by its status', () => {
  expectTypeOf<EngineEvent>().toEqualTypeOf<OutcomeEvent | SlotEvent | GapEvent>();
  expectTypeOf<EngineEvent['type']>().toEqualTypeOf<'outcome' | 'slot' | 'gap'>();
  const look = (event: EngineEvent) => {
    if (event.type === 'gap') expectTypeOf(event.missed).toEqualTypeOf<bigint>();
    if (event.type === 'slot') expectTypeOf(event.stateHash).toEqualTypeOf<string>();
    if (event.type === 'outcome') expectTypeOf(event.slot).toEqualTypeOf<bigint>();
    if (event.type === 'outcome' && event.status === 'failed') expectTypeOf(event.error).toEqualTypeOf<OutcomeError>();
    if (event.type === 'outcome' && event.status !== 'failed') expectTypeOf(event.error).toEqualTypeOf<undefined>();
  };
  expect(look).toBeDefined();
});

test('the report of a slot', () => {
  expectTypeOf<SlotReport>().toEqualTypeOf<{
    slot: bigint;
    readonly outcomes: Outcome[];
    timersFired: bigint;
    watchersTriggered: bigint;
    tasksQueued: bigint;
    tasksPending: bigint;
    unitsConsumed: bigint;
    stateHash: string;
  }>();
});

test('AsyncBpfError.is narrows to the code that it is asked for', () => {
  expectTypeOf<AsyncBpfError>().toExtend<Error & { readonly code: ErrorCode; readonly codeName: ErrorCodeName }>();
  const look = (error: unknown) => {
    if (AsyncBpfError.is(error)) expectTypeOf(error.codeName).toEqualTypeOf<ErrorCodeName>();
    if (AsyncBpfError.is(error, 'MAX_TIMERS')) {
      expectTypeOf(error).toEqualTypeOf<AsyncBpfErrorOf<'MAX_TIMERS'>>();
      expectTypeOf(error.code).toEqualTypeOf<4>();
      expectTypeOf(error.codeName).toEqualTypeOf<'MAX_TIMERS'>();
    }
    // @ts-expect-error There is no such code.
    AsyncBpfError.is(error, 'MAX_TIMER');
  };
  expect(look).toBeDefined();
});
