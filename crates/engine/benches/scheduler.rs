//! Absolute times of the scheduler: `cargo bench -p async-bpf-engine --bench scheduler`. Ratios to peers are in bench/native.

use async_bpf_engine::scheduler::{Rank, Scheduler};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const TASKS: u64 = 1_000;

/// Fills a slot with tasks, one in `deadlines` of which has a deadline.
fn fill(scheduler: &mut Scheduler<u64>, slot: u64, deadlines: u64) {
    for n in 0..TASKS {
        let deadline_slot = n.is_multiple_of(deadlines).then_some(slot + n);
        scheduler.push(Rank { priority: (n % 4) as u8, deadline_slot, sequence: slot * TASKS + n, queued_slot: slot }, n);
    }
}

fn a_slot(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("push and take 1,000 tasks");
    group.throughput(Throughput::Elements(TASKS));
    for (name, deadlines) in [("without deadlines", u64::MAX), ("one in 16 with a deadline", 16), ("all with deadlines", 1)] {
        let (mut scheduler, mut slot, mut tasks) = (Scheduler::default(), 0, Vec::new());
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                slot += 1;
                fill(&mut scheduler, slot, deadlines);
                scheduler.begin_slot(slot);
                scheduler.take(usize::MAX, &mut tasks);
                black_box(&tasks);
                tasks.clear();
            });
        });
    }
    group.finish();
}

fn backlog(criterion: &mut Criterion) {
    let mut scheduler = Scheduler::default();
    (1..=1_000).for_each(|slot| fill(&mut scheduler, slot, 16));
    let mut slot = 1_000;
    criterion.bench_function("begin a slot with a million tasks waiting", |bencher| {
        bencher.iter(|| {
            slot += 1;
            scheduler.begin_slot(slot);
            black_box(scheduler.peek());
        });
    });
}

criterion_group!(benches, a_slot, backlog);
criterion_main!(benches);
