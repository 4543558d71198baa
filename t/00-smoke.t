# The test bed itself: nginx with Lua runs, and the paths lead somewhere. When
# this fails, look at nothing else.

use lib 't/lib';
use TestProxyWasm 'no_plan';

run_tests();

__DATA__

=== TEST 1: nginx: Lua answers, on OpenResty's LuaJIT, with lua-resty-core
--- config
    location = /t {
        content_by_lua_block {
            local base = require "resty.core.base"
            local openresty = pcall(require, "table.nkeys")
            ngx.say(jit.status(), " ", base.version ~= nil, " ", openresty)
        }
    }
--- response_body
true true true



=== TEST 2: paths: the guests' folder and the library are where nginx looks
--- config
    location = /t {
        content_by_lua_block {
            local function there(path)
                local file = io.open(path)
                if file then
                    file:close()
                end
                return file ~= nil
            end

            local library
            for entry in package.cpath:gmatch("[^;]+") do
                local dir = entry:match("^.*/") or ""
                library = library or there(dir .. "libresty_proxy_wasm.so")
            end
            ngx.say("library ", library)
            ngx.say("guests ", there("$GUESTS"))
        }
    }
--- response_body
library true
guests true



=== TEST 3: settings: the shared dict is there
--- config
    location = /t {
        content_by_lua_block {
            ngx.say(ngx.shared.proxy_wasm:capacity())
        }
    }
--- response_body
1048576



=== TEST 4: settings: a block may bring its own
--- http_config
    lua_shared_dict proxy_wasm 2m;
--- config
    location = /t {
        content_by_lua_block {
            ngx.say(ngx.shared.proxy_wasm:capacity())
        }
    }
--- response_body
2097152
