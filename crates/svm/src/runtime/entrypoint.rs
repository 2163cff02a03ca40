//! The built-in program that runs all others: the loaders of a cluster, by the executor that was chosen.

use super::{Executor, frame, lean};
use solana_instruction_error::InstructionError;
use solana_program_runtime::{
    invoke_context::InvokeContext,
    program_cache_entry::ProgramCacheEntryType,
    solana_sbpf::{declare_builtin_function, program::BuiltinFunctionDefinition},
};
use solana_sdk_ids::native_loader;
use std::error::Error;

/// What a built-in function fails with.
pub(crate) type Fatal = Box<dyn Error>;

#[rustfmt::skip] // The macro wants the last comma.
declare_builtin_function!(
    Entrypoint,
    fn rust(context: &mut InvokeContext<'static, 'static>, _a: u64, _b: u64, _c: u64, _d: u64, _e: u64,) -> Result<u64, Box<dyn Error>> {
        noted(run(context))
    }
);

fn run(context: &mut InvokeContext<'static, 'static>) -> Result<u64, Fatal> {
    if frame::with(|frame| frame.executor) == Some(Executor::Lean) {
        let instruction = context.transaction_context.get_current_instruction_context()?;
        // An instruction of the loader itself, for instance to deploy a program, is none of ours.
        if !native_loader::check_id(&instruction.get_program_owner()?) {
            let program = context.program_cache_for_tx_batch.find(instruction.get_program_key()?);
            if let Some(ProgramCacheEntryType::Loaded(executable)) = program.as_ref().map(|entry| &entry.program) {
                return lean::execute(context, executable).map(|()| 0);
            }
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
