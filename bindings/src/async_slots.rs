//! Slots that another thread processes, of the pool that Node has for such work, while JavaScript goes on.
//!
//! TypeScript asks for the slot, waits, lets programs run that are its own where the slot has come to one, and ends the slot.

use crate::{
    Refusal,
    engines::{self, Host},
    guarded,
    programs::Programs,
    reply,
    slots::write_outcomes,
    wire::{self, Response},
};
use async_bpf_svm::{SlotInput, SlotReport};
use borsh::{BorshDeserialize, BorshSerialize};
use napi::{
    Env, JsValue, Task,
    bindgen_prelude::{AsyncTask, Function, Uint8Array, Uint8ArraySlice},
};

#[derive(BorshDeserialize)]
struct SlotRequest {
    slot: u64,
    unix_timestamp: Option<i64>,
}

/// Where the slot has come to.
#[derive(BorshSerialize)]
enum Step {
    /// To a program that is a JavaScript function: `runInHost`, and then `continueSlot`.
    NeedsHost,
    /// To its end: state hash, counts, and how many of the outcomes are those of tasks. The outcomes follow, as in `slots.rs`.
    Report { state_hash: [u8; 32], counts: [u64; 5], tasks: u32 },
}

/// A part of a slot.
pub struct SlotTask {
    handle: u32,
    /// The engine, until it is put down or lost; or why there is none.
    host: Option<Box<Host>>,
    refusal: Option<Refusal>,
}

impl SlotTask {
    fn new(handle: u32, host: Result<Box<Host>, Refusal>) -> AsyncTask<Self> {
        let (host, refusal) = match host {
            Ok(host) => (Some(host), None),
            Err(refusal) => (None, Some(refusal)),
        };
        AsyncTask::new(SlotTask { handle, host, refusal })
    }

    fn go_on(&mut self) -> Result<Response, Refusal> {
        if let Some(refusal) = self.refusal.take() {
            return Err(refusal);
        }
        // Should it panic, the engine is gone with it.
        let mut host = self.host.take().ok_or_else(Refusal::closed)?;
        let response = match host.svm.continue_slot() {
            Some(report) => {
                host.listeners.publish(&report);
                response(&report)
            }
            None => Response::of(&Step::NeedsHost),
        };
        self.host = Some(host);
        Ok(response)
    }
}

fn response(
    SlotReport { state_hash, outcomes, timers_fired, watchers_triggered, tasks_queued, tasks_pending, units_consumed, .. }: &SlotReport,
) -> Response {
    let mut bytes = Vec::new();
    let tasks = write_outcomes(outcomes, &mut bytes);
    let counts = [*timers_fired, *watchers_triggered, *tasks_queued, *tasks_pending, *units_consumed];
    let mut response = Response::of(&Step::Report { state_hash: state_hash.0, counts, tasks });
    response.bytes().append(&mut bytes);
    response
}

impl Task for SlotTask {
    type Output = Vec<u8>;
    type JsValue = Uint8Array;

    fn compute(&mut self) -> napi::Result<Vec<u8>> {
        Ok(wire::encode(guarded(|| self.go_on())))
    }

    fn resolve(&mut self, _: Env, reply: Vec<u8>) -> napi::Result<Uint8Array> {
        engines::put_down(self.handle, self.host.take());
        Ok(reply.into())
    }
}

/// Begins a slot and processes it on another thread; the reply says where it has come to. `endSlot` follows in the end.
#[napi_derive::napi(ts_return_type = "Promise<Uint8Array>")]
pub fn start_slot(handle: u32, request: &[u8]) -> AsyncTask<SlotTask> {
    let input = wire::decode(request).map(|SlotRequest { slot, unix_timestamp }| SlotInput { slot, unix_timestamp });
    SlotTask::new(handle, input.and_then(|input| engines::begin_slot(handle, input)))
}

/// Goes on with it.
#[napi_derive::napi(ts_return_type = "Promise<Uint8Array>")]
pub fn continue_slot(handle: u32) -> AsyncTask<SlotTask> {
    SlotTask::new(handle, engines::take_up(handle))
}

/// Runs what the slot needs JavaScript for, on this thread.
#[napi_derive::napi(ts_args_type = "handle: number, runner: (request: Buffer) => Uint8Array")]
pub fn run_in_host<'env>(env: &'env Env, handle: u32, runner: Function<'env>) -> napi::Result<Uint8ArraySlice<'env>> {
    // SAFETY: both are those of this call.
    let programs = unsafe { Programs::new(env.raw(), runner.raw()) };
    reply(env, || {
        let mut host = engines::take_up(handle)?;
        // Should it panic, the engine is gone with it.
        host.svm.run_in_host(&programs);
        engines::put_down(handle, Some(host));
        Ok(Response::empty())
    })
}

/// Ends the slot: whatever was handed in during it counts for the next one.
#[napi_derive::napi]
pub fn end_slot<'env>(env: &'env Env, handle: u32) -> napi::Result<Uint8ArraySlice<'env>> {
    reply(env, || {
        engines::end_slot(handle)?;
        Ok(Response::empty())
    })
}
