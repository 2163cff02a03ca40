import { availableParallelism } from 'node:os';
import { AccountBatch } from './account-batch.js';
import {
  ACCOUNT_KEYS,
  ACCOUNT_NAMES,
  ACCOUNT_UPDATE_KEYS,
  accountNames,
  toAccount,
  toAccountUpdate,
  type AccountNames,
} from './accounts.js';
import {
  checkU64,
  ItemNames,
  toAddress,
  toArray,
  toBoolean,
  toBytes,
  toCount,
  toI64,
  toObject,
  toU64,
  type AddressLike,
  type U64Like,
} from './arguments.js';
import { CALLBACK_KEYS, defaultBudget, toCallback } from './callbacks.js';
import { Connection } from './connection.js';
import { DEFAULT_LIMITS } from './constants.js';
import { invalidArgument } from './errors.js';
import { Listeners } from './events.js';
import * as replies from './replies.js';
import { Rings } from './rings.js';
import { Slots } from './slots.js';
import { Syscalls } from './syscalls.js';
import { Tasks } from './tasks.js';
import { Timers } from './timers.js';
import type {
  AccountBatchOptions,
  AccountInfo,
  AccountInit,
  AccountUpdate,
  CallbackOptions,
  EngineEvents,
  EngineOptions,
  EventOptions,
  Outcome,
  Program,
  ProgramOptions,
  SlotOptions,
  SlotReport,
  Stats,
} from './types.js';
import { Watchers } from './watchers.js';
import { Request, Writer, type WireAccount } from './wire.js';

const MAX_WORKERS = 256;
const SLOT_KEYS = ['unixTimestamp'];
const OPTIONS = ['workers', 'executor', 'logs', 'startSlot', 'startTimestamp', 'limits', 'accounts'];

/**
 * Solana programs that act on their own.
 *
 * An engine holds accounts and programs; programs arm timers and watchers, and `processSlot` runs their callbacks in the Solana
 * virtual machine. Given the same inputs, every engine gives the same outcomes and the same state hashes.
 *
 * What the host calls costs no compute units; what programs call is charged as `sol_async.h` says. While a slot is being processed, methods
 * throw ENGINE_BUSY, except those that {@link processSlotAsync} names. Calls that are refused throw {@link AsyncBpfError} and change nothing. Programs that fail are outcomes. After `close`, every call
 * throws SHUTDOWN.
 */
export class AsyncBpfEngine {
  /** Callbacks at a future slot, once or periodically. */
  readonly timers: Timers;
  /** Callbacks when an account changes in a stated way. */
  readonly watchers: Watchers;
  /** Queues of byte entries between programs, and between programs and the host. */
  readonly rings: Rings;
  /** Invocations for the next slot. */
  readonly tasks: Tasks;
  readonly #connection: Connection;
  readonly #listeners: Listeners;
  readonly #slots: Slots;
  /** Slots that were asked for and are not over. */
  readonly #elsewhere = new Set<Promise<SlotReport>>();

  /** Throws INVALID_ARGUMENT for an unknown option, or a limit outside its hard range. */
  constructor(options: EngineOptions = {}) {
    toObject(options, 'options', OPTIONS);
    const { workers = Math.max(1, availableParallelism() - 1), executor = 'lean', logs = true, startSlot = 0 } = options;
    const { startTimestamp = 0, limits = {}, accounts = [] } = options;
    toCount(workers, 'workers', 1, MAX_WORKERS);
    if (executor !== 'lean' && executor !== 'stock') throw invalidArgument('executor', executor, "'lean' or 'stock'");
    toBoolean(logs, 'logs');
    const slot = toU64(startSlot, 'startSlot');
    const timestamp = toI64(startTimestamp, 'startTimestamp');
    const entries = Object.entries(toObject(limits, 'limits', Object.keys(DEFAULT_LIMITS))).filter(([, value]) => value !== undefined);
    const initial = convertAll(accounts, 'accounts', ACCOUNT_KEYS, (account, names) => ({
      address: toAddress(account.address, names.address),
      account: toAccount(account, names),
    }));
    const open = new Writer()
      .u32(workers)
      .bool(executor === 'stock')
      .bool(logs)
      .u64(slot)
      .i64(timestamp);
    open.list(entries, ([key, value]) => open.string(key).u64(toU64(value, key)));
    this.#connection = new Connection(open, defaultBudget(Object.fromEntries(entries)));
    this.timers = new Timers(this.#connection);
    this.watchers = new Watchers(this.#connection);
    this.rings = new Rings(this.#connection);
    this.tasks = new Tasks(this.#connection);
    this.#listeners = new Listeners(this.#connection);
    this.#slots = new Slots(this.#connection);
    try {
      for (const { address, account } of initial) this.#setAccount(address, account);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Verifies and compiles a program, or replaces it. Its accounts are those of the upgradeable loader, without an upgrade authority.
   *
   * A program may also be a JavaScript function, which is called with a {@link ProgramContext} for each invocation. It is staged, charged and
   * ordered as other programs, at its turn and on this thread. Two engines with equal state hashes had functions of the same `version`.
   *
   * Throws INVALID_ARGUMENT, with the reason, for a file that is not a program or calls an unknown syscall.
   *
   * @see docs/conformance.md#addProgram
   */
  addProgram(address: AddressLike, elf: Uint8Array | Program, options?: ProgramOptions): void {
    const program = toAddress(address, 'address');
    if (typeof elf === 'function') {
      const { version = '' } = toObject(options ?? {}, 'options', ['version']);
      if (typeof version !== 'string') throw invalidArgument('version', version, 'a string');
      this.#connection.request(Writer.request(Request.AddHostProgram).raw(program).string(version));
      this.#connection.programs.set(program, elf);
      return;
    }
    if (options !== undefined) throw invalidArgument('options', options, 'left out for a file, whose contents say which program it is');
    this.#connection.request(Writer.request(Request.AddProgram).raw(program).bytes(toBytes(elf, 'elf')));
    this.#connection.programs.delete(program);
  }

  /**
   * Removes a program and its accounts. What it had armed stays, and fails with UNKNOWN_PROGRAM when due. Throws UNKNOWN_PROGRAM.
   *
   * @see docs/conformance.md#removeProgram
   */
  removeProgram(address: AddressLike): void {
    const program = toAddress(address, 'address');
    this.#connection.request(Writer.request(Request.RemoveProgram).raw(program));
    this.#connection.programs.delete(program);
  }

  /**
   * Replaces an account now; 0 lamports removes it. Watchers see the change in the next slot. Throws INVALID_ARGUMENT.
   *
   * @see docs/conformance.md#setAccount
   */
  setAccount(address: AddressLike, account: AccountInit): void {
    this.#setAccount(toAddress(address, 'address'), toAccount(toObject(account, 'account', ACCOUNT_KEYS), ACCOUNT_NAMES));
  }

  /**
   * An account as programs see it, sysvars included; `undefined` when it does not exist.
   *
   * @see docs/conformance.md#getAccount
   */
  getAccount(address: AddressLike): AccountInfo | undefined {
    const bytes = toAddress(address, 'address');
    return replies.account(this.#connection.request(Writer.request(Request.GetAccount).raw(bytes)), bytes);
  }

  /**
   * Hands in account states for the next slot: all or, when one is refused, none. Within a slot they coalesce into the state
   * before it and the last one. Throws INVALID_ARGUMENT.
   *
   * @see docs/conformance.md#updateAccounts
   */
  updateAccounts(updates: Iterable<AccountUpdate>): void {
    const all = convertAll(updates, 'updates', ACCOUNT_UPDATE_KEYS, toAccountUpdate);
    const request = Writer.request(Request.UpdateAccounts);
    request.list(all, ({ address, account, writeVersion }) => {
      request.raw(address).account(account);
      request.option(writeVersion, (version) => request.u64(version));
    });
    this.#connection.request(request);
  }

  /**
   * Account states in columns, for a host that hands in many of them slot after slot: nothing is converted or copied twice. Throws
   * INVALID_ARGUMENT.
   */
  accountBatch(options: AccountBatchOptions): AccountBatch {
    return new AccountBatch(this.#connection, toObject(options, 'options', ['capacity', 'dataLength', 'writeVersions']));
  }

  /**
   * Runs one instruction now, as the host, which may say who signed. What it changes is matched by watchers in the next slot.
   *
   * Throws UNKNOWN_PROGRAM, INVALID_ARGUMENT. A program that fails is an outcome.
   *
   * @see docs/conformance.md#invoke
   */
  invoke(options: CallbackOptions): Outcome {
    const callback = toCallback(toObject(options, 'options', CALLBACK_KEYS), this.#connection.defaultBudget);
    return replies.outcome(this.#connection.invoke(new Writer().callback(callback)));
  }

  /**
   * Processes one slot: fires timers, applies account updates, matches watchers, runs tasks within the slot's compute limit.
   *
   * `slot` is above the current one; slots may be skipped. Throws INVALID_SLOT.
   *
   * @see docs/conformance.md#processSlot
   */
  processSlot(slot: U64Like, options?: SlotOptions): SlotReport {
    const { report, outcomes } = this.#slots.process(checkU64(slot, 'slot'), toTimestamp(options));
    if (outcomes) this.tasks.settle(outcomes);
    this.#listeners.wake();
    return report;
  }

  /**
   * The same, on another thread, while JavaScript goes on. Programs that are JavaScript functions run in between, on this one.
   *
   * Until the promise is settled, `updateAccounts`, batches of accounts, `tasks.submit` and reading of ring buffers that the host reads are
   * accepted, and count for the next slot; further calls of this method wait for their turn; `slot` is still the one before; everything else
   * throws ENGINE_BUSY. `close` lets the slot come to its end: its promise resolves, those that wait reject with SHUTDOWN.
   *
   * Rejects with INVALID_SLOT, INVALID_ARGUMENT, SHUTDOWN.
   */
  async processSlotAsync(slot: U64Like, options?: SlotOptions): Promise<SlotReport> {
    const number = toU64(slot, 'slot');
    const timestamp = toTimestamp(options);
    const settled = this.#slots.processElsewhere(number, timestamp, (outcomes) => {
      if (outcomes) this.tasks.settle(outcomes);
      this.#listeners.wake();
    });
    this.#elsewhere.add(settled);
    try {
      return await settled;
    } finally {
      this.#elsewhere.delete(settled);
    }
  }

  /**
   * What happens in slots from now on, as an async iterable: each outcome, and after those of a slot the slot itself.
   *
   * Memory is bounded: a reader that falls behind by `capacity` bytes gets a `gap`, which says how many events it has missed. The stream
   * ends when `signal` aborts, when the loop over it is left, and, after what happened before, when the engine is closed. Until then the
   * engine writes it, whether somebody reads it or not: end one that is not wanted any more by `signal` or `return()`. Throws
   * INVALID_ARGUMENT.
   *
   * ```ts
   * for await (const event of engine.events({ signal: AbortSignal.timeout(10_000) })) {
   *   if (event.type === 'outcome' && event.status === 'failed') console.error(event.slot, event.error);
   * }
   * ```
   */
  events(options: EventOptions = {}): EngineEvents {
    return this.#listeners.listen(toObject(options, 'options', ['signal', 'capacity']));
  }

  /** The calls of on-chain programs, with their names, arguments and codes, made on behalf of a program. */
  syscalls(programId: AddressLike): Syscalls {
    this.#connection.assertOpen();
    const program = Uint8Array.from(toAddress(programId, 'programId'));
    return new Syscalls(this.#connection.onBehalfOf(program), program, []);
  }

  /**
   * Counts.
   *
   * @see docs/conformance.md#stats
   */
  stats(): Stats {
    return replies.stats(this.#connection.request(Writer.request(Request.Stats)));
  }

  /** The slot that was processed last, or the start slot. */
  get slot(): bigint {
    return this.#connection.request(Writer.request(Request.Slot)).u64();
  }

  /** A digest, in hex, of the state and of the path to it: everything that affects what the engine will do. */
  stateHash(): string {
    return replies.hex(this.#connection.request(Writer.request(Request.StateHash)));
  }

  /**
   * Takes no new work from now on: whatever creates something fails with SHUTDOWN. What is there runs on.
   *
   * @see docs/conformance.md#drain
   */
  drain(): void {
    this.#connection.request(Writer.request(Request.Drain));
  }

  /**
   * Frees the engine. Tasks that did not run reject with SHUTDOWN. Closing again does nothing. A slot that another thread processes comes to
   * its end, and is waited for by `await using` or `engine[Symbol.asyncDispose]()`.
   */
  close(): void {
    this.#connection.close(() => {
      this.#listeners.close();
      this.rings.close();
      this.tasks.close();
    });
  }

  /** Does the same, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Does the same, and waits until the slots are over that were under way, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await Promise.allSettled(this.#elsewhere);
  }

  #setAccount(address: Uint8Array, account: WireAccount): void {
    this.#connection.request(Writer.request(Request.SetAccount).raw(address).account(account));
  }
}

function toTimestamp(options: SlotOptions | undefined): bigint | undefined {
  const unixTimestamp = options === undefined ? undefined : toObject(options, 'options', SLOT_KEYS).unixTimestamp;
  return unixTimestamp === undefined ? undefined : toI64(unixTimestamp, 'unixTimestamp');
}

/** Converts all items of a list, or throws what is wrong with one. */
function convertAll<T extends object, R>(
  items: Iterable<T>,
  list: string,
  keys: readonly string[],
  convert: (item: T, names: AccountNames) => R,
): R[] {
  const place = new ItemNames(list);
  const names = accountNames((member) => place.member(member));
  return toArray(items, list).map((item, index) => {
    place.index = index;
    return convert(toObject(item, place.item, keys), names);
  });
}
