-- Ticks and the news of shared queues: one timer for all plugins of the
-- worker, as early as the first of them is due.

local library = require "resty.proxy_wasm.lib"
local foreign = require "resty.proxy_wasm.foreign"


local ngx          = ngx
local ngx_log      = ngx.log
local ngx_now      = ngx.now
local ngx_timer_at = ngx.timer.at
local ngx_exiting  = ngx.worker.exiting
local ERR          = ngx.ERR

local lib = library.lib
local run = foreign.run

local MISBEHAVED = lib.RPW_MISBEHAVED


local _M = {}

-- When the timer fires, and which one is meant: an older one that fires later
-- does nothing.
local due, generation = nil, 0

local drain


function _M.set_drain(fn)
    drain = fn
end


local function fire(premature, mine)
    if premature or mine ~= generation then
        return
    end
    due = nil
    local ms = run(lib.rpw_run_timers())
    -- First: an error in what is left to do must not end the ticks.
    if ms ~= 0 then
        _M.arm(ms == MISBEHAVED and 1 or ms)
    end
    drain()
    if ms == MISBEHAVED then
        foreign.end_request()
    end
end


-- Makes sure that the timers run in so many milliseconds, or earlier.
function _M.arm(ms)
    local at = ngx_now() + ms / 1000
    if (due and due <= at) or ngx_exiting() then
        return
    end
    generation = generation + 1
    local ok, err = ngx_timer_at(ms / 1000, fire, generation)
    if not ok then
        due = nil
        ngx_log(ERR, "[proxy-wasm] cannot start the timer of ticks and queues: ", err)
        return
    end
    due = at
end


return _M
