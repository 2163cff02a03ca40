/** What a feed is made of, whatever it came from. */

import { ACCOUNT_UPDATE_KEYS, accountNames, toAccountUpdate } from '../accounts.js';
import { toI64, toObject, toU64, type U64Like } from '../arguments.js';
import { invalidArgument } from '../errors.js';
import type { AccountUpdate } from '../types.js';

/** How sure a cluster is of a slot. */
export type Commitment = 'processed' | 'confirmed' | 'finalized';

/** What became of a slot: `created` when a node began with it, `dead` when it gave it up. */
export type SlotStatus = 'created' | Commitment | 'dead';

/** The state of an account in a slot; 0 lamports when it is gone. */
export interface AccountMessage extends AccountUpdate {
  /** An account. */
  type: 'account';
  /** The slot in which it became this. */
  slot: U64Like;
  /** Orders the writes of one account within a slot. Without, it is the state at the end of the slot. */
  writeVersion?: U64Like;
}

/** What became of a slot. */
export interface SlotMessage {
  /** A slot. */
  type: 'slot';
  /** Which one. */
  slot: U64Like;
  /** The slot before it on its fork, if the source tells. */
  parent?: U64Like;
  /** What became of it. */
  status: SlotStatus;
}

/** The time of a slot, for the Clock sysvar. */
export interface BlockTimeMessage {
  /** A time. */
  type: 'blockTime';
  /** Of this slot. */
  slot: U64Like;
  /** Seconds since 1970. */
  unixTimestamp: bigint | number;
}

/** One message of a feed. Narrow it by `type`. */
export type FeedMessage = AccountMessage | SlotMessage | BlockTimeMessage;

/** A message that was checked; its bytes are nobody else's. */
export type Message =
  | ({ type: 'account' } & AccountState)
  | { type: 'slot'; slot: bigint; parent: bigint | undefined; status: SlotStatus }
  | { type: 'blockTime'; slot: bigint; unixTimestamp: bigint };

export type MessageOf<Type extends Message['type']> = Extract<Message, { type: Type }>;

/** When an account was in a state. */
export interface StateTime {
  slot: bigint;
  /** Absent for the state at the end of the slot. */
  writeVersion: bigint | undefined;
}

/** The state of an account, and when it was that. */
export interface AccountState extends StateTime {
  address: Uint8Array;
  lamports: bigint;
  data: Uint8Array;
  owner: Uint8Array;
  executable: boolean;
}

/** Each status, and how far a slot has come with it. */
export const PROGRESS: Readonly<Record<SlotStatus, number>> = { dead: -1, created: 0, processed: 1, confirmed: 2, finalized: 3 };
export const COMMITMENTS: readonly Commitment[] = ['processed', 'confirmed', 'finalized'];

const NAMES = accountNames((member) => `message.${member}`);
const ACCOUNT_KEYS = ['type', 'slot', ...ACCOUNT_UPDATE_KEYS];
const SLOT_KEYS = ['type', 'slot', 'parent', 'status'];
const BLOCK_TIME_KEYS = ['type', 'slot', 'unixTimestamp'];

/** Checks a message, and copies its bytes. */
export function toMessage(message: FeedMessage): Message {
  if (typeof message !== 'object' || message === null) throw invalidArgument('message', message, 'an object');
  switch (message.type) {
    case 'account': {
      toObject(message, 'message', ACCOUNT_KEYS);
      const slot = toU64(message.slot, 'message.slot');
      const { address, account, writeVersion } = toAccountUpdate(message, NAMES);
      const [data, owner] = [new Uint8Array(account.data), new Uint8Array(account.owner)];
      return { type: 'account', slot, writeVersion, ...account, address: new Uint8Array(address), data, owner };
    }
    case 'slot': {
      const { slot, parent, status } = toObject(message, 'message', SLOT_KEYS);
      const number = toU64(slot, 'message.slot');
      const before = parent === undefined ? undefined : toU64(parent, 'message.parent');
      if (before !== undefined && before >= number) throw invalidArgument('message.parent', parent, `below message.slot, ${number}`);
      if (!Object.hasOwn(PROGRESS, status)) throw invalidArgument('message.status', status, `one of ${Object.keys(PROGRESS).join(', ')}`);
      return { type: 'slot', slot: number, parent: before, status };
    }
    case 'blockTime': {
      const { slot, unixTimestamp } = toObject(message, 'message', BLOCK_TIME_KEYS);
      return {
        type: 'blockTime',
        slot: toU64(slot, 'message.slot'),
        unixTimestamp: toI64(unixTimestamp, 'message.unixTimestamp'),
      };
    }
    default:
      throw invalidArgument('message.type', (message as { type: unknown }).type, "'account', 'slot' or 'blockTime'");
  }
}

/**
 * Above 0 if one state of an account is later than another, 0 if they are the same. Write versions count within a slot only: each node has its own
 * counter, and begins anew when it starts.
 */
export function compareStates(one: StateTime, other: StateTime): number {
  if (one.slot !== other.slot) return one.slot > other.slot ? 1 : -1;
  // A state without a version may have been read in the middle of the slot; a write that is known is as late as it, or later.
  const [version, otherVersion] = [one.writeVersion ?? -1n, other.writeVersion ?? -1n];
  return version === otherVersion ? 0 : version > otherVersion ? 1 : -1;
}
