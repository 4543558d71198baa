# Host functions: shared data (src/hostcalls/shared_data.rs, src/shared/data.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: shared data: a value comes back with its cas
--- plugin
request_headers shared_get key
request_headers shared_set key one
request_headers shared_get key
request_headers shared_set key ""
request_headers shared_get key
--- plugin_log
shared_get(key) = NOT_FOUND
shared_set(key one) = OK
shared_get(key) = OK "one" 1
shared_set(key "") = OK
shared_get(key) = OK "" 2



=== TEST 2: compare-and-swap: Envoy's rule, 0 sets unconditionally
--- plugin
request_headers shared_set key one 7
request_headers shared_get key
request_headers shared_set key two cas
request_headers shared_set key three 1
request_headers shared_set key four 0
request_headers shared_get key
--- plugin_log
shared_set(key one 7) = OK
shared_get(key) = OK "one" 1
shared_set(key two cas) = OK
shared_set(key three 1) = CAS_MISMATCH
shared_set(key four 0) = OK
shared_get(key) = OK "four" 3



=== TEST 3: scope: another plugin does not see it, one with the same vm_id does
--- plugin
request_headers shared_set key mine
--- plugin_options
vm_id = "shared"
--- plugin2
request_headers shared_get key
--- plugin2_options
vm_id = "shared"
--- plugin_log
shared_set(key mine) = OK
q: shared_get(key) = OK "mine" 1



=== TEST 4: scope: a plugin's own by default
--- plugin
request_headers shared_set key mine
--- plugin2
request_headers shared_get key
--- plugin_log
shared_set(key mine) = OK
q: shared_get(key) = NOT_FOUND



=== TEST 5: a full dict: an error, logged, and what was there stays
--- http_config
lua_shared_dict proxy_wasm 64k;
--- plugin
request_headers shared_set key kept
request_headers shared_set big fill:100000:x
request_headers shared_get key
request_headers shared_get big
--- error_log
shared state is full: give lua_shared_dict proxy_wasm more room
shared_set(big fill:100000:x) = INTERNAL_FAILURE
shared_get(key) = OK "kept" 1
shared_get(big) = NOT_FOUND



=== TEST 6: pointers: outputs are checked before anything is stored
--- plugin
request_headers proxy_get_shared_data "key" 0xfffffff0 0xfffffff0 *
request_headers proxy_set_shared_data 0xfffffff0 100 "x" 0
request_headers proxy_set_shared_data "key" 0xfffffff0 100 0
request_headers shared_get key
--- plugin_log
proxy_get_shared_data("key" 0xfffffff0 0xfffffff0 *) = INVALID_MEMORY_ACCESS
proxy_set_shared_data(0xfffffff0 100 "x" 0) = INVALID_MEMORY_ACCESS
proxy_set_shared_data("key" 0xfffffff0 100 0) = INVALID_MEMORY_ACCESS
shared_get(key) = NOT_FOUND



=== TEST 7: limits: keys and values over them are bad arguments
--- plugin
request_headers shared_set fill:40000:k x
request_headers shared_set key fill:1048577:x
--- plugin_log
shared_set(fill:40000:k x) = BAD_ARGUMENT
shared_set(key fill:1048577:x) = BAD_ARGUMENT
