/** What ran in a world. */

import type { Outcome } from '../types.js';
import { ranges } from './describe.js';

/** An invocation, and the slot in which it ran or, if its deadline had passed, was given up. */
export type SlotOutcome = Outcome & {
  /** The slot; of an invocation, the one that was processed last. */
  slot: bigint;
};

/**
 * A part of what ran in a world, in the order in which it counts: an array, which besides knows what it is the history of. What
 * `filter`, `map` and so on give are plain arrays.
 */
export class Outcomes extends Array<SlotOutcome> {
  readonly #of: string;
  readonly #processed: ReadonlySet<bigint>;

  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }

  /** @internal */
  constructor(of: string, processed: ReadonlySet<bigint>, outcomes: readonly SlotOutcome[]) {
    super();
    this.#of = of;
    this.#processed = processed;
    for (const outcome of outcomes) this.push(outcome);
  }

  /** Whose: for example `timer 1048577`. */
  get of(): string {
    return this.#of;
  }

  /** The slots in which timers, watchers or tasks ran, ascending, each once. Those that expired did not run; invocations are not among them. */
  get slots(): bigint[] {
    const slots = this.filter(({ source, status }) => source.kind !== 'invoke' && status !== 'expired').map(({ slot }) => slot);
    return [...new Set(slots)];
  }

  /** @internal Whether the history has this slot, whether anything ran in it or not. */
  covers(slot: bigint): boolean {
    return this.#processed.has(slot);
  }

  /** @internal The slots that the history has, in words. */
  get covered(): string {
    return ranges([...this.#processed]);
  }
}
