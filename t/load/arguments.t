# load() and new_chain(): wrong arguments. Each is refused with a sentence that
# says which argument it was and what it should have been.

use lib 't/lib';
use TestProxyWasm 'no_plan';

run_tests();

__DATA__

=== TEST 1: load: name and path
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local path = "$GUESTS/maps.wasm"
            for _, case in ipairs {
                { nil, path }, { 7, path }, { "", path }, { {}, path },
                { "plugin", nil }, { "plugin", 7 }, { "plugin", {} },
            } do
                local ok, err = pcall(proxy_wasm.load, case[1], case[2])
                ngx.say(ok, ": ", err)
            end
        }
    }
--- response_body
false: name must be a non-empty string, not nil
false: name must be a non-empty string, not 7
false: name must be a non-empty string, not ""
false: name must be a non-empty string, not a table
false: path must be a string, not nil
false: path must be a string, not 7
false: path must be a string, not a table



=== TEST 2: load: options
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local path = "$GUESTS/maps.wasm"
            for _, opts in ipairs {
                7, "root_id", true,
                { root = "x" }, { [1] = "x" }, { [{}] = 1 },
                { name = "x" }, { path = "x" }, { config = "x" },
                { root_id = 7 }, { vm_config = {} }, { upstreams = "auth" },
                { upstreams = { "127.0.0.1:80" } }, { upstreams = { auth = 80 } },
                { pause_timeout = "1s" }, { pause_timeout = 0 }, { pause_timeout = -1 },
                { pause_timeout = 0/0 }, { pause_timeout = 1/0 },
                { resume = "never" }, { resume = 1 }, { property_encoding = "utf8" },
                { context_ids = true }, { subrequests = "yes" },
                { fail = "a\"\nb" }, { fail = ("x"):rep(61) },
            } do
                local ok, err = pcall(proxy_wasm.load, "plugin", path, opts)
                ngx.say(ok, ": ", (err:gsub("known are: [%w_, ]*root_id, .*", "known are: all of them")
                                          :gsub("-nan", "nan")))
            end
        }
    }
--- response_body
false: plugin "plugin": options must be a table, not 7
false: plugin "plugin": options must be a table, not "root_id"
false: plugin "plugin": options must be a table, not true
false: plugin "plugin": unknown option "root", known are: all of them
false: plugin "plugin": unknown option 1, known are: all of them
false: plugin "plugin": unknown option a table, known are: all of them
false: plugin "plugin": "name" is no option: it is the first argument of load()
false: plugin "plugin": "path" is no option: it is the second argument of load()
false: plugin "plugin": "config" is no option: it is the second argument of on_configure()
false: plugin "plugin": option "root_id" must be a string, not 7
false: plugin "plugin": option "vm_config" must be a string, not a table
false: plugin "plugin": option "upstreams" must be a table, not "auth"
false: plugin "plugin": option "upstreams": must map names, which are strings, to upstreams, not 1
false: plugin "plugin": option "upstreams": "auth" must be an address or a table with addresses, not 80
false: plugin "plugin": option "pause_timeout" must be a number, not "1s"
false: plugin "plugin": option "pause_timeout" must be a number of seconds above 0, not 0
false: plugin "plugin": option "pause_timeout" must be a number of seconds above 0, not -1
false: plugin "plugin": option "pause_timeout" must be a number of seconds above 0, not nan
false: plugin "plugin": option "pause_timeout" must be a number of seconds above 0, not inf
false: plugin "plugin": option "resume" must be "callouts" or "continue", not "never"
false: plugin "plugin": option "resume" must be "callouts" or "continue", not 1
false: plugin "plugin": option "property_encoding" must be "binary" or "string", not "utf8"
false: plugin "plugin": option "context_ids" must be "reused" or "unique", not true
false: plugin "plugin": option "subrequests" must be false or true, not "yes"
false: plugin "plugin": option "fail" must be "closed" or "open", not "a\x22\x0ab"
false: plugin "plugin": option "fail" must be "closed" or "open", not "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"



=== TEST 3: load: every option at once
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin, err = proxy_wasm.load("plugin", "$GUESTS/maps.wasm", {
                root_id = "root", vm_config = "", upstreams = { auth = "127.0.0.1:80" },
                pause_timeout = 0.0001, resume = "callouts", property_encoding = "string",
                context_ids = "reused", subrequests = false,
            })
            ngx.say(type(plugin), " ", err)
        }
    }
--- response_body
cdata nil



=== TEST 4: on_configure: plugin
--- config
    location = /t {
        content_by_lua_block {
            local ffi = require "ffi"
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = proxy_wasm.load("plugin", "$GUESTS/maps.wasm")
            local root = proxy_wasm.on_configure(plugin, "")
            for name, value in pairs {
                number = 7, string = "plugin", table = {},
                ["NULL"] = ffi.cast("rpw_plugin *", nil),
                ["another cdata"] = ffi.new("int[1]"),
                ["a context"] = root,
                ["a pointer to the pointer"] = ffi.new("rpw_plugin *[1]", plugin),
                ["int64"] = 7LL,
            } do
                local ok, err = pcall(proxy_wasm.on_configure, value, "")
                if ok or not err:find("^plugin must be what load%(%) gave, not ") then
                    ngx.say(name, ": ", ok, " ", err)
                end
            end
            local ok, err = pcall(proxy_wasm.on_configure)
            ngx.say(ok, " ", err)
        }
    }
--- response_body
false plugin must be what load() gave, not nil



=== TEST 5: phase functions: ctx
--- config
    location = /t {
        content_by_lua_block {
            local ffi = require "ffi"
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = proxy_wasm.load("plugin", "$GUESTS/maps.wasm")
            local functions = 0
            for name, fn in pairs(proxy_wasm) do
                if name:find("^on_http_") or name == "on_log" then
                    functions = functions + 1
                    for _, ctx in ipairs {
                        false, 7, "ctx", {}, ffi.cast("rpw_root *", nil),
                        ffi.new("int[1]"), plugin, ffi.cast("void *", plugin),
                    } do
                        local ok, err = pcall(fn, ctx)
                        if ok or not err:find("^ctx must be what on_configure%(%) gave, not ") then
                            ngx.say(name, ": ", ok, " ", err)
                        end
                    end
                    local ok, err = pcall(fn)
                    if ok or not err:find("^ctx must be what on_configure%(%) gave, not ") then
                        ngx.say(name, ": ", ok, " ", err)
                    end
                end
            end
            ngx.say(functions, " functions")
        }
    }
--- response_body
5 functions



=== TEST 6: on_http_request_body: body
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = proxy_wasm.load("plugin", "$GUESTS/maps.wasm")
            local ctx = proxy_wasm.on_configure(plugin, "")
            for _, body in ipairs { 7, true, {} } do
                local ok, err = pcall(proxy_wasm.on_http_request_body, ctx, body, true)
                ngx.say(ok, " ", err)
            end
        }
    }
--- response_body
false body must be a string or nil, not 7
false body must be a string or nil, not true
false body must be a string or nil, not a table



=== TEST 7: errors: name the caller's line
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local function caller(fn, ...)
                fn(...)
                return true
            end
            for _, case in ipairs {
                { proxy_wasm.load }, { proxy_wasm.on_configure }, { proxy_wasm.on_log },
                { proxy_wasm.new_chain }, { proxy_wasm.new_chain, { { name = "x" } } },
                { proxy_wasm.on_http_request_headers },
            } do
                local _, err = pcall(caller, unpack(case))
                ngx.say((err:gsub("^content_by_lua%b():", "line ")))
            end
        }
    }
--- response_body
line 4: name must be a non-empty string, not nil
line 4: plugin must be what load() gave, not nil
line 4: ctx must be what on_configure() gave, not nil
line 4: a chain needs a list of at least one plugin: { { name = …, path = … } }
line 4: chain entry 1, plugin "x": "path" must be a string, not nil
line 4: ctx must be what on_configure() gave, not nil



=== TEST 8: new_chain: entries
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local path = "$GUESTS/maps.wasm"
            for _, entries in ipairs {
                7, "chain", {}, { name = "a", path = path }, { 7 },
                { { path = path } }, { { name = "", path = path } },
                { { name = "a" } }, { { name = "a", path = 7 } },
                { { name = "a", path = path, configuration = "x" } },
                { { name = "a", path = path }, { name = "b", path = path, resume = 1 } },
            } do
                local ok, err = pcall(proxy_wasm.new_chain, entries)
                ngx.say(ok, ": ", (err:gsub("(known are: name, path, config, ).*", "%1…")))
            end
        }
    }
--- response_body
false: a chain needs a list of at least one plugin: { { name = …, path = … } }
false: a chain needs a list of at least one plugin: { { name = …, path = … } }
false: a chain needs a list of at least one plugin: { { name = …, path = … } }
false: a chain needs a list of at least one plugin: { { name = …, path = … } }
false: chain entry 1 must be a table, not 7
false: chain entry 1: "name" must be a non-empty string, not nil
false: chain entry 1: "name" must be a non-empty string, not ""
false: chain entry 1, plugin "a": "path" must be a string, not nil
false: chain entry 1, plugin "a": "path" must be a string, not 7
false: chain entry 1, plugin "a": unknown option "configuration", known are: name, path, config, …
false: chain entry 2, plugin "b": option "resume" must be "callouts" or "continue", not 1



=== TEST 9: load, new_chain: what only the library can say of an option names the option, not the file
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local path = "$GUESTS/maps.wasm"
            for _, opts in ipairs {
                { capabilities = { "proxy_log", "proxy_lgo" } },
                { upstreams = { auth = "http://auth.example/check" } },
                { upstreams = { auth = "https://auth.example/" } },
                { upstreams = { auth = "grpc://auth.example" } },
                { upstreams = { auth = "a b" } },
                { callouts = { "https://auth.example" } },
                { callouts = { "auth.example/check" } },
            } do
                ngx.say(select(2, proxy_wasm.load("p", path, opts)))
                -- Also where there is no such file.
                opts.name, opts.path = "p", "/nowhere"
                ngx.say(select(2, proxy_wasm.new_chain { opts }))
            end
        }
    }
--- response_body eval
CORE::join "", map { "plugin \"p\": $_\n" x 2 } (
    'option "capabilities": "proxy_lgo" is unknown: there is no such host function, callback or WASI function',
    (map {
        qq(upstream "auth": "$_": the upstream address has a path: it is host, host:port, [ipv6]:port or )
        . 'unix:/path, each also behind http:// or https://, and the path is the callout\'s own (:path)'
    } 'http://auth.example/check', 'https://auth.example/'),
    q(upstream "auth": "grpc://auth.example": the upstream address's scheme is neither http nor https),
    'upstream "auth": "a b": the upstream address has spaces, control characters or is not UTF-8',
    (map {
        qq(option "callouts": "$_" is no pattern: it is host, host:port, *.domain, *.domain:port, )
        . '[ipv6]:port or unix:/path, without http:// and without a path of a URL'
    } 'https://auth.example', 'auth.example/check'),
)



=== TEST 10: methods: called with a dot in place of a colon
--- config
    location = /t {
        content_by_lua_block {
            local chain = require("resty.proxy_wasm").new_chain {
                { name = "p", path = "$GUESTS/export_nothing.wasm" },
            }
            for _, name in ipairs {
                "init_worker", "rewrite", "access", "header_filter", "body_filter", "log",
            } do
                local _, err = pcall(function() chain[name]() end)
                ngx.say(name, ": ", (err:gsub("^content_by_lua%b():", "line ")))
            end
        }
    }
--- response_body
init_worker: line 8: call it with a colon: chain:init_worker()
rewrite: line 8: call it with a colon: chain:rewrite(), chain:access()
access: line 8: call it with a colon: chain:rewrite(), chain:access()
header_filter: line 8: call it with a colon: chain:header_filter()
body_filter: line 8: call it with a colon: chain:body_filter()
log: line 8: call it with a colon: chain:log()
