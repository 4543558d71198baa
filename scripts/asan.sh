#!/usr/bin/env bash
# AddressSanitizer over all cargo tests, with the library that LuaJIT loads. First
# it has to find a planted fault.
#
#   scripts/asan.sh [CARGO-TEST-ARGUMENT…]      default: all; "--test lua" for one
#
# This crate is instrumented, with what is inlined into it; of what it depends on,
# the memory that it takes and gives back is watched. Not in CI: everything of ours
# is built another time.

set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

export RUSTC_WORKSPACE_WRAPPER=$REPO/scripts/asan-rustc.sh
# Leaks: tests leave plugins behind, and `make leaks` looks at requests. The
# sanitizer may keep the locals of a function elsewhere: traps of guests leave
# functions without a word, and foreign functions change stacks.
export ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0:${ASAN_OPTIONS:-}

# run ARGUMENT…: cargo test
run() {
    cargo test --release ${CI:+--locked} "$@"
}
tests=("$@")
[[ $# -gt 0 ]] || tests=(--lib --tests)

step "building"
run --no-run --test foreign "${tests[@]}"

step "a planted fault"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if run --test foreign -- --ignored --exact planted_fault >"$log" 2>&1 ||
    ! grep -q 'AddressSanitizer: heap-use-after-free' "$log"; then
    cat "$log" >&2
    die "the planted fault was not found: the sanitizer is blind"
fi

step "tests"
run --no-fail-fast "${tests[@]}"
