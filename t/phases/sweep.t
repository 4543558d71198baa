# Contexts of requests whose log phase does not come to us: a timer ends them,
# also on a worker that has nothing else to do.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $END = join '', map { "$_ echo_params\n" } qw(done log delete);

# A chain without its log phase.
our $NO_LOG = '
    location = /t {
        rewrite_by_lua_block { chain:rewrite() }
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        content_by_lua_block { ngx.say("hello") }
    }
';

no_long_string();
run_tests();

__DATA__

=== TEST 1: sweep: no log phase, idle worker
--- plugin eval: $::END
--- location
return 444;
--- config eval
$::NO_LOG =~ s/\/t/\/quiet/r
--- request
GET /quiet
--- response_body
hello
--- wait: 2.5
--- plugin_log
done: context=2
log: context=2
delete: context=2



=== TEST 2: sweep: the request can no longer be read, and reading it does no harm
--- plugin
log get_header request host
log get_header response content-type
log get_property request.path
log set_property x y
log local_response 500
log get_body response_body
log echo_params
--- config eval
$::NO_LOG =~ s/\/t/\/quiet/r
--- request
GET /quiet
--- wait: 2.5
--- plugin_log
get_header(request host) = NOT_FOUND
get_header(response content-type) = NOT_FOUND
get_property(request.path) = NOT_FOUND
cannot set the property x: there is no request here
set_property(x y) = OK
a local response is ignored: there is no request here
local_response(500) = OK
get_body(response_body) = OK ""
log: context=2



=== TEST 3: sweep: the next request at the same address is another one, on one connection
--- plugin
request_headers echo_params
request_headers get_header request x-number
log echo_params
--- config eval
$::NO_LOG =~ s/\/t/\/quiet/r . '
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock
            for i = 1, 3 do
                sock = client.send("/quiet", "X-Number: " .. i .. "\r\n", sock)
                client.read(sock)
            end
            client.no_context_left()
        }
    }
'
--- request
GET /drive
--- response_body
no context left
--- grep_error_log eval: qr/log: context=\d|get_header.*?(?=,)/
--- grep_error_log_out eval
qr/get_header\(request x-number\) = OK "1"
(?:log: context=2
)?get_header\(request x-number\) = OK "2"
(?:log: context=[23]
){0,2}get_header\(request x-number\) = OK "3"
(?:log: context=[234]
){1,3}$/
--- error_log
log: context=2
log: context=3
log: context=4



=== TEST 4: sweep: the drop-in has no log phase
--- http_config
    init_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("p", "$GUESTS/hostcalls.wasm"))
        ctx = assert(wasm.on_configure(plugin, "done echo_params\nlog echo_params\ndelete echo_params"))
    }
--- config
    location = /t {
        rewrite_by_lua_block {
            assert(require("resty.proxy-wasm").on_http_request_headers(ctx))
        }
        content_by_lua_block { ngx.say("hello") }
    }
--- response_body
hello
--- wait: 2.5
--- grep_error_log eval: qr/\w+: context=\d+/
--- grep_error_log_out
done: context=2
log: context=2
delete: context=2



=== TEST 5: sweep: what a callback asks for then is done, too
--- plugin
log http_call side 5000 :path=/logged
--- plugin_options
upstreams = { side = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },
--- backend
content_by_lua_block {
    ngx.log(ngx.INFO, "[proxy-wasm] -- asked for ", ngx.var.uri)
}
--- config eval
$::NO_LOG =~ s/\/t/\/quiet/r
--- request
GET /quiet
--- response_body
hello
--- wait: 2.5
--- plugin_log
http_call(side 5000 :path=/logged) = OK 1
-- asked for /logged



=== TEST 6: sweep: nginx drops its timer, as too many run: it comes all the same, on an idle worker
--- http_config
    lua_max_running_timers 1;
--- plugin
done echo_params
--- config
    location = /quiet {
        rewrite_by_lua_block { chain:rewrite() }
        content_by_lua_block { ngx.say("hello") }
    }
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.timer.at(0, function() ngx.sleep(1.5) end)
            client.get("/quiet")
            ngx.say("driven")
        }
    }
--- request
GET /drive
--- response_body
driven
--- wait: 4
--- timeout: 10
--- error_log
[alert]
lua_max_running_timers are not enough
done: context=2



=== TEST 7: sweep: at the same address, in the same millisecond, another request is not taken for it
--- plugin
request_headers get_header request x-number
log get_header request x-number
--- config eval
$::NO_LOG =~ s/\/t/\/quiet/r . '
    # Nobody knows of this request before its log phase.
    location = /bare {
        log_by_lua_block { chain:log() }
        return 200 "bare";
    }
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock, text = client.connect(), ""
            for i = 1, 40 do
                text = text .. "GET " .. (i % 2 == 1 and "/quiet" or "/bare") .. " HTTP/1.1\r\n"
                       .. "Host: localhost\r\nX-Number: " .. i .. "\r\n\r\n"
            end
            assert(sock:send(text))
            for i = 1, 40 do
                client.read(sock)
            end
            client.no_context_left()
        }
    }
'
--- request
GET /drive
--- response_body
no context left
--- grep_error_log eval: qr/x-number\) = OK/
--- grep_error_log_out eval: "x-number) = OK\n" x 20
--- error_log
get_header(request x-number) = NOT_FOUND



=== TEST 8: sweep: the end comes at the latest a second after the request, on an idle worker
--- plugin
delete log info "deleted"
--- config eval
$::NO_LOG =~ s/\/t/\/quiet/r . '
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            client.get("/quiet")
            ngx.update_time()
            local ended = ngx.now()
            -- Nothing here may sweep: the log tells.
            local took
            repeat
                ngx.sleep(0.02)
                took = ngx.now() - ended
                local log = assert(io.open(ngx.config.prefix() .. "logs/error.log"))
                local deleted = log:read("*a"):find("p: deleted", 1, true)
                log:close()
            until deleted or took > 5
            ngx.say(took <= 1.5 and "in time" or took)
        }
    }
'
--- request
GET /drive
--- response_body
in time
--- plugin_log
deleted



=== TEST 9: sweep: nginx drops its timer: the end comes as soon as there is room, no period later
--- http_config
    lua_max_running_timers 1;
--- plugin
delete log info "deleted"
--- config eval
$::NO_LOG =~ s/\/t/\/quiet/r . '
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local best = 10
            for round = 1, 4 do
                client.get("/quiet")
                local room
                ngx.sleep(0.2)
                ngx.timer.at(0, function()
                    ngx.sleep(0.9)
                    room = ngx.now()
                end)
                client.wait(function() return room end)
                -- Nothing here may sweep: the log tells.
                repeat
                    ngx.sleep(0.02)
                    local log = assert(io.open(ngx.config.prefix() .. "logs/error.log"))
                    local _, deleted = log:read("*a"):gsub("p: deleted", "")
                    log:close()
                until deleted == round or ngx.now() > room + 5
                -- The best of some: whatever else this machine has to do.
                best = math.min(best, ngx.now() - room)
                if best < 0.5 then
                    break
                end
            end
            ngx.say(best < 0.5 and "in time" or best)
        }
    }
'
--- request
GET /drive
--- response_body
in time
--- timeout: 40
--- error_log
[alert]
lua_max_running_timers are not enough
