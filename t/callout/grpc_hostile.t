# gRPC upstreams that misbehave: the call ends, in time, and the worker goes on.

use lib 't/lib';
use GrpcServer 'hostile';
use TestProxyWasm 'no_plan';

# One call, to that upstream and with so many milliseconds: how it ends, and
# with what.
our $call = sub {
    my ($upstream, $timeout) = @_;
    return <<"_END_";
request_headers     grpc_call $upstream test.Echo Echo $timeout "hello"
request_headers     pause
grpc_call_response  grpc_status
grpc_call_response  get_body grpc_message
grpc_call_response  local_response 200 done
_END_
};

no_long_string();
run_tests();

__DATA__

=== TEST 1: hostile: garbage instead of HTTP/2
--- plugin eval: $::call->("garbage", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 14 "
--- no_error_log
[crit]



=== TEST 2: hostile: an answer of HTTP/1
--- plugin eval: $::call->("http1", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 14 "
--- no_error_log
[crit]



=== TEST 3: hostile: a connection that is closed at once
--- plugin eval: $::call->("closing", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 14 "
--- no_error_log
[crit]



=== TEST 4: hostile: a connection that ends in the middle of a frame
--- plugin eval: $::call->("cut", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 14 "
--- no_error_log
[crit]



=== TEST 5: hostile: a stream that is reset
--- plugin eval: $::call->("reset", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 13 "
--- no_error_log
[crit]



=== TEST 6: hostile: a connection that goes away in anger
--- plugin eval: $::call->("angry", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 14 "
--- no_error_log
[crit]



=== TEST 7: hostile: every connection refuses the stream
--- plugin eval: $::call->("refusing_always", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 14 "
--- no_error_log
[crit]



=== TEST 8: hostile: a page of HTML
--- plugin eval: $::call->("html", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 2 "the upstream's answer is no gRPC: its content-type is
--- no_error_log
[crit]



=== TEST 9: hostile: a status of HTTP alone
--- plugin eval: $::call->("busy", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 14 "the upstream answered with HTTP status 503"
--- no_error_log
[crit]



=== TEST 10: hostile: an answer without a status
--- plugin eval: $::call->("no_status", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 2 "the upstream's answer ended without a grpc-status"
--- no_error_log
[crit]



=== TEST 11: hostile: a status that is no number
--- plugin eval: $::call->("bad_status", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 2 ""
--- no_error_log
[crit]



=== TEST 12: hostile: an answer that ends in the middle of a message
--- plugin eval: $::call->("half", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 13 "the upstream's answer ended in the middle of a message"
--- no_error_log
[crit]



=== TEST 13: hostile: a message of four gigabytes
--- plugin eval: $::call->("giant", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 8 "a message of 4294967295 bytes came, more than the 16777216 allowed (option max_callout_response)"
--- no_error_log
[crit]



=== TEST 14: hostile: a message with a flag that nobody knows
--- plugin eval: $::call->("odd_flag", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 13 "the upstream's answer has no gRPC message where one must begin"
--- no_error_log
[crit]



=== TEST 15: hostile: two messages where one is asked for
--- plugin eval: $::call->("twice", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 13 "the upstream answered with more than one message"
--- no_error_log
[crit]



=== TEST 16: hostile: no message where one is asked for
--- plugin eval: $::call->("empty", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 13 "the upstream's answer has no message"
--- no_error_log
[crit]



=== TEST 17: hostile: headers without measure
--- plugin eval: $::call->("fat", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 13 "
--- no_error_log
[crit]



=== TEST 18: hostile: headers without end
--- plugin eval: $::call->("endless_head", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 14 "
--- no_error_log
[crit]



=== TEST 19: hostile: headers that are none
--- plugin eval: $::call->("bad_block", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 14 "
--- no_error_log
[crit]



=== TEST 20: hostile: a push that nobody wants
--- plugin eval: $::call->("promising", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 14 "
--- no_error_log
[crit]



=== TEST 21: hostile: answers to what nobody asked
--- plugin eval: $::call->("unasked", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 14 "
--- no_error_log
[crit]



=== TEST 22: hostile: an answer that drips
--- plugin eval: $::call->("dripping", 500)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 4 "deadline exceeded"
--- no_error_log
[crit]



=== TEST 23: hostile: a server that says nothing
--- plugin eval: $::call->("silent", 300)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 4 "deadline exceeded"
--- no_error_log
[crit]



=== TEST 24: hostile: a server that never answers
--- plugin eval: $::call->("mute", 300)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 4 "deadline exceeded"
--- no_error_log
[crit]



=== TEST 25: hostile: a server that takes nothing
--- plugin eval: $::call->("no_window", 300)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_status() = OK 4 "deadline exceeded"
--- no_error_log
[crit]



=== TEST 26: hostile: a stream that is refused goes over another connection
--- plugin eval: $::call->("refusing", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
get_body(grpc_message) = OK "fine"
--- no_error_log
[error]



=== TEST 27: hostile: a connection that goes away without looking: the call goes over another
--- plugin eval: $::call->("leaving", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
get_body(grpc_message) = OK "fine"
--- no_error_log
[error]



=== TEST 28: hostile: pings without measure
--- plugin eval: $::call->("pinging", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
get_body(grpc_message) = OK "fine"
--- no_error_log
[error]



=== TEST 29: hostile: an answer a byte at a time, behind what may be ignored
--- plugin eval: $::call->("in_pieces", 5000)
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
get_body(grpc_message) = OK "fine"
--- no_error_log
[error]



=== TEST 30: hostile: each connection goes away behind its answer
--- plugin
request_headers     grpc_call last_answer test.Echo Echo 5000 "hello"
request_headers     pause
grpc_call_response  get_body grpc_message
grpc_call_response  nth 1 grpc_call last_answer test.Echo Echo 5000 "hello"
grpc_call_response  nth 2 grpc_call last_answer test.Echo Echo 5000 "hello"
grpc_call_response  nth 3 local_response 200 done
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- plugin_log
grpc_call(last_answer test.Echo Echo 5000 "hello") = OK 1
get_body(grpc_message) = OK "fine"
grpc_call(last_answer test.Echo Echo 5000 "hello") = OK 2
get_body(grpc_message) = OK "fine"
grpc_call(last_answer test.Echo Echo 5000 "hello") = OK 3
get_body(grpc_message) = OK "fine"
local_response(200 done) = OK



=== TEST 31: hostile: an upstream that takes one call at a time
--- plugin
request_headers     grpc_call one_stream test.Echo Echo 5000 "a"
request_headers     grpc_call one_stream test.Echo Echo 5000 "b"
request_headers     grpc_call one_stream test.Echo Echo 5000 "c"
request_headers     pause
grpc_call_response  get_body grpc_message
grpc_call_response  nth 3 local_response 200 done
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- plugin_log
grpc_call(one_stream test.Echo Echo 5000 "a") = OK 1
grpc_call(one_stream test.Echo Echo 5000 "b") = OK 2
grpc_call(one_stream test.Echo Echo 5000 "c") = OK 3
get_body(grpc_message) = OK "fine"
get_body(grpc_message) = OK "fine"
get_body(grpc_message) = OK "fine"
local_response(200 done) = OK



=== TEST 32: hostile: a stream whose connection ends hears of it
--- plugin
request_headers         grpc_stream cut test.Echo Chat
request_headers         grpc_send last one false
request_headers         pause
grpc_trailing_metadata  echo_params
grpc_close              echo_params
grpc_close              local_response 200 done
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- error_log
grpc_trailing_metadata: context=2 token=1 count=0
grpc_close: context=2 token=1 status=14



=== TEST 33: hostile: a connection at whose end is nobody any more is left
--- plugin
request_headers     grpc_call gone test.Echo Echo 5000 "a"
request_headers     pause
grpc_call_response  grpc_status
grpc_call_response  nth 1 grpc_call gone test.Echo Echo 300 "b"
grpc_call_response  nth 2 grpc_call gone test.Echo Echo 5000 "c"
grpc_call_response  nth 3 local_response 200 done
--- plugin_options eval: $GrpcServer::HOSTILE
--- response_body chop
done
--- grep_error_log eval: qr/grpc_call\(gone [^)]*\) = OK \d|grpc_status\(\) = OK \d+/
--- grep_error_log_out
grpc_call(gone test.Echo Echo 5000 "a") = OK 1
grpc_status() = OK 0
grpc_call(gone test.Echo Echo 300 "b") = OK 2
grpc_status() = OK 4
grpc_call(gone test.Echo Echo 5000 "c") = OK 3
grpc_status() = OK 0
