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
    *Test::Nginx::Util::get_nginx_version = sub {
        my $found = $version->();
        return $found < 1.025001 ? 1.018 : $found;
    };
}

no_long_string();
run_tests();

__DATA__

=== TEST 1: GET: ends with its headers; the host is a pseudo header, once
--- plugin
request_headers echo_params
request_headers get_pairs request
request_headers get_header request host
request_headers get_property request.protocol
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



=== TEST 2: POST: a body follows, though nothing says how long it is
--- plugin
request_headers echo_params
request_body echo_params
request_body get_body request_body
request_body set_body request_body 0 -1 changed
response_headers echo_params
response_body echo_params
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
--- plugin_log



=== TEST 3: GET: pseudo headers can be set
--- plugin
request_headers set_header request :path /t/new?x=y
request_headers set_header request :authority other.example
request_headers set_header request :method PUT
--- backend: echo
--- http2
--- response_body
PUT /t/new?x=y HTTP/1.1
Host: other.example
--- plugin_log



=== TEST 4: local response: from request and from response headers
--- plugin
request_headers if_header x-deny request local_response 403 "denied\n" X-Why=asked
response_headers if_header x-deny response local_response 403 "swapped\n" X-Why=asked
--- http2
--- request eval
["GET /t", "GET /t"]
--- more_headers eval
["X-Deny: request", "X-Deny: response"]
--- error_code eval
[403, 403]
--- response_body eval
["denied\n", "swapped\n"]
--- response_headers eval
["x-why: asked", "x-why: asked"]



=== TEST 5: gRPC: a response of trailers only
--- plugin
request_headers local_response 403 "denied" grpc_status=7
--- http2
--- request
POST /t
x
--- more_headers
Content-Type: application/grpc
--- response_headers
content-type: application/grpc
grpc-status: 7
grpc-message: denied
--- response_body
