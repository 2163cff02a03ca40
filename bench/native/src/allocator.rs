//! What the allocator is worth: the same binary with mimalloc, as the addon has it, and with the system's, each in a process of its own.

use crate::{
    callbacks, executor,
    measure::{Bench, Goal, peer},
    remote::{Remote, Round},
};

/// What the processes can be asked for: the executor alone, and the whole engine.
pub const ROUNDS: &[crate::Named<fn() -> Round>] = &[("bare-tiny", bare), ("engine-tiny", engine)];

fn bare() -> Round {
    let mut bare = executor::tiny();
    Box::new(move || bare.rounds(64))
}

fn engine() -> Round {
    let mut world = callbacks::tiny();
    Box::new(move || world.slots(4))
}

pub fn run(bench: &mut Bench) {
    let here = std::env::current_exe().expect("the system says where this is");
    let start = |program: &str, round: &str| Remote::new(&here.with_file_name(program), &["--serve".into(), round.into()]);
    for (what, round) in [("tiny, a bare loop of the executor", "bare-tiny"), ("tiny, 1,000 callbacks a slot, 1 worker", "engine-tiny")] {
        match (start("async-bpf-bench", round), start("system", round)) {
            (Ok(mut ours), Ok(mut systems)) => {
                bench.compare(
                    &format!("{what}, with mimalloc"),
                    || ours.round(),
                    vec![peer("the same with the system's allocator", Goal::Report, || systems.round())],
                );
            }
            (Err(reason), _) | (_, Err(reason)) => eprintln!("  {what}: not measured: {reason}"),
        }
    }
}
