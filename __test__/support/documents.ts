/**
 * The code of documents, as scripts.
 *
 * Each block of TypeScript or JavaScript is a script, or goes on with that of the block before it if its fence says so: ```` ```ts continues ````.
 * What a reader need not see stands in comments: `<!-- before: … -->` is run before the block that follows, `<!-- after: … -->`
 * after the block above it, for instance to check what the text promises.
 */

import { readFileSync } from 'node:fs';

export interface Script {
  document: string;
  /** Of its first block. */
  line: number;
  /** The heading above it. */
  heading: string;
  language: 'ts' | 'js';
  /** How many blocks it is made of. */
  blocks: number;
  code: string;
}

const PART =
  /^(?<hashes>#+) (?<heading>.+)$|^<!-- (?<place>before|after):\n(?<hidden>[^]*?)^-->$|^(?<indent> *)```(?<info>[^\n]*)\n(?<block>[^]*?)^\k<indent>```$/gm;

export function scriptsOf(document: string): Script[] {
  const text = readFileSync(document, 'utf8');
  const scripts: Script[] = [];
  let heading = '';
  let before = '';
  for (const { groups, index } of text.matchAll(PART)) {
    const { heading: title, place, hidden, info, block } = groups as Record<string, string | undefined>;
    const line = text.slice(0, index).split('\n').length;
    const complain = (problem: string) => new Error(`${document}:${line}: ${problem}`);
    if (title !== undefined) heading = title;
    if (place === 'before') before += hidden;
    if (place === 'after') {
      if (scripts.length === 0) throw complain('there is no block above');
      scripts.at(-1)!.code += hidden;
    }
    const [language, ...words] = info?.split(' ') ?? [];
    if (language !== 'ts' && language !== 'js') continue;
    if (words.length > 1 || (words.length === 1 && words[0] !== 'continues')) throw complain(`a fence cannot say ${words.join(' ')}`);
    if (words[0] === 'continues') {
      if (scripts.at(-1)?.language !== language) throw complain('there is no block above to go on with');
      scripts.at(-1)!.code += before + block;
      scripts.at(-1)!.blocks++;
    } else {
      scripts.push({ document, line, heading, language, blocks: 1, code: before + block });
    }
    before = '';
  }
  if (before) throw new Error(`${document}: there is no block after the last code to be run before one`);
  return scripts;
}

export interface Source {
  document: string;
  line: number;
  /** Where the text says that it is saved; nothing if it does not. */
  path: string | undefined;
  code: string;
}

/** The blocks of C: each is a file, whose path is in its fence: ```` ```c alarm/alarm.c ````. */
export function sourcesOf(document: string): Source[] {
  const text = readFileSync(document, 'utf8');
  return [...text.matchAll(/^```c(?: (\S+))?\n([^]*?)^```$/gm)].map(({ 1: path, 2: code, index }) => ({
    document,
    line: text.slice(0, index).split('\n').length,
    path,
    code: code!,
  }));
}

/** The first block of a language in a document. */
export function codeBlock(document: string, language: string): string {
  const block = readFileSync(document, 'utf8').match(new RegExp('```' + language + '\\n([^]*?)```'));
  if (!block) throw new Error(`${document} has no ${language} block`);
  return block[1]!;
}
