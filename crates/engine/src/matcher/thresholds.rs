//! Thresholds in order, with a cursor.
//!
//! A value that moves crosses the thresholds between where it was and where it is now: a run of neighbours. The cursor remembers where the last
//! run began, and the search for the next one gallops from there (Bentley and Yao, "An almost optimal algorithm for unbounded searching", 1976):
//! an update costs the logarithm of how far the value went, plus what it crossed.

use super::slim;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Entries of a leaf. More would make an insertion move too much memory.
const LEAF: usize = 512;

/// A threshold and the watcher that has it.
type Entry = (i64, u64);

/// Entries in order, in leaves of 1 to [`LEAF`]; two neighbouring leaves have more than half of that together.
#[derive(Default)]
pub(super) struct Thresholds {
    leaves: Vec<Vec<Entry>>,
    /// The first entry of each leaf, side by side for the search.
    firsts: Vec<Entry>,
    /// Where the last run began. Only a hint: whatever is in here, the search finds what it looks for.
    cursor: (AtomicUsize, AtomicUsize),
}

impl Thresholds {
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Entry> {
        self.leaves.iter().flatten().copied()
    }

    /// Whether it is new.
    pub fn insert(&mut self, threshold: i64, id: u64) -> bool {
        let entry = (threshold, id);
        let at = self.leaf_of(entry);
        let is_last = at + 1 == self.leaves.len();
        let Some(leaf) = self.leaves.get_mut(at) else {
            self.put_leaf(at, vec![entry]);
            return true;
        };
        let Err(index) = leaf.binary_search(&entry) else { return false };
        if leaf.len() < LEAF {
            leaf.insert(index, entry);
            self.firsts[at] = leaf[0];
        } else if index == LEAF && is_last {
            // What comes in ascending order fills its leaves.
            self.put_leaf(at + 1, vec![entry]);
        } else {
            let right = leaf.split_off(LEAF / 2);
            self.put_leaf(at + 1, right);
            return self.insert(threshold, id);
        }
        true
    }

    /// Whether it was there.
    pub fn remove(&mut self, threshold: i64, id: u64) -> bool {
        let entry = (threshold, id);
        let at = self.leaf_of(entry);
        let Some(leaf) = self.leaves.get_mut(at) else { return false };
        let Ok(index) = leaf.binary_search(&entry) else { return false };
        leaf.remove(index);
        slim(leaf);
        match leaf.first() {
            Some(first) => {
                self.firsts[at] = *first;
                self.join(at);
                self.join(at.saturating_sub(1));
            }
            None => {
                self.take_leaf(at);
            }
        }
        true
    }

    /// The watchers whose value was at most the threshold, or not there, and is now above it.
    pub fn risen(&self, before: Option<i64>, now: i64, found: impl FnMut(u64)) {
        if before.is_none_or(|before| before < now) {
            self.run(|threshold| before.is_some_and(|before| threshold < before), |threshold| threshold < now, found);
        }
    }

    /// The watchers whose value was at least the threshold, or not there, and is now below it.
    pub fn fallen(&self, before: Option<i64>, now: i64, found: impl FnMut(u64)) {
        if before.is_none_or(|before| before > now) {
            self.run(|threshold| threshold <= now, |threshold| before.is_none_or(|before| threshold <= before), found);
        }
    }

    /// The entries that come after all of which `is_before` is true, as long as `is_within` is.
    fn run(&self, is_before: impl Fn(i64) -> bool, is_within: impl Fn(i64) -> bool, mut found: impl FnMut(u64)) {
        let is_before = |entry: &Entry| is_before(entry.0);
        let (leaf, index) = (self.cursor.0.load(Ordering::Relaxed), self.cursor.1.load(Ordering::Relaxed));
        let leaf = gallop(&self.firsts, leaf.saturating_add(1), is_before).saturating_sub(1);
        let Some(first) = self.leaves.get(leaf) else { return };
        let index = gallop(first, index, is_before);
        self.cursor.0.store(leaf, Ordering::Relaxed);
        self.cursor.1.store(index, Ordering::Relaxed);
        let rest = self.leaves[leaf + 1..].iter().flatten();
        for (threshold, id) in first[index..].iter().chain(rest) {
            if !is_within(*threshold) {
                return;
            }
            found(*id);
        }
    }

    /// The leaf that has the entry, or to which it belongs.
    fn leaf_of(&self, entry: Entry) -> usize {
        self.firsts.partition_point(|first| *first <= entry).saturating_sub(1)
    }

    fn put_leaf(&mut self, at: usize, leaf: Vec<Entry>) {
        self.firsts.insert(at, leaf[0]);
        self.leaves.insert(at, leaf);
    }

    fn take_leaf(&mut self, at: usize) -> Vec<Entry> {
        self.firsts.remove(at);
        let leaf = self.leaves.remove(at);
        slim(&mut self.firsts);
        slim(&mut self.leaves);
        leaf
    }

    /// Makes one leaf of this and the next, if both are small.
    fn join(&mut self, at: usize) {
        if at + 1 < self.leaves.len() && self.leaves[at].len() + self.leaves[at + 1].len() <= LEAF / 2 {
            let next = self.take_leaf(at + 1);
            self.leaves[at].extend(next);
        }
    }
}

/// [`slice::partition_point`], in a time that grows with the logarithm of the distance from `hint`.
fn gallop<T>(items: &[T], hint: usize, is_before: impl Fn(&T) -> bool) -> usize {
    let (mut low, mut high) = (0, items.len());
    let hint = hint.min(high);
    let mut step = 1;
    if items.get(hint).is_some_and(&is_before) {
        low = hint + 1;
        while high - low >= step {
            if !is_before(&items[low + step - 1]) {
                high = low + step - 1;
                break;
            }
            low += step;
            step *= 2;
        }
    } else {
        high = hint;
        while high >= step {
            if is_before(&items[high - step]) {
                low = high - step + 1;
                break;
            }
            high -= step;
            step *= 2;
        }
    }
    low + items[low..high].partition_point(is_before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn check(thresholds: &Thresholds, twin: &BTreeSet<Entry>) {
        assert!(thresholds.iter().eq(twin.iter().copied()));
        assert!(thresholds.firsts.iter().eq(thresholds.leaves.iter().map(|leaf| &leaf[0])));
        assert!(thresholds.leaves.iter().all(|leaf| leaf.len() <= LEAF && leaf.capacity() <= 2 * LEAF.min(4 * leaf.len())));
        assert!(thresholds.leaves.windows(2).all(|pair| pair[0].len() + pair[1].len() > LEAF / 2));
        assert!(thresholds.leaves.capacity() <= 4 * thresholds.leaves.len().max(4));
    }

    #[test]
    fn whatever_the_order_leaves_are_not_small() {
        let ascending = (0..LEAF as i64).chain(10_000..20_000);
        let descending = (0..LEAF as i64).chain((10_000..20_000).rev());
        for order in [ascending.collect::<Vec<_>>(), descending.collect()] {
            let mut thresholds = Thresholds::default();
            order.iter().for_each(|threshold| assert!(thresholds.insert(*threshold, 1)));
            check(&thresholds, &order.into_iter().map(|threshold| (threshold, 1)).collect());
        }
    }

    proptest! {
        #[test]
        fn galloping_finds_the_partition_point(mut items in prop::collection::vec(0..50i32, 0..100), hint in 0..120usize, bound in -1..51i32) {
            items.sort();
            prop_assert_eq!(gallop(&items, hint, |item| *item < bound), items.partition_point(|item| *item < bound));
        }

        #[test]
        fn leaves_split_and_join(spread in 1..5000i64, seed in any::<u64>(), steps in prop::collection::vec((any::<bool>(), 0..1500u64), 1..6)) {
            let (mut thresholds, mut twin, mut random) = (Thresholds::default(), BTreeSet::new(), seed | 1);
            for (inserts, times) in steps {
                for n in 0..times {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let entry = ((random >> 33) as i64 % spread, random >> 60);
                    if inserts {
                        prop_assert_eq!(thresholds.insert(entry.0, entry.1), twin.insert(entry));
                    } else if let Some(entry) = twin.range(entry..).next().copied().or(twin.first().copied()) {
                        twin.remove(&entry);
                        prop_assert!(thresholds.remove(entry.0, entry.1));
                        prop_assert!(!thresholds.remove(entry.0, entry.1));
                    }
                    if n % 64 == 0 {
                        check(&thresholds, &twin);
                        let (low, high) = (entry.0 - spread / 3, entry.0 + spread / 3);
                        let mut found = Vec::new();
                        thresholds.risen(Some(low), high, |id| found.push(id));
                        prop_assert!(found.iter().eq(twin.range((low, 0)..(high.max(low), 0)).map(|(_, id)| id)));
                        let mut found = Vec::new();
                        thresholds.fallen(Some(high), low, |id| found.push(id));
                        prop_assert!(found.iter().eq(twin.iter().filter(|(threshold, _)| low < *threshold && *threshold <= high).map(|(_, id)| id)) || low == high);
                    }
                }
                check(&thresholds, &twin);
            }
        }
    }
}
