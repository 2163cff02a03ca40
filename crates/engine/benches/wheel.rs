//! Absolute times of the timer wheel; `bench/native` compares them with those of its peers.

use async_bpf_engine::wheel::{Handle, Wheel};
use criterion::{BatchSize::PerIteration, Criterion, Throughput, criterion_group, criterion_main};

const TIMERS: u64 = 1_000_000;
const HORIZON: u64 = 1_000_000;

/// A million timers in slots without a pattern, some with several and some with none.
fn full() -> (Wheel, Vec<Handle>) {
    let mut wheel = Wheel::new(0, HORIZON);
    let slot = |id: u64| 1 + (id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % HORIZON;
    let handles = (0..TIMERS).map(|id| wheel.insert(slot(id), id).expect("it is in range")).collect();
    (wheel, handles)
}

fn wheel(c: &mut Criterion) {
    let mut group = c.benchmark_group("wheel, 1M timers");
    group.sample_size(10).throughput(Throughput::Elements(TIMERS));
    group.bench_function("insert into an empty one", |b| b.iter_with_large_drop(full));
    let cancel = |(mut wheel, handles): (Wheel, Vec<Handle>)| {
        handles.into_iter().zip(0..).for_each(|(handle, id)| assert!(wheel.cancel(handle, id).is_some()));
        wheel
    };
    group.bench_function("cancel all", |b| b.iter_batched(full, cancel, PerIteration));
    let expire = |(mut wheel, _): (Wheel, Vec<Handle>)| {
        let mut due = Vec::with_capacity(TIMERS as usize);
        wheel.advance(HORIZON, &mut due);
        (wheel, due)
    };
    group.bench_function("expire all", |b| b.iter_batched(full, expire, PerIteration));
    group.finish();
}

criterion_group!(benches, wheel);
criterion_main!(benches);
