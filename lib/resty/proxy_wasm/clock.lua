-- Ticks and the news of shared queues: one timer for all plugins of the
-- worker, as early as the first of them is due.

local library = require "resty.proxy_wasm.lib"
local foreign = require "resty.proxy_wasm.foreign"


local ngx          = ngx
local ngx_log      = ngx.log
local ngx_now      = ngx.now
local ngx_timer_at = ngx.timer.at
local ngx_timer_every = ngx.timer.every
local ngx_exiting  = ngx.worker.exiting
local ERR          = ngx.ERR

local lib = library.lib
local run = foreign.run

local MISBEHAVED = lib.RPW_MISBEHAVED


-- Seconds between two looks at whether nginx has dropped the timer, as it does
-- while too many run; and seconds that a timer may be late.
local LOOK = 1
local LATE = 0.5


local _M = {}

local watched = false

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


local function look(premature)
    if not premature and due and ngx_now() > due + LATE then
        _M.arm(1)
    end
end


-- From the first tick or queue on.
local function watch()
    local ok, err = ngx_timer_every(LOOK, look)
    if not ok then
        ngx_log(ERR, "[proxy-wasm] cannot watch the timer of ticks and queues: ", err)
    end
    watched = ok
end


-- Makes sure that the timers run in so many milliseconds, or earlier.
function _M.arm(ms)
    local now = ngx_now()
    local at = now + ms / 1000
    if (due and due <= at and now <= due + LATE) or ngx_exiting() then
        return
    end
    if not watched then
        watch()
    end
    generation = generation + 1
    due = at
    local ok, err = ngx_timer_at(ms / 1000, fire, generation)
    if not ok then
        -- `look` asks again.
        ngx_log(ERR, "[proxy-wasm] cannot start the timer of ticks and queues: ", err)
    end
end


return _M
