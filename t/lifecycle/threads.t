# The one thread that there is: none where nginx forks, none before a guest is
# called; it leaves signals to nginx, and stands still when there is nothing to
# do.

use lib 't/lib';
use TestProxyWasm 'no_plan';

master_on();
workers(1);
no_long_string();
no_shuffle();

our $http = <<'_EOC_';
    init_by_lua_block {
        local function read(path)
            local file = io.open(path)
            local text = file and file:read("*a")
            if file then
                file:close()
            end
            return text or ""
        end
        -- The number of threads of a process.
        function threads(pid)
            return read("/proc/" .. pid .. "/status"):match("Threads:%s*(%d+)")
        end
        -- What the kernel says of our thread.
        function ticker()
            local list = io.popen("echo /proc/" .. ngx.worker.pid() .. "/task/*/status")
            local paths = list:read("*a")
            list:close()
            for path in paths:gmatch("%S+") do
                local text = read(path)
                if text:find("^Name:%s*proxy_wasm_cpu\n") then
                    return text
                end
            end
        end
        function switches()
            return ticker():match("\nvoluntary_ctxt_switches:%s*(%d+)")
        end
        function master()
            return read("/proc/self/stat"):match("%) %a (%d+)")
        end
        function asleep()
            local before = switches()
            ngx.sleep(0.2)
            return switches() == before
        end

        client = dofile("$TOP/t/lib/client.lua")
        before_tried = threads("self")
        chain = assert(require("resty.proxy_wasm").new_chain { {
            name = "p", path = "$GUESTS/hostcalls.wasm", cpu_limit = 0.05,
            -- Long enough for a thread to be there; much less than what makes a
            -- start a long one, behind which there is no other for a while.
            config = "configure spin 5000000\nrequest_headers if_header x-in loop loop",
        } })
        after_tried = threads("self")
    }
    init_worker_by_lua_block {
        master_at_fork, at_fork = threads(master()), threads("self")
    }
_EOC_

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value("http_config", $main::http);
    $block->set_value("config", <<'_EOC_' . $block->config);
    location = /guest {
        access_by_lua_block { chain:access() }
        content_by_lua_block { ngx.say("hello") }
    }
_EOC_
});

run_tests();

__DATA__

=== TEST 1: thread: none where nginx forks, one in a worker that calls guests
--- config
    location = /t {
        content_by_lua_block {
            ngx.say("in the master: ", before_tried, " ", after_tried, " ", master_at_fork)
            ngx.say("in the worker: ", at_fork, " ", threads("self"))
            ngx.say(client.ask("/guest"))
            ngx.say("after a request: ", threads("self"), ", in the master: ", threads(master()))
            ngx.say(client.ask("/guest", "x-in: loop\r\n"))
            ngx.say("after a trap: ", threads("self"))
        }
    }
--- response_body
in the master: 1 1 1
in the worker: 1 1
200
after a request: 2, in the master: 1
503
after a trap: 2



=== TEST 2: thread: all signals of nginx's are blocked in it
--- config
    location = /t {
        content_by_lua_block {
            ngx.say(client.ask("/guest"))
            local bit = require "bit"
            local blocked = tonumber(ticker():match("SigBlk:%s*%x+(%x%x%x%x%x%x%x%x)\n"), 16)
            -- HUP INT QUIT USR1 USR2 ALRM TERM CHLD WINCH IO
            for _, signal in ipairs { 1, 2, 3, 10, 12, 14, 15, 17, 28, 29 } do
                if bit.band(blocked, bit.lshift(1, signal - 1)) == 0 then
                    ngx.say(signal, " is not blocked")
                end
            end
        }
    }
--- response_body
200



=== TEST 3: thread: asleep a while after the last call, awake with the next
--- config
    location = /t {
        content_by_lua_block {
            for _ = 1, 2 do
                ngx.say(client.ask("/guest"))
                ngx.say(client.wait(asleep) and "asleep")
                ngx.say(client.ask("/guest", "x-in: loop\r\n"))
            end
        }
    }
--- timeout: 30
--- response_body
200
asleep
503
200
asleep
503
--- error_log
it used more than 50 ms of CPU time (option cpu_limit)



=== TEST 4: thread: a worker that was told to end does, with the thread awake
--- config
    location = /t {
        content_by_lua_block {
            local old = ngx.worker.pid()
            ngx.say(client.ask("/guest"))
            os.execute("kill -HUP " .. master())
            ngx.say(client.wait(function()
                local sock = client.send("/pid")
                local _, pid = client.read(sock)
                sock:close()
                return tonumber(pid) ~= old
            end))
        }
    }
    location = /pid {
        content_by_lua_block { ngx.print(ngx.worker.pid()) }
    }
--- wait: 0.5
--- response_body
200
true
--- error_log eval
qr/worker process \d+ exited with code 0/
