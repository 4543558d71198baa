# Environment variables of a plugin: what the operator says, and nothing of the
# host's (src/hostcalls/wasi/environ.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: variables: what is configured, to each plugin its own, and nothing of the host's
--- main_config
env PATH;
env SECRET=secret;
--- plugin_options: env = { TOKEN = "x=y", EMPTY = "", ["lower case"] = "ü 2", PATH = "/plugin" },
--- plugin
request_headers getenv TOKEN
request_headers getenv EMPTY
request_headers getenv "lower case"
request_headers getenv PATH
request_headers getenv SECRET
request_headers environ
request_headers wasi_environ_sizes_get * *
--- plugin2_options: env = { OTHER = "q" },
--- plugin2
request_headers getenv TOKEN
request_headers environ
--- plugin_log
getenv(TOKEN) = OK x=y
getenv(EMPTY) = OK
getenv("lower case") = OK ü 2
getenv(PATH) = OK /plugin
getenv(SECRET) = NOT_FOUND
environ() = OK 4 EMPTY= PATH=/plugin TOKEN=x=y lower case=ü 2
wasi_environ_sizes_get(* *) = 0 4 46
q: getenv(TOKEN) = NOT_FOUND
q: environ() = OK 1 OTHER=q



=== TEST 2: variables: pointers that would be outside the memory leave it as it is
--- plugin_options: env = { A = "1" },
--- plugin
request_headers wasi_environ_sizes_get 0xfffffffd *
request_headers wasi_environ_sizes_get * 0xfffffffd
request_headers wasi_environ_get 0xfffffffd 1024
request_headers wasi_environ_get 1024 0xfffffffd
request_headers wasi_environ_get 0xffffffff 0xffffffff
--- plugin_log
wasi_environ_sizes_get(0xfffffffd *) = 21
wasi_environ_sizes_get(* 0xfffffffd) = 21
wasi_environ_get(0xfffffffd 1024) = 21
wasi_environ_get(1024 0xfffffffd) = 21
wasi_environ_get(0xffffffff 0xffffffff) = 21



=== TEST 3: option: what it takes
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local function try(env)
                local ok, err = pcall(proxy_wasm.load, "p", "$GUESTS/export_nothing.wasm", { env = env })
                ngx.say(ok and "taken" or err)
            end
            try({})
            try({ A = "1" })
            try({ A = 1 })
            try({ "A=1" })
            try({ [""] = "1" })
            try({ ["A=B"] = "1" })
            try({ ["A\0B"] = "1" })
            try({ A = "1\0B=2" })
            try("A=1")
        }
    }
--- response_body
taken
taken
plugin "p": option "env" must map names to values, both strings, not "A" to 1
plugin "p": option "env" must map names to values, both strings, not 1 to "A=1"
plugin "p": option "env" has a name that is empty, or has "=" or a NUL in it: ""
plugin "p": option "env" has a name that is empty, or has "=" or a NUL in it: "A=B"
plugin "p": option "env" has a name that is empty, or has "=" or a NUL in it: "A\x00B"
plugin "p": option "env" has a NUL in the value of "A"
plugin "p": option "env" must be a table, not "A=1"
