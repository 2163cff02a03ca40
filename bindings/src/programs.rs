//! Programs that are JavaScript functions. `bindings/ts/programs.ts` is the other side.
//!
//! While a call is under way that may need one, it holds the *runner*: a function of TypeScript's that takes an invocation and returns what
//! came of it, both as bytes. What the program does in the meantime, it does by [`invocation`].

use crate::{Refusal, reply, wire, wire::Response};
use async_bpf_svm::{AccountChange, Call, CpiRequest, ErrorCode, HostPrograms, Invocation, Stopped};
use borsh::{BorshDeserialize, BorshSerialize};
use napi::{Env, bindgen_prelude::Uint8ArraySlice, sys};
use std::{
    cell::Cell,
    ptr::{self, null_mut},
    slice,
};

/// What calls programs, as long as the call lasts that brought it.
pub struct Programs {
    env: sys::napi_env,
    runner: sys::napi_value,
}

impl Programs {
    /// # Safety
    ///
    /// They are those of a call that is under way as long as this is used, on its thread.
    pub unsafe fn new(env: sys::napi_env, runner: sys::napi_value) -> Self {
        Programs { env, runner }
    }

    /// Calls the runner; `None` when the environment does not run JavaScript any more.
    fn call(&self, request: &[u8]) -> Option<Vec<u8>> {
        let Programs { env, runner } = *self;
        let mut scope = null_mut();
        // SAFETY: the environment and the function are those of a call that is under way, on this thread. Values are used before their
        // scope is closed, and results go to variables that outlive the calls; bytes are copied on both ways.
        unsafe {
            if sys::napi_open_handle_scope(env, &mut scope) != sys::Status::napi_ok {
                return None;
            }
            let (mut undefined, mut argument, mut result) = (null_mut(), null_mut(), null_mut());
            sys::napi_get_undefined(env, &mut undefined);
            sys::napi_create_buffer_copy(env, request.len(), request.as_ptr().cast(), null_mut(), &mut argument);
            let status = sys::napi_call_function(env, undefined, runner, 1, &argument, &mut result);
            let (mut len, mut data) = (0, null_mut());
            let bytes = if status == sys::Status::napi_ok {
                let status = sys::napi_get_typedarray_info(env, result, null_mut(), &mut len, &mut data, null_mut(), null_mut());
                (status == sys::Status::napi_ok).then(|| if len == 0 { Vec::new() } else { slice::from_raw_parts(data.cast::<u8>(), len).to_vec() })
            } else {
                // The runner throws nothing, so this is the end of the environment. It is not to be noticed in the midst of a slot.
                sys::napi_get_and_clear_last_exception(env, &mut undefined);
                None
            };
            sys::napi_close_handle_scope(env, scope);
            bytes
        }
    }
}

impl HostPrograms for Programs {
    fn run(&self, invocation: &mut Invocation<'_>) -> Result<u64, String> {
        let request = describe(invocation);
        let reply = scope(invocation, || self.call(&request));
        let reply = reply.ok_or("JavaScript has come to its end")?;
        match wire::decode(&reply).map_err(|refusal| refusal.message)? {
            Ran::Threw { message } => Err(message),
            Ran::Returned { status: 0, accounts } => {
                // Why it may not is noted with the invocation.
                let _ = invocation.change_accounts(accounts);
                Ok(0)
            }
            Ran::Returned { status, .. } => Ok(status.into()),
        }
    }
}

/// What came of a function.
#[derive(BorshDeserialize)]
enum Ran {
    Returned { status: u32, accounts: Vec<AccountChange> },
    Threw { message: String },
}

/// What a function may do while it runs.
#[derive(BorshDeserialize)]
enum Operation {
    Consume { units: u64 },
    RemainingUnits,
    Log { message: String },
    SetReturnData { data: Vec<u8> },
    Call { call: Call },
    Refuse { null_pointer: bool },
    Invoke { accounts: Vec<AccountChange>, request: CpiRequest },
}

fn describe(invocation: &Invocation<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let head = (invocation.program(), invocation.slot(), invocation.unix_timestamp(), invocation.context(), invocation.data());
    head.serialize(&mut bytes).expect("writing to memory cannot fail");
    describe_accounts(invocation, &mut bytes);
    bytes
}

fn describe_accounts(invocation: &Invocation<'_>, bytes: &mut Vec<u8>) {
    let count = invocation.account_count();
    u32::from(count).serialize(bytes).expect("writing to memory cannot fail");
    for index in 0..count {
        invocation.with_account(index, |account| account.serialize(bytes).expect("writing to memory cannot fail"));
    }
}

impl Operation {
    fn run(self, invocation: &mut Invocation<'_>) -> Result<Response, Refusal> {
        Ok(match self {
            Operation::Consume { units } => {
                invocation.consume(units)?;
                Response::empty()
            }
            Operation::RemainingUnits => Response::of(&invocation.remaining_units()),
            Operation::Log { message } => {
                invocation.log(&message)?;
                Response::empty()
            }
            Operation::SetReturnData { data } => {
                invocation.set_return_data(data)?;
                Response::empty()
            }
            Operation::Call { call } => Response::of(&invocation.call(call)??),
            Operation::Refuse { null_pointer } => {
                invocation.refuse(if null_pointer { ErrorCode::NullPointer } else { ErrorCode::InvalidArgument })?;
                Response::empty()
            }
            Operation::Invoke { accounts, request } => {
                invocation.change_accounts(accounts)?;
                invocation.invoke(request)?;
                let (program, data) = invocation.return_data();
                let mut response = Response::of(&(program, data));
                describe_accounts(invocation, response.bytes());
                response
            }
        })
    }
}

impl From<Stopped> for Refusal {
    fn from(Stopped(message): Stopped) -> Self {
        Refusal { code: ErrorCode::ExecutionFailed, message }
    }
}

/// Does something on behalf of the function that is running.
#[napi_derive::napi]
pub fn invocation<'env>(env: &'env Env, request: &[u8]) -> napi::Result<Uint8ArraySlice<'env>> {
    reply(env, || {
        let operation: Operation = wire::decode(request)?;
        with(|invocation| operation.run(invocation)).unwrap_or_else(|| {
            Err(Refusal { code: ErrorCode::InvalidArgument, message: "the invocation is over; use its context only while its program runs".into() })
        })
    })
}

thread_local! {
    /// The invocation whose function is running.
    static CURRENT: Cell<*mut ()> = const { Cell::new(null_mut()) };
}

/// Puts the pointer back that was there before, also when something panics.
struct Restore(*mut ());

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Runs `f`; while it runs, [`with`] finds this invocation.
fn scope<T>(invocation: &mut Invocation<'_>, f: impl FnOnce() -> T) -> T {
    let _restore = Restore(CURRENT.replace(ptr::from_mut(invocation).cast()));
    f()
}

/// Gives the current invocation to `f`.
fn with<T>(f: impl FnOnce(&mut Invocation<'_>) -> T) -> Option<T> {
    // Taken out for the time of the call: what `f` invokes has an invocation of its own.
    let pointer = CURRENT.replace(null_mut());
    let _restore = Restore(pointer);
    if pointer.is_null() {
        return None;
    }
    // SAFETY: a pointer that is not null was made by `scope` from a `&mut Invocation` that stays borrowed until `scope` returns, and
    // `scope` resets it before that. It was taken out above, so this is the only reference. `f` accepts any lifetime, so none escapes.
    Some(f(unsafe { &mut *pointer.cast::<Invocation<'_>>() }))
}
