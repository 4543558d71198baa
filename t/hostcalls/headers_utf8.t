# Host functions: headers that are not UTF-8, with the option non_utf8_headers.
# Rust SDKs up to 0.2.x panic on them.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: drop: the plugin does not see them, the upstream and the client do
--- plugin
request_headers echo_params
request_headers get_pairs request
request_headers get_header request x-bytes
request_headers get_header request x-text
request_headers get_property request.headers.x-bytes
response_headers echo_params
response_headers get_pairs response
response_headers get_header response x-answer
response_headers get_header response x-good
--- plugin_options: non_utf8_headers = "drop",
--- location
content_by_lua_block {
    ngx.header["X-Answer"] = "\xc3("
    ngx.header["X-Good"] = "\xc3\xbc"
    ngx.say(ngx.var.http_x_bytes == "a\xff")
}
--- more_headers eval
"X-Bytes: a\xff\nX-Text: \xc3\xbc"
--- response_body
true
--- response_headers eval
"X-Answer: \xc3("
--- plugin_log eval
qr/\Arequest_headers: context=2 num_headers=6 end_of_stream=true
get_pairs\(request\) = OK 6 ":authority"="localhost" ":path"="\/t" ":method"="GET" ":scheme"="http" "connection"="close" "x-text"="\xc3\xbc"
get_header\(request x-bytes\) = NOT_FOUND
get_header\(request x-text\) = OK "\xc3\xbc"
get_property\(request.headers.x-bytes\) = OK 0x61ff
response_headers: context=2 num_headers=3 end_of_stream=false
get_pairs\(response\) = OK 3 ":status"="200"(?=.* "x-good"="\xc3\xbc"[ \n])(?=.* "content-type"="text\/plain"[ \n]).*
get_header\(response x-answer\) = NOT_FOUND
get_header\(response x-good\) = OK "\xc3\xbc"
\z/



=== TEST 2: drop: in a path such bytes are escaped, which means the same
--- plugin
request_headers get_header request :path
request_headers get_pairs request
--- plugin_options: non_utf8_headers = "drop",
--- raw_request eval
"GET /t/\xff%20\xc3( HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
--- plugin_log
get_header(request :path) = OK "/t/%FF%20%C3("
get_pairs(request) = OK 5 ":authority"="localhost" ":path"="/t/%FF%20%C3(" ":method"="GET" ":scheme"="http" "connection"="close"



=== TEST 3: drop: of a callout's answer, too
--- plugin
request_headers http_call callout 1000
request_headers pause
http_call_response echo_params
http_call_response get_header call_response x-bytes
http_call_response get_header call_response x-good
http_call_response continue request
--- plugin_options: non_utf8_headers = "drop",
--- callout
content_by_lua_block {
    ngx.header["X-Bytes"] = "\xff"
    ngx.header["X-Good"] = "yes"
    ngx.print("answer")
}
--- plugin_log eval
qr/\Ahttp_call\(callout 1000\) = OK 1
http_call_response: context=2 token=1 num_headers=7 body_size=6 num_trailers=0
get_header\(call_response x-bytes\) = NOT_FOUND
get_header\(call_response x-good\) = OK "yes"
continue\(request\) = OK
\z/



=== TEST 4: drop: a plugin of ABI 0.1.0 gets OK and nothing
--- plugin_guest: abi_0_1_0
--- plugin
--- plugin_options: non_utf8_headers = "drop",
--- more_headers eval
"X-Missing: \xff"
--- error_log
missing header: 00
its size: 00
--- no_error_log
[error]



=== TEST 5: keep: the bytes as they are
--- plugin
request_headers get_header request x-bytes
--- plugin_options: non_utf8_headers = "keep",
--- more_headers eval
"X-Bytes: a\xff"
--- plugin_log
get_header(request x-bytes) = OK 0x61ff



=== TEST 6: option: other words are refused
--- http_config
    init_by_lua_block {
        local proxy_wasm = require "resty.proxy_wasm"
        ok, err = pcall(proxy_wasm.load, "p", "x.wasm", { non_utf8_headers = "lossy" })
    }
--- config
    location = /t {
        content_by_lua_block { ngx.say(ok, " ", (err:match("option.*"))) }
    }
--- response_body
false option "non_utf8_headers" must be "drop" or "keep", not "lossy"
