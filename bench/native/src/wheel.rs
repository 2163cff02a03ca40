//! The engine's timer wheel against an ordered set, and against the timer queue of tokio-util.
//!
//! Every contender holds the same number of timers all the time, uniform over the slots ahead. A round inserts, cancels in random order or
//! expires some of them, and then restores the number without being timed.

use crate::{
    counting,
    measure::{Bench, Goal, peer, per_operation, repeat_for},
};
use async_bpf_engine::wheel::{Handle, Wheel};
use std::{collections::BTreeSet, future::poll_fn, hint::black_box, task::Poll, time::Duration};
use tokio::{runtime::Runtime, time::Instant};
use tokio_util::time::{DelayQueue, delay_queue};

/// Slots ahead; the default of `MAX_TIMER_SLOTS`.
const HORIZON: u64 = 1_000_000;
/// Operations of a round.
const BATCH: usize = 20_000;
const MILLION: usize = 1_000_000;

/// The wheel.
pub fn run(bench: &mut Bench) {
    let sizes: &[_] = if bench.quick { &[("1M", MILLION)] } else { &[("1M", MILLION), ("4M", 4 * MILLION)] };
    for (name, count) in sizes {
        against_peers(bench, &format!("wheel, {name} timers"), *count, HORIZON, [Goal::AtLeast(4.0), Goal::AtLeast(5.0), Goal::AtLeast(1.5)]);
    }
    if !bench.quick {
        against_peers(bench, "wheel, 4M timers in 1,000 slots", 4 * MILLION, 1_000, [Goal::Report; 3]);
    }
    idle_slots(bench);
    far_jump(bench);
    for (name, count) in sizes {
        bytes(bench, name, *count);
    }
    allocations(bench);
}

/// What a contender can do.
trait Timers {
    type Key: Copy;

    fn insert(&mut self, slot: u64, id: u64) -> Self::Key;
    fn cancel(&mut self, key: Self::Key);
    /// Takes out everything up to `slot`, in order, and returns how many that were.
    fn advance(&mut self, slot: u64) -> usize;
}

struct Ours {
    wheel: Wheel,
    due: Vec<(u64, u64)>,
}

impl Ours {
    fn new() -> Self {
        Ours { wheel: Wheel::new(0, HORIZON), due: Vec::with_capacity(BATCH * 2) }
    }
}

impl Timers for Ours {
    type Key = (Handle, u64);

    fn insert(&mut self, slot: u64, id: u64) -> (Handle, u64) {
        (self.wheel.insert(slot, id).expect("the slot is ahead"), id)
    }

    fn cancel(&mut self, (handle, id): (Handle, u64)) {
        black_box(self.wheel.cancel(handle, id));
    }

    fn advance(&mut self, slot: u64) -> usize {
        self.due.clear();
        self.wheel.advance(slot, &mut self.due);
        black_box(&self.due).len()
    }
}

#[derive(Default)]
struct Ordered {
    timers: BTreeSet<(u64, u64)>,
    due: Vec<(u64, u64)>,
}

impl Timers for Ordered {
    type Key = (u64, u64);

    fn insert(&mut self, slot: u64, id: u64) -> (u64, u64) {
        self.timers.insert((slot, id));
        (slot, id)
    }

    fn cancel(&mut self, key: (u64, u64)) {
        black_box(self.timers.remove(&key));
    }

    fn advance(&mut self, slot: u64) -> usize {
        self.due.clear();
        while let Some(first) = self.timers.first()
            && first.0 <= slot
        {
            self.due.extend(self.timers.pop_first());
        }
        black_box(&self.due).len()
    }
}

/// A slot is a millisecond, the finest that the queue knows, of a clock that stands still unless it is told to advance. It does not order the
/// timers of a slot.
struct Delayed<'a> {
    runtime: &'a Runtime,
    start: Instant,
    queue: DelayQueue<u64>,
    current: u64,
    due: Vec<u64>,
}

impl<'a> Delayed<'a> {
    fn new(runtime: &'a Runtime) -> Self {
        Delayed { runtime, start: Instant::now(), queue: DelayQueue::new(), current: 0, due: Vec::new() }
    }
}

impl Timers for Delayed<'_> {
    type Key = delay_queue::Key;

    fn insert(&mut self, slot: u64, id: u64) -> delay_queue::Key {
        self.queue.insert_at(id, self.start + Duration::from_millis(slot))
    }

    fn cancel(&mut self, key: delay_queue::Key) {
        black_box(self.queue.remove(&key));
    }

    fn advance(&mut self, slot: u64) -> usize {
        let Delayed { runtime, queue, due, current, .. } = self;
        due.clear();
        // Unconstrained, since it would yield after a number of timers otherwise.
        runtime.block_on(tokio::task::unconstrained(async {
            tokio::time::advance(Duration::from_millis(slot - *current)).await;
            poll_fn(|context| {
                while let Poll::Ready(Some(expired)) = queue.poll_expired(context) {
                    due.push(expired.into_inner());
                }
                Poll::Ready(())
            })
            .await;
        }));
        *current = slot;
        black_box(due).len()
    }
}

/// A contender with its timers. All of them see the same slots and ids in the same order.
struct Population<T: Timers> {
    timers: T,
    keys: Vec<T::Key>,
    current: u64,
    span: u64,
    sequence: u64,
    random: u64,
}

impl<T: Timers> Population<T> {
    fn new(timers: T, count: usize, span: u64) -> Self {
        let mut population = Population { timers, keys: Vec::new(), current: 0, span, sequence: 0, random: 1 };
        for (slot, id) in population.new_timers(count) {
            let key = population.timers.insert(slot, id);
            population.keys.push(key);
        }
        population
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((u128::from(self.random) * u128::from(bound)) >> 64) as u64
    }

    fn new_timers(&mut self, count: usize) -> Vec<(u64, u64)> {
        let one = |_| {
            self.sequence += 1;
            (self.current + 1 + self.below(self.span), self.sequence << 20)
        };
        (0..count).map(one).collect()
    }

    fn insert(&mut self) -> f64 {
        let new = self.new_timers(BATCH);
        let mut keys = Vec::with_capacity(BATCH);
        let time = per_operation(BATCH as u64, || keys.extend(new.iter().map(|(slot, id)| self.timers.insert(*slot, *id))));
        keys.into_iter().for_each(|key| self.timers.cancel(key));
        time
    }

    fn cancel(&mut self) -> f64 {
        let chosen: Vec<_> = (0..BATCH)
            .map(|_| {
                let at = self.below(self.keys.len() as u64) as usize;
                self.keys.swap_remove(at)
            })
            .collect();
        let time = per_operation(BATCH as u64, || chosen.iter().for_each(|key| self.timers.cancel(*key)));
        for (slot, id) in self.new_timers(BATCH) {
            let key = self.timers.insert(slot, id);
            self.keys.push(key);
        }
        time
    }

    /// Slots that have about a batch.
    fn batch_slots(&self) -> u64 {
        BATCH as u64 * self.span / self.keys.len() as u64
    }

    /// Expires a batch, in steps of so many slots, and inserts as many again: nanoseconds of either. The keys are of no use afterwards.
    fn turn_over(&mut self, step: u64) -> (f64, f64) {
        let last = self.current + self.batch_slots();
        let mut expired = 0;
        let expire = per_operation(1, || {
            while self.current < last {
                self.current += step.min(last - self.current);
                expired += self.timers.advance(self.current);
            }
        });
        let new = self.new_timers(expired);
        let insert = per_operation(1, || {
            new.iter().for_each(|(slot, id)| {
                self.timers.insert(*slot, *id);
            })
        });
        (expire / expired as f64, insert / expired as f64)
    }

    fn expire_slot_by_slot(&mut self) -> f64 {
        self.turn_over(1).0
    }

    fn expire_at_once(&mut self) -> f64 {
        self.turn_over(self.batch_slots()).0
    }

    fn expire_at_once_and_insert(&mut self) -> f64 {
        let (expire, insert) = self.turn_over(self.batch_slots());
        expire + insert
    }
}

fn against_peers(bench: &mut Bench, name: &str, count: usize, span: u64, [insert, cancel, expire]: [Goal; 3]) {
    let mut ours = Population::new(Ours::new(), count, span);
    let mut ordered = Population::new(Ordered::default(), count, span);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("it needs no threads");
    let _entered = runtime.enter();
    let mut delayed = Population::new(Delayed::new(&runtime), count, span);
    let faster = if matches!(insert, Goal::Report) { Goal::Report } else { Goal::AtLeast(1.0) };
    const ORDERED: &str = "std BTreeSet<(slot, id)>";
    const DELAYED: &str = "tokio-util DelayQueue";
    bench.compare(
        &format!("{name}: insert"),
        || ours.insert(),
        vec![peer(ORDERED, insert, || ordered.insert()), peer(DELAYED, faster, || delayed.insert())],
    );
    bench.compare(
        &format!("{name}: cancel in random order"),
        || ours.cancel(),
        vec![peer(ORDERED, cancel, || ordered.cancel()), peer(DELAYED, faster, || delayed.cancel())],
    );
    // The queue would have to have its clock set for every slot, so it is not asked to.
    bench.compare(
        &format!("{name}: expire slot by slot"),
        || ours.expire_slot_by_slot(),
        vec![peer(ORDERED, expire, || ordered.expire_slot_by_slot())],
    );
    bench.compare(
        &format!("{name}: expire at once"),
        || ours.expire_at_once(),
        vec![peer(ORDERED, expire, || ordered.expire_at_once()), peer(DELAYED, faster, || delayed.expire_at_once())],
    );
    // The queue is quick to insert, since it leaves the sorting for later: this is both.
    bench.compare(
        &format!("{name}: insert and expire at once"),
        || ours.expire_at_once_and_insert(),
        vec![peer(ORDERED, Goal::Report, || ordered.expire_at_once_and_insert()), peer(DELAYED, faster, || delayed.expire_at_once_and_insert())],
    );
}

/// A million timers, all in the farther half of the horizon.
fn far_timers() -> Ours {
    let mut ours = Population::new(Ours::new(), 0, HORIZON / 2);
    ours.current = HORIZON / 2;
    for (slot, id) in ours.new_timers(MILLION) {
        ours.timers.insert(slot, id);
    }
    ours.timers
}

fn idle_slots(bench: &mut Bench) {
    let mut ours = far_timers();
    let mut slots = 1..=HORIZON / 2;
    let mut advance = || assert_eq!(ours.advance(slots.next().expect("there are enough idle slots")), 0);
    let times = (0..40).map(|_| per_operation(10_000, || (0..10_000).for_each(|_| advance())));
    bench.spread("wheel, 1M timers: a slot in which nothing is due", "ns", None, Goal::AtMost(100.0), times.collect());
}

/// One timer at the horizon, the search for it, and a jump to it over the empty slots.
fn far_jump(bench: &mut Bench) {
    let mut ours = Ours::new();
    let mut slot = 0;
    let mut jump = || {
        slot += HORIZON;
        ours.insert(slot, slot);
        assert_eq!(ours.wheel.next_due(), Some(slot));
        assert_eq!(ours.advance(slot), 1);
    };
    let times = (0..20).map(|_| repeat_for(Duration::from_millis(1), 1, &mut jump));
    bench.spread("wheel: a million empty slots, found and skipped", "ns", None, Goal::AtMost(5_000.0), times.collect());
}

fn bytes(bench: &mut Bench, name: &str, count: usize) {
    let memory = Population::new(Ours::new(), count, HORIZON).timers.wheel.memory();
    bench.number(&format!("wheel, {name} timers: memory of a timer"), "bytes", Goal::AtMost(40.0), memory.timers as f64 / count as f64);
    bench.number(&format!("wheel, {name} timers: memory of the slots"), "bytes", Goal::Report, memory.slots as f64);
}

/// Of a lap that inserts timers, cancels half of them and expires the others, after one that did the same.
fn allocations(bench: &mut Bench) {
    let mut population = Population::new(Ours::new(), 0, HORIZON);
    let mut keys = Vec::with_capacity(MILLION);
    let mut lap = || {
        let new = population.new_timers(MILLION);
        population.current += HORIZON;
        let before = counting::allocations();
        keys.clear();
        keys.extend(new.into_iter().map(|(slot, id)| population.timers.insert(slot, id)));
        keys.iter().step_by(2).for_each(|key| population.timers.cancel(*key));
        population.timers.advance(population.current);
        counting::allocations() - before
    };
    lap();
    bench.number("wheel: allocations in a lap of a million timers, once warm", "allocations", Goal::AtMost(0.0), lap() as f64);
}

/// Puts `n` timers in, and takes them out.
pub fn insert_and_cancel(n: u64) {
    let mut ours = Population::new(Ours::new(), 0, HORIZON);
    let new = ours.new_timers(n as usize);
    let keys: Vec<_> = new.into_iter().map(|(slot, id)| ours.timers.insert(slot, id)).collect();
    keys.into_iter().for_each(|key| ours.timers.cancel(key));
}

/// Puts `n` timers in, and lets them expire.
pub fn insert_and_expire(n: u64) {
    let mut ours = Population::new(Ours::new(), 0, HORIZON);
    for (slot, id) in ours.new_timers(n as usize) {
        ours.timers.insert(slot, id);
    }
    ours.timers.advance(HORIZON);
}
