//! What a test of random things needs: dice that fall the same way every time, settings, the place of a failure, and memory that
//! does not grow.

#![allow(dead_code, reason = "each test uses its part")]

use async_bpf_svm::{Moment, Observer, Outcome};
use std::{
    env, fs,
    panic::resume_unwind,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::Duration,
};

/// splitmix64: every seed is as good as any other.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, sides: usize) -> usize {
        (self.word() % sides as u64) as usize
    }

    pub fn one_in(&mut self, sides: usize) -> bool {
        self.below(sides) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Takes a different time for everything, and sometimes panics.
pub fn unsteady(seed: u64) -> Observer {
    let rolls = AtomicU64::new(seed);
    Box::new(move |moment, _| {
        let roll = Dice(rolls.fetch_add(0x9E37_79B9_7F4A_7C15, Relaxed)).word() >> 20;
        match roll % 16 {
            0..3 => thread::yield_now(),
            3 | 4 => thread::sleep(Duration::from_micros(roll % 100)),
            5 if moment != Moment::BeginsInTurn => resume_unwind(Box::new("as asked")),
            _ => {}
        }
    })
}

/// A number from the environment.
pub fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}; expected a number")))
}

/// Says how to come back to the place of a failure.
pub struct Place {
    pub seed: u64,
    pub round: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("failed in round {} of SEED={}", self.round, self.seed);
        }
    }
}

/// Whether something panicked during an invocation. The runtime has made an ordinary failure of it, of which a caller knows less than
/// the log.
pub fn is_defect(outcome: &Outcome) -> bool {
    let message = outcome.failure.as_ref().map(|failure| &failure.message);
    outcome.logs.iter().chain(message).any(|line| line.contains("this is a defect of async-bpf"))
}

/// Watches that the process does not grow: once warm, it has every buffer, pool and table that it will ever need.
pub struct Memory {
    cold: u64,
    warm: Option<u64>,
}

impl Memory {
    /// Room for what varies with the moment: what the engine of the moment holds, what the allocator keeps of earlier ones, and tests
    /// beside this one; all of that together has been seen to vary by 10 MiB. The smallest thing that can be leaked takes 32 bytes:
    /// one per round is more than this after 800,000 rounds.
    const SLACK_KIB: u64 = 24 << 10;

    pub fn new() -> Self {
        Memory { cold: resident_kib(), warm: None }
    }

    /// Ends the warm-up after a quarter of the rounds.
    pub fn after(&mut self, rounds: u64, of: u64) {
        if rounds >= of / 4 {
            self.warm.get_or_insert_with(resident_kib);
        }
    }

    /// Compares, and describes.
    pub fn check(&self) -> String {
        let (cold, warm, now) = (self.cold, self.warm.expect("it warmed up"), resident_kib());
        let text = format!("resident: {cold} KiB at first, {warm} KiB after warm-up, {now} KiB at the end");
        assert!(now <= warm + Self::SLACK_KIB, "the process grew; {text}");
        text
    }
}

/// KiB of memory that the process has; 0 where that is not so easy to tell. The same number as in `/proc/self/statm`, but in a unit
/// that is not the size of a page.
fn resident_kib() -> u64 {
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return 0 };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says so");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}
