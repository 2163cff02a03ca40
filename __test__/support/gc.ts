/** Garbage collection when a test wants it. */

import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

// V8 shows the function to contexts that are made after the flag is set.
setFlagsFromString('--expose-gc');
export const gc = runInNewContext('gc') as (options?: { type: 'minor' }) => void;

/** Collects what nobody holds: V8 gives shared memory back, and calls finalizers, when the event loop turns. */
export async function collect(): Promise<void> {
  for (let n = 0; n < 4; n++) {
    gc();
    await turn();
  }
}
