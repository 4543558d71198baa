# How many callouts a plugin may have in flight (src/context/state.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: in flight: one too many is refused with a status that SDKs know, and told
--- plugin_options: max_callouts = 2,
--- plugin
request_headers http_call callout 1000
request_headers http_call callout 1000
request_headers http_call callout 1000
request_headers pause
http_call_response nth 2 continue request
--- callout: echo
--- response_body
hello
--- plugin_log
http_call(callout 1000) = OK 1
http_call(callout 1000) = OK 2
a callout is refused: 2 are in flight, which is the limit (option max_callouts)
http_call(callout 1000) = INTERNAL_FAILURE
continue(request) = OK



=== TEST 2: in flight: an answer makes room for the next one, in its own callback
--- plugin_options: max_callouts = 1,
--- plugin
request_headers http_call callout 1000
request_headers pause
http_call_response nth 1 http_call callout 1000
http_call_response nth 2 http_call callout 1000
http_call_response nth 3 continue request
--- callout: echo
--- response_body
hello
--- plugin_log
http_call(callout 1000) = OK 1
http_call(callout 1000) = OK 2
http_call(callout 1000) = OK 3
continue(request) = OK



=== TEST 3: in flight: of all requests of a worker together
--- plugin_options: max_callouts = 1,
--- plugin
request_headers http_call callout 5000
request_headers if_header x-wait yes pause
http_call_response continue request
--- callout
content_by_lua_block { ngx.sleep(0.5) }
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local waiting = ngx.thread.spawn(client.get, "/t", "x-wait: yes\r\n")
            ngx.sleep(0.1)
            ngx.say((client.get("/t")))
            local _, status = ngx.thread.wait(waiting)
            ngx.say(status)
            ngx.say((client.get("/t", "x-wait: yes\r\n")))
        }
    }
--- request
GET /drive
--- response_body
200
200
200
--- timeout: 10
--- plugin_log
http_call(callout 5000) = OK 1
a callout is refused: 1 are in flight, which is the limit (option max_callouts)
http_call(callout 5000) = INTERNAL_FAILURE
continue(request) = OK
http_call(callout 5000) = OK 2
continue(request) = OK



=== TEST 4: in flight: each plugin has its own
--- plugin_options: max_callouts = 1,
--- plugin
request_headers http_call callout 1000
request_headers http_call callout 1000
--- plugin2_options: max_callouts = 1,
--- plugin2
request_headers http_call callout 1000
request_headers pause
http_call_response continue request
--- callout: echo
--- response_body
hello
--- plugin_log
http_call(callout 1000) = OK 1
a callout is refused: 1 are in flight, which is the limit (option max_callouts)
http_call(callout 1000) = INTERNAL_FAILURE
q: http_call(callout 1000) = OK 1
q: continue(request) = OK



=== TEST 4: in flight: those of a lost instance count for as long as they hold a connection
--- plugin_options: max_callouts = 1,
--- plugin
request_headers if_header x-do wait http_call callout 5000
request_headers if_header x-do wait pause
request_headers if_header x-do trap trap
request_headers if_header x-do call http_call callout 5000
--- callout
content_by_lua_block { ngx.sleep(0.8) }
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local waiting = ngx.thread.spawn(client.get, "/t", "x-do: wait\r\n")
            ngx.sleep(0.1)
            ngx.say((client.get("/t", "x-do: trap\r\n")))
            local _, status = ngx.thread.wait(waiting)
            ngx.say(status)
            ngx.say((client.get("/t", "x-do: call\r\n")))
            ngx.sleep(1)
            ngx.say((client.get("/t", "x-do: call\r\n")))
        }
    }
--- request
GET /drive
--- response_body
503
503
200
200
--- timeout: 10
--- grep_error_log eval: qr/http_call\(callout 5000\) = \w+(?: \d+)?|a callout is refused: [^,]+/
--- grep_error_log_out
http_call(callout 5000) = OK 1
a callout is refused: 1 are in flight
http_call(callout 5000) = INTERNAL_FAILURE
http_call(callout 5000) = OK 2
