//! What the state hash takes of a slot, and that it depends on what a slot touches, not on how much there is.

use crate::{
    measure::{Bench, Goal, ratios},
    workload::{Workload, World, account_address},
};
use async_bpf_svm::{Account, Address, Progress};
use std::{sync::Arc, time::Instant};

const TOUCHED: usize = 1_000;
const SLOTS_A_ROUND: usize = 4;

pub fn run(bench: &mut Bench) {
    let most = if bench.quick { 100_000 } else { 1_000_000 };
    let sizes = [2 * TOUCHED, 10_000, most];
    let mut worlds = sizes.map(world);
    let mut hashes = sizes.map(|_| Vec::new());
    let mut shares = sizes.map(|_| Vec::new());
    for round in 0..=bench.rounds() {
        for (index, world) in worlds.iter_mut().enumerate() {
            let hash = (0..SLOTS_A_ROUND).map(|_| hash_of_slot(world)).sum::<f64>() / SLOTS_A_ROUND as f64;
            let slot = world.slots(SLOTS_A_ROUND) * TOUCHED as f64;
            // The first warms up.
            if round > 0 {
                hashes[index].push(hash);
                shares[index].push(hash / slot);
            }
        }
    }
    for ((accounts, hashes), shares) in sizes.iter().zip(&hashes).zip(shares) {
        let name = format!("state hash of a slot with 1,000 tiny callbacks, {accounts} accounts");
        bench.spread(&name, "ns", None, Goal::Report, hashes.clone());
        bench.spread(&name, "of the peer's time", Some("the whole slot, 1 worker"), Goal::AtMost(0.15), shares);
    }
    let [few, _, many] = &hashes;
    let name = format!("state hash of a slot with 1,000 tiny callbacks, {most} accounts");
    bench.spread(
        &name,
        "of the peer's time",
        Some("the same slot with 2000 accounts, which are all that it uses"),
        Goal::AtMost(1.25),
        ratios(many, few),
    );
}

/// Each callback has two accounts; the others lie between them.
fn world(accounts: usize) -> World {
    let mut world = World::with_workers(Workload::Tiny, TOUCHED, 1);
    for n in 0..(accounts - 2 * TOUCHED) as u64 {
        let account = Account { lamports: 1_000_000, data: Arc::new(vec![1; 64]), owner: Address::SYSTEM_PROGRAM, executable: false };
        world.svm().set_account(account_address(9, n), Some(account)).expect("a free address");
    }
    world.svm().engine_mut().seal_genesis();
    world
}

/// Nanoseconds of what ends a slot: hashing what changed since the slot before.
fn hash_of_slot(world: &mut World) -> f64 {
    let input = world.next_slot();
    let svm = world.svm();
    let mut progress = svm.engine_mut().step(input).expect("the next slot");
    let mut last = 0.0;
    while let Progress::Batch = progress {
        while !svm.engine().batch().is_empty() {
            let mut execution = None;
            svm.testing_execute([0], |ran| execution = Some(ran));
            let taken = svm.engine_mut().commit(execution.expect("it ran"));
            assert!(taken.is_ok(), "nothing runs ahead");
        }
        let start = Instant::now();
        progress = svm.engine_mut().advance();
        last = start.elapsed().as_nanos() as f64;
    }
    last
}
