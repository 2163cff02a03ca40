/** programs/conformance as a JavaScript function: the same instruction data, the same calls, the same return data. */

import { type ProgramContext } from '../../dist/index.js';
import { addressBytesOf } from './addresses.js';
import { u64 } from './bytes.js';
import { End, readScript, type Argument, type Call, type Script } from './conformance.js';

/** Where ids of earlier records begin. */
const RESULTS = 0xffffffffffffff00n;
const FULL = 4;

export function scriptProgram(context: ProgramContext): number {
  const budget = context.remainingUnits;
  const program = new ScriptProgram(context);
  let request: Script;
  try {
    request = readScript(context.data);
  } catch {
    return 1;
  }
  for (const call of request.calls) {
    program.make(call);
    if (program.length > 1_024) return FULL;
  }
  context.setReturnData(Buffer.concat(program.answers));
  if (request.units !== undefined) {
    // What was charged before the function began, 150, is part of it.
    const used = budget - context.remainingUnits + 150n;
    if (used < request.units) context.consume(request.units - used);
  }
  if (request.end & End.LOOP) context.consume(context.remainingUnits + 1n);
  return request.end & End.FAIL ? 7 : 0;
}

class ScriptProgram {
  readonly answers: Uint8Array[] = [];
  length = 0;
  readonly #context: ProgramContext;
  readonly #values: bigint[] = [];

  constructor(context: ProgramContext) {
    this.#context = context;
  }

  make([name, ...args]: Call): void {
    const before = this.#context.remainingUnits;
    const { value, bytes } = this.#perform(name, args);
    const charge = before - this.#context.remainingUnits;
    const own = name.startsWith('sol_');
    // What asks for the error is charged as well, but is no part of the call.
    const error = own ? this.#context.syscalls.sol_async_last_error() : 0;
    this.#values.push(value);
    this.#answer(u64(value, own ? (charge << 32n) | BigInt(error) : 0n));
    if (bytes) this.#answer(u64(bytes.length), bytes);
  }

  #answer(...parts: Uint8Array[]): void {
    for (const part of parts) this.length += part.length;
    this.answers.push(...parts);
  }

  #perform(name: Call[0], args: Argument[]): { value: bigint; bytes?: Uint8Array } {
    const { accounts, syscalls, cause, slot } = this.#context;
    const values = args.map((argument) => this.#value(argument));
    const [first, second, third, fourth] = values as [never, never, never, Uint8Array];
    switch (name) {
      case 'sol_timer_create_with': {
        const [triggerSlot, periodSlots, deadlineSlot, catchUp, maxTicks, priority, data, computeBudget] = values as any[];
        return {
          value: syscalls.sol_timer_create_with({
            ...{ triggerSlot, periodSlots, deadlineSlot, catchUp },
            ...{ maxTicks, priority, data, computeBudget },
          }),
        };
      }
      case 'sol_watcher_create_threshold':
        // A word of the program is a signed number there.
        values[3] = BigInt.asIntN(64, BigInt(values[3] as bigint));
        return { value: syscalls[name](...(values as Parameters<typeof syscalls.sol_watcher_create_threshold>)) };
      case 'sol_ring_buffer_pop':
      case 'sol_ring_buffer_peek': {
        const output = second as Uint8Array | null;
        const value = BigInt(syscalls[name](first, output));
        return { value, bytes: output?.slice(0, Number(value)) ?? new Uint8Array(0) };
      }
      case 'sol_async_context': {
        this.#context.consume(100);
        if (!cause) return { value: 0n, bytes: new Uint8Array(0) };
        const { source, priority, dueSlot, ticks, trigger = 0, account, oldValue, newValue } = cause;
        const kind = ['invoke', 'timer', 'watcher', 'task'].indexOf(source.kind);
        const flags = (oldValue === undefined ? 0 : 1) | (newValue === undefined ? 0 : 2);
        const bytes = Buffer.concat([
          u64(1, kind, source.id, trigger, priority, 1, dueSlot, slot, ticks),
          account === undefined ? new Uint8Array(32) : addressBytesOf(account),
          u64(oldValue ?? 0, newValue ?? 0, flags),
        ]);
        return { value: 128n, bytes };
      }
      case 'log':
        this.#context.log(Buffer.from(first as Uint8Array).toString());
        return { value: 0n };
      case 'write_account':
        this.#account(first).data.set(third as Uint8Array, Number(second));
        return { value: 0n };
      case 'resize_account': {
        const account = this.#account(first);
        const data = new Uint8Array(Number(second));
        data.set(account.data.subarray(0, data.length));
        account.data = data;
        return { value: 0n };
      }
      case 'move_lamports':
        this.#account(first).lamports -= third as bigint;
        this.#account(second).lamports += third as bigint;
        return { value: 0n };
      case 'invoke': {
        const chosen = accounts.slice(Number(second), Number(second) + Number(third));
        const metas = chosen.map(({ address, isSigner, isWritable }) => ({ address, isSigner, isWritable }));
        const returned = this.#context.invoke({ programId: this.#account(first).address, accounts: metas, data: fourth });
        return { value: 0n, bytes: returned?.data ?? new Uint8Array(0) };
      }
      default:
        return { value: BigInt((syscalls as unknown as Record<string, (...args: unknown[]) => bigint | number>)[name]!(...values)) };
    }
  }

  #account(index: bigint) {
    return this.#context.accounts[Number(index)]!;
  }

  #value(argument: Argument): unknown {
    if (argument instanceof Uint8Array) return argument;
    if (typeof argument === 'object') {
      if ('room' in argument) return new Uint8Array(Number(argument.room));
      if ('null' in argument && BigInt(argument.null) === 0n) return null;
      throw new Error('a pointer apart from its length cannot be passed from TypeScript');
    }
    const value = BigInt(argument);
    return this.#values[Number(value - RESULTS)] ?? value;
  }
}
