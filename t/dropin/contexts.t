# resty.proxy-wasm: context ids, and when contexts begin and end, as in
# wasm-nginx-module: APISIX's own tests name these ids.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $setup = <<'_EOC_';
    init_worker_by_lua_block {
        wasm = require "resty.proxy-wasm"
        script = "request_headers echo_params\nconfigure echo_params\n"
                 .. "done echo_params\ndelete echo_params\n#"
        function load()
            return assert(wasm.load("p", "$GUESTS/hostcalls.wasm"))
        end
        -- A request of its own, which uses the plugin context of this name.
        contexts = {}
        function get(name)
            local sock = ngx.socket.tcp()
            assert(sock:connect("127.0.0.1", ngx.var.server_port))
            assert(sock:send("GET /hit/" .. name .. " HTTP/1.0\r\n\r\n"))
            local answer = sock:receive("*a")
            sock:close()
            return answer:match("\r\n\r\n(.*)")
        end
    }
_EOC_

our $hit = <<'_EOC_';
    location /hit/ {
        content_by_lua_block {
            local name = ngx.var.uri:sub(6)
            ngx.say(wasm.on_http_request_headers(contexts[name]))
            if name == "slow" then
                ngx.sleep(0.2)
            end
        }
    }
_EOC_

add_block_preprocessor(sub {
    my $block = shift;
    if (!defined $block->http_config) {
        $block->set_value("http_config", $main::setup);
    }
    $block->set_value("config", $block->config . $main::hit);
});

run_tests();

__DATA__

=== TEST 1: ids: one counter for plugin contexts and http contexts
--- config
    location = /t {
        content_by_lua_block {
            local plugin = load()
            contexts.a = assert(wasm.on_configure(plugin, script .. "a"))
            ngx.print(get("a"))
            contexts.b = assert(wasm.on_configure(plugin, script .. "b"))
            ngx.print(get("b"))
        }
    }
--- response_body
true
true
--- grep_error_log eval: qr/p: (configure|request_headers): context=\d+/
--- grep_error_log_out
p: configure: context=1
p: request_headers: context=2
p: configure: context=3
p: request_headers: context=4



=== TEST 2: ids: http contexts take those of ended ones under the same plugin context
--- config
    location = /t {
        content_by_lua_block {
            local plugin = load()
            for i = 1, 4 do
                local name = i % 2 == 0 and "bar" or "foo"
                contexts[name] = contexts[name] or assert(wasm.on_configure(plugin, script))
                ngx.print(get(name))
            end
        }
    }
--- response_body
true
true
true
true
--- grep_error_log eval: qr/p: request_headers: context=\d+/
--- grep_error_log_out
p: request_headers: context=2
p: request_headers: context=4
p: request_headers: context=2
p: request_headers: context=4



=== TEST 3: ids: each load counts for itself
--- config
    location = /t {
        content_by_lua_block {
            contexts.a = assert(wasm.on_configure(load(), script .. "a"))
            contexts.b = assert(wasm.on_configure(load(), script .. "b"))
            ngx.print(get("a"), get("b"))
        }
    }
--- response_body
true
true
--- grep_error_log eval: qr/p: (configure|request_headers): context=\d+/
--- grep_error_log_out
p: configure: context=1
p: configure: context=1
p: request_headers: context=2
p: request_headers: context=2



=== TEST 4: ids: two plugin contexts in one request
--- config
    location = /t {
        content_by_lua_block {
            local plugin = load()
            local a = assert(wasm.on_configure(plugin, script .. "a"))
            local b = assert(wasm.on_configure(plugin, script .. "b"))
            assert(wasm.on_http_request_headers(a))
            assert(wasm.on_http_request_headers(b))
            -- Once more: nothing is created, nothing runs.
            ngx.say(wasm.on_http_request_headers(a))
        }
    }
--- response_body
true
--- grep_error_log eval: qr/p: (configure|request_headers): context=\d+/
--- grep_error_log_out
p: configure: context=1
p: configure: context=2
p: request_headers: context=3
p: request_headers: context=4



=== TEST 5: ids: many requests at once, and again
--- config
    location = /t {
        content_by_lua_block {
            contexts.slow = assert(wasm.on_configure(load(), script))
            for _ = 1, 2 do
                local threads = {}
                for i = 1, 9 do
                    threads[i] = ngx.thread.spawn(get, "slow")
                end
                for i = 1, 9 do
                    local _, answer = ngx.thread.wait(threads[i])
                    assert(answer == "true\n", answer)
                end
            end
            ngx.say("done")
        }
    }
--- response_body
done
--- grep_error_log eval: qr/p: request_headers: context=1[1-9]/
--- grep_error_log_out



=== TEST 6: end: a plugin context ends when it is collected, and its id is free
--- config
    location = /t {
        content_by_lua_block {
            local plugin = load()
            local kept
            for i = 1, 2 do
                for _ = 1, 2 do
                    assert(wasm.on_configure(plugin, script))
                end
                if i == 1 then
                    kept = assert(wasm.on_configure(plugin, script))
                end
                collectgarbage()
                collectgarbage()
                ngx.log(ngx.INFO, "p: collected")
            end
            ngx.say(kept ~= nil)
        }
    }
--- response_body
true
--- grep_error_log eval: qr/p: ((configure|done|delete): context=\d+|collected)/
--- grep_error_log_out eval
qr/^p: configure: context=1
p: configure: context=2
p: configure: context=3
(p: done: context=([12])
p: delete: context=\2
){2}p: collected
p: configure: context=([12])
p: configure: context=[12]
(p: done: context=([12])
p: delete: context=\5
){2}p: collected
/



=== TEST 7: end: a plugin context that has requests ends after the last of them
--- config
    location = /t {
        content_by_lua_block {
            do
                local ctx = assert(wasm.on_configure(load(), script))
                assert(wasm.on_http_request_headers(ctx))
            end
            collectgarbage()
            collectgarbage()
            ngx.log(ngx.INFO, "p: collected")
            ngx.say("done")
        }
    }
--- response_body
done
--- wait: 2
--- grep_error_log eval: qr/p: ((configure|request_headers|done|delete): context=\d+|collected)/
--- grep_error_log_out
p: configure: context=1
p: request_headers: context=2
p: collected
p: done: context=2
p: delete: context=2
p: done: context=1
p: delete: context=1



=== TEST 8: end: of an http context, without a log phase, within a second
--- config
    location = /t {
        content_by_lua_block {
            ctx = assert(wasm.on_configure(load(), script))
            ngx.say(wasm.on_http_request_headers(ctx))
        }
    }
--- response_body
true
--- wait: 2
--- grep_error_log eval: qr/p: (done|delete): context=\d+/
--- grep_error_log_out
p: done: context=2
p: delete: context=2



=== TEST 9: end: proxy_on_done that gives false changes nothing
--- config
    location = /t {
        content_by_lua_block {
            do
                local ctx = assert(wasm.on_configure(load(), script .. "\ndone return false"))
                assert(wasm.on_http_request_headers(ctx))
            end
            collectgarbage()
            collectgarbage()
            ngx.say("done")
        }
    }
--- response_body
done
--- wait: 2
--- grep_error_log eval: qr/p: delete: context=\d+/
--- grep_error_log_out
p: delete: context=2
p: delete: context=1



=== TEST 10: end: the worker's own, when it leaves
--- config
    location = /t {
        content_by_lua_block {
            ctx = assert(wasm.on_configure(load(), script))
            ngx.say("done")
        }
    }
--- response_body
done
--- shutdown_error_log eval
qr/p: done: context=1/
