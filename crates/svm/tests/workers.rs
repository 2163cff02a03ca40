//! The number of workers cannot be observed.

mod support;

use async_bpf_svm::*;
use proptest::prelude::*;
use std::sync::Arc;
use support::*;

fn submit(svm: &mut Svm, program: Address, data: Vec<u8>, accounts: &[AccountMeta], compute_budget: u64, priority: Priority) {
    let callback = Arc::new(Callback { compute_budget, ..callback(program, &data, accounts) });
    // A full queue refuses; that, too, must be the same everywhere.
    let _ = svm.engine_mut().call(Caller::Host, Call::TaskSchedule { callback, priority, deadline_slot: None });
}

fn ring(svm: &mut Svm, program: Address, size: u64) -> u64 {
    svm.engine_mut().call(Caller::Host, Call::RingCreate { program, size: Some(size), reader: RingReader::Program }).unwrap().value
}

/// What a call costs must depend on nothing but answers: here both reads are refused, but of entries of different lengths.
#[test]
fn a_refused_read_costs_the_same_whoever_came_first() {
    let play = |workers| {
        let mut svm = svm_with(workers, |_| {});
        let id = ring(&mut svm, CONFORMANCE, 4096);
        for len in [900, 8] {
            svm.engine_mut().call(Caller::Host, Call::RingPush { id, data: vec![1; len] }).unwrap();
        }
        submit(&mut svm, CONFORMANCE, Script::new().pop(id, 1000).0, &[], 100_000, Priority::High);
        submit(&mut svm, CONFORMANCE, Script::new().pop(id, 4).0, &[], 100_000, Priority::Low);
        slot(&mut svm, 1)
    };
    let report = play(1);
    assert_eq!(report.outcomes[1].staged_codes, [ErrorCode::OutputTooSmall]);
    assert_eq!(report, play(2));
}

/// Ring buffers that all tasks fight for: each outcome spoils those behind it.
#[test]
fn a_thousand_tasks_on_one_ring() {
    let play = |workers| {
        let mut svm = svm_with(workers, |_| {});
        let id = ring(&mut svm, CONFORMANCE, 1 << 20);
        for n in 0..1000u64 {
            svm.engine_mut().call(Caller::Host, Call::RingPush { id, data: n.to_le_bytes().to_vec() }).unwrap();
        }
        for _ in 0..1000 {
            submit(&mut svm, CONFORMANCE, Script::new().pop(id, 8).0, &[], 10_000, Priority::Normal);
        }
        slot(&mut svm, 1)
    };
    let report = play(1);
    for (n, outcome) in report.outcomes.iter().enumerate() {
        assert_eq!(outcome.return_data.as_ref().unwrap()[24..], (n as u64).to_le_bytes());
    }
    assert_eq!(report, play(2));
    assert_eq!(report, play(4));
}

#[derive(Clone, Debug)]
struct Job {
    script: Vec<(u8, u8, u8)>,
    fails: u8,
    account: u8,
    writes: bool,
    twin: bool,
    priority: u64,
    tight: bool,
}

fn jobs() -> impl Strategy<Value = Vec<Vec<Job>>> {
    let op = (0..9u8, any::<u8>(), any::<u8>());
    let job = (proptest::collection::vec(op, 0..7), 0..8u8, 0..4u8, any::<bool>(), any::<bool>(), 0..4u64, any::<bool>())
        .prop_map(|(script, fails, account, writes, twin, priority, tight)| Job { script, fails, account, writes, twin, priority, tight });
    proptest::collection::vec(proptest::collection::vec(job, 1..25), 1..6)
}

fn play(workers: usize, slots: &[Vec<Job>]) -> (Vec<SlotReport>, Stats) {
    let mut svm = svm_with(workers, |config| {
        config.limits.max_scheduled_tasks = 40;
        config.limits.max_timers_per_program = 6;
        config.limits.slot_compute_limit = 1_500_000;
    });
    let rings = [ring(&mut svm, CONFORMANCE, 200), ring(&mut svm, TWIN, 300)];
    for (id, caller, program) in [(rings[0], CONFORMANCE, TWIN), (rings[1], TWIN, CONFORMANCE)] {
        svm.engine_mut().call(Caller::Program(caller), Call::RingGrant { id, program, rights: 3 }).unwrap();
    }
    for n in 0..4 {
        set(&mut svm, key(n), RICH, &[0; 16], if n % 2 == 0 { CONFORMANCE } else { TWIN });
    }
    let mut reports = Vec::new();
    for (number, jobs) in slots.iter().enumerate() {
        let now = number as u64 + 1;
        for job in jobs {
            let mut script = Script::flags(u8::from(job.fails == 0));
            for (op, a, b) in &job.script {
                let (a, b) = (u64::from(*a), u64::from(*b));
                let id = rings[a as usize % 2];
                script = match op {
                    0 => script.timer(now + a % 3, &Script::new().push(id, &[1; 9]).0, 20_000),
                    1 => script.push(id, &vec![2; 1 + b as usize % 60]),
                    2 => script.pop(id, b % 60),
                    3 => script.op(13).n(id).scratch(b % 60),
                    4 => script.op(5).bytes(&key(a as u8 % 4).0).n(b % 5).bytes(&[0]).n(5_000),
                    5 => script.op(16).bytes(&Script::new().pop(id, 64).0).n(10_000).n(b % 5).n(0),
                    6 => script.op(33).n(0).n(b % 16).bytes(&[a as u8]),
                    7 => script.op(10).n(64 + b),
                    _ => script.op(4).n(value_of(a % 4)),
                };
            }
            let program = if job.twin { TWIN } else { CONFORMANCE };
            let account = AccountMeta { address: key(job.account), signer: false, writable: job.writes };
            let budget = if job.tight { 2_400 } else { 100_000 };
            submit(&mut svm, program, script.0, &[account], budget, Priority::try_from(job.priority).unwrap());
        }
        reports.push(slot(&mut svm, now));
    }
    for extra in 1..4 {
        reports.push(slot(&mut svm, slots.len() as u64 + extra));
    }
    (reports, svm.engine().stats())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_two_and_four_workers_agree(slots in jobs()) {
        let alone = play(1, &slots);
        prop_assert_eq!(&alone, &play(2, &slots));
        prop_assert_eq!(&alone, &play(4, &slots));
    }
}

#[test]
fn the_number_of_workers_has_a_range() {
    for workers in [0, MAX_WORKERS + 1, usize::MAX] {
        let refused = Svm::new(SvmConfig { workers, ..SvmConfig::default() }).err().unwrap();
        assert_eq!(refused.code(), ErrorCode::InvalidArgument);
    }
}

#[test]
fn there_are_1_to_256_workers() {
    let open = |workers| Svm::new(SvmConfig { workers, ..SvmConfig::default() }).map(|_| ());
    assert_eq!((open(1), open(MAX_WORKERS)), (Ok(()), Ok(())));
    for workers in [0, MAX_WORKERS + 1] {
        assert!(matches!(open(workers), Err(Error::InvalidArgument { argument: "workers", .. })), "{workers}");
    }
}
