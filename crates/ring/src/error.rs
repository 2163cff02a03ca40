//! What can be wrong.

use thiserror::Error;

/// Why a record was not pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PushError {
    /// It fits when the consumer has read more.
    #[error("the ring is full")]
    Full,
    /// It never fits.
    #[error("len: {len} bytes, the ring takes records of at most {max}")]
    TooLong {
        /// Of the record.
        len: usize,
        /// What fits when the ring is empty.
        max: usize,
    },
    /// The ring was closed.
    #[error("the ring is closed")]
    Closed,
    /// The other side broke the layout.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// Why a record was not popped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PopError {
    /// The record is still there.
    #[error("buffer: {max} bytes, the record has {len}")]
    BufferTooSmall {
        /// Of the record.
        len: usize,
        /// Of the buffer.
        max: usize,
    },
    /// The other side broke the layout.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// The memory holds what no ring can: somebody who shares it wrote where it must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the ring is corrupt at position {position}: {what}")]
pub struct Corrupt {
    /// Where reading or writing stopped, in words.
    pub position: u64,
    /// What is wrong there.
    pub what: &'static str,
}

/// Why memory cannot be used as a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MemoryError {
    /// Of the ring.
    #[error("capacity: {capacity} bytes, must be a power of two in [{min}, {max}]")]
    Capacity {
        /// What was asked for, or found.
        capacity: u32,
        /// The smallest.
        min: u32,
        /// The largest.
        max: u32,
    },
    /// A ring of that capacity needs more.
    #[error("memory: {len} bytes, the ring needs {needed}")]
    TooSmall {
        /// Of the memory.
        len: usize,
        /// Of the ring.
        needed: usize,
    },
    /// Words must be aligned to their size.
    #[error("memory: begins at address {address:#x}, must be a multiple of 8")]
    Misaligned {
        /// Of the memory.
        address: usize,
    },
    /// There is no ring in it, or one of another version or mode.
    #[error("memory: {what} is {found:#x}, must be {expected:#x}")]
    Different {
        /// What was looked at.
        what: &'static str,
        /// What the memory holds.
        found: u32,
        /// What this side can use.
        expected: u32,
    },
    /// Head and tail cannot belong together.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}
