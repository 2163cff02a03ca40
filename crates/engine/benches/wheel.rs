//! Absolute times of the timer wheel; `bench/native` has the comparison with its peers.

use async_bpf_engine::wheel::Wheel;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const TIMERS: u64 = 1_000_000;
const HORIZON: u64 = 1_000_000;

/// Slots in an order without a pattern, each of `1..=HORIZON` once: 7 is no factor of the horizon.
fn slots() -> impl Iterator<Item = u64> {
    (1..=TIMERS).map(|n| 1 + n * 7_654_321 % HORIZON)
}

fn full() -> (Wheel, Vec<async_bpf_engine::wheel::Handle>) {
    let mut wheel = Wheel::new(0, HORIZON);
    let handles = slots().zip(0..).map(|(slot, id)| wheel.insert(slot, id).expect("in range")).collect();
    (wheel, handles)
}

fn wheel(c: &mut Criterion) {
    let mut group = c.benchmark_group("wheel, 1M timers");
    group.sample_size(10).throughput(Throughput::Elements(TIMERS));
    group.bench_function("insert", |b| b.iter_batched(slots, |slots| slots.map(|slot| slot).count(), BatchSize::PerIteration));
    group.finish();
}

criterion_group!(benches, wheel);
criterion_main!(benches);
