//! What a watcher looks for in the change of an account.

use crate::{Account, Address, Error, Limits};
use borsh::{BorshDeserialize, BorshSerialize};

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

    pub(crate) fn check(&self, limits: &Limits) -> Result<(), Error> {
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

    /// Whether the change from `old` to `new` is the one that was asked for: with the old and the new value at a threshold, where there are any.
    /// An account that does not exist has no lamports, no data, and is owned by the system program.
    pub fn fires(&self, old: Option<&Account>, new: Option<&Account>) -> Option<Values> {
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

pub(crate) fn data(account: Option<&Account>) -> &[u8] {
    account.map_or(&[], |account| &account.data)
}

pub(crate) fn bytes(account: Option<&Account>, offset: u64, len: usize) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    data(account).get(start..start.checked_add(len)?)
}

pub(crate) fn value(account: Option<&Account>, offset: u64) -> Option<i64> {
    bytes(account, offset, 8).map(|bytes| i64::from_le_bytes(bytes.try_into().expect("8 bytes")))
}
