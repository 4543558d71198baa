# What one plugin may take of the shared dict: no plugin fills it for the others
# (src/shared/account.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: share: data, half of the dict by default; the next plugin has room for everything
--- plugin
request_headers shared_set key1 fill:100000:x
request_headers shared_set key2 fill:100000:x
request_headers shared_set key3 fill:100000:x
request_headers shared_set key4 fill:100000:x
request_headers shared_set key5 fill:100000:x
request_headers shared_set key6 fill:100000:x
request_headers shared_get key6
request_headers shared_set key5 small
request_headers shared_set key6 fill:90000:x
--- grep_error_log eval: qr/p: \K(?:shared_\w+\(\w+.*?\) = \w+|the plugin's share.*?\))/
--- grep_error_log_out
shared_set(key1 fill:100000:x) = OK
shared_set(key2 fill:100000:x) = OK
shared_set(key3 fill:100000:x) = OK
shared_set(key4 fill:100000:x) = OK
shared_set(key5 fill:100000:x) = OK
the plugin's share of shared state is full: 524288 bytes (option max_shared_bytes)
shared_set(key6 fill:100000:x) = CAS_MISMATCH
shared_get(key6) = NOT_FOUND
shared_set(key5 small) = OK
shared_set(key6 fill:90000:x) = OK



=== TEST 2: share: whatever fills it, the next plugin has room
--- http_config
    init_worker_by_lua_block {
        local wasm = require "resty.proxy_wasm"
        -- Different keys, items of a queue, queues, metrics.
        fillers = {}
        for _, kind in ipairs { "shared_set", "register_queue", "define_metric", "enqueue" } do
            local lines = { kind == "enqueue" and "configure register_queue q" or "" }
            for i = 1, 3000 do
                lines[i + 1] = "foreign_function " .. ({
                    shared_set = "shared_set k" .. i .. " fill:500:v",
                    register_queue = "register_queue fill:900:q" .. i,
                    define_metric = "define_metric counter fill:200:m" .. i,
                    enqueue = "enqueue q fill:500:v",
                })[kind]
            end
            local plugin = assert(wasm.load(kind, "$GUESTS/hostcalls.wasm", { max_log_lines = 10, vm_id = kind,
                                                                             max_shared_bytes = 150000 }))
            fillers[kind] = assert(wasm.on_configure(plugin, table.concat(lines, "\n")))
            kinds = kinds or {}
            kinds[#kinds + 1] = kind
        end
        local plugin = assert(wasm.load("q", "$GUESTS/hostcalls.wasm"))
        other = assert(wasm.on_configure(plugin, [[
foreign_function shared_set key value
foreign_function shared_get key
foreign_function register_queue news
foreign_function enqueue news item
foreign_function dequeue news
foreign_function define_metric counter hits
foreign_function increment_metric hits 1
foreign_function get_metric hits
]]))
    }
--- config
    location = /t {
        content_by_lua_block {
            local wasm = require "resty.proxy_wasm"
            local dict = ngx.shared.proxy_wasm
            for _, kind in ipairs(kinds) do
                local before = dict:free_space()
                assert(wasm.on_foreign_function(fillers[kind], 1))
                local used = before - dict:free_space()
                -- It is an estimate.
                ngx.say(kind, used < 250000 and " has its share" or " took " .. used)
            end
            assert(wasm.on_foreign_function(other, 1))
        }
    }
--- response_body
shared_set has its share
register_queue has its share
define_metric has its share
enqueue has its share
--- grep_error_log eval: qr/q: \w+\(.*?\) = \w+/
--- grep_error_log_out
q: shared_set(key value) = OK
q: shared_get(key) = OK
q: register_queue(news) = OK
q: enqueue(news item) = OK
q: dequeue(news) = OK
q: define_metric(counter hits) = OK
q: increment_metric(hits 1) = OK
q: get_metric(hits) = OK
--- timeout: 30



=== TEST 3: share: all plugins of a VM id have one, of which each may have its own opinion
--- plugin_options: vm_id = "v", max_shared_bytes = 20000,
--- plugin2_options: vm_id = "v", max_shared_bytes = 40000,
--- plugin
request_headers shared_set a fill:15000:x
request_headers shared_set b fill:15000:x
--- plugin2
request_headers shared_set b fill:15000:x
request_headers shared_set c fill:15000:x
--- grep_error_log eval: qr/\w: (?:shared_\w+\(\w+.*?\) = \w+|the plugin's share.*?\))/
--- grep_error_log_out
p: shared_set(a fill:15000:x) = OK
p: the plugin's share of shared state is full: 20000 bytes (option max_shared_bytes)
p: shared_set(b fill:15000:x) = CAS_MISMATCH
q: shared_set(b fill:15000:x) = OK
q: the plugin's share of shared state is full: 40000 bytes (option max_shared_bytes)
q: shared_set(c fill:15000:x) = CAS_MISMATCH



=== TEST 4: share: without a dict, half of what stands for it
--- http_config
    lua_shared_dict other 1m;
    init_worker_by_lua_block {
        ngx.shared.proxy_wasm = nil
        local wasm = require "resty.proxy_wasm"
        local plugin = assert(wasm.load("p", "$GUESTS/hostcalls.wasm"))
        ctx = assert(wasm.on_configure(plugin, "foreign_function repeat 40 enqueue q fill:1000000:x\n"
                                               .. "configure register_queue q"))
    }
--- config
    location = /t {
        content_by_lua_block {
            assert(require("resty.proxy_wasm").on_foreign_function(ctx, 1))
            ngx.say("done")
        }
    }
--- response_body
done
--- error_log
the plugin's share of shared state is full: 33554432 bytes (option max_shared_bytes)
