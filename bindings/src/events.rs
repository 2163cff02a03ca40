//! What an engine tells those who listen: records in a queue of each listener. `bindings/ts/events.ts` reads them.

use async_bpf_ring::{
    Memory, MemoryError, Notify,
    one_to_one::{self, Producer},
};
use async_bpf_svm::SlotReport;
use borsh::BorshSerialize;
use std::collections::BTreeMap;

/// The kinds of records.
mod kind {
    pub const OUTCOME: u32 = 0;
    pub const SLOT: u32 = 1;
    /// A u64: events that there was no room for.
    pub const GAP: u32 = 2;
}

#[derive(Default)]
pub struct Listeners {
    listeners: BTreeMap<u32, Listener>,
    last_id: u32,
}

struct Listener {
    producer: Producer,
    /// Events that it does not know of yet that it has missed.
    missed: u64,
}

impl Listeners {
    /// Somebody who reads a queue of `capacity` bytes in `memory`.
    pub fn add(&mut self, memory: Memory, capacity: u32) -> Result<u32, MemoryError> {
        let (producer, _) = one_to_one::create(memory, capacity)?;
        self.last_id += 1;
        self.listeners.insert(self.last_id, Listener { producer: producer.with_notify(Notify::Never), missed: 0 });
        Ok(self.last_id)
    }

    pub fn remove(&mut self, id: u32) {
        self.listeners.remove(&id);
    }

    /// Events for which there was no room, and which no record says: for a listener that has read all of its queue.
    pub fn take_missed(&mut self, id: u32) -> u64 {
        self.listeners.get_mut(&id).map_or(0, |listener| std::mem::take(&mut listener.missed))
    }

    /// Tells of a slot: its outcomes, and then itself.
    pub fn publish(&mut self, report: &SlotReport) {
        if self.listeners.is_empty() {
            return;
        }
        for outcome in &report.outcomes {
            let head = (report.slot, outcome.task_id, outcome.program, outcome.source);
            self.offer(kind::OUTCOME, &(head, outcome.status, &outcome.failure, outcome.units_consumed));
        }
        let counts = (report.timers_fired, report.watchers_triggered, report.tasks_queued, report.units_consumed);
        self.offer(kind::SLOT, &(report.slot, counts, report.state_hash));
    }

    fn offer(&mut self, kind: u32, event: &impl BorshSerialize) {
        let bytes = borsh::to_vec(event).expect("writing to memory cannot fail");
        self.listeners.values_mut().for_each(|listener| listener.offer(kind, &bytes));
    }
}

impl Listener {
    fn offer(&mut self, kind: u32, event: &[u8]) {
        // What follows a gap comes after it.
        if self.missed > 0 && self.producer.push(kind::GAP, &self.missed.to_le_bytes()).is_ok() {
            self.missed = 0;
        }
        if self.missed > 0 || self.producer.push(kind, event).is_err() {
            self.missed += 1;
        }
    }
}
