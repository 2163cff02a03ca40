//! The engines of one Node environment, by their handles, and where each of them is.

use crate::{Refusal, events::Listeners, shared_memory::free_left_behind};
use async_bpf_svm::{AccountRules, AccountUpdate, Error, SlotInput, Svm, check_updates};
use std::{cell::RefCell, mem};

/// An engine, and who listens to it.
pub struct Host {
    pub svm: Svm,
    pub listeners: Listeners,
}

enum Place {
    /// It waits for a call.
    Here(Box<Host>),
    /// A call is under way. It may have called JavaScript, and that may call again.
    InCall,
    /// A slot is under way, on another thread or, as long as it is on none, here.
    InSlot(Box<InSlot>),
    /// It is closed or, after a panic in the midst of something, lost.
    Closed,
}

/// What is known of an engine without it, and what it will be given when it is back.
struct InSlot {
    host: Option<Box<Host>>,
    /// The slot before the one that is under way.
    slot: u64,
    rules: AccountRules,
    updates: Vec<AccountUpdate>,
}

thread_local! {
    /// Each environment has a thread of its own. Handles count from 1 and are never used twice: what is gone leaves its place.
    static ENGINES: RefCell<Vec<Place>> = const { RefCell::new(Vec::new()) };
}

type Result<T> = std::result::Result<T, Refusal>;

/// Takes an engine in, and returns its handle.
pub fn add(svm: Svm) -> u32 {
    ENGINES.with_borrow_mut(|places| {
        places.push(Place::Here(Box::new(Host { svm, listeners: Listeners::default() })));
        u32::try_from(places.len()).expect("fewer than 2^32 engines")
    })
}

/// The handle of the engine that was created last.
pub fn last_handle() -> u32 {
    ENGINES.with_borrow(|places| places.len() as u32)
}

/// Drops all of them, before their environment goes.
pub fn clear() {
    drop(ENGINES.take());
}

/// Runs a call. Should it panic, an engine that is half way through something is gone with it.
pub fn with_host<R>(handle: u32, run: impl FnOnce(&mut Host) -> Result<R>) -> Result<R> {
    let mut host = with_place(handle, |place| match mem::replace(place, Place::InCall) {
        Place::Here(host) => Ok(host),
        other => {
            let refusal = other.refusal();
            *place = other;
            Err(refusal)
        }
    })?;
    let unwinding = CloseOnPanic(handle);
    let response = run(&mut host);
    mem::forget(unwinding);
    with_place(handle, |place| {
        if matches!(place, Place::InCall) {
            *place = Place::Here(host);
        }
        Ok(())
    })?;
    response
}

/// Hands in account states: at once or, while a slot is under way, at its end. All of them are checked now.
pub fn update_accounts(handle: u32, updates: Vec<AccountUpdate>) -> Result<()> {
    let updates = with_place(handle, |place| match place {
        Place::InSlot(away) => {
            check_updates(&away.rules, &updates)?;
            away.updates.extend(updates);
            Ok(None)
        }
        _ => Ok(Some(updates)),
    })?;
    updates.map_or(Ok(()), |updates| with_host(handle, |host| Ok(host.svm.update_accounts(updates)?)))
}

/// The slot that was processed last.
pub fn slot(handle: u32) -> Result<u64> {
    let slot = with_place(handle, |place| Ok(if let Place::InSlot(away) = place { Some(away.slot) } else { None }))?;
    slot.map_or_else(|| with_host(handle, |host| Ok(host.svm.engine().slot())), Ok)
}

/// Begins a slot, and takes the engine out, so that another thread can process it.
pub fn begin_slot(handle: u32, input: SlotInput) -> Result<Box<Host>> {
    with_place(handle, |place| match mem::replace(place, Place::InCall) {
        Place::Here(mut host) => {
            let slot = host.svm.engine().slot();
            if let Err(error) = host.svm.begin_slot(input) {
                *place = Place::Here(host);
                return Err(error.into());
            }
            let rules = host.svm.engine().account_rules().clone();
            *place = Place::InSlot(Box::new(InSlot { host: None, slot, rules, updates: Vec::new() }));
            Ok(host)
        }
        other => {
            let refusal = other.refusal();
            *place = other;
            Err(refusal)
        }
    })
}

/// Puts an engine down whose slot is not yet over for JavaScript; drops it when it was closed in the meantime.
pub fn put_down(handle: u32, host: Option<Box<Host>>) {
    let _ = with_place(handle, |place| {
        if let Place::InSlot(away) = place {
            away.host = host;
        }
        Ok(())
    });
}

/// Takes it up again.
pub fn take_up(handle: u32) -> Result<Box<Host>> {
    with_place(handle, |place| match place {
        Place::InSlot(away) => away.host.take().ok_or_else(|| Error::EngineBusy.into()),
        other => Err(other.refusal()),
    })
}

/// Ends the slot: the engine is here again, and gets what it was to be given.
pub fn end_slot(handle: u32) -> Result<()> {
    with_place(handle, |place| match mem::replace(place, Place::Closed) {
        Place::InSlot(mut away) => {
            let mut host = away.host.take().ok_or_else(Refusal::closed)?;
            host.svm.update_accounts(away.updates).expect("they were checked, and no program has come or gone");
            free_left_behind();
            *place = Place::Here(host);
            Ok(())
        }
        other => {
            let refusal = other.refusal();
            *place = other;
            Err(refusal)
        }
    })
}

/// Drops an engine, or has it dropped by whoever is using it. Says whether there was one.
pub fn close(handle: u32) -> bool {
    // Taken out first, so that waiting for its threads does not hold the table.
    let place = with_place(handle, |place| Ok(mem::replace(place, Place::Closed)));
    place.is_ok_and(|place| !matches!(place, Place::Closed))
}

fn with_place<R>(handle: u32, look: impl FnOnce(&mut Place) -> Result<R>) -> Result<R> {
    ENGINES.with_borrow_mut(|places| look(places.get_mut((handle as usize).wrapping_sub(1)).ok_or_else(Refusal::closed)?))
}

impl Place {
    /// Why there is no engine to use.
    fn refusal(&self) -> Refusal {
        match self {
            Place::Closed => Refusal::closed(),
            _ => Error::EngineBusy.into(),
        }
    }
}

struct CloseOnPanic(u32);

impl Drop for CloseOnPanic {
    fn drop(&mut self) {
        close(self.0);
    }
}
