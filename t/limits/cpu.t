# CPU time: what loops without end ends, what only waits for a processor does
# not, and the worker goes on.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
no_shuffle();

run_tests();

__DATA__

=== TEST 1: callbacks: an endless loop in any of them ends, and the next request is served
--- plugin
context_create    if_header x-in context_create   loop
request_headers   if_header x-in request_headers  loop
request_body      if_header x-in request_body     loop
response_headers  if_header x-in response_headers loop
response_body     if_header x-in response_body    loop
done              if_header x-in done             loop
log               if_header x-in log              loop
delete            if_header x-in delete           loop
--- plugin_options
cpu_limit = 0.02,
--- config
location = /look {
    content_by_lua_block {
        local ask = dofile("$TOP/t/lib/client.lua").ask
        local pid = ngx.worker.pid()
        for _, name in ipairs { "context_create", "request_headers", "request_body",
                                "response_headers", "response_body", "done", "log", "delete" } do
            ask("/t", "x-in: " .. name .. "\r\n", "question")
            ngx.say(name, ", and then ", ask("/t", "", "question"))
        end
        ngx.say(pid == ngx.worker.pid() and "one worker")
    }
}
--- request
GET /look
--- response_body
context_create, and then 200
request_headers, and then 200
request_body, and then 200
response_headers, and then 200
response_body, and then 200
done, and then 200
log, and then 200
delete, and then 200
one worker
--- grep_error_log eval: qr/\w+(?= failed, .*: it used more than 20 ms of CPU time \(option cpu_limit\))/
--- grep_error_log_out
proxy_on_context_create
proxy_on_request_headers
proxy_on_request_body
proxy_on_response_headers
proxy_on_response_body
proxy_on_done
proxy_on_log
proxy_on_delete



=== TEST 2: callbacks: ticks, queues, answers of callouts and calls of Lua's, too
--- http_config
    init_worker_by_lua_block { chain:init_worker() }
--- plugin
configure           register_queue news
configure           tick 10
tick                once tick 0
tick                loop
--- plugin2
configure           register_queue news
queue_ready         loop
request_headers     enqueue news item
--- plugin_options
cpu_limit = 0.02,
--- plugin2_options
cpu_limit = 0.02,
--- location
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = assert(proxy_wasm.load("f", "$GUESTS/hostcalls.wasm", { cpu_limit = 0.02 }))
            local ctx = assert(proxy_wasm.on_configure(plugin, "foreign_function loop"))
            ngx.say((select(2, proxy_wasm.on_foreign_function(ctx, 1))))
        }
--- response_body
failed to run proxy_on_foreign_function: it used more than 20 ms of CPU time (option cpu_limit)
--- wait: 0.5
--- error_log eval
[
qr/p: proxy_on_tick failed.*: it used more than 20 ms of CPU time \(option cpu_limit\)/,
qr/q: proxy_on_queue_ready failed.*: it used more than 20 ms of CPU time \(option cpu_limit\)/,
]



=== TEST 3: callbacks: the answer of a callout
--- plugin
request_headers     http_call callout 1000
request_headers     pause
http_call_response  loop
--- plugin_options
cpu_limit = 0.02,
--- callout: echo
--- error_code: 503
--- error_log eval
qr/proxy_on_http_call_response failed.*: it used more than 20 ms of CPU time \(option cpu_limit\)/



=== TEST 4: callbacks: the allocator, and host functions in a loop, are a part of them
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            for _, name in ipairs { "loop_in_allocator", "loop_of_calls", "infinite_loop" } do
                local plugin = assert(proxy_wasm.load("p", "$GUESTS/" .. name .. ".wasm",
                                                      { cpu_limit = 0.02 }))
                local ctx = assert(proxy_wasm.on_configure(plugin, ""))
                ngx.say(name, ": ", (select(2, proxy_wasm.on_http_request_headers(ctx))))
            end
        }
    }
--- response_body
loop_in_allocator: failed to run proxy_on_request_headers: it used more than 20 ms of CPU time (option cpu_limit)
loop_of_calls: failed to run proxy_on_request_headers: it used more than 20 ms of CPU time (option cpu_limit)
infinite_loop: failed to run proxy_on_request_headers: it used more than 20 ms of CPU time (option cpu_limit)



=== TEST 5: start: whatever runs before the first request has a limit of its own
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local function try(guest, conf, vm_config)
                local plugin = assert(proxy_wasm.load("p", "$GUESTS/" .. guest .. ".wasm", {
                    vm_config = vm_config,
                    cpu_limit = 100,
                    start_cpu_limit = 0.03,
                }))
                ngx.say((select(2, proxy_wasm.on_configure(plugin, conf))))
            end
            try("loop_in_section")
            try("loop_in_initialize")
            try("loop_in_main")
            try("loop_in_start")
            try("hostcalls", "", "root_create loop")
            try("hostcalls", "", "vm_start loop")
            try("hostcalls", "configure loop")
        }
    }
--- response_body
failed to load: no instance can be made: it used more than 30 ms of CPU time (option start_cpu_limit)
failed to run _initialize: it used more than 30 ms of CPU time (option start_cpu_limit)
failed to run main: it used more than 30 ms of CPU time (option start_cpu_limit)
failed to run _start: it used more than 30 ms of CPU time (option start_cpu_limit)
failed to run proxy_on_context_create: it used more than 30 ms of CPU time (option start_cpu_limit)
failed to run proxy_on_vm_start: it used more than 30 ms of CPU time (option start_cpu_limit)
failed to run proxy_on_configure: it used more than 30 ms of CPU time (option start_cpu_limit)



=== TEST 6: start: in the master, too: nginx does not start, and says why
--- http_config
    init_by_lua_block {
        assert(require("resty.proxy_wasm").new_chain {
            { name = "p", path = "$GUESTS/loop_in_start.wasm", start_cpu_limit = 0.03 },
        })
    }
--- config
--- must_die
--- error_log
failed to run _start: it used more than 30 ms of CPU time (option start_cpu_limit)



=== TEST 7: start: a root context's later start does not change what callbacks may use
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = assert(proxy_wasm.load("p", "$GUESTS/hostcalls.wasm",
                                                  { cpu_limit = 0.02, start_cpu_limit = 30 }))
            local one = assert(proxy_wasm.on_configure(plugin, "request_headers loop"))
            local two = assert(proxy_wasm.on_configure(plugin, "configure spin 1000000"))
            ngx.say((select(2, proxy_wasm.on_http_request_headers(one))))
        }
    }
--- response_body
failed to run proxy_on_request_headers: it used more than 20 ms of CPU time (option cpu_limit)



=== TEST 8: measure: a loop ends within twice its limit of CPU time
--- plugin
request_headers if_header x-in loop loop
--- plugin_options
cpu_limit = 0.2,
--- config
location = /look {
    content_by_lua_block {
        local client = dofile("$TOP/t/lib/client.lua")
        for _ = 1, 3 do
            -- After a good request there is always an instance.
            client.ask("/t")
            local status, used = client.cpu(client.ask, "/t", "x-in: loop\r\n")
            ngx.say(status, used >= 0.2 and used < 0.4 and " within" or " after " .. used)
        end
    }
}
--- request
GET /look
--- response_body
503 within
503 within
503 within
--- error_log
it used more than 200 ms of CPU time (option cpu_limit)



=== TEST 9: measure: what waits for a processor is not ended, however long it takes
--- config
location = /t {
    content_by_lua_block {
        local proxy_wasm = require "resty.proxy_wasm"
        local cpu = dofile("$TOP/t/lib/client.lua").cpu
        local function load(turns, limit)
            local plugin = assert(proxy_wasm.load("w", "$GUESTS/hostcalls.wasm", { cpu_limit = limit }))
            return assert(proxy_wasm.on_configure(plugin, "foreign_function spin " .. turns))
        end
        -- As many turns as take 60 ms here.
        local turns, used = 1000000
        repeat
            turns = turns * 2
            local ctx = load(turns, 10)
            _, used = cpu(proxy_wasm.on_foreign_function, ctx, 1)
        until used > 0.05
        turns = ("%d"):format(turns * 0.06 / used)
        local ctx = load(turns, 0.1)

        local busy = {}
        for i = 1, 8 do
            -- Ends itself, should this process not live to end it.
            busy[i] = io.popen("exec sh -c 'trap \"exit 0\" TERM; echo $$; "
                               .. "while kill -0 $PPID; do :; done'")
        end
        local pids = {}
        for i = 1, 8 do
            pids[i] = busy[i]:read("*l")
        end
        -- Innocent: killed although it had not used its limit.
        local innocent, delayed, survived = 0, 0, 0
        for _ = 1, 10 do
            ngx.update_time()
            local begun = ngx.now()
            local ok, used = cpu(proxy_wasm.on_foreign_function, ctx, 1)
            ngx.update_time()
            delayed = delayed + (ngx.now() - begun > 0.1 and 1 or 0)
            if ok then
                survived = survived + 1
            else
                innocent = innocent + (used < 0.1 and 1 or 0)
                -- The same plugin would only be refused.
                ctx = load(turns, 0.1)
            end
        end
        os.execute("kill " .. table.concat(pids, " "))
        for i = 1, 8 do
            busy[i]:close()
        end
        ngx.say(delayed > 0 and survived > 0 and "calls took longer than their limit" or "nobody had to wait")
        ngx.say(innocent, " were ended before their time")
    }
}
--- timeout: 60
--- response_body
calls took longer than their limit
0 were ended before their time



=== TEST 10: measure: a Lua function that a plugin calls is a part of the callback
--- http_config
    init_by_lua_block {
        require("resty.proxy_wasm").register_foreign_function("busy", function()
            local until_ = os.clock() + 0.03
            repeat until os.clock() > until_
            return ""
        end)
        require("resty.proxy_wasm").register_foreign_function("nap", function()
            os.execute("sleep 2.5")
            return ""
        end)
    }
    init_worker_by_lua_block {
        local proxy_wasm = require "resty.proxy_wasm"
        plugin = assert(proxy_wasm.load("p", "$GUESTS/hostcalls.wasm", { cpu_limit = 0.1 }))
    }
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local function try(script)
                local ctx = assert(proxy_wasm.on_configure(plugin, "foreign_function " .. script))
                ngx.say((select(2, proxy_wasm.on_foreign_function(ctx, 1))))
            end
            try("repeat 2 foreign busy")
            try("repeat 9 foreign busy")
            -- While it naps, nobody else calls a guest.
            try("foreign nap\nforeign_function loop")
        }
    }
--- timeout: 20
--- response_body
nil
failed to run proxy_on_foreign_function: it used more than 100 ms of CPU time (option cpu_limit)
failed to run proxy_on_foreign_function: it used more than 100 ms of CPU time (option cpu_limit)



=== TEST 11: options: seconds, from 10 ms on
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local path = "$GUESTS/infinite_loop.wasm"
            for _, option in ipairs { "cpu_limit", "start_cpu_limit" } do
                for _, seconds in ipairs { 0, 0.009, -1, 0/0, 1/0, "1s", false } do
                    local ok, err = pcall(proxy_wasm.load, "p", path, { [option] = seconds })
                    ngx.say(err)
                end
            end
            local plugin = assert(proxy_wasm.load("p", path, { cpu_limit = 0.01 }))
            local ctx = assert(proxy_wasm.on_configure(plugin, ""))
            ngx.say((select(2, proxy_wasm.on_http_request_headers(ctx))))
        }
    }
--- response_body_like eval
my $out;
for my $option ('cpu_limit', 'start_cpu_limit') {
    my $range = qr/.*option "$option" must be a number of seconds from 0.01 on, not \S+\n/;
    my $type = qr/.*option "$option" must be a number, not \S+\n/;
    $out .= $range x 5 . $type x 2;
}
qr/\A${out}failed to run proxy_on_request_headers: it used more than 10 ms of CPU time .*\n\z/
