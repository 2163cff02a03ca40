import { ACCOUNT_UPDATE_KEYS, accountNames, toAccountUpdate } from './accounts.js';
import { toBoolean, toCount, toObject } from './arguments.js';
import type { Connection } from './connection.js';
import { invalidArgument } from './errors.js';
import type { AccountBatchOptions, AccountUpdate } from './types.js';

/** The largest data of an account, as on Solana. */
const MAX_DATA_LENGTH = 10_485_760;
const MAX_CAPACITY = 1_000_000;
const ADDRESS_LENGTH = 32;
const NAMES = accountNames((member) => `update.${member}`);

/**
 * Account states in columns, to be handed in again and again: row `i` is element `i` of each, or its `i`th 32 or `dataLength` bytes.
 *
 * What is written stays, so a feed that changes only lamports and data writes nothing else. The columns share one memory, which must not be
 * transferred to somewhere else.
 *
 * ```ts
 * const batch = engine.accountBatch({ capacity: 2, dataLength: 8 });
 * batch.set(0, { address: a, lamports: 1, data: price(100n) });
 * batch.set(1, { address: b, lamports: 1, data: price(200n) });
 * batch.submit();
 * engine.processSlot(1);
 * batch.data.set(price(101n), 0 * batch.dataLength);
 * batch.submit(1);
 * ```
 */
export class AccountBatch {
  /** Rows. */
  readonly capacity: number;
  /** Bytes of data that a row has room for. */
  readonly dataLength: number;
  /** 32 bytes a row. At first the address of the system program, which is refused. */
  readonly addresses: Uint8Array;
  /** Balances; 0 removes the account. At first 0. */
  readonly lamports: BigUint64Array;
  /** Room for `dataLength` bytes a row. At first zeroes. */
  readonly data: Uint8Array;
  /** How many of them are the account's. At first all. */
  readonly dataLengths: Uint32Array;
  /** 32 bytes a row. At first the system program. */
  readonly owners: Uint8Array;
  /** 0 or 1. At first 0. */
  readonly executable: Uint8Array;
  /** Order the updates of one account: one that is not above the last applied is ignored. Only if the batch was created with them; at first 0. */
  readonly writeVersions: BigUint64Array | undefined;
  readonly #connection: Connection;
  /** All columns. */
  readonly #memory: Uint8Array;

  /** @internal */
  constructor(connection: Connection, options: AccountBatchOptions) {
    const { capacity, dataLength = 0, writeVersions = false } = options;
    this.#connection = connection;
    this.capacity = toCount(capacity, 'capacity', 1, MAX_CAPACITY);
    this.dataLength = toCount(dataLength, 'dataLength', 0, MAX_DATA_LENGTH);
    const versions = toBoolean(writeVersions, 'writeVersions') ? capacity : 0;
    connection.assertOpen();
    // Numbers first, so that they lie at multiples of their size: as in `bindings/src/batches.rs`.
    const length = capacity * (8 + 4 + 2 * ADDRESS_LENGTH + 1 + dataLength) + versions * 8;
    const memory = allocate(length);
    if (!memory) throw invalidArgument('capacity', capacity, `as many rows as there is memory for: they take ${length} bytes`);
    let start = 0;
    const take = (bytes: number): number => (start += bytes) - bytes;
    this.lamports = new BigUint64Array(memory, take(capacity * 8), capacity);
    const versionsStart = take(versions * 8);
    this.writeVersions = versions === 0 ? undefined : new BigUint64Array(memory, versionsStart, versions);
    this.dataLengths = new Uint32Array(memory, take(capacity * 4), capacity).fill(dataLength);
    this.addresses = new Uint8Array(memory, take(capacity * ADDRESS_LENGTH), capacity * ADDRESS_LENGTH);
    this.owners = new Uint8Array(memory, take(capacity * ADDRESS_LENGTH), capacity * ADDRESS_LENGTH);
    this.executable = new Uint8Array(memory, take(capacity), capacity);
    this.data = new Uint8Array(memory, take(capacity * dataLength), capacity * dataLength);
    this.#memory = new Uint8Array(memory);
  }

  /** Writes a whole row; what is left out is empty, not as it was before. Throws INVALID_ARGUMENT, and then has written nothing. */
  set(index: number, update: AccountUpdate): void {
    const row = toCount(index, 'index', 0, this.capacity - 1);
    const { address, account, writeVersion } = toAccountUpdate(toObject(update, 'update', ACCOUNT_UPDATE_KEYS), NAMES);
    if (account.data.length > this.dataLength) {
      throw invalidArgument('update.data', account.data, `at most ${this.dataLength} bytes, the dataLength of the batch`);
    }
    if ((writeVersion !== undefined) !== (this.writeVersions !== undefined)) {
      const expected = this.writeVersions
        ? 'stated, as the batch was created with writeVersions'
        : 'left out, unless the batch is created with writeVersions';
      throw invalidArgument('update.writeVersion', writeVersion, expected);
    }
    this.#assertUsable();
    this.addresses.set(address, row * ADDRESS_LENGTH);
    this.lamports[row] = account.lamports;
    this.data.set(account.data, row * this.dataLength);
    this.dataLengths[row] = account.data.length;
    this.owners.set(account.owner, row * ADDRESS_LENGTH);
    this.executable[row] = account.executable ? 1 : 0;
    if (this.writeVersions) this.writeVersions[row] = writeVersion!;
  }

  /**
   * Hands in the first `count` rows for the next slot, as `updateAccounts` does: all or, when one is refused, none. Default: all rows.
   * Throws INVALID_ARGUMENT.
   *
   * @see docs/conformance.md#updateAccounts
   */
  submit(count: number = this.capacity): void {
    const rows = toCount(count, 'count', 0, this.capacity);
    this.#assertUsable();
    this.#connection.submitBatch(this.#memory, this.capacity, this.dataLength, this.writeVersions !== undefined, rows);
  }

  /** Throws SHUTDOWN after `close`; and INVALID_ARGUMENT when its memory is somewhere else. */
  #assertUsable(): void {
    this.#connection.assertOpen();
    if (this.#memory.length === 0) {
      throw invalidArgument('the memory of the batch', this.#memory, 'where it was; it was transferred, so create a new batch');
    }
  }
}

function allocate(length: number): ArrayBuffer | undefined {
  try {
    return new ArrayBuffer(length);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
