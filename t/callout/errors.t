# Callouts that are refused when they are asked for, and ones that fail later.

use lib 't/lib';
use TestProxyWasm 'no_plan';

use IO::Socket::INET;
use Socket qw(SOMAXCONN);

# A listening socket whose queue is full: connecting to it takes for ever.
our (@full, $full_port);
sub full_port {
    return $full_port if $full_port;
    my $server = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', ReuseAddr => 1)
        or die "no socket: $!";
    listen $server, 0;
    $full_port = $server->sockport;
    push @full, $server, map {
        IO::Socket::INET->new(PeerAddr => "127.0.0.1:$full_port", Blocking => 0)
    } 1 .. 8;
    return $full_port;
}

our $FAILED = '
request_headers pause
http_call_response echo_params
http_call_response grpc_status
http_call_response get_body call_body
http_call_response get_header call_response :status
http_call_response local_response 200 done
';

our $FAILED_LOG = 'http_call_response: context=2 token=1 num_headers=0 body_size=0 num_trailers=0
grpc_status() = OK 11 ""
get_body(call_body) = OK ""
get_header(call_response :status) = NOT_FOUND
local_response(200 done) = OK
';

no_long_string();
run_tests();

__DATA__

=== TEST 1: refused: pseudo headers that are missing, unknown, there twice
--- plugin
request_headers proxy_http_call "127.0.0.1" {:path=/,:authority=a} "" {} 1000 *
request_headers proxy_http_call "127.0.0.1" {:method=GET,:authority=a} "" {} 1000 *
request_headers proxy_http_call "127.0.0.1" {:method=GET,:path=/} "" {} 1000 *
request_headers proxy_http_call "127.0.0.1" {} "" {} 1000 *
request_headers proxy_http_call "127.0.0.1" {:method=GET,:path=/,:authority=a,:other=x} "" {} 1000 *
request_headers proxy_http_call "127.0.0.1" {:method=GET,:path=/,:path=/b,:authority=a} "" {} 1000 *
request_headers proxy_http_call "127.0.0.1" {:method=GET,:path=/,:authority=a,:scheme=ftp} "" {} 1000 *
--- plugin_options
callouts = "any",
--- response_body
hello
--- grep_error_log eval: qr/\) = \w+/
--- grep_error_log_out eval
") = BAD_ARGUMENT\n" x 7



=== TEST 2: refused: what could not be written into a request as it is
--- plugin
request_headers proxy_http_call "127.0.0.1" "\x01\x00\x00\x00\x07\x00\x00\x00" "" {} 1000 *
request_headers proxy_http_call "127.0.0.1" "nonsense" "" {} 1000 *
request_headers proxy_http_call "127.0.0.1" "{:method=GE T,:path=/,:authority=a}" "" {} 1000 *
request_headers http_call 127.0.0.1 1000 :method="GE T"
request_headers http_call 127.0.0.1 1000 :method=CONNECT
request_headers http_call 127.0.0.1 1000 :path="/a b"
request_headers http_call 127.0.0.1 1000 :path=""
request_headers http_call 127.0.0.1 1000 :authority="a\r\nb"
request_headers http_call 127.0.0.1 1000 x-a="b\r\nx-c: d"
request_headers http_call 127.0.0.1 1000 "x-a b=c"
request_headers http_call 127.0.0.1 1000 trailer.x-a="b\r\nc"
--- plugin_options
callouts = "any",
--- response_body
hello
--- grep_error_log eval: qr/\) = \w+/
--- grep_error_log_out eval
") = BAD_ARGUMENT\n" x 11



=== TEST 3: refused: upstreams that are no address
--- plugin
request_headers http_call "a b" 1000 :authority=a
request_headers http_call ftp://a 1000 :authority=a
request_headers http_call a:0 1000 :authority=a
request_headers http_call a:65536 1000 :authority=a
request_headers http_call ::1 1000 :authority=a
request_headers http_call unix:relative 1000 :authority=a
request_headers proxy_http_call "" {:method=GET,:path=/,:authority=a} "" {} 1000 *
--- plugin_options
callouts = "any",
--- response_body
hello
--- plugin_log
a callout to "a b" is refused: the upstream address has spaces, control characters or is not UTF-8
http_call("a b" 1000 :authority=a) = BAD_ARGUMENT
a callout to "ftp://a" is refused: the upstream address's scheme is neither http nor https
http_call(ftp://a 1000 :authority=a) = BAD_ARGUMENT
a callout to "a:0" is refused: the upstream address's port is not a number from 1 to 65535
http_call(a:0 1000 :authority=a) = BAD_ARGUMENT
a callout to "a:65536" is refused: the upstream address's port is not a number from 1 to 65535
http_call(a:65536 1000 :authority=a) = BAD_ARGUMENT
a callout to "::1" is refused: the upstream address is no IPv6 address in brackets
http_call(::1 1000 :authority=a) = BAD_ARGUMENT
a callout to "unix:relative" is refused: the upstream address's unix socket needs an absolute path of at most 107 bytes
http_call(unix:relative 1000 :authority=a) = BAD_ARGUMENT
a callout to "" is refused: the upstream address is empty
proxy_http_call("" {:method=GET,:path=/,:authority=a} "" {} 1000 *) = BAD_ARGUMENT



=== TEST 4: refused: a negative timeout
--- plugin
request_headers proxy_http_call "127.0.0.1" {:method=GET,:path=/,:authority=a} "" {} -1 *
request_headers proxy_dispatch_http_call "127.0.0.1" {:method=GET,:path=/,:authority=a} "" {} -5 *
--- plugin_options
callouts = "any",
--- response_body
hello
--- grep_error_log eval: qr/\) = \w+/
--- grep_error_log_out eval
") = BAD_ARGUMENT\n" x 2



=== TEST 5: failed: nobody listens
--- plugin eval
"request_headers http_call 127.0.0.1:1 5000\n$::FAILED"
--- plugin_options
callouts = "any",
--- response_body chop
done
--- plugin_log eval
"http_call(127.0.0.1:1 5000) = OK 1
a callout to http://127.0.0.1:1 failed: connect: connection refused
$::FAILED_LOG"



=== TEST 6: failed: no such unix socket
--- plugin eval
"request_headers http_call unix:/nowhere/at/all 5000 :authority=a\n$::FAILED"
--- plugin_options
callouts = "any",
--- response_body chop
done
--- no_check_leak
--- plugin_log eval
"http_call(unix:/nowhere/at/all 5000 :authority=a) = OK 1
a callout to http://unix:/nowhere/at/all failed: connect: no such file or directory
$::FAILED_LOG"



=== TEST 7: failed: the connection does not come about in time
--- plugin eval
my $port = ::full_port();
"request_headers http_call 127.0.0.1:$port 500 :authority=a\n$::FAILED"
--- plugin_options
callouts = "any",
--- response_body chop
done
--- plugin_log eval
my $port = ::full_port();
"http_call(127.0.0.1:$port 500 :authority=a) = OK 1
a callout to http://127.0.0.1:$port failed: connect: timeout
$::FAILED_LOG"



=== TEST 8: failed: the upstream takes too long to take the request
--- plugin eval
"request_headers http_call side 500 :method=POST body=fill:2000000:abcd\n$::FAILED"
--- plugin_options
upstreams = { side = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },
--- backend
client_max_body_size 100m;
content_by_lua_block { ngx.sleep(2) }
--- location
content_by_lua_block { ngx.say("hello") }
--- response_body chop
done
--- wait: 1.6
--- error_log
failed: send: timeout
http_call_response: context=2 token=1 num_headers=0 body_size=0 num_trailers=0



=== TEST 9: failed: an error of one callout is none of the next
--- plugin
request_headers http_call 127.0.0.1:1 5000
request_headers pause
http_call_response grpc_status
http_call_response once http_call side 5000
http_call_response nth 2 local_response 200 done
--- plugin_options
callouts = "any",
upstreams = { side = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },
--- backend
return 200 ok;
--- location
content_by_lua_block { ngx.say("hello") }
--- response_body chop
done
--- plugin_log
http_call(127.0.0.1:1 5000) = OK 1
a callout to http://127.0.0.1:1 failed: connect: connection refused
grpc_status() = OK 11 ""
http_call(side 5000) = OK 2
grpc_status() = OK 0 ""
local_response(200 done) = OK



=== TEST 10: failed: with resume = "callouts" a failed one counts, too
--- plugin
request_headers http_call 127.0.0.1:1 5000
request_headers pause
--- plugin_options
callouts = "any",
resume = "callouts"
--- response_body
hello
--- error_log
connection refused



=== TEST 11: failed: the plugin loses its instance in the callback, everybody else is let go
--- plugin
request_headers http_call side 5000 :path=/
request_headers if_header x-wait yes http_call side 5000 :path=/never
request_headers pause
http_call_response if_header x-trap yes trap
--- plugin_options
upstreams = { side = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },
--- backend
content_by_lua_block {
    ngx.sleep(ngx.var.uri == "/never" and 1 or 0.2)
}
--- location
content_by_lua_block { ngx.print("hello") }
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local waiting = client.send("/t", "X-Wait: yes\r\n")
            ngx.sleep(0.1)
            ngx.say((client.get("/t", "X-Trap: yes\r\n")))
            ngx.say((client.read(waiting)))
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
503
503
no context left
--- error_log
proxy_on_http_call_response failed, the instance is dropped



=== TEST 12: failed: the upstream takes the request a little at a time, without end
--- plugin eval
"request_headers http_call side 700 :method=POST body=fill:2000000:abcd\n$::FAILED"
--- plugin_options
upstreams = { side = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },
--- backend
client_max_body_size 100m;
content_by_lua_block {
    local sock = ngx.req.socket()
    while sock:receive(16384) do
        ngx.sleep(0.1)
    end
}
--- location
content_by_lua_block { ngx.say("hello") }
--- response_body chop
done
--- error_log
failed: send: timeout
http_call_response: context=2 token=1 num_headers=0 body_size=0 num_trailers=0



=== TEST 13: failed: the line in the log names plugin, upstream, address, cause and request
--- plugin
request_headers http_call auth 5000
request_headers pause
http_call_response local_response 200 done
--- plugin_options
upstreams = { auth = "127.0.0.1:1" },
--- request
GET /t?q
--- response_body chop
done
--- error_log eval
qr{\[proxy-wasm\] p: a callout to "auth" at http://127\.0\.0\.1:1 failed: connect: connection refused, client: 127\.0\.0\.1, server: localhost, request: "GET /t\?q HTTP/1\.1"}



=== TEST 14: failed: without a request there is none in the line
--- plugin
configure http_call auth 5000
--- plugin_options
upstreams = { auth = "127.0.0.1:1" },
--- wait: 0.3
--- error_log eval
qr{\[proxy-wasm\] p: a callout to "auth" at http://127\.0\.0\.1:1 failed: connect: connection refused$}m
