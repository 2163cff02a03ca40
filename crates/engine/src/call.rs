//! The calls that programs and hosts make. One list for both: a syscall and a host API method are the same call.

use crate::{Address, Callback, RingReader, RingState, TimerSpec, WatcherSpec, task::Priority};
use borsh::{BorshDeserialize, BorshSerialize};
use std::sync::Arc;

/// Who makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Caller {
    /// The host, which may do everything.
    Host,
    /// A program, which sees what is its own and what it was granted.
    Program(Address),
}

/// A call with its arguments.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[allow(missing_docs, reason = "each is documented with the syscall or method of its name")]
pub enum Call {
    TimerCreate(TimerSpec),
    TimerCancel {
        id: u64,
    },
    WatcherCreate {
        spec: WatcherSpec,
        min_slots_between_triggers: u64,
    },
    WatcherSetMinSlots {
        id: u64,
        slots: u64,
    },
    WatcherSetActive {
        id: u64,
        active: bool,
    },
    WatcherRemove {
        id: u64,
    },
    /// Without a size, the default.
    RingCreate {
        program: Address,
        size: Option<u64>,
        reader: RingReader,
    },
    RingPush {
        id: u64,
        data: Vec<u8>,
    },
    RingPop {
        id: u64,
        max_len: u64,
    },
    RingPeek {
        id: u64,
        max_len: u64,
    },
    RingGrant {
        id: u64,
        program: Address,
        rights: u64,
    },
    RingSetState {
        id: u64,
        state: RingState,
    },
    RingDestroy {
        id: u64,
    },
    TaskSchedule {
        callback: Arc<Callback>,
        priority: Priority,
        deadline_slot: Option<u64>,
    },
}

impl Call {
    /// Bytes that it takes to remember, about; the same on every machine.
    pub(crate) fn weight(&self) -> u64 {
        let callback = |callback: &Callback| callback.data.len() + callback.accounts.len() * 34;
        let arguments = match self {
            Call::TimerCreate(spec) => callback(&spec.callback),
            Call::WatcherCreate { spec, .. } => callback(&spec.callback),
            Call::TaskSchedule { callback: task, .. } => callback(task),
            Call::RingPush { data, .. } => data.len(),
            _ => 0,
        };
        256 + arguments as u64
    }
}

/// What a call returns when it succeeds.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize)]
pub struct Reply {
    /// The id of what was created, the length of what was read, else 0.
    pub value: u64,
    /// What was read; shared with the ring buffer's entry.
    pub bytes: Arc<[u8]>,
}

impl Reply {
    pub(crate) fn id(id: u64) -> Reply {
        Reply { value: id, bytes: Arc::default() }
    }
}
