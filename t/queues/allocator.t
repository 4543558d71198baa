# Items of shared queues that the plugin has no memory for: none is lost.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $START = '
    init_worker_by_lua_block { chain:init_worker() }
';

our $ASK = <<'_END_';
        -- Requests with these letters in x-do, and how they are answered.
        function ask(letters)
            local client = dofile("$TOP/t/lib/client.lua")
            for what in letters:gmatch(".") do
                ngx.say(what, " ", (client.get("/t", "X-Do: " .. what .. "\r\n")))
            end
        end

        -- True when the plugin was told of this many items, now or soon.
        function was_told(count)
            for _ = 1, 500 do
                local log = assert(io.open(ngx.config.prefix() .. "/logs/error.log"))
                local _, told = log:read("*a"):gsub("p: told", "")
                log:close()
                if told >= count then
                    return true
                end
                ngx.sleep(0.02)
            end
        end
_END_

our $LINE = qr/p: \K(?:one|two|dequeue: \d+|an item of .*?(?=,? (?:while|client)|$))/;

no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: an allocator that gives nothing: the item stays, the oldest, and is told of again
--- plugin
--- plugin_guest: queue_allocator
--- prepare eval: $::ASK
--- http_config eval: $::START
--- config
    location = /drive {
        content_by_lua_block {
            ask("e")
            ngx.say("told ", was_told(2))
            ask("n")
            ngx.say("told again ", was_told(3))
            ask("nododdd")
        }
    }
--- request
GET /drive
--- response_body
e 200
told true
n 200
told again true
n 200
o 200
d 200
o 200
d 200
d 200
d 200
--- timeout: 20
--- grep_error_log eval: $::LINE
--- grep_error_log_out
an item of a shared queue stays: the plugin has no memory for it
dequeue: 10
an item of a shared queue stays: the plugin has no memory for it
dequeue: 10
an item of a shared queue stays: the plugin has no memory for it
dequeue: 06
dequeue: 00
one
an item of a shared queue stays: the plugin has no memory for it
dequeue: 06
dequeue: 00
two
dequeue: 07
dequeue: 07



=== TEST 2: an allocator that traps: the next instance has the item
--- plugin
--- plugin_guest: queue_allocator
--- prepare eval: $::ASK
--- http_config eval: $::START
--- config
    location = /drive {
        content_by_lua_block { ask("etddd") }
    }
--- request
GET /drive
--- response_body
e 200
t 503
d 200
d 200
d 200
--- grep_error_log eval: $::LINE
--- grep_error_log_out
an item of a shared queue stays: the plugin has no memory for it
dequeue: 00
one
dequeue: 00
two
dequeue: 07
--- error_log
the instance is dropped



=== TEST 3: an allocator that gives nothing, in a full dict: the place of the item is there still
--- plugin
--- plugin_guest: queue_allocator
--- prepare eval: $::ASK
--- http_config eval: $::START
--- config
    location = /drive {
        content_by_lua_block {
            ask("e")
            local dict = ngx.shared.proxy_wasm
            for _, size in ipairs { 10000, 100, 1 } do
                local n = 0
                while dict:safe_set("fill" .. size .. "." .. n, ("x"):rep(size)) do
                    n = n + 1
                end
            end
            ask("nnddd")
        }
    }
--- request
GET /drive
--- response_body
e 200
n 200
n 200
d 200
d 200
d 200
--- timeout: 20
--- grep_error_log eval: $::LINE
--- grep_error_log_out
an item of a shared queue stays: the plugin has no memory for it
dequeue: 10
an item of a shared queue stays: the plugin has no memory for it
dequeue: 10
dequeue: 00
one
dequeue: 00
two
dequeue: 07
