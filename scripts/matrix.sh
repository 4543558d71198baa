#!/usr/bin/env bash
# Runs the tests in t/ on another Debian release's nginx, in a chroot, with the
# library and the guests built here.
#
#   scripts/matrix.sh SUITE [TEST…]     trixie, sid, …
#
# The library must have been built on the oldest release of all (for its
# glibc). Chroots are kept in $PROXY_WASM_CHROOTS; PROXY_WASM_CHROOT_FRESH=1
# makes them anew. Exit: 0 passed, 1 failed, 75 the chroot could not be made.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/chroot.sh"

suite=${1:?usage: matrix.sh SUITE [TEST…]}
shift
chroots=${PROXY_WASM_CHROOTS:-$CACHE/chroots}
dir=$chroots/$suite

is_root || die "needs root, for debootstrap and chroot"
library=$PROXY_WASM_LIB_DIR/libresty_proxy_wasm.so
[[ -e $library ]] || die "no $library: run make build first"

# Two runs would share /src in the chroot.
mkdir -p "$chroots"
exec 9>"$dir.lock"
flock 9

[[ -z ${PROXY_WASM_CHROOT_FRESH:-} ]] || rm -rf --one-file-system "$dir"
if [[ ! -d $dir ]]; then
    step "$suite: making a chroot in $dir"
    chroot_make "$suite" "$dir" || exit 75
fi
chroot_copy_network "$dir"
chroot_copy_repo "$dir"
mkdir -p "$dir/src/.work/lib" "$dir/src/.work/guests"
cp "$library" "$dir/src/.work/lib/"
# There is no compiler in there.
cc -shared -fPIC -O1 -o "$dir/src/.work/lib/fast_clock.so" t/lib/fast_clock.c -ldl
cp "$PROXY_WASM_GUESTS"/*.wasm "$dir/src/.work/guests/"

# The same script as outside installs what t/ needs, and does nothing later on.
if ! chroot_run "$dir" "cd /src && scripts/deps.sh prove" >>"$dir.log" 2>&1; then
    tail -n 20 "$dir.log" >&2
    warn "$suite: packages could not be installed"
    exit 75
fi

chroot_run "$dir" "nginx -v && dpkg-query -W libnginx-mod-http-lua lua-resty-core" 2>&1 |
    sed "s/^/$suite: /"
chroot_run "$dir" "cd /src && \
    PROXY_WASM_LIB_DIR=/src/.work/lib PROXY_WASM_GUESTS=/src/.work/guests \
    scripts/prove.sh ${*@Q}" || exit 1
