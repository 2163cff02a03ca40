//! What holds for any arguments, and the state hash.

mod support;

use async_bpf_engine::*;
use proptest::prelude::*;
use std::sync::Arc;
use support::*;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 0..70u64, 1 => Just(u64::MAX), 1 => Just(u64::MAX - 7), 1 => Just(1 << 20), 1 => Just((1 << 20) + 1), 1 => any::<u64>()]
}

fn address() -> impl Strategy<Value = Address> {
    prop_oneof![Just(PROGRAM), Just(OTHER), Just(STRANGER), Just(ACCOUNT)]
}

prop_compose! {
    fn any_callback()(
        program in address(),
        len in prop_oneof![9 => 0..9usize, 1 => 1020..1030usize],
        accounts in prop_oneof![9 => 0..3usize, 1 => 60..70usize],
        compute_budget in prop_oneof![Just(0u64), Just(1), Just(1_400_000), Just(1_400_001), any::<u64>()],
    ) -> Arc<Callback> {
        let account = AccountMeta { address: ACCOUNT, signer: true, writable: true };
        Arc::new(Callback { program, data: vec![7; len], accounts: vec![account; accounts], compute_budget })
    }
}

fn priority() -> impl Strategy<Value = Priority> {
    (0..4u64).prop_map(|number| Priority::try_from(number).unwrap())
}

fn trigger() -> impl Strategy<Value = Trigger> {
    prop_oneof![
        Just(Trigger::AnyChange),
        Just(Trigger::OwnerChange),
        (number(), any::<i64>()).prop_map(|(offset, threshold)| Trigger::ThresholdAbove { offset, threshold }),
        (number(), any::<i64>()).prop_map(|(offset, threshold)| Trigger::ThresholdBelow { offset, threshold }),
        (number(), 0..70usize).prop_map(|(offset, len)| Trigger::PatternMatch { offset, pattern: vec![0; len] }),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let catch_up = prop_oneof![Just(CatchUp::Once), Just(CatchUp::Skip), number().prop_map(|max_ticks| CatchUp::All { max_ticks })];
    let state = prop_oneof![Just(RingState::Active), Just(RingState::Paused), Just(RingState::Closed), Just(RingState::Draining)];
    let reader = prop_oneof![Just(RingReader::Program), Just(RingReader::Host)];
    prop_oneof![
        4 => (any_callback(), number(), proptest::option::of(number()), any::<Option<u64>>(), catch_up, priority()).prop_map(
            |(callback, start_slot, period_slots, deadline_slot, catch_up, priority)| {
                Call::TimerCreate(TimerSpec { callback, start_slot, period_slots, deadline_slot, catch_up, priority })
            }
        ),
        1 => number().prop_map(|id| Call::TimerCancel { id }),
        2 => (any_callback(), address(), trigger(), priority(), number()).prop_map(|(callback, account, trigger, priority, slots)| {
            Call::WatcherCreate { spec: WatcherSpec { callback, account, trigger, priority }, min_slots_between_triggers: slots }
        }),
        1 => (number(), number()).prop_map(|(id, slots)| Call::WatcherSetMinSlots { id, slots }),
        1 => (number(), any::<bool>()).prop_map(|(id, active)| Call::WatcherSetActive { id, active }),
        1 => number().prop_map(|id| Call::WatcherRemove { id }),
        1 => (address(), proptest::option::of(number()), reader).prop_map(|(program, size, reader)| Call::RingCreate { program, size, reader }),
        1 => (number(), 0..5000usize).prop_map(|(id, len)| Call::RingPush { id, data: vec![1; len] }),
        1 => (number(), number()).prop_map(|(id, max_len)| Call::RingPop { id, max_len }),
        1 => (number(), number()).prop_map(|(id, max_len)| Call::RingPeek { id, max_len }),
        1 => (number(), address(), number()).prop_map(|(id, program, rights)| Call::RingGrant { id, program, rights }),
        1 => (number(), state).prop_map(|(id, state)| Call::RingSetState { id, state }),
        1 => number().prop_map(|id| Call::RingDestroy { id }),
        2 => (any_callback(), priority(), any::<Option<u64>>())
            .prop_map(|(callback, priority, deadline_slot)| Call::TaskSchedule { callback, priority, deadline_slot }),
    ]
}

fn caller() -> impl Strategy<Value = Caller> {
    prop_oneof![Just(HOST), address().prop_map(Caller::Program)]
}

/// Small ids of a call become those of things that are there.
fn aimed(call: Call, ids: &[u64]) -> Call {
    let aim = |id: u64| if id < 70 && !ids.is_empty() { ids[id as usize % ids.len()] } else { id };
    match call {
        Call::TimerCancel { id } => Call::TimerCancel { id: aim(id) },
        Call::WatcherSetMinSlots { id, slots } => Call::WatcherSetMinSlots { id: aim(id), slots },
        Call::WatcherSetActive { id, active } => Call::WatcherSetActive { id: aim(id), active },
        Call::WatcherRemove { id } => Call::WatcherRemove { id: aim(id) },
        Call::RingPush { id, data } => Call::RingPush { id: aim(id), data },
        Call::RingPop { id, max_len } => Call::RingPop { id: aim(id), max_len },
        Call::RingPeek { id, max_len } => Call::RingPeek { id: aim(id), max_len },
        Call::RingGrant { id, program, rights } => Call::RingGrant { id: aim(id), program, rights },
        Call::RingSetState { id, state } => Call::RingSetState { id: aim(id), state },
        Call::RingDestroy { id } => Call::RingDestroy { id: aim(id) },
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// No arguments make a call panic, and one that is refused changes nothing.
    #[test]
    fn any_call_is_made_or_refused_as_a_whole(
        calls in proptest::collection::vec((caller(), call(), 0..8u8), 1..60),
        start_slot in prop_oneof![Just(0), Just(u64::MAX - 100), any::<u64>()],
    ) {
        let mut engine = Engine::new(Config { start_slot, ..Config::default() }).unwrap();
        for program in [PROGRAM, OTHER] {
            engine.add_program(program, program.0, Vec::new()).unwrap();
        }
        let mut ids = Vec::new();
        for (caller, call, then) in calls {
            let before = (engine.state_hash(), engine.stats());
            match engine.call(caller, aimed(call, &ids)) {
                Ok(reply) => ids.extend(Some(reply.value).filter(|id| *id >= 1 << 20)),
                Err(error) => {
                    prop_assert!(!error.to_string().is_empty());
                    prop_assert_eq!(before, (engine.state_hash(), engine.stats()));
                }
            }
            match (then, engine.slot().checked_add(1)) {
                (0, Some(next)) => {
                    slot(&mut engine, next, &idle);
                }
                (1, _) if engine.slot() < u64::MAX => {
                    let middle = engine.slot() + (u64::MAX - engine.slot()).div_ceil(2);
                    slot(&mut engine, middle, &fails);
                }
                (2, _) => engine.update_accounts(vec![update(ids.len() as u64, &[1; 9])]).unwrap(),
                _ => {}
            }
        }
    }
}

#[test]
fn equal_histories_have_equal_hashes() {
    let play = |order: &[usize]| {
        let mut engine = engine();
        let accounts: Vec<_> = (0..50u8).map(|n| Address([n + 10; 32])).collect();
        for account in &accounts {
            engine.set_account(*account, Some(support::account(1, &[1]))).unwrap();
        }
        for index in order {
            engine.set_account(accounts[*index], Some(support::account(2, &[2]))).unwrap();
        }
        [slot(&mut engine, 1, &idle).state_hash, slot(&mut engine, 2, &idle).state_hash, engine.state_hash()]
    };
    let forward: Vec<_> = (0..50).collect();
    let hashes = play(&forward);
    assert_eq!(hashes, play(&forward));
    assert_ne!(hashes[0], hashes[1], "the slot is part of the state");
    assert_eq!(hashes[1], hashes[2]);
}

/// Each of these differs from doing nothing and from the others, at once and, unless it is over by then, a slot later.
#[test]
fn whatever_matters_later_is_in_the_hash() {
    let value = |number: i64| number.to_le_bytes();
    let above = |threshold| Trigger::ThresholdAbove { offset: 0, threshold };
    let versioned = |lamports, version| AccountUpdate { write_version: Some(version), ..update(lamports, &[]) };
    type Act = Box<dyn Fn(&mut Engine)>;
    let acts: Vec<(&str, Act)> = vec![
        ("nothing", Box::new(|_| {})),
        ("an account", Box::new(|engine| engine.set_account(ACCOUNT, Some(account(1, &[]))).unwrap())),
        ("its data", Box::new(|engine| engine.set_account(ACCOUNT, Some(account(1, &[0]))).unwrap())),
        ("an update", Box::new(|engine| engine.update_accounts(vec![update(3, &[])]).unwrap())),
        ("its version", Box::new(move |engine| engine.update_accounts(vec![versioned(1, 1)]).unwrap())),
        ("a removal", Box::new(move |engine| engine.update_accounts(vec![versioned(0, 1)]).unwrap())),
        ("its version", Box::new(move |engine| engine.update_accounts(vec![versioned(0, 2)]).unwrap())),
        ("a timer", Box::new(|engine| _ = timer(engine, once(5)))),
        ("its slot", Box::new(|engine| _ = timer(engine, once(6)))),
        ("a watcher", Box::new(move |engine| _ = watch(engine, above(1)))),
        ("its threshold", Box::new(move |engine| _ = watch(engine, above(2)))),
        ("a ring", Box::new(|engine| _ = ring(engine, 64, RingReader::Program))),
        ("its reader", Box::new(|engine| _ = ring(engine, 64, RingReader::Host))),
        ("a task", Box::new(|engine| _ = create(engine, task(Priority::Low, None, 1)))),
        ("a task's priority", Box::new(|engine| _ = create(engine, task(Priority::High, None, 1)))),
        ("a program", Box::new(|engine| engine.add_program(STRANGER, [0; 32], vec![]).unwrap())),
        ("its code", Box::new(|engine| engine.add_program(STRANGER, [1; 32], vec![]).unwrap())),
        ("draining", Box::new(|engine| engine.drain().unwrap())),
    ];
    let hashes: Vec<_> = acts
        .iter()
        .map(|(what, act)| {
            let mut engine = engine();
            act(&mut engine);
            let now = engine.state_hash();
            (what, now, slot(&mut engine, 1, &idle).state_hash)
        })
        .collect();
    for (index, (what, now, later)) in hashes.iter().enumerate() {
        for (other, other_now, other_later) in &hashes[..index] {
            assert_ne!(now, other_now, "{what} and {other}");
            if !what.starts_with("a task") {
                assert_ne!(later, other_later, "{what} and {other}, a slot later");
            }
        }
    }

    // States that were there for a moment only, but which a watcher will compare with.
    let momentary = |first: i64| {
        let mut engine = engine();
        watch(&mut engine, above(10));
        engine.set_account(ACCOUNT, Some(account(1, &value(50)))).unwrap();
        slot(&mut engine, 1, &idle);
        create(&mut engine, task(Priority::Low, None, 1));
        engine.update_accounts(vec![update(1, &value(first))]).unwrap();
        let report =
            slot(&mut engine, 2, &|_, _, _| (1, Ok(Changes { accounts: vec![(ACCOUNT, Some(account(1, &value(60))))].into(), return_data: None })));
        (report.outcomes, report.state_hash, slot(&mut engine, 3, &idle).watchers_triggered)
    };
    let (low, high) = (momentary(5), momentary(20));
    assert_eq!((low.0, low.2, high.2), (high.0, 1, 0));
    assert_ne!(low.1, high.1);
}

#[test]
fn limits_have_hard_ranges() {
    let mut limits = Limits::default();
    for row in Limits::TABLE {
        limits.set(row.key, row.min).unwrap();
        limits.set(row.key, row.max).unwrap();
        assert!(limits.set(row.key, row.max + 1).is_err());
        assert!(row.min == 0 || limits.set(row.key, row.min - 1).is_err());
        limits.set(row.key, row.default).unwrap();
    }
    assert_eq!(limits, Limits::default());
    assert_eq!(code(limits.set("maxTimers", 1)), ErrorCode::InvalidArgument);
    for (key, value) in [("minTimerSlots", 1_000_000), ("maxRingBufferSize", 4_000)] {
        let mut limits = Limits { max_timer_slots: 10, ..Limits::default() };
        limits.set(key, value).unwrap();
        assert!(limits.validate().is_err(), "{key}");
    }
    assert!(Limits { max_timer_slots: 1 << 40, ..Limits::default() }.validate().is_err(), "beyond the hard range");
}

#[test]
fn numbers_and_names_are_those_of_the_other_languages() {
    for (index, code) in ErrorCode::ALL.iter().enumerate() {
        assert_eq!(*code as usize, index);
    }
    assert_eq!(ErrorCode::BufferNotActive.name(), "BUFFER_NOT_ACTIVE");
    assert_eq!("11111111111111111111111111111111".parse(), Ok(Address::SYSTEM_PROGRAM));
    assert_eq!(Address::SYSTEM_PROGRAM.to_string(), "11111111111111111111111111111111");
    for text in ["", "1", "O", "111111111111111111111111111111111", &"1".repeat(5000)] {
        assert!(text.parse::<Address>().is_err(), "{text}");
    }
}
