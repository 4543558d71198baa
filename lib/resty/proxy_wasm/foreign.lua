-- Lua functions that plugins may call. The library never calls Lua: a call that
-- meets such a function waits, until its result is given to the library.

local ffi = require "ffi"
local library = require "resty.proxy_wasm.lib"


local type         = type
local pcall        = pcall
local tostring     = tostring
local ngx          = ngx
local ngx_log      = ngx and ngx.log
local ERR          = ngx and ngx.ERR

-- Lua's own functions: ngx_lua puts others in their place, which hand what
-- yields to nginx.
local function own(name)
    return coroutine["_" .. name] or coroutine[name]
end

local co_create = own("create")
local co_resume = own("resume")
local co_status = own("status")

local lib       = library.lib
local to_string = library.to_string

local FOREIGN    = lib.RPW_FOREIGN
local OK         = lib.RPW_ANSWER_OK
local UNKNOWN    = lib.RPW_ANSWER_UNKNOWN
local FAILED     = lib.RPW_ANSWER_FAILED
local MISBEHAVED = lib.RPW_ANSWER_MISBEHAVED

-- Phases that nginx can end, and must where something yielded in the middle of
-- a call: what it waits for would come to nobody.
local CAN_END = {
    server_rewrite = true,
    rewrite = true,
    access = true,
    content = true,
    timer = true,
}


local _M = {}

local functions = {}

local question = ffi.new("rpw_question")


-- Makes a function callable from plugins, or with nil no longer so.
function _M.register(name, fn)
    functions[name] = fn
    lib.rpw_foreign_register(name, #name, fn and 1 or 0)
end


local function headers_sent(phase)
    return CAN_END[phase] and phase ~= "timer" and ngx.headers_sent
end


-- Calls a function in a coroutine of its own, which a yield cannot leave.
-- Gives a status, and the result or what is wrong.
local function call(name, argument)
    local fn = functions[name]
    if not fn then
        return UNKNOWN, ""
    end
    local phase = ngx and ngx.get_phase()
    local sent = headers_sent(phase)
    local thread = co_create(fn)
    local ok, result, why = co_resume(thread, argument)
    if co_status(thread) ~= "dead" then
        return MISBEHAVED, "yielded, which it must not"
    end
    if headers_sent(phase) ~= sent then
        return MISBEHAVED, "sent the response, which it must not"
    end
    if not ok then
        return FAILED, "failed: " .. tostring(result)
    end
    if result == nil then
        if why ~= nil then
            return FAILED, "failed: " .. tostring(why)
        end
        return OK, ""
    end
    if type(result) ~= "string" then
        return FAILED, "gave a " .. type(result) .. " where a string belongs"
    end
    return OK, result
end


-- Calls the function in question. Gives a status and a result.
local function serve()
    local name = to_string(question.name)
    local status, result = call(name, to_string(question.argument))
    if status == FAILED or status == MISBEHAVED then
        result = "the foreign function \"" .. name .. "\" " .. result
        if ngx_log then
            ngx_log(ERR, "[proxy-wasm] ", result)
        end
    end
    return status, result
end


local NO_RESULT = "there is no memory for a foreign function"


local function complain(why)
    if ngx_log then
        ngx_log(ERR, "[proxy-wasm] a foreign function cannot be called: ", tostring(why))
    end
end


-- Goes on with what a call of the library gave, until it no longer waits for a
-- function; gives what it gives then. Whatever fails here, were it for memory,
-- the call gets an answer: without one its plugin would be busy for ever.
function _M.run(rc)
    while rc == FOREIGN do
        -- Neither of these takes memory.
        lib.rpw_foreign_question(question)
        local number = question.number
        local ok, status, result = pcall(serve)
        if ok then
            rc = lib.rpw_foreign_answer(number, status, result, #result)
        else
            pcall(complain, status)
            rc = lib.rpw_foreign_answer(number, FAILED, NO_RESULT, #NO_RESULT)
        end
    end
    return rc
end


-- Ends the request, or the timer, in which a function misbehaved, where nginx
-- can. Does not return then.
function _M.end_request()
    if CAN_END[ngx.get_phase()] then
        ngx.exit(500)
    end
end


return _M
