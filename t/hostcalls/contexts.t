# Host functions: contexts (src/hostcalls/contexts.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: effective context: the root has no request, its own context has one again
--- plugin
request_headers set_effective_context 1
request_headers get_header request :path
request_headers get_property plugin_name
request_headers set_effective_context self
request_headers get_header request :path
--- plugin_log
set_effective_context(1) = OK
get_header(request :path) = NOT_FOUND
get_property(plugin_name) = OK "p"
set_effective_context(self) = OK
get_header(request :path) = OK "/t"



=== TEST 2: effective context: unknown ids change nothing
--- plugin
request_headers set_effective_context 0
request_headers set_effective_context 3
request_headers set_effective_context 0xffffffff
request_headers get_header request :path
--- plugin_log
set_effective_context(0) = BAD_ARGUMENT
set_effective_context(3) = BAD_ARGUMENT
set_effective_context(0xffffffff) = BAD_ARGUMENT
get_header(request :path) = OK "/t"



=== TEST 3: effective context: the next callback begins with its own
--- plugin
request_headers set_effective_context 1
response_headers get_header request :path
--- plugin_log
set_effective_context(1) = OK
get_header(request :path) = OK "/t"



=== TEST 4: effective context: from the root's callback to the request that waits
--- plugin
request_headers http_call callout 1000
request_headers pause
http_call_response set_effective_context 1
http_call_response get_header request x-mine
http_call_response set_effective_context origin
http_call_response get_header request x-mine
http_call_response set_header request x-new 1
http_call_response continue request
--- callout
return 200 "";
--- backend: echo
--- more_headers
x-mine: yes
--- response_body
GET /t HTTP/1.1
Host: localhost
x-mine: yes
x-new: 1

--- plugin_log
http_call(callout 1000) = OK 1
set_effective_context(1) = OK
get_header(request x-mine) = NOT_FOUND
set_effective_context(origin) = OK
get_header(request x-mine) = OK "yes"
set_header(request x-new 1) = OK
continue(request) = OK



=== TEST 5: effective context: another request that waits is read, changed and continued
--- plugin
request_headers if_property ngx.arg_role waits http_call callout 5000
request_headers if_property ngx.arg_role waits pause
response_headers set_effective_context origin
response_headers get_header request :path
response_headers set_header request x-from-another 1
response_headers continue request
--- callout
content_by_lua_block {
    ngx.shared.proxy_wasm:set("waits", true)
    ngx.sleep(2)
}
--- location
content_by_lua_block { ngx.print(ngx.var.http_x_from_another or "nothing") }
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local waits = client.send("/t?role=waits", "Connection: close\r\n")
            repeat
                ngx.sleep(0.01)
            until ngx.shared.proxy_wasm:get("waits")
            ngx.say(client.get("/t?role=wakes"))
            ngx.say(client.read(waits))
        }
    }
--- request
GET /drive
--- response_body
200nothing
2001
--- plugin_log
http_call(callout 5000) = OK 1
set_effective_context(origin) = OK
get_header(request :path) = OK "/t?role=waits"
set_header(request x-from-another 1) = OK
continue(request) = OK
set_effective_context(origin) = OK
get_header(request :path) = OK "/t?role=waits"
set_header(request x-from-another 1) = OK
continue(request) = OK



=== TEST 6: done: nobody waits for it
--- plugin
configure done
request_headers done
--- plugin_log
proxy_done is ignored: nobody waits for it
done() = OK
proxy_done is ignored: nobody waits for it
done() = OK
proxy_done is ignored: nobody waits for it
done() = OK
