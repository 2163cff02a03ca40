//! What comes and goes leaves no memory behind, and what is warm allocates nothing.

mod support;

use async_bpf_engine::{
    scheduler::{Rank, Scheduler},
    *,
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};
use support::*;

struct Counting;

thread_local! {
    /// Allocations of this thread, and bytes that it has allocated and not freed.
    static COUNTS: Cell<(u64, i64)> = const { Cell::new((0, 0)) };
}

fn count(allocations: u64, bytes: i64) {
    // A thread that ends frees what it has after its counts are gone.
    let _ = COUNTS.try_with(|counts| {
        let (all, held) = counts.get();
        counts.set((all + allocations, held + bytes));
    });
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(start, layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(1, new_size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(start, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    COUNTS.get().0
}

fn held() -> i64 {
    COUNTS.get().1
}

#[test]
fn a_warm_scheduler_allocates_nothing() {
    let mut scheduler = Scheduler::default();
    let mut tasks = Vec::new();
    let mut sequence = 0;
    let mut slot = |slot: u64| {
        for n in 0..1_000 {
            sequence += 1;
            let deadline_slot = (n % 3 == 0).then_some(slot + n % 200);
            scheduler.push(Rank { priority: (n % 4) as u8, deadline_slot, sequence, queued_slot: slot }, sequence);
        }
        scheduler.begin_slot(slot);
        while let Some(key) = scheduler.next_expired() {
            scheduler.remove(key);
        }
        // Now and then tasks are left to age.
        let max = if slot % 80 < 70 { 900 } else { usize::MAX };
        scheduler.take(max, &mut tasks);
        tasks.clear();
    };
    (0..400).for_each(&mut slot);
    let before = allocations();
    (400..1_000).for_each(&mut slot);
    assert_eq!(allocations() - before, 0);
}

/// Bytes that `round` leaves behind when it is repeated often enough that every table has its size.
fn left_behind(mut round: impl FnMut(u64)) -> i64 {
    (0..200).for_each(&mut round);
    let before = held();
    (200..400).for_each(&mut round);
    held() - before
}

#[test]
fn accounts_that_are_gone_take_no_memory() {
    let mut engine = engine();
    let address = |n: u64| Address([n.to_le_bytes(), [7; 8], [7; 8], [7; 8]].concat().try_into().unwrap());
    let bytes = left_behind(|round| {
        for n in 0..100 {
            engine.set_account(address(round * 100 + n), Some(account(1, &[1; 64]))).unwrap();
        }
        slot(&mut engine, 2 * round + 1, &idle);
        for n in 0..100 {
            engine.set_account(address(round * 100 + n), None).unwrap();
        }
        slot(&mut engine, 2 * round + 2, &idle);
    });
    assert_eq!(bytes, 0, "200 rounds of 100 accounts");
}

#[test]
fn timers_watchers_and_tasks_that_are_over_take_no_memory() {
    let mut engine = engine();
    let mut programs = 0u64;
    let bytes = left_behind(|round| {
        // A new program each time, so that what is kept for each of them shows.
        programs += 1;
        let program = Address([programs.to_le_bytes(), [8; 8], [8; 8], [8; 8]].concat().try_into().unwrap());
        engine.add_program(program, [1; 32], Vec::new()).unwrap();
        let now = round * 100;
        let callback = callback_of(program, 1000);
        for n in 0..8 {
            timer(&mut engine, TimerSpec { callback: callback.clone(), ..once(now + 1 + n) });
        }
        let cancelled = timer(&mut engine, TimerSpec { callback: callback.clone(), ..periodic(now + 1, 1, CatchUp::Once) });
        let spec = WatcherSpec { callback: callback.clone(), ..watcher(Trigger::AnyChange) };
        let watcher = create(&mut engine, Call::WatcherCreate { spec, min_slots_between_triggers: 1 });
        create(&mut engine, Call::TaskSchedule { callback, priority: Priority::Low, deadline_slot: Some(now + 90) });
        for n in 1..=10 {
            engine.update_accounts(vec![update(n, &[n as u8])]).unwrap();
            slot(&mut engine, now + n, &idle);
        }
        engine.call(HOST, Call::TimerCancel { id: cancelled }).unwrap();
        engine.call(HOST, Call::WatcherRemove { id: watcher }).unwrap();
        engine.remove_program(program).unwrap();
        slot(&mut engine, now + 100, &idle);
    });
    assert!(bytes.abs() < 1_000, "{bytes} bytes after 200 rounds of 9 timers and a watcher");
}
