# Host functions: foreign functions, built in and Lua's
# (src/hostcalls/foreign.rs, lib/resty/proxy_wasm/foreign.lua).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: compress, uncompress: zlib, as Envoy's
--- plugin
request_headers save z foreign compress fill:100000:ab
request_headers save text foreign uncompress $z
request_headers foreign uncompress "x\x9c\x03\x00\x00\x00\x00\x01"
request_headers foreign uncompress "x\x9ccorrupt"
request_headers foreign uncompress "\x1f\x8b\x08\x00"
request_headers foreign uncompress
request_headers save empty foreign compress
request_headers foreign uncompress $empty
request_headers save bomb foreign compress fill:17000000:x
request_headers foreign uncompress $bomb
--- plugin_log eval
qr/\Aforeign\(compress fill:100000:ab\) = OK .*
foreign\(uncompress \$z\) = OK .*200000 bytes.*
foreign\(uncompress .*\) = OK ""
foreign\(uncompress .*\) = SERIALIZATION_FAILURE
foreign\(uncompress .*\) = SERIALIZATION_FAILURE
foreign\(uncompress\) = SERIALIZATION_FAILURE
foreign\(compress\) = OK .*
foreign\(uncompress \$empty\) = OK ""
foreign\(compress fill:17000000:x\) = OK .*
uncompress: the result is over 16777216 bytes
foreign\(uncompress \$bomb\) = INTERNAL_FAILURE
\z/



=== TEST 2: resolve: what is known without asking anybody
--- plugin
request_headers foreign resolve 192.0.2.7
request_headers foreign resolve [2001:db8::1]
request_headers foreign resolve localhost
request_headers foreign resolve LOCALHOST
request_headers foreign resolve auth
request_headers foreign resolve_lua by_name
request_headers foreign resolve socket
request_headers foreign resolve no.such.name.invalid
request_headers foreign resolve
--- plugin_options
upstreams = {
    auth = "https://10.1.2.3:8443",
    by_name = "localhost:80",
    socket = "unix:/tmp/nothing.sock",
},
--- plugin_log
foreign(resolve 192.0.2.7) = OK 0xc0000207
foreign(resolve [2001:db8::1]) = OK 0x20010db8000000000000000000000001
foreign(resolve localhost) = OK 0x7f000001
foreign(resolve LOCALHOST) = OK 0x7f000001
foreign(resolve auth) = OK 0x0a010203
foreign(resolve_lua by_name) = OK 0x7f000001
foreign(resolve socket) = NOT_FOUND
foreign(resolve no.such.name.invalid) = NOT_FOUND
foreign(resolve) = NOT_FOUND



=== TEST 3: unknown names
--- plugin
request_headers foreign nobody arg
request_headers foreign ""
request_headers foreign Compress
request_headers foreign clear_route_cache
--- plugin_log
foreign(nobody arg) = NOT_FOUND
foreign("") = NOT_FOUND
foreign(Compress) = NOT_FOUND
foreign(clear_route_cache) = OK ""



=== TEST 4: a Lua function: argument and result, any bytes, large, empty, none
--- prepare
local wasm = require "resty.proxy_wasm"
wasm.register_foreign_function("reverse", function(s) return s:reverse() end)
wasm.register_foreign_function("length", function(s) return tostring(#s) end)
wasm.register_foreign_function("none", function() end)
wasm.register_foreign_function("empty", function() return "" end)
wasm.register_foreign_function("large", function(s) return s:rep(1000000) end)
--- plugin
request_headers foreign reverse "a\0\xff\n"
request_headers foreign length fill:1000000:x
request_headers foreign none x
request_headers foreign empty
request_headers foreign large x
request_headers foreign reverse
--- plugin_log eval
qr/\Aforeign\(reverse .*\) = OK 0x0aff0061
foreign\(length fill:1000000:x\) = OK "1000000"
foreign\(none x\) = OK ""
foreign\(empty\) = OK ""
foreign\(large x\) = OK .*1000000 bytes.*
foreign\(reverse\) = OK ""
\z/



=== TEST 5: a Lua function sees the request that is driven
--- prepare
local wasm = require "resty.proxy_wasm"
wasm.register_foreign_function("var", function(name)
    ngx.ctx.asked = (ngx.ctx.asked or 0) + 1
    return ngx.var[name] .. " " .. ngx.ctx.asked .. " in " .. ngx.get_phase()
end)
wasm.register_foreign_function("header", function(name)
    ngx.req.set_header(name, "from Lua")
    return nil
end)
--- plugin
request_headers foreign var uri
request_headers foreign header x-lua
request_headers get_header request x-lua
response_headers foreign var request_method
log foreign var status
--- plugin_log
foreign(var uri) = OK "/t 1 in rewrite"
foreign(header x-lua) = OK ""
get_header(request x-lua) = OK "from Lua"
foreign(var request_method) = OK "GET 2 in header_filter"
foreign(var status) = OK "200 3 in log"



=== TEST 6: a Lua function is called from every callback
--- prepare
local calls = 0
require("resty.proxy_wasm").register_foreign_function("f", function(name)
    calls = calls + 1
    return name .. " in " .. ngx.get_phase()
end)
--- plugin_options
vm_config = "vm_start foreign f vm_start\nroot_create foreign f root_create",
--- plugin
configure foreign f configure
configure tick 20
tick once foreign f tick
context_create if_root false foreign f context_create
request_headers foreign f request_headers
request_headers http_call callout 1000 :path=/
request_headers pause
http_call_response if_root false foreign f http_call_response
http_call_response if_root false continue request
request_body foreign f request_body
response_headers foreign f response_headers
response_body if_eos true foreign f response_body
done if_root false foreign f done
log if_root false foreign f log
delete if_root false foreign f delete
--- http_config
init_worker_by_lua_block { chain:init_worker() }
--- callout
return 200 "";
--- location
content_by_lua_block { ngx.sleep(0.1) ngx.say("hello") }
--- request
POST /t
body
--- response_body
hello
--- wait: 0.2
--- error_log
foreign(f root_create) = OK "root_create in init"
foreign(f vm_start) = OK "vm_start in init"
foreign(f configure) = OK "configure in init"
foreign(f configure) = OK "configure in init_worker"
foreign(f tick) = OK "tick in timer"
foreign(f context_create) = OK "context_create in rewrite"
foreign(f request_headers) = OK "request_headers in rewrite"
foreign(f http_call_response) = OK "http_call_response in timer"
foreign(f request_body) = OK "request_body in rewrite"
foreign(f response_headers) = OK "response_headers in header_filter"
foreign(f response_body) = OK "response_body in body_filter"
foreign(f done) = OK "done in log"
foreign(f log) = OK "log in log"
foreign(f delete) = OK "delete in log"
--- no_error_log
[error]



=== TEST 7: an error, of whatever kind: INTERNAL_FAILURE, and the log names the function
--- prepare
local wasm = require "resty.proxy_wasm"
wasm.register_foreign_function("raises", function() error("on purpose") end)
wasm.register_foreign_function("raises_table", function() error({}) end)
wasm.register_foreign_function("gives_nil_and_why", function() return nil, "no luck" end)
wasm.register_foreign_function("gives_a_table", function() return {} end)
wasm.register_foreign_function("gives_a_number", function() return 1 end)
wasm.register_foreign_function("overflows", function() local function f() return 1 + f() end return f() end)
--- plugin
request_headers foreign raises
request_headers foreign raises_table
request_headers foreign gives_nil_and_why
request_headers foreign gives_a_table
request_headers foreign gives_a_number
request_headers foreign overflows
--- response_body
hello
--- error_log eval
[
    qr/the foreign function "raises" failed: .*on purpose/,
    'foreign(raises) = INTERNAL_FAILURE',
    qr/the foreign function "raises_table" failed: table: /,
    'foreign(raises_table) = INTERNAL_FAILURE',
    'the foreign function "gives_nil_and_why" failed: no luck',
    'foreign(gives_nil_and_why) = INTERNAL_FAILURE',
    'the foreign function "gives_a_table" gave a table where a string belongs',
    'foreign(gives_a_table) = INTERNAL_FAILURE',
    'the foreign function "gives_a_number" gave a number where a string belongs',
    'foreign(gives_a_number) = INTERNAL_FAILURE',
    qr/the foreign function "overflows" failed: .*stack overflow/,
    'foreign(overflows) = INTERNAL_FAILURE',
]



=== TEST 8: a Lua function takes the place of one that is built in, until it is taken away
--- prepare
local wasm = require "resty.proxy_wasm"
wasm.register_foreign_function("resolve", function() return "mine" end)
wasm.register_foreign_function("gone", function() return "never" end)
wasm.register_foreign_function("gone", nil)
wasm.register_foreign_function("twice", function() return "first" end)
wasm.register_foreign_function("twice", function() return "second" end)
wasm.register_foreign_function("itself", function()
    wasm.register_foreign_function("itself", nil)
    return "once"
end)
--- plugin
request_headers foreign resolve localhost
request_headers foreign gone
request_headers foreign twice
request_headers foreign itself
request_headers foreign itself
--- plugin_log
foreign(resolve localhost) = OK "mine"
foreign(gone) = NOT_FOUND
foreign(twice) = OK "second"
foreign(itself) = OK "once"
foreign(itself) = NOT_FOUND



=== TEST 9: a function that yields ends the request with 500, and the log names it
--- prepare
require("resty.proxy_wasm").register_foreign_function("sleepy", function() ngx.sleep(0.05) return "x" end)
--- plugin
request_headers foreign sleepy
request_headers log info "goes on"
request_body log info never
log log info logged
--- location
content_by_lua_block { ngx.say("never") }
--- error_code: 500
--- response_body_unlike
never
--- wait: 0.2
--- error_log
the foreign function "sleepy" yielded, which it must not
foreign(sleepy) = INTERNAL_FAILURE
goes on
logged
--- no_error_log
[alert]
never
lua sleep timer expired



=== TEST 10: whatever way it yields
--- prepare
local wasm = require "resty.proxy_wasm"
wasm.register_foreign_function("yields", function() coroutine.yield() return "x" end)
wasm.register_foreign_function("caught", function() return tostring(pcall(ngx.sleep, 0.01)) end)
wasm.register_foreign_function("exits", function() ngx.exit(403) end)
wasm.register_foreign_function("connects", function()
    local sock = ngx.socket.tcp()
    return tostring(sock:connect("unix:$TEST_NGINX_HTML_DIR/callout.sock"))
end)
wasm.register_foreign_function("resumes", function()
    local co = coroutine.create(function() return "x" end)
    return select(2, coroutine.resume(co))
end)
wasm.register_foreign_function("reads", function() ngx.req.read_body() ngx.sleep(0) end)
--- plugin
request_headers if_header x-f yields foreign yields
request_headers if_header x-f caught foreign caught
request_headers if_header x-f exits foreign exits
request_headers if_header x-f resumes foreign resumes
request_headers if_header x-f reads foreign reads
--- request eval
[map { "GET /t" } 1 .. 5]
--- more_headers eval
[map { "x-f: $_" } qw(yields caught exits resumes reads)]
--- error_code eval
[500, 500, 500, 500, 500]
--- error_log eval
[map { qr/the foreign function "(yields|caught|exits|resumes|reads)" yielded/ } 1 .. 5]



=== TEST 11: a function that sends the response ends the request
--- prepare
require("resty.proxy_wasm").register_foreign_function("says", function() ngx.say("from Lua") end)
--- plugin
request_headers foreign says
--- config
location /plain {
    access_by_lua_block { chain:access() }
    content_by_lua_block { ngx.say("never") }
    log_by_lua_block { chain:log() }
}
--- request
GET /plain
--- response_body
from Lua
--- ignore_response
--- error_log
the foreign function "says" sent the response, which it must not
foreign(says) = INTERNAL_FAILURE
--- no_error_log
[alert]
never



=== TEST 12: where the plugin sees the response, the function's does not get through
--- prepare
require("resty.proxy_wasm").register_foreign_function("says", function()
    return tostring(ngx.say("from Lua"))
end)
--- plugin
request_headers foreign says
--- location
content_by_lua_block { ngx.say("never") }
--- error_code: 500
--- response_body:
--- error_log
the response is refused: the plugin is busy: it waits for a foreign function
the foreign function "says" sent the response, which it must not
--- no_error_log
[alert]



=== TEST 13: a yield in the header filter: 500, too; later, what is left
--- prepare
require("resty.proxy_wasm").register_foreign_function("yields", function() coroutine.yield() end)
--- plugin
response_headers foreign yields
log foreign yields
--- error_code: 500
--- response_body:
--- error_log
the foreign function "yields" yielded
the response is refused: the foreign function "yields" yielded
foreign(yields) = INTERNAL_FAILURE
--- no_error_log
[alert]



=== TEST 14: what a function must not wait for in a filter, nginx refuses itself
--- prepare
require("resty.proxy_wasm").register_foreign_function("sleepy", function() ngx.sleep(0.01) end)
--- plugin
response_headers foreign sleepy
--- response_body
hello
--- error_log eval
[
    qr/the foreign function "sleepy" failed: .*API disabled in the context of header_filter_by_lua/,
    'foreign(sleepy) = INTERNAL_FAILURE',
]



=== TEST 15: a yield in a tick: the timer goes on
--- prepare
local wasm = require "resty.proxy_wasm"
wasm.register_foreign_function("sleeps", function() ngx.sleep(0.03) end)
wasm.register_foreign_function("resumes", function() return coroutine.wrap(function() return "x" end)() end)
wasm.register_foreign_function("yields", function() coroutine.yield() end)
--- plugin
configure tick 10
tick nth 2 foreign sleeps
tick nth 4 foreign resumes
tick nth 6 foreign yields
tick nth 9 log info "ninth tick"
--- http_config
init_worker_by_lua_block { chain:init_worker() }
--- wait: 0.4
--- response_body
hello
--- error_log
the foreign function "sleeps" yielded
the foreign function "resumes" yielded
the foreign function "yields" yielded
ninth tick
--- no_error_log
[alert]
dead coroutine
attempt to call
lua sleep timer expired



=== TEST 16: a yield in the answer of a callout: other callouts of the timer go on
--- prepare
local wasm = require "resty.proxy_wasm"
wasm.register_foreign_function("sleeps", function() ngx.sleep(0.03) end)
wasm.register_foreign_function("resumes", function() return coroutine.wrap(function() return "x" end)() end)
wasm.register_foreign_function("yields", function() coroutine.yield() end)
--- plugin
request_headers http_call callout 1000 :path=/one
request_headers http_call callout 2000 :path=/slow
request_headers http_call callout 1000 :path=/two
request_headers http_call callout 1000 :path=/three
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 foreign sleeps
http_call_response nth 2 foreign resumes
http_call_response nth 3 foreign yields
http_call_response nth 4 continue request
--- callout
content_by_lua_block { if ngx.var.uri == "/slow" then require("ngx.semaphore").new():wait(0.2) end ngx.print(ngx.var.uri) }
--- wait: 0.2
--- response_body
hello
--- error_log
get_body(call_body) = OK "/one"
get_body(call_body) = OK "/two"
get_body(call_body) = OK "/three"
get_body(call_body) = OK "/slow"
the foreign function "sleeps" yielded
the foreign function "resumes" yielded
the foreign function "yields" yielded
--- no_error_log
[alert]
dead coroutine
attempt to call
lua sleep timer expired



=== TEST 17: a function calls another plugin, whose guest calls a function
--- prepare
local wasm = require "resty.proxy_wasm"
wasm.register_foreign_function("outer", function(s)
    assert(wasm.on_http_request_headers(inner_ctx))
    return s .. " " .. table.concat(seen, " ")
end)
wasm.register_foreign_function("inner", function(s)
    seen[#seen + 1] = s
    return "from inner"
end)
seen = {}
local plugin = assert(wasm.load("i", "$GUESTS/hostcalls.wasm"))
inner_ctx = assert(wasm.on_configure(plugin, "request_headers foreign inner a\nrequest_headers foreign inner b"))
--- plugin
request_headers foreign outer seen
request_headers foreign inner c
--- plugin_log
i: foreign(inner a) = OK "from inner"
i: foreign(inner b) = OK "from inner"
foreign(outer seen) = OK "seen a b"
foreign(inner c) = OK "from inner"



=== TEST 18: a yield deep down ends the request, and names each function on the way
--- prepare
local wasm = require "resty.proxy_wasm"
wasm.register_foreign_function("outer", function(s) return tostring(wasm.on_http_request_headers(inner_ctx)) end)
wasm.register_foreign_function("inner", function(s) ngx.sleep(0.01) end)
local plugin = assert(wasm.load("i", "$GUESTS/hostcalls.wasm"))
inner_ctx = assert(wasm.on_configure(plugin, "request_headers foreign inner"))
--- plugin
request_headers foreign outer
--- error_code: 500
--- error_log
the foreign function "inner" yielded
i: foreign(inner) = INTERNAL_FAILURE
the foreign function "outer" yielded
p: foreign(outer) = INTERNAL_FAILURE
--- no_error_log
[alert]



=== TEST 19: the plugin that waits refuses every call, and goes on unharmed
--- prepare
local wasm = require "resty.proxy_wasm"
wasm.register_foreign_function("reenter", function()
    local r = {}
    r[1] = select(2, wasm.on_http_request_headers(ctx))
    r[2] = select(2, wasm.on_http_request_body(ctx, "x", true))
    r[3] = select(2, wasm.on_configure(plugin, ""))
    r[4] = select(2, wasm.on_foreign_function(ctx, 1, "x"))
    for i = 1, 4 do
        assert(r[i] == "the plugin is busy: it waits for a foreign function", r[i])
    end
    return "refused " .. #r
end)
plugin = assert(wasm.load("s", "$GUESTS/hostcalls.wasm"))
ctx = assert(wasm.on_configure(plugin, "request_headers foreign reenter\nrequest_headers set_header request x-a b"))
--- config
location /self {
    access_by_lua_block {
        assert(require("resty.proxy_wasm").on_http_request_headers(ctx))
    }
    content_by_lua_block { ngx.say(ngx.var.http_x_a) }
}
--- plugin
request_headers log info unused
--- request
GET /self
--- response_body
b
--- plugin_log
s: foreign(reenter) = OK "refused 4"
s: set_header(request x-a b) = OK



=== TEST 20: a trap after a function: the instance is dropped, the next one works
--- prepare
local wasm = require "resty.proxy_wasm"
wasm.register_foreign_function("f", function(s) return s end)
plugin, ctx = {}, {}
for _, name in ipairs { "trap", "panic", "recurse", "proc_exit" } do
    plugin[name] = assert(wasm.load(name, "$GUESTS/hostcalls.wasm"))
    ctx[name] = assert(wasm.on_configure(plugin[name],
        "request_headers foreign f before\nrequest_headers once " .. name .. " 3\nrequest_headers foreign f after"))
end
--- config
location /trap {
    content_by_lua_block {
        local wasm = require "resty.proxy_wasm"
        for _, name in ipairs { "trap", "panic", "recurse", "proc_exit" } do
            ngx.say(name, ": ", select(2, wasm.on_http_request_headers(ctx[name])))
        end
    }
}
--- plugin
request_headers log info unused
--- request eval
["GET /trap", "GET /trap"]
--- response_body eval
[("trap: failed to run proxy_on_request_headers: wasm trap: wasm `unreachable` instruction executed
panic: failed to run proxy_on_request_headers: wasm trap: wasm `unreachable` instruction executed
recurse: failed to run proxy_on_request_headers: wasm trap: call stack exhausted
proc_exit: failed to run proxy_on_request_headers: the guest exited with status 3
") x 2]
--- error_log
recurse: foreign(f before) = OK "before"
--- no_error_log
exited on signal



=== TEST 21: root contexts and plugins that are collected while a function runs
--- prepare
local wasm = require "resty.proxy_wasm"
wasm.register_foreign_function("collect", function()
    ctx, plugin = nil, nil
    collectgarbage()
    collectgarbage()
    return "collected"
end)
local function load()
    plugin = assert(wasm.load("temp", "$GUESTS/hostcalls.wasm"))
    ctx = assert(wasm.on_configure(plugin, "request_headers foreign collect\nrequest_headers log info still\n"
        .. "done log info done\ndelete log info deleted"))
end
renew = load
--- config
location /temp {
    content_by_lua_block {
        local wasm = require "resty.proxy_wasm"
        for _ = 1, 3 do
            renew()
            ngx.say(tostring(wasm.on_http_request_headers(ctx)))
        end
    }
}
--- plugin
request_headers log info unused
--- request
GET /temp
--- response_body
true
true
true
--- error_log
temp: foreign(collect) = OK "collected"
temp: still
--- no_error_log
[error]
[alert]



=== TEST 22: ten thousand calls take no more memory than a few
--- prepare
require("resty.proxy_wasm").register_foreign_function("f", function(s) return s end)
function mapped()
    local count = 0
    for _ in io.lines("/proc/self/maps") do
        count = count + 1
    end
    return count
end
--- plugin
request_headers repeat 1000 foreign f x
--- location
content_by_lua_block {
    maps = maps or {}
    maps[#maps + 1] = mapped()
    ngx.say(#maps < 3 and "ok" or math.abs(maps[#maps] - maps[2]) < 20 and "ok" or table.concat(maps, " "))
}
--- http_config
error_log logs/quiet.log error;
--- request eval
[map { "GET /t" } 1 .. 10]
--- response_body eval
[map { "ok\n" } 1 .. 10]



=== TEST 23: on_foreign_function: the callback of a root context, with its data
--- prepare
local wasm = require "resty.proxy_wasm"
wasm.register_foreign_function("f", function(s) return s .. " in " .. ngx.get_phase() end)
local plugin = assert(wasm.load("told", "$GUESTS/hostcalls.wasm"))
ctx = assert(wasm.on_configure(plugin, "foreign_function echo_params\nforeign_function get_body call_data\n"
    .. "foreign_function foreign f arg\nconfigure get_body call_data"))
--- config
location /tell {
    content_by_lua_block {
        local wasm = require "resty.proxy_wasm"
        ngx.say(wasm.on_foreign_function(ctx, 7, "data\0"))
        ngx.say(wasm.on_foreign_function(ctx, 4294967295))
        ngx.say(select(2, pcall(wasm.on_foreign_function, ctx, -1)))
        ngx.say(select(2, pcall(wasm.on_foreign_function, ctx, 1.5)))
        ngx.say(select(2, pcall(wasm.on_foreign_function, ctx, 1, 1)))
        ngx.say(select(2, pcall(wasm.on_foreign_function, "ctx", 1)))
    }
}
--- plugin
request_headers log info unused
--- request
GET /tell
--- response_body
true
true
id must be a number from 0 to 4294967295, not -1
id must be a number from 0 to 4294967295, not 1.5
data must be a string or nil, not 1
ctx must be what on_configure() gave, not "ctx"
--- error_log eval
[
    'get_body(call_data) = OK ""',
    qr/foreign_function: context=1 .*7.*5/,
    'get_body(call_data) = OK 0x6461746100',
    'foreign(f arg) = OK "arg in content"',
    qr/foreign_function: context=1 .*4294967295.*0/,
    'get_body(call_data) = OK ""',
]



=== TEST 24: register_foreign_function: its arguments
--- prepare
local wasm = require "resty.proxy_wasm"
local function check(...)
    ngx.log(ngx.WARN, "refused: ", select(2, pcall(wasm.register_foreign_function, ...)))
end
check()
check("")
check(1, print)
check("f", "print")
wasm.register_foreign_function("a\0b", function() return "odd name" end)
--- plugin
request_headers foreign "a\0b"
--- plugin_log
foreign("a\0b") = OK "odd name"



=== TEST 25: Lua has no memory between the question and the answer: the guest gets 10, and the plugin is not busy
--- prepare
require "resty.proxy_wasm.lib"
local ffi = require "ffi"
local own = coroutine._create and "_create" or "create"
local ffi_string, create = ffi.string, coroutine[own]
-- What takes memory there, in turn.
ffi.string = function(...)
    if no_memory == "string" then
        error("not enough memory")
    end
    return ffi_string(...)
end
coroutine[own] = function(...)
    if no_memory == "create" then
        error("not enough memory")
    end
    return create(...)
end
package.loaded["resty.proxy_wasm.foreign"] = nil
require "resty.proxy_wasm.foreign"
ffi.string, coroutine[own] = ffi_string, create
require("resty.proxy_wasm").register_foreign_function("echo", function(argument)
    return argument
end)
--- plugin
request_headers foreign echo one
--- location
content_by_lua_block {
    no_memory = nil
    ngx.say("hello")
}
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            for _, what in ipairs { "create", "string", "nothing" } do
                no_memory = what
                ngx.say(client.outcome("/t"))
            end
        }
    }
--- request
GET /drive
--- response_body
200 hello
200 hello
200 hello
--- grep_error_log eval: qr/foreign\(echo one\) = .*?(?=,)/
--- grep_error_log_out
foreign(echo one) = INTERNAL_FAILURE
foreign(echo one) = INTERNAL_FAILURE
foreign(echo one) = OK "one"
--- error_log
a foreign function cannot be called
the foreign function "echo" failed: 
not enough memory
--- no_error_log
is busy



=== TEST 26: a yield in the body filter: the response is cut off, the log names the function, the plugin goes on
--- prepare
require("resty.proxy_wasm").register_foreign_function("yields", function() coroutine.yield() end)
--- plugin
response_body if_header x-yield yes foreign yields
log foreign yields
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            ngx.say(client.outcome("/t", "X-Yield: yes\r\n"))
            ngx.say(client.outcome("/t"))
            client.no_context_left()
        }
    }
--- request
GET /drive
--- response_body
cut
200 hello
no context left
--- error_log
the foreign function "yields" yielded
the response is cut off: the foreign function "yields" yielded
foreign(yields) = INTERNAL_FAILURE
--- no_error_log
[alert]
