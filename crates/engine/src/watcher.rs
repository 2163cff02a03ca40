//! Watchers: callbacks when an account changes in a stated way.

pub(crate) use crate::trigger::Values;

use crate::{
    Account, Address, AddressHasher, Callback, Error, Limits, Priority, Trigger,
    account::{Accounts, Touched},
    ahead::{self, GROUP},
    hash::Delta,
    matcher::{Change, Fired, ForEach, Matcher},
};
use borsh::{BorshDeserialize, BorshSerialize};
use hashbrown::HashMap;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The part of a watcher that never changes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct WatcherSpec {
    /// What to run.
    pub callback: Arc<Callback>,
    /// The account it looks at.
    pub account: Address,
    /// When it fires.
    pub trigger: Trigger,
    /// Where its tasks queue.
    pub priority: Priority,
}

impl WatcherSpec {
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), Error> {
        self.callback.check(limits)?;
        self.trigger.check(limits)
    }
}

/// A trigger that found the task queue full. Later ones join it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Waiting {
    /// Its place among all that wait.
    pub order: u64,
    pub due_slot: u64,
    pub count: u64,
    pub values: Values,
}

/// A watcher as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watcher {
    /// Its id.
    pub id: u64,
    /// What never changes.
    pub spec: Arc<WatcherSpec>,
    /// Whether it looks at all; false while paused.
    pub active: bool,
    /// Slots that must pass between two triggers.
    pub min_slots_between_triggers: u64,
    /// Triggers, the suppressed ones not included.
    pub trigger_count: u64,
    /// Triggers that came too early.
    pub suppressed_count: u64,
    /// The slot of the last trigger.
    pub last_trigger_slot: Option<u64>,
    /// The account when the watcher was created, if it had changed in the same slot before: that change is not the watcher's.
    pub(crate) baseline: Option<Box<Option<Account>>>,
    pub(crate) waiting: Option<Box<Waiting>>,
}

impl Watcher {
    pub(crate) fn new(id: u64, spec: WatcherSpec, min_slots_between_triggers: u64) -> Self {
        Watcher {
            id,
            spec: Arc::new(spec),
            active: true,
            min_slots_between_triggers,
            trigger_count: 0,
            suppressed_count: 0,
            last_trigger_slot: None,
            baseline: None,
            waiting: None,
        }
    }
}

/// What comes of a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Triggered {
    /// It came too early.
    Suppressed,
    /// It waits for room in the task queue.
    Waits,
    /// A task must be queued for it.
    Queues,
}

impl Watcher {
    /// Notes a trigger. `order` is its place among those that wait, should there be no room.
    pub(crate) fn trigger(&mut self, slot: u64, room: u64, order: u64, values: Values) -> Triggered {
        if self.last_trigger_slot.is_some_and(|last| slot - last < self.min_slots_between_triggers) {
            self.suppressed_count += 1;
            return Triggered::Suppressed;
        }
        self.trigger_count += 1;
        self.last_trigger_slot = Some(slot);
        match &mut self.waiting {
            Some(waiting) => {
                waiting.count += 1;
                waiting.values.1 = values.1;
                Triggered::Waits
            }
            None if room == 0 => {
                self.waiting = Some(Box::new(Waiting { order, due_slot: slot, count: 1, values }));
                Triggered::Waits
            }
            None => Triggered::Queues,
        }
    }
}

pub(crate) fn check_min_slots(slots: u64, limits: &Limits) -> Result<(), Error> {
    if (1..=limits.max_timer_slots).contains(&slots) {
        Ok(())
    } else {
        Err(Error::invalid("minSlotsBetweenTriggers", slots, format!("in [1, {}]", limits.max_timer_slots)))
    }
}

pub(crate) struct Watchers {
    watchers: HashMap<u64, Watcher>,
    matcher: Matcher,
    by_program: HashMap<Address, u64>,
    /// By the order in which they began to wait.
    waiting: BTreeMap<u64, u64>,
    /// Those with a baseline.
    baselines: BTreeSet<u64>,
    active: u64,
    created: Vec<u64>,
    dirty: Vec<u64>,
}

impl Watchers {
    pub fn new(hasher: AddressHasher) -> Self {
        Watchers {
            watchers: HashMap::new(),
            matcher: Matcher::new(hasher),
            by_program: HashMap::new(),
            waiting: BTreeMap::new(),
            baselines: BTreeSet::new(),
            active: 0,
            created: Vec::new(),
            dirty: Vec::new(),
        }
    }

    pub fn get(&self, id: u64) -> Option<&Watcher> {
        self.watchers.get(&id)
    }

    pub fn active(&self) -> u64 {
        self.active
    }

    pub fn count(&self, program: &Address) -> u64 {
        self.by_program.get(program).copied().unwrap_or(0)
    }

    /// The watchers of an account, by id.
    pub fn of_account(&self, account: &Address) -> impl Iterator<Item = &Watcher> {
        self.matcher.ids(account).filter_map(|id| self.get(id))
    }

    /// Which watchers the changes of accounts fire: in the order of the changes, then by id. Paused ones are among them.
    pub fn fired<'a>(&self, accounts: &'a Accounts, touched: &'a [Touched], parallel: &dyn ForEach) -> Vec<Fired> {
        if touched.is_empty() {
            return Vec::new();
        }
        let change = |touched: &'a Touched| {
            let Touched { account, before } = touched;
            Change { account: accounts.key(*account), old: before.as_ref(), new: accounts.of(*account) }
        };
        let changes: Vec<_> = touched.iter().map(change).collect();
        let mut fired = Vec::new();
        self.matcher.matches_in_parts(&changes, parallel, &mut fired);
        if !self.baselines.is_empty() {
            fired.retain(|fired| !self.baselines.contains(&fired.id));
            let place: HashMap<_, _> = changes.iter().enumerate().map(|(index, change)| (change.account.address(), index)).collect();
            for watcher in self.baselines.iter().map(|id| &self.watchers[id]) {
                let change = place[&watcher.spec.account];
                let before = watcher.baseline.as_ref().expect("it has a baseline");
                if let Some((old_value, new_value)) = watcher.spec.trigger.fires((**before).as_ref(), changes[change].new) {
                    fired.push(Fired { change, id: watcher.id, old_value, new_value });
                }
            }
            fired.sort_unstable_by_key(|fired| (fired.change, fired.id));
        }
        fired
    }

    /// Has everything at hand that triggering these watchers will look at, and says which callbacks they have.
    pub fn read_ahead(&self, fired: &[Fired]) -> [Option<&Callback>; GROUP] {
        let mut watchers = [None; GROUP];
        for (watcher, fired) in watchers.iter_mut().zip(fired) {
            *watcher = self.get(fired.id);
        }
        ahead::read(watchers.iter().flatten(), |watcher| watcher.spec.priority as u64);
        watchers.map(|watcher| watcher.map(|watcher| &*watcher.spec.callback))
    }

    /// From the next slot on, watchers compare with the state before it.
    pub fn drop_baselines(&mut self) {
        for id in std::mem::take(&mut self.baselines) {
            self.update(id, |watcher| watcher.baseline = None);
        }
    }

    /// The watcher whose trigger has waited for room longest.
    pub fn first_waiting(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|(_, id)| *id)
    }

    pub fn next_waiting_order(&self) -> u64 {
        self.waiting.last_key_value().map_or(0, |(order, _)| order + 1)
    }

    /// Adds a watcher or replaces it by its new state.
    pub fn put(&mut self, watcher: Watcher) {
        let id = watcher.id;
        if !self.watchers.contains_key(&id) {
            let spec = &watcher.spec;
            self.matcher.insert(spec.account, id, &spec.trigger);
            *self.by_program.entry(spec.callback.program).or_default() += 1;
            self.created.push(id);
            let blank = Watcher { active: false, baseline: None, waiting: None, ..watcher.clone() };
            self.watchers.insert(id, blank);
        }
        self.update(id, |old| *old = watcher);
    }

    /// Changes a watcher.
    pub fn update<R>(&mut self, id: u64, change: impl FnOnce(&mut Watcher) -> R) -> R {
        let watcher = self.watchers.get_mut(&id).expect("a watcher that is changed exists");
        let marks = |watcher: &Watcher| (watcher.active, watcher.baseline.is_some(), watcher.waiting.as_ref().map(|waiting| waiting.order));
        let before = marks(watcher);
        let result = change(watcher);
        let after = marks(watcher);
        if before != after {
            self.active = self.active + u64::from(after.0) - u64::from(before.0);
            match after.1 {
                true => self.baselines.insert(id),
                false => self.baselines.remove(&id),
            };
            before.2.map(|order| self.waiting.remove(&order));
            after.2.map(|order| self.waiting.insert(order, id));
        }
        self.dirty.push(id);
        result
    }

    pub fn remove(&mut self, id: u64) {
        let Some(watcher) = self.watchers.remove(&id) else { return };
        self.matcher.remove(&watcher.spec.account, id, &watcher.spec.trigger);
        let program = watcher.spec.callback.program;
        let count = self.by_program.get_mut(&program).expect("a watcher was counted");
        *count -= 1;
        if *count == 0 {
            self.by_program.remove(&program);
        }
        if let Some(waiting) = watcher.waiting {
            self.waiting.remove(&waiting.order);
        }
        self.baselines.remove(&id);
        self.active -= u64::from(watcher.active);
        self.dirty.push(id);
    }

    pub fn delta(&self, delta: &mut Delta) {
        delta.changed("new watcher", &self.created, |id| self.watchers.get(id).map(|watcher| &*watcher.spec));
        ahead::read(&self.dirty, |id| self.get(*id).map_or(0, |watcher| watcher.trigger_count));
        delta.changed("watcher", &self.dirty, |id| {
            self.watchers.get(id).map(|watcher| {
                (
                    watcher.active,
                    watcher.min_slots_between_triggers,
                    watcher.trigger_count,
                    watcher.suppressed_count,
                    watcher.last_trigger_slot,
                    &watcher.baseline,
                    &watcher.waiting,
                )
            })
        });
    }

    pub fn sealed(&mut self) {
        self.created.clear();
        self.dirty.clear();
    }
}
