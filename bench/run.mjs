// Everything that is measured: `npm run bench -- [--only GROUP]… [--quick] [--json FILE] [--check]`.
//
// Native groups run in one process of bench/native, the others here. All give rows `{ name, value, unit, peer, p25, p75, goal, met }`, where a ratio
// is the median of rounds in which ours and the peer took turns. The table at the end has them all. With --check, a goal that does not
// depend on how busy the machine is (instructions, bytes, allocations) and is missed makes the exit code 1.
import Table from 'cli-table3';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { tokenElf } from './token.mjs';

const NATIVE = [
  'calibration',
  'instructions',
  'ring',
  'wheel',
  'matcher',
  'scheduler',
  'engine',
  'executor',
  'mollusk',
  'callbacks',
  'hash',
  'allocator',
  'where',
];
const OURS = {
  messages: () => import('./messages.mjs'),
  slots: () => import('./slots.mjs'),
  programs: () => import('./programs.mjs'),
  package: () => import('./package.mjs'),
};
const GROUPS = [...NATIVE, ...Object.keys(OURS)];
const COUNTED = ['instructions', 'bytes', 'allocations'];

const options = read();
const rows = native(GROUPS.filter((group) => NATIVE.includes(group) && options.only.includes(group)));
for (const [group, load] of Object.entries(OURS)) {
  if (!options.only.includes(group)) continue;
  console.error(group);
  rows.push(...(await (await load()).default({ quick: options.quick })));
}
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(rows, null, 2)}\n`);
console.log(table(rows));
const missed = rows.filter(({ met }) => met === false);
if (missed.length > 0) console.log(`${missed.length} of ${rows.filter(({ met }) => met !== null).length} goals are missed.`);
if (options.check && missed.some(({ unit }) => COUNTED.includes(unit))) process.exitCode = 1;

function read() {
  const known = {
    only: { type: 'string', multiple: true },
    quick: { type: 'boolean' },
    json: { type: 'string' },
    check: { type: 'boolean' },
  };
  try {
    const { only = GROUPS, quick = false, json, check = false } = parseArgs({ options: known }).values;
    const unknown = only.find((group) => !GROUPS.includes(group));
    if (unknown !== undefined) throw new Error(`--only ${unknown}: there is no such group; there are ${GROUPS.join(', ')}`);
    // Measuring takes minutes: better to learn now that the file cannot be written.
    if (json !== undefined) writeFileSync(json, '[]\n');
    return { only, quick, json, check };
  } catch (error) {
    console.error(`${error.message}\nusage: npm run bench -- [--only GROUP]… [--quick] [--json FILE] [--check]`);
    process.exit(2);
  }
}

function native(groups) {
  if (groups.length === 0) return [];
  const root = fileURLToPath(new URL('..', import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), 'async-bpf-bench-'));
  try {
    const json = join(folder, 'rows.json');
    const token = join(folder, 'spl_token.so');
    writeFileSync(token, tokenElf());
    const args = [...groups.flatMap((group) => ['--only', group]), ...(options.quick ? ['--quick'] : []), '--json', json, '--token', token];
    const flags = ['--release', '--locked', '--quiet', '--package', 'async-bpf-bench'];
    // A run builds its own binary only, and one group compares two.
    cargo(root, ['build', ...flags, '--bins']);
    cargo(root, ['run', ...flags, '--', ...args]);
    return JSON.parse(readFileSync(json, 'utf8'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function cargo(root, args) {
  const { status, error } = spawnSync('cargo', args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (error) console.error(`cargo does not run: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

function table(rows) {
  const result = new Table({
    head: ['what', 'median', 'quartiles', 'unit', 'against', 'goal', ''],
    style: { head: [], border: [], compact: true },
    colWidths: [62, 11, 19, 16, 46, 9, 8],
    colAligns: ['left', 'right', 'right', 'left', 'left', 'right', 'left'],
    wordWrap: true,
  });
  for (const { name, value, unit, peer, p25, p75, goal, met } of rows) {
    const quartiles = p25 === value && p75 === value ? '' : `${number(p25)} to ${number(p75)}`;
    result.push([name, number(value), quartiles, unit, peer ?? '', goal ?? '', met === null ? '' : met ? 'met' : 'MISSED']);
  }
  return result.toString();
}

/** Three digits, and thousands apart. */
function number(value) {
  return value.toLocaleString('en', Math.abs(value) >= 100 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 });
}
