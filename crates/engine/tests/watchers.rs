//! Watchers: edges, waiting, suppression, pause.

mod support;

use async_bpf_engine::*;
use proptest::prelude::*;
use std::{cell::RefCell, sync::Arc};
use support::*;

fn value(value: i64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

/// Whether a watcher with this trigger fires when the account goes from one state to the other.
fn fires(trigger: &Trigger, old: Option<Account>, new: Option<Account>) -> bool {
    let mut engine = engine();
    engine.set_account(ACCOUNT, old).unwrap();
    slot(&mut engine, 1, &idle);
    watch(&mut engine, trigger.clone());
    engine.set_account(ACCOUNT, new).unwrap();
    slot(&mut engine, 2, &idle).watchers_triggered == 1
}

#[test]
fn what_is_done_before_the_genesis_is_sealed_fires_nothing() {
    let mut engine = engine();
    engine.set_account(ACCOUNT, Some(account(1, &value(1)))).unwrap();
    watch(&mut engine, Trigger::AnyChange);
    engine.update_accounts(vec![AccountUpdate { address: Address([101; 32]), ..update(5, &value(5)) }]).unwrap();
    engine.seal_genesis();
    assert_eq!(engine.account(&Address([101; 32])).unwrap().lamports, 5);
    engine.set_account(STRANGER, Some(account(3, &[]))).unwrap();
    assert_eq!(slot(&mut engine, 1, &idle).watchers_triggered, 0);
    assert_eq!(engine.account(&STRANGER).unwrap().lamports, 3);
    engine.set_account(ACCOUNT, Some(account(2, &value(1)))).unwrap();
    assert_eq!(slot(&mut engine, 2, &idle).watchers_triggered, 1);
}

#[test]
fn each_trigger_looks_at_its_part() {
    let base = account(5, &[1, 2]);
    let lamports = Account { lamports: 6, ..base.clone() };
    let data = Account { data: Arc::new(vec![1]), ..base.clone() };
    let owner = Account { owner: OTHER, ..base.clone() };
    let executable = Account { executable: true, ..base.clone() };
    let system = Account { owner: Address::SYSTEM_PROGRAM, data: Arc::default(), ..base.clone() };
    let cases = [
        (Trigger::AnyChange, [true, true, true, false, true, true]),
        (Trigger::LamportChange, [true, false, false, false, true, true]),
        (Trigger::DataChange, [false, true, false, false, true, false]),
        (Trigger::OwnerChange, [false, false, true, false, true, false]),
    ];
    for (trigger, expected) in cases {
        let pairs = [
            (Some(base.clone()), Some(lamports.clone())),
            (Some(base.clone()), Some(data.clone())),
            (Some(base.clone()), Some(owner.clone())),
            (Some(base.clone()), Some(executable.clone())),
            (Some(base.clone()), None),
            (None, Some(system.clone())),
        ];
        assert_eq!(pairs.map(|(old, new)| fires(&trigger, old, new)), expected, "{trigger:?}");
    }
}

#[test]
fn thresholds_are_edges() {
    let above = Trigger::ThresholdAbove { offset: 0, threshold: 10 };
    let below = Trigger::ThresholdBelow { offset: 0, threshold: 10 };
    // (old, new, above, below); `None` is an account that is not there.
    let cases = [
        (Some(10), Some(11), true, false),
        (Some(11), Some(12), false, false),
        (Some(10), Some(9), false, true),
        (Some(9), Some(8), false, false),
        (Some(11), Some(9), false, true),
        (Some(9), Some(11), true, false),
        (Some(9), Some(10), false, false),
        (None, Some(11), true, false),
        (None, Some(9), false, true),
        (None, Some(10), false, false),
        (Some(20), None, false, false),
        (Some(-5), Some(i64::MAX), true, false),
        (Some(10), Some(i64::MIN), false, true),
    ];
    for (old, new, is_above, is_below) in cases {
        let state = |number: Option<i64>| number.map(|number| account(1, &value(number)));
        assert_eq!(fires(&above, state(old), state(new)), is_above, "above {old:?} {new:?}");
        assert_eq!(fires(&below, state(old), state(new)), is_below, "below {old:?} {new:?}");
    }
    assert!(fires(&above, Some(account(1, &[1; 7])), Some(account(1, &value(11)))), "it was too short before");
    assert!(!fires(&above, Some(account(1, &value(1))), Some(account(1, &[255; 7]))), "it is too short now");
}

#[test]
fn patterns_are_edges() {
    let pattern = Trigger::PatternMatch { offset: 1, pattern: b"ab".to_vec() };
    let state = |data: &[u8]| Some(account(1, data));
    assert!(fires(&pattern, state(b"xac"), state(b"xab")));
    assert!(fires(&pattern, None, state(b"xab")));
    assert!(fires(&pattern, state(b"xa"), state(b"xaby")));
    assert!(!fires(&pattern, state(b"xab"), state(b"yab")), "it matched before");
    assert!(!fires(&pattern, state(b"xac"), state(b"xa")));
}

#[test]
fn offsets_do_not_overflow() {
    let mut engine = engine();
    for (offset, expected) in [(u64::MAX - 7, ErrorCode::Success), (u64::MAX - 6, ErrorCode::InvalidArgument), (u64::MAX, ErrorCode::InvalidArgument)]
    {
        for trigger in [Trigger::ThresholdAbove { offset, threshold: 0 }, Trigger::PatternMatch { offset, pattern: vec![1; 8] }] {
            let call = Call::WatcherCreate { spec: watcher(trigger), min_slots_between_triggers: 1 };
            assert_eq!(code(engine.call(HOST, call)), expected, "offset {offset}");
        }
    }
    for (len, expected) in [(0, ErrorCode::InvalidArgument), (64, ErrorCode::Success), (65, ErrorCode::InvalidArgument)] {
        let spec = watcher(Trigger::PatternMatch { offset: 0, pattern: vec![1; len] });
        assert_eq!(code(engine.call(HOST, Call::WatcherCreate { spec, min_slots_between_triggers: 1 })), expected);
    }
    engine.set_account(ACCOUNT, Some(account(1, &value(1)))).unwrap();
    assert_eq!(slot(&mut engine, 1, &idle).watchers_triggered, 0);
}

#[test]
fn changes_of_a_slot_coalesce() {
    let mut engine = engine();
    engine.set_account(ACCOUNT, Some(account(1, &value(5)))).unwrap();
    slot(&mut engine, 1, &idle);
    let any = watch(&mut engine, Trigger::AnyChange);
    watch(&mut engine, Trigger::ThresholdAbove { offset: 0, threshold: 10 });
    // Beyond and back within one slot: neither sees it.
    engine.update_accounts(vec![update(1, &value(50)), update(1, &value(5))]).unwrap();
    assert_eq!(slot(&mut engine, 2, &idle).watchers_triggered, 0);
    // Several changes: one trigger, first to last.
    engine.set_account(ACCOUNT, Some(account(1, &value(7)))).unwrap();
    engine.update_accounts(vec![update(1, &value(8)), update(1, &value(9))]).unwrap();
    let report = slot(&mut engine, 3, &idle);
    assert_eq!(report.outcomes.iter().map(|outcome| outcome.source.id).collect::<Vec<_>>(), [any]);
}

#[test]
fn the_callback_knows_both_values_and_gets_the_account() {
    let mut engine = engine();
    watch(&mut engine, Trigger::ThresholdAbove { offset: 0, threshold: 10 });
    let check = |expected: (Option<i64>, Option<i64>)| {
        move |_: &Engine, task: &Task, _: &mut Stage<'_>| {
            assert_eq!((task.cause.old_value, task.cause.new_value), expected);
            assert_eq!((task.cause.trigger, task.cause.account), (4, ACCOUNT));
            assert_eq!(task.callback.accounts, [AccountMeta { address: ACCOUNT, signer: false, writable: false }]);
            (0, Ok(Changes::default()))
        }
    };
    engine.update_accounts(vec![update(1, &value(11))]).unwrap();
    assert_eq!(slot(&mut engine, 1, &check((None, Some(11)))).outcomes.len(), 1);
    engine.update_accounts(vec![update(1, &value(3))]).unwrap();
    assert_eq!(slot(&mut engine, 2, &idle).outcomes.len(), 0);
    engine.update_accounts(vec![update(1, &value(12))]).unwrap();
    assert_eq!(slot(&mut engine, 3, &check((Some(3), Some(12)))).outcomes.len(), 1);
}

#[test]
fn an_account_is_not_appended_twice() {
    let mut engine = engine();
    let own = AccountMeta { address: ACCOUNT, signer: false, writable: true };
    let callback = Arc::new(Callback { accounts: vec![own], ..Arc::unwrap_or_clone(callback()) });
    let spec = WatcherSpec { callback, ..watcher(Trigger::AnyChange) };
    let id = create(&mut engine, Call::WatcherCreate { spec, min_slots_between_triggers: 1 });
    assert_eq!(engine.watcher(id).unwrap().spec.callback.accounts, [own]);
}

#[test]
fn what_changed_before_a_watcher_was_created_is_not_its_concern() {
    let mut engine = engine();
    let above = Trigger::ThresholdAbove { offset: 0, threshold: 10 };
    engine.set_account(ACCOUNT, Some(account(1, &value(50)))).unwrap();
    let id = watch(&mut engine, above.clone());
    watch(&mut engine, Trigger::AnyChange);
    assert_eq!(slot(&mut engine, 1, &idle).watchers_triggered, 0);
    engine.set_account(ACCOUNT, Some(account(1, &value(5)))).unwrap();
    assert_eq!(slot(&mut engine, 2, &idle).watchers_triggered, 1);
    engine.set_account(ACCOUNT, Some(account(1, &value(60)))).unwrap();
    assert_eq!(slot(&mut engine, 3, &idle).watchers_triggered, 2);
    // The same for a program that writes an account and watches it in one go.
    engine.call(HOST, Call::WatcherRemove { id }).unwrap();
    let outcome = invoke(&mut engine, &|_, _, stage| {
        stage.call(OWNER, Call::WatcherCreate { spec: watcher(above.clone()), min_slots_between_triggers: 1 }).unwrap();
        (0, Ok(Changes { accounts: vec![(ACCOUNT, Some(account(1, &value(70))))].into(), return_data: None }))
    });
    assert_eq!(outcome.status, Status::Committed);
    let report = slot(&mut engine, 4, &idle);
    assert_eq!(report.watchers_triggered, 1, "only the one that was there before");
    // What changes after its creation is, even in the same slot.
    watch(&mut engine, Trigger::LamportChange);
    engine.update_accounts(vec![update(9, &value(70))]).unwrap();
    assert_eq!(slot(&mut engine, 5, &idle).watchers_triggered, 2);
}

#[test]
fn old_updates_are_ignored() {
    let mut engine = engine();
    let version = |lamports, version| AccountUpdate { write_version: Some(version), ..update(lamports, &[]) };
    engine.update_accounts(vec![version(5, 10), version(6, 10), version(7, 9)]).unwrap();
    slot(&mut engine, 1, &idle);
    assert_eq!(engine.account(&ACCOUNT).unwrap().lamports, 5);
    engine.update_accounts(vec![version(0, 11)]).unwrap();
    slot(&mut engine, 2, &idle);
    assert_eq!(engine.account(&ACCOUNT), None);
    engine.update_accounts(vec![version(8, 11)]).unwrap();
    slot(&mut engine, 3, &idle);
    assert_eq!(engine.account(&ACCOUNT), None, "the version outlives the account");
}

#[test]
fn triggers_that_come_too_early_are_counted() {
    let mut engine = engine();
    let spec = watcher(Trigger::LamportChange);
    let id = create(&mut engine, Call::WatcherCreate { spec, min_slots_between_triggers: 3 });
    let triggered: Vec<_> = (1..9)
        .filter(|number| {
            engine.update_accounts(vec![update(100 + number, &[])]).unwrap();
            slot(&mut engine, *number, &idle).watchers_triggered > 0
        })
        .collect();
    assert_eq!(triggered, [1, 4, 7]);
    let watcher = engine.watcher(id).unwrap();
    assert_eq!((watcher.trigger_count, watcher.suppressed_count, watcher.last_trigger_slot), (3, 5, Some(7)));
}

#[test]
fn a_paused_watcher_does_not_look() {
    let mut engine = engine();
    let id = watch(&mut engine, Trigger::LamportChange);
    for (number, active, expected) in [(1, false, 0), (2, true, 1)] {
        engine.call(HOST, Call::WatcherSetActive { id, active }).unwrap();
        engine.update_accounts(vec![update(100 + number, &[])]).unwrap();
        assert_eq!(slot(&mut engine, number, &idle).watchers_triggered, expected);
    }
    assert_eq!(code(engine.call(PEER, Call::WatcherSetActive { id, active: false })), ErrorCode::InvalidWatcher);
    assert_eq!(code(engine.call(PEER, Call::WatcherRemove { id })), ErrorCode::InvalidWatcher);
    engine.call(OWNER, Call::WatcherRemove { id }).unwrap();
    assert_eq!(code(engine.call(OWNER, Call::WatcherRemove { id })), ErrorCode::InvalidWatcher);
}

#[test]
fn a_trigger_waits_for_room_and_is_joined() {
    let mut engine = engine_with(|limits| {
        limits.max_scheduled_tasks = 1;
        limits.max_compute_budget = 1000;
        limits.slot_compute_limit = 1000;
    });
    let id = watch(&mut engine, Trigger::ThresholdAbove { offset: 0, threshold: 10 });
    create(&mut engine, task(Priority::Critical, None, 1000));
    let mut triggers = 0;
    for (number, data) in [(1, 11), (2, 3), (3, 15)] {
        engine.update_accounts(vec![update(1, &value(data))]).unwrap();
        let report = slot(&mut engine, number, &|_, running, stage| {
            assert_eq!(running.source.kind, SourceKind::Task);
            // The queue is full again.
            stage.call(OWNER, task(Priority::Critical, None, 1000)).unwrap();
            (1, Ok(Changes::default()))
        });
        triggers += report.watchers_triggered;
    }
    assert_eq!((triggers, engine.watcher(id).unwrap().trigger_count), (2, 2));
    slot(&mut engine, 4, &idle);
    let report = slot(&mut engine, 5, &|_, running, _| {
        let cause = running.cause;
        assert_eq!((cause.due_slot, cause.ticks, cause.old_value, cause.new_value), (1, 2, None, Some(15)));
        (1, Ok(Changes::default()))
    });
    assert_eq!((report.outcomes.len(), report.watchers_triggered), (1, 0));
}

#[test]
fn matching_goes_by_first_touch_then_id() {
    let mut engine = engine();
    let second = Address([101; 32]);
    let on = |account| Call::WatcherCreate { spec: WatcherSpec { account, ..watcher(Trigger::AnyChange) }, min_slots_between_triggers: 1 };
    let ids = [ACCOUNT, second, ACCOUNT, second].map(|account| create(&mut engine, on(account)));
    let of = |address, lamports| AccountUpdate { address, ..update(lamports, &[]) };
    engine.update_accounts(vec![of(second, 1), of(ACCOUNT, 1), of(second, 2)]).unwrap();
    let order: Vec<_> = slot(&mut engine, 1, &idle).outcomes.iter().map(|outcome| outcome.source.id).collect();
    assert_eq!(order, [ids[1], ids[3], ids[0], ids[2]]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every change of a watched account is a trigger or a suppressed one, and every trigger is part of some callback.
    #[test]
    fn no_trigger_is_lost(
        changes in proptest::collection::vec((1..4u64, proptest::collection::vec(0..6u64, 0..4)), 1..40),
        min_slots in proptest::collection::vec(1..5u64, 1..8),
        units in 0..=1000u64,
    ) {
        let mut engine = engine_with(|limits| {
            limits.max_scheduled_tasks = 3;
            limits.max_compute_budget = 1000;
            limits.slot_compute_limit = 2000;
        });
        let ids: Vec<_> = min_slots
            .iter()
            .map(|slots| create(&mut engine, Call::WatcherCreate { spec: watcher(Trigger::LamportChange), min_slots_between_triggers: *slots }))
            .collect();
        let ticks = RefCell::new(std::collections::HashMap::<u64, u64>::new());
        let count = |units| {
            let ticks = &ticks;
            move |_: &Engine, task: &Task, _: &mut Stage<'_>| {
                *ticks.borrow_mut().entry(task.source.id).or_default() += task.cause.ticks;
                (units, Ok(Changes::default()))
            }
        };
        let (mut lamports, mut edges) = (0, 0);
        for (skip, updates) in changes {
            engine.update_accounts(updates.iter().map(|lamports| update(*lamports, &[])).collect()).unwrap();
            let last = updates.last().copied().unwrap_or(lamports);
            edges += u64::from(last != lamports);
            lamports = last;
            let next = engine.slot() + skip;
            slot(&mut engine, next, &count(units));
        }
        for _ in 0..20 {
            let next = engine.slot() + 1;
            slot(&mut engine, next, &count(0));
        }
        for id in ids {
            let watcher = engine.watcher(id).unwrap();
            prop_assert_eq!(watcher.trigger_count + watcher.suppressed_count, edges);
            prop_assert_eq!(ticks.borrow().get(&id).copied().unwrap_or(0), watcher.trigger_count);
        }
    }
}
