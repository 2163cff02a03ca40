//! The executor and its peers behind one interface, and an [`Arena`] in which all of them run the same instructions and must agree.
//!
//! Peers are made equal where they can be: features, sysvars, budgets, the accounts of programs. Where they cannot, the contender says
//! so, and the table in `docs/testing.md` too.

mod litesvm;
mod mollusk;
mod ours;

use async_bpf_svm::{Account, Address, Callback, SlotReport, Svm, SvmConfig};
use solana_instruction::{AccountMeta, Instruction};
use solana_instruction_error::InstructionError;
use solana_pubkey::Pubkey;
use solana_sdk_ids::sysvar;
use std::collections::HashSet;

pub use crate::litesvm::{SplProgram, spl_programs};
pub use crate::ours::variants;

/// Sysvars that all contenders have, with the values of ours.
const SYSVARS: [Pubkey; 7] = [
    sysvar::rent::ID,
    sysvar::clock::ID,
    sysvar::epoch_schedule::ID,
    sysvar::epoch_rewards::ID,
    sysvar::slot_hashes::ID,
    sysvar::stake_history::ID,
    sysvar::last_restart_slot::ID,
];

/// Built-in programs that ours has. The peers have more.
const BUILTINS: [Pubkey; 3] = [solana_sdk_ids::system_program::ID, solana_sdk_ids::bpf_loader::ID, solana_sdk_ids::bpf_loader_upgradeable::ID];

/// The result of a transaction that leaves an account with too little.
pub const RENT: &str = "InsufficientFundsForRent";

/// Why an invocation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The name of the error.
    pub name: String,
    /// The program's own number.
    pub custom: Option<u32>,
    /// In words. Ours may add a detail from the log.
    pub message: String,
}

impl Reason {
    fn of(error: &InstructionError) -> Self {
        let debug = format!("{error:?}");
        let custom = match error {
            InstructionError::Custom(number) => Some(*number),
            _ => None,
        };
        Reason { name: debug.split(['(', ' ']).next().unwrap_or_default().into(), custom, message: error.to_string() }
    }
}

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why it failed.
    pub failure: Option<Reason>,
    /// Compute units used.
    pub units: u64,
    /// What was logged.
    pub logs: Vec<String>,
    /// What was returned. A failure returns nothing here; peers keep what was set before it.
    pub return_data: Option<Vec<u8>>,
}

/// Something that runs programs.
pub trait Contender {
    /// For messages.
    fn name(&self) -> &'static str;
    /// Adds a program, or replaces it.
    fn add_program(&mut self, address: Address, elf: &[u8]);
    /// Replaces an account.
    fn set_account(&mut self, address: Address, account: Option<Account>);
    /// An account; `None` when it has no lamports.
    fn account(&mut self, address: &Address) -> Option<Account>;
    /// Runs an instruction, and keeps what it changed.
    fn invoke(&mut self, callback: &Callback) -> Ending;
    /// Enters a slot, whose clock is the given account. Ours runs what is due, and reports.
    fn enter(&mut self, slot: u64, clock: &Account) -> Option<SlotReport>;
    /// Whether it says what was logged.
    fn logs(&self) -> bool {
        true
    }
    /// Whether accounts are checked for rent exemption after an invocation.
    fn checks_rent(&self) -> bool {
        true
    }
}

/// All of them, in step. The first is the one that the others are compared with.
pub struct Arena {
    contenders: Vec<Box<dyn Contender>>,
    programs: HashSet<Address>,
}

impl Arena {
    /// Ours and the peers.
    pub fn new() -> Self {
        let mut svm = Svm::new(SvmConfig::default()).expect("the default configuration is valid");
        let provided = SYSVARS.iter().chain(&BUILTINS).map(address);
        let provided: Vec<_> = provided.map(|address| (address, svm.account(&address).expect("an account that is always there"))).collect();
        let mut arena = Self::of_ours();
        arena.contenders.push(Box::new(mollusk::Contender::new(&provided)));
        arena.contenders.push(Box::new(litesvm::Contender::new(&provided)));
        arena
    }

    /// Only ours: for programs that call what the peers do not have.
    pub fn of_ours() -> Self {
        Arena { contenders: ours::variants(), programs: HashSet::new() }
    }

    /// How many take part.
    pub fn contenders(&self) -> usize {
        self.contenders.len()
    }

    /// Adds a program everywhere, or replaces it.
    pub fn add_program(&mut self, address: Address, elf: &[u8]) {
        for contender in &mut self.contenders {
            contender.add_program(address, elf);
        }
        self.programs.insert(address);
    }

    /// Replaces an account everywhere.
    pub fn set_account(&mut self, address: Address, account: Option<Account>) {
        for contender in &mut self.contenders {
            contender.set_account(address, account.clone());
        }
    }

    /// An account, which is the same everywhere.
    pub fn account(&mut self, address: &Address) -> Option<Account> {
        self.contenders[0].account(address)
    }

    /// Enters a slot.
    pub fn enter(&mut self, slot: u64) -> SlotReport {
        let [first, others @ ..] = &mut self.contenders[..] else { unreachable!("there is one of ours") };
        let expected = first.enter(slot, &Account::default()).expect("ours reports");
        let clock = first.account(&address(&sysvar::clock::ID)).expect("a sysvar");
        for other in others {
            if let Some(report) = other.enter(slot, &clock) {
                let mut expected = expected.clone();
                if !other.logs() {
                    expected.outcomes.iter_mut().for_each(|outcome| outcome.logs.clear());
                }
                assert!(expected == report, "{} and {} differ in slot {slot}\n{expected:#?}\n{report:#?}", first.name(), other.name());
            }
        }
        expected
    }

    /// Runs an instruction everywhere, and panics where the endings or the accounts differ.
    pub fn invoke(&mut self, callback: &Callback) -> Ending {
        let mut callback = callback.clone();
        for meta in &mut callback.accounts {
            // Ours does not let a program write programs and sysvars; a transaction, only some of them.
            meta.writable &= !self.programs.contains(&meta.address) && !is_reserved(&meta.address);
        }
        let [first, others @ ..] = &mut self.contenders[..] else { unreachable!("there is one of ours") };
        let mut mentioned: Vec<_> = callback.accounts.iter().map(|meta| meta.address).collect();
        mentioned.sort_unstable();
        mentioned.dedup();
        let expected = first.invoke(&callback);
        let accounts: Vec<_> = mentioned.iter().map(|address| first.account(address)).collect();
        for other in others {
            let mut ending = other.invoke(&callback);
            if !other.logs() {
                ending.logs.clone_from(&expected.logs);
            }
            if !other.checks_rent() && expected.failure.as_ref().is_some_and(|failure| failure.name == RENT) {
                assert_eq!(ending.failure, None, "{} fails for another reason than rent", other.name());
                ending.failure = expected.failure.clone();
                ending.return_data = None;
                for (address, account) in mentioned.iter().zip(&accounts) {
                    other.set_account(*address, account.clone());
                }
            }
            let pair = format!("{} and {}", first.name(), other.name());
            assert!(agree(&expected, &ending), "{pair} end differently\n{}: {expected:#?}\n{}: {ending:#?}", first.name(), other.name());
            for (address, account) in mentioned.iter().zip(&accounts) {
                let theirs = other.account(address);
                assert!(*account == theirs, "{pair} leave {address} different\n{}", difference(account.as_ref(), theirs.as_ref()));
            }
        }
        expected
    }
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

fn agree(ours: &Ending, theirs: &Ending) -> bool {
    let reasons = match (&ours.failure, &theirs.failure) {
        (None, None) => true,
        (Some(ours), Some(theirs)) => {
            (&ours.name, ours.custom) == (&theirs.name, theirs.custom)
                // The message about rent is of ours alone.
                && (theirs.message.is_empty() || ours.message == theirs.message || ours.message.starts_with(&format!("{}: ", theirs.message)))
        }
        _ => false,
    };
    reasons && (ours.units, &ours.logs, &ours.return_data) == (theirs.units, &theirs.logs, &theirs.return_data)
}

/// What differs, without megabytes of data.
fn difference(ours: Option<&Account>, theirs: Option<&Account>) -> String {
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return format!("exists: {} and {}", ours.is_some(), theirs.is_some()) };
    let head = |account: &Account| format!("{} lamports, {} bytes, owner {}", account.lamports, account.data.len(), account.owner);
    let at = ours.data.iter().zip(theirs.data.iter()).position(|(ours, theirs)| ours != theirs);
    format!("{}, {}; data differs at {at:?}", head(ours), head(theirs))
}

fn is_reserved(address: &Address) -> bool {
    let key = pubkey(address);
    SYSVARS.contains(&key) || BUILTINS.contains(&key)
}

fn pubkey(address: &Address) -> Pubkey {
    Pubkey::new_from_array(address.0)
}

fn address(key: &Pubkey) -> Address {
    Address(key.to_bytes())
}

fn instruction(callback: &Callback) -> Instruction {
    let metas =
        callback.accounts.iter().map(|meta| AccountMeta { pubkey: pubkey(&meta.address), is_signer: meta.signer, is_writable: meta.writable });
    Instruction { program_id: pubkey(&callback.program), accounts: metas.collect(), data: callback.data.clone() }
}

fn to_theirs(account: &Account) -> solana_account::Account {
    solana_account::Account {
        lamports: account.lamports,
        data: account.data.to_vec(),
        owner: pubkey(&account.owner),
        executable: account.executable,
        rent_epoch: u64::MAX,
    }
}

fn from_theirs(account: solana_account::Account) -> Option<Account> {
    (account.lamports > 0).then(|| Account {
        lamports: account.lamports,
        data: account.data.into(),
        owner: address(&account.owner),
        executable: account.executable,
    })
}
