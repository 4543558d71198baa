# What a plugin may import and what of it is called: the option `capabilities`
# (src/plugin/capabilities.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

# What the SDK of the test plugin needs, and a bit of all kinds.
our $NEEDED = join ", ", map { qq("$_") } qw(
    proxy_log proxy_get_buffer_bytes proxy_set_effective_context proxy_get_current_time_nanoseconds
    proxy_on_context_create proxy_on_vm_start proxy_on_configure proxy_on_request_headers
    environ_get environ_sizes_get random_get
);

add_block_preprocessor(sub {
    my $block = shift;
    for my $section (qw(plugin_options config http_config)) {
        my $value = $block->$section;
        next if !defined $value;
        $value =~ s/\$NEEDED/$main::NEEDED/g;
        $block->set_value($section, $value);
    }
});

no_long_string();
run_tests();

__DATA__

=== TEST 1: imports: what is not in the list answers as on Envoy; the log names it once
--- plugin_options: capabilities = { $NEEDED, "proxy_get_property" },
--- plugin
request_headers proxy_get_property "plugin_name" **
request_headers proxy_set_property "mine" "x"
request_headers proxy_send_local_response 200 "" "no" {} -1
request_headers proxy_get_header_map_value 0 "host" **
request_headers proxy_http_call "callout" {:method=GET,:path=/,:authority=a} "" "" 1000 *
request_headers wasi_fd_write 1 iov:x *
request_headers wasi_clock_time_get 0 0 1024
request_headers wasi_random_get 1024 8
--- response_body
hello
--- plugin_log
proxy_get_property("plugin_name" **) = OK "p"
proxy_set_property("mine" "x") = INTERNAL_FAILURE
proxy_send_local_response(200 "" "no" {} -1) = INTERNAL_FAILURE
proxy_get_header_map_value(0 "host" **) = INTERNAL_FAILURE
proxy_http_call("callout" {:method=GET,:path=/,:authority=a} "" "" 1000 *) = INTERNAL_FAILURE
wasi_fd_write(1 iov:x *) = 76
wasi_clock_time_get(0 0 1024) = 76
wasi_random_get(1024 8) = 0
--- error_log eval
[
    qr/\[info\] [^\n]*p: imports that are not allowed: [^\n]*\bproxy_set_property\b/,
    qr/\[info\] [^\n]*p: imports that are not allowed: [^\n]*\bfd_write\b/,
    qr/\[info\] [^\n]*p: callbacks that are not called: [^\n]*\bproxy_on_response_body\b/,
]
--- no_error_log
[warn]
[error]



=== TEST 2: callbacks: what is not in the list is not called, and nothing is done for it
--- plugin_options: capabilities = { $NEEDED, "proxy_on_response_headers" },
--- plugin
request_headers log info "request headers"
request_body log info "request body"
response_headers log info "response headers"
response_body log info "response body"
done log info done
log log info log
--- request
POST /t
some body
--- location
content_by_lua_block {
    ngx.header.content_length = 4
    ngx.say(tostring(ngx.req.get_body_data()))
}
--- response_body
nil
--- response_headers
Content-Length: 4
--- error_code: 200
--- plugin_log
request headers
response headers



=== TEST 3: plugins: each has its own list
--- plugin_options: capabilities = { $NEEDED },
--- plugin
request_headers proxy_set_property "mine" "x"
--- plugin2
request_headers proxy_set_property "mine" "x"
--- plugin_log
proxy_set_property("mine" "x") = INTERNAL_FAILURE
q: proxy_set_property("mine" "x") = OK



=== TEST 4: option: a name that is none is an error
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local path = "$GUESTS/export_nothing.wasm"
            for _, name in ipairs { "proxy_lgo", "", "env.proxy_log", "proxy_on_everything" } do
                local plugin, err = proxy_wasm.load("p", path, { capabilities = { "proxy_log", name } })
                ngx.say(plugin, " ", err)
            end
        }
    }
--- response_body
nil plugin "p": option "capabilities": "proxy_lgo" is unknown: there is no such host function, callback or WASI function
nil plugin "p": option "capabilities": "" is unknown: there is no such host function, callback or WASI function
nil plugin "p": option "capabilities": "env.proxy_log" is unknown: there is no such host function, callback or WASI function
nil plugin "p": option "capabilities": "proxy_on_everything" is unknown: there is no such host function, callback or WASI function



=== TEST 5: option: what it takes; an empty list is not "all"
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local function try(capabilities)
                local ok, err = pcall(proxy_wasm.load, "p", "$GUESTS/export_nothing.wasm",
                                      { capabilities = capabilities })
                ngx.say(ok and "taken" or err)
            end
            try({ "proxy_log" })
            -- A list made for Envoy.
            try({ "proxy_log", "proxy_on_request_trailers", "malloc", "_initialize", "proxy_abi_version_0_2_1" })
            try({})
            try({ "proxy_log", nil, "proxy_done" })
            try({ proxy_log = true })
            try({ proxy_log = "proxy_log" })
            try({ 1 })
            try({ "proxy_log\nproxy_done" })
            try("proxy_log")
        }
    }
--- response_body
taken
taken
plugin "p": option "capabilities" must be a list of one name or more; without it, all is allowed
plugin "p": option "capabilities" must be a list of one name or more; without it, all is allowed
plugin "p": option "capabilities" must be a list of names, without keys such as "proxy_log"
plugin "p": option "capabilities" must be a list of names, without keys such as "proxy_log"
plugin "p": option "capabilities" must be a list of names such as "proxy_log", not 1
plugin "p": option "capabilities" must be a list of names such as "proxy_log", not "proxy_log\x0aproxy_done"
plugin "p": option "capabilities" must be a table, not "proxy_log"



=== TEST 6: modules: the same one, with a list and without, at the same time
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local script = "configure proxy_define_metric 0 \"m\" *\n"
            for i, capabilities in ipairs { { $NEEDED }, { $NEEDED, "proxy_define_metric" }, { $NEEDED } } do
                local plugin = assert(proxy_wasm.load("p" .. i, "$GUESTS/hostcalls.wasm",
                                                      { capabilities = capabilities }))
                assert(proxy_wasm.on_configure(plugin, script))
            end
            ngx.say("done")
        }
    }
--- response_body
done
--- grep_error_log eval: qr/p\d: proxy_define_metric.*? = \w+/
--- grep_error_log_out
p1: proxy_define_metric(0 "m" *) = INTERNAL_FAILURE
p2: proxy_define_metric(0 "m" *) = OK
p3: proxy_define_metric(0 "m" *) = INTERNAL_FAILURE



=== TEST 7: log: what a list of one name lacks is, with that name, a list that does
--- prepare
require("resty.proxy_wasm").load("probe", "$GUESTS/rust_demo.wasm", { capabilities = { "proxy_log" } })
local names = { "proxy_log" }
for line in dofile("$TOP/t/lib/error_log.lua").lines() do
    local found = line:match("probe: imports that are not allowed: (.*)")
                  or line:match("probe: callbacks that are not called: (.*)")
    for name in (found or ""):gmatch("[%w_]+") do
        names[#names + 1] = name
    end
end
--- plugin_guest: rust_demo
--- plugin_options: capabilities = names,
--- plugin chop
hello
--- response_body
hello
--- response_headers
x-proxy-wasm: hello from Rust
--- error_log
probe: imports that are not allowed:
probe: callbacks that are not called:
--- no_error_log
p: imports
p: callbacks
[error]
