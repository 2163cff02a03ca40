//! Runs the callbacks of an [`Engine`] in the Solana virtual machine.
//!
//! An [`Svm`] is an engine, the programs it may run, and the threads that run them. Everything that knows Agave's types is in
//! the private module `runtime`: that interface changes with every release, and nothing else here should have to.

mod parallel;
mod runtime;

pub use async_bpf_engine::*;
#[doc(hidden)]
pub use parallel::{Moment, Observer};
pub use runtime::{AccountChange, AccountView, CpiRequest, Executor, HostPrograms, Invocation, LoadError, Stopped};

use parallel::{Run, View, Window, Workers};
use runtime::{NoHost, Runtime, SlotEnvironment};

/// What an [`Svm`] is created with.
#[derive(Clone, Debug)]
pub struct SvmConfig {
    /// The engine.
    pub engine: Config,
    /// Threads that run callbacks; with 1, the calling thread runs them itself. Results do not depend on it.
    pub workers: usize,
    /// What runs programs. Results do not depend on it.
    pub executor: Executor,
    /// Whether outcomes have what was logged. That costs up to a third of a small callback; failures say what went wrong without it.
    pub logs: bool,
}

impl Default for SvmConfig {
    fn default() -> Self {
        SvmConfig { engine: Config::default(), workers: 1, executor: Executor::default(), logs: true }
    }
}

/// The most worker threads.
pub const MAX_WORKERS: usize = 256;

/// An engine whose programs are real.
pub struct Svm {
    engine: Engine,
    runtime: Runtime,
    /// Sysvars of the current slot.
    slot: SlotEnvironment,
    workers: Workers,
    window: Window,
    /// Of the slot that is under way, unless it has just begun.
    progress: Option<Progress>,
    /// For tests.
    observer: Option<Observer>,
}

/// Why a program was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddProgramError {
    /// The file is not a program that can run here.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl Svm {
    /// An engine with the built-in programs and sysvars of a new cluster.
    pub fn new(config: SvmConfig) -> Result<Self, Error> {
        if config.workers == 0 || config.workers > MAX_WORKERS {
            return Err(Error::InvalidArgument {
                argument: "workers",
                value: config.workers.to_string(),
                expected: format!("in [1, {MAX_WORKERS}]"),
            });
        }
        let mut engine = Engine::new(config.engine)?;
        let runtime = Runtime::new(config.executor, config.logs);
        for (address, account) in runtime::builtin_accounts() {
            engine.set_account(address, Some(account))?;
        }
        for (address, code) in runtime::invocable_builtins() {
            engine.add_program(address, code, Vec::new())?;
        }
        engine.seal_genesis();
        let slot = runtime.slot_environment(engine.slot(), engine.unix_timestamp());
        let workers = Workers::new(config.workers);
        Ok(Svm { engine, runtime, slot, workers, window: Window::default(), progress: None, observer: None })
    }

    /// The engine, to look at.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine, for everything that does not run a program.
    pub fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// Verifies and compiles a program, and puts its accounts in place as the upgradeable loader would, without an upgrade authority.
    pub fn add_program(&mut self, address: Address, elf: &[u8]) -> Result<(), AddProgramError> {
        if runtime::is_reserved(&address) {
            return Err(reserved(address).into());
        }
        let program = self.runtime.load(elf)?;
        self.engine.add_program(address, program.code_hash(), runtime::program_accounts(address, elf))?;
        self.runtime.insert(address, program);
        Ok(())
    }

    /// Puts a program in place that is a function of the host, or replaces it. `version` says which function it is, as the contents of a
    /// file do: engines are only equal when it is.
    ///
    /// Such programs run at their turn, on the thread that has the host: see [`Svm::process_slot_in`].
    pub fn add_host_program(&mut self, address: Address, version: &str) -> Result<(), Error> {
        if runtime::is_reserved(&address) {
            return Err(reserved(address));
        }
        let accounts = runtime::host_program_accounts(address, version)?;
        if self.engine.is_program(&address) {
            self.engine.remove_program(address)?;
        }
        self.engine.add_program(address, runtime::host_program_hash(version), accounts)?;
        self.runtime.insert_host_program(address);
        Ok(())
    }

    /// Removes a program and its accounts. What it had armed stays, and fails with UNKNOWN_PROGRAM when it is due.
    pub fn remove_program(&mut self, address: Address) -> Result<(), Error> {
        if runtime::is_reserved(&address) {
            return Err(reserved(address));
        }
        self.engine.remove_program(address)?;
        self.runtime.remove(&address);
        Ok(())
    }

    /// Sysvars are made when somebody needs them: most slots run nothing.
    fn enter_slot(&mut self) {
        let (slot, time) = (self.engine.slot(), self.engine.unix_timestamp());
        if !self.slot.is_of(slot, time) {
            self.slot = self.runtime.slot_environment(slot, time);
        }
    }

    /// An account as programs see it, sysvars included.
    pub fn account(&mut self, address: &Address) -> Option<Account> {
        self.enter_slot();
        self.slot.sysvar_account(address).or_else(|| self.engine.account(address).cloned())
    }

    /// Replaces an account. Sysvars and built-in programs cannot be replaced.
    pub fn set_account(&mut self, address: Address, account: Option<Account>) -> Result<(), Error> {
        if runtime::is_reserved(&address) {
            return Err(reserved(address));
        }
        self.engine.set_account(address, account)
    }

    /// Hands in account states for the next slot.
    pub fn update_accounts(&mut self, updates: Vec<AccountUpdate>) -> Result<(), Error> {
        check_reserved(&updates)?;
        self.engine.update_accounts(updates)
    }

    /// Processes one slot. Programs that are functions of the host fail.
    pub fn process_slot(&mut self, input: SlotInput) -> Result<SlotReport, Error> {
        self.process_slot_in(input, &NoHost)
    }

    /// Processes one slot on the thread of the host.
    pub fn process_slot_in(&mut self, input: SlotInput, host: &dyn HostPrograms) -> Result<SlotReport, Error> {
        self.begin_slot(input)?;
        Ok(self.go_on(Some(host)).expect("the host is here"))
    }

    /// Begins a slot, which [`Svm::continue_slot`] processes: on any thread, while that of the host does something else. What the host does
    /// from now on counts for the next one.
    pub fn begin_slot(&mut self, input: SlotInput) -> Result<(), Error> {
        self.engine.begin_slot(input)?;
        self.window.begin_slot();
        Ok(())
    }

    /// Processes the slot that was begun. `None` when it has come to where [`Svm::run_in_host`] has something to do first.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn continue_slot(&mut self) -> Option<SlotReport> {
        self.go_on(None)
    }

    /// Does no more of the slot than what takes the host, and has to come next.
    pub fn run_in_host(&mut self, host: &dyn HostPrograms) {
        self.enter_slot();
        let run = Run { runtime: &self.runtime, slot: &self.slot, observer: self.observer.as_ref() };
        self.window.process_in_host(&mut self.engine, run, host);
    }

    fn go_on(&mut self, host: Option<&dyn HostPrograms>) -> Option<SlotReport> {
        loop {
            match self.progress.take().unwrap_or_else(|| self.engine.fire(&self.workers)) {
                Progress::Report(report) => return Some(report),
                Progress::Batch => {
                    self.enter_slot();
                    let run = Run { runtime: &self.runtime, slot: &self.slot, observer: self.observer.as_ref() };
                    let done = self.window.process(&mut self.engine, &self.workers, run, host);
                    self.progress = Some(if done { self.engine.advance() } else { Progress::Batch });
                    if !done {
                        return None;
                    }
                }
            }
        }
    }

    /// Runs one instruction now, as the host. Programs that are functions of the host fail.
    pub fn invoke(&mut self, callback: Callback) -> Result<Outcome, Error> {
        self.invoke_in(callback, &NoHost)
    }

    /// Runs one instruction now, on the thread of the host.
    pub fn invoke_in(&mut self, callback: Callback, host: &dyn HostPrograms) -> Result<Outcome, Error> {
        let task = self.engine.begin_invoke(callback)?;
        self.enter_slot();
        let stage = self.engine.invoke_stage(&task);
        let execution = self.runtime.session().execute(View::of(&self.engine), &self.slot, &task, stage, Some(host));
        Ok(self.engine.commit_invoke(&task, execution.expect("the host is here")))
    }

    /// Runs tasks of the engine's batch, one after the other, and commits nothing: to measure what that takes by itself.
    #[doc(hidden)]
    pub fn testing_execute(&mut self, indices: impl IntoIterator<Item = usize>, mut then: impl FnMut(Execution)) {
        self.enter_slot();
        let mut session = self.runtime.session();
        for index in indices {
            let task = self.engine.batch().task(index);
            session.execute(View::of(&self.engine), &self.slot, task, self.engine.stage(index), None).map(&mut then);
        }
    }

    /// Makes the next call of a syscall panic inside the runtime, to test that nobody notices but the caller.
    #[doc(hidden)]
    pub fn testing_panic_in_syscall(&self, name: &str) {
        self.runtime.testing_panic_in_syscall(name);
    }

    /// Tells an observer of moments in the lives of executions, on the threads on which they happen.
    #[doc(hidden)]
    pub fn testing_observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }
}

/// Whether [`Svm::update_accounts`] takes these, for who has no engine at hand but its rules.
pub fn check_updates(rules: &AccountRules, updates: &[AccountUpdate]) -> Result<(), Error> {
    check_reserved(updates)?;
    updates.iter().try_for_each(|update| rules.check(&update.address, Some(&update.account)))
}

fn check_reserved(updates: &[AccountUpdate]) -> Result<(), Error> {
    updates.iter().find(|update| runtime::is_reserved(&update.address)).map_or(Ok(()), |update| Err(reserved(update.address)))
}

fn reserved(address: Address) -> Error {
    Error::InvalidArgument {
        argument: "address",
        value: address.to_string(),
        expected: "neither a sysvar nor a built-in program; time is set with processSlot(slot, { unixTimestamp })".into(),
    }
}
