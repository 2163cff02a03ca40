/** What documents show does what they say: every block of code in the README and in the guides runs, and is well typed. */

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { codeBlock, scriptsOf, type Script } from './support/documents.js';

/** In the package, so that scripts can import it by its name; not looked at by git. */
const FOLDER = join(process.cwd(), 'build/documents');
const DOCUMENTS = ['README.md', ...readdirSync('docs').map((name) => `docs/${name}`)].filter((path) => path.endsWith('.md'));

rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(FOLDER, { recursive: true });
const scripts = DOCUMENTS.flatMap(scriptsOf).map((script) => ({ ...script, ...write(script) }));

/** Writes a script as it is, for the type checker, and as a module that Node can run. */
function write({ document, line, language, code }: Script): { source: string; module: string } {
  // Here is the package itself, not a project that has installed it.
  const text = `${code.replaceAll('node_modules/async-bpf/', '')}\nexport {};\n`;
  const name = join(FOLDER, `${document.replaceAll('/', '-')}-${line}`);
  const [source, module] = [`${name}.m${language}`, `${name}.mjs`];
  writeFileSync(source, text);
  if (language === 'ts') {
    const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true };
    writeFileSync(module, ts.transpileModule(text, { compilerOptions: options }).outputText);
  }
  return { source, module };
}

function run(module: string): Promise<unknown> {
  return import(pathToFileURL(module).href);
}

describe.each([...new Set(scripts.map(({ document }) => document))])('%s', (document) => {
  for (const { line, heading, code, module } of scripts.filter((script) => script.document === document)) {
    const title = `${heading} (line ${line})`;
    // One that has tests of its own is imported while tests are collected, like any test file.
    if (/from 'vitest'/.test(code) && /^ *(test|describe|it)\b/m.test(code)) describe(title, async () => void (await run(module)));
    else test(title, () => run(module));
  }
});

test('no block is overlooked, whatever its language is called', () => {
  for (const document of DOCUMENTS) {
    const fences = readFileSync(document, 'utf8').match(/^[ >]*(```+|~~~+) *[cm]?(ts|js|tsx|jsx|typescript|javascript)\b/gim) ?? [];
    const blocks = scripts.filter((script) => script.document === document).reduce((sum, script) => sum + script.blocks, 0);
    expect([document, blocks]).toEqual([document, fences.length]);
  }
});

test('every block is well typed', () => {
  const { options } = ts.parseJsonConfigFileContent(
    { extends: './__test__/tsconfig.json', compilerOptions: { rootDir: '.', skipLibCheck: true } },
    ts.sys,
    process.cwd(),
  );
  const program = ts.createProgram(
    scripts.filter(({ language }) => language === 'ts').map(({ source }) => source),
    options,
  );
  const host = { getCanonicalFileName: (name: string) => name, getCurrentDirectory: () => FOLDER, getNewLine: () => '\n' };
  expect(ts.formatDiagnostics(ts.getPreEmitDiagnostics(program), host)).toBe('');
});

test('the line of C in the README is in the program that it links to', () => {
  expect(readFileSync('programs/counter/counter.c', 'utf8')).toContain(codeBlock('README.md', 'c').trim());
});
