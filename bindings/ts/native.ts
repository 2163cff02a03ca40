/** Loads the addon: the one built here, or the prebuilt one of the package. */

import { join } from 'node:path';
import type { ErrorCode } from './constants.js';
import { missingAddon } from './missing-addon.js';
import load = require('node-gyp-build');

/** What is not in the generated declarations: callbacks without a wrapper, for what is called most often (`bindings/src/bare.rs`). */
interface BareCalls {
  /** Puts a message into a queue that native code reads. If it cannot, why: BUFFER_FULL, INVALID_ARGUMENT, or SHUTDOWN for no such queue. */
  producerPush(handle: number, message: Uint8Array): ErrorCode | undefined;
  /** Processes a slot, asked for and answered in memory. Its state hash in hex; if it cannot, nothing, and `takeReply` says why. */
  processSlot(handle: number, memory: ArrayBuffer, runner: (request: Buffer) => Uint8Array): string | undefined;
  /** Hands in account states in columns. If it cannot, a code, and `takeReply` says why. */
  submitBatch(
    handle: number,
    memory: Uint8Array,
    capacity: number,
    dataLength: number,
    versioned: 0 | 1,
    count: number,
  ): ErrorCode | undefined;
  TESTING_number(number: number): void;
  TESTING_length(message: Uint8Array): number;
  TESTING_copy(message: Uint8Array): Buffer;
}

type Addon = typeof import('./addon.js') & BareCalls;

export const addon: Addon = loadAddon();

function loadAddon(): Addon {
  const root = join(__dirname, '..');
  try {
    return load(root) as Addon;
  } catch (cause) {
    throw missingAddon(root, cause);
  }
}
