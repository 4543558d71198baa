# What is different for modules of ABI 0.1.0 (src/hostcalls/headers.rs,
# buffers.rs, streams.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: missing header: OK and nothing; functions that later versions dropped
--- plugin_guest: abi_0_1_0
--- plugin chomp
the configuration
--- response_body
hello
--- plugin_log
request headers
missing header: 00
its size: 00
proxy_get_configuration: 00
the configuration
proxy_continue_request: 00
proxy_continue_response: 00
proxy_clear_route_cache: 00



=== TEST 2: header callbacks: three parameters where the export takes them
--- plugin_guest: abi_0_1_0_three
--- plugin
--- response_body
hello
--- plugin_log
request headers



=== TEST 3: callout: of an answer without trailers 7 is the headers; 8 is the trailers
--- plugin_guest: abi_0_1_0_callout
--- plugin
--- plugin_options
resume = "callouts",
--- callout
add_header x-a header;
return 200 "answer";
--- response_body
hello
--- plugin_log eval
"map 7, header:\nheader\nmap 7, trailer:\n\nmap 8, header:\n\nmap 8, trailer:\n\n"



=== TEST 4: callout: of an answer with trailers 7 is them, as in later SDKs
--- plugin_guest: abi_0_1_0_callout
--- plugin
--- plugin_options
resume = "callouts",
--- callout
add_header x-a header;
add_trailer x-t trailer;
content_by_lua_block { ngx.say("chunked") }
--- response_body
hello
--- plugin_log
map 7, header:

map 7, trailer:
trailer
map 8, header:

map 8, trailer:
trailer
