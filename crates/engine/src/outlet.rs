//! The outlet of a ring buffer that the host reads: a queue in memory that the host has, so that reading takes no call.
//!
//! Each entry becomes one record: its sequence number and its slot, each a little-endian `u64`, then its data. It costs there what it costs
//! in the ring buffer. Entries stay in the ring buffer as well until a slot samples how far the host has read: what spoils
//! the memory loses none that the host did not say it had read, and nothing that the host does is noticed by a program before the next slot.

use crate::RingEntry;
use async_bpf_ring::{
    PushError,
    one_to_one::{Grant, Producer},
};
use std::{collections::VecDeque, sync::Arc};

/// Bytes of a record before the data.
const PREFIX_LEN: usize = 16;

pub(crate) struct Outlet {
    producer: Producer,
    /// The sequence number of the first entry that was not put in.
    next: u64,
    /// Where the record of each entry ends that was put in and not seen as read, up to `next`.
    ends: VecDeque<u64>,
}

impl Outlet {
    /// An outlet for entries from `next` on.
    pub fn new(producer: Producer, next: u64) -> Self {
        Outlet { producer, next, ends: VecDeque::new() }
    }

    /// Puts in as many of `entries` as there is room for, the first of which is number `first`; false when it can never go on.
    pub fn fill(&mut self, first: u64, entries: &VecDeque<Arc<RingEntry>>) -> bool {
        for entry in entries.iter().skip((self.next - first) as usize) {
            match self.producer.reserve(0, PREFIX_LEN + entry.data.len()) {
                Ok(grant) => self.ends.push_back(write(grant, entry)),
                Err(PushError::Full) => return true,
                Err(PushError::Corrupt(_) | PushError::TooLong { .. } | PushError::Closed) => return false,
            }
            self.next += 1;
        }
        true
    }

    /// The sequence number up to which the host has read now; `None` when the memory does not make sense.
    pub fn cursor(&self) -> Option<u64> {
        let read = self.producer.consumed_position().ok()?;
        Some(self.first() + self.ends.partition_point(|end| *end <= read) as u64)
    }

    /// The same, once it counts.
    pub fn sample(&mut self) -> Option<u64> {
        let cursor = self.cursor()?;
        // Says again where the tail is: were it spoilt, a full ring buffer would never be read, as nothing new is put in.
        self.producer.reopen();
        self.ends.drain(..(cursor - self.first()) as usize);
        Some(cursor)
    }

    /// Tells who reads that nothing follows, and returns [`Outlet::cursor`] as it was at last.
    pub fn close(mut self) -> Option<u64> {
        self.producer.close();
        self.cursor()
    }

    /// The sequence number of the entry that `ends` begins with.
    fn first(&self) -> u64 {
        self.next - self.ends.len() as u64
    }
}

impl Drop for Outlet {
    /// Also when the whole engine is dropped: who reads would wait for ever.
    fn drop(&mut self) {
        self.producer.close();
    }
}

fn write(mut grant: Grant<'_>, entry: &RingEntry) -> u64 {
    grant[..8].copy_from_slice(&entry.sequence.to_le_bytes());
    grant[8..PREFIX_LEN].copy_from_slice(&entry.slot.to_le_bytes());
    grant[PREFIX_LEN..].copy_from_slice(&entry.data);
    grant.commit()
}
