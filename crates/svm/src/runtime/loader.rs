//! ELF files to compiled programs, and why some are refused.

use super::environment::Environment;
use crate::MAX_ACCOUNT_DATA_LEN;
use solana_program_runtime::{
    invoke_context::Executable,
    program_cache_entry::{ProgramCacheEntry, ProgramCacheEntryType},
    program_metrics::LoadProgramMetrics,
    solana_sbpf::{
        ebpf,
        elf::{ElfError, get_sbpf_version},
    },
};
use solana_sdk_ids::bpf_loader_upgradeable;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// The account with the file has a header of 45 bytes.
const MAX_ELF_LEN: usize = MAX_ACCOUNT_DATA_LEN as usize - 45;

/// Why a file is not a program that can run here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// There are no bytes.
    #[error("the file is empty; expected an sBPF program (.so)")]
    Empty,
    /// It does not begin like an ELF file.
    #[error("the file does not begin with the ELF magic number; expected an sBPF program (.so)")]
    NotElf,
    /// It does not fit into an account.
    #[error("the file has {0} bytes; expected at most {MAX_ELF_LEN}")]
    TooLong(usize),
    /// It begins like an ELF file, but the rest does not hold together.
    #[error("the ELF file is damaged or not made for sBPF: {0}")]
    Malformed(String),
    /// The instructions are not valid.
    #[error("the program does not pass the sBPF verifier: {0}")]
    Rejected(String),
    /// It calls something that does not exist here.
    #[error("the program calls an unknown syscall, {0}")]
    UnknownSyscall(String),
}

pub(crate) struct Program {
    pub entry: Arc<ProgramCacheEntry>,
    hash: [u8; 32],
}

impl Program {
    /// Names the contents of the file.
    pub fn code_hash(&self) -> [u8; 32] {
        self.hash
    }
}

pub(crate) fn load(elf: &[u8], environment: &Environment) -> Result<Program, LoadError> {
    if elf.is_empty() {
        return Err(LoadError::Empty);
    }
    if !elf.starts_with(b"\x7fELF") {
        return Err(LoadError::NotElf);
    }
    if elf.len() > MAX_ELF_LEN {
        return Err(LoadError::TooLong(elf.len()));
    }
    // This release of the parser can panic on a crafted file; it does so before any compiled code is on the stack.
    let entry =
        catch_unwind(AssertUnwindSafe(|| compile(elf, environment))).unwrap_or_else(|_| Err(LoadError::Malformed("the parser gave up".into())))?;
    Ok(Program { entry: Arc::new(entry), hash: solana_blake3_hasher::hash(elf).to_bytes() })
}

fn compile(elf: &[u8], environment: &Environment) -> Result<ProgramCacheEntry, LoadError> {
    if is_cut_off(elf) {
        return Err(LoadError::Malformed("it ends before its section table does".into()));
    }
    get_sbpf_version(elf).map_err(|error| LoadError::Malformed(error.to_string()))?;
    let loader = environment.loader();
    Executable::load(elf, Arc::clone(loader)).map_err(|error| LoadError::Malformed(error.to_string()))?;
    let entry = ProgramCacheEntry::new(&bpf_loader_upgradeable::ID, loader.clone(), 0, 0, elf, elf.len(), &mut LoadProgramMetrics::default())
        .map_err(|error| LoadError::Rejected(error.to_string()))?;
    match &entry.program {
        ProgramCacheEntryType::Loaded(executable) => match unknown_syscall(executable) {
            Some(key) => Err(LoadError::UnknownSyscall(name_of(key, elf, environment))),
            None => Ok(entry),
        },
        _ => Err(LoadError::Rejected("it did not load".into())),
    }
}

/// The parser does not look at the section table of newer programs, but a file that lacks it is half a download.
fn is_cut_off(elf: &[u8]) -> bool {
    let number =
        |at: usize, len: usize| elf.get(at..at + len).map(|bytes| bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte)));
    // Offset of the section table, size and number of its entries.
    let (Some(offset), Some(size), Some(count)) = (number(40, 8), number(58, 2), number(60, 2)) else { return true };
    count > 0 && offset.saturating_add(size * count) > elf.len() as u64
}

/// Programs before v3 have the names of their syscalls in the symbol table, v3 has no more than the hash.
fn name_of(key: u32, elf: &[u8], environment: &Environment) -> String {
    match Executable::load(elf, Arc::clone(&environment.strict_loader())) {
        Err(ElfError::UnresolvedSymbol(name, ..)) => name,
        _ => format!("0x{key:08x} (the murmur3 hash of its name)"),
    }
}

/// The runtime would let such a program load, and at the call take its whole budget.
fn unknown_syscall(executable: &Executable) -> Option<u32> {
    let (_, text) = executable.get_text_bytes();
    let syscalls = executable.get_loader().get_function_registry();
    let static_calls = executable.get_sbpf_version().static_syscalls();
    let mut pc = 0;
    while (pc + 1) * ebpf::INSN_SIZE <= text.len() {
        let insn = ebpf::get_insn(text, pc);
        pc += if insn.opc == ebpf::LD_DW_IMM { 2 } else { 1 };
        if insn.opc != ebpf::CALL_IMM {
            continue;
        }
        let key = insn.imm as u32;
        // Newer programs say which calls are internal; in older ones an internal call is a key of the function registry.
        let internal = if static_calls { insn.src != 0 } else { executable.get_function_registry().lookup_by_key(key).is_some() };
        if !internal && syscalls.lookup_by_key(key).is_none() {
            return Some(key);
        }
    }
    None
}
