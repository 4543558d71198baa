-- A chain of plugins: one method for each phase does everything in it.

local library = require "resty.proxy_wasm.lib"
local shown = require "resty.proxy_wasm.shown"
local plugins = require "resty.proxy_wasm.plugin"
local effects = require "resty.proxy_wasm.effects"
local phases = require "resty.proxy_wasm.phases"


local type         = type
local pairs        = pairs
local pcall        = pcall
local str_find     = string.find
local error        = error
local setmetatable = setmetatable
local io_open      = io.open
local math_max     = math.max
local ngx          = ngx
local ngx_log      = ngx.log
local ngx_req      = ngx.req
local get_phase    = ngx.get_phase
local ERR          = ngx.ERR
local band         = require("bit").band

local last_error = library.last_error
local lib = library.lib
local WANTS_BODY = lib.RPW_BODY
local MISUSE = lib.RPW_MISUSE
local MISBEHAVED = lib.RPW_MISBEHAVED
local BUSY = lib.RPW_BUSY
local TOO_LARGE = lib.RPW_TOO_LARGE
local WANTS_REQUEST_BODIES = lib.RPW_WANTS_REQUEST_BODY
local WANTS_RESPONSE_BODIES = lib.RPW_WANTS_RESPONSE_BODY
local WANTS_UNKNOWN = lib.RPW_WANTS_UNKNOWN

local LARGER = "its body is larger than max_request_body"


local _M = {}
local mt = { __index = _M }


-- What an entry has beside options.
local FIELDS = "name, path, config"


-- Checks one entry and splits it. A wrong argument is the caller's error.
local function read_entry(entry, index)
    local where = "chain entry " .. index
    if type(entry) ~= "table" then
        error(where .. " must be a table, not " .. shown(entry), 3)
    end
    local opts = {}
    for key, value in pairs(entry) do
        if key ~= "name" and key ~= "path" and key ~= "config" then
            opts[key] = value
        end
    end
    if type(entry.name) ~= "string" or entry.name == "" then
        error(where .. ": \"name\" must be a non-empty string, not " .. shown(entry.name), 3)
    end
    where = where .. ", plugin \"" .. entry.name .. "\": "
    if type(entry.path) ~= "string" then
        error(where .. "\"path\" must be a string, not " .. shown(entry.path), 3)
    end
    local wrong = plugins.check_options(opts, FIELDS)
    if wrong then
        error(where .. wrong, 3)
    end
    local conf, err = plugins.encode_config(entry.config)
    if not conf then
        error(where .. err, 3)
    end
    return entry.name, entry.path, opts, conf
end


-- Finds out which bodies the plugins must see. While a module is read in a
-- thread it may want all.
local function learn(self)
    self.bodies, self.max_body, self.unknown = false, 0, false
    for index = 1, self.size do
        local wants = lib.rpw_wants(self[index])
        self.unknown = self.unknown or band(wants, WANTS_UNKNOWN) ~= 0
        self.bodies = self.bodies or band(wants, WANTS_RESPONSE_BODIES) ~= 0
        self.wants_body[index] = band(wants, WANTS_REQUEST_BODIES) ~= 0
        if self.wants_body[index] then
            self.max_body = math_max(self.max_body, lib.rpw_max_request_body(self[index]))
        end
    end
end


function _M.new(entries)
    if type(entries) ~= "table" or #entries == 0 then
        error("a chain needs a list of at least one plugin: { { name = …, path = … } }", 2)
    end
    -- `bodies`: some plugin must see response bodies; `wants_body`: which ones
    -- request bodies; `max_body`: the most that one of these takes; `unknown`: a
    -- module is still being read.
    local self = {
        size = #entries,
        names = {},
        bodies = false,
        wants_body = {},
        max_body = 0,
        unknown = false,
    }
    for index = 1, #entries do
        local name, path, opts, conf = read_entry(entries[index], index)
        local plugin, root, err
        plugin, err = plugins.load_file(name, path, opts)
        if not plugin then
            return nil, err
        end
        root, err = phases.configure(plugin, conf, true)
        if not root then
            return nil, "plugin \"" .. name .. "\": " .. err
        end
        self[index], self.names[index] = root, name
    end
    learn(self)
    return setmetatable(self, mt)
end


-- lua-nginx-module 0.10.25 and 0.10.26 throw over HTTP/2 and HTTP/3 where the
-- request has no Content-Length.
local NO_LENGTH = "^http%d requests"
local NO_BODY = { GET = true, HEAD = true, OPTIONS = true, DELETE = true, TRACE = true, CONNECT = true }
local LENGTH_REQUIRED = 411


-- The request body: nginx may have written it to a file. Larger than what any
-- plugin takes, it goes to none of them. Or nil, why not, and what the library or
-- HTTP calls that.
local function read_body(max)
    local read, problem = pcall(ngx_req.read_body)
    if not read then
        if not str_find(problem, NO_LENGTH) then
            error(problem, 0)
        end
        if NO_BODY[ngx_req.get_method()] then
            return ""
        end
        return nil, "this lua-nginx-module reads no body without Content-Length: " .. problem,
               LENGTH_REQUIRED
    end
    local body = ngx_req.get_body_data()
    if body then
        return #body <= max and body or nil, LARGER, TOO_LARGE
    end
    local path = ngx_req.get_body_file()
    if not path then
        return ""
    end
    local file, err = io_open(path, "rb")
    if not file then
        return nil, err
    end
    -- Looked at first: nothing larger comes into memory.
    if file:seek("end") <= max then
        file:seek("set")
        body, err = file:read("*a")
    else
        file:close()
        return nil, LARGER, TOO_LARGE
    end
    file:close()
    return body, err
end


local function called_with_dot(method)
    error("call it with a colon: " .. method, 3)
end


-- A method in the wrong phase is the caller's error, no answer to a request.
local function check(rc)
    if rc == MISUSE then
        error(last_error(), 3)
    end
    return rc
end


local function refuse(self, index, rc, why)
    ngx_log(ERR, "[proxy-wasm] ", self.names[index], ": the request is refused: ", why or last_error())
    -- The answer is ours: the failed plugin must let it pass.
    phases.failure_was_answered(self[index])
    return ngx.exit(rc == TOO_LARGE and 413 or rc == LENGTH_REQUIRED and 411 or 503)
end


-- Makes the instances of this worker now: ticks and queues begin without a
-- request.
function _M.init_worker(self)
    if not self then
        called_with_dot("chain:init_worker()")
    end
    if get_phase() ~= "init_worker" then
        error("wrong phase: init_worker() belongs into init_worker_by_lua, not here", 2)
    end
    for i = 1, self.size do
        local ok, err = phases.start(self[i])
        if not ok then
            ngx_log(ERR, "[proxy-wasm] ", self.names[i], ": ", err)
        end
    end
end


local function request(self)
    if not self then
        called_with_dot("chain:rewrite(), chain:access()")
    end
    local wants_body = false
    for i = 1, self.size do
        local rc = check(phases.request_headers(self[i]))
        if rc < 0 then
            return refuse(self, i, rc)
        end
        wants_body = wants_body or band(rc, WANTS_BODY) ~= 0
    end
    if self.unknown then
        learn(self)
    end
    if not wants_body then
        return
    end
    for i = 1, self.size do
        if self.wants_body[i] then
            -- Read again: the plugin before may have replaced it.
            local body, err, rc = read_body(self.max_body)
            if not body then
                return refuse(self, i, rc, err)
            end
            rc = check(phases.request_body(self[i], body, true))
            if rc < 0 then
                return refuse(self, i, rc)
            end
        end
    end
end


-- Request callbacks run in the first of these that is called; in the other
-- there is nothing left to do.
_M.rewrite = request
_M.access = request


-- Some response was refused: body filters have to look which one.
local refusing = false


local function refuse_response(name, rc)
    ngx_log(ERR, "[proxy-wasm] ", name, ": the response is refused: ", last_error())
    if not phases.refuse_response() then
        -- Nobody would know of it in the body filter.
        return ngx.exit(ngx.ERROR)
    end
    refusing = true
    effects.clear_headers()
    ngx.status = (rc == MISBEHAVED or rc == BUSY) and 500 or 503
    -- No length: without chain:body_filter() it would not be that of what goes out.
    if ngx.req.get_method() == "HEAD" then
        ngx.header["Content-Length"] = 0
    end
end


function _M.header_filter(self)
    if not self then
        called_with_dot("chain:header_filter()")
    end
    for i = 1, self.size do
        local rc = check(phases.response_headers(self[i]))
        if rc < 0 then
            refuse_response(self.names[i], rc)
        end
    end
end


local function drop_refused()
    local refused = phases.response_refused()
    refusing = refused >= 0
    if refused == 1 then
        effects.drop_body()
        return true
    end
end


function _M.body_filter(self)
    if not self then
        called_with_dot("chain:body_filter()")
    end
    if refusing and drop_refused() or not self.bodies then
        return
    end
    for i = 1, self.size do
        if check(phases.response_body(self[i])) < 0 then
            -- The rest of the response must not pass unseen.
            effects.cut_off(last_error())
        end
    end
end


function _M.log(self)
    if not self then
        called_with_dot("chain:log()")
    end
    for i = 1, self.size do
        check(phases.log(self[i]))
    end
end


return _M
