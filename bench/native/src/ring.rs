//! The ring of bytes against queues of what a user would put in them.
//!
//! The job: one thread sends records of a size, another receives them and looks at their first byte. A queue of boxes allocates and fills
//! one for each record, and the receiver frees it. A one-to-one queue of bytes is given a length and the bytes, and the receiver copies them
//! out. Nobody sleeps. Whoever finds its queue empty rests for 64 pauses, ours only while its ring is less than an eighth full: a consumer
//! that looks again at once makes every queue slower. Each queue holds as many bytes as the others.

use crate::measure::{Bench, Goal, peer, per_operation};
use async_bpf_ring::{Consumer, ManyToOne, Notify, OneToOne, many_to_one, one_to_one};
use crossbeam_queue::ArrayQueue;
use ringbuf::{
    HeapRb,
    traits::{Consumer as _, Observer as _, Producer as _, Split as _},
};
use rtrb::RingBuffer;
use std::{hint::black_box, hint::spin_loop, sync::Barrier, thread, time::Instant};

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
    for (name, operation) in [
        ("ring, many-to-one, push and drain of 32 B", "ring many-to-one"),
        ("ring, one-to-one, push and drain of 32 B", "ring one-to-one"),
    ] {
        bench.instructions(name, operation, 64_000, Goal::AtMost(110.0));
    }
    bench.instructions("crossbeam ArrayQueue<Box<[u8]>>, push and pop of 32 B", "boxes", 64_000, Goal::Report);
}

/// Records of one round: 3 to 15 ms of work.
fn records(len: usize) -> u64 {
    match len {
        ..=128 => 100_000,
        ..=1024 => 30_000,
        _ => 10_000,
    }
}

/// Nanoseconds a record, of two threads that start together.
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

fn rest() {
    (0..64).for_each(|_| spin_loop());
}

/// Reads `records` of ours.
macro_rules! drain {
    ($consumer:ident, $records:ident) => {
        move || {
            let mut left = $records;
            while left > 0 {
                match $consumer.drain(256, |record| drop(black_box(record.bytes[0]))).expect("the ring is ours") {
                    0 => $consumer.back_off(),
                    read => left -= read as u64,
                }
            }
        }
    };
}

fn many(len: usize, notify: Notify) -> f64 {
    let (producer, mut consumer) = many_to_one::heap(CAPACITY).expect("a power of two");
    let (producer, record, records) = (producer.with_notify(notify), vec![7u8; len], records(len));
    let produce = || {
        for _ in 0..records {
            while producer.push(1, black_box(&record)).is_err() {
                spin_loop();
            }
        }
    };
    round(records, produce, drain!(consumer, records))
}

fn many_batched(len: usize) -> f64 {
    let (producer, mut consumer) = many_to_one::heap(CAPACITY).expect("a power of two");
    let (record, records) = (vec![7u8; len], records(len));
    let produce = || {
        let mut left = records;
        while left > 0 {
            let batch = (0..left.min(BATCH as u64)).map(|_| (1, black_box(&record[..])));
            left -= producer.push_batch(batch).unwrap_or(0) as u64;
        }
    };
    round(records, produce, drain!(consumer, records))
}

fn one(len: usize) -> f64 {
    let (producer, mut consumer) = one_to_one::heap(CAPACITY).expect("a power of two");
    let (mut producer, record, records) = (producer.with_notify(Notify::Never), vec![7u8; len], records(len));
    let produce = || {
        for _ in 0..records {
            while producer.push(1, black_box(&record)).is_err() {
                spin_loop();
            }
        }
    };
    round(records, produce, drain!(consumer, records))
}

fn one_batched(len: usize) -> f64 {
    let (mut producer, mut consumer) = one_to_one::heap(CAPACITY).expect("a power of two");
    let (record, records) = (vec![7u8; len], records(len));
    let produce = || {
        let mut left = records;
        while left > 0 {
            let batch = (0..left.min(BATCH as u64)).map(|_| (1, black_box(&record[..])));
            left -= producer.push_batch(batch).unwrap_or(0) as u64;
        }
    };
    round(records, produce, drain!(consumer, records))
}

fn boxes(len: usize) -> f64 {
    let queue = ArrayQueue::<Box<[u8]>>::new(CAPACITY as usize / (len + 8));
    let (record, records) = (vec![7u8; len], records(len));
    let produce = || {
        for _ in 0..records {
            let mut item: Box<[u8]> = black_box(&record[..]).into();
            while let Err(back) = queue.push(item) {
                item = back;
                spin_loop();
            }
        }
    };
    let consume = || {
        let mut left = records;
        while left > 0 {
            match queue.pop() {
                None => rest(),
                Some(item) => {
                    black_box(item[0]);
                    left -= 1;
                }
            }
        }
    };
    round(records, produce, consume)
}

fn copy_in(chunk: rtrb::chunks::WriteChunkUninit<'_, u8>, parts: &[&[u8]]) {
    chunk.fill_from_iter(parts.iter().flat_map(|part| part.iter().copied()));
}

fn rtrb_bytes(len: usize) -> f64 {
    rtrb_sent(len, 1)
}

fn rtrb_batched(len: usize) -> f64 {
    rtrb_sent(len, BATCH)
}
