//! The scheduler: submit tasks, run them in exact order on two workers.

use crate::measure::{Bench, Goal, peer, per_operation};
use async_bpf_engine::scheduler::{Rank, Scheduler};
use std::{
    collections::BinaryHeap,
    hint::black_box,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// Tasks a round.
const TASKS: u64 = 64 * 1024;
/// Tasks that are submitted and taken at once.
const BATCH: u64 = 64;

/// What a task does: nothing but be counted, so that what is measured is getting there.
#[derive(Clone, Copy)]
struct Work(u64);

/// Of the priorities that tasks have, most are alike, as those of timers and watchers are.
fn rank(sequence: u64, ordered: bool) -> Rank {
    let priority = if ordered { [1, 1, 2, 1, 2, 0, 1, 3][sequence as usize % 8] } else { 1 };
    let deadline_slot = (ordered && sequence.is_multiple_of(16)).then_some(1 + sequence % 7);
    Rank { priority, deadline_slot, sequence, queued_slot: 0 }
}

pub fn run(bench: &mut Bench) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("two threads");
    let (mut ordered, mut plain) = (Ordered::default(), Ordered::default());
    bench.compare(
        "scheduler, batches of 64, a task",
        || ordered.round(&pool, true),
        vec![
            peer("rayon::spawn of a boxed closure", Goal::AtLeast(4.0), || spawned(&pool)),
            peer("Mutex<BinaryHeap> pool, one task at a time", Goal::AtLeast(5.0), binary_heap),
            peer("the same scheduler, tasks all alike", Goal::AtMost(1.25), || plain.round(&pool, false)),
        ],
    );
    bench.compare(
        "scheduler, push and take of 1,000, one thread, a task",
        || one_thread(1_000),
        vec![peer("BinaryHeap of (priority, deadline, sequence)", Goal::Report, || heap_one_thread(1_000))],
    );
}

/// The scheduler belongs to one thread, which hands whole batches to the pool: what crosses to another core is 64 tasks side by side.
#[derive(Default)]
struct Ordered {
    scheduler: Scheduler<Work>,
    /// Batches to use again.
    spare: Vec<Vec<Work>>,
}

impl Ordered {
    fn round(&mut self, pool: &rayon::ThreadPool, ordered: bool) -> f64 {
        let sum = AtomicU64::new(0);
        let used = Mutex::new(std::mem::take(&mut self.spare));
        let time = per_operation(TASKS, || {
            pool.in_place_scope(|scope| {
                for first in (0..TASKS).step_by(BATCH as usize) {
                    for sequence in first..first + BATCH {
                        self.scheduler.push(rank(sequence, ordered), Work(sequence));
                    }
                    self.scheduler.begin_slot(0);
                    let mut batch = used.lock().expect("no panics").pop().unwrap_or_default();
                    self.scheduler.take(BATCH as usize, &mut batch);
                    let (sum, used) = (&sum, &used);
                    scope.spawn(move |_| {
                        sum.fetch_add(batch.iter().fold(0, |sum, task| black_box(sum + task.0)), Ordering::Relaxed);
                        batch.clear();
                        used.lock().expect("no panics").push(batch);
                    });
                }
            });
        });
        assert_eq!(sum.into_inner(), TASKS * (TASKS - 1) / 2, "every task ran once");
        self.spare = used.into_inner().expect("no panics");
        time
    }
}

fn spawned(pool: &rayon::ThreadPool) -> f64 {
    let sum = AtomicU64::new(0);
    let time = per_operation(TASKS, || {
        // A scope waits for the tasks, as spawn with a latch would.
        pool.in_place_scope(|scope| {
            for sequence in 0..TASKS {
                let sum = &sum;
                scope.spawn(move |_| {
                    sum.fetch_add(sequence, Ordering::Relaxed);
                });
            }
        });
    });
    assert_eq!(sum.into_inner(), TASKS * (TASKS - 1) / 2, "every task ran once");
    time
}

type Boxed = (u8, std::cmp::Reverse<(bool, u64, u64)>, u64);

fn key(sequence: u64) -> Boxed {
    let Rank { priority, deadline_slot, .. } = rank(sequence, true);
    (priority, std::cmp::Reverse((deadline_slot.is_none(), deadline_slot.unwrap_or(0), sequence)), sequence)
}

/// What one writes first: a heap under a lock, and a condition variable.
fn binary_heap() -> f64 {
    let (queue, ready) = (Mutex::new(BinaryHeap::<Boxed>::new()), Condvar::new());
    let (taken, sum) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        let mut mine = 0;
        while taken.fetch_add(1, Ordering::AcqRel) < TASKS {
            let mut heap = queue.lock().expect("no panics");
            let task = loop {
                match heap.pop() {
                    Some(task) => break task,
                    None => heap = ready.wait(heap).expect("no panics"),
                }
            };
            drop(heap);
            mine = black_box(mine + task.2);
        }
        sum.fetch_add(mine, Ordering::Relaxed);
    };
    let time = per_operation(TASKS, || {
        thread::scope(|scope| {
            let worker = scope.spawn(work);
            for sequence in 0..TASKS {
                queue.lock().expect("no panics").push(key(sequence));
                ready.notify_one();
            }
            work();
            worker.join().expect("no panics");
        });
    });
    assert_eq!(sum.into_inner(), TASKS * (TASKS - 1) / 2, "every task ran once");
    time
}

fn one_thread(count: u64) -> f64 {
    let mut scheduler = Scheduler::default();
    let mut tasks = Vec::with_capacity(count as usize);
    per_operation(TASKS, || {
        for first in (0..TASKS).step_by(count as usize) {
            (first..first + count).for_each(|sequence| _ = scheduler.push(rank(sequence, true), Work(sequence)));
            scheduler.begin_slot(0);
            scheduler.take(count as usize, &mut tasks);
            black_box(&tasks);
            tasks.clear();
        }
    })
}

fn heap_one_thread(count: u64) -> f64 {
    let mut heap = BinaryHeap::new();
    per_operation(TASKS, || {
        for first in (0..TASKS).step_by(count as usize) {
            (first..first + count).for_each(|sequence| heap.push(key(sequence)));
            while let Some(task) = heap.pop() {
                black_box(task);
            }
        }
    })
}

/// For callgrind.
pub fn count(times: u64) {
    let mut scheduler = Scheduler::default();
    let mut tasks = Vec::with_capacity(64);
    for first in (0..times).step_by(64) {
        for sequence in first..first + 64 {
            scheduler.push(rank(sequence, true), Work(sequence));
        }
        scheduler.begin_slot(0);
        scheduler.take(64, &mut tasks);
        black_box(&tasks);
        tasks.clear();
    }
}
