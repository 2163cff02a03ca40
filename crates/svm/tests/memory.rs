//! Memory that tasks take which run ahead of their turn. Alone in its process, whose peak it looks at.

mod support;

use async_bpf_svm::*;
use std::{fs, sync::Arc};
use support::*;

/// MiB that the process had at most; 0 where that is not so easy to tell.
fn peak_mib() -> u64 {
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return 0 };
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says so");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of KiB") >> 10
}

/// A chain of tasks that change one byte of 10 MiB: each that has run ahead holds a copy.
#[test]
fn what_waits_to_be_committed_is_bounded() {
    const TASKS: u8 = 100;
    let play = |workers| {
        let mut svm = svm_with(workers, |_| {});
        set(&mut svm, key(0), 1_000_000_000_000, &vec![0; MAX_ACCOUNT_DATA_LEN as usize], COUNTER);
        for _ in 0..TASKS {
            let callback = Arc::new(Callback { compute_budget: 5_000, ..callback(COUNTER, &[], &[writable(key(0))]) });
            svm.engine_mut().call(Caller::Host, Call::TaskSchedule { callback, priority: Priority::Normal, deadline_slot: None }).unwrap();
        }
        let report = slot(&mut svm, 1);
        (report, svm.account(&key(0)).unwrap().data[0])
    };
    let (report, count) = play(1);
    assert_eq!(count, TASKS);
    let alone = peak_mib();
    assert_eq!((report, count), play(2));
    let more = peak_mib() - alone;
    assert!(more < 500, "{more} MiB more than without running ahead; all of the chain would be 1,000");
}
