# Plugins of other languages and SDKs, and the one that the demo shows. The
# name of a block begins with its guest; a request for any path but /t runs it.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $setup = <<'_EOC_';
    # A large module would else be read and compiled while requests are refused.
    init_by_lua_block {
        loaded = assert(require("resty.proxy_wasm").load("p", "$GUESTS/GUEST_FILE.wasm"))
    }
    init_worker_by_lua_block {
        local instance
        function chain()
            if not instance then
                instance = assert(require("resty.proxy_wasm").new_chain { {
                    name = "p",
                    path = "$GUESTS/GUEST_FILE.wasm",
                    config = "configured",
                    root_id = ROOT_ID,
                    upstreams = { auth = "127.0.0.1:" .. ngx.var.server_port },
                } })
            end
            return instance
        end

        -- Asks for a path, and says status, body and the header of this name.
        function ask(path, name, headers)
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.send(path, "Connection: close\r\n" .. (headers or ""))
            local answer = sock:receive("*a")
            local head, body = answer:match("^(.-)\r\n\r\n(.*)$")
            ngx.print(head:match("^HTTP/1.1 (%d+)"), " ",
                      head:lower():match("\n(" .. name:gsub("%-", "%%-") .. ": [^\r]*)") or "-", " ",
                      body:match("upstream: [^\r\n]*") or body:match("[^\r\n]*says[^\r\n]*")
                      or body:match("blocked by a plugin") or body:match("who are you") or "-", "\n")
        end
    }
_EOC_

our $server = <<'_EOC_';
    location = /check {
        if ($http_authorization != "Basic am9l") {
            return 401;
        }
        add_header x-auth-user joe;
        return 200;
    }
    location ~ ^/(?!t$|check$) {
        access_by_lua_block { chain():access() }
        header_filter_by_lua_block { chain():header_filter() }
        body_filter_by_lua_block { chain():body_filter() }
        log_by_lua_block { chain():log() }
        content_by_lua_block {
            ngx.say("upstream: ", ngx.var.http_x_as_request, " ", ngx.var.http_x_auth_user)
        }
    }
_EOC_

add_block_preprocessor(sub {
    my $block = shift;
    my ($guest) = $block->name =~ /^TEST \d+: (\w+)/;
    my $root_id = $block->name =~ /root id "(\w*)"/ ? "\"$1\"" : 'nil';
    (my $http_config = $main::setup) =~ s/GUEST_FILE/$guest/g;
    $http_config =~ s/ROOT_ID/$root_id/;
    $block->set_value("http_config", $http_config);
    $block->set_value("config", $block->config . $main::server);
});

run_tests();

__DATA__

=== TEST 1: as_gcore: headers, configuration, log, and printing
--- config
    location = /t {
        content_by_lua_block { ask("/path", "x-as") }
    }
--- response_body
200 x-as: configured upstream: counted nil
--- wait: 0.2
--- error_log
p: [INFO]: configured with 'configured'
p: [INFO]: request for /path
p: printed by AssemblyScript
p: [INFO]: logged by AssemblyScript
--- no_error_log
[error]



=== TEST 2: as_gcore: an exception ends this request, not the next
--- config
    location = /t {
        content_by_lua_block {
            ask("/path", "x-as")
            ask("/throw", "x-as")
            ask("/path", "x-as")
        }
    }
--- response_body
200 x-as: configured upstream: counted nil
503 - -
200 x-as: configured upstream: counted nil
--- error_log
on purpose
p: proxy_on_request_headers failed, the instance is dropped



=== TEST 3: as_solo: an SDK of 2020, without a root id
--- config
    location = /t {
        content_by_lua_block {
            ask("/path", "x-as-old")
            ask("/throw", "x-as-old")
            ask("/path", "x-as-old")
        }
    }
--- response_body
200 x-as-old: yes upstream: nil nil
503 - -
200 x-as-old: yes upstream: nil nil
--- error_log
p: request for /path
on purpose



=== TEST 4: as_solo: with the root id "named"
--- config
    location = /t {
        content_by_lua_block { ask("/path", "x-as-old") }
    }
--- response_body
200 x-as-old: yes upstream: nil nil
--- no_error_log
[error]



=== TEST 5: as_solo: with the root id "unknown", for which it has no context
--- config
    location = /t {
        content_by_lua_block {
            local ok, err = pcall(chain)
            ngx.say(ok, " ", err:match("failed to run [%w_]+"))
        }
    }
--- response_body
false failed to run proxy_on_context_create



=== TEST 6: c_headers: no SDK, no WASI, malloc
--- config
    location = /t {
        content_by_lua_block {
            ask("/path", "x-c")
            ask("/c-blocked", "x-by-c")
        }
    }
--- response_body
200 x-c: configured upstream: nil nil
403 x-by-c: local no, says C
--- error_log
p: C plugin initialized
p: configured
--- no_error_log
[error]



=== TEST 7: c_headers: what it is given it frees: memory does not grow
--- config
    location = /t {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local sock = client.connect()
            local path = "/" .. ("x"):rep(4000)
            for i = 1, 300 do
                client.send(path, nil, sock)
                assert(client.read(sock) == 200)
            end
            sock:close()
            ngx.say("done")
        }
    }
--- response_body
done
--- no_error_log
[error]



=== TEST 8: go_native: headers, a local response, lines of stdout and stderr
--- config
    location = /t {
        content_by_lua_block {
            ask("/path", "x-go")
            ask("/go-blocked", "x-go")
        }
    }
--- response_body
200 x-go: configured upstream: nil nil
403 x-go: configured no, says Go
--- error_log eval
[
    qr/p: Go plugin initialized/,
    qr/p: configured with 'configured'/,
    qr/\[info\] .*p: printed by Go,/,
    qr/\[error\] .*p: printed by Go, as an error/,
]



=== TEST 9: go_native: a panic ends this request, not the next
--- config
    location = /t {
        content_by_lua_block {
            ask("/path", "x-go")
            ask("/go-panic", "x-go")
            ask("/path", "x-go")
        }
    }
--- response_body
200 x-go: configured upstream: nil nil
503 - -
200 x-go: configured upstream: nil nil
--- error_log
p: panic: on purpose
p: proxy_on_request_headers failed, the instance is dropped
--- grep_error_log eval: qr/p: Go plugin initialized/
--- grep_error_log_out
p: Go plugin initialized
p: Go plugin initialized



=== TEST 10: go_native: goroutines, its garbage collector, and memory that grows
--- config
    location = /t {
        content_by_lua_block {
            for i = 1, 5 do
                ask("/go-garbage", "x-go")
            end
        }
    }
--- response_body
200 x-go: configured upstream: nil nil
200 x-go: configured upstream: nil nil
200 x-go: configured upstream: nil nil
200 x-go: configured upstream: nil nil
200 x-go: configured upstream: nil nil
--- grep_error_log eval: qr/p: made \d+ bytes/
--- grep_error_log_out
p: made 12188000 bytes
p: made 12188000 bytes
p: made 12188000 bytes
p: made 12188000 bytes
p: made 12188000 bytes



=== TEST 11: rust_demo: a header, a local response
--- config
    location = /t {
        content_by_lua_block {
            ask("/path", "x-proxy-wasm")
            ask("/blocked?really", "x-blocked-by")
        }
    }
--- response_body
200 x-proxy-wasm: hello from rust upstream: nil nil
403 x-blocked-by: rust-demo blocked by a plugin
--- error_log
p: blocked /blocked?really
--- no_error_log
[error]



=== TEST 12: rust_demo: a callout that decides
--- config
    location = /t {
        content_by_lua_block {
            ask("/callout", "x-proxy-wasm", "Authorization: Basic am9l\r\n")
            ask("/callout", "x-proxy-wasm", "Authorization: Basic eW91\r\n")
            ask("/callout", "x-proxy-wasm")
        }
    }
--- response_body
200 x-proxy-wasm: hello from rust upstream: nil joe
401 x-proxy-wasm: hello from rust who are you
401 x-proxy-wasm: hello from rust who are you
--- no_error_log
[error]
