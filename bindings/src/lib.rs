//! The Node-API addon: engines behind handles, and one call that takes a request and returns a reply.
//!
//! Both are bytes, in borsh; [`wire`] defines them, and `bindings/ts/wire.ts` is the other side. Everything typed, checked and
//! documented for JavaScript is in TypeScript. No call throws: what went wrong is part of the reply.

#![allow(missing_docs, reason = "the public documentation is in TypeScript")]

mod events;
// Public because a build for tests exports nothing to Node, and would call it unused.
pub mod producers;
mod shared_memory;
mod wire;

use async_bpf_ring::MemoryError;
use async_bpf_svm::{AddProgramError, Config, ErrorCode, Limits, Svm, SvmConfig};
use events::Listeners;
use napi::{
    Env,
    bindgen_prelude::{Object, Result, Uint8ArraySlice},
};
use napi_derive::napi;
use shared_memory::SharedMemory;
use std::{
    cell::RefCell,
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
};
use wire::{MemoryRequest, OpenRequest, Request, Response};

/// An engine, and who listens to it.
pub(crate) struct Host {
    pub svm: Svm,
    pub listeners: Listeners,
}

#[derive(Default)]
struct Engines {
    engines: HashMap<u32, Box<Host>>,
    last_handle: u32,
}

thread_local! {
    /// The engines of one Node environment: each has a thread of its own. Handles are never used twice.
    static ENGINES: RefCell<Engines> = RefCell::default();
}

#[napi(module_exports)]
pub fn on_load(exports: Object, env: Env) -> Result<()> {
    // Worker threads must be gone before the environment is: dropping an engine waits for its own. So must references to its values.
    env.add_env_cleanup_hook((), |()| {
        ENGINES.with_borrow_mut(|all| all.engines.clear());
        producers::clear();
    })?;
    producers::export(&exports)
}

/// Creates an engine; the reply holds its handle.
#[napi]
pub fn open<'env>(env: &'env Env, request: &[u8]) -> Result<Uint8ArraySlice<'env>> {
    reply(env, || {
        let OpenRequest { workers, start_slot, start_timestamp, limits } = wire::decode(request)?;
        let mut engine = Config { start_slot, start_timestamp, limits: Limits::default() };
        for (key, value) in limits {
            engine.limits.set(&key, value)?;
        }
        let svm = Svm::new(SvmConfig { engine, workers: workers as usize, ..SvmConfig::default() })?;
        let handle = ENGINES.with_borrow_mut(|all| {
            all.last_handle += 1;
            all.engines.insert(all.last_handle, Box::new(Host { svm, listeners: Listeners::default() }));
            all.last_handle
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

fn with_host(handle: u32, run: impl FnOnce(&mut Host) -> std::result::Result<Response, Refusal>) -> std::result::Result<Response, Refusal> {
    // Out of the table while the request runs: if it panics, an engine that is half way through something is gone with it.
    let mut host = ENGINES.with_borrow_mut(|all| all.engines.remove(&handle)).ok_or_else(Refusal::closed)?;
    let response = run(&mut host);
    ENGINES.with_borrow_mut(|all| all.engines.insert(handle, host));
    response
}

/// Drops an engine. Says whether there was one.
#[napi]
pub fn close(handle: u32) -> bool {
    // Taken out first, so that waiting for its threads does not hold the table.
    let host = ENGINES.with_borrow_mut(|all| all.engines.remove(&handle));
    host.is_some()
}

/// For tests: the next call of this syscall panics.
#[napi(js_name = "TESTING_panicInSyscall")]
pub fn testing_panic_in_syscall(handle: u32, name: String) {
    ENGINES.with_borrow(|all| {
        if let Some(host) = all.engines.get(&handle) {
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
    let result = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        Err(Refusal {
            code: ErrorCode::ExecutionFailed,
            message: "the addon panicked and the engine is gone; this is a defect of async-bpf, please report it".into(),
        })
    });
    Uint8ArraySlice::copy_from(env, wire::encode(result))
}
