//! Accounts, and which of them changed since watchers last looked.

use crate::{
    Address, AddressHasher, Error, Keyed,
    ahead::{self, GROUP},
    hash::Delta,
};
use borsh::{BorshDeserialize, BorshSerialize};
use hashbrown::{HashSet, HashTable};
use slab::Slab;
use std::sync::Arc;

/// The largest data of one account, as on Solana: 10 MiB.
pub const MAX_ACCOUNT_DATA_LEN: u64 = 10 * 1024 * 1024;

/// The state of one account. Data is shared: a clone costs a reference count.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Account {
    /// Balance; an account with 0 lamports does not exist.
    pub lamports: u64,
    /// Contents.
    pub data: Arc<Vec<u8>>,
    /// The program that may change data and take lamports.
    pub owner: Address,
    /// Whether the account is a program.
    pub executable: bool,
}

/// A new state of an account, seen elsewhere and handed in by the host.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AccountUpdate {
    /// Which account.
    pub address: Address,
    /// Its whole new state; 0 lamports removes it.
    pub account: Account,
    /// Orders the updates of one account: one that is not above the last applied is ignored.
    pub write_version: Option<u64>,
}

/// Names the record of an account until the end of the slot at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle(usize);

/// An account that was touched since the last match, with its state before that.
pub(crate) struct Touched {
    pub account: Handle,
    pub before: Option<Account>,
}

/// What is known of one address.
struct Record {
    key: Keyed,
    account: Option<Account>,
    write_version: Option<u64>,
    /// Whether it may have changed since the last match.
    touched: bool,
    /// Whether it may have changed since the last seal.
    dirty: bool,
}

/// Which account states a host may hand in. A copy costs next to nothing, and can be asked while the engine is elsewhere.
#[derive(Clone, Default)]
pub struct AccountRules {
    /// Programs, and the accounts that stand for them.
    protected: Arc<HashSet<Address>>,
}

impl AccountRules {
    /// INVALID_ARGUMENT when this cannot be the state of that account.
    pub fn check(&self, address: &Address, account: Option<&Account>) -> Result<(), Error> {
        if self.protected.contains(address) {
            return Err(Error::invalid("address", address, "an account that is not a loaded program; replace programs with addProgram"));
        }
        match account {
            Some(account) if account.data.len() as u64 > MAX_ACCOUNT_DATA_LEN => {
                Err(Error::invalid("data", format!("{} bytes", account.data.len()), format!("at most {MAX_ACCOUNT_DATA_LEN} bytes")))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn protect<'a>(&mut self, addresses: impl Iterator<Item = &'a Address>) {
        Arc::make_mut(&mut self.protected).extend(addresses);
    }

    pub(crate) fn release<'a>(&mut self, addresses: impl Iterator<Item = &'a Address>) {
        let protected = Arc::make_mut(&mut self.protected);
        addresses.for_each(|address| {
            protected.remove(address);
        });
    }
}

struct Update {
    account: Handle,
    update: AccountUpdate,
}

/// Every address is hashed once for each time that it comes in; from then on a handle stands for it.
pub(crate) struct Accounts {
    hasher: AddressHasher,
    index: HashTable<u32>,
    records: Slab<Record>,
    /// In order of first touch.
    touched: Vec<Touched>,
    updates: Vec<Update>,
    dirty: Vec<Handle>,
    /// Records that nothing may refer to any more.
    looked_at: Vec<Handle>,
    /// How much of `touched` the state hash covers already.
    sealed: usize,
}

impl Accounts {
    pub fn new(hasher: AddressHasher) -> Self {
        Accounts {
            hasher,
            index: HashTable::new(),
            records: Slab::new(),
            touched: Vec::new(),
            updates: Vec::new(),
            dirty: Vec::new(),
            looked_at: Vec::new(),
            sealed: 0,
        }
    }

    pub fn get(&self, address: &Address) -> Option<&Account> {
        self.find(&self.hasher.key(*address)).and_then(|handle| self.of(handle))
    }

    pub fn of(&self, Handle(index): Handle) -> Option<&Account> {
        self.records[index].account.as_ref()
    }

    pub fn key(&self, Handle(index): Handle) -> Keyed {
        self.records[index].key
    }

    /// Replaces an account now; watchers see the change at the next match.
    pub fn set(&mut self, address: Address, account: Option<Account>) {
        let handle = self.handle(self.hasher.key(address));
        self.replace(handle, account);
    }

    /// Keeps updates for the next slot. The places of their accounts in the order of touches count from now.
    pub fn queue_updates(&mut self, updates: Vec<AccountUpdate>) {
        self.updates.reserve(updates.len());
        let mut updates = updates.into_iter();
        while !updates.as_slice().is_empty() {
            let mut keys = [None; GROUP];
            for (key, update) in keys.iter_mut().zip(updates.as_slice()) {
                *key = Some(self.hasher.key(update.address));
            }
            self.read_ahead(&keys);
            for (key, update) in keys.into_iter().flatten().zip(&mut updates) {
                let account = self.touch(key);
                self.updates.push(Update { account, update });
            }
        }
    }

    /// Has everything at hand that an update of these accounts and its match will look at.
    fn read_ahead(&self, keys: &[Option<Keyed>; GROUP]) {
        let mut found = [None; GROUP];
        for (found, key) in found.iter_mut().zip(keys.iter().flatten()) {
            *found = self.index.iter_hash(key.hash()).next();
        }
        let accounts = || found.iter().flatten().filter_map(|index| self.records[**index as usize].account.as_ref());
        ahead::read(accounts(), |account| account.lamports);
        read_data(accounts());
    }

    pub fn forget_updates(&mut self, address: &Address) {
        self.updates.retain(|update| update.update.address != *address);
    }

    pub fn apply_updates(&mut self) {
        for Update { account, update } in std::mem::take(&mut self.updates) {
            if let Some(version) = update.write_version {
                let last = &mut self.records[account.0].write_version;
                if last.is_some_and(|last| version <= last) {
                    continue;
                }
                *last = Some(version);
            }
            self.replace(account, Some(update.account));
        }
    }

    pub fn take_touched(&mut self) -> Vec<Touched> {
        for touched in &self.touched {
            self.records[touched.account.0].touched = false;
            self.looked_at.push(touched.account);
        }
        self.sealed = 0;
        std::mem::take(&mut self.touched)
    }

    /// Whether it may have changed since the last match.
    pub fn is_touched(&self, address: &Address) -> bool {
        self.find(&self.hasher.key(*address)).is_some_and(|Handle(index)| self.records[index].touched)
    }

    fn find(&self, key: &Keyed) -> Option<Handle> {
        self.index.find(key.hash(), |index| self.records[*index as usize].key == *key).map(|index| Handle(*index as usize))
    }

    fn handle(&mut self, key: Keyed) -> Handle {
        self.find(&key).unwrap_or_else(|| {
            let index = self.records.insert(Record { key, account: None, write_version: None, touched: false, dirty: false });
            let entry = u32::try_from(index).expect("fewer than 2^32 accounts");
            self.index.insert_unique(key.hash(), entry, |index| self.records[*index as usize].key.hash());
            Handle(index)
        })
    }

    fn touch(&mut self, key: Keyed) -> Handle {
        let handle = self.handle(key);
        let record = &mut self.records[handle.0];
        if !record.touched {
            record.touched = true;
            self.touched.push(Touched { account: handle, before: record.account.clone() });
        }
        handle
    }

    fn replace(&mut self, handle: Handle, account: Option<Account>) {
        let record = &mut self.records[handle.0];
        let before = std::mem::replace(&mut record.account, account.filter(|account| account.lamports > 0));
        if !record.touched {
            record.touched = true;
            self.touched.push(Touched { account: handle, before });
        }
        if !record.dirty {
            record.dirty = true;
            self.dirty.push(handle);
        }
    }

    /// Writes what changed since the last seal. Touched accounts are part of it, with the state that watchers will compare
    /// with: it may have been there for a moment only. Updates never outlive a seal: a slot begins by taking them all.
    pub fn delta(&self, delta: &mut Delta) {
        let mut dirty: Vec<_> = self.dirty.iter().map(|handle| &self.records[handle.0]).map(|record| (record.key.prefix(), record)).collect();
        // Comparing numbers alone takes half the time, and few addresses begin alike.
        dirty.sort_unstable_by_key(|(prefix, _)| *prefix);
        for alike in dirty.chunk_by_mut(|(a, _), (b, _)| a == b).filter(|alike| alike.len() > 1) {
            alike.sort_unstable_by(|(_, left), (_, right)| left.key.address().cmp(right.key.address()));
        }
        let dirty = dirty.iter().enumerate().map(|(n, (_, record))| {
            if n % GROUP == 0 {
                read_data(dirty[n..].iter().take(GROUP).filter_map(|(_, record)| record.account.as_ref()));
            }
            (record.key.address(), Some((record.account.as_ref(), record.write_version)))
        });
        delta.list("account", dirty);
        let touched = &self.touched[self.sealed..];
        let touched = touched.iter().enumerate().map(|(n, Touched { account, before })| {
            if n % GROUP == 0 {
                read_data(touched[n..].iter().take(GROUP).filter_map(|touched| touched.before.as_ref()));
            }
            (*self.key(*account).address(), before)
        });
        delta.list("touched", touched);
        delta.list("update", self.updates.iter().map(|update| &update.update));
    }

    pub fn sealed(&mut self) {
        for handle in std::mem::take(&mut self.dirty) {
            self.records[handle.0].dirty = false;
            self.looked_at.push(handle);
        }
        self.sealed = self.touched.len();
        for Handle(index) in std::mem::take(&mut self.looked_at) {
            // It may be in the list twice.
            let Some(Record { account: None, write_version: None, touched: false, key, .. }) = self.records.get(index) else { continue };
            if let Ok(entry) = self.index.find_entry(key.hash(), |other| *other as usize == index) {
                entry.remove();
            }
            self.records.remove(index);
        }
    }
}

/// Has the beginning of the data of these accounts at hand. What a callback has written may be where another core has it.
fn read_data<'a>(accounts: impl Iterator<Item = &'a Account> + Clone) {
    ahead::read(accounts.clone(), |account| account.data.len() as u64);
    ahead::read(accounts, |account| account.data.first().map_or(0, |byte| u64::from(*byte)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StateHash;

    #[test]
    fn the_hash_has_accounts_by_address() {
        // The first two begin alike.
        let addresses = [(5, 1), (5, 2), (4, 3), (6, 0)].map(|(first, last)| {
            let mut address = [first; 32];
            address[31] = last;
            Address(address)
        });
        let hash = |order: [usize; 4]| {
            let mut accounts = Accounts::new(AddressHasher::default());
            order.into_iter().for_each(|n| accounts.set(addresses[n], Some(Account { lamports: n as u64 + 1, ..Account::default() })));
            accounts.take_touched();
            StateHash([0; 32]).link(|delta| accounts.delta(delta))
        };
        let expected = hash([0, 1, 2, 3]);
        assert_eq!([hash([1, 0, 2, 3]), hash([3, 2, 1, 0]), hash([2, 1, 3, 0])], [expected; 3]);
    }
}
