# Host functions: timers (src/hostcalls/timers.rs). How ticks come is in
# t/timers.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: tick period: from every callback; 0 stops it, and the longest is one, too
--- plugin
configure         tick 1000
request_headers   tick 4294967295
request_headers   proxy_set_tick_period_milliseconds 0xffffffff
response_headers  tick 10
response_body     tick 0
log               tick 20000
--- response_body
hello
--- error_log
tick(1000) = OK
tick(4294967295) = OK
proxy_set_tick_period_milliseconds(0xffffffff) = OK
tick(10) = OK
tick(0) = OK
tick(20000) = OK



=== TEST 2: tick period: before the plugin's configuration
--- plugin
--- plugin_options
vm_config = "vm_start tick 1000\nroot_create tick 2000",
--- response_body
hello
--- error_log
tick(1000) = OK
tick(2000) = OK
