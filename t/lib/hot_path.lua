-- What the phases of a chain allocate in real requests, and which of our Lua
-- files LuaJIT compiles meanwhile.
--
--     hot_path = dofile("$TOP/t/lib/hot_path.lua")
--
-- with `hot_path.access(chain)` and so on in the handlers, and in another
-- location, which drives the requests, `hot_path.drive(…)`.

local client_path = debug.getinfo(1, "S").source:match("^@(.*/)") .. "client.lua"

local count = collectgarbage

-- Bytes of a pointer that could not stay in a register. Making the list leaves
-- compiled code, and the pointer to the request is needed afterwards.
local POINTER = 24


local _M = {}

-- Bytes / 1024, as `collectgarbage` counts. Numbers in fields that are there
-- already: counting allocates nothing.
local sums = { access = 0, header_filter = 0, body_filter = 0, log = 0, get_headers = 0 }


function _M.access(chain)
    local before = count("count")
    chain:access()
    sums.access = sums.access + (count("count") - before)
end


function _M.header_filter(chain)
    -- The same list as the library asks for. It comes first, so that strings
    -- which are new, as the date's once per second, count here.
    local before = count("count")
    ngx.resp.get_headers(0, true)
    sums.get_headers = sums.get_headers + (count("count") - before)

    before = count("count")
    chain:header_filter()
    sums.header_filter = sums.header_filter + (count("count") - before)
end


function _M.body_filter(chain)
    local before = count("count")
    chain:body_filter()
    sums.body_filter = sums.body_filter + (count("count") - before)
end


function _M.log(chain)
    local before = count("count")
    chain:log()
    sums.log = sums.log + (count("count") - before)
end


-- What LuaJIT says about our files, by jit.v: says which of `wanted` have no
-- trace, and where LuaJIT gave up for good. A trace that ends elsewhere, such as
-- one of a loop over a single plugin, is tried again from another place.
local function judge_traces(path, wanted)
    local ours, compiled, wrong = {}, {}, {}
    for name in pairs(package.loaded) do
        local file = name:match("^resty%.proxy_wasm%.([%w_]+)$")
        if file then
            ours[file .. ".lua"] = true
        end
    end
    for line in io.lines(path) do
        local given_up = line:find("TRACE ---", 1, true)
                         and (line:find(" -- NYI", 1, true) or line:find("blacklisted", 1, true))
        for file in line:gmatch("([%w_-]+%.lua):%d") do
            if ours[file] and given_up then
                wrong[#wrong + 1] = line
            elseif ours[file] and line:find("^%[TRACE +%d") then
                compiled[file] = true
            end
        end
    end
    for _, file in ipairs(wanted) do
        if not compiled[file] then
            wrong[#wrong + 1] = "no trace of " .. file
        end
    end
    return wrong
end


-- Sends requests with `headers` and sees that each answer has the line `answer`;
-- says in the response of the location that calls this what is wrong with what
-- the phases allocate in the `requests` last ones. `lists`: the list of response
-- headers may be allocated, and a pointer, and takes so many bytes at most.
function _M.drive(options)
    local client = dofile(client_path)
    local traces = ngx.config.prefix() .. "logs/jit_v.txt"
    require("jit.v").on(traces)

    local function send(path, requests)
        client.repeated(path, options.headers, requests, options.answer)
    end

    -- As handlers are written, and as they are measured.
    send(options.plain, 1000)
    send(options.measured, 1000)

    local requests = options.requests
    local wrong
    -- Compiling a side trace that became hot late costs memory, too, but only
    -- once; what one request in a thousand allocates is there in every round.
    for _ = 1, 4 do
        wrong = {}
        collectgarbage()
        collectgarbage("stop")
        for phase in pairs(sums) do
            sums[phase] = 0
        end
        send(options.measured, requests)
        collectgarbage("restart")

        for _, phase in ipairs { "access", "header_filter", "body_filter", "log" } do
            local list = phase == "header_filter" and options.lists
            local allowed = list and sums.get_headers + requests * POINTER / 1024 or 0
            if sums[phase] > allowed then
                wrong[#wrong + 1] = phase .. ": " .. sums[phase] * 1024 / requests
                                    .. " bytes per request, of which "
                                    .. allowed * 1024 / requests .. " are allowed"
            end
            if list and sums[phase] * 1024 / requests > list then
                wrong[#wrong + 1] = phase .. ": more than " .. list .. " bytes per request"
            end
            if list and sums[phase] == 0 then
                wrong[#wrong + 1] = phase .. ": no list was made"
            end
        end
        if not wrong[1] then
            break
        end
    end

    require("jit.v").off()
    for _, line in ipairs(judge_traces(traces, options.compiled)) do
        wrong[#wrong + 1] = line
    end
    wrong[#wrong + 1] = "that is all"
ngx.say(table.concat(wrong, "\n"))
end


return _M
