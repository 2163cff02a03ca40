/** What happened, slot by slot. */

import { Columns, join } from './columns.js';
import { Dates } from './dates.js';
import type { Names } from './names.js';
import { showDecimal } from './numbers.js';
import type { Event, Field } from './report.js';
import type { Failure, Run } from './run.js';
import type { Scenario } from './scenario.js';

const PROGRAM_LOG = 'Program log: ';
/** Columns that a line should fit in. */
const WIDTH = 100;

export function timeline({ feed, report, names }: Scenario, { timeline: items }: Run): string[] {
  if (items.length === 0) return [];
  const dates = new Dates(feed);
  // With one kind of event, its name would only repeat itself.
  const kind = (name: string) => (report.records.length > 1 ? name : '');
  const places = items.map((item) => [
    showDecimal(item.slot, 0),
    dates.of(item.slot) ?? '',
    kind('record' in item ? item.record.name : ''),
  ]);
  const header = ['slot', places.some(([, date]) => date) ? 'date' : '', kind('event')];
  const start = new Columns(['right', 'left', 'left'], [header, ...places]);

  const tables = new Map(
    report.records.map((record) => {
      const rows = items.flatMap((item) => ('record' in item && item.record === record ? [cells(item)] : []));
      const titles = record.fields.map(({ name }) => name);
      return [record, { titles, columns: new Columns(record.fields.map(alignment), [titles, ...rows]), isUsed: rows.length > 0 }];
    }),
  );
  const headers = [...tables].flatMap(([record, { titles, columns, isUsed }]) => {
    return isUsed ? [join(start.line([header[0]!, header[1]!, kind(record.name)]), columns.line(titles))] : [];
  });
  const lines = items.flatMap((item, index) => {
    const place = start.line(places[index]!);
    if ('record' in item) return [join(place, tables.get(item.record)!.columns.line(cells(item)))];
    return describe(item, names, WIDTH - place.length).map((text, part) => join(part === 0 ? place : ' '.repeat(place.length), text));
  });
  return [...headers, ...lines];
}

function cells({ record, values }: Event): string[] {
  return record.fields.map(({ labels, decimals, digits }, index) => {
    const value = values[index]!;
    if (typeof value === 'string') return value;
    return labels?.[Number(value)] ?? showDecimal(value, decimals, digits);
  });
}

function alignment({ type, labels }: Field): 'left' | 'right' {
  return type === 'address' || labels ? 'left' : 'right';
}

/** What failed and why, and the last thing that the program said about it: the runtime's own last line only repeats the error. */
function describe({ outcome }: Failure, names: Names, room: number): string[] {
  const { source, programId, status, error, logs } = outcome;
  const what = `${names.of(programId)}: ${source.kind} ${source.id} ${status}`;
  const sentence = error ? `${what}: ${error.message}` : what;
  const title = error && sentence.length > room ? [what, error.message] : [sentence];
  const said = logs.findLast((log) => log.startsWith(PROGRAM_LOG));
  return said === undefined ? title : [...title, said];
}
