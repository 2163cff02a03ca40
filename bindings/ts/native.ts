/** Loads the addon: the one built here, or the prebuilt one of the package. */

import { join } from 'node:path';
import load = require('node-gyp-build');

type Addon = typeof import('./addon.js');

export const addon: Addon = loadAddon();

function loadAddon(): Addon {
  try {
    return load(join(__dirname, '..')) as Addon;
  } catch (cause) {
    const platform = `${process.platform}-${process.arch}`;
    throw new Error(
      `async-bpf has no addon that works on ${platform} with Node ${process.version}; build it from a clone with Rust: npm run build:native`,
      {
        cause,
      },
    );
  }
}
