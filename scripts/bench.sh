#!/usr/bin/env bash
# What a plugin costs, beside the same work in plain Lua: one nginx with one
# worker, one location for each piece of work and way of doing it, rounds of
# wrk that take the locations in turn, each with a new start of nginx.
# benches/run.py measures and judges.
#
#   ROUNDS=5 SECONDS_EACH=2 ONLY=headers scripts/bench.sh
#
# ONLY=foreign measures what foreign functions cost, and nothing else.
#
# With LIMITS=1 it measures something else: what it costs that the CPU time of
# guests is limited. The other side is a second nginx, with a library that is
# built without (Cargo.toml: uninterrupted).

set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"

dir=$WORK/bench
scripts/deps.sh bench

nginx_stop "$dir"
nginx_stop "$dir/unlimited"
nginx_stop "$dir/upstream"
rm -rf "$dir"
mkdir -p "$dir/tmp" "$dir/html" "$dir/unlimited/tmp"
head -c 4096 /dev/zero | tr '\0' x >"$dir/html/4k"
head -c 65536 /dev/zero | tr '\0' x >"$dir/html/64k"
port=$(free_ports 8280 3)
upstream_port=$((port + 2))

if [[ -n ${LIMITS:-} ]]; then
    cargo build --release --features uninterrupted
    cp target/release/libresty_proxy_wasm.so "$dir/unlimited/"
    cargo build --release
fi

# location WORK WAY HANDLERS: answers with a file in memory, or the smallest
# answer nginx has. Every way but the first has a handler in the same phases.
location() {
    local content='empty_gif;'
    case $1 in
    body4k) content="alias $dir/html/4k;" ;;
    body64k) content="alias $dir/html/64k;" ;;
    esac
    printf 'location = /%s/%s {\n%s\n%s\n}\n' "$1" "$2" "$3" "$content"
}

# handlers ACCESS HEADER_FILTER BODY_FILTER LOG
handlers() {
    local phase
    for phase in access header_filter body_filter log; do
        echo "${phase}_by_lua_block { $1 }"
        shift
    done
}

chain() {
    handlers "$1:access()" "$1:header_filter()" "$1:body_filter()" "$1:log()"
}

plain_lua() {
    case $1 in
    nothing) handlers '' '' '' '' ;;
    headers)
        handlers 'ngx.ctx.seen = ngx.var.http_x_in' \
            'ngx.header["x-out"] = ngx.ctx.seen or "none"' '' ''
        ;;
    all) handlers 'ngx.ctx.seen = ngx.req.get_headers()' '' '' '' ;;
    callout) handlers 'ask_auth()' '' '' '' ;;
    body*) handlers '' '' 'ngx.ctx.count = (ngx.ctx.count or 0) + #ngx.arg[1]' '' ;;
    esac
}

locations() {
    local work
    for work in nothing headers all body4k body64k callout; do
        location "$work" nolua ''
        location "$work" empty "$(handlers '' '' '' '')"
        location "$work" lua "$(plain_lua "$work")"
        location "$work" wat "$(chain "wat_${work%%[0-9]*}")"
        location "$work" rust "$(chain "rust_${work%%[0-9]*}")"
    done
}

# The upstream of callouts: a process of its own, whose time is not measured.
upstream() {
    mkdir -p "$dir/upstream/tmp"
    cat >"$dir/upstream/nginx.conf" <<END
$(nginx_main "$dir/upstream" | sed 's/info;/warn;/')
events { worker_connections 256; }
http {
    access_log off;
    keepalive_requests 100000000;
    $(nginx_temp "$dir/upstream")
    server {
        listen 127.0.0.1:$upstream_port;
        location / { return 200 "fine"; }
    }
}
END
    nginx_run "$dir/upstream" || die "nginx did not start: $dir/upstream/error.log"
}

# server DIR LIBRARIES PORT: starts it.
server() {
    cat >"$1/nginx.conf" <<END
$(nginx_main "$1" | sed 's/info;/warn;/')
events { worker_connections 256; }
http {
    access_log off;
    keepalive_requests 1000000;
    open_file_cache max=10;
    $(nginx_temp "$1")
    lua_package_path "$REPO/lib/?.lua;;";
    lua_package_cpath "$2/?.so;;";
    lua_shared_dict proxy_wasm 1m;
    init_by_lua_block {
        local proxy_wasm = require "resty.proxy_wasm"
        -- The callout in plain Lua.
        function ask_auth()
            local sock = ngx.socket.tcp()
            sock:settimeout(5000)
            assert(sock:connect("127.0.0.1", $upstream_port))
            assert(sock:send("GET /check HTTP/1.1\r\nHost: auth\r\n\r\n"))
            local status = tonumber(assert(sock:receive()):match("^HTTP/1.1 (%d+)"))
            local headers = {}
            while true do
                local line = assert(sock:receive())
                local name, value = line:match("^([^:]+):%s*(.*)")
                if not name then
                    break
                end
                headers[name:lower()] = value
            end
            ngx.ctx.seen = status
            ngx.ctx.body = assert(sock:receive(tonumber(headers["content-length"])))
            sock:setkeepalive(60000, 32)
        end
        for _, work in ipairs { "nothing", "headers", "all", "body", "callout" } do
            for way, path in pairs {
                wat = "$PROXY_WASM_GUESTS/bench_" .. (work == "all" and "pairs" or work) .. ".wasm",
                rust = "$PROXY_WASM_GUESTS/bench.wasm",
            } do
                _G[way .. "_" .. work] = assert(proxy_wasm.new_chain {
                    { name = way, path = path, config = work,
                      upstreams = { auth = "127.0.0.1:$upstream_port" } },
                })
            end
        end
    }
    server {
        listen 127.0.0.1:$3 reuseport;
        $(locations)
        location = /foreign {
            content_by_lua_block {
                assert(loadfile("$REPO/benches/foreign.lua"))("$PROXY_WASM_GUESTS")
            }
        }
    }
}
END
    nginx_run "$1" || die "nginx did not start: $1/error.log"
}

trap 'nginx_stop "$dir"; nginx_stop "$dir/unlimited"; nginx_stop "$dir/upstream"' EXIT
trap 'exit 1' INT TERM
upstream
server "$dir" "$PROXY_WASM_LIB_DIR" "$port"
other=()
if [[ -n ${LIMITS:-} ]]; then
    server "$dir/unlimited" "$dir/unlimited" $((port + 1))
    other=(--unlimited "http://127.0.0.1:$((port + 1))"
        --unlimited-server "$dir/unlimited")
fi
failed=
if [[ -z ${LIMITS:-} && ${ONLY:-foreign} == foreign ]]; then
    foreign=$(curl --silent --fail "http://127.0.0.1:$port/foreign") || die "no figures: $dir/error.log"
    echo "$foreign"
    [[ $foreign != *FAIL* ]] || failed=1
fi
if [[ ${ONLY:-} != foreign ]]; then
    python3 benches/run.py --url "http://127.0.0.1:$port" --server "$dir" "${other[@]}" \
        --rounds "${ROUNDS:-5}" --seconds "${SECONDS_EACH:-2}" ${ONLY:+--only "$ONLY"} || failed=1
fi
[[ -z $failed ]]
