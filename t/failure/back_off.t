# A plugin that keeps failing is not made anew for every request.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: a plugin that fails every request: refused without an instance, most of the time
--- plugin
configure log info configured
request_headers trap
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local refused = 0
            for _ = 1, 300 do
                refused = refused + (client.outcome("/t") == "503 page" and 1 or 0)
            end
            ngx.say(refused, " refused")
            -- At once, after 100, 200, … ms: in a minute there are no more.
            local _, starts = io.open(ngx.config.prefix() .. "logs/error.log"):read("*a"):gsub("p: configured", "")
            ngx.say(starts < 15 and "few starts" or starts)
        }
    }
--- request
GET /drive
--- response_body
300 refused
few starts
--- grep_error_log eval: qr/failed \d times in a row: no new instance for [123]00 ms/
--- grep_error_log_out eval
qr/^failed 2 times in a row: no new instance for 100 ms
(failed 3 times in a row: no new instance for 200 ms
)?/
--- error_log
the request is refused: the plugin has failed: no new instance for
--- timeout: 60



=== TEST 2: the wait doubles with every failure
--- plugin
request_headers trap
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local log = io.open(ngx.config.prefix() .. "logs/error.log")
            local text = ""
            ngx.say(client.wait(function()
                client.outcome("/t")
                text = text .. log:read("*a")
                return text:find("5 times in a row", 1, true)
            end))
        }
    }
--- request
GET /drive
--- response_body
true
--- grep_error_log eval: qr/failed \d times in a row: no new instance for \d+ ms/
--- grep_error_log_out
failed 2 times in a row: no new instance for 100 ms
failed 3 times in a row: no new instance for 200 ms
failed 4 times in a row: no new instance for 400 ms
failed 5 times in a row: no new instance for 800 ms
--- timeout: 60



=== TEST 3: one client whose requests fail costs the others nothing but their luck: there is no wait
--- plugin
request_headers if_header x-trap yes trap
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local good, bad = 0, 0
            for _ = 1, 50 do
                bad = bad + (client.outcome("/t", "X-Trap: yes\r\n") == "503 page" and 1 or 0)
                good = good + (client.outcome("/t") == "200 hello" and 1 or 0)
            end
            ngx.say(bad, " ", good)
        }
    }
--- request
GET /drive
--- response_body
50 50
--- no_error_log
in a row
--- timeout: 60



=== TEST 4: a start that fails: the same, and it is tried again until it succeeds
--- http_config
    init_by_lua_block {
        chain = assert(require("resty.proxy_wasm").new_chain {
            { name = "p", path = "$GUESTS/refuses_in_worker.wasm" },
        })
    }
--- config
    location = /path {
        access_by_lua_block { chain:access() }
        content_by_lua_block { ngx.say("hello") }
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        log_by_lua_block { chain:log() }
    }
    location = /t {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            for _ = 1, 3 do
                ngx.say(client.outcome("/path"))
            end
            -- It accepts its configuration where there is no data yet.
            ngx.shared.proxy_wasm:flush_all()
            ngx.say(client.wait(function() return client.outcome("/path") == "200 hello" end))
        }
    }
--- response_body
503 page
503 page
503 page
true
--- error_log
p: the instance is dropped: failed to run proxy_on_configure: the plugin refused its configuration (root context 1)
p: failed 2 times in a row: no new instance for 100 ms
the request is refused: the plugin has failed: no new instance for



=== TEST 5: open: meanwhile the requests pass
--- plugin
request_headers trap
response_headers log info "saw it"
--- plugin_options
fail = "open",
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local passed = 0
            for _ = 1, 50 do
                passed = passed + (client.outcome("/t") == "200 hello" and 1 or 0)
            end
            ngx.say(passed)
        }
    }
--- request
GET /drive
--- response_body
50
--- error_log
p: the request passes without this plugin: the plugin has failed: no new instance for
--- no_error_log
saw it



=== TEST 6: its memory is given back, however many instances there were
--- plugin
request_headers if_header x-trap yes trap
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local function size()
                for line in io.lines("/proc/self/status") do
                    local kib = line:match("^VmSize:%s+(%d+)")
                    if kib then
                        return tonumber(kib) / 1024 / 1024
                    end
                end
            end
            local before
            for i = 1, 40 do
                client.outcome("/t", "X-Trap: yes\r\n")
                client.outcome("/t")
                before = before or size()
            end
            -- Each of them has reserved 4 GiB.
            local grown = size() - before
            ngx.say(grown < 16 and "given back" or grown .. " GiB")
        }
    }
--- request
GET /drive
--- response_body
given back
--- timeout: 60



=== TEST 7: configuring is the operator's word: it is tried at once, where nobody uses the plugin
--- http_config
    init_worker_by_lua_block {
        wasm = require "resty.proxy_wasm"
    }
--- config
    location = /t {
        content_by_lua_block {
            local plugin = assert(wasm.load("p", "$GUESTS/hostcalls.wasm"))
            for _ = 1, 5 do
                assert(not wasm.on_configure(plugin, "configure trap"))
            end
            ngx.say(type(wasm.on_configure(plugin, "")))
        }
    }
--- response_body
cdata
--- no_error_log
in a row



=== TEST 8: init_worker: a plugin that was started by the operator is made anew without a request
--- http_config
    init_worker_by_lua_block { chain:init_worker() }
--- plugin
configure log info configured
request_headers if_header x-trap yes trap
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.say(client.outcome("/t", "X-Trap: yes\r\n"))
            client.mark("waits")
            ngx.sleep(0.3)
            client.mark("waited")
        }
    }
--- request
GET /drive
--- response_body
503 page
--- grep_error_log eval: qr/p: configured|-- \w+/
--- grep_error_log_out
p: configured
p: configured
-- waits
p: configured
-- waited



=== TEST 9: status: says how long there will be no instance
--- plugin
request_headers if_header x-bad yes trap
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local function status()
                return require("resty.proxy_wasm").status().plugins[1]
            end
            client.outcome("/t")
            ngx.say(status().back_off, " ", status().instance)
            for _ = 1, 5 do
                client.wait(function()
                    if status().back_off == 0 then
                        client.read(client.send("/t", "X-Bad: yes\r\n"))
                        return true
                    end
                end)
            end
            -- The fifth time in a row: 800 ms.
            local left = status().back_off
            ngx.say(left > 0 and left <= 0.8, " ", status().instance)
            ngx.say(client.wait(function() return status().back_off == 0 end))
        }
    }
--- request
GET /drive
--- response_body
0 true
true false
true



=== TEST 10: a long start, and one failure: the next start waits as long
--- plugin
configure spin 300000000
request_headers if_header x-trap yes trap
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.say(client.outcome("/t"))
            ngx.say(client.outcome("/t", "X-Trap: yes\r\n"))
            ngx.say(client.outcome("/t"))
            ngx.say(client.wait(function()
                return client.outcome("/t") == "200 hello"
            end))
        }
    }
--- request
GET /drive
--- response_body
200 hello
503 page
503 page
true
--- error_log eval
[qr/p: no new instance for \d+ ms, as long as its last start took/, "the plugin has failed: no new instance for"]
--- timeout: 60
