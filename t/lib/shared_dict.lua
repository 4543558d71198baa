-- What src/shared has put into the dict, for tests that look from outside.

local _M = {}


-- The parts of an entry's name: each stands behind its length, four bytes,
-- little-endian.
local function parts(name)
    local found, at = {}, 5
    while at + 3 <= #name do
        local a, b, c, d = name:byte(at, at + 3)
        local len = a + b * 256 + c * 65536 + d * 16777216
        found[#found + 1] = name:sub(at + 4, at + 3 + len)
        at = at + 4 + len
    end
    return found
end


-- A function that goes through the entries of one kind: name, value, parts.
function _M.each(dict, kind)
    local names, i = dict:get_keys(0), 0
    return function()
        while i < #names do
            i = i + 1
            local name = names[i]
            if name:sub(1, 4) == "pw:" .. kind then
                local value = dict:get(name)
                if value ~= nil then
                    return name, value, parts(name)
                end
            end
        end
    end
end


-- Little-endian, of eight bytes.
function _M.number(bytes)
    local number, scale = 0, 1
    for i = 1, 8 do
        number = number + bytes:byte(i) * scale
        scale = scale * 256
    end
    return number
end


-- The shared data by key: of one scope, that of tests.
function _M.data(dict)
    local data = {}
    for _, moment, of in _M.each(dict, "T") do
        local name = of[1]
        if name:sub(1, 1) == "d" then
            local side = moment % 2 == 1 and "e" or "d"
            local value = dict:get("pw:" .. side .. name:sub(2))
            -- Behind it stand a version and a turn.
            data[parts("pw:" .. name)[2]] = value and value:sub(1, -13)
        end
    end
    return data
end


-- The metrics by name: of one plugin.
function _M.metrics(dict)
    local values, metrics = {}, {}
    for _, value, of in _M.each(dict, "x") do
        values[_M.number(of[1] .. "\0\0\0\0")] = value
    end
    for _, id, of in _M.each(dict, "n") do
        metrics[of[2]] = values[id]
    end
    return metrics
end


-- What an entry takes, as src/shared/account.rs has it.
local function cost(name, value)
    local bytes = 64 + #name - 3 + (type(value) == "number" and 8 or #value)
    if bytes > 2048 then
        return math.ceil(bytes / 4096) * 4096
    end
    local size = 64
    while size < bytes do
        size = size * 2
    end
    return size
end


-- What all entries of these kinds take.
function _M.cost(dict, kinds)
    local all = 0
    for kind in kinds:gmatch(".") do
        for name, value in _M.each(dict, kind) do
            all = all + cost(name, value)
        end
    end
    return all
end


-- What is counted for the one scope.
function _M.counted(dict)
    local all = 0
    for _, value in _M.each(dict, "B") do
        all = all + value
    end
    return all
end


return _M
