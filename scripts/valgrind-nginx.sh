#!/usr/bin/env bash
# Valgrind over an nginx with plugins: the tests of t/ in which memory of guests,
# of nginx and of Lua meets, and in which instances and requests end under each
# other. First it has to find a planted fault.
#
#   scripts/valgrind-nginx.sh [TEST…]      default: the group below
#
# Others can run so, too; those that wait for something may find it too late. What
# is said in t/hostcalls/foreign.t is wrong, also with a smaller --max-stackframe: a
# function writes to its own frame, on a stack that was used before, and valgrind
# knows one stack of a thread. What is tested there, scripts/valgrind.sh has under
# valgrind without nginx.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"

GROUP=(t/failure/isolation.t t/callout/aborts.t t/hostcalls/buffers.t t/phases/ends.t)
[[ $# -gt 0 ]] || set -- "${GROUP[@]}"
have valgrind || die "no valgrind here: scripts/deps.sh valgrind installs it"

dir=$WORK/valgrind
rm -rf "$dir"
mkdir -p "$dir/tmp" "$dir/log"

# Code that is compiled is made for the processor it runs on, and valgrind shows
# another one. Compiling where memory is checked takes longer than Test::Nginx
# waits, so it is done here, where it is not; the tests find it on disk.
step "the guest, compiled for valgrind's processor"
cat >"$dir/nginx.conf" <<END
$(nginx_main "$dir")
daemon off;
master_process off;
events {}
http {
    $(nginx_temp "$dir")
    lua_package_path "$REPO/lib/?.lua;;";
    lua_package_cpath "$PROXY_WASM_LIB_DIR/?.so;;";
    lua_shared_dict proxy_wasm 1m;
    init_by_lua_block {
        assert(require("resty.proxy_wasm").load("p", "$PROXY_WASM_GUESTS/hostcalls.wasm", { start_cpu_limit = 300 }))
        os.exit(0)
    }
}
END
nginx=${TEST_NGINX_BINARY:-$(command -v nginx)} || die "no nginx: run scripts/deps.sh"
valgrind --tool=none --quiet --smc-check=all-non-file \
    "$nginx" -p "$dir" -e "$dir/error.log" -c "$dir/nginx.conf" || {
    cat "$dir/error.log" >&2
    die "the guest does not load"
}

# check TEST…: a file for each process, empty where nothing is wrong with it.
check() {
    rm -f "$dir"/log/*
    TEST_NGINX_USE_VALGRIND="--smc-check=all-non-file --num-callers=30 --leak-check=no \
        --suppressions=$REPO/scripts/valgrind.supp --log-file=$dir/log/%p" \
        TEST_NGINX_TIMEOUT=${TEST_NGINX_TIMEOUT:-60} scripts/prove.sh "$@" 2>"$dir/stderr"
}

step "a planted fault"
cat >"$dir/planted.t" <<'END'
use lib 't/lib';
use TestProxyWasm 'no_plan';

run_tests();

__DATA__

=== TEST 1: planted: Lua reads what it has freed
--- plugin
request_headers log info here
--- location
            content_by_lua_block {
                local ffi = require "ffi"
                ffi.cdef "void *malloc(size_t size); void free(void *memory);"
                local memory = ffi.cast("volatile uint8_t *", ffi.C.malloc(8))
                ffi.C.free(ffi.cast("void *", memory))
                ngx.say(memory[0] >= 0)
            }
--- response_body
true
--- plugin_log
here
END
if ! check "$dir/planted.t" >"$dir/planted" || ! grep -qs 'Invalid read of size 1' "$dir"/log/*; then
    cat "$dir/planted" "$dir/stderr" "$dir"/log/* >&2
    die "the planted fault was not found: valgrind is blind"
fi

step "$*"
status=0
check "$@" || { status=1; tail -n 40 "$dir/stderr" >&2; }
processes=$(find "$dir/log" -type f | wc -l)
[[ $processes -gt 0 ]] || die "no nginx ran under valgrind"
if [[ -n $(find "$dir/log" -type f -size +0) ]]; then
    find "$dir/log" -type f -size +0 -exec head -n 60 {} + >&2
    status=1
fi
echo "$processes processes under valgrind, in $(find "$dir/log" -type f -size +0 | wc -l) of them something is wrong"
exit "$status"
