# A native Go guest calls out from its configuration, from a tick and from a
# request.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $AUTH = '
    server {
        listen unix:$TEST_NGINX_HTML_DIR/auth.sock;
        location / { return 200 "$http_host $uri"; }
    }
    init_worker_by_lua_block { chain:init_worker() }
';

no_long_string();
run_tests();

__DATA__

=== TEST 1: go_native: configure, without any request, and tick
--- plugin chop
callouts
--- plugin_guest: go_native
--- plugin_options
upstreams = { auth = "unix:$TEST_NGINX_HTML_DIR/auth.sock" },
--- http_config eval: $::AUTH
--- wait: 0.5
--- response_body
hello
--- error_log
callout from configure: 200 'auth /configure'
callout from tick: 200 'auth /tick'



=== TEST 2: go_native: a request waits for it
--- plugin chop
callouts
--- plugin_guest: go_native
--- plugin_options
upstreams = { auth = "unix:$TEST_NGINX_HTML_DIR/auth.sock" },
--- http_config eval: $::AUTH
--- config
    location = /go-callout {
        rewrite_by_lua_block { chain:rewrite() }
        log_by_lua_block { chain:log() }
        content_by_lua_block { ngx.say("went on") }
    }
--- request eval
["GET /go-callout", "GET /go-callout"]
--- response_body eval
["went on\n", "went on\n"]
--- grep_error_log eval: qr/callout from request: .*?'.*?'/
--- grep_error_log_out
callout from request: 200 'auth /request'



=== TEST 3: go_native: a callout that fails, and one that is refused
--- plugin chop
callouts
--- plugin_guest: go_native
--- plugin_options
upstreams = { auth = "127.0.0.1:1" },
--- plugin2 chop
callouts
--- plugin2_guest: go_native
--- http_config
    init_worker_by_lua_block { chain:init_worker() }
--- wait: 0.5
--- response_body
hello
--- error_log
p: callout from configure:  ''
p: callout from tick:  ''
q: a callout from configure is refused: 2
q: a callout from tick is refused: 2
