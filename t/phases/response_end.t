# A response that a plugin empties must end all the same. (lua-nginx-module then
# logs an error about the content handler's next chunk, with plain Lua, too.)

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: response end: a refused response of several chunks ends, without a body
--- http_config
    init_by_lua_block {
        chain = assert(require("resty.proxy_wasm").new_chain {
            { name = "trap", path = "$GUESTS/trap_on_response_headers.wasm" },
        })
    }
--- config
    location = /t {
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        content_by_lua_block {
            ngx.say("one")
            ngx.flush(true)
            ngx.say("two")
        }
    }
--- error_code: 503
--- response_body chomp
--- error_log
the response is refused



=== TEST 2: response end: a local response without a body, given in the response headers
--- http_config
    init_by_lua_block {
        chain = assert(require("resty.proxy_wasm").new_chain {
            {
                name = "deny",
                path = "$GUESTS/hostcalls.wasm",
                config = "response_headers local_response 403",
            },
        })
    }
--- config
    location = /t {
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        content_by_lua_block {
            ngx.say("one")
            ngx.flush(true)
            ngx.say("two")
        }
    }
--- error_code: 403
--- response_body chomp
--- no_error_log
[crit]
