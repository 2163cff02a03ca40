//! The state machine: one slot is `step`, then `commit` for each task and `advance` until there is a report.

use crate::{
    Account, AccountUpdate, Address, Call, Callback, Caller, Error, ErrorCode, Failure, Limits, Outcome, Priority, Reply, RingEntry, RingHeader,
    RingReader, SlotReport, Source, SourceKind, Stage, Staged, StateHash, Stats, Status, Task, Timer, TimerState, Watcher,
    account::{AccountRules, Accounts},
    address::AddressHasher,
    ahead::{self, GROUP},
    hash::Delta,
    matcher::{Fired, ForEach, OneThread},
    ring::Rings,
    scheduler::Key,
    stage::{Calls, TimerDraft, id},
    task::{Cause, TaskQueue},
    timer::{Tick, Timers},
    watcher::{Triggered, Values, Watchers},
};
use async_bpf_ring::one_to_one::Producer;
use borsh::BorshSerialize;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::{cell::Cell, sync::Arc};

/// Finished timers are forgotten at the first processed slot at or past a multiple of this.
const CLEAN_UP_SLOTS: u64 = 100;
/// Milliseconds between slots, unless the host says what time it is.
const SLOT_MILLIS: i128 = 400;
/// The most accounts one instruction can have: the runtime counts them in one byte.
const MAX_INVOKE_ACCOUNTS: usize = 255;
/// The longest instruction data a host may pass; the same as of a CPI.
const MAX_INVOKE_DATA_LEN: usize = 10_240;

/// What an engine is created with.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize)]
pub struct Config {
    /// What it allows.
    pub limits: Limits,
    /// The current slot at first.
    pub start_slot: u64,
    /// Seconds since 1970 at the start slot.
    pub start_timestamp: i64,
}

/// What a slot begins with.
#[derive(Clone, Copy, Debug)]
pub struct SlotInput {
    /// Above the current slot; slots may be skipped.
    pub slot: u64,
    /// Seconds since 1970; by default 400 ms a slot after the last that was given.
    pub unix_timestamp: Option<i64>,
}

/// What there is to do after `step` and `advance`.
pub enum Progress {
    /// Run tasks of [`Engine::batch`], commit the outcomes, and [`advance`](Engine::advance).
    Batch,
    /// The slot is done.
    Report(SlotReport),
}

/// What came of running one task.
pub struct Execution {
    /// The task's id.
    pub task_id: u64,
    /// Compute units used.
    pub units_consumed: u64,
    /// What was logged.
    pub logs: Vec<String>,
    /// The accounts it changed, as they are now (`None`: gone), and the return data; or why it failed.
    pub result: Result<Changes, Failure>,
    /// The calls it made.
    pub staged: Staged,
}

/// What a successful invocation changed in accounts, and what it returned.
#[derive(Default)]
pub struct Changes {
    /// Changed accounts as they are now, in the order of the instruction. Most invocations change one, and memory that one thread takes
    /// and another gives back costs both.
    pub accounts: SmallVec<[(Address, Option<Account>); 1]>,
    /// Return data.
    pub return_data: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Eq, BorshSerialize)]
struct Meta {
    slot: u64,
    /// The slot and the milliseconds from which time is counted.
    clock: (u64, i64),
    next_sequence: u64,
    draining: bool,
    stats: Stats,
}

struct Program {
    code: [u8; 32],
    /// The accounts that stand for it.
    accounts: Vec<Address>,
}

/// The tasks that may run now, in order.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    tasks: &'a TaskQueue,
    keys: &'a [Key],
}

impl<'a> Batch<'a> {
    /// How many.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// One of them; panics when there are fewer.
    pub fn task(&self, index: usize) -> &'a Task {
        self.tasks.get(self.keys[index])
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a Task> + use<'a> {
        let tasks = self.tasks;
        self.keys.iter().map(|key| tasks.get(*key))
    }
}

struct Running {
    /// Tasks that were handed out in this slot, and the first that has no outcome yet.
    batch: Vec<Key>,
    next: usize,
    /// Budgets of those that have none.
    ahead: u64,
    report: SlotReport,
}

/// Timers, watchers, ring buffers, tasks and accounts, and the rules by which they act on each other.
///
/// It never calls out: a host gives it inputs, takes the tasks that may run, runs them as it sees fit, and hands the
/// outcomes back. Equal inputs give equal outputs.
pub struct Engine {
    limits: Limits,
    meta: Meta,
    programs: HashMap<Address, Program>,
    account_rules: AccountRules,
    new_programs: Vec<Address>,
    accounts: Accounts,
    timers: Timers,
    watchers: Watchers,
    rings: Rings,
    tasks: TaskQueue,
    running: Option<Running>,
    /// The list of the last batch, to be used again.
    spare_batch: Vec<Key>,
    /// Moves when a task changes a ring buffer or a watcher.
    version: u64,
    /// At which version each ring buffer and watcher last changed, of those that tasks have changed in this slot.
    changed: HashMap<u64, u64>,
    chain: StateHash,
    sealed_meta: Meta,
}

impl Engine {
    /// An engine with nothing in it.
    pub fn new(config: Config) -> Result<Self, Error> {
        config.limits.validate()?;
        let millis = config.start_timestamp.checked_mul(1000).ok_or_else(|| timestamp_error(config.start_timestamp))?;
        let meta = Meta { slot: config.start_slot, clock: (config.start_slot, millis), next_sequence: 1, draining: false, stats: Stats::default() };
        let hasher = AddressHasher::default();
        Ok(Engine {
            chain: StateHash::genesis(&config),
            sealed_meta: meta.clone(),
            timers: Timers::new(meta.slot, &config.limits),
            limits: config.limits,
            meta,
            programs: HashMap::new(),
            account_rules: AccountRules::default(),
            new_programs: Vec::new(),
            accounts: Accounts::new(hasher.clone()),
            watchers: Watchers::new(hasher),
            rings: Rings::default(),
            tasks: TaskQueue::default(),
            running: None,
            spare_batch: Vec::new(),
            version: 0,
            changed: HashMap::new(),
        })
    }

    // ---- one slot ------------------------------------------------------------------------------------------------

    /// Begins a slot: fires timers, matches watchers, queues and orders tasks.
    pub fn step(&mut self, input: SlotInput) -> Result<Progress, Error> {
        self.step_with(input, &OneThread)
    }

    /// The same with the help of other threads, if there are so many changed accounts that it pays.
    pub fn step_with(&mut self, input: SlotInput, parallel: &dyn ForEach) -> Result<Progress, Error> {
        self.begin_slot(input)?;
        Ok(self.fire(parallel))
    }

    /// Begins a slot, and no more: what the host does from now on, reading ring buffers for instance, counts for the next one.
    /// [`Engine::fire`] goes on.
    pub fn begin_slot(&mut self, input: SlotInput) -> Result<(), Error> {
        self.idle()?;
        let SlotInput { slot, unix_timestamp } = input;
        let previous = self.meta.slot;
        if slot <= previous {
            return Err(Error::InvalidSlot { argument: "slot", value: slot, min: previous.saturating_add(1), max: u64::MAX });
        }
        if let Some(seconds) = unix_timestamp {
            self.meta.clock = (slot, seconds.checked_mul(1000).ok_or_else(|| timestamp_error(seconds))?);
        }
        self.meta.slot = slot;
        self.meta.stats.slots_processed += 1;
        self.changed.clear();
        let report = SlotReport {
            slot,
            outcomes: Vec::new(),
            timers_fired: 0,
            watchers_triggered: 0,
            tasks_queued: 0,
            tasks_pending: 0,
            units_consumed: 0,
            state_hash: self.chain,
        };

        self.rings.sample_host_cursors();
        if slot / CLEAN_UP_SLOTS > previous / CLEAN_UP_SLOTS {
            self.timers.clean_up();
        }
        let batch = std::mem::take(&mut self.spare_batch);
        self.running = Some(Running { batch, next: 0, ahead: 0, report });
        Ok(())
    }

    /// Fires timers, matches watchers, queues and orders tasks of the slot that was begun.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn fire(&mut self, parallel: &dyn ForEach) -> Progress {
        let mut running = self.running.take().expect("a slot was begun");
        self.fire_timers(&mut running.report);
        self.accounts.apply_updates();
        self.match_watchers(parallel, &mut running.report);
        self.order_tasks(&mut running.report);
        self.running = Some(running);
        self.advance()
    }

    /// The tasks that may run now, in order, without those that an earlier one has cancelled in front. Whoever runs them ahead of
    /// their turn must let each see the accounts as those before it leave them; what else one does to another, `commit` sees.
    pub fn batch(&self) -> Batch<'_> {
        let keys = self.running.as_ref().map_or(&[][..], |running| &running.batch[running.next..]);
        Batch { tasks: &self.tasks, keys }
    }

    /// A stage for the task at `index` of the batch. It expects those before it to leave the queue and do nothing else; `commit`
    /// sees whether that is how it was.
    pub fn stage(&self, index: usize) -> Stage<'_> {
        let ahead = index as u64 + 1;
        Stage::new(self, self.batch().task(index).sequence, self.tasks.len().saturating_sub(ahead))
    }

    /// Takes the outcome of the first task of the batch.
    ///
    /// # Errors
    ///
    /// What it would have changed, when something that an earlier task did spoils it: the task must run again, over the state as it is now.
    ///
    /// # Panics
    ///
    /// When it is not the outcome of that task.
    pub fn commit(&mut self, mut execution: Execution) -> Result<(), Changes> {
        let (key, sequence) = {
            let Running { batch, next, .. } = self.running.as_ref().expect("a batch is running");
            if next % GROUP == 0 {
                let keys = batch[*next..].iter().take(GROUP);
                ahead::read(keys, |key| self.timers.get(self.tasks.get(*key).source.id).map_or(0, |timer| timer.in_flight));
            }
            let task = self.tasks.get(batch[*next]);
            assert_eq!(task.id, execution.task_id, "outcomes come in the order of the batch");
            (batch[*next], task.sequence)
        };
        let stage = Stage::new(self, sequence, self.tasks.len() - 1);
        if !stage.confirms(&execution.staged) {
            match stage.replay(execution.staged) {
                Some(staged) => execution.staged = staged,
                None => return Err(execution.result.unwrap_or_default()),
            }
        }
        let task = self.pass(key);
        let outcome = self.settle(&task, execution);
        let succeeded = outcome.status == Status::Committed;
        self.finish_source(&task, if succeeded { TimerState::Completed } else { TimerState::Failed });
        let report = &mut self.running.as_mut().expect("a batch is running").report;
        report.units_consumed += outcome.units_consumed;
        report.outcomes.push(outcome);
        self.pass_cancelled();
        Ok(())
    }

    /// Takes the first task out of the batch.
    fn pass(&mut self, key: Key) -> Task {
        let task = self.tasks.take(key);
        let running = self.running.as_mut().expect("a batch is running");
        running.ahead -= task.callback.compute_budget;
        running.next += 1;
        task
    }

    /// Passes over the first tasks of the batch as long as they are cancelled: they need no execution.
    fn pass_cancelled(&mut self) {
        while let Some(Running { batch, next, .. }) = &self.running
            && let Some(&key) = batch.get(*next)
            && self.tasks.is_cancelled(key)
        {
            self.pass(key);
        }
    }

    /// Adds as many tasks to the batch as the compute limit can pay for or, when none is left, ends the slot.
    pub fn advance(&mut self) -> Progress {
        let mut running = self.running.take().expect("a batch is running");
        // Most tasks are of the same program as the one before.
        let mut last = None;
        while let Some((key, task)) = self.tasks.peek() {
            let (budget, program) = (task.callback.compute_budget, task.callback.program);
            let units = running.report.units_consumed + running.ahead;
            if units.saturating_add(budget) > self.limits.slot_compute_limit {
                break;
            }
            let known = match last {
                Some((other, known)) if other == program => known,
                _ => self.programs.contains_key(&program),
            };
            last = Some((program, known));
            // It fails in its turn.
            if !known && running.next < running.batch.len() {
                break;
            }
            self.tasks.hand_out();
            if known {
                running.batch.push(key);
                running.ahead += budget;
            } else {
                let task = self.tasks.take(key);
                let failure = Failure {
                    code: ErrorCode::UnknownProgram,
                    reason: "UnknownProgram".into(),
                    message: Error::UnknownProgram { program }.to_string(),
                    custom: None,
                };
                self.meta.stats.tasks_failed += 1;
                running.report.outcomes.push(without_execution(&task, Status::Failed, Some(failure)));
                self.finish_source(&task, TimerState::Failed);
            }
        }
        if running.next < running.batch.len() {
            running.report.outcomes.reserve(running.batch.len() - running.next);
            self.running = Some(running);
            return Progress::Batch;
        }
        let Running { mut batch, mut report, .. } = running;
        batch.clear();
        self.spare_batch = batch;
        report.tasks_pending = self.tasks.len();
        report.state_hash = self.seal();
        Progress::Report(report)
    }

    fn fire_timers(&mut self, report: &mut SlotReport) {
        let slot = self.meta.slot;
        let due = self.timers.take_due(slot);
        let mut ticks = Vec::new();
        for (index, &(trigger_slot, id)) in due.iter().enumerate() {
            if index % GROUP == 0 {
                self.read_ahead(self.timers.read_ahead(&due[index..]));
            }
            let room = self.room();
            let timer = self.timers.get(id).expect("a due timer exists");
            if timer.spec.deadline_slot.is_some_and(|deadline| deadline < slot) {
                let task = self.timer_task(id, Tick { due_slot: trigger_slot, ticks: 1 });
                self.expire(&task, report);
                self.timers.update(id, |timer| timer.finish(TimerState::Expired));
            } else if timer.waits(room) {
                self.timers.wait(trigger_slot, id);
            } else {
                self.timers.update(id, |timer| timer.fire(slot, room, &mut ticks));
                report.timers_fired += ticks.len() as u64;
                for tick in ticks.drain(..) {
                    let task = self.timer_task(id, tick);
                    self.tasks.push(task);
                }
            }
        }
        self.meta.stats.timers_fired += report.timers_fired;
    }

    /// Has at hand what starting these callbacks will look at.
    fn read_ahead(&self, callbacks: [Option<&Callback>; GROUP]) {
        let callbacks = || callbacks.iter().flatten();
        ahead::read(callbacks(), |callback| callback.compute_budget);
        ahead::read(callbacks(), |callback| callback.data.first().map_or(0, |byte| u64::from(*byte)));
        ahead::read(callbacks(), |callback| callback.accounts.first().map_or(0, |meta| meta.signer.into()));
    }

    fn timer_task(&mut self, timer: u64, tick: Tick) -> Task {
        let sequence = self.next_sequence();
        let spec = &self.timers.get(timer).expect("a due timer exists").spec;
        Task {
            id: id(sequence, 0),
            sequence,
            source: Source { kind: SourceKind::Timer, id: timer },
            callback: spec.callback.clone(),
            priority: spec.priority,
            deadline_slot: spec.deadline_slot,
            queued_slot: self.meta.slot,
            cause: Cause { trigger: 0, due_slot: tick.due_slot, ticks: tick.ticks, account: Address::default(), old_value: None, new_value: None },
        }
    }

    fn match_watchers(&mut self, parallel: &dyn ForEach, report: &mut SlotReport) {
        while self.room() > 0
            && let Some(id) = self.watchers.first_waiting()
        {
            let waiting = self.watchers.update(id, |watcher| watcher.waiting.take()).expect("it waits");
            self.queue_trigger(id, waiting.due_slot, waiting.count, waiting.values);
        }
        let touched = self.accounts.take_touched();
        let fired = self.watchers.fired(&self.accounts, &touched, parallel);
        for (index, &Fired { id, old_value, new_value, .. }) in fired.iter().enumerate() {
            if index % GROUP == 0 {
                self.read_ahead(self.watchers.read_ahead(&fired[index..]));
            }
            if self.watchers.get(id).expect("a watcher that fires exists").active {
                self.trigger(id, (old_value, new_value), report);
            }
        }
        self.watchers.drop_baselines();
        // What only the touched accounts still had is freed with them.
        let data = || touched.iter().filter_map(|touched| touched.before.as_ref()).map(|before| &before.data);
        ahead::read(data(), |data| Arc::strong_count(data) as u64);
        ahead::read(data(), |data| data.first().map_or(0, |byte| u64::from(*byte)));
        self.meta.stats.watchers_triggered += report.watchers_triggered;
    }

    /// Queues a trigger, lets it wait for room, or suppresses it.
    fn trigger(&mut self, id: u64, values: Values, report: &mut SlotReport) {
        let (slot, room, order) = (self.meta.slot, self.room(), self.watchers.next_waiting_order());
        match self.watchers.update(id, |watcher| watcher.trigger(slot, room, order, values)) {
            Triggered::Suppressed => self.meta.stats.watchers_suppressed += 1,
            Triggered::Waits => report.watchers_triggered += 1,
            Triggered::Queues => {
                report.watchers_triggered += 1;
                self.queue_trigger(id, slot, 1, values);
            }
        }
    }

    fn queue_trigger(&mut self, watcher: u64, due_slot: u64, ticks: u64, values: Values) {
        let sequence = self.next_sequence();
        let spec = &self.watchers.get(watcher).expect("a watcher that triggers exists").spec;
        self.tasks.push(Task {
            id: id(sequence, 0),
            sequence,
            source: Source { kind: SourceKind::Watcher, id: watcher },
            callback: spec.callback.clone(),
            priority: spec.priority,
            deadline_slot: None,
            queued_slot: self.meta.slot,
            cause: Cause { trigger: spec.trigger.number(), due_slot, ticks, account: spec.account, old_value: values.0, new_value: values.1 },
        });
    }

    /// Orders the tasks, those that have just been queued among them, and expires what is too late.
    fn order_tasks(&mut self, report: &mut SlotReport) {
        for task in self.tasks.begin_slot(self.meta.slot) {
            self.expire(&task, report);
            self.finish_source(&task, TimerState::Expired);
        }
        ahead::read(self.tasks.queued(), |task| task.callback.compute_budget);
        let last = Cell::new(None);
        ahead::read(self.tasks.queued(), |task| {
            let program = Some(task.callback.program);
            // As in `advance`.
            u64::from(last.replace(program) != program && self.programs.contains_key(&task.callback.program))
        });
        report.tasks_queued = self.tasks.len();
    }

    fn expire(&mut self, task: &Task, report: &mut SlotReport) {
        self.meta.stats.tasks_expired += 1;
        report.outcomes.push(without_execution(task, Status::Expired, None));
    }

    /// Tells a timer that one of its tasks is over.
    fn finish_source(&mut self, task: &Task, state: TimerState) {
        if task.source.kind == SourceKind::Timer {
            self.timers.update(task.source.id, |timer| timer.callback_ended(state));
        }
    }

    /// Makes the effects of an invocation real, if it succeeded.
    fn settle(&mut self, task: &Task, execution: Execution) -> Outcome {
        let staged_codes = execution.staged.codes();
        self.meta.stats.units_consumed += execution.units_consumed;
        let (status, failure, return_data) = match execution.result {
            Ok(changes) => {
                self.meta.stats.tasks_completed += 1;
                for (address, account) in changes.accounts {
                    self.accounts.set(address, account);
                }
                self.apply(execution.staged);
                (Status::Committed, None, changes.return_data)
            }
            Err(failure) => {
                self.meta.stats.tasks_failed += 1;
                (Status::Failed, Some(failure), None)
            }
        };
        Outcome {
            task_id: task.id,
            program: task.callback.program,
            source: task.source,
            status,
            failure,
            units_consumed: execution.units_consumed,
            logs: execution.logs,
            return_data,
            staged_codes,
        }
    }

    fn apply(&mut self, staged: Staged) {
        let Some(calls) = staged.into_calls() else { return };
        self.note_changes(&calls);
        let Calls { timers, watchers, rings, tasks, .. } = *calls;
        for (id, draft) in timers {
            match draft {
                TimerDraft::New(timer) => {
                    self.meta.stats.timers_created += 1;
                    self.timers.insert(timer);
                }
                TimerDraft::Cancelled => {
                    self.tasks.cancel(Source { kind: SourceKind::Timer, id });
                    self.timers.update(id, |timer| timer.finish(TimerState::Cancelled));
                }
            }
        }
        for (id, watcher) in watchers {
            let before = self.watchers.get(id);
            let looked = before.is_some_and(|watcher| watcher.active);
            if before.is_none() {
                self.meta.stats.watchers_created += 1;
            }
            match watcher {
                Some(mut watcher) => {
                    let account = watcher.spec.account;
                    // What changed in this slot before it was there, or while it was paused, is not for it to see.
                    if !looked && watcher.active && self.accounts.is_touched(&account) {
                        watcher.baseline = Some(Box::new(self.accounts.get(&account).cloned()));
                    }
                    self.watchers.put(watcher);
                }
                None => {
                    self.tasks.cancel(Source { kind: SourceKind::Watcher, id });
                    self.watchers.remove(id);
                }
            }
        }
        for draft in rings.into_values() {
            self.rings.apply(draft);
        }
        for task in tasks {
            self.meta.stats.tasks_submitted += 1;
            let sequence = self.next_sequence();
            self.tasks.push(Task { sequence, ..task });
        }
    }

    /// Lets stages over the state before know what was not theirs to see. Between slots there are none.
    fn note_changes(&mut self, calls: &Calls) {
        if self.running.is_some() && !(calls.watchers.is_empty() && calls.rings.is_empty()) {
            self.version += 1;
            let ids = calls.watchers.keys().chain(calls.rings.keys());
            self.changed.extend(ids.map(|id| (*id, self.version)));
        }
    }

    // ---- the host, between slots ---------------------------------------------------------------------------------

    /// Makes one call, now.
    pub fn call(&mut self, caller: Caller, call: Call) -> Result<Reply, Error> {
        self.idle()?;
        if let (Caller::Host, Call::RingPop { id, max_len } | Call::RingPeek { id, max_len }) = (caller, &call)
            && self.rings.get(*id).is_some_and(|ring| ring.header.reader == RingReader::Host)
        {
            return self.host_pop(*id, *max_len, matches!(call, Call::RingPop { .. }));
        }
        let mut stage = Stage::new(self, self.meta.next_sequence, self.tasks.len());
        let reply = stage.call(caller, call)?;
        let staged = stage.finish();
        if staged.created_ids() {
            self.meta.next_sequence += 1;
        }
        self.apply(staged);
        Ok(reply)
    }

    fn host_pop(&mut self, id: u64, max_len: u64, take: bool) -> Result<Reply, Error> {
        let Some(entry) = self.rings.host_peek(id)? else { return Ok(Reply::default()) };
        let needed = entry.data.len() as u64;
        if needed > max_len {
            return Err(Error::OutputTooSmall { id, needed, given: max_len });
        }
        let reply = Reply { value: needed, bytes: entry.data.clone() };
        if take {
            self.rings.host_read(id, 1)?;
        }
        Ok(reply)
    }

    /// Takes up to `max` entries that the host has not read yet out of a buffer that it reads.
    pub fn drain_ring(&mut self, id: u64, max: usize) -> Result<Vec<Arc<RingEntry>>, Error> {
        self.rings.host_read(id, max)
    }

    /// Lets the host read a buffer that it reads through a queue, without calls: `producer` is where its entries go, the unread ones at once.
    ///
    /// Each is a record of 16 bytes and its data: sequence number and slot, each a little-endian `u64`. What the other side has consumed
    /// counts as read from the next slot on, like what is read by calls. While there is an outlet, [`Engine::drain_ring`] and the host's pop
    /// and peek are refused, so that no entry is read twice. It ends, and its queue is closed, when the buffer is destroyed, when another is
    /// set, by [`Engine::remove_outlet`], and when its memory does not make sense or is too small for an entry; then the host reads by calls.
    ///
    /// # Errors
    ///
    /// INVALID_BUFFER, INVALID_ARGUMENT for a buffer that programs read.
    pub fn set_outlet(&mut self, id: u64, producer: Producer) -> Result<(), Error> {
        self.rings.set_outlet(id, producer)
    }

    /// Closes the outlet, if there is one. Calls go on from where the other side has consumed to, or, where that can no longer be known,
    /// from where it was at the last slot.
    ///
    /// # Errors
    ///
    /// As [`Engine::set_outlet`].
    pub fn remove_outlet(&mut self, id: u64) -> Result<(), Error> {
        self.rings.remove_outlet(id)
    }

    /// A task for one instruction that the host runs now.
    pub fn begin_invoke(&mut self, callback: Callback) -> Result<Task, Error> {
        self.idle()?;
        if !self.is_program(&callback.program) {
            return Err(Error::UnknownProgram { program: callback.program });
        }
        if callback.accounts.len() > MAX_INVOKE_ACCOUNTS {
            return Err(Error::invalid("accounts", format!("{} accounts", callback.accounts.len()), format!("at most {MAX_INVOKE_ACCOUNTS}")));
        }
        if callback.data.len() > MAX_INVOKE_DATA_LEN {
            return Err(Error::invalid("data", format!("{} bytes", callback.data.len()), format!("at most {MAX_INVOKE_DATA_LEN} bytes")));
        }
        crate::callback::check_budget(callback.compute_budget, self.limits.max_compute_budget)?;
        let sequence = self.next_sequence();
        let slot = self.meta.slot;
        Ok(Task {
            id: id(sequence, 0),
            sequence,
            source: Source { kind: SourceKind::Invoke, id: id(sequence, 0) },
            callback: Arc::new(callback),
            priority: Priority::Critical,
            deadline_slot: None,
            queued_slot: slot,
            cause: Cause { trigger: 0, due_slot: slot, ticks: 1, account: Address::default(), old_value: None, new_value: None },
        })
    }

    /// A stage for such a task.
    pub fn invoke_stage(&self, task: &Task) -> Stage<'_> {
        Stage::new(self, task.sequence, self.tasks.len())
    }

    /// Takes its outcome.
    pub fn commit_invoke(&mut self, task: &Task, execution: Execution) -> Outcome {
        self.settle(task, execution)
    }

    /// Replaces an account now. Watchers see the change in the next slot.
    pub fn set_account(&mut self, address: Address, account: Option<Account>) -> Result<(), Error> {
        self.idle()?;
        self.account_rules.check(&address, account.as_ref())?;
        self.accounts.set(address, account);
        Ok(())
    }

    /// Keeps account states for the next slot: all of them or, when one is refused, none.
    pub fn update_accounts(&mut self, updates: Vec<AccountUpdate>) -> Result<(), Error> {
        self.idle()?;
        for update in &updates {
            self.account_rules.check(&update.address, Some(&update.account))?;
        }
        self.accounts.queue_updates(updates);
        Ok(())
    }

    /// What account states a host may hand in, as it is until programs are added or removed.
    pub fn account_rules(&self) -> &AccountRules {
        &self.account_rules
    }

    /// Makes a program known, or replaces it, with the accounts that stand for it. `code` names its contents.
    pub fn add_program(&mut self, address: Address, code: [u8; 32], accounts: Vec<(Address, Account)>) -> Result<(), Error> {
        self.idle()?;
        let addresses: Vec<_> = accounts.iter().map(|(address, _)| *address).collect();
        self.account_rules.protect(addresses.iter().chain([&address]));
        self.programs.insert(address, Program { code, accounts: addresses });
        self.new_programs.push(address);
        for (address, account) in accounts {
            self.accounts.forget_updates(&address);
            self.accounts.set(address, Some(account));
        }
        Ok(())
    }

    /// Forgets a program and the accounts that stand for it. Its timers and watchers stay; their tasks fail with UNKNOWN_PROGRAM.
    pub fn remove_program(&mut self, address: Address) -> Result<(), Error> {
        self.idle()?;
        let program = self.programs.remove(&address).ok_or(Error::UnknownProgram { program: address })?;
        self.new_programs.push(address);
        self.account_rules.release(program.accounts.iter().chain([&address]));
        for address in program.accounts {
            self.accounts.set(address, None);
        }
        Ok(())
    }

    /// Takes no new work from now on: whatever creates something fails with SHUTDOWN. What is there runs on.
    pub fn drain(&mut self) -> Result<(), Error> {
        self.idle()?;
        self.meta.draining = true;
        Ok(())
    }

    /// Makes what was done so far the state from which the engine starts.
    pub fn seal_genesis(&mut self) {
        self.accounts.apply_updates();
        self.accounts.take_touched();
        self.watchers.drop_baselines();
        self.seal();
    }

    // ---- looking -------------------------------------------------------------------------------------------------

    /// The slot that was processed last, or the start slot.
    pub fn slot(&self) -> u64 {
        self.meta.slot
    }

    /// Seconds since 1970 in the current slot.
    pub fn unix_timestamp(&self) -> i64 {
        let (slot, millis) = self.meta.clock;
        let now = i128::from(millis) + SLOT_MILLIS * i128::from(self.meta.slot - slot);
        now.div_euclid(1000).min(i128::from(i64::MAX)) as i64
    }

    /// What it allows.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether it takes no new work.
    pub fn is_draining(&self) -> bool {
        self.meta.draining
    }

    /// Whether a program is loaded at this address.
    pub fn is_program(&self, address: &Address) -> bool {
        self.programs.contains_key(address)
    }

    /// An account as it is now; `None` when it does not exist.
    pub fn account(&self, address: &Address) -> Option<&Account> {
        self.accounts.get(address)
    }

    /// A timer, unless it finished and was forgotten.
    pub fn timer(&self, id: u64) -> Option<&Timer> {
        self.timers.get(id)
    }

    /// The timers of a program, finished ones included, by id.
    pub fn timers_of(&self, program: Address) -> impl Iterator<Item = &Timer> {
        self.timers.of_program(program)
    }

    /// A watcher.
    pub fn watcher(&self, id: u64) -> Option<&Watcher> {
        self.watchers.get(id)
    }

    /// The watchers of an account, by id.
    pub fn watchers_of(&self, account: &Address) -> impl Iterator<Item = &Watcher> {
        self.watchers.of_account(account)
    }

    /// A ring buffer, and how many of its entries nobody has taken yet.
    pub fn ring(&self, id: u64) -> Option<(&RingHeader, u64)> {
        self.rings.get(id).map(|ring| (&ring.header, ring.unread().len() as u64))
    }

    /// Counts.
    pub fn stats(&self) -> Stats {
        Stats {
            timers_active: self.timers.active(),
            watchers_active: self.watchers.active(),
            rings_active: self.rings.len(),
            tasks_pending: self.tasks.len(),
            ..self.meta.stats.clone()
        }
    }

    /// The state as it is now. After a slot and before anything else it is what the slot's report says.
    pub fn state_hash(&self) -> StateHash {
        self.chain.link(|delta| self.delta(delta))
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Whether a task has changed this ring buffer or watcher, created or removed it, since the engine was at this version.
    pub(crate) fn has_changed_since(&self, id: u64, version: u64) -> bool {
        self.changed.get(&id).is_some_and(|changed| *changed > version)
    }

    pub(crate) fn timers(&self) -> &Timers {
        &self.timers
    }

    pub(crate) fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    pub(crate) fn rings(&self) -> &Rings {
        &self.rings
    }

    fn idle(&self) -> Result<(), Error> {
        if self.running.is_some() { Err(Error::EngineBusy) } else { Ok(()) }
    }

    fn room(&self) -> u64 {
        self.limits.max_scheduled_tasks.saturating_sub(self.tasks.len())
    }

    fn next_sequence(&mut self) -> u64 {
        let sequence = self.meta.next_sequence;
        self.meta.next_sequence += 1;
        sequence
    }

    fn delta(&self, delta: &mut Delta) {
        if self.meta != self.sealed_meta {
            delta.record("meta", &self.meta);
        }
        delta.changed("program", &self.new_programs, |address| self.programs.get(address).map(|program| program.code));
        self.accounts.delta(delta);
        self.timers.delta(delta);
        self.watchers.delta(delta);
        self.rings.delta(delta);
        self.tasks.delta(delta);
    }

    fn seal(&mut self) -> StateHash {
        self.chain = self.state_hash();
        self.sealed_meta = self.meta.clone();
        self.new_programs.clear();
        self.accounts.sealed();
        self.timers.sealed();
        self.watchers.sealed();
        self.rings.sealed();
        self.tasks.sealed();
        self.chain
    }
}

fn without_execution(task: &Task, status: Status, failure: Option<Failure>) -> Outcome {
    Outcome {
        task_id: task.id,
        program: task.callback.program,
        source: task.source,
        status,
        failure,
        units_consumed: 0,
        logs: Vec::new(),
        return_data: None,
        staged_codes: Vec::new(),
    }
}

fn timestamp_error(seconds: i64) -> Error {
    Error::invalid("unixTimestamp", seconds, "a number of seconds whose milliseconds fit 64 bits")
}
