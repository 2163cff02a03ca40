//! Tasks: pending callbacks, and the order in which they run.

use crate::{Address, Callback, Error, hash::Delta};
use borsh::{BorshDeserialize, BorshSerialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

/// A waiting task is raised by one priority each time it has waited for this many slots.
pub const AGING_SLOTS: u64 = 64;

/// Where a task queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Priority {
    /// After everything else.
    Low = 0,
    /// Timers and submitted tasks, unless stated otherwise.
    Normal = 1,
    /// Watchers, unless stated otherwise.
    High = 2,
    /// Before everything else.
    Critical = 3,
}

impl TryFrom<u64> for Priority {
    type Error = Error;

    fn try_from(number: u64) -> Result<Self, Error> {
        [Priority::Low, Priority::Normal, Priority::High, Priority::Critical]
            .get(usize::try_from(number).unwrap_or(usize::MAX))
            .copied()
            .ok_or_else(|| Error::invalid("priority", number, "in [0, 3] (LOW, NORMAL, HIGH, CRITICAL)"))
    }
}

/// What asked for an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum SourceKind {
    /// The host, for now.
    Invoke = 0,
    /// A timer.
    Timer = 1,
    /// A watcher.
    Watcher = 2,
    /// The host or a program, for a later slot.
    Task = 3,
}

/// What asked for an invocation: for a timer or a watcher its id, else the task's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
#[allow(missing_docs, reason = "said above")]
pub struct Source {
    pub kind: SourceKind,
    pub id: u64,
}

/// What a callback can learn about why it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Cause {
    /// Trigger type of a watcher, else 0.
    pub trigger: u8,
    /// The slot in which it was due.
    pub due_slot: u64,
    /// Timer ticks or triggers that it stands for.
    pub ticks: u64,
    /// The watched account, else zeroes.
    pub account: Address,
    /// The value at the threshold before the slot.
    pub old_value: Option<i64>,
    /// The value at the threshold now.
    pub new_value: Option<i64>,
}

/// One pending callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its public id.
    pub id: u64,
    /// The order of creation, and the root of every id that its invocation creates.
    pub sequence: u64,
    /// What asked for it.
    pub source: Source,
    /// What to run.
    pub callback: Arc<Callback>,
    /// Where it queues, before aging.
    pub priority: Priority,
    /// The last slot in which it may start.
    pub deadline_slot: Option<u64>,
    /// The slot in which it was queued.
    pub queued_slot: u64,
    /// Why it runs.
    pub cause: Cause,
}

impl Task {
    /// Priority in `slot`, raised by the time it has waited.
    pub fn aged_priority(&self, slot: u64) -> u8 {
        let raised = (slot - self.queued_slot) / AGING_SLOTS;
        (self.priority as u64 + raised).min(Priority::Critical as u64) as u8
    }
}

#[derive(Default)]
pub(crate) struct TaskQueue {
    /// By sequence.
    tasks: BTreeMap<u64, Arc<Task>>,
    by_source: BTreeSet<(Source, u64)>,
    dirty: Vec<u64>,
    /// Tasks that the state hash covers already; one that comes and goes between two seals leaves no trace.
    sealed: HashSet<u64>,
}

impl TaskQueue {
    pub fn len(&self) -> u64 {
        self.tasks.len() as u64
    }

    pub fn contains(&self, sequence: u64) -> bool {
        self.tasks.contains_key(&sequence)
    }

    pub fn push(&mut self, task: Task) {
        self.dirty.push(task.sequence);
        self.by_source.insert((task.source, task.sequence));
        self.tasks.insert(task.sequence, Arc::new(task));
    }

    pub fn remove(&mut self, sequence: u64) {
        if let Some(task) = self.tasks.remove(&sequence) {
            self.by_source.remove(&(task.source, sequence));
            self.dirty.push(sequence);
        }
    }

    pub fn remove_of(&mut self, source: Source) {
        let found: Vec<_> = self.by_source.range((source, 0)..=(source, u64::MAX)).map(|(_, sequence)| *sequence).collect();
        found.into_iter().for_each(|sequence| self.remove(sequence));
    }

    /// All tasks in the order in which they should run in `slot`.
    pub fn in_order(&self, slot: u64) -> Vec<Arc<Task>> {
        let mut tasks: Vec<_> = self.tasks.values().cloned().collect();
        tasks.sort_by_key(|task| {
            let priority = Priority::Critical as u8 - task.aged_priority(slot);
            (priority, task.deadline_slot.is_none(), task.deadline_slot, task.sequence)
        });
        tasks
    }

    pub fn delta(&self, delta: &mut Delta) {
        let lasting: Vec<_> = self.dirty.iter().copied().filter(|key| self.tasks.contains_key(key) || self.sealed.contains(key)).collect();
        delta.changed("task", &lasting, |key| {
            self.tasks.get(key).map(|task| {
                // The callback of a timer or a watcher is covered by its own record.
                let own = matches!(task.source.kind, SourceKind::Task).then_some(&*task.callback);
                (task.id, task.source, own, task.priority, task.deadline_slot, task.queued_slot, task.cause)
            })
        });
    }

    pub fn sealed(&mut self) {
        for id in self.dirty.drain(..) {
            if self.tasks.contains_key(&id) {
                self.sealed.insert(id);
            } else {
                self.sealed.remove(&id);
            }
        }
    }
}
