//! Which tasks of a batch run at the same time, and on which threads.
//!
//! A group is the longest run of tasks, from the front of the batch, in which no two share an account that either may write.
//! Its tasks run at the same time; the engine then takes their outcomes in order. What tasks do to each other through timers,
//! watchers and ring buffers the engine notices itself, and hands such a task out again.

use crate::{
    Address, Engine, Execution, Task,
    matcher::ForEach,
    runtime::{Runtime, SlotEnvironment},
};
use rayon::prelude::*;
use std::{
    collections::HashMap,
    thread::{Builder, JoinHandle},
};

/// CPI nests runtime frames, and an unoptimised build has large ones.
const STACK_SIZE: usize = 8 << 20;
/// Bounds the work that is lost when a task has to run again, and the memory that uncommitted calls take.
pub(crate) const MAX_GROUP: usize = 128;

pub(crate) enum Workers {
    /// The calling thread.
    Caller,
    Pool(Pool),
}

pub(crate) struct Pool {
    /// `None` only while dropping.
    pool: Option<rayon::ThreadPool>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    pub fn new(count: usize) -> Self {
        if count == 1 {
            return Workers::Caller;
        }
        let mut threads = Vec::with_capacity(count);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .spawn_handler(|thread| {
                let name = format!("async-bpf-{}", thread.index());
                threads.push(Builder::new().name(name).stack_size(STACK_SIZE).spawn(|| thread.run())?);
                Ok(())
            })
            .build();
        match pool {
            Ok(pool) => Workers::Pool(Pool { pool: Some(pool), threads }),
            // The system has no threads to give: slower, and the same results.
            Err(_) => {
                threads.into_iter().for_each(|thread| drop(thread.join()));
                Workers::Caller
            }
        }
    }

    pub fn count(&self) -> usize {
        match self {
            Workers::Caller => 1,
            Workers::Pool(pool) => pool.threads.len(),
        }
    }

    /// Runs the first tasks of the engine's batch, which is not empty; at most `max`.
    pub fn run(&self, engine: &Engine, runtime: &Runtime, slot: &SlotEnvironment, max: usize) -> Vec<Execution> {
        let batch = engine.batch();
        let execute = |index: usize| runtime.execute(engine, slot, batch.task(index), engine.stage(index));
        let group = match self {
            Workers::Caller => 1,
            Workers::Pool(_) => independent(batch.iter().take(max)),
        };
        match self {
            Workers::Pool(Pool { pool: Some(pool), .. }) if group > 1 => pool.install(|| (0..group).into_par_iter().map(execute).collect()),
            _ => vec![execute(0)],
        }
    }
}

/// Lets the engine match watchers on the same threads.
impl ForEach for Workers {
    fn for_each(&self, n: usize, job: &(dyn Fn(usize) + Sync)) {
        match self {
            Workers::Pool(Pool { pool: Some(pool), .. }) => pool.install(|| (0..n).into_par_iter().for_each(job)),
            _ => (0..n).for_each(job),
        }
    }
}

/// How many tasks from the front can run at the same time.
fn independent<'a>(tasks: impl Iterator<Item = &'a Task>) -> usize {
    let mut writes: HashMap<Address, bool> = HashMap::new();
    let mut count = 0;
    for task in tasks {
        let accounts = &task.callback.accounts;
        let conflict = accounts.iter().any(|meta| writes.get(&meta.address).is_some_and(|written| *written || meta.writable));
        if conflict {
            break;
        }
        for meta in accounts {
            *writes.entry(meta.address).or_default() |= meta.writable;
        }
        count += 1;
    }
    count
}

/// Dropping a rayon pool does not wait for its threads, but unloading the code they run, or the environment of a Node worker,
/// must not happen under them.
impl Drop for Pool {
    fn drop(&mut self) {
        drop(self.pool.take());
        for thread in self.threads.drain(..) {
            // A panic in it has already become a failed outcome.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountMeta, Callback, Cause, Priority, Source, SourceKind};
    use std::sync::Arc;

    fn task(accounts: &[(u8, bool)]) -> Task {
        let accounts = accounts.iter().map(|(n, writable)| AccountMeta { address: Address([*n; 32]), signer: false, writable: *writable }).collect();
        let cause = Cause { trigger: 0, due_slot: 0, ticks: 1, account: Address::default(), old_value: None, new_value: None };
        Task {
            id: 0,
            sequence: 0,
            source: Source { kind: SourceKind::Task, id: 0 },
            callback: Arc::new(Callback { program: Address::default(), data: vec![], accounts, compute_budget: 1 }),
            priority: Priority::Normal,
            deadline_slot: None,
            queued_slot: 0,
            cause,
        }
    }

    #[test]
    fn a_group_ends_before_the_first_conflict() {
        let (read, write) = (false, true);
        let length = |tasks: &[&[(u8, bool)]]| independent(tasks.iter().map(|accounts| task(accounts)).collect::<Vec<_>>().iter());
        assert_eq!(length(&[&[], &[], &[]]), 3);
        assert_eq!(length(&[&[(1, read)], &[(1, read)], &[(1, read)]]), 3);
        assert_eq!(length(&[&[(1, write)], &[(2, write)], &[(1, write)]]), 2);
        assert_eq!(length(&[&[(1, read)], &[(2, read)], &[(1, write)], &[]]), 2, "written after it was read");
        assert_eq!(length(&[&[(1, write)], &[(1, read)]]), 1, "read after it was written");
        assert_eq!(length(&[&[(1, read), (1, write), (1, read)], &[(1, read)]]), 1, "mentioned with other flags");
        assert_eq!(length(&[&[(1, write), (1, write)]]), 1, "a task is no conflict with itself");
    }
}
