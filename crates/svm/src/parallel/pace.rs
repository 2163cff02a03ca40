//! How far to run ahead, and with which programs not at all.
//!
//! Accounts are declared; what tasks do to each other through timers, watchers and ring buffers shows only when they are committed. A
//! thousand tasks that take from one ring buffer each get another entry than they were told: running them ahead is work for nothing. So
//! windows grow within a slot, and a program whose tasks mostly had to run again is not run ahead any more for the rest of it: its tasks
//! run at their turn, with those that wait for them, while all others go on as before.

use crate::{Address, Task};
use std::collections::{HashMap, HashSet};

/// Tasks of the first window of a slot, and how much longer the next one is.
const FIRST: usize = 256;
const GROWTH: usize = 4;
/// Tasks of a window. Each that had to wait for the end of one would cost more than it is worth long before.
const LONGEST: usize = 4_096;

#[derive(Default)]
pub(crate) struct Pace {
    length: usize,
    /// Programs that are not run ahead.
    deferred: HashSet<Address>,
    /// Of the window at hand, once a task had to run again: tasks of each program from there on, and how many of them ran again.
    spoiled: HashMap<Address, (u32, u32)>,
}

impl Pace {
    pub fn begin_slot(&mut self) {
        self.length = FIRST;
        self.deferred.clear();
    }

    /// How many tasks the window at hand may have.
    pub fn length(&self) -> usize {
        self.length
    }

    pub fn is_deferred(&self, program: &Address) -> bool {
        !self.deferred.is_empty() && self.deferred.contains(program)
    }

    /// Notes that the first of these tasks, the rest of the window, ran ahead for nothing.
    pub fn spoiled<'a>(&mut self, mut rest: impl Iterator<Item = &'a Task>) {
        let Some(task) = rest.next() else { return };
        if self.spoiled.is_empty() {
            self.spoiled.insert(task.callback.program, (1, 0));
            rest.for_each(|task| self.spoiled.entry(task.callback.program).or_default().0 += 1);
        }
        self.spoiled.entry(task.callback.program).or_default().1 += 1;
    }

    /// Draws the conclusions from a window. Running ahead with `workers` pays as long as the share that runs again is less than the
    /// share of the time that it saves.
    pub fn end_window(&mut self, workers: usize) {
        self.length = LONGEST.min(GROWTH * self.length);
        let workers = workers as u32;
        for (program, (tasks, again)) in self.spoiled.drain() {
            if again > 1 && again * workers > tasks * (workers - 1) {
                self.deferred.insert(program);
            }
        }
    }
}
