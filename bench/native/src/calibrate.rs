//! What the machine can do at the moment, printed with every run: numbers of two runs can only be compared if these are alike.

use crate::measure::{Bench, Goal, per_operation};
use std::{
    hint::{black_box, spin_loop},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// Ping-pong of one cache line, contended addition, two-thread speed-up, memcpy.
pub fn run(bench: &mut Bench) {
    let rounds = if bench.quick { 5 } else { 15 };
    let mut times = |name: &str, unit, round: &dyn Fn() -> f64| {
        bench.spread(name, unit, None, Goal::Report, (0..rounds).map(|_| round()).collect());
    };
    times("cache-line ping-pong, round trip", "ns", &ping_pong);
    times("contended fetch_add, two threads", "ns", &contended_add);
    times("speed-up of two threads, arithmetic", "times faster", &|| speed_up(arithmetic));
    times("speed-up of two threads, random memory", "times faster", &|| speed_up(random_memory));
    times("memcpy of 64 KiB", "ns", &copy);
}

fn ping_pong() -> f64 {
    const TURNS: u64 = 20_000;
    let turn = AtomicU64::new(0);
    let play = |mine: u64| {
        for n in 0..TURNS {
            while turn.load(Ordering::Acquire) != 2 * n + mine {
                spin_loop();
            }
            turn.store(2 * n + mine + 1, Ordering::Release);
        }
    };
    per_operation(TURNS, || {
        thread::scope(|scope| {
            scope.spawn(|| play(1));
            play(0);
        })
    })
}

fn contended_add() -> f64 {
    const TIMES: u64 = 200_000;
    let sum = AtomicU64::new(0);
    let add = || {
        (0..TIMES).for_each(|_| {
            sum.fetch_add(1, Ordering::Relaxed);
        })
    };
    per_operation(2 * TIMES, || {
        thread::scope(|scope| {
            scope.spawn(add);
            add();
        })
    })
}

fn speed_up(work: fn()) -> f64 {
    work();
    let one = per_operation(1, || (work(), work()));
    let two = per_operation(1, || {
        thread::scope(|scope| {
            scope.spawn(work);
            work();
        })
    });
    one / two
}

fn arithmetic() {
    black_box((0..4_000_000u64).fold(1u64, |x, n| black_box(x).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(n)));
}

fn random_memory() {
    static MEMORY: LazyLock<Vec<u64>> = LazyLock::new(|| vec![1; 8 << 20]);
    let memory = &*MEMORY;
    let mut at = 1u64;
    let mut sum = 0u64;
    for _ in 0..400_000 {
        at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        sum = sum.wrapping_add(memory[(at >> 41) as usize % memory.len()]);
    }
    black_box(sum);
}

fn copy() -> f64 {
    let from = vec![1u8; 64 << 10];
    let mut to = vec![0u8; 64 << 10];
    per_operation(2_000, || (0..2_000).for_each(|_| black_box(&mut to).copy_from_slice(black_box(&from))))
}
