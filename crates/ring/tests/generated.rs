//! The constants of TypeScript come from the table of [`layout`]. This test fails when the file has drifted;
//! `UPDATE=1 cargo test -p async-bpf-ring --test generated` writes it anew.

use async_bpf_ring::layout;
use std::{fmt::Write, fs, path::Path};

fn typescript() -> String {
    let mut text = String::from("// Generated from crates/ring; do not edit. What each is for: crates/ring/src/layout.rs.\n");
    for (name, value, doc) in layout::TABLE {
        let doc = doc[..1].to_uppercase() + &doc[1..];
        writeln!(text, "\n/** {doc}. */\nexport const {name} = {value};").unwrap();
    }
    text
}

#[test]
fn the_typescript_constants_are_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bindings/ts/ring-layout.ts");
    let expected = typescript();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let actual = fs::read_to_string(&path).unwrap_or_default();
    assert!(actual == expected, "{} has drifted; run UPDATE=1 cargo test -p async-bpf-ring --test generated", path.display());
}
