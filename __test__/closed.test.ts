/** What an engine has given out to be used, after `close`. The methods of the engine and its parts, and the calls of programs, are in `arguments.test.ts`. */

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AsyncBpfError, ErrorCode, type AsyncBpfEngine } from '../dist/index.js';
import { address } from './support/addresses.js';
import { createEngine } from './support/engine.js';

const PROGRAM = address('program');
const CLOSED = new AsyncBpfError(ErrorCode.SHUTDOWN, 'the engine is closed; create a new one');
const DONE = { done: true, value: undefined };

interface Handle {
  what: string;
  make: (engine: AsyncBpfEngine) => object;
  /** What each of its methods does after `close`, or throws. */
  then: Record<string, [use: (handle: any) => unknown, result: unknown]>;
  /** Methods for the engine alone. */
  internal?: string[];
}

/** A stream ends like every other. */
const HANDLES: Handle[] = [
  {
    what: 'an account batch',
    make: (engine) => engine.accountBatch({ capacity: 1 }),
    then: { set: [(batch) => batch.set(0, { address: PROGRAM, lamports: 1 }), CLOSED], submit: [(batch) => batch.submit(), CLOSED] },
  },
  {
    what: 'a stream of events',
    make: (engine) => engine.events(),
    then: {
      next: [(stream) => stream.next(), DONE],
      forEach: [(stream) => stream.forEach(() => {}), 0],
      return: [(stream) => stream.return(), DONE],
    },
  },
  {
    what: 'a task',
    make: (engine) => engine.tasks.submit({ programId: PROGRAM }),
    then: {
      id: [(task) => typeof task.id, 'bigint'],
      outcome: [
        (task) => task.outcome,
        expect.objectContaining({
          codeName: 'SHUTDOWN',
          message: expect.stringMatching(/^the engine was closed before task .*; close it after/),
        }),
      ],
    },
    internal: ['settle', 'fail'],
  },
];

const methodsOf = (object: object) => Object.getOwnPropertyNames(Object.getPrototypeOf(object)).filter((name) => name !== 'constructor');

test.each(HANDLES)('$what says so, by each of its methods', async ({ make, then, internal = [] }) => {
  for (const [use, result] of Object.values(then)) {
    const engine = createEngine({ program: 'conformance' });
    const handle = make(engine);
    engine.close();
    const said = Promise.resolve().then(() => use(handle));
    expect(await said.catch((error: unknown) => error)).toEqual(result);
  }
  const handle = make(createEngine({ program: 'conformance' }));
  expect(methodsOf(handle).filter((name) => !internal.includes(name))).toEqual(Object.keys(then));
});

test('every class of the package is looked at, here or elsewhere', () => {
  const read = (name: string) => readFileSync(join('dist', name), 'utf8');
  const declarations = readdirSync('dist').filter((name) => name.endsWith('.d.ts'));
  const classes = declarations.flatMap((name) => [...read(name).matchAll(/^export declare class (\w+)/gm)].map(([, found]) => found!));
  const exported = new Set(read('index.d.ts').match(/\w+/g));
  const looked = {
    here: ['AccountBatch'],
    'arguments.test.ts': ['AsyncBpfEngine', 'AsyncBpfError', 'Rings', 'Syscalls', 'Tasks', 'Timers', 'Watchers'],
    // They are of use while a function runs, and not after.
    'programs.test.ts': ['ProgramAccount', 'ProgramContext'],
  };
  expect(classes.filter((name) => exported.has(name)).sort()).toEqual(Object.values(looked).flat().sort());
});
