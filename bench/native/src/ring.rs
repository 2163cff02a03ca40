//! The ring of bytes against queues of what a user would put in them.
//!
//! The job: one thread sends records of a size, another receives them and looks at their first byte. A queue of boxes allocates and fills
//! one for each record, and the receiver frees it. A one-to-one queue of bytes is given a length and the bytes, and the receiver copies them
//! out. Nobody sleeps. Whoever finds its queue empty rests for 64 pauses, ours only while its ring is less than an eighth full: a consumer
//! that looks again at once makes every queue slower. Each queue holds as many bytes as the others.

use crate::measure::{Bench, Goal, peer};
use async_bpf_ring::{Notify, Record, many_to_one, one_to_one};
use crossbeam_queue::ArrayQueue;
use ringbuf::{
    HeapRb,
    traits::{Consumer as _, Observer as _, Producer as _, Split as _},
};
use rtrb::RingBuffer;
use std::{
    hint::{black_box, spin_loop},
    sync::Barrier,
    thread,
    time::Instant,
};

const CAPACITY: u32 = 64 << 10;
const BOXES: &str = "crossbeam ArrayQueue<Box<[u8]>>";
/// Records of a batch.
const BATCH: usize = 64;

/// Throughput on two threads, and instructions.
pub fn run(bench: &mut Bench) {
    for len in [32, 64, 128, 256, 1024, 4096] {
        let goal = match len {
            ..=128 => Goal::AtLeast(8.0),
            4096 => Goal::AtLeast(3.0),
            _ => Goal::Report,
        };
        let name = format!("ring, many-to-one, one producer, {len} B");
        bench.compare(&name, || many(len, Notify::Never), vec![peer(BOXES, goal, || boxes(len))]);
    }
    bench.compare(
        "ring, many-to-one, looking for a sleeper after each push, 32 B",
        || many(32, Notify::Auto),
        vec![peer(BOXES, Goal::Report, || boxes(32))],
    );
    bench.compare("ring, many-to-one, batches of 64, 32 B", || many_batched(32), vec![peer(BOXES, Goal::Report, || boxes(32))]);
    for len in [32, 256, 4096] {
        let goal = |bound| if len == 32 { Goal::AtLeast(bound) } else { Goal::Report };
        bench.compare(
            &format!("ring, one-to-one, {len} B"),
            || one(len),
            vec![
                peer(BOXES, goal(15.0), || boxes(len)),
                peer("rtrb, chunks of bytes", goal(1.0), || rtrb_bytes(len)),
                peer("ringbuf, slices of bytes", goal(1.0), || ringbuf_bytes(len)),
            ],
        );
    }
    bench.compare(
        "ring, one-to-one, batches of 64, 32 B",
        || one_batched(32),
        vec![peer(BOXES, Goal::Report, || boxes(32)), peer("rtrb, a chunk for each batch", Goal::Report, || rtrb_batched(32))],
    );
}

/// Records of one round: 3 to 15 ms of work.
fn records(len: usize) -> u64 {
    match len {
        ..=128 => 100_000,
        129..=1024 => 30_000,
        _ => 10_000,
    }
}

/// Nanoseconds a record, of two threads that start together.
///
/// Each side must own what it needs: what a producer has left on the stack of the consumer shares cache lines with what that one writes.
fn round(records: u64, produce: impl FnOnce() + Send, consume: impl FnOnce()) -> f64 {
    let start = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            produce();
        });
        start.wait();
        let began = Instant::now();
        consume();
        began.elapsed().as_nanos() as f64 / records as f64
    })
}

/// What everybody does who finds a queue empty or full: if nothing changes for long, the other thread may need our processor.
#[derive(Default)]
struct Patience(u32);

impl Patience {
    fn full(&mut self) {
        spin_loop();
        self.lose(1);
    }

    fn empty(&mut self) {
        (0..64).for_each(|_| spin_loop());
        self.lose(64);
    }

    fn lose(&mut self, spins: u32) {
        self.0 += spins;
        if self.0 >= 4096 {
            self.0 = 0;
            thread::yield_now();
        }
    }
}

/// Reads `records` of ours.
macro_rules! drain {
    ($consumer:ident, $records:ident) => {
        move || {
            let (mut left, mut patience) = ($records, Patience::default());
            while left > 0 {
                let first = |record: Record<'_>| {
                    black_box(record.bytes[0]);
                };
                match $consumer.drain(256, first).expect("the ring is ours") {
                    0 => {
                        $consumer.back_off();
                        patience.lose(64);
                    }
                    read => left -= read as u64,
                }
            }
        }
    };
}

fn many(len: usize, notify: Notify) -> f64 {
    let (producer, mut consumer) = many_to_one::heap(CAPACITY).expect("a power of two");
    let (producer, record, records) = (producer.with_notify(notify), vec![7u8; len], records(len));
    let produce = move || {
        let mut patience = Patience::default();
        for _ in 0..records {
            while producer.push(1, black_box(&record)).is_err() {
                patience.full();
            }
        }
    };
    round(records, produce, drain!(consumer, records))
}

fn many_batched(len: usize) -> f64 {
    let (producer, mut consumer) = many_to_one::heap(CAPACITY).expect("a power of two");
    let (record, records) = (vec![7u8; len], records(len));
    let produce = move || {
        let (mut left, mut patience) = (records, Patience::default());
        while left > 0 {
            let batch = (0..left.min(BATCH as u64)).map(|_| (1, black_box(&record[..])));
            match producer.push_batch(batch) {
                Ok(pushed) => left -= pushed as u64,
                Err(_) => patience.full(),
            }
        }
    };
    round(records, produce, drain!(consumer, records))
}

fn one(len: usize) -> f64 {
    let (producer, mut consumer) = one_to_one::heap(CAPACITY).expect("a power of two");
    let (mut producer, record, records) = (producer.with_notify(Notify::Never), vec![7u8; len], records(len));
    let produce = move || {
        let mut patience = Patience::default();
        for _ in 0..records {
            while producer.push(1, black_box(&record)).is_err() {
                patience.full();
            }
        }
    };
    round(records, produce, drain!(consumer, records))
}

fn one_batched(len: usize) -> f64 {
    let (mut producer, mut consumer) = one_to_one::heap(CAPACITY).expect("a power of two");
    let (record, records) = (vec![7u8; len], records(len));
    let produce = move || {
        let (mut left, mut patience) = (records, Patience::default());
        while left > 0 {
            let batch = (0..left.min(BATCH as u64)).map(|_| (1, black_box(&record[..])));
            match producer.push_batch(batch) {
                Ok(pushed) => left -= pushed as u64,
                Err(_) => patience.full(),
            }
        }
    };
    round(records, produce, drain!(consumer, records))
}

fn boxes(len: usize) -> f64 {
    let queue = &ArrayQueue::<Box<[u8]>>::new(CAPACITY as usize / (len + 8));
    let (record, records) = (vec![7u8; len], records(len));
    let produce = move || {
        let mut patience = Patience::default();
        for _ in 0..records {
            let mut item: Box<[u8]> = black_box(&record[..]).into();
            while let Err(back) = queue.push(item) {
                item = back;
                patience.full();
            }
        }
    };
    let consume = move || {
        let (mut left, mut patience) = (records, Patience::default());
        while left > 0 {
            match queue.pop() {
                None => patience.empty(),
                Some(item) => {
                    black_box(item[0]);
                    left -= 1;
                }
            }
        }
    };
    round(records, produce, consume)
}

/// Length and bytes as one slice, since each push of a slice is one publication.
fn framed(len: usize) -> Vec<u8> {
    [&(len as u64).to_le_bytes()[..], &vec![7; len]].concat()
}

fn rtrb_bytes(len: usize) -> f64 {
    rtrb_sent(len, 1)
}

fn rtrb_batched(len: usize) -> f64 {
    rtrb_sent(len, BATCH)
}

/// `batch` records are pushed as one slice.
fn rtrb_sent(len: usize, batch: usize) -> f64 {
    let (mut producer, mut consumer) = RingBuffer::<u8>::new(CAPACITY as usize);
    let (record, records) = (framed(len).repeat(batch), records(len) / batch as u64 * batch as u64);
    let produce = move || {
        let mut patience = Patience::default();
        for _ in 0..records / batch as u64 {
            while producer.push_entire_slice(black_box(&record)).is_err() {
                patience.full();
            }
        }
    };
    let consume = move || {
        let (mut left, mut prefix, mut out, mut patience) = (records, [0; 8], vec![0; len], Patience::default());
        while left > 0 {
            if consumer.pop_entire_slice(&mut prefix).is_err() {
                patience.empty();
                continue;
            }
            let len = u64::from_le_bytes(prefix) as usize;
            consumer.pop_entire_slice(&mut out[..len]).expect("prefix and bytes are published together");
            black_box(out[0]);
            left -= 1;
        }
    };
    round(records, produce, consume)
}

fn ringbuf_bytes(len: usize) -> f64 {
    let (mut producer, mut consumer) = HeapRb::<u8>::new(CAPACITY as usize).split();
    let (record, records) = (framed(len), records(len));
    let produce = move || {
        let mut patience = Patience::default();
        for _ in 0..records {
            while producer.vacant_len() < record.len() {
                patience.full();
            }
            producer.push_slice(black_box(&record));
        }
    };
    let consume = move || {
        let (mut left, mut prefix, mut out, mut patience) = (records, [0; 8], vec![0; len], Patience::default());
        while left > 0 {
            if consumer.pop_slice(&mut prefix) == 0 {
                patience.empty();
                continue;
            }
            let len = u64::from_le_bytes(prefix) as usize;
            consumer.pop_slice(&mut out[..len]);
            black_box(out[0]);
            left -= 1;
        }
    };
    round(records, produce, consume)
}

/// Pushes and drains 64 records at a time, `n` in all.
///
/// The length is not known when this is compiled, and one byte of each record is looked at.
pub fn count_many_to_one(n: u64) {
    let (producer, mut consumer) = many_to_one::heap(CAPACITY).expect("a power of two");
    let (producer, record, mut sum) = (producer.with_notify(Notify::Never), black_box(vec![7; 32]), 0);
    for _ in 0..n / BATCH as u64 {
        (0..BATCH).for_each(|_| assert!(producer.push(1, &record).is_ok()));
        consumer.drain(BATCH, |record| sum += record.bytes[0] as u64).expect("the ring is ours");
    }
    assert_eq!(sum, 7 * n);
}

/// The same with one producer.
pub fn count_one_to_one(n: u64) {
    let (producer, mut consumer) = one_to_one::heap(CAPACITY).expect("a power of two");
    let (mut producer, record, mut sum) = (producer.with_notify(Notify::Never), black_box(vec![7; 32]), 0);
    for _ in 0..n / BATCH as u64 {
        (0..BATCH).for_each(|_| assert!(producer.push(1, &record).is_ok()));
        consumer.drain(BATCH, |record| sum += record.bytes[0] as u64).expect("the ring is ours");
    }
    assert_eq!(sum, 7 * n);
}

/// The same with boxes.
pub fn count_boxes(n: u64) {
    let queue = ArrayQueue::<Box<[u8]>>::new(CAPACITY as usize / 40);
    let (record, mut sum) = (black_box(vec![7; 32]), 0);
    for _ in 0..n / BATCH as u64 {
        (0..BATCH).for_each(|_| assert!(queue.push(record[..].into()).is_ok()));
        (0..BATCH).for_each(|_| sum += queue.pop().expect("as many were pushed")[0] as u64);
    }
    assert_eq!(sum, 7 * n);
}
