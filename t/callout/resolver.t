# Names of hosts: the operator's resolver, the hosts file, nginx's resolver.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $SERVER = '
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        location / { return 200 "$http_host $connection_requests"; }
        location /dns {
            content_by_lua_block {
                ngx.sleep(0.05)
                ngx.print("127.0.0.1")
            }
        }
    }
';

our $CALL = '
request_headers http_call svc 1000 :authority=a.example
request_headers pause
http_call_response get_body call_body
http_call_response continue request
';

our $OPTIONS = 'upstreams = { svc = "svc.example:$TEST_NGINX_RAND_PORT_1" },';

our $LOG = qr/failed: connect: .*?(?=, client: )|asked for [^,]+|get_body.*?"[^"]*"/;

no_long_string();
run_tests();

__DATA__

=== TEST 1: hosts file: a name that it has
--- plugin eval: $::CALL
--- plugin_options
upstreams = { svc = "localhost:$TEST_NGINX_RAND_PORT_1" },
--- http_config eval: $::SERVER
--- grep_error_log eval: $::LOG
--- grep_error_log_out
get_body(call_body) = OK "a.example 1"



=== TEST 2: resolver: comes first, and may wait
--- prepare
require("resty.proxy_wasm").set_resolver(function(host)
    ngx.log(ngx.INFO, "asked for ", host)
    local sock = ngx.socket.tcp()
    assert(sock:connect("127.0.0.1", $TEST_NGINX_RAND_PORT_1))
    assert(sock:send("GET /dns HTTP/1.0\r\n\r\n"))
    return assert(sock:receive("*a")):match("[%d.]+$")
end)
--- plugin
request_headers http_call localhost 1000 :authority=a.example
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call localhost 1000 :authority=a.example
http_call_response nth 2 continue request
--- plugin_options
upstreams = { localhost = "localhost:$TEST_NGINX_RAND_PORT_1" },
--- http_config eval: $::SERVER
--- grep_error_log eval: $::LOG
--- grep_error_log_out
asked for localhost
get_body(call_body) = OK "a.example 1"
asked for localhost
get_body(call_body) = OK "a.example 2"



=== TEST 3: resolver: several addresses, the first that can be reached
--- prepare
require("resty.proxy_wasm").set_resolver(function(host)
    return { "::1", "[::1]", "127.0.0.1" }
end)
--- plugin eval: $::CALL
--- plugin_options eval: $::OPTIONS
--- http_config eval: $::SERVER
--- grep_error_log eval: $::LOG
--- grep_error_log_out
get_body(call_body) = OK "a.example 1"



=== TEST 4: resolver: nil leaves the name to the others
--- prepare
require("resty.proxy_wasm").set_resolver(function(host)
    ngx.log(ngx.INFO, "asked for ", host)
end)
--- plugin
request_headers http_call svc 1000 :authority=a.example
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call other 1000
http_call_response nth 2 continue request
--- plugin_options
upstreams = { svc = "localhost:$TEST_NGINX_RAND_PORT_1", other = "svc.example" },
--- http_config eval: $::SERVER
--- grep_error_log eval: $::LOG
--- grep_error_log_out
asked for localhost
get_body(call_body) = OK "a.example 1"
asked for svc.example
failed: connect: no resolver defined to resolve "svc.example"
get_body(call_body) = OK ""



=== TEST 5: resolver: what it does wrong is the callout's failure
--- prepare
local n = 0
require("resty.proxy_wasm").set_resolver(function(host)
    n = n + 1
    if n == 1 then
        return nil, "no idea"
    elseif n == 2 then
        error("broken", 0)
    elseif n == 3 then
        return "svc.example"
    elseif n == 4 then
        return {}
    elseif n == 5 then
        return { "127.0.0.1", {} }
    elseif n == 6 then
        return { "10.0.0.300", "127.0.0.1" }
    elseif n == 7 then
        return "127.0.0.0001"
    end
    ngx.sleep(3)
end)
--- plugin
request_headers http_call svc 500
request_headers pause
http_call_response nth 1 http_call svc 500
http_call_response nth 2 http_call svc 500
http_call_response nth 3 http_call svc 500
http_call_response nth 4 http_call svc 500
http_call_response nth 5 http_call svc 500
http_call_response nth 6 http_call svc 500
http_call_response nth 7 http_call svc 500
http_call_response nth 8 continue request
--- plugin_options eval: $::OPTIONS
--- grep_error_log eval: $::LOG
--- grep_error_log_out eval
qr/^failed: connect: the resolver for "svc.example": no idea
failed: connect: the resolver for "svc.example": broken
failed: connect: the resolver for "svc.example" gave "svc.example", which is no address
failed: connect: the resolver for "svc.example" gave no address
failed: connect: the resolver for "svc.example" gave "table: \w+", which is no address
failed: connect: the resolver for "svc.example" gave "10\.0\.0\.300", which is no address
failed: connect: the resolver for "svc.example" gave "127\.0\.0\.0001", which is no address
failed: connect: the resolver for "svc.example": timeout
$/



=== TEST 6: resolver: addresses are never asked for
--- prepare
require("resty.proxy_wasm").set_resolver(function(host)
    ngx.log(ngx.INFO, "asked for ", host)
end)
--- plugin eval: $::CALL
--- plugin_options
upstreams = { svc = "127.0.0.1:$TEST_NGINX_RAND_PORT_1" },
--- http_config eval: $::SERVER
--- grep_error_log eval: $::LOG
--- grep_error_log_out
get_body(call_body) = OK "a.example 1"



=== TEST 7: resolver: a function or nothing
--- config
    location = /t {
        content_by_lua_block {
            local set = require("resty.proxy_wasm").set_resolver
            ngx.say(pcall(set, "127.0.0.1"))
            ngx.say(pcall(set, ngx.now))
            ngx.say(pcall(set, nil))
        }
    }
--- response_body
falsethe resolver must be a function or nil
true
true
