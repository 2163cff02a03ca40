//! How a syscall finds the invocation that it is part of.
//!
//! The runtime hands a syscall nothing of ours. But the virtual machine, its syscalls and every CPI below them run on the
//! thread that started the invocation, so a thread-local pointer to a [`Frame`] is set around it.

use super::{Executor, HostPrograms};
use crate::{ErrorCode, Stage, Task};
use std::{cell::Cell, collections::BTreeMap, ptr};

thread_local! {
    static CURRENT: Cell<*mut ()> = const { Cell::new(ptr::null_mut()) };
}

/// What the syscalls of one invocation share.
pub(crate) struct Frame<'a> {
    pub stage: Stage<'a>,
    pub task: &'a Task,
    /// By the number of the program's invocation among those of the task.
    pub last_errors: BTreeMap<usize, ErrorCode>,
    /// How programs are run.
    pub executor: Executor,
    /// What has run does not count: it is to be run in another way, from the state before it.
    pub again: bool,
    /// What calls functions of the host, if they may be called now.
    pub host: Option<&'a dyn HostPrograms>,
    /// One would have to be called, and may not.
    pub needs_host: bool,
    /// What made the innermost program fail to complete.
    pub fault: Option<String>,
}

/// Puts the pointer back that was there before, also when something panics.
struct Restore(*mut ());

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Runs `f`; while it runs, [`with`] finds this frame.
pub(crate) fn scope<T>(frame: &mut Frame<'_>, f: impl FnOnce() -> T) -> T {
    let _restore = Restore(CURRENT.replace(ptr::from_mut(frame).cast()));
    f()
}

/// Gives the current frame to `f`; `None` outside an invocation or inside another `with`.
pub(crate) fn with<T>(f: impl FnOnce(&mut Frame<'_>) -> T) -> Option<T> {
    // Taken out for the time of the call, so that no second reference to the frame can be made meanwhile.
    let pointer = CURRENT.replace(ptr::null_mut());
    let _restore = Restore(pointer);
    if pointer.is_null() {
        return None;
    }
    // SAFETY: a non-null pointer was made by `scope` from a `&mut Frame` that stays borrowed until `scope` returns, and `scope`
    // resets the pointer before that. It is thread-local and was taken out above, so this is the only reference. The lifetimes
    // inside the frame are made up here, but `f` must accept any, so it cannot let them escape.
    Some(f(unsafe { &mut *pointer.cast::<Frame<'_>>() }))
}

/// Gives the current frame's host to `f`, which may use [`with`]; `None` when there is none.
pub(crate) fn with_host<T>(f: impl FnOnce(&dyn HostPrograms) -> T) -> Option<T> {
    let pointer = CURRENT.get();
    if pointer.is_null() {
        return None;
    }
    // SAFETY: as in `with`, the frame is there; and no reference to it exists, for while one does the pointer is taken out. What is
    // copied out of it stays borrowed until `scope` returns.
    unsafe { (*pointer.cast::<Frame<'_>>()).host }.map(f)
}
