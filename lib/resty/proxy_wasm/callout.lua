-- Callouts: moves bytes between cosockets and the library, which speaks the
-- protocol. They run in light threads of one timer, so that they work in
-- every phase and outlive the request that asked for them.

local ffi = require "ffi"
local semaphore = require "ngx.semaphore"
local library = require "resty.proxy_wasm.lib"


local pcall           = pcall
local tostring        = tostring
local ffi_gc          = ffi.gc
local ngx             = ngx
local ngx_log         = ngx.log
local ngx_now         = ngx.now
local ngx_tcp         = ngx.socket.tcp
local ngx_timer_at    = ngx.timer.at
local ngx_exiting     = ngx.worker.exiting
local ngx_spawn       = ngx.thread.spawn
local ERR             = ngx.ERR

local lib        = library.lib
local to_string  = library.to_string
local last_error = library.last_error


-- Seconds that the timer stays after its last callout; an exiting worker
-- waits for it no longer.
local LINGER = 0.5

-- Bytes asked for in one read.
local READ_SIZE = 16384

-- Milliseconds that an idle connection is kept, and how many to one place.
local KEEP_IDLE = 60000
local KEEP_SIZE = 32


local _M = {}

local target = ffi.new("rpw_target[1]")
local output = ffi.new("rpw_str[1]")

-- Callouts that no thread has taken yet, first in, first out.
local queue, first, last = {}, 1, 0

local dispatching = false
local idle = 0
local wake, work

local drain


function _M.set_drain(fn)
    drain = fn
end


local function free(callout)
    lib.rpw_callout_free(callout)
end


local function fail(callout, why)
    lib.rpw_callout_fail(callout, why, #why)
end


-- Connects, shakes hands, sends. Gives the socket, or nil and why not.
local function open(to, left)
    local sock = ngx_tcp()
    sock:settimeout(left())
    local ok, err
    if to.port == 0 then
        ok, err = sock:connect(to.host, { pool = to.pool, pool_size = KEEP_SIZE })
    else
        ok, err = sock:connect(to.host, to.port, { pool = to.pool, pool_size = KEEP_SIZE })
    end
    if not ok then
        return nil, "connect: " .. err
    end
    local reused = sock:getreusedtimes() or 0
    if to.tls and reused == 0 then
        sock:settimeout(left())
        ok, err = sock:sslhandshake(nil, to.server_name, true)
        if not ok then
            sock:close()
            return nil, "TLS handshake: " .. err
        end
    end
    sock:settimeout(left())
    ok, err = sock:send(to.output)
    if not ok then
        sock:close()
        return nil, "send: " .. err, reused > 0
    end
    return sock, nil, reused > 0
end


-- Feeds the answer to the library. Gives what to do with the connection, or
-- nil and why there is no answer; the third value is true when not a byte came.
local function read(callout, sock, left)
    local nothing = true
    while true do
        sock:settimeout(left())
        local data, err = sock:receiveany(READ_SIZE)
        if not data and err ~= "closed" then
            return nil, "receive: " .. err, nothing
        end
        if data then
            nothing = false
        end
        local rc = lib.rpw_callout_receive(callout, data, data and #data or 0)
        if rc < 0 then
            return nil, last_error(), nothing and not data
        end
        if rc ~= lib.RPW_CALLOUT_MORE then
            return rc
        end
        if left() <= 1 then
            return nil, "timeout"
        end
    end
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
        output = to_string(output[0]),
    }
    to.pool = "proxy-wasm:" .. to.host .. ":" .. to.port
              .. (to.tls and ":tls:" .. to.server_name or "")

    -- Milliseconds; never 0, which would mean no timeout.
    local function left()
        local ms = (deadline - ngx_now()) * 1000
        return ms > 1 and ms or 1
    end

    for _ = 1, KEEP_SIZE + 1 do
        local sock, err, reused = open(to, left)
        local rc, nothing
        if sock then
            rc, err, nothing = read(callout, sock, left)
            if rc == lib.RPW_CALLOUT_KEEP then
                sock:setkeepalive(KEEP_IDLE, KEEP_SIZE)
                return true
            end
            sock:close()
            if rc then
                return true
            end
        else
            nothing = true
        end
        -- The other side may close a kept connection whenever it likes: then
        -- nobody has seen the request.
        if not (reused and nothing) or left() <= 1 then
            return nil, err
        end
    end
    return nil, "every kept connection was closed"
end


local function run(callout)
    local ok, done, err = pcall(exchange, callout)
    if ok and done then
        lib.rpw_callout_deliver(callout)
    else
        fail(callout, tostring(ok and err or done))
    end
    lib.rpw_callout_free(ffi_gc(callout, nil))
    drain()
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


-- One light thread: takes callouts until the timer ends.
local function thread()
    while dispatching do
        local callout = take()
        if callout then
            local ok, err = pcall(run, callout)
            if not ok then
                ngx_log(ERR, "[proxy-wasm] callout: ", err)
            end
        else
            idle = idle + 1
            if idle == dispatching then
                wake:post(1)
            end
            work:wait(LINGER * 2)
            idle = idle - 1
        end
    end
end


-- `dispatching` is the number of threads, or false without a timer.
local function dispatch()
    while true do
        while last - first + 1 > 0 and last - first + 1 > idle do
            dispatching = dispatching + 1
            ngx_spawn(thread)
        end
        local woken = wake:wait(LINGER)
        if first > last and idle == dispatching and (not woken or ngx_exiting()) then
            break
        end
    end
    local threads = dispatching
    dispatching = false
    work:post(threads)
end


local function begin()
    wake, work = semaphore.new(0), semaphore.new(0)
    dispatching, idle = 0, 0
    local ok, err = ngx_timer_at(0, function()
        local done, why = pcall(dispatch)
        if not done then
            dispatching = false
            ngx_log(ERR, "[proxy-wasm] callouts: ", why)
        end
    end)
    if not ok then
        dispatching = false
        return nil, err
    end
    return true
end


-- Takes a callout of the library over, and performs it.
function _M.start(callout)
    callout = ffi_gc(callout, free)
    if not dispatching then
        local ok, err = begin()
        if not ok then
            fail(callout, "no timer: " .. err)
            return
        end
    end
    last = last + 1
    queue[last] = callout
    if idle > 0 then
        work:post(1)
    end
    wake:post(1)
end


return _M
