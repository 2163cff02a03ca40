// The platforms that releases are made for: `napi.targets` of package.json, and where the addon of each goes.
import { readFileSync } from 'node:fs';

const { napi } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

/** The addons of releases by target. node-gyp-build looks for them by these names. */
export const TARGETS = new Map(napi.targets.map((triple) => [triple, describe(triple)]));

/** The target of this machine; `undefined` when there are no releases for it. */
export const here = [...TARGETS.keys()].find((triple) => {
  const { platform, arch, libc } = TARGETS.get(triple);
  return platform === process.platform && arch === process.arch && libc === libcHere();
});

/** Where a release's addon needs glibc, no symbol of it may be newer: older than any that Node 20 runs on. */
export const RELEASE_GLIBC = '2.17';

function describe(triple) {
  const arch = triple.startsWith('aarch64') ? 'arm64' : 'x64';
  const platform = triple.includes('linux') ? 'linux' : triple.includes('darwin') ? 'darwin' : 'win32';
  const libc = platform !== 'linux' ? undefined : triple.endsWith('musl') ? 'musl' : 'glibc';
  const file = ['node.napi', libc, 'node'].filter(Boolean).join('.');
  return { platform, arch, libc, path: `prebuilds/${platform}-${arch}/${file}` };
}

function libcHere() {
  if (process.platform !== 'linux') return undefined;
  return process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl';
}
