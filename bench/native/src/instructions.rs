//! Instructions of the hot operations, counted by valgrind, and allocations: the same on a busy machine as on a quiet one, so a goal here can be a gate.

use crate::{
    callbacks, counting, executor,
    measure::{Bench, Goal},
};

/// What the table calls it, what [`crate::OPERATIONS`] calls it, and the most instructions of one. Goals that are no round numbers are what was
/// counted when the operation was written, and a tenth more.
const ROWS: &[(&str, &str, f64)] = &[
    ("ring, many-to-one: push and drain of 32 B", "ring-many-to-one", 110.0),
    ("ring, one-to-one: push and drain of 32 B", "ring-one-to-one", 110.0),
    ("wheel: insert and cancel", "wheel-insert-cancel", 330.0),
    ("wheel: insert and expire", "wheel-insert-expire", 372.0),
    ("matcher: an update that crosses 1 of 1,000 thresholds", "matcher-threshold", 707.0),
    ("matcher: an unwatched account", "matcher-unwatched", 50.0),
    ("scheduler: push and take of a task", "scheduler", 291.0),
];

/// The same of a callback, of the program that does as little as one can; a twentieth more than what was counted. The processor that valgrind
/// shows to the C library and to the hash is the real one, so that another one may count a little less.
const CALLBACKS: &[(&str, &str, f64)] = &[
    ("tiny, a bare loop of the executor", "callback-bare", 23_400.0),
    ("tiny, 1,000 callbacks a slot, 1 worker, a callback", "callback-engine", 28_600.0),
];

/// Of the same callback, in both.
const MOST_ALLOCATIONS: f64 = 32.0;

pub fn run(bench: &mut Bench) {
    for &(name, operation, most) in ROWS {
        bench.instructions(name, operation, 64_000, Goal::AtMost(most));
    }
    for &(name, operation, most) in CALLBACKS {
        bench.instructions(name, operation, 2_000, Goal::AtMost(most));
    }
    let allocations = |run: &mut dyn FnMut()| {
        run();
        let before = counting::allocations();
        run();
        counting::allocations() - before
    };
    let (mut bare, mut slots) = (executor::tiny(), callbacks::tiny());
    let of_bare = allocations(&mut || _ = bare.rounds(1)) as f64 / executor::CALLBACKS as f64;
    let of_slot = allocations(&mut || slots.slot()) as f64 / callbacks::CALLBACKS as f64;
    bench.number(CALLBACKS[0].0, "allocations", Goal::AtMost(MOST_ALLOCATIONS), of_bare);
    bench.number(CALLBACKS[1].0, "allocations", Goal::AtMost(MOST_ALLOCATIONS), of_slot);
    bench.instructions("crossbeam ArrayQueue<Box<[u8]>>: push and pop of 32 B", "ring-boxes", 64_000, Goal::Report);
}
