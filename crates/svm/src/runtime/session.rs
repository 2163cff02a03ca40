//! What a thread that runs programs has for itself.
//!
//! Whatever two threads count references of at every invocation would travel between their cores all the time.

use super::{
    Runtime,
    accounts::{address, to_shared},
};
use crate::{Account, Engine};
use solana_account::AccountSharedData;
use solana_program_runtime::loaded_programs::ProgramCacheForTxBatch;
use solana_pubkey::Pubkey;
use std::{collections::HashMap, sync::Arc};

/// One after the other, any number of invocations.
pub(crate) struct Session<'r> {
    pub(super) runtime: &'r Runtime,
    pub(super) own: Own,
}

#[derive(Default)]
pub(super) struct Own {
    /// In the form that an invocation borrows mutably.
    pub cache: ProgramCacheForTxBatch,
    /// Copies of the accounts of programs that have run.
    programs: HashMap<Pubkey, AccountSharedData>,
}

impl Runtime {
    pub fn session(&self) -> Session<'_> {
        let spare = self.spare.lock().pop();
        let own = spare.unwrap_or_else(|| {
            let mut own = Own::default();
            for (key, entry) in &self.programs {
                own.cache.replenish(*key, entry.clone());
            }
            own
        });
        Session { runtime: self, own }
    }
}

impl Own {
    /// The account of a program: nothing but adding and removing programs changes it, after which there are new sessions.
    pub fn program(&mut self, key: &Pubkey, engine: &Engine) -> AccountSharedData {
        let copy = |account: &Account| to_shared(&Account { data: Arc::new(account.data.to_vec()), ..account.clone() });
        self.programs.entry(*key).or_insert_with(|| engine.account(&address(key)).map(copy).unwrap_or_default()).clone()
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.runtime.spare.lock().push(std::mem::take(&mut self.own));
    }
}
