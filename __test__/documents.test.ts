/** What documents show does what they say: every block of code in the README and in the guides runs, and is well typed. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { codeBlock, scriptsOf, sourcesOf, type Script } from './support/documents.js';

/** In the package, so that scripts can import it by its name; not looked at by git. */
const FOLDER = join(process.cwd(), 'build/documents');
const DOCUMENTS = ['README.md', ...readdirSync('docs').map((name) => `docs/${name}`)].filter((path) => path.endsWith('.md'));

rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(FOLDER, { recursive: true });

/** Files of C, and what they are made into: programs of folders, and programs for this machine of files that test. */
const sources = DOCUMENTS.filter((path) => path.startsWith('docs/')).flatMap(sourcesOf);
for (const { path, code } of sources.filter(({ path }) => path !== undefined)) {
  mkdirSync(dirname(join(FOLDER, path!)), { recursive: true });
  writeFileSync(join(FOLDER, path!), code);
}
const programs = [...new Set(sources.map(({ path }) => dirname(path ?? '.')))].filter((folder) => folder !== '.');
const tests = sources.flatMap(({ path }) => (path?.endsWith('_test.c') ? [path.slice(0, -2)] : []));
/** Whether there are the tools that build programs; `.ci/run` installs them. */
const hasTools = ['clang-19', 'bpf-ld', 'cc'].every((tool) => spawnSync(tool, ['--version']).status === 0);
const built = new Map(
  hasTools
    ? programs.map((name) => [name, make(process.execPath, 'programs/build.mjs', join(FOLDER, name), `${join(FOLDER, name)}.so`)])
    : [],
);

/** What a tool says against what it should make. */
function make(tool: string, ...args: string[]): string {
  const { status, stderr, error } = spawnSync(tool, args, { encoding: 'utf8' });
  return status === 0 ? stderr : `${tool} failed: ${error?.message ?? stderr}`;
}

const scripts = DOCUMENTS.flatMap(scriptsOf).map((script) => ({ ...script, ...write(script) }));

/** Writes a script as it is, for the type checker, and as a module that Node can run. */
function write({ document, line, language, code }: Script): { source: string; module: string } {
  // Here is the package itself, not a project that has installed it.
  let text = `${code}\nexport {};\n`.replaceAll('node_modules/async-bpf/', '');
  // What they load that documents have built, and what they write.
  text = text.replace(/'(\w+\.jsonl)'/g, (_, name: string) => `'${join(FOLDER, name)}'`);
  for (const name of needed(code)) text = text.replaceAll(`'${name}.so'`, `'${join(FOLDER, name)}.so'`);
  const name = join(FOLDER, `${document.replaceAll('/', '-')}-${line}`);
  const [source, module] = [`${name}.m${language}`, `${name}.mjs`];
  writeFileSync(source, text);
  if (language === 'ts') {
    const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true };
    writeFileSync(module, ts.transpileModule(text, { compilerOptions: options }).outputText);
  }
  return { source, module };
}

/** The programs of documents that a script loads. */
function needed(code: string): string[] {
  return programs.filter((name) => code.includes(`'${name}.so'`));
}

function run(module: string): Promise<unknown> {
  return import(pathToFileURL(module).href);
}

describe.each([...new Set(scripts.map(({ document }) => document))])('%s', (document) => {
  for (const { line, heading, code, module } of scripts.filter((script) => script.document === document)) {
    const title = `${heading} (line ${line})`;
    // One that has tests of its own is imported while tests are collected, like any test file.
    if (/from 'vitest'/.test(code) && /^ *(test|describe|it)\b/m.test(code)) describe(title, async () => void (await run(module)));
    else test.skipIf(!hasTools && needed(code).length > 0)(title, () => run(module));
  }
});

describe('C', () => {
  test('every block of a guide is a file', () => {
    expect(sources.filter(({ path }) => path === undefined)).toEqual([]);
  });

  test.skipIf(!hasTools).each(programs)('the program %s is built without a word', (name) => {
    expect(built.get(name)).toBe('');
  });

  test.skipIf(!hasTools).each(tests)('%s passes', (name) => {
    const test = join(FOLDER, name);
    expect(make('cc', '-std=c11', '-Wall', '-Werror', '-I', 'programs/include', '-o', test, `${test}.c`)).toBe('');
    expect(make(test)).toBe('');
  });
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
