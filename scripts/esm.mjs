// Writes the ES module entry point: a wrapper over the CommonJS one, so that both have the same classes.
import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';

const dist = new URL('../dist/', import.meta.url);
const names = Object.keys(createRequire(import.meta.url)(new URL('index.js', dist).pathname)).sort();
writeFileSync(new URL('index.mjs', dist), `import cjs from './index.js';\nexport const { ${names.join(', ')} } = cjs;\n`);
writeFileSync(new URL('index.d.mts', dist), "export * from '../index.js';\n");
