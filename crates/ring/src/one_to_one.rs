//! One producer: nothing is contended, so it publishes records by storing the tail, once for as many as it likes.
//!
//! Each side keeps the other's position as it last saw it, and looks again only when that is not enough. Nothing is zeroed: the consumer
//! never looks past the tail. The producer may be JavaScript, and so may the consumer.

use crate::{
    Consumer, Corrupt, Memory, MemoryError, Notify, PushError,
    layout::{CLOSED, COMMITTED, ONE_TO_ONE, TAIL_OFFSET, header, max_record_len, pad_header, record_words},
    memory::BytesMut,
    mode::{OneToOne, Steps},
    ring::{Ring, corrupt, distance, stored},
    sync::{Acquire, Relaxed, Release},
};
use std::{
    ops::{Deref, DerefMut},
    task::Waker,
};

/// A ring in memory of its own.
///
/// # Errors
///
/// [`MemoryError::Capacity`].
pub fn heap(capacity: u32) -> Result<(Producer, Consumer<OneToOne>), MemoryError> {
    create(Memory::heap(capacity)?, capacity)
}

/// An empty ring of `capacity` bytes, a power of two in [64, 2^30], at the beginning of `memory`.
///
/// # Errors
///
/// [`MemoryError::Capacity`], [`MemoryError::TooSmall`].
pub fn create(memory: Memory, capacity: u32) -> Result<(Producer, Consumer<OneToOne>), MemoryError> {
    sides(Ring::create(memory, capacity, ONE_TO_ONE)?)
}

/// The ring that was created in `memory`, with what is in it. Drop the side that somebody else has.
///
/// Positions are counted from the head, modulo 2^31 words: they only compare with those of a side that was attached at about the same time.
///
/// # Errors
///
/// [`MemoryError::Different`], [`MemoryError::Capacity`], [`MemoryError::TooSmall`], [`MemoryError::Corrupt`].
pub fn attach(memory: Memory) -> Result<(Producer, Consumer<OneToOne>), MemoryError> {
    sides(Ring::attach(memory, ONE_TO_ONE)?)
}

fn sides(ring: Ring) -> Result<(Producer, Consumer<OneToOne>), MemoryError> {
    let head = stored(ring.head().load(Acquire) as u64) as u64;
    Ok((Producer::new(ring.clone(), head)?, Consumer::new(ring, head)))
}

/// The one that writes the ring.
#[derive(Debug)]
pub struct Producer {
    ring: Ring,
    /// Up to where we have published.
    tail: u64,
    /// [`CLOSED`], or 0.
    closed: u32,
    /// The consumer's position as we last saw it.
    head: u64,
    notify: Notify,
}

impl Producer {
    /// `head` is at most as far as the consumer is.
    fn new(ring: Ring, head: u64) -> Result<Self, Corrupt> {
        let tail = ring.tail();
        let used = distance(stored(head), tail >> 1);
        if used > ring.words() {
            corrupt(head, "head and tail are too far apart")?;
        }
        ring.shared().producers.fetch_add(1, Relaxed);
        Ok(Producer { ring, tail: head + used, closed: tail & CLOSED, head, notify: Notify::Auto })
    }

    /// The same with another policy for waking the consumer. [`Notify::Auto`] at first.
    pub fn with_notify(mut self, notify: Notify) -> Self {
        self.notify = notify;
        self
    }

    /// Appends a record, and returns the position where it ends.
    ///
    /// # Errors
    ///
    /// [`PushError`]; nothing was appended.
    #[inline]
    pub fn push(&mut self, kind: u32, bytes: &[u8]) -> Result<u64, PushError> {
        let end = self.write(self.tail, kind, bytes)?;
        self.publish(end);
        Ok(end)
    }

    /// Space for a record of `len` bytes, to be written in place.
    ///
    /// # Errors
    ///
    /// As [`Producer::push`].
    pub fn reserve(&mut self, kind: u32, len: usize) -> Result<Grant<'_>, PushError> {
        let len = self.check_len(len)?;
        let start = self.find_space(self.tail, len)?;
        let Producer { ring, tail, notify, .. } = self;
        // SAFETY: it is free, does not wrap around, and nobody else touches it before it is published.
        let bytes = unsafe { ring.read_mut(start, len) };
        Ok(Grant { ring, tail, notify: *notify, start, len, kind, bytes })
    }

    /// Appends records until one does not fit, publishes them at once, and returns how many there were.
    ///
    /// # Errors
    ///
    /// Why the first record was not appended, if it was not.
    #[inline]
    pub fn push_batch<'b>(&mut self, records: impl IntoIterator<Item = (u32, &'b [u8])>) -> Result<usize, PushError> {
        let mut batch = Batch { at: self.tail, producer: self };
        let mut pushed = 0;
        for (kind, bytes) in records {
            match batch.producer.write(batch.at, kind, bytes) {
                Ok(end) => batch.at = end,
                Err(reason) => return if pushed == 0 { Err(reason) } else { Ok(pushed) },
            }
            pushed += 1;
        }
        Ok(pushed)
    }

    /// Wakes the consumer if it sleeps: what [`Notify::Never`] leaves to the caller.
    pub fn notify(&self) {
        self.ring.notify(Notify::Auto);
    }

    /// Whether the consumer sleeps, or is about to.
    pub fn consumer_waits(&self) -> bool {
        self.ring.consumer_waits()
    }

    /// Sets what wakes the consumer, if it is not a thread in [`Consumer::wait`].
    pub fn set_waker(&self, waker: Waker) {
        self.ring.set_waker(waker);
    }

    /// No record follows; the consumer reads what is there, and then sees the end.
    ///
    /// Only this side can close a one-to-one ring: who reads must ask it to.
    pub fn close(&mut self) {
        self.closed = CLOSED;
        self.publish(self.tail);
    }

    /// Records can be pushed again.
    pub fn reopen(&mut self) {
        self.closed = 0;
        self.publish(self.tail);
    }

    /// Whether the ring is closed.
    pub fn is_closed(&self) -> bool {
        self.closed != 0
    }

    /// How far the consumer has got: every record whose position is at most this one has been read.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when the consumer is where nothing was pushed.
    pub fn consumed_position(&self) -> Result<u64, Corrupt> {
        let used = distance(self.ring.head().load(Acquire), stored(self.tail)); // ORD(push:A) pairs with ORD(drain:B)
        if used <= self.tail - self.head { Ok(self.tail - used) } else { corrupt(self.tail, "the head is not between its last place and the tail") }
    }

    /// Bytes that records take, with headers and pads. At most [`Producer::capacity`].
    pub fn used(&self) -> u32 {
        self.ring.used()
    }

    /// Bytes.
    pub fn capacity(&self) -> u32 {
        self.ring.capacity()
    }

    /// Bytes of the longest record.
    pub fn max_len(&self) -> usize {
        max_record_len(self.capacity()) as usize
    }

    #[inline]
    fn check_len(&self, len: usize) -> Result<u32, PushError> {
        let max = self.max_len();
        if len <= max { Ok(len as u32) } else { Err(PushError::TooLong { len, max }) }
    }

    /// Writes a record at `at` or after the wrap, and returns where it ends. It is not published.
    #[inline]
    fn write(&mut self, at: u64, kind: u32, bytes: &[u8]) -> Result<u64, PushError> {
        let len = self.check_len(bytes.len())?;
        let start = self.find_space(at, len)?;
        let view = self.ring.view();
        view.prefetch(start, record_words(len));
        view.header(start).store(header(COMMITTED, len, kind), Relaxed);
        // SAFETY: it is free, does not wrap around, and nobody else touches it before it is published.
        unsafe { view.write(start, bytes) };
        Ok(start + record_words(len))
    }

    /// Where a record of `len` bytes can be written: at `at`, or after a pad up to the wrap.
    #[inline]
    fn find_space(&mut self, at: u64, len: u32) -> Result<u64, PushError> {
        if self.closed != 0 {
            return Err(PushError::Closed);
        }
        let words = record_words(len);
        let to_end = self.ring.words_to_end(at);
        if words > to_end {
            return self.find_space_after_pad(at, to_end, words);
        }
        if self.has_room(at, words)? { Ok(at) } else { Err(PushError::Full) }
    }

    /// Pads up to the wrap.
    ///
    /// A record that, together with the pad, is longer than the ring would never fit, however empty the ring is. For it the pad is published
    /// alone, so that it fits when the consumer has passed the pad.
    #[cold]
    fn find_space_after_pad(&mut self, at: u64, pad: u64, words: u64) -> Result<u64, PushError> {
        let fits = self.has_room(at, pad + words)?;
        let alone = pad + words > self.ring.words() && at == self.tail && self.has_room(at, pad)?;
        if fits || alone {
            self.ring.header(at).store(pad_header(pad), Relaxed);
        }
        if alone {
            self.publish(at + pad);
        }
        if fits { Ok(at + pad) } else { Err(PushError::Full) }
    }

    /// Whether `words` words from `at` on are free.
    #[inline]
    fn has_room(&mut self, at: u64, words: u64) -> Result<bool, Corrupt> {
        let end = at + words;
        if end - self.head > self.ring.words() {
            self.head = self.consumed_position()?;
        }
        Ok(end - self.head <= self.ring.words())
    }

    #[inline]
    fn publish(&mut self, tail: u64) {
        self.tail = tail;
        self.ring.publish(tail, self.closed, self.notify);
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.ring.shared().producers.fetch_sub(1, Release); // ORD(abandon:A) pairs with ORD(recover:A)
    }
}

/// Space in the ring for one record. Dropping it gives the space back.
#[derive(Debug)]
pub struct Grant<'a> {
    ring: &'a Ring,
    tail: &'a mut u64,
    notify: Notify,
    start: u64,
    len: u32,
    kind: u32,
    bytes: BytesMut<'a>,
}

impl Grant<'_> {
    /// Publishes the record, and returns the position where it ends.
    pub fn commit(mut self) -> u64 {
        // We stop having the bytes before the consumer may have them.
        self.bytes = Default::default();
        let Grant { ring, tail, notify, start, len, kind, .. } = self;
        ring.header(start).store(header(COMMITTED, len, kind), Relaxed);
        *tail = start + record_words(len);
        ring.publish(*tail, 0, notify);
        *tail
    }
}

impl Deref for Grant<'_> {
    type Target = [u8];

    /// What was there before, at first: zeroes, or older records.
    fn deref(&self) -> &[u8] {
        &self.bytes[..]
    }
}

impl DerefMut for Grant<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..]
    }
}

/// Publishes what was written up to `at` when it is dropped.
struct Batch<'a> {
    producer: &'a mut Producer,
    at: u64,
}

impl Drop for Batch<'_> {
    #[inline]
    fn drop(&mut self) {
        // Nothing was written, or a pad was published instead.
        if self.at > self.producer.tail {
            self.producer.publish(self.at);
        }
    }
}

impl Ring {
    #[inline]
    fn publish(&self, tail: u64, closed: u32, notify: Notify) {
        self.control(TAIL_OFFSET).store(stored(tail) << 1 | closed, Release); // ORD(publish:A) pairs with ORD(read:A)
        self.notify(notify);
    }
}

impl Consumer<OneToOne> {
    /// Another producer, if the last one was dropped. It goes on where that one has published.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when the tail is where it cannot be.
    pub fn producer(&mut self) -> Result<Option<Producer>, Corrupt> {
        // ORD(recover:A) pairs with ORD(abandon:A). Only we can hand out a producer, so the count stays 0 until we do.
        let none = self.ring.shared().producers.load(Acquire) == 0;
        if none { Producer::new(self.ring.clone(), self.head).map(Some) } else { Ok(None) }
    }
}

impl Steps for OneToOne {
    const PUBLISHED_BY_TAIL: bool = true;

    fn look_ahead(ring: &Ring, head: u64, at: u64) -> Result<u64, Corrupt> {
        let tail = ring.control(TAIL_OFFSET).load(Acquire) >> 1; // ORD(read:A) pairs with ORD(publish:A)
        let used = distance(stored(head), tail);
        if used > ring.words() || head + used < at {
            corrupt(at, "head and tail are too far apart")?;
        }
        Ok(head + used)
    }

    fn has_more(ring: &Ring, head: u64) -> bool {
        ring.control(TAIL_OFFSET).load(Acquire) >> 1 != stored(head)
    }
}
