/** A run as a file of JSON lines: its options, each message, and after each slot the state hash. */

import { closeSync, createReadStream, openSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { addressString, toObject, toU64 } from '../arguments.js';
import { ErrorCode } from '../constants.js';
import { AsyncBpfError, invalidArgument } from '../errors.js';
import type { SlotReport } from '../types.js';
import { toMessage, type Commitment, type FeedMessage, type Message } from './messages.js';

const VERSION = 1;
/** Characters that are written together. */
const BATCH = 65_536;

/** The options on which depends what becomes of messages. */
export interface RecordedOptions {
  commitment: Commitment;
  holdSlots: number;
  waitForBlockTime: boolean;
  maxPendingSlots: number;
  maxPendingBytes: number;
}

const OPTIONS: readonly (keyof RecordedOptions)[] = ['commitment', 'holdSlots', 'waitForBlockTime', 'maxPendingSlots', 'maxPendingBytes'];

/** A line of a recording. */
export type Entry =
  | { type: 'feed'; options: RecordedOptions }
  | { type: 'message'; message: FeedMessage }
  | { type: 'processed'; slot: bigint; stateHash: string; where: string };

/** Writes a recording. */
export class Recorder {
  readonly #path: string;
  #file: number | undefined;
  #lines = '';

  constructor(recording: string | URL, options: RecordedOptions) {
    this.#path = toPath(recording, 'recording');
    try {
      this.#file = openSync(this.#path, 'wx');
    } catch (error) {
      throw invalidArgument('recording', this.#path, `a file that can be created: ${(error as Error).message}`);
    }
    this.#write({ type: 'feed', version: VERSION, ...options });
    this.flush();
  }

  message(message: Message): void {
    this.#write(
      message.type === 'account' ? { ...message, address: addressString(message.address), owner: addressString(message.owner) } : message,
    );
  }

  /** What is in the file after a slot survives a crash of the process. */
  processed({ slot, stateHash }: SlotReport): void {
    this.#write({ type: 'processed', slot, stateHash });
    this.flush();
  }

  flush(): void {
    if (this.#file !== undefined && this.#lines !== '') writeSync(this.#file, this.#lines);
    this.#lines = '';
  }

  close(): void {
    if (this.#file === undefined) return;
    this.flush();
    closeSync(this.#file);
    this.#file = undefined;
  }

  #write(entry: object): void {
    this.#lines += `${JSON.stringify(entry, toJson)}\n`;
    if (this.#lines.length > BATCH) this.flush();
  }
}

function toJson(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}`;
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}

/**
 * The messages of a recording, as they came: to run them with other programs or options than they were recorded with. {@link replay} repeats
 * the run as it was.
 *
 * @param path A file that a feed has written.
 * @throws AsyncBpfError INVALID_ARGUMENT for a file that cannot be read, CORRUPT_STATE for one that is no recording: when they are met.
 */
export async function* readRecording(path: string | URL): AsyncGenerator<FeedMessage, void> {
  for await (const entry of entriesOf(toPath(path, 'path'))) if (entry.type === 'message') yield entry.message;
}

/** The lines of a recording. One at the end that was not written whole is left out. */
export async function* entriesOf(path: string): AsyncGenerator<Entry, void> {
  let line = 0;
  for await (const text of linesOf(path)) {
    const entry = parse(text, `${path}:${++line}`);
    if ((line === 1) !== (entry.type === 'feed'))
      throw damaged(`${path}:${line}`, 'the first line of a recording, and no other, has its options');
    yield entry;
  }
  if (line === 0) throw damaged(`${path}:1`, 'it has no line');
}

async function* linesOf(path: string): AsyncGenerator<string, void> {
  let rest = '';
  try {
    for await (const chunk of createReadStream(path, { encoding: 'utf8' })) {
      const lines = (rest + (chunk as string)).split('\n');
      rest = lines.pop()!;
      yield* lines;
    }
  } catch (error) {
    if (AsyncBpfError.is(error) || !(error as NodeJS.ErrnoException).code) throw error;
    throw invalidArgument('path', path, `a file that can be read: ${(error as Error).message}`);
  }
}

function parse(text: string, where: string): Entry {
  try {
    const line = JSON.parse(text) as Record<string, unknown>;
    switch (line.type) {
      case 'feed':
        return toOptions(line, where);
      case 'processed':
        return { type: 'processed', slot: toU64(integer(line.slot), 'slot'), stateHash: String(line.stateHash), where };
      default: {
        const message = Object.fromEntries(Object.entries(line).map(([name, value]) => [name, DECODERS[name]?.(value) ?? value]));
        toMessage(message as unknown as FeedMessage);
        return { type: 'message', message: message as unknown as FeedMessage };
      }
    }
  } catch (error) {
    if (AsyncBpfError.is(error, 'CORRUPT_STATE')) throw error;
    throw damaged(where, (error as Error).message);
  }
}

function toOptions({ type: _, version, ...options }: Record<string, unknown>, where: string): Entry {
  if (version !== VERSION) throw damaged(where, `it has version ${String(version)}, but this release reads version ${VERSION}`);
  return { type: 'feed', options: toObject(options as unknown as RecordedOptions, 'options', OPTIONS) };
}

/** Members that JSON has otherwise. */
const DECODERS: Record<string, ((value: unknown) => unknown) | undefined> = {
  slot: integer,
  parent: integer,
  lamports: integer,
  writeVersion: integer,
  unixTimestamp: integer,
  data: (value) => (typeof value === 'string' ? new Uint8Array(Buffer.from(value, 'base64')) : value),
};

function integer(value: unknown): unknown {
  return typeof value === 'string' && /^-?\d+$/.test(value) ? BigInt(value) : value;
}

/** What is wrong with a recording. */
function damaged(where: string, what: string): AsyncBpfError {
  return new AsyncBpfError(ErrorCode.CORRUPT_STATE, `${where} is no line of a recording that can be used: ${what}; record the run again`);
}

export function toPath(value: string | URL, argument: string): string {
  if (typeof value === 'string' && value !== '') return value;
  if (value instanceof URL && value.protocol === 'file:') return fileURLToPath(value);
  throw invalidArgument(argument, value instanceof URL ? value.href : value, 'a path or a file URL');
}
