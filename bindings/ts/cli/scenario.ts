/** A scenario file: everything about a run except how it is executed. examples/README.md is its documentation. */

import { dirname, resolve } from 'node:path';
import { parseAccounts, U64, type AccountState } from './accounts.js';
import { parseArguments, type Part } from './encode.js';
import { parseFeed, type FeedSlot } from './feed.js';
import { decodeText, readGiven, readNamed } from './files.js';
import { parseJson, type Json } from './json.js';
import { Names, parseAddress } from './names.js';
import { parseReport, type Report } from './report.js';

export interface Scenario {
  description: string | undefined;
  names: Names;
  programs: Program[];
  accounts: AccountState[];
  rings: Ring[];
  setup: Invocation[];
  feed: FeedSlot[];
  report: Report;
}

/** `json` is where the scenario says it, for messages. */
interface Program {
  json: Json;
  address: string;
  elf: Uint8Array;
}

interface Ring {
  json: Json;
  name: string;
  programId: string;
  size: bigint | undefined;
  reader: 'program' | 'host';
}

export interface Invocation {
  json: Json;
  programId: string;
  accounts: { address: string; isWritable: boolean; isSigner: boolean }[];
  data: Part[];
  computeBudget: bigint | undefined;
}

export function readScenario(path: string): Scenario {
  const { name, bytes } = readGiven(path);
  const folder = dirname(resolve(path));
  const members = parseJson(decodeText(bytes), name).object(['programs', 'feed'], ['description', 'accounts', 'rings', 'setup', 'report']);
  const names = new Names();
  const programs = members.programs.entries().map(([program, json]) => parseProgram(program, json, names, folder));
  const accounts = members.accounts ? parseAccounts(members.accounts, names, folder) : new Map<string, AccountState>();
  const rings = (members.rings?.entries() ?? []).map(([ring, json]) => parseRing(ring, json, names));
  const readers = new Map(rings.map((ring) => [ring.name, ring.reader]));
  const feed = parseFeed(members.feed, accounts, names, folder);
  return {
    description: members.description?.string(),
    names,
    programs,
    accounts: [...accounts.values()],
    rings,
    setup: (members.setup?.items() ?? []).map((json) => parseInvocation(json, names, new Set(readers.keys()), feed)),
    feed,
    report: members.report ? parseReport(members.report, readers, accounts) : { records: [], holding: undefined },
  };
}

/** The slot in which the set-up happens: the one before the feed. */
export function setupSlot(feed: readonly FeedSlot[]): bigint {
  return feed[0]!.slot - 1n;
}

function parseProgram(name: string, json: Json, names: Names, folder: string): Program {
  const { address, file } = json.object(['address', 'file'], []);
  const program = { json: file, address: parseAddress(address), elf: readNamed(file, folder).bytes };
  names.add(name, program.address, json);
  return program;
}

function parseRing(name: string, json: Json, names: Names): Ring {
  const { program, size, reader } = json.object(['program'], ['size', 'reader']);
  return {
    json,
    name,
    programId: names.resolve(program),
    size: size?.integer(U64.min, U64.max),
    reader: reader?.oneOf(['program', 'host']) ?? 'program',
  };
}

function parseInvocation(json: Json, names: Names, rings: ReadonlySet<string>, feed: readonly FeedSlot[]): Invocation {
  const { program, accounts, data, computeBudget } = json.object(['program'], ['accounts', 'data', 'computeBudget']);
  return {
    json,
    programId: names.resolve(program),
    accounts: (accounts?.items() ?? []).map((meta) => {
      if (meta.isString) return { address: names.resolve(meta), isWritable: false, isSigner: false };
      const { account, writable, signer } = meta.object(['account'], ['writable', 'signer']);
      return { address: names.resolve(account), isWritable: writable?.boolean() ?? false, isSigner: signer?.boolean() ?? false };
    }),
    data: data ? parseArguments(data, names, rings, setupSlot(feed)) : [],
    computeBudget: computeBudget?.integer(U64.min, U64.max),
  };
}
