//! Where everything lies in the memory of a ring, for all who share it.
//!
//! Offsets and lengths are in bytes. Every number is a little-endian `u32` that other languages read and write with 32-bit atomics, unless
//! it says otherwise.
//!
//! ```text
//!        0 ┌───────────────────────────────────────────────────────────────┐
//!          │ magic      version     capacity     mode                      │ written once, at creation; magic last
//!      128 ├───────────────────────────────────────────────────────────────┤
//!          │ head: position                                                │ the consumer's
//!      256 ├───────────────────────────────────────────────────────────────┤
//!          │ tail: position << 1 | closed                                  │ the producers'
//!          │ (64 bits wide in a many-to-one ring, whose producers are Rust)│
//!      384 ├───────────────────────────────────────────────────────────────┤
//!          │ waiting: 1 while the consumer sleeps or is about to           │ set by the consumer, taken by who wakes it
//!      512 ├───────────────────────────────────────────────────────────────┤
//!          │ data: `capacity` bytes                                        │
//!          └───────────────────────────────────────────────────────────────┘
//! ```
//!
//! A *word* is 8 bytes. A *position* counts words since creation, pads included; memory holds its low 31 bits, and the word at position `p`
//! begins at `DATA_OFFSET + p % (capacity / 8) * 8`. The groups are 128 bytes apart because processors fetch cache lines in pairs.
//!
//! A *record* begins at a word and never wraps around the end of the data:
//!
//! ```text
//!          ┌──────────────────────────────┬────────────────────────────────┐
//!          │ state: 2 bits, length: 30    │ kind: the user's               │ header, one word
//!          ├──────────────────────────────┴────────────────────────────────┤
//!          │ `length` bytes, and up to the next word bytes without meaning │
//!          └───────────────────────────────────────────────────────────────┘
//!
//!          state  FREE      0  nothing was written here since the consumer was here
//!                 BUSY      1  somebody writes the record
//!                 COMMITTED 2  a record for the consumer
//!                 SKIPPED   3  no record: it was discarded, or it pads the end of the data
//! ```

use crate::MemoryError;

/// "ring", as the first four bytes of the memory.
pub const MAGIC: u32 = u32::from_le_bytes(*b"ring");
/// Of this layout.
pub const VERSION: u32 = 1;

/// Bytes from one group of the control block to the next.
pub const LINE_LEN: u32 = 128;
/// Of [`MAGIC`].
pub const MAGIC_OFFSET: u32 = 0;
/// Of [`VERSION`].
pub const VERSION_OFFSET: u32 = 4;
/// Of the capacity in bytes.
pub const CAPACITY_OFFSET: u32 = 8;
/// Of [`MANY_TO_ONE`] or [`ONE_TO_ONE`].
pub const MODE_OFFSET: u32 = 12;
/// Of the position up to which the consumer has read.
pub const HEAD_OFFSET: u32 = LINE_LEN;
/// Of the position up to which producers have claimed (many-to-one) or published (one-to-one), shifted left by one, with [`CLOSED`].
pub const TAIL_OFFSET: u32 = 2 * LINE_LEN;
/// Of the consumer's wish to be woken.
pub const WAITING_OFFSET: u32 = 3 * LINE_LEN;
/// Of the first record.
pub const DATA_OFFSET: u32 = 4 * LINE_LEN;

/// Records and positions are multiples of it.
pub const WORD_LEN: u32 = 8;
/// What a position in memory is reduced by: `position & POSITION_MASK`.
pub const POSITION_MASK: u32 = (1 << 31) - 1;
/// The bit of the tail that says that no record will follow.
pub const CLOSED: u32 = 1;

/// Where the state is in the first half of a header.
pub const STATE_SHIFT: u32 = 30;
/// The length of a record, in the first half of its header.
pub const LENGTH_MASK: u32 = (1 << STATE_SHIFT) - 1;
/// Nothing was written here since the consumer was here.
pub const FREE: u32 = 0;
/// Somebody writes the record.
pub const BUSY: u32 = 1;
/// A record for the consumer.
pub const COMMITTED: u32 = 2;
/// Nothing for the consumer: discarded, or a pad.
pub const SKIPPED: u32 = 3;

/// Any number of producers and one consumer.
pub const MANY_TO_ONE: u32 = 1;
/// One producer and one consumer.
pub const ONE_TO_ONE: u32 = 2;

/// The smallest capacity in bytes. Capacities are powers of two.
pub const MIN_CAPACITY: u32 = 64;
/// The largest capacity in bytes: positions that are in use at the same time must be told apart by 31 bits.
pub const MAX_CAPACITY: u32 = 1 << 30;

/// Every constant by name, with what it is: the source of constants in other languages.
pub const TABLE: &[(&str, u32, &str)] = &[
    ("MAGIC", MAGIC, "The first four bytes of the memory"),
    ("VERSION", VERSION, "Of the layout"),
    ("MAGIC_OFFSET", MAGIC_OFFSET, "Of MAGIC"),
    ("VERSION_OFFSET", VERSION_OFFSET, "Of VERSION"),
    ("CAPACITY_OFFSET", CAPACITY_OFFSET, "Of the capacity in bytes"),
    ("MODE_OFFSET", MODE_OFFSET, "Of MANY_TO_ONE or ONE_TO_ONE"),
    ("HEAD_OFFSET", HEAD_OFFSET, "Of the position up to which the consumer has read"),
    ("TAIL_OFFSET", TAIL_OFFSET, "Of the position up to which producers have written, shifted left by one, with CLOSED"),
    ("WAITING_OFFSET", WAITING_OFFSET, "Of 1 while the consumer wants to be woken"),
    ("DATA_OFFSET", DATA_OFFSET, "Of the first record"),
    ("WORD_LEN", WORD_LEN, "Records and positions are multiples of it"),
    ("POSITION_MASK", POSITION_MASK, "What a position in memory is reduced by"),
    ("CLOSED", CLOSED, "The bit of the tail that says that no record will follow"),
    ("STATE_SHIFT", STATE_SHIFT, "Where the state is in the first half of a header"),
    ("LENGTH_MASK", LENGTH_MASK, "The length of a record, in the first half of its header"),
    ("FREE", FREE, "State: nothing was written here since the consumer was here"),
    ("BUSY", BUSY, "State: somebody writes the record"),
    ("COMMITTED", COMMITTED, "State: a record for the consumer"),
    ("SKIPPED", SKIPPED, "State: discarded, or a pad"),
    ("MANY_TO_ONE", MANY_TO_ONE, "Mode: any number of producers and one consumer"),
    ("ONE_TO_ONE", ONE_TO_ONE, "Mode: one producer and one consumer"),
    ("MIN_CAPACITY", MIN_CAPACITY, "Bytes; capacities are powers of two"),
    ("MAX_CAPACITY", MAX_CAPACITY, "Bytes"),
];

/// Bytes of memory that a ring of `capacity` bytes needs.
pub const fn memory_len(capacity: u32) -> usize {
    DATA_OFFSET as usize + capacity as usize
}

/// Words that a record of `len` bytes takes, with its header.
pub const fn record_words(len: u32) -> u64 {
    (len as u64 + (2 * WORD_LEN - 1) as u64) / WORD_LEN as u64
}

/// Bytes of a record that fills a ring of `capacity` bytes.
pub const fn max_record_len(capacity: u32) -> u32 {
    capacity - WORD_LEN
}

/// A header as one number: state and length in the low half, kind in the high one.
pub(crate) const fn header(state: u32, len: u32, kind: u32) -> u64 {
    (kind as u64) << 32 | (state << STATE_SHIFT | len) as u64
}

/// State, length and kind of a header.
pub(crate) const fn parse_header(header: u64) -> (u32, u32, u32) {
    let low = header as u32;
    (low >> STATE_SHIFT, low & LENGTH_MASK, (header >> 32) as u32)
}

/// The header of `words` words for nobody.
pub(crate) const fn pad_header(words: u64) -> u64 {
    header(SKIPPED, (words as u32 - 1) * WORD_LEN, 0)
}

// Typed arrays have the byte order of the processor, and the low half of the tail must be at its offset.
const _: () = assert!(cfg!(target_endian = "little"), "rings are little-endian");

pub(crate) fn check_capacity(capacity: u32) -> Result<(), MemoryError> {
    let (min, max) = (MIN_CAPACITY, MAX_CAPACITY);
    if capacity.is_power_of_two() && (min..=max).contains(&capacity) { Ok(()) } else { Err(MemoryError::Capacity { capacity, min, max }) }
}
