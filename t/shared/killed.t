# Workers that are killed while they change shared state of any size
# (src/shared): nothing is lost or torn, and nobody waits for the dead. The guest
# checks every value and item that it reads, and traps.
#
# What a kill inside of nginx's own lock leaves of a dict is nginx's affair: its
# master says so, and such a run says nothing about what is tested here.

use strict;
use warnings;

use lib 't/lib';
use OwnNginx;
use Test::More;

# Runs of which one is without a kill inside of nginx's lock: two of three are.
my $RUNS = 20;

my $FUNCTIONS = <<'_END_';
        function get(path)
            local sock = ngx.socket.tcp()
            sock:settimeout(170000)
            assert(sock:connect("unix:" .. ngx.config.prefix() .. "/work.sock"))
            assert(sock:send("GET " .. path .. " HTTP/1.0\r\n\r\n"))
            local answer = sock:receive("*a")
            sock:close()
            return answer and answer:match("^HTTP/1.1 (%d+)")
        end

        -- How many of these requests were answered, and well.
        function many(count)
            local threads, good = {}, 0
            for i = 1, count do
                threads[i] = ngx.thread.spawn(get, "/work")
            end
            for i = 1, count do
                local _, status = ngx.thread.wait(threads[i])
                good = good + (status == "200" and 1 or 0)
            end
            return good
        end

        -- Any worker that has worked, but this one.
        function kill()
            for _, key in ipairs(ngx.shared.test:get_keys(0)) do
                local pid = key:match("^pid(%d+)")
                if pid and tonumber(pid) ~= ngx.worker.pid() then
                    os.execute("kill -9 " .. pid)
                    ngx.shared.test:delete(key)
                    return 1
                end
            end
            return 0
        end

        -- How many requests were answered, and workers killed.
        function many_and_kill(rounds)
            local good, killed = 0, 0
            for round = 1, rounds do
                local thread = ngx.thread.spawn(many, 12)
                ngx.sleep(0.02)
                killed = killed + kill()
                local _, answered = ngx.thread.wait(thread)
                good = good + answered
            end
            ngx.sleep(0.2)
            return good, killed
        end
_END_

# Each worker listens for itself, so that all of them get requests.
my $HTTP = <<'_END_';
    server {
        listen unix:$DIR/work.sock;
        location /work {
            access_by_lua_block { chain:access() }
            content_by_lua_block {
                ngx.shared.test:incr("pid" .. ngx.worker.pid(), 1, 0)
            }
            log_by_lua_block { chain:log() }
        }
    }
    lua_shared_dict test 1m;
_END_

sub check {
    my ($subject, $guest, $lua, $expected) = @_;
    for my $run (1 .. $RUNS) {
        my $nginx = OwnNginx->start(
            plugin => $guest, workers => 4, dict => '8m', before => $FUNCTIONS, http => $HTTP,
            locations => "location = /t { content_by_lua_block { local TOP = '$OwnNginx::TOP'\n$lua } }",
        );
        my ($status, $body) = $nginx->get('/t');
        my $log = $nginx->log;
        if ($log =~ /(shared memory zone "proxy_wasm" was locked by \d+)/) {
            note "run $run: $1";
            next;
        }
        is "$status\n$body", "200\n$expected", "SIGKILL: $subject";
        like $log, qr/exited on signal 9/, "SIGKILL: $subject: workers died";
        unlike $log, qr/exited on signal (?!9)/, "SIGKILL: $subject: and none by themselves";
        unlike $log, qr/shared state is full|the instance is dropped/, "SIGKILL: $subject: nothing failed";
        return;
    }
    fail "SIGKILL: $subject: $RUNS runs, and in each a worker died inside of nginx's lock";
}

check 'counting is neither lost nor invented', 'cas_counter', <<'_LUA_', <<'_END_';
    local shared = dofile(TOP .. "/t/lib/shared_dict.lua")
    local function counted()
        return shared.number(shared.data(ngx.shared.proxy_wasm).n)
    end
    local good, killed = many_and_kill(8)
    local before = counted()
    ngx.say("killed ", killed > 2)
    ngx.say("nothing lost ", before >= good * 10000)
    ngx.say("nothing invented ", before <= 8 * 12 * 10000)
    ngx.say("goes on ", many(4))
    ngx.say("counted ", counted() - before)
_LUA_
killed true
nothing lost true
nothing invented true
goes on 4
counted 40000
_END_

check 'values and items of changing size are whole, and metrics one each', 'shared_writer', <<'_LUA_', <<'_END_';
    local shared = dofile(TOP .. "/t/lib/shared_dict.lua")
    local dict = ngx.shared.proxy_wasm
    local rounds = 12
    local good, killed = many_and_kill(rounds)
    ngx.say("killed ", killed > 4)
    ngx.say("goes on ", many(4))
    local number = shared.number(shared.data(dict).n)
    ngx.say("nothing lost ", number >= (good + 4) * 1000)
    ngx.say("nothing invented ", number <= (rounds * 12 + 4) * 1000)

    -- Each of the dead may have been between any two of its steps.
    local function is_about(what, one, other)
        local is = math.abs(one - other) <= killed
        ngx.say(what, is or ": " .. one .. " and " .. other)
    end
    local metrics, items, named = shared.metrics(dict), 0, 0
    for _ in shared.each(dict, "i") do
        items = items + 1
    end
    for name, value in pairs(metrics) do
        named = named + (name:sub(1, 4) == "many" and value or 0)
    end
    is_about("values and items ", number, metrics.enqueued)
    is_about("each item once ", metrics.enqueued, metrics.dequeued + items)
    is_about("metrics ", number, named)

    -- The counters of metrics have no second number, which is counted.
    local there = shared.cost(dict, "deiqhtTRmxxn")
    local counted = shared.counted(dict)
    local ok = counted >= shared.cost(dict, "deimxn") and counted <= there + killed * 16384
    ngx.say("account ", ok or counted .. " for " .. there)
_LUA_
killed true
goes on 4
nothing lost true
nothing invented true
values and items true
each item once true
metrics true
account true
_END_

done_testing;
