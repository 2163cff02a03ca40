//! Ratios against a peer in the same process.
//!
//! A machine that is shared changes under a measurement within seconds: absolute times of two runs cannot be compared. So ours and every
//! peer take turns in short rounds, each round gives one ratio, and the median of the ratios is what counts, with the quartiles beside it.
//! Where even that is too noisy, instructions are counted by valgrind.

use serde::Serialize;
use std::{
    hint::black_box,
    process::Command,
    time::{Duration, Instant},
};

/// What a ratio or a number should be.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// How many times faster than the peer.
    AtLeast(f64),
    /// How much of the peer's time, or how many of the unit.
    AtMost(f64),
    /// Reported, and nothing else.
    Report,
    /// Reported as what it takes of the peer's time.
    ReportShare,
}

impl Goal {
    fn is_share(self) -> bool {
        matches!(self, Goal::AtMost(_) | Goal::ReportShare)
    }
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The median.
    pub value: f64,
    /// What `value` counts: `times faster`, `of the peer's time`, `instructions`, `bytes`, `ns`.
    pub unit: &'static str,
    /// What it is compared with.
    pub peer: Option<String>,
    /// The quartiles; equal to the value where it does not vary.
    pub p25: f64,
    /// The upper one.
    pub p75: f64,
    /// For example `>= 8`.
    pub goal: Option<String>,
    /// Whether median and the worse quartile reach the goal.
    pub met: Option<bool>,
}

/// One contender: what it is called, what its ratio should be, and a round, which returns nanoseconds an operation.
pub struct Peer<'a> {
    /// For example `crossbeam ArrayQueue<Box<[u8]>>`.
    pub name: &'static str,
    /// Of ours against it.
    pub goal: Goal,
    /// 3 to 15 ms of work.
    pub round: Box<dyn FnMut() -> f64 + 'a>,
}

/// A peer, spelled shortly.
pub fn peer<'a>(name: &'static str, goal: Goal, round: impl FnMut() -> f64 + 'a) -> Peer<'a> {
    Peer { name, goal, round: Box::new(round) }
}

/// Collects rows.
pub struct Bench {
    /// Fewer rounds, smaller sizes.
    pub quick: bool,
    rows: Vec<Row>,
}

impl Bench {
    /// Without rows.
    pub fn new(quick: bool) -> Self {
        Bench { quick, rows: Vec::new() }
    }

    /// What was measured.
    pub fn into_rows(self) -> Vec<Row> {
        self.rows
    }

    /// Rounds of a comparison, besides a first one that warms up and does not count.
    pub fn rounds(&self) -> usize {
        if self.quick { 7 } else { 31 }
    }

    /// Lets ours and its peers take turns; a row for each peer, and one with the time of ours.
    pub fn compare(&mut self, name: &str, mut ours: impl FnMut() -> f64, mut peers: Vec<Peer<'_>>) {
        let mut times = Vec::new();
        let mut ratios: Vec<Vec<f64>> = vec![Vec::new(); peers.len()];
        for round in 0..=self.rounds() {
            let mine = ours();
            let theirs: Vec<_> = peers.iter_mut().map(|peer| (peer.round)()).collect();
            if round == 0 {
                continue;
            }
            times.push(mine);
            for ((ratios, peer), theirs) in ratios.iter_mut().zip(&peers).zip(theirs) {
                ratios.push(if peer.goal.is_share() { mine / theirs } else { theirs / mine });
            }
        }
        self.spread(name, "ns", None, Goal::Report, times);
        for (ratios, peer) in ratios.into_iter().zip(peers) {
            let unit = if peer.goal.is_share() { "of the peer's time" } else { "times faster" };
            self.spread(name, unit, Some(peer.name), peer.goal, ratios);
        }
    }

    /// A number that does not vary: bytes, allocations, instructions.
    pub fn number(&mut self, name: &str, unit: &'static str, goal: Goal, value: f64) {
        self.spread(name, unit, None, goal, vec![value]);
    }

    /// Instructions of one operation, counted by valgrind in a child process that does it `n` and `2 n` times.
    ///
    /// `operation` is one of [`crate::OPERATIONS`].
    pub fn instructions(&mut self, name: &str, operation: &str, n: u64, goal: Goal) {
        match counted(operation, 2 * n).and_then(|twice| Ok((twice - counted(operation, n)?) / n as f64)) {
            Ok(value) => self.number(name, "instructions", goal, value),
            Err(reason) => eprintln!("  {name}: not counted: {reason}"),
        }
    }

    /// The median and the quartiles of `values`.
    pub fn spread(&mut self, name: &str, unit: &'static str, peer: Option<&str>, goal: Goal, mut values: Vec<f64>) {
        values.sort_by(f64::total_cmp);
        let quantile = |q: f64| {
            let at = (values.len() - 1) as f64 * q;
            let (low, high) = (values[at.floor() as usize], values[at.ceil() as usize]);
            low + (high - low) * at.fract()
        };
        let (p25, value, p75) = (quantile(0.25), quantile(0.5), quantile(0.75));
        let (goal, met) = match goal {
            Goal::AtLeast(bound) => (Some(format!(">= {bound}")), Some(p25 >= bound)),
            Goal::AtMost(bound) => (Some(format!("<= {bound}")), Some(p75 <= bound)),
            Goal::Report | Goal::ReportShare => (None, None),
        };
        let row = Row { name: name.into(), value, unit, peer: peer.map(Into::into), p25, p75, goal, met };
        eprintln!("  {}", describe(&row));
        self.rows.push(row);
    }
}

/// Of each round.
pub fn ratios(these: &[f64], those: &[f64]) -> Vec<f64> {
    these.iter().zip(those).map(|(this, that)| this / that).collect()
}

fn describe(row: &Row) -> String {
    let Row { name, value, unit, peer, p25, p75, goal, met } = row;
    let peer = peer.as_ref().map_or(String::new(), |peer| format!(" against {peer}"));
    let goal = goal.as_ref().map_or(String::new(), |goal| format!(", goal {goal}: {}", if *met == Some(true) { "met" } else { "MISSED" }));
    format!("{name}: {value:.3} {unit} ({p25:.3} to {p75:.3}){peer}{goal}")
}

fn counted(operation: &str, n: u64) -> Result<f64, String> {
    let exe = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(exe).args(["--count", operation, "--times", &n.to_string()]);
    let output = valgrind.output().map_err(|error| format!("valgrind: {error}; install Debian's package valgrind"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse().ok());
    collected.ok_or_else(|| format!("valgrind said:\n{text}"))
}

/// Memory of this process that is in use, as the system sees it.
pub fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).map_or(0, |pages| pages * 4096)
}

/// Runs `operations` once and returns nanoseconds for each.
pub fn per_operation<R>(operations: u64, run: impl FnOnce() -> R) -> f64 {
    let start = Instant::now();
    black_box(run());
    start.elapsed().as_nanos() as f64 / operations as f64
}

/// Repeats `run`, which does `operations`, until `at_least` has passed.
pub fn repeat_for(at_least: Duration, operations: u64, mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut times = 0;
    while start.elapsed() < at_least {
        run();
        times += 1;
    }
    start.elapsed().as_nanos() as f64 / (operations * times) as f64
}
