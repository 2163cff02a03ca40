/**
 * The system calls, as a program makes them: arguments are what C passes, structs and data are in its memory. The checks come in order:
 * units, pointers, lengths, values, limits; the last three are those of timers, watchers, rings and tasks.
 */

import bs58 from 'bs58';
import { ErrorCode } from '../dist/index.js';
import type { WatcherTrigger } from '../dist/index.js';
import { rule } from './rules.js';
import type { Frame } from './invocation.js';
import { ModelError, refuse } from './limits.js';
import * as rings from './rings.js';
import type { Callback } from './state.js';
import { currentPriority, scheduleTask } from './tasks.js';
import * as timers from './timers.js';
import * as watchers from './watchers.js';

const CALL_UNITS = 100n;
const BYTES_PER_UNIT = 250n;
const MAX_STAGED_BYTES = 8n * 1024n * 1024n;
const CALL_BYTES = 256n;
const ACCOUNT_BYTES = 34n;
const CONTEXT_SIZE = 128n;
const KINDS = { invoke: 0, timer: 1, watcher: 2, task: 3 } as const;

const NORMAL = 1n;
const HIGH = 2n;
/** The arguments of a call, or the words of its struct, and zeros. */
type Words = [bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint];
const MAX_WORDS = 9;

const NO_PATTERN = new Uint8Array(0);

export interface Answer {
  /** What the call returned. */
  readonly value: bigint;
  /** What `sol_async_last_error` says after it. */
  readonly error: ErrorCode;
  readonly charge: bigint;
  /** What it wrote to its output. */
  readonly bytes: Uint8Array;
}

/** Calls whose result is a code; the others return an id or a length, and 0 when they are refused. */
const RETURN_CODE = new Set([
  'sol_timer_cancel',
  'sol_watcher_remove',
  'sol_watcher_set_min_slots',
  'sol_ring_buffer_push',
  'sol_ring_buffer_grant',
  'sol_ring_buffer_destroy',
]);

export class Calls {
  readonly #frame: Frame;
  /** Of this program alone: one that is invoked begins with none, and leaves the caller's as it was. */
  #lastError: ErrorCode = ErrorCode.SUCCESS;
  /** Bytes that the call takes as long as the invocation runs. */
  #takes = 0n;
  #output: Uint8Array = new Uint8Array(0);

  constructor(frame: Frame) {
    this.#frame = frame;
  }

  make(name: string, args: readonly bigint[]): Answer {
    const method = this.#calls[name];
    if (method === undefined) throw new TypeError(`no such call: ${name}`);
    const { transaction } = this.#frame;
    const before = transaction.charged;
    rule('calls.charge');
    transaction.charge(CALL_UNITS);
    this.#output = new Uint8Array(0);
    const answer = (value: bigint): Answer => ({
      value,
      error: this.#lastError,
      charge: transaction.charged - before,
      bytes: this.#output,
    });
    // These two tell nothing that could be refused, and are not remembered.
    if (name === 'sol_get_slot' && rule('calls.get-slot')) return answer(transaction.state.slot);
    if (name === 'sol_async_last_error' && rule('calls.last-error')) return answer(BigInt(this.#lastError));
    try {
      this.#takes = CALL_BYTES;
      const effect = method(...toWords(args));
      if (name !== 'sol_async_context') this.#checkStaged();
      const value = effect();
      this.#lastError = ErrorCode.SUCCESS;
      // Asking for the context neither creates, nor changes, nor reads anything.
      if (name !== 'sol_async_context') transaction.codes.push(ErrorCode.SUCCESS);
      return answer(value ?? 0n);
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      this.#lastError = error.code;
      transaction.codes.push(error.code);
      return answer(RETURN_CODE.has(name) && rule('calls.code') ? BigInt(error.code) : 0n);
    }
  }

  /** Each checks its pointers and gives what comes after that. */
  readonly #calls: Readonly<Record<string, (...words: Words) => () => bigint | void>> = {
    sol_get_slot: () => () => {},
    sol_async_last_error: () => () => {},
    sol_async_context: (out, outLen) => this.#context(out, outLen),

    sol_timer_create: (slot, data, len, budget) => this.#timer(slot, undefined, data, len, budget),
    sol_timer_create_periodic: (slot, period, data, len, budget) => this.#timer(slot, period, data, len, budget),
    sol_timer_create_with: (params) => this.#timerWith(...this.#struct(params, 9)),
    sol_timer_cancel: (id) => () => timers.cancelTimer(this.#state, this.#caller, id),

    sol_watcher_create: (pubkey, type, data, len, budget) => this.#watcherOnChange(pubkey, type, data, len, budget),
    sol_watcher_create_threshold: (...words) => this.#watcherOnThreshold(...words),
    sol_watcher_create_threshold_params: (params) => this.#watcherOnThreshold(...this.#struct(params, 7)),
    sol_watcher_create_pattern: (...words) => this.#watcherOnPattern(...words),
    sol_watcher_create_pattern_params: (params) => this.#watcherOnPattern(...this.#struct(params, 7)),
    sol_watcher_set_min_slots: (id, slots) => () => watchers.setMinSlots(this.#state, this.#caller, id, slots),
    sol_watcher_remove: (id) => () => watchers.removeWatcher(this.#state, this.#caller, id),

    sol_ring_buffer_create: (size) => () => rings.createRing(this.#state, this.#caller, this.#frame.programId, size, 'program'),
    sol_ring_buffer_push: (id, at, len) => {
      const data = this.#data(at, len);
      return () => rings.push(this.#state, this.#caller, id, data);
    },
    sol_ring_buffer_pop: (id, out, outLen) => this.#take(rings.pop, id, out, outLen),
    sol_ring_buffer_peek: (id, out, outLen) => this.#take(rings.peek, id, out, outLen),
    sol_ring_buffer_grant: (id, pubkey, rights) => {
      const programId = this.#address(pubkey);
      return () => rings.grant(this.#state, this.#caller, id, programId, rights);
    },
    sol_ring_buffer_destroy: (id) => () => rings.destroy(this.#state, this.#caller, id),

    sol_task_schedule: (...words) => this.#task(...words),
    sol_task_schedule_params: (params) => this.#task(...this.#struct(params, 5)),
  };

  get #state() {
    return this.#frame.transaction.state;
  }

  get #caller() {
    return this.#frame.caller;
  }

  // ---- Units and pointers ----

  #charge(...lengths: bigint[]): void {
    this.#frame.transaction.charge(lengths.reduce((sum, length) => sum + length) / BYTES_PER_UNIT);
  }

  #check(address: bigint, length: bigint, write = false): void {
    if (length === 0n && rule('calls.null-data')) return;
    if (address === 0n && rule('calls.null-pointer')) refuse('NULL_POINTER');
    this.#frame.memory.check(address, length, write);
  }

  #bytes(address: bigint, length: bigint): Uint8Array {
    this.#check(address, length);
    return this.#frame.memory.read(address, length);
  }

  /** Bytes of any length: they are charged before they are looked at. */
  #data(address: bigint, length: bigint): Uint8Array {
    this.#charge(length);
    return this.#staged(this.#bytes(address, length));
  }

  #staged(bytes: Uint8Array): Uint8Array {
    this.#takes += BigInt(bytes.length);
    return bytes;
  }

  #checkStaged(): void {
    const { transaction } = this.#frame;
    const staged = transaction.stagedBytes + this.#takes;
    if (staged > MAX_STAGED_BYTES && rule('calls.staged-bytes')) refuse('QUEUE_FULL');
    transaction.stagedBytes = staged;
  }

  #address(address: bigint): string {
    return bs58.encode(this.#bytes(address, 32n));
  }

  #struct(address: bigint, words: number): Words {
    const { buffer } = this.#bytes(address, BigInt(words * 8));
    return toWords([...new BigUint64Array(buffer as ArrayBuffer)]);
  }

  #callback(data: Uint8Array, computeBudget: bigint): Callback {
    const accounts = this.#frame.accounts.map(({ address, isWritable }) => ({ address, isSigner: false, isWritable }));
    this.#takes += ACCOUNT_BYTES * BigInt(accounts.length);
    return { programId: this.#frame.programId, data, accounts, computeBudget };
  }

  // ---- Context ----

  #context(out: bigint, outLen: bigint): () => bigint {
    this.#check(out, outLen, true);
    return () => this.#writeContext(out, outLen);
  }

  #writeContext(out: bigint, outLen: bigint): bigint {
    const { task } = this.#frame;
    if (task === undefined) {
      rule('context.elsewhere');
      return 0n;
    }
    if (outLen < CONTEXT_SIZE && rule('context.too-small')) refuse('OUTPUT_TOO_SMALL');
    const { source, due } = task;
    rule('context.callback');
    const { account, trigger = 0, oldValue, newValue } = due.watched ?? {};
    const bytes = new Uint8Array(Number(CONTEXT_SIZE));
    const words = new BigUint64Array(bytes.buffer);
    words.set([1n, BigInt(KINDS[source.kind]), source.id, BigInt(trigger), BigInt(currentPriority(this.#state, task)), 1n]);
    words.set([due.slot, this.#state.slot, due.ticks], 6);
    if (account !== undefined && rule('context.watcher')) bytes.set(bs58.decode(account), 72);
    words.set([BigInt.asUintN(64, oldValue ?? 0n), BigInt.asUintN(64, newValue ?? 0n)], 13);
    words[15] = (oldValue === undefined ? 0n : 1n) + (newValue === undefined ? 0n : 2n);
    this.#write(out, bytes);
    return CONTEXT_SIZE;
  }

  #write(out: bigint, bytes: Uint8Array): void {
    this.#frame.memory.write(out, bytes);
    this.#output = bytes;
  }

  // ---- Timers, watchers, rings, tasks ----

  #timer(triggerSlot: bigint, periodSlots: bigint | undefined, data: bigint, dataLen: bigint, budget: bigint): () => bigint {
    const callback = this.#callback(this.#data(data, dataLen), budget);
    const params = { callback, triggerSlot, periodSlots, catchUp: timers.ONCE, maxTicks: 0n, priority: NORMAL };
    return () => timers.createTimer(this.#state, this.#caller, params);
  }

  #timerWith(...[triggerSlot, period, deadline, catchUp, maxTicks, priority, data, dataLen, budget]: Words): () => bigint {
    const callback = this.#callback(this.#data(data, dataLen), budget);
    return () =>
      timers.createTimer(this.#state, this.#caller, {
        callback,
        triggerSlot,
        periodSlots: orNone(period),
        deadlineSlot: orNone(deadline),
        catchUp: catchUp,
        maxTicks: maxTicks,
        priority: priority,
      });
  }

  #watcherOnChange(pubkey: bigint, type: bigint, data: bigint, dataLen: bigint, budget: bigint): () => bigint {
    this.#charge(dataLen);
    const account = this.#address(pubkey);
    const isKnown = type <= BigInt(watchers.OWNER_CHANGE) || !rule('watchers.create', 'type');
    return this.#watcher(account, isKnown, { type: Number(type) as WatcherTrigger, offset: 0n }, data, dataLen, budget);
  }

  #watcherOnThreshold(...[pubkey, type, offset, threshold, data, dataLen, budget]: Words): () => bigint {
    this.#charge(dataLen);
    const account = this.#address(pubkey);
    const isKnown = watchers.isThreshold(Number(type)) || !rule('watchers.create-threshold');
    const trigger = { type: Number(type) as WatcherTrigger, offset: offset, threshold: BigInt.asIntN(64, threshold) };
    return this.#watcher(account, isKnown, trigger, data, dataLen, budget);
  }

  #watcherOnPattern(...[pubkey, offset, patternAt, patternLen, data, dataLen, budget]: Words): () => bigint {
    this.#charge(patternLen, dataLen);
    const account = this.#address(pubkey);
    const pattern = this.#staged(this.#bytes(patternAt, patternLen));
    return this.#watcher(account, true, { type: watchers.PATTERN_MATCH, offset: offset, pattern }, data, dataLen, budget);
  }

  #watcher(
    account: string,
    isKnown: boolean,
    trigger: Pick<watchers.Trigger, 'type' | 'offset'> & Partial<watchers.Trigger>,
    data: bigint,
    dataLen: bigint,
    budget: bigint,
  ): () => bigint {
    const callback = this.#callback(this.#staged(this.#bytes(data, dataLen)), budget);
    const complete = { threshold: 0n, pattern: NO_PATTERN, ...trigger };
    if (!isKnown) return () => refuse('INVALID_ARGUMENT');
    return () => watchers.createWatcher(this.#state, this.#caller, { callback, account, trigger: complete, priority: HIGH, minSlots: 1n });
  }

  #take(take: typeof rings.pop, id: bigint, out: bigint, outLen: bigint): () => bigint {
    this.#check(out, outLen, true);
    return () => {
      const bytes = take(this.#state, this.#caller, id, outLen);
      if (bytes === undefined) return 0n;
      this.#charge(BigInt(bytes.length));
      this.#write(out, bytes);
      return BigInt(bytes.length);
    };
  }

  #task(...[data, dataLen, budget, priority, deadline]: Words): () => bigint {
    const callback = this.#callback(this.#data(data, dataLen), budget);
    return () => scheduleTask(this.#state, this.#caller, { callback, priority: priority, deadlineSlot: orNone(deadline) });
  }
}

function toWords(args: readonly bigint[]): Words {
  return Array.from({ length: MAX_WORDS }, (_, index) => BigInt.asUintN(64, args[index] ?? 0n)) as Words;
}

/** In structs, 0 stands for what is not there. */
const orNone = (value: bigint): bigint | undefined => (value === 0n ? undefined : value);
