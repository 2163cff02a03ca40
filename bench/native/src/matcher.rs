//! The watcher matcher against a loop that asks each watcher, and against other ways to find thresholds.

use crate::measure::{Bench, Goal, peer, per_operation, repeat_for, resident_bytes};
use async_bpf_engine::{
    Account, Address, Trigger,
    matcher::{Change, Fired, ForEach, Matcher},
};
use rayon::prelude::*;
use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    env,
    hint::black_box,
    process::Command,
    sync::{Arc, LazyLock},
    thread,
    time::Duration,
};

/// Changes that one match gets.
const SLOT: usize = 4_096;

const ROUND: Duration = Duration::from_millis(4);

/// Thresholds, many watchers of one account, many accounts, and threads.
pub fn run(bench: &mut Bench) {
    thresholds(bench);
    everybody_fires(bench);
    compared_once(bench);
    unwatched(bench);
    many_accounts(bench);
    bytes(bench);
}

/// For valgrind: updates that cross one threshold each.
pub fn count_thresholds(n: u64) {
    let crossing = Crossing::new(1_000);
    let mut fired = Vec::new();
    (0..n).for_each(|step| crossing.update(step as usize, &mut fired));
}

/// For valgrind: accounts that nobody watches, 16 at a time.
pub fn count_unwatched(n: u64) {
    let matcher = watched(1_000, |_| Trigger::AnyChange);
    let state = account(0);
    let changes: Vec<_> = (0..16).map(|n| change(&matcher, address(1_000 + n), Some(&state), Some(&state))).collect();
    (0..n / 16).for_each(|_| matcher.matches(black_box(&changes), &mut Vec::new()));
}

struct Rayon;

impl ForEach for Rayon {
    fn for_each(&self, n: usize, job: &(dyn Fn(usize) + Sync)) {
        (0..n).into_par_iter().for_each(job);
    }
}

/// A sequence that looks random, the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 3
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

fn address(n: u64) -> Address {
    let mut random = Random(n << 32);
    let mut bytes = [0; 32];
    bytes.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&random.next().to_le_bytes()));
    Address(bytes)
}

/// As large as a token account, with `value` at its beginning.
fn account(value: i64) -> Account {
    let mut data = vec![7; 165];
    data[..8].copy_from_slice(&value.to_le_bytes());
    Account { lamports: 2_039_280, data: Arc::new(data), owner: Address([6; 32]), executable: false }
}

fn change<'a>(matcher: &Matcher, address: Address, old: Option<&'a Account>, new: Option<&'a Account>) -> Change<'a> {
    Change { account: matcher.key(address), old, new }
}

fn watched(accounts: u64, trigger: impl Fn(u64) -> Trigger) -> Matcher {
    let mut matcher = Matcher::default();
    (0..accounts).for_each(|n| matcher.insert(address(n), n, &trigger(n)));
    matcher
}

/// One account with `n` thresholds, 10 apart, half of them watched from below and half from above; its value goes up and down by 20,
/// so that each update crosses one.
struct Crossing {
    matcher: Matcher,
    states: Vec<Account>,
}

impl Crossing {
    fn new(n: usize) -> Self {
        let mut matcher = Matcher::default();
        for (id, threshold) in (0..n).map(|id| (id as u64, 10 * id as i64)) {
            let above = Trigger::ThresholdAbove { offset: 0, threshold };
            let below = Trigger::ThresholdBelow { offset: 0, threshold };
            matcher.insert(address(0), id, if id % 2 == 0 { &above } else { &below });
        }
        Crossing { matcher, states: values(n).into_iter().map(account).collect() }
    }

    fn update(&self, step: usize, fired: &mut Vec<Fired>) {
        let (old, new) = (&self.states[step % self.states.len()], &self.states[(step + 1) % self.states.len()]);
        fired.clear();
        self.matcher.matches(&[change(&self.matcher, address_zero(), Some(old), Some(new))], fired);
        debug_assert_eq!(fired.len(), 1);
    }
}

/// [`address`] of 0, which a benchmark of one account should not make again and again.
fn address_zero() -> Address {
    static ADDRESS: LazyLock<Address> = LazyLock::new(|| address(0));
    *ADDRESS
}

/// From the middle up and down again.
fn values(thresholds: usize) -> Vec<i64> {
    let middle = 10 * thresholds as i64 / 2 + 5;
    let steps = 20.min(thresholds as i64 / 8);
    (0..steps).chain((0..=steps).rev()).map(|step| middle + 20 * step).take(2 * steps as usize).collect()
}

fn thresholds(bench: &mut Bench) {
    const TIMES: usize = 20_000;
    let round = |crossing: &Crossing| {
        let mut fired = Vec::new();
        repeat_for(ROUND, TIMES as u64, || (0..TIMES).for_each(|step| crossing.update(black_box(step), &mut fired)))
    };
    let [hundred, thousand, hundred_thousand, million] = [100, 1_000, 100_000, 1_000_000].map(Crossing::new);
    bench.compare(
        "an update that crosses one of 1,000,000 thresholds",
        || round(&million),
        vec![peer("one of 100", Goal::AtMost(2.0), || round(&hundred))],
    );
    for (name, crossing, n) in [
        ("an update that crosses one of 1,000 thresholds", &thousand, 1_000),
        ("an update that crosses one of 100,000 thresholds", &hundred_thousand, 100_000),
    ] {
        let sorted: Vec<(i64, u64)> = (0..n).map(|id| (10 * id as i64, id as u64)).collect();
        let tree: BTreeMap<(i64, u64), ()> = sorted.iter().map(|entry| (*entry, ())).collect();
        let values = values(n);
        let times = 2_000_000 / n;
        // They are given the values and a list of one direction; neither account nor table is theirs to look at.
        let steps = |times: usize, find: &dyn Fn(i64, i64, &mut Vec<u64>)| {
            let mut found = Vec::new();
            repeat_for(ROUND, times as u64, || {
                for step in 0..times {
                    let (old, new) = (values[step % values.len()], values[(step + 1) % values.len()]);
                    found.clear();
                    find(old.min(new), old.max(new), &mut found);
                    black_box(&found);
                }
            })
        };
        let scan = |low, high, found: &mut Vec<u64>| {
            found.extend(sorted.iter().filter(|(threshold, _)| low <= *threshold && *threshold < high).map(|(_, id)| *id))
        };
        let range = |low, high, found: &mut Vec<u64>| found.extend(tree.range((low, 0)..(high, 0)).map(|((_, id), ())| *id));
        bench.compare(
            name,
            || round(crossing),
            vec![
                peer("a scan of all", Goal::Report, || steps(times, &scan)),
                peer("BTreeMap::range, the bare values", Goal::Report, || steps(TIMES, &range)),
            ],
        );
    }
}

fn mixed(n: u64) -> Trigger {
    match n % 7 {
        0 => Trigger::AnyChange,
        1 => Trigger::LamportChange,
        2 => Trigger::DataChange,
        3 => Trigger::OwnerChange,
        4 => Trigger::ThresholdAbove { offset: 0, threshold: 10 + (n % 90) as i64 },
        5 => Trigger::ThresholdBelow { offset: 8, threshold: 90 - (n % 90) as i64 },
        _ => Trigger::PatternMatch { offset: 32, pattern: vec![1; 32] },
    }
}

fn everybody_fires(bench: &mut Bench) {
    let mut before = account(0);
    before.lamports = 1;
    before.owner = Address([5; 32]);
    Arc::make_mut(&mut before.data)[8..16].copy_from_slice(&100i64.to_le_bytes());
    let mut after = account(1_000);
    Arc::make_mut(&mut after.data)[8..16].copy_from_slice(&0i64.to_le_bytes());
    Arc::make_mut(&mut after.data)[32..64].fill(1);
    let mut round = |name: &str, goal, trigger: &dyn Fn(u64) -> Trigger| {
        let mut matcher = Matcher::default();
        let mut random = Random(1);
        let mut ids: Vec<u64> = (0..100).collect();
        (1..100).for_each(|n| ids.swap(n, random.below(n + 1)));
        (0..100).for_each(|n| matcher.insert(address_zero(), ids[n as usize], &trigger(n)));
        let mut fired = Vec::new();
        let times = (0..if bench.quick { 7 } else { 31 })
            .map(|_| {
                repeat_for(ROUND, 1_000, || {
                    for _ in 0..1_000 {
                        fired.clear();
                        matcher.matches(&[change(&matcher, address_zero(), Some(&before), Some(&after))], &mut fired);
                        assert_eq!(fired.len(), 100);
                    }
                })
            })
            .collect();
        bench.spread(name, "ns", None, goal, times);
    };
    round("100 watchers of any change, all fire", Goal::AtMost(1_000.0), &|_| Trigger::AnyChange);
    round("100 watchers of all kinds, all fire", Goal::AtMost(1_000.0), &mixed);
    round("100 thresholds in no order of ids, all fire", Goal::AtMost(1_000.0), &|n| Trigger::ThresholdAbove { offset: 0, threshold: n as i64 });
}

fn compared_once(bench: &mut Bench) {
    let mut matcher = Matcher::default();
    (0..1_000).for_each(|id| matcher.insert(address_zero(), id, &Trigger::DataChange));
    let old = Account { lamports: 1, data: Arc::new(vec![3; 10 << 20]), ..Account::default() };
    let mut new = old.clone();
    *Arc::make_mut(&mut new.data).last_mut().expect("10 MiB") = 4;
    let mut fired = Vec::new();
    bench.compare(
        "1,000 data watchers of 10 MiB, the last byte differs",
        || {
            repeat_for(3 * ROUND, 1, || {
                fired.clear();
                matcher.matches(&[change(&matcher, address_zero(), Some(&old), Some(&new))], &mut fired);
                assert_eq!(fired.len(), 1_000);
            })
        },
        vec![peer("one comparison", Goal::AtMost(1.15), || {
            repeat_for(3 * ROUND, 1, || {
                black_box(black_box(&*old.data) == black_box(&*new.data));
            })
        })],
    );
}

fn unwatched(bench: &mut Bench) {
    let accounts = if bench.quick { 100_000 } else { 1_000_000 };
    let matcher = watched(accounts, |_| Trigger::AnyChange);
    let table: hashbrown::HashMap<Address, u64> = (0..accounts).map(|n| (address(n), n)).collect();
    let state = account(1);
    let others: Vec<_> = (0..20_000).map(|n| address(accounts + n)).collect();
    let keyed: Vec<_> = others.iter().map(|other| change(&matcher, *other, Some(&state), Some(&state))).collect();
    let mut fired = Vec::new();
    let mut changes = Vec::new();
    bench.compare(
        "an unwatched account among those of a table, hashed and looked up",
        || {
            repeat_for(ROUND, others.len() as u64, || {
                for others in others.chunks(256) {
                    changes.clear();
                    changes.extend(others.iter().map(|other| change(&matcher, *other, Some(&state), Some(&state))));
                    matcher.matches(black_box(&changes), &mut fired);
                }
            })
        },
        vec![peer("a miss of hashbrown's HashMap", Goal::AtMost(1.3), || {
            repeat_for(ROUND, others.len() as u64, || {
                others.iter().for_each(|other| {
                    black_box(table.get(black_box(other)));
                })
            })
        })],
    );
    bench.compare(
        "an unwatched account, hashed before",
        || repeat_for(ROUND, keyed.len() as u64, || matcher.matches(black_box(&keyed), &mut fired)),
        Vec::new(),
    );
}

/// Prints the bytes of a watcher, in a process that has not used memory before.
pub fn count_bytes_of_one(n: u64) {
    count_bytes(n, 1);
}

/// The same with eight watchers of each account.
pub fn count_bytes_of_eight(n: u64) {
    count_bytes(n, 8);
}

fn count_bytes(n: u64, of_each: u64) {
    let before = resident_bytes();
    let mut matcher = Matcher::default();
    (0..n).for_each(|id| matcher.insert(address(id / of_each), id, &mixed(id)));
    println!("{}", (resident_bytes() - before) / n);
    drop(matcher);
}

fn bytes(bench: &mut Bench) {
    for (name, operation) in
        [("bytes a watcher, one of each account", "matcher-bytes-of-one"), ("bytes a watcher, eight of each account", "matcher-bytes-of-eight")]
    {
        let child = env::current_exe().and_then(|exe| Command::new(exe).args(["--count", operation, "--times", "1000000"]).output());
        match child.map(|output| String::from_utf8_lossy(&output.stdout).trim().parse()) {
            Ok(Ok(value)) => bench.number(name, "bytes", Goal::Report, value),
            other => eprintln!("  {name}: not counted: {other:?}"),
        }
    }
}

/// What the loop keeps of an account: its last state, and triggers by id.
type Naive = (Option<Account>, Vec<(u64, Trigger)>);

fn many_accounts(bench: &mut Bench) {
    let accounts: u64 = if bench.quick { 250_000 } else { 1_000_000 };
    let matcher = watched(accounts, mixed);
    let mut random = Random(2);
    let mut naive: HashMap<Address, Naive> = HashMap::new();
    for n in 0..accounts {
        naive.insert(address(n), (Some(account(random.below(100) as i64)), vec![(n, mixed(n))]));
    }
    // Slots of distinct accounts, in no order.
    let batch = accounts as usize / 16;
    let batches: Vec<Vec<(Address, Account)>> = {
        let mut all: Vec<u64> = (0..accounts).collect();
        (1..all.len()).for_each(|n| all.swap(n, random.below(n + 1)));
        all.chunks(batch).map(|chunk| chunk.iter().map(|n| (address(*n), account(random.below(100) as i64))).collect()).collect()
    };
    // Noted when they were touched, as an engine does.
    let olds: Vec<Vec<Option<Account>>> = batches.iter().map(|batch| batch.iter().map(|(address, _)| naive[address].0.clone()).collect()).collect();
    let keyed: Vec<Vec<Change<'_>>> = batches
        .iter()
        .zip(&olds)
        .map(|(batch, olds)| batch.iter().zip(olds).map(|((address, new), old)| change(&matcher, *address, old.as_ref(), Some(new))).collect())
        .collect();

    let turn = Cell::new(0usize);
    let next = || {
        turn.set(turn.get() + 1);
        turn.get() % batches.len()
    };
    let mut fired = Vec::new();
    let mut changes = Vec::new();
    let mut twin = Vec::new();
    let mut given = Vec::new();
    bench.compare(
        "1,000,000 accounts with a watcher each, random updates of 165 bytes",
        || {
            let n = next();
            fired.clear();
            per_operation(batch as u64, || {
                for (updates, olds) in batches[n].chunks(SLOT).zip(olds[n].chunks(SLOT)) {
                    changes.clear();
                    changes.extend(updates.iter().zip(olds).map(|((address, new), old)| change(&matcher, *address, old.as_ref(), Some(new))));
                    matcher.matches(&changes, &mut fired);
                }
                fired.len()
            })
        },
        vec![
            peer("std HashMap with state and triggers, each asked", Goal::AtLeast(4.0), || {
                let n = next();
                twin.clear();
                per_operation(batch as u64, || {
                    for (index, (address, new)) in batches[n].iter().enumerate() {
                        let Some((old, watchers)) = naive.get(address) else { continue };
                        for (id, trigger) in watchers {
                            if let Some((old_value, new_value)) = trigger.fires(old.as_ref(), Some(new)) {
                                twin.push(Fired { change: index, id: *id, old_value, new_value });
                            }
                        }
                    }
                    twin.len()
                })
            }),
            peer("the same, with the old state given", Goal::Report, || {
                let n = next();
                given.clear();
                per_operation(batch as u64, || {
                    for (index, ((address, new), old)) in batches[n].iter().zip(&olds[n]).enumerate() {
                        let Some((_, watchers)) = naive.get(address) else { continue };
                        for (id, trigger) in watchers {
                            if let Some((old_value, new_value)) = trigger.fires(old.as_ref(), Some(new)) {
                                given.push(Fired { change: index, id: *id, old_value, new_value });
                            }
                        }
                    }
                    given.len()
                })
            }),
        ],
    );
    parts(bench, &matcher, &keyed);
}

/// Where a second thread begins to pay, and how much it does.
fn parts(bench: &mut Bench, matcher: &Matcher, batches: &[Vec<Change<'_>>]) {
    let mut fired = (Vec::new(), Vec::new());
    for size in [512, 1_024, 2_048, 4_096, 8_192] {
        let turn = Cell::new(0usize);
        let next = || {
            turn.set(turn.get() + 1);
            &batches[turn.get() % batches.len()][..size]
        };
        bench.compare(
            &format!("{size} changes in parts for rayon"),
            || {
                repeat_for(ROUND, size as u64, || {
                    fired.0.clear();
                    matcher.matches_in_parts(next(), &Rayon, &mut fired.0)
                })
            },
            vec![
                peer("one thread", Goal::Report, || {
                    repeat_for(ROUND, size as u64, || {
                        fired.1.clear();
                        matcher.matches(next(), &mut fired.1)
                    })
                }),
                peer("two halves for rayon, whatever the size", Goal::Report, || {
                    let (mut left, mut right) = (Vec::new(), Vec::new());
                    repeat_for(ROUND, size as u64, || {
                        let (first, second) = next().split_at(size / 2);
                        left.clear();
                        right.clear();
                        rayon::join(|| matcher.matches(first, &mut left), || matcher.matches(second, &mut right));
                    })
                }),
                peer("two plain threads with half each", Goal::Report, || {
                    let half = size / 2;
                    let halves = |from: usize| {
                        let mut fired = Vec::new();
                        for batch in batches.iter().chain(batches).chain(batches).take(20) {
                            fired.clear();
                            matcher.matches(&batch[from..from + half], &mut fired);
                        }
                    };
                    per_operation(20 * size as u64, || {
                        thread::scope(|scope| {
                            scope.spawn(|| halves(0));
                            halves(half);
                        })
                    })
                }),
            ],
        );
    }
}
