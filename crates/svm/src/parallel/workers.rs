//! The threads that run callbacks.

use crate::matcher::ForEach;
use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread::{Builder, JoinHandle},
};

/// CPI nests runtime frames, and an unoptimised build has large ones.
const STACK_SIZE: usize = 8 << 20;

/// The calling thread, and a pool of others.
pub(crate) struct Workers {
    /// `None` when the calling thread works alone, and while dropping.
    pool: Option<rayon::ThreadPool>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    pub fn new(count: usize) -> Self {
        let mut threads = Vec::with_capacity(count - 1);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count - 1).spawn_handler(|thread| {
            let name = format!("async-bpf-{}", thread.index());
            threads.push(Builder::new().name(name).stack_size(STACK_SIZE).spawn(|| thread.run())?);
            Ok(())
        });
        match (count > 1).then(|| pool.build()) {
            Some(Ok(pool)) => Workers { pool: Some(pool), threads },
            // One is enough or, slower and with the same results, the system has no threads to give.
            _ => {
                threads.into_iter().for_each(|thread| drop(thread.join()));
                Workers { pool: None, threads: Vec::new() }
            }
        }
    }

    pub fn count(&self) -> usize {
        1 + self.threads.len()
    }

    /// Does `work` on every thread at the same time, this one included. It must not panic.
    pub fn everywhere(&self, work: &(dyn Fn() + Sync)) {
        match &self.pool {
            Some(pool) => pool.in_place_scope(|scope| {
                scope.spawn_broadcast(|_, _| work());
                work();
            }),
            None => work(),
        }
    }
}

/// Lets the engine match watchers on the same threads.
impl ForEach for Workers {
    fn for_each(&self, n: usize, job: &(dyn Fn(usize) + Sync)) {
        let next = AtomicUsize::new(0);
        self.everywhere(&|| {
            loop {
                let index = next.fetch_add(1, Relaxed);
                if index >= n {
                    break;
                }
                job(index);
            }
        });
    }
}

/// Dropping a rayon pool does not wait for its threads, but unloading the code they run, or the environment of a Node worker,
/// must not happen under them.
impl Drop for Workers {
    fn drop(&mut self) {
        drop(self.pool.take());
        for thread in self.threads.drain(..) {
            // A panic in it has already become a failed outcome.
            let _ = thread.join();
        }
    }
}
