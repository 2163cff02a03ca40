//! The vectors of `conformance/`, played against the engine with no virtual machine around it.
//!
//! It has no memory of a program and no compute meter: what a call charges, where a pointer leads, and what Solana's runtime
//! checks after an invocation are not the engine's to say.

#[path = "conformance/host.rs"]
mod host;
#[path = "conformance/player.rs"]
mod player;
#[path = "conformance/program.rs"]
mod program;
#[path = "conformance/script.rs"]
mod script;

use serde_json::Value;
use std::{
    fs,
    io::{Write, stdout},
    path::Path,
};

/// What vectors may need that is not here; conformance/README.md says what each is.
const LACKS: [&str; 4] = ["pointers", "context", "runtime", "charges"];

#[test]
fn the_engine_conforms() {
    let vectors = read_vectors();
    let mine: Vec<_> = vectors.iter().filter(|(_, vector)| runs(vector)).collect();
    assert!(mine.len() * 2 >= vectors.len(), "only {} of {} vectors are for this runner", mine.len(), vectors.len());

    let (mut calls, mut broken) = (0, Vec::new());
    for (name, vector) in &mine {
        match holds(vector) {
            Ok(made) => calls += made,
            Err(why) => broken.push(format!("{name}, {why}")),
        }
    }
    // Not by println!, which is not shown when a test passes.
    let line = format!("conformance, Rust engine: {} of {} vectors hold, {calls} calls\n", mine.len() - broken.len(), mine.len());
    stdout().write_all(line.as_bytes()).expect("standard output can be written to");
    assert!(broken.is_empty(), "{} vectors do not hold:\n{}", broken.len(), broken.join("\n"));
}

/// Every vector with its name.
fn read_vectors() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/vectors");
    let mut files: Vec<_> = fs::read_dir(folder).expect("the folder of vectors").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let read = |path: &Path| {
        let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files.iter().map(|path| (path.file_stem().expect("a file").to_string_lossy().into_owned(), read(path))).collect()
}

fn runs(vector: &Value) -> bool {
    let mut needs = vector["needs"].as_array().into_iter().flatten();
    !needs.any(|need| LACKS.iter().any(|lacking| need == lacking))
}

/// Plays a vector twice: with its tasks one after another, and with each slot's tasks as far ahead of their turn as the engine
/// lets them. Nobody may be able to tell which it was. Returns how many calls were made.
fn holds(vector: &Value) -> Result<usize, String> {
    let in_turn = player::play(vector, 1)?;
    let ahead = player::play(vector, usize::MAX).map_err(|why| format!("running ahead: {why}"))?;
    match in_turn.results.iter().zip(&ahead.results).find(|(one, other)| one != other) {
        None => Ok(in_turn.calls),
        Some((one, other)) => Err(format!("running ahead makes a difference: {one} without, {other} with it")),
    }
}
