# Host functions: clocks (src/hostcalls/clocks.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: time: nanoseconds since 1970, and they go on during a request
--- plugin
request_headers into_header request x-first time
request_headers spin 1000000
request_headers into_header request x-second time
--- location
content_by_lua_block {
    ngx.update_time()
    local first = tonumber(ngx.var.http_x_first)
    local second = tonumber(ngx.var.http_x_second)
    ngx.say(second > first, " ", math.abs(ngx.now() - first / 1e9) < 60)
}
--- response_body
true true



=== TEST 2: time: in a root context, too
--- plugin
configure time
--- plugin_log eval
qr/\A(?:time\(\) = OK \d{19}\n)+\z/



=== TEST 3: time: pointers outside the memory
--- plugin
request_headers proxy_get_current_time_nanoseconds 0xfffffff9
request_headers proxy_get_current_time_nanoseconds 0xffffffff
--- plugin_log
proxy_get_current_time_nanoseconds(0xfffffff9) = INVALID_MEMORY_ACCESS
proxy_get_current_time_nanoseconds(0xffffffff) = INVALID_MEMORY_ACCESS
