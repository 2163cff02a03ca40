//! The limits of an engine: defaults, and the hard range within which a host may set each.

use crate::Error;
use borsh::{BorshDeserialize, BorshSerialize};

/// One limit as the tables of the other languages need it.
pub struct LimitRow {
    /// The name in the host API, for example `maxTimersPerProgram`.
    pub key: &'static str,
    /// The name as a constant, for example `MAX_TIMERS_PER_PROGRAM`.
    pub constant: &'static str,
    /// What holds unless the host says otherwise.
    pub default: u64,
    /// The lowest value that a host may set.
    pub min: u64,
    /// The highest value that a host may set.
    pub max: u64,
    /// Unit and meaning.
    pub doc: &'static str,
}

macro_rules! limits {
    ($($field:ident, $key:literal, $constant:literal, $default:literal, $min:literal ..= $max:literal, $doc:literal;)*) => {
        /// What one engine allows; fixed when it is created.
        #[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
        pub struct Limits { $(#[doc = $doc] pub $field: u64,)* }

        impl Default for Limits {
            fn default() -> Self { Limits { $($field: $default,)* } }
        }

        impl Limits {
            /// Every limit, in a fixed order.
            pub const TABLE: &'static [LimitRow] = &[$(LimitRow {
                key: $key, constant: $constant, default: $default, min: $min, max: $max, doc: $doc,
            },)*];

            /// Sets one limit by its host API name.
            ///
            /// Refuses unknown names and values outside the hard range with INVALID_ARGUMENT.
            pub fn set(&mut self, key: &str, value: u64) -> Result<(), Error> {
                match key {
                    $($key => self.$field = checked($key, value, $min, $max)?,)*
                    _ => {
                        let known: Vec<_> = Self::TABLE.iter().map(|row| row.key).collect();
                        return Err(Error::invalid("limits", key, format!("one of {}", known.join(", "))));
                    }
                }
                Ok(())
            }

            fn check_ranges(&self) -> Result<(), Error> {
                $(checked($key, self.$field, $min, $max)?;)*
                Ok(())
            }
        }
    };
}

fn checked(key: &'static str, value: u64, min: u64, max: u64) -> Result<u64, Error> {
    if (min..=max).contains(&value) { Ok(value) } else { Err(Error::invalid(key, value, format!("in [{min}, {max}]"))) }
}

limits! {
    max_timers_per_program, "maxTimersPerProgram", "MAX_TIMERS_PER_PROGRAM", 16, 0..=1_000_000, "live timers of one program";
    max_watchers_per_program, "maxWatchersPerProgram", "MAX_WATCHERS_PER_PROGRAM", 32, 0..=1_000_000, "watchers of one program";
    max_scheduled_tasks, "maxScheduledTasks", "MAX_SCHEDULED_TASKS", 1_024, 1..=16_777_216, "pending tasks, engine-wide";
    min_timer_slots, "minTimerSlots", "MIN_TIMER_SLOTS", 1, 1..=1_000_000, "slots from now to the nearest trigger slot, and the shortest period";
    max_timer_slots, "maxTimerSlots", "MAX_TIMER_SLOTS", 1_000_000, 1..=1_000_000_000, "slots from now to the farthest trigger slot, and the longest period; each 65,536 slots in which a timer waits take 264 KiB";
    max_ring_buffers_per_program, "maxRingBuffersPerProgram", "MAX_RING_BUFFERS_PER_PROGRAM", 8, 0..=65_536, "ring buffers of one program";
    min_ring_buffer_size, "minRingBufferSize", "MIN_RING_BUFFER_SIZE", 64, 32..=1_048_576, "bytes of the smallest ring buffer";
    default_ring_buffer_size, "defaultRingBufferSize", "DEFAULT_RING_BUFFER_SIZE", 4_096, 32..=1_073_741_824, "bytes of a ring buffer created without a size";
    max_ring_buffer_size, "maxRingBufferSize", "MAX_RING_BUFFER_SIZE", 1_048_576, 64..=1_073_741_824, "bytes of the largest ring buffer";
    max_callback_data_len, "maxCallbackDataLen", "MAX_CALLBACK_DATA_LEN", 1_024, 0..=10_240, "bytes of callback data";
    max_callback_accounts, "maxCallbackAccounts", "MAX_CALLBACK_ACCOUNTS", 64, 1..=128, "accounts of a callback, before a watcher's own is appended";
    max_compute_budget, "maxComputeBudget", "MAX_COMPUTE_BUDGET", 1_400_000, 1..=100_000_000, "compute units of one invocation";
    max_pattern_len, "maxPatternLen", "MAX_PATTERN_LEN", 64, 1..=1_024, "bytes of a watcher's pattern";
    slot_compute_limit, "slotComputeLimit", "SLOT_COMPUTE_LIMIT", 60_000_000, 1..=1_000_000_000_000, "compute units of all tasks of one slot";
}

impl Limits {
    /// Refuses values outside the hard ranges, and combinations that would make a call impossible to satisfy.
    pub fn validate(&self) -> Result<(), Error> {
        self.check_ranges()?;
        if self.min_timer_slots > self.max_timer_slots {
            return Err(Error::invalid("minTimerSlots", self.min_timer_slots, format!("at most maxTimerSlots, which is {}", self.max_timer_slots)));
        }
        if !(self.min_ring_buffer_size..=self.max_ring_buffer_size).contains(&self.default_ring_buffer_size) {
            return Err(Error::invalid(
                "defaultRingBufferSize",
                self.default_ring_buffer_size,
                format!("in [minRingBufferSize, maxRingBufferSize], which is [{}, {}]", self.min_ring_buffer_size, self.max_ring_buffer_size),
            ));
        }
        Ok(())
    }
}
