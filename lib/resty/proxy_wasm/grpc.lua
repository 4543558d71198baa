-- gRPC connections: moves bytes between cosockets and the library, which speaks
-- HTTP/2 and TLS. A connection is a job of the dispatcher's, with a thread that
-- reads and one that writes.

local ffi = require "ffi"
local semaphore = require "ngx.semaphore"
local library = require "resty.proxy_wasm.lib"
local foreign = require "resty.proxy_wasm.foreign"
local connection = require "resty.proxy_wasm.connection"
local dispatcher = require "resty.proxy_wasm.dispatcher"


local min          = math.min
local max          = math.max
local error        = error
local pcall        = pcall
local tostring     = tostring
local ffi_gc       = ffi.gc
local jit_off      = jit.off
local ngx          = ngx
local ngx_sleep    = ngx.sleep
local ngx_spawn    = ngx.thread.spawn
local ngx_kill     = ngx.thread.kill
local ngx_wait     = ngx.thread.wait
local ngx_exiting  = ngx.worker.exiting

local lib        = library.lib
local to_string  = library.to_string
local MISBEHAVED = lib.RPW_MISBEHAVED


-- Bytes asked for in one read.
local READ_SIZE = 65536

-- Milliseconds until a connection is there. Calls have times of their own.
local CONNECT_WITHIN = 10000

-- Milliseconds that a cosocket's thread may wait: the calls' times are looked
-- after elsewhere.
local FOREVER = 2147483647

-- Milliseconds between two looks at whether the worker exits.
local LOOK = 250


local _M = {}

local target = ffi.new("rpw_target[1]")
local output = ffi.new("rpw_str[1]")

-- By their serial numbers.
local connections = {}

local drain


function _M.set_drain(fn)
    drain = fn
end


local function wake(sema)
    if sema:count() <= 0 then
        sema:post(1)
    end
end


-- Tells the guests what has come, and does what they leave to do.
local function settle(conn)
    local any, misbehaved = false, false
    local rc = foreign.run(lib.rpw_connection_deliver(conn.handle))
    while rc ~= 0 do
        any = true
        if rc == MISBEHAVED then
            misbehaved = true
            break
        end
        rc = foreign.run(lib.rpw_connection_deliver(conn.handle))
    end
    -- Also where nobody was told anything: a call may have gone over another
    -- connection.
    drain()
    if any then
        wake(conn.to_write)
    end
    if misbehaved then
        conn.misbehaved = true
        conn.failed = conn.failed or "a foreign function misbehaved"
        wake(conn.to_look)
        -- Whatever nginx has begun for it ends with a thread that fails.
        error("a foreign function misbehaved", 0)
    end
end


local function connect(conn)
    lib.rpw_connection_target(conn.handle, target)
    local t = target[0]
    local host, port = to_string(t.host), t.port
    local to = {
        host = host,
        port = port,
        tls = false,
        -- Nothing is ever kept under this name.
        pool = "proxy-wasm:grpc:" .. host .. ":" .. port,
    }
    local within = max(CONNECT_WITHIN / (t.nodes_left + 1), 1000)
    local sock, err = connection.open(to, function()
        return conn.closed and 1 or within
    end)
    if not sock then
        return nil, err
    end
    sock:settimeouts(CONNECT_WITHIN, FOREVER, FOREVER)
    return sock
end


local function read(conn)
    conn.connecting = true
    local sock, err = connect(conn)
    if not sock then
        -- As after a callout that has failed.
        ngx_sleep(0)
    end
    conn.connecting = false
    if conn.closed then
        if sock then
            sock:close()
        end
        return
    end
    if not sock then
        conn.failed = err
        return
    end
    conn.sock = sock
    lib.rpw_connection_open(conn.handle)
    wake(conn.to_look)
    while not conn.failed do
        local data
        data, err = sock:receiveany(READ_SIZE)
        if data then
            lib.rpw_connection_receive(conn.handle, data, #data)
        elseif err ~= "timeout" then
            lib.rpw_connection_receive(conn.handle, nil, 0)
            return
        end
        wake(conn.to_write)
        settle(conn)
    end
end


local function write(conn)
    while not conn.failed do
        if lib.rpw_connection_output(conn.handle, output) == 0 then
            conn.to_write:wait(FOREVER / 1000)
        else
            local _, err = conn.sock:send(to_string(output[0]))
            if err then
                conn.failed = "send: " .. err
                return
            end
        end
        settle(conn)
    end
end


-- A loop that yields in each round never becomes one trace: the compiler would
-- make another piece of it again and again, for as long as the connection lasts.
jit_off(read)
jit_off(write)


-- Runs one of them, and has the connection looked at when it ends.
local function thread(conn, work)
    local ok, err = pcall(work, conn)
    if not ok then
        conn.failed = conn.failed or tostring(err)
    end
    wake(conn.to_look)
    if not ok then
        error(err, 0)
    end
end


-- False: its calls have waited too long for a thread, and there is nothing to
-- connect for.
local function has_calls(conn)
    lib.rpw_connection_look(conn.handle, 0)
    settle(conn)
    return lib.rpw_connection_look(conn.handle, 0) >= 0
end


-- Until the connection is over.
local function serve(conn)
    if not has_calls(conn) then
        return
    end
    conn.reader = ngx_spawn(thread, conn, read)
    while true do
        if conn.failed then
            lib.rpw_connection_fail(conn.handle, conn.failed, #conn.failed)
        end
        if conn.sock and not conn.writer then
            conn.writer = ngx_spawn(thread, conn, write)
        end
        local ms = lib.rpw_connection_look(conn.handle, ngx_exiting() and 1 or 0)
        settle(conn)
        if ms < 0 then
            return
        end
        if conn.writer then
            wake(conn.to_write)
        end
        conn.to_look:wait(min(ms, LOOK) / 1000)
    end
end


local function close(conn)
    connections[conn.serial] = nil
    conn.closed = true
    -- While it connects it may have threads of its own, that it ends itself.
    if conn.reader and not conn.connecting then
        ngx_kill(conn.reader)
    end
    if conn.writer then
        ngx_kill(conn.writer)
    end
    if conn.sock then
        conn.sock:close()
    end
    lib.rpw_connection_free(ffi_gc(conn.handle, nil))
end


-- Fails what is left on it.
local function fail(conn, why)
    lib.rpw_connection_fail(conn.handle, why, #why)
    settle(conn)
end


-- True when a foreign function misbehaved.
local function run(conn)
    local ok, err = pcall(serve, conn)
    if not ok then
        err = tostring(err)
        pcall(fail, conn, err)
    end
    close(conn)
    drain()
    if conn.connecting then
        ngx_wait(conn.reader)
    end
    if not ok and not conn.misbehaved then
        error(err, 0)
    end
    return conn.misbehaved
end


local function give_up(conn, why)
    if not conn.closed then
        connections[conn.serial] = nil
        fail(conn, why)
    end
end


-- Ends calls whose time is over, while no thread has the connection.
local function look(conn)
    local ok, err = pcall(has_calls, conn)
    if not ok and not conn.misbehaved then
        error(err, 0)
    end
    return conn.misbehaved
end


local CONNECTION = { run = run, give_up = give_up, look = look }


local function free(handle)
    lib.rpw_connection_free(handle)
end


-- Takes a connection of the library over, and makes it.
function _M.start(handle)
    local conn = {
        handle = ffi_gc(handle, free),
        serial = lib.rpw_connection_serial(handle),
        to_look = semaphore.new(0),
        to_write = semaphore.new(0),
    }
    connections[conn.serial] = conn
    dispatcher.start(CONNECTION, conn)
end


-- A connection has something to do.
function _M.wake(serial)
    local conn = connections[serial]
    if conn then
        wake(conn.to_write)
        wake(conn.to_look)
    end
end


return _M
