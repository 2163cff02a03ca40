/** From Yellowstone gRPC, as `@triton-one/yellowstone-grpc` has its updates. They are known by their shape: the client need not be installed. */

import { toI64, toU64 } from '../arguments.js';
import { invalidArgument } from '../errors.js';
import type { AccountMessage, BlockTimeMessage, FeedMessage, SlotMessage, SlotStatus } from './messages.js';

/** What of a `SubscribeUpdate` a feed looks at. */
export interface YellowstoneUpdate {
  /** An account was written. */
  readonly account?: YellowstoneAccount | undefined;
  /** A slot has come further. */
  readonly slot?: YellowstoneSlot | undefined;
  /** A block, without what is in it. */
  readonly blockMeta?: YellowstoneBlock | undefined;
  /** A block. */
  readonly block?: YellowstoneFullBlock | undefined;
}

/** `SubscribeUpdateAccount` */
export interface YellowstoneAccount {
  /** What it is now. */
  readonly account: YellowstoneAccountInfo | undefined;
  /** The slot in which it was written. */
  readonly slot: string;
}

/** `SubscribeUpdateAccountInfo` */
export interface YellowstoneAccountInfo {
  /** Which account it is. */
  readonly pubkey: Uint8Array;
  /** Its balance. */
  readonly lamports: string;
  /** The program that may change it. */
  readonly owner: Uint8Array;
  /** Whether it is a program. */
  readonly executable: boolean;
  /** Its contents: all of them, so without `accountsDataSlice`. */
  readonly data: Uint8Array;
  /** Orders its writes within a slot. */
  readonly writeVersion: string;
}

/** `SubscribeUpdateSlot` */
export interface YellowstoneSlot {
  /** Which one. */
  readonly slot: string;
  /** The slot before it on its fork. */
  readonly parent?: string | undefined;
  /** `SlotStatus`, as a number. */
  readonly status: number;
}

/** `SubscribeUpdateBlockMeta` */
export interface YellowstoneBlock {
  /** Which one. */
  readonly slot: string;
  /** The slot before it. */
  readonly parentSlot: string;
  /** When it was made. */
  readonly blockTime:
    | {
        /** Seconds since 1970. */
        readonly timestamp: string;
      }
    | undefined;
}

/** `SubscribeUpdateBlock` */
export interface YellowstoneFullBlock extends YellowstoneBlock {
  /** What was written in it, if the request asks for accounts. */
  readonly accounts: readonly YellowstoneAccountInfo[];
}

/** `SlotStatus`; there is nothing to be done about a slot of which shreds come in. */
const STATUSES: Readonly<Record<number, SlotStatus | undefined>> = {
  0: 'processed',
  1: 'confirmed',
  2: 'finalized',
  5: 'created',
  6: 'dead',
};
const MAX_STATUS = 6;

/**
 * A `SubscribeUpdate` of Yellowstone gRPC: accounts, slots, blocks and their metadata. What else there is, such as pings and transactions, gives no message.
 *
 * @throws AsyncBpfError INVALID_ARGUMENT
 * @example
 * ```ts
 * const stream = await client.subscribe(request);
 * await feed.run(convert(stream, fromYellowstone), { signal });
 * ```
 */
export function fromYellowstone(update: YellowstoneUpdate): FeedMessage[] {
  const { account, slot, blockMeta, block } = toShape(update, 'update');
  if (account) {
    const info = toShape(account.account, 'update.account.account');
    return [toAccountMessage(toDecimal(account.slot, 'update.account.slot'), info, 'update.account.account')];
  }
  if (slot) return toSlotMessages(slot);
  if (blockMeta) return toBlockMessages(blockMeta, 'update.blockMeta');
  if (block) {
    const number = toDecimal(block.slot, 'update.block.slot');
    const accounts = block.accounts.map((info, index) => toAccountMessage(number, info, `update.block.accounts[${index}]`));
    return [...accounts, ...toBlockMessages(block, 'update.block')];
  }
  return [];
}

function toAccountMessage(slot: bigint, info: YellowstoneAccountInfo, argument: string): AccountMessage {
  const { pubkey, lamports, data, owner, executable, writeVersion } = toShape(info, argument);
  return {
    type: 'account',
    slot,
    address: pubkey,
    lamports: toDecimal(lamports, `${argument}.lamports`),
    data,
    owner,
    executable,
    writeVersion: toDecimal(writeVersion, `${argument}.writeVersion`),
  };
}

function toSlotMessages({ slot, parent, status: number }: YellowstoneSlot): SlotMessage[] {
  if (!Number.isInteger(number) || number < -1 || number > MAX_STATUS) {
    throw invalidArgument('update.slot.status', number, `a SlotStatus of Yellowstone, in [-1, ${MAX_STATUS}]`);
  }
  const status = STATUSES[number];
  if (status === undefined) return [];
  const message: SlotMessage = { type: 'slot', slot: toDecimal(slot, 'update.slot.slot'), status };
  // Some servers report a slot twice, once without its parent.
  return [parent === undefined ? message : { ...message, parent: toDecimal(parent, 'update.slot.parent') }];
}

function toBlockMessages(block: YellowstoneBlock, argument: string): FeedMessage[] {
  const slot = toDecimal(block.slot, `${argument}.slot`);
  const created: SlotMessage = { type: 'slot', slot, parent: toDecimal(block.parentSlot, `${argument}.parentSlot`), status: 'created' };
  if (block.blockTime === undefined) return [created];
  const unixTimestamp = toI64(integer(block.blockTime.timestamp), `${argument}.blockTime.timestamp`);
  const time: BlockTimeMessage = { type: 'blockTime', slot, unixTimestamp };
  return [created, time];
}

/** The client has 64-bit numbers as decimal texts. */
function toDecimal(text: unknown, argument: string): bigint {
  return toU64(integer(text), argument);
}

function integer(text: unknown): unknown {
  return typeof text === 'string' && /^-?\d+$/.test(text) ? BigInt(text) : text;
}

function toShape<T extends object>(value: T | undefined, argument: string): T {
  if (typeof value !== 'object' || value === null) throw invalidArgument(argument, value, 'an object, as Yellowstone has it');
  return value;
}
