// The declarations of @solana/kit name types of browsers.
/// <reference lib="dom" />

/** The programs of the Solana program library as they run on the public clusters, and the instructions that the tests give them. */

import { LiteSVM } from 'litesvm';
import { address as kitAddress } from '@solana/kit';
import bs58 from 'bs58';
import type { AsyncBpfEngine, CallbackOptions } from '../../dist/index.js';
import { u64 } from './bytes.js';
import { SYSTEM_PROGRAM } from './addresses.js';

export const TOKEN = 'TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA';
export const TOKEN_2022 = 'TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb';
export const ASSOCIATED_TOKEN = 'ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL';
export const MEMO = 'MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr';
export const MEMO_V1 = 'Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo';
const RENT = 'SysvarRent111111111111111111111111111111111';

export const MINT_LENGTH = 82;
export const ACCOUNT_LENGTH = 165;

/** Header of the account in which the upgradeable loader keeps the ELF file. */
const PROGRAMDATA_HEADER = 45;

const svm = new LiteSVM();

/** The ELF file behind a program that LiteSVM has. */
export function elfOf(program: string): Uint8Array {
  const { data } = accountOf(program);
  if (data[0] !== 2) return data;
  return accountOf(bs58.encode(data.slice(4, 36))).data.slice(PROGRAMDATA_HEADER);
}

function accountOf(name: string) {
  const account = svm.getAccount(kitAddress(name));
  if (!account.exists) throw new Error(`LiteSVM has no account ${name}`);
  return account;
}

export function addSplPrograms(engine: AsyncBpfEngine): void {
  for (const program of [TOKEN, TOKEN_2022, ASSOCIATED_TOKEN, MEMO, MEMO_V1]) engine.addProgram(program, elfOf(program));
}

export interface Meta {
  address: string;
  isSigner?: boolean;
  isWritable?: boolean;
}

export interface Instruction extends CallbackOptions {
  programId: string;
  data: Uint8Array;
  accounts: Meta[];
}

const writable = (address: string): Meta => ({ address, isWritable: true });
const signer = (address: string): Meta => ({ address, isSigner: true });
const writableSigner = (address: string): Meta => ({ address, isSigner: true, isWritable: true });
const key = (address: string) => bs58.decode(address);
const bytes = (...parts: (number | Uint8Array)[]) =>
  Buffer.concat(parts.map((part) => (typeof part === 'number' ? Uint8Array.of(part) : part)));

export const system = {
  createAccount: (from: string, created: string, lamports: bigint, space: number, owner: string): Instruction => ({
    programId: SYSTEM_PROGRAM,
    data: bytes(0, 0, 0, 0, u64(lamports, space), key(owner)),
    accounts: [writableSigner(from), writableSigner(created)],
  }),
  transfer: (from: string, to: string, lamports: bigint | number): Instruction => ({
    programId: SYSTEM_PROGRAM,
    data: bytes(2, 0, 0, 0, u64(lamports)),
    accounts: [writableSigner(from), writable(to)],
  }),
};

/** Instructions that Token and Token-2022 have in common. */
export const token = (programId: string) => ({
  initializeMint: (mint: string, decimals: number, authority: string): Instruction => ({
    programId,
    data: bytes(0, decimals, key(authority), 0),
    accounts: [writable(mint), { address: RENT }],
  }),
  initializeMint2: (mint: string, decimals: number, authority: string): Instruction => ({
    programId,
    data: bytes(20, decimals, key(authority), 0),
    accounts: [writable(mint)],
  }),
  initializeAccount: (account: string, mint: string, owner: string): Instruction => ({
    programId,
    data: bytes(1),
    accounts: [writable(account), { address: mint }, { address: owner }, { address: RENT }],
  }),
  initializeAccount3: (account: string, mint: string, owner: string): Instruction => ({
    programId,
    data: bytes(18, key(owner)),
    accounts: [writable(account), { address: mint }],
  }),
  mintTo: (mint: string, to: string, authority: string, amount: bigint | number): Instruction => ({
    programId,
    data: bytes(7, u64(amount)),
    accounts: [writable(mint), writable(to), signer(authority)],
  }),
  transfer: (from: string, to: string, authority: string, amount: bigint | number): Instruction => ({
    programId,
    data: bytes(3, u64(amount)),
    accounts: [writable(from), writable(to), signer(authority)],
  }),
  transferChecked: (from: string, mint: string, to: string, authority: string, amount: bigint | number, decimals: number): Instruction => ({
    programId,
    data: bytes(12, u64(amount), decimals),
    accounts: [writable(from), { address: mint }, writable(to), signer(authority)],
  }),
  closeAccount: (account: string, to: string, authority: string): Instruction => ({
    programId,
    data: bytes(9),
    accounts: [writable(account), writable(to), signer(authority)],
  }),
});

export function createAssociatedAccount(payer: string, account: string, owner: string, mint: string, tokenProgram: string): Instruction {
  return {
    programId: ASSOCIATED_TOKEN,
    data: bytes(0),
    accounts: [writableSigner(payer), writable(account), ...[owner, mint, SYSTEM_PROGRAM, tokenProgram].map((address) => ({ address }))],
  };
}
