# However a request ends, its context ends with it: done, log, delete, once.

use lib 't/lib';
use TestProxyWasm 'no_plan';

# The end of a response is one callback, however many pieces it had.
our $STEPS = join '', map { "$_ log info $_\n" } qw(
    context_create request_headers request_body response_headers done log delete
);
$STEPS .= "response_body if_eos true log info response_end\n";

our $ALL = "context_create
request_headers
response_headers
response_end
done
log
delete
";

# The request waits for an upstream that answers much later.
our $WAIT = <<'_END_';
request_headers http_call slow 20000
request_headers pause
http_call_response continue request
_END_

our $UPSTREAMS = 'upstreams = { slow = "unix:$TEST_NGINX_HTML_DIR/backend.sock" }';

no_long_string();
run_tests();

__DATA__

=== TEST 1: end: a local response to the request headers
--- plugin eval
"$::STEPS\nrequest_headers local_response 403 no"
--- error_code: 403
--- response_body chop
no
--- plugin_log eval
$::ALL =~ s/headers\n/headers\nlocal_response(403 no) = OK\n/r



=== TEST 2: end: a local response without body
--- plugin eval
"$::STEPS\nrequest_headers local_response 204"
--- error_code: 204
--- response_body
--- plugin_log
context_create
request_headers
local_response(204) = OK
response_headers
done
log
delete



=== TEST 3: end: a local response to the request body
--- plugin eval
"$::STEPS\nrequest_body local_response 413 \"too much\""
--- request
POST /t
body
--- error_code: 413
--- response_body chop
too much
--- plugin_log
context_create
request_headers
request_body
local_response(413 "too much") = OK
response_headers
response_end
done
log
delete



=== TEST 4: end: a local response to the response headers
--- plugin eval
"$::STEPS\nresponse_headers local_response 502 hidden"
--- error_code: 502
--- response_body chop
hidden
--- plugin_log
context_create
request_headers
response_headers
local_response(502 hidden) = OK
done
log
delete



=== TEST 5: end: a plugin before answers, the next one sees no request, only the response
--- plugin
request_headers local_response 403 no
--- plugin2 eval: $::STEPS
--- error_code: 403
--- plugin_log
local_response(403 no) = OK
q: context_create
q: response_headers
q: response_end
q: done
q: log
q: delete



=== TEST 6: end: ngx.exit of another handler, with nginx's error page
--- plugin eval: $::STEPS
--- location
content_by_lua_block { ngx.exit(404) }
--- error_code: 404
--- plugin_log eval: $::ALL



=== TEST 7: end: an error page of one's own, in the same location's filters
--- plugin eval: $::STEPS
--- location
error_page 404 /t/not-found.html;
--- request
GET /t/x
--- user_files
>>> t/not-found.html
not here
--- error_code: 404
--- response_body
not here
--- plugin_log eval: $::ALL



=== TEST 8: end: return, where no request phase runs
--- plugin eval: $::STEPS
--- location
return 200 "returned\n";
--- response_body
returned
--- plugin_log
context_create
response_headers
response_end
done
log
delete



=== TEST 9: end: a malformed request reaches no chain
--- plugin eval: $::STEPS
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n"
--- error_code: 400
--- plugin_log
--- no_error_log
[error]



=== TEST 10: end: the upstream is not there
--- plugin eval: $::STEPS
--- location
proxy_pass http://unix:$TEST_NGINX_HTML_DIR/nobody.sock;
--- error_code: 502
--- plugin_log eval: $::ALL



=== TEST 11: end: the upstream breaks off in the middle
--- plugin eval: $::STEPS
--- backend
content_by_lua_block {
    local sock = ngx.req.socket(true)
    sock:send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
}
--- error_code: 200
--- plugin_log
context_create
request_headers
response_headers
done
log
delete
--- ignore_response



=== TEST 12: end: the client hangs up while the request waits, and nginx looks (lua_check_client_abort)
--- plugin eval: $::STEPS . $::WAIT
--- plugin_options eval: $::UPSTREAMS
--- backend
content_by_lua_block {
    while not released do
        ngx.sleep(0.01)
    end
}
--- location
content_by_lua_block { ngx.say("hello") }
--- config
    lua_check_client_abort on;

    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/t")
            ngx.sleep(0.1)
            sock:close()
            ngx.sleep(0.2)
            client.mark("the upstream answers")
            released = true
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
no context left
--- plugin_log
context_create
request_headers
http_call(slow 20000) = OK 1
done
log
delete
-- the upstream answers



=== TEST 13: end: the client hangs up while the request waits, and nginx does not look
--- plugin eval: $::STEPS . $::WAIT
--- plugin_options eval: $::UPSTREAMS
--- backend
content_by_lua_block {
    while not released do
        ngx.sleep(0.01)
    end
}
--- location
content_by_lua_block { ngx.say("hello") }
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/t")
            ngx.sleep(0.1)
            sock:close()
            ngx.sleep(0.2)
            client.mark("the upstream answers")
            released = true
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
no context left
--- plugin_log
context_create
request_headers
http_call(slow 20000) = OK 1
-- the upstream answers
continue(request) = OK
response_headers
response_end
done
log
delete



=== TEST 14: end: the client hangs up during the response
--- plugin eval: $::STEPS
--- backend
content_by_lua_block {
    for _ = 1, 1000 do
        ngx.print(string.rep("x", 100000))
        ngx.flush(true)
    end
}
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/t")
            sock:receive(1000)
            sock:close()
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
no context left
--- plugin_log
context_create
request_headers
response_headers
done
log
delete



=== TEST 15: end: the client hangs up while its body is read
--- plugin eval: $::STEPS
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/t", "Content-Length: 100\r\n")
            sock:send("a part")
            ngx.sleep(0.1)
            sock:close()
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
no context left
--- plugin_log
context_create
request_headers
done
log
delete



=== TEST 16: end: the log phase can still read the request, and its status
--- plugin
log get_header request x-asked
log get_property response.code
log get_property request.path
done get_header request x-asked
delete get_header request x-asked
--- plugin_options
property_encoding = "string"
--- more_headers
X-Asked: yes
--- location
return 204;
--- error_code: 204
--- plugin_log
get_header(request x-asked) = OK "yes"
get_header(request x-asked) = OK "yes"
get_property(response.code) = OK "204"
get_property(request.path) = OK "/t"
get_header(request x-asked) = OK "yes"
