-- Lua functions that plugins may call. The library never calls Lua: a call that
-- meets such a function waits, until its result is given to the library.

local ffi = require "ffi"
local library = require "resty.proxy_wasm.lib"


local type         = type
local pcall        = pcall
local tostring     = tostring
local ngx          = ngx
local ngx_log      = ngx and ngx.log
local ffi_string   = ffi.string
local ERR          = ngx and ngx.ERR

-- Lua's own functions: ngx_lua puts others in their place, which hand what
-- yields to nginx.
local function own(name)
    return coroutine["_" .. name] or coroutine[name]
end

local co_create = own("create")
local co_resume = own("resume")
local co_yield  = own("yield")

-- A thread's request, by which ngx_lua's functions know it: set when a thread
-- is made, and else only by this. Where it is missing no thread is used again.
local has_exdata, exdata = pcall(require, "thread.exdata")

local lib = library.lib
local foreign_answer = lib.rpw_foreign_answer

local FOREIGN    = lib.RPW_FOREIGN
local OK         = lib.RPW_ANSWER_OK
local UNKNOWN    = lib.RPW_ANSWER_UNKNOWN
local FAILED     = lib.RPW_ANSWER_FAILED
local MISBEHAVED = lib.RPW_ANSWER_MISBEHAVED

-- ngx.headers_sent, which throws where there is no response: 1, 0, or less. Nothing
-- is sent where there is no nginx.
local get_request, headers_sent
if ngx and pcall(require, "resty.core.misc") then
    get_request = require("resty.core.base").get_request
    headers_sent = ffi.C.ngx_http_lua_ffi_headers_sent
end

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

-- By the numbers that the library has given to their names.
local functions, names = {}, {}

-- The library's. What calls it while a function runs fills it, too: its fields are
-- read before.
local question = lib.rpw_foreign_question()


-- Makes a function callable from plugins, or with nil no longer so.
function _M.register(name, fn)
    local number = lib.rpw_foreign_register(name, #name, fn and 1 or 0)
    functions[number], names[number] = fn, name
end


-- What a coroutine gives that has called its function: nothing that a function
-- could give.
local DONE = {}

-- Coroutines that wait for the next function: making one costs more than all
-- the rest. A function that calls a plugin needs a second one. The first `free`
-- of them are there; for all that are not, in use or gone, there is room, since
-- giving one back must not take memory.
local idle, free, total = {}, 0, 0


-- Calls the functions in question, each when it is resumed with it, and with the
-- request where that may be another one. `sent` is what `headers_sent` gave.
local function work(fn, request, sent)
    local current
    while true do
        if request and request ~= current then
            current = request
            if has_exdata then
                exdata(request)
            end
        end
        local size = question.argument_len
        local result, why = fn(size > 0 and ffi_string(question.argument, size) or "")
        fn, request, sent = co_yield(DONE, result, why, sent ~= nil and headers_sent(current) ~= sent)
    end
end


local function make_thread()
    local thread = co_create(work)
    idle[total + 1] = false
    total = total + 1
    return thread
end


-- What `work` wants to know, and is the same for all functions of a call.
local function look_around()
    local request = get_request and get_request()
    return request and headers_sent(request), request
end


-- A status, and the result or what is wrong, of a function that gave no string,
-- or did what none may do. `done` is what its coroutine gave: an error where it
-- is not `ok`, and `DONE` where it did not yield.
local function judge(sent, request, ok, done, result, why)
    if ok and done ~= DONE then
        return MISBEHAVED, "yielded, which it must not"
    end
    if sent ~= nil and headers_sent(request) ~= sent then
        return MISBEHAVED, "sent the response, which it must not"
    end
    if not ok then
        return FAILED, "failed: " .. tostring(done)
    end
    if result ~= nil then
        return FAILED, "gave a " .. type(result) .. " where a string belongs"
    end
    if why ~= nil then
        return FAILED, "failed: " .. tostring(why)
    end
    return OK, ""
end


local function judge_and_log(number, ...)
    local status, result = judge(...)
    if status ~= OK then
        result = "the foreign function \"" .. names[number] .. "\" " .. result
        if ngx_log then
            ngx_log(ERR, "[proxy-wasm] ", result)
        end
    end
    return status, result
end


local NO_RESULT = "there is no memory for a foreign function"


local function give_up(why)
    if ngx_log then
        ngx_log(ERR, "[proxy-wasm] a foreign function cannot be called: ", tostring(why))
    end
    return FAILED, NO_RESULT
end


-- Does what may fail, were it for memory. Gives a status and a result.
local function try(what, ...)
    local ok, status, result = pcall(what, ...)
    if ok then
        return status, result
    end
    pcall(give_up, status)
    return FAILED, NO_RESULT
end


-- Goes on with a call of the library that waits for a function, until it no
-- longer does, and gives what it gives then. The call must get an answer whatever
-- happens: without one its plugin would be busy for ever. So what may fail is
-- done in the coroutine, or in a `pcall`. All of it in one is no way: LuaJIT goes
-- on with a trace behind a coroutine, but not out of a `pcall`.
local function answer_all()
    local number = question.number
    local looked, sent, around = pcall(look_around)
    local thread, request, rc
    repeat
        local callee = question.callee
        local fn = functions[callee]
        local status, result = UNKNOWN, ""
        local wrong = not looked and sent
        if fn and not thread and not wrong then
            request = around
            if free > 0 then
                thread, free = idle[free], free - 1
            else
                local made, new = pcall(make_thread)
                thread, wrong = made and new, not made and new
            end
        end
        if fn and wrong then
            status, result = try(give_up, wrong)
        elseif fn then
            local ok, done, given, why, has_sent = co_resume(thread, fn, request, sent)
            request = nil
            if done == DONE and not has_sent and type(given) == "string" then
                status, result = OK, given
            else
                status, result = try(judge_and_log, callee, sent, around, ok, done, given, why)
                if done ~= DONE then
                    -- It is over, or stands where nobody will go on with it.
                    thread, total = nil, total - 1
                end
            end
        end
        -- It takes no memory.
        rc = foreign_answer(number, status, result, #result)
    until rc ~= FOREIGN
    if thread then
        if has_exdata then
            free = free + 1
            idle[free] = thread
        else
            total = total - 1
        end
    end
    return rc
end


-- Gives what a call of the library gives: `rc`, where it waits for no function.
function _M.run(rc)
    if rc ~= FOREIGN then
        return rc
    end
    return answer_all()
end


-- Ends the request, or the timer, in which a function misbehaved, where nginx
-- can. Does not return then.
function _M.end_request()
    if CAN_END[ngx.get_phase()] then
        ngx.exit(500)
    end
end


return _M
