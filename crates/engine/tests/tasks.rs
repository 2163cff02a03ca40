//! Tasks: order, deadlines, aging, the compute limit, the queue, invocations, draining.

mod support;

use async_bpf_engine::*;
use std::{cell::RefCell, sync::Arc};
use support::*;

fn order(report: &SlotReport) -> Vec<u64> {
    report.outcomes.iter().map(|outcome| outcome.task_id).collect()
}

#[test]
fn tasks_run_by_priority_then_deadline_then_creation() {
    let mut engine = engine();
    let mut submit = |priority, deadline| create(&mut engine, task(priority, deadline, 1));
    let low = submit(Priority::Low, Some(1));
    let normal = submit(Priority::Normal, None);
    let later = submit(Priority::Normal, Some(9));
    let sooner = submit(Priority::Normal, Some(3));
    let also_normal = submit(Priority::Normal, None);
    let critical = submit(Priority::Critical, None);
    let high = submit(Priority::High, None);
    assert_eq!(order(&slot(&mut engine, 1, &idle)), [critical, high, sooner, later, normal, also_normal, low]);
}

#[test]
fn timers_queue_as_normal_and_watchers_as_high() {
    let mut engine = engine();
    let by_timer = timer(&mut engine, once(1));
    let by_task = create(&mut engine, task(Priority::Normal, None, 1));
    let by_watcher = watch(&mut engine, Trigger::AnyChange);
    engine.update_accounts(vec![update(1, &[])]).unwrap();
    let sources: Vec<_> = slot(&mut engine, 1, &idle).outcomes.iter().map(|outcome| outcome.source.id).collect();
    assert_eq!(sources, [by_watcher, by_task, by_timer], "the submitted task was created first");
}

#[test]
fn the_compute_limit_keeps_the_order() {
    let mut engine = engine_with(|limits| {
        limits.max_compute_budget = 1000;
        limits.slot_compute_limit = 1000;
    });
    let ids = [400, 700, 100].map(|budget| create(&mut engine, task(Priority::Normal, None, budget)));
    // 400 may be used, 300 are: 700 more fit exactly.
    let report = slot(&mut engine, 1, &|_, _, _| (300, Ok(Changes::default())));
    assert_eq!((order(&report), report.units_consumed, report.tasks_pending), (ids.to_vec(), 900, 0));
    let ids = [400, 700, 100].map(|budget| create(&mut engine, task(Priority::Normal, None, budget)));
    let report = slot(&mut engine, 2, &|_, _, _| (301, Ok(Changes::default())));
    assert_eq!((order(&report), report.tasks_pending), (vec![ids[0]], 2), "the small one does not overtake");
    assert_eq!(order(&slot(&mut engine, 3, &idle)), [ids[1], ids[2]]);
}

#[test]
fn failed_tasks_count_their_units() {
    let mut engine = engine();
    create(&mut engine, task(Priority::Normal, None, 100));
    let report = slot(&mut engine, 1, &fails);
    assert_eq!((report.units_consumed, report.outcomes[0].status), (7, Status::Failed));
    let stats = engine.stats();
    assert_eq!((stats.tasks_submitted, stats.tasks_failed, stats.tasks_completed, stats.units_consumed), (1, 1, 0, 7));
}

#[test]
fn deadlines_expire_tasks() {
    let mut engine = engine();
    let id = create(&mut engine, task(Priority::Low, Some(2), 1));
    assert_eq!(code(engine.call(HOST, task(Priority::Low, Some(0), 1))), ErrorCode::InvalidSlot);
    let report = slot(&mut engine, 3, &idle);
    assert_eq!((order(&report), report.outcomes[0].status, report.tasks_queued), (vec![id], Status::Expired, 0));
    let id = create(&mut engine, task(Priority::Low, Some(4), 1));
    let report = slot(&mut engine, 4, &idle);
    assert_eq!((order(&report), report.outcomes[0].status), (vec![id], Status::Committed));
}

#[test]
fn waiting_raises_a_task() {
    let mut engine = engine_with(|limits| {
        limits.max_compute_budget = 10;
        limits.slot_compute_limit = 10;
    });
    let low = create(&mut engine, task(Priority::Low, None, 10));
    let all = |_: &Engine, _: &Task, _: &mut Stage<'_>| (10, Ok(Changes::default()));
    let ran_at = (1..300).find(|number| {
        create(&mut engine, task(Priority::High, None, 10));
        order(&slot(&mut engine, *number, &all)).contains(&low)
    });
    // HIGH after 128 slots, and then older than all others of that priority.
    assert_eq!(ran_at, Some(2 * AGING_SLOTS));
}

#[test]
fn the_queue_has_a_length() {
    let mut engine = engine_with(|limits| limits.max_scheduled_tasks = 3);
    for _ in 0..3 {
        create(&mut engine, task(Priority::Normal, None, 1));
    }
    assert_eq!(code(engine.call(HOST, task(Priority::Critical, None, 1))), ErrorCode::QueueFull);
    // A task that runs has left the queue: each can schedule itself again.
    let report = slot(&mut engine, 1, &|_, _, stage| {
        stage.call(OWNER, task(Priority::Normal, None, 1)).unwrap();
        assert_eq!(code(stage.call(OWNER, task(Priority::Normal, None, 1))), ErrorCode::QueueFull);
        (1, Ok(Changes::default()))
    });
    assert_eq!((report.outcomes.len(), report.tasks_pending), (3, 3));
}

#[test]
fn what_a_task_schedules_runs_in_the_next_slot() {
    let mut engine = engine();
    let first = create(&mut engine, task(Priority::Low, None, 1));
    let next = RefCell::new(0);
    let report = slot(&mut engine, 5, &|_, _, stage| {
        *next.borrow_mut() = stage.call(OWNER, task(Priority::Critical, None, 1)).unwrap().value;
        (1, Ok(Changes::default()))
    });
    assert_eq!(order(&report), [first]);
    let due = RefCell::new(0);
    let report = slot(&mut engine, 6, &|_, task, _| {
        *due.borrow_mut() = task.cause.due_slot;
        (1, Ok(Changes::default()))
    });
    assert_eq!((order(&report), *due.borrow()), (vec![*next.borrow()], 6));
}

#[test]
fn ids_are_never_used_twice() {
    let mut engine = engine_with(|limits| {
        limits.max_timers_per_program = 100;
        limits.max_watchers_per_program = 100;
    });
    let mut ids = Vec::new();
    for number in 1..20 {
        ids.push(timer(&mut engine, once(number + 1)));
        ids.push(watch(&mut engine, Trigger::LamportChange));
        ids.push(create(&mut engine, task(Priority::Low, None, 1)));
        engine.update_accounts(vec![update(number, &[])]).unwrap();
        let made = RefCell::new(Vec::new());
        let report = slot(&mut engine, number, &|_, running, stage| {
            if running.source.kind == SourceKind::Watcher {
                for call in [Call::TimerCreate(once(number + 3)), task(Priority::Low, None, 1)] {
                    made.borrow_mut().push(stage.call(OWNER, call).unwrap().value);
                }
            }
            (0, Ok(Changes::default()))
        });
        // The id of a scheduled task was its creation's reply.
        let of_tasks = report.outcomes.iter().filter(|outcome| outcome.source.kind != SourceKind::Task).map(|outcome| outcome.task_id);
        ids.extend(made.into_inner().into_iter().chain(of_tasks));
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    assert!(count > 200);
}

#[test]
fn a_failed_invocation_leaves_nothing() {
    let mut engine = engine();
    let wish = |fail: bool| {
        move |_: &Engine, _: &Task, stage: &mut Stage<'_>| {
            stage.call(OWNER, Call::TimerCreate(once(3))).unwrap();
            stage.call(OWNER, Call::WatcherCreate { spec: watcher(Trigger::AnyChange), min_slots_between_triggers: 1 }).unwrap();
            stage.call(OWNER, task(Priority::Low, None, 1)).unwrap();
            let changes = Changes { accounts: vec![(ACCOUNT, Some(account(1, &[])))].into(), return_data: Some(vec![1]) };
            (5, if fail { Err(failure()) } else { Ok(changes) })
        }
    };
    let outcome = invoke(&mut engine, &wish(true));
    assert_eq!((outcome.status, outcome.return_data, outcome.staged_codes), (Status::Failed, None, vec![ErrorCode::Success; 3]));
    let stats = engine.stats();
    assert_eq!((stats.timers_active, stats.watchers_active, stats.tasks_pending), (0, 0, 0));
    assert_eq!(engine.account(&ACCOUNT), None);
    invoke(&mut engine, &wish(false));
    let stats = engine.stats();
    assert_eq!((stats.timers_active, stats.watchers_active, stats.tasks_pending), (1, 1, 1));
    assert!(engine.account(&ACCOUNT).is_some());
}

#[test]
fn refused_calls_are_on_record() {
    let mut engine = engine();
    let outcome = invoke(&mut engine, &|_, _, stage| {
        stage.refuse(ErrorCode::NullPointer);
        stage.call(OWNER, Call::TimerCreate(once(3))).unwrap();
        (0, Ok(Changes::default()))
    });
    assert_eq!(outcome.staged_codes, [ErrorCode::NullPointer, ErrorCode::Success]);
}

#[test]
fn draining_takes_no_new_work() {
    let mut engine = engine();
    let id = timer(&mut engine, periodic(1, 1, CatchUp::Once));
    let ring = ring(&mut engine, 64, RingReader::Program);
    engine.drain().unwrap();
    for call in [
        Call::TimerCreate(once(5)),
        Call::WatcherCreate { spec: watcher(Trigger::AnyChange), min_slots_between_triggers: 1 },
        Call::RingCreate { program: PROGRAM, size: None, reader: RingReader::Program },
        task(Priority::Low, None, 1),
    ] {
        assert_eq!(code(engine.call(HOST, call)), ErrorCode::Shutdown);
    }
    engine.call(OWNER, push(ring, &[1])).unwrap();
    assert_eq!(slot(&mut engine, 1, &idle).outcomes.len(), 1);
    engine.call(OWNER, Call::TimerCancel { id }).unwrap();
}

#[test]
fn nothing_changes_while_a_slot_runs() {
    let mut engine = engine();
    create(&mut engine, task(Priority::Low, None, 1));
    engine.step(SlotInput { slot: 1, unix_timestamp: None }).unwrap();
    let busy = ErrorCode::EngineBusy;
    assert_eq!(code(engine.step(SlotInput { slot: 2, unix_timestamp: None })), busy);
    assert_eq!(code(engine.call(HOST, task(Priority::Low, None, 1))), busy);
    assert_eq!(code(engine.begin_invoke(Arc::unwrap_or_clone(callback()))), busy);
    assert_eq!(code(engine.set_account(ACCOUNT, None)), busy);
    assert_eq!(code(engine.update_accounts(vec![])), busy);
    assert_eq!(code(engine.add_program(STRANGER, [0; 32], vec![])), busy);
    assert_eq!(code(engine.remove_program(PROGRAM)), busy);
    assert_eq!(code(engine.drain()), busy);
    let execution = execute(&engine, engine.batch().task(0), engine.stage(0), &idle);
    assert!(engine.commit(execution).is_ok());
    assert_eq!(code(engine.drain()), busy, "the slot has not ended");
    assert!(matches!(engine.advance(), Progress::Report(_)));
    engine.drain().unwrap();
}

#[test]
fn slots_go_up_to_the_last() {
    let mut engine = Engine::new(Config { start_slot: u64::MAX - 3, start_timestamp: 0, limits: Limits::default() }).unwrap();
    engine.add_program(PROGRAM, [0; 32], vec![]).unwrap();
    let id = timer(&mut engine, periodic(u64::MAX - 1, 1, CatchUp::All { max_ticks: 64 }));
    create(&mut engine, task(Priority::Low, Some(u64::MAX), 1));
    watch(&mut engine, Trigger::AnyChange);
    engine.update_accounts(vec![update(1, &[])]).unwrap();
    assert_eq!(slot(&mut engine, u64::MAX - 1, &idle).outcomes.len(), 3);
    assert_eq!(slot(&mut engine, u64::MAX, &idle).outcomes.len(), 1);
    assert_eq!(engine.timer(id).unwrap().execution_count, 2);
    assert_eq!(code(engine.step(SlotInput { slot: u64::MAX, unix_timestamp: None })), ErrorCode::InvalidSlot);
    engine.call(HOST, task(Priority::Low, None, 1)).unwrap();
    assert_eq!(code(engine.call(HOST, Call::TimerCreate(once(0)))), ErrorCode::InvalidSlot);
}

#[test]
fn time_follows_the_slot() {
    let mut engine = Engine::new(Config { start_slot: 10, start_timestamp: 1000, limits: Limits::default() }).unwrap();
    let mut at = |slot, unix_timestamp| {
        engine.step(SlotInput { slot, unix_timestamp }).unwrap();
        engine.unix_timestamp()
    };
    assert_eq!([at(11, None), at(12, None), at(13, None), at(20, None)], [1000, 1000, 1001, 1004]);
    assert_eq!([at(21, Some(-7)), at(22, None), at(24, None)], [-7, -7, -6]);
    let far = i64::MAX / 1000;
    let at_the_end = i128::from(far) + i128::from(u64::MAX - 25) * 400 / 1000;
    assert_eq!([at(25, Some(far)), at(u64::MAX, None)].map(i128::from), [far.into(), at_the_end]);
    let mut engine = Engine::new(Config::default()).unwrap();
    assert_eq!(code(engine.step(SlotInput { slot: 1, unix_timestamp: Some(i64::MAX) })), ErrorCode::InvalidArgument);
    assert_eq!(engine.slot(), 0, "a refused slot changes nothing");
}
