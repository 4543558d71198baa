-- Light threads outside of requests: what waits for the network runs in them,
-- in every phase, and outlives the request that asked for it. nginx runs 256
-- timers at a time, which are not ours alone, so one timer runs them all.

local semaphore = require "ngx.semaphore"
local library = require "resty.proxy_wasm.lib"


local error        = error
local next         = next
local pcall        = pcall
local ngx          = ngx
local ngx_log      = ngx.log
local ngx_now      = ngx.now
local ngx_exit     = ngx.exit
local ngx_exiting  = ngx.worker.exiting
local ngx_timer_at = ngx.timer.at
local ngx_spawn    = ngx.thread.spawn
local ERR          = ngx.ERR

local lib = library.lib


-- Jobs that one timer takes. nginx gives back what cosockets and threads take
-- from a timer's memory only when the timer ends, and on a busy worker it would
-- never end: after so many another one goes on.
local TAKE = 500

-- When so many still have a slow job, the last one takes on.
local MAX_TIMERS = 64

-- Seconds after which a timer that did not begin is given up: nginx drops
-- timers when too many run.
local BEGIN_WITHIN = 1

-- Seconds between two looks at whether the worker exits, and those that jobs
-- get then.
local LOOK = 0.25
local GRACE = 0.7

-- Seconds that a thread without a job waits at a time.
local IDLE = 10


local _M = {}

-- Jobs that no thread has taken yet, first in, first out.
local queue, first, last = {}, 1, 0

-- The timer that takes jobs, if there is one, and the number of all, and of the
-- jobs in them.
local current
local timers, running = 0, 0

-- When it was first seen that the worker exits.
local exit_seen


local function take()
    if first > last then
        return nil
    end
    local job = queue[first]
    queue[first] = nil
    first = first + 1
    return job
end


local function perform(timer, job)
    local ok, misbehaved = pcall(job.run, job.subject)
    if not ok then
        ngx_log(ERR, "[proxy-wasm] callout: ", misbehaved)
    end
    timer.jobs[job] = nil
    timer.busy = timer.busy - 1
    running = running - 1
    if timer.busy == 0 and (current ~= timer or exit_seen) then
        timer.wake:post(1)
    end
    if ok and misbehaved then
        -- Whatever nginx has begun for it ends with a thread that fails.
        error("a foreign function misbehaved", 0)
    end
end


-- The next job for a timer, or nil.
local function take_for(timer)
    if current ~= timer then
        return nil
    end
    local job = take()
    if job then
        timer.taken = timer.taken + 1
        timer.busy = timer.busy + 1
        timer.jobs[job] = true
        running = running + 1
        if timer.taken >= TAKE and timers < MAX_TIMERS then
            -- The next job makes another one.
            current = nil
        end
    end
    return job
end


-- A light thread: one job after another, as making one costs more than a job.
local function thread(timer, job)
    while true do
        while job do
            perform(timer, job)
            job = take_for(timer)
        end
        if current ~= timer then
            return
        end
        local ok, err = timer.idle:wait(IDLE)
        if not ok and err ~= "timeout" then
            error(err)
        end
        job = take_for(timer)
    end
end


local function take_all(timer)
    local job = take_for(timer)
    while job do
        ngx_spawn(thread, timer, job)
        job = take_for(timer)
    end
end


-- True when the worker exits, and no request waits any more for what a job may
-- bring.
local function must_end()
    if not ngx_exiting() then
        return false
    end
    exit_seen = exit_seen or ngx_now()
    return ngx_now() - exit_seen >= GRACE and lib.rpw_paused() == 0
end


-- Runs jobs until none has come for a while; true when some were left as the
-- worker exits.
local function serve(timer)
    while true do
        take_all(timer)
        if timer.busy == 0 and (current ~= timer or ngx_exiting()) then
            return false
        end
        if must_end() then
            return true
        end
        local ok, err = timer.wake:wait(LOOK)
        if not ok and err ~= "timeout" then
            error(err)
        end
        if not ok and timer.busy == 0 and first > last then
            return false
        end
    end
end


-- Ends jobs that the worker must not wait for.
local function give_up(timer)
    for job in next, timer.jobs do
        timer.busy = timer.busy - 1
        running = running - 1
        local ok, err = pcall(job.give_up, job.subject, "the worker exits")
        if not ok then
            ngx_log(ERR, "[proxy-wasm] callout: ", err)
        end
    end
    -- Whatever was asked for meanwhile has nobody either.
    queue, first, last = {}, 1, 0
    -- With its threads.
    ngx_exit(0)
end


local function dispatch(_, timer)
    timer.begun = true
    timers = timers + 1
    local ok, must_give_up = pcall(serve, timer)
    if not ok then
        ngx_log(ERR, "[proxy-wasm] callouts: ", must_give_up)
    end
    -- Nothing yields from where the queue was seen empty to here: no job is
    -- left to a timer that is over.
    timers = timers - 1
    if current == timer then
        current = nil
    end
    -- The threads that wait for a job end.
    local waiting = -timer.idle:count()
    if waiting > 0 then
        timer.idle:post(waiting)
    end
    if ok and must_give_up then
        give_up(timer)
    end
end


-- Sees to it that a timer takes what is in the queue. When nginx gives none,
-- the jobs wait, and the next call asks again: false.
function _M.go_on()
    if first > last then
        return true
    end
    if current and current.begun then
        -- A thread that waits, or a new one.
        local sema = current.idle:count() < 0 and current.idle or current.wake
        sema:post(1)
        return true
    end
    if current and ngx_now() - current.asked < BEGIN_WITHIN then
        return false
    end
    current = {
        -- Wakes the timer itself, and threads that have no job.
        wake = semaphore.new(0),
        idle = semaphore.new(0),
        asked = ngx_now(),
        begun = false,
        taken = 0,
        busy = 0,
        jobs = {},
    }
    local ok, err = ngx_timer_at(0, dispatch, current)
    if not ok then
        current = nil
        ngx_log(ERR, "[proxy-wasm] callouts must wait, there is no timer: ", err)
    end
    return false
end


-- Has `run(subject)` run in a light thread, which may yield as it likes. It
-- gives true when a foreign function misbehaved in it. Where the worker exits
-- before it is done, `give_up(subject, why)` is called, and must not yield.
function _M.start(run, give_up_one, subject)
    last = last + 1
    queue[last] = { run = run, give_up = give_up_one, subject = subject }
    _M.go_on()
end


-- Jobs that wait for a thread, jobs that have one, and timers.
function _M.count()
    return last - first + 1, running, timers
end


return _M
