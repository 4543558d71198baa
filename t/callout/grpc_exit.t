# A worker that exits with gRPC connections ends, and its plugins hear of it.

use lib 't/lib';
use GrpcServer;
use TestProxyWasm 'no_plan';

our $UP = "upstreams = { up = \"127.0.0.1:$GrpcServer::PORT\" },\n";

# Signals the master, and waits until the worker that answers is asked to exit.
our $SIGNAL = '
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/t", "Connection: close\r\n")
            ngx.sleep(0.2)
            local file = assert(io.open(ngx.config.prefix() .. "/logs/nginx.pid"))
            local pid = file:read("*n")
            file:close()
            os.execute("kill -" .. ngx.var.arg_signal .. " " .. pid)
            ngx.say("exiting ", client.wait(ngx.worker.exiting))
            ngx.print(client.read(sock))
        }
    }
';

# A worker of its own, which can go.
master_on();
no_long_string();
run_tests();

__DATA__

=== TEST 1: exit: a stream that no request waits for ends, the request's does not
--- plugin
configure        grpc_stream up test.Echo Chat
request_headers  grpc_call up test.Echo Slow 5000 "1000"
request_headers  grpc_stream up test.Echo Chat
request_headers  pause
grpc_close       if_root true grpc_status
grpc_close       if_root true log info "the root's"
grpc_close       if_root false log info "the request's"
grpc_call_response  get_body grpc_message
grpc_call_response  grpc_send last one true
grpc_message     get_body grpc_message
grpc_message     continue request
--- plugin_options eval: $::UP
--- location
content_by_lua_block { ngx.say("hello") }
--- config eval: $::SIGNAL
--- request
GET /drive?signal=HUP
--- response_body
exiting true
200hello
--- wait: 1.5
--- error_log
grpc_status() = OK 14 "the worker exits"
the root's
get_body(grpc_message) = OK "1000"
gracefully shutting down



=== TEST 2: exit: a worker with nothing but a kept connection ends at once
--- plugin
configure  grpc_call up test.Echo Echo 5000 "x"
--- plugin_options eval: $::UP
--- location
content_by_lua_block { ngx.say("hello") }
--- config eval: $::SIGNAL
--- request
GET /drive?signal=HUP
--- response_body
exiting true
200hello
--- wait: 1.5
--- error_log eval
qr/\[notice\] .*exited with code 0/



=== TEST 3: exit: QUIT, with ticks, a queue, a stream, and a paused request that waits for a call of its own
--- plugin
configure        tick 50
configure        register_queue jobs
configure        grpc_stream up test.Echo Chat
tick             nth 1 grpc_stream up test.Echo Count
tick             nth 1 grpc_send last "-1" true
request_headers  grpc_call up test.Echo Slow 60000 "2500"
request_headers  pause
grpc_call_response  get_body grpc_message
grpc_call_response  continue request
grpc_close       grpc_status
--- plugin_options eval: $::UP
--- location
content_by_lua_block { ngx.say("hello") }
--- config eval: $::SIGNAL
--- request
GET /drive?signal=QUIT
--- response_body
exiting true
200hello
--- timeout: 20
--- wait: 3
--- error_log
get_body(grpc_message) = OK "2500"
exited with code 0
--- grep_error_log eval: qr/grpc_status\(\) = .*?"/
--- grep_error_log_out
grpc_status() = OK 14 "
grpc_status() = OK 14 "
--- no_error_log
exited on signal



=== TEST 4: exit: QUIT, with ticks, a stream, and a paused request that nobody continues: its time ends it
--- plugin
configure        tick 50
configure        grpc_stream up test.Echo Chat
request_headers  grpc_stream up test.Echo Chat
request_headers  pause
grpc_close       grpc_status
--- plugin_options eval: "$::UP pause_timeout = 2,"
--- location
content_by_lua_block { ngx.say("hello") }
--- config eval: $::SIGNAL
--- request
GET /drive?signal=QUIT
--- response_body_like: exiting true\n504
--- timeout: 20
--- wait: 3
--- error_log
paused for more than 2000 ms
exited with code 0
--- no_error_log
exited on signal
