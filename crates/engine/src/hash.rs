//! The state hash: a chain over everything that changed.
//!
//! After every slot, `chain = blake3(chain ‖ delta)`, where the delta is the canonical (borsh) form of each record that
//! changed since the last link: one kind of record after the other, each by key. Equal histories give equal hashes, other
//! histories give others, even where they lead to the same state; and a slot that touches k of n records costs O(k).
//!
//! What has changed since the last slot is hashed on top of the chain when somebody asks, without becoming part of it:
//! looking at the hash never changes a later one.

use borsh::BorshSerialize;

/// A digest of the engine's state and of the path to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, BorshSerialize)]
pub struct StateHash(pub [u8; 32]);

impl StateHash {
    pub(crate) fn genesis(config: &impl BorshSerialize) -> Self {
        StateHash([0; 32]).link(|delta| delta.record("async-bpf state, version 1", config))
    }

    /// The next link, or the same hash when nothing changed.
    pub(crate) fn link(self, write: impl FnOnce(&mut Delta)) -> Self {
        let mut buffer = Vec::with_capacity(SMALL_LEN);
        buffer.extend_from_slice(&self.0);
        let mut delta = Delta { hasher: None, buffer, is_empty: true };
        write(&mut delta);
        match delta.hasher {
            _ if delta.is_empty => self,
            None => StateHash(blake3::hash(&delta.buffer).into()),
            Some(mut hasher) => StateHash(hasher.update(&delta.buffer).finalize().into()),
        }
    }
}

impl std::fmt::Display for StateHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for StateHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The canonical form of what changed. Every part begins with its tag and says how long it is, so no two deltas share their bytes.
pub(crate) struct Delta {
    /// Only when there is more than the buffer should hold: most slots change little, and a hasher is two kilobytes.
    hasher: Option<blake3::Hasher>,
    /// What the hasher has not seen yet, the hash before included. It works on many bytes at once, but they should still be in the cache.
    buffer: Vec<u8>,
    is_empty: bool,
}

/// What a slot in which little happens writes, at most.
const SMALL_LEN: usize = 1 << 10;
/// Bytes that the hasher gets at once, at least.
const BUFFER_LEN: usize = 32 << 10;

impl Delta {
    pub fn record(&mut self, tag: &str, record: &impl BorshSerialize) {
        self.write(&tag);
        self.write(record);
    }

    pub fn list<T: BorshSerialize>(&mut self, tag: &str, items: impl ExactSizeIterator<Item = T>) {
        if items.len() > 0 {
            self.write(&tag);
            self.write(&(items.len() as u64));
            items.for_each(|item| self.write(&item));
        }
    }

    /// Each key that may have changed, once, in order, with its record as it is now; `None` when it is gone.
    pub fn changed<K: Ord + Copy + BorshSerialize, R: BorshSerialize>(&mut self, tag: &str, keys: &[K], record: impl Fn(&K) -> Option<R>) {
        if keys.is_empty() {
            return;
        }
        let mut keys = keys.to_vec();
        // Ids mostly come as a few ascending rows, which a stable sort merges.
        keys.sort();
        keys.dedup();
        self.list(tag, keys.iter().map(|key| (*key, record(key))));
    }

    fn write(&mut self, value: &impl BorshSerialize) {
        value.serialize(&mut self.buffer).expect("writing to memory cannot fail");
        self.is_empty = false;
        if self.buffer.len() >= BUFFER_LEN {
            self.hasher.get_or_insert_default().update(&self.buffer);
            self.buffer.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(write: impl FnOnce(&mut Delta)) -> StateHash {
        StateHash([0; 32]).link(write)
    }

    #[test]
    fn nothing_is_no_link() {
        assert_eq!(hash(|_| {}), StateHash([0; 32]));
        assert_eq!(hash(|delta| delta.list("a", std::iter::empty::<u64>())), StateHash([0; 32]));
    }

    #[test]
    fn how_much_is_hashed_at_once_does_not_matter() {
        let items: Vec<u64> = (0..20_000).collect();
        let mut bytes = vec![0u8; 32];
        borsh::to_writer(&mut bytes, &("a", items.len() as u64)).unwrap();
        items.iter().for_each(|item| borsh::to_writer(&mut bytes, item).unwrap());
        assert_eq!(hash(|delta| delta.list("a", items.iter())).0, *blake3::hash(&bytes).as_bytes());
    }

    #[test]
    fn order_and_repetition_of_keys_do_not_matter() {
        let of = |keys: &[u64]| hash(|delta| delta.changed("a", keys, |key| (*key != 2).then_some(key * 10)));
        assert_eq!(of(&[3, 1, 2, 1]), of(&[1, 2, 3]));
        assert_ne!(of(&[1, 3]), of(&[1, 2, 3]), "what is gone counts");
    }

    #[test]
    fn parts_cannot_be_confused() {
        let lists = |a: &[u8], b: &[u8]| {
            hash(|delta| {
                delta.list("a", a.iter());
                delta.list("b", b.iter());
            })
        };
        assert_ne!(lists(&[1, 2], &[3]), lists(&[1], &[2, 3]));
        assert_ne!(lists(&[1], &[]), lists(&[], &[1]));
        assert_ne!(lists(&[1, 1, 0, 0, 0, b'b', 7], &[]), lists(&[1], &[7]), "items that look like the beginning of another list");
        assert_ne!(hash(|delta| delta.record("ab", &1u8)), hash(|delta| delta.record("a", &(b'b', 1u8))));
    }
}
