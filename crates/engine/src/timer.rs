//! Timers: callbacks at a future slot, once or on a grid of slots.

use crate::{
    Address, Callback, Error, Limits, Priority,
    ahead::{self, GROUP},
    hash::Delta,
    wheel::{Handle, Wheel},
};
use borsh::{BorshDeserialize, BorshSerialize};
use hashbrown::{HashMap, hash_map::EntryRef};
use std::{collections::BTreeSet, sync::Arc};

/// Finished timers that are kept for a look, engine-wide; the oldest are forgotten first. A program that creates and cancels all the
/// time would fill the memory otherwise.
const MAX_FINISHED: usize = 65_536;

/// What a periodic timer does about ticks in slots that were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum CatchUp {
    /// Fire once; the callback stands for all of them, and they are counted as missed.
    #[default]
    Once,
    /// Fire for every tick, oldest first, at most `max_ticks` in one slot; the last callback stands for the rest.
    All {
        /// Callbacks in one slot, in [1, 64].
        max_ticks: u64,
    },
    /// Fire only in a slot of the grid; the others are counted as missed.
    Skip,
}

/// The part of a timer that never changes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TimerSpec {
    /// What to run.
    pub callback: Arc<Callback>,
    /// The first slot in which it is due.
    pub start_slot: u64,
    /// Slots between ticks; `None` for a timer that fires once.
    pub period_slots: Option<u64>,
    /// The last slot in which it may still run.
    pub deadline_slot: Option<u64>,
    /// What to do about skipped slots.
    pub catch_up: CatchUp,
    /// Where its tasks queue.
    pub priority: Priority,
}

impl TimerSpec {
    /// Values and slots, as seen from the current slot.
    pub(crate) fn check(&self, slot: u64, limits: &Limits) -> Result<(), Error> {
        self.callback.check(limits)?;
        let argument = if self.period_slots.is_some() { "startSlot" } else { "triggerSlot" };
        let (min, max) = (slot.saturating_add(limits.min_timer_slots), slot.saturating_add(limits.max_timer_slots));
        // There is no slot after the last.
        if self.start_slot <= slot || !(min..=max).contains(&self.start_slot) {
            return Err(Error::InvalidSlot { argument, value: self.start_slot, min, max });
        }
        if let Some(period) = self.period_slots {
            let (min, max) = (limits.min_timer_slots, limits.max_timer_slots);
            if !(min..=max).contains(&period) {
                return Err(Error::InvalidSlot { argument: "periodSlots", value: period, min, max });
            }
        }
        if let Some(deadline) = self.deadline_slot {
            if self.period_slots.is_some() {
                return Err(Error::invalid("deadlineSlot", deadline, "absent for a periodic timer"));
            }
            if deadline < self.start_slot {
                return Err(Error::InvalidSlot { argument: "deadlineSlot", value: deadline, min: self.start_slot, max: u64::MAX });
            }
        }
        match self.catch_up {
            CatchUp::All { max_ticks } if !(1..=64).contains(&max_ticks) => Err(Error::invalid("maxTicks", max_ticks, "in [1, 64]")),
            _ => Ok(()),
        }
    }
}

/// Where a timer is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum TimerState {
    /// Waits for its trigger slot.
    Pending = 0,
    /// Its callback is queued or running.
    Executing = 1,
    /// A one-shot timer whose callback succeeded.
    Completed = 2,
    /// Cancelled by its program or the host.
    Cancelled = 3,
    /// Could not run by its deadline.
    Expired = 4,
    /// A one-shot timer whose callback failed.
    Failed = 5,
}

/// A timer as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// Its id.
    pub id: u64,
    /// What never changes.
    pub spec: Arc<TimerSpec>,
    /// The slot of the next tick, or of the last when it has finished.
    pub trigger_slot: u64,
    /// Where it is in its life.
    pub state: TimerState,
    /// Callbacks that ran, whether they succeeded or failed.
    pub execution_count: u64,
    /// Ticks that had no callback of their own.
    pub missed_count: u64,
    /// Queued or running tasks.
    pub(crate) in_flight: u64,
    /// The tick at `trigger_slot` has been and is the last: the next one of the grid would lie past the last slot there is.
    pub(crate) ended: bool,
}

/// One callback that a due timer asks for.
pub(crate) struct Tick {
    pub due_slot: u64,
    /// Ticks that it stands for.
    pub ticks: u64,
}

impl Timer {
    pub(crate) fn new(id: u64, spec: TimerSpec) -> Self {
        Timer {
            id,
            trigger_slot: spec.start_slot,
            spec: Arc::new(spec),
            state: TimerState::Pending,
            execution_count: 0,
            missed_count: 0,
            in_flight: 0,
            ended: false,
        }
    }

    /// Whether it still counts against its program's limit.
    pub fn is_live(&self) -> bool {
        matches!(self.state, TimerState::Pending | TimerState::Executing)
    }

    pub(crate) fn finish(&mut self, state: TimerState) {
        self.state = state;
        self.in_flight = 0;
    }

    /// Whether a due timer stays as it is when the task queue has so much room. One that fires in a slot of its grid or not at all does not.
    pub(crate) fn waits(&self, room: u64) -> bool {
        room == 0 && (self.spec.period_slots.is_none() || self.spec.catch_up != CatchUp::Skip)
    }

    /// Moves a due timer on and adds the callbacks that takes to `ticks`, at most `room`. Ticks for which there is no room stay due.
    pub(crate) fn fire(&mut self, slot: u64, room: u64, ticks: &mut Vec<Tick>) {
        let first = self.trigger_slot;
        let before = ticks.len();
        let Some(period) = self.spec.period_slots else {
            ticks.push(Tick { due_slot: first, ticks: 1 });
            return self.start(1);
        };
        let missed = (slot - first) / period;
        let last = first + missed * period;
        let next = last.checked_add(period);
        self.trigger_slot = next.unwrap_or(last);
        self.ended = next.is_none();
        match self.spec.catch_up {
            CatchUp::Once => {
                self.missed_count += missed;
                ticks.push(Tick { due_slot: first, ticks: missed + 1 });
            }
            CatchUp::Skip if last != slot || room == 0 => {
                self.missed_count += missed + 1;
                if self.ended {
                    self.finish(TimerState::Completed);
                }
                return;
            }
            CatchUp::Skip => {
                self.missed_count += missed;
                ticks.push(Tick { due_slot: last, ticks: 1 });
            }
            CatchUp::All { max_ticks } => {
                let count = max_ticks.min(missed + 1);
                ticks.extend((0..count.min(room)).map(|k| Tick { due_slot: first + k * period, ticks: 1 }));
                if room < count {
                    self.trigger_slot = first + room * period;
                    self.ended = false;
                } else {
                    let rest = missed + 1 - count;
                    self.missed_count += rest;
                    ticks.last_mut().expect("count is at least 1").ticks += rest;
                }
            }
        }
        self.start(ticks.len() - before);
    }

    /// Notes what has become of one of its callbacks. A timer that was cancelled meanwhile stays cancelled.
    pub(crate) fn callback_ended(&mut self, state: TimerState) {
        if state != TimerState::Expired {
            self.execution_count += 1;
        }
        if self.state != TimerState::Executing {
            return;
        }
        self.in_flight -= 1;
        if self.in_flight > 0 {
            return;
        }
        match self.spec.period_slots {
            Some(_) if !self.ended => self.state = TimerState::Pending,
            // What becomes of one callback is not what becomes of a periodic timer.
            Some(_) => self.finish(TimerState::Completed),
            None => self.finish(state),
        }
    }

    fn start(&mut self, callbacks: usize) {
        self.state = TimerState::Executing;
        self.in_flight = callbacks as u64;
    }
}

/// A timer, and its place in the wheel if it ever had one.
struct Record {
    timer: Timer,
    place: Option<Handle>,
}

/// The timers of one program.
#[derive(Default)]
struct Owned {
    ids: BTreeSet<u64>,
    live: u64,
}

pub(crate) struct Timers {
    timers: HashMap<u64, Record>,
    by_program: HashMap<Address, Owned>,
    /// Pending timers that are due in a later slot.
    wheel: Wheel,
    /// Pending timers that are due, by (trigger slot, id): there was no room for them.
    overdue: BTreeSet<(u64, u64)>,
    active: u64,
    finished: BTreeSet<u64>,
    created: Vec<u64>,
    dirty: Vec<u64>,
}

impl Timers {
    pub fn new(slot: u64, limits: &Limits) -> Self {
        Timers {
            timers: HashMap::new(),
            by_program: HashMap::new(),
            wheel: Wheel::new(slot, limits.max_timer_slots),
            overdue: BTreeSet::new(),
            active: 0,
            finished: BTreeSet::new(),
            created: Vec::new(),
            dirty: Vec::new(),
        }
    }

    pub fn get(&self, id: u64) -> Option<&Timer> {
        self.timers.get(&id).map(|record| &record.timer)
    }

    pub fn of_program(&self, program: Address) -> impl Iterator<Item = &Timer> {
        self.by_program.get(&program).into_iter().flat_map(|owned| &owned.ids).filter_map(|id| self.get(*id))
    }

    pub fn live(&self, program: &Address) -> u64 {
        self.by_program.get(program).map_or(0, |owned| owned.live)
    }

    pub fn active(&self) -> u64 {
        self.active
    }

    /// Adds a timer.
    pub fn insert(&mut self, timer: Timer) {
        let id = timer.id;
        let owned = self.by_program.entry(timer.spec.callback.program).or_default();
        owned.ids.insert(id);
        let state = timer.state;
        let pending = state == TimerState::Pending;
        let place = pending.then(|| wait(&mut self.wheel, &mut self.overdue, timer.trigger_slot, id)).flatten();
        self.timers.insert(id, Record { timer, place });
        self.created.push(id);
        self.moved(id, None, state);
    }

    /// Changes a timer, if it is there, and lets it wait for another slot if that is what the change means.
    pub fn update<R>(&mut self, id: u64, change: impl FnOnce(&mut Timer) -> R) -> Option<R> {
        let Timers { timers, wheel, overdue, .. } = self;
        let Record { timer, place } = timers.get_mut(&id)?;
        let before = (timer.trigger_slot, timer.state);
        let result = change(timer);
        let after = (timer.trigger_slot, timer.state);
        if before != after {
            if before.1 == TimerState::Pending && place.take().and_then(|place| wheel.cancel(place, id)).is_none() {
                overdue.remove(&(before.0, id));
            }
            if after.1 == TimerState::Pending {
                *place = wait(wheel, overdue, after.0, id);
            }
        }
        self.moved(id, Some(before.1), after.1);
        Some(result)
    }

    /// Keeps counts in step with a timer that has changed; without a state it was not there.
    fn moved(&mut self, id: u64, before: Option<TimerState>, after: TimerState) {
        let is_live = |state| matches!(state, TimerState::Pending | TimerState::Executing);
        let live = is_live(after);
        if live != before.is_some_and(is_live) {
            let program = self.timers[&id].timer.spec.callback.program;
            let owned = self.by_program.get_mut(&program).expect("a program with a timer");
            (owned.live, self.active) = if live { (owned.live + 1, self.active + 1) } else { (owned.live - 1, self.active - 1) };
        }
        if !live {
            self.finished.insert(id);
            if self.finished.len() > MAX_FINISHED {
                let first = self.finished.pop_first().expect("there are many");
                self.forget(first);
            }
        }
        self.dirty.push(id);
    }

    /// Leaves a pending timer to wait for its slot or, if that has come, for room.
    pub fn wait(&mut self, slot: u64, id: u64) {
        let place = wait(&mut self.wheel, &mut self.overdue, slot, id);
        self.timers.get_mut(&id).expect("it was put there").place = place;
    }

    /// Has everything at hand that firing these timers will look at, and says which callbacks they have.
    pub fn read_ahead(&self, due: &[(u64, u64)]) -> [Option<&Callback>; GROUP] {
        let mut timers = [None; GROUP];
        for (timer, (_, id)) in timers.iter_mut().zip(due) {
            *timer = self.get(*id);
        }
        ahead::read(timers.iter().flatten(), |timer| timer.spec.start_slot);
        timers.map(|timer| timer.map(|timer| &*timer.spec.callback))
    }

    /// Takes out what is due at `slot`, by (trigger slot, id). A timer that is not changed must be left to [`Timers::wait`].
    pub fn take_due(&mut self, slot: u64) -> Vec<(u64, u64)> {
        // What is overdue was due before anything in the wheel.
        let mut due = Vec::new();
        if !self.overdue.is_empty() {
            due.extend(std::mem::take(&mut self.overdue));
        }
        self.wheel.advance(slot, &mut due);
        due
    }

    /// Forgets the timers that have finished. Called before a slot does anything, so each was there until the slot after its last.
    pub fn clean_up(&mut self) {
        std::mem::take(&mut self.finished).into_iter().for_each(|id| self.forget(id));
    }

    fn forget(&mut self, id: u64) {
        if let Some(Record { timer, .. }) = self.timers.remove(&id)
            && let EntryRef::Occupied(mut owned) = self.by_program.entry_ref(&timer.spec.callback.program)
        {
            owned.get_mut().ids.remove(&id);
            if owned.get().ids.is_empty() {
                owned.remove();
            }
        }
        self.dirty.push(id);
    }

    pub fn delta(&self, delta: &mut Delta) {
        delta.changed("new timer", &self.created, |id| self.get(*id).map(|timer| &*timer.spec));
        ahead::read(&self.dirty, |id| self.get(*id).map_or(0, |timer| timer.in_flight));
        delta.changed("timer", &self.dirty, |id| {
            self.get(*id).map(|timer| (timer.trigger_slot, timer.state, timer.execution_count, timer.missed_count, timer.in_flight, timer.ended))
        });
    }

    pub fn sealed(&mut self) {
        self.created.clear();
        self.dirty.clear();
    }
}

/// Has a timer wait for its slot, at its place in the wheel, or, if the slot has come, for room.
fn wait(wheel: &mut Wheel, overdue: &mut BTreeSet<(u64, u64)>, slot: u64, id: u64) -> Option<Handle> {
    wheel.insert(slot, id).inspect_err(|_| _ = overdue.insert((slot, id))).ok()
}
