-- Callouts: moves bytes between cosockets and the library, which speaks the
-- protocol.

local ffi = require "ffi"
local library = require "resty.proxy_wasm.lib"
local foreign = require "resty.proxy_wasm.foreign"
local connection = require "resty.proxy_wasm.connection"
local dispatcher = require "resty.proxy_wasm.dispatcher"


local max             = math.max
local tostring        = tostring
local ngx_kill        = ngx.thread.kill
local ngx_now         = ngx.now
local ngx_sleep       = ngx.sleep
local ngx_spawn       = ngx.thread.spawn
local ngx_update_time = ngx.update_time

local lib        = library.lib
local to_string  = library.to_string
local last_error = library.last_error
local MISBEHAVED = lib.RPW_MISBEHAVED
local MORE       = lib.RPW_CALLOUT_MORE
local BUSY       = lib.RPW_BUSY


-- Bytes asked for in one read.
local READ_SIZE = 16384

-- Bytes of a request that a connection takes although nobody reads them.
local SENT_AT_ONCE = 16384

-- Where another attempt may go: over another connection to the same node, or to
-- the next node.
local SAME, NEXT = 1, 2


local _M = {}

local target = ffi.new("rpw_target[1]")

-- Where callouts without TLS go, by host and port, as connection.lua takes it. A
-- plugin may call anything.
local plain_places, plain_count = {}, 0
local MAX_PLAIN = 1000

local drain


function _M.set_drain(fn)
    drain = fn
end


-- What an attempt may take of the time that is left: other nodes must have their
-- share of it, too. Not made where it is used: LuaJIT compiles no function that
-- makes one.
local function share_of(left, nodes_left)
    return function()
        return max(left() / (nodes_left + 1), 1)
    end
end


local function connect(to, left)
    local share = left
    if to.nodes_left > 0 then
        share = share_of(left, to.nodes_left)
    end
    return connection.open(to.place, share)
end


-- Feeds the answer to the library. Gives what to do with the connection; or
-- nil, why there is no answer, and whether the connection ended before a byte.
local function read(callout, sock, left)
    local data, err = sock:receiveany(READ_SIZE)
    if not data then
        return nil, "receive: " .. err, err ~= "timeout"
    end
    -- Most answers come in one piece. It is not taken in the loop, as LuaJIT
    -- compiles no way into one, here and elsewhere.
    local rc = lib.rpw_callout_receive(callout, data, #data)
    while rc == MORE do
        local ms = left()
        if ms <= 1 then
            return nil, "receive: timeout", false
        end
        sock:settimeout(ms)
        data, err = sock:receiveany(READ_SIZE)
        if not data and err ~= "closed" then
            return nil, "receive: " .. err, false
        end
        rc = lib.rpw_callout_receive(callout, data, data and #data or 0)
    end
    if rc < 0 then
        return nil, last_error(), false
    end
    return rc
end


local function send(sock, output, sending)
    sending.done, sending.err = sock:send(output)
end


-- Reads while it sends: an upstream that has answered early may read no more.
-- Gives whether the request was sent and why not, and what `read` gives.
local function send_and_read(callout, job, output, sock, left)
    local sending = { done = false, err = nil }
    local sender = ngx_spawn(send, sock, output, sending)
    job.beside = sender
    local rc, err, nothing = read(callout, sock, left)
    job.beside = nil
    ngx_kill(sender)
    return sending.done, sending.err or "closed", rc, err, nothing
end


-- One attempt. Gives true; or nil, why not, and where another may go.
local function try(callout, job, to, left)
    local sock, kept = connect(to, left)
    if not sock then
        return nil, kept, NEXT
    end
    sock:settimeout(left())
    local sent, send_err, rc, err, nothing
    if #to.output > SENT_AT_ONCE and not to.place.begin_tls then
        sent, send_err, rc, err, nothing = send_and_read(callout, job, to.output, sock, left)
    else
        sent, send_err = sock:send(to.output)
        if sent or send_err ~= "timeout" then
            rc, err, nothing = read(callout, sock, left)
        end
    end
    if rc ~= lib.RPW_CALLOUT_KEEP or not sent or not connection.keep(sock) then
        sock:close()
    end
    if rc then
        return true
    end
    local another = kept and SAME or to.repeatable and NEXT
    if not sent and nothing then
        return nil, "send: " .. send_err, another
    elseif not sent and (not err or err == "receive: timeout") then
        return nil, "send: timeout"
    end
    -- Perhaps it was closed while the request was on its way: but perhaps the
    -- upstream has seen the request.
    return nil, err, nothing and to.repeatable and another
end


local function begin_tls(callout)
    return lib.rpw_callout_tls(callout)
end


local function new_plain_place(host, port)
    local ports = plain_places[host]
    if not ports then
        plain_count = plain_count + 1
        if plain_count > MAX_PLAIN then
            plain_places, plain_count = {}, 1
        end
        ports = {}
        plain_places[host] = ports
    end
    local place = {
        host = host,
        port = port,
        tls = false,
        pool = "proxy-wasm:" .. host .. ":" .. port,
    }
    ports[port] = place
    return place
end


-- Most callouts go to few places, without TLS.
local function plain_place(host, port)
    local ports = plain_places[host]
    local place = ports and ports[port] or new_plain_place(host, port)
    return place
end


local function tls_place(callout, t, host, port)
    local server_name, verify = to_string(t.server_name), t.verify == 1
    return {
        host = host,
        port = port,
        tls = true,
        server_name = server_name,
        verify = verify,
        own_tls = t.own_tls,
        begin_tls = t.own_tls ~= 0 and begin_tls or nil,
        subject = callout,
        -- The guest has a say in the name: with its length in front it cannot
        -- pass for another pool's.
        pool = "proxy-wasm:" .. host .. ":" .. port
               .. (verify and ":tls:" or ":tls-unverified:")
               .. #server_name .. ":" .. server_name
               .. (t.own_tls ~= 0 and ":own:" .. t.own_tls or ""),
    }
end


-- Where the callout goes now.
local function read_target(callout)
    lib.rpw_callout_target(callout, target)
    local t = target[0]
    local host, port = to_string(t.host), t.port
    local place
    if t.tls == 0 then
        place = plain_place(host, port)
    else
        place = tls_place(callout, t, host, port)
    end
    return {
        place = place,
        nodes_left = t.nodes_left,
        repeatable = t.repeatable == 1,
        output = to_string(t.output),
    }
end


-- Clocks that nobody looks at, and how many are kept. LuaJIT compiles nothing
-- around the making of a function.
local clocks = {}
local MAX_CLOCKS = 64


-- Gives the milliseconds that are left until a deadline, which is set by calling
-- it with one; never 0, which would mean no timeout.
local function new_clock()
    local deadline
    return function(new_deadline)
        deadline = new_deadline or deadline
        local ms = (deadline - ngx_now()) * 1000
        return ms > 1 and ms or 1
    end
end


-- The attempts after the first, which ended so.
local function try_again(callout, job, to, left, err, another)
    local ok
    while true do
        -- The other side may close kept connections whenever it likes, all of
        -- them.
        for _ = 1, connection.KEEP_SIZE do
            if another ~= SAME or left() <= 1 then
                break
            end
            ok, err, another = try(callout, job, to, left)
            if ok then
                return true
            end
        end
        if not another or left() <= 1 or lib.rpw_callout_next(callout, err, #err) == 0 then
            return nil, err
        end
        to = read_target(callout)
        ok, err, another = try(callout, job, to, left)
        if ok then
            return true
        end
    end
end


local function perform(callout, job, to, left)
    local ok, err, another = try(callout, job, to, left)
    if ok then
        return true
    end
    return try_again(callout, job, to, left, err, another)
end


local function exchange(callout, job)
    if job.deadline <= ngx_now() then
        return nil, "timeout"
    end
    local to = read_target(callout)
    local left = clocks[#clocks] or new_clock()
    clocks[#clocks] = nil
    left(job.deadline)
    local ok, err = perform(callout, job, to, left)
    if #clocks < MAX_CLOCKS then
        clocks[#clocks + 1] = left
    end
    return ok, err
end


-- One that no request has asked for: its plugin is told after the pause behind
-- what ran without a request before. A chain of them would keep the worker busy.
local function exchange_in_background(callout, job)
    local ok, err = exchange(callout, job)
    -- The answer has come in time, whenever the plugin is told.
    job.deadline = nil
    local ms = lib.rpw_pause_left()
    while ms > 0 do
        ngx_sleep(ms / 1000)
        ms = lib.rpw_pause_left()
    end
    return ok, err
end


local BUSY_CALLOUT


-- Ends a callout: with its answer, or with why there is none. True when a
-- foreign function misbehaved.
local function finish(callout, why)
    local rc
    if why then
        rc = lib.rpw_callout_fail(callout, why, #why)
    else
        rc = lib.rpw_callout_deliver(callout)
    end
    if rc == BUSY then
        -- A function of Lua's is being called, and whoever runs in it has come
        -- here; a thread begins after it.
        dispatcher.start(BUSY_CALLOUT, { callout = callout, why = why })
        return false
    end
    rc = foreign.run(rc)
    drain()
    return rc == MISBEHAVED
end


-- With what `exchange` gave, or false and the error.
local function finish_exchange(callout, ok, done, err)
    local why
    if not ok then
        why = tostring(done)
    elseif not done then
        why = tostring(err)
    end
    local misbehaved = finish(callout, why)
    return misbehaved
end


local function finish_again(it)
    return finish(it.callout, it.why)
end


BUSY_CALLOUT = { run = finish_again, give_up = finish_again }

local CALLOUT = { run = exchange, finish = finish_exchange, give_up = finish }
local BACKGROUND = { run = exchange_in_background, finish = finish_exchange, give_up = finish }


-- Takes a callout of the library over, and performs it within so many
-- milliseconds. `background` is 0 when a request has asked for it.
function _M.start(callout, ms, background)
    -- nginx's clock stands while a callback runs, this one and others before it.
    ngx_update_time()
    dispatcher.start(background == 0 and CALLOUT or BACKGROUND, callout, ngx_now() + ms / 1000)
end


_M.go_on = dispatcher.go_on
_M.look = dispatcher.look

return _M
