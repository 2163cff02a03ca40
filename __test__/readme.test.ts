import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { AsyncBpfEngine } from '../dist/index.js';

/** The first code block of a language in a document. */
function codeBlock(document: string, language: string): string {
  const block = readFileSync(document, 'utf8').match(new RegExp('```' + language + '\\n([^]*?)```'));
  if (!block) throw new Error(`${document} has no ${language} block`);
  return block[1]!;
}

test('the example of the README does what its comments say', () => {
  const [program, counter] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  const code = codeBlock('README.md', 'ts').replace(/^import .*$/gm, '');
  const run = new Function('AsyncBpfEngine', 'readFileSync', 'program', 'counter', `${code}; return engine;`);
  const engine = run(AsyncBpfEngine, readFileSync, program, counter) as AsyncBpfEngine;
  expect(engine.getAccount(counter)?.data).toEqual(Uint8Array.of(11, 0, 0, 0, 0, 0, 0, 0));
  engine.close();
});

test('the line of C in the README is in the program that it links to', () => {
  expect(readFileSync('programs/counter/counter.c', 'utf8')).toContain(codeBlock('README.md', 'c').trim());
});
