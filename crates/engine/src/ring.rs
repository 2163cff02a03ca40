//! Ring buffers: bounded queues of byte entries between programs, and between programs and the host.

use crate::{Address, Error, hash::Delta, outlet::Outlet};
use async_bpf_ring::one_to_one::Producer;
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
    /// The sequence number up to which the host has read, as far as we know; engine and hash learn of it at the next slot.
    host_cursor: u64,
    /// Where the host reads, if not by calls.
    outlet: Option<Outlet>,
    /// A chain over every entry ever pushed, so that the state hash need not visit them again.
    content: [u8; 32],
}

impl Ring {
    fn first_sequence(&self) -> u64 {
        self.header.next_sequence - self.entries.len() as u64
    }

    /// Entries that nobody has taken yet.
    pub fn unread(&self) -> impl ExactSizeIterator<Item = &Arc<RingEntry>> {
        let cursor = self.outlet.as_ref().map_or(self.host_cursor, |outlet| outlet.cursor().unwrap_or(self.host_cursor));
        let read = cursor.saturating_sub(self.first_sequence());
        self.entries.iter().skip(read as usize)
    }

    fn push(&mut self, entry: Arc<RingEntry>) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.content);
        borsh::to_writer(&mut hasher, &*entry).expect("hashing cannot fail");
        self.content = hasher.finalize().into();
        self.entries.push_back(entry);
    }

    /// Puts into the outlet what it has room for.
    fn fill_outlet(&mut self) {
        let first = self.first_sequence();
        if let Some(outlet) = &mut self.outlet
            && !outlet.fill(first, &self.entries)
        {
            self.remove_outlet();
        }
    }

    /// Takes over from the outlet, if there is one, how far the host has read.
    fn sample_outlet(&mut self) {
        if let Some(outlet) = &mut self.outlet {
            match outlet.sample() {
                Some(cursor) => self.host_cursor = cursor,
                None => self.remove_outlet(),
            }
        }
    }

    /// From now on the host reads by calls, from where it has read to as far as the outlet can still say.
    fn remove_outlet(&mut self) {
        if let Some(outlet) = self.outlet.take() {
            self.host_cursor = outlet.close().unwrap_or(self.host_cursor);
        }
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
    /// Those of which the host may have read something since they were last sampled.
    host_read: BTreeSet<u64>,
    /// Those that have had an outlet.
    with_outlet: BTreeSet<u64>,
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
            if let Some(mut ring) = self.rings.remove(&id) {
                ring.remove_outlet();
                *self.by_program.get_mut(&owner).expect("a ring was counted") -= 1;
                self.dirty.push(id);
            }
            return;
        }
        let ring = self.rings.entry(id).or_insert_with(|| {
            *self.by_program.entry(owner).or_default() += 1;
            Ring { header: draft.header.clone(), entries: VecDeque::new(), host_cursor: 0, outlet: None, content: [0; 32] }
        });
        ring.header = draft.header;
        ring.entries.drain(..draft.popped);
        draft.pushed.into_iter().for_each(|entry| ring.push(entry));
        ring.fill_outlet();
        self.dirty.push(id);
    }

    /// Lets the host read through `producer` from now on, beginning with what it has not read yet.
    pub fn set_outlet(&mut self, id: u64, producer: Producer) -> Result<(), Error> {
        let ring = self.host_ring(id)?;
        ring.remove_outlet();
        ring.outlet = Some(Outlet::new(producer, ring.host_cursor));
        ring.fill_outlet();
        self.with_outlet.insert(id);
        Ok(())
    }

    /// Lets the host read by calls again.
    pub fn remove_outlet(&mut self, id: u64) -> Result<(), Error> {
        self.host_ring(id)?.remove_outlet();
        // What it has read through the outlet is sampled like what it reads by calls.
        self.host_read.insert(id);
        Ok(())
    }

    /// A ring that the host reads.
    fn host_ring(&mut self, id: u64) -> Result<&mut Ring, Error> {
        match self.rings.get_mut(&id) {
            Some(ring) if ring.header.reader == RingReader::Host => Ok(ring),
            Some(_) => Err(Error::invalid("id", id, "a ring buffer that the host reads (created with reader 'host')")),
            None => Err(Error::InvalidBuffer { id }),
        }
    }

    /// A ring that the host reads by calls.
    fn called_ring(&mut self, id: u64) -> Result<&mut Ring, Error> {
        let ring = self.host_ring(id)?;
        if ring.outlet.is_some() {
            return Err(Error::invalid("id", id, "a ring buffer without an outlet; read this one through its outlet, or remove that first"));
        }
        Ok(ring)
    }

    /// The first entry that the host has not read yet.
    pub fn host_peek(&mut self, id: u64) -> Result<Option<Arc<RingEntry>>, Error> {
        Ok(self.called_ring(id)?.unread().next().cloned())
    }

    /// Takes what the host has not read yet, at most `max` entries.
    pub fn host_read(&mut self, id: u64, max: usize) -> Result<Vec<Arc<RingEntry>>, Error> {
        let ring = self.called_ring(id)?;
        let read: Vec<_> = ring.unread().take(max).cloned().collect();
        if let Some(last) = read.last() {
            ring.host_cursor = last.sequence + 1;
            self.host_read.insert(id);
        }
        Ok(read)
    }

    /// Frees what the host has read of the buffers that it reads.
    pub fn sample_host_cursors(&mut self) {
        if self.host_read.is_empty() && self.with_outlet.is_empty() {
            return;
        }
        let mut ids = std::mem::take(&mut self.host_read);
        self.with_outlet.retain(|id| self.rings.get(id).is_some_and(|ring| ring.outlet.is_some()));
        ids.extend(&self.with_outlet);
        for id in ids {
            // It may have been destroyed meanwhile.
            let Some(ring) = self.rings.get_mut(&id) else { continue };
            ring.sample_outlet();
            let before = ring.first_sequence();
            while ring.first_sequence() < ring.host_cursor {
                let entry = ring.entries.pop_front().expect("the host reads only what is there");
                ring.header.used -= entry_cost(entry.data.len() as u64);
            }
            ring.fill_outlet();
            // Only what the host has read is part of the history, not how it reads.
            if ring.first_sequence() != before {
                self.dirty.push(id);
            }
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
