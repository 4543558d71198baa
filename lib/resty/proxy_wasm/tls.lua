-- TLS that the cosocket's own cannot do, over a plain cosocket: with a CA or a
-- client certificate of the upstream's own. What `wrap` gives is used like a
-- cosocket.

local ffi = require "ffi"
local library = require "resty.proxy_wasm.lib"


local max          = math.max
local next         = next
local remove       = table.remove
local setmetatable = setmetatable
local ffi_gc       = ffi.gc
local ngx_now      = ngx.now

local lib        = library.lib
local to_string  = library.to_string
local last_error = library.last_error
local HANDSHAKE  = lib.RPW_TLS_HANDSHAKE
local ENDED      = lib.RPW_TLS_ENDED


-- Bytes asked for in one read.
local READ_SIZE = 16384

-- Idle connections of all places together.
local MAX_IDLE = lib.RPW_MAX_IDLE_TLS


local _M = {}
local mt = { __index = _M }

local lent = ffi.new("rpw_str[1]")

-- Idle connections by place, the last one last. The cosocket of each is in a
-- pool of its own, so that its keys come with it.
local idle, idle_count = {}, 0
local last_number = 0


local function free(tls)
    lib.rpw_tls_free(tls)
end


-- Takes an idle connection to a place: its pool and its keys, or nil.
local function take(place)
    local list = idle[place]
    if not list then
        return nil
    end
    local kept = list[#list]
    list[#list] = nil
    idle_count = idle_count - 1
    if #list == 0 then
        idle[place] = nil
    end
    -- Too old: the cosocket is closed.
    return kept.good_until > ngx_now() and kept or nil
end


-- The options that the cosocket must connect with for a connection to a place,
-- and the keys that it has if it is a kept one.
function _M.pool(place)
    local kept = take(place)
    if kept then
        return kept.pool, kept.tls
    end
    last_number = last_number + 1
    return place .. "#" .. last_number
end


local function send_output(self)
    lib.rpw_tls_output(self.tls, lent)
    if lent[0].len == 0 then
        return true
    end
    return self.sock:send(to_string(lent[0]))
end


-- Receives once. Gives what the library says, or nil and why not.
local function receive(self)
    local data, err = self.sock:receiveany(READ_SIZE)
    if not data then
        if err == "closed" and not self.ended then
            err = "closed in the middle of TLS"
        end
        return nil, err
    end
    local rc = lib.rpw_tls_receive(self.tls, data, #data)
    if rc < 0 then
        err = last_error()
        -- The peer is told why.
        send_output(self)
        return nil, err
    end
    self.ended = rc == ENDED
    local ok
    ok, err = send_output(self)
    if not ok then
        return nil, err
    end
    return rc
end


-- TLS on a connected cosocket. `tls`: the keys of a kept connection, or what is
-- to shake hands, which is ours from now on.
function _M.wrap(sock, place, pool, tls)
    return setmetatable({
        sock = sock,
        place = place,
        pool = pool,
        tls = ffi_gc(tls, free),
        ended = false,
    }, mt)
end


-- Shakes hands; `left` gives the milliseconds that are left.
function _M.handshake(self, left)
    local ok, err = send_output(self)
    if not ok then
        return nil, err
    end
    local rc = HANDSHAKE
    while rc == HANDSHAKE do
        self.sock:settimeout(max(left(), 1))
        rc, err = receive(self)
        if not rc then
            return nil, err
        end
    end
    if rc == ENDED then
        return nil, "closed"
    end
    return true
end


-- Of all that the next `receiveany` reads: a record may come a byte at a time.
function _M.settimeout(self, milliseconds)
    self.deadline = ngx_now() + milliseconds / 1000
    self.sock:settimeout(milliseconds)
end


function _M.send(self, data)
    lib.rpw_tls_send(self.tls, data, #data)
    return send_output(self)
end


-- As the cosocket's, but for any number of bytes.
function _M.receiveany(self)
    while true do
        lib.rpw_tls_input(self.tls, lent)
        if lent[0].len > 0 then
            return to_string(lent[0])
        end
        if self.ended then
            return nil, "closed"
        end
        local ms = (self.deadline - ngx_now()) * 1000
        if ms < 1 then
            return nil, "timeout"
        end
        self.sock:settimeout(ms)
        local rc, err = receive(self)
        if not rc then
            return nil, err
        end
    end
end


function _M.close(self)
    return self.sock:close()
end


-- Forgets connections that were kept too long: their cosockets are closed.
local function sweep()
    local now = ngx_now()
    for place, list in next, idle do
        -- The oldest come first.
        while list[1] and list[1].good_until <= now do
            remove(list, 1)
            idle_count = idle_count - 1
        end
        if #list == 0 then
            idle[place] = nil
        end
    end
end


-- Keeps it for the next connection to the same place.
function _M.setkeepalive(self, milliseconds, size)
    if idle_count >= MAX_IDLE then
        sweep()
    end
    local list = idle[self.place] or {}
    if self.ended or #list >= size or idle_count >= MAX_IDLE then
        return nil, "not kept"
    end
    local ok, err = self.sock:setkeepalive(milliseconds, 1)
    if not ok then
        return nil, err
    end
    list[#list + 1] = {
        pool = self.pool,
        tls = self.tls,
        good_until = ngx_now() + milliseconds / 1000,
    }
    idle[self.place] = list
    idle_count = idle_count + 1
    return true
end


return _M
