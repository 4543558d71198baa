# Ticks: proxy_set_tick_period_milliseconds and proxy_on_tick.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: tick: comes again and again, without a request after the first
--- plugin
configure tick 20
tick nth 1 log info "tick one"
tick nth 2 log info "tick two"
tick nth 3 log info "tick three"
tick nth 3 tick 0
--- wait: 0.5
--- error_log
tick one
tick two
tick three
--- no_error_log
[error]



=== TEST 2: tick: stops with 0
--- plugin
configure tick 10
tick nth 1 log info "tick one"
tick nth 1 tick 0
tick nth 2 log error "tick two"
--- wait: 0.3
--- error_log
tick one
--- no_error_log
tick two



=== TEST 3: tick: armed from an http context, it is its root's
--- plugin
request_headers tick 10
tick nth 1 echo_params
tick nth 2 tick 0
--- wait: 0.3
--- error_log
tick: context=1
--- no_error_log
[error]



=== TEST 4: tick: begins in init_worker, without any request
--- http_config
    init_worker_by_lua_block { chain:init_worker() }
--- plugin
configure tick 10
tick nth 1 log info "ticked"
tick nth 2 tick 0
request_headers log info "the request came"
--- request
GET /t
--- wait: 0.2
--- error_log
ticked



=== TEST 5: tick: a paused request can be continued by it
--- plugin
configure tick 50
request_headers remember
request_headers pause
tick set_effective_context origin
tick continue request
tick tick 0
--- response_body
hello
--- no_error_log
[error]



=== TEST 6: tick: a trap in it ends the instance, and a new one ticks
--- plugin
configure tick 20
configure log info "configured"
tick log info "ticked"
tick trap
--- wait: 1.6
--- error_log
proxy_on_tick failed, the instance is dropped
--- grep_error_log eval: qr/p: configured|p: ticked/
--- grep_error_log_out eval
qr/(p: configured\n)+p: ticked\np: configured\np: ticked\n/



=== TEST 7: tick: nginx drops its timer, as too many run: it goes on when there is room
--- http_config
    lua_max_running_timers 1;
    init_worker_by_lua_block {
        chain:init_worker()
        ngx.timer.at(0, function() ngx.sleep(0.5) end)
    }
--- plugin
configure tick 50
tick nth 1 log info "tick one"
tick nth 5 log info "tick five"
tick nth 5 tick 0
--- wait: 3
--- error_log
[alert]
lua_max_running_timers are not enough
tick five
--- no_error_log
[error]



=== TEST 8: tick: nginx gives it no timer, as too many are pending: it goes on when there is room
--- http_config
    lua_max_pending_timers 2;
    init_worker_by_lua_block {
        ngx.timer.at(0.2, function() end)
        chain:init_worker()
    }
--- plugin
configure tick 50
tick nth 1 log info "tick one"
tick nth 5 log info "tick five"
tick nth 5 tick 0
--- wait: 3
--- error_log
tick five



=== TEST 9: tick: stops when the plugin goes
--- config
    location = /t {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local wasm = require("resty.proxy-wasm")
            do
                local plugin = assert(wasm.load("gone", "$GUESTS/hostcalls.wasm"))
                local script = "configure tick 20\ntick log info ticked"
                local ctx = assert(wasm.on_configure(plugin, script))
                ngx.sleep(0.3)
                ngx.say(ctx ~= nil)
            end
            collectgarbage()
            collectgarbage()
            client.mark("gone")
            ngx.sleep(0.3)
        }
    }
--- response_body
true
--- grep_error_log eval: qr/gone: ticked|-- gone/
--- grep_error_log_out eval
qr/\A(?:gone: ticked\n){2,}-- gone\n\z/



=== TEST 10: tick: one that takes longer than its period never overlaps itself
--- prepare
ticks, inside, worst = 0, 0, 0
require("resty.proxy_wasm").register_foreign_function("slow", function()
    inside = inside + 1
    worst = math.max(worst, inside)
    ticks = ticks + 1
    local lib = require("resty.proxy_wasm.lib").lib
    -- Several periods, in which whoever looks at the timers finds the tick due.
    ngx.update_time()
    local began = ngx.now()
    repeat
        lib.rpw_run_timers()
        ngx.update_time()
    until ngx.now() > began + 0.1
    inside = inside - 1
end)
--- plugin
configure tick 20
tick log info "begins"
tick foreign slow
tick log info "ends"
tick nth 5 tick 0
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            client.get("/t")
            client.wait(function() return ticks == 5 end)
            ngx.say("worst: ", worst)
        }
    }
--- request
GET /drive
--- response_body
worst: 1
--- grep_error_log eval: qr/p: begins|p: ends/
--- grep_error_log_out eval
qr/\A(p: begins\np: ends\n){5}\z/
--- no_error_log
[error]



=== TEST 11: tick: many short ones, before a long one that stays, leave no timers behind
--- plugin
configure tick 3600000
--- plugin2
request_headers remember
request_headers tick 2
request_headers pause
tick set_effective_context origin
tick continue request
tick tick 0
--- plugin2_options: max_log_lines = 100000,
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            client.outcome("/t")
            local before, good = ngx.timer.pending_count(), 0
            for _ = 1, 200 do
                good = good + (client.outcome("/t") == "200 hello" and 1 or 0)
            end
            local more = ngx.timer.pending_count() - before
            ngx.say(good, " ", more <= 3 or more)
        }
    }
--- request
GET /drive
--- response_body
200 true
--- no_error_log
[error]
--- timeout: 30



=== TEST 12: tick: ever shorter periods leave few timers behind, and the shortest stands
--- prepare
local lines = {}
for i = 1, 300 do
    lines[i] = "request_headers if_header x-period " .. i .. " tick " .. 3600000 - i * 1000
end
-- And then one that comes.
lines[301] = "request_headers if_header x-period 301 tick 20"
lines[302] = "tick log warn ticked"
script = table.concat(lines, "\n")
--- plugin
--- plugin_options: config = script,
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local before = ngx.timer.pending_count()
            for i = 1, 301 do
                client.outcome("/t", "X-Period: " .. i .. "\r\n")
            end
            local more = ngx.timer.pending_count() - before
            ngx.say(more <= 40 or more)
            local error_log = dofile("$TOP/t/lib/error_log.lua")
            ngx.say(client.wait(function()
                for line in error_log.lines() do
                    if line:find("ticked", 1, true) then
                        return true
                    end
                end
            end))
        }
    }
--- request
GET /drive
--- response_body
true
true
--- no_error_log
[error]
--- timeout: 30
