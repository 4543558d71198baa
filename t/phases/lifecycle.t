# The callbacks of a request, in their order, each as often as it must.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $ECHO = join '', map { "$_ echo_params\n" } qw(
    context_create request_headers request_body response_headers response_body done log delete
);

no_long_string();
run_tests();

__DATA__

=== TEST 1: root: created, started and configured, in the master for a trial and in the worker
--- plugin
configure echo_params
--- plugin_options
vm_config = "root_create log info root_create\nvm_start echo_params"
--- plugin_log
root_create
vm_start: context=1 configuration_size=53
configure: context=1 configuration_size=22
root_create
vm_start: context=1 configuration_size=53
configure: context=1 configuration_size=22



=== TEST 2: root: not created again for the next request
--- plugin
configure echo_params
request_headers echo_params
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.say(client.get("/t"))
            ngx.print(client.get("/t"))
        }
    }
--- request
GET /drive
--- plugin_log
configure: context=1 configuration_size=50
configure: context=1 configuration_size=50
request_headers: context=2 num_headers=5 end_of_stream=true
request_headers: context=3 num_headers=5 end_of_stream=true



=== TEST 3: order: a request with a body
--- plugin eval: $::ECHO
--- request
POST /t
abc
--- response_body
hello
--- plugin_log
context_create: context=2 root=1
request_headers: context=2 num_headers=6 end_of_stream=false
request_body: context=2 size=3 end_of_stream=true
response_headers: context=2 num_headers=2 end_of_stream=false
response_body: context=2 size=6 end_of_stream=false
response_body: context=2 size=0 end_of_stream=true
done: context=2
log: context=2
delete: context=2



=== TEST 4: order: neither request nor response has a body
--- plugin eval: $::ECHO
--- request
HEAD /t
--- response_body
--- plugin_log
context_create: context=2 root=1
request_headers: context=2 num_headers=5 end_of_stream=true
response_headers: context=2 num_headers=2 end_of_stream=true
done: context=2
log: context=2
delete: context=2



=== TEST 5: order: a response in several pieces
--- plugin eval: $::ECHO
--- location
content_by_lua_block {
    for _ = 1, 3 do
        ngx.print("piece")
        ngx.flush(true)
    end
}
--- response_body chop
piecepiecepiece
--- plugin_log
context_create: context=2 root=1
request_headers: context=2 num_headers=5 end_of_stream=true
response_headers: context=2 num_headers=2 end_of_stream=false
response_body: context=2 size=5 end_of_stream=false
response_body: context=2 size=5 end_of_stream=false
response_body: context=2 size=5 end_of_stream=false
response_body: context=2 size=0 end_of_stream=true
done: context=2
log: context=2
delete: context=2



=== TEST 6: order: two plugins in a chain take their turns in every phase
--- plugin eval: $::ECHO
--- plugin2 eval: $::ECHO
--- request
POST /t
abc
--- plugin_log
context_create: context=2 root=1
request_headers: context=2 num_headers=6 end_of_stream=false
q: context_create: context=2 root=1
q: request_headers: context=2 num_headers=6 end_of_stream=false
request_body: context=2 size=3 end_of_stream=true
q: request_body: context=2 size=3 end_of_stream=true
response_headers: context=2 num_headers=2 end_of_stream=false
q: response_headers: context=2 num_headers=2 end_of_stream=false
response_body: context=2 size=6 end_of_stream=false
q: response_body: context=2 size=6 end_of_stream=false
response_body: context=2 size=0 end_of_stream=true
q: response_body: context=2 size=0 end_of_stream=true
done: context=2
log: context=2
delete: context=2
q: done: context=2
q: log: context=2
q: delete: context=2



=== TEST 7: order: one loaded plugin, configured twice, has two contexts for a request
--- http_config
    init_by_lua_block {
        local proxy_wasm = require "resty.proxy_wasm"
        local plugin = assert(proxy_wasm.load("p", "$GUESTS/hostcalls.wasm"))
        local script = "context_create echo_params\nrequest_headers echo_params\n"
            .. "log echo_params\ndelete echo_params\n"
        one = assert(proxy_wasm.on_configure(plugin, script))
        two = assert(proxy_wasm.on_configure(plugin, script))
    }
--- config
    location = /t {
        access_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            assert(proxy_wasm.on_http_request_headers(one))
            assert(proxy_wasm.on_http_request_headers(two))
            -- Once per context.
            assert(proxy_wasm.on_http_request_headers(one))
        }
        content_by_lua_block {
            ngx.say("hello")
        }
        log_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            assert(proxy_wasm.on_log(one))
            assert(proxy_wasm.on_log(two))
            assert(proxy_wasm.on_log(two))
        }
    }
--- response_body
hello
--- grep_error_log eval: qr/\w+: context=\d+(?: root=\d+)?/
--- grep_error_log_out
context_create: context=3 root=1
request_headers: context=3
context_create: context=4 root=2
request_headers: context=4
log: context=3
delete: context=3
log: context=4
delete: context=4



=== TEST 8: order: the same plugin twice in a chain has two contexts
--- http_config
    init_by_lua_block {
        local entry = {
            name = "p",
            path = "$GUESTS/hostcalls.wasm",
            config = "request_headers echo_params\nlog echo_params\n",
        }
        chain = assert(require("resty.proxy_wasm").new_chain { entry, entry })
    }
--- config
    location = /t {
        access_by_lua_block { chain:access() }
        content_by_lua_block { ngx.say("hello") }
        log_by_lua_block { chain:log() }
    }
--- response_body
hello
--- grep_error_log eval: qr/\w+: context=\d+/
--- grep_error_log_out
request_headers: context=2
request_headers: context=2
log: context=2
log: context=2



=== TEST 9: order: two requests sent at once on one connection
--- plugin eval: $::ECHO
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local request = "GET /t HTTP/1.1\r\nHost: localhost\r\n\r\n"
            local sock = client.connect()
            sock:send(request .. request)
            ngx.say(client.read(sock))
            ngx.print(client.read(sock))
        }
    }
--- request
GET /drive
--- response_body
200hello

200hello
--- grep_error_log eval: qr/(?:context_create|request_headers|response_headers|done|log|delete): context=\d+/
--- grep_error_log_out
context_create: context=2
request_headers: context=2
response_headers: context=2
done: context=2
log: context=2
delete: context=2
context_create: context=3
request_headers: context=3
response_headers: context=3
done: context=3
log: context=3
delete: context=3



=== TEST 10: order: a context ends with its request, not with the connection
--- plugin eval: $::ECHO
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock
            for i = 1, 3 do
                sock = client.send("/t", nil, sock)
                local _, body = client.read(sock)
                client.mark(body .. i)
                ngx.sleep(0.01)
            end
            ngx.say(sock:close())
        }
    }
--- location
content_by_lua_block {
    ngx.header.content_length = 2
    ngx.print("ok")
}
--- request
GET /drive
--- response_body
1
--- grep_error_log eval: qr/(?:request_headers|response_headers|delete): context=\d+|-- ok\d/
--- grep_error_log_out
request_headers: context=2
response_headers: context=2
delete: context=2
-- ok1
request_headers: context=3
response_headers: context=3
delete: context=3
-- ok2
request_headers: context=4
response_headers: context=4
delete: context=4
-- ok3
