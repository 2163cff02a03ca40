//! Everything that names Agave's types.
//!
//! - [`environment`]: the features, and the environment with our syscalls registered
//! - [`loader`]: ELF files to compiled programs
//! - [`sysvars`]: Clock, Rent and the others, per slot
//! - [`accounts`]: accounts in both forms, and the accounts that stand for programs
//! - [`execute`]: one invocation, by the executor that was chosen, in a [`session`] of the thread that runs it
//! - [`entrypoint`]: the loader, which is what runs programs in a CPI too; [`lean`]: its fast path, and [`memory`], which that one uses
//! - [`host`]: programs that are functions of the host
//! - [`syscalls`]: what programs call, and [`frame`], through which a syscall finds its invocation

mod accounts;
mod entrypoint;
mod environment;
mod execute;
mod frame;
mod host;
mod lean;
mod loader;
mod memory;
mod session;
mod syscalls;
mod sysvars;

pub(crate) use accounts::{builtin_accounts, host_program_accounts, host_program_hash, invocable_builtins, is_reserved, program_accounts};
pub(crate) use host::NoHost;
pub use host::{AccountChange, AccountView, CpiRequest, HostPrograms, Invocation, Stopped};
pub use loader::LoadError;
pub(crate) use session::Session;
pub(crate) use sysvars::SlotEnvironment;

use crate::Address;
use environment::Environment;
use loader::Program;
use parking_lot::Mutex;
use solana_program_runtime::{program_cache_entry::ProgramCacheEntry, solana_sbpf::program::BuiltinFunctionDefinition};
use solana_pubkey::Pubkey;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use sysvars::Sysvars;

/// Which code runs programs. Every result, compute unit, log line and account byte is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Executor {
    /// Ours, several times as fast. What it cannot do the same way it leaves to the other.
    #[default]
    Lean,
    /// Agave's own, to compare with.
    Stock,
}

/// The virtual machine's side: one environment, and the programs that were compiled for it.
pub(crate) struct Runtime {
    executor: Executor,
    /// Whether anybody wants to see what is logged.
    logs: bool,
    environment: Environment,
    sysvars: Sysvars,
    programs: HashMap<Pubkey, Arc<ProgramCacheEntry>>,
    /// Those that are functions of the host.
    host_programs: HashSet<Address>,
    /// As many as there ever were sessions at the same time.
    spare: Mutex<Vec<session::Own>>,
}

impl Runtime {
    pub fn new(executor: Executor, logs: bool) -> Self {
        Runtime {
            executor,
            logs,
            environment: Environment::new(),
            sysvars: Sysvars::new(),
            programs: environment::builtins(),
            host_programs: HashSet::new(),
            spare: Mutex::default(),
        }
    }

    /// Checks, verifies and compiles a program.
    pub fn load(&self, elf: &[u8]) -> Result<Program, LoadError> {
        loader::load(elf, &self.environment)
    }

    pub fn insert(&mut self, address: Address, program: Program) {
        self.host_programs.remove(&address);
        self.put(address, program.entry);
    }

    pub fn insert_host_program(&mut self, address: Address) {
        self.host_programs.insert(address);
        self.put(address, Arc::new(ProgramCacheEntry::new_builtin(0, 0, host::Entrypoint::register)));
    }

    fn put(&mut self, address: Address, entry: Arc<ProgramCacheEntry>) {
        self.programs.insert(accounts::pubkey(&address), entry);
        self.spare.get_mut().clear();
    }

    /// Whether a program is a function of the host.
    pub fn is_host_program(&self, address: &Address) -> bool {
        !self.host_programs.is_empty() && self.host_programs.contains(address)
    }

    pub fn remove(&mut self, address: &Address) {
        self.host_programs.remove(address);
        self.programs.remove(&accounts::pubkey(address));
        self.spare.get_mut().clear();
    }

    pub fn slot_environment(&self, slot: u64, unix_timestamp: i64) -> SlotEnvironment {
        self.sysvars.at(slot, unix_timestamp)
    }

    pub fn testing_panic_in_syscall(&self, name: &str) {
        syscalls::panic_in_next(name);
    }
}
