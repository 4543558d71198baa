-- Ticks and the news of shared queues: one timer for all plugins of the
-- worker, as early as the first of them is due.

local library = require "resty.proxy_wasm.lib"
local foreign = require "resty.proxy_wasm.foreign"
local alarm = require "resty.proxy_wasm.alarm"


local min          = math.min
local huge         = math.huge
local pcall        = pcall
local ngx          = ngx
local ngx_log      = ngx.log
local ngx_sleep    = ngx.sleep
local ngx_exiting  = ngx.worker.exiting
local ERR          = ngx.ERR

local lib = library.lib
local run = foreign.run

local MISBEHAVED = lib.RPW_MISBEHAVED


-- Milliseconds between two looks, in a worker that exits, at whether it may.
local LOOK_EXITING = 50


local _M = {}

local clock
local drain


function _M.set_drain(fn)
    drain = fn
end


-- In a worker that exits nothing is due any more but what a paused request may
-- wait for: "postponed until a tick". nginx starts no later timers then.
local function run_while_paused()
    clock.good_until = huge
    local ms = 1
    while ms > 0 and lib.rpw_paused() > 0 do
        ms = run(lib.rpw_run_timers())
        local ok, err = pcall(drain)
        if not ok then
            ngx_log(ERR, "[proxy-wasm] ", err)
        end
        if ms > 0 then
            ngx_sleep(min(ms, LOOK_EXITING) / 1000)
        end
    end
    clock.good_until = 0
    return ms
end


local function ring()
    local ms
    if ngx_exiting() then
        ms = run_while_paused()
    else
        ms = run(lib.rpw_run_timers())
        -- First: an error in what is left to do must not end the ticks.
        if ms > 0 then
            _M.arm(ms)
        end
    end
    if ms == MISBEHAVED then
        _M.arm(1)
    end
    drain()
    if ms == MISBEHAVED then
        foreign.end_request()
    end
end


clock = alarm.new("ticks and queues", ring)


-- Makes sure that the timers run in so many milliseconds, or earlier; in a
-- worker that exits only while a request is paused.
function _M.arm(ms)
    if ngx_exiting() and lib.rpw_paused() == 0 then
        return
    end
    -- Ticks and queues keep their Lua VM.
    alarm.arm(clock, ms / 1000, true)
end


return _M
