import { isUint8Array } from 'node:util/types';
import { ErrorCode } from './constants.js';

/** The symbol of an error code, for example `'MAX_TIMERS'`. */
export type ErrorCodeName = keyof typeof ErrorCode;

const NAMES = new Map<number, ErrorCodeName>(Object.entries(ErrorCode).map(([name, code]) => [code, name as ErrorCodeName]));

/**
 * A call that was refused. It changed nothing. The message names the argument, its value, the limit and what to do.
 *
 * Programs that fail are not refused calls: they are outcomes, and never thrown.
 */
export class AsyncBpfError extends Error {
  /** The number that programs see for the same failure; see {@link ErrorCode}. */
  readonly code: ErrorCode;
  /** The symbol of {@link code}. */
  readonly codeName: ErrorCodeName;

  constructor(code: number, message: string) {
    const codeName = NAMES.get(code) ?? 'EXECUTION_FAILED';
    super(message);
    this.code = ErrorCode[codeName];
    this.codeName = codeName;
    this.name = codeName;
  }

  /** Whether `error` is an `AsyncBpfError`, of this code if one is given. */
  static is<Name extends ErrorCodeName = ErrorCodeName>(error: unknown, codeName?: Name): error is AsyncBpfErrorOf<Name> {
    return error instanceof AsyncBpfError && (codeName === undefined || error.codeName === codeName);
  }
}

/** An error of one code, as {@link AsyncBpfError.is} tells it. */
export type AsyncBpfErrorOf<Name extends ErrorCodeName> = AsyncBpfError & {
  /** The symbol. */
  readonly codeName: Name;
  /** Its number. */
  readonly code: (typeof ErrorCode)[Name];
};

/** The symbol of a code that came from the addon. */
export function errorName(code: number): ErrorCodeName {
  return NAMES.get(code) ?? 'EXECUTION_FAILED';
}

/** What an argument is called: a text, or what can say it, where many could be wrong and none is. */
export type ArgumentName = string | { toString(): string };

/** An argument is outside its documented range. */
export function invalidArgument(argument: ArgumentName, value: unknown, expected: string): AsyncBpfError {
  return new AsyncBpfError(ErrorCode.INVALID_ARGUMENT, `${argument} is ${show(value)}, but must be ${expected}`);
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (isUint8Array(value)) return `${value.length} bytes`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'function') return 'a function';
  return String(value);
}
