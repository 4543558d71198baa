# resty.proxy-wasm: the return values and error strings of wasm-nginx-module's
# module of that name, word for word.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $setup = <<'_EOC_';
    init_worker_by_lua_block {
        wasm = require "resty.proxy-wasm"
        function configure(conf, guest)
            local path = "$GUESTS/" .. (guest or "hostcalls") .. ".wasm"
            return assert(wasm.on_configure(assert(wasm.load("p", path)), conf))
        end
    }
_EOC_

add_block_preprocessor(sub {
    my $block = shift;
    if (!defined $block->http_config) {
        $block->set_value("http_config", $main::setup);
    }
});

run_tests();

__DATA__

=== TEST 1: load: a plugin, or nil and why
--- config
    location = /t {
        content_by_lua_block {
            ngx.say(type(wasm.load("p", "$GUESTS/maps.wasm")))
            ngx.say(wasm.load("p", "/nowhere/plugin.wasm"))
            ngx.say(wasm.load("p", "$GUESTS/abi_none.wasm"))
            ngx.say(wasm.load("p", "$GUESTS/../../Makefile"))
            ngx.say((select(2, wasm.load("p", "/"))))
        }
    }
--- response_body
cdata
nil/nowhere/plugin.wasm: No such file or directory
nilfailed to load wasm plugin
nilfailed to load wasm plugin
/: Is a directory
--- error_log
abi_none.wasm: failed to load: no Proxy-Wasm plugin: it exports no proxy_abi_version_*
Makefile: failed to load: no WebAssembly: it begins with "# `make "



=== TEST 2: load: arguments that it never took
--- config
    location = /t {
        content_by_lua_block {
            ngx.say(pcall(wasm.load, nil, "$GUESTS/maps.wasm"))
            ngx.say(pcall(wasm.load, "p"))
        }
    }
--- response_body
falsename must be a string
falsepath must be a string



=== TEST 3: on_configure: a plugin context, or nil and why
--- config
    location = /t {
        content_by_lua_block {
            local plugin = wasm.load("p", "$GUESTS/hostcalls.wasm")
            ngx.say(type(wasm.on_configure(plugin, "log echo_params")))
            for _, wrong in ipairs { false, 7, "plugin", {} } do
                ngx.say(wasm.on_configure(wrong, "conf"))
            end
            ngx.say(wasm.on_configure(nil, "conf"))
            ngx.say(wasm.on_configure(plugin, nil))
            ngx.say(wasm.on_configure(plugin, ""))
            ngx.say(wasm.on_configure(plugin, {}))
            ngx.say(wasm.on_configure(plugin, 7))
            ngx.say(wasm.on_configure(plugin, "configure return false"))
            ngx.say(wasm.on_configure(plugin, "configure trap"))
            plugin = wasm.load("p", "$GUESTS/trap_in_start.wasm")
            ngx.say(wasm.on_configure(plugin, "conf"))
        }
    }
--- response_body
cdata
nilbad plugin
nilbad plugin
nilbad plugin
nilbad plugin
nilbad plugin
nilbad conf
nilbad conf
nilbad conf
nilbad conf
nilfailed to run proxy_on_configure
nilfailed to run proxy_on_configure
nilfailed to run proxy_on_configure
--- error_log
[proxy-wasm] failed to run proxy_on_configure: the plugin refused its configuration
[proxy-wasm] failed to run proxy_on_configure: wasm trap
[proxy-wasm] failed to run _start: wasm trap



=== TEST 4: phase functions: no plugin context
--- config
    location = /t {
        content_by_lua_block {
            local plugin = wasm.load("p", "$GUESTS/hostcalls.wasm")
            for _, name in ipairs {
                "request_headers", "request_body", "response_headers", "response_body",
            } do
                local fn = wasm["on_http_" .. name]
                for _, wrong in ipairs { false, 7, "ctx", {}, plugin } do
                    local ok, err = fn(wrong)
                    assert(ok == nil and err == "bad plugin ctx")
                end
                ngx.say(fn(nil))
            end
        }
    }
--- response_body
nilbad plugin ctx
nilbad plugin ctx
nilbad plugin ctx
nilbad plugin ctx



=== TEST 5: phase functions: no request
--- http_config
    init_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("p", "$GUESTS/hostcalls.wasm"))
        local ctx = assert(wasm.on_configure(plugin, "log echo_params"))
        answers = {}
        for _, name in ipairs {
            "request_headers", "request_body", "response_headers", "response_body",
        } do
            local ok, err = wasm["on_http_" .. name](ctx)
            answers[#answers + 1] = tostring(ok) .. " " .. err
        end
    }
--- config
    location = /t {
        content_by_lua_block {
            ngx.say(table.concat(answers, "\n"))
        }
    }
--- response_body
nil bad request
nil bad request
nil bad request
nil bad request



=== TEST 6: phase functions: true in the phases where they belong
--- config
    location = /t {
        access_by_lua_block {
            ngx.ctx.said = {}
            ngx.ctx.plugin = configure("request_headers echo_params")
            table.insert(ngx.ctx.said, tostring(wasm.on_http_request_headers(ngx.ctx.plugin)))
            table.insert(ngx.ctx.said, tostring(wasm.on_http_request_body(ngx.ctx.plugin, "body", true)))
        }
        content_by_lua_block { ngx.print("done") }
        header_filter_by_lua_block {
            table.insert(ngx.ctx.said, tostring(wasm.on_http_response_headers(ngx.ctx.plugin)))
        }
        body_filter_by_lua_block {
            if ngx.arg[2] then
                table.insert(ngx.ctx.said, tostring(wasm.on_http_response_body(ngx.ctx.plugin)))
                ngx.arg[1] = ngx.arg[1] .. " " .. table.concat(ngx.ctx.said, " ") .. "\n"
            end
        }
    }
--- response_body
done true true true true



=== TEST 7: phase functions: nil where they do not belong
--- config
    location = /t {
        content_by_lua_block {
            local ctx = configure("log echo_params")
            ngx.say(wasm.on_http_response_headers(ctx))
            ngx.say(wasm.on_http_response_body(ctx))
        }
    }
--- response_body
nilfailed to run proxy_on_http_response_headers
nilfailed to run proxy_on_http_response_body
--- error_log
[proxy-wasm] wrong phase: response headers can be handled in header_filter, not here
[proxy-wasm] wrong phase: a response body can be handled in body_filter, not here



=== TEST 8: on_http_request_body: the body, its end, and none at all
--- config
    location = /t {
        content_by_lua_block {
            local conf = "request_body echo_params\nrequest_body get_body request_body"
            local ctx = configure(conf)
            ngx.say(wasm.on_http_request_body(ctx, "first ", false))
            ngx.say(wasm.on_http_request_body(ctx, "second", true))
            local none = configure(conf)
            ngx.say(wasm.on_http_request_body(none, nil, true))
            ngx.say(pcall(wasm.on_http_request_body, none, 7, true))
        }
    }
--- request
POST /t
x
--- response_body
true
true
true
falsebody must be a string or nil
--- grep_error_log eval: qr/p: (request_body: context|get_body).*?(?=, client)/
--- grep_error_log_out
p: request_body: context=2 size=6 end_of_stream=false
p: get_body(request_body) = OK "first "
p: request_body: context=2 size=12 end_of_stream=true
p: get_body(request_body) = OK "first second"
p: request_body: context=2 size=0 end_of_stream=true
p: get_body(request_body) = OK ""



=== TEST 9: on_http_request_body: over 16 MiB the plugin is not called
--- config
    location = /t {
        content_by_lua_block {
            local ctx = configure("request_body echo_params")
            ngx.say(wasm.on_http_request_body(ctx, ("x"):rep(16 * 1024 * 1024 + 1), true))
        }
    }
--- request
POST /t
x
--- response_body
nilfailed to run proxy_on_http_request_body
--- error_log
[proxy-wasm] the request body is larger than 16777216 bytes (option max_request_body)
--- no_error_log
request_body: context



=== TEST 10: error strings: each callback that traps
--- config
    location = /t {
        access_by_lua_block {
            local function try(name, guest)
                ngx.ctx.plugin = configure("conf", guest)
                local _, err = wasm["on_http_" .. name](ngx.ctx.plugin, "body", true)
                return tostring(err)
            end
            ngx.ctx.said = {
                try("request_headers", "trap_on_request_headers"),
                try("request_body", "trap_on_request_body"),
                try("request_headers", "trap_on_response_headers"),
            }
            ngx.ctx.body = configure("conf", "trap_on_response_body")
        }
        content_by_lua_block { ngx.print("done") }
        header_filter_by_lua_block {
            table.insert(ngx.ctx.said, (select(2, wasm.on_http_response_headers(ngx.ctx.plugin))))
        }
        body_filter_by_lua_block {
            if ngx.arg[1] ~= "" then
                table.insert(ngx.ctx.said, (select(2, wasm.on_http_response_body(ngx.ctx.body))))
                ngx.arg[1] = table.concat(ngx.ctx.said, "\n") .. "\n"
            end
        }
    }
--- response_body
failed to run proxy_on_http_request_headers
failed to run proxy_on_http_request_body
nil
failed to run proxy_on_http_response_headers
failed to run proxy_on_http_response_body
--- error_log
[proxy-wasm] failed to run proxy_on_request_headers: wasm trap
[proxy-wasm] failed to run proxy_on_response_body: wasm trap



=== TEST 11: error strings: the answer of a callout makes it trap
--- config
    location = /t {
        content_by_lua_block {
            local ctx = configure("request_headers http_call 127.0.0.1:" .. ngx.var.server_port
                                  .. " 2000 :path=/up\nrequest_headers pause\n"
                                  .. "http_call_response trap")
            ngx.say(wasm.on_http_request_headers(ctx))
            -- The next request gets a new instance; this one's is lost.
            ngx.say(wasm.on_http_request_body(ctx, "x", true))
        }
        header_filter_by_lua_block {
            ngx.ctx.late = true
        }
    }
    location = /up {
        return 204;
    }
--- response_body
nilfailed to run proxy_on_http_call_response
nilfailed to run proxy_on_http_call_response
--- error_log
p: proxy_on_http_call_response failed, the instance is dropped: wasm trap



=== TEST 12: a local response: the function does not return
--- config
    location = /t {
        content_by_lua_block {
            local ctx = configure("request_headers local_response 403 \"no\\n\" x-why=asked")
            wasm.on_http_request_headers(ctx)
            ngx.log(ngx.ERR, "it returned")
        }
    }
--- error_code: 403
--- response_headers
x-why: asked
--- response_body
no
--- no_error_log
it returned



=== TEST 13: a local response: from the body, and with Continue
--- config
    location = /t {
        content_by_lua_block {
            local ctx = configure("request_body local_response 418 teapot\nrequest_body continue_action")
            assert(wasm.on_http_request_headers(ctx))
            wasm.on_http_request_body(ctx, "x", true)
            ngx.log(ngx.ERR, "it returned")
        }
    }
--- request
POST /t
x
--- error_code: 418
--- response_body chomp
teapot
--- no_error_log
it returned



=== TEST 14: callouts: the function returns after the last one, without a word of the plugin
--- config
    location = /t {
        content_by_lua_block {
            local up = "127.0.0.1:" .. ngx.var.server_port .. " 2000 :path=/up"
            local ctx = configure("request_headers http_call " .. up .. "?1\n"
                                  .. "request_headers pause\n"
                                  .. "http_call_response if_root false once http_call " .. up .. "?2\n"
                                  .. "http_call_response echo_params")
            ngx.say(wasm.on_http_request_headers(ctx))
        }
    }
    location = /up {
        content_by_lua_block {
            ngx.log(ngx.WARN, "asked ", ngx.var.args)
        }
    }
--- response_body
true
--- grep_error_log eval: qr/asked \d|p: http_call_response: context/
--- grep_error_log_out
asked 1
p: http_call_response: context
asked 2
p: http_call_response: context



=== TEST 15: callouts: a failed one is answered with nothing, and the function returns
--- config
    location = /t {
        content_by_lua_block {
            local ctx = configure("request_headers http_call 127.0.0.1:1 500\n"
                                  .. "request_headers pause\n"
                                  .. "http_call_response echo_params")
            ngx.say(wasm.on_http_request_headers(ctx))
        }
    }
--- response_body
true
--- error_log
p: http_call_response: context=2 token=1 num_headers=0 body_size=0 num_trailers=0
