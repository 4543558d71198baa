# Lines that a plugin writes to the log within a second: what is over its share
# is dropped, counted and told (src/context/log.rs). nginx's clock stands still
# within a callback.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: lines: what is over the limit is dropped, and told within about a second
--- plugin_options: max_log_lines = 5,
--- plugin
request_headers repeat 20 log info flood
--- response_body
hello
--- wait: 1.5
--- plugin_log
flood
flood
flood
flood
flood
15 lines dropped: more than 5 in a second (option max_log_lines)
--- error_log eval: qr/\[warn\] [^\n]*\[proxy-wasm\] p: 15 lines dropped/



=== TEST 2: lines: a flood without end, by default; the next plugin is not touched
--- plugin
request_headers repeat 100000 log info flood
--- plugin2
request_headers log info "me too"
--- wait: 1.5
--- error_log
p: 99000 lines dropped: more than 1000 in a second (option max_log_lines)
q: me too



=== TEST 3: lines: the next second is a new one, and told of is what was dropped in the last
--- plugin_options: max_log_lines = 3,
--- plugin
request_headers repeat 10 log info flood
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            client.get("/t")
            ngx.sleep(2.2)
            client.get("/t")
            ngx.say("done")
        }
    }
--- request
GET /drive
--- response_body
done
--- timeout: 10
--- wait: 1.5
--- plugin_log
flood
flood
flood
7 lines dropped: more than 3 in a second (option max_log_lines)
flood
flood
flood
7 lines dropped: more than 3 in a second (option max_log_lines)



=== TEST 4: lines: each line of a text counts, and of what is printed
--- plugin_options: max_log_lines = 4,
--- plugin
request_headers log info "one\ntwo\nthree"
request_headers print "four\nfive\n"
request_headers log info "six\nseven"
--- wait: 1.5
--- plugin_log
one
two
three
four
4 lines dropped: more than 4 in a second (option max_log_lines)



=== TEST 5: lines: what the log does not take anyway does not count
--- plugin_options: max_log_lines = 2,
--- plugin
request_headers repeat 50 log debug flood
request_headers log info one
request_headers log info two
--- log_level: info
--- plugin_log
one
two
--- no_error_log
dropped



=== TEST 6: lines: the end of an instance tells at once, before why it ended; the ninth is its panic
--- plugin_options: max_log_lines = 2,
--- plugin
request_headers repeat 10 log info flood
request_headers trap
--- error_code: 503
--- grep_error_log eval: qr/\[proxy-wasm\] (?!p: imports)p: \K(?:flood|\d+ lines.*\)|proxy_on_request_headers failed)/
--- grep_error_log_out
flood
flood
9 lines dropped: more than 2 in a second (option max_log_lines)
proxy_on_request_headers failed



=== TEST 7: lines: a flood in the log phase is told, too
--- plugin_options: max_log_lines = 2,
--- plugin
log repeat 10 log info flood
--- wait: 1.5
--- plugin_log
flood
flood
8 lines dropped: more than 2 in a second (option max_log_lines)



=== TEST 8: lines: what a guest's mistakes make the host say counts, too
--- plugin_options: max_log_lines = 3,
--- plugin
request_headers proxy_http_call "callout" "xxxx" "" "" 1000 *
request_headers proxy_http_call "callout" "xxxx" "" "" 1000 *
request_headers proxy_http_call "callout" "xxxx" "" "" 1000 *
--- wait: 1.5
--- plugin_log
a callout to "callout" is refused: its map of headers or trailers is malformed
proxy_http_call("callout" "xxxx" "" "" 1000 *) = BAD_ARGUMENT
a callout to "callout" is refused: its map of headers or trailers is malformed
3 lines dropped: more than 3 in a second (option max_log_lines)



=== TEST 9: lines: no more than a line of the file is made of a long text
--- plugin
request_headers log info fill:2000000:x
request_headers log info after
--- error_log
p: after
--- no_error_log eval
qr/x{5000}/
