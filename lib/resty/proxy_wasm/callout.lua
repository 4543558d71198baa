-- Callouts: moves bytes between cosockets and the library, which speaks the
-- protocol. They run in light threads of a timer, so that they work in every
-- phase and outlive the request that asked for them.

local ffi = require "ffi"
local semaphore = require "ngx.semaphore"
local library = require "resty.proxy_wasm.lib"
local foreign = require "resty.proxy_wasm.foreign"


local error           = error
local pcall           = pcall
local tostring        = tostring
local str_find        = string.find
local ffi_gc          = ffi.gc
local ngx             = ngx
local ngx_log         = ngx.log
local ngx_now         = ngx.now
local ngx_tcp         = ngx.socket.tcp
local ngx_timer_at    = ngx.timer.at
local ngx_sleep       = ngx.sleep
local ngx_spawn       = ngx.thread.spawn
local ngx_wait        = ngx.thread.wait
local ngx_kill        = ngx.thread.kill
local ERR             = ngx.ERR

local lib        = library.lib
local to_string  = library.to_string
local last_error = library.last_error
local MISBEHAVED = lib.RPW_MISBEHAVED


-- Bytes asked for in one read.
local READ_SIZE = 16384

-- Milliseconds that an idle connection is kept, and how many to one place.
local KEEP_IDLE = 60000
local KEEP_SIZE = 32

-- Callouts that one timer takes. nginx gives back what cosockets and threads
-- take from a timer's memory only when the timer ends, and on a busy worker it
-- would never end: after so many another one goes on.
local TAKE = 500

-- When so many still have a slow callout, the last one takes on: nginx runs
-- 256 at a time (lua_max_running_timers), which are not ours alone.
local MAX_TIMERS = 64

-- Seconds after which a timer that did not begin is given up: nginx drops
-- timers when too many run.
local BEGIN_WITHIN = 1


local _M = {}

local target = ffi.new("rpw_target[1]")
local output = ffi.new("rpw_str[1]")

-- Callouts that no thread has taken yet, first in, first out.
local queue, first, last = {}, 1, 0

-- The timer that takes callouts, if there is one, and the number of all.
local current
local timers = 0

local drain


function _M.set_drain(fn)
    drain = fn
end


local function free(callout)
    lib.rpw_callout_free(callout)
end


local function fail(callout, why)
    return lib.rpw_callout_fail(callout, why, #why)
end


local function dial(sock, to, options)
    return sock:connect(to.host, to.port, options)
end


-- A thread wants a Lua function.
local function sleep(seconds)
    ngx_sleep(seconds)
end


-- As the socket's connect. Its timeout does not hold for nginx's resolver,
-- which has one of its own (resolver_timeout, 30 seconds).
local function connect_by_name(sock, to, options, left)
    local connecting = ngx_spawn(dial, sock, to, options)
    local sleeping = ngx_spawn(sleep, left() / 1000)
    local ran, ok, err = ngx_wait(connecting, sleeping)
    ngx_kill(connecting)
    ngx_kill(sleeping)
    if ran and ok then
        return true
    end
    return nil, (not ran and ok) or err or "timeout"
end


local function connect(sock, to, left)
    local options = { pool = to.pool, pool_size = KEEP_SIZE }
    sock:settimeout(left())
    if to.port == 0 then
        return sock:connect(to.host, options)
    end
    -- Neither an IPv4 address nor an IPv6 one in brackets.
    if not str_find(to.host, "^[%d.]+$") and not str_find(to.host, "^%[") then
        return connect_by_name(sock, to, options, left)
    end
    return dial(sock, to, options)
end


-- Connects, shakes hands, sends. Gives the socket and whether it is a kept
-- one; or nil, why not, and whether a kept one failed.
local function open(to, left)
    local sock = ngx_tcp()
    local ok, err = connect(sock, to, left)
    if not ok then
        return nil, "connect: " .. err, false
    end
    local kept = sock:getreusedtimes() > 0
    if to.tls and not kept then
        sock:settimeout(left())
        ok, err = sock:sslhandshake(nil, to.server_name, true)
        if not ok then
            sock:close()
            return nil, "TLS handshake: " .. err, false
        end
    end
    sock:settimeout(left())
    ok, err = sock:send(to.output)
    if not ok then
        sock:close()
        return nil, "send: " .. err, kept and err ~= "timeout"
    end
    return sock, kept
end


-- Feeds the answer to the library. Gives what to do with the connection; or
-- nil, why there is no answer, and whether the connection ended before a byte.
local function read(callout, sock, left)
    local nothing = true
    while true do
        sock:settimeout(left())
        local data, err = sock:receiveany(READ_SIZE)
        if not data and (nothing or err ~= "closed") then
            return nil, "receive: " .. err, nothing and err ~= "timeout"
        end
        nothing = false
        local rc = lib.rpw_callout_receive(callout, data, data and #data or 0)
        if rc < 0 then
            return nil, last_error(), false
        end
        if rc ~= lib.RPW_CALLOUT_MORE then
            return rc
        end
        if left() <= 1 then
            return nil, "receive: timeout", false
        end
    end
end


-- One attempt. Gives true; or nil, why not, and whether another may do.
local function try(callout, to, left)
    local sock, kept, stale = open(to, left)
    if not sock then
        return nil, kept, stale
    end
    local rc, err, nothing = read(callout, sock, left)
    if rc ~= lib.RPW_CALLOUT_KEEP or not sock:setkeepalive(KEEP_IDLE, KEEP_SIZE) then
        sock:close()
    end
    if rc then
        return true
    end
    -- Perhaps it was closed while the request was on its way: but perhaps the
    -- upstream has seen the request.
    return nil, err, kept and nothing and to.repeatable
end


local function exchange(callout)
    lib.rpw_callout_target(callout, target)
    lib.rpw_callout_output(callout, output)
    local t = target[0]
    local deadline = ngx_now() + t.timeout / 1000
    local to = {
        host = to_string(t.host),
        port = t.port,
        tls = t.tls == 1,
        server_name = to_string(t.server_name),
        repeatable = t.repeatable == 1,
        output = to_string(output[0]),
    }
    to.pool = "proxy-wasm:" .. to.host .. ":" .. to.port
              .. (to.tls and ":tls:" .. to.server_name or "")

    -- Milliseconds; never 0, which would mean no timeout.
    local function left()
        local ms = (deadline - ngx_now()) * 1000
        return ms > 1 and ms or 1
    end

    local ok, err, again
    -- The other side may close kept connections whenever it likes, all of them.
    for _ = 1, KEEP_SIZE + 1 do
        ok, err, again = try(callout, to, left)
        if ok or not again or left() <= 1 then
            break
        end
    end
    return ok, err
end


-- True when a foreign function misbehaved.
local function run(callout)
    local ok, done, err = pcall(exchange, callout)
    local rc
    if ok and done then
        rc = lib.rpw_callout_deliver(callout)
    else
        rc = fail(callout, tostring(ok and err or done))
    end
    rc = foreign.run(rc)
    lib.rpw_callout_free(ffi_gc(callout, nil))
    drain()
    return rc == MISBEHAVED
end


local function take()
    if first > last then
        return nil
    end
    local callout = queue[first]
    queue[first] = nil
    first = first + 1
    return callout
end


-- One light thread, for one callout.
local function thread(timer, callout)
    local ok, result = pcall(run, callout)
    if not ok then
        ngx_log(ERR, "[proxy-wasm] callout: ", result)
    end
    timer.running = timer.running - 1
    if timer.running == 0 then
        if timer.over then
            timers = timers - 1
        else
            timer.wake:post(1)
        end
    end
    if ok and result then
        -- Whatever nginx has begun for it ends with a thread that fails.
        error("a foreign function misbehaved", 0)
    end
end


-- Takes callouts until none is left and all are answered, or another timer is
-- to go on; then the threads end for themselves.
local function serve(timer)
    while true do
        local callout = take()
        while callout do
            timer.taken = timer.taken + 1
            timer.running = timer.running + 1
            ngx_spawn(thread, timer, callout)
            callout = take()
        end
        if timer.running == 0 or (timer.taken >= TAKE and timers < MAX_TIMERS) then
            return
        end
        local ok, err = timer.wake:wait(60)
        if not ok and err ~= "timeout" then
            error(err)
        end
    end
end


local function dispatch(_, timer)
    timer.begun = true
    timers = timers + 1
    local ok, err = pcall(serve, timer)
    if not ok then
        ngx_log(ERR, "[proxy-wasm] callouts: ", err)
    end
    -- Nothing yields from where the queue was seen empty to here: no callout
    -- is left to a timer that is over.
    timer.over = true
    if timer.running == 0 then
        timers = timers - 1
    end
    if current == timer then
        current = nil
    end
end


-- Sees to it that a timer takes what is in the queue. When nginx gives none,
-- the callouts wait, and the next call asks again: false.
function _M.go_on()
    if first > last then
        return true
    end
    if current and (current.begun or ngx_now() - current.asked < BEGIN_WITHIN) then
        current.wake:post(1)
        return current.begun
    end
    current = {
        wake = semaphore.new(0),
        asked = ngx_now(),
        begun = false,
        over = false,
        taken = 0,
        running = 0,
    }
    local ok, err = ngx_timer_at(0, dispatch, current)
    if not ok then
        current = nil
        ngx_log(ERR, "[proxy-wasm] callouts must wait, there is no timer: ", err)
    end
    return false
end


-- Takes a callout of the library over, and performs it.
function _M.start(callout)
    last = last + 1
    queue[last] = ffi_gc(callout, free)
    _M.go_on()
end


return _M
