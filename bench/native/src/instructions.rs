//! Instructions of the hot operations, counted by valgrind: the same on a busy machine as on a quiet one, so a goal here can be a gate.

use crate::measure::{Bench, Goal};

/// What the table calls it, what [`crate::OPERATIONS`] calls it, and the most instructions of one. Goals that are no round numbers are what was
/// counted when the operation was written, and a tenth more.
const ROWS: &[(&str, &str, f64)] = &[
    ("ring, many-to-one: push and drain of 32 B", "ring-many-to-one", 110.0),
    ("ring, one-to-one: push and drain of 32 B", "ring-one-to-one", 110.0),
    ("wheel: insert and cancel", "wheel-insert-cancel", 262.0),
    ("wheel: insert and expire", "wheel-insert-expire", 284.0),
    ("matcher: an update that crosses 1 of 1,000 thresholds", "matcher-threshold", 707.0),
    ("matcher: an unwatched account", "matcher-unwatched", 50.0),
    ("scheduler: push and take of a task", "scheduler", 291.0),
];

/// The same of a callback, of the program that does as little as one can; a twentieth more than what was counted. The processor that valgrind
/// shows to the C library and to the hash is the real one, so that another one may count a little less.
const CALLBACKS: &[(&str, &str, f64)] = &[
    ("tiny, a bare loop of the executor", "callback-bare", 32_000.0),
    ("tiny, 1,000 callbacks a slot, 1 worker, a callback", "callback-engine", 36_700.0),
];

pub fn run(bench: &mut Bench) {
    for &(name, operation, most) in ROWS {
        bench.instructions(name, operation, 64_000, Goal::AtMost(most));
    }
    for &(name, operation, most) in CALLBACKS {
        bench.instructions(name, operation, 4_000, Goal::AtMost(most));
    }
    bench.instructions("crossbeam ArrayQueue<Box<[u8]>>: push and pop of 32 B", "ring-boxes", 64_000, Goal::Report);
}
