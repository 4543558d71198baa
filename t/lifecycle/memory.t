# The memory of the process: 64 plugins leave LuaJIT what it needs, and give
# back what they had, with and without a limit of the address space.

use lib 't/lib';
use TestProxyWasm 'no_plan';

# $LIMIT stands for Lua that may set one.
our $many = <<'_EOC_';
    init_by_lua_block {
        $LIMIT
        local proxy_wasm = require "resty.proxy_wasm"

        -- Address space that the process takes, in MiB.
        function addresses()
            local file = assert(io.open("/proc/self/status"))
            local kib = file:read("*a"):match("VmSize:%s*(%d+) kB")
            file:close()
            return tonumber(kib) / 1024
        end

        function load_many()
            local plugins = {}
            for i = 1, 64 do
                local plugin = assert(proxy_wasm.load("p" .. i, "$GUESTS/hostcalls.wasm"))
                plugins[i] = assert(proxy_wasm.on_configure(plugin, "request_headers alloc 1000"))
            end
            return plugins
        end

        -- Runs functions that nobody has run. Gives the machine code that came
        -- of them in KiB, and why traces were given up for want of memory.
        function compile_anew(count)
            local jit_util = require "jit.util"
            local size, starved = 0, nil
            local function listen(what, trace, _, _, code)
                if what == "stop" then
                    size = size + #jit_util.tracemc(trace)
                elseif what == "flush" then
                    starved = "all traces were dropped"
                elseif what == "abort" and require("jit.vmdef").traceerr[code]:find("mcode", 1, true) then
                    starved = require("jit.vmdef").traceerr[code]
                end
            end
            jit.attach(listen, "trace")
            for i = 1, count do
                local fn = loadstring("local t, s = {}, " .. i .. " for i = 1, 200 do "
                    .. ("t[i] = i * s; s = (s + t[i]) % 1000; "):rep(20) .. " end return s")
                fn()
            end
            jit.attach(listen)
            return size / 1024, starved
        end

        plugins = load_many()
    }
_EOC_

our $location = <<'_EOC_';
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            for i = 1, 64 do
                assert(proxy_wasm.on_http_request_headers(plugins[i]))
            end
            local size, starved = compile_anew(1000)
            ngx.say(size > 1024, " ", starved)
        }
        log_by_lua_block {
            for i = 1, 64 do
                require("resty.proxy_wasm").on_log(plugins[i])
            end
        }
    }
    location = /again {
        content_by_lua_block {
            local before = addresses()
            for _ = 1, 4 do
                plugins = nil
                collectgarbage()
                collectgarbage()
                plugins = load_many()
            end
            local grown = addresses() - before
            ngx.say(grown < 100, grown < 100 and "" or " " .. grown .. " MiB more")
        }
    }
_EOC_

add_block_preprocessor(sub {
    my $block = shift;
    my $limit = defined $block->limit ? $block->limit : '';
    (my $http = $main::many) =~ s/\$LIMIT/$limit/;
    $block->set_value('http_config', $http);
    $block->set_value('config', $main::location);
    $block->set_value('request', ["GET /t", "GET /again", "GET /again"]);
    $block->set_value('response_body', ["true nil\n", "true\n", "true\n"]);
});

run_tests();

__DATA__

=== TEST 1: memory: 64 plugins starve nobody, and go when they are dropped
--- no_error_log
[error]



=== TEST 2: memory: the same in 8 GiB of address space
--- limit
        local ffi = require "ffi"
        ffi.cdef "typedef struct { uint64_t soft, hard; } limits_t; int setrlimit(int what, const limits_t *limits);"
        -- RLIMIT_AS
        assert(ffi.C.setrlimit(9, ffi.new("limits_t", 2^33, 2^33)) == 0)
--- no_error_log
[error]
