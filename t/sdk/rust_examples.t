# The examples that the Rust SDK publishes, of 0.1.4 (ABI 0.1.0) and 0.2.0
# (ABI 0.2.1), as they are: each block asks both.

use lib 't/lib';
use TestProxyWasm 'no_plan';

our $setup = <<'_EOC_';
    init_worker_by_lua_block {
        versions = { "0_1_4", "0_2_0" }

        -- The chain of the version that the request asks for.
        local chains = {}
        function chain()
            local version = ngx.var.http_x_version
            if not chains[version] then
                chains[version] = assert(require("resty.proxy_wasm").new_chain { {
                    name = version,
                    path = "$GUESTS/sdk_" .. version .. "_EXAMPLE.wasm",
                    config = "configured",
                    upstreams = { httpbin = "127.0.0.1:" .. ngx.var.server_port },
                } })
            end
            return chains[version]
        end

        -- Asks the example of each version for a path, and says what it answers.
        function ask(path)
            local client = dofile("$TOP/t/lib/client.lua")
            for _, version in ipairs(versions) do
                local sock = client.connect()
                client.send(path, "Connection: close\r\nX-Version: " .. version .. "\r\n", sock)
                local answer = sock:receive("*a")
                local head, body = answer:match("^(.-)\r\n\r\n(.*)$")
                local said = { version, head:match("^HTTP/1.1 (%d+)") }
                head = head:lower()
                for _, name in ipairs { "custom%-header", "hello", "powered%-by" } do
                    said[#said + 1] = head:match("\n(" .. name .. ": [^\r]*)")
                end
                said[#said + 1] = body:gsub("^%x+\r\n", ""):gsub("\r\n.*", "")
                ngx.print(table.concat(said, " "))
            end
        end
    }
_EOC_

our $chain = <<'_EOC_';
    access_by_lua_block { chain():access() }
    header_filter_by_lua_block { chain():header_filter() }
    body_filter_by_lua_block { chain():body_filter() }
    log_by_lua_block { chain():log() }
_EOC_

add_block_preprocessor(sub {
    my $block = shift;
    my ($example) = $block->name =~ /^TEST \d+: (\w+):/;
    (my $http_config = $main::setup) =~ s/EXAMPLE/$example/;
    $block->set_value("http_config", $http_config);
    (my $config = $block->config) =~ s/CHAIN;/$main::chain/g;
    $block->set_value("config", $config);
});

run_tests();

__DATA__

=== TEST 1: http_headers: lists the headers of request and response, and says when it is over
--- config
    location = /t {
        content_by_lua_block { ask("/path?a=b") }
    }
    location = /path {
        CHAIN;
        content_by_lua_block {
            ngx.header["X-Answer"] = "yes"
            ngx.say("done")
        }
    }
--- response_body
0_1_4 200 done
0_2_0 200 done
--- error_log
0_1_4: #2 -> :path: /path?a=b
0_1_4: #2 -> :method: GET
0_1_4: #2 -> x-version: 0_1_4
0_1_4: #2 <- :status: 200
0_1_4: #2 <- x-answer: yes
0_1_4: #2 completed.
0_2_0: #2 -> :path: /path?a=b
0_2_0: #2 -> :method: GET
0_2_0: #2 -> x-version: 0_2_0
0_2_0: #2 <- :status: 200
0_2_0: #2 <- x-answer: yes
0_2_0: #2 completed.
--- no_error_log
[error]



=== TEST 2: http_headers: answers /hello itself
--- config
    location = /t {
        content_by_lua_block { ask("/hello") }
    }
    location = /hello {
        CHAIN;
        content_by_lua_block { ngx.log(ngx.ERR, "content ran") }
    }
--- response_body
0_1_4 200 hello: world powered-by: proxy-wasm Hello, World!
0_2_0 200 hello: world powered-by: proxy-wasm Hello, World!
--- error_log
0_1_4: #2 <- hello: World
0_2_0: #2 completed.
--- no_error_log
[error]



=== TEST 3: http_body: replaces a body that has the word, in one piece or in many
--- config
    location = /t {
        content_by_lua_block {
            ask("/one")
            ngx.say()
            ask("/many")
            ngx.say()
            ask("/innocent")
        }
    }
    location = /one {
        CHAIN;
        content_by_lua_block {
            ngx.header.content_length = 14
            ngx.print("it is a secret")
        }
    }
    location = /many {
        CHAIN;
        content_by_lua_block {
            for _, piece in ipairs { "it is", " a se", "cret" } do
                ngx.print(piece)
                ngx.flush(true)
            end
        }
    }
    location = /innocent {
        CHAIN;
        content_by_lua_block {
            ngx.header.content_length = 15
            ngx.print("nothing to hide")
        }
    }
--- response_body chomp
0_1_4 200 Original message body (14 bytes) redacted.0_2_0 200 Original message body (14 bytes) redacted.
0_1_4 200 Original message body (14 bytes) redacted.0_2_0 200 Original message body (14 bytes) redacted.
0_1_4 200 nothing to hide0_2_0 200 nothing to hide
--- no_error_log
[error]



=== TEST 4: http_config: puts its configuration into a header
--- config
    location = /t {
        content_by_lua_block { ask("/path") }
    }
    location = /path {
        CHAIN;
        content_by_lua_block { ngx.say("done") }
    }
--- response_body
0_1_4 200 custom-header: configured done
0_2_0 200 custom-header: configured done
--- no_error_log
[error]



=== TEST 5: http_auth_random: lets through for an even byte of "httpbin", forbids for an odd one
--- config
    location = /t {
        content_by_lua_block {
            byte = "\8"
            ask("/path")
            byte = "\7"
            ask("/path")
        }
    }
    location = /path {
        CHAIN;
        content_by_lua_block { ngx.say("done") }
    }
    location = /bytes/1 {
        content_by_lua_block {
            assert(ngx.var.http_host == "httpbin.org")
            ngx.header.content_type = "application/octet-stream"
            ngx.header.content_length = 1
            ngx.print(byte)
        }
    }
--- response_body
0_1_4 200 powered-by: proxy-wasm done
0_2_0 200 powered-by: proxy-wasm done
0_1_4 403 powered-by: proxy-wasm Access forbidden.
0_2_0 403 powered-by: proxy-wasm Access forbidden.
--- grep_error_log eval: qr/\w+: Access \w+/
--- grep_error_log_out
0_1_4: Access granted
0_2_0: Access granted
0_1_4: Access forbidden
0_2_0: Access forbidden
--- no_error_log
[error]



=== TEST 6: http_auth_random: forbids when there is no answer
--- config
    location = /t {
        content_by_lua_block { ask("/path") }
    }
    location = /path {
        CHAIN;
        content_by_lua_block { ngx.say("done") }
    }
    location = /bytes/1 {
        return 444;
    }
--- response_body
0_1_4 403 powered-by: proxy-wasm Access forbidden.
0_2_0 403 powered-by: proxy-wasm Access forbidden.
--- error_log eval
[qr{0_1_4: a callout to .*127\.0\.0\.1:\d+ failed: }, qr{0_2_0: a callout to .*127\.0\.0\.1:\d+ failed: }]



=== TEST 7: hello_world: for no requests: says hello when it starts, and a lucky number every five seconds
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            services = {}
            for _, version in ipairs(versions) do
                local path = "$GUESTS/sdk_" .. version .. "_hello_world.wasm"
                local plugin = assert(proxy_wasm.load(version, path))
                services[version] = assert(proxy_wasm.on_configure(plugin))
            end
            ngx.say("done")
        }
    }
--- response_body
done
--- wait: 7
--- error_log eval
[
    qr/0_1_4: Hello, World!/,
    qr/0_2_0: Hello, World!/,
    qr/0_1_4: It's 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? UTC, your lucky number is \d+\./,
    qr/0_2_0: It's 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? UTC, your lucky number is \d+\./,
]
--- no_error_log
[error]
