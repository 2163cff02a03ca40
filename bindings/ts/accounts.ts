/** Accounts as hosts state them. */

import { toAddress, toBoolean, toBytes, toU64, type ArgumentName } from './arguments.js';
import { NO_BYTES, optionalU64 } from './callbacks.js';
import type { AccountInit, AccountUpdate } from './types.js';
import type { WireAccount } from './wire.js';

const SYSTEM_PROGRAM = new Uint8Array(32);

/** What an account may say. */
export const ACCOUNT_KEYS = ['address', 'lamports', 'data', 'owner', 'executable'] as const;

/** What an update may say. */
export const ACCOUNT_UPDATE_KEYS = [...ACCOUNT_KEYS, 'writeVersion'] as const;

/** What each of them is called in an error. */
export type AccountNames = Record<(typeof ACCOUNT_UPDATE_KEYS)[number], ArgumentName>;

export function accountNames(name: (member: string) => ArgumentName): AccountNames {
  return {
    address: name('address'),
    lamports: name('lamports'),
    data: name('data'),
    owner: name('owner'),
    executable: name('executable'),
    writeVersion: name('writeVersion'),
  };
}

/** Of an account by itself. */
export const ACCOUNT_NAMES = accountNames((member) => member);

export function toAccount(account: AccountInit, names: AccountNames): WireAccount {
  const { lamports, data = NO_BYTES, owner = SYSTEM_PROGRAM, executable = false } = account;
  return {
    lamports: toU64(lamports, names.lamports),
    data: toBytes(data, names.data),
    owner: toAddress(owner, names.owner),
    executable: toBoolean(executable, names.executable),
  };
}

export interface WireUpdate {
  address: Uint8Array;
  account: WireAccount;
  writeVersion: bigint | undefined;
}

export function toAccountUpdate(update: AccountUpdate, names: AccountNames): WireUpdate {
  return {
    address: toAddress(update.address, names.address),
    account: toAccount(update, names),
    writeVersion: optionalU64(update.writeVersion, names.writeVersion),
  };
}
