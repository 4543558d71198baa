#!/usr/bin/env bash
# The committed header and cdef.lua are what src/capi says, and both are valid.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$REPO/scripts/header.sh" "$tmp"

status=0
for file in include/resty_proxy_wasm.h lib/resty/proxy_wasm/cdef.lua; do
    diff -u "$REPO/$file" "$tmp/$file" || { warn "$file is not fresh: run make header"; status=1; }
done

if have cc; then
    cc -std=c99 -Wall -Wextra -Werror -pedantic -fsyntax-only -x c "$tmp/include/resty_proxy_wasm.h" || status=1
fi
exit "$status"
