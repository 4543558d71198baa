# The hot path: the phase functions are compiled, and allocate nothing.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $setup = <<'_EOC_';
    init_worker_by_lua_block {
        proxy_wasm = require "resty.proxy_wasm"
        local dropin = require "resty.proxy-wasm"
        local util = require "jit.util"

        local path = "$GUESTS/NAME.wasm"
        ctx = assert(proxy_wasm.on_configure(assert(proxy_wasm.load("p", path)), ""))
        apisix = assert(dropin.on_configure(assert(dropin.load("p", path)), "#"))
        chain = assert(proxy_wasm.new_chain { { name = "p", path = path } })

        -- Traces that were compiled, and places of ours that cannot be: "not yet
        -- implemented" in LuaJIT. Other ends of a trace are retried elsewhere.
        local reasons = require("jit.vmdef").traceerr
        local stops, aborts = 0, {}
        jit.attach(function(what, _, fn, pc, code)
            if what == "stop" then
                stops = stops + 1
            elseif what == "abort" then
                local info = util.funcinfo(fn, pc)
                local place = tostring(info.source or info.addr) .. ":" .. tostring(info.currentline)
                local why = tostring(reasons[code] or code)
                if place:find("resty/proxy", 1, true)
                   and (why:find("NYI", 1, true) or why:find("blacklisted", 1, true))
                then
                    aborts[#aborts + 1] = place .. ": " .. why
                end
            end
        end, "trace")

        -- Runs `loop`, which is given a count, compiled and without the collector.
        -- Says what is wrong, or "".
        function measure(name, loop)
            stops, aborts = 0, {}
            loop(1000)
            if stops == 0 then
                return name .. ": not compiled\n"
            end
            if aborts[1] then
                return name .. ": given up at " .. table.concat(aborts, ", ") .. "\n"
            end
            local more
            for _ = 1, 5 do
                collectgarbage()
                collectgarbage("stop")
                local before = collectgarbage("count")
                loop(10000)
                more = collectgarbage("count") - before
                collectgarbage("restart")
                if more == 0 then
                    return ""
                end
                -- Compiling a side trace costs memory, too, but only once.
            end
            return name .. ": " .. more * 1024 / 10000 .. " bytes per call\n"
        end

        said = ""
    }
_EOC_

add_block_preprocessor(sub {
    my $block = shift;
    my $guest = $block->name =~ /\((\w+)\)/ ? $1 : die "no guest";
    (my $setup = $main::setup) =~ s/NAME/$guest/;
    $block->set_value("http_config", $setup);
    # Each loop is a function of its own: a trace that fails is not tried again.
    $block->set_value("config", <<'_EOC_');
    location = /t {
        rewrite_by_lua_block {
            said = said .. measure("on_http_request_headers", function(n)
                for _ = 1, n do
                    proxy_wasm.on_http_request_headers(ctx)
                end
            end)
            said = said .. measure("on_http_request_body", function(n)
                for _ = 1, n do
                    proxy_wasm.on_http_request_body(ctx, "", true)
                end
            end)
        }
        access_by_lua_block {
            local dropin = require "resty.proxy-wasm"
            said = said .. measure("the drop-in's on_http_request_headers", function(n)
                for _ = 1, n do
                    dropin.on_http_request_headers(apisix)
                end
            end)
            said = said .. measure("the drop-in's on_http_request_body", function(n)
                for _ = 1, n do
                    dropin.on_http_request_body(apisix, "", true)
                end
            end)
            said = said .. measure("chain:access", function(n)
                for _ = 1, n do
                    chain:access()
                end
            end)
        }
        content_by_lua_block {
            ngx.print("body")
        }
        header_filter_by_lua_block {
            local dropin = require "resty.proxy-wasm"
            said = said .. measure("on_http_response_headers", function(n)
                for _ = 1, n do
                    proxy_wasm.on_http_response_headers(ctx)
                end
            end)
            said = said .. measure("the drop-in's on_http_response_headers", function(n)
                for _ = 1, n do
                    dropin.on_http_response_headers(apisix)
                end
            end)
            said = said .. measure("chain:header_filter", function(n)
                for _ = 1, n do
                    chain:header_filter()
                end
            end)
        }
        body_filter_by_lua_block {
            if ngx.arg[1] == "" then
                return
            end
            local dropin = require "resty.proxy-wasm"
            said = said .. measure("on_http_response_body", function(n)
                for _ = 1, n do
                    proxy_wasm.on_http_response_body(ctx)
                end
            end)
            said = said .. measure("the drop-in's on_http_response_body", function(n)
                for _ = 1, n do
                    dropin.on_http_response_body(apisix)
                end
            end)
            said = said .. measure("chain:body_filter", function(n)
                for _ = 1, n do
                    chain:body_filter()
                end
            end)
        }
        log_by_lua_block {
            said = said .. measure("on_log", function(n)
                for _ = 1, n do
                    proxy_wasm.on_log(ctx)
                end
            end)
            said = said .. measure("chain:log", function(n)
                for _ = 1, n do
                    chain:log()
                end
            end)
        }
    }
    location = /said {
        content_by_lua_block {
            ngx.say(said, "that is all")
        }
    }
_EOC_
    $block->set_value("request", ["GET /t", "GET /said"]);
    $block->set_value("response_body", ["body", "that is all\n"]);
    $block->set_value("timeout", 60);
});

run_tests();

__DATA__

=== TEST 1: hot path: a plugin of no callbacks (export_nothing)



=== TEST 2: hot path: a plugin of header callbacks (bench_headers)



=== TEST 3: hot path: a plugin of body callbacks (bench_body)



=== TEST 4: hot path: a plugin of the Rust SDK, with all callbacks (rust_demo)
