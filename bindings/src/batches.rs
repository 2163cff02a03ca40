//! Account states in columns: many of them in one call, and nothing to encode. `bindings/ts/account-batch.ts` is the other side.

use crate::{
    Refusal,
    bare::{Call, Callback},
    bare_call, engines,
};
use async_bpf_svm::{Account, AccountUpdate, Address, ErrorCode};
use napi::sys;
use std::{ffi::CStr, ptr::null_mut, sync::Arc};

pub const CALLBACKS: [(&CStr, Callback); 1] = [(c"submitBatch", submit_batch)];

/// `submitBatch(handle: number, memory: Uint8Array, capacity: number, dataLength: number, versioned: number, count: number): ErrorCode |
/// undefined`: why it was refused.
unsafe extern "C" fn submit_batch(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this. Nobody on this thread writes the memory while it is read.
    let (call, memory, numbers) = unsafe {
        let (call, [handle, memory, numbers @ ..]) = Call::enter::<6>(env, info);
        let [capacity, data_len, versioned, count] = numbers;
        (call, memory.bytes(), [handle, capacity, data_len, versioned, count].map(|number| number.number().unwrap_or(0)))
    };
    let [handle, capacity, data_len, versioned, count] = numbers;
    let result = bare_call(|_| {
        let columns = Columns::new(memory.unwrap_or_default(), capacity as usize, data_len as usize, versioned == 1)?;
        let rows = count.min(capacity) as usize;
        let mut updates = Vec::with_capacity(rows);
        for row in 0..rows {
            updates.push(columns.update(row)?);
        }
        engines::update_accounts(handle, updates)
    });
    result.err().map_or(null_mut(), |code| call.number(code as u32))
}

/// One after the other, so that numbers lie at multiples of their size.
struct Columns<'a> {
    lamports: &'a [[u8; 8]],
    /// Empty unless the batch is versioned.
    write_versions: &'a [[u8; 8]],
    data_lengths: &'a [[u8; 4]],
    addresses: &'a [[u8; 32]],
    owners: &'a [[u8; 32]],
    executable: &'a [u8],
    data: &'a [u8],
    data_len: usize,
}

impl<'a> Columns<'a> {
    fn new(memory: &'a [u8], capacity: usize, data_len: usize, versioned: bool) -> Result<Self, Refusal> {
        let row = 8 + if versioned { 8 } else { 0 } + 4 + 32 + 32 + 1;
        let len = data_len.checked_add(row).and_then(|row| row.checked_mul(capacity));
        if len != Some(memory.len()) {
            let message = format!(
                "the memory of the batch is {} bytes, but must be {}; it was transferred, so create a new batch",
                memory.len(),
                len.map_or("what its rows take".into(), |len| len.to_string())
            );
            return Err(Refusal { code: ErrorCode::InvalidArgument, message });
        }
        let mut rest = memory;
        Ok(Columns {
            lamports: column(&mut rest, capacity),
            write_versions: column(&mut rest, if versioned { capacity } else { 0 }),
            data_lengths: column(&mut rest, capacity),
            addresses: column(&mut rest, capacity),
            owners: column(&mut rest, capacity),
            executable: column::<1>(&mut rest, capacity).as_flattened(),
            data: rest,
            data_len,
        })
    }

    /// Rows are counted from 0; there is such a row.
    fn update(&self, row: usize) -> Result<AccountUpdate, Refusal> {
        let len = u32::from_ne_bytes(self.data_lengths[row]) as usize;
        if len > self.data_len {
            return Err(invalid("dataLengths", row, len, format_args!("at most {}, the dataLength of the batch", self.data_len)));
        }
        let executable = self.executable[row];
        if executable > 1 {
            return Err(invalid("executable", row, executable.into(), format_args!("0 or 1")));
        }
        let start = row * self.data_len;
        Ok(AccountUpdate {
            address: Address(self.addresses[row]),
            account: Account {
                lamports: u64::from_ne_bytes(self.lamports[row]),
                data: Arc::new(self.data[start..start + len].to_vec()),
                owner: Address(self.owners[row]),
                executable: executable == 1,
            },
            write_version: self.write_versions.get(row).map(|version| u64::from_ne_bytes(*version)),
        })
    }
}

/// Takes the next column; there is one.
fn column<'a, const N: usize>(rest: &mut &'a [u8], len: usize) -> &'a [[u8; N]] {
    let (column, behind) = rest.split_at(N * len);
    *rest = behind;
    column.as_chunks().0
}

fn invalid(column: &str, row: usize, value: usize, expected: std::fmt::Arguments) -> Refusal {
    Refusal { code: ErrorCode::InvalidArgument, message: format!("{column}[{row}] is {value}, but must be {expected}") }
}
