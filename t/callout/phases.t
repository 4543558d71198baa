# Callouts can be made from every callback, one after another and many at a
# time, and outlive who asked for them.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $UPSTREAMS = 'upstreams = { side = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },';

our $HELLO = 'content_by_lua_block { ngx.say("hello") }';

# Says what it was asked for.
our $SIDE = '
content_by_lua_block {
    ngx.sleep(tonumber(ngx.var.arg_delay) or 0)
    ngx.log(ngx.INFO, "[proxy-wasm] -- asked for ", ngx.var.uri)
    ngx.print("answer to ", ngx.var.uri)
}
';

# For 500 connections from nginx to itself.
worker_connections(4096);
no_long_string();
run_tests();

__DATA__

=== TEST 1: origin: request headers, and the answer is the http context's
--- plugin
request_headers http_call side 5000 :path=/a
request_headers pause
http_call_response echo_params
http_call_response get_header request host
http_call_response continue request
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location eval: $::HELLO
--- response_body
hello
--- plugin_log
http_call(side 5000 :path=/a) = OK 1
-- asked for /a
http_call_response: context=2 token=1 num_headers=6 body_size=12 num_trailers=0
get_header(request host) = OK "localhost"
continue(request) = OK



=== TEST 2: origin: every callback of a request
--- plugin
request_headers http_call side 5000 :path=/request_headers
request_body http_call side 5000 :path=/request_body
response_headers http_call side 5000 :path=/response_headers
response_body if_eos true http_call side 5000 :path=/response_body
done if_root false http_call side 5000 :path=/done
log if_root false http_call side 5000 :path=/log
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location eval: $::HELLO
--- request
POST /t
body
--- response_body
hello
--- wait: 0.5
--- error_log
asked for /request_headers
asked for /request_body
asked for /response_headers
asked for /response_body
asked for /done
asked for /log



=== TEST 3: origin: vm_start and configure, in the worker's start, without any request
--- http_config
    server {
        listen unix:$TEST_NGINX_HTML_DIR/backend.sock;
        location / {
            content_by_lua_block {
                ngx.log(ngx.INFO, "asked for ", ngx.var.uri)
                ngx.print("answer to ", ngx.var.uri)
            }
        }
    }
    init_worker_by_lua_block {
        chain = assert(require("resty.proxy_wasm").new_chain { {
            name = "p",
            path = "$GUESTS/hostcalls.wasm",
            vm_config = "vm_start http_call side 5000 :path=/vm_start",
            config = "configure http_call side 5000 :path=/configure\n"
                .. "http_call_response get_body call_body\n",
            upstreams = { side = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },
        } })
    }
--- config
    location = /t {
        content_by_lua_block {
            ngx.sleep(0.3)
            ngx.say("the chain was not used")
        }
    }
--- response_body
the chain was not used
--- grep_error_log eval: qr{asked for /\w+|answer to /\w+}
--- grep_error_log_out
asked for /vm_start
asked for /configure
answer to /vm_start
answer to /configure



=== TEST 4: origin: configure in the master: dropped there, made again by the worker
--- plugin
configure http_call side 5000 :path=/configure
http_call_response get_body call_body
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location eval: $::HELLO
--- response_body
hello
--- wait: 0.3
--- plugin_log
http_call(side 5000 :path=/configure) = OK 1
http_call(side 5000 :path=/configure) = OK 2
-- asked for /configure
get_body(call_body) = OK "answer to /configure"



=== TEST 5: order: one after another, each from the callback of the one before
--- plugin
request_headers http_call side 5000 :path=/1
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call side 5000 :path=/2
http_call_response nth 2 http_call side 5000 :path=/3
http_call_response nth 3 continue request
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location eval: $::HELLO
--- response_body
hello
--- plugin_log
http_call(side 5000 :path=/1) = OK 1
-- asked for /1
get_body(call_body) = OK "answer to /1"
http_call(side 5000 :path=/2) = OK 2
-- asked for /2
get_body(call_body) = OK "answer to /2"
http_call(side 5000 :path=/3) = OK 3
-- asked for /3
get_body(call_body) = OK "answer to /3"
continue(request) = OK



=== TEST 6: order: at a time, answered as the answers come
--- plugin
request_headers http_call side 5000 :path=/slow?delay=0.4
request_headers http_call side 5000 :path=/fast
request_headers http_call side 5000 :path=/middle?delay=0.2
request_headers pause
http_call_response get_body call_body
http_call_response nth 3 continue request
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location eval: $::HELLO
--- response_body
hello
--- grep_error_log eval: qr{OK "answer to /\w+|continue\(\w+}
--- grep_error_log_out
OK "answer to /fast
OK "answer to /middle
OK "answer to /slow
continue(request



=== TEST 7: life: a request that ends before its callouts: they are answered to the root
--- plugin_guest: late_answer
--- plugin
x
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location eval: $::HELLO
--- response_body
hello
--- wait: 0.5
--- plugin_log
asked
deleted
-- asked for /late
answered to the root
answer to /late



=== TEST 8: life: a plugin that nobody holds any more
--- http_config
    server {
        listen unix:$TEST_NGINX_HTML_DIR/backend.sock;
        location / {
            content_by_lua_block {
                ngx.sleep(0.3)
                ngx.print("late")
            }
        }
    }
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            do
                local plugin = assert(proxy_wasm.load("p", "$GUESTS/hostcalls.wasm", {
                    upstreams = { side = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },
                }))
                local root = assert(proxy_wasm.on_configure(plugin,
                    "configure http_call side 5000\ndelete echo_params\n"))
                plugin, root = nil, nil
            end
            collectgarbage()
            collectgarbage()
            ngx.sleep(0.5)
            ngx.say("alive")
        }
    }
--- response_body
alive
--- error_log
delete: context=1



=== TEST 9: many: 500 at a time, from one callback
--- plugin
request_headers repeat 500 http_call side 20000 :path=/?delay=0.5
request_headers pause
http_call_response nth 500 local_response 200 "all of them"
--- plugin_options eval
"$::UPSTREAMS max_callouts = 500,"
--- backend
content_by_lua_block {
    ngx.sleep(0.3)
    ngx.print("side")
}
--- location eval: $::HELLO
--- main_config
    worker_rlimit_nofile 4096;
--- response_body chop
all of them
--- timeout: 30



=== TEST 10: many: more requests than one timer takes, each with callouts, over and over
--- plugin
request_headers http_call side 20000
request_headers http_call side 20000
request_headers pause
--- plugin_options eval
"$::UPSTREAMS resume = 'callouts'"
--- backend
return 200 side;
--- location
content_by_lua_block { ngx.print("hello") }
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local good = 0
            local threads = {}
            for i = 1, 20 do
                threads[i] = ngx.thread.spawn(function()
                    local sock
                    for _ = 1, 50 do
                        sock = client.send("/t", nil, sock)
                        local status, body = client.read(sock)
                        if status == 200 and body == "hello" then
                            good = good + 1
                        end
                    end
                end)
            end
            for i = 1, 20 do
                ngx.thread.wait(threads[i])
            end
            ngx.say(good)
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
1000
no context left
--- timeout: 60
--- log_level: warn



=== TEST 11: many: nginx has no timer left: the callouts wait, and are made when it has
--- http_config
    lua_max_pending_timers 1;
--- plugin
request_headers http_call side 20000
request_headers pause
http_call_response continue request
--- plugin_options eval: $::UPSTREAMS
--- backend
return 200 side;
--- location eval: $::HELLO
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.timer.at(0.5, function() end)
            ngx.print(client.get("/t"))
        }
    }
--- request
GET /drive
--- response_body
200hello
--- timeout: 20
