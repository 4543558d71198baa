# Host functions: metrics (src/hostcalls/metrics.rs, src/shared/metrics.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: counter: grows by increments and by records, never shrinks
--- plugin
request_headers define_metric counter hits
request_headers get_metric hits
request_headers increment_metric hits 2
request_headers increment_metric hits 0
request_headers increment_metric hits -1
request_headers record_metric hits 40
request_headers get_metric hits
--- plugin_log
define_metric(counter hits) = OK 1
get_metric(hits) = OK 0
increment_metric(hits 2) = OK
increment_metric(hits 0) = BAD_ARGUMENT
increment_metric(hits -1) = BAD_ARGUMENT
record_metric(hits 40) = OK
get_metric(hits) = OK 42



=== TEST 2: gauge: goes both ways, and is set by a record
--- plugin
request_headers define_metric gauge level
request_headers record_metric level 10
request_headers increment_metric level -3
request_headers get_metric level
request_headers increment_metric level 0
request_headers increment_metric level 5
request_headers get_metric level
request_headers record_metric level 0
request_headers get_metric level
--- plugin_log
define_metric(gauge level) = OK 1
record_metric(level 10) = OK
increment_metric(level -3) = OK
get_metric(level) = OK 7
increment_metric(level 0) = OK
increment_metric(level 5) = OK
get_metric(level) = OK 12
record_metric(level 0) = OK
get_metric(level) = OK 0



=== TEST 3: histogram: takes samples only, and cannot be read
--- plugin
request_headers define_metric histogram sizes
request_headers record_metric sizes 10
request_headers record_metric sizes 0xffffffffffffffff
request_headers increment_metric sizes 1
request_headers get_metric sizes
--- plugin_log
define_metric(histogram sizes) = OK 1
record_metric(sizes 10) = OK
record_metric(sizes 0xffffffffffffffff) = OK
increment_metric(sizes 1) = BAD_ARGUMENT
get_metric(sizes) = BAD_ARGUMENT



=== TEST 4: define: the same name is the same metric, of the same type only
--- plugin
request_headers define_metric counter a
request_headers define_metric gauge b
request_headers define_metric counter a
request_headers define_metric gauge a
request_headers define_metric counter "a b;c=\xff"
--- plugin_log
define_metric(counter a) = OK 1
define_metric(gauge b) = OK 2
define_metric(counter a) = OK 1
define_metric(gauge a) = BAD_ARGUMENT
define_metric(counter "a b;c=\xff") = OK 3



=== TEST 5: define: names and types that are none
--- plugin
request_headers proxy_define_metric 3 "a" *
request_headers proxy_define_metric 0xffffffff "a" *
request_headers proxy_define_metric 0 "" *
request_headers define_metric counter fill:256:x
request_headers define_metric counter fill:257:x
--- plugin_log
proxy_define_metric(3 "a" *) = BAD_ARGUMENT
proxy_define_metric(0xffffffff "a" *) = BAD_ARGUMENT
proxy_define_metric(0 "" *) = BAD_ARGUMENT
define_metric(counter fill:256:x) = OK 1
define_metric(counter fill:257:x) = BAD_ARGUMENT



=== TEST 6: ids: unknown ones are not found
--- plugin
request_headers define_metric counter a
request_headers increment_metric 2 1
request_headers record_metric 0 1
request_headers get_metric 0xffffffff
--- plugin_log
define_metric(counter a) = OK 1
increment_metric(2 1) = NOT_FOUND
record_metric(0 1) = NOT_FOUND
get_metric(0xffffffff) = NOT_FOUND



=== TEST 7: pointers: outside the memory; then nothing is defined
--- plugin
request_headers proxy_define_metric 0 0xfffffff0 100 *
request_headers proxy_define_metric 0 16 0xffffffff *
request_headers proxy_define_metric 0 "a" 0xfffffffd
request_headers define_metric counter b
request_headers proxy_get_metric 1 0xfffffff9
--- plugin_log
proxy_define_metric(0 0xfffffff0 100 *) = INVALID_MEMORY_ACCESS
proxy_define_metric(0 16 0xffffffff *) = INVALID_MEMORY_ACCESS
proxy_define_metric(0 "a" 0xfffffffd) = INVALID_MEMORY_ACCESS
define_metric(counter b) = OK 1
proxy_get_metric(1 0xfffffff9) = INVALID_MEMORY_ACCESS



=== TEST 8: values: 64 bits, wrapping
--- plugin
request_headers define_metric gauge g
request_headers record_metric g 0xfffffffffffffffe
request_headers get_metric g
request_headers increment_metric g 3
request_headers get_metric g
--- plugin_log
define_metric(gauge g) = OK 1
record_metric(g 0xfffffffffffffffe) = OK
get_metric(g) = OK 18446744073709551614
increment_metric(g 3) = OK
get_metric(g) = OK 1



=== TEST 9: life: requests count on what came before them
--- plugin
configure define_metric counter hits
response_headers increment_metric hits 1
response_headers into_header response x-hits get_metric hits
--- request eval
["GET /t", "GET /t", "GET /t"]
--- response_headers eval
["x-hits: 1", "x-hits: 2", "x-hits: 3"]



=== TEST 10: life: a new instance of the plugin finds what the old one counted
--- plugin
configure define_metric counter hits
request_headers increment_metric hits 1
response_headers into_header response x-hits get_metric hits
request_headers if_header x-trap yes trap
--- request eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
["", "X-Trap: yes", ""]
--- error_code eval
[200, 503, 200]
--- response_headers eval
["x-hits: 1", "!x-hits", "x-hits: 3"]



=== TEST 11: names: those of another plugin are another's
--- plugin
request_headers define_metric counter hits
request_headers increment_metric hits 5
--- plugin2
request_headers define_metric gauge hits
request_headers get_metric hits
--- plugin_log
define_metric(counter hits) = OK 1
increment_metric(hits 5) = OK
q: define_metric(gauge hits) = OK 2
q: get_metric(hits) = OK 0



=== TEST 12: full: a metric without room answers 10 and is logged; those that are there count on
--- plugin
configure define_metric counter kept
request_headers define_metric counter fill:40:new
request_headers increment_metric kept 2
request_headers get_metric kept
request_headers define_metric counter kept
--- location
set_by_lua_block $filled {
    local dict = ngx.shared.proxy_wasm
    for _, size in ipairs { 10000, 100, 1 } do
        local n = 0
        repeat n = n + 1 until not dict:safe_add("filled " .. size .. " " .. n, ("x"):rep(size))
    end
    return ""
}
content_by_lua_block { ngx.say("hello") }
--- plugin_log eval
qr/\A(?:define_metric\(counter kept\) = OK 1
){1,2}shared state is full[^\n]*
define_metric\(counter fill:40:new\) = INTERNAL_FAILURE
increment_metric\(kept 2\) = OK
get_metric\(kept\) = OK 2
define_metric\(counter kept\) = OK 1
\z/
