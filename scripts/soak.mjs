// What the package holds on to, and what ends it: npm run soak -- [--quick] [--only CASE]… [--json FILE]
//
// Each case of scripts/soak/cases runs in a process of its own. One that ends in another way than by itself, hangs, counts something else than it
// should, or whose memory grows, makes the exit code 1.
import Table from 'cli-table3';
import { fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const CASES = ['terminations', 'cycles', 'forgotten', 'callbacks', 'replicas'];
/** The most that resident memory may grow after the warm-up; of a quick run, which is hardly warm. */
const GROWTH = { full: 0.05, quick: 0.15 };
/**
 * The young generation stays small: V8 would let it grow to 16 MB, and with it the shared memory that waits to be collected, which steps up
 * resident memory several times in the first thousands of engines.
 */
const FLAGS = ['--expose-gc', '--min-semi-space-size=1', '--max-semi-space-size=1'];
const HANGS_AFTER_MS = { full: 3_600_000, quick: 300_000 };

const { only, length, json } = read();
const results = [];
for (const name of only) {
  console.error(name);
  results.push({ name, ...(await runCase(name)) });
}
if (json !== undefined) writeFileSync(json, `${JSON.stringify(results, null, 2)}\n`);
console.log(table(results));
for (const { name, problems } of results) for (const problem of problems) console.log(`${name}: ${problem}`);
if (results.some(({ problems }) => problems.length > 0)) process.exitCode = 1;

function read() {
  try {
    const options = { only: { type: 'string', multiple: true }, quick: { type: 'boolean' }, json: { type: 'string' } };
    const { only = CASES, quick = false, json } = parseArgs({ options }).values;
    const unknown = only.find((name) => !CASES.includes(name));
    if (unknown !== undefined) throw new Error(`--only ${unknown}: there is no such case; there are ${CASES.join(', ')}`);
    // The cases take minutes: better to learn now that the file cannot be written.
    if (json !== undefined) writeFileSync(json, '[]\n');
    return { only, length: quick ? 'quick' : 'full', json };
  } catch (error) {
    console.error(`${error.message}\nusage: npm run soak -- [--quick] [--only CASE]… [--json FILE]`);
    process.exit(2);
  }
}

/** How it went; problems are sentences. */
async function runCase(name) {
  const child = fork(fileURLToPath(new URL('soak/child.mjs', import.meta.url)), [name, length], { execArgv: FLAGS });
  let result = { counts: {}, problems: [] };
  child.once('message', (message) => (result = message));
  let hangs = false;
  const timer = setTimeout(() => {
    hangs = true;
    child.kill('SIGKILL');
  }, HANGS_AFTER_MS[length]);
  const [code, signal] = await new Promise((resolve) => child.once('exit', (...how) => resolve(how)));
  clearTimeout(timer);
  if (hangs) result.problems.push(`it has not ended within ${HANGS_AFTER_MS[length] / 60_000} minutes`);
  else if (code !== 0) result.problems.push(`its process ended with ${signal ?? `code ${code}`}`);
  else if (!result.memory) result.problems.push('its process ended without a result');
  if (result.memory?.growth > GROWTH[length]) {
    result.problems.push(`resident memory grew by ${percent(result.memory.growth)}, more than ${percent(GROWTH[length])}`);
  }
  return result;
}

function table(results) {
  const rows = new Table({ head: ['case', 'what', 'MB, first', 'MB, last', 'growth', 'seconds', ''], style: { head: [], border: [] } });
  for (const { name, counts, memory, seconds, problems } of results) {
    const what = Object.entries(counts).map(([thing, count]) => `${count.toLocaleString('en')} ${thing}`);
    const numbers = memory
      ? [memory.first.toFixed(1), memory.last.toFixed(1), percent(memory.growth), seconds.toFixed(0)]
      : ['', '', '', ''];
    rows.push([name, what.join('\n'), ...numbers, problems.length > 0 ? 'FAILED' : 'ok']);
  }
  return rows.toString();
}

function percent(ratio) {
  return `${(ratio * 100).toFixed(1)} %`;
}
