//! The constants of the C header and of TypeScript come from the tables of this crate. This test fails when a file has
//! drifted; `UPDATE=1 cargo test -p async-bpf-engine --test generated` writes them anew.

use async_bpf_engine::{ErrorCode, Limits, Priority, RingState, SourceKind, TimerState, Trigger, rights};
use std::{fmt::Write, fs, path::Path};

/// A table of numbers with names: its name in TypeScript, its prefix in C, what it is, and its rows.
struct Table {
    typescript: &'static str,
    c: &'static str,
    doc: &'static str,
    rows: Vec<(&'static str, u64)>,
}

fn tables() -> Vec<Table> {
    let triggers = [
        ("ANY_CHANGE", Trigger::AnyChange),
        ("LAMPORT_CHANGE", Trigger::LamportChange),
        ("DATA_CHANGE", Trigger::DataChange),
        ("OWNER_CHANGE", Trigger::OwnerChange),
        ("THRESHOLD_ABOVE", Trigger::ThresholdAbove { offset: 0, threshold: 0 }),
        ("THRESHOLD_BELOW", Trigger::ThresholdBelow { offset: 0, threshold: 0 }),
        ("PATTERN_MATCH", Trigger::PatternMatch { offset: 0, pattern: vec![] }),
    ];
    let rings = [RingState::Active, RingState::Paused, RingState::Closed, RingState::Draining];
    vec![
        Table {
            typescript: "ErrorCode",
            c: "",
            doc: "What went wrong, as a number that programs can compare.",
            rows: ErrorCode::ALL.iter().map(|code| (code.name(), *code as u64)).collect(),
        },
        Table {
            typescript: "WatcherTrigger",
            c: "TRIGGER_",
            doc: "When a watcher fires.",
            rows: triggers.iter().map(|(name, trigger)| (*name, trigger.number().into())).collect(),
        },
        Table {
            typescript: "Priority",
            c: "PRIORITY_",
            doc: "Where a task queues.",
            rows: vec![
                ("LOW", Priority::Low as u64),
                ("NORMAL", Priority::Normal as u64),
                ("HIGH", Priority::High as u64),
                ("CRITICAL", Priority::Critical as u64),
            ],
        },
        Table {
            typescript: "TimerState",
            c: "TIMER_",
            doc: "Where a timer is in its life.",
            rows: vec![
                ("PENDING", TimerState::Pending as u64),
                ("EXECUTING", TimerState::Executing as u64),
                ("COMPLETED", TimerState::Completed as u64),
                ("CANCELLED", TimerState::Cancelled as u64),
                ("EXPIRED", TimerState::Expired as u64),
                ("FAILED", TimerState::Failed as u64),
            ],
        },
        Table {
            typescript: "RingState",
            c: "RING_",
            doc: "What a ring buffer allows: ACTIVE push and pop, DRAINING pop only, PAUSED and CLOSED neither.",
            rows: rings.iter().map(|state| (state.name(), *state as u64)).collect(),
        },
        Table {
            typescript: "RingRight",
            c: "RIGHT_",
            doc: "What another program may do with a ring buffer; add them up.",
            rows: vec![("READ", rights::READ), ("WRITE", rights::WRITE)],
        },
        Table {
            typescript: "CatchUp",
            c: "CATCH_UP_",
            doc: "What a periodic timer does about ticks in skipped slots: fire once and count them, fire for each, or skip them.",
            rows: vec![("ONCE", 0), ("ALL", 1), ("SKIP", 2)],
        },
        Table {
            typescript: "SourceKind",
            c: "KIND_",
            doc: "What asked for an invocation.",
            rows: vec![
                ("INVOKE", SourceKind::Invoke as u64),
                ("TIMER", SourceKind::Timer as u64),
                ("WATCHER", SourceKind::Watcher as u64),
                ("TASK", SourceKind::Task as u64),
            ],
        },
    ]
}

fn c_header() -> String {
    let mut text = String::from("/* Error codes, limits and numbers of async-bpf. Generated from crates/engine; do not edit. */\n");
    let mut section = |doc: &str, rows: &mut dyn Iterator<Item = (String, u64)>| {
        writeln!(text, "\n/* {doc} */").unwrap();
        rows.for_each(|(name, value)| writeln!(text, "#define SOL_ASYNC_{name} {value}").unwrap());
    };
    for Table { c, doc, rows, .. } in tables() {
        section(doc, &mut rows.iter().map(|(name, value)| (format!("{c}{name}"), *value)));
    }
    section("Limits, as they are unless the host sets others.", &mut Limits::TABLE.iter().map(|row| (row.constant.to_string(), row.default)));
    text
}

fn typescript() -> String {
    let mut text = String::from("// Generated from crates/engine; do not edit.\n");
    for Table { typescript, doc, rows, .. } in tables() {
        writeln!(text, "\n/** {doc} */\nexport const {typescript} = {{").unwrap();
        rows.iter().for_each(|(name, value)| writeln!(text, "  {name}: {value},").unwrap());
        writeln!(text, "}} as const;\nexport type {typescript} = (typeof {typescript})[keyof typeof {typescript}];").unwrap();
    }
    text += "\n/** What an engine allows. A host may set each within its hard range. */\nexport interface Limits {\n";
    for row in Limits::TABLE {
        let (doc, default, min, max) = (row.doc, row.default, row.min, row.max);
        writeln!(text, "  /** {} ({}): default {default}, in [{min}, {max}]. */\n  {}: number;", capitalised(doc), row.constant, row.key).unwrap();
    }
    text += "}\n\n/** Each limit unless the host sets another. */\nexport const DEFAULT_LIMITS: Readonly<Limits> = {\n";
    Limits::TABLE.iter().for_each(|row| writeln!(text, "  {}: {},", row.key, row.default).unwrap());
    text += "};\n";
    text
}

fn capitalised(text: &str) -> String {
    text[..1].to_uppercase() + &text[1..]
}

fn check(path: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, expected).unwrap();
    }
    let actual = fs::read_to_string(&path).unwrap_or_default();
    assert!(actual == expected, "{} has drifted; run UPDATE=1 cargo test -p async-bpf-engine --test generated", path.display());
}

#[test]
fn the_c_header_is_current() {
    check("programs/include/sol_async_constants.h", &c_header());
}

#[test]
fn the_typescript_constants_are_current() {
    check("bindings/ts/constants.ts", &typescript());
}
