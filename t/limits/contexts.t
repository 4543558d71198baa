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



=== TEST 3: contexts: requests beyond the limit have none, and do not take the room of others
--- plugin_options: max_contexts = 2, fail = "open",
--- plugin
request_headers if_header x-wait yes http_call callout 5000
request_headers if_header x-wait yes pause
http_call_response continue request
request_headers if_header x-late yes local_response 200 "seen by the plugin"
--- callout
content_by_lua_block { ngx.sleep(0.7) }
--- config
    location = /slow {
        access_by_lua_block { chain:access() }
        content_by_lua_block { ngx.sleep(1.5) ngx.say("slow") }
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        log_by_lua_block { chain:log() }
    }
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local function contexts()
                return require("resty.proxy_wasm").status().plugins[1].http_contexts
            end
            local waiting, slow = {}, {}
            for i = 1, 2 do
                waiting[i] = ngx.thread.spawn(client.get, "/t", "x-wait: yes\r\n")
            end
            ngx.sleep(0.1)
            for i = 1, 5 do
                slow[i] = ngx.thread.spawn(client.get, "/slow")
            end
            ngx.sleep(0.1)
            ngx.say("contexts ", contexts())
            for i = 1, 2 do
                local _, status = ngx.thread.wait(waiting[i])
                ngx.say("waited ", status)
            end
            ngx.say("contexts ", contexts())
            ngx.say(select(2, client.get("/t", "x-late: yes\r\n")))
            for i = 1, 5 do
                local _, status, body = ngx.thread.wait(slow[i])
                ngx.print("passed ", status, " ", body)
            end
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
contexts 2
waited 200
waited 200
contexts 0
seen by the plugin
passed 200 slow
passed 200 slow
passed 200 slow
passed 200 slow
passed 200 slow
no context left
--- timeout: 10
--- grep_error_log: the request passes without this plugin: the plugin has 2 http contexts alive
--- grep_error_log_out
the request passes without this plugin: the plugin has 2 http contexts alive
the request passes without this plugin: the plugin has 2 http contexts alive
the request passes without this plugin: the plugin has 2 http contexts alive
the request passes without this plugin: the plugin has 2 http contexts alive
the request passes without this plugin: the plugin has 2 http contexts alive
