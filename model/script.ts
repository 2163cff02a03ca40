/**
 * The twin of `programs/conformance`: a program that makes the calls that its instruction data lists. The format, the answers and the custom
 * errors are described at the top of `conformance.c`.
 */

import { ErrorCode } from '../dist/index.js';
import { Failure, mayChangeData, SPARE_DATA, type AccountView } from './accounts.js';
import type { Frame } from './invocation.js';
import { HEAP } from './memory.js';

const TRUNCATED = 1;
const UNKNOWN_OPCODE = 2;
const UNKNOWN_KIND = 3;
const RETURN_DATA_FULL = 4;
const ACCOUNT_INDEX = 5;
const TOO_MANY_ACCOUNTS = 6;
const REQUESTED = 7;

const FLAG_FAIL = 1;
const FLAG_LOOP = 2;
const FLAG_UNITS = 4;

const MAX_ACCOUNTS = 128;
const MAX_RETURN_DATA = 1024;
const SCRATCH = HEAP + 16384n;
const FIRST_REFERENCE = 0xffff_ffff_ffff_ff00n;

/** By opcode. Arguments: n number, i id, b bytes as address and length, a bytes as address alone; `+` answers with the output, too. */
const CALLS: Readonly<Record<number, [name: string, args: string]>> = {
  1: ['sol_timer_create', 'nbn'],
  2: ['sol_timer_create_periodic', 'nnbn'],
  3: ['sol_timer_create_with', 'nnnnnnbn'],
  4: ['sol_timer_cancel', 'i'],
  5: ['sol_watcher_create', 'anbn'],
  6: ['sol_watcher_create_threshold', 'annnbn'],
  7: ['sol_watcher_create_pattern', 'anbbn'],
  8: ['sol_watcher_set_min_slots', 'in'],
  9: ['sol_watcher_remove', 'i'],
  10: ['sol_ring_buffer_create', 'n'],
  11: ['sol_ring_buffer_push', 'ib'],
  12: ['sol_ring_buffer_pop', 'ib+'],
  13: ['sol_ring_buffer_peek', 'ib+'],
  14: ['sol_ring_buffer_grant', 'ian'],
  15: ['sol_ring_buffer_destroy', 'i'],
  16: ['sol_task_schedule', 'bnnn'],
  17: ['sol_get_slot', ''],
  18: ['sol_async_last_error', ''],
  19: ['sol_async_context', 'b+'],
  20: ['sol_timer_create_with', 'a'],
  21: ['sol_watcher_create_threshold_params', 'a'],
  22: ['sol_watcher_create_pattern_params', 'a'],
  23: ['sol_task_schedule_params', 'a'],
  32: ['log', 'b'],
  33: ['write', 'nnb'],
  34: ['move', 'nnn'],
  35: ['invoke', 'nnnb'],
  36: ['resize', 'nn'],
};
const TIMER_CREATE_WITH = 3;

export function script(frame: Frame): void {
  new Script(frame).run();
}

class Script {
  readonly #frame: Frame;
  readonly #data: DataView;
  #at = 0;
  readonly #values: bigint[] = [];
  #answer: number[] = [];

  constructor(frame: Frame) {
    this.#frame = frame;
    this.#data = new DataView(frame.data.buffer, frame.data.byteOffset, frame.data.byteLength);
  }

  run(): void {
    const frame = this.#frame;
    if (frame.accounts.length > MAX_ACCOUNTS) frame.fail(TOO_MANY_ACCOUNTS);
    const flags = this.#u8();
    const units = flags & FLAG_UNITS ? this.#u64() : 0n;
    while (this.#at < this.#data.byteLength) this.#record();
    frame.setReturnData(Uint8Array.from(this.#answer));
    if (flags & FLAG_LOOP) frame.loop();
    if (units > 0n) frame.use(units);
    if (flags & FLAG_FAIL) frame.fail(REQUESTED);
  }

  #record(): void {
    const opcode = this.#u8();
    const [name, args] = CALLS[opcode] ?? this.#frame.fail(UNKNOWN_OPCODE);
    const words = this.#arguments(args);
    switch (name) {
      case 'log':
        return this.#log(words);
      case 'write':
        return this.#write(words);
      case 'move':
        return this.#move(words);
      case 'invoke':
        return this.#invoke(words);
      case 'resize':
        return this.#resize(words);
    }
    const registers = opcode === TIMER_CREATE_WITH ? [this.#frame.memory.place(toBytes(words))] : words;
    const { value, error, charge } = this.#frame.call(name, ...registers);
    // What the program asks for is the last error, which is not this call's after one that leaves it alone.
    this.#answerValue(value, BigInt(error) | (charge << 32n));
    if (args.endsWith('+')) this.#answerBytes(this.#frame.memory.read(words.at(-2)!, value));
  }

  // ---- Arguments ----

  #u8(): number {
    if (this.#at >= this.#data.byteLength) this.#frame.fail(TRUNCATED);
    return this.#data.getUint8(this.#at++);
  }

  #u64(): bigint {
    if (this.#data.byteLength - this.#at < 8) this.#frame.fail(TRUNCATED);
    this.#at += 8;
    return this.#data.getBigUint64(this.#at - 8, true);
  }

  #arguments(letters: string): bigint[] {
    const words: bigint[] = [];
    let scratch = SCRATCH;
    const bytes = (): [address: bigint, length: bigint] => {
      const kind = this.#u8();
      const length = this.#u64();
      switch (kind) {
        case 0:
          return [0n, length];
        case 1: {
          if (length > BigInt(this.#data.byteLength - this.#at)) this.#frame.fail(TRUNCATED);
          const address = this.#frame.dataAddress + BigInt(this.#at);
          this.#at += Number(length);
          return [address, length];
        }
        case 2:
          return [this.#u64(), length];
        case 3: {
          const address = scratch;
          scratch = BigInt.asUintN(64, scratch + length);
          return [address, length];
        }
        default:
          return this.#frame.fail(UNKNOWN_KIND);
      }
    };
    for (const letter of letters) {
      if (letter === 'n') words.push(this.#u64());
      if (letter === 'i') words.push(this.#id(this.#u64()));
      if (letter === 'a') words.push(bytes()[0]);
      if (letter === 'b') words.push(...bytes());
    }
    return words;
  }

  /** An id, or a reference to what an earlier record gave. */
  #id(word: bigint): bigint {
    return word < FIRST_REFERENCE ? word : (this.#values[Number(word - FIRST_REFERENCE)] ?? word);
  }

  // ---- Answers ----

  #answerValue(value: bigint, second: bigint): void {
    this.#values.push(value);
    this.#append(toBytes([value, second]));
  }

  #answerBytes(bytes: Uint8Array): void {
    this.#append(toBytes([BigInt(bytes.length)]));
    this.#append(bytes);
  }

  #append(bytes: Uint8Array): void {
    if (this.#answer.length + bytes.length > MAX_RETURN_DATA) this.#frame.fail(RETURN_DATA_FULL);
    this.#answer.push(...bytes);
  }

  // ---- What is not async-bpf's ----

  #log(words: readonly bigint[]): void {
    const [address, length] = words as [bigint, bigint];
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(this.#frame.memory.read(address, length));
    } catch (error) {
      throw error instanceof Failure ? error : new Failure('not text');
    }
    this.#answerValue(0n, 0n);
  }

  #write(words: readonly bigint[]): void {
    const [index, offset, address, length] = words as [bigint, bigint, bigint, bigint];
    const account = this.#frame.accounts[Number(index)] ?? this.#frame.fail(ACCOUNT_INDEX);
    if (length > 0n) this.#copy(account, offset, address, length);
    this.#answerValue(0n, 0n);
  }

  /** It is the machine that copies, byte by byte: what it may not do uses up the budget. */
  #copy(account: AccountView, offset: bigint, address: bigint, length: bigint): void {
    const [size, end] = [BigInt(account.data.length), offset + length];
    // Data that the program may not change is mapped read-only: writing what is there already fails, too.
    const isMapped = mayChangeData(account, this.#frame.programId) && end <= size + BigInt(SPARE_DATA);
    if (!isMapped || !this.#frame.memory.has(address, length)) throw new Failure('access violation', undefined, true);
    const memory = wholeMemory(account, Number(end));
    memory.set(this.#frame.memory.read(address, length), Number(offset));
    setLength(account, memory, account.data.length);
  }

  #resize(words: readonly bigint[]): void {
    const [index, length] = words as [bigint, bigint];
    const account = this.#frame.accounts[Number(index)] ?? this.#frame.fail(ACCOUNT_INDEX);
    const size = account.data.length;
    if (length > BigInt(size + SPARE_DATA)) throw new Failure('account data too long');
    setLength(account, wholeMemory(account, Number(length)), Number(length));
    this.#answerValue(0n, 0n);
  }

  #move(words: readonly bigint[]): void {
    const [from, to, amount] = words as [bigint, bigint, bigint];
    const payer = this.#frame.accounts[Number(from)] ?? this.#frame.fail(ACCOUNT_INDEX);
    const payee = this.#frame.accounts[Number(to)] ?? this.#frame.fail(ACCOUNT_INDEX);
    payer.lamports = BigInt.asUintN(64, payer.lamports - amount);
    payee.lamports = BigInt.asUintN(64, payee.lamports + amount);
    this.#answerValue(0n, 0n);
  }

  #invoke(words: readonly bigint[]): void {
    const [index, first, count, address, length] = words as [bigint, bigint, bigint, bigint, bigint];
    const { accounts, memory } = this.#frame;
    const program = accounts[Number(index)] ?? this.#frame.fail(ACCOUNT_INDEX);
    const total = BigInt(accounts.length);
    if (first > total || count > total - first) this.#frame.fail(ACCOUNT_INDEX);
    const metas = accounts.slice(Number(first), Number(first + count));
    this.#frame.invoke(program.address, metas, memory.read(address, length));
    this.#answerValue(0n, BigInt(ErrorCode.SUCCESS));
    // The program keeps what was returned at the beginning of its scratch buffer.
    memory.write(SCRATCH, this.#frame.returnData);
    this.#answerBytes(this.#frame.returnData);
  }
}

/** An account's data and what lies behind it, `length` bytes at least. */
function wholeMemory({ data, spare = new Uint8Array() }: AccountView, length: number): Uint8Array {
  const memory = new Uint8Array(Math.max(length, data.length + spare.length));
  memory.set(data);
  memory.set(spare, data.length);
  return memory;
}

function setLength(account: AccountView, memory: Uint8Array, length: number): void {
  account.data = memory.slice(0, length);
  account.spare = memory.slice(length);
}

function toBytes(words: readonly bigint[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(words).buffer);
}
