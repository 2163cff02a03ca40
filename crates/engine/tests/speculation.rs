//! Running tasks ahead of their turn cannot be observed.
//!
//! Random programs make random calls, and what they do next depends on every answer they got; their logs hold a digest of all
//! answers. The same history goes through two engines: one runs a task at a time, the other random numbers of tasks ahead.
//! Every report, reply and hash must be the same.

mod support;

use async_bpf_engine::*;
use proptest::prelude::*;
use std::{cell::RefCell, sync::Arc};
use support::*;

const ACCOUNTS: [Address; 3] = [ACCOUNT, Address([101; 32]), Address([102; 32])];

/// xorshift, to be stirred with every answer.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn stir(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        self.roll(2);
    }
}

fn random_call(dice: &mut Dice, program: Address, slot: u64, ids: &[u64]) -> Call {
    let accounts = match dice.roll(3) {
        0 => vec![],
        n => vec![AccountMeta { address: ACCOUNTS[dice.roll(3) as usize], signer: false, writable: n == 1 }],
    };
    let data = dice.roll(1 << 40).to_le_bytes().to_vec();
    let callback = Arc::new(Callback { program, data, accounts, compute_budget: 1 + dice.roll(1000) });
    let id = if ids.is_empty() || dice.roll(20) == 0 { dice.roll(u64::MAX) } else { ids[dice.roll(ids.len() as u64) as usize] };
    let priority = Priority::try_from(dice.roll(4)).unwrap();
    let deadline = |dice: &mut Dice, from: u64| (dice.roll(3) == 0).then(|| from + dice.roll(4));
    match dice.roll(15) {
        0 | 1 => {
            let catch_up = [CatchUp::Once, CatchUp::All { max_ticks: 1 + dice.roll(4) }, CatchUp::Skip][dice.roll(3) as usize];
            let (start_slot, period) = (slot + dice.roll(6), dice.roll(4));
            let period_slots = (period != 0).then_some(period);
            let deadline_slot = if period_slots.is_none() { deadline(dice, start_slot) } else { None };
            Call::TimerCreate(TimerSpec { callback, start_slot, period_slots, deadline_slot, catch_up, priority })
        }
        2 | 3 => Call::TimerCancel { id },
        4 => {
            let trigger = match dice.roll(4) {
                0 => Trigger::AnyChange,
                1 => Trigger::LamportChange,
                2 => Trigger::ThresholdAbove { offset: 0, threshold: dice.roll(200) as i64 },
                _ => Trigger::ThresholdBelow { offset: 0, threshold: dice.roll(200) as i64 },
            };
            let spec = WatcherSpec { callback, account: ACCOUNTS[dice.roll(3) as usize], trigger, priority };
            Call::WatcherCreate { spec, min_slots_between_triggers: 1 + dice.roll(3) }
        }
        5 => Call::WatcherRemove { id },
        6 => Call::WatcherSetMinSlots { id, slots: dice.roll(4) },
        7 => Call::RingCreate { program, size: Some(64 + dice.roll(100)), reader: RingReader::Program },
        8 | 9 => Call::RingPush { id, data: vec![dice.roll(256) as u8; dice.roll(40) as usize] },
        10 => Call::RingPop { id, max_len: dice.roll(40) },
        11 => Call::RingPeek { id, max_len: dice.roll(40) },
        12 => Call::RingGrant { id, program: if program == PROGRAM { OTHER } else { PROGRAM }, rights: dice.roll(4) },
        13 if dice.roll(3) == 0 => Call::RingDestroy { id },
        _ => Call::TaskSchedule { callback, priority, deadline_slot: deadline(dice, slot + 1) },
    }
}

/// Makes up to eight calls, each chosen by the answers to those before it.
fn random_program(engine: &Engine, task: &Task, stage: &mut Stage<'_>, ids: &[u64]) -> (u64, Result<Changes, Failure>) {
    let program = task.callback.program;
    let mut dice = Dice::new(task.callback.data.iter().fold(task.cause.ticks, |seed, byte| seed * 31 + u64::from(*byte)));
    dice.stir(stage.slot());
    let mut created = Vec::new();
    let mut known = ids.to_vec();
    for _ in 0..dice.roll(9) {
        let call = random_call(&mut dice, program, stage.slot(), &known);
        match stage.call(Caller::Program(program), call) {
            Ok(reply) => {
                reply.bytes.iter().for_each(|byte| dice.stir((*byte).into()));
                dice.stir(reply.value);
                if reply.value >= 1 << 20 {
                    created.extend_from_slice(&reply.value.to_le_bytes());
                    known.push(reply.value);
                }
            }
            Err(error) => dice.stir(error.code() as u64),
        }
    }
    let mut changes = Changes { accounts: Default::default(), return_data: Some([&dice.0.to_le_bytes()[..], &created].concat()) };
    for meta in task.callback.accounts.iter().filter(|meta| meta.writable) {
        let old = engine.account(&meta.address).map_or(0, |account| account.lamports);
        let new = (dice.roll(4) > 0).then(|| account(1 + (old + dice.roll(3)) % 5, &dice.roll(250).to_le_bytes()));
        changes.accounts.push((meta.address, new));
    }
    let units = dice.roll(task.callback.compute_budget + 1);
    (units, if dice.roll(5) == 0 { Err(failure()) } else { Ok(changes) })
}

#[derive(Clone, Debug)]
enum Step {
    Call { seed: u64, as_host: bool },
    Invoke { seed: u64 },
    SetAccount { which: usize, value: u8 },
    Update { which: usize, value: u8, version: Option<u8> },
    Pause { pick: usize, active: bool },
    Slot { skip: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (any::<u64>(), any::<bool>()).prop_map(|(seed, as_host)| Step::Call { seed, as_host }),
        1 => any::<u64>().prop_map(|seed| Step::Invoke { seed }),
        1 => (0..3usize, any::<u8>()).prop_map(|(which, value)| Step::SetAccount { which, value }),
        2 => (0..3usize, any::<u8>(), any::<Option<u8>>()).prop_map(|(which, value, version)| Step::Update { which, value, version }),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(pick, active)| Step::Pause { pick, active }),
        4 => prop_oneof![8 => 0..2u8, 2 => 2..20u8, 1 => 60..200u8].prop_map(|skip| Step::Slot { skip }),
    ];
    proptest::collection::vec(step, 1..60)
}

/// Everything that a host can see of a history.
#[derive(Debug, PartialEq)]
enum Seen {
    Reply(Result<Reply, Error>),
    Outcome(Outcome),
    Report(SlotReport),
    End(Stats, StateHash),
}

struct World {
    engine: Engine,
    ids: RefCell<Vec<u64>>,
    seen: Vec<Seen>,
}

impl World {
    fn new() -> Self {
        let engine = engine_with(|limits| {
            limits.max_timers_per_program = 5;
            limits.max_watchers_per_program = 4;
            limits.max_ring_buffers_per_program = 3;
            limits.max_scheduled_tasks = 9;
            limits.max_compute_budget = 1000;
            limits.slot_compute_limit = 4000;
        });
        World { engine, ids: RefCell::default(), seen: Vec::new() }
    }

    fn learn(&mut self, outcome: &Outcome) {
        let Some(data) = &outcome.return_data else { return };
        let words = data.chunks_exact(8).skip(1).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
        self.ids.get_mut().extend(words);
    }

    fn step(&mut self, step: &Step, ahead: &mut dyn FnMut(usize) -> usize) {
        let slot = self.engine.slot();
        match step {
            Step::Call { seed, as_host } => {
                let mut dice = Dice::new(*seed);
                let program = if dice.roll(2) == 0 { PROGRAM } else { OTHER };
                let call = random_call(&mut dice, program, slot, self.ids.get_mut());
                let caller = if *as_host { HOST } else { Caller::Program(program) };
                let reply = self.engine.call(caller, call);
                self.ids.get_mut().extend(reply.iter().map(|reply| reply.value).filter(|value| *value >= 1 << 20));
                self.seen.push(Seen::Reply(reply));
            }
            Step::Invoke { seed } => {
                let callback = Callback { data: seed.to_le_bytes().to_vec(), ..Arc::unwrap_or_clone(callback()) };
                let task = self.engine.begin_invoke(callback).unwrap();
                let ids = self.ids.get_mut().clone();
                let behaviour = |engine: &Engine, task: &Task, stage: &mut Stage<'_>| random_program(engine, task, stage, &ids);
                let execution = execute(&self.engine, &task, self.engine.invoke_stage(&task), &behaviour);
                let outcome = self.engine.commit_invoke(&task, execution);
                self.learn(&outcome);
                self.seen.push(Seen::Outcome(outcome));
            }
            Step::SetAccount { which, value } => {
                let new = (*value > 20).then(|| account((*value).into(), &u64::from(*value).to_le_bytes()));
                self.engine.set_account(ACCOUNTS[*which], new).unwrap();
            }
            Step::Update { which, value, version } => {
                let account = account((*value).into(), &u64::from(*value).to_le_bytes());
                let update = AccountUpdate { address: ACCOUNTS[*which], account, write_version: version.map(u64::from) };
                self.engine.update_accounts(vec![update]).unwrap();
            }
            Step::Pause { pick, active } => {
                let ids = self.ids.get_mut();
                if !ids.is_empty() {
                    let id = ids[pick % ids.len()];
                    let reply = self.engine.call(HOST, Call::WatcherSetActive { id, active: *active });
                    self.seen.push(Seen::Reply(reply));
                }
            }
            Step::Slot { skip } => {
                let ids = self.ids.get_mut().clone();
                let behaviour = |engine: &Engine, task: &Task, stage: &mut Stage<'_>| random_program(engine, task, stage, &ids);
                let report = speculative_slot(&mut self.engine, slot + 1 + u64::from(*skip), &behaviour, ahead);
                report.outcomes.iter().for_each(|outcome| self.learn(outcome));
                assert_eq!(report.state_hash, self.engine.state_hash(), "the report's hash is that of the state after it");
                self.seen.push(Seen::Report(report));
            }
        }
    }

    fn run(mut self, steps: &[Step], ahead: &mut dyn FnMut(usize) -> usize) -> Vec<Seen> {
        steps.iter().for_each(|step| self.step(step, ahead));
        self.seen.push(Seen::End(self.engine.stats(), self.engine.state_hash()));
        self.seen
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn running_ahead_cannot_be_observed(steps in steps(), seed: u64) {
        let one_by_one = World::new().run(&steps, &mut |_| 1);
        let mut dice = Dice::new(seed);
        let ahead = World::new().run(&steps, &mut |len| 1 + dice.roll(len as u64) as usize);
        prop_assert_eq!(&one_by_one, &ahead);
        let everything = World::new().run(&steps, &mut |len| len);
        prop_assert_eq!(&one_by_one, &everything);
    }

    #[test]
    fn looking_changes_nothing(steps in steps()) {
        let quiet = World::new().run(&steps, &mut |_| 1);
        let mut world = World::new();
        for step in &steps {
            world.step(step, &mut |_| 1);
            let hash = world.engine.state_hash();
            world.engine.stats();
            for account in &ACCOUNTS {
                world.engine.watchers_of(account).count();
            }
            prop_assert_eq!(hash, world.engine.state_hash());
        }
        prop_assert_eq!(quiet, world.run(&[], &mut |_| 1));
    }
}

/// What a state hash covers, and in which form, must not change by accident: journals and peers hold hashes of other days.
#[test]
fn the_hash_of_a_history_is_the_same_in_every_release() {
    let mut dice = Dice::new(1);
    let mut digest = [0u8; 32];
    for _ in 0..300 {
        let steps: Vec<_> = (0..60).map(|_| pinned_step(&mut dice)).collect();
        match World::new().run(&steps, &mut |_| 1).last() {
            Some(Seen::End(_, hash)) => digest.iter_mut().zip(hash.0).for_each(|(digest, byte)| *digest = digest.rotate_left(3) ^ byte),
            _ => unreachable!("every history has an end"),
        }
    }
    assert_eq!(StateHash(digest).to_string(), "4e629bc07c5c8d2932659e090542687e726f5e85b96fddea809af7d65a264831");
}

fn pinned_step(dice: &mut Dice) -> Step {
    match dice.roll(13) {
        0..4 => Step::Call { seed: dice.roll(u64::MAX), as_host: dice.roll(2) == 0 },
        4 => Step::Invoke { seed: dice.roll(u64::MAX) },
        5 => Step::SetAccount { which: dice.roll(3) as usize, value: dice.roll(256) as u8 },
        6 | 7 => {
            let version = (dice.roll(2) == 0).then(|| dice.roll(256) as u8);
            Step::Update { which: dice.roll(3) as usize, value: dice.roll(256) as u8, version }
        }
        8 => Step::Pause { pick: dice.roll(1 << 20) as usize, active: dice.roll(2) == 0 },
        _ => Step::Slot { skip: [0, 0, 0, 1, 1, 5, 19, 130][dice.roll(8) as usize] },
    }
}

/// A task that was cancelled while it was ahead in the batch must not count as one that ran.
#[test]
fn a_cancelled_task_leaves_the_queue_of_those_behind_it() {
    let report_and_hash = |ahead: &mut dyn FnMut(usize) -> usize| {
        let mut engine = engine_with(|limits| limits.max_scheduled_tasks = 5);
        let first = create(&mut engine, task(Priority::Critical, None, 1000));
        let victim = timer(&mut engine, TimerSpec { priority: Priority::High, ..once(1) });
        create(&mut engine, task(Priority::Critical, None, 1000));
        let last = create(&mut engine, task(Priority::Low, None, 1000));
        let behaviour = |_: &Engine, task: &Task, stage: &mut Stage<'_>| {
            if task.id == first {
                stage.call(OWNER, Call::TimerCancel { id: victim }).unwrap();
                for _ in 0..2 {
                    stage.call(OWNER, support::task(Priority::Normal, None, 1)).unwrap();
                }
            }
            if task.id == last {
                while stage.call(OWNER, support::task(Priority::Normal, None, 1)).is_ok() {}
            }
            (1, Ok(Changes::default()))
        };
        let report = speculative_slot(&mut engine, 1, &behaviour, ahead);
        (report, engine.state_hash())
    };
    let one_by_one = report_and_hash(&mut |_| 1);
    assert_eq!(one_by_one.0.tasks_pending, 5, "the last task filled the queue");
    let mut groups = [1, 3].into_iter();
    assert_eq!(one_by_one, report_and_hash(&mut |len| groups.next().unwrap_or(len)));
}
