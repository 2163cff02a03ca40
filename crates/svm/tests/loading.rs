//! Files that are not, or hardly, programs.

mod support;

use async_bpf_svm::*;
use support::*;

fn refusal(bytes: &[u8]) -> LoadError {
    match svm().add_program(key(9), bytes) {
        Err(AddProgramError::Load(error)) => error,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn refusals_say_what_is_wrong() {
    assert_eq!(refusal(&[]), LoadError::Empty);
    assert_eq!(refusal(b"#!/bin/sh"), LoadError::NotElf);
    assert!(matches!(refusal(b"\x7fELF"), LoadError::Malformed(_)));
    for name in ["counter", "conformance", "faulty"] {
        let elf = elf(name);
        for len in (4..elf.len()).step_by(37).chain([elf.len() - 1]) {
            assert!(matches!(refusal(&elf[..len]), LoadError::Malformed(_)), "{len} bytes of {name}");
        }
    }
    let long = [&elf("counter")[..], &vec![0; 10 << 20]].concat();
    assert_eq!(refusal(&long), LoadError::TooLong(long.len()));
    assert_eq!(refusal(&elf("unknown_syscall")), LoadError::UnknownSyscall("0x210d72d7 (the murmur3 hash of its name)".into()));
}

#[test]
fn a_refused_program_leaves_the_old_one() {
    let mut svm = svm();
    let before = svm.engine().state_hash();
    assert!(svm.add_program(FAULTY, &elf("unknown_syscall")).is_err());
    assert_eq!(svm.engine().state_hash(), before);
    assert_eq!(custom(&invoke(&mut svm, FAULTY, &[1], &[])), Some(42));
}

#[test]
fn the_code_is_part_of_the_state() {
    let hash = |name| {
        let mut svm = svm();
        svm.add_program(FAULTY, &elf(name)).unwrap();
        svm.engine().state_hash()
    };
    assert_eq!(hash("counter"), hash("counter"));
    assert_ne!(hash("counter"), hash("callx"));
}

/// Damaged programs are refused, or run in their cage.
#[test]
fn damaged_programs_do_no_harm() {
    let mut svm = svm();
    set(&mut svm, key(1), RICH, &[0; 64], key(9));
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut dice = move |sides: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % sides
    };
    let seeds: Vec<_> = ["counter", "conformance", "faulty", "callx", "momentum"].into_iter().map(elf).collect();
    let rounds = std::env::var("ROUNDS").map_or(20_000, |rounds| rounds.parse().unwrap());
    let (mut loaded, mut refused, mut succeeded) = (0, 0, 0);
    for round in 0..rounds {
        let mut bytes = seeds[dice(seeds.len())].clone();
        for _ in 0..1 + dice(4) {
            let len = bytes.len();
            // Half of the damage goes to the headers.
            let region = if dice(2) == 0 { len.min(300) } else { len };
            let at = dice(region);
            match dice(4) {
                0 => {
                    let bit = dice(8);
                    bytes[at] ^= 1 << bit;
                }
                1 => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][dice(5)],
                2 => {
                    let end = (at + 8).min(len);
                    bytes[at..end].fill([0, 0xFF][dice(2)]);
                }
                _ => bytes.truncate(at.max(5)),
            }
        }
        if svm.add_program(key(9), &bytes).is_err() {
            refused += 1;
            continue;
        }
        loaded += 1;
        for data in [&[][..], &[1], &[0, 17, 18, 19, 3, 128, 0, 0, 0, 0, 0, 0, 0]] {
            let callback = Callback { compute_budget: 5_000, ..callback(key(9), data, &[writable(key(1)), readonly(CONFORMANCE)]) };
            let outcome = svm.invoke(callback).unwrap();
            assert!(outcome.units_consumed <= 5_000);
            succeeded += u32::from(outcome.status == Status::Committed);
        }
        slot(&mut svm, round + 1);
    }
    assert!(loaded > 500 && refused > 500 && succeeded > 500, "{loaded} loaded, {refused} refused, {succeeded} succeeded");
    assert_eq!(custom(&invoke(&mut svm, FAULTY, &[1], &[])), Some(42), "the others still run");
}
