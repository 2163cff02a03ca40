//! A program that is a function of the host: its data says what it does.

#![allow(dead_code, reason = "each test uses its part")]

use async_bpf_svm::*;
use std::cell::RefCell;

pub const HOSTED: Address = Address([6; 32]);

/// What the function does, a byte for each.
pub mod op {
    /// Uses 1,000 units.
    pub const CONSUME: u8 = 0;
    /// Adds 1 to the first byte of account 0.
    pub const ADD: u8 = 1;
    /// Arms a timer of its own, which uses units.
    pub const TIMER: u8 = 2;
    /// Pushes to the ring buffer whose id follows.
    pub const PUSH: u8 = 3;
    /// Takes from the ring buffer whose id follows, and returns it.
    pub const POP: u8 = 4;
    /// Invokes the program that is the last account with the rest of the data.
    pub const INVOKE: u8 = 5;
    /// Fails with 77.
    pub const FAIL: u8 = 6;
    /// Logs a line.
    pub const LOG: u8 = 7;
    /// Gives account 0 to the program that is the last account.
    pub const GIVE: u8 = 8;
    /// Panics.
    pub const PANIC: u8 = 9;
}

/// What the function was called with, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Calls(pub RefCell<Vec<Called>>);

#[derive(Debug, PartialEq, Eq)]
pub struct Called {
    pub slot: u64,
    pub data: Vec<u8>,
    pub context: Vec<u8>,
    pub units: u64,
    pub accounts: Vec<(Address, bool, u64, Vec<u8>)>,
}

impl HostPrograms for Calls {
    fn run(&self, invocation: &mut Invocation<'_>) -> Result<u64, String> {
        let accounts = (0..invocation.account_count()).map(|index| {
            invocation.with_account(index, |account| (account.address, account.writable, account.lamports, account.data.to_vec())).unwrap()
        });
        let accounts: Vec<_> = accounts.collect();
        let data = invocation.data();
        self.0.borrow_mut().push(Called {
            slot: invocation.slot(),
            data: data.clone(),
            context: invocation.context(),
            units: invocation.remaining_units(),
            accounts: accounts.clone(),
        });
        let last = accounts.last().map_or(HOSTED, |account| account.0);
        let metas: Vec<_> = accounts.iter().map(|account| AccountMeta { address: account.0, signer: false, writable: account.1 }).collect();
        let mut rest = &data[..];
        while let Some((op, behind)) = rest.split_first() {
            rest = behind;
            // What stops it must stop it whatever the function does, so it does not look.
            let _ = match *op {
                op::CONSUME => invocation.consume(1_000),
                op::ADD | op::GIVE => {
                    let now = invocation.with_account(0, |account| (account.lamports, account.owner, account.data.to_vec()));
                    let Some((lamports, owner, mut data)) = now else { continue };
                    if *op == op::ADD
                        && let Some(byte) = data.first_mut()
                    {
                        *byte = byte.wrapping_add(1);
                    }
                    let owner = if *op == op::GIVE { last } else { owner };
                    invocation.change_accounts(vec![AccountChange { index: 0, lamports, owner, data: Some(data) }])
                }
                op::TIMER => {
                    let start_slot = invocation.slot() + 2;
                    let callback = Callback { program: HOSTED, data: vec![op::CONSUME], accounts: metas.clone(), compute_budget: 5_000 };
                    invocation
                        .call(Call::TimerCreate(TimerSpec {
                            callback: callback.into(),
                            start_slot,
                            period_slots: None,
                            deadline_slot: None,
                            catch_up: CatchUp::Once,
                            priority: Priority::Normal,
                        }))
                        .map(drop)
                }
                op::PUSH => invocation.call(Call::RingPush { id: id(&mut rest), data: vec![4; 7] }).map(drop),
                op::POP => invocation
                    .call(Call::RingPop { id: id(&mut rest), max_len: 100 })
                    .and_then(|popped| popped.map_or(Ok(()), |reply| invocation.set_return_data(reply.bytes.to_vec()))),
                op::INVOKE => {
                    let request = CpiRequest { program: last, accounts: metas.clone(), data: std::mem::take(&mut rest).to_vec(), signers: vec![] };
                    invocation.invoke(request)
                }
                op::LOG => invocation.log("a function of the host"),
                op::PANIC => panic!("as asked"),
                op::FAIL => return Ok(77),
                _ => return Err("no such operation".into()),
            };
        }
        Ok(0)
    }
}

fn id(rest: &mut &[u8]) -> u64 {
    let (id, behind) = rest.split_first_chunk().unwrap_or((&[0; 8], &[]));
    *rest = behind;
    u64::from_le_bytes(*id)
}

/// Processes a slot in parts: what needs no host, on another thread.
pub fn slot_in_parts(svm: &mut Svm, input: SlotInput, host: &dyn HostPrograms) -> Result<SlotReport, Error> {
    let elsewhere = |svm: &mut Svm| std::thread::scope(|scope| scope.spawn(|| svm.begin_slot(input)).join().unwrap());
    elsewhere(svm)?;
    loop {
        let report = std::thread::scope(|scope| scope.spawn(|| svm.continue_slot()).join().unwrap());
        if let Some(report) = report {
            return Ok(report);
        }
        svm.run_in_host(host);
    }
}
