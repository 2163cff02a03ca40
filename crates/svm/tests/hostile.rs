//! Random bytes in the arguments of every syscall.
//!
//! A block is one call: which, what is in the registers, and what lies in memory. Blocks are made to be as bad as possible: of each
//! argument some values could work, so that the calls get anywhere, and some are limits, ends of regions, ids of somebody else, or
//! noise. After each invocation and each slot, what the engine says about itself must add up, and the stock executor must have come to the
//! same, to the last log line and state hash.
//!
//! `BLOCKS=n` makes more of them, `SEED=n` others. They are spread over engines of a few thousand blocks each, with limits and slots
//! of their own; the seed of a failure is that of its engine.

mod assembler;
mod random;
mod support;

use assembler::*;
use async_bpf_svm::*;
use random::{Dice, Memory, Place, is_defect, setting};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};
use support::{RICH, callback, key, readonly, set, writable};

/// What an argument is for.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Slot,
    /// A number of slots.
    Slots,
    /// Where 0 stands for none.
    SlotsOrNone,
    Deadline,
    CatchUp,
    MaxTicks,
    Priority,
    Budget,
    TimerId,
    WatcherId,
    RingId,
    Size,
    Rights,
    Trigger,
    ThresholdTrigger,
    /// The address of an address.
    Key,
    Data,
    Len,
    Output,
    Any,
    /// The address of these.
    Struct(&'static [Kind]),
}

use ErrorCode::*;
use Kind::*;

/// A syscall, its arguments, and the codes that its documentation has besides NULL_POINTER, which all that take an address can
/// answer, and SHUTDOWN, which all that create can.
struct Syscall {
    name: &'static str,
    arguments: &'static [Kind],
    codes: &'static [ErrorCode],
    creates: bool,
}

const fn creates(name: &'static str, arguments: &'static [Kind], codes: &'static [ErrorCode]) -> Syscall {
    Syscall { name, arguments, codes, creates: true }
}

const fn uses(name: &'static str, arguments: &'static [Kind], codes: &'static [ErrorCode]) -> Syscall {
    Syscall { name, arguments, codes, creates: false }
}

const TIMER: &[Kind] = &[Slot, SlotsOrNone, Deadline, CatchUp, MaxTicks, Priority, Data, Len, Budget];
const THRESHOLD: &[Kind] = &[Key, ThresholdTrigger, Any, Any, Data, Len, Budget];
const PATTERN: &[Kind] = &[Key, Any, Data, Len, Data, Len, Budget];
const TASK: &[Kind] = &[Data, Len, Budget, Priority, Deadline];

static SYSCALLS: [Syscall; 19] = [
    creates("sol_timer_create", &[Slot, Data, Len, Budget], &[InvalidArgument, InvalidSlot, MaxTimers]),
    creates("sol_timer_create_periodic", &[Slot, Slots, Data, Len, Budget], &[InvalidArgument, InvalidSlot, MaxTimers]),
    creates("sol_timer_create_with", &[Struct(TIMER)], &[InvalidArgument, InvalidSlot, MaxTimers]),
    uses("sol_timer_cancel", &[TimerId], &[InvalidTimer]),
    creates("sol_watcher_create", &[Key, Trigger, Data, Len, Budget], &[InvalidArgument, MaxWatchers]),
    creates("sol_watcher_create_threshold", &[Struct(THRESHOLD)], &[InvalidArgument, MaxWatchers]),
    creates("sol_watcher_create_pattern", &[Struct(PATTERN)], &[InvalidArgument, MaxWatchers]),
    uses("sol_watcher_set_min_slots", &[WatcherId, Slots], &[InvalidWatcher, InvalidArgument]),
    uses("sol_watcher_remove", &[WatcherId], &[InvalidWatcher]),
    creates("sol_ring_buffer_create", &[Size], &[InvalidArgument, MaxBuffers]),
    uses("sol_ring_buffer_push", &[RingId, Data, Len], &[InvalidArgument, InvalidBuffer, BufferNotActive, BufferFull]),
    uses("sol_ring_buffer_pop", &[RingId, Output, Len], &[InvalidBuffer, BufferNotActive, OutputTooSmall]),
    uses("sol_ring_buffer_peek", &[RingId, Output, Len], &[InvalidBuffer, BufferNotActive, OutputTooSmall]),
    uses("sol_ring_buffer_grant", &[RingId, Key, Rights], &[InvalidArgument, InvalidBuffer]),
    uses("sol_ring_buffer_destroy", &[RingId], &[InvalidBuffer]),
    creates("sol_task_schedule", &[Struct(TASK)], &[InvalidArgument, InvalidSlot, QueueFull]),
    uses("sol_get_slot", &[], &[]),
    uses("sol_async_last_error", &[], &[]),
    uses("sol_async_context", &[Output, Len], &[OutputTooSmall]),
];

/// These are made less often, so that something is left to run.
const ENDS: [&str; 3] = ["sol_timer_cancel", "sol_watcher_remove", "sol_ring_buffer_destroy"];

/// The stock call through which one program calls another; it is not under test, but the calls below it are.
const INVOKE: usize = SYSCALLS.len();

impl Syscall {
    fn takes_addresses(&self) -> bool {
        self.arguments.iter().any(|kind| matches!(kind, Key | Data | Output | Struct(_)))
    }

    /// Whether the outcome of the invocation lists its code. Of the others it lists refusals.
    fn is_recorded(&self) -> bool {
        !matches!(self.name, "sol_get_slot" | "sol_async_last_error" | "sol_async_context")
    }

    /// Whether it returns its code rather than a value.
    fn returns_code(&self) -> bool {
        !self.creates && self.is_recorded() && !self.arguments.contains(&Output)
    }

    fn may_answer(&self, code: ErrorCode) -> bool {
        match code {
            Success => true,
            NullPointer => self.takes_addresses(),
            Shutdown => self.creates,
            code => self.codes.contains(&code),
        }
    }
}

// ---- the program -----------------------------------------------------------------------------------------------------

const HEAP: u64 = 3 << 32;
const HEAP_LEN: u64 = 32 << 10;
const INPUT: u64 = 4 << 32;
const CONSTANTS: [u8; 64] = *b"any 32 bytes are the address of ........an account that is not..";

/// One call. In instruction data: the number of the syscall, five registers, the address where the memory goes, its length in words,
/// and the words.
struct Block {
    syscall: usize,
    registers: [u64; 5],
    at: u64,
    memory: Vec<u64>,
}

impl Block {
    fn call(&self) -> &'static Syscall {
        &SYSCALLS[self.syscall]
    }

    /// Whether nobody can tell from outside how far the program gets behind this call: it is not on record, or may write over the
    /// blocks that follow.
    fn hides_the_next(&self) -> bool {
        let outputs = |(kind, value): (&Kind, u64)| *kind == Output && value >> 32 == INPUT >> 32;
        !self.call().is_recorded() || self.call().arguments.iter().zip(self.registers).any(outputs)
    }

    fn write(&self, data: &mut Vec<u8>) {
        let head = [&[self.syscall as u64], &self.registers[..], &[self.at, self.memory.len() as u64]].concat();
        head.iter().chain(&self.memory).for_each(|word| data.extend(word.to_le_bytes()));
    }
}

/// Makes the calls that its instruction data lists. It does not look at the answers, and returns that of the last: its value, and what
/// `sol_async_last_error` says after it. Data that is no list of blocks makes it run into the end of something.
fn program() -> Vec<u8> {
    let load = |to, from, offset| instruction(LOAD, to, from, offset, 0);
    let store = |to, offset, from| instruction(STORE, to, from, offset, 0);
    let add = |to, number: i32| instruction(ADD, to, 0, 0, number as u32);
    let copy = |to, from| instruction(MOVE_REGISTER, to, from, 0, 0);
    let back = |over: usize| instruction(JUMP, 0, 0, -(over as i16) - 1, 0);

    // The runtime has the address of the data in register 2. Register 6 walks through it to 7; 8 and 9 are the last answer.
    let begin = vec![copy(6, 2), load(7, 6, -8), instruction(ADD_REGISTER, 7, 6, 0, 0), copy(8, 0), copy(9, 0)];
    let word = [load(5, 4, 0), store(2, 0, 5), add(4, 8), add(2, 8), add(3, -1)];
    let memory = [
        vec![load(2, 6, 48), load(3, 6, 56), copy(4, 6), add(4, 64)],
        vec![instruction(JUMP_IF_EQUAL, 3, 0, word.len() as i16 + 1, 0)],
        word.to_vec(),
        vec![back(word.len() + 1)],
    ];
    // Register 0 is free until a call answers in it.
    let registers = vec![load(0, 6, 0), load(1, 6, 8), load(2, 6, 16), load(3, 6, 24), load(5, 6, 40)];
    let registers = [registers, vec![copy(8, 6), copy(6, 4), load(4, 8, 32)]].concat();
    let names: Vec<_> = SYSCALLS.iter().map(|syscall| syscall.name).chain(["sol_invoke_signed_c"]).collect();
    let dispatch = names.iter().enumerate().flat_map(|(number, name)| {
        let others = 3 * (names.len() - 1 - number) as i16;
        [instruction(JUMP_IF_NOT_EQUAL, 0, 0, 2, number as u32), syscall(name), instruction(JUMP, 0, 0, others, 0)]
    });
    let body = [memory.concat(), registers, dispatch.collect(), vec![copy(8, 0), syscall("sol_async_last_error"), copy(9, 0)]].concat();
    let end = vec![
        store(10, -16, 8),
        store(10, -8, 9),
        copy(1, 10),
        add(1, -16),
        instruction(MOVE, 2, 0, 0, 16),
        syscall("sol_set_return_data"),
        instruction(MOVE, 0, 0, 0, 0),
        instruction(EXIT, 0, 0, 0, 0),
    ];
    let each = vec![instruction(JUMP_IF_NOT_BELOW, 6, 7, body.len() as i16 + 1, 0)];
    let again = back(body.len() + 1);
    strict(&CONSTANTS, &[begin, each, body, vec![again], end].concat())
}

// ---- one engine ------------------------------------------------------------------------------------------------------

const PROGRAMS: [Address; 2] = [Address([21; 32]), Address([22; 32])];
/// Accounts that exist: some are the first program's, some nobody's.
const ACCOUNTS: u8 = 4;
/// Blocks that one engine gets, and how many of them before it takes nothing new.
const BLOCKS: u64 = 5_000;
const BLOCKS_BEFORE_DRAIN: u64 = 4_700;
/// Invocations from one slot to the next.
const INVOCATIONS: u64 = 20;

const ACCESS_VIOLATION: &str = "ACCESS_VIOLATION";
const OUT_OF_UNITS: &str = "OUT_OF_UNITS";
/// What the runtime says when output went to an account that should not have changed.
const MEDDLED: [&str; 4] = ["ReadonlyDataModified", "ExternalAccountDataModified", "AccountDataTooSmall", "InvalidRealloc"];
/// The same of an account's owner and lamports, which are a few bytes in a large region and so seldom hit.
const MEDDLED_SELDOM: [&str; 5] =
    ["ModifiedProgramId", "UnbalancedInstruction", "ExternalAccountLamportSpend", "ReadonlyLamportChange", "InsufficientFundsForRent"];

/// What came of blocks: how often each call ended in each way.
#[derive(Default)]
struct Tally {
    ends: BTreeMap<(&'static str, &'static str), u64>,
    blocks: u64,
    invocations: u64,
    callbacks: u64,
    slots: u64,
    /// Calls that wrote something to memory.
    outputs: u64,
    slowest: Duration,
}

impl Tally {
    fn count(&mut self, syscall: &Syscall, end: &'static str) {
        *self.ends.entry((syscall.name, end)).or_default() += 1;
        self.blocks += 1;
    }

    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.slowest = self.slowest.max(start.elapsed());
        result
    }
}

/// What there is, by its ids.
#[derive(Default)]
struct Ids {
    timers: BTreeSet<u64>,
    watchers: BTreeSet<u64>,
    rings: BTreeSet<u64>,
    /// The last that were there, to be used when they are gone.
    old: Vec<u64>,
}

/// What an invocation that fails must leave as it is.
#[derive(Debug, PartialEq)]
struct Traces {
    stats: Stats,
    timers: Vec<Option<Timer>>,
    watchers: Vec<Option<Watcher>>,
    rings: Vec<Option<(RingHeader, u64)>>,
    accounts: Vec<Option<Account>>,
}

impl Traces {
    fn lamports(&self) -> u64 {
        self.accounts.iter().flatten().map(|account| account.lamports).sum()
    }
}

struct Life<'t> {
    svm: Svm,
    /// The same, by the executor that nothing of ours is in.
    stock: Svm,
    limits: Limits,
    dice: Dice,
    tally: &'t mut Tally,
    ids: Ids,
    /// The highest sequence number that is known.
    newest: u64,
    /// All units, and all tasks that are over.
    units: u64,
    over: u64,
}

impl<'t> Life<'t> {
    fn new(seed: u64, program: &[u8], tally: &'t mut Tally) -> Self {
        let mut dice = Dice::new(seed);
        let mut limits = Limits {
            max_timers_per_program: dice.pick(&[1, 5, 16]),
            max_watchers_per_program: dice.pick(&[0, 5, 32]),
            max_ring_buffers_per_program: dice.pick(&[1, 2, 8]),
            max_scheduled_tasks: dice.pick(&[1, 7, 64]),
            max_callback_data_len: dice.pick(&[0, 1_024, 1_024, 1_024, 10_240]),
            max_callback_accounts: dice.pick(&[1, 64, 64, 64, 128]),
            max_pattern_len: dice.pick(&[1, 64, 1_024]),
            slot_compute_limit: dice.pick(&[20_000, 1_000_000, 60_000_000]),
            ..Limits::default()
        };
        if dice.one_in(4) {
            (limits.min_timer_slots, limits.max_timer_slots) = (3, 4);
        }
        let start_slot = dice.pick(&[0, 0, 1 << 32, (1 << 63) - 30, u64::MAX - 200]);
        let engine = Config { limits: limits.clone(), start_slot, start_timestamp: 1_700_000_000 };
        let workers = dice.pick(&[1, 1, 1, 2]);
        let lens: Vec<_> = (0..ACCOUNTS).map(|_| dice.pick(&[0, 8, 64, 100])).collect();
        let [svm, stock] = [Executor::Lean, Executor::Stock].map(|executor| {
            let mut svm = Svm::new(SvmConfig { engine: engine.clone(), workers, executor, ..SvmConfig::default() }).unwrap();
            PROGRAMS.into_iter().for_each(|address| svm.add_program(address, program).unwrap());
            for (n, len) in (1..=ACCOUNTS).zip(&lens) {
                let owner = if n % 2 == 1 { PROGRAMS[0] } else { key(99) };
                set(&mut svm, key(n), RICH, &vec![0; *len], owner);
            }
            svm
        });
        Life { svm, stock, limits, dice, tally, ids: Ids::default(), newest: 0, units: 0, over: 0 }
    }

    /// Gives the engine its blocks, or fewer when there are no more slots.
    fn run(&mut self, place: &mut Place) {
        let first = self.tally.blocks;
        while self.tally.blocks < first + BLOCKS {
            place.round += 1;
            self.invoke();
            if self.tally.blocks > first + BLOCKS_BEFORE_DRAIN && !self.svm.engine().is_draining() {
                self.both().for_each(|svm| svm.engine_mut().drain().unwrap());
            }
            if place.round.is_multiple_of(INVOCATIONS) {
                self.act();
                // The last slot there is stays for a while.
                if !self.slot() && self.dice.one_in(20) {
                    break;
                }
            }
        }
    }

    /// Invokes a program with one block, or with a few, directly or through the other.
    fn invoke(&mut self) {
        let program = self.dice.below(PROGRAMS.len());
        let count = if self.dice.one_in(8) { 6 } else { 1 };
        let mut data = self.blocks(count, 0);
        let calls = calls(&data).expect("they are blocks");
        let mut accounts = self.accounts();
        let direct = !self.dice.one_in(12);
        let maker = PROGRAMS[if direct { program } else { 1 - program }];
        if !direct {
            data = invocation(maker, &data);
            accounts.push(readonly(maker));
        }
        let scarce = self.dice.pick(&[1, 99, 100, 150, 300, 1_400_000]);
        let compute_budget = if self.dice.one_in(20) { scarce } else { 200_000 };
        let callback = Callback { compute_budget, ..callback(PROGRAMS[program], &data, &accounts) };

        let owners: Vec<_> = calls.iter().map(|call| self.owner(call)).collect();
        let before = self.traces();
        let outcome = self.tally.time(|| self.svm.invoke(callback.clone())).unwrap();
        assert_eq!(Ok(&outcome), self.stock.invoke(callback).as_ref());
        self.tally.invocations += 1;
        assert!(outcome.units_consumed <= compute_budget, "{outcome:?}");
        self.learn(&outcome);
        self.judge(&outcome, &calls, direct);
        for ((call, owner), code) in calls.iter().zip(owners).zip(&outcome.staged_codes) {
            assert!(*code != Success || owner.is_none_or(|owner| owner == maker), "{} of another program's", call.call().name);
        }
        let after = self.traces();
        if outcome.status == Status::Committed {
            balance(&before.stats, &after.stats, &calls, &outcome.staged_codes);
            assert_eq!(after.lamports(), before.lamports());
        } else {
            let mut expected = before;
            expected.stats.tasks_failed += 1;
            expected.stats.units_consumed += outcome.units_consumed;
            assert_eq!(after, expected, "what {outcome:?} left behind");
        }
    }

    /// Whose the thing is that a call would change, where nobody can grant that to another.
    fn owner(&self, call: &Block) -> Option<Address> {
        let (engine, id) = (self.svm.engine(), call.registers[0]);
        match (call.call().name, call.call().arguments.first()?) {
            (_, TimerId) => engine.timer(id).map(|timer| timer.spec.callback.program),
            (_, WatcherId) => engine.watcher(id).map(|watcher| watcher.spec.callback.program),
            ("sol_ring_buffer_grant" | "sol_ring_buffer_destroy", RingId) => engine.ring(id).map(|(header, _)| header.owner),
            _ => None,
        }
    }

    /// Counts how each call ended. What the last one returned must be what its code says.
    fn judge(&mut self, outcome: &Outcome, calls: &[Block], direct: bool) {
        let codes = &outcome.staged_codes;
        for (syscall, &code) in calls.iter().map(Block::call).zip(codes) {
            assert!(syscall.may_answer(code), "{} answered {}", syscall.name, code.name());
            self.tally.count(syscall, code.name());
        }
        // The next one is not on record: it ended the program, or is of the kind that comes last and cannot but succeed.
        let next = calls.get(codes.len()).map(Block::call);
        let committed = outcome.status == Status::Committed;
        if let Some(syscall) = next {
            assert!(!committed || !syscall.is_recorded(), "{} is not on record", syscall.name);
            self.tally.count(syscall, if committed { Success.name() } else { end(outcome) });
        }
        let (true, Some(last)) = (committed, calls.last().map(Block::call)) else { return };
        let (value, error) = answer(outcome);
        if !direct {
            assert_eq!((value, error), (0, 0), "the last error of another program is none of ours");
            return;
        }
        let recorded = codes.last().copied().unwrap_or(Success);
        let code = if next.is_some() { Success } else { recorded };
        let last_error = if last.name == "sol_async_context" { code } else { recorded };
        assert_eq!(error, last_error as u64, "the last error after {}", last.name);
        self.tally.outputs += u64::from(value > 0 && last.arguments.contains(&Output));
        let expected = match code {
            _ if last.returns_code() => value == error,
            _ if last.name == "sol_get_slot" => value == self.svm.engine().slot(),
            _ if last.name == "sol_async_last_error" => value == error,
            Success if last.creates => value > outcome.task_id,
            Success if last.name == "sol_async_context" => value == if outcome.source.kind == SourceKind::Invoke { 0 } else { 128 },
            Success => true,
            _ => value == 0,
        };
        assert!(expected, "{} returned {value} with {}", last.name, code.name());
    }

    /// Looks for what an invocation created. Ids are made of the sequence number of the invocation and a count within it.
    fn learn(&mut self, outcome: &Outcome) {
        self.units += outcome.units_consumed;
        self.over += 1;
        assert_eq!(outcome.status == Status::Failed, outcome.failure.is_some());
        assert!(!is_defect(outcome), "{outcome:?}");
        let own = outcome.task_id >> 20;
        self.newest = self.newest.max(own);
        let scheduled = outcome.source.kind == SourceKind::Task;
        // The id of a scheduled task is one of the invocation that scheduled it; the task has a later number, which nobody is told.
        let sequences = if scheduled { own + 1..=self.newest + self.limits.max_scheduled_tasks } else { own..=own };
        let created = outcome.staged_codes.iter().filter(|code| **code == Success).count() as u64;
        let engine = self.svm.engine();
        for id in sequences.flat_map(|sequence| (1..=created).map(move |n| (sequence << 20) + n)) {
            let found = [engine.timer(id).is_some(), engine.watcher(id).is_some(), engine.ring(id).is_some()];
            assert!(outcome.status == Status::Committed || scheduled || found == [false; 3], "{id} of {outcome:?}");
            let sets = [&mut self.ids.timers, &mut self.ids.watchers, &mut self.ids.rings];
            sets.into_iter().zip(found).filter(|(_, found)| *found).for_each(|(ids, _)| ids.extend([id]));
        }
    }

    fn traces(&self) -> Traces {
        let engine = self.svm.engine();
        Traces {
            stats: engine.stats(),
            timers: self.ids.timers.iter().map(|id| engine.timer(*id).cloned()).collect(),
            watchers: self.ids.watchers.iter().map(|id| engine.watcher(*id).cloned()).collect(),
            rings: self.ids.rings.iter().map(|id| engine.ring(*id).map(|(header, unread)| (header.clone(), unread))).collect(),
            accounts: (1..=ACCOUNTS).map(|n| engine.account(&key(n)).cloned()).collect(),
        }
    }

    // ---- the host's part ---------------------------------------------------------------------------------------------

    /// What a host can do between slots. That it is refused is as good.
    fn act(&mut self) {
        for address in (1..=ACCOUNTS).map(key) {
            if self.dice.one_in(2) {
                self.update(address);
            }
        }
        for id in self.ids.rings.clone() {
            let state = self.dice.pick(&[RingState::Paused, RingState::Draining, RingState::Closed]);
            let state = if self.dice.one_in(4) { state } else { RingState::Active };
            let data = vec![7; 1 + self.dice.below(100)];
            self.call(Call::RingPush { id, data });
            self.call(Call::RingSetState { id, state });
            self.both().for_each(|svm| drop(svm.engine_mut().drain_ring(id, 2)));
        }
        if self.dice.one_in(8) {
            let (program, reader) = (self.dice.pick(&PROGRAMS), self.dice.pick(&[RingReader::Host, RingReader::Program]));
            let created = self.call(Call::RingCreate { program, size: Some(256), reader });
            self.ids.rings.extend(created);
        }
    }

    fn call(&mut self, call: Call) -> Option<u64> {
        let _ = self.stock.engine_mut().call(Caller::Host, call.clone());
        self.svm.engine_mut().call(Caller::Host, call).ok().map(|reply| reply.value)
    }

    /// What one is told, the other must be told too.
    fn both(&mut self) -> impl Iterator<Item = &mut Svm> {
        [&mut self.svm, &mut self.stock].into_iter()
    }

    /// Changes an account as watchers like it.
    fn update(&mut self, address: Address) {
        let number = self.number();
        let mut account = self.svm.engine().account(&address).cloned().unwrap_or_default();
        let mut data = account.data.to_vec();
        data.iter_mut().zip(number.to_le_bytes()).for_each(|(byte, new)| *byte = new);
        account.data = data.into();
        account.lamports = RICH + number % 1000;
        let update = AccountUpdate { address, account, write_version: None };
        self.both().for_each(|svm| svm.update_accounts(vec![update.clone()]).unwrap());
    }

    /// Processes a slot. False when there is none.
    fn slot(&mut self) -> bool {
        let engine = self.svm.engine();
        let Some(next) = engine.slot().checked_add(1) else { return false };
        let slot = next.saturating_add(self.dice.pick(&[0, 0, 0, 0, 0, 1, 2, 63, 99]));
        let (before, armed) = (engine.stats(), self.armed());
        let report = self.tally.time(|| self.svm.process_slot(SlotInput { slot, unix_timestamp: None })).unwrap();
        assert_eq!(Ok(&report), self.stock.process_slot(SlotInput { slot, unix_timestamp: None }).as_ref());
        self.tally.slots += 1;
        for outcome in &report.outcomes {
            self.learn(outcome);
            let callback = armed.get(&outcome.source.id);
            assert!(outcome.units_consumed <= callback.map_or(self.limits.max_compute_budget, |callback| callback.compute_budget), "{outcome:?}");
            if outcome.status == Status::Expired {
                continue;
            }
            self.tally.callbacks += 1;
            if let Some(calls) = callback.and_then(|callback| calls(&callback.data)) {
                self.judge(outcome, &calls, true);
            }
        }
        let after = self.svm.engine().stats();
        assert_eq!((report.slot, report.state_hash), (slot, self.svm.engine().state_hash()));
        assert_eq!(report.units_consumed, report.outcomes.iter().map(|outcome| outcome.units_consumed).sum());
        assert!(report.units_consumed <= self.limits.slot_compute_limit);
        assert_eq!(after.slots_processed, before.slots_processed + 1);
        assert_eq!(after.timers_fired, before.timers_fired + report.timers_fired);
        assert_eq!(after.watchers_triggered, before.watchers_triggered + report.watchers_triggered);
        assert_eq!(after.tasks_pending, report.tasks_pending);
        self.check();
        true
    }

    /// What timers and watchers will run, by their ids.
    fn armed(&self) -> BTreeMap<u64, Arc<Callback>> {
        let engine = self.svm.engine();
        let timers = self.ids.timers.iter().filter_map(|id| engine.timer(*id)).map(|timer| (timer.id, timer.spec.callback.clone()));
        let watchers = self.ids.watchers.iter().filter_map(|id| engine.watcher(*id)).map(|watcher| (watcher.id, watcher.spec.callback.clone()));
        timers.chain(watchers).collect()
    }

    /// What must hold between slots.
    fn check(&mut self) {
        let (engine, ids) = (self.svm.engine(), &mut self.ids);
        ids.old.extend(ids.timers.extract_if(.., |id| engine.timer(*id).is_none()));
        ids.old.extend(ids.watchers.extract_if(.., |id| engine.watcher(*id).is_none()));
        ids.old.extend(ids.rings.extract_if(.., |id| engine.ring(*id).is_none()));
        ids.old.drain(..ids.old.len().saturating_sub(20));

        let stats = engine.stats();
        let timers: Vec<_> = ids.timers.iter().filter_map(|id| engine.timer(*id)).filter(|timer| timer.is_live()).collect();
        let watchers: Vec<_> = ids.watchers.iter().filter_map(|id| engine.watcher(*id)).collect();
        let rings: Vec<_> = ids.rings.iter().filter_map(|id| engine.ring(*id)).collect();
        assert_eq!(stats.timers_active, timers.len() as u64);
        assert_eq!(stats.watchers_active, watchers.len() as u64);
        assert_eq!(stats.rings_active, rings.len() as u64);
        for program in PROGRAMS {
            let live = engine.timers_of(program).filter(|timer| timer.is_live()).count();
            assert_eq!(live, timers.iter().filter(|timer| timer.spec.callback.program == program).count());
            let watching = watchers.iter().filter(|watcher| watcher.spec.callback.program == program).count();
            let owned = rings.iter().filter(|(header, _)| header.owner == program).count();
            assert!(live as u64 <= self.limits.max_timers_per_program);
            assert!(watching as u64 <= self.limits.max_watchers_per_program);
            assert!(owned as u64 <= self.limits.max_ring_buffers_per_program);
        }
        for watcher in watchers {
            assert!(engine.watchers_of(&watcher.spec.account).any(|other| other == watcher));
        }
        for (header, unread) in rings {
            assert!(header.used <= header.capacity && header.capacity <= self.limits.max_ring_buffer_size, "{header:?}");
            assert!(unread * entry_cost(1) <= header.used && unread <= header.next_sequence, "{header:?}, {unread} unread");
        }
        assert!(stats.tasks_pending <= self.limits.max_scheduled_tasks);
        assert_eq!(stats.units_consumed, self.units);
        assert_eq!(stats.tasks_completed + stats.tasks_failed + stats.tasks_expired, self.over);
    }

    // ---- making blocks -----------------------------------------------------------------------------------------------

    /// Accounts for an instruction: few, with repetitions; sometimes as many as a callback can have.
    fn accounts(&mut self) -> Vec<AccountMeta> {
        let count = if self.dice.one_in(40) { 62 + self.dice.below(5) } else { self.dice.below(4) };
        (0..count)
            .map(|_| {
                let address = if self.dice.one_in(6) { self.dice.pick(&PROGRAMS) } else { key(1 + self.dice.below(ACCOUNTS as usize + 1) as u8) };
                if self.dice.one_in(3) { readonly(address) } else { writable(address) }
            })
            .collect()
    }

    /// Instruction data with up to `most` blocks.
    fn blocks(&mut self, most: usize, depth: usize) -> Vec<u8> {
        let mut data = Vec::new();
        for _ in 0..most {
            let block = self.block(depth);
            block.write(&mut data);
            if block.hides_the_next() {
                break;
            }
        }
        data
    }

    /// A call with its memory: the struct that it may take, an address, and blocks for its callback.
    fn block(&mut self, depth: usize) -> Block {
        let mut syscall = self.dice.below(SYSCALLS.len());
        if ENDS.contains(&SYSCALLS[syscall].name) && self.dice.one_in(2) {
            syscall = self.dice.below(SYSCALLS.len());
        }
        let most = if depth < 2 { self.dice.below(3) } else { 0 };
        let nested = self.blocks(most, depth + 1);
        let address = if self.dice.one_in(4) { self.dice.pick(&PROGRAMS) } else { key(1 + self.dice.below(ACCOUNTS as usize) as u8) };
        let arguments = SYSCALLS[syscall].arguments;
        let fields = arguments.iter().find_map(|kind| if let Struct(fields) = kind { Some(*fields) } else { None }).unwrap_or(&[]);
        let len = (8 * fields.len() + 32 + nested.len()) as u64;
        let at = match self.dice.below(8) {
            0 => HEAP + HEAP_LEN - len,
            1 => HEAP + HEAP_LEN / 2 + self.dice.below(8) as u64,
            2 => (2 << 32) + self.dice.below(64) as u64,
            _ => HEAP,
        };
        let layout = Layout {
            at,
            key: at + 8 * fields.len() as u64,
            nested: at + len - nested.len() as u64,
            nested_len: nested.len() as u64,
            noise: self.dice.one_in(16),
        };
        let mut memory: Vec<_> = fields.iter().map(|kind| self.argument(*kind, &layout)).collect();
        memory.extend(words(&[&address.0[..], &nested].concat()));
        // Registers that the call does not take are noise.
        let mut registers = [0; 5].map(|_| self.number());
        for (register, kind) in registers.iter_mut().zip(arguments) {
            *register = self.argument(*kind, &layout);
        }
        Block { syscall, registers, at, memory }
    }

    fn argument(&mut self, kind: Kind, layout: &Layout) -> u64 {
        if layout.noise || self.dice.one_in(8) {
            return match self.dice.below(4) {
                0 => self.address(),
                1 => self.id(&[]),
                _ => self.number(),
            };
        }
        let slot = self.svm.engine().slot();
        let limits = self.limits.clone();
        match kind {
            Slot => {
                let ahead = self.dice.pick(&[0, 1, 1, 2, 3, 7, limits.min_timer_slots, limits.max_timer_slots, limits.max_timer_slots + 1]);
                slot.saturating_add(ahead)
            }
            Slots => self.dice.pick(&[0, 1, 2, 3, limits.max_timer_slots, limits.max_timer_slots + 1]),
            SlotsOrNone => self.dice.pick(&[0, 0, 0, 1, 2, 3, limits.max_timer_slots, limits.max_timer_slots + 1]),
            Deadline => {
                let later = slot.saturating_add(self.dice.below(9) as u64);
                self.dice.pick(&[0, 0, later, u64::MAX])
            }
            CatchUp => self.dice.pick(&[0, 1, 2, 3]),
            MaxTicks => self.dice.pick(&[0, 1, 2, 64, 65]),
            Priority => self.dice.pick(&[0, 1, 2, 3, 4]),
            Budget => {
                let most = limits.max_compute_budget.min(limits.slot_compute_limit);
                self.dice.pick(&[1, 1_000, 5_000, 20_000, most, most + 1, 0])
            }
            TimerId => self.id(&self.ids.timers.iter().copied().collect::<Vec<_>>()),
            WatcherId => self.id(&self.ids.watchers.iter().copied().collect::<Vec<_>>()),
            RingId => self.id(&self.ids.rings.iter().copied().collect::<Vec<_>>()),
            Size => self.dice.pick(&[63, 64, 65, 100, 4096, limits.max_ring_buffer_size, limits.max_ring_buffer_size + 1]),
            Rights => self.dice.pick(&[0, 1, 2, 3, 4]),
            Trigger => self.dice.pick(&[0, 1, 2, 3, 4]),
            ThresholdTrigger => self.dice.pick(&[3, 4, 4, 5, 5, 6]),
            Key => self.dice.pick(&[layout.key, layout.key, layout.key, 1, INPUT + 16]),
            Data => self.dice.pick(&[layout.nested, layout.nested, layout.nested, layout.nested, layout.at, 8, 0]),
            Output => match self.dice.below(4) {
                0 => self.address(),
                1 => INPUT + 8 * self.dice.below(16) as u64, // the first account: flags, key, owner, lamports, length, data
                _ => self.dice.pick(&[HEAP + 8192, HEAP + HEAP_LEN - 128, layout.at]),
            },
            Len => {
                let few = self.dice.pick(&[0, 1, 8, 40, 128, 250, limits.max_callback_data_len, limits.max_callback_data_len + 1]);
                if layout.nested_len == 0 { few } else { self.dice.pick(&[layout.nested_len, layout.nested_len, few]) }
            }
            Any => self.dice.pick(&[0, 0, 1, 8, 92]),
            Struct(_) => self.dice.pick(&[layout.at, layout.at, layout.at, layout.at, layout.at, layout.at, layout.at + 1, 0]),
        }
    }

    /// A number that somebody may have got wrong.
    fn number(&mut self) -> u64 {
        let slot = self.svm.engine().slot();
        let middle = match self.dice.below(6) {
            0 => self.dice.below(12) as u64,
            1 => {
                let row = &Limits::TABLE[self.dice.below(Limits::TABLE.len())];
                self.dice.pick(&[row.default, row.min, row.max])
            }
            2 => 1 << self.dice.below(64),
            3 => slot,
            4 => return self.dice.word(),
            _ => 0,
        };
        middle.wrapping_add(self.dice.pick(&[0, 0, 1, 2, u64::MAX, u64::MAX - 1]))
    }

    /// An id of this kind, if there is one, its neighbour, or one of something else.
    fn id(&mut self, ids: &[u64]) -> u64 {
        if !ids.is_empty() && !self.dice.one_in(8) {
            return self.dice.pick(ids);
        }
        let all: Vec<_> = [&self.ids.timers, &self.ids.watchers, &self.ids.rings].into_iter().flatten().chain(&self.ids.old).copied().collect();
        if all.is_empty() {
            return self.number();
        }
        self.dice.pick(&all).wrapping_add(self.dice.pick(&[0, 0, 1, u64::MAX, 1 << 20]))
    }

    /// An address at the edge of something, in a region, or anywhere.
    fn address(&mut self) -> u64 {
        let region = self.dice.pick(&[0, 1 << 32, 2 << 32, HEAP, INPUT, 5 << 32, 1 << 63]);
        let lens = [0, 32, CONSTANTS.len() as u64, 96, 4096, 8192, HEAP_LEN, 64 * 4096, 96 + 100, 96 + 100 + 10_240, 1 << 32];
        let offset = match self.dice.below(4) {
            0 => self.dice.below(20_000) as u64,
            1 => self.dice.word() >> self.dice.below(64),
            _ => self.dice.pick(&lens),
        };
        let nudge = self.dice.pick(&[0, 0, 1, 7, 8, 128]);
        let address = region.wrapping_add(offset);
        if self.dice.one_in(2) { address.wrapping_add(nudge) } else { address.wrapping_sub(nudge) }
    }
}

/// Where the parts of a block's memory will be.
struct Layout {
    at: u64,
    key: u64,
    nested: u64,
    nested_len: u64,
    /// Nothing in it is meant to work.
    noise: bool,
}

/// Instruction data that makes the program call another one, with `data` for that one.
fn invocation(callee: Address, data: &[u8]) -> Vec<u8> {
    // The instruction, the address of the callee, and the data, as sol_invoke_signed_c takes them.
    let mut memory = vec![HEAP + 40, 0, 0, HEAP + 72, data.len() as u64];
    memory.extend(words(&callee.0));
    memory.extend(words(data));
    let mut written = Vec::new();
    Block { syscall: INVOKE, registers: [HEAP, 0, 0, 0, 0], at: HEAP, memory }.write(&mut written);
    written
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()))
}

/// The calls that instruction data lists, if it is such a list, and all of them can be followed from outside.
fn calls(data: &[u8]) -> Option<Vec<Block>> {
    let all: Vec<_> = words(data).collect();
    let (mut rest, mut calls, mut followed) = (&all[..], Vec::new(), true);
    while !rest.is_empty() {
        let (head, behind) = rest.split_first_chunk::<8>()?;
        let [syscall, a, b, c, d, e, at, len] = *head;
        let memory = behind.get(..usize::try_from(len).ok()?)?.to_vec();
        rest = &behind[memory.len()..];
        let syscall = usize::try_from(syscall).ok().filter(|syscall| *syscall < SYSCALLS.len())?;
        let block = Block { syscall, registers: [a, b, c, d, e], at, memory };
        if !followed || (block.at >> 32 == INPUT >> 32 && !block.memory.is_empty()) {
            return None;
        }
        followed = !block.hides_the_next();
        calls.push(block);
    }
    data.len().is_multiple_of(8).then_some(calls)
}

/// The engine's counts must have moved by what the calls were told.
fn balance(before: &Stats, after: &Stats, calls: &[Block], codes: &[ErrorCode]) {
    let succeeded = |name: &str| {
        let successes = calls.iter().zip(codes).filter(|(_, code)| **code == Success);
        successes.filter(|(call, _)| call.call().name.starts_with(name)).count() as u64
    };
    let (timers, watchers, rings) = (succeeded("sol_timer_create"), succeeded("sol_watcher_create"), succeeded("sol_ring_buffer_create"));
    assert_eq!(after.timers_created, before.timers_created + timers);
    assert_eq!(after.timers_active + succeeded("sol_timer_cancel"), before.timers_active + timers);
    assert_eq!(after.watchers_created, before.watchers_created + watchers);
    assert_eq!(after.watchers_active + succeeded("sol_watcher_remove"), before.watchers_active + watchers);
    assert_eq!(after.rings_active + succeeded("sol_ring_buffer_destroy"), before.rings_active + rings);
    assert_eq!(after.tasks_submitted, before.tasks_submitted + succeeded("sol_task_schedule"));
    assert!(after.tasks_pending <= before.tasks_pending + succeeded("sol_task_schedule"));
}

/// The value and the error of the last call.
fn answer(outcome: &Outcome) -> (u64, u64) {
    let data = outcome.return_data.as_ref().expect("the program returns an answer");
    let mut words = words(data);
    (words.next().unwrap(), words.next().unwrap())
}

/// How a failed program ended.
fn end(outcome: &Outcome) -> &'static str {
    let failure = outcome.failure.as_ref().expect("it failed");
    let told = |what: &str| failure.message.contains(what) || outcome.logs.iter().any(|line| line.contains(what));
    if told("Access violation") {
        ACCESS_VIOLATION
    } else if told("exceeded CUs meter") || told("Computational budget exceeded") {
        OUT_OF_UNITS
    } else {
        let mut meddled = MEDDLED.into_iter().chain(MEDDLED_SELDOM);
        meddled.find(|reason| failure.reason == *reason).unwrap_or_else(|| panic!("an end like no other: {outcome:?}"))
    }
}

#[test]
fn no_block_does_harm() {
    let (blocks, seed) = (setting("BLOCKS", 200_000), setting("SEED", 1));
    let (start, mut memory) = (Instant::now(), Memory::new());
    let program = program();
    let mut tally = Tally::default();
    for seed in seed.. {
        Life::new(seed, &program, &mut tally).run(&mut Place { seed, round: 0 });
        memory.after(tally.blocks, blocks);
        if tally.blocks >= blocks {
            break;
        }
    }
    for ((name, end), count) in &tally.ends {
        println!("{count:>9} {name} {end}");
    }
    let Tally { blocks: made, invocations, callbacks, slots, outputs, slowest, .. } = tally;
    println!(
        "{made} blocks in {invocations} invocations and some of {callbacks} callbacks, {outputs} with output, {slots} slots, {:?}; the slowest {slowest:?}",
        start.elapsed()
    );
    println!("{}", memory.check());
    assert!(slowest < Duration::from_secs(10), "something took {slowest:?}");
    if made < 100_000 {
        return;
    }
    assert!(outputs > 0);
    for syscall in &SYSCALLS {
        let codes = ErrorCode::ALL.iter().filter(|code| syscall.may_answer(**code)).map(|code| code.name());
        let violation = syscall.takes_addresses().then_some(ACCESS_VIOLATION);
        for end in codes.chain(violation).chain([OUT_OF_UNITS]) {
            assert!(tally.ends.contains_key(&(syscall.name, end)), "{} never came to {end}", syscall.name);
        }
    }
    for end in MEDDLED {
        assert!(tally.ends.keys().any(|(_, known)| *known == end), "nothing came to {end}");
    }
}
