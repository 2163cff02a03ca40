//! LiteSVM: transactions of one instruction.

use crate::{Ending, RENT, Reason, address, from_theirs, instruction, pubkey, to_theirs};
use agave_feature_set::{FeatureSet, disable_sbpf_v0_execution, disable_sbpf_v0_v1_v2_deployment, replace_spl_token_with_p_token};
use async_bpf_svm::{Account, Address, Callback, SlotReport};
use litesvm::LiteSVM;
use solana_account::ReadableAccount;
use solana_compute_budget::compute_budget::ComputeBudget;
use solana_message::{Message, VersionedMessage};
use solana_pubkey::Pubkey;
use solana_sdk_ids::{bpf_loader_upgradeable, native_loader, sysvar};
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_error::TransactionError;

/// Pays for transactions, and is no part of any instruction.
const PAYER: Address = Address(*b"the payer of every transaction..");

pub(crate) struct Contender {
    /// There but while its budget changes.
    svm: Option<LiteSVM>,
}

/// The features of ours: all, and programs of every version.
pub(crate) fn features() -> FeatureSet {
    let mut features = FeatureSet::all_enabled();
    features.deactivate(&disable_sbpf_v0_execution::ID);
    features.deactivate(&disable_sbpf_v0_v1_v2_deployment::ID);
    features
}

impl Contender {
    pub fn new(provided: &[(Address, Account)]) -> Self {
        let mut svm = LiteSVM::default()
            .with_feature_set(features())
            .with_builtins()
            .with_sigverify(false)
            .with_blockhash_check(false)
            .with_transaction_history(0);
        for (address, account) in provided {
            svm.set_account(pubkey(address), to_theirs(account)).expect("a valid account");
        }
        let payer = solana_account::Account { lamports: u64::MAX / 2, ..Default::default() };
        svm.set_account(pubkey(&PAYER), payer).expect("an ordinary account");
        Contender { svm: Some(svm) }
    }

    fn svm(&mut self) -> &mut LiteSVM {
        self.svm.as_mut().expect("it is there")
    }
}

impl crate::Contender for Contender {
    fn name(&self) -> &'static str {
        "LiteSVM"
    }

    fn add_program(&mut self, address: Address, elf: &[u8]) {
        let added = self.svm().add_program(pubkey(&address), elf);
        added.unwrap_or_else(|error| panic!("LiteSVM does not load {address}: {error}"));
    }

    fn set_account(&mut self, address: Address, account: Option<Account>) {
        let account = account.unwrap_or_default();
        self.svm().set_account(pubkey(&address), to_theirs(&account)).expect("an account that may be set");
    }

    fn account(&mut self, address: &Address) -> Option<Account> {
        self.svm().get_account(&pubkey(address)).and_then(from_theirs)
    }

    fn invoke(&mut self, callback: &Callback) -> Ending {
        let budget = ComputeBudget { compute_unit_limit: callback.compute_budget, ..ComputeBudget::new_with_defaults(true) };
        let mut svm = self.svm.take().expect("it is there").with_compute_budget(budget);
        let message = VersionedMessage::Legacy(Message::new(&[instruction(callback)], Some(&pubkey(&PAYER))));
        let signatures = vec![Default::default(); message.header().num_required_signatures.into()];
        let result = svm.send_transaction(VersionedTransaction { signatures, message });
        self.svm = Some(svm);

        let (failure, meta) = match result {
            Ok(meta) => (None, meta),
            Err(failed) => {
                let reason = match &failed.err {
                    TransactionError::InstructionError(0, error) => Reason::of(error),
                    // Ours says it in its own words.
                    TransactionError::InsufficientFundsForRent { .. } => Reason { name: RENT.into(), custom: None, message: String::new() },
                    error => panic!("LiteSVM refuses the transaction: {error:?}"),
                };
                (Some(reason), failed.meta)
            }
        };
        let return_data = (failure.is_none() && !meta.return_data.data.is_empty()).then_some(meta.return_data.data);
        Ending { failure, units: meta.compute_units_consumed, logs: meta.logs, return_data }
    }

    fn enter(&mut self, _: u64, clock: &Account) -> Option<SlotReport> {
        self.set_account(address(&sysvar::clock::ID), Some(clock.clone()));
        None
    }
}

/// A program of the Solana program library that LiteSVM comes with.
pub struct SplProgram {
    /// Where clusters have it.
    pub address: Address,
    /// The file.
    pub elf: Vec<u8>,
}

/// All of them. The token program is there twice: the old one, and the one that replaces it.
pub fn spl_programs() -> Vec<SplProgram> {
    let mut found: Vec<SplProgram> = Vec::new();
    let mut before = features();
    before.deactivate(&replace_spl_token_with_p_token::ID);
    for features in [before, features()] {
        let svm = LiteSVM::default().with_feature_set(features).with_builtins().with_sysvars().with_default_programs();
        let accounts = &svm.accounts_db().inner;
        for (key, account) in accounts.iter().filter(|(_, account)| account.executable() && !native_loader::check_id(account.owner())) {
            let elf = if bpf_loader_upgradeable::check_id(account.owner()) {
                // The file is in another account, behind a header of 45 bytes.
                let contents = Pubkey::find_program_address(&[key.as_ref()], &bpf_loader_upgradeable::ID).0;
                accounts[&contents].data()[45..].to_vec()
            } else {
                account.data().to_vec()
            };
            if !found.iter().any(|program| program.elf == elf) {
                found.push(SplProgram { address: address(key), elf });
            }
        }
    }
    found.sort_by_key(|program| (program.address, program.elf.len()));
    found
}
