/** The system program, as far as it moves lamports. */

import { Failure } from './accounts.js';
import type { Frame } from './invocation.js';

const UNITS = 150n;
const TRANSFER = 2;
const NOT_ENOUGH_LAMPORTS = 1;

export function systemProgram(frame: Frame): void {
  frame.use(UNITS);
  const data = new DataView(frame.data.buffer, frame.data.byteOffset, frame.data.byteLength);
  const [from, to] = frame.accounts;
  if (data.byteLength < 12 || data.getUint32(0, true) !== TRANSFER) throw new Failure('not a transfer, or not modelled');
  const lamports = data.getBigUint64(4, true);
  if (from === undefined || to === undefined) throw new Failure('not enough accounts');
  if (!from.isSigner) throw new Failure('missing signature');
  if (from.data.length > 0) throw new Failure('the payer has data');
  if (lamports > from.lamports) frame.fail(NOT_ENOUGH_LAMPORTS);
  from.lamports -= lamports;
  to.lamports += lamports;
}
