# Bodies: limits, and where plugins do without them.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $THROWS = '
ngx.req.read_body = function()
    error("http2 requests are not supported without content-length header", 0)
end
';

no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: request body: over the plugin's limit it is 413, and nothing is called
--- plugin
request_body log info "the body came"
--- plugin_options
max_request_body = 10
--- request eval
"POST /t\n" . "x" x 11
--- error_code: 413
--- error_log
the request is refused: its body is larger than max_request_body
--- no_error_log
the body came



=== TEST 2: request body: up to the limit it is handed over
--- plugin
request_body echo_params
--- plugin_options
max_request_body = 10
--- request eval
"POST /t\n" . "x" x 10
--- plugin_log
request_body: context=2 size=10 end_of_stream=true



=== TEST 3: request body: the limit holds for one that nginx wrote to a file
--- http_config
client_body_in_file_only clean;
--- plugin
request_body log info "the body came"
--- plugin_options
max_request_body = 10
--- request eval
"POST /t\n" . "x" x 11
--- error_code: 413
--- no_error_log
the body came



=== TEST 4: request body: one that nginx wrote to a file is read whole, and replaced
--- http_config
client_body_in_file_only clean;
--- plugin
request_body get_body request_body
request_body replace_body request_body lo "LO!"
--- backend
client_body_in_file_only off;
content_by_lua_block {
    ngx.req.read_body()
    ngx.print(ngx.req.get_body_data())
}
--- request
POST /t
hello
--- response_body chomp
helLO!
--- plugin_log
get_body(request_body) = OK "hello"
replace_body(request_body lo "LO!") = OK



=== TEST 5: request body: the least limit of a chain holds
--- plugin
request_body log info "the body came"
--- plugin_options
max_request_body = 1000
--- plugin2
request_body log info "the body came"
--- plugin2_options
max_request_body = 4
--- request
POST /t
hello
--- error_code: 413



=== TEST 6: switched off: no body callback, for requests and for responses; the headers are the end
--- plugin
request_headers echo_params
response_headers echo_params
request_body log error "the request body came"
response_body log error "the response body came"
--- plugin_options
request_body = false,
response_body = false
--- location
content_by_lua_block {
    ngx.header.content_length = 6
    ngx.say("hello")
}
--- request
POST /t
hello
--- response_body
hello
--- response_headers
Content-Length: 6
--- plugin_log
request_headers: context=2 num_headers=6 end_of_stream=true
response_headers: context=2 num_headers=3 end_of_stream=true



=== TEST 7: request body: over the plugin's limit it is 413, also sent in chunks
--- plugin
request_body log error "the body came"
--- plugin_options: max_request_body = 4,
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
--- error_code: 413
--- no_error_log
the body came



=== TEST 8: request body: in chunks it is read and replaced, and then has a length
--- plugin
request_body get_body request_body
request_body replace_body request_body cd CD!
--- backend: echo
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
--- response_body chomp
POST /t HTTP/1.1
Host: localhost
Content-Length: 7

abCD!ef
--- plugin_log
get_body(request_body) = OK "abcdef"
replace_body(request_body cd CD!) = OK



=== TEST 9: request body: a request that is not in the way of the plugin passes whatever its size
--- plugin
request_headers echo_params
--- plugin_options: request_body = false, max_request_body = 4,
--- backend: echo
--- request
POST /t
longer than four
--- response_body chomp
POST /t HTTP/1.1
Host: localhost
Content-Length: 16

longer than four
--- plugin_log
request_headers: context=2 num_headers=6 end_of_stream=true



=== TEST 10: request body: a lua-nginx-module that reads none without Content-Length over HTTP/2: what has one is refused
--- prepare eval: $::THROWS
--- plugin
request_body echo_params
--- request
POST /t
body
--- error_code: 411
--- response_body_like: 411 Length Required
--- error_log
the request is refused: this lua-nginx-module reads no body without Content-Length: http2 requests are not supported without content-length header



=== TEST 11: request body: the same, and a request whose method has none
--- prepare eval: $::THROWS
--- plugin
request_body echo_params
--- request
GET /t
body
--- response_body
hello
--- plugin_log
request_body: context=2 size=0 end_of_stream=true



=== TEST 12: request body: a plugin that has failed and lets pass has no say in its size
--- plugin
request_headers trap
--- plugin_options: fail = "open", max_request_body = 4,
--- plugin2
request_body echo_params
--- request
POST /t
longer than four
--- response_body
hello
--- error_log
the request passes without this plugin
q: request_body: context=2 size=16 end_of_stream=true
