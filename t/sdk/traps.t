# A plugin that traps: its request is refused or cut, the next one gets a new
# instance, and the worker lives on.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $setup = <<'_EOC_';
    init_worker_by_lua_block {
        client = dofile("$TOP/t/lib/client.lua")
        chain = assert(require("resty.proxy_wasm").new_chain { {
            name = "p",
            path = "$GUESTS/GUEST_FILE.wasm",
        } })
        -- A request whose answer may be cut short: its status, and whether it was.
        function ask(method, body)
            local sock = client.connect()
            assert(sock:send((method or "GET") .. " /path HTTP/1.1\r\nHost: localhost\r\n"
                             .. "Connection: close\r\nContent-Length: " .. #(body or "")
                             .. "\r\n\r\n" .. (body or "")))
            local answer = sock:receive("*a") or ""
            sock:close()
            local head, rest = answer:match("^(.-)\r\n\r\n(.*)$")
            return head and head:match("^HTTP/1.1 (%d+)") or "cut",
                   rest and (rest:find("answer", 1, true) and "answer" or "other") or ""
        end
    }
_EOC_

our $server = <<'_EOC_';
    location = /path {
        access_by_lua_block { chain:access() }
        content_by_lua_block { ngx.say("answer") }
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        log_by_lua_block { chain:log() }
    }
    location = /t {
        content_by_lua_block {
            local pid = ngx.worker.pid()
            for _ = 1, 2 do
                ngx.say(ask(METHOD))
            end
            ngx.say(pid == ngx.worker.pid() and "alive")
        }
    }
_EOC_

add_block_preprocessor(sub {
    my $block = shift;
    my ($guest) = $block->name =~ /^TEST \d+: (\w+)/;
    (my $http_config = $main::setup) =~ s/GUEST_FILE/$guest/;
    $block->set_value("http_config", $http_config);
    my $method = $guest =~ /request_body/ ? '"POST", "question"' : '';
    (my $server = $main::server) =~ s/METHOD/$method/;
    $block->set_value("config", $server);
});

run_tests();

__DATA__

=== TEST 1: trap_on_request_headers: 503, each time
--- response_body
503other
503other
alive
--- grep_error_log eval: qr/p: \w+ failed, the instance/
--- grep_error_log_out
p: proxy_on_request_headers failed, the instance
p: proxy_on_request_headers failed, the instance



=== TEST 2: trap_on_request_body: 503, each time
--- response_body
503other
503other
alive
--- grep_error_log eval: qr/p: \w+ failed, the instance/
--- grep_error_log_out
p: proxy_on_request_body failed, the instance
p: proxy_on_request_body failed, the instance



=== TEST 3: trap_on_response_headers: 503, and nothing of the answer
--- response_body
503other
503other
alive
--- grep_error_log eval: qr/p: \w+ failed, the instance/
--- grep_error_log_out
p: proxy_on_response_headers failed, the instance
p: proxy_on_response_headers failed, the instance



=== TEST 4: trap_on_response_body: nothing of the answer, and no end of it
--- response_body
cut
cut
alive
--- grep_error_log eval: qr/p: \w+ failed, the instance/
--- grep_error_log_out
p: proxy_on_response_body failed, the instance
p: proxy_on_response_body failed, the instance



=== TEST 5: trap_on_done: the answer is out already
--- response_body
200answer
200answer
alive
--- wait: 0.2
--- grep_error_log eval: qr/p: \w+ failed, the instance/
--- grep_error_log_out
p: proxy_on_done failed, the instance
p: proxy_on_done failed, the instance



=== TEST 6: trap_on_log: the answer is out already
--- response_body
200answer
200answer
alive
--- wait: 0.2
--- grep_error_log eval: qr/p: \w+ failed, the instance/
--- grep_error_log_out
p: proxy_on_log failed, the instance
p: proxy_on_log failed, the instance



=== TEST 7: trap_on_delete: the answer is out already
--- response_body
200answer
200answer
alive
--- wait: 0.2
--- grep_error_log eval: qr/p: \w+ failed, the instance/
--- grep_error_log_out
p: proxy_on_delete failed, the instance
p: proxy_on_delete failed, the instance



=== TEST 8: recursion: the guest's stack ends, not the worker's
--- response_body
503other
503other
alive
--- error_log
wasm trap: call stack exhausted



=== TEST 9: grow_forever: memory ends at the limit, and not the worker
--- response_body
200answer
200answer
alive
--- grep_error_log eval: qr/p: no more memory/
--- grep_error_log_out
p: no more memory
p: no more memory



=== TEST 10: proc_exit: leaving with a status is a failure
--- response_body
503other
503other
alive
--- error_log
the guest exited with status



=== TEST 11: action_99: what is no action is a pause, which nobody can end
--- response_body
500other
500other
alive
--- error_log
paused, and nothing is left that could continue it
