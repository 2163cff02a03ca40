//! Many watchers of one account, by what they look at: a change costs what it fires, not what watches.

use super::{
    Fired,
    change::Comparison,
    check::{Check, Test},
    patterns::Patterns,
    thresholds::Thresholds,
};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Groups {
    len: usize,
    any: BTreeSet<u64>,
    lamports: BTreeSet<u64>,
    data: BTreeSet<u64>,
    owner: BTreeSet<u64>,
    values: BTreeMap<u32, Value>,
    patterns: Patterns,
}

/// The thresholds of one offset.
#[derive(Default)]
struct Value {
    above: Thresholds,
    below: Thresholds,
}

impl Groups {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn insert(&mut self, Check { id, test }: Check) {
        let inserted = match test {
            Test::Any => self.any.insert(id),
            Test::Lamports => self.lamports.insert(id),
            Test::Data => self.data.insert(id),
            Test::Owner => self.owner.insert(id),
            Test::Above { offset, threshold } => self.values.entry(offset).or_default().above.insert(threshold, id),
            Test::Below { offset, threshold } => self.values.entry(offset).or_default().below.insert(threshold, id),
            Test::Pattern { offset, bytes, .. } => self.patterns.insert(offset, &bytes, id),
        };
        self.len += usize::from(inserted);
    }

    pub fn remove(&mut self, Check { id, test }: &Check) {
        let removed = match test {
            Test::Any => self.any.remove(id),
            Test::Lamports => self.lamports.remove(id),
            Test::Data => self.data.remove(id),
            Test::Owner => self.owner.remove(id),
            Test::Above { offset, threshold } => self.remove_threshold(*offset, |value| value.above.remove(*threshold, *id)),
            Test::Below { offset, threshold } => self.remove_threshold(*offset, |value| value.below.remove(*threshold, *id)),
            Test::Pattern { offset, bytes, .. } => self.patterns.remove(*offset, bytes, *id),
        };
        self.len -= usize::from(removed);
    }

    fn remove_threshold(&mut self, offset: u32, remove: impl FnOnce(&mut Value) -> bool) -> bool {
        let Some(value) = self.values.get_mut(&offset) else { return false };
        let removed = remove(value);
        if value.above.is_empty() && value.below.is_empty() {
            self.values.remove(&offset);
        }
        removed
    }

    /// All of them, by kind.
    pub fn ids(&self) -> impl Iterator<Item = u64> {
        let simple = [&self.any, &self.lamports, &self.data, &self.owner].into_iter().flatten().copied();
        let values = self.values.values().flat_map(|value| value.above.iter().chain(value.below.iter())).map(|(_, id)| id);
        simple.chain(values).chain(self.patterns.iter().map(|(_, _, id)| id))
    }

    /// All of them, by id.
    pub fn checks(&self) -> Vec<Check> {
        let mut checks = Vec::with_capacity(self.len);
        let mut put = |id, test| checks.push(Check { id, test });
        self.any.iter().for_each(|id| put(*id, Test::Any));
        self.lamports.iter().for_each(|id| put(*id, Test::Lamports));
        self.data.iter().for_each(|id| put(*id, Test::Data));
        self.owner.iter().for_each(|id| put(*id, Test::Owner));
        for (offset, value) in &self.values {
            value.above.iter().for_each(|(threshold, id)| put(id, Test::Above { offset: *offset, threshold }));
            value.below.iter().for_each(|(threshold, id)| put(id, Test::Below { offset: *offset, threshold }));
        }
        self.patterns.iter().for_each(|(offset, bytes, id)| put(id, Test::pattern(offset, bytes)));
        checks.sort_unstable_by_key(|check| check.id);
        checks
    }

    pub fn fire(&self, change: usize, comparison: &mut Comparison<'_>, fired: &mut Vec<Fired>) {
        let start = fired.len();
        let mut all = |ids: &BTreeSet<u64>| fired.extend(ids.iter().map(|id| Fired { change, id: *id, old_value: None, new_value: None }));
        if !self.lamports.is_empty() && comparison.lamports_differ() {
            all(&self.lamports);
        }
        if !self.owner.is_empty() && comparison.owner_differs() {
            all(&self.owner);
        }
        if !self.any.is_empty() && comparison.anything_differs() {
            all(&self.any);
        }
        if !self.data.is_empty() && comparison.data_differs() {
            all(&self.data);
        }
        if !comparison.same_data() {
            self.fire_values(change, comparison, fired);
            self.patterns.appeared(comparison, |id| fired.push(Fired { change, id, old_value: None, new_value: None }));
        }
        if !fired[start..].is_sorted_by_key(|fired| fired.id) {
            fired[start..].sort_unstable_by_key(|fired| fired.id);
        }
    }

    fn fire_values(&self, change: usize, comparison: &Comparison<'_>, fired: &mut Vec<Fired>) {
        for (offset, value) in &self.values {
            // Offsets ascend: the ones that follow are not there either.
            let Some(now) = comparison.new_value(*offset) else { return };
            let before = comparison.old_value(*offset);
            let mut fire = |id| fired.push(Fired { change, id, old_value: before, new_value: Some(now) });
            value.above.risen(before, now, &mut fire);
            value.below.fallen(before, now, &mut fire);
        }
    }
}
