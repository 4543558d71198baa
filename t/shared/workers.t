# Shared state among workers (src/shared): nothing is lost, whoever dies.

use lib 't/lib';
use TestProxyWasm 'no_plan';

master_on();
workers(4);
worker_connections(1024);
# At debug nginx logs every step of the million.
log_level('notice');
no_long_string();
no_shuffle();

# Each worker listens for itself, so that all of them get requests.
our $HTTP = <<'_END_';
    lua_shared_dict proxy_wasm 1m;
    lua_shared_dict test 1m;
    init_by_lua_block {
        counter = assert(require("resty.proxy_wasm").new_chain {
            { name = "counter", path = "$GUESTS/cas_counter.wasm" },
        })
        -- What the guest counted: eight bytes, little-endian, before the version.
        function counted()
            local dict, latest = ngx.shared.proxy_wasm, 0
            for _, key in ipairs(dict:get_keys(0)) do
                local value = dict:get(key)
                if key:sub(1, 4) == "pw:d" and type(value) == "string" and #value == 12 then
                    local number, scale = 0, 1
                    for i = 1, 8 do
                        number = number + value:byte(i) * scale
                        scale = scale * 256
                    end
                    latest = math.max(latest, number)
                end
            end
            return latest
        end

        function get(path)
            local sock = ngx.socket.tcp()
            sock:settimeout(170000)
            assert(sock:connect("unix:" .. ngx.config.prefix() .. "/count.sock"))
            assert(sock:send("GET " .. path .. " HTTP/1.0\r\n\r\n"))
            local answer = sock:receive("*a")
            sock:close()
            return answer and answer:match("^HTTP/1.1 (%d+)")
        end

        function many(count)
            local threads, good = {}, 0
            for i = 1, count do
                threads[i] = ngx.thread.spawn(get, "/count")
            end
            for i = 1, count do
                local _, status = ngx.thread.wait(threads[i])
                good = good + (status == "200" and 1 or 0)
            end
            return good
        end
    }
    server {
        listen unix:$PREFIX/count.sock;
        location /count {
            access_by_lua_block { counter:access() }
            content_by_lua_block {
                ngx.shared.test:incr("pid" .. ngx.worker.pid(), 1, 0)
            }
            log_by_lua_block { counter:log() }
        }
    }
_END_
$HTTP =~ s/\$GUESTS/$TestProxyWasm::GUESTS/g;

add_block_preprocessor(sub {
    my $block = shift;
    my $root = Test::Nginx::Util::server_root();
    (my $http = $HTTP) =~ s/\$PREFIX/$root/g;
    $block->set_value('http_config', $http);
});

run_tests();

__DATA__

=== TEST 1: compare-and-swap: a million increments of four workers, none lost
--- config
    location = /t {
        content_by_lua_block {
            ngx.say("answered ", many(100))
            ngx.say("counted ", counted())
            local metric
            for _, key in ipairs(ngx.shared.proxy_wasm:get_keys(0)) do
                local value = ngx.shared.proxy_wasm:get(key)
                if key:sub(1, 4) == "pw:x" then
                    metric = value
                end
            end
            ngx.say("metric ", metric)
            ngx.say("workers ", #ngx.shared.test:get_keys(0) > 1)
            ngx.say("entries ", #ngx.shared.proxy_wasm:get_keys(0) < 20)
        }
    }
--- timeout: 180
--- response_body
answered 100
counted 1000000
metric 1000000
workers true
entries true
--- no_error_log
[error]



=== TEST 2: SIGKILL: a worker that dies in an update stalls and corrupts nothing
--- config
    location = /t {
        content_by_lua_block {
            local good, killed = 0, 0
            for round = 1, 8 do
                local thread = ngx.thread.spawn(many, 12)
                ngx.sleep(0.02)
                -- Any worker but this one.
                for _, key in ipairs(ngx.shared.test:get_keys(0)) do
                    local pid = key:match("^pid(%d+)")
                    if pid and tonumber(pid) ~= ngx.worker.pid() then
                        os.execute("kill -9 " .. pid)
                        ngx.shared.test:delete(key)
                        killed = killed + 1
                        break
                    end
                end
                local _, answered = ngx.thread.wait(thread)
                good = good + answered
            end
            local before = counted()
            ngx.say("killed ", killed > 2)
            ngx.say("nothing lost ", before >= good * 10000)
            ngx.say("nothing invented ", before <= 8 * 12 * 10000)
            ngx.sleep(0.2)
            ngx.say("goes on ", many(4))
            ngx.say("counted ", counted() - before)
        }
    }
--- timeout: 180
--- response_body
killed true
nothing lost true
nothing invented true
goes on 4
counted 40000
--- error_log
[alert]
exited on signal 9
--- no_error_log
shared state is full
the instance is dropped
