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
--- plugin_options: max_shared_bytes = 2^30,
--- plugin
request_headers shared_set key kept
request_headers shared_set big fill:100000:x
request_headers shared_get key
request_headers shared_get big
--- error_log
shared state is full: give lua_shared_dict proxy_wasm more room
shared_set(big fill:100000:x) = CAS_MISMATCH
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



=== TEST 7: limits: keys and values over them are refused, and not to be tried for ever
--- plugin
request_headers shared_set fill:40000:k x
request_headers shared_set key fill:1048577:x
request_headers repeat 15 shared_set key fill:1048577:x
request_headers shared_set key fill:1048577:y
request_headers shared_set key small
request_headers shared_set key fill:1048577:y
log shared_set key fill:1048577:z
--- plugin_log eval
my $refused = "a value of the shared data is refused: it, or its key, is too large\n";
"${refused}shared_set(fill:40000:k x) = CAS_MISMATCH\n"
    . ("${refused}shared_set(key fill:1048577:x) = CAS_MISMATCH\n" x 16)
    . "${refused}shared_set(key fill:1048577:y) = INTERNAL_FAILURE\n"
    . "shared_set(key small) = OK\n"
    . "${refused}shared_set(key fill:1048577:y) = CAS_MISMATCH\n"
    . "${refused}shared_set(key fill:1048577:z) = CAS_MISMATCH\n"



=== TEST 8: a full dict: a value that cannot grow stays as it was
--- plugin
configure shared_set key kept
request_headers shared_set key fill:5000:x
request_headers shared_get key
request_headers shared_set key same
request_headers shared_get key
--- location
set_by_lua_block $filled {
    local dict = ngx.shared.proxy_wasm
    for _, size in ipairs { 10000, 100, 1 } do
        local n = 0
        repeat n = n + 1 until not dict:safe_add("filled " .. size .. " " .. n, ("x"):rep(size))
    end
    return ""
}
content_by_lua_block { ngx.say("hello") }
--- plugin_log eval
qr/\A(?:shared_set\(key kept\) = OK
){1,2}shared state is full[^\n]*
shared_set\(key fill:5000:x\) = CAS_MISMATCH
shared_get\(key\) = OK "kept" (\d)
shared_set\(key same\) = OK
shared_get\(key\) = OK "same" \d
\z/
