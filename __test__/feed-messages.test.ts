/** What a feed makes of the messages of clients, and every method and function of it used wrongly. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, expectTypeOf, test } from 'vitest';
import { AsyncBpfEngine, AsyncBpfError, type AddressLike, type ErrorCodeName, type SlotReport } from '../dist/index.js';
import {
  convert,
  Feed,
  fromAccountNotification,
  fromClockNotification,
  fromMultipleAccounts,
  fromProgramNotification,
  fromSlotNotification,
  fromYellowstone,
  readRecording,
  replay,
  type FeedMessage,
  type FeedOptions,
  type FeedSource,
  type FeedStats,
  type RpcAccount,
  type RpcResponse,
  type RunOptions,
  type YellowstoneUpdate,
} from '../dist/feed/index.js';
import { address, addressBytes, SYSTEM_PROGRAM } from './support/addresses.js';
import { u64 } from './support/bytes.js';
import {
  accountInfo,
  accountNotification,
  accountUpdate,
  blockMetaUpdate,
  blockUpdate,
  clockNotification,
  multipleAccounts,
  OTHER_UPDATES,
  OWNER,
  programNotification,
  SlotStatus,
  slotNotification,
  slotUpdate,
  type SubscribeUpdate,
} from './support/cluster.js';
import { createEngine } from './support/engine.js';
import { comesFrom, placesIn } from './support/places.js';

const SLOT = 312_000_000n;
const price = { name: 'price', data: u64(5) };
const rent = 136n * 6_960n;
const asAccount = { type: 'account', slot: SLOT, address: address('price'), lamports: rent, owner: address(OWNER), executable: false };

describe('of the RPC, as @solana/kit has it', () => {
  test('a notification of an account', () => {
    const [message, ...others] = fromAccountNotification(address('price'), accountNotification(SLOT, price));
    expect(others).toEqual([]);
    expect(message).toEqual({ ...asAccount, data: Buffer.from(price.data) });
  });

  test('one of an account that is gone', () => {
    const gone = { type: 'account', slot: SLOT, address: address('price'), lamports: 0n, executable: false };
    expect(fromAccountNotification(addressBytes('price'), accountNotification(SLOT, { name: 'price' }))).toEqual([
      { ...gone, data: Buffer.alloc(0), owner: SYSTEM_PROGRAM },
    ]);
  });

  test('a notification of an account of a program', () => {
    expect(fromProgramNotification(programNotification(SLOT, price))).toEqual([{ ...asAccount, data: Buffer.from(price.data) }]);
  });

  test('a notification of a slot: it began, so its parent is processed; and what is rooted is finalized', () => {
    expect(fromSlotNotification(slotNotification(SLOT, SLOT - 2n, SLOT - 32n))).toEqual([
      { type: 'slot', slot: SLOT - 32n, status: 'finalized' },
      { type: 'slot', slot: SLOT - 2n, status: 'processed' },
      { type: 'slot', slot: SLOT, parent: SLOT - 2n, status: 'created' },
    ]);
  });

  test.each([[undefined], ['confirmed'], ['finalized'], ['processed']] as const)('a notification of the Clock, %s', (commitment) => {
    expect(fromClockNotification(clockNotification(SLOT, 1_760_000_000n), commitment)).toEqual([
      { type: 'blockTime', slot: SLOT, unixTimestamp: 1_760_000_000n },
      { type: 'slot', slot: SLOT, status: commitment ?? 'confirmed' },
    ]);
  });

  test('the reply about several accounts', () => {
    expect(fromMultipleAccounts([address('price'), addressBytes('nobody')], multipleAccounts(SLOT, [price, null]))).toEqual([
      { ...asAccount, data: Buffer.from(price.data) },
      { type: 'account', slot: SLOT, address: address('nobody'), lamports: 0n },
    ]);
  });

  test('data of any length', () => {
    for (let length = 0; length < 10; length++) {
      const data = new Uint8Array(length).fill(length);
      expect(fromAccountNotification(address('a'), accountNotification(SLOT, { name: 'a', data }))).toMatchObject([
        { data: Buffer.from(data) },
      ]);
    }
  });
});

describe('of Yellowstone gRPC, as its client has it', () => {
  const written = {
    type: 'account',
    slot: SLOT,
    address: addressBytes('price'),
    lamports: rent,
    data: price.data,
    owner: addressBytes(OWNER),
    executable: false,
    writeVersion: 77n,
  };

  test('an account', () => {
    expect(fromYellowstone(accountUpdate(SLOT, price, 77n))).toEqual([written]);
  });

  test('one that is gone', () => {
    expect(fromYellowstone(accountUpdate(SLOT, { name: 'price' }, 77n))).toMatchObject([{ lamports: 0n, data: new Uint8Array(0) }]);
  });

  test.each([
    ['SLOT_CREATED_BANK', 'created'],
    ['SLOT_PROCESSED', 'processed'],
    ['SLOT_CONFIRMED', 'confirmed'],
    ['SLOT_FINALIZED', 'finalized'],
    ['SLOT_DEAD', 'dead'],
  ] as const)('a slot with the status %s', (name, status) => {
    expect(fromYellowstone(slotUpdate(SLOT, SlotStatus[name], SLOT - 1n))).toEqual([
      { type: 'slot', slot: SLOT, parent: SLOT - 1n, status },
    ]);
    expect(fromYellowstone(slotUpdate(SLOT, SlotStatus[name]))).toEqual([{ type: 'slot', slot: SLOT, status }]);
  });

  const created = { type: 'slot', slot: SLOT, parent: SLOT - 1n, status: 'created' };
  const time = { type: 'blockTime', slot: SLOT, unixTimestamp: 1_760_000_000n };

  test('the metadata of a block, with a time and without', () => {
    expect(fromYellowstone(blockMetaUpdate(SLOT, SLOT - 1n, 1_760_000_000n))).toEqual([created, time]);
    expect(fromYellowstone(blockMetaUpdate(SLOT, SLOT - 1n))).toEqual([created]);
  });

  test('a block with accounts', () => {
    const block = blockUpdate(SLOT, SLOT - 1n, 1_760_000_000n, [accountInfo(price, 77n)]);
    expect(fromYellowstone(block)).toEqual([written, created, time]);
  });

  test('what says nothing of accounts and slots', () => {
    expect(OTHER_UPDATES.flatMap(fromYellowstone)).toEqual([]);
  });
});

test('the types of the clients fit', () => {
  expectTypeOf<SubscribeUpdate>().toExtend<YellowstoneUpdate>();
  expectTypeOf<typeof accountNotification>().returns.toExtend<RpcResponse<RpcAccount>>();
  expectTypeOf(fromProgramNotification).toBeCallableWith(programNotification(1n, price));
  expectTypeOf(fromSlotNotification).toBeCallableWith(slotNotification(1n, 0n, 0n));
  expectTypeOf(fromMultipleAccounts).toBeCallableWith([address('a')], multipleAccounts(1n, [null]));
});

test('the types of a feed', () => {
  expectTypeOf<{ [Name in keyof Feed]: Feed[Name] }>().toEqualTypeOf<{
    push: (message: FeedMessage) => SlotReport[];
    run: (sources: FeedSource | readonly FeedSource[], options?: RunOptions) => Promise<void>;
    readonly stats: FeedStats;
    close: () => void;
    [Symbol.dispose]: () => void;
  }>();
  expectTypeOf<FeedStats[keyof FeedStats]>().toEqualTypeOf<number>();
  expectTypeOf(replay).toEqualTypeOf<(engine: AsyncBpfEngine, path: string | URL, options?: RunOptions) => Promise<Feed>>();
  expectTypeOf(readRecording).toEqualTypeOf<(path: string | URL) => AsyncGenerator<FeedMessage, void>>();
  expectTypeOf(fromAccountNotification).toEqualTypeOf<(address: AddressLike, notification: RpcResponse<RpcAccount>) => FeedMessage[]>();
});

// ---------------------------------------------------------------------------------------------------------------- used wrongly

/** For what TypeScript would not allow either. */
const wrong = (value: unknown): any => value;

const temporary = mkdtempSync(join(tmpdir(), 'async-bpf-feed-'));
afterAll(() => rmSync(temporary, { recursive: true }));

/** A file with these lines. */
function file(...lines: unknown[]): string {
  const path = join(mkdtempSync(join(temporary, 'file-')), 'run.jsonl');
  writeFileSync(path, lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''));
  return path;
}
const head = {
  type: 'feed',
  version: 1,
  commitment: 'confirmed',
  holdSlots: 0,
  waitForBlockTime: false,
  maxPendingSlots: 9,
  maxPendingBytes: 999,
};

async function read(path: string | URL): Promise<void> {
  for await (const _ of readRecording(path));
}

interface Scene {
  engine: AsyncBpfEngine;
  feed: Feed;
}
const setUp = (options?: FeedOptions): Scene => {
  const engine = createEngine({});
  return { engine, feed: new Feed(engine, options) };
};

const account = { type: 'account', slot: 1, address: address('a'), lamports: 1 };
const slot = { type: 'slot', slot: 5, status: 'created' };
const notification = accountNotification(SLOT, price);
const withValue = (more: object) => wrong({ ...notification, value: { ...notification.value, ...more } });
const info = accountInfo(price, 1n);
const withInfo = (more: object) => wrong({ account: { slot: '1', account: { ...info, ...more } } });

type Misuse = [title: string, call: (scene: Scene) => unknown, message: RegExp, code?: ErrorCodeName];
const u64s = 'a bigint in \\[0, 2\\^64 - 1\\]';

const MISUSES: Misuse[] = [
  ['Feed: no engine', () => new Feed(wrong({})), /^engine is an object, but must be an AsyncBpfEngine/],
  ['Feed: options are null', ({ engine }) => new Feed(engine, wrong(null)), /^options is null, but must be an object/],
  [
    'Feed: an unknown option',
    ({ engine }) => new Feed(engine, wrong({ commit: 1 })),
    /^options is "commit", but must be made of commitment, /,
  ],
  [
    'Feed: an unknown commitment',
    ({ engine }) => new Feed(engine, { commitment: wrong('recent') }),
    /^commitment is "recent", but must be one of processed, confirmed, finalized/,
  ],
  ...[-1, 101, 1.5, '1'].map((holdSlots): Misuse => [
    `Feed: holdSlots of ${holdSlots}`,
    ({ engine }) => new Feed(engine, { holdSlots: wrong(holdSlots) }),
    /^holdSlots is .*, but must be an integer in \[0, 100\]/,
  ]),
  [
    'Feed: waitForBlockTime is no boolean',
    ({ engine }) => new Feed(engine, { waitForBlockTime: wrong(1) }),
    /^waitForBlockTime is 1, but must be true or false/,
  ],
  ...[0, 1_000_001, NaN].map((maxPendingSlots): Misuse => [
    `Feed: maxPendingSlots of ${maxPendingSlots}`,
    ({ engine }) => new Feed(engine, { maxPendingSlots }),
    /^maxPendingSlots is .*, but must be an integer in \[1, 1000000\]/,
  ]),
  ...[0, 2 ** 40 + 1].map((maxPendingBytes): Misuse => [
    `Feed: maxPendingBytes of ${maxPendingBytes}`,
    ({ engine }) => new Feed(engine, { maxPendingBytes }),
    /^maxPendingBytes is .*, but must be an integer in \[1, 1099511627776\]/,
  ]),
  [
    'Feed: a recording that is no path',
    ({ engine }) => new Feed(engine, { recording: wrong(5) }),
    /^recording is 5, but must be a path or/,
  ],
  [
    'Feed: a recording elsewhere',
    ({ engine }) => new Feed(engine, { recording: new URL('https://x.y/z') }),
    /^recording is "https:\/\/x\.y\/z", but must be a path or a file URL/,
  ],
  [
    'Feed: a recording that is there',
    ({ engine }) => new Feed(engine, { recording: file() }),
    /^recording is ".*", but must be a file that can be created: EEXIST/,
  ],

  ['push: nothing', ({ feed }) => feed.push(wrong(undefined)), /^message is undefined, but must be an object/],
  [
    'push: an unknown type',
    ({ feed }) => feed.push(wrong({ type: 'block' })),
    /^message\.type is "block", but must be 'account', 'slot' or 'blockTime'/,
  ],
  ...(['account', 'slot', 'blockTime'] as const).flatMap((type): Misuse[] => [
    [
      `push: ${type} with an unknown member`,
      ({ feed }) => feed.push(wrong({ type, slto: 1 })),
      /^message is "slto", but must be made of type, slot/,
    ],
    [
      `push: ${type} without a slot`,
      ({ feed }) => feed.push(wrong({ type })),
      new RegExp(`^message\\.slot is undefined, but must be ${u64s}`),
    ],
  ]),
  [
    'push: a wrong address',
    ({ feed }) => feed.push(wrong({ ...account, address: 'x' })),
    /^message\.address is "x", but must be an address/,
  ],
  [
    'push: wrong lamports',
    ({ feed }) => feed.push(wrong({ ...account, lamports: -1 })),
    new RegExp(`^message\\.lamports is -1, but must be ${u64s}`),
  ],
  ['push: wrong data', ({ feed }) => feed.push(wrong({ ...account, data: 'x' })), /^message\.data is "x", but must be a Uint8Array/],
  ['push: a wrong owner', ({ feed }) => feed.push(wrong({ ...account, owner: 'x' })), /^message\.owner is "x", but must be an address/],
  [
    'push: a wrong flag',
    ({ feed }) => feed.push(wrong({ ...account, executable: 1 })),
    /^message\.executable is 1, but must be true or false/,
  ],
  [
    'push: a wrong version',
    ({ feed }) => feed.push(wrong({ ...account, writeVersion: '1' })),
    new RegExp(`^message\\.writeVersion is "1", but must be ${u64s}`),
  ],
  [
    'push: a wrong status',
    ({ feed }) => feed.push(wrong({ ...slot, status: 'rooted' })),
    /^message\.status is "rooted", but must be one of dead, created/,
  ],
  [
    'push: a parent that is no number',
    ({ feed }) => feed.push(wrong({ ...slot, parent: '1' })),
    new RegExp(`^message\\.parent is "1", but must be ${u64s}`),
  ],
  [
    'push: a parent that is not before',
    ({ feed }) => feed.push(wrong({ ...slot, parent: 5 })),
    /^message\.parent is 5, but must be below message\.slot, 5/,
  ],
  [
    'push: a wrong time',
    ({ feed }) => feed.push(wrong({ type: 'blockTime', slot: 1, unixTimestamp: 1.5 })),
    /^message\.unixTimestamp is 1\.5, but must be a bigint in \[-2\^63/,
  ],
  [
    'push: too many slots',
    () =>
      [5, 6]
        .map((number) => wrong({ ...slot, slot: number }))
        .reduce((feed: Feed, message) => (feed.push(message), feed), setUp({ maxPendingSlots: 1 }).feed),
    /^2 slots would wait for 'confirmed', but maxPendingSlots is 1; /,
    'QUEUE_FULL',
  ],
  [
    'push: too many bytes',
    () => setUp({ maxPendingBytes: 1 }).feed.push(wrong(account)),
    /^account states of 256 bytes would wait for 'confirmed', but maxPendingBytes is 1; /,
    'QUEUE_FULL',
  ],
  ['push: to a closed feed', ({ feed }) => (feed.close(), feed.push(wrong(slot))), /^the feed is closed; create another one/, 'SHUTDOWN'],
  [
    'push: to a closed engine',
    ({ engine, feed }) => (engine.close(), feed.push(wrong({ ...slot, status: 'confirmed' }))),
    /closed/,
    'SHUTDOWN',
  ],
  [
    'push: while the feed runs',
    async ({ feed }) => {
      const stop = new AbortController();
      const done = feed.run(
        convert(forever(), () => []),
        { signal: stop.signal },
      );
      try {
        feed.push(wrong(slot));
      } finally {
        stop.abort();
        await done;
      }
    },
    /^the feed is running; pass all sources to one run\(\)/,
    'ENGINE_BUSY',
  ],

  ['run: no source', ({ feed }) => feed.run(wrong(undefined)), /^sources is undefined, but must be an async iterable/],
  [
    'run: one of them is none',
    ({ feed }) => feed.run([convert(forever(), () => []), wrong([])]),
    /^sources\[1\] is an array of 0, but must be an async iterable/,
  ],
  ['run: options are null', ({ feed }) => feed.run([], wrong(null)), /^options is null, but must be an object/],
  ['run: an unknown option', ({ feed }) => feed.run([], wrong({ each: 1 })), /^options is "each", but must be made of signal, onSlot/],
  ['run: no signal', ({ feed }) => feed.run([], { signal: wrong({}) }), /^signal is an object, but must be an AbortSignal/],
  ['run: no function', ({ feed }) => feed.run([], { onSlot: wrong(1) }), /^onSlot is 1, but must be a function that gets a report/],
  [
    'run: a source of something else',
    ({ feed }) =>
      feed.run(
        convert(
          one(5),
          wrong((five: number) => [five]),
        ),
      ),
    /^message is 5, but must be an object/,
  ],
  ['convert: no iterable', () => convert(wrong([]), () => []), /^updates is an array of 0, but must be an async iterable/],
  ['convert: no function', () => convert(forever(), wrong(undefined)), /^by is undefined, but must be a function that makes messages/],

  [
    'fromMultipleAccounts: no addresses',
    () => fromMultipleAccounts(wrong(5), multipleAccounts(1n, [])),
    /^addresses is 5, but must be an array/,
  ],
  [
    'fromMultipleAccounts: a wrong address',
    () => fromMultipleAccounts(['x'], multipleAccounts(1n, [null])),
    /^addresses\[0\] is "x", but must be an address/,
  ],
  [
    'fromMultipleAccounts: no reply',
    () => fromMultipleAccounts([], wrong(undefined)),
    /^reply is undefined, but must be an object, as @solana\/kit has it/,
  ],
  [
    'fromMultipleAccounts: no accounts',
    () => fromMultipleAccounts([], wrong({ context: { slot: 1n } })),
    /^reply\.value is undefined, but must be an array/,
  ],
  [
    'fromMultipleAccounts: the reply to something else',
    () => fromMultipleAccounts([address('a')], multipleAccounts(1n, [])),
    /^reply\.value is an array of 0, but must be an array of 1, one for each/,
  ],
  ['fromAccountNotification: a wrong address', () => fromAccountNotification('x', notification), /^address is "x", but must be an address/],
  [
    'fromAccountNotification: nothing',
    () => fromAccountNotification(address('a'), wrong(null)),
    /^notification is null, but must be an object/,
  ],
  [
    'fromAccountNotification: no context',
    () => fromAccountNotification(address('a'), wrong({})),
    /^notification\.context is undefined, but must be an object/,
  ],
  [
    'fromAccountNotification: no slot',
    () => fromAccountNotification(address('a'), wrong({ context: {} })),
    /^notification\.context\.slot is undefined, but must be a bigint/,
  ],
  [
    'fromAccountNotification: no account',
    () => fromAccountNotification(address('a'), wrong({ context: { slot: 1n } })),
    /^notification\.value is undefined, but must be an object/,
  ],
  ...[['x', 'base58'], 'x', undefined, { parsed: {} }].map((data): Misuse => [
    `fromAccountNotification: data as ${JSON.stringify(data)}`,
    () => fromAccountNotification(address('a'), withValue({ data })),
    /^notification\.value\.data is .*, but must be a pair of a text and 'base64': ask for accounts with encoding/,
  ]),
  ...['!!!!', 'AAA', 'AA=A', 'AAAA='].map((text): Misuse => [
    `fromAccountNotification: the base64 ${text}`,
    () => fromAccountNotification(address('a'), withValue({ data: [text, 'base64'], space: undefined })),
    /^notification\.value\.data is ".*", but must be base64, whole and padded/,
  ]),
  [
    'fromAccountNotification: a part of the data',
    () => fromAccountNotification(address('a'), withValue({ space: 99n })),
    /^notification\.value\.data is 8 bytes, but must be all of the 99 bytes that the account has: ask for it without dataSlice/,
  ],
  [
    'fromAccountNotification: wrong lamports',
    () => fromAccountNotification(address('a'), withValue({ lamports: 1.5 })),
    /^notification\.value\.lamports is 1\.5/,
  ],
  [
    'fromAccountNotification: wrong space',
    () => fromAccountNotification(address('a'), withValue({ space: 'x' })),
    /^notification\.value\.space is "x"/,
  ],
  [
    'fromProgramNotification: no account',
    () => fromProgramNotification(wrong({ context: { slot: 1n }, value: { pubkey: address('a') } })),
    /^notification\.value\.account is undefined, but must be an object/,
  ],
  [
    'fromProgramNotification: that of an account',
    () => fromProgramNotification(wrong(notification)),
    /^notification\.value\.pubkey is undefined, but must be an address/,
  ],
  ...(['slot', 'parent', 'root'] as const).map((member): Misuse => [
    `fromSlotNotification: no ${member}`,
    () => fromSlotNotification(wrong({ ...slotNotification(9n, 8n, 1n), [member]: undefined })),
    new RegExp(`^notification\\.${member} is undefined, but must be ${u64s}`),
  ]),
  ['fromSlotNotification: nothing', () => fromSlotNotification(wrong(5)), /^notification is 5, but must be an object/],
  [
    'fromClockNotification: another account',
    () => fromClockNotification(notification),
    /^notification\.value\.data is 8 bytes, but must be at least 40 bytes/,
  ],
  [
    'fromClockNotification: an unknown commitment',
    () => fromClockNotification(clockNotification(1n, 1n), wrong('recent')),
    /^commitment is "recent", but must be one of processed, confirmed, finalized/,
  ],

  [
    'fromYellowstone: nothing',
    () => fromYellowstone(wrong(undefined)),
    /^update is undefined, but must be an object, as Yellowstone has it/,
  ],
  [
    'fromYellowstone: no account',
    () => fromYellowstone({ account: { slot: '1', account: undefined } }),
    /^update\.account\.account is undefined, but must be an object/,
  ],
  ...(['lamports', 'writeVersion'] as const).flatMap((member) =>
    [undefined, '-1', '1.5', 'x', `${2n ** 64n}`].map((value): Misuse => [
      `fromYellowstone: ${member} of ${value}`,
      () => fromYellowstone(withInfo({ [member]: value })),
      new RegExp(`^update\\.account\\.account\\.${member} is .*, but must be ${u64s}`),
    ]),
  ),
  [
    'fromYellowstone: a wrong slot of an account',
    () => fromYellowstone({ account: { slot: 'x', account: info } }),
    /^update\.account\.slot is "x", but must be a bigint/,
  ],
  [
    'fromYellowstone: a wrong slot',
    () => fromYellowstone({ slot: { slot: 'x', status: 1 } }),
    /^update\.slot\.slot is "x", but must be a bigint/,
  ],
  [
    'fromYellowstone: a wrong parent',
    () => fromYellowstone({ slot: { slot: '1', parent: 'x', status: 1 } }),
    /^update\.slot\.parent is "x", but must be a bigint/,
  ],
  ...[undefined, 'SLOT_CONFIRMED', 7, -2, 1.5].map((status): Misuse => [
    `fromYellowstone: a status of ${status}`,
    () => fromYellowstone({ slot: { slot: '1', status: wrong(status) } }),
    /^update\.slot\.status is .*, but must be a SlotStatus of Yellowstone, in \[-1, 6\]/,
  ]),
  [
    'fromYellowstone: a wrong time',
    () => fromYellowstone({ blockMeta: { slot: '1', parentSlot: '0', blockTime: { timestamp: 'x' } } }),
    /^update\.blockMeta\.blockTime\.timestamp is "x", but must be a bigint in \[-2\^63/,
  ],
  [
    'fromYellowstone: a wrong parent of a block',
    () => fromYellowstone({ block: { slot: '1', parentSlot: wrong(undefined), blockTime: undefined, accounts: [] } }),
    /^update\.block\.parentSlot is undefined, but must be a bigint/,
  ],
  [
    'fromYellowstone: a wrong account of a block',
    () => fromYellowstone({ block: { slot: '1', parentSlot: '0', blockTime: undefined, accounts: [info, wrong(null)] } }),
    /^update\.block\.accounts\[1\] is null, but must be an object/,
  ],

  ['readRecording: no path', () => read(wrong(undefined)), /^path is undefined, but must be a path or a file URL/],
  ['readRecording: an empty path', () => read(''), /^path is "", but must be a path or a file URL/],
  [
    'readRecording: a file that is not there',
    () => read(join(temporary, 'none')),
    /^path is ".*none", but must be a file that can be read: ENOENT/,
  ],
  [
    'replay: a file that is not there',
    ({ engine }) => replay(engine, join(temporary, 'none')),
    /^path is ".*none", but must be a file that can be read: ENOENT/,
  ],
  [
    'replay: an unknown option',
    ({ engine }) => replay(engine, file(head), wrong({ speed: 2 })),
    /^options is "speed", but must be made of signal, onSlot/,
  ],
  ['replay: no engine', () => replay(wrong(undefined), file(head)), /^engine is undefined, but must be an AsyncBpfEngine/],
  ...(
    [
      ['an empty one', [], '1', 'it has no line'],
      ['one without a head', [slot], '1', 'the first line of a recording, and no other, has its options'],
      ['one with two heads', [head, head], '2', 'the first line of a recording, and no other, has its options'],
      ['another version', [{ ...head, version: 2 }], '1', 'it has version 2, but this release reads version 1'],
      ['an unknown option', [{ ...head, recording: 'elsewhere' }], '1', 'options is "recording", but must be made of commitment'],
      ['no JSON', [head, '{"type":'], '2', 'Unexpected end of JSON'],
      ['JSON of something else', [head, 'null'], '2', ''],
      ['an unknown kind of line', [head, { type: 'block' }], '2', 'message.type is "block", but must be'],
      ['a damaged message', [head, { ...slot, slot: 'x' }], '2', 'message.slot is "x", but must be'],
      ['a damaged slot', [head, { type: 'processed', slot: '' }], '2', 'slot is "", but must be'],
    ] as const
  ).map(([title, lines, line, message]): Misuse => [
    `readRecording: ${title}`,
    () => read(file(...lines)),
    new RegExp(`run\\.jsonl:${line} is no line of a recording that can be used: ${message}.*; record the run again$`),
    'CORRUPT_STATE',
  ]),
  [
    'replay: a slot that is not ready',
    ({ engine }) => replay(engine, file(head, { type: 'processed', slot: '5', stateHash: 'aa' })),
    /run\.jsonl:2: slot 5 had state hash aa, but now no slot is ready; engine, programs, accounts and what the host does must be as they were/,
    'CORRUPT_STATE',
  ],
];

async function* one<T>(value: T): AsyncGenerator<T> {
  yield value;
}

/** What never gives anything. */
function forever(): AsyncIterable<never> {
  return { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) };
}

const heard: string[] = [];

describe('what is refused', () => {
  test.each(MISUSES)('%s', async (_, call, message, code = 'INVALID_ARGUMENT') => {
    const scene = setUp();
    const before = [scene.engine.stateHash(), scene.feed.stats];
    let thrown: unknown;
    try {
      await call(scene);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(AsyncBpfError);
    const { message: said, codeName } = thrown as AsyncBpfError;
    heard.push(said);
    expect(said).toMatch(message);
    expect(codeName).toBe(code);
    if (code === 'INVALID_ARGUMENT') expect([scene.engine.stateHash(), scene.feed.stats]).toEqual(before);
  });

  test('every place that refuses something was met', () => {
    const unmet = placesIn('bindings/ts/feed').filter((place) => !heard.some((message) => comesFrom(message, place)));
    expect(unmet).toEqual([]);
  });

  test('every message says what is allowed, or what to do', () => {
    expect(heard.filter((message) => !/ must be |; /.test(message) && !/closed/.test(message))).toEqual([]);
  });
});
