/** Accounts for tests. */

import { addressString, toAddress, toBytes, toObject, toU64, type AddressLike, type U64Like } from '../arguments.js';
import { invalidArgument } from '../errors.js';
import type { AccountInfo } from '../types.js';
import { SYSTEM_PROGRAM } from './addresses.js';

/** What an account is, whatever its address: what the builders give, and `engine.setAccount` and `createWorld` take. */
export type AccountState = Omit<AccountInfo, 'address'>;

const MAX_LENGTH = 10_485_760;
/** What an account takes on a cluster beside its data, in bytes. */
const OVERHEAD = 128;
const LAMPORTS_PER_BYTE = 6_960n;
const ONE_SOL = 1_000_000_000n;

/**
 * The lamports from which an account with so much data is exempt from rent, with the rent of the public clusters, which is the engine's as well.
 *
 * @param length Bytes, in [0, 10,485,760].
 * @throws AsyncBpfError INVALID_ARGUMENT
 */
export function rentExemption(length: number): bigint {
  return BigInt(OVERHEAD + toLength(length, 'length')) * LAMPORTS_PER_BYTE;
}

/**
 * An account that only holds lamports: a wallet.
 *
 * @param lamports In [1, 2^64 - 1]. Default 1,000,000,000, one SOL.
 * @throws AsyncBpfError INVALID_ARGUMENT
 */
export function systemAccount(lamports: U64Like = ONE_SOL): AccountState {
  return { lamports: toBalance(lamports), data: new Uint8Array(0), owner: SYSTEM_PROGRAM, executable: false };
}

/** What a builder may be told about an account beside what is in it. */
export interface BalanceOptions {
  /** In [1, 2^64 - 1]. Default: what makes the account exempt from rent. */
  lamports?: U64Like;
}

/**
 * An account with data, exempt from rent unless `lamports` says otherwise.
 *
 * @param owner The program that may change it.
 * @param data Its data, which is copied, or how many bytes of zeros it has; at most 10,485,760 bytes.
 * @throws AsyncBpfError INVALID_ARGUMENT
 * @example
 * ```ts
 * const world = createWorld({ accounts: { [counter]: dataAccount(program, 8), [price]: dataAccount(oracle, i64(100)) } });
 * ```
 */
export function dataAccount(owner: AddressLike, data: Uint8Array | number, options: BalanceOptions = {}): AccountState {
  const program = addressString(toAddress(owner, 'owner'));
  const bytes = typeof data === 'number' ? new Uint8Array(toLength(data, 'data')) : new Uint8Array(toBytes(data, 'data'));
  const exempt = rentExemption(toLength(bytes.length, 'data.length'));
  const { lamports = exempt } = toObject(options, 'options', ['lamports']);
  return { lamports: toBalance(lamports), data: bytes, owner: program, executable: false };
}

/** @internal */
export function toBalance(lamports: U64Like): bigint {
  const balance = toU64(lamports, 'lamports');
  if (balance === 0n) throw invalidArgument('lamports', lamports, 'at least 1: an account without lamports does not exist');
  return balance;
}

function toLength(length: number, argument: string): number {
  if (!Number.isSafeInteger(length) || length < 0 || length > MAX_LENGTH) {
    throw invalidArgument(argument, length, `a length of account data: an integer in [0, ${MAX_LENGTH}]`);
  }
  return length;
}

/** Whether two states are the same; `undefined` is an account that does not exist. */
export function sameState(one: AccountState | undefined, other: AccountState | undefined): boolean {
  if (!one || !other) return one === other;
  return (
    one.lamports === other.lamports &&
    one.owner === other.owner &&
    one.executable === other.executable &&
    Buffer.compare(one.data, other.data) === 0
  );
}
