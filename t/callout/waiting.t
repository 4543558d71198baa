# Callouts that wait for a thread, as nginx gives no timer: their time runs all
# the same.

use lib 't/lib';
use GrpcServer;
use TestProxyWasm 'no_plan';

our $UPSTREAMS = "upstreams = {
    side = 'unix:\$TEST_NGINX_HTML_DIR/backend.sock',
    grpc = '127.0.0.1:$GrpcServer::PORT',
},
";

our $SIDE = '
content_by_lua_block {
    dofile("$TOP/t/lib/client.lua").mark("asked for " .. ngx.var.uri)
    ngx.print("answer")
}
';

# No timer of ours runs from `hog` on until `let_go`.
our $HOG = '
    lua_max_running_timers 1;
    init_worker_by_lua_block {
        function hog()
            hogging, free = false, false
            ngx.timer.at(0, function()
                hogging = true
                while not free do
                    ngx.sleep(0.02)
                end
            end)
        end

        function let_go()
            dofile("$TOP/t/lib/client.lua").mark("room")
            free = true
        end
    }
';

our $DRIVE = '
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local status = require("resty.proxy_wasm").status
            hog()
            client.wait(function() return hogging end)
            DO
        }
    }
';

no_long_string();
run_tests();

__DATA__

=== TEST 1: waiting: a timer that nginx dropped is noticed, on a worker that has nothing else to do
--- http_config
    lua_max_running_timers 1;
    init_worker_by_lua_block {
        ngx.timer.at(0, function() ngx.sleep(0.3) end)
        chain:init_worker()
    }
--- plugin
configure http_call side 20000 :path=/configured
http_call_response get_body call_body
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- config
    location = /idle {
        return 200 "idle";
    }
--- request
GET /idle
--- response_body: idle
--- wait: 1.5
--- error_log
[alert]
lua_max_running_timers are not enough
-- asked for /configured
get_body(call_body) = OK "answer"



=== TEST 2: waiting: a callout whose time is over is never sent
--- http_config eval: $::HOG
--- plugin
configure http_call side 100 :path=/late
http_call_response echo_params
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location
content_by_lua_block { ngx.say("hello") }
--- config eval
$::DRIVE =~ s/DO/
            ngx.print(client.get("\/t"))
            ngx.sleep(0.3)
            let_go()
            client.wait(function() return status().plugins[1].callouts == 0 end)
/r
--- request
GET /drive
--- response_body
200hello
--- error_log
[alert]
failed: timeout
num_headers=0 body_size=0 num_trailers=0
--- no_error_log
asked for



=== TEST 3: waiting: a paused request hears of it in time, while there is still no timer
--- http_config eval: $::HOG
--- plugin
request_headers http_call side 100 :path=/late
request_headers pause
http_call_response echo_params
http_call_response local_response 200 late
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- config eval
$::DRIVE =~ s/DO/
            ngx.print(client.get("\/t"))
            let_go()
            client.wait(function() return status().callouts.waiting == 0 end)
            client.no_context_left()
/r
--- request
GET /drive
--- response_body
200lateno context left
--- error_log
[alert]
--- no_error_log
asked for
--- grep_error_log eval: qr/failed: timeout|num_headers=0 body_size=0|-- room/
--- grep_error_log_out
failed: timeout
num_headers=0 body_size=0
-- room



=== TEST 4: waiting: the time that it has waited counts for the callout
--- http_config eval: $::HOG
--- plugin
configure http_call side 2000 :path=/slow
http_call_response log info "over"
--- plugin_options eval: $::UPSTREAMS
--- backend
content_by_lua_block {
    local client = dofile("$TOP/t/lib/client.lua")
    client.mark("asked")
    ngx.sleep(1.9)
    client.mark("slept")
}
--- location
content_by_lua_block { ngx.say("hello") }
--- config eval
$::DRIVE =~ s/DO/
            ngx.print(client.get("\/t"))
            ngx.sleep(0.5)
            let_go()
            client.wait(function() return status().plugins[1].callouts == 0 end)
            ngx.sleep(1)
/r
--- request
GET /drive
--- response_body
200hello
--- error_log
[alert]
failed: receive: timeout
--- grep_error_log eval: qr/-- asked|p: over|-- slept/
--- grep_error_log_out
-- asked
p: over
-- slept



=== TEST 5: waiting: a gRPC callout, for which nobody connects any more
--- http_config eval: $::HOG
--- plugin
configure grpc_call grpc test.Echo Echo 100 "x"
grpc_call_response grpc_status
--- plugin_options eval: $::UPSTREAMS
--- location
content_by_lua_block { ngx.say("hello") }
--- config eval
$::DRIVE =~ s/DO/
            ngx.print(client.get("\/t"))
            ngx.sleep(0.3)
            let_go()
            client.wait(function() return status().plugins[1].callouts == 0 end)
            ngx.say(client.wait(function() return status().callouts.timers == 0 end))
/r
--- request
GET /drive
--- response_body
200hello
true
--- error_log
[alert]
grpc_status() = OK 4 "deadline exceeded"



=== TEST 6: waiting: a gRPC callout of a paused request, while there is still no timer
--- http_config eval: $::HOG
--- plugin
request_headers grpc_call grpc test.Echo Echo 100 "x"
request_headers pause
grpc_call_response grpc_status
grpc_call_response local_response 200 late
--- plugin_options eval: $::UPSTREAMS
--- config eval
$::DRIVE =~ s/DO/
            ngx.print(client.get("\/t"))
            let_go()
            ngx.say(client.wait(function() return status().callouts.waiting == 0 end))
/r
--- request
GET /drive
--- response_body
200latetrue
--- error_log
[alert]
--- grep_error_log eval: qr/grpc_status\(\) = .*?"|-- room/
--- grep_error_log_out
grpc_status() = OK 4 "
-- room



=== TEST 7: waiting: one whose plugin waits for a Lua function hears of it later
--- http_config eval: $::HOG
--- prepare
require("resty.proxy_wasm").register_foreign_function("nested", function()
    -- A request of another plugin's, which waits: it looks what it may wait for.
    local ok, err = pcall(other.rewrite, other)
    return "back"
end)
other = assert(require("resty.proxy_wasm").new_chain {
    { name = "other", path = "$GUESTS/hostcalls.wasm", config = "configure tick 60000\nrequest_headers pause" },
})
--- plugin
configure http_call side 100 :path=/late
request_headers if_header x-kind second foreign nested
http_call_response echo_params
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location
content_by_lua_block { ngx.say("hello") }
--- config eval
$::DRIVE =~ s/DO/
            ngx.say((client.get("\/t")))
            ngx.sleep(0.3)
            ngx.say((client.get("\/t", "X-Kind: second\\r\\n")))
            ngx.say("in flight: ", status().plugins[2].callouts)
            let_go()
            ngx.say("answered: ", client.wait(function() return status().plugins[2].callouts == 0 end))
/r
--- request
GET /drive
--- response_body
200
500
in flight: 1
answered: true
--- error_log
[alert]
yielded, which it must not
failed: timeout
num_headers=0 body_size=0 num_trailers=0
--- no_error_log
asked for
