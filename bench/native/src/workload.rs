//! Real programs, and engines that run many callbacks of one in every slot.

use crate::measure::per_operation;
use async_bpf_svm::*;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

/// What the callbacks of a world do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// Reads an account, makes one syscall, writes 8 bytes.
    Tiny,
    /// Reads 1 KiB of an account and writes as much.
    Kilobyte,
    /// Has another program do what the first one does.
    Invoke,
    /// A transfer of the SPL Token program, the file of the public clusters.
    Token,
}

/// Where the SPL Token program is. No crate that the benchmarks need has it; the npm package of LiteSVM does.
static TOKEN: OnceLock<PathBuf> = OnceLock::new();

pub fn set_token(path: PathBuf) {
    TOKEN.set(path).expect("it is set once");
}

const BENCH: Address = Address([11; 32]);
const CALLEE: Address = Address([12; 32]);
const TOKEN_PROGRAM: Address = Address([13; 32]);
/// Enough to be rent-exempt.
const RICH: u64 = 1_000_000_000;

/// One instruction, and the accounts that it needs.
pub struct Instruction {
    pub callback: Callback,
    pub accounts: Vec<(Address, Account)>,
}

impl Workload {
    /// All that there are; without its file, the SPL Token program is left out.
    pub fn all() -> Vec<Workload> {
        let mut all = vec![Workload::Tiny, Workload::Kilobyte, Workload::Invoke];
        match TOKEN.get() {
            Some(_) => all.push(Workload::Token),
            None => eprintln!("  no SPL Token: --token FILE says where the program is"),
        }
        all
    }

    pub fn name(self) -> &'static str {
        match self {
            Workload::Tiny => "tiny",
            Workload::Kilobyte => "1 KiB",
            Workload::Invoke => "CPI",
            Workload::Token => "SPL Token transfer",
        }
    }

    /// Files of the programs, with their addresses.
    pub fn programs(self) -> Vec<(Address, PathBuf)> {
        let bench = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../programs/prebuilt/bench.so");
        match self {
            Workload::Tiny | Workload::Kilobyte => vec![(BENCH, bench())],
            Workload::Invoke => vec![(BENCH, bench()), (CALLEE, bench())],
            Workload::Token => vec![(TOKEN_PROGRAM, TOKEN.get().expect("`all` looked for it").clone())],
        }
    }

    /// The instruction number n; each has accounts of its own.
    pub fn instruction(self, n: u64) -> Instruction {
        let [to, from, owner] = [1, 2, 3].map(|kind| account_address(kind, n));
        let meta = |address, writable| AccountMeta { address, signer: false, writable };
        let callback = |program, data: &[u8], accounts| Callback { program, data: data.to_vec(), accounts, compute_budget: 10_000 };
        let account = |owner, data: Vec<u8>| Account { lamports: RICH, data: Arc::new(data), owner, executable: false };
        let numbers = |len: usize| (0..len).map(|at| (at % 8 == 0).into()).collect::<Vec<u8>>();
        let accounts = |owner, to_len, from_len| vec![(to, account(owner, numbers(to_len))), (from, account(owner, numbers(from_len)))];
        match self {
            Workload::Tiny => {
                Instruction { callback: callback(BENCH, &[0], vec![meta(to, true), meta(from, false)]), accounts: accounts(BENCH, 64, 16) }
            }
            Workload::Kilobyte => {
                Instruction { callback: callback(BENCH, &[1], vec![meta(to, true), meta(from, false)]), accounts: accounts(BENCH, 1024, 1024) }
            }
            Workload::Invoke => Instruction {
                callback: callback(BENCH, &[2], vec![meta(to, true), meta(from, false), meta(CALLEE, false)]),
                accounts: accounts(CALLEE, 64, 16),
            },
            Workload::Token => {
                // Instruction 3 is Transfer, of one unit.
                let data = [&[3][..], &1u64.to_le_bytes()].concat();
                let signer = AccountMeta { address: owner, signer: true, writable: false };
                Instruction {
                    callback: callback(TOKEN_PROGRAM, &data, vec![meta(from, true), meta(to, true), signer]),
                    accounts: vec![
                        (from, account(TOKEN_PROGRAM, token_account(owner, u64::MAX / 2))),
                        (to, account(TOKEN_PROGRAM, token_account(owner, 0))),
                        (owner, account(Address::SYSTEM_PROGRAM, Vec::new())),
                    ],
                }
            }
        }
    }
}

pub fn account_address(kind: u8, n: u64) -> Address {
    let mut bytes = [kind; 32];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    Address(bytes)
}

/// Mint, owner, amount, no delegate, initialized, not native, nobody else who may close it.
fn token_account(owner: Address, amount: u64) -> Vec<u8> {
    let mut data = vec![0; 165];
    data[..32].fill(14);
    data[32..64].copy_from_slice(&owner.0);
    data[64..72].copy_from_slice(&amount.to_le_bytes());
    data[108] = 1;
    data
}

/// An engine with so many periodic timers, each of which is due in every slot and has accounts of its own.
pub struct World {
    svm: Svm,
    callbacks: usize,
}

impl World {
    pub fn new(workload: Workload, callbacks: usize, config: SvmConfig) -> Self {
        let limits = Limits {
            max_timers_per_program: 1_000_000,
            max_scheduled_tasks: 1 << 20,
            slot_compute_limit: 1_000_000_000_000,
            ..config.engine.limits.clone()
        };
        let mut svm = Svm::new(SvmConfig { engine: Config { limits, ..config.engine.clone() }, ..config }).expect("a valid configuration");
        for (address, path) in workload.programs() {
            let elf = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            svm.add_program(address, &elf).expect("a valid program");
        }
        for n in 0..callbacks as u64 {
            let Instruction { callback, accounts } = workload.instruction(n);
            for (address, account) in accounts {
                svm.set_account(address, Some(account)).expect("a free address");
            }
            let spec = TimerSpec {
                callback: Arc::new(callback),
                start_slot: 1,
                period_slots: Some(1),
                deadline_slot: None,
                catch_up: CatchUp::Once,
                priority: Priority::Normal,
            };
            svm.engine_mut().call(Caller::Host, Call::TimerCreate(spec)).expect("room for a timer");
        }
        svm.engine_mut().seal_genesis();
        World { svm, callbacks }
    }

    /// With nothing changed but workers.
    pub fn with_workers(workload: Workload, callbacks: usize, workers: usize) -> Self {
        World::new(workload, callbacks, SvmConfig { workers, logs: false, ..SvmConfig::default() })
    }

    pub fn svm(&mut self) -> &mut Svm {
        &mut self.svm
    }

    pub fn next_slot(&self) -> SlotInput {
        SlotInput { slot: self.svm.engine().slot() + 1, unix_timestamp: None }
    }

    /// Processes a slot.
    pub fn slot(&mut self) {
        let report = self.svm.process_slot(self.next_slot()).expect("the next slot");
        let committed = report.outcomes.iter().filter(|outcome| outcome.status == Status::Committed).count();
        assert_eq!(committed, self.callbacks, "{:?}", report.outcomes.first());
    }

    /// Nanoseconds a callback of so many slots.
    pub fn slots(&mut self, slots: usize) -> f64 {
        per_operation((slots * self.callbacks) as u64, || (0..slots).for_each(|_| self.slot()))
    }

    /// Stops in the middle of a slot, before its first callback.
    pub fn bare(mut self) -> Bare {
        self.slot();
        let input = self.next_slot();
        let Ok(Progress::Batch) = self.svm.engine_mut().step(input) else { panic!("every slot has tasks") };
        assert_eq!(self.svm.engine().batch().len(), self.callbacks);
        Bare(self)
    }
}

/// The callbacks of a slot without the engine: they run again and again over the state before it, and nothing is committed.
pub struct Bare(World);

impl Bare {
    /// Nanoseconds a callback of all of them, so many times.
    pub fn rounds(&mut self, rounds: usize) -> f64 {
        let World { svm, callbacks } = &mut self.0;
        per_operation((rounds * *callbacks) as u64, || {
            let indices = (0..rounds).flat_map(|_| 0..*callbacks);
            svm.testing_execute(indices, |execution| assert!(execution.result.is_ok()));
        })
    }
}
