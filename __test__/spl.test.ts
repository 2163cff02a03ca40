/** Programs of the Solana program library run unchanged: the very ELF files of the public clusters. */

import {
  appendTransactionMessageInstructions,
  createKeyPairSignerFromPrivateKeyBytes,
  createTransactionMessage,
  getProgramDerivedAddress,
  lamports,
  pipe,
  setTransactionMessageFeePayerSigner,
  signTransactionMessageWithSigners,
  type KeyPairSigner,
} from '@solana/kit';
import bs58 from 'bs58';
import { FailedTransactionMetadata, LiteSVM, type TransactionMetadata } from 'litesvm';
import { describe, expect, test } from 'vitest';
import { TimerState, type AsyncBpfEngine } from '../dist/index.js';
import { readMint, readTokenAccount, rentExemption } from '../dist/testing/index.js';
import { address, SYSTEM_PROGRAM } from './support/addresses.js';
import { u64, utf8 } from './support/bytes.js';
import { said } from './support/conformance.js';
import { createEngine } from './support/engine.js';
import * as spl from './support/spl.js';

const PAYER = address('payer');
const [MINT, FROM, TO, OWNER] = ['mint', 'from', 'to', 'owner'].map(address) as [string, string, string, string];

function setUp() {
  const engine = createEngine({});
  spl.addSplPrograms(engine);
  engine.setAccount(PAYER, { lamports: 10_000_000_000n });
  return engine;
}

function execute(engine: AsyncBpfEngine, ...instructions: spl.Instruction[]) {
  return instructions.map((instruction) => {
    const outcome = engine.invoke(instruction);
    expect(outcome.error?.message, outcome.logs.join('\n')).toBeUndefined();
    return outcome;
  });
}

const amount = (engine: AsyncBpfEngine, name: string) => readTokenAccount(engine.getAccount(name)!.data).amount;

describe.each([
  ['Token', spl.TOKEN],
  ['Token-2022', spl.TOKEN_2022],
])('%s', (_, program) => {
  const token = spl.token(program);

  /** A mint with 1,000 units in FROM, and an empty account TO. */
  function mint(engine: AsyncBpfEngine) {
    execute(
      engine,
      spl.system.createAccount(PAYER, MINT, rentExemption(spl.MINT_LENGTH), spl.MINT_LENGTH, program),
      token.initializeMint(MINT, 6, OWNER),
      ...[FROM, TO].flatMap((account) => [
        spl.system.createAccount(PAYER, account, rentExemption(spl.ACCOUNT_LENGTH), spl.ACCOUNT_LENGTH, program),
        token.initializeAccount(account, MINT, OWNER),
      ]),
      token.mintTo(MINT, FROM, OWNER, 1000),
    );
  }

  test('initialises a mint and accounts, and mints', () => {
    const engine = setUp();
    mint(engine);
    expect(readMint(engine.getAccount(MINT)!.data)).toEqual({ mintAuthority: OWNER, supply: 1000n, decimals: 6, isInitialized: true });
    expect(readTokenAccount(engine.getAccount(FROM)!.data)).toMatchObject({
      mint: MINT,
      owner: OWNER,
      amount: 1000n,
      state: 'initialized',
    });
    expect(amount(engine, TO)).toBe(0n);
  });

  test('transfers by itself, in the callbacks of a periodic timer, until nothing is left', () => {
    const engine = setUp();
    mint(engine);
    const timer = engine.timers.createPeriodic({ ...token.transfer(FROM, TO, OWNER, 400), startSlot: 10, periodSlots: 5 });
    engine.processSlot(9);
    expect(amount(engine, TO)).toBe(0n);
    engine.processSlot(10);
    engine.processSlot(15);
    expect([amount(engine, FROM), amount(engine, TO)]).toEqual([200n, 800n]);
    // Token's error 1 is insufficient funds.
    expect(engine.processSlot(20).outcomes[0]).toMatchObject({ status: 'failed', error: { customCode: 1 } });
    expect([amount(engine, FROM), amount(engine, TO)]).toEqual([200n, 800n]);
    expect(engine.timers.get(timer)).toMatchObject({ state: TimerState.PENDING, executionCount: 3n });
  });

  test('does not transfer when the timer does not say who signed', () => {
    const engine = setUp();
    mint(engine);
    const transfer = token.transfer(FROM, TO, OWNER, 400);
    const accounts = transfer.accounts.map((meta) => ({ ...meta, isSigner: false }));
    engine.timers.create({ ...transfer, accounts, triggerSlot: 1 });
    expect(engine.processSlot(1).outcomes[0]).toMatchObject({ status: 'failed', error: { reason: 'MissingRequiredSignature' } });
    expect(amount(engine, TO)).toBe(0n);
  });

  test('a watcher of a token balance fires when it comes above a threshold', () => {
    const engine = setUp();
    mint(engine);
    engine.processSlot(1);
    engine.watchers.create({ ...token.transfer(TO, FROM, OWNER, 50), account: TO, trigger: 4, offset: 64, threshold: 99 });
    execute(engine, token.transfer(FROM, TO, OWNER, 99));
    expect(engine.processSlot(2).watchersTriggered).toBe(0n);
    execute(engine, token.transfer(FROM, TO, OWNER, 1));
    expect(engine.processSlot(3).outcomes).toMatchObject([{ status: 'committed', source: { kind: 'watcher' } }]);
    expect(amount(engine, TO)).toBe(50n);
  });

  test('a closed account is gone', () => {
    const engine = setUp();
    mint(engine);
    execute(engine, token.closeAccount(TO, PAYER, OWNER));
    expect(engine.getAccount(TO)).toBeUndefined();
  });

  test('the associated token program creates an account, by calls to the system and the token program', async () => {
    const engine = setUp();
    mint(engine);
    const [associated] = await getProgramDerivedAddress({
      programAddress: spl.ASSOCIATED_TOKEN as never,
      seeds: [bs58.decode(OWNER), bs58.decode(program), bs58.decode(MINT)],
    });
    const [created] = execute(engine, spl.createAssociatedAccount(PAYER, associated, OWNER, MINT, program));
    expect(created!.logs).toContain(`Program ${SYSTEM_PROGRAM} invoke [2]`);
    expect(engine.getAccount(associated)!.owner).toBe(program);
    execute(engine, token.transferChecked(FROM, MINT, associated, OWNER, 7, 6));
    expect(amount(engine, associated)).toBe(7n);
    // A second time it exists already.
    expect(engine.invoke(spl.createAssociatedAccount(PAYER, associated, OWNER, MINT, program)).status).toBe('failed');
  });
});

describe('the system program', () => {
  test('transfers lamports, in a timer as well', () => {
    const engine = setUp();
    execute(engine, spl.system.transfer(PAYER, TO, 5_000_000));
    engine.timers.create({ ...spl.system.transfer(PAYER, TO, 1_000_000), triggerSlot: 3 });
    engine.processSlot(3);
    expect(engine.getAccount(TO)).toMatchObject({ lamports: 6_000_000n, owner: SYSTEM_PROGRAM });
    expect(engine.getAccount(PAYER)!.lamports).toBe(9_994_000_000n);
  });

  test('refuses what is not there and what nobody signed', () => {
    const engine = setUp();
    expect(engine.invoke(spl.system.transfer(TO, PAYER, 1))).toMatchObject({ status: 'failed', error: { customCode: 1 } });
    const unsigned = spl.system.transfer(PAYER, TO, 1_000_000);
    unsigned.accounts[0]!.isSigner = false;
    expect(engine.invoke(unsigned)).toMatchObject({ status: 'failed', error: { reason: 'MissingRequiredSignature' } });
    expect(engine.getAccount(TO)).toBeUndefined();
  });

  test('creates accounts, once', () => {
    const engine = setUp();
    const create = spl.system.createAccount(PAYER, TO, rentExemption(10), 10, spl.TOKEN);
    execute(engine, create);
    expect(engine.getAccount(TO)).toEqual({
      address: TO,
      lamports: rentExemption(10),
      data: new Uint8Array(10),
      owner: spl.TOKEN,
      executable: false,
    });
    expect(engine.invoke(create)).toMatchObject({ status: 'failed', error: { customCode: 0 } });
  });
});

test.each([
  ['memo', spl.MEMO, ['Memo (len 12)', 'slot by slot']],
  ['memo v1', spl.MEMO_V1, []],
])('%s runs, logs what it should, and refuses what is not UTF-8', (_, programId, texts) => {
  const engine = setUp();
  engine.timers.create({ programId, data: utf8('slot by slot'), triggerSlot: 1 });
  const [outcome] = engine.processSlot(1).outcomes;
  expect(outcome!.status).toBe('committed');
  expect(said([outcome!])).toEqual(texts);
  expect(engine.invoke({ programId, data: Uint8Array.of(0xff) }).status).toBe('failed');
});

describe('the same sequence in LiteSVM', () => {
  const signerOf = (seed: number) => createKeyPairSignerFromPrivateKeyBytes(new Uint8Array(32).fill(seed));

  test.each([
    ['Token', spl.TOKEN],
    ['Token-2022', spl.TOKEN_2022],
  ])('leaves the same accounts and costs the same units with %s', async (_, program) => {
    const token = spl.token(program);
    const [payer, mint, from, to, owner] = (await Promise.all([1, 2, 3, 4, 5].map(signerOf))) as [KeyPairSigner, ...KeyPairSigner[]];
    const [PAYER, MINT, FROM, TO, OWNER] = [payer, mint, from, to, owner].map((signer): string => signer!.address) as [
      string,
      string,
      string,
      string,
      string,
    ];
    const sequence = [
      spl.system.createAccount(PAYER, MINT, rentExemption(spl.MINT_LENGTH), spl.MINT_LENGTH, program),
      token.initializeMint2(MINT, 9, OWNER),
      spl.system.createAccount(PAYER, FROM, rentExemption(spl.ACCOUNT_LENGTH), spl.ACCOUNT_LENGTH, program),
      token.initializeAccount3(FROM, MINT, OWNER),
      spl.system.createAccount(PAYER, TO, rentExemption(spl.ACCOUNT_LENGTH), spl.ACCOUNT_LENGTH, program),
      token.initializeAccount3(TO, MINT, OWNER),
      token.mintTo(MINT, FROM, OWNER, 10n ** 18n),
      token.transferChecked(FROM, MINT, TO, OWNER, 123_456_789n, 9),
      token.transfer(TO, FROM, OWNER, 456_789n),
    ];

    const engine = setUp();
    engine.setAccount(PAYER, { lamports: 10_000_000_000n });
    const mine = execute(engine, ...sequence);

    const svm = new LiteSVM();
    svm.airdrop(payer.address, lamports(10_000_000_000n));
    const signers = new Map([payer, mint, from, to, owner].map((signer) => [signer!.address as string, signer!]));
    const theirs: TransactionMetadata[] = [];
    for (const { programId, data, accounts } of sequence) {
      const instruction = {
        programAddress: programId as never,
        data,
        accounts: accounts.map(({ address, isSigner, isWritable }) => ({
          address: address as never,
          role: (isSigner ? 2 : 0) + (isWritable ? 1 : 0),
          ...(isSigner && { signer: signers.get(address)! }),
        })),
      };
      const message = pipe(
        createTransactionMessage({ version: 0 }),
        (empty) => setTransactionMessageFeePayerSigner(payer, empty),
        (paid) => appendTransactionMessageInstructions([instruction], paid),
        (whole) => svm.setTransactionMessageLifetimeUsingLatestBlockhash(whole),
      );
      const result = svm.sendTransaction(await signTransactionMessageWithSigners(message as never));
      if (result instanceof FailedTransactionMetadata) throw new Error(result.toString());
      theirs.push(result);
    }

    for (const name of [MINT, FROM, TO]) {
      const expected = svm.getAccount(name as never);
      if (!expected.exists) throw new Error(`LiteSVM lost ${name}`);
      const { data, lamports: balance, owner } = engine.getAccount(name)!;
      expect({ data, balance, owner }).toEqual({
        data: new Uint8Array(expected.data),
        balance: BigInt(expected.lamports),
        owner: expected.programAddress,
      });
    }
    expect(amount(engine, FROM)).toBe(10n ** 18n - 123_456_789n + 456_789n);
    expect(mine.map(({ unitsConsumed }) => unitsConsumed)).toEqual(theirs.map((metadata) => metadata.computeUnitsConsumed()));
    expect(mine.map(({ logs }) => logs)).toEqual(theirs.map((metadata) => metadata.logs()));
  });
});

test('u64 amounts near the end of their range are exact', () => {
  const engine = setUp();
  const token = spl.token(spl.TOKEN);
  execute(
    engine,
    spl.system.createAccount(PAYER, MINT, rentExemption(spl.MINT_LENGTH), spl.MINT_LENGTH, spl.TOKEN),
    token.initializeMint2(MINT, 0, OWNER),
    spl.system.createAccount(PAYER, FROM, rentExemption(spl.ACCOUNT_LENGTH), spl.ACCOUNT_LENGTH, spl.TOKEN),
    token.initializeAccount3(FROM, MINT, OWNER),
    token.mintTo(MINT, FROM, OWNER, 2n ** 64n - 1n),
  );
  expect(engine.getAccount(FROM)!.data.slice(64, 72)).toEqual(new Uint8Array(u64(2n ** 64n - 1n)));
  expect(engine.invoke(token.mintTo(MINT, FROM, OWNER, 1)).status).toBe('failed');
});
