-- The interface of wasm-nginx-module, which Apache APISIX requires: the same
-- functions, return values, error strings and context ids.

local base = require "resty.core.base"
base.allows_subsystem("http")

local library = require "resty.proxy_wasm.lib"
local plugins = require "resty.proxy_wasm.plugin"
local phases = require "resty.proxy_wasm.phases"


local type        = type
local ngx_log     = ngx.log
local ERR         = ngx.ERR
local get_request = base.get_request
local last_error  = library.last_error

local LOST = library.lib.RPW_LOST


local _M = {}


function _M.load(name, path)
    local bytes, err = plugins.read_file(path)
    if not bytes then
        return nil, err
    end
    local plugin
    plugin, err = plugins.load(name, bytes, {
        root_id = name,
        context_ids = "reused",
        resume = "callouts",
    })
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


local function run(phase, callback, ctx, ...)
    if not plugins.is_root(ctx) then
        return nil, "bad plugin ctx"
    end
    if not get_request() then
        return nil, "bad request"
    end
    local rc = phase(ctx, ...)
    if rc >= 0 then
        return true
    end
    ngx_log(ERR, "[proxy-wasm] ", last_error())
    -- Only a callout's callback runs while a request waits.
    if rc == LOST then
        callback = "proxy_on_http_call_response"
    end
    return nil, "failed to run " .. callback
end


function _M.on_http_request_headers(ctx)
    return run(phases.request_headers, "proxy_on_http_request_headers", ctx)
end


function _M.on_http_request_body(ctx, body, end_of_body)
    return run(phases.request_body, "proxy_on_http_request_body", ctx, body, end_of_body)
end


function _M.on_http_response_headers(ctx)
    return run(phases.response_headers, "proxy_on_http_response_headers", ctx)
end


function _M.on_http_response_body(ctx)
    return run(phases.response_body, "proxy_on_http_response_body", ctx)
end


return _M
