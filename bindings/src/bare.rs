//! Node-API callbacks without a wrapper, for what is called most often: each costs a fraction of what one of napi's does.
//!
//! What a callback of C is given and gives back is here, so that each of them is only what it does.

use napi::{JsValue, Result, bindgen_prelude::Object, check_status, sys};
use std::{ffi::CStr, ptr::null_mut, slice};

pub type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// A call that is under way. Values live until it returns.
#[derive(Clone, Copy)]
pub struct Call(sys::napi_env);

impl Call {
    /// The call, and its first arguments; those that are missing are `undefined`.
    ///
    /// # Safety
    ///
    /// They are what Node-API called a [`Callback`] with, which has not returned.
    #[inline]
    pub unsafe fn enter<const N: usize>(env: sys::napi_env, info: sys::napi_callback_info) -> (Self, [Argument; N]) {
        let (mut count, mut values) = (N, [null_mut(); N]);
        // SAFETY: the caller's promise, and room for as many arguments as is said.
        unsafe { sys::napi_get_cb_info(env, info, &mut count, values.as_mut_ptr(), null_mut(), null_mut()) };
        (Call(env), values.map(|value| Argument { env, value }))
    }

    #[inline]
    pub fn number(self, value: u32) -> sys::napi_value {
        let mut result = null_mut();
        // SAFETY: the call is under way. A result that was not set is `undefined`.
        unsafe { sys::napi_create_uint32(self.0, value, &mut result) };
        result
    }

    /// A string of ASCII characters.
    #[inline]
    pub fn ascii(self, text: &[u8]) -> sys::napi_value {
        let mut result = null_mut();
        // SAFETY: as above; the text is copied.
        unsafe { sys::napi_create_string_latin1(self.0, text.as_ptr().cast(), text.len() as isize, &mut result) };
        result
    }

    #[inline]
    pub fn buffer(self, bytes: &[u8]) -> sys::napi_value {
        let mut result = null_mut();
        // SAFETY: as above; the bytes are copied.
        unsafe { sys::napi_create_buffer_copy(self.0, bytes.len(), bytes.as_ptr().cast(), null_mut(), &mut result) };
        result
    }
}

/// What such a call was given.
#[derive(Clone, Copy)]
pub struct Argument {
    env: sys::napi_env,
    value: sys::napi_value,
}

impl Argument {
    /// The value itself.
    #[inline]
    pub fn value(self) -> sys::napi_value {
        self.value
    }

    /// A number, as JavaScript turns numbers into 32 bits.
    #[inline]
    pub fn number(self) -> Option<u32> {
        let mut number = 0;
        // SAFETY: the call is under way; what is no number is refused.
        (unsafe { sys::napi_get_value_uint32(self.env, self.value, &mut number) } == sys::Status::napi_ok).then_some(number)
    }

    /// What a Uint8Array covers: nothing when its memory was transferred.
    #[inline]
    pub fn memory(self) -> Option<(*mut u8, usize)> {
        let (mut kind, mut len, mut data) = (0, 0, null_mut());
        // SAFETY: the call is under way; a value that is no typed array is refused. `napi_get_buffer_info` would abort instead.
        let status = unsafe { sys::napi_get_typedarray_info(self.env, self.value, &mut kind, &mut len, &mut data, null_mut(), null_mut()) };
        (status == sys::Status::napi_ok && kind == sys::TypedarrayType::uint8_array).then_some((data.cast(), if data.is_null() { 0 } else { len }))
    }

    /// The memory of an ArrayBuffer, without a view: nothing when it was transferred. It costs less to ask for.
    #[inline]
    pub fn array_buffer(self) -> Option<(*mut u8, usize)> {
        let (mut len, mut data) = (0, null_mut());
        // SAFETY: the call is under way; a value that is no ArrayBuffer is refused.
        let status = unsafe { sys::napi_get_arraybuffer_info(self.env, self.value, &mut data, &mut len) };
        (status == sys::Status::napi_ok).then_some((data.cast(), if data.is_null() { 0 } else { len }))
    }

    /// What a Uint8Array holds.
    ///
    /// # Safety
    ///
    /// Nobody writes it before the slice is gone. JavaScript of this thread does not run; that no other thread writes memory that it shares is
    /// for JavaScript to see to, and would spoil what it hands in itself.
    #[inline]
    pub unsafe fn bytes<'a>(self) -> Option<&'a [u8]> {
        let (data, len) = self.memory()?;
        // SAFETY: the bytes of a typed array are initialised, and stay where they are while the call is under way; the rest is the caller's promise.
        Some(if len == 0 { &[] } else { unsafe { slice::from_raw_parts(data, len) } })
    }
}

/// Adds callbacks to what the addon exports.
pub fn export(exports: &Object, callbacks: &[(&CStr, Callback)]) -> Result<()> {
    for (name, callback) in callbacks {
        let value = exports.value();
        let mut function = null_mut();
        // SAFETY: the environment is that of the module that is being loaded, and names are terminated.
        unsafe {
            check_status!(sys::napi_create_function(value.env, name.as_ptr(), -1, Some(*callback), null_mut(), &mut function))?;
            check_status!(sys::napi_set_named_property(value.env, value.value, name.as_ptr(), function))?;
        }
    }
    Ok(())
}
