# Queues in several workers: who is told, who takes, and how soon.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $START = '
    init_worker_by_lua_block { chain:init_worker() }
';

master_on();
workers(3);
no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: queue_ready: an item that nobody takes is told to every worker, once
--- http_config eval: $::START
--- plugin
configure register_queue jobs
request_headers enqueue jobs one
queue_ready log info told
--- config
    location = /drive {
        content_by_lua_block {
            ngx.sleep(0.5)
            ngx.print(dofile("$TOP/t/lib/client.lua").get("/t"))
        }
    }
--- request
GET /drive
--- response_body
200hello
--- wait: 1
--- grep_error_log eval: qr/\d+#\d+: \[proxy-wasm\] p: told/
--- grep_error_log_out eval
qr/^(\d+)#.*\n(?!\1#)(\d+)#.*\n(?!\1#|\2#)(\d+)#.*\n$/



=== TEST 2: queue_ready: every worker takes items, and each of them is taken once
--- http_config eval: $::START
--- plugin
configure register_queue jobs
request_headers enqueue jobs item00
request_headers enqueue jobs item01
request_headers enqueue jobs item02
request_headers enqueue jobs item03
request_headers enqueue jobs item04
request_headers enqueue jobs item05
request_headers enqueue jobs item06
request_headers enqueue jobs item07
request_headers enqueue jobs item08
request_headers enqueue jobs item09
request_headers enqueue jobs item10
request_headers enqueue jobs item11
request_headers enqueue jobs item12
request_headers enqueue jobs item13
request_headers enqueue jobs item14
request_headers enqueue jobs item15
request_headers enqueue jobs item16
request_headers enqueue jobs item17
request_headers enqueue jobs item18
request_headers enqueue jobs item19
queue_ready dequeue jobs
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local log = dofile("$TOP/t/lib/error_log.lua")
            -- How often each item was taken, and by which workers.
            local function look()
                local taken, all, workers, count = {}, 0, {}, 0
                for line in log.lines() do
                    local pid, item = line:match('(%d+)#%d+: .*dequeue%(jobs%) = OK "(.-)"')
                    if pid then
                        taken[item] = (taken[item] or 0) + 1
                        all = all + 1
                        count = count + (workers[pid] and 0 or 1)
                        workers[pid] = true
                    end
                end
                return taken, all, count
            end
            -- Whoever looks first after an item came takes it: the moments vary.
            local rounds, taken, all, workers = 0
            repeat
                client.get("/t")
                rounds = rounds + 1
                ngx.sleep(0.02 + 0.013 * (rounds % 7))
                taken, all, workers = look()
            until workers == 3 or rounds == 200
            for _ = 1, 500 do
                if all >= rounds * 20 then
                    break
                end
                ngx.sleep(0.02)
                taken, all, workers = look()
            end
            -- Time for what should not come.
            ngx.sleep(0.2)
            taken, all, workers = look()
            local wrong = 0
            for i = 0, 19 do
                wrong = wrong + (taken[("item%02d"):format(i)] == rounds and 0 or 1)
            end
            ngx.say("workers ", workers)
            ngx.say("all of them ", all == rounds * 20)
            ngx.say("not once ", wrong)
        }
    }
--- request
GET /drive
--- response_body
workers 3
all of them true
not once 0
--- timeout: 60



=== TEST 3: queue_ready: within 100 ms, in every worker, whichever has enqueued
--- http_config eval: $::START
--- plugin
configure register_queue jobs
request_headers time
request_headers enqueue jobs one
queue_ready time
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local log = dofile("$TOP/t/lib/error_log.lua")
            ngx.sleep(0.5)
            for _ = 1, 9 do
                client.get("/t")
                ngx.sleep(0.11)
            end
            ngx.sleep(0.5)
            local enqueued, told = {}, {}
            for line in log.lines() do
                local pid, time = line:match("(%d+)#%d+: .*p: time%(%) = OK (%d+)")
                if pid then
                    local times = enqueued
                    if not line:find('request: "GET /t ', 1, true) then
                        told[pid] = told[pid] or {}
                        times = told[pid]
                    end
                    times[#times + 1] = tonumber(time)
                end
            end
            -- Each item stays in the queue: each is told to each worker.
            local seen = {}
            for pid, times in pairs(told) do
                local delays = {}
                for i = 1, #enqueued do
                    delays[i] = (times[i] - enqueued[i]) / 1e6
                end
                table.sort(delays)
                ngx.log(ngx.INFO, "median of worker ", pid, ": ", delays[5], " ms")
                -- The median: whatever else this machine has to do.
                seen[#seen + 1] = #times .. (delays[5] <= 100 and " in time" or " late")
            end
            ngx.say(#enqueued, " enqueued")
            ngx.say(table.concat(seen, ", "))
        }
    }
--- request
GET /drive
--- response_body
9 enqueued
9 in time, 9 in time, 9 in time
--- timeout: 30
--- error_log
median of worker
