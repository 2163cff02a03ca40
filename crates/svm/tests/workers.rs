//! The number of workers cannot be observed.

mod random;
mod support;

use async_bpf_svm::*;
use proptest::prelude::*;
use random::unsteady;
use std::{
    collections::HashMap,
    panic::resume_unwind,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};
use support::*;

fn submit(svm: &mut Svm, program: Address, data: Vec<u8>, accounts: &[AccountMeta], compute_budget: u64, priority: Priority) {
    let callback = Arc::new(Callback { compute_budget, ..callback(program, &data, accounts) });
    // A full queue refuses; that, too, must be the same everywhere.
    let _ = svm.engine_mut().call(Caller::Host, Call::TaskSchedule { callback, priority, deadline_slot: None });
}

fn ring(svm: &mut Svm, program: Address, size: u64) -> u64 {
    svm.engine_mut().call(Caller::Host, Call::RingCreate { program, size: Some(size), reader: RingReader::Program }).unwrap().value
}

/// A timer whose callback writes to byte n of 8 of an account; 0 when the program has as many as it may.
fn timer(svm: &mut Svm, start_slot: u64, program: Address, account: u8, n: u8) -> u64 {
    let data = Script::new().op(33).n(0).n(u64::from(n) % 8).bytes(&[n + 1]).0;
    let callback = Arc::new(callback(program, &data, &[writable(key(account))]));
    let (deadline_slot, catch_up, priority) = (None, CatchUp::Once, Priority::Normal);
    let spec = TimerSpec { callback, start_slot, period_slots: None, deadline_slot, catch_up, priority };
    svm.engine_mut().call(Caller::Host, Call::TimerCreate(spec)).map_or(0, |reply| reply.value)
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
        let runs = count_runs(&mut svm);
        let id = ring(&mut svm, CONFORMANCE, 1 << 20);
        for n in 0..1000u64 {
            svm.engine_mut().call(Caller::Host, Call::RingPush { id, data: n.to_le_bytes().to_vec() }).unwrap();
        }
        for _ in 0..1000 {
            submit(&mut svm, CONFORMANCE, Script::new().pop(id, 8).0, &[], 10_000, Priority::Normal);
        }
        let report = slot(&mut svm, 1);
        let runs = runs.lock().unwrap();
        assert!(runs.values().all(|count| *count <= 2), "no task runs more than twice");
        // Once it is known that it is for nothing, they do not run ahead.
        assert!(runs.values().sum::<usize>() < 1_500, "{workers} workers: {} runs", runs.values().sum::<usize>());
        report
    };
    let report = play(1);
    for (n, outcome) in report.outcomes.iter().enumerate() {
        assert_eq!(outcome.return_data.as_ref().unwrap()[24..], (n as u64).to_le_bytes());
    }
    assert_eq!(report, play(2));
    assert_eq!(report, play(4));
}

/// How often each task has run, by its id.
fn count_runs(svm: &mut Svm) -> Arc<Mutex<HashMap<u64, usize>>> {
    let runs = Arc::new(Mutex::new(HashMap::new()));
    let counts = runs.clone();
    svm.testing_observe(Box::new(move |moment, task| {
        if moment != Moment::EndsAhead {
            *counts.lock().unwrap().entry(task.id).or_default() += 1;
        }
    }));
    runs
}

/// A task that takes another entry than it was told runs again, and so does one that has seen what it wrote, if it writes something else
/// now. Nobody else does.
#[test]
fn only_what_is_spoiled_runs_again() {
    let play = |workers| {
        let mut svm = svm_with(workers, |_| {});
        let id = ring(&mut svm, CONFORMANCE, 4096);
        for entry in [[1; 8], [2; 8]] {
            svm.engine_mut().call(Caller::Host, Call::RingPush { id, data: entry.to_vec() }).unwrap();
        }
        for n in 0..50 {
            set(&mut svm, key(n), RICH, &[0; 16], CONFORMANCE);
        }
        // What a program pops, this one cannot write to an account; but a pop that is refused can make it fail.
        let pop_and_write = |len: u64| Script::new().pop(id, len).op(33).n(0).n(0).bytes(&[9]).0;
        let write = Script::new().op(33).n(0).n(8).bytes(&[7]).0;
        let read = Script::new().op(17).0;
        let mut tasks = vec![
            ("takes the first entry", pop_and_write(8), vec![writable(key(0))]),
            ("takes the second, and leaves the same", pop_and_write(8), vec![writable(key(1))]),
            ("reads what the second left", read.clone(), vec![readonly(key(1)), writable(key(2))]),
            ("reads what the first left", read.clone(), vec![readonly(key(0)), writable(key(3))]),
        ];
        for n in 4..40 {
            tasks.push(("has nothing to do with it", write.clone(), vec![writable(key(n))]));
        }
        for (_, data, accounts) in &tasks {
            submit(&mut svm, CONFORMANCE, data.clone(), accounts, 100_000, Priority::Normal);
        }
        let runs = count_runs(&mut svm);
        let report = slot(&mut svm, 1);
        let runs = runs.lock().unwrap();
        let again: Vec<_> =
            report.outcomes.iter().zip(&tasks).filter(|(outcome, _)| runs[&outcome.task_id] > 1).map(|(_, (name, ..))| *name).collect();
        (report, again)
    };
    let (report, again) = play(1);
    assert_eq!(again, [""; 0]);
    let (parallel, again) = play(2);
    assert_eq!((report, again), (parallel, vec!["takes the second, and leaves the same"]));
}

/// The same where what is left does change: by a task that fails at its turn, and not before.
#[test]
fn who_has_seen_what_is_not_so_any_more_runs_again() {
    let play = |workers| {
        let mut svm = svm_with(workers, |config| config.limits.max_timers_per_program = 1);
        for n in 0..50 {
            set(&mut svm, key(n), RICH, &[0; 16], COUNTER);
        }
        let count =
            |svm: &mut Svm, again: bool, accounts: &[AccountMeta]| submit(svm, COUNTER, vec![again.into()], accounts, 5_000, Priority::Normal);
        count(&mut svm, true, &[writable(key(0))]);
        // There is no second timer: this one fails, and the account stays as it was.
        count(&mut svm, true, &[writable(key(1))]);
        // This one fails in any case, and passes on what it saw.
        submit(&mut svm, FAULTY, vec![1], &[writable(key(1))], 5_000, Priority::Normal);
        count(&mut svm, false, &[writable(key(1))]);
        count(&mut svm, false, &[writable(key(2)), readonly(key(1))]);
        count(&mut svm, false, &[writable(key(3)), readonly(key(2))]);
        count(&mut svm, false, &[writable(key(4)), readonly(key(0))]);
        for n in 5..40 {
            count(&mut svm, false, &[writable(key(n))]);
        }
        let runs = count_runs(&mut svm);
        let report = slot(&mut svm, 1);
        let accounts: Vec<_> = (0..40).map(|n| svm.account(&key(n)).unwrap().data[0]).collect();
        let again: Vec<_> = report.outcomes.iter().map(|outcome| runs.lock().unwrap()[&outcome.task_id] > 1).collect();
        (report, accounts, again.iter().enumerate().filter(|(_, again)| **again).map(|(index, _)| index).collect::<Vec<_>>())
    };
    let (report, accounts, _) = play(1);
    assert_eq!(report.outcomes[1].status, Status::Failed);
    assert_eq!(accounts, [1; 40]);
    // The fifth task runs again because of the fourth, and leaves what it had left: the sixth does not.
    assert_eq!((report, accounts, vec![1, 2, 3, 4]), play(2));
}

/// A task that an earlier one cancels has run ahead for nothing, and so have those that have seen what it wrote; those behind it have not.
#[test]
fn who_is_cancelled_does_not_count() {
    let play = |workers| {
        let mut svm = svm_with(workers, |config| config.limits.max_timers_per_program = 20);
        set(&mut svm, key(0), RICH, &[0; 8], CONFORMANCE);
        let timers: Vec<_> = (0..20)
            .map(|n| {
                set(&mut svm, key(1 + n), RICH, &[0; 8], CONFORMANCE);
                timer(&mut svm, 1, CONFORMANCE, if n % 4 == 0 { 0 } else { 1 + n }, n)
            })
            .collect();
        // Those that are next, one in between and the last.
        let cancel = [0, 1, 7, 8, 19].iter().fold(Script::new(), |script, n| script.op(4).n(timers[*n]));
        submit(&mut svm, CONFORMANCE, cancel.0, &[], 100_000, Priority::Critical);
        let runs = count_runs(&mut svm);
        let report = slot(&mut svm, 1);
        let runs = runs.lock().unwrap();
        let again: Vec<_> = report.outcomes.iter().filter(|outcome| runs[&outcome.task_id] > 1).map(|outcome| outcome.source.id).collect();
        let again: Vec<_> = (0..20).filter(|n| again.contains(&timers[*n])).collect();
        (report, svm.account(&key(0)).unwrap(), again)
    };
    let (report, chain, _) = play(1);
    assert_eq!(report.outcomes.len(), 1 + 15);
    assert_eq!(chain.data[..], [17, 0, 0, 0, 13, 0, 0, 0], "what 0 and 8 would have written is not there");
    assert_eq!((report, chain, vec![4, 12, 16]), play(2));
}

/// Where a chain of tasks fails, each sees what the last one that succeeded left.
#[test]
fn a_chain_of_a_thousand_tasks() {
    let play = |workers| {
        let mut svm = svm_with(workers, |_| {});
        set(&mut svm, key(0), RICH, &[0; 8], FAULTY);
        for n in 0..1000 {
            let data = if n % 100 == 0 { 8 } else { 1 };
            submit(&mut svm, FAULTY, vec![data], &[writable(key(0))], 5_000, Priority::Normal);
        }
        let report = slot(&mut svm, 1);
        (report, svm.account(&key(0)).unwrap().data[0])
    };
    let (report, count) = play(1);
    assert_eq!((report.outcomes.len(), count), (1000, 10));
    assert_eq!((report, count), play(2));
}

/// A task of which nobody knows when it will end holds up those that conflict with it, and nobody else.
#[test]
fn a_long_task_delays_only_those_it_conflicts_with() {
    const OTHERS: usize = 40;
    for workers in [2, 3] {
        let mut svm = svm_with(workers, |_| {});
        for n in 0..60 {
            set(&mut svm, key(n), RICH, &[0; 8], COUNTER);
        }
        let add = |svm: &mut Svm, accounts: &[AccountMeta]| submit(svm, COUNTER, vec![], accounts, 5_000, Priority::Normal);
        add(&mut svm, &[writable(key(0))]);
        for n in 0..OTHERS / 2 {
            let n = n as u8 + 1;
            add(&mut svm, &[writable(key(n)), readonly(key(0))]);
            // Chains and forks among themselves.
            add(&mut svm, &[writable(key(50 + n % 3))]);
            add(&mut svm, &[writable(key(25 + n)), readonly(key(50 + n % 3))]);
        }
        let ended = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let observed = ended.clone();
        svm.testing_observe(Box::new(move |moment, task| {
            if moment != Moment::EndsAhead {
                return;
            }
            let (list, changed) = &*observed;
            let account = task.callback.accounts[0].address;
            let mut list = list.lock().unwrap();
            if account == key(0) {
                // The limit only ends a test that fails.
                list = changed.wait_timeout_while(list, Duration::from_secs(60), |list| list.len() < OTHERS).unwrap().0;
            }
            list.push(account);
            changed.notify_all();
        }));
        let report = slot(&mut svm, 1);
        assert!(report.outcomes.iter().all(|outcome| outcome.status == Status::Committed));
        let ended = ended.0.lock().unwrap();
        assert_eq!((ended.len(), ended[OTHERS]), (report.outcomes.len(), key(0)));
    }
}

/// Whatever goes wrong in a worker outside an invocation, the task runs at its turn, and nobody waits for ever.
#[test]
fn a_worker_that_panics_loses_nothing() {
    let play = |workers, victims: &'static [usize], when| {
        let mut svm = svm_with(workers, |_| {});
        set(&mut svm, key(0), RICH, &[0; 8], COUNTER);
        for n in 0..100 {
            set(&mut svm, key(1 + n), RICH, &[0; 8], COUNTER);
            let accounts = [writable(key(if n % 3 == 0 { 0 } else { 1 + n })), readonly(key(n))];
            submit(&mut svm, COUNTER, vec![], &accounts, 5_000, Priority::Normal);
        }
        let victims: Vec<_> = victims.iter().map(|n| svm.engine().stats().tasks_submitted - 100 + *n as u64).collect();
        svm.testing_observe(Box::new(move |moment, task| {
            if moment == when && victims.contains(&(task.sequence - 1)) {
                // Not `panic!`, which would write about it.
                resume_unwind(Box::new("as asked"));
            }
        }));
        slot(&mut svm, 1)
    };
    let report = play(1, &[], Moment::BeginsAhead);
    for when in [Moment::BeginsAhead, Moment::EndsAhead] {
        assert_eq!(report, play(2, &[0, 50, 99], when));
        assert_eq!(report, play(4, &[3, 4, 5, 6, 7, 8], when));
    }
}

#[derive(Clone, Debug)]
struct Job {
    script: Vec<(u8, u8, u8)>,
    fails: u8,
    account: u8,
    writes: bool,
    reads: Option<u8>,
    twin: bool,
    priority: u64,
    tight: bool,
}

fn jobs() -> impl Strategy<Value = Vec<Vec<Job>>> {
    let op = (0..10u8, any::<u8>(), any::<u8>());
    let job = (proptest::collection::vec(op, 0..7), 0..8u8, 0..4u8, any::<bool>(), any::<Option<u8>>(), any::<bool>(), 0..4u64, any::<bool>())
        .prop_map(|(script, fails, account, writes, reads, twin, priority, tight)| Job {
            script,
            fails,
            account,
            writes,
            reads: reads.map(|n| n % 4),
            twin,
            priority,
            tight,
        });
    proptest::collection::vec(proptest::collection::vec(job, 1..25), 1..6)
}

fn play(workers: usize, slots: &[Vec<Job>], observer: Option<Observer>) -> (Vec<SlotReport>, Stats) {
    let mut svm = svm_with(workers, |config| {
        config.limits.max_scheduled_tasks = 40;
        config.limits.max_timers_per_program = 6;
        config.limits.slot_compute_limit = 1_500_000;
    });
    if let Some(observer) = observer {
        svm.testing_observe(observer);
    }
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
        // Due in this slot, so that tasks cancel what has been handed out with them.
        let due: Vec<_> = (0..3).map(|n| timer(&mut svm, now, if n % 2 == 0 { CONFORMANCE } else { TWIN }, n, n)).collect();
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
                    8 => script.op(4).n(value_of(a % 4)),
                    _ => script.op(4).n(due[a as usize % due.len()]),
                };
            }
            let program = if job.twin { TWIN } else { CONFORMANCE };
            let mut accounts = vec![AccountMeta { address: key(job.account), signer: false, writable: job.writes }];
            accounts.extend(job.reads.map(|n| readonly(key(n))));
            let budget = if job.tight { 2_400 } else { 100_000 };
            submit(&mut svm, program, script.0, &accounts, budget, Priority::try_from(job.priority).unwrap());
        }
        reports.push(slot(&mut svm, now));
    }
    for extra in 1..4 {
        reports.push(slot(&mut svm, slots.len() as u64 + extra));
    }
    (reports, svm.engine().stats())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_number_of_workers_agrees(slots in jobs(), seed: u64) {
        let alone = play(1, &slots, None);
        for workers in [2, 3, 4, 8] {
            prop_assert_eq!(&alone, &play(workers, &slots, None));
            prop_assert_eq!(&alone, &play(workers, &slots, Some(unsteady(seed))));
        }
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
