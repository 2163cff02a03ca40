// Packs the package and looks at it as its users will: publint and arethetypeswrong find nothing, and an empty folder without
// Rust on the path can require, import and type-check it, and run a test with the test kit.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = mkdtempSync(join(tmpdir(), 'async-bpf-'));
try {
  // What was built here is what this platform's users get.
  mkdirSync(join(root, 'prebuilds/linux-x64'), { recursive: true });
  cpSync(join(root, 'build/Release/async-bpf.node'), join(root, 'prebuilds/linux-x64/node.napi.glibc.node'));
  run(root, 'npm', 'pack', '--silent', '--pack-destination', folder);
  const tarball = join(folder, `async-bpf-${JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version}.tgz`);
  run(root, 'npx', 'publint', 'run', tarball, '--strict');
  // Entry points, and what is expected to find them: vitest, and with it what registers matchers, is an ES module.
  for (const [entry, profile] of Object.entries({ '.': 'strict', './testing': 'node16', './testing/vitest': 'esm-only' })) {
    run(root, 'npx', 'attw', tarball, '--entrypoints', entry, '--profile', profile, '--format', 'ascii', '--no-emoji');
  }
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  run(folder, 'npm', 'install', '--silent', '--ignore-scripts', '--no-audit', '--no-fund', tarball);
  const use = "const e = new AsyncBpfEngine({ workers: 2 }); if (e.processSlot(1).slot !== 1n) throw new Error('wrong slot'); e.close();";
  writeFileSync(join(folder, 'use.cjs'), `const { AsyncBpfEngine } = require('async-bpf'); ${use}`);
  writeFileSync(join(folder, 'use.mjs'), `import { AsyncBpfEngine } from 'async-bpf'; ${use}`);
  writeFileSync(
    join(folder, 'use.mts'),
    `import { AsyncBpfEngine, type SlotReport } from 'async-bpf'; const r: SlotReport = new AsyncBpfEngine().processSlot(1n); r.slot;`,
  );
  for (const file of ['use.cjs', 'use.mjs']) run(folder, process.execPath, file);
  for (const resolution of ['nodenext', 'node16', 'bundler']) typeCheck(resolution, 'use.mts');
  useTestKit();
  run(folder, join(folder, 'node_modules/.bin/async-bpf'), '--version');
  console.log('the package is good');
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** The test kit, first without vitest and LiteSVM, then with vitest: the first test of its guide, as those who read it would run it. */
function useTestKit() {
  const use = "using world = createWorld(); if (world.advance(2).length !== 2) throw new Error('wrong slots');";
  const old = use.replace('using', 'const');
  writeFileSync(join(folder, 'kit.cjs'), `const { createWorld } = require('async-bpf/testing'); ${old} world.close();`);
  writeFileSync(join(folder, 'kit.mjs'), `import { createWorld } from 'async-bpf/testing'; ${old} world.close();`);
  writeFileSync(join(folder, 'kit.mts'), `import { createWorld } from 'async-bpf/testing'; ${use}`);
  writeFileSync(join(folder, 'kit.cts'), `import { createWorld } from 'async-bpf/testing'; ${use}`);
  for (const file of ['kit.cjs', 'kit.mjs']) run(folder, process.execPath, file);
  for (const resolution of ['nodenext', 'node16', 'bundler']) typeCheck(resolution, 'kit.mts', 'kit.cts');

  symlinkSync(join(root, 'node_modules/vitest'), join(folder, 'node_modules/vitest'));
  const [, test] = readFileSync(join(folder, 'node_modules/async-bpf/docs/testing-your-agent.md'), 'utf8').match(/```ts\n([^]*?)```/);
  writeFileSync(join(folder, 'agent.test.mts'), test);
  for (const resolution of ['nodenext', 'node16', 'bundler']) typeCheck(resolution, 'agent.test.mts');
  run(folder, process.execPath, join(root, 'node_modules/vitest/vitest.mjs'), 'run');
}

function typeCheck(resolution, ...files) {
  const module = resolution === 'bundler' ? 'esnext' : resolution;
  const types = ['--typeRoots', join(root, 'node_modules/@types'), '--types', 'node'];
  const target = ['--strict', '--target', 'es2022', '--lib', 'es2023,esnext.disposable'];
  const options = ['--noEmit', '--module', module, '--moduleResolution', resolution, ...target, ...types];
  run(folder, process.execPath, join(root, 'node_modules/typescript/bin/tsc'), ...files, ...options);
}

function run(cwd, command, ...args) {
  const { status } = spawnSync(command, args, { cwd, stdio: 'inherit' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
}
