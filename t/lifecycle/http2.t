# HTTP/2: whatever a stream was doing when its client resets it, done, log and
# delete run once for each context, and the other streams go on.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $STEPS = join '', map { "$_ echo_params\n" } qw(context_create done log delete);
our $WAIT = "request_headers if_header x-wait yes http_call slow 20000\n"
    . "request_headers if_header x-wait yes pause\n"
    . "http_call_response continue request\n";
our $UPSTREAMS = 'upstreams = { slow = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },';

our $SLOW = <<'_EOC_';
content_by_lua_block {
    while not released do
        ngx.sleep(0.01)
    end
}
_EOC_

our $ENDS = "done: context=2\nlog: context=2\ndelete: context=2\n";

# A server that speaks HTTP/2, with the locations of the first.
our $PHASES = <<'_EOC_';
            rewrite_by_lua_block { chain:rewrite() }
            access_by_lua_block { chain:access() }
            header_filter_by_lua_block { chain:header_filter() }
            body_filter_by_lua_block { chain:body_filter() }
_EOC_
our $LOG = "            log_by_lua_block { chain:log() }\n";

sub server {
    my ($locations, $options) = @_;
    return <<"_EOC_";
    server {
        listen unix:\$TEST_NGINX_HTML_DIR/http2.sock http2;
        @{[$options || ""]}
$locations
    }
_EOC_
}

our $CHUNKS = <<'_EOC_';
            content_by_lua_block {
                for _ = 1, 3 do
                    ngx.print("chunk;")
                    ngx.flush(true)
                end
            }
_EOC_

our $SERVER = server(<<"_EOC_");
        location / {
$PHASES$LOG
            content_by_lua_block { ngx.say("served") }
        }
_EOC_

# `drive`: what a client does, which has a connection `sock` to that server.
add_block_preprocessor(sub {
    my $block = shift;
    my $drive = $block->drive;
    $block->set_value(config => <<"_EOC_");
    location = /drive {
        content_by_lua_block {
            local client = dofile("\$TOP/t/lib/client.lua")
            local http2 = dofile("\$TOP/t/lib/http2.lua")
            local sock = http2.connect("\$TEST_NGINX_HTML_DIR/http2.sock")
$drive
            sock:close()
        }
    }
_EOC_
    $block->set_value(request => "GET /drive");
});

no_long_string();
run_tests();

__DATA__

=== TEST 1: http2: reset while the request headers are paused, and nginx looks (lua_check_client_abort)
--- plugin eval: $::STEPS . $::WAIT
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SLOW
--- http_config eval: "lua_check_client_abort on;\n$::SERVER"
--- drive
http2.request(sock, 1, "/t", { ["x-wait"] = "yes" })
http2.settle(sock)
http2.reset(sock, 1)
client.no_context_left()
client.mark("the upstream answers")
released = true
-- The connection goes on.
http2.request(sock, 3, "/t")
ngx.print(http2.body(sock, 3, true))
--- response_body
no context left
served
--- grep_error_log eval: qr/(?:p: |\] )\K(?:\w+: context=\d+|-- the upstream answers)/
--- grep_error_log_out
context_create: context=2
done: context=2
log: context=2
delete: context=2
-- the upstream answers
context_create: context=3
done: context=3
log: context=3
delete: context=3



=== TEST 2: http2: reset while the request headers are paused, and nginx does not look
--- plugin eval: $::STEPS . $::WAIT
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SLOW
--- http_config eval: $::SERVER
--- drive
http2.request(sock, 1, "/t", { ["x-wait"] = "yes" })
http2.settle(sock)
http2.reset(sock, 1)
http2.settle(sock)
released = true
client.no_context_left()
http2.request(sock, 3, "/t")
ngx.print(http2.body(sock, 3, true))
--- response_body
no context left
served
--- grep_error_log eval: qr/p: \K\w+: context=2/
--- grep_error_log_out eval: "context_create: context=2\n$::ENDS"



=== TEST 3: http2: reset in the request body
--- plugin eval: $::STEPS . "request_body echo_params\n"
--- http_config eval: $::SERVER
--- drive
http2.request(sock, 1, "/t", nil, 100000)
http2.data(sock, 1, ("x"):rep(1000))
http2.settle(sock)
http2.reset(sock, 1)
client.no_context_left()
http2.request(sock, 3, "/t")
ngx.print(http2.body(sock, 3, true))
--- response_body
no context left
served
--- grep_error_log eval: qr/p: \K\w+: context=2/
--- grep_error_log_out eval: "context_create: context=2\n$::ENDS"



=== TEST 4: http2: reset while the response streams
--- plugin eval: $::STEPS . "response_body if_eos true echo_params\n"
--- backend
content_by_lua_block {
    for _ = 1, 1000 do
        ngx.print(string.rep("x", 100000))
        ngx.flush(true)
    end
}
--- http_config eval
main::server(<<"_EOC_")
        location / {
$::PHASES$::LOG
            proxy_pass http://unix:\$TEST_NGINX_HTML_DIR/backend.sock;
        }
_EOC_
--- drive
http2.request(sock, 1, "/t")
ngx.say(#http2.body(sock, 1) > 0)
http2.reset(sock, 1)
client.no_context_left()
--- response_body
true
no context left
--- grep_error_log eval: qr/p: \K\w+: context=2/
--- grep_error_log_out eval: "context_create: context=2\n$::ENDS"



=== TEST 5: http2: the connection is closed under streams that do all of this
--- plugin eval: $::STEPS . $::WAIT . "request_body echo_params\n"
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SLOW
--- http_config eval
"lua_check_client_abort on;\n" . main::server(<<"_EOC_")
        location / {
$::PHASES$::LOG
            content_by_lua_block {
                for _ = 1, 1000 do
                    ngx.print(string.rep("x", 100000))
                    ngx.flush(true)
                end
            }
        }
_EOC_
--- drive
http2.request(sock, 1, "/t", { ["x-wait"] = "yes" })
http2.request(sock, 3, "/t", nil, 100000)
http2.data(sock, 3, ("x"):rep(1000))
http2.request(sock, 5, "/t")
http2.request(sock, 7, "/t", { ["x-wait"] = "yes" })
http2.body(sock, 5)
sock:close()
client.no_context_left()
released = true
--- response_body
no context left
--- grep_error_log eval: qr/p: \K(?:done|log|delete): context=\d/
--- grep_error_log_out eval
qr/\A(?=(?:.*\n)*done: context=2\n)(?=(?:.*\n)*log: context=2\n)(?=(?:.*\n)*delete: context=2\n)(?=(?:.*\n)*done: context=3\n)(?=(?:.*\n)*delete: context=3\n)(?=(?:.*\n)*done: context=4\n)(?=(?:.*\n)*delete: context=4\n)(?=(?:.*\n)*done: context=5\n)(?=(?:.*\n)*delete: context=5\n)(?:.*\n){12}\z/



=== TEST 6: http2: reset without a log phase, on an idle worker
--- plugin eval: $::STEPS
--- backend
content_by_lua_block {
    for _ = 1, 1000 do
        ngx.print(string.rep("x", 100000))
        ngx.flush(true)
    end
}
--- http_config eval
main::server(<<"_EOC_")
        location / {
$::PHASES
            proxy_pass http://unix:\$TEST_NGINX_HTML_DIR/backend.sock;
        }
_EOC_
--- drive
http2.request(sock, 1, "/t")
http2.body(sock, 1)
http2.reset(sock, 1)
http2.settle(sock)
-- Nothing but its own timer ends it.
local function deleted()
    local file = assert(io.open(ngx.config.prefix() .. "logs/error.log"))
    local text = file:read("*a")
    file:close()
    return text:find("delete: context=2", 1, true)
end
ngx.say(client.wait(deleted) and "ended")
--- response_body
ended
--- grep_error_log eval: qr/p: \K\w+: context=2/
--- grep_error_log_out eval: "context_create: context=2\n$::ENDS"



=== TEST 7: http2: a trap in the response body ends its stream unfinished, and the connection goes on
--- plugin eval: $::STEPS . "response_body if_header x-trap yes nth 2 trap\n"
--- http_config eval
main::server(<<"_EOC_")
        location / {
$::PHASES$::LOG
$::CHUNKS
        }
_EOC_
--- drive
http2.request(sock, 1, "/t", { ["x-trap"] = "yes" })
ngx.say(http2.unfinished(sock, 1))
http2.request(sock, 3, "/t")
ngx.say(http2.body(sock, 3, true))
client.no_context_left()
--- response_body
reset after: chunk;
chunk;chunk;chunk;
no context left
--- error_log
proxy_on_response_body failed, the instance is dropped: wasm trap: wasm `unreachable` instruction executed
the response is cut off



=== TEST 8: http2: a trap in the response body of a plugin that fails open lets the rest pass
--- plugin eval: $::STEPS . "response_body nth 2 trap\n"
--- plugin_options: fail = "open",
--- http_config eval
main::server(<<"_EOC_")
        location / {
$::PHASES$::LOG
$::CHUNKS
        }
_EOC_
--- drive
http2.request(sock, 1, "/t")
ngx.say(http2.body(sock, 1, true))
client.no_context_left()
--- response_body
chunk;chunk;chunk;
no context left
--- error_log
proxy_on_response_body failed, the instance is dropped: wasm trap: wasm `unreachable` instruction executed
the request passes without this plugin
--- no_error_log
the response is cut off
