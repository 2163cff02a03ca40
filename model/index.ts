/** The reference model: what the engine does, written a second time and as plainly as possible. */

export { Failure, type AccountView } from './accounts.js';
export type { Answer } from './calls.js';
export { Model, type SlotReport } from './engine.js';
export type { Frame, Program } from './invocation.js';
export { ModelError } from './limits.js';
export { reached, rule } from './rules.js';
export { script } from './script.js';
export type { Report } from './tasks.js';
