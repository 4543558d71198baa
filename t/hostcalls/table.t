# What holds for all host functions: imports that nobody has, what is not built,
# pointers, maps (src/hostcalls/table.rs, src/plugin/link.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: unknown: named once, at load; calls answer 12
--- plugin_guest: unknown_imports
--- plugin
--- response_body
hello
--- grep_error_log eval: qr/p: \Kimports that a stub answers: .*/
--- grep_error_log_out
imports that a stub answers: env.proxy_get_secret is unknown, env.proxy_kv_store_get is unknown, env.proxy_dictionary_get is unknown, env.no_result is unknown, env.wide_result is unknown, another_module.function is unknown
--- error_log
proxy_get_secret: 12
proxy_kv_store_get: 12
proxy_dictionary_get: 12
another_module.function: 12



=== TEST 2: signatures: other than the specification's answer 12
--- plugin_guest: import_arity
--- plugin
--- response_body
hello
--- plugin_log
proxy_get_log_level: 12
proxy_get_metric: 12
proxy_grpc_call: 12
proxy_grpc_stream: 12
--- error_log
env.proxy_get_log_level has another signature here
env.proxy_done has another signature here



=== TEST 3: not built: a row that is not answers UNIMPLEMENTED
--- plugin_guest: unbuilt_imports
--- plugin
--- response_body
hello
--- plugin_log
proxy_remove_metric: 12
proxy_delete_timer: 12
--- error_log
env.proxy_remove_metric is not implemented, env.proxy_delete_timer is not implemented



=== TEST 4: pointers: at the edges of the memory, unaligned ones, and empty ones anywhere
--- plugin_guest: pointers
--- plugin
--- response_body
hello
--- plugin_log
proxy_log(text): 06
proxy_log(size): 06
get_header(key): 06
get_header(key size): 06
get_header(data): 06
get_header(size): 06
get_header(unaligned): 00
add_header(value): 06
get_pairs(data): 06
set_pairs(map): 06
get_property(path): 06
get_buffer(data): 06
set_buffer(data): 06
local_response(body): 06
local_response(headers): 06
http_call(upstream): 06
http_call(token): 06
shared_get(cas): 06
shared_set(value): 06
define_metric(id): 06
time: 06

empty at the end: 00

empty beyond the end: 00



=== TEST 5: maps: those that contradict themselves are bad arguments of a callout and change no headers; every way to say empty is none
--- plugin_guest: maps
--- plugin
--- response_body
hello
--- plugin_log
a callout to "auth" is refused: its map of headers or trailers is malformed
count without pairs: 02
a callout to "auth" is refused: its map of headers or trailers is malformed
count beyond the end: 02
a callout to "auth" is refused: its map of headers or trailers is malformed
key beyond the end: 02
a callout to "auth" is refused: its map of headers or trailers is malformed
sizes that wrap around: 02
a callout to "auth" is refused: its map of headers or trailers is malformed
no NUL after the key: 02
a callout to "auth" is refused: its map of headers or trailers is malformed
no NUL at the end: 02
a callout to "auth" is refused: its map of headers or trailers is malformed
bytes at the end: 02
a callout to "auth" is refused: its map of headers or trailers is malformed
three bytes: 02
a callout to "auth" is refused: its headers cannot be sent: they must have :method, :path and :authority, each once, and nothing that would end a line
a single zero: 02
a callout to "auth" is refused: its headers cannot be sent: they must have :method, :path and :authority, each once, and nothing that would end a line
four zeros: 02
a map of headers is refused: it is malformed
count without pairs: 00
a map of headers is refused: it is malformed
count beyond the end: 00
a map of headers is refused: it is malformed
key beyond the end: 00
a map of headers is refused: it is malformed
sizes that wrap around: 00
a map of headers is refused: it is malformed
no NUL after the key: 00
a map of headers is refused: it is malformed
no NUL at the end: 00
a map of headers is refused: it is malformed
bytes at the end: 00
a map of headers is refused: it is malformed
three bytes: 00
a single zero: 00
four zeros: 00
