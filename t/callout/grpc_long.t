# A gRPC stream that lives for days runs in one timer of nginx's: nothing may
# grow with its messages. PROXY_WASM_STREAM_MESSAGES is for more of them.

use lib 't/lib';
use GrpcServer;
use TestProxyWasm 'no_plan';

our $MESSAGES = $ENV{PROXY_WASM_STREAM_MESSAGES} || 24_000;
# Traces, caches and buffers have come to their sizes.
our $WARM = $MESSAGES / 2;

our $UP = "upstreams = { up = \"127.0.0.1:$GrpcServer::PORT\" },\n";

our $PLUGIN = "
configure grpc_stream up test.Echo Chat
configure grpc_send last hello false
grpc_message nth $WARM log warn warm
grpc_message nth $MESSAGES log warn enough
grpc_message grpc_send last hello false
";

# The same with messages that are larger than nginx's and HTTP/2's buffers.
our $PLUGIN2 = "
configure grpc_stream up test.Echo Chat
configure grpc_send last fill:60000:x false
grpc_message grpc_send last fill:60000:x false
";

our $DRIVE = <<'_END_';
    location = /drive {
        content_by_lua_block {
            local function wait_for(line)
                repeat
                    ngx.sleep(0.05)
                    local log = assert(io.open(ngx.config.prefix() .. "/logs/error.log"))
                    local found = log:read("*a"):find("p: " .. line, 1, true)
                    log:close()
                until found
            end

            -- KiB of Lua's memory and of the worker's own.
            local function sizes()
                collectgarbage()
                collectgarbage()
                local status = assert(io.open("/proc/self/status"))
                local own = status:read("*a"):match("RssAnon:%s*(%d+)")
                status:close()
                return collectgarbage("count"), tonumber(own)
            end

            wait_for("warm")
            local lua, own = sizes()
            wait_for("enough")
            local lua_after, own_after = sizes()
            ngx.log(ngx.WARN, "Lua ", lua, " ", lua_after, ", worker ", own, " ", own_after)
            ngx.say("Lua ", lua_after - lua < 150 and "the same" or "grows")
            ngx.say("worker ", own_after - own < 400 and "the same" or "grows")
        }
    }
_END_

log_level('warn');
no_long_string();
run_tests();

__DATA__

=== TEST 1: stream: nothing grows with its messages
--- http_config
    init_worker_by_lua_block { chain:init_worker() }
--- plugin eval: $::PLUGIN
--- plugin_options eval: $::UP
--- config eval: $::DRIVE
--- request
GET /drive
--- response_body
Lua the same
worker the same
--- timeout eval: 60 + $::MESSAGES / 100



=== TEST 2: stream: nor with those of another stream on the same connection, which are large
--- http_config
    init_worker_by_lua_block { chain:init_worker() }
--- plugin eval: $::PLUGIN
--- plugin_options eval: $::UP
--- plugin2 eval: $::PLUGIN2
--- plugin2_options eval: $::UP
--- config eval: $::DRIVE
--- request
GET /drive
--- response_body
Lua the same
worker the same
--- timeout eval: 60 + $::MESSAGES / 100
