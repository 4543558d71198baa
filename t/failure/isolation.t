# An instance is lost: what becomes of the requests that had contexts in it, and
# of everybody else.

use lib 't/lib';
use TestProxyWasm 'no_plan';

# Requests in every phase when a plugin fails in another one: waiting for a
# callout, in the content phase, in the middle of the response.
our $WAITS = <<'_END_';
request_headers if_header x-where callout http_call side 20000 :path=/never
request_headers if_header x-where callout pause
request_headers if_header x-trap yes trap
_END_

our $LOCATION = <<'_END_';
content_by_lua_block {
    local where = ngx.var.http_x_where
    if where == "content" then
        while not released do
            ngx.sleep(0.01)
        end
    end
    ngx.print("first ")
    if where == "body" then
        ngx.flush(true)
        while not released do
            ngx.sleep(0.01)
        end
    end
    ngx.print("second")
}
_END_

our $BACKEND = <<'_END_';
content_by_lua_block {
    while ngx.var.uri == "/never" and not over do
        ngx.sleep(0.01)
    end
}
_END_

our $DRIVE = <<'_END_';
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local wheres, socks = { "callout", "content", "body" }, {}
            for _, where in ipairs(wheres) do
                socks[where] = client.send("/t", "Connection: close\r\nX-Where: " .. where .. "\r\n")
            end
            ngx.sleep(0.1)
            client.mark("the failure")
            ngx.say("trap: ", client.outcome("/t", "X-Trap: yes\r\n"))
            -- The callout is not answered yet.
            ngx.say("callout: ", client.rest(socks.callout))
            released = true
            ngx.say("content: ", client.rest(socks.content))
            ngx.say("body: ", client.rest(socks.body))
            over = true
            ngx.sleep(0.1)
            client.until_restart()
            ngx.say("next: ", client.outcome("/t"))
            client.no_context_left()
        }
    }
_END_

our $UPSTREAMS = 'upstreams = { side = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },';

no_long_string();
run_tests();

__DATA__

=== TEST 1: closed: requests of a lost instance, wherever they are
--- plugin eval: $::WAITS
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::BACKEND
--- location eval: $::LOCATION
--- config eval: $::DRIVE
--- request
GET /drive
--- response_body
trap: 503 page
callout: 503 page
content: 503
body: 200 first cut
next: 200 first second
no context left
--- no_error_log
[crit]
--- timeout: 30



=== TEST 2: open: requests of a lost instance, wherever they are
--- plugin eval: $::WAITS
--- plugin_options eval
"$::UPSTREAMS fail = \"open\""
--- backend eval: $::BACKEND
--- location eval: $::LOCATION
--- config eval: $::DRIVE
--- request
GET /drive
--- response_body
trap: 200 first second
callout: 200 first second
content: 200 first second
body: 200 first second
next: 200 first second
no context left
--- timeout: 30
--- no_error_log
is refused
[crit]



=== TEST 3: the lost contexts are not called any more, nor the late answers of their callouts
--- plugin eval
$::WAITS . join '', map { "$_ echo_params\n" } qw(context_create http_call_response done log delete)
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::BACKEND
--- location eval: $::LOCATION
--- config eval: $::DRIVE
--- request
GET /drive
--- grep_error_log eval: qr/(?:p|--)(?::| the) \K(?:failure|[a-z_]+: context=\d+|proxy_on_request_headers failed)/
--- grep_error_log_out
context_create: context=2
context_create: context=3
context_create: context=4
failure
context_create: context=5
proxy_on_request_headers failed
context_create: context=6
done: context=6
log: context=6
delete: context=6
--- timeout: 30



=== TEST 4: another plugin of the chain keeps its contexts to their end
--- plugin eval: $::WAITS
--- plugin_options eval: $::UPSTREAMS
--- plugin2
context_create echo_params
response_headers echo_params
done echo_params
log echo_params
delete echo_params
--- backend eval: $::BACKEND
--- location eval: $::LOCATION
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/t", "Connection: close\r\nX-Where: body\r\n")
            ngx.sleep(0.1)
            client.mark("trap")
            client.outcome("/t", "X-Trap: yes\r\n")
            client.mark("over")
            released = true
            ngx.say(client.rest(sock))
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
200 first cut
no context left
--- grep_error_log eval: qr/(?:q: \K[a-z_]+: context=\d+|-- \w+)/
--- grep_error_log_out
context_create: context=2
response_headers: context=2
-- trap
context_create: context=3
response_headers: context=3
done: context=3
log: context=3
delete: context=3
-- over
done: context=2
log: context=2
delete: context=2
--- no_error_log
q: proxy_on



=== TEST 5: the plugins behind a failed one in the header filter are not asked, as the answer stands; at the end they see it
--- plugin
response_headers trap
--- plugin2
response_headers echo_params
log get_header response :status
log get_header response x-secret
log echo_params
--- location
content_by_lua_block {
    ngx.header["X-Secret"] = "yes"
    ngx.say("hello")
}
--- error_code: 503
--- response_body:
--- grep_error_log eval: qr/q: \K\w+[(:].*?(?=,| while)/
--- grep_error_log_out
get_header(response :status) = OK "503"
get_header(response x-secret) = NOT_FOUND
log: context=2



=== TEST 6: a new instance knows nothing of the one before: neither its contexts nor its callouts
--- plugin
configure log info configured
request_headers if_header x-where callout http_call side 20000 :path=/never
request_headers if_header x-where callout pause
request_headers if_header x-trap yes trap
request_headers if_header x-old yes set_effective_context 2
request_headers if_header x-old yes set_effective_context 1
--- plugin_options eval: $::UPSTREAMS
--- plugin2
request_headers if_header x-where callout http_call side 20000 :path=/never
request_headers if_header x-where callout pause
http_call_response continue request
--- plugin2_options eval: $::UPSTREAMS
--- backend
content_by_lua_block {
    ngx.say("hello")
    while ngx.var.uri == "/never" and not over do
        ngx.sleep(0.01)
    end
}
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            client.outcome("/t")
            client.send("/t", "Connection: close\r\nX-Where: callout\r\n")
            ngx.sleep(0.1)
            client.outcome("/t", "X-Trap: yes\r\n")
            client.until_restart()
            ngx.say(client.outcome("/t", "X-Old: yes\r\n"))
            over = true
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
200 hello
no context left
--- grep_error_log eval: qr/p: \K(?:configured|set_effective.*? = \w+)/
--- grep_error_log_out
configured
configured
configured
set_effective_context(2) = BAD_ARGUMENT
set_effective_context(1) = OK



=== TEST 7: every root context is rebuilt, with the VM's and its own configuration
--- http_config
    init_worker_by_lua_block {
        wasm = require "resty.proxy_wasm"
        local plugin = assert(wasm.load("p", "$GUESTS/hostcalls.wasm", {
            vm_config = "vm_start echo_params\nvm_start log debug started",
        }))
        one = assert(wasm.on_configure(plugin, "configure echo_params\nrequest_headers if_header x-trap yes trap"))
        two = assert(wasm.on_configure(plugin, "configure echo_params\nrequest_headers log info two"))
    }
--- config
    location = /path {
        access_by_lua_block {
            if not wasm.on_http_request_headers(ngx.var.arg_root == "two" and two or one) then
                ngx.exit(503)
            end
        }
        content_by_lua_block { ngx.say("hello") }
        log_by_lua_block { wasm.on_log(ngx.var.arg_root == "two" and two or one) }
    }
    location = /t {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            client.mark("the failure")
            ngx.say(client.outcome("/path?root=one", "X-Trap: yes\r\n"))
            client.until_restart()
            ngx.say(client.outcome("/path?root=two"))
        }
    }
--- response_body
503 page
200 hello
--- grep_error_log eval: qr/(?:p|--)(?::| the) \K(?:failure|two|(?:vm_start|configure): context=\d \w+=\d+)/
--- grep_error_log_out
vm_start: context=1 configuration_size=47
configure: context=1 configuration_size=63
vm_start: context=2 configuration_size=47
configure: context=2 configuration_size=50
failure
vm_start: context=1 configuration_size=47
configure: context=1 configuration_size=63
vm_start: context=2 configuration_size=47
configure: context=2 configuration_size=50
two



=== TEST 8: a root context without a user, whose last request was lost, is not rebuilt
--- http_config
    init_worker_by_lua_block {
        wasm = require "resty.proxy_wasm"
        plugin = assert(wasm.load("p", "$GUESTS/hostcalls.wasm"))
        one = assert(wasm.on_configure(plugin, "request_headers if_header x-trap yes trap"))
        two = assert(wasm.on_configure(plugin, "configure log info \"two configured\"\ndone echo_params"))
    }
--- config
    location = /path {
        access_by_lua_block {
            if ngx.var.arg_root == "two" then
                assert(wasm.on_http_request_headers(two))
                two = nil
                collectgarbage()
                collectgarbage()
                ngx.sleep(0.2)
            elseif not wasm.on_http_request_headers(one) then
                ngx.exit(503)
            end
        }
        content_by_lua_block { ngx.say("hello") }
    }
    location = /t {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/path?root=two", "Connection: close\r\n")
            ngx.sleep(0.05)
            ngx.say(client.outcome("/path", "X-Trap: yes\r\n"))
            client.until_restart()
            ngx.say(client.outcome("/path"))
            ngx.say(client.rest(sock))
            client.no_context_left()
        }
    }
--- response_body
503 page
200 hello
200 hello
no context left
--- grep_error_log eval: qr/p: \K(?:two configured|done: context=2)/
--- grep_error_log_out
two configured
