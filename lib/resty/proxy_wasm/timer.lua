-- Ends the contexts of requests that ended without a log phase. Its timer exists
-- only while there are http contexts; the one of alarm.lua that watches it stays.

local library = require "resty.proxy_wasm.lib"
local foreign = require "resty.proxy_wasm.foreign"
local alarm = require "resty.proxy_wasm.alarm"
local dispatcher = require "resty.proxy_wasm.dispatcher"
local effects = require "resty.proxy_wasm.effects"


local min          = math.min
local huge         = math.huge
local pcall        = pcall
local ngx          = ngx
local ngx_log      = ngx.log
local ngx_sleep    = ngx.sleep
local ngx_exiting  = ngx.worker.exiting
local ERR          = ngx.ERR

local lib   = library.lib
local drain = effects.drain
local run   = foreign.run

local MISBEHAVED = lib.RPW_MISBEHAVED

-- Seconds. An end comes within a second, also where nginx drops the timer once.
local PERIOD = 0.5
local PERIOD_EXITING = 0.05


local _M = {}

local sweeping


-- An error in what is left to do must not end the sweeping.
local function settle()
    local ok, err = pcall(drain)
    if not ok then
        ngx_log(ERR, "[proxy-wasm] ", err)
    end
end


-- Seconds until the next sweep: there is an earlier one where much is left to end.
local function until_next(period)
    local ms = lib.rpw_sweep_again()
    return ms > 0 and min(ms / 1000, PERIOD) or period
end


-- An exiting worker starts no timers; its last requests keep it anyway.
local function sweep_while_exiting(alive)
    sweeping.good_until = huge
    while alive > 0 do
        ngx_sleep(until_next(PERIOD_EXITING))
        local before = alive
        alive = run(lib.rpw_sweep())
        if alive < before then
            dispatcher.give_time()
        end
        settle()
    end
    sweeping.good_until = 0
    return alive
end


local function sweep()
    local alive = run(lib.rpw_sweep())
    settle()
    if alive > 0 and ngx_exiting() then
        alive = sweep_while_exiting(alive)
    end
    if alive ~= 0 then
        alarm.arm(sweeping, until_next(PERIOD))
    end
    if alive == MISBEHAVED then
        foreign.end_request()
    end
end


sweeping = alarm.new("the end of contexts", sweep)

-- Good until then.
_M.alarm = sweeping


-- In a request.
function _M.start()
    alarm.arm(sweeping, PERIOD)
end


return _M
