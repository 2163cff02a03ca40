// Generated from crates/ring; do not edit. What each is for: crates/ring/src/layout.rs.

/** The first four bytes of the memory. */
export const MAGIC = 1735289202;

/** Of the layout. */
export const VERSION = 1;

/** Of MAGIC. */
export const MAGIC_OFFSET = 0;

/** Of VERSION. */
export const VERSION_OFFSET = 4;

/** Of the capacity in bytes. */
export const CAPACITY_OFFSET = 8;

/** Of MANY_TO_ONE or ONE_TO_ONE. */
export const MODE_OFFSET = 12;

/** Of the position up to which the consumer has read. */
export const HEAD_OFFSET = 128;

/** Of the position up to which producers have written, shifted left by one, with CLOSED. */
export const TAIL_OFFSET = 256;

/** Of 1 while the consumer wants to be woken. */
export const WAITING_OFFSET = 384;

/** Of the first record. */
export const DATA_OFFSET = 512;

/** Records and positions are multiples of it. */
export const WORD_LEN = 8;

/** What a position in memory is reduced by. */
export const POSITION_MASK = 2147483647;

/** The bit of the tail that says that no record will follow. */
export const CLOSED = 1;

/** Where the state is in the first half of a header. */
export const STATE_SHIFT = 30;

/** The length of a record, in the first half of its header. */
export const LENGTH_MASK = 1073741823;

/** State: nothing was written here since the consumer was here. */
export const FREE = 0;

/** State: somebody writes the record. */
export const BUSY = 1;

/** State: a record for the consumer. */
export const COMMITTED = 2;

/** State: discarded, or a pad. */
export const SKIPPED = 3;

/** Mode: any number of producers and one consumer. */
export const MANY_TO_ONE = 1;

/** Mode: one producer and one consumer. */
export const ONE_TO_ONE = 2;

/** Bytes; capacities are powers of two. */
export const MIN_CAPACITY = 64;

/** Bytes. */
export const MAX_CAPACITY = 1073741824;
