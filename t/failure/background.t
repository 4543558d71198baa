# A failure where no request is at fault: in ticks, queues, answers to callouts
# of root contexts, functions of Lua's. Requests in flight get the policy, in
# every phase, and so does nobody else.

use lib 't/lib';
use TestProxyWasm 'no_plan';

# A chain for each cause. A request with X-Do: yes brings the failure about, and
# is over before it comes.
our %CONFIG = (
    tick => <<'_END_',
request_headers if_header x-do yes tick 20
tick CAUSE
_END_
    queue_ready => <<'_END_',
configure register_queue news
request_headers if_header x-do yes enqueue news x
queue_ready dequeue news
queue_ready CAUSE
_END_
    http_call_response => <<'_END_',
request_headers if_header x-do yes tick 20
tick once http_call side 5000
http_call_response if_root true CAUSE
_END_
    # Nobody listens there. The SDK has one callback for all of a call.
    grpc_close => <<'_END_',
request_headers if_header x-do yes tick 20
tick once grpc_call nobody a.B C 5000 x
grpc_call_response CAUSE
_END_
    # Of the first request, which is without a log phase.
    log => "log nth 1 CAUSE\n",
    foreign_function => "foreign_function CAUSE\n",
);

our $WAITS = <<'_END_';
request_headers if_header x-where request_headers http_call side 20000 :path=/never
request_headers if_header x-where request_headers pause
request_body    if_header x-where request_body    http_call side 20000 :path=/never
request_body    if_header x-where request_body    pause
response_body   if_header x-where held            nth 1 pause
_END_

sub chains {
    my ($place, $fail) = @_;
    my $chains = <<'_END_';
    init_by_lua_block {
        PLACE, FAIL = "$PLACE", "$FAIL"
        CAUSES = { "trap", "panic", "proc_exit 3", "recurse", "loop" }
        chains = {}
        wasm = require "resty.proxy_wasm"
        for _, cause in ipairs(CAUSES) do
            chains[cause:sub(1, 4)] = assert(wasm.new_chain {
                {
                    name = cause:sub(1, 4),
                    path = "$TestProxyWasm::GUESTS/hostcalls.wasm",
                    config = ([[
$CONFIG]]):gsub("CAUSE", cause),
                    upstreams = {
                        side = "unix:$TEST_NGINX_HTML_DIR/side.sock",
                        nobody = "unix:$TEST_NGINX_HTML_DIR/nobody.sock",
                    },
                    fail = FAIL,
                    cpu_limit = 0.1,
                },
                -- Not touched by anything.
                {
                    name = "q",
                    path = "$TestProxyWasm::GUESTS/hostcalls.wasm",
                    config = "response_headers set_header response x-q yes\nlog log info done",
                },
            })
        end
    }
    server {
        listen unix:$TEST_NGINX_HTML_DIR/side.sock;
        location / {
            return 200;
        }
        location = /never {
            content_by_lua_block {
                while not over do
                    ngx.sleep(0.01)
                end
            }
        }
    }
_END_
    $chains =~ s/\$PLACE/$place/;
    $chains =~ s/\$FAIL/$fail/;
    $chains =~ s/\$CONFIG/$CONFIG{$place}$WAITS/;
    $chains =~ s/\$TestProxyWasm::GUESTS/$TestProxyWasm::GUESTS/g;
    return $chains;
}

our $SERVER = <<'_END_';
    location = /path {
        access_by_lua_block { chains[ngx.var.arg_c]:access() }
        header_filter_by_lua_block { chains[ngx.var.arg_c]:header_filter() }
        body_filter_by_lua_block { chains[ngx.var.arg_c]:body_filter() }
        log_by_lua_block { chains[ngx.var.arg_c]:log() }
        content_by_lua_block {
            local where = ngx.var.http_x_where
            local function wait(here)
                while where == here and not over do
                    ngx.sleep(0.01)
                end
            end
            wait("content")
            ngx.print("first ")
            if where == "body" or where == "held" then
                ngx.flush(true)
            end
            wait("body")
            wait("held")
            ngx.print("second")
        }
    }
    location = /silent {
        access_by_lua_block { chains[ngx.var.arg_c]:access() }
        content_by_lua_block { ngx.say("first second") }
    }
    location = /t {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local log = io.open(ngx.config.prefix() .. "logs/error.log")
            local text = ""
            local function logged(what)
                text = text .. log:read("*a")
                return text:find(what, 1, true)
            end
            local WHERES = { "request_headers", "request_body", "content", "body", "held" }
            for _, cause in ipairs(CAUSES) do
                local name = cause:sub(1, 4)
                local path = "/path?c=" .. name
                local socks = {}
                over = false
                for _, where in ipairs(WHERES) do
                    local sock = client.connect()
                    assert(sock:send("POST " .. path .. " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Where: "
                                     .. where .. "\r\nContent-Length: 1\r\n\r\nx"))
                    socks[where] = sock
                end
                ngx.sleep(0.05)
                if PLACE == "foreign_function" then
                    local answer, err = wasm.on_foreign_function(chains[name][1], 1)
                    assert(not answer and err:find("failed to run"), "a failure in no request has no policy")
                else
                    assert(client.outcome("/silent?c=" .. name, "X-Do: yes\r\n") == "200 first second")
                end
                assert(client.wait(function()
                    return logged(name .. ": proxy_on_" .. PLACE .. " failed")
                end), "no failure")
                local outcomes = {}
                for i, where in ipairs(WHERES) do
                    -- Paused ones at once, whatever they wait for.
                    over = i > 2
                    outcomes[i] = client.rest(socks[where])
                    socks[where]:close()
                end
                outcomes[#outcomes + 1] = "then " .. client.outcome(path)
                ngx.say(cause, ": ", table.concat(outcomes, ", "))
            end
            client.no_context_left()
        }
    }
_END_

# The neighbour of the plugin that fails sees each of these requests to its end.
our $DONE = sub { "q: done\n" x (5 * shift) };

# What each cause leads to.
sub outcomes {
    my $outcomes = shift;
    return join('', map { "$_: $outcomes, then 200 first second\n" }
                    'trap', 'panic', 'proc_exit 3', 'recurse', 'loop') . "no context left\n";
}
our $CLOSED = outcomes('503 page, 503 page, 503, 200 first cut, 200 cut');
our $OPEN = outcomes(join ', ', ('200 first second') x 5);

no_long_string();
run_tests();

__DATA__

=== TEST 1: closed: a tick
--- http_config eval: ::chains('tick', 'closed')
--- config eval: $::SERVER
--- response_body eval: $::CLOSED
--- grep_error_log eval: qr/q: (?:done|proxy_on)/
--- grep_error_log_out eval: $::DONE->(7)
--- timeout: 60



=== TEST 2: open: a tick
--- http_config eval: ::chains('tick', 'open')
--- config eval: $::SERVER
--- response_body eval: $::OPEN
--- grep_error_log eval: qr/q: (?:done|proxy_on)/
--- grep_error_log_out eval: $::DONE->(7)
--- timeout: 60



=== TEST 3: closed: a queue that has something
--- http_config eval: ::chains('queue_ready', 'closed')
--- config eval: $::SERVER
--- response_body eval: $::CLOSED
--- grep_error_log eval: qr/q: (?:done|proxy_on)/
--- grep_error_log_out eval: $::DONE->(7)
--- timeout: 60



=== TEST 4: open: a queue that has something
--- http_config eval: ::chains('queue_ready', 'open')
--- config eval: $::SERVER
--- response_body eval: $::OPEN
--- grep_error_log eval: qr/q: (?:done|proxy_on)/
--- grep_error_log_out eval: $::DONE->(7)
--- timeout: 60



=== TEST 5: closed: the answer to a root context's callout
--- http_config eval: ::chains('http_call_response', 'closed')
--- config eval: $::SERVER
--- response_body eval: $::CLOSED
--- grep_error_log eval: qr/q: (?:done|proxy_on)/
--- grep_error_log_out eval: $::DONE->(7)
--- timeout: 60



=== TEST 6: open: the answer to a root context's callout
--- http_config eval: ::chains('http_call_response', 'open')
--- config eval: $::SERVER
--- response_body eval: $::OPEN
--- grep_error_log eval: qr/q: (?:done|proxy_on)/
--- grep_error_log_out eval: $::DONE->(7)
--- timeout: 60



=== TEST 7: closed: the end of a gRPC callout
--- http_config eval: ::chains('grpc_close', 'closed')
--- config eval: $::SERVER
--- response_body eval: $::CLOSED
--- grep_error_log eval: qr/q: (?:done|proxy_on)/
--- grep_error_log_out eval: $::DONE->(7)
--- timeout: 60



=== TEST 8: open: the end of a gRPC callout
--- http_config eval: ::chains('grpc_close', 'open')
--- config eval: $::SERVER
--- response_body eval: $::OPEN
--- grep_error_log eval: qr/q: (?:done|proxy_on)/
--- grep_error_log_out eval: $::DONE->(7)
--- timeout: 60



=== TEST 9: closed: the end of a request without a log phase
--- http_config eval: ::chains('log', 'closed')
--- config eval: $::SERVER
--- response_body eval: $::CLOSED
--- grep_error_log eval: qr/q: (?:done|proxy_on)/
--- grep_error_log_out eval: $::DONE->(7)
--- timeout: 60



=== TEST 10: open: the end of a request without a log phase
--- http_config eval: ::chains('log', 'open')
--- config eval: $::SERVER
--- response_body eval: $::OPEN
--- grep_error_log eval: qr/q: (?:done|proxy_on)/
--- grep_error_log_out eval: $::DONE->(7)
--- timeout: 60



=== TEST 11: closed: a call of Lua's
--- http_config eval: ::chains('foreign_function', 'closed')
--- config eval: $::SERVER
--- response_body eval: $::CLOSED
--- grep_error_log eval: qr/q: (?:done|proxy_on)/
--- grep_error_log_out eval: $::DONE->(6)
--- timeout: 60



=== TEST 12: open: a call of Lua's
--- http_config eval: ::chains('foreign_function', 'open')
--- config eval: $::SERVER
--- response_body eval: $::OPEN
--- grep_error_log eval: qr/q: (?:done|proxy_on)/
--- grep_error_log_out eval: $::DONE->(6)
--- timeout: 60
