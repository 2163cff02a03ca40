//! The tasks that are under way at a time.
//!
//! A window is the first tasks of the engine's batch. They run while the engine does not change, each as soon as those are done that it
//! conflicts with, and see accounts as the tasks before them leave them. Then they are committed in order. One whose outcome does not hold
//! runs again, at once, and with it those that have seen an account as it is not any more; all others stay good. So a task runs at most twice.

use super::{graph::Graph, pace::Pace, workers::Workers};
use crate::{
    Account, Address, Changes, Engine, Execution, Task,
    runtime::{HostPrograms, Runtime, Session, SlotEnvironment},
};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

/// Fewer tasks are done before another thread has woken up.
const FEWEST: usize = 8;
/// Mentions of accounts in a window: what its graph takes memory for.
const MAX_MENTIONS: usize = 1 << 16;
/// No task is started any more when those that wait to be committed hold so many bytes.
const MAX_HELD: u64 = 256 << 20;
/// Executions that hold less are not counted: all of a window hold no more than 64 MiB, and the count would be one more place to meet.
const MIN_COUNTED: u64 = 16 << 10;

/// A moment in the life of an execution, for tests.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It begins ahead of its turn.
    BeginsAhead,
    /// It has ended, and nobody knows yet.
    EndsAhead,
    /// It begins at its turn.
    BeginsInTurn,
}

/// Is told of moments; may take its time, and may panic ahead of a task's turn.
#[doc(hidden)]
pub type Observer = Box<dyn Fn(Moment, &Task) + Send + Sync>;

/// How a task is run.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub runtime: &'a Runtime,
    pub slot: &'a SlotEnvironment,
    pub observer: Option<&'a Observer>,
}

impl Run<'_> {
    fn observe(&self, moment: Moment, task: &Task) {
        if let Some(observer) = self.observer {
            observer(moment, task);
        }
    }

    /// Runs the first task of the batch, unless that takes the host and it is not here.
    fn in_turn(&self, engine: &Engine, session: &mut Session<'_>, host: Option<&dyn HostPrograms>) -> Option<Execution> {
        let task = engine.batch().task(0);
        if host.is_none() && self.runtime.is_host_program(&task.callback.program) {
            return None;
        }
        self.observe(Moment::BeginsInTurn, task);
        session.execute(View::of(engine), self.slot, task, engine.stage(0), host)
    }
}

/// Accounts as one task sees them.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    engine: &'a Engine,
    ahead: Option<(&'a Window, usize, &'a Task)>,
}

impl<'a> View<'a> {
    /// As they are now.
    pub fn of(engine: &'a Engine) -> Self {
        View { engine, ahead: None }
    }

    /// The engine, for everything else.
    pub fn engine(&self) -> &'a Engine {
        self.engine
    }

    /// One of the accounts that the task declares, or one that no task writes.
    pub fn account(&self, address: &Address) -> Option<&'a Account> {
        if let Some((window, index, task)) = self.ahead
            && window.graph.has_conflicts()
            && let Some(mention) = task.callback.accounts.iter().position(|meta| meta.address == *address)
        {
            return window.seen(self.engine, index, task, mention);
        }
        self.engine.account(address)
    }
}

/// Where an account that a task has left is to be found: it is the engine's, or one of the changes of an execution.
#[derive(Clone, Copy)]
struct Left(u64);

impl Left {
    const BY_ENGINE: Left = Left(u64::MAX);

    fn by(task: usize, change: usize) -> Self {
        Left((task as u64) << 32 | change as u64)
    }

    fn change(self) -> Option<(usize, usize)> {
        (self.0 != u64::MAX).then_some(((self.0 >> 32) as usize, self.0 as u32 as usize))
    }
}

/// Something that all workers change all the time, away from what they only read.
#[derive(Default)]
#[repr(align(128))]
struct Alone<T>(T);

/// Tasks that nobody runs yet, though they are ready, and the workers that have nothing to do.
#[derive(Default)]
struct Queue {
    ready: Vec<usize>,
    idle: usize,
}

#[derive(Default)]
pub(crate) struct Window {
    pace: Pace,
    graph: Graph,
    /// Tasks that are committed before more are handed out; the next of them, unless there is no window at hand.
    len: usize,
    next: Option<usize>,
    /// What the next one would have changed, if it has run ahead for nothing.
    first: Option<Changes>,
    /// Tasks of the batch when the window began.
    batch_len: usize,
    /// Those before it have been looked at.
    cursor: Alone<AtomicUsize>,
    /// Of the tasks that ran ahead. There are as many as the longest window had.
    executions: Vec<OnceLock<Execution>>,
    /// For each version of an account. Written before the writer is finished, and read by none but those that wait for it.
    left: Vec<AtomicU64>,
    queue: Mutex<Queue>,
    /// As many as are in the queue, to be seen without the lock.
    ready: AtomicUsize,
    wake: Condvar,
    /// Bytes that executions hold.
    held: AtomicU64,
    /// Versions that are not what their readers saw, and tasks that saw one of them.
    changed: Vec<bool>,
    stale: Vec<bool>,
}

impl Window {
    pub fn begin_slot(&mut self) {
        self.pace.begin_slot();
        self.next = None;
    }

    /// Runs and commits the first tasks of the batch. False when the next one takes a function of the host and there is no `host`: goes on
    /// from there when it is called again.
    pub fn process(&mut self, engine: &mut Engine, workers: &Workers, run: Run<'_>, host: Option<&dyn HostPrograms>) -> bool {
        if self.next.is_none() {
            self.batch_len = engine.batch().len();
            self.run_ahead(engine, workers, run);
        }
        let mut session = run.runtime.session();
        for index in self.next.take().unwrap_or(0)..self.len {
            if !self.commit(index, engine, run, &mut session, host) {
                self.next = Some(index);
                return false;
            }
        }
        self.pace.end_window(workers.count());
        true
    }

    /// Runs and commits the task that takes the host, and those right behind it that do.
    pub fn process_in_host(&mut self, engine: &mut Engine, run: Run<'_>, host: &dyn HostPrograms) {
        let mut session = run.runtime.session();
        while let Some(index) = self.next.filter(|index| *index < self.len) {
            self.commit(index, engine, run, &mut session, Some(host));
            self.next = Some(index + 1);
            let takes_host = |task: &Task| run.runtime.is_host_program(&task.callback.program);
            if !engine.batch().iter().next().is_some_and(takes_host) {
                break;
            }
        }
    }

    /// Commits a task of the window, all before it are; false when that takes the host.
    fn commit(&mut self, index: usize, engine: &mut Engine, run: Run<'_>, session: &mut Session<'_>, host: Option<&dyn HostPrograms>) -> bool {
        let execution = self.take(index);
        if self.batch_len - engine.batch().len() > index {
            // An earlier task has cancelled it: it leaves everything as it is.
            if let Some(execution) = execution {
                self.compare(index, engine, &execution.result.unwrap_or_default().accounts, &[]);
            }
            return true;
        }
        let first = match execution {
            Some(execution) if !self.stale[index] => match engine.commit(execution) {
                Ok(()) => return true,
                Err(changes) => Some(changes),
            },
            Some(execution) => Some(execution.result.unwrap_or_default()),
            None => self.first.take(),
        };
        let Some(execution) = run.in_turn(engine, session, host) else {
            self.first = first;
            return false;
        };
        if let Some(first) = first {
            self.pace.spoiled(engine.batch().iter().take(self.len - index));
            self.compare(index, engine, &first.accounts, changes(&execution));
        }
        assert!(engine.commit(execution).is_ok(), "nothing came between");
        true
    }

    fn take(&mut self, index: usize) -> Option<Execution> {
        self.executions.get_mut(index).and_then(OnceLock::take)
    }

    /// Runs as many tasks as can be run ahead of their turn.
    fn run_ahead(&mut self, engine: &Engine, workers: &Workers, run: Run<'_>) {
        let batch = engine.batch();
        self.len = batch.len();
        if workers.count() == 1 || batch.len() < FEWEST {
            return;
        }
        self.graph.clear();
        let mut mentions = 0;
        for task in batch.iter().take(self.pace.length()) {
            mentions += task.callback.accounts.len();
            if mentions > MAX_MENTIONS {
                break;
            }
            let program = &task.callback.program;
            self.graph.push(&task.callback.accounts, self.pace.is_deferred(program) || run.runtime.is_host_program(program));
        }
        self.len = self.graph.len();
        if self.executions.len() < self.len {
            self.executions.resize_with(self.len, OnceLock::new);
        }
        let versions = self.graph.version_count();
        if self.left.len() < versions {
            self.left.resize_with(versions, AtomicU64::default);
        }
        *self.cursor.0.get_mut() = 0;
        *self.held.get_mut() = 0;
        *self.ready.get_mut() = 0;
        *self.queue.get_mut() = Queue::default();
        self.changed.clear();
        self.changed.resize(versions, false);
        self.stale.clear();
        self.stale.resize(self.len, false);
        let workers_ahead = Ahead { window: self, engine, run, workers: workers.count() };
        workers.everywhere(&|| workers_ahead.work());
        if *self.held.get_mut() > MAX_HELD {
            // What did not run for want of memory runs ahead in the next window.
            self.len = 1 + self.executions[..self.len].iter().rposition(|execution| execution.get().is_some()).unwrap_or(0);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }

    /// An account as a task of the window sees it.
    fn seen<'a>(&'a self, engine: &'a Engine, index: usize, task: &Task, mention: usize) -> Option<&'a Account> {
        let Some((writer, change)) = self.left(self.graph.seen(index, mention)).change() else {
            return engine.account(&task.callback.accounts[mention].address);
        };
        changes(self.executions[writer].get().expect("it has run"))[change].1.as_ref()
    }

    fn left(&self, version: Option<usize>) -> Left {
        version.map_or(Left::BY_ENGINE, |version| Left(self.left[version].load(Relaxed)))
    }

    /// Says where each account that the task could have changed is to be found now.
    fn publish(&self, index: usize, execution: &Execution) {
        let changes = changes(execution);
        let mut next = 0;
        for version in self.graph.versions_of(index) {
            let left = match position(changes, self.graph.address(version), next) {
                Some(change) => {
                    next = change + 1;
                    Left::by(index, change)
                }
                None => self.left(self.graph.before(version)),
            };
            self.left[version].store(left.0, Relaxed);
        }
    }

    /// Bytes that an execution holds, and that are neither the engine's nor another one's.
    fn weight(&self, engine: &Engine, index: usize, task: &Task, execution: &Execution) -> u64 {
        let mut weight = execution.staged.weight();
        for (address, account) in changes(execution) {
            let Some(account) = account.as_ref().filter(|account| account.data.len() as u64 >= MIN_COUNTED) else { continue };
            let mention = task.callback.accounts.iter().position(|meta| meta.address == *address);
            let before = mention.and_then(|mention| self.seen(engine, index, task, mention));
            if before.is_none_or(|before| !Arc::ptr_eq(&before.data, &account.data)) {
                weight += account.data.len() as u64;
            }
        }
        weight
    }

    /// Finds out what a task leaves different from how it had left it when it ran ahead, and whom that concerns. The engine is as before it.
    fn compare(&mut self, index: usize, engine: &Engine, first: &[AccountChange], again: &[AccountChange]) {
        for version in self.graph.versions_of(index) {
            let address = self.graph.address(version);
            let saw_other = self.graph.before(version).is_some_and(|before| self.changed[before]);
            let now = position(again, address, 0).map_or_else(|| engine.account(address), |change| again[change].1.as_ref());
            let same = match position(first, address, 0) {
                Some(change) => first[change].1.as_ref() == now,
                // It had left what it saw. What that was is gone when it is not what is there now.
                None => !saw_other && engine.account(address) == now,
            };
            if !same {
                self.changed[version] = true;
                self.graph.readers(version).for_each(|reader| self.stale[reader] = true);
            }
        }
    }
}

type AccountChange = (Address, Option<Account>);

fn changes(execution: &Execution) -> &[AccountChange] {
    execution.result.as_ref().map_or(&[], |changes| &changes.accounts)
}

/// Where an address is among changes, which are in the order in which their task mentions them.
fn position(changes: &[AccountChange], address: &Address, from: usize) -> Option<usize> {
    let (before, after) = changes.split_at(from.min(changes.len()));
    let find = |changes: &[AccountChange]| changes.iter().position(|(changed, _)| changed == address);
    find(after).map(|position| before.len() + position).or_else(|| find(before))
}

/// A window while it runs.
struct Ahead<'a> {
    window: &'a Window,
    engine: &'a Engine,
    run: Run<'a>,
    workers: usize,
}

impl Ahead<'_> {
    /// What each worker does.
    fn work(&self) {
        let mut session = self.run.runtime.session();
        while let Some(index) = self.next() {
            let mut index = Some(index);
            while let Some(task) = index {
                // A task that does not come to its end here runs at its turn, and those that wait for it do.
                index = catch_unwind(AssertUnwindSafe(|| self.execute(task, &mut session))).unwrap_or(None);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.window.held.load(Relaxed) > MAX_HELD
    }

    /// A task to run; `None` when there will be none any more.
    fn next(&self) -> Option<usize> {
        let window = self.window;
        while !self.is_full() && window.ready.load(Acquire) == 0 {
            let index = window.cursor.0.fetch_add(1, Relaxed);
            if index >= window.len {
                break;
            }
            if window.graph.arrive(index) {
                return Some(index);
            }
        }
        if !window.graph.has_conflicts() {
            return None;
        }
        let mut queue = window.lock();
        queue.idle += 1;
        loop {
            if !self.is_full()
                && let Some(index) = queue.ready.pop()
            {
                window.ready.store(queue.ready.len(), Release);
                queue.idle -= 1;
                return Some(index);
            }
            if queue.idle == self.workers {
                window.wake.notify_all();
                return None;
            }
            window.wake.wait(&mut queue);
        }
    }

    /// Runs a task, and says which one that has become ready to run next.
    fn execute(&self, index: usize, session: &mut Session<'_>) -> Option<usize> {
        let Ahead { window, engine, run, .. } = *self;
        if self.is_full() {
            return None;
        }
        let task = engine.batch().task(index);
        run.observe(Moment::BeginsAhead, task);
        let view = View { engine, ahead: Some((window, index, task)) };
        // One that takes a function of the host does not come to its end here, either.
        let execution = session.execute(view, run.slot, task, engine.stage(index), None)?;
        run.observe(Moment::EndsAhead, task);
        let weight = window.weight(engine, index, task, &execution);
        if weight >= MIN_COUNTED {
            window.held.fetch_add(weight, Relaxed);
        }
        window.publish(index, &execution);
        assert!(window.executions[index].set(execution).is_ok(), "a task runs once");
        let mut next = None;
        let mut others = Vec::new();
        window.graph.finish(index, |ready| others.extend(next.replace(ready)));
        if !others.is_empty() {
            let mut queue = window.lock();
            // The first of them is taken first.
            queue.ready.extend(others);
            window.ready.store(queue.ready.len(), Release);
            window.wake.notify_all();
        }
        next
    }
}
