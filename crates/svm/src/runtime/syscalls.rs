//! The syscalls that async-bpf adds to the stock ones.
//!
//! Each one is charged, reads its arguments out of guest memory into owned values, and makes one [`Call`] on the stage of its
//! invocation. `programs/include/sol_async.h` is their documentation.

use super::{
    accounts::address,
    frame::{self, Frame},
};
use crate::{
    AccountMeta, Address, Call, Callback, Caller, CatchUp, Error, ErrorCode, Priority, Reply, RingReader, SourceKind, TimerSpec, Trigger, WatcherSpec,
};
use solana_instruction_error::InstructionError;
use solana_program_runtime::{
    invoke_context::{BuiltinFunctionRegisterer, InvokeContext},
    memory::translate_slice,
    solana_sbpf::{declare_builtin_function, error::ProgramResult, memory_region::AccessType, program::BuiltinFunctionDefinition},
};
use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// Compute units of any call.
pub(super) const BASE_UNITS: u64 = 100;
/// Bytes moved for one more compute unit, as in a CPI.
pub(super) const BYTES_PER_UNIT: u64 = 250;
/// Version of the struct that `sol_async_context` fills, and its size.
const CONTEXT_VERSION: u64 = 1;
const CONTEXT_LEN: usize = 128;

type Fatal = Box<dyn std::error::Error>;

/// Why a syscall does not return what was asked for.
enum Stop {
    /// The arguments are so wrong that the call cannot be made. The program is told, and goes on.
    Refused(ErrorCode),
    /// The call was made and failed. The program is told, and goes on.
    Answered(ErrorCode),
    /// The program fails.
    Fatal(Fatal),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Refused(error.code())
    }
}

impl From<Fatal> for Stop {
    fn from(error: Fatal) -> Self {
        Stop::Fatal(error)
    }
}

impl From<InstructionError> for Stop {
    fn from(error: InstructionError) -> Self {
        Stop::Fatal(Box::new(error))
    }
}

type Answer = Result<u64, Stop>;

/// What a syscall returns when it is refused.
#[derive(Clone, Copy)]
enum Refused {
    /// 0; the code is behind `sol_async_last_error`.
    Zero,
    /// The code itself.
    Code,
    /// It never is, and leaves the last error as it is.
    Never,
}

impl Refused {
    fn value(self, code: ErrorCode) -> u64 {
        if matches!(self, Refused::Code) { code as u64 } else { 0 }
    }
}

macro_rules! syscalls {
    ($($name:literal, $type:ident, $refused:ident, $function:ident;)*) => {
        $(declare_builtin_function!(
            $type,
            fn rust(context: &mut InvokeContext<'_, '_>, a: u64, b: u64, c: u64, d: u64, e: u64,) -> Result<u64, Box<dyn std::error::Error>> {
                enter($name, context, Refused::$refused, [a, b, c, d, e], |syscall, args| syscall.$function(args))
            }
        );)*

        /// Every syscall, by its name.
        pub(crate) const ALL: &[(&str, BuiltinFunctionRegisterer)] = &[$(($name, $type::register),)*];
    };
}

syscalls! {
    "sol_timer_create", TimerCreate, Zero, timer_create;
    "sol_timer_create_periodic", TimerCreatePeriodic, Zero, timer_create_periodic;
    "sol_timer_create_with", TimerCreateWith, Zero, timer_create_with;
    "sol_timer_cancel", TimerCancel, Code, timer_cancel;
    "sol_watcher_create", WatcherCreate, Zero, watcher_create;
    "sol_watcher_create_threshold", WatcherCreateThreshold, Zero, watcher_create_threshold;
    "sol_watcher_create_pattern", WatcherCreatePattern, Zero, watcher_create_pattern;
    "sol_watcher_set_min_slots", WatcherSetMinSlots, Code, watcher_set_min_slots;
    "sol_watcher_remove", WatcherRemove, Code, watcher_remove;
    "sol_ring_buffer_create", RingCreate, Zero, ring_create;
    "sol_ring_buffer_push", RingPush, Code, ring_push;
    "sol_ring_buffer_pop", RingPop, Zero, ring_pop;
    "sol_ring_buffer_peek", RingPeek, Zero, ring_peek;
    "sol_ring_buffer_grant", RingGrant, Code, ring_grant;
    "sol_ring_buffer_destroy", RingDestroy, Code, ring_destroy;
    "sol_task_schedule", TaskSchedule, Zero, task_schedule;
    "sol_get_slot", GetSlot, Never, get_slot;
    "sol_async_last_error", LastError, Never, last_error;
    "sol_async_context", Context, Zero, context;
}

thread_local! {
    static PANIC_IN: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes the next call of a syscall, or of the loader by a CPI, on this thread panic.
pub(crate) fn panic_in_next(name: &str) {
    PANIC_IN.set(Some(name.into()));
}

/// Panics if that was asked for.
pub(crate) fn panic_if_wanted(name: &str) {
    if PANIC_IN.with_borrow_mut(|wanted| wanted.take_if(|wanted| wanted == name)).is_some() {
        panic!("a panic in {name} was asked for");
    }
}

fn enter(
    name: &'static str,
    context: &mut InvokeContext<'_, '_>,
    refused: Refused,
    args: [u64; 5],
    function: impl FnOnce(&mut Syscall<'_, '_, '_, '_>, [u64; 5]) -> Answer,
) -> Result<u64, Fatal> {
    // A panic must not reach the compiled code below this frame: it has no unwind information, and the process would abort.
    let caught = catch_unwind(AssertUnwindSafe(|| {
        frame::with(|frame| {
            panic_if_wanted(name);
            let mut syscall = Syscall { context, frame };
            let (value, code) = match function(&mut syscall, args) {
                Ok(value) => (value, ErrorCode::Success),
                Err(Stop::Fatal(error)) => return Err(error),
                Err(Stop::Answered(code)) => (refused.value(code), code),
                Err(Stop::Refused(code)) => {
                    syscall.frame.stage.refuse(code);
                    (refused.value(code), code)
                }
            };
            if !matches!(refused, Refused::Never) {
                *syscall.last_error_of_program()? = code;
            }
            Ok(value)
        })
    }));
    match caught {
        Ok(Some(result)) => result,
        Ok(None) => Err(format!("{name} was called outside an invocation of async-bpf").into()),
        Err(_) => Err(format!("{name} panicked; this is a defect of async-bpf").into()),
    }
}

struct Syscall<'s, 'f, 'a, 'b> {
    context: &'s mut InvokeContext<'a, 'b>,
    frame: &'s mut Frame<'f>,
}

impl Syscall<'_, '_, '_, '_> {
    fn timer_create(&mut self, [trigger_slot, data, data_len, budget, _]: [u64; 5]) -> Answer {
        self.charge(data_len)?;
        self.create_timer(data, data_len, budget, |callback| TimerSpec {
            callback,
            start_slot: trigger_slot,
            period_slots: None,
            deadline_slot: None,
            catch_up: CatchUp::Once,
            priority: Priority::Normal,
        })
    }

    fn timer_create_periodic(&mut self, [start_slot, period_slots, data, data_len, budget]: [u64; 5]) -> Answer {
        self.charge(data_len)?;
        self.create_timer(data, data_len, budget, |callback| TimerSpec {
            callback,
            start_slot,
            period_slots: Some(period_slots),
            deadline_slot: None,
            catch_up: CatchUp::Once,
            priority: Priority::Normal,
        })
    }

    fn timer_create_with(&mut self, [params, ..]: [u64; 5]) -> Answer {
        self.charge(0)?;
        let [start_slot, period_slots, deadline, catch_up, max_ticks, priority, data, data_len, budget] = self.params(params)?;
        self.charge_bytes(data_len)?;
        let data = self.read(data, data_len)?;
        let catch_up = match catch_up {
            0 => CatchUp::Once,
            1 => CatchUp::All { max_ticks },
            2 => CatchUp::Skip,
            _ => return Err(Stop::Refused(ErrorCode::InvalidArgument)),
        };
        let priority = Priority::try_from(priority)?;
        let callback = self.callback(data, budget)?;
        self.call(Call::TimerCreate(TimerSpec {
            callback,
            start_slot,
            period_slots: some(period_slots),
            deadline_slot: some(deadline),
            catch_up,
            priority,
        }))
    }

    fn create_timer(&mut self, data: u64, data_len: u64, budget: u64, spec: impl FnOnce(Arc<Callback>) -> TimerSpec) -> Answer {
        let data = self.read(data, data_len)?;
        let callback = self.callback(data, budget)?;
        self.call(Call::TimerCreate(spec(callback)))
    }

    fn timer_cancel(&mut self, [id, ..]: [u64; 5]) -> Answer {
        self.charge(0)?;
        self.call(Call::TimerCancel { id })
    }

    fn watcher_create(&mut self, [account, trigger, data, data_len, budget]: [u64; 5]) -> Answer {
        self.charge(data_len)?;
        let account = self.read_address(account)?;
        let data = self.read(data, data_len)?;
        self.create_watcher(account, Trigger::simple(trigger), data, budget)
    }

    fn watcher_create_threshold(&mut self, [params, ..]: [u64; 5]) -> Answer {
        self.charge(0)?;
        let [account, trigger, offset, threshold, data, data_len, budget] = self.params(params)?;
        self.charge_bytes(data_len)?;
        let account = self.read_address(account)?;
        let data = self.read(data, data_len)?;
        self.create_watcher(account, Trigger::threshold(trigger, offset, threshold as i64), data, budget)
    }

    fn watcher_create_pattern(&mut self, [params, ..]: [u64; 5]) -> Answer {
        self.charge(0)?;
        let [account, offset, pattern, pattern_len, data, data_len, budget] = self.params(params)?;
        self.charge_bytes(data_len.saturating_add(pattern_len))?;
        let account = self.read_address(account)?;
        let pattern = self.read(pattern, pattern_len)?;
        let data = self.read(data, data_len)?;
        self.create_watcher(account, Ok(Trigger::PatternMatch { offset, pattern }), data, budget)
    }

    fn create_watcher(&mut self, account: Address, trigger: Result<Trigger, Error>, data: Vec<u8>, budget: u64) -> Answer {
        let callback = self.callback(data, budget)?;
        let spec = WatcherSpec { callback, account, trigger: trigger?, priority: Priority::High };
        self.call(Call::WatcherCreate { spec, min_slots_between_triggers: 1 })
    }

    fn watcher_set_min_slots(&mut self, [id, slots, ..]: [u64; 5]) -> Answer {
        self.charge(0)?;
        self.call(Call::WatcherSetMinSlots { id, slots })
    }

    fn watcher_remove(&mut self, [id, ..]: [u64; 5]) -> Answer {
        self.charge(0)?;
        self.call(Call::WatcherRemove { id })
    }

    fn ring_create(&mut self, [size, ..]: [u64; 5]) -> Answer {
        self.charge(0)?;
        let program = self.program()?;
        self.call(Call::RingCreate { program, size: Some(size), reader: RingReader::Program })
    }

    fn ring_push(&mut self, [id, data, data_len, ..]: [u64; 5]) -> Answer {
        self.charge(data_len)?;
        let data = self.read(data, data_len)?;
        self.call(Call::RingPush { id, data })
    }

    fn ring_pop(&mut self, [id, output, output_len, ..]: [u64; 5]) -> Answer {
        self.read_ring(output, output_len, Call::RingPop { id, max_len: output_len })
    }

    fn ring_peek(&mut self, [id, output, output_len, ..]: [u64; 5]) -> Answer {
        self.read_ring(output, output_len, Call::RingPeek { id, max_len: output_len })
    }

    /// Charged for what is read, not for how much room the program offers; and only after the call, whose answer is on record:
    /// what a program pays must not depend on anything else.
    fn read_ring(&mut self, output: u64, output_len: u64, call: Call) -> Answer {
        self.charge(0)?;
        self.check_writable(output, output_len)?;
        let reply = self.make(call)?;
        self.charge_bytes(reply.value)?;
        self.write(output, &reply.bytes)?;
        Ok(reply.value)
    }

    fn ring_grant(&mut self, [id, program, rights, ..]: [u64; 5]) -> Answer {
        self.charge(0)?;
        let program = self.read_address(program)?;
        self.call(Call::RingGrant { id, program, rights })
    }

    fn ring_destroy(&mut self, [id, ..]: [u64; 5]) -> Answer {
        self.charge(0)?;
        self.call(Call::RingDestroy { id })
    }

    fn task_schedule(&mut self, [params, ..]: [u64; 5]) -> Answer {
        self.charge(0)?;
        let [data, data_len, budget, priority, deadline] = self.params(params)?;
        self.charge_bytes(data_len)?;
        let data = self.read(data, data_len)?;
        let priority = Priority::try_from(priority)?;
        let callback = self.callback(data, budget)?;
        self.call(Call::TaskSchedule { callback, priority, deadline_slot: some(deadline) })
    }

    fn get_slot(&mut self, _: [u64; 5]) -> Answer {
        self.charge(0)?;
        Ok(self.frame.stage.slot())
    }

    fn last_error(&mut self, _: [u64; 5]) -> Answer {
        self.charge(0)?;
        Ok(*self.last_error_of_program()? as u64)
    }

    fn context(&mut self, [output, output_len, ..]: [u64; 5]) -> Answer {
        self.charge(0)?;
        self.check_writable(output, output_len)?;
        let Some(bytes) = context_bytes(self.frame, self.context.get_stack_height() == 1) else { return Ok(0) };
        if output_len < CONTEXT_LEN as u64 {
            return Err(Stop::Refused(ErrorCode::OutputTooSmall));
        }
        self.write(output, &bytes)?;
        Ok(CONTEXT_LEN as u64)
    }

    // ---- what they have in common --------------------------------------------------------------------------------

    fn call(&mut self, call: Call) -> Answer {
        // A call that returns a code returns SUCCESS, which is 0, and so is the value of its reply.
        Ok(self.make(call)?.value)
    }

    fn make(&mut self, call: Call) -> Result<Reply, Stop> {
        let caller = Caller::Program(self.program()?);
        self.frame.stage.call(caller, call).map_err(|error| Stop::Answered(error.code()))
    }

    /// The base price and that of moving `bytes`.
    fn charge(&self, bytes: u64) -> Result<(), Fatal> {
        self.context.compute_meter.consume_checked(BASE_UNITS + bytes / BYTES_PER_UNIT)
    }

    /// The rest of the price, when the length was not known before.
    fn charge_bytes(&self, bytes: u64) -> Result<(), Fatal> {
        self.context.compute_meter.consume_checked(bytes / BYTES_PER_UNIT)
    }

    /// What the most recent call of this program came to. Every program of a CPI has its own.
    fn last_error_of_program(&mut self) -> Result<&mut ErrorCode, Fatal> {
        let index = self.context.transaction_context.get_current_instruction_context().map_err(Box::new)?.get_index_in_trace();
        Ok(self.frame.last_errors.entry(index).or_insert(ErrorCode::Success))
    }

    /// The program whose code makes the call; in a CPI the callee.
    fn program(&self) -> Result<Address, Stop> {
        let instruction = self.context.transaction_context.get_current_instruction_context()?;
        Ok(address(instruction.get_program_key()?))
    }

    /// A callback of the current program with the accounts of its current instruction. Nobody has signed for it.
    fn callback(&self, data: Vec<u8>, compute_budget: u64) -> Result<Arc<Callback>, Stop> {
        let instruction = self.context.transaction_context.get_current_instruction_context()?;
        let accounts = (0..instruction.get_number_of_instruction_accounts())
            .map(|index| {
                Ok(AccountMeta {
                    address: address(instruction.get_key_of_instruction_account(index)?),
                    signer: false,
                    writable: instruction.is_instruction_account_writable(index)?,
                })
            })
            .collect::<Result<_, InstructionError>>()?;
        Ok(Arc::new(Callback { program: address(instruction.get_program_key()?), data, accounts, compute_budget }))
    }

    /// Guest bytes, copied: nothing keeps a reference into memory that the program goes on to change.
    fn read(&self, pointer: u64, len: u64) -> Result<Vec<u8>, Stop> {
        if len == 0 {
            return Ok(Vec::new());
        }
        if pointer == 0 {
            return Err(Stop::Refused(ErrorCode::NullPointer));
        }
        Ok(translate_slice::<u8>(self.context.memory_contexts.memory_mapping()?, pointer, len, false)?.to_vec())
    }

    fn read_address(&self, pointer: u64) -> Result<Address, Stop> {
        Ok(Address(self.read(pointer, 32)?.try_into().expect("32 bytes were read")))
    }

    fn params<const N: usize>(&self, pointer: u64) -> Result<[u64; N], Stop> {
        let bytes = self.read(pointer, N as u64 * 8)?;
        let mut words = [0; N];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().expect("chunks of 8"));
        }
        Ok(words)
    }

    /// Checks that output can be written, before anything is taken for it.
    fn check_writable(&mut self, pointer: u64, len: u64) -> Result<(), Stop> {
        if len == 0 {
            return Ok(());
        }
        if pointer == 0 {
            return Err(Stop::Refused(ErrorCode::NullPointer));
        }
        self.map_for_store(pointer, len).map(|_| ())
    }

    fn map_for_store(&mut self, pointer: u64, len: u64) -> Result<u64, Stop> {
        match self.context.memory_contexts.memory_mapping_mut()?.map_with_access_violation_handler(AccessType::Store, pointer, len) {
            ProgramResult::Ok(host_address) => Ok(host_address),
            ProgramResult::Err(error) => Err(Stop::Fatal(Box::new(error))),
        }
    }

    fn write(&mut self, pointer: u64, bytes: &[u8]) -> Result<(), Stop> {
        if bytes.is_empty() {
            return Ok(());
        }
        let host_address = self.map_for_store(pointer, bytes.len() as u64)?;
        // SAFETY: the mapping just translated `bytes.len()` bytes at `pointer` for a store, so they are writable host memory of
        // one region, exclusive to this virtual machine, which is waiting for this call; `bytes` is memory of our own.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), host_address as *mut u8, bytes.len()) };
        Ok(())
    }
}

/// The struct that says what a callback was caused by. Invocations by the host or by other programs were not.
pub(super) fn context_bytes(frame: &Frame<'_>, top_level: bool) -> Option<Vec<u8>> {
    let task = frame.task;
    if !top_level || task.source.kind == SourceKind::Invoke {
        return None;
    }
    let (cause, slot) = (&task.cause, frame.stage.slot());
    let words = [
        CONTEXT_VERSION,
        task.source.kind as u64,
        task.source.id,
        cause.trigger.into(),
        task.aged_priority(slot).into(),
        1,
        cause.due_slot,
        slot,
        cause.ticks,
    ];
    let values = [
        cause.old_value.unwrap_or(0) as u64,
        cause.new_value.unwrap_or(0) as u64,
        u64::from(cause.old_value.is_some()) | u64::from(cause.new_value.is_some()) << 1,
    ];
    let mut bytes = Vec::with_capacity(CONTEXT_LEN);
    words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
    bytes.extend_from_slice(&cause.account.0);
    values.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
    Some(bytes)
}

/// In the structs of programs 0 stands for none.
fn some(value: u64) -> Option<u64> {
    (value != 0).then_some(value)
}
