/** Repeats a run that was recorded. */

import { ErrorCode } from '../constants.js';
import type { AsyncBpfEngine } from '../engine.js';
import { AsyncBpfError } from '../errors.js';
import type { SlotReport } from '../types.js';
import { Feed } from './feed.js';
import { entriesOf, toPath, type Entry } from './recording.js';
import { toRunOptions, type RunOptions } from './sources.js';

/**
 * Repeats a run: with a feed that has the options of the recorded one, from the same messages; after each slot, the state hash must be that of the recorded run.
 * Resolves with the feed, which can go on with live sources.
 *
 * @param engine Set up as it was then: options, programs, accounts. What the host did in slots, it does in `onSlot` again.
 * @param path A file that a feed has written: see {@link FeedOptions.recording}.
 * @throws AsyncBpfError INVALID_ARGUMENT for a file that cannot be read; CORRUPT_STATE for one that is no recording, and as soon as a state hash is
 *   another one. Also what `onSlot` throws, and what the recorded feed did.
 * @example
 * ```ts
 * const feed = await replay(engine, 'run.jsonl');
 * console.log(feed.stats.slotsProcessed, engine.stateHash());
 * ```
 */
export async function replay(engine: AsyncBpfEngine, path: string | URL, options: RunOptions = {}): Promise<Feed> {
  const { signal, onSlot } = toRunOptions(options);
  const entries = entriesOf(toPath(path, 'path'));
  const head = (await entries.next()).value as Extract<Entry, { type: 'feed' }>;
  const feed = new Feed(engine, head.options);
  for await (const entry of entries) {
    if (signal?.aborted) break;
    if (entry.type === 'message') feed.apply(entry.message);
    if (entry.type !== 'processed') continue;
    // Slots come where they came then, between the same messages.
    const report = compare(entry, feed.processNext());
    await onSlot?.(report);
  }
  return feed;
}

function compare({ slot, stateHash, where }: Extract<Entry, { type: 'processed' }>, report: SlotReport | undefined): SlotReport {
  if (report?.slot === slot && report.stateHash === stateHash) return report;
  const now = report === undefined ? 'no slot is ready' : `slot ${report.slot} has state hash ${report.stateHash}`;
  throw new AsyncBpfError(
    ErrorCode.CORRUPT_STATE,
    `${where}: slot ${slot} had state hash ${stateHash}, but now ${now}; engine, programs, accounts and what the host does must be as they were`,
  );
}
