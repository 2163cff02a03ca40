//! Which watchers fire when accounts change.
//!
//! An account is found by a hash that is made once. Its record has the address and a single watcher in one cache line; some watchers are a
//! short list, looked at one by one; many are grouped by what they look at, so that a change costs what fires and not what watches.
//!
//! What fires is what [`Trigger::fires`] says, for each watcher by itself.
//!
//! Changes are taken in small groups, and each group in passes: all records are found, then all data is, then it is compared. Loads of one pass do
//! not depend on each other, so a processor that executes out of order waits for them at the same time, and not one after the other. (Finer passes,
//! that touch the table before its records and the bytes before they are compared, gain nothing more: the processor looks ahead that far itself.)

mod change;
mod check;
mod groups;
mod patterns;
mod thresholds;

pub use change::Change;

use crate::{
    Address, AddressHasher, Keyed, Trigger,
    ahead::{self, GROUP},
};
use change::Comparison;
use check::{Check, Test};
use groups::Groups;
use hashbrown::{HashTable, hash_table::Entry};
use std::{fmt, mem, sync::Mutex};

/// From how many changes on [`Matcher::matches_in_parts`] makes parts: two, at least. To wake a thread takes some 35 microseconds, which is as long
/// as a few hundred changes of accounts that are in no cache. Up to 1,024 changes two threads of rayon were no faster than one, on a machine whose
/// second core was seldom free; from 2,048 on it depended on that core.
pub const PARALLEL_FROM: usize = 2_048;

/// Changes of a part.
const PART: usize = 1_024;

/// From how many watchers of an account on they are grouped.
const MANY: usize = 9;

/// At how many they are a list again. Lower, so that a watcher that comes and goes does not make them change each time.
const FEW: usize = 4;

/// A watcher that fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fired {
    /// The index of the change.
    pub change: usize,
    /// The watcher.
    pub id: u64,
    /// What a threshold compared before; `None` if it was not there, or for another trigger.
    pub old_value: Option<i64>,
    /// What a threshold compared now.
    pub new_value: Option<i64>,
}

/// Somebody with threads.
pub trait ForEach {
    /// Calls `job` for 0 to `n - 1`, in any order, possibly at the same time, and returns when all calls have.
    fn for_each(&self, n: usize, job: &(dyn Fn(usize) + Sync));
}

/// The caller's own thread.
pub struct OneThread;

impl ForEach for OneThread {
    fn for_each(&self, n: usize, job: &(dyn Fn(usize) + Sync)) {
        (0..n).for_each(job);
    }
}

/// The watchers of all accounts.
#[derive(Default)]
pub struct Matcher {
    hasher: AddressHasher,
    records: HashTable<Record>,
}

/// An account that is watched; one cache line.
#[repr(align(64))]
struct Record {
    address: Address,
    watchers: Watchers,
}

const _: () = assert!(mem::size_of::<Record>() == 64);

enum Watchers {
    One(Check),
    /// By id.
    Few(Vec<Check>),
    Many(Box<Groups>),
}

impl Matcher {
    /// An empty matcher, whose keys come from this hasher.
    pub fn new(hasher: AddressHasher) -> Self {
        Matcher { hasher, records: HashTable::new() }
    }

    /// Hashes an address.
    #[inline]
    pub fn key(&self, address: Address) -> Keyed {
        self.hasher.key(address)
    }

    /// Adds a watcher. Its id is not among those of the account yet.
    pub fn insert(&mut self, account: Address, id: u64, trigger: &Trigger) {
        let check = Check { id, test: Test::from(trigger) };
        let key = self.key(account);
        match self.records.entry(key.hash(), |record| record.address == account, |record| self.hasher.key(record.address).hash()) {
            Entry::Occupied(mut record) => record.get_mut().watchers.insert(check),
            Entry::Vacant(place) => {
                place.insert(Record { address: account, watchers: Watchers::One(check) });
            }
        }
    }

    /// Removes a watcher that was inserted with these arguments, if it is there.
    pub fn remove(&mut self, account: &Address, id: u64, trigger: &Trigger) {
        let key = self.key(*account);
        let Ok(mut record) = self.records.find_entry(key.hash(), |record| record.address == *account) else { return };
        record.get_mut().watchers.remove(&Check { id, test: Test::from(trigger) });
        if record.get().watchers.is_empty() {
            record.remove();
            if self.records.len() * 8 <= self.records.capacity() {
                self.records.shrink_to(self.records.len() * 2, |record| self.hasher.key(record.address).hash());
            }
        }
    }

    /// The watchers of an account, ascending.
    pub fn ids(&self, account: &Address) -> impl Iterator<Item = u64> {
        let mut ids: Vec<u64> = self.find(&self.key(*account)).map_or_else(Vec::new, |record| record.watchers.ids());
        ids.sort_unstable();
        ids.into_iter()
    }

    /// Adds to `fired` what the changes fire: in their order, and within an account by id. No account is in there twice.
    pub fn matches(&self, changes: &[Change<'_>], fired: &mut Vec<Fired>) {
        self.match_from(0, changes, fired);
    }

    /// As [`Matcher::matches`], with the help of other threads if there are at least [`PARALLEL_FROM`] changes.
    pub fn matches_in_parts(&self, changes: &[Change<'_>], parallel: &dyn ForEach, fired: &mut Vec<Fired>) {
        if changes.len() < PARALLEL_FROM {
            return self.matches(changes, fired);
        }
        let parts: Vec<_> = changes.chunks(PART).map(|part| (part, Mutex::new(Vec::new()))).collect();
        parallel.for_each(parts.len(), &|index| {
            let (changes, fired) = &parts[index];
            let mut mine = Vec::new();
            self.match_from(index * PART, changes, &mut mine);
            *fired.lock().expect("nobody panics with it") = mine;
        });
        for (_, part) in parts {
            fired.append(&mut part.into_inner().expect("nobody panicked with it"));
        }
    }

    fn match_from(&self, first: usize, changes: &[Change<'_>], fired: &mut Vec<Fired>) {
        for (index, group) in changes.chunks(GROUP).enumerate() {
            self.match_group(first + index * GROUP, group, fired);
        }
    }

    fn match_group(&self, first: usize, changes: &[Change<'_>], fired: &mut Vec<Fired>) {
        if let [change] = changes {
            if let Some(record) = self.find(&change.account) {
                record.watchers.fire(first, &mut Comparison::new(change), fired);
            }
            return;
        }
        let mut watched = [None; GROUP];
        let mut count = 0;
        for (index, change) in changes.iter().enumerate() {
            if let Some(record) = self.find(&change.account) {
                watched[count] = Some((index, record, change));
                count += 1;
            }
        }
        let watched = || watched[..count].iter().flatten();
        // Reads where the data is, for the sake of the loads alone.
        let states = watched().filter(|(_, record, _)| record.watchers.read_data()).flat_map(|(_, _, change)| [change.old, change.new]);
        ahead::read(states.flatten(), |account| account.data.len() as u64);
        for (index, record, change) in watched() {
            record.watchers.fire(first + index, &mut Comparison::new(change), fired);
        }
    }

    fn find(&self, key: &Keyed) -> Option<&Record> {
        self.records.find(key.hash(), |record| record.address == *key.address())
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher").field("accounts", &self.records.len()).finish_non_exhaustive()
    }
}

impl Watchers {
    fn is_empty(&self) -> bool {
        matches!(self, Watchers::Few(checks) if checks.is_empty())
    }

    fn ids(&self) -> Vec<u64> {
        match self {
            Watchers::One(check) => vec![check.id],
            Watchers::Few(checks) => checks.iter().map(|check| check.id).collect(),
            Watchers::Many(groups) => groups.ids().collect(),
        }
    }

    fn read_data(&self) -> bool {
        !matches!(self, Watchers::One(Check { test: Test::Lamports | Test::Owner, .. }))
    }

    fn insert(&mut self, check: Check) {
        match mem::replace(self, Watchers::Few(Vec::new())) {
            Watchers::One(one) => {
                let mut checks = vec![one];
                put(&mut checks, check);
                *self = Watchers::Few(checks);
            }
            Watchers::Few(mut checks) => {
                put(&mut checks, check);
                *self = if checks.len() < MANY { Watchers::Few(checks) } else { Watchers::many(checks) };
            }
            Watchers::Many(mut groups) => {
                groups.insert(check);
                *self = Watchers::Many(groups);
            }
        }
    }

    fn remove(&mut self, check: &Check) {
        match self {
            Watchers::One(one) => {
                if one.id == check.id {
                    *self = Watchers::Few(Vec::new());
                }
            }
            Watchers::Few(checks) => {
                if let Ok(at) = checks.binary_search_by_key(&check.id, |check| check.id) {
                    checks.remove(at);
                    slim(checks);
                }
            }
            Watchers::Many(groups) => {
                groups.remove(check);
                if groups.len() <= FEW {
                    *self = Watchers::Few(groups.checks());
                }
            }
        }
        if let Watchers::Few(checks) = self
            && checks.len() == 1
        {
            *self = Watchers::One(checks.pop().expect("there is one"));
        }
    }

    fn many(checks: Vec<Check>) -> Watchers {
        let mut groups = Box::<Groups>::default();
        checks.into_iter().for_each(|check| groups.insert(check));
        Watchers::Many(groups)
    }

    fn fire(&self, change: usize, comparison: &mut Comparison<'_>, fired: &mut Vec<Fired>) {
        match self {
            Watchers::One(check) => check.fire(change, comparison, fired),
            Watchers::Few(checks) => checks.iter().for_each(|check| check.fire(change, comparison, fired)),
            Watchers::Many(groups) => groups.fire(change, comparison, fired),
        }
    }
}

/// Puts a check where it belongs by id; over one with the same id, if there is one against the rules.
fn put(checks: &mut Vec<Check>, check: Check) {
    match checks.binary_search_by_key(&check.id, |check| check.id) {
        Ok(at) => checks[at] = check,
        Err(at) => checks.insert(at, check),
    }
}

/// Gives back memory once three quarters of it are not used.
fn slim<T>(items: &mut Vec<T>) {
    if items.len() * 4 <= items.capacity() {
        items.shrink_to(items.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(matcher: &Matcher) -> &'static str {
        match matcher.find(&matcher.key(Address::SYSTEM_PROGRAM)).map(|record| &record.watchers) {
            None => "none",
            Some(Watchers::One(_)) => "one",
            Some(Watchers::Few(_)) => "few",
            Some(Watchers::Many(_)) => "many",
        }
    }

    #[test]
    fn watchers_become_many_later_than_few() {
        let (mut matcher, account, trigger) = (Matcher::default(), Address::SYSTEM_PROGRAM, Trigger::AnyChange);
        let mut forms = Vec::new();
        for id in 0..MANY as u64 {
            matcher.insert(account, id, &trigger);
            forms.push(form(&matcher));
        }
        assert_eq!(forms, ["one", "few", "few", "few", "few", "few", "few", "few", "many"]);
        forms.clear();
        for id in 0..MANY as u64 {
            matcher.remove(&account, id, &trigger);
            forms.push(form(&matcher));
        }
        assert_eq!(forms, ["many", "many", "many", "many", "few", "few", "few", "one", "none"]);
    }

    #[test]
    fn what_is_removed_takes_no_memory() {
        let mut matcher = Matcher::default();
        let address = |n: u32| Address([n.to_le_bytes(); 8].concat().try_into().expect("32 bytes"));
        (0..10_000).for_each(|n| matcher.insert(address(n), 1, &Trigger::AnyChange));
        (0..10_000).for_each(|n| matcher.remove(&address(n), 1, &Trigger::AnyChange));
        assert_eq!(matcher.records.capacity(), 0);
    }
}
