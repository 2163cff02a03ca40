//! The whole engine: from timers that are due to the report with the state hash, with real programs.

use crate::{
    measure::{Bench, Goal, per_operation, ratios},
    workload::{Workload, World},
};
use async_bpf_svm::{Executor, SvmConfig};
use std::thread;
use tokio::sync::oneshot;

/// What "1,000 callbacks a slot" means.
pub const CALLBACKS: usize = 1_000;
const MANY_CALLBACKS: usize = 10_000;
/// Callbacks of a turn: 5 to 50 ms.
const OF_A_TURN: usize = 4_000;
/// What two workers should do in a second.
const A_SECOND: f64 = 600_000.0;

pub fn run(bench: &mut Bench) {
    let workloads = Workload::all();
    for callbacks in [CALLBACKS, MANY_CALLBACKS] {
        for &workload in &workloads {
            measure(bench, workload, callbacks);
        }
    }
}

fn measure(bench: &mut Bench, workload: Workload, callbacks: usize) {
    let turns = OF_A_TURN.div_ceil(callbacks);
    let gated = workload == Workload::Tiny && callbacks == CALLBACKS;
    let goal = |goal| if gated { goal } else { Goal::Report };

    let [mut one, mut two] = [1, 2].map(|workers| World::with_workers(workload, callbacks, workers));
    let [mut bare, mut bare_too] = [(); 2].map(|()| World::with_workers(workload, callbacks, 1).bare());
    let mut stock = World::new(workload, callbacks, SvmConfig { executor: Executor::Stock, logs: false, ..SvmConfig::default() });
    let mut pool = EmptyTasks::new();
    let [mut of_one, mut of_two, mut of_bare, mut of_threads, mut of_stock, mut of_pool] = [(); 6].map(|()| Vec::new());
    for round in 0..=bench.rounds() {
        let times = [
            (&mut of_one, one.slots(turns)),
            (&mut of_two, two.slots(turns)),
            (&mut of_bare, bare.rounds(turns)),
            (&mut of_threads, {
                // Each does as much as one does alone, so half the time is that of one callback.
                let both = per_operation(2 * (turns * callbacks) as u64, || {
                    thread::scope(|scope| {
                        scope.spawn(|| bare_too.rounds(turns));
                        bare.rounds(turns);
                    });
                });
                both
            }),
            // It says nothing new of many callbacks, and takes long.
            (&mut of_stock, if callbacks == CALLBACKS { stock.slots(turns) } else { f64::NAN }),
            (&mut of_pool, pool.run(turns * callbacks)),
        ];
        // The first warms up.
        if round > 0 {
            times.into_iter().for_each(|(list, time)| list.push(time));
        }
    }

    let name = |workers: &str| format!("{}, {callbacks} callbacks a slot, {workers}", workload.name());
    let [one_worker, two_workers] = ["1 worker", "2 workers"].map(name);
    let share = if gated { Goal::AtMost(1.6) } else { Goal::ReportShare };
    bench.spread(&one_worker, "ns", None, Goal::Report, of_one.clone());
    bench.spread(&one_worker, "of the peer's time", Some("a bare loop of the executor"), share, ratios(&of_one, &of_bare));
    if callbacks == CALLBACKS {
        bench.spread(&one_worker, "times faster", Some("the same with Agave's own path"), Goal::Report, ratios(&of_stock, &of_one));
    }
    bench.spread(&two_workers, "ns", None, Goal::Report, of_two.clone());
    let a_second = of_two.iter().map(|time| 1e9 / time).collect();
    bench.spread(&two_workers, "callbacks/s", None, if workload == Workload::Tiny { Goal::AtLeast(A_SECOND) } else { Goal::Report }, a_second);
    bench.spread(&two_workers, "times faster", Some("1 worker"), Goal::Report, ratios(&of_one, &of_two));
    let (gain, of_plain) = (ratios(&of_one, &of_two), ratios(&of_bare, &of_threads));
    bench.spread("two plain threads, each with a bare loop of the executor", "times faster", Some("one"), Goal::Report, of_plain.clone());
    bench.spread(
        &format!("{two_workers}: gain over 1 worker"),
        "of the peer's",
        Some("gain of two plain threads"),
        goal(Goal::AtLeast(0.9)),
        ratios(&gain, &of_plain),
    );
    bench.spread(
        &two_workers,
        "times faster",
        Some("rayon::spawn of a boxed closure that does nothing, and a future for it"),
        goal(Goal::AtLeast(1.0)),
        ratios(&of_pool, &of_two),
    );
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
