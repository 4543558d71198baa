# Host functions: properties (src/hostcalls/properties/): whole maps, and attributes beyond
# those that nginx has a variable for.

use lib 't/lib';
use TestProxyWasm 'no_plan';
use File::Temp ();

# A certificate that is its own authority, with names of several kinds.
our $CERTS = File::Temp::tempdir(CLEANUP => 1);
system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 "
    . "-subj /CN=tls.example -addext subjectAltName=URI:spiffe://trust/workload,DNS:one.example,"
    . "DNS:two.example -keyout $CERTS/key.pem -out $CERTS/cert.pem 2>/dev/null") == 0
    or die "openssl: $?";
our ($DIGEST) = `openssl x509 -in $CERTS/cert.pem -noout -fingerprint -sha256` =~ /=(.*)/
    or die "openssl: $?";
$DIGEST = lc($DIGEST =~ s/://gr);

# Pairs as a property has them: what the guest shows in hexadecimal.
sub map_of {
    my @pairs = @_;
    my ($sizes, $data) = ("", "");
    while (my ($key, $value) = splice(@pairs, 0, 2)) {
        $sizes .= pack("VV", length($key), length($value));
        $data .= "$key\0$value\0";
    }
    return "0x" . unpack("H*", pack("V", @_ / 2) . $sizes . $data);
}

no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: maps: the headers of a request, several values of a name as one
--- plugin
request_headers get_property request.headers
request_headers get_property request.headers.x-two
request_headers get_property request.headers_bytes
request_headers get_map_size request
--- more_headers
X-Two: a
X-Other: b
x-two: c
--- plugin_log eval
my $map = main::map_of(":authority", "localhost", ":path", "/t", ":method", "GET",
    ":scheme", "http", "connection", "close", "x-two", "a,c", "x-other", "b");
qq{get_property(request.headers) = OK $map
get_property(request.headers.x-two) = OK "a,c"
get_property(request.headers_bytes) = OK 0x5200000000000000
get_map_size(request) = OK 82
}



=== TEST 2: maps: the headers of a response, as they are being changed
--- plugin
request_headers get_property response.headers
request_headers get_property response.trailers
response_headers remove_header response content-type
response_headers set_header response x-three d
response_headers get_property response.headers
response_headers get_property response.headers.x-two
--- location
content_by_lua_block {
    ngx.header["X-Two"] = { "a", "b" }
    ngx.say("hello")
}
--- plugin_log eval
my $map = main::map_of(":status", "200", "x-two", "a,b", "x-three", "d");
qq{get_property(response.headers) = OK 0x00000000
get_property(response.trailers) = OK 0x00000000
remove_header(response content-type) = OK
set_header(response x-three d) = OK
get_property(response.headers) = OK $map
get_property(response.headers.x-two) = OK "a,b"
}



=== TEST 3: maps: trailers that the upstream announces, at the end of the response
--- plugin
response_headers get_property response.trailers
log get_property response.trailers
log get_property response.trailers.x-end
--- location
add_trailer X-End $http_x_in;
content_by_lua_block {
    ngx.header.Trailer = "X-End"
    ngx.say("hello")
}
--- more_headers
X-In: yes
--- plugin_log eval
my $map = main::map_of("x-end", "yes");
qq{get_property(response.trailers) = OK 0x00000000
get_property(response.trailers) = OK $map
get_property(response.trailers.x-end) = OK "yes"
}



=== TEST 4: proxy: what Envoy knows of itself and of its configuration, of a request
--- plugin
request_headers get_property xds.node
request_headers get_property xds.node.id
request_headers get_property xds.node.user_agent_name
request_headers get_property xds.node.metadata
request_headers get_property xds.node.metadata.NAME
request_headers get_property xds.node.locality.zone
request_headers get_property xds.route_name
request_headers get_property xds.route_metadata
request_headers get_property xds.route_metadata.filter_metadata
request_headers get_property xds.route_metadata.filter_metadata.x
request_headers get_property xds.virtual_host_name
request_headers get_property xds.filter_chain_name
request_headers get_property xds.listener_direction
request_headers get_property xds.listener_metadata
request_headers get_property xds.cluster_name
request_headers get_property xds.cluster_metadata
request_headers get_property xds.upstream_host_metadata
request_headers get_property metadata
request_headers get_property metadata.filter_metadata
request_headers get_property metadata.filter_metadata.x
request_headers get_property node
request_headers get_property listener_direction
request_headers get_property source
--- plugin_log
get_property(xds.node) = OK 0x32056e67696e78
get_property(xds.node.id) = OK ""
get_property(xds.node.user_agent_name) = OK "nginx"
get_property(xds.node.metadata) = OK 0x00000000
get_property(xds.node.metadata.NAME) = NOT_FOUND
get_property(xds.node.locality.zone) = OK ""
get_property(xds.route_name) = OK ""
get_property(xds.route_metadata) = OK ""
get_property(xds.route_metadata.filter_metadata) = OK 0x00000000
get_property(xds.route_metadata.filter_metadata.x) = NOT_FOUND
get_property(xds.virtual_host_name) = OK "localhost"
get_property(xds.filter_chain_name) = OK ""
get_property(xds.listener_direction) = OK 0x0000000000000000
get_property(xds.listener_metadata) = OK ""
get_property(xds.cluster_name) = NOT_FOUND
get_property(xds.cluster_metadata) = OK ""
get_property(xds.upstream_host_metadata) = NOT_FOUND
get_property(metadata) = OK ""
get_property(metadata.filter_metadata) = OK 0x00000000
get_property(metadata.filter_metadata.x) = NOT_FOUND
get_property(node) = NOT_FOUND
get_property(listener_direction) = NOT_FOUND
get_property(source) = NOT_FOUND



=== TEST 5: proxy: of it, a root context has what is no request's
--- plugin
configure get_property xds.node.user_agent_name
configure get_property xds.node.id
configure get_property xds.node.unknown
configure get_property xds.route_name
configure get_property metadata
--- plugin_log eval
my $once = qq{get_property(xds.node.user_agent_name) = OK "nginx"
get_property(xds.node.id) = OK ""
get_property(xds.node.unknown) = NOT_FOUND
get_property(xds.route_name) = NOT_FOUND
get_property(metadata) = NOT_FOUND
};
"$once$once"



=== TEST 6: proxy: as text
--- plugin
request_headers get_property xds.listener_direction
request_headers get_property request.headers_bytes
--- plugin_options
property_encoding = "string",
--- plugin_log
get_property(xds.listener_direction) = OK "0"
get_property(request.headers_bytes) = OK "62"



=== TEST 7: set: attributes of these kinds are read-only, names beside them are the plugin's
--- plugin
request_headers set_property xds.route_name mine
request_headers get_property xds.route_name
request_headers set_property xds.node.id mine
request_headers get_property xds.node.id
request_headers set_property metadata mine
request_headers get_property metadata
request_headers set_property xds.mine mine
request_headers get_property xds.mine
--- plugin_log
cannot set the property xds.route_name: it is read-only
set_property(xds.route_name mine) = OK
get_property(xds.route_name) = OK ""
cannot set the property xds.node.id: it is read-only
set_property(xds.node.id mine) = OK
get_property(xds.node.id) = OK ""
cannot set the property metadata: it is read-only
set_property(metadata mine) = OK
get_property(metadata) = OK ""
set_property(xds.mine mine) = OK
get_property(xds.mine) = OK "mine"



=== TEST 8: filter state: what plugins have set, by the name that Envoy gives it
--- plugin
request_headers get_property_raw "filter_state\0wasm.mine"
request_headers set_property mine value
request_headers get_property_raw "filter_state\0wasm.mine"
request_headers get_property_raw "filter_state\0mine"
request_headers get_property_raw "filter_state\0wasm."
request_headers get_property filter_state
request_headers get_property_raw "upstream_filter_state\0wasm.mine"
--- plugin2
request_headers get_property_raw "filter_state\0wasm.mine"
--- plugin_log
get_property_raw("filter_state\0wasm.mine") = NOT_FOUND
set_property(mine value) = OK
get_property_raw("filter_state\0wasm.mine") = OK "value"
get_property_raw("filter_state\0mine") = NOT_FOUND
get_property_raw("filter_state\0wasm.") = NOT_FOUND
get_property(filter_state) = NOT_FOUND
get_property_raw("upstream_filter_state\0wasm.mine") = NOT_FOUND
q: get_property_raw("filter_state\0wasm.mine") = OK "value"



=== TEST 9: upstream: the last of several, and how it was reached
--- http_config
    upstream two {
        server 127.0.0.1:1;
        server unix:$TEST_NGINX_HTML_DIR/up.sock backup;
    }
    server {
        listen unix:$TEST_NGINX_HTML_DIR/up.sock;
        return 200 "hello\n";
    }
--- plugin
request_headers get_property upstream.locality
request_headers get_property upstream.transport_failure_reason
request_headers get_property upstream.request_attempt_count
request_headers get_property upstream.cx_pool_ready_duration
response_headers get_property upstream.address
response_headers get_property upstream.locality
response_headers get_property upstream.transport_failure_reason
response_headers get_property upstream.request_attempt_count
response_headers get_property upstream.cx_pool_ready_duration
--- location
proxy_pass http://two;
--- response_body
hello
--- plugin_log eval
qr{\Aget_property\(upstream.locality\) = NOT_FOUND
get_property\(upstream.transport_failure_reason\) = NOT_FOUND
get_property\(upstream.request_attempt_count\) = OK 0x0000000000000000
get_property\(upstream.cx_pool_ready_duration\) = NOT_FOUND
get_property\(upstream.address\) = OK "unix:/\S+/up\.sock"
get_property\(upstream.locality\) = OK ""
get_property\(upstream.transport_failure_reason\) = OK ""
get_property\(upstream.request_attempt_count\) = OK 0x0200000000000000
get_property\(upstream.cx_pool_ready_duration\) = OK 0x[0-9a-f]{16}
\z}



=== TEST 10: upstream: one that is not reached
--- plugin
response_headers get_property upstream.transport_failure_reason
--- location
proxy_pass http://127.0.0.1:1;
--- error_code: 502
--- plugin_log
get_property(upstream.transport_failure_reason) = OK "connection failure"



=== TEST 11: connection: names in the client's certificate, and its digest
--- plugin
request_headers get_property connection.dns_san_peer_certificate
request_headers get_property connection.uri_san_peer_certificate
request_headers get_property connection.sha256_peer_certificate_digest
request_headers get_property connection.subject_local_certificate
--- http_config eval
"
    server {
        listen unix:\$TEST_NGINX_HTML_DIR/tls.sock ssl;
        ssl_certificate $::CERTS/cert.pem;
        ssl_certificate_key $::CERTS/key.pem;
        ssl_verify_client optional_no_ca;

        location / {
            access_by_lua_block { chain:access() }
            content_by_lua_block { ngx.say('hello') }
        }
    }
"
--- config eval
"
    location = /with {
        proxy_pass https://unix:\$TEST_NGINX_HTML_DIR/tls.sock:/t;
        proxy_ssl_certificate $::CERTS/cert.pem;
        proxy_ssl_certificate_key $::CERTS/key.pem;
    }
"
--- request
GET /with
--- plugin_log eval
qq{get_property(connection.dns_san_peer_certificate) = OK "one.example"
get_property(connection.uri_san_peer_certificate) = OK "spiffe://trust/workload"
get_property(connection.sha256_peer_certificate_digest) = OK "$::DIGEST"
get_property(connection.subject_local_certificate) = NOT_FOUND
}



=== TEST 12: connection: without a certificate there are no names
--- plugin
request_headers get_property connection.dns_san_peer_certificate
request_headers get_property connection.uri_san_peer_certificate
request_headers get_property connection.sha256_peer_certificate_digest
--- plugin_log
get_property(connection.dns_san_peer_certificate) = NOT_FOUND
get_property(connection.uri_san_peer_certificate) = NOT_FOUND
get_property(connection.sha256_peer_certificate_digest) = NOT_FOUND



=== TEST 13: request.query: of the path that the plugin has set
--- plugin
request_headers get_property request.query
request_headers set_header request :path /new?z=9
request_headers get_property request.query
request_headers get_property request.path
request_headers set_header request :path /new
request_headers get_property request.query
--- request
GET /t?q=1
--- plugin_log
get_property(request.query) = OK "q=1"
set_header(request :path /new?z=9) = OK
get_property(request.query) = OK "z=9"
get_property(request.path) = OK "/new?z=9"
set_header(request :path /new) = OK
get_property(request.query) = OK ""
