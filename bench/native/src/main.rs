//! The structures against their peers.
//!
//! ```text
//! async-bpf-bench [--only GROUP]… [--quick] [--json FILE]
//! ```
//!
//! `npm run bench` runs it together with what JavaScript sees, and prints one table. Rows are described in [`measure`].

mod calibrate;
mod measure;
mod ring;

use measure::Bench;
use std::process::ExitCode;

type Named<F> = (&'static str, F);

/// Groups by name, in the order in which they run.
const GROUPS: &[Named<fn(&mut Bench)>] = &[("calibration", calibrate::run), ("ring", ring::run)];

/// Operations whose instructions can be counted: each does it `n` times.
const COUNTED: &[Named<fn(u64)>] =
    &[("ring many-to-one", ring::count_many_to_one), ("ring one-to-one", ring::count_one_to_one), ("boxes", ring::count_boxes)];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}\nusage: async-bpf-bench [--only GROUP]… [--quick] [--json FILE]");
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
    let json: Option<String> = arguments.opt_value_from_str("--json").map_err(wrong)?;
    let mut bench = Bench::new(arguments.contains("--quick"));
    if let Some(unknown) = arguments.finish().first() {
        return Err(format!("unknown argument {}", unknown.to_string_lossy()));
    }
    if let Some(name) = count {
        let (_, operation) = COUNTED.iter().find(|(known, _)| *known == name).ok_or(format!("nothing to count is called {name}"))?;
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
