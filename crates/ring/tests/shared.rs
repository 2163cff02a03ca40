//! Memory that others have, and may have written anything into.
#![cfg(not(loom))]

use async_bpf_ring::{Corrupt, Memory, MemoryError, PushError, layout::*, many_to_one, one_to_one};
use std::{
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

/// What a SharedArrayBuffer is to us: memory that is alive as long as somebody holds on to it.
#[derive(Clone)]
struct Buffer(Arc<Vec<AtomicU64>>);

impl Buffer {
    fn new(capacity: u32) -> Buffer {
        Buffer(Arc::new((0..memory_len(capacity) / 8 + 1).map(|_| AtomicU64::new(0)).collect()))
    }

    fn memory(&self) -> Memory {
        let start = NonNull::from(&self.0[0]).cast();
        // SAFETY: the clone keeps the words alive, they can be written through a shared reference, and a test uses one side at a time.
        unsafe { Memory::from_raw(start, self.0.len() * 8, self.clone()) }.expect("it is aligned and large enough")
    }

    /// A number as JavaScript sees it.
    fn number(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: it is inside the words, aligned, and atomic. Tests use it while no other thread is there.
        unsafe { AtomicU32::from_ptr(self.0.as_ptr().cast::<u32>().cast_mut().add(offset as usize / 4)) }
    }
}

#[test]
fn another_side_finds_what_was_pushed() {
    let buffer = Buffer::new(128);
    let (producer, _) = many_to_one::create(buffer.memory(), 128).unwrap();
    let end = producer.push(5, b"hello").unwrap();
    drop(producer);
    let (_, mut consumer) = many_to_one::attach(buffer.memory()).unwrap();
    let seen = consumer.peek().unwrap().unwrap();
    assert_eq!((seen.position, seen.kind, seen.bytes), (end, 5, &b"hello"[..]));
}

#[test]
fn the_layout_is_what_it_says() {
    let buffer = Buffer::new(64);
    let (mut producer, mut consumer) = one_to_one::create(buffer.memory(), 64).unwrap();
    producer.push(7, b"abc").unwrap();
    let number = |offset| buffer.number(offset).load(Relaxed);
    assert_eq!(number(MAGIC_OFFSET).to_le_bytes(), *b"ring");
    assert_eq!((number(VERSION_OFFSET), number(CAPACITY_OFFSET), number(MODE_OFFSET)), (1, 64, ONE_TO_ONE));
    assert_eq!((number(HEAD_OFFSET), number(TAIL_OFFSET)), (0, 2 << 1));
    assert_eq!((number(DATA_OFFSET), number(DATA_OFFSET + 4)), (COMMITTED << STATE_SHIFT | 3, 7));
    assert_eq!(number(DATA_OFFSET + 8).to_le_bytes()[..3], *b"abc");
    consumer.drain(1, |_| ()).unwrap();
    producer.close();
    assert_eq!((number(HEAD_OFFSET), number(TAIL_OFFSET)), (2, 2 << 1 | CLOSED));
    assert!(consumer.prepare_wait() || consumer.is_finished());
    assert!(TABLE.iter().any(|(name, value, _)| (*name, *value) == ("WAITING_OFFSET", WAITING_OFFSET)));
}

#[test]
fn memory_that_is_no_ring_is_refused() {
    let buffer = Buffer::new(64);
    assert_eq!(one_to_one::attach(buffer.memory()).err(), Some(MemoryError::Different { what: "magic", found: 0, expected: MAGIC }));
    drop(many_to_one::create(buffer.memory(), 64).unwrap());
    let mode = MemoryError::Different { what: "mode", found: MANY_TO_ONE, expected: ONE_TO_ONE };
    assert_eq!(one_to_one::attach(buffer.memory()).err(), Some(mode));
    buffer.number(CAPACITY_OFFSET).store(1 << 20, Relaxed);
    assert!(matches!(many_to_one::attach(buffer.memory()), Err(MemoryError::TooSmall { .. })));
    buffer.number(CAPACITY_OFFSET).store(72, Relaxed);
    assert!(matches!(many_to_one::attach(buffer.memory()), Err(MemoryError::Capacity { capacity: 72, .. })));
    buffer.number(CAPACITY_OFFSET).store(64, Relaxed);
    buffer.number(HEAD_OFFSET).store(1, Relaxed);
    assert!(matches!(many_to_one::attach(buffer.memory()), Err(MemoryError::Corrupt(_))));
    assert!(matches!(one_to_one::create(buffer.memory(), 128), Err(MemoryError::TooSmall { .. })));
}

#[test]
fn memory_where_no_ring_can_be_is_refused() {
    let buffer = Buffer::new(64);
    let start = NonNull::from(&buffer.0[0]).cast::<u8>();
    // SAFETY: as above, with less of it.
    let from = |offset: usize, len| unsafe { Memory::from_raw(start.add(offset), len, buffer.clone()) };
    let address = start.addr().get() + 4;
    let misaligned = from(4, memory_len(64)).err();
    assert_eq!(misaligned, Some(MemoryError::Misaligned { address }));
    assert_eq!(misaligned.unwrap().to_string(), format!("memory: begins at address {address:#x}, must be a multiple of 8"));
    let too_small = |len| Some(MemoryError::TooSmall { len, needed: memory_len(64) });
    let control = DATA_OFFSET as usize;
    assert_eq!(from(0, control - 1).err(), too_small(control - 1));
    // There is room for what every ring has, but not for the data of the smallest.
    let memory = from(0, control).unwrap();
    assert!(format!("{memory:?}").contains(&format!("len: {control}")), "{memory:?}");
    assert_eq!(one_to_one::create(memory, 64).err(), too_small(control));
}

#[test]
fn sides_that_cannot_belong_together_are_refused() {
    let buffer = Buffer::new(64);
    let (producer, mut consumer) = one_to_one::create(buffer.memory(), 64).unwrap();
    drop(producer);
    buffer.number(TAIL_OFFSET).store(9 << 1, Relaxed);
    assert!(matches!(one_to_one::attach(buffer.memory()), Err(MemoryError::Corrupt(Corrupt { position: 0, .. }))));
    assert!(matches!(consumer.producer(), Err(Corrupt { position: 0, .. })));
    buffer.number(TAIL_OFFSET).store(8 << 1, Relaxed);
    assert!(consumer.producer().unwrap().is_some(), "full, at most");
}

#[test]
fn positions_go_on_after_2_to_the_31_words() {
    const START: u32 = POSITION_MASK - 3;
    let buffer = Buffer::new(64);
    drop(many_to_one::create(buffer.memory(), 64).unwrap());
    buffer.number(HEAD_OFFSET).store(START, Relaxed);
    buffer.number(TAIL_OFFSET).store(START << 1, Relaxed);
    let (producer, mut consumer) = many_to_one::attach(buffer.memory()).unwrap();
    let idle = producer.clone();
    for n in 0..100 {
        let end = producer.push(n, &n.to_le_bytes()).unwrap();
        assert_eq!(consumer.drain(2, |record| assert_eq!((record.position, record.kind), (end, n))), Ok(1));
        assert_eq!(producer.consumed_position(), Ok(end));
    }
    assert!(idle.push(0, b"").is_ok());

    drop(one_to_one::create(buffer.memory(), 64).unwrap());
    buffer.number(HEAD_OFFSET).store(START, Relaxed);
    buffer.number(TAIL_OFFSET).store(START << 1, Relaxed);
    let (mut producer, mut consumer) = one_to_one::attach(buffer.memory()).unwrap();
    for n in 0..100 {
        let end = producer.push(n, &n.to_le_bytes()).unwrap();
        assert_eq!(consumer.drain(2, |record| assert_eq!((record.position, record.kind), (end, n))), Ok(1));
        assert_eq!(producer.consumed_position(), Ok(end));
    }
}

#[test]
fn what_cannot_be_is_an_error() {
    let buffer = Buffer::new(64);
    let (mut producer, mut consumer) = one_to_one::create(buffer.memory(), 64).unwrap();
    producer.push(0, &[1; 8]).unwrap();
    for header in [FREE << STATE_SHIFT, BUSY << STATE_SHIFT | 8, COMMITTED << STATE_SHIFT | 9, COMMITTED << STATE_SHIFT | LENGTH_MASK, u32::MAX] {
        buffer.number(DATA_OFFSET).store(header, Relaxed);
        assert!(matches!(consumer.drain(9, |_| panic!("there is none")), Err(Corrupt { position: 0, .. })), "{header:#x}");
    }
    buffer.number(TAIL_OFFSET).store(9 << 1, Relaxed);
    let (_, mut fresh) = {
        buffer.number(TAIL_OFFSET).store(2 << 1, Relaxed);
        one_to_one::attach(buffer.memory()).unwrap()
    };
    buffer.number(TAIL_OFFSET).store(9 << 1, Relaxed);
    assert!(fresh.drain(9, |_| panic!("there is none")).is_err());
    buffer.number(HEAD_OFFSET).store(5, Relaxed);
    assert!(matches!(producer.push(0, &[1; 48]), Err(PushError::Corrupt(_))));

    let (producer, mut consumer) = many_to_one::create(buffer.memory(), 64).unwrap();
    producer.push(0, &[1; 48]).unwrap();
    buffer.number(HEAD_OFFSET).store(1000, Relaxed);
    assert!(matches!(producer.push(0, &[1; 48]), Err(PushError::Corrupt(_))));
    buffer.number(DATA_OFFSET).store(COMMITTED << STATE_SHIFT | 64, Relaxed);
    assert!(consumer.drain(9, |_| panic!("there is none")).is_err());
}

#[test]
fn any_bytes_are_survived() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 16) as u32
    };
    for _ in 0..20_000 {
        let buffer = Buffer::new(64);
        let (mut one, mut reader) = one_to_one::create(buffer.memory(), 64).unwrap();
        let _ = one.push(1, &[1; 20]);
        for _ in 0..3 {
            let offset = [HEAD_OFFSET, TAIL_OFFSET, DATA_OFFSET, DATA_OFFSET + 8, DATA_OFFSET + 24][next() as usize % 5];
            let value = if next() % 2 == 0 { next() } else { (next() % 40) | ((next() % 4) << STATE_SHIFT) };
            buffer.number(offset).store(value, Relaxed);
            let _ = reader.drain(4, |record| assert!(record.bytes.len() <= 56));
            let _ = one.push(1, &[1; 20]);
            let _ = one.consumed_position();
        }
        drop((one, reader));
        let (many, mut reader) = many_to_one::create(buffer.memory(), 64).unwrap();
        let _ = many.push(1, &[1; 20]);
        for _ in 0..3 {
            let offset = [HEAD_OFFSET, TAIL_OFFSET, DATA_OFFSET, DATA_OFFSET + 8, DATA_OFFSET + 24][next() as usize % 5];
            let value = if next() % 2 == 0 { next() } else { (next() % 40) | ((next() % 4) << STATE_SHIFT) };
            buffer.number(offset).store(value, Relaxed);
            let _ = reader.drain(4, |record| assert!(record.bytes.len() <= 56));
            let _ = many.push(1, &[1; 20]);
            let _ = many.consumed_position();
        }
        drop(many);
        let _ = reader.recover();
    }
}
