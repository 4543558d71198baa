# Answers of plugins, and what clients make them depend on: nginx looks at that for
# files only.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: answers: with If-Match, and an ETag of the plugin's own
--- plugin
request_headers local_response 200 "0123456789" etag="\"x\""
--- more_headers
If-Match: "y"
--- response_body: 0123456789
--- response_headers
etag: "x"



=== TEST 2: answers: with each condition, and nothing to compare
--- plugin
request_headers local_response 200 "0123456789"
--- request eval
["GET /t", "GET /t", "GET /t", "GET /t"]
--- more_headers eval
["If-Match: \"y\"", "If-None-Match: *", "If-Modified-Since: Mon, 23 Nov 2026 00:00:00 GMT",
 "If-Unmodified-Since: Mon, 23 Nov 2020 00:00:00 GMT"]
--- response_body eval
["0123456789", "0123456789", "0123456789", "0123456789"]



=== TEST 3: answers: of a gRPC request
--- plugin
request_headers local_response 403 "no" grpc_status=7
--- more_headers
content-type: application/grpc
If-Match: "y"
--- response_headers
grpc-status: 7



=== TEST 4: answers: a file keeps its conditions
--- plugin
request_headers log info seen
--- user_files
>>> t
body
--- location
root html;
--- more_headers
If-None-Match: *
--- error_code: 304
--- plugin_log
seen
