import type { FeedSlot } from './feed.js';

/** The dates of a feed's slots as text; of no slot, when the feed has no clock. */
export class Dates {
  readonly #timestamps: ReadonlyMap<bigint, bigint>;

  constructor(feed: readonly FeedSlot[]) {
    this.#timestamps = new Map(
      feed.flatMap(({ slot, unixTimestamp }) => (unixTimestamp === undefined ? [] : [[slot, unixTimestamp] as const])),
    );
  }

  /** `2008-09-15`, with the time unless it is midnight UTC. */
  of(slot: bigint): string | undefined {
    const seconds = this.#timestamps.get(slot);
    if (seconds === undefined) return undefined;
    const text = new Date(Number(seconds) * 1000).toISOString();
    return text.endsWith('T00:00:00.000Z') ? text.slice(0, -14) : text.replace('.000Z', 'Z');
  }
}
