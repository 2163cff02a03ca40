//! Programs that leave something in memory, and programs that look for it.

use super::{ARGUMENTS, HEAP, HEAP_LEN, STACK, STACK_LEN, code::Code};
use crate::assembler::*;
use async_bpf_svm::Address;

/// A program that fills all of its stack and heap, and ends in one way or another.
pub fn dirty(version: u64, ending: &str) -> Vec<u8> {
    let mut code = Code::new(version);
    code.syscall("sol_log_compute_units_");
    code.number(9, u64::MAX);
    for (start, len) in [(STACK, STACK_LEN), (HEAP, HEAP_LEN)] {
        code.number(1, start);
        code.number(7, len / 8);
        let again = code.here();
        code.store(8, 1, 0, 9);
        code.add(1, 8);
        code.add(7, -1);
        code.jump_back(JUMP_IF_NOT_EQUAL, 7, 0, again);
    }
    match ending {
        "abort" => code.syscall("abort"),
        "fault" => code.store(8, 9, 0, 9),
        "budget" => {
            let here = code.here();
            code.jump_back(JUMP, 0, 0, here);
        }
        _ => {}
    }
    code.number(0, u64::from(ending == "error"));
    code.exit();
    code.link()
}

/// A program that adds up all of its stack and heap by itself, and the hash of the heap by a syscall, and logs both.
pub fn inspect(version: u64) -> Vec<u8> {
    let mut code = Code::new(version);
    code.number(9, 0);
    for (start, len) in [(STACK, STACK_LEN), (HEAP, HEAP_LEN)] {
        code.number(1, start);
        code.number(7, len / 8);
        let again = code.here();
        code.load(8, 0, 1, 0);
        code.operation(OR_REGISTER, 9, 0, 0, 0);
        code.add(1, 8);
        code.add(7, -1);
        code.jump_back(JUMP_IF_NOT_EQUAL, 7, 0, again);
    }
    code.copy(1, 9);
    zeroes(&mut code);
    code.syscall("sol_log_64_");
    code.number(0, 0);
    code.exit();
    code.link()
}

/// A program that hashes memory that it has never touched: the whole stack and the whole heap.
pub fn hash(version: u64) -> Vec<u8> {
    let mut code = Code::new(version);
    let slices = code.words(&[STACK + 4096, STACK_LEN - 4096, HEAP, HEAP_LEN - 64]);
    code.constant(1, slices);
    code.number(2, 2);
    code.number(3, HEAP + HEAP_LEN - 32);
    code.syscall("sol_sha256");
    code.number(1, HEAP + HEAP_LEN - 32);
    code.syscall("sol_log_pubkey");
    code.number(0, 0);
    code.exit();
    code.link()
}

/// A program that calls another one, without accounts or data.
pub fn calls(version: u64, callee: Address) -> Vec<u8> {
    let mut code = Code::new(version);
    let blob = {
        let at = |offset: u64| ARGUMENTS + offset;
        let mut blob: Vec<u8> = [at(40), 0, 0, 0, 0].iter().flat_map(|word: &u64| word.to_le_bytes()).collect();
        blob.extend(callee.0);
        code.bytes(&blob)
    };
    code.number(1, ARGUMENTS);
    code.constant(2, blob);
    code.number(3, 72);
    code.syscall("sol_memcpy_");
    code.number(1, ARGUMENTS);
    zeroes(&mut code);
    code.syscall("sol_invoke_signed_c");
    code.number(0, 0);
    code.exit();
    code.link()
}

/// Sets all arguments but the first to 0.
fn zeroes(code: &mut Code) {
    for register in 2..6 {
        code.number(register, 0);
    }
}
