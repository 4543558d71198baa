# Where a plugin can be loaded, and where its phase functions can be called:
# anywhere else is an error in words.

use lib 't/lib';
use TestProxyWasm 'no_plan';

run_tests();

__DATA__

=== TEST 1: load: in the master, by init_by_lua
--- http_config
    init_by_lua_block {
        local proxy_wasm = require "resty.proxy_wasm"
        chain = assert(proxy_wasm.new_chain {
            { name = "p", path = "$GUESTS/hostcalls.wasm",
              config = "configure echo_params\nresponse_headers set_header response x-p 1" },
        })
    }
--- config
    location = /t {
        access_by_lua_block { chain:access() }
        content_by_lua_block { ngx.say("done") }
        header_filter_by_lua_block { chain:header_filter() }
        log_by_lua_block { chain:log() }
    }
--- response_headers
x-p: 1
--- response_body
done
--- grep_error_log eval: qr/p: configure: .*/
--- grep_error_log_out eval
# Tried in the master; the worker has its own instance.
qr/^(p: configure: context=1 configuration_size=64\n){1,2}$/



=== TEST 2: load: by init_worker_by_lua
--- http_config
    init_worker_by_lua_block {
        local proxy_wasm = require "resty.proxy_wasm"
        local plugin = assert(proxy_wasm.load("p", "$GUESTS/c_headers.wasm"))
        ctx = assert(proxy_wasm.on_configure(plugin, "from the worker"))
    }
--- config
    location = /t {
        content_by_lua_block { ngx.say("done") }
        header_filter_by_lua_block {
            assert(require("resty.proxy_wasm").on_http_response_headers(ctx))
        }
    }
--- response_headers
x-c: from the worker
--- response_body
done



=== TEST 3: load: in a request, when it is first needed
--- config
    location = /t {
        access_by_lua_block {
            if not late then
                local proxy_wasm = require "resty.proxy_wasm"
                late = assert(proxy_wasm.new_chain {
                    { name = "p", path = "$GUESTS/c_headers.wasm", config = "late" },
                })
                ngx.log(ngx.INFO, "loaded")
            end
            late:access()
        }
        content_by_lua_block { ngx.say("done") }
        header_filter_by_lua_block { late:header_filter() }
        log_by_lua_block { late:log() }
    }
--- request eval
["GET /t", "GET /t"]
--- response_headers eval
["x-c: late", "x-c: late"]
--- response_body eval
["done\n", "done\n"]



=== TEST 4: load: in a timer
--- config
    location = /t {
        content_by_lua_block {
            local done = require("ngx.semaphore").new()
            local ctx
            ngx.timer.at(0, function()
                local proxy_wasm = require "resty.proxy_wasm"
                local plugin = assert(proxy_wasm.load("p", "$GUESTS/hostcalls.wasm"))
                ctx = assert(proxy_wasm.on_configure(plugin, "configure echo_params"))
                done:post()
            end)
            assert(done:wait(10))
            ngx.say(require("resty.proxy_wasm").on_http_request_headers(ctx))
        }
    }
--- response_body
true
--- error_log
p: configure: context=1



=== TEST 5: init_by_lua: nginx does not start with a plugin that cannot be loaded
--- http_config
    init_by_lua_block {
        assert(require("resty.proxy_wasm").load("p", "$GUESTS/abi_none.wasm"))
    }
--- config
    location = /t {
        return 204;
    }
--- must_die
--- error_log eval
qr/\[error\] .*init_by_lua.*: plugin "p": .*abi_none\.wasm: failed to load: no Proxy-Wasm plugin: it exports no proxy_abi_version_/



=== TEST 6: init_by_lua: nor with one that refuses its configuration
--- http_config
    init_by_lua_block {
        assert(require("resty.proxy_wasm").new_chain {
            { name = "p", path = "$GUESTS/hostcalls.wasm", config = "no script" },
        })
    }
--- config
    location = /t {
        return 204;
    }
--- must_die
--- error_log eval
qr/\[error\] .*init_by_lua.*: plugin "p": failed to run proxy_on_configure: the plugin refused its configuration/



=== TEST 7: nginx -t: knows nothing of plugins, as it does not run init_by_lua
--- http_config
    init_by_lua_block {
        assert(require("resty.proxy_wasm").load("p", "$GUESTS/maps.wasm"))
    }
--- config
    location = /t {
        content_by_lua_block {
            local prefix = ngx.config.prefix()
            local file = assert(io.open(prefix .. "conf/nginx.conf"))
            local conf = file:read("*a")
            file:close()
            file = assert(io.open(prefix .. "conf/bad.conf", "w"))
            file:write((conf:gsub("GUESTS/maps.wasm", "nowhere"):gsub("maps%.wasm", "abi_none.wasm")
                            :gsub("error_log [^;]*;", "error_log stderr;")))
            file:close()
            local nginx = "/proc/" .. ngx.worker.pid() .. "/exe"
            local pipe = io.popen(nginx .. " -t -p " .. prefix .. " -c conf/bad.conf 2>&1")
            local output = pipe:read("*a")
            pipe:close()
            os.remove(prefix .. "conf/bad.conf")
            ngx.say(output:match("test is successful") or output)
        }
    }
--- response_body
test is successful



=== TEST 8: phases: the functions, each where it cannot work
--- http_config
    init_by_lua_block {
        local proxy_wasm = require "resty.proxy_wasm"
        local plugin = assert(proxy_wasm.load("p", "$GUESTS/hostcalls.wasm"))
        local ctx = assert(proxy_wasm.on_configure(plugin,
            "request_headers echo_params\nresponse_headers echo_params\ndone echo_params"))
        function try(where, ...)
            for _, name in ipairs { ... } do
                local fn = proxy_wasm["on_" .. name] or proxy_wasm["on_http_" .. name]
                local ok, result, err = pcall(fn, ctx)
                ngx.log(ngx.NOTICE, where, " ", name, ": ", ok and result, " ",
                        ok and err or result, ";")
            end
        end
        request = { "request_headers", "request_body" }
        response = { "response_headers", "response_body" }
        try("init", "request_headers", "request_body", "response_headers", "response_body", "log")
    }
    init_worker_by_lua_block {
        try("init_worker", "request_headers", "response_headers", "log")
        ngx.timer.at(0, function()
            try("timer", "request_body", "response_body", "log")
        end)
    }
--- config
    location = /t {
        set_by_lua_block $x { try("set", "request_headers", "log") }
        access_by_lua_block { try("access", "response_headers", "response_body", "log") }
        content_by_lua_block {
            try("content", "response_headers", "response_body", "log")
            ngx.say("done")
        }
        header_filter_by_lua_block {
            try("header_filter", "request_headers", "request_body", "response_body", "log")
        }
        body_filter_by_lua_block {
            if ngx.arg[2] then
                try("body_filter", "request_headers", "request_body", "response_headers", "log")
            end
        }
        log_by_lua_block {
            try("log", "request_headers", "request_body", "response_headers", "response_body", "log")
        }
    }
--- response_body
done
--- grep_error_log eval: qr/(?<=try\(\): )\w+ \w+: (true|false|nil) [^;]*/
--- grep_error_log_out
init request_headers: false there is no request here
init request_body: false there is no request here
init response_headers: false there is no request here
init response_body: false there is no request here
init log: false there is no request here
init_worker request_headers: nil wrong phase: request headers can be handled in rewrite, access and content, not here
init_worker response_headers: nil wrong phase: response headers can be handled in header_filter, not here
init_worker log: nil wrong phase: the end of a request can be handled in log, not here
timer request_body: nil wrong phase: a request body can be handled in rewrite, access and content, not here
timer response_body: nil wrong phase: a response body can be handled in body_filter, not here
timer log: nil wrong phase: the end of a request can be handled in log, not here
set request_headers: nil wrong phase: request headers can be handled in rewrite, access and content, not here
set log: nil wrong phase: the end of a request can be handled in log, not here
access response_headers: nil wrong phase: response headers can be handled in header_filter, not here
access response_body: nil wrong phase: a response body can be handled in body_filter, not here
access log: nil wrong phase: the end of a request can be handled in log, not here
content response_headers: nil wrong phase: response headers can be handled in header_filter, not here
content response_body: nil wrong phase: a response body can be handled in body_filter, not here
content log: nil wrong phase: the end of a request can be handled in log, not here
header_filter request_headers: nil wrong phase: request headers can be handled in rewrite, access and content, not here
header_filter request_body: nil wrong phase: a request body can be handled in rewrite, access and content, not here
header_filter response_body: nil wrong phase: a response body can be handled in body_filter, not here
header_filter log: nil wrong phase: the end of a request can be handled in log, not here
body_filter request_headers: nil wrong phase: request headers can be handled in rewrite, access and content, not here
body_filter request_body: nil wrong phase: a request body can be handled in rewrite, access and content, not here
body_filter response_headers: nil wrong phase: response headers can be handled in header_filter, not here
body_filter log: nil wrong phase: the end of a request can be handled in log, not here
log request_headers: nil wrong phase: request headers can be handled in rewrite, access and content, not here
log request_body: nil wrong phase: a request body can be handled in rewrite, access and content, not here
log response_headers: nil wrong phase: response headers can be handled in header_filter, not here
log response_body: nil wrong phase: a response body can be handled in body_filter, not here
log log: true true



=== TEST 9: phases: a chain's methods, each where it cannot work
--- http_config
    init_by_lua_block {
        local proxy_wasm = require "resty.proxy_wasm"
        chain = assert(proxy_wasm.new_chain {
            { name = "p", path = "$GUESTS/hostcalls.wasm", config = "" },
        })
        function try(where, ...)
            for _, name in ipairs { ... } do
                local ok, err = pcall(function() chain[name](chain); return true end)
                err = ok or err:gsub("^init_by_lua%b():8: ", "line 8: ")
                ngx.log(ngx.NOTICE, where, " ", name, ": ", ok, " ", err, ";")
            end
        end
        try("init", "init_worker", "rewrite", "access", "header_filter", "body_filter", "log")
    }
    init_worker_by_lua_block {
        try("init_worker", "rewrite", "access", "header_filter", "body_filter", "log")
    }
--- config
    location = /t {
        set_by_lua_block $x { try("set", "access") }
        access_by_lua_block { try("access", "init_worker", "header_filter", "body_filter", "log") }
        content_by_lua_block { ngx.say("done") }
        header_filter_by_lua_block { try("header_filter", "access", "body_filter", "log") }
        body_filter_by_lua_block { try("body_filter", "access", "header_filter", "log") }
        log_by_lua_block { try("log", "rewrite", "access", "header_filter", "body_filter") }
    }
--- response_body
done
--- grep_error_log eval: qr/(?<=try\(\): )\w+ \w+: (true|false|nil) [^;]*/
--- grep_error_log_out
init init_worker: false line 8: wrong phase: init_worker() belongs into init_worker_by_lua, not here
init rewrite: false line 8: there is no request here
init access: false line 8: there is no request here
init header_filter: false line 8: there is no request here
init body_filter: false line 8: there is no request here
init log: false line 8: there is no request here
init_worker rewrite: false line 8: wrong phase: request headers can be handled in rewrite, access and content, not here
init_worker access: false line 8: wrong phase: request headers can be handled in rewrite, access and content, not here
init_worker header_filter: false line 8: wrong phase: response headers can be handled in header_filter, not here
init_worker body_filter: false line 8: wrong phase: a response body can be handled in body_filter, not here
init_worker log: false line 8: wrong phase: the end of a request can be handled in log, not here
set access: false line 8: wrong phase: request headers can be handled in rewrite, access and content, not here
access init_worker: false line 8: wrong phase: init_worker() belongs into init_worker_by_lua, not here
access header_filter: false line 8: wrong phase: response headers can be handled in header_filter, not here
access body_filter: false line 8: wrong phase: a response body can be handled in body_filter, not here
access log: false line 8: wrong phase: the end of a request can be handled in log, not here
header_filter access: false line 8: wrong phase: request headers can be handled in rewrite, access and content, not here
header_filter body_filter: false line 8: wrong phase: a response body can be handled in body_filter, not here
header_filter log: false line 8: wrong phase: the end of a request can be handled in log, not here
body_filter access: false line 8: wrong phase: request headers can be handled in rewrite, access and content, not here
body_filter header_filter: false line 8: wrong phase: response headers can be handled in header_filter, not here
body_filter log: false line 8: wrong phase: the end of a request can be handled in log, not here
body_filter access: false line 8: wrong phase: request headers can be handled in rewrite, access and content, not here
body_filter header_filter: false line 8: wrong phase: response headers can be handled in header_filter, not here
body_filter log: false line 8: wrong phase: the end of a request can be handled in log, not here
log rewrite: false line 8: wrong phase: request headers can be handled in rewrite, access and content, not here
log access: false line 8: wrong phase: request headers can be handled in rewrite, access and content, not here
log header_filter: false line 8: wrong phase: response headers can be handled in header_filter, not here
log body_filter: false line 8: wrong phase: a response body can be handled in body_filter, not here
