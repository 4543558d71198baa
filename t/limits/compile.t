# What compiling a module may take (max_compile_memory, max_compile_time).

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $hostile = <<'_EOC_';
        -- A few kilobytes of blocks that take and give 1000 values each; with
        -- so many bytes in a section that says nothing, and so many functions.
        function hostile(path, blocks, more, functions)
            functions = functions or 1
            local function leb(n)
                local bytes = ""
                repeat
                    local low = n % 128
                    n = (n - low) / 128
                    bytes = bytes .. string.char(n > 0 and low + 128 or low)
                until n == 0
                return bytes
            end
            local function section(id, content)
                return string.char(id) .. leb(#content) .. content
            end
            local i32s = leb(1000) .. ("\127"):rep(1000)
            local code = "\0" .. ("\65\0"):rep(1000) .. ("\2\1\11"):rep(blocks) .. ("\26"):rep(1000) .. "\11"
            local file = assert(io.open(path, "wb"))
            file:write("\0asm\1\0\0\0",
                section(1, "\2\96\0\0\96" .. i32s .. i32s), section(3, leb(functions) .. ("\0"):rep(functions)),
                section(10, leb(functions) .. (leb(#code) .. code):rep(functions)),
                section(0, "\1x" .. ("x"):rep(more or 0)))
            file:close()
            return path
        end
_EOC_

no_long_string();
run_tests();

__DATA__

=== TEST 1: compile: a small module that would take gigabytes or minutes is refused, in the master and in a worker
--- http_config eval
"init_by_lua_block {
$::hostile
" . <<'_EOC_'
        proxy_wasm = require "resty.proxy_wasm"
        proxy_wasm.cache_directory(false)
        path = hostile("$TEST_NGINX_HTML_DIR/gigabytes.wasm", 5000)
        slow = hostile("$TEST_NGINX_HTML_DIR/minutes.wasm", 200, 0, 80)
        function try()
            said = said or {}
            table.insert(said, (select(2, proxy_wasm.load("p", path))))
            table.insert(said, (select(2, proxy_wasm.load("p", slow))))
        end
        try()
    }
_EOC_
--- config
    location = /t {
        content_by_lua_block {
            try()
            for i = 1, 4 do
                ngx.say((said[i]:gsub("^.*html/", "")))
            end
        }
    }
--- response_body
gigabytes.wasm: failed to load: to compile it would take some 90179 MiB of memory, 90178 of them for its function 0, and may take 1024 (option max_compile_memory)
minutes.wasm: failed to load: to compile it would take some 140 s, 2 of them for its function 79, and may take 120 (option max_compile_time)
gigabytes.wasm: failed to load: to compile it would take some 90179 MiB of memory, 90178 of them for its function 0, and may take 1024 (option max_compile_memory)
minutes.wasm: failed to load: to compile it would take some 140 s, 2 of them for its function 79, and may take 120 (option max_compile_time)



=== TEST 2: compile: a large one is refused before its thread compiles it, and its requests get the policy
--- http_config eval
"init_worker_by_lua_block {
$::hostile
" . <<'_EOC_'
        local proxy_wasm = require "resty.proxy_wasm"
        proxy_wasm.cache_directory(false)
        chain = assert(proxy_wasm.new_chain {
            { name = "p", path = hostile("$TEST_NGINX_HTML_DIR/hostile.wasm", 5000, 600000) }
        })
    }
_EOC_
--- config
    location = /t {
        access_by_lua_block { chain:access() }
        content_by_lua_block { ngx.say("passed") }
    }
--- request
GET /t
--- error_code: 503
--- error_log
the request is refused: failed to load: 
to compile it would take some 90179 MiB of memory, 90178 of them for its function 0, and may take 1024 (option max_compile_memory)



=== TEST 3: compile: the limits are the plugin's; what is compiled is there for all
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            proxy_wasm.cache_directory(false)
            local path = "$GUESTS/hostcalls.wasm"
            local function load(options)
                local plugin, err = proxy_wasm.load("p", path, options)
                ngx.say(plugin and "loaded" or err:match("and may take.*"))
                return plugin
            end
            load { max_compile_memory = 4 * 1024 * 1024 }
            load { max_compile_time = 0.01 }
            local plugin = load { max_compile_memory = 64 * 1024 * 1024, max_compile_time = 10 }
            load { max_compile_memory = 4 * 1024 * 1024 }
            load { max_compile_time = 0.01 }
            for _, option in ipairs { "max_compile_memory", "max_compile_time" } do
                local _, err = pcall(load, { [option] = 0 })
                ngx.say((err:gsub("^.-plugin", "plugin")))
            end
        }
    }
--- response_body
and may take 4 (option max_compile_memory)
and may take 0.01 (option max_compile_time)
loaded
loaded
loaded
plugin "p": option "max_compile_memory" must be a number of bytes from 1 to 2147483647, not 0
plugin "p": option "max_compile_time" must be a number of seconds from 0.01 on, not 0



=== TEST 4: compile: of a module that is not valid nothing is compiled, not the functions before the wrong one either
--- http_config
init_by_lua_block {
    local function leb(n)
        return n < 128 and string.char(n) or string.char(n % 128 + 128) .. leb(math.floor(n / 128))
    end
    local function section(id, content)
        return string.char(id) .. leb(#content) .. content
    end
    -- A function that takes half a GB to compile, and one with an operator that
    -- does not exist.
    local i32s = leb(1000) .. ("\127"):rep(1000)
    local costly = "\0" .. ("\65\0"):rep(1000) .. ("\2\1\11"):rep(400) .. ("\26"):rep(1000) .. "\11"
    local wrong = "\0\255\11"
    local path = "$TEST_NGINX_HTML_DIR/wrong.wasm"
    local file = assert(io.open(path, "wb"))
    file:write("\0asm\1\0\0\0",
        section(1, "\2\96\0\0\96" .. i32s .. i32s), section(3, "\2\0\0"),
        section(10, "\2" .. leb(#costly) .. costly .. leb(#wrong) .. wrong))
    file:close()
    local proxy_wasm = require "resty.proxy_wasm"
    proxy_wasm.cache_directory(false)
    local _, why = proxy_wasm.load("p", path)
    local status = assert(io.open("/proc/self/status"))
    peak = tonumber(status:read("*a"):match("VmHWM:%s+(%d+)")) / 1024
    status:close()
    said = why
}
--- config
    location = /t {
        content_by_lua_block {
            ngx.say((said:gsub("^.*html/", "")))
            ngx.say(peak < 300 and "small" or peak .. " MiB")
        }
    }
--- response_body_like
^wrong.wasm: failed to load: not a valid WebAssembly module: .*illegal opcode.*
small$



=== TEST 5: compile: a small module that takes seconds is compiled in a thread, where a worker loads it
--- http_config eval
"init_worker_by_lua_block {
$::hostile
" . <<'_EOC_'
        local proxy_wasm = require "resty.proxy_wasm"
        proxy_wasm.cache_directory(false)
        local function new_chain(name, blocks)
            local path = hostile("$TEST_NGINX_HTML_DIR/" .. name .. ".wasm", blocks)
            return proxy_wasm.new_chain { { name = name, path = path } }
        end
        -- What it is, which is no plugin, is said at once of that one alone.
        local quick, why = new_chain("quick", 20)
        ngx.log(ngx.NOTICE, "quick: ", quick, " ", why)
        chain = assert(new_chain("slow", 200))
    }
_EOC_
--- config
    location = /t {
        access_by_lua_block { chain:access() }
        content_by_lua_block { ngx.say("passed") }
    }
--- request
GET /t
--- error_code: 503
--- error_log eval
["slow: its code is compiled in the background", "slow.wasm: no Proxy-Wasm plugin",
qr{quick: nil plugin "quick": .*quick.wasm: failed to load: no Proxy-Wasm plugin}]



=== TEST 6: compile: no plugin waits for another's hostile module
--- http_config eval
"init_worker_by_lua_block {
$::hostile
" . <<'_EOC_'
        local proxy_wasm = require "resty.proxy_wasm"
        local folder = "$TEST_NGINX_HTML_DIR"
        proxy_wasm.cache_directory(folder)
        local slow = hostile(folder .. "/slow.wasm", 200, 0, 55)
        held = assert(proxy_wasm.load("slow", slow))
        -- Compiled by now.
        local began
        for _ = 1, 600 do
            local names = io.popen("ls " .. folder .. "/proxy-wasm-*; sleep 0.05")
            began = names:read("*a"):find("lock", 1, true)
            names:close()
            if began then
                break
            end
        end
        assert(began, "nothing compiles it")
        -- A usual plugin, with bytes in a section that says nothing.
        local from = assert(io.open("$GUESTS/hostcalls.wasm", "rb"))
        local bytes = from:read("*a")
        from:close()
        local to = assert(io.open(folder .. "/large.wasm", "wb"))
        to:write(bytes, "\0\192\207\36\1x", ("x"):rep(600000 - 2))
        to:close()
        chain = assert(proxy_wasm.new_chain { { name = "usual", path = folder .. "/large.wasm" } })
    }
_EOC_
--- config
    location = /plugin {
        access_by_lua_block { chain:access() }
        content_by_lua_block { ngx.say("passed") }
    }
    location = /t {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local status
            for _ = 1, 25 do
                status = client.read(client.send("/plugin"))
                if status == 200 then
                    break
                end
                ngx.sleep(1)
            end
            ngx.say(status)
            -- That one is still compiled.
            local threads = io.popen("cat /proc/" .. ngx.worker.pid() .. "/task/*/comm")
            ngx.say((threads:read("*a"):match("proxy_wasm_code")))
            threads:close()
        }
    }
--- response_body
200
proxy_wasm_code
--- no_error_log
[crit]
--- timeout: 90
