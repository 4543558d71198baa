-- What nginx has written to its error.log so far, line by line.

local _M = {}


-- LuaJIT's own `lines` ends a line at a NUL, which nginx writes at level debug,
-- and puts the next one behind it.
function _M.lines()
    local file = assert(io.open(ngx.config.prefix() .. "/logs/error.log", "rb"))
    local text = file:read("*a")
    file:close()
    return text:gmatch("[^\n]+")
end


return _M
