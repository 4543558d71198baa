-- Ends the contexts of requests that ended without a log phase. The timer
-- exists only while there are http contexts.

local library = require "resty.proxy_wasm.lib"
local foreign = require "resty.proxy_wasm.foreign"
local effects = require "resty.proxy_wasm.effects"


local huge         = math.huge
local pcall        = pcall
local ngx          = ngx
local ngx_log      = ngx.log
local ngx_now      = ngx.now
local ngx_sleep    = ngx.sleep
local ngx_timer_at = ngx.timer.at
local ngx_exiting  = ngx.worker.exiting
local ERR          = ngx.ERR

local lib   = library.lib
local drain = effects.drain
local run   = foreign.run

local MISBEHAVED = lib.RPW_MISBEHAVED

-- Seconds.
local PERIOD = 1
local PERIOD_EXITING = 0.05

-- Seconds after which a timer that did not come is given up: nginx drops timers
-- when too many run.
local LATE = 1


local _M = {
    -- Until then a timer runs, or is about to; 0: there is none.
    good_until = 0,
}


-- An error in what is left to do must not end the sweeping.
local function settle()
    local ok, err = pcall(drain)
    if not ok then
        ngx_log(ERR, "[proxy-wasm] ", err)
    end
end


local function sweep()
    local alive = run(lib.rpw_sweep())
    settle()
    -- An exiting worker starts no timers; its last requests keep it anyway.
    if alive > 0 and ngx_exiting() then
        _M.good_until = huge
    end
    while alive > 0 and ngx_exiting() do
        ngx_sleep(PERIOD_EXITING)
        alive = run(lib.rpw_sweep())
        settle()
    end
    _M.good_until = 0
    if alive ~= 0 then
        _M.start()
    end
    if alive == MISBEHAVED then
        foreign.end_request()
    end
end


function _M.start()
    local ok, err = ngx_timer_at(ngx_exiting() and 0 or PERIOD, sweep)
    if not ok then
        ngx_log(ERR, "[proxy-wasm] cannot start the timer that ends contexts: ", err)
        return
    end
    _M.good_until = ngx_now() + PERIOD + LATE
end


return _M
