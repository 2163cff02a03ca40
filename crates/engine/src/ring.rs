//! Ring buffers: bounded queues of byte entries between programs, and between programs and the host.

use crate::{Address, Error, hash::Delta};
use borsh::{BorshDeserialize, BorshSerialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

/// Bytes that each entry costs besides its data: sequence u64, slot u64, length u32, flags u32.
pub const ENTRY_HEADER_LEN: u64 = 24;

/// Programs that one ring buffer can be shared with: its header is copied and hashed as a whole.
pub(crate) const MAX_GRANTS: usize = 64;

/// What an entry with `len` bytes of data takes of a ring buffer's capacity.
pub fn entry_cost(len: u64) -> u64 {
    ENTRY_HEADER_LEN + len.next_multiple_of(8)
}

/// What a ring buffer allows at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum RingState {
    /// Push and pop.
    Active = 0,
    /// Neither.
    Paused = 1,
    /// Neither, and meant to stay so.
    Closed = 2,
    /// Pop only.
    Draining = 3,
}

impl RingState {
    /// The symbol used in C and TypeScript.
    pub fn name(self) -> &'static str {
        match self {
            RingState::Active => "ACTIVE",
            RingState::Paused => "PAUSED",
            RingState::Closed => "CLOSED",
            RingState::Draining => "DRAINING",
        }
    }
}

/// Which side takes entries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum RingReader {
    /// Programs, in the order of their tasks. The host may also pop, between slots.
    Program = 0,
    /// The host, whenever it likes; what it frees counts from the next slot.
    Host = 1,
}

/// What another program may do with a ring buffer: a set of these.
pub mod rights {
    /// Pop and peek.
    pub const READ: u64 = 1;
    /// Push.
    pub const WRITE: u64 = 2;
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize)]
pub struct RingEntry {
    /// Its place in the sequence, from 0, without gaps.
    pub sequence: u64,
    /// The slot in which it was pushed.
    pub slot: u64,
    /// What was pushed.
    pub data: Arc<[u8]>,
}

/// Everything about a ring buffer but its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingHeader {
    /// Its id.
    pub id: u64,
    /// The program that created it, or for which the host did.
    pub owner: Address,
    /// Bytes.
    pub capacity: u64,
    /// Bytes taken by entries that are not freed yet.
    pub used: u64,
    /// What it allows at the moment.
    pub state: RingState,
    /// Which side takes entries out.
    pub reader: RingReader,
    /// The sequence number of the next entry.
    pub next_sequence: u64,
    /// What others may do.
    pub(crate) grants: BTreeMap<Address, u64>,
}

impl RingHeader {
    pub(crate) fn cost_check(&self, len: u64) -> Result<u64, Error> {
        let (cost, free) = (entry_cost(len), self.capacity - self.used);
        if cost <= free { Ok(cost) } else { Err(Error::BufferFull { id: self.id, needed: cost, free, capacity: self.capacity }) }
    }
}

pub(crate) struct Ring {
    pub header: RingHeader,
    pub entries: VecDeque<Arc<RingEntry>>,
    /// The sequence number up to which the host has read; engine and hash learn of it at the next slot.
    host_cursor: u64,
    /// A chain over every entry ever pushed, so that the state hash need not visit them again.
    content: [u8; 32],
}

impl Ring {
    fn first_sequence(&self) -> u64 {
        self.header.next_sequence - self.entries.len() as u64
    }

    /// Entries that nobody has taken yet.
    pub fn unread(&self) -> impl ExactSizeIterator<Item = &Arc<RingEntry>> {
        let read = self.host_cursor.saturating_sub(self.first_sequence());
        self.entries.iter().skip(read as usize)
    }

    fn push(&mut self, entry: Arc<RingEntry>) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.content);
        borsh::to_writer(&mut hasher, &*entry).expect("hashing cannot fail");
        self.content = hasher.finalize().into();
        self.entries.push_back(entry);
    }
}

/// A ring buffer as one invocation would leave it.
pub(crate) struct RingDraft {
    pub header: RingHeader,
    /// Entries to take from the front of those that were there.
    pub popped: usize,
    /// Entries to append; those popped again are gone.
    pub pushed: VecDeque<Arc<RingEntry>>,
    pub destroyed: bool,
}

impl RingDraft {
    pub fn of(header: RingHeader) -> Self {
        RingDraft { header, popped: 0, pushed: VecDeque::new(), destroyed: false }
    }

    pub fn front<'a>(&'a self, base: Option<&'a Ring>) -> Option<&'a Arc<RingEntry>> {
        base.and_then(|ring| ring.entries.get(self.popped)).or_else(|| self.pushed.front())
    }

    pub fn pop(&mut self, base: Option<&Ring>) {
        let len = self.front(base).map_or(0, |entry| entry_cost(entry.data.len() as u64));
        self.header.used -= len;
        if base.is_some_and(|ring| self.popped < ring.entries.len()) {
            self.popped += 1;
        } else {
            self.pushed.pop_front();
        }
    }
}

#[derive(Default)]
pub(crate) struct Rings {
    rings: BTreeMap<u64, Ring>,
    by_program: HashMap<Address, u64>,
    /// Those of which the host has read something since they were last sampled.
    host_read: BTreeSet<u64>,
    dirty: Vec<u64>,
}

impl Rings {
    pub fn get(&self, id: u64) -> Option<&Ring> {
        self.rings.get(&id)
    }

    pub fn len(&self) -> u64 {
        self.rings.len() as u64
    }

    pub fn count(&self, program: &Address) -> u64 {
        self.by_program.get(program).copied().unwrap_or(0)
    }

    pub fn apply(&mut self, draft: RingDraft) {
        let (id, owner) = (draft.header.id, draft.header.owner);
        if draft.destroyed {
            if self.rings.remove(&id).is_some() {
                *self.by_program.get_mut(&owner).expect("a ring was counted") -= 1;
                self.dirty.push(id);
            }
            return;
        }
        let ring = self.rings.entry(id).or_insert_with(|| {
            *self.by_program.entry(owner).or_default() += 1;
            Ring { header: draft.header.clone(), entries: VecDeque::new(), host_cursor: 0, content: [0; 32] }
        });
        ring.header = draft.header;
        ring.entries.drain(..draft.popped);
        draft.pushed.into_iter().for_each(|entry| ring.push(entry));
        self.dirty.push(id);
    }

    /// Takes what the host has not read yet, at most `max` entries.
    pub fn host_read(&mut self, id: u64, max: usize) -> Vec<Arc<RingEntry>> {
        let Some(ring) = self.rings.get_mut(&id) else { return Vec::new() };
        let read: Vec<_> = ring.unread().take(max).cloned().collect();
        if let Some(last) = read.last() {
            ring.host_cursor = last.sequence + 1;
            self.host_read.insert(id);
        }
        read
    }

    /// Frees what the host has read of the buffers that it reads.
    pub fn sample_host_cursors(&mut self) {
        for id in std::mem::take(&mut self.host_read) {
            // It may have been destroyed meanwhile.
            let Some(ring) = self.rings.get_mut(&id) else { continue };
            while ring.first_sequence() < ring.host_cursor {
                let entry = ring.entries.pop_front().expect("the host reads only what is there");
                ring.header.used -= entry_cost(entry.data.len() as u64);
            }
            self.dirty.push(id);
        }
    }

    pub fn delta(&self, delta: &mut Delta) {
        delta.changed("ring", &self.dirty, |id| {
            self.rings.get(id).map(|ring| {
                let header = &ring.header;
                let fixed = (header.owner, header.capacity, header.reader);
                (fixed, header.state, header.used, header.next_sequence, ring.first_sequence(), ring.content, &header.grants)
            })
        });
    }

    pub fn sealed(&mut self) {
        self.dirty.clear();
    }
}
