//! The benchmarks, with mimalloc: what the group `allocator` compares with.

use async_bpf_bench::Counting;
use mimalloc::MiMalloc;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: Counting<MiMalloc> = Counting(MiMalloc);

fn main() -> ExitCode {
    async_bpf_bench::main()
}
