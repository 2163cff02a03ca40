//! Accounts in the engine's form and in Agave's, and the accounts that stand for programs.

use crate::{Account, Address, Error};
use solana_account::{AccountSharedData, ReadableAccount};
use solana_pubkey::Pubkey;
use solana_rent::Rent;
use solana_sdk_ids::{bpf_loader, bpf_loader_upgradeable, native_loader, system_program, sysvar};
use std::sync::Arc;

pub(crate) fn pubkey(address: &Address) -> Pubkey {
    Pubkey::new_from_array(address.0)
}

pub(crate) fn address(key: &Pubkey) -> Address {
    Address(key.to_bytes())
}

/// The same data, not a copy of it.
pub(crate) fn to_shared(account: &Account) -> AccountSharedData {
    AccountSharedData::create_from_existing_shared_data(account.lamports, account.data.clone(), pubkey(&account.owner), account.executable, u64::MAX)
}

/// `None` when it has no lamports, and so does not exist.
pub(crate) fn from_shared(account: &AccountSharedData) -> Option<Account> {
    (account.lamports() > 0).then(|| Account {
        lamports: account.lamports(),
        data: account.data_clone(),
        owner: address(account.owner()),
        executable: account.executable(),
    })
}

/// What says which function of the host a program is.
const MAX_VERSION_LEN: usize = 128;

const SYSVARS: [Pubkey; 7] = [
    sysvar::clock::ID,
    sysvar::rent::ID,
    sysvar::epoch_schedule::ID,
    sysvar::epoch_rewards::ID,
    sysvar::slot_hashes::ID,
    sysvar::stake_history::ID,
    sysvar::last_restart_slot::ID,
];

const BUILTINS: [(Pubkey, &str); 3] = [
    (bpf_loader::ID, "solana_bpf_loader_program"),
    (bpf_loader_upgradeable::ID, "solana_bpf_loader_upgradeable_program"),
    (system_program::ID, "system_program"),
];

/// Whether the runtime itself provides this account.
pub(crate) fn is_reserved(wanted: &Address) -> bool {
    let key = pubkey(wanted);
    SYSVARS.contains(&key) || BUILTINS.iter().any(|(builtin, _)| *builtin == key)
}

/// The accounts of the built-in programs, as on a cluster.
pub(crate) fn builtin_accounts() -> impl Iterator<Item = (Address, Account)> {
    BUILTINS.iter().map(|(key, name)| {
        let account = Account { lamports: 1, data: Arc::new(name.as_bytes().to_vec()), owner: address(&native_loader::ID), executable: true };
        (address(key), account)
    })
}

/// Built-in programs that a callback may name. The loaders are not among them: programs are added by the host.
pub(crate) fn invocable_builtins() -> [(Address, [u8; 32]); 1] {
    [(address(&system_program::ID), [0; 32])]
}

fn programdata_address(program: &Pubkey) -> Pubkey {
    Pubkey::find_program_address(&[program.as_ref()], &bpf_loader_upgradeable::ID).0
}

/// The two accounts of a program, the one that is invoked first.
pub(crate) fn program_account_addresses(program: Address) -> [Address; 2] {
    [program, address(&programdata_address(&pubkey(&program)))]
}

/// The accounts that the upgradeable loader keeps for a program: one that points to another with the ELF file. There is no
/// upgrade authority, so no program can change them.
///
/// The layout is that of the loader's `UpgradeableLoaderState`: variant 2 is `Program { programdata }`, variant 3 is
/// `ProgramData { slot, authority: Option }`, whose authority always has its 32 bytes.
pub(crate) fn program_accounts(program: Address, elf: &[u8]) -> Vec<(Address, Account)> {
    let [program, programdata] = program_account_addresses(program);
    let account = |data: Vec<u8>, executable| Account {
        lamports: Rent::default().minimum_balance(data.len()),
        data: Arc::new(data),
        owner: address(&bpf_loader_upgradeable::ID),
        executable,
    };
    let pointer = [&2u32.to_le_bytes()[..], &programdata.0].concat();
    let contents = [&3u32.to_le_bytes()[..], &0u64.to_le_bytes(), &[0; 33], elf].concat();
    vec![(program, account(pointer, true)), (programdata, account(contents, false))]
}

/// The account of a program that is a function of the host, as built-in programs have one: its data says which it is.
pub(crate) fn host_program_accounts(program: Address, version: &str) -> Result<Vec<(Address, Account)>, Error> {
    if version.len() > MAX_VERSION_LEN {
        let expected = format!("at most {MAX_VERSION_LEN} bytes long");
        return Err(Error::InvalidArgument { argument: "version", value: format!("{} bytes long", version.len()), expected });
    }
    let data = Arc::new(version.as_bytes().to_vec());
    Ok(vec![(program, Account { lamports: 1, data, owner: address(&native_loader::ID), executable: true })])
}

/// Names the function, and differs from the hash of any file.
pub(crate) fn host_program_hash(version: &str) -> [u8; 32] {
    solana_blake3_hasher::hashv(&[b"a function of the host: ", version.as_bytes()]).to_bytes()
}
