-- Light threads outside of requests: what waits for the network runs in them,
-- in every phase, and outlives the request that asked for it. nginx runs 256
-- timers at a time, which are not ours alone, so one timer runs them all.

local semaphore = require "ngx.semaphore"
local library = require "resty.proxy_wasm.lib"
local alarm = require "resty.proxy_wasm.alarm"


local max          = math.max
local min          = math.min
local huge         = math.huge
local error        = error
local next         = next
local pcall        = pcall
local ngx          = ngx
local ngx_log      = ngx.log
local ngx_now      = ngx.now
local ngx_exit     = ngx.exit
local ngx_sleep    = ngx.sleep
local ngx_exiting  = ngx.worker.exiting
local ngx_get_phase = ngx.get_phase
local ngx_spawn    = ngx.thread.spawn
local ngx_kill     = ngx.thread.kill
local co_running   = coroutine.running
local ERR          = ngx.ERR

local lib = library.lib


-- Jobs that one timer takes. nginx gives back what cosockets and threads take
-- from a timer's memory only when the timer ends, and on a busy worker it would
-- never end: after so many another one goes on.
local TAKE = 500

-- When so many still have a slow job, the last one takes on.
local MAX_TIMERS = lib.RPW_MAX_CALLOUT_TIMERS

-- Seconds between two looks at whether the worker exits, and those that jobs get
-- then: together less than one.
local LOOK = 0.25
local GRACE = 0.6
local SHORTEST = 0.002

-- Seconds that a job may be late. A cosocket counts its time anew with each byte
-- that comes, be it of a TLS record that is not whole yet, or that goes; and nginx
-- leaves a timer as it is that would be moved by less than 0.3.
local LATE = 0.03

-- Seconds from one look at which jobs are late to the next.
local STEP = 0.01

-- Seconds that a thread without a job waits at a time.
local IDLE = 10


local _M = {}

-- Jobs that no thread has taken yet, first in, first out.
local queue, first, last = {}, 1, 0

-- The timer that takes jobs, if there is one, and the number of all, and of the
-- jobs in them.
local current
local timers, running = 0, 0

-- Once it was seen that the worker exits: until when jobs have time that no
-- request waits for.
local time_until

-- When the queue was last looked through.
local looked_at = 0

-- Has a timer begin.
local beginning


local function take()
    if first > last then
        return nil
    end
    local job = queue[first]
    queue[first] = nil
    first = first + 1
    return job
end


-- For kinds of jobs that have nothing else to do in the end.
local function finish(_, ok, misbehaved)
    if not ok then
        ngx_log(ERR, "[proxy-wasm] callout: ", misbehaved)
    end
    return ok and misbehaved
end


local function perform(timer, job)
    local kind = job.kind
    local ok, result, err = pcall(kind.run, job.subject, job)
    if not (ok and result) then
        -- It may have failed without a wait, and so may what its plugin asks for
        -- when it is told: the worker has its other events first.
        ngx_sleep(0)
    end
    timer.jobs[job] = nil
    timer.busy = timer.busy - 1
    running = running - 1
    if timer.busy == 0 and (current ~= timer or time_until) then
        timer.wake:post(1)
    end
    -- LuaJIT compiles nothing that returns into a pcall; and an error in here
    -- ends but the thread, which nginx reports.
    local end_of = kind.finish or finish
    if end_of(job.subject, ok, result, err) then
        -- Whatever nginx has begun for it ends with a thread that fails.
        error("a foreign function misbehaved", 0)
    end
end


-- Has the timer look when a job is late, if that is sooner than it would.
local function expect(timer, due)
    timer.due = due
    if due < timer.sleeps_until and not timer.called then
        timer.called = true
        timer.wake:post(1)
    end
end


-- The next job for a timer, or nil; `worker` is the light thread that does it.
local function take_for(timer, worker)
    if current ~= timer then
        return nil
    end
    local job = take()
    if job then
        timer.taken = timer.taken + 1
        timer.busy = timer.busy + 1
        timer.jobs[job] = worker
        running = running + 1
        if job.deadline and job.deadline + LATE < timer.due then
            expect(timer, job.deadline + LATE)
        end
        if timer.taken >= TAKE and timers < MAX_TIMERS then
            -- Another one goes on.
            current = nil
            _M.go_on()
        end
    end
    return job
end


-- A light thread: one job after another, as making one costs more than a job.
local function thread(timer, job)
    local me = co_running()
    timer.jobs[job] = me
    while true do
        while job do
            perform(timer, job)
            job = take_for(timer, me)
        end
        if current ~= timer then
            return
        end
        timer.waiting = timer.waiting + 1
        local ok, err = timer.idle:wait(IDLE)
        if not ok and timer.woken > 0 then
            -- It was woken in the moment that its time was over: nobody else is
            -- there to take that.
            ok = timer.idle:wait(0)
        end
        if ok then
            timer.woken = timer.woken - 1
        else
            timer.waiting = timer.waiting - 1
            if err ~= "timeout" then
                error(err)
            end
        end
        job = take_for(timer, me)
    end
end


local function take_all(timer)
    local job = take_for(timer, true)
    while job do
        ngx_spawn(thread, timer, job)
        job = take_for(timer, true)
    end
end


-- What is left to do of a job whose time is over; its subject is that job.
local OVERDUE = {
    run = function(job)
        return job.kind.give_up(job.subject, "timeout")
    end,
    give_up = function(job, why)
        job.kind.give_up(job.subject, why)
    end,
}


-- Ends jobs whose time is over, whatever their threads wait for, and with them
-- their connections.
local function end_late(timer)
    local now, late, due = ngx_now(), nil, huge
    if now < timer.due then
        return
    end
    for job, worker in next, timer.jobs do
        if job.deadline and job.deadline + LATE <= now then
            late = late or {}
            late[job] = worker
        elseif job.deadline then
            due = min(due, job.deadline + LATE)
        end
    end
    timer.due = max(due, now + STEP)
    if not late then
        return
    end
    for job, worker in next, late do
        -- First: what waits for the same connection would wait for ever.
        if job.beside then
            ngx_kill(job.beside)
            job.beside = nil
        end
        if ngx_kill(worker) then
            timer.jobs[job] = nil
            ngx_spawn(thread, timer, { kind = OVERDUE, subject = job })
        else
            timer.due = min(timer.due, now + LOOK)
        end
    end
end


-- True when the worker exits, and no request waits any more for what a job may
-- bring.
local function must_end()
    if not ngx_exiting() then
        return false
    end
    if not time_until then
        _M.give_time()
    end
    return ngx_now() >= time_until and lib.rpw_paused() == 0
end


-- Seconds until the next look: at the latest when a job is late, or the time is over
-- that jobs have as the worker exits. Never less than nginx's clock knows: a semaphore would not
-- wait at all, and that clock not go on.
local function until_look(timer)
    local now = ngx_now()
    local left = time_until and time_until - now or LOOK
    left = left > 0 and left or LOOK
    return max(min(left, LOOK, timer.due - now), SHORTEST)
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
        local patience = until_look(timer)
        timer.sleeps_until = ngx_now() + patience
        local ok, err = timer.wake:wait(patience)
        timer.sleeps_until = 0
        timer.called = false
        if not ok and err ~= "timeout" then
            error(err)
        end
        end_late(timer)
        if not ok and timer.busy == 0 and first > last then
            return false
        end
    end
end


local function give_up_one(job, why)
    local ok, err = pcall(job.kind.give_up, job.subject, why)
    if not ok then
        ngx_log(ERR, "[proxy-wasm] callout: ", err)
    end
end


-- Ends jobs that the worker must not wait for, or whose timer has failed. Whoever
-- starts a job counts on it: there is no finalizer behind.
local function give_up(timer, why)
    for job in next, timer.jobs do
        timer.busy = timer.busy - 1
        running = running - 1
        give_up_one(job, why)
    end
    if ngx_exiting() then
        -- What is asked for meanwhile has nobody.
        for _ = first, last do
            give_up_one(take(), why)
        end
        queue, first, last = {}, 1, 0
    end
    -- With its threads.
    ngx_exit(0)
end


local function dispatch()
    if current or first > last then
        return
    end
    local timer = {
        -- Wakes the timer itself, and threads that have no job.
        wake = semaphore.new(0),
        idle = semaphore.new(0),
        -- When the first of its jobs will be late, and until when it sleeps; 0
        -- while it does not.
        due = huge,
        sleeps_until = 0,
        taken = 0,
        busy = 0,
        jobs = {},
        -- Threads that have no job, and those that are about to wake for one.
        waiting = 0,
        woken = 0,
        -- The timer is about to wake.
        called = false,
    }
    current = timer
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
    if not ok then
        give_up(timer, "its timer has failed")
    elseif must_give_up then
        give_up(timer, "the worker exits")
    end
end


-- Ends jobs whose time was over before a thread has taken them, and has the
-- others looked at. Gives true when a foreign function misbehaved meanwhile.
local function look_through()
    local now = ngx_now()
    if first > last or now < looked_at + LOOK then
        return false
    end
    looked_at = now
    local all, kept, count = {}, {}, 0
    for i = first, last do
        local job = queue[i]
        all[#all + 1] = job
        if not job.deadline or job.deadline > now then
            count = count + 1
            kept[count] = job
        end
    end
    queue, first, last = kept, 1, count
    local any = false
    for i = 1, #all do
        local job = all[i]
        local kind, ok, misbehaved = job.kind, true, false
        if job.deadline and job.deadline <= now then
            ok, misbehaved = pcall(kind.give_up, job.subject, "timeout")
        elseif kind.look then
            ok, misbehaved = pcall(kind.look, job.subject)
        end
        if not ok then
            ngx_log(ERR, "[proxy-wasm] callout: ", misbehaved)
        end
        any = any or ok and misbehaved
    end
    return any
end


beginning = alarm.new("callouts", dispatch, function()
    if look_through() then
        -- Whatever nginx has begun for it ends with a timer that fails.
        error("a foreign function misbehaved", 0)
    end
end)


-- Sees to it that a timer takes what is in the queue.
function _M.go_on()
    local timer = current
    -- Whoever asks again has nobody woken for nothing.
    local jobs = last - first + 1 - (timer and timer.woken or 0)
    if jobs <= 0 or timer and timer.called then
        return
    end
    if not timer then
        alarm.arm(beginning, 0)
    elseif timer.waiting > 0 then
        timer.waiting = timer.waiting - 1
        timer.woken = timer.woken + 1
        timer.idle:post(1)
    else
        -- It makes threads for all of them.
        timer.called = true
        timer.wake:post(1)
    end
end


-- The same, for a request that waits, perhaps for a job that no thread takes as
-- nginx gives no timer. True when a foreign function misbehaved meanwhile.
function _M.look()
    local misbehaved = look_through()
    _M.go_on()
    return misbehaved
end


-- Has a job done in a light thread. Its kind has
-- `run(subject, job)`, which may yield as it likes,
-- `finish(subject, ok, ...)`, which must not and gets what `run` gave, or false
-- and the error; it gives true when a foreign function misbehaved, and without it
-- `run` does,
-- `give_up(subject, why)`, which must not yield either and is called instead of
-- both where the worker exits before, or some time after the job's deadline (as
-- `ngx.now`; nil: none), and
-- `look(subject)`, if there, which is called now and then while no thread has
-- taken the job.
function _M.start(kind, subject, deadline)
    if time_until and ngx_get_phase() ~= "timer" then
        -- What a request asks for last, when it is over itself.
        _M.give_time()
    end
    last = last + 1
    queue[last] = { kind = kind, subject = subject, deadline = deadline }
    _M.go_on()
end


-- In a worker that exits: jobs have their time from now on, as a request has
-- ended. Only for as many reasons as there are requests: nothing else may keep
-- the worker.
function _M.give_time()
    time_until = ngx_now() + GRACE
end


-- Jobs that wait for a thread, jobs that have one, and timers.
function _M.count()
    return last - first + 1, running, timers
end


return _M
