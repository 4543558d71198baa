# The stack of a guest, by plugin (stack_limit).

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $HTTP = <<'_EOC_';
    init_by_lua_block {
        proxy_wasm = require "resty.proxy_wasm"
        -- The engines are the master's.
        plugins = {}
        for _, bytes in ipairs { 65536, 524288, 4194304 } do
            plugins[bytes] = assert(proxy_wasm.load("p" .. bytes, "$GUESTS/deep_recursion.wasm",
                                                    { stack_limit = bytes }))
        end
        plugins.default = assert(proxy_wasm.load("default", "$GUESTS/deep_recursion.wasm"))
        function try(plugin)
            local ctx = assert(proxy_wasm.on_configure(plugin, ""))
            ngx.say(proxy_wasm.on_http_request_headers(ctx))
        end
    }
_EOC_

no_long_string();
run_tests();

__DATA__

=== TEST 1: stack: each plugin has its own, whatever others of the same module have
--- http_config eval: $::HTTP
--- config
    location = /t {
        content_by_lua_block {
            for _, bytes in ipairs { 4194304, 65536, "default", 524288, 4194304 } do
                try(plugins[bytes])
            end
        }
    }
--- response_body
true
nilfailed to run proxy_on_request_headers: wasm trap: call stack exhausted
nilfailed to run proxy_on_request_headers: wasm trap: call stack exhausted
nilfailed to run proxy_on_request_headers: wasm trap: call stack exhausted
true



=== TEST 2: stack: calls that wait for a Lua function have as much, also after smaller ones
--- http_config eval: $::HTTP
--- config
    location = /t {
        content_by_lua_block {
            proxy_wasm.register_foreign_function("f", function() ngx.say("deep down") end)
            try(plugins[524288])
            -- This engine's guests have more than those of the engines before.
            local plugin = assert(proxy_wasm.load("later", "$GUESTS/deep_recursion.wasm",
                                                  { stack_limit = 4000000 }))
            try(plugin)
            try(plugins[65536])
            try(plugin)
        }
    }
--- response_body
nilfailed to run proxy_on_request_headers: wasm trap: call stack exhausted
deep down
true
nilfailed to run proxy_on_request_headers: wasm trap: call stack exhausted
deep down
true



=== TEST 3: stack: a loop without end is ended in an engine of another size, too
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local function call(bytes, config)
                local plugin = assert(proxy_wasm.load("p", "$GUESTS/hostcalls.wasm",
                                                      { stack_limit = bytes, cpu_limit = 0.1 }))
                local ctx = assert(proxy_wasm.on_configure(plugin, config))
                ngx.say(proxy_wasm.on_http_request_headers(ctx))
            end
            call(524288, "request_headers log info here")
            -- The thread that ticks is there already.
            call(131072, "request_headers loop")
            call(1048576, "request_headers loop")
            call(524288, "request_headers loop")
        }
    }
--- response_body
true
nilfailed to run proxy_on_request_headers: it used more than 100 ms of CPU time (option cpu_limit)
nilfailed to run proxy_on_request_headers: it used more than 100 ms of CPU time (option cpu_limit)
nilfailed to run proxy_on_request_headers: it used more than 100 ms of CPU time (option cpu_limit)
--- timeout: 30



=== TEST 4: stack: what cannot be is the caller's error
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            for _, bytes in ipairs { 65535, 4194305, 0/0, "1" } do
                local _, err = pcall(proxy_wasm.load, "p", "$GUESTS/maps.wasm", { stack_limit = bytes })
                ngx.say(err)
            end
        }
    }
--- response_body
plugin "p": option "stack_limit" must be a number of bytes from 64 KiB to 4 MiB, not 65535
plugin "p": option "stack_limit" must be a number of bytes from 64 KiB to 4 MiB, not 4194305
plugin "p": option "stack_limit" must be a number of bytes from 64 KiB to 4 MiB, not nan
plugin "p": option "stack_limit" must be a number, not "1"
