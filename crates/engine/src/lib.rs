//! The deterministic state machine of async-bpf.
//!
//! An [`Engine`] holds timers, watchers, ring buffers, tasks and accounts. One slot goes through it like this:
//!
//! 1. [`Engine::step`] takes the slot, fires timers, matches watchers against changed accounts, and orders the tasks.
//! 2. [`Engine::batch`] says which tasks may run. The host runs them, each over a [`Stage`] that answers its calls.
//! 3. [`Engine::commit`] takes the outcomes in order and makes their effects real; [`Engine::advance`] asks for more, and at last reports.
//!
//! It has no threads, no clock, no I/O, and does not know what a virtual machine is.

#![forbid(unsafe_code)]

mod account;
mod address;
mod ahead;
mod call;
mod callback;
mod engine;
mod error;
mod hash;
mod limits;
pub mod matcher;
mod outlet;
mod report;
mod ring;
pub mod scheduler;
mod stage;
mod task;
mod timer;
mod trigger;
mod watcher;
pub mod wheel;

pub use account::{Account, AccountRules, AccountUpdate, MAX_ACCOUNT_DATA_LEN};
pub use address::{Address, AddressHasher, Keyed};
pub use call::{Call, Caller, Reply};
pub use callback::{AccountMeta, Callback};
pub use engine::{Batch, Changes, Config, Engine, Execution, Progress, SlotInput};
pub use error::{Error, ErrorCode};
pub use hash::StateHash;
pub use limits::{LimitRow, Limits};
pub use report::{Failure, Outcome, SlotReport, Stats, Status};
pub use ring::{ENTRY_HEADER_LEN, RingEntry, RingHeader, RingReader, RingState, entry_cost, rights};
pub use scheduler::AGING_SLOTS;
pub use stage::{Stage, Staged};
pub use task::{Cause, Priority, Source, SourceKind, Task};
pub use timer::{CatchUp, Timer, TimerSpec, TimerState};
pub use trigger::Trigger;
pub use watcher::{Watcher, WatcherSpec};
