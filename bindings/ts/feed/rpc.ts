/** From the RPC, as `@solana/kit` has its answers and notifications. They are known by their shape: kit need not be installed. */

import { addressString, toAddress, toArray, toU64, type AddressLike } from '../arguments.js';
import { invalidArgument } from '../errors.js';
import { COMMITMENTS, type AccountMessage, type Commitment, type FeedMessage } from './messages.js';

/** What is said of a slot. */
export interface RpcResponse<T> {
  /** When it was so. */
  readonly context: {
    /** The slot. */
    readonly slot: bigint;
  };
  /** What. */
  readonly value: T;
}

/** An account that was asked for with `encoding: 'base64'`, whole. */
export interface RpcAccount {
  /** Its contents and their encoding. */
  readonly data: readonly [string, 'base64'];
  /** Whether it is a program. */
  readonly executable: boolean;
  /** Its balance. */
  readonly lamports: bigint;
  /** The program that may change it. */
  readonly owner: string;
  /** The length of its contents. */
  readonly space?: bigint;
}

/** An account of a program. */
export interface RpcProgramAccount {
  /** Which account it is. */
  readonly pubkey: string;
  /** What it is. */
  readonly account: RpcAccount;
}

/** A slot that a node began with. */
export interface RpcSlotNotification {
  /** Which one. */
  readonly slot: bigint;
  /** The slot before it: it is complete. */
  readonly parent: bigint;
  /** The last slot that is finalized. */
  readonly root: bigint;
}

const CLOCK = 'SysvarC1ock11111111111111111111111111111111';
/** Where the Clock sysvar has its unix timestamp. */
const UNIX_TIMESTAMP = 32;

/**
 * What `getMultipleAccounts(addresses, { encoding: 'base64' })` replied: the state to begin with.
 *
 * @param addresses Those that were asked for, in the same order. An account that is not there is taken as gone.
 * @throws AsyncBpfError INVALID_ARGUMENT
 * @example
 * ```ts
 * const reply = await rpc.getMultipleAccounts(addresses, { encoding: 'base64', commitment: 'confirmed' }).send();
 * for (const message of fromMultipleAccounts(addresses, reply)) feed.push(message);
 * ```
 */
export function fromMultipleAccounts(addresses: Iterable<AddressLike>, reply: RpcResponse<readonly (RpcAccount | null)[]>): FeedMessage[] {
  const names = toArray(addresses, 'addresses');
  const accounts = toArray(toResponse(reply, 'reply'), 'reply.value');
  if (accounts.length !== names.length) {
    throw invalidArgument('reply.value', accounts, `an array of ${names.length}, one for each of the addresses that were asked for`);
  }
  return names.map((address, index) =>
    toAccountMessage(reply.context.slot, toAddress(address, `addresses[${index}]`), accounts[index]!, `reply.value[${index}]`),
  );
}

/**
 * A notification of `accountNotifications(address, { encoding: 'base64' })`.
 *
 * @param address The account that was subscribed to: the notification does not tell.
 * @throws AsyncBpfError INVALID_ARGUMENT
 */
export function fromAccountNotification(address: AddressLike, notification: RpcResponse<RpcAccount>): FeedMessage[] {
  const account = toResponse(notification, 'notification');
  return [toAccountMessage(notification.context.slot, toAddress(address, 'address'), account, 'notification.value')];
}

/**
 * A notification of `programNotifications(program, { encoding: 'base64' })`.
 *
 * @throws AsyncBpfError INVALID_ARGUMENT
 */
export function fromProgramNotification(notification: RpcResponse<RpcProgramAccount>): FeedMessage[] {
  const { pubkey, account } = toShape(toResponse(notification, 'notification'), 'notification.value');
  const address = toAddress(pubkey, 'notification.value.pubkey');
  return [toAccountMessage(notification.context.slot, address, account, 'notification.value.account')];
}

/**
 * A notification of `slotNotifications()`: the slot was created, its parent is processed, and the root is finalized.
 *
 * @throws AsyncBpfError INVALID_ARGUMENT
 */
export function fromSlotNotification(notification: RpcSlotNotification): FeedMessage[] {
  const { slot, parent, root } = toShape(notification, 'notification');
  const names = { slot: 'notification.slot', parent: 'notification.parent', root: 'notification.root' };
  return [
    { type: 'slot', slot: toU64(root, names.root), status: 'finalized' },
    { type: 'slot', slot: toU64(parent, names.parent), status: 'processed' },
    { type: 'slot', slot: toU64(slot, names.slot), parent: toU64(parent, names.parent), status: 'created' },
  ];
}

/**
 * A notification of `accountNotifications('SysvarC1ock11111111111111111111111111111111', { encoding: 'base64', commitment })`, which comes once for
 * each slot that reaches the commitment: it tells that, and the time of the slot.
 *
 * @param commitment The one of the subscription. Default `'confirmed'`.
 * @throws AsyncBpfError INVALID_ARGUMENT
 */
export function fromClockNotification(notification: RpcResponse<RpcAccount>, commitment: Commitment = 'confirmed'): FeedMessage[] {
  if (!COMMITMENTS.includes(commitment)) throw invalidArgument('commitment', commitment, `one of ${COMMITMENTS.join(', ')}`);
  const value = toResponse(notification, 'notification');
  const { slot, data } = toAccountMessage(notification.context.slot, toAddress(CLOCK, 'address'), value, 'notification.value');
  if (data!.length < UNIX_TIMESTAMP + 8) {
    throw invalidArgument('notification.value.data', data, `at least ${UNIX_TIMESTAMP + 8} bytes, those of the Clock sysvar, ${CLOCK}`);
  }
  const unixTimestamp = new DataView(data!.buffer, data!.byteOffset).getBigInt64(UNIX_TIMESTAMP, true);
  return [
    { type: 'blockTime', slot, unixTimestamp },
    { type: 'slot', slot, status: commitment },
  ];
}

function toAccountMessage(slot: bigint, address: Uint8Array, account: RpcAccount | null, argument: string): AccountMessage {
  const message = { type: 'account', slot: toU64(slot, 'context.slot'), address: addressString(address) } as const;
  if (account === null) return { ...message, lamports: 0n };
  const { lamports, owner, executable, data, space } = toShape(account, argument);
  const bytes = fromBase64(data, `${argument}.data`);
  if (space !== undefined && toU64(space, `${argument}.space`) !== BigInt(bytes.length)) {
    throw invalidArgument(`${argument}.data`, bytes, `all of the ${space} bytes that the account has: ask for it without dataSlice`);
  }
  return { ...message, lamports: toU64(lamports, `${argument}.lamports`), data: bytes, owner, executable };
}

function fromBase64(data: unknown, argument: string): Uint8Array {
  const [text, encoding] = Array.isArray(data) ? (data as unknown[]) : [];
  if (typeof text !== 'string' || encoding !== 'base64') {
    throw invalidArgument(argument, data, "a pair of a text and 'base64': ask for accounts with encoding: 'base64'");
  }
  const bytes = Buffer.from(text, 'base64');
  // The decoder skips what it does not know.
  const length = (text.length / 4) * 3 - (text.match(/={1,2}$/)?.[0].length ?? 0);
  if (bytes.length !== length) throw invalidArgument(argument, text, 'base64, whole and padded');
  return bytes;
}

function toResponse<T>(response: RpcResponse<T>, argument: string): T {
  const { context, value } = toShape(response, argument);
  toU64(toShape(context, `${argument}.context`).slot, `${argument}.context.slot`);
  return value;
}

/** An object of which some members are looked at; what else it has is its own affair. */
function toShape<T extends object>(value: T, argument: string): T {
  if (typeof value !== 'object' || value === null) throw invalidArgument(argument, value, 'an object, as @solana/kit has it');
  return value;
}
