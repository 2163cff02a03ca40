//! Pending tasks in the exact order in which they run: priority, then deadline, then sequence.
//!
//! A task waits in one of two places. Without a deadline it is at the end of the queue of its priority; with one, in a heap by
//! (deadline, sequence). Neither place is ever sorted or searched:
//!
//! - **Aging.** A task gains one priority for each [`AGING_SLOTS`] slots that it has waited. Sequences ascend with time, so in a
//!   queue the oldest task, with the most raises, is in front, and its level follows from its age: nothing moves. The next task of
//!   a level is the one with the lowest sequence among the fronts of at most four queues that have reached it.
//!   Tasks with a deadline are not ordered by age; a second heap says when each is due to move to the heap above.
//! - **A slot** begins with [`begin_slot`](Scheduler::begin_slot). What is pushed later waits for the next one, so within a slot
//!   levels only go down, and finding the next task starts where the last one was found.
//! - **Removal** leaves a stale key behind, which is dropped when it is met, or at the beginning of a slot when most keys are stale.
//!
//! Tasks live in a slab; queues and heaps hold keys of 16 bytes. Once these have grown to what a host needs, nothing is allocated.
//!
//! | operation   | cost                                                  |
//! | ----------- | ----------------------------------------------------- |
//! | push        | O(1), with a deadline O(log n) at the next slot       |
//! | hand out    | O(1), with a deadline O(log n)                        |
//! | remove, get | O(1)                                                  |
//! | begin_slot  | O(what was pushed since + deadline tasks that rise)   |

use slab::Slab;
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

/// A waiting task is raised by one priority each time it has waited for this many slots.
pub const AGING_SLOTS: u64 = 64;
/// Priorities, 0 (lowest) to 3.
pub const LEVELS: usize = 4;

/// Where a task queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// 0 (lowest) to 3, before aging.
    pub priority: u8,
    /// Tasks of one priority that have one go first, by deadline.
    pub deadline_slot: Option<u64>,
    /// Unique, and above that of every task pushed before.
    pub sequence: u64,
    /// The slot in which it was queued, from which it ages; not below that of a task pushed before.
    pub queued_slot: u64,
}

impl Rank {
    /// Its priority in `slot`, raised by the time it has waited.
    pub fn level(&self, slot: u64) -> usize {
        (u64::from(self.priority) + self.raised(slot)).min(LEVELS as u64 - 1) as usize
    }

    /// The first slot in which its level is above that in `slot`, if there is one before slots end.
    fn next_raise(&self, slot: u64) -> Option<u64> {
        if self.level(slot) == LEVELS - 1 {
            return None;
        }
        self.queued_slot.checked_add((self.raised(slot) + 1) * AGING_SLOTS)
    }

    fn raised(&self, slot: u64) -> u64 {
        slot.saturating_sub(self.queued_slot) / AGING_SLOTS
    }
}

/// Names a task for as long as it is pending; never names another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    sequence: u64,
    index: u32,
}

struct Entry<T> {
    rank: Rank,
    value: T,
}

/// Keys by a slot, lowest first, then by sequence.
type Heap = BinaryHeap<Reverse<(u64, Key)>>;

/// The places where keys wait.
enum Place {
    Queue(usize),
    Heap(usize),
}

/// See the module's documentation.
pub struct Scheduler<T> {
    entries: Slab<Entry<T>>,
    slot: u64,
    /// Pushed since the slot began.
    fresh: Vec<Key>,
    /// Tasks without a deadline, by priority before aging and in order of sequence.
    queues: [VecDeque<Key>; LEVELS],
    /// Tasks with a deadline, by level.
    heaps: [Heap; LEVELS],
    /// When each task with a deadline moves up.
    raises: Heap,
    /// No task that is left in this slot has a higher level.
    level: usize,
    /// Whether a task without a deadline had risen above its priority when the slot began. If not, a queue is a level.
    aged: bool,
}

impl<T> Default for Scheduler<T> {
    fn default() -> Self {
        Scheduler {
            entries: Slab::new(),
            slot: 0,
            fresh: Vec::new(),
            queues: Default::default(),
            heaps: Default::default(),
            raises: Heap::new(),
            level: LEVELS - 1,
            aged: false,
        }
    }
}

impl<T> Scheduler<T> {
    /// Pending tasks, those handed out included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a task, which can be handed out from the next slot on.
    pub fn push(&mut self, rank: Rank, value: T) -> Key {
        let index = u32::try_from(self.entries.insert(Entry { rank, value })).expect("fewer than 2^32 tasks are pending");
        let key = Key { sequence: rank.sequence, index };
        self.fresh.push(key);
        key
    }

    /// A pending task.
    pub fn get(&self, key: Key) -> Option<&T> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// A pending task, to be changed; its rank stays.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.entries.get_mut(key.index as usize).filter(|entry| entry.rank.sequence == key.sequence).map(|entry| &mut entry.value)
    }

    /// Takes a task out, whether it was handed out or not.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        self.entry(key)?;
        Some(self.entries.remove(key.index as usize).value)
    }

    /// Begins a slot, not below the last: what was pushed before counts, and tasks have aged. What was handed out in the slot before
    /// must have been removed.
    pub fn begin_slot(&mut self, slot: u64) {
        self.slot = slot;
        self.level = LEVELS - 1;
        self.drop_stale();
        while let Some(&Reverse((raise, key))) = self.raises.peek()
            && raise <= slot
        {
            self.raises.pop();
            self.place(key);
        }
        for n in 0..self.fresh.len() {
            self.place(self.fresh[n]);
        }
        self.fresh.clear();
        self.aged = (0..LEVELS).any(|priority| self.front(priority).is_some_and(|(_, level)| level > priority));
    }

    /// Hands out the next task whose deadline has passed. Ask until there is none before asking for what may run.
    pub fn next_expired(&mut self) -> Option<Key> {
        if self.entries.is_empty() {
            return None;
        }
        (0..LEVELS).rev().find_map(|level| {
            let (deadline, key) = self.first_deadline(level)?;
            (deadline < self.slot).then(|| {
                self.heaps[level].pop();
                key
            })
        })
    }

    /// The next task to run in this slot, which is not handed out yet.
    pub fn peek(&mut self) -> Option<Key> {
        self.find().map(|(key, _)| key)
    }

    /// Hands out the next task to run in this slot. It stays pending until it is removed.
    pub fn hand_out(&mut self) -> Option<Key> {
        let (key, place) = self.find()?;
        match place {
            Place::Queue(priority) => drop(self.queues[priority].pop_front()),
            Place::Heap(level) => drop(self.heaps[level].pop()),
        }
        Some(key)
    }

    /// Takes out the next tasks to run in this slot, at most `max`.
    pub fn take(&mut self, max: usize, tasks: &mut Vec<T>) {
        for _ in 0..max {
            let Some(key) = self.hand_out() else { break };
            tasks.push(self.entries.remove(key.index as usize).value);
        }
    }

    /// Keys in queues and heaps, the stale ones included: what memory is taken for, besides the tasks.
    pub fn keys_held(&self) -> usize {
        let queued: usize = self.queues.iter().map(VecDeque::len).sum();
        let heaped: usize = self.heaps.iter().map(BinaryHeap::len).sum();
        self.fresh.len() + queued + heaped + self.raises.len()
    }

    fn entry(&self, key: Key) -> Option<&Entry<T>> {
        self.entries.get(key.index as usize).filter(|entry| entry.rank.sequence == key.sequence)
    }

    /// Puts a task where it belongs in this slot. The key it had below, if it moves up, is stale by its level.
    fn place(&mut self, key: Key) {
        let Some(rank) = self.entry(key).map(|entry| entry.rank) else { return };
        match rank.deadline_slot {
            None => self.queues[usize::from(rank.priority)].push_back(key),
            Some(deadline) => {
                self.heaps[rank.level(self.slot)].push(Reverse((deadline, key)));
                if let Some(raise) = rank.next_raise(self.slot) {
                    self.raises.push(Reverse((raise, key)));
                }
            }
        }
    }

    fn find(&mut self) -> Option<(Key, Place)> {
        // Most slots of most hosts run nothing.
        if self.entries.is_empty() {
            return None;
        }
        loop {
            if let Some((_, key)) = self.first_deadline(self.level) {
                return Some((key, Place::Heap(self.level)));
            }
            // Of equals the oldest; if nothing has aged, there is only one queue to look at.
            let mut first: Option<(Key, Place)> = None;
            for priority in if self.aged { 0 } else { self.level }..=self.level {
                if let Some((key, level)) = self.front(priority)
                    && level == self.level
                    && first.as_ref().is_none_or(|(other, _)| key < *other)
                {
                    first = Some((key, Place::Queue(priority)));
                }
            }
            if first.is_some() || self.level == 0 {
                return first;
            }
            self.level -= 1;
        }
    }

    /// The first task of a queue, which is the oldest, and its level.
    fn front(&mut self, priority: usize) -> Option<(Key, usize)> {
        while let Some(&key) = self.queues[priority].front() {
            match self.entry(key) {
                Some(entry) => return Some((key, entry.rank.level(self.slot))),
                None => drop(self.queues[priority].pop_front()),
            }
        }
        None
    }

    /// The first task of a heap, and its deadline.
    fn first_deadline(&mut self, level: usize) -> Option<(u64, Key)> {
        while let Some(&Reverse((deadline, key))) = self.heaps[level].peek() {
            if self.entry(key).is_some_and(|entry| entry.rank.level(self.slot) == level) {
                return Some((deadline, key));
            }
            self.heaps[level].pop();
        }
        None
    }

    /// Compacts what holds more stale keys than there are tasks, so that a slot which is never reached does not collect them.
    fn drop_stale(&mut self) {
        let most = 2 * self.entries.len() + 64;
        let pending = |key: &Key| self.entries.get(key.index as usize).is_some_and(|entry| entry.rank.sequence == key.sequence);
        for queue in self.queues.iter_mut().filter(|queue| queue.len() > most) {
            queue.retain(pending);
        }
        for heap in self.heaps.iter_mut().chain([&mut self.raises]).filter(|heap| heap.len() > most) {
            heap.retain(|Reverse((_, key))| pending(key));
        }
    }
}
