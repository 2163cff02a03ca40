//! Sleeping until something is there, without asking the producers to wake who is awake.
//!
//! The consumer says that it waits, and looks once more. A producer publishes, and looks whether the consumer waits. Each stores and then
//! loads what the other stores, so with a full fence between the two at least one of them sees the other: either the consumer sees the
//! record, or the producer sees that it must wake. Without a fence on *both* sides both can miss, on any processor: a store may become
//! visible after a later load. The producer that takes the flag back is the one that wakes, so there is one wake for each sleep.

use crate::{
    Consumer,
    layout::WAITING_OFFSET,
    mode::Mode,
    ring::Ring,
    sync::{AcqRel, Acquire, Relaxed, SeqCst, fence, thread},
};
use std::{
    sync::{Arc, PoisonError},
    task::{Wake, Waker},
    time::{Duration, Instant},
};

/// When a producer wakes the consumer after it has published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notify {
    /// If it sleeps. Costs a full fence for each publication, so push batches.
    #[default]
    Auto,
    /// Not at all: the consumer does not sleep, or the caller says when with `notify`.
    Never,
    /// In any case, even if it does not sleep, and may have been woken by the waker before.
    Force,
}

impl Ring {
    /// Called after every publication.
    #[inline]
    pub fn notify(&self, notify: Notify) {
        if notify == Notify::Never {
            return;
        }
        fence(SeqCst); // ORD(notify:A) pairs with ORD(wait:A)
        let force = notify == Notify::Force;
        if force || self.control(WAITING_OFFSET).load(Relaxed) != 0 {
            self.wake(force);
        }
    }

    #[cold]
    fn wake(&self, force: bool) {
        let waited = self.control(WAITING_OFFSET).swap(0, AcqRel) != 0; // ORD(notify:B) pairs with ORD(wait:B)
        if waited || force {
            let waker = self.shared().waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    pub fn consumer_waits(&self) -> bool {
        self.control(WAITING_OFFSET).load(Acquire) != 0
    }

    pub fn set_waker(&self, waker: Waker) {
        *self.shared().waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }
}

impl<M: Mode> Consumer<M> {
    /// Sets what a producer calls to end a sleep that [`Consumer::prepare_wait`] has announced.
    ///
    /// Producers of this ring call it, and those who got it by `attach` to the same memory have a waker of their own.
    pub fn set_waker(&mut self, waker: Waker) {
        self.ring.set_waker(waker);
        self.parks = None;
    }

    /// Announces that the consumer is going to sleep: the waker will be called once when there is something to see.
    ///
    /// False if there is already: a record, a pad, or the end. Then it must not sleep, and nobody was told that it would.
    #[must_use = "a consumer that sleeps although something is there is not woken"]
    pub fn prepare_wait(&mut self) -> bool {
        self.ring.control(WAITING_OFFSET).swap(1, AcqRel);
        fence(SeqCst); // ORD(wait:A) pairs with ORD(notify:A)
        let sleep = self.is_empty() && !self.is_finished();
        if !sleep {
            self.cancel_wait();
        }
        sleep
    }

    /// Takes back [`Consumer::prepare_wait`], for example after a timeout. The waker may be called nevertheless, by a producer that was faster.
    pub fn cancel_wait(&mut self) {
        self.ring.control(WAITING_OFFSET).swap(0, AcqRel);
    }

    /// Blocks the thread until there is something to read or the ring is finished; false if there is not after `timeout`.
    ///
    /// It is woken by producers with [`Notify::Auto`] or by `notify`. Replaces the waker.
    pub fn wait(&mut self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let this = std::thread::current().id();
        if self.parks != Some(this) {
            self.set_waker(Waker::from(Arc::new(Unpark(thread::current()))));
            self.parks = Some(this);
        }
        while self.prepare_wait() {
            // Whoever ends the sleep takes the flag first. A token left from elsewhere ends a park early, which the flag shows.
            while self.ring.consumer_waits() {
                match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                    None => thread::park(),
                    Some(Duration::ZERO) => {
                        self.cancel_wait();
                        return !self.is_empty() || self.is_finished();
                    }
                    Some(left) => thread::park_timeout(left),
                }
            }
        }
        true
    }
}

/// Wakes a thread that parks.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
