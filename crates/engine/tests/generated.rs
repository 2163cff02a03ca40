//! The constants of the C header and of TypeScript come from the tables of this crate. This test fails when a file has
//! drifted; `UPDATE=1 cargo test -p async-bpf-engine --test generated` writes them anew.

use async_bpf_engine::{ErrorCode, Limits, Priority, RingState, SourceKind, TimerState, Trigger, rights};
use std::{fmt::Write, fs, path::Path};

/// A table of numbers with names: its name in TypeScript, its prefix in C, what it is, and its rows.
struct Table {
    typescript: &'static str,
    c: &'static str,
    doc: &'static str,
    rows: Vec<Row>,
}

/// A name, its number, and what that stands for.
type Row = (&'static str, u64, &'static str);

fn tables() -> Vec<Table> {
    let trigger = |name, trigger: Trigger, doc| (name, u64::from(trigger.number()), doc);
    let state = |state: RingState, doc| (state.name(), state as u64, doc);
    vec![
        Table {
            typescript: "ErrorCode",
            c: "",
            doc: "What went wrong, as a number that programs can compare.",
            rows: ErrorCode::ALL.iter().map(|code| (code.name(), *code as u64, code.doc())).collect(),
        },
        Table {
            typescript: "WatcherTrigger",
            c: "TRIGGER_",
            doc: "When a watcher fires.",
            rows: vec![
                trigger("ANY_CHANGE", Trigger::AnyChange, "Lamports, data or owner have changed."),
                trigger("LAMPORT_CHANGE", Trigger::LamportChange, "The balance has changed."),
                trigger("DATA_CHANGE", Trigger::DataChange, "The data have changed."),
                trigger("OWNER_CHANGE", Trigger::OwnerChange, "The owner has changed."),
                trigger(
                    "THRESHOLD_ABOVE",
                    Trigger::ThresholdAbove { offset: 0, threshold: 0 },
                    "The i64 at an offset was not above a threshold and is now.",
                ),
                trigger(
                    "THRESHOLD_BELOW",
                    Trigger::ThresholdBelow { offset: 0, threshold: 0 },
                    "The i64 at an offset was not below a threshold and is now.",
                ),
                trigger(
                    "PATTERN_MATCH",
                    Trigger::PatternMatch { offset: 0, pattern: vec![] },
                    "The bytes at an offset were not those of a pattern and are now.",
                ),
            ],
        },
        Table {
            typescript: "Priority",
            c: "PRIORITY_",
            doc: "Where a task queues.",
            rows: vec![
                ("LOW", Priority::Low as u64, "Behind all others."),
                ("NORMAL", Priority::Normal as u64, "Where timers and tasks queue unless stated otherwise."),
                ("HIGH", Priority::High as u64, "Where watchers queue unless stated otherwise."),
                ("CRITICAL", Priority::Critical as u64, "Before all others."),
            ],
        },
        Table {
            typescript: "TimerState",
            c: "TIMER_",
            doc: "Where a timer is in its life.",
            rows: vec![
                ("PENDING", TimerState::Pending as u64, "Waits for its trigger slot."),
                ("EXECUTING", TimerState::Executing as u64, "Its callback is queued or running."),
                ("COMPLETED", TimerState::Completed as u64, "Its last callback is over, and did not fail if it was the only one."),
                ("CANCELLED", TimerState::Cancelled as u64, "Cancelled by its program or the host."),
                ("EXPIRED", TimerState::Expired as u64, "It could not run by its deadline."),
                ("FAILED", TimerState::Failed as u64, "Its only callback failed."),
            ],
        },
        Table {
            typescript: "RingState",
            c: "RING_",
            doc: "What a ring buffer allows: ACTIVE push and pop, DRAINING pop only, PAUSED and CLOSED neither.",
            rows: vec![
                state(RingState::Active, "Push and pop."),
                state(RingState::Paused, "Neither, for now."),
                state(RingState::Closed, "Neither."),
                state(RingState::Draining, "Pop only."),
            ],
        },
        Table {
            typescript: "RingRight",
            c: "RIGHT_",
            doc: "What another program may do with a ring buffer; add them up.",
            rows: vec![("READ", rights::READ, "Peek and pop."), ("WRITE", rights::WRITE, "Push.")],
        },
        Table {
            typescript: "CatchUp",
            c: "CATCH_UP_",
            doc: "What a periodic timer does about ticks in skipped slots: fire once and count them, fire for each, or skip them.",
            rows: vec![
                ("ONCE", 0, "One callback stands for all; the others are counted as missed."),
                ("ALL", 1, "A callback for each, up to a bound; the last stands for the rest."),
                ("SKIP", 2, "A callback only in a slot of the grid; the others are counted as missed."),
            ],
        },
        Table {
            typescript: "SourceKind",
            c: "KIND_",
            doc: "What asked for an invocation.",
            rows: vec![
                ("INVOKE", SourceKind::Invoke as u64, "The host, at once."),
                ("TIMER", SourceKind::Timer as u64, "A timer."),
                ("WATCHER", SourceKind::Watcher as u64, "A watcher."),
                ("TASK", SourceKind::Task as u64, "A task that was submitted or scheduled."),
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
        section(doc, &mut rows.iter().map(|(name, value, _)| (format!("{c}{name}"), *value)));
    }
    section("Limits, as they are unless the host sets others.", &mut Limits::TABLE.iter().map(|row| (row.constant.to_string(), row.default)));
    text
}

fn typescript() -> String {
    let mut text = String::from("// Generated from crates/engine; do not edit.\n");
    for Table { typescript, doc, rows, .. } in tables() {
        writeln!(text, "\n/** {doc} */\nexport const {typescript} = {{").unwrap();
        rows.iter().for_each(|(name, value, doc)| writeln!(text, "  /** {doc} */\n  {name}: {value},").unwrap());
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
