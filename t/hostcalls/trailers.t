# Host functions and callbacks: trailers (src/hostcalls/trailers.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

# A gRPC server that answers with trailers.
our $GRPC = <<'_END_';
    server {
        listen unix:$TEST_NGINX_HTML_DIR/grpc.sock http2;
        location / {
            add_trailer grpc-status 7;
            add_trailer grpc-message "no";
            add_trailer x-other unannounced;
            default_type application/grpc;
            return 200 "message";
        }
    }
_END_

# A client that shows the whole answer.
our $RAW = <<'_END_';
    location = /raw {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/t", "Connection: close\r\nTE: trailers\r\n")
            local answer = sock:receive("*a")
            ngx.say((answer:match("\r\n\r\n(.-)%s*$"):gsub("\r", "")))
        }
    }
_END_
$RAW =~ s/\$TOP/$TestProxyWasm::TOP/;

no_long_string();
run_tests();

__DATA__

=== TEST 1: response: those of a gRPC upstream, after the whole body
--- http_config eval: $::GRPC
--- plugin
response_body echo_params
response_body get_header response_trailers grpc-status
response_trailers echo_params
response_trailers get_pairs response_trailers
response_trailers get_map_size response_trailers
response_trailers get_header response_trailers GRPC-Status
response_trailers get_header response_trailers x-other
response_trailers get_header response_trailers x-none
response_trailers get_property response.trailers.grpc-status
response_trailers get_property response.grpc_status
response_trailers get_body response_body
log get_header response_trailers grpc-message
log get_property response.grpc_status
--- location
grpc_pass grpc://unix:$TEST_NGINX_HTML_DIR/grpc.sock;
--- config eval: $::RAW
--- request
GET /raw
--- response_body
7
message
0
grpc-status: 7
grpc-message: no
x-other: unannounced
--- plugin_log
response_body: context=2 size=7 end_of_stream=false
get_header(response_trailers grpc-status) = NOT_FOUND
response_body: context=2 size=0 end_of_stream=true
get_header(response_trailers grpc-status) = OK "7"
response_trailers: context=2 num_trailers=2
get_pairs(response_trailers) = OK 2 "grpc-status"="7" "grpc-message"="no"
get_map_size(response_trailers) = OK 26
get_header(response_trailers GRPC-Status) = OK "7"
get_header(response_trailers x-other) = OK "unannounced"
get_header(response_trailers x-none) = NOT_FOUND
get_property(response.trailers.grpc-status) = OK "7"
get_property(response.grpc_status) = OK 0x0700000000000000
get_body(response_body) = OK ""
get_header(response_trailers grpc-message) = OK "no"
get_property(response.grpc_status) = OK 0x0700000000000000



=== TEST 2: response: those that an HTTP/1.1 upstream announces, where nginx passes them on
--- skip_nginx: 6: < 1.27.2
--- http_config
    server {
        listen unix:$TEST_NGINX_HTML_DIR/chunked.sock;
        location / {
            content_by_lua_block {
                local sock = ngx.req.socket(true)
                sock:send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n" ..
                    "Trailer: X-End, x-sum,,X-END\r\n\r\n5\r\nhello\r\n0\r\nX-End: yes\r\nX-Sum: 1\r\n\r\n")
            }
        }
    }
--- plugin
response_headers get_pairs response_trailers
response_trailers echo_params
response_trailers get_pairs response_trailers
response_trailers set_header response_trailers x-end changed
response_trailers remove_header response_trailers x-end
--- location
proxy_http_version 1.1;
proxy_pass_trailers on;
proxy_pass http://unix:$TEST_NGINX_HTML_DIR/chunked.sock;
--- config eval: $::RAW
--- request
GET /raw
--- response_body
5
hello
0
X-End: yes
X-Sum: 1
--- plugin_log
get_pairs(response_trailers) = OK 0
response_trailers: context=2 num_trailers=2
get_pairs(response_trailers) = OK 2 "x-end"="yes" "x-sum"="1"
the trailer "x-end" is refused: nginx passes on what the upstream has sent
set_header(response_trailers x-end changed) = OK
the trailer "x-end" is refused: nginx passes on what the upstream has sent
remove_header(response_trailers x-end) = OK



=== TEST 3: set: a trailer that the configuration names is sent, at any time until the end
--- plugin
request_headers set_header response_trailers x-early one
response_body if_eos true add_header response_trailers X-Sum 12
response_body if_eos true add_header response_trailers X-Sum 34
response_body if_eos true set_header response_trailers x-gone 1
response_body if_eos true remove_header response_trailers x-gone
response_trailers echo_params
response_trailers set_header response_trailers x-last three
response_trailers get_pairs response_trailers
log set_header response_trailers x-last late
--- location
set $proxy_wasm_trailer_x_early "";
set $proxy_wasm_trailer_x_sum "";
set $proxy_wasm_trailer_x_gone "";
set $proxy_wasm_trailer_x_last "";
add_trailer X-Early $proxy_wasm_trailer_x_early;
add_trailer X-Sum $proxy_wasm_trailer_x_sum;
add_trailer X-Gone $proxy_wasm_trailer_x_gone;
add_trailer X-Last $proxy_wasm_trailer_x_last;
content_by_lua_block { ngx.print("hello") }
--- config eval: $::RAW
--- request
GET /raw
--- response_body
5
hello
0
X-Early: one
X-Sum: 12, 34
X-Last: three
--- plugin_log
set_header(response_trailers x-early one) = OK
add_header(response_trailers X-Sum 12) = OK
add_header(response_trailers X-Sum 34) = OK
set_header(response_trailers x-gone 1) = OK
remove_header(response_trailers x-gone) = OK
response_trailers: context=2 num_trailers=2
set_header(response_trailers x-last three) = OK
get_pairs(response_trailers) = OK 3 "x-early"="one" "x-sum"="12, 34" "x-last"="three"
the trailer "x-last" is refused: the response is on its way
set_header(response_trailers x-last late) = OK



=== TEST 4: set: one that the configuration does not name, or that has no name, or would end its line, is logged and answered with OK
--- plugin
response_headers set_header response_trailers x-sum 1
response_headers set_header response_trailers "x sum" 1
response_headers set_header response_trailers x-sum "1\r\nx: y"
response_headers remove_header response_trailers x-sum
response_headers set_pairs response_trailers x-sum=1
response_headers get_pairs response_trailers
response_trailers log error "there are none"
--- response_body
hello
--- plugin_log
the trailer "x-sum" is refused: nginx sends a trailer that its configuration names: set $proxy_wasm_trailer_x_sum ""; add_trailer … $proxy_wasm_trailer_x_sum;
set_header(response_trailers x-sum 1) = OK
the trailer "x sum" is refused: a variable cannot have its name
set_header(response_trailers "x sum" 1) = OK
the header "x-sum" is refused: neither its name nor its value may have CR, LF or NUL
set_header(response_trailers x-sum "1\r\nx: y") = OK
remove_header(response_trailers x-sum) = OK
the trailer "x-sum" is refused: nginx sends a trailer that its configuration names: set $proxy_wasm_trailer_x_sum ""; add_trailer … $proxy_wasm_trailer_x_sum;
set_pairs(response_trailers x-sum=1) = OK
get_pairs(response_trailers) = OK 0



=== TEST 5: set_pairs: what is not in the list goes
--- plugin
request_headers set_header response_trailers x-a 1
request_headers set_header response_trailers x-b 2
request_headers set_pairs response_trailers x-b=3
request_headers get_pairs response_trailers
--- location
set $proxy_wasm_trailer_x_a "";
set $proxy_wasm_trailer_x_b "";
add_trailer X-A $proxy_wasm_trailer_x_a;
add_trailer X-B $proxy_wasm_trailer_x_b;
content_by_lua_block { ngx.print("hello") }
--- config eval: $::RAW
--- request
GET /raw
--- response_body
5
hello
0
X-B: 3
--- plugin_log
set_header(response_trailers x-a 1) = OK
set_header(response_trailers x-b 2) = OK
set_pairs(response_trailers x-b=3) = OK
get_pairs(response_trailers) = OK 1 "x-b"="3"



=== TEST 6: callback: a pause is logged, and the response goes on; a trap cuts it off
--- http_config eval: $::GRPC
--- plugin
response_trailers if_header x-how pause action 1
response_trailers if_header x-how trap trap
--- location
grpc_pass grpc://unix:$TEST_NGINX_HTML_DIR/grpc.sock;
--- config
    location = /check {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            for _, how in ipairs { "pause", "trap", "none" } do
                local sock = client.send("/t", "Connection: close\r\nX-How: " .. how .. "\r\n")
                local answer = sock:receive("*a")
                ngx.say(how, ": ", answer:match("grpc%-status: 7") or "cut off")
            end
        }
    }
--- request
GET /check
--- response_body
pause: grpc-status: 7
trap: cut off
none: grpc-status: 7
--- grep_error_log eval: qr/response trailers cannot be paused|proxy_on_response_trailers failed/
--- grep_error_log_out
response trailers cannot be paused
proxy_on_response_trailers failed



=== TEST 7: callback: not with response_body = false, nor where nothing has a body
--- http_config eval: $::GRPC
--- plugin
response_trailers log error "not to be seen"
response_headers log info "headers"
--- plugin_options: response_body = false,
--- location
grpc_pass grpc://unix:$TEST_NGINX_HTML_DIR/grpc.sock;
--- response_body chomp
message
--- plugin_log
headers



=== TEST 8: request: trailers of a chunked body are nginx's to drop: the body is whole, and nothing of them is seen
--- plugin
request_body get_body request_body
request_body get_pairs request_trailers
request_body get_header request_trailers x-end
request_body set_header request_trailers x-end 2
request_trailers log error "not to be seen"
--- backend: echo
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n5\r\nhello\r\n0\r\nX-End: yes\r\n\r\n"
--- response_body chomp
POST /t HTTP/1.1
Host: localhost
Content-Length: 5
Trailer: X-End

hello
--- plugin_log
get_body(request_body) = OK "hello"
get_pairs(request_trailers) = OK 0
get_header(request_trailers x-end) = NOT_FOUND
the header "x-end" is refused: its map is not to be written
set_header(request_trailers x-end 2) = OK
