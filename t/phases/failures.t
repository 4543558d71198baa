# What a client sees when a plugin fails: never what the plugin should have
# judged, and never a connection out of step.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: no instance in the header filter: neither body nor headers of the response pass
--- http_config
init_by_lua_block {
    chain = assert(require("resty.proxy_wasm").new_chain {
        { name = "p", path = "$GUESTS/refuses_in_worker.wasm" },
    })
}
--- config
location = /t {
    content_by_lua_block {
        ngx.header["X-Secret"] = "yes"
        ngx.say("secret")
    }
    header_filter_by_lua_block { chain:header_filter() }
    body_filter_by_lua_block { chain:body_filter() }
    log_by_lua_block { chain:log() }
}
--- error_code: 503
--- response_headers
! X-Secret
--- response_body:
--- error_log
the response is refused



=== TEST 2: no instance in the access phase: refused there, with nginx's own page, once
--- http_config
init_by_lua_block {
    chain = assert(require("resty.proxy_wasm").new_chain {
        { name = "p", path = "$GUESTS/refuses_in_worker.wasm" },
    })
}
--- config
location = /t {
    access_by_lua_block { chain:access() }
    content_by_lua_block { ngx.say("secret") }
    header_filter_by_lua_block { chain:header_filter() }
    body_filter_by_lua_block { chain:body_filter() }
    log_by_lua_block { chain:log() }
}
--- error_code: 503
--- response_body_like: 503 Service Temporarily Unavailable
--- error_log
the request is refused
--- no_error_log
the response is refused



=== TEST 3: a trap in a request: an error page under the same chain is whole
--- plugin_guest: trap_on_request_headers
--- plugin
--- config
error_page 503 /sorry;
location = /sorry {
    internal;
    content_by_lua_block { ngx.say("sorry") }
    header_filter_by_lua_block { chain:header_filter() }
    body_filter_by_lua_block { chain:body_filter() }
    log_by_lua_block { chain:log() }
}
--- error_code: 503
--- response_body
sorry
--- error_log
the request is refused
--- no_error_log
the response is refused



=== TEST 4: a trap in a request: a page whose location runs the chain from the start is refused, too
--- plugin_guest: trap_on_request_headers
--- plugin
--- config
error_page 503 /sorry;
location = /sorry {
    internal;
    rewrite_by_lua_block { chain:rewrite() }
    access_by_lua_block { chain:access() }
    content_by_lua_block { ngx.say("sorry") }
    header_filter_by_lua_block { chain:header_filter() }
    body_filter_by_lua_block { chain:body_filter() }
    log_by_lua_block { chain:log() }
}
--- error_code: 503
--- response_body_like: 503 Service Temporarily Unavailable
--- error_log
the request is refused
--- no_error_log
the response is refused



=== TEST 5: a trap in the response headers: 503 without a body, and without a page
--- plugin_guest: trap_on_response_headers
--- plugin
--- config
error_page 503 /sorry;
location = /sorry {
    content_by_lua_block { ngx.say("sorry") }
    header_filter_by_lua_block { chain:header_filter() }
    body_filter_by_lua_block { chain:body_filter() }
}
--- error_code: 503
--- response_body
--- error_log
the response is refused



=== TEST 6: a false length: nginx frames the response itself, and the connection goes on
--- plugin_guest: length_liar
--- plugin
--- pipelined_requests eval
["GET /t", "GET /t"]
--- response_body eval
["hello\n", "hello\n"]
--- no_error_log
[error]



=== TEST 7: a stream closed in the body: the client sees the end of the connection
--- plugin_guest: close_in_body
--- plugin
--- location
default_type text/plain;
return 200 "0123456789";
--- ignore_response
--- error_log
the response is cut off
--- no_error_log
the instance is dropped



=== TEST 8: counts: without a Host header nothing stands for another
--- plugin
request_headers echo_params
request_headers get_pairs request
--- raw_request eval
"GET /t HTTP/1.0\r\nX-One: 1\r\n\r\n"
--- error_log
request_headers: context=2 num_headers=5 end_of_stream=true
get_pairs(request) = OK 5 ":authority"="localhost" ":path"="/t" ":method"="GET" ":scheme"="http" "x-one"="1"
