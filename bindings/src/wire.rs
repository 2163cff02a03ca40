//! What crosses the boundary to JavaScript, in borsh. `bindings/ts/wire.ts` writes the requests and reads the replies.

use crate::{
    Refusal,
    engines::{self, Host, with_host},
};
use async_bpf_ring::{Memory, Notify, one_to_one};
use async_bpf_svm::{
    Account, AccountUpdate, Address, Call, Caller, ErrorCode, RingReader, RingState, Timer, TimerSpec, TimerState, Watcher, WatcherSpec,
};
use borsh::{BorshDeserialize, BorshSerialize};

#[derive(BorshDeserialize)]
pub struct OpenRequest {
    pub workers: u32,
    /// Agave's executor instead of ours.
    pub stock: bool,
    pub logs: bool,
    pub start_slot: u64,
    pub start_timestamp: i64,
    pub limits: Vec<(String, u64)>,
}

/// The order of the variants is the protocol: only append.
#[derive(BorshDeserialize)]
pub enum Request {
    AddProgram { address: Address, elf: Vec<u8> },
    RemoveProgram { address: Address },
    SetAccount { address: Address, account: Account },
    GetAccount { address: Address },
    UpdateAccounts { updates: Vec<AccountUpdate> },
    AddHostProgram { address: Address, version: String },
    Call { caller: Caller, call: Call },
    GetTimer { id: u64 },
    TimersOfProgram { program: Address },
    GetWatcher { id: u64 },
    WatchersOfAccount { account: Address },
    GetRing { id: u64 },
    DrainRing { id: u64, max: u32 },
    Stats,
    Slot,
    StateHash,
    Drain,
    RemoveOutlet { id: u64 },
    TakeMissed { listener: u32 },
    StopListening { listener: u32 },
}

/// Requests that come with memory, in which a ring of `capacity` bytes is created. The order is the protocol, as above.
#[derive(BorshDeserialize)]
pub enum MemoryRequest {
    SetOutlet { id: u64, capacity: u32 },
    Listen { capacity: u32 },
}

/// The bytes of a successful reply, its code in front.
pub struct Response(Vec<u8>);

impl Response {
    pub fn of(value: &impl BorshSerialize) -> Self {
        let mut bytes = vec![ErrorCode::Success as u8];
        value.serialize(&mut bytes).expect("writing to memory cannot fail");
        Response(bytes)
    }

    /// To be added to.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    pub fn empty() -> Self {
        Response(vec![ErrorCode::Success as u8])
    }
}

#[derive(BorshSerialize)]
struct TimerInfo<'a> {
    id: u64,
    spec: &'a TimerSpec,
    trigger_slot: u64,
    state: TimerState,
    execution_count: u64,
    missed_count: u64,
}

impl<'a> From<&'a Timer> for TimerInfo<'a> {
    fn from(timer: &'a Timer) -> Self {
        let Timer { id, spec, trigger_slot, state, execution_count, missed_count, .. } = timer;
        TimerInfo { id: *id, spec, trigger_slot: *trigger_slot, state: *state, execution_count: *execution_count, missed_count: *missed_count }
    }
}

#[derive(BorshSerialize)]
struct WatcherInfo<'a> {
    id: u64,
    spec: &'a WatcherSpec,
    active: bool,
    min_slots_between_triggers: u64,
    trigger_count: u64,
    suppressed_count: u64,
    last_trigger_slot: Option<u64>,
}

impl<'a> From<&'a Watcher> for WatcherInfo<'a> {
    fn from(watcher: &'a Watcher) -> Self {
        WatcherInfo {
            id: watcher.id,
            spec: &watcher.spec,
            active: watcher.active,
            min_slots_between_triggers: watcher.min_slots_between_triggers,
            trigger_count: watcher.trigger_count,
            suppressed_count: watcher.suppressed_count,
            last_trigger_slot: watcher.last_trigger_slot,
        }
    }
}

#[derive(BorshSerialize)]
struct RingInfo {
    id: u64,
    owner: Address,
    capacity: u64,
    used: u64,
    entries: u64,
    state: RingState,
    reader: RingReader,
    next_sequence: u64,
}

impl Request {
    pub fn run(self, handle: u32) -> Result<Response, Refusal> {
        match self {
            // What can be done while a slot is under way elsewhere.
            Request::UpdateAccounts { updates } => engines::update_accounts(handle, updates).map(|()| Response::empty()),
            Request::Slot => Ok(Response::of(&engines::slot(handle)?)),
            other => with_host(handle, |host| other.run_here(host)),
        }
    }

    fn run_here(self, host: &mut Host) -> Result<Response, Refusal> {
        let Host { svm, listeners } = host;
        let engine = svm.engine();
        Ok(match self {
            Request::AddProgram { address, elf } => {
                svm.add_program(address, &elf)?;
                Response::empty()
            }
            Request::RemoveProgram { address } => {
                svm.remove_program(address)?;
                Response::empty()
            }
            Request::SetAccount { address, account } => {
                svm.set_account(address, Some(account))?;
                Response::empty()
            }
            Request::GetAccount { address } => Response::of(&svm.account(&address)),
            Request::AddHostProgram { address, version } => {
                svm.add_host_program(address, &version)?;
                Response::empty()
            }
            Request::Call { caller, call } => Response::of(&svm.engine_mut().call(caller, call)?),
            Request::GetTimer { id } => Response::of(&engine.timer(id).map(TimerInfo::from)),
            Request::TimersOfProgram { program } => Response::of(&engine.timers_of(program).map(TimerInfo::from).collect::<Vec<_>>()),
            Request::GetWatcher { id } => Response::of(&engine.watcher(id).map(WatcherInfo::from)),
            Request::WatchersOfAccount { account } => Response::of(&engine.watchers_of(&account).map(WatcherInfo::from).collect::<Vec<_>>()),
            Request::GetRing { id } => Response::of(&engine.ring(id).map(|(header, entries)| RingInfo {
                id,
                owner: header.owner,
                capacity: header.capacity,
                used: header.used,
                entries,
                state: header.state,
                reader: header.reader,
                next_sequence: header.next_sequence,
            })),
            Request::DrainRing { id, max } => Response::of(&svm.engine_mut().drain_ring(id, max as usize)?),
            Request::Stats => Response::of(&engine.stats()),
            Request::UpdateAccounts { .. } | Request::Slot => unreachable!("they need no engine at hand"),
            Request::StateHash => Response::of(&engine.state_hash()),
            Request::Drain => {
                svm.engine_mut().drain()?;
                Response::empty()
            }
            Request::RemoveOutlet { id } => {
                svm.engine_mut().remove_outlet(id)?;
                Response::empty()
            }
            Request::TakeMissed { listener } => Response::of(&listeners.take_missed(listener)),
            Request::StopListening { listener } => {
                listeners.remove(listener);
                Response::empty()
            }
        })
    }
}

impl MemoryRequest {
    pub fn run(self, host: &mut Host, memory: Memory) -> Result<Response, Refusal> {
        Ok(match self {
            MemoryRequest::SetOutlet { id, capacity } => {
                let (producer, _) = one_to_one::create(memory, capacity)?;
                // Nobody sleeps over it: native code cannot wake who waits in JavaScript.
                host.svm.engine_mut().set_outlet(id, producer.with_notify(Notify::Never))?;
                Response::empty()
            }
            MemoryRequest::Listen { capacity } => Response::of(&host.listeners.add(memory, capacity)?),
        })
    }
}

pub fn decode<T: BorshDeserialize>(bytes: &[u8]) -> Result<T, Refusal> {
    borsh::from_slice(bytes).map_err(|error| Refusal {
        code: ErrorCode::InvalidArgument,
        message: format!("the request is not readable, so the addon and its TypeScript are of different versions: {error}"),
    })
}

/// A reply begins with the error code; 0 is followed by the response, anything else by the message.
pub fn encode(result: Result<Response, Refusal>) -> Vec<u8> {
    match result {
        Ok(Response(bytes)) => bytes,
        Err(Refusal { code, message }) => borsh::to_vec(&(code, message)).expect("writing to memory cannot fail"),
    }
}
