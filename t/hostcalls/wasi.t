# WASI (src/hostcalls/wasi.rs). Every number that it answers: tests/wasi.rs.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: output: stdout and stderr are lines of error.log, with the request's client
--- plugin
request_headers print "to stdout"
request_headers eprint "to stderr"
--- error_log eval
[
    qr/\[info\] [^\n]*\[proxy-wasm\] p: to stdout, client: /,
    qr/\[error\] [^\n]*\[proxy-wasm\] p: to stderr, client: /,
]
--- plugin_log
to stdout
print("to stdout") = OK
to stderr
eprint("to stderr") = OK



=== TEST 2: output: several lines, and one that has no end ends with its callback
--- plugin
request_headers print "one\ntwo\n\nthree"
request_headers wasi_fd_write 2 iov:be *
response_headers eprint gun
--- plugin_log
one
two
three
print("one\ntwo\n\nthree") = OK
wasi_fd_write(2 iov:be *) = 0 2
be
gun
eprint(gun) = OK



=== TEST 3: output: no other file
--- plugin
request_headers wasi_fd_write 0 iov:x *
request_headers wasi_fd_write 3 iov:x *
request_headers wasi_fd_write 0xffffffff iov:x *
request_headers wasi_fd_write 1 16 0xffffffff 0xfffffff0
request_headers wasi_path_open 3 0 "/etc/passwd" 0 0 0 0 *
--- plugin_log
wasi_fd_write(0 iov:x *) = 8
wasi_fd_write(3 iov:x *) = 8
wasi_fd_write(0xffffffff iov:x *) = 8
wasi_fd_write(1 16 0xffffffff 0xfffffff0) = 21
wasi_path_open(3 0 "/etc/passwd" 0 0 0 0 *) = 44



=== TEST 4: environment: nothing of the host's
--- main_config
env PATH;
env PROXY_WASM_SECRET=secret;
--- plugin
request_headers getenv PATH
request_headers getenv PROXY_WASM_SECRET
request_headers environ
request_headers wasi_environ_sizes_get * *
request_headers wasi_args_sizes_get * *
--- plugin_log
getenv(PATH) = NOT_FOUND
getenv(PROXY_WASM_SECRET) = NOT_FOUND
environ() = OK 0
wasi_environ_sizes_get(* *) = 0 0 0
wasi_args_sizes_get(* *) = 0 0 0



=== TEST 5: randomness: each time other bytes, in the same instance and in the next
--- plugin
request_headers into_header response x-one random 16
request_headers into_header response x-two random 16
request_headers if_header x-trap yes trap
response_headers random 0
response_headers random 65536
response_headers random 65537
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local seen, count = {}, 0
            for _ = 1, 2 do
                local sock = client.send("/t", "Connection: close\r\n")
                for line in assert(sock:receive("*a")):gmatch("[^\r\n]+") do
                    local value = line:match("^x%-%a+: (%x+)$")
                    if value and #value == 32 and not seen[value] then
                        seen[value] = true
                        count = count + 1
                    end
                end
                client.get("/t", "X-Trap: yes\r\n")
            end
            ngx.say(count)
        }
    }
--- request
GET /drive
--- response_body
4
--- error_log
random(0) = OK
random(65536) = OK
random(65537) = 28



=== TEST 6: clocks: the wall clock and one that only goes on
--- plugin
request_headers wasi_clock_time_get 0 1 *
request_headers wasi_clock_time_get 1 1 *
request_headers wasi_clock_time_get 2 1 *
request_headers wasi_clock_res_get 0 *
--- plugin_log eval
qr/\Awasi_clock_time_get\(0 1 \*\) = 0 1[789]\d{17}
wasi_clock_time_get\(1 1 \*\) = 0 \d{14,}
wasi_clock_time_get\(2 1 \*\) = 58
wasi_clock_res_get\(0 \*\) = 0 1
\z/



=== TEST 7: exit: ends the guest call and the instance, as a trap does
--- plugin
request_headers if_header x-exit yes proc_exit 3
--- request eval
["GET /t", "GET /t"]
--- more_headers eval
["X-Exit: yes", ""]
--- error_code eval
[503, 200]



=== TEST 8: the older name: output by it
--- plugin_guest: wasi_unstable
--- plugin
--- plugin_log
hello world
stdout: 00
hello world
stderr: 00
file 9: 08
out of range: 21
no ending
