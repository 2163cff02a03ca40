//! The matcher against its naive twin: each watcher asked by itself.

use async_bpf_engine::{
    Account, Address, Trigger,
    matcher::{Change, Fired, ForEach, Matcher, PARALLEL_FROM},
};
use proptest::{collection::vec, prelude::*};
use std::{collections::BTreeMap, sync::Arc, thread};

type Twin = BTreeMap<Address, BTreeMap<u64, Trigger>>;
type State = BTreeMap<Address, Account>;

fn address(n: u8) -> Address {
    Address([n; 32])
}

fn account(lamports: u64, data: impl Into<Vec<u8>>) -> Account {
    Account { lamports, data: Arc::new(data.into()), owner: address(200), executable: false }
}

/// What each watcher says for itself.
fn naive(watchers: &Twin, changes: &[(Address, Option<Account>, Option<Account>)]) -> Vec<Fired> {
    let mut fired = Vec::new();
    for (change, (address, old, new)) in changes.iter().enumerate() {
        for (id, trigger) in watchers.get(address).into_iter().flatten() {
            if let Some((old_value, new_value)) = trigger.fires(old.as_ref(), new.as_ref()) {
                fired.push(Fired { change, id: *id, old_value, new_value });
            }
        }
    }
    fired
}

fn changes<'a>(matcher: &Matcher, changes: &'a [(Address, Option<Account>, Option<Account>)]) -> Vec<Change<'a>> {
    changes.iter().map(|(address, old, new)| Change { account: matcher.key(*address), old: old.as_ref(), new: new.as_ref() }).collect()
}

fn matches(matcher: &Matcher, changes: &[Change<'_>]) -> Vec<Fired> {
    let mut fired = Vec::new();
    matcher.matches(changes, &mut fired);
    fired
}

/// Backwards, on two threads.
struct Backwards;

impl ForEach for Backwards {
    fn for_each(&self, n: usize, job: &(dyn Fn(usize) + Sync)) {
        thread::scope(|scope| {
            scope.spawn(|| (0..n).rev().filter(|index| index % 2 == 0).for_each(job));
            (0..n).rev().filter(|index| index % 2 == 1).for_each(job);
        });
    }
}

fn extreme() -> impl Strategy<Value = i64> {
    prop_oneof![6 => -3..4i64, 1 => Just(i64::MIN), 1 => Just(i64::MIN + 1), 1 => Just(i64::MAX), 1 => Just(i64::MAX - 1), 1 => any::<i64>()]
}

fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![8 => Just(0u64), 4 => Just(8), 2 => 0..25u64, 1 => Just(u64::MAX - 7), 1 => Just(1 << 32), 1 => Just(u64::from(u32::MAX))]
}

fn trigger() -> impl Strategy<Value = Trigger> {
    prop_oneof![
        1 => Just(Trigger::AnyChange),
        1 => Just(Trigger::LamportChange),
        1 => Just(Trigger::DataChange),
        1 => Just(Trigger::OwnerChange),
        4 => (offset(), extreme()).prop_map(|(offset, threshold)| Trigger::ThresholdAbove { offset, threshold }),
        4 => (offset(), extreme()).prop_map(|(offset, threshold)| Trigger::ThresholdBelow { offset, threshold }),
        3 => (offset(), vec(prop_oneof![3 => Just(0u8), 1 => Just(255), 1 => Just(1)], 1..10))
            .prop_map(|(offset, pattern)| Trigger::PatternMatch { offset, pattern }),
    ]
}

/// Data of up to three values, or cut in the midst of one.
fn data() -> impl Strategy<Value = Vec<u8>> {
    (vec(extreme(), 0..4), 0..4usize).prop_map(|(values, cut)| {
        let mut data: Vec<u8> = values.into_iter().flat_map(i64::to_le_bytes).collect();
        data.truncate(data.len().saturating_sub(if cut == 3 { 5 } else { 0 }));
        data
    })
}

fn state() -> impl Strategy<Value = Option<Account>> {
    let account = (1..3u64, data(), 0..8u8, any::<bool>()).prop_map(|(lamports, data, owner, executable)| Account {
        lamports,
        data: Arc::new(data),
        owner: address(owner / 7),
        executable,
    });
    proptest::option::weighted(0.85, account)
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u8, Trigger),
    /// The one at this share of all.
    Remove(prop::sample::Index),
    /// New states; the data stays where there is none.
    Change(Vec<(u8, Option<Account>, bool)>),
}

/// Times in which watchers become many, and times in which they become few.
fn history() -> impl Strategy<Value = Vec<Step>> {
    let steps = |inserts: u32, removes: u32| {
        let step = prop_oneof![
            inserts => (0..4u8, trigger()).prop_map(|(account, trigger)| Step::Insert(account.saturating_sub(1), trigger)),
            removes => any::<prop::sample::Index>().prop_map(Step::Remove),
            8 => vec((0..5u8, state(), any::<bool>()), 1..6).prop_map(Step::Change),
        ];
        vec(step, 0..200)
    };
    (steps(16, 1), steps(1, 16), steps(16, 4), steps(2, 20)).prop_map(|(a, b, c, d)| [a, b, c, d].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn fires_what_each_watcher_would_alone(history in history()) {
        let (mut matcher, mut twin, mut state) = (Matcher::default(), Twin::new(), State::new());
        for (id, step) in history.into_iter().enumerate() {
            // Ids do not ascend with time.
            let id = (id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            match step {
                Step::Insert(account, trigger) => {
                    matcher.insert(address(account), id, &trigger);
                    twin.entry(address(account)).or_default().insert(id, trigger);
                }
                Step::Remove(share) => {
                    let all: Vec<_> = twin.iter().flat_map(|(account, watchers)| watchers.keys().map(|id| (*account, *id))).collect();
                    if !all.is_empty() {
                        let (account, id) = *share.get(&all);
                        let trigger = twin.get_mut(&account).unwrap().remove(&id).unwrap();
                        matcher.remove(&account, id, &trigger);
                        matcher.remove(&account, id, &trigger);
                    }
                }
                Step::Change(updates) => {
                    let updates: BTreeMap<_, _> = updates.into_iter().map(|(n, new, keep)| (n, (new, keep))).collect();
                    let mut list = Vec::new();
                    for (n, (mut new, keep)) in updates.into_iter().rev() {
                        let old = state.get(&address(n)).cloned();
                        if let (true, Some(old), Some(new)) = (keep, &old, &mut new) {
                            new.data = old.data.clone();
                        }
                        match &new {
                            Some(new) => state.insert(address(n), new.clone()),
                            None => state.remove(&address(n)),
                        };
                        list.push((address(n), old, new));
                    }
                    let expected = naive(&twin, &list);
                    let list = changes(&matcher, &list);
                    prop_assert_eq!(&matches(&matcher, &list), &expected);
                    let mut one_by_one = Vec::new();
                    for (index, change) in list.iter().enumerate() {
                        let fired = matches(&matcher, std::slice::from_ref(change));
                        one_by_one.extend(fired.into_iter().map(|fired| Fired { change: index, ..fired }));
                    }
                    prop_assert_eq!(one_by_one, expected);
                }
            }
            for n in 0..5 {
                let expected: Vec<_> = twin.get(&address(n)).into_iter().flat_map(BTreeMap::keys).copied().collect();
                prop_assert_eq!(matcher.ids(&address(n)).collect::<Vec<_>>(), expected);
            }
        }
        for (account, watchers) in &twin {
            watchers.iter().for_each(|(id, trigger)| matcher.remove(account, *id, trigger));
        }
        prop_assert_eq!(format!("{matcher:?}"), format!("{:?}", Matcher::default()));
    }
}

fn numbered(n: u32) -> Address {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&n.to_le_bytes());
    Address(bytes)
}

#[test]
fn parts_in_any_order_are_the_whole() {
    let (mut matcher, mut twin) = (Matcher::default(), Twin::new());
    for n in 0..3000u32 {
        for id in 0..[0, 1, 3, 40][n as usize % 4] {
            let trigger = match id % 3 {
                0 => Trigger::AnyChange,
                1 => Trigger::ThresholdAbove { offset: 0, threshold: i64::from(id) },
                _ => Trigger::PatternMatch { offset: 1, pattern: vec![0; 3] },
            };
            let id = u64::from(n * 64 + (id * 29) % 64);
            matcher.insert(numbered(n), id, &trigger);
            twin.entry(numbered(n)).or_default().insert(id, trigger);
        }
    }
    for len in [0, 1, 15, 16, 17, PARALLEL_FROM - 1, PARALLEL_FROM, PARALLEL_FROM + 1, 5000] {
        let list: Vec<_> = (0..len as u32)
            .map(|n| (numbered(n), (n % 5 > 0).then(|| account(1, [n as u8; 8])), (n % 7 > 0).then(|| account(1, (n % 11).to_le_bytes().repeat(2)))))
            .collect();
        let expected = naive(&twin, &list);
        let list = changes(&matcher, &list);
        let mut fired = vec![Fired { change: 9, id: 9, old_value: None, new_value: None }];
        matcher.matches_in_parts(&list, &Backwards, &mut fired);
        assert_eq!(fired[1..], expected, "{len} changes");
        assert_eq!(matches(&matcher, &list), expected, "{len} changes");
    }
}

#[test]
fn crossing_many_thresholds_and_back() {
    let (mut matcher, mut twin) = (Matcher::default(), Twin::new());
    for id in 0..20_000u64 {
        let threshold = (id as i64 * 7919) % 5_000;
        let trigger = if id % 2 == 0 { Trigger::ThresholdAbove { offset: 4, threshold } } else { Trigger::ThresholdBelow { offset: 4, threshold } };
        matcher.insert(address(1), id, &trigger);
        twin.entry(address(1)).or_default().insert(id, trigger);
    }
    let mut old = None;
    for value in [Some(2_500i64), Some(2_501), Some(2_501), Some(2_400), Some(-1), Some(5_000), None, Some(i64::MAX), Some(i64::MIN), Some(17), None]
    {
        let new = value.map(|value| account(1, [&[0; 4], &value.to_le_bytes()[..]].concat()));
        let list = [(address(1), old, new.clone())];
        assert_eq!(matches(&matcher, &changes(&matcher, &list)), naive(&twin, &list), "to {value:?}");
        old = new;
    }
}

#[test]
fn ids_and_keys() {
    let mut matcher = Matcher::default();
    assert_eq!(matcher.ids(&address(1)).count(), 0);
    for id in [5, 3, 9] {
        matcher.insert(address(1), id, &Trigger::DataChange);
    }
    matcher.remove(&address(1), 4, &Trigger::DataChange);
    matcher.remove(&address(2), 3, &Trigger::DataChange);
    assert!(matcher.ids(&address(1)).eq([3, 5, 9]));
    let key = matcher.key(address(1));
    assert_eq!((*key.address(), key), (address(1), matcher.key(address(1))));
}
