/** Accounts, and what Solana's runtime checks after an invocation. */

import { rule } from './rules.js';
import type { Meta } from './state.js';

export interface Account {
  readonly lamports: bigint;
  readonly data: Uint8Array;
  readonly owner: string;
  readonly executable: boolean;
}

export const SYSTEM_PROGRAM = '11111111111111111111111111111111';
/** What is sent there is lost, so it may hold any amount. */
const INCINERATOR = '1nc1nerator11111111111111111111111111111111';
/** An account's data lies in memory that is so much longer; what is written there counts if the program makes the data longer afterwards. */
export const SPARE_DATA = 10_240;
export const MAX_ACCOUNT_DATA = 10 * 1024 * 1024;

/** What an account is that is not there. */
export const ABSENT: Account = { lamports: 0n, data: new Uint8Array(0), owner: SYSTEM_PROGRAM, executable: false };

/** Accounts that the runtime provides: nobody writes to them, whatever an instruction says. Loaded programs are such, too. */
const PROVIDED = new Set([
  SYSTEM_PROGRAM,
  'NativeLoader1111111111111111111111111111111',
  'BPFLoader1111111111111111111111111111111111',
  'BPFLoader2111111111111111111111111111111111',
  'BPFLoaderUpgradeab1e11111111111111111111111',
  'LoaderV411111111111111111111111111111111111',
  'SysvarC1ock11111111111111111111111111111111',
  'SysvarEpochRewards1111111111111111111111111',
  'SysvarEpochSchedu1e111111111111111111111111',
  'SysvarLastRestartS1ot1111111111111111111111',
  'SysvarRent111111111111111111111111111111111',
  'SysvarS1otHashes111111111111111111111111111',
  'SysvarStakeHistory1111111111111111111111111',
]);

export function isProvided(address: string, programs: ReadonlyMap<string, unknown>): boolean {
  return PROVIDED.has(address) || programs.has(address);
}

/** A program did something that ends it. */
export class Failure extends Error {
  constructor(
    reason: string,
    readonly customCode?: number,
    /** Whether it uses up the budget: one that runs out of it does, and one that its machine stops, not one that a call stops. */
    readonly wholeBudget = false,
  ) {
    super(reason);
  }
}

/** An account as a running program sees it, and may change it; what it may not change shows when the program is over. */
export interface AccountView extends Meta {
  readonly owner: string;
  readonly executable: boolean;
  lamports: bigint;
  data: Uint8Array;
  /** What the program has written behind the data; the rest there is zeroes. */
  spare?: Uint8Array;
}

type Accounts = Map<string, Account>;

/** What a program gets for these metas: one that is named twice is one account, with the rights of both. */
export function views(metas: readonly Meta[], accounts: Accounts, programs: ReadonlyMap<string, unknown>): AccountView[] {
  const byAddress = new Map<string, AccountView>();
  for (const { address } of metas) {
    const same = metas.filter((meta) => meta.address === address);
    const isSigner = same.some((meta) => meta.isSigner);
    const isWritable = same.some((meta) => meta.isWritable) && !isProvided(address, programs);
    const { lamports, data, owner, executable } = accounts.get(address) ?? ABSENT;
    byAddress.set(address, { address, isSigner, isWritable, lamports, data: data.slice(), owner, executable });
  }
  return metas.map(({ address }) => byAddress.get(address)!);
}

export function mayChangeData({ isWritable, owner }: AccountView, programId: string): boolean {
  return isWritable && owner === programId;
}

/** Whether a program has changed data that it may not. That is noticed when it is over, not when it invokes another. */
export function isDataForbidden(view: AccountView, programId: string, accounts: Accounts): boolean {
  return !mayChangeData(view, programId) && !sameBytes(view.data, (accounts.get(view.address) ?? ABSENT).data);
}

/** Shows a program what the program that it invoked has changed. */
export function refresh(view: AccountView, accounts: Accounts, data: boolean): void {
  const now = accounts.get(view.address) ?? ABSENT;
  view.lamports = now.lamports;
  if (data) {
    if (view.data.length !== now.data.length) delete view.spare;
    view.data = now.data.slice();
  }
}

/** Takes over what a program has changed in an account. */
export function takeOver(view: AccountView, programId: string, accounts: Accounts, data = true): void {
  const before = accounts.get(view.address) ?? ABSENT;
  const dataChanged = data && !sameBytes(before.data, view.data);
  if (before.lamports === view.lamports && !dataChanged) return;
  if (!view.isWritable && rule('callbacks.read-only')) throw new Failure('read-only account changed');
  if (before.owner !== programId) {
    if (dataChanged && rule('callbacks.owner-only', 'data')) throw new Failure("another program's account changed");
    if (view.lamports < before.lamports && rule('callbacks.owner-only', 'lamports')) throw new Failure("another program's lamports spent");
  }
  accounts.set(view.address, { ...before, lamports: view.lamports, data: data ? view.data.slice() : before.data });
}

export function lamportsOf(list: readonly AccountView[], accounts: Accounts): bigint {
  return [...new Set(list)].reduce((sum, { address }) => sum + (accounts.get(address) ?? ABSENT).lamports, 0n);
}

export function checkBalance(before: bigint, after: bigint): void {
  if (before !== after && rule('callbacks.lamports-balance')) throw new Failure('lamports made or lost');
}

const rentExemption = (data: Uint8Array): bigint => (128n + BigInt(data.length)) * 6960n;

/** After the whole invocation. */
export function checkRent(address: string, before: Account, after: Account): void {
  if (address === INCINERATOR) return;
  if (after.lamports === 0n || after.lamports >= rentExemption(after.data)) return;
  const wasBelow = before.lamports > 0n && before.lamports < rentExemption(before.data);
  if (!wasBelow && rule('callbacks.rent', 'came below')) throw new Failure('below rent exemption');
  if (after.data.length !== before.data.length && rule('callbacks.rent', 'resized')) throw new Failure('below rent exemption and resized');
  if (after.lamports > before.lamports && rule('callbacks.rent', 'gained')) throw new Failure('below rent exemption and richer');
  rule('callbacks.rent', 'was below');
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

export function sameAccount(a: Account, b: Account): boolean {
  return a.lamports === b.lamports && a.owner === b.owner && a.executable === b.executable && sameBytes(a.data, b.data);
}
