/** Every place in the sources that refuses something, and what its message looks like. */

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

export interface Place {
  /** Relative to the root, with a line. */
  where: string;
  /** The message as the source has it, with `…` for what depends on the call. */
  message: string;
}

/** Whether a message may have come from there. */
export function comesFrom(message: string, place: Place): boolean {
  const parts = place.message.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's').test(message);
}

/** Of the engine and its bindings. */
export function places(): Place[] {
  return withoutRelays([...typescriptPlaces('bindings/ts'), ...rustPlaces()]);
}

/** Of a folder of TypeScript. */
export function placesIn(folder: string): Place[] {
  return withoutRelays(typescriptPlaces(folder));
}

/** Without those that hand on what was said elsewhere. */
function withoutRelays(found: Place[]): Place[] {
  const relays = ['…', '… is …, but must be …'];
  return found.filter(({ message }) => !relays.includes(message));
}

// ------------------------------------------------------------------------------------------------------------------- TypeScript

function typescriptPlaces(folder: string): Place[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'));
  return files.flatMap((name) => {
    const path = join(folder, name);
    const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
    const found: Place[] = [];
    const visit = (node: ts.Node): void => {
      const message = refusalOf(node);
      if (message !== undefined) found.push({ where: `${path}:${lineOf(source.text, node.getStart())}`, message });
      ts.forEachChild(node, visit);
    };
    visit(source);
    return found;
  });
}

function refusalOf(node: ts.Node): string | undefined {
  if (ts.isNewExpression(node) && node.expression.getText() === 'AsyncBpfError') return said(node.arguments![1]!);
  if (!ts.isCallExpression(node) || node.expression.getText() !== 'invalidArgument') return undefined;
  const [argument, , expected] = node.arguments;
  return `${said(argument!)} is …, but must be ${said(expected!)}`;
}

/** A text of the source, with `…` for what is not known there. */
function said(text: ts.Expression): string {
  if (ts.isStringLiteralLike(text)) return text.text;
  if (ts.isTemplateExpression(text)) return text.head.text + text.templateSpans.map(({ literal }) => `…${literal.text}`).join('');
  return '…';
}

// ------------------------------------------------------------------------------------------------------------------------ Rust

/** Messages are in attributes, and those about arguments where the argument is looked at. */
function rustPlaces(): Place[] {
  return ['crates/engine/src', 'crates/svm/src'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.rs'))
      .map((name) => join(folder, name))
      .flatMap((path) => {
        const text = readFileSync(path, 'utf8');
        const at = (index: number) => `${path}:${lineOf(text, index)}`;
        const messages = [...text.matchAll(/#\[error\(\s*"((?:[^"\\]|\\.)*)"/g)].map(({ index, 1: message }) => ({
          where: at(index),
          message: path.endsWith('loader.rs') ? `elf is not usable: ${filled(message!)}` : filled(message!),
        }));
        const slots = [...text.matchAll(/Error::InvalidSlot \{ argument(?:: "(\w+)")?,/g)].map(({ index, 1: argument = '…' }) => ({
          where: at(index),
          message: `${argument} is …, but must be in […, …]`,
        }));
        const invalid = [...text.matchAll(/Error::invalid\(|Error::InvalidArgument \{(?=\s*argument:)/g)].map(({ index, 0: begin }) => {
          const [argument, , expected] = argumentsOf(text.slice(index + begin.length));
          return { where: at(index), message: `${quoted(argument!)} is …, but must be ${quoted(expected!)}` };
        });
        return [...messages, ...slots, ...invalid];
      }),
  );
}

/** What stands between commas up to the bracket that closes; those in brackets and in texts do not count. */
function argumentsOf(code: string): string[] {
  const found = [''];
  let depth = 0;
  for (const [token] of code.matchAll(/"(?:[^"\\]|\\.)*"|[^]/g)) {
    if (depth === 0 && /^[)}\]]$/.test(token)) return found;
    if (/^[({[]$/.test(token)) depth++;
    if (/^[)}\]]$/.test(token)) depth--;
    if (depth === 0 && token === ',') found.push('');
    else found[found.length - 1] += token;
  }
  return found;
}

const quoted = (code: string) => filled(code.match(/"((?:[^"\\]|\\.)*)"/)?.[1] ?? '{}');
const filled = (format: string) => format.replace(/\{[^}]*\}/g, '…');
const lineOf = (text: string, index: number) => text.slice(0, index).split('\n').length;
