# A late answer never reaches another client's request, though ids are given
# again.

use lib 't/lib';
use GrpcServer;
use TestProxyWasm 'no_plan';

our $SETUP = <<'_EOC_';
    lua_check_client_abort on;
    init_worker_by_lua_block {
        wasm = require "resty.proxy-wasm"
        script = [[
            context_create     echo_params
            request_headers    http_call ]] .. "unix:$TEST_NGINX_HTML_DIR/side.sock" .. [[ 20000 :authority=side :path=/slow
            request_headers    pause
            http_call_response echo_params
            http_call_response save body get_body call_body
            http_call_response set_header request x-answer $body
            http_call_response continue request
            delete             echo_params
        ]]
        -- Requests of the side that wait, in order, and those that may answer.
        asked, may_answer = 0, {}
    }
    server {
        listen unix:$TEST_NGINX_HTML_DIR/side.sock;
        location / {
            content_by_lua_block {
                asked = asked + 1
                local mine = asked
                dofile("$TOP/t/lib/client.lua").wait(function() return may_answer[mine] end)
                ngx.print("answer ", mine)
            }
        }
    }
_EOC_

our $HELPERS = <<'_EOC_';
            local client = dofile("$TOP/t/lib/client.lua")
            local function wait(condition)
                assert(client.wait(condition))
            end
_EOC_

no_long_string();
run_tests();

__DATA__

=== TEST 1: http contexts: the id of an aborted request is not given to the next one
--- http_config eval: $::SETUP
--- config eval
"
    location = /r {
        access_by_lua_block {
            assert(wasm.on_http_request_headers(ctx))
        }
        content_by_lua_block { ngx.print(ngx.var.http_x_answer) }
    }
    location = /t {
        content_by_lua_block {
            $::HELPERS" . '
            ctx = assert(wasm.on_configure(assert(wasm.load("p", "$GUESTS/hostcalls.wasm")), script))
            local first = client.send("/r")
            wait(function() return asked == 1 end)
            first:close()
            wait(client.all_ended)

            local second = client.send("/r")
            wait(function() return asked == 2 end)
            may_answer[1] = true
            ngx.sleep(0.3)
            client.mark("the first answer came")
            may_answer[2] = true
            ngx.say(client.read(second))

            wait(client.all_ended)
            may_answer[3] = true
            -- On the same connection of the same client.
            ngx.say(client.read(client.send("/r", nil, second)))
        }
    }
'
--- response_body
200answer 2
200answer 3
--- grep_error_log eval: qr/context_create: context=\d+|http_call_response: context=\d+|delete: context=\d+|-- the first/
--- grep_error_log_out
context_create: context=2
delete: context=2
context_create: context=3
-- the first
http_call_response: context=3
delete: context=3
context_create: context=2
http_call_response: context=2



=== TEST 2: root contexts: the id of one that is gone is not given to the next one
--- http_config eval: $::SETUP
--- config eval
"
    location = /r {
        access_by_lua_block {
            assert(wasm.on_http_request_headers(ctx))
        }
        content_by_lua_block { ngx.print(ngx.var.http_x_answer) }
    }
    location = /t {
        content_by_lua_block {
            $::HELPERS" . '
            local plugin = assert(wasm.load("p", "$GUESTS/hostcalls.wasm"))
            local side = "unix:" .. ngx.config.prefix() .. "html/side.sock"
            local conf = "configure http_call " .. side .. " 20000 :authority=side\nconfigure echo_params\n"
                         .. "http_call_response echo_params\nhttp_call_response get_body call_body\n"
            local keep = assert(wasm.on_configure(plugin, "configure echo_params"))
            assert(wasm.on_configure(plugin, conf))
            wait(function() return asked == 1 end)
            collectgarbage()
            collectgarbage()
            -- The one before has gone, its callout is on its way.
            local second = assert(wasm.on_configure(plugin, conf))
            wait(function() return asked == 2 end)
            may_answer[1] = true
            ngx.sleep(0.3)
            client.mark("the first answer came")
            may_answer[2] = true
            ngx.sleep(0.3)
            local third = assert(wasm.on_configure(plugin, "configure echo_params"))
            ngx.say(keep ~= nil and second ~= nil and third ~= nil)
        }
    }
'
--- response_body
true
--- grep_error_log eval: qr/configure: context=\d+|http_call_response: context=\d+|OK "answer \d"|-- the first/
--- grep_error_log_out
configure: context=1
configure: context=2
configure: context=3
-- the first
http_call_response: context=3
OK "answer 2"
configure: context=2


=== TEST 3: http contexts: no id is given again while a tick, a queue or a callout of the root could name it
--- http_config eval: $::SETUP
--- config eval
"
    location = /r {
        access_by_lua_block {
            assert(wasm.on_http_request_headers(ctx))
        }
        content_by_lua_block { ngx.print('hello') }
    }
    location = /t {
        content_by_lua_block {
            $::HELPERS" . '
            local side = "unix:" .. ngx.config.prefix() .. "html/side.sock"
            local PLUGINS = {
                { "nothing", "" },
                { "a tick", "configure tick 3600000" },
                { "a queue", "configure register_queue jobs" },
                { "a callout", "configure http_call " .. side .. " 20000 :authority=side" },
                { "a stream", "configure grpc_stream 127.0.0.1:' . $GrpcServer::PORT . ' test.Echo Chat" },
                { "a tick that is over", "configure tick 3600000\nlog tick 0" },
            }
            for _, one in ipairs(PLUGINS) do
                client.mark(one[1])
                local plugin = assert(wasm.load("p", "$GUESTS/hostcalls.wasm"))
                ctx = assert(wasm.on_configure(plugin, one[2] .. "\nrequest_headers echo_params"))
                for _ = 1, 3 do
                    assert(client.get("/r") == 200)
                    wait(client.all_ended)
                end
            end
            client.mark("the callout is answered")
            local plugin = assert(wasm.load("p", "$GUESTS/hostcalls.wasm"))
            ctx = assert(wasm.on_configure(plugin, PLUGINS[4][2] .. "\nrequest_headers echo_params"))
            wait(function() return asked == 2 end)
            assert(client.get("/r") == 200)
            wait(client.all_ended)
            may_answer[1], may_answer[2] = true, true
            ngx.sleep(0.3)
            assert(client.get("/r") == 200)
        }
    }
'
--- ignore_response
--- grep_error_log eval: qr/(?<=p: )request_headers: context=\d+|-- [^,]+/
--- grep_error_log_out
-- nothing
request_headers: context=2
request_headers: context=2
request_headers: context=2
-- a tick
request_headers: context=2
request_headers: context=3
request_headers: context=4
-- a queue
request_headers: context=2
request_headers: context=3
request_headers: context=4
-- a callout
request_headers: context=2
request_headers: context=3
request_headers: context=4
-- a stream
request_headers: context=2
request_headers: context=3
request_headers: context=4
-- a tick that is over
request_headers: context=2
request_headers: context=2
request_headers: context=2
-- the callout is answered
request_headers: context=2
request_headers: context=2
