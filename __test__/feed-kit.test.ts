// The declarations of @solana/kit name types of browsers.
/// <reference lib="dom" />

/** A feed behind the real `@solana/kit`, from a node on this machine that writes what Agave writes. */

import { address as kitAddress, createSolanaRpc, createSolanaRpcSubscriptions } from '@solana/kit';
import { expect, onTestFinished, test } from 'vitest';
import { WatcherTrigger, type AsyncBpfEngine, type SlotReport } from '../dist/index.js';
import {
  convert,
  Feed,
  fromAccountNotification,
  fromClockNotification,
  fromMultipleAccounts,
  fromProgramNotification,
  fromSlotNotification,
  type FeedSource,
} from '../dist/feed/index.js';
import { address } from './support/addresses.js';
import { readU64, u64 } from './support/bytes.js';
import { createEngine } from './support/engine.js';
import { startNode, type Node } from './support/rpc.js';

const PRICE = kitAddress(address('price'));
const PROGRAM = kitAddress(address('program'));
const MEMBER = kitAddress(address('member'));
const COUNTER = address('counter');
const CLOCK = kitAddress('SysvarC1ock11111111111111111111111111111111');
const START = 312_000_000n;

/** An account as Agave writes it: numbers beyond what JavaScript's have, and members that nobody asked for. */
const json = (data: Uint8Array, lamports = 10_000_000_000_000_001n) =>
  `{"data":["${Buffer.from(data).toString('base64')}","base64"],"executable":false,"lamports":${lamports},"owner":"${PROGRAM}",` +
  `"rentEpoch":18446744073709551615,"space":${data.length}}`;
const response = (slot: bigint, value: string) => `{"context":{"apiVersion":"4.2.2","slot":${slot}},"value":${value}}`;

/** What a node tells of a slot in which the price is 100 more than the number of the slot, and so is the member. */
function tell(node: Node, slot: bigint): void {
  const value = u64(slot - START + 100n);
  node.notify('slotNotification', `{"slot":${slot},"parent":${slot - 1n},"root":${slot - 32n}}`);
  node.notify('programNotification', response(slot, `{"pubkey":"${MEMBER}","account":${json(value)}}`));
  node.notify('accountNotification', response(slot, json(u64(slot, 0, 0, 0, 1_760_000_000n + slot), 1_169_280n)), CLOCK);
  node.notify('accountNotification', response(slot, json(value)), PRICE);
}

function watchful(): AsyncBpfEngine {
  const engine = createEngine({ counting: 'counter' }, { startSlot: START - 1n });
  const programId = address('counting');
  engine.setAccount(COUNTER, { lamports: 1_000_000_000n, data: new Uint8Array(8), owner: programId });
  const callback = { programId, accounts: [{ address: COUNTER, isWritable: true }] };
  for (const account of [PRICE, MEMBER]) engine.watchers.create({ ...callback, account, trigger: WatcherTrigger.DATA_CHANGE });
  return engine;
}

async function connect(node: Node, abortSignal: AbortSignal) {
  const subscriptions = createSolanaRpcSubscriptions(node.ws as 'ws://127.0.0.1');
  const config = { commitment: 'confirmed', encoding: 'base64' } as const;
  const sources: Promise<FeedSource>[] = [
    subscriptions
      .accountNotifications(PRICE, config)
      .subscribe({ abortSignal })
      .then((prices) => convert(prices, (price) => fromAccountNotification(PRICE, price))),
    subscriptions
      .accountNotifications(CLOCK, config)
      .subscribe({ abortSignal })
      .then((clocks) => convert(clocks, (clock) => fromClockNotification(clock))),
    subscriptions
      .programNotifications(PROGRAM, config)
      .subscribe({ abortSignal })
      .then((members) => convert(members, fromProgramNotification)),
    subscriptions
      .slotNotifications()
      .subscribe({ abortSignal })
      .then((slots) => convert(slots, fromSlotNotification)),
  ];
  return Promise.all(sources);
}

test('accounts, programs, slots and the Clock, and the state to begin with', async () => {
  const node = await startNode(() => response(START, `[${json(u64(7))},null]`));
  const stop = new AbortController();
  const sources = await connect(node, stop.signal);
  await node.subscribed(4);
  const initial = await createSolanaRpc(node.http).getMultipleAccounts([PRICE, MEMBER], { encoding: 'base64' }).send();

  const engine = watchful();
  const feed = new Feed(engine, { holdSlots: 1 });
  for (const message of fromMultipleAccounts([PRICE, MEMBER], initial)) feed.push(message);
  const reports: SlotReport[] = [];
  const run = feed.run(sources, {
    signal: stop.signal,
    onSlot(report) {
      reports.push(report);
      if (report.slot === START + 5n) stop.abort();
    },
  });
  for (let slot = START + 1n; slot <= START + 6n; slot++) tell(node, slot);
  await run;

  expect(reports.map(({ slot }) => slot)).toEqual([0n, 1n, 2n, 3n, 4n, 5n].map((slot) => START + slot));
  // At first the price appears alone; from then on both change in every slot.
  expect(reports.map(({ watchersTriggered }) => watchersTriggered)).toEqual([1n, 2n, 2n, 2n, 2n, 2n]);
  expect([PRICE, MEMBER].map((name) => readU64(engine.getAccount(name)!.data))).toEqual([105n, 105n]);
  expect(engine.getAccount(PRICE)).toMatchObject({ lamports: 10_000_000_000_000_001n, owner: PROGRAM });
  expect(readU64(engine.getAccount(CLOCK)!.data, 32)).toBe(1_760_000_000n + START + 5n);
  expect(feed.stats).toMatchObject({ accountsLate: 0, slotsDropped: 0 });
});

test('a node that goes away ends the run with an error, and another run goes on', async () => {
  const node = await startNode(() => 'null');
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const engine = watchful();
  const feed = new Feed(engine, { holdSlots: 1 });
  const first = feed.run(await connect(node, stop.signal), { onSlot: ({ slot }) => (slot === START + 1n ? node.hangUp() : undefined) });
  for (let slot = START + 1n; slot <= START + 2n; slot++) tell(node, slot);
  await expect(first).rejects.toThrow();

  const second = feed.run(await connect(node, stop.signal), {
    onSlot: ({ slot }) => (slot === START + 3n ? stop.abort() : undefined),
    signal: stop.signal,
  });
  // What was told already is told again.
  for (let slot = START + 2n; slot <= START + 4n; slot++) tell(node, slot);
  await second;
  expect([engine.slot, readU64(engine.getAccount(PRICE)!.data)]).toEqual([START + 3n, 103n]);
});
