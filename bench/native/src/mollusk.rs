//! The executor against Mollusk, which has Agave's runtime and as little as possible around it.
//!
//! Its crates need other features of those that both use, so it is a process of its own: `oracles/src/bin/rounds.rs`.

use crate::{
    executor::{self, CALLBACKS, ROUNDS},
    measure::{Bench, Goal, peer},
    remote::Remote,
    workload::{Instruction, Workload},
};
use async_bpf_svm::Executor;
use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::Command,
};

pub fn run(bench: &mut Bench) {
    let program = match build() {
        Ok(program) => program,
        Err(reason) => return eprintln!("  not measured: {reason}"),
    };
    for workload in Workload::all() {
        let mut ours = executor::bare(workload, Executor::Lean, false);
        let mut theirs = start(&program, workload);
        bench.compare(
            &format!("executor, {}", workload.name()),
            || ours.rounds(ROUNDS),
            vec![peer("Mollusk process_instruction, without logs", Goal::Report, || theirs.round())],
        );
    }
}

/// Optimised as the benchmarks are: what tests need of it is not.
fn build() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let status = Command::new("cargo")
        .args(["build", "--profile", "measured", "--locked", "--quiet", "--bin", "rounds"])
        .args(["--manifest-path", "oracles/Cargo.toml", "--target-dir", "target/oracles"])
        .current_dir(&root)
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if status.success() { Ok(root.join("target/oracles/measured/rounds")) } else { Err("the peer does not build".into()) }
}

/// Tells the peer the programs, accounts and instructions of ours.
fn start(program: &Path, workload: Workload) -> Remote {
    let mut peer = Remote::new(program, &[]).unwrap_or_else(|reason| panic!("{reason}"));
    for (address, path) in workload.programs() {
        peer.tell(&format!("program {} {}", hex(&address.0), path.display()));
    }
    for n in 0..CALLBACKS as u64 {
        let Instruction { callback, accounts } = workload.instruction(n);
        for (address, account) in accounts {
            peer.tell(&format!("account {} {} {} {}", hex(&address.0), account.lamports, hex(&account.owner.0), hex(&account.data)));
        }
        for meta in callback.accounts {
            peer.tell(&format!("meta {} {} {}", hex(&meta.address.0), u8::from(meta.signer), u8::from(meta.writable)));
        }
        peer.tell(&format!("instruction {} {}", hex(&callback.program.0), hex(&callback.data)));
    }
    peer
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}
