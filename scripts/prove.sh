#!/usr/bin/env bash
# Runs the tests in t/ in a real nginx.
#
#   scripts/prove.sh [TEST…]      default: all; prove's own options too
#
# PROXY_WASM_LIB_DIR and PROXY_WASM_GUESTS say where the built library and the
# guests are; any TEST_NGINX_* that is set stays as it is. JOBS=1 runs one
# file at a time, on the one port 1984.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"

TEST_NGINX_BINARY=${TEST_NGINX_BINARY:-$(command -v nginx)} || die "no nginx: run scripts/deps.sh"
export TEST_NGINX_BINARY
if [[ -z ${TEST_NGINX_LOAD_MODULES+set} ]]; then
    TEST_NGINX_LOAD_MODULES=$(lua_modules | tr '\n' ' ')
    export TEST_NGINX_LOAD_MODULES
fi
# Waits that the slowest machines need are the defaults.
export TEST_NGINX_SLEEP=${TEST_NGINX_SLEEP:-0.02}
export TEST_NGINX_FAST_SHUTDOWN=${TEST_NGINX_FAST_SHUTDOWN:-1}
# A cold compilation of a large guest takes seconds.
export TEST_NGINX_TIMEOUT=${TEST_NGINX_TIMEOUT:-15}
if [[ -z ${PROXY_WASM_GRPCIO:-} ]] && have python3; then
    PROXY_WASM_GRPCIO=$(grpcio_dir)
    export PROXY_WASM_GRPCIO
fi
# A proxy of the machine's is not meant for 127.0.0.1.
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY

jobs=${JOBS:-2}
if [[ $jobs -gt 1 ]]; then
    # Its own port and server root for each file.
    export TEST_NGINX_RANDOMIZE=${TEST_NGINX_RANDOMIZE:-1}
fi

# Options alone still mean all tests.
tests=
for arg in "$@"; do
    [[ $arg == -* ]] || tests=1
done
if [[ -z $tests ]]; then
    mapfile -t all < <(find t -name '*.t' | LC_ALL=C sort)
    set -- "$@" "${all[@]}"
fi

exec prove -j "$jobs" -It/lib "$@"
