/** Registers the matchers with vitest, and tells TypeScript: `import 'async-bpf/testing/vitest'` in a test or in a file of `setupFiles`. */

import { expect } from 'vitest';
import { asyncBpfMatchers, type AsyncBpfMatchers } from './matchers.js';

expect.extend(asyncBpfMatchers);

declare module 'vitest' {
  interface Matchers<T> extends AsyncBpfMatchers {}
}
