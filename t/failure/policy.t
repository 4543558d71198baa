# Whatever fails, in whatever phase: the request gets the plugin's policy, and
# the next one a new instance.

use lib 't/lib';
use TestProxyWasm 'no_plan';

# A chain for each cause, phase and policy; `X-Fail: yes` makes it fail. The
# first word of a phase is what the request was sent with.
our $CHAINS = <<'_END_';
    init_by_lua_block {
        CAUSES = { "trap", "panic", "proc_exit 3", "recurse", "loop" }
        PHASES = {
            "context_create", "request_headers", "request_body", "http_call_response",
            "response_headers", "response_body", "done", "log", "delete",
        }
        chains = {}
        for _, cause in ipairs(CAUSES) do
            for _, phase in ipairs(PHASES) do
                for _, fail in ipairs { "closed", "open" } do
                    local config = phase .. " if_header x-fail yes " .. cause
                    if phase == "http_call_response" then
                        config = config .. "\nrequest_headers http_call side 5000"
                                 .. "\nrequest_headers pause\nhttp_call_response continue request"
                    end
                    chains[cause:sub(1, 4) .. phase .. fail] = assert(require("resty.proxy_wasm").new_chain {
                        {
                            name = "p",
                            path = "$GUESTS/hostcalls.wasm",
                            config = config,
                            upstreams = { side = "unix:$TEST_NGINX_HTML_DIR/side.sock" },
                            fail = fail,
                            cpu_limit = 0.1,
                        },
                    })
                end
            end
        end
    }
    server {
        listen unix:$TEST_NGINX_HTML_DIR/side.sock;
        location / {
            return 200;
        }
    }
_END_

our $SERVER = <<'_END_';
    location = /path {
        access_by_lua_block { chains[ngx.var.arg_c]:access() }
        header_filter_by_lua_block { chains[ngx.var.arg_c]:header_filter() }
        body_filter_by_lua_block { chains[ngx.var.arg_c]:body_filter() }
        log_by_lua_block { chains[ngx.var.arg_c]:log() }
        content_by_lua_block {
            ngx.header["X-Secret"] = "yes"
            ngx.say("hello")
        }
    }
    location = /t {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            for _, phase in ipairs(PHASES) do
                for _, cause in ipairs(CAUSES) do
                    local path = "/path?c=" .. cause:sub(1, 4) .. phase .. ngx.var.fail
                    ngx.say(phase, ", ", cause, ": ", client.outcome(path, "X-Fail: yes\r\n", "question"),
                            ", then ", client.outcome(path, nil, "question"))
                end
            end
        }
    }
_END_

# What comes in each phase.
our @PHASES = qw(context_create request_headers request_body http_call_response response_headers
                 response_body done log delete);
our @CAUSES = ('trap', 'panic', 'proc_exit 3', 'recurse', 'loop');
sub outcomes {
    my %outcome = @_;
    my $lines = '';
    for my $phase (@PHASES) {
        $lines .= "$phase, $_: " . ($outcome{$phase} // '200 hello') . ", then 200 hello\n" for @CAUSES;
    }
    return $lines;
}

no_long_string();
run_tests();

__DATA__

=== TEST 1: closed: no request passes that the plugin has failed
--- http_config eval: $::CHAINS
--- config eval
"set \$fail closed;\n$::SERVER"
--- response_body eval
::outcomes(
    context_create => '503 page', request_headers => '503 page', request_body => '503 page', http_call_response => '503 page',
    response_headers => '503', response_body => 'cut',
)
--- timeout: 60



=== TEST 2: open: every request goes on without the plugin that has failed it
--- http_config eval: $::CHAINS
--- config eval
"set \$fail open;\n$::SERVER"
--- response_body eval: ::outcomes()
--- timeout: 60
--- no_error_log
is refused
is cut off



=== TEST 3: closed: an answer that has begun is cut off where the plugin fails, with a length or without
--- plugin
response_body nth 2 trap
--- location
content_by_lua_block {
    if ngx.var.arg_length then
        ngx.header.content_length = 12
    end
    ngx.print("first ")
    ngx.flush(true)
    ngx.print("second")
    ngx.flush(true)
}
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            -- The connection is not for another request.
            for _, path in ipairs { "/t", "/t?length=yes" } do
                local sock = client.send(path)
                client.send(path, nil, sock)
                ngx.say(client.rest(sock))
            end
        }
    }
--- request
GET /drive
--- response_body
200 first cut
200 first cut
--- error_log
the response is cut off: failed to run proxy_on_response_body: wasm trap



=== TEST 4: open: an answer that has begun goes on where the plugin fails
--- plugin
response_body nth 2 trap
response_body log info "saw it"
--- plugin_options
fail = "open",
--- location
content_by_lua_block {
    for _, part in ipairs { "first ", "second ", "third" } do
        ngx.print(part)
        ngx.flush(true)
    end
}
--- response_body: first second third
--- grep_error_log eval
qr/p: (?:saw it|proxy_on_response_body failed.*?\))(?= while|,)/
--- grep_error_log_out
p: saw it
p: proxy_on_response_body failed, the instance is dropped: wasm trap: wasm `unreachable` instruction executed (root context 1, http context 2)
--- error_log
p: the request passes without this plugin: failed to run proxy_on_response_body: wasm trap



=== TEST 5: open: what was held back of a body goes on, too
--- plugin
response_body nth 1 pause
response_body nth 2 pause
response_body nth 3 trap
--- plugin_options
fail = "open",
--- location
content_by_lua_block {
    for _, part in ipairs { "first ", "second ", "third ", "fourth" } do
        ngx.print(part)
        ngx.flush(true)
    end
}
--- response_body: first second third fourth
--- error_log
p: the request passes without this plugin: failed to run proxy_on_response_body: wasm trap



=== TEST 6: closed: of a body that was held back nothing passes
--- plugin
response_body nth 1 pause
response_body nth 2 trap
--- location
content_by_lua_block {
    for _, part in ipairs { "first ", "second " } do
        ngx.print(part)
        ngx.flush(true)
    end
}
--- config
    location = /drive {
        content_by_lua_block {
            ngx.say(dofile("$TOP/t/lib/client.lua").outcome("/t"))
        }
    }
--- request
GET /drive
--- response_body
200 cut



=== TEST 7: open: what the failed callback had done to the request is not done
--- plugin
request_headers set_header request :path /elsewhere
request_headers local_response 403 no
request_headers trap
--- plugin_options
fail = "open",
--- plugin2
request_headers get_header request :path
--- location
content_by_lua_block { ngx.say(ngx.var.uri) }
--- response_body
/t
--- error_log
q: get_header(request :path) = OK "/t"



=== TEST 8: open: an answer that the failed callback gave in the header filter is none
--- plugin
response_headers local_response 403 no x-new=yes
response_headers trap
--- plugin_options
fail = "open",
--- plugin2
response_headers get_header response x-old
response_headers get_header response x-new
--- location
content_by_lua_block {
    ngx.header["X-Old"] = "yes"
    ngx.say("hello")
}
--- response_body
hello
--- response_headers
! X-New
X-Old: yes
--- error_log
q: get_header(response x-old) = OK "yes"
q: get_header(response x-new) = NOT_FOUND



=== TEST 9: closed: no answer of the failed callback's in the header filter, but 503
--- plugin
response_headers local_response 403 no x-new=yes
response_headers trap
--- location
content_by_lua_block {
    ngx.header["X-Old"] = "yes"
    ngx.say("hello")
}
--- error_code: 503
--- response_body:
--- response_headers
! X-New
! X-Old



=== TEST 10: closed: an allocator that traps, from a host function
--- plugin_guest: allocator_traps
--- plugin
--- error_code: 503
--- error_log
proxy_on_request_headers failed, the instance is dropped: wasm trap



=== TEST 11: open: an allocator that traps, from a host function
--- plugin_guest: allocator_traps
--- plugin
--- plugin_options
fail = "open",
--- response_body
hello



=== TEST 12: closed and open in one chain: the closed one has the last word
--- plugin
request_headers trap
--- plugin_options
fail = "open",
--- plugin2
request_headers if_header x-fail yes trap
request_headers log info "saw it"
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.say(client.outcome("/t"))
            ngx.say(client.outcome("/t", "X-Fail: yes\r\n"))
        }
    }
--- request
GET /drive
--- response_body
200 hello
503 page
--- grep_error_log eval: qr/q: saw it/
--- grep_error_log_out
q: saw it



=== TEST 13: by hand: closed is nil and a sentence, open is true
--- http_config
    init_by_lua_block {
        wasm = require "resty.proxy_wasm"
        contexts = {}
        for _, fail in ipairs { "closed", "open" } do
            local plugin = assert(wasm.load("p", "$GUESTS/hostcalls.wasm", { fail = fail }))
            contexts[fail] = assert(wasm.on_configure(plugin, "request_headers trap"))
        end
    }
--- config
    location = /t {
        content_by_lua_block {
            for _, fail in ipairs { "closed", "open" } do
                local ctx = contexts[fail]
                ngx.say(fail, ": ", wasm.on_http_request_headers(ctx))
                ngx.say(fail, ": ", wasm.on_http_request_body(ctx, "body", true))
            end
        }
    }
--- response_body
closed: nilfailed to run proxy_on_request_headers: wasm trap: wasm `unreachable` instruction executed
closed: nilthe instance of this request was lost
open: true
open: true



=== TEST 14: an answer that the plugin gave before it failed in another request stands
--- plugin
request_headers if_header x-wait yes http_call side 5000 :path=/wait
request_headers if_header x-wait yes pause
http_call_response local_response 403 "told so"
request_headers if_header x-trap yes trap
--- plugin_options
fail = "open",
upstreams = { side = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },
--- backend
return 200;
--- location
content_by_lua_block { ngx.say("hello") }
--- prepare
-- What wakes requests comes late, as when the worker has much to do.
local effects = require "resty.proxy_wasm.effects"
local resume = require("resty.proxy_wasm.lib").lib.RPW_EFFECT_RESUME
local wake = effects.perform[resume]
effects.perform[resume] = function(e)
    local serial = e.serial
    ngx.timer.at(0.2, function() wake { serial = serial } end)
end
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/t", "Connection: close\r\nX-Wait: yes\r\n")
            ngx.sleep(0.1)
            ngx.say(client.outcome("/t", "X-Trap: yes\r\n"))
            ngx.say(client.rest(sock))
        }
    }
--- request
GET /drive
--- response_body
200 hello
403 told so
--- error_log
local_response(403 "told so") = OK
the instance is dropped



=== TEST 15: over max_held_body: closed, the response is cut off, and the instance lives
--- plugin
response_body pause
log log info "logged"
--- plugin_options
max_held_body = 20,
--- location
content_by_lua_block {
    for i = 1, 5 do
        ngx.print("0123456789")
        ngx.flush(true)
    end
}
--- config
    location = /drive {
        content_by_lua_block {
            ngx.say(dofile("$TOP/t/lib/client.lua").outcome("/t"))
        }
    }
--- request
GET /drive
--- response_body
200 cut
--- wait: 0.2
--- error_log
a response body is paused: more than 20 bytes are not held back (option max_held_body)
p: logged
--- no_error_log
the instance is dropped



=== TEST 16: over max_held_body: open, the response goes on, with a warning
--- plugin
response_body pause
--- plugin_options
max_held_body = 20,
fail = "open",
--- location
content_by_lua_block {
    for i = 1, 5 do
        ngx.print("0123456789")
        ngx.flush(true)
    end
}
--- response_body chomp
01234567890123456789012345678901234567890123456789
--- error_log
a response body goes on although it is paused: more than 20 bytes are not held back
--- no_error_log
[error]



=== TEST 17: a response is refused where no plugin wants bodies: its body is dropped, others pass
--- plugin
response_headers if_header x-fail yes trap
--- plugin_options
response_body = false,
--- location
content_by_lua_block {
    ngx.print("first ")
    ngx.flush(true)
    ngx.sleep(0.2)
    ngx.say("second")
}
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local good = client.send("/t", "Connection: close\r\n")
            local bad = client.send("/t", "Connection: close\r\nX-Fail: yes\r\n")
            ngx.say(client.rest(bad))
            ngx.say(client.rest(good))
            ngx.say(client.outcome("/t"))
        }
    }
--- request
GET /drive
--- response_body
503
200 first second
200 first second



=== TEST 18: closed: what a plugin has seen all that it can see of passes
--- plugin_guest: trap_on_second_request
--- plugin
--- location
content_by_lua_block {
    ngx.sleep(0.2)
    ngx.say("hello")
}
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local good = client.send("/t", "Connection: close\r\n")
            ngx.sleep(0.05)
            ngx.say(client.outcome("/t"))
            ngx.say(client.rest(good))
        }
    }
--- request
GET /drive
--- response_body
503 page
200 hello
--- error_log
p: proxy_on_request_headers failed, the instance is dropped
