# HTTP/2: what plugins see of it. Test::Nginx sends with curl.

use strict;
use warnings;

BEGIN {
    if (`curl --version 2>/dev/null` !~ /\bHTTP2\b/) {
        print "1..0 # SKIP there is no curl with HTTP/2\n";
        exit 0;
    }
}

use lib 't/lib';
use TestProxyWasm 'no_plan';

# It takes 1.22 for one that has a directive http2, which came in 1.25.1.
my $version = \&Test::Nginx::Util::get_nginx_version;
{
    no warnings 'redefine';
    *Test::Nginx::Util::get_nginx_version = sub () {
        my $found = $version->();
        return $found < 1.025001 ? 1.018 : $found;
    };
}

no_long_string();
run_tests();

__DATA__

=== TEST 1: GET: nothing says that no body follows, so its callback says that it was none
--- plugin
request_headers echo_params
request_headers get_pairs request
request_headers get_header request host
request_headers get_property request.protocol
request_body echo_params
response_headers echo_params
response_headers set_header response X-New 1
--- http2
--- request
GET /t?a=b
--- more_headers
X-One: 1
--- response_headers
x-new: 1
--- response_body
hello
--- plugin_log
request_headers: context=2 num_headers=5 end_of_stream=false
get_pairs(request) = OK 5 ":authority"="localhost" ":path"="/t?a=b" ":method"="GET" ":scheme"="http" "x-one"="1"
get_header(request host) = OK "localhost"
get_property(request.protocol) = OK "HTTP/2"
request_body: context=2 size=0 end_of_stream=true
response_headers: context=2 num_headers=2 end_of_stream=false
set_header(response X-New 1) = OK



=== TEST 2: POST: with a body, which can be changed
--- plugin
request_headers echo_params
request_body echo_params
request_body get_body request_body
request_body set_body request_body 0 -1 changed
response_headers get_header response connection
response_body if_eos true echo_params
--- backend: echo
--- http2
--- request
POST /t
hello
--- response_body chomp
POST /t HTTP/1.1
Host: localhost
Content-Length: 7

changed
--- plugin_log eval
qr/\Arequest_headers: context=2 num_headers=5 end_of_stream=false
request_body: context=2 size=5 end_of_stream=true
get_body\(request_body\) = OK "hello"
set_body\(request_body 0 -1 changed\) = OK
get_header\(response connection\) = [^\n]*
response_body: context=2 size=0 end_of_stream=true
\z/



=== TEST 3: GET: pseudo headers can be set
--- plugin
request_headers set_header request :path /t/new?x=y
request_headers set_header request :authority other.example
request_headers set_header request :method PUT
request_headers get_pairs request
--- backend: echo
--- http2
--- response_body
PUT /t/new?x=y HTTP/1.1
Host: other.example

--- plugin_log
set_header(request :path /t/new?x=y) = OK
set_header(request :authority other.example) = OK
set_header(request :method PUT) = OK
get_pairs(request) = OK 4 ":authority"="other.example" ":path"="/t/new?x=y" ":method"="PUT" ":scheme"="http"



=== TEST 4: local response: from request and from response headers, with and without a body
--- plugin
request_headers if_header x-deny request local_response 403 "denied\n" X-Why=asked
request_headers if_header x-deny empty local_response 403 "" X-Why=asked
response_headers if_header x-deny response local_response 403 "swapped\n" X-Why=asked
--- http2
--- request eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
["X-Deny: request", "X-Deny: empty", "X-Deny: response"]
--- error_code eval
[403, 403, 403]
--- response_body eval
["denied\n", "", "swapped\n"]
--- response_headers eval
["x-why: asked", "x-why: asked", "x-why: asked"]



=== TEST 5: gRPC: a response of trailers only
--- plugin
request_headers local_response 403 "denied" grpc_status=7
--- http2
--- more_headers
Content-Type: application/grpc
--- response_headers
content-type: application/grpc
grpc-status: 7
grpc-message: denied
--- response_body
