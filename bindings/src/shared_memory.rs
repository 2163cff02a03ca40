//! A JavaScript SharedArrayBuffer as memory for a ring.

use async_bpf_ring::{Memory, MemoryError};
use napi::{
    Error, Result, Status,
    bindgen_prelude::{FromNapiValue, TypeName, ValidateNapiValue, ValueType},
    check_status, sys,
};
use std::{
    ffi::c_void,
    mem,
    ptr::{NonNull, null_mut},
    sync::{Arc, Mutex},
};

/// What a Uint8Array covers of a SharedArrayBuffer. It stays alive with this, also when JavaScript forgets it.
///
/// One over an ArrayBuffer is refused: that can be transferred, and then its memory is gone. A SharedArrayBuffer itself has no way into
/// Node-API before Node 24.
pub struct SharedMemory {
    start: NonNull<u8>,
    len: usize,
    owner: Reference,
}

impl SharedMemory {
    /// Memory for one ring.
    pub fn into_memory(self) -> std::result::Result<Memory, MemoryError> {
        // SAFETY: shared memory begins as zeroes, does not move, cannot be detached or shrink, and the reference keeps it alive. TypeScript
        // makes it for one ring, hands it over once, and is the only other side; what other scripts may do to it, they do by JavaScript's
        // rules, under which a write changes bytes and nothing else.
        unsafe { Memory::from_raw(self.start, self.len, self.owner) }
    }
}

impl TypeName for SharedMemory {
    fn type_name() -> &'static str {
        "Uint8Array"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl ValidateNapiValue for SharedMemory {}

impl FromNapiValue for SharedMemory {
    unsafe fn from_napi_value(env: sys::napi_env, view: sys::napi_value) -> Result<Self> {
        let refused = || Error::new(Status::InvalidArg, "the memory must be a Uint8Array over a SharedArrayBuffer");
        let (mut kind, mut len, mut data, mut buffer) = (0, 0, null_mut::<c_void>(), null_mut());
        // What backs a typed array is an ArrayBuffer or a SharedArrayBuffer. V8 is asked which, and not a constructor, of which every
        // vm context has its own, and which scripts can replace.
        let mut can_be_transferred = true;
        // SAFETY: the environment and the value are those of a call that is under way, and results go to variables that outlive the calls. A
        // value that is no typed array is refused.
        unsafe {
            let status = sys::napi_get_typedarray_info(env, view, &mut kind, &mut len, &mut data, &mut buffer, null_mut());
            if status != sys::Status::napi_ok || kind != sys::TypedarrayType::uint8_array {
                return Err(refused());
            }
            check_status!(sys::napi_is_arraybuffer(env, buffer, &mut can_be_transferred))?;
        }
        let start = NonNull::new(data.cast()).filter(|_| !can_be_transferred).ok_or_else(refused)?;
        free_left_behind();
        let mut reference = null_mut();
        // SAFETY: as above.
        unsafe { check_status!(sys::napi_create_reference(env, view, 1, &mut reference))? };
        Ok(SharedMemory { start, len, owner: Reference { env, reference, left_behind: LEFT_BEHIND.with(Arc::clone) } })
    }
}

/// References that were dropped on another thread, as when a program destroys a ring buffer in a slot that one processes. They can only be
/// deleted on this one.
type LeftBehind = Arc<Mutex<Vec<Pending>>>;

thread_local! {
    static LEFT_BEHIND: LeftBehind = Arc::default();
}

struct Pending(sys::napi_env, sys::napi_ref);

// SAFETY: the pointers are used only on the thread that they come from.
unsafe impl Send for Pending {}

/// Deletes what other threads could not.
pub fn free_left_behind() {
    for Pending(env, reference) in LEFT_BEHIND.with(|left| mem::take(&mut *left.lock().expect("nothing panics with this lock"))) {
        // SAFETY: this is the thread of the environment, which is still there; and each reference is deleted once.
        unsafe { sys::napi_delete_reference(env, reference) };
    }
}

/// Keeps a value of JavaScript alive.
struct Reference {
    env: sys::napi_env,
    reference: sys::napi_ref,
    /// Of the thread that it comes from.
    left_behind: LeftBehind,
}

// SAFETY: the pointers are used only on the thread that they come from.
unsafe impl Send for Reference {}
// SAFETY: as above.
unsafe impl Sync for Reference {}

impl Drop for Reference {
    fn drop(&mut self) {
        // What has a reference is dropped before its environment ends. Should that ever not be so, leaking is harmless.
        if LEFT_BEHIND.try_with(|mine| Arc::ptr_eq(mine, &self.left_behind)).unwrap_or(false) {
            // SAFETY: this is the thread of the environment, which is still there; and the reference is deleted once.
            unsafe { sys::napi_delete_reference(self.env, self.reference) };
        } else {
            self.left_behind.lock().expect("nothing panics with this lock").push(Pending(self.env, self.reference));
        }
    }
}
