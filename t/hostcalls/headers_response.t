# Host functions: HTTP fields, the response's (src/hostcalls/headers.rs).
#
# The order among names is LuaJIT's, which lists them: it is different each
# time. That of the values of one name is nginx's.

use lib 't/lib';
use TestProxyWasm 'no_plan';

# A server whose answers have a name with an underscore.
our $UNDERSCORED = <<'_EOC_';
    server {
        listen unix:$TEST_NGINX_HTML_DIR/u.sock;
        lua_transform_underscores_in_response_headers off;
        location / {
            content_by_lua_block {
                ngx.header["x_foo"] = "1"
                ngx.say("hi")
            }
        }
    }
_EOC_

no_long_string();
run_tests();

__DATA__

=== TEST 1: pairs: :status first, names in lower case, those that nginx keeps apart among them
--- plugin
response_headers get_pairs response
response_headers get_map_size response
response_headers echo_params
--- backend
content_by_lua_block {
    ngx.header["X-Two"] = { "a", "b" }
    ngx.header.content_type = "text/x-test"
    ngx.header.content_length = 3
    ngx.header.etag = '"tag"'
    ngx.header.last_modified = "Mon, 20 Jul 2026 10:00:00 GMT"
    ngx.header.location = "/there"
    ngx.header.set_cookie = { "a=1", "b=2" }
    ngx.status = 201
    ngx.print("abc")
}
--- error_code: 201
--- response_body: abc
--- plugin_log eval
my @pairs = ('"location"="/there"', '"content-type"="text/x-test"', '"content-length"="3"',
    '"last-modified"="Mon, 20 Jul 2026 10:00:00 GMT"',
    '"etag"="\"tag\""', '"set-cookie"="a=1" "set-cookie"="b=2"', '"x-two"="a" "x-two"="b"');
my $all = CORE::join "", map { "(?=.* \Q$_\E[ \n])" } @pairs;
qr/\Aget_pairs\(response\) = OK 10 ":status"="201"$all.*
get_map_size\(response\) = OK 151
response_headers: context=2 num_headers=10 end_of_stream=false
\z/



=== TEST 2: get: names in any case, the first of several values, what nginx keeps apart
--- plugin
response_headers get_header response :status
response_headers get_header response :STATUS
response_headers get_header response :path
response_headers get_header response Content-Type
response_headers get_header response content-length
response_headers get_header response ETAG
response_headers get_header response last-modified
response_headers get_header response location
response_headers get_header response cache-control
response_headers get_header response set-cookie
response_headers get_header response X-TWO
response_headers get_header response connection
response_headers get_header response transfer-encoding
response_headers get_header response x-none
response_headers get_header response ""
--- backend
content_by_lua_block {
    ngx.header["X-Two"] = { "a", "b" }
    ngx.header.content_type = "text/x-test"
    ngx.header.content_length = 3
    ngx.header.etag = '"tag"'
    ngx.header.last_modified = "Mon, 20 Jul 2026 10:00:00 GMT"
    ngx.header.location = "/there"
    ngx.header.cache_control = { "no-cache", "private" }
    ngx.header.set_cookie = { "a=1", "b=2" }
    ngx.print("abc")
}
--- plugin_log
get_header(response :status) = OK "200"
get_header(response :STATUS) = OK "200"
get_header(response :path) = NOT_FOUND
get_header(response Content-Type) = OK "text/x-test"
get_header(response content-length) = OK "3"
get_header(response ETAG) = OK "\"tag\""
get_header(response last-modified) = OK "Mon, 20 Jul 2026 10:00:00 GMT"
get_header(response location) = OK "/there"
get_header(response cache-control) = OK "no-cache"
get_header(response set-cookie) = OK "a=1"
get_header(response X-TWO) = OK "a"
get_header(response connection) = OK "close"
get_header(response transfer-encoding) = NOT_FOUND
get_header(response x-none) = NOT_FOUND
get_header(response "") = NOT_FOUND



=== TEST 3: changes: replace all, replace what is not there, add twice, remove all; the list follows
--- plugin
response_headers set_header response X-One changed
response_headers set_header response x-new created
response_headers add_header response X-Many a
response_headers add_header response x-many b
response_headers add_header response Set-Cookie c=3
response_headers remove_header response x-gone
response_headers remove_header response x-never-there
response_headers get_pairs response
response_headers get_header response x-one
response_headers get_header response x-gone
--- location
content_by_lua_block {
    ngx.header["X-One"] = { "1", "2" }
    ngx.header["X-Gone"] = { "1", "2" }
    ngx.header["Set-Cookie"] = { "a=1", "b=2" }
    ngx.say("body")
}
--- response_body
body
--- raw_response_headers_like eval
qr/\A(?!.*X-Gone)(?!.*X-One: [12])
(?=.*\nX-One:[ ]changed\r\n)
(?=.*\nx-new:[ ]created\r\n)
(?=.*\nX-Many:[ ]a\r\nx-many:[ ]b\r\n)
(?=.*\nSet-Cookie:[ ]a=1\r\nSet-Cookie:[ ]b=2\r\n.*Set-Cookie:[ ]c=3\r\n)/sx
--- plugin_log eval
my @pairs = ('"x-one"="changed"', '"x-new"="created"', '"x-many"="a" "x-many"="b"',
    '"set-cookie"="a=1" "set-cookie"="b=2"', '"set-cookie"="c=3"', '"content-type"="text/plain"');
my $all = CORE::join "", map { "(?=[^\n]* \Q$_\E[ \n])" } @pairs;
qr/get_pairs\(response\) = OK 9 ":status"="200"$all(?![^\n]*x-gone).*
get_header\(response x-one\) = OK "changed"
get_header\(response x-gone\) = NOT_FOUND
\z/



=== TEST 4: changes: what nginx keeps apart can be replaced
--- plugin
response_headers set_header response content-type application/x-new
response_headers set_header response server mine
response_headers set_header response date Yesterday
response_headers set_header response ETag "\"new\""
response_headers set_header response Last-Modified "Tue, 21 Jul 2026 10:00:00 GMT"
response_headers set_header response Location /elsewhere
response_headers set_header response cache-control no-store
response_headers get_header response content-type
response_headers get_header response server
response_headers get_header response date
response_headers get_header response etag
response_headers get_header response last-modified
response_headers get_header response location
--- location
content_by_lua_block {
    ngx.header.etag = '"tag"'
    ngx.header.last_modified = "Mon, 20 Jul 2026 10:00:00 GMT"
    ngx.header.location = "/there"
    ngx.header.cache_control = "private"
    ngx.say("body")
}
--- response_body
body
--- response_headers
content-type: application/x-new
server: mine
date: Yesterday
etag: "new"
last-modified: Tue, 21 Jul 2026 10:00:00 GMT
location: /elsewhere
cache-control: no-store
--- plugin_log
set_header(response content-type application/x-new) = OK
set_header(response server mine) = OK
set_header(response date Yesterday) = OK
set_header(response ETag "\"new\"") = OK
set_header(response Last-Modified "Tue, 21 Jul 2026 10:00:00 GMT") = OK
set_header(response Location /elsewhere) = OK
set_header(response cache-control no-store) = OK
get_header(response content-type) = OK "application/x-new"
get_header(response server) = OK "mine"
get_header(response date) = OK "Yesterday"
get_header(response etag) = OK "\"new\""
get_header(response last-modified) = OK "Tue, 21 Jul 2026 10:00:00 GMT"
get_header(response location) = OK "/elsewhere"



=== TEST 5: changes: what nginx keeps apart can be removed
--- plugin
response_headers remove_header response content-type
response_headers remove_header response etag
response_headers remove_header response Last-Modified
response_headers remove_header response location
response_headers remove_header response cache-control
response_headers remove_header response content-length
response_headers get_pairs response
--- location
content_by_lua_block {
    ngx.header.etag = '"tag"'
    ngx.header.last_modified = "Mon, 20 Jul 2026 10:00:00 GMT"
    ngx.header.location = "/there"
    ngx.header.cache_control = "private"
    ngx.header.content_length = 5
    ngx.say("body")
}
--- response_body
body
--- response_headers
!content-type
!etag
!last-modified
!location
!cache-control
!content-length
--- plugin_log
remove_header(response content-type) = OK
remove_header(response etag) = OK
remove_header(response Last-Modified) = OK
remove_header(response location) = OK
remove_header(response cache-control) = OK
remove_header(response content-length) = OK
get_pairs(response) = OK 1 ":status"="200"



=== TEST 6: framing: it is nginx's: refused with OK and logged, or nothing at all
--- plugin
response_headers set_header response Connection keep-alive
response_headers set_header response connection close
response_headers add_header response keep-alive timeout=5
response_headers set_header response Transfer-Encoding identity
response_headers remove_header response connection
response_headers remove_header response transfer-encoding
response_headers get_header response connection
--- response_body
hello
--- raw_response_headers_unlike eval
qr/keep-alive|identity/i
--- plugin_log
cannot set Connection to "keep-alive": nginx frames the response
set_header(response Connection keep-alive) = OK
set_header(response connection close) = OK
cannot set keep-alive to "timeout=5": nginx frames the response
add_header(response keep-alive timeout=5) = OK
cannot set Transfer-Encoding to "identity": nginx frames the response
set_header(response Transfer-Encoding identity) = OK
remove_header(response connection) = OK
remove_header(response transfer-encoding) = OK
get_header(response connection) = OK "close"



=== TEST 7: content-length: a plugin that may change the body sees it, but cannot promise one
--- plugin
response_headers get_header response content-length
response_headers set_header response content-length 2
response_headers get_header response content-length
--- plugin2
response_headers get_header response content-length
--- location
content_by_lua_block {
    ngx.header.content_length = 5
    ngx.say("body")
}
--- response_body
body
--- response_headers
!content-length
transfer-encoding: chunked
--- plugin_log
get_header(response content-length) = OK "5"
cannot set content-length to "2": nginx frames the response
set_header(response content-length 2) = OK
get_header(response content-length) = OK "5"
q: get_header(response content-length) = NOT_FOUND



=== TEST 8: content-length: of a response to HEAD it stays
--- plugin
response_headers echo_params
--- location
content_by_lua_block {
    ngx.header.content_length = 5
    ngx.say("body")
}
--- request
HEAD /t
--- response_body
--- response_headers
content-length: 5
--- plugin_log eval
qr/\Aresponse_headers: context=2 num_headers=\d end_of_stream=true\n\z/



=== TEST 9: status: set, and with it the reason
--- plugin
response_headers set_header response :status 404
response_headers get_header response :status
response_headers add_header response :Status 418
response_headers get_header response :status
--- error_code: 418
--- response_body
hello
--- plugin_log
set_header(response :status 404) = OK
get_header(response :status) = OK "404"
add_header(response :Status 418) = OK
get_header(response :status) = OK "418"



=== TEST 10: status: what is none is refused with OK, and logged
--- plugin
response_headers set_header response :status ""
response_headers set_header response :status 99
response_headers set_header response :status 600
response_headers set_header response :status "200 OK"
response_headers set_header response :status +200
response_headers set_header response :status 99999999999
response_headers set_header response :path /t
response_headers remove_header response :status
response_headers get_header response :status
--- response_body
hello
--- plugin_log
cannot set :status to "": it is no status
set_header(response :status "") = OK
cannot set :status to "99": it is no status
set_header(response :status 99) = OK
cannot set :status to "600": it is no status
set_header(response :status 600) = OK
cannot set :status to "200 OK": it is no status
set_header(response :status "200 OK") = OK
cannot set :status to "+200": it is no status
set_header(response :status +200) = OK
cannot set :status to "99999999999": it is no status
set_header(response :status 99999999999) = OK
cannot set :path to "/t": it is no header of a response
set_header(response :path /t) = OK
cannot set :status to "": a pseudo header cannot be removed
remove_header(response :status) = OK
get_header(response :status) = OK "200"



=== TEST 11: changes: CR, LF and NUL are refused with OK, and logged
--- plugin
response_headers set_header response x-lf "a\r\nx-injected: 1"
response_headers add_header response x-nul "a\0b"
response_headers add_header response "x-a\r\nx-injected" b
response_headers set_header response "" b
--- response_body
hello
--- raw_response_headers_unlike eval
qr/x-lf|x-nul|x-a|injected/
--- plugin_log
the header "x-lf" is refused: neither its name nor its value may have CR, LF or NUL
set_header(response x-lf "a\r\nx-injected: 1") = OK
the header "x-nul" is refused: neither its name nor its value may have CR, LF or NUL
add_header(response x-nul "a\0b") = OK
the header "x-a\r\nx-injected" is refused: neither its name nor its value may have CR, LF or NUL
add_header(response "x-a\r\nx-injected" b) = OK
the header "" is refused: it has no name
set_header(response "" b) = OK



=== TEST 12: bytes: what is not UTF-8 passes unchanged, both ways
--- plugin
response_headers get_header response x-bytes
response_headers set_header response x-more "\xff\xc3("
response_headers get_header response x-more
--- location
content_by_lua_block {
    ngx.header["X-Bytes"] = "a\xe9\x80\xffz"
    ngx.say("hello")
}
--- raw_response_headers_like eval
qr/^x-more: \xff\xc3\(\r$/m
--- plugin_log
get_header(response x-bytes) = OK 0x61e980ff7a
set_header(response x-more "\xff\xc3(") = OK
get_header(response x-more) = OK 0xffc328



=== TEST 13: set_pairs: what is not in the list goes, and the status with it comes
--- plugin
response_headers set_pairs response :status=202 X-B=1 x-a=2 x-b=3 content-type=text/x-new
response_headers get_pairs response
--- location
content_by_lua_block {
    ngx.header["X-Old"] = { "1", "2" }
    ngx.header.etag = '"tag"'
    ngx.say("body")
}
--- error_code: 202
--- response_body
body
--- response_headers
!X-Old
!ETag
x-b: 1, 3
x-a: 2
content-type: text/x-new
--- plugin_log
set_pairs(response :status=202 X-B=1 x-a=2 x-b=3 content-type=text/x-new) = OK
get_pairs(response) = OK 5 ":status"="202" "x-b"="1" "x-a"="2" "x-b"="3" "content-type"="text/x-new"



=== TEST 14: set_pairs: a plugin that writes back what it has read leaves the length
--- plugin_options: response_body = false,
--- plugin
response_headers set_pairs response :status=200 content-type=text/plain content-length=5 x-added=1
--- location
content_by_lua_block {
    ngx.header.content_type = "text/plain"
    ngx.header.content_length = 5
    ngx.say("body")
}
--- response_body
body
--- response_headers
content-length: 5
content-type: text/plain
x-added: 1
!Transfer-Encoding
--- plugin_log
set_pairs(response :status=200 content-type=text/plain content-length=5 x-added=1) = OK



=== TEST 15: set_pairs: a malformed map is logged and changes nothing
--- plugin
response_headers proxy_set_header_map_pairs 2 "\x02\0\0\0xxxx"
response_headers get_header response x-old
--- location
content_by_lua_block {
    ngx.header["X-Old"] = "1"
    ngx.say("body")
}
--- response_headers
X-Old: 1
--- plugin_log
a map of headers is refused: it is malformed
proxy_set_header_map_pairs(2 "\x02\0\0\0xxxx") = OK
get_header(response x-old) = OK "1"



=== TEST 16: request phases: there are none yet to read; what is set stays through the response
--- plugin
request_headers get_pairs response
request_headers get_header response :status
request_headers get_header response content-type
request_headers set_header response x-early 1
request_headers get_header response x-early
response_headers get_header response x-early
--- backend
return 200 "hello\n";
--- response_headers
x-early: 1
--- plugin_log
get_pairs(response) = OK 0
get_header(response :status) = NOT_FOUND
get_header(response content-type) = NOT_FOUND
set_header(response x-early 1) = OK
get_header(response x-early) = OK "1"
get_header(response x-early) = OK "1"



=== TEST 17: after the headers: they can be read, and not be changed, which is logged and answered with OK
--- plugin
response_body if_eos true get_header response x-one
response_body if_eos true set_header response x-late 1
response_body if_eos true set_header response :status 500
log get_header response x-one
log get_header response :status
log get_map_size response
log set_header response x-late 1
--- location
content_by_lua_block {
    ngx.header["X-One"] = "1"
    ngx.say("body")
}
--- response_headers
X-One: 1
!x-late
--- plugin_log
get_header(response x-one) = OK "1"
the header "x-late" is refused: nginx does not take it here
set_header(response x-late 1) = OK
cannot set :status to "500": the response is on its way
set_header(response :status 500) = OK
get_header(response x-one) = OK "1"
get_header(response :status) = OK "200"
get_map_size(response) = OK 38
the header "x-late" is refused: nginx does not take it here
set_header(response x-late 1) = OK



=== TEST 18: chain: the later plugin sees what the earlier one changed
--- plugin
response_headers set_header response x-one changed
response_headers remove_header response x-two
response_headers set_header response :status 203
--- plugin2
response_headers get_header response x-one
response_headers get_header response x-two
response_headers get_pairs response
response_headers echo_params
--- location
content_by_lua_block {
    ngx.header["X-One"] = "1"
    ngx.header["X-Two"] = "2"
    ngx.header.content_type = ""
    ngx.say("body")
}
--- error_code: 203
--- plugin_log eval
qr/
q: get_header\(response x-one\) = OK "changed"
q: get_header\(response x-two\) = NOT_FOUND
q: get_pairs\(response\) = OK 2 ":status"="203" "x-one"="changed"
q: response_headers: context=2 num_headers=2 end_of_stream=false
\z/



=== TEST 19: many: all of them are listed
--- plugin
response_headers echo_params
--- location eval
my $headers = CORE::join "", map { "ngx.header[\"X-$_\"] = $_\n" } 1 .. 150;
"content_by_lua_block {\n${headers}ngx.say(\"body\")\n}"
--- plugin_log
response_headers: context=2 num_headers=152 end_of_stream=false



=== TEST 20: date and server: set and removed; nginx writes its own only where no plugin has said anything
--- plugin
response_headers get_header response date
response_headers get_header response server
response_headers if_header x-do set set_header response date Yesterday
response_headers if_header x-do set set_header response server mine
response_headers if_header x-do remove remove_header response date
response_headers if_header x-do remove remove_header response server
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            for _, what in ipairs { "nothing", "set", "remove" } do
                local sock = client.send("/t", "Connection: close\r\nX-Do: " .. what .. "\r\n")
                local head = assert(sock:receive("*a")):match("^(.-)\r\n\r\n")
                ngx.say(what, ": ", head:match("\r\n[Dd]ate: (%a+)"), ", ", head:match("\r\n[Ss]erver: (%l+)"))
            end
        }
    }
--- request
GET /drive
--- response_body_like eval
qr/\Anothing: [A-Z][a-z][a-z], nginx
set: Yesterday, mine
remove: nil, nil
\z/
--- plugin_log
get_header(response date) = NOT_FOUND
get_header(response server) = NOT_FOUND
get_header(response date) = NOT_FOUND
get_header(response server) = NOT_FOUND
set_header(response date Yesterday) = OK
set_header(response server mine) = OK
get_header(response date) = NOT_FOUND
get_header(response server) = NOT_FOUND
remove_header(response date) = OK
remove_header(response server) = OK



=== TEST 21: underscores: with nginx's directive they are characters like others
--- plugin
response_headers get_header response x_foo
response_headers remove_header response x_foo
response_headers set_header response x_bar 2
--- http_config eval
"lua_transform_underscores_in_response_headers off;\n$::UNDERSCORED"
--- location
proxy_pass http://unix:$TEST_NGINX_HTML_DIR/u.sock;
--- plugin_log
get_header(response x_foo) = OK "1"
remove_header(response x_foo) = OK
set_header(response x_bar 2) = OK
--- raw_response_headers_like: x_bar: 2
--- raw_response_headers_unlike: x_foo



=== TEST 22: underscores: without it they are dashes to plugins, as DIFFERENCES says
--- plugin
response_headers get_header response x_foo
response_headers remove_header response x_foo
response_headers set_header response x_bar 2
--- http_config eval: $::UNDERSCORED
--- location
proxy_pass http://unix:$TEST_NGINX_HTML_DIR/u.sock;
--- plugin_log
get_header(response x_foo) = NOT_FOUND
remove_header(response x_foo) = OK
set_header(response x_bar 2) = OK
--- raw_response_headers_like: x_foo: 1[^!]*x-bar: 2
