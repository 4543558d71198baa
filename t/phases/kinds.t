# Kinds of responses, with a plugin that may change the body (hostcalls) and one
# that only reads it (bench_body): length, ranges, compression, event streams.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: length: kept where the plugin cannot change the body
--- plugin_guest: bench_body
--- plugin
--- location
return 200 "hello\n";
--- response_body
hello
--- response_headers
Content-Length: 6



=== TEST 2: length: dropped where it could
--- plugin
response_body echo_params
--- location
return 200 "hello\n";
--- response_body
hello
--- response_headers
!Content-Length
Transfer-Encoding: chunked
--- plugin_log
response_body: context=2 size=6 end_of_stream=true



=== TEST 3: length: kept where it could, but its body callbacks are off
--- plugin
request_headers log info request
--- plugin_options: response_body = false,
--- location
return 200 "hello\n";
--- response_body
hello
--- response_headers
Content-Length: 6



=== TEST 4: length: what nginx says stays in the answer to HEAD, with 304 and with 204; there is no body
--- plugin
response_headers get_header response content-length
response_body log error "not to be seen"
--- location
if ($arg_what = cached) { return 304; }
if ($arg_what = nothing) { return 204; }
return 200 "hello\n";
--- request eval
["HEAD /t", "GET /t?what=cached", "GET /t?what=nothing"]
--- error_code eval
[200, 304, 204]
--- response_headers eval
["Content-Length: 6", "Content-Length: 0", "!Content-Length"]
--- no_error_log
[error]



=== TEST 5: range: of a file, the part that is asked for, where the plugin cannot change it
--- plugin_guest: bench_body
--- plugin
--- user_files
>>> t/file.txt
0123456789
--- location
root $TEST_NGINX_HTML_DIR;
--- request
GET /t/file.txt
--- more_headers
Range: bytes=2-4
--- error_code: 206
--- response_body chomp
234
--- response_headers
Content-Range: bytes 2-4/11
Content-Length: 3



=== TEST 6: range: of a file, all of it, where the plugin may change its length
--- plugin
response_headers get_header response accept-ranges
response_body if_eos true set_body response_body 0 0 "changed: "
--- user_files
>>> t/file.txt
0123456789
--- location
root $TEST_NGINX_HTML_DIR;
--- request
GET /t/file.txt
--- more_headers
Range: bytes=2-4
--- response_body
changed: 0123456789
--- response_headers
!Content-Range



=== TEST 7: range: an upstream's own answer passes
--- plugin
response_headers get_header response content-range
response_body echo_params
--- backend
content_by_lua_block {
    ngx.status = 206
    ngx.header.content_range = "bytes 2-4/11"
    ngx.header.content_length = 3
    ngx.print("234")
}
--- more_headers
Range: bytes=2-4
--- error_code: 206
--- response_body chomp
234
--- response_headers
Content-Range: bytes 2-4/11
--- plugin_log eval
qr/\Aget_header\(response content-range\) = OK "bytes 2-4\/11"
response_body: context=2 size=3 end_of_stream=/



=== TEST 8: compression: an upstream's is seen and passed on as it is
--- plugin
response_headers get_header response content-encoding
response_body if_eos true get_body response_body
response_body if_eos false pause
--- backend
content_by_lua_block {
    ngx.header.content_encoding = "gzip"
    ngx.print("\x1f\x8b\x08 not really")
}
--- more_headers
Accept-Encoding: gzip
--- response_body eval
"\x1f\x8b\x08 not really"
--- response_headers
Content-Encoding: gzip
--- plugin_log
get_header(response content-encoding) = OK "gzip"
get_body(response_body) = OK 0x1f8b08206e6f74207265616c6c79



=== TEST 9: compression: nginx's own comes after the plugin
--- plugin
response_headers get_header response content-encoding
response_body if_eos true replace_body response_body plain changed
response_body if_eos false pause
--- location
gzip on;
gzip_min_length 1;
gzip_types text/plain;
default_type text/plain;
content_by_lua_block { ngx.print(("plain "):rep(100)) }
--- config
    location = /check {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/t", "Connection: close\r\nAccept-Encoding: gzip\r\n")
            local answer = sock:receive("*a")
            ngx.say(answer:lower():match("content%-encoding: %w+"))
            -- A chunk each: its size, and gzip's magic number.
            ngx.say(answer:match("\r\n\r\n%x+\r\n(..)") == "\x1f\x8b")
        }
    }
--- request
GET /check
--- response_body
content-encoding: gzip
true
--- plugin_log
get_header(response content-encoding) = NOT_FOUND
replace_body(response_body plain changed) = OK



=== TEST 10: events: each comes when the upstream sends it, changed or not
--- plugin
response_body set_body response_body 0 0 ": "
response_body echo_params
--- http_config
    lua_shared_dict seen 100k;
--- backend
content_by_lua_block {
    ngx.header.content_type = "text/event-stream"
    for event = 1, 3 do
        ngx.print("data: ", event, "\n\n")
        ngx.flush(true)
        -- Goes on when the client has got it.
        local patience = 500
        while ngx.shared.seen:get("last") ~= event and patience > 0 do
            ngx.sleep(0.01)
            patience = patience - 1
        end
    end
}
--- location
proxy_buffering off;
proxy_http_version 1.1;
proxy_pass http://unix:$TEST_NGINX_HTML_DIR/backend.sock;
--- config
    location = /check {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/t", "Connection: close\r\n")
            sock:settimeout(4000)
            repeat until assert(sock:receive()) == ""
            for event = 1, 3 do
                local size = tonumber(assert(sock:receive()), 16)
                local chunk = assert(sock:receive(size + 2))
                ngx.say((chunk:gsub("%s+$", "")))
                ngx.shared.seen:set("last", event)
            end
        }
    }
--- request
GET /check
--- response_body
: data: 1
: data: 2
: data: 3
--- no_error_log
[error]



=== TEST 11: range: HEAD says what GET cannot, where the plugin may change the body
--- plugin
response_headers log info seen
--- user_files
>>> t/file.txt
0123456789
--- location
root $TEST_NGINX_HTML_DIR;
--- request eval
["HEAD /t/file.txt", "GET /t/file.txt"]
--- response_headers eval
["Content-Length: 11\nAccept-Ranges: bytes", "!Content-Length\n!Accept-Ranges"]



=== TEST 12: range: served where body callbacks are off
--- plugin
response_headers log info seen
--- plugin_options: response_body = false,
--- user_files
>>> t/file.txt
0123456789
--- location
root $TEST_NGINX_HTML_DIR;
--- request
GET /t/file.txt
--- more_headers
Range: bytes=2-4
--- error_code: 206
--- response_body chomp
234
--- response_headers
Content-Range: bytes 2-4/11



=== TEST 13: range: an answer in place of a file is whole, and has no date of the file's
--- plugin
response_headers local_response 200 replaced
--- user_files
>>> t/file.txt
0123456789
--- location
root $TEST_NGINX_HTML_DIR;
--- request
GET /t/file.txt
--- more_headers
Range: bytes=3-4
--- response_body chomp
replaced
--- response_headers
Content-Range:
Last-Modified:
Accept-Ranges:



=== TEST 14: range: an answer in place of a file, where the file has no such part
--- plugin
response_headers local_response 200 replaced
--- user_files
>>> t/file.txt
0123456789
--- location
root $TEST_NGINX_HTML_DIR;
--- request
GET /t/file.txt
--- more_headers
Range: bytes=50-60
--- response_body chomp
replaced
--- response_headers
Content-Range:
Last-Modified:
Accept-Ranges:
