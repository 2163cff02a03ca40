//! Outlets: the host reads a ring buffer through a queue, and what can be observed is as if it read by calls.

mod support;

use async_bpf_engine::*;
use async_bpf_ring::{Consumer, Memory, OneToOne, layout, one_to_one};
use proptest::prelude::*;
use std::{
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};
use support::*;

fn outlet(engine: &mut Engine, id: u64, capacity: u32) -> Consumer<OneToOne> {
    let (producer, consumer) = one_to_one::heap(capacity).unwrap();
    engine.set_outlet(id, producer).unwrap();
    consumer
}

fn read(consumer: &mut Consumer<OneToOne>, max: usize) -> Vec<RingEntry> {
    let mut entries = Vec::new();
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let entry = |bytes: &[u8]| RingEntry { sequence: number(&bytes[..8]), slot: number(&bytes[8..16]), data: bytes[16..].into() };
    consumer.drain(max, |record| entries.push(entry(record.bytes))).unwrap();
    entries
}

fn by_calls(engine: &mut Engine, id: u64, max: usize) -> Vec<RingEntry> {
    engine.drain_ring(id, max).unwrap().iter().map(|entry| (**entry).clone()).collect()
}

fn data(entries: &[RingEntry]) -> Vec<u8> {
    entries.iter().map(|entry| entry.data[0]).collect()
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Read(usize),
    Slot,
    Attach(u32),
    Remove,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (1usize..100).prop_map(Step::Push),
        3 => (0usize..6).prop_map(Step::Read),
        2 => Just(Step::Slot),
        1 => (7u32..10).prop_map(|exponent| Step::Attach(1 << exponent)),
        1 => Just(Step::Remove),
    ]
}

proptest! {
    /// However the host reads, and however small its queue is: the same entries, the same counts, the same hashes.
    #[test]
    fn reading_through_an_outlet_is_reading_by_calls(steps in prop::collection::vec(step(), 0..60)) {
        let (mut called, mut outletted) = (engine(), engine());
        let id = ring(&mut called, 512, RingReader::Host);
        prop_assert_eq!(ring(&mut outletted, 512, RingReader::Host), id);
        let mut consumer: Option<Consumer<OneToOne>> = None;
        let (mut now, mut pushed) = (0, 0);
        for step in steps {
            match step {
                Step::Push(len) => {
                    pushed += 1;
                    let bytes = vec![pushed; len];
                    prop_assert_eq!(called.call(OWNER, push(id, &bytes)), outletted.call(OWNER, push(id, &bytes)));
                }
                Step::Read(max) => {
                    let entries = match &mut consumer {
                        Some(consumer) => read(consumer, max),
                        None => by_calls(&mut outletted, id, max),
                    };
                    prop_assert_eq!(by_calls(&mut called, id, entries.len()), entries);
                }
                Step::Slot => {
                    now += 1;
                    prop_assert_eq!(slot(&mut called, now, &idle), slot(&mut outletted, now, &idle));
                }
                Step::Attach(capacity) => consumer = Some(outlet(&mut outletted, id, capacity)),
                Step::Remove => {
                    outletted.remove_outlet(id).unwrap();
                    consumer = None;
                }
            }
            prop_assert_eq!(called.ring(id).unwrap(), outletted.ring(id).unwrap());
            prop_assert_eq!(called.state_hash(), outletted.state_hash());
        }
        // What did not fit at first comes when there is room.
        let mut rest = Vec::new();
        for _ in 0..600 {
            rest.extend(match &mut consumer {
                Some(consumer) => read(consumer, 1),
                None => by_calls(&mut outletted, id, 1),
            });
            now += 1;
            slot(&mut outletted, now, &idle);
        }
        prop_assert_eq!(by_calls(&mut called, id, usize::MAX), rest);
    }
}

#[test]
fn entries_are_in_the_outlet_when_they_are_committed() {
    let mut engine = engine();
    let id = ring(&mut engine, 256, RingReader::Host);
    engine.call(OWNER, push(id, &[1])).unwrap();
    let mut consumer = outlet(&mut engine, id, 512);
    assert_eq!(data(&read(&mut consumer, 9)), [1], "what was there before");
    engine.call(OWNER, push(id, &[2])).unwrap();
    slot(&mut engine, 3, &idle);
    engine.call(OWNER, push(id, &[3])).unwrap();
    assert_eq!(engine.ring(id).unwrap().1, 2);
    let entries = read(&mut consumer, 9);
    assert_eq!((data(&entries), entries[0].slot, entries[1].slot, entries[1].sequence), (vec![2, 3], 0, 3, 2));
    assert_eq!((engine.ring(id).unwrap().1, engine.ring(id).unwrap().0.used), (0, 64), "read at once, freed at the next slot");
    slot(&mut engine, 4, &idle);
    assert_eq!(engine.ring(id).unwrap().0.used, 0);
}

#[test]
fn calls_do_not_read_a_second_time() {
    let mut engine = engine();
    let id = ring(&mut engine, 256, RingReader::Host);
    let mut consumer = outlet(&mut engine, id, 512);
    (1..=3).for_each(|n| drop(engine.call(OWNER, push(id, &[n])).unwrap()));
    for call in [pop(id), Call::RingPeek { id, max_len: 9 }] {
        assert_eq!(code(engine.call(Caller::Host, call)), ErrorCode::InvalidArgument);
    }
    assert_eq!(code(engine.drain_ring(id, 1)), ErrorCode::InvalidArgument);
    assert_eq!(data(&read(&mut consumer, 1)), [1]);
    engine.remove_outlet(id).unwrap();
    assert!(!consumer.is_finished() && read(&mut consumer, 9).len() == 2 && consumer.is_finished(), "the queue was closed");
    assert_eq!(data(&by_calls(&mut engine, id, 9)), [2, 3]);
}

#[test]
fn only_a_buffer_that_the_host_reads_has_an_outlet() {
    let mut engine = engine();
    let id = ring(&mut engine, 256, RingReader::Program);
    let producer = || one_to_one::heap(64).unwrap().0;
    assert_eq!(code(engine.set_outlet(id, producer())), ErrorCode::InvalidArgument);
    assert_eq!(code(engine.remove_outlet(id)), ErrorCode::InvalidArgument);
    assert_eq!(code(engine.set_outlet(99, producer())), ErrorCode::InvalidBuffer);
}

#[test]
fn an_outlet_ends_with_its_buffer() {
    let mut engine = engine();
    let id = ring(&mut engine, 256, RingReader::Host);
    let consumer = outlet(&mut engine, id, 512);
    engine.call(OWNER, Call::RingDestroy { id }).unwrap();
    assert!(consumer.is_finished());
    slot(&mut engine, 1, &idle);
    assert_eq!(code(engine.drain_ring(id, 1)), ErrorCode::InvalidBuffer);
}

#[test]
fn an_outlet_ends_with_its_engine() {
    let mut engine = engine();
    let id = ring(&mut engine, 256, RingReader::Host);
    let mut consumer = outlet(&mut engine, id, 512);
    engine.call(OWNER, push(id, &[1])).unwrap();
    drop(engine);
    assert!(read(&mut consumer, 9).len() == 1 && consumer.is_finished());
}

#[test]
fn an_entry_that_the_outlet_can_never_hold_is_read_by_calls() {
    let mut engine = engine();
    let id = ring(&mut engine, 256, RingReader::Host);
    let mut consumer = outlet(&mut engine, id, 64);
    engine.call(OWNER, push(id, &[1])).unwrap();
    assert_eq!(data(&read(&mut consumer, 9)), [1]);
    engine.call(OWNER, push(id, &[2; 41])).unwrap();
    assert!(consumer.is_finished());
    assert_eq!(data(&by_calls(&mut engine, id, 9)), [2]);
}

/// Whatever the host does to the memory: no panic, and every entry comes, at worst again after those since the last slot.
#[test]
fn spoilt_memory_loses_nothing() {
    for (offset, value) in [(layout::HEAD_OFFSET, 500), (layout::HEAD_OFFSET, u32::MAX), (layout::HEAD_OFFSET, 1 << 30)] {
        let memory: &'static [AtomicU64] = Vec::leak((0..1024 / 8).map(|_| AtomicU64::new(0)).collect());
        // SAFETY: the memory is never freed, initialised, and spoilt below as somebody may do who shares it: atomically.
        let shared = unsafe { Memory::from_raw(NonNull::from(&memory[0]).cast(), 1024, ()) }.unwrap();
        let (producer, mut consumer) = one_to_one::create(shared, 512).unwrap();
        let mut engine = engine();
        let id = ring(&mut engine, 256, RingReader::Host);
        engine.set_outlet(id, producer).unwrap();
        (1..=3).for_each(|n| drop(engine.call(OWNER, push(id, &[n])).unwrap()));
        assert_eq!(data(&read(&mut consumer, 1)), [1]);
        slot(&mut engine, 1, &idle);
        // SAFETY: inside of the memory, aligned, and atomic.
        unsafe { AtomicU32::from_ptr(memory.as_ptr().cast::<u32>().cast_mut().add(offset as usize / 4)) }.store(value, Relaxed);
        assert_eq!(engine.ring(id).unwrap().1, 2);
        slot(&mut engine, 2, &idle);
        engine.call(OWNER, push(id, &[4])).unwrap();
        assert_eq!(data(&by_calls(&mut engine, id, 9)), [2, 3, 4]);
        slot(&mut engine, 3, &idle);
        assert_eq!(engine.ring(id).unwrap().0.used, 0);
    }
}
