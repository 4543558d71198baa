# A response that a plugin empties must end all the same. (lua-nginx-module then
# logs an error about the content handler's next chunk, with plain Lua, too.)

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: response end: a refused response of several chunks ends, without a body
--- http_config
    init_by_lua_block {
        chain = assert(require("resty.proxy_wasm").new_chain {
            { name = "trap", path = "$GUESTS/trap_on_response_headers.wasm" },
        })
    }
--- config
    location = /t {
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        content_by_lua_block {
            ngx.say("one")
            ngx.flush(true)
            ngx.say("two")
        }
    }
--- error_code: 503
--- response_body chomp
--- error_log
the response is refused



=== TEST 2: response end: a local response without a body, given in the response headers
--- http_config
    init_by_lua_block {
        chain = assert(require("resty.proxy_wasm").new_chain {
            {
                name = "deny",
                path = "$GUESTS/hostcalls.wasm",
                config = "response_headers local_response 403",
            },
        })
    }
--- config
    location = /t {
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        content_by_lua_block {
            ngx.say("one")
            ngx.flush(true)
            ngx.say("two")
        }
    }
--- error_code: 403
--- response_body chomp
--- no_error_log
[crit]



=== TEST 3: response end: without a body filter the old body goes out under new headers: said once
--- plugin
response_headers local_response 403 blocked
--- config
location = /half {
    access_by_lua_block { chain:access() }
    header_filter_by_lua_block { chain:header_filter() }
    log_by_lua_block { chain:log() }
    return 200 "what nobody was to see";
}
location = /twice {
    content_by_lua_block {
        for _ = 1, 2 do
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.say((select(2, client.get("/half"))))
        end
    }
}
--- request
GET /twice
--- response_body
what nobody was to see
what nobody was to see
--- grep_error_log: no body filter ran
--- grep_error_log_out
no body filter ran



=== TEST 4: response end: the same for a response that is refused
--- plugin
response_headers trap
--- config
location = /half {
    access_by_lua_block { chain:access() }
    header_filter_by_lua_block { chain:header_filter() }
    log_by_lua_block { chain:log() }
    keepalive_timeout 0;
    return 200 "what nobody was to see";
}
--- request
GET /half
--- error_code: 503
--- error_log eval
qr{p: a response was replaced in the header filter, and its old body went out all the same: no body filter ran\. chain:body_filter\(\) belongs into body_filter_by_lua .*, client: .*, request: "GET /half}



=== TEST 5: response end: also without a log phase
--- plugin
response_headers local_response 403 blocked
--- config
location = /half {
    access_by_lua_block { chain:access() }
    header_filter_by_lua_block { chain:header_filter() }
    keepalive_timeout 0;
    return 200 "what nobody was to see";
}
--- request
GET /half
--- error_code: 403
--- wait: 1.5
--- error_log
no body filter ran



=== TEST 6: response end: nothing is said where there was no body to go out
--- plugin
response_headers local_response 403 blocked
--- config
location = /half {
    access_by_lua_block { chain:access() }
    header_filter_by_lua_block { chain:header_filter() }
    log_by_lua_block { chain:log() }
    keepalive_timeout 0;
    return 204;
}
--- request eval
["GET /half", "HEAD /t", "GET /t", "HEAD /half"]
--- error_code eval
[403, 403, 403, 403]
--- response_body_like eval
["", "", "^blocked\$", ""]
--- no_error_log
no body filter ran
[error]



=== TEST 7: response end: of an answer, while a plugin before holds the body
--- plugin
response_body pause
--- plugin2
response_headers local_response 401 "q's answer" x-who=q
--- backend: echo
--- timeout: 2
--- error_code: 401
--- response_body: q's answer



=== TEST 8: response end: of an answer without a body, while a plugin before holds the body
--- plugin
response_body pause
--- plugin2
response_headers local_response 401
--- backend: echo
--- timeout: 2
--- error_code: 401
--- response_body:



=== TEST 9: response end: of an answer, where a plugin before has emptied the chunk
--- plugin
response_body set_body response_body 0 -1 ""
--- plugin2
response_headers local_response 401 "q's answer" x-who=q
--- backend: echo
--- timeout: 2
--- error_code: 401
--- response_body: q's answer



=== TEST 10: response end: of an answer, where another body filter has taken the chunk
--- config
    location /o {
        rewrite_by_lua_block { chain:rewrite() }
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { if not ngx.arg[2] then ngx.arg[1] = nil end chain:body_filter() }
        log_by_lua_block { chain:log() }
        proxy_pass http://unix:$TEST_NGINX_HTML_DIR/backend.sock;
    }
--- plugin
response_headers local_response 401 "p's answer"
--- backend: echo
--- request
GET /o
--- timeout: 2
--- error_code: 401
--- response_body: p's answer



=== TEST 11: response end: without a body filter the old body is no second response of the connection's
--- plugin
response_headers if_property ngx.arg_s local local_response 403 no
response_headers if_property ngx.arg_s empty local_response 403
response_headers if_property ngx.arg_s trap trap
--- config
location = /half {
    access_by_lua_block { chain:access() }
    header_filter_by_lua_block { chain:header_filter() }
    log_by_lua_block { chain:log() }
    return 200 "HTTP/1.1 200 smuggled";
}
location = /drive {
    content_by_lua_block {
        local client = dofile("$TOP/t/lib/client.lua")
        local function ask(path, version, method)
            local sock = client.connect()
            for _ = 1, 2 do
                assert(sock:send((method or "GET") .. " " .. path .. "?s=" .. ngx.var.arg_s .. " HTTP/" .. version
                                 .. "\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"))
                if method == "HEAD" then
                    local head = assert(sock:receiveuntil("\r\n\r\n")())
                    ngx.say(path, " HEAD ", head:lower():match("content%-length: %d+"))
                else
                    ngx.say(path, " ", version, " ", table.concat({ client.read(sock) }, " "))
                end
                if version == "1.0" or ngx.var.arg_s == "trap" then
                    break
                end
            end
            sock:close()
        end
        if ngx.var.arg_s ~= "trap" then
            ask("/half", "1.0")
            ask("/half", "1.1", "HEAD")
            ask("/t", "1.0")
            ask("/t", "1.1", "HEAD")
        end
        ask("/half", "1.1")
        ask("/t", "1.1")
    }
}
--- request eval
[map { "GET /drive?s=$_" } qw(local empty trap)]
--- response_body eval
[(map {
    my ($status, $body, $length) = @$_;
    my $old = "HTTP/1.1 200 smuggled";
    "/half 1.0 $status $old\n" . "/half HEAD content-length: $length\n" x 2
    . "/t 1.0 $status $body\n" . "/t HEAD content-length: $length\n" x 2
    . "/half 1.1 $status $old\n" x 2 . "/t 1.1 $status $body\n" x 2
} [403, 'no', 2], [403, '', 0]),
"/half 1.1 503 HTTP/1.1 200 smuggled\n/t 1.1 503 \n"]
--- timeout: 5



=== TEST 12: response end: nothing is said where the answer has no body
--- plugin
response_headers if_property ngx.arg_s 204 local_response 204
response_headers if_property ngx.arg_s 304 local_response 304
response_headers if_property ngx.arg_s 403 local_response 403
--- backend
return 200 "an old body";
--- request eval
["GET /t?s=204", "GET /t?s=304", "HEAD /t?s=403", "GET /t?s=403"]
--- error_code eval
[204, 304, 403, 403]
--- no_error_log
no body filter ran
[error]



=== TEST 13: response end: an instance that is lost in the response headers of a proxied response
--- plugin
response_headers trap
--- backend
return 200 "what nobody was to see";
--- config
location = /half {
    rewrite_by_lua_block { chain:rewrite() }
    header_filter_by_lua_block { chain:header_filter() }
    log_by_lua_block { chain:log() }
    proxy_pass http://unix:$TEST_NGINX_HTML_DIR/backend.sock;
}
--- request
GET /half
--- error_code: 503
--- error_log
no body filter ran
