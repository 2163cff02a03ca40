//! A host whose programs are closures.

#![allow(dead_code, reason = "each test uses its part")]

use async_bpf_engine::*;
use std::sync::Arc;

pub const PROGRAM: Address = Address([1; 32]);
pub const OTHER: Address = Address([2; 32]);
pub const STRANGER: Address = Address([9; 32]);
pub const ACCOUNT: Address = Address([100; 32]);

pub const OWNER: Caller = Caller::Program(PROGRAM);
pub const PEER: Caller = Caller::Program(OTHER);
pub const HOST: Caller = Caller::Host;

/// What a program does: makes calls, and says what it changed and what it cost.
pub type Behaviour<'a> = &'a dyn Fn(&Engine, &Task, &mut Stage<'_>) -> (u64, Result<Changes, Failure>);

/// A program that does nothing, for free.
pub fn idle(_: &Engine, _: &Task, _: &mut Stage<'_>) -> (u64, Result<Changes, Failure>) {
    (0, Ok(Changes::default()))
}

/// A program that fails.
pub fn fails(_: &Engine, _: &Task, _: &mut Stage<'_>) -> (u64, Result<Changes, Failure>) {
    (7, Err(failure()))
}

pub fn failure() -> Failure {
    Failure { code: ErrorCode::ExecutionFailed, reason: "Custom".into(), message: "as asked".into(), custom: Some(1) }
}

pub fn execute(engine: &Engine, task: &Task, mut stage: Stage<'_>, behaviour: Behaviour<'_>) -> Execution {
    let (units_consumed, result) = behaviour(engine, task, &mut stage);
    let staged = stage.finish();
    let logs = vec![format!("codes {:?}", staged.codes())];
    Execution { task_id: task.id, units_consumed, logs, result, staged }
}

/// An engine with two programs.
pub fn engine_with(change: impl FnOnce(&mut Limits)) -> Engine {
    let mut config = Config::default();
    change(&mut config.limits);
    let mut engine = Engine::new(config).unwrap();
    for program in [PROGRAM, OTHER] {
        engine.add_program(program, program.0, Vec::new()).unwrap();
    }
    engine
}

pub fn engine() -> Engine {
    engine_with(|_| {})
}

/// One slot, a task at a time.
pub fn slot(engine: &mut Engine, slot: u64, behaviour: Behaviour<'_>) -> SlotReport {
    speculative_slot(engine, slot, behaviour, &mut |_| 1)
}

/// One slot, where `ahead` says how many of so many tasks run before the first of them is committed.
pub fn speculative_slot(engine: &mut Engine, slot: u64, behaviour: Behaviour<'_>, ahead: &mut dyn FnMut(usize) -> usize) -> SlotReport {
    let mut progress = engine.step(SlotInput { slot, unix_timestamp: None }).unwrap();
    loop {
        match progress {
            Progress::Report(report) => return report,
            Progress::Batch => {
                let batch = engine.batch();
                let tasks: Vec<_> = batch.iter().take(ahead(batch.len()).max(1)).collect();
                let count = independent(&tasks);
                let executions: Vec<_> = (0..count).map(|index| execute(engine, batch.task(index), engine.stage(index), behaviour)).collect();
                commit(engine, executions, &|engine, task, stage| execute(engine, task, stage, behaviour));
                progress = engine.advance();
            }
        }
    }
}

/// Takes the outcomes of the first tasks, and runs a task again at its turn when its outcome does not hold.
pub fn commit(engine: &mut Engine, executions: Vec<Execution>, run: &dyn Fn(&Engine, &Task, Stage<'_>) -> Execution) {
    for execution in executions {
        // An earlier one may have cancelled it.
        if engine.batch().iter().next().is_some_and(|task| task.id == execution.task_id) && engine.commit(execution).is_err() {
            let again = run(engine, engine.batch().task(0), engine.stage(0));
            assert!(engine.commit(again).is_ok(), "nothing comes between");
        }
    }
}

/// How many tasks from the front share no account that one of them writes.
fn independent(batch: &[&Task]) -> usize {
    let conflict = |a: &Task, b: &Task| {
        let pairs = a.callback.accounts.iter().flat_map(|a| b.callback.accounts.iter().map(move |b| (a, b)));
        pairs.into_iter().any(|(a, b)| a.address == b.address && (a.writable || b.writable))
    };
    (1..batch.len()).find(|index| (0..*index).any(|earlier| conflict(batch[earlier], batch[*index]))).unwrap_or(batch.len())
}

/// Runs an instruction now.
pub fn invoke(engine: &mut Engine, behaviour: Behaviour<'_>) -> Outcome {
    let task = engine.begin_invoke(Arc::unwrap_or_clone(callback())).unwrap();
    let execution = execute(engine, &task, engine.invoke_stage(&task), behaviour);
    engine.commit_invoke(&task, execution)
}

// ---- arguments -------------------------------------------------------------------------------------------------------

pub fn callback_of(program: Address, budget: u64) -> Arc<Callback> {
    Arc::new(Callback { program, data: vec![], accounts: vec![], compute_budget: budget })
}

pub fn callback() -> Arc<Callback> {
    callback_of(PROGRAM, 1000)
}

pub fn once(start_slot: u64) -> TimerSpec {
    let (deadline_slot, catch_up, priority) = (None, CatchUp::Once, Priority::Normal);
    TimerSpec { callback: callback(), start_slot, period_slots: None, deadline_slot, catch_up, priority }
}

pub fn periodic(start_slot: u64, period_slots: u64, catch_up: CatchUp) -> TimerSpec {
    TimerSpec { period_slots: Some(period_slots), catch_up, ..once(start_slot) }
}

pub fn watcher(trigger: Trigger) -> WatcherSpec {
    WatcherSpec { callback: callback(), account: ACCOUNT, trigger, priority: Priority::High }
}

pub fn task(priority: Priority, deadline_slot: Option<u64>, budget: u64) -> Call {
    Call::TaskSchedule { callback: callback_of(PROGRAM, budget), priority, deadline_slot }
}

pub fn account(lamports: u64, data: &[u8]) -> Account {
    Account { lamports, data: Arc::new(data.to_vec()), owner: PROGRAM, executable: false }
}

pub fn update(lamports: u64, data: &[u8]) -> AccountUpdate {
    AccountUpdate { address: ACCOUNT, account: account(lamports, data), write_version: None }
}

// ---- calls of the host that must succeed -----------------------------------------------------------------------------

pub fn create(engine: &mut Engine, call: Call) -> u64 {
    engine.call(HOST, call).unwrap().value
}

pub fn timer(engine: &mut Engine, spec: TimerSpec) -> u64 {
    create(engine, Call::TimerCreate(spec))
}

pub fn watch(engine: &mut Engine, trigger: Trigger) -> u64 {
    create(engine, Call::WatcherCreate { spec: watcher(trigger), min_slots_between_triggers: 1 })
}

pub fn ring(engine: &mut Engine, size: u64, reader: RingReader) -> u64 {
    create(engine, Call::RingCreate { program: PROGRAM, size: Some(size), reader })
}

pub fn push(id: u64, data: &[u8]) -> Call {
    Call::RingPush { id, data: data.to_vec() }
}

pub fn pop(id: u64) -> Call {
    Call::RingPop { id, max_len: u64::MAX }
}

pub fn code<T>(result: Result<T, Error>) -> ErrorCode {
    result.map_or_else(|error| error.code(), |_| ErrorCode::Success)
}
