/** The results for machines. examples/README.md documents them. */

import { Dates } from './dates.js';
import { formatDecimal } from './numbers.js';
import { RESULT_KEYS, type Event, type Field, type Worth } from './report.js';
import { buyAndHold, type Failure, type Run } from './run.js';
import type { Scenario } from './scenario.js';

export function results({ feed, report, names }: Scenario, run: Run): object {
  const dates = new Dates(feed);
  const figures: Record<(typeof RESULT_KEYS)[number], unknown> = {
    slots: feed.length,
    firstSlot: toNumber(feed[0]!.slot),
    lastSlot: toNumber(feed.at(-1)!.slot),
    callbacks: run.callbacks,
    failed: run.failed,
    expired: run.expired,
    startValue: toMoney(run.first),
    finalValue: toMoney(run.last),
    buyAndHold: toMoney(buyAndHold(run)),
    unitsConsumed: toNumber(run.unitsConsumed),
    seconds: Number(run.seconds.toFixed(6)),
    stateHash: run.stateHash,
    failures: run.timeline.flatMap((item) => ('outcome' in item ? [failureResult(item, dates, names.of(item.outcome.programId))] : [])),
  };
  const lists = report.records.map((record) => {
    return [record.name, run.timeline.flatMap((item) => ('record' in item && item.record === record ? [eventResult(item, dates)] : []))];
  });
  return { ...figures, ...Object.fromEntries(lists) };
}

function eventResult({ record, slot, values }: Event, dates: Dates): object {
  const fields = record.fields.map((field, index) => [field, values[index]!] as const);
  return {
    slot: toNumber(slot),
    date: dates.of(slot),
    ...Object.fromEntries(fields.map(([field, value]) => [field.name, toResult(field, value)])),
    raw: Object.fromEntries(fields.flatMap(([{ name, decimals }, value]) => (decimals > 0 ? [[name, value.toString()]] : []))),
  };
}

function failureResult({ slot, outcome }: Failure, dates: Dates, program: string): object {
  const { source, status, error, logs } = outcome;
  return {
    slot: toNumber(slot),
    date: dates.of(slot),
    program,
    source: `${source.kind} ${source.id}`,
    status,
    error: error?.message,
    logs,
  };
}

function toResult({ labels, decimals }: Field, value: bigint | string): number | string {
  if (typeof value === 'string') return value;
  return labels?.[Number(value)] ?? toNumber(value, decimals);
}

/** The nearest number; the integer as a string where a number would be another one. */
function toNumber(value: bigint, decimals = 0): number | string {
  const number = Number(formatDecimal(value, decimals));
  return decimals > 0 || Number.isSafeInteger(number) ? number : value.toString();
}

function toMoney(worth: Worth | undefined): number | string | null {
  return worth ? toNumber(worth.value, worth.decimals) : null;
}
