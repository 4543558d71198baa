-- The phases of a request for one root context. Each gives what the library
-- says: flags, or a negative number.

local ffi = require "ffi"
local base = require "resty.core.base"
local library = require "resty.proxy_wasm.lib"
local foreign = require "resty.proxy_wasm.foreign"
local plugins = require "resty.proxy_wasm.plugin"
local effects = require "resty.proxy_wasm.effects"
local timer = require "resty.proxy_wasm.timer"


local next        = next
local type        = type
local error       = error
local ngx         = ngx
local ngx_now     = ngx.now
local band        = require("bit").band
local ffi_new     = ffi.new
local get_request = base.get_request
local ngx_sleep   = ngx.sleep
local ngx_get_phase = ngx.get_phase

local lib    = library.lib
local settle = effects.settle
local run    = foreign.run
local sweeping = timer.alarm

local WANTS_RESPONSE_HEADERS = lib.RPW_RESPONSE_HEADERS
local MISBEHAVED = lib.RPW_MISBEHAVED
local UNKNOWN = lib.RPW_WANTS_UNKNOWN

-- Seconds, from its root context on, for which requests wait for a large module
-- that a thread reads; and between two looks. Where its code is on disk, none of
-- them is refused.
local PATIENCE = 0.5
local LOOK = 0.01
local MAY_WAIT = { rewrite = true, server_rewrite = true, access = true, content = true }


local _M = {}

-- Until when requests wait at most; nil most of the time.
local fresh_until


-- Waits for a module that is being read, where a request can wait.
local function await(root)
    local deadline = fresh_until
    if not deadline then
        return
    end
    if ngx_now() >= deadline then
        fresh_until = nil
        return
    end
    if not MAY_WAIT[ngx_get_phase()] then
        return
    end
    while band(lib.rpw_wants(root), UNKNOWN) ~= 0 and ngx_now() < deadline do
        ngx_sleep(LOOK)
    end
end


-- Makes a root context, and does what its callbacks left to do.
function _M.configure(plugin, conf, just_loaded)
    local root, err, rc = plugins.configure(plugin, conf, just_loaded)
    if root and band(lib.rpw_wants(root), UNKNOWN) ~= 0 then
        fresh_until = ngx_now() + PATIENCE
    end
    effects.drain()
    if rc == MISBEHAVED then
        foreign.end_request()
    end
    return root, err
end


-- Makes the instance of a root context's plugin in this worker.
function _M.start(root)
    local rc = run(lib.rpw_start(root))
    local err = rc < 0 and library.last_error()
    effects.drain()
    if err then
        if rc == MISBEHAVED then
            foreign.end_request()
        end
        return nil, err
    end
    return true
end


local function request()
    local r = get_request()
    if not r then
        error("there is no request here", 4)
    end
    return r
end


function _M.request_headers(root)
    local r = request()
    if fresh_until then
        await(root)
    end
    local rc = lib.rpw_request_headers(root, r)
    if sweeping.good_until < ngx_now() then
        timer.start()
    end
    if rc ~= 0 then
        rc = settle(root, r, rc)
    end
    return rc
end


function _M.request_body(root, body, end_of_body)
    local r = request()
    local rc = lib.rpw_request_body(root, r, body, body and #body or 0, end_of_body and 1 or 0)
    if rc ~= 0 then
        rc = settle(root, r, rc)
    end
    return rc
end


local room = 64
local list = ffi_new("rpw_pair[?]", room)


local function enlarge()
    local larger = ffi_new("rpw_pair[?]", room * 2)
    ffi.copy(larger, list, ffi.sizeof("rpw_pair") * room)
    list, room = larger, room * 2
end


local function put(count, key, text)
    if count == room then
        enlarge()
    end
    local pair = list[count]
    pair.key.data, pair.key.len = key, #key
    pair.value.data, pair.value.len = text, #text
    return count + 1
end


local function put_all(count, key, values)
    for i = 1, #values do
        count = put(count, key, values[i])
    end
    return count
end


-- Hands the list of response headers over, which no C function gives.
local function hand_response_headers(root, r)
    local headers = ngx.resp.get_headers(0, true)
    local count = 0
    for key, value in next, headers do
        if type(value) == "table" then
            count = put_all(count, key, value)
        else
            count = put(count, key, value)
        end
    end
    -- `headers` holds every string until here.
    lib.rpw_hand_response_headers(root, r, list, count)
    return headers
end


function _M.response_headers(root)
    local r = request()
    local rc = run(lib.rpw_response_headers(root, r))
    if rc > 0 and band(rc, WANTS_RESPONSE_HEADERS) ~= 0 then
        hand_response_headers(root, r)
        rc = lib.rpw_response_headers(root, r)
    end
    if sweeping.good_until < ngx_now() then
        timer.start()
    end
    if rc ~= 0 then
        rc = settle(root, r, rc)
    end
    return rc
end


function _M.response_body(root)
    local r = request()
    local rc = lib.rpw_response_body(root, r)
    if rc ~= 0 then
        rc = settle(root, r, rc)
    end
    return rc
end


-- In the header filter: an answer without a body stands for the response.
-- False: nobody would know in the body filter.
function _M.refuse_response()
    return lib.rpw_refuse_response(request()) == 0
end


-- In the body filter: 1 when this response is refused, -1 when none is.
function _M.response_refused()
    return lib.rpw_response_refused(request())
end


-- The failure of a request callback was answered; the response is the answer.
function _M.failure_was_answered(root)
    lib.rpw_failure_was_answered(root, request())
end


function _M.log(root)
    local rc = lib.rpw_log(root, request())
    if rc ~= 0 then
        rc = run(rc)
        effects.drain()
    end
    return rc < 0 and rc or 0
end


-- Tells a root context something: a number and data.
function _M.foreign_function(root, id, data)
    local rc = run(lib.rpw_on_foreign_function(root, id, data, #data))
    if rc ~= 0 then
        effects.drain()
        if rc == MISBEHAVED then
            foreign.end_request()
        end
    end
    return rc < 0 and rc or 0
end


return _M
