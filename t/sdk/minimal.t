# The plugin that docs/PLUGINS.md shows, as it stands there.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: rust_minimal: a header that its configuration names
--- plugin_guest: rust_minimal
--- plugin
x-plugin: yes
--- response_body
hello
--- response_headers
x-plugin: yes
--- error_log
p: every response gets x-plugin
--- no_error_log
[error]



=== TEST 2: rust_minimal: a configuration that it refuses
--- http_config
    init_worker_by_lua_block {
        chain, err = require("resty.proxy_wasm").new_chain {
            { name = "minimal", path = "$GUESTS/rust_minimal.wasm", config = "x-plugin" },
        }
    }
--- config
    location = /t { content_by_lua_block { ngx.say(chain, " ", err) } }
--- response_body
nil plugin "minimal": failed to run proxy_on_configure: the plugin refused its configuration
--- error_log
minimal: the configuration must be "name: value", not "x-plugin"
