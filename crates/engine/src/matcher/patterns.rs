//! Patterns by place: of those at one offset and of one length, at most one matches, and a hash finds it.

use super::change::Comparison;
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};

/// Watchers of one place, by the bytes that they expect there.
type Expected = HashMap<Box<[u8]>, BTreeSet<u64>>;

#[derive(Default)]
pub(super) struct Patterns {
    /// By offset and length.
    places: BTreeMap<(u32, usize), Expected>,
}

impl Patterns {
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[u8], u64)> {
        let expected = self.places.iter().flat_map(|((offset, _), expected)| expected.iter().map(move |(bytes, ids)| (*offset, bytes, ids)));
        expected.flat_map(|(offset, bytes, ids)| ids.iter().map(move |id| (offset, &**bytes, *id)))
    }

    /// Whether it is new.
    pub fn insert(&mut self, offset: u32, pattern: &[u8], id: u64) -> bool {
        self.places.entry((offset, pattern.len())).or_default().entry(pattern.into()).or_default().insert(id)
    }

    /// Whether it was there.
    pub fn remove(&mut self, offset: u32, pattern: &[u8], id: u64) -> bool {
        let place = (offset, pattern.len());
        let Some(expected) = self.places.get_mut(&place) else { return false };
        let Some(ids) = expected.get_mut(pattern) else { return false };
        let removed = ids.remove(&id);
        if ids.is_empty() {
            expected.remove(pattern);
            if expected.len() * 8 <= expected.capacity() {
                expected.shrink_to(expected.len() * 2);
            }
            if expected.is_empty() {
                self.places.remove(&place);
            }
        }
        removed
    }

    /// The watchers whose pattern is there now and was not before.
    pub fn appeared(&self, comparison: &Comparison<'_>, mut found: impl FnMut(u64)) {
        for ((offset, len), expected) in self.places.range(..=comparison.last_place()) {
            let Some(now) = comparison.new_from(*offset).and_then(|data| data.get(..*len)) else { continue };
            if comparison.old_from(*offset).and_then(|data| data.get(..*len)) != Some(now)
                && let Some(ids) = expected.get(now)
            {
                ids.iter().copied().for_each(&mut found);
            }
        }
    }
}
