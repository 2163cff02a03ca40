//! Absolute times of the matcher; bench/native has the comparisons.

use async_bpf_engine::{
    Account, Address, Trigger,
    matcher::{Change, Matcher},
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::sync::Arc;

fn address(n: u64) -> Address {
    let mut bytes = [5; 32];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    Address(bytes)
}

/// As large as a token account, with `value` at its beginning.
fn account(value: i64) -> Account {
    let mut data = vec![7; 165];
    data[..8].copy_from_slice(&value.to_le_bytes());
    Account { lamports: 1, data: Arc::new(data), ..Account::default() }
}

fn benches(criterion: &mut Criterion) {
    let (low, high) = (account(4), account(15));

    for thresholds in [1, 16, 100, 1_000_000] {
        let mut matcher = Matcher::default();
        (0..thresholds).for_each(|id| matcher.insert(address(0), id, &Trigger::ThresholdAbove { offset: 0, threshold: 10 * (id + 1) as i64 }));
        let changes = [Change { account: matcher.key(address(0)), old: Some(&low), new: Some(&high) }];
        let mut fired = Vec::new();
        criterion.bench_function(&format!("cross one of {thresholds} thresholds"), |bencher| {
            bencher.iter(|| {
                fired.clear();
                matcher.matches(&changes, &mut fired);
            });
        });
    }

    let mut matcher = Matcher::default();
    (0..100_000).for_each(|n| matcher.insert(address(n), n, &Trigger::DataChange));
    for (name, from) in [("1,000 watched accounts", 0), ("1,000 unwatched accounts", 100_000)] {
        let changes: Vec<_> =
            (0..1_000).map(|n| Change { account: matcher.key(address(from + n * 97)), old: Some(&low), new: Some(&high) }).collect();
        let mut group = criterion.benchmark_group("batch");
        group.throughput(Throughput::Elements(changes.len() as u64));
        group.bench_function(name, |bencher| bencher.iter_batched_ref(Vec::new, |fired| matcher.matches(&changes, fired), BatchSize::SmallInput));
        group.finish();
    }

    criterion.bench_function("insert and remove a watcher of 100,000 accounts", |bencher| {
        bencher.iter(|| {
            matcher.insert(address(7), 1 << 40, &Trigger::AnyChange);
            matcher.remove(&address(7), 1 << 40, &Trigger::AnyChange);
        });
    });
}

criterion_group!(group, benches);
criterion_main!(group);
