//! Where the instructions of a callback go: what callgrind counts for each function, summed for parts that have a name.
//!
//! An instruction belongs to the part of the source file that it was compiled from, wherever the compiler has inlined it. The standard library
//! and other helpers work for whoever calls them: they belong to the part of the function that they are inlined into or called from.

use crate::{
    callbacks::CALLBACKS,
    measure::{Bench, Goal},
};
use std::{collections::HashMap, path::Path, process::Command};

const MACHINE: &str = "virtual machine and syscalls";
const CONTEXT: &str = "Agave's transaction context and serialization";
const ALLOCATOR: &str = "memory allocator";
const EXECUTOR: &str = "executor: accounts in and out, memory, logs";
const ENGINE: &str = "engine: timers, stage, commit";
const SCHEDULING: &str = "scheduling";
const HASH: &str = "state hash";
const OTHER: &str = "other";
const PARTS: [&str; 8] = [MACHINE, CONTEXT, ALLOCATOR, EXECUTOR, ENGINE, SCHEDULING, HASH, OTHER];

/// What the name of a function says; the first that it contains counts.
const FUNCTIONS: &[(&str, &str)] = &[
    ("::delta", HASH),
    ("::sealed", HASH),
    ("::seal", HASH),
    ("StateHash", HASH),
    ("BorshSerialize", HASH),
    ("blake3", HASH),
    // Compiled by the virtual machine.
    ("0x0000", MACHINE),
    ("alloc::alloc", ALLOCATOR),
    ("__rust_", ALLOCATOR),
    ("__rdl_", ALLOCATOR),
    ("malloc", ALLOCATOR),
    ("calloc", ALLOCATOR),
    ("realloc", ALLOCATOR),
];

/// What the path of a source file says, or the name of a function that has none; the first that it contains counts.
const FILES: &[(&str, &str)] = &[
    ("mimalloc", ALLOCATOR),
    ("native/src/main.rs", ALLOCATOR),
    ("native/src/counting.rs", ALLOCATOR),
    ("engine/src/hash.rs", HASH),
    ("borsh", HASH),
    ("blake3", HASH),
    ("solana-sbpf", MACHINE),
    ("solana_sbpf", MACHINE),
    ("solana-syscalls", MACHINE),
    ("solana_syscalls", MACHINE),
    ("runtime/syscalls", MACHINE),
    ("runtime::syscalls", MACHINE),
    ("solana-", CONTEXT),
    ("solana_", CONTEXT),
    ("svm/src/runtime", EXECUTOR),
    ("async_bpf_svm::runtime", EXECUTOR),
    ("engine/src/scheduler.rs", SCHEDULING),
    ("async_bpf_engine::scheduler", SCHEDULING),
    ("svm/src/", SCHEDULING),
    ("async_bpf_svm::", SCHEDULING),
    ("engine/src/", ENGINE),
    ("async_bpf_engine::", ENGINE),
];

/// Callers of callers are asked for the part of a helper, so often.
const MAX_DEPTH: usize = 8;

pub fn run(bench: &mut Bench) {
    let slots = if bench.quick { 1 } else { 4 };
    match parts("callback-engine", slots * CALLBACKS as u64) {
        Ok(parts) => {
            let name = "tiny, 1,000 callbacks a slot, 1 worker, a callback";
            bench.number(&format!("{name}: all"), "instructions", Goal::Report, parts.iter().sum());
            for (part, value) in PARTS.iter().zip(parts) {
                bench.number(&format!("{name}: {part}"), "instructions", Goal::Report, value);
            }
        }
        Err(reason) => eprintln!("  not counted: {reason}"),
    }
}

/// Instructions of each part in one of `n` operations.
fn parts(operation: &str, n: u64) -> Result<Vec<f64>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // The same code as this, with names of functions and files.
    let build = Command::new("cargo")
        .args(["build", "--profile", "symbols", "--locked", "--quiet", "--package", "async-bpf-bench", "--bin", "async-bpf-bench"])
        .current_dir(&root)
        .status();
    if !build.map_err(|error| format!("cargo: {error}"))?.success() {
        return Err("it does not build with symbols".into());
    }
    let binary = root.join("target/symbols/async-bpf-bench");
    let count = |times: u64| {
        let output = std::env::temp_dir().join(format!("async-bpf-bench.{}.{times}.callgrind", std::process::id()));
        let ran = Command::new("valgrind")
            .args(["--tool=callgrind", "--quiet", &format!("--callgrind-out-file={}", output.display())])
            .arg(&binary)
            .args(["--count", operation, "--times", &times.to_string()])
            .status();
        let text = std::fs::read_to_string(&output);
        let _ = std::fs::remove_file(&output);
        if !ran.map_err(|error| format!("valgrind: {error}; install Debian's package valgrind"))?.success() {
            return Err("valgrind failed".to_string());
        }
        Ok(Profile::read(&text.map_err(|error| format!("{}: {error}", output.display()))?).parts())
    };
    let (once, twice) = (count(n)?, count(2 * n)?);
    Ok(PARTS.iter().map(|part| (twice.get(part).unwrap_or(&0.0) - once.get(part).unwrap_or(&0.0)) / n as f64).collect())
}

/// What callgrind counted.
#[derive(Default)]
struct Profile<'a> {
    /// Of the instructions of a function that come from a file.
    own: HashMap<Place<'a>, f64>,
    /// Of a function, with all that it calls, by the place of the call.
    calls: HashMap<&'a str, HashMap<Place<'a>, f64>>,
}

/// A function, and the file of the line within it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Place<'a> {
    function: &'a str,
    file: &'a str,
}

impl<'a> Profile<'a> {
    /// Reads callgrind's format: names have numbers, and come with their number alone when they come again.
    fn read(text: &'a str) -> Self {
        let mut profile = Profile::default();
        let (mut files, mut functions) = (HashMap::new(), HashMap::new());
        let mut at = Place { function: "", file: "" };
        let (mut callee, mut is_call) = ("", false);
        for line in text.lines() {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            match key {
                "fl" | "fi" | "fe" => at.file = named(&mut files, value),
                "cfi" | "cfl" => _ = named(&mut files, value),
                "fn" => at.function = named(&mut functions, value),
                "cfn" => callee = named(&mut functions, value),
                "calls" => is_call = true,
                _ if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) => {
                    let cost = line.split(' ').nth(1).and_then(|cost| cost.parse().ok()).unwrap_or(0.0);
                    // The line behind `calls` has what the callee took.
                    if std::mem::take(&mut is_call) {
                        *profile.calls.entry(callee).or_default().entry(at).or_default() += cost;
                    } else {
                        *profile.own.entry(at).or_default() += cost;
                    }
                }
                _ => {}
            }
        }
        profile
    }

    fn parts(&self) -> HashMap<&'static str, f64> {
        let mut parts = HashMap::new();
        for (place, cost) in &self.own {
            self.share(*place, *cost, MAX_DEPTH, &mut parts);
        }
        parts
    }

    /// Adds to the part of a place or, if it has none, to those of its callers by what they had it do.
    fn share(&self, place: Place<'_>, cost: f64, depth: usize, parts: &mut HashMap<&'static str, f64>) {
        if let Some(part) = part(place) {
            *parts.entry(part).or_default() += cost;
            return;
        }
        let callers = self.calls.get(place.function).filter(|_| depth > 0);
        let total: f64 = callers.map_or(0.0, |callers| callers.values().sum());
        if total == 0.0 {
            *parts.entry(OTHER).or_default() += cost;
            return;
        }
        for (caller, by) in callers.into_iter().flatten() {
            self.share(*caller, cost * by / total, depth - 1, parts);
        }
    }
}

/// The name behind a number.
fn named<'a>(names: &mut HashMap<&'a str, &'a str>, value: &'a str) -> &'a str {
    match value.split_once(' ') {
        Some((number, name)) => {
            names.insert(number, name);
            name
        }
        None => names.get(value).copied().unwrap_or(value),
    }
}

/// By function where that says something, by the file, and at last by the function again, whose name has types and traits in it.
fn part(Place { function, file }: Place<'_>) -> Option<&'static str> {
    let first = |list: &[(&str, &'static str)], text: &str| list.iter().find(|(known, _)| text.contains(known)).map(|(_, part)| *part);
    first(FUNCTIONS, function).or_else(|| first(FILES, file)).or_else(|| first(FILES, function))
}
