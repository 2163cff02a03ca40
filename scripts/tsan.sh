#!/bin/sh
# Runs the stress test of the ring under ThreadSanitizer, which the stable toolchain has when asked this way. The standard library is not
# instrumented, so what it synchronises by means that ThreadSanitizer cannot see is suppressed: that the last owner of an Arc frees it, and
# the channel of the test harness.
set -eu
cd "$(dirname "$0")/.."
suppressions=$(mktemp)
trap 'rm -f "$suppressions"' EXIT
printf 'race:drop_slow\nrace:Arc<std::thread::\nrace:std::sync::mpmc\n' > "$suppressions"
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer"
# Suppressions go by the names of functions.
export CARGO_PROFILE_RELEASE_STRIP=none
export TSAN_OPTIONS="suppressions=$suppressions"
export STRESS_RECORDS="${STRESS_RECORDS:-5000}"
exec cargo test --release -p async-bpf-ring --test stress --target x86_64-unknown-linux-gnu --target-dir target/tsan -- --test-threads 1
