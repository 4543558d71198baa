# The pseudo header :path: what a plugin sets must not lead out of a root.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: dots above the root: refused, logged, and the old path stays
--- user_files
>>> secret.txt
secret
>>> pub/t
public
--- plugin
request_headers set_header request :path /%2e%2e/secret.txt
request_headers set_header request :path /../secret.txt
request_headers set_header request :path /t/../../secret.txt
request_headers get_header request :path
--- location
root html/pub;
--- response_body
public
--- error_log
cannot set :path to "/%2e%2e/secret.txt": it is no path
cannot set :path to "/../secret.txt": it is no path
cannot set :path to "/t/../../secret.txt": it is no path
get_header(request :path) = OK "/t"



=== TEST 2: dots inside the root: resolved, as nginx does with what clients send
--- user_files
>>> a/b.txt
inside
--- plugin
request_headers set_header request :path /a/c/%2e%2e/./b.txt?q=1
--- config
location /a/ {
    root html;
}
--- location
root html;
--- response_body
inside



=== TEST 3: NUL and controls: refused
--- plugin
request_headers set_header request :path /a%00b
request_headers set_header request :path "/a%0d%0ab"
request_headers set_header request :path relative
request_headers get_header request :path
--- response_body
hello
--- plugin_log
cannot set :path to "/a%00b": it is no path
set_header(request :path /a%00b) = OK
cannot set :path to "/a%0d%0ab": it is no path
set_header(request :path "/a%0d%0ab") = OK
cannot set :path to "relative": it is no path
set_header(request :path relative) = OK
get_header(request :path) = OK "/t"



=== TEST 4: upstream: what nginx's paths cannot have is escaped; a question mark without a query goes
--- plugin
request_headers if_header x-how fragment set_header request :path /a#b?c=d#e
request_headers if_header x-how nothing  set_header request :path /a?
request_headers if_header x-how escaped  set_header request :path /a%2Fb%23c%3Fd
--- backend: echo
--- request eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
["X-How: fragment", "X-How: nothing", "X-How: escaped"]
--- response_body eval
[map { "GET $_->[0] HTTP/1.1\nHost: localhost\nX-How: $_->[1]\n" }
    ["/a%23b?c=d#e", "fragment"], ["/a", "nothing"], ["/a/b%23c%3Fd", "escaped"]]



=== TEST 5: written back as it was read: the path stays as it was sent
--- plugin
request_headers save p get_header request :path
request_headers set_header request :path $p
--- backend: echo
--- request
GET /t/a%2Fb%3F?c=%2F
--- response_body
GET /t/a%2Fb%3F?c=%2F HTTP/1.1
Host: localhost



=== TEST 6: rewritten by nginx: it is read as an upstream would get it, and can be written back
--- plugin
request_headers save p get_header request :path
request_headers set_header request :path $p
--- config
location /r {
    rewrite ^/r/(.*)$ /t2/$1?n=1 break;
    access_by_lua_block { chain:access() }
    log_by_lua_block { chain:log() }
    content_by_lua_block { ngx.say(ngx.var.uri, " ", ngx.var.args) }
}
--- request
GET /r/a%20b%3Fc%2541%C3%BC
--- response_body eval
"/t2/a b?c%41\xc3\xbc n=1\n"
--- plugin_log
get_header(request :path) = OK "/t2/a%20b%3Fc%2541%C3%BC?n=1"
set_header(request :path $p) = OK
