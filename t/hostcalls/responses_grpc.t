# Host functions: local responses to gRPC requests
# (src/hostcalls/responses.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: trailers only: 200, the status and the message as headers, no body
--- plugin
request_headers local_response 403 "not you, 100%\n" grpc_status=7 x-why=asked content-type=text/plain
--- request
POST /t
x
--- more_headers
Content-Type: application/grpc
--- response_body
--- response_headers
content-type: application/grpc
content-length: 0
grpc-status: 7
grpc-message: not you, 100%25%0A
x-why: asked



=== TEST 2: no status: the one that the HTTP status stands for
--- plugin
request_headers local_response 503
--- request
POST /t
x
--- more_headers
Content-Type: application/grpc+proto
--- response_body
--- response_headers
content-type: application/grpc
grpc-status: 14
!grpc-message



=== TEST 3: response headers: in place of the upstream's
--- plugin
response_headers local_response 401 "who?" grpc_status=16
--- backend
add_header x-old 1;
return 200 "a body";
--- request
POST /t
x
--- more_headers
Content-Type: application/grpc
--- response_body
--- response_headers
content-type: application/grpc
!content-length
grpc-status: 16
grpc-message: who?
!x-old



=== TEST 4: others: grpc-web and plain requests get what the plugin said
--- plugin
request_headers local_response 403 "denied" grpc_status=7
--- request eval
["POST /t\nx", "POST /t\nx", "GET /t"]
--- more_headers eval
["Content-Type: application/grpc-web", "Content-Type: application/grpcx", ""]
--- error_code eval
[403, 403, 403]
--- response_body eval
["denied", "denied", "denied"]
--- response_headers eval
["!grpc-status", "!grpc-status", "!grpc-status"]
