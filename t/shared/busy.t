# A worker that was stopped in the middle of a change and lives: the others wait
# a bounded time, say so, and lose nothing (src/shared/claim.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

# Leaves in the dict what such a worker leaves: its claim on a value ("d") or on a
# queue ("q"), here of a process that is stopped. Gives its number.
our $HOLD = <<'_END_';
        function hold(kind)
            local pipe = io.popen("sleep 100 > /dev/null 2>&1 & echo $!")
            local pid = pipe:read("*n")
            pipe:close()
            os.execute("kill -STOP " .. pid)
            local file = assert(io.open("/proc/" .. pid .. "/stat"))
            local fields = {}
            for field in file:read("*a"):match("%)(.*)"):gmatch("%S+") do
                fields[#fields + 1] = field
            end
            file:close()
            local dict = ngx.shared.proxy_wasm
            for _, key in ipairs(dict:get_keys(0)) do
                if key:sub(1, 4) == "pw:T" and key:sub(9, 9) == kind then
                    local turn = dict:get(key)
                    local claim = "pw:C" .. key:sub(5) .. "\8\0\0\0" .. string.char(math.floor(turn / 2)) .. ("\0"):rep(7)
                    assert(dict:safe_add(claim, ("%-32s"):format(pid .. " " .. fields[20] .. " ")))
                    return pid
                end
            end
        end
_END_

no_long_string();
run_tests();

__DATA__

=== TEST 1: busy: what is in the middle of a change is not changed, and said not to be; it can be read, and is there afterwards
--- plugin
configure register_queue jobs
request_headers if_header x-do fill shared_set key one
request_headers if_header x-do fill enqueue jobs item
request_headers if_header x-do busy shared_set key two
request_headers if_header x-do busy shared_set key two 1
request_headers if_header x-do busy shared_get key
request_headers if_header x-do busy enqueue jobs more
request_headers if_header x-do busy dequeue jobs
request_headers if_header x-do busy shared_set other value
request_headers if_header x-do free shared_set key two 1
request_headers if_header x-do free enqueue jobs more
request_headers if_header x-do free dequeue jobs
request_headers if_header x-do free dequeue jobs
request_headers if_header x-do free dequeue jobs
--- prepare eval: $::HOLD
--- plugin_options
cpu_limit = 10,
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            client.get("/t", "X-Do: fill\r\n")
            local one, other = hold("d"), hold("q")
            ngx.say((client.get("/t", "X-Do: busy\r\n")))
            os.execute("kill -9 " .. one .. " " .. other)
            ngx.say((client.get("/t", "X-Do: free\r\n")))
        }
    }
--- request
GET /drive
--- response_body
200
200
--- grep_error_log eval: qr/p: \K(?:a(?:n item|) .*lives|shared state is full|(?:shared_|en|de)\w+\(.*?\) = \w+(?: "\w+")?)/
--- grep_error_log_out
shared_set(key one) = OK
enqueue(jobs item) = OK
a value of the shared data is not set: another worker has stopped in the middle of changing it, and lives
shared_set(key two) = CAS_MISMATCH
a value of the shared data is not set: another worker has stopped in the middle of changing it, and lives
shared_set(key two 1) = CAS_MISMATCH
shared_get(key) = OK "one"
an item of a shared queue is not enqueued: another worker has stopped in the middle of changing it, and lives
enqueue(jobs more) = NOT_FOUND
an item of a shared queue cannot be had now: another worker has stopped in the middle of changing it, and lives
dequeue(jobs) = EMPTY
shared_set(other value) = OK
shared_set(key two 1) = OK
enqueue(jobs more) = OK
dequeue(jobs) = OK "item"
dequeue(jobs) = OK "more"
dequeue(jobs) = EMPTY
--- timeout: 20



=== TEST 2: busy: who is told of an item that cannot be had is told again
--- plugin
configure register_queue jobs
configure define_metric counter told
request_headers enqueue jobs item
queue_ready dequeue jobs
queue_ready increment_metric told 1
--- prepare eval: $::HOLD
--- location
content_by_lua_block { ngx.say(hold("q")) }
--- plugin_options
cpu_limit = 10,
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local dict = ngx.shared.proxy_wasm
            local function number(kind)
                for _, key in ipairs(dict:get_keys(0)) do
                    if key:sub(1, 4) == "pw:" .. kind then
                        return dict:get(key)
                    end
                end
            end
            local function wait(kind, least)
                for _ = 1, 1000 do
                    if number(kind) >= least then
                        return
                    end
                    ngx.sleep(0.01)
                end
            end
            local pid = select(2, client.get("/t")):match("%d+")
            wait("x", 1)
            ngx.say("dequeued while it is held: ", number("h"))
            os.execute("kill -9 " .. pid)
            wait("h", 1)
            ngx.say("dequeued: ", number("h"))
        }
    }
--- request
GET /drive
--- response_body
dequeued while it is held: 0
dequeued: 1
--- error_log
an item of a shared queue cannot be had now
dequeue(jobs) = EMPTY
dequeue(jobs) = OK "item"
--- timeout: 20
