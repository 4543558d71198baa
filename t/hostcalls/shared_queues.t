# Host functions: shared queues (src/hostcalls/shared_queues.rs,
# src/shared/queues.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: queue: items come out in order, then it is empty
--- plugin
request_headers register_queue jobs
request_headers register_queue jobs
request_headers dequeue jobs
request_headers enqueue jobs one
request_headers enqueue jobs ""
request_headers dequeue jobs
request_headers dequeue jobs
request_headers dequeue jobs
--- plugin_log
register_queue(jobs) = OK 1
register_queue(jobs) = OK 1
dequeue(jobs) = EMPTY
enqueue(jobs one) = OK
enqueue(jobs "") = OK
dequeue(jobs) = OK "one"
dequeue(jobs) = OK ""
dequeue(jobs) = EMPTY



=== TEST 2: resolve: an empty VM id is one's own, another's is named
--- plugin_options: vm_id = "p's",
--- plugin
request_headers register_queue jobs
request_headers resolve_queue "" jobs
request_headers resolve_queue "" none
request_headers enqueue jobs item
--- plugin2
request_headers resolve_queue "" jobs
request_headers resolve_queue p's jobs
request_headers dequeue jobs
--- plugin_log
register_queue(jobs) = OK 1
resolve_queue("" jobs) = OK 1
resolve_queue("" none) = NOT_FOUND
enqueue(jobs item) = OK
q: resolve_queue("" jobs) = NOT_FOUND
q: resolve_queue(p's jobs) = OK 1
q: dequeue(jobs) = OK "item"



=== TEST 3: tokens: an unknown one is not found
--- plugin
request_headers enqueue 77 item
request_headers dequeue 77
request_headers enqueue 0 item
--- plugin_log
enqueue(77 item) = NOT_FOUND
dequeue(77) = NOT_FOUND
enqueue(0 item) = NOT_FOUND



=== TEST 4: full: an item without room is logged and answers an error that SDKs expect; what was there stays
--- http_config
    lua_shared_dict proxy_wasm 100k;
--- plugin_options: max_shared_bytes = 2^30,
--- plugin
request_headers register_queue jobs
request_headers enqueue jobs kept
request_headers enqueue jobs fill:90000:x
request_headers dequeue jobs
request_headers dequeue jobs
--- plugin_log eval
qr/\Aregister_queue\(jobs\) = OK 1
enqueue\(jobs kept\) = OK
shared state is full[^\n]*
enqueue\(jobs fill:90000:x\) = NOT_FOUND
dequeue\(jobs\) = OK "kept"
dequeue\(jobs\) = EMPTY
\z/



=== TEST 5: limits: an item or a name over them
--- plugin
request_headers register_queue fill:70000:n
request_headers register_queue jobs
request_headers enqueue jobs fill:20000000:x
request_headers dequeue jobs
--- plugin_log
a queue is refused: its name is too long
register_queue(fill:70000:n) = OK 0
register_queue(jobs) = OK 1
an item of a shared queue is refused: it is too large
enqueue(jobs fill:20000000:x) = NOT_FOUND
dequeue(jobs) = EMPTY



=== TEST 6: pointers: outside the memory; then nothing is registered, enqueued or dequeued
--- plugin
request_headers proxy_register_shared_queue "jobs" 0xfffffffd
request_headers proxy_register_shared_queue 0xfffffff0 100 *
request_headers proxy_resolve_shared_queue "p" "jobs" *
request_headers proxy_register_shared_queue "jobs" *
request_headers proxy_resolve_shared_queue "p" "jobs" 0xfffffffd
request_headers proxy_enqueue_shared_queue 1 0xfffffff0 100
request_headers proxy_enqueue_shared_queue 1 "item"
request_headers proxy_dequeue_shared_queue 1 0xfffffffd *
request_headers proxy_dequeue_shared_queue 1 **
request_headers proxy_dequeue_shared_queue 1 **
--- plugin_log
proxy_register_shared_queue("jobs" 0xfffffffd) = INVALID_MEMORY_ACCESS
proxy_register_shared_queue(0xfffffff0 100 *) = INVALID_MEMORY_ACCESS
proxy_resolve_shared_queue("p" "jobs" *) = NOT_FOUND
proxy_register_shared_queue("jobs" *) = OK 1
proxy_resolve_shared_queue("p" "jobs" 0xfffffffd) = INVALID_MEMORY_ACCESS
proxy_enqueue_shared_queue(1 0xfffffff0 100) = INVALID_MEMORY_ACCESS
proxy_enqueue_shared_queue(1 "item") = OK
proxy_dequeue_shared_queue(1 0xfffffffd *) = INVALID_MEMORY_ACCESS
proxy_dequeue_shared_queue(1 **) = OK "item"
proxy_dequeue_shared_queue(1 **) = EMPTY



=== TEST 7: limits: more queues than a VM id may have; those that are there work on
--- plugin
configure register_queue jobs
request_headers register_queue more
request_headers register_queue jobs
request_headers enqueue jobs item
request_headers dequeue jobs
--- location
# What counts them.
set_by_lua_block $counted {
    local dict = ngx.shared.proxy_wasm
    for _, key in ipairs(dict:get_keys(0)) do
        if key:sub(1, 4) == "pw:Q" and #key > 4 then
            dict:set(key, 1000)
        end
    end
    return ""
}
content_by_lua_block { ngx.say("hello") }
--- plugin_log eval
qr/\A(?:register_queue\(jobs\) = OK 1
){1,2}a queue is refused: a VM id has no more than 1000
register_queue\(more\) = OK 0
register_queue\(jobs\) = OK 1
enqueue\(jobs item\) = OK
dequeue\(jobs\) = OK "item"
\z/
