# Who is woken for a callout: each wake costs the worker a coroutine's turn.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $UPSTREAMS = 'upstreams = { side = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },';

our $SIDE = 'content_by_lua_block { ngx.sleep(0.02) ngx.print("answer") }';

# Counts what is posted to semaphores.
our $COUNTED = '
    init_worker_by_lua_block {
        local semaphore = require "ngx.semaphore"
        local post = semaphore.post
        posted = 0
        function semaphore.post(self, n)
            posted = posted + (n or 1)
            return post(self, n)
        end
    }
';

# So many requests at a time, each with a callout.
sub drive {
    my ($at_once) = @_;
    return "
    location = /drive {
        content_by_lua_block {
            local client = dofile('\$TOP/t/lib/client.lua')
            local function ask()
                assert(client.get('/t') == 200)
            end
            local function round()
                local threads = {}
                for i = 1, $at_once do
                    threads[i] = ngx.thread.spawn(ask)
                end
                for i = 1, $at_once do
                    assert(ngx.thread.wait(threads[i]))
                end
            end
            -- Until there is a timer with as many threads.
            round()
            local before = posted
            for _ = 1, 5 do
                round()
            end
            ngx.say((posted - before) / 5 / $at_once <= 2 and 'at most 2' or posted - before)
        }
    }
    ";
}

# For 60 connections from nginx to itself.
worker_connections(1024);
no_long_string();
run_tests();

__DATA__

=== TEST 1: wakes: a thread for the callout, and the request when the answer has come
--- http_config eval: $::COUNTED
--- plugin
request_headers http_call side 5000 :path=/a
request_headers pause
http_call_response continue request
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location
    content_by_lua_block { ngx.print("hello") }
--- config eval: main::drive(1)
--- request
GET /drive
--- response_body
at most 2



=== TEST 2: wakes: nobody is woken for nothing, however many callouts there are at once
--- http_config eval: $::COUNTED
--- plugin
request_headers http_call side 5000 :path=/a
request_headers pause
http_call_response continue request
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location
    content_by_lua_block { ngx.print("hello") }
--- config eval: main::drive(20)
--- request
GET /drive
--- response_body
at most 2
