-- Callouts: moves bytes between cosockets and the library, which speaks the
-- protocol.

local ffi = require "ffi"
local library = require "resty.proxy_wasm.lib"
local foreign = require "resty.proxy_wasm.foreign"
local connection = require "resty.proxy_wasm.connection"
local dispatcher = require "resty.proxy_wasm.dispatcher"


local max             = math.max
local pcall           = pcall
local tostring        = tostring
local ffi_gc          = ffi.gc
local ngx_now         = ngx.now

local lib        = library.lib
local to_string  = library.to_string
local last_error = library.last_error
local MISBEHAVED = lib.RPW_MISBEHAVED


-- Bytes asked for in one read.
local READ_SIZE = 16384

-- Where another attempt may go: over another connection to the same node, or to
-- the next node.
local SAME, NEXT = 1, 2


local _M = {}

local target = ffi.new("rpw_target[1]")

-- The names of pools, by host and port: a plugin may call anything.
local plain_pools, plain_count = {}, 0
local MAX_PLAIN = 1000

local drain


function _M.set_drain(fn)
    drain = fn
end


local function free(callout)
    lib.rpw_callout_free(callout)
end


-- Connects and sends. Gives the socket and whether it is a kept one; or nil, why
-- not, and where another attempt may go.
local function open(to, left)
    local share = left
    if to.nodes_left > 0 then
        -- The other nodes must have their share of the time, too.
        share = function()
            return max(left() / (to.nodes_left + 1), 1)
        end
    end
    local sock, kept = connection.open(to, share)
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
        local ms = left()
        if ms <= 1 then
            return nil, "receive: timeout", false
        end
        sock:settimeout(ms)
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


local function begin_tls(callout)
    return lib.rpw_callout_tls(callout)
end


-- What connections to one place are kept under. Most callouts go to few places,
-- without TLS.
local function pool_of(host, port, to)
    if not to.tls then
        local ports = plain_pools[host]
        local pool = ports and ports[port]
        if pool then
            return pool
        end
        if not ports then
            plain_count = plain_count + 1
            if plain_count > MAX_PLAIN then
                plain_pools, plain_count = {}, 1
            end
            ports = {}
            plain_pools[host] = ports
        end
        pool = "proxy-wasm:" .. host .. ":" .. port
        ports[port] = pool
        return pool
    end
    return "proxy-wasm:" .. host .. ":" .. port
           .. (to.verify and ":tls:" or ":tls-unverified:") .. to.server_name
           .. (to.own_tls ~= 0 and ":own:" .. to.own_tls or "")
end


-- Where the callout goes now.
local function read_target(callout)
    lib.rpw_callout_target(callout, target)
    local t = target[0]
    local to = {
        host = to_string(t.host),
        port = t.port,
        tls = t.tls == 1,
        server_name = t.tls == 1 and to_string(t.server_name) or "",
        verify = t.verify == 1,
        own_tls = t.own_tls,
        begin_tls = begin_tls,
        subject = callout,
        nodes_left = t.nodes_left,
        repeatable = t.repeatable == 1,
        timeout = t.timeout,
        output = to_string(t.output),
    }
    to.pool = pool_of(to.host, to.port, to)
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


-- Ends a callout: with its answer, or with why there is none. True when a
-- foreign function misbehaved.
local function finish(callout, why)
    local rc
    ffi_gc(callout, nil)
    if why then
        rc = lib.rpw_callout_fail(callout, why, #why)
    else
        rc = lib.rpw_callout_deliver(callout)
    end
    rc = foreign.run(rc)
    drain()
    return rc == MISBEHAVED
end


local function run(callout)
    local ok, done, err = pcall(exchange, callout)
    if not ok then
        return finish(callout, tostring(done))
    end
    return finish(callout, not done and tostring(err) or nil)
end


-- Takes a callout of the library over, and performs it.
function _M.start(callout)
    dispatcher.start(run, finish, ffi_gc(callout, free))
end


_M.go_on = dispatcher.go_on

return _M
