//! The error codes that programs and hosts see, and the errors behind them.
//!
//! [`ErrorCode`] is the one table: the C header and the TypeScript enum are generated from it.

use crate::{Address, RingState};
use borsh::BorshSerialize;
use std::io;

macro_rules! error_codes {
    ($(#[doc = $doc:literal] $variant:ident = $number:literal, $name:literal;)*) => {
        /// What went wrong, as a number that programs can compare.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u64)]
        pub enum ErrorCode { $(#[doc = $doc] $variant = $number,)* }

        impl ErrorCode {
            /// Every code, in the order of its number.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The symbol used in C and TypeScript, for example `MAX_TIMERS`.
            pub fn name(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)* }
            }

            /// What it means, in a sentence.
            pub fn doc(self) -> &'static str {
                match self { $(ErrorCode::$variant => $doc.trim_ascii(),)* }
            }
        }
    };
}

error_codes! {
    /// Nothing went wrong.
    Success = 0, "SUCCESS";
    /// A pointer was address 0 although bytes were expected behind it.
    NullPointer = 1, "NULL_POINTER";
    /// No live timer of the caller has this id.
    InvalidTimer = 2, "INVALID_TIMER";
    /// No watcher of the caller has this id.
    InvalidWatcher = 3, "INVALID_WATCHER";
    /// The program already has as many live timers as it may.
    MaxTimers = 4, "MAX_TIMERS";
    /// The program already has as many watchers as it may.
    MaxWatchers = 5, "MAX_WATCHERS";
    /// A slot or a period is outside the range allowed from the current slot.
    InvalidSlot = 6, "INVALID_SLOT";
    /// The engine is draining or closed.
    Shutdown = 7, "SHUTDOWN";
    /// No ring buffer that the caller may use in this way has this id.
    InvalidBuffer = 8, "INVALID_BUFFER";
    /// The entry does not fit into the free space of the ring buffer.
    BufferFull = 9, "BUFFER_FULL";
    /// The program already has as many ring buffers as it may.
    MaxBuffers = 10, "MAX_BUFFERS";
    /// An argument is outside its documented range.
    InvalidArgument = 11, "INVALID_ARGUMENT";
    /// The task queue is full.
    QueueFull = 12, "QUEUE_FULL";
    /// The next entry is longer than the output it should go to; it was left in place.
    OutputTooSmall = 13, "OUTPUT_TOO_SMALL";
    /// The ring buffer is paused, draining or closed.
    BufferNotActive = 14, "BUFFER_NOT_ACTIVE";
    /// No such program is loaded.
    UnknownProgram = 15, "UNKNOWN_PROGRAM";
    /// The program failed; logs and message say how.
    ExecutionFailed = 16, "EXECUTION_FAILED";
    /// A snapshot or a journal is damaged or of another version.
    CorruptState = 17, "CORRUPT_STATE";
    /// A slot is being processed.
    EngineBusy = 18, "ENGINE_BUSY";
}

/// One byte: there are fewer than 256 codes.
impl BorshSerialize for ErrorCode {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        (*self as u8).serialize(writer)
    }
}

/// A refused call: it names the argument, the value, the limit and what to do.
///
/// Arguments are written as the host API spells them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what each field is")]
pub enum Error {
    #[error("timer {id} does not exist, has finished, or belongs to another program; use the id that its creation returned")]
    InvalidTimer { id: u64 },
    #[error("watcher {id} does not exist or belongs to another program; use the id that its creation returned")]
    InvalidWatcher { id: u64 },
    #[error("program {program} already has {limit} live timers (limit maxTimersPerProgram); cancel one or raise the limit")]
    MaxTimers { program: Address, limit: u64 },
    #[error("program {program} already has {limit} watchers (limit maxWatchersPerProgram); remove one or raise the limit")]
    MaxWatchers { program: Address, limit: u64 },
    #[error("{argument} is {value}, but must be in [{min}, {max}]")]
    InvalidSlot { argument: &'static str, value: u64, min: u64, max: u64 },
    #[error("the engine is draining and takes no new work; create another engine")]
    Shutdown,
    #[error("ring buffer {id} does not exist, or the caller may not use it in this way; ask its owner for a grant")]
    InvalidBuffer { id: u64 },
    #[error(
        "the entry needs {needed} bytes of ring buffer {id}, of which {free} of {capacity} are free (what the host has read is freed at the next slot); drain it or create a larger one"
    )]
    BufferFull { id: u64, needed: u64, free: u64, capacity: u64 },
    #[error("program {program} already has {limit} ring buffers (limit maxRingBuffersPerProgram); destroy one or raise the limit")]
    MaxBuffers { program: Address, limit: u64 },
    #[error("{argument} is {value}, but must be {expected}")]
    InvalidArgument { argument: &'static str, value: String, expected: String },
    #[error("the task queue holds {limit} tasks (limit maxScheduledTasks); process slots until there is room, or raise the limit")]
    QueueFull { limit: u64 },
    #[error("the calls of one invocation may take {limit} bytes of memory, arguments included; spread them over several")]
    StageFull { limit: u64 },
    #[error("the next entry of ring buffer {id} has {needed} bytes, but the output only {given}; pass a longer one")]
    OutputTooSmall { id: u64, needed: u64, given: u64 },
    #[error("ring buffer {id} is {}; set its state to ACTIVE first", state.name())]
    BufferNotActive { id: u64, state: RingState },
    #[error("no program is loaded at {program}; add it first")]
    UnknownProgram { program: Address },
    #[error("{0}")]
    CorruptState(String),
    #[error("a slot is being processed; wait for it")]
    EngineBusy,
}

impl Error {
    /// The number behind the message.
    pub fn code(&self) -> ErrorCode {
        match self {
            Error::InvalidTimer { .. } => ErrorCode::InvalidTimer,
            Error::InvalidWatcher { .. } => ErrorCode::InvalidWatcher,
            Error::MaxTimers { .. } => ErrorCode::MaxTimers,
            Error::MaxWatchers { .. } => ErrorCode::MaxWatchers,
            Error::InvalidSlot { .. } => ErrorCode::InvalidSlot,
            Error::Shutdown => ErrorCode::Shutdown,
            Error::InvalidBuffer { .. } => ErrorCode::InvalidBuffer,
            Error::BufferFull { .. } => ErrorCode::BufferFull,
            Error::MaxBuffers { .. } => ErrorCode::MaxBuffers,
            Error::InvalidArgument { .. } => ErrorCode::InvalidArgument,
            Error::QueueFull { .. } | Error::StageFull { .. } => ErrorCode::QueueFull,
            Error::OutputTooSmall { .. } => ErrorCode::OutputTooSmall,
            Error::BufferNotActive { .. } => ErrorCode::BufferNotActive,
            Error::UnknownProgram { .. } => ErrorCode::UnknownProgram,
            Error::CorruptState(_) => ErrorCode::CorruptState,
            Error::EngineBusy => ErrorCode::EngineBusy,
        }
    }

    pub(crate) fn invalid(argument: &'static str, value: impl ToString, expected: impl Into<String>) -> Error {
        Error::InvalidArgument { argument, value: value.to_string(), expected: expected.into() }
    }
}
