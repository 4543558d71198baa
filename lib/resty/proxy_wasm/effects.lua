-- Deferred work: what the library asks for, and only Lua can do.

local ffi = require "ffi"
local semaphore = require "ngx.semaphore"
local library = require "resty.proxy_wasm.lib"
local foreign = require "resty.proxy_wasm.foreign"
local callout = require "resty.proxy_wasm.callout"
local grpc = require "resty.proxy_wasm.grpc"
local clock = require "resty.proxy_wasm.clock"


local min          = math.min
local next         = next
local error        = error
local type         = type
local pcall        = pcall
local setmetatable = setmetatable
local ngx          = ngx
local ngx_arg      = ngx.arg
local ngx_req      = ngx.req
local ngx_log      = ngx.log
local ngx_now      = ngx.now
local ngx_exit     = ngx.exit
local ngx_print    = ngx.print
local ngx_get_phase = ngx.get_phase
local ERR          = ngx.ERR
local band         = require("bit").band

local lib       = library.lib
local to_string = library.to_string
local run       = foreign.run

local set_reason = require("ngx.resp").set_status


local _M = {}

local effect = ffi.new("rpw_effect[1]")

local EFFECTS = lib.RPW_EFFECTS
local PAUSED  = lib.RPW_PAUSED
local MISBEHAVED = lib.RPW_MISBEHAVED

-- Seconds until a paused request looks whether it still waits, and asks again
-- for a timer for callouts.
local RETRY = 0.5

-- Semaphores that nobody waits for, and how many are kept.
local spare = {}
local MAX_SPARE = 64

-- Paused requests by serial number. Weak: of an aborted one nothing stays.
local waiting = setmetatable({}, { __mode = "v" })


local function set_headers(pairs, count)
    local seen = {}
    for i = 0, count - 1 do
        local key, value = to_string(pairs[i].key), to_string(pairs[i].value)
        local before = seen[key]
        if before == nil then
            seen[key] = value
        elseif type(before) == "table" then
            before[#before + 1] = value
        else
            seen[key] = { before, value }
        end
    end
    local header = ngx.header
    for key, value in next, seen do
        header[key] = value
    end
end


-- Forgets every header of the response.
function _M.clear_headers()
    local header = ngx.header
    for key in next, ngx.resp.get_headers(0, true) do
        header[key] = nil
    end
    header.content_length = nil
end


-- Drops what the body filter holds of a response that is another one's now,
-- and whatever still comes.
function _M.drop_body()
    -- The end comes first: without a chunk there is nothing to mark as the
    -- last, and the response would never end.
    ngx_arg[2] = true
    ngx_arg[1] = nil
end


-- Ends the response in the body filter, and its connection with it: the client
-- must not take what it has for the whole.
function _M.cut_off(why)
    error("[proxy-wasm] the response is cut off: " .. why, 0)
end


-- With the plugin's reason where lua-nginx-module can (0.10.28). Not where it
-- must see that there is no body: it looks at the status only without one.
local function set_status(e)
    local status = e.status
    if set_reason and e.text.len > 0 and status ~= 204 and status ~= 304 then
        set_reason(status, to_string(e.text))
    else
        ngx.status = status
    end
end


-- In the header filter the response is changed in place; the body filter has
-- the new body.
local function replace_response(e)
    _M.clear_headers()
    set_status(e)
    set_headers(e.pairs, e.pair_count)
end


local function local_response(e)
    if ngx_get_phase() == "header_filter" then
        replace_response(e)
        return
    end
    local body = to_string(e.body)
    set_status(e)
    ngx.header.content_length = #body
    -- Else nginx would give its default_type also to nothing.
    ngx.header.content_type = nil
    set_headers(e.pairs, e.pair_count)
    -- What other requests wait for must not be lost behind the exit.
    _M.drain()
    if body ~= "" then
        ngx_print(body)
    else
        -- Without a body nginx would put its error page in.
        ngx.send_headers()
    end
    return ngx_exit(ngx.HTTP_OK)
end


local function set_path(e)
    local path, query = to_string(e.text), to_string(e.body)
    local ok, err = pcall(ngx_req.set_uri, path)
    if not ok then
        ngx_log(ERR, "[proxy-wasm] cannot set the path: ", err)
        return
    end
    ngx_req.set_uri_args(query)
end


local function set_request_body(e)
    local ok, err = pcall(ngx_req.set_body_data, to_string(e.body))
    if not ok then
        ngx_log(ERR, "[proxy-wasm] cannot set the request body: ", err)
    end
end


local function set_response_body(e)
    local body = to_string(e.body)
    -- The end comes first: without a chunk there is nothing to mark as the
    -- last, and the response would never end.
    if e.status == 1 then
        ngx_arg[2] = true
    end
    ngx_arg[1] = body ~= "" and body or nil
end


local function resume(e)
    local sema = waiting[e.serial]
    if sema then
        sema:post(1)
    end
end


-- nginx closes a connection without an answer only before it has begun one.
local function close_stream()
    local phase = ngx_get_phase()
    if phase == "body_filter" then
        return _M.cut_off("the plugin closes the stream")
    end
    _M.drain()
    return ngx_exit(phase == "header_filter" and ngx.ERROR or 444)
end


local function timer(e)
    clock.arm(e.status)
end


local function http_call(e)
    callout.start(e.callout)
end


local function connect(e)
    grpc.start(e.connection)
end


local function wake(e)
    grpc.wake(e.serial)
end


-- By the numbers of src/capi/effect.rs.
local perform = {
    [lib.RPW_EFFECT_LOCAL_RESPONSE]    = local_response,
    [lib.RPW_EFFECT_SET_PATH]          = set_path,
    [lib.RPW_EFFECT_SET_REQUEST_BODY]  = set_request_body,
    [lib.RPW_EFFECT_SET_RESPONSE_BODY] = set_response_body,
    [lib.RPW_EFFECT_RESUME]            = resume,
    [lib.RPW_EFFECT_HTTP_CALL]         = http_call,
    [lib.RPW_EFFECT_CLOSE_STREAM]      = close_stream,
    [lib.RPW_EFFECT_TIMER]             = timer,
    [lib.RPW_EFFECT_GRPC_OPEN]         = connect,
    [lib.RPW_EFFECT_GRPC_WAKE]         = wake,
}
_M.perform = perform


local function pull(root, r)
    local kind = lib.rpw_next_effect(root, r, effect)
    while kind ~= 0 do
        perform[kind](effect[0])
        kind = lib.rpw_next_effect(root, r, effect)
    end
end


-- Does what is no request's own.
function _M.drain()
    pull(nil, nil)
    callout.go_on()
end


-- Waits until the request is woken, or its time is over.
local function wait(root, r, deadline)
    local sema = spare[#spare]
    if sema then
        spare[#spare] = nil
    else
        sema = semaphore.new(0)
    end
    local serial = lib.rpw_serial(root, r)
    waiting[serial] = sema
    local left = deadline - ngx_now()
    if left > 0 then
        -- Perhaps it waits for a callout that has no timer yet; and whoever
        -- wakes it may do so by another copy of this file, where the code
        -- cache is off: so it looks for itself, too.
        callout.go_on()
        local patience = min(left, RETRY)
        local ok, err = sema:wait(patience)
        waiting[serial] = nil
        if sema:count() == 0 and #spare < MAX_SPARE then
            spare[#spare + 1] = sema
        end
        if ok or (err == "timeout" and patience < left) then
            return
        end
        if err ~= "timeout" then
            ngx_log(ERR, "[proxy-wasm] cannot wait: ", err)
        end
    end
    lib.rpw_pause_expired(root, r)
end


-- Does what a call left to do, and waits while the request is paused. Gives
-- what the library says then: a negative number, or flags that are neither
-- `RPW_EFFECTS` nor `RPW_PAUSED`.
function _M.settle(root, r, rc)
    local deadline
    rc = run(rc)
    while rc > 0 do
        if band(rc, EFFECTS) ~= 0 then
            pull(root, r)
        elseif band(rc, PAUSED) ~= 0 then
            deadline = deadline or ngx_now() + lib.rpw_pause_timeout(root) / 1000
            wait(root, r, deadline)
        else
            return rc
        end
        rc = lib.rpw_state(root, r)
    end
    if rc < 0 then
        -- The instance may be lost, and others wait for it.
        _M.drain()
    end
    if rc == MISBEHAVED then
        foreign.end_request()
        lib.rpw_refuse(root, r)
    end
    return rc
end


callout.set_drain(_M.drain)
grpc.set_drain(_M.drain)
clock.set_drain(_M.drain)

return _M
