/** Writes the instruction data of programs/conformance and reads what it returns; the head of conformance.c defines both. */

import { AsyncBpfEngine, type AddressLike, type CallbackOptions, type ErrorCode, type Outcome } from '../../dist/index.js';
import { utf8 } from './bytes.js';

/** Opcode and arguments of each call: n a number, i an id, b bytes. "+" means that bytes come back. */
const CALLS = {
  sol_timer_create: [1, 'nbn'],
  sol_timer_create_periodic: [2, 'nnbn'],
  sol_timer_create_with: [3, 'nnnnnnbn'],
  sol_timer_cancel: [4, 'i'],
  sol_watcher_create: [5, 'bnbn'],
  sol_watcher_create_threshold: [6, 'bnnnbn'],
  sol_watcher_create_pattern: [7, 'bnbbn'],
  sol_watcher_set_min_slots: [8, 'in'],
  sol_watcher_remove: [9, 'i'],
  sol_ring_buffer_create: [10, 'n'],
  sol_ring_buffer_push: [11, 'ib'],
  sol_ring_buffer_pop: [12, 'ib+'],
  sol_ring_buffer_peek: [13, 'ib+'],
  sol_ring_buffer_grant: [14, 'ibn'],
  sol_ring_buffer_destroy: [15, 'i'],
  sol_task_schedule: [16, 'bnnn'],
  sol_get_slot: [17, ''],
  sol_async_last_error: [18, ''],
  sol_async_context: [19, 'b+'],
  timer_create_with_struct: [20, 'b'],
  watcher_create_threshold_struct: [21, 'b'],
  watcher_create_pattern_struct: [22, 'b'],
  task_schedule_struct: [23, 'b'],
  log: [32, 'b'],
  write_account: [33, 'nnb'],
  move_lamports: [34, 'nnn'],
  resize_account: [36, 'nn'],
  invoke: [35, 'nnnb+'],
} as const satisfies Record<string, readonly [number, string]>;

export type CallName = keyof typeof CALLS;

const NAMES = new Map(Object.entries(CALLS).map(([name, [opcode]]) => [opcode as number, name as CallName]));

/** Bytes that the call gets by address: none at address 0, any address, or room in the program's memory. */
export type Memory = { null: number | bigint } | { at: bigint; length: number | bigint } | { room: number | bigint };
export type Argument = number | bigint | Uint8Array | Memory;
export type Call = [CallName, ...Argument[]];

/** How the program ends after it made the calls. */
export const End = { SUCCEED: 0, FAIL: 1, LOOP: 2 } as const;

/** Stands for the value that call number `index` of the same script gave. */
export function resultOf(index: number): bigint {
  return 0xffffffffffffff00n + BigInt(index);
}

/** The flag that a number of units follows. */
const FLAG_UNITS = 4;

/**
 * Instruction data that makes these calls and then ends as asked. With `units` the whole invocation uses exactly so many compute units,
 * what it invokes included: the program idles away what is left before it ends. They must be no fewer than it needs, which is less than
 * 500, 50 for each account, and for each call its charge and 750; `write_account` and `invoke` need more the more they do.
 */
export function script(calls: readonly Call[], end: number = End.SUCCEED, units?: number | bigint): Uint8Array {
  const flags = units === undefined ? [Uint8Array.of(end)] : [Uint8Array.of(end | FLAG_UNITS), number(units)];
  return Buffer.concat([...flags, ...calls.map(encode)]);
}

/** What a script says: the arguments of {@link script}. */
export interface Script {
  end: number;
  units: bigint | undefined;
  /** Their numbers are bigints, of which negative ones are what they are as u64. */
  calls: Call[];
}

/** The inverse of {@link script}. Throws if the data is none, for instance because it was cut. */
export function readScript(data: Uint8Array): Script {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  let at = 0;
  const take = (length: number) => {
    if (length > bytes.length - at) throw new Error(`the script ends at ${bytes.length}, in what starts at ${at}`);
    return bytes.subarray(at, (at += length));
  };
  const byte = () => take(1)[0]!;
  const word = () => take(8).readBigUInt64LE();
  const memory = (): Uint8Array | Memory => {
    const kind = byte();
    const length = word();
    if (kind === 0) return { null: length };
    if (kind === 1) return Uint8Array.from(take(Number(length)));
    if (kind === 2) return { length, at: word() };
    if (kind === 3) return { room: length };
    throw new Error(`no bytes are of kind ${kind}`);
  };

  const flags = byte();
  const units = flags & FLAG_UNITS ? word() : undefined;
  const calls: Call[] = [];
  while (at < bytes.length) {
    const opcode = byte();
    const name = NAMES.get(opcode);
    if (name === undefined) throw new Error(`no call has opcode ${opcode}`);
    const kinds = CALLS[name][1].replace('+', '');
    calls.push([name, ...Array.from(kinds, (kind) => (kind === 'b' ? memory() : word()))]);
  }
  return { end: flags & ~FLAG_UNITS, units, calls };
}

function encode([name, ...args]: Call): Uint8Array {
  const [opcode, signature] = CALLS[name];
  const kinds = signature.replace('+', '');
  if (kinds.length !== args.length) throw new Error(`${name} takes ${kinds.length} arguments, not ${args.length}`);
  const parts = args.map((argument, index) => {
    if ((kinds[index] === 'b') !== (typeof argument === 'object')) throw new Error(`argument ${index} of ${name} is of the wrong kind`);
    return typeof argument === 'object' ? encodeBytes(argument) : number(argument);
  });
  return Buffer.concat([Uint8Array.of(opcode), ...parts]);
}

function encodeBytes(argument: Uint8Array | Memory): Uint8Array {
  if (argument instanceof Uint8Array) return Buffer.concat([Uint8Array.of(1), number(argument.length), argument]);
  if ('null' in argument) return Buffer.concat([Uint8Array.of(0), number(argument.null)]);
  if ('room' in argument) return Buffer.concat([Uint8Array.of(3), number(argument.room)]);
  return Buffer.concat([Uint8Array.of(2), number(argument.length), number(argument.at)]);
}

function number(value: number | bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return bytes;
}

export interface Reply {
  value: bigint;
  error: ErrorCode;
  /** Compute units that the call itself took, without any instruction of the program; 0n if it is not one of async-bpf. */
  charge: bigint;
  /** What the call wrote; only calls that write have it. */
  bytes?: Uint8Array;
}

export function decode(calls: readonly Call[], returnData: Uint8Array): Reply[] {
  const view = new DataView(returnData.buffer, returnData.byteOffset, returnData.byteLength);
  let at = 0;
  const next = () => view.getBigUint64((at += 8) - 8, true);
  const replies = calls.map(([name]): Reply => {
    const value = next();
    const word = next();
    const reply: Reply = { value, error: Number(word & 0xffff_ffffn) as ErrorCode, charge: word >> 32n };
    if (CALLS[name][1].endsWith('+')) {
      const length = Number(next());
      reply.bytes = returnData.slice(at, (at += length));
    }
    return reply;
  });
  if (at !== returnData.length) throw new Error(`the program returned ${returnData.length} bytes, of which the calls explain ${at}`);
  return replies;
}

/** Runs calls in one invocation of the program, now, and returns what each gave. The invocation must succeed. */
export function run(
  engine: AsyncBpfEngine,
  programId: AddressLike,
  calls: readonly Call[],
  options: Partial<CallbackOptions> = {},
): Reply[] {
  const outcome = engine.invoke({ programId, data: script(calls), computeBudget: 1_400_000, ...options });
  return repliesOf(calls, outcome);
}

export function repliesOf(calls: readonly Call[], outcome: Outcome | undefined): Reply[] {
  if (outcome?.status !== 'committed') throw new Error(`the program did not succeed: ${outcome?.error?.message ?? outcome?.status}`);
  return decode(calls, outcome.returnData ?? new Uint8Array(0));
}

/** Instruction data that makes the program log a text: shows which callback ran, and when. */
export function say(text: string): Uint8Array {
  return script([['log', utf8(text)]]);
}

/** The texts logged in these outcomes, in order. */
export function said(outcomes: readonly Outcome[]): string[] {
  return outcomes.flatMap(({ logs }) =>
    logs.filter((line) => line.startsWith('Program log: ')).map((line) => line.slice('Program log: '.length)),
  );
}

export interface Context {
  version: bigint;
  kind: bigint;
  sourceId: bigint;
  triggerType: bigint;
  priority: bigint;
  attempt: bigint;
  dueSlot: bigint;
  currentSlot: bigint;
  ticks: bigint;
  account: Uint8Array;
  oldValue: bigint | undefined;
  newValue: bigint | undefined;
}

/** The call that asks why the callback runs, and what its bytes mean. */
export const ASK_CONTEXT: Call = ['sol_async_context', { room: 128 }];

export function readContext(bytes: Uint8Array): Context {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (index: number) => view.getBigUint64(index * 8, true);
  const [version, kind, sourceId, triggerType, priority, attempt, dueSlot, currentSlot, ticks] = Array.from({ length: 9 }, (_, index) =>
    word(index),
  );
  const flags = word(15);
  return {
    ...({ version, kind, sourceId, triggerType, priority, attempt, dueSlot, currentSlot, ticks } as Context),
    account: bytes.slice(72, 104),
    oldValue: flags & 1n ? view.getBigInt64(104, true) : undefined,
    newValue: flags & 2n ? view.getBigInt64(112, true) : undefined,
  };
}

/** The context that a callback saw whose script was only {@link ASK_CONTEXT}. */
export function contextOf(outcome: Outcome | undefined): Context {
  return readContext(repliesOf([ASK_CONTEXT], outcome)[0]!.bytes!);
}
