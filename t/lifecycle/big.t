# A plugin of 23 MB, in Go, which takes 100 MiB to start: within all defaults.

use lib 't/lib';
use TestProxyWasm 'no_plan';

# Both workers load it at the same time, into a folder that has nothing.
master_on();
workers(2);

run_tests();

__DATA__

=== TEST 1: big: compiled by one worker and mapped by the other, while both serve
--- http_config
    init_worker_by_lua_block {
        local proxy_wasm = require "resty.proxy_wasm"
        proxy_wasm.cache_directory("$TEST_NGINX_HTML_DIR")
        chain = assert(proxy_wasm.new_chain { { name = "big", path = "$GUESTS/go_big.wasm" } })

        function maps()
            local file = assert(io.open("/proc/self/maps"))
            local found = file:read("*a"):find("$TEST_NGINX_HTML_DIR", 1, true)
            file:close()
            return found and "mapped" or "compiled"
        end
    }
--- config
    location = /plugin {
        access_by_lua_block { chain:access() }
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        log_by_lua_block { chain:log() }
        content_by_lua_block { ngx.print(ngx.worker.pid(), " ", maps()) }
    }
    location = /other {
        content_by_lua_block { ngx.print("other") }
    }
    location = /t {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local function ask(path)
                local sock = client.send(path, "Connection: close\r\n")
                local status, body = client.read(sock)
                sock:close()
                return status, body
            end
            local how, refused, count = {}, 0, 0
            for _ = 1, 2400 do
                local status, body = ask("/plugin")
                if status == 200 then
                    local pid, got = body:match("^(%d+) (%l+)$")
                    count = count + (how[pid] and 0 or 1)
                    how[pid] = got
                    if count == 2 then
                        break
                    end
                else
                    refused = refused + (status == 503 and 1 or 1000000)
                end
                status, body = ask("/other")
                assert(status == 200 and body == "other")
                ngx.sleep(0.05)
            end
            local words = {}
            for _, got in pairs(how) do
                words[#words + 1] = got
            end
            table.sort(words)
            ngx.say(table.concat(words, " "))
            ngx.say(refused > 0 and refused < 1000000)
            -- What it allocated at its start is there.
            local sock = client.send("/plugin", "Connection: close\r\n")
            ngx.say(sock:receive("*a"):match("\r\nx%-go%-big: (%d+)\r\n"))
        }
    }
--- response_body
compiled mapped
true
100
--- error_log
big: started with 100 MiB
--- no_error_log
[crit]
is dropped
--- timeout: 180



=== TEST 2: big: loaded in the master, where the code is inherited
--- http_config
    init_by_lua_block {
        local proxy_wasm = require "resty.proxy_wasm"
        chain = assert(proxy_wasm.new_chain { { name = "big", path = "$GUESTS/go_big.wasm" } })
    }
--- config
    location = /t {
        access_by_lua_block { chain:access() }
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        log_by_lua_block { chain:log() }
        content_by_lua_block { ngx.say("served") }
    }
--- response_body
served
--- response_headers
x-go-big: 100
--- no_error_log
[error]
