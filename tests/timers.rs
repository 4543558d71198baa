//! `alarm.lua` and `timer.lua` in a LuaJIT without nginx, on a clock of the
//! test's: how soon the context of a request is ended whose log phase does not
//! come, on a worker that has nothing else to do, whatever timer nginx drops.

use std::path::Path;

use mlua::{Function, Lua};

/// nginx's timers, and a plugin with contexts. `simulate` gives how long after
/// its request the context was ended, in seconds.
const WORLD: &str = r#"
local now, phase, request_began, timers, started, dropped

local function add(delay, every, run, ...)
    timers[#timers + 1] = { at = now + delay, every = every, run = run, ... }
    return true
end

ngx = {
    ERR = 4,
    log = function(_, ...) error(table.concat({ ... })) end,
    now = function() return now end,
    get_phase = function() return phase end,
    req = { start_time = function() return request_began end },
    worker = { exiting = function() return false end },
    sleep = function() error("nobody sleeps here") end,
    timer = {
        -- One of them is taken, and dropped when its time has come.
        at = function(delay, run, ...)
            started = started + 1
            if started == dropped then
                return true
            end
            return add(delay, nil, run, ...)
        end,
        every = function(delay, run, ...)
            return add(delay, delay, run, ...)
        end,
    },
}

local contexts
-- Milliseconds that the next sweep comes in.
local again = 0

local function sweep()
    local alive = 0
    for _, context in ipairs(contexts) do
        if context.request_ended <= now then
            context.ended = context.ended or now
        end
        alive = alive + (context.ended and 0 or 1)
    end
    return alive
end

local function sweep_again()
    return again
end

local function forget(name)
    package.loaded["resty.proxy_wasm." .. name] = nil
end

-- The request takes so long; nginx drops that one of the timers. `first`: the
-- library is required in this very request.
function simulate(seconds, which, first)
    now, phase, request_began, timers, started, dropped = 100, "init_worker", 0, {}, 0, which
    local name = "resty.proxy_wasm."
    package.loaded[name .. "lib"] = {
        lib = { rpw_sweep = sweep, rpw_sweep_again = sweep_again, RPW_MISBEHAVED = -1 },
    }
    package.loaded[name .. "foreign"] = { run = function(alive) return alive end }
    package.loaded[name .. "dispatcher"] = {}
    package.loaded[name .. "effects"] = { drain = function() end }
    forget "alarm"
    forget "timer"
    if first then
        phase, request_began = "access", now
    end
    local timer = require "resty.proxy_wasm.timer"
    if not first then
        now = now + 1
        phase, request_began = "access", now
    end

    contexts = { { request_ended = now + seconds } }
    timer.start()
    phase = "timer"
    local over = contexts[1].request_ended + 10
    while now < over and not contexts[1].ended do
        local index
        for i, other in ipairs(timers) do
            if not index or other.at < timers[index].at then
                index = i
            end
        end
        if not index then
            break
        end
        local due = table.remove(timers, index)
        now = due.at
        if due.every then
            add(due.every, due.every, due.run, unpack(due))
        end
        due.run(false, unpack(due))
    end
    local took = contexts[1].ended and contexts[1].ended - contexts[1].request_ended or 1 / 0

    -- What goes on when there is nothing left to do.
    contexts = {}
    for _ = 1, 20 do
        table.sort(timers, function(a, b) return a.at < b.at end)
        local due = table.remove(timers, 1)
        if not due then
            break
        end
        now = due.at
        if due.every then
            add(due.every, due.every, due.run, unpack(due))
        end
        due.run(false, unpack(due))
    end
    return took, #timers
end

-- Gives the seconds between two sweeps, where the first asks for another one in
-- so many milliseconds.
function sweep_on(ms)
    simulate(0.1, 0, false)
    contexts = { { request_ended = 1 / 0 } }
    local swept = {}
    local timer = require "resty.proxy_wasm.timer"
    again = ms
    timer.alarm.good_until = 0
    timers, phase = {}, "access"
    timer.start()
    phase = "timer"
    for _ = 1, 2 do
        local due = table.remove(timers, 1)
        swept[#swept + 1] = due.at
        now = due.at
        due.run(false, unpack(due))
    end
    again = 0
    return swept[2] - swept[1]
end

-- Alarms, of which the first and the third have a `look` that fails; gives how
-- often the others were looked at in so many looks, and how many looks failed.
function look(times, first)
    now, phase, request_began, timers, started, dropped = 100, "init_worker", 0, {}, 0, 0
    local looked, failed, logged = 0, 0, 0
    local log = ngx.log
    ngx.log = function()
        logged = logged + 1
    end
    forget "alarm"
    local alarm = require "resty.proxy_wasm.alarm"
    local function count()
        looked = looked + 1
    end
    local function fail()
        error("fails", 0)
    end
    local function nothing() end
    alarm.new("first", nothing, fail)
    alarm.new("second", nothing, count)
    alarm.new("third", nothing, fail)
    local last = alarm.new("last", nothing, count)
    if first then
        phase, request_began = "access", now
    end
    alarm.arm(last, 1000)
    phase = "timer"
    for _ = 1, times do
        table.sort(timers, function(a, b) return a.at < b.at end)
        local due = table.remove(timers, 1)
        if not due then
            break
        end
        now = due.at
        if due.every then
            add(due.every, due.every, due.run, unpack(due))
        end
        local ok, err = pcall(due.run, false, unpack(due))
        failed = failed + (not ok and err == "fails" and 1 or 0)
    end
    ngx.log = log
    return looked, failed, logged
end
"#;

fn simulate() -> (Lua, Function) {
    let lua = Lua::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("lib/?.lua");
    let package: mlua::Table = lua.globals().get("package").unwrap();
    package.set("path", path.to_str()).unwrap();
    lua.load(WORLD).exec().unwrap();
    let simulate = lua.globals().get("simulate").unwrap();
    (lua, simulate)
}

/// Lengths of requests: beside every moment at which a timer could come.
fn lengths() -> impl Iterator<Item = f64> {
    (0..150).map(|step| f64::from(step) * 0.02 + 0.001)
}

#[test]
fn a_context_is_ended_within_a_second_of_its_request_on_an_idle_worker() {
    let (_lua, simulate) = simulate();
    for first in [false, true] {
        for seconds in lengths() {
            let (took, _): (f64, i64) = simulate.call((seconds, 0, first)).unwrap();
            assert!(took <= 1.0, "{took} s after a request of {seconds} s");
        }
    }
}

#[test]
fn a_context_is_ended_within_a_second_although_nginx_drops_a_timer() {
    let (_lua, simulate) = simulate();
    for first in [false, true] {
        for (dropped, seconds) in (1..16).flat_map(|n| lengths().map(move |s| (n, s))) {
            let (took, _): (f64, i64) = simulate.call((seconds, dropped, first)).unwrap();
            assert!(
                took <= 1.0,
                "{took} s after a request of {seconds} s, without timer {dropped} (first: {first})"
            );
        }
    }
}

#[test]
fn no_timer_stays_in_a_vm_that_may_be_for_one_request() {
    let (_lua, simulate) = simulate();
    let (_, left): (f64, i64) = simulate.call((0.3, 0, true)).unwrap();
    assert_eq!(left, 0);
    // The one that looks after others, in a VM that stays.
    let (_, left): (f64, i64) = simulate.call((0.3, 0, false)).unwrap();
    assert_eq!(left, 1);
}

#[test]
fn where_much_is_left_to_end_the_next_sweep_comes_when_the_library_says() {
    let (lua, _) = simulate();
    let sweep_on: Function = lua.globals().get("sweep_on").unwrap();
    for (ms, seconds) in [(20, 0.02), (0, 0.5), (10_000, 0.5)] {
        let between: f64 = sweep_on.call(ms).unwrap();
        assert!((between - seconds).abs() < 0.001, "{between} s for {ms} ms");
    }
}

#[test]
fn an_alarm_whose_look_fails_keeps_no_other_from_its_own() {
    let (lua, _) = simulate();
    let look: Function = lua.globals().get("look").unwrap();
    // By the timer that stays, and by the one for a VM that may not.
    for first in [false, true] {
        let counted: (i32, i32, i32) = look.call((5, first)).unwrap();
        // Both errors are said: one by nginx, of a timer that has failed.
        assert_eq!(counted, (10, 5, 5), "first: {first}");
    }
}
