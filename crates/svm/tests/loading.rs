//! Files that are not, or hardly, programs.

mod assembler;
mod random;
mod support;

use assembler::*;
use async_bpf_svm::*;
use random::{Dice, Memory, Place, is_defect, setting};
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
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

#[test]
fn programs_of_older_versions_run() {
    let mut svm = svm();
    for version in 0..3 {
        svm.add_program(key(9), &legacy(version)).unwrap();
        let outcome = invoke(&mut svm, key(9), &[], &[]);
        assert_eq!(outcome.status, Status::Committed, "{outcome:?}");
        assert!(outcome.logs.contains(&"Program log: hello".into()), "{:?}", outcome.logs);
    }
}

// ---- damage ----------------------------------------------------------------------------------------------------------

/// Files that one engine gets.
const FILES: u64 = 1_000;

/// A program, and where in its file which numbers are: offset and width.
struct Specimen {
    file: Vec<u8>,
    /// Of the file header, program headers, section headers, and tables of symbols, relocations and so on.
    fields: [Vec<(usize, usize)>; 4],
    /// Offsets of instructions.
    code: Vec<usize>,
}

impl Specimen {
    fn new(file: Vec<u8>) -> Self {
        let number = |at: usize, width: usize| file[at..at + width].iter().rev().fold(0, |number, byte| number << 8 | *byte as usize);
        let table = |at: usize, len: usize, widths: &[usize]| {
            let row: usize = widths.iter().sum();
            let columns: Vec<_> = widths.iter().scan(0, |end, width| Some((std::mem::replace(end, *end + width), *width))).collect();
            let rows = (at..at + len / row * row).step_by(row);
            rows.flat_map(|row| columns.iter().map(move |(column, width)| (row + column, *width)).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        let header = [table(0, 16, &[1]), table(16, 48, &HEADER)].concat();
        let segments = table(number(32, 8), 56 * number(56, 2), &SEGMENT);
        let sections = table(number(40, 8), 64 * number(60, 2), &SECTION);
        let (mut tables, mut code) = (Vec::new(), Vec::new());
        for section in sections.chunks_exact(SECTION.len()).map(|section| section[0].0) {
            let (kind, flags, at, len) = (number(section + 4, 4), number(section + 8, 8), number(section + 24, 8), number(section + 32, 8));
            match kind {
                2 | 11 => tables.extend(table(at, len, &SYMBOL)),
                3 => tables.extend(table(at, len, &[1])),
                6 => tables.extend(table(at, len, &DYNAMIC)),
                9 => tables.extend(table(at, len, &RELOCATION)),
                _ if flags & 4 != 0 => code.extend((at..at + len).step_by(8)),
                _ => {}
            }
        }
        Specimen { fields: [header, segments, sections, tables], code, file }
    }

    fn damaged(&self, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = self.file.clone();
        for _ in 0..1 + dice.below(4) {
            let at = dice.below(bytes.len());
            match dice.below(16) {
                0..6 => {
                    let fields = &self.fields[dice.below(4)];
                    if !fields.is_empty() {
                        let (at, width) = dice.pick(fields);
                        self.damage_field(&mut bytes, at, width, dice);
                    }
                }
                6..12 => self.damage_instruction(&mut bytes, dice),
                12 => bytes[at] ^= 1 << dice.below(8),
                13 => {
                    let end = bytes.len().min(at + 8);
                    bytes[at..end].fill(dice.pick(&[0, 0xFF]));
                }
                14 => {
                    let len = (1 + dice.below(64)).min(bytes.len() - at);
                    let to = dice.below(bytes.len() - len + 1);
                    bytes.copy_within(at..at + len, to);
                }
                _ if dice.one_in(2) => bytes.truncate(at.max(5)),
                _ => bytes.extend((0..dice.below(200)).map(|n| n as u8)),
            }
        }
        bytes
    }

    /// Replaces a number by one near it, near the end of the file, near the end of numbers, or by another number of the file.
    fn damage_field(&self, bytes: &mut [u8], at: usize, width: usize, dice: &mut Dice) {
        let len = bytes.len() as u64;
        let Some(field) = bytes.get_mut(at..at + width) else { return };
        let old = field.iter().rev().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        let (table, anywhere) = (dice.below(2), dice.below(len as usize) as u64);
        let other = dice.pick(&self.fields[table]).0;
        let other = self.file[other..].iter().take(8).rev().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        let middle = dice.pick(&[old, old, old, 0, 0, len, 1 << 31, 1 << 32, 1 << 63, other]);
        let apart = dice.pick(&[0, 1, 2, 8, 16, 64, anywhere]);
        let new = match dice.below(8) {
            0 => dice.word(),
            1 => dice.below(20) as u64,
            2..5 => middle.wrapping_add(apart),
            _ => middle.wrapping_sub(apart),
        };
        field.copy_from_slice(&new.to_le_bytes()[..width]);
    }

    fn damage_instruction(&self, bytes: &mut [u8], dice: &mut Dice) {
        let (at, other) = (dice.pick(&self.code), dice.pick(&self.code));
        if at.max(other) + 8 > bytes.len() {
            return;
        }
        let number = match dice.below(4) {
            0 => murmur3(dice.pick(&SYSCALLS)),
            1 => dice.pick(&[0, 1, 2, 3, 4, 5, 7, 8, 31, 32, 63, 64, 0x7FFF_FFFF, 0x8000_0000, u32::MAX]),
            2 => dice.below(64) as u32,
            _ => (dice.below(64) as u32).wrapping_neg(),
        };
        let [near, far] = [dice.below(9) as i16 - 4, dice.word() as i16];
        let offset = dice.pick(&[near, near, far, i16::MIN, i16::MAX]);
        let region = dice.below(6) as u32;
        let wide = [instruction(WIDE, 1 + dice.below(5) as u8, 0, 0, number), [0, 0, 0, 0, region as u8, 0, 0, 0]].concat();
        match dice.below(10) {
            0 => bytes[at] = bytes[other],
            1 => bytes[at] = dice.word() as u8,
            2 => bytes[at + 1] = dice.below(11) as u8 | (dice.below(11) as u8) << 4,
            3 => bytes[at + 1] = dice.word() as u8,
            4 => bytes[at + 2..at + 4].copy_from_slice(&offset.to_le_bytes()),
            5 => bytes[at + 4..at + 8].copy_from_slice(&number.to_le_bytes()),
            6 => bytes.copy_within(other..other + 8, at),
            7 => bytes[at..at + 8].copy_from_slice(&instruction(CALL, 0, dice.below(2) as u8, 0, number)),
            8 => bytes[at..at + 8].copy_from_slice(&instruction(CALL_REGISTER, dice.below(11) as u8, 0, 0, dice.below(11) as u32)),
            _ => bytes[at..].iter_mut().zip(wide).for_each(|(byte, new)| *byte = new),
        }
    }
}

/// Some that take addresses, some that allocate, some that end the program.
const SYSCALLS: [&str; 12] = [
    "sol_timer_create",
    "sol_watcher_create",
    "sol_ring_buffer_create",
    "sol_ring_buffer_push",
    "sol_async_context",
    "sol_log_",
    "sol_memcpy_",
    "sol_sha256",
    "sol_set_return_data",
    "sol_get_return_data",
    "sol_invoke_signed_c",
    "sol_panic_",
];

/// What is in `prebuilt`, and files of older versions. `PROGRAMS=folder` adds those of a folder.
fn specimens() -> Vec<Specimen> {
    let prebuilt = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../programs/prebuilt");
    let folders = [prebuilt].into_iter().chain(env::var_os("PROGRAMS").map(PathBuf::from));
    let paths = folders.flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|extension| extension == "so")).collect();
    paths.sort();
    let files = paths.iter().map(|path| fs::read(path).unwrap());
    files.chain((0..3).map(legacy)).map(Specimen::new).collect()
}

/// Damaged programs are refused, or run in their cage. `ROUNDS=n` tries more of them, `SEED=n` others; they are spread over engines of
/// a thousand each, and the seed of a failure is that of its engine.
#[test]
fn damaged_programs_do_no_harm() {
    let (rounds, first) = (setting("ROUNDS", 20_000), setting("SEED", 1));
    let specimens = specimens();
    let (start, mut memory) = (Instant::now(), Memory::new());
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    let mut slowest = Duration::ZERO;
    for seed in first..first + rounds.div_ceil(FILES) {
        let mut place = Place { seed, round: 0 };
        let mut dice = Dice::new(seed);
        let mut svm = svm();
        set(&mut svm, key(1), RICH, &[0; 64], key(9));
        for round in 1..=FILES {
            place.round = round;
            let file = specimens[dice.below(specimens.len())].damaged(&mut dice);
            let begin = Instant::now();
            run_damaged(&mut svm, &file, round, |end| *ends.entry(end).or_default() += 1);
            slowest = slowest.max(begin.elapsed());
        }
        assert_eq!(custom(&invoke(&mut svm, FAULTY, &[1], &[])), Some(42), "the others still run");
        memory.after((seed - first + 1) * FILES, rounds);
    }
    ends.iter().for_each(|(end, count)| println!("{count:>9} {end}"));
    println!("{} files in {:?}; the slowest {slowest:?}", rounds.next_multiple_of(FILES), start.elapsed());
    println!("{}", memory.check());
    assert!(slowest < Duration::from_secs(10), "something took {slowest:?}");
    for end in ["loaded", "refused: Malformed", "refused: Rejected", "refused: UnknownSyscall", "ran: Committed", "ran: ProgramFailedToComplete"] {
        assert!(ends.get(end).is_some_and(|count| *count > 0), "nothing was {end}: {ends:?}");
    }
}

fn run_damaged(svm: &mut Svm, file: &[u8], round: u64, mut count: impl FnMut(String)) {
    match svm.add_program(key(9), file) {
        Ok(()) => count("loaded".into()),
        Err(AddProgramError::Load(LoadError::Malformed(why))) if why == "the parser gave up" => return count("refused: the parser gave up".into()),
        Err(AddProgramError::Load(error)) => {
            let kind = format!("{error:?}");
            return count(format!("refused: {}", kind.split('(').next().unwrap()));
        }
        Err(error) => panic!("{error}"),
    }
    let mut outcomes = Vec::new();
    for data in [&[][..], &[1], &[0, 17, 18, 19, 3, 128, 0, 0, 0, 0, 0, 0, 0]] {
        let accounts = [writable(key(1)), readonly(CONFORMANCE)];
        outcomes.push(svm.invoke(Callback { compute_budget: 5_000, ..callback(key(9), data, &accounts) }).unwrap());
        assert!(outcomes.last().unwrap().units_consumed <= 5_000);
    }
    // What it has armed runs too, here and under the next programs.
    outcomes.extend(slot(svm, round).outcomes);
    for outcome in outcomes {
        let reason = outcome.failure.as_ref().map_or("Committed", |failure| &failure.reason);
        assert!(!is_defect(&outcome), "{outcome:?}");
        count(format!("ran: {reason}"));
    }
    assert_eq!(svm.engine().account(&key(1)).map(|account| account.lamports), Some(RICH), "nobody could have taken lamports");
}
