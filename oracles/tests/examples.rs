//! The programs of `programs/prebuilt`, by everyone where they call nothing of ours, and otherwise by every executor of ours.

#[path = "../../crates/svm/tests/random/mod.rs"]
mod random;

use async_bpf_oracles::{Arena, Ending};
use async_bpf_svm::*;
use random::{Dice, Place, setting};
use std::{fs, path::Path, sync::Arc};

const CALLX: Address = Address([1; 32]);
const COUNTER: Address = Address([2; 32]);
const FAULTY: Address = Address([3; 32]);
const SCRIPT: Address = Address([4; 32]);
const MOMENTUM: Address = Address([5; 32]);
/// The same program as SCRIPT.
const TWIN: Address = Address([6; 32]);
const RICH: u64 = 100_000_000;

fn elf(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs/prebuilt").join(name).with_extension("so");
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn with_programs(mut arena: Arena) -> Arena {
    for (address, name) in
        [(CALLX, "callx"), (COUNTER, "counter"), (FAULTY, "faulty"), (SCRIPT, "conformance"), (TWIN, "conformance"), (MOMENTUM, "momentum")]
    {
        arena.add_program(address, &elf(name));
    }
    arena
}

fn account(owner: Address, len: usize) -> Option<Account> {
    Some(Account { lamports: RICH, data: Arc::new(vec![0; len]), owner, executable: false })
}

fn writable(address: Address) -> AccountMeta {
    AccountMeta { address, signer: false, writable: true }
}

fn readonly(address: Address) -> AccountMeta {
    AccountMeta { address, signer: false, writable: false }
}

fn callback(program: Address, data: &[u8], accounts: &[AccountMeta]) -> Callback {
    Callback { program, data: data.to_vec(), accounts: accounts.to_vec(), compute_budget: 200_000 }
}

fn outcome(ending: &Ending) -> &str {
    ending.failure.as_ref().map_or("success", |failure| &failure.name)
}

#[test]
fn what_calls_nothing_of_ours() {
    let mut arena = with_programs(Arena::new());
    for data in [&[][..], &[1]] {
        assert_eq!(outcome(&arena.invoke(&callback(CALLX, data, &[]))), "success");
    }
    let count = Address([0x11; 32]);
    arena.set_account(count, account(COUNTER, 8));
    for _ in 0..3 {
        assert_eq!(outcome(&arena.invoke(&callback(COUNTER, &[], &[writable(count)]))), "success");
    }
    assert_eq!(arena.account(&count).unwrap().data[0], 3);
    assert_eq!(outcome(&arena.invoke(&callback(COUNTER, &[], &[readonly(count)]))), "ReadonlyDataModified");

    let (own, foreign) = (Address([0x12; 32]), Address([0x13; 32]));
    arena.set_account(own, account(FAULTY, 8));
    arena.set_account(foreign, account(COUNTER, 8));
    let mut ends = Vec::new();
    for fault in [0u8, 1, 2, 3, 6, 7, 8, 9, 10, 11] {
        for metas in [[writable(own), writable(foreign)], [readonly(own), writable(foreign)], [writable(foreign), writable(own)]] {
            for amount in [1, RICH - 1, RICH] {
                arena.set_account(own, account(FAULTY, 8));
                arena.set_account(foreign, account(COUNTER, 8));
                let data = [&[fault][..], &amount.to_le_bytes()].concat();
                ends.push(outcome(&arena.invoke(&callback(FAULTY, &data, &metas))).to_owned());
            }
        }
    }
    for end in ["success", "Custom", "ProgramFailedToComplete", "ExternalAccountDataModified", "UnbalancedInstruction", "InsufficientFundsForRent"] {
        assert!(ends.iter().any(|other| other == end), "nothing ended in {end}: {ends:?}");
    }
}

// ---- random scripts for `conformance`, whose source says what they are made of ---------------------------------------

/// Arguments of each call: a number, an id, bytes, the index of an account, or a small number.
const CALLS: [(u8, &str); 28] = [
    (1, "nbn"),
    (2, "nnbn"),
    (3, "nnnnnnbn"),
    (4, "i"),
    (5, "bnbn"),
    (6, "bnnnbn"),
    (7, "bnbbn"),
    (8, "in"),
    (9, "i"),
    (10, "n"),
    (11, "ib"),
    (12, "ib"),
    (13, "ib"),
    (14, "ibn"),
    (15, "i"),
    (16, "bnnn"),
    (17, ""),
    (18, ""),
    (19, "b"),
    (20, "b"),
    (21, "b"),
    (22, "b"),
    (23, "b"),
    (32, "b"),
    (33, "asb"),
    (34, "aas"),
    (35, "nnnb"),
    (36, "as"),
];
/// The first that is not of ours.
const FIRST_STOCK: usize = 23;

fn script(dice: &mut Dice, calls: &[(u8, &str)], depth: u32) -> Vec<u8> {
    let mut script = vec![if dice.one_in(12) { 1 + dice.below(2) as u8 } else { 0 }];
    for record in 0..1 + dice.below(6) {
        let (opcode, arguments) = dice.pick(calls);
        script.push(opcode);
        if opcode == 35 {
            // Another program, or this one, with all accounts or some.
            let callee = self::script(dice, calls, depth + 1);
            let callee = if depth < 3 && callee.len() < 300 { callee } else { vec![0] };
            for number in [3 + dice.below(3), dice.below(2), dice.below(6)] {
                script.extend((number as u64).to_le_bytes());
            }
            script.push(1);
            script.extend((callee.len() as u64).to_le_bytes());
            script.extend(callee);
            continue;
        }
        for argument in arguments.bytes() {
            match argument {
                b'n' => script.extend(number(dice).to_le_bytes()),
                b'a' => script.extend((dice.below(3) as u64).to_le_bytes()),
                b's' => script.extend((dice.word() % dice.pick(&[1, 30, 30, 60, 60, 60, 60, 60, 60, 30_000])).to_le_bytes()),
                b'i' => script.extend((0xFFFF_FFFF_FFFF_FF00 + dice.below(record + 1) as u64).to_le_bytes()),
                _ => bytes(dice, &mut script),
            }
        }
    }
    script
}

fn number(dice: &mut Dice) -> u64 {
    match dice.below(10) {
        0 => dice.word() >> dice.below(64),
        1..4 => dice.below(4) as u64,
        4..7 => dice.below(40) as u64,
        7 => 4096,
        _ => 1000 * dice.below(30) as u64,
    }
}

fn bytes(dice: &mut Dice, script: &mut Vec<u8>) {
    let (stack, heap) = (2 << 32, 3 << 32);
    match dice.below(10) {
        0 => script.push(0),
        1..5 => {
            let len = dice.below(60);
            script.push(1);
            script.extend((len as u64).to_le_bytes());
            return script.extend((0..len).map(|_| dice.word() as u8));
        }
        // Memory that the program has touched, or not, or that it has not got.
        5..8 => {
            let address = match dice.below(6) {
                0 => dice.word() >> dice.below(64),
                1 => (4 << 32) + dice.below(3000) as u64,
                2 | 3 => stack + dice.below(64 * 4096) as u64,
                _ => heap + dice.below(32 * 1024) as u64,
            };
            script.push(2);
            script.extend((dice.below(200) as u64).to_le_bytes());
            return script.extend(address.to_le_bytes());
        }
        _ => script.push(3),
    }
    script.extend((dice.below(200) as u64).to_le_bytes());
}

/// Three accounts, both programs, and the system program.
fn metas(dice: &mut Dice) -> Vec<AccountMeta> {
    let mut metas: Vec<_> =
        (0..3).map(|n| AccountMeta { address: Address([0x20 + n; 32]), signer: dice.one_in(4), writable: !dice.one_in(12) }).collect();
    metas.extend([readonly(SCRIPT), readonly(TWIN), readonly(Address::default())]);
    metas
}

fn reset(arena: &mut Arena) {
    for (n, owner) in [SCRIPT, TWIN, SCRIPT].into_iter().enumerate() {
        arena.set_account(Address([0x20 + n as u8; 32]), account(owner, 100 * n));
    }
}

fn scripts(mut arena: Arena, calls: &[(u8, &str)], runs: u64) -> usize {
    let seed = setting("SEED", 1);
    let mut dice = Dice::new(seed);
    let mut place = Place { seed, round: 0 };
    let mut successes = 0;
    for round in 0..runs {
        place.round = round;
        if round % 8 == 0 {
            reset(&mut arena);
        }
        let accounts = metas(&mut dice);
        let data = script(&mut dice, calls, 0);
        let compute_budget = if dice.one_in(10) { 1 + dice.below(8000) as u64 } else { 100_000 };
        if data.len() <= 1024 {
            let program = dice.pick(&[SCRIPT, TWIN]);
            successes += usize::from(arena.invoke(&Callback { program, data, accounts, compute_budget }).failure.is_none());
        }
        if dice.one_in(4) {
            successes += arena.enter(1 + round).outcomes.iter().filter(|outcome| outcome.failure.is_none()).count();
        }
    }
    successes
}

#[test]
fn random_scripts_without_our_syscalls() {
    let runs = setting("RUNS", 2000);
    let successes = scripts(with_programs(Arena::new()), &CALLS[FIRST_STOCK..], runs);
    assert!(successes as u64 > runs / 10, "only {successes} of {runs} succeeded");
}

#[test]
fn random_scripts_with_our_syscalls() {
    let runs = 5 * setting("RUNS", 2000);
    let successes = scripts(with_programs(Arena::of_ours()), &CALLS, runs);
    assert!(successes as u64 > runs / 10, "only {successes} of {runs} succeeded");
}

#[test]
fn the_agent_trades_the_same() {
    let play = |executor| {
        let mut svm = Svm::new(SvmConfig { executor, ..SvmConfig::default() }).unwrap();
        svm.add_program(MOMENTUM, &elf("momentum")).unwrap();
        let (state, price) = (Address([0x31; 32]), Address([0x32; 32]));
        svm.set_account(state, account(MOMENTUM, 2216)).unwrap();
        svm.set_account(price, account(Address::default(), 48)).unwrap();
        let create = Call::RingCreate { program: MOMENTUM, size: None, reader: RingReader::Program };
        let ring = svm.engine_mut().call(Caller::Host, create).unwrap().value;
        let setup = [3, 10, 500, 300, 1_000_000_000, ring, 1, 1, 20_000].map(u64::to_le_bytes).concat();
        let mut reports = Vec::new();
        let outcome = svm.invoke(callback(MOMENTUM, &[&[0][..], &setup].concat(), &[writable(state), readonly(price)])).unwrap();
        assert_eq!(outcome.failure, None);
        let (mut dice, mut close) = (Dice::new(1), 1_000_000_000u64);
        for slot in 1..2000 {
            close = close * (980 + dice.below(41) as u64) / 1000 + 1;
            let data = [0, close, close, close, close, 0].map(u64::to_le_bytes).concat();
            let account = Account { lamports: RICH, data: Arc::new(data), owner: Address::default(), executable: false };
            svm.update_accounts(vec![AccountUpdate { address: price, account, write_version: None }]).unwrap();
            reports.push(svm.process_slot(SlotInput { slot, unix_timestamp: None }).unwrap());
        }
        reports
    };
    let [lean, stock] = [Executor::Lean, Executor::Stock].map(play);
    assert!(lean.iter().any(|report| report.watchers_triggered > 0), "nothing was sold by a watcher");
    for (lean, stock) in lean.iter().zip(&stock) {
        assert_eq!(lean, stock);
    }
}
