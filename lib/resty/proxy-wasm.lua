-- The interface of wasm-nginx-module, which Apache APISIX requires: the same
-- functions, return values, error strings and context ids.

local base = require "resty.core.base"
base.allows_subsystem("http")

local library = require "resty.proxy_wasm.lib"
local plugins = require "resty.proxy_wasm.plugin"
local phases = require "resty.proxy_wasm.phases"


local type        = type
local error       = error
local ngx_log     = ngx.log
local ERR         = ngx.ERR
local get_request = base.get_request
local last_error  = library.last_error

local LOST = library.lib.RPW_LOST


local _M = {}


function _M.load(name, path)
    if type(name) ~= "string" then
        error("name must be a string", 2)
    end
    if type(path) ~= "string" then
        error("path must be a string", 2)
    end
    local bytes, later = plugins.read_file(path)
    if not bytes then
        return nil, later
    end
    local plugin, err = plugins.load(name, bytes, {
        root_id = name,
        context_ids = "reused",
        resume = "callouts",
        -- The original asks nobody.
        callouts = "any",
    }, path, later)
    if not plugin then
        ngx_log(ERR, "[proxy-wasm] ", path, ": ", err)
        return nil, "failed to load wasm plugin"
    end
    return plugin
end


function _M.on_configure(plugin, conf)
    if not plugins.is_plugin(plugin) then
        return nil, "bad plugin"
    end
    if type(conf) ~= "string" or conf == "" then
        return nil, "bad conf"
    end
    local ctx, err = phases.configure(plugin, conf)
    if not ctx then
        ngx_log(ERR, "[proxy-wasm] ", err)
        return nil, "failed to run proxy_on_configure"
    end
    return ctx
end


-- Why a phase function cannot run; nil when it can.
local function check(ctx)
    if not plugins.is_root(ctx) then
        return "bad plugin ctx"
    end
    if not get_request() then
        return "bad request"
    end
end


local function result(rc, callback)
    if rc >= 0 then
        return true
    end
    ngx_log(ERR, "[proxy-wasm] ", last_error())
    return nil, "failed to run " .. callback
end


function _M.on_http_request_headers(ctx)
    local err = check(ctx)
    if err then
        return nil, err
    end
    local rc = phases.request_headers(ctx)
    -- While a request waits only callouts call back.
    return result(rc, rc == LOST and "proxy_on_http_call_response"
                      or "proxy_on_http_request_headers")
end


function _M.on_http_request_body(ctx, body, end_of_body)
    if body ~= nil and type(body) ~= "string" then
        error("body must be a string or nil", 2)
    end
    local err = check(ctx)
    if err then
        return nil, err
    end
    local rc = phases.request_body(ctx, body, end_of_body)
    return result(rc, rc == LOST and "proxy_on_http_call_response"
                      or "proxy_on_http_request_body")
end


function _M.on_http_response_headers(ctx)
    local err = check(ctx)
    if err then
        return nil, err
    end
    return result(phases.response_headers(ctx), "proxy_on_http_response_headers")
end


function _M.on_http_response_body(ctx)
    local err = check(ctx)
    if err then
        return nil, err
    end
    return result(phases.response_body(ctx), "proxy_on_http_response_body")
end


return _M
