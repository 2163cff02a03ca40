//! Instructions of every sBPF version, and what becomes known only at the end: where functions and constants are.

use crate::assembler::*;

pub struct Code {
    pub version: u64,
    pub constants: Vec<u8>,
    list: Vec<Instruction>,
    /// Where functions begin.
    functions: Vec<usize>,
    /// Instructions that load the address of a constant; its offset is there already.
    constant_addresses: Vec<usize>,
    /// Instructions that load the address of a function, and those that call one.
    function_addresses: Vec<(usize, usize)>,
    function_calls: Vec<(usize, usize)>,
    syscalls: Vec<(usize, &'static str)>,
}

impl Code {
    pub fn new(version: u64) -> Self {
        Code {
            version,
            constants: Vec::new(),
            list: Vec::new(),
            functions: Vec::new(),
            constant_addresses: Vec::new(),
            function_addresses: Vec::new(),
            function_calls: Vec::new(),
            syscalls: Vec::new(),
        }
    }

    pub fn operation(&mut self, opcode: u8, to: u8, from: u8, offset: i16, number: u32) {
        self.list.push(instruction(opcode, to, from, offset, number));
    }

    pub fn copy(&mut self, to: u8, from: u8) {
        self.operation(MOVE_REGISTER, to, from, 0, 0);
    }

    pub fn add(&mut self, to: u8, number: i32) {
        self.operation(ADD, to, 0, 0, number as u32);
    }

    pub fn number(&mut self, to: u8, number: u64) {
        self.list.extend(wide(self.version, to, number));
    }

    /// The address of a constant.
    pub fn constant(&mut self, to: u8, offset: u64) {
        self.constant_addresses.push(self.list.len());
        self.number(to, offset);
    }

    /// Puts a constant into the file, aligned, and says where.
    pub fn bytes(&mut self, bytes: &[u8]) -> u64 {
        self.constants.resize(self.constants.len().next_multiple_of(8), 0);
        let at = self.constants.len() as u64;
        self.constants.extend(bytes);
        at
    }

    pub fn words(&mut self, words: &[u64]) -> u64 {
        let bytes: Vec<_> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.bytes(&bytes)
    }

    /// Loads 1, 2, 4 or 8 bytes.
    pub fn load(&mut self, width: u64, to: u8, from: u8, offset: i16) {
        let opcodes = if self.version == 2 { [0x2C, 0x3C, 0x8C, 0x9C] } else { [0x71, 0x69, 0x61, LOAD] };
        self.operation(opcodes[width.ilog2() as usize], to, from, offset, 0);
    }

    /// Stores 1, 2, 4 or 8 bytes of a register.
    pub fn store(&mut self, width: u64, to: u8, offset: i16, from: u8) {
        let opcodes = if self.version == 2 { [0x2F, 0x3F, 0x8F, 0x9F] } else { [0x73, 0x6B, 0x63, STORE] };
        self.operation(opcodes[width.ilog2() as usize], to, from, offset, 0);
    }

    pub fn here(&self) -> usize {
        self.list.len()
    }

    /// A jump forward, to where it will [`land`](Self::land).
    pub fn jump(&mut self, opcode: u8, register: u8, number: u32) -> usize {
        self.operation(opcode, register, 0, 0, number);
        self.list.len() - 1
    }

    pub fn land(&mut self, jump: usize) {
        let distance = (self.list.len() - jump - 1) as i16;
        self.list[jump][2..4].copy_from_slice(&distance.to_le_bytes());
    }

    pub fn jump_back(&mut self, opcode: u8, register: u8, number: u32, target: usize) {
        let distance = target as i64 - self.list.len() as i64 - 1;
        self.operation(opcode, register, 0, distance as i16, number);
    }

    pub fn exit(&mut self) {
        self.operation(EXIT, 0, 0, 0, 0);
    }

    pub fn syscall(&mut self, name: &'static str) {
        self.syscalls.push((self.list.len(), name));
        self.list.push(syscall(name));
    }

    /// Function number `function` begins here.
    pub fn function(&mut self, function: usize) {
        assert_eq!(function, self.functions.len(), "functions come in order");
        self.functions.push(self.list.len());
    }

    pub fn call(&mut self, function: usize) {
        self.function_calls.push((self.list.len(), function));
        self.operation(CALL, 0, 1, 0, 0);
    }

    pub fn function_address(&mut self, to: u8, function: usize) {
        self.function_addresses.push((self.list.len(), function));
        self.number(to, 0);
    }

    /// The versions look for the register in different places.
    pub fn call_register(&mut self, register: u8) {
        self.operation(CALL_REGISTER, register, register, 0, register.into());
    }

    /// The file.
    pub fn link(mut self) -> Vec<u8> {
        self.constants.resize(self.constants.len().next_multiple_of(8), 0);
        let code_len = 8 * self.list.len() as u64;
        let (code_at, constants_at) = if self.version >= 3 { (REGION, 0) } else { (REGION + CODE_AT, REGION + CODE_AT + code_len) };
        for at in self.constant_addresses {
            let number = |half: usize| u64::from(u32::from_le_bytes(self.list[at + half][4..].try_into().expect("four bytes")));
            let address = constants_at + (number(0) | number(1) << 32);
            let pair = wide(self.version, self.list[at][1] & 0xF, address);
            self.list[at..at + 2].copy_from_slice(&pair);
        }
        for (at, function) in self.function_addresses {
            let pair = wide(self.version, self.list[at][1] & 0xF, code_at + 8 * self.functions[function] as u64);
            self.list[at..at + 2].copy_from_slice(&pair);
        }
        for (at, function) in self.function_calls {
            let distance = self.functions[function] as i64 - at as i64 - 1;
            self.list[at][4..].copy_from_slice(&(distance as i32).to_le_bytes());
        }
        if self.version >= 3 {
            return strict(&self.constants, &self.list);
        }
        let mut symbols: Vec<(&str, u64, u64, u64)> = Vec::new();
        let mut relocations = Vec::new();
        for (at, name) in self.syscalls {
            self.list[at] = instruction(CALL, 0, 0, 0, u32::MAX);
            let symbol = symbols.iter().position(|symbol| symbol.0 == name).unwrap_or_else(|| {
                symbols.push((name, UNDEFINED, 0, 0));
                symbols.len() - 1
            });
            relocations.push([CODE_AT + 8 * at as u64, NAMED_CALL, 1 + symbol as u64]);
        }
        let object = Object {
            version: self.version,
            code: self.list,
            constants: &self.constants,
            pointers: &[0],
            symbols: &symbols,
            relocations: &relocations,
        };
        object.link()
    }
}

/// A number of 64 bits. v2 has no instruction for it.
fn wide(version: u64, to: u8, number: u64) -> [Instruction; 2] {
    let (low, high) = (number as u32, (number >> 32) as u32);
    match version {
        2 => [instruction(0xB4, to, 0, 0, low), instruction(0xF7, to, 0, 0, high)],
        _ => [instruction(WIDE, to, 0, 0, low), instruction(0, 0, 0, 0, high)],
    }
}
