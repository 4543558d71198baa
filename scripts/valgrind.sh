#!/usr/bin/env bash
# Valgrind over the cargo tests of the rooms that handle memory of others, and of
# those beside them. First it has to find a planted fault.

set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

have valgrind || die "no valgrind here: scripts/deps.sh valgrind installs it"

# executable TARGET CARGO-ARG…: builds a test and says where it is.
executable() {
    local target=$1
    shift
    cargo test --release --no-run ${CI:+--locked} "$@" --message-format json |
        python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == sys.argv[1]:
        print(message["executable"])' "$target"
}

# Without a limit each memory of a guest reserves 4 GiB of addresses, of which
# valgrind has too few for 50 plugins.
check() (
    ulimit -v $((64 << 20))
    valgrind --quiet --error-exitcode=9 --smc-check=all-non-file --num-callers=20 \
        --suppressions=scripts/valgrind.supp "$@" --test-threads=1
)

step "a planted fault"
planted=$(executable foreign --test foreign)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
check "$planted" --ignored --exact planted_fault >"$log" 2>&1 || status=$?
if [[ $status != 9 ]] || ! grep -q 'Invalid read of size 1' "$log"; then
    cat "$log" >&2
    die "the planted fault was not found: valgrind is blind"
fi

step "unit tests"
filters=(abi:: callout::tests::target context:: host:: shared::)
units=$(executable resty_proxy_wasm --lib)
for filter in "${filters[@]}"; do
    listed=$("$units" --list "$filter")
    [[ $listed == *": test"* ]] || die "no unit test matches $filter"
done
check "$units" "${filters[@]}"

# The C interface, called as Lua calls it: by Lua (tests/lua.rs) and without.
# What it has instances for, the host and shared state of tests, comes with it.
TESTS=(lua foreign queues ticks trial failure hostcalls)
for test in "${TESTS[@]}"; do
    step "tests/$test.rs"
    executable=$(executable "$test" --test "$test")
    check "$executable"
done
