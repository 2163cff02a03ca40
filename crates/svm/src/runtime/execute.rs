//! One invocation, by the runtime's stock path.

use super::{
    Runtime,
    accounts::{address, from_shared, pubkey, to_shared},
    frame::{self, Frame},
    sysvars::SlotEnvironment,
};
use crate::{Changes, Engine, ErrorCode, Execution, Failure, Stage, Staged, Task};
use solana_account::{AccountSharedData, ReadableAccount};
use solana_hash::Hash;
use solana_instruction_error::InstructionError;
use solana_program_runtime::{
    execution_budget::SVMTransactionExecutionBudget,
    invoke_context::{EnvironmentConfig, InvokeContext},
};
use solana_pubkey::Pubkey;
use solana_rent::Rent;
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
    collections::{BTreeMap, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
};

/// Bytes of log that are kept of one invocation, as on a cluster.
const LOG_LIMIT: usize = 10_000;
/// What a signature costs on a cluster; only the fee sysvars show it.
const LAMPORTS_PER_SIGNATURE: u64 = 5_000;

/// No stake is known here.
struct NoStake;
impl InvokeContextCallback for NoStake {}

impl Runtime {
    /// Runs a task against the accounts as they are. Nothing is changed; what it would change is returned.
    pub fn execute(&self, engine: &Engine, slot: &SlotEnvironment, task: &Task, stage: Stage<'_>) -> Execution {
        let mut frame = Frame { stage, task, last_errors: BTreeMap::new() };
        let ran = catch_unwind(AssertUnwindSafe(|| self.run(engine, slot, task, &mut frame)));
        clear_mmx();
        let (units_consumed, logs, result, staged) = match ran {
            Ok((units_consumed, logs, result)) => (units_consumed, logs, result, frame.stage.finish()),
            Err(_) => {
                let failure = failure("RuntimePanicked", "the runtime panicked; this is a defect of async-bpf or Agave", None);
                // The stage may be half way through a call.
                (task.callback.compute_budget, Vec::new(), Err(failure), Staged::default())
            }
        };
        Execution { task_id: task.id, units_consumed, logs, result, staged }
    }

    fn run(&self, engine: &Engine, slot: &SlotEnvironment, task: &Task, frame: &mut Frame<'_>) -> (u64, Vec<String>, Result<Changes, Failure>) {
        let callback = &*task.callback;
        let program = pubkey(&callback.program);
        let mut accounts: Vec<(Pubkey, AccountSharedData)> = Vec::with_capacity(callback.accounts.len() + 1);
        let mut index_of: HashMap<Pubkey, u16> = HashMap::with_capacity(callback.accounts.len() + 1);
        let mut load = |key: Pubkey| {
            *index_of.entry(key).or_insert_with(|| {
                let account = slot.get(&key).cloned().or_else(|| engine.account(&address(&key)).map(to_shared)).unwrap_or_default();
                accounts.push((key, account));
                (accounts.len() - 1) as u16
            })
        };
        // A transaction has one pair of flags for each account, whatever its instructions say at each mention.
        let mut flags = [(false, false); MAX_ACCOUNTS_PER_TRANSACTION];
        let mut first_use = vec![u16::MAX; MAX_ACCOUNTS_PER_TRANSACTION];
        let mut mentions = Vec::with_capacity(callback.accounts.len());
        for meta in &callback.accounts {
            let in_transaction = load(pubkey(&meta.address));
            // What the runtime provides is never written, whatever the host says.
            let writable = meta.writable && !super::is_reserved(&meta.address) && !engine.is_program(&meta.address);
            let (any_signer, any_writable) = &mut flags[in_transaction as usize];
            *any_signer |= meta.signer;
            *any_writable |= writable;
            let first = &mut first_use[in_transaction as usize];
            *first = (*first).min(mentions.len() as u16);
            mentions.push(in_transaction);
        }
        let instruction_accounts = mentions
            .into_iter()
            .map(|in_transaction| {
                let (signer, writable) = flags[in_transaction as usize];
                InstructionAccount::new(in_transaction, signer, writable)
            })
            .collect();
        let program_index = load(program);
        let before = accounts.clone();

        let environment = &self.environment;
        let mut transaction = TransactionContext::new(
            accounts,
            slot.rent.clone(),
            environment.budget.max_instruction_stack_depth,
            environment.budget.max_instruction_trace_length,
            1,
        );
        let configured =
            transaction.configure_instruction_at_index(0, program_index, instruction_accounts, first_use, Cow::Borrowed(&callback.data), None);
        if let Err(error) = configured {
            return (0, Vec::new(), Err(instruction_failure(&error, &[])));
        }
        let logs = LogCollector::new_ref_with_limit(Some(LOG_LIMIT));
        let mut units_consumed = 0;
        let result = self.with_cache(|cache| {
            let config = EnvironmentConfig::new(
                Hash::default(),
                LAMPORTS_PER_SIGNATURE,
                false,
                &NoStake,
                &environment.features,
                &environment.environments,
                &slot.cache,
            );
            let budget = SVMTransactionExecutionBudget { compute_unit_limit: callback.compute_budget, ..environment.budget };
            let mut context = InvokeContext::new(&mut transaction, cache, config, Some(logs.clone()), budget, environment.cost);
            frame::scope(frame, || context.process_instruction(&mut units_consumed, &mut ExecuteTimings::default()))
        });
        let logs = Rc::try_unwrap(logs).map_or_else(|shared| shared.borrow().messages.clone(), |logs| logs.into_inner().into_messages());
        if let Err(error) = result {
            let failure = instruction_failure(&error, &logs);
            return (units_consumed, logs, Err(failure));
        }
        let record = ExecutionRecord::from(transaction);
        let result = changes(&before, record, task, &slot.rent);
        (units_consumed, logs, result)
    }
}

/// What an invocation changed, if the accounts are in order after it.
fn changes(before: &[(Pubkey, AccountSharedData)], record: ExecutionRecord, task: &Task, rent: &Rent) -> Result<Changes, Failure> {
    let mut changed = Vec::new();
    for ((key, old), (_, new)) in before.iter().zip(&record.accounts) {
        if same(old, new) {
            continue;
        }
        if !rent_allows(rent, old, new) {
            let message = format!("account {key} would be left with {} lamports, which is not enough to be rent-exempt", new.lamports());
            return Err(failure("InsufficientFundsForRent", &message, None));
        }
        changed.push((address(key), from_shared(new)));
    }
    let return_data = (!record.return_data.data.is_empty()).then_some(record.return_data.data);
    debug_assert!(changed.iter().all(|(key, _)| task.callback.accounts.iter().any(|meta| meta.address == *key)));
    Ok(Changes { accounts: changed, return_data })
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

fn instruction_failure(error: &InstructionError, logs: &[String]) -> Failure {
    let debug = format!("{error:?}");
    let reason = debug.split(['(', ' ']).next().unwrap_or(&debug);
    let custom = match error {
        InstructionError::Custom(number) => Some(*number),
        _ => None,
    };
    // The runtime knows no more than "failed to complete"; what happened is in its log. In a CPI only the callee's line says it.
    let lines = logs.iter().filter(|line| !line.starts_with("Program log: "));
    let mut details = lines.filter_map(|line| line.split_once(" failed: ")).map(|(_, detail)| detail);
    let detail = details.rfind(|detail| *detail != error.to_string());
    let message = match (error, detail) {
        (InstructionError::ProgramFailedToComplete, Some(detail)) => format!("{error}: {detail}"),
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
