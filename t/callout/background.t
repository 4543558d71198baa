# Callouts that no request has asked for, and whose answers ask for the next.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: chain: answers that take long leave room for requests
--- http_config
    init_worker_by_lua_block { chain:init_worker() }
--- plugin
configure           tick 10
tick                tick 0
tick                http_call callout 5000
http_call_response  spin 40000000
http_call_response  http_call callout 5000
http_call_response  nth 3 log info "three answers"
--- plugin_options
cpu_limit = 5,
--- callout: return 200 "answer";
--- location
        content_by_lua_block {
            -- How much of a processor the worker takes: on a busy machine only
            -- less, without the pauses nearly all.
            ngx.sleep(0.3)
            ngx.update_time()
            local used, began = os.clock(), ngx.now()
            ngx.sleep(2)
            ngx.update_time()
            local share = (os.clock() - used) / (ngx.now() - began)
            ngx.say(share < 0.8 and "leaves room" or share)
        }
--- response_body
leaves room
--- error_log
three answers
--- no_error_log
[error]
--- timeout: 20



=== TEST 2: answers: what came in time is no failure because it had to wait
--- http_config
    init_worker_by_lua_block {
        require("resty.proxy_wasm").register_foreign_function("work", function()
            local till = os.clock() + 0.4
            repeat until os.clock() >= till
            return ""
        end)
        chain:init_worker()
    }
--- plugin
configure           tick 10
tick                tick 0
tick                http_call callout 3000
tick                http_call callout 3000
tick                http_call callout 3000
tick                http_call callout 3000
tick                http_call callout 3000
tick                http_call callout 3000
tick                http_call callout 3000
tick                http_call callout 3000
http_call_response  foreign work
http_call_response  echo_params
http_call_response  nth 8 log info "all answers"
--- plugin_options
cpu_limit = 20,
--- callout: return 200 "answer";
--- location
        content_by_lua_block {
            local log = dofile("$TOP/t/lib/error_log.lua")
            for _ = 1, 60 do
                for line in log.lines() do
                    if line:find("all answers", 1, true) then
                        return
                    end
                end
                ngx.sleep(0.5)
            end
        }
--- response_body
--- error_log
all answers
body_size=6
--- no_error_log
[error]
body_size=0
--- timeout: 60



=== TEST 3: chain: callouts that fail without a wait leave room for other events
--- http_config
    init_worker_by_lua_block {
        quiet = assert(require("resty.proxy_wasm").new_chain {
            { name = "q", path = "$GUESTS/hostcalls.wasm", config = [[
request_headers     http_call nobody 5000
request_headers     pause
http_call_response  spin 10000000
http_call_response  log info failed
http_call_response  http_call nobody 5000
]], pause_timeout = 1, upstreams = { nobody = "unix:$TEST_NGINX_HTML_DIR/nobody.sock" } } })
    }
--- plugin
--- config
    location = /quiet {
        rewrite_by_lua_block { quiet:rewrite() }
        content_by_lua_block { ngx.say("hello") }
    }
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local log = dofile("$TOP/t/lib/error_log.lua")
            local sock = client.connect()
            assert(sock:send("GET /quiet HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
            -- The first of some moments behind the first failure.
            local failed
            repeat
                ngx.sleep(0.01)
                failed = 0
                for line in log.lines() do
                    failed = failed + (line:find("q: failed", 1, true) and 1 or 0)
                end
            until failed > 0
            sock:close()
            ngx.say(failed < 100 and "room" or failed)
        }
    }
--- request
GET /drive
--- response_body
room
--- no_error_log
[alert]
--- timeout: 30



=== TEST 4: chain: likewise gRPC calls that fail without a wait
--- http_config
    init_worker_by_lua_block {
        quiet = assert(require("resty.proxy_wasm").new_chain {
            { name = "q", path = "$GUESTS/hostcalls.wasm", config = [[
configure           tick 10
tick                tick 0
tick                grpc_call nobody a.B C 5000 x
grpc_call_response  spin 10000000
grpc_call_response  log info failed
grpc_call_response  grpc_call nobody a.B C 5000 x
]], upstreams = { nobody = "unix:$TEST_NGINX_HTML_DIR/nobody.sock" } } })
        good = assert(require("resty.proxy_wasm").new_chain {
            { name = "g", path = "$GUESTS/hostcalls.wasm", config = [[
configure tick 50
tick log info tick
]] } })
        quiet:init_worker()
        good:init_worker()
    }
--- plugin
--- config
    location = /drive {
        content_by_lua_block {
            local log = dofile("$TOP/t/lib/error_log.lua")
            -- Until the other plugin's ticks have come, too.
            local failed, ticks
            for _ = 1, 1000 do
                ngx.sleep(0.01)
                failed, ticks = 0, 0
                for line in log.lines() do
                    failed = failed + (line:find("q: failed", 1, true) and 1 or 0)
                    ticks = ticks + (line:find("g: tick", 1, true) and 1 or 0)
                end
                if failed >= 20 and ticks >= 5 then
                    break
                end
            end
            ngx.say(failed < 490 and "room" or failed, " ", ticks >= 5 and "ticks" or ticks)
        }
    }
--- request
GET /drive
--- response_body
room ticks
--- no_error_log
[alert]
--- timeout: 30
