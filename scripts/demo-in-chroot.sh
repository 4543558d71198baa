#!/usr/bin/env bash
# Proves that `make demo` needs nothing but a fresh Debian bookworm with make
# and certificates, and this repository: it makes one in a chroot, every time,
# and runs it there. Compiles everything from nothing (about ten minutes).
#
#   scripts/demo-in-chroot.sh [COMMAND]      default: make demo
#
# KEEP_CHROOT=1 leaves the chroot where it is, to look into.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/chroot.sh"

command=${1:-make demo}
dir=${PROXY_WASM_CHROOTS:-$CACHE/chroots}/demo.$$

is_root || die "needs root, for debootstrap and chroot"
"$REPO/scripts/deps.sh" matrix

# shellcheck disable=SC2317  # called by the trap
cleanup() {
    if [[ -n ${KEEP_CHROOT:-} ]]; then
        echo "the chroot: $dir"
    else
        rm -rf --one-file-system "$dir" "$dir.new" "$dir.log"
    fi
}
trap cleanup EXIT
trap 'exit 1' INT TERM

step "a fresh bookworm with make and ca-certificates in $dir"
start=$SECONDS
chroot_make bookworm "$dir" make ca-certificates
chroot_copy_repo "$dir"
step "made in $((SECONDS - start)) s; now: $command"

start=$SECONDS
status=0
chroot_run "$dir" "cd /src && $command" </dev/null || status=$?
step "\`$command\` ended with $status after $((SECONDS - start)) s"
exit "$status"
