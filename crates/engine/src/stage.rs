//! The calls of one invocation, staged over the engine's state.
//!
//! A [`Stage`] answers every call as if the earlier ones of the same invocation had happened, without changing the engine.
//! What it becomes, [`Staged`], is applied only if the whole invocation succeeds.
//!
//! Every call is recorded with its answer. When something else was committed in the meantime, the calls are made again at
//! commit: if each gets the same answer, the program would have behaved the same, and the new stage is what counts; if one
//! does not, the task must run again. This is how tasks can run ahead of their turn without anybody noticing.

use crate::{
    AccountMeta, Address, Call, Caller, Engine, Error, ErrorCode, Reply, RingEntry, RingHeader, RingReader, RingState, Timer, TimerState, Watcher,
    WatcherSpec,
    ring::{MAX_GRANTS, RingDraft, rights},
    task::{Cause, Source, SourceKind, Task},
    watcher::check_min_slots,
};
use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
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
    staged: Staged,
}

/// What one invocation would change, and what it was told on the way.
#[derive(Default)]
pub struct Staged {
    /// The engine's version that the answers were given for, and the pending tasks before those of this invocation.
    version: u64,
    pending_tasks: u64,
    pub(crate) timers: BTreeMap<u64, Timer>,
    /// `None`: removed.
    pub(crate) watchers: BTreeMap<u64, Option<Watcher>>,
    pub(crate) rings: BTreeMap<u64, RingDraft>,
    pub(crate) tasks: Vec<Task>,
    /// What the counts of each program have grown by: live timers, watchers, ring buffers.
    growth: HashMap<Address, [i64; 3]>,
    created: u64,
    /// Memory that the records take.
    bytes: u64,
    records: Vec<Record>,
}

const TIMERS: usize = 0;
const WATCHERS: usize = 1;
const RINGS: usize = 2;

impl Staged {
    /// The code that each call returned, in order.
    pub fn codes(&self) -> Vec<ErrorCode> {
        self.records.iter().map(Record::code).collect()
    }

    pub(crate) fn created_ids(&self) -> bool {
        self.created > 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.timers.is_empty() && self.watchers.is_empty() && self.rings.is_empty() && self.tasks.is_empty()
    }
}

impl<'a> Stage<'a> {
    pub(crate) fn new(engine: &'a Engine, sequence: u64, pending_tasks: u64) -> Self {
        let staged = Staged { version: engine.version(), pending_tasks, ..Staged::default() };
        Stage { engine, sequence, staged }
    }

    /// The current slot.
    pub fn slot(&self) -> u64 {
        self.engine.slot()
    }

    /// Notes a call whose arguments were so wrong that it could not be made.
    pub fn refuse(&mut self, code: ErrorCode) {
        self.staged.records.push(Record::Refused(code));
    }

    /// Makes one call.
    pub fn call(&mut self, caller: Caller, call: Call) -> Result<Reply, Error> {
        self.staged.bytes += call.weight();
        if self.staged.bytes > MAX_STAGED_BYTES {
            let error = Error::StageFull { limit: MAX_STAGED_BYTES };
            self.refuse(error.code());
            return Err(error);
        }
        let result = self.dispatch(caller, &call);
        let answer = result.as_ref().map_err(Error::code).cloned();
        self.staged.records.push(Record::Made { caller, call, answer });
        result
    }

    /// Forgets every call, for an invocation that begins again.
    pub fn restart(&mut self) {
        let Staged { version, pending_tasks, .. } = self.staged;
        self.staged = Staged { version, pending_tasks, ..Staged::default() };
    }

    /// Everything this invocation wants, to be applied if it succeeds.
    pub fn finish(self) -> Staged {
        self.staged
    }

    /// Whether the calls of `staged` were answered for the state that this stage is over, so that they need not be made again.
    pub(crate) fn is_current(&self, staged: &Staged) -> bool {
        (self.staged.version, self.staged.pending_tasks) == (staged.version, staged.pending_tasks)
    }

    /// Makes the recorded calls again. `None` when an answer differs.
    pub(crate) fn replay(mut self, staged: Staged) -> Option<Staged> {
        for record in staged.records {
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
                if self.count(program, TIMERS) >= limit {
                    return Err(Error::MaxTimers { program, limit });
                }
                let id = self.new_id();
                self.grow(program, TIMERS, 1);
                self.staged.timers.insert(id, Timer::new(id, spec.clone()));
                Ok(Reply::id(id))
            }
            Call::TimerCancel { id } => {
                let mut timer = self
                    .staged
                    .timers
                    .get(id)
                    .or_else(|| self.engine.timer(*id))
                    .filter(|timer| timer.is_live() && owns(caller, timer.spec.callback.program))
                    .cloned()
                    .ok_or(Error::InvalidTimer { id: *id })?;
                timer.finish(TimerState::Cancelled);
                self.grow(timer.spec.callback.program, TIMERS, -1);
                self.staged.timers.insert(*id, timer);
                Ok(Reply::default())
            }
            Call::WatcherCreate { spec, min_slots_between_triggers } => {
                let program = spec.callback.program;
                self.known(program)?;
                spec.check(self.engine.limits())?;
                check_min_slots(*min_slots_between_triggers, self.engine.limits())?;
                self.open()?;
                let limit = self.engine.limits().max_watchers_per_program;
                if self.count(program, WATCHERS) >= limit {
                    return Err(Error::MaxWatchers { program, limit });
                }
                let id = self.new_id();
                self.grow(program, WATCHERS, 1);
                let watcher = Watcher::new(id, with_own_account(spec), *min_slots_between_triggers);
                self.staged.watchers.insert(id, Some(watcher));
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
                self.staged.watchers.insert(*id, None);
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
                if self.staged.pending_tasks + self.staged.tasks.len() as u64 >= limit {
                    return Err(Error::QueueFull { limit });
                }
                let id = self.new_id();
                self.staged.tasks.push(Task {
                    id,
                    // Given at commit: the order of creation is the order of commits.
                    sequence: 0,
                    source: Source { kind: SourceKind::Task, id },
                    callback: callback.clone(),
                    priority: *priority,
                    deadline_slot: *deadline_slot,
                    queued_slot: self.slot(),
                    cause: Cause { trigger: 0, due_slot: min, ticks: 1, account: Address::default(), old_value: None, new_value: None },
                });
                Ok(Reply::id(id))
            }
        }
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
        if self.count(program, RINGS) >= limit {
            return Err(Error::MaxBuffers { program, limit });
        }
        let id = self.new_id();
        self.grow(program, RINGS, 1);
        let header =
            RingHeader { id, owner: program, capacity: size, used: 0, state: RingState::Active, reader, next_sequence: 0, grants: BTreeMap::new() };
        self.staged.rings.insert(id, RingDraft::of(header));
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
        self.staged.created += 1;
        id(self.sequence, self.staged.created)
    }

    fn count(&self, program: Address, kind: usize) -> u64 {
        let base = match kind {
            TIMERS => self.engine.timers().live(&program),
            WATCHERS => self.engine.watchers().count(&program),
            _ => self.engine.rings().count(&program),
        };
        base.saturating_add_signed(self.staged.growth.get(&program).map_or(0, |growth| growth[kind]))
    }

    fn grow(&mut self, program: Address, kind: usize, by: i64) {
        self.staged.growth.entry(program).or_default()[kind] += by;
    }

    fn watcher(&mut self, caller: Caller, id: u64) -> Result<&mut Watcher, Error> {
        let base = self.engine.watcher(id);
        let staged = match self.staged.watchers.entry(id) {
            Entry::Occupied(staged) => staged.into_mut(),
            Entry::Vacant(none) => {
                let base = base.filter(|watcher| owns(caller, watcher.spec.callback.program)).ok_or(Error::InvalidWatcher { id })?;
                none.insert(Some(base.clone()))
            }
        };
        staged.as_mut().filter(|watcher| owns(caller, watcher.spec.callback.program)).ok_or(Error::InvalidWatcher { id })
    }

    /// A ring buffer as this invocation would leave it, if the caller may use it in this way.
    fn ring(&self, caller: Caller, id: u64, access: Access) -> Result<&RingHeader, Error> {
        let staged = self.staged.rings.get(&id);
        let header = match staged {
            Some(draft) if draft.destroyed => None,
            Some(draft) => Some(&draft.header),
            None => self.engine.rings().get(id).map(|ring| &ring.header),
        };
        header.filter(|header| may(caller, header, access)).ok_or(Error::InvalidBuffer { id })
    }

    /// The same, to be changed.
    fn ring_mut(&mut self, caller: Caller, id: u64, access: Access) -> Result<&mut RingDraft, Error> {
        self.ring(caller, id, access)?;
        Ok(match self.staged.rings.entry(id) {
            Entry::Occupied(draft) => draft.into_mut(),
            Entry::Vacant(none) => {
                let ring = self.engine.rings().get(id).expect("it is there, and not staged");
                none.insert(RingDraft::of(ring.header.clone()))
            }
        })
    }

    fn next_entry(&self, id: u64) -> Option<&Arc<RingEntry>> {
        let base = self.engine.rings().get(id);
        match self.staged.rings.get(&id) {
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

fn with_own_account(spec: &WatcherSpec) -> WatcherSpec {
    let mut spec = spec.clone();
    if !spec.callback.accounts.iter().any(|meta| meta.address == spec.account) {
        let own = AccountMeta { address: spec.account, signer: false, writable: false };
        Arc::make_mut(&mut spec.callback).accounts.push(own);
    }
    spec
}
