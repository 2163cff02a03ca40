//! [`Memory`] for the models of `tests/loom.rs`, which must see every access.
//!
//! A word is an atomic, which is what a header is, together with a cell that stands for access without atomics: loom fails when two
//! threads use the cell and neither is ordered before the other. Payload goes through both, so that a header read from where payload was
//! left over is noticed.

use crate::{
    error::MemoryError,
    layout::{self, WORD_LEN, record_words},
    sync::{AtomicU32, AtomicU64, Relaxed},
};
use loom::cell::UnsafeCell;
use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
};

#[derive(Debug)]
struct Word {
    value: AtomicU64,
    owner: UnsafeCell<()>,
}

// SAFETY: the cell holds nothing, and loom checks who uses it when.
unsafe impl Sync for Word {}

/// Memory that a ring can live in.
pub struct Memory {
    view: View,
}

impl Memory {
    /// Memory for a ring of `capacity` bytes.
    pub fn heap(capacity: u32) -> Result<Memory, MemoryError> {
        layout::check_capacity(capacity)?;
        let word = |_| Word { value: AtomicU64::new(0), owner: UnsafeCell::new(()) };
        // Groups have one number each, but for the first, which nothing in a model reads.
        let control = (0..4).map(|_| AtomicU32::new(0)).collect();
        let words = Words { control, claim: AtomicU64::new(0), data: (0..capacity / WORD_LEN).map(word).collect() };
        Ok(Memory { view: View(Arc::new(words)) })
    }

    pub(crate) fn lay_out(&mut self, _: u32) -> Result<(), MemoryError> {
        Ok(())
    }

    pub(crate) fn clear(&mut self) {}

    pub(crate) fn view(&self) -> View {
        self.view.clone()
    }
}

#[derive(Debug)]
struct Words {
    control: Vec<AtomicU32>,
    claim: AtomicU64,
    data: Vec<Word>,
}

/// The way to touch it. What keeps it alive is not part of the model.
#[derive(Clone, Debug)]
pub struct View(Arc<Words>);

impl View {
    pub(crate) fn words(&self) -> u64 {
        self.0.data.len() as u64
    }

    pub(crate) fn words_to_end(&self, position: u64) -> u64 {
        self.words() - position % self.words()
    }

    pub(crate) fn control(&self, offset: u32) -> &AtomicU32 {
        &self.0.control[(offset / layout::LINE_LEN) as usize]
    }

    pub(crate) fn claim(&self) -> &AtomicU64 {
        &self.0.claim
    }

    pub(crate) fn header(&self, position: u64) -> &AtomicU64 {
        &self.word(position).value
    }

    /// # Safety
    ///
    /// None is needed here: loom checks it.
    pub(crate) unsafe fn write(&self, position: u64, bytes: &[u8]) {
        for (at, chunk) in (position + 1..).zip(bytes.chunks(WORD_LEN as usize)) {
            let mut value = [0; WORD_LEN as usize];
            value[..chunk.len()].copy_from_slice(chunk);
            self.word(at).owner.with_mut(|_| ());
            self.word(at).value.store(u64::from_le_bytes(value), Relaxed);
        }
    }

    /// # Safety
    ///
    /// None is needed here: loom checks it.
    pub(crate) unsafe fn read(&self, position: u64, len: u32) -> Vec<u8> {
        let words = position + 1..position + record_words(len);
        let mut bytes: Vec<u8> = words
            .flat_map(|at| {
                self.word(at).owner.with(|_| ());
                self.word(at).value.load(Relaxed).to_le_bytes()
            })
            .collect();
        bytes.truncate(len as usize);
        bytes
    }

    /// # Safety
    ///
    /// None is needed here: loom checks it.
    pub(crate) unsafe fn read_mut(&self, position: u64, len: u32) -> BytesMut<'_> {
        BytesMut { view: Some((self, position)), bytes: vec![0; len as usize] }
    }

    pub(crate) fn prefetch(&self, _: u64, _: u64) {}

    /// # Safety
    ///
    /// None is needed here: loom checks it.
    pub(crate) unsafe fn free(&self, position: u64, words: u64) {
        for at in position..position + words {
            self.word(at).owner.with_mut(|_| ());
            self.word(at).value.store(0, Relaxed);
        }
    }

    fn word(&self, position: u64) -> &Word {
        &self.0.data[(position % self.words()) as usize]
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// Bytes of a record that is being written: written when they are dropped.
#[derive(Default)]
pub(crate) struct BytesMut<'a> {
    view: Option<(&'a View, u64)>,
    bytes: Vec<u8>,
}

impl Deref for BytesMut<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for BytesMut<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for BytesMut<'_> {
    fn drop(&mut self) {
        if let Some((view, position)) = self.view {
            // SAFETY: none is needed here.
            unsafe { view.write(position, &self.bytes) };
        }
    }
}

impl fmt::Debug for BytesMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.fmt(f)
    }
}
