/** Programs that are JavaScript functions (`bindings/src/programs.rs`). */

import {
  addressString,
  toAccountMetas,
  toAddress,
  toArray,
  toBytes,
  toObject,
  toU64,
  type AccountMeta,
  type AddressLike,
  type U64Like,
} from './arguments.js';
import { NO_BYTES } from './callbacks.js';
import { ErrorCode, type Priority, type WatcherTrigger } from './constants.js';
import { AsyncBpfError, invalidArgument } from './errors.js';
import { addon } from './native.js';
import * as replies from './replies.js';
import { Syscalls, type Channel } from './syscalls.js';
import type { Address, CallbackCause, CpiOptions, Program, ReturnData } from './types.js';
import { Reader, Writer } from './wire.js';

/** Variants of `Operation`, in the order of the Rust enum. */
const Operation = { Consume: 0, RemainingUnits: 1, Log: 2, SetReturnData: 3, Call: 4, Refuse: 5, Invoke: 6 } as const;
/** Variants of `Ran`. */
const RETURNED = 0;
const THREW = 1;
/** Compute units of every syscall. */
const SYSCALL_UNITS = 100n;
/** What a program may return: the codes of `ProgramError::Custom`. */
const MAX_STATUS = 2 ** 32 - 1;

/** The functions of an engine, by their addresses. */
export class Programs {
  readonly #functions = new Map<string, Program>();

  set(address: Uint8Array, program: Program): void {
    this.#functions.set(key(address), program);
  }

  delete(address: Uint8Array): void {
    this.#functions.delete(key(address));
  }

  /** Runs the program of an invocation. Throws nothing: native code is below. */
  readonly run = (buffer: Buffer): Uint8Array => {
    // Not as a Buffer: slices of those are no copies.
    const request = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
    try {
      const context = new ProgramContext(request);
      const status = run(context, this.#functions.get(key(request.subarray(0, 32)))!);
      const writer = new Writer().u8(RETURNED).u32(status);
      writeChanges(writer, context.accounts);
      return writer.finish();
    } catch (error) {
      return new Writer().u8(THREW).string(describe(error)).finish();
    }
  };
}

function key(address: Uint8Array): string {
  return Buffer.from(address.buffer, address.byteOffset, 32).toString('latin1');
}

/** The invocation whose function runs. One that has invoked another program waits. */
let current: ProgramContext | undefined;

function run(context: ProgramContext, program: Program): number {
  const caller = current;
  current = context;
  try {
    const status: unknown = program(context) ?? 0;
    if (Number.isSafeInteger(status) && (status as number) >= 0 && (status as number) <= MAX_STATUS) return status as number;
    const expected = `nothing, 0, or the number of an error in [1, ${MAX_STATUS}]; it cannot wait, so it returns no promise`;
    throw invalidArgument('what the program returned', status, expected);
  } finally {
    current = caller;
  }
}

function describe(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : `it threw ${String(error)}`;
  } catch {
    return 'it threw something that cannot be shown';
  }
}

/**
 * One invocation of a program that is a JavaScript function. Use it while the function runs: later, everything throws INVALID_ARGUMENT.
 *
 * What the program does is staged, charged and checked as for programs on a chain: it counts when the whole invocation succeeds.
 */
export class ProgramContext {
  /** The accounts of the instruction, in its order. One that is mentioned twice is the same object. */
  readonly accounts: readonly ProgramAccount[];
  /** The instruction's data. */
  readonly data: Uint8Array;
  /** The slot that is being processed. */
  readonly slot: bigint;
  /** Seconds since 1970 in this slot: what the Clock sysvar says. */
  readonly unixTimestamp: bigint;
  /** What the callback was caused by; `undefined` when the host or another program invoked the program. */
  readonly cause: CallbackCause | undefined;
  /**
   * The calls of on-chain programs, with the accounts of the instruction and at their price. What they create runs with these accounts, of
   * which none has signed.
   */
  readonly syscalls: Syscalls;
  readonly #program: Uint8Array;

  /** @internal */
  constructor(request: Uint8Array) {
    const reader = new Reader(request);
    this.#program = reader.raw(32);
    this.slot = reader.u64();
    this.unixTimestamp = reader.i64();
    this.cause = cause(reader.bytes());
    this.data = reader.bytes();
    const accounts: ProgramAccount[] = [];
    readAccounts(reader, (index, first, state) => {
      accounts.push(first < index ? accounts[first]! : new ProgramAccount(index, state));
    });
    this.accounts = accounts;
    const metas = accounts.map((account): AccountMeta => account.meta());
    this.syscalls = new Syscalls(new Invocation(this), this.#program, metas);
  }

  /** The program itself. */
  get programId(): Address {
    return addressString(this.#program);
  }

  /** Compute units that are left of the budget. */
  get remainingUnits(): bigint {
    return this.operate(Operation.RemainingUnits).u64();
  }

  /**
   * Uses compute units: a function has no instructions that could be counted. Beyond the budget, the invocation fails, whatever the function
   * does then. Throws INVALID_ARGUMENT, EXECUTION_FAILED.
   */
  consume(units: U64Like): void {
    const count = toU64(units, 'units');
    this.operate(Operation.Consume, (writer) => writer.u64(count));
  }

  /** Writes a line to the logs of the outcome. It takes 100 units, or one for each byte. Throws INVALID_ARGUMENT, EXECUTION_FAILED. */
  log(message: string): void {
    if (typeof message !== 'string') throw invalidArgument('message', message, 'a string');
    this.operate(Operation.Log, (writer) => writer.string(message));
  }

  /** Sets the return data, at most 1,024 bytes. Throws INVALID_ARGUMENT, EXECUTION_FAILED. */
  setReturnData(data: Uint8Array): void {
    const bytes = toBytes(data, 'data');
    this.operate(Operation.SetReturnData, (writer) => writer.bytes(bytes));
  }

  /**
   * Invokes another program, with what this one has changed so far, and returns the return data. Afterwards `accounts` are as it has left
   * them. When it fails, so does this invocation. Throws INVALID_ARGUMENT, EXECUTION_FAILED.
   */
  invoke(options: CpiOptions): ReturnData | undefined {
    const {
      programId,
      accounts = [],
      data = NO_BYTES,
      signers = [],
    } = toObject(options, 'options', ['programId', 'accounts', 'data', 'signers']);
    const program = toAddress(programId, 'programId');
    const metas = toAccountMetas(accounts, 'accounts');
    const bytes = toBytes(data, 'data');
    const seeds = toArray(signers, 'signers').map((list, n) =>
      toArray(list, `signers[${n}]`).map((seed, k) => toBytes(seed, `signers[${n}][${k}]`)),
    );
    const reader = this.operate(Operation.Invoke, (writer) => {
      writeChanges(writer, this.accounts);
      writer.raw(program);
      writer.list(metas, ({ address, signer, writable }) => writer.raw(address).bool(signer).bool(writable));
      writer.bytes(bytes).list(seeds, (list) => writer.list(list, (seed) => writer.bytes(seed)));
    });
    const returned = { programId: replies.address(reader), data: reader.bytes() };
    readAccounts(reader, (index, first, state) => {
      if (first === index) this.accounts[index]!.refresh(state);
    });
    return returned.data.length > 0 ? returned : undefined;
  }

  /** @internal Does something on behalf of this invocation. */
  operate(variant: number, write?: (writer: Writer) => void): Reader {
    this.assertRunning();
    const writer = new Writer().u8(variant);
    write?.(writer);
    return Reader.reply(addon.invocation(writer.finish()));
  }

  /** @internal */
  assertRunning(): void {
    if (current === this) return;
    throw new AsyncBpfError(ErrorCode.INVALID_ARGUMENT, 'the invocation is not running; use its context only while its program runs');
  }
}

interface AccountState {
  address: Uint8Array;
  isSigner: boolean;
  isWritable: boolean;
  executable: boolean;
  lamports: bigint;
  owner: Uint8Array;
  data: Uint8Array;
}

/**
 * An account of an instruction. What is changed here is checked when the function returns, and when it invokes another program, by the rules
 * of the runtime: what the program may not change makes the invocation fail.
 */
export class ProgramAccount {
  /** Whether it has signed. */
  readonly isSigner: boolean;
  /** Whether the program may change it. */
  readonly isWritable: boolean;
  /** Whether it is a program. */
  readonly executable: boolean;
  readonly #index: number;
  #before: AccountState;
  #lamports: bigint;
  #owner: Uint8Array;
  #data: Uint8Array | undefined;

  /** @internal */
  constructor(index: number, state: AccountState) {
    this.isSigner = state.isSigner;
    this.isWritable = state.isWritable;
    this.executable = state.executable;
    this.#index = index;
    this.#before = state;
    this.#lamports = state.lamports;
    this.#owner = state.owner;
  }

  /** Which account it is. */
  get address(): Address {
    return addressString(this.#before.address);
  }

  /** Its balance. An account with 0 lamports ceases to exist. */
  get lamports(): bigint {
    return this.#lamports;
  }

  /** Throws INVALID_ARGUMENT for what is no u64. */
  set lamports(lamports: U64Like) {
    this.#lamports = toU64(lamports, 'lamports');
  }

  /** The program that may change its data. */
  get owner(): Address {
    return addressString(this.#owner);
  }

  /** Throws INVALID_ARGUMENT for what is no address. */
  set owner(owner: AddressLike) {
    this.#owner = Uint8Array.from(toAddress(owner, 'owner'));
  }

  /** Its contents: to be written in place, or replaced by more or less of them. */
  get data(): Uint8Array {
    return (this.#data ??= this.#before.data.slice());
  }

  /** Throws INVALID_ARGUMENT for what is no Uint8Array. */
  set data(data: Uint8Array) {
    this.#data = toBytes(data, 'data');
  }

  /** @internal As a callback has it that a program creates. */
  meta(): AccountMeta {
    return { address: this.#before.address, signer: false, writable: this.isWritable };
  }

  /** @internal Writes what was changed, if anything was. */
  writeChange(): ((writer: Writer) => void) | undefined {
    const data = this.#data && Buffer.compare(this.#data, this.#before.data) !== 0 ? this.#data : undefined;
    const { lamports, owner } = this.#before;
    if (data === undefined && lamports === this.#lamports && Buffer.compare(owner, this.#owner) === 0) return undefined;
    return (writer) => {
      writer.u8(this.#index & 0xff).u8(this.#index >> 8);
      writer.u64(this.#lamports).raw(this.#owner);
      writer.option(data, (bytes) => writer.bytes(bytes));
    };
  }

  /** @internal Takes over what another program has left. */
  refresh(state: AccountState): void {
    this.#before = state;
    this.#lamports = state.lamports;
    this.#owner = state.owner;
    // Who holds the bytes sees them change, as on a chain; unless there are more or fewer.
    if (this.#data?.length === state.data.length) this.#data.set(state.data);
    else this.#data = undefined;
  }
}

function readAccounts(reader: Reader, each: (index: number, first: number, state: AccountState) => void): void {
  const count = reader.u32();
  for (let index = 0; index < count; index++) {
    const first = reader.u8() | (reader.u8() << 8);
    each(index, first, {
      address: reader.raw(32),
      isSigner: reader.bool(),
      isWritable: reader.bool(),
      executable: reader.bool(),
      lamports: reader.u64(),
      owner: reader.raw(32),
      data: reader.bytes(),
    });
  }
}

function writeChanges(writer: Writer, accounts: readonly ProgramAccount[]): void {
  const changes = [...new Set(accounts)].map((account) => account.writeChange()).filter((write) => write !== undefined);
  writer.list(changes, (write) => write(writer));
}

/** The struct of `sol_async_context`. */
function cause(bytes: Uint8Array): CallbackCause | undefined {
  if (bytes.length === 0) return undefined;
  const reader = new Reader(bytes);
  reader.u64(); // version
  const source = replies.source(Number(reader.u64()), reader.u64());
  const trigger = Number(reader.u64()) as WatcherTrigger;
  const priority = Number(reader.u64()) as Priority;
  reader.u64(); // attempt
  const dueSlot = reader.u64();
  reader.u64(); // slot
  const ticks = reader.u64();
  const account = replies.address(reader);
  const [oldValue, newValue, flags] = [reader.i64(), reader.i64(), Number(reader.u64())];
  return {
    source,
    priority,
    dueSlot,
    ticks,
    ...(source.kind === 'watcher' ? { trigger, account } : {}),
    ...(flags & 1 ? { oldValue } : {}),
    ...(flags & 2 ? { newValue } : {}),
  };
}

/** Where the calls of a running function go. */
class Invocation implements Channel {
  readonly #context: ProgramContext;

  constructor(context: ProgramContext) {
    this.#context = context;
  }

  call(variant: number, write: (writer: Writer) => void): { value: bigint; bytes: Uint8Array } {
    const reader = this.#context.operate(Operation.Call, (writer) => write(writer.u8(variant)));
    return { value: reader.u64(), bytes: reader.bytes() };
  }

  refuse(code: ErrorCode): void {
    this.#context.operate(Operation.Refuse, (writer) => writer.bool(code === ErrorCode.NULL_POINTER));
  }

  slot(): bigint {
    this.charge();
    return this.#context.slot;
  }

  charge(): void {
    this.#context.consume(SYSCALL_UNITS);
  }

  assertOpen(): void {
    this.#context.assertRunning();
  }
}
