# done, log and delete run once for each context, whatever ends its request.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $STEPS = join '', map { "$_ echo_params\n" } qw(context_create done log delete);

our $END = "done: context=2\nlog: context=2\ndelete: context=2\n";
our $WHOLE = "context_create: context=2 root=1\n$END";

no_long_string();
run_tests();

__DATA__

=== TEST 1: end: ngx.exit of another handler behind the chain, in access
--- plugin eval: $::STEPS
--- config
    location = /other {
        rewrite_by_lua_block { chain:rewrite() }
        access_by_lua_block { ngx.exit(403) }
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        log_by_lua_block { chain:log() }
        content_by_lua_block { ngx.say("never") }
    }
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.say(client.outcome("/other"))
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
403 page
no context left
--- plugin_log eval: $::WHOLE



=== TEST 2: end: ngx.exit(ngx.ERROR) of another handler in the header filter
--- plugin eval: $::STEPS
--- config
    location = /other {
        access_by_lua_block { chain:access() }
        header_filter_by_lua_block {
            chain:header_filter()
            ngx.exit(ngx.ERROR)
        }
        body_filter_by_lua_block { chain:body_filter() }
        log_by_lua_block { chain:log() }
        content_by_lua_block { ngx.say("hello") }
    }
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.say(client.outcome("/other"))
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
cut
no context left
--- plugin_log eval: $::WHOLE



=== TEST 3: end: an error of another handler, in content
--- plugin eval: $::STEPS
--- location
content_by_lua_block { error("on purpose") }
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.say(client.outcome("/t"))
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
500 page
no context left
--- plugin_log eval: $::WHOLE



=== TEST 4: end: pipelined requests on one connection, each its own
--- plugin
context_create echo_params
done echo_params
log echo_params
delete echo_params
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.connect()
            local request = "GET /t HTTP/1.1\r\nHost: localhost\r\n\r\n"
            assert(sock:send(request:rep(20)))
            for _ = 1, 20 do
                client.read(sock)
            end
            sock:close()
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
no context left
--- plugin_log eval
join '', map { $::WHOLE =~ s/context=2/context=$_/gr } 2 .. 21



=== TEST 5: end: a failed request has none, the one behind it on its connection has its own
--- plugin eval
$::STEPS . "request_headers if_header x-trap yes trap"
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/t", "X-Trap: yes\r\n")
            client.send("/t", nil, sock)
            ngx.say((client.read(sock)), " ", (client.read(sock)))
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
503 200
no context left
--- grep_error_log eval: qr/p: \K[a-z_]+: context=\d/
--- grep_error_log_out
context_create: context=2
context_create: context=3
done: context=3
log: context=3
delete: context=3



=== TEST 6: end: the response is cut off by the plugin's failure, its neighbour's contexts end
--- plugin
response_body trap
--- plugin2 eval: $::STEPS
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.say(client.outcome("/t"))
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
cut
no context left
--- grep_error_log eval: qr/q: \K[a-z_]+: context=\d/
--- grep_error_log_out
context_create: context=2
done: context=2
log: context=2
delete: context=2



=== TEST 7: end: without a log phase, on an idle worker, within a second or so
--- plugin
request_headers if_header x-trap yes trap
log echo_params
--- config
    location = /quiet {
        access_by_lua_block { chain:access() }
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        content_by_lua_block { ngx.say("quiet") }
    }
--- request
GET /quiet
--- response_body
quiet
--- wait: 2.5
--- plugin_log
log: context=2



=== TEST 8: end: the client hangs up while its body is with the plugin, and nginx looks (lua_check_client_abort)
--- plugin eval
$::STEPS . <<'_EOC_'
request_body http_call slow 20000
request_body pause
http_call_response continue request
_EOC_
--- plugin_options eval: 'upstreams = { slow = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },'
--- backend
content_by_lua_block {
    asked = true
    while not released do
        ngx.sleep(0.01)
    end
}
--- location
content_by_lua_block { ngx.say("hello") }
--- config
    lua_check_client_abort on;

    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/t", "Content-Length: 4\r\n")
            assert(sock:send("body"))
            client.wait(function() return asked end)
            sock:close()
            client.no_context_left()
            client.mark("the upstream answers")
            released = true
        }
    }
--- request
GET /drive
--- response_body
no context left
--- grep_error_log eval: qr/(?:p: |\] )\K(?:\w+: context=2(?: root=1)?|-- the upstream answers)/
--- grep_error_log_out eval: "$::WHOLE-- the upstream answers\n"
