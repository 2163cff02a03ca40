//! The benchmarks, with the allocator of the addon.

use async_bpf_bench::Counting;
use mimalloc::MiMalloc;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: Counting<MiMalloc> = Counting(MiMalloc);

fn main() -> ExitCode {
    async_bpf_bench::main()
}
