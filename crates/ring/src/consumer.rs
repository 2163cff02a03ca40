//! The side that reads, which is the same for both modes but for how it knows what is there.

use crate::{
    Corrupt, PopError,
    layout::{CLOSED, COMMITTED, SKIPPED, parse_header, record_words},
    memory::View,
    mode::Mode,
    ring::{Ring, corrupt, stored},
    sync::{Acquire, Release, spin_loop},
};
use std::{fmt, marker::PhantomData, thread::ThreadId};

/// A record in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Where it ends: what the push returned. Grows from record to record.
    pub position: u64,
    /// What its producer said it is.
    pub kind: u32,
    /// What was pushed.
    pub bytes: &'a [u8],
}

/// What [`Consumer::pop`] says about the record that it has copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Popped {
    /// As in [`Record`].
    pub position: u64,
    /// As in [`Record`].
    pub kind: u32,
    /// Bytes at the beginning of the buffer.
    pub len: usize,
}

/// The one that reads a ring.
pub struct Consumer<M> {
    pub(crate) ring: Ring,
    /// Up to where we have read and released. Ours; memory has a copy for the producers.
    pub(crate) head: u64,
    /// Up to where there is something, as far as we know. Of use in one-to-one mode.
    known: u64,
    /// The thread that the waker wakes, if it is one of ours.
    pub(crate) parks: Option<ThreadId>,
    mode: PhantomData<M>,
}

impl<M: Mode> Consumer<M> {
    pub(crate) fn new(ring: Ring, head: u64) -> Self {
        Consumer { ring, head, known: head, parks: None, mode: PhantomData }
    }

    /// Hands up to `limit` records to `each`, oldest first, and returns how many there were.
    ///
    /// Their space is given back at the end, at once: every time it is, cache lines that producers are about to write change sides. Whoever
    /// takes long over a record sets a `limit` that producers can wait for. When `each` panics, the record that it panicked on is gone.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when memory holds no record where one must begin; records before that were handed out.
    #[inline]
    pub fn drain(&mut self, limit: usize, mut each: impl FnMut(Record<'_>)) -> Result<usize, Corrupt> {
        let mut batch = Batch::new(self);
        for count in 0..limit {
            let Some(found) = batch.next()? else { return Ok(count) };
            batch.look_at(found, &mut each);
        }
        Ok(limit)
    }

    /// Copies the oldest record to the beginning of `buffer` and removes it.
    ///
    /// # Errors
    ///
    /// [`PopError::BufferTooSmall`], which leaves the record where it is, and [`PopError::Corrupt`].
    pub fn pop(&mut self, buffer: &mut [u8]) -> Result<Option<Popped>, PopError> {
        let mut batch = Batch::new(self);
        let Some(found) = batch.next()? else { return Ok(None) };
        let (len, max) = (found.len as usize, buffer.len());
        if len > max {
            batch.at = found.start;
            return Err(PopError::BufferTooSmall { len, max });
        }
        batch.look_at(found, |record| buffer[..len].copy_from_slice(record.bytes));
        Ok(Some(Popped { position: found.end(), kind: found.kind, len }))
    }

    /// The oldest record, which stays.
    ///
    /// # Errors
    ///
    /// [`Corrupt`], as [`Consumer::drain`].
    #[cfg(not(loom))]
    pub fn peek(&mut self) -> Result<Option<Record<'_>>, Corrupt> {
        let mut batch = Batch::new(self);
        let Some(found) = batch.next()? else { return Ok(None) };
        batch.at = found.start;
        drop(batch);
        // SAFETY: the record is committed and not released, and `self` stays borrowed.
        let bytes = unsafe { self.ring.read(found.start, found.len) };
        Ok(Some(Record { position: found.end(), kind: found.kind, bytes }))
    }

    /// Whether nothing can be read now.
    pub fn is_empty(&self) -> bool {
        !M::has_more(&self.ring, self.head)
    }

    /// Whether the ring was closed and everything was read. Final, unless the ring is reopened.
    pub fn is_finished(&self) -> bool {
        self.ring.tail() == stored(self.head) << 1 | CLOSED
    }

    /// Bytes that records take, with headers, pads, and what is being written. At most [`Consumer::capacity`].
    pub fn used(&self) -> u32 {
        self.ring.used()
    }

    /// Bytes.
    pub fn capacity(&self) -> u32 {
        self.ring.capacity()
    }

    /// Waits for a moment, or until an eighth of the ring is full, to be called when nothing could be read.
    ///
    /// A consumer that looks again at once takes away the cache line that a producer is about to write, for every record anew; one that
    /// lets some records come in reads them at the price of one.
    pub fn back_off(&self) {
        for _ in 0..8 {
            if self.used() >= self.capacity() / 8 {
                return;
            }
            (0..8).for_each(|_| spin_loop());
        }
    }

    /// Gives back what was read up to `at`.
    fn release(&mut self, at: u64) {
        if at == self.head {
            return;
        }
        if !M::PUBLISHED_BY_TAIL {
            // SAFETY: these words are records that we have read: ours until the head is stored.
            unsafe { self.ring.free(self.head, at - self.head) };
        }
        self.head = at;
        self.ring.head().store(stored(at), Release); // ORD(drain:B) pairs with ORD(push:A)
    }
}

/// A record whose header was read and checked.
#[derive(Clone, Copy)]
struct Found {
    start: u64,
    len: u32,
    kind: u32,
}

impl Found {
    #[inline]
    fn end(self) -> u64 {
        self.start + record_words(self.len)
    }
}

/// Reads ahead of the head, and brings the head up when it is dropped.
///
/// What is needed for each record is copied out of the consumer, so that it can stay in registers.
struct Batch<'a, M: Mode> {
    consumer: &'a mut Consumer<M>,
    view: View,
    /// Up to where it has read.
    at: u64,
    /// Up to where there may be records.
    end: u64,
}

impl<'a, M: Mode> Batch<'a, M> {
    #[inline]
    fn new(consumer: &'a mut Consumer<M>) -> Self {
        let (view, at) = (consumer.ring.view(), consumer.head);
        let end = if M::PUBLISHED_BY_TAIL { consumer.known } else { at + view.words() };
        Batch { consumer, view, at, end }
    }

    /// The next record, past all that is skipped.
    #[inline]
    fn next(&mut self) -> Result<Option<Found>, Corrupt> {
        loop {
            let start = self.at;
            if start == self.end {
                self.end = M::look_ahead(&self.consumer.ring, self.consumer.head, start)?;
                if start == self.end {
                    return Ok(None);
                }
            }
            let header = self.view.header(start).load(Acquire); // ORD(drain:A) pairs with ORD(push:B)
            let (state, len, kind) = parse_header(header);
            if state < COMMITTED {
                return if M::PUBLISHED_BY_TAIL { corrupt(start, "the record is not committed") } else { Ok(None) };
            }
            let words = record_words(len);
            if words > self.end - start || words > self.view.words_to_end(start) {
                return corrupt(start, "the record is longer than what is there");
            }
            self.at = start + words;
            if state != SKIPPED {
                return Ok(Some(Found { start, len, kind }));
            }
        }
    }

    #[inline]
    fn look_at(&self, found: Found, each: impl FnOnce(Record<'_>)) {
        let (position, kind) = (found.end(), found.kind);
        // SAFETY: `next` has checked the bounds. The record is committed, so its producer is done with it, and not released, so that no other
        // begins to write there.
        let bytes = unsafe { self.view.read(found.start, found.len) };
        // A model has a copy of them.
        #[allow(clippy::needless_borrow)]
        each(Record { position, kind, bytes: &bytes });
    }
}

impl<M: Mode> Drop for Batch<'_, M> {
    #[inline]
    fn drop(&mut self) {
        self.consumer.known = self.end;
        self.consumer.release(self.at);
    }
}

impl<M: Mode> fmt::Debug for Consumer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("head", &self.head).field("ring", &self.ring).finish()
    }
}
