//! The benchmarks, with the system's allocator: what the group `allocator` compares with.

use async_bpf_bench::Counting;
use std::{alloc::System, process::ExitCode};

#[global_allocator]
static ALLOCATOR: Counting<System> = Counting(System);

fn main() -> ExitCode {
    async_bpf_bench::main()
}
