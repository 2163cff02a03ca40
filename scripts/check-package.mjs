// Packs the package and looks at it as its users will: publint and arethetypeswrong find nothing, and an empty folder without
// Rust on the path can require, import and type-check it.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  run(root, 'npx', 'attw', tarball, '--format', 'ascii', '--no-emoji');
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
  for (const resolution of ['nodenext', 'node16', 'bundler']) {
    const module = resolution === 'bundler' ? 'esnext' : resolution;
    const types = join(root, 'node_modules/@types');
    const options = [
      '--module',
      module,
      '--moduleResolution',
      resolution,
      '--strict',
      '--target',
      'es2022',
      '--lib',
      'es2023,esnext.disposable',
    ];
    run(
      folder,
      process.execPath,
      join(root, 'node_modules/typescript/bin/tsc'),
      'use.mts',
      '--noEmit',
      ...options,
      '--typeRoots',
      types,
      '--types',
      'node',
    );
  }
  run(folder, join(folder, 'node_modules/.bin/async-bpf'), '--version');
  console.log('the package is good');
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function run(cwd, command, ...args) {
  const { status } = spawnSync(command, args, { cwd, stdio: 'inherit' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
}
