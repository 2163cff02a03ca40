//! The change of one account, and what differs in it: each thing compared at most once, and not before somebody asks.

use crate::{Account, Address, Keyed, trigger};
use std::sync::Arc;

/// An account before and after.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Which account.
    pub account: Keyed,
    /// What it was; `None` if it did not exist.
    pub old: Option<&'a Account>,
    /// What it is now; `None` if it does not exist.
    pub new: Option<&'a Account>,
}

/// What differs between two states.
pub(super) struct Comparison<'a> {
    old: Option<&'a Account>,
    new: Option<&'a Account>,
    /// Whether data differs, once that is known.
    data: Option<bool>,
}

impl<'a> Comparison<'a> {
    pub fn new(change: &Change<'a>) -> Self {
        let Change { old, new, .. } = *change;
        let shared = old.zip(new).is_some_and(|(old, new)| Arc::ptr_eq(&old.data, &new.data));
        Comparison { old, new, data: shared.then_some(false) }
    }

    pub fn lamports_differ(&self) -> bool {
        let lamports = |account: Option<&Account>| account.map_or(0, |account| account.lamports);
        lamports(self.old) != lamports(self.new)
    }

    pub fn owner_differs(&self) -> bool {
        let owner = |account: Option<&'a Account>| account.map_or(&Address::SYSTEM_PROGRAM, |account| &account.owner);
        owner(self.old) != owner(self.new)
    }

    pub fn data_differs(&mut self) -> bool {
        let (old, new) = (self.old, self.new);
        *self.data.get_or_insert_with(|| trigger::data(old) != trigger::data(new))
    }

    pub fn anything_differs(&mut self) -> bool {
        self.lamports_differ() || self.owner_differs() || self.data_differs()
    }

    /// Whether data is known to be the same, without a look at it.
    pub fn same_data(&self) -> bool {
        self.data == Some(false)
    }

    /// The greatest (offset, length) that the new data may have.
    pub fn last_place(&self) -> (u32, usize) {
        (u32::try_from(trigger::data(self.new).len()).unwrap_or(u32::MAX), usize::MAX)
    }

    /// The old data from `offset` on.
    pub fn old_from(&self, offset: u32) -> Option<&'a [u8]> {
        trigger::data(self.old).get(offset as usize..)
    }

    /// The new data from `offset` on.
    pub fn new_from(&self, offset: u32) -> Option<&'a [u8]> {
        trigger::data(self.new).get(offset as usize..)
    }

    pub fn old_value(&self, offset: u32) -> Option<i64> {
        self.old_from(offset).and_then(value)
    }

    pub fn new_value(&self, offset: u32) -> Option<i64> {
        self.new_from(offset).and_then(value)
    }
}

fn value(data: &[u8]) -> Option<i64> {
    data.first_chunk().map(|bytes| i64::from_le_bytes(*bytes))
}
