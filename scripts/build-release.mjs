// Builds the addon as releases have it: `npm run build:release [-- TARGET]`, for this machine unless a target is named.
//
// On Linux, zig links it, so that it runs with an old glibc, with musl, or on another processor; what it needs is in
// scripts/release-requirements.txt. The addon goes to prebuilds/, from where `npm pack` takes it.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compareVersions, neededGlibc } from './glibc.mjs';
import { here, RELEASE_GLIBC, TARGETS } from './targets.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const triple = process.argv[2] ?? here;
const target = TARGETS.get(triple);
if (!target) fail(`there are no releases for ${triple ?? 'this machine'}; there are for ${[...TARGETS.keys()].join(', ')}`);
if (target.platform === 'linux' && spawnSync('cargo-zigbuild', ['--version']).status !== 0) {
  fail('cargo-zigbuild is not on the path; in a virtual environment of Python: pip install -r scripts/release-requirements.txt');
}

// Of their own: with another linker, everything below it would be compiled anew by the next build for development.
const compiled = join(root, 'target/releases');
const output = join(compiled, triple, 'addon');
const linking = target.platform === 'linux' ? ['--cross-compile'] : [];
const versioned = target.libc === 'glibc' ? `${triple}.${RELEASE_GLIBC}` : triple;
const paths = [
  '--manifest-path',
  'bindings/Cargo.toml',
  '--target-dir',
  compiled,
  '--output-dir',
  output,
  '--no-js',
  '--dts',
  'addon.d.ts',
];
const napi = join(root, 'node_modules/@napi-rs/cli/dist/cli.js');
const args = ['build', '--release', ...linking, '--target', versioned, ...paths, '--', '--locked'];
if (spawnSync(process.execPath, [napi, ...args], { cwd: root, stdio: 'inherit' }).status !== 0) fail(`the build for ${triple} failed`);

const built = join(output, 'async-bpf.node');
const glibc = neededGlibc(built);
if (glibc && compareVersions(glibc, RELEASE_GLIBC) > 0) fail(`it needs glibc ${glibc}, but must run with ${RELEASE_GLIBC}`);
mkdirSync(dirname(join(root, target.path)), { recursive: true });
copyFileSync(built, join(root, target.path));
console.log(`${target.path}${glibc ? ` needs glibc ${glibc}` : ''}`);

function fail(message) {
  console.error(message);
  process.exit(1);
}
