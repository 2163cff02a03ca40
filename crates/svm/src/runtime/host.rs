//! Programs that are functions of the host: built-in programs of the runtime, except that their code is outside of it.
//!
//! Nobody can take back what calling such a function does, so it is called once for each invocation: at the turn of its task, never ahead,
//! and with the executor that never has to repeat anything.

use super::{
    accounts::{address, invocable_builtins, is_reserved, pubkey},
    entrypoint::{Fatal, noted},
    frame,
    syscalls::{BASE_UNITS, BYTES_PER_UNIT, context_bytes},
};
use crate::{AccountMeta, Address, Call, Caller, Error, ErrorCode, Reply, Trigger};
use borsh::{BorshDeserialize, BorshSerialize};
use solana_instruction::Instruction;
use solana_instruction_error::InstructionError;
use solana_program_runtime::{
    invoke_context::InvokeContext,
    solana_sbpf::{declare_builtin_function, vm::ContextObject},
};
use solana_svm_log_collector::ic_logger_msg;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Compute units of an invocation, besides what the program does: those of the system program.
const INVOCATION_UNITS: u64 = 150;
/// The most return data, as on a cluster.
const MAX_RETURN_DATA: usize = 1_024;

/// Calls the programs that are functions of the host.
pub trait HostPrograms {
    /// Runs the program that is invoked. Returns what an entrypoint returns, 0 for success; or why it did not come to its end.
    fn run(&self, invocation: &mut Invocation<'_>) -> Result<u64, String>;
}

/// A host without such programs.
pub(crate) struct NoHost;

impl HostPrograms for NoHost {
    fn run(&self, _: &mut Invocation<'_>) -> Result<u64, String> {
        Err("this program is a function of the host; process the slot with the host that has it".into())
    }
}

/// An invocation of such a program, which is under way. What it does is charged and checked as what other programs do.
///
/// What makes a program fail on a cluster, whatever it does then, makes this one fail: each method says so by an error that counts.
pub struct Invocation<'a> {
    context: &'a mut InvokeContext<'static, 'static>,
    /// Why it fails.
    stopped: Option<Fatal>,
}

/// An account as an instruction has it.
#[derive(BorshSerialize)]
pub struct AccountView<'a> {
    /// Where the instruction mentions it first: all mentions are the same account.
    pub first_mention: u16,
    /// Which account it is.
    pub address: Address,
    /// Whether it has signed.
    pub signer: bool,
    /// Whether the program may change it.
    pub writable: bool,
    /// Whether it is a program.
    pub executable: bool,
    /// Lamports.
    pub lamports: u64,
    /// The program that may change its data.
    pub owner: Address,
    /// Its data.
    pub data: &'a [u8],
}

/// How a program leaves an account.
#[derive(BorshDeserialize)]
pub struct AccountChange {
    /// Which account of the instruction.
    pub index: u16,
    /// Lamports.
    pub lamports: u64,
    /// The program that may change its data.
    pub owner: Address,
    /// Its data, unless it is the same.
    pub data: Option<Vec<u8>>,
}

/// An instruction for another program.
#[derive(BorshDeserialize)]
pub struct CpiRequest {
    /// Which program.
    pub program: Address,
    /// Its accounts.
    pub accounts: Vec<AccountMeta>,
    /// Its data.
    pub data: Vec<u8>,
    /// For each address of the calling program that signs, the seeds it is derived from, the bump included.
    pub signers: Vec<Vec<Vec<u8>>>,
}

/// Why an operation came to nothing, and with it the invocation.
pub struct Stopped(pub String);

impl Invocation<'_> {
    /// The program.
    pub fn program(&self) -> Address {
        self.instruction().and_then(|instruction| instruction.get_program_key()).map(address).unwrap_or_default()
    }

    /// The instruction's data.
    pub fn data(&self) -> Vec<u8> {
        self.instruction().map_or(Vec::new(), |instruction| instruction.get_instruction_data().to_vec())
    }

    /// The slot.
    pub fn slot(&self) -> u64 {
        frame::with(|frame| frame.stage.slot()).unwrap_or(0)
    }

    /// Seconds since 1970 in the slot.
    pub fn unix_timestamp(&self) -> i64 {
        frame::with(|frame| frame.stage.unix_timestamp()).unwrap_or(0)
    }

    /// What `sol_async_context` would write; nothing when the program was not called back.
    pub fn context(&self) -> Vec<u8> {
        let top_level = self.context.get_stack_height() == 1;
        frame::with(|frame| context_bytes(frame, top_level)).flatten().unwrap_or_default()
    }

    /// Compute units that are left.
    pub fn remaining_units(&self) -> u64 {
        self.context.get_remaining()
    }

    /// How many accounts the instruction has.
    pub fn account_count(&self) -> u16 {
        self.instruction().map_or(0, |instruction| instruction.get_number_of_instruction_accounts())
    }

    /// Shows an account of the instruction as it is now.
    #[expect(deprecated, reason = "the runtime decides by the owner; what is shown is what `getAccount` shows")]
    pub fn with_account<T>(&self, index: u16, show: impl FnOnce(&AccountView<'_>) -> T) -> Option<T> {
        let instruction = self.instruction().ok()?;
        let account = instruction.try_borrow_instruction_account(index).ok()?;
        Some(show(&AccountView {
            first_mention: instruction.is_instruction_account_duplicate(index).ok()?.unwrap_or(index),
            address: address(account.get_key()),
            signer: account.is_signer(),
            writable: account.is_writable(),
            executable: account.is_executable(),
            lamports: account.get_lamports(),
            owner: address(account.get_owner()),
            data: account.get_data(),
        }))
    }

    /// What the program last invoked has returned, and which one that was.
    pub fn return_data(&self) -> (Address, &[u8]) {
        let (program, data) = self.context.transaction_context.get_return_data();
        (address(program), data)
    }

    /// Uses compute units.
    pub fn consume(&mut self, units: u64) -> Result<(), Stopped> {
        let consumed = self.context.compute_meter.consume_checked(units);
        self.noting(consumed)
    }

    /// Logs a line, at the price of `sol_log_`.
    pub fn log(&mut self, message: &str) -> Result<(), Stopped> {
        self.consume(BASE_UNITS.max(message.len() as u64))?;
        let logs = self.context.get_log_collector();
        ic_logger_msg!(logs, "Program log: {}", message);
        Ok(())
    }

    /// Sets the return data, at the price of `sol_set_return_data`.
    pub fn set_return_data(&mut self, data: Vec<u8>) -> Result<(), Stopped> {
        self.consume(BASE_UNITS + data.len() as u64 / BYTES_PER_UNIT)?;
        if data.len() > MAX_RETURN_DATA {
            return self.noting(Err(format!("return data has {} bytes, but may have at most {MAX_RETURN_DATA}", data.len()).into()));
        }
        let program = pubkey(&self.program());
        let set = self.context.transaction_context.set_return_data(program, data);
        self.noting(set.map_err(Fatal::from))
    }

    /// Makes a call, at the price of its syscall. One that is refused is the program's to deal with.
    pub fn call(&mut self, call: Call) -> Result<Result<Reply, Error>, Stopped> {
        self.consume(BASE_UNITS + moved(&call) / BYTES_PER_UNIT)?;
        let read = matches!(call, Call::RingPop { .. } | Call::RingPeek { .. });
        let caller = Caller::Program(self.program());
        let Some(answer) = frame::with(|frame| frame.stage.call(caller, call)) else {
            return self.noting(Err("there is no stage".into())).map(|()| Ok(Reply::default()));
        };
        if let Ok(reply) = &answer
            && read
        {
            self.consume(reply.value / BYTES_PER_UNIT)?;
        }
        Ok(answer)
    }

    /// Notes a call that could not be made, with this code, at the price of its syscall.
    pub fn refuse(&mut self, code: ErrorCode) -> Result<(), Stopped> {
        self.consume(BASE_UNITS)?;
        frame::with(|frame| frame.stage.refuse(code));
        Ok(())
    }

    /// Changes accounts, in the order in which a program's changes are taken over: what it may not do is an error.
    pub fn change_accounts(&mut self, changes: Vec<AccountChange>) -> Result<(), Stopped> {
        let changed = changes.into_iter().try_for_each(|change| self.change_account(change));
        self.noting(changed.map_err(Fatal::from))
    }

    fn change_account(&self, change: AccountChange) -> Result<(), InstructionError> {
        let instruction = self.instruction()?;
        let mut account = instruction.try_borrow_instruction_account(change.index)?;
        if account.get_lamports() != change.lamports {
            account.set_lamports(change.lamports)?;
        }
        if let Some(data) = change.data
            && account.get_data() != data
        {
            account.set_data_from_slice(&data)?;
        }
        // At last: who gives an account away can still change it before.
        if address(account.get_owner()) != change.owner {
            account.set_owner(&change.owner.0)?;
        }
        Ok(())
    }

    /// Invokes another program, at the price of a CPI. When it fails, so does this one.
    pub fn invoke(&mut self, request: CpiRequest) -> Result<(), Stopped> {
        let units = self.context.get_execution_cost().invoke_units;
        self.consume(units + request.data.len() as u64 / BYTES_PER_UNIT)?;
        let invoked = self.cross(request);
        self.noting(invoked.map_err(Fatal::from))
    }

    fn cross(&mut self, CpiRequest { program, accounts, data, signers }: CpiRequest) -> Result<(), InstructionError> {
        if is_reserved(&program) && !invocable_builtins().iter().any(|(builtin, _)| *builtin == program) {
            return Err(InstructionError::UnsupportedProgramId);
        }
        let accounts = accounts.iter().map(|meta| solana_instruction::AccountMeta {
            pubkey: pubkey(&meta.address),
            is_signer: meta.signer,
            is_writable: meta.writable,
        });
        let instruction = Instruction { program_id: pubkey(&program), accounts: accounts.collect(), data };
        let seeds: Vec<Vec<&[u8]>> = signers.iter().map(|seeds| seeds.iter().map(Vec::as_slice).collect()).collect();
        let seeds: Vec<&[&[u8]]> = seeds.iter().map(Vec::as_slice).collect();
        self.context.native_invoke_signed(instruction, &seeds)
    }

    fn instruction(&self) -> Result<solana_transaction_context::instruction::InstructionContext<'_, '_>, InstructionError> {
        self.context.transaction_context.get_current_instruction_context()
    }

    /// Remembers why the invocation fails: the first reason is the one.
    fn noting(&mut self, result: Result<(), Fatal>) -> Result<(), Stopped> {
        result.map_err(|error| {
            let stopped = Stopped(error.to_string());
            self.stopped.get_or_insert(error);
            stopped
        })
    }
}

/// Bytes that a call is charged for, as `sol_async.h` says; those that it reads are known only after it.
fn moved(call: &Call) -> u64 {
    let bytes = match call {
        Call::TimerCreate(spec) => spec.callback.data.len(),
        Call::WatcherCreate { spec, .. } => {
            let pattern = if let Trigger::PatternMatch { pattern, .. } = &spec.trigger { pattern.len() } else { 0 };
            spec.callback.data.len() + pattern
        }
        Call::RingPush { data, .. } => data.len(),
        Call::TaskSchedule { callback, .. } => callback.data.len(),
        _ => 0,
    };
    bytes as u64
}

#[rustfmt::skip] // The macro wants the last comma.
declare_builtin_function!(
    Entrypoint,
    fn rust(context: &mut InvokeContext<'static, 'static>, _a: u64, _b: u64, _c: u64, _d: u64, _e: u64,) -> Result<u64, Box<dyn std::error::Error>> {
        // In a CPI the caller's compiled code is below, which a panic cannot pass.
        noted(catch_unwind(AssertUnwindSafe(|| run(context))).unwrap_or_else(|_| Err("the host panicked; this is a defect of async-bpf".into())))
    }
);

fn run(context: &mut InvokeContext<'static, 'static>) -> Result<u64, Fatal> {
    context.compute_meter.consume_checked(INVOCATION_UNITS)?;
    let mut invocation = Invocation { context, stopped: None };
    let Some(ran) = frame::with_host(|host| host.run(&mut invocation)) else {
        frame::with(|frame| frame.needs_host = true);
        return Err("this can only run at its turn".into());
    };
    match (invocation.stopped, ran) {
        (Some(error), _) => Err(error),
        (None, Ok(0)) => Ok(0),
        (None, Ok(status)) => Err(InstructionError::from(status).into()),
        (None, Err(reason)) => Err(reason.into()),
    }
}
