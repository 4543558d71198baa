# Sizes of what a guest hands over: never more of the worker's memory than its
# share (src/abi/limits.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: headers: a request takes a MiB of a plugin; more is refused, told, and answered with OK
--- plugin
request_headers set_header request x-a fill:600000:a
request_headers set_header request x-b fill:600000:b
request_headers set_header response x-c fill:600000:c
request_headers set_header request x-d small
--- location
content_by_lua_block {
    for _, name in ipairs { "x-a", "x-b", "x-d" } do
        ngx.say(name, " ", #(ngx.var["http_" .. name:gsub("-", "_")] or ""))
    end
}
--- response_body
x-a 600000
x-b 0
x-d 5
--- response_headers
! x-c
--- plugin_log
set_header(request x-a fill:600000:a) = OK
the header "x-b" is refused: a plugin writes no more than 1048576 bytes into a request
set_header(request x-b fill:600000:b) = OK
the header "x-c" is refused: a plugin writes no more than 1048576 bytes into a request
set_header(response x-c fill:600000:c) = OK
set_header(request x-d small) = OK



=== TEST 2: headers: replaced ones count, as nginx keeps them; the next request begins anew
--- plugin
request_headers repeat 20 set_header request x-a fill:100000:a
request_headers get_header request x-a
--- plugin_options: max_log_lines = 100000,
--- request eval: ["GET /t", "GET /t"]
--- response_body eval: ["hello\n", "hello\n"]
--- grep_error_log eval: qr/the header "x-a" is refused/
--- grep_error_log_out eval: ["the header \"x-a\" is refused\n" x 10, "the header \"x-a\" is refused\n" x 10]



=== TEST 3: headers: a name of any length is cut where it is told of
--- plugin
request_headers set_header request fill:2000000:x value
--- error_log eval
qr/the header "x{256}" is refused: a plugin writes/



=== TEST 4: properties: they share that MiB
--- plugin
request_headers set_property mine.a fill:600000:a
request_headers set_property mine.b fill:600000:b
request_headers get_property mine.b
request_headers set_property mine.c small
request_headers get_property mine.c
--- plugin_log
set_property(mine.a fill:600000:a) = OK
cannot set the property mine.b: a plugin writes no more than 1048576 bytes into a request
set_property(mine.b fill:600000:b) = OK
get_property(mine.b) = NOT_FOUND
set_property(mine.c small) = OK
get_property(mine.c) = OK "small"



=== TEST 5: bodies: what a plugin writes has an end; what was there stays, and the guest knows
--- plugin_options: max_written_body = 8,
--- plugin
request_body set_body request_body 0 0 "12345"
request_body set_body request_body 0 -1 "12345678"
request_body set_body request_body 0 0 "9"
response_body if_eos true set_body response_body 0 -1 "123456789"
response_body if_eos true set_body response_body 0 -1 "12345678"
--- request
POST /t
hello
--- location
content_by_lua_block {
    ngx.req.read_body()
    ngx.log(ngx.INFO, "[proxy-wasm] p: upstream: ", ngx.req.get_body_data())
    ngx.say("more than eight bytes")
}
--- response_body_like: 12345678$
--- error_log
p: upstream: 12345678
--- grep_error_log eval: qr/\[proxy-wasm\] (?:p: )?\K(?:a body.*\)|set_body\S* .*?\) = \w+)/
--- grep_error_log_out
a body of more than 8 bytes is refused (option max_written_body)
set_body(request_body 0 0 "12345") = BAD_ARGUMENT
set_body(request_body 0 -1 "12345678") = OK
a body of more than 8 bytes is refused (option max_written_body)
set_body(request_body 0 0 "9") = BAD_ARGUMENT
a body of more than 8 bytes is refused (option max_written_body)
set_body(response_body 0 -1 "123456789") = BAD_ARGUMENT
set_body(response_body 0 -1 "12345678") = OK



=== TEST 6: bodies: a local response's, too
--- plugin_options: max_written_body = 8,
--- plugin
request_headers local_response 200 "123456789"
request_headers local_response 200 "12345678"
--- response_body chomp
12345678
--- plugin_log
a body of more than 8 bytes is refused (option max_written_body)
local_response(200 "123456789") = BAD_ARGUMENT
local_response(200 "12345678") = OK



=== TEST 7: details: cut, they are for a line
--- plugin
request_headers local_response 200 hello details=fill:5000:d
log get_property response.code_details
--- error_log eval
qr/get_property\(response.code_details\) = OK "d+"\.\.\. \(1024 bytes, /



=== TEST 8: callouts: their bodies in flight have a limit together
--- plugin
request_headers http_call callout 1000 body=fill:40000000:x
request_headers http_call callout 1000 body=fill:40000000:x
request_headers http_call callout 1000 body=small
--- callout: echo
--- grep_error_log eval: qr/\[proxy-wasm\] (?:p: )?\K(?:a callout is refused.*?bytes|http_call\(.*?\) = \w+)/
--- grep_error_log_out
http_call(callout 1000 body=fill:40000000:x) = OK
a callout is refused: those in flight would have more than 67108864 bytes
http_call(callout 1000 body=fill:40000000:x) = INTERNAL_FAILURE
http_call(callout 1000 body=small) = OK



=== TEST 9: foreign functions: what they are given
--- plugin
request_headers foreign compress fill:34000000:x
--- plugin_log
an argument of more than 33554432 bytes for the foreign function "compress" is refused
foreign(compress fill:34000000:x) = INTERNAL_FAILURE



=== TEST 10: shared data: keys and values
--- plugin
request_headers shared_set fill:32768:k v
request_headers shared_set fill:32769:k v
request_headers shared_set k fill:1048577:v
request_headers shared_get k
request_headers register_queue fill:1025:q
request_headers define_metric counter fill:257:m
--- plugin_log
shared_set(fill:32768:k v) = OK
shared_set(fill:32769:k v) = BAD_ARGUMENT
shared_set(k fill:1048577:v) = BAD_ARGUMENT
shared_get(k) = NOT_FOUND
register_queue(fill:1025:q) = BAD_ARGUMENT
define_metric(counter fill:257:m) = BAD_ARGUMENT
