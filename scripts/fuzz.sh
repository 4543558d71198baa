#!/usr/bin/env bash
# Builds the fuzz targets with instrumentation and runs them, two at a time.
#
#   scripts/fuzz.sh [TARGET…]      default: all
#
#   SECONDS_EACH=60   how long each runs
#   SEED=N            the same numbers again (default: the time)
#
# What is found is in .work/fuzz/TARGET/failed-*; run it again with
#   target/fuzz/TARGET-BINARY TARGET FILE      (the failure says how)
# Inputs that reached new code are kept in .work/fuzz/TARGET/kept, and are where
# the next run goes on. Worth committing are few and small ones: fuzz/corpus.

set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

seconds=${SECONDS_EACH:-60}
seed=${SEED:-$(date +%s)}
targets=("$@")
[[ $# -gt 0 ]] || targets=(pairs properties callouts grpc hostcalls modules)

export RUSTC_WORKSPACE_WRAPPER=$PWD/scripts/fuzz-rustc.sh
step "building the fuzz targets"
binary=$(cargo test --release --no-run --test fuzz ${CI:+--locked} --message-format json |
    python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == "fuzz":
        print(message["executable"])')
unset RUSTC_WORKSPACE_WRAPPER

# Must be found, or nothing that follows means anything.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# canary NAME MESSAGE
canary() {
    step "a planted fault: $1"
    if "$binary" "$1" 30 "$folder" "$seed" >"$folder/log" 2>&1 || ! grep -q "$2" "$folder/log"; then
        cat "$folder/log" >&2
        die "the planted fault was not found: the fuzzer is blind"
    fi
    rm -rf "$folder/kept"
}
canary canary 'the canary was found'
canary canary-status 'did wrong.*no_status'
canary canary-write 'did wrong.*written_elsewhere'

# fuzz TARGET: says what came of it.
fuzz() {
    local name=$1 folder=$WORK/fuzz/$1 failed
    mkdir -p "$folder"
    if "$binary" "$name" "$seconds" "$folder" "$seed" >"$folder/log" 2>&1; then
        tail -n 1 "$folder/log"
        return
    fi
    failed=$folder/failed-$(date +%s)
    # Its length in eight bytes, then the input.
    python3 -c '
import sys
data = open(sys.argv[1], "rb").read()
open(sys.argv[2], "wb").write(data[8:8 + int.from_bytes(data[:8], "little")])' \
        "$folder/current" "$failed"
    tail -n 40 "$folder/log" >&2
    warn "$name FAILED, seed $seed; once more: $binary $name $failed"
    return 1
}

step "${#targets[@]} targets, $seconds s each, seed $seed"
export PROXY_WASM_GUESTS
status=0
running=()
for name in "${targets[@]}"; do
    fuzz "$name" &
    running+=($!)
    if [[ ${#running[@]} -ge 2 ]]; then
        wait "${running[0]}" || status=1
        running=("${running[@]:1}")
    fi
done
for pid in "${running[@]}"; do
    wait "$pid" || status=1
done
exit "$status"
