/** Says in words what happened, for messages of failing tests. */

import type { Outcome, Source } from '../types.js';
import { label } from './addresses.js';

/** More lines than a terminal shows help nobody. */
const MAX_LINES = 20;

/** For example `timer 1048577 of "counter" (8opH…)`. */
export function who({ source, programId }: Pick<Outcome, 'source' | 'programId'>): string {
  return `${sourceName(source)} of ${label(programId)}`;
}

export function sourceName({ kind, id }: Source): string {
  return kind === 'invoke' ? 'an invocation' : `${kind} ${id}`;
}

/** For example `failed: custom program error: 0x1 (EXECUTION_FAILED, Custom 1), 1,204 units`. */
export function fate({ status, error, unitsConsumed }: Outcome): string {
  const custom = error?.customCode === undefined ? '' : ` ${error.customCode}`;
  const reason = error ? `: ${error.message} (${error.name}, ${error.reason}${custom})` : '';
  return `${status}${reason}, ${units(unitsConsumed)}`;
}

export function units(consumed: bigint): string {
  return `${consumed.toLocaleString('en')} units`;
}

/** A line for each outcome. */
export function timeline(outcomes: readonly (Outcome & { slot?: bigint })[]): string {
  if (outcomes.length === 0) return '  nothing ran';
  return lines(outcomes.map((outcome) => `${outcome.slot === undefined ? '' : `slot ${outcome.slot}: `}${who(outcome)}: ${fate(outcome)}`));
}

/** What an invocation logged. */
export function logsOf(outcomes: readonly Outcome[]): string {
  const logs = outcomes.flatMap((outcome) => outcome.logs);
  return logs.length === 0 ? 'Nothing was logged.' : `Logs:\n${lines(logs)}`;
}

function lines(all: readonly string[]): string {
  const shown = all.slice(0, MAX_LINES);
  if (all.length > shown.length) shown.push(`… and ${all.length - shown.length} more`);
  return shown.map((line) => `  ${line}`).join('\n');
}

/** Ascending slots in words: `1 to 5, 9`. */
export function ranges(slots: readonly bigint[]): string {
  const parts: [first: bigint, last: bigint][] = [];
  for (const slot of slots) {
    const open = parts.at(-1);
    if (open && open[1] + 1n === slot) open[1] = slot;
    else parts.push([slot, slot]);
  }
  const texts = parts.slice(0, MAX_LINES).map(([first, last]) => (first === last ? `${first}` : `${first} to ${last}`));
  if (parts.length > texts.length) texts.push('…');
  return texts.length === 0 ? 'none' : texts.join(', ');
}
