# A plugin that started in the master and refuses to in a worker: its requests
# get the policy, it is tried again ever less often, and works once it starts.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $CHAINS = <<'_END_';
    init_by_lua_block {
        chains = {}
        function names()
            return ("vm_start closed,vm_start open,configure closed,configure open"):gmatch("[^,]+")
        end
        for name in names() do
            chains[name:gsub(" ", "+")] = assert(require("resty.proxy_wasm").new_chain {
                {
                    name = name,
                    path = "$GUESTS/refuses_in_worker.wasm",
                    vm_config = name:find("vm_start") and "refuse" or "",
                    fail = name:match("%S+$"),
                },
            })
        end
        client = dofile("$TOP/t/lib/client.lua")
        -- The log since the last look.
        function news()
            log = log or io.open(ngx.config.prefix() .. "logs/error.log")
            return log:read("*a")
        end
        function has_instance(name)
            for _, plugin in ipairs(require("resty.proxy_wasm").status().plugins) do
                if plugin.name == name then
                    return plugin.instance
                end
            end
        end
    }
_END_

our $SERVER = <<'_END_';
    location = /path {
        access_by_lua_block { chains[ngx.var.arg_c]:access() }
        content_by_lua_block { ngx.say("hello") }
        header_filter_by_lua_block { chains[ngx.var.arg_c]:header_filter() }
        body_filter_by_lua_block { chains[ngx.var.arg_c]:body_filter() }
        log_by_lua_block { chains[ngx.var.arg_c]:log() }
    }
_END_

no_long_string();
run_tests();

__DATA__

=== TEST 1: first request: refused there, or passed, without an instance until it starts
--- http_config eval: $::CHAINS
--- config eval
$::SERVER . <<'_END_'
    location = /t {
        content_by_lua_block {
            for name in names() do
                local path = "/path?c=" .. name:gsub(" ", "+")
                news()
                local before = { client.outcome(path), client.outcome(path), client.outcome(path) }
                local text = news()
                local refused, why = 0, name .. ": the instance is dropped: failed to run proxy_on_"
                                        .. name:match("^%S+") .. ": the plugin refused its configuration"
                for _ in text:gmatch(why:gsub("%p", "%%%0")) do
                    refused = refused + 1
                end
                local waits = text:find(name .. ": failed 2 times in a row: no new instance for 100 ms", 1, true)
                ngx.say(name, ": ", table.concat(before, ", "), refused > 1 and waits and ", tried again")
            end
            -- It accepts its configuration where there is no data yet.
            ngx.shared.proxy_wasm:flush_all()
            for name in names() do
                ngx.say(name, client.wait(function()
                    return client.outcome("/path?c=" .. name:gsub(" ", "+")) == "200 hello" and has_instance(name)
                end) and " runs")
            end
        }
    }
_END_
--- response_body
vm_start closed: 503 page, 503 page, 503 page, tried again
vm_start open: 200 hello, 200 hello, 200 hello, tried again
configure closed: 503 page, 503 page, 503 page, tried again
configure open: 200 hello, 200 hello, 200 hello, tried again
vm_start closed runs
vm_start open runs
configure closed runs
configure open runs
--- timeout: 30



=== TEST 2: init_worker: the worker starts all the same, and tries again without a request
--- http_config eval
$::CHAINS . <<'_END_'
    init_worker_by_lua_block {
        for _, chain in pairs(chains) do
            chain:init_worker()
        end
    }
_END_
--- config eval
$::SERVER . <<'_END_'
    location = /t {
        content_by_lua_block {
            local text = ""
            for name in names() do
                local outcome = client.outcome("/path?c=" .. name:gsub(" ", "+"))
                local waits = client.wait(function()
                    text = text .. news()
                    return text:find(name .. ": failed 4 times in a row: no new instance for 400 ms", 1, true)
                end)
                ngx.say(name, ": ", outcome, waits and ", tried again")
            end
            ngx.shared.proxy_wasm:flush_all()
            for name in names() do
                ngx.say(name, client.wait(function() return has_instance(name) end) and " runs, ",
                        client.outcome("/path?c=" .. name:gsub(" ", "+")))
            end
        }
    }
_END_
--- response_body
vm_start closed: 503 page, tried again
vm_start open: 200 hello, tried again
configure closed: 503 page, tried again
configure open: 200 hello, tried again
vm_start closed runs, 200 hello
vm_start open runs, 200 hello
configure closed runs, 200 hello
configure open runs, 200 hello
--- error_log
vm_start closed: failed to run proxy_on_vm_start: the plugin refused its configuration
configure open: failed to run proxy_on_configure: the plugin refused its configuration
--- timeout: 30



=== TEST 3: another plugin of the chain starts and works, whatever the first one does
--- http_config
    init_by_lua_block {
        chain = assert(require("resty.proxy_wasm").new_chain {
            { name = "p", path = "$GUESTS/refuses_in_worker.wasm", fail = "open" },
            { name = "q", path = "$GUESTS/hostcalls.wasm",
              config = "tick nth 1 log info ticks\nconfigure tick 20\nresponse_headers set_header response x-q yes" },
        })
    }
    init_worker_by_lua_block { chain:init_worker() }
--- config
    location = /t {
        access_by_lua_block { chain:access() }
        content_by_lua_block { ngx.sleep(0.2) ngx.say("hello") }
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        log_by_lua_block { chain:log() }
    }
--- response_body
hello
--- response_headers
X-Q: yes
--- error_log
p: the instance is dropped
q: ticks



=== TEST 4: one of several root contexts refuses: the log names it
--- http_config
    init_by_lua_block {
        proxy_wasm = require("resty.proxy_wasm")
        local plugin = assert(proxy_wasm.load("p", "$GUESTS/refuses_in_worker.wasm"))
        first = assert(proxy_wasm.on_configure(plugin, "accepted"))
        second = assert(proxy_wasm.on_configure(plugin, ""))
    }
--- config
    location = /t {
        content_by_lua_block { ngx.say(proxy_wasm.on_http_request_headers(first)) }
    }
--- response_body_like: refused its configuration
--- error_log
p: the instance is dropped: failed to run proxy_on_configure: the plugin refused its configuration (root context 2)
