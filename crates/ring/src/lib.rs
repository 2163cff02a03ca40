//! A lock-free bounded queue of byte records over memory of the caller: the heap, or a JavaScript SharedArrayBuffer.
//!
//! ```
//! let (producer, mut consumer) = async_bpf_ring::many_to_one::heap(4096)?;
//! producer.push(7, b"hello")?;
//! let read = consumer.drain(64, |record| assert_eq!((record.kind, record.bytes), (7, &b"hello"[..])))?;
//! assert_eq!(read, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Pick [`one_to_one`] when there is one producer, else [`many_to_one`]. Both have the same records and the same [`Consumer`].
//!
//! # What it promises
//!
//! - **A record is bytes and a number**, its `kind`. It is read once, in the order of the pushes of each producer, and in one order for all.
//! - **It has a fixed capacity.** A record takes its length rounded up to 8 bytes, and 8 bytes more. A push that does not fit fails with
//!   [`PushError::Full`] and changes nothing that can be seen; what to do about it is the caller's policy.
//! - **Every record of at most `capacity - 8` bytes gets in** when the consumer goes on reading and nobody else pushes: records do not wrap
//!   around the end of the data, but for one that fits neither before nor after it the rest is padded first, so that the next try, at the
//!   latest after one more drain, has the whole ring ahead.
//! - **No step waits for another thread.** A producer may stop anywhere. What it has claimed by then holds up the consumer, not the other
//!   producers until the ring is full; a dropped grant is skipped; and what is left by a producer that was killed is discarded by
//!   [`Consumer::recover`].
//! - **Closing is exact.** No record is claimed after [`many_to_one::Producer::close`], and the consumer that has read all that was sees
//!   [`Consumer::is_finished`].
//! - **The consumer sleeps without being woken in vain**: see [`Notify`], and [`Consumer::wait`] or [`Consumer::prepare_wait`].
//! - **Who shares the memory cannot make us leave it.** Positions and lengths found there are checked, or fail with [`Corrupt`].
//!
//! # Who owns which bytes when
//!
//! ```text
//!            head                       tail
//!    ─────────┼──────────────────────────┼────────────────────────── position
//!     free    │ committed, busy, skipped │ free
//!             │ a producer's while busy, │ a producer's as soon as it has
//!             │ then the consumer's      │ moved the tail past them
//! ```
//!
//! Bytes pass from one owner to the next through one of these pairs, and every access that is not atomic is by the owner:
//!
//! | store                                       | is seen by                                     | and hands over                      |
//! | ------------------------------------------- | ---------------------------------------------- | ----------------------------------- |
//! | `push:B`, a header, release                 | `drain:A`, a header, acquire                   | a record, to the consumer           |
//! | `publish:A`, the tail (one-to-one), release | `read:A`, the tail, acquire                    | records, to the consumer            |
//! | `drain:B`, the head, release                | `push:A`, the head, acquire                    | free space, to the producers        |
//! | `close:A`, the closed bit, release          | `finished:A`, the tail, acquire                | what was done before closing        |
//! | `abandon:A`, the count of producers, release| `recover:A`, acquire                           | what dead producers had claimed     |
//! | `create:A`, the magic, release              | `attach:A`, acquire                            | the control block                   |
//! | `notify:A`, fence between publishing and looking at `waiting` | `wait:A`, fence between `waiting` and looking at headers | nothing: one of the two sees the other |
//! | `notify:B`, `waiting` taken, acquire-release| `wait:B`, `waiting` found taken, acquire       | the waker's registration            |
//!
//! The compare-and-swap of a claim orders nothing: it only says whose the words are, and the claimer has seen by `push:A` that they are free.
//! Other languages use sequentially consistent atomics, which are stronger than each of these.
//!
//! # Why like this
//!
//! - The header is in the record, so a record of 56 bytes moves between processors as one cache line. Stamps beside the data are a second
//!   line for each record, which costs more than the zeroing that headers in the data make necessary.
//! - A claim is a compare-and-swap and not an addition: the claimer must know whether a pad is needed before it takes anything.
//! - What a push waits for is the consumer's last access to the lines that it writes. So a producer asks for lines of later records as it writes one,
//!   and a consumer that finds nothing rests until an eighth of the ring is full, for a moment at most.
//! - The design follows Agrona's ManyToOneRingBuffer; reserve, commit, discard and the policies of waking follow the BPF ring buffer of Linux.
//!
//! # How it was checked
//!
//! - `tests/loom.rs` plays every step, with up to three preemptions, in every order and with every value that the memory model allows. When
//!   one ordering of the table is weakened, a fence removed, or what was read not zeroed, a model fails.
//! - `tests/twin.rs` compares any sequence of calls with a naive twin; `tests/queue.rs` tries every offset and length of small rings.
//! - `tests/sleep.rs` sleeps and wakes as often as it is told; `tests/stress.rs` pushes from four threads, and `scripts/tsan.sh` runs it under
//!   ThreadSanitizer, which does not understand fences: they order nothing but the waiting flag.
//! - `tests/shared.rs` writes what it likes into the memory of a ring.
//! - Miri has not seen it: it was not available.

mod consumer;
mod error;
pub mod layout;
pub mod many_to_one;
#[cfg_attr(loom, path = "memory_loom.rs")]
mod memory;
mod mode;
pub mod one_to_one;
mod ring;
mod sync;
mod wait;

pub use consumer::{Consumer, Popped, Record};
pub use error::{Corrupt, MemoryError, PopError, PushError};
pub use memory::Memory;
pub use mode::{ManyToOne, Mode, OneToOne};
pub use wait::Notify;
