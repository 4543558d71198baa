# resty.proxy-wasm as Apache APISIX uses it: required in the master, loaded in
# each worker, plugin contexts made at the first request of a route and dropped
# when the route changes, bodies handed over when a variable asks for it.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $setup = <<'_EOC_';
    init_by_lua_block {
        local function threads()
            for line in io.lines("/proc/self/status") do
                local count = line:match("^Threads:%s*(%d+)")
                if count then
                    return count
                end
            end
        end
        local before = threads()
        local ok, wasm = pcall(require, "resty.proxy-wasm")
        assert(ok, wasm)
        threads_before, threads_after = before, threads()

        -- What apisix/wasm.lua does around the module.
        function plugin(attrs)
            local instance = assert(wasm.load(attrs.name, attrs.file))
            local function fetch(conf, key)
                conf.plugin_ctxs = conf.plugin_ctxs or {}
                local ctx, err = conf.plugin_ctxs[key], nil
                if not ctx then
                    ctx, err = wasm.on_configure(instance, conf.conf)
                    conf.plugin_ctxs[key] = ctx
                end
                return ctx, err
            end
            local function failed(what, err)
                ngx.log(ngx.ERR, attrs.name, ": failed to ", what, ": ", err)
                return ngx.exit(503)
            end
            return {
                access = function(conf, key)
                    local ctx, err = fetch(conf, key)
                    if not ctx then
                        return failed("fetch wasm plugin ctx", err)
                    end
                    local ok
                    ok, err = wasm.on_http_request_headers(ctx)
                    if not ok then
                        return failed("run wasm plugin", err)
                    end
                    if ngx.var.wasm_process_req_body ~= "" then
                        ngx.var.wasm_process_req_body = ""
                        ngx.req.read_body()
                        ok, err = wasm.on_http_request_body(ctx, ngx.req.get_body_data(), true)
                        if not ok then
                            return failed("run wasm plugin", err)
                        end
                    end
                end,
                header_filter = function(conf, key)
                    local ctx, err = fetch(conf, key)
                    if not ctx then
                        return failed("fetch wasm plugin ctx", err)
                    end
                    local ok
                    ok, err = wasm.on_http_response_headers(ctx)
                    if not ok then
                        ngx.log(ngx.ERR, attrs.name, ": failed to run wasm plugin: ", err)
                    end
                    if ngx.var.wasm_process_resp_body ~= "" then
                        ngx.ctx.wasm_process_resp_body = true
                    end
                end,
                body_filter = function(conf, key)
                    if not ngx.ctx.wasm_process_resp_body then
                        return
                    end
                    local ok, err = wasm.on_http_response_body(assert(fetch(conf, key)))
                    if not ok then
                        ngx.log(ngx.ERR, attrs.name, ": failed to run wasm plugin: ", err)
                    end
                end,
            }
        end
    }
    init_worker_by_lua_block {
        one = plugin { name = "one", file = "$GUESTS/hostcalls.wasm" }
        routes = {}
        -- Requests /route from within, and gives its status and body.
        function get(args)
            local sock = ngx.socket.tcp()
            assert(sock:connect("127.0.0.1", ngx.var.server_port))
            assert(sock:send("GET /route?" .. args .. " HTTP/1.0\r\n\r\n"))
            local answer = sock:receive("*a")
            sock:close()
            return answer:match("^HTTP/1.1 (%d+)"), answer:match("\r\n\r\n(.*)")
        end
    }
_EOC_

our $route = <<'_EOC_';
    set $wasm_process_req_body '';
    set $wasm_process_resp_body '';
    access_by_lua_block { one.access(routes.conf, "route#1") }
    header_filter_by_lua_block { one.header_filter(routes.conf, "route#1") }
    body_filter_by_lua_block { one.body_filter(routes.conf, "route#1") }
_EOC_

add_block_preprocessor(sub {
    my $block = shift;
    if (!defined $block->http_config) {
        $block->set_value("http_config", $main::setup);
    }
    (my $config = $block->config) =~ s/ROUTE;/$main::route/g;
    $block->set_value("config", $config);
});

run_tests();

__DATA__

=== TEST 1: require: starts no thread and no timer
--- config
    location = /t {
        content_by_lua_block {
            ngx.say(threads_before, " ", threads_after)
            ngx.say(ngx.timer.pending_count(), " ", ngx.timer.running_count())
        }
    }
--- response_body
1 1
0 0



=== TEST 2: request: configured at the first one, kept for the next
--- config
    location = /t {
        content_by_lua_block {
            routes.conf = {
                conf = "configure echo_params\nrequest_headers echo_params\n"
                       .. "response_headers set_header response x-one 1",
            }
            for _ = 1, 2 do
                local status, body = get("")
                ngx.print(status, " ", body)
            end
        }
    }
    location = /route {
        ROUTE;
        content_by_lua_block { ngx.say("done") }
    }
--- response_body
200 done
200 done
--- grep_error_log eval: qr/one: (configure|request_headers): context=\d+/
--- grep_error_log_out
one: configure: context=1
one: request_headers: context=2
one: request_headers: context=2



=== TEST 3: request body: handed over when the plugin sets the variable
--- config
    location = /t {
        rewrite_by_lua_block {
            routes.conf = routes.conf or {
                conf = "request_headers set_property wasm_process_req_body true\n"
                       .. "request_body echo_params\nrequest_body get_body request_body",
            }
        }
        ROUTE;
        content_by_lua_block { ngx.say("[", ngx.var.wasm_process_req_body, "]") }
    }
--- request
POST /t
hello
--- response_body
[]
--- error_log
one: set_property(wasm_process_req_body true) = OK
one: request_body: context=2 size=5 end_of_stream=true
one: get_body(request_body) = OK "hello"



=== TEST 4: request body: not handed over without it
--- config
    location = /t {
        rewrite_by_lua_block {
            routes.conf = routes.conf or { conf = "request_body echo_params" }
        }
        ROUTE;
        content_by_lua_block { ngx.say("done") }
    }
--- request
POST /t
hello
--- response_body
done
--- no_error_log
one: request_body: context



=== TEST 5: request body: replaced by the plugin
--- config
    location = /t {
        rewrite_by_lua_block {
            routes.conf = routes.conf or {
                conf = "request_headers set_property wasm_process_req_body true\n"
                       .. "request_body replace_body request_body hello bye",
            }
        }
        ROUTE;
        content_by_lua_block {
            ngx.req.read_body()
            ngx.say(ngx.req.get_body_data())
        }
    }
--- request
POST /t
hello, you
--- response_body
bye, you



=== TEST 6: response body: handed over when the plugin sets the variable
--- config
    location = /t {
        rewrite_by_lua_block {
            routes.conf = routes.conf or {
                conf = "response_headers set_property wasm_process_resp_body true\n"
                       .. "response_body echo_params",
            }
        }
        ROUTE;
        content_by_lua_block { ngx.print("done\n") }
    }
--- response_body
done
--- error_log
one: response_body: context=2 size=5 end_of_stream=false
one: response_body: context=2 size=0 end_of_stream=true



=== TEST 7: errors: a plugin that refuses its configuration, then a better one
--- config
    location = /t {
        content_by_lua_block {
            routes.conf = { conf = "configure return false" }
            ngx.say((get("")))
            ngx.say((get("")))
            routes.conf = { conf = "log echo_params" }
            ngx.say((get("")))
        }
    }
    location = /route {
        ROUTE;
        content_by_lua_block { ngx.say("done") }
    }
--- response_body
503
503
200
--- error_log
one: failed to fetch wasm plugin ctx: failed to run proxy_on_configure



=== TEST 8: errors: a trap costs this request, not the next
--- config
    location = /t {
        rewrite_by_lua_block {
            routes.conf = routes.conf or {
                conf = "request_headers if_header x-trap yes trap\n"
                       .. "response_headers set_header response x-one 1",
            }
        }
        ROUTE;
        content_by_lua_block { ngx.say("done") }
    }
--- request eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
["", "x-trap: yes", ""]
--- error_code eval
[200, 503, 200]
--- response_headers eval
["x-one: 1", "x-one:", "x-one: 1"]



=== TEST 9: a route changes: its plugin context ends when it is collected
--- config
    location = /t {
        content_by_lua_block {
            for i = 1, 3 do
                routes.conf = { conf = "configure echo_params\ndone echo_params\n#" .. i }
                collectgarbage()
                collectgarbage()
                ngx.say((get("")))
            end
        }
    }
    location = /route {
        ROUTE;
        content_by_lua_block { ngx.say("done") }
    }
--- response_body
200
200
200
--- wait: 2
--- grep_error_log eval: qr/one: (configure|done): context=\d+/
--- grep_error_log_out
one: configure: context=1
one: done: context=2
one: done: context=1
one: configure: context=1
one: done: context=3
one: done: context=1
one: configure: context=1
one: done: context=4
