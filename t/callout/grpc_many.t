# Many gRPC connections beside other callouts: all of them are jobs of a few
# timers of nginx's.

use lib 't/lib';
use GrpcServer;
use TestProxyWasm 'no_plan';

# To as many addresses, so that each has a connection of its own.
our $PREPARE = "
local port = $GrpcServer::PORT
" . <<'_END_';
local lines = {}
for i = 1, 70 do
    lines[#lines + 1] = "configure grpc_stream 127.0.0." .. i .. ":" .. port .. " test.Echo Chat"
    lines[#lines + 1] = "configure grpc_send last one false"
    -- The first 70 tokens were those of the master's try.
    lines[#lines + 1] = "request_headers if_header x-kind again grpc_send " .. 70 + i .. " two false"
end
script = table.concat(lines, "\n") .. [[

grpc_message nth 70 log warn "each stream has an answer"
grpc_message nth 140 log warn "each stream has another answer"
grpc_close log error "a stream has ended"
request_headers if_header x-kind callouts repeat 20 http_call callout 10000
request_headers if_header x-kind callouts pause
http_call_response nth 1200 log warn "all callouts are answered"
]]
_END_

worker_connections(1024);
log_level('warn');
no_long_string();
run_tests();

__DATA__

=== TEST 1: many: 70 connections with open streams leave all other callouts their turn
--- http_config
    init_worker_by_lua_block { chain:init_worker() }
--- prepare eval: $::PREPARE
--- plugin
--- plugin_options
config = script, callouts = "any", resume = "callouts", max_log_lines = 100000,
max_callouts = 2000,
--- callout
return 200 side;
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local proxy_wasm = require("resty.proxy_wasm")

            local function wait_for(line)
                local found = client.wait(function()
                    local log = assert(io.open(ngx.config.prefix() .. "/logs/error.log"))
                    local text = log:read("*a")
                    log:close()
                    return text:find(line, 1, true)
                end)
                ngx.say(found and line or "in vain: " .. line)
            end

            wait_for("each stream has an answer")
            ngx.say(proxy_wasm.status().callouts.running, " jobs")
            local good, threads = 0, {}
            for i = 1, 10 do
                threads[i] = ngx.thread.spawn(function()
                    for _ = 1, 6 do
                        local status, body = client.get("/t", "X-Kind: callouts\r\n")
                        good = good + (status == 200 and body == "hello\n" and 1 or 0)
                    end
                end)
            end
            for i = 1, 10 do
                ngx.thread.wait(threads[i])
            end
            ngx.say(good, " requests")
            wait_for("all callouts are answered")
            client.get("/t", "X-Kind: again\r\n")
            wait_for("each stream has another answer")
            ngx.say(proxy_wasm.status().callouts.running, " jobs")
        }
    }
--- request
GET /drive
--- response_body
each stream has an answer
70 jobs
60 requests
all callouts are answered
each stream has another answer
70 jobs
--- timeout: 60
--- no_error_log
[error]



=== TEST 2: many: a call that ends while its upstream's name is looked for leaves nothing behind
--- prepare
asked, answered = 0, 0
require("resty.proxy_wasm").set_resolver(function(host)
    asked = asked + 1
    ngx.sleep(0.5)
    answered = answered + 1
    return "127.0.0.1"
end)
--- plugin eval
"request_headers grpc_call slow.example:$GrpcServer::PORT test.Echo Echo 100 hello
request_headers pause
grpc_call_response continue request
"
--- plugin_options
callouts = "any",
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local proxy_wasm = require("resty.proxy_wasm")
            ngx.print(client.get("/t"))
            ngx.say(asked, " asked, ", answered, " answered, ",
                    proxy_wasm.status().callouts.running, " job")
            ngx.say(client.wait(function()
                return proxy_wasm.status().callouts.timers == 0
            end))
            ngx.say(asked, " asked, ", answered, " answered, ",
                    proxy_wasm.status().callouts.running, " jobs")
        }
    }
--- request
GET /drive
--- response_body
200hello
1 asked, 0 answered, 1 job
true
1 asked, 1 answered, 0 jobs
--- error_log
deadline exceeded
--- no_error_log
lua entry thread aborted
lua user thread aborted
