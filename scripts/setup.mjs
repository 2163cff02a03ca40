// Makes a fresh clone ready to run: packages, addon, TypeScript. Does nothing that is already done.
//
// Called by `npm start`, `npm test` and `npm run bench` themselves: npm's own hooks do not run everywhere.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

if (Number(process.versions.node.split('.')[0]) < 20) fail(`async-bpf needs Node 20 or later; this is ${process.version}`);

once('node_modules/.async-bpf-stamp', ['package-lock.json'], 'packages', () => {
  // This package has no install scripts to run, nor have those it depends on.
  npm('ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund');
});
once('build/.stamp', ['Cargo.toml', 'Cargo.lock', 'crates', 'bindings/Cargo.toml', 'bindings/build.rs', 'bindings/src'], 'addon', () => {
  if (has('cargo')) return npm('run', 'build:native');
  if (loads()) return console.error('There is no Rust here; using the addon that is there.');
  fail('There is no addon for this platform and no Rust to build one: install Rust from https://rustup.rs and a C compiler.');
});
once('dist/.stamp', ['tsconfig.json', 'package-lock.json', 'bindings/ts', 'scripts/esm.mjs'], 'TypeScript', () => npm('run', 'build:ts'));

/** Runs a step unless its stamp says that it ran with these very sources. */
function once(stamp, sources, what, step) {
  const path = join(root, stamp);
  const digest = createHash('sha256');
  for (const source of sources.flatMap(files))
    digest
      .update(source)
      .update('\0')
      .update(readFileSync(join(root, source)));
  const wanted = digest.digest('hex');
  if (existsSync(path) && readFileSync(path, 'utf8') === wanted) return;
  console.error(`Setting up: ${what} …`);
  step();
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, wanted);
}

/** The files at or below a path, by name. Tests of the crates are not part of what is built. */
function files(path) {
  const found = readdirSync(join(root, dirname(path)), { withFileTypes: true }).find(
    (entry) => join(dirname(path), entry.name) === join(path),
  );
  if (!found) fail(`${path} is missing from this clone`);
  if (!found.isDirectory()) return [path];
  return readdirSync(join(root, path), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .filter((file) => !/^crates\/[^/]+\/(tests|benches)\//.test(file))
    .sort();
}

function npm(...args) {
  const env = { ...process.env };
  delete env.npm_config_ignore_scripts;
  const [command, first] = env.npm_execpath ? [process.execPath, [env.npm_execpath]] : ['npm', []];
  // What the tools print is about the set-up, not the result: it belongs on stderr.
  const { status } = spawnSync(command, [...first, ...args], { cwd: root, env, stdio: ['ignore', 2, 2] });
  if (status !== 0) fail(`npm ${args.join(' ')} failed`);
}

function has(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}

function loads() {
  try {
    createRequire(import.meta.url)('node-gyp-build')(root);
    return true;
  } catch {
    return false;
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
