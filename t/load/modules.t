# Modules that are valid WebAssembly: which are plugins, and why the others are
# none.

use lib 't/lib';
use TestProxyWasm 'no_plan';

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
    my $more = $block->http_config || "";
    $block->set_value("http_config", "init_worker_by_lua_block {\n$main::load}\n$more");
});

run_tests();

__DATA__

=== TEST 1: module: what a plugin must bring
--- config
    location = /t {
        content_by_lua_block {
            for _, name in ipairs {
                "no_memory", "allocator_none", "allocator_wrong_type",
                "memory64", "import_global", "import_memory", "import_table",
                "abi_none", "abi_unknown",
            } do
                local plugin, err = load(name)
                ngx.say(name, " ", plugin, " ", err)
            end
        }
    }
--- response_body
no_memory nil failed to load: it exports no memory named "memory"
allocator_none nil failed to load: it exports no allocator: neither malloc nor proxy_on_memory_allocate
allocator_wrong_type nil failed to load: its allocator malloc is of another type than (i32) -> i32
memory64 nil failed to load: its memory has 64-bit addresses: it must be built for wasm32
import_global nil failed to load: it imports env.global, which is not a function: a plugin brings its own memory and tables
import_memory nil failed to load: it imports env.memory, which is not a function: a plugin brings its own memory and tables
import_table nil failed to load: it imports env.table, which is not a function: a plugin brings its own memory and tables
abi_none nil failed to load: no Proxy-Wasm plugin: it exports no proxy_abi_version_*
abi_unknown nil failed to load: proxy_abi_version_9_9_9 is unknown: 0.1.0, 0.2.0 and 0.2.1 are known



=== TEST 2: module: features that the engine does not have
--- config
    location = /t {
        content_by_lua_block {
            local plugin, err = load("shared_memory")
            ngx.say(plugin, " ", (err:gsub(" %(at.*", "")))
        }
    }
--- response_body
nil failed to load: not a valid WebAssembly module: threads must be enabled for shared memories



=== TEST 3: module: ABI versions, the highest known one counts
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            for _, name in ipairs {
                "abi_0_1_0_three", "abi_0_2_0", "abi_two", "abi_unknown_and_known"
            } do
                local plugin = assert(load(name))
                local ctx = assert(proxy_wasm.on_configure(plugin))
                ngx.say(name, " ", proxy_wasm.on_http_request_headers(ctx))
            end
        }
    }
--- response_body
abi_0_1_0_three true
abi_0_2_0 true
abi_two true
abi_unknown_and_known true
--- grep_error_log eval: qr/p: request headers/
--- grep_error_log_out
p: request headers
p: request headers
p: request headers
p: request headers



=== TEST 4: module: no callback at all, or callbacks of other types
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            for _, name in ipairs { "export_nothing", "export_types" } do
                local ctx = assert(proxy_wasm.on_configure(assert(load(name)), "x"))
                ngx.ctx[name] = ctx
                ngx.say(proxy_wasm.on_http_request_headers(ctx),
                        proxy_wasm.on_http_request_body(ctx, "body", true))
            end
        }
        header_filter_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            for _, ctx in pairs(ngx.ctx) do
                assert(proxy_wasm.on_http_response_headers(ctx))
            end
        }
        body_filter_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            for _, ctx in pairs(ngx.ctx) do
                assert(proxy_wasm.on_http_response_body(ctx))
            end
        }
        log_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            for _, ctx in pairs(ngx.ctx) do
                assert(proxy_wasm.on_log(ctx))
            end
        }
    }
--- response_body
truetrue
truetrue
--- no_error_log
[error]



=== TEST 5: imports: unknown functions are answered by stubs, named once at load
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = assert(load("unknown_imports"))
            for _ = 1, 3 do
                local ctx = assert(proxy_wasm.on_configure(plugin))
                assert(proxy_wasm.on_http_request_headers(ctx))
            end
            ngx.ctx.plugin = assert(proxy_wasm.on_configure(plugin))
            ngx.say("done")
        }
        header_filter_by_lua_block {
            -- No result, and one of 64 bits.
            assert(require("resty.proxy_wasm").on_http_response_headers(ngx.ctx.plugin))
        }
    }
--- response_body
done
--- grep_error_log eval: qr/(imports that.*|p: [\w.]+: \d+)/
--- grep_error_log_out
imports that a stub answers: env.proxy_get_secret is unknown, env.proxy_kv_store_get is unknown, env.proxy_dictionary_get is unknown, env.no_result is unknown, env.wide_result is unknown, another_module.function is unknown
p: proxy_get_secret: 12
p: proxy_kv_store_get: 12
p: proxy_dictionary_get: 12
p: another_module.function: 12
p: proxy_get_secret: 12
p: proxy_kv_store_get: 12
p: proxy_dictionary_get: 12
p: another_module.function: 12
p: proxy_get_secret: 12
p: proxy_kv_store_get: 12
p: proxy_dictionary_get: 12
p: another_module.function: 12
--- no_error_log
[error]



=== TEST 6: imports: known functions of another signature are stubs, too
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local ctx = assert(proxy_wasm.on_configure(assert(load("import_arity"))))
            ngx.say(proxy_wasm.on_http_request_headers(ctx))
        }
    }
--- response_body
true
--- error_log
env.proxy_get_log_level has another signature here
env.proxy_get_metric has another signature here
p: proxy_get_log_level: 12
p: proxy_get_metric: 12
--- no_error_log
[error]



=== TEST 7: imports: one function twice, as native Go has it
--- http_config
    init_by_lua_block {
        -- A worker would compile it later.
        kept = require("resty.proxy_wasm").load("kept", "$GUESTS/go_native.wasm")
    }
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            ngx.say(type(proxy_wasm.on_configure(assert(load("go_native")), "twice")))
        }
    }
--- response_body
cdata
--- error_log
p: Go plugin initialized
p: configured with 'twice'



=== TEST 8: code: shared by those who load the same bytes, while memories are their own
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local first = assert(load("hostcalls"))
            local second = assert(load("hostcalls"))
            local a = assert(proxy_wasm.on_configure(first, "request_headers once log info once"))
            local b = assert(proxy_wasm.on_configure(second, "request_headers once log info once"))
            first, second = nil, nil
            collectgarbage()
            assert(proxy_wasm.on_http_request_headers(a))
            a = nil
            collectgarbage()
            -- The code is still somebody's, or is compiled again: either way it works.
            assert(proxy_wasm.on_http_request_headers(b))
            b = nil
            collectgarbage()
            assert(load("hostcalls"))
            ngx.say("done")
        }
    }
--- response_body
done
--- grep_error_log eval: qr/p: once/
--- grep_error_log_out
p: once
p: once
