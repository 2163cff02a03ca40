import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { AsyncBpfEngine, type EngineOptions } from '../../dist/index.js';
import { address } from './addresses.js';

const PREBUILT = join(__dirname, '../../programs/prebuilt');

export function prebuilt(name: string): Uint8Array {
  return readFileSync(join(PREBUILT, `${name}.so`));
}

/** An engine with programs at the addresses of their names. It is closed when the test ends. */
export function createEngine(programs: Record<string, string>, options: EngineOptions = {}): AsyncBpfEngine {
  const engine = new AsyncBpfEngine({ workers: 1, ...options });
  onTestFinished(() => engine.close());
  for (const [name, file] of Object.entries(programs)) engine.addProgram(address(name), prebuilt(file));
  return engine;
}
