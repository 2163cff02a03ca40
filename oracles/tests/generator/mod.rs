//! Random programs of every sBPF version, and the instructions that they are run with.
//!
//! Programs do what programs do, most of the time within their rights: they read and write memory, call functions, syscalls and each
//! other, and fold whatever they see into a digest, which they log at the end. Now and then they do something that nobody may.

mod code;
mod residue;

use crate::{assembler::*, random::Dice};
use async_bpf_oracles::Arena;
use async_bpf_svm::{Account, AccountMeta, Address, Callback};
use code::Code;
pub use residue::{calls, dirty, hash, inspect};
use solana_pubkey::Pubkey;
use std::sync::Arc;

/// The two programs.
pub const PROGRAMS: [Address; 2] = [Address([0xA; 32]), Address([0xB; 32])];
pub const VERSIONS: [u64; 4] = [0, 1, 2, 3];

const RODATA: u64 = 0;
const TEXT: u64 = REGION;
pub const STACK: u64 = 2 * REGION;
pub const HEAP: u64 = 3 * REGION;
const INPUT: u64 = 4 * REGION;
pub const STACK_LEN: u64 = 64 * 4096;
pub const HEAP_LEN: u64 = 32 * 1024;
/// How much an account can grow in an instruction.
const GROWTH: u64 = 10_240;
/// Where in the heap the arguments of a call of another program are put together.
const ARGUMENTS: u64 = HEAP + 0x4000;

/// The accounts of an instruction, by index: three of the first program, of which one may only be read, and one of the second; a
/// payer; one that the first program can sign for; both programs; the system program; the loader; a sysvar, or the first account again.
/// The loader is there because LiteSVM puts it into every transaction.
const ACCOUNTS: usize = 11;
const PAYER: usize = 4;
const DERIVED: usize = 5;
const SYSTEM: usize = 8;
const LOADER: usize = 9;
const LAST: usize = 10;

/// What programs know of the instruction that runs them.
pub struct Scene {
    pub metas: Vec<AccountMeta>,
    pub accounts: Vec<(Address, Account)>,
    /// What the derived account is derived from, by the first program.
    seeds: [u8; 2],
    places: Vec<Place>,
    /// Where the data of the instruction is, if it has as many bytes as usual.
    data_at: u64,
}

/// Where an account is in memory.
#[derive(Clone, Copy)]
struct Place {
    header: u64,
    len: u64,
}

impl Place {
    const KEY: u64 = 8;
    const OWNER: u64 = 40;
    const LAMPORTS: u64 = 72;
    const LEN: u64 = 80;
    const DATA: u64 = 88;

    fn data(self) -> u64 {
        self.header + Self::DATA
    }
}

impl Scene {
    pub fn new(dice: &mut Dice) -> Self {
        let (derived, bump) = Pubkey::find_program_address(&[b"s"], &Pubkey::new_from_array(PROGRAMS[0].0));
        let again = dice.one_in(2);
        let last = if again { Address([1; 32]) } else { Address(solana_sdk_ids::sysvar::clock::ID.to_bytes()) };
        let addresses = [
            Address([1; 32]),
            Address([2; 32]),
            Address([3; 32]),
            Address([4; 32]),
            Address([5; 32]),
            Address(derived.to_bytes()),
            PROGRAMS[0],
            PROGRAMS[1],
            Address::default(),
            Address(solana_sdk_ids::bpf_loader_upgradeable::ID.to_bytes()),
            last,
        ];
        let mut accounts = Vec::new();
        let mut lens = [0; ACCOUNTS];
        for (index, owner) in [PROGRAMS[0], PROGRAMS[0], PROGRAMS[0], PROGRAMS[1]].into_iter().enumerate() {
            let len = dice.pick(&[0, 1, 8, 40, 165, 165, 1000, 4096, 5000, GROWTH, 20_001]);
            lens[index] = len;
            let byte = dice.word() as u8;
            let data = (0..len).map(|at| if at % 3 == 0 { byte } else { 0 }).collect();
            let lamports = 6960 * (128 + len) + dice.pick(&[0, 1, 1000, 100_000_000]);
            accounts.push((addresses[index], Account { lamports, data: Arc::new(data), owner, executable: false }));
        }
        accounts.push((addresses[PAYER], Account { lamports: 1_000_000_000, ..Account::default() }));
        if dice.one_in(3) {
            accounts.push((addresses[DERIVED], Account { lamports: 1_000_000, ..Account::default() }));
        }
        for index in [6, 7] {
            lens[index] = 36;
        }
        lens[SYSTEM] = 14;
        lens[LOADER] = 37;
        lens[LAST] = 40;
        let metas = (0..ACCOUNTS)
            .map(|index| {
                let flip = dice.one_in(24);
                let writable = matches!(index, 0 | 1 | 3 | PAYER | DERIVED) ^ flip;
                AccountMeta {
                    address: addresses[index],
                    signer: (index == PAYER) ^ dice.one_in(24),
                    writable: writable && (index < 6 || index == LAST && again),
                }
            })
            .collect();
        let mut at = INPUT + 8;
        let mut places = Vec::new();
        for (index, len) in lens.into_iter().enumerate() {
            if index == LAST && again {
                places.push(places[0]);
                at += 8;
                continue;
            }
            places.push(Place { header: at, len });
            at = (at + Place::DATA + len + GROWTH).next_multiple_of(8) + 8;
        }
        Scene { metas, accounts, seeds: [b's', bump], places, data_at: at + 8 }
    }

    /// Puts the accounts in place.
    pub fn put(&self, arena: &mut Arena) {
        arena.set_account(self.metas[DERIVED].address, None);
        for (address, account) in &self.accounts {
            arena.set_account(*address, Some(account.clone()));
        }
    }

    /// An instruction for one of the programs. The first byte of its data says how deep they may call each other.
    pub fn callback(&self, dice: &mut Dice) -> Callback {
        let depth = dice.pick(&[0, 0, 1, 1, 2, 3, 5, 9]);
        let data = [vec![depth], (0..DATA_LEN - 1).map(|_| dice.word() as u8).collect()].concat();
        let compute_budget = match dice.below(16) {
            0 => 1 + dice.below(3000) as u64,
            1 => 1 + dice.below(60_000) as u64,
            2 => 1_400_000,
            _ => 200_000,
        };
        Callback { program: PROGRAMS[dice.below(2)], data, accounts: self.metas.clone(), compute_budget }
    }
}

/// Bytes of data of every instruction.
const DATA_LEN: usize = 32;

/// A random program. `me` says which of the two it is to be.
pub fn program(dice: &mut Dice, scene: &Scene, me: usize) -> Vec<u8> {
    let version = dice.pick(&[3, 3, 3, 0, 0, 1, 2]);
    let mut generator = Generator { code: Code::new(version), dice, scene, me };
    let functions = 1 + generator.dice.below(3);
    generator.main(functions);
    for function in 0..functions {
        generator.function(function, functions);
    }
    generator.code.link()
}

/// An address in a program.
#[derive(Clone, Copy)]
enum Spot {
    At(u64),
    /// Below the frame pointer.
    Frame(i32),
    /// In the file.
    Constant(u64),
}

struct Generator<'a> {
    code: Code,
    dice: &'a mut Dice,
    scene: &'a Scene,
    me: usize,
}

// Registers: 6 counts down calls of functions, 7 is of loops, 8 points to the data of the instruction, 9 is the digest.

impl Generator<'_> {
    fn main(&mut self, functions: usize) {
        self.code.constants = (0..64 + 8 * self.dice.below(40)).map(|_| self.dice.word() as u8 & 0x7F).collect();
        self.bump_frame();
        self.code.copy(8, 2);
        self.code.number(9, 1);
        self.code.number(6, 0);
        for _ in 0..4 + self.dice.below(14) {
            self.guarded(|generator| generator.step(functions));
        }
        if self.dice.one_in(3) {
            self.code.store(8, 10, -8, 9);
            self.frame(1, -8);
            self.code.number(2, 8);
            self.code.syscall("sol_set_return_data");
        }
        self.code.copy(1, 9);
        for register in 2..6 {
            self.code.number(register, u64::from(register));
        }
        self.code.syscall("sol_log_64_");
        let code = match self.dice.below(60) {
            0 => self.dice.word(),
            1 => self.dice.pick(&[1u64, 2, 1000, 1 << 32, 2 << 32, 9 << 32, 26 << 32, 27 << 32, 99 << 32]),
            _ => 0,
        };
        self.code.number(0, code);
        self.code.exit();
    }

    fn function(&mut self, function: usize, functions: usize) {
        self.code.function(function);
        self.bump_frame();
        self.code.copy(6, 1);
        for _ in 0..1 + self.dice.below(4) {
            self.guarded(|generator| generator.memory());
        }
        // Calls itself or another one, as deep as it is told to.
        let skip = self.code.jump(JUMP_IF_EQUAL, 6, 0);
        self.code.copy(1, 6);
        self.code.add(1, -1);
        let callee = self.dice.below(functions);
        self.code.call(callee);
        self.fold();
        self.code.land(skip);
        if self.dice.one_in(4) {
            self.syscall();
        }
        self.code.copy(0, 9);
        self.code.exit();
    }

    /// In the versions whose frames are as large as the program says.
    fn bump_frame(&mut self) {
        if matches!(self.code.version, 1 | 2) {
            let len = self.dice.pick(&[64, 64, 256, 4096, 8192]);
            self.code.add(10, -len);
        }
    }

    /// Does something always, or if the data of the instruction says so.
    fn guarded(&mut self, emit: impl FnOnce(&mut Self)) {
        if self.dice.one_in(3) {
            let bit = self.dice.below(8);
            self.code.load(1, 0, 8, 1 + self.dice.below(DATA_LEN - 1) as i16);
            self.code.operation(AND, 0, 0, 0, 1 << bit);
            let skip = self.code.jump(JUMP_IF_EQUAL, 0, 0);
            emit(self);
            self.code.land(skip);
        } else {
            emit(self);
        }
    }

    fn step(&mut self, functions: usize) {
        match self.dice.below(32) {
            0..10 => self.memory(),
            10..19 => self.syscall(),
            19..21 => self.arithmetic(),
            21..23 => self.call(functions),
            23..26 => self.account(),
            26..30 => self.invoke(),
            30 => self.sweep(),
            _ if self.dice.one_in(2) => self.fault(),
            _ => self.arithmetic(),
        }
    }

    /// What is wrong happens seldom enough for most programs to come to their end.
    fn wild(&mut self) -> bool {
        self.dice.one_in(40)
    }

    fn frame(&mut self, register: u8, offset: i32) {
        self.code.copy(register, 10);
        self.code.add(register, offset);
    }

    fn address(&mut self, register: u8, spot: Spot) {
        match spot {
            Spot::At(address) => self.code.number(register, address),
            Spot::Frame(offset) => self.frame(register, offset),
            Spot::Constant(offset) => self.code.constant(register, offset),
        }
    }

    /// The digest takes in register 0. Leaves the others alone, but 5.
    fn fold(&mut self) {
        self.code.copy(5, 9);
        self.code.operation(SHIFT_LEFT, 5, 0, 0, 5);
        self.code.operation(ADD_REGISTER, 9, 5, 0, 0);
        self.code.operation(XOR_REGISTER, 9, 0, 0, 0);
    }

    // ---- memory ----------------------------------------------------------------------------------------------------

    /// Somewhere near the end or a page border, or anywhere.
    fn offset(&mut self, len: u64, room: u64) -> u64 {
        let last = room - len.min(room);
        match self.dice.below(6) {
            0 => 0,
            1 => last,
            2 => ((1 + self.dice.below(room as usize / 4096 + 1) as u64) * 4096).saturating_sub(1 + self.dice.below(8) as u64).min(last),
            3 => self.dice.below(64) as u64 % (last + 1),
            _ => self.dice.below(last as usize + 1) as u64,
        }
    }

    /// An account whose data this program may write.
    fn own_account(&mut self) -> usize {
        if self.me == 0 { self.dice.below(2) } else { 3 }
    }

    fn spot(&mut self, len: u64, write: bool) -> Spot {
        if self.wild() {
            return self.wild_spot(len);
        }
        match self.dice.below(12) {
            0..3 if len <= 4096 => {
                let frame = if matches!(self.code.version, 1 | 2) { 64 } else { 4096 };
                let below = len + self.dice.below((frame - len.min(frame)) as usize + 1) as u64;
                Spot::Frame(-(below as i32))
            }
            0..5 => Spot::At(STACK + self.offset(len, STACK_LEN)),
            5..8 => Spot::At(HEAP + self.offset(len, HEAP_LEN)),
            8 if !write && len <= self.code.constants.len() as u64 => Spot::Constant(self.offset(len, self.code.constants.len() as u64)),
            9 if !write && len <= 32 => {
                let place = self.scene.places[self.dice.below(ACCOUNTS)];
                Spot::At(place.header + self.dice.below((Place::DATA - len) as usize) as u64)
            }
            10 if !write && len <= DATA_LEN as u64 => Spot::At(self.scene.data_at + self.dice.below(DATA_LEN + 1 - len as usize) as u64),
            _ => {
                let index = if write { self.own_account() } else { self.dice.below(4) };
                let place = self.scene.places[index];
                if place.len < len {
                    return Spot::At(HEAP + self.offset(len, HEAP_LEN));
                }
                Spot::At(place.data() + self.offset(len, place.len))
            }
        }
    }

    fn wild_spot(&mut self, len: u64) -> Spot {
        let place = self.scene.places[self.dice.below(ACCOUNTS)];
        let near = self.dice.below(16) as u64;
        Spot::At(match self.dice.below(14) {
            0 => RODATA + near,
            1 => TEXT + 8 * near,
            2 => (STACK + STACK_LEN + 8).wrapping_sub(near),
            3 => STACK.wrapping_sub(near),
            4 => (HEAP + HEAP_LEN + 8).wrapping_sub(near),
            5 => HEAP.wrapping_sub(near),
            6 => place.data() + place.len + near,
            7 => place.data() + place.len + self.dice.below(GROWTH as usize + 64) as u64,
            8 => (place.data() + place.len + GROWTH + 8).wrapping_sub(near),
            9 => place.header + self.dice.below(96) as u64,
            10 => place.data() + self.offset(len, place.len),
            11 => self.scene.data_at + self.dice.below(2000) as u64,
            12 => u64::MAX - near,
            _ => self.dice.word(),
        })
    }

    fn memory(&mut self) {
        let width = self.dice.pick(&[1, 2, 4, 8]);
        let write = self.dice.one_in(2);
        let spot = self.spot(width, write);
        self.address(1, spot);
        if write {
            self.code.store(width, 1, 0, 9);
            if self.dice.one_in(2) {
                return;
            }
        }
        self.code.load(width, 0, 1, 0);
        self.fold();
    }

    /// Reads or fills many words, also with gaps that touch every page.
    fn sweep(&mut self) {
        let (start, room) = self.dice.pick(&[(STACK, STACK_LEN), (HEAP, HEAP_LEN)]);
        let stride = self.dice.pick(&[8u64, 8, 64, 1000, 4096]);
        let count = (1 + self.dice.below(400) as u64).min(room / stride);
        let first = self.offset(count * stride, room);
        let write = self.dice.one_in(2);
        self.code.number(1, start + first.min(room - count * stride));
        self.code.number(7, count);
        let again = self.code.here();
        if write {
            self.code.store(8, 1, 0, 9);
        } else {
            self.code.load(8, 0, 1, 0);
            self.fold();
        }
        self.code.add(1, stride as i32);
        self.code.add(7, -1);
        self.code.jump_back(JUMP_IF_NOT_EQUAL, 7, 0, again);
    }

    fn arithmetic(&mut self) {
        let by = if self.wild() { 0 } else { self.dice.word() >> self.dice.below(63) | 1 };
        self.code.number(1, by);
        self.code.copy(0, 9);
        let operation = if self.code.version == 2 {
            // Products, quotients and remainders of this version alone.
            self.dice.pick(&[
                0x86u8, 0x8E, 0x96, 0x9E, 0x36, 0x3E, 0xB6, 0xBE, 0x46, 0x4E, 0x56, 0x5E, 0x66, 0x6E, 0x76, 0x7E, 0xC6, 0xCE, 0xD6, 0xDE, 0xE6, 0xEE,
                0xF6, 0xFE,
            ])
        } else {
            self.dice.pick(&[0x2Cu8, 0x2F, 0x3C, 0x3F, 0x9C, 0x9F, 0x0C, 0x1C, 0x1F, 0x4F, 0x5F, 0x6C, 0x6F, 0x7C, 0x7F, 0xCC, 0xCF, 0x87, 0x84])
        };
        let register = operation & 8 != 0 || operation & 0xF0 == 0x80 && self.code.version != 2;
        if register {
            self.code.operation(operation, 0, 1, 0, 0);
        } else {
            self.code.operation(operation, 0, 0, 0, self.dice.word() as u32 | 1);
        }
        self.fold();
    }

    fn call(&mut self, functions: usize) {
        let depth = self.dice.pick(&[0, 0, 1, 2, 5, 20, 60, 62, 64]);
        let function = self.dice.below(functions);
        self.code.number(1, depth);
        if self.dice.one_in(3) {
            if self.dice.one_in(10) {
                let target = self.dice.pick(&[0, 8, TEXT + 4, TEXT - 8, TEXT + (1 << 20), HEAP, u64::MAX]);
                self.code.number(2, target);
            } else {
                self.code.function_address(2, function);
            }
            self.code.call_register(2);
        } else {
            self.code.call(function);
        }
        self.fold();
    }

    // ---- accounts --------------------------------------------------------------------------------------------------

    fn account(&mut self) {
        let index = if self.wild() { self.dice.below(ACCOUNTS) } else { self.own_account() };
        let place = self.scene.places[index];
        match self.dice.below(6) {
            // Lamports from here to there.
            0 | 1 => {
                let to = self.scene.places[self.dice.pick(&[0, 1, 3, PAYER])];
                let amount = self.dice.pick(&[0, 1, 1, 1000, 1_000_000]);
                for (at, change) in [(place, -amount), (to, amount + i32::from(self.wild()))] {
                    self.code.number(1, at.header + Place::LAMPORTS);
                    self.code.load(8, 0, 1, 0);
                    self.code.add(0, change);
                    self.code.store(8, 1, 0, 0);
                }
            }
            // Everything, which removes it.
            2 if self.dice.one_in(3) => {
                let to = self.scene.places[PAYER];
                self.code.number(1, place.header + Place::LAMPORTS);
                self.code.number(2, to.header + Place::LAMPORTS);
                self.code.load(8, 3, 1, 0);
                self.code.load(8, 4, 2, 0);
                self.code.operation(ADD_REGISTER, 4, 3, 0, 0);
                self.code.store(8, 2, 0, 4);
                self.code.number(0, 0);
                self.code.store(8, 1, 0, 0);
            }
            // Another length, and something in what is new.
            3 | 4 => {
                let growth = self.dice.pick(&[0, 1, 8, 100, 4096, GROWTH]);
                let len = match self.dice.below(12) {
                    0 => place.len + GROWTH + 1,
                    1 => self.dice.word() >> self.dice.below(64),
                    2..5 => place.len - self.dice.below(place.len as usize + 1) as u64,
                    _ => place.len + growth,
                };
                self.code.number(1, place.header + Place::LEN);
                self.code.number(0, len);
                self.code.store(8, 1, 0, 0);
                if len > place.len && len - place.len <= GROWTH && self.dice.one_in(2) {
                    let width = self.dice.pick(&[1u64, 8]).min(len - place.len);
                    let width = if width < 8 { 1 } else { 8 };
                    self.code.number(1, place.data() + len - width - self.dice.below((len - place.len - width) as usize + 1) as u64);
                    self.code.store(width, 1, 0, 9);
                    self.code.load(width, 0, 1, 0);
                    self.fold();
                }
            }
            // Another owner, or other fields that are not the program's to write.
            _ => {
                let field = if self.dice.one_in(6) { self.dice.below(8) as u64 } else { Place::OWNER + 8 * self.dice.below(4) as u64 };
                if self.dice.one_in(4) {
                    self.code.number(1, place.header + field);
                    self.code.store(8, 1, 0, 9);
                } else {
                    self.code.number(1, place.header + Place::LEN);
                    self.code.load(8, 0, 1, 0);
                    self.fold();
                }
            }
        }
    }

    // ---- syscalls --------------------------------------------------------------------------------------------------

    /// Length of what a syscall reads or writes.
    fn len(&mut self) -> u64 {
        match self.dice.below(120) {
            0 => self.dice.word() >> self.dice.below(64),
            1 => 0,
            2..20 => 1 + self.dice.below(40) as u64,
            20..60 => 1 + self.dice.below(300) as u64,
            60..80 => 1 + self.dice.below(6000) as u64,
            _ => 32,
        }
    }

    /// What ends a syscall that wrote something somewhere: the first bytes there.
    fn fold_at(&mut self, spot: Spot) {
        self.fold();
        self.address(1, spot);
        self.code.load(1, 0, 1, 0);
        self.fold();
    }

    /// A place that is aligned for a syscall that wants it to be.
    fn aligned(&mut self, len: u64) -> Spot {
        if self.wild() {
            return self.spot(len, true);
        }
        let (start, room) = self.dice.pick(&[(STACK, STACK_LEN), (HEAP, HEAP_LEN)]);
        Spot::At(start + self.offset(len, room) / 8 * 8)
    }

    /// An array of (address, length), in the file or written to memory.
    fn slices(&mut self, count: usize, max: u64) -> Spot {
        let mut words = Vec::new();
        for _ in 0..count {
            let len = self.dice.below(max as usize + 1) as u64;
            let spot = loop {
                match self.spot(len, false) {
                    Spot::At(address) => break address,
                    _ => continue,
                }
            };
            words.extend([spot, len]);
        }
        let at = self.code.words(&words);
        // It is as good in the file, if it is aligned there.
        if self.dice.one_in(2) {
            return Spot::Constant(at);
        }
        let copy = self.aligned(16 * count as u64);
        self.address(1, copy);
        self.code.constant(2, at);
        self.code.number(3, 16 * count as u64);
        self.code.syscall("sol_memcpy_");
        copy
    }

    fn syscall(&mut self) {
        match self.dice.below(26) {
            0 | 1 => {
                let len = self.len();
                let (to, from) = (self.spot(len, true), self.spot(len, false));
                self.address(1, to);
                self.address(2, from);
                self.code.number(3, len);
                self.code.syscall("sol_memcpy_");
                self.fold_at(to);
            }
            2 => {
                let len = self.len();
                let to = self.spot(len, true);
                self.address(1, to);
                self.address(2, to);
                self.code.add(2, self.dice.below(64) as i32 - 32);
                self.code.number(3, len);
                self.code.syscall("sol_memmove_");
                self.fold_at(to);
            }
            3 | 4 => {
                let len = self.len();
                let to = self.spot(len, true);
                self.address(1, to);
                self.code.number(2, self.dice.word() & 0xFF);
                self.code.number(3, len);
                self.code.syscall("sol_memset_");
                self.fold_at(to);
            }
            5 | 6 => {
                let len = self.len();
                let (a, b, result) = (self.spot(len, false), self.spot(len, false), self.aligned(4));
                self.address(1, a);
                self.address(2, b);
                self.code.number(3, len);
                self.address(4, result);
                self.code.syscall("sol_memcmp_");
                self.fold_at(result);
            }
            7 | 8 => {
                // Constants are ASCII; elsewhere, anything.
                let len = self.dice.below(60) as u64;
                let text = if self.dice.one_in(8) { self.spot(len, false) } else { Spot::Constant(self.offset(len, 64)) };
                self.address(1, text);
                self.code.number(2, len);
                self.code.syscall("sol_log_");
            }
            9 => {
                let key = self.spot(32, false);
                self.address(1, key);
                self.code.syscall("sol_log_pubkey");
            }
            10 => self.code.syscall("sol_log_compute_units_"),
            11 => {
                let count = self.dice.below(4);
                let slices = self.slices(count, 80);
                self.address(1, slices);
                self.code.number(2, count as u64);
                self.code.syscall("sol_log_data");
            }
            12..15 => {
                let count = self.dice.below(4);
                let (slices, out) = (self.slices(count, 500), self.aligned(32));
                self.address(1, slices);
                let count = if self.wild() { 20_001 } else { count as u64 };
                self.code.number(2, count);
                self.address(3, out);
                self.code.syscall(self.dice.pick(&["sol_sha256", "sol_sha256", "sol_keccak256", "sol_blake3"]));
                self.fold_at(out);
            }
            15 | 16 => {
                let out = self.aligned(40);
                self.address(1, out);
                self.code.syscall(self.dice.pick(&[
                    "sol_get_clock_sysvar",
                    "sol_get_clock_sysvar",
                    "sol_get_rent_sysvar",
                    "sol_get_epoch_schedule_sysvar",
                    "sol_get_last_restart_slot",
                ]));
                self.fold_at(out);
            }
            17 => {
                let id = self.dice.pick(&crate::SYSVARS);
                let id = self.code.bytes(&id);
                let len = self.dice.below(100) as u64;
                let out = self.spot(len.max(1), true);
                self.code.constant(1, id);
                self.address(2, out);
                self.code.number(3, self.dice.pick(&[0, 0, 8, 40, 20_488, 16_380]));
                self.code.number(4, len);
                self.code.syscall("sol_get_sysvar");
                self.fold_at(out);
            }
            18 | 19 => {
                let long = if self.wild() { 1025 } else { 1024 };
                let len = self.dice.pick(&[0, 1, 8, 8, 100, long]);
                let from = self.spot(len, false);
                self.address(1, from);
                self.code.number(2, len);
                self.code.syscall("sol_set_return_data");
            }
            20 => {
                let len = self.dice.pick(&[0, 8, 100, 1024]);
                let (out, program) = (self.spot(len, true), self.spot(32, true));
                self.address(1, out);
                self.code.number(2, len);
                self.address(3, program);
                self.code.syscall("sol_get_return_data");
                self.fold_at(program);
            }
            21 => {
                self.code.number(1, self.dice.pick(&[0, 1, 7, 100, 5000, 32 * 1024, 1 << 40]));
                self.code.number(2, 0);
                self.code.syscall("sol_alloc_free_");
                self.fold();
                let skip = self.code.jump(JUMP_IF_EQUAL, 0, 0);
                self.code.store(1, 0, 0, 9);
                self.code.land(skip);
            }
            22 => {
                let count = self.dice.below(4);
                let (seeds, out) = (self.slices(count, 33), self.aligned(32));
                let program = self.spot(32, false);
                self.address(1, seeds);
                let count = if self.wild() { 17 } else { count as u64 };
                self.code.number(2, count);
                self.address(3, program);
                self.address(4, out);
                if self.dice.one_in(2) {
                    self.code.syscall("sol_create_program_address");
                } else {
                    let bump = self.spot(1, true);
                    self.address(5, bump);
                    self.code.syscall("sol_try_find_program_address");
                }
                self.fold_at(out);
            }
            23 => {
                self.code.syscall("sol_remaining_compute_units");
                self.fold();
            }
            24 => {
                self.code.number(1, 0);
                self.code.syscall(self.dice.pick(&["sol_get_stack_height", "sol_get_epoch_stake"]));
                self.fold();
            }
            _ => {
                let point = self.spot(32, false);
                let curve = if self.wild() { 2 } else { self.dice.below(2) as u64 };
                self.code.number(1, curve);
                self.address(2, point);
                self.code.syscall("sol_curve_validate_point");
                self.fold();
            }
        }
    }

    // ---- other programs --------------------------------------------------------------------------------------------

    fn invoke(&mut self) {
        let scene = self.scene;
        let wild = self.dice.one_in(12);
        let (mut program, mut data, accounts): (Vec<u8>, Vec<u8>, Vec<usize>) = match self.dice.below(8) {
            // The layout is what both programs are made for.
            0..3 => (PROGRAMS[self.me].0.into(), self.call_data(), (0..ACCOUNTS).collect()),
            3..5 => (PROGRAMS[1 - self.me].0.into(), self.call_data(), (0..ACCOUNTS).collect()),
            // The second program has nothing but lamports of others to give.
            kind => {
                let kind = if self.me == 0 || self.dice.one_in(6) { kind } else { 5 };
                let lamports = if self.dice.one_in(12) { 2_000_000_000 } else { self.dice.pick(&[1u64, 1_000_000, 5_000_000]) };
                let space = self.dice.pick(&[0u64, 10, 300, 5000]);
                let enough = 6960 * (128 + space);
                let fields = |number: u32, fields: &[&[u8]]| [&number.to_le_bytes()[..], &fields.concat()].concat();
                let (data, accounts) = match kind {
                    5 => (fields(2, &[&lamports.to_le_bytes()]), vec![PAYER, self.dice.pick(&[0, 1, 3, DERIVED])]),
                    6 => (fields(0, &[&enough.to_le_bytes(), &space.to_le_bytes(), &PROGRAMS[self.me].0]), vec![PAYER, DERIVED]),
                    _ if self.dice.one_in(2) => (fields(1, &[&PROGRAMS[self.me].0]), vec![DERIVED]),
                    _ => (fields(8, &[&space.to_le_bytes()]), vec![DERIVED]),
                };
                (vec![0; 32], data, accounts)
            }
        };
        if wild {
            match self.dice.below(3) {
                0 => program = self.dice.pick(&[[0xEE; 32], scene.metas[LOADER].address.0]).into(),
                1 => program = scene.metas[PAYER].address.0.into(),
                _ => data.truncate(self.dice.below(data.len())),
            }
        }
        // Only the first program can sign for the derived account.
        let signs = self.me == 0 && !self.dice.one_in(12);

        let head = 40;
        let metas_at = head;
        let infos_at = metas_at + 16 * accounts.len();
        let program_at = infos_at + 56 * ACCOUNTS;
        let seeds_at = program_at + 32;
        let data_at = seeds_at + 16 + 32 + 8;
        let at = |offset: usize| ARGUMENTS + offset as u64;
        let mut blob = Vec::new();
        let mut words = |words: &[u64]| blob.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        words(&[at(program_at), at(metas_at), accounts.len() as u64, at(data_at), data.len() as u64]);
        for &index in &accounts {
            let meta = scene.metas[index];
            let mut signer = meta.signer || index == DERIVED && signs;
            let mut writable = meta.writable;
            if self.dice.one_in(400) {
                signer = !signer;
            }
            if self.dice.one_in(200) {
                writable = !writable;
            }
            words(&[scene.places[index].header + Place::KEY, u64::from(writable) | u64::from(signer) << 8]);
        }
        for index in 0..ACCOUNTS {
            let (place, meta) = (scene.places[index], scene.metas[index]);
            let mut fields = [
                place.header + Place::KEY,
                place.header + Place::LAMPORTS,
                place.len,
                place.data(),
                place.header + Place::OWNER,
                0,
                u64::from(meta.signer) | u64::from(meta.writable) << 8 | u64::from((6..=LOADER).contains(&index)) << 16,
            ];
            if self.dice.one_in(200) {
                let field = self.dice.below(6);
                fields[field] = fields[field].wrapping_add(self.dice.pick(&[1, 8, REGION]));
            }
            words(&fields);
        }
        blob.extend(&program);
        let seeds = [at(seeds_at + 16), 2, at(seeds_at + 48), 1, at(seeds_at + 49), 1];
        blob.extend(seeds.iter().flat_map(|word| word.to_le_bytes()));
        blob.extend(scene.seeds);
        blob.resize(data_at, 0);
        blob.extend(&data);
        blob.resize(blob.len().next_multiple_of(8), 0);
        let blob_len = blob.len() as u64;
        let blob_at = self.code.bytes(&blob);

        let between_programs = accounts.len() == ACCOUNTS;
        let skip = between_programs.then(|| {
            self.code.load(1, 0, 8, 0);
            self.code.jump(JUMP_IF_EQUAL, 0, 0)
        });
        self.code.number(1, ARGUMENTS);
        self.code.constant(2, blob_at);
        self.code.number(3, blob_len);
        self.code.syscall("sol_memcpy_");
        if between_programs && !data.is_empty() {
            self.code.load(1, 0, 8, 0);
            self.code.add(0, -1);
            self.code.number(1, at(data_at));
            self.code.store(1, 1, 0, 0);
        }
        self.code.number(1, ARGUMENTS);
        self.code.number(2, at(infos_at));
        self.code.number(3, if wild && self.dice.one_in(4) { self.dice.below(ACCOUNTS) as u64 } else { ACCOUNTS as u64 });
        self.code.number(4, at(seeds_at));
        self.code.number(5, u64::from(signs));
        self.code.syscall("sol_invoke_signed_c");
        self.fold();
        // What the other one did can be seen.
        let place = self.scene.places[self.dice.pick(&[0, 1, 3, PAYER, DERIVED])];
        for field in [Place::LAMPORTS, Place::LEN] {
            self.code.number(1, place.header + field);
            self.code.load(8, 0, 1, 0);
            self.fold();
        }
        if let Some(skip) = skip {
            self.code.land(skip);
        }
    }

    fn call_data(&mut self) -> Vec<u8> {
        (0..DATA_LEN).map(|_| self.dice.word() as u8).collect()
    }

    fn fault(&mut self) {
        match self.dice.below(12) {
            0 => self.code.syscall("abort"),
            1 => {
                let len = self.dice.below(20) as u64;
                let file = self.spot(len, false);
                self.address(1, file);
                self.code.number(2, len);
                self.code.number(3, 12);
                self.code.number(4, 34);
                self.code.syscall("sol_panic_");
            }
            2 => {
                let here = self.code.here();
                self.code.jump_back(JUMP, 0, 0, here);
            }
            3 => {
                self.code.number(0, self.dice.word() >> self.dice.below(64));
                self.code.exit();
            }
            4 => {
                // The frame pointer is worth nothing in a version that has it bumped far.
                let offset = self.dice.pick(&[-4097, -8192, 8, 4096, 64 * 4096]);
                self.frame(1, offset);
                self.code.store(8, 1, 0, 9);
            }
            5 => {
                let spot = self.wild_spot(8);
                self.address(1, spot);
                self.code.store(8, 1, 0, 9);
            }
            6 => {
                let spot = self.wild_spot(8);
                self.address(1, spot);
                self.code.load(8, 0, 1, 0);
                self.fold();
            }
            _ => self.memory(),
        }
    }
}
