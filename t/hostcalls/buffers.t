# Host functions: buffers (src/hostcalls/buffers.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: get: any part of a request body, clipped at its end
--- plugin
request_body get_body request_body
request_body get_body request_body 2 3
request_body get_body request_body 0 0
request_body get_body request_body 6
request_body get_body request_body 7 0xffffffff
request_body get_body request_body 8
request_body get_body request_body 0xffffffff 0xffffffff
request_body get_body request_body 1 0x7fffffff
request_body get_body_status request_body
request_body echo_params
--- request
POST /t
0123456
--- plugin_log
get_body(request_body) = OK "0123456"
get_body(request_body 2 3) = OK "234"
get_body(request_body 0 0) = OK ""
get_body(request_body 6) = OK "6"
get_body(request_body 7 0xffffffff) = OK ""
get_body(request_body 8) = OK ""
get_body(request_body 0xffffffff 0xffffffff) = OK ""
get_body(request_body 1 0x7fffffff) = OK "123456"
get_body_status(request_body) = OK 7 0
request_body: context=2 size=7 end_of_stream=true



=== TEST 2: get: a request body that nginx has written to a file, with every byte there is
--- plugin
request_body get_body request_body 98810
request_body get_body_status request_body
--- config
    client_body_buffer_size 1k;
--- request eval
"POST /t\n" . CORE::join("", map { chr } 0 .. 255) x 386 . "the end."
--- plugin_log eval
"get_body(request_body 98810) = OK 0xfafbfcfdfeff74686520656e642e\nget_body_status(request_body) = OK 98824 0\n"



=== TEST 3: set: replace, insert, prepend, append to a request body
--- plugin
request_body set_body request_body 2 3 XY
request_body set_body request_body 0 0 <
request_body set_body request_body 0x7fffffff 0 >
request_body set_body request_body 0xffffffff 0xffffffff !
request_body get_body request_body
request_body get_body_status request_body
--- backend: echo
--- request
POST /t
0123456
--- response_body chomp
POST /t HTTP/1.1
Host: localhost
Content-Length: 9

<01XY56>!
--- plugin_log
set_body(request_body 2 3 XY) = OK
set_body(request_body 0 0 <) = OK
set_body(request_body 0x7fffffff 0 >) = OK
set_body(request_body 0xffffffff 0xffffffff !) = OK
get_body(request_body) = OK "<01XY56>!"
get_body_status(request_body) = OK 9 0



=== TEST 4: set: all of a request body, by something and by nothing
--- plugin
request_body if_header x-how something set_body request_body 0 -1 new
request_body if_header x-how nothing set_body request_body 0 0x7fffffff ""
--- backend: echo
--- request eval
["POST /t\n0123456", "POST /t\n0123456"]
--- more_headers eval
["X-How: something", "X-How: nothing"]
--- response_body eval
[
    "POST /t HTTP/1.1\nHost: localhost\nContent-Length: 3\nX-How: something\n\nnew",
    "POST /t HTTP/1.1\nHost: localhost\nContent-Length: 0\nX-How: nothing\n",
]



=== TEST 5: set: a large request body out of nothing
--- plugin
request_body set_body request_body 0 -1 fill:100000:x
--- backend
client_max_body_size 1m;
client_body_buffer_size 1m;
content_by_lua_block {
    ngx.req.read_body()
    ngx.say(#ngx.req.get_body_data(), " ", ngx.var.http_content_length)
}
--- request
POST /t
0
--- response_body
100000 100000



=== TEST 6: chain: the later plugin gets the body that the earlier one made
--- plugin
request_body set_body request_body 0 0 p
--- plugin2
request_body get_body request_body
request_body echo_params
request_body set_body request_body 0 0 q
--- backend: echo
--- request
POST /t
x
--- response_body chomp
POST /t HTTP/1.1
Host: localhost
Content-Length: 3

qpx
--- plugin_log
set_body(request_body 0 0 p) = OK
q: get_body(request_body) = OK "px"
q: request_body: context=2 size=2 end_of_stream=true
q: set_body(request_body 0 0 q) = OK



=== TEST 7: get: the response body, piece by piece
--- plugin
response_body echo_params
response_body get_body response_body
response_body get_body response_body 1 2
response_body get_body_status response_body
--- location
content_by_lua_block {
    ngx.print("first")
    ngx.flush(true)
    ngx.print("second")
}
--- response_body: firstsecond
--- plugin_log
response_body: context=2 size=5 end_of_stream=false
get_body(response_body) = OK "first"
get_body(response_body 1 2) = OK "ir"
get_body_status(response_body) = OK 5 0
response_body: context=2 size=6 end_of_stream=false
get_body(response_body) = OK "second"
get_body(response_body 1 2) = OK "ec"
get_body_status(response_body) = OK 6 0
response_body: context=2 size=0 end_of_stream=true
get_body(response_body) = OK ""
get_body(response_body 1 2) = OK ""
get_body_status(response_body) = OK 0 0



=== TEST 8: set: each piece of the response body
--- plugin
response_body replace_body response_body o 0
response_body if_eos false set_body response_body 0 0 [
response_body if_eos false set_body response_body 0xffffffff 0 ]
response_body if_eos true set_body response_body 0 0 "the end"
--- location
content_by_lua_block {
    ngx.header.content_length = 6
    ngx.print("one")
    ngx.flush(true)
    ngx.print("two")
}
--- response_headers
!Content-Length
--- response_body: [0ne][tw0]the end



=== TEST 9: set: to nothing, and then something at the end
--- plugin
response_body set_body response_body 0 -1 ""
response_body if_eos true set_body response_body 0 0 instead
--- location
content_by_lua_block {
    ngx.print("one")
    ngx.flush(true)
    ngx.print("two")
}
--- response_body: instead



=== TEST 10: set: larger than nginx's buffers, and bytes of all values
--- plugin
response_body if_eos true set_body response_body 0 -1 fill:200000:ab
response_body if_eos true set_body response_body 0 1 "\0\xff\r\n"
--- response_body_filters eval: sub { CORE::length($_[0]) . " " . CORE::unpack("H*", CORE::substr($_[0], 6, 6)) }
--- response_body chomp
400009 00ff0d0a6261



=== TEST 11: chain: the later plugin gets the response that the earlier one made
--- plugin
response_body replace_body response_body hello bye
--- plugin2
response_body if_eos false get_body response_body
response_body if_eos false set_body response_body 0 0 "good"
--- response_body
goodbye
--- plugin_log
replace_body(response_body hello bye) = OK
q: get_body(response_body) = OK "bye\n"
q: set_body(response_body 0 0 "good") = OK
replace_body(response_body hello bye) = OK



=== TEST 12: callout: the body of an answer, only while it is delivered, never to be written
--- plugin
request_headers http_call callout 1000
request_headers get_body call_body
request_headers pause
http_call_response get_body call_body
http_call_response get_body call_body 2 2
http_call_response get_body_status call_body
http_call_response set_body call_body 0 0 x
http_call_response get_body request_body
http_call_response continue request
log get_body call_body
--- callout
return 200 "answer";
--- plugin_log
http_call(callout 1000) = OK 1
get_body(call_body) = NOT_FOUND
get_body(call_body) = OK "answer"
get_body(call_body 2 2) = OK "sw"
get_body_status(call_body) = OK 6 0
buffer 4 is not changed: it is not to be written here
set_body(call_body 0 0 x) = OK
get_body(request_body) = OK ""
continue(request) = OK
get_body(call_body) = NOT_FOUND



=== TEST 13: configuration: the plugin's and the VM's, at any time, never to be written
--- plugin
configure get_body plugin_configuration 0 13
configure get_body vm_configuration
request_headers get_body plugin_configuration 10 3
request_headers get_body vm_configuration 2 2
request_headers get_body_status vm_configuration
request_headers set_body plugin_configuration 0 0 x
request_headers set_body vm_configuration 0 0 x
--- plugin_options
vm_config = "# a comment",
--- plugin_log
get_body(plugin_configuration 0 13) = OK "configure get"
get_body(vm_configuration) = OK "# a comment"
get_body(plugin_configuration 0 13) = OK "configure get"
get_body(vm_configuration) = OK "# a comment"
get_body(plugin_configuration 10 3) = OK "get"
get_body(vm_configuration 2 2) = OK "a "
get_body_status(vm_configuration) = OK 11 0
buffer 7 is not changed: it is not to be written here
set_body(plugin_configuration 0 0 x) = OK
buffer 6 is not changed: it is not to be written here
set_body(vm_configuration 0 0 x) = OK



=== TEST 14: configuration: none is empty
--- plugin eval: ""
--- plugin_options
vm_config = "vm_start get_body vm_configuration 0 8\nvm_start get_body plugin_configuration",
--- plugin_log
get_body(vm_configuration 0 8) = OK "vm_start"
get_body(plugin_configuration) = OK ""
get_body(vm_configuration 0 8) = OK "vm_start"
get_body(plugin_configuration) = OK ""



=== TEST 15: wrong time: a body that is not there is empty, and to write it is logged and answered with OK
--- plugin
configure get_body request_body
request_headers get_body request_body
request_headers get_body_status request_body
request_headers set_body request_body 0 0 x
request_headers get_body response_body
request_headers set_body response_body 0 0 x
response_headers get_body response_body
response_headers set_body response_body 0 0 x
log get_body response_body
log set_body response_body 0 0 x
--- response_body
hello
--- plugin_log
get_body(request_body) = OK ""
get_body(request_body) = OK ""
get_body(request_body) = OK ""
get_body_status(request_body) = OK 0 0
buffer 0 is not changed: it is not to be written here
set_body(request_body 0 0 x) = OK
get_body(response_body) = OK ""
buffer 1 is not changed: it is not to be written here
set_body(response_body 0 0 x) = OK
get_body(response_body) = OK ""
buffer 1 is not changed: it is not to be written here
set_body(response_body 0 0 x) = OK
get_body(response_body) = OK ""
buffer 1 is not changed: it is not to be written here
set_body(response_body 0 0 x) = OK



=== TEST 16: late: the request body can be read in the response; to write it is logged and answered with OK
--- plugin
response_headers get_body request_body
response_headers set_body request_body 0 0 x
log get_body request_body
log set_body request_body 0 0 x
--- request
POST /t
abc
--- plugin_log
get_body(request_body) = OK "abc"
buffer 0 is not changed: it is not to be written here
set_body(request_body 0 0 x) = OK
get_body(request_body) = OK "abc"
buffer 0 is not changed: it is not to be written here
set_body(request_body 0 0 x) = OK



=== TEST 17: buffers: those of other protocols, and numbers of none
--- plugin
request_headers get_body downstream_data
request_headers get_body upstream_data
request_headers get_body grpc_message
request_headers get_body call_data
request_headers get_body_status call_data
request_headers set_body downstream_data 0 0 x
request_headers get_body 9
request_headers get_body 0xffffffff
request_headers get_body_status 9
request_headers set_body 9 0 0 x
--- plugin_log
get_body(downstream_data) = OK ""
get_body(upstream_data) = OK ""
get_body(grpc_message) = OK ""
get_body(call_data) = OK ""
get_body_status(call_data) = OK 0 0
buffer 2 is not changed: it is not to be written here
set_body(downstream_data 0 0 x) = OK
get_body(9) = BAD_ARGUMENT
get_body(0xffffffff) = BAD_ARGUMENT
get_body_status(9) = BAD_ARGUMENT
set_body(9 0 0 x) = BAD_ARGUMENT



=== TEST 18: pointers: outside the memory; then nothing has happened
--- plugin
request_body proxy_get_buffer_bytes 0 0 100 0xfffffffd *
request_body proxy_get_buffer_bytes 0 0 100 * 0xfffffffd
request_body proxy_get_buffer_status 0 0xfffffffd *
request_body proxy_get_buffer_status 0 * 0xfffffffd
request_body proxy_set_buffer_bytes 0 0 0 0xfffffff0 100
request_body proxy_set_buffer_bytes 0 0 0 16 0xffffffff
request_body proxy_get_configuration 0xfffffffd *
request_body proxy_get_configuration * 0xfffffffd
request_body get_body request_body
--- request
POST /t
abc
--- plugin_log
proxy_get_buffer_bytes(0 0 100 0xfffffffd *) = INVALID_MEMORY_ACCESS
proxy_get_buffer_bytes(0 0 100 * 0xfffffffd) = INVALID_MEMORY_ACCESS
proxy_get_buffer_status(0 0xfffffffd *) = INVALID_MEMORY_ACCESS
proxy_get_buffer_status(0 * 0xfffffffd) = INVALID_MEMORY_ACCESS
proxy_set_buffer_bytes(0 0 0 0xfffffff0 100) = INVALID_MEMORY_ACCESS
proxy_set_buffer_bytes(0 0 0 16 0xffffffff) = INVALID_MEMORY_ACCESS
proxy_get_configuration(0xfffffffd *) = INVALID_MEMORY_ACCESS
proxy_get_configuration(* 0xfffffffd) = INVALID_MEMORY_ACCESS
get_body(request_body) = OK "abc"



=== TEST 19: get_configuration: for every ABI, the plugin's
--- plugin
request_headers proxy_get_configuration **
--- plugin_log
proxy_get_configuration(**) = OK "request_headers proxy_get_configuration **\n"



=== TEST 20: late: the request body of a request that is on its way
--- plugin
request_body remember
request_body tick 10
tick set_effective_context origin
tick set_body request_body 0 0 x
tick get_body request_body
tick set_property ngx.ticked yes
tick tick 0
--- location
set $ticked "";
content_by_lua_block {
    while ngx.var.ticked == "" do
        ngx.sleep(0.01)
    end
    ngx.req.read_body()
    ngx.say(ngx.req.get_body_data())
}
--- request
POST /t
abc
--- response_body
abc
--- plugin_log
tick(10) = OK
set_effective_context(origin) = OK
buffer 0 is not changed: it is not to be written here
set_body(request_body 0 0 x) = OK
get_body(request_body) = OK "abc"
set_property(ngx.ticked yes) = OK
tick(0) = OK



=== TEST 21: paused: a request body is written behind the continue, before the request goes on
--- plugin
request_body http_call callout 1000
request_body pause
http_call_response set_body request_body 0 0 one,
http_call_response continue request
http_call_response set_body request_body 0 0 two,
--- callout
return 200 "answer";
--- location
content_by_lua_block {
    ngx.req.read_body()
    ngx.say(ngx.req.get_body_data())
}
--- request
POST /t
abc
--- response_body
two,one,abc
--- plugin_log
http_call(callout 1000) = OK 1
set_body(request_body 0 0 one,) = OK
continue(request) = OK
set_body(request_body 0 0 two,) = OK
