# Host functions: properties (src/hostcalls/properties.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';
use File::Temp ();

# An integer as Envoy encodes it.
our $INTEGER = qr/0x[0-9a-f]{16}/;

# A certificate that is its own authority.
our $CERTS = File::Temp::tempdir(CLEANUP => 1);
system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 "
    . "-subj /CN=tls.example -keyout $CERTS/key.pem -out $CERTS/cert.pem 2>/dev/null") == 0
    or die "openssl: $?";

no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: request: texts
--- plugin
request_headers get_property request.path
request_headers get_property request.url_path
request_headers get_property request.query
request_headers get_property request.host
request_headers get_property request.scheme
request_headers get_property request.method
request_headers get_property request.protocol
request_headers get_property request.referer
request_headers get_property request.useragent
request_headers get_property request.id
--- request
GET /t/a%20b?c=d
--- more_headers
Host: Example.com:8080
Referer: http://from/
User-Agent: test/1.0
X-Request-Id: abc-123
--- plugin_log
get_property(request.path) = OK "/t/a%20b?c=d"
get_property(request.url_path) = OK "/t/a%20b"
get_property(request.query) = OK "c=d"
get_property(request.host) = OK "Example.com:8080"
get_property(request.scheme) = OK "http"
get_property(request.method) = OK "GET"
get_property(request.protocol) = OK "HTTP/1.1"
get_property(request.referer) = OK "http://from/"
get_property(request.useragent) = OK "test/1.0"
get_property(request.id) = OK "abc-123"



=== TEST 2: request: what a request does not have; its id is then nginx's
--- plugin
request_headers get_property request.referer
request_headers get_property request.useragent
request_headers get_property request.query
request_headers get_property request.size
request_headers get_property request.id
request_headers get_property response.code
request_headers get_property upstream.address
request_headers get_property upstream.port
request_headers get_property response.backend_latency
--- plugin_log eval
qr/\Aget_property\(request.referer\) = NOT_FOUND
get_property\(request.useragent\) = NOT_FOUND
get_property\(request.query\) = OK ""
get_property\(request.size\) = OK 0x0{16}
get_property\(request.id\) = OK "[0-9a-f]{32}"
get_property\(response.code\) = NOT_FOUND
get_property\(upstream.address\) = NOT_FOUND
get_property\(upstream.port\) = NOT_FOUND
get_property\(response.backend_latency\) = NOT_FOUND
\z/



=== TEST 3: request and response: integers, 64 bits, little-endian
--- only_nginx: it counts the bytes on the wire
--- plugin
request_headers get_property request.size
request_headers get_property request.total_size
log get_property response.code
log get_property response.size
log get_property response.total_size
log get_property request.size
--- location
content_by_lua_block {
    ngx.status = 201
    ngx.header.content_length = 6
    ngx.say("hello")
}
--- request
POST /t
abc
--- error_code: 201
--- plugin_log eval
qr/\Aget_property\(request.size\) = OK 0x0300000000000000
get_property\(request.total_size\) = OK $::INTEGER
get_property\(response.code\) = OK 0xc900000000000000
get_property\(response.size\) = OK 0x1000000000000000
get_property\(response.total_size\) = OK 0x[0-9a-f]{4}000000000000
get_property\(request.size\) = OK 0x0300000000000000
\z/



=== TEST 4: request: when it began, and for how long, in nanoseconds
--- plugin
request_headers get_property request.time
log get_property request.time
log get_property request.duration
--- location
content_by_lua_block { ngx.sleep(0.05); ngx.say("hello") }
--- plugin_log eval
qr/\Aget_property\(request.time\) = OK $::INTEGER
get_property\(request.time\) = OK $::INTEGER
get_property\(request.duration\) = OK $::INTEGER
\z/



=== TEST 5: request: time and duration as numbers
--- plugin
response_headers into_header response x-time get_property request.time
response_headers into_header response x-duration get_property request.duration
--- plugin_options
property_encoding = "string",
--- config
    location = /drive {
        content_by_lua_block {
            local sock = dofile("$TOP/t/lib/client.lua").send("/t", "Connection: close\r\n")
            local head = sock:receive("*a")
            local time = tonumber(head:match("x%-time: (%d+)"))
            local duration = tonumber(head:match("x%-duration: (%d+)"))
            ngx.update_time()
            local age = ngx.now() - time / 1e9
            ngx.say(age >= 0 and age < 60, " ", duration >= 50e6 and duration < 60e9)
        }
    }
--- location
content_by_lua_block { ngx.sleep(0.06); ngx.say("hello") }
--- request
GET /drive
--- response_body
true true



=== TEST 6: connection: addresses with their ports, and the ports alone
--- plugin
request_headers get_property source.address
request_headers get_property source.port
request_headers get_property destination.address
request_headers get_property destination.port
request_headers get_property connection.id
request_headers get_property connection_id
request_headers get_property connection.mtls
request_headers get_property connection.tls_version
request_headers get_property connection.requested_server_name
request_headers get_property connection.subject_peer_certificate
--- plugin_log eval
qr/\Aget_property\(source.address\) = OK "127\.0\.0\.1:\d+"
get_property\(source.port\) = OK $::INTEGER
get_property\(destination.address\) = OK "127\.0\.0\.1:\d+"
get_property\(destination.port\) = OK $::INTEGER
get_property\(connection.id\) = OK $::INTEGER
get_property\(connection_id\) = OK $::INTEGER
get_property\(connection.mtls\) = OK 0x00
get_property\(connection.tls_version\) = NOT_FOUND
get_property\(connection.requested_server_name\) = OK ""
get_property\(connection.subject_peer_certificate\) = NOT_FOUND
\z/



=== TEST 7: string encoding: decimals, as another nginx host has them
--- plugin
response_headers into_header response x-source get_property source.port
response_headers into_header response x-destination get_property destination.port
response_headers into_header response x-address get_property destination.address
response_headers into_header response x-size get_property request.size
response_headers into_header response x-code get_property response.code
response_headers into_header response x-id get_property connection.id
response_headers into_header response x-mtls get_property connection.mtls
--- plugin_options
property_encoding = "string",
--- location
content_by_lua_block {
    ngx.header.x_expected = ngx.var.remote_port .. " " .. ngx.var.server_port .. " "
        .. ngx.var.connection
    ngx.say("hello")
}
--- config
    location = /drive {
        content_by_lua_block {
            local sock = dofile("$TOP/t/lib/client.lua").connect()
            sock:send("POST /t HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc")
            local head = sock:receive("*a")
            local function get(name)
                return head:lower():match("\nx%-" .. name .. ": ([^\r]*)")
            end
            ngx.say(get("source") .. " " .. get("destination") .. " " .. get("id") == get("expected"))
            ngx.say(get("address") == "127.0.0.1:" .. ngx.var.server_port)
            ngx.say(get("size"), " ", get("code"), " ", get("mtls"))
        }
    }
--- request
GET /drive
--- response_body
true
true
3 200 false



=== TEST 8: connection: TLS, with a certificate of the client's
--- plugin
request_headers get_property connection.tls_version
request_headers get_property connection.requested_server_name
request_headers get_property connection.mtls
request_headers get_property connection.subject_peer_certificate
request_headers get_property request.scheme
--- http_config eval
"
    server {
        listen unix:\$TEST_NGINX_HTML_DIR/tls.sock ssl;
        ssl_certificate $::CERTS/cert.pem;
        ssl_certificate_key $::CERTS/key.pem;
        ssl_client_certificate $::CERTS/cert.pem;
        ssl_verify_client optional;
        ssl_protocols TLSv1.2;

        location / {
            access_by_lua_block { chain:access() }
            content_by_lua_block { ngx.say(ngx.var.ssl_client_verify) }
        }
    }
"
--- config eval
"
    location = /outer {
        proxy_pass https://unix:\$TEST_NGINX_HTML_DIR/tls.sock:/t;
        proxy_ssl_server_name on;
        proxy_ssl_name tls.example;
        proxy_ssl_certificate $::CERTS/cert.pem;
        proxy_ssl_certificate_key $::CERTS/key.pem;
    }
"
--- request
GET /outer
--- response_body
SUCCESS
--- plugin_log
get_property(connection.tls_version) = OK "TLSv1.2"
get_property(connection.requested_server_name) = OK "tls.example"
get_property(connection.mtls) = OK 0x01
get_property(connection.subject_peer_certificate) = OK "CN=tls.example"
get_property(request.scheme) = OK "https"



=== TEST 9: upstream: address, port, latency
--- plugin
log get_property upstream.address
log get_property upstream.port
log get_property response.backend_latency
--- location
proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/other;
--- config
    location = /other {
        return 200 "hello\n";
    }
--- response_body
hello
--- plugin_log eval
my $port = Test::Nginx::Util::server_port();
my $encoded = CORE::unpack "H*", CORE::pack "Q<", $port;
qr/\Aget_property\(upstream.address\) = OK "127\.0\.0\.1:$port"
get_property\(upstream.port\) = OK 0x$encoded
get_property\(response.backend_latency\) = OK $::INTEGER
\z/



=== TEST 10: upstream: a unix socket has no port
--- plugin
log get_property upstream.port
--- backend
return 200 "hello\n";
--- plugin_log
get_property(upstream.port) = NOT_FOUND



=== TEST 11: headers: of request and response, in any case, pseudo ones too
--- plugin
response_headers get_property request.headers.x-one
response_headers get_property request.headers.X-ONE
response_headers get_property request.headers.:path
response_headers get_property request.headers.x-none
response_headers get_property response.headers.x-two
response_headers get_property response.headers.:status
response_headers get_property response.headers.content-type
response_headers get_property response.headers.:path
response_headers get_property request.headers.x-one.x
--- location
content_by_lua_block {
    ngx.header["X-Two"] = { "a", "b" }
    ngx.say("hello")
}
--- more_headers
X-One: 1
--- plugin_log
get_property(request.headers.x-one) = OK "1"
get_property(request.headers.X-ONE) = OK "1"
get_property(request.headers.:path) = OK "/t"
get_property(request.headers.x-none) = NOT_FOUND
get_property(response.headers.x-two) = OK "a,b"
get_property(response.headers.:status) = OK "200"
get_property(response.headers.content-type) = OK "text/plain"
get_property(response.headers.:path) = NOT_FOUND
get_property(request.headers.x-one.x) = NOT_FOUND



=== TEST 12: plugin: name, root id, VM id
--- plugin
configure get_property plugin_name
request_headers get_property plugin_name
request_headers get_property plugin_root_id
request_headers get_property plugin_vm_id
--- plugin_options
root_id = "my root",
vm_id = "my VM",
--- plugin_log
get_property(plugin_name) = OK "p"
get_property(plugin_name) = OK "p"
get_property(plugin_name) = OK "p"
get_property(plugin_root_id) = OK "my root"
get_property(plugin_vm_id) = OK "my VM"



=== TEST 13: plugin: without the options, the ids are empty
--- plugin
request_headers get_property plugin_root_id
request_headers get_property plugin_vm_id
--- plugin_log
get_property(plugin_root_id) = OK ""
get_property(plugin_vm_id) = OK ""



=== TEST 14: nginx: variables by ngx.* and by bare name, captures, unknown ones
--- plugin
request_headers get_property ngx.uri
request_headers get_property uri
request_headers get_property ngx.URI
request_headers get_property ngx.arg_a
request_headers get_property arg_a
request_headers get_property ngx.1
request_headers get_property ngx.host
request_headers get_property ngx.no_such_variable
request_headers get_property no_such_variable
request_headers get_property ngx.http_x_none
request_headers get_property ngx
request_headers get_property ngx.
--- location
set $captured "";
if ($uri ~ "^/(.)") {
    set $captured $1;
}
content_by_lua_block { ngx.say("hello") }
--- request
GET /t?a=b
--- plugin_log
get_property(ngx.uri) = OK "/t"
get_property(uri) = OK "/t"
get_property(ngx.URI) = OK "/t"
get_property(ngx.arg_a) = OK "b"
get_property(arg_a) = OK "b"
get_property(ngx.1) = OK "t"
get_property(ngx.host) = OK "localhost"
get_property(ngx.no_such_variable) = NOT_FOUND
get_property(no_such_variable) = NOT_FOUND
get_property(ngx.http_x_none) = NOT_FOUND
get_property(ngx) = NOT_FOUND
get_property(ngx.) = NOT_FOUND



=== TEST 15: set: nginx variables, and what nginx makes of them
--- plugin
request_headers set_property ngx.mine one
request_headers get_property ngx.mine
request_headers get_property mine
request_headers set_property yours two
request_headers get_property yours
request_headers set_property ngx.yours ""
request_headers get_property yours
request_headers set_property ngx.args x=y
request_headers get_property request.query
--- location
set $mine "";
set $yours "";
content_by_lua_block { ngx.say(ngx.var.mine, ";", ngx.var.yours, ";", ngx.var.args) }
--- response_body
one;;x=y
--- plugin_log
set_property(ngx.mine one) = OK
get_property(ngx.mine) = OK "one"
get_property(mine) = OK "one"
set_property(yours two) = OK
get_property(yours) = OK "two"
set_property(ngx.yours "") = OK
get_property(yours) = OK ""
set_property(ngx.args x=y) = OK
get_property(request.query) = OK "x=y"



=== TEST 16: set: nginx variables that cannot be, and a query that would end the request line
--- only_nginx: a variable that is there and cannot be set
--- plugin
request_headers set_property ngx.no_such_variable x
request_headers set_property ngx.remote_port 1
request_headers set_property remote_port 1
request_headers set_property ngx.args "a b"
request_headers set_property args "a\r\nx: 1"
request_headers get_property args
--- request
GET /t?old=1
--- plugin_log
cannot set the property no_such_variable: nginx has no such variable
set_property(ngx.no_such_variable x) = OK
cannot set the property remote_port: the nginx variable cannot be set, or not to this
set_property(ngx.remote_port 1) = OK
cannot set the property remote_port: the nginx variable cannot be set, or not to this
set_property(remote_port 1) = OK
cannot set the property args: the nginx variable cannot be set, or not to this
set_property(ngx.args "a b") = OK
cannot set the property args: the nginx variable cannot be set, or not to this
set_property(args "a\r\nx: 1") = OK
get_property(args) = OK "old=1"



=== TEST 17: set: attributes are read-only
--- plugin
request_headers set_property request.path /x
request_headers set_property request.size 1
request_headers set_property response.code 1
request_headers set_property connection_id 1
request_headers set_property request.headers.x-one 1
request_headers set_property response.headers.x-one 1
request_headers set_property plugin_name x
request_headers set_property plugin_root_id x
request_headers get_property request.path
--- plugin_log
cannot set the property request.path: it is read-only
set_property(request.path /x) = OK
cannot set the property request.size: it is read-only
set_property(request.size 1) = OK
cannot set the property response.code: it is read-only
set_property(response.code 1) = OK
cannot set the property connection_id: it is read-only
set_property(connection_id 1) = OK
cannot set the property request.headers.x-one: it is read-only
set_property(request.headers.x-one 1) = OK
cannot set the property response.headers.x-one: it is read-only
set_property(response.headers.x-one 1) = OK
cannot set the property plugin_name: it is read-only
set_property(plugin_name x) = OK
cannot set the property plugin_root_id: it is read-only
set_property(plugin_root_id x) = OK
get_property(request.path) = OK "/t"



=== TEST 18: set: own values, for this plugin and the ones behind it, to the end of the request
--- plugin
request_headers set_property my.value "one\0\xff"
request_headers set_property single two
request_headers set_property my.value.deep ""
request_headers get_property my.value
request_headers get_property my.value.deep
request_headers get_property my
--- plugin2
request_headers get_property my.value
request_headers get_property single
request_headers set_property my.value three
log get_property my.value
--- plugin_log
set_property(my.value "one\0\xff") = OK
set_property(single two) = OK
set_property(my.value.deep "") = OK
get_property(my.value) = OK 0x6f6e6500ff
get_property(my.value.deep) = OK ""
get_property(my) = NOT_FOUND
q: get_property(my.value) = OK 0x6f6e6500ff
q: get_property(single) = OK "two"
q: set_property(my.value three) = OK
q: get_property(my.value) = OK "three"



=== TEST 19: set: own values are not those of another request, also on the same connection
--- plugin
request_headers into_header response x-value get_property my.value
request_headers if_header x-set yes set_property my.value mine
response_headers into_header response x-after get_property my.value
--- pipelined_requests eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
["X-Set: yes", "", "X-Set: yes"]
--- response_headers eval
["x-value: NOT_FOUND\nx-after: mine", "x-value: NOT_FOUND\nx-after: NOT_FOUND", "x-value: NOT_FOUND\nx-after: mine"]



=== TEST 20: paths: a NUL at the end, an empty one, long ones; what is no attribute may be a variable ($request)
--- plugin
request_headers get_property_raw "request\0method\0"
request_headers get_property_raw ""
request_headers get_property_raw "\0"
request_headers get_property_raw "request\0"
request_headers get_property request
request_headers get_property request.unknown
request_headers get_property xds.unknown
request_headers get_property fill:5000:a.
request_headers set_property_raw "" x
request_headers get_property_raw ""
--- plugin_log
get_property_raw("request\0method\0") = OK "GET"
get_property_raw("") = NOT_FOUND
get_property_raw("\0") = NOT_FOUND
get_property_raw("request\0") = OK "GET /t HTTP/1.1"
get_property(request) = OK "GET /t HTTP/1.1"
get_property(request.unknown) = NOT_FOUND
get_property(xds.unknown) = NOT_FOUND
get_property(fill:5000:a.) = NOT_FOUND
set_property_raw("" x) = OK
get_property_raw("") = OK "x"



=== TEST 21: contexts: a root context has no request's
--- plugin
configure get_property request.path
configure get_property source.address
configure get_property ngx.uri
configure get_property my.value
configure set_property my.value x
configure set_property ngx.uri x
request_headers get_property my.value
--- plugin_log eval
my $root = "get_property(request.path) = NOT_FOUND\nget_property(source.address) = NOT_FOUND\n"
    . "get_property(ngx.uri) = NOT_FOUND\nget_property(my.value) = NOT_FOUND\n"
    . "cannot set the property my.value: there is no request here
set_property(my.value x) = OK\ncannot set the property ngx.uri: there is no request here
set_property(ngx.uri x) = OK\n";
"$root${root}get_property(my.value) = NOT_FOUND\n"



=== TEST 22: pointers: outside the memory
--- plugin
request_headers proxy_get_property 0xfffffff0 100 * *
request_headers proxy_get_property 16 0xffffffff * *
request_headers proxy_get_property "uri" 0xfffffffd *
request_headers proxy_get_property "uri" * 0xfffffffd
request_headers proxy_set_property 0xfffffff0 100 "x"
request_headers proxy_set_property "my" 16 0xffffffff
request_headers get_property my
--- plugin_log
proxy_get_property(0xfffffff0 100 * *) = INVALID_MEMORY_ACCESS
proxy_get_property(16 0xffffffff * *) = INVALID_MEMORY_ACCESS
proxy_get_property("uri" 0xfffffffd *) = INVALID_MEMORY_ACCESS
proxy_get_property("uri" * 0xfffffffd) = INVALID_MEMORY_ACCESS
proxy_set_property(0xfffffff0 100 "x") = INVALID_MEMORY_ACCESS
proxy_set_property("my" 16 0xffffffff) = INVALID_MEMORY_ACCESS
get_property(my) = NOT_FOUND



=== TEST 23: response: where it comes from, Envoy's flags and gRPC status, how many upstreams were asked
--- plugin
response_headers get_property response.code_details
response_headers get_property response.flags
response_headers get_property response.grpc_status
response_headers get_property upstream.request_attempt_count
--- backend
return 403 "no";
--- error_code: 403
--- plugin_log
get_property(response.code_details) = OK "via_upstream"
get_property(response.flags) = OK 0x0000000000000000
get_property(response.grpc_status) = OK 0x0700000000000000
get_property(upstream.request_attempt_count) = OK 0x0100000000000000



=== TEST 24: response: the gRPC status that the upstream gives, and what comes without an upstream
--- plugin
request_headers get_property response.flags
request_headers get_property response.grpc_status
response_headers get_property response.code_details
response_headers get_property response.flags
response_headers get_property response.grpc_status
response_headers get_property upstream.request_attempt_count
--- location
add_header grpc-status 5;
return 200 "hello\n";
--- plugin_log
get_property(response.code_details) = OK "direct_response"
get_property(response.flags) = OK 0x0000000000000000
get_property(response.grpc_status) = OK 0x0200000000000000
get_property(upstream.request_attempt_count) = OK 0x0000000000000000



=== TEST 25: response: an upstream that does not listen, hangs up, or is too slow
--- http_config
    upstream two {
        server 127.0.0.1:1;
        server 127.0.0.1:1;
    }
    server {
        listen unix:$TEST_NGINX_HTML_DIR/broken.sock;
        location /hangup { return 444; }
        location /slow { content_by_lua_block { ngx.sleep(5) } }
    }
--- plugin
response_headers into_header response x-details get_property response.code_details
response_headers into_header response x-flags get_property response.flags
response_headers into_header response x-attempts get_property upstream.request_attempt_count
--- plugin_options
property_encoding = "string",
--- location
proxy_read_timeout 100ms;
if ($arg_what = dead) { proxy_pass http://two; }
proxy_pass http://unix:$TEST_NGINX_HTML_DIR/broken.sock:/$arg_what;
--- request eval
["GET /t?what=dead", "GET /t?what=hangup", "GET /t?what=slow"]
--- error_code eval
[502, 502, 504]
--- response_headers eval
[
    "x-details: upstream_reset_before_response_started{connection_failure}\nx-flags: 32\nx-attempts: 2",
    "x-details: upstream_reset_before_response_started{connection_termination}\nx-flags: 64\nx-attempts: 1",
    "x-details: response_timeout\nx-flags: 4\nx-attempts: 1",
]
