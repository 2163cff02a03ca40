#!/usr/bin/env node
/** The command line of async-bpf. */

import { closeSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { InputError, RunError } from './errors.js';
import { isInput, reason } from './files.js';
import { Progress } from './progress.js';
import { results } from './results.js';
import { run } from './run.js';
import { readScenario } from './scenario.js';
import { summary } from './summary.js';
import { timeline } from './timeline.js';

const FAILED = 1;
const BAD_INPUT = 2;
const MAX_WORKERS = 256;
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f]/g;

const { version } = require('../../package.json') as { version: string };

const program = new Command('async-bpf')
  .description('Solana programs that act on their own, inside Node.js.')
  .version(version)
  .addHelpText('afterAll', '\nExit codes: 0 done, 1 the run failed, 2 bad usage or bad input.')
  .exitOverride();

program
  .command('run')
  .description('Runs the programs of a scenario over its feed, and shows what they did.')
  .argument('<scenario>', 'JSON file that names programs, accounts, rings, set-up and feed; see examples/README.md')
  .option('--json <file>', 'write all results to a file, for machines')
  .option('--workers <n>', 'threads that run callbacks; results do not depend on it', parseWorkers)
  .option('--quiet', 'print the summary only')
  .action(runCommand);

interface RunOptions {
  json?: string;
  workers?: number;
  quiet?: boolean;
}

function runCommand(path: string, { json, workers, quiet }: RunOptions): void {
  const scenario = readScenario(path);
  if (json !== undefined && isInput(json)) throw new InputError(`${json}: is read by this run; expected another file for its results`);
  if (json !== undefined) writing(json, checkWritable);
  const progress = new Progress(scenario.feed.length, process.stderr);
  let result;
  try {
    result = run(scenario, workers, (done) => progress.update(done));
  } finally {
    progress.clear();
  }
  const parts = quiet ? [] : [scenario.description ? [scenario.description] : [], timeline(scenario, result)];
  for (const lines of parts.filter(({ length }) => length > 0)) print(process.stdout, [...lines, '']);
  print(process.stdout, summary(scenario, result));
  if (json !== undefined) {
    const text = JSON.stringify(results(scenario, result), undefined, 2);
    writing(json, (file) => writeFileSync(file, `${text}\n`));
  }
}

/** Programs may log anything, and it must not steer the terminal. */
function print(stream: NodeJS.WriteStream, lines: readonly string[]): void {
  stream.write(lines.map((line) => `${line.replace(CONTROL_CHARACTERS, '\ufffd')}\n`).join(''));
}

/** Before the run, since a long one would be for nothing. What is there stays, as a run that fails has no results. */
function checkWritable(path: string): void {
  const existing = statSync(path, { throwIfNoEntry: false });
  // Closing a pipe would tell its reader that this was all.
  if (existing?.isFIFO()) return;
  closeSync(openSync(path, existing ? 'a' : 'ax'));
  if (!existing) rmSync(path);
}

function writing(path: string, action: (path: string) => void): void {
  try {
    action(path);
  } catch (error) {
    throw new InputError(`${path}: ${reason(error)}; expected a file that can be written`);
  }
}

function parseWorkers(text: string): number {
  const workers = /^\d+$/.test(text) ? Number(text) : 0;
  if (workers < 1 || workers > MAX_WORKERS) throw new InvalidArgumentError(`Expected an integer in [1, ${MAX_WORKERS}].`);
  return workers;
}

/** Tells the user what went wrong and returns the exit code. */
function explain(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : BAD_INPUT;
  if (error instanceof InputError) {
    print(process.stderr, [`error: ${error.message}`]);
    return BAD_INPUT;
  }
  if (error instanceof RunError) {
    print(process.stderr, [`error: ${error.message}`, ...error.logs.map((log) => `  ${log}`)]);
    return FAILED;
  }
  throw error;
}

// A reader that has seen enough, such as head, is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  print(process.stderr, [`error: stdout: ${reason(error)}`]);
  process.exit(FAILED);
});

try {
  program.parse();
} catch (error) {
  process.exitCode = explain(error);
}
