# A paused request waits until the guest continues it or answers: never for
# ever.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $UPSTREAMS = '
upstreams = { side = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },
';

# Beside the location with the plugin, not behind it.
our $SIDE = '
    content_by_lua_block {
        ngx.sleep(tonumber(ngx.var.arg_delay) or 0.02)
        ngx.header["X-Side"] = ngx.var.uri
        ngx.print("side")
    }
';

our $HELLO = 'content_by_lua_block { ngx.say("hello") }';

no_long_string();
run_tests();

__DATA__

=== TEST 1: pause: until the callback of its own callout continues it
--- plugin
request_headers http_call side 5000 :path=/check
request_headers pause
http_call_response save x get_header call_response x-side
http_call_response set_header request x-checked $x
http_call_response continue request
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location
content_by_lua_block { ngx.say("checked ", ngx.var.http_x_checked) }
--- response_body
checked /check
--- plugin_log
http_call(side 5000 :path=/check) = OK 1
get_header(call_response x-side) = OK "/check"
set_header(request x-checked $x) = OK
continue(request) = OK



=== TEST 2: pause: a continue in the callback that pauses is not lost
--- plugin
request_headers continue request
request_headers pause
request_body continue request
request_body pause
--- request
POST /t
body
--- response_body
hello
--- plugin_log
continue(request) = OK
continue(request) = OK



=== TEST 3: pause: a continue too many does not let the next pause pass
--- plugin
request_headers http_call side 5000 :path=/one
request_headers http_call side 5000 :path=/two?delay=0.1
request_headers http_call side 5000 :path=/three?delay=0.6
request_headers pause
http_call_response get_header call_response x-side
http_call_response continue request
request_body log info body
request_body pause
done log info end
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location eval: $::HELLO
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/t", "Content-Length: 4\r\n")
            ngx.sleep(0.3)
            sock:send("body")
            ngx.print(client.read(sock))
        }
    }
--- request
GET /drive
--- response_body
200hello
--- plugin_log
http_call(side 5000 :path=/one) = OK 1
http_call(side 5000 :path=/two?delay=0.1) = OK 2
http_call(side 5000 :path=/three?delay=0.6) = OK 3
get_header(call_response x-side) = OK "/one"
continue(request) = OK
get_header(call_response x-side) = OK "/two"
continue(request) = OK
body
get_header(call_response x-side) = OK "/three"
continue(request) = OK
end



=== TEST 4: pause: a local response from the callback of the callout
--- plugin
request_headers http_call side 5000
request_headers pause
http_call_response local_response 401 "who are you\n" x-by=plugin
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location eval: $::HELLO
--- error_code: 401
--- response_headers
X-By: plugin
--- response_body
who are you
--- plugin_log
http_call(side 5000) = OK 1
local_response(401 "who are you\n" x-by=plugin) = OK



=== TEST 5: pause: a local response before it wins
--- plugin
request_headers local_response 401 no
request_headers pause
--- error_code: 401
--- response_body chop
no



=== TEST 6: pause: with nothing that could end it, the answer is 500 at once, and a line in the log
--- plugin
request_headers pause
done log info done
--- error_code: 500
--- response_body_like: <h1>500 Internal Server Error</h1>
--- plugin_log
http context 2: paused, and nothing is left that could continue it: no callout in flight, no tick, no queue, no other request
done



=== TEST 7: pause: hopeless again when the only callout was answered in vain
--- plugin
request_headers http_call side 5000
request_headers pause
http_call_response echo_params
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location eval: $::HELLO
--- error_code: 500
--- response_body_like: <h1>500 Internal Server Error</h1>
--- plugin_log
http_call(side 5000) = OK 1
http_call_response: context=2 token=1 num_headers=7 body_size=4 num_trailers=0
http context 2: paused, and nothing is left that could continue it: no callout in flight, no tick, no queue, no other request



=== TEST 8: pause: hopeless again when the only other request ends
--- plugin
request_headers if_header x-pause yes pause
done echo_params
--- location
content_by_lua_block {
    ngx.sleep(0.2)
    ngx.say("hello")
}
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local other = client.send("/t")
            ngx.sleep(0.05)
            ngx.say((client.get("/t", "X-Pause: yes\r\n")))
            ngx.say((client.read(other)))
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
500
200
no context left
--- plugin_log
done: context=2
http context 3: paused, and nothing is left that could continue it: no callout in flight, no tick, no queue, no other request
done: context=3



=== TEST 9: pause: longer than the longest wait is 504, and a line in the log
--- plugin
request_headers http_call side 10000 :path=/?delay=1.5
request_headers pause
http_call_response continue request
done log info done
--- plugin_options eval
"$::UPSTREAMS pause_timeout = 0.5"
--- backend eval: $::SIDE
--- location eval: $::HELLO
--- error_code: 504
--- response_body_like: <h1>504 Gateway Time-out</h1>
--- wait: 1.5
--- plugin_log
http_call(side 10000 :path=/?delay=1.5) = OK 1
http context 2: paused for more than 500 ms
done



=== TEST 10: pause: its longest wait ends it, whatever wakes the request meanwhile
--- plugin
request_headers http_call side 10000 :path=/?delay=0.2
request_headers http_call side 10000 :path=/?delay=1.5
request_headers pause
--- plugin_options eval
"$::UPSTREAMS pause_timeout = 0.5"
--- backend eval: $::SIDE
--- location eval: $::HELLO
--- error_code: 504
--- response_body_like: <h1>504 Gateway Time-out</h1>
--- wait: 1.5
--- error_log
http context 2: paused for more than 500 ms



=== TEST 11: pause: with resume = "callouts" the last callout ends it
--- plugin
request_headers http_call side 5000 :path=/one
request_headers http_call side 5000 :path=/two?delay=0.2
request_headers pause
http_call_response get_header call_response x-side
response_headers log info response
--- plugin_options eval
"$::UPSTREAMS resume = 'callouts'"
--- backend eval: $::SIDE
--- location eval: $::HELLO
--- response_body
hello
--- plugin_log
http_call(side 5000 :path=/one) = OK 1
http_call(side 5000 :path=/two?delay=0.2) = OK 2
get_header(call_response x-side) = OK "/one"
get_header(call_response x-side) = OK "/two"
response



=== TEST 12: pause: with resume = "callouts" a callout of the last callback is one of them
--- plugin
request_headers http_call side 5000 :path=/one
request_headers pause
http_call_response get_header call_response x-side
http_call_response once http_call side 5000 :path=/two
response_headers log info response
--- plugin_options eval
"$::UPSTREAMS resume = 'callouts'"
--- backend eval: $::SIDE
--- location eval: $::HELLO
--- response_body
hello
--- plugin_log
http_call(side 5000 :path=/one) = OK 1
get_header(call_response x-side) = OK "/one"
http_call(side 5000 :path=/two) = OK 2
get_header(call_response x-side) = OK "/two"
response



=== TEST 13: pause: with resume = "callouts" and none, it is hopeless all the same
--- plugin
request_headers pause
--- plugin_options
resume = "callouts"
--- error_code: 500
--- response_body_like: <h1>500 Internal Server Error</h1>
--- error_log
p: http context 2: paused, and nothing is left that could continue it



=== TEST 14: pause: one request continues another
--- plugin
request_headers if_header x-role waiting remember
request_headers if_header x-role waiting pause
request_headers if_header x-role helper set_effective_context origin
# From here on the helper acts on the other, which has been here itself before.
request_headers if_header x-role waiting nth 2 set_header request x-by-helper yes
request_headers if_header x-role waiting nth 2 continue request
done echo_params
--- location
content_by_lua_block {
    if ngx.var.http_x_role == "alive" then
        ngx.sleep(1)
    end
    ngx.print(" ", ngx.var.http_x_role, " ", ngx.var.http_x_by_helper)
}
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            -- The pause of a lonely request would be hopeless.
            local alive = client.send("/t", "X-Role: alive\r\n")
            local waiting = client.send("/t", "X-Role: waiting\r\n")
            ngx.sleep(0.1)
            ngx.say(client.get("/t", "X-Role: helper\r\n"))
            ngx.say(client.read(waiting))
            ngx.say(client.read(alive))
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
200 helper nil
200 waiting yes
200 alive nil
no context left
--- plugin_log
set_effective_context(origin) = OK
set_header(request x-by-helper yes) = OK
continue(request) = OK
done: context=4
done: context=3
done: context=2



=== TEST 15: pause: two requests wait, each for its own
--- plugin
request_headers save name get_header request x-name
request_headers http_call side 5000 :path=$name
request_headers pause
http_call_response save who get_header call_response x-side
http_call_response set_header request x-who $who
http_call_response continue request
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location
content_by_lua_block {
    ngx.print(ngx.var.http_x_name, " is ", ngx.var.http_x_who)
}
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local one = client.send("/t", "X-Name: /one?delay=0.1\r\n")
            local two = client.send("/t", "X-Name: /two?delay=0.1\r\n")
            ngx.say((select(2, client.read(one))))
            ngx.say((select(2, client.read(two))))
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
/one?delay=0.1 is /one
/two?delay=0.1 is /two
no context left



=== TEST 16: pause: the client hangs up, the answer comes later and finds nobody
--- plugin
request_headers http_call side 5000 :path=/?delay=0.4
request_headers pause
http_call_response continue request
http_call_response set_header request x-late yes
done echo_params
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location eval: $::HELLO
--- config
    lua_check_client_abort on;

    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/t")
            ngx.sleep(0.1)
            sock:close()
            client.no_context_left()
            ngx.sleep(0.5)
            -- The instance lives.
            ngx.print(client.get("/t"))
        }
    }
--- request
GET /drive
--- response_body
no context left
200hello
--- plugin_log
http_call(side 5000 :path=/?delay=0.4) = OK 1
done: context=2
http_call(side 5000 :path=/?delay=0.4) = OK 2
continue(request) = OK
set_header(request x-late yes) = OK
done: context=3



=== TEST 17: pause: from the request body
--- plugin
request_body http_call side 5000 :path=/check
request_body pause
http_call_response get_body request_body
http_call_response set_body request_body 0 -1 changed
http_call_response continue request
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- location
content_by_lua_block {
    ngx.req.read_body()
    ngx.say(ngx.req.get_body_data())
}
--- request
POST /t
given
--- response_body
changed
--- plugin_log
http_call(side 5000 :path=/check) = OK 1
get_body(request_body) = OK "given"
set_body(request_body 0 -1 changed) = OK
continue(request) = OK



=== TEST 18: pause: in every phase that can wait: rewrite, access, content
--- plugin
request_headers http_call side 5000
request_headers pause
http_call_response continue request
--- plugin_options eval: $::UPSTREAMS
--- backend eval: $::SIDE
--- config
    location = /access {
        access_by_lua_block { chain:access() }
        content_by_lua_block { ngx.say("access") }
    }
    location = /content {
        content_by_lua_block {
            chain:rewrite()
            ngx.say("content")
        }
    }
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.print(select(2, client.get("/access")))
            ngx.print(select(2, client.get("/content")))
        }
    }
--- request
GET /drive
--- response_body
access
content



=== TEST 19: pause: where nginx cannot wait, the request is refused and not lost
--- plugin
request_headers pause
--- config
    location = /set {
        set_by_lua_block $x {
            chain:rewrite()
        }
        content_by_lua_block { ngx.say("reached") }
    }
--- request
GET /set
--- error_code: 500
--- error_log
wrong phase: request headers



=== TEST 20: action: 2, 3, 4 and 99 in the request headers
--- plugin
request_headers if_header x-action 2 action 2
request_headers if_header x-action 3 action 3
request_headers if_header x-action 4 action 4
request_headers if_header x-action 99 action 99
--- location
content_by_lua_block { ngx.print("on") }
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            for _, action in ipairs { 0, 2, 3, 4, 99 } do
                ngx.say(action, ": ", (client.get("/t", "X-Action: " .. action .. "\r\n")))
            end
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
0: 200
2: 200
3: 500
4: 500
99: 500
no context left



=== TEST 21: action: 99 from every callback
--- plugin_guest: action_99
--- plugin
x
--- request
POST /t
body
--- error_code: 500



=== TEST 22: pause: of response headers is logged once for a plugin, and the response goes on
--- plugin
response_headers pause
response_body if_eos true log info end
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            for _ = 1, 2 do
                ngx.say((client.get("/t")))
            end
        }
    }
--- request
GET /drive
--- response_body
200
200
--- plugin_log
response headers cannot be paused in nginx: the response goes on
end
end



=== TEST 23: pause: of response headers, continued in the same callback, is none
--- plugin
response_headers continue response
response_headers pause
--- response_body
hello
--- plugin_log
continue(response) = OK



=== TEST 24: pause: of the response body holds it back until its end
--- plugin
response_body if_eos false pause
response_body echo_params
response_body if_eos true get_body response_body
response_body if_eos true set_body response_body 0 0 "all: "
--- location
content_by_lua_block {
    for i = 1, 3 do
        ngx.print(i)
        ngx.flush(true)
    end
}
--- response_body chop
all: 123
--- plugin_log
response_body: context=2 size=1 end_of_stream=false
response_body: context=2 size=2 end_of_stream=false
response_body: context=2 size=3 end_of_stream=false
response_body: context=2 size=3 end_of_stream=true
get_body(response_body) = OK "123"
set_body(response_body 0 0 "all: ") = OK



=== TEST 25: pause: of the response body to the very end does not swallow it
--- plugin
response_body pause
--- response_body
hello



=== TEST 26: pause: of the response body, ended by the guest in between
--- plugin
response_body nth 1 pause
response_body nth 2 pause
response_body get_body response_body
--- location
content_by_lua_block {
    for i = 1, 4 do
        ngx.print(i)
        ngx.flush(true)
    end
}
--- response_body chop
1234
--- plugin_log
get_body(response_body) = OK "1"
get_body(response_body) = OK "12"
get_body(response_body) = OK "123"
get_body(response_body) = OK "4"
get_body(response_body) = OK ""



=== TEST 27: pause: two plugins hold the response body back, one behind the other
--- plugin
response_body if_eos false pause
response_body if_eos true set_body response_body 0 0 "p:"
--- plugin2
response_body if_eos false pause
response_body if_eos true set_body response_body 0 0 "q:"
--- location
content_by_lua_block {
    for i = 1, 3 do
        ngx.print(i)
        ngx.flush(true)
    end
}
--- response_body chop
q:p:123



=== TEST 28: pause: error_page applies to its end; the plugin sees the answer that becomes of it
--- plugin
request_headers tick 10000
request_headers pause
response_headers get_header response :status
response_headers get_header response x-page
response_headers set_header response x-seen yes
--- plugin_options
pause_timeout = 0.1,
--- config
location = /late {
    error_page 504 = @page;
    access_by_lua_block { chain:access() }
    header_filter_by_lua_block { chain:header_filter() }
    body_filter_by_lua_block { chain:body_filter() }
    log_by_lua_block { chain:log() }
}
location @page {
    header_filter_by_lua_block { chain:header_filter() }
    body_filter_by_lua_block { chain:body_filter() }
    log_by_lua_block { chain:log() }
    add_header X-Page own;
    return 503 "a page of our own";
}
--- request
GET /late
--- error_code: 503
--- response_body chomp
a page of our own
--- response_headers
x-seen: yes
--- plugin_log
tick(10000) = OK
http context 2: paused for more than 100 ms
get_header(response :status) = OK "503"
get_header(response x-page) = NOT_FOUND
set_header(response x-seen yes) = OK



=== TEST 29: pause: nginx answers in whatever phase it waits; the plugin sees that
--- plugin
request_headers pause
response_headers get_header response :status
--- config
location = /content {
    content_by_lua_block { chain:access() }
    header_filter_by_lua_block { chain:header_filter() }
    body_filter_by_lua_block { chain:body_filter() }
    log_by_lua_block { chain:log() }
}
location = /rewrite {
    rewrite_by_lua_block { chain:rewrite() }
    header_filter_by_lua_block { chain:header_filter() }
    body_filter_by_lua_block { chain:body_filter() }
    log_by_lua_block { chain:log() }
    content_by_lua_block { ngx.say("not reached") }
}
--- request eval
["GET /t", "GET /rewrite", "GET /content"]
--- error_code eval
[500, 500, 500]
--- response_body_like eval
["<h1>500 Internal", "<h1>500 Internal", "<h1>500 Internal"]
--- grep_error_log: get_header(response :status) = OK "500"
--- grep_error_log_out
get_header(response :status) = OK "500"



=== TEST 30: pause: the longest wait is a minute, or what the option says
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local lib = require("resty.proxy_wasm.lib").lib
            local function longest(options)
                local plugin = assert(proxy_wasm.load("p", "$GUESTS/hostcalls.wasm", options))
                local root = assert(proxy_wasm.on_configure(plugin, ""))
                ngx.say(lib.rpw_pause_timeout(root))
            end
            longest()
            longest { pause_timeout = 1.5 }
        }
    }
--- response_body
60000
1500
--- no_error_log
[error]



=== TEST 31: pause: the longest wait of a request body is the same
--- plugin
request_body http_call side 10000 :path=/?delay=1.5
request_body pause
done log info done
--- plugin_options eval
"$::UPSTREAMS pause_timeout = 0.5"
--- backend eval: $::SIDE
--- location eval: $::HELLO
--- request
POST /t
body
--- error_code: 504
--- response_body_like: <h1>504 Gateway Time-out</h1>
--- wait: 1.5
--- plugin_log
http_call(side 10000 :path=/?delay=1.5) = OK 1
http context 2: paused for more than 500 ms
done



=== TEST 32: pause: its longest wait counts from the pause, however long the plugin worked before it
--- prepare
    require("resty.proxy_wasm").register_foreign_function("work", function()
        os.execute("sleep 2")
        return ""
    end)
--- plugin
request_headers tick 600
request_headers remember
request_headers foreign work
request_headers pause
tick set_effective_context origin
tick continue request
tick tick 0
--- plugin_options: pause_timeout = 1.5,
--- timeout: 10
--- response_body
hello
--- no_error_log
paused for more than



=== TEST 33: pause: hopeless again when the last tick has stopped the ticks
--- plugin
request_headers tick 20
request_headers pause
tick tick 0
done log info done
--- error_code: 500
--- response_body_like: <h1>500 Internal Server Error</h1>
--- plugin_log
tick(20) = OK
tick(0) = OK
http context 2: paused, and nothing is left that could continue it: no callout in flight, no tick, no queue, no other request
done
