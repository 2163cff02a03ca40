//! The instruction data of `programs/conformance` and what the program returns; the head of `conformance.c` defines both.

use async_bpf_engine::{Address, ErrorCode, Failure, Task};
use serde_json::{Value, json};

/// Opcode, name and parameters of each call: `n` is a number, `i` an id, `b` bytes. Calls that pass on a struct of the vector are
/// not among them, nor is `invoke`.
const CALLS: [(u8, &str, &str); 22] = [
    (1, "sol_timer_create", "n trigger_slot, b data, n compute_budget"),
    (2, "sol_timer_create_periodic", "n start_slot, n period_slots, b data, n compute_budget"),
    (3, "sol_timer_create_with", "n trigger_slot, n period_slots, n deadline_slot, n catch_up, n max_ticks, n priority, b data, n compute_budget"),
    (4, "sol_timer_cancel", "i timer_id"),
    (5, "sol_watcher_create", "b pubkey, n trigger_type, b data, n compute_budget"),
    (6, "sol_watcher_create_threshold", "b pubkey, n trigger_type, n offset, n threshold, b data, n compute_budget"),
    (7, "sol_watcher_create_pattern", "b pubkey, n offset, b pattern, b data, n compute_budget"),
    (8, "sol_watcher_set_min_slots", "i watcher_id, n n"),
    (9, "sol_watcher_remove", "i watcher_id"),
    (10, "sol_ring_buffer_create", "n size"),
    (11, "sol_ring_buffer_push", "i buffer_id, b data"),
    (12, "sol_ring_buffer_pop", "i buffer_id, b output"),
    (13, "sol_ring_buffer_peek", "i buffer_id, b output"),
    (14, "sol_ring_buffer_grant", "i buffer_id, b program_pubkey, n rights"),
    (15, "sol_ring_buffer_destroy", "i buffer_id"),
    (16, "sol_task_schedule", "b data, n compute_budget, n priority, n deadline_slot"),
    (17, "sol_get_slot", ""),
    (18, "sol_async_last_error", ""),
    (19, "sol_async_context", "b output"),
    (32, "log", "b message"),
    (33, "write_account", "n account, n offset, b data"),
    (34, "move_lamports", "n from, n to, n amount"),
];

/// Whether bytes come back from a call.
pub fn writes(opcode: u8) -> bool {
    matches!(opcode, 12 | 13 | 19)
}

/// Bits of the flags with which a script begins.
pub const FAIL: u8 = 1;
pub const LOOP: u8 = 2;
pub const UNITS: u8 = 4;

/// With k added, the value that record k of the same script gave.
pub const FIRST_REFERENCE: u64 = 0xFFFF_FFFF_FFFF_FF00;

/// Custom errors.
pub const TRUNCATED: u32 = 1;
pub const UNKNOWN_OPCODE: u32 = 2;
pub const UNKNOWN_KIND: u32 = 3;
pub const RETURN_DATA_FULL: u32 = 4;
pub const ACCOUNT_INDEX: u32 = 5;
pub const REQUESTED: u32 = 7;

pub fn custom(code: u32) -> Failure {
    let message = format!("custom program error: {code:#x}");
    Failure { code: ErrorCode::ExecutionFailed, reason: "Custom".into(), message, custom: Some(code) }
}

/// Opcode and parameters of a call, each parameter with its kind.
pub fn signature(name: &str) -> Option<(u8, Vec<(&'static str, &'static str)>)> {
    let (opcode, _, parameters) = CALLS.iter().find(|call| call.1 == name)?;
    Some((*opcode, parameters.split(", ").filter_map(|parameter| parameter.split_once(' ')).collect()))
}

/// Memory that a call is passed.
pub enum Memory {
    /// Address 0 with a length.
    Null(u64),
    Bytes(Vec<u8>),
    /// So many zero bytes that the program can write.
    Room(u64),
}

impl Memory {
    pub fn len(&self) -> u64 {
        match self {
            Memory::Null(len) | Memory::Room(len) => *len,
            Memory::Bytes(bytes) => bytes.len() as u64,
        }
    }

    pub fn bytes(self) -> Result<Vec<u8>, ErrorCode> {
        match self {
            Memory::Null(0) => Ok(Vec::new()),
            Memory::Null(_) => Err(ErrorCode::NullPointer),
            Memory::Bytes(bytes) => Ok(bytes),
            Memory::Room(len) => Ok(vec![0; len as usize]),
        }
    }

    /// The address in it, for calls that take no length.
    pub fn address(self) -> Result<Address, ErrorCode> {
        match self {
            Memory::Null(_) => Err(ErrorCode::NullPointer),
            other => Ok(Address(other.bytes()?.try_into().expect("vectors give 32 bytes for an address"))),
        }
    }

    /// How much room for output it is.
    pub fn room(&self) -> Result<u64, ErrorCode> {
        match self {
            Memory::Null(1..) => Err(ErrorCode::NullPointer),
            other => Ok(other.len()),
        }
    }
}

// ---- writing a script ------------------------------------------------------------------------------------------------

/// A script without calls yet.
pub fn start(end: Option<&str>, units: Option<u64>) -> Vec<u8> {
    let end = match end {
        None => 0,
        Some("fail") => FAIL,
        Some(_) => LOOP,
    };
    match units {
        None => vec![end],
        Some(units) => [&[end | UNITS], &units.to_le_bytes()[..]].concat(),
    }
}

pub fn write_number(script: &mut Vec<u8>, number: u64) {
    script.extend(number.to_le_bytes());
}

pub fn write_memory(script: &mut Vec<u8>, memory: &Memory) {
    script.push(match memory {
        Memory::Null(_) => 0,
        Memory::Bytes(_) => 1,
        Memory::Room(_) => 3,
    });
    write_number(script, memory.len());
    if let Memory::Bytes(bytes) = memory {
        script.extend(bytes);
    }
}

// ---- reading it ------------------------------------------------------------------------------------------------------

/// What is left of a script; what cannot be read fails the program that reads it.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: u64) -> Result<&'a [u8], Failure> {
        let (taken, rest) = usize::try_from(len).ok().and_then(|len| self.0.split_at_checked(len)).ok_or_else(|| custom(TRUNCATED))?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn byte(&mut self) -> Result<u8, Failure> {
        Ok(self.take(1)?[0])
    }

    pub fn number(&mut self) -> Result<u64, Failure> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().expect("8 bytes were taken")))
    }

    pub fn memory(&mut self) -> Result<Memory, Failure> {
        let (kind, len) = (self.byte()?, self.number()?);
        match kind {
            0 => Ok(Memory::Null(len)),
            1 => Ok(Memory::Bytes(self.take(len)?.to_vec())),
            3 => Ok(Memory::Room(len)),
            _ => Err(custom(UNKNOWN_KIND)),
        }
    }
}

// ---- what the program returns ----------------------------------------------------------------------------------------

/// What one call gave.
pub struct Reply {
    pub value: u64,
    pub error: &'static str,
    /// What it wrote.
    pub bytes: Vec<u8>,
}

/// The replies to these calls.
pub fn replies<'a>(calls: impl Iterator<Item = &'a str>, return_data: &[u8]) -> Result<Vec<Reply>, String> {
    let mut rest = Reader(return_data);
    let mut read = |name: &str| {
        let (opcode, _) = signature(name)?;
        let (value, error) = (rest.number().ok()?, rest.number().ok()?);
        let len = if writes(opcode) { rest.number().ok()? } else { 0 };
        Some(Reply { value, error: ErrorCode::ALL.get(error as usize)?.name(), bytes: rest.take(len).ok()?.to_vec() })
    };
    let replies = calls.map(|name| read(name).ok_or_else(|| format!("what {name} returned cannot be read"))).collect::<Result<_, _>>()?;
    if rest.0.is_empty() { Ok(replies) } else { Err(format!("{} bytes of return data are more than the calls explain", rest.0.len())) }
}

// ---- the context of a callback: SolAsyncContext ----------------------------------------------------------------------

pub const CONTEXT_LEN: u64 = 128;

pub fn write_context(task: &Task, slot: u64) -> Vec<u8> {
    let Task { source, cause, .. } = task;
    let priority = task.aged_priority(slot).into();
    let words = [1, source.kind as u64, source.id, cause.trigger.into(), priority, 1, cause.due_slot, slot, cause.ticks];
    let flags = u64::from(cause.old_value.is_some()) | u64::from(cause.new_value.is_some()) << 1;
    let values = [cause.old_value.unwrap_or(0) as u64, cause.new_value.unwrap_or(0) as u64, flags];
    let bytes = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    [bytes(&words), cause.account.0.to_vec(), bytes(&values)].concat()
}

/// By the names of its fields.
pub fn read_context(bytes: &[u8]) -> Value {
    if bytes.len() as u64 != CONTEXT_LEN {
        return Value::Null;
    }
    let word = |index: usize| u64::from_le_bytes(bytes[index * 8..][..8].try_into().expect("8 bytes"));
    let value = |index: usize, flag: u64| (word(15) & flag != 0).then_some(word(index) as i64);
    json!({
        "version": word(0), "kind": word(1), "sourceId": word(2), "triggerType": word(3), "priority": word(4), "attempt": word(5),
        "dueSlot": word(6), "currentSlot": word(7), "ticks": word(8), "account": hex(&bytes[72..104]),
        "oldValue": value(13, 1), "newValue": value(14, 2),
    })
}

// ---- hex -------------------------------------------------------------------------------------------------------------

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn unhex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
