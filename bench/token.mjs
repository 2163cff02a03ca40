// The SPL Token program of the public clusters, which the npm package of LiteSVM has inside.
import { address } from '@solana/kit';
import bs58 from 'bs58';
import { LiteSVM } from 'litesvm';

export const TOKEN = 'TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA';

/** Header of the account in which the upgradeable loader keeps the ELF file. */
const PROGRAMDATA_HEADER = 45;

export function tokenElf() {
  const svm = new LiteSVM();
  const { data } = svm.getAccount(address(TOKEN));
  // The first account of the two points to the other.
  return svm.getAccount(address(bs58.encode(data.slice(4, 36)))).data.slice(PROGRAMDATA_HEADER);
}
