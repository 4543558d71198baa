# gRPC callouts of one message each way.

use lib 't/lib';
use GrpcServer;
use TestProxyWasm 'no_plan';

our $UP = "upstreams = { up = \"127.0.0.1:$GrpcServer::PORT\" },\n";

no_long_string();
run_tests();

__DATA__

=== TEST 1: grpc: a message and its answer
--- plugin
request_headers     grpc_call up test.Echo Echo 5000 "hello there"
request_headers     pause
grpc_call_response  echo_params
grpc_call_response  get_body grpc_message
grpc_call_response  grpc_status
grpc_call_response  local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- plugin_log
grpc_call(up test.Echo Echo 5000 "hello there") = OK 1
grpc_call_response: context=2 token=1 status=0 size=11
get_body(grpc_message) = OK "hello there"
grpc_status() = OK 0 ""
local_response(200 done) = OK



=== TEST 2: grpc: a status, its message and details
--- plugin
request_headers     grpc_call up test.Echo Fail 5000 "7 50% of ü"
request_headers     pause
grpc_call_response  echo_params
grpc_call_response  grpc_status
grpc_call_response  get_body grpc_message
grpc_call_response  local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- plugin_log
grpc_call(up test.Echo Fail 5000 "7 50% of ü") = OK 1
grpc_call_response: context=2 token=1 status=7 size=0
grpc_status() = OK 7 "50% of ü"
get_body(grpc_message) = OK ""
local_response(200 done) = OK



=== TEST 3: grpc: metadata goes along, without what is HTTP's or gRPC's own
--- plugin
request_headers     grpc_call up test.Echo Metadata 5000 "" x-a=1 x-b=2 x-a=3 content-type=text/plain grpc-encoding=gzip
request_headers     pause
grpc_call_response  get_body grpc_message
grpc_call_response  local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- error_log
get_body(grpc_message) = OK "x-a: 1\nx-a: 3\nx-b: 2"



=== TEST 4: grpc: a message that is larger than every window
--- plugin
request_headers     grpc_call up test.Echo Length 10000 fill:5000000:x
request_headers     pause
grpc_call_response  get_body grpc_message
grpc_call_response  local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- error_log
get_body(grpc_message) = OK "5000000"



=== TEST 5: grpc: an answer that is larger than every window
--- plugin
request_headers     grpc_call up test.Echo Big 10000 "8388608"
request_headers     pause
grpc_call_response  echo_params
grpc_call_response  get_body_status grpc_message
grpc_call_response  local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- error_log
grpc_call_response: context=2 token=1 status=0 size=8388608
get_body_status(grpc_message) = OK 8388608 0



=== TEST 6: grpc: an answer over the limit
--- plugin
request_headers     grpc_call up test.Echo Big 10000 "16777472"
request_headers     pause
grpc_call_response  grpc_status
grpc_call_response  local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- error_log
grpc_status() = OK 8 "a message of 16777472 bytes came, more than the 16777216 allowed (option max_callout_response)"



=== TEST 7: grpc: the time that a call may take
--- plugin
request_headers     grpc_call up test.Echo Slow 200 "5000"
request_headers     pause
grpc_call_response  grpc_status
grpc_call_response  local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- error_log
grpc_status() = OK 4 "



=== TEST 8: grpc: a compressed answer is refused
--- plugin
request_headers     grpc_call up test.Echo Compressed 5000 "x"
request_headers     pause
grpc_call_response  grpc_status
grpc_call_response  local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- error_log
grpc_status() = OK 13 "the upstream compresses a message, though it was told not to"



=== TEST 9: grpc: no such method, and no such service
--- plugin
request_headers     grpc_call up test.Echo Nothing 5000 ""
request_headers     grpc_call up test.Nobody Echo 5000 ""
request_headers     pause
grpc_call_response  grpc_status
grpc_call_response  nth 2 local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- plugin_log
grpc_call(up test.Echo Nothing 5000 "") = OK 1
grpc_call(up test.Nobody Echo 5000 "") = OK 2
grpc_status() = OK 12 "Method not found!"
grpc_status() = OK 12 "Method not found!"
local_response(200 done) = OK



=== TEST 10: grpc: nobody is there
--- plugin
request_headers     grpc_call up test.Echo Echo 5000 ""
request_headers     pause
grpc_call_response  grpc_status
grpc_call_response  local_response 200 done
--- plugin_options
upstreams = { up = "127.0.0.1:1" },
--- response_body chop
done
--- error_log
grpc_status() = OK 14 "connect: connection refused"
a gRPC callout to "up" at http://127.0.0.1:1 failed: connect: connection refused



=== TEST 11: grpc: of several nodes the one that is there
--- plugin
request_headers     grpc_call up test.Echo Echo 5000 "hello"
request_headers     pause
grpc_call_response  get_body grpc_message
grpc_call_response  local_response 200 done
--- plugin_options eval: "upstreams = { up = { '127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:$GrpcServer::PORT' } },\n"
--- response_body chop
done
--- error_log
get_body(grpc_message) = OK "hello"
--- no_error_log
p: a gRPC callout



=== TEST 12: grpc: an upstream that is none
--- plugin
request_headers  proxy_grpc_call other test.Echo Echo {} "" 1000 *
request_headers  proxy_grpc_call "" test.Echo Echo {} "" 1000 *
request_headers  proxy_grpc_stream other test.Echo Chat {} *
--- plugin_options eval: $::UP
--- plugin_log
a gRPC callout to "other" is refused: no upstream of the plugin has this name (option "upstreams"), and the option "callouts" does not allow it as an address
proxy_grpc_call(other test.Echo Echo {} "" 1000 *) = PARSE_FAILURE
a gRPC callout to "" is refused: no upstream of the plugin has this name (option "upstreams"), and the option "callouts" does not allow it as an address
proxy_grpc_call("" test.Echo Echo {} "" 1000 *) = PARSE_FAILURE
proxy_grpc_stream(other test.Echo Chat {} *) = PARSE_FAILURE



=== TEST 13: grpc: an address that the operator allows
--- plugin eval
"request_headers     grpc_call 127.0.0.1:$GrpcServer::PORT test.Echo Echo 5000 hello
request_headers     pause
grpc_call_response  get_body grpc_message
grpc_call_response  local_response 200 done
"
--- plugin_options
callouts = "any",
--- response_body chop
done
--- error_log
get_body(grpc_message) = OK "hello"



=== TEST 14: grpc: Envoy's message for an upstream
--- plugin
request_headers     grpc_call "\x0a\x04\x0a\x02up\x2a\x08\x0a\x03x-e\x12\x01v" test.Echo Metadata 5000 "" x-a=1
request_headers     pause
grpc_call_response  get_body grpc_message
grpc_call_response  local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- error_log
get_body(grpc_message) = OK "x-a: 1\nx-e: v"



=== TEST 15: grpc: what cannot be sent is refused
--- plugin
request_headers  proxy_grpc_call up test.Echo "Echo\r\n" {} "" 1000 *
request_headers  proxy_grpc_call up "" Echo {} "" 1000 *
request_headers  proxy_grpc_call up test.Echo Echo {x-a="b\r\nc: d"} "" 1000 *
request_headers  proxy_grpc_call up test.Echo Echo "\x01\0\0\0" "" 1000 *
--- plugin_options eval: $::UP
--- plugin_log
a gRPC callout to "up" is refused: its service and method are no parts of a path
proxy_grpc_call(up test.Echo "Echo\r\n" {} "" 1000 *) = INTERNAL_FAILURE
a gRPC callout to "up" is refused: its service and method are no parts of a path
proxy_grpc_call(up "" Echo {} "" 1000 *) = INTERNAL_FAILURE
a gRPC callout to "up" is refused: its metadata cannot be sent: there is a name or a value that no HTTP header has
proxy_grpc_call(up test.Echo Echo {x-a="b\r\nc: d"} "" 1000 *) = INTERNAL_FAILURE
a gRPC callout to "up" is refused: its map of metadata is malformed
proxy_grpc_call(up test.Echo Echo "\x01\0\0\0" "" 1000 *) = INTERNAL_FAILURE



=== TEST 16: grpc: from every place
--- plugin
configure           grpc_call up test.Echo Echo 5000 "from configure"
configure           tick 1
tick                once grpc_call up test.Echo Echo 5000 "from tick"
request_headers     grpc_call up test.Echo Echo 5000 "from request"
request_headers     pause
grpc_call_response  get_body grpc_message
grpc_call_response  if_root false continue request
--- plugin_options eval: $::UP
--- response_body
hello
--- wait: 0.5
--- error_log
get_body(grpc_message) = OK "from configure"
get_body(grpc_message) = OK "from tick"
get_body(grpc_message) = OK "from request"



=== TEST 17: grpc: from where a request does not wait, the answer is the root context's
--- plugin
response_headers    proxy_grpc_call up test.Echo Echo {} "from headers" 5000 *
response_body       proxy_grpc_call up test.Echo Echo {} "from body" 5000 *
log                 if_root false proxy_grpc_call up test.Echo Echo {} "from log" 5000 *
--- plugin_options eval: $::UP
--- response_body
hello
--- wait: 0.5
--- plugin_log eval: qr/= OK 1\n.*= OK 2\n.*= OK 3\n(.*invalid token_id\n){3}/s



=== TEST 18: grpc: calls share a connection
--- plugin
request_headers     grpc_call up test.Echo Peer 5000 ""
request_headers     grpc_call up test.Echo Slow 5000 "100"
request_headers     grpc_call up test.Echo Peer 5000 ""
request_headers     pause
grpc_call_response  get_body grpc_message
grpc_call_response  nth 3 local_response 200 done
--- plugin_options eval: $::UP
--- plugin_log eval: qr/OK "(ipv4:.*?)"\n.*OK "\1"\n.*OK "100"\n/s



=== TEST 19: grpc: a connection is kept for the next request
--- plugin
request_headers     grpc_call up test.Echo Peer 5000 ""
request_headers     pause
grpc_call_response  save peer get_body grpc_message
grpc_call_response  local_response 200 $peer
--- plugin_options eval: $::UP
--- http_config
    server {
        listen unix:$TEST_NGINX_HTML_DIR/twice.sock;
        location / {
            rewrite_by_lua_block { chain:rewrite() }
            log_by_lua_block { chain:log() }
        }
    }
--- config
    location /both {
        content_by_lua_block {
            local function get()
                local sock = ngx.socket.tcp()
                assert(sock:connect("unix:$TEST_NGINX_HTML_DIR/twice.sock"))
                sock:send("GET / HTTP/1.0\r\n\r\n")
                local answer = sock:receive("*a")
                sock:close()
                return answer:match("ipv4:%S+")
            end
            local first = get()
            ngx.say(first ~= nil and first == get())
        }
    }
--- request
GET /both
--- response_body
true



=== TEST 20: grpc: a call that is cancelled is never heard of again
--- plugin
request_headers     grpc_call up test.Echo Slow 5000 "300"
request_headers     grpc_cancel 1
request_headers     grpc_cancel 1
request_headers     grpc_call up test.Echo Slow 5000 "400"
request_headers     pause
grpc_call_response  echo_params
grpc_call_response  local_response 200 done
--- plugin_options eval: $::UP
--- response_body chop
done
--- plugin_log
grpc_call(up test.Echo Slow 5000 "300") = OK 1
grpc_cancel(1) = OK
grpc_cancel(1) = NOT_FOUND
grpc_call(up test.Echo Slow 5000 "400") = OK 2
grpc_call_response: context=2 token=2 status=0 size=3
local_response(200 done) = OK



=== TEST 21: grpc: tokens that are none
--- plugin
request_headers  http_call callout 1000
request_headers  grpc_send 1 x true
request_headers  grpc_send 77 x true
request_headers  grpc_cancel 1
request_headers  grpc_close 77
request_headers  grpc_call up test.Echo Slow 1000 "500"
request_headers  grpc_send 2 x true
request_headers  grpc_close 2
request_headers  grpc_close 2
--- plugin_options eval: "upstreams = { up = '127.0.0.1:$GrpcServer::PORT', callout = '127.0.0.1:1' },\n"
--- wait: 0.2
--- error_log
grpc_send(1 x true) = BAD_ARGUMENT
grpc_send(77 x true) = NOT_FOUND
grpc_cancel(1) = NOT_FOUND
grpc_close(77) = NOT_FOUND
grpc_send(2 x true) = BAD_ARGUMENT
grpc_close(2) = OK
grpc_close(2) = NOT_FOUND



=== TEST 22: grpc: an answer outlives its request, and its instance not
--- plugin
request_headers     grpc_call up test.Echo Slow 5000 "200"
request_headers     if_header x-trap yes trap
grpc_call_response  echo_params
grpc_call_response  get_header request :path
--- plugin_options eval: $::UP
--- request eval
["GET /t", "GET /t"]
--- more_headers eval
["", "x-trap: yes"]
--- error_code eval
[200, 503]
--- wait: 0.5
--- no_error_log
grpc_call_response: 



=== TEST 23: grpc: with resume = "callouts" a request goes on after the last answer, and no stream holds it
--- plugin
request_headers     grpc_stream up test.Echo Chat
request_headers     grpc_call up test.Echo Slow 5000 "100"
request_headers     http_call callout 1000
request_headers     pause
http_call_response  log info "the callout"
grpc_call_response  log info "the call"
response_headers    log info "went on"
--- plugin_options eval
"resume = 'callouts', upstreams = { up = '127.0.0.1:$GrpcServer::PORT', callout = '127.0.0.1:1' }"
--- response_body
hello
--- plugin_log
grpc_stream(up test.Echo Chat) = OK 1
grpc_call(up test.Echo Slow 5000 "100") = OK 2
http_call(callout 1000) = OK 3
a callout to "callout" at http://127.0.0.1:1 failed: connect: connection refused
the callout
the call
went on



=== TEST 24: grpc: from vm_start and from a queue, without any request; HTTP from a queue as well
--- http_config
    init_worker_by_lua_block { chain:init_worker() }
--- plugin
configure           register_queue jobs
configure           enqueue jobs one
queue_ready         dequeue jobs
queue_ready         grpc_call up test.Echo Echo 5000 "from a queue"
queue_ready         http_call side 5000 :path=/from-a-queue
grpc_call_response  get_body grpc_message
http_call_response  get_body call_body
--- plugin_options eval
"upstreams = { up = '127.0.0.1:$GrpcServer::PORT', side = '127.0.0.1:\$TEST_NGINX_SERVER_PORT' },
vm_config = 'vm_start grpc_call up test.Echo Echo 5000 from-vm-start',"
--- config
    location /from-a-queue { return 200 $uri; }
--- wait: 0.5
--- error_log
get_body(grpc_message) = OK "from-vm-start"
get_body(grpc_message) = OK "from a queue"
get_body(call_body) = OK "/from-a-queue"



=== TEST 25: grpc: an answer over the option max_callout_response, or over what all answers share
--- plugin
request_headers     grpc_call up test.Echo Big 10000 "1024"
request_headers     pause
grpc_call_response  grpc_status
grpc_call_response  nth 1 grpc_call up test.Echo Big 10000 "2304"
grpc_call_response  nth 2 grpc_call up test.Echo Big 10000 "1792"
grpc_call_response  nth 3 grpc_call up test.Echo Big 10000 "1280"
grpc_call_response  nth 4 local_response 200 done
--- plugin_options eval
$::UP . "max_callout_response = 2000, max_callout_bytes = 1500,"
--- response_body chop
done
--- grep_error_log eval: qr/grpc_status\(\) = \K.*?(?=, client)/
--- grep_error_log_out
OK 0 ""
OK 8 "a message of 2304 bytes came, more than the 2000 allowed (option max_callout_response)"
OK 8 "the answers under way would hold more than 1500 bytes together (option max_callout_bytes)"
OK 0 ""
