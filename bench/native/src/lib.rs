//! The structures, the executor and the whole engine against their peers.
//!
//! ```text
//! async-bpf-bench [--only GROUP]… [--quick] [--json FILE] [--token FILE]
//! ```
//!
//! `npm run bench` runs it together with what JavaScript sees, and prints one table. Rows are described in [`measure`].

mod allocator;
mod breakdown;
mod calibrate;
mod callbacks;
mod counting;
mod engine;
mod executor;
mod hash;
mod instructions;
mod matcher;
mod measure;
mod mollusk;
mod remote;
mod ring;
mod scheduler;
mod wheel;
mod workload;

pub use counting::Counting;

use measure::Bench;
use std::{path::PathBuf, process::ExitCode};

/// Something by its name.
type Named<F> = (&'static str, F);

/// Groups in the order in which they run.
const GROUPS: &[Named<fn(&mut Bench)>] = &[
    ("calibration", calibrate::run),
    ("instructions", instructions::run),
    ("ring", ring::run),
    ("wheel", wheel::run),
    ("matcher", matcher::run),
    ("scheduler", scheduler::run),
    ("engine", engine::run),
    ("executor", executor::run),
    ("mollusk", mollusk::run),
    ("callbacks", callbacks::run),
    ("hash", hash::run),
    ("allocator", allocator::run),
    ("where", breakdown::run),
];

/// What a child process is started for, to be counted or weighed by itself: each does something so many times.
const OPERATIONS: &[Named<fn(u64)>] = &[
    ("ring-many-to-one", ring::count_many_to_one),
    ("ring-one-to-one", ring::count_one_to_one),
    ("ring-boxes", ring::count_boxes),
    ("wheel-insert-cancel", wheel::insert_and_cancel),
    ("wheel-insert-expire", wheel::insert_and_expire),
    ("scheduler", scheduler::count),
    ("matcher-threshold", matcher::count_thresholds),
    ("matcher-unwatched", matcher::count_unwatched),
    ("matcher-bytes-of-one", matcher::count_bytes_of_one),
    ("matcher-bytes-of-eight", matcher::count_bytes_of_eight),
    ("callback-bare", executor::count),
    ("callback-engine", callbacks::count),
];

/// Runs what the arguments say.
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}\nusage: async-bpf-bench [--only GROUP]… [--quick] [--json FILE] [--token FILE]");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let mut arguments = pico_args::Arguments::from_env();
    let wrong = |error: pico_args::Error| error.to_string();
    let only: Vec<String> = arguments.values_from_str("--only").map_err(wrong)?;
    let count: Option<String> = arguments.opt_value_from_str("--count").map_err(wrong)?;
    let times: u64 = arguments.opt_value_from_str("--times").map_err(wrong)?.unwrap_or(1);
    let serve: Option<String> = arguments.opt_value_from_str("--serve").map_err(wrong)?;
    let token: Option<PathBuf> = arguments.opt_value_from_str("--token").map_err(wrong)?;
    let json: Option<String> = arguments.opt_value_from_str("--json").map_err(wrong)?;
    let mut bench = Bench::new(arguments.contains("--quick"));
    if let Some(unknown) = arguments.finish().first() {
        return Err(format!("unknown argument {}", unknown.to_string_lossy()));
    }
    if let Some(path) = token {
        workload::set_token(path);
    }
    if let Some(name) = serve {
        return remote::serve(allocator::ROUNDS, &name);
    }
    if let Some(name) = count {
        let (_, operation) = OPERATIONS.iter().find(|(known, _)| *known == name).ok_or(format!("no operation is called {name}"))?;
        operation(times);
        return Ok(());
    }
    let names: Vec<_> = GROUPS.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(format!("there is no group {unknown}; there are {}", names.join(", ")));
    }
    for (name, group) in GROUPS {
        if only.is_empty() || only.iter().any(|chosen| chosen == name) {
            eprintln!("{name}");
            group(&mut bench);
        }
    }
    if let Some(path) = json {
        let rows = serde_json::to_vec_pretty(&bench.into_rows()).expect("rows are plain data");
        std::fs::write(&path, rows).map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(())
}
