# Where a plugin may call at all: its upstreams, and what the operator allows.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $SERVER = '
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        location / { return 200 "$http_host"; }
    }
';

no_long_string();
run_tests();

__DATA__

=== TEST 1: allowed: by default no address, and the log says once what to do
--- plugin
request_headers http_call 127.0.0.1:$TEST_NGINX_RAND_PORT_1 1000 :authority=a
request_headers http_call 127.0.0.1:$TEST_NGINX_RAND_PORT_1 1000 :authority=a
request_headers http_call other.example 1000 :authority=a
--- grep_error_log eval: qr/= [A-Z]\w+|a callout to .*?(?=,? (?:client|while))/
--- grep_error_log_out
a callout to "127.0.0.1:$TEST_NGINX_RAND_PORT_1" is refused: no upstream of the plugin has this name (option "upstreams"), and the option "callouts" does not allow it as an address
= BAD_ARGUMENT
= BAD_ARGUMENT
a callout to "other.example" is refused: no upstream of the plugin has this name (option "upstreams"), and the option "callouts" does not allow it as an address
= BAD_ARGUMENT



=== TEST 2: allowed: no more than sixteen lines for a plugin that tries them all
--- plugin
request_headers http_call a1 1000 :authority=a
request_headers http_call a2 1000 :authority=a
request_headers http_call a3 1000 :authority=a
request_headers http_call a4 1000 :authority=a
request_headers http_call a5 1000 :authority=a
request_headers http_call a6 1000 :authority=a
request_headers http_call a7 1000 :authority=a
request_headers http_call a8 1000 :authority=a
request_headers http_call a9 1000 :authority=a
request_headers http_call b1 1000 :authority=a
request_headers http_call b2 1000 :authority=a
request_headers http_call b3 1000 :authority=a
request_headers http_call b4 1000 :authority=a
request_headers http_call b5 1000 :authority=a
request_headers http_call b6 1000 :authority=a
request_headers http_call b7 1000 :authority=a
request_headers http_call b8 1000 :authority=a
--- error_log
a callout to "b7" is refused
--- no_error_log
a callout to "b8" is refused



=== TEST 3: allowed: any
--- plugin
request_headers http_call 127.0.0.1:$TEST_NGINX_RAND_PORT_1 5000 :authority=a.example
request_headers pause
http_call_response get_body call_body
http_call_response continue request
--- plugin_options
callouts = "any",
--- http_config eval: $::SERVER
--- plugin_log
http_call(127.0.0.1:$TEST_NGINX_RAND_PORT_1 5000 :authority=a.example) = OK 1
get_body(call_body) = OK "a.example"
continue(request) = OK



=== TEST 4: allowed: a list of hosts
--- plugin
request_headers http_call 127.0.0.1:$TEST_NGINX_RAND_PORT_1 1000 :authority=a
request_headers http_call 127.0.0.1:$TEST_NGINX_RAND_PORT_2 1000 :authority=a
request_headers http_call 127.0.0.2:1 1000 :authority=a
request_headers http_call http://127.0.0.2 1000 :authority=a
request_headers http_call unix:/a 1000 :authority=a
request_headers http_call unix:/b 1000 :authority=a
request_headers http_call example 1000 :authority=a
request_headers http_call a.b.EXAMPLE. 1000 :authority=a
request_headers http_call badexample 1000 :authority=a
request_headers http_call [0:0::1] 1000 :authority=a
request_headers http_call [::2] 1000 :authority=a
request_headers http_call a.b.test 1000 :authority=a :scheme=https
request_headers http_call a.b.test 1000 :authority=a
--- plugin_options
callouts = { "127.0.0.1:$TEST_NGINX_RAND_PORT_1", "127.0.0.2", "unix:/a", "*.example", "[::1]", "*.test:443" },
--- grep_error_log eval: qr/= (?:OK|BAD_ARGUMENT)/
--- grep_error_log_out
= OK
= BAD_ARGUMENT
= OK
= OK
= OK
= BAD_ARGUMENT
= BAD_ARGUMENT
= OK
= BAD_ARGUMENT
= OK
= BAD_ARGUMENT
= OK
= BAD_ARGUMENT



=== TEST 5: allowed: an upstream's own address is not, without its name
--- plugin
request_headers http_call side 1000 :authority=a
request_headers http_call 127.0.0.1:$TEST_NGINX_RAND_PORT_1 1000 :authority=a
--- plugin_options
upstreams = { side = "127.0.0.1:$TEST_NGINX_RAND_PORT_1" },
--- http_config eval: $::SERVER
--- grep_error_log eval: qr/= (?:OK|BAD_ARGUMENT)/
--- grep_error_log_out
= OK
= BAD_ARGUMENT



=== TEST 6: allowed: what is wrong with the option is said when the plugin is loaded
--- config
    location = /t {
        content_by_lua_block {
            local wasm = require "resty.proxy_wasm"
            for _, callouts in ipairs {
                "none", true, { 1 }, { "" }, { "a\nb" }, { a = true }, { "any" }, { "a b" }, { "*.unix:/x" }, { "http://a" }, { "a:0" },
                { "*" }, {}, "any", "upstreams", { "*.a", "b:1" },
            } do
                local ran, plugin, err = pcall(wasm.load, "p", "$GUESTS/hostcalls.wasm",
                                               { callouts = callouts })
                ngx.say(ran and (plugin and "loaded" or (err:gsub("pattern: .*", "pattern: …"))) or plugin)
            end
        }
    }
--- response_body
plugin "p": option "callouts" must be "upstreams", "any", or a list of hosts, not "none"
plugin "p": option "callouts" must be "upstreams", "any", or a list of hosts, not true
plugin "p": option "callouts" must be a list of hosts, each a string such as "host:port", not 1
plugin "p": option "callouts" must be a list of hosts, each a string such as "host:port", not ""
plugin "p": option "callouts" must be a list of hosts, each a string such as "host:port", not "a\x0ab"
plugin "p": option "callouts" must be a list of hosts, without keys such as "a"
plugin "p": option "callouts" must be "any" itself, not a list with it; in a list stand hosts
plugin "p": option "callouts": "a b" is no pattern: …
plugin "p": option "callouts": "*.unix:/x" is no pattern: …
plugin "p": option "callouts": "http://a" is no pattern: …
plugin "p": option "callouts": "a:0" is no pattern: …
loaded
loaded
loaded
loaded
loaded
