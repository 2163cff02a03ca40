//! The memory of a ring: whose it is, and the few ways to touch it.

use crate::{
    error::MemoryError,
    layout::{self, DATA_OFFSET, TAIL_OFFSET, WORD_LEN},
    sync::{AtomicU32, AtomicU64},
};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    any::Any,
    fmt, ptr,
    ptr::NonNull,
    slice,
};

/// Bytes of a record that is being written.
pub(crate) type BytesMut<'a> = &'a mut [u8];

/// Memory that a ring can live in, together with what keeps it alive.
pub struct Memory {
    view: View,
    len: usize,
    _owner: Box<dyn Any + Send + Sync>,
}

impl Memory {
    /// Memory of our own for a ring of `capacity` bytes.
    pub fn heap(capacity: u32) -> Result<Memory, MemoryError> {
        layout::check_capacity(capacity)?;
        let len = layout::memory_len(capacity);
        let heap = Heap::new(len);
        Ok(Memory { view: View { start: heap.start, mask: 0 }, len, _owner: Box::new(heap) })
    }

    /// The `len` bytes from `start` on, which `owner` keeps alive: for example a JavaScript SharedArrayBuffer.
    ///
    /// # Safety
    ///
    /// - The bytes are initialised, and can be read and written until `owner` is dropped.
    /// - Until then nobody in this process touches them but through rings of this crate over all of them, and there is at any time at most
    ///   one consumer and, of a one-to-one ring, at most one producer, counting those of other languages.
    /// - Others who have the memory, such as JavaScript, keep to [`layout`]. If they do not, records have any
    ///   content and calls fail with [`Corrupt`](crate::Corrupt), but nothing outside of the memory is touched.
    pub unsafe fn from_raw(start: NonNull<u8>, len: usize, owner: impl Any + Send + Sync) -> Result<Memory, MemoryError> {
        if !start.addr().get().is_multiple_of(WORD_LEN as usize) {
            return Err(MemoryError::Misaligned { address: start.addr().get() });
        }
        if len < DATA_OFFSET as usize {
            return Err(MemoryError::TooSmall { len, needed: layout::memory_len(layout::MIN_CAPACITY) });
        }
        Ok(Memory { view: View { start, mask: 0 }, len, _owner: Box::new(owner) })
    }

    /// Says how much of it is the ring's, from here on.
    pub(crate) fn lay_out(&mut self, capacity: u32) -> Result<(), MemoryError> {
        layout::check_capacity(capacity)?;
        let needed = layout::memory_len(capacity);
        if self.len < needed {
            return Err(MemoryError::TooSmall { len: self.len, needed });
        }
        self.view.mask = (capacity / WORD_LEN) as u64 - 1;
        Ok(())
    }

    /// Zeroes the whole ring. Nobody else has seen it yet.
    pub(crate) fn clear(&mut self) {
        // SAFETY: `lay_out` has checked the length, and creating a ring means that nobody else uses the memory yet.
        unsafe { ptr::write_bytes(self.view.start.as_ptr(), 0, DATA_OFFSET as usize + self.view.words() as usize * WORD_LEN as usize) };
    }

    /// The way to touch it.
    pub(crate) fn view(&self) -> View {
        self.view.clone()
    }
}

/// Where the memory is: small enough for each side, and for a long drain, to keep a copy at hand.
///
/// Whoever has one keeps the [`Memory`] alive.
#[derive(Clone, Debug)]
pub struct View {
    start: NonNull<u8>,
    /// Words of data, minus one; zero until the ring is laid out.
    mask: u64,
}

// SAFETY: the memory is reached through atomics, and otherwise only by who owns that part of it according to the protocol.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

/// Words of a cache line.
#[cfg(target_arch = "x86_64")]
const LINE_WORDS: u64 = 8;

/// How many words ahead of a record the lines of later ones are asked for. Measured: from 512 bytes to 1 KiB a push of 32 bytes takes half the time
/// that it takes without; less comes too late, more is no better.
#[cfg(target_arch = "x86_64")]
const PREFETCH_AHEAD: u64 = 64;

impl View {
    /// Words of data.
    #[inline]
    pub(crate) fn words(&self) -> u64 {
        self.mask + 1
    }

    /// Words from `position` to where the data wraps around.
    #[inline]
    pub(crate) fn words_to_end(&self, position: u64) -> u64 {
        self.words() - (position & self.mask)
    }

    /// The number at `offset` of the control block.
    #[inline]
    pub(crate) fn control(&self, offset: u32) -> &AtomicU32 {
        debug_assert!(offset < DATA_OFFSET && offset.is_multiple_of(4));
        // SAFETY: the control block is inside the memory, is aligned, lives as long as we do, and is only reached through atomics.
        unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(offset as usize).cast()) }
    }

    /// The tail of a many-to-one ring, all of it.
    #[inline]
    pub(crate) fn claim(&self) -> &AtomicU64 {
        // SAFETY: as in `control`; a many-to-one ring never reaches its tail through `control`.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().add(TAIL_OFFSET as usize).cast()) }
    }

    /// The word at `position`, as a header.
    #[inline]
    pub(crate) fn header(&self, position: u64) -> &AtomicU64 {
        // SAFETY: `word` is inside the data and aligned. That it is not written as payload at the same time is the protocol: only the
        // owner of a claim and the consumer look at words, and they look for headers only where records begin.
        unsafe { AtomicU64::from_ptr(self.word(position).cast()) }
    }

    /// Asks for cache lines of as many words as a record has that is written at `position`, [`PREFETCH_AHEAD`] of it: they were the consumer's
    /// last, and a producer that writes them without notice waits for each. A hint, and nothing where there is no such instruction.
    #[inline]
    pub(crate) fn prefetch(&self, position: u64, words: u64) {
        #[cfg(target_arch = "x86_64")]
        for line in 0..words.div_ceil(LINE_WORDS) {
            let word = self.word(position + PREFETCH_AHEAD + line * LINE_WORDS);
            // SAFETY: a prefetch accesses nothing, whatever the address; a processor that does not know it does nothing.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(word.cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (position, words);
    }

    /// Copies `bytes` into the record at `position`.
    ///
    /// # Safety
    ///
    /// The record ends before the data wraps around, and the caller owns that part of it.
    #[inline]
    pub(crate) unsafe fn write(&self, position: u64, bytes: &[u8]) {
        // SAFETY: the caller's promise.
        unsafe { copy(bytes, self.payload(position)) };
    }

    /// The `len` bytes of the record at `position`.
    ///
    /// # Safety
    ///
    /// The record ends before the data wraps around, and nobody writes it before the slice is gone.
    #[inline]
    pub(crate) unsafe fn read(&self, position: u64, len: u32) -> &[u8] {
        // SAFETY: the caller's promise, and memory is initialised from the start.
        unsafe { slice::from_raw_parts(self.payload(position), len as usize) }
    }

    /// The `len` bytes of the record at `position`, to be written.
    ///
    /// # Safety
    ///
    /// The record ends before the data wraps around, and nobody else touches it before the slice is gone.
    #[inline]
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn read_mut(&self, position: u64, len: u32) -> BytesMut<'_> {
        // SAFETY: the caller's promise, and memory is initialised from the start.
        unsafe { slice::from_raw_parts_mut(self.payload(position), len as usize) }
    }

    /// Makes `words` words from `position` on [`FREE`](layout::FREE), around the end of the data if need be.
    ///
    /// # Safety
    ///
    /// The caller owns that part of the data, which is at most all of it.
    #[inline]
    pub(crate) unsafe fn free(&self, position: u64, words: u64) {
        let (mut at, end) = (position, position + words);
        // The C library clears small pieces with vector stores, which start at once, and large ones with an instruction of their own, which does not
        // ask the other processor for what it overwrites.
        let most = if words <= 512 { 128 } else { u64::MAX };
        while at < end {
            let piece = (end - at).min(self.words_to_end(at)).min(most);
            // SAFETY: the piece ends where the data does at the latest, and the caller owns it.
            unsafe { ptr::write_bytes(self.word(at).cast::<u64>(), 0, piece as usize) };
            at += piece;
        }
    }

    #[inline]
    fn word(&self, position: u64) -> *mut u8 {
        let offset = DATA_OFFSET as usize + (position & self.mask) as usize * WORD_LEN as usize;
        // SAFETY: the mask keeps it inside the data.
        unsafe { self.start.as_ptr().add(offset) }
    }

    /// What follows the header at `position`. A record without bytes may end where the data does.
    #[inline]
    fn payload(&self, position: u64) -> *mut u8 {
        // SAFETY: the word is inside the data, so its end is at most the end of the memory.
        unsafe { self.word(position).add(WORD_LEN as usize) }
    }
}

/// Copies `from` to `to`; short records without a call of the C library, which costs more than they do.
///
/// # Safety
///
/// `to` has room, and does not overlap `from`.
#[inline]
unsafe fn copy(from: &[u8], to: *mut u8) {
    // SAFETY: the caller's promise, and the length is at least that of an end.
    unsafe {
        match from.len() {
            16..=32 => copy_ends::<16>(from, to),
            33..=64 => copy_ends::<32>(from, to),
            8..=15 => copy_ends::<8>(from, to),
            len => ptr::copy_nonoverlapping(from.as_ptr(), to, len),
        }
    }
}

/// Copies the first and the last `N` bytes of `from`, which overlap: all of it, if it is no longer than both.
///
/// # Safety
///
/// As `copy`, and `from` has at least `N` bytes.
#[inline]
unsafe fn copy_ends<const N: usize>(from: &[u8], to: *mut u8) {
    let rest = from.len() - N;
    // SAFETY: both ends are inside `from`, and as far inside `to`.
    unsafe {
        let (first, last) = (from.as_ptr().cast::<[u8; N]>().read(), from.as_ptr().add(rest).cast::<[u8; N]>().read());
        to.cast::<[u8; N]>().write(first);
        to.add(rest).cast::<[u8; N]>().write(last);
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("view", &self.view).field("len", &self.len).finish_non_exhaustive()
    }
}

/// An allocation whose groups lie on cache lines of their own.
struct Heap {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it is an address until it is dropped.
unsafe impl Send for Heap {}
// SAFETY: as above.
unsafe impl Sync for Heap {}

impl Heap {
    fn new(len: usize) -> Heap {
        let layout = Layout::from_size_align(len, layout::LINE_LEN as usize).expect("at most 1 GiB");
        // SAFETY: the length is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        Heap { start: NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout)), layout }
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}
