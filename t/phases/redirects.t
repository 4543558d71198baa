# Internal redirects: the chain goes on with its contexts, and request
# callbacks are not repeated.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $STEPS = join '', map { "$_ echo_params\n" } qw(
    context_create request_headers request_body response_headers done log delete
);
$STEPS .= "response_body if_eos true log info response_end\n";

# Where the redirects lead: under the same chain.
our $THERE = <<'_END_';
    location = /there {
        rewrite_by_lua_block { chain:rewrite() }
        access_by_lua_block { chain:access() }
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        log_by_lua_block { chain:log() }
        content_by_lua_block { ngx.say("there") }
    }
_END_

our $ONCE = "context_create: context=2 root=1
request_headers: context=2 num_headers=5 end_of_stream=true
response_headers: context=2 num_headers=2 end_of_stream=false
response_end
done: context=2
log: context=2
delete: context=2
";

no_long_string();
run_tests();

__DATA__

=== TEST 1: redirect: ngx.exec
--- plugin eval: $::STEPS
--- location
content_by_lua_block { ngx.exec("/there") }
--- config eval: $::THERE
--- response_body
there
--- plugin_log eval: $::ONCE



=== TEST 2: redirect: ngx.exec with a request body, which is not given again
--- plugin eval: $::STEPS
--- location
content_by_lua_block { ngx.exec("/there") }
--- config eval: $::THERE
--- request
POST /t
abc
--- response_body
there
--- plugin_log
context_create: context=2 root=1
request_headers: context=2 num_headers=6 end_of_stream=false
request_body: context=2 size=3 end_of_stream=true
response_headers: context=2 num_headers=2 end_of_stream=false
response_end
done: context=2
log: context=2
delete: context=2



=== TEST 3: redirect: error_page
--- plugin eval: $::STEPS
--- location
error_page 404 = /there;
content_by_lua_block { ngx.exit(404) }
--- config eval: $::THERE
--- error_code: 404
--- response_body
there
--- plugin_log eval: $::ONCE



=== TEST 4: redirect: error_page to a named location
--- plugin eval: $::STEPS
--- location
error_page 404 = @there;
content_by_lua_block { ngx.exit(404) }
--- config eval: $::THERE =~ s/= \/there/\@there/r
--- error_code: 404
--- response_body
there
--- plugin_log eval: $::ONCE



=== TEST 5: redirect: error_page for the response of an upstream
--- plugin eval: $::STEPS
--- backend
return 404;
--- location
proxy_pass http://unix:$TEST_NGINX_HTML_DIR/backend.sock;
proxy_intercept_errors on;
error_page 404 = /there;
--- config eval: $::THERE
--- response_body
there
--- plugin_log eval: $::ONCE



=== TEST 6: redirect: try_files
--- plugin eval: $::STEPS
--- location
try_files /nothing /there;
--- config eval: $::THERE
--- response_body
there
--- plugin_log eval: $::ONCE



=== TEST 7: redirect: rewrite in the server, before the chain
--- plugin eval: $::STEPS
--- config eval
"rewrite ^/t\$ /there last;\n$::THERE"
--- response_body
there
--- plugin_log eval: $::ONCE



=== TEST 8: redirect: rewrite in the location, behind which the chain begins elsewhere
--- plugin eval: $::STEPS
--- location
rewrite ^ /there last;
--- config eval: $::THERE
--- response_body
there
--- plugin_log eval: $::ONCE



=== TEST 9: redirect: index
--- plugin eval: $::STEPS
--- location
index there.html;
--- config
    location = /t/there.html {
        rewrite_by_lua_block { chain:rewrite() }
        access_by_lua_block { chain:access() }
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        log_by_lua_block { chain:log() }
    }
--- request
GET /t/
--- user_files
>>> t/there.html
there
--- response_body
there
--- plugin_log eval: $::ONCE =~ s/num_headers=2/num_headers=4/r



=== TEST 10: redirect: a local response goes where error_page leads, as it is
--- plugin eval
"$::STEPS\nrequest_headers local_response 404 \"no\\n\""
--- location
error_page 404 = /there;
--- config eval: $::THERE
--- error_code: 404
--- response_body
no
--- plugin_log eval
$::ONCE =~ s/(=true\n)/$1local_response(404 "no\\n") = OK\n/r =~ s/num_headers=2/num_headers=3/r



=== TEST 11: redirect: to where no chain is, nobody sees the response, and the context ends
--- plugin eval: $::STEPS
--- location
content_by_lua_block { ngx.exec("/bare") }
--- config
    location = /bare {
        return 200 "bare\n";
    }
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.print(client.get("/t"))
        }
    }
--- request
GET /drive
--- response_body
200bare
--- wait: 2
--- plugin_log
context_create: context=2 root=1
request_headers: context=2 num_headers=5 end_of_stream=true
done: context=2
log: context=2
delete: context=2



=== TEST 12: redirect: several of them
--- plugin eval: $::STEPS
--- location
content_by_lua_block { ngx.exec("/second") }
--- config eval
"    location = /second {
        rewrite_by_lua_block { chain:rewrite() }
        error_page 410 = /there;
        content_by_lua_block { ngx.exit(410) }
    }
$::THERE"
--- error_code: 410
--- response_body
there
--- plugin_log eval: $::ONCE
