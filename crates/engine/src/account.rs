//! Accounts, and which of them changed since watchers last looked.

use crate::{Address, hash::Delta};
use borsh::{BorshDeserialize, BorshSerialize};
use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

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

/// An account that was touched since the last match, with its state before that.
pub(crate) struct Touched {
    pub address: Address,
    pub before: Option<Account>,
}

#[derive(Default)]
pub(crate) struct Accounts {
    accounts: HashMap<Address, Account>,
    write_versions: HashMap<Address, u64>,
    /// In order of first touch.
    touched: Vec<Touched>,
    touched_index: HashSet<Address>,
    updates: Vec<AccountUpdate>,
    dirty: Vec<Address>,
    /// How much of `touched` the state hash covers already.
    sealed: usize,
}

impl Accounts {
    pub fn get(&self, address: &Address) -> Option<&Account> {
        self.accounts.get(address)
    }

    /// Replaces an account now; watchers see the change at the next match.
    pub fn set(&mut self, address: Address, account: Option<Account>) {
        let account = account.filter(|account| account.lamports > 0);
        self.touch(address);
        self.dirty.push(address);
        match account {
            Some(account) => self.accounts.insert(address, account),
            None => self.accounts.remove(&address),
        };
    }

    /// Keeps an update for the next slot. Its account's place in the order of touches counts from now.
    pub fn queue_update(&mut self, update: AccountUpdate) {
        self.touch(update.address);
        self.updates.push(update);
    }

    pub fn forget_updates(&mut self, address: &Address) {
        self.updates.retain(|update| update.address != *address);
    }

    pub fn apply_updates(&mut self) {
        for update in std::mem::take(&mut self.updates) {
            if let Some(version) = update.write_version {
                match self.write_versions.entry(update.address) {
                    Entry::Occupied(last) if version <= *last.get() => continue,
                    Entry::Occupied(mut last) => *last.get_mut() = version,
                    Entry::Vacant(none) => {
                        none.insert(version);
                    }
                }
            }
            self.set(update.address, Some(update.account));
        }
    }

    pub fn take_touched(&mut self) -> Vec<Touched> {
        self.touched_index.clear();
        self.sealed = 0;
        std::mem::take(&mut self.touched)
    }

    /// Whether it may have changed since the last match.
    pub fn is_touched(&self, address: &Address) -> bool {
        self.touched_index.contains(address)
    }

    fn touch(&mut self, address: Address) {
        if self.touched_index.insert(address) {
            self.touched.push(Touched { address, before: self.accounts.get(&address).cloned() });
        }
    }

    /// Writes what changed since the last seal. Touched accounts are part of it, with the state that watchers will compare
    /// with: it may have been there for a moment only. Updates never outlive a seal: a slot begins by taking them all.
    pub fn delta(&self, delta: &mut Delta) {
        delta.changed("account", &self.dirty, |address| Some((self.accounts.get(address), self.write_versions.get(address).copied())));
        delta.list("touched", self.touched[self.sealed..].iter().map(|touched| (touched.address, &touched.before)));
        delta.list("update", self.updates.iter());
    }

    pub fn sealed(&mut self) {
        self.dirty.clear();
        self.sealed = self.touched.len();
    }
}
