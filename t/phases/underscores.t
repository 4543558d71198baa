# With `lua_transform_underscores_in_response_headers off` the library's own
# headers are the same as without it.

use lib 't/lib';
use TestProxyWasm 'no_plan';

# The framing and the type of the answers of /t and /off.
our $DRIVE = '
    default_type application/x-default;
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local function head(path, method)
                local sock = client.connect()
                sock:send(method .. " " .. path .. "?" .. (ngx.var.args or "") .. " HTTP/1.1\r\nHost: localhost\r\n"
                          .. "Connection: close\r\n\r\n")
                local status, rest = sock:receive("*a"):match("^HTTP/1.1 (%d+)[^\r]*\r\n(.*)$")
                local headers, body = rest:match("^(.-\r\n)\r\n(.*)$")
                local shown = {}
                for line in headers:gmatch("[^\r]+\r\n") do
                    line = line:sub(1, -3):lower()
                    if line:find("^content") or line:find("^transfer") or line:find("_", 1, true) then
                        shown[#shown + 1] = line
                    end
                end
                table.sort(shown)
                return status .. " [" .. table.concat(shown, ", ") .. "] " .. body:gsub("\r\n", "|")
            end
            local method = ngx.var.arg_m or "GET"
            local on, off = head("/t", method), head("/off", method)
            ngx.say(on)
            ngx.say(on == off and "the same" or off)
        }
    }
    location /off {
        lua_transform_underscores_in_response_headers off;
        rewrite_by_lua_block { chain:rewrite() }
        access_by_lua_block { chain:access() }
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        log_by_lua_block { chain:log() }
        proxy_pass http://unix:$TEST_NGINX_HTML_DIR/backend.sock;
    }
';

our $BACKEND = '
content_by_lua_block {
    ngx.header["Content-Length"] = 11
    ngx.header["Content-Type"] = "text/x-old"
    ngx.print("an old body")
}
';

no_long_string();
run_tests();

__DATA__

=== TEST 1: underscores: a local response from the request phases
--- plugin
request_headers local_response 403 denied
--- plugin_options
response_body = false,
--- backend eval: $::BACKEND
--- config eval: $::DRIVE
--- request eval
["GET /drive?", "GET /drive?m=HEAD"]
--- response_body eval
["403 [content-length: 6, content-type: text/plain] denied\nthe same\n",
 "403 [content-length: 6, content-type: text/plain] \nthe same\n"]



=== TEST 2: underscores: the same with a type of its own, and without a body
--- plugin
request_headers if_property ngx.arg_s a local_response 403 denied content-type=text/x-why
request_headers if_property ngx.arg_s b local_response 403
request_headers if_property ngx.arg_s c local_response 204
--- plugin_options
response_body = false,
--- backend eval: $::BACKEND
--- config eval: $::DRIVE
--- request eval
["GET /drive?s=a", "GET /drive?s=b", "GET /drive?s=c"]
--- response_body eval
["403 [content-length: 6, content-type: text/x-why] denied\nthe same\n",
 "403 [content-length: 0] \nthe same\n",
 "204 [] \nthe same\n"]



=== TEST 3: underscores: a local response from the response headers
--- plugin
response_headers if_property ngx.arg_s a local_response 403 denied
response_headers if_property ngx.arg_s b local_response 403
response_headers if_property ngx.arg_s c local_response 204
--- backend eval: $::BACKEND
--- config eval: $::DRIVE
--- request eval
["GET /drive?s=a", "GET /drive?s=b", "GET /drive?s=c", "GET /drive?s=a&m=HEAD"]
--- response_body eval
["403 [content-type: text/plain, transfer-encoding: chunked] 6|denied|0||\nthe same\n",
 "403 [transfer-encoding: chunked] 0||\nthe same\n",
 "204 [] \nthe same\n",
 "403 [content-length: 6, content-type: text/plain] \nthe same\n"]



=== TEST 4: underscores: the answer for a plugin that has failed
--- plugin
response_headers trap
--- backend eval: $::BACKEND
--- config eval: $::DRIVE
--- request eval
"GET /drive"
--- response_body
503 [transfer-encoding: chunked] 0||
the same



=== TEST 5: underscores: the same to HEAD
--- plugin
response_headers trap
--- backend eval: $::BACKEND
--- config eval: $::DRIVE
--- request
GET /drive?m=HEAD
--- response_body eval
"503 [content-length: 0] \nthe same\n"
