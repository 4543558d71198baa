# Nothing leaks: many requests with callouts, of which a third fail, time out or
# are left by their client. `make leaks` runs many more.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $REQUESTS = $ENV{PROXY_WASM_LEAK_REQUESTS} || 2000;

our $PLUGIN = '
configure tick 50
request_headers if_header x-kind good http_call good 20000
request_headers if_header x-kind two http_call good 20000
request_headers if_header x-kind two http_call good 20000 :method=POST body=hello
request_headers if_header x-kind refused http_call refused 20000
request_headers if_header x-kind garbage http_call good 20000 :path=/garbage
request_headers if_header x-kind timeout http_call good 30 :path=/slow
request_headers if_header x-kind abort http_call good 20000 :path=/slow
request_headers pause
';

our $OPTIONS = '
resume = "callouts",
upstreams = {
    good = { "unix:$TEST_NGINX_HTML_DIR/good.sock" },
    refused = { "127.0.0.1:1", "127.0.0.1:2" },
},
';

our $HTTP_CONFIG = '
    lua_socket_log_errors off;
    keepalive_requests 1000000;
    server {
        listen unix:$TEST_NGINX_HTML_DIR/good.sock;
        # Idle connections of callouts go away by themselves.
        keepalive_timeout 1s;
        access_log off;
        location / { return 200 "good"; }
        location /slow {
            content_by_lua_block { ngx.sleep(0.1) ngx.print("slow") }
        }
        location /garbage {
            content_by_lua_block {
                local sock = assert(ngx.req.socket(true))
                sock:send("HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n")
            }
        }
    }
';

our $DRIVE = '
    access_log off;
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local lib = require("resty.proxy_wasm.lib").lib
            local status = require("resty.proxy_wasm").status
            local KINDS = { "good", "two", "good", "good", "refused", "good", "good", "abort",
                            "two", "good", "good", "timeout", "good", "garbage", "abort" }
            local good, bad = 0, 0

            local function one(n, sock)
                local kind = KINDS[n % #KINDS + 1]
                local abort = kind == "abort"
                sock = client.send("/t", "X-Kind: " .. kind .. "\r\n", not abort and sock or nil)
                if abort then
                    sock:close()
                    bad = bad + 1
                    return nil
                end
                local code, body = client.read(sock)
                if code ~= 200 or body ~= "hello\\n" then
                    ngx.say(kind, " ", code, " ", body)
                end
                if kind == "good" or kind == "two" then
                    good = good + 1
                else
                    bad = bad + 1
                end
                return sock
            end

            local function run(count)
                local next_one, threads = 0, {}
                for i = 1, 20 do
                    threads[i] = ngx.thread.spawn(function()
                        local sock
                        while next_one < count do
                            next_one = next_one + 1
                            sock = one(next_one, sock) or sock
                        end
                        if sock then
                            sock:close()
                        end
                    end)
                end
                for i = 1, 20 do
                    assert(ngx.thread.wait(threads[i]))
                end
            end

            -- Sockets that this process has open.
            local function sockets()
                local list = io.popen("ls -l /proc/" .. ngx.worker.pid() .. "/fd | grep -c socket:")
                local count = list:read("*n")
                list:close()
                return count
            end

            local function counts()
                lib.rpw_sweep()
                collectgarbage()
                local now = status()
                local plugin = now.plugins[1]
                return table.concat({
                    "contexts " .. plugin.http_contexts .. " of " .. plugin.root_contexts,
                    "paused " .. plugin.paused,
                    "callouts " .. plugin.callouts,
                    "jobs " .. now.callouts.waiting .. "+" .. now.callouts.running,
                    "timers " .. now.callouts.timers .. "+" .. ngx.timer.running_count(),
                    "sockets " .. sockets(),
                }, ", "), plugin.memory
            end

            -- When nothing is under way any more.
            local function settled()
                client.wait(function()
                    lib.rpw_sweep()
                    local now = status()
                    return now.plugins[1].http_contexts == 0 and now.plugins[1].callouts == 0
                           and now.callouts.timers == 0
                end)
                ngx.sleep(2)
                return counts()
            end

            run(300)
            local before, memory_before = settled()
            good, bad = 0, 0
            run(REQUESTS)
            local after, memory_after = settled()
            -- The sockets of the server may take a moment.
            client.wait(function()
                after = counts()
                return after == before
            end, 250)
            ngx.log(ngx.WARN, "before: ", before, ", memory ", memory_before)
            ngx.log(ngx.WARN, "after: ", after, ", memory ", memory_after)
            ngx.say(good + bad == REQUESTS and bad >= good / 2 - 20)
            ngx.say(after == before and "as before" or before .. "\n" .. after)
            -- The memory of the guest, which never shrinks: in the worst moment it
            -- takes some more, and this guest remembers the token of each call.
            ngx.say("memory: ", memory_after <= memory_before + 2^20 + 150 * REQUESTS)
        }
    }
' =~ s/REQUESTS/$main::REQUESTS/gr;

worker_connections(1024);
log_level('warn');
no_long_string();
run_tests();

__DATA__

=== TEST 1: leaks: none, where clients that leave are noticed at once
--- plugin eval: $::PLUGIN
--- plugin_options eval: $::OPTIONS
--- http_config eval: $::HTTP_CONFIG
--- config eval
"lua_check_client_abort on;$::DRIVE"
--- request
GET /drive
--- response_body
true
as before
memory: true
--- timeout eval: 60 + $::REQUESTS / 50



=== TEST 2: leaks: none, where they are not
--- plugin eval: $::PLUGIN
--- plugin_options eval: $::OPTIONS
--- http_config eval: $::HTTP_CONFIG
--- config eval: $::DRIVE
--- request
GET /drive
--- response_body
true
as before
memory: true
--- timeout eval: 60 + $::REQUESTS / 50
