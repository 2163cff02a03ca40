// The peer: the same program, called by a transaction in LiteSVM.
import * as kit from '@solana/kit';
import { FailedTransactionMetadata, LiteSVM } from 'litesvm';

/** How many signed transactions are made ahead; they are sent again when they are used up, which nothing forbids here. */
const TRANSACTIONS = 256;

export async function litesvmCounter(elf) {
  const svm = new LiteSVM().withSigverify(false).withBlockhashCheck(false).withTransactionHistory(0n);
  const payer = await kit.generateKeyPairSigner();
  const [program, counter] = (await Promise.all([kit.generateKeyPairSigner(), kit.generateKeyPairSigner()])).map(
    (signer) => signer.address,
  );
  svm.setAccount({
    address: payer.address,
    lamports: kit.lamports(10n ** 15n),
    data: new Uint8Array(),
    programAddress: '11111111111111111111111111111111',
    executable: false,
    space: 0n,
  });
  svm.addProgram(program, elf);
  svm.setAccount({
    address: counter,
    lamports: kit.lamports(1_000_000_000n),
    data: new Uint8Array(8),
    programAddress: program,
    executable: false,
    space: 8n,
  });
  const blockhash = { blockhash: svm.latestBlockhash(), lastValidBlockHeight: 2n ** 60n };
  const transactions = await Promise.all(
    Array.from({ length: TRANSACTIONS }, (_, n) => {
      const instruction = {
        programAddress: program,
        accounts: [{ address: counter, role: kit.AccountRole.WRITABLE }],
        data: Uint8Array.of(0, n),
      };
      const message = kit.pipe(
        kit.createTransactionMessage({ version: 0 }),
        (m) => kit.setTransactionMessageFeePayerSigner(payer, m),
        (m) => kit.setTransactionMessageLifetimeUsingBlockhash(blockhash, m),
        (m) => kit.appendTransactionMessageInstruction(instruction, m),
      );
      return kit.signTransactionMessageWithSigners(message);
    }),
  );
  let next = 0;
  return () => {
    const result = svm.sendTransaction(transactions[next++ % TRANSACTIONS]);
    if (result instanceof FailedTransactionMetadata) throw new Error(result.toString());
  };
}
