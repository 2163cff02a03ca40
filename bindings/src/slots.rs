//! Slots: what a host asks for most often, so by a callback without a wrapper. `bindings/ts/slots.ts` is the other side.
//!
//! The question and the answer are numbers in memory of JavaScript's. It begins with [`WORDS`] u64; the outcomes are put behind them, where
//! JavaScript says that there is room.

use crate::{
    Refusal,
    bare::{Call, Callback},
    bare_call,
    engines::{self, Host, with_host},
    programs::Programs,
};
use async_bpf_svm::{ErrorCode, Outcome, SlotInput, SourceKind, StateHash};
use borsh::BorshSerialize;
use napi::sys;
use std::{
    ffi::CStr,
    ptr::{copy_nonoverlapping, null_mut},
    time::Instant,
};

/// Where numbers are, counted in numbers of their size.
mod word {
    pub const SLOT: usize = 0;
    pub const TIMESTAMP: usize = 1;
    /// Of five.
    pub const COUNTS: usize = 3;
}
mod half {
    /// 1 when there is a timestamp.
    pub const HAS_TIMESTAMP: usize = 4;
    /// How many bytes of the memory are not to be written, the words included.
    pub const USED: usize = 5;
    /// Bytes of outcomes. Those that there is no room for are the reply.
    pub const OUTCOMES_LEN: usize = 16;
    /// How many outcomes are those of tasks that were submitted or scheduled. Their ids, and where they begin, are behind the outcomes.
    pub const TASKS: usize = 17;
}
const WORDS: usize = 9;

pub const CALLBACKS: [(&CStr, Callback); 2] = [(c"processSlot", process_slot), (c"TESTING_number", testing_number)];

/// `processSlot(handle: number, memory: ArrayBuffer, runner: (request: Buffer) => Uint8Array): string | undefined`: the state hash;
/// `undefined` when it was refused.
unsafe extern "C" fn process_slot(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this.
    let (call, [handle, memory, runner]) = unsafe { Call::enter(env, info) };
    // SAFETY: both are those of this call.
    let programs = unsafe { Programs::new(env, runner.value()) };
    let answer = bare_call(|reply| {
        let memory = memory.array_buffer().and_then(|(start, len)| Memory::new(start, len)).ok_or_else(|| Refusal {
            code: ErrorCode::InvalidArgument,
            message: format!("memory must be an ArrayBuffer of at least {} bytes", WORDS * 8),
        })?;
        with_host(handle.number().unwrap_or(0), |host| answer(host, &memory, &programs, reply))
    });
    match answer {
        Ok(hash) => call.ascii(&hex(&hash)),
        Err(_) => null_mut(),
    }
}

fn answer(host: &mut Host, memory: &Memory, programs: &Programs, reply: &mut Vec<u8>) -> Result<StateHash, Refusal> {
    let unix_timestamp = (memory.half(half::HAS_TIMESTAMP) == 1).then(|| memory.word(word::TIMESTAMP) as i64);
    let report = host.svm.process_slot_in(SlotInput { slot: memory.word(word::SLOT), unix_timestamp }, programs)?;
    host.listeners.publish(&report);
    let tasks = write_outcomes(&report.outcomes, reply);
    memory.put(memory.half(half::USED) as usize, reply);
    let counts = [report.timers_fired, report.watchers_triggered, report.tasks_queued, report.tasks_pending, report.units_consumed];
    counts.into_iter().enumerate().for_each(|(index, count)| memory.set_word(word::COUNTS + index, count));
    memory.set_half(half::OUTCOMES_LEN, reply.len() as u32);
    memory.set_half(half::TASKS, tasks);
    Ok(report.state_hash)
}

/// A list of outcomes, and then the id and the place of each that was a task by itself; how many of those there are.
pub fn write_outcomes(outcomes: &[Outcome], bytes: &mut Vec<u8>) -> u32 {
    if outcomes.is_empty() {
        return 0;
    }
    let mut tasks: Vec<(u64, u32)> = Vec::new();
    let mut write = || {
        (outcomes.len() as u32).serialize(bytes)?;
        for outcome in outcomes {
            if outcome.source.kind == SourceKind::Task {
                tasks.push((outcome.task_id, bytes.len() as u32));
            }
            outcome.serialize(bytes)?;
        }
        tasks.iter().try_for_each(|task| task.serialize(bytes))
    };
    write().expect("writing to memory cannot fail");
    u32::try_from(bytes.len()).expect("the outcomes of a slot are less than 4 GiB");
    tasks.len() as u32
}

/// Memory of an ArrayBuffer, while a call is under way.
struct Memory {
    start: *mut u8,
    len: usize,
}

impl Memory {
    /// `None` when it has no room for the words.
    fn new(start: *mut u8, len: usize) -> Option<Self> {
        (len >= WORDS * 8).then_some(Memory { start, len })
    }

    fn word(&self, index: usize) -> u64 {
        assert!(index < WORDS);
        // SAFETY: it is within the memory, which JavaScript does not move before the call returns: no program that it has can get at it.
        unsafe { self.start.cast::<u64>().add(index).read_unaligned() }
    }

    fn set_word(&self, index: usize, value: u64) {
        assert!(index < WORDS);
        // SAFETY: as above; there is no reference to it.
        unsafe { self.start.cast::<u64>().add(index).write_unaligned(value) }
    }

    fn half(&self, index: usize) -> u32 {
        assert!(index < WORDS * 2);
        // SAFETY: as above.
        unsafe { self.start.cast::<u32>().add(index).read_unaligned() }
    }

    fn set_half(&self, index: usize, value: u32) {
        assert!(index < WORDS * 2);
        // SAFETY: as above.
        unsafe { self.start.cast::<u32>().add(index).write_unaligned(value) }
    }

    /// Puts bytes behind what is used, if there is room.
    fn put(&self, used: usize, bytes: &[u8]) {
        if used >= WORDS * 8 && self.len.checked_sub(used).is_some_and(|room| room >= bytes.len()) {
            // SAFETY: as above, and the bytes are memory of ours.
            unsafe { copy_nonoverlapping(bytes.as_ptr(), self.start.add(used), bytes.len()) }
        }
    }
}

fn hex(hash: &StateHash) -> [u8; 64] {
    let mut text = [0; 64];
    for (digits, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(hash.0) {
        *digits = HEX[usize::from(byte)];
    }
    text
}

/// The digits of every byte.
static HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
};

/// For benchmarks: `TESTING_number(number: number): void`, the least that a call with a number can do.
unsafe extern "C" fn testing_number(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this.
    let (_, [number]) = unsafe { Call::enter(env, info) };
    std::hint::black_box(number.number());
    null_mut()
}

/// For benchmarks: the handle of the engine that was created last.
#[napi_derive::napi(js_name = "TESTING_lastHandle")]
pub fn testing_last_handle() -> u32 {
    engines::last_handle()
}

/// For benchmarks: processes the next slot, and leaves its outcomes for `takeReply`; how many nanoseconds it took to write them.
#[napi_derive::napi(js_name = "TESTING_writeOutcomes")]
pub fn testing_write_outcomes(handle: u32) -> f64 {
    let nanoseconds = bare_call(|reply| {
        with_host(handle, |host| {
            let slot = host.svm.engine().slot() + 1;
            let report = host.svm.process_slot(SlotInput { slot, unix_timestamp: None })?;
            let start = Instant::now();
            write_outcomes(&report.outcomes, reply);
            Ok(start.elapsed().as_nanos() as f64)
        })
    });
    nanoseconds.unwrap_or(f64::NAN)
}

/// For benchmarks: processes slots as a host in Rust would, from the next one on; how many callbacks ran.
#[napi_derive::napi(js_name = "TESTING_processSlots")]
pub fn testing_process_slots(handle: u32, count: u32) -> u32 {
    let ran = bare_call(|_| {
        with_host(handle, |host| {
            let mut ran = 0;
            for _ in 0..count {
                let slot = host.svm.engine().slot() + 1;
                ran += host.svm.process_slot(SlotInput { slot, unix_timestamp: None })?.outcomes.len();
            }
            Ok(ran as u32)
        })
    });
    ran.unwrap_or(0)
}
