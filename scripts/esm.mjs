// Writes the ES module entry points: wrappers over the CommonJS ones, so that both have the same classes.
import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';

const dist = new URL('../dist/', import.meta.url);
/** Entry points, and where their declarations are. */
const ENTRIES = { index: '../index.js', 'testing/index': './index.js' };

for (const [entry, types] of Object.entries(ENTRIES)) {
  const file = (ending) => new URL(entry + ending, dist);
  const names = Object.keys(createRequire(import.meta.url)(file('.js').pathname)).sort();
  writeFileSync(file('.mjs'), `import cjs from './index.js';\nexport const { ${names.join(', ')} } = cjs;\n`);
  writeFileSync(file('.d.mts'), `export * from '${types}';\n`);
}
