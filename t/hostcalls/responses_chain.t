# Local responses where a chain has several plugins: the first answer of each
# side of a request stands, and nobody behind is asked.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: response headers: the first answer stands, the plugin behind is not asked
--- plugin
response_headers local_response 401 first x-who=first
--- plugin2
response_headers local_response 402 second x-who=second x-second=1
response_headers log error asked
response_body log error asked
done log info done
log log info log
delete log info delete
--- backend
return 200 "an upstream's body";
--- error_code: 401
--- response_body: first
--- response_headers
x-who: first
!x-second
!content-length
--- plugin_log
local_response(401 first x-who=first) = OK
q: done
q: log
q: delete



=== TEST 2: response headers: the plugin before has seen headers that no longer stand, and sees no body
--- plugin
response_headers get_header response :status
response_headers add_header response x-first 1
response_body log error asked
log get_header response :status
delete log info delete
--- plugin2
response_headers local_response 401 second x-who=second
--- backend
content_by_lua_block {
    for _ = 1, 3 do
        ngx.print("piece")
        ngx.flush(true)
    end
}
--- error_code: 401
--- response_body: second
--- response_headers
x-who: second
!x-first
--- plugin_log
get_header(response :status) = OK "200"
add_header(response x-first 1) = OK
q: local_response(401 second x-who=second) = OK
get_header(response :status) = OK "401"
delete



=== TEST 3: response headers: an answer without a body
--- plugin
response_headers local_response 403 "" x-who=first
--- plugin2
response_headers local_response 402 second
response_body log error asked
--- backend
return 200 "an upstream's body";
--- error_code: 403
--- response_body
--- response_headers
x-who: first
!content-length
!content-type
--- plugin_log
local_response(403 "" x-who=first) = OK



=== TEST 4: response headers: of a response to HEAD
--- plugin
response_headers local_response 401 first x-who=first
--- plugin2
response_headers local_response 402 second
--- backend
return 200 "an upstream's body";
--- request
HEAD /t
--- error_code: 401
--- response_body
--- response_headers
x-who: first
content-length: 5
--- plugin_log
local_response(401 first x-who=first) = OK



=== TEST 5: response headers: of a response that comes without request phases; the plugin behind has its end
--- only_nginx: it answers without request phases
--- plugin
response_headers local_response 401 first
--- plugin2
context_create log info created
response_headers log error asked
response_body log error asked
done log info done
log get_header response :status
delete log info delete
--- location
return 200 "nginx's own";
--- error_code: 401
--- response_body: first
--- plugin_log
local_response(401 first) = OK
q: created
q: done
q: get_header(response :status) = OK "401"
q: delete



=== TEST 6: both sides: an answer to the request is seen by the others, and one of them may answer in its place
--- plugin
request_headers local_response 403 early x-who=early
response_headers get_header response :status
response_headers local_response 500 "p's second"
--- plugin2
request_headers log error asked
response_headers get_header response x-who
response_headers local_response 401 late x-who=late
--- error_code: 401
--- response_body: late
--- response_headers
x-who: late
!content-length
--- plugin_log
local_response(403 early x-who=early) = OK
get_header(response :status) = OK "403"
local_response(500 "p's second") = OK
q: get_header(response x-who) = OK "early"
q: local_response(401 late x-who=late) = OK



=== TEST 7: both sides: the first that answers the response of an answered request stands, too
--- plugin
response_headers local_response 401 "p's" x-who=p
--- plugin2
request_headers local_response 403 early x-who=early
response_headers log error asked
--- error_code: 401
--- response_body: p's
--- response_headers
x-who: p
--- plugin_log
q: local_response(403 early x-who=early) = OK
local_response(401 "p's" x-who=p) = OK



=== TEST 8: response body: a plugin before that would hold it, and one behind that would change it
--- plugin
response_body pause
--- plugin2
response_headers local_response 401 answer
response_body set_body response_body 0 -1 changed
--- backend
return 200 "an upstream's body";
--- error_code: 401
--- response_body: answer
--- plugin_log
q: local_response(401 answer) = OK



=== TEST 9: leaks: the next request of the connection is asked as any other
--- plugin
response_headers if_header x-answer yes local_response 401 first
--- plugin2
response_headers add_header response x-asked 1
--- pipelined_requests eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
["X-Answer: yes\n", "X-Answer: no\n", "X-Answer: yes\n"]
--- error_code eval
[401, 200, 401]
--- response_body eval
["first", "hello\n", "first"]
--- response_headers eval
["x-asked:", "x-asked: 1", "x-asked:"]
