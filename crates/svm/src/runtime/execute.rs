//! One invocation: from a task to what it would change.

use super::{
    Executor, HostPrograms, Session,
    accounts::{address, from_shared, pubkey, to_shared},
    frame::{self, Frame},
    lean,
    sysvars::SlotEnvironment,
};
use crate::{Changes, ErrorCode, Execution, Failure, Stage, Staged, Task, parallel::View};
use solana_account::{AccountSharedData, ReadableAccount};
use solana_hash::Hash;
use solana_instruction_error::InstructionError;
use solana_program_runtime::{
    execution_budget::SVMTransactionExecutionBudget,
    invoke_context::{EnvironmentConfig, InvokeContext},
    solana_sbpf::vm::ContextObject,
};
use solana_pubkey::Pubkey;
use solana_rent::Rent;
use solana_sdk_ids::incinerator;
use solana_svm_callback::InvokeContextCallback;
use solana_svm_log_collector::LogCollector;
use solana_svm_timings::ExecuteTimings;
use solana_transaction_context::{
    MAX_ACCOUNTS_PER_TRANSACTION,
    instruction_accounts::InstructionAccount,
    transaction::{ExecutionRecord, TransactionContext},
};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Bytes of log that are kept of one invocation, as on a cluster.
const LOG_LIMIT: usize = 10_000;
/// What a signature costs on a cluster; only the fee sysvars show it.
const LAMPORTS_PER_SIGNATURE: u64 = 5_000;

/// No stake is known here.
struct NoStake;
impl InvokeContextCallback for NoStake {}

impl Session<'_> {
    /// Runs a task against the accounts as it sees them. Nothing is changed; what it would change is returned. `None` when that takes a
    /// function of the host, and there is no `host` to call it.
    pub fn execute(
        &mut self,
        view: View<'_>,
        slot: &SlotEnvironment,
        task: &Task,
        stage: Stage<'_>,
        host: Option<&dyn HostPrograms>,
    ) -> Option<Execution> {
        let executor = self.runtime.executor;
        let mut frame = Frame { stage, task, last_errors: BTreeMap::new(), executor, again: false, host: None, needs_host: false, fault: None };
        let ran = catch_unwind(AssertUnwindSafe(|| {
            // What may have to be run again has no host.
            let mut has_host = self.runtime.is_host_program(&task.callback.program);
            while !has_host {
                let ran = self.run(view, slot, task, &mut frame);
                if !std::mem::take(&mut frame.again) && !frame.needs_host {
                    return Some(ran);
                }
                has_host = frame.needs_host || frame.executor == Executor::Stock;
                frame.fault = None;
                frame.last_errors.clear();
                frame.stage.restart();
            }
            (frame.executor, frame.host, frame.needs_host) = (Executor::Stock, host, false);
            let ran = self.run(view, slot, task, &mut frame);
            (!frame.needs_host).then_some(ran)
        }));
        clear_mmx();
        let (units_consumed, logs, result, staged) = match ran {
            Ok(Some((units_consumed, logs, result))) => (units_consumed, logs, result, frame.stage.finish()),
            Ok(None) => return None,
            Err(_) => {
                let failure = failure("RuntimePanicked", "the runtime panicked; this is a defect of async-bpf or Agave", None);
                // The stage may be half way through a call.
                (task.callback.compute_budget, Vec::new(), Err(failure), Staged::default())
            }
        };
        Some(Execution { task_id: task.id, units_consumed, logs, result, staged })
    }

    fn run(&mut self, view: View<'_>, slot: &SlotEnvironment, task: &Task, frame: &mut Frame<'_>) -> (u64, Vec<String>, Result<Changes, Failure>) {
        let Session { runtime, own } = self;
        let (environment, callback) = (&runtime.environment, &*task.callback);
        let key_of_program = pubkey(&callback.program);
        let program = own.programs.get(&key_of_program, runtime, view.engine());
        // The engine has no account where a sysvar is.
        let load = |key: &Pubkey| view.account(&address(key)).map(to_shared).or_else(|| slot.get(key).cloned()).unwrap_or_default();
        // A transaction has each account once, with one pair of flags, whatever its instruction says at each mention.
        let mut accounts: Vec<(Pubkey, AccountSharedData)> = Vec::with_capacity(callback.accounts.len() + 1);
        let mut mentions: Vec<InstructionAccount> = Vec::with_capacity(callback.accounts.len());
        let mut first_mention = vec![u16::MAX; MAX_ACCOUNTS_PER_TRANSACTION];
        for meta in &callback.accounts {
            let key = pubkey(&meta.address);
            // What the runtime provides is never written, whatever the host says.
            let writable = meta.writable && !super::is_reserved(&meta.address) && !view.engine().is_program(&meta.address);
            let index = match accounts.iter().position(|(other, _)| *other == key) {
                Some(index) => {
                    let first = &mut mentions[first_mention[index] as usize];
                    first.set_is_signer(first.is_signer() || meta.signer);
                    first.set_is_writable(first.is_writable() || writable);
                    index
                }
                None => {
                    first_mention[accounts.len()] = mentions.len() as u16;
                    accounts.push((key, load(&key)));
                    accounts.len() - 1
                }
            };
            mentions.push(InstructionAccount::new(index as u16, meta.signer, writable));
        }
        if accounts.len() < mentions.len() {
            for mention in 0..mentions.len() {
                mentions[mention] = mentions[first_mention[mentions[mention].index_in_transaction as usize] as usize];
            }
        }
        let program_index = accounts.iter().position(|(key, _)| *key == key_of_program).unwrap_or_else(|| {
            accounts.push((key_of_program, program.account.clone()));
            accounts.len() - 1
        });

        let executor = frame.executor;
        let whole_trace = environment.budget.max_instruction_trace_length;
        let trace_len = if executor == Executor::Lean { program.trace_len } else { whole_trace };
        let mut transaction = TransactionContext::new(accounts, slot.rent.clone(), environment.budget.max_instruction_stack_depth, trace_len, 1);
        let data = Cow::Borrowed(&*callback.data);
        let configured = transaction.configure_instruction_at_index(0, program_index as u16, mentions, first_mention, data, None);
        if let Err(error) = configured {
            return (0, Vec::new(), Err(instruction_failure(&error, None)));
        }
        let logs = runtime.logs.then(|| LogCollector::new_ref_with_limit(Some(LOG_LIMIT)));
        let config = EnvironmentConfig::new(
            Hash::default(),
            LAMPORTS_PER_SIGNATURE,
            false,
            &NoStake,
            &environment.features,
            &environment.environments,
            &slot.cache,
        );
        // An earlier program can have made a loader deploy something, whatever came of it then, which is no business of this one.
        own.cache.drain_modified_entries();
        let budget = SVMTransactionExecutionBudget { compute_unit_limit: callback.compute_budget, ..environment.budget };
        let mut context = InvokeContext::new(&mut transaction, &mut own.cache, config, logs.clone(), budget, environment.cost);
        let result = frame::scope(frame, || match program.executable() {
            Some(executable) if executor == Executor::Lean => {
                // SAFETY: programs are compiled for contexts of any lifetime, which their type calls 'static; the runtime drops the
                // lifetimes in the same way. Nothing of the context outlives the call: the virtual machine is gone when it returns.
                let context = unsafe { std::mem::transmute::<&mut InvokeContext<'_, '_>, &mut InvokeContext<'static, 'static>>(&mut context) };
                lean::process_instruction(context, executable)
            }
            _ => context.process_instruction(&mut 0, &mut ExecuteTimings::default()),
        });
        if result == Err(InstructionError::MaxInstructionTraceLengthExceeded) && trace_len < whole_trace {
            program.trace_len = whole_trace;
            frame.again = true;
        }
        let units_consumed = callback.compute_budget - context.get_remaining();
        let logs = logs.map_or_else(Vec::new, |logs| std::mem::take(&mut logs.borrow_mut().messages));
        let result = match result {
            Ok(()) => changes(ExecutionRecord::from(transaction), load, &slot.rent),
            Err(error) => Err(instruction_failure(&error, frame.fault.as_deref())),
        };
        (units_consumed, logs, result)
    }
}

/// What an invocation changed, if the accounts are in order after it. `load` says what they were.
fn changes(record: ExecutionRecord, load: impl Fn(&Pubkey) -> AccountSharedData, rent: &Rent) -> Result<Changes, Failure> {
    let mut changes = Changes::default();
    for ((key, new), touched) in record.accounts.iter().zip(&record.touched_flags) {
        // Whatever changes an account marks it, as does some of what does not.
        if !touched {
            continue;
        }
        let old = load(key);
        if same(&old, new) {
            continue;
        }
        // What is sent to the incinerator is lost, however little.
        if !incinerator::check_id(key) && !rent_allows(rent, &old, new) {
            let message = format!("account {key} would be left with {} lamports, which is not enough to be rent-exempt", new.lamports());
            return Err(failure("InsufficientFundsForRent", &message, None));
        }
        changes.accounts.push((address(key), from_shared(new)));
    }
    changes.return_data = (!record.return_data.data.is_empty()).then_some(record.return_data.data);
    Ok(changes)
}

fn same(old: &AccountSharedData, new: &AccountSharedData) -> bool {
    old.lamports() == new.lamports()
        && old.owner() == new.owner()
        && old.executable() == new.executable()
        && (std::ptr::eq(old.data(), new.data()) || old.data() == new.data())
}

/// The rule of a Solana transaction: an account must not come below rent exemption; one that was below already may stay, but
/// must not grow and not gain.
fn rent_allows(rent: &Rent, old: &AccountSharedData, new: &AccountSharedData) -> bool {
    let exempt = |account: &AccountSharedData| rent.is_exempt(account.lamports(), account.data().len());
    if new.lamports() == 0 || exempt(new) {
        return true;
    }
    old.lamports() > 0 && !exempt(old) && new.data().len() == old.data().len() && new.lamports() <= old.lamports()
}

fn failure(reason: &str, message: &str, custom: Option<u32>) -> Failure {
    Failure { code: ErrorCode::ExecutionFailed, reason: reason.into(), message: message.into(), custom }
}

/// `fault` is what the runtime knows but does not return: it says no more than "failed to complete".
fn instruction_failure(error: &InstructionError, fault: Option<&str>) -> Failure {
    let debug = format!("{error:?}");
    let reason = debug.split(['(', ' ']).next().unwrap_or(&debug);
    let custom = match error {
        InstructionError::Custom(number) => Some(*number),
        _ => None,
    };
    let message = match (error, fault) {
        (InstructionError::ProgramFailedToComplete, Some(fault)) => format!("{error}: {fault}"),
        _ => error.to_string(),
    };
    failure(reason, &message, custom)
}

/// The JIT of this release moves values through the MMX registers at an indirect call and never leaves that mode, after which
/// x87 arithmetic on this thread, among it JavaScript's `%`, gives NaN.
fn clear_mmx() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: `emms` only marks the MMX/x87 registers as empty. No Rust value lives in them, and they are declared clobbered.
    unsafe {
        std::arch::asm!(
            "emms",
            out("mm0") _, out("mm1") _, out("mm2") _, out("mm3") _, out("mm4") _, out("mm5") _, out("mm6") _, out("mm7") _,
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _, out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
            options(nomem, nostack)
        );
    }
}
