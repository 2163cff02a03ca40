//! The features of the runtime, and the environment in which programs are compiled and run.

use super::{entrypoint::Entrypoint, syscalls};
use solana_program_runtime::{
    execution_budget::{SVMTransactionExecutionBudget, SVMTransactionExecutionCost},
    loaded_programs::{ProgramRuntimeEnvironment, ProgramRuntimeEnvironments},
    program_cache_entry::ProgramCacheEntry,
    solana_sbpf::program::{BuiltinFunctionDefinition, BuiltinProgram},
};
use solana_pubkey::Pubkey;
use solana_sdk_ids::{bpf_loader, bpf_loader_upgradeable, system_program};
use solana_svm_feature_set::SVMFeatureSet;
use solana_syscalls::create_program_runtime_environment;
use std::{collections::HashMap, sync::Arc};

pub(crate) struct Environment {
    pub features: SVMFeatureSet,
    pub budget: SVMTransactionExecutionBudget,
    pub cost: SVMTransactionExecutionCost,
    pub environments: ProgramRuntimeEnvironments,
}

impl Environment {
    pub fn new() -> Self {
        // Everything that this release of Agave has, but programs of every version may be loaded and run.
        let features = SVMFeatureSet { disable_sbpf_v0_execution: false, disable_sbpf_v0_v1_v2_deployment: false, ..SVMFeatureSet::all_enabled() };
        let budget = SVMTransactionExecutionBudget::new_with_defaults(features.raise_cpi_nesting_limit_to_8);
        let environment = with_async_syscalls(&features, &budget, false);
        Environment {
            features,
            budget,
            cost: SVMTransactionExecutionCost::default(),
            environments: ProgramRuntimeEnvironments::new(environment.clone(), environment),
        }
    }

    pub fn loader(&self) -> &ProgramRuntimeEnvironment {
        self.environments.get_env_for_execution()
    }

    /// The loader of a cluster's deployment check, which refuses what the one for execution takes, and says what it is.
    pub fn strict_loader(&self) -> ProgramRuntimeEnvironment {
        with_async_syscalls(&self.features, &self.budget, true)
    }
}

/// The stock environment cannot be added to once it is made, so its configuration and syscalls are copied into a new one.
/// This comes before any program is loaded: calls are resolved when a program is compiled.
fn with_async_syscalls(features: &SVMFeatureSet, budget: &SVMTransactionExecutionBudget, strict: bool) -> ProgramRuntimeEnvironment {
    let stock = create_program_runtime_environment(features, budget, strict, false).expect("the stock syscalls register");
    let mut loader = BuiltinProgram::new_loader(stock.get_config().clone());
    for (_, (name, function)) in stock.get_function_registry().iter() {
        let name = std::str::from_utf8(name).expect("syscall names are ASCII");
        loader.register_function(name, function).expect("a name of the stock registry is there once");
    }
    for (name, register) in syscalls::ALL {
        register(&mut loader, name).expect("our names do not collide with the stock ones");
    }
    ProgramRuntimeEnvironment::from(loader)
}

/// The programs that are part of the runtime: the loaders, which run other programs, and the system program.
pub(crate) fn builtins() -> HashMap<Pubkey, Arc<ProgramCacheEntry>> {
    let loader = Entrypoint::register;
    let system = solana_system_program::system_processor::Entrypoint::register;
    [
        (bpf_loader::ID, ProgramCacheEntry::new_builtin(0, 0, loader)),
        (bpf_loader_upgradeable::ID, ProgramCacheEntry::new_builtin(0, 0, loader)),
        (system_program::ID, ProgramCacheEntry::new_builtin(0, 0, system)),
    ]
    .map(|(key, entry)| (key, Arc::new(entry)))
    .into()
}
