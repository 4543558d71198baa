# Host functions: HTTP fields, the request's (src/hostcalls/headers.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: pairs: pseudo headers first, then the others in order, names in lower case
--- plugin
request_headers get_pairs request
request_headers get_map_size request
--- request
GET /t/b?c=d
--- more_headers
X-One: 1
ACCEPT: text/html
x-one: 2
--- response_body
hello
--- plugin_log
get_pairs(request) = OK 8 ":authority"="localhost" ":path"="/t/b?c=d" ":method"="GET" ":scheme"="http" "connection"="close" "x-one"="1" "accept"="text/html" "x-one"="2"
get_map_size(request) = OK 95



=== TEST 2: get: names in any case, the first of several values, empty ones, host as :authority
--- plugin
request_headers get_header request X-ONE
request_headers get_header request x-empty
request_headers get_header request host
request_headers get_header request x-none
request_headers get_header request x-on
request_headers get_header request ""
--- more_headers
X-One: 1
x-one: 2
X-Empty:
--- plugin_log
get_header(request X-ONE) = OK "1"
get_header(request x-empty) = OK ""
get_header(request host) = OK "localhost"
get_header(request x-none) = NOT_FOUND
get_header(request x-on) = NOT_FOUND
get_header(request "") = NOT_FOUND



=== TEST 3: changes: replace in place of all, replace what is not there, add twice, remove all
--- plugin
request_headers set_header request X-One changed
request_headers set_header request x-new created
request_headers add_header request x-many a
request_headers add_header request X-MANY b
request_headers remove_header request X-Gone
request_headers remove_header request x-never-there
request_headers get_pairs request
--- backend: echo
--- more_headers
X-One: 1
X-Gone: 1
x-one: 2
X-Gone: 2
--- response_body
GET /t HTTP/1.1
Host: localhost
X-One: changed
x-new: created
x-many: a
X-MANY: b

--- plugin_log
set_header(request X-One changed) = OK
set_header(request x-new created) = OK
add_header(request x-many a) = OK
add_header(request X-MANY b) = OK
remove_header(request X-Gone) = OK
remove_header(request x-never-there) = OK
get_pairs(request) = OK 9 ":authority"="localhost" ":path"="/t" ":method"="GET" ":scheme"="http" "connection"="close" "x-one"="changed" "x-new"="created" "x-many"="a" "x-many"="b"



=== TEST 4: changes: an empty value can be added; to replace by it is to remove, as in nginx
--- plugin
request_headers add_header request x-empty ""
request_headers get_header request x-empty
request_headers set_header request x-replaced ""
request_headers get_header request x-replaced
--- more_headers
x-replaced: old
--- plugin_log
add_header(request x-empty "") = OK
get_header(request x-empty) = OK ""
set_header(request x-replaced "") = OK
get_header(request x-replaced) = NOT_FOUND



=== TEST 5: changes: CR, LF and NUL are refused with OK, and logged
--- plugin
request_headers set_header request x-cr "a\rb"
request_headers set_header request x-lf "a\nb: c"
request_headers add_header request x-nul "a\0b"
request_headers add_header request "x-name\r\nx-injected" "v"
request_headers set_header request "" v
request_headers remove_header request "x\ny"
request_headers remove_header request ""
request_headers set_pairs request :path=/t "x-lf=a\nb" x-fine=1
--- backend: echo
--- response_body
GET /t HTTP/1.1
Host: localhost
x-fine: 1

--- plugin_log
the header "x-cr" is refused: neither its name nor its value may have CR, LF or NUL
set_header(request x-cr "a\rb") = OK
the header "x-lf" is refused: neither its name nor its value may have CR, LF or NUL
set_header(request x-lf "a\nb: c") = OK
the header "x-nul" is refused: neither its name nor its value may have CR, LF or NUL
add_header(request x-nul "a\0b") = OK
the header "x-name\r\nx-injected" is refused: neither its name nor its value may have CR, LF or NUL
add_header(request "x-name\r\nx-injected" "v") = OK
the header "" is refused: it has no name
set_header(request "" v) = OK
the header "x\ny" is refused: neither its name nor its value may have CR, LF or NUL
remove_header(request "x\ny") = OK
the header "" is refused: it has no name
remove_header(request "") = OK
the header "x-lf" is refused: neither its name nor its value may have CR, LF or NUL
set_pairs(request :path=/t "x-lf=a\nb" x-fine=1) = OK



=== TEST 6: bytes: what is not UTF-8 passes unchanged, both ways
--- plugin
request_headers get_header request x-bytes
request_headers set_header request x-more "\xff\xc3("
request_headers get_header request x-more
--- backend: echo
--- more_headers eval
"X-Bytes: a\xe9\x80\xffz"
--- response_body eval
"GET /t HTTP/1.1\nHost: localhost\nX-Bytes: a\xe9\x80\xffz\nx-more: \xff\xc3(\n"
--- plugin_log
get_header(request x-bytes) = OK 0x61e980ff7a
set_header(request x-more "\xff\xc3(") = OK
get_header(request x-more) = OK 0xffc328



=== TEST 7: set_pairs: what is not in the list goes, the rest comes in its order
--- plugin
request_headers set_pairs request :method=PUT :path=/t/new?x=y :authority=other :scheme=http b=1 a=2 b=3
request_headers get_pairs request
--- backend: echo
--- more_headers
X-Old: 1
--- response_body
PUT /t/new?x=y HTTP/1.1
Host: other
b: 1
a: 2
b: 3

--- plugin_log
set_pairs(request :method=PUT :path=/t/new?x=y :authority=other :scheme=http b=1 a=2 b=3) = OK
get_pairs(request) = OK 7 ":authority"="other" ":path"="/t/new?x=y" ":method"="PUT" ":scheme"="http" "b"="1" "a"="2" "b"="3"



=== TEST 8: set_pairs: a name in two cases is one header with two values
--- plugin
request_headers set_pairs request X-A=1 x-a=2
request_headers get_pairs request
--- plugin_log
set_pairs(request X-A=1 x-a=2) = OK
get_pairs(request) = OK 6 ":authority"="localhost" ":path"="/t" ":method"="GET" ":scheme"="http" "x-a"="1" "x-a"="2"



=== TEST 9: set_pairs: the empty map empties, a malformed one is logged and changes nothing
--- plugin
request_headers proxy_set_header_map_pairs 0 "xx"
request_headers proxy_set_header_map_pairs 0 "\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0bc"
request_headers get_header request x-old
request_headers proxy_set_header_map_pairs 0 {}
request_headers get_pairs request
--- more_headers
X-Old: 1
--- plugin_log
a map of headers is refused: it is malformed
proxy_set_header_map_pairs(0 "xx") = OK
a map of headers is refused: it is malformed
proxy_set_header_map_pairs(0 "\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0bc") = OK
get_header(request x-old) = OK "1"
proxy_set_header_map_pairs(0 {}) = OK
get_pairs(request) = OK 4 ":authority"="localhost" ":path"="/t" ":method"="GET" ":scheme"="http"



=== TEST 10: framing: Content-Length stays what it is, the body is read by it
--- plugin
request_headers remove_header request content-length
request_headers set_header request Content-Length 3
request_headers set_header request transfer-encoding chunked
request_headers get_header request content-length
--- backend: echo
--- request
POST /t
hello
--- response_body chomp
POST /t HTTP/1.1
Host: localhost
Content-Length: 5

hello
--- plugin_log
remove_header(request content-length) = OK
set_header(request Content-Length 3) = OK
set_header(request transfer-encoding chunked) = OK
get_header(request content-length) = OK "5"



=== TEST 11: pointers: outside the memory
--- plugin
request_headers proxy_get_header_map_pairs 0 0xfffffffe *
request_headers proxy_get_header_map_pairs 0 * 0xfffffffe
request_headers proxy_get_header_map_size 0 0xffffffff
request_headers proxy_get_header_map_value 0 0xfffffff0 100 * *
request_headers proxy_get_header_map_value 0 16 0xffffffff * *
request_headers proxy_get_header_map_value 0 "host" 0xfffffffd *
request_headers proxy_get_header_map_value 0 "host" * 0xfffffffd
request_headers proxy_set_header_map_pairs 0 0xfffffff0 100
request_headers proxy_set_header_map_pairs 0 16 0xffffffff
request_headers proxy_add_header_map_value 0 0xfffffff0 100 "v"
request_headers proxy_add_header_map_value 0 "x-a" 16 0xffffffff
request_headers proxy_replace_header_map_value 0 0xfffffff0 100 "v"
request_headers proxy_replace_header_map_value 0 "x-a" 16 0xffffffff
request_headers proxy_remove_header_map_value 0 0xfffffff0 100
request_headers get_header request x-a
--- plugin_log
proxy_get_header_map_pairs(0 0xfffffffe *) = INVALID_MEMORY_ACCESS
proxy_get_header_map_pairs(0 * 0xfffffffe) = INVALID_MEMORY_ACCESS
proxy_get_header_map_size(0 0xffffffff) = INVALID_MEMORY_ACCESS
proxy_get_header_map_value(0 0xfffffff0 100 * *) = INVALID_MEMORY_ACCESS
proxy_get_header_map_value(0 16 0xffffffff * *) = INVALID_MEMORY_ACCESS
proxy_get_header_map_value(0 "host" 0xfffffffd *) = INVALID_MEMORY_ACCESS
proxy_get_header_map_value(0 "host" * 0xfffffffd) = INVALID_MEMORY_ACCESS
proxy_set_header_map_pairs(0 0xfffffff0 100) = INVALID_MEMORY_ACCESS
proxy_set_header_map_pairs(0 16 0xffffffff) = INVALID_MEMORY_ACCESS
proxy_add_header_map_value(0 0xfffffff0 100 "v") = INVALID_MEMORY_ACCESS
proxy_add_header_map_value(0 "x-a" 16 0xffffffff) = INVALID_MEMORY_ACCESS
proxy_replace_header_map_value(0 0xfffffff0 100 "v") = INVALID_MEMORY_ACCESS
proxy_replace_header_map_value(0 "x-a" 16 0xffffffff) = INVALID_MEMORY_ACCESS
proxy_remove_header_map_value(0 0xfffffff0 100) = INVALID_MEMORY_ACCESS
get_header(request x-a) = NOT_FOUND



=== TEST 12: maps: numbers of no map
--- plugin
request_headers get_pairs 9
request_headers get_map_size 0xffffffff
request_headers get_header 9 host
request_headers set_header 9 a b
request_headers add_header 9 a b
request_headers remove_header 9 a
request_headers set_pairs 9 a=b
--- plugin_log
get_pairs(9) = BAD_ARGUMENT
get_map_size(0xffffffff) = BAD_ARGUMENT
get_header(9 host) = BAD_ARGUMENT
set_header(9 a b) = BAD_ARGUMENT
add_header(9 a b) = BAD_ARGUMENT
remove_header(9 a) = BAD_ARGUMENT
set_pairs(9 a=b) = BAD_ARGUMENT



=== TEST 13: maps: trailers and metadata are empty, and not to be written
--- plugin
request_headers get_pairs request_trailers
request_headers get_map_size response_trailers
request_headers get_header grpc_initial x
request_headers get_pairs grpc_trailing
request_headers set_header request_trailers a b
request_headers add_header response_trailers a b
request_headers remove_header grpc_initial a
request_headers set_pairs grpc_trailing a=b
--- plugin_log
get_pairs(request_trailers) = OK 0
get_map_size(response_trailers) = BAD_ARGUMENT
get_header(grpc_initial x) = NOT_FOUND
get_pairs(grpc_trailing) = OK 0
the header "a" is refused: its map is not to be written
set_header(request_trailers a b) = OK
the trailer "a" is refused: nginx sends a trailer that its configuration names: set $proxy_wasm_trailer_a ""; add_trailer … $proxy_wasm_trailer_a;
add_header(response_trailers a b) = OK
the header "a" is refused: its map is not to be written
remove_header(grpc_initial a) = OK
a map of headers is refused: it is not to be written
set_pairs(grpc_trailing a=b) = OK



=== TEST 14: contexts: a root context has no request: an empty map, not to be written
--- plugin
configure get_pairs request
configure get_map_size request
configure get_header request host
configure set_header request a b
configure set_pairs request a=b
configure remove_header request host
--- response_body
hello
--- plugin_log
get_pairs(request) = OK 0
get_map_size(request) = BAD_ARGUMENT
get_header(request host) = NOT_FOUND
the header "a" is refused: there is no request here
set_header(request a b) = OK
a map of headers is refused: there is no request here
set_pairs(request a=b) = OK
the header "host" is refused: there is no request here
remove_header(request host) = OK
get_pairs(request) = OK 0
get_map_size(request) = BAD_ARGUMENT
get_header(request host) = NOT_FOUND
the header "a" is refused: there is no request here
set_header(request a b) = OK
a map of headers is refused: there is no request here
set_pairs(request a=b) = OK
the header "host" is refused: there is no request here
remove_header(request host) = OK



=== TEST 15: phases: request headers are there to the end of the request
--- plugin
response_headers get_header request x-one
response_body if_eos true get_header request x-one
log get_header request x-one
log get_header request :path
log get_map_size request
done if_root false get_header request :method
--- more_headers
X-One: 1
--- plugin_log
get_header(request x-one) = OK "1"
get_header(request x-one) = OK "1"
get_header(request :method) = OK "GET"
get_header(request x-one) = OK "1"
get_header(request :path) = OK "/t"
get_map_size(request) = OK 68



=== TEST 16: many: more headers than nginx hands out by default
--- plugin
request_headers get_header request x-150
request_headers echo_params
--- more_headers eval
CORE::join "", map { "X-$_: $_\n" } 1 .. 150
--- plugin_log
get_header(request x-150) = OK "150"
request_headers: context=2 num_headers=155 end_of_stream=true
