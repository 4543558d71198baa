# Allocators of guests, when a header is to be handed over: whatever they do,
# the host function gives a status or the request fails, and nobody crashes.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $chain = <<'_EOC_';
        function run(name)
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = assert(proxy_wasm.load("p", "$GUESTS/" .. name .. ".wasm"))
            local ctx = assert(proxy_wasm.on_configure(plugin))
            ngx.say(name, ": ", proxy_wasm.on_http_request_headers(ctx))
        end
_EOC_

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value("http_config", "init_worker_by_lua_block {\n$main::chain}\n");
});

run_tests();

__DATA__

=== TEST 1: allocator: malloc alone
--- config
    location = /t {
        content_by_lua_block {
            run("allocator_malloc")
        }
    }
--- response_body
allocator_malloc: true
--- error_log
p: get_header: 00



=== TEST 2: allocator: it moves the memory
--- config
    location = /t {
        content_by_lua_block {
            run("allocator_grows")
        }
    }
--- response_body
allocator_grows: true
--- error_log
p: get_header: 00
p: /t,



=== TEST 3: allocator: no memory, memory that is none, memory too small
--- config
    location = /t {
        content_by_lua_block {
            run("allocator_null")
            run("allocator_out_of_range")
            run("allocator_at_the_edge")
        }
    }
--- response_body
allocator_null: true
allocator_out_of_range: true
allocator_at_the_edge: true
--- grep_error_log eval: qr/p: get_header: \d+/
--- grep_error_log_out
p: get_header: 10
p: get_header: 06
p: get_header: 06



=== TEST 4: allocator: it traps, and the request fails
--- config
    location = /t {
        content_by_lua_block {
            run("allocator_traps")
            run("allocator_malloc")
        }
    }
--- response_body
allocator_traps: nilfailed to run proxy_on_request_headers: wasm trap: wasm `unreachable` instruction executed
allocator_malloc: true
--- error_log
p: proxy_on_request_headers failed, the instance is dropped: wasm trap: wasm `unreachable` instruction executed



=== TEST 5: allocator: it calls host functions itself
--- config
    location = /t {
        content_by_lua_block {
            run("allocator_reenters")
        }
    }
--- response_body
allocator_reenters: true
--- error_log
p: get_header: 00
