//! The Node-API addon: engines behind handles, and one call that takes a request and returns a reply.
//!
//! Both are bytes, in borsh; [`wire`] defines them, and `bindings/ts/wire.ts` is the other side. Everything typed, checked and
//! documented for JavaScript is in TypeScript. No call throws: what went wrong is part of the reply.

#![allow(missing_docs, reason = "the public documentation is in TypeScript")]

mod bare;
mod batches;
mod events;
// Public because a build for tests exports nothing to Node, and would call it unused.
pub mod producers;
mod shared_memory;
pub mod slots;
mod wire;

use async_bpf_ring::MemoryError;
use async_bpf_svm::{AddProgramError, Config, ErrorCode, Executor, Limits, Svm, SvmConfig};
use borsh::BorshSerialize;
use events::Listeners;
use napi::{
    Env,
    bindgen_prelude::{Object, Result, Uint8ArraySlice},
};
use napi_derive::napi;
use shared_memory::SharedMemory;
use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
};
use wire::{MemoryRequest, OpenRequest, Request, Response};

/// An engine, and who listens to it.
pub(crate) struct Host {
    pub svm: Svm,
    pub listeners: Listeners,
}

thread_local! {
    /// The engines of one Node environment: each has a thread of its own. Handles count from 1 and are never used twice: what is gone leaves
    /// its place empty.
    static ENGINES: RefCell<Vec<Option<Box<Host>>>> = const { RefCell::new(Vec::new()) };
    /// What a call without a wrapper leaves for `takeReply`.
    static REPLY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[napi(module_exports)]
pub fn on_load(exports: Object, env: Env) -> Result<()> {
    // Worker threads must be gone before the environment is: dropping an engine waits for its own. So must references to its values.
    env.add_env_cleanup_hook((), |()| {
        drop(ENGINES.take());
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
        let handle = ENGINES.with_borrow_mut(|all| {
            all.push(Some(Box::new(Host { svm, listeners: Listeners::default() })));
            u32::try_from(all.len()).expect("fewer than 2^32 engines")
        });
        Ok(Response::of(&handle))
    })
}

/// Makes one request of an engine.
#[napi]
pub fn call<'env>(env: &'env Env, handle: u32, request: &[u8]) -> Result<Uint8ArraySlice<'env>> {
    reply(env, || {
        let request: Request = wire::decode(request)?;
        with_host(handle, |host| request.run(host))
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

fn with_host<R>(handle: u32, run: impl FnOnce(&mut Host) -> std::result::Result<R, Refusal>) -> std::result::Result<R, Refusal> {
    // Out of the table while the request runs: if it panics, an engine that is half way through something is gone with it.
    let mut host = ENGINES.with_borrow_mut(|all| place(all, handle)?.take()).ok_or_else(Refusal::closed)?;
    let response = run(&mut host);
    ENGINES.with_borrow_mut(|all| {
        if let Some(place) = place(all, handle) {
            *place = Some(host);
        }
    });
    response
}

fn place(all: &mut [Option<Box<Host>>], handle: u32) -> Option<&mut Option<Box<Host>>> {
    all.get_mut((handle as usize).wrapping_sub(1))
}

/// Drops an engine. Says whether there was one.
#[napi]
pub fn close(handle: u32) -> bool {
    // Taken out first, so that waiting for its threads does not hold the table.
    let host = ENGINES.with_borrow_mut(|all| place(all, handle)?.take());
    host.is_some()
}

/// What the last call without a wrapper has left: why it was refused, or what there was no room for.
#[napi]
pub fn take_reply<'env>(env: &'env Env) -> Result<Uint8ArraySlice<'env>> {
    REPLY.with_borrow(|reply| Uint8ArraySlice::copy_from(env, reply))
}

/// Runs a call without a wrapper. When it is refused, or panics, the reply says why.
fn bare_call<R>(run: impl FnOnce(&mut Vec<u8>) -> std::result::Result<R, Refusal>) -> std::result::Result<R, ErrorCode> {
    REPLY.with_borrow_mut(|reply| {
        reply.clear();
        guarded(|| run(reply)).map_err(|refusal| {
            reply.clear();
            let Refusal { code, message } = refusal;
            (code, message).serialize(reply).expect("writing to memory cannot fail");
            code
        })
    })
}

/// For tests: the next call of this syscall panics.
#[napi(js_name = "TESTING_panicInSyscall")]
pub fn testing_panic_in_syscall(handle: u32, name: String) {
    ENGINES.with_borrow_mut(|all| {
        if let Some(Some(host)) = place(all, handle) {
            host.svm.testing_panic_in_syscall(&name);
        }
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
