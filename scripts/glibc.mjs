// Says which glibc a shared object needs: `node scripts/glibc.mjs FILE…` prints the highest symbol version of each.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The highest version of a glibc symbol that the file asks for, for example `2.17`; `undefined` when it asks for none. */
export function neededGlibc(path) {
  // The names of the versions are among the strings for the dynamic linker. Should other text look like one, the answer errs upwards.
  const names = readFileSync(path, 'latin1').matchAll(/\0GLIBC_(\d+(?:\.\d+)+)(?=\0)/g);
  return [...names]
    .map(([, version]) => version)
    .sort(compareVersions)
    .at(-1);
}

/** Below, at or above 0. */
export const compareVersions = (a, b) => a.localeCompare(b, 'en', { numeric: true });

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const path of process.argv.slice(2)) console.log(`${path}: ${neededGlibc(path) ?? 'none'}`);
}
