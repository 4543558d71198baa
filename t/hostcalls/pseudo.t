# Host functions: HTTP fields, the pseudo headers (src/hostcalls/pseudo.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: get: all of them, in any case, and no others
--- plugin
request_headers get_header request :method
request_headers get_header request :Path
request_headers get_header request :authority
request_headers get_header request :SCHEME
request_headers get_header request :status
request_headers get_header request :unknown
request_headers get_header request :
--- request
OPTIONS /t/x?y=z
--- more_headers
Host: Example.com:8080
--- plugin_log
get_header(request :method) = OK "OPTIONS"
get_header(request :Path) = OK "/t/x?y=z"
get_header(request :authority) = OK "Example.com:8080"
get_header(request :SCHEME) = OK "http"
get_header(request :status) = NOT_FOUND
get_header(request :unknown) = NOT_FOUND
get_header(request :) = NOT_FOUND



=== TEST 2: authority: without a Host header it is the server's name
--- plugin
request_headers get_header request :authority
request_headers get_header request host
request_headers get_pairs request
--- raw_request eval
"GET /t HTTP/1.0\r\n\r\n"
--- plugin_log
get_header(request :authority) = OK "localhost"
get_header(request host) = NOT_FOUND
get_pairs(request) = OK 4 ":authority"="localhost" ":path"="/t" ":method"="GET" ":scheme"="http"



=== TEST 3: authority: set, added, and then what nginx and the upstream see
--- plugin
request_headers set_header request :authority new.example
request_headers get_header request :authority
request_headers get_header request host
request_headers add_header request :Authority newer.example:81
request_headers get_header request :authority
request_headers set_header request Host newest.example
request_headers get_header request :authority
--- backend: echo
--- response_body
GET /t HTTP/1.1
Host: newest.example

--- plugin_log
set_header(request :authority new.example) = OK
get_header(request :authority) = OK "new.example"
get_header(request host) = OK "new.example"
add_header(request :Authority newer.example:81) = OK
get_header(request :authority) = OK "newer.example:81"
set_header(request Host newest.example) = OK
get_header(request :authority) = OK "newest.example"



=== TEST 4: method: one that nginx knows
--- plugin
request_headers set_header request :method DELETE
request_headers get_header request :method
--- backend: echo
--- response_body
DELETE /t HTTP/1.1
Host: localhost

--- plugin_log
set_header(request :method DELETE) = OK
get_header(request :method) = OK "DELETE"



=== TEST 5: method: one that nginx does not know is refused with OK, and logged
--- plugin
request_headers set_header request :method BREW
request_headers set_header request :method get
request_headers set_header request :method ""
request_headers get_header request :method
--- backend: echo
--- response_body
GET /t HTTP/1.1
Host: localhost

--- plugin_log
cannot set :method to "BREW": nginx does not know the method
set_header(request :method BREW) = OK
cannot set :method to "get": nginx does not know the method
set_header(request :method get) = OK
cannot set :method to "": nginx does not know the method
set_header(request :method "") = OK
get_header(request :method) = OK "GET"



=== TEST 6: scheme: read-only; to set what it is says nothing
--- plugin
request_headers set_header request :scheme https
request_headers set_header request :scheme http
request_headers get_header request :scheme
--- plugin_log
cannot set :scheme to "https": it is read-only
set_header(request :scheme https) = OK
set_header(request :scheme http) = OK
get_header(request :scheme) = OK "http"



=== TEST 7: others: cannot be set or removed, and say so
--- plugin
request_headers set_header request :status 200
request_headers set_header request :unknown x
request_headers remove_header request :path
request_headers remove_header request :unknown
request_headers get_header request :path
--- plugin_log
cannot set :status to "200": it is read-only
set_header(request :status 200) = OK
cannot set :unknown to "x": it is read-only
set_header(request :unknown x) = OK
cannot set :path to "": a pseudo header cannot be removed
remove_header(request :path) = OK
cannot set :unknown to "": a pseudo header cannot be removed
remove_header(request :unknown) = OK
get_header(request :path) = OK "/t"



=== TEST 8: path: as it was sent, percent-encoding, double slashes, dots and all
--- plugin
request_headers get_header request :path
--- raw_request eval
"GET /t/a%20b%2Fc//d/./e/../f?g=%20&h HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
--- plugin_log
get_header(request :path) = OK "/t/a%20b%2Fc//d/./e/../f?g=%20&h"



=== TEST 9: path: set with a query; read back at once, and what the upstream gets
--- plugin
request_headers set_header request :path /t/new%20path?x=%2F&y
request_headers get_header request :path
request_headers get_property request.path
request_headers get_property request.url_path
response_headers get_header request :path
--- backend: echo
--- request
GET /t/old?gone=1
--- response_body
GET /t/new%20path?x=%2F&y HTTP/1.1
Host: localhost

--- plugin_log
set_header(request :path /t/new%20path?x=%2F&y) = OK
get_header(request :path) = OK "/t/new%20path?x=%2F&y"
get_property(request.path) = OK "/t/new%20path?x=%2F&y"
get_property(request.url_path) = OK "/t/new%20path"
get_header(request :path) = OK "/t/new%20path?x=%2F&y"



=== TEST 10: path: set without a query takes the old one away
--- plugin
request_headers set_header request :path /t/new
--- backend: echo
--- request
GET /t/old?gone=1
--- response_body
GET /t/new HTTP/1.1
Host: localhost

--- plugin_log
set_header(request :path /t/new) = OK



=== TEST 11: path: what is none is refused with OK, and logged
--- plugin
request_headers set_header request :path ""
request_headers set_header request :path relative
request_headers set_header request :path "http://host/"
request_headers set_header request :path ?query
request_headers set_header request :path "/t/a\tb"
request_headers set_header request :path "/t/a%0ab"
request_headers set_header request :path "/t/a%00b"
request_headers set_header request :path "/t?a b"
request_headers set_header request :path "/t?a\x7f"
request_headers set_header request :path "/t\r\nx"
request_headers get_header request :path
--- backend: echo
--- response_body
GET /t HTTP/1.1
Host: localhost

--- plugin_log
cannot set :path to "": it is no path
set_header(request :path "") = OK
cannot set :path to "relative": it is no path
set_header(request :path relative) = OK
cannot set :path to "http://host/": it is no path
set_header(request :path "http://host/") = OK
cannot set :path to "?query": it is no path
set_header(request :path ?query) = OK
cannot set :path to "/t/a\tb": it is no path
set_header(request :path "/t/a\tb") = OK
cannot set :path to "/t/a%0ab": it is no path
set_header(request :path "/t/a%0ab") = OK
cannot set :path to "/t/a%00b": it is no path
set_header(request :path "/t/a%00b") = OK
cannot set :path to "/t?a b": it is no path
set_header(request :path "/t?a b") = OK
cannot set :path to "/t?a\x7f": it is no path
set_header(request :path "/t?a\x7f") = OK
the header ":path" is refused: neither its name nor its value may have CR, LF or NUL
set_header(request :path "/t\r\nx") = OK
get_header(request :path) = OK "/t"



=== TEST 12: path: in the response it is too late
--- plugin
response_headers set_header request :path /t/other
response_headers get_header request :path
--- plugin_log
cannot set :path to "/t/other": the request is on its way
set_header(request :path /t/other) = OK
get_header(request :path) = OK "/t"



=== TEST 13: path: what nginx has rewritten, with its query
--- http_config
    server {
        listen unix:$TEST_NGINX_HTML_DIR/rewriting.sock;

        location /t {
            rewrite ^ /rewritten/b?x=y last;
        }
        location /rewritten {
            rewrite_by_lua_block { chain:rewrite() }
            log_by_lua_block { chain:log() }
            content_by_lua_block { ngx.say(ngx.var.uri) }
        }
    }
--- plugin
request_headers get_header request :path
--- config
    location /outer {
        proxy_pass http://unix:$TEST_NGINX_HTML_DIR/rewriting.sock:/t;
    }
--- request
GET /outer?a=b
--- response_body
/rewritten/b
--- plugin_log
get_header(request :path) = OK "/rewritten/b?x=y&a=b"



=== TEST 14: path: the later plugin of a chain reads what the earlier one set
--- plugin
request_headers set_header request :path /t/one?x=1
--- plugin2
request_headers get_header request :path
request_headers set_header request :path /t/two
--- backend: echo
--- response_body
GET /t/two HTTP/1.1
Host: localhost

--- plugin_log
set_header(request :path /t/one?x=1) = OK
q: get_header(request :path) = OK "/t/one?x=1"
q: set_header(request :path /t/two) = OK



=== TEST 15: path: bytes above ASCII, raw and encoded
--- plugin
request_headers get_header request :path
request_headers set_header request :path "/t/%c3%bc/\xc3\xbc"
--- backend: echo
--- request
GET /t/%C3%BC
--- response_body
GET /t/%C3%BC/%C3%BC HTTP/1.1
Host: localhost

--- plugin_log
get_header(request :path) = OK "/t/%C3%BC"
set_header(request :path "/t/%c3%bc/\xc3\xbc") = OK



=== TEST 16: path: a question mark and a percent sign in it stay in it
--- plugin
request_headers set_header request :path /t/a%3Fb%25c?d
--- backend: echo
--- response_body
GET /t/a%3Fb%25c?d HTTP/1.1
Host: localhost

--- plugin_log
set_header(request :path /t/a%3Fb%25c?d) = OK



=== TEST 17: path: an encoded slash is a slash to nginx
--- plugin
request_headers set_header request :path /t/a%2Fb
request_headers get_header request :path
--- backend: echo
--- response_body
GET /t/a/b HTTP/1.1
Host: localhost

--- plugin_log
set_header(request :path /t/a%2Fb) = OK
get_header(request :path) = OK "/t/a%2Fb"



=== TEST 18: method: every one that nginx knows, whatever the client's
--- plugin eval
CORE::join "", map { "request_headers if_header x-method $_ set_header request :method $_\n" }
    qw(GET HEAD POST PUT DELETE MKCOL COPY MOVE OPTIONS PROPFIND PROPPATCH LOCK UNLOCK PATCH)
--- location
content_by_lua_block { ngx.header["X-Got"] = ngx.req.get_method() }
--- request eval
[map { "GET /t" } 1 .. 14]
--- more_headers eval
[map { "X-Method: $_" } qw(GET HEAD POST PUT DELETE MKCOL COPY MOVE OPTIONS PROPFIND PROPPATCH LOCK UNLOCK PATCH)]
--- response_headers eval
[map { "X-Got: $_" } qw(GET HEAD POST PUT DELETE MKCOL COPY MOVE OPTIONS PROPFIND PROPPATCH LOCK UNLOCK PATCH)]



=== TEST 19: method: CONNECT, TRACE and what nobody knows
--- plugin
request_headers set_header request :method TRACE
request_headers get_header request :method
request_headers set_header request :method CONNECT
request_headers set_header request :method BREW
request_headers get_header request :method
--- plugin_log
set_header(request :method TRACE) = OK
get_header(request :method) = OK "TRACE"
cannot set :method to "CONNECT": nginx does not know the method
set_header(request :method CONNECT) = OK
cannot set :method to "BREW": nginx does not know the method
set_header(request :method BREW) = OK
get_header(request :method) = OK "TRACE"
