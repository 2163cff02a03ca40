//! Tasks: pending callbacks, and the order in which they run.

use crate::{
    Address, Callback, Error,
    hash::Delta,
    scheduler::{Key, Rank, Scheduler},
};
use borsh::{BorshDeserialize, BorshSerialize};
use hashbrown::HashMap;
use std::sync::Arc;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
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
        self.rank().level(slot) as u8
    }

    fn rank(&self) -> Rank {
        let Task { priority, deadline_slot, sequence, queued_slot, .. } = *self;
        Rank { priority: priority as u8, deadline_slot, sequence, queued_slot }
    }
}

/// A pending task, and its place among those of the same timer or watcher.
struct Pending {
    task: Task,
    newer: Option<Key>,
    older: Option<Key>,
    /// Whether the state hash covers it; one that comes and goes between two seals leaves no trace.
    sealed: bool,
    /// Whether it is in the running batch, in which it keeps its place whatever happens to it.
    handed_out: bool,
    cancelled: bool,
}

/// The pending tasks.
#[derive(Default)]
pub(crate) struct TaskQueue {
    scheduler: Scheduler<Pending>,
    /// The newest task of each timer and watcher that has some.
    newest: HashMap<Source, Key>,
    /// Cancelled ones that the running batch still holds.
    cancelled: usize,
    /// Pushed since the last seal.
    pushed: Vec<Key>,
    /// Sequences of those that the last seal covered and that are gone.
    gone: Vec<u64>,
}

impl TaskQueue {
    pub fn len(&self) -> u64 {
        (self.scheduler.len() - self.cancelled) as u64
    }

    /// A task that is pending or in the running batch.
    pub fn get(&self, key: Key) -> &Task {
        &self.scheduler.get(key).expect("keys of the running batch are kept").task
    }

    /// Whether a task of the running batch was cancelled.
    pub fn is_cancelled(&self, key: Key) -> bool {
        self.scheduler.get(key).expect("keys of the running batch are kept").cancelled
    }

    pub fn push(&mut self, task: Task) {
        let (rank, source) = (task.rank(), task.source);
        let key = self.scheduler.push(rank, Pending { task, newer: None, older: None, sealed: false, handed_out: false, cancelled: false });
        self.pushed.push(key);
        if is_cancellable(source)
            && let Some(older) = self.newest.insert(source, key)
        {
            self.pending(older).newer = Some(key);
            self.pending(key).older = Some(older);
        }
    }

    /// Forgets the tasks of a timer or a watcher.
    pub fn cancel(&mut self, source: Source) {
        while let Some(&key) = self.newest.get(&source) {
            self.unlink(key);
            let pending = self.pending(key);
            if pending.handed_out {
                pending.cancelled = true;
                self.cancelled += 1;
            } else {
                self.scheduler.remove(key);
            }
        }
    }

    /// Takes a task out of the running batch.
    pub fn take(&mut self, key: Key) -> Task {
        if self.is_cancelled(key) {
            self.cancelled -= 1;
        } else {
            self.unlink(key);
        }
        self.scheduler.remove(key).expect("keys of the running batch are kept").task
    }

    /// Begins a slot, and takes out the tasks whose deadline has passed, in the order in which they would have run.
    pub fn begin_slot(&mut self, slot: u64) -> Vec<Task> {
        self.scheduler.begin_slot(slot);
        std::iter::from_fn(|| self.scheduler.next_expired().map(|key| self.take(key))).collect()
    }

    /// The tasks that came into the queue with this slot.
    pub fn queued(&self) -> impl Iterator<Item = &Task> {
        self.pushed.iter().filter_map(|key| self.scheduler.get(*key)).map(|pending| &pending.task)
    }

    /// The next task to run.
    pub fn peek(&mut self) -> Option<(Key, &Task)> {
        let key = self.scheduler.peek()?;
        Some((key, self.get(key)))
    }

    /// Hands the next task out to the running batch.
    pub fn hand_out(&mut self) {
        let key = self.scheduler.hand_out().expect("there was one to look at");
        self.pending(key).handed_out = true;
    }

    fn pending(&mut self, key: Key) -> &mut Pending {
        self.scheduler.get_mut(key).expect("a task that is linked is pending")
    }

    fn unlink(&mut self, key: Key) {
        let Pending { task, newer, older, sealed, .. } = self.pending(key);
        let (source, newer, older) = (task.source, *newer, *older);
        if *sealed {
            let sequence = task.sequence;
            self.gone.push(sequence);
        }
        if !is_cancellable(source) {
            return;
        }
        if let Some(older) = older {
            self.pending(older).newer = newer;
        }
        match (newer, older) {
            (Some(newer), _) => self.pending(newer).older = older,
            (None, Some(older)) => drop(self.newest.insert(source, older)),
            (None, None) => drop(self.newest.remove(&source)),
        }
    }

    pub fn delta(&self, delta: &mut Delta) {
        let pushed = self.pushed.iter().filter_map(|key| self.scheduler.get(*key)).filter(|pending| !pending.cancelled);
        let records = pushed.map(|Pending { task, .. }| {
            // The callback of a timer or a watcher is covered by its own record.
            let own = (!is_cancellable(task.source)).then_some(&*task.callback);
            (task.sequence, Some((task.id, task.source, own, task.priority, task.deadline_slot, task.queued_slot, task.cause)))
        });
        let mut records: Vec<_> = records.chain(self.gone.iter().map(|sequence| (*sequence, None))).collect();
        records.sort_unstable_by_key(|(sequence, _)| *sequence);
        delta.list("task", records.into_iter());
    }

    pub fn sealed(&mut self) {
        for key in std::mem::take(&mut self.pushed) {
            if let Some(pending) = self.scheduler.get_mut(key) {
                pending.sealed = true;
            }
        }
        self.gone.clear();
    }
}

/// Whether its tasks go with it. A task that was scheduled by itself runs whatever happens.
fn is_cancellable(source: Source) -> bool {
    matches!(source.kind, SourceKind::Timer | SourceKind::Watcher)
}
