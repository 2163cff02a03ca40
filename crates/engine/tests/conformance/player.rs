//! Plays the steps of a vector: first what happens, then whether it is what the vector says.

use super::{
    host::Host,
    script::{self, FIRST_REFERENCE, Memory, Reply},
};
use async_bpf_engine::{Address, Config, Engine, Error, Limits};
use serde_json::{Map, Number, Value, json};
use std::{
    collections::{HashMap, HashSet},
    fmt::Display,
};

const ADDRESSES: [&str; 4] = ["programId", "address", "account", "owner"];
const BYTES: [&str; 2] = ["data", "pattern"];

/// Calls whose code is not on record.
const ASKING: [&str; 3] = ["sol_get_slot", "sol_async_last_error", "sol_async_context"];

/// A vector that holds.
pub struct Played {
    /// How many calls and other steps were made.
    pub calls: usize,
    /// What each step gave.
    pub results: Vec<Value>,
}

/// Plays a vector to its end, or says what was not as stated. Up to `ahead` tasks run before the first of them is committed.
pub fn play(vector: &Value, ahead: usize) -> Result<Played, String> {
    let mut player = Player { host: open(&vector["engine"], ahead)?, ids: HashMap::new(), known: HashSet::new() };
    let mut played = Played { calls: 0, results: Vec::new() };
    for (index, step) in items(&vector["steps"]).enumerate() {
        for _ in 0..repeat(step) {
            let done = player.perform(step).and_then(|done| player.check(step, &done).map(|()| done));
            let done = done.map_err(|why| format!("step {index}: {why}"))?;
            played.calls += if step["invoke"].is_null() { 1 } else { expand(&step["calls"]).len() };
            played.results.push(json!({ "error": done.error, "value": done.value }));
        }
    }
    Ok(played)
}

fn open(options: &Value, ahead: usize) -> Result<Host, String> {
    let mut limits = Limits::default();
    for (name, value) in options["limits"].as_object().into_iter().flatten() {
        limits.set(name, value.as_u64().ok_or("a limit is not a u64")?).map_err(|error| error.to_string())?;
    }
    let start_slot = constant(&options["startSlot"]).unwrap_or(0) as u64;
    let start_timestamp = constant(&options["startTimestamp"]).unwrap_or(0) as i64;
    let config = Config { limits, start_slot, start_timestamp };
    let mut host = Host { engine: Engine::new(config).map_err(|error| error.to_string())?, ahead };
    let programs = options["programs"].as_array().cloned().unwrap_or_else(|| vec!["a".into()]);
    for program in &programs {
        let program = to_address(program.as_str().ok_or("a program has no name")?)?;
        host.engine.add_program(program, [0; 32], Vec::new()).map_err(|error| error.to_string())?;
    }
    Ok(host)
}

/// What a step gave.
struct Done {
    /// A report, an outcome, or what a method returned.
    value: Value,
    error: &'static str,
    /// Of an invocation that succeeded.
    replies: Option<Vec<Reply>>,
}

impl From<Result<Value, Error>> for Done {
    fn from(result: Result<Value, Error>) -> Self {
        match result {
            Ok(value) => Done { value, error: "SUCCESS", replies: None },
            Err(error) => Done { value: Value::Null, error: error.code().name(), replies: None },
        }
    }
}

struct Player {
    host: Host,
    /// What the vector named.
    ids: HashMap<String, u64>,
    /// Ids that calls returned so far.
    known: HashSet<u64>,
}

impl Player {
    // ---- what happens --------------------------------------------------------------------------------------------

    fn perform(&mut self, step: &Value) -> Result<Done, String> {
        if !step["invoke"].is_null() {
            self.invoke(step)
        } else if !step["host"].is_null() {
            self.call_host(step)
        } else {
            let slot = i128::from(self.host.engine.slot()) + self.number(&step["processSlot"])?;
            let invalid = |_| Error::InvalidArgument { argument: "slot", value: slot.to_string(), expected: "a u64".into() };
            let unix_timestamp = constant(&step["unixTimestamp"]).map(|seconds| seconds as i64);
            Ok(u64::try_from(slot).map_err(invalid).and_then(|slot| self.host.process_slot(slot, unix_timestamp)).into())
        }
    }

    fn invoke(&mut self, step: &Value) -> Result<Done, String> {
        let budget = step.get("computeBudget").cloned().unwrap_or(1_400_000.into());
        let data = script::hex(&self.script(&step["calls"], step)?);
        let options = json!({ "programId": step["invoke"], "data": data, "accounts": step["accounts"], "computeBudget": budget });
        let mut done = Done::from(self.host.invoke(&self.resolve("options", &options)?));
        if done.value["status"] == "committed" {
            let calls = expand(&step["calls"]);
            let replies = script::replies(calls.iter().map(|call| name_of(call)), &return_data(&done.value))?;
            for (call, reply) in calls.iter().zip(&replies) {
                self.name(call, reply.value);
            }
            done.replies = Some(replies);
        }
        Ok(done)
    }

    fn call_host(&mut self, step: &Value) -> Result<Done, String> {
        let arguments = self.resolve("args", &step["args"])?;
        let done = Done::from(self.host.method(step["host"].as_str().unwrap_or_default(), &arguments));
        if let Some(id) = done.value.as_u64() {
            self.name(step, id);
        }
        Ok(done)
    }

    fn name(&mut self, creator: &Value, id: u64) {
        if let Some(name) = creator["as"].as_str() {
            self.ids.insert(name.into(), id);
        }
    }

    // ---- whether it is as stated ---------------------------------------------------------------------------------

    fn check(&mut self, step: &Value, done: &Done) -> Result<(), String> {
        same("error", step["error"].as_str().unwrap_or("SUCCESS"), done.error)?;
        if !step["invoke"].is_null() && done.error == "SUCCESS" {
            self.check_invocation(step, done)?;
        }
        match step.get("expect") {
            Some(expected) => self.matches("result", "", expected, &done.value),
            None => Ok(()),
        }
    }

    fn check_invocation(&mut self, step: &Value, done: &Done) -> Result<(), String> {
        let (failure, calls) = (&done.value["error"], expand(&step["calls"]));
        let as_stated = match step["end"].as_str() {
            Some("fail") => failure["customCode"] == 7,
            Some(_) => !failure.is_null(),
            None => failure.is_null() || step["expect"]["status"] == "failed",
        };
        require(as_stated, || format!("the invocation ends with the error {failure}"))?;
        match &done.replies {
            Some(replies) => self.check_calls(&calls, replies),
            None => check_codes(&calls, &done.value["stagedCodes"]),
        }
    }

    fn check_calls(&mut self, calls: &[&Value], replies: &[Reply]) -> Result<(), String> {
        for (index, (call, reply)) in calls.iter().zip(replies).enumerate() {
            self.check_call(call, reply).map_err(|why| format!("call {index} ({}): {why}", name_of(call)))?;
        }
        Ok(())
    }

    fn check_call(&mut self, call: &Value, reply: &Reply) -> Result<(), String> {
        if let Some(error) = call["error"].as_str() {
            same("error", error, reply.error)?;
        }
        match call.get("value") {
            None => {}
            Some(id) if id == "id" => {
                let is_new = reply.value != 0 && self.known.insert(reply.value);
                require(is_new, || format!("value: expected a new id, seen {}", reply.value))?;
            }
            Some(value) => same("value", self.word(value)?, reply.value)?,
        }
        if let Some(bytes) = call["bytes"].as_str() {
            same("bytes", bytes, &script::hex(&reply.bytes))?;
        }
        match call.get("context") {
            Some(context) => self.matches("context", "context", context, &script::read_context(&reply.bytes)),
            None => Ok(()),
        }
    }

    /// Whether a value has what is expected of it; objects may have more. `key` names the member of an object that led here, `path` is
    /// all the way.
    fn matches(&mut self, path: &str, key: &str, expected: &Value, seen: &Value) -> Result<(), String> {
        let holds = match (expected, seen) {
            (Value::Array(items), Value::Array(seen)) => {
                same(&format!("{path}: length"), items.len(), seen.len())?;
                let mut pairs = items.iter().zip(seen).enumerate();
                return pairs.try_for_each(|(index, (item, seen))| self.matches(&format!("{path}[{index}]"), key, item, seen));
            }
            (Value::Object(members), Value::Object(_)) => {
                return members.iter().try_for_each(|(name, item)| match name.as_str() {
                    "returns" => self.check_returns(item, seen).map_err(|why| format!("{path}.returns: {why}")),
                    _ => self.matches(&format!("{path}.{name}"), name, item, &seen[name]),
                });
            }
            (Value::Object(_), Value::Number(number)) => Some(self.number(expected)?) == number.as_i128(),
            (Value::Object(_), Value::String(bytes)) => script::hex(&self.bytes(expected)?) == *bytes,
            (Value::String(status), Value::Object(outcome)) if key == "outcomes" => *status == outcome["status"],
            (Value::String(name), Value::Object(error)) if key == "error" => *name == error["name"],
            (Value::String(name), Value::String(text)) if ADDRESSES.contains(&key) => name == text || to_address(name)?.to_string() == *text,
            _ => expected == seen,
        };
        require(holds, || format!("{path}: expected {expected}, seen {seen}"))
    }

    fn check_returns(&mut self, calls: &Value, outcome: &Value) -> Result<(), String> {
        let calls: Vec<_> = items(calls).collect();
        let replies = script::replies(calls.iter().map(|call| name_of(call)), &return_data(outcome))?;
        self.check_calls(&calls, &replies)
    }

    // ---- what a vector names, as what the engine takes -----------------------------------------------------------

    fn number(&self, spec: &Value) -> Result<i128, String> {
        let ahead = || Some((i128::from(self.host.engine.slot()) + constant(&spec["slot"])?) as u64);
        let named = || Some(self.ids.get(spec["id"].as_str()?).copied().unwrap_or(0));
        let number = constant(spec).or_else(|| ahead().or_else(named).map(i128::from));
        number.ok_or_else(|| format!("{spec} is no number"))
    }

    /// As a program passes it: a negative number is its two's complement.
    fn word(&self, spec: &Value) -> Result<u64, String> {
        Ok(self.number(spec)? as u64)
    }

    fn bytes(&self, spec: &Value) -> Result<Vec<u8>, String> {
        let zeros = || Some(vec![0; spec["zeros"].as_u64()? as usize]);
        if let Some(name) = spec["address"].as_str() {
            return Ok(to_address(name)?.0.to_vec());
        }
        if !spec["script"].is_null() {
            return self.script(&spec["script"], spec);
        }
        spec.as_str().and_then(script::unhex).or_else(zeros).ok_or_else(|| format!("{spec} has no contents"))
    }

    fn memory(&self, spec: &Value) -> Result<Memory, String> {
        if spec.is_null() {
            Ok(Memory::Null(0))
        } else if let Some(room) = spec.get("room") {
            Ok(Memory::Room(self.word(room)?))
        } else {
            self.bytes(spec).map(Memory::Bytes)
        }
    }

    /// The instruction data that makes these calls and ends as `how` says.
    fn script(&self, calls: &Value, how: &Value) -> Result<Vec<u8>, String> {
        let mut data = script::start(how["end"].as_str(), how["units"].as_u64());
        let calls = expand(calls);
        for call in &calls {
            let name = name_of(call);
            let (opcode, parameters) = script::signature(name).ok_or_else(|| format!("{name} cannot be called here"))?;
            if call["args"].as_object().map_or(0, Map::len) != parameters.len() {
                return Err(format!("{name} does not take these arguments: {}", call["args"]));
            }
            data.push(opcode);
            for (kind, parameter) in parameters {
                let spec = call["args"].get(parameter).ok_or_else(|| format!("{name} lacks {parameter}"))?;
                let reference = || calls.iter().rposition(|call| !call["as"].is_null() && call["as"] == spec["id"]);
                match kind {
                    "b" => script::write_memory(&mut data, &self.memory(spec)?),
                    "i" if let Some(record) = reference() => script::write_number(&mut data, FIRST_REFERENCE + record as u64),
                    _ => script::write_number(&mut data, self.word(spec)?),
                }
            }
        }
        Ok(data)
    }

    /// Arguments of the host API with what they name put in: addresses in base58, bytes in hex, numbers as such, or as text if they
    /// do not fit 64 bits.
    fn resolve(&self, key: &str, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(name) if ADDRESSES.contains(&key) => to_address(name)?.to_string().into(),
            Value::String(name) if key == "accounts" => json!({ "address": to_address(name)?.to_string() }),
            _ if BYTES.contains(&key) => script::hex(&self.bytes(value)?).into(),
            Value::Array(list) => list.iter().map(|item| self.resolve(key, item)).collect::<Result<_, _>>()?,
            Value::Object(members) => match self.number(value) {
                Ok(number) if members.len() == 1 => Number::from_i128(number).map_or_else(|| number.to_string().into(), Value::Number),
                _ => {
                    let members = members.iter().map(|(name, item)| Ok((name.clone(), self.resolve(name, item)?)));
                    Value::Object(members.collect::<Result<_, String>>()?)
                }
            },
            other => other.clone(),
        })
    }
}

/// Of an invocation that failed, the codes of those calls are known that do not only ask.
fn check_codes(calls: &[&Value], codes: &Value) -> Result<(), String> {
    let recorded = |call: &&&Value| name_of(call).starts_with("sol_") && !ASKING.contains(&name_of(call)) && !call["error"].is_null();
    let expected: Value = calls.iter().filter(recorded).map(|call| call["error"].clone()).collect();
    if expected == json!([]) { Ok(()) } else { same("codes", &expected, codes) }
}

fn same<T: PartialEq + Display>(what: &str, expected: T, seen: T) -> Result<(), String> {
    require(expected == seen, || format!("{what}: expected {expected}, seen {seen}"))
}

fn require(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

/// A number that is written down as such.
fn constant(spec: &Value) -> Option<i128> {
    spec.as_number().map_or_else(|| spec["decimal"].as_str()?.parse().ok(), Number::as_i128)
}

fn return_data(outcome: &Value) -> Vec<u8> {
    outcome["returnData"].as_str().and_then(script::unhex).unwrap_or_default()
}

/// The address of a name is its ASCII, then zeros. No name is 32 bytes in base58.
fn to_address(name: &str) -> Result<Address, String> {
    if let Ok(address) = name.parse() {
        return Ok(address);
    }
    let mut bytes = [0; 32];
    bytes.get_mut(..name.len()).ok_or_else(|| format!("{name} is no address"))?.copy_from_slice(name.as_bytes());
    Ok(Address(bytes))
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn repeat(value: &Value) -> usize {
    value["repeat"].as_u64().unwrap_or(1) as usize
}

/// The calls, each as often as it is made.
fn expand(calls: &Value) -> Vec<&Value> {
    items(calls).flat_map(|call| std::iter::repeat_n(call, repeat(call))).collect()
}

fn name_of(call: &Value) -> &str {
    call["call"].as_str().unwrap_or_default()
}
