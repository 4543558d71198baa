# Connections of callouts: kept, used again, given up.

use lib 't/lib';
use TestProxyWasm 'no_plan';

# One call after another, from the callback of the one before.
our $THRICE = '
request_headers http_call side 5000 :path=/1
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call side 5000 :path=/2
http_call_response nth 2 http_call side 5000 :path=/3
http_call_response nth 3 local_response 200 done
';

our $UPSTREAMS = 'upstreams = { side = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },';

our $HELLO = 'content_by_lua_block { ngx.say("hello") }';

# Counts the connections, and the requests on each.
our $COUNT = '
content_by_lua_block {
    ngx.print(ngx.var.connection_requests)
}
';

# Lets a connection carry as many answers as the function says, then closes it
# when the next request has come: as one that had just been closed.
our $STALE = '
content_by_lua_block {
    asked = asked or {}
    local sock = ngx.req.socket(true)
    local method, path = ngx.req.get_method(), ngx.var.uri
    for i = 1, 3 do
        asked[#asked + 1] = method .. " " .. path
        ngx.log(ngx.INFO, "[proxy-wasm] -- asked ", method, " ", path)
        if i == 2 then
            return
        end
        local body = "answer to " .. path
        sock:send("HTTP/1.1 200 OK\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body)
        local line = sock:receive()
        if not line then
            return
        end
        method, path = line:match("^(%S+) (%S+)")
        local length = 0
        repeat
            line = sock:receive()
            length = tonumber(line:match("^Content%-Length: (%d+)")) or length
        until line == ""
        sock:receive(length)
    end
}
';

no_long_string();
run_tests();

__DATA__

=== TEST 1: connection: kept, and used again
--- plugin eval: $::THRICE
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::COUNT
--- location eval: $::HELLO
--- response_body chop
done
--- plugin_log
http_call(side 5000 :path=/1) = OK 1
get_body(call_body) = OK "1"
http_call(side 5000 :path=/2) = OK 2
get_body(call_body) = OK "2"
http_call(side 5000 :path=/3) = OK 3
get_body(call_body) = OK "3"
local_response(200 done) = OK



=== TEST 2: connection: of another request, too
--- plugin
request_headers http_call side 5000
request_headers pause
http_call_response get_body call_body
http_call_response continue request
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::COUNT
--- location eval: $::HELLO
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.print(client.get("/t"))
            ngx.sleep(0.1)
            ngx.print(client.get("/t"))
        }
    }
--- request
GET /drive
--- response_body
200hello
200hello
--- grep_error_log eval: qr/get_body.*?"\d+"/
--- grep_error_log_out
get_body(call_body) = OK "1"
get_body(call_body) = OK "2"



=== TEST 3: connection: not kept when the upstream says so
--- plugin eval: $::THRICE
--- plugin_options eval: $::UPSTREAMS
--- backend eval
"keepalive_timeout 0;\n$::COUNT"
--- location eval: $::HELLO
--- response_body chop
done
--- grep_error_log eval: qr/get_body.*?"\d+"/
--- grep_error_log_out eval
"get_body(call_body) = OK \"1\"\n" x 3



=== TEST 4: connection: not shared by different ports, names under TLS or not
--- plugin
request_headers http_call 127.0.0.1:$TEST_NGINX_RAND_PORT_1 5000
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call 127.0.0.1:$TEST_NGINX_RAND_PORT_2 5000
http_call_response nth 2 http_call 127.0.0.1:$TEST_NGINX_RAND_PORT_1 5000
http_call_response nth 3 local_response 200 done
--- plugin_options
callouts = "any",
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_2;
        location / { return 200 "$connection_requests"; }
    }
--- response_body chop
done
--- grep_error_log eval: qr/get_body.*?"\d+"/
--- grep_error_log_out
get_body(call_body) = OK "1"
get_body(call_body) = OK "1"
get_body(call_body) = OK "2"



=== TEST 5: connection: closed while it was kept: the next callout makes a new one
--- plugin
request_headers http_call side 5000
request_headers pause
http_call_response get_body call_body
http_call_response continue request
--- plugin_options eval: $::UPSTREAMS
--- backend eval
"keepalive_timeout 100ms;\n$::COUNT"
--- location eval: $::HELLO
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.print(client.get("/t"))
            ngx.sleep(0.4)
            ngx.print(client.get("/t"))
        }
    }
--- request
GET /drive
--- response_body
200hello
200hello
--- grep_error_log eval: qr/get_body.*?"\d+"/
--- grep_error_log_out eval
"get_body(call_body) = OK \"1\"\n" x 2



=== TEST 6: connection: closed when a request is on its way: GET is sent again
--- plugin
request_headers http_call side 5000 :path=/one
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call side 5000 :path=/two
http_call_response nth 2 local_response 200 done
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::STALE
--- location eval: $::HELLO
--- response_body chop
done
--- plugin_log
http_call(side 5000 :path=/one) = OK 1
-- asked GET /one
get_body(call_body) = OK "answer to /one"
http_call(side 5000 :path=/two) = OK 2
-- asked GET /two
-- asked GET /two
get_body(call_body) = OK "answer to /two"
local_response(200 done) = OK



=== TEST 7: connection: closed when a request is on its way: POST is not sent again
--- plugin
request_headers http_call side 5000 :path=/one
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call side 5000 :path=/two :method=POST body=x
http_call_response nth 2 local_response 200 done
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::STALE
--- location eval: $::HELLO
--- response_body chop
done
--- plugin_log
http_call(side 5000 :path=/one) = OK 1
-- asked GET /one
get_body(call_body) = OK "answer to /one"
http_call(side 5000 :path=/two :method=POST body=x) = OK 2
-- asked POST /two
a callout to "side" at http://unix:$TEST_NGINX_HTML_DIR/backend.sock failed: receive: closed
get_body(call_body) = OK ""
local_response(200 done) = OK



=== TEST 8: connection: a new one that is closed at once is no reason to try again
--- plugin
request_headers http_call side 5000 :path=/one
request_headers pause
http_call_response echo_params
http_call_response local_response 200 done
--- plugin_options eval: $::UPSTREAMS
--- backend
content_by_lua_block {
    ngx.log(ngx.INFO, "[proxy-wasm] -- asked")
    ngx.exit(444)
}
--- location eval: $::HELLO
--- response_body chop
done
--- plugin_log
http_call(side 5000 :path=/one) = OK 1
-- asked
a callout to "side" at http://unix:$TEST_NGINX_HTML_DIR/backend.sock failed: receive: closed
http_call_response: context=2 token=1 num_headers=0 body_size=0 num_trailers=0
local_response(200 done) = OK



=== TEST 9: connection: all kept ones are stale: a new one has the last word
--- plugin
request_headers if_header x-batch yes http_call side 5000 :path=/kept
request_headers if_header x-batch yes http_call side 5000 :path=/kept
request_headers if_header x-batch yes http_call side 5000 :path=/kept
request_headers if_header x-batch no http_call side 5000 :path=/last
request_headers pause
http_call_response get_body call_body
--- plugin_options eval
"$::UPSTREAMS resume = 'callouts'"
--- backend eval: $::STALE =~ s/local body/ngx.sleep(0.1) local body/r
--- location eval: $::HELLO
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.print(client.get("/t", "X-Batch: yes\r\n"))
            ngx.print(client.get("/t", "X-Batch: no\r\n"))
        }
    }
--- request
GET /drive
--- response_body
200hello
200hello
--- grep_error_log eval: qr/asked GET \S+(?=,)|get_body.*?"(?=,| while)/
--- grep_error_log_out
asked GET /kept
asked GET /kept
asked GET /kept
get_body(call_body) = OK "answer to /kept"
get_body(call_body) = OK "answer to /kept"
get_body(call_body) = OK "answer to /kept"
asked GET /last
asked GET /last
asked GET /last
asked GET /last
get_body(call_body) = OK "answer to /last"



=== TEST 10: connection: one with more bytes than the answer is not kept
--- plugin eval: $::THRICE
--- plugin_options eval: $::UPSTREAMS
--- backend
content_by_lua_block {
    local sock = ngx.req.socket(true)
    sock:send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
    sock:receive()
}
--- location eval: $::HELLO
--- response_body chop
done
--- grep_error_log eval: qr/get_body.*?"(?=,| while)/
--- grep_error_log_out eval
"get_body(call_body) = OK \"1\"\n" x 3
