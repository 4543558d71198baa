# Ticks and queue news of a worker that exits: only while a request is paused,
# which may wait for them.

use lib 't/lib';
use TestProxyWasm 'no_plan';

# Signals the master, and waits until the worker that answers is asked to exit.
our $DRIVE = '
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local function signal(name)
                ngx.sleep(0.2)
                local file = assert(io.open(ngx.config.prefix() .. "/logs/nginx.pid"))
                os.execute("kill -" .. name .. " " .. file:read("*n"))
                file:close()
                assert(client.wait(ngx.worker.exiting))
            end
            DO
        }
    }
';

# A worker of its own, which can go.
master_on();
no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: tick: continues a request that was paused when the worker was told to exit
--- plugin
configure tick 300
request_headers remember
request_headers pause
tick nth 4 log info "the fourth"
tick nth 4 set_effective_context origin
tick nth 4 continue request
done log info done
--- config eval
$::DRIVE =~ s/DO/
            local sock = client.send("\/t", "Connection: close\\r\\n")
            signal("HUP")
            ngx.print(client.read(sock))
/r
--- request
GET /drive
--- response_body
200hello
--- wait: 1
--- error_log
the fourth
p: done
exited with code 0
--- no_error_log
[error]
exited on signal



=== TEST 2: tick: continues a request that pauses when the worker exits already, and no tick is armed any more
--- plugin
configure tick 100
request_headers if_header x-kind late remember
request_headers if_header x-kind late log info "pauses"
request_headers if_header x-kind late pause
tick log info "tick"
tick set_effective_context origin
tick continue request
--- config eval
($::DRIVE =~ s/DO/
            client.get("\/t")
            local sock = client.send("\/late", "Connection: close\\r\\nX-Kind: late\\r\\n")
            signal("QUIT")
            ngx.print(client.read(sock))
/r) . '
    location = /late {
        rewrite_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            client.wait(ngx.worker.exiting)
            ngx.sleep(0.3)
            client.mark("later")
            chain:rewrite()
        }
        content_by_lua_block { ngx.say("hello") }
        log_by_lua_block { chain:log() }
    }
'
--- request
GET /drive
--- response_body
200hello
--- wait: 1
--- error_log
exited with code 0
--- no_error_log
exited on signal
--- grep_error_log eval: qr/-- later|p: pauses|p: tick/
--- grep_error_log_out eval
qr/\A(p: tick\n)*-- later\np: pauses\n(p: tick\n)+\z/



=== TEST 3: tick: none where no request is paused, whatever is still served
--- plugin
configure tick 50
tick log info "tick"
--- config eval
$::DRIVE =~ s/DO/
            client.get("\/t")
            signal("HUP")
            client.mark("exiting")
            ngx.sleep(0.5)
            ngx.say("served")
/r
--- request
GET /drive
--- response_body
served
--- wait: 1
--- error_log
exited with code 0
--- no_error_log
[error]
exited on signal
--- grep_error_log eval: qr/-- exiting|p: tick/
--- grep_error_log_out eval
qr/\A(p: tick\n)+-- exiting\n\z/



=== TEST 4: queue_ready: an item of the new worker's continues a request that is paused in the old one
--- plugin
configure register_queue jobs
request_headers if_header x-kind taker remember
request_headers if_header x-kind taker pause
request_headers if_header x-kind giver enqueue jobs item
queue_ready dequeue jobs
queue_ready set_effective_context origin
queue_ready continue request
--- config eval
$::DRIVE =~ s/DO/
            local sock = client.send("\/t", "Connection: close\\r\\nX-Kind: taker\\r\\n")
            signal("HUP")
            ngx.say((client.get("\/t", "X-Kind: giver\\r\\n")))
            ngx.print(client.read(sock))
/r
--- request
GET /drive
--- response_body
200
200hello
--- wait: 1
--- error_log
exited with code 0
--- no_error_log
exited on signal



=== TEST 5: tick: a foreign function misbehaves in one; the next comes all the same
--- prepare
require("resty.proxy_wasm").register_foreign_function("bad", function() ngx.sleep(0) end)
--- plugin
configure tick 300
request_headers remember
request_headers pause
tick nth 2 foreign bad
tick nth 4 set_effective_context origin
tick nth 4 continue request
--- config eval
$::DRIVE =~ s/DO/
            local sock = client.send("\/t", "Connection: close\\r\\n")
            signal("HUP")
            ngx.print(client.read(sock))
/r
--- request
GET /drive
--- response_body
200hello
--- wait: 1
--- error_log
yielded, which it must not
exited with code 0
--- no_error_log
exited on signal
