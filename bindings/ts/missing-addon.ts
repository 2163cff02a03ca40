/** What to say when there is no addon for this machine: which one was looked for, which there are, and how to get it. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The error to throw when the addon of the package at `root` does not load; `cause` is what loading it threw. */
export function missingAddon(root: string, cause: unknown): Error {
  const there = prebuilds(root);
  const [first = ''] = String(cause instanceof Error ? cause.message : cause).split('\n');
  // That there is none for this machine is said here, and better; anything else is why the one that is there does not load.
  const reason = first.startsWith('No native build') ? '' : ` (${first})`;
  return new Error(
    `async-bpf has no addon that works on ${machine()}${reason}. ` +
      (there.length === 0
        ? 'The package comes with none. '
        : `The package comes with those for ${there.join(', ')}: use one of these, or build it. `) +
      'To build it: in a clone of the same version, with Rust and a C compiler, run `npm run setup`; then set the environment variable ' +
      'ASYNC_BPF_PREBUILD to the path of that clone.',
    { cause },
  );
}

/** What decides about the addon, for example `linux-x64 with glibc 2.36, Node 20.20.2 (Node-API 9, ABI 115)`. */
function machine(): string {
  const { node, napi, modules } = process.versions;
  const libc = process.platform === 'linux' ? ` with ${process.env.LIBC || glibc() || 'musl'}` : '';
  return `${process.platform}-${process.arch}${libc}, Node ${node} (Node-API ${napi}, ABI ${modules})`;
}

function glibc(): string | undefined {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime && `glibc ${header.glibcVersionRuntime}`;
}

/** The platforms of the addons in the package, from names such as `prebuilds/linux-x64/node.napi.glibc.node`. */
function prebuilds(root: string): string[] {
  const folder = join(root, 'prebuilds');
  return names(folder).flatMap((platform) =>
    names(join(folder, platform))
      .filter((file) => file.endsWith('.node'))
      .map((file) => [platform, ...file.split('.').filter((tag) => tag === 'glibc' || tag === 'musl')].join(' with ')),
  );
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
