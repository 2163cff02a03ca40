//! Ours, through its public interface.

use crate::{Contender, Ending, Reason};
use async_bpf_svm::{Account, Address, Callback, Executor, SlotInput, SlotReport, Svm, SvmConfig};

/// Every way in which ours runs programs.
pub fn variants() -> Vec<Box<dyn Contender>> {
    let with = |name, executor, logs| -> Box<dyn Contender> {
        let config = SvmConfig { executor, logs, ..SvmConfig::default() };
        Box::new(Ours { name, logs, svm: Svm::new(config).expect("the default configuration is valid") })
    };
    vec![
        with("the lean executor", Executor::Lean, true),
        with("the lean executor without logs", Executor::Lean, false),
        with("the stock executor", Executor::Stock, true),
    ]
}

struct Ours {
    name: &'static str,
    logs: bool,
    svm: Svm,
}

impl Contender for Ours {
    fn name(&self) -> &'static str {
        self.name
    }

    fn logs(&self) -> bool {
        self.logs
    }

    fn add_program(&mut self, address: Address, elf: &[u8]) {
        if self.svm.account(&address).is_some() {
            self.svm.remove_program(address).expect("only programs are replaced");
        }
        self.svm.add_program(address, elf).unwrap_or_else(|error| panic!("{} does not load {address}: {error}", self.name));
    }

    fn set_account(&mut self, address: Address, account: Option<Account>) {
        self.svm.set_account(address, account).expect("an account that may be set");
    }

    fn account(&mut self, address: &Address) -> Option<Account> {
        self.svm.account(address)
    }

    fn invoke(&mut self, callback: &Callback) -> Ending {
        let outcome = self.svm.invoke(callback.clone()).expect("a valid callback");
        let failure = outcome.failure.map(|failure| Reason { name: failure.reason, custom: failure.custom, message: failure.message });
        Ending { failure, units: outcome.units_consumed, logs: outcome.logs, return_data: outcome.return_data }
    }

    fn enter(&mut self, slot: u64, _: &Account) -> Option<SlotReport> {
        Some(self.svm.process_slot(SlotInput { slot, unix_timestamp: None }).expect("a later slot"))
    }
}
