# Nothing of one plugin shows in another's unless the operator says so.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: memory: two plugins of one module, or one module twice, have one each
--- plugin
request_headers once log info first
request_headers save mine get_header request host
request_headers log info $mine
--- plugin2
request_headers once log info first
request_headers log info $mine
--- plugin_log
first
get_header(request host) = OK "localhost"
localhost
q: first
q: $mine



=== TEST 2: shared data and queues: a plugin's own, whatever VM id and number another tries
--- plugin
request_headers shared_set key secret
request_headers register_queue jobs
request_headers enqueue jobs secret
response_headers shared_get key
response_headers dequeue jobs
--- plugin2
request_headers shared_get key
request_headers shared_set key mine
request_headers resolve_queue "" jobs
request_headers resolve_queue p jobs
request_headers dequeue 1
request_headers enqueue 1 mine
--- plugin_log
shared_set(key secret) = OK
register_queue(jobs) = OK 1
enqueue(jobs secret) = OK
q: shared_get(key) = NOT_FOUND
q: shared_set(key mine) = OK
q: resolve_queue("" jobs) = NOT_FOUND
q: resolve_queue(p jobs) = NOT_FOUND
q: dequeue(1) = NOT_FOUND
q: enqueue(1 mine) = NOT_FOUND
shared_get(key) = OK "secret" 1
dequeue(jobs) = OK "secret"



=== TEST 3: shared data: a plugin's name is no VM id that leads to its data
--- plugin
request_headers shared_set key secret
--- plugin2_options: vm_id = "p",
--- plugin2
request_headers shared_get key
--- plugin_log
shared_set(key secret) = OK
q: shared_get(key) = NOT_FOUND



=== TEST 4: shared data and queues: what the operator puts together is
--- plugin_options: vm_id = "both",
--- plugin
request_headers shared_set key value
request_headers register_queue jobs
request_headers enqueue jobs item
--- plugin2_options: vm_id = "both",
--- plugin2
request_headers shared_get key
request_headers resolve_queue "" jobs
request_headers dequeue jobs
--- plugin_log
shared_set(key value) = OK
register_queue(jobs) = OK 1
enqueue(jobs item) = OK
q: shared_get(key) = OK "value" 1
q: resolve_queue("" jobs) = OK 1
q: dequeue(jobs) = OK "item"



=== TEST 5: metrics: an id of another plugin's is unknown
--- plugin
request_headers define_metric counter hits
request_headers increment_metric hits 5
--- plugin2
request_headers proxy_get_metric 1 *
request_headers proxy_increment_metric 1 1
request_headers define_metric counter hits
request_headers get_metric hits
--- plugin_log
define_metric(counter hits) = OK 1
increment_metric(hits 5) = OK
q: proxy_get_metric(1 *) = NOT_FOUND
q: proxy_increment_metric(1 1) = NOT_FOUND
q: define_metric(counter hits) = OK 2
q: get_metric(hits) = OK 0



=== TEST 6: contexts: an id of another plugin's leads to one's own context, or nowhere
--- plugin
request_headers set_header request x-mine p
request_headers set_effective_context 7
--- plugin2
request_headers set_effective_context 7
request_headers set_effective_context self
--- plugin_log
set_header(request x-mine p) = OK
set_effective_context(7) = BAD_ARGUMENT
q: set_effective_context(7) = BAD_ARGUMENT
q: set_effective_context(self) = OK



=== TEST 7: callouts: an answer is for the plugin that asked
--- plugin
request_headers http_call callout 1000
http_call_response get_body call_body
--- plugin2
request_headers http_call callout 1000 :path=/q
request_headers pause
http_call_response get_body call_body
http_call_response continue request
request_headers get_body call_body
--- callout
content_by_lua_block { ngx.print(ngx.var.uri) }
--- grep_error_log eval: qr/\[proxy-wasm\] \K[pq]: get_body.*?(?=[ ,] ?(?:client|context|while))/
--- grep_error_log_out eval
qr{^q: get_body\(call_body\) = NOT_FOUND\n(?:p: get_body\(call_body\) = OK "/"\nq: get_body\(call_body\) = OK "/q"|q: get_body\(call_body\) = OK "/q"\np: get_body\(call_body\) = OK "/")\n$}



=== TEST 8: files and sockets: none
--- plugin
request_headers wasi_fd_prestat_get 3 *
request_headers wasi_path_open 3 0 "/etc/passwd" 0 0 0 0 *
request_headers wasi_path_open 0xffffff9c 0 "/etc/passwd" 0 0 0 0 *
request_headers wasi_fd_read 0 1024 1 *
request_headers wasi_fd_read 5 1024 1 *
request_headers wasi_fd_readdir 3 1024 100 0 *
request_headers wasi_sock_accept 5 0 *
request_headers wasi_sock_send 5 iov:x 0 *
request_headers wasi_sock_recv 5 1024 1 0 * *
request_headers wasi_path_unlink_file 3 "/tmp/x"
--- plugin_log
wasi_fd_prestat_get(3 *) = 8
wasi_path_open(3 0 "/etc/passwd" 0 0 0 0 *) = 44
wasi_path_open(0xffffff9c 0 "/etc/passwd" 0 0 0 0 *) = 44
wasi_fd_read(0 1024 1 *) = 52
wasi_fd_read(5 1024 1 *) = 52
wasi_fd_readdir(3 1024 100 0 *) = 20
wasi_sock_accept(5 0 *) = 58
wasi_sock_send(5 iov:x 0 *) = 58
wasi_sock_recv(5 1024 1 0 * *) = 58
wasi_path_unlink_file(3 "/tmp/x") = 58
