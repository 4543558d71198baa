#!/usr/bin/env bash
# Good traffic, with callouts and gRPC calls, and plugins that trap, panic, exit,
# loop, leak, wait for ever and lose their clients, all at once on two workers
# that are reloaded again and again. soak/run.py sends it, soak/judge.py judges.
#
#   MINUTES=10 RELOAD_EVERY=10 scripts/soak.sh

set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"

dir=$WORK/soak
scripts/deps.sh test
python3 -B soak/test_judge.py

nginx_stop "$dir"
rm -rf "$dir"
mkdir -p "$dir/tmp" "$dir/html"
port=$(free_ports 8480 2)
backend=$((port + 1))
for _ in {1..50}; do echo "the quick brown fox"; done >"$dir/html/page"

# The gRPC server of the tests; it ends with its standard input.
coproc GRPC { PYTHONPATH=$(grpcio_dir) GRPC_VERBOSITY=NONE exec python3 t/lib/grpc_server.py; }
read -r grpc_port <&"${GRPC[0]}" || die "no gRPC server: run scripts/deps.sh"

# location NAME OPTIONS DEED…: a plugin of its own that does a deed when asked.
# What it does besides is seen in every good answer.
location() {
    local name=$1 options=$2
    shift 2
    cat >>"$dir/locations" <<END
        location = /$name {
            access_by_lua_block { chain_$name:access() }
            header_filter_by_lua_block { chain_$name:header_filter() }
            body_filter_by_lua_block { chain_$name:body_filter() }
            log_by_lua_block {
                chain_$name:log()
                if ngx.status == 499 then ngx.log(ngx.NOTICE, "soak: the client went away") end
            }
            add_header x-worker \$pid always;
            default_type text/plain;
            alias $dir/html/page;
        }
END
    cat >>"$dir/plugins" <<END
            chain_$name = assert(proxy_wasm.new_chain {
                { name = "$name", path = "$PROXY_WASM_GUESTS/hostcalls.wasm", $options config = [[
                    request_headers save token get_header request x-token
$(printf '                    %s\n' "$@")
                    response_headers set_header response x-soak \$token
                ]] },
            })
END
}

location good ''
location callout "upstreams = { backend = \"127.0.0.1:$backend\" }," \
    'request_headers http_call backend 5000 :path=/fast' 'request_headers pause' \
    'http_call_response continue request'
# The server's answer is what the plugin shows.
grpc="upstreams = { echo = \"127.0.0.1:$grpc_port\" },"
# shellcheck disable=SC2016
call=('request_headers grpc_call echo test.Echo Echo 5000 $token' 'request_headers pause'
    'grpc_call_response save token get_body grpc_message' 'grpc_call_response continue request')
location grpc "$grpc" "${call[@]}"
# Others wait for their answers meanwhile.
location grpc_trap "$grpc" 'grpc_call_response if_header x-do trap trap' "${call[@]}"
location trap '' 'request_headers if_header x-do trap trap'
location panic '' 'request_headers if_header x-do panic panic on purpose'
location exit '' 'request_headers if_header x-do exit proc_exit 3'
location loop 'cpu_limit = 0.02,' 'request_headers if_header x-do loop loop'
location memory 'memory_limit = 16777216,' 'request_headers if_header x-do leak repeat 300 alloc 65536' 'request_headers if_header x-do leak log info fill:200000:x'
location response '' 'response_headers if_header x-do trap trap'
location open 'fail = "open",' 'request_headers if_header x-do trap trap'
location timeout "pause_timeout = 1, upstreams = { backend = \"127.0.0.1:$backend\" }," \
    'request_headers http_call backend 5000 :path=/slow' 'request_headers pause'

cat >"$dir/nginx.conf" <<END
$(nginx_main "$dir" | sed 's/worker_processes 1/worker_processes 2/; s/ info;/ notice;/')
worker_shutdown_timeout 15s;
events { worker_connections 1024; }
http {
    access_log off;
    $(nginx_temp "$dir")
    lua_package_path "$REPO/lib/?.lua;;";
    lua_package_cpath "$PROXY_WASM_LIB_DIR/?.so;;";
    lua_shared_dict proxy_wasm 4m;
    lua_check_client_abort on;
    init_by_lua_block {
        local proxy_wasm = require "resty.proxy_wasm"
        do
$(cat "$dir/plugins")
        end
    }
    server {
        listen 127.0.0.1:$port;
$(cat "$dir/locations")
        location = /status {
            content_by_lua_block {
                local alive = 0
                for _, plugin in ipairs(require "resty.proxy_wasm".status().plugins) do
                    alive = alive + plugin.http_contexts + plugin.callouts
                end
                ngx.say(ngx.worker.pid(), " ", alive)
            }
        }
    }
    server {
        listen 127.0.0.1:$backend;
        location = /fast { return 200 "fast"; }
        location = /slow { content_by_lua_block { ngx.sleep(3) ngx.say("slow") } }
    }
}
END

step "nginx with two workers on 127.0.0.1:$port, ${MINUTES:-10} minutes"
nginx_run "$dir"
trap 'nginx_stop "$dir"' EXIT
for _ in {1..100}; do
    [[ -s $dir/nginx.pid ]] && break
    sleep 0.1
done
python3 -B soak/run.py --port "$port" --master "$(cat "$dir/nginx.pid")" --log "$dir/error.log" \
    --seconds $((${MINUTES:-10} * 60)) --reload "${RELOAD_EVERY:-10}"
