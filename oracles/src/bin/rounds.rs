//! Does rounds of instructions in Mollusk whenever it is asked to, so that a benchmark in another process can take turns with it.
//!
//! It reads lines; what is bytes is hexadecimal:
//!
//! ```text
//! program ADDRESS FILE
//! account ADDRESS LAMPORTS OWNER [DATA]
//! meta ADDRESS SIGNER WRITABLE            an account of the next instruction; the flags are 0 or 1
//! instruction PROGRAM DATA
//! round                                   runs all of them a number of times, and writes the nanoseconds of one
//! ```

use mollusk_svm::{Mollusk, program::create_program_account_pair_loader_v3};
use solana_account::Account;
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;
use solana_sdk_ids::bpf_loader_upgradeable;
use std::{collections::HashMap, time::Instant};

const TIMES: usize = 32;

type Failure = Box<dyn std::error::Error>;

#[derive(Default)]
struct Peer {
    mollusk: Mollusk,
    accounts: HashMap<Pubkey, Account>,
    metas: Vec<AccountMeta>,
    instructions: Vec<(Instruction, Vec<(Pubkey, Account)>)>,
}

fn main() -> Result<(), Failure> {
    let mut peer = Peer::default();
    peer.mollusk.feature_set.disable_sbpf_v0_execution = false;
    for line in std::io::stdin().lines() {
        peer.hear(&line?)?;
    }
    Ok(())
}

impl Peer {
    fn hear(&mut self, line: &str) -> Result<(), Failure> {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["program", address, file] => {
                let (key, elf) = (key(address)?, std::fs::read(file)?);
                self.mollusk.add_program_with_loader_and_elf(&key, &bpf_loader_upgradeable::ID, &elf);
                self.accounts.insert(key, create_program_account_pair_loader_v3(&key, &elf).0);
            }
            ["account", address, lamports, owner, ref data @ ..] => {
                let data = bytes(data.first().unwrap_or(&""))?;
                let account = Account { lamports: lamports.parse()?, data, owner: key(owner)?, ..Account::default() };
                self.accounts.insert(key(address)?, account);
            }
            ["meta", address, signer, writable] => {
                self.metas.push(AccountMeta { pubkey: key(address)?, is_signer: signer == "1", is_writable: writable == "1" });
            }
            ["instruction", program, data] => {
                let instruction = Instruction { program_id: key(program)?, accounts: std::mem::take(&mut self.metas), data: bytes(data)? };
                let keys = instruction.accounts.iter().map(|meta| meta.pubkey).chain([instruction.program_id]);
                let accounts = keys.map(|key| (key, self.accounts.get(&key).cloned().unwrap_or_default())).collect();
                self.instructions.push((instruction, accounts));
            }
            ["round"] => println!("{}", self.round()?),
            _ => return Err(format!("what is {line:?}?").into()),
        }
        Ok(())
    }

    fn round(&self) -> Result<f64, Failure> {
        let start = Instant::now();
        for (instruction, accounts) in (0..TIMES).flat_map(|_| &self.instructions) {
            self.mollusk.process_instruction(instruction, accounts).raw_result?;
        }
        Ok(start.elapsed().as_nanos() as f64 / (TIMES * self.instructions.len()) as f64)
    }
}

fn key(hex: &str) -> Result<Pubkey, Failure> {
    Ok(Pubkey::try_from(bytes(hex)?).map_err(|_| format!("{hex} is no address"))?)
}

fn bytes(hex: &str) -> Result<Vec<u8>, Failure> {
    let byte = |at| Ok(u8::from_str_radix(hex.get(at..at + 2).ok_or("half a byte")?, 16)?);
    (0..hex.len()).step_by(2).map(byte).collect()
}
