-- Timers that come although nginx drops some, as it does while too many run or
-- wait, and says so to nobody but the log. One more timer, which nginx starts
-- anew by itself, looks after all of them.

local error        = error
local floor        = math.floor
local huge         = math.huge
local log          = math.log
local max          = math.max
local min          = math.min
local pcall        = pcall
local ngx          = ngx
local ngx_log      = ngx.log
local ngx_now      = ngx.now
local ngx_timer_at = ngx.timer.at
local ngx_timer_every = ngx.timer.every
local ngx_start_time = ngx.req.start_time
local ngx_get_phase = ngx.get_phase
local ngx_exiting  = ngx.worker.exiting
local ERR          = ngx.ERR


-- Seconds between two looks, and seconds that a timer may be late.
local LOOK = 0.25
local LATE = 0.1

-- What nginx's timers tell apart, in seconds. One of less runs at once, and a
-- timer that starts such a one again and again stops nginx's clock.
local EARLY = 0.001

-- Timers of one alarm from which on they are made few.
local MANY = 8


local _M = {}

local alarms = {}

-- By a timer for good, or by one for now.
local watched, watched_now = false, false
local loaded = ngx_now()


-- An alarm for `what`, as the log calls it: when its time has come, `ring` runs
-- in a timer, and may yield. `look`, if there is one, runs with every look at
-- whether a timer was dropped; it must not yield.
function _M.new(what, ring, look)
    local alarm = {
        what = what,
        ring = ring,
        look = look,
        -- Until then a timer is on its way; 0: it is not to ring; huge: none is
        -- needed, as `ring` stays.
        good_until = 0,
        -- What it was set to.
        seconds = 0,
        -- nginx's timers for it, the next one last: none can be taken back, and
        -- nginx has 1024 for all. So one that is on its way comes first, and then
        -- sees what is left to wait for.
        timers = {},
    }
    alarms[#alarms + 1] = alarm
    return alarm
end


local fire


local function forget_last(timers)
    local i = #timers
    timers[i].is_known = false
    timers[i] = nil
end


-- What nginx has dropped. Gives how many are left.
local function forget_lost(timers, now)
    while timers[1] and timers[#timers].at + LATE < now do
        forget_last(timers)
    end
    return #timers
end


-- Has a timer come in so many seconds, or earlier.
local function start(alarm, seconds)
    local now, timers = ngx_now(), alarm.timers
    local count = forget_lost(timers, now)
    if count > 0 and timers[count].at <= now + seconds then
        return
    end
    local timer = { at = now + seconds, good_until = alarm.good_until, is_known = true }
    if count >= MANY and seconds > 0 then
        -- No two on their way have waits of one power: so there are never many,
        -- whatever the times that are asked for.
        seconds = max(2 ^ floor(log(seconds) / log(2)), EARLY)
        timer.at, timer.good_until = now + seconds, 0
    end
    local ok, err = ngx_timer_at(seconds, fire, alarm, timer)
    if ok then
        timers[count + 1] = timer
    else
        timer.is_known = false
        -- Asked for again by `look`, or by who needs it next.
        ngx_log(ERR, "[proxy-wasm] cannot start the timer for ", alarm.what, ": ", err)
    end
end


function fire(premature, alarm, timer)
    local timers, good_until = alarm.timers, alarm.good_until
    -- In a worker that exits nginx calls them in any order.
    while timer.is_known do
        forget_last(timers)
    end
    if good_until == 0 or good_until == huge then
        return
    end
    if timer.good_until ~= good_until and not (premature or ngx_exiting()) then
        -- No longer than at first, whoever has set the clock back since.
        local left = min(good_until - LATE - ngx_now(), alarm.seconds)
        if left > EARLY then
            return start(alarm, left)
        end
    end
    alarm.good_until = 0
    alarm.ring()
end


local function set(alarm, seconds)
    alarm.seconds = seconds
    alarm.good_until = ngx_now() + seconds + LATE
    start(alarm, seconds)
end


-- Gives the error of a `look` that failed: no other goes without for it.
local function look()
    local now, failed = ngx_now(), nil
    for i = 1, #alarms do
        local good_until = alarms[i].good_until
        if good_until > 0 and good_until < now then
            set(alarms[i], 0)
        end
    end
    for i = 1, #alarms do
        if alarms[i].look then
            local ok, err = pcall(alarms[i].look)
            if not ok then
                if failed then
                    ngx_log(ERR, "[proxy-wasm] ", failed)
                end
                failed = err
            end
        end
    end
    return failed
end


-- A timer that fails ends what `look` has begun, too.
local function look_always(premature)
    local failed = not premature and look()
    if failed then
        error(failed, 0)
    end
end


-- True in a VM that stays. One that is for one request (`lua_code_cache off`) is
-- not older than that, and timers do not tell.
local function stays()
    local phase = ngx_get_phase()
    return phase == "init_worker" or (phase ~= "timer" and ngx_start_time() > loaded)
end


local watch_now


local function look_now(premature)
    watched_now = false
    if premature then
        return
    end
    local failed = look()
    if not watched then
        watch_now()
    end
    if failed then
        error(failed, 0)
    end
end


-- For as long as there is an alarm that is to ring. In place of this timer nginx
-- starts no other: the alarms are lost only where it drops this one, too.
function watch_now()
    if watched_now then
        return
    end
    for i = 1, #alarms do
        local good_until = alarms[i].good_until
        if good_until > 0 and good_until < huge then
            watched_now = ngx_timer_at(LOOK, look_now)
            return
        end
    end
end


-- Nothing stops the timer for good, and it keeps its Lua VM: none in a VM that may
-- be for one request.
local function watch(kept)
    if ngx_exiting() then
        return
    end
    if not (kept or stays()) then
        return watch_now()
    end
    local ok, err = ngx_timer_every(LOOK, look_always)
    if not ok then
        ngx_log(ERR, "[proxy-wasm] cannot start the timer that looks after others: ", err)
    end
    watched = ok
end


-- Has an alarm ring in so many seconds, or earlier, and at once where the worker
-- exits, as nginx starts no later timers then. `kept`: something keeps the Lua VM
-- anyway.
function _M.arm(alarm, seconds, kept)
    local now, good_until = ngx_now(), alarm.good_until
    if good_until == huge or (good_until >= now and good_until <= now + seconds + LATE) then
        return
    end
    set(alarm, ngx_exiting() and 0 or seconds)
    -- Not before: where nginx has one timer left, that is the one.
    if not watched then
        watch(kept)
    end
end


return _M
