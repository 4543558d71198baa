# Files that are no plugin: each is refused with a sentence that says why, and
# the worker lives on.

use lib 't/lib';
use TestProxyWasm 'no_plan';

run_tests();

__DATA__

=== TEST 1: file: none there, a folder, an empty one
--- user_files
>>> empty.wasm
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local html = ngx.config.prefix() .. "html"
            for _, path in ipairs {
                "/nowhere/plugin.wasm", html, html .. "/empty.wasm", ""
            } do
                local plugin, err = proxy_wasm.load("p", path)
                ngx.say(plugin, " ", (err:gsub(html, "HTML")))
            end
        }
    }
--- response_body eval
qr{^nil plugin "p": /nowhere/plugin.wasm: No such file or directory
nil plugin "p": HTML: Is a directory
nil plugin "p": HTML/empty.wasm: failed to load: the file is empty
nil plugin "p": : No such file or directory
$}



=== TEST 2: file: no WebAssembly in it
--- user_files eval
">>> text.wasm
(module)
>>> elf.wasm
\x7fELF\x02\x01\x01
>>> html.wasm
<html>404 Not Found</html>
"
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local html = ngx.config.prefix() .. "html/"
            for _, name in ipairs { "text.wasm", "elf.wasm", "html.wasm" } do
                local plugin, err = proxy_wasm.load("p", html .. name)
                ngx.say(plugin, " ", (err:gsub(html, "")))
            end
        }
    }
--- response_body
nil plugin "p": text.wasm: failed to load: no WebAssembly: it begins with "(module)"
nil plugin "p": elf.wasm: failed to load: no WebAssembly: it begins with "\x7fELF\x02\x01\x01\n"
nil plugin "p": html.wasm: failed to load: no WebAssembly: it begins with "<html>40"



=== TEST 3: file: cut short anywhere
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local path = ngx.config.prefix() .. "cut.wasm"
            local function load(bytes)
                local file = assert(io.open(path, "wb"))
                file:write(bytes)
                file:close()
                return proxy_wasm.load("p", path)
            end

            local loaded, unclear, lengths = 0, 0, 0
            for _, guest in ipairs { "maps", "c_headers", "as_solo", "rust_demo" } do
                local file = assert(io.open("$GUESTS/" .. guest .. ".wasm", "rb"))
                local bytes = file:read("*a")
                file:close()
                assert(load(bytes), "the whole")
                -- Every length at the beginning, then some.
                local length = 0
                while length < #bytes do
                    local plugin, err = load(bytes:sub(1, length))
                    lengths = lengths + 1
                    -- At the end of a section it may still be a plugin, or lack something.
                    if plugin then
                        loaded = loaded + 1
                    elseif not err:find("^plugin \"p\": .*cut%.wasm: failed to load: %w") then
                        unclear = unclear + 1
                        ngx.say(guest, " ", length, ": ", err)
                    end
                    length = length + (length < 1000 and 1 or math.floor(#bytes / 50))
                end
            end
            os.remove(path)
            ngx.say(lengths > 3500, " ", loaded < 20, " ", unclear)
        }
    }
--- response_body
true true 0
--- timeout: 60



=== TEST 4: file: random bytes, with and without the header of a module
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local path = ngx.config.prefix() .. "random.wasm"
            math.randomseed(20260101)
            local loaded = 0
            for i = 1, 500 do
                local bytes = {}
                for j = 1, math.random(1, 300) do
                    bytes[j] = string.char(math.random(0, 255))
                end
                local header = i % 2 == 0 and "\0asm\1\0\0\0" or ""
                local file = assert(io.open(path, "wb"))
                file:write(header, table.concat(bytes))
                file:close()
                local plugin, err = proxy_wasm.load("p", path)
                if plugin or not err:find("failed to load: ", 1, true) then
                    loaded = loaded + 1
                end
            end
            os.remove(path)
            ngx.say(loaded)
        }
    }
--- response_body
0



=== TEST 5: file: one byte changed anywhere
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local path = ngx.config.prefix() .. "changed.wasm"
            local file = assert(io.open("$GUESTS/c_headers.wasm", "rb"))
            local bytes = file:read("*a")
            file:close()
            local refused, unclear = 0, 0
            for i = 1, #bytes do
                local byte = string.char((bytes:byte(i) + 1 + i * 7 % 254) % 256)
                file = assert(io.open(path, "wb"))
                file:write(bytes:sub(1, i - 1), byte, bytes:sub(i + 1))
                file:close()
                local plugin, err = proxy_wasm.load("p", path)
                if not plugin then
                    refused = refused + 1
                    unclear = unclear + (err:find("failed to load: ", 1, true) and 0 or 1)
                end
            end
            os.remove(path)
            ngx.say(refused > 300, " ", unclear)
        }
    }
--- response_body
true 0
--- timeout: 60



=== TEST 6: file: a good one after all of that
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local path = ngx.config.prefix() .. "late.wasm"
            os.remove(path)
            ngx.say((proxy_wasm.load("p", path)))
            local file = assert(io.open(path, "wb"))
            file:write("\0asm")
            file:close()
            ngx.say((proxy_wasm.load("p", path)))
            local source = assert(io.open("$GUESTS/maps.wasm", "rb"))
            file = assert(io.open(path, "wb"))
            file:write(source:read("*a"))
            file:close()
            source:close()
            local plugin = assert(proxy_wasm.load("p", path))
            ngx.say(type(proxy_wasm.on_configure(plugin, "")))
            os.remove(path)
        }
    }
--- response_body
nil
nil
cdata
