//! What both sides of a ring share.

use crate::{
    Corrupt, MemoryError, Notify,
    layout::{
        CAPACITY_OFFSET, CLOSED, HEAD_OFFSET, MAGIC, MAGIC_OFFSET, MANY_TO_ONE, MODE_OFFSET, POSITION_MASK, TAIL_OFFSET, VERSION, VERSION_OFFSET,
        WORD_LEN,
    },
    memory::{Memory, View},
    sync::{Acquire, Arc, AtomicU32, AtomicUsize, Mutex, Relaxed, Release},
};
use std::{ops::Deref, task::Waker};

/// What each side has of a ring: a view of its memory, at hand, and the rest.
#[derive(Clone, Debug)]
pub struct Ring {
    view: View,
    shared: Arc<Shared>,
}

/// What keeps the memory of a ring alive, and what does not lie in it.
#[derive(Debug)]
pub struct Shared {
    _memory: Memory,
    mode: u32,
    /// Producers that were handed out and not dropped.
    pub producers: AtomicUsize,
    /// Wakes the consumer.
    pub waker: Mutex<Option<Waker>>,
}

impl Deref for Ring {
    type Target = View;

    #[inline]
    fn deref(&self) -> &View {
        &self.view
    }
}

impl Ring {
    /// An empty ring.
    pub fn create(mut memory: Memory, capacity: u32, mode: u32) -> Result<Ring, MemoryError> {
        memory.lay_out(capacity)?;
        memory.clear();
        let ring = Ring::of(memory, mode);
        ring.control(VERSION_OFFSET).store(VERSION, Relaxed);
        ring.control(CAPACITY_OFFSET).store(capacity, Relaxed);
        ring.control(MODE_OFFSET).store(mode, Relaxed);
        ring.control(MAGIC_OFFSET).store(MAGIC, Release); // ORD(create:A) pairs with ORD(attach:A)
        Ok(ring)
    }

    /// The ring that somebody has created there.
    pub fn attach(mut memory: Memory, mode: u32) -> Result<Ring, MemoryError> {
        let view = memory.view();
        let expect = |what, offset, expected| {
            let found = view.control(offset).load(Acquire); // ORD(attach:A) pairs with ORD(create:A)
            if found == expected { Ok(()) } else { Err(MemoryError::Different { what, found, expected }) }
        };
        expect("magic", MAGIC_OFFSET, MAGIC)?;
        expect("version", VERSION_OFFSET, VERSION)?;
        expect("mode", MODE_OFFSET, mode)?;
        let capacity = view.control(CAPACITY_OFFSET).load(Relaxed);
        memory.lay_out(capacity)?;
        Ok(Ring::of(memory, mode))
    }

    fn of(memory: Memory, mode: u32) -> Ring {
        let view = memory.view();
        Ring { view, shared: Arc::new(Shared { _memory: memory, mode, producers: AtomicUsize::new(0), waker: Mutex::new(None) }) }
    }

    /// A copy to keep at hand for as long as the ring is borrowed.
    #[inline]
    pub fn view(&self) -> View {
        self.view.clone()
    }

    #[inline]
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The position up to which the consumer has read.
    #[inline]
    pub fn head(&self) -> &AtomicU32 {
        self.control(HEAD_OFFSET)
    }

    /// The low half of the tail, wherever it is.
    ///
    /// ORD(finished:A) pairs with ORD(close:A).
    #[inline]
    pub fn tail(&self) -> u32 {
        if self.shared.mode == MANY_TO_ONE { self.claim().load(Acquire) as u32 } else { self.control(TAIL_OFFSET).load(Acquire) }
    }

    /// Makes claims fail, and ends the consumer's sleep.
    pub fn close(&self) {
        self.claim().fetch_or(CLOSED as u64, Release); // ORD(close:A) pairs with ORD(finished:A)
        self.notify(Notify::Auto);
    }

    /// Makes claims succeed again.
    pub fn reopen(&self) {
        self.claim().fetch_and(!(CLOSED as u64), Release);
    }

    pub fn capacity(&self) -> u32 {
        self.words() as u32 * WORD_LEN
    }

    /// Bytes between head and tail. Both move while we look: a snapshot at best.
    pub fn used(&self) -> u32 {
        let head = self.head().load(Acquire);
        let used = distance(head, self.tail() >> 1);
        used.min(self.words()) as u32 * WORD_LEN
    }
}

/// Words from a position that memory holds to another.
#[inline]
pub(crate) fn distance(from: u32, to: u32) -> u64 {
    (to.wrapping_sub(from) & POSITION_MASK) as u64
}

/// `position` as memory holds it.
#[inline]
pub(crate) fn stored(position: u64) -> u32 {
    position as u32 & POSITION_MASK
}

/// Where the other side cannot be.
#[cold]
pub(crate) fn corrupt<T>(position: u64, what: &'static str) -> Result<T, Corrupt> {
    Err(Corrupt { position, what })
}
