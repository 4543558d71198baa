# Subrequests: nothing happens in them, unless the operator wants it.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $STEPS = join '', map { "$_ echo_params\n" } qw(
    context_create request_headers request_body response_headers done log delete
);
$STEPS .= "response_body if_eos true log info response_end\n";

our $SUB = <<'_END_';
    location = /sub {
        rewrite_by_lua_block { chain:rewrite() }
        access_by_lua_block { chain:access() }
        header_filter_by_lua_block { chain:header_filter() }
        body_filter_by_lua_block { chain:body_filter() }
        log_by_lua_block { chain:log() }
        content_by_lua_block { ngx.print("sub") }
    }
_END_

our $ONE = "context_create: context=2 root=1
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

=== TEST 1: subrequest: ngx.location.capture
--- plugin eval: $::STEPS
--- location
content_by_lua_block {
    ngx.print("main+", ngx.location.capture("/sub").body)
}
--- config eval: $::SUB
--- response_body chop
main+sub
--- plugin_log eval: $::ONE



=== TEST 2: subrequest: ngx.location.capture, wanted
--- plugin eval: $::STEPS
--- plugin_options
subrequests = true
--- location
content_by_lua_block {
    local sub = ngx.location.capture("/sub")
    ngx.print("main+", sub.body)
}
--- config eval: $::SUB
--- response_body chop
main+sub
--- plugin_log
context_create: context=2 root=1
request_headers: context=2 num_headers=5 end_of_stream=true
context_create: context=3 root=1
request_headers: context=3 num_headers=5 end_of_stream=true
response_headers: context=3 num_headers=2 end_of_stream=false
response_end
response_headers: context=2 num_headers=2 end_of_stream=false
response_end
done: context=2
log: context=2
delete: context=2
done: context=3
log: context=3
delete: context=3
--- wait: 2



=== TEST 3: subrequest: several at a time, wanted
--- plugin
request_headers echo_params
response_headers echo_params
--- plugin_options
subrequests = true
--- location
content_by_lua_block {
    local one, two = ngx.location.capture_multi { { "/sub" }, { "/sub" } }
    ngx.print(one.body, "+", two.body)
}
--- config eval: $::SUB
--- response_body chop
sub+sub
--- grep_error_log eval: qr/(?:request|response)_headers: context=\d/
--- grep_error_log_out
request_headers: context=2
request_headers: context=3
response_headers: context=3
request_headers: context=4
response_headers: context=4
response_headers: context=2



=== TEST 4: subrequest: auth_request
--- plugin eval: $::STEPS
--- location
auth_request /sub;
--- config eval: $::SUB
--- user_files
>>> t/page.html
page
--- request
GET /t/page.html
--- response_body
page
--- grep_error_log eval: qr/(?:request_headers|response_headers|delete): context=\d/
--- grep_error_log_out
request_headers: context=2
response_headers: context=2
delete: context=2



=== TEST 5: subrequest: a plugin that pauses in one, wanted
--- plugin
request_headers if_property request.path /sub http_call side 5000
request_headers if_property request.path /sub pause
http_call_response continue request
--- plugin_options
subrequests = true,
upstreams = { side = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },
--- backend
content_by_lua_block { ngx.sleep(0.05) }
--- location
content_by_lua_block {
    ngx.print("main+", ngx.location.capture("/sub").body)
}
--- config eval: $::SUB
--- response_body chop
main+sub
--- plugin_log
http_call(side 5000) = OK 1
continue(request) = OK



=== TEST 6: subrequest: SSI
--- plugin eval: $::STEPS
--- location
ssi on;
--- config eval: $::SUB
--- user_files
>>> t/page.html
page+<!--#include virtual="/sub" -->
--- request
GET /t/page.html
--- response_body
page+sub
--- grep_error_log eval: qr/(?:request_headers|response_headers|delete): context=\d|response_end/
--- grep_error_log_out
request_headers: context=2
response_headers: context=2
response_end
delete: context=2
