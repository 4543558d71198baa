#!/usr/bin/env bash
# Installs into fresh trees, by make and by luarocks, and runs a plugin in an
# nginx that knows the library from there only.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"

trees=$WORK/install
passed=0
failed=0

# runs TREE: nginx answers with the plugin's header.
runs() {
    local tree=$1 dir=$1/nginx port answer loaded
    mkdir -p "$dir/tmp"
    cp "$PROXY_WASM_GUESTS/rust_demo.wasm" "$tree/plugin.wasm"
    port=$(free_ports 8180 1)
    cat >"$dir/nginx.conf" <<END
$(nginx_main "$dir")
events {}
http {
    access_log off;
    $(nginx_temp "$dir")
    lua_package_path "$tree/share/lua/5.1/?.lua;;";
    lua_package_cpath "$tree/lib/lua/5.1/?.so;;";
    lua_shared_dict proxy_wasm 1m;
    init_by_lua_block {
        local proxy_wasm = require "resty.proxy_wasm"
        chain = assert(proxy_wasm.new_chain { { name = "demo", path = "$tree/plugin.wasm" } })
        ngx.log(ngx.INFO, "found: ", package.searchpath("resty.proxy_wasm", package.path))
    }
    server {
        listen 127.0.0.1:$port;
        location / {
            rewrite_by_lua_block { chain:rewrite() }
            access_by_lua_block { chain:access() }
            header_filter_by_lua_block { chain:header_filter() }
            body_filter_by_lua_block { chain:body_filter() }
            log_by_lua_block { chain:log() }
            content_by_lua_block { ngx.say("hello") }
        }
    }
}
END
    nginx_run "$dir" || return 1
    answer=$(curl -q --noproxy '*' -sS -i --max-time 20 "http://127.0.0.1:$port/") || true
    loaded=$(grep -F libresty_proxy_wasm.so "/proc/$(cat "$dir/nginx.pid")/maps") || true
    nginx_stop "$dir"
    grep -qi '^x-proxy-wasm: hello from Rust' <<<"$answer" || {
        warn "no header of the plugin in: $answer"
        return 1
    }
    # The tree's own files, not some that the machine has elsewhere.
    if ! grep -qF "found: $tree/share/lua/5.1/resty/proxy_wasm.lua" "$dir/error.log" ||
        [[ $loaded != *" $tree/lib/lua/5.1/libresty_proxy_wasm.so"* ]]; then
        warn "the plugin ran with files from elsewhere: $loaded"
        return 1
    fi
}

check() {
    local what=$1
    shift
    if "$@"; then
        echo "ok: $what"
        passed=$((passed + 1))
    else
        echo "NOT OK: $what"
        failed=$((failed + 1))
    fi
}

by_make() {
    make --no-print-directory install PREFIX="$1" >/dev/null
}

by_luarocks() {
    luarocks --lua-version 5.1 --tree "$1" make rockspec/*.rockspec >"$1.log" 2>&1 || {
        tail -n 20 "$1.log" >&2
        return 1
    }
}

# An OpenResty has a folder of its own for what is added to it.
in_openresty() {
    mkdir -p "$1/lualib/resty"
    touch "$1/lualib/resty/core.lua"
    by_make "$1" &&
        [[ -e $1/site/lualib/resty/proxy_wasm.lua && -e $1/site/lualib/libresty_proxy_wasm.so ]]
}

# Below a package's root, for those who make packages.
under_destdir() {
    make --no-print-directory install DESTDIR="$1" PREFIX=/usr >/dev/null &&
        [[ -e $1/usr/share/lua/5.1/resty/proxy_wasm.lua &&
            -e $1/usr/lib/lua/5.1/libresty_proxy_wasm.so &&
            -e $1/usr/include/resty_proxy_wasm.h ]]
}

# make exports what stands on its command line: not for the runs in here.
unset MAKEFLAGS MAKEOVERRIDES MFLAGS PREFIX DESTDIR
rm -rf "$trees"
mkdir -p "$trees"

check "make install" by_make "$trees/make"
check "a plugin runs from there" runs "$trees/make"
check "make install into OpenResty's prefix" in_openresty "$trees/openresty"
check "make install under DESTDIR" under_destdir "$trees/destdir"
if have luarocks; then
    check "luarocks make" by_luarocks "$trees/luarocks"
    check "a plugin runs from there" runs "$trees/luarocks"
else
    warn "no luarocks here: skipped"
fi

echo "install: $passed passed, $failed failed"
[[ $failed == 0 ]]
