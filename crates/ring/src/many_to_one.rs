//! Any number of producers: they claim space by compare-and-swap, and the header of each record says when it can be read.
//!
//! A producer claims words at the tail, marks them busy, writes, and commits by storing the header. The consumer looks at the header where
//! it stands and never at the tail, which is the producers' cache line. What it has read it zeroes before it gives it back, so that every
//! word that can become a header says [`FREE`] until a producer writes it.

use crate::{
    Consumer, Corrupt, Memory, MemoryError, Notify, PushError,
    layout::{BUSY, CLOSED, COMMITTED, FREE, MANY_TO_ONE, SKIPPED, WORD_LEN, header, max_record_len, pad_header, parse_header, record_words},
    memory::BytesMut,
    mode::{ManyToOne, Steps},
    ring::{Ring, corrupt, distance, stored},
    sync::{Acquire, AtomicU64, Relaxed, Release},
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
pub fn heap(capacity: u32) -> Result<(Producer, Consumer<ManyToOne>), MemoryError> {
    create(Memory::heap(capacity)?, capacity)
}

/// An empty ring of `capacity` bytes, a power of two in [64, 2^30], at the beginning of `memory`.
///
/// # Errors
///
/// [`MemoryError::Capacity`], [`MemoryError::TooSmall`].
pub fn create(memory: Memory, capacity: u32) -> Result<(Producer, Consumer<ManyToOne>), MemoryError> {
    let ring = Ring::create(memory, capacity, MANY_TO_ONE)?;
    Ok((Producer::new(ring.clone(), 0), Consumer::new(ring, 0)))
}

/// The ring that was created in `memory`, with what is in it. Drop the side that somebody else has.
///
/// # Errors
///
/// [`MemoryError::Different`], [`MemoryError::Capacity`], [`MemoryError::TooSmall`], [`MemoryError::Corrupt`].
pub fn attach(memory: Memory) -> Result<(Producer, Consumer<ManyToOne>), MemoryError> {
    let ring = Ring::attach(memory, MANY_TO_ONE)?;
    // The head first: it may move while we look, but never past the tail that we see afterwards.
    let head = ring.head().load(Acquire);
    let tail = ring.claim().load(Acquire) >> 1;
    let head = tail.wrapping_sub(distance(head, stored(tail)));
    if tail.wrapping_sub(head) > ring.words() || head > tail {
        corrupt(tail, "head and tail are too far apart")?;
    }
    Ok((Producer::new(ring.clone(), head), Consumer::new(ring, head)))
}

/// One of those that write a ring.
#[derive(Debug)]
pub struct Producer {
    ring: Ring,
    /// A head that was seen, not reduced: a producer that comes back after a long time must not mistake it for a new one.
    head: AtomicU64,
    notify: Notify,
}

impl Producer {
    fn new(ring: Ring, head: u64) -> Self {
        ring.shared().producers.fetch_add(1, Relaxed);
        Producer { ring, head: AtomicU64::new(head), notify: Notify::Auto }
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
    pub fn push(&self, kind: u32, bytes: &[u8]) -> Result<u64, PushError> {
        let len = self.check_len(bytes.len())?;
        let start = self.claim(len)?;
        let view = self.ring.view();
        view.prefetch(start, record_words(len));
        view.header(start).store(header(BUSY, len, kind), Relaxed);
        // SAFETY: we have claimed it, it does not wrap around, and only its header is looked at before it is committed.
        unsafe { view.write(start, bytes) };
        view.header(start).store(header(COMMITTED, len, kind), Release); // ORD(push:B) pairs with ORD(drain:A)
        self.ring.notify(self.notify);
        Ok(start + record_words(len))
    }

    /// Space for a record of `len` bytes, to be written in place.
    ///
    /// The consumer waits for it to be committed or dropped, and others queue behind it.
    ///
    /// # Errors
    ///
    /// As [`Producer::push`].
    pub fn reserve(&self, kind: u32, len: usize) -> Result<Grant<'_>, PushError> {
        let len = self.check_len(len)?;
        let start = self.claim(len)?;
        self.ring.header(start).store(header(BUSY, len, kind), Relaxed);
        // SAFETY: we have claimed it, it does not wrap around, and nobody else touches it until the grant commits or discards it.
        let bytes = unsafe { self.ring.read_mut(start, len) };
        Ok(Grant { producer: self, start, header: header(SKIPPED, len, kind), bytes })
    }

    /// Appends records until one does not fit, and returns how many were appended. Others may get in between.
    ///
    /// Costs one claim, one publication and one look at the consumer for many records.
    ///
    /// # Errors
    ///
    /// Why the first record was not appended, if it was not.
    pub fn push_batch<'b, I>(&self, records: I) -> Result<usize, PushError>
    where
        I: IntoIterator<Item = (u32, &'b [u8]), IntoIter: Clone>,
    {
        let mut records = records.into_iter();
        let mut pushed = 0;
        loop {
            if let Some(run) = self.claim_run(records.clone()) {
                pushed += run.write(&mut records);
            }
            // The record after a run may have to go past the wrap, or needs a look at the head.
            let Some((kind, bytes)) = records.next() else { return Ok(pushed) };
            match self.push(kind, bytes) {
                Ok(_) => pushed += 1,
                Err(reason) => return if pushed == 0 { Err(reason) } else { Ok(pushed) },
            }
        }
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

    /// No record can be claimed from now on; the consumer reads what is there, and what is still being written, and then sees the end.
    pub fn close(&self) {
        self.ring.close();
    }

    /// Records can be pushed again.
    pub fn reopen(&self) {
        self.ring.reopen();
    }

    /// Whether the ring is closed.
    pub fn is_closed(&self) -> bool {
        self.ring.tail() & CLOSED != 0
    }

    /// How far the consumer has got: every record whose position is at most this one has been read.
    pub fn consumed_position(&self) -> Result<u64, Corrupt> {
        let head = self.ring.head().load(Acquire);
        let tail = self.ring.claim().load(Acquire) >> 1;
        // However far the tail has moved since we looked at the head, it is not by 2^31 words.
        tail.checked_sub(distance(head, stored(tail))).map_or_else(|| corrupt(tail, "the head is past the tail"), Ok)
    }

    /// Bytes that records take, with headers, pads, and what is being written. At most [`Producer::capacity`].
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

    /// Claims a record of `len` bytes, and pads what is left before the wrap if it does not fit there.
    #[inline]
    fn claim(&self, len: u32) -> Result<u64, PushError> {
        let words = record_words(len);
        loop {
            let seen = self.ring.claim().load(Relaxed);
            if seen & CLOSED as u64 != 0 {
                return Err(PushError::Closed);
            }
            let to_end = self.ring.words_to_end(seen >> 1);
            let claimed = if words <= to_end { self.take(seen, words)? } else { self.take_after_pad(seen, to_end, words)? };
            if let Some(start) = claimed {
                return Ok(start);
            }
        }
    }

    /// Moves the tail from `seen` on by `words`, and returns where it was; none if somebody else has moved it.
    #[inline]
    fn take(&self, seen: u64, words: u64) -> Result<Option<u64>, PushError> {
        let (ring, position) = (&self.ring, seen >> 1);
        if position.wrapping_sub(self.head.load(Acquire)) > ring.words() - words && !self.look_at_head(seen, words)? {
            return Ok(None);
        }
        let taken = ring.claim().compare_exchange_weak(seen, seen + 2 * words, Relaxed, Relaxed).is_ok();
        Ok(taken.then_some(position))
    }

    /// Claims a pad and a record of `words` words after it.
    ///
    /// A record that, together with the pad, is longer than the ring would never fit, however empty the ring is. For it the pad is claimed
    /// alone, so that the next try begins where all of the ring is ahead.
    #[cold]
    fn take_after_pad(&self, seen: u64, pad: u64, words: u64) -> Result<Option<u64>, PushError> {
        let both = pad + words;
        let alone = both > self.ring.words();
        let Some(position) = self.take(seen, if alone { pad } else { both })? else { return Ok(None) };
        self.finish(position, pad_header(pad));
        Ok((!alone).then_some(position + pad))
    }

    /// Whether `take` words are free after the tail `seen`; false if the tail has moved.
    #[cold]
    fn look_at_head(&self, seen: u64, take: u64) -> Result<bool, PushError> {
        let ring = &self.ring;
        let head = ring.head().load(Acquire); // ORD(push:A) pairs with ORD(drain:B)
        // Whoever sees a head sees every claim before it, so a tail that is still the same belongs to this head or a later one.
        if ring.claim().load(Relaxed) != seen {
            return Ok(false);
        }
        let position = seen >> 1;
        let used = distance(head, stored(position));
        if used > ring.words() || used > position {
            corrupt(position, "head and tail are too far apart")?;
        }
        self.head.store(position - used, Release);
        if used > ring.words() - take { Err(PushError::Full) } else { Ok(true) }
    }

    /// Claims as many of the next records as fit one after another into what is known to be free.
    fn claim_run<'b>(&self, records: impl Iterator<Item = (u32, &'b [u8])> + Clone) -> Option<Run<'_>> {
        let ring = &self.ring;
        loop {
            let seen = ring.claim().load(Relaxed);
            let start = seen >> 1;
            let known_free = ring.words().checked_sub(start.wrapping_sub(self.head.load(Acquire)))?;
            // A quarter of the ring at a time, so that the consumer has something to do meanwhile.
            let limit = known_free.min(ring.words_to_end(start)).min(ring.words() / 4);
            let (mut take, mut count) = (0, 0);
            for (_, bytes) in records.clone() {
                let words = record_words(self.check_len(bytes.len()).ok()?);
                if take + words > limit {
                    break;
                }
                (take, count) = (take + words, count + 1);
            }
            if count == 0 || seen & CLOSED as u64 != 0 {
                return None;
            }
            if ring.claim().compare_exchange_weak(seen, seen + 2 * take, Relaxed, Relaxed).is_ok() {
                return Some(Run { producer: self, start, at: start, end: start + take, count, first: pad_header(take) });
            }
        }
    }

    /// Stores the header that ends the writing of a record or pad.
    #[inline]
    fn finish(&self, start: u64, header: u64) {
        self.ring.header(start).store(header, Release); // ORD(push:B) pairs with ORD(drain:A)
        self.ring.notify(self.notify);
    }
}

impl Clone for Producer {
    fn clone(&self) -> Self {
        Producer::new(self.ring.clone(), self.head.load(Acquire)).with_notify(self.notify)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.ring.shared().producers.fetch_sub(1, Release); // ORD(abandon:A) pairs with ORD(recover:A)
    }
}

/// Space in the ring for one record. Dropping it discards the record: the consumer passes over it.
#[derive(Debug)]
pub struct Grant<'a> {
    producer: &'a Producer,
    start: u64,
    header: u64,
    bytes: BytesMut<'a>,
}

impl Grant<'_> {
    /// Publishes the record, and returns the position where it ends.
    pub fn commit(mut self) -> u64 {
        let (_, len, kind) = parse_header(self.header);
        self.header = header(COMMITTED, len, kind);
        self.start + record_words(len)
    }
}

impl Deref for Grant<'_> {
    type Target = [u8];

    /// Zeroes at first.
    fn deref(&self) -> &[u8] {
        &self.bytes[..]
    }
}

impl DerefMut for Grant<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..]
    }
}

impl Drop for Grant<'_> {
    fn drop(&mut self) {
        // We stop having the bytes before the consumer may have them.
        self.bytes = Default::default();
        self.producer.finish(self.start, self.header);
    }
}

/// Claimed space for several records. The header of the first is stored last, when the run is dropped: it publishes all of them.
struct Run<'a> {
    producer: &'a Producer,
    start: u64,
    /// Up to where it is written.
    at: u64,
    end: u64,
    count: usize,
    first: u64,
}

impl Run<'_> {
    /// Writes the next records, and returns how many there were.
    fn write<'b>(mut self, records: &mut impl Iterator<Item = (u32, &'b [u8])>) -> usize {
        let mut written = 0;
        for (kind, bytes) in records.take(self.count) {
            // They fit if the iterator yields what its clone did. What it leaves will be skipped.
            if bytes.len() as u64 > (self.end - self.at).saturating_sub(1) * WORD_LEN as u64 {
                break;
            }
            self.push(kind, bytes);
            written += 1;
        }
        written
    }

    #[inline]
    fn push(&mut self, kind: u32, bytes: &[u8]) {
        let (ring, start, len) = (&self.producer.ring, self.at, bytes.len() as u32);
        ring.header(start).store(header(BUSY, len, kind), Relaxed);
        // SAFETY: it fits into what we have claimed, which does not wrap around, and nobody looks at it before the run is published.
        unsafe { ring.write(start, bytes) };
        self.at += record_words(len);
        if start == self.start {
            self.first = header(COMMITTED, len, kind);
        } else {
            ring.header(start).store(header(COMMITTED, len, kind), Relaxed);
        }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if self.start < self.at && self.at < self.end {
            self.producer.ring.header(self.at).store(pad_header(self.end - self.at), Relaxed);
        }
        self.producer.finish(self.start, self.first);
    }
}

impl Consumer<ManyToOne> {
    /// Another producer.
    pub fn producer(&self) -> Producer {
        Producer::new(self.ring.clone(), self.head)
    }

    /// No record can be claimed from now on; what is there, and what is still being written, can be read.
    pub fn close(&self) {
        self.ring.close();
    }

    /// Records can be pushed again.
    pub fn reopen(&self) {
        self.ring.reopen();
    }

    /// Discards what dead producers have claimed and will never finish, and returns how many pieces that were.
    ///
    /// A grant that was leaked, or a thread that was killed in a push, leaves a record that is never committed, and everything behind it
    /// waits. When all producers are gone this makes it a record to skip.
    ///
    /// # Errors
    ///
    /// `Ok(None)`, and nothing happens, while a [`Producer`] of this ring is alive: it may be about to finish. See
    /// [`Consumer::recover_unchecked`] for producers that were never dropped. [`Corrupt`] as [`Consumer::drain`].
    pub fn recover(&mut self) -> Result<Option<usize>, Corrupt> {
        // ORD(recover:A) pairs with ORD(abandon:A): what dropped producers have stored is seen.
        if self.ring.shared().producers.load(Acquire) != 0 {
            return Ok(None);
        }
        // SAFETY: grants borrow producers, and there are none; only we could hand out more.
        unsafe { self.recover_unchecked() }.map(Some)
    }

    /// [`Consumer::recover`] for who knows better than the count of producers, for example that their threads have been killed.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] as [`Consumer::drain`].
    ///
    /// # Safety
    ///
    /// Whatever any producer has done happened before, and those that had claimed a record without finishing it will not touch it again.
    pub unsafe fn recover_unchecked(&mut self) -> Result<usize, Corrupt> {
        let ring = &self.ring;
        let tail = ring.claim().load(Acquire) >> 1;
        let (mut at, mut discarded) = (self.head, 0);
        if tail.wrapping_sub(at) > ring.words() {
            corrupt(at, "head and tail are too far apart")?;
        }
        while at < tail {
            let most = ring.words_to_end(at).min(tail - at);
            let (state, len, _) = parse_header(ring.header(at).load(Acquire));
            let words = match state {
                // Claimed, but not even marked: nothing was written, so the next word that is not zero begins another record.
                FREE => (1..most).find(|&words| ring.header(at + words).load(Acquire) != 0).unwrap_or(most),
                _ => record_words(len),
            };
            if words > most {
                corrupt(at, "the record is longer than what is there")?;
            }
            if state == FREE || state == BUSY {
                ring.header(at).store(pad_header(words), Relaxed);
                discarded += 1;
            }
            at += words;
        }
        Ok(discarded)
    }
}

impl Steps for ManyToOne {
    const PUBLISHED_BY_TAIL: bool = false;

    /// Only what was released can be written anew.
    fn look_ahead(_: &Ring, _: u64, at: u64) -> Result<u64, Corrupt> {
        Ok(at)
    }

    fn has_more(ring: &Ring, head: u64) -> bool {
        parse_header(ring.header(head).load(Acquire)).0 >= COMMITTED
    }
}
