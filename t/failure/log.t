# What the log says of a failure: plugin, callback, cause, contexts, the guest's
# stack by names, and the request.

use lib 't/lib';
use TestProxyWasm 'no_plan';

# Whose line it is, without time and process.
our $FAILURE = qr/\*?\d* ?\[proxy-wasm\] \K.* failed, the instance is dropped: .*?(?=(?: while [^,"]+)?, client|, context|$)/;

no_long_string();
run_tests();

__DATA__

=== TEST 1: line: plugin, callback, cause and contexts, in every callback of a request
--- plugin
context_create    if_header x-in context_create   trap
request_headers   if_header x-in request_headers  trap
request_body      if_header x-in request_body     trap
response_headers  if_header x-in response_headers trap
response_body     if_header x-in response_body    trap
done              if_header x-in done             trap
log               if_header x-in log              trap
delete            if_header x-in delete           trap
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            for _, name in ipairs { "context_create", "request_headers", "request_body",
                                    "response_headers", "response_body", "done", "log", "delete" } do
                client.outcome("/t", "X-In: " .. name .. "\r\n", "question")
                client.outcome("/t", nil, "question")
            end
        }
    }
--- request
GET /drive
--- grep_error_log eval: $::FAILURE
--- grep_error_log_out eval
my $context = 0;
CORE::join "", map {
    $context += 2;
    "p: proxy_on_$_ failed, the instance is dropped: wasm trap: wasm `unreachable` instruction executed (root context 1, http context $context)\n"
} qw(context_create request_headers request_body response_headers response_body done log delete)



=== TEST 2: line: of a root context, where there is no request
--- http_config
    init_worker_by_lua_block { chain:init_worker() }
--- plugin
configure tick 20
tick trap
--- config
    location = /drive {
        content_by_lua_block { ngx.sleep(0.2) }
    }
--- request
GET /drive
--- grep_error_log eval: qr/\[proxy-wasm\] \K.* failed, the instance is dropped: .*executed.*/
--- grep_error_log_out eval
qr/^p: proxy_on_tick failed, the instance is dropped: wasm trap: wasm `unreachable` instruction executed \(root context 1\)\n/



=== TEST 3: line: each cause by its name, the guest's own words before it
--- config
    location = /t {
        content_by_lua_block {
            local wasm = require "resty.proxy_wasm"
            local function fail(guest, config)
                local plugin = assert(wasm.load("p", "$GUESTS/" .. guest .. ".wasm",
                                                { cpu_limit = 0.1, memory_limit = 2^22 }))
                local ctx = assert(wasm.on_configure(plugin, config))
                ngx.say((select(2, wasm.on_http_request_headers(ctx))))
            end
            fail("hostcalls", "request_headers trap")
            fail("hostcalls", "request_headers eprint \"my last words\"\nrequest_headers panic \"not good\"")
            fail("hostcalls", "request_headers proc_exit 3")
            fail("hostcalls", "request_headers recurse")
            fail("hostcalls", "request_headers loop")
            fail("allocator_traps")
        }
    }
--- response_body
failed to run proxy_on_request_headers: wasm trap: wasm `unreachable` instruction executed
failed to run proxy_on_request_headers: wasm trap: wasm `unreachable` instruction executed
failed to run proxy_on_request_headers: the guest exited with status 3
failed to run proxy_on_request_headers: wasm trap: call stack exhausted
failed to run proxy_on_request_headers: it used more than 100 ms of CPU time (option cpu_limit)
failed to run proxy_on_request_headers: wasm trap: wasm `unreachable` instruction executed
--- grep_error_log eval: qr/p: \K(?:my last words|not good|proxy_on_request_headers failed, the instance is dropped: [^(`]*)/
--- grep_error_log_out
proxy_on_request_headers failed, the instance is dropped: wasm trap: wasm 
my last words
not good
proxy_on_request_headers failed, the instance is dropped: wasm trap: wasm 
proxy_on_request_headers failed, the instance is dropped: the guest exited with status 3 
proxy_on_request_headers failed, the instance is dropped: wasm trap: call stack exhausted 
proxy_on_request_headers failed, the instance is dropped: it used more than 100 ms of CPU time 
proxy_on_request_headers failed, the instance is dropped: wasm trap: wasm 



=== TEST 4: stack: the guest's functions by their names, innermost first, in the request's log
--- plugin
request_headers trap
--- error_code: 503
--- grep_error_log eval: qr/\[proxy-wasm\] p: +\d+: +0x\w+ - \K[^,]*hostcalls::Scripted as[^,]*?(?=::h\w+, client: 127)|\[proxy-wasm\] p: +\d+: +0x\w+ - \K[^,]*(?=, client: 127)/
--- grep_error_log_out eval
qr/\Ahostcalls\.wasm!hostcalls::commands::\S+
(?:hostcalls\.wasm!hostcalls::\S+
)*hostcalls\.wasm!<hostcalls::Scripted as proxy_wasm::traits::HttpContext>::on_http_request_headers
hostcalls\.wasm!proxy_on_request_headers
\z/



=== TEST 5: stack: of hand-written modules, too
--- plugin_guest: trap_on_request_headers
--- plugin
--- error_code: 503
--- grep_error_log eval: qr/p: +\d+: +0x\w+ - \K\S+(?=,)/
--- grep_error_log_out eval
qr/\A\S*!inner\n\S*!outer\n\z/



=== TEST 6: stack: of a recursion without end, a few lines
--- plugin
request_headers recurse
--- config
    location = /drive {
        content_by_lua_block {
            dofile("$TOP/t/lib/client.lua").outcome("/t")
            local text = io.open(ngx.config.prefix() .. "logs/error.log"):read("*a")
            local _, frames = text:gsub("%[proxy%-wasm%] p: +%d+: +0x", "")
            ngx.say(frames > 5 and frames < 50 and "some" or frames, " frames")
        }
    }
--- request
GET /drive
--- response_body
some frames
