//! Threads that push, discard and batch as they please, at every length, while one reads.
//!
//! `scripts/tsan.sh` runs it under ThreadSanitizer.
#![cfg(not(loom))]

use async_bpf_ring::{Record, many_to_one, one_to_one};
use std::{env, thread};

const PRODUCERS: u32 = 4;

fn records() -> u64 {
    env::var("STRESS_RECORDS").map_or(20_000, |records| records.parse().expect("STRESS_RECORDS is a number"))
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }
}

/// The bytes of record `n` of a producer: anything else in the ring is wrong, also what an older lap has left.
fn content(producer: u32, n: u64) -> Vec<u8> {
    let mut random = Random((n + 1) * (producer as u64 + 1) * 0x9e37_79b9);
    // Mostly short, up to as long as a ring of 1 KiB.
    let max = if n.is_multiple_of(64) { 1016 } else { 80 };
    (0..random.below(max + 1)).map(|_| random.below(256) as u8).collect()
}

/// Checks that each producer's records are all there, in their order, and whole.
#[derive(Default)]
struct Checker {
    next: [u64; PRODUCERS as usize],
    position: u64,
}

impl Checker {
    fn check(&mut self, record: Record<'_>) {
        let next = &mut self.next[record.kind as usize];
        assert!(record.bytes == content(record.kind, *next), "record {next} of producer {}", record.kind);
        assert!(record.position > self.position);
        *next += 1;
        self.position = record.position;
    }
}

#[test]
fn many_to_one() {
    let (first, mut consumer) = many_to_one::heap(1024).expect("a power of two");
    let records = records();
    let mut checker = Checker::default();
    thread::scope(|scope| {
        for kind in 0..PRODUCERS {
            let producer = first.clone();
            scope.spawn(move || {
                let mut random = Random(kind as u64 + 1);
                let mut n = 0;
                while n < records {
                    let bytes = content(kind, n);
                    let pushed = match random.below(4) {
                        0 => producer.reserve(kind, bytes.len()).map(|mut grant| {
                            assert!(grant.iter().all(|byte| *byte == 0), "reserved space is zeroed");
                            grant.copy_from_slice(&bytes);
                            grant.commit();
                            1
                        }),
                        1 => {
                            let next = content(kind, n + 1);
                            let both = [(kind, &bytes[..]), (kind, &next[..])];
                            producer.push_batch(both[..(records - n).min(2) as usize].iter().copied()).map(|count| count as u64)
                        }
                        2 => producer.reserve(kind, random.below(200) as usize).map(|mut grant| {
                            grant.fill(0xff);
                            0
                        }),
                        _ => producer.push(kind, &bytes).map(|_| 1),
                    };
                    n += pushed.unwrap_or_else(|_| {
                        thread::yield_now();
                        0
                    });
                }
            });
        }
        drop(first);
        while checker.next != [records; PRODUCERS as usize] {
            assert!(consumer.wait(None));
            consumer.drain(7, |record| checker.check(record)).expect("the ring is ours");
        }
    });
    consumer.close();
    consumer.drain(usize::MAX, |_| panic!("there are no others")).expect("the ring is ours");
    assert!(consumer.is_finished());
}

#[test]
fn one_to_one() {
    let (mut producer, mut consumer) = one_to_one::heap(1024).expect("a power of two");
    let records = PRODUCERS as u64 * records();
    let mut checker = Checker::default();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut random = Random(1);
            let mut n = 0;
            while n < records {
                let bytes = content(0, n);
                let pushed = match random.below(4) {
                    0 => producer.reserve(0, bytes.len()).map(|mut grant| {
                        grant.copy_from_slice(&bytes);
                        grant.commit();
                        1
                    }),
                    1 => {
                        let next = content(0, n + 1);
                        let both = [(0, &bytes[..]), (0, &next[..])];
                        producer.push_batch(both[..(records - n).min(2) as usize].iter().copied()).map(|count| count as u64)
                    }
                    2 => producer.reserve(0, random.below(200) as usize).map(|mut grant| {
                        grant.fill(0xff);
                        0
                    }),
                    _ => producer.push(0, &bytes).map(|_| 1),
                };
                n += pushed.unwrap_or_else(|_| {
                    thread::yield_now();
                    0
                });
            }
            producer.close();
        });
        while !consumer.is_finished() {
            assert!(consumer.wait(None));
            consumer.drain(7, |record| checker.check(record)).expect("the ring is ours");
        }
    });
    assert_eq!(checker.next[0], records);
}
