/** What is taken as an address or an account of an instruction: the forms of Solana's client libraries. */

import { AccountRole, address as kitAddress, getAddressDecoder, isAddress } from '@solana/kit';
import { describe, expect, test } from 'vitest';
import { RingRight, WatcherTrigger, type AccountMetaLike, type AddressLike } from '../dist/index.js';
import { address, addressBytes } from './support/addresses.js';
import { say, said } from './support/conformance.js';
import { createEngine, prebuilt } from './support/engine.js';

const PROGRAM = address('program');

/** Like the `PublicKey` of web3.js, as far as it matters here. */
class PublicKey {
  readonly #bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
  toBytes(): Uint8Array {
    return this.#bytes;
  }
}

const FORMS: [string, (name: string) => AddressLike][] = [
  ['a base58 string', (name) => address(name)],
  ['an address of @solana/kit', (name) => kitAddress(address(name))],
  ['32 bytes', (name) => addressBytes(name)],
  ['a Buffer', (name) => Buffer.from(addressBytes(name))],
  ['a view into more bytes', (name) => Buffer.concat([Uint8Array.of(1, 2), addressBytes(name), Uint8Array.of(3)]).subarray(2, 34)],
  ['an object with toBytes', (name) => new PublicKey(addressBytes(name))],
];

describe.each(FORMS)('%s', (_, as) => {
  test('is taken wherever an address is, and given back as a base58 string', () => {
    const engine = createEngine({});
    engine.addProgram(as('program'), prebuilt('conformance'));
    engine.setAccount(as('a'), { lamports: 5, owner: as('owner') });
    expect(engine.getAccount(as('a'))).toMatchObject({ address: address('a'), owner: address('owner'), lamports: 5n });
    engine.updateAccounts([{ address: as('a'), lamports: 6, owner: as('owner') }]);

    const timer = engine.timers.create({ programId: as('program'), data: say('timer'), accounts: [as('a')], triggerSlot: 1 });
    expect(engine.timers.get(timer)).toMatchObject({ programId: PROGRAM, accounts: [{ address: address('a') }] });
    expect(engine.timers.list(as('program'))).toHaveLength(1);

    const watcher = engine.watchers.create({
      programId: as('program'),
      data: say('watcher'),
      account: as('a'),
      trigger: WatcherTrigger.ANY_CHANGE,
    });
    expect(engine.watchers.get(watcher)).toMatchObject({ programId: PROGRAM, account: address('a') });
    expect(engine.watchers.list(as('a'))).toHaveLength(1);

    const ring = engine.rings.create({ programId: as('program') });
    engine.rings.grant(ring, as('other'), RingRight.READ);
    expect(engine.rings.get(ring)!.owner).toBe(PROGRAM);

    engine.tasks.submit({ programId: as('program'), data: say('task') });
    expect(engine.syscalls(as('program')).sol_watcher_create(as('a'), 0, null, 1000)).not.toBe(0n);
    expect(engine.syscalls(as('program')).sol_ring_buffer_grant(ring, as('other'), 3)).toBe(0);
    const { outcomes } = engine.processSlot(1);
    expect(said(outcomes)).toEqual(['watcher', 'task', 'timer']);
    expect(outcomes.every(({ programId }) => programId === PROGRAM)).toBe(true);
    engine.removeProgram(as('program'));
  });
});

test('addresses that come back are addresses of @solana/kit', () => {
  const engine = createEngine({ program: 'conformance' });
  engine.setAccount(address('a'), { lamports: 1 });
  const { address: given, owner } = engine.getAccount(address('a'))!;
  expect([given, owner].every(isAddress)).toBe(true);
  expect(given).toBe(getAddressDecoder().decode(addressBytes('a')));
});

test('every 32 bytes are an address, leading zeros and ones included', () => {
  const engine = createEngine({});
  for (const bytes of [new Uint8Array(32).fill(255), Uint8Array.of(...Array(31).fill(0), 1), Uint8Array.of(1, ...Array(31).fill(0))]) {
    engine.setAccount(bytes, { lamports: 1 });
    const text = engine.getAccount(bytes)!.address;
    expect(text).toBe(getAddressDecoder().decode(bytes));
    expect(engine.getAccount(text)!.lamports).toBe(1n);
  }
});

test('bytes that the caller changes afterwards do not count', () => {
  const engine = createEngine({ program: 'conformance' });
  const bytes = addressBytes('a');
  engine.setAccount(bytes, { lamports: 1 });
  bytes.fill(9);
  expect(engine.getAccount(address('a'))!.lamports).toBe(1n);
});

describe('an account of an instruction', () => {
  const NAME = address('a');
  const FORMS: [string, AccountMetaLike, boolean, boolean][] = [
    ['an address alone is read-only', NAME, false, false],
    ['bytes alone are read-only', addressBytes('a'), false, false],
    ['an object with toBytes alone is read-only', new PublicKey(addressBytes('a')), false, false],
    ['@solana/kit, read-only', { address: kitAddress(NAME), role: AccountRole.READONLY }, false, false],
    ['@solana/kit, writable', { address: kitAddress(NAME), role: AccountRole.WRITABLE }, false, true],
    ['@solana/kit, read-only signer', { address: kitAddress(NAME), role: AccountRole.READONLY_SIGNER }, true, false],
    ['@solana/kit, writable signer', { address: kitAddress(NAME), role: AccountRole.WRITABLE_SIGNER }, true, true],
    ['web3.js, with both flags', { pubkey: new PublicKey(addressBytes('a')), isSigner: true, isWritable: true }, true, true],
    ['web3.js, writable', { pubkey: NAME, isSigner: false, isWritable: true }, false, true],
    ['ours, without flags', { address: NAME }, false, false],
    ['ours, signer', { address: NAME, isSigner: true }, true, false],
    ['ours, writable', { address: addressBytes('a'), isWritable: true }, false, true],
  ];

  test.each(FORMS)('%s', (_, meta, isSigner, isWritable) => {
    const engine = createEngine({ program: 'conformance' });
    const timer = engine.timers.create({ programId: PROGRAM, accounts: [meta], triggerSlot: 1 });
    expect(engine.timers.get(timer)!.accounts).toEqual([{ address: NAME, isSigner, isWritable }]);
  });

  test('any iterable of them will do', () => {
    const engine = createEngine({ program: 'conformance' });
    const timer = engine.timers.create({ programId: PROGRAM, accounts: new Set([NAME, address('b')]), triggerSlot: 1 });
    expect(engine.timers.get(timer)!.accounts.map((meta) => meta.address)).toEqual([NAME, address('b')]);
  });
});
