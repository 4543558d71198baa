# A native Go guest makes gRPC calls and streams from its configuration, from a
# tick and from a request.

use lib 't/lib';
use GrpcServer;
use TestProxyWasm 'no_plan';

our $UP = "upstreams = { up = \"127.0.0.1:$GrpcServer::PORT\" },\n";

our $INIT_WORKER = '
    init_worker_by_lua_block { chain:init_worker() }
';

our $LOCATION = '
    location /go-grpc {
        rewrite_by_lua_block { chain:rewrite() }
        log_by_lua_block { chain:log() }
        content_by_lua_block { ngx.say("went on") }
    }
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            for _, path in ipairs({ "call", "fail", "stream" }) do
                local status, body = client.get("/go-grpc-" .. path)
                ngx.print(status, " ", body)
            end
        }
    }
';

no_long_string();
run_tests();

__DATA__

=== TEST 1: go_native: gRPC from configure, without any request, and from a tick
--- plugin chop
grpc
--- plugin_guest: go_native
--- plugin_options eval: $::UP
--- http_config eval: $::INIT_WORKER
--- wait: 0.5
--- response_body
hello
--- error_log
gRPC callout from configure: 0 '' 'hello from configure'
gRPC callout from configure, a stream,: 0 '' 're:configured,re:re:configured'
gRPC callout from tick: 0 '' 'hello from tick'
gRPC callout from tick, a stream,: 0 '' 're:ticked,re:re:ticked'
--- no_error_log
failed
refused



=== TEST 2: go_native: a request waits for a gRPC call, for one that fails, and for a stream
--- plugin
--- plugin_guest: go_native
--- plugin_options eval: $::UP
--- config eval: $::LOCATION
--- request
GET /drive
--- response_body
200 went on
200 went on
200 went on
--- plugin_log eval
qr/gRPC callout from request: 0 '' 'hello from request'
(.*\n)*gRPC callout from request: 7 'not you' ''
(.*\n)*gRPC callout from request, a stream,: 0 '' 're:requested,re:re:requested'
/



=== TEST 3: go_native: gRPC callouts that fail, and that are refused
--- plugin chop
grpc
--- plugin_guest: go_native
--- plugin_options
upstreams = { up = "127.0.0.1:1" },
--- plugin2 chop
grpc
--- plugin2_guest: go_native
--- http_config eval: $::INIT_WORKER
--- wait: 0.5
--- response_body
hello
--- error_log
p: gRPC callout from configure: 14 'connect: connection refused' ''
p: gRPC callout from configure, a stream,: 14 'connect: connection refused' ''
p: gRPC callout from tick: 14 'connect: connection refused' ''
q: a gRPC callout from configure is refused:
q: a gRPC stream from configure, a stream, is refused:
q: a gRPC callout from tick is refused:
