//! Watchers: callbacks when an account changes in a stated way.

use crate::{Account, Address, Callback, Error, Limits, Priority, hash::Delta};
use borsh::{BorshDeserialize, BorshSerialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// When a watcher fires. Edge-triggered: it looks at the state before the slot and at the last one.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Trigger {
    /// Lamports, data or owner differ.
    AnyChange,
    /// Lamports differ.
    LamportChange,
    /// Data differs.
    DataChange,
    /// The owner differs.
    OwnerChange,
    /// The little-endian i64 at `offset` was at most `threshold`, or not there, and is now above it.
    ThresholdAbove {
        /// Bytes from the start of the data.
        offset: u64,
        /// Compared as signed 64-bit.
        threshold: i64,
    },
    /// The little-endian i64 at `offset` was at least `threshold`, or not there, and is now below it.
    ThresholdBelow {
        /// Bytes from the start of the data.
        offset: u64,
        /// Compared as signed 64-bit.
        threshold: i64,
    },
    /// The bytes at `offset` equal `pattern` now and did not before.
    PatternMatch {
        /// Bytes from the start of the data.
        offset: u64,
        /// At least one byte.
        pattern: Vec<u8>,
    },
}

/// The old and the new value at a threshold; `None` where the data was too short.
pub(crate) type Values = (Option<i64>, Option<i64>);

impl Trigger {
    /// The number that programs use.
    pub fn number(&self) -> u8 {
        match self {
            Trigger::AnyChange => 0,
            Trigger::LamportChange => 1,
            Trigger::DataChange => 2,
            Trigger::OwnerChange => 3,
            Trigger::ThresholdAbove { .. } => 4,
            Trigger::ThresholdBelow { .. } => 5,
            Trigger::PatternMatch { .. } => 6,
        }
    }

    /// The trigger of a type that needs no further arguments: 0 to 3.
    pub fn simple(number: u64) -> Result<Trigger, Error> {
        match number {
            0 => Ok(Trigger::AnyChange),
            1 => Ok(Trigger::LamportChange),
            2 => Ok(Trigger::DataChange),
            3 => Ok(Trigger::OwnerChange),
            _ => Err(Error::invalid("trigger", number, "0 (ANY_CHANGE), 1 (LAMPORT_CHANGE), 2 (DATA_CHANGE) or 3 (OWNER_CHANGE)")),
        }
    }

    /// The trigger of a type that has a threshold: 4 or 5.
    pub fn threshold(number: u64, offset: u64, threshold: i64) -> Result<Trigger, Error> {
        match number {
            4 => Ok(Trigger::ThresholdAbove { offset, threshold }),
            5 => Ok(Trigger::ThresholdBelow { offset, threshold }),
            _ => Err(Error::invalid("trigger", number, "4 (THRESHOLD_ABOVE) or 5 (THRESHOLD_BELOW)")),
        }
    }

    fn check(&self, limits: &Limits) -> Result<(), Error> {
        let (offset, width) = match self {
            Trigger::ThresholdAbove { offset, .. } | Trigger::ThresholdBelow { offset, .. } => (*offset, 8),
            Trigger::PatternMatch { offset, pattern } => {
                if !(1..=limits.max_pattern_len).contains(&(pattern.len() as u64)) {
                    let expected = format!("1 to {} bytes long", limits.max_pattern_len);
                    return Err(Error::invalid("pattern", format!("{} bytes long", pattern.len()), expected));
                }
                (*offset, pattern.len() as u64)
            }
            _ => return Ok(()),
        };
        if u128::from(offset) + u128::from(width) > 1 << 64 {
            return Err(Error::invalid("offset", offset, format!("at most 2^64 - {width}")));
        }
        Ok(())
    }

    /// Whether the change from `old` to `new` is the one that was asked for.
    pub(crate) fn fires(&self, old: Option<&Account>, new: Option<&Account>) -> Option<Values> {
        let lamports = |account: Option<&Account>| account.map_or(0, |account| account.lamports);
        let owner = |account: Option<&Account>| account.map_or(Address::SYSTEM_PROGRAM, |account| account.owner);
        let data_differs = || data(old) != data(new);
        let fires = match self {
            Trigger::AnyChange => lamports(old) != lamports(new) || owner(old) != owner(new) || data_differs(),
            Trigger::LamportChange => lamports(old) != lamports(new),
            Trigger::DataChange => data_differs(),
            Trigger::OwnerChange => owner(old) != owner(new),
            Trigger::ThresholdAbove { offset, threshold } => {
                let (before, now) = (value(old, *offset), value(new, *offset));
                return (before.is_none_or(|value| value <= *threshold) && now.is_some_and(|value| value > *threshold)).then_some((before, now));
            }
            Trigger::ThresholdBelow { offset, threshold } => {
                let (before, now) = (value(old, *offset), value(new, *offset));
                return (before.is_none_or(|value| value >= *threshold) && now.is_some_and(|value| value < *threshold)).then_some((before, now));
            }
            Trigger::PatternMatch { offset, pattern } => {
                let matches = |account| bytes(account, *offset, pattern.len()).is_some_and(|bytes| bytes == pattern);
                matches(new) && !matches(old)
            }
        };
        fires.then_some((None, None))
    }
}

fn data(account: Option<&Account>) -> &[u8] {
    account.map_or(&[], |account| &account.data)
}

fn bytes(account: Option<&Account>, offset: u64, len: usize) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    data(account).get(start..start.checked_add(len)?)
}

fn value(account: Option<&Account>, offset: u64) -> Option<i64> {
    bytes(account, offset, 8).map(|bytes| i64::from_le_bytes(bytes.try_into().expect("8 bytes")))
}

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
