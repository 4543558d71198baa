# Configurations: text, a Lua table as JSON, and what is neither.

use lib 't/lib';
use TestProxyWasm 'no_plan';

run_tests();

__DATA__

=== TEST 1: configuration: a string, to its last byte
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = assert(proxy_wasm.load("plugin", "$GUESTS/hostcalls.wasm"))
            local conf = "configure get_body plugin_configuration\n#\0\1\255"
            assert(proxy_wasm.on_configure(plugin, conf))
            ngx.say("done")
        }
    }
--- response_body
done
--- error_log
get_body(plugin_configuration) = OK 0x636f6e666967757265206765745f626f647920706c7567696e5f636f6e66696775726174696f6e0a230001ff



=== TEST 2: configuration: none is an empty one
--- http_config
    init_by_lua_block {
        -- A worker would compile it later.
        kept = require("resty.proxy_wasm").load("kept", "$GUESTS/go_native.wasm")
    }
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local vm = { vm_config = "configure echo_params" }
            local plugin = assert(proxy_wasm.load("plugin", "$GUESTS/go_native.wasm", vm))
            assert(proxy_wasm.on_configure(plugin))
            assert(proxy_wasm.on_configure(plugin, nil))
            assert(proxy_wasm.on_configure(plugin, ""))
            ngx.say("done")
        }
    }
--- response_body
done
--- grep_error_log eval: qr/configured with '.*?'/
--- grep_error_log_out
configured with ''
configured with ''
configured with ''



=== TEST 3: configuration: a table is JSON
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = assert(proxy_wasm.load("plugin", "$GUESTS/rust_demo.wasm"))
            assert(proxy_wasm.on_configure(plugin, { greeting = { "hello", 7 } }))
            assert(proxy_wasm.new_chain {
                { name = "demo", path = "$GUESTS/rust_demo.wasm", config = { on = true } },
            })
            ngx.say("done")
        }
    }
--- response_body
done
--- grep_error_log eval: qr/\w+: configured with '.*?'/
--- grep_error_log_out
plugin: configured with '{"greeting":["hello",7]}'
demo: configured with '{"on":true}'



=== TEST 4: configuration: a table that cannot be JSON
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = assert(proxy_wasm.load("plugin", "$GUESTS/rust_demo.wasm"))
            local ok, err = pcall(proxy_wasm.on_configure, plugin, { print })
            ngx.say(ok, " ", err)
            ok, err = pcall(proxy_wasm.new_chain, {
                { name = "demo", path = "$GUESTS/rust_demo.wasm", config = { print } },
            })
            ngx.say(ok, " ", err)
        }
    }
--- response_body
false configuration cannot be JSON: Cannot serialise function: type not supported
false chain entry 1, plugin "demo": configuration cannot be JSON: Cannot serialise function: type not supported



=== TEST 5: configuration: a table without lua-cjson
--- config
    location = /t {
        content_by_lua_block {
            local preload, loaded = package.preload["cjson.safe"], package.loaded["cjson.safe"]
            package.loaded["cjson.safe"] = nil
            package.preload["cjson.safe"] = function()
                error("module 'cjson.safe' not found")
            end
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = assert(proxy_wasm.load("plugin", "$GUESTS/rust_demo.wasm"))
            local ok, err = pcall(proxy_wasm.on_configure, plugin, { on = true })
            ngx.say(ok, " ", err)
            ngx.say(type(proxy_wasm.on_configure(plugin, "{}")))
            package.preload["cjson.safe"], package.loaded["cjson.safe"] = preload, loaded
        }
    }
--- response_body
false a configuration that is a table needs lua-cjson, which is not installed: give it as a string
cdata



=== TEST 6: configuration: anything else
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = assert(proxy_wasm.load("plugin", "$GUESTS/rust_demo.wasm"))
            for _, conf in ipairs { 7, true, print } do
                local ok, err = pcall(proxy_wasm.on_configure, plugin, conf)
                ngx.say(ok, " ", err)
                ok, err = pcall(proxy_wasm.new_chain, {
                    { name = "demo", path = "$GUESTS/rust_demo.wasm", config = conf },
                })
                ngx.say(ok, " ", err)
            end
        }
    }
--- response_body
false configuration must be a string or a table, not 7
false chain entry 1, plugin "demo": configuration must be a string or a table, not 7
false configuration must be a string or a table, not true
false chain entry 1, plugin "demo": configuration must be a string or a table, not true
false configuration must be a string or a table, not a function
false chain entry 1, plugin "demo": configuration must be a string or a table, not a function



=== TEST 7: configuration: the VM's own
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = assert(proxy_wasm.load("plugin", "$GUESTS/hostcalls.wasm", {
                vm_config = "vm_start get_body vm_configuration\nvm_start echo_params",
            }))
            assert(proxy_wasm.on_configure(plugin, "configure echo_params"))
            ngx.say("done")
        }
    }
--- response_body
done
--- grep_error_log eval: qr/plugin: (get_body|vm_start|configure).*/
--- grep_error_log_out
plugin: get_body(vm_configuration) = OK "vm_start get_body vm_configuration\nvm_start echo_params"
plugin: vm_start: context=1 configuration_size=55
plugin: configure: context=1 configuration_size=21



=== TEST 8: configuration: proxy_validate_configuration comes between start and configuration, and may refuse it
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local plugin = assert(proxy_wasm.load("p", "$GUESTS/validate_configuration.wasm"))
            ngx.say(type(proxy_wasm.on_configure(plugin, "good")))
            ngx.say(proxy_wasm.on_configure(plugin, "refuse"))
            ngx.say(type(proxy_wasm.on_configure(plugin, "good again")))
        }
    }
--- response_body_like eval
qr/\A(cdata|table)
nil.*proxy_validate_configuration.*
\1
\z/
--- grep_error_log eval: qr/p: \K(?:vm started|validated|configured)/
--- grep_error_log_out
vm started
validated
configured
vm started
validated
vm started
validated
configured
