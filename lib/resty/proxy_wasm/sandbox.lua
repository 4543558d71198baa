-- What a plugin sees of the machine, and what it may call: the options `env`
-- and `capabilities`, checked and as the library reads them.

local shown = require "resty.proxy_wasm.shown"


local type   = type
local pairs  = pairs
local sort   = table.sort
local concat = table.concat
local find   = string.find


local _M = {}


-- What is wrong with a table of environment variables; nil when nothing is.
function _M.check_env(env)
    for name, value in pairs(env) do
        if type(name) ~= "string" or type(value) ~= "string" then
            return "must map names to values, both strings, not " .. shown(name) .. " to "
                   .. shown(value)
        end
        if name == "" or find(name, "[=%z]") then
            return "has a name that is empty, or has \"=\" or a NUL in it: " .. shown(name)
        end
        if find(value, "%z") then
            return "has a NUL in the value of \"" .. name .. "\""
        end
    end
end


-- One variable after the other, each ended by a NUL, in the order of the names.
function _M.encode_env(env)
    local variables = {}
    for name, value in pairs(env or {}) do
        variables[#variables + 1] = name .. "=" .. value .. "\0"
    end
    sort(variables)
    return concat(variables)
end


-- What is wrong with a list of capabilities; nil when nothing is. Whether the
-- names exist is the library's to say.
function _M.check_capabilities(names)
    local count = 0
    for place, name in pairs(names) do
        if type(place) ~= "number" then
            return "must be a list of names, without keys such as " .. shown(place)
        end
        if type(name) ~= "string" or find(name, "\n", 1, true) then
            return "must be a list of names such as \"proxy_log\", not " .. shown(name)
        end
        count = count + 1
    end
    if count == 0 or count ~= #names then
        return "must be a list of one name or more; without it, all is allowed"
    end
end


-- A name on each line; nil for all.
function _M.encode_capabilities(names)
    return names and concat(names, "\n")
end


return _M
