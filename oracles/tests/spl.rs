//! The Solana program library, as LiteSVM ships it: sequences of real instructions, with the errors that belong to them, and then
//! random ones over the same accounts.

#[path = "../../crates/svm/tests/random/mod.rs"]
mod random;

use async_bpf_oracles::{Arena, Ending, RENT as RENT_ERROR, SplProgram, spl_programs};
use async_bpf_svm::{Account, AccountMeta, Address, Callback};
use random::{Dice, Place, setting};
use solana_pubkey::{Pubkey, pubkey};
use std::sync::Arc;

const TOKEN: Address = Address(pubkey!("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA").to_bytes());
const TOKEN_2022: Address = Address(pubkey!("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb").to_bytes());
const ASSOCIATED: Address = Address(pubkey!("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL").to_bytes());
const MEMO_1: Address = Address(pubkey!("Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo").to_bytes());
const MEMO_4: Address = Address(pubkey!("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr").to_bytes());
const LOOKUP_TABLE: Address = Address(solana_sdk_ids::address_lookup_table::ID.to_bytes());
const STAKE: Address = Address(solana_sdk_ids::stake::ID.to_bytes());
const SYSTEM: Address = Address([0; 32]);
const RENT: Address = Address(solana_sdk_ids::sysvar::rent::ID.to_bytes());
const CLOCK: Address = Address(solana_sdk_ids::sysvar::clock::ID.to_bytes());
const STAKE_HISTORY: Address = Address(solana_sdk_ids::sysvar::stake_history::ID.to_bytes());

const PAYER: Address = Address([0x51; 32]);
const OWNER: Address = Address([0x52; 32]);
const OTHER: Address = Address([0x53; 32]);
const MINT: Address = Address([0x61; 32]);
const FROM: Address = Address([0x62; 32]);
const TO: Address = Address([0x63; 32]);
const MULTISIG: Address = Address([0x64; 32]);

const MINT_LEN: u64 = 82;
const ACCOUNT_LEN: u64 = 165;
const MULTISIG_LEN: u64 = 355;

/// Errors of the token programs.
mod token_error {
    pub const NOT_RENT_EXEMPT: u32 = 0;
    pub const INSUFFICIENT_FUNDS: u32 = 1;
    pub const OWNER_MISMATCH: u32 = 4;
    pub const FIXED_SUPPLY: u32 = 5;
    pub const ALREADY_IN_USE: u32 = 6;
    pub const NON_NATIVE_HAS_BALANCE: u32 = 11;
    pub const INVALID_STATE: u32 = 13;
    pub const ACCOUNT_FROZEN: u32 = 17;
    pub const MINT_DECIMALS_MISMATCH: u32 = 18;
    pub const NO_MEMO: u32 = 36;
}
use token_error::*;

fn exempt(len: u64) -> u64 {
    6960 * (128 + len)
}

fn w(address: Address) -> AccountMeta {
    AccountMeta { address, signer: false, writable: true }
}
fn r(address: Address) -> AccountMeta {
    AccountMeta { address, signer: false, writable: false }
}
fn s(address: Address) -> AccountMeta {
    AccountMeta { address, signer: true, writable: false }
}
fn ws(address: Address) -> AccountMeta {
    AccountMeta { address, signer: true, writable: true }
}

fn instruction(program: Address, data: &[&[u8]], accounts: &[AccountMeta]) -> Callback {
    Callback { program, data: data.concat(), accounts: accounts.to_vec(), compute_budget: 400_000 }
}

fn create(address: Address, len: u64, owner: Address) -> Callback {
    let fields = [&[0; 4][..], &exempt(len).to_le_bytes(), &len.to_le_bytes(), &owner.0];
    instruction(SYSTEM, &fields, &[ws(PAYER), ws(address)])
}

fn derived(seeds: &[&[u8]], program: Address) -> Address {
    Address(Pubkey::find_program_address(seeds, &Pubkey::new_from_array(program.0)).0.to_bytes())
}

fn associated(owner: Address, mint: Address, token: Address) -> Address {
    derived(&[&owner.0, &token.0, &mint.0], ASSOCIATED)
}

/// An arena with the programs that a test is about.
struct Bank {
    arena: Arena,
}

impl Bank {
    fn new(programs: &[&SplProgram]) -> Self {
        let mut arena = Arena::new();
        for program in programs {
            arena.add_program(program.address, &program.elf);
        }
        for wallet in [PAYER, OWNER, OTHER] {
            arena.set_account(wallet, Some(Account { lamports: 1_000_000_000_000, ..Account::default() }));
        }
        Bank { arena }
    }

    /// What is to succeed.
    #[track_caller]
    fn ok(&mut self, instruction: Callback) -> Ending {
        let ending = self.arena.invoke(&instruction);
        assert_eq!(ending.failure, None, "{:?}", ending.logs);
        ending
    }

    /// What is to fail, with whatever they agree on.
    #[track_caller]
    fn refused(&mut self, instruction: Callback) {
        let ending = self.arena.invoke(&instruction);
        assert!(ending.failure.is_some(), "{:?}", ending.logs);
    }

    /// What is to fail with a number of the program's.
    #[track_caller]
    fn custom(&mut self, instruction: Callback, number: u32) {
        let ending = self.arena.invoke(&instruction);
        assert_eq!(ending.failure.as_ref().and_then(|failure| failure.custom), Some(number), "{:?} {:?}", ending.failure, ending.logs);
    }

    /// What is to fail with an error of the runtime's.
    #[track_caller]
    fn fails(&mut self, instruction: Callback, name: &str) {
        let ending = self.arena.invoke(&instruction);
        assert_eq!(ending.failure.as_ref().map_or("success", |failure| &failure.name), name, "{:?}", ending.logs);
    }

    fn amount(&mut self, address: Address) -> u64 {
        u64::from_le_bytes(self.arena.account(&address).unwrap().data[64..72].try_into().unwrap())
    }
}

fn without_signatures(mut instruction: Callback) -> Callback {
    instruction.accounts.iter_mut().for_each(|meta| meta.signer = false);
    instruction
}

/// Instructions that all three token programs have.
#[derive(Clone, Copy)]
struct Token(Address);

impl Token {
    fn make(self, data: &[&[u8]], accounts: &[AccountMeta]) -> Callback {
        instruction(self.0, data, accounts)
    }
    fn mint_2(self, mint: Address, decimals: u8, authority: Address, freeze: Option<Address>) -> Callback {
        let freeze = freeze.map_or(vec![0], |key| [&[1][..], &key.0].concat());
        self.make(&[&[20, decimals], &authority.0, &freeze], &[w(mint)])
    }
    fn account_3(self, account: Address, mint: Address, owner: Address) -> Callback {
        self.make(&[&[18], &owner.0], &[w(account), r(mint)])
    }
    fn mint_to(self, mint: Address, to: Address, authority: Address, amount: u64) -> Callback {
        self.make(&[&[7], &amount.to_le_bytes()], &[w(mint), w(to), s(authority)])
    }
    fn transfer(self, from: Address, to: Address, owner: Address, amount: u64) -> Callback {
        self.make(&[&[3], &amount.to_le_bytes()], &[w(from), w(to), s(owner)])
    }
    fn transfer_checked(self, from: Address, to: Address, owner: Address, amount: u64, decimals: u8) -> Callback {
        self.make(&[&[12], &amount.to_le_bytes(), &[decimals]], &[w(from), r(MINT), w(to), s(owner)])
    }
    fn set_authority(self, account: Address, kind: u8, owner: Address, to: Option<Address>) -> Callback {
        let to = to.map_or(vec![0], |key| [&[1][..], &key.0].concat());
        self.make(&[&[6, kind], &to], &[w(account), s(owner)])
    }

    /// A mint, and two accounts of OWNER's, of which the first has 1,000.
    fn set_up(self, bank: &mut Bank) {
        bank.ok(create(MINT, MINT_LEN, self.0));
        bank.ok(self.mint_2(MINT, 2, OWNER, Some(OWNER)));
        for account in [FROM, TO] {
            bank.ok(create(account, ACCOUNT_LEN, self.0));
            bank.ok(self.account_3(account, MINT, OWNER));
        }
        bank.ok(self.mint_to(MINT, FROM, OWNER, 1000));
    }
}

fn tokens(programs: &[SplProgram]) -> impl Iterator<Item = &SplProgram> {
    programs.iter().filter(|program| [TOKEN, TOKEN_2022].contains(&program.address))
}

fn program(programs: &[SplProgram], address: Address) -> &SplProgram {
    programs.iter().find(|program| program.address == address).expect("LiteSVM ships it")
}

#[test]
fn there_are_all_programs() {
    let count = |address| spl_programs().iter().filter(|program| program.address == address).count();
    assert_eq!([TOKEN, TOKEN_2022, ASSOCIATED, MEMO_1, MEMO_4, LOOKUP_TABLE, STAKE].map(count), [2, 1, 1, 1, 1, 1, 1]);
}

#[test]
fn token_programs() {
    let programs = spl_programs();
    for program in tokens(&programs) {
        let mut bank = Bank::new(&[program]);
        let token = Token(program.address);
        let made = |data: &[&[u8]], accounts: &[AccountMeta]| token.make(data, accounts);

        // Accounts that are not there, that are not initialised, or that have too little.
        bank.refused(token.mint_2(MINT, 2, OWNER, None));
        bank.refused(token.transfer(FROM, TO, OWNER, 1));
        bank.ok(create(MINT, MINT_LEN, token.0));
        bank.refused(token.mint_to(MINT, FROM, OWNER, 1));
        bank.arena.set_account(MINT, Some(Account { lamports: 1000, data: Arc::new(vec![0; MINT_LEN as usize]), owner: token.0, executable: false }));
        bank.custom(token.mint_2(MINT, 2, OWNER, None), NOT_RENT_EXEMPT);
        bank.custom(made(&[&[0, 2], &OWNER.0, &[0]], &[w(MINT), r(RENT)]), NOT_RENT_EXEMPT);
        bank.arena.set_account(MINT, None);

        token.set_up(&mut bank);
        bank.custom(token.mint_2(MINT, 2, OWNER, None), ALREADY_IN_USE);
        bank.custom(token.account_3(FROM, MINT, OWNER), ALREADY_IN_USE);
        bank.fails(
            token.make(&[&[1]], &[w(OTHER), r(MINT), r(OWNER), r(RENT)]),
            if token.0 == TOKEN { "InvalidAccountData" } else { "IncorrectProgramId" },
        );
        bank.custom(create(FROM, ACCOUNT_LEN, token.0), 0);

        // Transfers.
        bank.ok(token.transfer(FROM, TO, OWNER, 300));
        bank.ok(token.transfer(FROM, FROM, OWNER, 5));
        bank.ok(token.transfer_checked(FROM, TO, OWNER, 100, 2));
        assert_eq!([bank.amount(FROM), bank.amount(TO)], [600, 400]);
        bank.custom(token.transfer_checked(FROM, TO, OWNER, 100, 3), MINT_DECIMALS_MISMATCH);
        bank.custom(token.transfer(FROM, TO, OWNER, 601), INSUFFICIENT_FUNDS);
        bank.custom(token.transfer(FROM, TO, OTHER, 1), OWNER_MISMATCH);
        bank.fails(without_signatures(token.transfer(FROM, TO, OWNER, 1)), "MissingRequiredSignature");
        bank.refused(made(&[&[3], &[1, 2, 3]], &[w(FROM), w(TO), s(OWNER)]));
        bank.fails(made(&[&[3], &1u64.to_le_bytes()], &[w(FROM), w(TO)]), "NotEnoughAccountKeys");
        bank.fails(made(&[&[3], &1u64.to_le_bytes()], &[r(FROM), w(TO), s(OWNER)]), "ReadonlyDataModified");
        bank.refused(made(&[&[3], &1u64.to_le_bytes()], &[w(FROM), w(OTHER), s(OWNER)]));
        bank.refused(made(&[], &[w(FROM)]));
        bank.refused(made(&[&[99]], &[w(FROM)]));

        // Somebody else may, up to an amount, until it is revoked.
        bank.ok(made(&[&[4], &50u64.to_le_bytes()], &[w(FROM), r(OTHER), s(OWNER)]));
        bank.ok(token.transfer(FROM, TO, OTHER, 20));
        bank.custom(token.transfer(FROM, TO, OTHER, 31), INSUFFICIENT_FUNDS);
        bank.ok(made(&[&[13], &60u64.to_le_bytes(), &[2]], &[w(FROM), r(MINT), r(OTHER), s(OWNER)]));
        bank.ok(made(&[&[5]], &[w(FROM), s(OWNER)]));
        bank.custom(token.transfer(FROM, TO, OTHER, 1), OWNER_MISMATCH);

        // Frozen.
        bank.ok(made(&[&[10]], &[w(FROM), r(MINT), s(OWNER)]));
        bank.custom(token.transfer(FROM, TO, OWNER, 1), ACCOUNT_FROZEN);
        bank.refused(made(&[&[10]], &[w(FROM), r(MINT), s(OWNER)]));
        bank.ok(made(&[&[11]], &[w(FROM), r(MINT), s(OWNER)]));
        bank.custom(made(&[&[11]], &[w(TO), r(MINT), s(OTHER)]), INVALID_STATE);

        // Burnt, minted, and minted no more.
        bank.ok(made(&[&[8], &10u64.to_le_bytes()], &[w(FROM), w(MINT), s(OWNER)]));
        bank.ok(made(&[&[15], &10u64.to_le_bytes(), &[2]], &[w(FROM), w(MINT), s(OWNER)]));
        bank.custom(made(&[&[8], &u64::MAX.to_le_bytes()], &[w(FROM), w(MINT), s(OWNER)]), INSUFFICIENT_FUNDS);
        bank.ok(made(&[&[14], &10u64.to_le_bytes(), &[2]], &[w(MINT), w(TO), s(OWNER)]));
        bank.refused(token.mint_to(MINT, TO, OWNER, u64::MAX));
        bank.custom(token.mint_to(MINT, TO, OTHER, 1), OWNER_MISMATCH);
        bank.ok(token.set_authority(MINT, 0, OWNER, Some(OTHER)));
        bank.custom(token.mint_to(MINT, TO, OWNER, 1), OWNER_MISMATCH);
        bank.ok(token.set_authority(MINT, 0, OTHER, None));
        bank.custom(token.mint_to(MINT, TO, OTHER, 1), FIXED_SUPPLY);

        // In words, through return data.
        let size = bank.ok(made(&[&[21]], &[r(MINT)]));
        assert_eq!(size.return_data, Some(165u64.to_le_bytes().to_vec()));
        let words = bank.ok(made(&[&[23], &12345u64.to_le_bytes()], &[r(MINT)]));
        assert_eq!(words.return_data.as_deref(), Some(&b"123.45"[..]));
        bank.ok(made(&[&[24], b"123.45"], &[r(MINT)]));
        bank.refused(made(&[&[24], b"one"], &[r(MINT)]));

        // Several owners, of whom two must sign.
        let signers = [Address([0x71; 32]), Address([0x72; 32]), Address([0x73; 32])];
        bank.ok(create(MULTISIG, MULTISIG_LEN, token.0));
        let parties = |first: &[AccountMeta], signed: usize| {
            let more = signers.iter().enumerate().map(|(index, address)| if index < signed { s(*address) } else { r(*address) });
            [first.to_vec(), more.collect()].concat()
        };
        bank.refused(made(&[&[2, 12]], &parties(&[w(MULTISIG), r(RENT)], 0)));
        bank.ok(made(&[&[2, 2]], &parties(&[w(MULTISIG), r(RENT)], 0)));
        bank.refused(made(&[&[19, 2]], &parties(&[w(MULTISIG)], 0)));
        bank.ok(token.set_authority(TO, 2, OWNER, Some(MULTISIG)));
        let shared = |signed| made(&[&[3], &1u64.to_le_bytes()], &parties(&[w(TO), w(FROM), r(MULTISIG)], signed));
        bank.fails(shared(1), "MissingRequiredSignature");
        bank.fails(shared(2), "MissingRequiredSignature");
        bank.ok(shared(3));
        for (signed, enough) in [(1, false), (2, true)] {
            let mut instruction = shared(signed);
            instruction.accounts.truncate(3 + signed);
            assert_eq!(bank.arena.invoke(&instruction).failure.is_none(), enough);
        }

        // Closed.
        let close = |account, owner| made(&[&[9]], &[w(account), w(PAYER), s(owner)]);
        bank.custom(close(FROM, OWNER), NON_NATIVE_HAS_BALANCE);
        let rest = bank.amount(FROM);
        bank.ok(made(&[&[8], &rest.to_le_bytes()], &[w(FROM), w(MINT), s(OWNER)]));
        bank.custom(close(FROM, OTHER), OWNER_MISMATCH);
        bank.ok(close(FROM, OWNER));
        assert_eq!(bank.arena.account(&FROM), None);
    }
}

/// Accounts of wrapped lamports.
#[test]
fn native_tokens() {
    let programs = spl_programs();
    let native = |address| match address {
        TOKEN => Address(pubkey!("So11111111111111111111111111111111111111112").to_bytes()),
        _ => Address(pubkey!("9pan9bMn5HatX4EJdBwg9VgCa7Uz5HL8N1m5D3NdXejP").to_bytes()),
    };
    for program in tokens(&programs) {
        let mut bank = Bank::new(&[program]);
        let (token, mint) = (Token(program.address), native(program.address));
        if token.0 == TOKEN_2022 {
            bank.ok(token.make(&[&[31]], &[ws(PAYER), w(mint), r(SYSTEM)]));
        } else {
            let data = [&[0; 4][..], &[0; 32], &[0; 8], &[9, 1], &[0; 36]].concat();
            bank.arena.set_account(mint, Some(Account { lamports: exempt(MINT_LEN), data: Arc::new(data), owner: TOKEN, executable: false }));
        }
        for account in [FROM, TO] {
            bank.ok(create(account, ACCOUNT_LEN, token.0));
            bank.ok(token.account_3(account, mint, OWNER));
        }
        bank.ok(instruction(SYSTEM, &[&2u32.to_le_bytes(), &5_000_000u64.to_le_bytes()], &[ws(PAYER), w(FROM)]));
        bank.ok(token.make(&[&[17]], &[w(FROM)]));
        assert_eq!(bank.amount(FROM), 5_000_000);
        bank.ok(token.transfer(FROM, TO, OWNER, 2_000_000));
        bank.custom(token.mint_to(mint, FROM, OWNER, 1), 10);
        bank.ok(token.make(&[&[9]], &[w(TO), w(OTHER), s(OWNER)]));
    }
}

#[test]
fn token_2022_extensions() {
    let programs = spl_programs();
    let token = Token(TOKEN_2022);
    let made = |data: &[&[u8]], accounts: &[AccountMeta]| token.make(data, accounts);
    // A mint whose extensions take so many bytes, and what initialises them; then an account with extensions of so many bytes.
    let with = |mint_bytes: u64, initialise: &[u8], account_bytes: u64| {
        let mut bank = Bank::new(&[program(&programs, TOKEN_2022), program(&programs, MEMO_4)]);
        bank.ok(create(MINT, 166 + mint_bytes, TOKEN_2022));
        bank.ok(made(&[initialise], &[w(MINT)]));
        bank.ok(token.mint_2(MINT, 2, OWNER, Some(OWNER)));
        for account in [FROM, TO] {
            let len = if account_bytes == 0 { ACCOUNT_LEN } else { 166 + account_bytes };
            bank.ok(create(account, len, TOKEN_2022));
            bank.ok(token.account_3(account, MINT, OWNER));
        }
        bank
    };
    let key = |address: Address| [&[1][..], &address.0].concat();

    // A fee of 1 %, at most 5.
    let fee = [&[26, 0][..], &key(OWNER), &key(OWNER), &100u16.to_le_bytes(), &5u64.to_le_bytes()].concat();
    let mut bank = with(4 + 108, &fee, 4 + 8);
    bank.ok(token.mint_to(MINT, FROM, OWNER, 10_000));
    bank.ok(token.transfer_checked(FROM, TO, OWNER, 250, 2));
    assert_eq!(bank.amount(TO), 247);
    bank.refused(token.transfer(FROM, TO, OWNER, 250));
    let with_fee = |fee: u64| made(&[&[26, 1], &1000u64.to_le_bytes(), &[2], &fee.to_le_bytes()], &[w(FROM), r(MINT), w(TO), s(OWNER)]);
    bank.ok(with_fee(5));
    bank.refused(with_fee(4));
    bank.refused(made(&[&[9]], &[w(TO), w(PAYER), s(OWNER)]));
    bank.ok(made(&[&[26, 4]], &[w(MINT), w(TO)]));
    bank.ok(made(&[&[26, 2]], &[w(MINT), w(FROM), s(OWNER)]));
    bank.ok(made(&[&[26, 5], &50u16.to_le_bytes(), &9u64.to_le_bytes()], &[w(MINT), s(OWNER)]));
    bank.ok(made(&[&[26, 3, 1]], &[r(MINT), w(FROM), s(OWNER), w(TO)]));

    // A memo before each transfer, which a single instruction cannot have; the account grows for it.
    let mut bank = with(4 + 32, &[&[25][..], &key(OWNER)].concat(), 0);
    bank.ok(token.mint_to(MINT, FROM, OWNER, 10));
    bank.ok(made(&[&[29], &8u16.to_le_bytes(), &11u16.to_le_bytes()], &[w(TO), ws(PAYER), r(SYSTEM), s(OWNER)]));
    assert_eq!(bank.arena.account(&TO).unwrap().data.len(), 166 + 5 + 5);
    bank.ok(made(&[&[30, 0]], &[w(TO), s(OWNER)]));
    bank.custom(token.transfer_checked(FROM, TO, OWNER, 1, 2), NO_MEMO);
    bank.ok(made(&[&[30, 1]], &[w(TO), s(OWNER)]));
    bank.ok(token.transfer_checked(FROM, TO, OWNER, 1, 2));
    bank.ok(made(&[&[34, 0]], &[w(TO), s(OWNER)]));
    // The mint can be closed when there is nothing left of it.
    bank.refused(made(&[&[9]], &[w(MINT), w(PAYER), s(OWNER)]));
    for (account, amount) in [(FROM, 9u64), (TO, 1)] {
        bank.ok(made(&[&[8], &amount.to_le_bytes()], &[w(account), w(MINT), s(OWNER)]));
    }
    bank.ok(made(&[&[9]], &[w(MINT), w(PAYER), s(OWNER)]));

    // Frozen from the start.
    let mut bank = with(4 + 1, &[28, 0, 2], 0);
    bank.custom(token.mint_to(MINT, FROM, OWNER, 10), ACCOUNT_FROZEN);
    bank.ok(made(&[&[28, 1, 1]], &[w(MINT), s(OWNER)]));

    // Bound to its owner.
    let mut bank = with(4, &[32], 4 + 4);
    bank.ok(token.mint_to(MINT, FROM, OWNER, 10));
    bank.refused(token.transfer_checked(FROM, TO, OWNER, 10, 2));

    // Somebody who may always take it.
    let mut bank = with(4 + 32, &[&[35][..], &OTHER.0].concat(), 0);
    bank.ok(token.mint_to(MINT, FROM, OWNER, 10));
    bank.ok(token.transfer_checked(FROM, TO, OTHER, 10, 2));

    // Interest, which only what is shown has.
    let mut bank = with(4 + 52, &[&[33, 0][..], &OWNER.0, &500i16.to_le_bytes()].concat(), 0);
    bank.ok(made(&[&[23], &100_000u64.to_le_bytes()], &[r(MINT)]));
    bank.arena.enter(1000);
    bank.ok(made(&[&[33, 1], &(-200i16).to_le_bytes()], &[w(MINT), s(OWNER)]));
    bank.ok(made(&[&[23], &100_000u64.to_le_bytes()], &[r(MINT)]));

    // A name, for which the mint grows.
    let mut bank = with(4 + 64, &[&[39, 0][..], &OWNER.0, &MINT.0].concat(), 0);
    let text = |text: &str| [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let name = |texts: &[&str]| {
        let texts: Vec<_> = texts.iter().map(|string| text(string)).collect();
        made(&[&[210, 225, 30, 162, 88, 184, 77, 141], &texts.concat()], &[w(MINT), r(OWNER), r(MINT), s(OWNER)])
    };
    let long = "x".repeat(700);
    bank.refused(name(&["name", "N", &long]));
    bank.ok(instruction(SYSTEM, &[&2u32.to_le_bytes(), &50_000_000u64.to_le_bytes()], &[ws(PAYER), w(MINT)]));
    bank.ok(name(&["name", "N", &long]));
    assert!(bank.arena.account(&MINT).unwrap().data.len() > 900);
    bank.refused(name(&["again", "A", ""]));
}

#[test]
fn associated_accounts() {
    let programs = spl_programs();
    for program in tokens(&programs) {
        let mut bank = Bank::new(&[program, self::program(&programs, ASSOCIATED)]);
        let token = Token(program.address);
        token.set_up(&mut bank);
        let account = associated(OTHER, MINT, token.0);
        let make = |data: &[u8], account| instruction(ASSOCIATED, &[data], &[ws(PAYER), w(account), r(OTHER), r(MINT), r(SYSTEM), r(token.0)]);
        bank.refused(make(&[0], TO));
        bank.refused(without_signatures(make(&[0], account)));
        let created = bank.ok(make(&[], account));
        assert!(created.logs.iter().any(|line| line.ends_with("invoke [2]")));
        bank.refused(make(&[0], account));
        bank.ok(make(&[1], account));
        bank.ok(token.transfer_checked(FROM, account, OWNER, 7, 2));
        // An account that has lamports before it is created.
        let early = associated(OWNER, MINT, token.0);
        bank.ok(instruction(SYSTEM, &[&2u32.to_le_bytes(), &1_000_000u64.to_le_bytes()], &[ws(PAYER), w(early)]));
        bank.ok(instruction(ASSOCIATED, &[&[1]], &[ws(PAYER), w(early), r(OWNER), r(MINT), r(SYSTEM), r(token.0)]));
        // Any budget ends it somewhere.
        for compute_budget in (500..30_000).step_by(500) {
            let owner = Address([0x91; 32]);
            let account = associated(owner, MINT, token.0);
            let create = instruction(ASSOCIATED, &[&[0]], &[ws(PAYER), w(account), r(owner), r(MINT), r(SYSTEM), r(token.0)]);
            bank.arena.invoke(&Callback { compute_budget, ..create });
            bank.arena.set_account(account, None);
        }
        // An account whose owner is an account: its tokens can be had back.
        let nested = associated(account, MINT, token.0);
        bank.ok(instruction(ASSOCIATED, &[&[0]], &[ws(PAYER), w(nested), r(account), r(MINT), r(SYSTEM), r(token.0)]));
        bank.ok(token.transfer_checked(FROM, nested, OWNER, 5, 2));
        let metas = [w(nested), r(MINT), w(account), r(account), r(MINT), ws(OTHER), r(token.0)];
        bank.ok(instruction(ASSOCIATED, &[&[2]], &metas));
        assert_eq!(bank.amount(account), 12);
    }
}

#[test]
fn memos() {
    let programs = spl_programs();
    let mut bank = Bank::new(&[program(&programs, MEMO_1), program(&programs, MEMO_4)]);
    for memo in [MEMO_1, MEMO_4] {
        for text in ["", "slot by slot", "ünïcödé", &"long ".repeat(200)] {
            bank.ok(instruction(memo, &[text.as_bytes()], &[]));
        }
        for bytes in [&[0xFF][..], b"cut off \xE2\x82", b"\0\0\xC0\x80"] {
            bank.refused(instruction(memo, &[bytes], &[]));
        }
        bank.arena.invoke(&instruction(memo, &[b"signed"], &[s(OWNER), s(OTHER)]));
        bank.arena.invoke(&instruction(memo, &[b"signed"], &[s(OWNER), r(OTHER)]));
    }
    bank.ok(instruction(MEMO_4, &[b"signed"], &[s(OWNER), s(OTHER)]));
    bank.fails(instruction(MEMO_4, &[b"signed"], &[s(OWNER), r(OTHER)]), "MissingRequiredSignature");
}

#[test]
fn the_system_program() {
    let mut bank = Bank::new(&[]);
    let make = |number: u32, data: &[&[u8]], accounts: &[AccountMeta]| instruction(SYSTEM, &[&number.to_le_bytes(), &data.concat()], accounts);
    let transfer = |to, lamports: u64| make(2, &[&lamports.to_le_bytes()], &[ws(PAYER), w(to)]);
    bank.ok(transfer(OTHER, 1));
    bank.custom(transfer(OTHER, u64::MAX), 1);
    bank.fails(without_signatures(transfer(OTHER, 1)), "MissingRequiredSignature");
    // Enough for an account to exist, or too little; but anything can be burnt.
    bank.fails(transfer(TO, 890_879), RENT_ERROR);
    bank.ok(transfer(TO, 890_880));
    bank.ok(transfer(Address(solana_sdk_ids::incinerator::ID.to_bytes()), 1));
    // Space, an owner, and both at once.
    bank.ok(transfer(MULTISIG, 10_000_000));
    bank.ok(make(8, &[&100u64.to_le_bytes()], &[ws(MULTISIG)]));
    bank.custom(make(8, &[&100u64.to_le_bytes()], &[ws(MULTISIG)]), 0);
    bank.custom(make(8, &[&(10 * 1024 * 1024 + 1u64).to_le_bytes()], &[ws(OWNER)]), 3);
    bank.fails(make(8, &[&(5 * 1024 * 1024u64).to_le_bytes()], &[ws(TO)]), RENT_ERROR);
    bank.ok(make(1, &[&TOKEN.0], &[ws(OTHER)]));
    bank.fails(make(1, &[&STAKE.0], &[ws(OTHER)]), "ModifiedProgramId");
    bank.ok(create(FROM, 5000, TOKEN));
    bank.custom(create(FROM, 5000, TOKEN), 0);
    // An address that the payer's makes, with a text.
    let seed = b"seed";
    let text = [&(seed.len() as u64).to_le_bytes()[..], seed].concat();
    let seeded = Pubkey::create_with_seed(&Pubkey::new_from_array(OWNER.0), "seed", &Pubkey::new_from_array(TOKEN.0)).unwrap();
    let with_seed = |address, lamports: u64| {
        let data = [&OWNER.0[..], &text, &lamports.to_le_bytes(), &10u64.to_le_bytes(), &TOKEN.0];
        make(3, &data, &[ws(OWNER), w(address)])
    };
    bank.custom(with_seed(MINT, exempt(10)), 5);
    bank.fails(with_seed(Address(seeded.to_bytes()), 1), RENT_ERROR);
    bank.ok(with_seed(Address(seeded.to_bytes()), exempt(10)));
    bank.refused(make(99, &[], &[]));
    bank.refused(make(2, &[], &[ws(PAYER), w(TO)]));
}

#[test]
fn lookup_tables() {
    let programs = spl_programs();
    let mut bank = Bank::new(&[program(&programs, LOOKUP_TABLE)]);
    bank.arena.enter(10);
    let table = derived(&[&OWNER.0, &9u64.to_le_bytes()], LOOKUP_TABLE);
    let make = |number: u32, data: &[&[u8]], accounts: &[AccountMeta]| instruction(LOOKUP_TABLE, &[&number.to_le_bytes(), &data.concat()], accounts);
    // No slot is recent here.
    bank.refused(make(0, &[&9u64.to_le_bytes(), &[255]], &[w(table), s(OWNER), ws(PAYER), r(SYSTEM)]));
    let header = [&1u32.to_le_bytes()[..], &u64::MAX.to_le_bytes(), &0u64.to_le_bytes(), &[0, 1], &OWNER.0, &[0; 2]].concat();
    let account = Account { lamports: exempt(56), data: Arc::new(header), owner: LOOKUP_TABLE, executable: false };
    bank.arena.set_account(table, Some(account));
    let extend = |count: u64| {
        let addresses: Vec<u8> = (0..32 * count).map(|at| at as u8).collect();
        make(2, &[&count.to_le_bytes(), &addresses], &[w(table), s(OWNER), ws(PAYER), r(SYSTEM)])
    };
    bank.ok(extend(3));
    bank.ok(extend(20));
    bank.refused(extend(0));
    assert_eq!(bank.arena.account(&table).unwrap().data.len(), 56 + 23 * 32);
    bank.fails(make(1, &[], &[w(table), s(OTHER)]), "IncorrectAuthority");
    bank.ok(make(3, &[], &[w(table), s(OWNER)]));
    bank.refused(make(4, &[], &[w(table), s(OWNER), w(PAYER)]));
    bank.refused(extend(1));
}

#[test]
fn stakes() {
    let programs = spl_programs();
    let mut bank = Bank::new(&[program(&programs, STAKE)]);
    let make = |number: u32, data: &[&[u8]], accounts: &[AccountMeta]| instruction(STAKE, &[&number.to_le_bytes(), &data.concat()], accounts);
    let (stake, split) = (Address([0x81; 32]), Address([0x82; 32]));
    bank.ok(create(stake, 200, STAKE));
    bank.ok(create(split, 200, STAKE));
    bank.ok(instruction(SYSTEM, &[&2u32.to_le_bytes(), &3_000_000_000u64.to_le_bytes()], &[ws(PAYER), w(stake)]));
    let initialise = make(0, &[&OWNER.0, &OTHER.0, &[0; 48]], &[w(stake), r(RENT)]);
    bank.ok(initialise.clone());
    bank.refused(initialise);
    let minimum = bank.ok(make(13, &[], &[]));
    assert_eq!(minimum.return_data.map(|data| data.len()), Some(8));
    bank.ok(make(1, &[&PAYER.0, &0u32.to_le_bytes()], &[w(stake), r(CLOCK), s(OWNER)]));
    bank.refused(make(1, &[&PAYER.0, &0u32.to_le_bytes()], &[w(stake), r(CLOCK), r(OWNER)]));
    bank.ok(make(3, &[&1_500_000_000u64.to_le_bytes()], &[w(stake), w(split), s(PAYER)]));
    bank.refused(make(3, &[&1_500_000_000u64.to_le_bytes()], &[w(stake), w(split), s(PAYER)]));
    let withdraw = |lamports: u64| make(4, &[&lamports.to_le_bytes()], &[w(stake), w(PAYER), r(CLOCK), r(STAKE_HISTORY), s(OTHER)]);
    bank.ok(withdraw(1_000_000));
    bank.refused(withdraw(10_000_000_000));
    bank.refused(make(2, &[], &[w(stake), r(TO), r(CLOCK), r(STAKE_HISTORY), r(TO), s(PAYER)]));
    bank.refused(make(5, &[], &[w(stake), r(CLOCK), s(PAYER)]));
}

/// Instructions of the token programs with anything in the places of their accounts and numbers, some of them spoilt.
#[test]
fn random_instructions() {
    let (runs, seed) = (setting("RUNS", 2000), setting("SEED", 1));
    let programs = spl_programs();
    let mut dice = Dice::new(seed);
    let mut place = Place { seed, round: 0 };
    for program in tokens(&programs) {
        let mut bank = Bank::new(&[program, self::program(&programs, ASSOCIATED)]);
        let token = Token(program.address);
        let more = [associated(OWNER, MINT, token.0), associated(OTHER, MINT, token.0)];
        let mut successes = 0;
        for round in 0..runs {
            place.round = round;
            if round % 500 == 0 {
                // Sooner or later everything is closed or belongs to nobody.
                for address in [MINT, FROM, TO, MULTISIG, more[0], more[1]] {
                    bank.arena.set_account(address, None);
                }
                token.set_up(&mut bank);
                bank.ok(create(MULTISIG, MULTISIG_LEN, token.0));
                bank.ok(token.make(&[&[2, 1]], &[w(MULTISIG), r(RENT), r(OWNER), r(OTHER)]));
            }
            let account = dice.pick(&[FROM, FROM, TO, TO, more[0], more[1]]);
            let other = dice.pick(&[FROM, TO, more[0], more[1]]);
            let owner = dice.pick(&[OWNER, OWNER, OWNER, OTHER, MULTISIG]);
            let wallet = dice.pick(&[OWNER, OTHER]);
            let amount = dice.pick(&[0u64, 1, 5, 10, 100, 1001, u64::MAX]);
            let number = amount.to_le_bytes();
            let mut instruction = match dice.below(20) {
                0..3 => token.transfer(account, other, owner, amount),
                3..5 => token.transfer_checked(account, other, owner, amount, dice.pick(&[2, 2, 2, 3])),
                5 => token.mint_to(MINT, account, owner, amount),
                6 => token.make(&[&[8], &number], &[w(account), w(MINT), s(owner)]),
                7 => token.make(&[&[4], &number], &[w(account), r(wallet), s(owner)]),
                8 => token.make(&[&[5]], &[w(account), s(owner)]),
                9 => token.make(&[&[9]], &[w(account), w(PAYER), s(owner)]),
                10 => token.make(&[&[10 + dice.below(2) as u8]], &[w(account), r(MINT), s(OWNER)]),
                11 => token.set_authority(account, 2 + dice.below(2) as u8, owner, dice.pick(&[None, Some(OWNER), Some(OTHER), Some(MULTISIG)])),
                12 => create(dice.pick(&[FROM, TO]), ACCOUNT_LEN, token.0),
                13 | 14 => token.account_3(account, MINT, owner),
                15 => token.make(&[&[21 + dice.below(4) as u8], &number], &[r(MINT)]),
                16 => token.make(&[&[dice.word() as u8], &number, &[dice.word() as u8; 40]], &[w(account), w(MINT), w(other), s(owner)]),
                _ => {
                    let metas = [ws(PAYER), w(associated(wallet, MINT, token.0)), r(wallet), r(MINT), r(SYSTEM), r(token.0)];
                    self::instruction(ASSOCIATED, &[&[dice.below(2) as u8]], &metas)
                }
            };
            if owner == MULTISIG {
                instruction.accounts.push(s(wallet));
            }
            match dice.below(20) {
                0 => instruction.data.truncate(dice.below(instruction.data.len() + 1)),
                1 => drop(instruction.accounts.pop()),
                2 => instruction.compute_budget = 1 + dice.below(8000) as u64,
                3 => {
                    let index = dice.below(instruction.accounts.len());
                    let meta = &mut instruction.accounts[index];
                    *meta = AccountMeta { address: meta.address, signer: dice.one_in(2), writable: dice.one_in(2) };
                }
                _ => {}
            }
            successes += u64::from(bank.arena.invoke(&instruction).failure.is_none());
        }
        assert!(successes > runs / 10, "only {successes} of {runs} succeeded");
    }
}
