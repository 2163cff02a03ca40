/** Matchers for vitest, and for whatever else has its `expect.extend`. */

import { addressString, toAddress, toU64, type AddressLike, type U64Like } from '../arguments.js';
import { ErrorCode } from '../constants.js';
import { invalidArgument, type ErrorCodeName } from '../errors.js';
import type { Outcome, OutcomeError } from '../types.js';
import { label } from './addresses.js';
import { logsOf, ranges, timeline, units, who } from './describe.js';
import { Outcomes } from './outcomes.js';
import { World } from './world.js';

/**
 * How a program failed: the number that it returned; the {@link ErrorCodeName}, or the runtime's name for the failure, such as
 * `'MissingRequiredSignature'`; a pattern of the message; or some fields of the error.
 */
export type ExpectedFailure = number | ErrorCodeName | (string & {}) | RegExp | Partial<OutcomeError>;

/**
 * What can be expected of outcomes and worlds. An outcome is what `invoke`, reports and `world.outcomes()` give; where a matcher takes several,
 * an array of them will do.
 *
 * Each matcher throws AsyncBpfError INVALID_ARGUMENT when it is given something else, whether with `.not` or without: a test that looks at the
 * wrong thing has to fail.
 */
export interface AsyncBpfMatchers {
  /**
   * Of what `world.outcomes()` gives: a timer, watcher or task ran in this slot. Whether it succeeded does not matter; one that expired did not run.
   *
   * @param slot One that the world processed.
   */
  toHaveFiredAt(slot: U64Like): void;
  /** Of an outcome: it counts. Of several: there are some, and all count; with `.not`, none does. */
  toHaveCommitted(): void;
  /** Of an outcome: the program failed like this. Of several: at least one did; with `.not`, none. */
  toHaveFailedWith(failure: ExpectedFailure): void;
  /**
   * Of an outcome: it logged a line that contains a text or matches a pattern. Of several: at least one did; with `.not`, none.
   *
   * @param pattern Of a single line, as the runtime has it: `sol_log_("sold")` gives `Program log: sold`.
   */
  toHaveLogged(pattern: string | RegExp): void;
  /** Of an outcome: it used no more compute units than this. Of several: there are some, and none used more; with `.not`, all did. */
  toHaveConsumedAtMost(units: U64Like): void;
  /**
   * Of a world: each of these accounts changed since it is tracked, or since `forget`; with `.not`, none did. An account that changed
   * and changed back has changed.
   *
   * @param addresses Of tracked accounts, at least one.
   */
  toHaveChanged(...addresses: [AddressLike, ...AddressLike[]]): void;
}

/** What a matcher knows of the assertion that it is part of. */
export interface MatcherContext {
  /** Whether it is one with `.not`. */
  readonly isNot: boolean;
}

/** What a matcher tells. */
export interface MatcherResult {
  /** Whether the assertion holds; with `.not`, whether it fails. */
  pass: boolean;
  /** What to say when the assertion fails. */
  message: () => string;
}

/**
 * The matchers, for `expect.extend`; importing `async-bpf/testing/vitest` does that, and tells TypeScript.
 *
 * @example
 * ```ts
 * expect.extend(asyncBpfMatchers);
 * ```
 */
export const asyncBpfMatchers: {
  [Name in keyof AsyncBpfMatchers]: (
    this: MatcherContext,
    received: unknown,
    ...expected: Parameters<AsyncBpfMatchers[Name]>
  ) => MatcherResult;
} = {
  toHaveFiredAt(received, slot) {
    if (!(received instanceof Outcomes)) throw invalidArgument('what is expected to have fired', received, 'what world.outcomes() gives');
    const at = toU64(slot, 'slot');
    if (!received.covers(at)) {
      throw invalidArgument('slot', slot, `one that the world has processed: ${received.covered}`);
    }
    const there = received.filter((outcome) => outcome.slot === at);
    return {
      pass: received.slots.includes(at),
      message: () => {
        if (this.isNot) return `${received.of} fired in slot ${at}:\n${timeline(there)}`;
        const expired = there.filter(({ status }) => status === 'expired');
        const late = expired.length === 0 ? '' : `\nIn slot ${at} it expired:\n${timeline(expired)}`;
        return `${received.of} did not fire in slot ${at}. It fired in: ${ranges(received.slots)}.${late}`;
      },
    };
  },

  toHaveCommitted(received) {
    const outcomes = toOutcomes(received);
    const [committed, others] = split(outcomes, ({ status }) => status === 'committed');
    return {
      pass: this.isNot ? committed.length > 0 : outcomes.length > 0 && others.length === 0,
      message: () => {
        if (this.isNot) return `${subject(received, committed)} committed:\n${timeline(committed)}`;
        if (outcomes.length === 0) return `${subject(received, outcomes)} did not commit: nothing ran`;
        return `${subject(received, others)} did not commit:\n${timeline(others)}\n${logsOf(others)}`;
      },
    };
  },

  toHaveFailedWith(received, failure) {
    const outcomes = toOutcomes(received);
    const [matches, wanted] = toFailure(failure);
    const failed = outcomes.filter(({ error }) => error !== undefined && matches(error));
    return {
      pass: failed.length > 0,
      message: () => {
        if (this.isNot) return `${subject(received, failed)} failed with ${wanted}:\n${timeline(failed)}`;
        return `${subject(received, outcomes)} did not fail with ${wanted}. What ran:\n${timeline(outcomes)}\n${logsOf(outcomes)}`;
      },
    };
  },

  toHaveLogged(received, pattern) {
    const outcomes = toOutcomes(received);
    if (typeof pattern !== 'string' && !(pattern instanceof RegExp)) {
      throw invalidArgument('pattern', pattern, 'a text or a regular expression');
    }
    if (pattern === '') throw invalidArgument('pattern', pattern, 'a text that is not empty: every line has an empty one');
    // Whatever commits has logged that it began and ended.
    if (outcomes.some(({ status, logs }) => status === 'committed' && logs.length === 0)) {
      throw invalidArgument('what is looked at', received, 'of an engine that keeps logs: create it without `logs: false`');
    }
    const matches = (line: string) => (typeof pattern === 'string' ? line.includes(pattern) : line.search(pattern) >= 0);
    const logged = outcomes.filter(({ logs }) => logs.some(matches));
    const wanted = typeof pattern === 'string' ? JSON.stringify(pattern) : String(pattern);
    return {
      pass: logged.length > 0,
      message: () => {
        if (this.isNot) return `${subject(received, logged)} logged ${wanted}:\n${timeline(logged)}\n${logsOf(logged)}`;
        return `${subject(received, outcomes)} did not log ${wanted}. ${logsOf(outcomes)}`;
      },
    };
  },

  toHaveConsumedAtMost(received, most) {
    const outcomes = toOutcomes(received);
    const limit = toU64(most, 'units');
    const [within, above] = split(outcomes, ({ unitsConsumed }) => unitsConsumed <= limit);
    return {
      pass: this.isNot ? within.length > 0 : outcomes.length > 0 && above.length === 0,
      message: () => {
        if (this.isNot) return `${subject(received, within)} consumed at most ${units(limit)}:\n${timeline(within)}`;
        if (outcomes.length === 0) return `${subject(received, outcomes)} consumed nothing: nothing ran`;
        return `${subject(received, above)} consumed more than ${units(limit)}:\n${timeline(above)}`;
      },
    };
  },

  toHaveChanged(received, ...addresses) {
    if (!(received instanceof World)) throw invalidArgument('what is expected to have changed', received, 'a World');
    if (addresses.length === 0) throw invalidArgument('addresses', addresses, 'at least one address');
    const accounts = addresses.map((address, index) => {
      const name = addressString(toAddress(address, `addresses[${index}]`));
      return { name, changes: received.changes(name) };
    });
    const [changed, others] = split(accounts, ({ changes }) => changes.length > 0);
    const list = (some: typeof accounts) =>
      some.map(({ name, changes }) => `  ${label(name)}: changed in slots ${ranges(unique(changes.map(({ slot }) => slot)))}`).join('\n');
    return {
      pass: this.isNot ? changed.length > 0 : others.length === 0,
      message: () => {
        if (this.isNot) return `these accounts have changed:\n${list(changed)}`;
        const names = others.map(({ name }) => `  ${label(name)}`).join('\n');
        return `these accounts have not changed:\n${names}${changed.length > 0 ? `\nThese have:\n${list(changed)}` : ''}`;
      },
    };
  },
};

function split<T>(all: readonly T[], predicate: (one: T) => boolean): [those: T[], others: T[]] {
  return [all.filter((one) => predicate(one)), all.filter((one) => !predicate(one))];
}

function unique(slots: bigint[]): bigint[] {
  return [...new Set(slots)];
}

function toOutcomes(received: unknown): readonly Outcome[] {
  const outcomes: readonly unknown[] = Array.isArray(received) ? received : [received];
  for (const outcome of outcomes) {
    if (!isOutcome(outcome))
      throw invalidArgument('what is looked at', received, 'an outcome, or an array of outcomes such as world.outcomes() gives');
  }
  return outcomes as readonly Outcome[];
}

function isOutcome(value: unknown): value is Outcome {
  return (
    typeof value === 'object' && value !== null && 'status' in value && 'logs' in value && 'unitsConsumed' in value && 'source' in value
  );
}

/** Who did what a message is about. */
function subject(received: unknown, those: readonly Outcome[]): string {
  if (received instanceof Outcomes) return received.of;
  return those.length === 1 ? who(those[0]!) : `${those.length} outcomes`;
}

const ERROR_KEYS: Readonly<Record<keyof OutcomeError, true>> = { code: true, name: true, message: true, reason: true, customCode: true };
const MAX_CUSTOM_CODE = 2 ** 32 - 1;

/** What tells whether an error is such a failure, and the failure in words. */
function toFailure(failure: ExpectedFailure): [matches: (error: OutcomeError) => boolean, wanted: string] {
  if (typeof failure === 'number') {
    if (!Number.isSafeInteger(failure) || failure < 0 || failure > MAX_CUSTOM_CODE) {
      throw invalidArgument('failure', failure, `a number that a program can return: an integer in [0, ${MAX_CUSTOM_CODE}]`);
    }
    return [({ customCode }) => customCode === failure, `custom code ${failure}`];
  }
  if (typeof failure === 'string') {
    const isCode = failure in ErrorCode;
    if (!isCode && !/^[A-Z][A-Za-z]*[a-z][A-Za-z]*$/.test(failure)) {
      throw invalidArgument(
        'failure',
        failure,
        'the name of an error code or of a failure of the runtime, such as MissingRequiredSignature',
      );
    }
    return [({ name, reason }) => name === failure || reason === failure, failure];
  }
  if (failure instanceof RegExp) return [({ message }) => message.search(failure) >= 0, `a message like ${failure}`];
  if (typeof failure !== 'object' || failure === null || Array.isArray(failure)) {
    throw invalidArgument('failure', failure, 'a number, a name, a regular expression or an object');
  }
  const fields = Object.entries(failure) as [keyof OutcomeError, unknown][];
  for (const [key] of fields) {
    if (!(key in ERROR_KEYS)) throw invalidArgument('failure', key, `made of ${Object.keys(ERROR_KEYS).join(', ')}`);
  }
  if (fields.length === 0) throw invalidArgument('failure', failure, 'an object with at least one field');
  const wanted = fields.map(([key, value]) => `${key} ${String(value)}`).join(', ');
  return [(error) => fields.every(([key, value]) => error[key] === value), wanted];
}
