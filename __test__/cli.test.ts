/** The command line as its users see it: a child process with arguments, output and an exit code. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { AsyncBpfEngine } from '../dist/index.js';
import { address, SYSTEM_PROGRAM } from './support/addresses.js';
import { readU64, u64 } from './support/bytes.js';
import { prebuilt } from './support/engine.js';

const root = process.cwd();
const main = join(root, 'dist/cli/main.js');
const example = 'examples/momentum/scenario.json';
const temporary = mkdtempSync(join(tmpdir(), 'async-bpf-cli-'));
afterAll(() => rmSync(temporary, { recursive: true }));

function cli(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { cwd: root, encoding: 'utf8' });
  return { status, stdout, stderr };
}

let folders = 0;
/** A folder with these files: text, bytes, or what is to be written as JSON, one member of an object a line. */
function folder(files: Record<string, unknown>): string {
  const path = join(temporary, `${(folders += 1)}`);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    const isRaw = typeof content === 'string' || content instanceof Uint8Array;
    writeFileSync(join(path, name), isRaw ? content : JSON.stringify(content, undefined, 2));
  }
  return path;
}

interface Results {
  [key: string]: unknown;
  trades: Record<string, unknown>[];
  seconds: number;
}

function runJson(scenario: string, ...options: string[]) {
  const file = join(temporary, `${(folders += 1)}.json`);
  const { status, stdout, stderr } = cli('run', scenario, '--json', file, ...options);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return { stdout, results: JSON.parse(readFileSync(file, 'utf8')) as Results };
}

// ----------------------------------------------------------------------------------------------------------------------- usage

describe('usage', () => {
  test('--help and --version answer on stdout', () => {
    expect(cli('--help')).toMatchObject({
      status: 0,
      stderr: '',
      stdout: expect.stringMatching(/^Usage: async-bpf .*run \[options\] <scenario>/s),
    });
    expect(cli('run', '--help')).toMatchObject({ status: 0, stderr: '', stdout: expect.stringContaining('--json <file>') });
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(cli('--version')).toEqual({ status: 0, stderr: '', stdout: `${version}\n` });
  });

  test('no arguments show the help on stderr', () => {
    expect(cli()).toMatchObject({ status: 2, stdout: '', stderr: expect.stringMatching(/^Usage: async-bpf/) });
  });

  test.each([
    [['frob'], "error: unknown command 'frob'"],
    [['run'], "error: missing required argument 'scenario'"],
    [['run', 'a.json', 'b.json'], "error: too many arguments for 'run'. Expected 1 argument but got 2."],
    [['run', example, '--workers', '0'], "error: option '--workers <n>' argument '0' is invalid. Expected an integer in [1, 256]."],
    [['run', example, '--workers', '257'], "error: option '--workers <n>' argument '257' is invalid. Expected an integer in [1, 256]."],
    [['run', example, '--workers', '1.5'], "error: option '--workers <n>' argument '1.5' is invalid. Expected an integer in [1, 256]."],
    [['run', example, '--json'], "error: option '--json <file>' argument missing"],
    [['run', example, '--workrs', '2'], "error: unknown option '--workrs'\n(Did you mean --workers?)"],
    [['run', 'absent.json'], 'error: absent.json: no such file or directory; expected a file that can be read'],
    [['run', 'examples'], 'error: examples: illegal operation on a directory; expected a file that can be read'],
  ])('%j', (args, message) => {
    expect(cli(...args)).toEqual({ status: 2, stdout: '', stderr: `${message}\n` });
  });
});

// ---------------------------------------------------------------------------------------------------------------- the main example

describe('the momentum example', () => {
  const { stdout, results } = runJson(example);

  test('writes its results for machines', () => {
    expect(results).toMatchObject({
      slots: 5105,
      firstSlot: 1,
      lastSlot: 5105,
      callbacks: 5114,
      failed: 0,
      expired: 0,
      startValue: 100_000,
      failures: [],
    });
    expect(results.stateHash).toMatch(/^[0-9a-f]{64}$/);
    expect(results.trades).toHaveLength(58);
    expect(results.trades[0]).toEqual({
      slot: 110,
      date: '2000-06-08',
      side: 'buy',
      reason: 'cross',
      price: 1461.670044,
      units: 68.414893,
      cash: 0.000338,
      raw: { price: '1461670044', units: '68414893', cash: '338' },
    });
    expect(new Set(results.trades.map(({ side, reason }) => `${side}: ${reason}`))).toEqual(
      new Set(['buy: cross', 'sell: cross', 'sell: take-profit', 'sell: stop-loss']),
    );
    expect(results.finalValue).toBe(results.trades.at(-1)!.cash);
    expect(results.buyAndHold).toBeCloseTo((100_000 * 2874.560059) / 1455.219971, 5);
    expect(results.unitsConsumed).toBeGreaterThan(1_000_000);
    expect(results.seconds).toBeGreaterThan(0);
  });

  test('shows a timeline and a summary that fit in 80 columns', () => {
    const lines = stdout.split('\n');
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(80);
    expect(lines).toContain('  992  2003-12-12  sell  take-profit  1,074.14   93.720060  100,668.47');
    expect(lines).toContain('trades                 58');
    expect(lines).toContain('final value    144,982.85  +44.98 %');
    expect(lines).toContain(`state hash     ${String(results.stateHash)}`);
    expect(lines.filter((line) => /^ *[\d,]+  \d{4}-/.test(line))).toHaveLength(58);
  });

  test('comes to the same with any number of workers, and quietly', () => {
    const quiet = runJson(example, '--workers', '4', '--quiet');
    expect({ ...quiet.results, seconds: 0 }).toEqual({ ...results, seconds: 0 });
    expect(quiet.stdout.split('\n')[0]).toBe('slots               5,105  1 to 5,105');
  });

  test('comes to the same as the API does', () => {
    using engine = new AsyncBpfEngine({ startTimestamp: 946_857_600 });
    const [program, state, price] = [
      'Momentum11111111111111111111111111111111111',
      'MomentumState111111111111111111111111111111',
      'Price11111111111111111111111111111111111111',
    ];
    const rentExempt = (size: number) => (128 + size) * 6960;
    engine.addProgram(program, prebuilt('momentum'));
    engine.setAccount(state, { lamports: rentExempt(2216), data: new Uint8Array(2216), owner: program });
    engine.setAccount(price, { lamports: rentExempt(48), data: new Uint8Array(48) });
    const ring = engine.rings.create({ programId: program, size: 4096, reader: 'host' });
    engine.invoke({
      programId: program,
      accounts: [{ address: state, isWritable: true }, price],
      data: Buffer.concat([Uint8Array.of(0), u64(20, 100, 2000, 700, 100_000_000_000n, ring, 1, 1, 20_000)]),
    });
    const trades: object[] = [];
    readFileSync('node_modules/vega-datasets/data/sp500-2000.csv', 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .forEach((line, index) => {
        const [date, open, high, low, close, , volume] = line.split(',') as string[];
        const micros = [open, high, low, close].map((text) => BigInt(text!.replace('.', '')));
        engine.updateAccounts([
          { address: price, lamports: rentExempt(48), data: u64(BigInt(date!.replaceAll('-', '')), ...micros, BigInt(volume!)) },
        ]);
        engine.processSlot(index + 1, { unixTimestamp: Date.parse(`${date}T00:00:00Z`) / 1000 });
        for (const { data } of engine.rings.drain(ring)) {
          const [side, , priceRaw, unitsRaw] = [8, 16, 24, 32].map((offset) => readU64(data, offset));
          trades.push({
            slot: index + 1,
            date,
            side: side === 0n ? 'buy' : 'sell',
            price: Number(priceRaw) / 1e6,
            units: Number(unitsRaw) / 1e6,
          });
        }
      });
    expect(results.trades).toMatchObject(trades);
    expect(results.stateHash).toBe(engine.stateHash());
  });
});

// ------------------------------------------------------------------------------------------------------------------- other agents

const counter = { address: address('counter'), file: join(root, 'programs/prebuilt/counter.so') };
const conformance = { address: address('conformance'), file: join(root, 'programs/prebuilt/conformance.so') };

test('a feed of JSON lines, accounts of files, and clocks', () => {
  const scenario = {
    programs: { counter },
    accounts: { count: { address: address('count'), owner: 'counter', data: [{ u64: '10' }] }, wallet: { file: 'wallet.json' } },
    feed: { jsonl: 'feed.jsonl' },
    setup: [{ program: 'counter', accounts: [{ account: 'count', writable: true }], data: [{ u8: 1 }] }],
    report: {
      value: {
        cash: { account: 'count', type: 'u64' },
        units: { account: 'wallet', type: 'i32', decimals: 2 },
        price: { account: 'wallet', type: 'u16', offset: 4 },
      },
    },
  };
  const wallet = {
    pubkey: address('wallet'),
    // The epoch is above 2^53, as the Solana tools write it.
    account: {
      lamports: 1_000_000_000,
      data: ['9AEAAAIA', 'base64'],
      owner: SYSTEM_PROGRAM,
      executable: false,
      rentEpoch: 18446744073709551615n,
      space: 6,
    },
  };
  const feed = [
    '{ "slot": 5, "unixTimestamp": 1000000000 }',
    '',
    `{ "slot": 300, "updates": [{ "account": "wallet", "data": [{ "i32": "-1.5", "decimals": 2 }, { "u16": 3 }], "writeVersion": 7 }, { "account": "${address('new')}", "size": 8 }] }`,
    '{ "slot": 18446744073709551614 }',
  ];
  const path = folder({
    'scenario.json': scenario,
    'wallet.json': JSON.stringify(wallet, (_, value: unknown) => (typeof value === 'bigint' ? 'EPOCH' : value)).replace(
      '"EPOCH"',
      '18446744073709551615',
    ),
    'feed.jsonl': feed.join('\r\n'),
  });
  const { results, stdout } = runJson(join(path, 'scenario.json'));
  // 12 after the first slot: 10 at first, the set-up, a callback; and 5 units at 2. At the end 14, and -1.5 units at 3.
  expect(results).toMatchObject({
    slots: 3,
    firstSlot: 5,
    lastSlot: '18446744073709551614',
    callbacks: 3,
    startValue: 22,
    finalValue: 10,
    buyAndHold: 33,
  });
  expect(stdout).toContain('slots              3  5 to 18,446,744,073,709,551,614\n');
});

test('callbacks that fail are shown with their error and what they logged', () => {
  const number = (value: number) => Buffer.from(u64(value)).toString('hex');
  const bytes = (hex: string) => `01${number(hex.length / 2)}${hex}`;
  // Says "no\x1b[2J more" and fails.
  const script = `0120${bytes(Buffer.from('no\u001b[2J more').toString('hex'))}`;
  const scenario = {
    programs: { conformance },
    feed: { csv: 'feed.csv', account: 'value', data: [{ column: 'a, "b"', type: 'u8' }], clock: 'time' },
    accounts: { value: { address: address('value'), size: 1 } },
    setup: [
      { program: 'conformance', data: [{ u8: 0, name: 'flags' }, { hex: `02${number(2)}${number(2)}${bytes(script)}${number(100_000)}` }] },
    ],
  };
  const path = folder({
    'scenario.json': scenario,
    'feed.csv': '\ufefftime,"a, ""b"""\n2024-02-28,1\n1709164800,"2"\n1709164801,3\n1709164802,4\n',
  });
  const { results, stdout } = runJson(join(path, 'scenario.json'));
  expect(results).toMatchObject({ slots: 4, callbacks: 2, failed: 2, startValue: null, finalValue: null, buyAndHold: null });
  expect(results.failures).toMatchObject([
    {
      slot: 2,
      date: '2024-02-29',
      program: 'conformance',
      source: expect.stringMatching(/^timer \d+$/),
      status: 'failed',
      error: 'custom program error: 0x7',
    },
    { slot: 4, date: '2024-02-29T00:00:02Z' },
  ]);
  expect(stdout).toMatch(
    /^ {3}2 {2}2024-02-29 {12}conformance: timer \d+ failed: custom program error: 0x7\n {28}Program log: no\ufffd\[2J more\n/m,
  );
});

test('the examples of the documentation run', () => {
  const [scenario, line] = [...readFileSync('examples/README.md', 'utf8').matchAll(/```json\n(.*?)```/gs)].map(([, text]) => text!);
  const files = { 'agent.so': prebuilt('counter'), 'prices.csv': 'close\n1192.7\n1156.39\n', 'updates.jsonl': line! };
  const path = folder({
    ...files,
    'scenario.json': scenario!,
    'lines.json': { ...(JSON.parse(scenario!) as object), feed: { jsonl: 'updates.jsonl' } },
  });
  expect(runJson(join(path, 'scenario.json')).results).toMatchObject({ slots: 2, lastSlot: 2 });
  expect(runJson(join(path, 'lines.json')).results).toMatchObject({ slots: 1, lastSlot: 250 });
});

test('results may go where there is no reader left', () => {
  const { status, stderr } = spawnSync('sh', ['-c', `"$0" "$1" run ${example} | head -n 1`, process.execPath, main], {
    cwd: root,
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

// -------------------------------------------------------------------------------------------------------------------- wrong input

/** The smallest scenario that has everything. */
function small() {
  return {
    programs: { counter },
    accounts: { count: { address: address('count'), owner: 'counter', size: 8 } },
    rings: { events: { program: 'counter', size: 4096, reader: 'host' } },
    feed: { csv: 'feed.csv', account: 'count', clock: 'day', data: [{ column: 'value', type: 'u64', decimals: 2 }] },
    setup: [{ program: 'counter', accounts: [{ account: 'count', writable: true }], data: [{ u8: 0 }] }],
    report: {
      records: { events: { ring: 'events', fields: [{ name: 'kind', type: 'u8' }] } },
      value: {
        cash: { account: 'count', type: 'u64' },
        units: { account: 'count', type: 'u64' },
        price: { account: 'count', type: 'u64' },
      },
    },
  };
}

const SMALL_FEED = 'day,value\n2024-01-01,1.25\n2024-01-02,1.5\n';

describe('wrong input', () => {
  test('the small scenario is right', () => {
    expect(cli('run', join(folder({ 's.json': small(), 'feed.csv': SMALL_FEED }), 's.json'))).toMatchObject({ status: 0, stderr: '' });
  });

  type Change = (scenario: ReturnType<typeof small>) => unknown;
  const set = (target: object, members: object) => void Object.assign(target, members);
  const refused: [string, Change, string | RegExp][] = [
    [
      'an unknown key',
      (s) => set(s.accounts.count, { lamprots: 5 }),
      's.json:13: accounts.count.lamprots is not a known key; expected file, address, lamports, owner, size, data',
    ],
    [
      'an unknown key at the top',
      (s) => set(s, { feeds: 5 }),
      /^s\.json:\d+: feeds is not a known key; expected programs, feed, description, /,
    ],
    ['a missing key', (s) => delete (s as Partial<typeof s>).feed, 's.json:1: has no "feed"'],
    [
      'a missing key inside',
      (s) => delete (s.programs.counter as Partial<typeof counter>).file,
      's.json:3: programs.counter has no "file"',
    ],
    [
      'text for a number',
      (s) => set(s.rings.events, { size: 'big' }),
      's.json:18: rings.events.size is "big"; expected an integer in [0, 18446744073709551615]',
    ],
    ['a number for text', (s) => set(s.rings.events, { reader: 5 }), 's.json:19: rings.events.reader is 5; expected one of program, host'],
    ['a list for an object', (s) => set(s, { rings: [] }), /^s\.json:\d+: rings is a list; expected an object$/],
    ['an object for a list', (s) => set(s, { setup: {} }), /^s\.json:\d+: setup is an object; expected a list$/],
    [
      'a negative number',
      (s) => set(s.setup[0]!, { data: [{ u8: -1 }] }),
      /: setup\[0\]\.data\[0\]\.u8 is -1; expected an integer in \[0, 255\]$/,
    ],
    [
      'too large a number',
      (s) => set(s.setup[0]!, { data: [{ u64: '18446744073709551616' }] }),
      /u64 is "18446744073709551616"; expected an integer in \[0, 18446744073709551615\]$/,
    ],
    ['a fraction', (s) => set(s.setup[0]!, { data: [{ i16: 1.5 }] }), /data\[0\]\.i16 is 1\.5; expected an integer in \[-32768, 32767\]$/],
    [
      'too many decimals',
      (s) => set(s.setup[0]!, { data: [{ u64: 1.255, decimals: 2 }] }),
      /u64 is 1\.255; expected a number with at most 2 decimals that fits u64$/,
    ],
    ['two values', (s) => set(s.setup[0]!, { data: [{ u8: 1, u16: 2 }] }), /data\[0\] has u8 and u16; expected one of u8, u16, /],
    ['no value', (s) => set(s.setup[0]!, { data: [{ name: 'x' }] }), /data\[0\] has no value; expected one of u8, u16, /],
    ['odd hex', (s) => set(s.setup[0]!, { data: [{ hex: 'abc' }] }), /hex is "abc"; expected bytes in hex$/],
    ['an unknown ring', (s) => set(s.setup[0]!, { data: [{ ring: 'x' }] }), /data\[0\]\.ring is "x"; expected one of the rings: events$/],
    [
      'a bad slot',
      (s) => set(s.setup[0]!, { data: [{ slot: '-1' }] }),
      /data\[0\]\.slot is "-1"; expected a slot, or "\+N" for N slots after the set-up$/,
    ],
    [
      'a bad address',
      (s) => set(s.accounts.count, { address: 'xyz' }),
      's.json:10: accounts.count.address is "xyz"; expected an address: base58 of 32 bytes',
    ],
    [
      'an unknown owner',
      (s) => set(s.accounts.count, { owner: 'count3r' }),
      's.json:11: accounts.count.owner is "count3r"; expected an address or one of counter, count',
    ],
    [
      'an address twice',
      (s) => set(s.accounts.count, { address: counter.address }),
      's.json:9: accounts.count has the address of counter; expected another address',
    ],
    [
      'a sysvar',
      (s) => set(s.accounts.count, { address: 'SysvarC1ock11111111111111111111111111111111' }),
      /^s\.json:9: accounts\.count was refused: address is SysvarC1ock/,
    ],
    [
      'more data than size',
      (s) => set(s.accounts.count, { size: 7, data: [{ u64: 1 }] }),
      's.json:12: accounts.count.size is 7; expected at least the 8 bytes of data',
    ],
    ['an unknown feed account', (s) => set(s.feed, { account: 'x' }), /feed\.account is "x"; expected one of the accounts: count$/],
    [
      'an unknown column',
      (s) => set(s.feed.data[0]!, { column: 'valeu' }),
      /feed\.data\[0\]\.column is "valeu"; expected a column of .*\/feed\.csv: day, value$/,
    ],
    ['columns that do not fit', (s) => s.feed.data.push(s.feed.data[0]!), /feed\.data takes 16 bytes; expected at most the 8 of count$/],
    [
      'a missing feed',
      (s) => set(s.feed, { csv: 'none.csv' }),
      /feed\.csv is "none\.csv"; expected a file that can be read \(no such file or directory: .*\/none\.csv\)$/,
    ],
    [
      'a missing package',
      (s) => set(s.feed, { csv: 'npm:none/x.csv' }),
      /feed\.csv is "npm:none\/x\.csv"; expected a file of a package installed at or above /,
    ],
    ['two feeds', (s) => set(s.feed, { jsonl: 'x' }), /feed has no file or two of them; expected either "csv" or "jsonl"$/],
    [
      'a record of no ring',
      (s) => set(s.report.records.events, { ring: 'x' }),
      /records\.events\.ring is "x"; expected a ring whose reader is "host", and/,
    ],
    [
      'a record of a ring that programs read',
      (s) => set(s.rings.events, { reader: 'program' }),
      /records\.events\.ring is "events"; expected a ring whose reader is "host", and/,
    ],
    [
      'a record with a name that is taken',
      (s) => set(s.report.records, { slots: s.report.records.events }),
      /records\.slots has a name that the results use for something else; expected another$/,
    ],
    [
      'a field with a name that is taken',
      (s) => set(s.report.records.events.fields[0]!, { name: 'date' }),
      /fields\[0\]\.name is "date"; expected another name: /,
    ],
    [
      'a value beyond the account',
      (s) => set(s.report.value.cash, { offset: 1 }),
      /report\.value\.cash ends after byte 9; expected at most the 8 of count$/,
    ],
    ['too small a ring', (s) => set(s.rings.events, { size: 63 }), /^s\.json:16: rings\.events was refused: size is 63, /],
    [
      'a program that is none',
      (s) => set(s.programs.counter, { file: 'feed.csv' }),
      /^s\.json:5: programs\.counter\.file was refused: elf is not usable: .*; expected an sBPF program \(\.so\)$/,
    ],
    ['too large a budget', (s) => set(s.setup[0]!, { computeBudget: 2_000_000 }), /setup\[0\] was refused: computeBudget is 2000000, /],
    ['an unknown program', (s) => set(s.setup[0]!, { program: address('nobody') }), /setup\[0\] was refused: /],
  ];
  test.each(refused)('%s', (_, change, message) => {
    const scenario = structuredClone(small());
    change(scenario);
    expectRefused(folder({ 's.json': scenario, 'feed.csv': SMALL_FEED }), message);
  });

  test.each([
    ['broken JSON', '{\n  "programs": {\n  },\n}', 's.json:4:1: found "}"; expected a key in double quotes'],
    ['a missing comma', '{\n  "a": 1\n  "b": 2\n}', 's.json:3:3: found "\\""; expected "," or "}"'],
    ['an open string', '{ "a": "b\n', 's.json:1:8: found "\\""; expected a string that ends on its line'],
    ['a bad escape', '["\\x"]', 's.json:1:2: found "\\""; expected a string with valid escapes'],
    ['an open list', '[1, 2', 's.json:1:6: found the end of the file; expected "," or "]"'],
    ['a comment', '[ // one\n1]', 's.json:1:3: found "/"; expected JSON without comments'],
    ['a tab in a string', '["\t"]', 's.json:1:2: found "\\""; expected a string without control characters'],
    ['half a number', '[1.]', 's.json:1:2: found "1"; expected a number with digits behind its "." or "e"'],
    ['a comma at the end of a list', '[1,]', 's.json:1:4: found "]"; expected a value'],
    ['an odd key', '{ "programs": { "a.b": [] }, "feed": {} }', 's.json:1: programs["a.b"] is a list; expected an object'],
    ['a leading zero', '[01]', 's.json:1:3: found "1"; expected "," or "]"'],
    ['no value', '{"a": nil}', 's.json:1:7: found "n"; expected a value, a key in double quotes, or punctuation'],
    ['more than one value', '{} {}', 's.json:1:4: found "{"; expected the end of the file'],
    ['a key twice', '{"feed": 1,\n"feed": 2}', 's.json:2:1: found "feed" again; expected every key once'],
    ['endless depth', '['.repeat(100_000), 's.json:1:65: found "["; expected at most 64 levels'],
    ['nothing', '', 's.json:1:1: found the end of the file; expected a value'],
    ['text', '"scenario"', 's.json:1: is "scenario"; expected an object'],
  ])('a scenario with %s', (_, text, message) => {
    expectRefused(folder({ 's.json': text }), message);
  });

  test.each([
    [
      'a bad number',
      'day,value\n2024-01-01,1\n2024-01-02,1.2.5\n',
      'feed.csv:3: column value is "1.2.5"; expected a number with at most 2 decimals that fits u64',
    ],
    [
      'too many decimals',
      'day,value\n2024-01-01,1.255\n',
      'feed.csv:2: column value is "1.255"; expected a number with at most 2 decimals that fits u64',
    ],
    [
      'a negative number',
      'day,value\n2024-01-01,-1\n',
      'feed.csv:2: column value is "-1"; expected a number with at most 2 decimals that fits u64',
    ],
    [
      'an empty cell',
      'day,value\n2024-01-01,\n',
      'feed.csv:2: column value is ""; expected a number with at most 2 decimals that fits u64',
    ],
    [
      'a day that is none',
      'day,value\n2023-02-29,1\n',
      'feed.csv:2: column day is "2023-02-29"; expected a date, yyyy-mm-dd, or seconds since 1970',
    ],
    [
      'time that goes back',
      'day,value\n2024-01-02,1\n2024-01-01,1\n',
      'feed.csv:3: column day is "2024-01-01"; expected a time that is not before that of the row above',
    ],
    ['a short row', 'day,value\n2024-01-02\n', 'feed.csv:2: has 1 columns; expected 2, as in the header'],
    [
      'a stray quote',
      'day,value\n2024-01-02,1"2\n',
      'feed.csv:2: a cell has a stray double quote; expected "..." with "" for each one inside',
    ],
    [
      'an open quote',
      'day,value\n2024-01-01,1\n2024-01-02,"2\n2024-01-03,3\n',
      'feed.csv:3: a cell has a stray double quote; expected "..." with "" for each one inside',
    ],
    [
      'a cell of two lines',
      'day,value\r\n2024-01-01,"1\r\n"\n2024-01-02,"x"\r\n',
      'feed.csv:4: column value is "x"; expected a number with at most 2 decimals that fits u64',
    ],
    ['no rows', 'day,value\n', 'feed.csv:1: has no rows; expected a line of column names and a line for each slot'],
    [
      'a column twice',
      'day,value,value\n2024-01-02,1,2\n',
      /^s\.json:\d+: feed\.data\[0\]\.column is "value"; expected a column that is only once in .*feed\.csv$/,
    ],
  ])('a CSV with %s', (_, text, message) => {
    expectRefused(folder({ 's.json': small(), 'feed.csv': text }), message);
  });

  test.each([
    ['broken JSON', '{ "slot": 1 }\n{ "slot": }\n', 'feed.jsonl:2:11: found "}"; expected a value'],
    [
      'a slot that comes again',
      '{ "slot": 1 }\n{ "slot": 1 }\n',
      'feed.jsonl:2: slot is 1; expected an integer in [2, 18446744073709551615]',
    ],
    ['slot 0', '{ "slot": 0 }\n', 'feed.jsonl:1: slot is 0; expected an integer in [1, 18446744073709551615]'],
    ['no slot', '{}\n', 'feed.jsonl:1: has no "slot"'],
    [
      'an unknown account',
      '{ "slot": 1, "updates": [{ "account": "x" }] }\n',
      'feed.jsonl:1: updates[0].account is "x"; expected an address or one of counter, count',
    ],
    ['the account of a program', '{ "slot": 1, "updates": [{ "account": "counter" }] }\n', /^feed\.jsonl:1: was refused: /],
    ['nothing', '\n', 'feed.jsonl:1: has no lines; expected one for each slot'],
  ])('a feed of JSON lines with %s', (_, text, message) => {
    expectRefused(folder({ 's.json': { ...small(), feed: { jsonl: 'feed.jsonl' } }, 'feed.jsonl': text }), message);
  });

  test.each([
    [
      'no owner',
      { pubkey: address('x'), account: { lamports: 1, data: ['', 'base64'], executable: false } },
      'wallet.json:3: account has no "owner"',
    ],
    [
      'another encoding',
      { pubkey: address('x'), account: { data: ['', 'base58'] } },
      'wallet.json:6: account.data[1] is "base58"; expected one of base64',
    ],
    [
      'bad base64',
      { pubkey: address('x'), account: { lamports: 1, data: ['a', 'base64'] } },
      'wallet.json:6: account.data[0] is "a"; expected bytes in base64',
    ],
  ])('an account file with %s', (_, file, message) => {
    expectRefused(folder({ 's.json': { ...small(), accounts: { wallet: { file: 'wallet.json' } } }, 'wallet.json': file }), message);
  });

  test('a set-up invocation that fails ends the run with its logs', () => {
    const scenario = small();
    scenario.setup[0]!.accounts = [];
    const path = folder({ 's.json': scenario, 'feed.csv': SMALL_FEED });
    const { status, stdout, stderr } = cli('run', join(path, 's.json'), '--json', join(path, 'out.json'));
    const lines = stderr.replaceAll(`${path}/`, '').split('\n');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(lines[0]).toMatch(/^error: s\.json:\d+: setup\[0\] \(counter\) failed: /);
    expect(lines[1]).toBe(`  Program ${counter.address} invoke [1]`);
    expect(existsSync(join(path, 'out.json'))).toBe(false);
  });

  test('a record that does not fit its entries ends the run', () => {
    const number = (value: number) => Buffer.from(u64(value)).toString('hex');
    const push = [{ hex: '000b' }, { ring: 'events' }, { hex: `01${number(3)}616263` }];
    const scenario = { ...small(), programs: { counter: conformance }, setup: [{ program: 'counter', data: push }] };
    const { status, stderr } = cli('run', join(folder({ 's.json': scenario, 'feed.csv': SMALL_FEED }), 's.json'));
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: 'error: ring events: entry 0 has 3 bytes; expected the 1 of report.records.events\n',
    });
  });

  test('a value whose account is gone ends the run', () => {
    const scenario = { ...small(), feed: { jsonl: 'feed.jsonl' } };
    const path = folder({ 's.json': scenario, 'feed.jsonl': '{ "slot": 1, "updates": [{ "account": "count", "lamports": 0 }] }' });
    const { status, stderr } = cli('run', join(path, 's.json'));
    expect({ status, stderr }).toEqual({ status: 1, stderr: 'error: account count has 0 bytes; the report reads u64 at 0\n' });
  });

  test.each([
    ['/nonexistent/out.json', 'no such file or directory'],
    ['examples', 'illegal operation on a directory'],
  ])('results that cannot be written to %s are known before the run', (file, reason) => {
    expect(cli('run', example, '--json', file)).toEqual({
      status: 2,
      stdout: '',
      stderr: `error: ${file}: ${reason}; expected a file that can be written\n`,
    });
  });

  test.each([example, 'programs/prebuilt/momentum.so', 'node_modules/vega-datasets/data/sp500-2000.csv'])(
    'results do not overwrite %s, which the run reads',
    (file) => {
      const before = readFileSync(file);
      expect(cli('run', example, '--json', file)).toEqual({
        status: 2,
        stdout: '',
        stderr: `error: ${file}: is read by this run; expected another file for its results\n`,
      });
      expect(readFileSync(file)).toEqual(before);
    },
  );
});

/** Exit code 2, nothing on stdout, and one line on stderr, here without the folder. */
function expectRefused(path: string, message: string | RegExp): void {
  const { status, stdout, stderr } = cli('run', join(path, 's.json'));
  expect({ status, stdout, lines: stderr.split('\n').length }).toEqual({ status: 2, stdout: '', lines: 2 });
  const line = stderr.trimEnd().replace(`error: ${path}/`, '');
  if (typeof message === 'string') expect(line).toBe(message);
  else expect(line).toMatch(message);
}
