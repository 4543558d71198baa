-- What a call of a Lua function by a guest costs, beside one of a function that is built in: run in
-- nginx by scripts/bench.sh, as a chunk that gets the folder of the guests. Says so, and whether the
-- goal is met.

local proxy_wasm = require "resty.proxy_wasm"

-- Nanoseconds over a call of a function that is built in.
local GOAL = 200
local ROUNDS = 7
local CALLBACKS = 2000
-- In each callback.
local CALLS = 100

local guests = ...
local plugin = assert(proxy_wasm.load("foreign", guests .. "/bench_foreign.wasm"))
local ctx = assert(proxy_wasm.on_configure(plugin, "x"))

-- Nanoseconds of CPU time for each callback.
local function measure(id)
    local begin = os.clock()
    for _ = 1, CALLBACKS do
        assert(proxy_wasm.on_foreign_function(ctx, id))
    end
    return (os.clock() - begin) * 1e9 / CALLBACKS
end

local function median(of)
    local all = {}
    for round = 1, ROUNDS do
        all[round] = of()
    end
    table.sort(all)
    return all[(ROUNDS + 1) / 2]
end

local function noop()
    return ""
end

-- What Lua itself needs to call a function in a way that a yield cannot leave: in a coroutine that waits for
-- the next one.
local function own(name)
    return coroutine["_" .. name] or coroutine[name]
end

local create, resume, yield = own("create"), own("resume"), own("yield")
local function work(fn, argument)
    while true do
        fn, argument = yield(fn(argument))
    end
end
local function of_lua()
    local thread = create(work)
    local begin = os.clock()
    for _ = 1, CALLBACKS * CALLS do
        assert(resume(thread, noop, ""))
    end
    return (os.clock() - begin) * 1e9 / CALLBACKS / CALLS
end

local built_in, lua = 2 * CALLS, 2 * CALLS + 1
measure(built_in)
local plain = median(function() return measure(0) end)
proxy_wasm.register_foreign_function("noop", noop)
measure(lua)
local stack = median(function() return measure(0) end) - plain
local whole = median(function() return (measure(lua) - measure(built_in)) / CALLS end)
local single = median(function() return measure(3) - measure(2) end)
local own_part = median(of_lua)
proxy_wasm.register_foreign_function("noop", nil)

ngx.say(("a callback on a stack of its own: %.0f ns over one that is not"):format(stack))
ngx.say(("a guest's call of a Lua function: %.0f ns over one that is built in, as one of %d in a callback"):format(
    whole, CALLS))
ngx.say(("the only one in a callback: %.0f ns"):format(single))
for what, over in pairs { ["one of many"] = whole - own_part, ["the only one"] = single - own_part } do
    ngx.say(("%s: of %s, %.0f ns are not Lua's own; goal: at most %d ns"):format(
        over <= GOAL and "pass" or "FAIL", what, over, GOAL))
end
