//! No wake is lost, and nobody is woken in vain.
//!
//! `SLEEP_CYCLES=10000000 cargo test --release -p async-bpf-ring --test sleep` is the long run.
#![cfg(not(loom))]

use async_bpf_ring::{Consumer, Notify, many_to_one, one_to_one};
use std::{
    env,
    hint::spin_loop,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Wake, Waker},
    thread,
    time::{Duration, Instant},
};

/// So long is nobody away on a machine that works.
const LOST: Duration = Duration::from_secs(30);

fn cycles() -> u64 {
    env::var("SLEEP_CYCLES").map_or(20_000, |cycles| cycles.parse().expect("SLEEP_CYCLES is a number"))
}

/// Takes a different time, short, at each call, so that the sides meet at every step of each other.
fn dawdle(random: &mut u64) {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    (0..*random % 64).for_each(|_| spin_loop());
}

fn spin_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    for spins in 1u64.. {
        if condition() {
            return;
        }
        spin_loop();
        if spins.is_multiple_of(512) {
            thread::yield_now();
            assert!(start.elapsed() < LOST, "{what}");
        }
    }
}

#[derive(Default)]
struct Wakes(AtomicU64);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// One record at a time; the next when the last was read.
macro_rules! produce {
    ($producer:ident, $cycles:ident) => {
        move || {
            let mut random = 0x9e37_79b9_7f4a_7c15;
            for _ in 0..$cycles {
                let position = $producer.push(0, b"wake up").expect("the ring is empty");
                spin_until("the consumer has stopped", || $producer.consumed_position().expect("the ring is ours") >= position);
                dawdle(&mut random);
            }
            $producer.close();
        }
    };
}

/// Sleeps by watching the count of wakes: the handshake without the kernel.
macro_rules! watch {
    ($consumer:ident) => {{
        let wakes = Arc::new(Wakes::default());
        $consumer.set_waker(Waker::from(wakes.clone()));
        let (mut records, mut tries, mut sleeps, mut random) = (0, 0, 0, 0x2545_f491_4f6c_dd1d);
        while !$consumer.is_finished() {
            records += $consumer.drain(1, |_| ()).expect("the ring is ours") as u64;
            dawdle(&mut random);
            let before = wakes.0.load(Ordering::Acquire);
            tries += 1;
            if $consumer.prepare_wait() {
                sleeps += 1;
                spin_until("a wake was lost", || wakes.0.load(Ordering::Acquire) != before);
            }
        }
        assert!((sleeps..=tries).contains(&wakes.0.load(Ordering::Acquire)), "at most one wake for each announcement");
        (records, sleeps)
    }};
}

/// Sleeps in the kernel.
macro_rules! park {
    ($consumer:ident) => {{
        let (mut records, mut sleeps) = (0, 0);
        while !$consumer.is_finished() {
            sleeps += $consumer.is_empty() as u64;
            assert!($consumer.wait(Some(LOST)), "a wake was lost");
            records += $consumer.drain(1, |_| ()).expect("the ring is ours") as u64;
        }
        (records, sleeps)
    }};
}

macro_rules! test {
    ($name:ident, $ring:ident, $sleep:ident, $share:expr) => {
        #[test]
        fn $name() {
            let cycles = cycles() / $share;
            #[allow(unused_mut, reason = "of one mode only")]
            let (mut producer, mut consumer) = $ring::heap(64).expect("a power of two");
            let start = Instant::now();
            let (records, sleeps) = thread::scope(|scope| {
                scope.spawn(produce!(producer, cycles));
                $sleep!(consumer)
            });
            assert_eq!(records, cycles);
            println!("{}: {cycles} records, {sleeps} sleeps, {:?}", stringify!($name), start.elapsed());
        }
    };
}

test!(many_to_one_handshake, many_to_one, watch, 1);
test!(one_to_one_handshake, one_to_one, watch, 1);
test!(many_to_one_parked, many_to_one, park, 1);
test!(one_to_one_parked, one_to_one, park, 10);

fn ends_after<M: async_bpf_ring::Mode>(consumer: &mut Consumer<M>) {
    assert!(!consumer.wait(Some(Duration::from_millis(1))));
    assert!(consumer.prepare_wait());
    consumer.cancel_wait();
}

#[test]
fn a_wait_ends_after_its_time() {
    ends_after(&mut many_to_one::heap(64).expect("a power of two").1);
    ends_after(&mut one_to_one::heap(64).expect("a power of two").1);
}

#[test]
fn who_is_awake_is_not_woken() {
    let (producer, mut consumer) = many_to_one::heap(256).expect("a power of two");
    let wakes = Arc::new(Wakes::default());
    producer.set_waker(Waker::from(wakes.clone()));
    let count = || wakes.0.load(Ordering::Acquire);
    producer.push(0, b"").expect("it fits");
    assert!(!consumer.prepare_wait(), "there is something");
    producer.push(0, b"").expect("it fits");
    assert_eq!(count(), 0);
    consumer.drain(9, |_| ()).expect("the ring is ours");
    assert!(consumer.prepare_wait() && producer.consumer_waits());
    let silent = producer.clone().with_notify(Notify::Never);
    silent.push(0, b"").expect("it fits");
    assert_eq!(count(), 0);
    silent.notify();
    silent.notify();
    assert_eq!(count(), 1);
    producer.clone().with_notify(Notify::Force).push(0, b"").expect("it fits");
    assert_eq!(count(), 2);
    consumer.drain(9, |_| ()).expect("the ring is ours");
    assert!(consumer.prepare_wait());
    producer.close();
    assert_eq!(count(), 3, "the end is something to see");
}

#[test]
fn a_lone_producer_wakes_as_it_is_told() {
    let (producer, mut consumer) = one_to_one::heap(256).expect("a power of two");
    let wakes = Arc::new(Wakes::default());
    producer.set_waker(Waker::from(wakes.clone()));
    let count = || wakes.0.load(Ordering::Acquire);
    let mut producer = producer.with_notify(Notify::Never);
    assert!(consumer.prepare_wait() && producer.consumer_waits());
    producer.push(0, b"").expect("it fits");
    assert_eq!(count(), 0);
    producer.notify();
    producer.notify();
    assert_eq!((count(), producer.consumer_waits()), (1, false));
    let mut producer = producer.with_notify(Notify::Force);
    producer.push(0, b"").expect("it fits");
    assert_eq!(count(), 2, "though nobody sleeps");
    let mut producer = producer.with_notify(Notify::Auto);
    producer.push(0, b"").expect("it fits");
    assert_eq!(count(), 2);
    consumer.drain(9, |_| ()).expect("the ring is ours");
    assert!(consumer.prepare_wait());
    producer.close();
    assert_eq!(count(), 3, "the end is something to see");
}

#[test]
fn a_dropped_grant_and_a_lone_pad_wake_too() {
    let (producer, mut consumer) = many_to_one::heap(64).expect("a power of two");
    assert!(consumer.prepare_wait());
    drop(producer.reserve(0, 8).expect("it fits"));
    assert!(!producer.consumer_waits());
    consumer.drain(9, |_| ()).expect("the ring is ours");
    assert!(consumer.prepare_wait());
    producer.push(0, &[0; 56]).expect_err("only its pad fits");
    assert!(!producer.consumer_waits());
}
