//! Programs that nobody wrote: generated, run by everyone, compared.
//!
//! `RUNS` scenes with two new programs each, from `SEED`; the place of a failure is printed.

#[path = "../../crates/svm/tests/assembler/mod.rs"]
mod assembler;
mod generator;
#[path = "../../crates/svm/tests/random/mod.rs"]
mod random;

use async_bpf_oracles::{Arena, Ending};
use async_bpf_svm::{AccountMeta, Address, Callback};
use generator::*;
use random::{Dice, Place, setting};
use std::collections::BTreeMap;

/// Sysvars that programs ask for.
const SYSVARS: [[u8; 32]; 5] = [
    solana_sdk_ids::sysvar::clock::ID.to_bytes(),
    solana_sdk_ids::sysvar::rent::ID.to_bytes(),
    solana_sdk_ids::sysvar::slot_hashes::ID.to_bytes(),
    solana_sdk_ids::sysvar::stake_history::ID.to_bytes(),
    solana_sdk_ids::sysvar::epoch_rewards::ID.to_bytes(),
];

/// How programs must have ended at least once for the others to count: the runtime's errors by name, what stopped a virtual machine by
/// its first words, and how deep programs called each other.
#[rustfmt::skip] // One line for each kind.
const KINDS: [&str; 46] = [
    "success", "depth 1", "depth 2", "depth 3", "depth 4", "depth 5", "depth 6", "depth 7", "depth 9",
    // The program's own, and what no program may return.
    "Custom", "InvalidError", "InvalidInstructionData",
    // The virtual machine's.
    "Access violation in stack", "Access violation reading ", "Access violation writing ", "divide by zero at",
    "exceeded CUs meter at", "exceeded max BPF to", "callx attempted to call",
    // Syscalls'.
    "SBF program panicked", "SBF program Panicked in", "ComputationalBudgetExceeded", "invalid utf", "Unaligned pointer",
    "Invalid pointer", "Overlapping copy", "Hashing too many sequences", "Could not create program", "Return data too large",
    // Calls of other programs.
    "CallDepth", "MaxInstructionTraceLengthExceeded", "ReentrancyNotAllowed", "PrivilegeEscalation", "MissingAccount",
    "MissingRequiredSignature", "UnsupportedProgramId",
    // Accounts.
    "AccountDataTooSmall", "InvalidRealloc", "ExternalAccountDataModified", "ExternalAccountLamportSpend", "ReadonlyDataModified",
    "ReadonlyLamportChange", "ModifiedProgramId", "UnbalancedInstruction", "InsufficientFundsForRent", "AccountAlreadyInitialized",
];

/// How often invocations ended in each way.
#[derive(Default)]
struct Histogram(BTreeMap<String, u64>);

impl Histogram {
    fn count(&mut self, kind: String) {
        *self.0.entry(kind).or_default() += 1;
    }

    fn add(&mut self, ending: &Ending) {
        self.count(match &ending.failure {
            None => "success".into(),
            Some(failure) => match failure.message.split_once("failed to complete: ") {
                // Up to what varies: numbers, names, texts.
                Some((_, detail)) => {
                    let words = detail.split(|c: char| !c.is_ascii_alphabetic() && c != ' ').next().unwrap_or_default();
                    words.split(' ').take(4).collect::<Vec<_>>().join(" ")
                }
                None => failure.name.clone(),
            },
        });
        let deepest = ending.logs.iter().filter_map(|line| line.strip_suffix(']')?.split_once(" invoke [")?.1.parse::<u64>().ok()).max();
        self.count(format!("depth {}", deepest.unwrap_or(0)));
    }
}

#[test]
fn generated_programs_end_in_the_same_way() {
    let (runs, seed) = (setting("RUNS", 2000), setting("SEED", 1));
    let mut dice = Dice::new(seed);
    let mut place = Place { seed, round: 0 };
    let mut histogram = Histogram::default();
    let mut arena = Arena::new();
    for round in 0..runs {
        place.round = round;
        let scene = Scene::new(&mut dice);
        for (me, address) in PROGRAMS.into_iter().enumerate() {
            arena.add_program(address, &program(&mut dice, &scene, me));
        }
        for again in 0..4 {
            // Programs meet the accounts that they were made for, or what was made of them.
            if again == 0 || dice.one_in(2) {
                scene.put(&mut arena);
            }
            histogram.add(&arena.invoke(&scene.callback(&mut dice)));
        }
    }
    for (kind, count) in &histogram.0 {
        println!("{count:8} {kind}");
    }
    for kind in KINDS {
        // A few runs need not meet everything.
        assert!(runs < 2000 || histogram.0.contains_key(kind), "nothing ended with {kind:?}");
    }
}

/// Whatever a program leaves behind in its stack and heap, however it ends and however deep it is nested, the next one finds zeroes.
#[test]
fn memory_is_zero() {
    let [dirty_one, caller] = PROGRAMS;
    let mut arena = Arena::new();
    let run = |arena: &mut Arena, program| {
        let accounts = [dirty_one, Address::default()].map(|address| AccountMeta { address, signer: false, writable: false });
        arena.invoke(&Callback { program, data: Vec::new(), accounts: accounts.into(), compute_budget: 1_400_000 })
    };
    for version in VERSIONS {
        for ending in ["success", "error", "abort", "fault", "budget"] {
            for [dirty_by_call, inspect_by_call] in [[false, false], [false, true], [true, false], [true, true]] {
                arena.add_program(caller, &calls(version, dirty_one));
                arena.add_program(dirty_one, &dirty(version, ending));
                let ended = run(&mut arena, if dirty_by_call { caller } else { dirty_one });
                assert_eq!(ended.failure.is_none(), ending == "success", "{:?}", ended.failure);
                assert!(ended.units > 100_000, "it ends before it has written everything");
                for (program, expected) in [(inspect(version), "Program log: 0x0, 0x0, 0x0, 0x0, 0x0"), (hash(version), "Program log: ")] {
                    arena.add_program(dirty_one, &program);
                    let inspected = run(&mut arena, if inspect_by_call { caller } else { dirty_one });
                    assert_eq!(inspected.failure, None);
                    assert!(inspected.logs.iter().any(|line| line.starts_with(expected)), "sBPF v{version}, {ending}: {:?}", inspected.logs);
                }
            }
        }
    }
}
