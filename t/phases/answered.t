# A response that one plugin has answered in its headers, or failed: what the
# others of the chain can do then.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: answer: a plugin behind that would fail is not asked
--- plugin
response_headers local_response 401 answer x-who=p
--- plugin2_guest: trap_on_response_headers
--- plugin2
--- backend: echo
--- error_code: 401
--- response_body: answer
--- response_headers
x-who: p
--- no_error_log
the response is refused
[error]



=== TEST 2: answer: a plugin behind whose instance is lost has no say, whatever its policy
--- plugin
response_headers local_response 401 answer
--- plugin2
request_headers http_call callout 2000
http_call_response trap
--- callout: echo
--- location
content_by_lua_block {
    ngx.sleep(0.2)
    ngx.say("what nobody was to see")
}
--- error_code: 401
--- response_body: answer
--- error_log
the instance is dropped
--- no_error_log
the response is refused
the response is cut off



=== TEST 3: failure: a plugin behind is not asked, the refused response ends
--- plugin_guest: trap_on_response_headers
--- plugin
--- plugin2
response_headers local_response 401 answer
response_body log error asked
delete log info delete
--- backend: echo
--- timeout: 2
--- error_code: 503
--- response_body:
--- grep_error_log eval: qr/q: \w+|the response is refused/
--- grep_error_log_out
the response is refused
q: delete



=== TEST 4: failure: where the policy is open, the plugin behind answers
--- plugin_guest: trap_on_response_headers
--- plugin
--- plugin_options: fail = "open",
--- plugin2
response_headers local_response 401 answer
--- backend: echo
--- error_code: 401
--- response_body: answer
--- error_log
passes without this plugin



=== TEST 5: failure: a plugin before, whose instance is lost in the body, cannot cut the answer off
--- plugin
response_headers http_call callout 2000
http_call_response trap
response_body log error asked
--- plugin2
response_headers local_response 401 answer
--- callout: echo
--- config
    location = /o {
        rewrite_by_lua_block { chain:rewrite() }
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        log_by_lua_block { chain:log() }
        content_by_lua_block {
            ngx.send_headers()
            ngx.sleep(0.3)
            ngx.say("what nobody was to see")
        }
    }
--- request
GET /o
--- error_code: 401
--- response_body: answer
--- error_log
the instance is dropped
--- no_error_log
the response is cut off



=== TEST 6: error_page: has no say in an answer from the response headers
--- plugin
response_headers local_response 404 answer
--- plugin2
response_headers log error asked
--- backend: echo
--- config
    error_page 404 /sorry;
    proxy_intercept_errors on;
    location = /sorry {
        internal;
        return 200 sorry;
    }
--- error_code: 404
--- response_body: answer



=== TEST 7: error_page: its response can be answered, by the first that does
--- plugin
response_headers local_response 401 answer
--- plugin2
response_headers local_response 402 second
--- location
return 404;
--- config
    error_page 404 /sorry;
    location = /sorry {
        internal;
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        log_by_lua_block { chain:log() }
        return 200 sorry;
    }
--- error_code: 401
--- response_body: answer



=== TEST 8: late: an answer that came while the upstream was asked is passed over, if another plugin answers before
--- plugin
response_headers local_response 401 first x-who=first
--- plugin2
request_headers http_call callout 2000
http_call_response local_response 403 "better late" x-late=1
--- callout: echo
--- location
content_by_lua_block {
    ngx.sleep(0.2)
    ngx.say("what nobody was to see")
}
--- error_code: 401
--- response_body: first
--- response_headers
x-who: first
!x-late
--- no_error_log
[error]



=== TEST 9: late: an answer that came while the upstream was asked stands against plugins behind
--- plugin
request_headers http_call callout 2000
http_call_response local_response 403 "better late" x-late=1
--- plugin2
response_headers local_response 401 second x-who=second
--- callout: echo
--- location
content_by_lua_block {
    ngx.sleep(0.2)
    ngx.say("what nobody was to see")
}
--- error_code: 403
--- response_body: better late
--- response_headers
!x-who
x-late: 1
--- no_error_log
[error]



=== TEST 10: late: between the response headers and the body an answer is ignored
--- plugin
response_headers http_call callout 2000
http_call_response local_response 403 "too late"
--- callout: echo
--- location
content_by_lua_block {
    ngx.print("hello")
    ngx.flush(true)
    ngx.sleep(0.2)
    ngx.say(" and more")
}
--- response_body
hello and more
--- plugin_log
http_call(callout 2000) = OK 1
a local response is ignored: the response is on its way
local_response(403 "too late") = OK
--- no_error_log
[error]



=== TEST 11: late: the same, before the first piece of the body
--- plugin
response_headers http_call callout 2000
http_call_response local_response 403 "too late"
response_body once get_body response_body
--- callout: echo
--- backend
content_by_lua_block {
    ngx.send_headers()
    ngx.flush(true)
    ngx.sleep(0.2)
    ngx.print("hello")
}
--- response_body: hello
--- error_log
a local response is ignored: the response is on its way
--- no_error_log
[error]



=== TEST 12: failure: an answer that does not come is no reason to pass over the plugin behind
--- plugin
response_headers local_response 403 no
response_headers trap
--- plugin_options: fail = "open",
--- plugin2
response_headers get_header response x-old
response_body replace_body response_body secret ******
--- backend
add_header X-Old yes;
return 200 "a secret";
--- response_body: a ******
--- error_log
q: get_header(response x-old) = OK "yes"
passes without this plugin
