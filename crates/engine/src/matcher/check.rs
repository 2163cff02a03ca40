//! What one watcher looks for, compactly.

use super::{Fired, change::Comparison};
use crate::Trigger;

/// A [`Trigger`] that is read without leaving its cache line, but for the bytes of a pattern.
pub(super) enum Test {
    Any,
    Lamports,
    Data,
    Owner,
    Above { offset: u32, threshold: i64 },
    Below { offset: u32, threshold: i64 },
    Pattern { offset: u32, bytes: Box<[u8]> },
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
            Trigger::PatternMatch { offset, pattern } => Test::Pattern { offset: near(*offset), bytes: pattern.as_slice().into() },
        }
    }
}

impl Test {
    /// Where it looks first.
    pub fn offset(&self) -> usize {
        match self {
            Test::Any | Test::Lamports | Test::Data | Test::Owner => 0,
            Test::Above { offset, .. } | Test::Below { offset, .. } | Test::Pattern { offset, .. } => *offset as usize,
        }
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
            Test::Pattern { offset, bytes } => {
                let expected = Some(&**bytes);
                comparison.new_bytes(*offset, bytes.len()) == expected && comparison.old_bytes(*offset, bytes.len()) != expected
            }
        };
        if fires {
            fired.push(Fired { change, id: self.id, old_value, new_value });
        }
    }
}
