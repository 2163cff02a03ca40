/** The time, which is an input of slots, and the sysvar that shows it. */

import { rule } from './rules.js';
import type { Account } from './accounts.js';

export const CLOCK = 'SysvarC1ock11111111111111111111111111111111';

const MS_PER_SLOT = 400n;
const SLOTS_PER_EPOCH = 432_000n;

export interface Clock {
  readonly slot: bigint;
  readonly unixTimestamp: bigint;
  /** The time of the first slot of this epoch that was processed. */
  readonly epochStart: bigint;
  /** The last time that was given, and its slot. */
  readonly given: { readonly slot: bigint; readonly unixTimestamp: bigint };
}

const epochOf = (slot: bigint): bigint => slot / SLOTS_PER_EPOCH;

export function startClock(slot: bigint, unixTimestamp: bigint): Clock {
  return { slot, unixTimestamp, epochStart: unixTimestamp, given: { slot, unixTimestamp } };
}

export function advanceClock(clock: Clock, slot: bigint, timestamp?: bigint): Clock {
  if (timestamp !== undefined) rule('callbacks.clock', 'given');
  else rule('callbacks.clock', 'default');
  const given = timestamp === undefined ? clock.given : { slot, unixTimestamp: timestamp };
  const unixTimestamp = given.unixTimestamp + ((slot - given.slot) * MS_PER_SLOT) / 1000n;
  const epochStart = epochOf(slot) === epochOf(clock.slot) ? clock.epochStart : unixTimestamp;
  return { slot, unixTimestamp, epochStart, given };
}

export function clockAccount({ slot, unixTimestamp, epochStart }: Clock): Account {
  const epoch = epochOf(slot);
  const words = [slot, epochStart, epoch, epoch + 1n, unixTimestamp].map((word) => BigInt.asUintN(64, word));
  const data = new Uint8Array(BigUint64Array.from(words).buffer);
  return { lamports: 1n, data, owner: 'Sysvar1111111111111111111111111111111111111', executable: false };
}
