// The declarations of @solana/kit name types of browsers.
/// <reference lib="dom" />

/** What a cluster tells of its slots and accounts, in the shapes in which the clients of the RPC and of Yellowstone gRPC have it. */

import {
  address as kitAddress,
  lamports as kitLamports,
  type AccountInfoBase,
  type AccountInfoWithBase64EncodedData,
  type AccountInfoWithPubkey,
  type Base64EncodedBytes,
  type SlotNotificationsApi,
  type SolanaRpcResponse,
} from '@solana/kit';
import { SYSTEM_PROGRAM, address, addressBytes } from './addresses.js';

/** A state of an account that programs own; without data the account is gone. */
export interface State {
  /** Stands for its address. */
  name: string;
  data?: Uint8Array;
  /** Default: what a cluster demands of so much data. */
  lamports?: bigint;
}

export const OWNER = 'owner';
const balance = ({ data, lamports }: State) => (data ? (lamports ?? BigInt(128 + data.length) * 6_960n) : 0n);

// -------------------------------------------------------------------------------------------------------------------- @solana/kit

type Account = AccountInfoBase & AccountInfoWithBase64EncodedData;

function account(state: State): Account {
  const data = state.data ?? new Uint8Array(0);
  return {
    data: [Buffer.from(data).toString('base64') as Base64EncodedBytes, 'base64'],
    executable: false,
    lamports: kitLamports(balance(state)),
    owner: kitAddress(state.data ? address(OWNER) : SYSTEM_PROGRAM),
    space: BigInt(data.length),
  };
}

/** What `accountNotifications(address, { encoding: 'base64' })` gives. */
export function accountNotification(slot: bigint, state: State): SolanaRpcResponse<Account> {
  return { context: { slot }, value: account(state) };
}

/** What `programNotifications(program, { encoding: 'base64' })` gives. */
export function programNotification(slot: bigint, state: State): SolanaRpcResponse<AccountInfoWithPubkey<Account>> {
  return { context: { slot }, value: { pubkey: kitAddress(address(state.name)), account: account(state) } };
}

/** What `slotNotifications()` gives. */
export function slotNotification(slot: bigint, parent: bigint, root: bigint): ReturnType<SlotNotificationsApi['slotNotifications']> {
  return { slot, parent, root };
}

/** What a subscription to the Clock sysvar gives. */
export function clockNotification(slot: bigint, unixTimestamp: bigint): SolanaRpcResponse<Account> {
  const data = Buffer.alloc(40);
  [slot, unixTimestamp - 100_000n, slot / 432_000n, slot / 432_000n + 1n, unixTimestamp].forEach((value, index) =>
    data.writeBigInt64LE(value, index * 8),
  );
  const clock = account({ name: 'clock', data, lamports: 1_169_280n });
  return { context: { slot }, value: { ...clock, owner: kitAddress('Sysvar1111111111111111111111111111111111111') } };
}

/** What `getMultipleAccounts(addresses, { encoding: 'base64' })` replies. */
export function multipleAccounts(slot: bigint, states: (State | null)[]): SolanaRpcResponse<(Account | null)[]> {
  return { context: { slot }, value: states.map((state) => state && account(state)) };
}

// --------------------------------------------------------------------------------------------------------------- Yellowstone gRPC

/** `SubscribeUpdate` as version 7 of `@triton-one/yellowstone-grpc` declares it, whose packages are too many to be installed for this. */
export interface SubscribeUpdate {
  filters: string[];
  account?: { account: SubscribeUpdateAccountInfo | undefined; slot: string; isStartup: boolean } | undefined;
  slot?: { slot: string; parent?: string | undefined; status: SlotStatus; deadError?: string | undefined } | undefined;
  transaction?: object | undefined;
  transactionStatus?: object | undefined;
  block?:
    (SubscribeUpdateBlockMeta & { updatedAccountCount: string; accounts: SubscribeUpdateAccountInfo[]; entries: object[] }) | undefined;
  ping?: object | undefined;
  pong?: { id: number } | undefined;
  blockMeta?: SubscribeUpdateBlockMeta | undefined;
  entry?: object | undefined;
  createdAt: Date | undefined;
}

export interface SubscribeUpdateAccountInfo {
  pubkey: Uint8Array;
  lamports: string;
  owner: Uint8Array;
  executable: boolean;
  rentEpoch: string;
  data: Uint8Array;
  writeVersion: string;
  txnSignature?: Uint8Array | undefined;
}

export interface SubscribeUpdateBlockMeta {
  slot: string;
  blockhash: string;
  rewards: { rewards: object[]; numPartitions: object | undefined } | undefined;
  blockTime: { timestamp: string } | undefined;
  blockHeight: { blockHeight: string } | undefined;
  parentSlot: string;
  parentBlockhash: string;
  executedTransactionCount: string;
  entriesCount: string;
}

export enum SlotStatus {
  SLOT_PROCESSED = 0,
  SLOT_CONFIRMED = 1,
  SLOT_FINALIZED = 2,
  SLOT_FIRST_SHRED_RECEIVED = 3,
  SLOT_COMPLETED = 4,
  SLOT_CREATED_BANK = 5,
  SLOT_DEAD = 6,
  UNRECOGNIZED = -1,
}

/** Fields that were not sent are there and undefined, as the client decodes them. */
const update = (content: Partial<SubscribeUpdate>): SubscribeUpdate => ({
  filters: ['feed'],
  account: undefined,
  slot: undefined,
  transaction: undefined,
  transactionStatus: undefined,
  block: undefined,
  ping: undefined,
  pong: undefined,
  blockMeta: undefined,
  entry: undefined,
  createdAt: new Date(0),
  ...content,
});

export function accountInfo(state: State, writeVersion: bigint): SubscribeUpdateAccountInfo {
  return {
    pubkey: addressBytes(state.name),
    lamports: `${balance(state)}`,
    owner: state.data ? addressBytes(OWNER) : new Uint8Array(32),
    executable: false,
    rentEpoch: `${2n ** 64n - 1n}`,
    data: state.data ?? new Uint8Array(0),
    writeVersion: `${writeVersion}`,
    txnSignature: new Uint8Array(64),
  };
}

export function accountUpdate(slot: bigint, state: State, writeVersion: bigint): SubscribeUpdate {
  return update({ account: { account: accountInfo(state, writeVersion), slot: `${slot}`, isStartup: false } });
}

export function slotUpdate(slot: bigint, status: SlotStatus, parent?: bigint): SubscribeUpdate {
  const deadError = status === SlotStatus.SLOT_DEAD ? 'block error' : undefined;
  return update({ slot: { slot: `${slot}`, parent: parent === undefined ? undefined : `${parent}`, status, deadError } });
}

const meta = (slot: bigint, parent: bigint, unixTimestamp: bigint | undefined): SubscribeUpdateBlockMeta => ({
  slot: `${slot}`,
  blockhash: address(`block ${slot}`),
  rewards: { rewards: [], numPartitions: undefined },
  blockTime: unixTimestamp === undefined ? undefined : { timestamp: `${unixTimestamp}` },
  blockHeight: { blockHeight: `${slot}` },
  parentSlot: `${parent}`,
  parentBlockhash: address(`block ${parent}`),
  executedTransactionCount: '1',
  entriesCount: '1',
});

export function blockMetaUpdate(slot: bigint, parent: bigint, unixTimestamp?: bigint): SubscribeUpdate {
  return update({ blockMeta: meta(slot, parent, unixTimestamp) });
}

export function blockUpdate(slot: bigint, parent: bigint, unixTimestamp: bigint, accounts: SubscribeUpdateAccountInfo[]): SubscribeUpdate {
  return update({ block: { ...meta(slot, parent, unixTimestamp), updatedAccountCount: `${accounts.length}`, accounts, entries: [] } });
}

/** What comes beside, and says nothing of accounts and slots. */
export const OTHER_UPDATES: readonly SubscribeUpdate[] = [
  update({ ping: {} }),
  update({ pong: { id: 1 } }),
  update({ transaction: { slot: '1' } }),
  update({ transactionStatus: { slot: '1' } }),
  update({ entry: { slot: '1' } }),
  slotUpdate(1n, SlotStatus.SLOT_FIRST_SHRED_RECEIVED),
  slotUpdate(1n, SlotStatus.SLOT_COMPLETED),
  slotUpdate(1n, SlotStatus.UNRECOGNIZED),
];
