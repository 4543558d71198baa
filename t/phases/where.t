# Where the lines of a chain are: what a location takes away from it, and what
# README's section "Where to put the lines" promises.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $SETUP = <<'_END_';
    init_by_lua_block {
        chain = assert(require("resty.proxy_wasm").new_chain { {
            name = "p",
            path = "$GUESTS/hostcalls.wasm",
            config = [[
                request_headers  get_header request :path
                response_headers get_header response :status
                log              log info log
            ]],
        } })
        client = dofile("$TOP/t/lib/client.lua")
    }
_END_

our $RESPONSE = <<'_END_';
    header_filter_by_lua_block { chain:header_filter() }
    body_filter_by_lua_block { chain:body_filter() }
    log_by_lua_block { chain:log() }
_END_

# A server with the chain in every phase.
our $SERVER = <<"_END_";
    rewrite_by_lua_block { chain:rewrite() }
    access_by_lua_block { chain:access() }
$::RESPONSE
_END_

our $PATH = qr/p: get_header\(request :path\) = OK \K"[^"]*"/;

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value("http_config", $::SETUP) if !defined $block->http_config;
    if (!defined $block->error_code) {
        $block->set_value('no_error_log', '[error]');
    }
});

no_long_string();
run_tests();

__DATA__

=== TEST 1: where: a location's own handler takes the place of the server's, and the plugin sees no request
--- config eval
"rewrite_by_lua_block { chain:rewrite() }
$::RESPONSE
location = /t {
    rewrite_by_lua_block { ngx.ctx.mine = true }
    content_by_lua_block { ngx.say(ngx.ctx.mine) }
}"
--- response_body
true
--- grep_error_log eval: qr/p: (get_header\(.*?\)|log$|log(?=[ ,]))/
--- grep_error_log_out
p: get_header(response :status)
p: log



=== TEST 2: where: a location's own handler that calls the chain, too
--- config eval
"rewrite_by_lua_block { chain:rewrite() }
$::RESPONSE
location = /t {
    rewrite_by_lua_block { ngx.ctx.mine = true chain:rewrite() }
    content_by_lua_block { ngx.say(ngx.ctx.mine) }
}"
--- response_body
true
--- grep_error_log eval: qr/p: (get_header\(.*?\)|log$|log(?=[ ,]))/
--- grep_error_log_out
p: get_header(request :path)
p: get_header(response :status)
p: log



=== TEST 3: where: with both lines at the server, one of them is left
--- config eval
"$::SERVER
location = /t {
    access_by_lua_block { ngx.ctx.mine = true }
    content_by_lua_block { ngx.say(ngx.ctx.mine) }
}"
--- response_body
true
--- grep_error_log eval: $::PATH
--- grep_error_log_out
"/t"



=== TEST 4: where: `return` answers before the request's callbacks, those of the response run
--- config eval
"$::SERVER
location = /t { return 403; }"
--- error_code: 403
--- grep_error_log eval: qr/p: (get_header\(.*?\)|log$|log(?=[ ,]))/
--- grep_error_log_out
p: get_header(response :status)
p: log



=== TEST 5: where: what has been rewritten before is the path, what is rewritten later is not
--- config eval
"$::SERVER
location = /t {
    content_by_lua_block {
        for _, path in ipairs { 'break', 'last', 'exec_early', 'exec', 'try', 'try_uri', 'try_named' } do
            ngx.log(ngx.WARN, 'asked for ', path)
            ngx.say(client.get('/' .. path))
        end
    }
}
location = /there { content_by_lua_block { ngx.print(ngx.var.uri) } }
location = /break { rewrite ^ /there break; content_by_lua_block { ngx.print(ngx.var.uri) } }
location = /last { rewrite ^ /there last; }
location = /exec_early { rewrite_by_lua_block { ngx.exec('/there') } }
location = /exec { content_by_lua_block { ngx.exec('/there') } }
location = /try { try_files /file /nothing; }
location = /try_uri { try_files /nothing /there; }
location = /try_named { try_files /nothing \@there; }
location \@there { content_by_lua_block { ngx.print(ngx.var.uri) } }"
--- user_files
>>> file
a file
--- response_body
200/there
200/there
200/there
200/there
200a file

200/there
200/try_named
--- grep_error_log eval: qr/asked for \w+|$::PATH/
--- grep_error_log_out
"/t"
asked for break
"/there"
asked for last
"/there"
asked for exec_early
"/there"
asked for exec
"/exec"
asked for try
"/try"
asked for try_uri
"/try_uri"
asked for try_named
"/try_named"



=== TEST 6: where: with `rewrite` alone nginx's access rules hold, whatever `satisfy` says
--- config eval
my $locations = '';
for my $satisfy ('any', 'all') {
    for my $rule ('deny', 'allow') {
        for my $password ('', 'password') {
            my $basic = $password && "auth_basic x; auth_basic_user_file ../html/users;";
            $locations .= "location = /$satisfy/$rule/$password {
                satisfy $satisfy;
                $rule all;
                $basic
                rewrite_by_lua_block { chain:rewrite() }
                $::RESPONSE
                content_by_lua_block { ngx.print('in') }
            }\n";
        }
    }
}
"$locations
location = /t {
    content_by_lua_block {
        local function ask(path, headers)
            local sock = client.connect()
            client.send(path, 'Connection: close\\r\\n' .. (headers or ''), sock)
            return sock:receive('*a'):match('^HTTP/1.1 (%d+)')
        end
        for _, satisfy in ipairs { 'any', 'all' } do
            for _, rule in ipairs { 'deny', 'allow' } do
                for _, password in ipairs { '', 'password' } do
                    local path = '/' .. satisfy .. '/' .. rule .. '/' .. password
                    ngx.say(path, ' ', ask(path), ' ', ask(path, 'Authorization: Basic '
                            .. ngx.encode_base64('joe:secret') .. '\\r\\n'))
                end
            end
        end
    }
}"
--- user_files
>>> users
joe:{PLAIN}secret
--- response_body
/any/deny/ 403 403
/any/deny/password 401 200
/any/allow/ 200 200
/any/allow/password 200 200
/all/deny/ 403 403
/all/deny/password 403 403
/all/allow/ 200 200
/all/allow/password 401 200
--- error_code: 200
--- grep_error_log eval: $::PATH
--- grep_error_log_out eval
my $seen = '';
for my $satisfy ('any', 'all') {
    for my $rule ('deny', 'allow') {
        $seen .= "\"/$satisfy/$rule/$_\"\n" x 2 for '', 'password';
    }
}
$seen



=== TEST 7: where: underscores of response headers, in the location of the chain alone
--- http_config
    init_by_lua_block {
        chain = assert(require("resty.proxy_wasm").new_chain { {
            name = "p",
            path = "$GUESTS/hostcalls.wasm",
            config = "response_headers remove_header response x_secret",
        } })
    }
--- config eval
"location = /secret { return 200 secret; add_header x_secret yes; }
location = /type { content_by_lua_block { ngx.header.content_type = 'text/mine' ngx.say('type') } }
location = /t {
    lua_transform_underscores_in_response_headers off;
    $::RESPONSE
    proxy_pass http://127.0.0.1:\$TEST_NGINX_SERVER_PORT/secret;
}"
--- request eval
["GET /t", "GET /type"]
--- response_headers eval
["!x_secret", "Content-Type: text/mine\n!content_type"]
--- response_body eval
["secret", "type\n"]



=== TEST 8: where: `satisfy any` below a server that calls `access`
--- config eval
"$::SERVER
location = /t {
    satisfy any;
    deny all;
    auth_basic x;
    auth_basic_user_file ../html/users;
    rewrite_by_lua_block { chain:rewrite() }
    access_by_lua_block { ngx.exit(ngx.DECLINED) }
    content_by_lua_block { ngx.say('in') }
}"
--- user_files
>>> users
joe:{PLAIN}secret
--- request eval
["GET /t?nobody", "GET /t?joe"]
--- more_headers eval
["", "Authorization: Basic am9lOnNlY3JldA=="]
--- error_code eval
[401, 200]
--- response_body_like eval
[qr/401/, qr/^in$/]
--- error_log
p: get_header(request :path) = OK "/t?
