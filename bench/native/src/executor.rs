//! The executor by itself: real programs in a bare loop, on one thread, against Agave's own path.

use crate::{
    measure::{Bench, Goal, peer},
    workload::{Bare, Workload, World},
};
use async_bpf_svm::{Executor, SvmConfig};

/// Callbacks that take turns, so that not everything is in the nearest cache.
pub const CALLBACKS: usize = 64;
/// Of all of them in a turn.
pub const ROUNDS: usize = 32;

pub fn run(bench: &mut Bench) {
    for workload in Workload::all() {
        let goal = match workload {
            Workload::Tiny => Goal::AtLeast(4.0),
            Workload::Token => Goal::AtLeast(2.0),
            _ => Goal::Report,
        };
        let [mut lean, mut stock] = [Executor::Lean, Executor::Stock].map(|executor| bare(workload, executor, false));
        let [mut lean_logs, mut stock_logs] = [Executor::Lean, Executor::Stock].map(|executor| bare(workload, executor, true));
        bench.compare(
            &format!("executor, {}", workload.name()),
            || lean.rounds(ROUNDS),
            vec![peer("Agave's own path", goal, || stock.rounds(ROUNDS))],
        );
        bench.compare(
            &format!("executor, {}, with logs", workload.name()),
            || lean_logs.rounds(ROUNDS),
            vec![
                peer("Agave's own path, with logs", Goal::Report, || stock_logs.rounds(ROUNDS)),
                peer("the same without logs", Goal::ReportShare, || lean.rounds(ROUNDS)),
            ],
        );
    }
}

pub fn bare(workload: Workload, executor: Executor, logs: bool) -> Bare {
    World::new(workload, CALLBACKS, SvmConfig { executor, logs, ..SvmConfig::default() }).bare()
}

/// For a process of its own, and for callgrind.
pub fn tiny() -> Bare {
    bare(Workload::Tiny, Executor::Lean, false)
}

pub fn count(times: u64) {
    tiny().rounds(times as usize / CALLBACKS);
}
