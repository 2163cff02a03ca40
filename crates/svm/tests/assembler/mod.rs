//! Programs out of instructions, for tests that need one that no compiler would make.

#![allow(dead_code, reason = "each test uses its part")]

pub type Instruction = [u8; 8];

pub const ADD: u8 = 0x07;
pub const ADD_REGISTER: u8 = 0x0F;
pub const AND: u8 = 0x57;
pub const OR_REGISTER: u8 = 0x4F;
pub const XOR_REGISTER: u8 = 0xAF;
pub const SHIFT_LEFT: u8 = 0x67;
pub const MOVE: u8 = 0xB7;
pub const MOVE_REGISTER: u8 = 0xBF;
pub const LOAD: u8 = 0x79;
pub const STORE: u8 = 0x7B;
pub const WIDE: u8 = 0x18;
pub const JUMP: u8 = 0x05;
pub const JUMP_IF_EQUAL: u8 = 0x15;
pub const JUMP_IF_NOT_EQUAL: u8 = 0x55;
pub const JUMP_IF_NOT_BELOW: u8 = 0x3D;
pub const CALL: u8 = 0x85;
pub const CALL_REGISTER: u8 = 0x8D;
pub const EXIT: u8 = 0x95;

/// `to` and `from` are registers; jumps count `offset` from the instruction after them.
pub fn instruction(opcode: u8, to: u8, from: u8, offset: i16, number: u32) -> Instruction {
    let ([o0, o1], [n0, n1, n2, n3]) = (offset.to_le_bytes(), number.to_le_bytes());
    [opcode, to | from << 4, o0, o1, n0, n1, n2, n3]
}

/// A call of the runtime, as sBPF v3 writes it.
pub fn syscall(name: &str) -> Instruction {
    instruction(CALL, 0, 0, 0, murmur3(name))
}

/// murmur3-32 with seed 0: the number of a syscall.
pub fn murmur3(name: &str) -> u32 {
    let scramble = |word: u32| word.wrapping_mul(0xCC9E_2D51).rotate_left(15).wrapping_mul(0x1B87_3593);
    let words = name.as_bytes().chunks_exact(4);
    let tail = words.remainder().iter().rev().fold(0, |tail, byte| tail << 8 | u32::from(*byte));
    let hash = words.fold(0u32, |hash, word| {
        (hash ^ scramble(u32::from_le_bytes(word.try_into().unwrap()))).rotate_left(13).wrapping_mul(5).wrapping_add(0xE654_6B64)
    });
    let hash = hash ^ scramble(tail) ^ name.len() as u32;
    let hash = (hash ^ (hash >> 16)).wrapping_mul(0x85EB_CA6B);
    let hash = (hash ^ (hash >> 13)).wrapping_mul(0xC2B2_AE35);
    hash ^ (hash >> 16)
}

/// Numbers of fields, one after the other.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn fields<const N: usize>(&mut self, widths: [usize; N], values: [u64; N]) {
        for (width, value) in widths.into_iter().zip(values) {
            self.0.extend(&value.to_le_bytes()[..width]);
        }
    }

    /// The file header: entry point, offset of the section headers, version of sBPF, and how many program and section headers there
    /// are. Names of sections are in the last.
    fn file_header(&mut self, entry: u64, sections_at: u64, version: u64, segments: u64, sections: u64) {
        self.0.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        self.fields(HEADER, [3, 247, 1, entry, 64, sections_at, version, 64, 56, segments, 64, sections, sections.saturating_sub(1)]);
    }

    fn segment(&mut self, kind: u64, flags: u64, offset: u64, address: u64, len: u64) {
        self.fields(SEGMENT, [kind, flags, offset, address, address, len, len, 8]);
    }
}

/// Widths of the fields of an ELF file: its header after the 16 bytes of identification, a program header, a section header, and
/// entries of the tables.
pub const HEADER: [usize; 13] = [2, 2, 4, 8, 8, 8, 4, 2, 2, 2, 2, 2, 2];
pub const SEGMENT: [usize; 8] = [4, 4, 8, 8, 8, 8, 8, 8];
pub const SECTION: [usize; 10] = [4, 4, 8, 8, 8, 8, 4, 4, 8, 8];
pub const SYMBOL: [usize; 6] = [4, 1, 1, 2, 8, 8];
pub const RELOCATION: [usize; 3] = [8, 4, 4];
pub const DYNAMIC: [usize; 2] = [8, 8];

/// A file of sBPF v3: constants at address 0, code at 2^32, no sections.
pub fn strict(constants: &[u8], code: &[Instruction]) -> Vec<u8> {
    assert!(constants.len().is_multiple_of(8), "the loader demands it");
    let code = code.concat();
    let (constants_at, code_at) = (64 + 2 * 56, 64 + 2 * 56 + constants.len() as u64);
    let mut file = Bytes::default();
    file.file_header(1 << 32, 0, 3, 2, 0);
    file.segment(1, 4, constants_at, 0, constants.len() as u64);
    file.segment(1, 1, code_at, 1 << 32, code.len() as u64);
    file.0.extend(constants);
    file.0.extend(code);
    file.0
}

/// Where the code of an older version is in its file, and in memory above [`REGION`].
pub const CODE_AT: u64 = 64 + 2 * 56;
/// Where memory begins that comes from a file of an older version. Each region is as large.
pub const REGION: u64 = 1 << 32;

/// What an older version is linked from: code, followed by constants and by pointers to them.
pub struct Object<'a> {
    pub version: u64,
    pub code: Vec<Instruction>,
    pub constants: &'a [u8],
    /// As the linker leaves them, in their upper half. At least one: the loader finds sections by where they are.
    pub pointers: &'a [u64],
    /// Names, their kind, value and size. Symbol 0 is not among them.
    pub symbols: &'a [(&'a str, u64, u64, u64)],
    /// Where, of which kind, and the symbol.
    pub relocations: &'a [[u64; 3]],
}

/// The kind of a symbol that is found elsewhere, and of a function.
pub const UNDEFINED: u64 = 0x10;
pub const FUNCTION: u64 = 0x12;
/// Kinds of relocations: of an address that has a symbol, of one that has none, and of a call.
pub const ADDRESS: u64 = 1;
pub const RELATIVE: u64 = 8;
pub const NAMED_CALL: u64 = 10;

impl Object<'_> {
    /// A shared object, as linkers make it: sections and dynamic symbols.
    pub fn link(&self) -> Vec<u8> {
        let Object { version, code, constants, pointers, symbols, relocations } = self;
        // What the file maps lies at the same place in memory.
        let constants_at = CODE_AT + 8 * code.len() as u64;
        let pointers_at = constants_at + constants.len() as u64;
        let symbols_at = pointers_at + 8 * pointers.len() as u64;
        let mut names = vec![0];
        let mut table = Bytes::default();
        table.fields(SYMBOL, [0; 6]);
        for (name, kind, value, size) in *symbols {
            table.fields(SYMBOL, [names.len() as u64, *kind, 0, u64::from(*kind == FUNCTION), *value, *size]);
            names.extend(name.as_bytes());
            names.push(0);
        }
        let names_at = symbols_at + table.0.len() as u64;
        let relocations_at = (names_at + names.len() as u64).next_multiple_of(8);
        let mut moved = Bytes::default();
        for relocation in *relocations {
            moved.fields(RELOCATION, *relocation);
        }
        let dynamic_at = relocations_at + moved.0.len() as u64;
        let mut dynamic = Bytes::default();
        for entry in [[17, relocations_at], [18, moved.0.len() as u64], [19, 16], [6, symbols_at], [11, 24], [5, names_at], [0, 0]] {
            dynamic.fields(DYNAMIC, entry);
        }
        let sections = b"\0.text\0.rodata\0.data.rel.ro\0.dynsym\0.dynstr\0.rel.dyn\0.dynamic\0.shstrtab\0";
        let sections_at = dynamic_at + dynamic.0.len() as u64;
        let headers_at = (sections_at + sections.len() as u64).next_multiple_of(8);

        let mut file = Bytes::default();
        file.file_header(CODE_AT, headers_at, *version, 2, 9);
        file.segment(1, 5, CODE_AT, CODE_AT, dynamic_at - CODE_AT);
        file.segment(2, 6, dynamic_at, dynamic_at, dynamic.0.len() as u64);
        file.0.extend(code.concat());
        file.0.extend(*constants);
        for pointer in *pointers {
            file.0.extend((pointer << 32).to_le_bytes());
        }
        file.0.extend(&table.0);
        file.0.extend(&names);
        file.0.resize(relocations_at as usize, 0);
        file.0.extend(&moved.0);
        file.0.extend(&dynamic.0);
        file.0.extend(sections);
        file.0.resize(headers_at as usize, 0);
        // Place of its name, type, flags, where it is and to where, the section that belongs to it, and the size of an entry.
        let mut section = |name, kind, flags, at: u64, end: u64, link, entry| {
            file.fields(SECTION, [name, kind, flags, at, at, end - at, link, 0, 8, entry]);
        };
        section(0, 0, 0, 0, 0, 0, 0);
        section(1, 1, 6, CODE_AT, constants_at, 0, 0);
        section(7, 1, 2, constants_at, pointers_at, 0, 0);
        section(15, 1, 3, pointers_at, symbols_at, 0, 0);
        section(28, 11, 2, symbols_at, names_at, 5, 24);
        section(36, 3, 2, names_at, names_at + names.len() as u64, 0, 0);
        section(44, 9, 2, relocations_at, dynamic_at, 4, 16);
        section(53, 6, 3, dynamic_at, sections_at, 5, 16);
        section(62, 3, 0, sections_at, sections_at + sections.len() as u64, 0, 0);
        file.0
    }
}

/// A file of an older version with every kind of relocation. Its program logs, asks for the slot, and calls a function of its own in
/// each way there is. `programs/build.mjs` makes no such files.
pub fn legacy(version: u64) -> Vec<u8> {
    // v2 has no 64-bit constants, and its loads and stores have other numbers.
    let (load, store, address) = match version {
        2 => (0x9C, 0x9F, [instruction(MOVE, 1, 0, 0, 0), instruction(0xF7, 1, 0, 0, 1)]),
        _ => (LOAD, STORE, [instruction(WIDE, 1, 0, 0, 0), [0; 8]]),
    };
    let unresolved = instruction(CALL, 0, 0, 0, u32::MAX);
    let mut code = vec![
        instruction(MOVE, 2, 0, 0, 5),
        address[0], // 1: of the text
        address[1],
        unresolved, // 3: sol_log_
        address[0], // 4: of the function
        address[1],
        instruction(CALL_REGISTER, 0, 1, 0, 1),
        unresolved,                    // 7: sol_get_slot
        instruction(CALL, 0, 1, 0, 5), // 8: the function, by its distance
        unresolved,                    // 9: the function, by its name
        instruction(MOVE, 0, 0, 0, 0),
        instruction(JUMP_IF_EQUAL, 0, 0, 1, 0),
        instruction(ADD, 0, 0, 0, 1),
        instruction(EXIT, 0, 0, 0, 0),
        instruction(store, 10, 1, -8, 0), // 14: the function
        instruction(load, 0, 10, -8, 0),
        instruction(EXIT, 0, 0, 0, 0),
    ];
    let text = b"hello, world....";
    let text_at = CODE_AT + 8 * code.len() as u64;
    let pointer_at = text_at + text.len() as u64;
    let function_at = CODE_AT + 8 * 14;
    let set = |number: &mut Instruction, value: u64| number[4..].copy_from_slice(&(value as u32).to_le_bytes());
    // A relocation of an address finds the address there. One of a symbol adds the symbol's; v2 has neither.
    set(&mut code[1], text_at);
    if version == 2 {
        set(&mut code[4], function_at);
    }

    let mut relocations: Vec<_> = [[3, 1], [7, 2], [9, 3]].map(|[call, symbol]| [CODE_AT + 8 * call, NAMED_CALL, symbol]).into();
    if version != 2 {
        relocations.push([CODE_AT + 8, RELATIVE, 0]);
        relocations.push([CODE_AT + 32, ADDRESS, 3]);
    }
    relocations.push([pointer_at, RELATIVE, 0]);
    let symbols = [("sol_log_", UNDEFINED, 0, 0), ("sol_get_slot", UNDEFINED, 0, 0), ("function", FUNCTION, function_at, 24)];
    Object { version, code, constants: text, pointers: &[text_at], symbols: &symbols, relocations: &relocations }.link()
}
