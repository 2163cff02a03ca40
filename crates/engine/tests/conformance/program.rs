//! What `programs/conformance` does, done on a [`Stage`]: the calls that the instruction data lists.

use super::script::{
    ACCOUNT_INDEX, CONTEXT_LEN, FAIL, FIRST_REFERENCE, LOOP, Memory, REQUESTED, RETURN_DATA_FULL, Reader, UNITS, UNKNOWN_OPCODE, custom,
    write_context, writes,
};
use async_bpf_engine::*;
use std::{collections::BTreeMap, sync::Arc};

const MAX_RETURN_DATA: usize = 1024;

/// What a call returns, and what it writes.
type Answer = (u64, Arc<[u8]>);

/// Runs a task. It uses the units that its script states, or 1: nothing runs for free.
pub fn execute(engine: &Engine, task: &Task, stage: Stage<'_>) -> Execution {
    let mut program = Program {
        engine,
        task,
        stage,
        script: Reader(&task.callback.data),
        values: Vec::new(),
        returned: Vec::new(),
        accounts: BTreeMap::new(),
        logs: Vec::new(),
        last_error: ErrorCode::Success,
    };
    let (units_consumed, result) = match program.run() {
        Ok((flags, units)) => program.end(flags, units),
        Err(failure) => (1, Err(failure)),
    };
    Execution { task_id: task.id, units_consumed, logs: program.logs, result, staged: program.stage.finish() }
}

fn failed(reason: &str, message: &str) -> Failure {
    Failure { code: ErrorCode::ExecutionFailed, reason: reason.into(), message: message.into(), custom: None }
}

struct Program<'a> {
    engine: &'a Engine,
    task: &'a Task,
    stage: Stage<'a>,
    script: Reader<'a>,
    /// What each record gave.
    values: Vec<u64>,
    returned: Vec<u8>,
    /// Copies of the accounts that it writes to.
    accounts: BTreeMap<Address, Account>,
    logs: Vec<String>,
    last_error: ErrorCode,
}

impl Program<'_> {
    /// Makes all calls. Returns how the script ends, and the units that it is to use.
    fn run(&mut self) -> Result<(u8, u64), Failure> {
        let flags = self.script.byte()?;
        let units = if flags & UNITS != 0 { self.script.number()? } else { 1 };
        while !self.script.0.is_empty() {
            self.record()?;
        }
        Ok((flags, units))
    }

    fn end(&mut self, flags: u8, units: u64) -> (u64, Result<Changes, Failure>) {
        let budget = self.task.callback.compute_budget;
        if flags & LOOP != 0 || units > budget {
            (budget, Err(failed("ProgramFailedToComplete", "exceeded CUs meter")))
        } else if flags & FAIL != 0 {
            (units, Err(custom(REQUESTED)))
        } else {
            (units, Ok(self.changes()))
        }
    }

    fn record(&mut self) -> Result<(), Failure> {
        let opcode = self.script.byte()?;
        let (value, bytes) = match opcode {
            17 => (self.stage.slot(), Arc::default()),
            18 => (self.last_error as u64, Arc::default()),
            19 => self.context()?,
            32 => self.log()?,
            33 => self.write_account()?,
            34 => self.move_lamports()?,
            _ => {
                let call = self.arguments(opcode)?;
                self.make(opcode, call)
            }
        };
        self.values.push(value);
        let error = if opcode < 32 { self.last_error } else { ErrorCode::Success };
        self.returned.extend(value.to_le_bytes());
        self.returned.extend((error as u64).to_le_bytes());
        if writes(opcode) {
            self.returned.extend((bytes.len() as u64).to_le_bytes());
            self.returned.extend(&*bytes);
        }
        if self.returned.len() > MAX_RETURN_DATA { Err(custom(RETURN_DATA_FULL)) } else { Ok(()) }
    }

    // ---- calls of the engine -------------------------------------------------------------------------------------

    /// The call that a record asks for, or why it cannot be made.
    fn arguments(&mut self, opcode: u8) -> Result<Result<Call, ErrorCode>, Failure> {
        let script = &mut self.script;
        Ok(match opcode {
            1 => {
                let (start, data, budget) = (script.number()?, script.memory()?, script.number()?);
                self.callback(data, budget).map(|callback| Call::TimerCreate(once(callback, start)))
            }
            2 => {
                let (start, period, data, budget) = (script.number()?, script.number()?, script.memory()?, script.number()?);
                self.callback(data, budget).map(|callback| Call::TimerCreate(TimerSpec { period_slots: Some(period), ..once(callback, start) }))
            }
            3 => {
                let mut options = [0; 6];
                for option in &mut options {
                    *option = script.number()?;
                }
                let (data, budget) = (script.memory()?, script.number()?);
                self.timer_with(options, data, budget)
            }
            4 => Ok(Call::TimerCancel { id: self.id()? }),
            5 => {
                let (account, number, data, budget) = (script.memory()?, script.number()?, script.memory()?, script.number()?);
                self.watcher(account, code(Trigger::simple(number)), data, budget)
            }
            6 => {
                let (account, number, offset, threshold) = (script.memory()?, script.number()?, script.number()?, script.number()?);
                let (data, budget) = (script.memory()?, script.number()?);
                self.watcher(account, code(Trigger::threshold(number, offset, threshold as i64)), data, budget)
            }
            7 => {
                let (account, offset, pattern) = (script.memory()?, script.number()?, script.memory()?);
                let (data, budget) = (script.memory()?, script.number()?);
                self.watcher(account, pattern.bytes().map(|pattern| Trigger::PatternMatch { offset, pattern }), data, budget)
            }
            8 => Ok(Call::WatcherSetMinSlots { id: self.id()?, slots: self.script.number()? }),
            9 => Ok(Call::WatcherRemove { id: self.id()? }),
            10 => Ok(Call::RingCreate { program: self.task.callback.program, size: Some(script.number()?), reader: RingReader::Program }),
            11 => {
                let (id, data) = (self.id()?, self.script.memory()?);
                data.bytes().map(|data| Call::RingPush { id, data })
            }
            12 | 13 => {
                let (id, output) = (self.id()?, self.script.memory()?);
                output.room().map(|max_len| if opcode == 12 { Call::RingPop { id, max_len } } else { Call::RingPeek { id, max_len } })
            }
            14 => {
                let (id, program, rights) = (self.id()?, self.script.memory()?, self.script.number()?);
                program.address().map(|program| Call::RingGrant { id, program, rights })
            }
            15 => Ok(Call::RingDestroy { id: self.id()? }),
            16 => {
                let (data, budget, priority, deadline) = (script.memory()?, script.number()?, script.number()?, script.number()?);
                self.task(data, budget, priority, deadline)
            }
            _ => return Err(custom(UNKNOWN_OPCODE)),
        })
    }

    /// An id; or what stands for the value of a record before this one.
    fn id(&mut self) -> Result<u64, Failure> {
        let number = self.script.number()?;
        let value = number.checked_sub(FIRST_REFERENCE).and_then(|record| self.values.get(record as usize));
        Ok(value.copied().unwrap_or(number))
    }

    /// A callback of this program with the accounts of this instruction. Nobody has signed for it.
    fn callback(&self, data: Memory, compute_budget: u64) -> Result<Arc<Callback>, ErrorCode> {
        let Callback { program, accounts, .. } = &*self.task.callback;
        let accounts = accounts.iter().map(|meta| AccountMeta { signer: false, ..*meta }).collect();
        Ok(Arc::new(Callback { program: *program, data: data.bytes()?, accounts, compute_budget }))
    }

    fn timer_with(&self, [start, period, deadline, catch_up, max_ticks, priority]: [u64; 6], data: Memory, budget: u64) -> Result<Call, ErrorCode> {
        let callback = self.callback(data, budget)?;
        let catch_up = match catch_up {
            0 => CatchUp::Once,
            1 => CatchUp::All { max_ticks },
            2 => CatchUp::Skip,
            _ => return Err(ErrorCode::InvalidArgument),
        };
        let priority = code(Priority::try_from(priority))?;
        let (period_slots, deadline_slot) = (some(period), some(deadline));
        Ok(Call::TimerCreate(TimerSpec { period_slots, deadline_slot, catch_up, priority, ..once(callback, start) }))
    }

    fn watcher(&self, account: Memory, trigger: Result<Trigger, ErrorCode>, data: Memory, budget: u64) -> Result<Call, ErrorCode> {
        let (account, callback) = (account.address()?, self.callback(data, budget)?);
        let spec = WatcherSpec { callback, account, trigger: trigger?, priority: Priority::High };
        Ok(Call::WatcherCreate { spec, min_slots_between_triggers: 1 })
    }

    fn task(&self, data: Memory, budget: u64, priority: u64, deadline: u64) -> Result<Call, ErrorCode> {
        let callback = self.callback(data, budget)?;
        let priority = code(Priority::try_from(priority))?;
        Ok(Call::TaskSchedule { callback, priority, deadline_slot: some(deadline) })
    }

    fn make(&mut self, opcode: u8, call: Result<Call, ErrorCode>) -> Answer {
        let caller = Caller::Program(self.task.callback.program);
        let answer = match call {
            Ok(call) => code(self.stage.call(caller, call)),
            Err(code) => {
                self.stage.refuse(code);
                Err(code)
            }
        };
        self.last_error = answer.as_ref().err().copied().unwrap_or(ErrorCode::Success);
        let returns_code = matches!(opcode, 4 | 8 | 9 | 11 | 14 | 15);
        match answer {
            Ok(Reply { value, bytes }) => (value, bytes),
            Err(code) => (if returns_code { code as u64 } else { 0 }, Arc::default()),
        }
    }

    fn context(&mut self) -> Result<Answer, Failure> {
        let is_callback = self.task.source.kind != SourceKind::Invoke;
        self.last_error = match self.script.memory()?.room() {
            Err(code) => code,
            Ok(room) if is_callback && room < CONTEXT_LEN => ErrorCode::OutputTooSmall,
            Ok(_) => ErrorCode::Success,
        };
        if self.last_error != ErrorCode::Success {
            self.stage.refuse(self.last_error);
        }
        if !is_callback || self.last_error != ErrorCode::Success {
            return Ok(Answer::default());
        }
        Ok((CONTEXT_LEN, write_context(self.task, self.stage.slot()).into()))
    }

    // ---- calls of the runtime ------------------------------------------------------------------------------------

    fn log(&mut self) -> Result<Answer, Failure> {
        let message = self.script.memory()?.bytes().map_err(|_| failed("ProgramFailedToComplete", "null pointer"))?;
        self.logs.push(format!("Program log: {}", String::from_utf8_lossy(&message)));
        Ok(Answer::default())
    }

    fn write_account(&mut self) -> Result<Answer, Failure> {
        let (index, offset, data) = (self.script.number()?, self.script.number()?, self.script.memory()?);
        let (bytes, account) = (data.bytes().unwrap_or_default(), self.account(index)?);
        let to = Arc::make_mut(&mut account.data).get_mut(offset as usize..).and_then(|rest| rest.get_mut(..bytes.len()));
        to.ok_or_else(|| failed("ProgramFailedToComplete", "beyond the account's data"))?.copy_from_slice(&bytes);
        Ok(Answer::default())
    }

    fn move_lamports(&mut self) -> Result<Answer, Failure> {
        let (from, to, amount) = (self.script.number()?, self.script.number()?, self.script.number()?);
        let unbalanced = || failed("UnbalancedInstruction", "lamports come from nowhere");
        let from = self.account(from)?;
        from.lamports = from.lamports.checked_sub(amount).ok_or_else(unbalanced)?;
        let to = self.account(to)?;
        to.lamports = to.lamports.checked_add(amount).ok_or_else(unbalanced)?;
        Ok(Answer::default())
    }

    /// An account to write to. What runs ahead relies on nobody's writing to any other.
    fn account(&mut self, index: u64) -> Result<&mut Account, Failure> {
        let meta = self.task.callback.accounts.get(index as usize).ok_or_else(|| custom(ACCOUNT_INDEX))?;
        if !meta.writable {
            return Err(failed("ReadonlyDataModified", "the account is read-only"));
        }
        Ok(self.accounts.entry(meta.address).or_insert_with(|| self.engine.account(&meta.address).cloned().unwrap_or_default()))
    }

    /// What is different after it, in the order of the instruction.
    fn changes(&mut self) -> Changes {
        let mut accounts = Vec::new();
        for meta in &self.task.callback.accounts {
            let before = self.engine.account(&meta.address).cloned().unwrap_or_default();
            if let Some(account) = self.accounts.remove(&meta.address)
                && account != before
            {
                accounts.push((meta.address, Some(account)));
            }
        }
        let return_data = std::mem::take(&mut self.returned);
        Changes { accounts: accounts.into(), return_data: (!return_data.is_empty()).then_some(return_data) }
    }
}

fn once(callback: Arc<Callback>, start_slot: u64) -> TimerSpec {
    TimerSpec { callback, start_slot, period_slots: None, deadline_slot: None, catch_up: CatchUp::Once, priority: Priority::Normal }
}

fn code<T>(result: Result<T, Error>) -> Result<T, ErrorCode> {
    result.map_err(|error| error.code())
}

/// In the structs of programs 0 stands for none.
fn some(value: u64) -> Option<u64> {
    (value != 0).then_some(value)
}
