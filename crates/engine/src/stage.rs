//! The calls of one invocation, staged over the engine's state.
//!
//! A [`Stage`] answers every call as if the earlier ones of the same invocation had happened, without changing the engine.
//! What it becomes, [`Staged`], is applied only if the whole invocation succeeds.
//!
//! Tasks run ahead of their turn, and what is committed in the meantime may change what they were told. So a stage notes what its
//! answers depend on, and no more than that: that it can cancel a timer, that a ring buffer or a watcher is as it was, and how
//! far a count may move before a limit answers differently. When that still holds at commit, as it does unless two tasks meet in one
//! object or at a limit, nothing is done twice. If not, the calls, which are recorded with their answers, are made again: if each
//! gets the same answer, the program would have behaved the same, and the new stage is what counts; if one does not, the task must
//! run again. This is how nobody notices.

use crate::{
    AccountMeta, Address, Call, Caller, Engine, Error, ErrorCode, Reply, RingEntry, RingHeader, RingReader, RingState, Timer, TimerState, Watcher,
    WatcherSpec,
    ring::{MAX_GRANTS, RingDraft, rights},
    task::{Cause, Source, SourceKind, Task},
    watcher::check_min_slots,
};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

/// Ids that one invocation can create. More than its largest compute budget can pay for, at 100 units a call.
const IDS_PER_INVOCATION: u64 = 1 << 20;

/// Memory that the recorded calls of one invocation may take. Some cost little for their length, and all of a batch are held at
/// the same time.
const MAX_STAGED_BYTES: u64 = 8 << 20;

/// An id made from the sequence number of the invocation that creates it, so that it does not depend on what runs beside it.
pub(crate) fn id(sequence: u64, n: u64) -> u64 {
    sequence * IDS_PER_INVOCATION + n
}

enum Record {
    Made {
        caller: Caller,
        call: Call,
        answer: Result<Reply, ErrorCode>,
    },
    /// Refused before it could be made, whatever the state.
    Refused(ErrorCode),
}

impl Record {
    fn code(&self) -> ErrorCode {
        match self {
            Record::Made { answer, .. } => answer.as_ref().err().copied().unwrap_or(ErrorCode::Success),
            Record::Refused(code) => *code,
        }
    }
}

/// The calls of one invocation that is under way.
pub struct Stage<'a> {
    engine: &'a Engine,
    sequence: u64,
    /// Before those of this invocation.
    pending_tasks: u64,
    staged: Staged,
}

/// A timer as one invocation would leave it.
pub(crate) enum TimerDraft {
    New(Timer),
    /// One that was there, cancelled. Its counters may move until then.
    Cancelled,
}

/// The counts for which every comparison so far comes out as it did.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Span {
    least: u64,
    most: u64,
}

impl Default for Span {
    fn default() -> Self {
        Span::ANY
    }
}

impl Span {
    const ANY: Span = Span { least: 0, most: u64::MAX };

    /// Whether `count` has come to `mark`; notes for which counts that would be the same.
    fn reaches(&mut self, count: u64, mark: u64) -> bool {
        let reached = count >= mark;
        if reached {
            self.least = self.least.max(mark);
        } else {
            self.most = self.most.min(mark - 1);
        }
        reached
    }

    fn has(&self, count: u64) -> bool {
        (self.least..=self.most).contains(&count)
    }
}

/// What one invocation does to how much a program has of one kind.
#[derive(Clone, Copy, Default)]
struct Count {
    growth: i64,
    /// The counts without the growth for which its limit answered as it did.
    span: Span,
}

/// What the answers to one invocation depend on.
#[derive(Default)]
struct Grounds {
    /// Ring buffers and watchers that it looked at, whether there or not.
    objects: Vec<u64>,
    /// Who asked for which timer to be cancelled, and whether that was possible.
    timers: Vec<(Caller, u64, bool)>,
    /// Pending tasks, without those of this invocation.
    pending_tasks: Span,
}

/// What one invocation would change, and what it was told on the way.
#[derive(Default)]
pub struct Staged {
    /// The engine's when it began: objects that changed later are not what it saw.
    version: u64,
    /// Most invocations make none.
    calls: Option<Box<Calls>>,
}

/// The calls of one invocation, and what comes of them.
#[derive(Default)]
pub(crate) struct Calls {
    grounds: Grounds,
    pub(crate) timers: BTreeMap<u64, TimerDraft>,
    /// `None`: removed.
    pub(crate) watchers: BTreeMap<u64, Option<Watcher>>,
    pub(crate) rings: BTreeMap<u64, RingDraft>,
    pub(crate) tasks: Vec<Task>,
    /// Live timers, watchers, ring buffers of each program that it creates some for or removes some of.
    counts: Vec<(Address, [Count; 3])>,
    created: u64,
    /// Memory that the records take.
    bytes: u64,
    records: Vec<Record>,
}

static NO_CALLS: Calls = Calls {
    grounds: Grounds { objects: Vec::new(), timers: Vec::new(), pending_tasks: Span::ANY },
    timers: BTreeMap::new(),
    watchers: BTreeMap::new(),
    rings: BTreeMap::new(),
    tasks: Vec::new(),
    counts: Vec::new(),
    created: 0,
    bytes: 0,
    records: Vec::new(),
};

const TIMERS: usize = 0;
const WATCHERS: usize = 1;
const RINGS: usize = 2;

impl Staged {
    /// The code that each call returned, in order.
    pub fn codes(&self) -> Vec<ErrorCode> {
        self.made().records.iter().map(Record::code).collect()
    }

    /// Bytes of memory that it takes, about.
    pub fn weight(&self) -> u64 {
        self.made().bytes
    }

    pub(crate) fn created_ids(&self) -> bool {
        self.made().created > 0
    }

    fn made(&self) -> &Calls {
        self.calls.as_deref().unwrap_or(&NO_CALLS)
    }

    fn made_mut(&mut self) -> &mut Calls {
        self.calls.get_or_insert_default()
    }

    /// The calls, if there are any.
    pub(crate) fn into_calls(self) -> Option<Box<Calls>> {
        self.calls
    }
}

impl<'a> Stage<'a> {
    pub(crate) fn new(engine: &'a Engine, sequence: u64, pending_tasks: u64) -> Self {
        Stage { engine, sequence, pending_tasks, staged: Staged { version: engine.version(), calls: None } }
    }

    /// The current slot.
    pub fn slot(&self) -> u64 {
        self.engine.slot()
    }

    /// Seconds since 1970 in the current slot.
    pub fn unix_timestamp(&self) -> i64 {
        self.engine.unix_timestamp()
    }

    /// Notes a call whose arguments were so wrong that it could not be made.
    pub fn refuse(&mut self, code: ErrorCode) {
        self.staged.made_mut().records.push(Record::Refused(code));
    }

    /// Makes one call.
    pub fn call(&mut self, caller: Caller, call: Call) -> Result<Reply, Error> {
        let made = self.staged.made_mut();
        made.bytes += call.weight();
        if made.bytes > MAX_STAGED_BYTES {
            let error = Error::StageFull { limit: MAX_STAGED_BYTES };
            self.refuse(error.code());
            return Err(error);
        }
        let result = self.dispatch(caller, &call);
        let answer = result.as_ref().map_err(Error::code).cloned();
        self.staged.made_mut().records.push(Record::Made { caller, call, answer });
        result
    }

    /// Forgets every call, for an invocation that begins again.
    pub fn restart(&mut self) {
        *self = Stage::new(self.engine, self.sequence, self.pending_tasks);
    }

    /// Everything this invocation wants, to be applied if it succeeds.
    pub fn finish(self) -> Staged {
        self.staged
    }

    /// Whether the state that this stage is over gives the answers that `staged` got, so that its calls need not be made again.
    pub(crate) fn confirms(&self, staged: &Staged) -> bool {
        let Some(calls) = &staged.calls else { return true };
        let Grounds { objects, timers, pending_tasks } = &calls.grounds;
        let count_holds = |program, kind, span: Span| span == Span::ANY || span.has(self.base_count(program, kind));
        pending_tasks.has(self.pending_tasks)
            && objects.iter().all(|id| !self.engine.has_changed_since(*id, staged.version))
            && timers.iter().all(|(caller, id, possible)| self.can_cancel(*caller, *id) == *possible)
            && calls.counts.iter().all(|(program, counts)| counts.iter().enumerate().all(|(kind, count)| count_holds(*program, kind, count.span)))
    }

    /// Makes the recorded calls again. `None` when an answer differs.
    pub(crate) fn replay(mut self, staged: Staged) -> Option<Staged> {
        for record in staged.calls.map_or_else(Vec::new, |calls| calls.records) {
            match record {
                Record::Made { caller, call, answer } => {
                    if self.call(caller, call).map_err(|error| error.code()) != answer {
                        return None;
                    }
                }
                Record::Refused(code) => self.refuse(code),
            }
        }
        Some(self.staged)
    }

    fn dispatch(&mut self, caller: Caller, call: &Call) -> Result<Reply, Error> {
        match call {
            Call::TimerCreate(spec) => {
                let program = spec.callback.program;
                self.known(program)?;
                spec.check(self.slot(), self.engine.limits())?;
                self.open()?;
                let limit = self.engine.limits().max_timers_per_program;
                if self.has(program, TIMERS, limit) {
                    return Err(Error::MaxTimers { program, limit });
                }
                let id = self.new_id();
                self.grow(program, TIMERS, 1);
                self.staged.made_mut().timers.insert(id, TimerDraft::New(Timer::new(id, spec.clone())));
                Ok(Reply::id(id))
            }
            Call::TimerCancel { id } => self.cancel_timer(caller, *id),
            Call::WatcherCreate { spec, min_slots_between_triggers } => {
                let program = spec.callback.program;
                self.known(program)?;
                spec.check(self.engine.limits())?;
                check_min_slots(*min_slots_between_triggers, self.engine.limits())?;
                self.open()?;
                let limit = self.engine.limits().max_watchers_per_program;
                if self.has(program, WATCHERS, limit) {
                    return Err(Error::MaxWatchers { program, limit });
                }
                let id = self.new_id();
                self.grow(program, WATCHERS, 1);
                let watcher = Watcher::new(id, with_own_account(spec), *min_slots_between_triggers);
                self.staged.made_mut().watchers.insert(id, Some(watcher));
                Ok(Reply::id(id))
            }
            Call::WatcherSetMinSlots { id, slots } => {
                check_min_slots(*slots, self.engine.limits())?;
                self.watcher(caller, *id)?.min_slots_between_triggers = *slots;
                Ok(Reply::default())
            }
            Call::WatcherSetActive { id, active } => {
                self.watcher(caller, *id)?.active = *active;
                Ok(Reply::default())
            }
            Call::WatcherRemove { id } => {
                let program = self.watcher(caller, *id)?.spec.callback.program;
                self.grow(program, WATCHERS, -1);
                self.staged.made_mut().watchers.insert(*id, None);
                Ok(Reply::default())
            }
            Call::RingCreate { program, size, reader } => self.create_ring(*program, *size, *reader),
            Call::RingPush { id, data } => {
                if data.is_empty() {
                    return Err(Error::invalid("data", "empty", "at least 1 byte long"));
                }
                let slot = self.slot();
                let header = self.ring(caller, *id, Access::Write)?;
                if header.state != RingState::Active {
                    return Err(Error::BufferNotActive { id: *id, state: header.state });
                }
                let cost = header.cost_check(data.len() as u64)?;
                let draft = self.ring_mut(caller, *id, Access::Write)?;
                draft.header.used += cost;
                draft.pushed.push_back(Arc::new(RingEntry { sequence: draft.header.next_sequence, slot, data: data.as_slice().into() }));
                draft.header.next_sequence += 1;
                Ok(Reply::default())
            }
            Call::RingPop { id, max_len } => self.read(caller, *id, *max_len, true),
            Call::RingPeek { id, max_len } => self.read(caller, *id, *max_len, false),
            Call::RingGrant { id, program, rights } => {
                if *rights > (rights::READ | rights::WRITE) {
                    return Err(Error::invalid("rights", rights, "a sum of 1 (READ) and 2 (WRITE), or 0 to revoke"));
                }
                let grants = &self.ring(caller, *id, Access::Own)?.grants;
                if *rights != 0 && grants.len() >= MAX_GRANTS && !grants.contains_key(program) {
                    return Err(Error::invalid("program", program, format!("one of at most {MAX_GRANTS} with a grant; revoke another one first")));
                }
                let draft = self.ring_mut(caller, *id, Access::Own)?;
                match rights {
                    0 => draft.header.grants.remove(program),
                    rights => draft.header.grants.insert(*program, *rights),
                };
                Ok(Reply::default())
            }
            Call::RingSetState { id, state } => {
                self.ring_mut(caller, *id, Access::Own)?.header.state = *state;
                Ok(Reply::default())
            }
            Call::RingDestroy { id } => {
                let draft = self.ring_mut(caller, *id, Access::Own)?;
                draft.destroyed = true;
                let owner = draft.header.owner;
                self.grow(owner, RINGS, -1);
                Ok(Reply::default())
            }
            Call::TaskSchedule { callback, priority, deadline_slot } => {
                self.known(callback.program)?;
                callback.check(self.engine.limits())?;
                let min = self.slot().saturating_add(1);
                if let Some(deadline) = deadline_slot.filter(|deadline| *deadline <= self.slot()) {
                    return Err(Error::InvalidSlot { argument: "deadlineSlot", value: deadline, min, max: u64::MAX });
                }
                self.open()?;
                let limit = self.engine.limits().max_scheduled_tasks;
                let mark = limit.saturating_sub(self.staged.made().tasks.len() as u64);
                if self.staged.made_mut().grounds.pending_tasks.reaches(self.pending_tasks, mark) {
                    return Err(Error::QueueFull { limit });
                }
                let (id, queued_slot) = (self.new_id(), self.slot());
                self.staged.made_mut().tasks.push(Task {
                    id,
                    // Given at commit: the order of creation is the order of commits.
                    sequence: 0,
                    source: Source { kind: SourceKind::Task, id },
                    callback: callback.clone(),
                    priority: *priority,
                    deadline_slot: *deadline_slot,
                    queued_slot,
                    cause: Cause { trigger: 0, due_slot: min, ticks: 1, account: Address::default(), old_value: None, new_value: None },
                });
                Ok(Reply::id(id))
            }
        }
    }

    fn cancel_timer(&mut self, caller: Caller, id: u64) -> Result<Reply, Error> {
        let program = match self.staged.made_mut().timers.get_mut(&id) {
            Some(TimerDraft::New(timer)) => {
                let possible = is_cancellable(caller, timer);
                possible.then(|| {
                    timer.finish(TimerState::Cancelled);
                    timer.spec.callback.program
                })
            }
            Some(TimerDraft::Cancelled) => None,
            None => {
                let possible = self.can_cancel(caller, id);
                self.staged.made_mut().grounds.timers.push((caller, id, possible));
                possible.then(|| {
                    self.staged.made_mut().timers.insert(id, TimerDraft::Cancelled);
                    self.engine.timer(id).expect("one that can be cancelled is there").spec.callback.program
                })
            }
        };
        self.grow(program.ok_or(Error::InvalidTimer { id })?, TIMERS, -1);
        Ok(Reply::default())
    }

    /// Whether the engine's timer can be cancelled, whatever this invocation has done.
    fn can_cancel(&self, caller: Caller, id: u64) -> bool {
        self.engine.timer(id).is_some_and(|timer| is_cancellable(caller, timer))
    }

    fn create_ring(&mut self, program: Address, size: Option<u64>, reader: RingReader) -> Result<Reply, Error> {
        self.known(program)?;
        let limits = self.engine.limits();
        let size = size.unwrap_or(limits.default_ring_buffer_size);
        let (min, max) = (limits.min_ring_buffer_size, limits.max_ring_buffer_size);
        if !(min..=max).contains(&size) {
            return Err(Error::invalid("size", size, format!("in [{min}, {max}]")));
        }
        self.open()?;
        let limit = limits.max_ring_buffers_per_program;
        if self.has(program, RINGS, limit) {
            return Err(Error::MaxBuffers { program, limit });
        }
        let id = self.new_id();
        self.grow(program, RINGS, 1);
        let header =
            RingHeader { id, owner: program, capacity: size, used: 0, state: RingState::Active, reader, next_sequence: 0, grants: BTreeMap::new() };
        self.staged.made_mut().rings.insert(id, RingDraft::of(header));
        Ok(Reply::id(id))
    }

    fn read(&mut self, caller: Caller, id: u64, max_len: u64, take: bool) -> Result<Reply, Error> {
        let state = self.ring(caller, id, Access::Read)?.state;
        if !matches!(state, RingState::Active | RingState::Draining) {
            return Err(Error::BufferNotActive { id, state });
        }
        let Some(entry) = self.next_entry(id).cloned() else { return Ok(Reply::default()) };
        let needed = entry.data.len() as u64;
        if needed > max_len {
            return Err(Error::OutputTooSmall { id, needed, given: max_len });
        }
        if take {
            let base = self.engine.rings().get(id);
            self.ring_mut(caller, id, Access::Read)?.pop(base);
        }
        Ok(Reply { value: needed, bytes: entry.data.clone() })
    }

    fn known(&self, program: Address) -> Result<(), Error> {
        if self.engine.is_program(&program) { Ok(()) } else { Err(Error::UnknownProgram { program }) }
    }

    fn open(&self) -> Result<(), Error> {
        if self.engine.is_draining() { Err(Error::Shutdown) } else { Ok(()) }
    }

    fn new_id(&mut self) -> u64 {
        // MAX_STAGED_BYTES allows far fewer calls than there are ids.
        let created = &mut self.staged.made_mut().created;
        *created += 1;
        id(self.sequence, *created)
    }

    /// How much a program has without what this invocation does.
    fn base_count(&self, program: Address, kind: usize) -> u64 {
        match kind {
            TIMERS => self.engine.timers().live(&program),
            WATCHERS => self.engine.watchers().count(&program),
            _ => self.engine.rings().count(&program),
        }
    }

    /// Whether a program has as much as it may.
    fn has(&mut self, program: Address, kind: usize, limit: u64) -> bool {
        let base = self.base_count(program, kind);
        let count = self.count(program, kind);
        count.span.reaches(base, limit.saturating_add_signed(-count.growth))
    }

    fn grow(&mut self, program: Address, kind: usize, by: i64) {
        self.count(program, kind).growth += by;
    }

    fn count(&mut self, program: Address, kind: usize) -> &mut Count {
        let counts = &mut self.staged.made_mut().counts;
        // Few invocations do this for more than one program, and none for many.
        let index = counts.iter().position(|(other, _)| *other == program).unwrap_or_else(|| {
            counts.push((program, Default::default()));
            counts.len() - 1
        });
        &mut counts[index].1[kind]
    }

    /// Notes that what was answered depends on a ring buffer or a watcher, or on there being none.
    fn look_at(&mut self, id: u64) {
        let objects = &mut self.staged.made_mut().grounds.objects;
        if objects.last() != Some(&id) {
            objects.push(id);
        }
    }

    fn watcher(&mut self, caller: Caller, id: u64) -> Result<&mut Watcher, Error> {
        let base = self.engine.watcher(id);
        if !self.staged.made().watchers.contains_key(&id) {
            self.look_at(id);
        }
        let staged = match self.staged.made_mut().watchers.entry(id) {
            Entry::Occupied(staged) => staged.into_mut(),
            Entry::Vacant(none) => {
                let base = base.filter(|watcher| owns(caller, watcher.spec.callback.program)).ok_or(Error::InvalidWatcher { id })?;
                none.insert(Some(base.clone()))
            }
        };
        staged.as_mut().filter(|watcher| owns(caller, watcher.spec.callback.program)).ok_or(Error::InvalidWatcher { id })
    }

    /// A ring buffer as this invocation would leave it, if the caller may use it in this way.
    fn ring(&mut self, caller: Caller, id: u64, access: Access) -> Result<&RingHeader, Error> {
        if !self.staged.made().rings.contains_key(&id) {
            self.look_at(id);
        }
        let header = match self.staged.made().rings.get(&id) {
            Some(draft) if draft.destroyed => None,
            Some(draft) => Some(&draft.header),
            None => self.engine.rings().get(id).map(|ring| &ring.header),
        };
        header.filter(|header| may(caller, header, access)).ok_or(Error::InvalidBuffer { id })
    }

    /// The same, to be changed.
    fn ring_mut(&mut self, caller: Caller, id: u64, access: Access) -> Result<&mut RingDraft, Error> {
        self.ring(caller, id, access)?;
        Ok(match self.staged.made_mut().rings.entry(id) {
            Entry::Occupied(draft) => draft.into_mut(),
            Entry::Vacant(none) => {
                let ring = self.engine.rings().get(id).expect("it is there, and not staged");
                none.insert(RingDraft::of(ring.header.clone()))
            }
        })
    }

    fn next_entry(&self, id: u64) -> Option<&Arc<RingEntry>> {
        let base = self.engine.rings().get(id);
        match self.staged.made().rings.get(&id) {
            Some(draft) => draft.front(base),
            None => base.and_then(|ring| ring.entries.front()),
        }
    }
}

/// What a call does with a ring buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
    Own,
}

fn may(caller: Caller, header: &RingHeader, access: Access) -> bool {
    let Caller::Program(program) = caller else { return true };
    let granted = |right| program == header.owner || header.grants.get(&program).is_some_and(|rights| rights & right != 0);
    match access {
        Access::Read => header.reader == RingReader::Program && granted(rights::READ),
        Access::Write => granted(rights::WRITE),
        Access::Own => program == header.owner,
    }
}

fn owns(caller: Caller, owner: Address) -> bool {
    match caller {
        Caller::Host => true,
        Caller::Program(program) => program == owner,
    }
}

fn is_cancellable(caller: Caller, timer: &Timer) -> bool {
    timer.is_live() && owns(caller, timer.spec.callback.program)
}

fn with_own_account(spec: &WatcherSpec) -> WatcherSpec {
    let mut spec = spec.clone();
    if !spec.callback.accounts.iter().any(|meta| meta.address == spec.account) {
        let own = AccountMeta { address: spec.account, signer: false, writable: false };
        Arc::make_mut(&mut spec.callback).accounts.push(own);
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Callback, CatchUp, Changes, Config, Execution, Limits, Priority, Progress, SlotInput, TimerSpec, Trigger};

    const PROGRAM: Address = Address([1; 32]);

    fn callback() -> Arc<Callback> {
        Arc::new(Callback { program: PROGRAM, data: vec![], accounts: vec![], compute_budget: 100 })
    }

    fn timer(start_slot: u64, period_slots: Option<u64>) -> Call {
        let (deadline_slot, catch_up, priority) = (None, CatchUp::Once, Priority::Normal);
        Call::TimerCreate(TimerSpec { callback: callback(), start_slot, period_slots, deadline_slot, catch_up, priority })
    }

    fn watcher() -> Call {
        let spec = WatcherSpec { callback: callback(), account: Address([7; 32]), trigger: Trigger::AnyChange, priority: Priority::High };
        Call::WatcherCreate { spec, min_slots_between_triggers: 1 }
    }

    fn task() -> Call {
        Call::TaskSchedule { callback: callback(), priority: Priority::Low, deadline_slot: None }
    }

    /// Whether the calls of a task need not be made again when a task before it has made its own.
    fn is_confirmed(before: impl Fn(&[u64]) -> Vec<Call>, calls: impl Fn(&[u64]) -> Vec<Call>) -> bool {
        let limits = Limits { max_timers_per_program: 4, max_scheduled_tasks: 8, ..Limits::default() };
        let mut engine = Engine::new(Config { limits, ..Config::default() }).unwrap();
        engine.add_program(PROGRAM, [0; 32], vec![]).unwrap();
        let ring = Call::RingCreate { program: PROGRAM, size: None, reader: RingReader::Program };
        let create = [ring.clone(), ring, timer(2, Some(1)), timer(2, None), watcher(), watcher()];
        let ids: Vec<_> = create.into_iter().map(|call| engine.call(Caller::Host, call).unwrap().value).collect();
        // The timers fire and are the first tasks of this slot; what their callbacks do is what `before` and `calls` say.
        assert!(matches!(engine.step(SlotInput { slot: 2, unix_timestamp: None }), Ok(Progress::Batch)));
        let execute = |engine: &Engine, index: usize, calls: Vec<Call>| {
            let mut stage = engine.stage(index);
            for call in calls {
                let _ = stage.call(Caller::Program(PROGRAM), call);
            }
            let (task_id, staged) = (engine.batch().task(index).id, stage.finish());
            Execution { task_id, units_consumed: 1, logs: vec![], result: Ok(Changes::default()), staged }
        };
        let (first, second) = (execute(&engine, 0, before(&ids)), execute(&engine, 1, calls(&ids)));
        assert!(engine.commit(first).is_ok());
        engine.stage(0).confirms(&second.staged)
    }

    #[test]
    fn calls_are_made_again_only_where_that_could_matter() {
        let [ring, other_ring, periodic, _, _, other_watcher] = [0, 1, 2, 3, 4, 5];
        let push = |ring: usize| move |ids: &[u64]| vec![Call::RingPush { id: ids[ring], data: vec![1] }];
        let nothing = |_: &[u64]| vec![];
        assert!(is_confirmed(push(ring), nothing));
        assert!(is_confirmed(push(ring), push(other_ring)));
        assert!(!is_confirmed(push(ring), push(ring)), "its entry has another number now");
        assert!(is_confirmed(push(ring), move |ids| vec![Call::WatcherRemove { id: ids[other_watcher] }]));
        assert!(is_confirmed(|_| vec![watcher()], |_| vec![watcher()]));
        // Of four timers there are two.
        let timers = |count| move |_: &[u64]| vec![timer(3, None); count];
        assert!(is_confirmed(timers(1), timers(1)));
        assert!(!is_confirmed(timers(1), timers(2)), "there is one place left");
        // The queue has room for six more tasks.
        let tasks = |count| move |_: &[u64]| vec![task(); count];
        assert!(is_confirmed(tasks(3), tasks(3)));
        assert!(!is_confirmed(tasks(4), tasks(8)));
        // The first task is the periodic timer's own: that it has run since changes nothing about cancelling it.
        assert!(is_confirmed(nothing, move |ids| vec![Call::TimerCancel { id: ids[periodic] }]));
    }
}
