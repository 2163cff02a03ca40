/** The tables of `docs/errors-and-limits.md` are those of the code. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AsyncBpfEngine, CatchUp, DEFAULT_LIMITS, ErrorCode, WatcherTrigger, type Limits } from '../dist/index.js';
import { Feed } from '../dist/feed/index.js';
import { address } from './support/addresses.js';
import { createEngine } from './support/engine.js';
import { refusal } from './support/refusal.js';

const DOCUMENT = readFileSync('docs/errors-and-limits.md', 'utf8');
const CONSTANTS = readFileSync('bindings/ts/constants.ts', 'utf8');

/** The rows of the table behind a mark, as they are written. */
function table(mark: string): string[][] {
  const [, text] = DOCUMENT.match(new RegExp(`<!-- ${mark} -->\\n\\n([^]*?)\\n\\n`)) ?? [];
  if (text === undefined) throw new Error(`there is no table behind <!-- ${mark} -->`);
  const rows = text.split('\n').map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  return rows.slice(2);
}

const number = (text: string) => Number(text.replaceAll(',', ''));
const range = (text: string) => text.replaceAll(/(\d),(?=\d)/g, '$1');

test('error codes', () => {
  const said = new Map([...CONSTANTS.matchAll(/\/\*\* (.+) \*\/\n {2}([A-Z_]+): \d+,/g)].map(([, what, name]) => [name!, what!]));
  const expected = Object.entries(ErrorCode).map(([name, code]) => [`${code}`, `\`${name}\``, said.get(name)]);
  expect(table('codes').map(([code, name, what]) => [code, name, what])).toEqual(expected);
  expect(table('codes').filter(([code, , , remedy]) => code !== '0' && !remedy)).toEqual([]);
});

test('limits of programs', () => {
  const LIMIT = /\/\*\* (.+) \([A-Z_]+\): default (\d+), in (\[\d+, \d+\])\. \*\/\n {2}(\w+): number;/g;
  const expected = [...CONSTANTS.matchAll(LIMIT)].map(([, what, initial, hard, option]) => [`\`${option}\``, what, initial, hard]);
  expect(expected).toHaveLength(Object.keys(DEFAULT_LIMITS).length);
  expect(table('limits').map(([option, what, initial, hard]) => [option, what, range(initial!), range(hard!)])).toEqual(expected);
});

test.each(table('limits'))('the range of %s is what the engine says', (option, _, initial, hard) => {
  const limit = option!.replaceAll('`', '') as keyof Limits;
  const [, max] = range(hard!).match(/, (\d+)\]/)!;
  expect(DEFAULT_LIMITS[limit]).toBe(number(initial!));
  expect(refusal(() => new AsyncBpfEngine({ limits: { [limit]: Number(max) + 1 } }))).toContain(`must be in ${range(hard!)}`);
});

describe('limits of the host', () => {
  const programId = address('program');
  const account = address('account');
  const engine = () => createEngine({ program: 'counter' });
  const ticks = { programId, startSlot: 1, periodSlots: 1, catchUp: CatchUp.ALL };
  const watcher = { programId, account, trigger: WatcherTrigger.ANY_CHANGE };
  const feed = (option: string) => (value: number) => new Feed(engine(), { [option]: value });

  const from = <T>(look: (its: AsyncBpfEngine) => T): T => look(engine());

  /** What states the range, and what gives the default where it can be seen. */
  const OPTIONS: Record<string, { use: (value: number) => unknown; default?: () => unknown }> = {
    '`workers`': { use: (workers) => new AsyncBpfEngine({ workers }) },
    '`capacity` of events': { use: (capacity) => engine().events({ capacity }) },
    '`capacity` of batches': { use: (capacity) => engine().accountBatch({ capacity }) },
    '`dataLength` of batches': {
      use: (dataLength) => engine().accountBatch({ capacity: 1, dataLength }),
      default: () => engine().accountBatch({ capacity: 1 }).dataLength,
    },
    '`computeBudget`': {
      use: (computeBudget) => engine().invoke({ programId, computeBudget }),
      default: () => from(({ timers }) => timers.get(timers.create({ programId, triggerSlot: 1 }))!.computeBudget),
    },
    '`maxTicks`': {
      use: (maxTicks) => engine().timers.createPeriodic({ ...ticks, maxTicks }),
      default: () => from((its) => (its.timers.createPeriodic(ticks), its.processSlot(50).outcomes.length)),
    },
    '`minSlotsBetweenTriggers`': {
      use: (minSlotsBetweenTriggers) => engine().watchers.create({ ...watcher, minSlotsBetweenTriggers }),
      default: () => from(({ watchers }) => watchers.get(watchers.create(watcher))!.minSlotsBetweenTriggers),
    },
    '`holdSlots` of feeds': { use: feed('holdSlots'), default: () => recorded('holdSlots') },
    '`maxPendingSlots` of feeds': { use: feed('maxPendingSlots'), default: () => recorded('maxPendingSlots') },
    '`maxPendingBytes` of feeds': { use: feed('maxPendingBytes'), default: () => recorded('maxPendingBytes') },
  };

  /** An option as a feed notes it in its recording. */
  function recorded(option: string): unknown {
    const folder = mkdtempSync(join(tmpdir(), 'async-bpf-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'run.jsonl');
    new Feed(engine(), { recording: path }).close();
    return (JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>)[option];
  }

  test('each has a row', () => {
    expect(table('ranges').map(([option]) => option)).toEqual(Object.keys(OPTIONS));
  });

  test.each(table('ranges'))('%s', (option, _, initial, allowed) => {
    const { use, default: seen } = OPTIONS[option!]!;
    const [, min, max] = range(allowed!).match(/^\[(\d+), (\d+)\]$/)!;
    for (const value of [Number(min) - 1, Number(max) + 1]) expect(refusal(() => use(value))).toContain(`in [${min}, ${max}]`);
    if (seen) expect(Number(seen())).toBe(number(initial!.split(', or')[0]!));
  });
});
