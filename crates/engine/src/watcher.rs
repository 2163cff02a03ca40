//! Watchers: callbacks when an account changes in a stated way.

pub(crate) use crate::trigger::Values;

use crate::{Account, Address, Callback, Error, Limits, Priority, Trigger, hash::Delta};
use borsh::{BorshDeserialize, BorshSerialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
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
    pub(crate) baseline: Option<Option<Account>>,
    pub(crate) waiting: Option<Waiting>,
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

pub(crate) fn check_min_slots(slots: u64, limits: &Limits) -> Result<(), Error> {
    if (1..=limits.max_timer_slots).contains(&slots) {
        Ok(())
    } else {
        Err(Error::invalid("minSlotsBetweenTriggers", slots, format!("in [1, {}]", limits.max_timer_slots)))
    }
}

#[derive(Default)]
pub(crate) struct Watchers {
    watchers: BTreeMap<u64, Watcher>,
    by_account: HashMap<Address, BTreeSet<u64>>,
    by_program: HashMap<Address, u64>,
    /// By the order in which they began to wait.
    waiting: BTreeMap<u64, u64>,
    created: Vec<u64>,
    dirty: Vec<u64>,
}

impl Watchers {
    pub fn get(&self, id: u64) -> Option<&Watcher> {
        self.watchers.get(&id)
    }

    pub fn active(&self) -> u64 {
        self.watchers.values().filter(|watcher| watcher.active).count() as u64
    }

    pub fn count(&self, program: &Address) -> u64 {
        self.by_program.get(program).copied().unwrap_or(0)
    }

    /// The watchers of an account, by id.
    pub fn of_account(&self, account: &Address) -> Vec<u64> {
        self.by_account.get(account).map_or_else(Vec::new, |ids| ids.iter().copied().collect())
    }

    /// Ids of the watchers whose trigger waits for room, first come first.
    pub fn waiting(&self) -> Vec<u64> {
        self.waiting.values().copied().collect()
    }

    pub fn next_waiting_order(&self) -> u64 {
        self.waiting.last_key_value().map_or(0, |(order, _)| order + 1)
    }

    /// Adds a watcher or replaces it by its new state.
    pub fn put(&mut self, watcher: Watcher) {
        let (id, spec, waiting) = (watcher.id, watcher.spec.clone(), watcher.waiting);
        match self.watchers.insert(id, watcher) {
            Some(old) => {
                if let Some(waiting) = old.waiting {
                    self.waiting.remove(&waiting.order);
                }
            }
            None => {
                self.by_account.entry(spec.account).or_default().insert(id);
                *self.by_program.entry(spec.callback.program).or_default() += 1;
                self.created.push(id);
            }
        }
        if let Some(waiting) = waiting {
            self.waiting.insert(waiting.order, id);
        }
        self.dirty.push(id);
    }

    pub fn remove(&mut self, id: u64) {
        let Some(watcher) = self.watchers.remove(&id) else { return };
        if let Some(ids) = self.by_account.get_mut(&watcher.spec.account) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_account.remove(&watcher.spec.account);
            }
        }
        *self.by_program.get_mut(&watcher.spec.callback.program).expect("a watcher was counted") -= 1;
        if let Some(waiting) = watcher.waiting {
            self.waiting.remove(&waiting.order);
        }
        self.dirty.push(id);
    }

    pub fn delta(&self, delta: &mut Delta) {
        delta.changed("new watcher", &self.created, |id| self.watchers.get(id).map(|watcher| &*watcher.spec));
        delta.changed("watcher", &self.dirty, |id| {
            self.watchers.get(id).map(|watcher| {
                (
                    watcher.active,
                    watcher.min_slots_between_triggers,
                    watcher.trigger_count,
                    watcher.suppressed_count,
                    watcher.last_trigger_slot,
                    &watcher.baseline,
                    watcher.waiting,
                )
            })
        });
    }

    pub fn sealed(&mut self) {
        self.created.clear();
        self.dirty.clear();
    }
}
