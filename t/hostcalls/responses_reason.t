# Local responses: details as the reason phrase, where lua-nginx-module can set
# one (0.10.28 and later), and else nginx's own.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: reason: the details, line ends left out, from the request and from the response headers; nginx's own where there are none or no body may follow
--- plugin
request_headers if_header x-how request local_response 403 denied "details=for\r\nbi\0dden"
response_headers if_header x-how response local_response 403 denied details=forbidden
request_headers if_header x-how none local_response 403 denied
request_headers if_header x-how no_content local_response 204 "" details=forbidden
response_headers if_header x-how not_modified local_response 304 "" details=forbidden
--- config
    location = /check {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local function status_line(how)
                local sock = client.send("/t", "Connection: close\r\nX-How: " .. how .. "\r\n")
                local line = sock:receive()
                local rest = sock:receive("*a")
                return line, rest:match("\r\n\r\n(.*)"):match("denied") or ""
            end
            local can = ngx.config.ngx_lua_version >= 10028
            local expected = {
                request = can and "403 forbidden" or "403 Forbidden",
                response = can and "403 forbidden" or "403 Forbidden",
                none = "403 Forbidden",
                no_content = "204 No Content",
                not_modified = "304 Not Modified",
            }
            for how, line in pairs(expected) do
                local got, body = status_line(how)
                local content = line:find("^403") and "denied" or ""
                if got ~= "HTTP/1.1 " .. line or body ~= content then
                    ngx.say(how, ": ", got, " instead of ", line, ": ", body)
                end
            end
            ngx.say("checked")
        }
    }
--- request
GET /check
--- response_body
checked



=== TEST 2: reason: the next request of the connection has its own
--- plugin
request_headers if_header x-how deny local_response 403 denied details=forbidden
--- config
    location = /check {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/t", "X-How: deny\r\n")
            ngx.say(client.read(sock))
            client.send("/t", "", sock)
            ngx.say((assert(sock:receive())))
        }
    }
--- request
GET /check
--- response_body
403denied
HTTP/1.1 200 OK



=== TEST 3: reason: to be read as response.code_details
--- plugin
request_headers local_response 403 denied "details=for\r\nbidden"
log get_property response.code_details
--- error_code: 403
--- plugin_log
local_response(403 denied "details=for\r\nbidden") = OK
get_property(response.code_details) = OK "forbidden"
