//! What a user sees of a ring on one thread.
#![cfg(not(loom))]

mod support;

use async_bpf_ring::{MemoryError, PopError, PushError, many_to_one, one_to_one};
use std::panic::{AssertUnwindSafe, catch_unwind};
use support::{MODES, Ring};

#[test]
fn records_come_out_as_they_went_in() {
    for mode in MODES {
        let mut ring = Ring::heap(mode, 256);
        let first = ring.push(1, b"one").unwrap();
        let second = ring.push(u32::MAX, b"").unwrap();
        assert!(first < second);
        assert_eq!(ring.peek().unwrap(), Some((first, 1, b"one".to_vec())));
        assert_eq!(ring.drain(10).unwrap(), [(first, 1, b"one".to_vec()), (second, u32::MAX, vec![])]);
        assert_eq!(ring.drain(10).unwrap(), []);
        assert_eq!((ring.used(), ring.is_empty()), (0, true));
    }
}

#[test]
fn a_full_ring_refuses_and_loses_nothing() {
    for mode in MODES {
        let mut ring = Ring::heap(mode, 64);
        for n in 0..4 {
            ring.push(n, &[n as u8; 8]).unwrap();
        }
        assert_eq!(ring.used(), 64);
        assert_eq!(ring.push(9, b""), Err(PushError::Full));
        let kinds: Vec<u32> = ring.drain(3).unwrap().iter().map(|record| record.1).collect();
        assert_eq!(kinds, [0, 1, 2]);
        ring.push(4, &[4; 40]).unwrap();
        assert_eq!(ring.push(9, b""), Err(PushError::Full));
        let kinds: Vec<u32> = ring.drain(3).unwrap().iter().map(|record| record.1).collect();
        assert_eq!(kinds, [3, 4]);
    }
}

#[test]
fn every_record_that_is_not_longer_than_the_ring_gets_into_an_empty_one() {
    for (mode, capacity) in MODES.into_iter().flat_map(|mode| [64, 128, 256, 512].map(|capacity| (mode, capacity))) {
        for offset in 0..capacity / 8 {
            for len in 0..=capacity as usize - 8 {
                let mut ring = Ring::heap(mode, capacity);
                for _ in 0..offset {
                    ring.push(0, b"").unwrap();
                    ring.drain(1).unwrap();
                }
                let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
                let pushed = ring.push(5, &bytes).or_else(|reason| {
                    assert_eq!(reason, PushError::Full);
                    assert!(!ring.is_empty(), "the consumer has something to do");
                    assert_eq!(ring.drain(1).unwrap(), []);
                    ring.push(5, &bytes)
                });
                assert_eq!(ring.drain(2).unwrap(), [(pushed.expect("it fits"), 5, bytes)], "{mode:?} {capacity} {offset} {len}");
            }
        }
    }
}

#[test]
fn too_long_names_the_limit() {
    for mode in MODES {
        let mut ring = Ring::heap(mode, 64);
        assert_eq!(ring.max_len(), 56);
        assert_eq!(ring.push(0, &[0; 57]), Err(PushError::TooLong { len: 57, max: 56 }));
        assert_eq!(ring.grant(0, &[0; 57], true), Err(PushError::TooLong { len: 57, max: 56 }));
        assert_eq!(ring.push_batch(&[(0, vec![0; 57])]), Err(PushError::TooLong { len: 57, max: 56 }));
        assert_eq!(PushError::TooLong { len: 57, max: 56 }.to_string(), "len: 57 bytes, the ring takes records of at most 56");
        ring.push(0, &[7; 56]).unwrap();
        assert_eq!(ring.drain(1).unwrap()[0].2, [7; 56]);
    }
}

#[test]
fn capacities_are_powers_of_two_in_a_range() {
    let error = |capacity| Some(MemoryError::Capacity { capacity, min: 64, max: 1 << 30 });
    for capacity in [0, 1, 32, 63, 65, 96, (1 << 30) + 1, 1 << 31, u32::MAX] {
        assert_eq!(many_to_one::heap(capacity).err(), error(capacity));
        assert_eq!(one_to_one::heap(capacity).err(), error(capacity));
    }
}

#[test]
fn the_largest_ring() {
    for mode in MODES {
        let mut ring = Ring::heap(mode, 1 << 30);
        assert_eq!(ring.max_len(), (1 << 30) - 8);
        let bytes = vec![3; 40_000_000];
        for _ in 0..60 {
            ring.push(1, &bytes).unwrap();
            assert!(ring.drain(1).unwrap()[0].2 == bytes);
        }
    }
}

#[test]
fn a_dropped_grant_is_skipped() {
    for mode in MODES {
        let mut ring = Ring::heap(mode, 128);
        ring.push(1, b"before").unwrap();
        assert_eq!(ring.grant(2, b"never", false), Ok(None));
        let end = ring.grant(3, b"after", true).unwrap().unwrap();
        let seen = ring.drain(10).unwrap();
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[1], (end, 3, b"after".to_vec()));
        assert_eq!(ring.used(), 0);
    }
}

#[test]
fn a_panic_while_writing_discards_the_record() {
    let (producer, mut consumer) = many_to_one::heap(64).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut grant = producer.reserve(0, 8).unwrap();
        grant[0] = 1;
        panic!("while writing");
    }));
    assert!(panicked.is_err());
    producer.push(7, b"next").unwrap();
    let mut kinds = Vec::new();
    consumer.drain(9, |record| kinds.push(record.kind)).unwrap();
    assert_eq!(kinds, [7]);
}

#[test]
fn a_panic_while_reading_consumes_the_record() {
    for mode in MODES {
        let mut ring = Ring::heap(mode, 128);
        for kind in 0..4 {
            ring.push(kind, b"x").unwrap();
        }
        let each = |record: async_bpf_ring::Record<'_>| assert_ne!(record.kind, 1);
        let panicked = catch_unwind(AssertUnwindSafe(|| match &mut ring {
            Ring::Many(_, consumer) => consumer.drain(9, each),
            Ring::One(_, consumer) => consumer.drain(9, each),
        }));
        assert!(panicked.is_err());
        assert_eq!(ring.used(), 32);
        let kinds: Vec<u32> = ring.drain(9).unwrap().iter().map(|record| record.1).collect();
        assert_eq!(kinds, [2, 3]);
    }
}

#[test]
fn pop_leaves_what_does_not_fit_the_buffer() {
    for mode in MODES {
        let mut ring = Ring::heap(mode, 64);
        assert_eq!(ring.pop(&mut []), Ok(None));
        let position = ring.push(4, b"12345").unwrap();
        assert_eq!(ring.pop(&mut [0; 4]), Err(PopError::BufferTooSmall { len: 5, max: 4 }));
        let mut buffer = [9; 6];
        let popped = ring.pop(&mut buffer).unwrap().unwrap();
        assert_eq!((popped.position, popped.kind, popped.len, &buffer), (position, 4, 5, b"12345\x09"));
        assert_eq!(ring.pop(&mut buffer), Ok(None));
    }
}

#[test]
fn a_closed_ring_can_be_read_to_its_end_and_reopened() {
    for mode in MODES {
        let mut ring = Ring::heap(mode, 128);
        ring.push(1, b"last").unwrap();
        ring.close();
        assert_eq!(ring.push(2, b"late"), Err(PushError::Closed));
        assert_eq!(ring.grant(2, b"late", true), Err(PushError::Closed));
        assert_eq!(ring.push_batch(&[(2, vec![])]), Err(PushError::Closed));
        assert!(!ring.is_finished());
        assert_eq!(ring.drain(9).unwrap().len(), 1);
        assert!(ring.is_finished());
        ring.reopen();
        assert!(!ring.is_finished());
        ring.push(3, b"again").unwrap();
        assert_eq!(ring.drain(9).unwrap()[0].1, 3);
    }
}

#[test]
fn a_producer_learns_what_was_consumed() {
    for mode in MODES {
        let mut ring = Ring::heap(mode, 128);
        for _ in 0..100 {
            let first = ring.push(0, b"a").unwrap();
            let second = ring.push(0, b"b").unwrap();
            assert!(ring.consumed_position().unwrap() < first);
            ring.drain(1).unwrap();
            assert!((first..second).contains(&ring.consumed_position().unwrap()));
            ring.drain(1).unwrap();
            assert_eq!(ring.consumed_position(), Ok(second));
        }
    }
}

#[test]
fn what_a_dead_producer_has_claimed_is_discarded() {
    let (producer, mut consumer) = many_to_one::heap(256).unwrap();
    producer.push(1, b"before").unwrap();
    let mut grant = producer.reserve(2, 20).unwrap();
    grant.fill(0xff);
    std::mem::forget(grant);
    producer.push(3, b"after").unwrap();
    let drain = |consumer: &mut async_bpf_ring::Consumer<_>| {
        let mut kinds = Vec::new();
        consumer.drain(9, |record| kinds.push(record.kind)).unwrap();
        kinds
    };
    assert_eq!(drain(&mut consumer), [1]);
    assert_eq!(consumer.recover(), Ok(None), "a producer is alive");
    assert_eq!(drain(&mut consumer), []);
    drop(producer);
    assert_eq!(consumer.recover(), Ok(Some(1)));
    assert_eq!(drain(&mut consumer), [3]);
    let producer = consumer.producer();
    producer.push(4, &[1; 200]).unwrap_err();
    drain(&mut consumer);
    producer.push(4, &[1; 200]).unwrap();
    assert_eq!(drain(&mut consumer), [4]);
}

#[test]
fn a_one_to_one_producer_that_died_is_replaced() {
    let (mut producer, mut consumer) = one_to_one::heap(64).unwrap();
    producer.push(1, b"a").unwrap();
    producer.reserve(2, 30).unwrap().fill(0xff);
    assert!(consumer.producer().unwrap().is_none());
    drop(producer);
    let mut producer = consumer.producer().unwrap().expect("there is no other");
    let end = producer.push(3, b"b").unwrap();
    let mut seen = Vec::new();
    consumer.drain(9, |record| seen.push((record.kind, record.position))).unwrap();
    assert_eq!(seen, [(1, 2), (3, end)]);
}

#[test]
fn a_ring_says_whether_it_is_closed() {
    for mode in MODES {
        let mut ring = Ring::heap(mode, 64);
        assert!(!ring.is_closed());
        ring.push(1, b"before").unwrap();
        ring.close();
        assert!(ring.is_closed() && !ring.is_finished(), "there is something to read");
        assert_eq!(ring.push(2, b""), Err(PushError::Closed));
        ring.reopen();
        assert!(!ring.is_closed());
        ring.push(3, b"").unwrap();
        let kinds: Vec<u32> = ring.drain(9).unwrap().iter().map(|record| record.1).collect();
        assert_eq!(kinds, [1, 3]);
    }
}

#[test]
fn the_consumer_of_many_can_close_and_reopen() {
    let (producer, mut consumer) = many_to_one::heap(64).unwrap();
    consumer.close();
    assert!(producer.is_closed() && consumer.is_finished());
    assert_eq!(producer.push(1, b""), Err(PushError::Closed));
    consumer.reopen();
    assert!(!producer.is_closed() && !consumer.is_finished());
    producer.push(2, b"").unwrap();
    assert_eq!(consumer.drain(9, |record| assert_eq!(record.kind, 2)), Ok(1));
}

#[test]
fn backing_off_ends_and_changes_nothing() {
    for mode in MODES {
        let mut ring = Ring::heap(mode, 1024);
        assert_eq!(ring.capacity(), 1024);
        let mut expected = Vec::new();
        // Until an eighth is full, and beyond.
        for kind in 0..20 {
            ring.back_off();
            assert_eq!(ring.used(), 16 * kind);
            expected.push((ring.push(kind, &[7; 8]).unwrap(), kind, vec![7; 8]));
        }
        ring.back_off();
        assert_eq!(ring.drain(99).unwrap(), expected);
    }
}

#[test]
fn what_is_written_to_a_grant_can_be_read_there() {
    let (producer, mut consumer) = many_to_one::heap(64).unwrap();
    let (mut single, mut single_consumer) = one_to_one::heap(64).unwrap();
    for n in 1..20 {
        let mut grant = producer.reserve(n, 20).unwrap();
        assert_eq!(grant[..], [0; 20], "whatever was there before");
        grant[5] = 9;
        assert_eq!((grant[4], grant[5]), (0, 9));
        grant.commit();
        assert_eq!(consumer.drain(9, |record| assert_eq!(record.bytes[5], 9)), Ok(1));

        let mut grant = single.reserve(n, 20).unwrap();
        grant[5] = 9;
        assert_eq!((grant.len(), grant[5]), (20, 9));
        grant.commit();
        assert_eq!(single_consumer.drain(9, |record| assert_eq!(record.bytes[5], 9)), Ok(1));
    }
}

#[test]
fn both_sides_print_where_they_are() {
    for mode in MODES {
        let mut ring = Ring::heap(mode, 64);
        ring.push(1, b"secret").unwrap();
        ring.drain(1).unwrap();
        let [producer, consumer] = ring.show();
        assert!(producer.starts_with("Producer { ring: Ring {"), "{producer}");
        assert!(consumer.starts_with("Consumer { head: 2, ring: Ring {"), "{consumer}");
    }
}

#[test]
fn an_iterator_that_lies_does_no_harm() {
    struct Liar(usize, &'static [u8]);
    impl Clone for Liar {
        fn clone(&self) -> Self {
            Liar(self.0, b"short")
        }
    }
    impl Iterator for Liar {
        type Item = (u32, &'static [u8]);
        fn next(&mut self) -> Option<Self::Item> {
            self.0 = self.0.checked_sub(1)?;
            Some((self.0 as u32, self.1))
        }
    }
    let (producer, mut consumer) = many_to_one::heap(256).unwrap();
    producer.push_batch(Liar(3, &[1; 30])).ok();
    producer.push_batch(Liar(3, b"")).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        producer.push_batch([1, 2, 3].iter().map(|n| if *n == 2 { panic!("in the iterator") } else { (*n, &b"x"[..]) }))
    }));
    assert!(panicked.is_err());
    producer.push(77, b"the ring works").unwrap();
    let mut last = 0;
    consumer.drain(100, |record| last = record.kind).unwrap();
    assert_eq!((last, consumer.used()), (77, 0));
}
