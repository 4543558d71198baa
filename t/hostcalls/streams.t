# Host functions: streams (src/hostcalls/streams.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: continue: a paused request goes on, from the answer of a callout
--- plugin
request_headers http_call callout 1000
request_headers pause
http_call_response continue request
response_headers log info "went on"
--- callout
return 200 "answer";
--- response_body
hello
--- plugin_log
http_call(callout 1000) = OK 1
continue(request) = OK
went on



=== TEST 2: continue: by the names of ABI 0.1.0
--- plugin
request_headers http_call callout 1000
request_headers pause
http_call_response proxy_continue_request
response_headers proxy_continue_response
--- callout
return 200 "answer";
--- response_body
hello
--- plugin_log
http_call(callout 1000) = OK 1
proxy_continue_request() = OK
proxy_continue_response() = OK



=== TEST 3: continue: within the callback that pauses, the request does not wait
--- plugin
request_headers continue request
request_headers pause
request_headers continue request
--- response_body
hello
--- plugin_log
continue(request) = OK
continue(request) = OK



=== TEST 4: continue: a request that is not paused does not mind
--- plugin
request_headers continue request
response_headers continue response
response_body if_eos true continue response
log continue request
--- response_body
hello
--- plugin_log
continue(request) = OK
continue(response) = OK
continue(response) = OK
continue(request) = OK



=== TEST 5: continue: network filters are not here, other numbers are none
--- plugin
request_headers continue downstream
request_headers continue upstream
request_headers continue 4
request_headers continue 0xffffffff
--- plugin_log
continue(downstream) = OK
a stream is left alone: there are no TCP connections to upstreams here
continue(upstream) = OK
continue(4) = BAD_ARGUMENT
continue(0xffffffff) = BAD_ARGUMENT



=== TEST 6: continue: in a root context there is nothing to continue
--- plugin
configure continue request
configure proxy_continue_response
--- response_body
hello
--- plugin_log
continue(request) = OK
proxy_continue_response() = OK
continue(request) = OK
proxy_continue_response() = OK



=== TEST 7: response body: a pause holds it back to the end; then it may be changed as a whole
--- plugin
response_body if_eos false pause
response_body echo_params
response_body get_body response_body
response_body if_eos true replace_body response_body b.c b-c
--- location
content_by_lua_block {
    ngx.print("a.b")
    ngx.flush(true)
    ngx.print(".c")
}
--- response_body chomp
a.b-c
--- plugin_log
response_body: context=2 size=3 end_of_stream=false
get_body(response_body) = OK "a.b"
response_body: context=2 size=5 end_of_stream=false
get_body(response_body) = OK "a.b.c"
response_body: context=2 size=5 end_of_stream=true
get_body(response_body) = OK "a.b.c"
replace_body(response_body b.c b-c) = OK



=== TEST 8: close: the connection ends without an answer
--- plugin
request_headers if_property ngx.arg_close yes close request
log get_header response :status
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/t?close=yes")
            ngx.say(sock:receive("*a") == "")
            ngx.print(client.get("/t"))
        }
    }
--- request
GET /drive
--- response_body
true
200hello
--- error_log
close(request) = OK



=== TEST 9: close: network filters are not here, other numbers are none
--- plugin
request_headers close downstream
request_headers close upstream
request_headers close 4
--- response_body
hello
--- plugin_log
close(downstream) = OK
a stream is left alone: there are no TCP connections to upstreams here
close(upstream) = OK
close(4) = BAD_ARGUMENT



=== TEST 10: route cache: there is none to clear
--- plugin
request_headers proxy_clear_route_cache
--- plugin_log
proxy_clear_route_cache() = OK
