/**
 * programs/momentum against a second implementation: the strategy in plain TypeScript, written from the head comment of momentum.c.
 * Both see the same prices and must make the same trades, slot by slot, and end with the same state.
 */

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { WatcherTrigger } from '../dist/index.js';
import { address } from './support/addresses.js';
import { random, readU64, u64 } from './support/bytes.js';
import { createEngine } from './support/engine.js';

interface Bar {
  date: bigint;
  open: bigint;
  high: bigint;
  low: bigint;
  close: bigint;
  volume: bigint;
}

interface Parameters {
  fast: number;
  slow: number;
  takeProfit: number;
  stopLoss: number;
  cash: bigint;
  startSlot: number;
  period: number;
}

interface Trade {
  slot: bigint;
  side: bigint;
  reason: bigint;
  price: bigint;
  units: bigint;
  cash: bigint;
}

/** Words of the state account that do not depend on ids. */
interface Final {
  cash: bigint;
  units: bigint;
  entryPrice: bigint;
  callbacks: bigint;
  trades: bigint;
  samples: bigint;
  fastSum: bigint;
  slowSum: bigint;
  closes: bigint[];
}

interface Agent {
  trades: Trade[];
  final: Final;
  failed: number;
}

const SP500 = readBars('node_modules/vega-datasets/data/sp500-2000.csv');
const DEFAULTS: Parameters = { fast: 20, slow: 100, takeProfit: 2000, stopLoss: 700, cash: 100_000_000_000n, startSlot: 1, period: 1 };
const SCALE = 1_000_000n;
const CASH_MAX = 10n ** 15n;
const [BUY, SELL] = [0n, 1n];
const [CROSS, TOOK_PROFIT, STOPPED_LOSS] = [0n, 1n, 2n];

// ---------------------------------------------------------------------------------------------------------- the second implementation

function simulate(bars: readonly Bar[], parameters: Parameters, slotOf: (index: number) => number): Agent {
  const { fast, slow, takeProfit, stopLoss, startSlot, period } = parameters;
  const trades: Trade[] = [];
  const closes: bigint[] = [];
  const position = { cash: parameters.cash, units: 0n, entryPrice: 0n };
  let guards: { above: bigint; below: bigint } | undefined;
  let [callbacks, failed] = [0, 0];
  let nextTick = startSlot;

  /** Runs a callback, which says whether it succeeded. */
  const callback = (act: () => boolean) => {
    if (act()) callbacks += 1;
    else failed += 1;
  };
  const isInRange = (price: bigint) => price >= 1_000n && price <= 10_000_000_000_000n;
  const sum = (values: bigint[]) => values.reduce((total, value) => total + value, 0n);
  /** The sign of the fast average minus the slow one. */
  const trend = (history: bigint[]) => {
    const difference = sum(history.slice(-fast)) * BigInt(slow) - sum(history.slice(-slow)) * BigInt(fast);
    return difference > 0n ? 1 : difference < 0n ? -1 : 0;
  };

  const buy = (slot: number, price: bigint) => {
    const units = (position.cash * SCALE) / price;
    if (units === 0n) return;
    position.cash -= (units * price + SCALE - 1n) / SCALE;
    position.units = units;
    position.entryPrice = price;
    guards = { above: (price * BigInt(10_000 + takeProfit)) / 10_000n, below: (price * BigInt(10_000 - stopLoss)) / 10_000n };
    trades.push({ slot: BigInt(slot), side: BUY, reason: CROSS, price, units, cash: position.cash });
  };
  const sell = (slot: number, price: bigint, reason: bigint): boolean => {
    const { units } = position;
    const cash = position.cash + (units * price) / SCALE;
    if (cash > CASH_MAX) return false;
    Object.assign(position, { cash, units: 0n, entryPrice: 0n });
    guards = undefined;
    trades.push({ slot: BigInt(slot), side: SELL, reason, price, units, cash });
    return true;
  };
  const tick = (slot: number, price: bigint): boolean => {
    if (!isInRange(price)) return false;
    const history = [...closes.slice(-slow), price];
    if (closes.length >= slow) {
      // A guard whose callback failed.
      const reason = guards && (price > guards.above ? TOOK_PROFIT : price < guards.below ? STOPPED_LOSS : undefined);
      const [before, now] = [trend(history.slice(0, -1)), trend(history)];
      if (reason !== undefined) {
        if (!sell(slot, price, reason)) return false;
      } else if (position.units === 0n && before <= 0 && now > 0) buy(slot, price);
      else if (position.units > 0n && before >= 0 && now < 0 && !sell(slot, price, CROSS)) return false;
    }
    closes.push(price);
    return true;
  };

  bars.forEach(({ close }, index) => {
    const slot = slotOf(index);
    // Watchers see a change from one slot to the next, and run before the timer.
    const previous = bars[index - 1]?.close ?? 0n;
    if (guards && previous <= guards.above && close > guards.above) callback(() => isInRange(close) && sell(slot, close, TOOK_PROFIT));
    else if (guards && previous >= guards.below && close < guards.below)
      callback(() => isInRange(close) && sell(slot, close, STOPPED_LOSS));
    if (slot >= nextTick) {
      callback(() => tick(slot, close));
      nextTick += period * (Math.floor((slot - nextTick) / period) + 1);
    }
  });

  const ring = Array.from({ length: 256 }, () => 0n);
  closes.forEach((close, index) => (ring[index % slow] = close));
  const final = {
    ...position,
    callbacks: BigInt(callbacks),
    trades: BigInt(trades.length),
    samples: BigInt(closes.length),
    fastSum: sum(closes.slice(-fast)),
    slowSum: sum(closes.slice(-slow)),
    closes: ring,
  };
  return { trades, final, failed };
}

// -------------------------------------------------------------------------------------------------------------------- the program

const PROGRAM = address('momentum');
const PRICE = address('price');

interface Drive {
  workers?: number;
  slotOf?: (index: number) => number;
  /** Whether the host reads the rings after each slot, or at the end. */
  drains?: boolean;
}

/** Any number of agents, of one program, on one price. */
function drive(bars: readonly Bar[], agents: readonly Parameters[], { workers = 1, slotOf = nthSlot, drains = true }: Drive = {}) {
  const engine = createEngine({ momentum: 'momentum' }, { workers });
  engine.setAccount(PRICE, { lamports: 10_000_000n, data: new Uint8Array(48) });
  const states = agents.map((parameters, index) => {
    const account = address(`state ${index}`);
    engine.setAccount(account, { lamports: 100_000_000n, data: new Uint8Array(8 * (21 + 256)), owner: PROGRAM });
    const ring = engine.rings.create({ programId: PROGRAM, size: 4096, reader: 'host' });
    const { fast, slow, takeProfit, stopLoss, cash, startSlot, period } = parameters;
    const outcome = engine.invoke({
      programId: PROGRAM,
      accounts: [{ address: account, isWritable: true }, PRICE],
      data: Buffer.concat([Uint8Array.of(0), u64(fast, slow, takeProfit, stopLoss, cash, ring, startSlot, period, 20_000)]),
    });
    expect(outcome).toMatchObject({ status: 'committed' });
    return { account, ring, parameters, trades: [] as Trade[] };
  });

  const hashes: string[] = [];
  let failed = 0;
  const drainAll = () => {
    for (const { ring, trades } of states) trades.push(...engine.rings.drain(ring).map(({ data }) => readTrade(data)));
  };
  bars.forEach((bar, index) => {
    const data = u64(bar.date, bar.open, bar.high, bar.low, bar.close, bar.volume);
    engine.updateAccounts([{ address: PRICE, lamports: 10_000_000n, data }]);
    const report = engine.processSlot(slotOf(index));
    hashes.push(report.stateHash);
    failed += report.outcomes.filter(({ status }) => status === 'failed').length;
    if (drains) drainAll();
  });
  drainAll();

  const results = states.map(({ account, parameters, trades }) => {
    const words = readWords(engine.getAccount(account)!.data);
    return { trades, words, final: finalOf(words), parameters };
  });
  return { engine, hashes, failed, agents: results };
}

function finalOf(words: bigint[]): Final {
  const [cash, units, entryPrice, callbacks, trades] = words.slice(11, 16) as [bigint, bigint, bigint, bigint, bigint];
  const [samples, fastSum, slowSum] = words.slice(18, 21) as [bigint, bigint, bigint];
  return { cash, units, entryPrice, callbacks, trades, samples, fastSum, slowSum, closes: words.slice(21) };
}

function readTrade(data: Uint8Array): Trade {
  const [slot, side, reason, price, units, cash] = readWords(data) as [bigint, bigint, bigint, bigint, bigint, bigint];
  return { slot, side, reason, price, units, cash };
}

function readWords(data: Uint8Array): bigint[] {
  return Array.from({ length: data.length / 8 }, (_, index) => readU64(data, 8 * index));
}

function nthSlot(index: number): number {
  return index + 1;
}

function readBars(file: string): Bar[] {
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  expect(lines.shift()).toBe('date,open,high,low,close,adjclose,volume');
  const micros = (text: string) => BigInt(text.replace('.', ''));
  return lines.map((line) => {
    const [date, open, high, low, close, , volume] = line.split(',') as [string, string, string, string, string, string, string];
    for (const price of [open, high, low, close]) expect(price).toMatch(/^\d+\.\d{6}$/);
    const [o, h, l, c] = [open, high, low, close].map(micros) as [bigint, bigint, bigint, bigint];
    return { date: BigInt(date.replaceAll('-', '')), open: o, high: h, low: l, close: c, volume: BigInt(volume) };
  });
}

/** Prices that each are so many thousandths of the one before. */
function walk(start: bigint, steps: readonly number[]): bigint[] {
  let price = start;
  return steps.map((step) => (price = (price * BigInt(step)) / 1_000n || 1n));
}

function barsOf(closes: readonly bigint[]): Bar[] {
  return closes.map((close) => ({ date: 0n, open: close, high: close, low: close, close, volume: 0n }));
}

/** Drives the agents and compares each with the second implementation. */
function compare(bars: readonly Bar[], parameters: readonly Parameters[], options: Drive = {}) {
  const expected = parameters.map((agent) => simulate(bars, agent, options.slotOf ?? nthSlot));
  const actual = drive(bars, parameters, options);
  actual.agents.forEach(({ trades, final }, index) => {
    expect(trades).toEqual(expected[index]!.trades);
    expect(final).toEqual(expected[index]!.final);
  });
  expect(actual.failed).toBe(expected.reduce((sum, { failed }) => sum + failed, 0));
  return actual;
}

// -------------------------------------------------------------------------------------------------------------------------- tests

test('trades twenty years of the S&P 500 as the strategy says', () => {
  expect(SP500).toHaveLength(5105);
  const { engine, agents, failed } = compare(SP500, [DEFAULTS]);
  const { trades, words } = agents[0]!;
  expect(failed).toBe(0);
  expect(new Set(trades.map(({ side, reason }) => `${side} ${reason}`))).toEqual(new Set(['0 0', '1 0', '1 1', '1 2']));
  // The rest of the state: version, configuration, what is armed, what was dropped.
  const [timer] = engine.timers.list(PROGRAM);
  expect(words.slice(0, 6)).toEqual([1n, 20n, 100n, 2000n, 700n, 100_000_000_000n]);
  expect(words.slice(7, 11)).toEqual([20_000n, timer!.id, 0n, 0n]);
  expect(words.slice(16, 18)).toEqual([0n, 0n]);
  expect(engine.watchers.list(PRICE)).toEqual([]);
});

const AGENTS: Parameters[] = [
  DEFAULTS,
  { ...DEFAULTS, fast: 1, slow: 2, takeProfit: 1, stopLoss: 1 },
  { ...DEFAULTS, fast: 5, slow: 20, takeProfit: 300, stopLoss: 200 },
  { ...DEFAULTS, fast: 64, slow: 256, takeProfit: 100_000, stopLoss: 9_999 },
  { ...DEFAULTS, fast: 3, slow: 10, takeProfit: 150, stopLoss: 9_000, cash: 1_000_000n },
  // A quarter more than this is more than a program can hold, so that some sales fail.
  { ...DEFAULTS, fast: 10, slow: 50, takeProfit: 1_000, stopLoss: 500, cash: (CASH_MAX * 4n) / 5n },
  { ...DEFAULTS, fast: 4, slow: 13, takeProfit: 700, stopLoss: 400, startSlot: 7, period: 5 },
  { ...DEFAULTS, cash: 0n },
];

test('many agents of one program trade side by side, with any number of workers, as each would alone', () => {
  const one = compare(SP500, AGENTS, { workers: 1 });
  expect(one.failed).toBeGreaterThan(0);
  for (const workers of [2, 4]) {
    const more = drive(SP500, AGENTS, { workers });
    expect(more.agents).toEqual(one.agents);
    expect(more.hashes).toEqual(one.hashes);
  }
});

test('one tick is one sample, when slots are skipped too', () => {
  compare(SP500.slice(0, 1500), AGENTS, { slotOf: (index) => 1 + 3 * index });
  compare(SP500.slice(0, 1500), AGENTS, { slotOf: (index) => 5 + index * 4 + (index % 3) });
});

test('an open position is guarded by the watchers that the state names', () => {
  const { engine, agents } = drive(SP500.slice(0, 2800), [DEFAULTS]);
  const { words } = agents[0]!;
  const entryPrice = words[13]!;
  expect(entryPrice).toBe(1_134_280_029n);
  const [above, below] = engine.watchers.list(PRICE);
  expect(above).toMatchObject({
    id: words[9],
    trigger: WatcherTrigger.THRESHOLD_ABOVE,
    threshold: (entryPrice * 12_000n) / 10_000n,
    offset: 32n,
  });
  expect(below).toMatchObject({
    id: words[10],
    trigger: WatcherTrigger.THRESHOLD_BELOW,
    threshold: (entryPrice * 9_300n) / 10_000n,
    offset: 32n,
  });
});

test('a full ring drops records and never a trade', () => {
  const expected = simulate(SP500, DEFAULTS, nthSlot);
  const { agents } = drive(SP500, [DEFAULTS], { drains: false });
  const { trades, words, final } = agents[0]!;
  // 4,096 bytes hold 56 entries of 24 + 48.
  expect(trades).toEqual(expected.trades.slice(0, 56));
  expect(final).toEqual(expected.final);
  expect(words.slice(16, 18)).toEqual([BigInt(expected.trades.length - 56), 9n]);
});

test('a price out of range fails the callback and changes nothing', () => {
  const next = random(1);
  const closes = SP500.slice(0, 1200).map(({ close }) => {
    const roll = next() % 40;
    return roll === 0 ? 0n : roll === 1 ? 999n : roll === 2 ? 10_000_000_000_001n : close;
  });
  const { failed } = compare(barsOf(closes), AGENTS);
  expect(failed).toBeGreaterThan(8 * 60);
});

test('a stop-loss that one bad price made fail is not lost', () => {
  const closes = [10_000_000n, 10_000_000n, 10_000_000n, 11_000_000n, 0n, 10_400_000n, 10_400_000n];
  const { agents, failed } = drive(barsOf(closes), [{ ...DEFAULTS, fast: 2, slow: 3, stopLoss: 500 }]);
  // It buys at 11, so it stops at 10.45. The bad price fails the watcher's callback and the tick.
  expect(failed).toBe(2);
  const trades = agents[0]!.trades.map(({ slot, side, reason, price }) => [slot, side, reason, price]);
  expect(trades).toEqual([
    [4n, BUY, CROSS, 11_000_000n],
    [6n, SELL, STOPPED_LOSS, 10_400_000n],
  ]);
});

const anyParameters = (percent: fc.Arbitrary<number>) =>
  fc.integer({ min: 2, max: 30 }).chain((slow) =>
    fc.record({
      fast: fc.integer({ min: 1, max: slow - 1 }),
      slow: fc.constant(slow),
      takeProfit: percent,
      stopLoss: percent,
      cash: fc.oneof(fc.bigInt(0n, 10n ** 12n), fc.bigInt(0n, CASH_MAX)),
      startSlot: fc.integer({ min: 1, max: 5 }),
      period: fc.integer({ min: 1, max: 3 }),
    }),
  );

test('any parameters over any prices', () => {
  // Prices of every size move by up to a tenth, now and then by far more.
  const step = fc.oneof(
    { weight: 20, arbitrary: fc.integer({ min: 900, max: 1_100 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 5_000 }) },
  );
  const prices = fc
    .tuple(fc.bigInt(1_000n, 10n ** 13n), fc.array(step, { minLength: 50, maxLength: 200 }))
    .map(([start, steps]) => walk(start, steps));
  const agents = fc.array(anyParameters(fc.integer({ min: 1, max: 3_000 })), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(agents, prices, (parameters, closes) => void compare(barsOf(closes), parameters)),
    { numRuns: 100, seed: 20 },
  );
});

test('prices that meet averages and thresholds exactly', () => {
  // Few different prices: averages are often equal, and a price is often a whole tenth above or below another.
  const prices = fc.array(fc.constantFrom(900n, 990n, 1_000n, 1_100n, 1_210n), { minLength: 100, maxLength: 300 });
  const agents = fc.array(anyParameters(fc.constant(1_000)), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(agents, prices, (parameters, closes) => {
      compare(barsOf(closes.map((close) => close * SCALE)), parameters);
    }),
    { numRuns: 50, seed: 20 },
  );
});
