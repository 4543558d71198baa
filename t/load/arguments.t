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
false: name must be a non-empty string
false: name must be a non-empty string
false: name must be a non-empty string
false: name must be a non-empty string
false: path must be a string
false: path must be a string
false: path must be a string



=== TEST 2: load: options
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local path = "$GUESTS/maps.wasm"
            for _, opts in ipairs {
                7, "root_id", true,
                { root = "x" }, { [1] = "x" }, { [{}] = 1 },
                { root_id = 7 }, { vm_config = {} }, { upstreams = "auth" },
                { upstreams = { "127.0.0.1:80" } }, { upstreams = { auth = 80 } },
                { pause_timeout = "1s" }, { pause_timeout = 0 }, { pause_timeout = -1 },
                { pause_timeout = 0/0 }, { pause_timeout = 1/0 },
                { resume = "never" }, { resume = 1 }, { property_encoding = "utf8" },
                { context_ids = true }, { subrequests = "yes" },
            } do
                local ok, err = pcall(proxy_wasm.load, "plugin", path, opts)
                ngx.say(ok, ": ", (err:gsub("table: 0x%x+", "table")
                                          :gsub("known are: [%w_, ]*root_id, .*", "known are: all of them")))
            end
        }
    }
--- response_body
false: options must be a table
false: options must be a table
false: options must be a table
false: unknown option "root", known are: all of them
false: unknown option "1", known are: all of them
false: unknown option "table", known are: all of them
false: option "root_id" must be a string
false: option "vm_config" must be a string
false: option "upstreams" must be a table
false: option "upstreams": must map names, which are strings, to upstreams
false: option "upstreams": "auth" must be an address or a table with addresses
false: option "pause_timeout" must be a number
false: option "pause_timeout" must be a number of seconds above 0
false: option "pause_timeout" must be a number of seconds above 0
false: option "pause_timeout" must be a number of seconds above 0
false: option "pause_timeout" must be a number of seconds above 0
false: option "resume" must be one of: callouts, continue
false: option "resume" must be one of: callouts, continue
false: option "property_encoding" must be one of: binary, string
false: option "context_ids" must be one of: reused, unique
false: option "subrequests" must be one of: false, true



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
                if ok or err ~= "plugin must be what load() gave" then
                    ngx.say(name, ": ", ok, " ", err)
                end
            end
            local ok, err = pcall(proxy_wasm.on_configure)
            ngx.say(ok, " ", err)
        }
    }
--- response_body
false plugin must be what load() gave



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
                        if ok or err ~= "ctx must be what on_configure() gave" then
                            ngx.say(name, ": ", ok, " ", err)
                        end
                    end
                    local ok, err = pcall(fn)
                    if ok or err ~= "ctx must be what on_configure() gave" then
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
false body must be a string or nil
false body must be a string or nil
false body must be a string or nil



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
line 4: name must be a non-empty string
line 4: plugin must be what load() gave
line 4: ctx must be what on_configure() gave
line 4: a chain needs a list of at least one plugin
line 4: chain entry 1: "path" must be a string
line 4: ctx must be what on_configure() gave



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
                ngx.say(ok, ": ", (err:gsub(", known are.*", "")))
            end
        }
    }
--- response_body
false: a chain needs a list of at least one plugin
false: a chain needs a list of at least one plugin
false: a chain needs a list of at least one plugin
false: a chain needs a list of at least one plugin
false: chain entry 1: must be a table
false: chain entry 1: "name" must be a non-empty string
false: chain entry 1: "name" must be a non-empty string
false: chain entry 1: "path" must be a string
false: chain entry 1: "path" must be a string
false: chain entry 1: unknown option "configuration"
false: chain entry 2: option "resume" must be one of: callouts, continue
