# How many http contexts a plugin may have alive in a worker
# (src/plugin/run.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: contexts: one too many is refused as a failure; an end makes room
--- plugin_options: max_contexts = 2,
--- plugin
request_headers if_header x-wait yes http_call callout 5000
request_headers if_header x-wait yes pause
http_call_response continue request
--- callout
content_by_lua_block { ngx.sleep(0.7) }
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local waiting = {}
            for i = 1, 2 do
                waiting[i] = ngx.thread.spawn(client.get, "/t", "x-wait: yes\r\n")
            end
            ngx.sleep(0.1)
            ngx.say("third ", (client.get("/t")))
            for i = 1, 2 do
                local _, status = ngx.thread.wait(waiting[i])
                ngx.say("waited ", status)
            end
            for _ = 1, 5 do
                ngx.say("then ", client.get("/t"))
            end
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
third 503
waited 200
waited 200
then 200hello

then 200hello

then 200hello

then 200hello

then 200hello

no context left
--- timeout: 10
--- error_log
the request is refused: the plugin has 2 http contexts alive, which is the limit (option max_contexts)



=== TEST 2: contexts: those of requests that ended without a log phase do not count
--- http_config
init_by_lua_block {
    chain = assert(require("resty.proxy_wasm").new_chain {
        { name = "p", path = "$GUESTS/hostcalls.wasm", max_contexts = 2 },
    })
}
--- config
    location = /t {
        access_by_lua_block { chain:access() }
        content_by_lua_block { ngx.say("hello") }
    }
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            for _ = 1, 7 do
                ngx.print((client.get("/t")), " ")
            end
        }
    }
--- request
GET /drive
--- response_body chomp
200 200 200 200 200 200 200 
