# Traps and limits in workers whose engine was made in the master, before and
# after a reload; a fault that is no guest's still ends the worker.

use lib 't/lib';
use TestProxyWasm 'no_plan';

master_on();
workers(1);
no_long_string();
no_shuffle();

our $http = <<'_EOC_';
    init_by_lua_block {
        client = dofile("$TOP/t/lib/client.lua")
        proxy_wasm = require "resty.proxy_wasm"
        -- Tried here, and so the engine is made in the master.
        function load(guest, limit)
            local path = "$GUESTS/" .. guest .. ".wasm"
            local plugin = assert(proxy_wasm.load("p", path, { cpu_limit = limit }))
            return assert(proxy_wasm.on_configure(plugin, ""))
        end
        load("traps", 1)

        -- In the master itself, each on an instance that is thrown away.
        in_master = {}
        for i, way in ipairs { "trap", "recurse", "loop" } do
            local plugin = assert(proxy_wasm.load("m", "$GUESTS/hostcalls.wasm",
                                                  { start_cpu_limit = 0.05 }))
            in_master[i] = select(2, proxy_wasm.on_configure(plugin, "configure " .. way))
        end

        -- Every way to fail; 0 is none. A plugin for each, as one that keeps
        -- failing has to wait.
        function fail()
            for way = 0, 6 do
                local ctx = load("traps", 0.05)
                local ok, err = proxy_wasm.on_foreign_function(ctx, way)
                ngx.say(ok or err:gsub("^failed to run proxy_on_foreign_function: ", ""))
            end
            local ctx = load("recursion_with_calls", 10)
            ngx.say((select(2, proxy_wasm.on_http_request_headers(ctx))))
        end

        -- The answer of the worker that gets it.
        function worker(path)
            local sock = client.send(path, "Connection: close\r\n")
            local ok, status, body = pcall(client.read, sock)
            sock:close()
            return ok and body or "cut"
        end

        function master()
            local file = io.open("/proc/self/stat")
            local pid = file:read("*a"):match("%) %a (%d+)")
            file:close()
            return pid
        end
    }
_EOC_

our $config = <<'_EOC_';
    location = /pid {
        content_by_lua_block { ngx.print(ngx.worker.pid()) }
    }
    location = /fail {
        content_by_lua_block { fail() }
    }
    location = /fail_on_stacks {
        content_by_lua_block {
            proxy_wasm.register_foreign_function("any", function() return "" end)
            fail()
            proxy_wasm.register_foreign_function("any", nil)
        }
    }
    location = /fault {
        content_by_lua_block {
            local ffi = require "ffi"
            ngx.say(ffi.cast("int *", 8)[0])
        }
    }
_EOC_

our $failures = <<'_EOC_';
true
wasm trap: wasm `unreachable` instruction executed
wasm trap: out of bounds memory access
wasm trap: integer divide by zero
wasm trap: uninitialized element
wasm trap: call stack exhausted
it used more than 50 ms of CPU time (option cpu_limit)
failed to run proxy_on_request_headers: wasm trap: call stack exhausted
_EOC_

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value("http_config", $main::http);
    $block->set_value("config", $main::config . (defined $block->config ? $block->config : ""));
});

run_tests();

__DATA__

=== TEST 1: traps: in a worker whose engine was made in the master
--- request
GET /fail
--- response_body eval: $main::failures



=== TEST 2: traps: on stacks of their own
--- request
GET /fail_on_stacks
--- response_body eval: $main::failures



=== TEST 3: traps: after reloads, while old workers end
--- config
    location = /t {
        content_by_lua_block {
            local seen = { [tostring(ngx.worker.pid())] = true }
            for reload = 1, 3 do
                os.execute("kill -HUP " .. master())
                local pid
                client.wait(function()
                    pid = worker("/pid")
                    return not seen[pid]
                end)
                ngx.say(seen[pid] and "the old worker" or "a new worker")
                seen[pid] = true
                ngx.print(worker(reload == 2 and "/fail_on_stacks" or "/fail"))
            end
        }
    }
--- response_body eval: "a new worker\n$main::failures" x 3



=== TEST 4: traps: a fault that is no guest's ends the worker, and the next one serves
--- config
    location = /t {
        content_by_lua_block {
            -- The old worker drives, so that it is not the one to fail.
            os.execute("kill -HUP " .. master())
            -- Until it is told to end, it takes its part of the requests.
            local pid
            client.wait(function()
                return ngx.worker.exiting()
            end)
            client.wait(function()
                pid = worker("/pid")
                return pid ~= "cut"
            end)
            ngx.say(#worker("/fail"))
            ngx.say(worker("/fault"))
            ngx.say(client.wait(function()
                local next = worker("/pid")
                return next ~= "cut" and next ~= pid
            end))
            pid = worker("/pid")
            ngx.print(worker("/fail"))
            -- Sent by somebody, after the first one has had the handlers run.
            os.execute("kill -SEGV " .. pid)
            ngx.say(client.wait(function()
                local next = worker("/pid")
                return next ~= "cut" and next ~= pid
            end))
        }
    }
--- response_body eval
length($main::failures) . "\ncut\ntrue\n${main::failures}true\n"
--- error_log
[alert]
exited on signal 11



=== TEST 5: traps: in the master
--- config
    location = /t {
        content_by_lua_block { ngx.say(table.concat(in_master, "\n")) }
    }
--- response_body
failed to run proxy_on_configure: wasm trap: wasm `unreachable` instruction executed
failed to run proxy_on_configure: wasm trap: call stack exhausted
failed to run proxy_on_configure: it used more than 50 ms of CPU time (option start_cpu_limit)
