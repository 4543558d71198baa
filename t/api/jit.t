# The hot path: in real requests, each with all its callbacks, the phases are
# compiled and allocate nothing but the list of response headers and a pointer,
# where a plugin asks for the list. Further calls of a phase function in one request, which find
# nothing left to do, are looked at on their own.

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

our $requests = <<'_EOC_';
    keepalive_requests 100000;
    access_log off;

    location = /t {
        # Its own context lives until the end. So the timer that ends contexts
        # runs all the time and starts anew by itself, once per second, outside
        # of what is measured; without it the next request would start the timer,
        # which allocates.
        access_by_lua_block { chain:access() }
        content_by_lua_block {
            hot_path.drive {
                plain = "/plain",
                measured = "/measured",
                headers = "X-In: hello\r\n",
                answer = "x-out: hello",
                requests = 10000,
                compiled = { "chain.lua", "phases.lua" },
                lists = LISTS,
            }
        }
        log_by_lua_block { chain:log() }
    }

    location = /plain {
        access_by_lua_block { chain:access() }
        content_by_lua_block {
            ngx.header.content_length = 4
            ngx.print("body")
        }
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        log_by_lua_block { chain:log() }
    }

    location = /measured {
        access_by_lua_block { hot_path.access(chain) }
        content_by_lua_block {
            ngx.header.content_length = 4
            ngx.print("body")
        }
        header_filter_by_lua_block { hot_path.header_filter(chain) }
        body_filter_by_lua_block { hot_path.body_filter(chain) }
        log_by_lua_block { hot_path.log(chain) }
    }
_EOC_

# A block with an `entry` sends requests through a chain of that; the others call
# phase functions again and again in one request.
add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value("timeout", 60);
    if (defined $block->entry) {
        my $lists = defined $block->lists ? $block->lists : "nil";
        chomp $lists;
        (my $requests = $main::requests) =~ s/LISTS/$lists/;
        $block->set_value("http_config", <<"_EOC_");
    init_worker_by_lua_block {
        chain = assert(require("resty.proxy_wasm").new_chain { @{[$block->entry]} })
        hot_path = dofile("\$TOP/t/lib/hot_path.lua")
    }
_EOC_
        $block->set_value("config", $requests);
        $block->set_value("response_body", "that is all\n");
        # Debian's nginx would write dozens of lines about each request.
        $block->set_value("log_level", "warn");
        return;
    }
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
});

run_tests();

__DATA__

=== TEST 1: requests: nothing is allocated for a plugin that reads and adds a header
--- entry
{ name = "p", path = "$GUESTS/bench_headers.wasm" }



=== TEST 2: requests: no more than the list of response headers and a pointer, for a plugin that needs the list
--- entry
{ name = "p", path = "$GUESTS/bench.wasm", config = "headers" }
--- lists: 512



=== TEST 3: further calls: a plugin of no callbacks (export_nothing)



=== TEST 4: further calls: a plugin of header callbacks (bench_headers)



=== TEST 5: further calls: a plugin of body callbacks (bench_body)



=== TEST 6: further calls: a plugin of the Rust SDK, with all callbacks (rust_demo)
