# Host functions: logging (src/hostcalls/logging.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: log: each level has its own in error.log; critical is no emergency
--- plugin
request_headers log trace "a trace"
request_headers log debug "a debug line"
request_headers log info "an info"
request_headers log warn "a warning"
request_headers log error "an error"
request_headers log critical "a disaster"
--- error_log eval
[
    qr/\[debug\] [^\n]*\[proxy-wasm\] p: a trace\n/,
    qr/\[debug\] [^\n]*\[proxy-wasm\] p: a debug line\n/,
    qr/\[info\] [^\n]*\[proxy-wasm\] p: an info, client: /,
    qr/\[warn\] [^\n]*\[proxy-wasm\] p: a warning, client: /,
    qr/\[error\] [^\n]*\[proxy-wasm\] p: an error, client: /,
    qr/\[crit\] [^\n]*\[proxy-wasm\] p: a disaster, client: /,
]



=== TEST 2: log: what error.log does not take is not written
--- plugin
request_headers log info "too quiet"
request_headers log warn "loud enough"
--- log_level: warn
--- plugin_log
loud enough



=== TEST 3: log: levels that are none
--- plugin
request_headers proxy_log 6 "text"
request_headers proxy_log 0xffffffff "text"
--- plugin_log
proxy_log(6 "text") = BAD_ARGUMENT
proxy_log(0xffffffff "text") = BAD_ARGUMENT



=== TEST 4: log: nothing is a line of its own; several lines each name the plugin
--- plugin
request_headers log info first
request_headers proxy_log 2 ""
request_headers log info "one\ntwo\r\n\nfour\n"
--- plugin_log
first

proxy_log(2 "") = OK
one
two

four



=== TEST 5: log: control characters cannot forge a line or colour a terminal
--- plugin
request_headers log info "a\rb\0c\x1b[31md\x7fe\tf"
--- plugin_log eval
"a\\rb\\x00c\\x1b[31md\\x7fe\tf\n"



=== TEST 6: log: bytes that are not UTF-8, and percent signs, are written as they are
--- plugin
request_headers log info "a\xffb %s%n%V"
--- plugin_log eval
"a\xffb %s%n%V\n"



=== TEST 7: log: pointers outside the memory
--- plugin
request_headers proxy_log 2 0xfffffff0 100
request_headers proxy_log 2 16 0xffffffff
request_headers proxy_log 2 0xffffffff 0
--- plugin_log
proxy_log(2 0xfffffff0 100) = INVALID_MEMORY_ACCESS
proxy_log(2 16 0xffffffff) = INVALID_MEMORY_ACCESS

proxy_log(2 0xffffffff 0) = OK



=== TEST 8: log: of a root context, and in every phase of a request
--- plugin
configure log info "configured"
request_headers log info "request headers"
response_headers log info "response headers"
response_body if_eos true log info "response body"
done if_root false log info "done"
log log info "log"
delete if_root false log info "delete"
--- plugin_log
configured
configured
request headers
response headers
response body
done
log
delete



=== TEST 9: get_log_level: what error.log takes
--- plugin
request_headers into_header response x-level log_level
--- log_level: info
--- response_headers
x-level: 2



=== TEST 10: get_log_level: debug takes everything
--- plugin
request_headers log_level
--- plugin_log
log_level() = OK 0



=== TEST 11: get_log_level: notice is between two
--- plugin
request_headers into_header response x-level log_level
--- log_level: notice
--- response_headers
x-level: 3



=== TEST 12: get_log_level: nothing below critical
--- plugin
request_headers into_header response x-level log_level
--- log_level: crit
--- response_headers
x-level: 5



=== TEST 13: get_log_level: pointers outside the memory
--- plugin
request_headers proxy_get_log_level 0xfffffffd
--- plugin_log
proxy_get_log_level(0xfffffffd) = INVALID_MEMORY_ACCESS
