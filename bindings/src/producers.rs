//! Queues that JavaScript writes and native code reads.
//!
//! A push is called for every message, so it is a bare Node-API callback, and a queue is named by a number: both cost less than half of
//! what a method of a class does. The number holds a place in the table and how many queues have had that place, so that one that is
//! gone, or was never there, is not mistaken for another.

use crate::bare::{Call, Callback};
use async_bpf_ring::{
    Consumer, Notify, OneToOne, PushError,
    one_to_one::{self, Producer},
};
use async_bpf_svm::ErrorCode;
use napi::sys;
use std::{
    cell::RefCell,
    ffi::CStr,
    mem::{self, ManuallyDrop},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::null_mut,
};

/// Bits of a handle that say where in the table it is; the others count who was there.
const PLACE_BITS: u32 = 12;

struct Place {
    handle: u32,
    producer: Option<Producer>,
    /// Of queues that tests have opened: what is read natively otherwise.
    testing: Option<Consumer<OneToOne>>,
}

thread_local! {
    /// The queues of one Node environment. Nothing is dropped with the thread, only by `clear`: what has nothing to drop is found sooner.
    static PLACES: ManuallyDrop<RefCell<Vec<Place>>> = const { ManuallyDrop::new(RefCell::new(Vec::new())) };
}

#[inline]
fn with_places<R>(run: impl FnOnce(&mut Vec<Place>) -> R) -> R {
    PLACES.with(|all| run(&mut all.borrow_mut()))
}

/// Gives a producer to JavaScript; `None` when there are too many.
pub fn lend(producer: Producer) -> Option<u32> {
    with_places(|places| {
        let free = places.iter().position(|place| place.producer.is_none());
        let index = free.unwrap_or(places.len());
        if index >> PLACE_BITS != 0 {
            return None;
        }
        if free.is_none() {
            places.push(Place { handle: index as u32, producer: None, testing: None });
        }
        let place = &mut places[index];
        place.handle = place.handle.wrapping_add(1 << PLACE_BITS);
        place.producer = Some(producer);
        place.testing = None;
        Some(place.handle)
    })
}

/// Takes it back.
pub fn take_back(handle: u32) -> Option<Producer> {
    with_places(|places| find(places, handle)?.producer.take())
}

/// Drops all that were lent.
pub fn clear() {
    drop(with_places(mem::take));
}

#[inline]
fn find(places: &mut [Place], handle: u32) -> Option<&mut Place> {
    places.get_mut((handle & ((1 << PLACE_BITS) - 1)) as usize).filter(|place| place.handle == handle)
}

fn push(handle: u32, message: &[u8]) -> ErrorCode {
    with_places(|places| {
        let Some(producer) = find(places, handle).and_then(|place| place.producer.as_mut()) else { return ErrorCode::Shutdown };
        match producer.push(0, message) {
            Ok(_) => ErrorCode::Success,
            Err(PushError::Full) => ErrorCode::BufferFull,
            Err(PushError::TooLong { .. }) => ErrorCode::InvalidArgument,
            Err(PushError::Closed) => ErrorCode::Shutdown,
            Err(PushError::Corrupt(_)) => ErrorCode::CorruptState,
        }
    })
}

/// `producerPush(handle: number, message: Uint8Array): ErrorCode | undefined`: why it was not pushed. Making a number takes a while, too.
unsafe extern "C" fn producer_push(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this. Nobody on this thread writes the message while it is copied.
    let (call, handle, message) = unsafe {
        let (call, [handle, message]) = Call::enter(env, info);
        (call, handle.number(), message.bytes())
    };
    let code = match (handle, message) {
        (Some(handle), Some(message)) => catch_unwind(AssertUnwindSafe(|| push(handle, message))).unwrap_or(ErrorCode::ExecutionFailed),
        _ => ErrorCode::InvalidArgument,
    };
    if code == ErrorCode::Success { null_mut() } else { call.number(code as u32) }
}

/// The callbacks without a wrapper that are here.
pub const CALLBACKS: [(&CStr, Callback); 3] =
    [(c"producerPush", producer_push), (c"TESTING_length", testing_length), (c"TESTING_copy", testing_copy)];

/// For benchmarks: `TESTING_length(message: Uint8Array): number`, the least that a call with a buffer can do.
unsafe extern "C" fn testing_length(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: as `producer_push`.
    let (call, [message]) = unsafe { Call::enter(env, info) };
    call.number(message.memory().map_or(0, |(_, len)| len as u32))
}

/// For benchmarks: `TESTING_copy(message: Uint8Array): Buffer`, the least that a call can do to return a message as a Buffer.
unsafe extern "C" fn testing_copy(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: as `producer_push`.
    unsafe {
        let (call, [message]) = Call::enter(env, info);
        call.buffer(message.bytes().unwrap_or_default())
    }
}

/// For tests: a queue of `capacity` bytes, and its handle; 0 when it cannot be.
#[napi_derive::napi(js_name = "TESTING_producerOpen")]
pub fn testing_open(capacity: u32) -> u32 {
    let Ok((producer, consumer)) = one_to_one::heap(capacity) else { return 0 };
    // As for an engine, which looks when it processes a slot and does not sleep over it.
    let handle = lend(producer.with_notify(Notify::Never)).unwrap_or(0);
    with_places(|places| {
        if let Some(place) = find(places, handle) {
            place.testing = Some(consumer);
        }
    });
    handle
}

/// For tests: reads all messages of such a queue natively; their bytes, one after the other. `undefined` when it is not there.
#[napi_derive::napi(js_name = "TESTING_producerDrain")]
pub fn testing_drain(handle: u32) -> Option<napi::bindgen_prelude::Uint8Array> {
    with_places(|places| {
        let consumer = find(places, handle)?.testing.as_mut()?;
        let mut bytes = Vec::new();
        consumer.drain(usize::MAX, |record| bytes.extend_from_slice(record.bytes)).ok()?;
        Some(bytes.into())
    })
}

/// For tests: reads all messages of such a queue natively, and says how many there were.
#[napi_derive::napi(js_name = "TESTING_producerSkip")]
pub fn testing_skip(handle: u32) -> u32 {
    with_places(|places| {
        let consumer = find(places, handle).and_then(|place| place.testing.as_mut());
        consumer.and_then(|consumer| consumer.drain(usize::MAX, |_| ()).ok()).unwrap_or(0) as u32
    })
}

/// Closes a queue: what was pushed is still read. Says whether it was there.
#[napi_derive::napi]
pub fn producer_close(handle: u32) -> bool {
    take_back(handle).map(|mut producer| producer.close()).is_some()
}
