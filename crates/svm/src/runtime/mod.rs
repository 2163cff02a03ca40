//! Everything that names Agave's types.
//!
//! - [`environment`]: the features, and the environment with our syscalls registered
//! - [`loader`]: ELF files to compiled programs
//! - [`sysvars`]: Clock, Rent and the others, per slot
//! - [`accounts`]: accounts in both forms, and the accounts that stand for programs
//! - [`execute`]: one invocation
//! - [`syscalls`]: what programs call, and [`frame`], through which a syscall finds its invocation

mod accounts;
mod environment;
mod execute;
mod frame;
mod loader;
mod syscalls;
mod sysvars;

pub(crate) use accounts::{builtin_accounts, invocable_builtins, is_reserved, program_accounts};
pub use loader::LoadError;
pub(crate) use sysvars::SlotEnvironment;

use crate::Address;
use environment::Environment;
use loader::Program;
use solana_program_runtime::{loaded_programs::ProgramCacheForTxBatch, program_cache_entry::ProgramCacheEntry};
use solana_pubkey::Pubkey;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use sysvars::Sysvars;

/// The virtual machine's side: one environment, and the programs that were compiled for it.
pub(crate) struct Runtime {
    environment: Environment,
    sysvars: Sysvars,
    programs: HashMap<Pubkey, Arc<ProgramCacheEntry>>,
    /// Caches in the form that an invocation borrows mutably; as many as invocations ever ran at the same time.
    caches: Mutex<Vec<ProgramCacheForTxBatch>>,
}

impl Runtime {
    pub fn new() -> Self {
        Runtime { environment: Environment::new(), sysvars: Sysvars::new(), programs: environment::builtins(), caches: Mutex::default() }
    }

    /// Checks, verifies and compiles a program.
    pub fn load(&self, elf: &[u8]) -> Result<Program, LoadError> {
        loader::load(elf, &self.environment)
    }

    pub fn insert(&mut self, address: Address, program: Program) {
        self.programs.insert(accounts::pubkey(&address), program.entry);
        self.caches.get_mut().expect("no invocation panicked with the lock").clear();
    }

    pub fn remove(&mut self, address: &Address) {
        self.programs.remove(&accounts::pubkey(address));
        self.caches.get_mut().expect("no invocation panicked with the lock").clear();
    }

    pub fn slot_environment(&self, slot: u64, unix_timestamp: i64) -> SlotEnvironment {
        self.sysvars.at(slot, unix_timestamp)
    }

    pub fn testing_panic_in_syscall(&self, name: &str) {
        syscalls::panic_in_next(name);
    }

    fn with_cache<T>(&self, run: impl FnOnce(&mut ProgramCacheForTxBatch) -> T) -> T {
        let spare = self.caches.lock().expect("nothing panics with this lock").pop();
        let mut cache = spare.unwrap_or_else(|| {
            let mut cache = ProgramCacheForTxBatch::new(0);
            for (key, entry) in &self.programs {
                cache.replenish(*key, entry.clone());
            }
            cache
        });
        let result = run(&mut cache);
        // A program can have made a loader deploy something, which is no business of the next invocation.
        cache.drain_modified_entries();
        self.caches.lock().expect("nothing panics with this lock").push(cache);
        result
    }
}
