//! The host API, with arguments and results as JSON, by the names of `bindings/ts/types.ts`. Enumerations are names, bytes are hex,
//! what is not there is null.

use super::{program, script};
use async_bpf_engine::*;
use serde_json::{Value, json};
use std::sync::Arc;

/// What an instruction gets when nobody asks for more.
const DEFAULT_COMPUTE_BUDGET: u64 = 200_000;
const DEFAULT_MAX_TICKS: u64 = 16;

const PRIORITIES: [&str; 4] = ["LOW", "NORMAL", "HIGH", "CRITICAL"];
const CATCH_UPS: [&str; 3] = ["ONCE", "ALL", "SKIP"];
const TRIGGERS: [&str; 7] = ["ANY_CHANGE", "LAMPORT_CHANGE", "DATA_CHANGE", "OWNER_CHANGE", "THRESHOLD_ABOVE", "THRESHOLD_BELOW", "PATTERN_MATCH"];
const TIMER_STATES: [&str; 6] = ["PENDING", "EXECUTING", "COMPLETED", "CANCELLED", "EXPIRED", "FAILED"];
const RING_STATES: [RingState; 4] = [RingState::Active, RingState::Paused, RingState::Closed, RingState::Draining];
const READERS: [&str; 2] = ["program", "host"];
const SOURCES: [&str; 4] = ["invoke", "timer", "watcher", "task"];
const STATUSES: [&str; 3] = ["committed", "failed", "expired"];

pub struct Host {
    pub engine: Engine,
    /// How many tasks run before the first of them is committed, at most.
    pub ahead: usize,
}

impl Host {
    /// Runs an instruction now.
    pub fn invoke(&mut self, arguments: &Value) -> Result<Value, Error> {
        let callback = Arc::unwrap_or_clone(Arguments(&self.with_budget(arguments)).callback()?);
        let task = self.engine.begin_invoke(callback)?;
        let execution = program::execute(&self.engine, &task, self.engine.invoke_stage(&task));
        Ok(outcome(&self.engine.commit_invoke(&task, execution)))
    }

    pub fn process_slot(&mut self, slot: u64, unix_timestamp: Option<i64>) -> Result<Value, Error> {
        let engine = &mut self.engine;
        let mut progress = engine.step(SlotInput { slot, unix_timestamp })?;
        loop {
            match progress {
                Progress::Report(done) => return Ok(report(&done)),
                Progress::Batch => {
                    let batch = engine.batch();
                    let count = independent(&batch.iter().take(self.ahead).collect::<Vec<_>>());
                    let executions: Vec<_> = (0..count).map(|index| program::execute(engine, batch.task(index), engine.stage(index))).collect();
                    for execution in executions {
                        // An earlier one may have cancelled it.
                        let is_next = engine.batch().iter().next().is_some_and(|task| task.id == execution.task_id);
                        if is_next && engine.commit(execution).is_err() {
                            let again = program::execute(engine, engine.batch().task(0), engine.stage(0));
                            assert!(engine.commit(again).is_ok(), "nothing comes between");
                        }
                    }
                    progress = engine.advance();
                }
            }
        }
    }

    /// The arguments, with the budget that a callback has when it states none.
    fn with_budget(&self, arguments: &Value) -> Value {
        let limits = self.engine.limits();
        let budget = DEFAULT_COMPUTE_BUDGET.min(limits.max_compute_budget).min(limits.slot_compute_limit);
        let mut arguments = arguments.clone();
        if let Some(members) = arguments.as_object_mut() {
            members.entry("computeBudget").or_insert(budget.into());
        }
        arguments
    }

    pub fn method(&mut self, name: &str, arguments: &Value) -> Result<Value, Error> {
        let arguments = &self.with_budget(arguments);
        let (engine, arguments) = (&mut self.engine, Arguments(arguments));
        let (call, reply): (Call, fn(Reply) -> Value) = match name {
            "addProgram" => return engine.add_program(arguments.address("address")?, [0; 32], Vec::new()).map(|()| Value::Null),
            "removeProgram" => return engine.remove_program(arguments.address("address")?).map(|()| Value::Null),
            "setAccount" => return engine.set_account(arguments.address("address")?, Some(arguments.account()?)).map(|()| Value::Null),
            "getAccount" => return arguments.address("address").map(|address| optional(engine.account(&address), |found| account(&address, found))),
            "updateAccounts" => return engine.update_accounts(arguments.updates()?).map(|()| Value::Null),
            "stats" => return Ok(stats(&engine.stats())),
            "drain" => return engine.drain().map(|()| Value::Null),
            "timers.get" => return Ok(optional(engine.timer(arguments.number("id")?), timer)),
            "timers.list" => return Ok(engine.timers_of(arguments.address("programId")?).map(timer).collect()),
            "watchers.get" => return Ok(optional(engine.watcher(arguments.number("id")?), watcher)),
            "watchers.list" => return Ok(engine.watchers_of(&arguments.address("account")?).map(watcher).collect()),
            "rings.get" => return Ok(optional(engine.ring(arguments.number("id")?), ring)),
            "rings.drain" => {
                let (id, max) = (arguments.number("id")?, arguments.optional("max")?.unwrap_or(u32::MAX.into()));
                return Ok(engine.drain_ring(id, max as usize)?.iter().map(|entry| ring_entry(entry)).collect());
            }
            "timers.create" => (Call::TimerCreate(arguments.timer(false)?), id),
            "timers.createPeriodic" => (Call::TimerCreate(arguments.timer(true)?), id),
            "timers.cancel" => (Call::TimerCancel { id: arguments.number("id")? }, nothing),
            "watchers.create" => (arguments.watcher()?, id),
            "watchers.remove" => (Call::WatcherRemove { id: arguments.number("id")? }, nothing),
            "watchers.pause" => (Call::WatcherSetActive { id: arguments.number("id")?, active: false }, nothing),
            "watchers.resume" => (Call::WatcherSetActive { id: arguments.number("id")?, active: true }, nothing),
            "watchers.setMinSlots" => {
                (Call::WatcherSetMinSlots { id: arguments.number("id")?, slots: arguments.number("minSlotsBetweenTriggers")? }, nothing)
            }
            "rings.create" => {
                let reader = if arguments.choice("reader", &READERS, Some(0))? == 1 { RingReader::Host } else { RingReader::Program };
                (Call::RingCreate { program: arguments.address("programId")?, size: arguments.optional("size")?, reader }, id)
            }
            "rings.push" => (Call::RingPush { id: arguments.number("id")?, data: arguments.bytes("data")? }, nothing),
            "rings.pop" => (Call::RingPop { id: arguments.number("id")?, max_len: u64::MAX }, entry_data),
            "rings.peek" => (Call::RingPeek { id: arguments.number("id")?, max_len: u64::MAX }, entry_data),
            "rings.setState" => {
                let state = RING_STATES[arguments.choice("state", &RING_STATES.map(RingState::name), None)?];
                (Call::RingSetState { id: arguments.number("id")?, state }, nothing)
            }
            "rings.grant" => {
                let (id, program, rights) = (arguments.number("id")?, arguments.address("programId")?, arguments.number("rights")?);
                (Call::RingGrant { id, program, rights }, nothing)
            }
            "rings.destroy" => (Call::RingDestroy { id: arguments.number("id")? }, nothing),
            "tasks.submit" => {
                let (callback, priority) = (arguments.callback()?, arguments.priority(Priority::Normal)?);
                (Call::TaskSchedule { callback, priority, deadline_slot: arguments.optional("deadlineSlot")? }, id)
            }
            _ => unreachable!("{name} is not in schema.json"),
        };
        engine.call(Caller::Host, call).map(reply)
    }
}

/// How many tasks from the front share no account that one of them writes.
fn independent(batch: &[&Task]) -> usize {
    let conflict = |a: &Task, b: &Task| {
        let mut pairs = a.callback.accounts.iter().flat_map(|a| b.callback.accounts.iter().map(move |b| (a, b)));
        pairs.any(|(a, b)| a.address == b.address && (a.writable || b.writable))
    };
    (1..batch.len()).find(|&index| batch[..index].iter().any(|earlier| conflict(earlier, batch[index]))).unwrap_or(batch.len())
}

// ---- arguments -------------------------------------------------------------------------------------------------------

/// The arguments of a method. What a u64 cannot be is a string by now.
struct Arguments<'a>(&'a Value);

impl Arguments<'_> {
    fn invalid(&self, argument: &'static str, expected: &str) -> Error {
        Error::InvalidArgument { argument, value: self.0[argument].to_string(), expected: expected.into() }
    }

    fn number(&self, name: &'static str) -> Result<u64, Error> {
        self.0[name].as_u64().ok_or_else(|| self.invalid(name, "a u64"))
    }

    fn optional(&self, name: &'static str) -> Result<Option<u64>, Error> {
        if self.0[name].is_null() { Ok(None) } else { self.number(name).map(Some) }
    }

    fn address(&self, name: &'static str) -> Result<Address, Error> {
        self.0[name].as_str().and_then(|text| text.parse().ok()).ok_or_else(|| self.invalid(name, "an address"))
    }

    /// None when they are not given.
    fn bytes(&self, name: &'static str) -> Result<Vec<u8>, Error> {
        script::unhex(self.0[name].as_str().unwrap_or_default()).ok_or_else(|| self.invalid(name, "hex"))
    }

    /// The index of a name.
    fn choice(&self, name: &'static str, names: &[&str], default: Option<usize>) -> Result<usize, Error> {
        match &self.0[name] {
            Value::Null => default,
            given => names.iter().position(|name| given == name),
        }
        .ok_or_else(|| self.invalid(name, &format!("one of {}", names.join(", "))))
    }

    fn priority(&self, default: Priority) -> Result<Priority, Error> {
        Priority::try_from(self.choice("priority", &PRIORITIES, Some(default as usize))? as u64)
    }

    fn callback(&self) -> Result<Arc<Callback>, Error> {
        let meta = |value: &Value| {
            let flag = |name| value[name].as_bool().unwrap_or(false);
            Ok(AccountMeta { address: Arguments(value).address("address")?, signer: flag("isSigner"), writable: flag("isWritable") })
        };
        Ok(Arc::new(Callback {
            program: self.address("programId")?,
            data: self.bytes("data")?,
            accounts: self.0["accounts"].as_array().into_iter().flatten().map(meta).collect::<Result<_, Error>>()?,
            compute_budget: self.number("computeBudget")?,
        }))
    }

    fn timer(&self, is_periodic: bool) -> Result<TimerSpec, Error> {
        let (callback, priority) = (self.callback()?, self.priority(Priority::Normal)?);
        if !is_periodic {
            let (start_slot, deadline_slot) = (self.number("triggerSlot")?, self.optional("deadlineSlot")?);
            return Ok(TimerSpec { callback, start_slot, period_slots: None, deadline_slot, catch_up: CatchUp::Once, priority });
        }
        let (start_slot, period_slots) = (self.number("startSlot")?, Some(self.number("periodSlots")?));
        let max_ticks = self.optional("maxTicks")?.unwrap_or(DEFAULT_MAX_TICKS);
        let catch_up = [CatchUp::Once, CatchUp::All { max_ticks }, CatchUp::Skip][self.choice("catchUp", &CATCH_UPS, Some(0))?];
        Ok(TimerSpec { callback, start_slot, period_slots, deadline_slot: None, catch_up, priority })
    }

    fn watcher(&self) -> Result<Call, Error> {
        let (callback, account, priority) = (self.callback()?, self.address("account")?, self.priority(Priority::High)?);
        let number = self.choice("trigger", &TRIGGERS, None)? as u64;
        let offset = self.optional("offset")?.unwrap_or(0);
        // An argument that would be ignored is a mistake about what the trigger does.
        for (name, used) in [("threshold", matches!(number, 4 | 5)), ("pattern", number == 6), ("offset", number >= 4)] {
            if !used && !self.0[name].is_null() {
                return Err(self.invalid(name, "absent with this trigger"));
            }
        }
        let trigger = match number {
            0..4 => Trigger::simple(number)?,
            6 => Trigger::PatternMatch { offset, pattern: self.bytes("pattern")? },
            _ => Trigger::threshold(number, offset, self.0["threshold"].as_i64().ok_or_else(|| self.invalid("threshold", "an i64"))?)?,
        };
        let min_slots_between_triggers = self.optional("minSlotsBetweenTriggers")?.unwrap_or(1);
        Ok(Call::WatcherCreate { spec: WatcherSpec { callback, account, trigger, priority }, min_slots_between_triggers })
    }

    fn account(&self) -> Result<Account, Error> {
        let owner = if self.0["owner"].is_null() { Address::SYSTEM_PROGRAM } else { self.address("owner")? };
        let executable = self.0["executable"].as_bool().unwrap_or(false);
        Ok(Account { lamports: self.number("lamports")?, data: Arc::new(self.bytes("data")?), owner, executable })
    }

    fn updates(&self) -> Result<Vec<AccountUpdate>, Error> {
        let update = |value: &Value| {
            let update = Arguments(value);
            Ok(AccountUpdate { address: update.address("address")?, account: update.account()?, write_version: update.optional("writeVersion")? })
        };
        self.0["updates"].as_array().into_iter().flatten().map(update).collect()
    }
}

// ---- results ---------------------------------------------------------------------------------------------------------

fn nothing(_: Reply) -> Value {
    Value::Null
}

fn id(reply: Reply) -> Value {
    reply.value.into()
}

/// Entries are never empty: no bytes are no entry.
fn entry_data(reply: Reply) -> Value {
    if reply.value == 0 { Value::Null } else { script::hex(&reply.bytes).into() }
}

fn optional<T>(value: Option<T>, to_json: impl FnOnce(T) -> Value) -> Value {
    value.map_or(Value::Null, to_json)
}

fn account(address: &Address, account: &Account) -> Value {
    let Account { lamports, data, owner, executable } = account;
    json!({ "address": address.to_string(), "lamports": lamports, "data": script::hex(data), "owner": owner.to_string(), "executable": executable })
}

fn metas(callback: &Callback) -> Value {
    let meta = |meta: &AccountMeta| json!({ "address": meta.address.to_string(), "isSigner": meta.signer, "isWritable": meta.writable });
    callback.accounts.iter().map(meta).collect()
}

fn timer(timer: &Timer) -> Value {
    let TimerSpec { callback, period_slots, deadline_slot, priority, .. } = &*timer.spec;
    let mode = match (period_slots, deadline_slot) {
        (Some(_), _) => "periodic",
        (None, Some(_)) => "deadline",
        (None, None) => "one-shot",
    };
    json!({
        "id": timer.id, "programId": callback.program.to_string(), "mode": mode, "triggerSlot": timer.trigger_slot,
        "periodSlots": period_slots.unwrap_or(0), "deadlineSlot": deadline_slot, "state": TIMER_STATES[timer.state as usize],
        "executionCount": timer.execution_count, "missedCount": timer.missed_count, "data": script::hex(&callback.data),
        "accounts": metas(callback), "computeBudget": callback.compute_budget, "priority": PRIORITIES[*priority as usize],
    })
}

fn watcher(watcher: &Watcher) -> Value {
    let WatcherSpec { callback, account, trigger, priority } = &*watcher.spec;
    let (offset, threshold, pattern) = match trigger {
        Trigger::ThresholdAbove { offset, threshold } | Trigger::ThresholdBelow { offset, threshold } => (Some(offset), Some(threshold), None),
        Trigger::PatternMatch { offset, pattern } => (Some(offset), None, Some(script::hex(pattern))),
        _ => (None, None, None),
    };
    json!({
        "id": watcher.id, "programId": callback.program.to_string(), "account": account.to_string(),
        "trigger": TRIGGERS[usize::from(trigger.number())], "threshold": threshold, "offset": offset, "pattern": pattern,
        "active": watcher.active, "triggerCount": watcher.trigger_count, "suppressedCount": watcher.suppressed_count,
        "lastTriggerSlot": watcher.last_trigger_slot, "minSlotsBetweenTriggers": watcher.min_slots_between_triggers,
        "data": script::hex(&callback.data), "accounts": metas(callback), "computeBudget": callback.compute_budget,
        "priority": PRIORITIES[*priority as usize],
    })
}

fn ring((header, entries): (&RingHeader, u64)) -> Value {
    json!({
        "id": header.id, "owner": header.owner.to_string(), "capacity": header.capacity, "used": header.used, "entries": entries,
        "state": header.state.name(), "reader": READERS[header.reader as usize], "nextSequence": header.next_sequence,
    })
}

fn ring_entry(entry: &RingEntry) -> Value {
    json!({ "sequence": entry.sequence, "slot": entry.slot, "data": script::hex(&entry.data) })
}

fn outcome(outcome: &Outcome) -> Value {
    let error = |failure: &Failure| {
        let name = failure.code.name();
        json!({ "code": failure.code as u64, "name": name, "message": failure.message, "reason": failure.reason, "customCode": failure.custom })
    };
    json!({
        "taskId": outcome.task_id, "programId": outcome.program.to_string(), "status": STATUSES[outcome.status as usize],
        "source": { "kind": SOURCES[outcome.source.kind as usize], "id": outcome.source.id },
        "error": optional(outcome.failure.as_ref(), error), "unitsConsumed": outcome.units_consumed, "logs": outcome.logs,
        "returnData": optional(outcome.return_data.as_ref(), |data| script::hex(data).into()),
        "stagedCodes": outcome.staged_codes.iter().map(|code| code.name()).collect::<Vec<_>>(),
    })
}

fn report(report: &SlotReport) -> Value {
    json!({
        "slot": report.slot, "outcomes": report.outcomes.iter().map(outcome).collect::<Vec<_>>(), "timersFired": report.timers_fired,
        "watchersTriggered": report.watchers_triggered, "tasksQueued": report.tasks_queued, "tasksPending": report.tasks_pending,
        "unitsConsumed": report.units_consumed, "stateHash": report.state_hash.to_string(),
    })
}

fn stats(stats: &Stats) -> Value {
    json!({
        "timersCreated": stats.timers_created, "timersActive": stats.timers_active, "timersFired": stats.timers_fired,
        "watchersCreated": stats.watchers_created, "watchersActive": stats.watchers_active,
        "watchersTriggered": stats.watchers_triggered, "watchersSuppressed": stats.watchers_suppressed, "ringsActive": stats.rings_active,
        "tasksSubmitted": stats.tasks_submitted, "tasksCompleted": stats.tasks_completed, "tasksFailed": stats.tasks_failed,
        "tasksExpired": stats.tasks_expired, "tasksPending": stats.tasks_pending, "unitsConsumed": stats.units_consumed,
        "slotsProcessed": stats.slots_processed,
    })
}
