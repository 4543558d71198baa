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
the metric "a" is refused: another type has its name
define_metric(gauge a) = OK 4294967295
define_metric(counter "a b;c=\xff") = OK 3



=== TEST 5: define: types that are none, a name that is empty, and one too long
--- plugin
request_headers proxy_define_metric 3 "a" *
request_headers proxy_define_metric 0xffffffff "a" *
request_headers proxy_define_metric 0 "" *
request_headers proxy_increment_metric 1 2
request_headers proxy_get_metric 1 *
request_headers define_metric counter fill:256:x
request_headers define_metric counter fill:257:x
--- plugin_log
proxy_define_metric(3 "a" *) = BAD_ARGUMENT
proxy_define_metric(0xffffffff "a" *) = BAD_ARGUMENT
proxy_define_metric(0 "" *) = OK 1
proxy_increment_metric(1 2) = OK
proxy_get_metric(1 *) = OK 2
define_metric(counter fill:256:x) = OK 2
a metric is refused: a name has no more than 256 bytes
define_metric(counter fill:257:x) = OK 4294967295



=== TEST 6: ids: unknown ones are not found
--- plugin
request_headers define_metric counter a
request_headers increment_metric 2 1
request_headers record_metric 0 1
request_headers get_metric 0x7fffffff
--- plugin_log
define_metric(counter a) = OK 1
increment_metric(2 1) = NOT_FOUND
record_metric(0 1) = NOT_FOUND
get_metric(0x7fffffff) = NOT_FOUND



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



=== TEST 12: full: a metric without room is logged and counts nowhere; those that are there count on
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
define_metric\(counter fill:40:new\) = OK 4294967295
increment_metric\(kept 2\) = OK
get_metric\(kept\) = OK 2
define_metric\(counter kept\) = OK 1
\z/



=== TEST 13: limits: more metrics than a plugin may have; those that are there count on, and another plugin has its own
--- plugin
configure define_metric counter kept
request_headers define_metric counter more
request_headers increment_metric kept 2
request_headers get_metric kept
--- plugin2
request_headers define_metric counter kept
--- location
# What counts them.
set_by_lua_block $counted {
    local dict = ngx.shared.proxy_wasm
    for _, key in ipairs(dict:get_keys(0)) do
        if key:sub(1, 4) == "pw:M" and #key > 4 then
            dict:set(key, 10000)
        end
    end
    return ""
}
content_by_lua_block { ngx.say("hello") }
--- plugin_log eval
qr/\A(?:define_metric\(counter kept\) = OK 1
){1,2}a metric is refused: a plugin has no more than 10000
define_metric\(counter more\) = OK 4294967295
increment_metric\(kept 2\) = OK
get_metric\(kept\) = OK 2
q: define_metric\(counter kept\) = OK 2
\z/



=== TEST 14: values: exact up to 2^53
--- plugin
request_headers define_metric counter c
request_headers record_metric c 0x1fffffffffffff
request_headers get_metric c
request_headers increment_metric c 1
request_headers get_metric c
request_headers increment_metric c 1
request_headers get_metric c
--- plugin_log
define_metric(counter c) = OK 1
record_metric(c 0x1fffffffffffff) = OK
get_metric(c) = OK 9007199254740991
increment_metric(c 1) = OK
get_metric(c) = OK 9007199254740992
increment_metric(c 1) = OK
get_metric(c) = OK 9007199254740992



=== TEST 15: full: what found no room in the dict counts for nothing when there is room again
--- plugin
configure define_metric counter kept
request_headers if_header x-do fill define_metric counter fill:40:new
request_headers if_header x-do more define_metric counter fill:40:new
request_headers if_header x-do more increment_metric fill:40:new 2
--- location
content_by_lua_block {
    local dict = ngx.shared.proxy_wasm
    local own
    for _, key in ipairs(dict:get_keys(0)) do
        if key:sub(1, 4) == "pw:M" and #key > 4 then
            own = dict:get(key)
        end
    end
    ngx.say("metrics ", own, ", numbers ", dict:get("pw:M"))
}
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local dict = ngx.shared.proxy_wasm
            client.get("/t")
            local filled = {}
            for _, size in ipairs { 10000, 100, 1 } do
                local n = 0
                repeat
                    n = n + 1
                    filled[#filled + 1] = "filled " .. size .. " " .. n
                until not dict:safe_add(filled[#filled], ("x"):rep(size))
            end
            for _ = 1, 20 do
                client.get("/t", "X-Do: fill\r\n")
            end
            for _, key in ipairs(filled) do
                dict:delete(key)
            end
            dict:flush_expired()
            ngx.print(select(2, client.get("/t")))
            ngx.print(select(2, client.get("/t", "X-Do: more\r\n")))
        }
    }
--- request
GET /drive
--- response_body
metrics 1, numbers 2
metrics 2, numbers 2
--- error_log
shared state is full
