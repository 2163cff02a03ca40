/** Mints and token accounts, in the layout of SPL Token, which is also how accounts of Token-2022 begin. */

import { addressString, toAddress, toBoolean, toBytes, toObject, toU64, type AddressLike, type U64Like } from '../arguments.js';
import { invalidArgument } from '../errors.js';
import type { Address } from '../types.js';
import { dataAccount, rentExemption, type AccountState, type BalanceOptions } from './accounts.js';
import { TOKEN_PROGRAM } from './addresses.js';
import { readU64, writeU64 } from './numbers.js';

const MINT_LENGTH = 82;
const TOKEN_ACCOUNT_LENGTH = 165;
const ADDRESS_LENGTH = 32;
const STATES: readonly TokenAccountState[] = ['uninitialized', 'initialized', 'frozen'];
/** In accounts of Token-2022 with extensions: what the byte after the longer of both layouts says. */
const EXTENDED = { mint: 1, account: 2 };

/** What a mint says, with the names that `@solana-program/token` has for its fields. */
export interface MintInfo {
  /** Who may mint; `undefined` when the supply is fixed. */
  mintAuthority?: Address;
  /** In units, of which 10^decimals are one token. */
  supply: bigint;
  /** Of the amounts that people see. */
  decimals: number;
  /** Whether it can be used. */
  isInitialized: boolean;
  /** Who may freeze token accounts. */
  freezeAuthority?: Address;
}

/** A mint to be built. What is left out is not set. */
export interface MintOptions extends BalanceOptions {
  /** Who may mint. Default: nobody. */
  mintAuthority?: AddressLike;
  /** Units that exist, in [0, 2^64 - 1]. Default 0. Nothing compares it with token accounts. */
  supply?: U64Like;
  /** In [0, 255]. Default 0. */
  decimals?: number;
  /** Default true. */
  isInitialized?: boolean;
  /** Who may freeze token accounts. Default: nobody. */
  freezeAuthority?: AddressLike;
  /** The program that owns it. Default {@link TOKEN_PROGRAM}. */
  tokenProgram?: AddressLike;
}

/** Whether tokens can be moved. */
export type TokenAccountState = 'uninitialized' | 'initialized' | 'frozen';

/** What a token account says, with the names that `@solana-program/token` has for its fields. */
export interface TokenAccountInfo {
  /** Whose tokens these are. */
  mint: Address;
  /** Who may spend. */
  owner: Address;
  /** In units. */
  amount: bigint;
  /** Who else may spend, up to `delegatedAmount`. */
  delegate?: Address;
  /** Whether tokens can be moved. */
  state: TokenAccountState;
  /** Of wrapped SOL: the lamports that are not part of the amount. */
  isNative?: bigint;
  /** In units. */
  delegatedAmount: bigint;
  /** Who may close it, if not the owner. */
  closeAuthority?: Address;
}

/** A token account to be built. What is left out is not set. */
export interface TokenAccountOptions extends BalanceOptions {
  /** Whose tokens these are. */
  mint: AddressLike;
  /** Who may spend; not the program that owns the account, which is `tokenProgram`. */
  owner: AddressLike;
  /** Units, in [0, 2^64 - 1]. Default 0. */
  amount?: U64Like;
  /** Who else may spend, up to `delegatedAmount`. Default: nobody. */
  delegate?: AddressLike;
  /** Default `'initialized'`. */
  state?: TokenAccountState;
  /** For wrapped SOL: lamports that are not part of the amount, in [0, 2^64 - 1]. `lamports` then is this and the amount unless it is given. */
  isNative?: U64Like;
  /** Units, in [0, 2^64 - 1]. Default 0. */
  delegatedAmount?: U64Like;
  /** Who may close it, if not the owner. Default: nobody. */
  closeAuthority?: AddressLike;
  /** The program that owns it. Default {@link TOKEN_PROGRAM}. */
  tokenProgram?: AddressLike;
}

const MINT_KEYS = ['mintAuthority', 'supply', 'decimals', 'isInitialized', 'freezeAuthority', 'tokenProgram', 'lamports'];
const TOKEN_ACCOUNT_KEYS = [
  'mint',
  'owner',
  'amount',
  'delegate',
  'state',
  'isNative',
  'delegatedAmount',
  'closeAuthority',
  'tokenProgram',
  'lamports',
];

/**
 * A mint: 82 bytes, exempt from rent unless `lamports` says otherwise.
 *
 * @throws AsyncBpfError INVALID_ARGUMENT
 * @example
 * ```ts
 * engine.setAccount(mint, mintAccount({ mintAuthority: treasury, decimals: 6, supply: 1_000_000n }));
 * ```
 */
export function mintAccount(options: MintOptions = {}): AccountState {
  toObject(options, 'options', MINT_KEYS);
  const { supply = 0, decimals = 0, isInitialized = true, tokenProgram = TOKEN_PROGRAM, lamports } = options;
  if (!Number.isInteger(decimals) || decimals < 0 || decimals > 255) throw invalidArgument('decimals', decimals, 'an integer in [0, 255]');
  const data = new Uint8Array(MINT_LENGTH);
  writeOptionalAddress(data, 0, options.mintAuthority, 'mintAuthority');
  writeU64(data, 36, toU64(supply, 'supply'));
  data[44] = decimals;
  data[45] = toBoolean(isInitialized, 'isInitialized') ? 1 : 0;
  writeOptionalAddress(data, 46, options.freezeAuthority, 'freezeAuthority');
  return dataAccount(toAddress(tokenProgram, 'tokenProgram'), data, { lamports });
}

/**
 * A token account: 165 bytes, exempt from rent unless `lamports` says otherwise.
 *
 * @throws AsyncBpfError INVALID_ARGUMENT
 * @example
 * ```ts
 * engine.setAccount(vault, tokenAccount({ mint, owner: agent, amount: 500n }));
 * ```
 */
export function tokenAccount(options: TokenAccountOptions): AccountState {
  toObject(options, 'options', TOKEN_ACCOUNT_KEYS);
  const { amount = 0, state = 'initialized', isNative, delegatedAmount = 0, tokenProgram = TOKEN_PROGRAM } = options;
  if (!STATES.includes(state)) throw invalidArgument('state', state, `one of ${STATES.map((name) => `'${name}'`).join(', ')}`);
  const data = new Uint8Array(TOKEN_ACCOUNT_LENGTH);
  const units = toU64(amount, 'amount');
  data.set(toAddress(options.mint, 'mint'), 0);
  data.set(toAddress(options.owner, 'owner'), 32);
  writeU64(data, 64, units);
  writeOptionalAddress(data, 72, options.delegate, 'delegate');
  data[108] = STATES.indexOf(state);
  const reserve = isNative === undefined ? undefined : toU64(isNative, 'isNative');
  if (reserve !== undefined) {
    data[109] = 1;
    writeU64(data, 113, reserve);
  }
  writeU64(data, 121, toU64(delegatedAmount, 'delegatedAmount'));
  writeOptionalAddress(data, 129, options.closeAuthority, 'closeAuthority');
  const balance = reserve === undefined ? rentExemption(TOKEN_ACCOUNT_LENGTH) : reserve + units;
  return dataAccount(toAddress(tokenProgram, 'tokenProgram'), data, { lamports: options.lamports ?? balance });
}

/**
 * What a mint says. Extensions of Token-2022 are left out.
 *
 * @param data The data of the account.
 * @throws AsyncBpfError INVALID_ARGUMENT for data that is no mint's.
 */
export function readMint(data: Uint8Array): MintInfo {
  assertLayout(data, MINT_LENGTH, EXTENDED.mint, 'a mint');
  const [mintAuthority, freezeAuthority] = [readOptionalAddress(data, 0), readOptionalAddress(data, 46)];
  return {
    ...(mintAuthority !== undefined && { mintAuthority }),
    supply: readU64(data, 36),
    decimals: data[44]!,
    isInitialized: data[45] === 1,
    ...(freezeAuthority !== undefined && { freezeAuthority }),
  };
}

/**
 * What a token account says. Extensions of Token-2022 are left out.
 *
 * @param data The data of the account.
 * @throws AsyncBpfError INVALID_ARGUMENT for data that is no token account's.
 * @example
 * ```ts
 * expect(readTokenAccount(world.engine.getAccount(vault)!.data).amount).toBe(450n);
 * ```
 */
export function readTokenAccount(data: Uint8Array): TokenAccountInfo {
  assertLayout(data, TOKEN_ACCOUNT_LENGTH, EXTENDED.account, 'a token account');
  const state = STATES[data[108]!];
  if (!state) throw invalidArgument('data[108]', data[108], `a state of a token account: 0 to ${STATES.length - 1}`);
  const [delegate, closeAuthority] = [readOptionalAddress(data, 72), readOptionalAddress(data, 129)];
  return {
    mint: readAddress(data, 0),
    owner: readAddress(data, 32),
    amount: readU64(data, 64),
    ...(delegate !== undefined && { delegate }),
    state,
    ...(data[109] === 1 && { isNative: readU64(data, 113) }),
    delegatedAmount: readU64(data, 121),
    ...(closeAuthority !== undefined && { closeAuthority }),
  };
}

/** The tag of an optional field takes 4 bytes, of which the first is 0 or 1. */
function writeOptionalAddress(data: Uint8Array, offset: number, address: AddressLike | undefined, argument: string): void {
  if (address === undefined) return;
  data[offset] = 1;
  data.set(toAddress(address, argument), offset + 4);
}

function readOptionalAddress(data: Uint8Array, offset: number): Address | undefined {
  return data[offset] === 1 ? readAddress(data, offset + 4) : undefined;
}

function readAddress(data: Uint8Array, offset: number): Address {
  return addressString(data.subarray(offset, offset + ADDRESS_LENGTH));
}

function assertLayout(data: Uint8Array, length: number, extended: number, what: string): void {
  const isLonger = toBytes(data, 'data').length > TOKEN_ACCOUNT_LENGTH && data[TOKEN_ACCOUNT_LENGTH] === extended;
  if (data.length !== length && !isLonger) {
    throw invalidArgument('data', data, `that of ${what}: ${length} bytes, or more with the extensions of Token-2022`);
  }
}
