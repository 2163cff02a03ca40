//! The timer wheel against an ordered map that does the same.

use async_bpf_engine::wheel::{Handle, MAX_HORIZON, OutOfRange, Wheel};
use proptest::prelude::*;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    collections::BTreeMap,
};

/// What a wheel should be, slowly.
struct Twin {
    current: u64,
    horizon: u64,
    pending: BTreeMap<(u64, u64), Handle>,
}

impl Twin {
    fn due(&mut self, slot: u64) -> Vec<(u64, u64)> {
        self.current = self.current.max(slot);
        let later = match slot.checked_add(1) {
            Some(next) => self.pending.split_off(&(next, 0)),
            None => BTreeMap::new(),
        };
        std::mem::replace(&mut self.pending, later).into_keys().collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// So many slots ahead.
    Insert(u64),
    /// The timer that was inserted as the n-th, modulo their number; it may have gone long ago.
    Cancel(usize),
    /// So many slots.
    Advance(u64),
}

/// Near, within a million, around the horizon, or beyond it.
fn distance(horizon: u64) -> impl Strategy<Value = u64> {
    prop_oneof![6 => 1..6u64, 3 => 1..1_000_000u64, 2 => horizon - 3..=horizon, 1 => horizon..=horizon + 2, 1 => Just(0)]
}

fn step(horizon: u64) -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => distance(horizon).prop_map(Step::Insert),
        3 => any::<usize>().prop_map(Step::Cancel),
        3 => prop_oneof![4 => Just(1), 4 => 0..5u64, 2 => 0..70_000u64, 1 => 0..1_000_000u64, 1 => 0..=2 * horizon].prop_map(Step::Advance),
    ]
}

fn scenario() -> impl Strategy<Value = (u64, u64, Vec<Step>)> {
    let horizon = prop_oneof![Just(3u64), Just(65_535), Just(65_536), Just(1_000_000), Just(MAX_HORIZON)];
    horizon.prop_flat_map(|horizon| {
        let start = prop_oneof![Just(0u64), any::<u64>(), (0..3 * horizon).prop_map(|before| u64::MAX - before)];
        (start, Just(horizon), prop::collection::vec(step(horizon), 1..200))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn does_what_an_ordered_map_does((start, horizon, steps) in scenario()) {
        let mut wheel = Wheel::new(start, horizon);
        let mut twin = Twin { current: start, horizon, pending: BTreeMap::new() };
        let mut inserted = Vec::new();
        for step in steps {
            match step {
                Step::Insert(distance) => {
                    let Some(slot) = twin.current.checked_add(distance) else { continue };
                    // Ascending and descending ones meet in one slot.
                    let number = inserted.len() as u64;
                    let id = if distance % 2 == 0 { number << 20 } else { (1 << 40) - (number << 20) };
                    match wheel.insert(slot, id) {
                        Ok(handle) => {
                            prop_assert!((1..=twin.horizon).contains(&distance));
                            twin.pending.insert((slot, id), handle);
                            inserted.push((handle, slot, id));
                        }
                        Err(OutOfRange { slot: refused, max, .. }) => {
                            prop_assert!(!(1..=twin.horizon).contains(&distance));
                            prop_assert_eq!((refused, max), (slot, twin.current.saturating_add(horizon)));
                        }
                    }
                }
                Step::Cancel(n) if !inserted.is_empty() => {
                    let (handle, slot, id) = inserted[n % inserted.len()];
                    let expected = twin.pending.remove(&(slot, id)).map(|_| slot);
                    prop_assert_eq!(wheel.cancel(handle, id), expected);
                }
                Step::Cancel(_) => {}
                Step::Advance(distance) => {
                    let slot = twin.current.saturating_add(distance);
                    let mut due = Vec::new();
                    wheel.advance(slot, &mut due);
                    prop_assert_eq!(due, twin.due(slot));
                }
            }
            prop_assert_eq!(wheel.current(), twin.current);
            prop_assert_eq!(wheel.len(), twin.pending.len());
            prop_assert_eq!(wheel.is_empty(), twin.pending.is_empty());
            prop_assert_eq!(wheel.next_due(), twin.pending.keys().next().map(|(slot, _)| *slot));
        }
        let mut due = Vec::new();
        wheel.advance(u64::MAX, &mut due);
        prop_assert_eq!(due, twin.due(u64::MAX));
    }
}

fn advanced(wheel: &mut Wheel, slot: u64) -> Vec<(u64, u64)> {
    let mut due = Vec::new();
    wheel.advance(slot, &mut due);
    due
}

#[test]
fn slots_that_share_a_position_do_not_meet() {
    // 2^20 positions: after a lap, each belongs to another slot.
    let mut wheel = Wheel::new(0, 1_000_000);
    for lap in 0..5 {
        let slot = 77 + (lap << 20);
        assert_eq!(advanced(&mut wheel, slot - 1_000_000.min(slot)), []);
        wheel.insert(slot, lap).unwrap();
        assert_eq!(advanced(&mut wheel, slot - 1), []);
        assert_eq!(advanced(&mut wheel, slot), [(slot, lap)]);
    }
}

#[test]
fn the_horizon_is_the_last_slot() {
    for (horizon, real) in [(1, 1), (1_000_000, 1_000_000), (MAX_HORIZON, MAX_HORIZON), (u64::MAX, MAX_HORIZON)] {
        let mut wheel = Wheel::new(10, horizon);
        wheel.insert(10 + real, 5).unwrap();
        assert_eq!(wheel.insert(11 + real, 6), Err(OutOfRange { slot: 11 + real, min: 11, max: 10 + real }));
        assert_eq!(wheel.insert(10, 6).unwrap_err().to_string(), format!("slot must be from 11 to {}, not 10", 10 + real));
        assert_eq!(advanced(&mut wheel, 9 + real), []);
        assert_eq!(advanced(&mut wheel, 10 + real), [(10 + real, 5)]);
    }
    assert!(Wheel::new(0, 0).insert(1, 1).is_err());
}

#[test]
fn an_earlier_slot_changes_nothing() {
    let mut wheel = Wheel::new(100, 1_000);
    wheel.insert(101, 1).unwrap();
    assert_eq!(advanced(&mut wheel, 50), []);
    assert_eq!((wheel.current(), wheel.next_due()), (100, Some(101)));
}

#[test]
fn a_slot_may_have_a_hundred_thousand_timers() {
    let mut wheel = Wheel::new(0, 1_000);
    // Every third is cancelled, and every tenth comes out of order.
    let id = |n: u64| if n.is_multiple_of(10) { n } else { n << 20 };
    let handles: Vec<_> = (0..100_000).map(|n| (n, wheel.insert(7, id(n)).unwrap())).collect();
    for (n, handle) in handles.iter().filter(|(n, _)| n % 3 == 0) {
        assert_eq!(wheel.cancel(*handle, id(*n)), Some(7));
    }
    let mut expected: Vec<_> = (0..100_000).filter(|n| n % 3 != 0).map(|n| (7, id(n))).collect();
    expected.sort();
    assert_eq!(advanced(&mut wheel, 7), expected);
}

#[test]
fn a_handle_is_good_for_its_own_timer_only() {
    let mut wheel = Wheel::new(0, 1_000);
    let first = wheel.insert(5, 1).unwrap();
    assert_eq!(wheel.cancel(first, 1), Some(5));
    assert_eq!(wheel.cancel(first, 1), None);
    // The place is used again.
    let second = wheel.insert(6, 2).unwrap();
    assert_eq!(second, first);
    assert_eq!(wheel.cancel(first, 1), None);
    assert_eq!(advanced(&mut wheel, 6), [(6, 2)]);
    assert_eq!(wheel.cancel(second, 2), None);
}

#[test]
fn memory_follows_what_is_pending() {
    let mut wheel = Wheel::new(0, 1_000_000_000);
    assert!(wheel.memory().slots + wheel.memory().timers + size_of::<Wheel>() < 64 << 10);
    // One page moves along with a timer that is moved on and on, far beyond the horizon.
    for n in 1..=50_000 {
        let slot = n * 1_000_000;
        wheel.insert(slot, n << 20).unwrap();
        assert_eq!(advanced(&mut wheel, slot), [(slot, n << 20)]);
    }
    assert!(wheel.memory().slots < 2 << 20, "{:?}", wheel.memory());
    // A timer alone in its chunk is the worst case: the three others are cancelled.
    for n in 0..100_000u64 {
        let handles = [0, 1, 2, 3].map(|k| wheel.insert(wheel.current() + 1 + n, n * 4 + k).unwrap());
        (1..4).for_each(|k| assert!(wheel.cancel(handles[k], n * 4 + k as u64).is_some()));
    }
    assert!(wheel.memory().timers < 100_000 * 60, "{:?}", wheel.memory());
}

#[test]
fn allocates_nothing_once_warm() {
    let mut wheel = Wheel::new(0, 1_000_000);
    let mut due = Vec::with_capacity(100_000);
    let mut handles = Vec::with_capacity(100_000);
    let mut lap = |seed: u64| {
        let (before, current) = (ALLOCATIONS.get(), wheel.current());
        due.clear();
        handles.clear();
        for n in 0..100_000u64 {
            let (slot, id) = (current + 1 + (n + seed) * 7_654_321 % 1_000_000, (seed << 40) + n);
            handles.push((wheel.insert(slot, id).unwrap(), id));
        }
        handles.iter().step_by(2).for_each(|(handle, id)| assert!(wheel.cancel(*handle, *id).is_some()));
        wheel.advance(current + 1_000_000, &mut due);
        assert_eq!(due.len(), 50_000);
        ALLOCATIONS.get() - before
    };
    assert_ne!(lap(1), 0);
    assert_eq!([lap(1), lap(1), lap(1)], [0; 3]);
}

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which also counts the allocations of each thread.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is left to `System`. The counter is a plain number of the thread, which neither allocates nor is ever dropped.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller has promised what `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
