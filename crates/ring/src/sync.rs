//! What of std has a double in loom, so that the models of `tests/loom.rs` run the code that ships.

#[cfg(not(loom))]
pub use std::{
    hint::spin_loop,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, fence},
    },
    thread,
};

#[cfg(loom)]
pub use loom::{
    hint::spin_loop,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, fence},
    },
};

/// There is no time in a model: who parks with a timeout parks.
#[cfg(loom)]
pub mod thread {
    pub use loom::thread::{Thread, current, park};

    pub fn park_timeout(_: std::time::Duration) {
        park();
    }
}

pub use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
