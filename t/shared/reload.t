# Shared state survives a reload: what the workers that go have counted is there
# for those that come.

use lib 't/lib';
use TestProxyWasm 'no_plan';

# Workers of its own, which can go.
master_on();
workers(2);
no_long_string();
run_tests();

__DATA__

=== TEST 1: reload: counters, gauges, shared data and queues are as they were, and nothing counted is lost
--- plugin
configure define_metric counter hits
configure define_metric gauge level
configure register_queue jobs
request_headers increment_metric hits 1
request_headers if_header x-do prepare record_metric level 7
request_headers if_header x-do prepare shared_set key value
request_headers if_header x-do prepare enqueue jobs item
response_headers into_header response x-pid get_property ngx.pid
response_headers into_header response x-hits get_metric hits
response_headers into_header response x-level get_metric level
response_headers into_header response x-value shared_get key
response_headers if_header x-do last into_header response x-item dequeue jobs
--- location
content_by_lua_block { ngx.say("hello") }
--- config
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local function head(what)
                local sock = client.send("/t", "Connection: close\r\nX-Do: " .. what .. "\r\n")
                return assert(sock:receive("*a"))
            end
            head("prepare")
            local pids = {}
            for round = 1, 3 do
                -- Requests that end while their worker goes.
                local threads = {}
                for i = 1, 20 do
                    threads[i] = ngx.thread.spawn(head, "count")
                end
                local file = assert(io.open(ngx.config.prefix() .. "/logs/nginx.pid"))
                local master = file:read("*n")
                file:close()
                os.execute("kill -HUP " .. master)
                for i = 1, 20 do
                    local ok, answer = ngx.thread.wait(threads[i])
                    assert(ok and answer:find("x-hits: "), answer)
                end
                ngx.sleep(0.5)
            end
            local answer = head("last")
            ngx.say("hits ", answer:match("x%-hits: (%d+)"))
            ngx.say("level ", answer:match("x%-level: (%d+)"))
            ngx.say("value ", answer:match("x%-value: (%w+)"))
            ngx.say("item ", answer:match("x%-item: (%w+)"))
            ngx.say("another worker ", answer:match("x%-pid: (%d+)") ~= tostring(ngx.worker.pid()))
        }
    }
--- request
GET /drive
--- timeout: 20
--- response_body
hits 62
level 7
value value
item item
another worker true
--- no_error_log
[error]
exited on signal
