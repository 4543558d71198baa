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
