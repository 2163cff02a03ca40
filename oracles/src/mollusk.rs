//! Mollusk: the runtime and nothing around it.

use crate::{Ending, Reason, address, from_theirs, instruction, pubkey, to_theirs};
use async_bpf_svm::{Account, Address, Callback, SlotReport};
use mollusk_svm::{
    Mollusk,
    program::{ProgramCache, create_program_account_pair_loader_v3},
};
use solana_account::Account as TheirAccount;
use solana_pubkey::Pubkey;
use solana_sdk_ids::{bpf_loader_upgradeable, sysvar};
use solana_svm_log_collector::LogCollector;
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

pub(crate) struct Contender {
    mollusk: Mollusk,
    accounts: BTreeMap<Pubkey, TheirAccount>,
}

impl Contender {
    pub fn new(provided: &[(Address, Account)]) -> Self {
        let mut mollusk = Mollusk::default();
        mollusk.feature_set = crate::litesvm::features().runtime_features();
        mollusk.program_cache = ProgramCache::new(&mollusk.feature_set, &mollusk.compute_budget, false);
        let accounts = provided.iter().map(|(address, account)| (pubkey(address), to_theirs(account))).collect();
        Contender { mollusk, accounts }
    }
}

impl crate::Contender for Contender {
    fn name(&self) -> &'static str {
        "Mollusk"
    }

    fn add_program(&mut self, address: Address, elf: &[u8]) {
        let key = pubkey(&address);
        self.mollusk.add_program_with_loader_and_elf(&key, &bpf_loader_upgradeable::ID, elf);
        let (program, contents) = create_program_account_pair_loader_v3(&key, elf);
        self.accounts.insert(key, program);
        self.accounts.insert(Pubkey::find_program_address(&[key.as_ref()], &bpf_loader_upgradeable::ID).0, contents);
    }

    fn set_account(&mut self, address: Address, account: Option<Account>) {
        match account {
            Some(account) => self.accounts.insert(pubkey(&address), to_theirs(&account)),
            None => self.accounts.remove(&pubkey(&address)),
        };
    }

    fn account(&mut self, address: &Address) -> Option<Account> {
        self.accounts.get(&pubkey(address)).cloned().and_then(from_theirs)
    }

    fn invoke(&mut self, callback: &Callback) -> Ending {
        let instruction = instruction(callback);
        // An account that is given replaces the sysvar that Mollusk would have.
        let mut keys: Vec<_> = crate::SYSVARS.into_iter().collect();
        keys.extend(instruction.accounts.iter().map(|meta| meta.pubkey));
        keys.push(instruction.program_id);
        keys.sort_unstable();
        keys.dedup();
        let accounts: Vec<_> = keys.into_iter().map(|key| (key, self.accounts.get(&key).cloned().unwrap_or_default())).collect();

        self.mollusk.compute_budget.compute_unit_limit = callback.compute_budget;
        let logs = Rc::new(RefCell::new(LogCollector::default()));
        self.mollusk.logger = Some(logs.clone());
        let result = self.mollusk.process_instruction(&instruction, &accounts);
        self.mollusk.logger = None;

        let failure = result.raw_result.as_ref().err().map(Reason::of);
        if failure.is_none() {
            for (key, account) in result.resulting_accounts {
                match account.lamports {
                    0 => self.accounts.remove(&key),
                    _ => self.accounts.insert(key, account),
                };
            }
        }
        let return_data = (failure.is_none() && !result.return_data.is_empty()).then_some(result.return_data);
        let logs = std::mem::take(&mut logs.borrow_mut().messages);
        Ending { failure, units: result.compute_units_consumed, logs, return_data }
    }

    fn enter(&mut self, _: u64, clock: &Account) -> Option<SlotReport> {
        self.set_account(address(&sysvar::clock::ID), Some(clock.clone()));
        None
    }

    fn checks_rent(&self) -> bool {
        false
    }
}
