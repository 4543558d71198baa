# Nothing leaks: many requests with callouts, of which a third fail, time out or
# are left by their client. `make leaks` runs many more.

use lib 't/lib';
use File::Basename qw(dirname);
use GrpcServer 'tls';
use TestProxyWasm 'no_plan';

our $REQUESTS = $ENV{PROXY_WASM_LEAK_REQUESTS} || 2000;

# Over TLS each takes more time.
our $OVER_TLS = $REQUESTS / 4;

our $PLUGIN = '
configure tick 50
request_headers if_header x-kind good http_call good 20000
request_headers if_header x-kind two http_call good 20000
request_headers if_header x-kind two http_call good 20000 :method=POST body=hello
request_headers if_header x-kind refused http_call refused 20000
request_headers if_header x-kind garbage http_call good 20000 :path=/garbage
request_headers if_header x-kind timeout http_call good 30 :path=/slow
request_headers if_header x-kind abort http_call good 20000 :path=/slow
request_headers if_header x-kind grpc grpc_call grpc test.Echo Echo 20000 hello
request_headers if_header x-kind grpc-refused grpc_call refused test.Echo Echo 20000 hello
request_headers if_header x-kind grpc-fail grpc_call grpc test.Echo Fail 20000 "13 why not"
request_headers if_header x-kind grpc-timeout grpc_call grpc test.Echo Slow 30 "100"
request_headers if_header x-kind grpc-abort grpc_call grpc test.Echo Slow 20000 "20"
request_headers if_header x-kind stream save s grpc_stream grpc test.Echo Chat
request_headers if_header x-kind stream grpc_send $s one false
request_headers if_header x-kind stream grpc_send $s two true
request_headers if_header x-kind stream-abort save s grpc_stream grpc test.Echo Chat
request_headers if_header x-kind stream-abort grpc_send $s one false
grpc_message if_header x-kind stream-abort continue request
log if_header x-kind stream-abort grpc_cancel $s
END
';

our $PLUGIN_OVER_TLS = '
configure tick 50
request_headers if_header x-kind tls http_call tls 20000 :authority=a.example
request_headers if_header x-kind tls-timeout http_call tls 30 :authority=a.example :path=/slow
request_headers if_header x-kind tls-abort http_call tls 20000 :authority=a.example :path=/slow
request_headers if_header x-kind tls-name http_call tls 20000 :authority=b.example
request_headers if_header x-kind own http_call own 20000 :authority=a.example
request_headers if_header x-kind own-post http_call own 20000 :authority=a.example :method=POST body=hello
request_headers if_header x-kind own-timeout http_call own 30 :authority=a.example :path=/slow
request_headers if_header x-kind own-abort http_call own 20000 :authority=a.example :path=/slow
request_headers if_header x-kind distrusted http_call distrusted 20000 :authority=a.example
request_headers if_header x-kind own-grpc grpc_call own-grpc test.Echo Echo 20000 hello
request_headers if_header x-kind own-grpc-abort grpc_call own-grpc test.Echo Slow 20000 "20"
request_headers if_header x-kind own-grpc-timeout grpc_call own-grpc test.Echo Slow 30 "100"
request_headers if_header x-kind post http_call good 20000 :method=POST body=hello
request_headers if_header x-kind post-timeout http_call good 30 :path=/slow
request_headers if_header x-kind post-refused http_call refused 20000
request_headers if_header x-kind post-abort http_call good 20000 :path=/slow
END
';

s/^END$/grpc_call_response continue request\ngrpc_close continue request\nrequest_headers pause/m
    for $PLUGIN, $PLUGIN_OVER_TLS;

our $OPTIONS = "
resume = 'callouts',
upstreams = {
    good = { 'unix:\$TEST_NGINX_HTML_DIR/good.sock' },
    refused = { '127.0.0.1:1', '127.0.0.1:2' },
    grpc = '127.0.0.1:$GrpcServer::PORT',
    tls = { 'unix:\$TEST_NGINX_HTML_DIR/tls.sock', tls = true },
    own = { 'unix:\$TEST_NGINX_HTML_DIR/tls.sock', tls = true, ca = '$GrpcServer::CA' },
    distrusted = { 'unix:\$TEST_NGINX_HTML_DIR/tls.sock', tls = true, ca = '$GrpcServer::OTHER_CA' },
    ['own-grpc'] = { 'https://127.0.0.1:$GrpcServer::TLS_PORT', ca = '$GrpcServer::CA' },
},
";

our $HTTP_CONFIG = '
    lua_socket_log_errors off;
    lua_ssl_trusted_certificate CERTS/ca.pem;
    keepalive_requests 1000000;
    server {
        listen unix:$TEST_NGINX_HTML_DIR/good.sock;
        listen unix:$TEST_NGINX_HTML_DIR/tls.sock ssl;
        ssl_certificate CERTS/server.pem;
        ssl_certificate_key CERTS/server.key;
        # Idle connections of callouts go away by themselves.
        keepalive_timeout 1s;
        access_log off;
        location / { return 200 "good"; }
        location /slow {
            content_by_lua_block { ngx.sleep(0.1) ngx.print("slow") }
        }
        location /garbage {
            content_by_lua_block {
                local sock = assert(ngx.req.socket(true))
                sock:send("HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n")
            }
        }
    }
' =~ s/CERTS/dirname($GrpcServer::CA)/ger;

# Those of these kinds are answered; nearly a third of all fail, time out, or are
# left by their client.
our $KINDS = '"good", "two", "grpc", "refused", "good", "stream", "abort", "good",
    "grpc", "grpc-refused", "stream", "good", "grpc-fail", "two", "grpc",
    "garbage", "good", "good", "grpc-timeout", "grpc", "two",
    "timeout", "stream", "good", "grpc-abort", "good", "stream-abort"';

our $KINDS_OVER_TLS = '"tls", "own", "post", "own-grpc", "tls-abort", "own-abort", "post-abort", "own",
    "own-post", "tls", "distrusted", "own-grpc", "post", "own-timeout", "tls", "own",
    "own-grpc-abort", "post", "own-grpc", "tls-timeout", "own-post", "tls", "own-grpc-timeout", "tls-name",
    "own", "own-grpc", "post-timeout", "own-post", "tls", "post-refused"';

our $DRIVE = '
    access_log off;
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local status = require("resty.proxy_wasm").status
            local KINDS = { KINDS }
            local GOOD = { good = true, two = true, grpc = true, stream = true, tls = true, own = true,
                           post = true, ["own-post"] = true, ["own-grpc"] = true }
            -- Each keeps a connection of gRPC, with its timer.
            local GRPC = { GRPC }
            local good, bad = 0, 0

            local function one(kind, sock)
                local abort = kind:find("abort", 1, true)
                sock = not abort and sock or client.connect()
                local head = " /t HTTP/1.1\r\nHost: localhost\r\nX-Kind: " .. kind .. "\r\n"
                assert(sock:send(kind:find("post", 1, true) and
                    "POST" .. head .. "Content-Length: 4\r\n\r\nbody" or "GET" .. head .. "\r\n"))
                if abort then
                    -- Some leave before the request is read, which nobody notices.
                    ngx.sleep(bad % 2 * 0.005)
                    sock:close()
                    bad = bad + 1
                    return nil
                end
                local code, body = client.read(sock)
                if code ~= 200 or body ~= "hello\\n" then
                    ngx.say(kind, " ", code, " ", body)
                end
                if GOOD[kind] then
                    good = good + 1
                else
                    bad = bad + 1
                end
                return sock
            end

            local function run(count)
                local next_one, threads = 0, {}
                for i = 1, 20 do
                    threads[i] = ngx.thread.spawn(function()
                        local sock
                        while next_one < count do
                            next_one = next_one + 1
                            sock = one(KINDS[next_one % #KINDS + 1], sock) or sock
                        end
                        if sock then
                            sock:close()
                        end
                    end)
                end
                for i = 1, 20 do
                    assert(ngx.thread.wait(threads[i]))
                end
            end

            -- Sockets that this process has open.
            local function sockets()
                local list = io.popen("ls -l /proc/" .. ngx.worker.pid() .. "/fd | grep -c socket:")
                local count = list:read("*n")
                list:close()
                return count
            end

            local function counts()
                collectgarbage()
                local now = status()
                local plugin = now.plugins[1]
                return table.concat({
                    "contexts " .. plugin.http_contexts .. " of " .. plugin.root_contexts,
                    "paused " .. plugin.paused,
                    "callouts " .. plugin.callouts,
                    "jobs " .. now.callouts.waiting .. "+" .. now.callouts.running,
                    "timers " .. now.callouts.timers .. "+" .. ngx.timer.running_count()
                        .. "+" .. ngx.timer.pending_count(),
                    "sockets " .. sockets(),
                }, ", "), plugin.memory
            end

            -- When nothing is under way any more but the connections of gRPC that are
            -- kept.
            local function settled()
                for _, kind in ipairs(GRPC) do
                    one(kind):close()
                end
                client.wait(function()
                    local now = status()
                    return now.plugins[1].http_contexts == 0 and now.plugins[1].callouts == 0
                           and now.callouts.running <= #GRPC and now.callouts.timers <= #GRPC
                end)
                ngx.sleep(2)
                return counts()
            end

            run(300)
            local before, memory_before = settled()
            good, bad = 0, 0
            run(REQUESTS)
            local total = good + bad
            local after, memory_after = settled()
            -- The sockets of the server may take a moment.
            client.wait(function()
                after = counts()
                return after == before
            end, 250)
            ngx.log(ngx.WARN, "before: ", before, ", memory ", memory_before)
            ngx.log(ngx.WARN, "after: ", after, ", memory ", memory_after)
            ngx.say(total == REQUESTS and bad >= good / 2 - 20 or good .. " good, " .. bad .. " bad")
            ngx.say(after == before and "as before" or before .. "\n" .. after)
            -- The memory of the guest, which never shrinks: in the worst moment it
            -- takes some more, and this guest remembers the token of each call.
            ngx.say("memory: ", memory_after <= memory_before + 2^20 + 150 * REQUESTS)
        }
    }
';
# Of so many requests, of these kinds; connections of gRPC are kept by those.
our $drive = sub {
    my ($requests, $kinds, $grpc) = @_;
    return $DRIVE =~ s/REQUESTS/$requests/gr =~ s/\bKINDS = \{ KINDS/KINDS = { $kinds/r =~ s/\{ GRPC/{ $grpc/r;
};

worker_connections(1024);
log_level('warn');
no_long_string();
run_tests();

__DATA__

=== TEST 1: leaks: none, where clients that leave are noticed at once
--- plugin eval: $::PLUGIN
--- plugin_options eval: $::OPTIONS
--- http_config eval: $::HTTP_CONFIG
--- config eval
"lua_check_client_abort on;" . $::drive->($::REQUESTS, $::KINDS, '"grpc"')
--- request
GET /drive
--- response_body
true
as before
memory: true
--- timeout eval: 60 + $::REQUESTS / 50



=== TEST 2: leaks: none, where they are not
--- plugin eval: $::PLUGIN
--- plugin_options eval: $::OPTIONS
--- http_config eval: $::HTTP_CONFIG
--- config eval: $::drive->($::REQUESTS, $::KINDS, '"grpc"')
--- request
GET /drive
--- response_body
true
as before
memory: true
--- timeout eval: 60 + $::REQUESTS / 50



=== TEST 3: leaks: none over TLS, nginx's and an upstream's own, and of requests with bodies
--- plugin eval: $::PLUGIN_OVER_TLS
--- plugin_options eval: $::OPTIONS
--- http_config eval: $::HTTP_CONFIG
--- config eval
"lua_check_client_abort on;" . $::drive->($::OVER_TLS, $::KINDS_OVER_TLS, '"own-grpc"')
--- request
GET /drive
--- response_body
true
as before
memory: true
--- timeout eval: 60 + $::OVER_TLS / 10



=== TEST 4: leaks: nor where clients that leave are not noticed at once
--- plugin eval: $::PLUGIN_OVER_TLS
--- plugin_options eval: $::OPTIONS
--- http_config eval: $::HTTP_CONFIG
--- config eval
$::drive->($::OVER_TLS, $::KINDS_OVER_TLS, '"own-grpc"')
--- request
GET /drive
--- response_body
true
as before
memory: true
--- timeout eval: 60 + $::OVER_TLS / 10
