-- Proxy-Wasm plugins in stock OpenResty: the public interface.

local base = require "resty.core.base"
base.allows_subsystem("http")

local library = require "resty.proxy_wasm.lib"
local shown = require "resty.proxy_wasm.shown"
local foreign = require "resty.proxy_wasm.foreign"
local upstreams = require "resty.proxy_wasm.upstreams"
local plugins = require "resty.proxy_wasm.plugin"
local connection = require "resty.proxy_wasm.connection"
local phases = require "resty.proxy_wasm.phases"
local chain = require "resty.proxy_wasm.chain"
local status = require "resty.proxy_wasm.status"


local type       = type
local error      = error
local sub        = string.sub
local last_error = library.last_error


local _M = {
    _VERSION = "0.1.0",
    new_chain = chain.new,
    upstreams = upstreams.define,
    set_resolver = connection.set_resolver,
    status = status.get,
}


-- Where compiled code is kept, for plugins that are loaded from now on; false:
-- nowhere.
function _M.cache_directory(path)
    if path ~= false and (type(path) ~= "string" or sub(path, 1, 1) ~= "/") then
        error("path must be an absolute path, or false, not " .. shown(path), 2)
    end
    plugins.set_cache_directory(path)
end


function _M.load(name, path, opts)
    if type(name) ~= "string" or name == "" then
        error("name must be a non-empty string, not " .. shown(name), 2)
    end
    if type(path) ~= "string" then
        error("path must be a string, not " .. shown(path), 2)
    end
    local wrong = plugins.check_options(opts)
    if wrong then
        error("plugin \"" .. name .. "\": " .. wrong, 2)
    end
    return plugins.load_file(name, path, opts)
end


function _M.on_configure(plugin, conf)
    if not plugins.is_plugin(plugin) then
        error("plugin must be what load() gave, not " .. shown(plugin), 2)
    end
    local encoded, err = plugins.encode_config(conf)
    if not encoded then
        error(err, 2)
    end
    return phases.configure(plugin, encoded)
end


local function check(ctx)
    if not plugins.is_root(ctx) then
        error("ctx must be what on_configure() gave, not " .. shown(ctx), 3)
    end
end


local function result(rc)
    if rc < 0 then
        return nil, last_error()
    end
    return true
end


function _M.on_http_request_headers(ctx)
    check(ctx)
    return result(phases.request_headers(ctx))
end


function _M.on_http_request_body(ctx, body, end_of_body)
    check(ctx)
    if body ~= nil and type(body) ~= "string" then
        error("body must be a string or nil, not " .. shown(body), 2)
    end
    return result(phases.request_body(ctx, body, end_of_body))
end


function _M.on_http_response_headers(ctx)
    check(ctx)
    return result(phases.response_headers(ctx))
end


function _M.on_http_response_body(ctx)
    check(ctx)
    return result(phases.response_body(ctx))
end


function _M.on_log(ctx)
    check(ctx)
    return result(phases.log(ctx))
end


function _M.on_foreign_function(ctx, id, data)
    check(ctx)
    if type(id) ~= "number" or id < 0 or id > 2^32 - 1 or id % 1 ~= 0 then
        error("id must be a number from 0 to 4294967295, not " .. shown(id), 2)
    end
    if data ~= nil and type(data) ~= "string" then
        error("data must be a string or nil, not " .. shown(data), 2)
    end
    return result(phases.foreign_function(ctx, id, data or ""))
end


function _M.register_foreign_function(name, fn)
    if type(name) ~= "string" or name == "" then
        error("name must be a non-empty string, not " .. shown(name), 2)
    end
    if fn ~= nil and type(fn) ~= "function" then
        error("fn must be a function or nil, not " .. shown(fn), 2)
    end
    foreign.register(name, fn)
end


return _M
