# A response body that was held back, and is continued by another callback than
# its own: it goes out with the next run of the body filter, and the guest is
# not asked about it again (src/plugin/response_body.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

# A response in pieces: what comes behind the first one waits until a callback
# has said `set_property ngx.released yes`.
our $PIECES = '
set $released "";
content_by_lua_block {
    ngx.print("one,")
    ngx.flush(true)
    while ngx.var.released == "" do
        ngx.sleep(0.01)
    end
    ngx.print("two,")
    ngx.flush(true)
    ngx.print("three")
}
';

our $ANSWER = 'return 200 "answer";';

no_long_string();
run_tests();

__DATA__

=== TEST 1: held body: continued by a callout's answer, it goes out with the next chunk, which alone is shown
--- plugin
response_body echo_params
response_body get_body response_body
response_body nth 1 http_call callout 5000
response_body nth 1 pause
http_call_response get_body response_body
http_call_response continue response
http_call_response set_property ngx.released yes
--- callout eval: $::ANSWER
--- location eval: $::PIECES
--- response_body chop
one,two,three
--- plugin_log
response_body: context=2 size=4 end_of_stream=false
get_body(response_body) = OK "one,"
http_call(callout 5000) = OK 1
get_body(response_body) = OK "one,"
continue(response) = OK
set_property(ngx.released yes) = OK
response_body: context=2 size=4 end_of_stream=false
get_body(response_body) = OK "two,"
response_body: context=2 size=5 end_of_stream=false
get_body(response_body) = OK "three"
response_body: context=2 size=0 end_of_stream=true
get_body(response_body) = OK ""



=== TEST 2: held body: continued by a tick
--- plugin
response_body get_body response_body
response_body nth 1 remember
response_body nth 1 pause
response_body nth 1 tick 10
tick set_effective_context origin
tick continue response
tick set_property ngx.released yes
tick tick 0
--- location eval: $::PIECES
--- response_body chop
one,two,three
--- plugin_log
get_body(response_body) = OK "one,"
tick(10) = OK
set_effective_context(origin) = OK
continue(response) = OK
set_property(ngx.released yes) = OK
tick(0) = OK
get_body(response_body) = OK "two,"
get_body(response_body) = OK "three"
get_body(response_body) = OK ""



=== TEST 3: held body: continued by another request
--- plugin
response_body if_property request.url_path /t get_body response_body
response_body nth 1 remember
response_body nth 1 pause
request_headers nth 2 set_effective_context origin
request_headers nth 2 continue response
request_headers nth 2 set_property ngx.released yes
--- location eval: $::PIECES
--- config
    location = /release {
        access_by_lua_block { chain:access() }
        content_by_lua_block { ngx.say("released") }
    }
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local first = ngx.thread.spawn(client.get, "/t")
            client.get("/release")
            ngx.say(select(3, ngx.thread.wait(first)))
        }
    }
--- request
GET /drive
--- response_body
one,two,three
--- plugin_log
get_body(response_body) = OK "one,"
set_effective_context(origin) = OK
continue(response) = OK
set_property(ngx.released yes) = OK
get_body(response_body) = OK "two,"
get_body(response_body) = OK "three"
get_body(response_body) = OK ""



=== TEST 4: held body: a flush lets it go, before another chunk comes
--- plugin
response_body echo_params
response_body nth 1 http_call callout 5000
response_body nth 1 pause
http_call_response continue response
http_call_response set_property ngx.released yes
--- callout eval: $::ANSWER
--- location
set $released "";
content_by_lua_block {
    ngx.print("one,")
    ngx.flush(true)
    while ngx.var.released == "" do
        ngx.sleep(0.01)
    end
    ngx.flush(true)
    while not ngx.shared.test:get("read") do
        ngx.sleep(0.01)
    end
    ngx.print("two")
}
--- http_config
    lua_shared_dict test 100k;
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send("/t", "Connection: close\r\n")
            assert(sock:receiveuntil("one,")())
            ngx.say("one,")
            ngx.shared.test:set("read", true)
            ngx.say((sock:receive("*a"):match("two")))
        }
    }
--- request
GET /drive
--- response_body
one,
two
--- plugin_log
response_body: context=2 size=4 end_of_stream=false
http_call(callout 5000) = OK 1
continue(response) = OK
set_property(ngx.released yes) = OK
response_body: context=2 size=3 end_of_stream=false
response_body: context=2 size=0 end_of_stream=true



=== TEST 5: held body: the next chunk can be held back in its turn, and what was released goes out all the same
--- plugin
response_body echo_params
response_body nth 1 http_call callout 5000
response_body nth 1 pause
response_body nth 2 pause
response_body nth 3 pause
response_body get_body response_body
http_call_response continue response
http_call_response set_property ngx.released yes
--- plugin2
response_body get_body response_body
--- callout eval: $::ANSWER
--- location eval: $::PIECES
--- response_body chop
one,two,three
--- plugin_log
response_body: context=2 size=4 end_of_stream=false
http_call(callout 5000) = OK 1
get_body(response_body) = OK "one,"
continue(response) = OK
set_property(ngx.released yes) = OK
response_body: context=2 size=4 end_of_stream=false
get_body(response_body) = OK "two,"
q: get_body(response_body) = OK "one,"
response_body: context=2 size=9 end_of_stream=false
get_body(response_body) = OK "two,three"
response_body: context=2 size=9 end_of_stream=true
get_body(response_body) = OK "two,three"
q: get_body(response_body) = OK "two,three"



=== TEST 6: held body: changed by the callback that continues it, before and behind the continue
--- plugin
response_body get_body response_body
response_body nth 1 http_call callout 5000
response_body nth 1 pause
http_call_response replace_body response_body one ONE
http_call_response continue response
http_call_response set_body response_body 0 0 "new:"
http_call_response get_body response_body
http_call_response set_property ngx.released yes
--- callout eval: $::ANSWER
--- location eval: $::PIECES
--- response_body chop
new:ONE,two,three
--- plugin_log
get_body(response_body) = OK "one,"
http_call(callout 5000) = OK 1
replace_body(response_body one ONE) = OK
continue(response) = OK
set_body(response_body 0 0 "new:") = OK
get_body(response_body) = OK "new:ONE,"
set_property(ngx.released yes) = OK
get_body(response_body) = OK "two,"
get_body(response_body) = OK "three"
get_body(response_body) = OK ""



=== TEST 7: held body: emptied and continued by another callback, nothing of it goes out
--- plugin
response_body nth 1 http_call callout 5000
response_body nth 1 pause
http_call_response set_body response_body 0 -1 ""
http_call_response continue response
http_call_response set_property ngx.released yes
--- callout eval: $::ANSWER
--- location eval: $::PIECES
--- response_body chop
two,three



=== TEST 8: held body: what was released goes out although the next callback fails, where the policy is open
--- plugin
response_body nth 1 http_call callout 5000
response_body nth 1 pause
response_body nth 2 trap
http_call_response continue response
http_call_response set_property ngx.released yes
--- plugin_options
fail = "open",
--- callout eval: $::ANSWER
--- location eval: $::PIECES
--- response_body chop
one,two,three
--- error_log
proxy_on_response_body failed, the instance is dropped
the request passes without this plugin



=== TEST 9: held body: a continue between two chunks of a body that is not held does nothing
--- plugin
response_body echo_params
response_body nth 1 http_call callout 5000
response_body nth 2 pause
http_call_response continue response
http_call_response set_property ngx.released yes
--- plugin2
response_body get_body response_body
--- callout eval: $::ANSWER
--- location eval: $::PIECES
--- response_body chop
one,two,three
--- plugin_log
response_body: context=2 size=4 end_of_stream=false
http_call(callout 5000) = OK 1
q: get_body(response_body) = OK "one,"
continue(response) = OK
set_property(ngx.released yes) = OK
response_body: context=2 size=4 end_of_stream=false
response_body: context=2 size=9 end_of_stream=false
q: get_body(response_body) = OK "two,three"
response_body: context=2 size=0 end_of_stream=true
q: get_body(response_body) = OK ""
