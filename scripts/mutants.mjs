// A check of the tests: puts one fault after another into a copy of the working tree, and sees whether a test fails.
//
//   node scripts/mutants.mjs [--only NAME]… [--quick] [--dir DIR] [--json FILE]
//   node scripts/mutants.mjs --list --json FILE     the table for docs/testing.md, with what an earlier run found
//
// The faults are in mutants/faults.mjs. With --quick, only the first test command has a chance. DIR keeps the copy and what was
// compiled, for the next run. Results are added to those that FILE has.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { faults } from './mutants/faults.mjs';

const cargo = (crate) => ['cargo', 'test', '--release', '--locked', '-p', crate, '--lib', '--tests'];
const vitest = (...args) => ['npx', 'vitest', 'run', '--bail', '1', ...args];
/** From cheap to expensive, with minutes that are far more than they take. */
const STAGES = [
  { name: 'engine', command: cargo('async-bpf-engine'), minutes: 5 },
  { name: 'svm', command: cargo('async-bpf-svm'), minutes: 15 },
  { name: 'addon', command: ['npm', 'run', 'build:native'], minutes: 15, builds: true },
  { name: 'conformance', command: vitest('__test__/conformance.test.ts'), minutes: 5 },
  { name: 'vitest', command: vitest('--exclude', '__test__/{conformance,fuzz}.test.ts'), minutes: 30 },
  { name: 'fuzz', command: vitest('__test__/fuzz.test.ts'), minutes: 15 },
];

const options = read({
  only: { type: 'string', multiple: true },
  quick: { type: 'boolean' },
  dir: { type: 'string' },
  json: { type: 'string' },
  list: { type: 'boolean' },
});
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const results = options.json && existsSync(options.json) ? JSON.parse(readFileSync(options.json, 'utf8')) : {};
const chosen = faults.filter(({ name }) => !options.only || options.only.includes(name));

try {
  for (const name of options.only ?? []) if (!chosen.some((fault) => fault.name === name)) fail(`there is no fault called ${name}`);
  for (const fault of faults) mutated(fault, readFileSync(join(root, fault.file), 'utf8'));
  if (options.list) list();
  else await check();
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
}

function read(options) {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    console.error(`${error.message}\nusage: node scripts/mutants.mjs [--only NAME]… [--quick] [--list] [--dir DIR] [--json FILE]`);
    process.exit(2);
  }
}

async function check() {
  const folder = resolve(options.dir ?? mkdtempSync(join(tmpdir(), 'async-bpf-mutants-')));
  const copy = join(folder, 'copy');
  try {
    copyTree(copy);
    const env = {
      ...process.env,
      CARGO_TARGET_DIR: join(folder, 'target'),
      // Compiles fast; what is slow at run time is not what matters here.
      CARGO_PROFILE_RELEASE_LTO: 'off',
      CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '16',
      CARGO_PROFILE_RELEASE_INCREMENTAL: 'true',
      CARGO_PROFILE_RELEASE_OPT_LEVEL: '1',
      CARGO_PROFILE_RELEASE_STRIP: 'none',
      CARGO_TERM_COLOR: 'never',
      NO_COLOR: '1',
      FUZZ_RUNS: '2000',
    };
    const within = (stage) => run(stage.command, { cwd: copy, env }, stage.minutes);
    const stages = options.quick ? STAGES.slice(0, 1) : STAGES;
    if (!options.quick) await within({ command: ['npm', 'run', 'build:ts'], minutes: 5 });

    let started = Date.now();
    for (const stage of stages) {
      const { failed, output } = await within(stage);
      if (failed) fail(`without a fault, '${stage.command.join(' ')}' fails:\n${output.slice(-4000)}`);
      console.log(`without a fault: ${stage.name} passes`);
    }
    console.log(`without a fault: ${seconds(started)} s`);

    for (const fault of chosen) {
      started = Date.now();
      const path = join(copy, fault.file);
      const original = readFileSync(path, 'utf8');
      writeFileSync(path, mutated(fault, original));
      const caught = await caughtBy(fault, stages, within);
      writeFileSync(path, original);
      results[fault.name] = { file: fault.file, caught, seconds: seconds(started) };
      console.log(`${fault.name}: ${caught ? `${caught.stage}, ${caught.test}` : 'SURVIVED'} (${seconds(started)} s)`);
      if (options.json) writeFileSync(options.json, JSON.stringify(results, null, 2));
    }
  } finally {
    if (!options.dir) rmSync(folder, { recursive: true, force: true });
  }
  const survivors = chosen.filter(({ name }) => !results[name].caught);
  console.log(`${chosen.length - survivors.length} of ${chosen.length} faults were caught`);
  if (survivors.length > 0) {
    console.log(`SURVIVED: ${survivors.map(({ name }) => name).join(', ')}`);
    process.exitCode = 1;
  }
}

/** The first stage that fails, and its first test that does. */
async function caughtBy(fault, stages, within) {
  for (const stage of stages) {
    // The engine knows nothing of what is above it.
    if (stage.name === 'engine' && !fault.file.startsWith('crates/engine/')) continue;
    const { failed, timeout, output } = await within(stage);
    if (!failed) continue;
    if (stage.builds || /error: could not compile/.test(output)) fail(`${fault.name} does not compile:\n${output.slice(-4000)}`);
    return { stage: stage.name, test: timeout ? 'timeout' : firstFailure(output) };
  }
  return null;
}

function firstFailure(output) {
  // The Rust runner of the vectors is one test; the others have names of their own.
  const vector = /vectors do not hold:\n([\w-]+),/.exec(output)?.[1];
  const names = [
    /^test (\S+) \.\.\. FAILED$/m,
    /^thread '([^']+)'.* panicked at/m,
    /^ *FAIL +(?:__test__\/)?(.+)$/m,
    /test failed, to rerun pass (.+)$/m,
  ];
  return vector ?? names.map((name) => name.exec(output)?.[1]).find(Boolean) ?? 'no test that has a name';
}

/** The working tree as git sees it, with the packages that are installed here. */
function copyTree(copy) {
  rmSync(copy, { recursive: true, force: true });
  const { stdout } = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, maxBuffer: 1 << 26 });
  for (const file of stdout.toString().split('\0'))
    if (file && existsSync(join(root, file))) cpSync(join(root, file), join(copy, file), { recursive: true });
  mkdirSync(join(copy, 'node_modules'));
  // One by one: tools keep their caches beside the packages.
  for (const name of readdirSync(join(root, 'node_modules')))
    if (name === '.bin' || !name.startsWith('.')) symlinkSync(join(root, 'node_modules', name), join(copy, 'node_modules', name));
}

function mutated({ name, file, find, replace }, text) {
  const parts = text.split(find);
  if (parts.length !== 2)
    fail(`${name}: '${find}' occurs ${parts.length - 1} times in ${file}, not once; correct scripts/mutants/faults.mjs`);
  return parts.join(replace);
}

/** Runs a command to its end or, with everything that it started, to that of its time. */
function run([command, ...args], options, minutes) {
  return new Promise((done) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const kill = () => process.kill(-child.pid, 'SIGKILL');
    const stop = () => (kill(), process.exit(130));
    let [output, timeout] = ['', false];
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
    const timer = setTimeout(() => ((timeout = true), kill()), minutes * 60_000);
    process.once('SIGINT', stop).once('SIGTERM', stop);
    child.on('close', (status) => {
      clearTimeout(timer);
      process.off('SIGINT', stop).off('SIGTERM', stop);
      done({ failed: status !== 0, timeout, output });
    });
  });
}

function list() {
  console.log('| fault | file | caught by |\n| --- | --- | --- |');
  for (const { name, file, what } of faults) {
    const found = results[name]?.caught;
    const caught = found ? `${found.stage}: ${found.test}` : name in results ? 'SURVIVED' : 'not run';
    console.log(`| ${what} (\`${name}\`) | ${file.replace(/^crates\/|src\//g, '')} | ${caught.replaceAll('|', '\\|')} |`);
  }
}

function seconds(since) {
  return Math.round((Date.now() - since) / 1000);
}

function fail(message) {
  throw new Error(message);
}
