# gRPC streams: any number of messages, each way.

use lib 't/lib';
use GrpcServer;
use TestProxyWasm 'no_plan';

our $UP = "upstreams = { up = \"127.0.0.1:$GrpcServer::PORT\" },\n";

no_long_string();
run_tests();

__DATA__

=== TEST 1: stream: messages both ways, metadata before and behind, the status
--- plugin
request_headers         grpc_stream up test.Echo Chat x-a=1
request_headers         grpc_send last one false
request_headers         grpc_send last two false
request_headers         pause
grpc_initial_metadata   echo_params
grpc_initial_metadata   get_header grpc_initial x-chat
grpc_initial_metadata   get_header grpc_initial :status
grpc_message            echo_params
grpc_message            get_body grpc_message
grpc_message            nth 1 grpc_send 1 "" false
grpc_message            nth 3 grpc_close 1
grpc_trailing_metadata  get_pairs grpc_trailing
grpc_close              echo_params
grpc_close              grpc_status
grpc_close              local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- plugin_log eval
qr/\Agrpc_stream\(up test.Echo Chat x-a=1\) = OK 1
grpc_send\(last one false\) = OK
grpc_send\(last two false\) = OK
grpc_initial_metadata: context=2 token=1 count=\d+
get_header\(grpc_initial x-chat\) = OK "begun"
get_header\(grpc_initial :status\) = OK "200"
grpc_message: context=2 token=1 size=6
get_body\(grpc_message\) = OK "re:one"
grpc_send\(1 "" false\) = OK
grpc_message: context=2 token=1 size=6
get_body\(grpc_message\) = OK "re:two"
grpc_message: context=2 token=1 size=3
get_body\(grpc_message\) = OK "re:"
grpc_close\(1\) = OK
get_pairs\(grpc_trailing\) = OK .*"x-chat"="over"
grpc_close: context=2 token=1 status=0
grpc_status\(\) = OK 0 ""
local_response\(200 done\) = OK\n\z/



=== TEST 2: stream: many messages from the upstream
--- plugin
request_headers  grpc_stream up test.Echo Count
request_headers  grpc_send last "300" true
request_headers  pause
grpc_message     nth 300 get_body grpc_message
grpc_message     nth 301 get_body grpc_message
grpc_close       echo_params
grpc_close       local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- plugin_log
grpc_stream(up test.Echo Count) = OK 1
grpc_send(last "300" true) = OK
get_body(grpc_message) = OK "300"
grpc_close: context=2 token=1 status=0
local_response(200 done) = OK



=== TEST 3: stream: many messages to the upstream
--- plugin
request_headers  grpc_stream up test.Echo Join
request_headers  repeat 50 grpc_send last "abcd" false
request_headers  grpc_send last "end" true
request_headers  pause
grpc_message     get_body_status grpc_message
grpc_close       echo_params
grpc_close       local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- error_log
get_body_status(grpc_message) = OK 253 0
grpc_close: context=2 token=1 status=0



=== TEST 4: stream: large messages both ways
--- plugin
request_headers  grpc_stream up test.Echo Chat
request_headers  grpc_send last fill:3000000:x false
request_headers  grpc_send last fill:2000000:y false
request_headers  pause
grpc_message     get_body_status grpc_message
grpc_message     nth 2 grpc_close 1
grpc_close       echo_params
grpc_close       local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- error_log
get_body_status(grpc_message) = OK 3000003 0
get_body_status(grpc_message) = OK 2000003 0
grpc_close: context=2 token=1 status=0



=== TEST 5: stream: the upstream ends it with a status
--- plugin
request_headers         grpc_stream up test.Echo Chat
request_headers         grpc_send last fail false
request_headers         pause
grpc_trailing_metadata  get_header grpc_trailing grpc-status
grpc_close              grpc_status
grpc_close              grpc_send 1 late false
grpc_close              grpc_close 1
grpc_close              grpc_send 1 late false
grpc_close              local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- plugin_log
grpc_stream(up test.Echo Chat) = OK 1
grpc_send(last fail false) = OK
get_header(grpc_trailing grpc-status) = OK "3"
grpc_status() = OK 3 "as you like"
grpc_send(1 late false) = OK
grpc_close(1) = OK
grpc_send(1 late false) = NOT_FOUND
local_response(200 done) = OK



=== TEST 6: stream: refused before a message
--- plugin
request_headers         grpc_stream up test.Echo Hasty
request_headers         pause
grpc_initial_metadata   echo_params
grpc_trailing_metadata  get_header grpc_trailing grpc-status
grpc_close              grpc_status
grpc_close              local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- plugin_log
grpc_stream(up test.Echo Hasty) = OK 1
grpc_initial_metadata: context=2 token=1 count=0
get_header(grpc_trailing grpc-status) = OK "9"
grpc_status() = OK 9 "not now"
local_response(200 done) = OK



=== TEST 7: stream: the upstream ends it while the plugin still speaks
--- plugin
request_headers  grpc_stream up test.Echo Early
request_headers  grpc_send last one false
request_headers  pause
grpc_message     get_body grpc_message
grpc_close       echo_params
grpc_close       local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- error_log
get_body(grpc_message) = OK "enough:one"
grpc_close: context=2 token=1 status=0



=== TEST 8: stream: nothing is sent behind the end
--- plugin
request_headers  grpc_stream up test.Echo Join
request_headers  grpc_send last one true
request_headers  grpc_send last two true
request_headers  grpc_close last
request_headers  grpc_send last three false
request_headers  pause
grpc_message     get_body grpc_message
grpc_close       local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- error_log
grpc_send(last two true) = BAD_ARGUMENT
grpc_send(last three false) = BAD_ARGUMENT
refused: it was closed before
get_body(grpc_message) = OK "one"



=== TEST 9: stream: cancelled, it is never heard of again, and ends at the upstream
--- plugin
configure     grpc_stream up test.Echo Count
configure     grpc_send last "-1" true
grpc_message  nth 5 grpc_cancel last
grpc_message  nth 6 log error "heard of again"
grpc_close    log error "heard of again"
--- plugin_options eval: $::UP
--- response_body
hello
--- wait: 0.5
--- error_log
grpc_cancel(last) = OK
--- no_error_log
heard of again
[error]



=== TEST 10: stream: it waits for an upstream that is not there
--- plugin
request_headers         grpc_stream up test.Echo Chat
request_headers         grpc_send last one false
request_headers         pause
grpc_initial_metadata   echo_params
grpc_trailing_metadata  echo_params
grpc_close              grpc_status
grpc_close              local_response 200 done
--- plugin_options
upstreams = { up = "127.0.0.1:1" },
--- response_body chop
done
--- plugin_log
grpc_stream(up test.Echo Chat) = OK 1
grpc_send(last one false) = OK
grpc_trailing_metadata: context=2 token=1 count=0
a gRPC callout to "up" at http://127.0.0.1:1 failed: connect: connection refused
grpc_status() = OK 14 "connect: connection refused"
local_response(200 done) = OK



=== TEST 11: stream: more than an upstream takes is refused
--- plugin
request_headers  grpc_stream up test.Echo Chat
request_headers  grpc_send last fill:16000000:x false
request_headers  grpc_send last fill:2000000:x false
request_headers  grpc_cancel last
--- plugin_options
upstreams = { up = "127.0.0.1:1" },
--- plugin_log
grpc_stream(up test.Echo Chat) = OK 1
grpc_send(last fill:16000000:x false) = OK
a message for a gRPC stream to "up" at http://127.0.0.1:1 is refused: the upstream has not taken what was sent before
grpc_send(last fill:2000000:x false) = BAD_ARGUMENT
grpc_cancel(last) = OK



=== TEST 12: stream: a lost instance ends its streams
--- plugin
configure        grpc_stream up test.Echo Count
configure        grpc_send last "-1" true
request_headers  trap
--- plugin_options eval: $::UP
--- error_code: 503
--- wait: 0.3
--- no_error_log
invalid token
failed: panic



=== TEST 13: stream: messages in one callback, and a callback in between
--- plugin
request_headers  grpc_stream up test.Echo Chat
request_headers  grpc_stream up test.Echo Chat
request_headers  grpc_send 1 one true
request_headers  grpc_send 2 two true
request_headers  pause
grpc_message     get_body grpc_message
grpc_close       nth 2 local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- error_log
get_body(grpc_message) = OK "re:one"
get_body(grpc_message) = OK "re:two"



=== TEST 14: stream: a module that has the callback of the trailing metadata under the name of the AssemblyScript SDK
--- plugin
--- plugin_guest: grpc_misnamed
--- plugin_options eval: $::UP
--- wait: 0.3
--- plugin_log
trailing metadata of stream 1
closed
