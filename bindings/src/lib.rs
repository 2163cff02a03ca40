//! The Node-API addon: engines behind handles, and one call that takes a request and returns a reply.
//!
//! Both are bytes, in borsh; [`wire`] defines them, and `bindings/ts/wire.ts` is the other side. Everything typed, checked and
//! documented for JavaScript is in TypeScript. No call throws: what went wrong is part of the reply.

#![allow(missing_docs, reason = "the public documentation is in TypeScript")]

pub mod async_slots;
mod bare;
mod batches;
mod engines;
mod events;
// Public because a build for tests exports nothing to Node, and would call it unused.
pub mod producers;
pub mod programs;
mod shared_memory;
pub mod slots;
mod wire;

use async_bpf_ring::MemoryError;
use async_bpf_svm::{AddProgramError, Callback, Config, ErrorCode, Executor, Limits, Svm, SvmConfig};
use borsh::BorshSerialize;
use engines::with_host;
use napi::{
    Env, JsValue,
    bindgen_prelude::{Function, Object, Result, Uint8ArraySlice},
};
use napi_derive::napi;
use programs::Programs;
use shared_memory::SharedMemory;
use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
};
use wire::{MemoryRequest, OpenRequest, Request, Response};

/// With the allocator of the system, a small callback takes an eighth more instructions, and threads wait for each other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

unsafe extern "C" {
    /// Of the allocator, whose crate does not declare it without another one.
    fn mi_option_set(option: std::ffi::c_int, value: std::ffi::c_long);
}

/// `mi_option_purge_delay` of mimalloc 2: milliseconds until memory that is free goes back to the system. With 10, what threads leave behind that end
/// stays until somebody looks, and a host that starts and ends Node workers grows.
const PURGE_DELAY: std::ffi::c_int = 15;

/// What V8 is told that an engine takes, threads included: it would let thousands pile up that nobody has closed, before it looked for them.
const ENGINE_WEIGHT: i64 = 1 << 20;

thread_local! {
    /// What a call without a wrapper leaves for `takeReply`.
    static REPLY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[napi(module_exports)]
pub fn on_load(exports: Object, env: Env) -> Result<()> {
    // SAFETY: an option of the allocator that may be set at any time.
    unsafe { mi_option_set(PURGE_DELAY, 0) };
    // Worker threads must be gone before the environment is: dropping an engine waits for its own. So must references to its values.
    env.add_env_cleanup_hook((), |()| {
        engines::clear();
        producers::clear();
    })?;
    [&producers::CALLBACKS[..], &slots::CALLBACKS, &batches::CALLBACKS].into_iter().try_for_each(|callbacks| bare::export(&exports, callbacks))
}

/// Creates an engine; the reply holds its handle.
#[napi]
pub fn open<'env>(env: &'env Env, request: &[u8]) -> Result<Uint8ArraySlice<'env>> {
    reply(env, || {
        let OpenRequest { workers, stock, logs, start_slot, start_timestamp, limits } = wire::decode(request)?;
        let mut engine = Config { start_slot, start_timestamp, limits: Limits::default() };
        for (key, value) in limits {
            engine.limits.set(&key, value)?;
        }
        let executor = if stock { Executor::Stock } else { Executor::Lean };
        let svm = Svm::new(SvmConfig { engine, workers: workers as usize, executor, logs })?;
        let handle = engines::add(svm);
        env.adjust_external_memory(ENGINE_WEIGHT).ok();
        Ok(Response::of(&handle))
    })
}

/// Makes one request of an engine.
#[napi]
pub fn call<'env>(env: &'env Env, handle: u32, request: &[u8]) -> Result<Uint8ArraySlice<'env>> {
    reply(env, || {
        let request: Request = wire::decode(request)?;
        request.run(handle)
    })
}

/// Makes one request that comes with memory, in which a ring is created: a Uint8Array over a SharedArrayBuffer.
#[napi(ts_args_type = "handle: number, request: Uint8Array, memory: Uint8Array")]
pub fn call_with_memory<'env>(env: &'env Env, handle: u32, request: &[u8], memory: SharedMemory) -> Result<Uint8ArraySlice<'env>> {
    reply(env, || {
        let request: MemoryRequest = wire::decode(request)?;
        let memory = memory.into_memory()?;
        with_host(handle, |host| request.run(host, memory))
    })
}

/// Runs one instruction of an engine; `runner` runs the programs that are JavaScript functions.
#[napi(ts_args_type = "handle: number, request: Uint8Array, runner: (request: Buffer) => Uint8Array")]
pub fn invoke<'env>(env: &'env Env, handle: u32, request: &[u8], runner: Function<'env>) -> Result<Uint8ArraySlice<'env>> {
    // SAFETY: both are those of this call.
    let programs = unsafe { Programs::new(env.raw(), runner.raw()) };
    reply(env, || {
        let callback: Callback = wire::decode(request)?;
        with_host(handle, |host| Ok(Response::of(&host.svm.invoke_in(callback, &programs)?)))
    })
}

/// Drops an engine. Says whether there was one.
#[napi]
pub fn close(env: Env, handle: u32) -> bool {
    let was_there = engines::close(handle);
    if was_there {
        env.adjust_external_memory(-ENGINE_WEIGHT).ok();
    }
    was_there
}

/// What the last call without a wrapper has left: why it was refused, or what there was no room for.
#[napi]
pub fn take_reply<'env>(env: &'env Env) -> Result<Uint8ArraySlice<'env>> {
    REPLY.with_borrow(|reply| Uint8ArraySlice::copy_from(env, reply))
}

/// Runs a call without a wrapper. When it is refused, or panics, the reply says why.
fn bare_call<R>(run: impl FnOnce(&mut Vec<u8>) -> std::result::Result<R, Refusal>) -> std::result::Result<R, ErrorCode> {
    // Taken out: it may call JavaScript, and that may make such a call.
    let mut reply = REPLY.take();
    reply.clear();
    let result = guarded(|| run(&mut reply)).map_err(|refusal| {
        reply.clear();
        let Refusal { code, message } = refusal;
        (code, message).serialize(&mut reply).expect("writing to memory cannot fail");
        code
    });
    REPLY.set(reply);
    result
}

/// For tests: the next call of this syscall panics.
#[napi(js_name = "TESTING_panicInSyscall")]
pub fn testing_panic_in_syscall(handle: u32, name: String) {
    let _ = with_host(handle, |host| {
        host.svm.testing_panic_in_syscall(&name);
        Ok(())
    });
}

/// Why a request was not carried out.
pub(crate) struct Refusal {
    pub code: ErrorCode,
    pub message: String,
}

impl Refusal {
    fn closed() -> Self {
        Refusal { code: ErrorCode::Shutdown, message: "the engine is closed; create a new one".into() }
    }
}

impl From<async_bpf_svm::Error> for Refusal {
    fn from(error: async_bpf_svm::Error) -> Self {
        Refusal { code: error.code(), message: error.to_string() }
    }
}

impl From<MemoryError> for Refusal {
    fn from(error: MemoryError) -> Self {
        Refusal { code: ErrorCode::InvalidArgument, message: error.to_string() }
    }
}

impl From<AddProgramError> for Refusal {
    fn from(error: AddProgramError) -> Self {
        match error {
            AddProgramError::Engine(error) => error.into(),
            AddProgramError::Load(error) => Refusal { code: ErrorCode::InvalidArgument, message: format!("elf is not usable: {error}") },
        }
    }
}

/// In memory of JavaScript's own: what is lent to it comes back only when the event loop turns, and a host may work without a turn for long.
fn reply<'env>(env: &'env Env, run: impl FnOnce() -> std::result::Result<Response, Refusal>) -> Result<Uint8ArraySlice<'env>> {
    Uint8ArraySlice::copy_from(env, wire::encode(guarded(run)))
}

/// A panic must not reach Node.
fn guarded<R>(run: impl FnOnce() -> std::result::Result<R, Refusal>) -> std::result::Result<R, Refusal> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        Err(Refusal {
            code: ErrorCode::ExecutionFailed,
            message: "the addon panicked and the engine is gone; this is a defect of async-bpf, please report it".into(),
        })
    })
}
