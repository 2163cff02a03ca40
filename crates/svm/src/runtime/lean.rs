//! Running a program without what the stock path spends most of its time on.
//!
//! The stock path clears 512 KiB of stack and heap for every invocation, asks for the time a dozen times, and enters a virtual machine
//! for its loader before the one for the program. This one uses the same parts of the runtime (serialization, memory mapping, syscalls,
//! the compiled program) and leaves that out. Every result, compute unit, log line and account byte is the same.
//!
//! A region that begins short has one hole: a syscall that reads memory looks it up by `MemoryMapping::map`, which grows nothing, and
//! so it fails where the program never touched the page. Whenever a program fails by an access to such memory, or to accounts (where
//! the stock path has better words for it), the whole invocation is therefore run again by the stock path, from the state before it.

use super::{
    Executor,
    entrypoint::{Fatal, noted},
    frame,
    memory::Memory,
};
use solana_instruction_error::InstructionError;
use solana_program_runtime::{
    execution_budget::MIN_HEAP_FRAME_BYTES,
    invoke_context::{BpfAllocator, Executable, InvokeContext},
    memory_context::MemoryContext,
    serialization::{deserialize_parameters, serialize_parameters},
    solana_sbpf::{
        ebpf::{MM_HEAP_START, MM_INPUT_START, MM_STACK_START},
        error::{EbpfError, ProgramResult},
        memory_region::{AccessType, MemoryMapping, MemoryRegion},
        vm::{ContextObject, EbpfVm, ExecutionMode},
    },
    stable_log,
};
use solana_svm_log_collector::ic_logger_msg;
use std::{mem::ManuallyDrop, ptr};

/// A region grows by so many bytes.
const PAGE_LEN: u64 = 4096;
/// Every program uses the first page of its stack.
const FIRST_STACK_LEN: u64 = PAGE_LEN;

/// Runs the top-level instruction. The loader's virtual machine that the stock path would enter does nothing but call the loader.
pub(crate) fn process_instruction(context: &mut InvokeContext<'static, 'static>, executable: &Executable) -> Result<(), InstructionError> {
    context.push()?;
    let result = invoke(context, executable);
    // Whatever came of it; an imbalance of lamports is found here.
    result.and(context.pop())
}

fn invoke(context: &mut InvokeContext<'static, 'static>, executable: &Executable) -> Result<(), InstructionError> {
    let program = *context.transaction_context.get_current_instruction_context()?.get_program_key()?;
    let logs = context.get_log_collector();
    stable_log::program_invoke(&logs, &program, context.get_stack_height());
    match noted(execute(context, executable)) {
        Ok(()) => {
            stable_log::program_success(&logs, &program);
            Ok(())
        }
        Err(error) => match error.downcast::<InstructionError>() {
            Ok(error) => {
                stable_log::program_failure(&logs, &program, &error);
                Err(*error)
            }
            Err(error) => {
                stable_log::program_failure(&logs, &program, &error);
                Err(InstructionError::ProgramFailedToComplete)
            }
        },
    }
}

/// Runs the program of the current instruction: what the stock loader does with a program that is there.
pub(crate) fn execute(context: &mut InvokeContext<'static, 'static>, executable: &Executable) -> Result<(), Fatal> {
    let features = context.get_feature_set();
    let (adjusted, direct) = (features.virtual_address_space_adjustments, features.account_data_direct_mapping);
    let instruction = context.transaction_context.get_current_instruction_context()?;
    let program = *instruction.get_program_key()?;
    let (parameters, accounts, metadata, data_offset) =
        serialize_parameters(&instruction, adjusted, direct, features.direct_account_pointers_in_program_input)?;

    let config = executable.get_config();
    let (stack_len, heap_len) = (config.stack_size(), context.get_compute_budget().heap_size as usize);
    let mut memory = Memory::take(stack_len, heap_len);
    // What this environment has switched off, so that nothing here cares: gaps between stack frames, and heaps that cost something.
    debug_assert!(!config.enable_stack_frame_gaps && heap_len == MIN_HEAP_FRAME_BYTES as usize);
    let mapping = map(context, executable, &mut memory, accounts).inspect_err(|_| repeat())?;
    context.memory_contexts.set_memory_context_abi_v1(MemoryContext::new(BpfAllocator::new(heap_len as u64), metadata, mapping))?;

    let budget = context.get_remaining();
    // SAFETY: it is a copy of a reference that is not counted and that is never dropped, as the virtual machine is not, which owns nothing
    // else; making one does not panic when there is a mapping. The executable, which holds the reference, is borrowed for longer.
    // Counting it would have all workers write to one cache line for every program, which has in it what they read all the time.
    let loader = unsafe { ptr::read(executable.get_loader()) };
    let mut vm = ManuallyDrop::new(EbpfVm::new(loader, executable.get_sbpf_version(), context, stack_len));
    vm.registers[1] = MM_INPUT_START;
    vm.registers[2] = data_offset as u64;
    let (units, result) = vm.execute_program(executable, &mut ExecutionMode::PreferJit, &mut memory.call_frames);

    let mapping = context.memory_contexts.memory_mapping()?;
    let dirty = |start| mapping.find_region(start).map_or(0, |(_, region)| region.len);
    memory.put_back(dirty(MM_STACK_START), dirty(MM_HEAP_START));

    let logs = context.get_log_collector();
    ic_logger_msg!(logs, "Program {} consumed {} of {} compute units", program, units, budget);
    let (_, return_data) = context.transaction_context.get_return_data();
    if !return_data.is_empty() {
        stable_log::program_return(&logs, &program, return_data);
    }
    match result {
        ProgramResult::Ok(0) => {}
        ProgramResult::Ok(status) => return Err(Box::new(InstructionError::from(status))),
        ProgramResult::Err(error) => return Err(failed(context, error)),
    }
    let instruction = context.transaction_context.get_current_instruction_context()?;
    let metadata = &context.memory_contexts.memory_context_abi_v1()?.accounts_metadata;
    Ok(deserialize_parameters(&instruction, adjusted, direct, parameters.as_slice(), metadata)?)
}

/// The memory of the virtual machine: stack and heap, which begin short, before the `regions` of accounts.
fn map(
    context: &InvokeContext<'static, 'static>,
    executable: &Executable,
    memory: &mut Memory,
    mut regions: Vec<MemoryRegion>,
) -> Result<MemoryMapping, EbpfError> {
    let features = context.get_feature_set();
    let of_accounts =
        context.transaction_context.access_violation_handler(features.virtual_address_space_adjustments, features.account_data_direct_mapping);
    let (stack, heap) = (memory.stack.as_slice_mut(), memory.heap.as_slice_mut());
    let (stack_len, heap_len) = (stack.len() as u64, heap.len() as u64);
    let grow = move |region: &mut MemoryRegion, reserved: u64, access: AccessType, address: u64, len: u64| {
        let most = match region.vm_addr {
            MM_STACK_START => stack_len,
            MM_HEAP_START => heap_len,
            _ => return of_accounts(region, reserved, access, address, len),
        };
        // Nothing here may overflow: compiled code is below, which a panic cannot pass.
        let end = address.saturating_sub(region.vm_addr).saturating_add(len);
        if end <= most {
            region.len = end.next_multiple_of(PAGE_LEN).min(most);
        }
    };
    let short = |bytes: &mut [u8], start, len| MemoryRegion { len, ..MemoryRegion::new(&raw mut *bytes, start) };
    // By address, where there mostly is room for them.
    regions.splice(..0, [executable.get_ro_region(), short(stack, MM_STACK_START, FIRST_STACK_LEN), short(heap, MM_HEAP_START, 0)]);
    // SAFETY: every region is memory that stays where it is as long as the mapping is used, which is until the program has ended: the
    // executable is borrowed for longer than that; `memory` is put back after it, and its buffers do not move with it; the accounts are
    // in the transaction and in the buffer of serialized parameters, both of which outlive the run. Stack, heap and parameters are plain
    // bytes. The handler for accounts is the runtime's own; ours makes a region longer, up to the length of its buffer.
    unsafe { MemoryMapping::new_with_access_violation_handler(regions, executable.get_config(), executable.get_sbpf_version(), Box::new(grow)) }
}

/// What becomes of an invocation whose virtual machine stopped.
fn failed(context: &mut InvokeContext<'static, 'static>, error: EbpfError) -> Fatal {
    let error = match error {
        EbpfError::SyscallError(error) => error.downcast::<EbpfError>().map_or_else(EbpfError::SyscallError, |error| *error),
        error => {
            if context.get_feature_set().deplete_cu_meter_on_vm_failure {
                context.consume(context.get_remaining());
            }
            error
        }
    };
    match error {
        EbpfError::SyscallError(error) => error,
        EbpfError::AccessViolation(_, address, ..) | EbpfError::StackAccessViolation(_, address, ..) if address >= MM_STACK_START => {
            repeat();
            error.into()
        }
        error => error.into(),
    }
}

/// Asks for the stock path, which knows better what to say.
fn repeat() {
    frame::with(|frame| (frame.executor, frame.again) = (Executor::Stock, true));
}
