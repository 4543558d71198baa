# Shared queues: proxy_on_queue_ready.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: queue_ready: each item is told once
--- plugin
configure register_queue jobs
request_headers enqueue jobs one
request_headers enqueue jobs two
queue_ready echo_params
queue_ready dequeue jobs
--- wait: 0.4
--- error_log
dequeue(jobs) = OK "one"
dequeue(jobs) = OK "two"
--- no_error_log
[error]
EMPTY



=== TEST 2: queue_ready: another plugin with the same vm_id hears of it
--- plugin
configure register_queue jobs
queue_ready dequeue jobs
--- plugin_options
vm_id = "shared"
--- plugin2
request_headers resolve_queue "" jobs
request_headers enqueue jobs item
--- plugin2_options
vm_id = "shared"
--- wait: 0.4
--- error_log
q: enqueue(jobs item) = OK
dequeue(jobs) = OK "item"
--- no_error_log
[error]



=== TEST 3: queue_ready: a queue that is registered hears of what waits in it
--- plugin
configure register_queue jobs
request_headers enqueue jobs one
request_headers enqueue jobs two
--- plugin_options
vm_id = "shared"
--- plugin2
response_headers register_queue jobs
queue_ready dequeue jobs
--- plugin2_options
vm_id = "shared"
--- wait: 0.4
--- error_log
q: dequeue(jobs) = OK "one"
q: dequeue(jobs) = OK "two"
--- no_error_log
[error]
EMPTY



=== TEST 4: queue_ready: more items than one look tells of are told, too
--- http_config
    lua_shared_dict proxy_wasm 4m;
--- plugin
configure register_queue jobs
request_headers repeat 2500 enqueue jobs x
queue_ready dequeue jobs
queue_ready nth 2500 log info "all of them"
--- plugin_options
max_log_lines = 100000,
--- wait: 1
--- error_log
all of them
--- no_error_log
[error]
EMPTY



=== TEST 5: queue_ready: a paused request can be continued by it
--- plugin
configure register_queue jobs
request_headers remember
request_headers enqueue jobs one
request_headers pause
queue_ready dequeue jobs
queue_ready set_effective_context origin
queue_ready continue request
--- response_body
hello
--- error_log
continue(request) = OK
--- no_error_log
[error]
