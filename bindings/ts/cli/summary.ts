/** What a run came to, in a few lines. */

import { Columns, join } from './columns.js';
import { showDecimal } from './numbers.js';
import { buyAndHold, type Run } from './run.js';
import type { Scenario } from './scenario.js';

export function summary({ feed, report }: Scenario, run: Run): string[] {
  const { callbacks, failed, expired, unitsConsumed, seconds, first, last, stateHash } = run;
  const rows = [
    ['slots', count(feed.length), `${count(feed[0]!.slot)} to ${count(feed.at(-1)!.slot)}`],
    ['callbacks', count(callbacks), `${count(failed)} failed${expired > 0 ? `, ${count(expired)} expired before they could run` : ''}`],
  ];
  for (const record of report.records) {
    const events = run.timeline.filter((item) => 'record' in item && item.record === record);
    rows.push([record.name, count(events.length), '']);
  }
  const held = buyAndHold(run);
  if (first && last) {
    const { decimals } = last;
    const money = (value: bigint) => showDecimal(value, decimals, Math.min(decimals, 2));
    rows.push(['start value', money(first.value), '']);
    rows.push(['final value', money(last.value), percent(last.value - first.value, first.value)]);
    if (held) {
      rows.push(['buy and hold', money(held.value), percent(held.value - first.value, first.value)]);
      rows.push(['difference', money(last.value - held.value), percent(last.value - held.value, held.value)]);
    }
  }
  rows.push(['compute units', count(unitsConsumed), callbacks > 0 ? `${count(unitsConsumed / BigInt(callbacks))} a callback` : '']);
  const rate = (things: number) => count(things / Math.max(seconds, 1e-9));
  rows.push(['seconds', seconds.toFixed(3), `${rate(feed.length)} slots and ${rate(callbacks)} callbacks a second`]);
  const columns = new Columns(['left', 'right', 'left'], rows);
  // The hash is too long to be in a column with numbers.
  const labelWidth = Math.max(...rows.map(([label]) => label!.length));
  return [...rows.map((row) => join(columns.line(row))), join('state hash'.padEnd(labelWidth), stateHash)];
}

function count(value: number | bigint): string {
  return showDecimal(BigInt(typeof value === 'number' ? Math.round(value) : value), 0);
}

function percent(part: bigint, whole: bigint): string {
  if (whole <= 0n) return '';
  const share = (part * 1_000_000n) / whole;
  return `${part >= 0n ? '+' : ''}${showDecimal(share, 4, 2)} %`;
}
