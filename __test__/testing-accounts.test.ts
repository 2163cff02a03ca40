/** The kit's accounts, numbers and addresses: what they are to programs and to other libraries, and what they refuse. */

import { getMintCodec, getTokenCodec, AccountState as SplState, type Mint, type Token } from '@solana-program/token';
import { isAddress, none, some, type Address } from '@solana/kit';
import fc from 'fast-check';
import { describe, expect, expectTypeOf, test } from 'vitest';
import type { AccountInit } from '../dist/index.js';
import {
  dataAccount,
  i64,
  mintAccount,
  namedAddress,
  namedAddresses,
  readI64,
  readMint,
  readTokenAccount,
  readU64,
  rentExemption,
  systemAccount,
  SYSTEM_PROGRAM,
  TOKEN_2022_PROGRAM,
  TOKEN_PROGRAM,
  tokenAccount,
  u64,
  writeI64,
  writeU64,
  type AccountState,
  type MintInfo,
  type TestAddress,
  type TokenAccountInfo,
} from '../dist/testing/index.js';
import { addressBytes } from './support/addresses.js';
import { createEngine } from './support/engine.js';
import * as spl from './support/spl.js';
import { refusal } from './support/refusal.js';

const [MINT, FROM, TO, OWNER, OTHER] = namedAddresses('mint', 'from', 'to', 'owner', 'other');
/** For what TypeScript would not allow either. */
const wrong = (value: unknown): never => value as never;

describe('addresses', () => {
  test('a name gives the same address always, another name another, and kit takes it for its own', () => {
    expect(namedAddress('counter')).toBe('7h9wLAjTBFHL4EpV4anNdajpXBZzF91YXkkvrqDffxkw');
    expect(isAddress(namedAddress('a'))).toBe(true);
    expect(new Set(['a', 'b', 'a ', 'aa', '~'.repeat(32)].map(namedAddress)).size).toBe(5);
    expectTypeOf(namedAddress('a')).toExtend<Address>();
    expectTypeOf(namedAddress('a')).toExtend<string>();
    expectTypeOf<Address>().toExtend<TestAddress>();
  });

  test('several names give several', () => {
    expect(namedAddresses('a', 'b')).toEqual([namedAddress('a'), namedAddress('b')]);
    expect(refusal(() => namedAddresses('a', ''))).toMatch(/^name is "", but must be 1 to 32/);
    expectTypeOf(namedAddresses('a', 'b')).toEqualTypeOf<[TestAddress, TestAddress]>();
  });

  test('it is the name in ASCII, and zeros', () => {
    const engine = createEngine({});
    engine.setAccount(addressBytes('counter'), systemAccount());
    expect(engine.getAccount(namedAddress('counter'))!.address).toBe(namedAddress('counter'));
  });

  test.each([
    ['nothing', '', '""'],
    ['too much', 'x'.repeat(33), `"${'x'.repeat(33)}"`],
    ['another alphabet', 'ключ', '"ключ"'],
    ['a control character', 'a\n', '"a\\n"'],
    ['no text', wrong(5), '5'],
  ])('a name may not be %s', (_, name, shown) => {
    expect(refusal(() => namedAddress(name))).toBe(
      `name is ${shown}, but must be 1 to 32 printable ASCII characters, since they become the bytes of the address`,
    );
  });
});

describe('numbers', () => {
  test('are little-endian', () => {
    expect(u64(1, 2n ** 64n - 1n)).toEqual(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255));
    expect(i64(-2n)).toEqual(Uint8Array.of(254, 255, 255, 255, 255, 255, 255, 255));
    expect(u64()).toEqual(new Uint8Array(0));
    expect(readI64(u64(2n ** 64n - 1n))).toBe(-1n);
  });

  test('what is written is read again, at any place of any part of a buffer', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.nat(9), (unsigned, signed, offset) => {
        const data = new Uint8Array(30).fill(7).subarray(3, 28);
        expect(writeU64(data, offset, unsigned)).toBe(data);
        expect(writeI64(data, offset + 8, signed)).toBe(data);
        expect([readU64(data, offset), readI64(data, offset + 8)]).toEqual([unsigned, signed]);
        expect(data.slice(0, offset)).toEqual(new Uint8Array(offset).fill(7));
        expect(data.slice(offset + 16)).toEqual(new Uint8Array(9 - offset).fill(7));
      }),
    );
  });

  test.each<[string, () => unknown, string]>([
    ['u64, a negative number', () => u64(0, -1), 'numbers[1] is -1, but must be a bigint in [0, 2^64 - 1] or a non-negative safe integer'],
    [
      'i64, too large',
      () => i64(2n ** 63n),
      'numbers[0] is 9223372036854775808n, but must be a bigint in [-2^63, 2^63 - 1] or a safe integer',
    ],
    ['readU64, no bytes', () => readU64(wrong([1, 2])), 'data is an array of 2, but must be a Uint8Array'],
    ['readU64, too few', () => readU64(new Uint8Array(7)), 'data is 7 bytes, but must be at least 8 bytes, as long as the number is'],
    [
      'readI64, past the end',
      () => readI64(new Uint8Array(16), 9),
      'offset is 9, but must be an integer in [0, 8]: data has 16 bytes, the number 8',
    ],
    [
      'readI64, a bigint as a place',
      () => readI64(new Uint8Array(16), wrong(0n)),
      'offset is 0n, but must be an integer in [0, 8]: data has 16 bytes, the number 8',
    ],
    [
      'writeU64, before the start',
      () => writeU64(new Uint8Array(8), -1, 1),
      'offset is -1, but must be an integer in [0, 0]: data has 8 bytes, the number 8',
    ],
    [
      'writeU64, too large',
      () => writeU64(new Uint8Array(8), 0, 2n ** 64n),
      'value is 18446744073709551616n, but must be a bigint in [0, 2^64 - 1] or a non-negative safe integer',
    ],
    [
      'writeI64, a fraction',
      () => writeI64(new Uint8Array(8), 0, 0.5),
      'value is 0.5, but must be a bigint in [-2^63, 2^63 - 1] or a safe integer',
    ],
  ])('%s, is refused', (_, call, message) => {
    expect(refusal(call)).toBe(message);
  });

  test('a refused value leaves the data as it is', () => {
    const data = new Uint8Array(8).fill(3);
    refusal(() => writeU64(data, 0, -1));
    refusal(() => writeI64(data, 0, 2n ** 63n));
    expect(data).toEqual(new Uint8Array(8).fill(3));
  });
});

describe('system and data accounts', () => {
  test('are what the engine keeps', () => {
    const engine = createEngine({});
    const states = [systemAccount(), systemAccount(5), dataAccount(OWNER, 3), dataAccount(OWNER, u64(7), { lamports: 9n })];
    states.forEach((state, index) => engine.setAccount(namedAddress(`${index}`), state));
    const kept = states.map((_, index) => engine.getAccount(namedAddress(`${index}`))!);
    expect(kept).toEqual(states.map((state, index) => ({ address: namedAddress(`${index}`), ...state })));
    expect(states.map(({ lamports }) => lamports)).toEqual([1_000_000_000n, 5n, rentExemption(3), 9n]);
    expect(states.map(({ data }) => [...data])).toEqual([[], [], [0, 0, 0], [...u64(7)]]);
    expectTypeOf(systemAccount()).toExtend<AccountInit>();
    expectTypeOf(dataAccount).returns.toEqualTypeOf<AccountState>();
  });

  test('a data account has its own copy', () => {
    const data = u64(1);
    const account = dataAccount(OWNER, data);
    data[0] = 9;
    expect(account.data).toEqual(u64(1));
  });

  test('rent exemption is what the engine asks for: one lamport less is refused', () => {
    const engine = createEngine({});
    engine.setAccount(FROM, systemAccount());
    const [less, enough] = [-1n, 0n].map((more) =>
      engine.invoke(spl.system.createAccount(FROM, TO, rentExemption(100) + more, 100, OWNER)),
    );
    expect([less!.status, enough!.status]).toEqual(['failed', 'committed']);
    expect(rentExemption(0)).toBe(890_880n);
  });

  test.each<[string, () => unknown, string]>([
    ['systemAccount, nothing', () => systemAccount(0), 'lamports is 0, but must be at least 1: an account without lamports does not exist'],
    [
      'systemAccount, a fraction',
      () => systemAccount(0.5),
      'lamports is 0.5, but must be a bigint in [0, 2^64 - 1] or a non-negative safe integer',
    ],
    [
      'dataAccount, no owner',
      () => dataAccount(wrong(undefined), 8),
      'owner is undefined, but must be an address: a base58 string of 32 bytes, 32 bytes, or an object with toBytes()',
    ],
    [
      'dataAccount, a negative length',
      () => dataAccount(OWNER, -1),
      'data is -1, but must be a length of account data: an integer in [0, 10485760]',
    ],
    [
      'dataAccount, too long',
      () => dataAccount(OWNER, new Uint8Array(10_485_761)),
      'data.length is 10485761, but must be a length of account data: an integer in [0, 10485760]',
    ],
    ['dataAccount, text', () => dataAccount(OWNER, wrong('x')), 'data is "x", but must be a Uint8Array'],
    [
      'dataAccount, no lamports',
      () => dataAccount(OWNER, 8, { lamports: 0n }),
      'lamports is 0n, but must be at least 1: an account without lamports does not exist',
    ],
    [
      'dataAccount, an unknown option',
      () => dataAccount(OWNER, 8, wrong({ space: 8 })),
      'options is "space", but must be made of lamports',
    ],
    [
      'rentExemption, no length',
      () => rentExemption(NaN),
      'length is NaN, but must be a length of account data: an integer in [0, 10485760]',
    ],
  ])('%s, is refused', (_, call, message) => {
    expect(refusal(call)).toBe(message);
  });
});

describe('mints and token accounts', () => {
  const address = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const amount = fc.bigInt(0n, 2n ** 64n - 1n);
  const option = <T>(value: T | undefined) => (value === undefined ? none() : some(value));

  test('every field of a mint is where @solana-program/token has it', () => {
    const fields = fc.record(
      { mintAuthority: address, supply: amount, decimals: fc.nat(255), isInitialized: fc.boolean(), freezeAuthority: address },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fields, (options) => {
        const { data } = mintAccount(options);
        const mine = readMint(data);
        const { mintAuthority, supply, decimals, isInitialized, freezeAuthority } = mine;
        const theirs = { supply, decimals, isInitialized, mintAuthority: option(mintAuthority), freezeAuthority: option(freezeAuthority) };
        expect(getMintCodec().decode(data)).toEqual(theirs);
        expect(data).toEqual(getMintCodec().encode(theirs as Mint));
        expect([supply, decimals, isInitialized]).toEqual([options.supply ?? 0n, options.decimals ?? 0, options.isInitialized ?? true]);
      }),
    );
  });

  test('every field of a token account is where @solana-program/token has it', () => {
    const states = ['uninitialized', 'initialized', 'frozen'] as const;
    const fields = fc.record(
      {
        mint: address,
        owner: address,
        amount,
        delegate: address,
        state: fc.constantFrom(...states),
        isNative: fc.bigInt(1n, 1_000_000n),
        delegatedAmount: amount,
        closeAuthority: address,
      },
      { requiredKeys: ['mint', 'owner'] },
    );
    fc.assert(
      fc.property(fields, (options) => {
        const { data } = tokenAccount({ ...options, lamports: 1 });
        const mine = readTokenAccount(data);
        const theirs = {
          ...mine,
          delegate: option(mine.delegate),
          isNative: option(mine.isNative),
          closeAuthority: option(mine.closeAuthority),
          state: [SplState.Uninitialized, SplState.Initialized, SplState.Frozen][states.indexOf(mine.state)],
        };
        expect(getTokenCodec().decode(data)).toEqual(theirs);
        expect(data).toEqual(getTokenCodec().encode(theirs as Token));
        expect(mine).toMatchObject({ amount: options.amount ?? 0n, state: options.state ?? 'initialized' });
      }),
    );
  });

  test.each([
    ['Token', TOKEN_PROGRAM],
    ['Token-2022', TOKEN_2022_PROGRAM],
  ])('%s takes them for its own', (_, tokenProgram) => {
    const engine = createEngine({});
    spl.addSplPrograms(engine);
    engine.setAccount(MINT, mintAccount({ mintAuthority: OWNER, decimals: 6, supply: 500, tokenProgram }));
    engine.setAccount(FROM, tokenAccount({ mint: MINT, owner: OWNER, amount: 500, tokenProgram }));
    engine.setAccount(TO, tokenAccount({ mint: MINT, owner: OTHER, tokenProgram }));
    const token = spl.token(tokenProgram);
    for (const instruction of [token.transferChecked(FROM, MINT, TO, OWNER, 120, 6), token.mintTo(MINT, TO, OWNER, 30)]) {
      expect(engine.invoke(instruction)).toMatchObject({ status: 'committed' });
    }
    expect(readTokenAccount(engine.getAccount(FROM)!.data)).toEqual({
      mint: MINT,
      owner: OWNER,
      amount: 380n,
      state: 'initialized',
      delegatedAmount: 0n,
    });
    expect(readTokenAccount(engine.getAccount(TO)!.data).amount).toBe(150n);
    expect(readMint(engine.getAccount(MINT)!.data)).toEqual({ mintAuthority: OWNER, supply: 530n, decimals: 6, isInitialized: true });
    engine.setAccount(FROM, tokenAccount({ mint: MINT, owner: OWNER, amount: 500, state: 'frozen', tokenProgram }));
    // Token's error 17 is a frozen account.
    expect(engine.invoke(token.transfer(FROM, TO, OWNER, 1))).toMatchObject({ status: 'failed', error: { customCode: 17 } });
  });

  test('wrapped SOL has the lamports of its amount and what is set aside', () => {
    const { lamports, data } = tokenAccount({ mint: MINT, owner: OWNER, amount: 1_000, isNative: rentExemption(165) });
    expect(lamports).toBe(rentExemption(165) + 1_000n);
    expect(readTokenAccount(data).isNative).toBe(rentExemption(165));
    expect(tokenAccount({ mint: MINT, owner: OWNER, amount: 1_000 }).lamports).toBe(rentExemption(165));
  });

  test('extensions of Token-2022 are left out', () => {
    const extended = (data: Uint8Array, kind: number) => {
      const longer = new Uint8Array(200);
      longer.set(data);
      longer[165] = kind;
      return longer;
    };
    expect(readMint(extended(mintAccount({ supply: 7 }).data, 1)).supply).toBe(7n);
    const account = tokenAccount({ mint: MINT, owner: OWNER, amount: 8 }).data;
    expect(readTokenAccount(extended(account, 2)).amount).toBe(8n);
    expect(refusal(() => readMint(extended(account, 2)))).toMatch(/^data is 200 bytes, but must be that of a mint/);
  });

  const MINT_DATA = 'that of a mint: 82 bytes, or more with the extensions of Token-2022';
  const ACCOUNT_DATA = 'that of a token account: 165 bytes, or more with the extensions of Token-2022';
  const ADDRESS = 'an address: a base58 string of 32 bytes, 32 bytes, or an object with toBytes()';
  const U64 = 'a bigint in [0, 2^64 - 1] or a non-negative safe integer';
  const base = { mint: MINT, owner: OWNER };
  test.each<[string, () => unknown, string]>([
    ['mintAccount, decimals', () => mintAccount({ decimals: 256 }), 'decimals is 256, but must be an integer in [0, 255]'],
    ['mintAccount, supply', () => mintAccount({ supply: -1 }), `supply is -1, but must be ${U64}`],
    ['mintAccount, authority', () => mintAccount({ mintAuthority: 'me' }), `mintAuthority is "me", but must be ${ADDRESS}`],
    [
      'mintAccount, freezer',
      () => mintAccount({ freezeAuthority: new Uint8Array(31) }),
      `freezeAuthority is 31 bytes, but must be ${ADDRESS}`,
    ],
    ['mintAccount, flag', () => mintAccount({ isInitialized: wrong(1) }), 'isInitialized is 1, but must be true or false'],
    ['mintAccount, program', () => mintAccount({ tokenProgram: 'x' }), `tokenProgram is "x", but must be ${ADDRESS}`],
    [
      'mintAccount, lamports',
      () => mintAccount({ lamports: 0 }),
      'lamports is 0, but must be at least 1: an account without lamports does not exist',
    ],
    [
      'mintAccount, option',
      () => mintAccount(wrong({ authority: OWNER })),
      'options is "authority", but must be made of mintAuthority, supply, decimals, isInitialized, freezeAuthority, tokenProgram, lamports',
    ],
    ['tokenAccount, nothing', () => tokenAccount(wrong(undefined)), 'options is undefined, but must be an object'],
    ['tokenAccount, mint', () => tokenAccount(wrong({ owner: OWNER })), `mint is undefined, but must be ${ADDRESS}`],
    ['tokenAccount, owner', () => tokenAccount(wrong({ mint: MINT })), `owner is undefined, but must be ${ADDRESS}`],
    ['tokenAccount, amount', () => tokenAccount({ ...base, amount: 1.5 }), `amount is 1.5, but must be ${U64}`],
    [
      'tokenAccount, state',
      () => tokenAccount({ ...base, state: wrong('cold') }),
      `state is "cold", but must be one of 'uninitialized', 'initialized', 'frozen'`,
    ],
    ['tokenAccount, reserve', () => tokenAccount({ ...base, isNative: wrong(true) }), `isNative is true, but must be ${U64}`],
    ['tokenAccount, delegate', () => tokenAccount({ ...base, delegate: wrong(null) }), `delegate is null, but must be ${ADDRESS}`],
    ['tokenAccount, delegated', () => tokenAccount({ ...base, delegatedAmount: -1n }), `delegatedAmount is -1n, but must be ${U64}`],
    ['tokenAccount, closer', () => tokenAccount({ ...base, closeAuthority: 'x' }), `closeAuthority is "x", but must be ${ADDRESS}`],
    ['readMint, too short', () => readMint(new Uint8Array(81)), `data is 81 bytes, but must be ${MINT_DATA}`],
    ['readMint, a token account', () => readMint(tokenAccount(base).data), `data is 165 bytes, but must be ${MINT_DATA}`],
    ['readMint, no bytes', () => readMint(wrong(undefined)), 'data is undefined, but must be a Uint8Array'],
    ['readTokenAccount, a mint', () => readTokenAccount(mintAccount().data), `data is 82 bytes, but must be ${ACCOUNT_DATA}`],
    [
      'readTokenAccount, garbage',
      () => readTokenAccount(new Uint8Array(165).fill(9)),
      'data[108] is 9, but must be a state of a token account: 0 to 2',
    ],
  ])('%s, is refused', (_, call, message) => {
    expect(refusal(call)).toBe(message);
  });

  test('have types', () => {
    expectTypeOf(readMint).returns.toEqualTypeOf<MintInfo>();
    expectTypeOf(readTokenAccount).returns.toEqualTypeOf<TokenAccountInfo>();
    expectTypeOf<TokenAccountInfo['state']>().toEqualTypeOf<'uninitialized' | 'initialized' | 'frozen'>();
    expectTypeOf(tokenAccount).parameter(0).toHaveProperty('mint');
    expectTypeOf(SYSTEM_PROGRAM).toEqualTypeOf<TestAddress>();
  });
});
