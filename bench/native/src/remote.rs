//! Peers that cannot be in this process: another allocator, or crates that do not go together with ours.
//!
//! Such a peer is a child process that does a round whenever it is asked to, so that it takes turns like any other: it reads a line, does
//! the round, and writes the nanoseconds of one operation as a line.

use crate::Named;
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// A child process; it ends with this.
pub struct Remote {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Remote {
    /// Starts it.
    pub fn new(program: &Path, arguments: &[String]) -> Result<Self, String> {
        let child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("{}: {error}", program.display()))?;
        let ask = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Ok(Remote { child, ask, answers })
    }

    /// Tells it something that has no answer.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.ask, "{line}").expect("the peer listens");
    }

    /// Nanoseconds of one operation.
    pub fn round(&mut self) -> f64 {
        self.tell("round");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the peer answers");
        answer.trim().parse().unwrap_or_else(|_| panic!("the peer ended, or answered {answer:?}"))
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One round.
pub type Round = Box<dyn FnMut() -> f64>;

/// The side of the child: does rounds of the one of `known` that is called `name`.
pub fn serve(known: &[Named<fn() -> Round>], name: &str) -> Result<(), String> {
    let (_, make) = known.iter().find(|(known, _)| *known == name).ok_or(format!("no round is called {name}"))?;
    let mut round = make();
    for line in std::io::stdin().lines() {
        line.map_err(|error| error.to_string())?;
        println!("{}", round());
    }
    Ok(())
}
