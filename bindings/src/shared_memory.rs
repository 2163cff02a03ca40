//! A JavaScript SharedArrayBuffer as memory for a ring.

use async_bpf_ring::{Memory, MemoryError};
use napi::{
    Error, Result, Status,
    bindgen_prelude::{FromNapiValue, TypeName, ValidateNapiValue, ValueType},
    check_status, sys,
};
use std::{
    ffi::{CStr, c_void},
    ptr::{NonNull, null_mut},
    thread::{self, ThreadId},
};

/// A SharedArrayBuffer, or what a Uint8Array covers of one. It stays alive with this, also when JavaScript forgets it.
///
/// An ArrayBuffer is refused: it can be transferred, and then its memory is gone.
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
        "SharedArrayBuffer | Uint8Array"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl ValidateNapiValue for SharedMemory {}

impl FromNapiValue for SharedMemory {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let refused = || Error::new(Status::InvalidArg, "the memory must be a SharedArrayBuffer or a Uint8Array over one");
        // SAFETY: the environment and the value are those of a call that is under way, results go to variables that outlive the calls, and
        // the type of each value is asked for before it is used as one.
        unsafe {
            let mut is_view = false;
            check_status!(sys::napi_is_typedarray(env, value, &mut is_view))?;
            // Node-API before Node 24 knows shared memory only through a view.
            let view = match is_view {
                true => value,
                false if is_shared(env, value)? => {
                    let mut view = null_mut();
                    check_status!(sys::napi_new_instance(env, global(env, c"Uint8Array")?, 1, &value, &mut view))?;
                    view
                }
                false => return Err(refused()),
            };
            let (mut kind, mut len, mut data, mut buffer) = (0, 0, null_mut::<c_void>(), null_mut());
            check_status!(sys::napi_get_typedarray_info(env, view, &mut kind, &mut len, &mut data, &mut buffer, null_mut()))?;
            if kind != sys::TypedarrayType::uint8_array || !is_shared(env, buffer)? {
                return Err(refused());
            }
            let start = NonNull::new(data.cast()).ok_or_else(refused)?;
            let mut reference = null_mut();
            check_status!(sys::napi_create_reference(env, view, 1, &mut reference))?;
            Ok(SharedMemory { start, len, owner: Reference { env, reference, thread: thread::current().id() } })
        }
    }
}

/// Whether `value` is a SharedArrayBuffer.
///
/// # Safety
///
/// Both belong to a call that is under way.
unsafe fn is_shared(env: sys::napi_env, value: sys::napi_value) -> Result<bool> {
    let mut is = false;
    // SAFETY: the caller's promise.
    unsafe { check_status!(sys::napi_instanceof(env, value, global(env, c"SharedArrayBuffer")?, &mut is))? };
    Ok(is)
}

/// # Safety
///
/// It belongs to a call that is under way.
unsafe fn global(env: sys::napi_env, name: &CStr) -> Result<sys::napi_value> {
    let (mut global, mut value) = (null_mut(), null_mut());
    // SAFETY: the caller's promise.
    unsafe {
        check_status!(sys::napi_get_global(env, &mut global))?;
        check_status!(sys::napi_get_named_property(env, global, name.as_ptr(), &mut value))?;
    }
    Ok(value)
}

/// Keeps a value of JavaScript alive.
struct Reference {
    env: sys::napi_env,
    reference: sys::napi_ref,
    thread: ThreadId,
}

// SAFETY: the pointers are used only on the thread that they come from.
unsafe impl Send for Reference {}
// SAFETY: as above.
unsafe impl Sync for Reference {}

impl Drop for Reference {
    fn drop(&mut self) {
        // What has a reference is dropped on the thread of its environment, before that ends. Should that ever not be so, leaking is harmless.
        if thread::current().id() == self.thread {
            // SAFETY: the environment is still there, and the reference is deleted once.
            unsafe { sys::napi_delete_reference(self.env, self.reference) };
        }
    }
}
