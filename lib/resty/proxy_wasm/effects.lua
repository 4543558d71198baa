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
local ngx_update_time = ngx.update_time
local ngx_print    = ngx.print
local ngx_get_phase = ngx.get_phase
local ngx_exiting  = ngx.worker.exiting
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
local TO_DO   = EFFECTS + PAUSED
local MISBEHAVED = lib.RPW_MISBEHAVED

-- Seconds until a paused request looks whether it still waits, and whether what
-- it may wait for has a timer.
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
    -- nginx lists neither.
    header["Content-Length"] = nil
    header["Last-Modified"] = nil
end


-- Only a chunk can be marked as the last, and there may be none: another one's body
-- filter has taken it. Without a mark the response would never end. What is taken
-- away later keeps it.
local function end_body(body)
    ngx_arg[1] = body ~= "" and body or " "
    ngx_arg[2] = true
    if body == "" then
        ngx_arg[1] = nil
    end
end


-- Drops what the body filter holds of a response that is another one's now,
-- and whatever still comes.
function _M.drop_body()
    end_body("")
end


-- Ends the response in the body filter, and its connection with it: the client
-- must not take what it has for the whole.
function _M.cut_off(why)
    error("[proxy-wasm] the response is cut off: " .. why, 0)
end


local function has_body(status)
    return status ~= 204 and status ~= 304
end


-- With the plugin's reason where lua-nginx-module can (0.10.28). Not where it
-- must see that there is no body: it looks at the status only without one.
local function set_status(e)
    local status = e.status
    if set_reason and e.text.len > 0 and has_body(status) then
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


-- By these nginx makes a 304 or a 412 of a 200 that it takes for a file's.
local CONDITIONS = { "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since" }


local function local_response(e)
    if ngx_get_phase() == "header_filter" then
        replace_response(e)
        return
    end
    local body = to_string(e.body)
    set_status(e)
    if e.status == 200 then
        for i = 1, #CONDITIONS do
            ngx_req.clear_header(CONDITIONS[i])
        end
    end
    if has_body(e.status) then
        -- Not by a field: an underscore may stay one.
        ngx.header["Content-Length"] = #body
    end
    -- Else nginx would give its default_type also to nothing.
    ngx.header["Content-Type"] = nil
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


-- nginx's page, or that of `error_page`.
local function exit(e)
    local status = e.status
    -- As in a local response.
    _M.drain()
    return ngx_exit(status)
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
    if e.status == 1 then
        return end_body(body)
    end
    ngx_arg[1] = body ~= "" and body or nil
end


local function resume(e)
    local sema = waiting[e.serial]
    if sema then
        -- Nobody else posts: when it has woken, nothing is left in it.
        waiting[e.serial] = nil
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
    callout.start(e.callout, e.status, e.serial)
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
    [lib.RPW_EFFECT_EXIT]              = exit,
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
    if kind == 0 then
        return
    end
    -- Mostly it is one. The first is not done in the loop, as LuaJIT compiles no
    -- way into one.
    local more = effect[0].more
    perform[kind](effect[0])
    if more == 0 then
        return
    end
    kind = lib.rpw_next_effect(root, r, effect)
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
        -- Perhaps it waits for a callout that has no timer yet, or for a tick of
        -- a worker that exits; and whoever wakes it may do so by another copy of
        -- this file, where the code cache is off: so it looks for itself, too.
        if callout.look() then
            foreign.end_request()
        end
        if ngx_exiting() then
            clock.arm(0)
        end
        local patience = min(left, RETRY)
        local ok, err = sema:wait(patience)
        local posted = not waiting[serial]
        waiting[serial] = nil
        if (ok or not posted) and #spare < MAX_SPARE then
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


-- Does one thing of what a call left to do. Gives what the library says then,
-- and until when the request waits, if it does.
local function settle_one(root, r, rc, deadline)
    if band(rc, EFFECTS) ~= 0 then
        pull(root, r)
    else
        if not deadline then
            -- nginx's clock has stood while the plugin, and what came before it in
            -- this turn of the event loop, worked: none of it is waiting.
            ngx_update_time()
            deadline = ngx_now() + lib.rpw_pause_timeout(root) / 1000
        end
        wait(root, r, deadline)
    end
    rc = lib.rpw_state(root, r)
    return rc, deadline
end


-- Does what a call left to do, and waits while the request is paused. Gives
-- what the library says then: a negative number, or flags that are neither
-- `RPW_EFFECTS` nor `RPW_PAUSED`.
function _M.settle(root, r, rc)
    local deadline
    rc = run(rc)
    -- Mostly it is a callout and the wait for it; as in `pull`.
    if rc > 0 and band(rc, TO_DO) ~= 0 then
        rc, deadline = settle_one(root, r, rc, nil)
    end
    if rc > 0 and band(rc, TO_DO) ~= 0 then
        rc, deadline = settle_one(root, r, rc, deadline)
    end
    while rc > 0 and band(rc, TO_DO) ~= 0 do
        rc, deadline = settle_one(root, r, rc, deadline)
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
