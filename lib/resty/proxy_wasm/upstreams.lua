-- Upstreams by name: checked, and written as the library reads them.

local ffi = require "ffi"
local library = require "resty.proxy_wasm.lib"
local shown = require "resty.proxy_wasm.shown"


local type     = type
local error    = error
local pairs    = pairs
local tostring = tostring
local io_open  = io.open
local sort     = table.sort
local concat   = table.concat
local str_char = string.char
local str_find = string.find
local ffi_new  = ffi.new
local bit_band   = require("bit").band
local bit_rshift = require("bit").rshift

local lib        = library.lib
local last_error = library.last_error


-- What an upstream has beside its addresses, which are its list part.
local FIELDS = {
    tls = "boolean",
    verify = "boolean",
    sni = "string",
    ca = "string",
    cert = "string",
    key = "string",
}

-- Those that are PEM, or the path of a file with it.
local PEM = { ca = true, cert = true, key = true }


local _M = {}

-- Those of all plugins that are loaded from now on.
local common = {}


local function u32(number)
    return str_char(bit_band(number, 255), bit_band(bit_rshift(number, 8), 255),
                    bit_band(bit_rshift(number, 16), 255), bit_rshift(number, 24))
end


-- The serialized map of the specification, of keys and values in turn.
local function serialize(list)
    local sizes, data = {}, {}
    for i = 1, #list, 2 do
        local key, value = list[i], list[i + 1]
        sizes[#sizes + 1] = u32(#key) .. u32(#value)
        data[#data + 1] = key .. "\0" .. value .. "\0"
    end
    return u32(#sizes) .. concat(sizes) .. concat(data)
end


local function known_fields()
    local names = {}
    for name in pairs(FIELDS) do
        names[#names + 1] = name
    end
    sort(names)
    return concat(names, ", ")
end


-- A sentence about what is wrong with one upstream, or nil.
local function check_one(upstream)
    if type(upstream) == "string" then
        return nil
    end
    if type(upstream) ~= "table" then
        return "must be an address or a table with addresses, not " .. shown(upstream)
    end
    if #upstream == 0 then
        return "has no address: they are its list part, { \"host:port\", … }"
    end
    for key, value in pairs(upstream) do
        local expected = type(key) == "number" and "string" or FIELDS[key]
        if not expected then
            return "has the unknown field " .. shown(key) .. ", known are: " .. known_fields()
        end
        if type(value) ~= expected then
            return (type(key) == "number" and "must have addresses that are strings"
                    or "must have a " .. expected .. " as its field \"" .. key .. "\"")
                   .. ", not " .. shown(value)
        end
    end
    return nil
end


-- A sentence about the first upstream that is wrong, or nil.
function _M.check(upstreams)
    for name, upstream in pairs(upstreams) do
        if type(name) ~= "string" then
            return "must map names, which are strings, to upstreams, not " .. shown(name)
        end
        local wrong = check_one(upstream)
        if wrong then
            return "\"" .. name .. "\" " .. wrong
        end
    end
    return nil
end


-- PEM that is given itself, or by its path.
local function read_pem(value)
    if str_find(value, "-----BEGIN ", 1, true) then
        return value
    end
    local file, err = io_open(value, "rb")
    if not file then
        return nil, err
    end
    local pem
    -- A folder can be opened, but not read.
    pem, err = file:read("*a")
    file:close()
    if not pem then
        return nil, value .. ": " .. err
    end
    return pem
end


-- Errors: a file that cannot be read.
local function encode_one(upstream)
    if type(upstream) == "string" then
        return serialize { "address", upstream }
    end
    local fields = {}
    for i = 1, #upstream do
        fields[#fields + 1] = "address"
        fields[#fields + 1] = upstream[i]
    end
    for key in pairs(FIELDS) do
        if upstream[key] ~= nil then
            local value, err = tostring(upstream[key]), nil
            if PEM[key] then
                value, err = read_pem(value)
            end
            if not value then
                return nil, key .. ": " .. err
            end
            fields[#fields + 1] = key
            fields[#fields + 1] = value
        end
    end
    return serialize(fields)
end


-- What the library reads: the plugin's own, and the common ones of other names.
-- Errors: a file that cannot be read.
function _M.encode(own)
    local list = {}
    for name, upstream in pairs(own) do
        local encoded, err = encode_one(upstream)
        if not encoded then
            return nil, "upstream \"" .. name .. "\": " .. err
        end
        list[#list + 1] = name
        list[#list + 1] = encoded
    end
    for name, encoded in pairs(common) do
        if own[name] == nil then
            list[#list + 1] = name
            list[#list + 1] = encoded
        end
    end
    return serialize(list)
end


-- Defines upstreams for all plugins that are loaded from now on, in place of
-- those that were.
function _M.define(upstreams)
    if type(upstreams) ~= "table" then
        error("upstreams must be a table, not " .. shown(upstreams), 2)
    end
    local wrong = _M.check(upstreams)
    if wrong then
        error("upstreams: " .. wrong, 2)
    end
    local list, encoded = {}, {}
    for name, upstream in pairs(upstreams) do
        local err
        encoded[name], err = encode_one(upstream)
        if err then
            error("upstream \"" .. name .. "\": " .. err, 2)
        end
        list[#list + 1] = name
        list[#list + 1] = encoded[name]
    end
    list = serialize(list)
    if lib.rpw_check_options(ffi_new("rpw_options", { upstreams = { list, #list } })) ~= 0 then
        error(last_error(), 2)
    end
    common = encoded
end


-- A sentence about what is wrong with the option "callouts", or nil.
function _M.check_callouts(callouts)
    if callouts == "upstreams" or callouts == "any" then
        return nil
    end
    if type(callouts) ~= "table" then
        return "must be \"upstreams\", \"any\", or a list of hosts, not " .. shown(callouts)
    end
    for place, host in pairs(callouts) do
        if type(place) ~= "number" then
            return "must be a list of hosts, without keys such as " .. shown(place)
        end
        if type(host) ~= "string" or host == "" or str_find(host, "\n", 1, true) then
            return "must be a list of hosts, each a string such as \"host:port\", not " .. shown(host)
        end
        if host == "any" or host == "upstreams" then
            return "must be " .. shown(host) .. " itself, not a list with it; in a list stand hosts"
        end
    end
    return nil
end


-- Patterns as the library reads them.
function _M.encode_callouts(callouts)
    if type(callouts) == "table" then
        return concat(callouts, "\n")
    end
    return callouts == "any" and "*" or ""
end


return _M
