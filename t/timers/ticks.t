# Ticks: proxy_set_tick_period_milliseconds and proxy_on_tick.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: tick: comes again and again, without a request after the first
--- plugin
configure tick 20
tick nth 1 log info "tick one"
tick nth 2 log info "tick two"
tick nth 3 log info "tick three"
tick nth 3 tick 0
--- wait: 0.5
--- error_log
tick one
tick two
tick three
--- no_error_log
[error]



=== TEST 2: tick: stops with 0
--- plugin
configure tick 10
tick nth 1 log info "tick one"
tick nth 1 tick 0
tick nth 2 log error "tick two"
--- wait: 0.3
--- error_log
tick one
--- no_error_log
tick two



=== TEST 3: tick: armed from an http context, it is its root's
--- plugin
request_headers tick 10
tick nth 1 echo_params
tick nth 2 tick 0
--- wait: 0.3
--- error_log
tick: context=1
--- no_error_log
[error]



=== TEST 4: tick: begins in init_worker, without any request
--- http_config
    init_worker_by_lua_block { chain:init_worker() }
--- plugin
configure tick 10
tick nth 1 log info "ticked"
tick nth 2 tick 0
request_headers log info "the request came"
--- request
GET /t
--- wait: 0.2
--- error_log
ticked



=== TEST 5: tick: a paused request can be continued by it
--- plugin
configure tick 50
request_headers remember
request_headers pause
tick set_effective_context origin
tick continue request
tick tick 0
--- response_body
hello
--- no_error_log
[error]



=== TEST 6: tick: a trap in it ends the instance, and a new one ticks
--- plugin
configure tick 20
configure log info "configured"
tick log info "ticked"
tick trap
--- wait: 1.6
--- error_log
proxy_on_tick failed, the instance is dropped
--- grep_error_log eval: qr/p: configured|p: ticked/
--- grep_error_log_out eval
qr/(p: configured\n)+p: ticked\np: configured\np: ticked\n/



=== TEST 7: tick: nginx drops its timer, as too many run: it goes on when there is room
--- http_config
    lua_max_running_timers 1;
    init_worker_by_lua_block {
        chain:init_worker()
        ngx.timer.at(0, function() ngx.sleep(0.5) end)
    }
--- plugin
configure tick 50
tick nth 1 log info "tick one"
tick nth 5 log info "tick five"
tick nth 5 tick 0
--- wait: 3
--- error_log
[alert]
lua_max_running_timers are not enough
tick five
--- no_error_log
[error]



=== TEST 8: tick: nginx gives it no timer, as too many are pending: it goes on when there is room
--- http_config
    lua_max_pending_timers 2;
    init_worker_by_lua_block {
        ngx.timer.at(0.2, function() end)
        chain:init_worker()
    }
--- plugin
configure tick 50
tick nth 1 log info "tick one"
tick nth 5 log info "tick five"
tick nth 5 tick 0
--- wait: 3
--- error_log
tick five
