# Host functions: HTTP callouts, what they answer at once and what is sent
# (src/hostcalls/callouts.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: success: tokens are counted, never 0, and what is sent
--- plugin
request_headers http_call callout 1000 :method=POST :path=/a?b=c :authority=auth.example x-one=1 x-one=2 body=hello
request_headers http_call callout 0 :scheme=http :path=/second
request_headers pause
http_call_response get_body call_body
http_call_response nth 2 continue request
--- callout: echo
--- error_log eval
[
    'http_call(callout 1000 :method=POST :path=/a?b=c :authority=auth.example x-one=1 x-one=2 body=hello) = OK 1',
    'http_call(callout 0 :scheme=http :path=/second) = OK 2',
    'get_body(call_body) = OK "POST /a?b=c HTTP/1.1\nHost: auth.example\nx-one: 1\nx-one: 2\nContent-Length: 5\n\nhello"',
    'get_body(call_body) = OK "GET /second HTTP/1.1\nHost: callout\n"',
]



=== TEST 2: bad arguments: missing or unknown pseudo headers, malformed maps; the log says why
--- plugin
request_headers proxy_http_call "callout" {} "" "" 1000 *
request_headers proxy_http_call "callout" {:path=/,:authority=a} "" "" 1000 *
request_headers proxy_http_call "callout" {:method=GET,:authority=a} "" "" 1000 *
request_headers proxy_http_call "callout" {:method=GET,:path=/} "" "" 1000 *
request_headers proxy_http_call "callout" {:method=GET,:path=/,:authority=a,:scheme=gopher} "" "" 1000 *
request_headers proxy_http_call "callout" {:method=GET,:path=/,:authority=a,:status=200} "" "" 1000 *
request_headers proxy_http_call "callout" "xxxx" "" "" 1000 *
request_headers proxy_http_call "callout" {:method=GET,:path=/,:authority=a} "" "xxxx" 1000 *
--- plugin_options
callouts = "any",
--- callout
return 200 "";
--- response_body
hello
--- plugin_log
a callout to "callout" is refused: its headers cannot be sent: they must have :method, :path and :authority, each once, and nothing that would end a line
proxy_http_call("callout" {} "" "" 1000 *) = BAD_ARGUMENT
a callout to "callout" is refused: its headers cannot be sent: they must have :method, :path and :authority, each once, and nothing that would end a line
proxy_http_call("callout" {:path=/,:authority=a} "" "" 1000 *) = BAD_ARGUMENT
a callout to "callout" is refused: its headers cannot be sent: they must have :method, :path and :authority, each once, and nothing that would end a line
proxy_http_call("callout" {:method=GET,:authority=a} "" "" 1000 *) = BAD_ARGUMENT
a callout to "callout" is refused: its headers cannot be sent: they must have :method, :path and :authority, each once, and nothing that would end a line
proxy_http_call("callout" {:method=GET,:path=/} "" "" 1000 *) = BAD_ARGUMENT
a callout to "callout" is refused: its headers cannot be sent: they must have :method, :path and :authority, each once, and nothing that would end a line
proxy_http_call("callout" {:method=GET,:path=/,:authority=a,:scheme=gopher} "" "" 1000 *) = BAD_ARGUMENT
a callout to "callout" is refused: its headers cannot be sent: they must have :method, :path and :authority, each once, and nothing that would end a line
proxy_http_call("callout" {:method=GET,:path=/,:authority=a,:status=200} "" "" 1000 *) = BAD_ARGUMENT
a callout to "callout" is refused: its map of headers or trailers is malformed
proxy_http_call("callout" "xxxx" "" "" 1000 *) = BAD_ARGUMENT
a callout to "callout" is refused: its map of headers or trailers is malformed
proxy_http_call("callout" {:method=GET,:path=/,:authority=a} "" "xxxx" 1000 *) = BAD_ARGUMENT



=== TEST 3: bad arguments: what would end a line of what is sent
--- plugin
request_headers http_call callout 1000 "x-a=b\r\nx-injected: 1"
request_headers http_call callout 1000 "x-a\nx=b"
request_headers http_call callout 1000 ":path=/ HTTP/1.1\r\nx: 1"
request_headers http_call callout 1000 ":authority=a\r\nx: 1"
request_headers http_call callout 1000 ":method=GET / HTTP/1.1\r\nx:"
request_headers http_call callout 1000 "x-nul=a\0b"
request_headers http_call callout 1000 ":path="
--- callout
content_by_lua_block { ngx.log(ngx.ERR, "it was called") }
--- response_body
hello
--- plugin_log
a callout to "callout" is refused: its headers cannot be sent: they must have :method, :path and :authority, each once, and nothing that would end a line
http_call(callout 1000 "x-a=b\r\nx-injected: 1") = BAD_ARGUMENT
a callout to "callout" is refused: its headers cannot be sent: they must have :method, :path and :authority, each once, and nothing that would end a line
http_call(callout 1000 "x-a\nx=b") = BAD_ARGUMENT
a callout to "callout" is refused: its headers cannot be sent: they must have :method, :path and :authority, each once, and nothing that would end a line
http_call(callout 1000 ":path=/ HTTP/1.1\r\nx: 1") = BAD_ARGUMENT
a callout to "callout" is refused: its headers cannot be sent: they must have :method, :path and :authority, each once, and nothing that would end a line
http_call(callout 1000 ":authority=a\r\nx: 1") = BAD_ARGUMENT
a callout to "callout" is refused: its headers cannot be sent: they must have :method, :path and :authority, each once, and nothing that would end a line
http_call(callout 1000 ":method=GET / HTTP/1.1\r\nx:") = BAD_ARGUMENT
a callout to "callout" is refused: its headers cannot be sent: they must have :method, :path and :authority, each once, and nothing that would end a line
http_call(callout 1000 "x-nul=a\0b") = BAD_ARGUMENT
a callout to "callout" is refused: its headers cannot be sent: they must have :method, :path and :authority, each once, and nothing that would end a line
http_call(callout 1000 ":path=") = BAD_ARGUMENT
--- no_error_log
it was called



=== TEST 4: bad arguments: upstreams that are none
--- plugin
request_headers http_call nowhere/at/all 1000
request_headers http_call "" 1000 :authority=a
request_headers http_call host:0 1000
request_headers http_call host:65536 1000
request_headers http_call host:x 1000
request_headers http_call unix: 1000
request_headers http_call "a b" 1000 :authority=a
--- plugin_options
callouts = "any",
--- response_body
hello
--- plugin_log
a callout to "nowhere/at/all" is refused: the upstream address has a path: it is host, host:port, [ipv6]:port or unix:/path, each also behind http:// or https://, and the path is the callout's own (:path)
http_call(nowhere/at/all 1000) = BAD_ARGUMENT
a callout to "" is refused: the upstream address is empty
http_call("" 1000 :authority=a) = BAD_ARGUMENT
a callout to "host:0" is refused: the upstream address's port is not a number from 1 to 65535
http_call(host:0 1000) = BAD_ARGUMENT
a callout to "host:65536" is refused: the upstream address's port is not a number from 1 to 65535
http_call(host:65536 1000) = BAD_ARGUMENT
a callout to "host:x" is refused: the upstream address's port is not a number from 1 to 65535
http_call(host:x 1000) = BAD_ARGUMENT
a callout to "unix:" is refused: the upstream address's unix socket needs an absolute path of at most 107 bytes
http_call(unix: 1000) = BAD_ARGUMENT
a callout to "a b" is refused: the upstream address has spaces, control characters or is not UTF-8
http_call("a b" 1000 :authority=a) = BAD_ARGUMENT



=== TEST 5: bad arguments: a negative timeout
--- plugin
request_headers proxy_http_call "callout" {:method=GET,:path=/,:authority=a} "" "" -1 *
request_headers proxy_http_call "callout" {:method=GET,:path=/,:authority=a} "" "" 0x80000000 *
--- plugin_options
callouts = "any",
--- callout
return 200 "";
--- response_body
hello
--- plugin_log
a callout to "callout" is refused: its timeout is negative
proxy_http_call("callout" {:method=GET,:path=/,:authority=a} "" "" -1 *) = BAD_ARGUMENT
a callout to "callout" is refused: its timeout is negative
proxy_http_call("callout" {:method=GET,:path=/,:authority=a} "" "" 0x80000000 *) = BAD_ARGUMENT



=== TEST 6: pointers: outside the memory; then nothing is sent
--- plugin
request_headers proxy_http_call 0xfffffff0 100 {:method=GET,:path=/,:authority=a} "" "" 1000 *
request_headers proxy_http_call "callout" 16 0xffffffff "" "" 1000 *
request_headers proxy_http_call "callout" {:method=GET,:path=/,:authority=a} 0xfffffff0 100 "" 1000 *
request_headers proxy_http_call "callout" {:method=GET,:path=/,:authority=a} "" 0xfffffff0 100 1000 *
request_headers proxy_http_call "callout" {:method=GET,:path=/,:authority=a} "" "" 1000 0xfffffffd
request_headers proxy_dispatch_http_call 0xfffffff0 100 {} "" "" 1000 *
--- plugin_options
callouts = "any",
--- callout
content_by_lua_block { ngx.log(ngx.ERR, "it was called") }
--- response_body
hello
--- plugin_log
proxy_http_call(0xfffffff0 100 {:method=GET,:path=/,:authority=a} "" "" 1000 *) = INVALID_MEMORY_ACCESS
proxy_http_call("callout" 16 0xffffffff "" "" 1000 *) = INVALID_MEMORY_ACCESS
proxy_http_call("callout" {:method=GET,:path=/,:authority=a} 0xfffffff0 100 "" 1000 *) = INVALID_MEMORY_ACCESS
proxy_http_call("callout" {:method=GET,:path=/,:authority=a} "" 0xfffffff0 100 1000 *) = INVALID_MEMORY_ACCESS
proxy_http_call("callout" {:method=GET,:path=/,:authority=a} "" "" 1000 0xfffffffd) = INVALID_MEMORY_ACCESS
proxy_dispatch_http_call(0xfffffff0 100 {} "" "" 1000 *) = INVALID_MEMORY_ACCESS
--- no_error_log
it was called



=== TEST 7: alias: proxy_dispatch_http_call is the same function
--- plugin
request_headers proxy_dispatch_http_call "callout" {:method=GET,:path=/} "" "" 1000 *
--- plugin_options
callouts = "any",
--- callout
return 200 "";
--- plugin_log
a callout to "callout" is refused: its headers cannot be sent: they must have :method, :path and :authority, each once, and nothing that would end a line
proxy_dispatch_http_call("callout" {:method=GET,:path=/} "" "" 1000 *) = BAD_ARGUMENT



=== TEST 8: from anywhere: a callout of configure, of the response, of the end of a request is made
--- plugin
configure http_call callout 1000 :path=/configure
request_headers http_call callout 1000 :path=/request_headers
response_headers http_call callout 1000 :path=/response_headers
response_body if_eos true http_call callout 1000 :path=/response_body
log if_root false http_call callout 1000 :path=/log
delete if_root false http_call callout 1000 :path=/delete
--- callout
content_by_lua_block { ngx.log(ngx.INFO, "called by ", ngx.var.uri, ".") }
--- response_body
hello
--- wait: 0.3
--- error_log
called by /configure.
called by /request_headers.
called by /response_headers.
called by /response_body.
called by /log.
called by /delete.



=== TEST 9: get_status: 0 of an answer, 11 of a failure
--- plugin
request_headers grpc_status
request_headers http_call callout 1000
request_headers pause
http_call_response grpc_status
http_call_response once http_call 127.0.0.1:1 1000
http_call_response nth 2 continue request
--- plugin_options
callouts = "any",
--- callout
return 200 "";
--- response_body
hello
--- plugin_log eval
qr/\Agrpc_status\(\) = OK 0 ""
http_call\(callout 1000\) = OK 1
grpc_status\(\) = OK 0 ""
http_call\(127.0.0.1:1 1000\) = OK 2
a callout to http:\/\/127.0.0.1:1 failed: .*
grpc_status\(\) = OK 11 ""
continue\(request\) = OK
\z/



=== TEST 10: get_status: pointers outside the memory
--- plugin
request_headers proxy_get_status 0xfffffffd * *
request_headers proxy_get_status * 0xfffffffd *
request_headers proxy_get_status * * 0xfffffffd
--- plugin_log
proxy_get_status(0xfffffffd * *) = INVALID_MEMORY_ACCESS
proxy_get_status(* 0xfffffffd *) = INVALID_MEMORY_ACCESS
proxy_get_status(* * 0xfffffffd) = INVALID_MEMORY_ACCESS



=== TEST 11: call: an address that is none
--- plugin
request_headers proxy_http_call "h:70000" {:method=GET,:path=/,:authority=a} "" "" 1000 *
request_headers proxy_http_call "h:" {:method=GET,:path=/,:authority=a} "" "" 1000 *
request_headers proxy_http_call ":80" {:method=GET,:path=/,:authority=a} "" "" 1000 *
--- plugin_options
callouts = "any",
--- plugin_log
a callout to "h:70000" is refused: the upstream address's port is not a number from 1 to 65535
proxy_http_call("h:70000" {:method=GET,:path=/,:authority=a} "" "" 1000 *) = BAD_ARGUMENT
a callout to "h:" is refused: the upstream address's port is not a number from 1 to 65535
proxy_http_call("h:" {:method=GET,:path=/,:authority=a} "" "" 1000 *) = BAD_ARGUMENT
a callout to ":80" is refused: the upstream address is not of the form host, host:port, [ipv6]:port or unix:/path, each also behind http:// or https://
proxy_http_call(":80" {:method=GET,:path=/,:authority=a} "" "" 1000 *) = BAD_ARGUMENT
