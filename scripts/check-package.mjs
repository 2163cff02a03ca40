// Packs the package and looks at it as its users will: its size, what its addons need, publint and arethetypeswrong; then an empty folder, with
// nothing but Node on the path, installs it, runs the example of the README in both module systems, uses the feed and the test kit, and type-checks all.
//
// Addons are those of prebuilds/, where `npm run build:release` puts them. If this machine's is not there, the one that was built for
// development joins the package. With --complete, the addons of all platforms must be there. To be run by npm.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compareVersions, neededGlibc } from './glibc.mjs';
import { here, RELEASE_GLIBC, TARGETS } from './targets.mjs';

/** Bytes, packed or not, for one platform: addons of other platforms come on top. */
const MAX_SIZE = 12_000_000;
/** What an addon for development may need: the glibc of Debian 12. */
const DEVELOPMENT_GLIBC = '2.34';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const temporary = mkdtempSync(join(tmpdir(), 'async-bpf-'));
const empty = join(temporary, 'empty');
try {
  const tarball = pack();
  npm(root, process.env, 'exec', '--', 'publint', 'run', tarball, '--strict');
  // Entry points, and what is expected to find them: vitest, and with it what registers matchers, is an ES module.
  for (const [entry, profile] of Object.entries({
    '.': 'strict',
    './feed': 'node16',
    './testing': 'node16',
    './testing/vitest': 'esm-only',
  })) {
    npm(root, process.env, 'exec', '--', 'attw', tarball, '--entrypoints', entry, '--profile', profile, '--format', 'ascii', '--no-emoji');
  }
  const env = bareEnvironment();
  mkdirSync(empty);
  writeFileSync(join(empty, 'package.json'), '{ "private": true }');
  npm(empty, env, 'install', '--silent', '--ignore-scripts', '--no-audit', '--no-fund', tarball);
  useExample(env);
  useFeed(env);
  useTestKit(env);
  run(empty, env, process.execPath, 'node_modules/async-bpf/dist/cli/main.js', '--version');
  console.log('the package is good');
} finally {
  rmSync(temporary, { recursive: true, force: true });
}

/** The package with an addon for this machine. Looks at sizes and addons on the way. */
function pack() {
  npm(root, process.env, 'pack', '--silent', '--pack-destination', temporary);
  const [name] = readdirSync(temporary);
  const tarball = join(temporary, name);
  run(temporary, process.env, 'tar', '-xzf', tarball);
  const package_ = join(temporary, 'package');
  for (const triple of TARGETS.keys()) lookAtAddon(package_, triple);
  npm(package_, process.env, 'pack', '--silent', '--pack-destination', temporary);

  const files = readdirSync(package_, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => ({ name: entry.name, path: join(entry.parentPath, entry.name) }))
    .map(({ name, path }) => ({ name, path, bytes: statSync(path).size }));
  const sum = (some) => some.reduce((total, { bytes }) => total + bytes, 0);
  const forOthers = files.filter(({ name, path }) => name.endsWith('.node') && path !== join(package_, TARGETS.get(here).path));
  console.log(`${name}: ${megabytes(statSync(tarball).size)} packed, ${megabytes(sum(files))} unpacked`);
  const mine = sum(files) - sum(forOthers);
  if (mine > MAX_SIZE) throw new Error(`what one platform needs are ${megabytes(mine)}, more than ${megabytes(MAX_SIZE)}`);
  return tarball;
}

function lookAtAddon(package_, triple) {
  const { path } = TARGETS.get(triple);
  const addon = join(package_, path);
  const isReleased = existsSync(addon);
  if (!isReleased && process.argv.includes('--complete')) throw new Error(`${path} is missing`);
  if (!isReleased && triple !== here) return;
  if (!isReleased) cpSync(join(root, 'build/Release/async-bpf.node'), addon);
  const glibc = neededGlibc(addon);
  const built = isReleased ? 'built for release' : 'built for development';
  console.log([path, megabytes(statSync(addon).size), built, glibc && `needs glibc ${glibc}`].filter(Boolean).join(', '));
  const most = isReleased ? RELEASE_GLIBC : DEVELOPMENT_GLIBC;
  if (glibc && compareVersions(glibc, most) > 0) {
    throw new Error(
      `an addon ${built} may need glibc ${most} at most${isReleased ? '; build it with npm run build:release, or remove it' : ''}`,
    );
  }
}

/** That of somebody who has nothing but Node. */
function bareEnvironment() {
  const bin = join(temporary, 'bin');
  mkdirSync(bin);
  // Windows asks for rights to make links, and has nothing but Node in Node's folder.
  if (process.platform !== 'win32') symlinkSync(process.execPath, join(bin, basename(process.execPath)));
  const env = { ...process.env, PATH: process.platform === 'win32' ? dirname(process.execPath) : bin };
  for (const tool of ['cargo', 'rustc', 'cc', 'gcc', 'clang']) {
    if (spawnSync(tool, ['--version'], { env }).error?.code !== 'ENOENT') throw new Error(`${tool} is on the path`);
  }
  return env;
}

/** The example of the README, as one that has the package as its only dependency would run it. */
function useExample(env) {
  const readme = readFileSync(join(empty, 'node_modules/async-bpf/README.md'), 'utf8');
  // What stands before and after it is not shown.
  const [, before, shown, after] = readme.match(/<!-- before:\n([^]*?)-->\s*```ts\n([^]*?)```\s*<!-- after:\n([^]*?)-->/);
  const code = `${shown.match(/^import .*$/gm).join('\n')}\n${before}\n${shown.replace(/^import .*$/gm, '')}\n${after}\nengine.close();\n`;
  writeFileSync(join(empty, 'example.mjs'), code);
  writeFileSync(join(empty, 'example.mts'), code);
  writeFileSync(join(empty, 'example.cjs'), code.replace(/^import (.*) from (.*);$/gm, 'const $1 = require($2);'));
  for (const file of ['example.mjs', 'example.cjs']) run(empty, env, process.execPath, file);
  typeCheck(env, 'example.mts');
}

/** The feed, without any client of a cluster. */
function useFeed(env) {
  const use =
    "const [report] = new Feed(engine).push({ type: 'slot', slot: 5, status: 'confirmed' }); if (report?.slot !== 5n) throw new Error('wrong slot');";
  const code = `const engine = new AsyncBpfEngine(); ${use} engine.close();`;
  writeFileSync(
    join(empty, 'feed.cjs'),
    `const { AsyncBpfEngine } = require('async-bpf'); const { Feed } = require('async-bpf/feed'); ${code}`,
  );
  for (const ending of ['mjs', 'mts', 'cts']) {
    writeFileSync(
      join(empty, `feed.${ending}`),
      `import { AsyncBpfEngine } from 'async-bpf'; import { Feed } from 'async-bpf/feed'; ${code}`,
    );
  }
  for (const file of ['feed.cjs', 'feed.mjs']) run(empty, env, process.execPath, file);
  typeCheck(env, 'feed.mts', 'feed.cts');
}

/** The test kit, first without vitest and LiteSVM, then with vitest: the first test of its guide, as those who read it would run it. */
function useTestKit(env) {
  const use = "using world = createWorld(); if (world.advance(2).length !== 2) throw new Error('wrong slots');";
  const old = use.replace('using', 'const');
  writeFileSync(join(empty, 'kit.cjs'), `const { createWorld } = require('async-bpf/testing'); ${old} world.close();`);
  writeFileSync(join(empty, 'kit.mjs'), `import { createWorld } from 'async-bpf/testing'; ${old} world.close();`);
  writeFileSync(join(empty, 'kit.mts'), `import { createWorld } from 'async-bpf/testing'; ${use}`);
  writeFileSync(join(empty, 'kit.cts'), `import { createWorld } from 'async-bpf/testing'; ${use}`);
  for (const file of ['kit.cjs', 'kit.mjs']) run(empty, env, process.execPath, file);
  typeCheck(env, 'kit.mts', 'kit.cts');

  symlinkSync(join(root, 'node_modules/vitest'), join(empty, 'node_modules/vitest'));
  const [, test] = readFileSync(join(empty, 'node_modules/async-bpf/docs/testing-your-agent.md'), 'utf8').match(/```ts\n([^]*?)```/);
  writeFileSync(join(empty, 'agent.test.mts'), test);
  typeCheck(env, 'agent.test.mts');
  run(empty, env, process.execPath, join(root, 'node_modules/vitest/vitest.mjs'), 'run');
}

/** In each way in which TypeScript finds packages. */
function typeCheck(env, ...files) {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const types = ['--typeRoots', join(root, 'node_modules/@types'), '--types', 'node'];
  const target = ['--strict', '--target', 'es2022', '--lib', 'es2023,esnext.disposable'];
  for (const [resolution, module] of Object.entries({ nodenext: 'nodenext', node16: 'node16', bundler: 'esnext' })) {
    const options = ['--noEmit', '--module', module, '--moduleResolution', resolution, ...target, ...types];
    run(empty, env, process.execPath, tsc, ...files, ...options);
  }
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(2)} MB`;
}

function npm(cwd, env, ...args) {
  run(cwd, env, process.execPath, process.env.npm_execpath, ...args);
}

function run(cwd, env, command, ...args) {
  const { status } = spawnSync(command, args, { cwd, env, stdio: 'inherit' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
}
