//! Random batches, by any number of workers and by both executors: one report, to the last log line and state hash.
//!
//! Tasks of a batch meet in accounts, in ring buffers, at limits, or not at all; they fail, run out of units, fill the queue, cancel each other, arm
//! timers and watchers for later batches, and call each other, some of them functions of the host. In every other history, workers take their time
//! at random, and panic. One engine processes its slots in parts, on other threads but for what needs the host.
//!
//! `BATCHES=n` makes more of them, `SEED=n` others.

mod hosted;
mod random;
mod support;

use async_bpf_svm::*;
use hosted::{Calls, HOSTED, op, slot_in_parts};
use random::{Dice, Place, setting, unsteady};
use std::sync::Arc;
use support::*;

const BATCHES_OF_A_HISTORY: u64 = 25;
const ACCOUNTS: usize = 6;
const WORKERS: [usize; 5] = [1, 2, 3, 4, 8];
const PROGRAMS: [Address; 2] = [CONFORMANCE, TWIN];
const OWNERS: [Address; 3] = [CONFORMANCE, TWIN, HOSTED];

#[test]
fn any_number_of_workers_agrees() {
    let (batches, seed) = (setting("BATCHES", 5_000), setting("SEED", 1));
    let mut tally = Tally::default();
    for round in 0..batches.div_ceil(BATCHES_OF_A_HISTORY) {
        let _place = Place { seed, round };
        History::new(seed.wrapping_mul(1 << 32) + round, &mut tally).run();
    }
    println!("{tally:?}");
    // Whatever there is for tasks to meet in, they met in it.
    let Tally { outcomes, committed, failed, expired, left_over, refused, spoiled, hosted } = tally;
    assert!(outcomes > batches * 5 && committed > outcomes / 4 && failed > outcomes / 20);
    assert!(expired > 0 && left_over > 0 && refused > 0 && spoiled > 0 && hosted > batches);
}

#[derive(Debug, Default)]
struct Tally {
    outcomes: u64,
    committed: u64,
    failed: u64,
    expired: u64,
    /// Batches after which tasks were left for lack of units.
    left_over: u64,
    /// Submissions for which the queue had no room.
    refused: u64,
    /// Calls that a limit, a full or an empty ring buffer answered.
    spoiled: u64,
    /// Calls of a function of the host.
    hosted: u64,
}

/// What the tasks of a batch mostly do to each other.
#[derive(Clone, Copy, PartialEq)]
enum Meeting {
    Nowhere,
    InAChain,
    InRings,
    AtLimits,
    Anywhere,
}

struct History<'t> {
    dice: Dice,
    tally: &'t mut Tally,
    /// The same engine, for every number of workers; by the stock executor; and the last in parts. With what has called functions of its host.
    svms: Vec<Svm>,
    calls: Vec<Calls>,
    rings: Vec<u64>,
    /// Timers that are due in the batch, so that tasks before them can cancel what has run ahead already.
    due: Vec<u64>,
}

impl<'t> History<'t> {
    fn new(seed: u64, tally: &'t mut Tally) -> Self {
        let mut dice = Dice::new(seed);
        let limits = Limits {
            max_scheduled_tasks: dice.pick(&[8, 40, 1_000]),
            max_timers_per_program: dice.pick(&[2, 6, 16]),
            max_ring_buffers_per_program: 3,
            slot_compute_limit: dice.pick(&[300_000, 1_500_000, 60_000_000]),
            ..Limits::default()
        };
        let unsteady_seed = dice.one_in(2).then(|| dice.word());
        let executors = WORKERS.map(|workers| (workers, Executor::Lean)).into_iter().chain([(1, Executor::Stock), (2, Executor::Lean)]);
        let svms = executors.map(|(workers, executor)| {
            let engine = Config { limits: limits.clone(), ..Config::default() };
            let mut svm = Svm::new(SvmConfig { engine, workers, executor, logs: true }).unwrap();
            PROGRAMS.iter().for_each(|program| svm.add_program(*program, &elf("conformance")).unwrap());
            svm.add_host_program(HOSTED, "1").unwrap();
            if let Some(seed) = unsteady_seed.filter(|_| workers > 1) {
                svm.testing_observe(unsteady(seed));
            }
            svm
        });
        let svms: Vec<_> = svms.collect();
        let calls = svms.iter().map(|_| Calls::default()).collect();
        let mut history = History { svms, calls, dice, tally, rings: Vec::new(), due: Vec::new() };
        for n in 0..ACCOUNTS {
            let owner = OWNERS[n % OWNERS.len()];
            history.all(|svm| set(svm, key(n as u8), RICH, &[0; 16], owner));
        }
        for (program, other) in [(CONFORMANCE, TWIN), (TWIN, CONFORMANCE)] {
            let size = 64 + history.dice.below(400) as u64;
            let id = history.call(Caller::Host, Call::RingCreate { program, size: Some(size), reader: RingReader::Program }).unwrap();
            for program_granted in [other, HOSTED] {
                history.call(Caller::Program(program), Call::RingGrant { id, program: program_granted, rights: 3 }).unwrap();
            }
            history.rings.push(id);
        }
        history
    }

    fn run(&mut self) {
        for slot in 1..=BATCHES_OF_A_HISTORY {
            let meeting =
                self.dice.pick(&[Meeting::Nowhere, Meeting::InAChain, Meeting::InRings, Meeting::AtLimits, Meeting::Anywhere, Meeting::Anywhere]);
            self.due.clear();
            for _ in 0..self.dice.below(4) {
                self.arm(slot);
            }
            for task in 0..1 + self.dice.below(30) {
                if self.dice.one_in(10) {
                    self.submit_hosted(slot);
                } else {
                    self.submit(meeting, task, slot);
                }
            }
            if self.dice.one_in(2) {
                let (n, value) = (self.dice.below(ACCOUNTS) as u8, self.dice.word());
                let account = Account {
                    lamports: RICH,
                    data: Arc::new([value, 0].map(u64::to_le_bytes).concat()),
                    owner: OWNERS[n as usize % OWNERS.len()],
                    executable: false,
                };
                self.all(|svm| svm.update_accounts(vec![AccountUpdate { address: key(n), account: account.clone(), write_version: None }]).unwrap());
            }
            self.slot(slot);
        }
        let ends: Vec<_> = self
            .svms
            .iter()
            .map(|svm| ((0..ACCOUNTS as u8).map(|n| svm.engine().account(&key(n)).cloned()).collect::<Vec<_>>(), svm.engine().stats()))
            .collect();
        assert!(ends.iter().all(|end| *end == ends[0]));
    }

    fn slot(&mut self, slot: u64) {
        let input = SlotInput { slot, unix_timestamp: None };
        let last = self.svms.len() - 1;
        let process = |(n, (svm, calls)): (usize, (&mut Svm, &Calls))| {
            let report = if n == last { slot_in_parts(svm, input, calls) } else { svm.process_slot_in(input, calls) };
            report.unwrap()
        };
        let reports: Vec<_> = self.svms.iter_mut().zip(&self.calls).enumerate().map(process).collect();
        let (first, others) = reports.split_first().unwrap();
        for (n, other) in others.iter().enumerate() {
            assert_eq!(first, other, "of engine {n}");
            assert_eq!(self.calls[0], self.calls[n + 1], "of engine {n}");
        }
        self.tally.hosted += self.calls[0].0.borrow().len() as u64;
        self.calls.iter().for_each(|calls| calls.0.borrow_mut().clear());
        let tally = &mut *self.tally;
        tally.left_over += u64::from(first.tasks_pending > 0);
        for outcome in &first.outcomes {
            tally.outcomes += 1;
            *[&mut tally.committed, &mut tally.failed, &mut tally.expired][outcome.status as usize] += 1;
            let full =
                |code: &&ErrorCode| matches!(code, ErrorCode::MaxTimers | ErrorCode::MaxBuffers | ErrorCode::BufferFull | ErrorCode::QueueFull);
            tally.spoiled += outcome.staged_codes.iter().filter(full).count() as u64;
        }
    }

    fn submit(&mut self, meeting: Meeting, task: usize, now: u64) {
        let dice = &mut self.dice;
        let rings = &self.rings;
        // Fails at the end, or uses all it has.
        let end = if dice.one_in(6) { 1 } else { u8::from(dice.one_in(25)) << 1 };
        let mut script = Script::flags(end);
        for _ in 0..dice.below(6) {
            let (a, b, id) = (dice.below(256) as u64, dice.below(60) as u64, dice.pick(rings));
            let op = match meeting {
                Meeting::Nowhere | Meeting::InAChain => dice.pick(&[6, 6, 9]),
                Meeting::InRings => dice.pick(&[1, 2, 3]),
                Meeting::AtLimits => dice.pick(&[0, 5, 7, 8, 12]),
                Meeting::Anywhere => dice.below(13),
            };
            script = match op {
                0 => script.timer(now + a % 4, &Script::new().push(id, &[1; 9]).0, 20_000),
                1 => script.push(id, &vec![2; 1 + b as usize]),
                2 => script.pop(id, b),
                3 => script.op(13).n(id).scratch(b),
                4 => script.op(5).bytes(&key(a as u8 % ACCOUNTS as u8).0).n(b % 4).bytes(&Script::new().pop(id, 64).0).n(5_000),
                5 => script.op(16).bytes(&Script::new().pop(id, 64).0).n(10_000).n(b % 4).n(if a.is_multiple_of(3) { now + b % 3 } else { 0 }),
                6 => script.op(33).n(0).n(b % 16).bytes(&[a as u8]),
                7 => script.op(10).n(64 + b),
                8 => script.op(4).n(value_of(a % 4)),
                9 => script.op(32).bytes(&vec![b'a' + (a % 26) as u8; b as usize]),
                10 => script.op(34).n(0).n(1).n(a),
                11 => script.invoke(0, 0, 1, &Script::new().push(id, &[3; 5]).0),
                _ => script.op(4).n(if self.due.is_empty() { a } else { dice.pick(&self.due) }),
            };
        }
        let account = match meeting {
            Meeting::Nowhere => task % ACCOUNTS,
            Meeting::InAChain => 0,
            _ => dice.below(ACCOUNTS),
        };
        let meta = |n: usize, writable| AccountMeta { address: key(n as u8), signer: false, writable };
        let mut accounts = vec![meta(account, !dice.one_in(3))];
        for _ in 0..dice.below(3) {
            accounts.push(meta(dice.below(ACCOUNTS), dice.one_in(3)));
        }
        let program = if dice.one_in(4) { PROGRAMS[1 - account % 2] } else { PROGRAMS[account % 2] };
        if meeting == Meeting::Anywhere {
            accounts.push(readonly(dice.pick(&PROGRAMS)));
        }
        let compute_budget = dice.pick(&[2_400, 30_000, 30_000, 100_000]);
        let priority = Priority::try_from(dice.below(4) as u64).unwrap();
        let deadline_slot = dice.one_in(4).then(|| now + dice.below(3) as u64);
        let callback = Arc::new(Callback { compute_budget, ..callback(program, &script.0, &accounts) });
        if self.call(Caller::Host, Call::TaskSchedule { callback, priority, deadline_slot }).is_none() {
            self.tally.refused += 1;
        }
    }

    /// A function of the host, or a program that invokes one.
    fn submit_hosted(&mut self, now: u64) {
        let dice = &mut self.dice;
        let mut data = Vec::new();
        for _ in 0..dice.below(5) {
            let op = dice.pick(&[op::CONSUME, op::ADD, op::ADD, op::TIMER, op::PUSH, op::POP, op::LOG, op::LOG, op::GIVE, op::FAIL]);
            data.push(op);
            if op == op::PUSH || op == op::POP {
                data.extend(dice.pick(&self.rings).to_le_bytes());
            }
        }
        let account = key(dice.below(ACCOUNTS) as u8);
        let account = AccountMeta { address: account, signer: false, writable: !dice.one_in(4) };
        let other = dice.pick(&PROGRAMS);
        let compute_budget = dice.pick(&[1_500, 30_000, 60_000]);
        let write = Script::new().op(33).n(0).n(3).bytes(&[dice.word() as u8]);
        let callback = match dice.below(3) {
            0 => callback(HOSTED, &data, &[account, readonly(other)]),
            // Reaches for memory that it does not have when the function has run already: nothing may run twice.
            1 => {
                let end = Script::new().invoke(1, 0, 1, &data);
                let end = if dice.one_in(3) { end.op(33).n(0).n(1 << 40).bytes(&[1]) } else { end };
                callback(other, &end.0, &[account, readonly(HOSTED)])
            }
            _ => {
                data.push(op::INVOKE);
                data.extend(&write.0);
                callback(HOSTED, &data, &[account, readonly(other)])
            }
        };
        let callback = Arc::new(Callback { compute_budget, ..callback });
        let priority = Priority::try_from(dice.below(4) as u64).unwrap();
        let deadline_slot = dice.one_in(4).then(|| now + dice.below(3) as u64);
        if self.call(Caller::Host, Call::TaskSchedule { callback, priority, deadline_slot }).is_none() {
            self.tally.refused += 1;
        }
    }

    /// A timer of either program, due in this slot, whose callback writes an account.
    fn arm(&mut self, now: u64) {
        let (program, account) = (self.dice.pick(&PROGRAMS), key(self.dice.below(ACCOUNTS) as u8));
        let script = Script::new().op(33).n(0).n(8).bytes(&self.dice.word().to_le_bytes()).0;
        let callback = Arc::new(Callback { compute_budget: 20_000, ..callback(program, &script, &[writable(account)]) });
        let period_slots = self.dice.one_in(3).then_some(2);
        let priority = Priority::try_from(self.dice.below(3) as u64).unwrap();
        let spec = TimerSpec { callback, start_slot: now, period_slots, deadline_slot: None, catch_up: CatchUp::Once, priority };
        let armed = self.call(Caller::Host, Call::TimerCreate(spec));
        self.due.extend(armed);
    }

    fn all(&mut self, run: impl Fn(&mut Svm)) {
        self.svms.iter_mut().for_each(run);
    }

    fn call(&mut self, caller: Caller, call: Call) -> Option<u64> {
        let replies: Vec<_> = self.svms.iter_mut().map(|svm| svm.engine_mut().call(caller, call.clone())).collect();
        assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
        replies[0].as_ref().ok().map(|reply| reply.value)
    }
}
