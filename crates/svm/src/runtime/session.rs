//! What a thread that runs programs has for itself.
//!
//! Whatever two threads count references of at every invocation would travel between their cores all the time.

use super::{
    Runtime,
    accounts::{address, to_shared},
};
use crate::{Account, Engine};
use hashbrown::HashMap;
use solana_account::AccountSharedData;
use solana_program_runtime::{
    invoke_context::Executable,
    loaded_programs::ProgramCacheForTxBatch,
    program_cache_entry::{ProgramCacheEntry, ProgramCacheEntryType},
};
use solana_pubkey::Pubkey;
use std::sync::Arc;

/// Places in the trace of instructions of an invocation, at first. The runtime makes four lists as long as the trace may become, together 100
/// bytes a place; of what is small, allocators have many at hand.
const SHORT_TRACE: usize = 8;

/// One after the other, any number of invocations.
pub(crate) struct Session<'r> {
    pub(super) runtime: &'r Runtime,
    pub(super) own: Own,
}

#[derive(Default)]
pub(super) struct Own {
    /// In the form that an invocation borrows mutably.
    pub cache: ProgramCacheForTxBatch,
    pub programs: Programs,
}

/// Programs that have run.
#[derive(Default)]
pub(super) struct Programs(HashMap<Pubkey, Program>);

pub(super) struct Program {
    entry: Option<Arc<ProgramCacheEntry>>,
    /// A copy of its account.
    pub account: AccountSharedData,
    /// Enough for what it has done so far.
    pub trace_len: usize,
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

impl Programs {
    /// What is known of a program: nothing but adding and removing programs changes it, after which there are new sessions.
    pub fn get(&mut self, key: &Pubkey, runtime: &Runtime, engine: &Engine) -> &mut Program {
        self.0.entry(*key).or_insert_with(|| {
            let copy = |account: &Account| to_shared(&Account { data: Arc::new(account.data.to_vec()), ..account.clone() });
            Program {
                entry: runtime.programs.get(key).cloned(),
                account: engine.account(&address(key)).map(copy).unwrap_or_default(),
                trace_len: SHORT_TRACE,
            }
        })
    }
}

impl Program {
    /// What was compiled; a program that is part of the runtime was not.
    pub fn executable(&self) -> Option<&Executable> {
        match &self.entry.as_ref()?.program {
            ProgramCacheEntryType::Loaded(executable) => Some(executable),
            _ => None,
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.runtime.spare.lock().push(std::mem::take(&mut self.own));
    }
}
