//! Timers: slots, grids, deadlines, states, and when they are forgotten.

mod support;

use async_bpf_engine::*;
use proptest::prelude::*;
use std::{cell::RefCell, collections::HashMap};
use support::*;

fn state(engine: &Engine, id: u64) -> TimerState {
    engine.timer(id).expect("the timer is there").state
}

/// The (due slot, ticks) of every callback of a slot.
fn ticks(engine: &mut Engine, number: u64) -> Vec<(u64, u64)> {
    let ticks = RefCell::new(Vec::new());
    slot(engine, number, &|_, task, _| {
        ticks.borrow_mut().push((task.cause.due_slot, task.cause.ticks));
        (0, Ok(Changes::default()))
    });
    ticks.into_inner()
}

#[test]
fn a_timer_fires_once_at_its_slot() {
    let mut engine = engine();
    let id = timer(&mut engine, once(3));
    assert_eq!(slot(&mut engine, 2, &idle).outcomes, []);
    assert_eq!(state(&engine, id), TimerState::Pending);
    let report = slot(&mut engine, 3, &idle);
    assert_eq!((report.timers_fired, report.tasks_queued, report.outcomes.len()), (1, 1, 1));
    assert_eq!(report.outcomes[0].source, Source { kind: SourceKind::Timer, id });
    assert_eq!(state(&engine, id), TimerState::Completed);
    assert_eq!(slot(&mut engine, 4, &idle).outcomes, []);
}

#[test]
fn timers_fire_by_slot_then_id() {
    let mut engine = engine();
    let ids: Vec<_> = [5, 3, 4, 3].map(|slot| timer(&mut engine, once(slot))).into();
    let report = slot(&mut engine, 9, &idle);
    let fired: Vec<_> = report.outcomes.iter().map(|outcome| outcome.source.id).collect();
    assert_eq!(fired, [ids[1], ids[3], ids[2], ids[0]]);
}

#[test]
fn the_trigger_slot_has_a_range() {
    let mut engine = engine();
    slot(&mut engine, 7, &idle);
    for (slot, expected) in [
        (7, ErrorCode::InvalidSlot),
        (8, ErrorCode::Success),
        (1_000_007, ErrorCode::Success),
        (1_000_008, ErrorCode::InvalidSlot),
        (u64::MAX, ErrorCode::InvalidSlot),
    ] {
        assert_eq!(code(engine.call(HOST, Call::TimerCreate(once(slot)))), expected, "slot {slot}");
    }
    for (period, expected) in [(1, ErrorCode::Success), (1_000_000, ErrorCode::Success), (1_000_001, ErrorCode::InvalidSlot)] {
        assert_eq!(code(engine.call(HOST, Call::TimerCreate(periodic(8, period, CatchUp::Once)))), expected, "period {period}");
    }
    for (budget, expected) in [(0, ErrorCode::InvalidArgument), (1_400_000, ErrorCode::Success), (1_400_001, ErrorCode::InvalidArgument)] {
        let spec = TimerSpec { callback: callback_of(PROGRAM, budget), ..once(8) };
        assert_eq!(code(engine.call(HOST, Call::TimerCreate(spec))), expected, "budget {budget}");
    }
    let stranger = TimerSpec { callback: callback_of(STRANGER, 1), ..once(8) };
    assert_eq!(code(engine.call(HOST, Call::TimerCreate(stranger))), ErrorCode::UnknownProgram);
}

#[test]
fn a_place_is_free_at_once() {
    let mut engine = engine();
    let ids: Vec<_> = (0..16).map(|k| timer(&mut engine, once(2 + k))).collect();
    assert_eq!(code(engine.call(HOST, Call::TimerCreate(once(9)))), ErrorCode::MaxTimers);
    engine.call(OWNER, Call::TimerCancel { id: ids[5] }).unwrap();
    timer(&mut engine, once(9));
    assert_eq!(code(engine.call(HOST, Call::TimerCreate(once(9)))), ErrorCode::MaxTimers);
    slot(&mut engine, 2, &idle);
    timer(&mut engine, once(9));
    assert_eq!(engine.stats().timers_active, 16);
}

#[test]
fn periodic_timers_keep_their_grid() {
    let mut engine = engine();
    timer(&mut engine, periodic(10, 5, CatchUp::Once));
    let fired: Vec<_> = (9..31).filter(|slot| !ticks(&mut engine, *slot).is_empty()).collect();
    assert_eq!(fired, [10, 15, 20, 25, 30]);
}

#[test]
fn catching_up_has_three_policies() {
    let play = |catch_up| {
        let mut engine = engine();
        let id = timer(&mut engine, periodic(10, 5, catch_up));
        let slots = [12, 31, 35, 36].map(|slot| ticks(&mut engine, slot));
        (slots, engine.timer(id).unwrap().missed_count, engine.timer(id).unwrap().execution_count)
    };
    let none = Vec::new;
    assert_eq!(play(CatchUp::Once), ([vec![(10, 1)], vec![(15, 4)], vec![(35, 1)], none()], 3, 3));
    assert_eq!(play(CatchUp::Skip), ([none(), none(), vec![(35, 1)], none()], 5, 1));
    assert_eq!(play(CatchUp::All { max_ticks: 3 }), ([vec![(10, 1)], vec![(15, 1), (20, 1), (25, 2)], vec![(35, 1)], none()], 1, 5));
    let all = vec![(15, 1), (20, 1), (25, 1), (30, 1)];
    assert_eq!(play(CatchUp::All { max_ticks: 64 }), ([vec![(10, 1)], all, vec![(35, 1)], none()], 0, 6));
}

#[test]
fn a_deadline_expires_a_timer_that_slots_skipped() {
    let mut engine = engine();
    let in_time = timer(&mut engine, TimerSpec { deadline_slot: Some(5), ..once(3) });
    let late = timer(&mut engine, TimerSpec { deadline_slot: Some(4), ..once(3) });
    let report = slot(&mut engine, 5, &idle);
    let statuses: Vec<_> = report.outcomes.iter().map(|outcome| (outcome.source.id, outcome.status)).collect();
    assert_eq!(statuses, [(late, Status::Expired), (in_time, Status::Committed)]);
    assert_eq!((state(&engine, late), state(&engine, in_time)), (TimerState::Expired, TimerState::Completed));
    assert_eq!(engine.timer(late).unwrap().execution_count, 0);
}

#[test]
fn a_deadline_expires_a_queued_callback() {
    let mut engine = engine_with(|limits| {
        limits.max_compute_budget = 1000;
        limits.slot_compute_limit = 1000;
    });
    let hog = timer(&mut engine, TimerSpec { priority: Priority::High, ..periodic(1, 1, CatchUp::Once) });
    let id = timer(&mut engine, TimerSpec { deadline_slot: Some(2), ..once(1) });
    let all = |_: &Engine, _: &Task, _: &mut Stage<'_>| (1000, Ok(Changes::default()));
    slot(&mut engine, 1, &all);
    assert_eq!(state(&engine, id), TimerState::Executing);
    slot(&mut engine, 2, &all);
    let report = slot(&mut engine, 3, &all);
    assert_eq!((report.outcomes[0].source.id, report.outcomes[0].status), (id, Status::Expired));
    assert_eq!((report.outcomes[1].source.id, report.outcomes[1].status), (hog, Status::Committed));
    assert_eq!(state(&engine, id), TimerState::Expired);
    assert_eq!(engine.stats().tasks_expired, 1);
}

#[test]
fn only_one_shot_timers_can_have_a_deadline_and_not_before_their_slot() {
    let mut engine = engine();
    let on_periodic = TimerSpec { deadline_slot: Some(9), ..periodic(3, 1, CatchUp::Once) };
    assert_eq!(code(engine.call(HOST, Call::TimerCreate(on_periodic))), ErrorCode::InvalidArgument);
    let early = TimerSpec { deadline_slot: Some(2), ..once(3) };
    assert_eq!(code(engine.call(HOST, Call::TimerCreate(early))), ErrorCode::InvalidSlot);
    for (max_ticks, expected) in [(0, ErrorCode::InvalidArgument), (64, ErrorCode::Success), (65, ErrorCode::InvalidArgument)] {
        let spec = periodic(3, 1, CatchUp::All { max_ticks });
        assert_eq!(code(engine.call(HOST, Call::TimerCreate(spec))), expected);
    }
}

#[test]
fn failure_ends_a_one_shot_timer_and_not_a_periodic_one() {
    let mut engine = engine();
    let (single, repeated) = (timer(&mut engine, once(1)), timer(&mut engine, periodic(1, 1, CatchUp::Once)));
    slot(&mut engine, 1, &fails);
    assert_eq!((state(&engine, single), state(&engine, repeated)), (TimerState::Failed, TimerState::Pending));
    assert_eq!(slot(&mut engine, 2, &idle).outcomes.len(), 1);
    assert_eq!(engine.timer(repeated).unwrap().execution_count, 2);
}

#[test]
fn cancelling_takes_what_is_queued_along() {
    let mut engine = engine_with(|limits| {
        limits.max_compute_budget = 1000;
        limits.slot_compute_limit = 1000;
    });
    create(&mut engine, task(Priority::Critical, None, 1000));
    let id = timer(&mut engine, once(1));
    let report = slot(&mut engine, 1, &|_, _, _| (1000, Ok(Changes::default())));
    assert_eq!(report.tasks_pending, 1);
    assert_eq!(code(engine.call(PEER, Call::TimerCancel { id })), ErrorCode::InvalidTimer, "it is another program's");
    engine.call(OWNER, Call::TimerCancel { id }).unwrap();
    assert_eq!((engine.stats().tasks_pending, state(&engine, id)), (0, TimerState::Cancelled));
    assert_eq!(code(engine.call(OWNER, Call::TimerCancel { id })), ErrorCode::InvalidTimer);
    assert_eq!(slot(&mut engine, 2, &idle).outcomes, []);
}

#[test]
fn a_timer_that_cancels_itself_stays_cancelled_and_is_forgotten_once() {
    let mut engine = engine();
    let id = timer(&mut engine, periodic(1, 1, CatchUp::Once));
    let outcome = slot(&mut engine, 1, &|_, _, stage| {
        stage.call(OWNER, Call::TimerCancel { id }).unwrap();
        assert_eq!(code(stage.call(OWNER, Call::TimerCancel { id })), ErrorCode::InvalidTimer);
        (0, Ok(Changes::default()))
    })
    .outcomes
    .remove(0);
    assert_eq!((outcome.status, outcome.staged_codes), (Status::Committed, vec![ErrorCode::Success, ErrorCode::InvalidTimer]));
    assert_eq!((state(&engine, id), engine.timer(id).unwrap().execution_count), (TimerState::Cancelled, 1));
    slot(&mut engine, 99, &idle);
    assert_eq!(state(&engine, id), TimerState::Cancelled);
    slot(&mut engine, 100, &idle);
    assert_eq!(engine.timer(id), None);
    slot(&mut engine, 200, &idle);
}

#[test]
fn finished_timers_are_readable_until_the_clean_up() {
    let mut engine = engine();
    let before = timer(&mut engine, once(90));
    let at = timer(&mut engine, once(250));
    slot(&mut engine, 90, &idle);
    slot(&mut engine, 99, &idle);
    assert_eq!(state(&engine, before), TimerState::Completed);
    slot(&mut engine, 250, &idle);
    assert_eq!(engine.timer(before), None, "250 is the first slot at or past 100 and 200");
    assert_eq!(state(&engine, at), TimerState::Completed, "it finished in the slot of the clean-up");
    slot(&mut engine, 299, &idle);
    assert_eq!(state(&engine, at), TimerState::Completed);
    slot(&mut engine, 300, &idle);
    assert_eq!(engine.timer(at), None);
}

#[test]
fn a_full_queue_keeps_timers_due() {
    let mut engine = engine_with(|limits| {
        limits.max_scheduled_tasks = 2;
        limits.max_compute_budget = 1000;
        limits.slot_compute_limit = 1000;
    });
    for _ in 0..2 {
        create(&mut engine, task(Priority::Critical, None, 1000));
    }
    let id = timer(&mut engine, periodic(1, 1, CatchUp::Once));
    let all = |_: &Engine, _: &Task, _: &mut Stage<'_>| (1000, Ok(Changes::default()));
    assert_eq!(slot(&mut engine, 1, &all).timers_fired, 0);
    assert_eq!(state(&engine, id), TimerState::Pending);
    assert_eq!(slot(&mut engine, 2, &all).timers_fired, 1);
    assert_eq!(ticks(&mut engine, 3), [(1, 2)], "the callback that queued in slot 2 stands for slots 1 and 2");
}

#[test]
fn the_grid_ends_with_the_last_slot() {
    let last = u64::MAX;
    for (catch_up, fired) in [(CatchUp::Once, vec![(last - 2, 1)]), (CatchUp::Skip, vec![])] {
        let mut engine = Engine::new(Config { start_slot: last - 4, ..Config::default() }).unwrap();
        engine.add_program(PROGRAM, [0; 32], vec![]).unwrap();
        let id = timer(&mut engine, periodic(last - 2, 1000, catch_up));
        let on_it = timer(&mut engine, periodic(last - 2, 2, CatchUp::Skip));
        assert_eq!(ticks(&mut engine, last - 1), fired, "the next tick would be past the last slot");
        assert_eq!((state(&engine, id), state(&engine, on_it)), (TimerState::Completed, TimerState::Pending));
        assert_eq!(ticks(&mut engine, last), [(last, 1)]);
    }
}

#[test]
fn a_removed_program_fails_its_timers_until_it_is_back() {
    let mut engine = engine();
    let id = timer(&mut engine, periodic(1, 1, CatchUp::Once));
    engine.remove_program(PROGRAM).unwrap();
    let outcome = slot(&mut engine, 1, &idle).outcomes.remove(0);
    assert_eq!((outcome.status, outcome.failure.unwrap().code), (Status::Failed, ErrorCode::UnknownProgram));
    engine.add_program(PROGRAM, [0; 32], vec![]).unwrap();
    assert_eq!(slot(&mut engine, 2, &idle).outcomes[0].status, Status::Committed);
    assert_eq!(state(&engine, id), TimerState::Pending);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every tick has a callback of its own, or is counted as missed; and some callback stands for it unless the policy is to skip.
    #[test]
    fn no_tick_is_lost(
        specs in proptest::collection::vec((1..30u64, 1..9u64, 0..6u64), 1..12),
        skips in proptest::collection::vec(1..25u64, 1..40),
        units in 0..=1000u64,
    ) {
        let mut engine = engine_with(|limits| {
            limits.max_scheduled_tasks = 5;
            limits.max_compute_budget = 1000;
            limits.slot_compute_limit = 3000;
        });
        let policy = |n| [CatchUp::Once, CatchUp::Skip, CatchUp::All { max_ticks: 1 }, CatchUp::All { max_ticks: 3 }][(n % 4) as usize];
        let timers: Vec<_> = specs.iter().map(|(start, period, n)| (timer(&mut engine, periodic(*start, *period, policy(*n))), *start, *period)).collect();
        let ran = RefCell::new(HashMap::<u64, (u64, u64)>::new());
        let count = |units| {
            let ran = &ran;
            move |_: &Engine, task: &Task, _: &mut Stage<'_>| {
                let mut ran = ran.borrow_mut();
                let (callbacks, ticks) = ran.entry(task.source.id).or_default();
                *callbacks += 1;
                *ticks += task.cause.ticks;
                (units, Ok(Changes::default()))
            }
        };
        for skip in skips {
            let next = engine.slot() + skip;
            slot(&mut engine, next, &count(units));
        }
        while engine.stats().tasks_pending > 0 {
            let next = engine.slot() + 1;
            slot(&mut engine, next, &count(0));
        }
        for (id, start, period) in timers {
            let timer = engine.timer(id).unwrap();
            let (callbacks, ticks) = ran.borrow().get(&id).copied().unwrap_or_default();
            prop_assert_eq!((timer.trigger_slot - start) % period, 0, "it left its grid");
            let due = (timer.trigger_slot - start) / period;
            prop_assert_eq!(timer.execution_count, callbacks);
            prop_assert_eq!(callbacks + timer.missed_count, due);
            if timer.spec.catch_up != CatchUp::Skip {
                prop_assert_eq!(ticks, due);
            }
        }
    }
}

#[test]
fn finished_timers_have_bounded_memory() {
    let mut engine = engine();
    let first = timer(&mut engine, once(1));
    engine.call(OWNER, Call::TimerCancel { id: first }).unwrap();
    for _ in 0..65_536 {
        assert!(engine.timer(first).is_some());
        let id = timer(&mut engine, once(1));
        engine.call(OWNER, Call::TimerCancel { id }).unwrap();
    }
    assert!(engine.timer(first).is_none(), "the oldest goes first");
    assert_eq!(engine.timers_of(PROGRAM).count(), 65_536);
}
