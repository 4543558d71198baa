# Plugins and contexts belong to Lua: what is collected ends in order, and what
# is still in use goes on.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $setup = <<'_EOC_';
    init_worker_by_lua_block {
        proxy_wasm = require "resty.proxy_wasm"
        script = "configure echo_params\nrequest_headers echo_params\n"
                 .. "done echo_params\nlog echo_params\ndelete echo_params\n"
        function load()
            return assert(proxy_wasm.load("p", "$GUESTS/hostcalls.wasm", { callouts = "any" }))
        end
        function collect()
            collectgarbage()
            collectgarbage()
        end
    }
_EOC_

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value("http_config", $main::setup) if !defined $block->http_config;
});

run_tests();

__DATA__

=== TEST 1: garbage: the plugin first, then its context
--- config
    location = /t {
        content_by_lua_block {
            local plugin = load()
            local ctx = assert(proxy_wasm.on_configure(plugin, script))
            plugin = nil
            collect()
            ngx.log(ngx.INFO, "p: plugin collected")
            assert(proxy_wasm.on_http_request_headers(ctx))
            ngx.ctx.kept = nil
            ctx = nil
            collect()
            ngx.say("done")
        }
        log_by_lua_block { ngx.log(ngx.INFO, "p: log phase") }
    }
--- response_body
done
--- wait: 2
--- grep_error_log eval: qr/p: (\w+: context=\d+|plugin collected|log phase)/
--- grep_error_log_out
p: configure: context=1
p: plugin collected
p: request_headers: context=2
p: log phase
p: done: context=2
p: log: context=2
p: delete: context=2
p: done: context=1
p: delete: context=1



=== TEST 2: garbage: the context first, then the plugin
--- config
    location = /t {
        content_by_lua_block {
            local plugin = load()
            assert(proxy_wasm.on_configure(plugin, script))
            collect()
            ngx.log(ngx.INFO, "p: context collected")
            assert(proxy_wasm.on_configure(plugin, script))
            plugin = nil
            collect()
            ngx.say("done")
        }
    }
--- response_body
done
--- grep_error_log eval: qr/p: ((configure|done|delete): context=\d+|context collected)/
--- grep_error_log_out
p: configure: context=1
p: done: context=1
p: delete: context=1
p: context collected
p: configure: context=2
p: done: context=2
p: delete: context=2



=== TEST 3: garbage: everything at once, many times, in any order
--- config
    location = /t {
        content_by_lua_block {
            math.randomseed(7)
            local kept = {}
            for i = 1, 200 do
                local plugin = assert(proxy_wasm.load("p", "$GUESTS/c_headers.wasm"))
                kept[#kept + 1] = plugin
                for j = 1, math.random(0, 3) do
                    kept[#kept + 1] = assert(proxy_wasm.on_configure(plugin, "x"))
                end
                for _ = 1, math.random(0, 4) do
                    table.remove(kept, math.random(#kept))
                    if #kept == 0 then
                        break
                    end
                end
                if i % 20 == 0 then
                    collect()
                end
            end
            kept = nil
            collect()
            ngx.say("done")
        }
    }
--- response_body
done
--- no_error_log
[error]



=== TEST 4: garbage: a paused request keeps what it waits in
--- config
    location = /t {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/waits", "Connection: close\r\n")
            assert(client.wait(function() return paused end))
            collect()
            ngx.log(ngx.INFO, "p: collected")
            release = true
            ngx.print(client.read(sock))
            collect()
        }
    }
    location = /waits {
        content_by_lua_block {
            paused = true
            ngx.say(proxy_wasm.on_http_request_headers(assert(proxy_wasm.on_configure(load(), script .. [[
                request_headers    http_call 127.0.0.1:]] .. ngx.var.server_port .. [[ 5000 :path=/up
                request_headers    pause
                http_call_response continue request
            ]]))))
        }
    }
    location = /up {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            assert(client.wait(function() return release end))
            ngx.say("up")
        }
    }
--- response_body
200true
--- wait: 2
--- grep_error_log eval: qr/p: ((request_headers|done|delete): context=\d+|collected|continue.*?OK)/
--- grep_error_log_out
p: request_headers: context=2
p: collected
p: continue(request) = OK
p: done: context=2
p: delete: context=2
p: done: context=1
p: delete: context=1



=== TEST 5: garbage: the module itself, required again, beside the old one
--- config
    location = /t {
        content_by_lua_block {
            local old = proxy_wasm
            local old_ctx = assert(old.on_configure(load(), script))
            for name in pairs(package.loaded) do
                if name:find("^resty%.proxy") then
                    package.loaded[name] = nil
                end
            end
            collect()
            local new = require "resty.proxy_wasm"
            assert(new ~= old)
            local plugin = assert(new.load("p", "$GUESTS/hostcalls.wasm"))
            local new_ctx = assert(new.on_configure(plugin, script))
            assert(new.on_http_request_headers(new_ctx))
            assert(old.on_http_request_headers(old_ctx))
            -- Each takes what the other made: it is the same library.
            assert(new.on_http_request_headers(old_ctx))
            ngx.say("done")
        }
    }
--- response_body
done
--- grep_error_log eval: qr/p: request_headers: context=\d+/
--- grep_error_log_out
p: request_headers: context=2
p: request_headers: context=2



=== TEST 6: garbage: the worker leaves with plugins, contexts and requests under way
--- config
    location = /t {
        content_by_lua_block {
            plugin = load()
            ctx = assert(proxy_wasm.on_configure(plugin, script))
            assert(proxy_wasm.on_http_request_headers(ctx))
            ngx.say("done")
        }
    }
--- response_body
done
--- shutdown_error_log eval
qr/p: done: context=1/



=== TEST 7: garbage: what waits for proxy_done is gone with the instance
--- config
    location = /t {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local plugin = load()
            assert(proxy_wasm.on_configure(plugin, "configure log info first\ndone return false"))
            collect()
            second = assert(proxy_wasm.on_configure(plugin,
                "configure log info second\nrequest_headers trap"))
            ngx.say((client.get("/use")))
            ngx.say((client.get("/use")))
        }
    }
    location = /use {
        content_by_lua_block {
            local ok = proxy_wasm.on_http_request_headers(second)
            ngx.exit(ok and 204 or 503)
        }
    }
--- response_body
503
503
--- grep_error_log eval: qr/p: (first|second)/
--- grep_error_log_out
p: first
p: second
p: second



=== TEST 8: lua_code_cache off: a Lua VM for each request, each with its plugins
--- http_config
    lua_code_cache off;
--- config
    location = /t {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            for _ = 1, 3 do
                ngx.say(client.get("/one"))
            end
        }
    }
    location = /one {
        access_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            assert(not chain)
            chain = assert(proxy_wasm.new_chain {
                { name = "p", path = "$GUESTS/hostcalls.wasm", config = [[
                    request_headers  echo_params
                    response_headers set_header response content-length 4
                    response_body    if_eos false replace_body response_body x chain
                    log              echo_params
                    done             echo_params
                ]] },
            })
            chain:access()
        }
        content_by_lua_block { ngx.print("x x") }
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        log_by_lua_block { chain:log() }
    }
--- response_body
200chain chain
200chain chain
200chain chain
--- wait: 2
--- error_log
[alert] 
--- no_error_log
[error]
--- grep_error_log eval: qr/p: (log|done: context=1)/
--- grep_error_log_out eval
# Three of each; the VM of a request goes when its connection is closed.
qr/^(?=(?:(?:.*\n)*?p: log\n){3})(?=(?:(?:.*\n)*?p: done: context=1\n){3})(.*\n){6}$/



=== TEST 9: lua_code_cache off: a request that waits is found when another VM's timer has continued it
--- http_config
    lua_code_cache off;
--- config
    location = /t {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local ticking = ngx.thread.spawn(client.get, "/ticking")
            ngx.sleep(0.2)
            ngx.say(client.get("/waiting"))
            ngx.thread.wait(ticking)
        }
    }
    location = /ticking {
        content_by_lua_block {
            assert(require "resty.proxy_wasm".new_chain {
                { name = "p", path = "$GUESTS/hostcalls.wasm", config = "configure tick 5" },
            })
            ngx.sleep(1.5)
        }
    }
    location = /waiting {
        access_by_lua_block {
            chain = assert(require "resty.proxy_wasm".new_chain {
                { name = "q", path = "$GUESTS/hostcalls.wasm", pause_timeout = 60, config = [[
                    configure       tick 300
                    request_headers remember
                    request_headers pause
                    tick            set_effective_context origin
                    tick            continue request
                    tick            tick 0
                ]] },
            })
            chain:access()
        }
        content_by_lua_block { ngx.print("went on") }
    }
--- response_body
200went on
--- timeout: 10
--- error_log
[alert] 
--- no_error_log
[error]
