# The functions of resty.proxy_wasm, called by hand in the handlers of nginx.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $setup = <<'_EOC_';
    init_worker_by_lua_block {
        proxy_wasm = require "resty.proxy_wasm"
        function configure(conf, opts)
            local plugin = assert(proxy_wasm.load("p", "$GUESTS/hostcalls.wasm", opts))
            return assert(proxy_wasm.on_configure(plugin, conf))
        end
    }
_EOC_

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value("http_config", $main::setup) if !defined $block->http_config;
});

run_tests();

__DATA__

=== TEST 1: functions: each callback once, in order, and true each time
--- config
    location = /t {
        access_by_lua_block {
            ctx = configure([[
                request_headers  echo_params
                request_body     echo_params
                response_headers echo_params
                response_body    echo_params
                done             log info done
                log              log info log
                delete           log info delete
            ]])
            ngx.req.read_body()
            local said = {}
            said[1] = proxy_wasm.on_http_request_headers(ctx)
            said[2] = proxy_wasm.on_http_request_headers(ctx)
            said[3] = proxy_wasm.on_http_request_body(ctx, ngx.req.get_body_data(), true)
            said[4] = proxy_wasm.on_http_request_body(ctx, ngx.req.get_body_data(), true)
            for i = 1, 4 do
                assert(said[i] == true)
            end
        }
        content_by_lua_block { ngx.print("answer") }
        header_filter_by_lua_block {
            assert(proxy_wasm.on_http_response_headers(ctx) == true)
            assert(proxy_wasm.on_http_response_headers(ctx) == true)
        }
        body_filter_by_lua_block { assert(proxy_wasm.on_http_response_body(ctx) == true) }
        log_by_lua_block {
            assert(proxy_wasm.on_log(ctx) == true)
            assert(proxy_wasm.on_log(ctx) == true)
        }
    }
--- request
POST /t
question
--- response_body chomp
answer
--- wait: 0.2
--- grep_error_log eval: qr/p: (\w+: context=2 size.*?(?=,)|\w+: context=2|done|log|delete)/
--- grep_error_log_out
p: request_headers: context=2
p: request_body: context=2 size=8 end_of_stream=true
p: response_headers: context=2
p: response_body: context=2 size=6 end_of_stream=false
p: response_body: context=2 size=0 end_of_stream=true
p: done
p: log
p: delete
--- no_error_log
[error]



=== TEST 2: functions: a callback that traps gives nil and a sentence, and so does all behind it
--- config
    location = /t {
        access_by_lua_block {
            ctx = configure("request_headers trap\nlog log info logged")
            said = {}
            local function say(ok, err)
                said[#said + 1] = tostring(ok) .. " " .. tostring(err)
            end
            say(proxy_wasm.on_http_request_headers(ctx))
            say(proxy_wasm.on_http_request_headers(ctx))
            say(proxy_wasm.on_http_request_body(ctx, "x", true))
        }
        content_by_lua_block { ngx.print("answer") }
        header_filter_by_lua_block {
            local ok, err = proxy_wasm.on_http_response_headers(ctx)
            said[#said + 1] = tostring(ok) .. " " .. err
        }
        body_filter_by_lua_block {
            if ngx.arg[2] then
                local ok, err = proxy_wasm.on_http_response_body(ctx)
                said[#said + 1] = tostring(ok) .. " " .. err
                ngx.arg[1] = "\n" .. table.concat(said, "\n") .. "\n"
            end
        }
        log_by_lua_block {
            ngx.log(ngx.WARN, "on_log: ", proxy_wasm.on_log(ctx))
        }
    }
--- response_body
answer
nil failed to run proxy_on_request_headers: wasm trap: wasm `unreachable` instruction executed
nil the instance of this request was lost
nil the instance of this request was lost
nil the instance of this request was lost
nil the instance of this request was lost
--- error_log
on_log: true
--- no_error_log
logged



=== TEST 3: functions: a local response ends the request, nothing behind it runs
--- config
    location = /t {
        access_by_lua_block {
            ctx = configure("request_headers local_response 404 \"nothing\\n\" x-why=asked")
            proxy_wasm.on_http_request_headers(ctx)
            ngx.log(ngx.ERR, "it returned")
        }
        content_by_lua_block { ngx.log(ngx.ERR, "content ran") }
        log_by_lua_block { proxy_wasm.on_log(ctx) }
    }
--- error_code: 404
--- response_headers
x-why: asked
--- response_body
nothing
--- no_error_log
[error]



=== TEST 4: functions: a pause waits until the callout is answered and the guest continues
--- config
    location = /t {
        content_by_lua_block {
            local ctx = configure([[
                request_headers    http_call auth 2000 :path=/up
                request_headers    pause
                http_call_response save user get_header call_response x-user
                http_call_response if_root false set_header request x-user $user
                http_call_response continue request
            ]], { upstreams = { auth = "127.0.0.1:" .. ngx.var.server_port } })
            ngx.say(proxy_wasm.on_http_request_headers(ctx), " ", ngx.var.http_x_user)
        }
    }
    location = /up {
        add_header x-user joe;
        return 204;
    }
--- response_body
true joe



=== TEST 5: functions: several plugin contexts, each with a context of its own in the request
--- config
    location = /t {
        content_by_lua_block {
            local first = configure("request_headers add_header request x-seen first")
            local second = configure("request_headers get_header request x-seen")
            ngx.say(proxy_wasm.on_http_request_headers(first),
                    proxy_wasm.on_http_request_headers(second),
                    " ", ngx.var.http_x_seen)
        }
    }
--- response_body
truetrue first
--- error_log
p: get_header(request x-seen) = OK "first"



=== TEST 6: functions: a request body in pieces
--- config
    location = /t {
        content_by_lua_block {
            local ctx = configure("request_body echo_params\nrequest_body if_eos true get_body request_body")
            assert(proxy_wasm.on_http_request_headers(ctx))
            assert(proxy_wasm.on_http_request_body(ctx, "one, ", false))
            assert(proxy_wasm.on_http_request_body(ctx, "two", false))
            assert(proxy_wasm.on_http_request_body(ctx, nil, true))
            assert(proxy_wasm.on_http_request_body(ctx, "too late", true))
            ngx.say("done")
        }
    }
--- request
POST /t
one, two
--- response_body
done
--- grep_error_log eval: qr/p: (request_body: context|get_body).*?(?=, client)/
--- grep_error_log_out
p: request_body: context=2 size=5 end_of_stream=false
p: request_body: context=2 size=8 end_of_stream=false
p: request_body: context=2 size=8 end_of_stream=true
p: get_body(request_body) = OK "one, two"



=== TEST 7: functions: a request body over max_request_body is given to no plugin, whole or in pieces
--- config
    location = /t {
        content_by_lua_block {
            local conf = "request_body echo_params"
            local whole = configure(conf, { max_request_body = 8 })
            ngx.say(proxy_wasm.on_http_request_body(whole, "123456789", true))
            ngx.say(proxy_wasm.on_http_request_body(whole, "x", true))
            local pieces = configure(conf, { max_request_body = 8, fail = "open" })
            ngx.say(proxy_wasm.on_http_request_body(pieces, "12345678", false))
            ngx.say(proxy_wasm.on_http_request_body(pieces, "9", false))
            ngx.say(proxy_wasm.on_http_request_body(pieces, nil, true))
            local most = configure(conf, { max_request_body = 8 })
            ngx.say(proxy_wasm.on_http_request_body(most, "1234", false))
            ngx.say(proxy_wasm.on_http_request_body(most, "5678", true))
            local default = configure(conf)
            ngx.say(proxy_wasm.on_http_request_body(default, ("x"):rep(16 * 1024 * 1024 + 1), true))
            default = configure(conf)
            ngx.say(proxy_wasm.on_http_request_body(default, ("x"):rep(16 * 1024 * 1024), true))
        }
    }
--- request
POST /t
x
--- response_body
nilthe request body is larger than 8 bytes (option max_request_body)
nilthe request body is larger than 8 bytes (option max_request_body)
true
nilthe request body is larger than 8 bytes (option max_request_body)
nilthe request body is larger than 8 bytes (option max_request_body)
true
true
nilthe request body is larger than 16777216 bytes (option max_request_body)
true
--- grep_error_log eval: qr/p: request_body: .*?(?=, client)/
--- grep_error_log_out
p: request_body: context=2 size=8 end_of_stream=false
p: request_body: context=2 size=4 end_of_stream=false
p: request_body: context=2 size=8 end_of_stream=true
p: request_body: context=2 size=16777216 end_of_stream=true



=== TEST 8: functions: ids are never given again
--- config
    location = /t {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            kept = configure("request_headers echo_params")
            for _ = 1, 3 do
                assert(client.get("/one") == 200)
            end
            ngx.say("done")
        }
    }
    location = /one {
        content_by_lua_block {
            ngx.say(proxy_wasm.on_http_request_headers(kept))
        }
        log_by_lua_block { proxy_wasm.on_log(kept) }
    }
--- response_body
done
--- grep_error_log eval: qr/p: request_headers: context=\d+/
--- grep_error_log_out
p: request_headers: context=2
p: request_headers: context=3
p: request_headers: context=4



=== TEST 9: status: what plugins have, while a request waits
--- config
    location = /t {
        content_by_lua_block {
            ctx = configure("request_headers http_call auth 5000\nrequest_headers pause\n"
                            .. "http_call_response continue request",
                            { upstreams = { auth = "127.0.0.1:" .. ngx.var.server_port } })
            local client = dofile("$TOP/t/lib/client.lua")
            local function say()
                local status = proxy_wasm.status()
                assert(#status.plugins == 1)
                local p, c = status.plugins[1], status.callouts
                assert(not p.instance or p.memory > 65536)
                ngx.say(p.name, " ", p.instance, " ", p.root_contexts, " ", p.http_contexts, " ", p.paused, " ",
                        p.callouts, "; ", c.waiting, " ", c.running, " ", c.timers)
            end
            say()
            local sock = client.send("/wait")
            assert(client.wait(function() return proxy_wasm.status().callouts.running == 1 end))
            say()
            go_on = true
            ngx.say(client.read(sock))
            client.wait(function() return proxy_wasm.status().callouts.timers == 0 end)
            client.wait(function() return proxy_wasm.status().plugins[1].http_contexts == 0 end)
            say()
        }
    }
    location = /wait {
        access_by_lua_block { assert(proxy_wasm.on_http_request_headers(ctx)) }
        content_by_lua_block { ngx.print("waited") }
    }
    location = / {
        content_by_lua_block {
            dofile("$TOP/t/lib/client.lua").wait(function() return go_on end)
            ngx.print("auth")
        }
    }
--- response_body
p true 1 0 0 0; 0 0 0
p true 1 1 1 1; 0 1 1
200waited
p true 1 0 0 0; 0 0 0
