//! The prebuilt programs, and how to write their instructions.

#![allow(dead_code, reason = "each test uses its part")]

use async_bpf_svm::*;
use std::{fs, path::Path, sync::Arc};

pub const COUNTER: Address = Address([1; 32]);
pub const CONFORMANCE: Address = Address([2; 32]);
/// The same program at another address.
pub const TWIN: Address = Address([3; 32]);
pub const FAULTY: Address = Address([4; 32]);
pub const CALLX: Address = Address([5; 32]);
/// Enough to be rent-exempt with a little data.
pub const RICH: u64 = 10_000_000;

pub fn elf(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../programs/prebuilt").join(name).with_extension("so");
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn svm_with(workers: usize, change: impl FnOnce(&mut Config)) -> Svm {
    let mut config = SvmConfig { workers, ..SvmConfig::default() };
    change(&mut config.engine);
    let mut svm = Svm::new(config).unwrap();
    for (address, name) in [(COUNTER, "counter"), (CONFORMANCE, "conformance"), (TWIN, "conformance"), (FAULTY, "faulty"), (CALLX, "callx")] {
        svm.add_program(address, &elf(name)).unwrap();
    }
    svm
}

pub fn svm() -> Svm {
    svm_with(1, |_| {})
}

pub fn slot(svm: &mut Svm, slot: u64) -> SlotReport {
    svm.process_slot(SlotInput { slot, unix_timestamp: None }).unwrap()
}

/// An account number n, of some program.
pub fn key(n: u8) -> Address {
    Address([n, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7])
}

pub fn set(svm: &mut Svm, address: Address, lamports: u64, data: &[u8], owner: Address) {
    svm.set_account(address, Some(Account { lamports, data: Arc::new(data.to_vec()), owner, executable: false })).unwrap();
}

pub fn writable(address: Address) -> AccountMeta {
    AccountMeta { address, signer: false, writable: true }
}

pub fn readonly(address: Address) -> AccountMeta {
    AccountMeta { address, signer: false, writable: false }
}

pub fn callback(program: Address, data: &[u8], accounts: &[AccountMeta]) -> Callback {
    Callback { program, data: data.to_vec(), accounts: accounts.to_vec(), compute_budget: 200_000 }
}

pub fn invoke(svm: &mut Svm, program: Address, data: &[u8], accounts: &[AccountMeta]) -> Outcome {
    svm.invoke(callback(program, data, accounts)).unwrap()
}

pub fn custom(outcome: &Outcome) -> Option<u32> {
    outcome.failure.as_ref().and_then(|failure| failure.custom)
}

pub fn reason(outcome: &Outcome) -> &str {
    outcome.failure.as_ref().map_or("", |failure| &failure.reason)
}

// ---- instructions of `conformance` -----------------------------------------------------------------------------------

/// A list of calls, as `programs/conformance/conformance.c` documents it.
#[derive(Clone)]
pub struct Script(pub Vec<u8>);

/// The value that record `k` of the same script gave.
pub fn value_of(k: u64) -> u64 {
    0xFFFF_FFFF_FFFF_FF00 + k
}

impl Script {
    pub fn new() -> Self {
        Script(vec![0])
    }

    pub fn flags(flags: u8) -> Self {
        Script(vec![flags])
    }

    pub fn op(mut self, opcode: u8) -> Self {
        self.0.push(opcode);
        self
    }

    pub fn n(mut self, number: u64) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    pub fn bytes(self, bytes: &[u8]) -> Self {
        let mut script = self.kind(1, bytes.len() as u64);
        script.0.extend(bytes);
        script
    }

    pub fn null(self, len: u64) -> Self {
        self.kind(0, len)
    }

    pub fn at(self, address: u64, len: u64) -> Self {
        self.kind(2, len).n(address)
    }

    pub fn scratch(self, len: u64) -> Self {
        self.kind(3, len)
    }

    fn kind(mut self, kind: u8, len: u64) -> Self {
        self.0.push(kind);
        self.n(len)
    }

    pub fn timer(self, slot: u64, data: &[u8], budget: u64) -> Self {
        self.op(1).n(slot).bytes(data).n(budget)
    }

    pub fn push(self, ring: u64, data: &[u8]) -> Self {
        self.op(11).n(ring).bytes(data)
    }

    pub fn pop(self, ring: u64, len: u64) -> Self {
        self.op(12).n(ring).scratch(len)
    }

    pub fn invoke(self, program_index: u64, first: u64, count: u64, data: &[u8]) -> Self {
        self.op(35).n(program_index).n(first).n(count).bytes(data)
    }
}

/// The (value, error) of records that return nothing more.
pub fn answers(outcome: &Outcome) -> Vec<(u64, u64)> {
    let data = outcome.return_data.as_ref().unwrap_or_else(|| panic!("no return data: {:?} {:?}", outcome.failure, outcome.logs));
    let words: Vec<_> = data.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
    words.chunks_exact(2).map(|pair| (pair[0], error_of(pair[1]))).collect()
}

/// The error in the second word of an answer. Above it is what the call was charged.
pub fn error_of(word: u64) -> u64 {
    word & u64::from(u32::MAX)
}
