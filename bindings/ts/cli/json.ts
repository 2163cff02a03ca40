/**
 * JSON whose values know where they stand, so that a complaint can name the line and the path.
 *
 * Unlike JSON.parse, it keeps integers of any size and refuses a key that occurs twice.
 */

import { printParseErrorCode, visit, type JSONPath, type JSONVisitor } from 'jsonc-parser';
import { InputError } from './errors.js';

/** A number as it is written. */
class NumberText {
  constructor(readonly text: string) {}
}

type Container = Json[] | Map<string, Json>;
type Content = string | boolean | null | NumberText | Container;

interface Place {
  file: string;
  line: number;
  /** Empty for the whole document. */
  path: JSONPath;
}

/** A value, with accessors that return what was expected or fail. */
export class Json {
  readonly #content: Content;
  readonly #place: Place;

  constructor(content: Content, place: Place) {
    this.#content = content;
    this.#place = place;
  }

  get isString(): boolean {
    return typeof this.#content === 'string';
  }

  /** A message about this value, with its place. */
  describe(message: string): string {
    const { file, line, path } = this.#place;
    return `${file}:${line}: ${path.length > 0 ? `${showPath(path)} ` : ''}${message}`;
  }

  reject(message: string): never {
    throw new InputError(this.describe(message));
  }

  /** Fails because this value is not what was expected. */
  expected(what: string): never {
    return this.reject(`is ${this.#show()}; expected ${what}`);
  }

  /** The members of an object that has all the required keys, and others only if they are optional. */
  object<R extends string, O extends string>(required: readonly R[], optional: readonly O[]): Record<R, Json> & Partial<Record<O, Json>> {
    const members = this.#members();
    const known: readonly string[] = [...required, ...optional];
    for (const [key, value] of members) if (!known.includes(key)) value.reject(`is not a known key; expected ${known.join(', ')}`);
    for (const key of required) if (!members.has(key)) this.reject(`has no "${key}"`);
    return Object.fromEntries(members) as Record<R, Json> & Partial<Record<O, Json>>;
  }

  /** A member of an object of somebody else's making, whose other members do not matter. */
  member(key: string): Json {
    return this.#members().get(key) ?? this.reject(`has no "${key}"`);
  }

  /** The members of an object whose keys are names. */
  entries(): [string, Json][] {
    return [...this.#members()];
  }

  items(): Json[] {
    return Array.isArray(this.#content) ? this.#content : this.expected('a list');
  }

  string(what = 'a string'): string {
    return typeof this.#content === 'string' ? this.#content : this.expected(what);
  }

  boolean(): boolean {
    return typeof this.#content === 'boolean' ? this.#content : this.expected('true or false');
  }

  oneOf<T extends string>(values: readonly T[]): T {
    const value = values.find((candidate) => candidate === this.#content);
    return value ?? this.expected(`one of ${values.join(', ')}`);
  }

  /** A number as it is written; as a string too, since other tools lose integers above 2^53. */
  numberText(what: string): string {
    if (this.#content instanceof NumberText) return this.#content.text;
    return this.string(what);
  }

  integer(min: bigint, max: bigint): bigint {
    const what = `an integer in [${min}, ${max}]`;
    const text = this.numberText(what);
    if (!/^-?\d+$/.test(text)) return this.expected(what);
    const value = BigInt(text);
    return value >= min && value <= max ? value : this.expected(what);
  }

  /** An integer that is small enough to count with. */
  count(min: number, max: number): number {
    return Number(this.integer(BigInt(min), BigInt(max)));
  }

  #members(): Map<string, Json> {
    return this.#content instanceof Map ? this.#content : this.expected('an object');
  }

  #show(): string {
    const content = this.#content;
    if (content instanceof NumberText) return content.text;
    if (content instanceof Map) return 'an object';
    if (Array.isArray(content)) return 'a list';
    const text = JSON.stringify(content);
    return text.length <= 60 ? text : `${text.slice(0, 57)}..."`;
  }
}

const PLAIN_KEY = /^[A-Za-z_][\w-]*$/;
const MAX_DEPTH = 64;

/** What would have been right, by the name of the error; those that are not here cannot be. */
const EXPECTED: Record<string, string> = {
  InvalidSymbol: 'a value, a key in double quotes, or punctuation',
  PropertyNameExpected: 'a key in double quotes',
  ValueExpected: 'a value',
  ColonExpected: '":"',
  CloseBraceExpected: '"," or "}"',
  CloseBracketExpected: '"," or "]"',
  EndOfFileExpected: 'the end of the file',
  InvalidCommentToken: 'JSON without comments',
  UnexpectedEndOfString: 'a string that ends on its line',
  UnexpectedEndOfNumber: 'a number with digits behind its "." or "e"',
  InvalidUnicode: 'a string with valid escapes',
  InvalidEscapeCharacter: 'a string with valid escapes',
  InvalidCharacter: 'a string without control characters',
};

/** Parses a document, or one line of a file of them. The first error ends it. */
export function parseJson(text: string, file: string, firstLine = 1): Json {
  const document: Json[] = [];
  /** The lists and objects that have not ended yet, and around them the document. */
  const open: Container[] = [document];

  function fail(expected: string, found: string, line: number, column: number): never {
    throw new InputError(`${file}:${firstLine + line}:${column + 1}: found ${found}; expected ${expected}`);
  }

  function add(content: Content, line: number, path: JSONPath): void {
    const json = new Json(content, { file, line: firstLine + line, path });
    const parent = open.at(-1)!;
    if (parent instanceof Map) parent.set(path.at(-1) as string, json);
    else parent.push(json);
  }

  function begin(content: Container, offset: number, line: number, column: number, path: JSONPath): void {
    if (open.length > MAX_DEPTH) fail(`at most ${MAX_DEPTH} levels`, showAt(text, offset), line, column);
    add(content, line, path);
    open.push(content);
  }

  const visitor: JSONVisitor = {
    onObjectBegin: (offset, _, line, column, path) => begin(new Map(), offset, line, column, path()),
    onArrayBegin: (offset, _, line, column, path) => begin([], offset, line, column, path()),
    onObjectProperty(key, _, __, line, column) {
      if ((open.at(-1) as Map<string, Json>).has(key)) fail('every key once', `${JSON.stringify(key)} again`, line, column);
    },
    onLiteralValue(value: string | number | boolean | null, offset, length, line, _, path) {
      add(typeof value === 'number' ? new NumberText(text.slice(offset, offset + length)) : value, line, path());
    },
    onObjectEnd: () => void open.pop(),
    onArrayEnd: () => void open.pop(),
    onError(code, offset, _, line, column) {
      let name: string = printParseErrorCode(code);
      // Where a comma may be, what is open may end as well.
      if (name === 'CommaExpected') name = open.at(-1) instanceof Map ? 'CloseBraceExpected' : 'CloseBracketExpected';
      fail(EXPECTED[name] ?? 'JSON', showAt(text, offset), line, column);
    },
  };
  visit(text, visitor, { disallowComments: true });
  return document[0]!;
}

function showAt(text: string, offset: number): string {
  return offset < text.length ? JSON.stringify(text[offset]) : 'the end of the file';
}

/** For example `rings.trades.size` or `setup[0]["a key"]`. */
function showPath(path: JSONPath): string {
  const steps = path.map((step) => (typeof step === 'string' && PLAIN_KEY.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`));
  return steps.join('').replace(/^\./, '');
}
