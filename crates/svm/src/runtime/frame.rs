//! How a syscall finds the invocation that it is part of.
//!
//! The runtime hands a syscall nothing of ours. But the virtual machine, its syscalls and every CPI below them run on the
//! thread that started the invocation, so a thread-local pointer to a [`Frame`] is set around it.

use crate::{Stage, Task};
use std::{cell::Cell, marker::PhantomData, ptr};

thread_local! {
    static CURRENT: Cell<*mut ()> = const { Cell::new(ptr::null_mut()) };
}

/// What the syscalls of one invocation share.
pub(crate) struct Frame<'a> {
    pub stage: Stage<'a>,
    pub task: &'a Task,
}

/// While it lives, [`with`] finds its frame.
pub(crate) struct Entered<'f> {
    previous: *mut (),
    frame: PhantomData<&'f mut ()>,
}

pub(crate) fn enter<'f>(frame: &'f mut Frame<'_>) -> Entered<'f> {
    let previous = CURRENT.replace(ptr::from_mut(frame).cast());
    Entered { previous, frame: PhantomData }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        CURRENT.set(self.previous);
    }
}

/// Gives the current frame to `f`; `None` outside an invocation or inside another `with`.
pub(crate) fn with<T>(f: impl FnOnce(&mut Frame<'_>) -> T) -> Option<T> {
    // Taken out for the time of the call, so that no second reference to the frame can be made meanwhile, and put back even
    // when `f` panics.
    struct Restore(*mut ());
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let pointer = CURRENT.replace(ptr::null_mut());
    let _restore = Restore(pointer);
    if pointer.is_null() {
        return None;
    }
    // SAFETY: a non-null pointer was made by `enter` from a `&mut Frame` that stays borrowed as long as its `Entered` lives,
    // and `Entered` resets the pointer when it is dropped. The pointer is thread-local and was taken out above, so this is the
    // only reference. The lifetimes inside the frame are made up here, but `f` must accept any, so it cannot let them escape.
    Some(f(unsafe { &mut *pointer.cast::<Frame<'_>>() }))
}
