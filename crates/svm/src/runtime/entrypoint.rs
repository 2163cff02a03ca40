//! The built-in program that runs all others: the loaders of a cluster, by the executor that was chosen.

use super::{Executor, frame, lean, syscalls};
use solana_instruction_error::InstructionError;
use solana_program_runtime::{
    invoke_context::InvokeContext,
    program_cache_entry::ProgramCacheEntryType,
    solana_sbpf::{declare_builtin_function, program::BuiltinFunctionDefinition},
};
use std::{
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// What a built-in function fails with.
pub(crate) type Fatal = Box<dyn Error>;

#[rustfmt::skip] // The macro wants the last comma.
declare_builtin_function!(
    Entrypoint,
    fn rust(context: &mut InvokeContext<'static, 'static>, _a: u64, _b: u64, _c: u64, _d: u64, _e: u64,) -> Result<u64, Box<dyn Error>> {
        // In a CPI the caller's compiled code is below, which a panic cannot pass.
        noted(catch_unwind(AssertUnwindSafe(|| run(context))).unwrap_or_else(|_| Err("the loader panicked; this is a defect of async-bpf or Agave".into())))
    }
);

/// What [`syscalls::panic_in_next`] knows it by.
const NAME: &str = "loader";

fn run(context: &mut InvokeContext<'static, 'static>) -> Result<u64, Fatal> {
    syscalls::panic_if_wanted(NAME);
    if frame::with(|frame| frame.executor) == Some(Executor::Lean) {
        let program = *context.transaction_context.get_current_instruction_context()?.get_program_key()?;
        let entry = context.program_cache_for_tx_batch.find(&program);
        // Anything else is an instruction of the loader itself, for instance to deploy a program, and none of ours.
        if let Some(ProgramCacheEntryType::Loaded(executable)) = entry.as_ref().map(|entry| &entry.program) {
            return lean::execute(context, executable).map(|()| 0);
        }
    }
    solana_bpf_loader_program::Entrypoint::rust(context, 0, 0, 0, 0, 0)
}

/// Keeps what the runtime reduces to `ProgramFailedToComplete` and tells nobody but its log. In a CPI the callee is noted first, and counts.
pub(crate) fn noted<T>(result: Result<T, Fatal>) -> Result<T, Fatal> {
    result.inspect_err(|error| {
        if !error.is::<InstructionError>() {
            frame::with(|frame| _ = frame.fault.get_or_insert_with(|| error.to_string()));
        }
    })
}
