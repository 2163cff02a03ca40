//! The whole engine: from timers that are due to the report with the state hash, with real programs.

use crate::{
    measure::{Bench, Goal, per_operation, ratios},
    workload::{Bare, Workload, World},
};
use async_bpf_svm::{Executor, SvmConfig};
use std::thread;
use tokio::sync::oneshot;

/// What "1,000 callbacks a slot" means.
pub const CALLBACKS: usize = 1_000;
const MANY_CALLBACKS: usize = 10_000;
/// Callbacks of a turn, at least: 5 to 50 ms.
const OF_A_TURN: usize = 2_000;
/// What two workers should do in a second.
const A_SECOND: f64 = 600_000.0;

pub fn run(bench: &mut Bench) {
    let workloads = Workload::all();
    for callbacks in [CALLBACKS, MANY_CALLBACKS] {
        // In a hurry, one program is enough to see what many callbacks do.
        let some = if bench.quick && callbacks == MANY_CALLBACKS { &workloads[..1] } else { &workloads[..] };
        for &workload in some {
            measure(bench, workload, callbacks);
        }
    }
}

fn measure(bench: &mut Bench, workload: Workload, callbacks: usize) {
    let slots = OF_A_TURN.div_ceil(callbacks);
    let mut one = World::with_workers(workload, callbacks, 1);
    let mut two = World::with_workers(workload, callbacks, 2);
    let mut stock = World::new(workload, callbacks, SvmConfig { executor: Executor::Stock, logs: false, ..SvmConfig::default() });
    let [mut bare, mut another] = [(); 2].map(|()| World::with_workers(workload, callbacks, 1).bare());
    let mut pool = EmptyTasks::new();
    let (mut of_one, mut of_two, mut of_stock, mut of_bare, mut of_threads, mut of_pool) = Default::default();
    for round in 0..=bench.rounds() {
        let turn = |times: &mut Vec<f64>, time| {
            // The first warms up.
            if round > 0 {
                times.push(time);
            }
        };
        turn(&mut of_one, one.slots(slots));
        turn(&mut of_two, two.slots(slots));
        turn(&mut of_bare, bare.rounds(slots));
        turn(&mut of_threads, two_threads(&mut bare, &mut another, slots, callbacks));
        turn(&mut of_pool, pool.run(slots * callbacks));
        // It takes long, and says nothing new of more callbacks.
        if callbacks == CALLBACKS {
            turn(&mut of_stock, stock.slots(slots));
        }
    }

    let name = format!("{}, {callbacks} callbacks a slot", workload.name());
    let (one_worker, two_workers) = (format!("{name}, 1 worker"), format!("{name}, 2 workers"));
    let tiny = workload == Workload::Tiny;
    // What is asked of the smallest program, in slots of a usual size.
    let goal = |goal, otherwise| if tiny && callbacks == CALLBACKS { goal } else { otherwise };
    bench.spread(&one_worker, "ns", None, Goal::Report, of_one.clone());
    let goal_of_one = goal(Goal::AtMost(1.6), Goal::ReportShare);
    bench.spread(&one_worker, "of the peer's time", Some("a bare loop of the executor"), goal_of_one, ratios(&of_one, &of_bare));
    if callbacks == CALLBACKS {
        bench.spread(&one_worker, "times faster", Some("the same with Agave's own path"), Goal::Report, ratios(&of_stock, &of_one));
    }
    bench.spread(&two_workers, "ns", None, Goal::Report, of_two.clone());
    let goal_of_two = if tiny { Goal::AtLeast(A_SECOND) } else { Goal::Report };
    bench.spread(&two_workers, "callbacks a second", None, goal_of_two, of_two.iter().map(|time| 1e9 / time).collect());
    let (gain, plain) = (ratios(&of_one, &of_two), ratios(&of_bare, &of_threads));
    bench.spread(&two_workers, "times faster", Some("1 worker"), Goal::Report, gain.clone());
    bench.spread(&format!("{name}, bare loops on two plain threads"), "times faster", Some("a bare loop on one"), Goal::Report, plain.clone());
    let goal_of_gain = goal(Goal::AtLeast(0.9), Goal::Report);
    bench.spread(
        &format!("{name}, gain of the second worker"),
        "of the peer's",
        Some("gain of the second thread"),
        goal_of_gain,
        ratios(&gain, &plain),
    );
    let empty = "rayon::spawn of boxed closures with nothing in them, each with a future";
    bench.spread(&two_workers, "times faster", Some(empty), goal(Goal::AtLeast(1.0), Goal::Report), ratios(&of_pool, &of_two));
}

/// Nanoseconds a callback of two threads that have nothing to do with each other.
fn two_threads(one: &mut Bare, other: &mut Bare, rounds: usize, callbacks: usize) -> f64 {
    per_operation((2 * rounds * callbacks) as u64, || {
        thread::scope(|scope| {
            scope.spawn(|| other.rounds(rounds));
            one.rounds(rounds);
        });
    })
}

/// What it takes to have a task run by a pool at all, where each is a boxed closure and its result a future.
struct EmptyTasks {
    pool: rayon::ThreadPool,
    waiter: tokio::runtime::Runtime,
}

type BoxedTask = Box<dyn FnOnce() -> u64 + Send>;

impl EmptyTasks {
    fn new() -> Self {
        EmptyTasks {
            pool: rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("two threads"),
            waiter: tokio::runtime::Builder::new_current_thread().build().expect("no drivers"),
        }
    }

    fn run(&mut self, tasks: usize) -> f64 {
        per_operation(tasks as u64, || {
            let results: Vec<_> = (0..tasks as u64)
                .map(|n| {
                    let task: BoxedTask = Box::new(move || n);
                    let (sender, result) = oneshot::channel();
                    self.pool.spawn(move || sender.send(task()).expect("it is awaited"));
                    result
                })
                .collect();
            self.waiter.block_on(async {
                for result in results {
                    result.await.expect("no task panics");
                }
            });
        })
    }
}

/// For a process of its own, and for callgrind: slots of 1,000 tiny callbacks.
pub fn tiny() -> World {
    World::with_workers(Workload::Tiny, CALLBACKS, 1)
}

pub fn count(times: u64) {
    let mut world = tiny();
    (0..times as usize / CALLBACKS).for_each(|_| world.slot());
}
