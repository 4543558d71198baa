#!/usr/bin/env bash
# Everything that reads the sources and runs none of them. Says all it finds
# before it fails.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"

status=0
check() {
    step "$*"
    "$@" || status=1
}

check cargo fmt --check
if cargo clippy --version >/dev/null 2>&1; then
    # The profile of everything else: nothing is compiled twice.
    check cargo clippy --release ${CI:+--locked} --all-targets -- -D warnings
else
    warn "no clippy here: skipped"
fi

mapfile -t lua < <(find lib benches examples t -name '*.lua' \
    -not -path '*/node_modules/*' -not -path '*/target/*' 2>/dev/null | LC_ALL=C sort)
[[ ${#lua[@]} == 0 ]] || check luacheck --quiet "${lua[@]}"

if have shellcheck; then
    mapfile -t scripts < <(find scripts t/guests .ci -type f \( -name '*.sh' -o -name run \) \
        -not -path '*/node_modules/*' | LC_ALL=C sort)
    check shellcheck -x -S warning -P SCRIPTDIR "${scripts[@]}"
else
    warn "no shellcheck here: skipped"
fi

exit "$status"
