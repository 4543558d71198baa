# Host functions: local responses (src/hostcalls/responses.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: request headers: status, body, headers, and the upstream is not asked
--- plugin
request_headers local_response 403 "denied\n" x-why=asked content-type=text/x-why
request_headers pause
response_headers get_header response x-why
response_headers get_header response :status
log get_header response :status
--- backend
content_by_lua_block { ngx.log(ngx.ERR, "it was asked") }
--- error_code: 403
--- response_body
denied
--- response_headers
x-why: asked
content-type: text/x-why
--- plugin_log
local_response(403 "denied\n" x-why=asked content-type=text/x-why) = OK
get_header(response x-why) = OK "asked"
get_header(response :status) = OK "403"
get_header(response :status) = OK "403"
--- no_error_log
it was asked



=== TEST 2: length: Content-Length is the body's
--- plugin
request_headers local_response 200 "12345" content-length=3 transfer-encoding=chunked connection=upgrade x=1
response_headers get_header response content-length
--- response_body: 12345
--- response_headers
x: 1
connection: close
--- plugin_log
local_response(200 "12345" content-length=3 transfer-encoding=chunked connection=upgrade x=1) = OK
get_header(response content-length) = OK "5"



=== TEST 3: empty body: no error page of nginx's, whatever the status
--- plugin
request_headers if_property ngx.arg_s 200 local_response 200
request_headers if_property ngx.arg_s 204 local_response 204
request_headers if_property ngx.arg_s 301 local_response 301 "" location=/there
request_headers if_property ngx.arg_s 403 local_response 403
request_headers if_property ngx.arg_s 404 local_response 404
request_headers if_property ngx.arg_s 503 local_response 503
request_headers if_property ngx.arg_s 599 local_response 599
--- config
    error_page 403 404 503 /error_page;
    location = /error_page {
        return 200 "an error page";
    }
--- request eval
[map { "GET /t?s=$_" } 200, 204, 301, 403, 404, 503, 599]
--- error_code eval
[200, 204, 301, 403, 404, 503, 599]
--- response_body eval
[("") x 7]
--- response_headers eval
["!location", "!location", "location: /there", ("!location") x 4]



=== TEST 4: headers: repeated ones in any case, and those that would end a line are left out
--- plugin
request_headers local_response 200 ok Set-Cookie=a=1 set-cookie=b=2 SET-COOKIE=c=3 "x-lf=a\r\nx-injected: 1" :status=500 "=nothing" x-two=1 x-two=2
--- response_body: ok
--- raw_response_headers_like eval
qr/(?=.*Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nSet-Cookie: c=3\r\n)(?=.*x-two: 1\r\nx-two: 2\r\n)(?!.*(?:injected|status|nothing))/s
--- plugin_log
local_response(200 ok Set-Cookie=a=1 set-cookie=b=2 SET-COOKIE=c=3 "x-lf=a\r\nx-injected: 1" :status=500 "=nothing" x-two=1 x-two=2) = OK



=== TEST 5: HEAD: the headers of a body, and no body
--- plugin
request_headers local_response 200 "12345"
--- request
HEAD /t
--- response_body
--- response_headers
content-length: 5



=== TEST 6: bytes: a body of any, and a large one
--- plugin
request_headers local_response 200 "\0\xff\r\n"
--- response_body eval
"\0\xff\r\n"



=== TEST 7: size: a large body
--- plugin
request_headers local_response 200 fill:300000:ab
--- response_body eval
"ab" x 300000



=== TEST 8: twice: the first one wins
--- plugin
request_headers local_response 403 "first"
request_headers local_response 200 "second" x-second=1
response_headers local_response 200 "third"
--- error_code: 403
--- response_body: first
--- response_headers
!x-second
--- plugin_log
local_response(403 "first") = OK
local_response(200 "second" x-second=1) = OK
local_response(200 "third") = OK



=== TEST 9: chain: plugins behind do not see the request, but the response
--- plugin
request_headers local_response 403 "denied"
--- plugin2
request_headers log error "it got here"
response_headers get_header response :status
response_body if_eos false get_body response_body
log log info "and its end"
--- error_code: 403
--- response_body: denied
--- plugin_log
local_response(403 "denied") = OK
q: get_header(response :status) = OK "403"
q: get_body(response_body) = OK "denied"
q: and its end



=== TEST 10: request body: with the body read, the connection goes on
--- plugin
request_body if_eos true local_response 413 "too much"
request_body pause
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.connect()
            for _ = 1, 2 do
                sock:send("POST /t HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello")
                ngx.say(client.read(sock))
            end
        }
    }
--- request
GET /drive
--- response_body
413too much
413too much



=== TEST 11: callout: the answer of one decides
--- plugin
request_headers http_call callout 1000
request_headers pause
http_call_response local_response 401 "who are you?\n" www-authenticate=Basic
--- callout
return 403 "";
--- error_code: 401
--- response_body
who are you?
--- response_headers
www-authenticate: Basic
--- plugin_log
http_call(callout 1000) = OK 1
local_response(401 "who are you?\n" www-authenticate=Basic) = OK



=== TEST 12: response headers: the upstream's headers and body are gone, and its length
--- plugin
response_headers local_response 502 "swapped\n" x-new=1 Set-Cookie=a=1 Set-Cookie=b=2
response_headers pause
log get_header response x-new
log get_header response x-old
log get_pairs response
--- backend
content_by_lua_block {
    ngx.header["X-Old"] = "1"
    ngx.header.content_type = "text/x-old"
    ngx.header.etag = '"old"'
    ngx.header.cache_control = "private"
    ngx.header.content_length = 100000
    for _ = 1, 100 do
        ngx.print(string.rep("x", 1000))
        ngx.flush(true)
    end
}
--- error_code: 502
--- response_body
swapped
--- raw_response_headers_like eval
qr/Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n/
--- response_headers
x-new: 1
!X-Old
!etag
!cache-control
content-type: text/plain
--- plugin_log eval
qr/\Alocal_response\([^\n]*\) = OK
get_header\(response x-new\) = OK "1"
get_header\(response x-old\) = NOT_FOUND
get_pairs\(response\) = OK 5 ":status"="502" "x-new"="1" "set-cookie"="a=1" "set-cookie"="b=2" "content-type"="text\/plain"
\z/



=== TEST 13: response headers: no length is promised, as nobody knows whether the body filter runs
--- plugin
response_headers local_response 200 "12345"
--- backend
return 200 "a longer body";
--- response_body: 12345
--- response_headers
!content-length



=== TEST 14: response headers: without a body
--- plugin
response_headers local_response 403
--- backend
return 200 "a body";
--- error_code: 403
--- response_body
--- response_headers
!content-type
!content-length



=== TEST 15: response headers: of a response that has no body itself
--- plugin
response_headers local_response 403 "denied\n"
--- location
content_by_lua_block {
    ngx.status = tonumber(ngx.var.arg_s)
    if ngx.status == 200 then
        ngx.header.content_length = 0
    end
    ngx.exit(0)
}
--- request eval
["GET /t?s=200", "GET /t?s=204", "GET /t?s=304"]
--- error_code eval
[403, 403, 403]
--- response_body eval
[("denied\n") x 3]



=== TEST 16: response headers: of a response to HEAD
--- plugin
response_headers local_response 403 "denied\n"
--- backend
return 200 "a body";
--- request
HEAD /t
--- error_code: 403
--- response_body
--- response_headers
content-length: 7



=== TEST 17: response headers: of a response that comes without request phases
--- plugin
response_headers local_response 403 "denied\n"
--- location
return 200 "a body";
--- error_code: 403
--- response_body
denied



=== TEST 18: response headers: of nginx's own error page
--- plugin
response_headers local_response 200 "all is well\n"
--- location
return 404;
--- response_body
all is well



=== TEST 19: late: while the response is on its way it is ignored with OK, and logged
--- plugin
response_body if_eos true local_response 403 "too late"
log local_response 403 "too late"
--- response_body
hello
--- plugin_log
a local response is ignored: the response is on its way
local_response(403 "too late") = OK
a local response is ignored: the response is on its way
local_response(403 "too late") = OK



=== TEST 20: late: when the request is on its way to the upstream, it is the response's header filter that gives it
--- plugin
request_headers http_call callout 2000
http_call_response local_response 403 "better late\n" x-late=1
response_headers log error "not called"
--- callout
log_by_lua_block { ngx.shared.proxy_wasm:set("answered", true) }
content_by_lua_block { ngx.exit(200) }
--- backend
content_by_lua_block {
    -- The answer is delivered in the same worker, right after it is sent.
    repeat
        ngx.sleep(0.2)
    until ngx.shared.proxy_wasm:get("answered")
    ngx.sleep(0.2)
    ngx.header.x_old = 1
    ngx.say("upstream")
}
--- error_code: 403
--- response_body
better late
--- response_headers
x-late: 1
!x-old
--- plugin_log
http_call(callout 2000) = OK 1
local_response(403 "better late\n" x-late=1) = OK



=== TEST 21: leaks: the next request of the connection has nothing of it
--- plugin
request_headers if_header x-deny request local_response 403 "denied\n" x-why=asked
response_headers if_header x-deny response local_response 403 "denied\n" x-why=asked
--- location
content_by_lua_block { ngx.header.content_length = 6; ngx.say("hello") }
--- pipelined_requests eval
["GET /t", "GET /t", "GET /t", "GET /t", "GET /t"]
--- more_headers eval
["X-Deny: request", "", "X-Deny: response", "", "X-Deny: request"]
--- error_code eval
[403, 200, 403, 200, 403]
--- response_body eval
["denied\n", "hello\n", "denied\n", "hello\n", "denied\n"]
--- response_headers eval
["x-why: asked", "!x-why", "x-why: asked", "!x-why", "x-why: asked"]



=== TEST 22: details: in response.code_details, line ends left out
--- plugin
request_headers local_response 403 "" "details=not\r\nin the mood"
response_headers get_property response.code_details
log get_property response.code_details
log get_property response.code
--- error_code: 403
--- plugin_log
local_response(403 "" "details=not\r\nin the mood") = OK
get_property(response.code_details) = OK "notin the mood"
get_property(response.code_details) = OK "notin the mood"
get_property(response.code) = OK 0x9301000000000000



=== TEST 23: details: of a response that is no plugin's, where it comes from
--- plugin
request_headers get_property response.code_details
log get_property response.code_details
--- plugin_log
get_property(response.code_details) = NOT_FOUND
get_property(response.code_details) = OK "direct_response"



=== TEST 24: bad arguments: no request is logged, and answered with OK
--- plugin
configure local_response 403 "denied"
--- response_body
hello
--- plugin_log
a local response is ignored: there is no request here
local_response(403 "denied") = OK
a local response is ignored: there is no request here
local_response(403 "denied") = OK



=== TEST 25: bad arguments: a status of no final response is logged and becomes 500, so that the request does not pass
--- plugin
request_headers if_header x-status 0 local_response 0 denied
request_headers if_header x-status 199 local_response 199 denied
request_headers if_header x-status 1000 local_response 1000 denied
request_headers if_header x-status max local_response 0xffffffff denied
--- request eval
["GET /t", "GET /t", "GET /t", "GET /t"]
--- more_headers eval
["X-Status: 0", "X-Status: 199", "X-Status: 1000", "X-Status: max"]
--- error_code eval
[500, 500, 500, 500]
--- response_body eval
["denied", "denied", "denied", "denied"]
--- plugin_log eval
qr/\Aa local response has the status \d+, which is none: 500\nlocal_response\(\w+ denied\) = OK\n\z/



=== TEST 26: bad arguments: a malformed map of headers is logged and none, so that the request does not pass
--- plugin
request_headers proxy_send_local_response 403 "" "denied" "xxxx" -1
--- error_code: 403
--- response_body chomp
denied
--- plugin_log
a local response goes without its headers: their map is malformed
proxy_send_local_response(403 "" "denied" "xxxx" -1) = OK



=== TEST 27: pointers: outside the memory; then nothing is answered
--- plugin
request_headers proxy_send_local_response 403 0xfffffff0 100 "" {} -1
request_headers proxy_send_local_response 403 "" 16 0xffffffff {} -1
request_headers proxy_send_local_response 403 "" "" 0xfffffff0 100 -1
request_headers proxy_send_http_response 403 "" "" 0xfffffff0 100 -1
--- response_body
hello
--- plugin_log
proxy_send_local_response(403 0xfffffff0 100 "" {} -1) = INVALID_MEMORY_ACCESS
proxy_send_local_response(403 "" 16 0xffffffff {} -1) = INVALID_MEMORY_ACCESS
proxy_send_local_response(403 "" "" 0xfffffff0 100 -1) = INVALID_MEMORY_ACCESS
proxy_send_http_response(403 "" "" 0xfffffff0 100 -1) = INVALID_MEMORY_ACCESS



=== TEST 28: alias: proxy_send_http_response is the same function
--- plugin
request_headers proxy_send_http_response 403 "" "denied\n" {x-a=1} -1
--- error_code: 403
--- response_body
denied
--- response_headers
x-a: 1



=== TEST 29: continue: after an answer the request does not go on
--- plugin
request_headers local_response 403 "denied\n"
request_headers continue request
--- error_code: 403
--- response_body
denied
--- plugin_log
local_response(403 "denied\n") = OK
continue(request) = OK



=== TEST 30: edits: the plugin may change its own response as any other
--- plugin
request_headers local_response 403 "denied\n"
response_headers set_header response x-a 1
response_body replace_body response_body denied no
--- error_code: 403
--- response_body
no
--- response_headers
x-a: 1



=== TEST 31: content type: text of a body, of nothing none, whatever nginx has by default
--- plugin
request_headers if_header x-how body local_response 403 denied
request_headers if_header x-how typed local_response 403 denied Content-Type=a/b
request_headers if_header x-how nothing local_response 403
--- config
    default_type application/octet-stream;
--- request eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
["X-How: body", "X-How: typed", "X-How: nothing"]
--- error_code eval
[403, 403, 403]
--- response_headers eval
["Content-Type: text/plain", "Content-Type: a/b", "!Content-Type"]



=== TEST 32: tick: from a root context, by the id of a request that waits
--- plugin
configure tick 50
request_headers remember
request_headers pause
tick set_effective_context origin
tick local_response 403 "by the clock"
tick tick 0
--- error_code: 403
--- response_body chomp
by the clock
--- error_log
local_response(403 "by the clock") = OK



=== TEST 33: queue: from the news of a shared queue
--- plugin
configure register_queue jobs
request_headers remember
request_headers enqueue jobs deny
request_headers pause
queue_ready set_effective_context origin
queue_ready local_response 403 "by the queue"
--- error_code: 403
--- response_body chomp
by the queue
--- error_log
local_response(403 "by the queue") = OK



=== TEST 34: no body: 204 and 304 have none, whatever the plugin gives them
--- plugin
request_headers if_header x-how 204 local_response 204 "a body" Content-Type=a/b x-own=1
request_headers if_header x-how 304 local_response 304 "a body" Content-Type=a/b x-own=1
response_headers if_header x-how later local_response 204 "a body" Content-Type=a/b x-own=1
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            for _, how in ipairs { "204", "304", "later" } do
                local sock = client.send("/t", "Connection: close\r\nX-How: " .. how .. "\r\n")
                local answer = sock:receive("*a"):gsub("\r\nServer: [^\r]*\r\nDate: [^\r]*", "")
                ngx.print((answer:gsub("\r", "")))
            end
        }
    }
--- request
GET /drive
--- response_body eval
"HTTP/1.1 204 No Content
Connection: close
x-own: 1

HTTP/1.1 304 Not Modified
Content-Type: a/b
Connection: close
x-own: 1

HTTP/1.1 204 No Content
Connection: close
x-own: 1

"



=== TEST 35: no body: the list has a Content-Length of 0, as the client gets it
--- plugin
request_headers local_response 403 "" x-own=1
response_headers get_header response content-length
response_headers echo_params
--- error_code: 403
--- response_body:
--- response_headers
Content-Length: 0
--- plugin_log
local_response(403 "" x-own=1) = OK
get_header(response content-length) = OK "0"
response_headers: context=2 num_headers=3 end_of_stream=true
