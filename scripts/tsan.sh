#!/bin/sh
# Runs the stress test of the ring, and random batches by many workers, under ThreadSanitizer, which the stable toolchain has when asked this
# way. The standard library is not instrumented, so what it synchronises by means that ThreadSanitizer cannot see is suppressed: that the last
# owner of an Arc frees it, the channel of the test harness, and where rayon's threads go to sleep. Our own locks are parking_lot's, which is seen.
set -eu
cd "$(dirname "$0")/.."
suppressions=$(mktemp)
trap 'rm -f "$suppressions"' EXIT
cat > "$suppressions" <<'END'
race:drop_slow
race:Arc<std::thread::
race:std::sync::mpmc
race:rayon_core::sleep
race:rayon_core::latch
race:crossbeam_epoch
END
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer"
# Suppressions go by the names of functions.
export CARGO_PROFILE_RELEASE_STRIP=none
export TSAN_OPTIONS="suppressions=$suppressions"
export STRESS_RECORDS="${STRESS_RECORDS:-5000}"
export BATCHES="${BATCHES:-300}"
under_tsan() {
    cargo test --release "$@" --target x86_64-unknown-linux-gnu --target-dir target/tsan -- --test-threads 1
}
under_tsan -p async-bpf-ring --test stress
under_tsan -p async-bpf-svm --test batches
