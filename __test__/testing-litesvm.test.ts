// The declarations of @solana/kit name types of browsers.
/// <reference lib="dom" />

/** The bridge: one state in two runtimes, of which LiteSVM has the transactions and the engine what happens without any. */

import {
  AccountRole,
  appendTransactionMessageInstruction,
  createKeyPairSignerFromPrivateKeyBytes,
  createTransactionMessage,
  lamports,
  pipe,
  setTransactionMessageFeePayerSigner,
  signTransactionMessageWithSigners,
  type Address,
  type EncodedAccount,
  type Instruction,
  type KeyPairSigner,
} from '@solana/kit';
import { FailedTransactionMetadata, LiteSVM, type TransactionMetadata } from 'litesvm';
import { describe, expect, expectTypeOf, onTestFinished, test } from 'vitest';
import { WatcherTrigger } from '../dist/index.js';
import {
  createWorld,
  dataAccount,
  fromLiteSvm,
  mintAccount,
  namedAddresses,
  readTokenAccount,
  rentExemption,
  systemAccount,
  SYSTEM_PROGRAM,
  TOKEN_2022_PROGRAM,
  TOKEN_PROGRAM,
  tokenAccount,
  toLiteSvm,
  u64,
  type AccountState,
  type LiteSvmAccount,
  type LiteSvmLike,
  type TestAddress,
  type WorldOptions,
} from '../dist/testing/index.js';
import '../dist/testing/vitest.mjs';
import { prebuilt } from './support/engine.js';
import { token as tokenInstructions } from './support/spl.js';
import { refusal } from './support/refusal.js';

const [MINT, VAULT, SAVINGS, PROGRAM, DATA, OTHER] = namedAddresses('mint', 'vault', 'savings', 'program', 'data', 'other');
const CLOCK = 'SysvarC1ock11111111111111111111111111111111' as TestAddress;
const token = tokenInstructions(TOKEN_PROGRAM);

/** For what TypeScript would not allow either. */
const wrong = (value: unknown): never => value as never;

function setUp(options: WorldOptions = {}) {
  const world = createWorld(options);
  onTestFinished(() => world.close());
  return { world, engine: world.engine, svm: new LiteSVM() };
}

function put(svm: LiteSVM, address: Address, { lamports: balance, data, owner, executable }: AccountState) {
  svm.setAccount({ address, data, executable, lamports: lamports(balance), programAddress: owner as Address, space: BigInt(data.length) });
}

function look(svm: LiteSVM, address: Address): AccountState | undefined {
  const account = svm.getAccount(address);
  if (!account.exists) return undefined;
  return { lamports: account.lamports, data: Uint8Array.from(account.data), owner: account.programAddress, executable: account.executable };
}

async function send(
  svm: LiteSVM,
  payer: KeyPairSigner,
  { programId, data, accounts }: ReturnType<typeof token.transfer>,
  blockhash = false,
) {
  if (blockhash) svm.expireBlockhash();
  const instruction = {
    programAddress: programId as Address,
    data,
    accounts: accounts.map(({ address, isSigner, isWritable }) => ({
      address: address as Address,
      role: isSigner ? AccountRole.READONLY_SIGNER : isWritable ? AccountRole.WRITABLE : AccountRole.READONLY,
      ...(isSigner && { signer: payer }),
    })),
  } as Instruction;
  const message = pipe(
    createTransactionMessage({ version: 0 }),
    (empty) => setTransactionMessageFeePayerSigner(payer, empty),
    (paid) => appendTransactionMessageInstruction(instruction, paid),
    (whole) => svm.setTransactionMessageLifetimeUsingLatestBlockhash(whole),
  );
  return svm.sendTransaction(await signTransactionMessageWithSigners(message as never));
}

function succeed(result: TransactionMetadata | FailedTransactionMetadata): void {
  if (result instanceof FailedTransactionMetadata) throw new Error(result.toString());
}

const signer = () => createKeyPairSignerFromPrivateKeyBytes(new Uint8Array(32).fill(7));

test('a transaction changes an account, a watcher fires, and the next transaction sees what it did', async () => {
  const { world, engine, svm } = setUp();
  const owner = await signer();
  svm.airdrop(owner.address, lamports(1_000_000_000n));
  put(svm, MINT, mintAccount({ supply: 1_000 }));
  put(svm, VAULT, tokenAccount({ mint: MINT, owner: owner.address, amount: 900 }));
  put(svm, SAVINGS, tokenAccount({ mint: MINT, owner: owner.address, amount: 100 }));
  put(svm, OTHER, tokenAccount({ mint: MINT, owner: owner.address }));

  // In the engine: what comes above 150 in the savings goes to another account, 60 at a time.
  fromLiteSvm(world, svm, [TOKEN_PROGRAM, MINT, VAULT, SAVINGS, OTHER]);
  const watcher = engine.watchers.create({
    ...token.transfer(SAVINGS, OTHER, owner.address, 60),
    account: SAVINGS,
    trigger: WatcherTrigger.THRESHOLD_ABOVE,
    offset: 64,
    threshold: 150,
  });

  // The other account has nothing yet that a transaction could move.
  expect(await send(svm, owner, token.transfer(OTHER, VAULT, owner.address, 60))).toBeInstanceOf(FailedTransactionMetadata);
  succeed(await send(svm, owner, token.transfer(VAULT, SAVINGS, owner.address, 70)));

  expect(fromLiteSvm(world, svm)).toEqual([VAULT, SAVINGS]);
  world.advance(2);
  expect(world.outcomes(watcher)).toHaveFiredAt(1);
  expect(world.outcomes(watcher)).toHaveCommitted();
  expect(toLiteSvm(world, svm)).toEqual([SAVINGS, OTHER]);

  succeed(await send(svm, owner, token.transfer(OTHER, VAULT, owner.address, 60), true));
  expect([VAULT, SAVINGS, OTHER].map((name) => readTokenAccount(look(svm, name)!.data).amount)).toEqual([890n, 110n, 0n]);
});

describe('into the engine', () => {
  test('accounts come with all that they are; those that are the same are left alone', () => {
    const { engine, svm } = setUp();
    const states = { [DATA]: dataAccount(OTHER, u64(1, 2, 3)), [VAULT]: systemAccount(5) };
    put(svm, DATA, states[DATA]!);
    put(svm, VAULT, states[VAULT]!);
    expect(fromLiteSvm(engine, svm, [DATA, VAULT, OTHER])).toEqual([DATA, VAULT]);
    for (const address of [DATA, VAULT]) expect(engine.getAccount(address)).toEqual({ address, ...states[address] });
    expect(engine.getAccount(OTHER)).toBeUndefined();
    const before = engine.stateHash();
    expect(fromLiteSvm(engine, svm, new Set([DATA, VAULT]))).toEqual([]);
    expect(engine.stateHash()).toBe(before);
  });

  test('an account that LiteSVM does not have is removed', () => {
    const { engine, svm } = setUp({ accounts: { [DATA]: dataAccount(OTHER, 8) } });
    expect(fromLiteSvm(engine, svm, [DATA])).toEqual([DATA]);
    expect(engine.getAccount(DATA)).toBeUndefined();
  });

  test('watchers see it in the next slot', () => {
    const { world, engine, svm } = setUp({ programs: { [PROGRAM]: prebuilt('counter') }, accounts: { [DATA]: dataAccount(PROGRAM, 8) } });
    const accounts = [{ address: DATA, isWritable: true }];
    const watcher = engine.watchers.create({ programId: PROGRAM, accounts, account: DATA, trigger: WatcherTrigger.DATA_CHANGE });
    world.advance();
    put(svm, DATA, dataAccount(PROGRAM, u64(40)));
    fromLiteSvm(world, svm, [DATA]);
    world.advance();
    expect(world.outcomes(watcher)).toHaveFiredAt(2);
    expect(engine.getAccount(DATA)!.data).toEqual(u64(41));
  });

  test.each([TOKEN_PROGRAM, TOKEN_2022_PROGRAM])('a program comes as a program, once: %s', (program) => {
    const { world, engine, svm } = setUp();
    expect(fromLiteSvm(world, svm, [program])).toEqual([program]);
    expect(engine.getAccount(program)!.executable).toBe(true);
    // Token's error 12 is an instruction that it does not know.
    expect(world.invoke({ programId: program, data: Uint8Array.of(250) })).toHaveFailedWith(12);
    expect(fromLiteSvm(world, svm, [program])).toEqual([]);
  });

  test('another program at the address replaces it', () => {
    const { world, svm } = setUp({ programs: { [PROGRAM]: prebuilt('callx') } });
    svm.addProgram(PROGRAM, prebuilt('faulty'));
    expect(fromLiteSvm(world, svm, [PROGRAM])).toEqual([PROGRAM]);
    expect(world.invoke({ programId: PROGRAM, data: Uint8Array.of(1) })).toHaveFailedWith(42);
  });

  test('a program of the older loader, whose account is the file, comes too', () => {
    const { world, svm } = setUp();
    svm.addProgramWithLoader(PROGRAM, prebuilt('callx'), 'BPFLoader2111111111111111111111111111111111' as Address);
    expect(fromLiteSvm(world, svm, [PROGRAM])).toEqual([PROGRAM]);
    expect(world.invoke({ programId: PROGRAM })).toHaveCommitted();
  });

  test('a world tracks what it gets, from then on', () => {
    const { world, svm } = setUp();
    put(svm, DATA, dataAccount(OTHER, 8));
    fromLiteSvm(world, svm, [DATA, VAULT]);
    expect(world.tracked).toEqual([DATA, VAULT]);
    expect(world).not.toHaveChanged(DATA, VAULT);
    put(svm, DATA, dataAccount(OTHER, u64(1)));
    fromLiteSvm(world, svm, [DATA]);
    expect(world.changes(DATA)).toMatchObject([{ slot: 0n, before: { data: u64(0) }, after: { data: u64(1) } }]);
  });
});

describe('to LiteSVM', () => {
  test('accounts go with all that they are; those that are the same are left alone', () => {
    const { engine, svm } = setUp({ accounts: { [DATA]: dataAccount(OTHER, u64(1)), [VAULT]: systemAccount(5) } });
    expect(toLiteSvm(engine, svm, [DATA, VAULT, OTHER])).toEqual([DATA, VAULT]);
    expect([DATA, VAULT, OTHER].map((name) => look(svm, name))).toEqual([dataAccount(OTHER, u64(1)), systemAccount(5), undefined]);
    expect(toLiteSvm(engine, svm, [DATA, VAULT, OTHER])).toEqual([]);
  });

  test('an account is handed over as kit has it, and one that is named twice only once', () => {
    const { engine } = setUp({ accounts: { [DATA]: dataAccount(OTHER, u64(1)) } });
    const handed: EncodedAccount[] = [];
    class Recording extends LiteSVM {
      override setAccount(account: EncodedAccount): void {
        handed.push(account);
        super.setAccount(account);
      }
    }
    expect(toLiteSvm(engine, new Recording(), [DATA, DATA])).toEqual([DATA]);
    expect(handed).toEqual([
      { address: DATA, data: u64(1), executable: false, lamports: rentExemption(8), programAddress: OTHER, space: 8n },
    ]);
  });

  test('an account that the engine does not have is removed', () => {
    const { engine, svm } = setUp();
    put(svm, DATA, dataAccount(OTHER, 8));
    expect(toLiteSvm(engine, svm, [DATA])).toEqual([DATA]);
    expect(look(svm, DATA)).toBeUndefined();
  });

  test('a program goes as a program, and runs in a transaction', async () => {
    const { engine, svm } = setUp({ programs: { [PROGRAM]: prebuilt('callx') } });
    expect(toLiteSvm(engine, svm, [PROGRAM])).toEqual([PROGRAM]);
    expect(toLiteSvm(engine, svm, [PROGRAM])).toEqual([]);
    const payer = await signer();
    svm.airdrop(payer.address, lamports(1_000_000_000n));
    succeed(await send(svm, payer, { programId: PROGRAM, data: new Uint8Array(0), accounts: [] }));
  });
});

describe('without addresses', () => {
  const count = { programId: PROGRAM, accounts: [{ address: DATA, isWritable: true }] };
  const counting: WorldOptions = {
    programs: { [PROGRAM]: prebuilt('counter') },
    accounts: { [DATA]: dataAccount(PROGRAM, 8), [VAULT]: systemAccount(5) },
  };

  test('to LiteSVM goes what changed in the engine since the last time, or since it is tracked', () => {
    const { world, svm } = setUp(counting);
    expect(toLiteSvm(world, svm)).toEqual([]);
    world.invoke(count);
    world.forget();
    expect(toLiteSvm(world, svm)).toEqual([DATA]);
    expect(toLiteSvm(world, svm)).toEqual([]);
    world.invoke(count);
    expect(toLiteSvm(world, svm)).toEqual([DATA]);
    expect(look(svm, DATA)!.data).toEqual(u64(2));
    expect(look(svm, VAULT)).toBeUndefined();
  });

  test('what changed in LiteSVM only, such as the balance of who paid, stays as it is there', () => {
    const { world, svm } = setUp(counting);
    toLiteSvm(world, svm, [DATA, VAULT]);
    put(svm, VAULT, systemAccount(4));
    world.invoke(count);
    expect(toLiteSvm(world, svm)).toEqual([DATA]);
    expect(look(svm, VAULT)).toEqual(systemAccount(4));
    expect(fromLiteSvm(world, svm)).toEqual([VAULT]);
    expect(world.engine.getAccount(VAULT)!.lamports).toBe(4n);
    expect([fromLiteSvm(world, svm), toLiteSvm(world, svm)]).toEqual([[], []]);
  });

  test('from LiteSVM comes nothing that was never copied', () => {
    const { world, svm } = setUp(counting);
    put(svm, VAULT, systemAccount(4));
    expect(fromLiteSvm(world, svm)).toEqual([]);
  });

  test('each LiteSVM has its own last time', () => {
    const { world, svm } = setUp(counting);
    const another = new LiteSVM();
    world.invoke(count);
    expect([toLiteSvm(world, svm), toLiteSvm(world, another), toLiteSvm(world, another)]).toEqual([[DATA], [DATA], []]);
  });

  test('an account that changed on both sides is refused, in either direction, and can be named', () => {
    const { world, svm } = setUp(counting);
    toLiteSvm(world, svm, [DATA, VAULT]);
    put(svm, DATA, dataAccount(PROGRAM, u64(9)));
    world.invoke(count);
    world.engine.setAccount(VAULT, systemAccount(6));
    const both = `addresses is undefined, but must be given, since "data" (${DATA}) has changed on both sides: those that`;
    expect(refusal(() => toLiteSvm(world, svm))).toBe(`${both} the engine is to overwrite in LiteSVM have to be named`);
    expect(refusal(() => fromLiteSvm(world, svm))).toBe(`${both} LiteSVM is to overwrite in the engine have to be named`);
    expect([look(svm, VAULT), look(svm, DATA)!.data, world.engine.getAccount(DATA)!.data]).toEqual([systemAccount(5), u64(9), u64(1)]);
    expect(toLiteSvm(world, svm, [DATA])).toEqual([DATA]);
    expect(toLiteSvm(world, svm)).toEqual([VAULT]);
  });

  test('that LiteSVM has lost it is a change as well', () => {
    const { world, svm } = setUp(counting);
    toLiteSvm(world, svm, [DATA]);
    put(svm, DATA, { ...systemAccount(), lamports: 0n });
    world.invoke(count);
    expect(refusal(() => toLiteSvm(world, svm))).toMatch(/has changed on both sides/);
  });

  test('the same change on both sides is none', () => {
    const { world, svm } = setUp(counting);
    toLiteSvm(world, svm, [VAULT]);
    put(svm, VAULT, systemAccount(6));
    world.engine.setAccount(VAULT, systemAccount(6));
    expect(toLiteSvm(world, svm)).toEqual([]);
    world.engine.setAccount(VAULT, systemAccount(7));
    expect(toLiteSvm(world, svm)).toEqual([VAULT]);
  });

  test('what LiteSVM has otherwise than the engine began with is not overwritten', () => {
    const { world, svm } = setUp(counting);
    put(svm, DATA, dataAccount(PROGRAM, u64(9)));
    world.invoke(count);
    expect(refusal(() => toLiteSvm(world, svm))).toMatch(/has changed on both sides/);
    put(svm, DATA, dataAccount(PROGRAM, 8));
    expect(toLiteSvm(world, svm)).toEqual([DATA]);
  });
});

describe('misuse is refused, and nothing is copied', () => {
  type Bridge = ReturnType<typeof setUp>;
  const MUST = 'but must be';
  test.each<[string, (bridge: Bridge) => unknown, string]>([
    ['no engine', ({ svm }) => fromLiteSvm(wrong({}), svm, [DATA]), `into is an object, ${MUST} an AsyncBpfEngine or a World`],
    ['no engine to copy from', ({ svm }) => toLiteSvm(wrong(null), svm, [DATA]), `from is null, ${MUST} an AsyncBpfEngine or a World`],
    ['no LiteSVM', ({ world }) => fromLiteSvm(world, wrong(undefined), [DATA]), `svm is undefined, ${MUST} a LiteSVM`],
    [
      'something else as LiteSVM',
      ({ world }) => toLiteSvm(world, wrong({ getAccount() {} }), [DATA]),
      `svm is an object, ${MUST} a LiteSVM`,
    ],
    [
      'an engine without addresses',
      ({ engine, svm }) => fromLiteSvm(engine, svm, wrong(undefined)),
      `addresses is undefined, ${MUST} given with an engine: only a World knows what has changed`,
    ],
    [
      'an engine without addresses to copy to',
      ({ engine, svm }) => toLiteSvm(engine, svm, wrong(undefined)),
      `addresses is undefined, ${MUST} given with an engine: only a World knows what has changed`,
    ],
    ['one address', ({ world, svm }) => fromLiteSvm(world, svm, DATA), `addresses is "${DATA}", ${MUST} an array`],
    [
      'an address that is none',
      ({ world, svm }) => toLiteSvm(world, svm, [DATA, 'x']),
      `addresses[1] is "x", ${MUST} an address: a base58 string of 32 bytes, 32 bytes, or an object with toBytes()`,
    ],
    [
      'a sysvar',
      ({ world, svm }) => fromLiteSvm(world, svm, [DATA, CLOCK]),
      `addresses[1] is "${CLOCK}", ${MUST} an account that programs own: in LiteSVM it is a sysvar or a built-in program`,
    ],
    [
      'a sysvar of the engine',
      ({ world, svm }) => toLiteSvm(world, svm, [DATA, CLOCK]),
      `addresses[1] is "${CLOCK}", ${MUST} an account that programs own: in the engine it is a sysvar or a built-in program`,
    ],
    [
      'a built-in program',
      ({ world, svm }) => fromLiteSvm(world, svm, [DATA, SYSTEM_PROGRAM]),
      `addresses[1] is "${SYSTEM_PROGRAM}", ${MUST} an account that programs own: in LiteSVM it is a sysvar or a built-in program`,
    ],
    [
      'a program where the other side has none',
      ({ world, svm }) => fromLiteSvm(world, svm, [DATA, PROGRAM]),
      `addresses[1] is "${PROGRAM}", ${MUST} no program in the engine, since it is none in LiteSVM: remove it there`,
    ],
  ])('%s', (_, call, message) => {
    const bridge = setUp({ programs: { [PROGRAM]: prebuilt('callx') }, accounts: { [VAULT]: systemAccount(5) } });
    put(bridge.svm, DATA, dataAccount(OTHER, 8));
    const before = bridge.engine.stateHash();
    expect(refusal(() => call(bridge))).toBe(message);
    expect([bridge.engine.stateHash(), look(bridge.svm, DATA), bridge.world.tracked]).toEqual([before, dataAccount(OTHER, 8), [VAULT]]);
  });

  test('the account that keeps the file of a program', () => {
    const { world, svm } = setUp();
    const [programdata] = svm
      .getProgramAccounts('BPFLoaderUpgradeab1e11111111111111111111111' as Address)
      .filter(({ executable }) => !executable);
    expect(refusal(() => fromLiteSvm(world, svm, [programdata!.address]))).toBe(
      `addresses[0] is "${programdata!.address}", ${MUST} the address of the program itself: in LiteSVM it is an account in which its file is kept`,
    );
  });

  test('an engine that is closed', () => {
    const { world, svm } = setUp();
    world.close();
    expect(() => fromLiteSvm(world, svm, [DATA])).toThrow(expect.objectContaining({ codeName: 'SHUTDOWN' }));
    expect(() => toLiteSvm(world, svm, [DATA])).toThrow(expect.objectContaining({ codeName: 'SHUTDOWN' }));
  });
});

test('the types are those of litesvm and @solana/kit, in both directions', () => {
  expectTypeOf<LiteSVM>().toExtend<LiteSvmLike>();
  expectTypeOf<LiteSvmAccount>().toExtend<EncodedAccount>();
  expectTypeOf<ReturnType<typeof fromLiteSvm>>().toExtend<Address[]>();
  expectTypeOf<ReturnType<typeof toLiteSvm>>().toExtend<Address[]>();
  const { engine, svm } = setUp();
  // @ts-expect-error an engine does not know what has changed
  expect(refusal(() => toLiteSvm(engine, svm))).toMatch(/^addresses is undefined/);
  expect(rentExemption(80)).toBe(svm.minimumBalanceForRentExemption(80n));
});
