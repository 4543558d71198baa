-- How a wrong value looks in the sentence that refuses it.

local type     = type
local tostring = tostring
local gsub     = string.gsub
local sub      = string.sub
local byte     = string.byte
local format   = string.format


-- Longer strings are cut.
local LONGEST = 60


local function escape(char)
    return format("\\x%02x", byte(char))
end


local function shown(value)
    local kind = type(value)
    if kind == "string" then
        local cut = #value > LONGEST and "…" or ""
        return "\"" .. gsub(sub(value, 1, LONGEST), "[%c\"\\]", escape) .. cut .. "\""
    end
    if kind == "number" or kind == "boolean" or value == nil then
        return tostring(value)
    end
    return "a " .. kind
end


return shown
