/** The accounts of a scenario. */

import type { AccountUpdate } from '../types.js';
import { parseBytes, parseEncoded } from './encode.js';
import { decodeText, readNamed } from './files.js';
import { parseJson, type Json } from './json.js';
import { parseAddress, type Names } from './names.js';
import { rangeOf } from './numbers.js';

export interface AccountState extends AccountUpdate {
  /** Where the input says it, for messages. */
  json: Json;
  address: string;
  data: Uint8Array;
}

export const U64 = rangeOf('u64');
const SYSTEM_PROGRAM = '1'.repeat(32);
const MAX_SIZE = 10 * 1024 * 1024;
const STATE_KEYS = ['lamports', 'owner', 'size', 'data'] as const;
type StateMembers = Partial<Record<(typeof STATE_KEYS)[number], Json>>;

/** Accounts by name; adds them to the names. */
export function parseAccounts(json: Json, names: Names, folder: string): Map<string, AccountState> {
  // First every address, since the data of one account may speak of another.
  const states = json.entries().map(([name, account]): [string, () => AccountState] => {
    const members = account.object([], ['file', 'address', ...STATE_KEYS]);
    if (members.file) account.object(['file'], []);
    const base = members.file ? readAccountFile(members.file, folder) : { json: account, address: parseAddress(account.member('address')) };
    names.add(name, base.address, account);
    return [name, () => parseState(members, names, base)];
  });
  return new Map(states.map(([name, state]) => [name, state()]));
}

/** A state of an account in a feed: what it leaves out is as in the scenario. */
export function parseUpdate(json: Json, names: Names, accounts: Iterable<AccountState>): AccountUpdate {
  const members = json.object(['account'], [...STATE_KEYS, 'writeVersion']);
  const address = names.resolve(members.account);
  const known = [...accounts].find((account) => account.address === address);
  const { json: _, ...state } = parseState(members, names, { ...known, json, address });
  return members.writeVersion ? { ...state, writeVersion: members.writeVersion.integer(U64.min, U64.max) } : state;
}

function parseState(members: StateMembers, names: Names, base: Partial<AccountState> & { json: Json; address: string }): AccountState {
  const data = parseData(members, names) ?? base.data ?? new Uint8Array(0);
  return {
    ...base,
    data,
    lamports: members.lamports?.integer(U64.min, U64.max) ?? base.lamports ?? rentExemptMinimum(data.length),
    owner: members.owner ? names.resolve(members.owner) : (base.owner ?? SYSTEM_PROGRAM),
  };
}

/** What `data` lists, with zeros up to `size`. */
function parseData({ data, size }: StateMembers, names: Names): Uint8Array | undefined {
  const listed = data && parseBytes(data, names);
  if (!size) return listed;
  const bytes = new Uint8Array(size.count(0, MAX_SIZE));
  if (listed && listed.length > bytes.length) return size.expected(`at least the ${listed.length} bytes of data`);
  bytes.set(listed ?? []);
  return bytes;
}

/** What a new cluster asks for: two years of 3,480 lamports for each byte, and for 128 more. */
function rentExemptMinimum(size: number): bigint {
  return BigInt(128 + size) * 6960n;
}

/** The file that `solana account --output json` writes. */
function readAccountFile(json: Json, folder: string): AccountState {
  const { name, bytes } = readNamed(json, folder);
  const file = parseJson(decodeText(bytes), name);
  const account = file.member('account');
  const [data, encoding, ...more] = account.member('data').items();
  if (!data || !encoding || more.length > 0) return account.member('data').expected('["...", "base64"]');
  encoding.oneOf(['base64']);
  return {
    json,
    address: parseAddress(file.member('pubkey')),
    lamports: account.member('lamports').integer(U64.min, U64.max),
    data: parseEncoded(data, 'base64'),
    owner: parseAddress(account.member('owner')),
    executable: account.member('executable').boolean(),
  };
}
