# Upstreams by name: their nodes, in turn, and those of all plugins.

use lib 't/lib';
use TestProxyWasm 'no_plan';

use IO::Socket::INET;

# Its queue of connections is full.
our $server = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die $!;
our $port = $server->sockport;
our @clients = map {
    IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Blocking => 0, Timeout => 0.1)
} 1 .. 8;

our $TWO = '
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        location / { return 200 "one"; }
    }
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_2;
        location / { return 200 "two"; }
    }
';

# Callouts one after another, and what each answers.
our $FOUR = '
request_headers http_call svc 5000
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call svc 5000
http_call_response nth 2 http_call svc 5000
http_call_response nth 3 http_call svc 5000
http_call_response nth 4 continue request
';

our $ONE = '
request_headers http_call svc 5000
request_headers pause
http_call_response get_body call_body
http_call_response continue request
';

our $FAILED = qr/a callout to .*? failed: .*?(?=, client: )|get_body.*?"[^"]*"/;

# A port that nobody listens on, as 1 is reserved.
our $DEAD = '127.0.0.1:1';

# nginx has lines of its own for each failed connect.
add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value('http_config', ($block->http_config || '') . "lua_socket_log_errors off;\n")
        if defined $block->plugin;
});

no_long_string();
run_tests();

__DATA__

=== TEST 1: nodes: take turns
--- plugin eval: $::FOUR
--- plugin_options
upstreams = {
    svc = { "127.0.0.1:$TEST_NGINX_RAND_PORT_1", "http://127.0.0.1:$TEST_NGINX_RAND_PORT_2" },
},
--- http_config eval: $::TWO
--- grep_error_log eval: qr/get_body.*?"[^"]*"/
--- grep_error_log_out eval
qr/^(?:(?:.*"one"\n.*"two"\n){2}|(?:.*"two"\n.*"one"\n){2})$/



=== TEST 2: nodes: one that cannot be reached is passed over, and then left alone
--- plugin eval: $::FOUR
--- plugin_options eval
"upstreams = { svc = { \"$::DEAD\", \"127.0.0.1:\$TEST_NGINX_RAND_PORT_1\", \"$::DEAD\" } },"
--- http_config eval: $::TWO
--- grep_error_log eval: $::FAILED
--- grep_error_log_out eval
qr{^(?:a callout to "svc" at http://127.0.0.1:1 failed: connect: connection refused; it goes on to http://\S+\n){0,2}(?:get_body.*"one"\n){1,2}(?:a callout to "svc" at http://127.0.0.1:1 failed: connect: connection refused; it goes on to http://\S+\n){0,2}(?:get_body.*"one"\n){1,4}$}
--- no_error_log
[error]



=== TEST 3: nodes: none of them can be reached
--- plugin eval: $::ONE
--- plugin_options eval
"upstreams = { svc = { \"$::DEAD\", \"unix:/nowhere/at/all\" } },"
--- response_body
hello
--- grep_error_log eval: qr/a callout to "svc" at \S+ failed: connect:/
--- grep_error_log_out eval
qr/^(?:.*\n){2}$/
--- error_log
get_body(call_body) = OK ""



=== TEST 4: nodes: those that rest are tried when the others fail, too
--- plugin
request_headers http_call svc 5000
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call svc 5000
http_call_response nth 2 continue request
--- plugin_options eval
"upstreams = { svc = { \"$::DEAD\", \"unix:/nowhere/at/all\" } },"
--- grep_error_log eval: qr/a callout to "svc" at \S+ failed: connect: .*/
--- grep_error_log_out eval
qr/^(?:.*; it goes on to .*\n.* failed: connect: [^;]*\n){2}$/



=== TEST 5: nodes: one that closes without an answer: a GET goes on to the next
--- plugin eval: $::FOUR
--- plugin_options
upstreams = { svc = { "127.0.0.1:$TEST_NGINX_RAND_PORT_1", "127.0.0.1:$TEST_NGINX_RAND_PORT_3" } },
--- http_config eval
$::TWO . '
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_3;
        location / { return 444; }
    }
'
--- grep_error_log eval: qr/failed: .*; it goes on|get_body.*?"[^"]*"/
--- grep_error_log_out eval
qr/^(?=(?:.*\n)*failed: receive: closed; it goes on\n)(?=(?:(?:.*\n)*?.*"one"){4})/
--- no_error_log
[error]



=== TEST 6: nodes: one that closes without an answer: a POST goes nowhere else
--- plugin
request_headers http_call svc 5000 :method=POST
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call svc 5000 :method=POST
http_call_response nth 2 continue request
--- plugin_options
upstreams = { svc = { "127.0.0.1:$TEST_NGINX_RAND_PORT_1", "127.0.0.1:$TEST_NGINX_RAND_PORT_3" } },
--- http_config eval
$::TWO . '
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_3;
        location / { return 444; }
    }
'
--- grep_error_log eval: qr/a callout to "svc" at \S+ \Kfailed: .*?(?=, client: )|get_body.*?"[^"]*"/
--- grep_error_log_out eval
qr/^(?=(?:.*\n)*failed: receive: closed\n)(?=(?:.*\n)*.*"one")(?=(?:.*\n)*.*"")/
--- no_error_log
it goes on



=== TEST 7: nodes: one that does not take the connection gets its share of the time only
--- plugin
request_headers http_call svc 4000
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call svc 4000
http_call_response nth 2 continue request
--- plugin_options eval
"upstreams = { svc = { \"127.0.0.1:$::port\", \"127.0.0.1:\$TEST_NGINX_RAND_PORT_1\" } },"
--- http_config eval: $::TWO
--- timeout: 20
--- error_log
failed: connect: timeout; it goes on
--- grep_error_log eval: qr/get_body.*?"[^"]*"/
--- grep_error_log_out
get_body(call_body) = OK "one"
get_body(call_body) = OK "one"
--- no_error_log
[error]



=== TEST 8: upstreams: for all plugins, but for those that have their own
--- prepare
local wasm = require "resty.proxy_wasm"
wasm.upstreams { svc = "127.0.0.1:1", other = "127.0.0.1:1" }
wasm.upstreams { svc = { "127.0.0.1:$TEST_NGINX_RAND_PORT_1" } }
--- plugin eval
"$::ONE
request_headers http_call other 1000
"
--- plugin2 eval: $::ONE
--- plugin2_options
upstreams = { svc = "127.0.0.1:$TEST_NGINX_RAND_PORT_2" },
--- http_config eval: $::TWO
--- grep_error_log eval: qr/\w: (?:get_body|http_call).* = (?:OK "[^"]*"|BAD_ARGUMENT)/
--- grep_error_log_out
p: http_call(other 1000) = BAD_ARGUMENT
p: get_body(call_body) = OK "one"
q: get_body(call_body) = OK "two"



=== TEST 9: upstreams: what is wrong with them is said when they are defined, with the name
--- config
    location = /t {
        content_by_lua_block {
            local wasm = require "resty.proxy_wasm"
            local function try(upstreams)
                local ran, err = pcall(wasm.upstreams, upstreams)
                ngx.say("all: ", ran and "fine" or err)
                local plugin
                ran, plugin, err = pcall(wasm.load, "p", "$GUESTS/hostcalls.wasm",
                                         { upstreams = upstreams })
                ngx.say("own: ", ran and (plugin and "fine" or err) or plugin)
            end
            try("auth")
            try { "127.0.0.1:80" }
            try { auth = 80 }
            try { auth = {} }
            try { auth = { 80 } }
            try { auth = { "a:80", port = 80 } }
            try { auth = { "a:80", tls = "yes" } }
            try { auth = "" }
            try { auth = "a b" }
            try { auth = { "a:80", "a:0" } }
            try { auth = { "a", sni = "x y" } }
            try { auth = { "a", "https://b", tls = true, verify = false, sni = "x.example" } }
            wasm.upstreams {}
        }
    }
--- response_body
all: upstreams must be a table, not "auth"
own: plugin "p": option "upstreams" must be a table, not "auth"
all: upstreams: must map names, which are strings, to upstreams, not 1
own: plugin "p": option "upstreams": must map names, which are strings, to upstreams, not 1
all: upstreams: "auth" must be an address or a table with addresses, not 80
own: plugin "p": option "upstreams": "auth" must be an address or a table with addresses, not 80
all: upstreams: "auth" has no address: they are its list part, { "host:port", … }
own: plugin "p": option "upstreams": "auth" has no address: they are its list part, { "host:port", … }
all: upstreams: "auth" must have addresses that are strings, not 80
own: plugin "p": option "upstreams": "auth" must have addresses that are strings, not 80
all: upstreams: "auth" has the unknown field "port", known are: ca, cert, key, sni, tls, verify
own: plugin "p": option "upstreams": "auth" has the unknown field "port", known are: ca, cert, key, sni, tls, verify
all: upstreams: "auth" must have a boolean as its field "tls", not "yes"
own: plugin "p": option "upstreams": "auth" must have a boolean as its field "tls", not "yes"
all: upstream "auth": "": the upstream address is empty
own: plugin "p": upstream "auth": "": the upstream address is empty
all: upstream "auth": "a b": the upstream address has spaces, control characters or is not UTF-8
own: plugin "p": upstream "auth": "a b": the upstream address has spaces, control characters or is not UTF-8
all: upstream "auth": "a:0": the upstream address's port is not a number from 1 to 65535
own: plugin "p": upstream "auth": "a:0": the upstream address's port is not a number from 1 to 65535
all: upstream "auth": "x y" is no name for sni
own: plugin "p": upstream "auth": "x y" is no name for sni
all: fine
own: fine
