# Clients that leave while their request waits.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $PLUGIN = '
request_headers http_call callout 20000
request_headers pause
http_call_response log info answered
http_call_response continue request
done echo_params
';

our $CALLOUT = '
content_by_lua_block {
    dofile("$TOP/t/lib/client.lua").wait(function() return may_answer end)
    ngx.print("answer")
}
';

# A client that leaves, and what is left of its request before and after the
# answer that it waits for.
our $DRIVE = '
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local status = require("resty.proxy_wasm").status
            may_answer = false
            local sock = client.send("/t")
            client.wait(function() return status().plugins[1].paused == 1 end)
            sock:close()
            local gone = client.wait(function()
                require("resty.proxy_wasm.lib").lib.rpw_sweep()
                return status().plugins[1].http_contexts == 0
            end, ngx.var.arg_wait)
            ngx.say("gone before the answer: ", gone)
            local now = status()
            ngx.say("callouts: ", now.plugins[1].callouts, " ", now.callouts.running)
            may_answer = true
            client.wait(function() return status().plugins[1].callouts == 0 end)
            client.no_context_left()
            now = status()
            ngx.say("left: ", now.plugins[1].callouts, " ", now.plugins[1].paused)
            -- The instance lives.
            ngx.print(client.get("/t"))
        }
    }
';

no_long_string();
run_tests();

__DATA__

=== TEST 1: abort: noticed at once with lua_check_client_abort on
--- plugin eval: $::PLUGIN
--- callout eval: $::CALLOUT
--- config eval
"lua_check_client_abort on;$::DRIVE"
--- request
GET /drive
--- response_body
gone before the answer: true
callouts: 1 1
no context left
left: 0 0
200hello
--- plugin_log
http_call(callout 20000) = OK 1
done: context=2
http_call(callout 20000) = OK 2
answered
continue(request) = OK
done: context=3



=== TEST 2: abort: without it when the wait ends, by the answer
--- plugin eval: $::PLUGIN
--- callout eval: $::CALLOUT
--- config eval: $::DRIVE
--- request
GET /drive?wait=20
--- response_body
gone before the answer: false
callouts: 1 1
no context left
left: 0 0
200hello
--- plugin_log
http_call(callout 20000) = OK 1
answered
continue(request) = OK
done: context=2
http_call(callout 20000) = OK 2
answered
continue(request) = OK
done: context=3



=== TEST 3: abort: without it when the wait ends, by its longest time
--- plugin eval: $::PLUGIN
--- plugin_options
pause_timeout = 1,
--- callout eval: $::CALLOUT
--- config eval
$::DRIVE =~ s/, ngx.var.arg_wait//r
--- request
GET /drive
--- response_body
gone before the answer: true
callouts: 1 1
no context left
left: 0 0
200hello
--- error_log
paused for more than 1000 ms
