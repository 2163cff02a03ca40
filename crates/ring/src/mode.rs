//! What the consumer does differently in the two modes.

use crate::{Corrupt, ring::Ring};

/// Many-to-one or one-to-one, and nothing else.
pub trait Mode: Steps {}

impl Mode for ManyToOne {}
impl Mode for OneToOne {}

/// Any number of producers.
#[derive(Debug)]
pub enum ManyToOne {}

/// One producer.
#[derive(Debug)]
pub enum OneToOne {}

/// Each is implemented beside the producer that it belongs to.
pub trait Steps {
    /// Whether the tail says what can be read. If not, the headers do, and what was read must become free.
    const PUBLISHED_BY_TAIL: bool;

    /// Up to where there may be records, when everything up to `at` was read and up to `head` released.
    fn look_ahead(ring: &Ring, head: u64, at: u64) -> Result<u64, Corrupt>;

    /// Whether something is at `head`, if only a pad.
    fn has_more(ring: &Ring, head: u64) -> bool;
}
