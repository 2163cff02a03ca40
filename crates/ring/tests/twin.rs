//! Any sequence of calls does to a ring what it does to a naive twin.
#![cfg(not(loom))]

mod support;

use async_bpf_ring::{PopError, PushError};
use proptest::{collection::vec, prelude::*};
use std::collections::VecDeque;
use support::{MODES, Mode, Ring, Seen};

/// What a ring is: stretches of words, some of which are records.
struct Twin {
    mode: Mode,
    words: usize,
    stretches: VecDeque<(usize, Option<Seen>)>,
    tail: usize,
    closed: bool,
}

impl Twin {
    fn used(&self) -> usize {
        self.stretches.iter().map(|(words, _)| words).sum()
    }

    fn append(&mut self, words: usize, record: Option<(u32, &[u8])>) -> u64 {
        self.tail += words;
        let position = self.tail as u64;
        self.stretches.push_back((words, record.map(|(kind, bytes)| (position, kind, bytes.to_vec()))));
        position
    }

    /// Where a record of `len` bytes would go: words to pad first. `alone` is whether a pad may be left without a record.
    fn space(&mut self, len: usize, alone: bool) -> Result<usize, PushError> {
        let max = self.words * 8 - 8;
        if len > max {
            return Err(PushError::TooLong { len, max });
        }
        if self.closed {
            return Err(PushError::Closed);
        }
        let (need, left) = (1 + len.div_ceil(8), self.words - self.tail % self.words);
        let pad = if need <= left { 0 } else { left };
        if self.used() + pad + need <= self.words {
            return Ok(pad);
        }
        if alone && pad + need > self.words && self.used() + pad <= self.words {
            self.append(pad, None);
        }
        Err(PushError::Full)
    }

    fn push(&mut self, kind: u32, bytes: &[u8], alone: bool) -> Result<u64, PushError> {
        let pad = self.space(bytes.len(), alone)?;
        if pad > 0 {
            self.append(pad, None);
        }
        Ok(self.append(1 + bytes.len().div_ceil(8), Some((kind, bytes))))
    }

    fn discard(&mut self, len: usize) -> Result<Option<u64>, PushError> {
        let pad = self.space(len, true)?;
        if self.mode == Mode::Many {
            if pad > 0 {
                self.append(pad, None);
            }
            self.append(1 + len.div_ceil(8), None);
        }
        Ok(None)
    }

    fn push_batch(&mut self, records: &[(u32, Vec<u8>)]) -> Result<usize, PushError> {
        for (count, (kind, bytes)) in records.iter().enumerate() {
            // One-to-one publishes the batch as a whole, so a pad cannot be alone behind it.
            if let Err(reason) = self.push(*kind, bytes, count == 0 || self.mode == Mode::Many) {
                return if count == 0 { Err(reason) } else { Ok(count) };
            }
        }
        Ok(records.len())
    }

    fn front(&mut self) -> Option<&Seen> {
        while self.stretches.front().is_some_and(|(_, record)| record.is_none()) {
            self.stretches.pop_front();
        }
        self.stretches.front().and_then(|(_, record)| record.as_ref())
    }

    fn pop(&mut self) -> Option<Seen> {
        self.front()?;
        self.stretches.pop_front()?.1
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(u32, Vec<u8>),
    Grant(u32, Vec<u8>, bool),
    Batch(Vec<(u32, Vec<u8>)>),
    Drain(usize),
    Pop(usize),
    Peek,
    Close,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = || prop_oneof![vec(any::<u8>(), 0..20), vec(any::<u8>(), 0..140)];
    let step = prop_oneof![
        4 => (any::<u32>(), bytes()).prop_map(|(kind, bytes)| Step::Push(kind, bytes)),
        2 => (any::<u32>(), bytes(), any::<bool>()).prop_map(|(kind, bytes, commit)| Step::Grant(kind, bytes, commit)),
        2 => vec((any::<u32>(), bytes()), 0..6).prop_map(Step::Batch),
        4 => (0usize..5).prop_map(Step::Drain),
        1 => (0usize..140).prop_map(Step::Pop),
        1 => Just(Step::Peek),
        1 => prop_oneof![Just(Step::Close), Just(Step::Reopen), Just(Step::Reopen)],
    ];
    vec(step, 0..200)
}

fn compare(mode: Mode, capacity: u32, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut ring = Ring::heap(mode, capacity);
    let mut twin = Twin { mode, words: capacity as usize / 8, stretches: VecDeque::new(), tail: 0, closed: false };
    for step in steps {
        match step {
            Step::Push(kind, bytes) => prop_assert_eq!(ring.push(*kind, bytes), twin.push(*kind, bytes, true)),
            Step::Grant(kind, bytes, true) => prop_assert_eq!(ring.grant(*kind, bytes, true), twin.push(*kind, bytes, true).map(Some)),
            Step::Grant(kind, bytes, false) => prop_assert_eq!(ring.grant(*kind, bytes, false), twin.discard(bytes.len())),
            Step::Batch(records) => prop_assert_eq!(ring.push_batch(records), twin.push_batch(records)),
            Step::Drain(limit) => {
                let expected: Vec<_> = (0..*limit).map_while(|_| twin.pop()).collect();
                prop_assert_eq!(ring.drain(*limit).unwrap(), expected);
            }
            Step::Pop(max) => {
                let mut buffer = vec![0; *max];
                match ring.pop(&mut buffer) {
                    Ok(popped) => {
                        let seen = popped.map(|popped| (popped.position, popped.kind, buffer[..popped.len].to_vec()));
                        prop_assert_eq!(seen, twin.pop());
                    }
                    Err(reason) => {
                        let len = twin.front().expect("there is a record").2.len();
                        prop_assert!(len > *max);
                        prop_assert_eq!(reason, PopError::BufferTooSmall { len, max: *max });
                    }
                }
            }
            Step::Peek => prop_assert_eq!(ring.peek().unwrap(), twin.front().cloned()),
            Step::Close => {
                ring.close();
                twin.closed = true;
            }
            Step::Reopen => {
                ring.reopen();
                twin.closed = false;
            }
        }
        prop_assert_eq!(ring.used() as usize, 8 * twin.used());
        prop_assert_eq!(ring.consumed_position().unwrap() as usize, twin.tail - twin.used());
        prop_assert_eq!(ring.is_empty(), twin.stretches.is_empty());
        prop_assert_eq!(ring.is_finished(), twin.closed && twin.stretches.is_empty());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn a_ring_is_its_twin(steps in steps(), capacity in prop_oneof![Just(64), Just(128), Just(256)]) {
        for mode in MODES {
            compare(mode, capacity, &steps)?;
        }
    }
}
