/** One invocation: a program runs on a copy of the state, and may invoke others. */

import {
  ABSENT,
  checkBalance,
  checkRent,
  Failure,
  lamportsOf,
  isDataForbidden,
  refresh,
  takeOver,
  views,
  type AccountView,
} from './accounts.js';
import { rule } from './rules.js';
import { Calls, type Answer } from './calls.js';
import type { Clock } from './clock.js';
import { Memory } from './memory.js';
import { copy, firstId, type Callback, type Caller, type Meta, type State } from './state.js';
import type { Task } from './tasks.js';

/** A program of the model. It returns when it succeeds, and throws what `fail` throws when it does not. */
export type Program = (invocation: Frame) => void;

/** What an invocation did, or why it failed. `state` is the copy on which it worked. */
export interface Execution {
  readonly state: State;
  readonly failure?: Failure;
  /** As the program stated; `undefined` when it did not. */
  readonly units?: bigint;
  /** What it has used at least: what its calls were charged, and what those that it invoked stated. */
  readonly charged: bigint;
  readonly codes: readonly number[];
  readonly returnData: Uint8Array;
}

/** Programs that run at the same time: one that nobody invoked, and 8 below it. */
const MAX_DEPTH = 9;
const MAX_RETURN_DATA = 1024;
export const MAX_INSTRUCTION_DATA = 10 * 1024;
export const MAX_INSTRUCTION_ACCOUNTS = 255;

/** What the frames of one invocation share. */
export class Transaction {
  readonly codes: number[] = [];
  readonly stack: string[] = [];
  returnData = new Uint8Array(0);
  charged = 0n;
  stagedBytes = 0n;
  units: bigint | undefined;
  #created = 0n;

  constructor(
    readonly state: State,
    readonly budget: bigint,
    readonly sequence: bigint,
    readonly clock: Clock,
  ) {}

  /** Compute units beside those of calls are not known; so this notices less than the real meter, but never too early. */
  charge(units: bigint): void {
    this.charged += units;
    if (this.charged > this.budget && rule('calls.staged-budget', 'calls')) throw new Failure('out of compute units', undefined, true);
  }

  newId(): bigint {
    this.#created += 1n;
    return firstId(this.sequence) + this.#created;
  }
}

/** A running program: what it is given, and what it can do. */
export class Frame {
  readonly accounts: readonly AccountView[];
  readonly memory = new Memory();
  /** Where the instruction data is in memory. */
  readonly dataAddress: bigint;
  readonly caller: Caller;
  readonly #calls: Calls;
  readonly #chargedBefore: bigint;

  constructor(
    readonly transaction: Transaction,
    readonly programId: string,
    metas: readonly Meta[],
    readonly data: Uint8Array,
    /** Only for a callback, and only at the top level. */
    readonly task?: Task,
  ) {
    const { accounts, programs } = transaction.state;
    this.accounts = views(metas, accounts, programs);
    this.dataAddress = this.memory.place(data);
    this.caller = { programId, newId: () => transaction.newId() };
    this.#calls = new Calls(this);
    this.#chargedBefore = transaction.charged;
  }

  get clock(): Clock {
    return this.transaction.clock;
  }

  /** What the program that was invoked last has returned. */
  get returnData(): Uint8Array {
    return this.transaction.returnData;
  }

  /** Makes a system call, with the arguments of its C signature. */
  call(name: string, ...args: readonly bigint[]): Answer {
    return this.#calls.make(name, args);
  }

  setReturnData(bytes: Uint8Array): void {
    if (bytes.length > MAX_RETURN_DATA) throw new Failure('too much return data');
    this.transaction.returnData = bytes.slice();
  }

  /** States how many compute units the program uses in total, with what it invoked. Less than it has used already says nothing. */
  use(units: bigint): void {
    const { transaction } = this;
    const total = this.#chargedBefore + units;
    // Each program that waits for this one has used something, too.
    const waiting = BigInt(transaction.stack.length - 1);
    if (total + waiting > transaction.budget && rule('callbacks.budget', 'units')) this.loop();
    if (total < transaction.charged) return;
    transaction.charged = total;
    if (waiting === 0n) transaction.units = total;
  }

  /** Uses up the budget. */
  loop(): never {
    rule('callbacks.budget');
    throw new Failure('out of compute units', undefined, true);
  }

  fail(customCode: number): never {
    throw new Failure('custom program error', customCode);
  }

  /** Invokes a program with some of these accounts. */
  invoke(programId: string, metas: readonly Meta[], data: Uint8Array): void {
    const { state, stack } = this.transaction;
    if (data.length > MAX_INSTRUCTION_DATA || metas.length > MAX_INSTRUCTION_ACCOUNTS) throw new Failure('instruction too large');
    for (const meta of metas) {
      const own = this.accounts.find(({ address }) => address === meta.address);
      if (own === undefined) throw new Failure('missing account');
      if ((meta.isSigner && !own.isSigner) || (meta.isWritable && !own.isWritable)) throw new Failure('privilege escalation');
    }
    if (!state.programs.has(programId)) throw new Failure('not a program');
    if (stack.includes(programId) && stack.at(-1) !== programId) throw new Failure('reentrancy');
    if (stack.length >= MAX_DEPTH) throw new Failure('call depth');

    // The callee sees what the caller has changed so far in the accounts that it passes on; the rest is taken over later.
    const before = this.#lamports;
    const passed = [...new Set(this.accounts)].filter(({ address }) => metas.some((meta) => meta.address === address));
    const forbidden = new Set(passed.filter((view) => isDataForbidden(view, this.programId, state.accounts)));
    for (const view of passed) takeOver(view, this.programId, state.accounts, !forbidden.has(view));
    checkBalance(before, this.#lamports);
    new Frame(this.transaction, programId, metas, data).run();
    for (const view of passed) refresh(view, state.accounts, !forbidden.has(view));
  }

  run(): void {
    const { state, stack } = this.transaction;
    const before = this.#lamports;
    this.transaction.returnData = new Uint8Array(0);
    stack.push(this.programId);
    state.programs.get(this.programId)!(this);
    for (const view of new Set(this.accounts)) takeOver(view, this.programId, state.accounts);
    checkBalance(before, this.#lamports);
    stack.pop();
  }

  get #lamports(): bigint {
    return lamportsOf(this.accounts, this.transaction.state.accounts);
  }
}

/** Runs a callback on a copy of the state. */
export function execute(original: State, callback: Callback, sequence: bigint, clock: Clock, task?: Task): Execution {
  const state = copy(original);
  const transaction = new Transaction(state, callback.computeBudget, sequence, clock);
  const end = (failure?: Failure): Execution => {
    const { codes, charged, returnData } = transaction;
    return { state, failure, units: failure?.wholeBudget ? callback.computeBudget : transaction.units, charged, codes, returnData };
  };
  try {
    new Frame(transaction, callback.programId, callback.accounts, callback.data, task).run();
    for (const { address } of callback.accounts) {
      const after = state.accounts.get(address) ?? ABSENT;
      checkRent(address, original.accounts.get(address) ?? ABSENT, after);
      if (after.lamports === 0n && state.accounts.delete(address)) rule('callbacks.gone');
    }
    return end();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return end(error);
  }
}
