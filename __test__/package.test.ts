/** The package as npm makes it: what is in it, and what it says where its addon does not run. */

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { load as parseYaml } from 'js-yaml';
import { afterAll, describe, expect, test } from 'vitest';

const root = process.cwd();
const temporary = realpathSync(mkdtempSync(join(tmpdir(), 'async-bpf-package-')));
afterAll(() => rmSync(temporary, { recursive: true }));

interface Manifest {
  scripts: Record<string, string>;
  napi: { targets: string[] };
}
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;

// -------------------------------------------------------------------------------------------------------------------- contents

/** What `tsc` and `scripts/esm.mjs` write: a file whose source is gone would be a leftover. */
const BUILT = [
  ...['dist/index', 'dist/feed/index', 'dist/testing/index'].flatMap((entry) => [`${entry}.mjs`, `${entry}.d.mts`]),
  ...readdirSync('bindings/ts', { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.m?ts$/.test(path) && !path.endsWith('.d.ts'))
    .flatMap((path) => ['$1js', 'd.$1ts'].map((ending) => `dist/${path.replace(/(m?)ts$/, ending)}`)),
];

/** All else that may be in the package, and must be, but for addons: those are put there when a release is made. */
const CONTENTS: [pattern: RegExp, required: boolean][] = [
  [/^package\.json$/, true],
  [/^index\.d\.ts$/, true],
  [/^(README|CHANGELOG)\.md$/, true],
  [/^LICENSE-(APACHE|MIT)$/, true],
  [/^docs\/[a-z-]+\.md$/, true],
  [/^examples\/([a-z-]+\/)?README\.md$/, true],
  [/^examples\/[a-z-]+\/[a-z-]+\.json$/, true],
  [/^prebuilds\/(linux|darwin|win32)-(x64|arm64)\/node\.napi(\.glibc|\.musl)?\.node$/, false],
  [/^programs\/(README\.md|build\.mjs|sbpfv3\.ld)$/, true],
  [/^programs\/include\/[a-z_]+\.h$/, true],
  [/^programs\/prebuilt\/([a-z0-9_-]+\.so|SHA256SUMS)$/, true],
];

test('npm packs what users need, and nothing else', () => {
  const { status, stdout } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { encoding: 'utf8' });
  expect(status).toBe(0);
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  expect(paths.filter((path) => path.startsWith('dist/')).sort()).toEqual(BUILT.sort());
  const others = paths.filter((path) => !path.startsWith('dist/'));
  expect(others.filter((path) => !CONTENTS.some(([pattern]) => pattern.test(path)))).toEqual([]);
  expect(CONTENTS.filter(([pattern, required]) => required && !others.some((path) => pattern.test(path)))).toEqual([]);
});

test('installing runs no script', () => {
  const hooks = ['preinstall', 'install', 'postinstall', 'prepare', 'preprepare', 'postprepare', 'prepublish'];
  expect(Object.keys(manifest.scripts).filter((name) => hooks.includes(name))).toEqual([]);
});

// ------------------------------------------------------------------------------------------------------------------ the addon

/** The package in a folder of its own, with these files as its addons. */
function installed(addons: Record<string, string | Buffer> = {}): string {
  const folder = mkdtempSync(join(temporary, 'installed-'));
  for (const name of ['dist', 'package.json']) cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  for (const [name, content] of Object.entries(addons)) {
    mkdirSync(join(folder, 'prebuilds', name, '..'), { recursive: true });
    writeFileSync(join(folder, 'prebuilds', name), content);
  }
  return folder;
}

/** What a new process that runs `code` prints, or the message of what it throws. */
function run(code: string, env: Record<string, string> = {}): string {
  const script = `try { ${code} } catch (error) { console.log(error.message); }`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', env: { ...process.env, ...env } });
  expect(stderr).toBe('');
  return stdout.trimEnd();
}

const requires = (folder: string) => `require(${JSON.stringify(folder)}).AsyncBpfEngine; console.log('loaded');`;
const pretends = (platform: string, arch: string) =>
  `Object.defineProperties(process, { platform: { value: '${platform}' }, arch: { value: '${arch}' } });`;

const NODE = `Node ${process.versions.node} (Node-API ${process.versions.napi}, ABI ${process.versions.modules})`;
const BUILD =
  'To build it: in a clone of the same version, with Rust and a C compiler, run `npm run setup`; then set the environment variable ' +
  'ASYNC_BPF_PREBUILD to the path of that clone.';

describe('where there is no addon for the machine, one message says', () => {
  const others = { 'linux-x64/node.napi.glibc.node': 'x', 'linux-x64/node.napi.musl.node': 'x', 'darwin-arm64/node.napi.node': 'x' };
  const there = 'The package comes with those for darwin-arm64, linux-x64 with glibc, linux-x64 with musl: use one of these, or build it.';

  test.each([
    ['another system', pretends('freebsd', 'x64'), {}, 'freebsd-x64'],
    ['another processor', pretends('darwin', 'x64'), {}, 'darwin-x64'],
    ['another C library', pretends('linux', 'arm64'), { LIBC: 'musl' }, 'linux-arm64 with musl'],
  ])('which was looked for and what there is: %s', (_, pretend, env, machine) => {
    const message = run(pretend + requires(installed(others)), env);
    expect(message).toBe(`async-bpf has no addon that works on ${machine}, ${NODE}. ${there} ${BUILD}`);
  });

  test('that there is none at all', () => {
    const message = run(pretends('win32', 'arm64') + requires(installed()));
    expect(message).toBe(`async-bpf has no addon that works on win32-arm64, ${NODE}. The package comes with none. ${BUILD}`);
  });

  test('why the one that is there does not load', () => {
    const broken = { [`${process.platform}-${process.arch}/node.napi.node`]: 'this is no shared object' };
    const message = run(requires(installed(broken)));
    expect(message).toContain(`async-bpf has no addon that works on ${process.platform}-${process.arch}`);
    expect(message).toMatch(/ \(.*node\.napi\.node: .+\)\. The package comes with those for /);
  });
});

test('the remedy works: a package without an addon takes that of a clone', () => {
  expect(run(requires(installed()), { ASYNC_BPF_PREBUILD: root })).toBe('loaded');
});

// ------------------------------------------------------------------------------------------------------------------- a release

interface Workflow {
  jobs: Record<string, { strategy?: { matrix: { include: { target: string }[] } }; steps: { run?: string; uses?: string }[] }>;
}

describe('the workflow of a release', () => {
  const workflow = parseYaml(readFileSync('.github/workflows/release.yml', 'utf8')) as Workflow;
  const jobs = Object.values(workflow.jobs);

  test('builds for every target of the package', () => {
    expect(workflow.jobs.build!.strategy!.matrix.include.map(({ target }) => target)).toEqual(manifest.napi.targets);
  });

  test('runs only scripts that the package has, and in each job something', () => {
    for (const { steps } of jobs) {
      expect(steps.every(({ run, uses }) => (run === undefined) !== (uses === undefined))).toBe(true);
      const scripts = steps.flatMap(({ run = '' }) => [...run.matchAll(/npm run (\S+)/g)].map(([, script]) => script!));
      expect(scripts).not.toEqual([]);
      expect(scripts.filter((script) => !(script in manifest.scripts))).toEqual([]);
    }
  });
});

test('a build for a target that has no releases names those that have', () => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/build-release.mjs', 'riscv64gc-unknown-linux-gnu'], {
    encoding: 'utf8',
  });
  expect([status, stderr]).toEqual([
    1,
    `there are no releases for riscv64gc-unknown-linux-gnu; there are for ${manifest.napi.targets.join(', ')}\n`,
  ]);
});
