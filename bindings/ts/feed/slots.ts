/** Slots that wait, and which of them is next: a tree, of which the cluster keeps one branch. */

import type { AccountState } from './messages.js';

/** A slot of which there were messages, and which is not processed. */
export class PendingSlot {
  readonly slot: bigint;
  /** Once a message has told it. */
  parent: bigint | undefined;
  /** Whether it has the commitment that the feed waits for. */
  hasCommitment = false;
  /** Whether the node has given it up. */
  isDead = false;
  unixTimestamp: bigint | undefined;
  /** The last state of each account. */
  readonly accounts = new Map<string, AccountState>();

  constructor(slot: bigint) {
    this.slot = slot;
  }
}

/** The slots above the one that was processed last. */
export class PendingSlots {
  readonly #slots = new Map<bigint, PendingSlot>();
  #last: bigint;
  /** Set when the last slot is one of the tree, and not just where an engine began. */
  #branch: bigint | undefined;

  constructor(last: bigint) {
    this.#last = last;
  }

  /** The slot that was processed last. */
  get last(): bigint {
    return this.#last;
  }

  get size(): number {
    return this.#slots.size;
  }

  get(slot: bigint): PendingSlot | undefined {
    return this.#slots.get(slot);
  }

  add(slot: bigint): PendingSlot {
    const pending = new PendingSlot(slot);
    this.#slots.set(slot, pending);
    return pending;
  }

  /** Notes that a slot was processed. Removes it, and returns those below it, which are not going to be. */
  advance(slot: bigint): PendingSlot[] {
    this.#slots.delete(slot);
    this.#last = this.#branch = slot;
    const passed = [...this.#slots.values()].filter((pending) => pending.slot < slot);
    for (const pending of passed) this.#slots.delete(pending.slot);
    return passed;
  }

  /**
   * The slot to be processed next: the first on the branch of the lowest slot that has the commitment, once `hold` later ones have it too. A slot whose
   * place in the tree is not known counts as one of the branch.
   */
  next(hold: number): PendingSlot | undefined {
    const committed = [...this.#slots.values()].filter(({ hasCommitment }) => hasCommitment);
    if (committed.length <= hold) return undefined;
    let first = committed.reduce((lowest, pending) => (pending.slot < lowest.slot ? pending : lowest));
    for (let before: PendingSlot | undefined = first; before; before = this.#before(first)) first = before;
    return first;
  }

  #before({ slot, parent }: PendingSlot): PendingSlot | undefined {
    if (parent !== undefined && (parent <= this.#last || this.#slots.has(parent))) return this.#slots.get(parent);
    // What is between a slot and its parent is on other branches.
    const below = parent ?? slot;
    const candidates = [...this.#slots.values()].filter((pending) => pending.slot < below && !this.#isAstray(pending));
    return candidates.reduce<PendingSlot | undefined>(
      (nearest, other) => (nearest && nearest.slot > other.slot ? nearest : other),
      undefined,
    );
  }

  /** Whether a slot is known to be on another branch than the slot that was processed last. */
  #isAstray(pending: PendingSlot): boolean {
    let ancestor: PendingSlot | undefined = pending;
    while (ancestor) {
      const { isDead, parent }: PendingSlot = ancestor;
      if (isDead || (parent !== undefined && this.#branch !== undefined && parent < this.#branch)) return true;
      ancestor = parent === undefined ? undefined : this.#slots.get(parent);
    }
    return false;
  }
}
