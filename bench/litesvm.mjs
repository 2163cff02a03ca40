// The peer: the same programs, called by transactions in LiteSVM.
import * as kit from '@solana/kit';
import bs58 from 'bs58';
import { FailedTransactionMetadata, LiteSVM } from 'litesvm';

/** How many signed transactions are made ahead; they are sent again when they are used up, which nothing forbids here. */
const TRANSACTIONS = 256;
const SYSTEM_PROGRAM = '11111111111111111111111111111111';

/** Signatures are not checked. */
const SIGNATURE = new Uint8Array(64).fill(1);

const name = (address) => (typeof address === 'string' ? address : bs58.encode(address));

/**
 * Sends a transaction with one instruction. `instruction(n, salt)` says which program, data and accounts it has, with the data and the owner of
 * those that are there at first; transactions differ by `salt`, which is below 256.
 */
export async function litesvm({ programs, instruction }) {
  const svm = new LiteSVM().withSigverify(false).withBlockhashCheck(false).withTransactionHistory(0n);
  const set = (address, owner, data, lamports) =>
    svm.setAccount({
      address,
      lamports: kit.lamports(lamports),
      data,
      programAddress: owner,
      executable: false,
      space: BigInt(data.length),
    });
  const payer = kit.createNoopSigner((await kit.generateKeyPairSigner()).address);
  set(payer.address, SYSTEM_PROGRAM, new Uint8Array(), 10n ** 15n);
  for (const [program, elf] of programs) svm.addProgram(name(program), elf);
  for (const { address, owner = SYSTEM_PROGRAM, data } of instruction(0).accounts) {
    if (data) set(name(address), name(owner), data, 1_000_000_000n);
  }

  const blockhash = { blockhash: svm.latestBlockhash(), lastValidBlockHeight: 2n ** 60n };
  const transactions = Array.from({ length: TRANSACTIONS }, (_, salt) => {
    const { programId, data, accounts } = instruction(0, salt);
    const role = ({ isSigner = false, isWritable = false }) => (isSigner ? 2 : 0) | (isWritable ? 1 : 0);
    const message = kit.pipe(
      kit.createTransactionMessage({ version: 0 }),
      (m) => kit.setTransactionMessageFeePayer(payer.address, m),
      (m) => kit.setTransactionMessageLifetimeUsingBlockhash(blockhash, m),
      (m) =>
        kit.appendTransactionMessageInstruction(
          {
            programAddress: name(programId),
            accounts: accounts.map((account) => ({ address: name(account.address), role: role(account) })),
            data,
          },
          m,
        ),
    );
    const transaction = kit.compileTransaction(message);
    return { ...transaction, signatures: Object.fromEntries(Object.keys(transaction.signatures).map((signer) => [signer, SIGNATURE])) };
  });
  let next = 0;
  return () => {
    const result = svm.sendTransaction(transactions[next++ % TRANSACTIONS]);
    if (result instanceof FailedTransactionMetadata) throw new Error(result.toString());
  };
}

/** Of the counter program, on an account of its own. */
export function litesvmCounter(elf) {
  const [program, counter] = [1, 2].map((kind) => new Uint8Array(32).fill(kind));
  return litesvm({
    programs: [[program, elf]],
    instruction: (_, salt = 0) => ({
      programId: program,
      data: Uint8Array.of(0, salt),
      accounts: [{ address: counter, isWritable: true, owner: program, data: new Uint8Array(8) }],
    }),
  });
}
