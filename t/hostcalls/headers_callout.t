# Host functions: HTTP fields, those of a callout's answer
# (src/hostcalls/headers.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: get: :status first, names in lower case, values of one name in order
--- plugin
request_headers http_call callout 1000
request_headers pause
http_call_response echo_params
http_call_response get_pairs call_response
http_call_response get_map_size call_response
http_call_response get_header call_response :status
http_call_response get_header call_response X-TWO
http_call_response get_header call_response x-none
http_call_response get_pairs call_trailers
http_call_response get_header call_trailers x-two
http_call_response continue request
--- callout
content_by_lua_block {
    local sock = assert(ngx.req.socket(true))
    sock:send("HTTP/1.1 201 Made\r\nX-Two: a\r\nContent-Length: 2\r\nx-Two: b\r\nX-Bytes: \xff\r\n\r\nab")
}
--- plugin_log
http_call(callout 1000) = OK 1
http_call_response: context=2 token=1 num_headers=5 body_size=2 num_trailers=0
get_pairs(call_response) = OK 5 ":status"="201" "x-two"="a" "content-length"="2" "x-two"="b" "x-bytes"=0xff
get_map_size(call_response) = OK 45
get_header(call_response :status) = OK "201"
get_header(call_response X-TWO) = OK "a"
get_header(call_response x-none) = NOT_FOUND
get_pairs(call_trailers) = OK 0
get_header(call_trailers x-two) = NOT_FOUND
continue(request) = OK



=== TEST 2: trailers: a map of their own
--- plugin
request_headers http_call callout 1000
request_headers pause
http_call_response echo_params
http_call_response get_pairs call_trailers
http_call_response get_header call_trailers X-T
http_call_response get_map_size call_trailers
http_call_response get_header call_response x-t
http_call_response continue request
--- callout
content_by_lua_block {
    local sock = assert(ngx.req.socket(true))
    sock:send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-T: 1\r\nx-t: 2\r\n\r\n")
}
--- plugin_log
http_call(callout 1000) = OK 1
http_call_response: context=2 token=1 num_headers=2 body_size=2 num_trailers=2
get_pairs(call_trailers) = OK 2 "x-t"="1" "x-t"="2"
get_header(call_trailers X-T) = OK "1"
get_map_size(call_trailers) = OK 8
get_header(call_response x-t) = NOT_FOUND
continue(request) = OK



=== TEST 3: failure: no headers at all
--- plugin
request_headers http_call 127.0.0.1:1 1000
request_headers pause
http_call_response echo_params
http_call_response get_pairs call_response
http_call_response get_header call_response :status
http_call_response get_body call_body
http_call_response continue request
--- plugin_options
callouts = "any",
--- plugin_log eval
qr/\Ahttp_call\(127.0.0.1:1 1000\) = OK 1
a callout to http:\/\/127.0.0.1:1 failed: .*
http_call_response: context=2 token=1 num_headers=0 body_size=0 num_trailers=0
get_pairs\(call_response\) = OK 0
get_header\(call_response :status\) = NOT_FOUND
get_body\(call_body\) = OK ""
continue\(request\) = OK
\z/
--- no_error_log
[alert]



=== TEST 4: writing: nothing changes, which is logged and answered with OK
--- plugin
request_headers http_call callout 1000
request_headers pause
http_call_response set_header call_response x-a 1
http_call_response add_header call_response x-a 1
http_call_response remove_header call_response :status
http_call_response set_pairs call_response a=b
http_call_response set_header call_trailers x-a 1
http_call_response continue request
--- callout
return 200 "";
--- plugin_log
http_call(callout 1000) = OK 1
the header "x-a" is refused: its map is not to be written
set_header(call_response x-a 1) = OK
the header "x-a" is refused: its map is not to be written
add_header(call_response x-a 1) = OK
the header ":status" is refused: its map is not to be written
remove_header(call_response :status) = OK
a map of headers is refused: it is not to be written
set_pairs(call_response a=b) = OK
the header "x-a" is refused: its map is not to be written
set_header(call_trailers x-a 1) = OK
continue(request) = OK



=== TEST 5: wrong time: outside the callback there is nothing
--- plugin
request_headers get_pairs call_response
request_headers get_header call_response :status
request_headers get_map_size call_response
request_headers http_call callout 1000
request_headers pause
http_call_response continue request
response_headers get_pairs call_response
response_headers get_header call_response :status
--- callout
return 200 "";
--- plugin_log
get_pairs(call_response) = OK 0
get_header(call_response :status) = NOT_FOUND
get_map_size(call_response) = BAD_ARGUMENT
http_call(callout 1000) = OK 1
continue(request) = OK
get_pairs(call_response) = OK 0
get_header(call_response :status) = NOT_FOUND



=== TEST 6: request maps: a callback of the root has none; the SDK steps into its request
--- plugin
request_headers http_call callout 1000
request_headers pause
http_call_response get_header request x-one
http_call_response get_pairs response
http_call_response continue request
--- callout
return 200 "";
--- more_headers
X-One: 1
--- plugin_log
http_call(callout 1000) = OK 1
get_header(request x-one) = OK "1"
get_pairs(response) = OK 0
continue(request) = OK
