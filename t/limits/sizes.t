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
the header "x-b" is refused: a plugin writes no more than 1048576 bytes into a request (option max_written_headers)
set_header(request x-b fill:600000:b) = OK
the header "x-c" is refused: a plugin writes no more than 1048576 bytes into a request (option max_written_headers)
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
cannot set the property mine.b: a plugin writes no more than 1048576 bytes into a request (option max_written_headers)
set_property(mine.b fill:600000:b) = OK
get_property(mine.b) = NOT_FOUND
set_property(mine.c small) = OK
get_property(mine.c) = OK "small"



=== TEST 5: bodies: what a plugin writes has an end; a request with more does not go on as it was
--- plugin_options: max_written_body = 8,
--- plugin
request_body set_body request_body 0 -1 "12345678"
request_body set_body request_body 0 0 "9"
log log info "still alive"
--- request
POST /t
hello
--- location
content_by_lua_block { ngx.log(ngx.ERR, "the upstream was reached") }
--- error_code: 500
--- response_body chomp
--- no_error_log
the upstream was reached
--- plugin_log
set_body(request_body 0 -1 "12345678") = OK
a body of more than 8 bytes is refused (option max_written_body)
set_body(request_body 0 0 "9") = OK
still alive



=== TEST 31: bodies: of a response, the client sees that it has no end, and nothing of what should have been changed
--- plugin_options: max_written_body = 8,
--- plugin
response_body set_body response_body 0 -1 "123456789"
log log info "still alive"
--- location
content_by_lua_block { ngx.say("a secret of more than eight bytes") }
--- config
    location = /drive {
        content_by_lua_block {
            local sock = dofile("$TOP/t/lib/client.lua").send("/t", "Connection: close\r\n")
            local answer = sock:receive("*a") or ""
            ngx.say(answer:find("secret") == nil, " ", answer:find("\r\n0\r\n", 1, true) == nil)
        }
    }
--- request
GET /drive
--- response_body
true true
--- error_log
a body of more than 8 bytes is refused (option max_written_body)
still alive



=== TEST 32: bodies: they may shrink to the limit, and are the plugin's then
--- plugin_options: max_written_body = 8,
--- plugin
request_body set_body request_body 0 -1 "12345678"
response_body if_eos true set_body response_body 0 -1 "87654321"
--- request
POST /t
hello hello hello
--- location
content_by_lua_block {
    ngx.req.read_body()
    ngx.log(ngx.INFO, "[proxy-wasm] p: upstream: ", ngx.req.get_body_data())
    ngx.say("more than eight bytes")
}
--- response_body_like: 87654321$
--- error_log
p: upstream: 12345678



=== TEST 6: bodies: a local response's, too; it is then 500, without one
--- plugin_options: max_written_body = 8,
--- plugin
request_headers local_response 200 "123456789"
request_headers local_response 200 "12345678"
--- error_code: 500
--- response_body chomp
--- plugin_log
a body of more than 8 bytes is refused (option max_written_body)
local_response(200 "123456789") = OK
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
--- grep_error_log eval: qr/\[proxy-wasm\] (?:p: )?\K(?:a callout is refused.*?\)|http_call\(.*?\) = \w+)/
--- grep_error_log_out
http_call(callout 1000 body=fill:40000000:x) = OK
a callout is refused: those in flight would have more than 67108864 bytes (option max_callout_bytes)
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
request_headers enqueue fill:1025:q x
request_headers define_metric counter fill:257:m
request_headers increment_metric fill:257:m 5
request_headers record_metric fill:257:m 5
request_headers get_metric fill:257:m
--- plugin_log
shared_set(fill:32768:k v) = OK
a value of the shared data is refused: it, or its key, is too large
shared_set(fill:32769:k v) = CAS_MISMATCH
a value of the shared data is refused: it, or its key, is too large
shared_set(k fill:1048577:v) = CAS_MISMATCH
shared_get(k) = NOT_FOUND
a queue is refused: its name is too long
register_queue(fill:1025:q) = OK 0
enqueue(fill:1025:q x) = NOT_FOUND
a metric is refused: a name has no more than 256 bytes
define_metric(counter fill:257:m) = OK 4294967295
increment_metric(fill:257:m 5) = OK
record_metric(fill:257:m 5) = OK
get_metric(fill:257:m) = OK 0



=== TEST 11: headers: the option max_written_headers, for all that is written into a request
--- plugin_options: max_written_headers = 1000,
--- plugin
request_headers set_header request x-a fill:400:a
request_headers set_property mine.b fill:400:b
request_headers set_header request x-c fill:100:c
request_headers set_property mine.d fill:100:d
--- plugin2
request_headers set_header request x-e fill:1000:e
--- location
content_by_lua_block {
    ngx.say(#ngx.var.http_x_a, " ", ngx.var.http_x_c, " ", #ngx.var.http_x_e)
}
--- response_body
400 nil 1000
--- plugin_log
set_header(request x-a fill:400:a) = OK
set_property(mine.b fill:400:b) = OK
the header "x-c" is refused: a plugin writes no more than 1000 bytes into a request (option max_written_headers)
set_header(request x-c fill:100:c) = OK
cannot set the property mine.d: a plugin writes no more than 1000 bytes into a request (option max_written_headers)
set_property(mine.d fill:100:d) = OK
q: set_header(request x-e fill:1000:e) = OK



=== TEST 12: shared data: the options max_shared_key and max_shared_value, for queues, too
--- plugin_options: max_shared_key = 10, max_shared_value = 20,
--- plugin
request_headers shared_set fill:10:k fill:20:v
request_headers shared_set fill:11:k v
request_headers shared_set fill:10:k fill:21:v
request_headers shared_get fill:10:k
request_headers register_queue news
request_headers enqueue news fill:20:i
request_headers enqueue news fill:21:i
request_headers dequeue news
request_headers dequeue news
--- plugin_log
shared_set(fill:10:k fill:20:v) = OK
a value of the shared data is refused: it, or its key, is too large
shared_set(fill:11:k v) = CAS_MISMATCH
a value of the shared data is refused: it, or its key, is too large
shared_set(fill:10:k fill:21:v) = CAS_MISMATCH
shared_get(fill:10:k) = OK "vvvvvvvvvvvvvvvvvvvv" 1
register_queue(news) = OK 1
enqueue(news fill:20:i) = OK
an item of a shared queue is refused: it is too large
enqueue(news fill:21:i) = NOT_FOUND
dequeue(news) = OK "iiiiiiiiiiiiiiiiiiii"
dequeue(news) = EMPTY



=== TEST 13: shared data: queues take items of a MiB by default
--- http_config
    lua_shared_dict proxy_wasm 10m;
--- plugin
request_headers register_queue news
request_headers enqueue news fill:1048576:i
request_headers enqueue news fill:1048577:i
--- plugin_log
register_queue(news) = OK 1
enqueue(news fill:1048576:i) = OK
an item of a shared queue is refused: it is too large
enqueue(news fill:1048577:i) = NOT_FOUND



=== TEST 14: callouts: the option max_callout_bytes, for what they send
--- plugin_options: max_callout_bytes = 1000,
--- plugin
request_headers http_call callout 1000 body=fill:600:x
request_headers http_call callout 1000 body=fill:600:x
request_headers http_call callout 1000 body=small
--- callout: echo
--- grep_error_log eval: qr/\[proxy-wasm\] (?:p: )?\K(?:a callout is refused.*?\)|http_call\(.*?\) = \w+)/
--- grep_error_log_out
http_call(callout 1000 body=fill:600:x) = OK
a callout is refused: those in flight would have more than 1000 bytes (option max_callout_bytes)
http_call(callout 1000 body=fill:600:x) = INTERNAL_FAILURE
http_call(callout 1000 body=small) = OK



=== TEST 15: answers: one of more than max_callout_response bytes is none, with a length or without
--- plugin_options: max_callout_response = 1000,
--- plugin
request_headers    http_call callout 5000 :path=/?size=500
request_headers    pause
http_call_response echo_params
http_call_response nth 1 http_call callout 5000 :path=/?size=1000
http_call_response nth 2 http_call callout 5000 :path=/?size=1000&chunked=yes
http_call_response nth 3 continue request
--- callout
content_by_lua_block {
    local size = tonumber(ngx.var.arg_size)
    if not ngx.var.arg_chunked then
        ngx.header.content_length = size
    end
    ngx.print(("x"):rep(size))
}
--- grep_error_log eval: qr/(?:body_size=\d+|the upstream's answer is longer.*?\))/
--- grep_error_log_out
body_size=500
the upstream's answer is longer than 1000 bytes (option max_callout_response)
body_size=0
the upstream's answer is longer than 1000 bytes (option max_callout_response)
body_size=0



=== TEST 16: answers: by default 16 MiB
--- plugin
request_headers    http_call callout 10000 :path=/?mib=15
request_headers    pause
http_call_response echo_params
http_call_response nth 1 http_call callout 10000 :path=/?mib=16
http_call_response nth 2 continue request
--- callout
content_by_lua_block {
    ngx.header.content_length = ngx.var.arg_mib * 2^20
    for _ = 1, ngx.var.arg_mib * 16 do
        ngx.print(("x"):rep(65536))
    end
}
--- grep_error_log eval: qr/(?:body_size=\d+|the upstream's answer is longer.*?\))/
--- grep_error_log_out
body_size=15728640
the upstream's answer is longer than 16777216 bytes (option max_callout_response)
body_size=0
--- timeout: 20



=== TEST 17: answers: all that are under way share max_callout_bytes, and give it back
--- plugin_options: max_callout_bytes = 10000,
--- plugin
request_headers    http_call callout 5000 :path=/?first=5000
request_headers    http_call callout 5000 :path=/?first=4500&rest=1000
request_headers    pause
http_call_response echo_params
http_call_response nth 2 http_call callout 5000 :path=/?first=9000
http_call_response nth 3 continue request
--- callout
content_by_lua_block {
    ngx.print(("x"):rep(tonumber(ngx.var.arg_first)))
    ngx.flush(true)
    ngx.sleep(0.3)
    if ngx.var.arg_rest then
        ngx.print(("x"):rep(tonumber(ngx.var.arg_rest)))
        ngx.flush(true)
        ngx.sleep(0.5)
    else
        ngx.sleep(0.2)
    end
}
--- grep_error_log eval: qr/(?:body_size=\d+|the answers under way.*?\))/
--- grep_error_log_out
the answers under way would hold more than 10000 bytes together (option max_callout_bytes)
body_size=0
body_size=5000
body_size=9000
--- timeout: 20
