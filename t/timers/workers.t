# Ticks in several workers.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $START = '
    init_worker_by_lua_block { chain:init_worker() }
';

master_on();
workers(3);
no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: ticks: in every worker
--- http_config eval: $::START
--- plugin
configure tick 50
tick nth 3 log info ticked
--- wait: 1
--- grep_error_log eval: qr/\d+#\d+: \[proxy-wasm\] p: ticked/
--- grep_error_log_out eval
qr/^(\d+)#.*\n(?!\1#)(\d+)#.*\n(?!\1#|\2#)(\d+)#.*\n$/



=== TEST 2: ticks: in one worker only
--- http_config eval: $::START
--- plugin
configure tick 50
tick nth 1 log info ticked
tick nth 4 log info ticked
--- plugin_options
ticks = "one",
--- wait: 1
--- grep_error_log eval: qr/\d+#\d+: \[proxy-wasm\] p: ticked/
--- grep_error_log_out eval
qr/^(\d+)#.*\n\1#.*\n$/



=== TEST 3: ticks: in one worker, and in the one that takes its place
--- http_config eval: $::START
--- plugin
configure tick 50
tick nth 2 log info ticked
--- plugin_options
ticks = "one",
--- config
    location = /drive {
        content_by_lua_block {
            ngx.sleep(0.5)
            local log = assert(io.open(ngx.config.prefix() .. "/logs/error.log"))
            local pid = log:read("*a"):match("(%d+)#%d+: %[proxy%-wasm%] p: ticked")
            log:close()
            os.execute("kill -KILL " .. pid)
            ngx.say("killed")
        }
    }
--- request
GET /drive
--- ignore_response
--- wait: 2
--- error_log
[alert]
exited on signal 9
--- grep_error_log eval: qr/\d+#\d+: \[proxy-wasm\] p: ticked/
--- grep_error_log_out eval
qr/^(\d+)#.*\n(?!\1#)\d+#.*\n$/
