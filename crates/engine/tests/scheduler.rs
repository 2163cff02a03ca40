//! The scheduler against one that sorts everything whenever it is asked.

use async_bpf_engine::scheduler::{AGING_SLOTS, Key, Rank, Scheduler};
use proptest::prelude::*;

/// Sorts everything, always.
#[derive(Default)]
struct Naive {
    tasks: Vec<(Rank, Key, bool)>,
    slot: u64,
}

impl Naive {
    fn in_order(&self) -> Vec<Rank> {
        let mut ranks: Vec<_> = self.tasks.iter().filter(|(_, _, counts)| *counts).map(|(rank, ..)| *rank).collect();
        ranks.sort_by_key(|rank| {
            let level = (u64::from(rank.priority) + (self.slot - rank.queued_slot) / AGING_SLOTS).min(3);
            (3 - level, rank.deadline_slot.is_none(), rank.deadline_slot, rank.sequence)
        });
        ranks
    }

    fn key(&self, sequence: u64) -> Key {
        self.tasks.iter().find(|(rank, ..)| rank.sequence == sequence).unwrap().1
    }

    fn remove(&mut self, sequence: u64) {
        self.tasks.retain(|(rank, ..)| rank.sequence != sequence);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push { priority: u8, deadline: Option<u64> },
    Remove { pick: usize },
    Slot { skip: u64, run: usize, cancel: Option<usize> },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..4u8, proptest::option::of(0..200u64)).prop_map(|(priority, deadline)| Step::Push { priority, deadline }),
        1 => any::<usize>().prop_map(|pick| Step::Remove { pick }),
        3 => (prop_oneof![0..3u64, 40..90u64, 200..400u64], 0..8usize, proptest::option::of(any::<usize>()))
            .prop_map(|(skip, run, cancel)| Step::Slot { skip, run, cancel }),
    ];
    proptest::collection::vec(step, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_is_that_of_sorting(steps in steps()) {
        let mut ours = Scheduler::default();
        let mut naive = Naive::default();
        let mut gone: Vec<Key> = Vec::new();
        for (sequence, step) in (1u64..).zip(steps) {
            match step {
                Step::Push { priority, deadline } => {
                    let rank = Rank { priority, deadline_slot: deadline.map(|slots| naive.slot + slots), sequence, queued_slot: naive.slot };
                    let key = ours.push(rank, sequence);
                    naive.tasks.push((rank, key, false));
                }
                Step::Remove { pick } => {
                    if !naive.tasks.is_empty() {
                        let (rank, key, _) = naive.tasks.swap_remove(pick % naive.tasks.len());
                        prop_assert_eq!(ours.remove(key), Some(rank.sequence));
                        gone.push(key);
                    }
                }
                Step::Slot { skip, run, cancel } => {
                    naive.slot += 1 + skip;
                    naive.tasks.iter_mut().for_each(|task| task.2 = true);
                    ours.begin_slot(naive.slot);
                    let slot = naive.slot;
                    for rank in naive.in_order().into_iter().filter(|rank| rank.deadline_slot.is_some_and(|deadline| deadline < slot)) {
                        let key = naive.key(rank.sequence);
                        prop_assert_eq!(ours.next_expired(), Some(key));
                        prop_assert_eq!(ours.remove(key), Some(rank.sequence));
                        naive.remove(rank.sequence);
                    }
                    prop_assert_eq!(ours.next_expired(), None);
                    for n in 0..run {
                        // A task may be cancelled by another one that runs.
                        if let (1, Some(pick), [_, ..]) = (n, cancel, &naive.tasks[..]) {
                            let (rank, key, _) = naive.tasks.swap_remove(pick % naive.tasks.len());
                            prop_assert_eq!(ours.remove(key), Some(rank.sequence));
                        }
                        let expected = naive.in_order().first().map(|rank| naive.key(rank.sequence));
                        prop_assert_eq!(ours.peek(), expected);
                        prop_assert_eq!(ours.hand_out(), expected);
                        let Some(key) = expected else { break };
                        let sequence = *ours.get(key).unwrap();
                        prop_assert_eq!(ours.remove(key), Some(sequence));
                        naive.remove(sequence);
                        gone.push(key);
                    }
                }
            }
            prop_assert_eq!(ours.len(), naive.tasks.len());
            prop_assert!(gone.iter().all(|key| ours.get(*key).is_none()), "a key names a task for good");
        }
    }
}

fn rank(sequence: u64, priority: u8, deadline_slot: Option<u64>, queued_slot: u64) -> Rank {
    Rank { priority, deadline_slot, sequence, queued_slot }
}

/// Everything that may run in the slot, taken at once; what has expired is dropped.
fn taken(scheduler: &mut Scheduler<u64>, slot: u64) -> Vec<u64> {
    scheduler.begin_slot(slot);
    while let Some(key) = scheduler.next_expired() {
        scheduler.remove(key).unwrap();
    }
    let mut tasks = Vec::new();
    scheduler.take(usize::MAX, &mut tasks);
    tasks
}

#[test]
fn what_is_pushed_in_a_slot_waits_for_the_next() {
    let mut scheduler = Scheduler::default();
    scheduler.push(rank(1, 0, None, 1), 1);
    scheduler.begin_slot(1);
    scheduler.push(rank(2, 3, Some(9), 1), 2);
    assert_eq!(scheduler.hand_out().and_then(|key| scheduler.remove(key)), Some(1));
    assert_eq!(scheduler.hand_out(), None);
    assert_eq!(taken(&mut scheduler, 2), [2]);
}

#[test]
fn a_task_that_has_aged_goes_before_a_younger_one_of_its_level() {
    let mut scheduler = Scheduler::default();
    scheduler.push(rank(1, 0, None, 0), 1);
    scheduler.push(rank(2, 1, None, 0), 2);
    scheduler.push(rank(3, 1, None, 64), 3);
    scheduler.push(rank(4, 2, None, 64), 4);
    // In slot 64, 2 has risen to the level of 4, and 1 to that of 3.
    assert_eq!(taken(&mut scheduler, 64), [2, 4, 1, 3]);
}

#[test]
fn deadlines_order_tasks_of_one_level_across_aging() {
    let mut scheduler = Scheduler::default();
    scheduler.push(rank(1, 2, Some(300), 0), 1);
    scheduler.push(rank(2, 3, Some(299), 0), 2);
    scheduler.push(rank(3, 0, Some(298), 0), 3);
    scheduler.push(rank(4, 3, None, 0), 4);
    assert_eq!(taken(&mut scheduler, 64), [2, 1, 4, 3]);
    scheduler.push(rank(5, 0, Some(u64::MAX), 64), 5);
    scheduler.push(rank(6, 3, Some(u64::MAX - 1), u64::MAX), 6);
    assert_eq!(taken(&mut scheduler, u64::MAX), [5]);
    assert!(scheduler.is_empty(), "the other one has expired");
}

#[test]
fn a_task_that_would_rise_after_the_last_slot_runs_in_it() {
    let mut scheduler = Scheduler::default();
    scheduler.push(rank(1, 0, Some(u64::MAX), u64::MAX - 10), 1);
    scheduler.begin_slot(u64::MAX - 10);
    assert_eq!(taken(&mut scheduler, u64::MAX), [1]);
}

#[test]
fn cancelled_tasks_that_are_never_reached_take_no_memory() {
    let mut scheduler = Scheduler::default();
    for slot in 1..1_000u64 {
        scheduler.push(rank(slot * 1000, 3, None, slot), 0);
        let cancelled: Vec<_> = (1..500).map(|n| scheduler.push(rank(slot * 1000 + n, 0, (n % 2 == 0).then_some(u64::MAX), slot), n)).collect();
        scheduler.begin_slot(slot);
        for key in cancelled {
            scheduler.remove(key).unwrap();
        }
        let next = scheduler.hand_out().unwrap();
        scheduler.remove(next);
        assert!(scheduler.keys_held() <= 4 * 564 + 1_000, "{} keys for {} tasks in slot {slot}", scheduler.keys_held(), scheduler.len());
    }
}
