# Host functions: HTTP fields of which there are many of one name. None of them
# is lost, whoever lists, joins, adds or removes.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $MANY = join '', map { sprintf "x-many: %03d\n", $_ } 1 .. 200;
our $ALL = join ',', map { sprintf "%03d", $_ } 1 .. 200;

my $list = join ', ', map { sprintf '"%03d"', $_ } 1 .. 200;

our $CONTENT = qq{content_by_lua_block {
    ngx.header["X-Many"] = { $list }
    ngx.header["Set-Cookie"] = { $list }
    ngx.print("abc")
}};

no_long_string();
run_tests();

__DATA__

=== TEST 1: request: 200 values of one name are listed, joined, and go on to the upstream
--- plugin
request_headers get_map_size request
request_headers get_property request.headers.x-many
request_headers add_header request x-many 201
request_headers get_map_size request
--- backend: echo
--- more_headers eval: $::MANY
--- response_body eval: "GET /t HTTP/1.1\nHost: localhost\n${main::MANY}x-many: 201\n"
--- plugin_log eval
qr/get_map_size\(request\) = OK (\d+)
get_property\(request.headers.x-many\) = OK .*799.*
add_header\(request x-many 201\) = OK
get_map_size\(request\) = OK (??{ $1 + 9 })
/



=== TEST 2: request: 200 values of one name are removed
--- plugin
request_headers remove_header request x-many
request_headers get_property request.headers.x-many
--- backend: echo
--- more_headers eval: $::MANY
--- response_body eval: "GET /t HTTP/1.1\nHost: localhost\n"
--- plugin_log
remove_header(request x-many) = OK
get_property(request.headers.x-many) = NOT_FOUND



=== TEST 3: response: 200 values of one name are joined, and reach the client
--- plugin
response_headers get_property response.headers.x-many
response_headers get_property response.headers.set-cookie
response_headers add_header response x-many 201
response_headers get_property response.headers.x-many
--- location eval: $::CONTENT
--- response_headers eval: "X-Many: " . ($::ALL =~ s/,/, /gr) . ", 201\nSet-Cookie: " . ($::ALL =~ s/,/, /gr)
--- plugin_log eval
qr/get_property\(response.headers.x-many\) = OK .*799.*
get_property\(response.headers.set-cookie\) = OK .*799.*
add_header\(response x-many 201\) = OK
get_property\(response.headers.x-many\) = OK .*803/



=== TEST 4: response: 200 values of one name are listed and removed
--- plugin
response_headers get_pairs response
response_headers remove_header response x-many
response_headers get_pairs response
--- location eval: $::CONTENT
--- response_headers
!X-Many
--- plugin_log eval
qr/get_pairs\(response\) = OK (\d+) .*
remove_header\(response x-many\) = OK
get_pairs\(response\) = OK (??{ $1 - 200 }) /



=== TEST 5: response: 200 values of one name have a line each
--- plugin
response_headers add_header response x-many 201
--- location eval: $::CONTENT
--- raw_response_headers_like eval: qr/(?:X-Many: \d+\s+){200}(?:.*\s+)*x-many: 201/
