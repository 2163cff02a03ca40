//! What a timer, a watcher or a task runs: one instruction.

use crate::{Address, Error, Limits};
use borsh::{BorshDeserialize, BorshSerialize};

/// An account of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AccountMeta {
    /// Which account.
    pub address: Address,
    /// Whether the instruction counts as signed by it. Only a host may say so.
    pub signer: bool,
    /// Whether the program may change it.
    pub writable: bool,
}

/// One instruction with a budget.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Callback {
    /// The program to run, which also owns the timer, watcher or task.
    pub program: Address,
    /// Instruction data.
    pub data: Vec<u8>,
    /// Accounts in the order in which the program sees them.
    pub accounts: Vec<AccountMeta>,
    /// Compute units it may use.
    pub compute_budget: u64,
}

impl Callback {
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), Error> {
        if self.data.len() as u64 > limits.max_callback_data_len {
            return Err(Error::invalid("data", format!("{} bytes", self.data.len()), format!("at most {} bytes", limits.max_callback_data_len)));
        }
        if self.accounts.len() as u64 > limits.max_callback_accounts {
            return Err(Error::invalid("accounts", format!("{} accounts", self.accounts.len()), format!("at most {}", limits.max_callback_accounts)));
        }
        // A task with more than a whole slot has would never start.
        check_budget(self.compute_budget, limits.max_compute_budget.min(limits.slot_compute_limit))
    }
}

pub(crate) fn check_budget(budget: u64, max: u64) -> Result<(), Error> {
    if (1..=max).contains(&budget) { Ok(()) } else { Err(Error::invalid("computeBudget", budget, format!("in [1, {max}]"))) }
}
