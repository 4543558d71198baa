# Shared state among workers (src/shared): nothing that any of them counts is
# lost. On a busy machine one may be told that another is too slow, which the
# guest takes for a version that does not match; at any other status it traps.

use lib 't/lib';
use TestProxyWasm 'no_plan';

# Each worker counts its share in ticks: so all of them take part.
our $START = '
    init_worker_by_lua_block { chain:init_worker() }
';

master_on();
workers(4);
worker_connections(1024);
# At debug nginx logs every step of the million.
log_level('notice');
no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: compare-and-swap: a million increments of four workers, none lost
--- http_config eval: $::START
--- plugin: ticks
--- plugin_guest: cas_counter
--- config
    location = /t {
        content_by_lua_block {
            local shared = dofile("$TOP/t/lib/shared_dict.lua")
            local log = dofile("$TOP/t/lib/error_log.lua")
            local dict = ngx.shared.proxy_wasm
            local function done()
                local workers, count = {}, 0
                for line in log.lines() do
                    local pid = line:match("(%d+)#%d+: .*p: done")
                    if pid and not workers[pid] then
                        workers[pid] = true
                        count = count + 1
                    end
                end
                return count
            end
            for _ = 1, 1500 do
                if done() == 4 then
                    break
                end
                ngx.sleep(0.1)
            end
            ngx.say("workers ", done())
            ngx.say("counted ", shared.number(shared.data(dict).n))
            ngx.say("metric ", shared.metrics(dict).m)
            ngx.say("entries ", #dict:get_keys(0) < 20)
        }
    }
--- timeout: 180
--- response_body
workers 4
counted 1000000
metric 1000000
entries true
--- no_error_log
the instance is dropped
shared state is full
