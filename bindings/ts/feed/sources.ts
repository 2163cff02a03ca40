/** What messages come from, and how they are read: one at a time, from several sources at once. */

import { toObject } from '../arguments.js';
import { invalidArgument } from '../errors.js';
import { onAbort } from '../signals.js';
import type { SlotReport } from '../types.js';
import type { FeedMessage } from './messages.js';

/** Gives messages, one at a time or several. */
export type FeedSource = AsyncIterable<FeedMessage | readonly FeedMessage[]>;

/** What `run` and `replay` are told. */
export interface RunOptions {
  /** Ends the run: it resolves when what was read is done with. */
  signal?: AbortSignal;
  /** Gets the report of each slot, before the next is processed; a promise that it returns is awaited. */
  onSlot?: (report: SlotReport) => void | Promise<void>;
}

/**
 * A source of messages over what a client gives.
 *
 * @param updates A subscription of `@solana/kit`, a stream of Yellowstone gRPC, or any other async iterable. It is closed when the source is.
 * @param by What makes messages of each update, for example {@link fromYellowstone}.
 * @throws AsyncBpfError INVALID_ARGUMENT
 * @example
 * ```ts
 * const notifications = await rpc.accountNotifications(price, { encoding: 'base64' }).subscribe({ abortSignal });
 * const source = convert(notifications, (notification) => fromAccountNotification(price, notification));
 * ```
 */
export function convert<T>(updates: AsyncIterable<T>, by: (update: T) => readonly FeedMessage[]): FeedSource {
  toIterable(updates, 'updates');
  if (typeof by !== 'function') throw invalidArgument('by', by, 'a function that makes messages of an update');
  return {
    [Symbol.asyncIterator]() {
      const iterator = updates[Symbol.asyncIterator]();
      return {
        async next() {
          const { done, value } = await iterator.next();
          return done ? { done, value: undefined } : { done: false, value: by(value) };
        },
        async return() {
          await iterator.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}

/** Reads sources, and has each message taken: the next when the slots of the one before were told. */
export async function drive(
  sources: FeedSource | readonly FeedSource[],
  options: RunOptions,
  take: (message: FeedMessage) => Iterable<SlotReport>,
): Promise<void> {
  const { signal, onSlot } = toRunOptions(options);
  const all = Array.isArray(sources) ? (sources as readonly FeedSource[]) : [sources as FeedSource];
  all.forEach((source, index) => toIterable(source, Array.isArray(sources) ? `sources[${index}]` : 'sources'));

  if (signal?.aborted) return;
  let isStopped = false;
  const iterators = all.map((source) => source[Symbol.asyncIterator]());
  /** Done when all that was read so far is done with: sources take turns. */
  let turn: Promise<void> = Promise.resolve();

  async function takeAll(messages: readonly FeedMessage[]): Promise<void> {
    for (const message of messages) {
      for (const report of take(message)) await onSlot?.(report);
    }
  }

  async function read(iterator: AsyncIterator<FeedMessage | readonly FeedMessage[]>): Promise<void> {
    for (let result = await iterator.next(); !result.done && !isStopped; result = await iterator.next()) {
      const messages = Array.isArray(result.value) ? (result.value as readonly FeedMessage[]) : [result.value as FeedMessage];
      await (turn = turn.then(() => (isStopped ? undefined : takeAll(messages))));
    }
  }

  let forgetSignal: (() => void) | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      forgetSignal = signal && onAbort(signal, resolve);
      Promise.all(iterators.map(read)).then(() => resolve(), reject);
    });
  } finally {
    isStopped = true;
    forgetSignal?.();
    // A source that waits for something may never say that it is closed.
    for (const iterator of iterators) void close(iterator);
    await turn.catch(() => {});
  }
}

async function close(iterator: AsyncIterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // The run has ended, in its own way.
  }
}

export function toRunOptions(options: RunOptions): RunOptions {
  const { signal, onSlot } = toObject(options, 'options', ['signal', 'onSlot']);
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalidArgument('signal', signal, 'an AbortSignal');
  if (onSlot !== undefined && typeof onSlot !== 'function') throw invalidArgument('onSlot', onSlot, 'a function that gets a report');
  return options;
}

function toIterable(value: unknown, argument: string): void {
  const isOne = typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
  if (!isOne) throw invalidArgument(argument, value, 'an async iterable');
}
