import { AsyncBpfError } from '../../dist/index.js';

/** What a call that is refused with INVALID_ARGUMENT says. */
export function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (AsyncBpfError.is(error, 'INVALID_ARGUMENT')) return error.message;
    throw error;
  }
  throw new Error('nothing was thrown');
}
