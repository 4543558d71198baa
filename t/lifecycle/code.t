# Compiled code: where it is kept, and what happens while it is made.

use lib 't/lib';
use TestProxyWasm 'no_plan';

# A worker compiles a module of this size in the background.
our $large = <<'_EOC_';
        -- The guest hostcalls, with a custom section that makes it large and
        -- one of a kind.
        function large(path)
            local file = assert(io.open("$GUESTS/hostcalls.wasm", "rb"))
            local bytes = file:read("*a")
            file:close()
            local size = 600000
            local leb = string.char(bit.bor(bit.band(size, 127), 128),
                bit.bor(bit.band(bit.rshift(size, 7), 127), 128), bit.rshift(size, 14))
            file = assert(io.open(path, "wb"))
            file:write(bytes, "\0", leb, "\1x", ("\0"):rep(size - 2))
            file:close()
        end

        function maps(what)
            local file = assert(io.open("/proc/self/maps"))
            local found = file:read("*a"):find(what, 1, true) ~= nil
            file:close()
            return found
        end
_EOC_

run_tests();

__DATA__

=== TEST 1: code: kept in the folder that was named, and mapped from there
--- http_config eval
"init_by_lua_block {
$::large
" . <<'_EOC_'
        local proxy_wasm = require "resty.proxy_wasm"
        folder = "$TEST_NGINX_HTML_DIR"
        proxy_wasm.cache_directory(folder)
        large(folder .. "/large.wasm")
        plugin = assert(proxy_wasm.load("p", folder .. "/large.wasm"))
        first = maps(folder)
        plugin = nil
        collectgarbage()
        plugin = assert(proxy_wasm.load("p", folder .. "/large.wasm"))
        second = maps(folder)
    }
_EOC_
--- config
    location = /t {
        content_by_lua_block {
            ngx.say(first, " ", second)
            local ctx = assert(require("resty.proxy_wasm").on_configure(plugin, "vm_start return true"))
            ngx.say(require("resty.proxy_wasm").on_http_request_headers(ctx))
        }
    }
--- response_body
false true
true
--- no_error_log
[error]



=== TEST 2: code: a worker that compiles answers others, and its own with the policy
--- http_config eval
"init_worker_by_lua_block {
$::large
" . <<'_EOC_'
        local proxy_wasm = require "resty.proxy_wasm"
        proxy_wasm.cache_directory(false)
        large("$TEST_NGINX_HTML_DIR/large.wasm")
        chain = assert(proxy_wasm.new_chain {
            { name = "p", path = "$TEST_NGINX_HTML_DIR/large.wasm",
              config = "configure log info configured\nresponse_headers set_header response x-plugin yes" },
        })
        chain:init_worker()
        open = assert(proxy_wasm.new_chain {
            { name = "o", path = "$TEST_NGINX_HTML_DIR/large.wasm", fail = "open" },
        })
    }
_EOC_
--- config
    location = /plugin {
        access_by_lua_block { chain:access() }
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        log_by_lua_block { chain:log() }
        content_by_lua_block { ngx.say("served") }
    }
    location = /open {
        access_by_lua_block { open:access() }
        header_filter_by_lua_block { open:header_filter() }
        body_filter_by_lua_block { open:body_filter() }
        log_by_lua_block { open:log() }
        content_by_lua_block { ngx.say("let pass") }
    }
    location = /other {
        content_by_lua_block { ngx.say("other") }
    }
    location = /t {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.say((client.read(client.send("/plugin"))))
            ngx.print(select(2, client.read(client.send("/open"))))
            ngx.print(select(2, client.read(client.send("/other"))))
            ngx.print(select(2, client.read(client.send("/compiling"))))
            local status
            for _ = 1, 1200 do
                status = client.read(client.send("/plugin"))
                if status == 200 then
                    break
                end
                ngx.sleep(0.05)
            end
            ngx.say(status)
            ngx.print(select(2, client.read(client.send("/compiling"))))
        }
    }
    location = /compiling {
        content_by_lua_block {
            local of = {}
            for _, plugin in ipairs(require("resty.proxy_wasm").status().plugins) do
                of[plugin.name] = plugin
            end
            ngx.say(of.p.compiling, " ", of.p.instance)
        }
    }
--- response_body
503
let pass
other
true false
200
false true
--- error_log eval
[
    'the request is refused: the plugin is still being compiled',
    'p: configured',
    qr/\[notice\] [^\n]*p: its code is compiled in the background: until it is there, requests get the policy of the option fail/,
    qr/\[notice\] [^\n]*p: its code is compiled, after \d+\.\d s/,
]
--- no_error_log
[crit]
cannot be used
--- timeout: 90



=== TEST 3: code: a timer starts the plugin when it is compiled, without any request
--- http_config eval
"init_worker_by_lua_block {
$::large
" . <<'_EOC_'
        local proxy_wasm = require "resty.proxy_wasm"
        proxy_wasm.cache_directory(false)
        large("$TEST_NGINX_HTML_DIR/large.wasm")
        chain = assert(proxy_wasm.new_chain {
            { name = "p", path = "$TEST_NGINX_HTML_DIR/large.wasm",
              config = "configure proxy_set_shared_data \"up\" \"yes\" 0" },
        })
    }
_EOC_
--- config
    location = /t {
        content_by_lua_block {
            local function log()
                local file = assert(io.open(ngx.config.prefix() .. "logs/error.log"))
                local text = file:read("*a")
                file:close()
                return text
            end
            for _ = 1, 1200 do
                if log():find('proxy_set_shared_data("up" "yes" 0) = OK', 1, true) then
                    return ngx.say("started")
                end
                ngx.sleep(0.05)
            end
            ngx.say("never")
        }
    }
--- response_body
started
--- no_error_log
[error]
--- timeout: 90



=== TEST 4: code: what a configuration is refused for is told later, and hurts no other
--- http_config eval
"init_worker_by_lua_block {
$::large
" . <<'_EOC_'
        local proxy_wasm = require "resty.proxy_wasm"
        proxy_wasm.cache_directory(false)
        large("$TEST_NGINX_HTML_DIR/large.wasm")
        local plugin = assert(proxy_wasm.load("p", "$TEST_NGINX_HTML_DIR/large.wasm"))
        good = assert(proxy_wasm.on_configure(plugin, "request_headers log info good"))
        bad = assert(proxy_wasm.on_configure(plugin, "configure return false"))
        trapping = assert(proxy_wasm.on_configure(plugin, "configure trap"))
        also = assert(proxy_wasm.on_configure(plugin, "request_headers log info also"))
    }
_EOC_
--- config
    location /plugin {
        access_by_lua_block {
            local ctx = _G[ngx.var.uri:match("[^/]+$")]
            local ok, err = require("resty.proxy_wasm").on_http_request_headers(ctx)
            ngx.header["Content-Length"] = #tostring(err) + 1
            ngx.say(err)
        }
    }
    location = /t {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local function ask(name)
                return (select(2, client.read(client.send("/plugin/" .. name))))
            end
            for _ = 1, 1200 do
                if not ask("good"):find("compiled") then
                    break
                end
                ngx.sleep(0.05)
            end
            for _ = 1, 2 do
                for _, name in ipairs { "good", "bad", "trapping", "also" } do
                    ngx.print(name, ": ", ask(name))
                end
            end
            -- Their ends are no calls into what never knew them.
            bad, trapping = nil, nil
            collectgarbage()
            ngx.print("good: ", ask("good"))
        }
    }
--- response_body_like eval
qr/\A(?:good: .*\n)bad: its configuration was refused\ntrapping: its configuration was refused
also: nil\ngood: nil\nbad: its configuration was refused\ntrapping: its configuration was refused
also: nil\ngood: nil\n\z/
--- error_log
root context 2 cannot be used: failed to run proxy_on_configure: the plugin refused its configuration
root context 3 cannot be used: failed to run proxy_on_configure
--- timeout: 90



=== TEST 5: code: what is wrong with a large module is said later, to the log and to its requests
--- http_config eval
"init_worker_by_lua_block {
$::large
" . <<'_EOC_'
        local proxy_wasm = require "resty.proxy_wasm"
        proxy_wasm.cache_directory(false)
        chains = {}
        local function try(name, change, options)
            local path = "$TEST_NGINX_HTML_DIR/" .. name .. ".wasm"
            large(path)
            local file = io.open(path, "rb")
            local bytes = file:read("*a")
            file:close()
            file = io.open(path, "wb")
            file:write(change(bytes))
            file:close()
            options.name, options.path = name, path
            -- The thread may be done before the root context is made: then that
            -- says what is wrong.
            local err
            for _ = 1, 100 do
                chains[name], err = proxy_wasm.new_chain { options }
                if chains[name] then
                    return
                end
                assert(err:find("failed to load: ", 1, true), err)
            end
            error(name .. ": the thread was the first one 100 times, last with: " .. err)
        end
        try("broken", function(bytes)
            return bytes .. "\10\4\1\2\0\11"
        end, {})
        try("version", function(bytes)
            return (bytes:gsub("proxy_abi_version_0_%d_%d", "proxy_abi_version_9_9_9"))
        end, {})
        try("memory", function(bytes) return bytes end, { memory_limit = 65536 })
        try("open", function(bytes)
            return bytes .. "\10\4\1\2\0\11"
        end, { fail = "open" })
    }
_EOC_
--- config
    location /plugin {
        access_by_lua_block { chains[ngx.var.arg_name]:access() }
        header_filter_by_lua_block { chains[ngx.var.arg_name]:header_filter() }
        body_filter_by_lua_block { chains[ngx.var.arg_name]:body_filter() }
        log_by_lua_block { chains[ngx.var.arg_name]:log() }
        content_by_lua_block { ngx.say("served") }
    }
    location = /t {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local function log()
                local file = assert(io.open(ngx.config.prefix() .. "logs/error.log"))
                local text = file:read("*a")
                file:close()
                return text
            end
            -- Without any request: the timer that waits for the code.
            for _, name in ipairs { "broken", "version", "memory", "open" } do
                local why
                for _ = 1, 1200 do
                    why = log():match(name .. ": no instance can be made: .-/" .. name .. "%.wasm: ([^\n]+)")
                    if why then
                        break
                    end
                    ngx.sleep(0.05)
                end
                ngx.say(name, ": ", why and why:gsub("%d%d%d+", "N"):gsub(", context.*", ""))
                local status, body = client.read(client.send("/plugin?name=" .. name))
                ngx.say(status, " ", status == 200 and body:sub(1, -2) or "")
            end
        }
    }
--- response_body_like eval
qr/\Abroken: not a valid WebAssembly module: .*
503 \nversion: proxy_abi_version_9_9_9 is unknown: .*
503 \nmemory: it begins with N bytes of memory, and may have N \(option memory_limit\)
503 \nopen: not a valid WebAssembly module: .*
200 served\n\z/
--- error_log eval
qr/version: the request is refused: failed to load: .*version.wasm: proxy_abi_version_9_9_9 is unknown/
--- no_error_log
[crit]
--- timeout: 90



=== TEST 6: code: a folder that cannot be used is no error, and is said once
--- http_config eval
"init_by_lua_block {
$::large
" . <<'_EOC_'
        local proxy_wasm = require "resty.proxy_wasm"
        for _, folder in ipairs { "/nowhere", "/proc", "/sys" } do
            proxy_wasm.cache_directory(folder)
            assert(proxy_wasm.new_chain {
                { name = "p", path = "$GUESTS/hostcalls.wasm", config = "configure log info configured" },
            })
            collectgarbage()
        end
    }
_EOC_
--- config
    location = /t {
        content_by_lua_block { ngx.say("runs") }
    }
--- response_body
runs
--- error_log
configured
--- grep_error_log eval: qr/compiled code is not kept: .*/
--- grep_error_log_out
compiled code is not kept: /nowhere: No such file or directory (os error 2)
--- no_error_log
[error]



=== TEST 7: code: the folder is an absolute path, or false
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            for _, path in ipairs { "relative", "", 1, true } do
                local ok, err = pcall(proxy_wasm.cache_directory, path)
                ngx.say(ok, " ", (err:gsub("^.*: ", "")))
            end
            ngx.say((pcall(proxy_wasm.cache_directory)))
        }
    }
--- response_body
false path must be an absolute path, or false, not "relative"
false path must be an absolute path, or false, not ""
false path must be an absolute path, or false, not 1
false path must be an absolute path, or false, not true
false



=== TEST 8: code: a large file that is none is refused at once; any, in the master
--- http_config eval
"init_by_lua_block {
$::large
" . <<'_EOC_'
        local proxy_wasm = require "resty.proxy_wasm"
        path = "$TEST_NGINX_HTML_DIR/large.wasm"
        large(path)
        local file = io.open(path, "ab")
        file:write("\10\4\1\2\0\11")
        file:close()
        plugin, err = proxy_wasm.load("p", path)
    }
_EOC_
--- config
    location = /t {
        content_by_lua_block {
            ngx.say(plugin, " ", err:match("large.wasm: failed to load: not a valid WebAssembly module: "))
            local file = io.open(path, "wb")
            file:write(("<html>"):rep(200000))
            file:close()
            ngx.say(require("resty.proxy_wasm").load("p", path))
        }
    }
--- response_body_like eval
qr/\Anil large.wasm: failed to load: not a valid WebAssembly module: 
nil.*plugin "p": .*large.wasm: failed to load: no WebAssembly: it begins with "<html><h"\n\z/



=== TEST 9: code: reading, hashing and checking 23 MB is not the worker's work
--- http_config
    init_worker_by_lua_block {
        local ffi = require "ffi"
        ffi.cdef [[
            struct test_time { long seconds; long nanoseconds; };
            int clock_gettime(int clock, struct test_time *time);
        ]]
        local time = ffi.new("struct test_time")
        local function used(clock)
            assert(ffi.C.clock_gettime(clock, time) == 0)
            return tonumber(time.seconds) + tonumber(time.nanoseconds) / 1e9
        end
        local PROCESS, THREAD = 2, 3

        local lib = require("resty.proxy_wasm.lib").lib
        local proxy_wasm = require "resty.proxy_wasm"
        proxy_wasm.cache_directory(false)
        ngx.timer.at(0, function()
            local own, all = used(THREAD), used(PROCESS)
            local plugin = assert(proxy_wasm.load("big", "$GUESTS/go_big.wasm"))
            local ctx = assert(proxy_wasm.on_configure(plugin))
            own = used(THREAD) - own
            while bit.band(lib.rpw_wants(ctx), lib.RPW_WANTS_UNKNOWN) ~= 0 do
                ngx.sleep(0.001)
            end
            share = own / (used(PROCESS) - all)
            kept = ctx
        end)
    }
--- config
    location = /t {
        content_by_lua_block {
            for _ = 1, 1200 do
                if share then
                    break
                end
                ngx.sleep(0.05)
            end
            ngx.say(share < 0.25 and "little" or share)
        }
    }
--- response_body
little
--- no_error_log
[error]
--- timeout: 90



=== TEST 10: code: a folder that others can exchange is not used, and the log says why
--- http_config
    init_by_lua_block {
        local proxy_wasm = require "resty.proxy_wasm"
        local open = "$TEST_NGINX_HTML_DIR/open"
        os.execute("mkdir -p " .. open .. "/inner && chmod 777 " .. open)
        proxy_wasm.cache_directory(open .. "/inner")
        plugin = assert(proxy_wasm.load("p", "$GUESTS/hostcalls.wasm"))
        os.execute("chmod 755 " .. open)
    }
--- config
    location = /t {
        content_by_lua_block { ngx.say("runs") }
    }
--- response_body
runs
--- error_log eval
qr{compiled code is not kept: others may write to /\S+/open, and put other code there: take that from them \(chmod go-w\), or use another folder \(cache_directory\)}
--- no_error_log
[error]
