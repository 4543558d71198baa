-- Connections to the nodes of upstreams: names to addresses, TLS, and idle
-- connections that are used again.

local ffi = require "ffi"
local library = require "resty.proxy_wasm.lib"
local tls = require "resty.proxy_wasm.tls"


local type       = type
local error      = error
local tostring   = tostring
local max        = math.max
local str_find   = string.find
local str_match    = string.match
local ngx        = ngx
local ngx_tcp    = ngx.socket.tcp
local ngx_sleep  = ngx.sleep
local ngx_spawn  = ngx.thread.spawn
local ngx_wait   = ngx.thread.wait
local ngx_kill   = ngx.thread.kill

local lib = library.lib


-- Milliseconds that an idle connection is kept, and how many to one place.
local KEEP_IDLE = lib.RPW_IDLE_MS
local KEEP_SIZE = lib.RPW_MAX_IDLE_CONNECTIONS


local _M = {
    KEEP_SIZE = KEEP_SIZE,
}

-- The operator's own resolver.
local resolver

local pool_options, pool_count = {}, 0
local MAX_POOLS = 1000

local address_text = ffi.new("char[64]")


-- Names go to `fn` first: see the README.
function _M.set_resolver(fn)
    if fn ~= nil and type(fn) ~= "function" then
        error("the resolver must be a function or nil", 2)
    end
    resolver = fn
end


-- A thread wants a Lua function.
local function sleep(seconds)
    ngx_sleep(seconds)
end


-- As `fn(...)`, which may yield, but for so many milliseconds at most: nginx's
-- resolver, for one, heeds no timeout of ours.
local function within(milliseconds, fn, a, b, c, d)
    local working = ngx_spawn(fn, a, b, c, d)
    local sleeping = ngx_spawn(sleep, milliseconds / 1000)
    local ran, result, err = ngx_wait(working, sleeping)
    ngx_kill(working)
    ngx_kill(sleeping)
    if not ran then
        return nil, tostring(result)
    end
    if result == nil and err == nil then
        return nil, "timeout"
    end
    return result, err
end


local function is_ipv4(text)
    local a, b, c, d = str_match(text, "^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$")
    return a and a + 0 < 256 and b + 0 < 256 and c + 0 < 256 and d + 0 < 256
end


-- Gives an address as the cosocket takes it, or nil. What only looks like one
-- it would take for a name, and look for it as long as it may.
local function to_address(text)
    if type(text) ~= "string" then
        return nil
    end
    if is_ipv4(text) or str_find(text, "^%[[%x:.]+%]$") then
        return text
    end
    return str_find(text, "^%x*:[%x:.]+$") and "[" .. text .. "]" or nil
end


-- False: it does not know the name.
local function ask(host)
    local found, err = resolver(host)
    if found == nil and err == nil then
        return false
    end
    return found, err
end


-- Addresses of a name by the operator's resolver; false when that leaves the
-- name to others; or nil and why not.
local function ask_resolver(host, left)
    local found, err = within(left(), ask, host)
    if found == false then
        return false
    end
    if found == nil then
        return nil, "the resolver for \"" .. host .. "\": " .. tostring(err)
    end
    local list = type(found) == "table" and found or { found }
    local addresses = {}
    for i = 1, #list do
        addresses[i] = to_address(list[i])
        if not addresses[i] then
            return nil, "the resolver for \"" .. host .. "\" gave \"" .. tostring(list[i])
                        .. "\", which is no address"
        end
    end
    if #addresses == 0 then
        return nil, "the resolver for \"" .. host .. "\" gave no address"
    end
    return addresses
end


local function find_host(host)
    local len = lib.rpw_find_host(host, #host, address_text)
    return len > 0 and { ffi.string(address_text, len) } or nil
end


-- The cosocket's options, made once for the places that are called often.
local function options(pool)
    local known = pool_options[pool]
    if not known then
        if pool_count >= MAX_POOLS then
            pool_options, pool_count = {}, 0
        end
        known = { pool = pool, pool_size = KEEP_SIZE }
        pool_options[pool] = known
        pool_count = pool_count + 1
    end
    return known
end


local function dial(sock, host, port, pool)
    return sock:connect(host, port, options(pool))
end


local function connect(sock, to, pool, left)
    local host, port = to.host, to.port
    if port == 0 then
        sock:settimeout(left())
        return sock:connect(host, options(pool))
    end
    -- An IPv4 address, or an IPv6 one in brackets.
    if to_address(host) then
        sock:settimeout(left())
        return dial(sock, host, port, pool)
    end
    local addresses, err
    if resolver then
        addresses, err = ask_resolver(host, left)
        if addresses == nil then
            return nil, err
        end
    end
    addresses = addresses or find_host(host)
    if not addresses then
        sock:settimeout(left())
        return within(left(), dial, sock, host, port, pool)
    end
    local ok
    for i = 1, #addresses do
        -- The others must have their share of the time, too.
        sock:settimeout(max(left() / (#addresses - i + 1), 1))
        ok, err = dial(sock, addresses[i], port, pool .. "@" .. addresses[i])
        if ok then
            return true
        end
    end
    return nil, err
end


-- Shakes hands on a new connection. Gives what is used like a cosocket, or nil
-- and why not.
local function handshake(sock, to, pool, left)
    local ok, err
    if to.own_tls == 0 then
        sock:settimeout(left())
        ok, err = sock:sslhandshake(nil, to.server_name, to.verify)
        return ok and sock, err
    end
    local keys = to.begin_tls(to.subject)
    if keys == nil then
        return nil, library.last_error()
    end
    local wrapped = tls.wrap(sock, to.pool, pool, keys)
    ok, err = wrapped:handshake(left)
    return ok and wrapped, err
end


-- Connects, and shakes hands. `to` has host, port (0: a unix socket), pool,
-- tls, server_name, verify, own_tls (not 0: `begin_tls(subject)` gives TLS of
-- our own); `left` gives the milliseconds that are left. Gives the socket and
-- whether it is a kept one, or nil and why not.
function _M.open(to, left)
    local sock = ngx_tcp()
    local pool, keys = to.pool, nil
    local own = to.tls and to.own_tls ~= 0
    if own then
        pool, keys = tls.pool(to.pool)
    end
    local ok, err = connect(sock, to, pool, left)
    if not ok then
        return nil, "connect: " .. tostring(err)
    end
    local kept = sock:getreusedtimes() > 0
    if not to.tls then
        return sock, kept
    end
    if kept then
        return own and tls.wrap(sock, to.pool, pool, keys) or sock, true
    end
    local secured
    secured, err = handshake(sock, to, pool, left)
    if not secured then
        sock:close()
        return nil, "TLS handshake for \"" .. to.server_name .. "\": " .. tostring(err)
    end
    return secured, false
end


-- Keeps a connection for the next callout to the same place.
function _M.keep(sock)
    return sock:setkeepalive(KEEP_IDLE, KEEP_SIZE)
end


return _M
