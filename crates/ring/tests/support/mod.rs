//! Both modes behind one face, so that each test is written once.

use async_bpf_ring::{Consumer, Corrupt, ManyToOne, OneToOne, PopError, Popped, PushError, many_to_one, one_to_one};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// [`many_to_one`].
    Many,
    /// [`one_to_one`].
    One,
}

/// Each of the two.
pub const MODES: [Mode; 2] = [Mode::Many, Mode::One];

/// A record as the consumer saw it: position, kind, bytes.
pub type Seen = (u64, u32, Vec<u8>);

/// Both sides of a ring.
pub enum Ring {
    /// [`many_to_one`].
    Many(many_to_one::Producer, Consumer<ManyToOne>),
    /// [`one_to_one`].
    One(one_to_one::Producer, Consumer<OneToOne>),
}

macro_rules! both {
    ($ring:expr, $producer:ident, $consumer:ident, $body:expr) => {
        match $ring {
            #[allow(unused_variables)]
            Ring::Many($producer, $consumer) => $body,
            #[allow(unused_variables)]
            Ring::One($producer, $consumer) => $body,
        }
    };
}

#[allow(dead_code, reason = "each test file uses some")]
impl Ring {
    pub fn heap(mode: Mode, capacity: u32) -> Ring {
        match mode {
            Mode::Many => many_to_one::heap(capacity).map(|(producer, consumer)| Ring::Many(producer, consumer)),
            Mode::One => one_to_one::heap(capacity).map(|(producer, consumer)| Ring::One(producer, consumer)),
        }
        .expect("a power of two")
    }

    pub fn push(&mut self, kind: u32, bytes: &[u8]) -> Result<u64, PushError> {
        both!(self, producer, consumer, producer.push(kind, bytes))
    }

    /// Reserves, writes, and commits or drops.
    pub fn grant(&mut self, kind: u32, bytes: &[u8], commit: bool) -> Result<Option<u64>, PushError> {
        both!(self, producer, consumer, {
            let mut grant = producer.reserve(kind, bytes.len())?;
            grant.copy_from_slice(bytes);
            Ok(if commit { Some(grant.commit()) } else { None })
        })
    }

    pub fn push_batch(&mut self, records: &[(u32, Vec<u8>)]) -> Result<usize, PushError> {
        let records = records.iter().map(|(kind, bytes)| (*kind, &bytes[..]));
        both!(self, producer, consumer, producer.push_batch(records))
    }

    pub fn drain(&mut self, limit: usize) -> Result<Vec<Seen>, Corrupt> {
        let mut seen = Vec::new();
        let count =
            both!(self, producer, consumer, consumer.drain(limit, |record| seen.push((record.position, record.kind, record.bytes.to_vec()))))?;
        assert_eq!(count, seen.len());
        Ok(seen)
    }

    pub fn pop(&mut self, buffer: &mut [u8]) -> Result<Option<Popped>, PopError> {
        both!(self, producer, consumer, consumer.pop(buffer))
    }

    pub fn peek(&mut self) -> Result<Option<Seen>, Corrupt> {
        both!(self, producer, consumer, Ok(consumer.peek()?.map(|record| (record.position, record.kind, record.bytes.to_vec()))))
    }

    pub fn close(&mut self) {
        both!(self, producer, consumer, producer.close())
    }

    pub fn reopen(&mut self) {
        both!(self, producer, consumer, producer.reopen())
    }

    pub fn used(&self) -> u32 {
        both!(self, producer, consumer, {
            assert_eq!(producer.used(), consumer.used());
            producer.used()
        })
    }

    pub fn is_closed(&self) -> bool {
        both!(self, producer, consumer, producer.is_closed())
    }

    pub fn capacity(&self) -> u32 {
        both!(self, producer, consumer, {
            assert_eq!(producer.capacity(), consumer.capacity());
            producer.capacity()
        })
    }

    pub fn back_off(&self) {
        both!(self, producer, consumer, consumer.back_off())
    }

    /// Both sides, as they are printed.
    pub fn show(&self) -> [String; 2] {
        both!(self, producer, consumer, [format!("{producer:?}"), format!("{consumer:?}")])
    }

    pub fn max_len(&self) -> usize {
        both!(self, producer, consumer, producer.max_len())
    }

    pub fn consumed_position(&self) -> Result<u64, Corrupt> {
        both!(self, producer, consumer, producer.consumed_position())
    }

    pub fn is_empty(&self) -> bool {
        both!(self, producer, consumer, consumer.is_empty())
    }

    pub fn is_finished(&self) -> bool {
        both!(self, producer, consumer, consumer.is_finished())
    }
}
