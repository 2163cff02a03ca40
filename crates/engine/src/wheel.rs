//! A timer wheel: ids by the slot in which they are due.
//!
//! It is scheme 4 of Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (SOSP 1987): one place for every slot up to the horizon,
//! so that a timer is put where it stays until it is due. There are no rounds, and nothing cascades from coarse wheels to fine ones.
//!
//! ```text
//! slot & mask ──► page ──► occupied: one bit a slot        finds the next slot in which something is due
//!                          heads:    the newest cell of a slot
//!                                          │
//!                                          ▼
//!                  chunks: [id id id id] ◄──► [id id id id]
//! ```
//!
//! A page is 65,536 slots. It exists while something in it is pending and is then kept for the next one that is needed, so a far horizon
//! costs nothing until it is used. A timer costs its share of a chunk, 13 to 52 bytes: the more timers a slot has, the fewer.
//!
//! What takes time is waiting for memory, so operations do not wait for one another: inserting reads nothing but the bit and the head of
//! its slot, and timers that are due are read in batches.

use std::hint::black_box;

/// The largest horizon, 2^30 - 1 slots.
pub const MAX_HORIZON: u64 = (1 << 30) - 1;

const PAGE_SLOTS: usize = 1 << 16;

/// Empty pages that are kept: as many as a million slots have, so that a wheel of that size allocates nothing once it is warm.
const SPARE_PAGES: usize = 16;
const WORD_BITS: usize = 64;

/// Ids of one chunk, which has 48 bytes with four. With more, most of the memory would be empty if slots have a timer or two.
const CELLS: u32 = 4;

/// The index of no chunk.
const NONE: u32 = u32::MAX;

/// Where a timer is.
///
/// When the timer has gone, another one may get its place. The id tells them apart: it does what a generation does elsewhere, takes no memory,
/// and does not wrap. So ids must be unique; a timer that is inserted again, with the id that it had, is the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(
    /// The number of a cell: the index of its chunk times `CELLS`, plus the place in the chunk.
    u32,
);

/// A slot that is not one to `horizon` slots ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("slot must be from {min} to {max}, not {slot}")]
pub struct OutOfRange {
    /// What was asked for.
    pub slot: u64,
    /// The first slot that is allowed, at least if it exists.
    pub min: u64,
    /// The last one.
    pub max: u64,
}

/// Bytes that a wheel holds, by what they grow with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// For slots: 4.125 bytes for each one of the pages that were in use at the same time, and a list of the pages.
    pub slots: usize,
    /// For the timers that were pending at the same time.
    pub timers: usize,
}

/// Ids by slot; see the [module](self).
pub struct Wheel {
    current: u64,
    horizon: u64,
    /// A slot's position is `slot & mask`. All pending slots are at most `mask` apart, so no two of them share one.
    mask: u64,
    len: usize,
    /// By position, as far as ever used.
    pages: Vec<Option<Page>>,
    /// Pages in which nothing is pending.
    spare_pages: Vec<Page>,
    chunks: Chunks,
}

struct Page {
    /// How many slots are occupied.
    count: u32,
    /// A bit for each slot: whether something is pending.
    occupied: Box<[u64; PAGE_SLOTS / WORD_BITS]>,
    /// The cell that was filled last, of each occupied slot; the others have whatever they had before.
    heads: Box<[u32; PAGE_SLOTS]>,
}

struct Chunks {
    all: Vec<Chunk>,
    /// Those in which nothing is pending. A list through the chunks themselves would cost a cache miss for each that is taken.
    spare: Vec<u32>,
}

/// Some timers of one slot. Its cells are filled in order, each once; a newer chunk follows when they are full. When none is live, it is spare.
struct Chunk {
    ids: [u64; CELLS as usize],
    position: u32,
    older: u32,
    /// [`NONE`] in the newest chunk, which is the one that the head names.
    newer: u32,
    /// Whether the timer in the cell is pending. Bytes and not bits, since a bit cannot be set without reading the others.
    live: [bool; CELLS as usize],
}

impl Wheel {
    /// An empty wheel for slots up to `horizon` ahead, at most [`MAX_HORIZON`]: a larger one is lowered to that.
    pub fn new(current: u64, horizon: u64) -> Self {
        let horizon = horizon.min(MAX_HORIZON);
        let positions = (horizon + 1).next_power_of_two().max(PAGE_SLOTS as u64);
        let chunks = Chunks { all: Vec::new(), spare: Vec::new() };
        Wheel { current, horizon, mask: positions - 1, len: 0, pages: Vec::new(), spare_pages: Vec::new(), chunks }
    }

    /// The slot up to which everything has been taken out.
    pub fn current(&self) -> u64 {
        self.current
    }

    /// Pending timers.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What it holds.
    pub fn memory(&self) -> Memory {
        let pages = self.pages.iter().flatten().count() + self.spare_pages.len();
        let lists = (self.pages.capacity() + self.spare_pages.capacity()) * size_of::<Page>();
        let Chunks { all, spare } = &self.chunks;
        Memory { slots: pages * Page::BYTES + lists, timers: all.capacity() * size_of::<Chunk>() + spare.capacity() * size_of::<u32>() }
    }

    /// Adds a timer, whose id no other one may have. Ids of one slot need not ascend, but expire faster if they do.
    ///
    /// # Panics
    ///
    /// If that takes more than 2^30 chunks, which are 48 GiB.
    pub fn insert(&mut self, slot: u64, id: u64) -> Result<Handle, OutOfRange> {
        if slot <= self.current || slot - self.current > self.horizon {
            let (min, max) = (self.current.saturating_add(1), self.current.saturating_add(self.horizon));
            return Err(OutOfRange { slot, min, max });
        }
        let position = (slot & self.mask) as u32;
        let (number, at) = page_of(position);
        if number >= self.pages.len() {
            self.pages.resize_with(number + 1, || None);
        }
        let page = self.pages[number].get_or_insert_with(|| self.spare_pages.pop().unwrap_or_else(Page::new));
        let cell = if !page.is_occupied(at) {
            page.occupy(at);
            self.chunks.take(position, NONE)
        } else if page.heads[at] % CELLS == CELLS - 1 {
            self.chunks.take(position, page.heads[at] / CELLS)
        } else {
            page.heads[at] + 1
        };
        page.heads[at] = cell;
        let chunk = &mut self.chunks.all[(cell / CELLS) as usize];
        chunk.ids[(cell % CELLS) as usize] = id;
        chunk.live[(cell % CELLS) as usize] = true;
        self.len += 1;
        Ok(Handle(cell))
    }

    /// Takes out the timer for which [`Wheel::insert`] gave the handle, and returns its slot; `None` if it is not pending any more.
    pub fn cancel(&mut self, handle: Handle, id: u64) -> Option<u64> {
        let (index, cell) = (handle.0 / CELLS, (handle.0 % CELLS) as usize);
        let chunk = self.chunks.all.get_mut(index as usize)?;
        if chunk.ids[cell] != id || !chunk.live[cell] {
            return None;
        }
        chunk.live[cell] = false;
        self.len -= 1;
        let position = u64::from(chunk.position);
        if chunk.live == [false; CELLS as usize] {
            self.unlink(index);
        }
        Some(self.current + (position.wrapping_sub(self.current) & self.mask))
    }

    /// Moves on to `slot` and appends the timers up to it, as (slot, id), in ascending order. An earlier slot changes nothing.
    pub fn advance(&mut self, slot: u64, due: &mut Vec<(u64, u64)>) {
        // Farther than the horizon there is nothing, and positions would repeat.
        let last = slot.min(self.current.saturating_add(self.horizon));
        let before = due.len();
        while let Some(first) = self.next_occupied(last) {
            let end = last.min(first | (WORD_BITS as u64 - 1));
            self.drain(first, end, due);
            self.current = end;
        }
        self.len -= due.len() - before;
        self.current = self.current.max(slot);
    }

    /// The first slot in which something is pending.
    pub fn next_due(&self) -> Option<u64> {
        self.next_occupied(self.current.saturating_add(self.horizon))
    }

    /// The first slot after the current one, and up to `last`, in which something is pending.
    fn next_occupied(&self, last: u64) -> Option<u64> {
        let mut before = self.current;
        while before < last {
            let from = before + 1;
            let to = last.min(from | (PAGE_SLOTS as u64 - 1));
            let (number, at) = page_of((from & self.mask) as u32);
            let page = self.pages.get(number).and_then(Option::as_ref);
            if let Some(found) = page.and_then(|page| page.first_occupied(at, at + (to - from) as usize)) {
                return Some(from + (found - at) as u64);
            }
            before = to;
        }
        None
    }

    /// Appends the timers of the slots `first..=last`, which have one word of a page, and of which `first` is occupied.
    fn drain(&mut self, first: u64, last: u64, due: &mut Vec<(u64, u64)>) {
        let (number, at) = page_of((first & self.mask) as u32);
        let page = self.pages[number].as_mut().expect("a page has the slot that is occupied");
        let word = at / WORD_BITS;
        let bits = page.occupied[word] & u64::MAX << (at % WORD_BITS) & u64::MAX >> (WORD_BITS as u64 - 1 - last % WORD_BITS as u64);
        page.occupied[word] &= !bits;
        page.count -= bits.count_ones();
        let newest = |page: &Page, bit| page.heads[word * WORD_BITS + bit as usize] / CELLS;
        // All newest chunks are read, and then the ones behind them, so that they come from memory at the same time and not one after the other.
        // The compiler would leave that out if what was read had no use. Both ends are read, as a chunk may lie across two cache lines.
        let chunks = &self.chunks.all;
        let read = |index: u32| chunks.get(index as usize).map_or(0, |chunk| chunk.ids[0] | u64::from(chunk.live[0]));
        black_box(ones(bits).fold(0, |any, bit| any | read(newest(page, bit))));
        black_box(ones(bits).fold(0, |any, bit| any | read(chunks[newest(page, bit) as usize].older)));
        for bit in ones(bits) {
            let slot = first - first % WORD_BITS as u64 + u64::from(bit);
            self.chunks.drain(newest(page, bit), slot, due);
        }
        if page.count == 0 {
            self.put_back(number);
        }
    }

    /// Keeps an empty page for the next one that is needed, unless there are enough.
    fn put_back(&mut self, number: usize) {
        let page = self.pages[number].take();
        if self.spare_pages.len() < SPARE_PAGES {
            self.spare_pages.extend(page);
        }
    }

    /// Takes a chunk in which nothing is pending any more out of its slot.
    fn unlink(&mut self, index: u32) {
        let Chunk { older, newer, position, .. } = self.chunks.all[index as usize];
        if let Some(chunk) = self.chunks.all.get_mut(older as usize) {
            chunk.newer = newer;
        }
        if let Some(chunk) = self.chunks.all.get_mut(newer as usize) {
            chunk.older = older;
        } else {
            let (number, at) = page_of(position);
            let page = self.pages[number].as_mut().expect("a chunk's slot is occupied");
            if older != NONE {
                page.heads[at] = older * CELLS + CELLS - 1;
            } else if page.vacate(at) {
                self.put_back(number);
            }
        }
        self.chunks.give_back(index);
    }
}

/// The places of the bits that are set, in ascending order.
fn ones(mut bits: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let lowest = bits.trailing_zeros();
        bits &= bits.checked_sub(1)?;
        Some(lowest)
    })
}

/// The number of a position's page, and the place in it.
fn page_of(position: u32) -> (usize, usize) {
    (position as usize / PAGE_SLOTS, position as usize % PAGE_SLOTS)
}

impl Page {
    /// What it has on the heap.
    const BYTES: usize = PAGE_SLOTS / 8 + PAGE_SLOTS * size_of::<u32>();

    fn new() -> Page {
        let occupied = vec![0; PAGE_SLOTS / WORD_BITS].try_into().expect("the length is right");
        let heads = vec![0; PAGE_SLOTS].try_into().expect("the length is right");
        Page { count: 0, occupied, heads }
    }

    fn is_occupied(&self, at: usize) -> bool {
        self.occupied[at / WORD_BITS] >> (at % WORD_BITS) & 1 == 1
    }

    fn occupy(&mut self, at: usize) {
        self.count += 1;
        self.occupied[at / WORD_BITS] |= 1 << (at % WORD_BITS);
    }

    /// Makes an occupied slot empty. Returns whether that was the last one.
    fn vacate(&mut self, at: usize) -> bool {
        self.occupied[at / WORD_BITS] &= !(1 << (at % WORD_BITS));
        self.count -= 1;
        self.count == 0
    }

    /// The first occupied slot of `from..=to`.
    fn first_occupied(&self, from: usize, to: usize) -> Option<usize> {
        let mut word = from / WORD_BITS;
        let mut bits = self.occupied[word] & u64::MAX << (from % WORD_BITS);
        while bits == 0 {
            if word == to / WORD_BITS {
                return None;
            }
            word += 1;
            bits = self.occupied[word];
        }
        let found = word * WORD_BITS + bits.trailing_zeros() as usize;
        (found <= to).then_some(found)
    }
}

impl Chunks {
    /// Puts a chunk without timers in front of `older`, and returns its first cell.
    fn take(&mut self, position: u32, older: u32) -> u32 {
        let chunk = Chunk { ids: [0; CELLS as usize], position, older, newer: NONE, live: [false; CELLS as usize] };
        let index = match self.spare.pop() {
            Some(index) => {
                self.all[index as usize] = chunk;
                index
            }
            None => self.add(chunk),
        };
        if let Some(older) = self.all.get_mut(older as usize) {
            older.newer = index;
        }
        index * CELLS
    }

    fn add(&mut self, chunk: Chunk) -> u32 {
        let index = self.all.len();
        assert!(index < 1 << 30, "a timer wheel has 2^30 chunks at most");
        // Doubling would leave up to half of the memory unused. Nothing is spare now, but everything may be later.
        if index == self.all.capacity() {
            self.all.reserve_exact(index / 8 + 64);
            self.spare.reserve_exact(self.all.capacity());
        }
        self.all.push(chunk);
        index as u32
    }

    /// Appends the timers of a slot, whose chunks become spare.
    fn drain(&mut self, newest: u32, slot: u64, due: &mut Vec<(u64, u64)>) {
        let first = due.len();
        let mut index = newest;
        while index != NONE {
            let chunk = &self.all[index as usize];
            // Backwards, as the chunks are.
            for cell in (0..CELLS as usize).rev().filter(|cell| chunk.live[*cell]) {
                due.push((slot, chunk.ids[cell]));
            }
            let older = chunk.older;
            self.give_back(index);
            index = older;
        }
        let fired = &mut due[first..];
        fired.reverse();
        if !fired.is_sorted() {
            fired.sort_unstable();
        }
    }

    /// Makes a chunk spare.
    fn give_back(&mut self, index: u32) {
        self.all[index as usize].live = [false; CELLS as usize];
        self.spare.push(index);
    }
}
