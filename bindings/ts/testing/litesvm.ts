/** Accounts and programs from LiteSVM to an engine, and back. LiteSVM is known by what it can do: only who uses it has to install it. */

import { addressString, toAddress, toArray, type AddressLike } from '../arguments.js';
import { AsyncBpfEngine } from '../engine.js';
import { invalidArgument } from '../errors.js';
import type { Address } from '../types.js';
import { sameState, type AccountState } from './accounts.js';
import { label, SYSTEM_PROGRAM, type TestAddress } from './addresses.js';
import { World } from './world.js';

/** Lamports. They are a bigint, and `@solana/kit` takes them for its own `Lamports`. */
export type TestLamports = bigint & {
  /** Tells them from other numbers. */
  readonly '__brand:@solana/kit': 'Lamports';
};

/** An account as `@solana/kit` has it, encoded. */
export interface LiteSvmAccount {
  /** Which account it is. */
  readonly address: TestAddress;
  /** Its contents. */
  readonly data: Uint8Array;
  /** Whether it is a program. */
  readonly executable: boolean;
  /** Its balance. */
  readonly lamports: TestLamports;
  /** The program that may change it. */
  readonly programAddress: TestAddress;
  /** The length of the data. */
  readonly space: bigint;
}

/** What the bridge needs of LiteSVM: `LiteSVM` of the package `litesvm` has it, in versions that use `@solana/kit`. */
export interface LiteSvmLike {
  /** The account at an address. */
  getAccount(address: TestAddress): LiteSvmMissingAccount | LiteSvmFoundAccount;
  /** Replaces an account; removes it when it has no lamports. */
  setAccount(account: LiteSvmAccount): void;
  /** Adds a program, or replaces it. */
  addProgram(programId: TestAddress, programBytes: Uint8Array): void;
}

/** What {@link LiteSvmLike} says of an address without an account. */
export interface LiteSvmMissingAccount {
  /** That there is none. */
  readonly exists: false;
}

/** What {@link LiteSvmLike} says of an account. */
export interface LiteSvmFoundAccount {
  /** That there is one. */
  readonly exists: true;
  /** Its contents. */
  readonly data: ArrayLike<number>;
  /** Whether it is a program. */
  readonly executable: boolean;
  /** Its balance. */
  readonly lamports: bigint;
  /** The program that may change it. */
  readonly programAddress: string;
}

const NATIVE_LOADER = 'NativeLoader1111111111111111111111111111111';
const UPGRADEABLE_LOADER = 'BPFLoaderUpgradeab1e11111111111111111111111';
const SYSVAR_OWNER = 'Sysvar1111111111111111111111111111111111111';
/** Where the account of a program of the upgradeable loader says which account has its file, and where the file begins there. */
const PROGRAMDATA_ADDRESS = [4, 36] as const;
const PROGRAMDATA_HEADER = 45;

const METHODS = ['getAccount', 'setAccount', 'addProgram'] as const;

/** A runtime, whichever. */
interface Side {
  name: string;
  get(address: TestAddress): AccountState | undefined;
  set(address: TestAddress, state: AccountState | undefined): void;
  addProgram(address: TestAddress, elf: Uint8Array): void;
}

/** What both sides had when an account was copied last, to tell on which it has changed since. */
type Copied = Map<Address, AccountState | undefined>;
const copied = new WeakMap<LiteSvmLike, WeakMap<AsyncBpfEngine, Copied>>();

/**
 * Copies accounts from LiteSVM into an engine, and returns the addresses of those that were different there. Watchers see it in the next slot,
 * as with `engine.setAccount`. An account that LiteSVM does not have is removed; a program is added as a program. A world tracks what it gets.
 *
 * @param into An engine, or the world of one.
 * @param svm A `LiteSVM` of the package `litesvm`.
 * @param addresses Accounts, of programs as well; sysvars and built-in programs are each runtime's own. With a world they may be left out:
 *   then the tracked accounts are copied that changed in LiteSVM since they were copied last, in whichever direction.
 * @throws AsyncBpfError INVALID_ARGUMENT, having copied nothing, unless it is a program that the engine does not load: then without this and what
 *   follows it; SHUTDOWN.
 * @example
 * ```ts
 * fromLiteSvm(world, svm, [TOKEN_PROGRAM, mint, vault]);
 * ```
 */
export function fromLiteSvm(into: World, svm: LiteSvmLike, addresses?: Iterable<AddressLike>): TestAddress[];
export function fromLiteSvm(into: AsyncBpfEngine, svm: LiteSvmLike, addresses: Iterable<AddressLike>): TestAddress[];
export function fromLiteSvm(into: World | AsyncBpfEngine, svm: LiteSvmLike, addresses?: Iterable<AddressLike>): TestAddress[] {
  const engine = toEngine(into, 'into');
  const [from, to] = [liteSvmSide(svm), engineSide(engine)];
  const last = lastCopied(toSvm(svm), engine);
  // What was never copied is no business of LiteSVM's.
  const bases = (world: World) => world.tracked.filter((name) => last.has(name)).map((name) => [name, last.get(name)] as const);
  const names = addresses === undefined ? changed(from, to, last, bases(toWorld(into))) : toNames(addresses);
  const different = copy(from, to, names, last);
  if (into instanceof World) into.track(...names);
  return different;
}

/**
 * Copies accounts from an engine to LiteSVM, and returns the addresses of those that were different there: the next transaction sees what callbacks
 * did. An account that the engine does not have is removed; a program is added as a program. The clocks stay as they are:
 * `svm.warpToSlot(engine.slot)` sets LiteSVM's.
 *
 * @param from An engine, or the world of one.
 * @param svm A `LiteSVM` of the package `litesvm`.
 * @param addresses Accounts, of programs as well; sysvars and built-in programs are each runtime's own. With a world they may be left out:
 *   then the tracked accounts are copied that changed in the engine since they were copied last, in whichever direction, or else since they are tracked.
 * @throws AsyncBpfError INVALID_ARGUMENT, having copied nothing; without `addresses` also for an account that changed on both sides. SHUTDOWN.
 * @example
 * ```ts
 * fromLiteSvm(world, svm, [vault]);
 * world.advance();
 * toLiteSvm(world, svm);
 * ```
 */
export function toLiteSvm(from: World, svm: LiteSvmLike, addresses?: Iterable<AddressLike>): TestAddress[];
export function toLiteSvm(from: AsyncBpfEngine, svm: LiteSvmLike, addresses: Iterable<AddressLike>): TestAddress[];
export function toLiteSvm(from: World | AsyncBpfEngine, svm: LiteSvmLike, addresses?: Iterable<AddressLike>): TestAddress[] {
  const engine = toEngine(from, 'from');
  const [source, target] = [engineSide(engine), liteSvmSide(svm)];
  const last = lastCopied(toSvm(svm), engine);
  const bases = (world: World) => world.tracked.map((name) => [name, last.has(name) ? last.get(name) : world.trackedAs(name)] as const);
  const names = addresses === undefined ? changed(source, target, last, bases(toWorld(from))) : toNames(addresses);
  return copy(source, target, names, last);
}

function copy(from: Side, to: Side, names: TestAddress[], last: Copied): TestAddress[] {
  // All is looked at before anything is done.
  const steps = names.map((name, index) => ({ name, step: plan(from, to, name, `addresses[${index}]`) }));
  for (const { name, step } of steps) {
    step?.();
    last.set(name, from.get(name));
  }
  return steps.filter(({ step }) => step).map(({ name }) => name);
}

/** What makes the account at an address the same on the other side; nothing when it is. */
function plan(from: Side, to: Side, name: TestAddress, argument: string): (() => void) | undefined {
  const [state, present] = [from.get(name), to.get(name)];
  for (const [side, account] of [[from, state] as const, [to, present] as const]) {
    const isOwn = account?.owner === SYSVAR_OWNER || account?.owner === NATIVE_LOADER;
    if (isOwn) throw invalidArgument(argument, name, `an account that programs own: in ${side.name} it is a sysvar or a built-in program`);
    if (account?.owner === UPGRADEABLE_LOADER && !account.executable) {
      throw invalidArgument(
        argument,
        name,
        `the address of the program itself: in ${side.name} it is an account in which its file is kept`,
      );
    }
  }
  if (!state?.executable) {
    if (present?.executable)
      throw invalidArgument(argument, name, `no program in ${to.name}, since it is none in ${from.name}: remove it there`);
    return sameState(state, present) ? undefined : () => to.set(name, state);
  }
  const elf = elfOf(from, state);
  return present?.executable && Buffer.compare(elf, elfOf(to, present)) === 0 ? undefined : () => to.addProgram(name, elf);
}

/** The file of a program. */
function elfOf(side: Side, program: AccountState): Uint8Array {
  if (program.owner !== UPGRADEABLE_LOADER) return program.data;
  const address = addressString(program.data.subarray(...PROGRAMDATA_ADDRESS)) as TestAddress;
  return side.get(address)?.data.subarray(PROGRAMDATA_HEADER) ?? new Uint8Array(0);
}

/** The tracked accounts that are not any more in `from` what they were when they were copied last, or began to be tracked. */
function changed(from: Side, to: Side, last: Copied, bases: (readonly [Address, AccountState | undefined])[]): TestAddress[] {
  const accounts = bases
    .map(([name, base]) => ({ name: name as TestAddress, base }))
    .filter(({ name, base }) => !sameState(from.get(name), base));
  for (const { name, base } of accounts) {
    const there = to.get(name);
    const isNewThere = there === undefined && !last.has(name);
    if (!isNewThere && !sameState(there, base) && !sameState(there, from.get(name))) {
      const remedy = `those that ${from.name} is to overwrite in ${to.name} have to be named`;
      throw invalidArgument('addresses', undefined, `given, since ${label(name)} has changed on both sides: ${remedy}`);
    }
  }
  return accounts.map(({ name }) => name);
}

function lastCopied(svm: LiteSvmLike, engine: AsyncBpfEngine): Copied {
  let engines = copied.get(svm);
  if (!engines) copied.set(svm, (engines = new WeakMap()));
  let accounts = engines.get(engine);
  if (!accounts) engines.set(engine, (accounts = new Map()));
  return accounts;
}

function engineSide(engine: AsyncBpfEngine): Side {
  return {
    name: 'the engine',
    get(address) {
      const account = engine.getAccount(address);
      if (!account) return undefined;
      const { lamports, data, owner, executable } = account;
      return { lamports, data, owner, executable };
    },
    set: (address, state) => engine.setAccount(address, state ?? { lamports: 0 }),
    addProgram: (address, elf) => engine.addProgram(address, elf),
  };
}

function liteSvmSide(svm: LiteSvmLike): Side {
  return {
    name: 'LiteSVM',
    get(address) {
      const account = svm.getAccount(address);
      if (!account.exists) return undefined;
      const { data, lamports, programAddress, executable } = account;
      return { lamports, data: Uint8Array.from(data), owner: programAddress, executable };
    },
    set(address, state) {
      const { lamports, data, owner, executable } = state ?? NO_ACCOUNT;
      svm.setAccount({
        address,
        data,
        executable,
        lamports: lamports as TestLamports,
        programAddress: owner as TestAddress,
        space: BigInt(data.length),
      });
    },
    addProgram: (address, elf) => svm.addProgram(address, elf),
  };
}

/** LiteSVM removes what has no lamports. */
const NO_ACCOUNT: AccountState = { lamports: 0n, data: new Uint8Array(0), owner: SYSTEM_PROGRAM, executable: false };

function toSvm(svm: LiteSvmLike): LiteSvmLike {
  const isOne = typeof svm === 'object' && svm !== null && METHODS.every((name) => typeof svm[name] === 'function');
  if (!isOne) throw invalidArgument('svm', svm, 'a LiteSVM');
  return svm;
}

function toEngine(value: World | AsyncBpfEngine, argument: string): AsyncBpfEngine {
  if (value instanceof World) return value.engine;
  if (value instanceof AsyncBpfEngine) return value;
  throw invalidArgument(argument, value, 'an AsyncBpfEngine or a World');
}

function toWorld(value: World | AsyncBpfEngine): World {
  if (value instanceof World) return value;
  throw invalidArgument('addresses', undefined, 'given with an engine: only a World knows what has changed');
}

function toNames(addresses: Iterable<AddressLike>): TestAddress[] {
  const names = toArray(addresses, 'addresses').map((address, index) => addressString(toAddress(address, `addresses[${index}]`)));
  return [...new Set(names)] as TestAddress[];
}
