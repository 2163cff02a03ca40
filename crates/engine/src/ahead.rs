//! Reading ahead, so that cache misses overlap.
//!
//! Among millions of records, nearly everything that a slot looks at is in main memory, and a processor waits for it a hundred times longer than
//! it computes. It waits for several loads at the same time if they do not depend on each other and lie close together in the program. So before
//! a group of records is worked on, passes read a little of each: first all table entries, then what these point to, and so on.

use std::hint::black_box;

/// Records that go through the passes together: about as many as the cache misses that a core has under way at a time.
pub(crate) const GROUP: usize = 16;

/// Reads something of each item. Without a use of it the compiler would leave the reads out.
pub(crate) fn read<T>(items: impl IntoIterator<Item = T>, look: impl Fn(T) -> u64) {
    black_box(items.into_iter().fold(0, |all, item| all ^ look(item)));
}
