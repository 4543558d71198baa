-- The library: the only place that loads it.

local ffi = require "ffi"


local error        = error
local pcall        = pcall
local concat       = table.concat
local io_open      = io.open
local str_gmatch   = string.gmatch
local str_gsub     = string.gsub
local ffi_new      = ffi.new
local ffi_string   = ffi.string


local FILE = "libresty_proxy_wasm.so"


-- Where Lua finds C modules, the library lies, too.
local function find()
    local tried = {}
    for template in str_gmatch(package.cpath, "[^;]+") do
        local path = str_gsub(template, "[^/]*%?[^/]*$", "") .. FILE
        local file = io_open(path, "rb")
        if file then
            file:close()
            return path
        end
        tried[#tried + 1] = path
    end
    return nil, tried
end


-- LuaJIT defines a type once per VM, however often modules are loaded anew.
if not pcall(ffi.typeof, "rpw_root") then
    require "resty.proxy_wasm.cdef"
end

local path, tried = find()
if not path then
    error("resty.proxy_wasm: " .. FILE .. " is not in lua_package_cpath, tried:\n  "
          .. concat(tried, "\n  ")
          .. "\ninstall it there (make install PREFIX=…), or name its folder: "
          .. "lua_package_cpath \"/folder/?.so;;\";", 0)
end

local lib = ffi.load(path)
-- Of the header that these Lua files come with, and of the library.
if lib.rpw_abi() ~= lib.RPW_ABI then
    error("resty.proxy_wasm: " .. path .. " has interface " .. lib.rpw_abi()
          .. ", these Lua files need " .. lib.RPW_ABI .. ": install both from one release", 0)
end


local message = ffi_new("rpw_str[1]")

local _M = {
    lib = lib,
    path = path,
}


-- A string that the library lends, as a Lua string.
function _M.to_string(lent)
    -- LuaJIT compiles nothing that begins in a function that ends with a tail
    -- call, here and elsewhere.
    local text = ffi_string(lent.data, lent.len)
    return text
end


-- The sentence about the last call that failed.
function _M.last_error()
    lib.rpw_error(message)
    return ffi_string(message[0].data, message[0].len)
end


return _M
