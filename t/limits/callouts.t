# How many callouts a plugin may have in flight (src/context/state.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';
use IO::Socket::INET;

no_long_string();
# nginx's default.
worker_connections(512);

# Takes connections, and says nothing.
our $SILENT = IO::Socket::INET->new(Listen => 1000, LocalAddr => '127.0.0.1') or die "no port: $!";

run_tests();

__DATA__

=== TEST 1: in flight: one too many is refused with a status that SDKs know, and told
--- plugin_options: max_callouts = 2,
--- plugin
request_headers http_call callout 1000
request_headers http_call callout 1000
request_headers http_call callout 1000
request_headers pause
http_call_response nth 2 continue request
--- callout: echo
--- response_body
hello
--- plugin_log
http_call(callout 1000) = OK 1
http_call(callout 1000) = OK 2
a callout is refused: 2 are in flight, which is the limit (option max_callouts)
http_call(callout 1000) = INTERNAL_FAILURE
continue(request) = OK



=== TEST 2: in flight: an answer makes room for the next one, in its own callback
--- plugin_options: max_callouts = 1,
--- plugin
request_headers http_call callout 1000
request_headers pause
http_call_response nth 1 http_call callout 1000
http_call_response nth 2 http_call callout 1000
http_call_response nth 3 continue request
--- callout: echo
--- response_body
hello
--- plugin_log
http_call(callout 1000) = OK 1
http_call(callout 1000) = OK 2
http_call(callout 1000) = OK 3
continue(request) = OK



=== TEST 3: in flight: of all requests of a worker together
--- plugin_options: max_callouts = 1,
--- plugin
request_headers http_call callout 5000
request_headers if_header x-wait yes pause
http_call_response continue request
--- callout
content_by_lua_block { ngx.sleep(0.5) }
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local waiting = ngx.thread.spawn(client.get, "/t", "x-wait: yes\r\n")
            ngx.sleep(0.1)
            ngx.say((client.get("/t")))
            local _, status = ngx.thread.wait(waiting)
            ngx.say(status)
            ngx.say((client.get("/t", "x-wait: yes\r\n")))
        }
    }
--- request
GET /drive
--- response_body
200
200
200
--- timeout: 10
--- plugin_log
http_call(callout 5000) = OK 1
a callout is refused: 1 are in flight, which is the limit (option max_callouts)
http_call(callout 5000) = INTERNAL_FAILURE
continue(request) = OK
http_call(callout 5000) = OK 2
continue(request) = OK



=== TEST 4: in flight: each plugin has its own
--- plugin_options: max_callouts = 1,
--- plugin
request_headers http_call callout 1000
request_headers http_call callout 1000
--- plugin2_options: max_callouts = 1,
--- plugin2
request_headers http_call callout 1000
request_headers pause
http_call_response continue request
--- callout: echo
--- response_body
hello
--- plugin_log
http_call(callout 1000) = OK 1
a callout is refused: 1 are in flight, which is the limit (option max_callouts)
http_call(callout 1000) = INTERNAL_FAILURE
q: http_call(callout 1000) = OK 1
q: continue(request) = OK



=== TEST 5: in flight: those of a lost instance count for as long as they hold a connection
--- plugin_options: max_callouts = 1,
--- plugin
request_headers if_header x-do wait http_call callout 5000
request_headers if_header x-do wait pause
request_headers if_header x-do trap trap
request_headers if_header x-do call http_call callout 5000
--- callout
content_by_lua_block { ngx.sleep(0.8) }
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local waiting = ngx.thread.spawn(client.get, "/t", "x-do: wait\r\n")
            ngx.sleep(0.1)
            ngx.say((client.get("/t", "x-do: trap\r\n")))
            local _, status = ngx.thread.wait(waiting)
            ngx.say(status)
            ngx.say((client.get("/t", "x-do: call\r\n")))
            ngx.sleep(1)
            ngx.say((client.get("/t", "x-do: call\r\n")))
        }
    }
--- request
GET /drive
--- response_body
503
503
200
200
--- timeout: 10
--- grep_error_log eval: qr/http_call\(callout 5000\) = \w+(?: \d+)?|a callout is refused: [^,]+/
--- grep_error_log_out
http_call(callout 5000) = OK 1
a callout is refused: 1 are in flight
http_call(callout 5000) = INTERNAL_FAILURE
http_call(callout 5000) = OK 2



=== TEST 6: in flight: HTTP and gRPC together
--- plugin_options: max_callouts = 2,
--- plugin
request_headers http_call callout 1000
request_headers grpc_call callout a.B C 1000 message
request_headers http_call callout 1000
request_headers proxy_grpc_call "callout" "a.B" "C" {} "message" 1000 *
request_headers proxy_grpc_stream "callout" "a.B" "C" {} *
--- callout: echo
--- grep_error_log eval: qr/(?:a (?:gRPC )?callout is refused.*?\)|(?:http_call|grpc_call|grpc_stream)\(.*?\) = \w+)/
--- grep_error_log_out
http_call(callout 1000) = OK
grpc_call(callout a.B C 1000 message) = OK
a callout is refused: 2 are in flight, which is the limit (option max_callouts)
http_call(callout 1000) = INTERNAL_FAILURE
a gRPC callout is refused: 2 are in flight, which is the limit (option max_callouts)
grpc_call("callout" "a.B" "C" {} "message" 1000 *) = INTERNAL_FAILURE
a gRPC callout is refused: 2 are in flight, which is the limit (option max_callouts)
grpc_stream("callout" "a.B" "C" {} *) = INTERNAL_FAILURE



=== TEST 7: in flight: by default, what never answers leaves connections to others
--- plugin
request_headers repeat 600 http_call silent 60000
--- plugin_options eval
my $port = $::SILENT->sockport;
"upstreams = { silent = \"127.0.0.1:$port\" },"
--- config
    location = /plain { return 200 plain; }
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.say(client.outcome("/t"))
            local threads, served = {}, 0
            for i = 1, 100 do
                threads[i] = ngx.thread.spawn(client.outcome, "/plain")
            end
            for i = 1, 100 do
                local _, outcome = ngx.thread.wait(threads[i])
                served = served + (outcome == "200 plain" and 1 or 0)
            end
            ngx.say(served)
        }
    }
--- request
GET /drive
--- response_body
200 hello
100
--- error_log
a callout is refused: 256 are in flight, which is the limit (option max_callouts)
--- no_error_log
worker_connections are not enough
