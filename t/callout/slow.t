# A callout has one time in all, however the upstream spends it: a byte now and
# then is no progress.

use lib 't/lib';
use SlowServer;
use TestProxyWasm 'no_plan';

our $UPSTREAMS = "upstreams = {
    record = { '127.0.0.1:$SlowServer::PORT{record}', tls = true, verify = false },
    fast = { 'unix:\$TEST_NGINX_HTML_DIR/fast.sock' },
    handshake = { '127.0.0.1:$SlowServer::PORT{handshake}', tls = true, verify = false },
},
";

our $SHOW = '
request_headers pause
http_call_response echo_params
http_call_response local_response 200 done
';

no_long_string();
run_tests();

__DATA__

=== TEST 1: slow: an answer whose one TLS record comes byte by byte
--- plugin eval
"request_headers http_call record 1000\n$::SHOW"
--- plugin_options eval: $::UPSTREAMS
--- response_body chop
done
--- error_log
failed: timeout
num_headers=0 body_size=0 num_trailers=0



=== TEST 2: slow: a TLS handshake that comes byte by byte
--- plugin eval
"request_headers http_call handshake 1000\n$::SHOW"
--- plugin_options eval: $::UPSTREAMS
--- response_body chop
done
--- error_log
failed: TLS handshake for "handshake": timeout
num_headers=0 body_size=0 num_trailers=0



=== TEST 3: slow: what the plugin has computed before is no part of a callout's time
--- plugin eval
"request_headers spin 4000000000\nrequest_headers http_call fast 1000\n$::SHOW"
--- plugin_options eval
"cpu_limit = 60, $::UPSTREAMS"
--- http_config
server {
    listen unix:$TEST_NGINX_HTML_DIR/fast.sock;
    location / {
        return 200 "fast";
    }
}
--- response_body chop
done
--- error_log
body_size=4 num_trailers=0
--- no_error_log
[error]
failed:



=== TEST 4: slow: an upstream that drips has the callout's time, and not much more
--- plugin eval
"request_headers tick 900
request_headers http_call record 700
request_headers pause
http_call_response log info answered
http_call_response local_response 200 done
tick log info ticked
tick tick 0"
--- plugin_options eval: $::UPSTREAMS
--- response_body chop
done
--- wait: 0.4
--- grep_error_log eval: qr/answered(?= while)|answered$|answered(?=,)|ticked(?=[ ,]|$)/
--- grep_error_log_out
answered
ticked
