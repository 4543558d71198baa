# Host functions: gRPC callouts (src/hostcalls/grpc.rs): what they answer. What
# comes of a call is in t/callout.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: call: what is no upstream
--- plugin
request_headers  proxy_grpc_call other test.Echo Echo {} "" 1000 *
request_headers  proxy_grpc_call "" test.Echo Echo {} "" 1000 *
request_headers  proxy_grpc_stream other test.Echo Chat {} *
--- plugin_options
upstreams = { up = "127.0.0.1:1" },
--- plugin_log
a gRPC callout to "other" is refused: no upstream of the plugin has this name (option "upstreams"), and the option "callouts" does not allow it as an address
proxy_grpc_call(other test.Echo Echo {} "" 1000 *) = PARSE_FAILURE
a gRPC callout to "" is refused: no upstream of the plugin has this name (option "upstreams"), and the option "callouts" does not allow it as an address
proxy_grpc_call("" test.Echo Echo {} "" 1000 *) = PARSE_FAILURE
proxy_grpc_stream(other test.Echo Chat {} *) = PARSE_FAILURE



=== TEST 2: call: what cannot be sent
--- plugin
request_headers  proxy_grpc_call up test.Echo "Echo\r\n" {} "" 1000 *
request_headers  proxy_grpc_call up "" Echo {} "" 1000 *
request_headers  proxy_grpc_call up test.Echo Echo {x-a="b\r\nc: d"} "" 1000 *
request_headers  proxy_grpc_call up test.Echo Echo "\x01\0\0\0" "" 1000 *
request_headers  proxy_grpc_call up test.Echo Echo {} fill:18000000:x 1000 *
--- plugin_options
upstreams = { up = "127.0.0.1:1" },
--- plugin_log
a gRPC callout to "up" is refused: its service and method are no parts of a path
proxy_grpc_call(up test.Echo "Echo\r\n" {} "" 1000 *) = INTERNAL_FAILURE
a gRPC callout to "up" is refused: its service and method are no parts of a path
proxy_grpc_call(up "" Echo {} "" 1000 *) = INTERNAL_FAILURE
a gRPC callout to "up" is refused: its metadata cannot be sent: there is a name or a value that no HTTP header has
proxy_grpc_call(up test.Echo Echo {x-a="b\r\nc: d"} "" 1000 *) = INTERNAL_FAILURE
a gRPC callout to "up" is refused: its map of metadata is malformed
proxy_grpc_call(up test.Echo Echo "\x01\0\0\0" "" 1000 *) = INTERNAL_FAILURE
a gRPC callout to "up" is refused: its message is too large
proxy_grpc_call(up test.Echo Echo {} fill:18000000:x 1000 *) = INTERNAL_FAILURE



=== TEST 3: tokens: of nothing, of an HTTP callout, of a call, of what is over
--- plugin
request_headers  http_call up 1000
request_headers  grpc_send 1 x true
request_headers  grpc_send 77 x true
request_headers  grpc_cancel 1
request_headers  grpc_close 1
request_headers  grpc_cancel 77
request_headers  grpc_close 77
request_headers  grpc_call up test.Echo Echo 1000 hello
request_headers  grpc_send 2 x true
request_headers  grpc_close 2
request_headers  grpc_close 2
--- plugin_options
upstreams = { up = "127.0.0.1:1" },
--- response_body
hello
--- error_log
http_call(up 1000) = OK 1
grpc_send(1 x true) = BAD_ARGUMENT
grpc_send(77 x true) = NOT_FOUND
grpc_cancel(1) = NOT_FOUND
grpc_close(1) = NOT_FOUND
grpc_cancel(77) = NOT_FOUND
grpc_close(77) = NOT_FOUND
grpc_call(up test.Echo Echo 1000 hello) = OK 2
grpc_send(2 x true) = BAD_ARGUMENT
grpc_close(2) = OK
grpc_close(2) = NOT_FOUND



=== TEST 4: send: not behind the end, and not more than an upstream takes
--- plugin
request_headers  grpc_stream up test.Echo Chat
request_headers  grpc_send last one false
request_headers  grpc_send last two true
request_headers  grpc_send last three false
request_headers  grpc_close last
request_headers  grpc_cancel last
request_headers  grpc_stream up test.Echo Chat
request_headers  grpc_send last fill:16000000:x false
request_headers  grpc_send last fill:2000000:x false
request_headers  grpc_cancel last
request_headers  grpc_cancel last
--- plugin_options
upstreams = { up = "127.0.0.1:1" },
--- plugin_log
grpc_stream(up test.Echo Chat) = OK 1
grpc_send(last one false) = OK
grpc_send(last two true) = OK
a message for a gRPC stream to "up" at http://127.0.0.1:1 is refused: it was closed before
grpc_send(last three false) = BAD_ARGUMENT
grpc_close(last) = OK
grpc_cancel(last) = OK
grpc_stream(up test.Echo Chat) = OK 2
grpc_send(last fill:16000000:x false) = OK
a message for a gRPC stream to "up" at http://127.0.0.1:1 is refused: the upstream has not taken what was sent before
grpc_send(last fill:2000000:x false) = BAD_ARGUMENT
grpc_cancel(last) = OK
grpc_cancel(last) = NOT_FOUND



=== TEST 5: pointers: outside the memory; then nothing is begun
--- plugin
request_headers  proxy_grpc_call 0xfffffff0 100 test.Echo Echo {} "" 1000 *
request_headers  proxy_grpc_call up test.Echo Echo {} "" 1000 0xfffffffd
request_headers  proxy_grpc_stream up test.Echo Chat 0xfffffff0 100 *
request_headers  proxy_grpc_stream up test.Echo Chat {} 0xfffffffd
request_headers  proxy_grpc_send 1 0xfffffff0 100 0
request_headers  grpc_cancel 1
--- plugin_options
upstreams = { up = "127.0.0.1:1" },
--- plugin_log
proxy_grpc_call(0xfffffff0 100 test.Echo Echo {} "" 1000 *) = INVALID_MEMORY_ACCESS
proxy_grpc_call(up test.Echo Echo {} "" 1000 0xfffffffd) = INVALID_MEMORY_ACCESS
proxy_grpc_stream(up test.Echo Chat 0xfffffff0 100 *) = INVALID_MEMORY_ACCESS
proxy_grpc_stream(up test.Echo Chat {} 0xfffffffd) = INVALID_MEMORY_ACCESS
proxy_grpc_send(1 0xfffffff0 100 0) = INVALID_MEMORY_ACCESS
grpc_cancel(1) = NOT_FOUND



=== TEST 6: get_status: outside a gRPC callback there is none
--- plugin
request_headers  grpc_status
--- plugin_log
grpc_status() = OK 0 ""
