//! What a host gets back.

use crate::{Address, ErrorCode, StateHash, task::Source};
use borsh::BorshSerialize;

/// How an invocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Status {
    /// It succeeded, and everything it did counts.
    Committed = 0,
    /// It failed, and changed nothing.
    Failed = 1,
    /// Its deadline passed before it could start.
    Expired = 2,
}

/// Why an invocation failed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize)]
pub struct Failure {
    /// UNKNOWN_PROGRAM or EXECUTION_FAILED.
    pub code: ErrorCode,
    /// The runtime's name for it, for example `Custom` or `ProgramFailedToComplete`.
    pub reason: String,
    /// In words.
    pub message: String,
    /// The number that the program returned, if it did.
    pub custom: Option<u32>,
}

/// One invocation.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize)]
pub struct Outcome {
    /// Names it for good.
    pub task_id: u64,
    /// The program that ran.
    pub program: Address,
    /// What asked for it.
    pub source: Source,
    /// How it ended.
    pub status: Status,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Compute units used.
    pub units_consumed: u64,
    /// What the program and the runtime logged.
    pub logs: Vec<String>,
    /// What the program set with `sol_set_return_data`.
    pub return_data: Option<Vec<u8>>,
    /// The code that each async call returned, in order.
    pub staged_codes: Vec<ErrorCode>,
}

/// One slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotReport {
    /// Which.
    pub slot: u64,
    /// Every invocation, in the order in which they count.
    pub outcomes: Vec<Outcome>,
    /// Callbacks queued for timers.
    pub timers_fired: u64,
    /// Watchers that triggered, the suppressed ones not included.
    pub watchers_triggered: u64,
    /// Tasks queued for this slot: timers, watchers, and those scheduled or submitted before.
    pub tasks_queued: u64,
    /// Tasks left for a later slot.
    pub tasks_pending: u64,
    /// Compute units used.
    pub units_consumed: u64,
    /// The state after the slot.
    pub state_hash: StateHash,
}

/// Counts since the engine was created, and what is there now.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize)]
#[allow(missing_docs, reason = "the names say it; `active` and `pending` are now, the rest are totals")]
pub struct Stats {
    pub timers_created: u64,
    pub timers_active: u64,
    pub timers_fired: u64,
    pub watchers_created: u64,
    pub watchers_active: u64,
    pub watchers_triggered: u64,
    pub watchers_suppressed: u64,
    pub rings_active: u64,
    pub tasks_submitted: u64,
    pub tasks_completed: u64,
    pub tasks_failed: u64,
    pub tasks_expired: u64,
    pub tasks_pending: u64,
    pub units_consumed: u64,
    pub slots_processed: u64,
}
