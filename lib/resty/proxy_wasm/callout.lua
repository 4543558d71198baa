-- Callouts: moves bytes between cosockets and the library, which speaks the
-- protocol. They run in light threads of a timer, so that they work in every
-- phase and outlive the request that asked for them.

local ffi = require "ffi"
local semaphore = require "ngx.semaphore"
local library = require "resty.proxy_wasm.lib"
local foreign = require "resty.proxy_wasm.foreign"
local connection = require "resty.proxy_wasm.connection"


local max             = math.max
local error           = error
local pcall           = pcall
local tostring        = tostring
local ffi_gc          = ffi.gc
local ngx             = ngx
local ngx_log         = ngx.log
local ngx_now         = ngx.now
local ngx_timer_at    = ngx.timer.at
local ngx_spawn       = ngx.thread.spawn
local ERR             = ngx.ERR

local lib        = library.lib
local to_string  = library.to_string
local last_error = library.last_error
local MISBEHAVED = lib.RPW_MISBEHAVED


-- Bytes asked for in one read.
local READ_SIZE = 16384

-- Where another attempt may go: over another connection to the same node, or to
-- the next node.
local SAME, NEXT = 1, 2

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


-- Connects and sends. Gives the socket and whether it is a kept one; or nil, why
-- not, and where another attempt may go.
local function open(to, left)
    local sock, kept = connection.open(to, function()
        -- The other nodes must have their share of the time, too.
        return max(left() / (to.nodes_left + 1), 1)
    end)
    if not sock then
        return nil, kept, NEXT
    end
    sock:settimeout(left())
    local ok, err = sock:send(to.output)
    if not ok then
        sock:close()
        if err == "timeout" then
            return nil, "send: timeout"
        end
        return nil, "send: " .. err, kept and SAME or to.repeatable and NEXT
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


-- One attempt. Gives true; or nil, why not, and where another may go.
local function try(callout, to, left)
    local sock, kept, another = open(to, left)
    if not sock then
        return nil, kept, another
    end
    local rc, err, nothing = read(callout, sock, left)
    if rc ~= lib.RPW_CALLOUT_KEEP or not connection.keep(sock) then
        sock:close()
    end
    if rc then
        return true
    end
    -- Perhaps it was closed while the request was on its way: but perhaps the
    -- upstream has seen the request.
    return nil, err, nothing and to.repeatable and (kept and SAME or NEXT)
end


-- Where the callout goes now.
local function read_target(callout)
    lib.rpw_callout_target(callout, target)
    lib.rpw_callout_output(callout, output)
    local t = target[0]
    local to = {
        host = to_string(t.host),
        port = t.port,
        tls = t.tls == 1,
        server_name = to_string(t.server_name),
        verify = t.verify == 1,
        nodes_left = t.nodes_left,
        repeatable = t.repeatable == 1,
        timeout = t.timeout,
        output = to_string(output[0]),
    }
    to.pool = "proxy-wasm:" .. to.host .. ":" .. to.port
              .. (to.tls and (to.verify and ":tls:" or ":tls-unverified:") .. to.server_name or "")
    return to
end


local function exchange(callout)
    local to = read_target(callout)
    local deadline = ngx_now() + to.timeout / 1000

    -- Milliseconds; never 0, which would mean no timeout.
    local function left()
        local ms = (deadline - ngx_now()) * 1000
        return ms > 1 and ms or 1
    end

    while true do
        local ok, err, another
        -- The other side may close kept connections whenever it likes, all of
        -- them.
        for _ = 1, connection.KEEP_SIZE + 1 do
            ok, err, another = try(callout, to, left)
            if another ~= SAME or left() <= 1 then
                break
            end
        end
        if ok then
            return true
        end
        if not another or left() <= 1 or lib.rpw_callout_next(callout, err, #err) == 0 then
            return nil, err
        end
        to = read_target(callout)
    end
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
