//! Absolute times on one thread. Ratios to peers, and two threads, are in bench/native.

use async_bpf_ring::{Notify, many_to_one, one_to_one};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const BATCH: usize = 64;

fn push_and_drain(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("push and drain");
    for len in [8, 32, 128, 1024] {
        let record = vec![7u8; len];
        group.throughput(Throughput::Elements(BATCH as u64));
        let (producer, mut consumer) = many_to_one::heap(1 << 18).expect("a power of two");
        let producer = producer.with_notify(Notify::Never);
        group.bench_function(BenchmarkId::new("many-to-one", len), |bench| {
            bench.iter(|| {
                (0..BATCH).for_each(|_| assert!(producer.push(1, black_box(&record)).is_ok()));
                consumer.drain(BATCH, |record| assert!(black_box(record.bytes).len() == len))
            });
        });
        let (producer, mut consumer) = one_to_one::heap(1 << 18).expect("a power of two");
        let mut producer = producer.with_notify(Notify::Never);
        group.bench_function(BenchmarkId::new("one-to-one", len), |bench| {
            bench.iter(|| {
                (0..BATCH).for_each(|_| assert!(producer.push(1, black_box(&record)).is_ok()));
                consumer.drain(BATCH, |record| assert!(black_box(record.bytes).len() == len))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, push_and_drain);
criterion_main!(benches);
