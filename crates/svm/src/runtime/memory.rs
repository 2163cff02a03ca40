//! Stacks and heaps of virtual machines, used again.
//!
//! A fresh stack and heap of zeroes is what most invocations would spend their time on: a program may write anywhere in 288 KiB, and
//! writes to one or two pages. So the regions that a program sees begin short and grow by the page that it touches (see [`super::lean`]).
//! What a region's length has become is how much there is to clear.

use solana_program_runtime::{
    execution_budget::MAX_CALL_DEPTH,
    solana_sbpf::{aligned_memory::AlignedMemory, ebpf::HOST_ALIGN, vm::CallFrame},
};
use std::cell::RefCell;

/// All zeroes whenever it is taken.
pub(crate) struct Memory {
    pub stack: AlignedMemory<HOST_ALIGN>,
    pub heap: AlignedMemory<HOST_ALIGN>,
    /// Where there is no JIT, the interpreter keeps what a call returns to in here.
    pub call_frames: Vec<CallFrame>,
}

thread_local! {
    /// As many as invocations were ever nested on this thread.
    static SPARE: RefCell<Vec<Memory>> = const { RefCell::new(Vec::new()) };
}

impl Memory {
    pub fn take(stack_len: usize, heap_len: usize) -> Self {
        SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Memory {
            stack: AlignedMemory::zero_filled(stack_len),
            heap: AlignedMemory::zero_filled(heap_len),
            call_frames: vec![CallFrame::default(); MAX_CALL_DEPTH],
        })
    }

    /// Keeps it for the next one. The program may have written to the first `stack_len` and `heap_len` bytes, and to nothing else.
    ///
    /// What is not put back, because something panicked, is never used again.
    pub fn put_back(mut self, stack_len: u64, heap_len: u64) {
        self.stack.as_slice_mut()[..stack_len as usize].fill(0);
        self.heap.as_slice_mut()[..heap_len as usize].fill(0);
        SPARE.with_borrow_mut(|spare| spare.push(self));
    }
}
