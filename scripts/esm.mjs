// What the compiler leaves to do: ES module entry points, wrappers over the CommonJS ones, so that both have the same classes; and files whose
// sources are gone must not get into the package.
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';

const dist = new URL('../dist/', import.meta.url);
const sources = new URL('../bindings/ts/', import.meta.url);
/** Entry points, and where their declarations are. */
const ENTRIES = { index: '../index.js', 'feed/index': './index.js', 'testing/index': './index.js' };

for (const [entry, types] of Object.entries(ENTRIES)) {
  const file = (ending) => new URL(entry + ending, dist);
  // Read, not loaded: there may be no addon yet.
  const code = readFileSync(file('.js'), 'utf8');
  const names = [...new Set([...code.matchAll(/\bexports\.(\w+) = /g)].map(([, name]) => name))].sort();
  writeFileSync(file('.mjs'), `import cjs from './index.js';\nexport const { ${names.join(', ')} } = cjs;\n`);
  writeFileSync(file('.d.mts'), `export * from '${types}';\n`);
}

const written = Object.keys(ENTRIES).flatMap((entry) => [`${entry}.mjs`, `${entry}.d.mts`]);
for (const path of readdirSync(dist, { recursive: true }).filter((path) => /\.m?js$|\.d\.m?ts$/.test(path))) {
  const source = path.replace(/\.(m?)js$|\.d\.(m?)ts$/, '.$1$2ts');
  if (!written.includes(path) && !existsSync(new URL(source, sources))) rmSync(new URL(path, dist));
}
