//! The engine as a whole: what a slot costs when a million timers and a million watchers wait for other slots.

use crate::measure::{Bench, Goal, peer, per_operation, resident_bytes};
use async_bpf_engine::*;
use std::sync::Arc;

/// What a slot does, in both engines.
const TOUCHED: u64 = 1_000;
const FIRED_BY_TIMERS: u64 = 500;
/// Every other account that is touched has a watcher that fires.
const FIRED_BY_WATCHERS: u64 = TOUCHED / 2;
/// As long as an SPL token account.
const DATA_LEN: usize = 165;
const SLOTS_A_ROUND: u64 = 8;

pub fn run(bench: &mut Bench) {
    let scale = if bench.quick { 10 } else { 1 };
    let (programs, pending) = (100_000 / scale, 1_000_000 / scale);
    let mut alone = World::new(500, FIRED_BY_TIMERS, TOUCHED, &mut |_, _| ());
    let mut bytes = Vec::new();
    let mut crowded = World::new(programs, pending, pending, &mut |what, count| bytes.push((what, count, resident_bytes())));
    bench.compare(
        &format!("engine, 1,000 accounts touched and 1,000 callbacks among {pending} timers and {pending} watchers, a slot"),
        || crowded.round(),
        vec![peer("the same slot with nothing else pending", Goal::AtMost(2.0), || alone.round())],
    );
    for pair in bytes.windows(2) {
        let ((_, _, before), (what, count, after)) = (pair[0], pair[1]);
        bench.number(&format!("engine, memory of {what}"), "bytes", Goal::Report, (after.saturating_sub(before)) as f64 / count as f64);
    }
}

struct World {
    engine: Engine,
    accounts: u64,
    dice: u64,
    /// Makes data differ from the data before.
    version: u64,
}

fn address(kind: u8, n: u64) -> Address {
    let mut bytes = [kind; 32];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    Address(bytes)
}

fn account(version: u64) -> Account {
    let mut data = vec![0; DATA_LEN];
    data[..8].copy_from_slice(&version.to_le_bytes());
    Account { lamports: 1_000_000, data: Arc::new(data), owner: Address::SYSTEM_PROGRAM, executable: false }
}

impl World {
    /// With `watched` accounts and a watcher on each, and timers of which `FIRED_BY_TIMERS` are due in every slot.
    fn new(programs: u64, timers: u64, watched: u64, progress: &mut dyn FnMut(&'static str, u64)) -> Self {
        let limits = Limits {
            max_scheduled_tasks: 1 << 20,
            slot_compute_limit: 1_000_000_000_000,
            max_timers_per_program: 1_000_000,
            max_watchers_per_program: 1_000_000,
            ..Limits::default()
        };
        let mut engine = Engine::new(Config { limits, start_slot: 0, start_timestamp: 0 }).expect("valid limits");
        for n in 0..programs {
            engine.add_program(address(1, n), [1; 32], Vec::new()).expect("a free address");
        }
        progress("programs", programs);
        for n in 0..watched {
            engine.set_account(address(2, n), Some(account(0))).expect("a free address");
        }
        engine.seal_genesis();
        progress("an account of 165 bytes", watched);
        let callback = |n: u64| {
            let accounts = vec![AccountMeta { address: address(2, n % watched), signer: false, writable: false }];
            Arc::new(Callback { program: address(1, n % programs), data: n.to_le_bytes().to_vec(), accounts, compute_budget: 1_000 })
        };
        let period = timers / FIRED_BY_TIMERS;
        for n in 0..timers {
            let spec = TimerSpec {
                callback: callback(n),
                start_slot: 1 + n % period,
                period_slots: Some(period),
                deadline_slot: None,
                catch_up: CatchUp::Once,
                priority: Priority::Normal,
            };
            engine.call(Caller::Host, Call::TimerCreate(spec)).expect("room for a timer");
        }
        progress("a periodic timer with 8 bytes of data and one account", timers);
        for n in 0..watched {
            let trigger = match n % 4 {
                0 => Trigger::DataChange,
                2 => Trigger::AnyChange,
                _ => Trigger::ThresholdAbove { offset: 0, threshold: i64::MAX },
            };
            let spec = WatcherSpec { callback: callback(n), account: address(2, n), trigger, priority: Priority::High };
            engine.call(Caller::Host, Call::WatcherCreate { spec, min_slots_between_triggers: 1 }).expect("room for a watcher");
        }
        progress("a watcher with 8 bytes of data and one account", watched);
        engine.state_hash();
        World { engine, accounts: watched, dice: 1, version: 0 }
    }

    /// Updates of distinct accounts all over the table, half of which have a watcher that fires.
    fn updates(&mut self) -> Vec<AccountUpdate> {
        self.version += 1;
        let stride = self.accounts / TOUCHED;
        let account = account(self.version);
        (0..TOUCHED)
            .map(|n| {
                self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // An even distance, so that the parity of `n` says which kind of watcher it is.
                let within = if stride > 1 { (self.dice >> 33) % (stride / 2) * 2 } else { 0 };
                let n = n * stride + within + if stride > 1 { n % 2 } else { 0 };
                AccountUpdate {
                    address: address(2, n),
                    account: Account { data: Arc::new(account.data.to_vec()), ..account.clone() },
                    write_version: None,
                }
            })
            .collect()
    }

    fn round(&mut self) -> f64 {
        let mut total = 0.0;
        for _ in 0..SLOTS_A_ROUND {
            let updates = self.updates();
            let slot = self.engine.slot() + 1;
            let engine = &mut self.engine;
            let mut outcomes = 0;
            total += per_operation(1, || {
                engine.update_accounts(updates).expect("no programs among them");
                outcomes = process(engine, slot).outcomes.len() as u64;
            });
            assert_eq!(outcomes, FIRED_BY_TIMERS + FIRED_BY_WATCHERS);
        }
        total / SLOTS_A_ROUND as f64
    }
}

/// Programs are functions that use some units.
fn process(engine: &mut Engine, slot: u64) -> SlotReport {
    let mut progress = engine.step(SlotInput { slot, unix_timestamp: None }).expect("the next slot");
    loop {
        match progress {
            Progress::Report(report) => return report,
            Progress::Batch => {
                let batch = engine.batch();
                let count = batch.len().min(128);
                let executions = (0..count).map(|index| {
                    let task = batch.task(index);
                    let units = 100 + task.callback.data.iter().map(|byte| u64::from(*byte & 1)).sum::<u64>();
                    Execution {
                        task_id: task.id,
                        units_consumed: units,
                        logs: Vec::new(),
                        result: Ok(Changes::default()),
                        staged: engine.stage(index).finish(),
                    }
                });
                let executions: Vec<_> = executions.collect();
                for execution in executions {
                    assert!(engine.commit(execution).is_ok(), "tasks without calls spoil nothing");
                }
                progress = engine.advance();
            }
        }
    }
}
