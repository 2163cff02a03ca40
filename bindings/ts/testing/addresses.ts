/** Addresses that tests can name, and that messages name back. */

import { addressString, toAddress } from '../arguments.js';
import { invalidArgument } from '../errors.js';

/**
 * A base58 address. It is a string, and `@solana/kit` and `litesvm` take it for their own `Address` without a cast; neither has to be installed.
 */
export type TestAddress = string & {
  /** Tells it from other texts. */
  readonly '__brand:@solana/kit': 'Address';
  /** Says how it is written. */
  readonly '__stringEncoding:@solana/kit': 'base58';
};

/** The system program: owner of accounts that only hold lamports. */
export const SYSTEM_PROGRAM = '11111111111111111111111111111111' as TestAddress;
/** SPL Token. */
export const TOKEN_PROGRAM = 'TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA' as TestAddress;
/** SPL Token-2022. */
export const TOKEN_2022_PROGRAM = 'TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb' as TestAddress;

const LENGTH = 32;
const NAME = /^[\x20-\x7e]{1,32}$/;

/**
 * The address whose bytes are the name in ASCII, then zeros. The same name gives the same address in every run and on every machine, and
 * failure messages of this kit show the name beside it. Nobody has a key for it: an account that signs transactions in LiteSVM needs a signer
 * of `@solana/kit` instead.
 *
 * @param name 1 to 32 printable ASCII characters.
 * @throws AsyncBpfError INVALID_ARGUMENT
 * @example
 * ```ts
 * const counter = namedAddress('counter');
 * ```
 */
export function namedAddress(name: string): TestAddress {
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw invalidArgument('name', name, `1 to ${LENGTH} printable ASCII characters, since they become the bytes of the address`);
  }
  const bytes = new Uint8Array(LENGTH);
  for (let index = 0; index < name.length; index++) bytes[index] = name.charCodeAt(index);
  return addressString(bytes) as TestAddress;
}

/**
 * The address of each name, in the same order: see {@link namedAddress}.
 *
 * @param names Each 1 to 32 printable ASCII characters.
 * @throws AsyncBpfError INVALID_ARGUMENT
 * @example
 * ```ts
 * const [program, counter] = namedAddresses('program', 'counter');
 * ```
 */
export function namedAddresses<Names extends readonly string[]>(...names: Names): { [Index in keyof Names]: TestAddress } {
  return names.map((name) => namedAddress(name)) as { [Index in keyof Names]: TestAddress };
}

/** An address for people: with its name, if it has one. */
export function label(address: string): string {
  const name = Buffer.from(toAddress(address, 'address')).toString('latin1').replace(/\0+$/, '');
  return NAME.test(name) ? `"${name}" (${address})` : address;
}
