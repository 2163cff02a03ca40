//! Every interleaving of every step of the protocol, with every value that a weak processor could see.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p async-bpf-ring --test loom --target-dir target/loom`
#![cfg(loom)]

use async_bpf_ring::{Consumer, Mode, Notify, PushError, many_to_one, one_to_one};
use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};
use std::task::{Wake, Waker};

fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.max_branches = 20_000;
    builder.check(run);
}

fn many_to_one() -> (many_to_one::Producer, Consumer<async_bpf_ring::ManyToOne>) {
    let (producer, consumer) = many_to_one::heap(64).unwrap();
    (producer.with_notify(Notify::Never), consumer)
}

fn one_to_one() -> (one_to_one::Producer, Consumer<async_bpf_ring::OneToOne>) {
    let (producer, consumer) = one_to_one::heap(64).unwrap();
    (producer.with_notify(Notify::Never), consumer)
}

/// A record whose bytes say what its kind is.
fn bytes(kind: u32, len: usize) -> Vec<u8> {
    vec![kind as u8 | 0x80; len]
}

/// Kinds of what can be read now, after a look at their bytes.
fn read<M: Mode>(consumer: &mut Consumer<M>) -> Vec<u32> {
    let mut kinds = Vec::new();
    let drained = consumer.drain(16, |record| {
        assert_eq!(record.bytes, bytes(record.kind, record.bytes.len()));
        kinds.push(record.kind);
    });
    drained.unwrap();
    kinds
}

fn read_all<M: Mode>(consumer: &mut Consumer<M>, count: usize) -> Vec<u32> {
    let mut kinds = read(consumer);
    while kinds.len() < count {
        thread::yield_now();
        kinds.extend(read(consumer));
    }
    kinds
}

#[test]
fn two_producers_claim() {
    model(|| {
        let (producer, mut consumer) = many_to_one();
        let other = producer.clone();
        let thread = thread::spawn(move || other.push(1, &bytes(1, 8)).unwrap());
        let mine = producer.push(2, &bytes(2, 8)).unwrap();
        let theirs = thread.join().unwrap();
        let expected = if mine < theirs { [2, 1] } else { [1, 2] };
        assert_eq!(read(&mut consumer), expected);
    });
}

#[test]
fn two_producers_and_the_consumer() {
    model(|| {
        let (producer, mut consumer) = many_to_one();
        let threads = [1, 2].map(|kind| {
            let producer = producer.clone();
            thread::spawn(move || producer.push(kind, &bytes(kind, 1)).unwrap())
        });
        let mut kinds = read_all(&mut consumer, 2);
        kinds.sort();
        assert_eq!(kinds, [1, 2]);
        threads.map(|thread| thread.join().unwrap());
    });
}

#[test]
fn what_was_read_is_written_again() {
    model(|| {
        let (producer, mut consumer) = many_to_one();
        producer.push(1, &bytes(1, 48)).unwrap();
        let thread = thread::spawn(move || {
            // Fits only when the consumer has given space back, and goes where the first was.
            while producer.push(2, &bytes(2, 16)).is_err() {
                thread::yield_now();
            }
            while producer.push(3, &bytes(3, 24)).is_err() {
                thread::yield_now();
            }
        });
        assert_eq!(read_all(&mut consumer, 3), [1, 2, 3]);
        thread.join().unwrap();
    });
}

#[test]
fn a_dropped_grant_is_skipped() {
    model(|| {
        let (producer, mut consumer) = many_to_one();
        let thread = thread::spawn(move || {
            producer.reserve(1, 8).unwrap().fill(0xff);
            let mut grant = producer.reserve(2, 8).unwrap();
            grant.copy_from_slice(&bytes(2, 8));
            grant.commit();
        });
        assert_eq!(read_all(&mut consumer, 1), [2]);
        thread.join().unwrap();
    });
}

#[test]
fn two_producers_pad_the_wrap() {
    model(|| {
        let (producer, mut consumer) = many_to_one();
        producer.push(9, &bytes(9, 40)).unwrap();
        assert_eq!(read(&mut consumer), [9]);
        let threads = [1, 2].map(|kind| {
            let producer = producer.clone();
            // Two words are left before the wrap: one of them pads it, both end up behind.
            thread::spawn(move || producer.push(kind, &bytes(kind, 16)).unwrap())
        });
        let mut kinds = read_all(&mut consumer, 2);
        kinds.sort();
        assert_eq!(kinds, [1, 2]);
        threads.map(|thread| thread.join().unwrap());
    });
}

fn a_pad_alone(mut push: impl FnMut(u32, usize) -> Result<u64, PushError> + Send + 'static, consumer: &mut Consumer<impl Mode>) {
    push(9, 8).unwrap();
    assert_eq!(read(consumer), [9]);
    let thread = thread::spawn(move || {
        while push(1, 56).is_err() {
            thread::yield_now();
        }
    });
    assert_eq!(read_all(consumer, 1), [1]);
    thread.join().unwrap();
}

#[test]
fn a_record_as_long_as_the_ring_many_to_one() {
    model(|| {
        let (producer, mut consumer) = many_to_one();
        a_pad_alone(move |kind, len| producer.push(kind, &bytes(kind, len)), &mut consumer);
    });
}

#[test]
fn a_record_as_long_as_the_ring_one_to_one() {
    model(|| {
        let (mut producer, mut consumer) = one_to_one();
        a_pad_alone(move |kind, len| producer.push(kind, &bytes(kind, len)), &mut consumer);
    });
}

#[test]
fn a_batch_is_published_at_once() {
    model(|| {
        let (producer, mut consumer) = many_to_one();
        let thread = thread::spawn(move || {
            let records = [(1, bytes(1, 0)), (2, bytes(2, 0))];
            assert_eq!(producer.push_batch(records.iter().map(|(kind, bytes)| (*kind, &bytes[..]))), Ok(2));
        });
        let first = read(&mut consumer);
        assert!(first.is_empty() || first == [1, 2], "{first:?}");
        thread.join().unwrap();
    });
}

#[test]
fn close_is_exact() {
    model(|| {
        let (producer, mut consumer) = many_to_one();
        let other = producer.clone();
        let thread = thread::spawn(move || other.push(1, &bytes(1, 0)).is_ok());
        producer.close();
        let mut seen = 0;
        while !consumer.is_finished() {
            seen += read(&mut consumer).len();
            thread::yield_now();
        }
        assert_eq!(thread.join().unwrap(), seen == 1);
        assert!(read(&mut consumer).is_empty(), "nothing follows the end");
    });
}

#[test]
fn one_to_one_publishes_and_closes() {
    model(|| {
        let (mut producer, mut consumer) = one_to_one();
        let thread = thread::spawn(move || {
            for kind in [1, 2, 3] {
                while producer.push(kind, &bytes(kind, 16)).is_err() {
                    thread::yield_now();
                }
            }
            producer.close();
        });
        let mut kinds = Vec::new();
        while !consumer.is_finished() {
            kinds.extend(read(&mut consumer));
            thread::yield_now();
        }
        assert_eq!(kinds, [1, 2, 3]);
        thread.join().unwrap();
    });
}

#[test]
fn one_to_one_grants() {
    model(|| {
        let (mut producer, mut consumer) = one_to_one();
        let thread = thread::spawn(move || {
            producer.reserve(1, 8).unwrap().fill(0xff);
            let mut grant = producer.reserve(2, 8).unwrap();
            grant.copy_from_slice(&bytes(2, 8));
            grant.commit()
        });
        assert_eq!(read_all(&mut consumer, 1), [2]);
        thread.join().unwrap();
    });
}

#[test]
fn a_producer_learns_what_was_consumed() {
    model(|| {
        let (mut producer, mut consumer) = one_to_one();
        let position = producer.push(1, &bytes(1, 8)).unwrap();
        let read_flag = Arc::new(AtomicBool::new(false));
        let flag = read_flag.clone();
        let thread = thread::spawn(move || {
            consumer.drain(1, |_| flag.store(true, Ordering::Relaxed)).unwrap();
        });
        if producer.consumed_position().unwrap() >= position {
            assert!(read_flag.load(Ordering::Relaxed));
        }
        thread.join().unwrap();
    });
}

#[test]
fn what_dead_producers_have_claimed_is_discarded() {
    model(|| {
        let (producer, mut consumer) = many_to_one();
        let other = producer.clone();
        let thread = thread::spawn(move || {
            let mut grant = other.reserve(1, 8).unwrap();
            grant.copy_from_slice(&bytes(1, 8));
            std::mem::forget(grant);
        });
        producer.push(2, &bytes(2, 8)).unwrap();
        drop(producer);
        // The thread's producer may still be there: then nothing happens.
        while consumer.recover().unwrap().is_none() {
            thread::yield_now();
        }
        assert_eq!(read(&mut consumer), [2]);
        let producer = consumer.producer().with_notify(Notify::Never);
        producer.push(3, &bytes(3, 24)).unwrap();
        assert_eq!(read(&mut consumer), [3]);
        thread.join().unwrap();
    });
}

/// Loom reports a deadlock when the consumer sleeps and nobody is left to wake it.
#[test]
fn no_wake_is_lost_many_to_one() {
    model(|| {
        let (producer, mut consumer) = many_to_one();
        let producer = producer.with_notify(Notify::Auto);
        let thread = thread::spawn(move || {
            producer.push(1, &bytes(1, 0)).unwrap();
            producer.push(2, &bytes(2, 0)).unwrap();
        });
        let mut kinds = Vec::new();
        while kinds.len() < 2 {
            assert!(consumer.wait(None));
            kinds.extend(read(&mut consumer));
        }
        assert_eq!(kinds, [1, 2]);
        thread.join().unwrap();
    });
}

#[test]
fn no_wake_is_lost_one_to_one() {
    model(|| {
        let (producer, mut consumer) = one_to_one();
        let mut producer = producer.with_notify(Notify::Auto);
        let thread = thread::spawn(move || {
            producer.push(1, &bytes(1, 0)).unwrap();
            producer.close();
        });
        let mut kinds = Vec::new();
        while !consumer.is_finished() {
            assert!(consumer.wait(None));
            kinds.extend(read(&mut consumer));
        }
        assert_eq!(kinds, [1]);
        thread.join().unwrap();
    });
}

struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Nobody sleeps here: who announced it must have been woken when everything is over.
#[test]
fn no_wake_is_lost_when_two_push() {
    model(|| {
        let (producer, mut consumer) = many_to_one();
        let producer = producer.with_notify(Notify::Auto);
        let wakes = std::sync::Arc::new(Wakes(AtomicUsize::new(0)));
        consumer.set_waker(Waker::from(wakes.clone()));
        let threads = [1, 2].map(|kind| {
            let producer = producer.clone();
            thread::spawn(move || producer.push(kind, &bytes(kind, 0)).unwrap())
        });
        let (mut announced, mut count, mut slept) = (0, 0, false);
        while announced < 2 && count < 2 && !slept {
            announced += 1;
            slept = consumer.prepare_wait();
            if !slept {
                count += read(&mut consumer).len();
            }
        }
        threads.map(|thread| thread.join().unwrap());
        let woken = wakes.0.load(Ordering::Relaxed);
        assert!((slept as usize..=announced).contains(&woken), "{woken} wakes, {announced} announcements, slept: {slept}");
        assert_eq!(count + read(&mut consumer).len(), 2);
    });
}

#[test]
fn close_wakes() {
    model(|| {
        let (producer, mut consumer) = many_to_one();
        let thread = thread::spawn(move || producer.close());
        assert!(consumer.wait(None));
        assert!(consumer.is_finished());
        thread.join().unwrap();
    });
}
