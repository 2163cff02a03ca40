/** Files that a scenario names. */

import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { InputError } from './errors.js';
import type { Json } from './json.js';

const NPM = 'npm:';

/** A file as messages call it, and what is in it. */
export interface Content {
  name: string;
  bytes: Buffer;
}

/** Where the files that were read really are. */
const inputs = new Set<string>();

/** Whether this file was read, and so must not be written. */
export function isInput(path: string): boolean {
  return existsSync(path) && inputs.has(realpathSync(path));
}

function read(path: string): Buffer {
  const bytes = readFileSync(path);
  inputs.add(realpathSync(path));
  return bytes;
}

/** Reads a file that a scenario in this folder names: by a path from there, or as `npm:PACKAGE/path`. */
export function readNamed(json: Json, folder: string): Content {
  const name = json.string('a path');
  const path = name.startsWith(NPM) ? findInPackages(name.slice(NPM.length), folder) : resolve(folder, name);
  if (path === undefined) return json.expected(`a file of a package installed at or above ${folder}`);
  try {
    return { name: path, bytes: read(path) };
  } catch (error) {
    return json.expected(`a file that can be read (${reason(error)}: ${path})`);
  }
}

/** Reads a file that the command line names. */
export function readGiven(path: string): Content {
  try {
    return { name: path, bytes: read(path) };
  } catch (error) {
    throw new InputError(`${path}: ${reason(error)}; expected a file that can be read`);
  }
}

/** Some editors begin a file with a mark that is no part of the text. */
export function decodeText(bytes: Buffer): string {
  return bytes.toString('utf8').replace(/^\ufeff/, '');
}

/** Not require.resolve: a package's `exports` hide its data, and the data is what is wanted. */
function findInPackages(path: string, folder: string): string | undefined {
  const found = join(folder, 'node_modules', path);
  if (existsSync(found)) return found;
  return dirname(folder) === folder ? undefined : findInPackages(path, dirname(folder));
}

/** `no such file or directory`, from an error of the file system. */
export function reason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return /^[A-Z]+: ([^,]+)/.exec(message)?.[1] ?? message;
}
