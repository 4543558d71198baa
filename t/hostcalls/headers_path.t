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
