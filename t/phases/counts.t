# What header and body callbacks are told: num_headers and end_of_stream.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $ECHO = join '', map { "$_ echo_params\n" } qw(
    request_headers request_body response_headers response_body
);

no_long_string();
run_tests();

__DATA__

=== TEST 1: GET: ends with its headers; the response with its body
--- plugin eval: $::ECHO
--- location
content_by_lua_block { ngx.header.content_type = "a/b"; ngx.say("hello") }
--- more_headers
X-One: 1
--- plugin_log
request_headers: context=2 num_headers=6 end_of_stream=true
response_headers: context=2 num_headers=2 end_of_stream=false
response_body: context=2 size=6 end_of_stream=false
response_body: context=2 size=0 end_of_stream=true



=== TEST 2: POST: a body follows, and its callback ends the request
--- plugin eval: $::ECHO
--- request
POST /t
hello
--- plugin_log
request_headers: context=2 num_headers=6 end_of_stream=false
request_body: context=2 size=5 end_of_stream=true
response_headers: context=2 num_headers=2 end_of_stream=false
response_body: context=2 size=6 end_of_stream=false
response_body: context=2 size=0 end_of_stream=true



=== TEST 3: POST: a chunked body
--- plugin eval: $::ECHO
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    . "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
--- plugin_log
request_headers: context=2 num_headers=5 end_of_stream=false
request_body: context=2 size=5 end_of_stream=true
response_headers: context=2 num_headers=2 end_of_stream=false
response_body: context=2 size=6 end_of_stream=false
response_body: context=2 size=0 end_of_stream=true



=== TEST 4: POST: a chunked body that is empty; the end follows all the same
--- plugin eval: $::ECHO
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
--- plugin_log
request_headers: context=2 num_headers=5 end_of_stream=false
request_body: context=2 size=0 end_of_stream=true
response_headers: context=2 num_headers=2 end_of_stream=false
response_body: context=2 size=6 end_of_stream=false
response_body: context=2 size=0 end_of_stream=true



=== TEST 5: POST: a Content-Length of 0 is no body
--- plugin eval: $::ECHO
--- request
POST /t
--- more_headers
Content-Length: 0
--- plugin_log
request_headers: context=2 num_headers=6 end_of_stream=true
response_headers: context=2 num_headers=2 end_of_stream=false
response_body: context=2 size=6 end_of_stream=false
response_body: context=2 size=0 end_of_stream=true



=== TEST 6: HEAD: the response ends with its headers
--- plugin eval: $::ECHO
--- request
HEAD /t
--- plugin_log
request_headers: context=2 num_headers=5 end_of_stream=true
response_headers: context=2 num_headers=2 end_of_stream=true



=== TEST 7: 204: the response ends with its headers
--- plugin eval: $::ECHO
--- location
content_by_lua_block { ngx.exit(204) }
--- error_code: 204
--- plugin_log eval
qr/\Arequest_headers: context=2 num_headers=5 end_of_stream=true
response_headers: context=2 num_headers=\d end_of_stream=true
\z/



=== TEST 8: 304: the response ends with its headers
--- plugin eval: $::ECHO
--- location
content_by_lua_block { ngx.exit(304) }
--- error_code: 304
--- plugin_log eval
qr/\Arequest_headers: context=2 num_headers=5 end_of_stream=true
response_headers: context=2 num_headers=\d end_of_stream=true
\z/



=== TEST 9: length: a response of nothing ends with its headers
--- plugin eval: $::ECHO
--- location
content_by_lua_block { ngx.header.content_length = 0; ngx.exit(200) }
--- plugin_log
request_headers: context=2 num_headers=5 end_of_stream=true
response_headers: context=2 num_headers=3 end_of_stream=true



=== TEST 10: return: a response without request phases has no request callbacks
--- plugin eval: $::ECHO . "context_create echo_params\nlog log info end\n"
--- location
return 200 "hello\n";
--- response_body
hello
--- plugin_log
context_create: context=2 root=1
response_headers: context=2 num_headers=3 end_of_stream=false
response_body: context=2 size=6 end_of_stream=true
end



=== TEST 11: return: an error of nginx's own, and a redirect
--- plugin
response_headers echo_params
response_headers get_header response :status
response_headers get_header response location
--- location
return 302 /there;
--- error_code: 302
--- plugin_log
response_headers: context=2 num_headers=4 end_of_stream=false
get_header(response :status) = OK "302"
get_header(response location) = OK "/there"



=== TEST 12: bad requests: nginx answers them without any phase; the response is seen
--- plugin
response_headers get_header response :status
--- location
client_max_body_size 1;
content_by_lua_block { ngx.say("hello") }
--- request
POST /t
too long
--- error_code: 413
--- plugin_log
get_header(response :status) = OK "413"
