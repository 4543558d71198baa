# A worker that exits with callouts in flight ends after them, and not before.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $SIDE = '
content_by_lua_block {
    ngx.sleep(1)
    ngx.print("late answer")
}
';

our $UPSTREAMS = 'upstreams = { side = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },';

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

=== TEST 1: exit: HUP, a request waits for a callout
--- plugin
request_headers http_call side 5000
request_headers pause
http_call_response get_body call_body
http_call_response continue request
done log info done
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location
content_by_lua_block { ngx.say("hello") }
--- config eval: $::SIGNAL
--- request
GET /drive?signal=HUP
--- response_body
exiting true
200hello
--- wait: 1
--- error_log
get_body(call_body) = OK "late answer"
p: done
gracefully shutting down
exited with code 0
--- no_error_log
[error]
exited on signal



=== TEST 2: exit: HUP, the callout's request is over
--- plugin
log http_call side 5000
--- plugin_options eval: $::UPSTREAMS
--- backend
content_by_lua_block {
    ngx.sleep(0.5)
    ngx.log(ngx.INFO, "[proxy-wasm] -- answered")
}
--- location
content_by_lua_block { ngx.say("hello") }
--- config eval: $::SIGNAL
--- request
GET /drive?signal=HUP
--- response_body
exiting true
200hello
--- wait: 2
--- error_log
-- answered
gracefully shutting down
exited with code 0
--- no_error_log
[error]
exited on signal



=== TEST 3: exit: HUP, callouts that begin when the worker exits already
--- plugin
response_headers http_call side 5000 :path=/from-response
log http_call side 5000 :path=/from-log
done log info done
--- plugin_options eval: $::UPSTREAMS
--- backend
content_by_lua_block {
    ngx.log(ngx.INFO, "[proxy-wasm] -- answered ", ngx.var.uri)
}
--- location
content_by_lua_block {
    dofile("$TOP/t/lib/client.lua").wait(ngx.worker.exiting)
    ngx.sleep(0.1)
    ngx.say("hello")
}
--- config eval: $::SIGNAL
--- request
GET /drive?signal=HUP
--- response_body
exiting true
200hello
--- wait: 2
--- error_log
p: done
-- answered /from-response
-- answered /from-log
exited with code 0
--- no_error_log
[error]
exited on signal



=== TEST 4: exit: HUP, contexts without a log phase are ended before the worker goes
--- plugin
done log info done
--- location
return 444;
--- config eval
($::SIGNAL =~ s{"/t"}{"/quiet"}r) . '
    location = /quiet {
        rewrite_by_lua_block { chain:rewrite() }
        content_by_lua_block {
            dofile("$TOP/t/lib/client.lua").wait(ngx.worker.exiting)
            ngx.say("hello")
        }
    }
'
--- request
GET /drive?signal=HUP
--- response_body
exiting true
200hello
--- wait: 2
--- error_log
p: done
gracefully shutting down
exited with code 0
--- no_error_log
[error]
exited on signal



=== TEST 5: exit: HUP, with paused requests that are never continued
--- plugin
request_headers http_call side 1000 :path=/slow
request_headers pause
done log info done
--- plugin_options eval
"$::UPSTREAMS pause_timeout = 0.5"
--- backend eval: $::SIDE
--- location
content_by_lua_block { ngx.say("hello") }
--- config eval
$::SIGNAL =~ s/ngx.print\(client.read\(sock\)\)/ngx.say((client.read(sock)))/r
--- request
GET /drive?signal=HUP
--- response_body
exiting true
504
--- wait: 2
--- error_log
p: done
paused for more than 500 ms
exited with code 0
--- no_error_log
exited on signal



=== TEST 6: exit: QUIT, a request waits for a callout
--- plugin
request_headers http_call side 5000
request_headers pause
http_call_response get_body call_body
http_call_response continue request
done log info done
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location
content_by_lua_block { ngx.say("hello") }
--- config eval: $::SIGNAL
--- request
GET /drive?signal=QUIT
--- response_body
exiting true
200hello
--- wait: 1
--- error_log
get_body(call_body) = OK "late answer"
p: done
exited with code 0
--- no_error_log
[error]
exited on signal



=== TEST 7: exit: a request that begins when the worker exits already
--- plugin
done echo_params
--- location
return 444;
--- config
    location = /quiet {
        rewrite_by_lua_block { chain:rewrite() }
        content_by_lua_block { ngx.print("hello") }
    }
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            -- The first timer of a worker must not come when it exits already:
            -- lua-nginx-module would complain of a connection of its own.
            client.get("/quiet")
            local sock = client.connect()
            sock:send("GET /quiet HTTP/1.1\r\nHost: ")
            ngx.sleep(0.2)
            local file = assert(io.open(ngx.config.prefix() .. "/logs/nginx.pid"))
            os.execute("kill -HUP " .. file:read("*n"))
            file:close()
            ngx.say("exiting ", client.wait(ngx.worker.exiting))
            sock:send("localhost\r\n\r\n")
            ngx.say(client.read(sock))
        }
    }
--- request
GET /drive
--- response_body
exiting true
200hello
--- wait: 1
--- error_log
done: context=2
done: context=3
exited with code 0
--- no_error_log
[error]
exited on signal



=== TEST 8: exit: QUIT, ticks and a queue are armed, and a callout that nobody waits for gets no answer
--- plugin
configure tick 100
configure register_queue jobs
tick once http_call side 60000
log http_call side 60000
http_call_response echo_params
http_call_response http_call side 60000
--- plugin_options
upstreams = { side = "127.0.0.1:$TEST_NGINX_RAND_PORT_1" },
--- tcp_listen: $TEST_NGINX_RAND_PORT_1
--- tcp_no_close
--- tcp_reply_delay: 20
--- tcp_reply: too late
--- location
content_by_lua_block { ngx.say("hello") }
--- config eval: $::SIGNAL
--- request
GET /drive?signal=QUIT
--- response_body
exiting true
200hello
--- wait: 3
--- error_log
failed: the worker exits
num_headers=0 body_size=0 num_trailers=0
exited with code 0
--- no_error_log
exited on signal



=== TEST 9: exit: QUIT, ticks are armed, and a paused request waits for a slow answer
--- plugin
configure tick 100
request_headers http_call side 60000
request_headers pause
http_call_response get_body call_body
http_call_response continue request
--- plugin_options eval: $::UPSTREAMS
--- backend
content_by_lua_block {
    ngx.sleep(2.5)
    ngx.print("late answer")
}
--- location
content_by_lua_block { ngx.say("hello") }
--- config eval: $::SIGNAL
--- request
GET /drive?signal=QUIT
--- response_body
exiting true
200hello
--- timeout: 10
--- wait: 2
--- error_log
get_body(call_body) = OK "late answer"
exited with code 0
--- no_error_log
[error]
exited on signal



=== TEST 10: exit: QUIT, a paused request and a callout of nobody's: the one is waited for, the other not
--- plugin
configure http_call silent 60000
request_headers http_call side 1500
request_headers pause
http_call_response if_call silent log info "given up"
http_call_response if_call side log info "failed in time"
http_call_response if_call side continue request
--- plugin_options
upstreams = { silent = "127.0.0.1:$TEST_NGINX_RAND_PORT_1", side = "127.0.0.1:$TEST_NGINX_RAND_PORT_1" },
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        location / {
            content_by_lua_block { ngx.sleep(20) }
        }
    }
    lua_check_client_abort on;
--- location
content_by_lua_block { ngx.say("hello") }
--- config eval: $::SIGNAL
--- request
GET /drive?signal=QUIT
--- response_body
exiting true
200hello
--- timeout: 10
--- wait: 3
--- error_log
failed in time
given up
failed: the worker exits
exited with code 0
--- no_error_log
exited on signal



=== TEST 11: exit: what a request asks for when it ends gets its time, however long the worker exits already
--- plugin
configure http_call silent 60000
log http_call side 5000
http_call_response if_call silent log info "given up"
--- plugin_options
upstreams = { silent = "127.0.0.1:$TEST_NGINX_RAND_PORT_1", side = "127.0.0.1:$TEST_NGINX_RAND_PORT_1" },
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        location / {
            content_by_lua_block {
                ngx.sleep(ngx.var.http_host == "side" and 0.2 or 20)
                ngx.print("answer")
                ngx.log(ngx.INFO, "[proxy-wasm] -- answered")
            }
        }
    }
    lua_check_client_abort on;
--- location
content_by_lua_block {
    dofile("$TOP/t/lib/client.lua").wait(ngx.worker.exiting)
    ngx.sleep(1.5)
    ngx.say("hello")
}
--- config eval: $::SIGNAL
--- request
GET /drive?signal=HUP
--- response_body
exiting true
200hello
--- timeout: 10
--- wait: 2
--- grep_error_log eval: qr/failed: the worker exits|p: given up|-- answered/
--- grep_error_log_out
failed: the worker exits
p: given up
-- answered
--- error_log
exited with code 0
--- no_error_log
exited on signal



=== TEST 12: exit: so does what it asks for without a log phase
--- plugin
configure http_call silent 60000
log http_call side 5000
http_call_response if_call silent log info "given up"
--- plugin_options
upstreams = { silent = "127.0.0.1:$TEST_NGINX_RAND_PORT_1", side = "127.0.0.1:$TEST_NGINX_RAND_PORT_1" },
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        location / {
            content_by_lua_block {
                ngx.sleep(ngx.var.http_host == "side" and 0.2 or 20)
                ngx.print("answer")
                ngx.log(ngx.INFO, "[proxy-wasm] -- answered")
            }
        }
    }
    lua_check_client_abort on;
--- location
return 444;
--- config eval
($::SIGNAL =~ s{"/t"}{"/quiet"}r) . '
    location = /quiet {
        rewrite_by_lua_block { chain:rewrite() }
        content_by_lua_block {
            dofile("$TOP/t/lib/client.lua").wait(ngx.worker.exiting)
            ngx.sleep(1.5)
            ngx.say("hello")
        }
    }
'
--- request
GET /drive?signal=HUP
--- response_body
exiting true
200hello
--- timeout: 10
--- wait: 2
--- grep_error_log eval: qr/failed: the worker exits|p: given up|-- answered/
--- grep_error_log_out
failed: the worker exits
p: given up
-- answered
--- error_log
exited with code 0
--- no_error_log
exited on signal
