//! The prebuilt programs in the real runtime: syscalls, budgets, rollback, accounts, cross-program invocations.

mod support;

use async_bpf_svm::*;
use std::sync::Arc;
use support::*;

#[test]
fn a_program_keeps_calling_itself() {
    let mut svm = svm();
    set(&mut svm, key(1), RICH, &[0; 8], COUNTER);
    assert_eq!(invoke(&mut svm, COUNTER, &[1], &[writable(key(1))]).status, Status::Committed);
    for number in 1..50 {
        let report = slot(&mut svm, number);
        assert_eq!((report.outcomes.len(), report.outcomes[0].status), (1, Status::Committed), "{:?}", report.outcomes);
    }
    assert_eq!(svm.engine().account(&key(1)).unwrap().data[..], 50u64.to_le_bytes());
    assert_eq!(svm.engine().stats().timers_active, 1);
}

#[test]
fn faults_have_reasons_and_change_nothing() {
    let mut svm = svm();
    set(&mut svm, key(1), RICH, &[0; 8], FAULTY);
    set(&mut svm, key(2), RICH, &[0; 8], COUNTER);
    let accounts = svm.engine().account(&key(1)).cloned();
    let cases = [
        (1, vec![], "Custom", Some(42)),
        (2, vec![], "ProgramFailedToComplete", None),
        (3, vec![], "ProgramFailedToComplete", None),
        (6, vec![], "ProgramFailedToComplete", None),
        (7, vec![], "ProgramFailedToComplete", None),
        (8, vec![readonly(key(1))], "ReadonlyDataModified", None),
        (8, vec![writable(key(2))], "ExternalAccountDataModified", None),
        (9, vec![writable(key(1)), writable(key(2))], "UnbalancedInstruction", None),
    ];
    for (fault, metas, expected, number) in cases {
        let outcome = invoke(&mut svm, FAULTY, &[fault], &metas);
        assert_eq!((reason(&outcome), custom(&outcome)), (expected, number), "fault {fault}");
        assert_eq!(outcome.failure.as_ref().unwrap().code, ErrorCode::ExecutionFailed);
        assert_eq!(svm.engine().account(&key(1)).cloned(), accounts);
    }
    assert_eq!(invoke(&mut svm, FAULTY, &[0], &[]).status, Status::Committed);
}

#[test]
fn the_budget_is_exact() {
    let mut svm = svm();
    let script = Script::new().op(17).timer(9, b"data", 1000).push(1, &[1; 700]);
    let budget = |svm: &mut Svm, compute_budget| svm.invoke(Callback { compute_budget, ..callback(CONFORMANCE, &script.0, &[]) }).unwrap();
    let needed = budget(&mut svm, 200_000).units_consumed;
    let exact = budget(&mut svm, needed);
    assert_eq!((exact.status, exact.units_consumed), (Status::Committed, needed));
    let short = budget(&mut svm, needed - 1);
    assert_eq!((short.status, short.units_consumed), (Status::Failed, needed - 1));
    let looping = svm.invoke(Callback { compute_budget: 1234, ..callback(FAULTY, &[2], &[]) }).unwrap();
    assert_eq!((looping.status, looping.units_consumed), (Status::Failed, 1234));
}

/// 100 units, and one for every 250 bytes moved: differences between scripts that differ in the call alone.
#[test]
fn calls_have_a_price() {
    let mut svm = svm();
    let ring = svm.engine_mut().call(Caller::Host, Call::RingCreate { program: CONFORMANCE, size: None, reader: RingReader::Program }).unwrap().value;
    svm.engine_mut().call(Caller::Host, Call::RingPush { id: ring, data: vec![0; 3000] }).unwrap();
    let mut units = |script: Script| invoke(&mut svm, CONFORMANCE, &script.0, &[]).units_consumed;
    // The same instructions of the program; only the length given to the syscall differs.
    let null = |len| Script::new().op(11).n(ring).null(len);
    assert_eq!(units(null(250)) - units(null(249)), 1);
    assert_eq!(units(null(25_000)) - units(null(0)), 100, "charged before the pointer is looked at");
    let timer = |len| Script::new().op(1).n(9).null(len).n(1000);
    assert_eq!(units(timer(2500)) - units(timer(2499)), 1);
    // A read is charged for what it moves: here nothing.
    let pop = |len| Script::new().op(12).n(ring).scratch(len);
    assert_eq!(units(pop(2999)), units(pop(10)));
}

#[test]
fn a_failed_invocation_leaves_nothing_behind() {
    for fault in [4, 5] {
        let mut svm = svm();
        set(&mut svm, key(1), RICH, &[0; 8], FAULTY);
        let ring = svm.engine_mut().call(Caller::Host, Call::RingCreate { program: FAULTY, size: None, reader: RingReader::Program }).unwrap().value;
        let data = [&[fault][..], &ring.to_le_bytes()].concat();
        let outcome = invoke(&mut svm, FAULTY, &data, &[writable(key(1))]);
        assert_eq!((outcome.status, outcome.staged_codes), (Status::Failed, vec![ErrorCode::Success; 2]));
        let stats = svm.engine().stats();
        assert_eq!((stats.timers_active, stats.timers_created), (0, 0));
        assert_eq!(svm.engine().ring(ring).unwrap().0.used, 0);
        assert_eq!(svm.engine().account(&key(1)).unwrap().data[..], [0; 8]);
        assert_eq!(slot(&mut svm, 1).outcomes, []);
    }
}

#[test]
fn refusals_are_told_and_recorded() {
    let mut svm = svm();
    // Each script with its value and last error, and the codes of all.
    let cases = [
        (Script::new().op(1).n(5).null(3).n(1000), (0, 1)),                      // NULL_POINTER
        (Script::new().op(1).n(0).bytes(&[]).n(1000), (0, 6)),                   // INVALID_SLOT
        (Script::new().op(2).n(5).n(0).bytes(&[]).n(1000), (0, 6)),              // the same: a period of 0
        (Script::new().op(2).n(5).n(0).bytes(&[]).n(0), (0, 11)),                // the budget comes before it
        (Script::new().op(4).n(77), (2, 2)),                                     // INVALID_TIMER
        (Script::new().op(5).bytes(&key(1).0).n(4).bytes(&[]).n(1000), (0, 11)), // a threshold without a number
        (Script::new().op(10).n(1), (0, 11)),                                    // INVALID_ARGUMENT
        (Script::new().op(11).n(5).bytes(&[1]), (8, 8)),                         // INVALID_BUFFER
    ];
    let mut all = vec![0];
    let mut expected = Vec::new();
    for (script, answer) in cases {
        all.extend(&script.0[1..]);
        expected.push(answer);
    }
    // Asking for the slot cannot fail, and says nothing about the call before.
    all.extend(&Script::new().op(18).op(17).op(18).0[1..]);
    let codes: Vec<_> = expected.iter().map(|(_, code)| *code).collect();
    expected.extend([(8, 8), (0, 8), (8, 8)]);
    let outcome = invoke(&mut svm, CONFORMANCE, &all, &[]);
    assert_eq!(answers(&outcome), expected);
    assert_eq!(outcome.staged_codes.iter().map(|code| *code as u64).collect::<Vec<_>>(), codes);
}

#[test]
fn wild_pointers_end_the_program() {
    let mut svm = svm();
    for address in [1 << 20, 0x2_0000_0000 + (1 << 30), 0x3_0000_0000 + (1 << 20), 0x4_0000_0000 + (1 << 30), u64::MAX - 3, u64::MAX] {
        for script in [
            Script::new().op(1).n(5).at(address, 8).n(1000),
            Script::new().op(5).at(address, 32).n(0).bytes(&[]).n(1000),
            Script::new().op(20).at(address, 72),
            Script::new().op(12).n(1).at(address, 8),
            Script::new().op(12).n(1).at(address, u64::MAX),
            Script::new().op(19).at(address, 128),
        ] {
            let outcome = invoke(&mut svm, CONFORMANCE, &script.0, &[]);
            assert_eq!(outcome.status, Status::Failed, "address {address:#x}");
        }
    }
    // Read-only memory is no place for output.
    let outcome = invoke(&mut svm, CONFORMANCE, &Script::new().op(19).at(0x1_0000_0000, 128).0, &[]);
    assert_eq!(outcome.status, Status::Failed);
    for len in [u64::MAX, u64::MAX - 8, 1 << 40] {
        let outcome = invoke(&mut svm, CONFORMANCE, &Script::new().op(11).n(1).at(0x3_0000_0000, len).0, &[]);
        assert_eq!(outcome.status, Status::Failed, "length {len}");
    }
}

#[test]
fn what_a_callee_creates_is_the_callees() {
    let mut svm = svm();
    let inner = Script::new().timer(5, b"x", 1000).op(19).scratch(128).0;
    let outer = Script::new().invoke(0, 0, 1, &inner).timer(5, b"y", 1000).0;
    let outcome = invoke(&mut svm, CONFORMANCE, &outer, &[readonly(TWIN)]);
    assert_eq!(outcome.status, Status::Committed, "{:?}", outcome);
    let owners: Vec<_> = [CONFORMANCE, TWIN].map(|program| svm.engine().timers_of(program).count()).into();
    assert_eq!(owners, [1, 1]);
    // The callee's timer runs with the callee's accounts.
    let timer = svm.engine().timers_of(TWIN).next().unwrap();
    assert_eq!((timer.spec.callback.program, &timer.spec.callback.accounts[..]), (TWIN, &[readonly(TWIN)][..]));
    // Neither may cancel the other's.
    let id = timer.id;
    let outcome = invoke(&mut svm, CONFORMANCE, &Script::new().op(4).n(id).0, &[]);
    assert_eq!(answers(&outcome), [(2, 2)]);
}

#[test]
fn a_failing_callee_takes_everything_along() {
    let mut svm = svm();
    let inner = Script::flags(1).timer(5, b"x", 1000).0;
    let outer = Script::new().timer(5, b"y", 1000).invoke(0, 0, 1, &inner).0;
    let outcome = invoke(&mut svm, CONFORMANCE, &outer, &[readonly(TWIN)]);
    assert_eq!((outcome.status, custom(&outcome)), (Status::Failed, Some(7)));
    assert_eq!(svm.engine().stats().timers_active, 0);
}

#[test]
fn the_message_says_what_happened_in_the_callee() {
    let mut svm = svm();
    let outcome = invoke(&mut svm, CONFORMANCE, &Script::new().invoke(0, 0, 0, &[3]).0, &[readonly(FAULTY)]);
    let message = outcome.failure.unwrap().message;
    assert!(message.contains("Access violation"), "{message}");
}

#[test]
fn invocations_nest_as_deep_as_the_runtime_allows() {
    let mut svm = svm();
    let nested = |depth| (0..depth).fold(Script::new().timer(5, b"", 1000).0, |inner, _| Script::new().invoke(0, 0, 1, &inner).0);
    let mut deepest = 0;
    for depth in 1..20 {
        let callback = Callback { compute_budget: 1_400_000, ..callback(CONFORMANCE, &nested(depth), &[readonly(CONFORMANCE)]) };
        let outcome = svm.invoke(callback).unwrap();
        if outcome.status == Status::Failed {
            assert_eq!(reason(&outcome), "CallDepth");
            break;
        }
        deepest = depth;
    }
    assert_eq!(deepest, 8, "the top level and eight below it");
    assert_eq!(svm.engine().timers_of(CONFORMANCE).count(), 8);
}

#[test]
fn invocations_are_as_many_as_the_runtime_allows() {
    let [caller, callee, to, from] = [50, 51, 1, 2].map(key);
    let start = || {
        let mut svm = svm();
        [caller, callee].into_iter().for_each(|address| svm.add_program(address, &elf("bench")).unwrap());
        [(to, 64), (from, 16)].into_iter().for_each(|(address, len)| set(&mut svm, address, RICH, &vec![0; len], callee));
        svm
    };
    let accounts = [writable(to), readonly(from), readonly(callee), readonly(caller), readonly(FAULTY)];
    let run = |svm: &mut Svm, count| {
        // A callee that has one of its own, so often, and one that has none.
        let twice = (0..count / 2).fold(Script::new().timer(5, b"", 1000), |script, _| script.invoke(3, 0, 3, &[2]));
        let script = (0..count % 2).fold(twice, |script, _| script.invoke(4, 0, 0, &[0])).0;
        svm.invoke(Callback { compute_budget: 1_400_000, ..callback(CONFORMANCE, &script, &accounts) }).unwrap()
    };
    for count in [1, 6, 7, 8, 63] {
        let mut svm = start();
        // What a program has done before makes no difference.
        let [first, again] = [(); 2].map(|()| run(&mut svm, count));
        assert_eq!(first.status, Status::Committed, "{count}: {:?}", first.failure);
        assert_eq!((first.units_consumed, first.logs.len()), (again.units_consumed, again.logs.len()));
        assert_eq!((first.staged_codes.len(), svm.engine().timers_of(CONFORMANCE).count()), (1, 2));
    }
    assert_eq!(reason(&run(&mut start(), 64)), "MaxInstructionTraceLengthExceeded", "the top level and 63 below it");
}

#[test]
fn only_a_callback_has_a_context() {
    let mut svm = svm();
    let ask = Script::new().op(19).scratch(128).0;
    let outcome = invoke(&mut svm, CONFORMANCE, &ask, &[]);
    assert_eq!(answers(&outcome)[0], (0, 0), "the host invoked it");
    invoke(&mut svm, CONFORMANCE, &Script::new().timer(3, &ask, 100_000).0, &[]);
    let outcome = slot(&mut svm, 4).outcomes.remove(0);
    let data = outcome.return_data.unwrap();
    let words: Vec<_> = data.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
    assert_eq!((words[0], error_of(words[1])), (128, 0));
    assert_eq!(words[2..12], [128, 1, 1, outcome.source.id, 0, 1, 1, 3, 4, 1]);
    // Not through another program either.
    let through = Script::new().invoke(0, 0, 0, &ask).0;
    invoke(&mut svm, CONFORMANCE, &Script::new().timer(5, &through, 100_000).0, &[readonly(TWIN)]);
    let outcome = slot(&mut svm, 5).outcomes.remove(0);
    assert_eq!(outcome.status, Status::Committed);
    let data = outcome.return_data.unwrap();
    let words: Vec<_> = data.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
    let [_, _, length, value, word, written] = words[..] else { panic!("{words:?}") };
    assert_eq!((length, value, error_of(word), written), (24, 0, 0, 0));
}

#[test]
fn signatures_do_not_outlive_the_instruction() {
    let mut svm = svm();
    let signer = AccountMeta { address: key(1), signer: true, writable: true };
    invoke(&mut svm, CONFORMANCE, &Script::new().timer(3, b"", 1000).0, &[signer, readonly(key(2))]);
    let timer = svm.engine().timers_of(CONFORMANCE).next().unwrap();
    assert_eq!(timer.spec.callback.accounts, [writable(key(1)), readonly(key(2))]);
}

#[test]
fn flags_of_an_account_hold_for_all_its_mentions() {
    for metas in [[readonly(key(1)), writable(key(1))], [writable(key(1)), readonly(key(1))]] {
        let mut svm = svm();
        set(&mut svm, key(1), RICH, &[0; 8], FAULTY);
        assert_eq!(invoke(&mut svm, FAULTY, &[8], &metas).status, Status::Committed);
        assert_eq!(svm.engine().account(&key(1)).unwrap().data[0], 1);
    }
}

#[test]
fn an_instruction_has_up_to_255_accounts() {
    let mut svm = svm();
    let metas: Vec<_> = (0..=255).map(|n| writable(key(n))).collect();
    assert_eq!(invoke(&mut svm, FAULTY, &[0], &metas[..255]).status, Status::Committed);
    let refused = svm.invoke(callback(FAULTY, &[0], &metas)).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidArgument);
    // The conformance program takes 128; its callback may have 64.
    let script = Script::new().timer(3, b"", 1000).0;
    for (count, expected) in [(64, 0), (65, ErrorCode::InvalidArgument as u64)] {
        assert_eq!(answers(&invoke(&mut svm, CONFORMANCE, &script, &metas[..count]))[0].1, expected);
    }
    let repeated = vec![writable(key(1)); 255];
    assert_eq!(invoke(&mut svm, FAULTY, &[0], &repeated).status, Status::Committed);
}

#[test]
fn what_the_runtime_provides_is_read_only() {
    let mut svm = svm();
    let clock: Address = "SysvarC1ock11111111111111111111111111111111".parse().unwrap();
    for address in [clock, Address::SYSTEM_PROGRAM, COUNTER] {
        let outcome = invoke(&mut svm, FAULTY, &[8], &[writable(address)]);
        assert_eq!(reason(&outcome), "ReadonlyDataModified", "{address}");
        let account = Account { lamports: 1, ..Account::default() };
        assert_eq!(svm.set_account(address, Some(account.clone())).unwrap_err().code(), ErrorCode::InvalidArgument);
        let update = AccountUpdate { address, account, write_version: None };
        assert_eq!(svm.update_accounts(vec![update]).unwrap_err().code(), ErrorCode::InvalidArgument);
    }
    assert!(svm.add_program(clock, &elf("counter")).is_err());
    assert!(svm.remove_program(Address::SYSTEM_PROGRAM).is_err());
    slot(&mut svm, 77);
    assert_eq!(svm.account(&clock).unwrap().data[..8], 77u64.to_le_bytes());
}

#[test]
fn no_account_falls_below_rent_exemption() {
    let exempt = 890_880;
    let transfer = |from: u64, amount: u64, to: u64| {
        let mut svm = svm();
        set(&mut svm, key(1), from, &[], FAULTY);
        svm.set_account(key(2), (to > 0).then(|| Account { lamports: to, owner: FAULTY, ..Account::default() })).unwrap();
        let data = [&[10][..], &amount.to_le_bytes()].concat();
        let outcome = invoke(&mut svm, FAULTY, &data, &[writable(key(1)), writable(key(2))]);
        (reason(&outcome).to_string(), svm.engine().account(&key(1)).map(|account| account.lamports))
    };
    let poor = || "InsufficientFundsForRent".to_string();
    assert_eq!(transfer(2 * exempt, exempt, exempt), (String::new(), Some(exempt)));
    assert_eq!(transfer(2 * exempt, exempt + 1, exempt), (poor(), Some(2 * exempt)));
    assert_eq!(transfer(2 * exempt, 2 * exempt, exempt), (String::new(), None), "an account without lamports is gone");
    assert_eq!(transfer(2 * exempt, exempt - 1, 0), (poor(), Some(2 * exempt)), "the new one would be below");
    assert_eq!(transfer(2 * exempt, exempt, 0), (String::new(), Some(exempt)));
    assert_eq!(transfer(1000, 1, exempt), (String::new(), Some(999)), "it was below before");
    assert_eq!(transfer(2 * exempt, 1, 1000), (poor(), Some(2 * exempt)), "below, and gains");
}

#[test]
fn the_incinerator_takes_any_amount() {
    let incinerator: Address = "1nc1nerator11111111111111111111111111111111".parse().unwrap();
    let mut svm = svm();
    set(&mut svm, key(1), RICH, &[], FAULTY);
    let data = [&[10][..], &1u64.to_le_bytes()].concat();
    let outcome = invoke(&mut svm, FAULTY, &data, &[writable(key(1)), writable(incinerator)]);
    assert_eq!((reason(&outcome), svm.engine().account(&incinerator).map(|account| account.lamports)), ("", Some(1)));
}

#[test]
fn programs_come_and_go() {
    let mut svm = Svm::new(SvmConfig { workers: 1, ..SvmConfig::default() }).unwrap();
    svm.add_program(CONFORMANCE, &elf("conformance")).unwrap();
    let call = Script::new().invoke(0, 0, 0, &[0]).0;
    let outcome = |svm: &mut Svm| invoke(svm, CONFORMANCE, &call, &[readonly(FAULTY)]);
    assert_eq!(outcome(&mut svm).status, Status::Failed, "there is none yet");
    svm.add_program(FAULTY, &elf("faulty")).unwrap();
    assert_eq!(outcome(&mut svm).status, Status::Committed);
    svm.add_program(FAULTY, &elf("counter")).unwrap();
    assert_eq!(reason(&outcome(&mut svm)), "NotEnoughAccountKeys", "it is another program now");
    svm.remove_program(FAULTY).unwrap();
    assert_eq!(outcome(&mut svm).status, Status::Failed);
    assert_eq!(svm.invoke(callback(FAULTY, &[0], &[])).unwrap_err().code(), ErrorCode::UnknownProgram);
    assert_eq!(svm.remove_program(FAULTY).unwrap_err().code(), ErrorCode::UnknownProgram);
    assert_eq!(svm.account(&FAULTY), None);
}

#[test]
fn builtins_can_be_invoked_but_not_loaders() {
    let mut svm = svm();
    set(&mut svm, key(1), RICH, &[], Address::SYSTEM_PROGRAM);
    let transfer = [&2u32.to_le_bytes()[..], &1_000_000u64.to_le_bytes()].concat();
    let from = AccountMeta { address: key(1), signer: true, writable: true };
    assert_eq!(invoke(&mut svm, Address::SYSTEM_PROGRAM, &transfer, &[from, writable(key(2))]).status, Status::Committed);
    assert_eq!(svm.engine().account(&key(2)).unwrap().lamports, 1_000_000);
    let accounts = [readonly(Address::SYSTEM_PROGRAM), from, writable(key(2))];
    assert_eq!(invoke(&mut svm, CONFORMANCE, &Script::new().invoke(0, 1, 2, &transfer).0, &accounts).status, Status::Committed);
    assert_eq!(svm.engine().account(&key(2)).unwrap().lamports, 2_000_000);
    let loader: Address = "BPFLoaderUpgradeab1e11111111111111111111111".parse().unwrap();
    assert_eq!(svm.invoke(callback(loader, &[0], &[])).unwrap_err().code(), ErrorCode::UnknownProgram);
    for instruction in 0..12u32 {
        let outcome = invoke(&mut svm, CONFORMANCE, &Script::new().invoke(0, 0, 2, &instruction.to_le_bytes()).0, &[readonly(loader), from]);
        assert_eq!(outcome.status, Status::Failed, "instruction {instruction}");
    }
}

#[test]
fn long_logs_are_cut() {
    let mut svm = svm();
    let script = (0..30).fold(Script::new(), |script, _| script.op(32).at(0x3_0000_0000, 1000));
    let outcome = invoke(&mut svm, CONFORMANCE, &script.0, &[]);
    assert_eq!(outcome.status, Status::Committed);
    assert!(outcome.logs.iter().map(String::len).sum::<usize>() <= 10_100);
    assert!(outcome.logs.iter().any(|line| line == "Log truncated"), "{:?}", outcome.logs.last());
}

#[test]
fn a_panic_in_a_syscall_is_an_outcome() {
    let mut svm = svm();
    svm.testing_panic_in_syscall("sol_timer_create");
    let script = Script::new().op(10).n(64).timer(5, b"", 1000).0;
    let outcome = invoke(&mut svm, CONFORMANCE, &script, &[]);
    assert_eq!((outcome.status, reason(&outcome)), (Status::Failed, "ProgramFailedToComplete"));
    assert_eq!(svm.engine().stats().rings_active, 0);
    assert_eq!(invoke(&mut svm, CONFORMANCE, &script, &[]).status, Status::Committed);
}

#[test]
fn a_panic_in_the_loader_is_an_outcome() {
    let mut svm = svm();
    svm.testing_panic_in_syscall("loader");
    let script = Script::new().op(10).n(64).invoke(0, 0, 0, &Script::new().0).0;
    let outcome = invoke(&mut svm, CONFORMANCE, &script, &[readonly(TWIN)]);
    assert!(outcome.failure.unwrap().message.contains("the loader panicked"));
    assert_eq!(svm.engine().stats().rings_active, 0);
    assert_eq!(invoke(&mut svm, CONFORMANCE, &script, &[readonly(TWIN)]).status, Status::Committed);
}

#[test]
fn the_last_slots_have_sysvars() {
    let mut svm = svm_with(1, |config| config.start_slot = u64::MAX - 2);
    for number in [u64::MAX - 1, u64::MAX] {
        slot(&mut svm, number);
        let outcome = invoke(&mut svm, CONFORMANCE, &Script::new().op(17).0, &[]);
        assert_eq!(answers(&outcome), [(number, 0)]);
    }
}

/// The tag word of the x87 unit: all ones when no register is in use.
#[cfg(target_arch = "x86_64")]
fn x87_tags() -> u16 {
    let mut environment = [0u32; 7];
    // SAFETY: `fnstenv` writes 28 bytes, the size of the array, and masks exceptions, which they are already.
    unsafe { std::arch::asm!("fnstenv [{}]", in(reg) environment.as_mut_ptr(), options(nostack)) };
    environment[2] as u16
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_floating_point_unit_comes_back_clean() {
    let mut svm = svm();
    assert_eq!(x87_tags(), 0xFFFF);
    for data in [&[][..], &[1]] {
        assert_eq!(invoke(&mut svm, CALLX, data, &[]).status, Status::Committed);
        assert_eq!(x87_tags(), 0xFFFF);
    }
    assert_eq!(invoke(&mut svm, FAULTY, &[7], &[]).status, Status::Failed);
    assert_eq!(x87_tags(), 0xFFFF, "also after a failure");
}

#[test]
fn a_watcher_sees_what_programs_write() {
    let mut svm = svm();
    set(&mut svm, key(1), RICH, &[0; 8], COUNTER);
    slot(&mut svm, 1);
    let count = callback(COUNTER, &[], &[writable(key(1))]);
    let spec = WatcherSpec {
        callback: Arc::new(callback(FAULTY, &[0], &[])),
        account: key(1),
        trigger: Trigger::ThresholdAbove { offset: 0, threshold: 2 },
        priority: Priority::High,
    };
    svm.engine_mut().call(Caller::Host, Call::WatcherCreate { spec, min_slots_between_triggers: 1 }).unwrap();
    let triggered: Vec<_> = (2..8)
        .map(|number| {
            svm.invoke(count.clone()).unwrap();
            slot(&mut svm, number).watchers_triggered
        })
        .collect();
    assert_eq!(triggered, [0, 0, 1, 0, 0, 0]);
}
