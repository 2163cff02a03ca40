//! What one watcher looks for, compactly.

use super::{Fired, change::Comparison};
use crate::Trigger;

/// How many bytes of a pattern are at hand.
const HEAD: usize = 8;

/// A [`Trigger`] that is read without leaving its cache line, unless the beginning of a pattern is there.
pub(super) enum Test {
    Any,
    Lamports,
    Data,
    Owner,
    Above {
        offset: u32,
        threshold: i64,
    },
    Below {
        offset: u32,
        threshold: i64,
    },
    /// The first bytes are at hand, because most data differs there already. Two boxes make a pointer without a length: that is where the bytes are.
    Pattern {
        offset: u32,
        head_len: u8,
        head: [u8; HEAD],
        bytes: Box<Box<[u8]>>,
    },
}

/// One watcher.
pub(super) struct Check {
    pub id: u64,
    pub test: Test,
}

impl From<&Trigger> for Test {
    fn from(trigger: &Trigger) -> Self {
        // No account has that much data: what lies beyond is never there, wherever it is.
        let near = |offset: u64| u32::try_from(offset).unwrap_or(u32::MAX);
        match trigger {
            Trigger::AnyChange => Test::Any,
            Trigger::LamportChange => Test::Lamports,
            Trigger::DataChange => Test::Data,
            Trigger::OwnerChange => Test::Owner,
            Trigger::ThresholdAbove { offset, threshold } => Test::Above { offset: near(*offset), threshold: *threshold },
            Trigger::ThresholdBelow { offset, threshold } => Test::Below { offset: near(*offset), threshold: *threshold },
            Trigger::PatternMatch { offset, pattern } => Test::pattern(near(*offset), pattern),
        }
    }
}

impl Test {
    pub fn pattern(offset: u32, bytes: &[u8]) -> Self {
        let mut head = [0; HEAD];
        let head_len = bytes.len().min(HEAD);
        head[..head_len].copy_from_slice(&bytes[..head_len]);
        Test::Pattern { offset, head_len: head_len as u8, head, bytes: Box::new(bytes.into()) }
    }
}

impl Check {
    /// As [`Trigger::fires`].
    pub fn fire(&self, change: usize, comparison: &mut Comparison<'_>, fired: &mut Vec<Fired>) {
        let (mut old_value, mut new_value) = (None, None);
        let mut values = |offset| {
            (old_value, new_value) = (comparison.old_value(offset), comparison.new_value(offset));
            (old_value, new_value)
        };
        let fires = match &self.test {
            Test::Any => comparison.anything_differs(),
            Test::Lamports => comparison.lamports_differ(),
            Test::Data => comparison.data_differs(),
            Test::Owner => comparison.owner_differs(),
            Test::Above { offset, threshold } => {
                let (before, now) = values(*offset);
                before.is_none_or(|value| value <= *threshold) && now.is_some_and(|value| value > *threshold)
            }
            Test::Below { offset, threshold } => {
                let (before, now) = values(*offset);
                before.is_none_or(|value| value >= *threshold) && now.is_some_and(|value| value < *threshold)
            }
            Test::Pattern { offset, head_len, head, bytes } => {
                let is_at = |data: &[u8]| data.starts_with(&head[..usize::from(*head_len)]) && data.starts_with(bytes);
                comparison.new_from(*offset).is_some_and(is_at) && !comparison.old_from(*offset).is_some_and(is_at)
            }
        };
        if fires {
            fired.push(Fired { change, id: self.id, old_value, new_value });
        }
    }
}
