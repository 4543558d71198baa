# What an instance may have: memory and tables.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
no_shuffle();

our $load = <<'_EOC_';
        local proxy_wasm = require "resty.proxy_wasm"
        function load(name, opts)
            local path = "$GUESTS/" .. name .. ".wasm"
            local plugin, err = proxy_wasm.load("p", path, opts)
            return plugin, err and err:gsub("^plugin \"p\": .*/" .. name .. "%.wasm: ", "")
        end
_EOC_

add_block_preprocessor(sub {
    my $block = shift;
    return if defined $block->plugin;
    $block->set_value("http_config", "init_worker_by_lua_block {\n$main::load}\n");
});

run_tests();

__DATA__

=== TEST 1: memory: growing it beyond the option memory_limit answers -1, and nothing traps
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            for _, name in ipairs { "grow_forever", "grow_tables" } do
                local plugin = assert(load(name, { memory_limit = 4 * 2^20 }))
                local ctx = assert(proxy_wasm.on_configure(plugin))
                ngx.say(name, " ", proxy_wasm.on_http_request_headers(ctx))
            end
        }
    }
--- response_body
grow_forever true
grow_tables true
--- grep_error_log eval: qr/p: \K(no more memory|elements: \d+)/
--- grep_error_log_out
no more memory
elements: 1000000



=== TEST 2: memory: what a guest gets of it in all
--- plugin
request_headers alloc 2000000
request_headers alloc 4000000
request_headers free
request_headers alloc 2000000
--- plugin_options
memory_limit = 5 * 2^20,
--- plugin_log eval
qr/\Aalloc\(2000000\) = OK .*
alloc\(4000000\) = OUT_OF_MEMORY.*
free\(\) = OK.*
alloc\(2000000\) = OK .*
\z/



=== TEST 3: memory: more from the beginning is refused when the plugin is loaded
--- config
    location = /t {
        content_by_lua_block {
            for _, name in ipairs { "huge_memory", "huge_table", "two_memories" } do
                local plugin, err = load(name)
                ngx.say(name, " ", plugin, " ", (err:gsub(" %(at.*", "")))
            end
            -- It begins with two pages.
            ngx.say(load("infinite_loop", { memory_limit = 2^16 }))
            ngx.say(load("infinite_loop", { memory_limit = 2^17 }) ~= nil)
        }
    }
--- response_body
huge_memory nil failed to load: it begins with 4294967296 bytes of memory, and may have 1073741824 (option memory_limit)
huge_table nil failed to load: it begins with a table of 100000000 elements, and all that it may have is 1000000 (option max_table_elements)
two_memories nil failed to load: not a valid WebAssembly module: multiple memories
nilfailed to load: it begins with 131072 bytes of memory, and may have 65536 (option memory_limit)
true



=== TEST 4: memory: tables that are too many together, seen when an instance is made
--- config
    location = /t {
        content_by_lua_block {
            local plugin = assert(load("many_tables"))
            ngx.say(require("resty.proxy_wasm").on_configure(plugin, ""))
        }
    }
--- response_body
nilfailed to load: no instance can be made: table minimum size of 400000 elements exceeds table limits, after it was refused more elements of tables (option max_table_elements)
--- error_log
p: no instance can be made: table minimum size of 400000 elements exceeds table limits, after it was refused more elements of tables (option max_table_elements)



=== TEST 5: memory: the option is bytes, from one page to all that a guest can address
--- config
    location = /t {
        content_by_lua_block {
            for _, limit in ipairs { 0, 65535, 2^32 + 1, 0/0, "1m" } do
                ngx.say(select(2, pcall(load, "trap_on_tick", { memory_limit = limit })))
            end
            ngx.say(load("huge_memory", { memory_limit = 2^32 }) ~= nil)
        }
    }
--- response_body_like eval
my $wrong = qr/.*option "memory_limit" must be a number of bytes from 64 KiB to 4 GiB, not \S+\n/;
qr/\A$wrong$wrong$wrong$wrong.*option "memory_limit" must be a number, not "1m"\ntrue\n\z/



=== TEST 6: tables: the option max_table_elements, for all of an instance together
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = assert(load("grow_tables", { max_table_elements = 10010 }))
            local ctx = assert(proxy_wasm.on_configure(plugin))
            ngx.say(proxy_wasm.on_http_request_headers(ctx))
            ngx.say((select(2, load("huge_table", { max_table_elements = 99999999 }))))
            ngx.say(load("huge_table", { max_table_elements = 100000000 }) ~= nil)
            plugin = assert(load("many_tables", { max_table_elements = 1200000 }))
            ngx.say(proxy_wasm.on_configure(plugin, "") ~= nil)
        }
    }
--- response_body
true
failed to load: it begins with a table of 100000000 elements, and all that it may have is 99999999 (option max_table_elements)
true
true
--- grep_error_log eval: qr/p: \K(elements: \d+)/
--- grep_error_log_out
elements: 0010010



=== TEST 7: memory: a trap of a guest that was refused some names the option
--- plugin
--- plugin_guest: trap_without_memory
--- plugin_options
memory_limit = 64 * 2^20,
--- error_code: 503
--- response_body_like: 503
--- grep_error_log eval: qr/p: \Kproxy_on_\w+ failed.*(?= \(root)/
--- grep_error_log_out
proxy_on_request_headers failed, the instance is dropped: wasm trap: wasm `unreachable` instruction executed, after it was refused more memory (option memory_limit)



=== TEST 8: memory: a trap in a later call does not
--- plugin
--- plugin_guest: trap_without_memory
--- plugin_options
memory_limit = 65 * 2^20,
--- grep_error_log eval: qr/p: \Kproxy_on_\w+ failed.*(?= \(root)/
--- grep_error_log_out
proxy_on_log failed, the instance is dropped: wasm trap: wasm `unreachable` instruction executed
