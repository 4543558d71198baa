# From a module to a running plugin: entry points, root contexts, and what
# fails on the way.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $configure = <<'_EOC_';
        local proxy_wasm = require "resty.proxy_wasm"
        function load(name, opts)
            return assert(proxy_wasm.load("p", "$GUESTS/" .. name .. ".wasm", opts))
        end
        function configure(name, conf)
            local ctx, err = proxy_wasm.on_configure(load(name), conf)
            ngx.say(name, ": ", ctx and "configured" or err)
            return ctx
        end
_EOC_

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value("http_config", "init_worker_by_lua_block {\n$main::configure}\n");
});

run_tests();

__DATA__

=== TEST 1: entry: _initialize, then main
--- config
    location = /t {
        content_by_lua_block {
            configure("entry_initialize")
            configure("entry_main_void")
        }
    }
--- response_body
entry_initialize: configured
entry_main_void: configured
--- grep_error_log eval: qr/p: \w+ ran/
--- grep_error_log_out
p: _initialize ran
p: main ran
p: _initialize ran
p: __main_void ran



=== TEST 2: entry: _start alone
--- config
    location = /t {
        content_by_lua_block {
            configure("entry_start")
        }
    }
--- response_body
entry_start: configured
--- grep_error_log eval: qr/p: \w+ ran/
--- grep_error_log_out
p: _start ran



=== TEST 3: entry: not _start after _initialize
--- config
    location = /t {
        content_by_lua_block {
            configure("entry_both")
        }
    }
--- response_body
entry_both: configured
--- grep_error_log eval: qr/p: \w+ ran/
--- grep_error_log_out
p: _initialize ran



=== TEST 4: entry: once per instance, not per root context, and not before it is needed
--- config
    location = /t {
        content_by_lua_block {
            local plugin = load("entry_start")
            ngx.log(ngx.WARN, "p: load ran")
            local proxy_wasm = require "resty.proxy_wasm"
            local a = assert(proxy_wasm.on_configure(plugin, "1"))
            local b = assert(proxy_wasm.on_configure(plugin, "2"))
            ngx.say(a ~= b)
        }
    }
--- response_body
true
--- grep_error_log eval: qr/p: \w+ ran/
--- grep_error_log_out
p: load ran
p: _start ran



=== TEST 5: entry: host functions that need a context answer with a status
--- config
    location = /t {
        content_by_lua_block {
            configure("entry_hostcalls")
            configure("entry_section")
        }
    }
--- response_body
entry_hostcalls: configured
entry_section: configured
--- grep_error_log eval: qr/p: [a-z_ ]+(: \d+|ran)/
--- grep_error_log_out eval
# 12 is the answer of what is not built yet.
qr/^p: get_header: 10
p: set_tick: 1[02]
p: local_response: 10
p: http_call: 10
p: continue: 10
p: done: 1[02]
p: start section ran
p: get_property: 10
$/



=== TEST 6: entry: leaving with status 0 is a good end
--- config
    location = /t {
        content_by_lua_block {
            local ctx = configure("proc_exit_in_start")
            ngx.say(require("resty.proxy_wasm").on_http_request_headers(ctx))
        }
    }
--- response_body
proc_exit_in_start: configured
true
--- no_error_log
[error]



=== TEST 7: root context: created, started, configured, in this order
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = load("hostcalls", {
                vm_config = "root_create log info created\nvm_start echo_params",
            })
            local a = assert(proxy_wasm.on_configure(plugin, "configure echo_params"))
            local b = assert(proxy_wasm.on_configure(plugin, "configure echo_params\n"))
            ngx.say(a ~= b)
        }
    }
--- response_body
true
--- grep_error_log eval: qr/p: (created|(vm_start|configure): context.*)/
--- grep_error_log_out
p: created
p: vm_start: context=1 configuration_size=49
p: configure: context=1 configuration_size=21
p: created
p: vm_start: context=2 configuration_size=49
p: configure: context=2 configuration_size=22



=== TEST 8: trap: in each function of the start, the plugin says which
--- config
    location = /t {
        content_by_lua_block {
            configure("trap_in_start")
            configure("trap_on_context_create")
            configure("trap_on_vm_start")
            configure("trap_on_configure")
            ngx.say("alive")
        }
    }
--- response_body
trap_in_start: failed to run _start: wasm trap: wasm `unreachable` instruction executed
trap_on_context_create: failed to run proxy_on_context_create: wasm trap: wasm `unreachable` instruction executed
trap_on_vm_start: failed to run proxy_on_vm_start: wasm trap: wasm `unreachable` instruction executed
trap_on_configure: failed to run proxy_on_configure: wasm trap: wasm `unreachable` instruction executed
alive
--- grep_error_log eval: qr/p: \w+ failed, .*|!inner/
--- grep_error_log_out
p: _start failed, the instance is dropped: wasm trap: wasm `unreachable` instruction executed
!inner
p: proxy_on_context_create failed, the instance is dropped: wasm trap: wasm `unreachable` instruction executed (root context 1)
!inner
p: proxy_on_vm_start failed, the instance is dropped: wasm trap: wasm `unreachable` instruction executed (root context 1)
!inner
p: proxy_on_configure failed, the instance is dropped: wasm trap: wasm `unreachable` instruction executed (root context 1)
!inner



=== TEST 9: trap: configuring again tries again
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = load("hostcalls")
            ngx.say(proxy_wasm.on_configure(plugin, "configure trap"))
            ngx.say(proxy_wasm.on_configure(plugin, "configure trap"))
            local ctx = assert(proxy_wasm.on_configure(plugin, "request_headers echo_params"))
            ngx.say(proxy_wasm.on_http_request_headers(ctx))
        }
    }
--- response_body
nilfailed to run proxy_on_configure: wasm trap: wasm `unreachable` instruction executed
nilfailed to run proxy_on_configure: wasm trap: wasm `unreachable` instruction executed
true
--- grep_error_log eval: qr/p: request_headers: context=\d+/
--- grep_error_log_out
p: request_headers: context=4



=== TEST 10: refused: proxy_on_vm_start or proxy_on_configure gives false
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = load("hostcalls", { vm_config = "vm_start return false" })
            ngx.say(proxy_wasm.on_configure(plugin, ""))
            plugin = load("hostcalls")
            ngx.say(proxy_wasm.on_configure(plugin, "configure return false"))
            ngx.say(proxy_wasm.on_configure(plugin, "no script"))
            ngx.say(type(proxy_wasm.on_configure(plugin, "configure return true")))
        }
    }
--- response_body
nilfailed to run proxy_on_vm_start: the plugin refused its configuration
nilfailed to run proxy_on_configure: the plugin refused its configuration
nilfailed to run proxy_on_configure: the plugin refused its configuration
cdata



=== TEST 11: refused: other root contexts of the plugin and their requests live on
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = load("hostcalls")
            local good = assert(proxy_wasm.on_configure(plugin, [[
                request_headers echo_params
                request_headers repeat 1 save kept log info kept
                request_body    echo_params
            ]]))
            assert(proxy_wasm.on_http_request_headers(good))
            ngx.say(proxy_wasm.on_configure(plugin, "configure return false\ndelete echo_params"))
            ngx.say(proxy_wasm.on_http_request_body(good, "x", true))
        }
    }
--- response_body
nilfailed to run proxy_on_configure: the plugin refused its configuration
true
--- grep_error_log eval: qr/p: \w+: context=\d+/
--- grep_error_log_out
p: request_headers: context=2
p: delete: context=3
p: request_body: context=2



=== TEST 12: refused: a root context that was never in use ends at once, whatever it says
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = load("hostcalls")
            local good = assert(proxy_wasm.on_configure(plugin, "request_body trap"))
            ngx.say(proxy_wasm.on_configure(plugin, "configure return false\ndone return false"))
            assert(proxy_wasm.on_http_request_headers(good))
            ngx.say(proxy_wasm.on_http_request_body(good, "x", true))
            -- A new instance, with the good one only.
            ngx.say(type(proxy_wasm.on_configure(plugin, "configure return true")))
        }
    }
--- response_body
nilfailed to run proxy_on_configure: the plugin refused its configuration
nilfailed to run proxy_on_request_body: wasm trap: wasm `unreachable` instruction executed
cdata
